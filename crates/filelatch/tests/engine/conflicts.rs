//! Stored conflicts: what is kept, who is told, how they are resolved.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::fs;
use std::path::Path;

use filelatch::conflict::{Cause, ConflictState, HowResolved, Sides};
use filelatch::{Author, Error, Expect, LatchFile, Outcome, Resolution, StoredConflict, Version, WriteOptions};

use super::merging::{BASE, conflict, engine, file, merging, set, workspace};

/// Both change `a`, theirs also `c`, ours also `b`; the id.
fn clash(path: &Path) -> (StoredConflict, Vec<u8>, Vec<u8>) {
    let (ours, theirs) = (set(&set(BASE, "a", 7), "b", 2), set(&set(BASE, "a", 8), "c", 3));
    file(path).write(&theirs, &WriteOptions::new()).unwrap();
    let (_, unmerged) = conflict(file(path).write(&ours, &merging(BASE).base(BASE)));
    let id = unmerged.id.expect("stored");
    (engine().conflict(path.parent().unwrap(), &id).unwrap(), ours, theirs)
}

/// MERGE-4: both versions and the base are kept, with who and when; what was brought together is kept, with markers around the rest; and
/// only the user may read it.
#[test]
fn what_is_kept() {
    let (dir, path) = workspace(Some(BASE));
    let (stored, ours, theirs) = clash(&path);
    assert!(stored.is_open());
    assert_eq!((&stored.path, stored.cause, stored.on_disk, stored.conflicts), (&path, Cause::Merge, Sides::Theirs, 1));
    let (our_side, their_side) = (stored.ours.clone().unwrap(), stored.theirs.clone().unwrap());
    assert_eq!((our_side.version, their_side.version), (Version::of(&ours), Version::of(&theirs)));
    assert_eq!(stored.base.clone().unwrap().version, Version::of(BASE));
    assert_eq!(our_side.author, Author::Session("alice".to_owned()));
    assert!(our_side.at.is_some() && stored.stored_at.is_some());
    let contents = engine().conflict_contents(&stored).unwrap();
    assert_eq!(contents.base.as_deref(), Some(BASE));
    assert_eq!((contents.ours, contents.theirs), (Some(ours.clone()), Some(theirs.clone())));
    assert_eq!(contents.merged.unwrap().conflicts().count(), 1);
    let merged = fs::read_to_string(stored.merged_path()).unwrap();
    assert!(merged.contains("<<<<<<< mine (alice)\n") && merged.contains("\n>>>>>>> theirs"), "{merged}");
    assert!(merged.contains("\"b\": 2") && merged.contains("\"c\": 3"), "what fits is there: {merged}");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&dir.path().join(".filelatch/conflicts")), 0o700);
        assert_eq!(mode(&stored.dir), 0o700);
        for entry in fs::read_dir(&stored.dir).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
    drop(dir);
}

/// MERGE-4: the same refused write is one conflict, however often it is tried; another one is another.
#[test]
fn stored_once() {
    let (_dir, path) = workspace(Some(BASE));
    let (first, ours, _) = clash(&path);
    let here = file(&path);
    for _ in 0..3 {
        let (_, unmerged) = conflict(here.write(&ours, &merging(BASE).base(BASE)));
        assert_eq!(unmerged.id.as_deref(), Some(&first.id[..]));
    }
    conflict(here.write(&set(&ours, "a", 9), &merging(BASE).base(BASE)));
    assert_eq!(here.conflicts().unwrap().len(), 2);
    // Resolved in favour of theirs, and tried again: it waits for somebody again.
    let resolved = here.resolve(&first.id, &Resolution::Theirs, &WriteOptions::new()).unwrap();
    assert!(!resolved.conflict.is_open());
    let (_, unmerged) = conflict(here.write(&ours, &merging(BASE).base(BASE)));
    assert_ne!(unmerged.id.as_deref(), Some(&first.id[..]));
    assert_eq!(here.conflicts().unwrap().iter().filter(|conflict| conflict.is_open()).count(), 2);
}

fn resolve(here: &LatchFile, id: &str, resolution: &Resolution) -> filelatch::conflict::Resolved {
    here.resolve(id, resolution, &WriteOptions::new()).unwrap()
}

/// MERGE-4: mine, theirs, the edited document, or another content; the file is saved first, and the conflict says how it ended.
#[test]
fn each_way() {
    let edited = set(&set(&set(BASE, "a", 9), "b", 2), "c", 3);
    for (resolution, how) in [
        (Resolution::Mine, HowResolved::Mine),
        (Resolution::Theirs, HowResolved::Theirs),
        (Resolution::Merged, HowResolved::Merged),
        (Resolution::Content(b"{}".to_vec()), HowResolved::Content),
    ] {
        let (_dir, path) = workspace(Some(BASE));
        let (stored, ours, theirs) = clash(&path);
        let here = file(&path);
        if resolution == Resolution::Merged {
            let early = here.resolve(&stored.id, &resolution, &WriteOptions::new()).unwrap_err();
            assert!(
                matches!(&early, Error::Unresolved { problem, .. } if problem.contains("marker in line 2")),
                "{early}"
            );
            fs::write(stored.merged_path(), &edited).unwrap();
        }
        let expected = match how {
            HowResolved::Mine => ours.clone(),
            HowResolved::Theirs => theirs.clone(),
            HowResolved::Merged => edited.clone(),
            _ => b"{}".to_vec(),
        };
        let resolved = resolve(&here, &stored.id, &resolution);
        assert_eq!(fs::read(&path).unwrap(), expected, "{how}");
        let written = resolved.written.unwrap();
        let outcome = if how == HowResolved::Theirs { Outcome::Unchanged } else { Outcome::Written };
        assert_eq!(written.outcome, outcome, "{how}");
        match resolved.backup {
            Some(backup) => assert_eq!(fs::read(backup).unwrap(), theirs, "{how}"),
            None => assert_eq!(how, HowResolved::Theirs),
        }
        let stored = here.conflicts().unwrap().pop().unwrap();
        assert!(
            matches!(&stored.state, ConflictState::Resolved { how: noted, by, version, .. }
                if *noted == how && by == "alice" && *version == Some(Version::of(&expected))),
            "{:?}",
            stored.state
        );
        let again = here.resolve(&stored.id, &Resolution::Mine, &WriteOptions::new()).unwrap_err();
        assert!(matches!(again, Error::AlreadyResolved { .. }), "{again}");
        assert_eq!(fs::read(&path).unwrap(), expected, "{how}");
        // Both are still there to look at.
        let contents = engine().conflict_contents(&stored).unwrap();
        assert_eq!((contents.ours, contents.theirs), (Some(ours), Some(theirs)));
    }
}

/// MERGE-4: the file went on meanwhile. What was written since is merged into the resolution, or the resolution is refused; in favour of
/// theirs it stays. With an expectation the decision is for that version.
#[test]
fn the_file_went_on() {
    let (_dir, path) = workspace(Some(BASE));
    let (stored, ours, theirs) = clash(&path);
    let here = file(&path);
    // In another place than the one that was decided about.
    here.write(&set(&theirs, "c", 4), &WriteOptions::new()).unwrap();
    let refused = here.resolve(&stored.id, &Resolution::Content(set(&theirs, "c", 5)), &WriteOptions::new());
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(fs::read(&path).unwrap(), set(&theirs, "c", 4));
    let resolved = resolve(&here, &stored.id, &Resolution::Content(set(&theirs, "a", 9)));
    assert_eq!(resolved.written.unwrap().outcome, Outcome::Merged);
    assert_eq!(fs::read(&path).unwrap(), set(&set(&theirs, "a", 9), "c", 4));
    assert_eq!(fs::read(resolved.backup.unwrap()).unwrap(), set(&theirs, "c", 4));

    let (_dir, path) = workspace(Some(BASE));
    let (stored, _, theirs) = clash(&path);
    let here = file(&path);
    here.write(b"quite different", &WriteOptions::new()).unwrap();
    resolve(&here, &stored.id, &Resolution::Theirs);
    assert_eq!(fs::read(&path).unwrap(), b"quite different", "what was made of theirs stays: {theirs:?}");

    let (_dir, path) = workspace(Some(BASE));
    let (stored, _, _) = clash(&path);
    let here = file(&path);
    here.write(b"quite different", &WriteOptions::new()).unwrap();
    let stale = WriteOptions::new().expect(Expect::Version(Version::of(BASE)));
    assert!(matches!(here.resolve(&stored.id, &Resolution::Mine, &stale), Err(Error::Conflict(_))));
    let seen = WriteOptions::new().expect(Expect::Version(Version::of(b"quite different")));
    here.resolve(&stored.id, &Resolution::Mine, &seen).unwrap();
    assert_eq!(fs::read(&path).unwrap(), ours);
}

/// L47: one side removed the file. Mine brings it back, theirs leaves it as it is.
#[test]
fn removed_files() {
    for mine in [true, false] {
        let (_dir, path) = workspace(None);
        let (_, unmerged) = conflict(file(&path).write(BASE, &merging(b"old").base(&b"old"[..])));
        assert_eq!(unmerged.cause, Cause::Deleted);
        let here = file(&path);
        let id = unmerged.id.unwrap();
        let resolution = if mine { Resolution::Mine } else { Resolution::Theirs };
        let resolved = resolve(&here, &id, &resolution);
        assert_eq!(path.exists(), mine);
        assert_eq!((resolved.written.is_some(), resolved.backup), (mine, None));
    }
}

/// MERGE-4: ids by their first digits, ids of nothing, and of another file.
#[test]
fn by_id() {
    let (dir, path) = workspace(Some(BASE));
    let (stored, ..) = clash(&path);
    let engine = engine();
    assert_eq!(engine.conflict(dir.path(), &stored.id[..4]).unwrap().id, stored.id);
    for wrong in ["", &stored.id[..3], "../..", "/", "ffffffffffff0"] {
        let error = engine.conflict(dir.path(), wrong).unwrap_err();
        assert!(matches!(error, Error::NoSuchConflict { .. }), "{wrong}: {error}");
    }
    let other = path.with_file_name("b.json");
    fs::write(&other, "{}").unwrap();
    let error = file(&other).resolve(&stored.id, &Resolution::Mine, &WriteOptions::new()).unwrap_err();
    assert!(matches!(error, Error::Unresolved { .. }), "{error}");
    assert_eq!(fs::read(&other).unwrap(), b"{}");
    assert!(file(&other).conflicts().unwrap().is_empty());
    assert_eq!(engine.conflicts(dir.path()).unwrap().stored.len(), 1);
    // By its id alone.
    engine.resolve(dir.path(), &stored.id[..6], &Resolution::Theirs, &WriteOptions::new()).unwrap();
}

/// MERGE-4: a conflict whose files were changed, cut or removed is told of, hides no other, and is not used.
#[test]
fn damaged() {
    let (dir, path) = workspace(Some(BASE));
    let (stored, ours, _) = clash(&path);
    let (_, other) = conflict(file(&path).write(&set(&ours, "a", 9), &merging(BASE).base(BASE)));
    let other = other.id.unwrap();
    fs::write(stored.dir.join("ours.json"), b"forged").unwrap();
    let error = file(&path).resolve(&stored.id, &Resolution::Mine, &WriteOptions::new()).unwrap_err();
    assert!(
        matches!(&error, Error::BadConflict { .. }) && error.to_string().contains("`ours.json` was changed"),
        "{error}"
    );
    fs::remove_file(stored.dir.join("ours.json")).unwrap();
    assert!(engine().conflict_contents(&stored).unwrap_err().to_string().contains("missing"));
    fs::write(stored.dir.join("conflict.json"), b"{\"v\":1,").unwrap();
    let listed = engine().conflicts(dir.path()).unwrap();
    assert_eq!(listed.stored.iter().map(|conflict| &conflict.id).collect::<Vec<_>>(), [&other]);
    assert_eq!(listed.damaged.len(), 1);
    assert!(matches!(engine().conflict(dir.path(), &stored.id), Err(Error::BadConflict { .. })));
    // Nothing of it counts: the same conflict can be stored again, beside it.
    let (_, unmerged) = conflict(file(&path).write(&ours, &merging(BASE).base(BASE)));
    assert!(unmerged.id.is_some_and(|id| id != stored.id));
}

/// MERGE-4: many resolved conflicts are tidied up, the oldest first; open ones stay.
#[test]
fn bounded() {
    let (_dir, path) = workspace(Some(BASE));
    let here = file(&path);
    let (open, ..) = clash(&path);
    let base = fs::read(&path).unwrap();
    for i in 0..90 {
        let (_, unmerged) = conflict(here.write(&set(&base, "a", 100 + i), &merging(BASE).base(BASE)));
        here.resolve(&unmerged.id.unwrap(), &Resolution::Theirs, &WriteOptions::new()).unwrap();
    }
    // Somebody died while storing one.
    let half = open.dir.with_file_name("0123456789ab");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("ours.json"), "x").unwrap();
    assert_eq!(here.conflicts().unwrap().iter().filter(|conflict| conflict.id == "0123456789ab").count(), 0);
    conflict(here.write(&set(&base, "a", 500), &merging(BASE).base(BASE)));
    let stored = here.conflicts().unwrap();
    assert!((60..=70).contains(&stored.len()), "{}", stored.len());
    assert!(stored.iter().any(|conflict| conflict.id == open.id && conflict.is_open()));
    assert!(!half.exists());
}

/// VER-11, P5.5: foreign data that a dead writer left beside the file becomes a stored conflict, and nothing is left beside it.
#[test]
fn foreign_leftovers() {
    let (_dir, path) = workspace(Some(BASE));
    let left = path.with_file_name(".a.json.77-0123456789abcdef.tmp");
    fs::write(&left, b"{\"somebody\": \"else\"}").unwrap();
    let here = file(&path);
    here.write(&set(BASE, "a", 2), &WriteOptions::new()).unwrap();
    assert!(!left.exists());
    let stored = here.conflicts().unwrap().pop().unwrap();
    assert_eq!((stored.cause, stored.on_disk, &stored.base), (Cause::Foreign, Sides::Ours, &None));
    let contents = engine().conflict_contents(&stored).unwrap();
    assert_eq!(contents.theirs.as_deref(), Some(&b"{\"somebody\": \"else\"}"[..]));
    resolve(&here, &stored.id, &Resolution::Theirs);
    assert_eq!(fs::read(&path).unwrap(), b"{\"somebody\": \"else\"}");
}
