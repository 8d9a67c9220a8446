//! Writes that merge: the table of expectations, bases, guards, foreign writers, many processes.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use filelatch::conflict::{Cause, Looked};
use filelatch::{
    BaseSource, Conflict, Durability, Error, Expect, Filelatch, LatchFile, Outcome, Strategy, Unmerged, Version,
    WriteOptions,
};
use tempfile::{TempDir, tempdir};

use super::support::{Worker, say};

/// Three settings that can be changed one by one, apart from each other.
pub(crate) const BASE: &[u8] = b"{\n  \"a\": 1,\n  \"x\": 1,\n  \"b\": 1,\n  \"y\": 1,\n  \"c\": 1\n}\n";

pub(crate) fn set(text: &[u8], key: &str, value: u32) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let (before, after) = text.split_once(&format!("\"{key}\": ")).unwrap();
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    format!("{before}\"{key}\": {value}{rest}").into_bytes()
}

/// A document with these keys, and others between them that nobody changes.
fn spread<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let lines: Vec<_> = keys.into_iter().map(|key| format!("  \"{key}\": 0,\n  \"after-{key}\": 0")).collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// A workspace with a file.
pub(crate) fn workspace(content: Option<&[u8]>) -> (TempDir, PathBuf) {
    let dir = tempdir().unwrap();
    Filelatch::new().init(dir.path()).unwrap();
    let path = dir.path().canonicalize().unwrap().join("a.json");
    if let Some(content) = content {
        fs::write(&path, content).unwrap();
    }
    (dir, path)
}

pub(crate) fn engine() -> Filelatch {
    Filelatch::builder().session("alice").build()
}

pub(crate) fn file(path: &Path) -> LatchFile {
    engine().file(path).unwrap()
}

pub(crate) fn merging<'a>(expected: &[u8]) -> WriteOptions<'a> {
    any().expect(Expect::Version(Version::of(expected)))
}

fn any<'a>() -> WriteOptions<'a> {
    WriteOptions::new().strategy(Strategy::Merge).durability(Durability::None)
}

#[track_caller]
pub(crate) fn conflict<T: std::fmt::Debug>(result: Result<T, Error>) -> (Conflict, Unmerged) {
    match result {
        Err(Error::Conflict(conflict)) => {
            let unmerged = conflict.unmerged.clone().expect("the conflict of a merge");
            (*conflict, *unmerged)
        }
        other => panic!("no conflict: {other:?}"),
    }
}

/// P7, VER-4: the row of the table for merging.
#[test]
fn table() {
    let (_dir, path) = workspace(Some(BASE));
    let here = file(&path);
    let theirs = set(BASE, "a", 2);
    // No expectation: a conflict without a base, unless nothing is there or nothing is to be changed.
    assert_eq!(here.write(BASE, &any()).unwrap().outcome, Outcome::Unchanged);
    let (_, unmerged) = conflict(here.write(&theirs, &any()));
    assert_eq!((unmerged.cause, unmerged.base, &unmerged.looked[..]), (Cause::NoBase, None, &[][..]));
    let new = path.with_file_name("new.json");
    assert_eq!(file(&new).write(BASE, &any()).unwrap().outcome, Outcome::Written);
    // Equal: written.
    let written = here.write(&theirs, &merging(BASE)).unwrap();
    assert_eq!((written.outcome, written.version), (Outcome::Written, Some(Version::of(&theirs))));
    // Differs: merged, with the expected version as the base.
    let both = set(&theirs, "c", 3);
    let written = here.write(&set(BASE, "c", 3), &merging(BASE).base(BASE)).unwrap();
    assert_eq!((written.outcome, written.version), (Outcome::Merged, Some(Version::of(&both))));
    assert_eq!(fs::read(&path).unwrap(), both);
    // Both made the same change.
    assert_eq!(here.write(&both, &merging(BASE).base(BASE)).unwrap().outcome, Outcome::Unchanged);
    // What was there is not lost, and nothing is written, when it does not fit.
    let (told, unmerged) = conflict(here.write(&set(BASE, "c", 4), &merging(BASE).base(BASE)));
    assert_eq!((told.expected, told.current), (Expect::Version(Version::of(BASE)), Some(Version::of(&both))));
    assert_eq!((unmerged.cause, unmerged.conflicts, unmerged.base), (Cause::Merge, 1, Some(Version::of(BASE))));
    assert_eq!(fs::read(&path).unwrap(), both);
    // It is gone: a delete against an edit (L47).
    fs::remove_file(&path).unwrap();
    let (told, unmerged) = conflict(here.write(&set(BASE, "c", 4), &merging(BASE).base(BASE)));
    assert_eq!((told.current, unmerged.cause), (None, Cause::Deleted));
    assert!(!path.exists());
}

/// P7: a file that must not exist and does is merged with nothing as the base; equal contents are no conflict.
#[test]
fn both_create() {
    let (_dir, path) = workspace(Some(BASE));
    let here = file(&path);
    let absent = || any().expect(Expect::Absent);
    assert_eq!(here.write(BASE, &absent()).unwrap().outcome, Outcome::Unchanged);
    let (_, unmerged) = conflict(here.write(b"{\n  \"z\": 1\n}\n", &absent()));
    assert_eq!((unmerged.cause, unmerged.base), (Cause::Merge, None));
    assert_eq!(fs::read(&path).unwrap(), BASE);
}

/// MERGE-3: a given base without an expectation is the expected version; a prefix of it is enough to name it.
#[test]
fn given_bases() {
    let (_dir, path) = workspace(Some(&set(BASE, "a", 2)));
    let here = file(&path);
    let written = here.write(&set(BASE, "c", 3), &any().base(BASE)).unwrap();
    assert_eq!(written.outcome, Outcome::Merged);
    let both = set(&set(BASE, "a", 2), "c", 3);
    let prefix = Expect::Prefix(Version::of(BASE).short());
    let written = here.write(&set(BASE, "b", 4), &any().expect(prefix).base(BASE)).unwrap();
    assert_eq!(written.version, Some(Version::of(&set(&both, "b", 4))));
    // Equal to the given base: simply written.
    let now = fs::read(&path).unwrap();
    assert_eq!(here.write(&set(&now, "b", 5), &any().base(&now[..])).unwrap().outcome, Outcome::Written);
}

#[derive(Debug, Default)]
struct Memory {
    versions: Vec<Vec<u8>>,
    problem: Option<String>,
    asked: Mutex<Vec<(PathBuf, Expect)>>,
}

impl BaseSource for Memory {
    fn name(&self) -> String {
        "my memory".to_owned()
    }

    fn find(&self, path: &Path, wanted: &Expect) -> Result<Option<Vec<u8>>, String> {
        self.asked.lock().unwrap().push((path.to_owned(), wanted.clone()));
        if let Some(problem) = &self.problem {
            return Err(problem.clone());
        }
        Ok(self.versions.iter().find(|bytes| wanted.admits(Some(&Version::of(bytes)))).cloned())
    }
}

/// Answers something that was not asked for.
#[derive(Debug)]
struct Liar;

impl BaseSource for Liar {
    fn name(&self) -> String {
        "a liar".to_owned()
    }

    fn find(&self, _: &Path, _: &Expect) -> Result<Option<Vec<u8>>, String> {
        Ok(Some(b"something else".to_vec()))
    }
}

/// MERGE-3: the base is asked for only when it is needed, and believed only when its hash fits; without one the answer says where it was
/// looked for.
#[test]
fn sources_of_bases() {
    let (dir, path) = workspace(Some(BASE));
    fs::write(dir.path().join(".filelatch/config.toml"), "[[policy]]\nglob = \"*\"\nkeep = \"none\"\n").unwrap();
    let memory = Arc::new(Memory { versions: vec![b"old".to_vec(), BASE.to_vec()], ..Memory::default() });
    let engine = Filelatch::builder()
        .base_source(Arc::new(Liar))
        .base_source(Arc::clone(&memory) as Arc<dyn BaseSource>)
        .build();
    let here = engine.file(&path).unwrap();
    let theirs = set(BASE, "a", 2);
    here.write(&theirs, &merging(BASE)).unwrap();
    assert!(memory.asked.lock().unwrap().is_empty(), "nothing had to be merged");
    let ours = set(BASE, "c", 3);
    assert_eq!(here.write(&ours, &merging(BASE)).unwrap().outcome, Outcome::Merged);
    assert_eq!(*memory.asked.lock().unwrap(), [(path.clone(), Expect::Version(Version::of(BASE)))]);
    assert_eq!(fs::read(&path).unwrap(), set(&theirs, "c", 3));
    // Under a guard as well.
    let guard = here.lock(&filelatch::LockOptions::new()).unwrap();
    assert_eq!(guard.write(&set(BASE, "b", 9), &merging(BASE)).unwrap().outcome, Outcome::Merged);
    drop(guard);
    // Nowhere.
    let broken = Arc::new(Memory { problem: Some("it is asleep".to_owned()), ..Memory::default() });
    let engine = Filelatch::builder().base_source(memory).base_source(broken).build();
    let result = engine.file(&path).unwrap().write(b"{}", &merging(b"never seen"));
    let (_, unmerged) = conflict(result);
    assert_eq!(unmerged.cause, Cause::NoBase);
    let looked: Vec<_> = unmerged.looked.iter().map(Looked::to_string).collect();
    assert!(looked.contains(&"my memory".to_owned()) && looked.contains(&"my memory (it is asleep)".to_owned()));
    let told = engine.file(&path).unwrap().write(b"{}", &merging(b"never seen")).unwrap_err();
    let hints = told.hints().join("\n");
    assert!(hints.contains("my memory (it is asleep)") && hints.contains("--base FILE"), "{hints}");
    assert!(hints.contains(&Version::of(b"never seen").short()), "{hints}");
}

/// MERGE-3: the base is a kept version, by its hash or the first digits of it, as long as it is whole; restoring one replaces what is there
/// whatever the policy merges.
#[test]
fn kept_versions_are_bases() {
    let (dir, path) = workspace(Some(BASE));
    let config = dir.path().join(".filelatch/config.toml");
    fs::write(&config, "[[policy]]\nglob = \"*\"\nstrategy = \"merge\"\n").unwrap();
    let here = file(&path);
    let theirs = set(BASE, "a", 2);
    let expecting = |expect| WriteOptions::new().expect(expect).durability(Durability::None);
    here.write(&theirs, &expecting(Expect::Version(Version::of(BASE)))).unwrap();
    let written = here.write(&set(BASE, "b", 3), &expecting(Expect::Version(Version::of(BASE)))).unwrap();
    assert_eq!(written.outcome, Outcome::Merged);
    let written = here.write(&set(BASE, "c", 4), &expecting(Expect::Prefix(Version::of(BASE).short()))).unwrap();
    assert_eq!(written.outcome, Outcome::Merged);
    assert_eq!(fs::read(&path).unwrap(), set(&set(&theirs, "b", 3), "c", 4));
    here.restore(&Version::of(BASE), &WriteOptions::new()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), BASE);
    let (_, unmerged) = conflict(
        here.write(BASE, &expecting(Expect::Version(Version::of(b"x"))))
            .and_then(|_| here.write(&theirs, &expecting(Expect::Version(Version::of(b"x"))))),
    );
    let looked: Vec<_> = unmerged.looked.iter().map(Looked::to_string).collect();
    assert_eq!((unmerged.cause, &looked[..]), (Cause::NoBase, &["the kept versions".to_owned()][..]));
}

/// P16: of a file of which nothing is kept no conflict is stored, and the refusal says so.
#[test]
fn nothing_of_secrets() {
    let (dir, path) = workspace(Some(&set(BASE, "a", 2)));
    fs::write(dir.path().join(".filelatch/config.toml"), "[[policy]]\nglob = \"*\"\nkeep = \"none\"\n").unwrap();
    let (_, unmerged) = conflict(file(&path).write(&set(BASE, "a", 3), &any().base(BASE)));
    assert!(unmerged.id.is_none() && unmerged.not_stored.as_ref().unwrap().contains("keep = \"none\""), "{unmerged:?}");
    fs::create_dir_all(dir.path().join(".filelatch/stores")).unwrap();
    let token = dir.path().join(".filelatch/stores/token.json");
    fs::write(&token, set(BASE, "a", 2)).unwrap();
    let (_, unmerged) = conflict(file(&token).write(&set(BASE, "a", 3), &any().base(BASE)));
    assert!(unmerged.id.is_none() && unmerged.not_stored.is_some(), "{unmerged:?}");
    assert!(!dir.path().join(".filelatch/conflicts").exists());
}

/// MERGE-4: without a workspace nothing is stored, and the error says so.
#[test]
fn without_a_workspace() {
    let dir = tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, set(BASE, "a", 2)).unwrap();
    let engine = Filelatch::builder().without_workspaces().build();
    let result = engine.file(&path).unwrap().write(&set(BASE, "a", 3), &any().base(BASE));
    let hints = result.as_ref().unwrap_err().hints().join("\n");
    assert!(hints.contains("stored nowhere") && hints.contains("filelatch init"), "{hints}");
    let (_, unmerged) = conflict(result);
    assert_eq!((unmerged.id, unmerged.conflicts), (None, 1));
    assert_eq!(super::support::litter(dir.path(), &["a.json"]), Vec::<String>::new());
}

/// VER-4, LOCK-13, LOCK-17: merging under guards, leases, record guards and by the streaming writer.
#[test]
fn every_way_to_write() {
    type Way<'a> = (&'a str, &'a dyn Fn(&[u8], &WriteOptions<'_>) -> Result<filelatch::Written, Error>);
    let (_dir, path) = workspace(Some(BASE));
    let here = file(&path);
    let lock = filelatch::LockOptions::new();
    let stream = |bytes: &[u8], options: &WriteOptions<'_>| {
        let mut writer = here.writer(options)?;
        std::io::Write::write_all(&mut writer, bytes).unwrap();
        writer.commit(&lock).map_err(Error::from)
    };
    let ways: [Way<'_>; 5] = [
        ("file", &|bytes, options| here.write(bytes, options)),
        ("guard", &|bytes, options| here.lock(&lock)?.write(bytes, options)),
        ("record", &|bytes, options| here.lock_record("a", &lock)?.write(bytes, options)),
        ("lease", &|bytes, options| here.lease(&filelatch::LeaseOptions::default())?.write(bytes, options)),
        ("writer", &stream),
    ];
    for (way, write) in ways {
        fs::write(&path, set(BASE, "a", 2)).unwrap();
        let ours = set(BASE, "c", 3);
        let written = write(&ours, &merging(BASE).base(BASE)).unwrap();
        assert_eq!(written.outcome, Outcome::Merged, "{way}");
        let both = set(&ours, "a", 2);
        assert_eq!((written.version, fs::read(&path).unwrap()), (Some(Version::of(&both)), both.clone()), "{way}");
        let (_, unmerged) = conflict(write(&set(BASE, "a", 7), &merging(BASE).base(BASE)));
        assert_eq!(unmerged.cause, Cause::Merge, "{way}");
        conflict(write(&ours, &any()));
        assert_eq!(fs::read(&path).unwrap(), both, "{way}");
        assert_eq!(write(&set(&both, "b", 8), &merging(&both)).unwrap().outcome, Outcome::Written, "{way}");
    }
}

/// ATOM-5: what does not fit into memory is refused as that, and can be committed otherwise.
#[test]
fn too_large_to_merge() {
    let (_dir, path) = workspace(Some(BASE));
    let here = Filelatch::builder().read_limit(100).build().file(&path).unwrap();
    let mut writer = here.writer(&merging(BASE)).unwrap();
    std::io::Write::write_all(&mut writer, &[b'x'; 101]).unwrap();
    let failed = writer.commit(&filelatch::LockOptions::new()).unwrap_err();
    assert!(matches!(failed.error, Error::TooLarge { limit: 100, .. }), "{:?}", failed.error);
    drop(failed);
    assert_eq!(fs::read(&path).unwrap(), BASE);
    assert_eq!(super::support::litter(path.parent().unwrap(), &["a.json", ".filelatch"]), Vec::<String>::new());
}

/// VER-4, VER-5: the policy of a workspace decides: its strategy, and its rules of merging.
#[test]
fn by_policy() {
    let (dir, path) = workspace(Some(&set(BASE, "a", 2)));
    let config = "[[policy]]\nglob = \"*.json\"\nstrategy = \"merge\"\ndurability = \"none\"\n\
                  [policy.merge]\nlists = { \"/servers\" = \"key:host\" }\n";
    fs::write(dir.path().join(".filelatch/config.toml"), config).unwrap();
    let engine = engine();
    let options = WriteOptions::new().expect(Expect::Version(Version::of(BASE))).base(BASE);
    assert_eq!(engine.file(&path).unwrap().write(&set(BASE, "c", 3), &options).unwrap().outcome, Outcome::Merged);
    let options = engine.merge_options(&path).unwrap();
    assert_eq!(options.kind, filelatch::merge::Kind::Json);
    assert_eq!(options.rules.lists[0].0, "/servers");
    let other = engine.merge_options(dir.path().join("a.yaml")).unwrap();
    assert!(other.rules.lists.is_empty());
}

/// VER-8, P8: many threads write what they made of one version, each its own line, in common publishes: every change is in at the end.
#[test]
fn many_threads() {
    let (_dir, path) = workspace(None);
    let keys: Vec<String> = (0..24).map(|i| format!("k{i}")).collect();
    let base = spread(keys.iter().map(String::as_str));
    fs::write(&path, &base).unwrap();
    let here = file(&path);
    std::thread::scope(|scope| {
        for (i, key) in keys.iter().enumerate() {
            let (here, base) = (&here, &base);
            scope.spawn(move || {
                let ours = set(base.as_bytes(), key, u32::try_from(i).unwrap() + 1);
                let written = here.write(&ours, &merging(base.as_bytes()).base(base.as_bytes())).unwrap();
                assert!(matches!(written.outcome, Outcome::Written | Outcome::Merged), "{written:?}");
            });
        }
    });
    let expected = keys
        .iter()
        .enumerate()
        .fold(base.clone().into_bytes(), |text, (i, key)| set(&text, key, u32::try_from(i).unwrap() + 1));
    assert_eq!(String::from_utf8(fs::read(&path).unwrap()), String::from_utf8(expected));
}

/// What a process of [`many_processes`] does.
pub(crate) fn edit_own_line(path: &str, key: &str, times: &str) {
    let here = file(Path::new(path));
    for i in 1..=times.parse().unwrap() {
        let seen = here.read().unwrap();
        let options = merging(seen.bytes()).base(seen.bytes());
        let written = here.write(&set(seen.bytes(), key, i), &options).unwrap();
        say(written.outcome);
    }
}

/// VER-4, MERGE-4: processes that each read, change their own line and write, many times: nobody is refused, nothing is lost.
#[test]
fn many_processes() {
    let keys = ["a", "b", "c", "d"];
    let (_dir, path) = workspace(None);
    fs::write(&path, spread(keys)).unwrap();
    let text = path.to_str().unwrap();
    let workers: Vec<_> = keys.map(|key| Worker::start(&["edit-own-line", text, key, "40"])).into();
    let told: Vec<String> = workers.into_iter().flat_map(Worker::finish).collect();
    assert_eq!(told.len(), 160);
    assert!(told.iter().all(|told| told == "written" || told == "merged"), "{told:?}");
    let end = fs::read_to_string(&path).unwrap();
    for key in keys {
        assert!(end.contains(&format!("\"{key}\": 40")), "{end}");
    }
    assert!(file(&path).conflicts().unwrap().is_empty());
}
