//! `filelatch log`: append-only logs.

use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use filelatch::Error;
use filelatch::store::StoreFolder;
use filelatch::store::log::{Log as Store, LogOptions, LogRecord, Triggers};
use serde_json::{Value, json};

use crate::args_log::{Action, Append, Compact, Log, ReadLog, Repair, State, Verify};
use crate::context::{Context, warn, with_waiting};
use crate::render::CliError;
use crate::{exit, output};

/// Lines that are read ahead.
const AHEAD: usize = 4096;
/// Bytes of one write.
const BATCH: usize = 1 << 20;
/// Longest line: a record of 16 MiB is the longest that a log takes.
const LINE: usize = (16 << 20) + 4096;

pub(crate) fn log(context: &Context, args: &Log) -> Result<u8, CliError> {
    match &args.action {
        Action::Append(args) => append(context, args)?,
        Action::Read(args) => read(context, args)?,
        Action::State(args) => state(context, args)?,
        Action::Compact(args) => compact(context, args)?,
        Action::Verify(args) => return verify(context, args),
        Action::Repair(args) => repair(context, args)?,
    }
    Ok(exit::DONE)
}

fn open(context: &Context, name: &Path, create: bool) -> Result<Store, CliError> {
    let path = context.latch.store_path(".", StoreFolder::Logs, name, create)?;
    // A path is shown as it was given.
    let path = path.strip_prefix(".").ok().filter(|path| !path.as_os_str().is_empty()).unwrap_or(&path);
    let log = context.latch.log(path)?;
    warn(log.file());
    Ok(log)
}

/// As [`open`], of a log that is there.
fn existing(context: &Context, name: &Path) -> Result<Store, CliError> {
    let log = open(context, name, false)?;
    if log.exists()? { Ok(log) } else { Err(Error::NotFound { path: log.path().to_owned() }.into()) }
}

/// A line of the input, or why there is none.
type Line = (u64, io::Result<Vec<u8>>);

fn append(context: &Context, args: &Append) -> Result<(), CliError> {
    let log = open(context, &args.log, true)?;
    context.check_held(log.file(), None, false)?;
    let (lines, input) = mpsc::sync_channel::<Line>(AHEAD);
    // Ends with the input, or with the process.
    std::thread::spawn(move || {
        let mut stdin = BufReader::with_capacity(256 << 10, io::stdin().lock());
        for n in 1.. {
            let line = next_line(&mut stdin);
            let Some(line) = line.transpose() else { return };
            let failed = line.is_err();
            if lines.send((n, line)).is_err() || failed {
                return;
            }
        }
    });
    while let Ok(first) = input.recv() {
        let (batch, refused) = gather(&log, first, &input);
        write(context, args, &log, &batch)?;
        if let Some(refused) = refused {
            return Err(refused);
        }
    }
    Ok(())
}

/// What is there, up to a line that is no record.
fn gather(log: &Store, first: Line, input: &mpsc::Receiver<Line>) -> (Vec<Vec<u8>>, Option<CliError>) {
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut next = Some(first);
    while let Some((n, line)) = next {
        let at = |message: String, kind: &'static str| {
            let error = CliError::own(kind, format!("line {n} of the input: {message}"));
            error.hint("nothing of this line and those behind it was appended; those before it are in the log")
        };
        match line {
            Err(e) => return (batch, Some(at(format!("cannot be read: {e}"), "io"))),
            Ok(line) if line.trim_ascii().is_empty() => {}
            Ok(line) => {
                let record = line.trim_ascii();
                match log.check(record) {
                    Ok(()) => {
                        bytes += record.len();
                        batch.push(record.to_vec());
                    }
                    Err(Error::Store { source, .. }) => return (batch, Some(at(source.to_string(), source.code()))),
                    Err(e) => return (batch, Some(e.into())),
                }
            }
        }
        next = if bytes < BATCH { input.try_recv().ok() } else { None };
    }
    (batch, None)
}

fn write(context: &Context, args: &Append, log: &Store, batch: &[Vec<u8>]) -> Result<(), CliError> {
    if batch.is_empty() {
        return Ok(());
    }
    let offsets = with_waiting(args.waiting.wait(), |lock| {
        let mut options = LogOptions { durability: args.durability, lock, ..LogOptions::default() };
        options.compact_when = Triggers { bytes: args.compact_over, age: None };
        log.append_many(batch.iter().map(Vec::as_slice), &options)
    })?;
    let line = |offset: &u64| if context.json { format!("{{\"offset\":{offset}}}\n") } else { format!("{offset}\n") };
    output::data(offsets.iter().map(line).collect::<String>().as_bytes())
}

/// A line without its newline; `None` at the end. What is too long is an error.
fn next_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    loop {
        let buf = match input.fill_buf() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            buf => buf?,
        };
        if buf.is_empty() {
            return Ok((!line.is_empty()).then_some(line));
        }
        let newline = buf.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&buf[..newline.unwrap_or(buf.len())]);
        let used = newline.map_or(buf.len(), |newline| newline + 1);
        input.consume(used);
        if line.len() > LINE {
            return Err(io::Error::other("it is longer than a record can be"));
        }
        if newline.is_some() {
            return Ok(Some(line));
        }
    }
}

fn read(context: &Context, args: &ReadLog) -> Result<(), CliError> {
    let log = if args.follow { open(context, &args.log, false)? } else { existing(context, &args.log)? };
    if args.follow {
        let mut follow = log.follow(args.from)?;
        loop {
            if let Some(record) = follow.next(None::<Duration>)? {
                print(context, &record)?;
            }
        }
    }
    let mut out = Vec::new();
    for record in log.read(args.from)? {
        match record {
            Ok(record) => render(context, &record, &mut out),
            Err(e) => {
                output::data(&out)?;
                return Err(e.into());
            }
        }
        if out.len() >= BATCH {
            output::data(&out)?;
            out.clear();
        }
    }
    output::data(&out)
}

fn print(context: &Context, record: &LogRecord) -> Result<(), CliError> {
    let mut out = Vec::new();
    render(context, record, &mut out);
    output::data(&out)
}

fn render(context: &Context, record: &LogRecord, out: &mut Vec<u8>) {
    if context.json {
        // The record is JSON, byte for byte as it was given.
        out.extend_from_slice(format!("{{\"offset\":{},\"record\":", record.offset).as_bytes());
        out.extend_from_slice(&record.bytes);
        out.extend_from_slice(b"}\n");
    } else {
        out.extend_from_slice(&record.bytes);
        out.push(b'\n');
    }
}

fn state(context: &Context, args: &State) -> Result<(), CliError> {
    let state = existing(context, &args.log)?.state()?;
    if context.json {
        return output::json(&Value::Object(state.into_iter().collect()));
    }
    let line = |(key, value): (String, Value)| format!("{}\t{value}\n", Value::String(key));
    output::data(state.into_iter().map(line).collect::<String>().as_bytes())
}

fn compact(context: &Context, args: &Compact) -> Result<(), CliError> {
    let log = existing(context, &args.log)?;
    context.check_held(log.file(), None, true)?;
    let when = Triggers { bytes: args.if_over, age: args.if_older };
    let due = when == Triggers::default() || log.is_due(when)?;
    let done = if due { with_waiting(args.waiting.wait(), |lock| log.compact(&lock))? } else { None };
    if context.json {
        return output::json(&match done {
            Some(done) => json!({
                "compacted": true,
                "kept": done.kept,
                "before": done.before,
                "after": done.after,
                "stoppedMs": (done.stopped.as_secs_f64() * 1e4).round() / 10.0,
            }),
            None => json!({"compacted": false}),
        });
    }
    match done {
        Some(done) => {
            let records = if done.kept == 1 { "record" } else { "records" };
            output::line(&format!("{} {records} kept; {} bytes, before {}", done.kept, done.after, done.before))
        }
        None if due => {
            output::note("another compaction is under way");
            Ok(())
        }
        None => {
            output::note("not due; nothing was changed");
            Ok(())
        }
    }
}

fn verify(context: &Context, args: &Verify) -> Result<u8, CliError> {
    let found = existing(context, &args.log)?.verify()?;
    let status = if found.is_ok() { exit::DONE } else { exit::ERROR };
    if context.json {
        output::json(&json!({
            "ok": found.is_ok(),
            "records": found.records,
            "end": found.end,
            "problems": found.problems,
            "damaged": found.damaged,
        }))?;
        return Ok(status);
    }
    for problem in &found.problems {
        let text = if problem.harmless { format!("{problem} (harmless)") } else { problem.to_string() };
        output::line(&printable(&text))?;
    }
    let records =
        if found.records == 1 { "1 intact record".to_owned() } else { format!("{} intact records", found.records) };
    let what = if found.is_ok() { "ok".to_owned() } else { format!("{} damaged", found.damaged) };
    output::line(&format!("{what}: {records}"))?;
    Ok(status)
}

fn repair(context: &Context, args: &Repair) -> Result<(), CliError> {
    let log = open(context, &args.log, false)?;
    context.check_held(log.file(), None, true)?;
    let done = with_waiting(args.waiting.wait(), |lock| log.repair(&lock))?;
    if context.json {
        return output::json(&json!({"records": done.records, "moved": done.moved}));
    }
    for file in &done.moved {
        output::note(&printable(&format!("damage was moved to {file}")));
    }
    let records = if done.records == 1 { "record" } else { "records" };
    output::line(&format!("{} intact {records}", done.records))
}

/// Names in it may be anybody's.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
