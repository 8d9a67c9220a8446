//! A change of one file, however it was asked for: planned on the newest content under the lock, published by the library, told.
//!
//! # Promise
//! - What a plan makes of the newest content is what is published, or nothing is; a plan may be asked again when another program has written.
//! - With a key in a workspace, the key and the answer are published together with the change ([`keys`](crate::keys)).
//! - A dry run takes no lock and writes nothing.

use std::time::Duration;

use filelatch::diff::{DiffOptions, Difference, diff};
use filelatch::show::{author, time};
use filelatch::store::OwnStore;
use filelatch::{
    Durability, Error, Expect, FileContent, LatchFile, ManyOptions, Notice, Outcome as Published, Strategy, Version,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::edits::Changed;
use crate::keys::Key;
use crate::place::Place;
use crate::refusal::{ConflictView, Refusal};
use crate::work::Call;

/// Longer contents are compared as a whole, not line by line.
const COMPARED: usize = 256 << 10;

/// What became of a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It is in place.
    #[default]
    Written,
    /// It was brought together with what others wrote since `base_hash`.
    Merged,
    /// It was like that already.
    Unchanged,
    /// Nothing was written: this is what would be.
    DryRun,
    /// It was made before, by a call with the same key; this is what that answered.
    Repeated,
}

/// What a tool that changes one file answers.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) path: String,
    /// The version with this change in it: give it as `base_hash` of the next.
    pub(crate) hash: String,
    /// The version that was replaced; null: there was no file.
    pub(crate) previous_hash: Option<String>,
    pub(crate) outcome: Outcome,
    /// Where, from the first line to the last.
    pub(crate) changed: Vec<ChangedView>,
    /// The change as a unified diff; in a dry run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) diff: Option<String>,
    /// The session that it was written as.
    pub(crate) by: String,
    /// Others have written since `base_hash`; the last of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) others: Vec<Other>,
    /// The version that was overwritten although another one was expected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) overwrote: Option<String>,
    /// The first line of what was appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_line: Option<usize>,
    /// Where the key is remembered: `workspace`, or `process` (until this server ends).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) remembered: Option<String>,
    /// What there is to know besides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) notices: Vec<String>,
}

/// A place that was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct ChangedView {
    /// The line where it begins, from 1, as it is now.
    start_line: usize,
    lines_removed: usize,
    lines_added: usize,
}

impl From<Changed> for ChangedView {
    fn from(changed: Changed) -> ChangedView {
        let Changed { start_line, lines_removed, lines_added } = changed;
        ChangedView { start_line, lines_removed, lines_added }
    }
}

/// Somebody else who wrote.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Other {
    /// A session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// What a write has survived when it is answered.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DurabilityArgument {
    /// A power cut.
    Full,
    /// A power cut may take it back, whole.
    File,
    /// A power cut may take it.
    None,
}

impl From<DurabilityArgument> for Durability {
    fn from(argument: DurabilityArgument) -> Durability {
        match argument {
            DurabilityArgument::Full => Durability::Full,
            DurabilityArgument::File => Durability::File,
            DurabilityArgument::None => Durability::None,
        }
    }
}

/// How a change is to be made.
#[derive(Debug, Default)]
pub(crate) struct How {
    pub(crate) wait: Duration,
    pub(crate) durability: Option<DurabilityArgument>,
    pub(crate) lease_token: Option<u64>,
    pub(crate) dry_run: bool,
    /// What the caller has seen, to tell of others.
    pub(crate) base: Option<Expect>,
}

/// What is to become of a file.
#[derive(Debug, Default)]
pub(crate) struct Planned {
    /// The new content; `None`: it stays as it is.
    pub(crate) bytes: Option<Vec<u8>>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) merged: bool,
    pub(crate) overwrote: Option<Version>,
    pub(crate) start_line: Option<usize>,
}

impl Planned {
    /// A whole new content.
    pub(crate) fn content(old: Option<&[u8]>, bytes: Vec<u8>) -> Planned {
        if old == Some(&bytes[..]) {
            return Planned::default();
        }
        Planned { changed: changes(old.unwrap_or_default(), &bytes), bytes: Some(bytes), ..Planned::default() }
    }
}

/// Why a plan was not made.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The library's error.
    Library(Error),
    /// A refusal.
    Refused(Box<Refusal>),
    /// The version that it was made for is needed, and is to be looked for without the lock.
    NeedsBase,
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Library(error)
    }
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Stop {
        Stop::Refused(Box::new(refusal))
    }
}

impl Stop {
    /// As a refusal about a file.
    pub(crate) fn refusal(self, call: &Call, place: &Place) -> Refusal {
        match self {
            Stop::Library(error) => call.refused(&error).about(place.as_str()),
            Stop::Refused(refusal) => *refusal,
            Stop::NeedsBase => Refusal::new("internal", "the version that the change was made for was not looked for"),
        }
    }
}

/// A plan: from the newest content (`None`: no file) to what is to become of it. May be asked more than once.
pub(crate) type Plan<'a> = dyn FnMut(Option<&[u8]>) -> Result<Planned, Stop> + 'a;

/// Makes a change of one file as it was asked for.
pub(crate) fn change(
    call: &Call,
    place: &Place,
    file: &LatchFile,
    how: &How,
    plan: &mut Plan<'_>,
) -> Result<Answer, Stop> {
    let seen = match (&how.base, how.dry_run) {
        (None, false) => None,
        _ => file.try_read()?,
    };
    let plan = &mut |old: Option<&[u8]>| plan(old).map_err(|stop| stamped(stop, old));
    let mut answer = match call.key().filter(|_| !how.dry_run) {
        _ if how.dry_run => {
            let old = seen.as_ref().map(filelatch::Snapshot::bytes);
            let planned = plan(old)?;
            dry(call, place, old, &planned)
        }
        None => locked(call, place, file, how, plan)?,
        Some(key) => keyed(call, place, file, how, key, plan)?,
    };
    if let Some(base) = &how.base
        && answer.outcome != Outcome::Repeated
        && let Some(previous) = answer.previous_hash.as_ref().and_then(|hash| hash.parse::<Version>().ok())
        && !base.admits(Some(&previous))
    {
        // Whose the version was that this one replaced.
        let by = seen.filter(|seen| seen.version() == previous).map(|seen| (seen.author().clone(), seen.modified_at()));
        let by = by.or_else(|| {
            let kept = file.history().ok()?.into_iter().find(|kept| kept.version == previous)?;
            Some((kept.by, kept.at))
        });
        let (by, at) = by.map_or((None, None), |(by, at)| (author(&by), Some(time(at))));
        answer.others.push(Other { by, at });
    }
    Ok(answer)
}

/// What a change answers that made this of that.
fn answer(call: &Call, place: &Place, old: Option<Version>, planned: &Planned) -> Answer {
    let new = planned.bytes.as_deref().map(Version::of);
    if let (Some(new), Some(bytes)) = (new, &planned.bytes) {
        call.server().known().put(new, &bytes[..]);
    }
    let hash = new.or(old);
    Answer {
        ok: true,
        path: place.as_str().to_owned(),
        hash: hash.map(|hash| hash.to_string()).unwrap_or_default(),
        previous_hash: old.map(|hash| hash.to_string()),
        outcome: match (&planned.bytes, planned.merged) {
            (None, _) => Outcome::Unchanged,
            (_, true) => Outcome::Merged,
            _ => Outcome::Written,
        },
        changed: planned.changed.iter().copied().map(ChangedView::from).collect(),
        by: call.session().to_string(),
        overwrote: planned.overwrote.map(|version| version.to_string()),
        start_line: planned.start_line,
        ..Answer::default()
    }
}

fn dry(call: &Call, place: &Place, old: Option<&[u8]>, planned: &Planned) -> Answer {
    let diff = planned.bytes.as_deref().and_then(|new| unified(old.unwrap_or_default(), new, place.as_str()));
    Answer { outcome: Outcome::DryRun, diff, ..answer(call, place, old.map(Version::of), planned) }
}

/// Under the file's lock, or its lease.
fn locked(call: &Call, place: &Place, file: &LatchFile, how: &How, plan: &mut Plan<'_>) -> Result<Answer, Stop> {
    let mut options = call.options(how.wait).strategy(Strategy::FailFast);
    options.durability = how.durability.map(Durability::from);
    let mut made = Answer::default();
    let change = |old: Option<&[u8]>| {
        let planned = plan(old)?;
        made = answer(call, place, old.map(Version::of), &planned);
        Ok::<_, Stop>(planned.bytes)
    };
    let written = match how.lease_token {
        Some(token) => file.lock_under(token, &options.lock)?.update_bytes(&options, change),
        None => file.update_bytes(&options, change),
    }?;
    if written.outcome == Published::Merged {
        made.outcome = Outcome::Merged;
        made.hash = written.version.map_or(made.hash, |version| version.to_string());
    }
    made.notices = told(&written.notices);
    Ok(made)
}

fn told(notices: &[Notice]) -> Vec<String> {
    notices.iter().map(ToString::to_string).collect()
}

/// With a key.
fn keyed(
    call: &Call,
    place: &Place,
    file: &LatchFile,
    how: &How,
    key: &Key,
    plan: &mut Plan<'_>,
) -> Result<Answer, Stop> {
    let mut options = ManyOptions::new();
    options.durability = how.durability.map(Durability::from);
    if let Some(token) = how.lease_token {
        options = options.under(0, token);
    }
    let files = [file.clone()];
    let once = once(call, &files, key, options.lock(call.lock(how.wait)), |contents| {
        let Some(content) = contents.first_mut() else { return Ok(Answer::default()) };
        let old = content.bytes().map(Version::of);
        let planned = plan(content.bytes())?;
        let mut made = answer(call, place, old, &planned);
        made.remembered = Some("workspace".to_owned());
        if let Some(bytes) = planned.bytes {
            content.write(bytes);
        }
        Ok(made)
    })?;
    match once {
        Once::Made(answer) => Ok(answer),
        Once::Repeated(answer) => Ok(Answer { outcome: Outcome::Repeated, ..answer }),
        Once::NoWorkspace => match call.server().keys().reserve(key, call.server().host().now())? {
            Ok(made) => {
                let made: Answer = serde_json::from_value(made).map_err(|e| unreadable(&e))?;
                Ok(Answer { outcome: Outcome::Repeated, ..made })
            }
            Err(reserved) => {
                let made = Answer { remembered: Some("process".to_owned()), ..locked(call, place, file, how, plan)? };
                reserved.answer(serde_json::to_value(&made).map_err(|e| unreadable(&e))?);
                Ok(made)
            }
        },
    }
}

/// What became of a call with a key.
pub(crate) enum Once<A> {
    Made(A),
    Repeated(A),
    /// There is no workspace to remember it in.
    NoWorkspace,
}

/// Changes files and remembers the key and the answer, as one write; or finds that it was done.
pub(crate) fn once<A: Serialize + DeserializeOwned>(
    call: &Call,
    files: &[LatchFile],
    key: &Key,
    options: ManyOptions<'_>,
    mut plan: impl FnMut(&mut [FileContent]) -> Result<A, Stop>,
) -> Result<Once<A>, Stop> {
    let latch = call.latch();
    let folder = files.first().and_then(|file| file.canonical_path().parent());
    let folder = match folder.map(|folder| latch.own_store(folder, OwnStore::Agents, true)) {
        None | Some(Err(Error::NoWorkspace { .. })) => return Ok(Once::NoWorkspace),
        Some(folder) => folder?,
    };
    let sheet = latch.file_with_dirs(key.path(&folder))?;
    let mut all = files.to_vec();
    all.push(sheet.clone());
    let options = options.session(std::sync::Arc::clone(call.session()));
    let now = call.server().host().now();
    let written = latch.update_files(&all, &options, |contents| {
        let Some((sheet, contents)) = contents.split_last_mut() else { return Ok(Once::NoWorkspace) };
        if let Some(answer) = key.answered(sheet.bytes())? {
            return serde_json::from_value(answer).map(Once::Repeated).map_err(|e| unreadable(&e).into());
        }
        let answer = plan(contents)?;
        let value = serde_json::to_value(&answer).map_err(|e| unreadable(&e))?;
        let bytes = key.with_answer(sheet.bytes(), value, now)?;
        sheet.write(bytes);
        Ok(Once::Made(answer))
    });
    match written {
        Ok((_, once)) => Ok(once),
        Err(Stop::Library(Error::NoWorkspace { .. })) if files.len() == 1 => Ok(Once::NoWorkspace),
        Err(stop) => {
            if matches!(stop, Stop::Library(Error::Partial(_))) {
                // It was not made as the answer says; what is remembered would be false.
                sheet.update_bytes(&call.options(call.wait(None)), |bytes| key.without(bytes).map_err(Stop::from))?;
            }
            Err(stop)
        }
    }
}

fn unreadable(error: &serde_json::Error) -> Refusal {
    Refusal::new("internal", format!("the answer cannot be written down or read: {error}"))
}

/// The lines that differ; one place for all where the contents are long.
pub(crate) fn changes(old: &[u8], new: &[u8]) -> Vec<Changed> {
    if old.len() <= COMPARED
        && new.len() <= COMPARED
        && let Difference::Lines(hunks) = diff(old, new, &DiffOptions { context: 0, ..DiffOptions::default() })
    {
        let changed = hunks.iter().map(|hunk| Changed {
            start_line: hunk.new.start + 1,
            lines_removed: hunk.old.len(),
            lines_added: hunk.new.len(),
        });
        return changed.take(100).collect();
    }
    let lines = |bytes: &[u8]| memchr::memchr_iter(b'\n', bytes).count();
    let whole = |bytes: &[u8]| lines(bytes) + usize::from(!bytes.is_empty() && !bytes.ends_with(b"\n"));
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let before = memchr::memrchr(b'\n', &old[..same]).map_or(0, |at| at + 1);
    let start_line = lines(&old[..before]) + 1;
    let (old, new) = (&old[before..], &new[before..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    let tail = &old[old.len() - same..];
    let tail = memchr::memchr(b'\n', tail).map_or(0, |at| tail.len() - at - 1);
    let (removed, added) = (whole(&old[..old.len() - tail]), whole(&new[..new.len() - tail]));
    vec![Changed { start_line, lines_removed: removed, lines_added: added }]
}

/// The change as a unified diff, where both are text.
pub(crate) fn unified(old: &[u8], new: &[u8], path: &str) -> Option<String> {
    let difference = diff(old, new, &DiffOptions::default());
    matches!(difference, Difference::Lines(_))
        .then(|| String::from_utf8(difference.unified(&format!("a/{path}"), &format!("b/{path}"))).ok())
        .flatten()
}

/// A conflict, with the version that it is with.
pub(crate) fn stamped(mut stop: Stop, old: Option<&[u8]>) -> Stop {
    if let Stop::Refused(refusal) = &mut stop
        && let Some(conflict) = &mut refusal.conflict
    {
        conflict.current_hash = old.map(|old| Version::of(old).to_string());
    }
    stop
}

/// Who wrote what is there, for a conflict that a plan has found.
pub(crate) fn with_author(call: &Call, mut refusal: Refusal, file: &LatchFile) -> Refusal {
    let Some(conflict) = &mut refusal.conflict else { return refusal };
    let read = || file.try_read().ok().flatten();
    let mut found = read();
    if found.as_ref().map(|found| found.version().to_string()) != conflict.current_hash {
        // What another call of this server has made and not published yet is there once that has let go of the lock.
        if file.lock(&call.lock(call.wait(None))).is_ok() {
            found = read();
        }
    }
    if let Some(seen) = found {
        let ConflictView { current_hash, by, at, .. } = &mut **conflict;
        *current_hash = Some(seen.version().to_string());
        *by = author(seen.author());
        *at = Some(time(seen.modified_at()));
    }
    refusal
}
