//! One write of one file, however it was asked for.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use filelatch::{Durability, Error, Expect, LatchFile, Strategy, Written};

use crate::extract::FilePath;
use crate::problem::Problem;
use crate::work::{Call, Failure};

/// A write.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) path: FilePath,
    pub(crate) bytes: Bytes,
    pub(crate) expect: Expect,
    pub(crate) strategy: Option<Strategy>,
    /// What the content was made from.
    pub(crate) base: Option<Arc<[u8]>>,
    /// The lease that is written under, by its number.
    pub(crate) lease: Option<u64>,
    pub(crate) durability: Option<Durability>,
    pub(crate) wait: Option<Duration>,
    /// Make missing directories.
    pub(crate) mkdir: bool,
}

impl Change {
    /// A plain one.
    pub(crate) fn new(path: FilePath, bytes: Bytes) -> Change {
        let (expect, strategy, base, lease) = (Expect::Any, None, None, None);
        Change { path, bytes, expect, strategy, base, lease, durability: None, wait: None, mkdir: false }
    }

    /// Writes.
    pub(crate) fn apply(&self, call: &Call) -> Result<(LatchFile, Written), Failure> {
        let file = if self.mkdir { call.file_with_dirs(&self.path) } else { call.file(&self.path) };
        let file = file.map_err(|failure| no_directory(failure, &self.path))?;
        let mut options = call.options(self.wait).expect(self.expect.clone());
        options.strategy = self.strategy;
        options.durability = self.durability;
        options.base.clone_from(&self.base);
        let written = match self.lease {
            Some(token) => file.lock_under(token, &options.lock)?.write(&self.bytes, &options)?,
            None => file.write(&self.bytes, &options)?,
        };
        Ok((file, written))
    }
}

/// A missing directory is no missing file: what to do next is another thing.
fn no_directory(failure: Failure, path: &FilePath) -> Failure {
    match failure {
        Failure::Library(Error::Io { action: "find", source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            let detail = format!("the folder of `{}` does not exist", path.as_str());
            let hint = "nothing was changed; `\"mkdir\": true` (JSON) or `?mkdir=true` makes missing folders";
            Problem::not_found("no-directory", detail).hint(hint).about(path.as_str()).into()
        }
        other => other,
    }
}

/// Removes a file. Fails if there is none.
pub(crate) fn remove(
    call: &Call,
    path: &FilePath,
    expect: Expect,
    lease: Option<u64>,
    wait: Option<Duration>,
    durability: Option<Durability>,
) -> Result<(), Failure> {
    let file = call.file(path)?;
    let mut options = call.options(wait).expect(expect);
    options.durability = durability;
    // Before the lock is taken: a mistyped name leaves no lock file behind.
    file.read()?;
    let guard = match lease {
        Some(token) => file.lock_under(token, &options.lock)?,
        None => file.lock(&options.lock)?,
    };
    if guard.remove(&options)? { Ok(()) } else { Err(Error::NotFound { path: file.path().to_owned() }.into()) }
}
