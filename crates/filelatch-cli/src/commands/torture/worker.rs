//! One process of a run: it works until it is told to stop, and notes what it does.
//!
//! - **Output**: its notes, to a pipe: one write for each, so a SIGKILL loses none that was made.
//! - **Input**: one byte means "stop after this operation"; its end means that nobody is left to work for, and ends the process at once.
//! - **Standard error**: one line of JSON if it failed.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filelatch::{
    Error, Expect, Filelatch, Guard, LatchFile, LockKind, LockOptions, Policy, Version, Wait, WriteOptions,
};
use filelatch_fs::{Host, RealHost};
use filelatch_testkit::Random;
use filelatch_testkit::operations::{Action, Begun, End, OpId, Recorder};

use super::content::{FULL, Kind, checksum_of, empty_document, sealed, unsealed};
use crate::args::{Sabotage, TortureWorker};
use crate::exit;
use crate::render::CliError;

/// Longer waits than this are a finding.
const PATIENCE: Duration = Duration::from_secs(60);
/// So many operations are done by one engine.
const REOPEN: usize = 100;
/// Register files.
const REGISTERS: usize = 2;

type Out = io::Stdout;
type Done = Result<(), CliError>;

struct Worker<'a> {
    args: &'a TortureWorker,
    recorder: Recorder<Out>,
    random: Random,
    latch: Filelatch,
    /// Numbers of the log and the document that are not full yet.
    log: usize,
    document: usize,
    /// For `stale`: what was read first.
    remembered: HashMap<String, Option<Version>>,
}

pub(crate) fn worker(args: &TortureWorker) -> u8 {
    match run(args) {
        // Nobody listens any more.
        Ok(()) | Err(CliError::Stdout(_)) => exit::DONE,
        Err(error) => {
            io::stderr().write_all(format!("{}\n", error.to_json()).as_bytes()).ok();
            error.status()
        }
    }
}

fn run(args: &TortureWorker) -> Done {
    // A process that is stopped does not see the end of its input.
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).ok();
    let stop = Arc::new(AtomicBool::new(false));
    listen(Arc::clone(&stop))?;
    let mut worker = Worker {
        args,
        recorder: Recorder::new(io::stdout()),
        random: Random::new(args.seed),
        latch: engine(args),
        log: 0,
        document: 0,
        remembered: HashMap::new(),
    };
    let mut operations = 0_usize;
    while !stop.load(Ordering::Relaxed) {
        operations += 1;
        if operations.is_multiple_of(REOPEN) {
            worker.latch = engine(args);
        }
        worker.work()?;
    }
    Ok(())
}

fn engine(args: &TortureWorker) -> Filelatch {
    let mut policy = Policy::default();
    policy.durability = args.durability;
    policy.lock = args.lock;
    policy.wait = Wait::For(PATIENCE);
    policy.locks = args.sabotage != Some(Sabotage::Locks);
    let name = format!("torture {}", args.process);
    // The disk is to be tried, not the configuration of the folder.
    Filelatch::builder().purpose("filelatch torture").session(name).without_workspaces().defaults(policy).build()
}

/// Stops with the first byte, ends the process with the end of the input.
fn listen(stop: Arc<AtomicBool>) -> Done {
    let wait = move || {
        let mut input = io::stdin().lock();
        let mut byte = [0];
        while matches!(input.read(&mut byte), Ok(1)) {
            stop.store(true, Ordering::Relaxed);
        }
        #[expect(clippy::exit, reason = "whoever started this process is gone")]
        std::process::exit(0);
    };
    let started = std::thread::Builder::new().name("input".to_owned()).spawn(wait).map(drop);
    started.map_err(|e| CliError::own("io", format!("cannot start a thread: {e}")))
}

/// Notes, or the run is over: nobody listens.
fn noted<T>(note: io::Result<T>) -> Result<T, CliError> {
    note.map_err(CliError::Stdout)
}

/// What a conflict says is there; other errors are passed on.
fn refusal(error: Error) -> Result<End, Error> {
    match error {
        Error::Conflict(conflict) => Ok(End::Refused(conflict.current)),
        other => Err(other),
    }
}

impl Worker<'_> {
    fn work(&mut self) -> Done {
        match self.random.up_to(99) {
            0..30 => self.read(),
            30..38 => self.read_locked(),
            38..58 => self.append(),
            58..73 => self.update(),
            73..90 => self.write(),
            _ => self.lock(),
        }
    }

    fn below(&mut self, limit: usize) -> usize {
        let drawn = self.random.up_to(u64::try_from(limit).unwrap_or(u64::MAX).saturating_sub(1));
        usize::try_from(drawn).unwrap_or_default()
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.random.up_to(99) < percent
    }

    fn id(&self, number: u64) -> OpId {
        OpId { process: self.args.process, number }
    }

    fn open(&self, file: &str) -> Result<LatchFile, CliError> {
        Ok(self.latch.file(self.args.dir.join(file))?)
    }

    fn register(&mut self) -> String {
        let number = self.below(REGISTERS);
        Kind::Register.file(number)
    }

    fn any(&mut self) -> String {
        match self.below(4) {
            0 => Kind::Log.file(self.log),
            1 => Kind::Document.file(self.document),
            _ => self.register(),
        }
    }

    /// Ends an operation by its result; an error is noted and ends the worker.
    fn end<W: Write>(begun: Begun<'_, W>, result: Result<End, Error>) -> Done {
        match result {
            Ok(end) => noted(begun.end(&end)),
            Err(error) => {
                noted(begun.end(&End::Failed(error.to_string())))?;
                Err(error.into())
            }
        }
    }

    fn read(&mut self) -> Done {
        let name = self.any();
        let file = self.open(&name)?;
        let pretend = self.args.sabotage == Some(Sabotage::Stale) && self.chance(20);
        let begun = noted(self.recorder.begin(Action::Read, "read", &name))?;
        let seen = file.try_read();
        if let (Ok(seen), true) = (&seen, pretend) {
            let now = seen.as_ref().map(filelatch::Snapshot::version);
            let old = *self.remembered.entry(name).or_insert(now);
            return noted(begun.end(&End::Saw(old)));
        }
        Self::end(begun, seen.map(|seen| saw(&name, seen.as_ref())))
    }

    /// Two reads under a shared lock.
    fn read_locked(&mut self) -> Done {
        let name = self.any();
        let file = self.open(&name)?;
        let pause = self.random.up_to(500);
        let begun = noted(self.recorder.begin(Action::Hold(LockKind::Shared), "lock-shared", &name))?;
        let guard = match file.lock_shared(&LockOptions::new()) {
            Ok(guard) => guard,
            Err(error) => return Self::end(begun, Err(error)),
        };
        noted(begun.acquired())?;
        for _ in 0..2 {
            self.read_under(&name, || guard.read())?;
            RealHost.sleep(Duration::from_micros(pause));
        }
        noted(begun.releasing())?;
        drop(guard);
        noted(begun.end(&End::Released))
    }

    fn read_under(
        &self,
        name: &str,
        read: impl FnOnce() -> Result<filelatch::Snapshot, Error>,
    ) -> Result<Option<Version>, CliError> {
        let begun = noted(self.recorder.begin(Action::Read, "read-locked", name))?;
        let seen = match read() {
            Ok(seen) => Ok(Some(seen)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        let version = seen.as_ref().ok().and_then(|seen| seen.as_ref().map(filelatch::Snapshot::version));
        Self::end(begun, seen.map(|seen| saw(name, seen.as_ref())))?;
        Ok(version)
    }

    /// A line at the end of a log, as an update of its bytes.
    fn append(&mut self) -> Done {
        let name = Kind::Log.file(self.log);
        let file = self.open(&name)?;
        let filler = "+".repeat(self.below(60));
        let forget = self.args.sabotage == Some(Sabotage::Forget) && self.chance(3);
        let begun = noted(self.recorder.begin(Action::Change, "append", &name))?;
        let id = self.id(begun.number());
        let grown = |old: Option<&[u8]>| -> Result<Vec<u8>, String> {
            let body = old.map_or(Ok(""), unsealed)?;
            Ok(sealed(&format!("{body}{id} {filler}\n")))
        };
        if forget || self.args.sabotage == Some(Sabotage::Locks) {
            let old = file.try_read()?;
            let old = old.as_ref().map(filelatch::Snapshot::bytes);
            let Ok(new) = grown(old) else { return noted(begun.end(&End::Refused(old.map(Version::of)))) };
            noted(begun.attempt(old.map(Version::of), Version::of(&new)))?;
            let version = Version::of(&new);
            let end = || Ok(End::Changed(Some(version)));
            let written = if forget { end() } else { file.write(&new, &WriteOptions::new()).and_then(|_| end()) };
            return Self::end(begun, written.or_else(refusal));
        }
        let mut size = 0;
        let mut wrong = None;
        let written = file.update_bytes(&WriteOptions::new(), |old| {
            match grown(old) {
                Ok(new) => {
                    size = new.len();
                    if begun.attempt(old.map(Version::of), Version::of(&new)).is_err() {
                        // Nobody listens: the process is about to end.
                        return Ok::<_, Error>(None);
                    }
                    Ok(Some(new))
                }
                Err(how) => {
                    wrong = Some(how);
                    Ok(None)
                }
            }
        });
        if size > FULL {
            self.log += 1;
        }
        if let Some(how) = wrong {
            return noted(begun.end(&End::Damaged(how)));
        }
        Self::end(begun, written.map(|written| End::Changed(written.version)).or_else(refusal))
    }

    /// An element at the end of a document's list.
    fn update(&mut self) -> Done {
        let name = Kind::Document.file(self.document);
        let file = self.open(&name)?;
        let options = WriteOptions::new().create(empty_document());
        let begun = noted(self.recorder.begin(Action::Change, "update", &name))?;
        let id = self.id(begun.number());
        let mut size = 0;
        let updated = file.update_document(&options, |document| {
            let old = document.render()?;
            let mut ids = match Kind::Document.changes(&old) {
                Ok(ids) => ids.unwrap_or_default(),
                Err(how) => return Ok(Some(how)),
            };
            // A document without changes is the one that a missing file begins with.
            let from = (!ids.is_empty()).then(|| Version::of(&old));
            ids.push(id);
            document.insert("/changes/-", id.to_string().into())?;
            document.set("/checksum", checksum_of(&ids).into())?;
            let new = document.render()?;
            size = new.len();
            begun.attempt(from, Version::of(&new)).map_err(CliError::Stdout)?;
            Ok::<_, Failure>(None)
        });
        if size > FULL {
            self.document += 1;
        }
        match updated {
            Ok((_, Some(how))) => noted(begun.end(&End::Damaged(how))),
            Ok((written, None)) => noted(begun.end(&End::Changed(written.version))),
            Err(Failure::Library(error)) => Self::end(begun, refusal(error)),
            Err(Failure::Document(source)) => {
                Self::end(begun, Err(Error::Document { path: self.args.dir.join(&name), source }))
            }
            Err(Failure::Told(error)) => Err(error),
        }
    }

    /// Replaces a register, if it is still what was read.
    fn write(&mut self) -> Done {
        let name = self.register();
        let file = self.open(&name)?;
        let old = self.read_under(&name, || file.read())?;
        let length = if self.chance(5) { 200_000 } else { self.below(4000) };
        let begun = noted(self.recorder.begin(Action::Change, "write", &name))?;
        let new = self.content(begun.number(), length);
        noted(begun.attempt(old, Version::of(&new)))?;
        if self.args.sabotage == Some(Sabotage::Torn) {
            let result = tear(&self.args.dir.join(&name), &new);
            return Self::end(begun, result.map(|()| End::Changed(Some(Version::of(&new)))));
        }
        let written = file.write(&new, &WriteOptions::new().expect(expect(old)));
        Self::end(begun, written.map(|written| End::Changed(written.version)).or_else(refusal))
    }

    /// Holds a register exclusively: looks, replaces, looks again.
    fn lock(&mut self) -> Done {
        let name = self.register();
        let file = self.open(&name)?;
        let pause = self.random.up_to(1000);
        let length = self.below(4000);
        let begun = noted(self.recorder.begin(Action::Hold(LockKind::Exclusive), "lock", &name))?;
        let guard: Guard = match file.lock(&LockOptions::new()) {
            Ok(guard) => guard,
            Err(error) => return Self::end(begun, Err(error)),
        };
        noted(begun.acquired())?;
        let old = self.read_under(&name, || guard.read())?;
        RealHost.sleep(Duration::from_micros(pause));
        let change = noted(self.recorder.begin(Action::Change, "write-locked", &name))?;
        let new = self.content(change.number(), length);
        noted(change.attempt(old, Version::of(&new)))?;
        let written = guard.write(&new, &WriteOptions::new().expect(expect(old)));
        Self::end(change, written.map(|written| End::Changed(written.version)).or_else(refusal))?;
        self.read_under(&name, || guard.read())?;
        noted(begun.releasing())?;
        drop(guard);
        noted(begun.end(&End::Released))
    }

    fn content(&self, number: u64, length: usize) -> Vec<u8> {
        sealed(&format!("{} {}\n", self.id(number), "=".repeat(length)))
    }
}

fn expect(version: Option<Version>) -> Expect {
    version.map_or(Expect::Absent, Expect::Version)
}

/// A read's end: what was seen, or how it contradicts itself.
fn saw(name: &str, seen: Option<&filelatch::Snapshot>) -> End {
    let Some(seen) = seen else { return End::Saw(None) };
    match Kind::of(name).map(|kind| kind.changes(seen.bytes())) {
        Some(Err(how)) => End::Damaged(how),
        _ => End::Saw(Some(seen.version())),
    }
}

/// Sabotage: writes half, and later the other half, where everybody can see it.
#[expect(clippy::disallowed_methods, reason = "what a program does that knows nothing better")]
fn tear(path: &Path, new: &[u8]) -> Result<(), Error> {
    let write = || {
        let mut file = std::fs::File::create(path)?;
        let (half, rest) = new.split_at(new.len() / 2);
        file.write_all(half)?;
        RealHost.sleep(Duration::from_micros(200));
        file.write_all(rest)
    };
    write().map_err(|source| Error::Io { action: "write", path: path.to_owned(), source })
}

/// Why an update of a document failed.
enum Failure {
    Library(Error),
    Document(filelatch::doc::DocError),
    Told(CliError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Library(error)
    }
}

impl From<filelatch::doc::DocError> for Failure {
    fn from(error: filelatch::doc::DocError) -> Self {
        Failure::Document(error)
    }
}

impl From<CliError> for Failure {
    fn from(error: CliError) -> Self {
        Failure::Told(error)
    }
}
