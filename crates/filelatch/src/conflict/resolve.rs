//! Resolving: a publish like any other, that ends a stored conflict (MERGE-4).
//!
//! # Order of operations
//! Under the exclusive lock of the file: read the record again (is it still open?) → read the file → decide what is to be written →
//! save the file beside the conflict, durably → publish, compared with what was read → note the resolution.
//!
//! Killed between the last two, the conflict stays open although the file has the resolution: resolving it again finds the content in
//! place and writes nothing.

use std::path::PathBuf;

use super::record::{ConflictState, HowResolved, Side, StoredConflict};
use super::store::{Conflicts, Store, first_marker};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::Guard;
use crate::merge::{self, ConflictStyle, Merged};
use crate::merge_path::apart;
use crate::snapshot::Content;
use crate::version::{Expect, Version};
use crate::write_path::{Outcome, Written};

/// How a stored conflict is to be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// With our version, whole.
    Mine,
    /// With their version, whole.
    Theirs,
    /// With the merged document in the conflict's folder, as somebody has edited it. Refused while it has markers.
    Merged,
    /// With this content.
    Content(Vec<u8>),
}

impl Resolution {
    fn how(&self) -> HowResolved {
        match self {
            Resolution::Mine => HowResolved::Mine,
            Resolution::Theirs => HowResolved::Theirs,
            Resolution::Merged => HowResolved::Merged,
            Resolution::Content(_) => HowResolved::Content,
        }
    }
}

/// A conflict that is resolved.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// The conflict, as it is noted now.
    pub conflict: StoredConflict,
    /// What was written; `None`: the file was left as it is (gone, or changed since in favour of which was decided).
    pub written: Option<Written>,
    /// The file as it was before; `None`: nothing was written over.
    pub backup: Option<PathBuf>,
}

/// What a conflict is about, byte for byte.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConflictContents {
    /// What both were made from.
    pub base: Option<Vec<u8>>,
    /// Ours.
    pub ours: Option<Vec<u8>>,
    /// Theirs.
    pub theirs: Option<Vec<u8>>,
    /// Both brought together as far as possible, by today's rules; `None` where one side removed the file.
    pub merged: Option<Merged>,
    /// How the workspace wants markers.
    pub style: ConflictStyle,
}

impl Filelatch {
    /// The stored conflicts of the workspace that a directory belongs to; none where there is no workspace.
    pub fn conflicts(&self, dir: impl AsRef<std::path::Path>) -> Result<Conflicts> {
        match self.workspace_of(dir)? {
            Some(root) => Store { parts: self.parts(), root: &root, workspace: None }.list(),
            None => Ok(Conflicts::default()),
        }
    }

    /// One stored conflict of the workspace that a directory belongs to, by its id or the first four or more digits of it.
    pub fn conflict(&self, dir: impl AsRef<std::path::Path>, id: &str) -> Result<StoredConflict> {
        let dir = dir.as_ref();
        match self.workspace_of(dir)? {
            Some(root) => Store { parts: self.parts(), root: &root, workspace: None }.get(id),
            None => Err(Error::NoSuchConflict { path: dir.to_owned(), id: id.to_owned(), matches: 0 }),
        }
    }

    /// The contents of a stored conflict. Each is proved to be what was stored.
    pub fn conflict_contents(&self, conflict: &StoredConflict) -> Result<ConflictContents> {
        let file = self.file(&conflict.path)?;
        let entry = file.entry()?;
        let root = root_of(conflict);
        let store = Store { parts: self.parts(), root: &root, workspace: None };
        let content =
            |what: &str, side: &Option<Side>| side.as_ref().map(|side| store.content(conflict, what, side)).transpose();
        let (base, ours, theirs) =
            (content("base", &conflict.base)?, content("ours", &conflict.ours)?, content("theirs", &conflict.theirs)?);
        let merged = match (&base, &ours, &theirs) {
            (Some(base), Some(ours), Some(theirs)) => Some(merge::merge(base, ours, theirs, &entry.merge_options())),
            (None, Some(ours), Some(theirs)) => Some(apart(ours, theirs)),
            _ => None,
        };
        Ok(ConflictContents { base, ours, theirs, merged, style: entry.merge.style })
    }

    /// Resolves a stored conflict, by its id or the first digits of it, as [`LatchFile::resolve`] does.
    pub fn resolve(
        &self,
        dir: impl AsRef<std::path::Path>,
        id: &str,
        resolution: &Resolution,
        options: &WriteOptions<'_>,
    ) -> Result<Resolved> {
        let conflict = self.conflict(dir, id)?;
        self.file(&conflict.path)?.resolve(&conflict.id, resolution, options)
    }
}

impl LatchFile {
    /// The stored conflicts about this file, the oldest first.
    pub fn conflicts(&self) -> Result<Vec<StoredConflict>> {
        let entry = self.entry()?;
        let Ok(store) = entry.conflict_store() else { return Ok(Vec::new()) };
        let mut stored = store.list()?.stored;
        stored.retain(|conflict| conflict.path == self.canonical_path());
        Ok(stored)
    }

    /// Resolves a stored conflict about this file: publishes what was decided, and notes it.
    ///
    /// If the file was changed since the conflict was stored, those changes are merged into what was decided; where that does not fit,
    /// and when the file came or went, it is refused ([`Error::Conflict`]), and the conflict stays open. `options.expect` says which
    /// version the decision is made for instead: then it is written over exactly that one. In favour of the side that the file showed
    /// nothing is written: what was made of it since stays.
    ///
    /// Before anything is written over, the file is saved in the conflict's folder ([`Resolved::backup`]).
    pub fn resolve(&self, id: &str, resolution: &Resolution, options: &WriteOptions<'_>) -> Result<Resolved> {
        let guard = Guard::new(self.hold_to_write(&options.lock)?);
        let entry = self.entry()?;
        let nowhere = |_| Error::NoSuchConflict { path: self.path().to_owned(), id: id.to_owned(), matches: 0 };
        let store = entry.conflict_store().map_err(nowhere)?;
        let mut conflict = store.get(id)?;
        let unresolved =
            |problem: String| Error::Unresolved { path: conflict.path.clone(), id: id.to_owned(), problem };
        if conflict.path != self.canonical_path() {
            return Err(unresolved(format!("it is about another file: `{}`", conflict.path.display())));
        }
        if let ConflictState::Resolved { how, .. } = &conflict.state {
            return Err(Error::AlreadyResolved { path: self.path().to_owned(), id: conflict.id.clone(), how: *how });
        }
        let content = |what: &str, side: &Option<Side>| {
            side.as_ref().map(|side| store.content(&conflict, what, side)).transpose()
        };
        let chosen = match resolution {
            Resolution::Mine => content("ours", &conflict.ours)?,
            Resolution::Theirs => content("theirs", &conflict.theirs)?,
            Resolution::Content(bytes) => Some(bytes.clone()),
            Resolution::Merged => {
                let path = conflict.merged_path();
                let merged = store.merged(&conflict, entry.read_limit)?;
                let merged = merged.ok_or_else(|| unresolved("there is no merged document".to_owned()))?;
                if let Some(line) = first_marker(&merged, conflict.marker_size) {
                    let problem = format!("`{}` has a marker in line {line}: edit it first", path.display());
                    return Err(Error::Unresolved { path, id: conflict.id.clone(), problem });
                }
                Some(merged)
            }
        };
        let mut head = entry.read_head()?;
        let current = head.content(entry.place())?;
        let now = current.as_ref().map(|content| content.version());
        let seen = conflict.seen().map(|side| side.version);
        let decided = chosen.as_ref().map(|bytes| Version::of(bytes));
        let refused = |head| entry.head_conflict(&seen.map_or(Expect::Absent, Expect::Version), now, head);
        let new = if options.expect != Expect::Any {
            entry.expected(&mut head, &options.expect)?;
            chosen
        } else if now == seen {
            chosen
        } else if decided == seen || decided == now {
            // What was made of it since stays.
            current.as_ref().map(|content| content.bytes.to_vec())
        } else {
            let (Some(bytes), Some(current), Some(side)) = (&chosen, &current, conflict.seen()) else {
                return Err(refused(&head));
            };
            let what = if conflict.on_disk == super::Sides::Ours { "ours" } else { "theirs" };
            let base = store.content(&conflict, what, side)?;
            let merged = merge::merge(&base, bytes, &current.bytes, &entry.merge_options());
            Some(merged.content().ok_or_else(|| refused(&head))?)
        };
        let merged = now != seen && options.expect == Expect::Any;
        let (written, backup) = match (new, &current) {
            (None, Some(_)) => {
                return Err(unresolved(
                    "resolving a conflict removes no file: remove it yourself, then choose again".to_owned(),
                ));
            }
            (None, None) => (None, None),
            (Some(new), current) => {
                let same = current.as_ref().is_some_and(|current| *current.bytes == *new);
                let backup = match current.as_ref().filter(|_| !same) {
                    Some(current) => Some(store.back_up(&conflict, &current.bytes)?),
                    None => None,
                };
                head.put(Content::new(new), true);
                head.author.clone_from(&options.session);
                let durability = options.durability.unwrap_or(entry.policy.durability);
                let ended = entry.publish_head(guard.tenure(), head, durability, true, &[])?;
                let mut written = Written::of(&ended);
                if merged && written.outcome == Outcome::Written {
                    written.outcome = Outcome::Merged;
                }
                (Some(written), backup)
            }
        };
        conflict.state = ConflictState::Resolved {
            how: resolution.how(),
            by: options.session.as_deref().unwrap_or(&entry.parts().session).to_owned(),
            at: Some(entry.parts().host.now()),
            version: written.as_ref().and_then(|written| written.version),
        };
        store.update(&conflict)?;
        if let Some(trail) = entry.trail() {
            trail.resolved(
                &conflict.id,
                resolution.how(),
                written.as_ref().and_then(|written| written.version.as_ref()),
                options.session.as_deref(),
            );
        }
        Ok(Resolved { conflict, written, backup })
    }
}

/// The workspace's folder: `.filelatch/conflicts/ID` is in it.
fn root_of(conflict: &StoredConflict) -> PathBuf {
    conflict.dir.ancestors().nth(3).map(PathBuf::from).unwrap_or_default()
}
