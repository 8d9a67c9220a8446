//! Locks that nobody contends for. Against others: `bench-compare`.

use criterion::{Criterion, criterion_group, criterion_main};
use filelatch::{Filelatch, LockOptions};

fn locks(c: &mut Criterion) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("doc.json");
    let latch = Filelatch::new();
    let file = latch.file(&path).unwrap();
    let options = LockOptions::new();

    let mut group = c.benchmark_group("lock");
    group.bench_function("exclusive, same handle", |b| b.iter(|| file.lock(&options).unwrap().release()));
    group.bench_function("shared, same handle", |b| b.iter(|| file.lock_shared(&options).unwrap().release()));
    group.bench_function("exclusive, fresh handle", |b| {
        b.iter(|| latch.file(&path).unwrap().lock(&options).unwrap().release());
    });
    group.bench_function("exclusive, fresh engine", |b| {
        b.iter(|| Filelatch::new().file(&path).unwrap().lock(&options).unwrap().release());
    });
    group.bench_function("shared, joining a held one", |b| {
        let held = file.lock_shared(&options).unwrap();
        let other = filelatch::LockScope::new();
        let options = LockOptions::new().scope(&other);
        b.iter(|| file.lock_shared(&options).unwrap().release());
        held.release();
    });
    group.bench_function("lock_state", |b| b.iter(|| file.lock_state().unwrap()));
    group.finish();
}

criterion_group!(benches, locks);
criterion_main!(benches);
