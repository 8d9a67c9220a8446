//! Notes of operations: written as they happen, read back as a whole.
//!
//! One line for each event: nanoseconds of the machine's clock, the operation's number in its process, what happened. A line without
//! its end was never written.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use filelatch::{LockKind, Version};
use filelatch_fs::{Host, RealHost};

/// Which operation: its process (any number that is its own; a process that is started again is another one), and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The process.
    pub process: u64,
    /// From 0, in the order of beginning.
    pub number: u64,
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// It looks at the whole file.
    Read,
    /// It replaces the whole file, whatever it is called: write, update, append.
    Change,
    /// It takes a lock, and gives it back.
    Hold(LockKind),
}

/// What a change was about to put in place of what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it was noted.
    pub at: Duration,
    /// The version it was made from; `None`: no file.
    pub from: Option<Version>,
    /// The version it makes.
    pub to: Version,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// A read saw this version; `None`: no file.
    Saw(Option<Version>),
    /// A read saw something that contradicts itself: wrong length, wrong checksum.
    Damaged(String),
    /// A change was acknowledged; the version if it was told.
    Changed(Option<Version>),
    /// A change was refused, for this version was there. It must not have happened.
    Refused(Option<Version>),
    /// A lock was given back.
    Released,
    /// An error. Whether the change happened is not known.
    Failed(String),
}

/// The time for which a lock was surely held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// It was had then.
    pub acquired: Duration,
    /// It was still had then: just before it was given back, or the last that was heard of the process.
    pub until: Duration,
}

/// One operation of one process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Which.
    pub id: OpId,
    /// What it is called in a history: `append`.
    pub name: String,
    /// The file, by any name that is the same for all processes.
    pub file: String,
    /// What it does.
    pub action: Action,
    /// When it was asked for.
    pub began: Duration,
    /// For a change: what it tried, in order.
    pub attempts: Vec<Attempt>,
    /// For a lock that was had: for how long.
    pub hold: Option<Hold>,
    /// When and how it ended. `None`: the process was killed before that, or stopped.
    pub ended: Option<(Duration, End)>,
}

/// Notes the operations of one process. May be used by several threads.
#[derive(Debug)]
pub struct Recorder<W: Write = std::fs::File> {
    out: Mutex<W>,
    next: AtomicU64,
}

/// An operation that has begun.
#[derive(Debug)]
#[must_use = "an operation without an end counts as one of a killed process"]
pub struct Begun<'a, W: Write> {
    recorder: &'a Recorder<W>,
    number: u64,
}

impl Recorder {
    /// Notes to a new file of this process's own.
    #[expect(clippy::disallowed_methods, reason = "the log is the test's own, beside the files that are tested")]
    pub fn to_file(path: impl AsRef<Path>) -> io::Result<Recorder> {
        std::fs::File::create_new(path).map(Recorder::new)
    }
}

impl<W: Write> Recorder<W> {
    /// Notes to a file, a pipe or a buffer. What one `write` takes must survive the process: no buffer of the process's own.
    pub fn new(out: W) -> Recorder<W> {
        Recorder { out: Mutex::new(out), next: AtomicU64::new(0) }
    }

    /// The number that the next operation of this process will have.
    pub fn next_number(&self) -> u64 {
        self.next.load(Ordering::Relaxed)
    }

    /// Notes that an operation begins. `name` is what it is called in a history.
    pub fn begin(&self, action: Action, name: &str, file: &str) -> io::Result<Begun<'_, W>> {
        if name.is_empty() || name.contains(char::is_whitespace) || file.contains(['\n', '\r']) {
            let message = format!("an operation's name is one word, and a file's name one line: {name:?}, {file:?}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.note(number, &format!("begin {} {name} {file}", action.word()))?;
        Ok(Begun { recorder: self, number })
    }

    /// The clock is read here: before an operation that begins, after one that ended, inside the time of a lock.
    fn note(&self, number: u64, what: &str) -> io::Result<()> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!("{} {number} {what}\n", RealHost.monotonic().as_nanos());
        out.write_all(line.as_bytes()).and_then(|()| out.flush())
    }
}

impl<W: Write> Begun<'_, W> {
    /// Its number in this process: for a content that no other operation writes.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// A change is about to put `to` in place of `from`. To be noted before it can happen.
    pub fn attempt(&self, from: Option<Version>, to: Version) -> io::Result<()> {
        self.note(&format!("attempt {} {to}", word(from)))
    }

    /// The lock is had.
    pub fn acquired(&self) -> io::Result<()> {
        self.note("acquired")
    }

    /// The lock is about to be given back.
    pub fn releasing(&self) -> io::Result<()> {
        self.note("releasing")
    }

    /// It ended. To be noted after it has happened.
    pub fn end(self, end: &End) -> io::Result<()> {
        self.note(&end.to_string())
    }

    fn note(&self, what: &str) -> io::Result<()> {
        self.recorder.note(self.number, what)
    }
}

/// A log that [`Recorder`] has not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseLogError {
    /// From 1.
    pub line: usize,
    /// What stands there.
    pub text: String,
}

/// The operations of process `process`, from what its [`Recorder`] has written. A last line without its end does not count.
pub fn gather(process: u64, log: &[u8]) -> Result<Vec<Operation>, ParseLogError> {
    let mut operations = BTreeMap::<u64, Operation>::new();
    let mut last = Duration::ZERO;
    let whole = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    for (i, line) in log[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(line));
        let read = event(process, &text, &mut operations);
        last = read.ok_or_else(|| ParseLogError { line: i + 1, text: text.clone().into_owned() })?;
    }
    let mut operations: Vec<_> = operations.into_values().collect();
    for operation in &mut operations {
        // Still held when the process was last heard of.
        if let Some(hold) = operation.hold.as_mut().filter(|hold| hold.until == Duration::MAX) {
            hold.until = last;
        }
    }
    Ok(operations)
}

/// Takes in one line; answers its time.
fn event(process: u64, line: &str, operations: &mut BTreeMap<u64, Operation>) -> Option<Duration> {
    let (at, rest) = line.split_once(' ')?;
    let (number, rest) = rest.split_once(' ')?;
    let (at, number) = (Duration::from_nanos(at.parse().ok()?), number.parse().ok()?);
    let (what, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if what == "begin" {
        let (action, rest) = rest.split_once(' ')?;
        let (name, file) = rest.split_once(' ')?;
        let operation = Operation {
            id: OpId { process, number },
            name: name.to_owned(),
            file: file.to_owned(),
            action: Action::from_word(action)?,
            began: at,
            attempts: Vec::new(),
            hold: None,
            ended: None,
        };
        return operations.insert(number, operation).is_none().then_some(at);
    }
    let operation = operations.get_mut(&number).filter(|operation| operation.ended.is_none())?;
    match what {
        "attempt" => {
            let (from, to) = rest.split_once(' ')?;
            operation.attempts.push(Attempt { at, from: version(from)?, to: version(to)?? });
        }
        "acquired" => operation.hold = Some(Hold { acquired: at, until: Duration::MAX }),
        "releasing" => operation.hold.as_mut()?.until = at,
        _ => operation.ended = Some((at, format!("{what} {rest}").parse().ok()?)),
    }
    Some(at)
}

fn word(version: Option<Version>) -> String {
    version.map_or_else(|| "-".to_owned(), |version| version.to_string())
}

#[expect(clippy::option_option, reason = "the outer one: not a version at all")]
fn version(word: &str) -> Option<Option<Version>> {
    if word == "-" { Some(None) } else { word.parse().ok().map(Some) }
}

impl Action {
    fn word(self) -> &'static str {
        match self {
            Action::Read => "read",
            Action::Change => "change",
            Action::Hold(LockKind::Exclusive) => "exclusive",
            Action::Hold(LockKind::Shared) => "shared",
        }
    }

    fn from_word(word: &str) -> Option<Action> {
        let all = [Action::Read, Action::Change, Action::Hold(LockKind::Exclusive), Action::Hold(LockKind::Shared)];
        all.into_iter().find(|action| action.word() == word)
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        match self {
            End::Saw(version) => write!(f, "saw {}", word(*version)),
            End::Damaged(how) => write!(f, "damaged {}", line(how)),
            End::Changed(version) => write!(f, "changed {}", word(*version)),
            End::Refused(version) => write!(f, "refused {}", word(*version)),
            End::Released => f.write_str("released"),
            End::Failed(why) => write!(f, "failed {}", line(why)),
        }
    }
}

impl FromStr for End {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (what, rest) = text.split_once(' ').unwrap_or((text, ""));
        match what {
            "saw" => version(rest).map(End::Saw),
            "damaged" => Some(End::Damaged(rest.to_owned())),
            "changed" => version(rest).map(End::Changed),
            "refused" => version(rest).map(End::Refused),
            "released" => Some(End::Released),
            "failed" => Some(End::Failed(rest.to_owned())),
            _ => None,
        }
        .ok_or(())
    }
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.process, self.number)
    }
}

impl FromStr for OpId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (process, number) = text.split_once('#').ok_or(())?;
        let parse = |digits: &str| digits.parse().map_err(|_| ());
        Ok(OpId { process: parse(process)?, number: parse(number)? })
    }
}

impl fmt::Display for ParseLogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} of a log of operations can't be read: {:?}", self.line, self.text)
    }
}

impl std::error::Error for ParseLogError {}
