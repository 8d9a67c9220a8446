//! What one thread does alone: lock, replace, read. Ours and the bare calls in turns.

use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use filelatch::{Durability, Filelatch, LatchFile, LockOptions, WriteOptions};

use crate::Settings;
use crate::raw::{RawDir, RawLock, document};
use crate::stats::{Pairs, median, time};
use crate::table::{Table, times};
use crate::worker::now;

/// ns for each of `n` calls.
fn each(n: usize, mut call: impl FnMut(usize)) -> f64 {
    let begin = now();
    for i in 0..n {
        call(i);
    }
    (now() - begin) as f64 / n as f64
}

pub fn locks(settings: &Settings, table: &mut Table) {
    let dir = settings.scratch();
    let path = dir.path().join("doc.json");
    let latch = Filelatch::new();
    let file = latch.file(&path).unwrap();
    let raw_path = dir.path().join("raw.lock");
    let raw = RawLock::open(&raw_path);
    let options = LockOptions::new();
    let n = settings.scaled(20_000);
    let (mut again, mut first, mut fresh, mut open) = Default::default();
    let push = |pairs: &mut Pairs, n: usize, ours: &mut dyn FnMut()| {
        let bare = each(n, |_| {
            raw.lock();
            raw.unlock();
        });
        pairs.push(each(n, |_| ours()), bare);
    };
    for _ in 0..settings.rounds {
        push(&mut again, n, &mut || drop(file.lock(&options).unwrap()));
        push(&mut first, n, &mut || drop(latch.file(&path).unwrap().lock(&options).unwrap()));
        push(&mut fresh, n / 20, &mut || {
            drop(Filelatch::new().file(&path).unwrap().lock(&options).unwrap());
        });
        push(&mut open, n, &mut || {
            let raw = RawLock::open(&raw_path);
            raw.lock();
            raw.unlock();
        });
    }
    let mut row = |what: &str, pairs: &Pairs, target: &'static str, limit: f64| {
        let row = table.add(what, time(pairs.ours()), time(pairs.raw()), times(pairs.ratio()));
        if limit > 0.0 {
            row.target(target, pairs.ratio() <= limit);
        }
    };
    row("lock + unlock, same handle again", &again, "≤ 3 ×", 3.0);
    row("lock + unlock, a fresh handle each time", &first, "≤ 5 ×", 5.0);
    row("… a fresh engine each time (first lock of a process)", &fresh, "", 0.0);
    row("(bare open + flock + close)", &open, "", 0.0);
}

pub fn replaces(settings: &Settings, table: &mut Table) {
    let sizes = [(1, "1 KiB"), (16, "16 KiB"), (256, "256 KiB"), (1024, "1 MiB")];
    for (kib, name) in sizes {
        let pairs = replace(settings, kib << 10, Durability::Full);
        let what = format!("durable replace of {name}, everything kept");
        let row = table.add(what, time(pairs.ours()), time(pairs.raw()), times(pairs.ratio()));
        row.target("≤ 1.15 ×", pairs.ratio() <= 1.15);
    }
    let pairs = replace(settings, 1 << 10, Durability::None);
    let row = table.add("non-durable replace of 1 KiB", time(pairs.ours()), time(pairs.raw()), times(pairs.ratio()));
    row.target("≤ 1.5 ×", pairs.ratio() <= 1.5);
}

fn replace(settings: &Settings, size: usize, durability: Durability) -> Pairs {
    let dir = settings.scratch();
    let path = dir.path().join("ours.bin");
    let mut raw = RawDir::open(dir.path());
    let mut bytes = vec![b'x'; size];
    let durable = durability == Durability::Full;
    raw.replace("raw.bin", &bytes, durable);
    std::fs::write(&path, &bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    rustix::fs::setxattr(&path, "user.origin", b"bench", rustix::fs::XattrFlags::empty()).ok();
    let file: LatchFile = Filelatch::new().file(&path).unwrap();
    let options = WriteOptions::new().durability(durability);
    let mut pairs = Pairs::default();
    let n = settings.scaled(if durable { 30 } else { 1000 });
    let mut count = 0_u64;
    for _ in 0..settings.rounds {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..n {
            count += 1;
            bytes[..8].copy_from_slice(&count.to_le_bytes());
            ours.push(each(1, |_| drop(file.write(&bytes, &options).unwrap())));
            bare.push(each(1, |_| raw.replace("raw.bin", &bytes, durable)));
        }
        pairs.push(median(&ours), median(&bare));
    }
    pairs
}

pub fn reads(settings: &Settings, table: &mut Table) {
    let dir = settings.scratch();
    let path = dir.path().join("doc.json");
    std::fs::write(&path, document()).unwrap();
    // A file changed a moment ago may change again without a trace in its times: only then is it cached.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let file = Filelatch::new().file(&path).unwrap();
    let n = settings.scaled(20_000);
    let mut pairs = Pairs::default();
    for _ in 0..settings.rounds {
        let bare = each(n, |_| assert!(rustix::fs::stat(&path).is_ok()));
        pairs.push(each(n, |_| drop(file.read().unwrap())), bare);
    }
    let row =
        table.add("read of an unchanged 200 KB document", time(pairs.ours()), time(pairs.raw()), times(pairs.ratio()));
    row.target("≤ 2 × one stat", pairs.ratio() <= 2.0);
}

pub fn one_shot(settings: &Settings, table: &mut Table) {
    let Some(program) = &settings.program else { return };
    let dir = settings.scratch();
    let path = dir.path().join("doc.json");
    File::create(&path).unwrap();
    let (mut pairs, mut bare) = (Pairs::default(), Vec::new());
    let run = |program: &Path, args: &[&str]| {
        let begin = now();
        assert!(std::process::Command::new(program).args(args).status().unwrap().success());
        (now() - begin) as f64
    };
    let lock = dir.path().join("flock.lock");
    for _ in 0..settings.rounds {
        let (mut ours, mut flock) = (Vec::new(), Vec::new());
        for _ in 0..settings.scaled(40) {
            ours.push(run(program, &["run", path.to_str().unwrap(), "--", "true"]));
            flock.push(run(Path::new("flock"), &[lock.to_str().unwrap(), "true"]));
            bare.push(run(Path::new("true"), &[]));
        }
        pairs.push(median(&ours), median(&flock));
    }
    let (ours, flock) = (pairs.ours(), pairs.raw());
    let what = format!("one-shot `run FILE -- true` against flock(1); `true` alone: {}", time(median(&bare)));
    let row = table.add(what, time(ours), time(flock), format!("{:+.2} ms", (ours - flock) / 1e6));
    row.target("≤ +1 ms", ours - flock <= 1e6);
}
