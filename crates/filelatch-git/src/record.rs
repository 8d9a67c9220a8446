//! What is remembered of a session: `filelatch/sessions/NAME.json` in the folder that all worktrees of the repository share (`.git`).
//!
//! # Promise
//! The record is written before the branch and the folder are made, and removed after both are gone, each time as a whole and durably: at
//! any moment, whatever is killed, everything that there is of a session has a record. It stands in `.git`, not in `.filelatch`, because
//! `git clean -ffdx` removes ignored files, and because a session belongs to the repository, wherever its working tree is moved.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch::{Filelatch, Guard, LatchFile, LockOptions, Wait, WriteOptions};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::git::Git;
use crate::name;

/// Records of this form.
const FORM: u32 = 1;
/// How long others may take to make or remove a worktree.
const PATIENCE: Duration = Duration::from_secs(120);

/// How far a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Being made, or interrupted while it was.
    Starting,
    /// In use.
    Ready,
    /// Being removed, or interrupted while it was. What is in it is kept elsewhere.
    Removing,
}

/// A file that was copied into it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Included {
    #[serde(with = "path_text")]
    pub(crate) path: PathBuf,
    /// As it was.
    pub(crate) hash: String,
}

/// The process that works on it; told to people. Whether it lives is told by the lock that it holds ([`Records::lock_session`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Worker {
    pub(crate) pid: u32,
    pub(crate) start: u64,
    pub(crate) boot: String,
    pub(crate) host: String,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Record {
    v: u32,
    pub(crate) name: String,
    pub(crate) branch: String,
    /// The branch that it began at, or what was asked for.
    pub(crate) base_ref: String,
    pub(crate) base_commit: String,
    #[serde(with = "path_text")]
    pub(crate) folder: PathBuf,
    /// RFC 3339.
    created_at: String,
    pub(crate) created_by: String,
    pub(crate) worker: Worker,
    pub(crate) stage: Stage,
    #[serde(default)]
    pub(crate) included: Vec<Included>,
    /// Where a removal has kept what was in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rescue: Option<String>,
}

impl Worker {
    pub(crate) fn this(git: &Git) -> Worker {
        let facts = git.host.facts();
        Worker { pid: facts.pid, start: facts.start, boot: facts.boot, host: facts.host }
    }
}

impl Record {
    pub(crate) fn new(name: &str, base: (String, String), folder: PathBuf, by: &str, git: &Git) -> Record {
        let now = git.host.now();
        Record {
            v: FORM,
            name: name.to_owned(),
            branch: name::branch(name),
            base_ref: base.0,
            base_commit: base.1,
            folder,
            created_at: jiff::Timestamp::try_from(now).map(|now| format!("{now:.3}")).unwrap_or_default(),
            created_by: by.to_owned(),
            worker: Worker::this(git),
            stage: Stage::Starting,
            included: Vec::new(),
            rescue: None,
        }
    }

    pub(crate) fn created(&self) -> Option<SystemTime> {
        self.created_at.parse::<jiff::Timestamp>().ok().map(SystemTime::from)
    }
}

/// The records of one repository, and the lock under which worktrees are made and removed.
#[derive(Clone, Debug)]
pub(crate) struct Records {
    /// Without workspaces: no policy of the user's files is meant for these.
    latch: Filelatch,
    dir: PathBuf,
    git: Git,
}

impl Records {
    pub(crate) fn new(git: &Git, common: &Path, session: &str) -> Records {
        let builder = Filelatch::builder().fs(Arc::clone(&git.fs)).host(Arc::clone(&git.host));
        let latch = builder.session(session).purpose("filelatch session").without_workspaces().build();
        Records { latch, dir: common.join("filelatch").join("sessions"), git: git.clone() }
    }

    pub(crate) fn engine(&self) -> &Filelatch {
        &self.latch
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.json"))
    }

    /// `None`: there is none.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Record>> {
        let path = self.path(name);
        if self.git.fs.stat(&self.dir).is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let Some(found) = self.latch.file(&path)?.try_read()? else { return Ok(None) };
        let wrong = |message: String| Error::BadRecord { path: path.clone(), message };
        let record: Record = serde_json::from_slice(found.bytes()).map_err(|e| wrong(e.to_string()))?;
        if record.v != FORM {
            return Err(wrong(format!("its form {} is not known to this version", record.v)));
        }
        // What stands in it is given to git: a record is believed only what this crate writes.
        if record.name != name || record.branch != name::branch(name) || name::check(name).is_err() {
            return Err(wrong("it is the record of another session".to_owned()));
        }
        Ok(Some(record))
    }

    pub(crate) fn write(&self, record: &Record) -> Result<()> {
        let path = self.path(&record.name);
        let wrong = |e: serde_json::Error| Error::BadRecord { path: path.clone(), message: e.to_string() };
        let mut bytes = serde_json::to_vec_pretty(record).map_err(wrong)?;
        bytes.push(b'\n');
        self.latch.file_with_dirs(&path)?.write(&bytes, &WriteOptions::new())?;
        Ok(())
    }

    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        let path = self.path(name);
        let file = format!("{name}.json");
        let dir = self.git.fs.open_dir(&self.dir).map_err(Error::io("open", &self.dir))?;
        match dir.remove(file.as_ref()) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
            _ => dir.sync().map_err(Error::io("sync", &self.dir)),
        }
    }

    /// Names of all records, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>> {
        let dir = match self.git.fs.open_dir(&self.dir) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened.map_err(Error::io("open", &self.dir))?,
        };
        let mut names = Vec::new();
        let mut each = |file: std::ffi::OsString| {
            let name = file.to_str().and_then(|file| file.strip_suffix(".json"));
            names.extend(name.filter(|name| name::check(name).is_ok()).map(str::to_owned));
            true
        };
        dir.list(&mut each).map_err(Error::io("list", &self.dir))?;
        names.sort();
        Ok(names)
    }

    /// Nobody else makes or removes a worktree of a session while this is held.
    pub(crate) fn lock(&self) -> Result<Guard> {
        let file = self.latch.file_with_dirs(self.dir.join("worktrees"))?;
        Ok(file.lock(&LockOptions::new().wait(Wait::For(PATIENCE)))?)
    }

    /// Nobody else publishes a merge while this is held.
    pub(crate) fn lock_merge(&self) -> Result<Guard> {
        let file = self.latch.file_with_dirs(self.dir.join("merge"))?;
        Ok(file.lock(&LockOptions::new().wait(Wait::For(PATIENCE)))?)
    }

    /// Nobody else starts, merges or removes this session while this is held. The system ends it with the process that holds it: a session
    /// that is not whole and whose lock is free was interrupted. `None`: somebody holds it.
    pub(crate) fn try_lock_session(&self, name: &str) -> Result<Option<Guard>> {
        match self.busy_file(name)?.try_lock() {
            Ok(guard) => Ok(Some(guard)),
            Err(filelatch::Error::Locked { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Does somebody work on it right now?
    pub(crate) fn is_busy(&self, name: &str) -> Result<bool> {
        Ok(self.busy_file(name)?.is_locked()?)
    }

    fn busy_file(&self, name: &str) -> Result<LatchFile> {
        Ok(self.latch.file_with_dirs(self.dir.join(format!("{name}.busy")))?)
    }
}

/// A path as text; one that is not text as numbers.
mod path_text {
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Form<'a> {
        Text(std::borrow::Cow<'a, str>),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => Form::Text(text.into()),
            None => Form::Bytes(path.as_os_str().as_encoded_bytes().to_vec()),
        }
        .serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Form::deserialize(from)? {
            Form::Text(text) => PathBuf::from(text.into_owned()),
            Form::Bytes(bytes) => crate::git::path_of(&bytes),
        })
    }
}
