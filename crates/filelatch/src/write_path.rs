//! The decision of one write: what was expected, what is there, what the strategy says (P7).

use std::sync::Arc;

use crate::entry::Entry;
use crate::error::Result;
use crate::file::WriteOptions;
use crate::policy::Strategy;
use crate::snapshot::Content;
use crate::update::combine::Ended;
use crate::update::head::Head;
use crate::version::{Expect, Version};
use crate::write::Notice;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The content is in place.
    Written,
    /// The file had this content already.
    Unchanged,
    /// The content was merged with what had been written since the expected version; the version is that of the result.
    Merged,
    /// A newer write of the same process took its place before it was published; that one is in place (last-write-wins).
    Superseded,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Outcome::Written => "written",
            Outcome::Unchanged => "unchanged",
            Outcome::Merged => "merged",
            Outcome::Superseded => "superseded",
        })
    }
}

/// A write that succeeded: it has the durability that was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Written {
    /// What became of it.
    pub outcome: Outcome,
    /// The version of this change's own result: what a later conditional write of the same writer expects. `None` when other
    /// changes were combined after it, or the file does not exist: read to see them.
    pub version: Option<Version>,
    /// There was no such file before.
    pub created: bool,
    /// The version that was overwritten although another one was expected (last-write-wins).
    pub overwrote: Option<Version>,
    /// What there is to know besides.
    pub notices: Vec<Notice>,
}

impl Written {
    pub(crate) fn of(ended: &Ended) -> Written {
        Written {
            outcome: if ended.unchanged { Outcome::Unchanged } else { Outcome::Written },
            version: ended.version.filter(|_| ended.last),
            created: ended.created,
            overwrote: None,
            notices: ended.notices.clone(),
        }
    }
}

/// A write that may go on.
pub(crate) struct Decided {
    version: Version,
    /// What was there instead of what was expected.
    overwrites: Option<Version>,
    same: bool,
    merged: bool,
}

impl Decided {
    /// The content itself.
    pub(crate) fn plain(version: Version, same: bool) -> Decided {
        Decided { version, overwrites: None, same, merged: false }
    }

    /// What became of the content and what was there.
    pub(crate) fn merged(version: Version) -> Decided {
        Decided { version, overwrites: None, same: false, merged: true }
    }

    pub(crate) fn written(&self, ended: &Ended) -> Written {
        let outcome = match (ended.superseded, self.same) {
            (true, _) => Outcome::Superseded,
            (false, true) => Outcome::Unchanged,
            (false, false) if self.merged => Outcome::Merged,
            (false, false) => Outcome::Written,
        };
        let version = if ended.superseded { ended.version } else { Some(self.version) };
        // What the swap really displaced is newer than what was read.
        let overwrote = self.overwrites.map(|read| ended.displaced.unwrap_or(read));
        Written { outcome, version, overwrote, ..Written::of(ended) }
    }
}

/// Puts `new` on top of `head`, or refuses with the conflict. For all strategies that do not merge.
pub(crate) fn decide(
    entry: &Entry,
    head: &mut Head,
    new: &Arc<Content>,
    options: &WriteOptions<'_>,
) -> Result<Decided> {
    let strategy = options.strategy.unwrap_or(entry.policy.strategy);
    let place = entry.place();
    let version = new.version();
    let same = head.is(place, &new.bytes)?;
    if options.expect == Expect::Any {
        if !same {
            head.put(Arc::clone(new), false);
            head.author.clone_from(&options.session);
        }
        return Ok(Decided::plain(version, same));
    }
    let current = head.version(place)?;
    let fits = options.expect.admits(current.as_ref());
    if !fits && strategy != Strategy::LastWriteWins {
        return Err(entry.head_conflict(&options.expect, current, head));
    }
    head.put(Arc::clone(new), fits);
    if !same {
        head.author.clone_from(&options.session);
    }
    Ok(Decided { overwrites: current.filter(|_| !fits), ..Decided::plain(version, same) })
}
