//! What the engine tells the log: one function for each thing that happens.
//!
//! Nothing here makes a call to the file system: records are queued, and [`Trail::flush`] writes them once the file's lock is released.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::LockKind;

use super::limits::AuditLocks;
use super::line::{Body, quoted};
use super::log::Log;
use crate::conflict::{HowResolved, StoredConflict};
use crate::doctor::Kind;
use crate::error::Error;
use crate::keep::Pruned;
use crate::lock::{Holder, Recovered};
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
    /// The versions of queued changes that share it, in their order (P7).
    pub(crate) passed: Vec<Version>,
    /// Whose the last change is; `None`: the engine's own session's.
    pub(crate) by: Option<Arc<str>>,
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
    /// The write of several files that it is a part of.
    pub(crate) intent: Option<&'a str>,
}

impl Trail {
    pub(crate) fn new(log: Arc<Log>, path: PathBuf) -> Trail {
        Trail { log, path }
    }

    fn body(&self, event: &'static str) -> Body {
        self.log.body(event).path("path", &self.path).raw("session", self.log.session())
    }

    /// A record of what was done for somebody; `None`: for the engine's own session.
    fn body_by(&self, event: &'static str, by: Option<&str>) -> Body {
        let Some(by) = by else { return self.body(event) };
        self.log.body(event).path("path", &self.path).raw("session", &quoted(by))
    }

    pub(crate) fn published(&self, publish: &Publish<'_>) {
        let Publish { version, generation, base, displaced, durability, passage, .. } = publish;
        let mut body = self.body_by("write", passage.by.as_deref()).number("generation", *generation);
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
        if let Some(intent) = publish.intent {
            body = body.text("intent", intent);
        }
        if let Some(token) = publish.token {
            body = body.number("token", token);
        }
        if let Some(waited) = publish.waited {
            body = body.number("waited_ms", millis(waited));
        }
        self.log.note(body);
    }

    /// A version that a program had written by itself has an author now.
    pub(crate) fn attributed(&self, version: &Version, generation: u64, by: Option<&str>) {
        let body = self.body_by("write", by).number("generation", generation).hash("hash", version);
        self.log.note(body.raw("outcome", "\"attributed\""));
    }

    /// The file was removed. `before`: what it was.
    pub(crate) fn removed(&self, before: &Version, intent: Option<&str>, by: Option<&str>) {
        let body = self.body_by("remove", by).hash("before", before);
        self.log.note(match intent {
            Some(intent) => body.text("intent", intent),
            None => body,
        });
    }

    /// A dead holder's part in a write of several files was settled: it was published, it was in place already, it met a foreign change, or
    /// the whole was dropped before anything of it was published.
    pub(crate) fn settled(&self, intent: &str, by: Option<&str>, how: &str) {
        let body = self.body("rolled-forward").text("intent", intent).text("outcome", how);
        self.log.note(match by {
            Some(by) => body.text("by", by),
            None => body,
        });
    }

    /// A lock that a caller held; told when it is released. `waited`: if it was waited for.
    pub(crate) fn locked(&self, kind: LockKind, waited: Option<Duration>, held: Duration) {
        if waited.is_none() && self.log.policy.locks != AuditLocks::All {
            return;
        }
        let kind = match kind {
            LockKind::Shared => "\"shared\"",
            LockKind::Exclusive => "\"exclusive\"",
        };
        let mut body = self.body("lock").raw("kind", kind);
        if let Some(waited) = waited {
            body = body.number("waited_ms", millis(waited));
        }
        self.log.note(body.number("held_ms", millis(held)));
    }

    /// A lock, or the right to write, that was not had or was lost. Other errors are no matter of the log, and a try that does not wait
    /// is none either.
    pub(crate) fn refused(&self, error: &Error) {
        let body = match error {
            Error::Timeout { waited, holders, .. } => {
                let holders = holders.iter().map(holder_json).collect::<Vec<_>>().join(",");
                self.body("refused").number("waited_ms", millis(*waited)).raw("holders", &format!("[{holders}]"))
            }
            Error::Deadlock { .. } | Error::LockLost { .. } => self.body("refused"),
            Error::Leased { holder, .. } => self.body("refused").raw("holders", &format!("[{}]", holder_json(holder))),
            Error::LeaseLost { token, current, .. } => {
                let body = self.body("refused").number("token", *token);
                current.map_or(body.clone(), |current| body.number("current", current))
            }
            _ => return,
        };
        self.log.note(body.text("why", error.code()));
    }

    /// A fallback lock was taken over from a dead holder.
    pub(crate) fn took_over(&self, recovered: &Recovered) {
        let body = self.body("recovered").raw("from", &holder_json(&recovered.from));
        self.log.note(body.text("proof", &recovered.proof));
    }

    /// A write in place that a dead holder had begun was completed.
    pub(crate) fn completed(&self, version: &Version, generation: u64) {
        self.log.note(self.body("completed").number("generation", generation).hash("hash", version));
    }

    /// A lease was granted, or given back.
    pub(crate) fn leased(&self, outcome: &'static str, token: u64, hold: Option<Duration>) {
        let body = self.body("lease").text("outcome", outcome).number("token", token);
        self.log.note(match hold {
            Some(hold) => body.number("hold_ms", millis(hold)),
            None => body,
        });
    }

    /// A program that is not filelatch has changed the file at the moment of a publish. `kept`: where its version is, if it is not in place.
    pub(crate) fn foreign(&self, kept: Option<&Path>, why: &'static str) {
        let body = self.body("foreign").text("why", why);
        self.log.note(match kept {
            Some(kept) => body.text("kept", &kept.to_string_lossy()),
            None => body,
        });
    }

    pub(crate) fn conflict(&self, stored: &StoredConflict) {
        let body = self.body("conflict").text("id", &stored.id);
        self.log.note(body.raw("cause", &json(&stored.cause)));
    }

    pub(crate) fn resolved(&self, id: &str, how: HowResolved, version: Option<&Version>, by: Option<&str>) {
        let body = self.body_by("resolve", by).text("id", id).text("how", &how.to_string());
        self.log.note(match version {
            Some(version) => body.hash("hash", version),
            None => body,
        });
    }

    /// A kept version was brought back; the write itself has a record of its own.
    pub(crate) fn restored(&self, version: &Version, by: Option<&str>) {
        self.log.note(self.body_by("restore", by).hash("hash", version));
    }

    /// Kept versions were removed.
    pub(crate) fn pruned(&self, pruned: &Pruned) {
        if pruned.versions > 0 {
            let body = self.body("prune").number("versions", pruned.versions).number("bytes", pruned.bytes);
            self.log.note(body.number("left", pruned.left));
        }
    }

    /// The doctor has put something right.
    pub(crate) fn fixed(&self, what: Kind) {
        self.log.note(self.body("fixed").raw("what", &json(&what)));
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

/// A word that has a serialised form.
fn json(word: &impl serde::Serialize) -> String {
    serde_json::to_string(word).unwrap_or_else(|_| "null".to_owned())
}

/// Whose the lock was. The process id and the host are left out for readers elsewhere.
fn holder_json(holder: &Holder) -> String {
    let named =
        |name: &str, value: &Option<String>| value.as_ref().map(|value| format!("\"{name}\":{}", quoted(value)));
    let pid = holder.pid.map(|pid| format!("\"pid\":{pid}"));
    let fields = [named("session", &holder.session), named("host", &holder.host), pid];
    format!("{{{}}}", fields.into_iter().flatten().collect::<Vec<_>>().join(","))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
