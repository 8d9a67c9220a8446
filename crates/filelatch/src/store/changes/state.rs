//! What the index has taken in so far: where the next one goes on.

use std::collections::{BTreeMap, HashSet};

use super::change::Written;
use super::record::{self, SessionPart, Take};
use crate::audit::place::Place;
use crate::store::StoreError;

/// How far the sources are taken in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    /// The last record of the audit log.
    pub(super) place: Option<Place>,
    /// The last part of each session.
    pub(super) sessions: BTreeMap<String, SessionPart>,
}

impl State {
    /// Goes on by a record. False: it does not go on from here, and its changes do not count.
    pub(super) fn accept(&mut self, take: Take) -> bool {
        match take {
            Take::Audit { from, to } => {
                let follows = from == self.place;
                if follows {
                    self.place = Some(to);
                }
                follows
            }
            Take::Session(part) => {
                let follows = part.follows(self.sessions.get(&part.name));
                if follows {
                    self.sessions.insert(part.name.clone(), part);
                }
                follows
            }
            Take::Kept { place, sessions } => {
                self.place = place.or(self.place);
                self.sessions.extend(sessions.into_iter().map(|part| (part.name.clone(), part)));
                true
            }
        }
    }

    /// Goes on by a record, and tells of its changes if they count.
    pub(super) fn read(
        &mut self,
        record: &[u8],
        each: &mut dyn FnMut(&Written<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if self.accept(record::head(record)?) { record::changes(record, each) } else { Ok(()) }
    }
}

/// The changes of the audit log that the index has, by number and mark.
#[derive(Debug, Default)]
pub(super) struct Known {
    marks: HashSet<(u64, u64)>,
}

impl Known {
    pub(super) fn add(&mut self, change: &Written<'_>) {
        self.marks.extend(change.identity());
    }

    pub(super) fn has(&self, n: u64, chain: &blake3::Hash) -> bool {
        self.marks.contains(&(n, mark_of(chain)))
    }
}

/// The first digits of a chain value, as a number.
pub(super) fn mark_of(chain: &blake3::Hash) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&chain.as_bytes()[..8]);
    u64::from_be_bytes(first)
}
