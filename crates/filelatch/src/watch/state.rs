//! What a watch that is to be resumed leaves behind: `.filelatch/watch/NAME.json` (WATCH-1).
//!
//! # Promise
//! - One watch at a time has a name: it holds the lock of the state file.
//! - A state is replaced as a whole and is durable when [`Store::save`] returns: the next watch finds the old one or the new one, also after
//!   a power cut. What it knows of files and the reports that it names belong together.
//! - One that can't be understood is set aside, and the next watch says that it knows nothing of what was before.
//!
//! # Non-promise
//! What was reported after the last save by a watch that was killed is not known to the next one: it finds the differences from what was
//! saved, and takes cursors beyond it for unknown.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::FsDir;
use filelatch_fs::fs::{read_to_end, write_all_at};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::event::{Change, ChangeKind, Cursor, Event, Origin, RescanCause};
use super::feed::{Former, Tail};
use super::table::PathText;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::guard::Guard;
use crate::lock::{LockOptions, LockScope, Wait};
use crate::parts::{Parts, parse_rfc3339, rfc3339};
use crate::path::{is_temp_of, temp_name};

const FOLDER: &str = "watch";
/// A longer state is not one.
const LIMIT: u64 = 1 << 30;
/// Longest name, before it is escaped.
const NAME: usize = 64;
/// Reports that are saved.
pub(crate) const EVENTS: usize = 4096;

/// Holds a name, until it is dropped.
#[derive(Debug)]
pub(crate) struct Store {
    parts: Arc<Parts>,
    dir: Arc<dyn FsDir>,
    name: OsString,
    /// What is watched, and how: a state of other files is of no use.
    asked: String,
    _lock: Guard,
}

/// What was found of a former watch.
#[derive(Debug, PartialEq)]
pub(crate) enum Found<T> {
    /// Nothing: this is the first one.
    Nothing,
    Saved(Box<Saved<T>>),
    /// A state that can't be used.
    Unusable(String),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Saved<T> {
    pub(crate) tail: Tail,
    pub(crate) table: T,
    /// The watch came to its end, so it reported nothing that is not in here.
    pub(crate) ended: bool,
}

impl Store {
    /// Takes a name. [`Error::Locked`] names who has it.
    pub(crate) fn open(latch: &Filelatch, beside: &Path, name: &str, asked: String) -> Result<Store> {
        let parts = latch.parts();
        if name.is_empty() || name.len() > NAME {
            let message = format!("a watch's name has 1 to {NAME} bytes");
            return Err(Error::io("resume", beside, io::Error::new(io::ErrorKind::InvalidInput, message)));
        }
        let real = parts.fs.canonicalize(beside).map_err(|e| Error::io("find", beside, e))?;
        let workspace = latch.workspace(&real)?.filter(|workspace| workspace.is_trusted);
        let workspace = workspace.ok_or_else(|| Error::NoWorkspace {
            path: beside.to_owned(),
            without: "a watch of it cannot be resumed",
        })?;
        let folder = workspace.own_path().join(FOLDER);
        let fail = |e| Error::io("create", &folder, e);
        let dir = workspace.private_folder(parts, &[OsStr::new(FOLDER)], true).map_err(fail)?;
        let dir = dir.ok_or_else(|| fail(io::ErrorKind::NotFound.into()))?;
        let name = OsString::from(format!("{}.json", escaped(name)));
        let options = LockOptions::new().wait(Wait::No).scope(&LockScope::new());
        let lock = latch.file(folder.join(&name))?.lock(&options)?;
        let store = Store { parts: Arc::clone(parts), dir, name, asked, _lock: lock };
        store.sweep();
        Ok(store)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    /// What former holders of the name left half done. Best effort.
    fn sweep(&self) {
        let mut left = Vec::new();
        let listed = self.dir.list(&mut |name| {
            if is_temp_of(&name, &self.name) {
                left.push(name);
            }
            true
        });
        if listed.is_ok() {
            for name in left {
                self.dir.remove(&name).ok();
            }
        }
    }

    pub(crate) fn load<T: DeserializeOwned>(&self) -> Result<Found<T>> {
        let fail = |e| Error::io("read", self.path(), e);
        let unusable = |why: String| -> Result<Found<T>> {
            let aside = self.set_aside().map_err(|e| Error::io("set aside", self.path(), e))?;
            Ok(Found::Unusable(format!("{why}; it is now `{}`", aside.display())))
        };
        let file = match self.dir.open(&self.name, filelatch_fs::Access::Read) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
            Err(e) => return Err(fail(e)),
        };
        if !file.stat().map_err(fail)?.is_file() {
            return Err(Error::NotAFile { path: self.path(), what: "something else" });
        }
        let bytes = match read_to_end(&*file, LIMIT) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::FileTooLarge => return unusable("it is too long".to_owned()),
            Err(e) => return Err(fail(e)),
        };
        drop(file);
        match parse(&bytes) {
            Err(problem) => unusable(format!("it is damaged: {problem}")),
            Ok((asked, saved)) if asked == self.asked => Ok(Found::Saved(Box::new(saved))),
            Ok(_) => Ok(Found::Unusable("it is of other paths, or of the same with other options".to_owned())),
        }
    }

    /// Takes a state that can't be read out of the way; in the place of the last one that was.
    fn set_aside(&self) -> io::Result<PathBuf> {
        let mut aside = self.name.clone();
        aside.push(".damaged");
        self.dir.rename(&self.name, &aside)?;
        self.dir.sync()?;
        Ok(self.dir.path().join(aside))
    }

    /// Replaces the state.
    pub(crate) fn save<T: Serialize>(&self, tail: &Tail, table: &T, ended: bool) -> Result<()> {
        let fail = |e| Error::io("save the state of the watch in", self.path(), e);
        let bytes = render(&self.asked, tail, table, ended).map_err(|e| fail(io::Error::other(e)))?;
        let temp = temp_name(&self.name, self.parts.host.pid(), self.parts.host.random());
        let written = self.dir.create_new(&temp, 0o600).and_then(|file| {
            write_all_at(&*file, &bytes, 0).and_then(|()| file.sync())?;
            drop(file);
            self.dir.rename(&temp, &self.name)
        });
        if written.is_err() {
            self.dir.remove(&temp).ok();
        }
        written.and_then(|()| self.dir.sync()).map_err(fail)
    }
}

/// A file name for any name: what is not a lower-case letter, a digit, `-` or `_` becomes `%` and its bytes, so that different names stay
/// different also where case does not count.
fn escaped(name: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let escape = |byte: u8| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    name.bytes().map(escape).collect()
}

#[derive(Debug, Serialize, Deserialize)]
struct State<T, A> {
    v: u32,
    asked: A,
    ended: bool,
    runs: Vec<RawRun>,
    events: Vec<RawEvent>,
    table: T,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawRun {
    run: String,
    from: u64,
    to: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct RawEvent {
    cursor: String,
    kind: String,
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl RawEvent {
    fn of(event: &Event) -> Option<RawEvent> {
        let bare = |cursor: &Cursor, kind: &str, path: &Path| RawEvent {
            cursor: cursor.to_string(),
            kind: kind.to_owned(),
            path: PathText::of(path),
            from: None,
            hash: None,
            size: None,
            origin: None,
            by: None,
            at: None,
        };
        match event {
            Event::Rescanned { cursor, path, cause } => Some(bare(cursor, cause.word(), path)),
            Event::Change(change) => Some(RawEvent {
                from: if let ChangeKind::Renamed { from } = &change.kind { Some(PathText::of(from)) } else { None },
                hash: change.version.map(|version| version.to_string()),
                size: change.size,
                origin: Some(change.origin.word().to_owned()),
                by: if let Origin::Session(name) = &change.origin { Some(name.clone()) } else { None },
                at: Some(rfc3339(change.at)),
                ..bare(&change.cursor, change.kind.word(), &change.path)
            }),
            // Told to readers, not kept.
            Event::Reset { .. } => None,
        }
    }

    fn event(self) -> Option<Event> {
        let cursor = self.cursor.parse().ok()?;
        let path = PathText::parse(&self.path)?;
        if let Some(cause) = RescanCause::from_word(&self.kind) {
            return Some(Event::Rescanned { cursor, path, cause });
        }
        let kind = match self.kind.as_str() {
            "created" => ChangeKind::Created,
            "modified" => ChangeKind::Modified,
            "deleted" => ChangeKind::Deleted,
            "renamed" => ChangeKind::Renamed { from: PathText::parse(&self.from?)? },
            _ => return None,
        };
        let origin = match self.origin.as_deref()? {
            // What an engine of before did, which was another.
            "own" => Origin::Own,
            "session" => Origin::Session(self.by?),
            "external" => Origin::External,
            "unknown" => Origin::Unknown,
            _ => return None,
        };
        let version = match self.hash {
            Some(hash) => Some(hash.parse().ok()?),
            None => None,
        };
        let at = parse_rfc3339(&self.at?)?;
        Some(Event::Change(Change { cursor, kind, path, version, size: self.size, origin, at }))
    }
}

fn render<T: Serialize>(asked: &str, tail: &Tail, table: &T, ended: bool) -> serde_json::Result<Vec<u8>> {
    let run = |former: &Former| RawRun { run: format!("{:016x}", former.run), from: former.from, to: former.to };
    let runs = tail.runs.iter().map(run).collect();
    let events = tail.events.iter().filter_map(RawEvent::of).collect();
    let mut bytes = serde_json::to_vec(&State { v: 1, asked, ended, runs, events, table })?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<(String, Saved<T>), String> {
    let state: State<T, String> = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    if state.v != 1 {
        return Err(format!("it was made by a newer filelatch (version {})", state.v));
    }
    let run = |raw: &RawRun| {
        let run = u64::from_str_radix(&raw.run, 16).ok()?;
        (raw.from <= raw.to).then_some(Former { run, from: raw.from, to: raw.to })
    };
    let runs: Option<Vec<_>> = state.runs.iter().map(run).collect();
    let runs = runs.filter(|runs| !runs.is_empty() && runs.windows(2).all(|pair| pair[0].to == pair[1].from));
    let runs = runs.ok_or("its watches do not follow one another")?;
    let last = runs.last().map_or(0, |run| run.to);
    let events: Option<Vec<_>> = state.events.into_iter().map(RawEvent::event).collect();
    let events = events.ok_or("it holds a report that is none")?;
    // From the last one backwards, each with the cursor that it must have.
    let numbered = events.iter().rev().enumerate().all(|(before, event)| {
        let number = last.checked_sub(before as u64).filter(|number| *number > 0);
        let cursor = event.cursor();
        let run = runs.iter().find(|run| run.run == cursor.run);
        number == Some(cursor.number) && run.is_some_and(|run| (run.from + 1..=run.to).contains(&cursor.number))
    });
    if !numbered {
        return Err("its reports are not in order".to_owned());
    }
    Ok((state.asked, Saved { tail: Tail { runs, events }, table: state.table, ended: state.ended }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;
    use filelatch_fs::sim::{SimFs, for_each_mishap};
    use std::time::{Duration, SystemTime};

    fn sample() -> Tail {
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_000_000_123);
        let change = |number, kind, path: &str, origin| {
            let (version, size) = (Some(Version::of(b"x")), Some(1));
            let cursor = Cursor { run: if number > 7 { 0xb } else { 0xa }, number };
            Event::Change(Change { cursor, kind, path: path.into(), version, size, origin, at })
        };
        let rescanned =
            |number, cause| Event::Rescanned { cursor: Cursor { run: 0xb, number }, path: "d".into(), cause };
        let events = vec![
            change(6, ChangeKind::Created, "d/a", Origin::External),
            change(7, ChangeKind::Modified, "d/a", Origin::Session("agent".to_owned())),
            change(8, ChangeKind::Renamed { from: "d/a".into() }, "d/b", Origin::Own),
            rescanned(9, RescanCause::Overflow),
            rescanned(10, RescanCause::Resumed),
            rescanned(11, RescanCause::Replaced),
            change(12, ChangeKind::Deleted, "d/b", Origin::Unknown),
        ];
        let runs = vec![Former { run: 0xa, from: 0, to: 7 }, Former { run: 0xb, from: 7, to: 12 }];
        Tail { runs, events }
    }

    /// WATCH-1: what is saved is read again.
    #[test]
    fn round_trip() {
        let table = vec!["a".to_owned()];
        let bytes = render("these", &sample(), &table, true).unwrap();
        let (asked, saved) = parse::<Vec<String>>(&bytes).unwrap();
        assert_eq!((asked.as_str(), saved), ("these", Saved { tail: sample(), table, ended: true }));
    }

    /// WATCH-1: a state that was cut, or whose numbers do not fit together, is none.
    #[test]
    fn damaged_states() {
        let good = String::from_utf8(render("these", &sample(), &0_u8, true).unwrap()).unwrap();
        for cut in 0..good.len() - 2 {
            assert!(parse::<u8>(&good.as_bytes()[..cut]).is_err(), "{cut}");
        }
        for (from, to) in [
            (r#""v":1"#, r#""v":2"#),
            (r#""to":7"#, r#""to":8"#),
            (r#""to":12"#, r#""to":13"#),
            (r#""from":7"#, r#""from":70"#),
            ("000a-6", "000a-5"),
            ("000b-9", "000a-9"),
            ("renamed", "painted"),
            (r#""origin":"own""#, r#""origin":"mine""#),
        ] {
            assert!(good.contains(from), "{from}");
            assert!(parse::<u8>(good.replacen(from, to, 1).as_bytes()).is_err(), "{from} -> {to}");
        }
    }

    /// WATCH-1: different names have different files, whatever is in them and where case does not count.
    #[test]
    fn names_of_files() {
        assert_eq!(escaped("editor-1_a"), "editor-1_a");
        assert_eq!(escaped("../A.b"), "%2e%2e%2f%41%2eb");
        assert_ne!(escaped("A").to_lowercase(), escaped("a").to_lowercase());
    }

    fn store(fs: &SimFs) -> Result<Store> {
        let latch = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session("test").build();
        Store::open(&latch, Path::new("/w"), "Tests", "these".to_owned())
    }

    fn later() -> Tail {
        let mut tail = sample();
        tail.runs.push(Former { run: 0xc, from: 12, to: 12 });
        tail
    }

    /// WATCH-1: whatever happens at any call of saving (power cut, kill, every error): the next watch has the name, finds the old state or the
    /// new one as a whole, the new one if it was said to be saved, and can save.
    #[test]
    fn saving_survives_every_mishap() {
        let build = |fs: &SimFs| {
            fs.foreign().create_dirs("/w/.filelatch").unwrap();
            store(fs).unwrap().save(&sample(), &1_u8, true).unwrap();
        };
        let scenario = |fs: &SimFs| store(fs).and_then(|store| store.save(&later(), &2_u8, false)).is_ok();
        let seen = [const { std::cell::Cell::new(0) }; 2];
        for_each_mishap(build, scenario, |fs, saved| {
            let store = store(fs).map_err(|e| format!("the name is not free: {e}"))?;
            let found = store.load::<u8>().map_err(|e| e.to_string())?;
            let Found::Saved(found) = found else { return Err(format!("{found:?}")) };
            let old = *found == Saved { tail: sample(), table: 1, ended: true };
            let new = *found == Saved { tail: later(), table: 2, ended: false };
            if !new && (*saved || !old) {
                return Err(format!("saved: {saved}, and found {found:?}"));
            }
            seen[usize::from(new)].update(|n| n + 1);
            store.save(&later(), &3_u8, true).map_err(|e| format!("cannot save any more: {e}"))?;
            let names = fs.foreign().names("/w/.filelatch/watch").map_err(|e| e.to_string())?;
            match names.iter().find(|name| name.contains("tmp")) {
                Some(left) => Err(format!("left behind: {left}")),
                None => Ok(()),
            }
        });
        assert!(seen[0].get() > 20 && seen[1].get() > 5, "{seen:?}");
    }
}
