//! `write`: a file's whole content.

use std::sync::Arc;

use filelatch::{Expect, LatchFile, Strategy, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Tool};
use crate::edits::{BOM, Ending, with_crlf};
use crate::fitting::too_large;
use crate::place::Place;
use crate::refusal::{ConflictView, Refusal};
use crate::tools::read::hash_of;
use crate::work::{Call, Work};
use crate::writing::{self, Answer, DurabilityArgument, How, Outcome, Planned, Stop, changes};

pub(super) struct Write;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file, relative to the root.
    path: String,
    /// Its whole new content.
    content: String,
    /// The version that it replaces: the `hash` of what you read.
    base_hash: Option<String>,
    /// There must be no such file yet.
    #[serde(default)]
    expect_absent: bool,
    /// The content that it was made from, instead of `base_hash`.
    base_content: Option<String>,
    /// If the file is not what was expected: `fail-fast` (default) refuses, `queue` too, after waiting longer for the lock, `last-write-wins`
    /// replaces it, `merge` merges both.
    strategy: Option<StrategyArgument>,
    /// Line endings of a file that is there: `keep` (default) writes line feeds as CR LF where all its lines end so, and keeps its byte order
    /// mark; `as_given` writes just `content`.
    #[serde(default)]
    endings: Endings,
    /// Make the directories that are missing.
    #[serde(default)]
    mkdir: bool,
    /// Show what would change, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// A text of your own: the same call with the same key is made once, also if its answer got lost.
    #[expect(dead_code, reason = "it is taken before the arguments are")]
    idempotency_key: Option<String>,
    /// The `token` of your lease on the file.
    lease_token: Option<u64>,
    /// How long to wait for the lock: 5000 unless given, at most 60000.
    wait_ms: Option<u64>,
    /// What the write has survived when it is answered; else as the file's policy says.
    durability: Option<DurabilityArgument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
enum StrategyArgument {
    FailFast,
    Queue,
    LastWriteWins,
    Merge,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Endings {
    #[default]
    Keep,
    AsGiven,
}

impl Tool for Write {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "write";
    const TITLE: &'static str = "Write a whole file";
    const DESCRIPTION: &'static str = "Creates a file, or replaces the whole content of one. To replace, give the `base_hash` that you read, so that \
        nobody's work is lost; to change parts, prefer `edit`. `needs-base`: the file exists, read it first. `conflict`: somebody wrote since; \
        read again.";
    const ACCESS: Access = Access::Writes;
    const DESTROYS: bool = true;
    const IDEMPOTENT: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let place = call.place(&arguments.path)?;
        let limit = usize::try_from(call.server().limits().content).unwrap_or(usize::MAX);
        if arguments.content.len() > limit {
            return Err(too_large(&place, arguments.content.len(), limit));
        }
        let base_content: Option<Arc<[u8]>> = arguments.base_content.as_ref().map(|base| base.as_bytes().into());
        let expect = match (&arguments.base_hash, arguments.expect_absent, &base_content) {
            (None, false, None) => Expect::Any,
            (Some(hash), false, _) => hash_of(hash)?,
            (None, true, None) => Expect::Absent,
            (None, false, Some(base)) => Expect::Version(Version::of(base)),
            _ => return Err(Refusal::malformed("`expect_absent` goes with neither `base_hash` nor `base_content`")),
        };
        let file = place.open(call.server(), arguments.mkdir && !arguments.dry_run);
        let file = file.map_err(|refusal| match refusal.kind.as_str() {
            "not-found" => Refusal { next: Vec::new(), ..refusal }.next(
                "write",
                json!({"path": place.as_str(), "mkdir": true}),
                "makes the directories that are missing",
            ),
            _ => refusal,
        })?;
        let strategy = arguments.strategy.unwrap_or(StrategyArgument::FailFast);
        let how = How {
            wait: call.wait_for(arguments.wait_ms, strategy == StrategyArgument::Queue),
            durability: arguments.durability,
            lease_token: arguments.lease_token,
            dry_run: arguments.dry_run,
            base: Some(expect.clone()).filter(|expect| matches!(expect, Expect::Version(_) | Expect::Prefix(_))),
        };
        let mut replacing =
            Replacing { call, place: &place, file: &file, arguments: &arguments, expect, strategy, base: base_content };
        loop {
            match writing::change(call, &place, &file, &how, &mut |old| replacing.plan(old)) {
                Err(Stop::NeedsBase) => replacing.find_base()?,
                Err(Stop::Refused(refusal)) if refusal.kind == CLASH => return replacing.store(&how),
                Err(stop) => return Err(writing::with_author(call, stop.refusal(call, &place), &file)),
                Ok(answer) => return Ok(answer),
            }
        }
    }
}

/// What does not merge, before it is stored.
const CLASH: &str = "clash";

struct Replacing<'a> {
    call: &'a Call,
    place: &'a Place,
    file: &'a LatchFile,
    arguments: &'a Arguments,
    expect: Expect,
    strategy: StrategyArgument,
    base: Option<Arc<[u8]>>,
}

impl Replacing<'_> {
    fn plan(&self, old: Option<&[u8]>) -> Result<Planned, Stop> {
        let new = self.content(old);
        if old == Some(&new[..]) {
            return Ok(Planned::default());
        }
        let current = match self.expect {
            Expect::Version(_) | Expect::Prefix(_) => old.map(Version::of),
            _ => None,
        };
        let fits = match &self.expect {
            Expect::Any | Expect::Absent => old.is_none(),
            expect => expect.admits(current.as_ref()),
        };
        if fits {
            return Ok(Planned::content(old, new));
        }
        match (self.strategy, old) {
            (StrategyArgument::LastWriteWins, _) => {
                let overwrote = current.filter(|_| self.expect != Expect::Any);
                Ok(Planned { overwrote, ..Planned::content(old, new) })
            }
            (StrategyArgument::Merge, Some(old)) if matches!(self.expect, Expect::Version(_) | Expect::Prefix(_)) => {
                let base = self.known().ok_or(Stop::NeedsBase)?;
                let merged = self.file.merge(Some(&base), &new, old)?;
                let Some(bytes) = merged.content() else { return Err(Refusal::new(CLASH, "both changed it").into()) };
                Ok(Planned { changed: changes(old, &bytes), bytes: Some(bytes), merged: true, ..Planned::default() })
            }
            _ => Err(self.refusal(old).into()),
        }
    }

    /// The content, with line endings and byte order mark as the file has them.
    fn content(&self, old: Option<&[u8]>) -> Vec<u8> {
        let given = &self.arguments.content;
        let Some(old) = old.filter(|_| self.arguments.endings == Endings::Keep) else {
            return given.clone().into_bytes();
        };
        let new = match (Ending::of(old), Ending::of(given.as_bytes())) {
            (Ending::Crlf, Ending::Lf) => with_crlf(given),
            _ => given.clone(),
        };
        let mark = if old.starts_with(BOM) && !given.as_bytes().starts_with(BOM) { BOM } else { &[] };
        [mark, new.as_bytes()].concat()
    }

    fn known(&self) -> Option<Arc<[u8]>> {
        self.base.clone().or_else(|| match &self.expect {
            Expect::Version(version) => self.call.server().known().get(version),
            _ => None,
        })
    }

    /// Looks for what is merged on; it must be found.
    fn find_base(&mut self) -> Result<(), Refusal> {
        let found = self.file.find_base(&self.expect).map_err(|e| self.call.refused(&e).about(self.place.as_str()))?;
        let Some(found) = found else {
            let message =
                format!("`{}` changed, and the version that this was made from is not kept", self.place.as_str());
            let refusal = Refusal::new("conflict", message).about(self.place.as_str());
            let refusal = Refusal { conflict: Some(Box::new(self.view())), ..refusal };
            let refusal = refusal.next("read", json!({"path": self.place.as_str()}), "shows what is there now");
            return Err(writing::with_author(
                self.call,
                refusal.hint("or give what it was made from, as `base_content`"),
                self.file,
            ));
        };
        self.base = Some(found.into());
        Ok(())
    }

    /// What does not merge: by the library's own way, which stores the conflict where there is a place for it.
    fn store(&self, how: &How) -> Result<Answer, Refusal> {
        let (call, place) = (self.call, self.place);
        if how.dry_run || call.key().is_some() || how.lease_token.is_some() {
            return Err(writing::with_author(call, self.refusal(Some(&[])), self.file));
        }
        let mut options = call.options(how.wait).strategy(Strategy::Merge).expect(self.expect.clone());
        options.durability = how.durability.map(filelatch::Durability::from);
        options.base = self.known();
        let old = self.file.try_read().map_err(|e| call.refused(&e))?;
        let new = self.content(old.as_ref().map(filelatch::Snapshot::bytes));
        let written = self.file.write(&new, &options).map_err(|e| {
            let refusal = call.refused(&e).about(place.as_str());
            self.with_sides(refusal, &new)
        })?;
        Ok(Answer {
            ok: true,
            path: place.as_str().to_owned(),
            hash: written.version.map(|version| version.to_string()).unwrap_or_default(),
            previous_hash: old.map(|old| old.version().to_string()),
            outcome: Outcome::Merged,
            by: call.session().to_string(),
            ..Answer::default()
        })
    }

    /// Shows the first places that do not fit together.
    fn with_sides(&self, mut refusal: Refusal, new: &[u8]) -> Refusal {
        if let Some(conflict) = &mut refusal.conflict
            && let Ok(Some(theirs)) = self.file.try_read()
            && let Ok(merged) = self.file.merge(self.known().as_deref(), new, theirs.bytes())
            && let Some(hunk) = merged.conflicts().next()
        {
            let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).chars().take(4000).collect::<String>();
            conflict.mine = Some(shown(&hunk.ours));
            conflict.theirs = Some(shown(&hunk.theirs));
        }
        refusal
    }

    fn view(&self) -> ConflictView {
        let expected_hash = match &self.expect {
            Expect::Any => None,
            Expect::Absent => Some("absent".to_owned()),
            Expect::Version(version) => Some(version.to_string()),
            Expect::Prefix(prefix) => Some(prefix.clone()),
        };
        ConflictView { expected_hash, ..ConflictView::default() }
    }

    fn refusal(&self, old: Option<&[u8]>) -> Refusal {
        let path = self.place.as_str();
        let (kind, message) = match (&self.expect, old) {
            (Expect::Any, _) => {
                ("needs-base", format!("`{path}` exists already, and this says nothing of what it replaces"))
            }
            (Expect::Absent, _) => ("conflict", format!("`{path}` exists already")),
            (_, None) => ("conflict", format!("`{path}` is gone")),
            _ => ("conflict", format!("`{path}` changed since the version that this was made for")),
        };
        let known = match &self.expect {
            Expect::Version(version) => json!({"path": path, "known_hash": version.to_string()}),
            _ => json!({"path": path}),
        };
        let refusal = Refusal { conflict: Some(Box::new(self.view())), ..Refusal::new(kind, message) }.about(path);
        match old {
            None => refusal.next("write", json!({"path": path, "expect_absent": true}), "makes it again"),
            Some(_) => refusal.next("read", known, "shows what is there; then give its `hash` as `base_hash`"),
        }
    }
}
