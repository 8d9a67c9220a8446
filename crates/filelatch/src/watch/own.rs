//! What this engine itself has published (L43).
//!
//! # Promise
//! Bytes that this engine puts under a name are noted before anybody can see them there, and the note counts for whoever looked at the
//! file while they may have been there: from before the swap until another version was proved to have taken their place. No clock
//! decides, and no order of notices.
//!
//! # Non-promise
//! - A write that was finished before the engine's first [`Watching`] began is not known. One that was under way is.
//! - What completes a dead writer's write in place (P5.9) is not this engine's.
//! - Bounded: of a file the last [`PER_FILE`] writes, of all files the [`FILES`] written to last. What is forgotten counts as another's.
//!
//! # Order of operations
//! [`OwnWrites::begin`] → the bytes become visible → [`Publishing::done`]; dropped without that, the write has failed. Who looks takes a
//! [`Look`] *before* opening the file, and asks afterwards.
//!
//! # When a note ends
//! | | why |
//! |---|---|
//! | the write failed | if the same bytes are there afterwards, they are somebody else's |
//! | a later write was done that began after this one was | it replaced these bytes |
//! | a look that began after the write was done found other bytes | somebody replaced them; bringing them back is his doing |
//!
//! A note that has ended still counts for looks that began before.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use filelatch_fs::Host;

use crate::lock::resource::locked;
use crate::path::ResourceId;
use crate::version::Version;

/// Notes on one file.
const PER_FILE: usize = 8;
/// Files with notes, before the older half is forgotten.
const FILES: usize = 4096;

/// What one engine has published. A forked child begins anew: its parent's writes are not its own.
#[derive(Debug)]
pub(crate) struct OwnWrites {
    host: Arc<dyn Host>,
    life: Life,
}

#[derive(Debug)]
struct Life {
    pid: u32,
    notes: Mutex<Notes>,
    child: OnceLock<Box<Life>>,
}

#[derive(Debug, Default)]
struct Notes {
    watches: usize,
    /// Counts beginnings and ends: the order of what happened in this engine.
    clock: u64,
    files: HashMap<ResourceId, Vec<Note>>,
}

#[derive(Debug)]
struct Note {
    version: Version,
    /// The file was given an attribution before it became visible.
    marked: bool,
    began: u64,
    done: Option<u64>,
    ended: Option<u64>,
}

/// When somebody looked at a file, in the engine's own order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look(u64);

/// Somebody wants to know: writes are remembered while this lives.
#[derive(Debug)]
pub(crate) struct Watching {
    own: Arc<OwnWrites>,
    pid: u32,
}

/// A write that is about to become visible.
#[must_use = "dropped, the write counts as failed"]
pub(crate) struct Publishing<'a> {
    own: &'a OwnWrites,
    id: &'a ResourceId,
    began: u64,
    succeeded: bool,
}

/// What is known of bytes under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// This engine did not put them there.
    No,
    /// It did, and their file carries no attribution that could confirm it.
    Unmarked,
    /// It did, with its attribution.
    Marked,
}

impl OwnWrites {
    pub(crate) fn new(host: &Arc<dyn Host>) -> Arc<OwnWrites> {
        Arc::new(OwnWrites { host: Arc::clone(host), life: Life::new(host.pid()) })
    }

    fn notes(&self) -> &Mutex<Notes> {
        let pid = self.host.pid();
        let mut life = &self.life;
        while life.pid != pid {
            // The mutex of the parent may have been held at the fork; here it would stay so for ever.
            life = life.child.get_or_init(|| Box::new(Life::new(pid)));
        }
        &life.notes
    }

    /// Writes are remembered from now on, also those that are under way. To be called before the first look.
    pub(crate) fn watching(self: &Arc<Self>) -> Watching {
        locked(self.notes()).watches += 1;
        Watching { own: Arc::clone(self), pid: self.host.pid() }
    }

    /// Bytes of this version are about to become visible under this name, in a file with (`marked`) or without an attribution.
    pub(crate) fn begin<'a>(&'a self, id: &'a ResourceId, version: Version, marked: bool) -> Publishing<'a> {
        let mut notes = locked(self.notes());
        let began = notes.tick();
        let note = Note { version, marked, began, done: None, ended: None };
        if let Some(file) = notes.files.get_mut(id) {
            // Those that are under way are as many as there are writers, and stay.
            let over = (file.len() + 1).saturating_sub(PER_FILE);
            let oldest: Vec<_> = file.iter().filter(|note| note.is_over()).take(over).map(|note| note.began).collect();
            file.retain(|note| !oldest.contains(&note.began));
            file.push(note);
        } else {
            notes.make_room();
            notes.files.insert(id.clone(), vec![note]);
        }
        Publishing { own: self, id, began, succeeded: false }
    }

    /// The file is about to be removed. Nothing under a name is noted as if it were a version.
    pub(crate) fn begin_removal<'a>(&'a self, id: &'a ResourceId) -> Publishing<'a> {
        self.begin(id, nothing(), false)
    }

    /// Did this engine remove the file, as far as a look can tell that found none?
    pub(crate) fn removed(&self, id: &ResourceId, look: Look) -> bool {
        self.knows(id, &nothing(), look) != Known::No
    }

    /// To be taken before the file is opened.
    pub(crate) fn look(&self) -> Look {
        Look(locked(self.notes()).clock)
    }

    /// Did this engine put bytes of this version under this name, as far as a look can tell?
    pub(crate) fn knows(&self, id: &ResourceId, version: &Version, look: Look) -> Known {
        let notes = locked(self.notes());
        let file = notes.files.get(id).map_or(&[][..], Vec::as_slice);
        let counts = |note: &&Note| note.version == *version && note.ended.is_none_or(|ended| ended > look.0);
        match file.iter().rev().find(counts) {
            None => Known::No,
            Some(note) if note.marked => Known::Marked,
            Some(_) => Known::Unmarked,
        }
    }

    /// A look found something else there, or nothing: what was done before it is not there any more.
    pub(crate) fn displaced(&self, id: &ResourceId, look: Look) {
        let mut notes = locked(self.notes());
        let now = notes.tick();
        for note in notes.files.get_mut(id).into_iter().flatten().filter(|note| note.was_done(look.0)) {
            note.ended.get_or_insert(now);
        }
    }
}

/// No bytes have this hash.
fn nothing() -> Version {
    blake3::Hash::from_bytes([0; 32]).into()
}

impl Life {
    fn new(pid: u32) -> Life {
        Life { pid, notes: Mutex::default(), child: OnceLock::new() }
    }
}

impl Notes {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// For one more file.
    fn make_room(&mut self) {
        if self.files.len() < FILES {
            return;
        }
        let last = |file: &Vec<Note>| file.last().map_or(0, |note| note.began);
        let mut order: Vec<_> = self.files.values().map(last).collect();
        let (_, middle, _) = order.select_nth_unstable(FILES / 2);
        let middle = *middle;
        self.files.retain(|_, file| last(file) >= middle || !file.iter().all(Note::is_over));
    }

    fn forget_all_that_is_over(&mut self) {
        self.files.retain(|_, file| {
            file.retain(|note| !note.is_over());
            !file.is_empty()
        });
    }
}

impl Note {
    fn is_over(&self) -> bool {
        self.done.or(self.ended).is_some()
    }

    fn was_done(&self, by: u64) -> bool {
        self.done.is_some_and(|done| done <= by)
    }
}

impl Publishing<'_> {
    /// The bytes are in their place.
    pub(crate) fn done(mut self) {
        self.succeeded = true;
    }
}

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        let mut notes = locked(self.own.notes());
        let now = notes.tick();
        let unwatched = notes.watches == 0;
        let Some(file) = notes.files.get_mut(self.id) else { return };
        for note in file.iter_mut() {
            if note.began == self.began {
                *(if self.succeeded { &mut note.done } else { &mut note.ended }) = Some(now);
            } else if self.succeeded && note.was_done(self.began) {
                note.ended.get_or_insert(now);
            }
        }
        if unwatched {
            file.retain(|note| !note.is_over());
            if file.is_empty() {
                notes.files.remove(self.id);
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        if self.pid != self.own.host.pid() {
            return;
        }
        let mut notes = locked(self.own.notes());
        notes.watches -= 1;
        if notes.watches == 0 {
            notes.forget_all_that_is_over();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use filelatch_fs::Fs;
    use filelatch_fs::sim::{Dials, SimFs, SimHost};

    use super::*;

    fn own() -> Arc<OwnWrites> {
        let host: Arc<dyn Host> = Arc::new(SimHost::new(1));
        OwnWrites::new(&host)
    }

    fn ids(n: usize) -> Vec<ResourceId> {
        let fs = SimFs::new(Dials::default());
        let dir = fs.open_dir(Path::new("/")).unwrap();
        (0..n).map(|i| ResourceId::of(&*dir, i.to_string().as_ref())).collect()
    }

    fn version(n: usize) -> Version {
        Version::of(n.to_string().as_bytes())
    }

    fn publish(own: &OwnWrites, id: &ResourceId, n: usize) {
        own.begin(id, version(n), true).done();
    }

    fn known(own: &OwnWrites, id: &ResourceId, n: usize) -> bool {
        own.knows(id, &version(n), own.look()) == Known::Marked
    }

    /// WATCH-2 (L43): a look counts by what may have been there when it was taken, whenever its answer is asked for.
    #[test]
    fn looks_count_when_they_were_taken() {
        let (own, id) = (own(), &ids(1)[0]);
        let _watching = own.watching();
        publish(&own, id, 1);
        let early = own.look();
        let second = own.begin(id, version(2), true);
        let between = own.look();
        assert!(known(&own, id, 1) && known(&own, id, 2), "either may be there");
        second.done();
        assert!(!known(&own, id, 1) && known(&own, id, 2), "replaced");
        for look in [early, between] {
            assert_eq!(own.knows(id, &version(1), look), Known::Marked);
            own.displaced(id, look);
            assert!(known(&own, id, 2), "what was done later is not what such a look missed");
        }
        own.displaced(id, own.look());
        assert!(!known(&own, id, 2));
    }

    /// WATCH-2: of two writes at a time without locks either may be the last.
    #[test]
    fn overlapping_writes_do_not_end_each_other() {
        let (own, id) = (own(), &ids(1)[0]);
        let _watching = own.watching();
        let (a, b) = (own.begin(id, version(1), true), own.begin(id, version(2), true));
        b.done();
        a.done();
        assert!(known(&own, id, 1) && known(&own, id, 2));
        publish(&own, id, 3);
        assert!(!known(&own, id, 1) && !known(&own, id, 2) && known(&own, id, 3));
    }

    /// WATCH-2: nothing is remembered for nobody, but what is under way when the first watch begins is known.
    #[test]
    fn remembers_while_watched() {
        let (own, ids) = (own(), ids(2));
        publish(&own, &ids[0], 1);
        assert!(locked(own.notes()).files.is_empty());
        let under_way = own.begin(&ids[0], version(2), true);
        let watching = own.watching();
        assert!(known(&own, &ids[0], 2));
        under_way.done();
        assert!(known(&own, &ids[0], 2));
        let second = own.watching();
        drop(watching);
        assert!(known(&own, &ids[0], 2));
        let under_way = own.begin(&ids[1], version(3), true);
        drop(second);
        assert!(!known(&own, &ids[0], 2) && known(&own, &ids[1], 3));
        drop(under_way);
        assert!(locked(own.notes()).files.is_empty());
    }

    /// WATCH-2: bounded, and what was written last is known.
    #[test]
    fn bounded() {
        let (own, ids) = (own(), ids(FILES * 2));
        let _watching = own.watching();
        let under_way = own.begin(&ids[0], version(0), true);
        for id in &ids[1..] {
            publish(&own, id, 1);
        }
        let count = locked(own.notes()).files.len();
        assert!((FILES / 2..=FILES + 1).contains(&count), "{count}");
        assert!(ids[ids.len() - FILES / 2..].iter().all(|id| known(&own, id, 1)) && !known(&own, &ids[1], 1));
        assert!(known(&own, &ids[0], 0), "what is under way stays");
        drop(under_way);
        let id = &ids[ids.len() - 1];
        let early = own.look();
        let under_way = own.begin(id, version(0), true);
        for n in 1..=3 * PER_FILE {
            publish(&own, id, n);
        }
        let notes = locked(own.notes()).files[id].len();
        assert!(notes <= PER_FILE, "{notes}");
        let last: Vec<_> = (2 * PER_FILE + 2..=3 * PER_FILE).collect();
        assert!(last.iter().all(|n| own.knows(id, &version(*n), early) == Known::Marked));
        assert_eq!(own.knows(id, &version(0), early), Known::Marked, "under way");
        drop(under_way);
    }

    /// WATCH-2 (L21): a forked child's writes are its own, its parent's are not.
    #[test]
    fn after_a_fork() {
        let (parent, id) = (own(), &ids(1)[0]);
        let watching = parent.watching();
        publish(&parent, id, 1);
        // The child's memory: what the parent's was, at a moment when another thread had the mutex.
        let mut life = Life::new(1);
        life.notes = Mutex::new(std::mem::take(&mut *locked(parent.notes())));
        let host: Arc<dyn Host> = Arc::new(SimHost::new(1).as_process(2));
        let child = Arc::new(OwnWrites { host, life });
        std::mem::forget(watching);
        assert_eq!(child.knows(id, &version(1), Look(0)), Known::No);
        let held = locked(&child.life.notes);
        drop(Watching { own: Arc::clone(&child), pid: 1 });
        publish(&child, id, 2);
        assert!(!known(&child, id, 2), "the parent's watch is not the child's");
        let _watching = child.watching();
        publish(&child, id, 3);
        assert!(known(&child, id, 3));
        drop(held);
    }
}
