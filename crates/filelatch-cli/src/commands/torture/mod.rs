//! `filelatch torture`: proves on the user's own disk that nothing is lost, with processes that are stopped and killed.
//!
//! A run is a row of rounds, each in a folder of its own: processes of this program work on a few files and note what they do; then all
//! of it is checked against what they left (`filelatch_testkit::operations` says why that is a proof). The first round with a
//! violation ends the run, and its folder is kept.
//!
//! The seed decides what the processes do and whom a signal hits, not how the system interleaves them: a second run with it is alike,
//! not the same.

mod content;
mod summary;
mod team;
mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use filelatch::{Error, Version};
use filelatch_fs::{Host, RealHost};
use filelatch_testkit::Random;
use filelatch_testkit::operations::{FileState, Operation, Violations, check, gather};
use serde_json::{Value, json};

use crate::args::{Sabotage, Torture, TortureWorker};
use crate::render::CliError;
use crate::{env, exit, output};
use content::Kind;
use summary::Summary;
use team::{Log, Team};
pub(crate) use worker::worker;

/// Length of the first round: what is badly broken shows at once.
const FIRST: Duration = Duration::from_secs(1);
/// Length of the others: files and histories stay short.
const ROUND: Duration = Duration::from_secs(3);
/// Between two looks at the processes.
const TICK: Duration = Duration::from_millis(5);

/// A folder that is removed when it is dropped, unless it is kept.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

struct Run<'a> {
    args: &'a Torture,
    sabotage: Option<Sabotage>,
    scratch: &'a Path,
    random: Random,
    interrupted: Arc<AtomicBool>,
    summary: Summary,
    progress: Progress,
}

/// The line that says how it goes.
struct Progress {
    terminal: bool,
    lines: bool,
    told: Option<Duration>,
}

/// What is told at the end.
struct Told<'a> {
    args: &'a Torture,
    seed: u64,
    summary: &'a Summary,
    /// What was found, and where it is kept.
    violated: Option<(&'a Violations, &'a Path)>,
}

pub(crate) fn torture(args: &Torture, as_json: bool) -> Result<u8, CliError> {
    // Short enough to be typed again.
    let seed = args.seed.unwrap_or_else(|| RealHost.random() >> 40);
    let interrupted = Arc::default();
    #[cfg(unix)]
    crate::signals::note(&interrupted).map_err(|e| CliError::own("io", format!("cannot handle signals: {e}")))?;
    let mut scratch = Scratch::make(&args.dir)?;
    let mut run = Run {
        args,
        sabotage: env::sabotage()?,
        scratch: &scratch.path,
        random: Random::new(seed),
        interrupted,
        summary: Summary::default(),
        progress: Progress { terminal: std::io::stderr().is_terminal(), lines: args.verbose, told: None },
    };
    let ended = run.rounds();
    run.progress.clear();
    let summary = &run.summary;
    let violations = match ended {
        Ok(()) => None,
        Err(Stopped::Violated(violations)) => Some(violations),
        Err(Stopped::Failed(error)) => return Err(error),
    };
    let violated = violations.as_ref().map(|violations| (violations, scratch.path.as_path()));
    let told = Told { args, seed, summary, violated };
    let told = if as_json { report(&told).to_string() } else { text(&told) };
    scratch.keep = violations.is_some();
    drop(scratch);
    output::line(&told)?;
    Ok(if violations.is_some() { exit::ERROR } else { exit::DONE })
}

/// Why a run ended before its time.
enum Stopped {
    Violated(Violations),
    Failed(CliError),
}

impl From<CliError> for Stopped {
    fn from(error: CliError) -> Self {
        Stopped::Failed(error)
    }
}

impl Run<'_> {
    fn rounds(&mut self) -> Result<(), Stopped> {
        let limit = Duration::from_secs(self.args.seconds);
        let mut number = 0;
        while self.summary.worked < limit && !self.interrupted.load(Ordering::Relaxed) {
            number += 1;
            let length = if number == 1 { FIRST } else { ROUND };
            let length = length.min(limit.saturating_sub(self.summary.worked));
            self.round(&self.scratch.join(format!("round-{number}")), length)?;
        }
        Ok(())
    }

    fn round(&mut self, dir: &Path, length: Duration) -> Result<(), Stopped> {
        create(dir).map_err(CliError::from)?;
        let template = TortureWorker {
            dir: dir.to_owned(),
            process: 0,
            seed: 0,
            durability: self.args.durability,
            lock: self.args.lock,
            sabotage: self.sabotage,
        };
        let (logs, complaint) = self.play(&template, length)?;
        let mut operations = Vec::new();
        for log in &logs {
            let gathered = gather(log.process, &log.bytes);
            operations
                .extend(gathered.map_err(|e| CliError::own("internal", format!("process {}: {e}", log.process)))?);
        }
        let files = states(dir, &operations)?;
        self.summary.add(&logs, &operations, usize::from(self.args.processes));
        match (check(&operations, &files), complaint) {
            (Err(violations), _) => {
                keep_logs(dir, &logs);
                Err(Stopped::Violated(violations))
            }
            (Ok(verified), Some(complaint)) => {
                self.summary.verify(verified);
                let kept = self.summary.verified.acknowledged;
                Err(Stopped::Failed(complaint.hint(format!(
                    "the test ended here; until then nothing was lost: {kept} acknowledged changes verified"
                ))))
            }
            (Ok(verified), None) => {
                self.summary.verify(verified);
                Ok(remove(dir).map_err(CliError::from)?)
            }
        }
    }

    /// Lets the processes work, and troubles them meanwhile.
    fn play(&mut self, template: &TortureWorker, length: Duration) -> Result<(Vec<Log>, Option<CliError>), CliError> {
        let team_random = Random::new(self.random.next());
        let mut team = Team::start(template, usize::from(self.args.processes), team_random)?;
        let began = RealHost.monotonic();
        let before = self.summary.worked;
        loop {
            let now = RealHost.monotonic();
            let worked = now.saturating_sub(began);
            if worked >= length || self.interrupted.load(Ordering::Relaxed) || team.has_failed() {
                break;
            }
            team.stop_and_wake(now);
            if self.args.kill {
                team.kill_somebody()?;
            }
            let left = Duration::from_secs(self.args.seconds).saturating_sub(before + worked);
            self.progress.tell(now, &self.summary, &team, left);
            RealHost.sleep(TICK);
        }
        self.summary.mishaps.add(team.mishaps);
        self.summary.operations += team.operations();
        let finished = team.finish();
        self.summary.worked += RealHost.monotonic().saturating_sub(began);
        Ok(finished)
    }
}

/// What is on disk, seen from outside, and what the files say of themselves.
fn states(dir: &Path, operations: &[Operation]) -> Result<BTreeMap<String, FileState>, CliError> {
    let names: BTreeSet<&str> = operations.iter().map(|operation| operation.file.as_str()).collect();
    let mut files = BTreeMap::new();
    for name in names {
        let path = dir.join(name);
        #[expect(clippy::disallowed_methods, reason = "the check looks at the disk past the library")]
        let last = match std::fs::read(&path) {
            Ok(bytes) => Some(bytes),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Io { action: "read", path, source }.into()),
        };
        let changes = last.as_deref().and_then(|bytes| Kind::of(name)?.changes(bytes).ok()?);
        let state = FileState { first: None, last: last.as_deref().map(Version::of), changes };
        files.insert(name.to_owned(), state);
    }
    Ok(files)
}

/// All that was noted, beside the files that are wrong. If that is not possible the violation is told all the same.
#[expect(clippy::disallowed_methods, reason = "for people to look at")]
fn keep_logs(dir: &Path, logs: &[Log]) {
    for log in logs {
        std::fs::write(dir.join(format!("process-{}.log", log.process)), &log.bytes).ok();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test's own folders")]
fn create(dir: &Path) -> Result<(), Error> {
    std::fs::create_dir(dir).map_err(|source| Error::Io { action: "create", path: dir.to_owned(), source })
}

#[expect(clippy::disallowed_methods, reason = "the test's own folders")]
fn remove(dir: &Path) -> Result<(), Error> {
    std::fs::remove_dir_all(dir).map_err(|source| Error::Io { action: "remove", path: dir.to_owned(), source })
}

impl Scratch {
    fn make(dir: &Path) -> Result<Scratch, CliError> {
        let path = dir.join(format!("filelatch-torture-{:08x}", RealHost.random() >> 32));
        let Err(error) = create(&path) else { return Ok(Scratch { path, keep: false }) };
        // Also where DIR exists and takes no folders.
        if dir.is_dir() {
            return Err(error.into());
        }
        let (kind, what) =
            if dir.exists() { ("not-a-folder", "is not a folder") } else { ("not-found", "does not exist") };
        let message = format!("`{}` {what}", dir.display());
        Err(CliError::own(kind, message).hint("nothing was done; name a folder on the disk that is to be tried"))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep && remove(&self.path).is_err() {
            output::warning(&format!("the test's folder could not be removed: `{}`", self.path.display()));
        }
    }
}

impl Progress {
    fn tell(&mut self, now: Duration, summary: &Summary, team: &Team<'_>, left: Duration) {
        let pause = Duration::from_millis(if self.terminal { 100 } else { 1000 });
        if !(self.terminal || self.lines) || self.told.is_some_and(|told| now.saturating_sub(told) < pause) {
            return;
        }
        self.told = Some(now);
        let operations = summary.operations + team.operations();
        let kills = summary.mishaps.kills + team.mishaps.kills;
        let stops = summary.mishaps.stops + team.mishaps.stops;
        let seconds = left.as_secs_f64().ceil();
        let line = format!("{operations} operations, {kills} kills, {stops} stops, 0 violations, {seconds} s left");
        let line = if self.terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") };
        let mut out = std::io::stderr().lock();
        out.write_all(line.as_bytes()).and_then(|()| out.flush()).ok();
    }

    /// Takes the line off a terminal.
    fn clear(&self) {
        if self.terminal && self.told.is_some() {
            std::io::stderr().write_all(b"\r\x1b[K").ok();
        }
    }
}

fn text(run: &Told<'_>) -> String {
    let Told { args, seed, summary, .. } = run;
    let (processes, seconds, durability) = (args.processes, summary.worked.as_secs_f64(), args.durability);
    let dir = args.dir.display();
    let verdict = match run.violated {
        None => format!("nothing lost: {} acknowledged changes verified", summary.verified.acknowledged),
        Some((violations, kept)) => {
            let kept = kept.display();
            format!("\n{violations}\n\nVIOLATED: files and notes of all processes are kept in `{kept}`")
        }
    };
    let table = summary.text();
    format!("seed {seed}: {processes} processes, {seconds:.1} s, durability {durability}, `{dir}`\n{table}{verdict}")
}

fn report(run: &Told<'_>) -> Value {
    let Told { args, seed, summary, violated } = run;
    let mut value = summary.json();
    value["success"] = violated.is_none().into();
    value["path"] = output::path(&args.dir);
    value["seed"] = (*seed).into();
    value["processes"] = args.processes.into();
    value["durability"] = args.durability.to_string().into();
    let kinds = violated.iter().flat_map(|(violations, _)| violations.by_kind());
    let violations = kinds.map(|(kind, (count, first))| {
        json!({
            "kind": kind.code(), "count": count, "file": first.file, "message": first.message, "history": first.events(),
        })
    });
    value["violations"] = violations.collect();
    value["kept"] = violated.map_or(Value::Null, |(_, kept)| output::path(kept));
    value
}
