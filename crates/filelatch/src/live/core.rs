//! The states of a live document, without any input or output.
//!
//! # Invariants
//! - `base` is what the draft was made from, or, without a draft, what the text is. While nothing is wrong (`Trouble::None`) it is also what the
//!   disk was seen with last.
//! - A draft that a person has typed is dropped by four calls only: [`Core::set_draft`] and [`Core::set_draft_on`] (by what is typed next),
//!   [`Core::discard`] and [`Core::resolve`] with [`Resolution::Theirs`] (told so), and [`Core::saved`]. What the disk does can't drop it.
//! - What a merge puts into the place of a typed draft holds all changes of it; the draft itself is kept until something else is typed, or it
//!   is saved or discarded.
//! - What is typed, and only that, is the text after [`Core::set_draft`]: a merge comes with [`Core::see`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use super::event::{LiveChange, LiveConflict, LiveEvent, LiveState, NotResolved};
use crate::conflict::Resolution;
use crate::error::Error;
use crate::merge::{self, MergeOptions, Merged, Method};
use crate::snapshot::Content;
use crate::version::Version;
use crate::watch::Origin;
use crate::write_path::Outcome;

/// Former bases that a draft may still have been made from.
const FORMER: usize = 8;
/// Bytes that they may take together.
const FORMER_BYTES: usize = 8 << 20;
/// Longer contents are not merged: it takes memory of many times their length.
const MERGE_LIMIT: usize = 256 << 20;

/// A content of the disk, or of nothing.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) content: Arc<Content>,
    pub(super) by: Origin,
    pub(super) at: SystemTime,
}

/// What the disk was seen with.
#[derive(Clone, Debug)]
pub(super) enum Disk {
    Has(Taken),
    Nothing { by: Origin, at: SystemTime },
    Unreadable { why: Arc<Error>, at: SystemTime },
}

#[derive(Debug, Default)]
pub(super) struct Core {
    base: Option<Taken>,
    draft: Option<Arc<Content>>,
    /// What was typed before merges made something else of it, and what that was made from.
    typed: Option<(Option<Taken>, Arc<Content>)>,
    trouble: Trouble,
    former: VecDeque<Taken>,
}

#[derive(Debug, Default)]
enum Trouble {
    #[default]
    None,
    Conflict {
        theirs: Taken,
        merged: Box<Merged>,
        /// Not to be settled by merging: somebody has taken a merge back.
        held: bool,
    },
    Gone,
    Unreadable(Arc<Error>),
}

/// A version is not known any more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Forgotten;

/// What is to be written, and over what.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) content: Arc<Content>,
    /// `None`: there is no file.
    pub(super) over: Option<Version>,
}

impl Disk {
    pub(super) fn version(&self) -> Option<Version> {
        match self {
            Disk::Has(taken) => Some(taken.version()),
            Disk::Nothing { .. } | Disk::Unreadable { .. } => None,
        }
    }
}

impl Taken {
    fn version(&self) -> Version {
        self.content.version()
    }
}

impl Core {
    pub(super) fn state(&self) -> LiveState {
        match (&self.trouble, &self.draft) {
            (Trouble::Conflict { .. }, _) => LiveState::Conflict,
            (Trouble::Gone, _) => LiveState::Gone,
            (Trouble::Unreadable(_), _) => LiveState::Unreadable,
            (Trouble::None, Some(_)) => LiveState::Draft,
            (Trouble::None, None) => LiveState::Clean,
        }
    }

    /// The draft, or what it would be made from.
    pub(super) fn text(&self) -> &[u8] {
        self.draft.as_ref().or(self.base.as_ref().map(|base| &base.content)).map_or(&[], |content| &content.bytes)
    }

    pub(super) fn draft(&self) -> Option<&[u8]> {
        self.draft.as_ref().map(|draft| &draft.bytes[..])
    }

    pub(super) fn base(&self) -> Option<&Taken> {
        self.base.as_ref()
    }

    pub(super) fn before_merge(&self) -> Option<&[u8]> {
        self.typed.as_ref().map(|(_, typed)| &typed.bytes[..])
    }

    pub(super) fn error(&self) -> Option<&Arc<Error>> {
        match &self.trouble {
            Trouble::Unreadable(why) => Some(why),
            _ => None,
        }
    }

    pub(super) fn conflict(&self) -> Option<LiveConflict<'_>> {
        let Trouble::Conflict { theirs, merged, .. } = &self.trouble else { return None };
        Some(LiveConflict {
            base: self.base.as_ref().map(|base| &base.content.bytes[..]),
            draft: self.text(),
            theirs: &theirs.content.bytes,
            version: theirs.version(),
            by: &theirs.by,
            at: theirs.at,
            merged,
        })
    }

    /// Takes in what the disk has.
    pub(super) fn see(&mut self, disk: Disk, merging: &Merging<'_>) -> Option<LiveEvent> {
        match disk {
            Disk::Has(theirs) => self.found(theirs, merging),
            Disk::Nothing { by, at } => {
                let what = match (&self.trouble, &self.base) {
                    (Trouble::Gone, _) | (Trouble::None, None) => return None,
                    (Trouble::Conflict { .. }, None) => LiveChange::Settled,
                    (Trouble::Unreadable(_), None) => LiveChange::Back,
                    (_, Some(_)) => LiveChange::Gone,
                };
                self.trouble = if self.base.is_some() { Trouble::Gone } else { Trouble::None };
                Some(LiveEvent { what, version: None, by, at })
            }
            Disk::Unreadable { why, at } => {
                if self.error().is_some_and(|known| known.code() == why.code()) {
                    return None;
                }
                self.trouble = Trouble::Unreadable(Arc::clone(&why));
                Some(LiveEvent { what: LiveChange::Unreadable(why), version: None, by: Origin::Unknown, at })
            }
        }
    }

    fn found(&mut self, theirs: Taken, merging: &Merging<'_>) -> Option<LiveEvent> {
        let (by, at, version) = (theirs.by.clone(), theirs.at, Some(theirs.version()));
        let what = if self.base.as_ref().is_some_and(|base| base.version() == theirs.version()) {
            match std::mem::take(&mut self.trouble) {
                Trouble::None => return None,
                Trouble::Conflict { .. } => LiveChange::Settled,
                Trouble::Gone | Trouble::Unreadable(_) => LiveChange::Back,
            }
        } else if let Some(draft) = self.draft.clone() {
            self.meets(&draft, theirs, merging)?
        } else {
            self.trouble = Trouble::None;
            self.replace_base(Some(theirs));
            LiveChange::Reloaded
        };
        Some(LiveEvent { what, version, by, at })
    }

    /// The disk has another version than the draft was made from.
    fn meets(&mut self, draft: &Arc<Content>, theirs: Taken, merging: &Merging<'_>) -> Option<LiveChange> {
        if draft.bytes[..] == theirs.content.bytes[..] {
            self.agree(theirs);
            return Some(LiveChange::Agreed);
        }
        let (was_told, held) = match &self.trouble {
            Trouble::Conflict { theirs: told, held, .. } => (told.version() == theirs.version(), *held),
            _ => (false, false),
        };
        let merged = merging.merge(self.base.as_ref(), draft, &theirs);
        let content = merged.content().filter(|_| merging.automatic && !held);
        let Some(content) = content else {
            let places = merged.conflicts().count();
            self.trouble = Trouble::Conflict { theirs, merged: Box::new(merged), held };
            return (!was_told).then_some(LiveChange::Conflict { places });
        };
        if content[..] == theirs.content.bytes[..] {
            self.agree(theirs);
            return Some(LiveChange::Agreed);
        }
        self.put_typed_aside();
        self.replace_base(Some(theirs));
        self.trouble = Trouble::None;
        self.draft = Some(Content::new(content));
        Some(LiveChange::Merged)
    }

    /// The disk has all that the draft had. That was not saved by whoever typed it, so it can still be had.
    fn agree(&mut self, theirs: Taken) {
        self.put_typed_aside();
        self.replace_base(Some(theirs));
        self.trouble = Trouble::None;
    }

    /// The draft is about to become another text. What merges made on the way is not what was typed.
    fn put_typed_aside(&mut self) {
        if let Some(draft) = self.draft.take() {
            let base = &self.base;
            self.typed.get_or_insert_with(|| (base.clone(), draft));
        }
    }

    fn replace_base(&mut self, base: Option<Taken>) {
        let Some(former) = std::mem::replace(&mut self.base, base) else { return };
        self.former.retain(|other| other.version() != former.version());
        self.former.push_front(former);
        self.former.truncate(FORMER);
        let mut bytes = 0;
        self.former.retain(|former| {
            bytes += former.content.bytes.len();
            bytes <= FORMER_BYTES
        });
    }

    /// What was typed, on the text as it is.
    pub(super) fn set_draft(&mut self, bytes: Vec<u8>, merging: &Merging<'_>) -> Option<LiveEvent> {
        self.typed = None;
        let draft = Content::new(bytes);
        if let Trouble::Conflict { theirs, merged, .. } = &mut self.trouble {
            if draft.bytes[..] == theirs.content.bytes[..] {
                let (theirs, by, at) = (theirs.clone(), theirs.by.clone(), theirs.at);
                let version = Some(theirs.version());
                self.draft = Some(draft);
                self.agree(theirs);
                return Some(LiveEvent { what: LiveChange::Agreed, version, by, at });
            }
            **merged = merging.merge(self.base.as_ref(), &draft, theirs);
            self.draft = Some(draft);
            return None;
        }
        let is_base = self.base.as_ref().map_or(&[][..], |base| &base.content.bytes) == &draft.bytes[..];
        self.draft = (!is_base).then_some(draft);
        None
    }

    /// What was typed on a text of that version, which may have been merged since. `found`: that version, from elsewhere.
    pub(super) fn set_draft_on(
        &mut self,
        on: Option<Version>,
        bytes: Vec<u8>,
        found: Option<Taken>,
        merging: &Merging<'_>,
    ) -> Result<Option<LiveEvent>, Forgotten> {
        if self.base.as_ref().map(Taken::version) == on {
            return Ok(self.set_draft(bytes, merging));
        }
        let base = match on {
            None => None,
            Some(on) => Some(self.former(&on).or(found).ok_or(Forgotten)?),
        };
        let disk = match std::mem::take(&mut self.trouble) {
            Trouble::None => self.base.clone(),
            Trouble::Conflict { theirs, .. } => Some(theirs),
            Trouble::Gone if base.is_none() => None,
            trouble @ (Trouble::Gone | Trouble::Unreadable(_)) => {
                self.trouble = trouble;
                None
            }
        };
        if let (Trouble::None, None, Some(_)) = (&self.trouble, &disk, &base) {
            // There was a file then, and there is none now.
            self.trouble = Trouble::Gone;
        }
        self.replace_base(base);
        self.set_draft(bytes, merging);
        Ok(disk.and_then(|disk| self.found(disk, merging)))
    }

    fn former(&self, version: &Version) -> Option<Taken> {
        self.former.iter().find(|former| former.version() == *version).cloned()
    }

    pub(super) fn knows(&self, version: &Version) -> bool {
        self.base.iter().chain(&self.former).any(|known| known.version() == *version)
    }

    /// Drops the draft for what the disk has, and answers it.
    pub(super) fn discard(&mut self) -> Option<Vec<u8>> {
        let draft = self.draft.take();
        if let Trouble::Conflict { .. } = &self.trouble
            && let Trouble::Conflict { theirs, .. } = std::mem::take(&mut self.trouble)
        {
            self.replace_base(Some(theirs));
        }
        self.typed = None;
        draft.map(|draft| draft.bytes.to_vec())
    }

    /// Takes the last merge back: the draft is again what was typed, and in conflict with the disk until somebody decides. False:
    /// there was none, or something was typed since.
    pub(super) fn undo_merge(&mut self, merging: &Merging<'_>) -> bool {
        if !matches!(self.trouble, Trouble::None) {
            return false;
        }
        let Some(theirs) = self.base.clone() else { return false };
        let is_other = |typed: &mut (_, Arc<Content>)| typed.1.bytes[..] != theirs.content.bytes[..];
        let Some((base, typed)) = self.typed.take_if(is_other) else { return false };
        let merged = Box::new(merging.merge(base.as_ref(), &typed, &theirs));
        self.replace_base(base);
        self.draft = Some(typed);
        self.trouble = Trouble::Conflict { theirs, merged, held: true };
        true
    }

    /// Decides a conflict, or what is to become of the text of a file that is gone.
    pub(super) fn resolve(&mut self, how: Resolution) -> Result<(), NotResolved> {
        let (on, merged) = match &self.trouble {
            Trouble::None | Trouble::Unreadable(_) => return Err(NotResolved::NoConflict),
            Trouble::Gone => (None, None),
            Trouble::Conflict { theirs, merged, .. } => (Some(theirs.clone()), Some(merged)),
        };
        let text = self.draft.clone().or(self.base.as_ref().map(|base| Arc::clone(&base.content)));
        let decided = match how {
            Resolution::Mine => text,
            Resolution::Theirs => None,
            Resolution::Content(bytes) => Some(Content::new(bytes)),
            Resolution::Merged => {
                let merged = merged.ok_or(NotResolved::NoConflict)?;
                let content = merged.content().ok_or_else(|| NotResolved::Places(merged.conflicts().count()))?;
                Some(Content::new(content))
            }
        };
        if decided.as_ref().map(|new| &new.bytes[..]) != self.draft() {
            self.put_typed_aside();
        }
        self.replace_base(on);
        self.trouble = Trouble::None;
        let is_base =
            |new: &Arc<Content>| self.base.as_ref().is_some_and(|base| base.content.bytes[..] == new.bytes[..]);
        self.draft = decided.filter(|new| !is_base(new));
        Ok(())
    }

    /// What a save writes, if nothing is in its way. `recreate`: a file that is gone is to be made again.
    pub(super) fn plan(&self, recreate: bool) -> Option<Plan> {
        let over = match &self.trouble {
            Trouble::None => self.base.as_ref().map(Taken::version),
            Trouble::Gone if recreate => None,
            _ => return None,
        };
        let content = self.draft.clone().or(self.base.as_ref().map(|base| Arc::clone(&base.content)))?;
        Some(Plan { content, over })
    }

    /// The whole text, whatever the disk has.
    pub(super) fn content(&self) -> Option<Arc<Content>> {
        self.draft.clone().or(self.base.as_ref().map(|base| Arc::clone(&base.content)))
    }

    /// The content is on disk.
    pub(super) fn saved(&mut self, content: Arc<Content>, outcome: Outcome, at: SystemTime) -> LiveEvent {
        let version = Some(content.version());
        if self.base.as_ref().map(Taken::version) != version {
            self.replace_base(Some(Taken { content, by: Origin::Own, at }));
        }
        (self.draft, self.typed, self.trouble) = (None, None, Trouble::None);
        LiveEvent { what: LiveChange::Saved(outcome), version, by: Origin::Own, at }
    }
}

/// How a draft and the disk are brought together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Merging<'a> {
    pub(super) options: &'a MergeOptions,
    /// Without being asked.
    pub(super) automatic: bool,
}

impl Merging<'_> {
    fn merge(&self, base: Option<&Taken>, draft: &Content, theirs: &Taken) -> Merged {
        let base = base.map_or(&[][..], |base| &base.content.bytes);
        let theirs = &theirs.content.bytes;
        if [base, &draft.bytes, theirs].into_iter().any(|content| content.len() > MERGE_LIMIT) {
            return Merged::refused(base, &draft.bytes, theirs, Method::Lines);
        }
        merge::merge(base, &draft.bytes, theirs, self.options)
    }
}

#[cfg(test)]
mod tests;
