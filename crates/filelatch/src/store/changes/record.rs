//! What one record of the index says: some changes, and what is taken in with them.
//!
//! A record is whole or not there, so changes and the place up to which a source is taken in are never apart. Each names the place that it goes on
//! from; one that does not go on from where the index is counts for nothing. So nothing is there twice, whoever has read the same part.

use blake3::Hash;
use serde::{Deserialize, Serialize};

use super::change::{Change, Written};
use crate::audit::place::Place;
use crate::store::StoreError;

/// The version of the form.
const FORM: u64 = 1;
/// Changes in one record, and bytes of their names. What they make is far below the longest record of a log.
const MOST: usize = 8192;
const MOST_BYTES: usize = 1 << 20;

/// What a record takes in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Of the audit log: what is behind one place, up to another.
    Audit { from: Option<Place>, to: Place },
    /// Of a session.
    Session(SessionPart),
    /// Of the index as it was before it was made anew: no conditions.
    Kept { place: Option<Place>, sessions: Vec<SessionPart> },
}

/// A part of what a session has changed. With the last part all of it is taken in up to the commit `tip`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionPart {
    pub(super) name: String,
    /// Up to where it was taken in before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) since: Option<String>,
    pub(super) tip: String,
    /// From 1.
    pub(super) part: usize,
    pub(super) parts: usize,
}

impl SessionPart {
    pub(super) fn is_last(&self) -> bool {
        self.part >= self.parts
    }

    /// May it follow what is known of the session?
    pub(super) fn follows(&self, known: Option<&SessionPart>) -> bool {
        let is_first = self.part == 1;
        match known {
            None => is_first && self.since.is_none(),
            Some(known) if known.is_last() => is_first && self.since.as_ref() == Some(&known.tip),
            // Its writer was interrupted between two parts. Where nobody can go on with them, another tip begins again.
            Some(known) if self.tip == known.tip => self.since == known.since && self.part == known.part + 1,
            Some(known) => is_first && self.since == known.since,
        }
    }
}

#[derive(Serialize, Deserialize)]
struct RawPlace {
    n: u64,
    chain: String,
    file: u64,
    at: u64,
}

#[derive(Serialize, Deserialize)]
struct RawAudit {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<RawPlace>,
    to: RawPlace,
}

#[derive(Serialize, Deserialize)]
struct RawKept {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    place: Option<RawPlace>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sessions: Vec<SessionPart>,
}

/// All of a record but its changes.
#[derive(Deserialize)]
struct Head {
    v: u64,
    audit: Option<RawAudit>,
    session: Option<SessionPart>,
    kept: Option<RawKept>,
}

#[derive(Serialize)]
struct Whole<'a> {
    v: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<RawAudit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a SessionPart>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<RawKept>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    changes: Vec<Written<'a>>,
}

#[derive(Deserialize)]
struct OnlyChanges<'a> {
    #[serde(borrow, default)]
    changes: Vec<Written<'a>>,
}

impl RawPlace {
    fn of(place: &Place) -> RawPlace {
        let Place { n, chain, file, at } = *place;
        RawPlace { n, chain: chain.to_hex().to_string(), file, at }
    }

    fn place(&self) -> Option<Place> {
        Some(Place { n: self.n, chain: Hash::from_hex(&self.chain).ok()?, file: self.file, at: self.at })
    }
}

/// The bytes of a record.
pub(super) fn write(take: &Take, changes: &[Change]) -> Vec<u8> {
    let changes = changes.iter().map(Written::of).collect();
    let mut whole = Whole { v: FORM, audit: None, session: None, kept: None, changes };
    match take {
        Take::Audit { from, to } => {
            whole.audit = Some(RawAudit { from: from.as_ref().map(RawPlace::of), to: RawPlace::of(to) });
        }
        Take::Session(part) => whole.session = Some(part),
        Take::Kept { place, sessions } => {
            whole.kept = Some(RawKept { place: place.as_ref().map(RawPlace::of), sessions: sessions.clone() });
        }
    }
    serde_json::to_vec(&whole).unwrap_or_default()
}

/// What a record takes in. Its changes are not looked at.
pub(super) fn head(record: &[u8]) -> Result<Take, StoreError> {
    let head: Head = serde_json::from_slice(record).map_err(|e| damaged(format!("it is no record of changes: {e}")))?;
    if head.v > FORM {
        return Err(StoreError::Newer { found: head.v, known: FORM });
    }
    let wrong = || damaged("it does not say what its changes were taken from".to_owned());
    Ok(match (head.audit, head.session, head.kept) {
        (Some(audit), None, None) => {
            let from = match &audit.from {
                Some(from) => Some(from.place().ok_or_else(wrong)?),
                None => None,
            };
            Take::Audit { from, to: audit.to.place().ok_or_else(wrong)? }
        }
        (None, Some(part), None) => Take::Session(part),
        (None, None, Some(kept)) => {
            let place = match &kept.place {
                Some(place) => Some(place.place().ok_or_else(wrong)?),
                None => None,
            };
            Take::Kept { place, sessions: kept.sessions }
        }
        _ => return Err(wrong()),
    })
}

/// The changes of a record, one after the other.
pub(super) fn changes(
    record: &[u8],
    each: &mut dyn FnMut(&Written<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let only: OnlyChanges<'_> = serde_json::from_slice(record).map_err(|e| damaged(format!("its changes: {e}")))?;
    only.changes.iter().try_for_each(each)
}

/// Changes in portions for one record each; at least one, which may be empty. The same changes make the same portions.
pub(super) fn portions(changes: &[Change]) -> Vec<&[Change]> {
    let mut portions = Vec::new();
    let mut rest = changes;
    while !rest.is_empty() {
        let mut bytes = 0;
        let len = rest.iter().take(MOST).take_while(|change| {
            let fits = bytes < MOST_BYTES;
            bytes += change.path.as_os_str().len() + change.by.len();
            fits
        });
        let (portion, more) = rest.split_at(len.count());
        portions.push(portion);
        rest = more;
    }
    if portions.is_empty() {
        portions.push(rest);
    }
    portions
}

/// What is damaged where; the place in the file is the log's to say.
pub(super) fn damaged(problem: String) -> StoreError {
    StoreError::Damaged { line: None, offset: None, problem, way_out: WAY_OUT.to_owned() }
}

/// What to do about an index that can't be read.
pub(super) const WAY_OUT: &str = "`filelatch changes rebuild` makes the index anew and takes over what is intact";
