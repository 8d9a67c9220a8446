//! Read, change, write: together, in order, once.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
#[cfg(target_os = "linux")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use filelatch::{Durability, Error, Expect, LatchFile, LockOptions, LockScope, Policy, Version, Wait, WriteOptions};
#[cfg(target_os = "linux")]
use filelatch::{Outcome, Strategy};
use tempfile::tempdir;

use super::support::*;

fn quick<'a>() -> WriteOptions<'a> {
    WriteOptions::new().durability(Durability::None)
}

fn append(file: &LatchFile, token: &str) -> Result<filelatch::Written, Error> {
    file.update_bytes(&quick(), |old| Ok::<_, Error>(Some([old.unwrap_or_default(), token.as_bytes()].concat())))
}

/// Starts a thread that runs `body` and waits until it has gone to sleep in it.
#[cfg(target_os = "linux")]
fn asleep<'scope, 'env, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, 'env>,
    body: impl FnOnce() -> T + Send + 'scope,
) -> std::thread::ScopedJoinHandle<'scope, T> {
    let tid = Arc::new(AtomicU64::new(0));
    let mine = Arc::clone(&tid);
    let thread = scope.spawn(move || {
        mine.store(rustix::thread::gettid().as_raw_nonzero().get().cast_unsigned().into(), Ordering::SeqCst);
        body()
    });
    until("the thread sleeps or has ended", || {
        let tid = tid.load(Ordering::SeqCst);
        let futex = |call: String| call.starts_with("202 ") || call.starts_with("98 ");
        thread.is_finished()
            || tid != 0 && fs::read_to_string(format!("/proc/self/task/{tid}/syscall")).is_ok_and(futex)
    });
    thread
}

/// An update whose closure stays inside until told: `(inside, go)`.
fn blocking(file: &LatchFile, token: &str, inside: &mpsc::Sender<()>, go: &mpsc::Receiver<()>) -> Result<(), Error> {
    file.update_bytes(&quick(), |old| {
        inside.send(()).unwrap();
        go.recv().unwrap();
        Ok::<_, Error>(Some([old.unwrap_or_default(), token.as_bytes()].concat()))
    })
    .map(drop)
}

/// VER-7, VER-8: 16 threads of two engines and 8 processes count to what they should.
#[test]
fn nothing_is_lost() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let workers: Vec<_> = (0..8).map(|_| Worker::start(&["count", path.to_str().unwrap(), "100"])).collect();
    let engines = [engine(), engine()];
    std::thread::scope(|scope| {
        for t in 0..16 {
            let file = engines[t % 2].file(&path).unwrap();
            scope.spawn(move || (0..100).for_each(|_| increment(&file, &quick()).unwrap()));
        }
    });
    for worker in workers {
        worker.finish();
    }
    assert_eq!(count(&path), 16 * 100 + 8 * 100);
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
}

/// VER-7: the same with a durable publish and writers killed among them: every acknowledged increment stays, an unacknowledged
/// one counts at most once.
#[test]
fn nothing_is_lost_with_killed_writers() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let mut acknowledged = 0;
    for round in 0..10 {
        let mut workers: Vec<_> = (0..3).map(|_| Worker::start(&["count-aloud", path.to_str().unwrap()])).collect();
        let here = file(&path);
        for _ in 0..20 {
            increment(&here, &WriteOptions::new()).unwrap();
            acknowledged += 1;
        }
        for worker in &mut workers {
            for _ in 0..=round % 3 {
                worker.hear().unwrap();
                acknowledged += 1;
            }
            worker.kill();
            while worker.hear().is_some() {
                acknowledged += 1;
            }
        }
        let most = acknowledged + 3 * (round + 1);
        assert!((acknowledged..=most).contains(&count(&path)), "{acknowledged} {}", count(&path));
    }
}

/// VER-8, LOCK-15: changes of one process are applied in order of arrival, in one publish.
#[cfg(target_os = "linux")]
#[test]
fn order_of_arrival() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    let ((inside, is_inside), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let results = std::thread::scope(|scope| {
        let first = here.clone();
        scope.spawn(move || blocking(&first, "|", &inside, &gone).unwrap());
        is_inside.recv().unwrap();
        let others: Vec<_> = (0..16)
            .map(|i| {
                let file = here.clone();
                asleep(scope, move || append(&file, &format!("{i:x}")).unwrap())
            })
            .collect();
        let inode = |m: fs::Metadata| std::os::unix::fs::MetadataExt::ino(&m);
        go.send(()).unwrap();
        let results: Vec<_> = others.into_iter().map(|o| o.join().unwrap()).collect();
        let _ = inode(fs::metadata(&path).unwrap());
        results
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "|0123456789abcdef");
    assert!(results.iter().all(|w| w.outcome == Outcome::Written));
    // Only the last of a batch knows the version on disk as its own.
    assert_eq!(results[15].version, Some(Version::of(b"|0123456789abcdef")));
    assert_eq!(results.iter().filter(|w| w.version.is_some()).count(), 1, "one publish for all");
}

/// VER-8, P8: a change that fails or panics discards only its own part; its error comes back unchanged.
#[cfg(target_os = "linux")]
#[test]
fn failing_parts() {
    #[derive(Debug)]
    struct Own(&'static str);
    impl From<Error> for Own {
        fn from(_: Error) -> Own {
            Own("latch")
        }
    }
    let dir = tempdir().unwrap();
    for name in ["a.txt", "a.json"] {
        let path = dir.path().join(name);
        let document = name == "a.json";
        fs::write(&path, if document { "[]" } else { "" }).unwrap();
        let here = file(&path);
        // Each adds its number; those that fail do so after their change.
        let add = |file: &LatchFile, i: usize| -> Result<(), Own> {
            let spoil = |i: usize| match i % 4 {
                1 => Err(Own("mine")),
                2 => panic!("on purpose"),
                _ => Ok(()),
            };
            if document {
                file.update_value(&quick(), |value| {
                    value.as_array_mut().unwrap().push(i.into());
                    spoil(i)
                })
                .map(drop)
            } else {
                file.update_bytes(&quick(), |old| {
                    let new = [old.unwrap(), format!("{i},").as_bytes()].concat();
                    spoil(i).map(|()| Some(new))
                })
                .map(drop)
            }
        };
        let ((inside, is_inside), (go, gone)) = (mpsc::channel(), mpsc::channel());
        std::thread::scope(|scope| {
            let first = here.clone();
            scope.spawn(move || {
                first.update_bytes(&quick(), |_| {
                    inside.send(()).unwrap();
                    gone.recv().unwrap();
                    Ok::<_, Error>(None)
                })
            });
            is_inside.recv().unwrap();
            let others: Vec<_> = (0..12)
                .map(|i| {
                    let (file, add) = (here.clone(), &add);
                    (i, asleep(scope, move || catch_unwind(AssertUnwindSafe(|| add(&file, i)))))
                })
                .collect();
            go.send(()).unwrap();
            for (i, other) in others {
                match (i % 4, other.join().unwrap()) {
                    (1, Ok(Err(Own("mine")))) | (2, Err(_)) | (0 | 3, Ok(Ok(()))) => {}
                    (_, other) => panic!("{i}: {other:?}"),
                }
            }
        });
        let text = fs::read_to_string(&path).unwrap();
        let kept: String = text.chars().filter(|c| c.is_ascii_digit() || *c == ',').collect();
        assert_eq!(kept.trim_matches(','), "0,3,4,7,8,11");
        assert!(here.try_lock().is_ok());
    }
}

/// LOCK-14, P8: asking again for the same file from inside a change, or while holding its guard, is an error at once and never a
/// hang; other files are fine. Also when locks are switched off.
#[test]
fn reentry() {
    let dir = tempdir().unwrap();
    let mut policy = Policy::default();
    policy.locks = false;
    let off = filelatch::Filelatch::builder().without_workspaces().defaults(policy).build();
    for engine in [engine(), off] {
        let locks = engine.file(dir.path().join("a")).unwrap().policy().locks;
        let (done, answer) = mpsc::channel();
        let dir = dir.path().to_owned();
        std::thread::spawn(move || {
            let (here, other) = (engine.file(dir.join("a")).unwrap(), engine.file(dir.join("b")).unwrap());
            let forever = quick().lock(LockOptions::new().wait(Wait::Forever));
            let inner = here
                .update_bytes(&forever, |_| {
                    let again = [
                        here.write(b"x", &forever).map(drop),
                        here.update_bytes(&forever, |_| Ok::<_, Error>(None)).map(drop),
                        engine.file(dir.join("./a")).unwrap().write(b"x", &forever).map(drop),
                    ];
                    for result in again {
                        assert!(matches!(result, Err(Error::Reentrant { .. })), "{result:?}");
                    }
                    if locks {
                        assert!(matches!(here.lock(&no_wait()), Err(Error::Reentrant { .. })));
                        assert!(matches!(here.lock_shared(&no_wait()), Err(Error::Reentrant { .. })));
                    }
                    append(&other, "inner").unwrap();
                    Ok::<_, Error>(Some(b"outer".to_vec()))
                })
                .map(drop);
            if locks {
                let guard = here.try_lock().unwrap();
                let refused = here.write(b"x", &forever);
                assert!(matches!(refused, Err(Error::Reentrant { .. })), "{refused:?}");
                drop(guard);
            }
            done.send(inner).unwrap();
        });
        answer.recv_timeout(PATIENCE).expect("hangs, or panicked").unwrap();
    }
    assert_eq!(fs::read(dir.path().join("a")).unwrap(), b"outer");
}

/// LOCK-14: two threads that change two documents, one inside the other, in opposite order: the circle is found among changes,
/// too.
#[test]
fn nested_changes_in_opposite_order() {
    let dir = tempdir().unwrap();
    let engine = engine();
    let [a, b] = ["a", "b"].map(|name| engine.file(dir.path().join(name)).unwrap());
    let both_inside = Arc::new(std::sync::Barrier::new(2));
    let results: Vec<_> = std::thread::scope(|scope| {
        [(a.clone(), b.clone()), (b, a)]
            .map(|(outer, inner)| {
                let both_inside = Arc::clone(&both_inside);
                scope.spawn(move || {
                    outer.update_bytes(&quick(), |_| {
                        both_inside.wait();
                        append(&inner, "x").map(|_| Some(b"y".to_vec()))
                    })
                })
            })
            .into_iter()
            .map(|t| t.join().unwrap())
            .collect()
    });
    let deadlocks: Vec<_> = results.iter().filter_map(|r| r.as_ref().err()).collect();
    assert!(matches!(deadlocks[..], [Error::Deadlock { cycle, .. }] if cycle.len() == 2), "{results:?}");
}

/// VER-4, P7: of last-write-wins writes that wait together only the newest is written; the others are told so.
#[cfg(target_os = "linux")]
#[test]
fn superseded() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    let ((inside, is_inside), (go, gone)) = (mpsc::channel(), mpsc::channel());
    let options = quick().strategy(Strategy::LastWriteWins);
    let outcomes: Vec<_> = std::thread::scope(|scope| {
        let first = here.clone();
        scope.spawn(move || blocking(&first, "first", &inside, &gone).unwrap());
        is_inside.recv().unwrap();
        let writers: Vec<_> = ["one", "two", "three"]
            .map(|text| {
                let (file, options) = (here.clone(), options.clone());
                asleep(scope, move || file.write(text.as_bytes(), &options).unwrap())
            })
            .into_iter()
            .collect();
        go.send(()).unwrap();
        writers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let kinds: Vec<_> = outcomes.iter().map(|w| w.outcome).collect();
    assert_eq!(kinds, [Outcome::Superseded, Outcome::Superseded, Outcome::Written]);
    assert!(outcomes.iter().all(|w| w.version == Some(Version::of(b"three"))), "the version that won");
    assert_eq!(fs::read(&path).unwrap(), b"three");
}

/// P8, LOCK-8: a change whose time is up before its turn leaves no trace; one that is under way is published.
#[test]
fn timeouts_before_the_turn() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    let ((inside, is_inside), (go, gone)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let first = here.clone();
        let slow = scope.spawn(move || blocking(&first, "slow", &inside, &gone));
        is_inside.recv().unwrap();
        for wait in [Wait::No, Wait::For(Duration::from_millis(20))] {
            let options = quick().lock(LockOptions::new().wait(wait));
            let result = here.update_bytes(&options, |_| -> Result<_, Error> { panic!("must not run") });
            assert!(matches!(result, Err(Error::Locked { .. } | Error::Timeout { .. })), "{result:?}");
        }
        go.send(()).unwrap();
        slow.join().unwrap().unwrap();
    });
    append(&here, "er").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"slower");

    // The leader's own wait is for another process.
    let held = file(&path).try_lock().unwrap();
    let options = quick().lock(waits(30));
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (file, options) = (here.clone(), options.clone());
                scope.spawn(move || file.update_bytes(&options, |_| -> Result<_, Error> { panic!("must not run") }))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    assert!(results.iter().all(|r| matches!(r, Err(Error::Timeout { .. }))), "{results:?}");
    drop(held);
    assert_eq!(fs::read(&path).unwrap(), b"slower");
    append(&here, "!").unwrap();
}

/// LOCK-12 ⚠, P8: a change that may run once is not applied again after a foreign write in between, it is a conflict; a pure one
/// is applied to what is there now.
#[test]
fn once() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    let here = file(&path);
    for run_once in [true, false] {
        fs::write(&path, "base").unwrap();
        let runs = AtomicUsize::new(0);
        let mut options = quick();
        options.run_once = run_once;
        let result = here.update_bytes(&options, |old| {
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                fs::write(dir.path().join("theirs"), "foreign").unwrap();
                fs::rename(dir.path().join("theirs"), &path).unwrap();
            }
            Ok::<_, Error>(Some([old.unwrap(), b"+mine"].concat()))
        });
        if run_once {
            assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
            assert_eq!((runs.load(Ordering::SeqCst), fs::read(&path).unwrap()), (1, b"foreign".to_vec()));
        } else {
            result.unwrap();
            assert_eq!((runs.load(Ordering::SeqCst), fs::read(&path).unwrap()), (2, b"foreign+mine".to_vec()));
        }
    }
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
}

/// VER-11: a comparing write during which a foreign program writes is refused, and the foreign version stands.
#[test]
fn comparing_write_against_a_foreign_one() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a");
    fs::write(&path, "base").unwrap();
    let here = file(&path);
    let guard = here.try_lock().unwrap();
    let mut options = quick();
    options.expect = Expect::Version(Version::of(b"base"));
    let result = guard.update_bytes(&options, |_| {
        fs::write(&path, "foreign").unwrap();
        Ok::<_, Error>(Some(b"mine".to_vec()))
    });
    let Err(Error::Conflict(conflict)) = result else { panic!("{result:?}") };
    assert_eq!((conflict.current, conflict.kept), (Some(Version::of(b"foreign")), None));
    assert_eq!(fs::read(&path).unwrap(), b"foreign");
    assert_eq!(litter(dir.path(), &["a"]), [""; 0]);
}

/// VER-7: a document that does not exist comes to be only with `create`, and only if the change succeeds.
#[test]
fn documents_that_are_not_there() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.json");
    let here = file(&path);
    let set = |value: &mut serde_json::Value| {
        value["n"] = 1.into();
        Ok::<_, Error>(())
    };
    assert!(matches!(here.update_value(&quick(), set), Err(Error::NotFound { .. })));
    let create = quick().create(serde_json::json!({}));
    assert!(
        catch_unwind(AssertUnwindSafe(|| here.update_value(&create, |_| -> Result<_, Error> { panic!("x") }))).is_err()
    );
    assert!(!path.exists());
    here.update_value(&create, |_| Ok::<_, Error>(())).unwrap();
    assert_eq!(here.read_as::<serde_json::Value>().unwrap(), serde_json::json!({}));
    here.update_value(&create, set).unwrap();
    assert_eq!(here.read_as::<serde_json::Value>().unwrap(), serde_json::json!({"n": 1}));
}

/// P3: another scope is another owner, and waits its turn like one.
#[test]
fn scopes_of_changes() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let (one, two) = (LockScope::new(), LockScope::new());
    let in_scope = |scope: &LockScope| quick().lock(waits(50).scope(scope));
    let result = here.update_bytes(&in_scope(&one), |_| {
        assert!(matches!(here.write(b"x", &in_scope(&one)), Err(Error::Reentrant { .. })));
        assert!(matches!(here.write(b"x", &in_scope(&two)), Err(Error::Timeout { .. })));
        Ok::<_, Error>(Some(b"y".to_vec()))
    });
    result.unwrap();
}

/// P8: a change that failed may be asked for again at once: the lock is no longer its caller's, though the batch goes on.
#[test]
fn again_after_a_failure() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in 0..2000 {
                    let failed = here.update_bytes(&quick(), |_| {
                        if i % 50 == 0 {
                            return Ok(Some(i.to_string().into_bytes()));
                        }
                        Err(Error::NotFound { path: "on purpose".into() })
                    });
                    assert!(!matches!(failed, Err(Error::Reentrant { .. })), "{failed:?}");
                }
            });
        }
    });
}

/// LOCK-16: who waits for its turn in the queue of changes is told, like one who waits for the lock.
#[test]
fn told_in_the_queue() {
    let dir = tempdir().unwrap();
    let here = file(&dir.path().join("a"));
    let ((inside, is_inside), (go, gone)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let first = here.clone();
        scope.spawn(move || blocking(&first, "x", &inside, &gone).unwrap());
        is_inside.recv().unwrap();
        let tell = move |waiting: &filelatch::Waiting<'_>| {
            assert_eq!(waiting.holders[0].pid, Some(std::process::id()));
            go.send(()).unwrap();
        };
        let go_on = quick().lock(LockOptions::new().on_wait(&tell));
        here.write(b"y", &go_on).unwrap();
    });
}
