//! The doctor: what a mount guarantees, what was left behind, and putting right what is proved to be nobody's.
//!
//! # Promise
//! - What a mount guarantees is found out by doing it (`probe`), in a folder of the doctor's own that is removed again; what no
//!   program can find out is known by the type of the file system and the options of the mount (`mounted`).
//! - Without [`DoctorOptions::fix`] nothing else is changed. With it, removed is only what is proved dead: temporary files by the
//!   sweep's own rule, lock files of ours whose data file is gone, under their lock (P1), the folders of killed doctors. Writes that
//!   were interrupted are completed by taking the lock. A writer at work is waited for, never disturbed.
//! - Everything else is reported, with what a person can do.
//!
//! # Non-promise
//! - A disk that lies about a sync, and a server that forgets its locks, look healthy. So do locks between machines: only those of
//!   one machine are tried.
//! - A lock file that `flock(1)` waits for while it is removed lets that program hold a lock that nobody else sees. Those that the
//!   system shows to be waiting are seen, and the file stays; where it has no such table (not Linux, some containers) they are not.
//!
//! # Order of operations
//! Mount and options → probes → workspace → the tree, changing nothing → fixes, file by file, each under its lock.

mod findings;
mod fix;
mod intents;
mod mounted;
mod probe;
mod report;
mod scratch;
mod versions;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::{Access, FsDir, FsFile, LockKind};

pub use report::{Fact, Finding, Fix, Kind, Level, Outcome, Overall, Report, Verdict};

use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::{LockMode, Wait};
use crate::many::intent::State;
use probe::Tried;

/// Directory entries that are looked at, unless the options say otherwise.
const LIMIT: usize = 100_000;
/// How long a fix waits for a lock. Writers take turns (P2), so this is rarely needed.
const WAIT: Duration = Duration::from_secs(5);

/// Another process, for what one process can't find out alone. Where there is none the facts say so.
pub trait OtherProcess {
    /// Does another process get the exclusive lock of this file at once? It gives it back.
    fn can_lock(&self, file: &Path) -> io::Result<bool>;

    /// Another process takes the exclusive lock of this file; `meanwhile` is called while it has it; then it is killed, and waited
    /// for until it is gone. False: it did not get the lock.
    fn hold_and_die(&self, file: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<bool>;
}

/// How thoroughly to look, and whether to put things right.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct DoctorOptions<'a> {
    /// Remove what is proved dead, complete what was interrupted.
    pub fix: bool,
    /// Look into folders below, too. Symbolic links, other file systems, and what version control and package managers keep
    /// (`.git`, `node_modules`, …) are left out.
    pub recursive: bool,
    /// Directory entries that are looked at.
    pub limit: usize,
    /// How long a fix waits for the lock of a file.
    pub wait: Wait,
    /// Another process for the probes.
    pub other: Option<&'a dyn OtherProcess>,
}

impl Default for DoctorOptions<'_> {
    fn default() -> Self {
        DoctorOptions { fix: false, recursive: true, limit: LIMIT, wait: Wait::For(WAIT), other: None }
    }
}

impl fmt::Debug for DoctorOptions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DoctorOptions { fix, recursive, limit, wait, other } = self;
        let mut debug = f.debug_struct("DoctorOptions");
        debug.field("fix", fix).field("recursive", recursive).field("limit", limit).field("wait", wait);
        debug.field("other", &other.is_some()).finish()
    }
}

impl<'a> DoctorOptions<'a> {
    /// The defaults: look everywhere, change nothing, ask no other process.
    pub fn new() -> Self {
        Self::default()
    }

    /// Put right what can be.
    #[must_use]
    pub fn fix(mut self, fix: bool) -> Self {
        self.fix = fix;
        self
    }

    /// Look into folders below.
    #[must_use]
    pub fn recursive(mut self, recursive: bool) -> Self {
        self.recursive = recursive;
        self
    }

    /// Look at so many directory entries.
    #[must_use]
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    /// Wait so long for the lock of a file that is put right.
    #[must_use]
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait = wait;
        self
    }

    /// Another process for the probes.
    #[must_use]
    pub fn other(mut self, other: &'a dyn OtherProcess) -> Self {
        self.other = Some(other);
        self
    }
}

/// A lock that a probe's other process holds; dropping it gives it back.
#[must_use = "dropping it gives the lock back"]
#[derive(Debug)]
pub struct ProbeLock {
    _file: Box<dyn FsFile>,
}

impl Filelatch {
    /// Examines a directory: what its mount guarantees, what is held, what was left behind; with [`DoctorOptions::fix`] also puts
    /// right what is proved to be nobody's. A directory that can't be opened is an error; what can't be found out is part of the
    /// report.
    pub fn doctor(&self, dir: impl AsRef<Path>, options: &DoctorOptions<'_>) -> Result<Report> {
        let shown = dir.as_ref();
        let fail = |e| Error::io("examine", shown, e);
        let fs = &self.parts().fs;
        let open = fs.canonicalize(shown).and_then(|path| fs.open_dir(&path)).map_err(fail)?;
        let (facts, mut overall) = self.examine(&open, options.other);
        if overall.level == Level::FileLock {
            // Any name would do: policies that name single files are not told apart.
            let policy = self.file(open.path().join("file")).map(|file| file.policy().lock);
            overall.settled = matches!(policy, Ok(LockMode::File));
        }
        let locks_exclude = matches!(overall.level, Level::Strict | Level::Limited);
        let mut report =
            Report { dir: shown.to_owned(), overall, facts, findings: Vec::new(), entries: 0, skipped: Vec::new() };
        let found = findings::find(self, &open, shown, options);
        (report.entries, report.skipped) = (found.entries, found.skipped);
        let mut cases = found.cases;
        if options.fix {
            fix::fix(self, &mut cases, options.wait, locks_exclude);
        }
        report.findings = cases.into_iter().map(|case| case.finding).collect();
        Ok(report)
    }

    /// What the other process of a probe does: takes the exclusive lock of this very file, without waiting. `None`: it is held.
    pub fn probe_lock(&self, file: impl AsRef<Path>) -> Result<Option<ProbeLock>> {
        let path = file.as_ref();
        let lock = || {
            let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(io::ErrorKind::InvalidInput.into());
            };
            let file = self.parts().fs.open_dir(dir)?.open(name, Access::ReadWrite)?;
            Ok(file.try_lock(LockKind::Exclusive)?.then_some(ProbeLock { _file: file }))
        };
        lock().map_err(|e| Error::io("lock", path, e))
    }

    fn examine(&self, dir: &Arc<dyn FsDir>, other: Option<&dyn OtherProcess>) -> (Vec<Fact>, Overall) {
        let mount = dir.mount();
        let told = mounted::told(mount.as_ref().ok().and_then(Option::as_ref), dir.caps());
        let mut facts = told.facts;
        if let Err(e) = mount {
            facts.push(Fact::failed("mount-options", &e));
        }
        let nothing = if told.read_only {
            Some(io::ErrorKind::ReadOnlyFilesystem.into())
        } else {
            match probe::probe(self.parts(), dir, other) {
                Ok(Tried::Facts(tried)) => {
                    facts.extend(tried);
                    None
                }
                Ok(Tried::Nothing(e)) => Some(e),
                Err(e) => {
                    facts.push(Fact::failed("scratch", &e));
                    Some(e)
                }
            }
        };
        let overall = overall(&facts, told.local_locks, nothing);
        (facts, overall)
    }
}

fn overall(facts: &[Fact], local_locks: Option<String>, nothing: Option<io::Error>) -> Overall {
    let weak = |names: &[&str]| {
        let of = |fact: &&Fact| fact.verdict == Verdict::Missing && names.contains(&fact.name);
        facts.iter().find(of).map(|fact| fact.meaning.clone())
    };
    let every = "set `lock = \"file\"` in .filelatch/config.toml, for every participant on every machine";
    let broken = local_locks.or_else(|| weak(&["lock", "lock-processes", "lock-death"]));
    if let Some(why) = broken {
        let advice = match weak(&["hard-links"]) {
            None => every.to_owned(),
            Some(_) => {
                "keep the files elsewhere: neither the system's locks nor the fallback lock work here".to_owned()
            }
        };
        return Overall { level: Level::FileLock, why: vec![why], advice: Some(advice), settled: false };
    }
    if let Some(e) = nothing {
        let why = format!("nothing was tried, because nothing can be written here: {}", crate::error::plain(&e));
        return Overall { level: Level::Unknown, why: vec![why], advice: None, settled: false };
    }
    let why: Vec<_> =
        facts.iter().filter(|fact| fact.weakens).map(|fact| format!("{}: {}", fact.name, fact.meaning)).collect();
    let level = if why.is_empty() { Level::Strict } else { Level::Limited };
    Overall { level, why, advice: None, settled: false }
}

/// A finding, with what a fix needs to know.
#[derive(Debug)]
struct Case {
    finding: Finding,
    place: Option<Spot>,
}

/// Where a fix has to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Spot {
    /// At the lock of this file, whose lock file has this name.
    File { path: PathBuf, lock: std::ffi::OsString },
    /// At the fallback lock beside this lock file of a file.
    Fallback { path: PathBuf, lock: std::ffi::OsString },
    /// In this directory, at a scratch folder.
    Scratch { dir: PathBuf, name: std::ffi::OsString },
    /// In this workspace, at an intent for several files.
    Intent { root: PathBuf, id: String, state: State },
}
