//! Reads, replaces and updates by one thread. Against others: `bench-compare`.

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use filelatch::doc::{Document, Format};
use filelatch::{Durability, Error, Filelatch, Version, WriteOptions};
use filelatch_bench::document;

fn files(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::new();
    for (name, durability) in [("replace, not durable", Durability::None), ("replace, durable", Durability::Full)] {
        let mut group = c.benchmark_group(name);
        group.sample_size(20);
        for (size, what) in [(1 << 10, "1 KiB"), (256 << 10, "256 KiB")] {
            let file = latch.file(dir.path().join("f")).unwrap();
            let mut bytes = vec![b'x'; size];
            let mut n = 0_u64;
            let options = WriteOptions::new().durability(durability);
            group.throughput(Throughput::Bytes(size as u64));
            group.bench_function(what, |b| {
                b.iter(|| {
                    n += 1;
                    bytes[..8].copy_from_slice(&n.to_le_bytes());
                    file.write(&bytes, &options).unwrap()
                });
            });
        }
        group.finish();
    }

    let file = latch.file(dir.path().join("doc.json")).unwrap();
    file.write(&document(), &WriteOptions::new()).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    let mut group = c.benchmark_group("200 KB document");
    group.sample_size(20);
    group.bench_function("read, unchanged", |b| b.iter(|| file.read().unwrap()));
    let options = WriteOptions::new().durability(Durability::None);
    let mut n = 0_u64;
    group.bench_function("update one field, not durable", |b| {
        b.iter(|| {
            n += 1;
            let set = |doc: &mut Document| {
                let wrong = |source| Error::Document { path: "doc.json".into(), source };
                doc.set("/records/500/count", n.into()).map_err(wrong)
            };
            file.update_document(&options, set).unwrap()
        });
    });
    group.finish();
}

fn memory(c: &mut Criterion) {
    let bytes = document();
    let mut group = c.benchmark_group("200 KB in memory");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("hash", |b| b.iter(|| Version::of(&bytes)));
    group.bench_function("parse", |b| b.iter(|| Document::parse(&bytes, Format::Json).unwrap()));
    group.bench_function("set one field", |b| {
        let parse = || Document::parse(&bytes, Format::Json).unwrap();
        b.iter_batched(parse, |mut doc| doc.set("/records/500/count", 7.into()), BatchSize::SmallInput);
    });
    group.bench_function("parse, set one field, verify, render", |b| {
        b.iter(|| {
            let mut doc = Document::parse(&bytes, Format::Json).unwrap();
            doc.set("/records/500/count", 7.into()).unwrap();
            doc.render().unwrap()
        });
    });
    group.finish();
}

criterion_group!(benches, files, memory);
criterion_main!(benches);
