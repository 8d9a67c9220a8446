//! Credentials: life, refreshing once, mishaps, orders, encryption (STORE-6).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam")]

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Barrier, Mutex};
use std::time::{Duration, SystemTime};

use filelatch::store::{Credential, Credentials, Imported, NewCredential, Refreshed, Secret};
use filelatch::{Error, Filelatch, LockOptions, Wait};
use filelatch_fs::sim::{Dials, SimFs, Sweep};

use super::schedules::{few, run};
use super::store_private::{everything_below, has, hoarder, leak, simulated, tree};
use super::support::{Worker, engine, hear, is_full, say};

fn new(text: &str) -> NewCredential {
    NewCredential::new(Secret::new(text))
}

fn text(credential: &Credential) -> String {
    credential.secret.expose_text().unwrap().to_owned()
}

fn stored(store: &Credentials, key: &str) -> Option<String> {
    store.get(key).unwrap().map(|found| text(&found))
}

fn is_new(found: &Credential, _: SystemTime) -> bool {
    found.secret.expose().starts_with(b"new")
}

fn lock<'a>() -> LockOptions<'a> {
    LockOptions::new().wait(Wait::Forever)
}

/// STORE-6: stored, found, listed, replaced, removed; other engines see it; a note stays until it is removed.
#[test]
fn one_life() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("credentials.json");
    let store = Filelatch::builder().session("alice").build().credentials(&path).unwrap();
    let other = Filelatch::new().credentials(&path).unwrap();
    assert_eq!((store.list().unwrap(), stored(&other, "a"), store.is_encrypted().unwrap()), (vec![], None, None));
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    store.set("a b/ä", new("one\ntwo \"3\"\0").expires(end).note("for tests"), &lock()).unwrap();
    store.set("binary", NewCredential::new(Secret::new([0, 255, 254])), &lock()).unwrap();
    let found = other.get("a b/ä").unwrap().unwrap();
    assert_eq!(
        (text(&found).as_str(), found.expires, found.note.as_deref()),
        ("one\ntwo \"3\"\0", Some(end), Some("for tests"))
    );
    assert_eq!(
        (found.by.as_str(), other.get("binary").unwrap().unwrap().secret.expose()),
        ("alice", &[0, 255, 254][..])
    );
    store.set("a b/ä", new("again"), &lock()).unwrap();
    let found = other.get("a b/ä").unwrap().unwrap();
    assert_eq!((text(&found).as_str(), found.expires, found.note.as_deref()), ("again", None, Some("for tests")));
    store.set("a b/ä", new("again").note(""), &lock()).unwrap();
    let listed = other.list().unwrap();
    assert_eq!(
        listed.iter().map(|info| (&*info.key, &info.note)).collect::<Vec<_>>(),
        [("a b/ä", &None), ("binary", &None)]
    );
    other.delete("binary", &lock()).unwrap();
    assert_eq!(store.list().unwrap().len(), 1);
    assert_eq!(store.delete("binary", &lock()).unwrap_err().code(), "no-such-item");
    for (key, secret) in
        [("", "x"), ("a\nb", "x"), (&*"x".repeat(501), "x"), ("k", ""), ("k", &*"x".repeat((1 << 20) + 1))]
    {
        assert_eq!(store.set(key, new(secret), &lock()).unwrap_err().code(), "invalid");
    }
    assert_eq!(store.set("k", new("x").note("a\u{7}"), &lock()).unwrap_err().code(), "invalid");
}

/// STORE-6: to a file and from it; all or nothing; what others may open is not imported, and what exists is not exported over.
#[test]
fn import_and_export() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let (one, two) = (engine().credentials(at("one")).unwrap(), engine().credentials(at("two")).unwrap());
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
    one.set("a", new("s3cret \"a\"").expires(end).note("n"), &lock()).unwrap();
    one.set("b", NewCredential::new(Secret::new([255, 0])), &lock()).unwrap();
    one.export_file(at("out.json"), false, &lock()).unwrap();
    assert_eq!(one.export_file(at("out.json"), false, &lock()).unwrap_err().code(), "conflict");
    one.export_file(at("out.json"), true, &lock()).unwrap();
    assert_eq!(one.export_file(at("one"), true, &lock()).unwrap_err().code(), "invalid");
    let all = Imported { added: 2, ..Imported::default() };
    assert_eq!(two.import_file(at("out.json"), false, &lock()).unwrap(), all);
    let found = two.get("a").unwrap().unwrap();
    assert_eq!((text(&found).as_str(), found.expires, found.note.as_deref()), ("s3cret \"a\"", Some(end), Some("n")));
    assert_eq!(two.get("b").unwrap().unwrap().secret.expose(), [255, 0]);
    let before = std::fs::read(at("two")).unwrap();
    let same = Imported { unchanged: 2, ..Imported::default() };
    assert_eq!(two.import_file(at("out.json"), false, &lock()).unwrap(), same);
    assert_eq!(std::fs::read(at("two")).unwrap(), before, "nothing is written");
    let changed = br#"{"credentials": {"a": "other", "c": "new"}}"#;
    assert_eq!(two.import(changed, false, &lock()).unwrap_err().code(), "exists");
    assert_eq!((stored(&two, "c"), std::fs::read(at("two")).unwrap()), (None, before), "nothing is half imported");
    let some = Imported { added: 1, replaced: 1, unchanged: 0 };
    assert_eq!(two.import(changed, true, &lock()).unwrap(), some);
    assert_eq!((stored(&two, "a").as_deref(), stored(&two, "c").as_deref()), (Some("other"), Some("new")));
    for (wrong, code) in [
        ("", "damaged"),
        ("hunter2", "damaged"),
        (r#"{"credentials": {"a": "hunter2""#, "damaged"),
        (r#"{"credentials": {"a": 7}}"#, "damaged"),
        (r#"{"credentials": {"a": {"base64": "hunter2"}}}"#, "damaged"),
        (r#"{"credentials": {"a": {"secret": "hunter2"}}}"#, "damaged"),
        (r#"{"credentials": {"a": "hunter2", "a": "x"}}"#, "damaged"),
        (r#"{"credentials": {"a": "hunter2"}, "hunter2": 1}"#, "damaged"),
        (r#"{"credentials": {"a": {"text": "hunter2", "base64": "Zg=="}}}"#, "invalid"),
        (r#"{"credentials": {"a": {"note": "n"}}}"#, "invalid"),
        (r#"{"credentials": {"": "hunter2"}}"#, "invalid"),
    ] {
        let error = two.import(wrong.as_bytes(), true, &lock()).unwrap_err();
        let told = format!("{error} {error:?} {:?}", error.hints());
        assert!(error.code() == code && !told.contains("hunter2"), "{wrong}: {told}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let mode = |mode| std::fs::set_permissions(at("out.json"), PermissionsExt::from_mode(mode)).unwrap();
        assert_eq!(std::fs::metadata(at("out.json")).unwrap().permissions().mode() & 0o777, 0o600);
        mode(0o644);
        let refused = engine().credentials(at("three")).unwrap();
        let error = refused.import_file(at("out.json"), false, &lock()).unwrap_err();
        assert_eq!((error.code(), error.path()), ("not-private", &*at("out.json")));
        assert_eq!(one.export_file(at("out.json"), true, &lock()).unwrap_err().code(), "not-private");
        mode(0o600);
        symlink("out.json", at("link")).unwrap();
        assert_eq!(refused.import_file(at("link"), false, &lock()).unwrap_err().code(), "not-a-file");
        assert_eq!(refused.export_file(at("link"), true, &lock()).unwrap_err().code(), "not-a-file");
        assert_eq!(refused.list().unwrap(), []);
    }
    assert_eq!(two.import_file(at("nothing"), false, &lock()).unwrap_err().code(), "not-found");
}

/// STORE-6: forty threads, with engines of their own or one for all, meet an expired credential: one renews it, all are given the new one.
#[test]
fn one_of_forty_threads() {
    for shared in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let store = engine().credentials(&path).unwrap();
        store.set("k", new("old"), &lock()).unwrap();
        let (calls, barrier) = (AtomicUsize::new(0), Barrier::new(40));
        std::thread::scope(|scope| {
            for _ in 0..40 {
                let own = if shared { store.clone() } else { engine().credentials(&path).unwrap() };
                let (calls, barrier) = (&calls, &barrier);
                scope.spawn(move || {
                    barrier.wait();
                    let refreshed = own.refresh_with("k", is_new, &lock(), |old| {
                        assert_eq!(text(old.unwrap()), "old");
                        Ok::<_, Error>(new(&format!("new {}", calls.fetch_add(1, SeqCst))))
                    });
                    assert_eq!(text(&refreshed.unwrap().credential), "new 0");
                });
            }
        });
        assert_eq!(calls.into_inner(), 1);
    }
}

/// STORE-6: while a credential is renewed others are read, written and renewed, and the old one is read; who sets it meanwhile comes after, and
/// what he sets stays.
#[test]
#[cfg(target_os = "linux")]
fn only_its_key_waits() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let store = engine().credentials(&path).unwrap();
    store.set("k", new("old"), &lock()).unwrap();
    let (begun, begins) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel::<()>();
    std::thread::scope(|scope| {
        // Dropped when something is wrong, so that nobody waits for it.
        let go_on = go_on;
        let refresher = scope.spawn(|| {
            store.refresh_with("k", is_new, &lock(), move |_| {
                begun.send(()).unwrap();
                goes_on.recv().unwrap();
                Ok::<_, Error>(new("new"))
            })
        });
        begins.recv().unwrap();
        let other = engine().credentials(&path).unwrap();
        assert_eq!(stored(&other, "k").as_deref(), Some("old"));
        other.set("other", new("1"), &lock()).unwrap();
        other.refresh_with("third", is_new, &lock(), |_| Ok::<_, Error>(new("new 3"))).unwrap();
        other.delete("other", &lock()).unwrap();
        let at_once = LockOptions::new().wait(Wait::No);
        let refused = other.refresh_with("k", is_new, &at_once, |_| -> Result<_, Error> { unreachable!() });
        assert_eq!(refused.unwrap_err().code(), "locked");
        assert_eq!(other.set("k", new("mine"), &at_once).unwrap_err().code(), "locked");
        let setter = scope.spawn(move || other.set("k", new("mine"), &lock()));
        go_on.send(()).unwrap();
        assert!(refresher.join().unwrap().unwrap().called);
        setter.join().unwrap().unwrap();
    });
    assert_eq!((stored(&store, "k").as_deref(), stored(&store, "third").as_deref()), (Some("mine"), Some("new 3")));
}

/// STORE-6: a failure is its caller's, changes nothing and frees the key; the next one tries.
#[test]
fn failures() {
    #[derive(Debug)]
    enum Own {
        Down,
        Store(Error),
    }
    impl From<Error> for Own {
        fn from(error: Error) -> Own {
            Own::Store(error)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = engine().credentials(dir.path().join("c")).unwrap();
    for _ in 0..2 {
        let failed = store.refresh_with("k", is_new, &lock(), |old| {
            assert!(old.is_none());
            Err(Own::Down)
        });
        assert!(matches!(failed, Err(Own::Down)));
    }
    let invalid = store.refresh_with("k", is_new, &lock(), |_| Ok::<_, Own>(new("")));
    assert!(matches!(invalid, Err(Own::Store(error)) if error.code() == "invalid"));
    let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        store.refresh_with("k", is_new, &lock(), |_| -> Result<_, Error> { panic!("as it may") })
    }));
    assert!(panics.is_err());
    let nested = store.refresh_with("k", is_new, &lock(), |_| {
        store.set("k", new("x"), &lock())?;
        Ok::<_, Error>(new("new"))
    });
    assert_eq!(nested.unwrap_err().code(), "held-by-parent");
    assert_eq!(store.list().unwrap(), []);
    assert!(store.refresh_with("k", is_new, &lock(), |_| Ok::<_, Error>(new("new"))).unwrap().called);
}

/// STORE-6: what is fresh is answered without a lock, and by the time of the machine.
#[test]
fn by_the_clock() {
    let fs = SimFs::new(Dials::default());
    let store = simulated(&fs).credentials("/c").unwrap();
    let host = fs.host();
    let lasts = |found: &Credential, now| found.lasts(now, Duration::from_secs(60));
    let refresh = |text: &str| -> Refreshed {
        let end = filelatch_fs::Host::now(&host) + Duration::from_secs(100);
        store.refresh_with("k", lasts, &lock(), |_| Ok::<_, Error>(new(text).expires(end))).unwrap()
    };
    assert!(refresh("one").called);
    host.advance(Duration::from_secs(39));
    let held = engine_lock(&fs);
    assert_eq!((refresh("two").called, stored(&store, "k").as_deref()), (false, Some("one")));
    drop(held);
    host.advance(Duration::from_secs(2));
    assert_eq!((refresh("three").called, stored(&store, "k").as_deref()), (true, Some("three")));
}

fn engine_lock(fs: &SimFs) -> filelatch::Guard {
    simulated(&fs.process()).file("/c").unwrap().lock(&LockOptions::new()).unwrap()
}

/// The worker that renews.
pub(crate) fn refreshes(path: &str, how: &str) {
    let path = Path::new(path);
    let store = engine().credentials(path).unwrap();
    say("ready");
    hear();
    let refreshed = store.refresh_with("k", is_new, &lock(), |_| {
        let mut log = std::fs::File::options().append(true).create(true).open(path.with_extension("log")).unwrap();
        writeln!(log, "{}", std::process::id()).unwrap();
        if how == "hangs" {
            say("calls");
            hear();
        }
        Ok::<_, Error>(new(&format!("new {}", std::process::id())))
    });
    say(text(&refreshed.unwrap().credential));
}

fn calls(path: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(path.with_extension("log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// STORE-6: forty processes meet an expired credential at once: one of them renews it, and all have the same new one.
#[test]
fn one_of_forty_processes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    engine().credentials(&path).unwrap().set("k", new("old"), &lock()).unwrap();
    let mut workers: Vec<_> = (0..40).map(|_| Worker::start(&["refresh", path.to_str().unwrap(), "quickly"])).collect();
    for worker in &mut workers {
        worker.expect("ready");
    }
    for worker in &mut workers {
        worker.tell("go");
    }
    let said: Vec<_> = workers.iter_mut().map(|worker| worker.hear().unwrap()).collect();
    let calls = calls(&path);
    assert_eq!(calls.len(), 1);
    assert!(said.iter().all(|said| *said == format!("new {}", calls[0])), "{said:?}");
}

/// STORE-6: whoever is killed while it renews is followed by the next, of which one renews; nobody is given anything of the dead.
#[test]
fn killed_while_it_renews() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let store = engine().credentials(&path).unwrap();
    store.set("k", new("old"), &lock()).unwrap();
    let start = |how| Worker::start(&["refresh", path.to_str().unwrap(), how]);
    let mut victims: Vec<_> = (0..2).map(|_| start("hangs")).collect();
    let mut others: Vec<_> = (0..10).map(|_| start("quickly")).collect();
    victims.iter_mut().chain(&mut others).for_each(|worker| worker.expect("ready"));
    for (i, victim) in victims.iter_mut().enumerate() {
        victim.tell("go");
        victim.expect("calls");
        if i == 0 {
            // Those who wait for the first victim go on when it dies; the second one is then one of them.
            assert_eq!(stored(&store, "k").as_deref(), Some("old"));
        }
        victim.kill();
    }
    for worker in &mut others {
        worker.tell("go");
    }
    let said: Vec<_> = others.iter_mut().map(|worker| worker.hear().unwrap()).collect();
    let calls = calls(&path);
    assert_eq!(calls.len(), 3, "two that were killed, and one");
    assert!(said.iter().all(|said| *said == format!("new {}", calls[2])), "{said:?}");
    // And with others that wait already.
    store.set("k", new("old"), &lock()).unwrap();
    let mut victim = start("hangs");
    victim.expect("ready");
    victim.tell("go");
    victim.expect("calls");
    let mut waiting: Vec<_> = (0..10).map(|_| start("quickly")).collect();
    for worker in &mut waiting {
        worker.expect("ready");
    }
    for worker in &mut waiting {
        worker.tell("go");
    }
    victim.kill();
    let said: Vec<_> = waiting.iter_mut().map(|worker| worker.hear().unwrap()).collect();
    assert!(said.iter().all(|one| *one == said[0]) && super::store_credentials::calls(&path).len() == 5, "{said:?}");
}

/// What is wrong with what lies around.
fn misplaced(fs: &SimFs, secrets: &[&[u8]]) -> Result<(), String> {
    leak(fs, &[])?;
    for seen in tree(fs) {
        let path = seen.path.to_string_lossy().into_owned();
        let its_place = path == "/c" || path.strip_suffix(".tmp").is_some_and(|path| path.starts_with("/.c."));
        for secret in secrets.iter().filter(|_| !its_place) {
            let hash = blake3::hash(secret).to_hex();
            if has(&seen.bytes, secret) || has(&seen.bytes, &hash.as_bytes()[..16]) {
                return Err(format!("{path} has a secret, or its hash"));
            }
        }
    }
    Ok(())
}

const SECRETS: [&[u8]; 4] = [b"old secret", b"hunter2", b"new secret", b"another secret"];

/// STORE-6, P16: the power is cut and the process killed before every call, each call fails in every way, in a workspace that keeps everything:
/// what was acknowledged holds, a credential that was renewed is the new one, the next program goes on; at no moment is a file open to others,
/// or a secret anywhere but in its file.
#[test]
fn every_mishap() {
    let build = |fs: &SimFs| {
        hoarder(fs);
        simulated(&fs.process()).credentials("/c").unwrap().set("k", new("old secret"), &lock()).unwrap();
    };
    let scenario = |fs: &SimFs| {
        fs.observe(|fs, call| {
            if let Err(wrong) = misplaced(fs, &SECRETS) {
                panic!("before {call:?}: {wrong}");
            }
        });
        let mut told = (false, false, false);
        if let Ok(store) = simulated(fs).credentials("/c") {
            told.0 = store.set("set", new("hunter2"), &lock()).is_ok();
            let refreshed = store.refresh_with("k", is_new, &lock(), |_| {
                told.1 = true;
                Ok::<_, Error>(new("new secret"))
            });
            told.2 = refreshed.is_ok();
        }
        fs.unhook();
        told
    };
    let check = |fs: &SimFs, (set, called, refreshed): &(bool, bool, bool)| {
        misplaced(fs, &SECRETS)?;
        let store = simulated(fs).credentials("/c").map_err(|e| e.to_string())?;
        let found = |key| store.get(key).map(|found| found.map(|found| text(&found))).map_err(|e| e.to_string());
        let (now, k) = (found("set")?, found("k")?);
        if (*set && now.as_deref() != Some("hunter2")) || (now.is_some() && now.as_deref() != Some("hunter2")) {
            return Err(format!("set: {set}, and there is {now:?}"));
        }
        let may_be: &[&str] = match (*refreshed, *called) {
            (true, _) => &["new secret"],
            (false, true) => &["old secret", "new secret"],
            (false, false) => &["old secret"],
        };
        if !k.as_ref().is_some_and(|k| may_be.contains(&k.as_str())) {
            return Err(format!("refreshed: {refreshed}, and there is {k:?}"));
        }
        let next = store.refresh_with("k", |_, _| false, &lock(), |_| Ok::<_, Error>(new("another secret")));
        next.map_err(|e| format!("cannot go on: {e}"))?;
        if found("k")?.as_deref() != Some("another secret") || found("set")? != now {
            return Err("the next refresh is lost, or another credential is".to_owned());
        }
        misplaced(fs, &SECRETS)
    };
    for dials in &Dials::usual()[..if is_full() { 4 } else { 1 }] {
        let few = Dials { enumerate: 4, samples: 2, ..*dials };
        let sweep = Sweep::on(if is_full() { *dials } else { few });
        sweep.everything(build, scenario, check).assert_clean();
    }
}

/// STORE-6: two that renew at once, in all orders with few preemptions: one calls, and both have what it made; with one of them killed at any
/// point the other has something new all the same, and what is stored is what was answered.
#[test]
fn all_orders() {
    for deaths in [0, 1] {
        let limits = filelatch_fs::sim::Schedules { deaths, ..few(1 - deaths) };
        run(if deaths == 0 { "refresh" } else { "refresh and die" }, &limits, 40, |plan| {
            simulated(plan.fs()).credentials("/c").unwrap().set("k", new("old"), &lock()).unwrap();
            let calls = Arc::new(AtomicUsize::new(0));
            let told = Arc::new(Mutex::new(Vec::new()));
            for name in ["one", "two"] {
                let (calls, told) = (Arc::clone(&calls), Arc::clone(&told));
                plan.process(name, move |fs| {
                    let refresh = || {
                        let store = simulated(fs).credentials("/c")?;
                        store.refresh_with("k", is_new, &lock(), |old| {
                            assert_eq!(old.map(text).as_deref(), Some("old"));
                            calls.fetch_add(1, SeqCst);
                            Ok::<_, Error>(new(&format!("new by {name}")))
                        })
                    };
                    let refreshed = refresh().map(|refreshed| text(&refreshed.credential)).map_err(|e| e.to_string());
                    told.lock().unwrap().push(refreshed);
                });
            }
            plan.at_end(move |fs| {
                let store = simulated(fs).credentials("/c").map_err(|e| e.to_string())?;
                let now = stored(&store, "k");
                let (told, calls) = (told.lock().unwrap(), calls.load(SeqCst));
                let good: Vec<_> = told.iter().filter_map(|told| told.as_ref().ok()).collect();
                let fine = good.len() + deaths >= 2 && good.iter().all(|one| Some(*one) == now.as_ref());
                let once = calls == 1 || (deaths == 1 && calls <= 2);
                if fine && once { Ok(()) } else { Err(format!("{calls} calls, told {told:?}, stored {now:?}")) }
            });
        });
    }
}

/// STORE-6, P16: nothing in a workspace that keeps everything has a secret but the file itself, and no hash that is written anywhere tells whether a
/// guess is right: two files with the same content have different ones.
#[test]
fn nothing_else_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::builder().session("tester").build();
    latch.init(dir.path()).unwrap();
    std::fs::write(dir.path().join(".filelatch/config.toml"), "keep = \"every\"\n[audit]\nlocks = \"all\"\n").unwrap();
    let path = latch.own_store(dir.path(), filelatch::store::OwnStore::Credentials, true).unwrap();
    for path in [&path, &dir.path().join("mine.json")] {
        let store = latch.credentials(path).unwrap();
        for secret in ["hunter2", "hunter3", "hunter2"] {
            store.set("k", new(secret), &lock()).unwrap();
        }
        let refreshed = store.refresh_with("k", |_, _| false, &lock(), |_| Ok::<_, Error>(new("hunter4"))).unwrap();
        let shown = format!("{store:?} {refreshed:?} {:?} {:?}", store.get("k"), new("hunter5"));
        assert!(!shown.contains("hunter"), "{shown}");
        let (before, version) = (std::fs::read(path).unwrap(), latch.file(path).unwrap().read().unwrap().version());
        std::fs::remove_file(path).unwrap();
        let all = everything_below(dir.path());
        assert!(!has(&all, b"hunter"));
        for guess in ["hunter2", "hunter3", "hunter4", "k"] {
            assert!(!has(&all, &blake3::hash(guess.as_bytes()).to_hex().as_bytes()[..16]));
        }
        assert!(has(&all, version.to_string().as_bytes()), "the audit log has the hash of the file");
        store.set("k", new("hunter4"), &lock()).unwrap();
        let after = std::fs::read(path).unwrap();
        let nonce = |bytes: &[u8]| String::from_utf8_lossy(bytes).split("nonce").nth(1).unwrap()[..36].to_owned();
        assert_ne!(nonce(&before), nonce(&after));
        std::fs::remove_file(path).unwrap();
        assert!(!dir.path().join(".filelatch/versions").exists() && !dir.path().join(".filelatch/conflicts").exists());
    }
}

/// STORE-6: a file with one wrong byte is an error that names the line, whatever is asked; nothing is written over it, and no message has a secret.
#[test]
fn damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c");
    let store = engine().credentials(&path).unwrap();
    store.set("a", new("hunter2"), &lock()).unwrap();
    store.set("b", new("hunter3"), &lock()).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(if is_full() { 1 } else { 7 }) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let error = match store.get("a") {
            Ok(found) => {
                assert_eq!(
                    (text(&found.unwrap()).as_str(), stored(&store, "b").as_deref()),
                    ("hunter2", Some("hunter3"))
                );
                continue;
            }
            Err(error) => error,
        };
        refused += 1;
        assert!(matches!(error.code(), "damaged" | "newer-form"), "at {at}: {error}");
        assert!(error.to_string().contains("line") || error.code() == "newer-form", "at {at}: {error}");
        assert!(!format!("{error} {error:?} {:?}", error.hints()).contains("unter"), "at {at}: {error:?}");
        for other in [
            store.set("c", new("x"), &lock()).unwrap_err(),
            store.delete("a", &lock()).unwrap_err(),
            store.import(b"{\"credentials\":{\"c\":\"x\"}}", true, &lock()).unwrap_err(),
            store.refresh_with("a", is_new, &lock(), |_| -> Result<_, Error> { unreachable!() }).unwrap_err(),
        ] {
            assert_eq!(other.code(), error.code());
        }
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert!(refused > 30, "{refused}");
}

#[cfg(feature = "encryption")]
mod encrypted {
    use super::*;
    use filelatch::store::Passphrase;

    fn passphrase(text: &str) -> Passphrase {
        Passphrase::new(Secret::new(text)).work_factor(2)
    }

    fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> &'static str {
        result.unwrap_err().code()
    }

    /// STORE-6: encrypted, used, given another passphrase, decrypted; a wrong passphrase, or none, is told, and changes nothing.
    #[test]
    fn one_life() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let plain = engine().credentials(&path).unwrap();
        plain.set("k", new("hunter2"), &lock()).unwrap();
        assert_eq!(code(plain.encrypt(&passphrase("short"), &lock())), "invalid");
        plain.encrypt(&passphrase("correct horse"), &lock()).unwrap();
        assert!(!has(&everything_below(dir.path()), b"hunter2"));
        let before = std::fs::read(&path).unwrap();
        assert!(before.starts_with(b"age-encryption.org/v1\n"));
        let wrong = engine().credentials(&path).unwrap().passphrase(passphrase("battery staple"));
        for (store, kind) in [(&plain, "encrypted"), (&wrong, "wrong-passphrase")] {
            assert_eq!((store.is_encrypted().unwrap(), code(store.get("k"))), (Some(true), kind));
            assert_eq!((code(store.set("k", new("x"), &lock())), code(store.delete("k", &lock()))), (kind, kind));
            assert_eq!(
                (code(store.decrypt(&lock())), code(store.encrypt(&passphrase("another one"), &lock()))),
                (kind, kind)
            );
            assert_eq!((code(store.list()), code(store.export())), (kind, kind));
            let refresh = store.refresh_with("k", is_new, &lock(), |_| -> Result<_, Error> { unreachable!() });
            assert_eq!(code(refresh), kind);
        }
        assert_eq!(std::fs::read(&path).unwrap(), before);
        let store = engine().credentials(&path).unwrap().passphrase(passphrase("correct horse"));
        assert_eq!(stored(&store, "k").as_deref(), Some("hunter2"));
        store.set("l", new("hunter3"), &lock()).unwrap();
        assert!(store.refresh_with("k", is_new, &lock(), |_| Ok::<_, Error>(new("new"))).unwrap().called);
        let other = engine().credentials(&path).unwrap().passphrase(passphrase("correct horse"));
        assert_eq!((stored(&other, "k").as_deref(), stored(&other, "l").as_deref()), (Some("new"), Some("hunter3")));
        store.encrypt(&passphrase("battery staple"), &lock()).unwrap();
        assert_eq!((code(store.get("k")), stored(&wrong, "k").as_deref()), ("wrong-passphrase", Some("new")));
        assert!(wrong.decrypt(&lock()).unwrap() && !wrong.decrypt(&lock()).unwrap());
        assert_eq!(stored(&plain, "l").as_deref(), Some("hunter3"));
        // One that is made with a passphrase is encrypted from the beginning; one that is not encrypted stays so.
        let first = engine().credentials(dir.path().join("d")).unwrap().passphrase(passphrase("correct horse"));
        first.set("k", new("hunter4"), &lock()).unwrap();
        wrong.set("k", new("hunter5"), &lock()).unwrap();
        assert_eq!((first.is_encrypted().unwrap(), wrong.is_encrypted().unwrap()), (Some(true), Some(false)));
        assert_eq!(
            code(engine().credentials(dir.path().join("e")).unwrap().encrypt(&passphrase("correct horse"), &lock())),
            "not-found"
        );
    }

    /// STORE-6: every byte of an encrypted file that is another, is missing, or is too many makes it an error, and nothing is written over it.
    #[test]
    fn every_byte() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let made = engine().credentials(&path).unwrap().passphrase(passphrase("correct horse"));
        made.set("k", new("hunter2"), &lock()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let refused = |bytes: &[u8], what: &str| {
            std::fs::write(&path, bytes).unwrap();
            let store = engine().credentials(&path).unwrap().passphrase(passphrase("correct horse"));
            let kind = code(store.get("k"));
            assert!(matches!(kind, "damaged" | "wrong-passphrase" | "invalid"), "{what}: {kind}");
            assert_eq!(code(store.set("k", new("x"), &lock())), kind, "{what}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes);
        };
        for at in (0..whole.len()).step_by(if is_full() { 1 } else { 11 }) {
            for flip in if is_full() { &[1, 4, 32, 128][..] } else { &[1] } {
                let mut bytes = whole.clone();
                bytes[at] ^= flip;
                refused(&bytes, &format!("{flip} at {at}"));
            }
            refused(&whole[..at], &format!("cut at {at}"));
        }
        refused(&[&whole[..], b"x"].concat(), "more at the end");
        std::fs::write(&path, &whole).unwrap();
        assert_eq!(stored(&made, "k").as_deref(), Some("hunter2"));
    }

    /// STORE-6: a file that asks for hours of work, or for all memory, is refused before anything is computed.
    #[test]
    fn too_much_work() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c");
        let store = engine().credentials(&path).unwrap().passphrase(passphrase("correct horse"));
        store.set("k", new("hunter2"), &lock()).unwrap();
        let text = std::fs::read(&path).unwrap();
        let end = text.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0;
        assert!(text[..end].ends_with(b" 2"), "{:?}", String::from_utf8_lossy(&text[..end]));
        for work in ["19", "22", "30", "63", "64", "255", "999"] {
            std::fs::write(&path, [&text[..end - 1], work.as_bytes(), &text[end..]].concat()).unwrap();
            let error = store.get("k").unwrap_err();
            assert!(matches!(error.code(), "invalid" | "damaged"), "{work}: {error}");
        }
    }
}
