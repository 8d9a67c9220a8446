//! `filelatch watch`: one line for each change.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};

use filelatch::Error;
use filelatch::watch::{Change, ChangeKind, Event, Mode, Origin, Polling, Resumed, Watch, WatchOptions};
use filelatch_fs::{FileId, Fs, Host, RealFs, RealHost, Stat};
use serde_json::{Value, json};

use crate::args_watch;
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

/// Why the main thread wakes.
enum Wake {
    /// There is something to read.
    Event,
    /// Somebody wants it to end, or nobody reads what it says.
    End,
}

pub(crate) fn watch(context: &Context, args: &args_watch::Watch) -> Result<u8, CliError> {
    let (tell, wakes) = sync_channel(16);
    // Before anything is said: whoever has read `ready` may send a signal.
    end_on_signals(&tell)?;
    let watch = context.latch.watch(&args.paths, &options(args)).map_err(|error| match error {
        Error::NotFound { .. } => {
            let hint = "check the path; `--allow-missing` watches for its creation";
            CliError::own(error.code(), error.to_string()).hint(hint)
        }
        other => other.into(),
    })?;
    end_with_reader(&tell);
    // If there is no room, it is going to wake.
    let listening = watch.on_event(move || drop(tell.try_send(Wake::Event)));
    let result = ready(context, args, &watch).and_then(|()| lines(context, args, &watch, &wakes));
    drop(listening);
    // Saves the state.
    drop(watch);
    result
}

fn options(args: &args_watch::Watch) -> WatchOptions {
    let mut options = WatchOptions::new()
        .recursive(!args.no_recursive)
        .version_control(args.version_control)
        .missing(args.allow_missing);
    for glob in &args.ignore {
        options = options.ignore(glob);
    }
    match args.poll {
        None => {}
        Some(None) => options = options.polling(Polling::Always(None)),
        Some(Some(pause)) => options = options.polling(Polling::Always(Some(pause))),
    }
    if let Some(name) = &args.resume {
        options = options.resume(name);
    }
    options
}

/// Prints until it is over.
fn lines(context: &Context, args: &args_watch::Watch, watch: &Watch, wakes: &Receiver<Wake>) -> Result<u8, CliError> {
    let until = args.timeout.map(|time| RealHost.monotonic().saturating_add(time));
    let mut left = if args.once { Some(1) } else { args.count };
    let reader = args.since.map(|since| watch.reader(Some(since)));
    let said = Said::new();
    loop {
        loop {
            let next = match &reader {
                Some(reader) => reader.next(Some(std::time::Duration::ZERO)),
                None => watch.next(Some(std::time::Duration::ZERO)),
            };
            let event = match next {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(problem) if watch.is_alive() => {
                    output::warning(&problem.to_string());
                    continue;
                }
                Err(end) => return Err(end.into()),
            };
            if let Event::Change(change) = &event {
                if !is_wanted(context, args, change) || said.is(&change.path) {
                    continue;
                }
                left = left.map(|left| left - 1);
            }
            if context.json {
                output::json(&to_json(context, &event))?;
            } else {
                output::line(&text(&event))?;
            }
            if left == Some(0) {
                return Ok(exit::DONE);
            }
        }
        let woken = match until {
            None => wakes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(until) => wakes.recv_timeout(until.saturating_sub(RealHost.monotonic())),
        };
        match woken {
            Ok(Wake::Event) => {}
            Ok(Wake::End) | Err(RecvTimeoutError::Disconnected) => return Ok(exit::DONE),
            Err(RecvTimeoutError::Timeout) => return Ok(if left.is_some() { exit::NO_LOCK } else { exit::DONE }),
        }
    }
}

fn is_wanted(context: &Context, args: &args_watch::Watch, change: &Change) -> bool {
    match &change.origin {
        Origin::External | Origin::Unknown => true,
        Origin::Own => !args.external_only && !args.not_own,
        Origin::Session(_) if args.external_only => false,
        Origin::Session(_) => !args.not_own || !change.origin.is_session(context.latch.session()),
    }
}

fn ready(context: &Context, args: &args_watch::Watch, watch: &Watch) -> Result<(), CliError> {
    let (mode, why) = match watch.mode() {
        Mode::Events => ("events", None),
        Mode::Polling { why, interval } => ("polling", Some((why, interval))),
    };
    let resumed = match watch.resumed() {
        Resumed::Yes { after_kill: false } => "yes",
        Resumed::Yes { .. } => "after-kill",
        Resumed::Unusable { .. } => "unusable",
        _ => "no",
    };
    if let Resumed::Unusable { why } = watch.resumed() {
        output::warning(&format!("the state of the last watch is of no use: {why}"));
    }
    if context.json {
        let paths: Vec<_> = args.paths.iter().map(|path| output::path(path)).collect();
        return output::json(&json!({
            "kind": "ready",
            "paths": paths,
            "mode": mode,
            "why": why.as_ref().map(|(why, _)| why.word()),
            "intervalMs": why.as_ref().map(|(_, interval)| u64::try_from(interval.as_millis()).unwrap_or(u64::MAX)),
            "resumed": resumed,
            "cursor": watch.cursor().to_string(),
        }));
    }
    output::note(&match why {
        None => "watching; Ctrl-C ends it".to_owned(),
        Some((why, interval)) => {
            format!("watching by looking every {}: {why}; Ctrl-C ends it", crate::waiting::length(interval))
        }
    });
    Ok(())
}

/// The files that this command's own output goes to: each line that tells of them would make another one.
struct Said(Vec<FileId>);

impl Said {
    fn new() -> Said {
        let files = [1, 2].into_iter().filter_map(|number| RealFs.inherited(number).ok()?.stat().ok());
        Said(files.filter(Stat::is_file).map(|stat| stat.id).collect())
    }

    fn is(&self, path: &Path) -> bool {
        !self.0.is_empty() && RealFs.stat(path).is_ok_and(|stat| self.0.contains(&stat.id))
    }
}

/// What this command's own session did is not another's.
fn origin<'a>(context: &Context, origin: &'a Origin) -> &'a str {
    if origin.is_session(context.latch.session()) { Origin::Own.word() } else { origin.word() }
}

fn to_json(context: &Context, event: &Event) -> Value {
    match event {
        Event::Change(change) => {
            let mut object = json!({
                "kind": change.kind.word(),
                "path": output::path(&change.path),
                "hash": change.version.map(|version| version.to_string()),
                "size": change.size,
                "origin": origin(context, &change.origin),
                "by": by(&change.origin),
                "at": output::time(change.at),
                "cursor": change.cursor.to_string(),
            });
            if let ChangeKind::Renamed { from } = &change.kind {
                object["from"] = output::path(from);
            }
            object
        }
        Event::Rescanned { cursor, path, cause } => json!({
            "kind": "rescanned",
            "path": output::path(path),
            "cause": cause.word(),
            "cursor": cursor.to_string(),
        }),
        Event::Reset { cursor } => json!({"kind": "reset", "cursor": cursor.to_string()}),
    }
}

fn by(origin: &Origin) -> Option<&str> {
    if let Origin::Session(name) = origin { Some(name) } else { None }
}

fn text(event: &Event) -> String {
    match event {
        Event::Change(change) => {
            let hash = change.version.map_or_else(|| "-".to_owned(), |version| version.short());
            let origin = by(&change.origin)
                .map_or_else(|| change.origin.word().to_owned(), |name| format!("by {}", one_line(name)));
            let path = shown(&change.path);
            match &change.kind {
                ChangeKind::Renamed { from } => format!("renamed   {} -> {path}  {hash}  {origin}", shown(from)),
                kind => format!("{:8}  {path}  {hash}  {origin}", kind.word()),
            }
        }
        Event::Rescanned { path, cause, .. } => format!("rescanned {}  {}", shown(path), cause.word()),
        Event::Reset { .. } => "reset".to_owned(),
    }
}

fn shown(path: &Path) -> String {
    one_line(&path.to_string_lossy())
}

/// Names may hold line ends, and what a terminal takes for orders.
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { line.extend(c.escape_default()) } else { line.push(c) }
    }
    line
}

#[cfg(unix)]
fn end_on_signals(tell: &SyncSender<Wake>) -> Result<(), CliError> {
    let failed = |e| CliError::own("io", format!("cannot handle signals: {e}"));
    let tell = tell.clone();
    // A second one ends it at once.
    crate::signals::on_wish_to_end(move || drop(tell.send(Wake::End))).map_err(failed)
}

#[cfg(not(unix))]
fn end_on_signals(_: &SyncSender<Wake>) -> Result<(), CliError> {
    Ok(())
}

/// Ends when nobody reads any more, also while there is nothing to say.
#[cfg(unix)]
fn end_with_reader(tell: &SyncSender<Wake>) {
    use rustix::event::{PollFd, PollFlags, poll};

    let tell = tell.clone();
    let wait = move || {
        let out = std::io::stdout();
        let mut fds = [PollFd::new(&out, PollFlags::empty())];
        loop {
            match poll(&mut fds, None) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) if fds[0].revents().contains(PollFlags::ERR) => {
                    tell.send(Wake::End).ok();
                    return;
                }
                // A system that does not tell: the next line does.
                Ok(_) | Err(_) => return,
            }
        }
    };
    // Without the thread it ends with the next line.
    std::thread::Builder::new().name("reader".to_owned()).spawn(wait).ok();
}

#[cfg(not(unix))]
fn end_with_reader(_: &SyncSender<Wake>) {
    // It ends with the next line.
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WATCH-1: a change stays one line, and a name gives the terminal no orders.
    #[test]
    fn names_on_one_line() {
        assert_eq!(one_line("a\nb\u{1b}[2Jé"), "a\\nb\\u{1b}[2Jé");
    }
}
