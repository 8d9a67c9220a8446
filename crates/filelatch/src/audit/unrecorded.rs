//! Publishes without a record: what the workspace's files say of themselves, compared with the log.
//!
//! Each version that filelatch publishes carries an attribution: its generation and the first digits of its hash. One that is younger than
//! the log and that no record knows, under whatever name, was published by a process that was killed before it came to its record, by one
//! that could not write the log, or its record is gone: cut off the end, or never synced before a power cut. It may also have been copied
//! here, attribution and all, from where another log has it.
//!
//! Only what is there is seen: files, and the kept versions before them. A file system without extended attributes tells nothing.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch_fs::{Access, FileKind, FsDir};

use super::read::Audit;
use super::record::AuditRecord;
use super::verify::Walk;
use crate::error::{Error, Result};
use crate::keep::history::VERSIONS;
use crate::keep::name::{Hash, VersionName, document_of};
use crate::path::temp_base;
use crate::workspace::WORKSPACE_DIR;
use crate::write::attribution::{self, Mark};

/// A publish this young may still get its record: its writer waits for the log's lock.
const YOUNG: Duration = Duration::from_millis(2500);
/// Between two looks at the log.
const AGAIN: Duration = Duration::from_millis(50);
/// Names that are looked at.
const MOST_NAMES: usize = 200_000;
/// How deep folders are looked into.
const DEEPEST: usize = 64;
/// Folders of other programs.
const NOT_OURS: [&str; 6] = [".git", ".hg", ".svn", ".jj", "node_modules", ".venv"];
/// Digits of a version in an attribution.
const DIGITS: usize = 16;

/// What the log knows of publishes.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    /// Generation and first digits.
    published: HashSet<(u64, u64)>,
    /// First digits of versions that were part of a publish.
    passed: HashSet<u64>,
}

impl Recorded {
    pub(super) fn learn(&mut self, record: &AuditRecord) {
        let hash = record.text("hash").and_then(digits);
        self.published.extend(record.count("generation").zip(hash));
        if let Some(passed) = record.to_json().get("passed").and_then(|passed| passed.as_array()) {
            self.passed.extend(passed.iter().filter_map(|hash| digits(hash.as_str()?)));
        }
    }

    fn has(&self, suspect: &Suspect) -> bool {
        self.published.contains(&(suspect.generation, suspect.digits)) || self.passed.contains(&suspect.digits)
    }
}

fn digits(hash: &str) -> Option<u64> {
    u64::from_str_radix(hash.get(..DIGITS)?, 16).ok()
}

/// A publish without a record.
pub(super) struct Unrecorded {
    pub(super) path: PathBuf,
    pub(super) message: String,
}

struct Suspect {
    path: PathBuf,
    generation: u64,
    digits: u64,
    at: SystemTime,
    by: Option<String>,
    is_kept: bool,
}

impl Suspect {
    fn told(self) -> Unrecorded {
        let Suspect { path, generation, digits, by, is_kept, .. } = self;
        let which = if is_kept { "a kept version of it" } else { "it" };
        let by = by.map_or_else(String::new, |by| format!(", published by {by}"));
        let message = format!(
            "{which} has generation {generation} (hash {digits:016x}…{by}), and there is no record of that: its writer was killed or could not write the log, the record was lost in a power cut or removed, or the file was copied from elsewhere"
        );
        Unrecorded { path, message }
    }
}

struct Search<'a> {
    audit: &'a Audit,
    recorded: &'a Recorded,
    since: SystemTime,
    left: usize,
    suspects: Vec<Suspect>,
}

/// Looks through the workspace. `again` reads the log once more.
pub(super) fn search<'a>(
    audit: &Audit,
    walk: &mut Walk<'a>,
    again: &mut dyn FnMut() -> Result<Walk<'a>>,
) -> Result<Vec<Unrecorded>> {
    let Some(since) = walk.since else { return Ok(Vec::new()) };
    let parts = audit.latch.parts();
    let (recorded, suspects) = (&walk.recorded, Vec::new());
    let mut search = Search { audit, recorded, since, left: MOST_NAMES, suspects };
    let fail = |e| Error::io("look through", audit.root(), e);
    let root = parts.fs.open_dir(audit.root()).map_err(fail)?;
    search.folder(&root, Path::new(""), 0).map_err(fail)?;
    search.kept().map_err(fail)?;
    let (left, mut suspects) = (search.left, search.suspects);
    if left == 0 {
        walk.found
            .notes
            .push(format!("only the first {MOST_NAMES} names were looked at for publishes without a record"));
    }
    let is_young = |suspect: &Suspect| match parts.host.now().duration_since(suspect.at) {
        Ok(age) => age < YOUNG,
        // By another clock than this one.
        Err(ahead) => ahead.duration() < YOUNG,
    };
    let mut waited = Duration::ZERO;
    while waited < YOUNG * 2 && suspects.iter().any(is_young) {
        parts.host.sleep(AGAIN);
        waited += AGAIN;
        let now = again()?;
        suspects.retain(|suspect| !now.recorded.has(suspect));
    }
    Ok(suspects.into_iter().map(Suspect::told).collect())
}

impl Search<'_> {
    fn folder(&mut self, dir: &Arc<dyn FsDir>, path: &Path, depth: usize) -> io::Result<()> {
        let mut names = Vec::new();
        let most = self.left;
        dir.list(&mut |name| {
            names.push(name);
            names.len() < most
        })?;
        names.sort();
        self.left -= names.len().min(self.left);
        if depth > 0 && names.iter().any(|name| name == WORKSPACE_DIR) {
            // Another workspace has a log of its own.
            return Ok(());
        }
        for name in names {
            // What goes or may not be read meanwhile tells nothing.
            let Ok(stat) = dir.stat(&name) else { continue };
            match stat.kind {
                FileKind::File if temp_base(&name).is_none() => self.file(&**dir, &name, path.join(&name)),
                FileKind::Dir if depth < DEEPEST && !is_foreign(&name) => {
                    if let Ok(inner) = dir.open_dir(&name) {
                        self.folder(&inner, &path.join(&name), depth + 1)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn file(&mut self, dir: &dyn FsDir, name: &OsStr, path: PathBuf) {
        let mark = dir.open(name, Access::Read).and_then(|file| attribution::read(&*file));
        let Ok(Mark::By(mark)) = mark else { return };
        let Some(digits) = digits(mark.digits()) else { return };
        let (generation, at, by) = (mark.generation, mark.at, Some(mark.session));
        self.suspect(Suspect { path, generation, digits, at, by, is_kept: false });
    }

    /// Kept versions have their facts in their names.
    fn kept(&mut self) -> io::Result<()> {
        let parts = self.audit.latch.parts();
        let Some(versions) = self.audit.workspace.private_folder(parts, &[VERSIONS.as_ref()], false)? else {
            return Ok(());
        };
        let mut keys = Vec::new();
        versions.list(&mut |key| {
            keys.push(key);
            true
        })?;
        keys.sort();
        for key in keys {
            let Ok(folder) = versions.open_dir(&key) else { continue };
            let mut names = Vec::new();
            folder.list(&mut |name| {
                names.extend(VersionName::parse(&name).map(|version| (version, name)));
                true
            })?;
            for (name, entry) in names {
                let hash = match &name.hash {
                    Hash::Proved(version) => version.short(),
                    Hash::Claimed(digits) => digits.clone(),
                    Hash::Unread(_) => continue,
                };
                let Some(digits) = digits(&hash).filter(|_| name.generation > 0) else { continue };
                let path = document_of(&key).unwrap_or_else(|| PathBuf::from(&key));
                let at = SystemTime::UNIX_EPOCH + Duration::from_millis(name.millis);
                let generation = name.generation;
                let suspect = Suspect { path, generation, digits, at, by: None, is_kept: true };
                if at < self.since || self.recorded.has(&suspect) {
                    continue;
                }
                // Where there are no attributions the number in the name is none.
                let mark = folder.open(&entry, Access::Read).and_then(|file| attribution::read(&*file));
                if matches!(mark, Ok(Mark::By(mark)) if mark.generation == generation) {
                    self.suspects.push(suspect);
                }
            }
        }
        Ok(())
    }

    fn suspect(&mut self, suspect: Suspect) {
        if suspect.at >= self.since && !self.recorded.has(&suspect) {
            self.suspects.push(suspect);
        }
    }
}

fn is_foreign(name: &OsStr) -> bool {
    name == WORKSPACE_DIR || NOT_OURS.iter().any(|other| name == *other)
}
