//! The async face: waits that block no runtime thread and can be dropped at any point.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk behind the engine's back")]
#![expect(clippy::unwrap_used, reason = "a test that fails says so")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filelatch::{
    Error, Expect, Filelatch, LatchFile, LockOptions, LockScope, Outcome, RecordGuard, Strategy, Version, Wait,
    WriteOptions,
};
use filelatch_fs::sim::{Dials, SimFs};
use tokio::sync::oneshot;

fn scratch(content: &str) -> (tempfile::TempDir, LatchFile) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    std::fs::write(&path, content).unwrap();
    let file = Filelatch::new().file(path).unwrap();
    (dir, file)
}

/// LOCK-1: tasks on one thread exclude each other, and the waiting one does not keep the thread from the holder.
#[tokio::test(flavor = "current_thread")]
async fn tasks_of_one_thread() {
    let (_dir, file) = scratch("{}");
    let file = file.tokio();
    let guard = file.lock(&LockOptions::new()).await.unwrap();
    let waiting = tokio::spawn({
        let file = file.clone();
        async move { file.lock(&LockOptions::new()).await.map(|guard| guard.is_held()) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(guard);
    assert!(waiting.await.unwrap().unwrap());
}

/// VER-4: tasks that write what they made of one version merge; what does not fit is a conflict.
#[tokio::test]
async fn merging() {
    let base = "a\nb\nc\nd\ne\n";
    let (_dir, file) = scratch(base);
    let merging = || {
        let expect = Expect::Version(Version::of(base.as_bytes()));
        WriteOptions::new().strategy(Strategy::Merge).expect(expect).base(base.as_bytes())
    };
    let tasks = file.tokio();
    let write = |text: &str| tasks.write(text.as_bytes().to_vec(), merging());
    write("A\nb\nc\nd\ne\n").await.unwrap();
    assert_eq!(write("a\nb\nc\nd\nE\n").await.unwrap().outcome, Outcome::Merged);
    assert_eq!(file.read().unwrap().bytes(), b"A\nb\nc\nd\nE\n");
    let refused = write("x\nb\nc\nd\ne\n").await.unwrap_err();
    assert!(matches!(&refused, Error::Conflict(conflict) if conflict.unmerged.is_some()), "{refused}");
}

/// LOCK-8 ⚠: a future that is dropped while it waits never holds the lock later, and those behind it get their turn.
#[tokio::test]
async fn dropped_waits_leave_no_trace() {
    let (_dir, file) = scratch("{}");
    let file = file.tokio();
    for _ in 0..200 {
        let guard = file.lock(&LockOptions::new()).await.unwrap();
        let (entered, wait_entered) = oneshot::channel();
        let dropped = tokio::spawn({
            let file = file.clone();
            async move {
                let options = LockOptions::new();
                let mut wait = std::pin::pin!(file.lock(&options));
                let polled = tokio::time::timeout(Duration::ZERO, &mut wait).await;
                assert!(polled.is_err(), "the lock is held");
                entered.send(()).unwrap();
                wait.await.map(drop)
            }
        });
        wait_entered.await.unwrap();
        dropped.abort();
        drop(guard);
        drop(dropped.await);
        let again = file.lock(&LockOptions::new().wait(Wait::For(Duration::from_secs(10)))).await;
        drop(again.expect("the aborted task must not hold the lock"));
    }
}

/// LOCK-5, LOCK-8: a timeout names the holder and leaves the queue.
#[tokio::test]
async fn timeouts() {
    let (_dir, file) = scratch("{}");
    let guard = file.tokio().lock(&LockOptions::new()).await.unwrap();
    let short = LockOptions::new().wait(Wait::For(Duration::from_millis(20)));
    let error = file.tokio().lock_shared(&short).await.unwrap_err();
    assert!(matches!(&error, Error::Timeout { holders, .. } if holders[0].pid.is_some()), "{error}");
    drop(guard);
    assert!(!file.is_locked().unwrap());
}

/// LOCK-14: with a scope of its own a task that asks twice is refused; without one it would wait for itself.
#[tokio::test]
async fn scopes() {
    let (_dir, file) = scratch("{}");
    let scope = LockScope::new();
    let options = LockOptions::new().scope(&scope);
    let file = file.tokio();
    let _guard = file.lock(&options).await.unwrap();
    assert!(matches!(file.lock(&options).await, Err(Error::Reentrant { .. })));
}

/// VER-7, VER-8: a hundred tasks update one document; all changes are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates() {
    let (dir, file) = scratch("{\"count\": 0} ");
    let tasks: Vec<_> = (0..100)
        .map(|_| {
            let file = file.tokio();
            tokio::spawn(async move {
                let add = |document: &mut filelatch::doc::Document| {
                    let count = document.get("/count").unwrap().unwrap().as_u64().unwrap();
                    document.set("/count", (count + 1).into()).unwrap();
                    Ok::<_, Error>(())
                };
                file.update_document(WriteOptions::new(), add).await.map(drop)
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("state.json")).unwrap(), "{\"count\": 100} ");
}

/// VER-8 (P8): an update whose future is dropped before its turn is not made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dropped_updates() {
    let (_dir, file) = scratch("{\"count\": 0}");
    let made = Arc::new(AtomicBool::new(false));
    let guard = file.tokio().lock(&LockOptions::new()).await.unwrap();
    let update = tokio::spawn({
        let (file, made) = (file.tokio(), Arc::clone(&made));
        async move {
            let change = move |_: Option<&[u8]>| {
                made.store(true, Ordering::SeqCst);
                Ok::<_, Error>(None)
            };
            file.update_bytes(WriteOptions::new(), change).await
        }
    });
    // In the queue of the lock, or not even there yet: in both cases before its turn.
    tokio::task::yield_now().await;
    update.abort();
    assert!(update.await.unwrap_err().is_cancelled());
    drop(guard);
    file.tokio().write(b"{\"count\": 2}".to_vec(), WriteOptions::new()).await.unwrap();
    assert!(!made.load(Ordering::SeqCst), "the write was behind it in the queue");
}

/// LOCK-17: tasks on one thread hold different records beside each other; the same record and the whole file exclude, and who waits does
/// not keep the thread from the holder.
#[tokio::test(flavor = "current_thread")]
async fn records_of_tasks() {
    let (_dir, file) = scratch("{}");
    let here = file.tokio();
    let no_wait = LockOptions::new().wait(Wait::No);
    let x = here.lock_record("x", &LockOptions::new()).await.unwrap();
    let y = here.lock_record("y", &no_wait).await.unwrap();
    assert!(x.is_held() && y.is_held() && !x.locks_whole_file());
    assert!(
        matches!(here.lock_record("x", &no_wait).await, Err(Error::Locked { path, .. }) if path.ends_with("state.json#x"))
    );
    assert!(matches!(here.lock(&no_wait).await, Err(Error::Locked { .. })));
    assert!(matches!(here.lock_shared(&no_wait).await, Err(Error::Locked { .. })));
    let waiting = tokio::spawn({
        let here = here.clone();
        async move { here.lock_record("x", &LockOptions::new()).await.map(|guard| guard.is_held()) }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    drop(x);
    assert!(waiting.await.unwrap().unwrap());
    drop(y);
    drop(here.lock(&no_wait).await.unwrap());
}

/// LOCK-14, LOCK-17: several records come in the order given, each once, all or none; an owner that asks again, or for the whole file, is
/// refused, and waits no one has.
#[tokio::test]
async fn records_of_one_owner() {
    let (_dir, file) = scratch("{}");
    let here = file.tokio();
    let no_wait = LockOptions::new().wait(Wait::No);
    let guards = here.lock_records(["b", "a", "b"], &no_wait).await.unwrap();
    assert_eq!(guards.iter().map(RecordGuard::record).collect::<Vec<_>>(), ["b", "a"]);
    assert!(here.lock_records(["c", "a"], &no_wait).await.is_err());
    drop(here.lock_record("c", &no_wait).await.expect("taken on the way, and kept"));
    drop(guards);
    let scope = LockScope::new();
    let ours = LockOptions::new().scope(&scope);
    let x = here.lock_record("x", &ours).await.unwrap();
    assert!(matches!(here.lock_record("x", &ours).await, Err(Error::Reentrant { .. })));
    assert!(matches!(here.lock(&ours).await, Err(Error::Reentrant { .. })));
    // Past somebody who waits for the whole file, for that one waits for us.
    let whole = tokio::spawn({
        let here = here.clone();
        async move { here.lock(&LockOptions::new()).await.map(drop) }
    });
    tokio::task::yield_now().await;
    let y = here.lock_record("y", &ours).await.unwrap();
    drop((y, x));
    whole.await.unwrap().unwrap();
}

/// LOCK-8 ⚠: a future that is dropped while it waits for a record never holds it later; here behind another engine, so that a wait in the
/// kernel is left behind.
#[tokio::test]
async fn dropped_waits_for_records_leave_no_trace() {
    let (_dir, file) = scratch("{}");
    let elsewhere = Filelatch::new().file(file.path()).unwrap();
    for round in 0..60 {
        let holder = if round % 2 == 0 { &file } else { &elsewhere };
        let guard = holder.tokio().lock_record("x", &LockOptions::new()).await.unwrap();
        let (entered, wait_entered) = oneshot::channel();
        let dropped = tokio::spawn({
            let here = file.tokio();
            async move {
                let options = LockOptions::new();
                let mut wait = std::pin::pin!(here.lock_record("x", &options));
                assert!(tokio::time::timeout(Duration::ZERO, &mut wait).await.is_err(), "the record is held");
                entered.send(()).unwrap();
                wait.await.map(drop)
            }
        });
        wait_entered.await.unwrap();
        dropped.abort();
        drop(guard);
        drop(dropped.await);
        for next in [&file, &elsewhere] {
            let again =
                next.tokio().lock_record("x", &LockOptions::new().wait(Wait::For(Duration::from_secs(10)))).await;
            drop(again.expect("the aborted task must not hold the record"));
        }
        let whole = elsewhere.tokio().lock(&LockOptions::new().wait(Wait::For(Duration::from_secs(10)))).await;
        drop(whole.expect("nor keep the file"));
    }
}

/// LOCK-5: a timeout names the record.
#[tokio::test]
async fn record_timeouts() {
    let (_dir, file) = scratch("{}");
    let guard = file.tokio().lock_record("x", &LockOptions::new()).await.unwrap();
    let short = LockOptions::new().wait(Wait::For(Duration::from_millis(20)));
    let error = file.tokio().lock_record("x", &short).await.unwrap_err();
    assert!(
        matches!(&error, Error::Timeout { path, holders, .. } if path.ends_with("state.json#x") && !holders.is_empty())
    );
    drop(guard);
    assert!(!file.is_locked().unwrap());
}

/// VER-7, LOCK-17: tasks change their records of one file, on threads for blocking work: all changes are there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_under_records() {
    let (dir, file) = scratch("{}");
    let tasks: Vec<_> = (0..40)
        .map(|n| {
            let here = file.tokio();
            tokio::spawn(async move {
                let guard = here.lock_record(&format!("r{}", n % 5), &LockOptions::new()).await?;
                let add = move |document: &mut filelatch::doc::Document| {
                    let key = format!("/r{}", n % 5);
                    let count = document.get(&key).unwrap().and_then(|n| n.as_u64()).unwrap_or(0);
                    document.set(&key, (count + 1).into()).unwrap();
                    Ok::<_, Error>(())
                };
                let update = move || guard.update_document(&WriteOptions::new(), add).map(drop);
                tokio::task::spawn_blocking(update).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let text = std::fs::read_to_string(dir.path().join("state.json")).unwrap();
    assert!((0..5).all(|n| text.contains(&format!("\"r{n}\":8")) || text.contains(&format!("\"r{n}\": 8"))), "{text}");
}

/// P5.9, P10: a write in place that a dead holder left is completed before a task has a record of the file.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn unfinished_writes_and_records() {
    let (dir, file) = scratch("old, half");
    let journal = ".state.json.4194304-0123456789abcdef.tmp";
    let intent = format!("{{\"kind\":\"in-place\",\"journal\":\"{journal}\",\"hash\":\"{}\"}}", Version::of(b"new"));
    let record = format!("{{\"v\":1,\"pid\":4194304,\"intent\":{intent}}}\n");
    std::fs::write(dir.path().join(".state.json.lock"), record).unwrap();
    std::fs::write(dir.path().join(journal), "new").unwrap();
    let guard = file.tokio().lock_record("x", &LockOptions::new()).await.unwrap();
    assert!(!guard.locks_whole_file());
    assert_eq!(std::fs::read(file.path()).unwrap(), b"new");
}

/// P10: where there are no locks on parts of files, a task's record is the whole file's lock, which its other records share.
#[tokio::test]
async fn whole_files_instead_of_records() {
    let fs = SimFs::new(Dials { range_locks: false, ..Dials::default() });
    fs.foreign().create("/a", b"0").unwrap();
    let engine =
        |fs: &SimFs| Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().build();
    let (here, there) = (engine(&fs).file("/a").unwrap().tokio(), engine(&fs.process()).file("/a").unwrap().tokio());
    let no_wait = LockOptions::new().wait(Wait::No);
    let guards = here.lock_records(["x", "y"], &no_wait).await.unwrap();
    assert!(guards.iter().all(|guard| guard.locks_whole_file() && guard.is_held()));
    assert!(there.lock_record("z", &no_wait).await.is_err());
    drop(guards);
    drop(there.lock_record("z", &no_wait).await.unwrap());
}
