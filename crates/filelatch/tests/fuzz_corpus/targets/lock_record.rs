//! What lock files and attributions are taken for (LOCK-19, P1, P6): anything may stand there.

use filelatch::fuzzing::{self, Head, RECORD_LIMIT, Record};

pub(crate) fn run(data: &[u8]) {
    let head = &data[..data.len().min(RECORD_LIMIT)];
    let found = Record::find(head, data.len() as u64);
    if data.len() >= RECORD_LIMIT || !(data.starts_with(b"{\"v\":") || data.starts_with(b"\0")) {
        assert_eq!(found, Head::Foreign, "somebody's data");
    } else {
        assert_ne!(found, Head::Foreign, "our own");
    }
    if let Head::Record(record) = found {
        written(&record, data.len());
        cut(record);
    }
    if let Some(text) = fuzzing::attribution(data) {
        assert_eq!(fuzzing::attribution(text.as_bytes()).as_ref(), Some(&text), "read and written again");
    }
}

/// Written over something of the same, no or another length it is one line and the same record.
fn written(record: &Record, len: usize) {
    for len in [0, len, len + 40] {
        let line = record.line(len);
        assert!(line.len() >= len && line.ends_with(b"\n") && line.iter().filter(|b| **b == b'\n').count() == 1);
        if line.len() < RECORD_LIMIT && record.line(0).len() < RECORD_LIMIT {
            let Head::Record(again) = Record::find(&line, line.len() as u64) else { panic!("lost: {line:?}") };
            assert_eq!(again.line(0), record.line(0));
        }
    }
}

/// However long session and purpose are, the line is known again as ours if the rest leaves them room.
fn cut(mut record: Record) {
    for text in record.shortened() {
        text.clear();
    }
    let rest = record.line(0).len();
    for text in record.shortened() {
        *text = "é\u{1}\"x".repeat(RECORD_LIMIT);
    }
    let line = record.line(0);
    // Field names, quotes and an ellipsis each.
    if rest + 60 < RECORD_LIMIT {
        assert!(matches!(Record::find(&line, line.len() as u64), Head::Record(_)), "{} bytes", line.len());
    }
}
