//! Completing what a dead holder has begun to write to several files: each file's part by whoever locks that file next, under its lock
//! alone (P9).
//!
//! # Promise
//! - Nobody is given a lock of the file before its part is settled: it is in, durably; or it met a change of a program that ignores locks, and
//!   both versions are kept as a stored conflict; or the whole was dropped before anything was published.
//! - Whoever completes may be killed at any point, and the next goes on.
//!
//! # How
//! No other lock is needed, because the lock file's note says what is missing of this file and of no other: it is there from before the
//! first publish until this file's part is durable. So the order in which files are completed does not matter, nobody waits for
//! anybody, and a file may go on being changed while others are not completed yet.
//!
//! What is there is compared with what was there before and what is to be there: `after` → only to be made durable; `before` → published as
//! any write, with a look at what is displaced; anything else → conflict.

use std::io;
use std::path::Path;
use std::sync::Arc;

use super::Several;
use super::intent::{ABSENT, Decision, Intents, Journal, State, is_id};
use crate::conflict::{self, Cause, NewConflict, NewSide, Sides, StoredConflict};
use crate::engine::Filelatch;
use crate::entry::{Entry, Extra, make_durable};
use crate::error::{Error, Result, plain};
use crate::file::LatchFile;
use crate::lock::acquire::acquire;
use crate::lock::owner::Owner;
use crate::lock::record::Intent;
use crate::lock::resource::Tenure;
use crate::lock::{LockOptions, LockScope};
use crate::merge_path::{apart, together};
use crate::parts::Parts;
use crate::snapshot::Content;
use crate::version::{Expect, Version};
use crate::workspace::{WORKSPACE_DIR, Workspace};
use crate::write::publish::Base;
use crate::write::{Author, Durability, current, in_place};

/// Times that a foreign program may write at the very moment of the publish.
pub(super) const ROUNDS: usize = 3;

impl Entry {
    /// Completes what an earlier holder left unfinished. Only for an exclusive lock, before anybody looks at the file.
    pub(crate) fn recovered(&self, mut tenure: Tenure) -> Result<Tenure> {
        if let Some(intent) = tenure.intent.take() {
            self.complete(&tenure, &intent)?;
        }
        Ok(tenure)
    }

    /// Completes an unfinished write. Only while nobody else may write.
    pub(crate) fn complete(&self, tenure: &Tenure, intent: &Intent) -> Result<()> {
        if intent.kind == super::KIND {
            settle(self, tenure, intent)
        } else {
            in_place::recover(&tenure.resource, intent)
        }
    }
}

fn settle(entry: &Entry, tenure: &Tenure, note: &Intent) -> Result<()> {
    let id = note.journal.as_str();
    let stuck = |problem: String| Error::Unrecovered { path: entry.place().spelled.clone(), problem };
    let fails = |e: io::Error| stuck(format!("the intent `{id}` of a write of several files: {}", plain(&e)));
    if !is_id(id) {
        return Err(stuck("the record of it is damaged".to_owned()));
    }
    let dir = above(entry);
    let found = find(entry.parts(), entry.workspace.as_deref(), dir, id).map_err(fails)?;
    let Some(intents) = found else { return gone(entry, tenure, note) };
    let (state, by, how) = match intents.decide(id).map_err(fails)? {
        Decision::Gone => return gone(entry, tenure, note),
        Decision::Dropped => (State::Dropped, None, "dropped"),
        Decision::Committed => {
            let journal = intents.read(id, State::Committed).map_err(|e| {
                let path = intents.path().join(format!("{id}.committed"));
                stuck(format!("the intent of a write of several files, `{}`, can't be used: {e}", path.display()))
            })?;
            let how = roll_forward(entry, tenure, note, &intents, &journal)?;
            (State::Committed, Some(journal.session), how)
        }
    };
    if let Some(trail) = entry.trail() {
        trail.settled(id, by.as_deref(), how);
    }
    tenure.resource.set_intent(None)?;
    intents.tidy(entry.parts(), id, state);
    Ok(())
}

/// The intents of the file's workspace, or of one further up: another may have been made in between since.
fn find(parts: &Parts, own: Option<&Workspace>, dir: &Path, id: &str) -> io::Result<Option<Intents>> {
    if let Some(workspace) = own.filter(|workspace| workspace.is_trusted)
        && let Some(intents) = Intents::open(parts, workspace)?
        && intents.knows(id)?
    {
        return Ok(Some(intents));
    }
    for root in dir.ancestors() {
        if parts.fs.stat(&root.join(WORKSPACE_DIR)).is_err() {
            continue;
        }
        // One that is another user's is none that anybody was to trust.
        let workspace = Workspace::find(parts, root, &Vec::new()).ok().flatten();
        if let Some(workspace) = workspace.filter(|workspace| workspace.is_trusted && workspace.root == root)
            && let Some(intents) = Intents::open(parts, &workspace)?
            && intents.knows(id)?
        {
            return Ok(Some(intents));
        }
    }
    Ok(None)
}

/// Where other workspaces may lie in or above: for a file beneath a root not below that, where others may have put links meanwhile.
fn above(entry: &Entry) -> &Path {
    let place = entry.place();
    place.root.as_ref().unwrap_or(&place.dir).path()
}

/// Is the intent that a lock file in this directory names gone? Then its part can't be completed.
pub(crate) fn is_lost(latch: &Filelatch, dir: &Path, id: &str) -> Result<bool> {
    let own = latch.find_workspace(dir)?;
    let found = find(latch.parts(), own.as_ref(), dir, id).map_err(|e| Error::io("look for an intent of", dir, e))?;
    Ok(found.is_none())
}

impl LatchFile {
    /// Takes back a note that names an intent which does not exist: the file stays as it is. False: there is no such note.
    pub(crate) fn forget_lost_intent(&self, options: &LockOptions<'_>) -> Result<bool> {
        let entry = self.entry()?;
        let owner = options.scope.as_ref().map_or_else(Owner::current, LockScope::owner);
        let holdings = Vec::new;
        let wait = options.wait.unwrap_or(entry.policy.wait);
        let tenure = acquire(&entry.resource, &self.request(owner, wait, options, &holdings))?;
        let Some(intent) = tenure.intent.as_ref().filter(|intent| intent.kind == super::KIND && is_id(&intent.journal))
        else {
            return Ok(false);
        };
        let dir = above(&entry);
        let found = find(entry.parts(), entry.workspace.as_deref(), dir, &intent.journal);
        if found.map_err(|e| Error::io("look for an intent of", dir, e))?.is_some() {
            return Ok(false);
        }
        if let Some(trail) = entry.trail() {
            trail.settled(&intent.journal, None, "lost");
        }
        tenure.resource.set_intent(None)?;
        Ok(true)
    }
}

/// Intents are removed when no lock file names them. So somebody else has removed it, or the file was moved out of its workspace.
fn gone(entry: &Entry, tenure: &Tenure, note: &Intent) -> Result<()> {
    let found = current::open(entry.place())?;
    let found = found.map(|current| current.read(entry.place(), entry.read_limit)).transpose()?;
    let is_in = match found {
        Some(bytes) => Version::of(&bytes).to_string() == note.hash,
        None => note.hash == ABSENT,
    };
    if is_in {
        return tenure.resource.set_intent(None);
    }
    let problem = format!(
        "the intent `{}` of a write of several files is in no workspace that the file belongs to",
        note.journal
    );
    Err(Error::Unrecovered { path: entry.place().spelled.clone(), problem })
}

/// What became of the part.
fn roll_forward(
    entry: &Entry,
    tenure: &Tenure,
    note: &Intent,
    intents: &Intents,
    journal: &Journal,
) -> Result<&'static str> {
    let (place, id) = (entry.place(), note.journal.as_str());
    let stuck = |problem: String| Error::Unrecovered { path: place.spelled.clone(), problem };
    let fail = |e| Error::io("complete a write of", &place.spelled, e);
    let index = usize::try_from(note.part).unwrap_or(usize::MAX);
    let fits = |hash: Option<Version>| hash.map_or(ABSENT.to_owned(), |hash| hash.to_string()) == note.hash;
    let part = journal.parts.get(index);
    let Some(part) = part.filter(|part| part.path.file_name() == Some(&*place.name) && fits(part.after)) else {
        return Err(stuck(format!("the intent `{id}` of a write of several files is not about this file")));
    };
    let after = part.after.map(|_| Content::new(journal.content(index).to_vec()));
    let several = Several { intents, id, part: index };
    let in_place = part.after.is_some() && intents.is_in_place(id, index).map_err(fail)?;
    for _ in 0..ROUNDS {
        let current = current::open(place)?;
        let content = current.as_ref().map(|current| current.read(place, entry.read_limit)).transpose()?;
        let content = content.map(Content::new);
        let version = content.as_ref().map(|content| content.version());
        if version == part.after {
            match &current {
                Some(current) => make_durable(place, current, Durability::Full)?,
                None => place.dir.sync().map_err(fail)?,
            }
            return Ok("there-already");
        }
        if let (true, Some(after), Some(_)) = (in_place, &after, &current) {
            in_place::complete_part(&tenure.resource, &after.bytes, &after.version())?;
            return Ok("written");
        }
        if version != part.before {
            break;
        }
        let done = match (&after, &current, &content) {
            (Some(after), ..) => {
                let mut temp = entry.prepare(after, current.is_some())?;
                temp.written_by(&journal.session);
                let base = match (&current, &content) {
                    (Some(current), Some(content)) => Base::Bytes(current, content),
                    _ => Base::Absent,
                };
                let extra = Extra { several: Some(&several), ..Extra::default() };
                entry.publish(Some(tenure), temp, &base, Durability::Full, &extra).map(|_| "written")
            }
            (None, Some(current), Some(content)) => {
                entry.remove(Some(tenure), current, content, Durability::Full, Some(&several), None).map(|_| "removed")
            }
            (None, ..) => Ok("there-already"),
        };
        match done {
            // A foreign program has written in between.
            Err(Error::Conflict(_)) => {}
            done => return done,
        }
    }
    let base = part.before.and_then(|before| conflict::find(entry, &Expect::Version(before)).ok()).map(Content::new);
    match store(entry, base.as_ref(), after.as_ref(), &journal.session)? {
        Ok(_) => Ok("conflict"),
        Err(why) => Err(stuck(format!(
            "another program has changed the file since, and the content of the write of several files `{id}` can't be kept as a conflict: {why}"
        ))),
    }
}

/// Stores what could not be written, as a conflict with what is there. The inner error: why it could not be.
pub(super) fn store(
    entry: &Entry,
    base: Option<&Arc<Content>>,
    ours: Option<&Arc<Content>>,
    session: &str,
) -> Result<Result<StoredConflict, String>> {
    let place = entry.place();
    let shown = current::open(place)?;
    let theirs = shown.as_ref().map(|shown| shown.read(place, entry.read_limit)).transpose()?.map(Content::new);
    let merged = match (base, ours, &theirs) {
        (Some(_), Some(ours), Some(theirs)) => together(entry, base, ours, theirs).ok(),
        (None, Some(ours), Some(theirs)) => Some(apart(&ours.bytes, &theirs.bytes)),
        _ => None,
    };
    let side = |content: &'_ Content, author, at| (content.version(), author, at);
    let by_us = || Author::Session(session.to_owned());
    let base = base.map(|base| (&base.bytes, side(base, Author::Unknown, None)));
    let ours = ours.map(|ours| (&ours.bytes, side(ours, by_us(), None)));
    let theirs = theirs.as_ref().zip(shown.as_ref()).map(|(theirs, shown)| {
        let version = theirs.version();
        let author = entry.resolve(shown.author(&version));
        (&theirs.bytes, (version, author, Some(shown.written_at(&version))))
    });
    let [base, ours, theirs] = [base, ours, theirs]
        .map(|side| side.map(|(bytes, (version, author, at))| NewSide { bytes, version, author, at }));
    let cause = if ours.is_some() && theirs.is_some() { Cause::Foreign } else { Cause::Deleted };
    Ok(entry.store_conflict(&NewConflict {
        path: &place.path,
        cause,
        base,
        ours,
        theirs,
        on_disk: Sides::Theirs,
        merged: merged.as_ref(),
        style: entry.merge.style,
    }))
}
