//! The kept versions of a workspace: are they still what they were, and are they within their bounds?

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use filelatch_fs::{Access, FsDir};

use super::report::{Finding, Kind};
use crate::engine::Filelatch;
use crate::keep::history::{VERSIONS, version_of};
use crate::keep::name::{Hash, VersionName, document_of};
use crate::keep::{KeepLimits, PRUNE_EVERY};

/// So many bytes are read and hashed at most.
const READ_LIMIT: u64 = 1 << 30;

/// What was found, and what was left out.
pub(super) struct Looked {
    pub(super) findings: Vec<Finding>,
    pub(super) entries: usize,
    pub(super) skipped: Option<String>,
}

/// Looks at what is kept in the workspace's own folder, which lies in `root` and is called `shown` in messages.
pub(super) fn look(latch: &Filelatch, root: &Path, own: &dyn FsDir, shown: &Path) -> io::Result<Looked> {
    let mut looked = Looked { findings: Vec::new(), entries: 0, skipped: None };
    let versions = match own.open_dir(VERSIONS.as_ref()) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(looked),
        other => other?,
    };
    let shown = shown.join(VERSIONS);
    let (mut left, mut unread) = (READ_LIMIT, 0);
    for key in names(&*versions)? {
        let folder = match versions.open_dir(&key) {
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => continue,
            other => other?,
        };
        let shown = shown.join(&key);
        let (mut count, mut bytes) = (0, 0_u64);
        for entry in names(&*folder)? {
            looked.entries += 1;
            let Some(name) = VersionName::parse(&entry) else { continue };
            let size = folder.stat(&entry)?.size;
            count += 1;
            bytes = bytes.saturating_add(size);
            if size > left {
                unread += 1;
                continue;
            }
            left -= size;
            looked.findings.extend(damaged(&*folder, &entry, &name, shown.join(&entry))?);
        }
        if let Some(limits) = document_of(&key).and_then(|document| limits_of(latch, &root.join(document)))
            && (count > u64::from(limits.versions) + PRUNE_EVERY || count > 1 && bytes > limits.bytes)
        {
            let what = format!("{count} kept versions with {bytes} bytes are more than the policy allows");
            let mut finding = Finding::note(shown, Kind::KeptVersions, what);
            finding.advice =
                Some("the next writes of the file remove them, or `filelatch history FILE --prune`".to_owned());
            looked.findings.push(finding);
        }
    }
    if unread > 0 {
        looked.skipped = Some(format!("the bytes of {unread} kept versions, after {READ_LIMIT} bytes of others"));
    }
    Ok(looked)
}

fn damaged(folder: &dyn FsDir, entry: &OsStr, name: &VersionName, shown: PathBuf) -> io::Result<Option<Finding>> {
    let Hash::Proved(version) = &name.hash else { return Ok(None) };
    let file = match folder.open(entry, Access::Read) {
        // Pruned meanwhile.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    if version_of(&*file)? == *version {
        return Ok(None);
    }
    let what = "a kept version whose bytes were changed since: it is not used any more";
    let advice = "look at it if somebody may miss what was written to it, and remove it";
    Ok(Some(Finding::problem(shown, Kind::DamagedVersion, what, advice)))
}

fn limits_of(latch: &Filelatch, document: &Path) -> Option<KeepLimits> {
    latch.file(document).ok().map(|file| file.policy().keep_limits)
}

fn names(dir: &dyn FsDir) -> io::Result<Vec<OsString>> {
    let mut names = filelatch_fs::fs::names(dir)?;
    names.sort();
    Ok(names)
}
