//! Reading a log: without its lock, while others write.
//!
//! Lines that have no end yet are not there yet. A file that is removed meanwhile was told of before.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use filelatch_fs::{Access, FsDir};
use globset::{GlobBuilder, GlobMatcher};

use super::append::numbers;
use super::limits::AuditPolicy;
use super::line::{LONGEST, file_name};
use super::log::folder_of;
use super::record::AuditRecord;
use super::scan::{LONGEST_FILE, read_from};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::workspace::Workspace;

/// Which records are wanted. The default: all.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    paths: Vec<GlobMatcher>,
    sessions: Vec<String>,
    events: Vec<String>,
    since: Option<SystemTime>,
    until: Option<SystemTime>,
    last: Option<usize>,
}

impl AuditFilter {
    /// All records.
    pub fn new() -> AuditFilter {
        AuditFilter::default()
    }

    /// Only those about files that the glob matches, as globs of policies do: relative to the workspace's folder. Several: any of them.
    pub fn path(mut self, glob: &str) -> Result<AuditFilter> {
        let wrong = |e: globset::Error| Error::Config {
            path: PathBuf::from(glob),
            message: format!("the glob cannot be read: {}", e.kind()),
        };
        self.paths.push(GlobBuilder::new(glob).literal_separator(true).build().map_err(wrong)?.compile_matcher());
        Ok(self)
    }

    /// Only those of this session. Several: any of them.
    #[must_use]
    pub fn session(mut self, name: impl Into<String>) -> AuditFilter {
        self.sessions.push(name.into());
        self
    }

    /// Only those of this event. Several: any of them.
    #[must_use]
    pub fn event(mut self, event: impl Into<String>) -> AuditFilter {
        self.events.push(event.into());
        self
    }

    /// Only those that were made then or later, by the clocks of their writers.
    #[must_use]
    pub fn since(mut self, time: SystemTime) -> AuditFilter {
        self.since = Some(time);
        self
    }

    /// Only those that were made then or before.
    #[must_use]
    pub fn until(mut self, time: SystemTime) -> AuditFilter {
        self.until = Some(time);
        self
    }

    /// Of these the last so many.
    #[must_use]
    pub fn last(mut self, count: usize) -> AuditFilter {
        self.last = Some(count);
        self
    }

    /// Is this record wanted? Without regard to how many.
    pub fn admits(&self, record: &AuditRecord) -> bool {
        let one_of = |wanted: &[String], is: Option<&str>| {
            wanted.is_empty() || is.is_some_and(|is| wanted.iter().any(|wanted| wanted == is))
        };
        let path = || record.path().is_some_and(|path| self.paths.iter().any(|glob| glob.is_match(&path)));
        let time = || match (self.since, self.until) {
            (None, None) => true,
            (since, until) => record
                .at()
                .is_some_and(|at| since.is_none_or(|since| at >= since) && until.is_none_or(|until| at <= until)),
        };
        one_of(&self.events, Some(record.event()))
            && one_of(&self.sessions, record.session())
            && (self.paths.is_empty() || path())
            && time()
    }
}

/// Records that were read.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct AuditRecords {
    /// In the order of the log.
    pub records: Vec<AuditRecord>,
    /// Lines that are no records. [`Audit::verify`] says what is wrong.
    pub damaged: usize,
}

/// The audit log of a workspace, to be read. From [`Filelatch::audit`].
#[derive(Clone, Debug)]
pub struct Audit {
    pub(super) latch: Filelatch,
    pub(super) workspace: Arc<Workspace>,
}

impl Filelatch {
    /// The audit log of the workspace that a directory belongs to. It need not have been begun.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`].
    pub fn audit(&self, dir: impl AsRef<Path>) -> Result<Audit> {
        let workspace = self.find_workspace(dir.as_ref())?;
        let workspace = workspace
            .ok_or_else(|| Error::NoWorkspace { path: dir.as_ref().to_owned(), without: "there is no audit log" })?;
        Ok(Audit { latch: self.clone(), workspace: Arc::new(workspace) })
    }
}

impl Audit {
    /// The folder that it lies in. It need not exist.
    pub fn path(&self) -> PathBuf {
        folder_of(&self.workspace.root)
    }

    /// The workspace's folder.
    pub fn root(&self) -> &Path {
        &self.workspace.root
    }

    /// What the workspace says about it.
    pub fn policy(&self) -> &AuditPolicy {
        &self.workspace.policies.audit
    }

    pub(super) fn fail(&self, e: io::Error) -> Error {
        Error::io("read the audit log in", self.path(), e)
    }

    pub(super) fn folder(&self) -> io::Result<Option<Arc<dyn FsDir>>> {
        self.workspace.private_folder(self.latch.parts(), &[super::log::AUDIT.as_ref()], false)
    }

    /// The records that are wanted.
    pub fn records(&self, filter: &AuditFilter) -> Result<AuditRecords> {
        let read = (|| {
            let Some(dir) = self.folder()? else { return Ok(AuditRecords::default()) };
            let mut found = AuditRecords::default();
            let mut records = VecDeque::new();
            // From the newest file on: the last few are found without reading all.
            for number in numbers(&*dir)?.into_iter().rev() {
                let Some(bytes) = read_file(&*dir, number)? else { continue };
                let mut of_file = Vec::new();
                for line in whole_lines(&bytes) {
                    match AuditRecord::parse(line) {
                        Some(record) => of_file.extend(Some(record).filter(|record| filter.admits(record))),
                        None => found.damaged += 1,
                    }
                }
                of_file.into_iter().rev().for_each(|record| records.push_front(record));
                if filter.last.is_some_and(|last| records.len() >= last) {
                    break;
                }
            }
            let over = filter.last.map_or(0, |last| records.len().saturating_sub(last));
            found.records = records.into_iter().skip(over).collect();
            Ok(found)
        })();
        read.map_err(|e| self.fail(e))
    }

    /// Follows the log from its end, or, if it has not been begun, from its beginning.
    pub fn follow(&self) -> Result<AuditTail> {
        let tail = (|| {
            let Some(dir) = self.folder()? else { return Ok(Position::default()) };
            let Some(number) = numbers(&*dir)?.pop() else { return Ok(Position::default()) };
            let file = dir.open(&file_name(number), Access::Read)?;
            let size = file.stat()?.size;
            // A line that is being written is still to come.
            let bytes = read_from(&*file, size.saturating_sub(LONGEST as u64), size)?;
            let rest = bytes.iter().rev().position(|b| *b == b'\n').unwrap_or(bytes.len());
            Ok(Position { number: Some(number), offset: size - rest as u64 })
        })();
        Ok(AuditTail { audit: self.clone(), position: tail.map_err(|e| self.fail(e))? })
    }
}

/// A place in the log that moves on. From [`Audit::follow`].
#[derive(Clone, Debug)]
pub struct AuditTail {
    audit: Audit,
    position: Position,
}

#[derive(Clone, Copy, Debug, Default)]
struct Position {
    number: Option<u64>,
    offset: u64,
}

impl AuditTail {
    /// What was written since the last call, through all files that were begun meanwhile. Costs a call or two when there is nothing.
    pub fn read(&mut self) -> Result<AuditRecords> {
        let mut found = AuditRecords::default();
        let mut position = self.position;
        let read = self.go_on(&mut position, &mut found);
        self.position = position;
        read.map(|()| found).map_err(|e| self.audit.fail(e))
    }

    fn go_on(&self, position: &mut Position, found: &mut AuditRecords) -> io::Result<()> {
        let Some(dir) = self.audit.folder()? else { return Ok(()) };
        loop {
            // Listed before it is read: when another file is there already, nothing more is written to this one. Not only behind a
            // closing record: its writer may have been killed.
            let newer = numbers(&*dir)?.into_iter().find(|n| position.number.is_none_or(|own| *n > own));
            if let Some(number) = position.number {
                let name = file_name(number);
                match dir.open(&name, Access::Read) {
                    Ok(file) => {
                        let size = file.stat()?.size;
                        // Somebody has cut it: what is written from now on is told of.
                        position.offset = position.offset.min(size);
                        let bytes = read_from(&*file, position.offset, size.min(LONGEST_FILE))?;
                        for line in whole_lines(&bytes) {
                            position.offset += line.len() as u64 + 1;
                            match AuditRecord::parse(line) {
                                Some(record) => found.records.push(record),
                                None => found.damaged += 1,
                            }
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                    Err(e) => return Err(e),
                }
            }
            match newer {
                Some(number) => *position = Position { number: Some(number), offset: 0 },
                None => return Ok(()),
            }
        }
    }
}

/// A file of the log; `None`: it is gone.
pub(super) fn read_file(dir: &dyn FsDir, number: u64) -> io::Result<Option<Vec<u8>>> {
    let name: OsString = file_name(number);
    let file = match dir.open(&name, Access::Read) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let stat = file.stat()?;
    if !stat.is_file() {
        return Err(io::Error::other(format!("`{}` is not a regular file", name.display())));
    }
    if stat.size > LONGEST_FILE {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    read_from(&*file, 0, stat.size).map(Some)
}

/// The lines that have an end, without it.
pub(super) fn whole_lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = bytes.iter().rposition(|b| *b == b'\n').unwrap_or(0);
    let whole = if bytes.contains(&b'\n') { Some(&bytes[..end]) } else { None };
    whole.into_iter().flat_map(|whole| whole.split(|b| *b == b'\n'))
}
