//! `filelatch doctor`: what a mount guarantees, what was left behind, putting right what is nobody's.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use anstyle::{AnsiColor, Style};
use filelatch::doctor::{DoctorOptions, Fact, Finding, Fix, Kind, Level, OtherProcess, Outcome, Report, Verdict};
use serde_json::Value;

use crate::args::{Doctor, DoctorPeer};
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

const HELD: &str = "held";
const REFUSED: &str = "refused";
/// Lines of what is only good to know.
const LINES: usize = 20;

pub(crate) fn doctor(context: &Context, args: &Doctor) -> Result<u8, CliError> {
    let options = DoctorOptions::new().fix(args.fix).recursive(!args.no_recurse).limit(args.limit).other(&Peer);
    let report = context.latch.doctor(&args.dir, &options)?;
    if context.json {
        let mut value = serde_json::to_value(&report).unwrap_or_default();
        if let Value::Object(object) = &mut value {
            object.insert("healthy".to_owned(), report.is_healthy().into());
        }
        output::json(&value)?;
    } else {
        output::styled(&text(&report))?;
    }
    Ok(if report.is_healthy() { exit::DONE } else { exit::ERROR })
}

// --- The other process ---

/// What the other process does.
pub(crate) fn peer(context: &Context, args: &DoctorPeer) -> Result<u8, CliError> {
    let lock = context.latch.probe_lock(&args.file)?;
    output::line(if lock.is_some() { HELD } else { REFUSED })?;
    if lock.is_some() {
        io::copy(&mut io::stdin().lock(), &mut io::sink()).map_err(CliError::Stdout)?;
    }
    Ok(exit::DONE)
}

/// This program, started again.
struct Peer;

/// Killed when dropped.
struct Started {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Peer {
    fn start(file: &Path) -> io::Result<Started> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args([OsStr::new("doctor-peer"), OsStr::new("--"), file.as_os_str()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let Some(out) = child.stdout.take() else { return Err(io::ErrorKind::BrokenPipe.into()) };
        Ok(Started { child, out: BufReader::new(out) })
    }
}

impl Started {
    /// Did it get the lock?
    fn holds(&mut self) -> io::Result<bool> {
        let mut line = String::new();
        self.out.read_line(&mut line)?;
        match line.trim_end() {
            HELD => Ok(true),
            REFUSED => Ok(false),
            _ => {
                let mut told = String::new();
                if let Some(err) = &mut self.child.stderr {
                    err.read_to_string(&mut told)?;
                }
                Err(io::Error::other(format!("the other process failed: {}", told.trim_end())))
            }
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Gone when this returns, and its lock with it.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl OtherProcess for Peer {
    fn can_lock(&self, file: &Path) -> io::Result<bool> {
        Peer::start(file)?.holds()
    }

    fn hold_and_die(&self, file: &Path, meanwhile: &mut dyn FnMut()) -> io::Result<bool> {
        let mut other = Peer::start(file)?;
        let holds = other.holds()?;
        if holds {
            meanwhile();
        }
        Ok(holds)
    }
}

// --- As text ---

fn text(report: &Report) -> Vec<u8> {
    let mut text = Vec::new();
    // Writing to memory does not fail.
    write_report(&mut text, report).ok();
    text
}

fn write_report(to: &mut Vec<u8>, report: &Report) -> io::Result<()> {
    head(to, report)?;
    writeln!(to)?;
    facts(to, &report.facts)?;
    let (problems, others): (Vec<_>, Vec<_>) = report.findings.iter().partition(|finding| finding.problem);
    let (unseen, notes): (Vec<_>, Vec<_>) = others.into_iter().partition(|note| note.kind == Kind::Unreadable);
    let count = match report.entries {
        1 => "1 name".to_owned(),
        n => format!("{n} names"),
    };
    match problems.len() {
        0 => writeln!(to, "\nno problems among {count}")?,
        1 => writeln!(to, "\n1 problem among {count}:")?,
        n => writeln!(to, "\n{n} problems among {count}:")?,
    }
    for finding in problems {
        problem(to, finding)?;
    }
    let notes = notes.into_iter().map(|note| {
        let advice = note.advice.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        format!("{}\n      {}{advice}", note.path.display(), note.what)
    });
    list(to, "also there, and in order", notes.collect())?;
    let unseen = unseen.into_iter().map(|note| format!("{}: {}", note.path.display(), note.what));
    list(to, "not looked at", report.skipped.iter().cloned().chain(unseen).collect())
}

fn list(to: &mut Vec<u8>, heading: &str, lines: Vec<String>) -> io::Result<()> {
    if !lines.is_empty() {
        writeln!(to, "\n{heading}:")?;
    }
    let more = lines.len().saturating_sub(LINES);
    for line in lines.into_iter().take(LINES) {
        writeln!(to, "  {line}")?;
    }
    if more > 0 { writeln!(to, "  and {more} more, which `--json` tells") } else { Ok(()) }
}

fn head(to: &mut Vec<u8>, report: &Report) -> io::Result<()> {
    let overall = &report.overall;
    let (word, style, meaning) = match overall.level {
        Level::Strict => ("strict", green(), "everything that filelatch promises holds here"),
        Level::Limited => ("limited", yellow(), "filelatch works here, with less than it promises elsewhere:"),
        Level::FileLock => ("no system locks", red(), "the system's locks must not be relied on here:"),
        _ => ("unknown", yellow(), "it is not known what holds here:"),
    };
    writeln!(to, "{}: {style}{word}{style:#}: {meaning}", report.dir.display())?;
    for why in &overall.why {
        writeln!(to, "  - {why}")?;
    }
    if overall.settled {
        writeln!(to, "  the policy uses the fallback lock here; so must everybody else who uses these files")?;
    } else if let Some(advice) = &overall.advice {
        writeln!(to, "  what to do: {advice}")?;
    }
    Ok(())
}

fn facts(to: &mut Vec<u8>, facts: &[Fact]) -> io::Result<()> {
    let width = facts.iter().map(|fact| fact.name.len()).max().unwrap_or_default();
    for fact in facts {
        let (word, style) = match fact.verdict {
            Verdict::Good => ("good", green()),
            Verdict::Limited => ("limited", yellow()),
            Verdict::Missing if !fact.weakens => ("missing", Style::new()),
            Verdict::Missing => ("missing", yellow()),
            Verdict::Unknown => ("unknown", yellow()),
        };
        let value = fact.value.as_ref().map(|value| format!("{value}: ")).unwrap_or_default();
        let error = fact.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        writeln!(to, "  {style}{word:7}{style:#}  {:width$}  {value}{}{error}", fact.name, fact.meaning)?;
    }
    Ok(())
}

fn problem(to: &mut Vec<u8>, finding: &Finding) -> io::Result<()> {
    writeln!(to, "  {}\n      {}", finding.path.display(), finding.what)?;
    let (good, bad) = (green(), yellow());
    match (&finding.outcome, finding.fix) {
        (Some(Outcome::Done), Some(Fix::Complete)) => writeln!(to, "      {good}completed{good:#}"),
        (Some(Outcome::Done), _) => writeln!(to, "      {good}removed{good:#}"),
        (Some(Outcome::Left(why)), _) => writeln!(to, "      {bad}left{bad:#}: {why}"),
        (None, Some(Fix::Complete)) => writeln!(to, "      `--fix` completes it"),
        (None, Some(Fix::Remove)) => writeln!(to, "      `--fix` removes it"),
        (None, None) => match &finding.advice {
            Some(advice) => writeln!(to, "      what to do: {advice}"),
            None => Ok(()),
        },
    }
}

fn green() -> Style {
    AnsiColor::Green.on_default().bold()
}

fn yellow() -> Style {
    AnsiColor::Yellow.on_default().bold()
}

fn red() -> Style {
    AnsiColor::Red.on_default().bold()
}
