//! What is going to be written to several files: one file in the workspace, durable before the first of them is touched (P9).
//!
//! # On disk
//! ```text
//! .filelatch/intents/            mode 0700
//!   4f1d2c….new                  is being written
//!   4f1d2c….prepared             complete, and nothing of it is published; may still be dropped
//!   4f1d2c….committed            is going to be published, to the end
//!   4f1d2c….dropped              will not be published
//!   4f1d2c….2.in-place           the third file is being written in place: a mix in it is ours
//! ```
//! The file is one line `filelatch-intent 1 HASH LENGTH`, one line of JSON, and the new contents one behind the other; hash and length are
//! those of all that follows the first line.
//!
//! # Invariants
//! - Which of the states it has, once it is complete, is decided by one rename of one name: of those who commit and those who drop one wins, whatever
//!   locks either of them may have lost.
//! - Nobody acts on a state before the folder is synced: a power cut can't take it back afterwards.
//! - The lock file of a file names the intent as long as the file's part in it is not settled, and the intent is not removed while a lock
//!   file names it, or may name it.
//! - Its maker holds the whole-file lock of the intent's file: whoever gets it knows that its maker is dead.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::real::LOCK_RECORD_OFFSET;
use filelatch_fs::{Access, FsDir, FsFile, LockKind};
use serde::{Deserialize, Serialize};

use crate::conflict::{exact, path_of};
use crate::lock::record::{Found, RECORD_LIMIT, Record};
use crate::parts::{Parts, rfc3339};
use crate::path::LockFileName;
use crate::snapshot::Content;
use crate::version::Version;
use crate::workspace::Workspace;

pub(crate) const INTENTS: &str = "intents";
const MAGIC: &str = "filelatch-intent 1 ";
/// The longest first line.
const FIRST_LINE: usize = 128;
/// Form of the second line.
const FORM: u32 = 1;
/// What a lock file and the second line say of a file that is to go.
pub(crate) const ABSENT: &str = "absent";

/// What is decided about an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    New,
    Prepared,
    Committed,
    Dropped,
}

/// Those that a lock file may name.
const STATES: [State; 3] = [State::Committed, State::Dropped, State::Prepared];
/// Times that a file may be taken away before it is locked.
const TRIES: u32 = 100;

impl State {
    fn extension(self) -> &'static str {
        match self {
            State::New => "new",
            State::Prepared => "prepared",
            State::Committed => "committed",
            State::Dropped => "dropped",
        }
    }

    pub(crate) fn name(self, id: &str) -> OsString {
        format!("{id}.{}", self.extension()).into()
    }
}

/// Which intent, and in what state, a name in the folder stands for.
pub(crate) fn parse_name(name: &str) -> Option<(&str, State)> {
    let (id, extension) = name.split_once('.')?;
    let state = STATES.into_iter().chain([State::New]).find(|state| state.extension() == extension)?;
    is_id(id).then_some((id, state))
}

pub(crate) fn is_id(id: &str) -> bool {
    id.len() == 16 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn marker(id: &str, part: usize) -> OsString {
    format!("{id}.{part}.in-place").into()
}

/// The intent that a marker belongs to.
fn marked(name: &str) -> Option<&str> {
    let (id, part) = name.strip_suffix(".in-place")?.split_once('.')?;
    (is_id(id) && part.bytes().all(|b| b.is_ascii_digit())).then_some(id)
}

/// The folder of one workspace.
#[derive(Clone, Debug)]
pub(crate) struct Intents {
    dir: Arc<dyn FsDir>,
    root: PathBuf,
    /// The workspace's folder, where its path may lead elsewhere by now.
    held: Option<Arc<dyn FsDir>>,
}

/// One file's part in an intent that is being made.
pub(crate) struct NewPart<'a> {
    /// Relative to the workspace's folder.
    pub(crate) path: &'a Path,
    pub(crate) lock: LockFileName,
    pub(crate) before: Option<Version>,
    pub(crate) after: Option<&'a Content>,
}

/// An intent of this process.
#[derive(Debug)]
pub(crate) struct Own {
    intents: Intents,
    pub(crate) id: String,
    /// Open, and locked as a sign of life.
    file: Option<Box<dyn FsFile>>,
    parts: usize,
}

/// An intent as it was read, every byte proved.
#[derive(Debug)]
pub(crate) struct Journal {
    pub(crate) session: String,
    pub(crate) parts: Vec<Part>,
    bytes: Vec<u8>,
}

/// One file's part in an intent.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    /// Relative to the workspace's folder.
    pub(crate) path: PathBuf,
    pub(crate) lock: LockFileName,
    /// What the file was; `None`: it did not exist.
    pub(crate) before: Option<Version>,
    /// What it is to be; `None`: nothing.
    pub(crate) after: Option<Version>,
    place: Range<usize>,
}

/// Why an intent could not be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Its maker did not come to its end, so no lock file has ever named it.
    Incomplete,
    /// Some byte is not what was written.
    Damaged(&'static str),
    Io(io::Error),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::Incomplete => f.write_str("it is incomplete"),
            Unreadable::Damaged(what) => f.write_str(what),
            Unreadable::Io(e) => f.write_str(&crate::error::plain(e)),
        }
    }
}

/// What there is to do about an intent.
#[derive(Debug)]
pub(crate) enum Decision {
    /// Its parts are to be published.
    Committed,
    /// Nothing of it was published, and nothing will be.
    Dropped,
    /// There is none of this id.
    Gone,
}

/// What a lock file says of an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Note {
    Names,
    /// It has our record, which does not name it.
    Not,
    /// It is gone, or somebody else has written to it.
    Unknown,
}

#[derive(Serialize, Deserialize)]
struct Head {
    v: u32,
    id: String,
    session: String,
    at: String,
    parts: Vec<PartHead>,
}

#[derive(Serialize, Deserialize)]
struct PartHead {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    /// The lock file is called `name.lock`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    suffix: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    size: u64,
}

impl Intents {
    /// The folder, made if need be.
    pub(crate) fn create(parts: &Parts, workspace: &Workspace) -> io::Result<Intents> {
        let dir = workspace.private_folder(parts, &[INTENTS.as_ref()], true)?;
        let dir = dir.ok_or(io::ErrorKind::NotFound)?;
        Ok(Intents { dir, root: workspace.root.clone(), held: workspace.held() })
    }

    /// `None`: it is not there, and so there are no intents.
    pub(crate) fn open(parts: &Parts, workspace: &Workspace) -> io::Result<Option<Intents>> {
        let dir = workspace.private_folder(parts, &[INTENTS.as_ref()], false)?;
        Ok(dir.map(|dir| Intents { dir, root: workspace.root.clone(), held: workspace.held() }))
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn has(&self, id: &str, state: State) -> io::Result<bool> {
        match self.dir.stat(&state.name(id)) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Is there an intent of this id?
    pub(crate) fn knows(&self, id: &str) -> io::Result<bool> {
        for state in STATES {
            if self.has(id, state)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Those that are there, with their states.
    pub(crate) fn list(&self, most: usize) -> io::Result<Vec<(String, State)>> {
        let mut found = Vec::new();
        self.dir.list(&mut |name| {
            found.extend(name.to_str().and_then(parse_name).map(|(id, state)| (id.to_owned(), state)));
            found.len() < most
        })?;
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    /// Is its maker dead? Only while its lock can prove it.
    pub(crate) fn is_abandoned(&self, id: &str, state: State) -> io::Result<bool> {
        let file = match self.dir.open(&state.name(id), Access::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
            other => other?,
        };
        // The lock goes with the file at the end of this function.
        Ok(matches!(file.try_lock(LockKind::Exclusive), Ok(true)))
    }

    /// Writes an intent, durably. Nothing names it yet.
    pub(crate) fn prepare(&self, parts: &Parts, new: &[NewPart<'_>], session: Option<&str>) -> io::Result<Own> {
        for _ in 0..TRIES {
            let id = format!("{:016x}", parts.host.random());
            let file = self.dir.create_new(&State::New.name(&id), 0o600)?;
            // Where files can't be locked nobody can prove that its maker is dead. Between creation and lock somebody may have.
            let looked_at = matches!(file.try_lock(LockKind::Exclusive), Ok(false));
            if looked_at || file.stat()?.nlink == 0 {
                continue;
            }
            let own = Own { intents: self.clone(), id, file: Some(file), parts: new.len() };
            let written = own.write(parts, new, session);
            if let Err(e) = written {
                // No lock file names it: what can't be removed now is known by that.
                for state in [State::New, State::Prepared] {
                    self.dir.remove(&state.name(&own.id)).ok();
                }
                return Err(e);
            }
            return Ok(own);
        }
        Err(io::Error::other("intents are removed as fast as they are made"))
    }

    /// Removes what dead makers left and nobody needs. Best effort.
    pub(crate) fn sweep(&self, parts: &Parts, most: usize) {
        let mut marks = Vec::new();
        let listed = self.dir.list(&mut |name| {
            marks.extend(name.to_str().filter(|name| marked(name).is_some()).map(str::to_owned));
            marks.len() < most
        });
        // What a power cut brought back.
        for mark in listed.map_or(Vec::new(), |()| marks) {
            if marked(&mark).is_some_and(|id| matches!(self.knows(id), Ok(false))) {
                self.dir.remove(mark.as_ref()).ok();
            }
        }
        for (id, state) in self.list(most).unwrap_or_default() {
            if matches!(self.is_abandoned(&id, state), Ok(true)) {
                self.clear_away(parts, &id, state);
            }
        }
    }

    /// Removes an intent whose maker is dead, if no lock file names it.
    pub(crate) fn clear_away(&self, parts: &Parts, id: &str, state: State) {
        match state {
            State::New => drop(self.dir.remove(&state.name(id)).ok()),
            State::Prepared => {
                // A lock file that names it is to find that it was dropped.
                if matches!(self.decide(id), Ok(Decision::Dropped)) {
                    self.tidy(parts, id, State::Dropped);
                }
            }
            State::Committed | State::Dropped => self.tidy(parts, id, state),
        }
    }

    /// Finds out, or decides, what becomes of an intent whose maker does not have the lock any more. What is answered can't be taken
    /// back by a power cut.
    pub(crate) fn decide(&self, id: &str) -> io::Result<Decision> {
        if !self.has(id, State::Committed)? {
            self.rename(id, State::Prepared, State::Dropped)?;
        }
        self.dir.sync()?;
        if self.has(id, State::Committed)? {
            return Ok(Decision::Committed);
        }
        Ok(if self.has(id, State::Dropped)? { Decision::Dropped } else { Decision::Gone })
    }

    /// False: it had not the first state.
    fn rename(&self, id: &str, from: State, to: State) -> io::Result<bool> {
        match self.dir.rename(&from.name(id), &to.name(id)) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            // It may have been done all the same (L29).
            Err(e) if self.has(id, to).unwrap_or(false) && !self.has(id, from).unwrap_or(true) => {
                drop(e);
                Ok(true)
            }
            Err(e) => Err(e),
        }
    }

    /// Reads an intent.
    pub(crate) fn read(&self, id: &str, state: State) -> Result<Journal, Unreadable> {
        let bytes = self.dir.open(&state.name(id), Access::Read).and_then(|file| read_to_end(&*file, u64::MAX - 1));
        decode(id, bytes.map_err(Unreadable::Io)?)
    }

    /// From now on a mix in the file is of this intent's making.
    pub(crate) fn begin_in_place(&self, id: &str, part: usize) -> io::Result<()> {
        match self.dir.create_new(&marker(id, part), 0o600) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => drop(other?),
        }
        self.dir.sync()
    }

    pub(crate) fn is_in_place(&self, id: &str, part: usize) -> io::Result<bool> {
        match self.dir.stat(&marker(id, part)) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// What the lock file of a part says.
    pub(crate) fn note(&self, parts: &Parts, id: &str, part: &Part) -> Note {
        let Some(name) = part.path.file_name() else { return Note::Unknown };
        let folder = part.path.parent().unwrap_or(Path::new(""));
        let open = match &self.held {
            Some(root) if folder.as_os_str().is_empty() => Ok(Arc::clone(root)),
            Some(root) => root.open_beneath(folder),
            None => parts.fs.open_dir(&self.root.join(folder)),
        };
        let found = open.and_then(|dir| read_found(&*dir, &part.lock.of(name)));
        match found {
            Ok(Found::Record(record)) => {
                let names = record.intent.is_some_and(|intent| intent.kind == super::KIND && intent.journal == id);
                if names { Note::Names } else { Note::Not }
            }
            Ok(Found::Damaged | Found::Foreign) | Err(_) => Note::Unknown,
        }
    }

    /// Removes an intent that no lock file names any more. Best effort: what stays is looked at again by the next.
    pub(crate) fn tidy(&self, parts: &Parts, id: &str, state: State) {
        let settled = match self.read(id, state) {
            Ok(journal) => journal.parts.iter().all(|part| self.note(parts, id, part) == Note::Not),
            // No lock file has come to name it.
            Err(Unreadable::Incomplete) => state != State::Committed,
            Err(_) => false,
        };
        if settled {
            let parts = self.read(id, state).map_or(0, |journal| journal.parts.len());
            self.remove(id, state, parts);
        }
    }

    pub(crate) fn remove(&self, id: &str, state: State, parts: usize) {
        for part in 0..parts {
            self.dir.remove(&marker(id, part)).ok();
        }
        self.dir.remove(&state.name(id)).ok();
    }
}

impl Own {
    fn write(&self, parts: &Parts, new: &[NewPart<'_>], session: Option<&str>) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let mut at = 0;
        for piece in encode(parts, &self.id, new, session)? {
            write_all_at(&**file, &piece, at)?;
            at += piece.len() as u64;
        }
        file.sync()?;
        self.intents.dir.rename(&State::New.name(&self.id), &State::Prepared.name(&self.id))?;
        self.intents.dir.sync()
    }

    pub(crate) fn intents(&self) -> &Intents {
        &self.intents
    }

    /// From here on it is published, by whomever. An error: it may have come to that all the same, and [`Own::drop_it`] has to find out.
    pub(crate) fn commit(&self) -> io::Result<()> {
        if !self.intents.rename(&self.id, State::Prepared, State::Committed)? {
            // Somebody took this process for dead.
            return Err(io::Error::other("its locks were lost, and somebody else has dropped it"));
        }
        self.intents.dir.sync()
    }

    /// Nothing of it was published, and nothing may be. An error: whoever finds it named decides.
    pub(crate) fn drop_it(&self) -> io::Result<()> {
        for from in [State::Prepared, State::Committed] {
            self.intents.rename(&self.id, from, State::Dropped)?;
        }
        self.intents.dir.sync()
    }

    /// No lock file names it any more.
    pub(crate) fn remove(mut self, state: State) {
        self.file = None;
        self.intents.remove(&self.id, state, self.parts);
    }
}

/// What a lock file holds.
pub(crate) fn read_found(dir: &dyn FsDir, name: &std::ffi::OsStr) -> io::Result<Found> {
    let file = dir.open(name, Access::Read)?;
    let size = file.stat()?.size;
    let mut head = [0; RECORD_LIMIT];
    let mut len = 0;
    while len < RECORD_LIMIT {
        match file.read_at(&mut head[len..], LOCK_RECORD_OFFSET + len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    Ok(Record::find(&head[..len], size))
}

/// The pieces of the file, one behind the other.
fn encode<'a>(
    parts: &Parts,
    id: &str,
    new: &[NewPart<'a>],
    session: Option<&str>,
) -> io::Result<Vec<std::borrow::Cow<'a, [u8]>>> {
    let head = Head {
        v: FORM,
        id: id.to_owned(),
        session: session.unwrap_or(&parts.session).to_owned(),
        at: rfc3339(parts.host.now()),
        parts: new
            .iter()
            .map(|part| PartHead {
                path: part.path.to_string_lossy().into_owned(),
                path_bytes: exact(part.path),
                suffix: part.lock == LockFileName::Suffix,
                before: part.before.map(|version| version.to_string()),
                after: part.after.map(|content| content.version().to_string()),
                size: part.after.map_or(0, |content| content.bytes.len() as u64),
            })
            .collect(),
    };
    let mut line = serde_json::to_vec(&head).map_err(io::Error::other)?;
    line.push(b'\n');
    let mut pieces = vec![std::borrow::Cow::Owned(line)];
    pieces.extend(new.iter().filter_map(|part| part.after).map(|content| std::borrow::Cow::Borrowed(&*content.bytes)));
    let mut hasher = blake3::Hasher::new();
    for piece in &pieces {
        hasher.update(piece);
    }
    let len: usize = pieces.iter().map(|piece| piece.len()).sum();
    let first = format!("{MAGIC}{} {len}\n", hasher.finalize().to_hex());
    pieces.insert(0, std::borrow::Cow::Owned(first.into_bytes()));
    Ok(pieces)
}

fn decode(id: &str, bytes: Vec<u8>) -> Result<Journal, Unreadable> {
    let damaged = |what| Err(Unreadable::Damaged(what));
    let head = &bytes[..bytes.len().min(FIRST_LINE)];
    let magic = MAGIC.as_bytes();
    let Some(end) = head.iter().position(|b| *b == b'\n') else {
        // Cut off in the first line, or never written; a first line that is too long was changed.
        let begun = head.len() < FIRST_LINE && (head.starts_with(magic) || magic.starts_with(head));
        let zeroed = bytes.iter().all(|b| *b == 0);
        return if begun || zeroed { Err(Unreadable::Incomplete) } else { damaged("its first line is damaged") };
    };
    let first = std::str::from_utf8(&head[..end]).ok().and_then(|line| line.strip_prefix(MAGIC));
    let Some((hash, len)) = first.and_then(|line| line.split_once(' ')) else {
        return damaged("its first line is damaged");
    };
    let (Ok(hash), Ok(len)) = (blake3::Hash::from_hex(hash), len.parse::<usize>()) else {
        return damaged("its first line is damaged");
    };
    let rest = &bytes[end + 1..];
    if rest.len() < len {
        return Err(Unreadable::Incomplete);
    }
    if rest.len() > len || blake3::hash(rest) != hash {
        return damaged("its content is not what was written");
    }
    let Some(line) = rest.iter().position(|b| *b == b'\n') else { return damaged("its second line is missing") };
    let Ok(head) = serde_json::from_slice::<Head>(&rest[..line]) else { return damaged("its second line is damaged") };
    if head.v != FORM {
        return damaged("it is of a form that this version of filelatch does not know");
    }
    if head.id != id {
        return damaged("it is the content of another one");
    }
    let mut at = end + 1 + line + 1;
    let mut parts = Vec::with_capacity(head.parts.len());
    for part in &head.parts {
        let version = |text: &Option<String>| text.as_ref().map(|text| text.parse::<Version>()).transpose();
        let (Ok(before), Ok(after)) = (version(&part.before), version(&part.after)) else {
            return damaged("its second line is damaged");
        };
        let size = usize::try_from(part.size).ok().and_then(|size| at.checked_add(size));
        let Some(next) = size.filter(|end| *end <= bytes.len()) else { return damaged("its second line is damaged") };
        let path = path_of(&part.path, part.path_bytes.as_deref());
        // What leads out of the workspace is none of ours.
        let inside = |path: &PathBuf| path.components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let Some(path) = path.filter(inside) else { return damaged("it names a file outside the workspace") };
        let lock = if part.suffix { LockFileName::Suffix } else { LockFileName::Hidden };
        parts.push(Part { path, lock, before, after, place: at..next });
        at = next;
    }
    if at != bytes.len() {
        return damaged("its second line is damaged");
    }
    let journal = Journal { session: head.session, parts, bytes };
    let whole = (0..journal.parts.len()).all(|part| {
        let after = journal.parts[part].after;
        after.is_none_or(|version| Version::of(journal.content(part)) == version)
    });
    if whole { Ok(journal) } else { damaged("a content in it is not what was written") }
}

impl Journal {
    /// The new content of a part; empty where there is none.
    pub(crate) fn content(&self, part: usize) -> &[u8] {
        self.parts.get(part).and_then(|part| self.bytes.get(part.place.clone())).unwrap_or_default()
    }
}
