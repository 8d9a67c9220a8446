//! What a fallback lock's file is taken for (LOCK-10, P4): anything may stand there, and what is read decides who may remove it.

use std::ffi::OsStr;

use filelatch::fuzzing::{self, RECORD_LIMIT, Record};

/// Digits and the end of their line.
const BEAT: usize = 21;
/// What giving back adds to a record.
const RELEASED: usize = ",\"released\":true".len();

pub(crate) fn run(data: &[u8]) {
    let data = &data[..data.len().min(RECORD_LIMIT + BEAT)];
    let (record, beat) = fuzzing::held(data);
    assert!(data.ends_with(&beat));
    let Some(record) = record else { return };
    let line = data.len() - beat.len();
    assert!(line < RECORD_LIMIT && data.starts_with(b"{\"v\":"), "somebody's data");
    // The number becomes a part of a file name.
    let id = record.id();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id:?}");
    let right = fuzzing::right_name(OsStr::new(&"n".repeat(255)), id);
    assert!(right.len() <= 255 && right.as_encoded_bytes().ends_with(id.as_bytes()));
    written(&record);
}

/// Made, cut anywhere, and given back in words, it is the same lock, or no record.
fn written(record: &Record) {
    let (bytes, back) = fuzzing::held_written(record);
    let line = bytes.len() - BEAT;
    if line + RELEASED >= RECORD_LIMIT {
        return;
    }
    let same = |found: Option<Record>| found.expect("our own").line(0) == record.line(0);
    let (found, beat) = fuzzing::held(&bytes);
    assert!(same(found) && beat == bytes[line..]);
    // Behind the record are blanks, which make room for what it says when it is given back.
    let record_end = bytes[..line].trim_ascii_end().len();
    for end in [0, record_end / 2, record_end.saturating_sub(1)] {
        assert_eq!(fuzzing::held(&bytes[..end]).0, None, "torn at {end} of {line}");
    }
    let mut over = bytes;
    let len = back.len().max(over.len());
    over.resize(len, 0);
    over[..back.len()].copy_from_slice(&back);
    let (found, _) = fuzzing::held(&over);
    let found = found.expect("given back");
    assert!(found.is_released() && found.id() == record.id());
}
