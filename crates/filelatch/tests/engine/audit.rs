//! The audit log on the real file system: what is recorded, in which order, and what becomes of a log that somebody changes.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::{Path, PathBuf};

use filelatch::audit::{Audit, AuditFilter, AuditRecord, VerifyOptions};
use filelatch::{Filelatch, WriteOptions};

/// A workspace whose log has files of so many bytes.
fn workspace(config: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap();
    Filelatch::new().init(&root).unwrap();
    std::fs::write(root.join(".filelatch/config.toml"), config).unwrap();
    (dir, root)
}

fn engine(session: &str) -> Filelatch {
    Filelatch::builder().session(session).build()
}

fn log_of(root: &Path) -> Audit {
    Filelatch::new().audit(root).unwrap()
}

fn records(root: &Path, filter: &AuditFilter) -> Vec<AuditRecord> {
    let read = log_of(root).records(filter).unwrap();
    assert_eq!(read.damaged, 0);
    read.records
}

#[track_caller]
fn assert_whole(root: &Path) {
    let found = log_of(root).verify(&VerifyOptions::new()).unwrap();
    assert!(found.is_ok(), "{:#?}", found.problems);
}

/// KEEP-2: each publish has one record, with what was there before and what is there now.
#[test]
fn writes() {
    let (_dir, root) = workspace("");
    let file = engine("one").file(root.join("a.json")).unwrap();
    let first = file.write(b"1", &WriteOptions::new()).unwrap();
    let second = file.write(b"2", &WriteOptions::new()).unwrap();
    file.write(b"2", &WriteOptions::new()).unwrap();
    let all = records(&root, &AuditFilter::new());
    let events: Vec<_> = all.iter().map(|record| (record.number(), record.event().to_owned())).collect();
    let named = |n, event: &str| (n, event.to_owned());
    assert_eq!(events, [named(1, "begin"), named(2, "write"), named(3, "write")]);
    let (one, two) = (&all[1], &all[2]);
    assert_eq!((one.path(), one.session()), (Some("a.json".into()), Some("one")));
    let hash = |record: &AuditRecord, field: &str| record.text(field).map(str::to_owned);
    assert_eq!(hash(one, "hash"), first.version.map(|v| v.to_string()));
    assert_eq!(hash(two, "hash"), second.version.map(|v| v.to_string()));
    assert!(one.to_json()["before"].is_null());
    // Overwritten unseen: by the word of its attribution, which has 16 digits.
    assert_eq!(hash(two, "before"), first.version.map(|v| v.short()));
    assert_eq!(two.count("generation"), one.count("generation").map(|generation| generation + 1));
    assert_whole(&root);
}
