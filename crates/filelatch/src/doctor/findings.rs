//! What is held and what was left behind in a directory and below. Changes nothing.
//!
//! What a writer at work has made for a moment is not taken for a leftover: whatever looks like one is looked at again after it is
//! known that nobody holds the lock, and once more at the end.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use filelatch_fs::{FileKind, FsDir, Stat};

use super::report::{Finding, Fix, Kind};
use super::{Case, DoctorOptions, Spot, intents, scratch, versions};
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lease::desk::{LeaseDesk, Look};
use crate::lease::file::LeaseFile;
use crate::lock::held;
use crate::lock::holder::{LockState, lock_state};
use crate::lock::record::{Found, Intent, NEWEST, Record};
use crate::lock::sidecar::{LockPath, is_unfinished};
use crate::lock::stale::Verdict as Death;
use crate::many::{self, intent::read_found};
use crate::path::{Dirs, LockFileName, Place, cut, leased_by, locked_by, temp_base};
use crate::workspace::WORKSPACE_DIR;
use crate::write::sweep;

/// Folders that belong to other programs and are large: version control, package managers.
const NOT_OURS: [&str; 6] = [".git", ".hg", ".svn", ".jj", "node_modules", ".venv"];

/// What was found, and how far the search went.
pub(super) struct Search {
    pub(super) cases: Vec<Case>,
    pub(super) entries: usize,
    pub(super) skipped: Vec<String>,
}

struct Searcher<'a> {
    latch: &'a Filelatch,
    options: &'a DoctorOptions<'a>,
    dirs: Dirs,
    root: PathBuf,
    device: u64,
    search: Search,
    /// Directories that are still to be looked at.
    pending: Vec<Folder>,
    other_devices: usize,
}

/// A directory, and how it is called in messages.
struct Folder {
    dir: Arc<dyn FsDir>,
    shown: PathBuf,
}

/// The file that a lock file or temporary file belongs to.
struct Owner {
    name: OsString,
    place: Option<Place>,
}

pub(super) fn find(latch: &Filelatch, dir: &Arc<dyn FsDir>, shown: &Path, options: &DoctorOptions<'_>) -> Search {
    let search = Search { cases: Vec::new(), entries: 0, skipped: Vec::new() };
    let device = dir.id().dev;
    let (dirs, root) = (Dirs::default(), dir.path().to_owned());
    let mut searcher = Searcher { latch, options, dirs, root, device, search, pending: Vec::new(), other_devices: 0 };
    searcher.workspace(dir.path());
    // What is found in the current folder is called by its name alone.
    let shown = if shown == Path::new(".") { PathBuf::new() } else { shown.to_owned() };
    searcher.pending.push(Folder { dir: Arc::clone(dir), shown });
    while let Some(folder) = searcher.pending.pop() {
        searcher.folder(&folder);
    }
    searcher.finish()
}

impl Searcher<'_> {
    fn finish(mut self) -> Search {
        if self.other_devices > 0 {
            let count = self.other_devices;
            self.search.skipped.push(format!("{count} folders on other file systems: run the doctor there"));
        }
        // A writer that was at work has tidied up by now.
        let fs = &self.latch.parts().fs;
        self.search.cases.retain(|case| {
            case.finding.kind != Kind::Leftover || fs.stat(&case.finding.path).is_ok_and(|stat| stat.is_file())
        });
        self.search.cases.sort_by(|a, b| a.finding.path.cmp(&b.finding.path));
        self.search
    }

    fn add(&mut self, finding: Finding) {
        self.search.cases.push(Case { finding, place: None });
    }

    fn unreadable(&mut self, path: PathBuf, what: &str, e: &io::Error) {
        let text = format!("{what} cannot be looked at: {}", crate::error::plain(e));
        self.add(Finding::note(path, Kind::Unreadable, text));
    }

    fn folder(&mut self, folder: &Folder) {
        let mut names = Vec::new();
        let left = self.options.limit.saturating_sub(self.search.entries);
        let listed = folder.dir.list(&mut |name| {
            let room = names.len() < left;
            if room {
                names.push(name);
            }
            room
        });
        if let Err(e) = listed {
            self.unreadable(folder.shown.clone(), "the folder", &e);
        }
        self.search.entries += names.len();
        if names.len() >= left && left > 0 {
            let text = format!("what comes after {} entries: raise the limit", self.options.limit);
            self.search.skipped.push(text);
            self.pending.clear();
        }
        names.sort();
        let known: HashSet<&OsStr> = names.iter().map(OsString::as_os_str).collect();
        let journals: HashSet<OsString> =
            names.iter().filter_map(|name| self.lock_file(folder, name, &known)).collect();
        for name in names.iter().filter(|name| !journals.contains(*name)) {
            if let Some(base) = temp_base(name) {
                // What waits to become a fallback lock is judged as one.
                match lock_held_by(&cut(name, 1, base.len())) {
                    Some(lock) => self.fallback(folder, name, &lock, &known),
                    None => self.leftover(folder, name, &known),
                }
            } else if let Some(lock) = lock_held_by(name) {
                self.fallback(folder, name, &lock, &known);
            } else if let Some(data) = leased_by(name) {
                self.lease(folder, name, &data, &known);
            } else if scratch::is_scratch(name) {
                self.scratch(folder, name);
            } else if name == WORKSPACE_DIR {
                self.versions(folder, name);
                self.intents(folder, name);
                // The one that belongs to the root was looked at first.
                if folder.dir.path() != self.root {
                    self.workspace(folder.dir.path());
                }
            } else if self.options.recursive {
                self.enter(folder, name);
            }
        }
    }

    fn enter(&mut self, folder: &Folder, name: &OsStr) {
        let Ok(stat) = folder.dir.stat(name) else { return };
        if stat.kind != FileKind::Dir || NOT_OURS.iter().any(|other| name == *other) {
            return;
        }
        let shown = folder.shown.join(name);
        if stat.id.dev != self.device {
            self.other_devices += 1;
            return;
        }
        match self.latch.parts().fs.open_dir(&folder.dir.path().join(name)) {
            // Replaced meanwhile, perhaps by a link.
            Ok(dir) if dir.id() != stat.id => {}
            Ok(dir) => self.pending.push(Folder { dir, shown }),
            Err(e) => self.unreadable(shown, "the folder", &e),
        }
    }

    // --- Lock files ---

    /// Answers the name of the journal that its record names.
    fn lock_file(&mut self, folder: &Folder, name: &OsStr, known: &HashSet<&OsStr>) -> Option<OsString> {
        let path = folder.shown.join(name);
        let hidden = locked_by(name);
        let data = match &hidden {
            Some(base) => base.clone(),
            // `name.lock` by policy; other programs use that name as well, so it must carry our record.
            None => without_suffix(name)?,
        };
        let stat = folder.dir.stat(name).ok()?;
        let owner = self.owner(folder, &data, known);
        let gone = owner.as_ref().is_none_or(|owner| is_gone(&*folder.dir, &owner.name));
        let what = match stat.kind {
            FileKind::File => None,
            FileKind::Dir => Some("a directory"),
            FileKind::Symlink => Some("a symbolic link"),
            FileKind::Other => Some("a FIFO, socket or device"),
        };
        if let Some(what) = what {
            if hidden.is_some() && !gone {
                let text = format!("{what} in the place of a lock file: `{}` cannot be locked", data.display());
                self.add(Finding::problem(
                    path,
                    Kind::BadLockFile,
                    text,
                    "look at it, and move it away if nobody needs it",
                ));
            }
            return None;
        }
        let found = match read_found(&*folder.dir, name) {
            Ok(found) => found,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return None,
            Err(e) => {
                if hidden.is_some() {
                    self.unreadable(path, "the lock file", &e);
                }
                return None;
            }
        };
        let record = match found {
            Found::Record(record) => Some(record),
            Found::Damaged => None,
            Found::Foreign if hidden.is_none() => return None,
            Found::Foreign => {
                self.foreign_lock_file(folder, name, owner.as_ref(), gone, path);
                return None;
            }
        };
        if record.as_ref().is_some_and(|record| record.v > NEWEST) {
            let advice = "update filelatch: this version does not touch the file, and refuses its lock";
            self.add(Finding::problem(path, Kind::NewerRecord, "a newer filelatch wrote its record", advice));
            return None;
        }
        let journal = record.as_ref().and_then(|record| record.intent.as_ref()).map(|i| OsString::from(&i.journal));
        self.own_lock_file(folder, name, stat, record.as_deref(), owner, path);
        journal
    }

    /// Where `base`, from a lock file's or temporary file's name, leads. A name that was shortened is found among those of the
    /// directory; `None`: it is not there any more.
    fn owner(&self, folder: &Folder, base: &OsStr, known: &HashSet<&OsStr>) -> Option<Owner> {
        let long = LockFileName::Hidden.of(base);
        let name = if is_shortened(base) && !known.contains(base) {
            let mut full = known.iter().filter(|name| name.len() > base.len());
            (*full.find(|name| locked_by(&LockFileName::Hidden.of(name)).as_deref() == Some(base))?).to_owned()
        } else {
            base.to_owned()
        };
        let place = Place::resolve(&*self.latch.parts().fs, &self.dirs, &folder.dir.path().join(&name)).ok();
        // A link leads elsewhere, and so does its lock.
        let here = |place: &Place| place.dir.id() == folder.dir.id() && LockFileName::Hidden.of(&place.name) == long;
        Some(Owner { place: place.filter(here), name })
    }

    fn state(&self, owner: Option<&Owner>, lock: &OsStr) -> Result<LockState> {
        let Some(place) = owner.and_then(|owner| owner.place.as_ref()) else { return Ok(LockState::default()) };
        let lock = LockPath { name: lock.to_owned(), path: place.dir.path().join(lock) };
        lock_state(self.latch.parts(), place, &lock)
    }

    /// True: it is held, and that is told.
    fn is_held(&mut self, owner: Option<&Owner>, lock: &OsStr, path: &Path) -> bool {
        match self.state(owner, lock) {
            Ok(state) if state.holders.is_empty() => false,
            Ok(state) => {
                self.add(Finding::note(path.to_owned(), Kind::Held, holders(&state)));
                true
            }
            Err(e) => {
                self.add(Finding::note(path.to_owned(), Kind::Unreadable, e.to_string()));
                true
            }
        }
    }

    fn foreign_lock_file(&mut self, folder: &Folder, name: &OsStr, owner: Option<&Owner>, gone: bool, path: PathBuf) {
        if self.is_held(owner, name, &path) {
            return;
        }
        if !gone {
            let text = "another program made this lock file: it is locked as any other, but never written or removed";
            self.add(Finding::note(path, Kind::ForeignLockFile, text));
        } else if folder.dir.stat(name).is_ok_and(|stat| stat.size == 0) {
            let text = "an empty lock file of a file that does not exist, made by another program: left alone";
            self.add(Finding::note(path, Kind::ForeignLockFile, text));
        }
    }

    fn own_lock_file(
        &mut self,
        folder: &Folder,
        name: &OsStr,
        stat: Stat,
        record: Option<&Record>,
        owner: Option<Owner>,
        path: PathBuf,
    ) {
        if self.is_held(owner.as_ref(), name, &path) {
            return;
        }
        let spot = |owner: &Owner| {
            owner.place.as_ref().map(|place| Spot::File { path: place.path.clone(), lock: name.into() })
        };
        if let Some(intent) = record.and_then(|record| record.intent.as_ref()) {
            // It was read before it was known that nobody holds the lock.
            let unfinished = |found| matches!(found, Found::Record(record) if record.intent.is_some());
            if !read_found(&*folder.dir, name).is_ok_and(unfinished) {
                return;
            }
            let text = self.unfinished(folder, intent);
            let finding = Finding::fixable(path, Kind::UnfinishedWrite, text, Fix::Complete);
            self.search.cases.push(Case { finding, place: owner.as_ref().and_then(spot) });
            return;
        }
        let Some(owner) = owner else {
            let text = "a lock file whose data file is gone; its name was too long to be told from it";
            self.add(Finding::problem(
                path,
                Kind::OrphanedLockFile,
                text,
                "remove it if nobody uses the file any more",
            ));
            return;
        };
        match folder.dir.stat(&owner.name) {
            Ok(data) => {
                if let Some(finding) = wrong_mode(&stat, &data, path) {
                    self.add(finding);
                }
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let text = format!("a free lock file whose data file, `{}`, is gone", owner.name.display());
                let finding = Finding::fixable(path, Kind::OrphanedLockFile, text, Fix::Remove);
                self.search.cases.push(Case { place: spot(&owner), finding });
            }
            Err(e) => self.unreadable(path, "the data file", &e),
        }
    }

    /// What is unfinished, and what becomes of it.
    fn unfinished(&self, folder: &Folder, intent: &Intent) -> &'static str {
        if intent.kind != many::KIND {
            return "a write in place was interrupted; whoever locks the file next completes it";
        }
        match many::is_lost(self.latch, folder.dir.path(), &intent.journal) {
            Ok(true) => {
                "a write of several files was interrupted, and what it was to write here is gone: nobody gets the lock; `--fix` keeps the file as it is"
            }
            _ => {
                "a write of several files was interrupted; whoever locks the file next completes its part, or drops it if it was never decided"
            }
        }
    }

    /// A fallback lock, a right over one, or what was to become one.
    fn fallback(&mut self, folder: &Folder, name: &OsStr, lock: &OsStr, known: &HashSet<&OsStr>) {
        let path = folder.shown.join(name);
        let data = locked_by(lock).or_else(|| without_suffix(lock));
        let Some(owner) = data.and_then(|data| self.owner(folder, &data, known)) else { return };
        let seen = match held::look(&*folder.dir, name) {
            Ok(Some(seen)) => seen,
            Ok(None) => return,
            Err(e) => return self.unreadable(path, "the fallback lock", &e),
        };
        let Some(place) = owner.place else { return };
        match held::verdict_at_once(self.latch.parts(), &place, &seen) {
            Death::Alive => self.add(Finding::note(path, Kind::FallbackLock, "a fallback lock, and its holder lives")),
            Death::Unknown(doubt) => {
                let text = format!("a fallback lock that counts as held: {doubt}");
                let mut finding = Finding::note(path, Kind::FallbackLock, text);
                finding.advice = Some("remove it only if you know that its holder is dead".to_owned());
                self.add(finding);
            }
            Death::Dead(proof) => {
                let text = format!("a fallback lock of a dead holder: {proof}; whoever locks the file takes it over");
                let finding = Finding::fixable(path, Kind::FallbackLock, text, Fix::Remove);
                let place = Some(Spot::Fallback { path: place.path, lock: lock.to_owned() });
                self.search.cases.push(Case { finding, place });
            }
        }
    }

    // --- Leases ---

    /// A lease file stays when its lease is over: the number in it is what the next one grows from. So nothing of it is ever removed.
    fn lease(&mut self, folder: &Folder, name: &OsStr, data: &OsStr, known: &HashSet<&OsStr>) {
        let path = folder.shown.join(name);
        let Some(owner) = self.owner(folder, data, known) else { return };
        let gone = is_gone(&*folder.dir, &owner.name);
        let Some(place) = owner.place else { return };
        let note = |text: String| Finding::note(path.clone(), Kind::Lease, text);
        let parts = self.latch.parts();
        let finding = match LeaseDesk::new(&place).look(parts, &place) {
            Ok(Look::Live(live)) => {
                let left = crate::error::seconds(live.remaining);
                note(format!("leased by {}; over in {left} unless it is renewed", live.holder(parts)))
            }
            Ok(Look::Free { over: None, .. }) => return,
            Ok(Look::Free { last: 0, .. }) => {
                note("a damaged lease file: nobody has a lease, and the next one replaces it".to_owned())
            }
            Ok(Look::Free { last, .. }) if gone => {
                let text = format!("the file is gone, and its last lease, number {last}, is over");
                let advice = "remove it if nobody will lease a file of this name again: numbers then begin anew";
                Finding { advice: Some(advice.to_owned()), ..note(text) }
            }
            Ok(Look::Free { last, .. }) => note(format!("no lease: the last one, number {last}, is over")),
            // Other programs use such names as well.
            Ok(Look::Foreign(_)) if gone => return,
            Ok(Look::Foreign(what)) => {
                let text = format!("{what} in the place of a lease file: `{}` cannot be leased", owner.name.display());
                Finding::problem(path, Kind::Lease, text, "look at it, and move it away if nobody needs it")
            }
            Err(Error::Unrecovered { .. }) => {
                let advice = "update filelatch: this version neither writes nor leases the file";
                Finding::problem(path, Kind::NewerRecord, "a newer filelatch wrote its lease", advice)
            }
            Err(e) => Finding::note(path, Kind::Unreadable, e.to_string()),
        };
        self.add(finding);
    }

    // --- Temporary files ---

    fn leftover(&mut self, folder: &Folder, name: &OsStr, known: &HashSet<&OsStr>) {
        let path = folder.shown.join(name);
        let Some(base) = temp_base(name) else { return };
        let base = cut(name, 1, base.len());
        // `..a.lock.77-….tmp` is a lock file of `a` that never got its name, `..a.lease.77-….tmp` a lease file.
        let (lock_of, lease_of) = (locked_by(&base), leased_by(&base));
        let owner = self.owner(folder, lock_of.as_deref().or(lease_of.as_deref()).unwrap_or(&base), known);
        let lease = lease_of.and(owner.as_ref()).and_then(|owner| owner.place.as_ref()).map(LeaseFile::of);
        let judged = match (&lock_of, lease) {
            (Some(_), _) => is_unfinished(&*folder.dir, name).map(|dead| (false, dead)),
            (_, Some(lease)) => lease.is_unfinished(&*folder.dir, name).map(|dead| (false, dead)),
            _ => sweep::judge(&*folder.dir, name).map(|leftover| (leftover.in_use, leftover.disposable)),
        };
        let (in_use, disposable) = match judged {
            Ok(judged) => judged,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return,
            Err(e) => return self.unreadable(path, "the temporary file", &e),
        };
        let lock = lock_name_of(self.latch, owner.as_ref());
        let busy = match self.state(owner.as_ref(), &lock) {
            Ok(state) => !state.holders.is_empty(),
            Err(_) => true,
        };
        if !folder.dir.stat(name).is_ok_and(|stat| stat.is_file()) {
            return;
        }
        if in_use || busy {
            self.add(Finding::note(path, Kind::Leftover, "a write under way, or its writer may be alive"));
            return;
        }
        let place = owner.as_ref().and_then(|owner| owner.place.as_ref());
        let place = place.map(|place| Spot::File { path: place.path.clone(), lock });
        let finding = if disposable {
            let text = "left by a writer that died; it holds nothing that could be missed";
            Finding::fixable(path, Kind::Leftover, text, Fix::Remove)
        } else {
            let data = owner.map_or(base, |owner| owner.name);
            let text = "not known to be filelatch's own: it may be the only copy of what another program wrote";
            let advice = format!("compare it with `{}`, then remove it", folder.shown.join(data).display());
            Finding::problem(path, Kind::KeptVersion, text, advice)
        };
        self.search.cases.push(Case { finding, place });
    }

    // --- The rest ---

    fn scratch(&mut self, folder: &Folder, name: &OsStr) {
        let path = folder.shown.join(name);
        if !folder.dir.stat(name).is_ok_and(|stat| stat.kind == FileKind::Dir) {
            return;
        }
        let text = "the folder of another doctor, which is at work or was killed";
        let finding = Finding::fixable(path, Kind::Scratch, text, Fix::Remove);
        let place = Some(Spot::Scratch { dir: folder.dir.path().to_owned(), name: name.to_owned() });
        self.search.cases.push(Case { finding, place });
    }

    /// Is the workspace that a directory belongs to obeyed, and its configuration right?
    fn versions(&mut self, folder: &Folder, name: &OsStr) {
        let shown = folder.shown.join(name);
        let looked =
            folder.dir.open_dir(name).and_then(|own| versions::look(self.latch, folder.dir.path(), &*own, &shown));
        match looked {
            Ok(looked) => {
                self.search.entries += looked.entries;
                self.search.skipped.extend(looked.skipped);
                looked.findings.into_iter().for_each(|finding| self.add(finding));
            }
            // No folder, so no workspace.
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            Err(e) => self.unreadable(shown, "the kept versions", &e),
        }
    }

    fn intents(&mut self, folder: &Folder, name: &OsStr) {
        match intents::look(self.latch, folder.dir.path(), &folder.shown) {
            Ok(cases) => self.search.cases.extend(cases),
            // One that is not obeyed is told of where it is looked for.
            Err(Error::Config { .. }) => {}
            Err(e) => self.add(Finding::note(folder.shown.join(name), Kind::Unreadable, e.to_string())),
        }
    }

    fn workspace(&mut self, dir: &Path) {
        if let Err(e) = self.latch.workspace_of(dir) {
            let advice = match e.hints().first() {
                Some(hint) => hint.clone(),
                None => "until it is put right, filelatch refuses to work on the files below".to_owned(),
            };
            let text = match &e {
                Error::Config { message, .. } => message.clone(),
                other => other.to_string(),
            };
            self.add(Finding::problem(e.path().to_owned(), Kind::Workspace, text, advice));
        }
    }
}

/// `exclusive by pid 4211 (deploy.py) on build-3 for 12 s, 2 waiting`
fn holders(state: &LockState) -> String {
    let all: Vec<_> = state
        .holders
        .iter()
        .map(|holder| format!("{} by {holder}", if holder.shared { "shared" } else { "exclusively" }))
        .collect();
    let waiting = if state.waiting > 0 { format!(", {} waiting", state.waiting) } else { String::new() };
    format!("held {}{waiting}", all.join(", "))
}

fn lock_name_of(latch: &Filelatch, owner: Option<&Owner>) -> OsString {
    let Some(owner) = owner else { return OsString::new() };
    let file = owner.place.as_ref().and_then(|place| latch.file(&place.path).ok());
    file.and_then(|file| file.lock_path().file_name().map(OsStr::to_owned))
        .unwrap_or_else(|| LockFileName::Hidden.of(&owner.name))
}

fn is_gone(dir: &dyn FsDir, name: &OsStr) -> bool {
    matches!(dir.stat(name), Err(e) if e.kind() == io::ErrorKind::NotFound)
}

/// The lock file that a fallback lock (`.a.lock.held`), or a right over one (`.a.lock.held.<16 digits>`, perhaps with an `r`), stands
/// beside.
fn lock_held_by(name: &OsStr) -> Option<OsString> {
    let bytes = name.as_encoded_bytes();
    let at = bytes.windows(10).rposition(|part| part == b".lock.held")?;
    let right = &bytes[at + 10..];
    let digits = right.strip_prefix(b".").map(|tenure| tenure.strip_suffix(b"r").unwrap_or(tenure));
    let known = digits.is_none_or(|digits| digits.len() == 16 && digits.iter().all(u8::is_ascii_hexdigit));
    (at > 0 && known && (right.is_empty() || digits.is_some())).then(|| cut(name, 0, at + 5))
}

fn without_suffix(name: &OsStr) -> Option<OsString> {
    let base = name.as_encoded_bytes().strip_suffix(b".lock").filter(|base| !base.is_empty() && base[0] != b'.')?;
    Some(cut(name, 0, base.len()))
}

/// Did the name end as names do that were too long (P1)?
fn is_shortened(base: &OsStr) -> bool {
    let bytes = base.as_encoded_bytes();
    bytes.len() >= 17 && bytes[bytes.len() - 17] == b'~' && bytes[bytes.len() - 16..].iter().all(u8::is_ascii_hexdigit)
}

/// What is at a lock file's name. Reads no more than a record has.
/// Does the lock file let in exactly those who may write the data file (P1)? Modes say nothing on Windows.
fn wrong_mode(lock: &Stat, data: &Stat, path: PathBuf) -> Option<Finding> {
    if !cfg!(unix) || !data.is_file() {
        return None;
    }
    let chmod = |mode: u32| format!("chmod {mode:03o} {}", path.display());
    if lock.mode & 0o002 != 0 && data.mode & 0o002 == 0 {
        let text = "everybody may take this lock and keep it, though not everybody may write the file";
        let advice = chmod(lock.mode & 0o775);
        return Some(Finding::problem(path, Kind::LockFileMode, text, advice));
    }
    let classes = [("its group", 0o020, 0o060), ("others", 0o002, 0o006)];
    let out = classes.iter().find(|(_, may_write, need)| data.mode & may_write != 0 && lock.mode & need != *need);
    if let Some((who, _, need)) = out {
        let text = format!("{who} may write the file but cannot take its lock");
        let advice = chmod(lock.mode | need);
        return Some(Finding::problem(path, Kind::LockFileMode, text, advice));
    }
    if lock.uid != data.uid && data.uid != 0 && data.mode & 0o200 != 0 && lock.mode & 0o006 != 0o006 {
        let in_by_group = lock.gid == data.gid && lock.mode & 0o060 == 0o060;
        if !in_by_group {
            let text = format!(
                "it belongs to user {}, so the file's owner, user {}, may not take the lock",
                lock.uid, data.uid
            );
            let advice = format!("chown {} {}", data.uid, path.display());
            return Some(Finding::problem(path, Kind::LockFileMode, text, advice));
        }
    }
    None
}
