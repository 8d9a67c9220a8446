//! From records of the audit log to changes.

use std::io;
use std::path::Path;

use super::change::{Change, ChangeKind, ChangeSource};
use super::state::mark_of;
use crate::audit::place::{Place, ReadOn};
use crate::audit::{Audit, AuditRecord};
use crate::store::place::STORES;
use crate::workspace::WORKSPACE_DIR;

/// How far the log is read for one step, in bytes, when there are no changes in it.
const BARREN: u64 = 256 << 10;
/// Changes after which a step ends.
const ENOUGH: usize = 4096;

/// What the audit log has behind a place.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// The last record that was read; `None`: there is nothing new.
    pub(super) to: Option<Place>,
    pub(super) changes: Vec<Change>,
    /// Records that were removed before they were read.
    pub(super) missed: u64,
    /// Lines that are no records.
    pub(super) damaged: u64,
    /// It is worth to be noted: there are changes, or it was a long way.
    pub(super) counts: bool,
    pub(super) more: bool,
}

/// Reads one step. `None`: the log has not the record at which the index is.
pub(super) fn step(audit: &Audit, from: Option<&Place>) -> io::Result<Option<Step>> {
    let mut behind = from.copied();
    let mut step = Step::default();
    let mut bytes = 0;
    loop {
        let read = audit.read_on(behind.as_ref(), &mut |place, line| {
            step.changes.extend(change_of(place, line));
            Ok(())
        })?;
        let part = match read {
            ReadOn::Elsewhere => return Ok(None),
            ReadOn::Part(part) => part,
        };
        bytes += part.bytes;
        step.missed += part.missed;
        step.damaged += part.damaged;
        step.to = part.last.or(step.to);
        step.counts = !step.changes.is_empty() || bytes >= BARREN || step.missed > 0;
        if !part.more || step.changes.len() >= ENOUGH {
            step.more = part.more;
            return Ok(Some(step));
        }
        behind = part.last.or(behind);
    }
}

/// `None`: the record is about something else.
pub(super) fn change_of(place: &Place, line: &[u8]) -> Option<Change> {
    // The event's place is fixed by the form of a record: most need not be read.
    let event = line.splitn(4, |b| *b == b',').nth(2)?;
    if !matches!(event, b"\"event\":\"write\"" | b"\"event\":\"completed\"" | b"\"event\":\"remove\"") {
        return None;
    }
    let record = AuditRecord::parse(line)?;
    let path = record.path()?;
    // What stores publish is their own business.
    if path.starts_with(Path::new(WORKSPACE_DIR).join(STORES)) {
        return None;
    }
    let version = |field| record.text(field).map(str::to_owned);
    let (kind, before, after) = match record.event() {
        "remove" => (ChangeKind::Deleted, version("before"), None),
        // Null: there was none. Not there at all: nobody knows.
        "write" if record.is_null("before") => (ChangeKind::Created, None, version("hash")),
        _ => (ChangeKind::Changed, version("before"), version("hash")),
    };
    Some(Change {
        path,
        by: record.session().unwrap_or_default().to_owned(),
        at: record.at()?,
        kind,
        before,
        after,
        source: ChangeSource::Publish { record: place.n },
        mark: Some(mark_of(&place.chain)),
    })
}
