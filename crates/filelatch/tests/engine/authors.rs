//! Writers for whom one program writes: each has its name in what it wrote (VER-3, SERVE-1).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;

use filelatch::audit::AuditFilter;
use filelatch::{Author, Error, Expect, Filelatch, LeaseOptions, Strategy, WriteOptions};
use tempfile::tempdir;

const LONG: &str = "a browser tab of somebody with a long name";

fn by(name: &str) -> WriteOptions<'static> {
    WriteOptions::new().session(name)
}

fn author(name: &str) -> Author {
    Author::Session(name.to_owned())
}

/// VER-3: who wrote is who it was written for, by every call that writes; also with a name that does not fit into the file's own note.
#[test]
fn every_call_that_writes() {
    let dir = tempdir().unwrap();
    let latch = Filelatch::builder().session("server").build();
    latch.init(dir.path()).unwrap();
    let file = latch.file(dir.path().join("a.json")).unwrap();
    assert!(file.write(b"{}\n", &by("ann")).unwrap().created, "there was no such file");
    if file.read().unwrap().author() == &Author::Unknown {
        eprintln!("no extended attributes here: nothing is tried");
        return;
    }
    let written = |name: &str| assert_eq!(*file.read().unwrap().author(), author(name));
    written("ann");
    let first = file.read().unwrap().version();
    let changed = file.write(b"{\"a\": 1}\n", &by(LONG).expect(Expect::Version(first))).unwrap();
    assert!(!changed.created);
    written(LONG);
    file.update_bytes(&by("bob"), |_| Ok::<_, Error>(Some(b"{\"a\": 2}\n".to_vec()))).unwrap();
    written("bob");
    let set = |value: &mut serde_json::Value| {
        value["a"] = 3.into();
        Ok::<_, Error>(())
    };
    file.update_value(&by("cid"), set).unwrap();
    written("cid");
    file.lock(&by("").lock).unwrap().write(b"{\"a\": 4}\n", &by("dot")).unwrap();
    written("dot");
    file.lease(&LeaseOptions::new()).unwrap().write(b"{\"a\": 5}\n", &by("eve")).unwrap();
    written("eve");
    file.restore(&first, &by("fay")).unwrap();
    written("fay");
    file.write(b"{\"a\": 6}\n", &WriteOptions::new()).unwrap();
    written("server");
    // Nothing changed, so nobody else wrote it.
    file.write(b"{\"a\": 6}\n", &by("ann")).unwrap();
    written("server");
    file.lock(&by("").lock).unwrap().remove(&by("gus")).unwrap();
    let records = latch.audit(dir.path()).unwrap().records(&AuditFilter::new()).unwrap();
    let told: Vec<_> = records.records.iter().filter_map(|record| Some((record.event(), record.session()?))).collect();
    let writers = told.iter().filter(|(event, _)| *event == "write").map(|(_, by)| *by).collect::<Vec<_>>();
    assert_eq!(writers, ["ann", LONG, "bob", "cid", "dot", "eve", "fay", "server"]);
    assert!(told.contains(&("remove", "gus")) && told.contains(&("restore", "fay")), "{told:?}");
}

/// VER-4, VER-6: a stored conflict names for whom its content was to be written, and who resolved it.
#[test]
fn conflicts() {
    let dir = tempdir().unwrap();
    let latch = Filelatch::builder().session("server").build();
    latch.init(dir.path()).unwrap();
    let path = dir.path().join("a.txt");
    let file = latch.file(&path).unwrap();
    file.write(b"one\n", &by("ann")).unwrap();
    let seen = file.read().unwrap();
    fs::write(&path, "two\n").unwrap();
    let options = by("bob").strategy(Strategy::Merge).expect(Expect::Version(seen.version())).base(seen.bytes());
    let refused = file.write(b"three\n", &options).unwrap_err();
    let Error::Conflict(conflict) = refused else { panic!("{refused}") };
    let id = conflict.unmerged.unwrap().id.unwrap();
    let stored = file.conflicts().unwrap().into_iter().find(|stored| stored.id == id).unwrap();
    assert_eq!(stored.ours.as_ref().unwrap().author, author("bob"));
}

/// LOCK-13: a lease names for whom it was taken.
#[test]
fn leases() {
    let dir = tempdir().unwrap();
    let file = Filelatch::builder().session("server").build().file(dir.path().join("a")).unwrap();
    let lease = file.lease(&LeaseOptions::new().session("ann")).unwrap();
    let state = file.lease_state().unwrap().unwrap();
    assert_eq!(state.holder.session.as_deref(), Some("ann"));
    drop(lease);
}
