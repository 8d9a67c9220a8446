//! Tokens: life, mishaps, orders (STORE-3).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam")]

use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use filelatch::store::{NewToken, Scope, TokenState, Tokens};
use filelatch::{Durability, Filelatch, LockOptions, WriteOptions};
use filelatch_fs::sim::{Dials, SimFs, Sweep};
use filelatch_fs::{Host, RealHost};

use super::schedules::{few, run};
use super::store_private::{everything_below, has, hoarder, leak, simulated, tree};
use super::support::{is_full, say, until};

fn text(token: &NewToken) -> &str {
    token.token.expose_text().unwrap()
}

fn create(tokens: &Tokens, name: &str) -> NewToken {
    tokens.create(name, &[], None, &LockOptions::new()).unwrap()
}

/// The worker that makes tokens.
pub(crate) fn makes(path: &str, count: &str) {
    let tokens = super::support::engine().tokens(path).unwrap();
    for i in 0..count.parse().unwrap() {
        say(text(&create(&tokens, &format!("token {i}"))));
    }
}

/// STORE-3: a token is made, verified, listed, revoked, removed; other engines see it at once.
#[test]
fn one_life() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tokens.json");
    let (owner, server) = (Filelatch::new().tokens(&path).unwrap(), Filelatch::new().tokens(&path).unwrap());
    assert_eq!((owner.list().unwrap(), server.verify("flt_x_y").unwrap()), (vec![], None));
    let lock = LockOptions::new();
    let token = owner.create("ci, nightly", &[Scope::Write, Scope::Read, Scope::Write], None, &lock).unwrap();
    let (prefix, rest) = text(&token).split_at(4);
    let (id, secret) = rest.split_once('_').unwrap();
    assert_eq!((prefix, id, id.len(), secret.len()), ("flt_", token.id.as_str(), 12, 43));
    let verified = server.verify(text(&token)).unwrap().unwrap();
    assert_eq!(
        (&*verified.id, &*verified.name, &verified.scopes[..]),
        (id, "ci, nightly", &[Scope::Read, Scope::Write][..])
    );
    assert!(verified.allows(Scope::Read) && verified.allows(Scope::Write) && !verified.allows(Scope::Admin));
    let other = create(&owner, "other");
    assert_eq!(server.verify(text(&other)).unwrap().unwrap().scopes, [Scope::Read]);
    let listed = owner.list().unwrap();
    assert_eq!(
        listed.iter().map(|info| (&*info.name, info.state)).collect::<Vec<_>>(),
        [("ci, nightly", TokenState::Active), ("other", TokenState::Active)]
    );
    let revoked = owner.revoke(id, &lock).unwrap();
    assert_eq!((revoked.state, owner.revoke(id, &lock).unwrap()), (TokenState::Revoked, revoked.clone()));
    assert_eq!(server.verify(text(&token)).unwrap(), None);
    assert!(server.verify(text(&other)).unwrap().is_some());
    assert_eq!(owner.prune(revoked.revoked.unwrap(), &lock).unwrap(), 0);
    assert_eq!(owner.prune(RealHost.now() + Duration::from_secs(1), &lock).unwrap(), 1);
    assert_eq!(owner.list().unwrap().len(), 1);
    assert_eq!(owner.revoke(id, &lock).unwrap_err().code(), "no-such-item");
}

/// STORE-3: whatever is not the whole token of an active record is nothing, and is not told apart.
#[test]
fn what_is_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Filelatch::new().tokens(dir.path().join("t")).unwrap();
    let token = create(&tokens, "x");
    let whole = text(&token);
    for at in 0..whole.len() {
        let mut wrong = whole.as_bytes().to_vec();
        wrong[at] = if wrong[at] == b'a' { b'b' } else { b'a' };
        assert_eq!(tokens.verify(std::str::from_utf8(&wrong).unwrap()).unwrap(), None, "at {at}");
        assert_eq!(tokens.verify(&whole[..at]).unwrap(), None);
    }
    for wrong in [format!("{whole} "), format!("{whole}x"), format!(" {whole}"), whole.to_uppercase(), "ä".repeat(60)]
    {
        assert_eq!(tokens.verify(&wrong).unwrap(), None);
    }
    // The id of one with the secret of another.
    let other = create(&tokens, "y");
    let mixed = format!("flt_{}_{}", token.id, text(&other).rsplit_once('_').unwrap().1);
    assert_eq!(tokens.verify(&mixed).unwrap(), None);
    for (name, expires) in [("", None), (" ", None), ("a\nb", None), ("x", Some(RealHost.now()))] {
        assert_eq!(tokens.create(name, &[], expires, &LockOptions::new()).unwrap_err().code(), "invalid");
    }
    assert_eq!(tokens.create(&"x".repeat(201), &[], None, &LockOptions::new()).unwrap_err().code(), "invalid");
}

/// STORE-3: no two are alike, and all letters come up.
#[test]
fn drawn_at_random() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Filelatch::new().tokens(dir.path().join("t")).unwrap();
    let all: Vec<_> = (0..60).map(|_| create(&tokens, "x")).collect();
    let mut secrets: Vec<_> = all.iter().map(|token| text(token).rsplit_once('_').unwrap().1).collect();
    let letters: std::collections::BTreeSet<_> = secrets.iter().flat_map(|secret| secret.bytes()).collect();
    assert_eq!(letters.len(), 62);
    secrets.sort_unstable();
    secrets.dedup();
    assert_eq!(secrets.len(), 60);
}

/// STORE-3: a token ends at its time, by the machine's clock; the owner sees why.
#[test]
fn expiry() {
    let fs = SimFs::new(Dials::default());
    let tokens = simulated(&fs).tokens("/t").unwrap();
    let end = fs.host().now() + Duration::from_secs(100);
    let lock = LockOptions::new();
    let token = tokens.create("x", &[Scope::Admin], Some(end), &lock).unwrap();
    fs.host().advance(Duration::from_secs(99));
    assert!(tokens.verify(text(&token)).unwrap().is_some());
    fs.host().advance(Duration::from_secs(1));
    assert_eq!(tokens.verify(text(&token)).unwrap(), None);
    assert_eq!(tokens.list().unwrap()[0].state, TokenState::Expired);
    assert_eq!(tokens.prune(end, &lock).unwrap(), 0);
    assert_eq!(tokens.prune(end + Duration::from_secs(1), &lock).unwrap(), 1);
}

/// STORE-3: when a token was used is written down, by a thread, once a minute; verifying waits for nobody who has the lock.
#[test]
fn last_used() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let latch = Filelatch::new();
    let tokens = latch.tokens(&path).unwrap();
    let token = create(&tokens, "x");
    let used = |tokens: &Tokens| tokens.list().unwrap()[0].last_used;
    let guard = Filelatch::new().file(&path).unwrap().lock(&LockOptions::new()).unwrap();
    for _ in 0..100 {
        assert!(tokens.verify(text(&token)).unwrap().is_some());
    }
    assert_eq!(used(&tokens), None);
    drop(guard);
    until("the use is noted", || {
        tokens.verify(text(&token)).unwrap().unwrap();
        used(&tokens).is_some()
    });
    let first = used(&tokens);
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    for _ in 0..100 {
        tokens.verify(text(&token)).unwrap().unwrap();
    }
    assert_eq!((used(&tokens), std::fs::metadata(&path).unwrap().modified().unwrap()), (first, modified));
    // A program that ends at once.
    let short = Filelatch::new().tokens(&path).unwrap();
    short.verify(text(&token)).unwrap().unwrap();
    short.note_uses().unwrap();
    assert!(used(&tokens) >= first);
    tokens.revoke(&token.id, &LockOptions::new()).unwrap();
    tokens.note_uses().unwrap();
    assert_eq!(tokens.list().unwrap()[0].state, TokenState::Revoked);
}

/// STORE-3, P16: nothing on the disk, in no file of a workspace that keeps everything, has a token, or the hash of a part of one that is
/// shorter than all of it; neither has what is shown of it for debugging.
#[test]
fn nothing_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::new();
    latch.init(dir.path()).unwrap();
    std::fs::write(dir.path().join(".filelatch/config.toml"), "keep = \"every\"\n[audit]\nlocks = \"all\"\n").unwrap();
    let paths = [
        latch.own_store(dir.path(), filelatch::store::OwnStore::Tokens, true).unwrap(),
        dir.path().join("tokens.json"),
    ];
    for path in paths {
        let tokens = latch.tokens(&path).unwrap();
        let token = create(&tokens, "x");
        create(&tokens, "y");
        tokens.verify(text(&token)).unwrap().unwrap();
        tokens.note_uses().unwrap();
        let all = everything_below(dir.path());
        let secret = text(&token).rsplit_once('_').unwrap().1;
        assert!(has(&all, token.id.as_bytes()) && !has(&all, secret.as_bytes()));
        for hash in [blake3::hash(secret.as_bytes()), blake3::hash(text(&token).as_bytes())] {
            assert!(!has(&all, hash.to_hex().as_bytes()));
        }
        let shown = format!("{token:?} {tokens:?} {:?}", tokens.verify(secret));
        assert!(!shown.contains(secret), "{shown}");
        assert!(!has(&everything_below(&dir.path().join(".filelatch")), b"versions"), "{path:?}");
    }
}

/// STORE-3: a file with one wrong byte is an error that names the line, whatever is asked; nothing is written over it.
#[test]
fn damaged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t");
    let tokens = Filelatch::new().tokens(&path).unwrap();
    let token = create(&tokens, "x");
    create(&tokens, "y");
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(if is_full() { 1 } else { 7 }) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        std::fs::write(&path, &bytes).unwrap();
        let tokens = Filelatch::new().tokens(&path).unwrap();
        let Err(error) = tokens.list() else {
            assert!(tokens.verify(text(&token)).unwrap().is_some(), "at {at}");
            continue;
        };
        refused += 1;
        assert!(matches!(error.code(), "damaged" | "newer-form"), "at {at}: {error}");
        assert!(error.to_string().contains("line") || error.code() == "newer-form", "at {at}: {error}");
        assert_eq!(tokens.verify(text(&token)).unwrap_err().code(), error.code());
        assert_eq!(tokens.create("z", &[], None, &LockOptions::new()).unwrap_err().code(), error.code());
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
    assert!(refused > 20, "{refused}");
}

/// Makes one, revokes one; what was acknowledged.
fn make_and_revoke(fs: &SimFs) -> (Option<String>, bool) {
    let Ok(tokens) = simulated(fs).tokens("/t") else { return (None, false) };
    let lock = LockOptions::new();
    let made = tokens.create("new", &[], None, &lock).ok().map(|token| text(&token).to_owned());
    let old = tokens.list().unwrap_or_default().iter().find(|info| info.name == "old").map(|info| info.id.clone());
    let revoked = old.is_some_and(|old| tokens.revoke(&old, &lock).is_ok());
    (made, revoked)
}

/// STORE-3, P16: the power is cut and the process killed before every call, each call fails in every way: what was acknowledged holds, the next
/// program goes on, no file is ever open to others, and none has a token.
#[test]
fn every_mishap() {
    let old = Arc::new(Mutex::new(String::new()));
    let build = |fs: &SimFs| {
        hoarder(fs);
        *old.lock().unwrap() = text(&create(&simulated(&fs.process()).tokens("/t").unwrap(), "old")).to_owned();
    };
    let scenario = |fs: &SimFs| {
        fs.observe(|fs, call| {
            if let Err(leak) = leak(fs, &[b"flt_"]) {
                panic!("before {call:?}: {leak}");
            }
        });
        let told = make_and_revoke(fs);
        fs.unhook();
        told
    };
    let check = |fs: &SimFs, (made, revoked): &(Option<String>, bool)| {
        leak(fs, &[b"flt_"])?;
        let tokens = simulated(fs).tokens("/t").map_err(|e| e.to_string())?;
        let good = |token: &str| tokens.verify(token).map(|good| good.is_some()).map_err(|e| e.to_string());
        if let Some(made) = made
            && !good(made)?
        {
            return Err("the new token is unknown".to_owned());
        }
        if *revoked && good(&old.lock().unwrap())? {
            return Err("the revoked token is good".to_owned());
        }
        let next = tokens.create("next", &[], None, &LockOptions::new()).map_err(|e| format!("no more tokens: {e}"))?;
        if !good(text(&next))? {
            return Err("the next token is unknown".to_owned());
        }
        if tree(fs).iter().any(|seen| seen.path.to_string_lossy().contains("versions")) {
            return Err("a version was kept".to_owned());
        }
        Ok(())
    };
    for dials in &Dials::usual()[..if is_full() { 4 } else { 1 }] {
        let few = Dials { enumerate: 4, samples: 2, ..*dials };
        let sweep = Sweep::on(if is_full() { *dials } else { few });
        sweep.everything(build, scenario, check).assert_clean();
    }
}

/// STORE-3: one that makes a token while another revokes one, in all orders with few preemptions: nothing of it is lost, and whoever verifies
/// after the revocation is refused.
#[test]
fn all_orders() {
    run("tokens", &few(1), 30, |plan| {
        let old = create(&simulated(plan.fs()).tokens("/t").unwrap(), "old");
        let made = Arc::new(Mutex::new(Vec::new()));
        let list = Arc::clone(&made);
        plan.process("maker", move |fs| {
            let tokens = simulated(fs).tokens("/t").unwrap();
            list.lock().unwrap().push(text(&create(&tokens, "new")).to_owned());
        });
        let (id, old) = (old.id.clone(), text(&old).to_owned());
        let bearer = old.clone();
        plan.process("owner", move |fs| {
            let tokens = simulated(fs).tokens("/t").unwrap();
            tokens.revoke(&id, &LockOptions::new()).unwrap();
            assert_eq!(tokens.verify(&bearer).unwrap(), None);
        });
        plan.at_end(move |fs| {
            let tokens = simulated(fs).tokens("/t").map_err(|e| e.to_string())?;
            let made = made.lock().unwrap();
            let good = |token: &String| tokens.verify(token).is_ok_and(|good| good.is_some());
            (made.len() == 1 && made.iter().all(good) && !good(&old))
                .then_some(())
                .ok_or("something is lost".to_owned())
        });
    });
}

/// STORE-3: a workspace's policy for durability and strategies is for documents; tokens are durable all the same.
#[test]
fn durable_whatever_the_policy() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create_dirs("/.filelatch").unwrap();
    let config = b"[[policy]]\nglob = \"**\"\ndurability = \"none\"\nstrategy = \"merge\"\n";
    fs.foreign().create("/.filelatch/config.toml", config).unwrap();
    fs.settle();
    let latch = simulated(&fs.process());
    assert_eq!(latch.file("/t").unwrap().policy().durability, Durability::None);
    let token = create(&latch.tokens("/t").unwrap(), "x");
    latch.file("/other").unwrap().write(b"x", &WriteOptions::new()).unwrap();
    for disk in fs.possible_disks() {
        let tokens = simulated(&disk.fs).tokens("/t").unwrap();
        assert!(tokens.verify(text(&token)).unwrap().is_some());
    }
}
