//! Writes of several files that their processes did not bring to an end ([`many`](crate::many)).
//!
//! What is missing of a file is told, and completed, at its lock file, which names the intent. Here is told what the intents themselves are: at work,
//! left over, damaged, or waiting for a lock file that does not name them any more.

use std::path::{Path, PathBuf};

use super::report::{Finding, Fix, Kind, Outcome};
use super::{Case, Spot};
use crate::engine::Filelatch;
use crate::error::{Result, plain};
use crate::many::intent::{INTENTS, Intents, Note, State, Unreadable};
use crate::workspace::WORKSPACE_DIR;

/// Intents that are looked at.
const MOST: usize = 1000;

/// `root` is called `shown` in messages.
pub(super) fn look(latch: &Filelatch, root: &Path, shown: &Path) -> Result<Vec<Case>> {
    let Some(intents) = open(latch, root)? else { return Ok(Vec::new()) };
    let shown = shown.join(WORKSPACE_DIR).join(INTENTS);
    let listed = intents.list(MOST).map_err(|e| crate::Error::io("list", intents.path(), e))?;
    let case = |(id, state): (String, State)| judge(latch, &intents, root, &id, state, shown.join(state.name(&id)));
    Ok(listed.into_iter().filter_map(case).collect())
}

fn open(latch: &Filelatch, root: &Path) -> Result<Option<Intents>> {
    let workspace = latch.find_workspace(root)?.filter(|workspace| workspace.is_trusted && workspace.root == root);
    let intents = workspace.map(|workspace| Intents::open(latch.parts(), &workspace)).transpose();
    Ok(intents.map_err(|e| crate::Error::io("open the intents of", root, e))?.flatten())
}

fn judge(latch: &Filelatch, intents: &Intents, root: &Path, id: &str, state: State, path: PathBuf) -> Option<Case> {
    let told = |finding| Some(Case { finding, place: None });
    let leftover = |what: &str| {
        let finding = Finding::fixable(path.clone(), Kind::Leftover, what, Fix::Remove);
        let place = Some(Spot::Intent { root: root.to_owned(), id: id.to_owned(), state });
        Some(Case { finding, place })
    };
    match intents.is_abandoned(id, state) {
        Ok(true) => {}
        // Gone by now, or at work.
        Ok(false) if intents.knows(id).unwrap_or(true) => {
            let what = "several files are being written as one";
            return told(Finding::note(path, Kind::Held, what));
        }
        Ok(false) => return None,
        Err(e) => return told(Finding::note(path, Kind::Unreadable, plain(&e))),
    }
    let journal = match (intents.read(id, state), state) {
        (Ok(journal), _) => journal,
        (Err(_), State::New) | (Err(Unreadable::Incomplete), State::Prepared | State::Dropped) => {
            return leftover("what was to be written to several files, by a process that died before it was decided");
        }
        (Err(e), _) => {
            let what = format!("what was to be written to several files, and can't be used: {e}");
            let advice = "the files whose lock files name it are refused to everybody: put it back from a backup; or look at the files, remove \
                          it, and run the doctor with `--fix`: then they stay as they are";
            return told(Finding::problem(path, Kind::UnfinishedWrite, what, advice));
        }
    };
    let notes = journal.parts.iter().map(|part| (part, intents.note(latch.parts(), id, part)));
    let (mut named, mut unknown) = (0_usize, Vec::new());
    for (part, note) in notes {
        match note {
            Note::Names => named += 1,
            Note::Unknown => unknown.push(format!("`{}`", part.path.display())),
            Note::Not => {}
        }
    }
    match (state, named, unknown.len()) {
        (State::Committed, _, 1..) => {
            let what = format!(
                "a write of several files was interrupted, and the lock files of {} do not tell whether they have their new content",
                unknown.join(", ")
            );
            let advice = "look at these files; then remove it, if no other file waits for it";
            told(Finding::problem(path, Kind::UnfinishedWrite, what, advice))
        }
        (State::Committed, 1.., 0) => {
            let what = format!(
                "a write of several files was interrupted; what is missing in {named} of them is completed by whoever locks them"
            );
            told(Finding::note(path, Kind::UnfinishedWrite, what))
        }
        (State::Committed, 0, 0) => leftover("a write of several files, which is complete"),
        (State::New | State::Prepared | State::Dropped, ..) => {
            leftover("what was to be written to several files, by a process that died before it was decided")
        }
    }
}

/// Removes one that nobody needs.
pub(super) fn clear(latch: &Filelatch, root: &Path, id: &str, state: State) -> Outcome {
    let cleared = open(latch, root).map_err(|e| e.to_string()).and_then(|intents| {
        let Some(intents) = intents else { return Ok(true) };
        if !intents.is_abandoned(id, state).map_err(|e| plain(&e))? {
            return Ok(!intents.knows(id).unwrap_or(true));
        }
        intents.clear_away(latch.parts(), id, state);
        Ok(!intents.knows(id).unwrap_or(true))
    });
    match cleared {
        Ok(true) => Outcome::Done,
        Ok(false) => Outcome::Left("the lock file of one of its files names it, or may name it".to_owned()),
        Err(why) => Outcome::Left(why),
    }
}
