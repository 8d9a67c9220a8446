//! The line that says what a wait is for (LOCK-16): on a terminal kept up to date in place, else printed once.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::sync::Mutex;
use std::time::Duration;

use filelatch::{Holder, Waiting};

/// Tells of one wait. Dropped, it takes its line off a terminal again.
#[derive(Debug)]
pub(crate) struct WaitingLine {
    terminal: bool,
    told: Mutex<bool>,
}

impl WaitingLine {
    pub(crate) fn new() -> Self {
        WaitingLine { terminal: std::io::stderr().is_terminal(), told: Mutex::new(false) }
    }

    /// Called after 200 ms and then about once a second.
    pub(crate) fn tell(&self, waiting: &Waiting<'_>) {
        let Ok(mut told) = self.told.lock() else { return };
        if *told && !self.terminal {
            return;
        }
        let line = text(waiting);
        let line = if self.terminal { format!("\r\x1b[K{line}") } else { format!("{line}\n") };
        let mut out = std::io::stderr().lock();
        *told = out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_ok();
    }
}

impl Drop for WaitingLine {
    fn drop(&mut self) {
        if self.terminal && self.told.get_mut().is_ok_and(|told| *told) {
            std::io::stderr().write_all(b"\r\x1b[K").ok();
        }
    }
}

fn text(waiting: &Waiting<'_>) -> String {
    let mut line = format!("Waiting for `{}`: ", waiting.path.display());
    match waiting.holders {
        [] => line.push_str("held by a program that keeps no record"),
        [first, others @ ..] => {
            write!(line, "held {}", holder(first)).ok();
            if !others.is_empty() {
                write!(line, " and {} more", others.len()).ok();
            }
        }
    }
    line.push_str(". Ctrl-C gives up; nothing is lost.");
    line
}

/// `12s by pid 4211 (deploy.py) on build-3`.
pub(crate) fn holder(holder: &Holder) -> String {
    let mut text = holder.held_for.map(|time| format!("{} ", length(time))).unwrap_or_default();
    match (holder.pid, holder.purpose.as_ref().or(holder.program.as_ref())) {
        (Some(pid), Some(what)) => write!(text, "by pid {pid} ({what})"),
        (Some(pid), None) => write!(text, "by pid {pid}"),
        (None, _) => write!(text, "by a program that keeps no record"),
    }
    .ok();
    if let Some(host) = &holder.host {
        write!(text, " on {host}").ok();
    }
    text
}

/// `300ms`, `12s`, `3m20s`, `2h05m`.
pub(crate) fn length(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{}ms", time.as_millis()),
        secs @ 1..60 => format!("{secs}s"),
        secs @ 60..3600 => format!("{}m{:02}s", secs / 60, secs % 60),
        secs => format!("{}h{:02}m", secs / 3600, secs / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// LOCK-16: lengths of time as people read them.
    #[test]
    fn lengths() {
        let of = |ms| length(Duration::from_millis(ms));
        assert_eq!([of(300), of(12_900), of(200_000), of(7_500_000)], ["300ms", "12s", "3m20s", "2h05m"]);
    }
}
