//! Generated files: what is touched, what is refused, what goes with its owner and what is left; under every mishap and in every order.

use std::path::PathBuf;
use std::sync::Arc;

use filelatch::store::StoreError;
use filelatch::store::generated::{Generated, GeneratedState, Owner, PublishOptions, Removal, RemoveOptions};
use filelatch::{Error, Filelatch, Outcome, Version};
use filelatch_fs::sim::{Dials, Plan, SimFs, Sweep};

use super::schedules::few;

fn ada() -> Owner {
    Owner::Session("ada".to_owned())
}

fn bob() -> Owner {
    Owner::Named("bob".to_owned())
}

struct World {
    dir: tempfile::TempDir,
    generated: Generated,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let latch = Filelatch::builder().session("tester").build();
        latch.init(dir.path()).unwrap();
        let generated = latch.generated(dir.path()).unwrap();
        World { dir, generated }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn publish(&self, owner: &Owner, name: &str, content: &str) -> Result<Outcome, Error> {
        let published = self.generated.publish(owner, self.path(name), content.as_bytes(), &PublishOptions::new())?;
        assert_eq!((published.path, published.version), (PathBuf::from(name), Version::of(content.as_bytes())));
        Ok(published.outcome)
    }

    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    fn put(&self, name: &str, content: &str) {
        std::fs::write(self.path(name), content).unwrap();
    }

    #[expect(clippy::disallowed_methods, reason = "looked at from outside")]
    fn text(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.path(name)).ok()
    }

    #[expect(clippy::disallowed_methods, reason = "looked at from outside")]
    fn names(&self, name: &str) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(self.path(name))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name != ".filelatch")
            .collect();
        names.sort();
        names
    }

    fn states(&self) -> Vec<(String, Owner, GeneratedState)> {
        let all = self.generated.list(None).unwrap();
        all.into_iter().map(|file| (file.path.display().to_string(), file.owner, file.state)).collect()
    }

    fn remove(&self, owner: &Owner) -> Removal {
        self.generated.remove(owner, &RemoveOptions::new()).unwrap()
    }
}

fn code(refused: Result<Outcome, Error>) -> &'static str {
    match refused {
        Err(Error::Store { source, .. }) => source.code(),
        other => panic!("{other:?}"),
    }
}

fn paths(names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(PathBuf::from).collect()
}

/// STORE-9: published only when the content differs, with its folders; the file that is as it should be is not touched.
#[test]
fn only_when_it_differs() {
    let world = World::new();
    assert_eq!(world.publish(&ada(), "conf/deep/a.toml", "one").unwrap(), Outcome::Written);
    let stat = |name: &str| {
        let stat = filelatch_fs::Fs::stat(&filelatch_fs::RealFs, &world.path(name)).unwrap();
        (stat.id, stat.mtime, stat.ctime)
    };
    let (file, register) = (stat("conf/deep/a.toml"), stat(".filelatch/stores/generated.json"));
    assert_eq!(world.publish(&ada(), "conf/deep/a.toml", "one").unwrap(), Outcome::Unchanged);
    assert_eq!((stat("conf/deep/a.toml"), stat(".filelatch/stores/generated.json")), (file, register));
    assert_eq!(world.publish(&ada(), "conf/deep/a.toml", "two").unwrap(), Outcome::Written);
    assert_eq!(world.text("conf/deep/a.toml").as_deref(), Some("two"));
    let as_generated = [("conf/deep/a.toml".to_owned(), ada(), GeneratedState::AsGenerated)];
    assert_eq!(world.states(), as_generated);
    // Somebody has removed it.
    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    std::fs::remove_file(world.path("conf/deep/a.toml")).unwrap();
    assert_eq!(world.states()[0].2, GeneratedState::Missing);
    assert_eq!(world.publish(&ada(), "conf/deep/a.toml", "two").unwrap(), Outcome::Written);
    assert_eq!(world.states(), as_generated);
    assert_eq!(world.generated.owners().unwrap(), [ada()]);
}

/// STORE-9: another owner's path, a file that was there before, one that was edited: refused, and unchanged; replaced when asked, but
/// never another owner's.
#[test]
fn what_is_refused() {
    let world = World::new();
    world.put("mine", "mine");
    world.publish(&ada(), "a", "one").unwrap();
    assert_eq!(code(world.publish(&bob(), "a", "two")), "exists");
    assert_eq!(code(world.publish(&bob(), "mine", "two")), "exists");
    assert_eq!(code(world.publish(&bob(), "mine", "mine")), "exists", "the same content is still his");
    world.put("a", "edited");
    assert_eq!(code(world.publish(&ada(), "a", "two")), "edited");
    assert_eq!((world.text("a").unwrap(), world.text("mine").unwrap()), ("edited".to_owned(), "mine".to_owned()));
    assert_eq!(world.states(), [("a".to_owned(), ada(), GeneratedState::Edited)]);
    let replace = PublishOptions::new().replace(true);
    let publish = |owner: &Owner, name: &str| world.generated.publish(owner, world.path(name), b"new", &replace);
    assert!(matches!(publish(&bob(), "a"), Err(Error::Store { source: StoreError::Exists { .. }, .. })));
    publish(&ada(), "a").unwrap();
    publish(&bob(), "mine").unwrap();
    assert_eq!((world.text("a").unwrap(), world.text("mine").unwrap()), ("new".to_owned(), "new".to_owned()));
    // What was replaced is kept.
    let file = Filelatch::new().file(world.path("mine")).unwrap();
    assert!(file.kept(&Version::of(b"mine")).is_ok());
    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    std::fs::create_dir(world.path("folder")).unwrap();
    assert!(world.publish(&ada(), "folder", "x").is_err());
    for outside in ["../out", "no/../../out", ".filelatch/config.toml", ".filelatch/new/x"] {
        assert_eq!(code(world.publish(&ada(), outside, "x")), "invalid", "{outside}");
    }
    assert_eq!(world.generated.list(None).unwrap().len(), 2);
    let nowhere = tempfile::tempdir().unwrap();
    assert!(matches!(Filelatch::new().generated(nowhere.path()), Err(Error::NoWorkspace { .. })));
}

/// STORE-9: with its owner goes what is as it was generated, with the folders that were made for it and its lock files; what was edited, what
/// others have put there, and other owners' files stay, and are named. What is left belongs to nobody any more.
#[test]
fn removed_with_the_owner() {
    let world = World::new();
    for name in ["x/y/a", "x/b", "edited", "gone", "exchanged"] {
        world.publish(&ada(), name, name).unwrap();
    }
    world.publish(&bob(), "x/z/c", "c").unwrap();
    world.put("edited", "by hand");
    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    for name in ["gone", "exchanged"] {
        std::fs::remove_file(world.path(name)).unwrap();
    }
    #[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
    std::fs::create_dir(world.path("exchanged")).unwrap();
    let removal = world.remove(&ada());
    assert!(removal.failed.is_empty(), "{removal:?}");
    assert_eq!(removal.removed, paths(&["x/b", "x/y/a"]));
    assert_eq!((removal.left, removal.missing), (paths(&["edited", "exchanged"]), paths(&["gone"])));
    assert_eq!(removal.folders, paths(&["x/y"]));
    assert_eq!(world.names(""), [".edited.lock", ".exchanged.lock", "edited", "exchanged", "x"]);
    assert_eq!((world.names("x"), world.text("edited").unwrap()), (vec!["z".to_owned()], "by hand".to_owned()));
    assert_eq!(world.states(), [("x/z/c".to_owned(), bob(), GeneratedState::AsGenerated)]);
    assert!(world.remove(&ada()).is_empty());
    // A folder in which somebody else has put something.
    world.put("x/mine", "mine");
    let removal = world.remove(&bob());
    assert_eq!((removal.removed, removal.folders), (paths(&["x/z/c"]), paths(&["x/z"])));
    assert_eq!(world.names("x"), ["mine"]);
}

/// STORE-9: what was edited is kept as a version first, when asked; where nothing can be kept it is left.
#[test]
fn edited_and_kept() {
    let world = World::new();
    world.publish(&ada(), "a", "one").unwrap();
    let private = PublishOptions::new().private(true);
    world.generated.publish(&ada(), world.path("secret"), b"one", &private).unwrap();
    world.put("a", "by hand");
    world.put("secret", "by hand");
    let removal = world.generated.remove(&ada(), &RemoveOptions::new().keep_edited(true)).unwrap();
    assert_eq!((removal.kept, removal.left), (paths(&["a"]), paths(&["secret"])));
    let file = Filelatch::new().file(world.path("a")).unwrap();
    assert!(file.try_read().unwrap().is_none());
    assert_eq!(file.kept(&Version::of(b"by hand")).unwrap().bytes(), b"by hand");
}

/// STORE-9: who may not end has an end when somebody says so; the others' files stay.
#[test]
fn collected() {
    let world = World::new();
    world.publish(&ada(), "a", "a").unwrap();
    world.publish(&bob(), "b", "b").unwrap();
    let gone = world.generated.gc(|owner| *owner == bob(), &RemoveOptions::new()).unwrap();
    assert_eq!(gone.len(), 1);
    assert_eq!((&gone[0].0, &gone[0].1.removed), (&ada(), &paths(&["a"])));
    assert_eq!(world.generated.owners().unwrap(), [bob()]);
    assert!(world.generated.gc(|_| true, &RemoveOptions::new()).unwrap().is_empty());
}

/// STORE-9: the audit log and the index of changes are told what was removed.
#[test]
fn recorded() {
    let world = World::new();
    world.publish(&ada(), "a", "one").unwrap();
    world.remove(&ada());
    let audit = Filelatch::new().audit(world.dir.path()).unwrap();
    let records = audit.records(&filelatch::audit::AuditFilter::new().path("a").unwrap()).unwrap().records;
    let told: Vec<_> =
        records.iter().map(|record| (record.event(), record.text("hash").or(record.text("before")))).collect();
    let version = Version::of(b"one").to_string();
    assert_eq!(told, [("write", Some(version.as_str())), ("remove", Some(version.as_str()))]);
}

/// STORE-9, STORE-6: a private one can be opened by nobody else from its first moment on, and stays so.
#[cfg(unix)]
#[test]
fn private() {
    let world = World::new();
    let options = PublishOptions::new().private(true);
    let publish =
        |content: &str| world.generated.publish(&ada(), world.path("sub/key"), content.as_bytes(), &options).unwrap();
    let mode = || filelatch_fs::Fs::stat(&filelatch_fs::RealFs, &world.path("sub/key")).unwrap().mode & 0o777;
    publish("one");
    assert_eq!(mode(), 0o600);
    publish("two");
    assert_eq!((mode(), world.text("sub/key").unwrap()), (0o600, "two".to_owned()));
    assert!(world.generated.list(None).unwrap()[0].private);
    let file = Filelatch::new().file(world.path("sub/key")).unwrap();
    assert!(file.history().unwrap().is_empty(), "nothing of it is kept");
    assert_eq!(world.remove(&ada()).removed, paths(&["sub/key"]));
    assert_eq!(world.names(""), Vec::<String>::new());
}

/// STORE-9: a link that stands in the place of a file, or of a folder on the way, is not what was generated: it and what it leads to stay.
#[cfg(unix)]
#[test]
#[expect(clippy::disallowed_methods, reason = "somebody who knows nothing of locks")]
fn links() {
    let world = World::new();
    world.publish(&ada(), "a", "one").unwrap();
    world.publish(&ada(), "sub/b", "one").unwrap();
    world.put("mine", "one");
    std::fs::create_dir(world.path("other")).unwrap();
    world.put("other/b", "one");
    std::fs::remove_file(world.path("a")).unwrap();
    std::os::unix::fs::symlink("mine", world.path("a")).unwrap();
    std::fs::remove_dir_all(world.path("sub")).unwrap();
    std::os::unix::fs::symlink("other", world.path("sub")).unwrap();
    let removal = world.remove(&ada());
    assert_eq!((removal.left, removal.removed), (paths(&["a", "sub/b"]), paths(&[])));
    assert_eq!((world.text("mine").as_deref(), world.text("other/b").as_deref()), (Some("one"), Some("one")));
}

/// STORE-9: a register with one wrong byte is an error that names the line and a way out; nothing is removed or written by it.
#[test]
#[expect(clippy::disallowed_methods, reason = "somebody damages the register")]
fn damaged() {
    let world = World::new();
    world.publish(&ada(), "a", "one").unwrap();
    let register = world.generated.path().to_owned();
    let good = std::fs::read(&register).unwrap();
    let nonce = good.windows(9).position(|window| window == b"\"nonce\":\"").unwrap() + 9;
    for at in (0..good.len()).filter(|at| !(nonce..nonce + 32).contains(at)) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&register, &bad).unwrap();
        for result in [
            world.generated.remove(&ada(), &RemoveOptions::new()).map(drop),
            world.publish(&ada(), "a", "two").map(drop),
            world.generated.list(None).map(drop),
        ] {
            match result {
                Err(error @ Error::Store { .. }) => {
                    let hints = error.hints().join("\n");
                    let is_newer = matches!(&error, Error::Store { source: StoreError::Newer { .. }, .. });
                    assert!(
                        is_newer || error.to_string().contains("line ") && hints.lines().count() == 2,
                        "{error}\n{hints}"
                    );
                }
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }
    std::fs::write(&register, &good).unwrap();
    assert_eq!(world.text("a").as_deref(), Some("one"));
    assert_eq!(world.remove(&ada()).removed, paths(&["a"]));
}

/// STORE-9: an error with one file keeps none of the others, and the file stays registered.
#[cfg(target_os = "linux")]
#[test]
#[expect(clippy::disallowed_methods, reason = "looked at from outside")]
fn one_fails() {
    let world = World::new();
    world.publish(&ada(), "a", "a").unwrap();
    world.publish(&ada(), "b", "b").unwrap();
    // Held by somebody: the removal does not wait for ever.
    let other = Filelatch::new();
    let guard = other.file(world.path("a")).unwrap().try_lock().unwrap();
    let options = RemoveOptions::new().lock(filelatch::LockOptions::new().wait(filelatch::Wait::No));
    let removal = world.generated.remove(&ada(), &options).unwrap();
    assert_eq!(removal.removed, paths(&["b"]));
    assert_eq!(removal.failed.len(), 1);
    assert!(matches!(&removal.failed[0], (path, Error::Locked { .. }) if path == std::path::Path::new("a")));
    drop(guard);
    assert_eq!(world.remove(&ada()).removed, paths(&["a"]));
    assert!(std::fs::metadata(world.path("a")).is_err());
}

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build()
}

fn generated(fs: &SimFs) -> Result<Generated, Error> {
    engine(fs).generated("/w")
}

/// A workspace with a file of ada's, one of bob's, one of nobody's.
fn build(fs: &SimFs) {
    fs.foreign().create_dirs("/w/.filelatch").unwrap();
    fs.foreign().create("/w/mine", b"mine").unwrap();
    let generated = generated(&fs.process()).unwrap();
    generated.publish(&ada(), "/w/d/a", b"old", &PublishOptions::new()).unwrap();
    generated.publish(&bob(), "/w/d/b", b"bob", &PublishOptions::new()).unwrap();
}

fn read(fs: &SimFs, path: &str) -> Option<Vec<u8>> {
    fs.foreign().read(path).ok()
}

/// Everything of ada's goes, whatever was interrupted; nothing else does.
fn end_of_ada(fs: &SimFs, told: &str) -> Result<(), String> {
    let generated = generated(fs).map_err(|e| e.to_string())?;
    let removal = generated.remove(&ada(), &RemoveOptions::new()).map_err(|e| format!("{told}: cannot remove: {e}"))?;
    if !removal.failed.is_empty() || !removal.left.is_empty() {
        return Err(format!("{told}: {removal:?}"));
    }
    for gone in ["/w/d/a", "/w/n/deep/a"] {
        if let Some(content) = read(fs, gone) {
            return Err(format!("{told}: {gone} is forgotten: {content:?}"));
        }
    }
    // Of what a power cut has made unrecognisable nobody can prove whose it was: it is left for `doctor`, and holds nothing that was generated.
    for folder in ["/w/n", "/w/n/deep", "/w/d"] {
        for name in fs.foreign().names(folder).unwrap_or_default() {
            if read(fs, &format!("{folder}/{name}")).as_deref() == Some(b"new") {
                return Err(format!("{told}: {folder}/{name} is forgotten"));
            }
        }
    }
    let left = fs.foreign().names("/w/d").map_err(|e| e.to_string())?;
    if left.iter().any(|name| name.contains("removing")) {
        return Err(format!("{told}: left in the folder: {left:?}"));
    }
    match (read(fs, "/w/mine").as_deref(), read(fs, "/w/d/b").as_deref()) {
        (Some(b"mine"), Some(b"bob")) => Ok(()),
        other => Err(format!("{told}: {other:?}")),
    }
}

/// STORE-9: power cut, kill and error at every call of publishing: the file is old or new and whole; what was acknowledged is there; nothing that was
/// generated is forgotten by the register.
#[test]
fn every_mishap_of_publishing() {
    let sweep = Sweep::on(Dials::usual()[0]);
    for path in ["/w/d/a", "/w/n/deep/a"] {
        let publish = |fs: &SimFs| {
            generated(fs).and_then(|g| g.publish(&ada(), path, b"new", &PublishOptions::new())).map(|p| p.outcome)
        };
        let check = |fs: &SimFs, told: &Result<Outcome, Error>| {
            let shown = format!("{told:?}");
            match read(fs, path).as_deref() {
                Some(b"new") => {}
                Some(b"old") | None if told.is_err() => {}
                other => return Err(format!("{shown}, and there is {other:?}")),
            }
            // In one the next to come publishes again, in the other he removes.
            if path == "/w/d/a" {
                let again = generated(fs).and_then(|g| g.publish(&ada(), path, b"new", &PublishOptions::new()));
                again.map_err(|e| format!("{shown}: cannot publish again: {e}"))?;
            }
            end_of_ada(fs, &shown)
        };
        sweep.cuts(build, publish, check).assert_clean();
        sweep.kills(build, publish, check).assert_clean();
        if path == "/w/n/deep/a" {
            sweep.faults(build, publish, check).assert_clean();
        }
    }
}

/// STORE-9: power cut, kill and error at every call of removing: the next removal goes on with it, and nobody else's file goes.
#[test]
fn every_mishap_of_removing() {
    let sweep = Sweep::on(Dials::usual()[0]);
    let remove = |fs: &SimFs| {
        let removal = generated(fs).and_then(|g| g.remove(&ada(), &RemoveOptions::new()));
        removal.map(|removal| removal.failed.is_empty())
    };
    let check = |fs: &SimFs, told: &Result<bool, Error>| {
        if matches!(told, Ok(true)) && read(fs, "/w/d/a").is_some() {
            return Err("acknowledged, and it is there".to_owned());
        }
        end_of_ada(fs, &format!("{told:?}"))
    };
    sweep.everything(build, remove, check).assert_clean();
}

/// STORE-9: a program that knows no locks edits or replaces the file at any moment of the removal, and the power may go: its version is there, under
/// the file's name or beside it, and never removed.
#[test]
fn edited_at_any_moment() {
    const EDIT: &[u8] = b"by hand, just now";
    let sweep = Sweep::on(Dials::usual()[0]);
    let remove = |fs: &SimFs| generated(fs).and_then(|g| g.remove(&ada(), &RemoveOptions::new())).is_ok();
    let check = |fs: &SimFs, _: &bool| {
        let names = fs.foreign().names("/w/d").unwrap_or_default();
        let is_there = names.iter().any(|name| read(fs, &format!("/w/d/{name}")).as_deref() == Some(EDIT));
        if is_there { Ok(()) } else { Err(format!("the edit is lost; there are {names:?}")) }
    };
    let replace = |outside: &filelatch_fs::sim::Foreign| {
        outside.create("/w/d/edit", EDIT).unwrap();
        outside.open("/w/d/edit", filelatch_fs::Access::ReadWrite).unwrap().sync().unwrap();
        outside.rename("/w/d/edit", "/w/d/a").unwrap();
        outside.sync_dir("/w/d").unwrap();
    };
    sweep.intrusions(build, remove, replace, check).assert_clean();
}

/// Some orders of the calls. Beside other tests a run may come out otherwise when it is made again (threads that wait for memory look as if they
/// waited for a mutex); most must not.
#[track_caller]
fn sampled(plan: impl Fn(&mut Plan)) {
    let explored = few(0).sample(1, if super::support::is_full() { 300 } else { 30 }, &plan);
    if let Some(violation) = &explored.violation {
        panic!("{violation}");
    }
    assert!(explored.diverged < explored.schedules / 2, "{explored:?}");
}

/// STORE-9: two that publish one path for two owners, in every order: one has it, the other is told; a removal beside a publish: the file is
/// registered or not there.
#[test]
fn schedules() {
    sampled(|plan: &mut Plan| {
        plan.fs().foreign().create_dirs("/w/.filelatch/stores").unwrap();
        for owner in [ada(), bob()] {
            plan.process(&owner.to_string(), move |fs| {
                let content = owner.to_string();
                let published =
                    generated(fs).and_then(|g| g.publish(&owner, "/w/a", content.as_bytes(), &PublishOptions::new()));
                match published {
                    Ok(_) | Err(Error::Store { source: StoreError::Exists { .. }, .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            });
        }
        plan.at_end(|fs| {
            let owners = generated(fs).unwrap().owners().unwrap();
            let content = read(fs, "/w/a").map(|content| String::from_utf8(content).unwrap());
            let fits = owners.len() == 1 && content == owners.first().map(ToString::to_string);
            if fits { Ok(()) } else { Err(format!("{owners:?} {content:?}")) }
        });
    });
    sampled(|plan: &mut Plan| {
        build(plan.fs());
        plan.process("publisher", |fs| {
            generated(fs).unwrap().publish(&ada(), "/w/d/a", b"new", &PublishOptions::new()).unwrap();
        });
        plan.process("remover", |fs| {
            let removal = generated(fs).unwrap().remove(&ada(), &RemoveOptions::new()).unwrap();
            assert!(removal.failed.is_empty() && removal.left.is_empty(), "{removal:?}");
        });
        plan.at_end(|fs| {
            let listed = generated(fs).unwrap().list(Some(&ada())).unwrap();
            match (read(fs, "/w/d/a").as_deref(), &listed[..]) {
                (None, []) => Ok(()),
                (Some(b"new"), [file]) if file.state == GeneratedState::AsGenerated => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
    });
}
