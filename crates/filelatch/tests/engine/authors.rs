//! Writers for whom one program writes: each has its name in what it wrote (VER-3, SERVE-1).
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;

use filelatch::audit::AuditFilter;
use filelatch::{Attributed, Author, Error, Expect, Filelatch, LeaseOptions, Strategy, Version, WriteOptions};
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

/// VER-3, AGENT-9: bytes that another program has written get the name of who says so, exactly those bytes and no others; what filelatch has
/// written keeps its author, and content and time stay as they are.
#[test]
fn named_afterwards() {
    let dir = tempdir().unwrap();
    let latch = Filelatch::builder().session("server").build();
    latch.init(dir.path()).unwrap();
    let path = dir.path().join("a.txt");
    fs::write(&path, "by hand\n").unwrap();
    let (file, version) = (latch.file(&path).unwrap(), Version::of(b"by hand\n"));
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    let told = file.attribute(&version, &by("ann")).unwrap();
    if told == Attributed::Unsupported {
        eprintln!("no extended attributes here: nothing more is tried");
        return;
    }
    assert_eq!(told, Attributed::Recorded);
    let read = file.read().unwrap();
    assert_eq!((read.author(), read.bytes()), (&author("ann"), &b"by hand\n"[..]));
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before);
    // Once named, it stays.
    assert_eq!(file.attribute(&version, &by("bob")).unwrap(), Attributed::Known(author("ann")));
    // Other bytes than the caller has seen are nobody's.
    fs::write(&path, "by somebody else\n").unwrap();
    assert!(matches!(file.attribute(&version, &by("bob")), Err(Error::Conflict(_))));
    assert_eq!(*file.read().unwrap().author(), Author::External);
    // A long name is found again by the workspace.
    file.attribute(&Version::of(b"by somebody else\n"), &by(LONG)).unwrap();
    assert_eq!(*file.read().unwrap().author(), author(LONG));
    fs::remove_file(&path).unwrap();
    assert!(matches!(file.attribute(&version, &by("bob")), Err(Error::NotFound { .. })));
    let audit = latch.audit(dir.path()).unwrap();
    let writes = audit.records(&AuditFilter::new().event("write")).unwrap().records;
    let told: Vec<_> = writes.iter().map(|record| (record.session(), record.text("outcome"))).collect();
    assert_eq!(told, [(Some("ann"), Some("attributed")), (Some(LONG), Some("attributed"))]);
}

/// VER-3: a name does not count any more once the bytes it was given to are others, in place or by a rename.
#[test]
fn a_name_belongs_to_bytes() {
    let dir = tempdir().unwrap();
    let latch = Filelatch::builder().session("server").build();
    let path = dir.path().join("a.txt");
    fs::write(&path, "one").unwrap();
    let file = latch.file(&path).unwrap();
    if file.attribute(&Version::of(b"one"), &by("ann")).unwrap() != Attributed::Recorded {
        return;
    }
    fs::write(&path, "two").unwrap();
    assert_eq!(*file.read().unwrap().author(), Author::External);
    fs::write(dir.path().join("b"), "one").unwrap();
    fs::rename(dir.path().join("b"), &path).unwrap();
    assert_eq!(*file.read().unwrap().author(), Author::External);
}
