//! `filelatch audit`: what was recorded, and whether it still is what was recorded.

use std::path::Path;
use std::time::{Duration, SystemTime};

use filelatch::audit::{Audit as Log, AuditFilter, AuditRecord, VerifyOptions};
use filelatch_fs::{Host, RealHost};
use serde_json::json;

use crate::args_audit::{Action, Audit, Filter, Moment, Show, Tail, Verify};
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

/// Between two looks of `tail -f`.
const TICK: Duration = Duration::from_millis(200);

pub(crate) fn audit(context: &Context, args: &Audit) -> Result<u8, CliError> {
    let log = context.latch.audit(args.dir.as_deref().unwrap_or(Path::new(".")))?;
    if !log.policy().enabled {
        output::note("the workspace's configuration has the audit log switched off");
    }
    match &args.action {
        Action::Show(args) => show(context, &log, args)?,
        Action::Tail(args) => tail(context, &log, args)?,
        Action::Verify(args) => return verify(context, &log, args),
        Action::Head(_) => head(context, &log)?,
    }
    Ok(exit::DONE)
}

fn show(context: &Context, log: &Log, args: &Show) -> Result<(), CliError> {
    let now = RealHost.now();
    let mut filter = filter(&args.filter)?;
    if let Some(since) = args.since {
        filter = filter.since(since.before(now));
    }
    if let Some(until) = args.until {
        filter = filter.until(until.before(now));
    }
    if let Some(last) = args.last {
        filter = filter.last(last);
    }
    let read = log.records(&filter)?;
    print(context, &read.records, args.filter.public)?;
    damaged(read.damaged);
    Ok(())
}

fn tail(context: &Context, log: &Log, args: &Tail) -> Result<(), CliError> {
    let filter = filter(&args.filter)?;
    // From here on nothing is missed; what comes before the first look may be shown by both.
    let mut follow = log.follow()?;
    let read = log.records(&filter.clone().last(args.last))?;
    print(context, &read.records, args.filter.public)?;
    damaged(read.damaged);
    let shown = read.records.last().map_or(0, AuditRecord::number);
    if !args.follow {
        return Ok(());
    }
    loop {
        let mut read = follow.read()?;
        read.records.retain(|record| record.number() > shown && filter.admits(record));
        print(context, &read.records, args.filter.public)?;
        damaged(read.damaged);
        RealHost.sleep(TICK);
    }
}

fn verify(context: &Context, log: &Log, args: &Verify) -> Result<u8, CliError> {
    let mut options = VerifyOptions::new();
    for anchor in &args.anchor {
        options = options.anchor(*anchor);
    }
    if let Some(key) = &args.key_file {
        options = options.key_file(key);
    }
    if args.log_only {
        options = options.log_only();
    }
    let found = log.verify(&options)?;
    let status = if found.is_ok() { exit::DONE } else { exit::ERROR };
    if context.json {
        output::json(&json!({
            "ok": found.is_ok(),
            "problems": found.problems,
            "problemCount": found.problem_count,
            "notes": found.notes,
            "records": found.records,
            "files": found.files,
            "head": found.head.map(|head| head.to_string()),
        }))?;
        return Ok(status);
    }
    for problem in &found.problems {
        output::line(&printable(&problem.to_string()))?;
    }
    let more = found.problem_count - found.problems.len();
    if more > 0 {
        output::line(&format!("… and {more} more"))?;
    }
    found.notes.iter().for_each(|note| output::note(&printable(note)));
    let what = if found.is_ok() { "ok".to_owned() } else { counted(found.problem_count as u64, "problem") };
    output::line(&format!("{what}: {} in {}", counted(found.records, "record"), counted(found.files, "file")))?;
    Ok(status)
}

fn counted(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn head(context: &Context, log: &Log) -> Result<(), CliError> {
    let head = log.head()?;
    if context.json {
        let (number, chain) = (head.map(|head| head.number()), head.map(|head| head.chain()));
        return output::json(&json!({"number": number, "chain": chain, "anchor": head.map(|head| head.to_string())}));
    }
    let Some(head) = head else {
        output::note("nothing is recorded yet");
        return Ok(());
    };
    output::line(&head.to_string())
}

fn filter(args: &Filter) -> Result<AuditFilter, CliError> {
    let mut filter = AuditFilter::new();
    for glob in &args.path {
        filter = filter.path(glob)?;
    }
    filter = args.by.iter().fold(filter, AuditFilter::session);
    Ok(args.event.iter().fold(filter, AuditFilter::event))
}

fn print(context: &Context, records: &[AuditRecord], public: bool) -> Result<(), CliError> {
    for record in records {
        let public = public.then(|| record.for_remote());
        let record = public.as_ref().unwrap_or(record);
        if context.json {
            output::json(&record.to_json())?;
        } else {
            output::line(&record.to_string())?;
        }
    }
    Ok(())
}

fn damaged(lines: usize) {
    if lines > 0 {
        output::warning(&format!("{lines} lines are no records; `filelatch audit verify` says what is wrong"));
    }
}

/// Names in it may be anybody's.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

impl Moment {
    pub(crate) fn before(self, now: SystemTime) -> SystemTime {
        match self {
            Moment::At(at) => at.into(),
            Moment::Ago(time) => now.checked_sub(time).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}
