//! What every command works with: the engine, built from the arguments and the environment, and the locks that are held already.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filelatch::{Filelatch, Inherited, InheritedLease, LatchFile, LockOptions, Policy, Wait};
use filelatch_git::GitHistory;

use crate::args::{Global, Waiting};
use crate::held::Held;
use crate::render::CliError;
use crate::waiting::WaitingLine;
use crate::{env, leases, output};

/// How long commands wait for a lock, unless they or a policy say otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) latch: Filelatch,
    pub(crate) json: bool,
    pub(crate) held: Held,
    /// Of the command that started this one.
    pub(crate) leases: Vec<InheritedLease>,
    lost: Vec<Inherited>,
}

impl Context {
    /// `purpose` is what those who wait for this command's locks are told.
    pub(crate) fn new(global: &Global, purpose: &str, may_deadlock: bool) -> Context {
        let mut policy = Policy::default();
        policy.wait = Wait::For(TIMEOUT);
        let mut builder = Filelatch::builder().purpose(purpose).trusted(env::trusted()).defaults(policy);
        builder = builder.base_source(Arc::new(GitHistory));
        if let Some(session) = global.session.clone().or_else(env::session) {
            builder = builder.session(session);
        }
        if let Some(key) = env::audit_key() {
            builder = builder.audit_key_file(key);
        }
        let mut held = env::held().map(|held| Held::parse(&held)).unwrap_or_default();
        // Only who holds something and waits for more can be part of a deadlock.
        if (may_deadlock || !held.inherited.is_empty())
            && let Some(dir) = env::runtime_dir()
        {
            builder = builder.runtime_dir(dir);
        }
        let latch = builder.build();
        let lost = held.pass_to(&latch);
        let leases = env::lease().map(|leases| leases::parse(&leases)).unwrap_or_default();
        latch.inherit_leases(leases.clone());
        Context { latch, json: global.json, held, leases, lost }
    }

    /// A handle on a file. Locks that are switched off are told of.
    pub(crate) fn file(&self, path: &Path) -> Result<LatchFile, CliError> {
        let file = self.latch.file(path)?;
        warn(&file);
        Ok(file)
    }

    /// A handle on a file, and a record of it: `FILE#RECORD`, unless there is something of exactly that name.
    pub(crate) fn file_or_record(&self, path: &Path) -> Result<(LatchFile, Option<String>), CliError> {
        if let Some((file, record)) = split(path) {
            let exists = !matches!(self.latch.file(path).and_then(|file| file.try_read()), Ok(None));
            if !exists {
                return Ok((self.file(&file)?, Some(record)));
            }
        }
        Ok((self.file(path)?, None))
    }

    /// Refuses at once what would be waited for without end.
    pub(crate) fn check_held(&self, file: &LatchFile, record: Option<&str>, exclusive: bool) -> Result<(), CliError> {
        Ok(self.held.check(file, record, &self.lost, exclusive)?)
    }
}

impl Drop for Context {
    /// Once for each run: what could not be recorded is not silently missing.
    fn drop(&mut self) {
        for (root, why) in self.latch.audit_trouble() {
            output::warning(&format!("the audit log of `{}` could not be written: {why}", root.display()));
        }
    }
}

/// At the first `#` of the name; a directory may have one.
fn split(path: &Path) -> Option<(PathBuf, String)> {
    let (file, record) = path.file_name()?.to_str()?.split_once('#')?;
    (!file.is_empty() && !record.is_empty()).then(|| (path.with_file_name(file), record.to_owned()))
}

/// Tells of locks that are switched off.
pub(crate) fn warn(file: &LatchFile) {
    if !file.policy().locks {
        let path = file.path().display();
        output::warning(&format!(
            "locks are switched off by configuration: nothing excludes other writers of `{path}`"
        ));
    }
}

/// Runs `body` with lock options that wait as asked, and tell of it.
pub(crate) fn with_waiting<T>(wait: Option<Wait>, body: impl FnOnce(LockOptions<'_>) -> T) -> T {
    let line = WaitingLine::new();
    let tell = |waiting: &filelatch::Waiting<'_>| line.tell(waiting);
    let mut options = LockOptions::new().on_wait(&tell);
    if let Some(wait) = wait {
        options = options.wait(wait);
    }
    body(options)
}

impl Waiting {
    /// How to wait; `None`: as the policy says.
    pub(crate) fn wait(&self) -> Option<Wait> {
        if self.no_wait { Some(Wait::No) } else { self.timeout.map(Wait::For) }
    }
}
