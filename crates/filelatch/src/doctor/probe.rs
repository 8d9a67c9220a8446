//! What a mount guarantees, found out by doing it.
//!
//! # Promise
//! A fact is good only if it was seen: a lock that two open files got at once is reported as a lie, an exchange that moved
//! nothing as missing. Nothing is touched but a scratch folder.
//!
//! # Non-promise
//! What only a power cut or another machine would show is not tried: a disk that lies about a sync, a server that forgets locks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FsDir, FsFile, Host, LockKind, Timestamp, WriterProbe};

use super::OtherProcess;
use super::report::{Fact, Verdict};
use super::scratch::{NAMES, Scratch};
use crate::error::plain;
use crate::parts::Parts;
use crate::write::attribution::XATTR;

/// Far beyond every record; any byte would do.
const BYTE: u64 = 1 << 40;
/// Longest time for a lock of a killed process to come free, and for the clock of the file system to tick.
const PATIENCE: Duration = Duration::from_millis(2500);
/// Ticks of the clock that are waited for.
const TICKS: usize = 3;

type Probe = fn(&Bench<'_>) -> io::Result<Fact>;

/// Where the probes are made.
struct Bench<'a> {
    scratch: Scratch,
    parent: &'a dyn FsDir,
    host: &'a dyn Host,
    other: Option<&'a dyn OtherProcess>,
}

/// What could be tried in a directory.
pub(super) enum Tried {
    Facts(Vec<Fact>),
    /// Nothing can be written there.
    Nothing(io::Error),
}

const PROBES: [(&str, Probe); 16] = [
    ("lock", lock),
    ("lock-processes", lock_processes),
    ("lock-death", lock_death),
    ("range-locks", range_locks),
    ("rename", rename),
    ("rename-new", rename_new),
    ("exchange", exchange),
    ("hard-links", hard_links),
    ("sync-file", sync_file),
    ("sync-dir", sync_dir),
    ("attributes", attributes),
    ("reflink", reflink),
    ("case", case),
    ("timestamps", timestamps),
    ("late-writers", late_writers),
    ("no-follow", no_follow),
];

/// Tries everything.
pub(super) fn probe(parts: &Parts, dir: &Arc<dyn FsDir>, other: Option<&dyn OtherProcess>) -> io::Result<Tried> {
    let scratch = match Scratch::make(parts, dir) {
        Ok(scratch) => scratch,
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) => {
            return Ok(Tried::Nothing(e));
        }
        Err(e) => return Err(e),
    };
    let bench = Bench { scratch, parent: &**dir, host: &*parts.host, other };
    let of = |(name, probe): (&'static str, Probe)| {
        let fact = probe(&bench).unwrap_or_else(|e| Fact::failed(name, &e));
        // What can't be removed shows in the next probe, or at the end.
        bench.scratch.remove(&NAMES[1..]);
        fact
    };
    let mut facts: Vec<_> = PROBES.into_iter().map(of).collect();
    let path = bench.scratch.dir.path().to_owned();
    if let Err(e) = bench.scratch.finish() {
        let text = format!("the folder `{}` of the probes is left: {}", path.display(), plain(&e));
        facts.push(Fact::failed("cleanup", &io::Error::other(text)));
    }
    Ok(Tried::Facts(facts))
}

impl Bench<'_> {
    fn caps(&self) -> &filelatch_fs::Caps {
        self.parent.caps()
    }

    fn dir(&self) -> &dyn FsDir {
        &*self.scratch.dir
    }

    /// A file with this content.
    fn put(&self, name: &str, bytes: &[u8]) -> io::Result<Box<dyn FsFile>> {
        let file = self.scratch.file(name)?;
        write_all_at(&*file, bytes, 0)?;
        Ok(file)
    }

    fn holds(&self, name: &str, bytes: &[u8]) -> io::Result<bool> {
        Ok(read_to_end(&*self.scratch.again(name, Access::Read)?, 1 << 10)? == bytes)
    }

    fn is_gone(&self, name: &str) -> io::Result<bool> {
        match self.dir().stat(name.as_ref()) {
            Ok(_) => Ok(false),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(e) => Err(e),
        }
    }

    /// Waits for something that is about to be so.
    fn comes(&self, mut holds: impl FnMut() -> io::Result<bool>) -> io::Result<bool> {
        let began = self.host.monotonic();
        loop {
            if holds()? {
                return Ok(true);
            }
            if self.host.monotonic().saturating_sub(began) > PATIENCE {
                return Ok(false);
            }
            self.host.sleep(Duration::from_millis(5));
        }
    }
}

const NO_LOCKS: &str = "the system's locks exclude nobody here";

fn lock(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "lock";
    let (a, b) = (bench.scratch.file(name)?, bench.scratch.again(name, Access::ReadWrite)?);
    let c = bench.scratch.again(name, Access::ReadWrite)?;
    // What a lock answers is the fact, errors included.
    let exclusive = (|| {
        let first = a.try_lock(LockKind::Exclusive)?;
        let second = b.try_lock(LockKind::Exclusive)? || b.try_lock(LockKind::Shared)?;
        a.unlock()?;
        Ok::<_, io::Error>(first && !second)
    })();
    let shared = (|| {
        let both = a.try_lock(LockKind::Shared)? && b.try_lock(LockKind::Shared)?;
        let third = c.try_lock(LockKind::Exclusive)?;
        a.unlock()?;
        b.unlock()?;
        Ok::<_, io::Error>(both && !third && c.try_lock(LockKind::Exclusive)?)
    })();
    Ok(match (exclusive, shared) {
        (Ok(true), Ok(true)) => Fact::good(name, "one holder, or many readers, among open files"),
        (Ok(_), Ok(_)) => Fact::missing(
            name,
            format!("{NO_LOCKS}: they were granted where they should have been refused, or the other way round"),
        ),
        (Err(e), _) | (_, Err(e)) => Fact::missing(name, format!("{NO_LOCKS}: {}", plain(&e))),
    })
}

fn lock_processes(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "lock-processes";
    let Some(other) = bench.other else {
        return Ok(Fact::new(name, Verdict::Unknown, "not tried: no other process at hand"));
    };
    let (file, path) = (bench.scratch.file("lock")?, bench.scratch.path("lock"));
    if !matches!(file.try_lock(LockKind::Exclusive), Ok(true)) {
        return Ok(Fact::missing(name, NO_LOCKS));
    }
    let while_held = other.can_lock(&path)?;
    file.unlock()?;
    let afterwards = other.can_lock(&path)?;
    Ok(match (while_held, afterwards) {
        (false, true) => Fact::good(name, "another process is kept out, and let in afterwards"),
        (true, _) => Fact::missing(name, "another process got the lock while it was held: the locks are a lie here"),
        (false, false) => Fact::missing(name, "another process was refused the lock although it was free"),
    })
}

fn lock_death(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "lock-death";
    let Some(other) = bench.other else {
        return Ok(Fact::new(name, Verdict::Unknown, "not tried: no other process at hand"));
    };
    let (file, path) = (bench.scratch.file("lock")?, bench.scratch.path("lock"));
    let mut kept_out = false;
    let had = other.hold_and_die(&path, &mut || kept_out = matches!(file.try_lock(LockKind::Exclusive), Ok(false)))?;
    if !had {
        return Ok(Fact::missing(name, "another process could not take the lock"));
    }
    if !kept_out {
        return Ok(Fact::missing(name, "another process's lock kept nobody out"));
    }
    let freed = bench.comes(|| file.try_lock(LockKind::Exclusive))?;
    Ok(if freed {
        Fact::good(name, "the lock of a process that was killed is free at once")
    } else {
        Fact::missing(name, "the lock of a process that was killed stays held")
    })
}

fn range_locks(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "range-locks";
    let gate =
        "no gate for those who wait: the system chooses who is next, and a writer may wait long among readers (P2)";
    if !bench.caps().range_locks {
        return Ok(Fact::missing(name, gate));
    }
    let (a, b) = (bench.scratch.file("lock")?, bench.scratch.again("lock", Access::ReadWrite)?);
    let tried = (|| {
        let whole = a.try_lock(LockKind::Exclusive)?;
        let beside = b.try_lock_range(BYTE, 1, LockKind::Exclusive)?;
        let refused = !a.try_lock_range(BYTE, 1, LockKind::Exclusive)? && a.range_is_locked(BYTE, 1)?;
        b.unlock_range(BYTE, 1)?;
        let free = a.try_lock_range(BYTE, 1, LockKind::Exclusive)?;
        Ok::<_, io::Error>((whole && beside, refused && free))
    })();
    Ok(match tried {
        Ok((true, true)) => {
            Fact::good(name, "beside the locks of whole files: those who wait are first come, first served")
        }
        Ok((false, _)) => Fact::missing(
            name,
            "they collide with the locks of whole files: waiting processes would lock each other out",
        ),
        Ok((true, false)) => {
            Fact::missing(name, "they exclude nobody, so the gate for those who wait does not work (P2)")
        }
        Err(e) => Fact::missing(name, format!("{gate}: {}", plain(&e))),
    })
}

fn rename(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "rename";
    let (_old, new) = (bench.put("a", b"old")?, bench.put("b", b"new")?);
    let id = new.stat()?.id;
    bench.dir().rename("b".as_ref(), "a".as_ref())?;
    let moved = bench.dir().stat("a".as_ref())?.id == id && bench.holds("a", b"new")? && bench.is_gone("b")?;
    Ok(if moved {
        Fact::good(name, "a file is replaced whole")
    } else {
        Fact::missing(name, "a file is not replaced whole: nothing that filelatch writes is safe here")
    })
}

fn rename_new(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "rename-new";
    bench.put("a", b"old")?;
    bench.put("b", b"new")?;
    let (a, b) = ("a".as_ref(), "b".as_ref());
    let refused = match bench.dir().rename_new(b, a) {
        Ok(()) => false,
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => true,
        Err(e) => return Ok(no_rename_new(&e)),
    };
    if !refused || !bench.holds("a", b"old")? {
        return Ok(Fact::missing(name, "it replaces what exists: a new file may destroy one made at the same moment"));
    }
    Ok(match bench.dir().rename_new(b, "fresh".as_ref()) {
        Ok(()) if bench.holds("fresh", b"new")? && bench.is_gone("b")? => {
            Fact::good(name, "a new file never replaces one made at the same moment")
        }
        Ok(()) => Fact::missing(name, "a new file did not get its name"),
        Err(e) => no_rename_new(&e),
    })
}

fn no_rename_new(e: &io::Error) -> Fact {
    let meaning = format!(
        "no way to make a file without the danger of replacing one: lock files cannot be made here: {}",
        plain(e)
    );
    Fact::missing("rename-new", meaning)
}

fn exchange(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "exchange";
    let ids = [bench.put("a", b"first")?.stat()?.id, bench.put("b", b"second")?.stat()?.id];
    match bench.dir().exchange("a".as_ref(), "b".as_ref()) {
        Ok(()) => {
            let now = [bench.dir().stat("b".as_ref())?.id, bench.dir().stat("a".as_ref())?.id];
            Ok(if ids == now && bench.holds("a", b"second")? {
                Fact::good(
                    name,
                    "what is replaced is looked at: a program that ignores locks loses nothing it had finished",
                )
            } else {
                Fact::missing(
                    name,
                    "two names are said to be swapped and are not: nothing that filelatch writes is safe here",
                )
            })
        }
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            let linked = bench.dir().link("a".as_ref(), "c".as_ref()).is_ok();
            Ok(Fact::missing(
                name,
                if linked {
                    "a write in the last moment by a program that ignores locks is kept, but not put back (P5.6)"
                } else {
                    "a write in the last moment by a program that ignores locks is overwritten (P5.6)"
                },
            ))
        }
        Err(e) => Err(e),
    }
}

fn hard_links(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "hard-links";
    let id = bench.put("a", b"x")?.stat()?.id;
    match bench.dir().link("a".as_ref(), "b".as_ref()) {
        Ok(()) if bench.dir().stat("b".as_ref())?.id == id => {
            Ok(Fact::good(name, "the fallback lock can be used here"))
        }
        Ok(()) => Ok(Fact::missing(name, "a link is another file: the fallback lock would not exclude")),
        Err(e) => Ok(Fact::missing(name, format!("the fallback lock cannot be used here: {}", plain(&e))).harmless()),
    }
}

fn sync_file(bench: &Bench<'_>) -> io::Result<Fact> {
    let file = bench.put("a", b"x")?;
    Ok(match file.sync() {
        Ok(()) => Fact::good("sync-file", "the system says that bytes are on the disk"),
        Err(e) => Fact::missing("sync-file", format!("nothing can be made durable here: {}", plain(&e))),
    })
}

fn sync_dir(bench: &Bench<'_>) -> io::Result<Fact> {
    bench.put("a", b"x")?;
    Ok(match bench.dir().sync() {
        Ok(()) => Fact::good("sync-dir", "the system says that names are on the disk"),
        Err(e) => Fact::missing(
            "sync-dir",
            format!("a new version may lose its name in a power cut, and the old one be back: {}", plain(&e)),
        ),
    })
}

fn attributes(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "attributes";
    let file = bench.put("a", b"x")?;
    let text = b"1 1 0123456789abcdef 1795000000000 doctor";
    let without = "nobody can tell who wrote a version, and what dead writers leave is removed only if it is empty";
    match file.set_xattr(XATTR.as_ref(), text) {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => return Ok(Fact::missing(name, without)),
        other => other?,
    }
    drop(file);
    bench.dir().rename("a".as_ref(), "b".as_ref())?;
    let kept = bench.scratch.again("b", Access::Read)?.get_xattr(XATTR.as_ref())?;
    Ok(if kept.as_deref() == Some(text) {
        Fact::good(name, "who wrote a version travels with it")
    } else {
        Fact::missing(name, format!("they are lost when a file is renamed: {without}"))
    })
}

fn reflink(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "reflink";
    let source = bench.put("a", b"shared")?;
    let copy = bench.scratch.file("b")?;
    match copy.clone_from(&*source) {
        Ok(()) if bench.holds("b", b"shared")? => Ok(Fact::good(name, "a copy of a file costs nothing")),
        Ok(()) => Ok(Fact::missing(name, "a copy is said to be made and is not").harmless()),
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            Ok(Fact::missing(name, "copies take as long as the file is large; nothing depends on it").harmless())
        }
        Err(e) => Err(e),
    }
}

fn case(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "case";
    bench.put("case", b"x")?;
    let folds = !bench.is_gone("CASE")?;
    let value = if folds { "folded" } else { "kept apart" };
    let fact = match (folds, bench.caps().case_insensitive) {
        (true, true) => Fact::good(name, "two spellings of a name are one file and one lock"),
        (false, false) => Fact::good(name, "names that differ in case are two files and two locks"),
        (true, false) => Fact::limited(
            name,
            "two spellings of a name are one file here, but filelatch takes them for two: spell it the same way everywhere",
        ),
        (false, true) => {
            Fact::limited(name, "names that differ only in case are two files that share one lock; nothing is lost")
                .harmless()
        }
    };
    Ok(fact.value(value))
}

fn timestamps(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "timestamps";
    let file = bench.put("a", b"0")?;
    let mut last = (since_epoch(file.stat()?.mtime), bench.host.monotonic());
    let mut steps = Vec::new();
    bench.comes(|| {
        write_all_at(&*file, b"1", 0)?;
        let now = (since_epoch(file.stat()?.mtime), bench.host.monotonic());
        if now.0 != last.0 {
            let step = now.0.abs_diff(last.0);
            // The clock's step is at most the one seen, and at least that less the time between the two looks.
            steps.push((step, step.saturating_sub(now.1.saturating_sub(last.1))));
        }
        last = now;
        Ok(steps.len() >= TICKS)
    })?;
    let (Some(most), Some(least)) = (steps.iter().map(|s| s.0).min(), steps.iter().map(|s| s.1).min()) else {
        let meaning = "the time of change does not move: that a file changed shows in its content only";
        return Ok(Fact::limited(name, meaning).harmless());
    };
    let fact = if least <= bench.caps().timestamp_granule {
        Fact::good(name, "fine enough to tell, after a moment, that a file did not change")
    } else {
        Fact::limited(
            name,
            "coarser than filelatch takes them to be: a plain read may miss a change that keeps length and time",
        )
    };
    Ok(fact.value(format!("{} or finer", crate::error::seconds(most.max(Duration::from_millis(1))))))
}

fn since_epoch(time: Timestamp) -> Duration {
    Duration::new(u64::try_from(time.secs).unwrap_or_default(), time.nanos)
}

fn late_writers(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "late-writers";
    let writer = bench.put("a", b"x")?;
    let reader = bench.scratch.again("a", Access::Read)?;
    let while_open = reader.probe_writers()?;
    drop(writer);
    let afterwards = reader.probe_writers()?;
    Ok(match (while_open, afterwards) {
        (WriterProbe::Some, WriterProbe::None) => {
            Fact::good(name, "a program that still writes to a replaced version is seen, and that version kept")
        }
        (WriterProbe::Unknown, _) | (_, WriterProbe::Unknown) => Fact::missing(
            name,
            "what a program writes through a descriptor that it opened before a file was replaced is not seen (P5.3)",
        ),
        _ => Fact::missing(name, "the system does not tell rightly who has a file open for writing (P5.3)"),
    })
}

fn no_follow(bench: &Bench<'_>) -> io::Result<Fact> {
    let name = "no-follow";
    bench.put("a", b"x")?;
    match bench.dir().symlink("a".as_ref(), "link".as_ref()) {
        Err(e) if e.kind() == io::ErrorKind::Unsupported => {
            return Ok(Fact::good(name, "there are no symbolic links here that could lead astray"));
        }
        other => other?,
    }
    Ok(if bench.scratch.again("link", Access::Read).is_err() {
        Fact::good(name, "a link in the place of a lock file is not followed")
    } else {
        Fact::missing(name, "a link in the place of a lock file is followed: locks can be led astray (L19)")
    })
}
