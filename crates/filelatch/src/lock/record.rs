//! The holder record: one line of JSON in the lock file that says whose tenure this is (P1).
//!
//! It is a hint for people and for recovery, never the lock: before it is shown it is checked against the system, and a
//! record whose `v` is newer than [`NEWEST`] is somebody's whom we do not understand: the lock is refused (L20).

use serde::{Deserialize, Serialize};

/// Records longer than this are somebody's data, not a record.
pub(crate) const RECORD_LIMIT: usize = 1024;

/// The newest form of the record that this version understands.
pub(crate) const NEWEST: u32 = 1;

/// What a lock file says about its holder. Unknown fields of later versions are kept out of the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Record {
    pub(crate) v: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) mode: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) pid: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) pidns: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) start: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) boot: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) host: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) session: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) purpose: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) since: String,
    /// Which tenure: a number of its own for each fallback lock (P4), 16 hex digits.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) id: String,
    /// Inode of the lock file whose whole-file lock the holder of a fallback lock has as well; 0: none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) flock: u64,
    /// For so many milliseconds the heartbeat of a fallback lock may stop; 0: it has none.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) lease: u64,
    /// Given back by its holder, who could not remove the file.
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) released: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) intent: Option<Intent>,
}

/// An unfinished write that the next holder has to complete (P5.9, P9).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Intent {
    /// `in-place` or `several`; another kind is one that only a newer filelatch understands.
    pub(crate) kind: String,
    /// Name of the journal beside the file; of several files: the id of the intent in their workspace.
    pub(crate) journal: String,
    /// Hash of what the file is to hold; of several files also `absent`.
    pub(crate) hash: String,
    /// Of several files: which of them this is.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) part: u64,
}

/// The beginning of a text that is too long.
fn cut(text: &str, room: usize) -> String {
    if text.len() <= room {
        return text.to_owned();
    }
    let end = (0..=room).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
    format!("{}…", &text[..end])
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_false(b: &bool) -> bool {
    !*b
}

/// What was found in a lock file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// A record.
    Record(Box<Record>),
    /// Our file, but the record is torn or zeroed (after a power cut), or there is none yet.
    Damaged,
    /// Not ours: empty, or somebody's data. Locked, never written.
    Foreign,
}

impl Record {
    /// The marker of a lock file that is ours and has had no exclusive holder yet.
    pub(crate) fn blank() -> Record {
        Record { v: NEWEST, ..Record::default() }
    }

    /// The line, padded with blanks to at least `len` bytes: one write replaces a longer record without truncation.
    ///
    /// A long session or purpose is cut, so that the line stays within [`RECORD_LIMIT`] and is known again as ours.
    pub(crate) fn line(&self, len: usize) -> Vec<u8> {
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        let mut room = RECORD_LIMIT / 4;
        while line.len() + 1 >= RECORD_LIMIT && room > 0 {
            let record =
                Record { session: cut(&self.session, room), purpose: cut(&self.purpose, room), ..self.clone() };
            line = serde_json::to_vec(&record).unwrap_or_default();
            room /= 2;
        }
        line.resize(line.len().max(len.saturating_sub(1)), b' ');
        line.push(b'\n');
        line
    }

    /// Reads the head of a lock file of `size` bytes.
    pub(crate) fn find(head: &[u8], size: u64) -> Found {
        let ours = size < RECORD_LIMIT as u64 && (head.starts_with(b"{\"v\":") || head.first() == Some(&0));
        if !ours {
            return Found::Foreign;
        }
        let line = head.split(|b| *b == b'\n').next().unwrap_or_default();
        serde_json::from_slice(line).map_or(Found::Damaged, |record| Found::Record(Box::new(record)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOCK-19 (P1): what counts as ours, and what must never be written.
    #[test]
    fn ours_or_not() {
        let find = |bytes: &[u8]| Record::find(bytes, bytes.len() as u64);
        assert!(matches!(find(b"{\"v\":1,\"pid\":7}\n"), Found::Record(r) if r.pid == 7));
        assert_eq!(find(b"{\"v\":1,\"pi"), Found::Damaged);
        assert_eq!(find(&[0; 200]), Found::Damaged);
        assert_eq!(find(b""), Found::Foreign);
        assert_eq!(find(b"4211\n"), Found::Foreign);
        assert_eq!(find(&[0; 5000][..RECORD_LIMIT]), Found::Foreign);
        assert_eq!(Record::find(b"{\"v\":1}", 5000), Found::Foreign);
    }

    /// P1: a shorter record overwrites a longer one completely with one write.
    #[test]
    fn padding() {
        let mut record = Record { session: "a long session name".into(), ..Record::blank() };
        let long = record.line(0);
        record.session = "s".into();
        let short = record.line(long.len());
        assert_eq!(short.len(), long.len());
        assert_eq!(Record::find(&short, short.len() as u64), Found::Record(Box::new(record)));
    }
}
