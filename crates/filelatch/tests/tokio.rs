//! The async face: waits that block no runtime thread and can be dropped at any point.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk behind the engine's back")]
#![expect(clippy::unwrap_used, reason = "a test that fails says so")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filelatch::{Error, Filelatch, LatchFile, LockOptions, LockScope, Wait, WriteOptions};
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
