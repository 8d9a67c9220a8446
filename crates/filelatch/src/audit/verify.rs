//! Is the log what was written?
//!
//! Every line is checked against the line before it, every file against the file before it, and the log against anchors. What is wrong is
//! named by file, line and record. After something wrong the check goes on with what the line says of itself, so that one change is one
//! problem and does not hide the next.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use blake3::Hash;
use filelatch_fs::FsDir;
use serde::Serialize;

use super::append::numbers;
use super::key::Key;
use super::line::{Link, file_name, is_chained, split};
use super::read::{Audit, read_file};
use super::record::AuditRecord;
use super::scan::{Head, closes};
use super::unrecorded::{Recorded, Unrecorded};
use crate::error::Result;

/// Problems that are told of; more are counted.
const MOST: usize = 100;
/// Notes that are told of.
const MOST_NOTES: usize = 100;

/// A record as it was at some time, kept where whoever changes the log can't change it: the log must still have it.
///
/// As text `NUMBER CHAIN`, as [`Audit::head`] gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub(super) link: Link,
}

impl Anchor {
    /// The record's number.
    pub fn number(&self) -> u64 {
        self.link.n
    }

    /// Its chain value, as 64 digits.
    pub fn chain(&self) -> String {
        self.link.chain.to_hex().to_string()
    }
}

impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.link.n, self.link.chain.to_hex())
    }
}

impl FromStr for Anchor {
    type Err = String;

    /// Number and chain, with blanks or one `:` between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no anchor: `NUMBER CHAIN`, as `filelatch audit head` prints it");
        let (n, chain) = text.trim().split_once([' ', '\t', ':']).ok_or_else(wrong)?;
        let n = n.parse().map_err(|_| wrong())?;
        let chain = Hash::from_hex(chain.trim()).map_err(|_| wrong())?;
        Ok(Anchor { link: Link { n, chain } })
    }
}

/// What [`Audit::verify`] looks at.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    anchors: Vec<Anchor>,
    key: Option<PathBuf>,
    skip_files: bool,
}

impl VerifyOptions {
    /// The log, and the files of the workspace.
    pub fn new() -> VerifyOptions {
        VerifyOptions::default()
    }

    /// The log must have this record.
    #[must_use]
    pub fn anchor(mut self, anchor: Anchor) -> VerifyOptions {
        self.anchors.push(anchor);
        self
    }

    /// The file with the key; else the workspace's or the engine's.
    #[must_use]
    pub fn key_file(mut self, path: impl Into<PathBuf>) -> VerifyOptions {
        self.key = Some(path.into());
        self
    }

    /// Do not look for publishes without a record in the workspace's files.
    #[must_use]
    pub fn log_only(mut self) -> VerifyOptions {
        self.skip_files = true;
        self
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The line is not what its writer chained: it was edited, or what is before it.
    Edited,
    /// The line has not the form of a record.
    Damaged,
    /// Records are missing before it.
    Gap,
    /// It stands behind a record with a greater number.
    Reordered,
    /// A file of the log is missing, and no record says that it was removed.
    MissingFile,
    /// The file belongs to another log, or to another place in this one.
    SwappedFile,
    /// The log ends before a record that an anchor names.
    Truncated,
    /// The record that an anchor names is another one now.
    Rewritten,
    /// The log was begun with another key than the one that was given, or with one and none was given.
    WrongKey,
    /// A file carries a version that filelatch published and of which there is no record.
    Unrecorded,
}

impl fmt::Display for ProblemKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ProblemKind::Edited => "edited",
            ProblemKind::Damaged => "damaged",
            ProblemKind::Gap => "gap",
            ProblemKind::Reordered => "reordered",
            ProblemKind::MissingFile => "missing file",
            ProblemKind::SwappedFile => "swapped file",
            ProblemKind::Truncated => "truncated",
            ProblemKind::Rewritten => "rewritten",
            ProblemKind::WrongKey => "wrong key",
            ProblemKind::Unrecorded => "unrecorded",
        })
    }
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What.
    pub kind: ProblemKind,
    /// The file of the log; of an unrecorded publish the file that was published. Relative to the folder of the log or of the workspace.
    pub file: String,
    /// The line in it, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// The record's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<u64>,
    /// In a sentence.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.file)?;
        if let Some(line) = self.line {
            write!(f, ":{line}")?;
        }
        if let Some(record) = self.record {
            write!(f, " (record {record})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What [`Audit::verify`] found.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Verified {
    /// What is wrong, in the order of the log; at most 100.
    pub problems: Vec<Problem>,
    /// How many there are.
    pub problem_count: usize,
    /// What is no problem and good to know.
    pub notes: Vec<String>,
    /// Records that were checked.
    pub records: u64,
    /// Files of the log.
    pub files: u64,
    /// The newest record.
    pub head: Option<Anchor>,
}

impl Verified {
    /// Is nothing wrong?
    pub fn is_ok(&self) -> bool {
        self.problem_count == 0
    }

    fn add(&mut self, problem: Problem) {
        self.problem_count += 1;
        if self.problems.len() < MOST {
            self.problems.push(problem);
        }
    }

    fn note(&mut self, note: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(note);
        }
    }
}

/// The walk through the log.
pub(super) struct Walk<'a> {
    pub(super) found: Verified,
    key: Option<&'a Key>,
    anchors: &'a [Anchor],
    met: Vec<bool>,
    last: Option<Link>,
    log: Option<String>,
    /// Number of the oldest record.
    first: Option<u64>,
    /// The last records of files that were removed, with their chain values.
    dropped: HashMap<u64, String>,
    /// What the first file follows, if it is not the first of the log.
    follows: Option<(String, u64, Option<Hash>)>,
    /// The line before was no record: the next one's chain can't be checked.
    blind: bool,
    /// The file has another key: no chain in it can be checked.
    unchecked: bool,
    pub(super) recorded: Recorded,
    /// When the oldest record was made.
    pub(super) since: Option<std::time::SystemTime>,
}

impl Audit {
    /// Checks the log, and whether the workspace's files carry publishes that it does not know. Takes no lock, writes nothing; others
    /// may write meanwhile.
    ///
    /// # Errors
    /// When something can't be read. What is wrong with the log is no error: see [`Verified`].
    pub fn verify(&self, options: &VerifyOptions) -> Result<Verified> {
        let parts = self.latch.parts();
        let key_file =
            options.key.clone().or_else(|| self.latch.audit_key()).or_else(|| self.policy().key_file.clone());
        let key = key_file.map(|path| {
            let read = Key::read(&*parts.fs, &path, &self.workspace.root);
            read.map_err(|e| crate::error::Error::io("read the key file", path, e))
        });
        let key = key.transpose()?;
        let mut walk = self.walk(key.as_ref(), &options.anchors).map_err(|e| self.fail(e))?;
        if !options.skip_files {
            let mut again = || self.walk(key.as_ref(), &[]).map_err(|e| self.fail(e));
            for Unrecorded { path, message } in super::unrecorded::search(self, &mut walk, &mut again)? {
                let file = path.to_string_lossy().into_owned();
                walk.found.add(Problem { kind: ProblemKind::Unrecorded, file, line: None, record: None, message });
            }
        }
        Ok(walk.found)
    }

    /// The newest record, durable: an anchor, to be kept where whoever changes the log can't change it. `None`: nothing is recorded yet.
    pub fn head(&self) -> Result<Option<Anchor>> {
        let exists = self.folder().and_then(|dir| dir.map_or(Ok(false), |dir| Ok(!numbers(&*dir)?.is_empty())));
        if !exists.map_err(|e| self.fail(e))? {
            return Ok(None);
        }
        let log = self.latch.audit_log(&self.workspace, true);
        let head = log.map_or(Ok(None), |log| log.synced_head()).map_err(|e| self.fail(e))?;
        Ok(head.map(|link| Anchor { link }))
    }

    fn walk<'a>(&self, key: Option<&'a Key>, anchors: &'a [Anchor]) -> io::Result<Walk<'a>> {
        let mut walk = Walk::new(key, anchors);
        if let Some(dir) = self.folder()? {
            let all = numbers(&*dir)?;
            for (i, number) in all.iter().enumerate() {
                let Some(bytes) = read_file(&*dir, *number)? else { continue };
                walk.file(*number, &bytes, i + 1 == all.len());
            }
            walk.leftovers(&*dir)?;
        }
        walk.end();
        Ok(walk)
    }
}

impl<'a> Walk<'a> {
    pub(super) fn new(key: Option<&'a Key>, anchors: &'a [Anchor]) -> Walk<'a> {
        Walk {
            found: Verified::default(),
            key,
            anchors,
            met: vec![false; anchors.len()],
            last: None,
            log: None,
            first: None,
            dropped: HashMap::new(),
            follows: None,
            blind: false,
            unchecked: false,
            recorded: Recorded::default(),
            since: None,
        }
    }

    /// One file of the log, in the order of their names.
    pub(super) fn file(&mut self, number: u64, bytes: &[u8], is_newest: bool) {
        let name = file_name(number).to_string_lossy().into_owned();
        self.found.files += 1;
        let mut at = 0;
        let mut lines = 0;
        let mut is_first = true;
        let mut is_closed = false;
        while at < bytes.len() {
            lines += 1;
            let Some(len) = bytes[at..].iter().position(|b| *b == b'\n') else {
                self.unfinished(&name, lines, bytes.len() - at, is_newest);
                break;
            };
            let line = &bytes[at..at + len];
            is_closed = closes(line);
            self.line(&name, number, lines, line, is_first);
            is_first = false;
            at += len + 1;
        }
        if bytes.is_empty() && !is_newest {
            let message = "it is empty, and another file follows".to_owned();
            self.problem(ProblemKind::Gap, &name, None, Some(number), message);
        } else if !is_newest && !is_closed && at >= bytes.len() {
            let message = "its end is missing: another file follows, and no record says so".to_owned();
            self.problem(ProblemKind::Gap, &name, Some(lines), self.last.map(|last| last.n), message);
        }
    }

    fn unfinished(&mut self, name: &str, line: u64, bytes: usize, is_newest: bool) {
        if is_newest {
            self.found.note(format!(
                "{name}:{line}: {bytes} bytes at the end are no whole record: a writer was killed or the power was cut; the next writer puts them aside"
            ));
        } else {
            let message = format!("{bytes} bytes at its end are no whole record, and another file follows");
            let record = self.last.map(|last| last.n + 1);
            self.problem(ProblemKind::Damaged, name, Some(line), record, message);
        }
    }

    fn problem(&mut self, kind: ProblemKind, file: &str, line: Option<u64>, record: Option<u64>, message: String) {
        self.found.add(Problem { kind, file: file.to_owned(), line, record, message });
    }

    fn line(&mut self, name: &str, number: u64, line_number: u64, line: &[u8], is_first: bool) {
        let at = Some(line_number);
        self.found.records += 1;
        let record = AuditRecord::parse(line);
        let (Some((link, head)), Some(record)) = (split(line), record) else {
            let expected = self.last.map_or(number, |last| last.n + 1);
            let zeros = if line.contains(&0) { "; zeros in it may come from a power cut" } else { "" };
            let message = format!("it is no record{zeros}");
            self.problem(ProblemKind::Damaged, name, at, Some(expected), message);
            self.blind = true;
            return;
        };
        let n = Some(link.n);
        let blind = std::mem::take(&mut self.blind);
        let before = if is_first { self.begin(name, number, &link, line) } else { self.last };
        if !is_first && record.event() == "begin" {
            self.problem(ProblemKind::SwappedFile, name, at, n, "a file begins in the middle of another".to_owned());
        }
        match before {
            Some(before) if link.n <= before.n => {
                let again = if link == before {
                    "it is there twice".to_owned()
                } else {
                    format!("it stands behind record {}", before.n)
                };
                return self.problem(ProblemKind::Reordered, name, at, n, again);
            }
            // What stands for the record before it has been named.
            Some(before) if blind && link.n == before.n + 2 => {}
            Some(before) if link.n > before.n + 1 => {
                let (from, to) = (before.n + 1, link.n - 1);
                let which =
                    if from == to { format!("record {from} is") } else { format!("records {from} to {to} are") };
                let message = format!("{which} missing before it");
                self.problem(ProblemKind::Gap, name, at, n, message);
            }
            Some(before) if !self.unchecked && !is_chained(self.key, Some(&before.chain), &link, head) => {
                let message = format!("it is not the line that was written behind record {}", before.n);
                self.problem(ProblemKind::Edited, name, at, n, message);
            }
            None if is_first && !self.unchecked && !self.starts(&link, head, line) => {
                let message = "it is not the line that its chain value was made for".to_owned();
                self.problem(ProblemKind::Edited, name, at, n, message);
            }
            _ => {}
        }
        self.last = Some(link);
        self.first.get_or_insert(link.n);
        for (anchor, met) in self.anchors.iter().zip(&mut self.met) {
            *met |= anchor.link == link;
        }
        self.learn(name, &record);
    }

    /// The first line of a file; what it has to follow. `None`: what it says itself.
    fn begin(&mut self, name: &str, number: u64, link: &Link, line: &[u8]) -> Option<Link> {
        let at = Some(1);
        let n = Some(link.n);
        let Some(head) = Head::parse(line) else {
            let message = "its first line does not begin a file".to_owned();
            self.problem(ProblemKind::SwappedFile, name, at, n, message);
            return self.last;
        };
        let wanted = self.key.map(Key::id);
        self.unchecked = head.key != wanted;
        if self.unchecked {
            let message = match (&head.key, &wanted) {
                (Some(_), None) => "it was begun with a key, and none was given",
                (None, _) => "it was begun without a key",
                _ => "it was begun with another key",
            };
            self.problem(ProblemKind::WrongKey, name, at, n, message.to_owned());
        }
        if link.n != number {
            let message = format!("by its name it begins with record {number}");
            self.problem(ProblemKind::SwappedFile, name, at, n, message);
        }
        if let Some(broken) = head.broken {
            self.found.note(format!(
                "{name}: it was begun because a writer found the file before it broken at record {broken}"
            ));
        }
        match &self.log {
            Some(log) if *log != head.log => {
                let message = "it belongs to another log".to_owned();
                self.problem(ProblemKind::SwappedFile, name, at, n, message);
            }
            Some(_) => {}
            None => self.log = Some(head.log),
        }
        let Some(last) = self.last else {
            if link.n > 1 || head.after.is_some() {
                self.follows = Some((name.to_owned(), link.n, head.after));
            }
            return None;
        };
        if link.n == last.n + 1 && head.after != Some(last.chain) {
            let message = format!("it does not follow record {}", last.n);
            self.problem(ProblemKind::SwappedFile, name, at, n, message);
        }
        if link.n > last.n + 1 {
            let message = format!("records {} to {} are missing before it", last.n + 1, link.n - 1);
            self.problem(ProblemKind::MissingFile, name, at, n, message);
            return None;
        }
        Some(last)
    }

    /// Does the first line hold by itself?
    fn starts(&self, link: &Link, head: &[u8], line: &[u8]) -> bool {
        let first = Head::parse(line);
        first.is_none_or(|first| is_chained(self.key, first.after.as_ref(), link, head))
    }

    fn learn(&mut self, name: &str, record: &AuditRecord) {
        self.since = self.since.or_else(|| record.at());
        match record.event() {
            "dropped" => {
                if let Some((through, last)) = record.count("through").zip(record.text("last")) {
                    self.dropped.insert(through, last.to_owned());
                }
            }
            "lost" => {
                let count = record.count("records").unwrap_or_default();
                let number = record.number();
                self.found
                    .note(format!("{name}: record {number}: up to {count} records before it could not be written"));
            }
            "repaired" => {
                let kept = record.text("kept").unwrap_or_default();
                let number = record.number();
                self.found.note(format!(
                    "{name}: record {number}: what a killed writer or a power cut had left was put aside as {kept}"
                ));
            }
            "write" | "completed" => self.recorded.learn(record),
            _ => {}
        }
    }

    /// What lies in the folder and is no part of the log.
    fn leftovers(&mut self, dir: &dyn FsDir) -> io::Result<()> {
        let mut foreign = Vec::new();
        dir.list(&mut |name| {
            let text = name.to_string_lossy();
            let is_ours = super::line::number_of(&name).is_some() || text == ".lock" || text.contains(".jsonl.torn-");
            if !is_ours {
                foreign.push(text.into_owned());
            }
            true
        })?;
        foreign.sort();
        for name in foreign {
            self.found.note(format!("{name}: it is no part of the log"));
        }
        Ok(())
    }

    pub(super) fn end(&mut self) {
        if let Some((name, number, after)) = self.follows.take() {
            let told = self
                .dropped
                .get(&(number - 1))
                .is_some_and(|last| after.is_some_and(|after| after.to_hex().as_str() == last));
            if !told {
                let message =
                    format!("records 1 to {} are missing, and no record says that they were removed", number - 1);
                self.problem(ProblemKind::MissingFile, &name, Some(1), Some(number), message);
            }
        }
        self.found.head = self.last.map(|link| Anchor { link });
        for (anchor, met) in self.anchors.iter().zip(std::mem::take(&mut self.met)) {
            let n = anchor.link.n;
            if met {
                continue;
            }
            let (kind, message) = match (self.first, self.last) {
                (Some(first), Some(last)) if n >= first && n <= last.n => {
                    (ProblemKind::Rewritten, format!("record {n} is not the one that the anchor names"))
                }
                (Some(first), _) if n < first => {
                    self.found.note(format!("the anchor's record {n} is older than what is kept"));
                    continue;
                }
                (_, last) => {
                    let end = last.map_or(0, |last| last.n);
                    (ProblemKind::Truncated, format!("the log ends with record {end}, before record {n} of the anchor"))
                }
            };
            let name = self.first.map_or_else(String::new, |first| file_name(first).to_string_lossy().into_owned());
            self.problem(kind, &name, None, Some(n), message);
        }
    }
}
