//! The write that meets another version and brings both together ([`Strategy::Merge`], P7).
//!
//! # Promise
//! - A write goes through clean, with every change of both sides in it, or nothing is written and the conflict is stored.
//! - What is compared and merged is the content on disk (or the pending content of the batch) under the lock. If a foreign program
//!   writes before the publish, its version is merged, too (VER-11), up to a limit of attempts.
//!
//! # Order of operations
//! ```text
//! under the lock: same content → done · expected version → written · other version → base known? → merge → written, or refused
//!                                                                    │ no
//! without it:     look for the base, once ◄──────────────────────────┘      store what was refused
//! ```
//! Bases are looked for and conflicts stored without the lock where this module takes it: git may take seconds. Under a guard the caller
//! holds it all the same.

use std::sync::Arc;

use crate::conflict::{self, Cause, Looked, NewConflict, NewSide, Sides};
use crate::entry::Entry;
use crate::error::{Error, Result, Unmerged};
use crate::file::WriteOptions;
use crate::lock::resource::Tenure;
use crate::merge::{self, Kind, MergeOptions, Merged};
use crate::policy::Strategy;
use crate::snapshot::Content;
use crate::update::combine::ATTEMPTS;
use crate::update::head::Head;
use crate::version::Expect;
use crate::write::{Author, Durability, Notice};
use crate::write_path::{Decided, Outcome, Written};

/// Contents that are longer are not merged: it takes memory of many times their length.
const MERGE_LIMIT: u64 = 256 << 20;

/// One content that is to be written, and what it was made from.
pub(crate) struct Writing<'a> {
    entry: &'a Entry,
    new: Arc<Content>,
    options: &'a WriteOptions<'a>,
    strategy: Strategy,
    expect: Expect,
    base: Base,
}

enum Base {
    /// Not looked for yet.
    Unknown,
    /// There was no file.
    Absent,
    Found(Arc<Content>),
    Nowhere(Vec<Looked>),
}

/// Why a write was not decided.
pub(crate) enum Refused {
    Error(Error),
    /// It must be merged, and the base has to be found first.
    NeedsBase,
    Clash(Box<Clash>),
}

impl From<Error> for Refused {
    fn from(error: Error) -> Refused {
        Refused::Error(error)
    }
}

/// Two versions that do not fit together, and the error that says so.
pub(crate) struct Clash {
    cause: Cause,
    base: Option<Arc<Content>>,
    ours: Option<Arc<Content>>,
    theirs: Option<Arc<Content>>,
    merged: Option<Merged>,
    looked: Vec<Looked>,
    /// Whose `ours` are; `None`: the engine's own session's.
    by: Option<Arc<str>>,
    error: Error,
}

impl<'a> Writing<'a> {
    pub(crate) fn new(entry: &'a Entry, bytes: &[u8], options: &'a WriteOptions<'a>) -> Writing<'a> {
        let strategy = options.strategy.unwrap_or(entry.policy.strategy);
        let mut writing = Writing {
            entry,
            new: Content::new(bytes.to_vec()),
            options,
            strategy,
            expect: options.expect.clone(),
            base: Base::Unknown,
        };
        if let Some(base) = options.base.as_ref().filter(|_| strategy == Strategy::Merge) {
            let base = Content::new(base.to_vec());
            if options.expect == Expect::Any {
                writing.expect = Expect::Version(base.version());
            }
            writing.base = Base::Found(base);
        }
        writing
    }

    /// Puts the content on top of `head`, merged if need be.
    pub(crate) fn decide(&mut self, head: &mut Head) -> Result<Decided, Refused> {
        if self.strategy != Strategy::Merge {
            return Ok(crate::write_path::decide(self.entry, head, &self.new, self.options)?);
        }
        let place = self.entry.place();
        let same = head.is(place, &self.new.bytes)?;
        let current = head.content(place)?;
        let version = current.as_ref().map(|content| content.version());
        let fits = match self.expect {
            Expect::Any => current.is_none(),
            _ => self.expect.admits(version.as_ref()),
        };
        if fits && matches!(self.base, Base::Unknown) {
            // What a foreign program writes from now on is merged with this as the base.
            self.base = current.clone().map_or(Base::Absent, Base::Found);
        }
        if fits || same {
            head.put(Arc::clone(&self.new), true);
            if !same {
                head.author.clone_from(&self.options.session);
            }
            return Ok(Decided::plain(self.new.version(), same));
        }
        let clash = |cause, head: &Head, base: Option<&Arc<Content>>, merged, looked| {
            Refused::Clash(Box::new(Clash {
                cause,
                base: base.cloned(),
                ours: Some(Arc::clone(&self.new)),
                theirs: current.clone(),
                merged,
                looked,
                by: self.options.session.clone(),
                error: self.entry.head_conflict(&self.expect, version, head),
            }))
        };
        let (base, theirs) = match (&self.base, &current) {
            (Base::Found(base), None) => return Err(clash(Cause::Deleted, head, Some(base), None, Vec::new())),
            (_, None) => return Err(clash(Cause::Deleted, head, None, None, Vec::new())),
            (Base::Unknown, Some(_)) if self.expect == Expect::Any => {
                return Err(clash(Cause::NoBase, head, None, self.apart(current.as_ref()), Vec::new()));
            }
            (Base::Nowhere(looked), Some(_)) => {
                let looked = looked.clone();
                return Err(clash(Cause::NoBase, head, None, self.apart(current.as_ref()), looked));
            }
            (Base::Unknown, Some(_)) if self.expect != Expect::Absent => return Err(Refused::NeedsBase),
            (Base::Found(base), Some(theirs)) => (Some(base), theirs),
            (Base::Unknown | Base::Absent, Some(theirs)) => (None, theirs),
        };
        let merged = together(self.entry, base, &self.new, theirs)?;
        match merged.content() {
            Some(bytes) => {
                let content = Content::new(bytes);
                let version = content.version();
                head.put(content, true);
                head.author.clone_from(&self.options.session);
                head.passage.merged = true;
                Ok(Decided::merged(version))
            }
            None => Err(clash(Cause::Merge, head, base, Some(merged), Vec::new())),
        }
    }

    /// Both versions against each other: what they share is told once.
    fn apart(&self, theirs: Option<&Arc<Content>>) -> Option<Merged> {
        theirs.map(|theirs| apart(&self.new.bytes, &theirs.bytes))
    }

    /// After a refusal, without the lock where that is possible: looks for what was missing (then the write can be decided again), or
    /// stores the conflict.
    pub(crate) fn after(&mut self, refused: Refused) -> Result<()> {
        match refused {
            Refused::Error(e) => Err(e),
            Refused::NeedsBase => {
                self.base = match conflict::find(self.entry, &self.expect) {
                    Ok(bytes) => Base::Found(Content::new(bytes)),
                    Err(looked) => Base::Nowhere(looked),
                };
                Ok(())
            }
            Refused::Clash(clash) => Err(clash.store(self.entry)),
        }
    }

    /// Decides and publishes under a lock that is held, whatever foreign programs write meanwhile.
    pub(crate) fn under(&mut self, tenure: Option<&Tenure>, durability: Durability) -> Result<Written> {
        let mut notices = Vec::new();
        let mut attempts = 0;
        let mut kept = None;
        loop {
            let mut head = self.entry.read_head()?;
            head.kept.clone_from(&kept);
            let decided = match self.decide(&mut head) {
                Ok(decided) => decided,
                Err(refused) => {
                    self.after(refused)?;
                    continue;
                }
            };
            match self.entry.publish_head(tenure, head, durability, true, &[]) {
                Ok(mut ended) => {
                    ended.notices.append(&mut notices);
                    return Ok(decided.written(&ended));
                }
                Err(Error::Conflict(conflict)) if self.strategy == Strategy::Merge && attempts < ATTEMPTS => {
                    attempts += 1;
                    notices.extend(conflict.kept.clone().map(|kept| Notice::ForeignKept { kept }));
                    kept = conflict.kept;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Clash {
    /// Stores the conflict where there is a place for it, and answers the error.
    fn store(self, entry: &Entry) -> Error {
        let Clash { cause, base, ours, theirs, merged, looked, by, mut error } = self;
        let Error::Conflict(conflict) = &mut error else { return error };
        let now = entry.parts().host.now();
        let by_us = Author::Session(by.as_deref().unwrap_or(&entry.parts().session).to_owned());
        let side = |content: Option<&'_ Arc<Content>>, author: &Author, at| {
            content.map(|content| (content.version(), author.clone(), at))
        };
        let sides = [
            side(base.as_ref(), &Author::Unknown, None),
            side(ours.as_ref(), &by_us, Some(now)),
            side(theirs.as_ref(), &conflict.last_modified_by, conflict.last_modified_at),
        ];
        let [base_side, ours_side, theirs_side] = [(&base, 0), (&ours, 1), (&theirs, 2)].map(|(content, i)| {
            let (version, author, at) = sides[i].clone()?;
            content.as_ref().map(|content| NewSide { bytes: &content.bytes, version, author, at })
        });
        let stored = entry.store_conflict(&NewConflict {
            path: &entry.place().path,
            cause,
            base: base_side,
            ours: ours_side,
            theirs: theirs_side,
            on_disk: Sides::Theirs,
            merged: merged.as_ref(),
            style: entry.merge.style,
        });
        let (id, not_stored) = match stored {
            Ok(stored) => (Some(stored.id), None),
            Err(why) => (None, Some(why)),
        };
        conflict.unmerged = Some(Box::new(Unmerged {
            cause,
            base: base.map(|base| base.version()),
            conflicts: merged.as_ref().map_or(0, |merged| merged.shown(entry.merge.style)),
            fallback: merged.as_ref().and_then(Merged::fallback).map(ToString::to_string),
            looked,
            id,
            not_stored,
        }));
        error
    }
}

/// Both versions against each other where the base is not known: what they share is told once, and what differs is never settled.
pub(crate) fn apart(ours: &[u8], theirs: &[u8]) -> Merged {
    let options = MergeOptions { kind: Kind::Lines, ..MergeOptions::default() };
    let merged = merge::merge(b"", ours, theirs, &options);
    if merged.is_clean() { Merged::refused(b"", ours, theirs, merge::Method::Lines) } else { merged }
}

/// Merges with the file's rules. No base: there was no file.
pub(crate) fn together(entry: &Entry, base: Option<&Arc<Content>>, ours: &Content, theirs: &Content) -> Result<Merged> {
    let longest = [base.map_or(0, |base| base.bytes.len()), ours.bytes.len(), theirs.bytes.len()];
    if longest.into_iter().any(|len| len as u64 > MERGE_LIMIT) {
        return Err(Error::TooLarge { path: entry.place().spelled.clone(), limit: MERGE_LIMIT });
    }
    let base = base.map_or(&[][..], |base| &base.bytes);
    Ok(merge::merge(base, &ours.bytes, &theirs.bytes, &entry.merge_options()))
}

/// A change that was applied already and may not be applied again, on top of what a foreign program has made meanwhile. `before` and
/// `after`: what the change found, and what it made of it.
pub(crate) fn again(
    entry: &Entry,
    head: &mut Head,
    before: Option<&Arc<Content>>,
    after: Option<&Arc<Content>>,
) -> Result<bool, Refused> {
    let place = entry.place();
    let current = head.content(place)?;
    let by = head.author.clone();
    let version = |content: Option<&Arc<Content>>| content.map(|content| content.version());
    let (found, made, now) = (version(before), version(after), version(current.as_ref()));
    if made == found || made == now {
        return Ok(false);
    }
    if found == now {
        if let Some(after) = after {
            head.put(Arc::clone(after), true);
        }
        return Ok(false);
    }
    let clash = |cause, head: &Head, merged| {
        Refused::Clash(Box::new(Clash {
            cause,
            base: before.cloned(),
            ours: after.cloned(),
            theirs: current.clone(),
            merged,
            looked: Vec::new(),
            by: by.clone(),
            error: entry.head_conflict(&Expect::Any, now, head),
        }))
    };
    let (Some(ours), Some(theirs)) = (after, &current) else { return Err(clash(Cause::Deleted, head, None)) };
    let merged = together(entry, before, ours, theirs)?;
    match merged.content() {
        Some(bytes) => {
            head.put(Content::new(bytes), true);
            head.passage.merged = true;
            Ok(true)
        }
        None => Err(clash(Cause::Merge, head, Some(merged))),
    }
}

/// Turns a refusal of [`again`] into its error.
pub(crate) fn refusal(entry: &Entry, refused: Refused) -> Error {
    match refused {
        Refused::Error(e) => e,
        Refused::Clash(clash) => clash.store(entry),
        // A change knows what it was made from.
        Refused::NeedsBase => Error::Internal {
            path: entry.place().spelled.clone(),
            message: "the base of a change is not known".to_owned(),
        },
    }
}

/// Reads, changes and publishes under a lock that is held; the change runs once. What a foreign program writes meanwhile is merged where
/// the strategy says so.
pub(crate) fn change<R, E: From<Error>>(
    entry: &Entry,
    tenure: Option<&Tenure>,
    options: &WriteOptions<'_>,
    change: impl FnOnce(&mut Head) -> Result<R, E>,
) -> Result<(Written, R), E> {
    let merges = options.strategy.unwrap_or(entry.policy.strategy) == Strategy::Merge;
    let mut head = entry.read_head()?;
    entry.expected(&mut head, &options.expect)?;
    let before = if merges { head.content(entry.place())? } else { None };
    let result = change(&mut head)?;
    head.author.clone_from(&options.session);
    let written = publish_change(entry, tenure, before.as_ref(), head, options)?;
    Ok((written, result))
}

fn publish_change(
    entry: &Entry,
    tenure: Option<&Tenure>,
    before: Option<&Arc<Content>>,
    mut head: Head,
    options: &WriteOptions<'_>,
) -> Result<Written> {
    let durability = options.durability.unwrap_or(entry.policy.durability);
    if options.strategy.unwrap_or(entry.policy.strategy) != Strategy::Merge {
        return Ok(Written::of(&entry.publish_head(tenure, head, durability, true, &[])?));
    }
    let after = head.content(entry.place())?;
    let mut notices = Vec::new();
    let (mut merged, mut attempts) = (false, 0);
    loop {
        match entry.publish_head(tenure, head, durability, true, &[]) {
            Ok(mut ended) => {
                ended.notices.append(&mut notices);
                let written = Written::of(&ended);
                return Ok(if merged { Written { outcome: Outcome::Merged, ..written } } else { written });
            }
            Err(Error::Conflict(conflict)) if attempts < ATTEMPTS => {
                attempts += 1;
                notices.extend(conflict.kept.clone().map(|kept| Notice::ForeignKept { kept }));
                head = entry.read_head()?;
                head.author.clone_from(&options.session);
                head.kept = conflict.kept;
                let again = again(entry, &mut head, before, after.as_ref());
                merged = again.map_err(|refused| refusal(entry, refused))?;
            }
            Err(e) => return Err(e),
        }
    }
}
