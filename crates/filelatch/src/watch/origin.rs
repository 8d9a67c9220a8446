//! Whose bytes these are (WATCH-2): decided by the bytes and the attribution that travels with them, never by when they came (L43).
//!
//! # Promise
//! | the bytes | their attribution | origin |
//! |---|---|---|
//! | published by this engine, under this name | speaks of them and names this session | [`Origin::Own`] |
//! | the same | none, in a file system or a write that leaves none | [`Origin::Own`] |
//! | the same | none, or one of other bytes, where this engine had left one | [`Origin::External`] |
//! | any | speaks of them and names another session, or this one and this engine did not do it | [`Origin::Session`] |
//! | others | none, or one of other bytes | [`Origin::External`] |
//! | others | none, in a file system without attributions | [`Origin::Unknown`] |
//! | none: the file is gone, by this engine | | [`Origin::Own`] |
//! | none: the file is gone, by anybody else | | [`Origin::External`] |
//!
//! # Non-promise
//! An attribution is a hint that whoever may write can forge. A copy that keeps attributes (`cp -a`) keeps its author.

use super::event::Origin;
use super::own::{Known, Look, OwnWrites};
use crate::parts::Parts;
use crate::path::ResourceId;
use crate::version::Version;
use crate::workspace::Workspace;
use crate::write::Author;
use crate::write::attribution::{Attribution, short_session};

/// What a look at a file found.
pub(crate) struct Found<'a> {
    /// Taken before the file was opened.
    pub(crate) look: Look,
    /// The name that it was found under.
    pub(crate) id: &'a ResourceId,
    /// Of its bytes.
    pub(crate) version: &'a Version,
    /// Of the same open file.
    pub(crate) mark: Option<&'a Attribution>,
}

/// Whose bytes a look has found. `has_xattrs`: can the file carry an attribution? Asked only if nothing else tells.
pub(crate) fn of(
    own: &OwnWrites,
    parts: &Parts,
    workspace: Option<&Workspace>,
    found: &Found<'_>,
    has_xattrs: impl FnOnce() -> bool,
) -> Origin {
    let author = match found.mark {
        Some(mark) if mark.is_of(found.version) => {
            let author = Author::Session(mark.session.clone());
            match workspace {
                Some(workspace) => workspace.resolve(parts, author),
                None => author,
            }
        }
        Some(_) => Author::External,
        None if has_xattrs() => Author::External,
        None => Author::Unknown,
    };
    of_author(own, parts, found.look, found.id, found.version, &author)
}

/// As [`of`], for bytes whose author is known already.
pub(crate) fn of_author(
    own: &OwnWrites,
    parts: &Parts,
    look: Look,
    id: &ResourceId,
    version: &Version,
    author: &Author,
) -> Origin {
    let is_own = match (own.knows(id, version, look), author) {
        (Known::No, _) | (Known::Marked, Author::External | Author::Unknown) => false,
        (_, Author::Session(name)) => short_session(name) == short_session(&parts.session),
        (Known::Unmarked, _) => true,
    };
    if is_own {
        return Origin::Own;
    }
    own.displaced(id, look);
    match author {
        Author::Session(name) => Origin::Session(name.clone()),
        Author::External => Origin::External,
        Author::Unknown => Origin::Unknown,
    }
}

/// Whose doing it is that a look has found no file. What is not there names nobody: another session's removal is told as external.
pub(crate) fn of_absence(own: &OwnWrites, id: &ResourceId, look: Look) -> Origin {
    if own.removed(id, look) {
        return Origin::Own;
    }
    own.displaced(id, look);
    Origin::External
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use filelatch_fs::sim::{Dials, SimFs, Verb};

    use super::super::own::Watching;
    use super::*;
    use crate::engine::Filelatch;
    use crate::file::{LatchFile, WriteOptions};
    use crate::lock::LockOptions;
    use crate::policy::{Policy, Strategy};
    use crate::version::Expect;
    use crate::write::{HardLinks, current};

    const OLD: &[u8] = b"old\n";
    const NEW: &[u8] = b"new\n";

    fn engine(fs: &SimFs, session: &str, hard_links: HardLinks) -> Filelatch {
        let policy = Policy { hard_links, ..Policy::default() };
        let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session(session);
        builder.defaults(policy).build()
    }

    /// An engine that watches, and its file.
    fn watched(fs: &SimFs, session: &str) -> (LatchFile, Watching) {
        let engine = engine(fs, session, HardLinks::Replace);
        let watching = engine.parts().own_writes.watching();
        (engine.file("/a").unwrap(), watching)
    }

    /// What a watch of this engine would say now of the file; `None`: there is none.
    fn seen(file: &LatchFile) -> Option<(Vec<u8>, Origin)> {
        let entry = file.entry().unwrap();
        let parts = entry.parts();
        let own = &parts.own_writes;
        let place = entry.place();
        let look = own.look();
        let Some(current) = current::open(place).unwrap() else {
            assert_eq!(of_absence(own, &place.id, look), Origin::External);
            return None;
        };
        let bytes = current.read(place, 1 << 20).unwrap();
        let version = Version::of(&bytes);
        let found = Found { look, id: &place.id, version: &version, mark: current.attribution.as_ref() };
        let origin = of(own, parts, entry.workspace.as_deref(), &found, || current.file.list_xattrs().is_ok());
        Some((bytes, origin))
    }

    fn origin(file: &LatchFile) -> Origin {
        seen(file).unwrap().1
    }

    /// With and without attributions.
    fn each() -> [Dials; 2] {
        [Dials::default(), Dials { xattrs: false, ..Dials::default() }]
    }

    /// WATCH-2 (L43): whichever way this engine writes, its bytes are its own from the first moment that anybody can see them.
    #[test]
    fn own_from_the_first_moment() {
        type Way = fn(&LatchFile);
        let ways: [(&str, Way); 6] = [
            ("write", |file| drop(file.write(NEW, &WriteOptions::new()).unwrap())),
            ("compared", |file| {
                let expect = file.try_read().unwrap().map_or(Expect::Absent, |old| Expect::Version(old.version()));
                file.write(NEW, &WriteOptions::new().expect(expect)).unwrap();
            }),
            ("update", |file| {
                file.update_bytes(&WriteOptions::new(), |_| Ok::<_, crate::Error>(Some(NEW.to_vec()))).unwrap();
            }),
            ("guard", |file| {
                let guard = file.lock(&LockOptions::new()).unwrap();
                guard.write(NEW, &WriteOptions::new()).unwrap();
            }),
            ("stream", |file| {
                let mut writer = file.writer(&WriteOptions::new()).unwrap();
                writer.write_all(NEW).unwrap();
                writer.commit(&LockOptions::new()).unwrap();
            }),
            ("merge", |file| {
                let options = WriteOptions::new().strategy(Strategy::Merge).base(OLD);
                if file.try_read().unwrap().is_none() {
                    file.write(OLD, &WriteOptions::new()).unwrap();
                }
                file.write(NEW, &options).unwrap();
            }),
        ];
        for dials in Dials::usual() {
            for (name, way) in ways {
                for start in ["absent", "file", "linked"] {
                    let fs = SimFs::new(dials);
                    if start != "absent" {
                        fs.foreign().create("/a", OLD).unwrap();
                    }
                    let hard_links = if start == "linked" {
                        fs.foreign().link("/a", "/b").ok();
                        HardLinks::InPlace
                    } else {
                        HardLinks::Replace
                    };
                    let engine = engine(&fs, "me", hard_links);
                    let _watching = engine.parts().own_writes.watching();
                    let file = engine.file("/a").unwrap();
                    let looker = file.clone();
                    let sightings = Arc::new(Mutex::new(Vec::new()));
                    let seen_by = Arc::clone(&sightings);
                    fs.observe(move |_, _| {
                        let sight = seen(&looker).filter(|(bytes, _)| bytes == NEW);
                        seen_by.lock().unwrap().extend(sight);
                    });
                    way(&file);
                    fs.unhook();
                    let sightings = std::mem::take(&mut *sightings.lock().unwrap());
                    let all_own = sightings.iter().all(|(_, origin)| *origin == Origin::Own);
                    assert!(!sightings.is_empty() && all_own, "{name}, {start}, {dials:?}: {sightings:?}");
                    assert_eq!(seen(&file), Some((NEW.to_vec(), Origin::Own)), "{name}, {start}, {dials:?}");
                }
            }
        }
    }
    /// WATCH-2: own, another session, a program that is not filelatch; with attributions and without.
    #[test]
    fn whose() {
        for dials in each() {
            let fs = SimFs::new(dials);
            let (mine, _watching) = watched(&fs, "me");
            let theirs = engine(&fs.process(), "them", HardLinks::Replace).file("/a").unwrap();
            let again = engine(&fs.process(), "me", HardLinks::Replace).file("/a").unwrap();
            let marked = |by| if dials.xattrs { by } else { Origin::Unknown };
            let write = |file: &LatchFile, bytes: &[u8]| drop(file.write(bytes, &WriteOptions::new()).unwrap());

            write(&mine, NEW);
            assert_eq!(origin(&mine), Origin::Own, "{dials:?}");
            write(&theirs, b"theirs");
            assert_eq!(origin(&mine), marked(Origin::Session("them".to_owned())), "{dials:?}");
            // Another engine of the same name is another.
            write(&again, b"mine, elsewhere");
            assert_eq!(origin(&mine), marked(Origin::Session("me".to_owned())), "{dials:?}");
            fs.foreign().replace("/a", b"foreign").unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "{dials:?}");
            write(&mine, NEW);
            assert_eq!(origin(&mine), Origin::Own, "{dials:?}");
            // Into the file: its attribution speaks of other bytes then.
            fs.foreign().truncate_and_write("/a", b"foreign").unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "{dials:?}");
            // The same bytes, by somebody who says so.
            write(&mine, NEW);
            fs.foreign().replace("/a", b"unseen").unwrap();
            write(&theirs, NEW);
            let same = if dials.xattrs { Origin::Session("them".to_owned()) } else { Origin::Own };
            assert_eq!(origin(&mine), same, "{dials:?}");
            fs.foreign().remove("/a").unwrap();
            assert_eq!(seen(&mine), None);
        }
    }

    /// WATCH-2 (L43): bytes that this engine published once, and that somebody else brings back, are not its own again.
    #[test]
    fn brought_back_by_others() {
        for dials in each() {
            let marked = |by| if dials.xattrs { by } else { Origin::Unknown };
            let fs = SimFs::new(dials);
            let (mine, _watching) = watched(&fs, "me");
            let write = |bytes| drop(mine.write(bytes, &WriteOptions::new()).unwrap());
            write(OLD);
            write(NEW);
            fs.foreign().replace("/a", OLD).unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "an older one, {dials:?}");
            write(NEW);
            fs.foreign().replace("/a", b"other").unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "another one, {dials:?}");
            fs.foreign().replace("/a", NEW).unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "after a look at another one, {dials:?}");
            write(b"once more");
            fs.foreign().remove("/a").unwrap();
            assert_eq!(seen(&mine), None);
            fs.foreign().replace("/a", b"once more").unwrap();
            assert_eq!(origin(&mine), marked(Origin::External), "after it was gone, {dials:?}");
            write(NEW);
            fs.foreign().replace("/a", NEW).unwrap();
            // Nothing has changed, and without attributions nobody can tell.
            let same = if dials.xattrs { Origin::External } else { Origin::Own };
            assert_eq!(origin(&mine), same, "{dials:?}");
        }
    }

    /// WATCH-2 (P9): a file that this engine has removed is gone by its own doing, until it was there again.
    #[test]
    fn removed() {
        for dials in each() {
            let fs = SimFs::new(dials);
            let (mine, _watching) = watched(&fs, "me");
            let absent = || {
                let (entry, own) = (mine.entry().unwrap(), &mine.entry().unwrap().parts().own_writes.clone());
                of_absence(own, &entry.place().id, own.look())
            };
            let remove = || {
                let latch = mine.engine();
                latch.apply_many([crate::FileChange::remove("/a")], &crate::ManyOptions::new()).unwrap();
            };
            mine.write(OLD, &WriteOptions::new()).unwrap();
            remove();
            assert_eq!(absent(), Origin::Own, "{dials:?}");
            mine.write(NEW, &WriteOptions::new()).unwrap();
            assert_eq!(origin(&mine), Origin::Own, "{dials:?}");
            fs.foreign().remove("/a").unwrap();
            assert_eq!(absent(), Origin::External, "{dials:?}");
            fs.foreign().replace("/a", OLD).unwrap();
            remove();
            assert_eq!(absent(), Origin::Own, "{dials:?}");
            fs.foreign().replace("/a", OLD).unwrap();
            seen(&mine).unwrap();
            fs.foreign().remove("/a").unwrap();
            assert_eq!(absent(), Origin::External, "seen in between, {dials:?}");
        }
    }

    /// WATCH-2 (L43): a write that failed does not make the same bytes of somebody else its own.
    #[test]
    fn a_failed_write() {
        for dials in Dials::usual() {
            let fs = SimFs::new(dials);
            let (mine, _watching) = watched(&fs, "me");
            mine.write(OLD, &WriteOptions::new()).unwrap();
            for verb in [Verb::Exchange, Verb::Rename] {
                fs.fail_verb(verb, std::io::ErrorKind::PermissionDenied);
            }
            mine.write(NEW, &WriteOptions::new()).unwrap_err();
            fs.heal();
            fs.foreign().replace("/a", NEW).unwrap();
            let wanted = if dials.xattrs { Origin::External } else { Origin::Unknown };
            assert_eq!(origin(&mine), wanted, "{dials:?}");
        }
    }

    /// WATCH-2: long names are those of the workspace, and what has no attribution counts by its bytes.
    #[test]
    fn full_names() {
        let fs = SimFs::new(Dials::default());
        let long = "an agent with a long name";
        let mine = engine(&fs, "me", HardLinks::Replace);
        mine.init("/").unwrap();
        let mine = mine.file("/a").unwrap();
        let theirs = engine(&fs.process(), long, HardLinks::Replace).file("/a").unwrap();
        theirs.write(NEW, &WriteOptions::new()).unwrap();
        assert_eq!(origin(&mine), Origin::Session(long.to_owned()));
    }

    /// WATCH-2: another name of the same file, and another file of the same bytes, are not what was published.
    #[test]
    fn by_name() {
        let fs = SimFs::new(Dials { xattrs: false, ..Dials::default() });
        let mine = engine(&fs, "me", HardLinks::Replace);
        let _watching = mine.parts().own_writes.watching();
        mine.file("/a").unwrap().write(NEW, &WriteOptions::new()).unwrap();
        fs.foreign().create("/b", NEW).unwrap();
        assert_eq!(origin(&mine.file("/a").unwrap()), Origin::Own);
        assert_eq!(origin(&mine.file("/b").unwrap()), Origin::Unknown);
    }
}
