//! What the engine tells the log: one function for each thing that happens.
//!
//! Nothing here makes a call to the file system: records are queued, and [`Trail::flush`] writes them once the file's lock is released.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::line::Body;
use super::log::Log;
use crate::version::Version;
use crate::write::publish::Base;
use crate::write::{Durability, Notice};

/// The log, as it is told of one file.
#[derive(Clone, Debug)]
pub(crate) struct Trail {
    log: Arc<Log>,
    /// Relative to the workspace's folder.
    path: PathBuf,
}

/// What a publish is made of besides its content.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passage {
    /// It brings changes of several writers together.
    pub(crate) merged: bool,
    /// Changes of this process in it.
    pub(crate) changes: usize,
    /// Writes whose place a newer one took.
    pub(crate) superseded: usize,
    /// Versions in between that writers were told of.
    pub(crate) passed: Vec<Version>,
}

/// One publish.
pub(crate) struct Publish<'a> {
    pub(crate) version: Version,
    pub(crate) generation: u64,
    pub(crate) base: &'a Base<'a>,
    /// The version that was overwritten unseen, if somebody looked.
    pub(crate) displaced: Option<Version>,
    pub(crate) durability: Durability,
    pub(crate) in_place: bool,
    /// It is visible, and may not survive a power cut.
    pub(crate) not_durable: bool,
    /// The lease that it was written under.
    pub(crate) token: Option<u64>,
    /// How long its lock was waited for.
    pub(crate) waited: Option<Duration>,
    pub(crate) passage: &'a Passage,
}

impl Trail {
    pub(crate) fn new(log: Arc<Log>, path: PathBuf) -> Trail {
        Trail { log, path }
    }

    fn body(&self, event: &'static str) -> Body {
        self.log.body(event).path("path", &self.path).raw("session", self.log.session())
    }

    pub(crate) fn published(&self, publish: &Publish<'_>) {
        let Publish { version, generation, base, displaced, durability, passage, .. } = publish;
        let mut body = self.body("write").number("generation", *generation);
        body = match base {
            Base::Absent => body.raw("before", "null"),
            Base::Bytes(old, content) => match (content.known_version(), &old.attribution) {
                (Some(version), _) => body.hash("before", &version),
                // By its word: nobody has hashed these bytes, and it would cost more than the record.
                (None, Some(old)) => body.text("before", old.digits()),
                (None, None) => body,
            },
            Base::Unchecked(old) => match (displaced, old.and_then(|old| old.attribution.as_ref())) {
                (Some(version), _) => body.hash("before", version),
                (None, Some(old)) => body.text("before", old.digits()),
                (None, None) => body,
            },
        };
        body = body.hash("hash", version).raw("outcome", if passage.merged { "\"merged\"" } else { "\"written\"" });
        body = body.raw(
            "durability",
            match durability {
                Durability::None => "\"none\"",
                Durability::File => "\"file\"",
                Durability::Full => "\"full\"",
            },
        );
        body = body.flag("in_place", publish.in_place).flag("not_durable", publish.not_durable);
        if passage.changes > 1 {
            body = body.number("changes", passage.changes as u64);
        }
        if passage.superseded > 0 {
            body = body.number("superseded", passage.superseded as u64);
        }
        if !passage.passed.is_empty() {
            body = body.texts("passed", passage.passed.iter().map(Version::to_string));
        }
        if let Some(token) = publish.token {
            body = body.number("token", token);
        }
        if let Some(waited) = publish.waited {
            body = body.number("waited_ms", millis(waited));
        }
        self.log.note(body);
    }

    /// Writes what was told, unless another thread is at it.
    pub(crate) fn flush(&self) {
        self.log.flush();
    }

    /// What a write has to tell of the log, if it can't be written.
    pub(crate) fn notice(&self) -> Option<Notice> {
        self.log.trouble().map(|why| Notice::NotAudited { why })
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
