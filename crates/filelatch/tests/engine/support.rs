//! Workers: this test binary started again, told what to do by a line of words, talking in lines that begin with `@`.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use filelatch::{Error, Filelatch, LatchFile, LockOptions, Wait, WriteOptions};

const ROLE: &str = "FILELATCH_TEST_ROLE";
/// Generous: only a hang ever takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The full set is wanted, not the quick one (`cargo xtask prove`).
pub(crate) fn is_full() -> bool {
    std::env::var_os("FILELATCH_FULL").is_some()
}

/// A worker process; killed when dropped.
pub(crate) struct Worker {
    pub(crate) child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// This binary as a worker, to be started by `wrap` (`setpriv …`), or directly if that is empty.
pub(crate) fn command(wrap: &[&str], role: &[&str]) -> Command {
    let exe = std::env::current_exe().unwrap();
    let mut command = match wrap {
        [] => Command::new(exe),
        [program, args @ ..] => {
            let mut command = Command::new(program);
            command.args(args).arg(exe);
            command
        }
    };
    command.args(["--exact", "support::worker", "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(ROLE, role.join("\u{1f}"));
    command
}

impl Worker {
    pub(crate) fn start(role: &[&str]) -> Worker {
        Worker::start_as(&[], role)
    }

    pub(crate) fn start_as(wrap: &[&str], role: &[&str]) -> Worker {
        let mut child =
            command(wrap, role).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Worker { child, input, output }
    }

    /// The next line the worker says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.output.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The test harness may have begun the line.
            if let Some((_, said)) = line.split_once('@') {
                return Some(said.trim_end_matches('\n').to_owned());
            }
        }
    }

    pub(crate) fn expect(&mut self, wanted: &str) {
        assert_eq!(self.hear().as_deref(), Some(wanted));
    }

    pub(crate) fn tell(&mut self, line: &str) {
        writeln!(self.input.as_mut().unwrap(), "{line}").unwrap();
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for its end, which must be a good one.
    pub(crate) fn finish(mut self) -> Vec<String> {
        drop(self.input.take());
        let mut said = Vec::new();
        while let Some(line) = self.hear() {
            said.push(line);
        }
        assert!(self.child.wait().unwrap().success(), "the worker failed after saying {said:?}");
        said
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

pub(crate) fn say(what: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "@{what}").unwrap();
    out.flush().unwrap();
}

pub(crate) fn hear() -> Option<String> {
    let mut line = String::new();
    (std::io::stdin().lock().read_line(&mut line).unwrap() > 0).then(|| line.trim_end().to_owned())
}

/// Waits for something that another thread or process is about to bring about.
#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::park_timeout(Duration::from_micros(300));
    }
}

pub(crate) fn engine() -> Filelatch {
    Filelatch::builder().without_workspaces().build()
}

pub(crate) fn file(path: &Path) -> LatchFile {
    engine().file(path).unwrap()
}

pub(crate) fn no_wait<'a>() -> LockOptions<'a> {
    LockOptions::new().wait(Wait::No)
}

pub(crate) fn waits<'a>(millis: u64) -> LockOptions<'a> {
    LockOptions::new().wait(Wait::For(Duration::from_millis(millis)))
}

/// The number in a file that counts.
pub(crate) fn count(path: &Path) -> u64 {
    std::fs::read_to_string(path).unwrap().trim().parse().unwrap()
}

pub(crate) fn increment(file: &LatchFile, options: &WriteOptions<'_>) -> Result<(), Error> {
    file.update_bytes(options, |old| {
        let n: u64 = old.map_or(0, |old| std::str::from_utf8(old).unwrap().trim().parse().unwrap());
        Ok::<_, Error>(Some(format!("{}\n", n + 1).into_bytes()))
    })
    .map(drop)
}

/// Names in a directory that are neither `known` nor lock files.
pub(crate) fn litter(dir: &Path, known: &[&str]) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| !known.contains(&name.as_str()) && name.strip_suffix(".lock").is_none())
        .collect();
    names.sort();
    names
}

#[cfg(target_os = "linux")]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says whether it went well, and if not why.
#[cfg(target_os = "linux")]
fn fine(work: impl FnOnce()) {
    let went = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    match went {
        Ok(()) => say("fine"),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            say(text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default().replace('\n', " "));
        }
    }
}

/// Body of every worker process.
#[test]
#[ignore = "started by other tests"]
#[expect(clippy::too_many_lines, reason = "one arm for each role")]
fn worker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let words: Vec<_> = role.split('\u{1f}').collect();
    match words[..] {
        // Holds the lock until told otherwise.
        ["hold", kind, path] => {
            let file = file(Path::new(path));
            let options = LockOptions::new().wait(Wait::Forever);
            if kind == "shared" {
                let guard = file.lock_shared(&options).unwrap();
                say("held");
                hear();
                guard.release();
            } else {
                let guard = file.lock(&options).unwrap();
                say("held");
                hear();
                guard.release();
            }
            say("released");
            hear();
        }
        // Tries once.
        ["try", kind, path] => {
            let file = file(Path::new(path));
            let (answer, warning) = if kind == "shared" {
                let got = file.lock_shared(&no_wait());
                let warning = got.as_ref().ok().and_then(|g| g.warning().map(str::to_owned));
                (got.map(drop), warning)
            } else {
                let got = file.lock(&no_wait());
                let warning = got.as_ref().ok().and_then(|g| g.warning().map(str::to_owned));
                (got.map(drop), warning)
            };
            match answer {
                Ok(()) => say(format!("got {}", warning.unwrap_or_default())),
                Err(e) => say(format!("{}: {e}", e.code())),
            }
        }
        ["count", path, times] => {
            let file = file(Path::new(path));
            let options = WriteOptions::new().durability(filelatch::Durability::None);
            for _ in 0..times.parse().unwrap() {
                increment(&file, &options).unwrap();
            }
        }
        #[cfg(target_os = "linux")]
        ["count-until-told", path] => super::doctor::count_until_told(path),
        ["audited", path, who, times] => super::audit::writes_of(path, who, times),
        #[cfg(feature = "store")]
        [role @ ("changes-writer" | "changes-updater" | "changes-rebuilder"), dir, name] => {
            match super::store_changes::worker(role, Path::new(dir), name) {
                Ok(()) => say("done"),
                Err(error) => say(error),
            }
        }
        ["audited-aloud", path] => super::audit::writes_aloud(path),
        ["keep-appending", path, who, times] => super::keep::appends(path, who, times),
        ["exclusion", path, inside, times] => super::locks::exclusion_worker(path, inside, times),
        ["write-loop", path, words] => super::publish::write_loop(Path::new(path), words, false),
        ["write-loop-in-place", path, words] => super::publish::write_loop(Path::new(path), words, true),
        ["hold-by-file", path] => super::fallback::hold(path),
        ["meet", path] => super::fallback::meets(path),
        ["count-by-file", path, times] => super::fallback::count(path, times),
        #[cfg(target_os = "linux")]
        ["fork", path] => super::fork::fork(path),
        #[cfg(target_os = "linux")]
        ["fork-with-records", path] => super::fork::fork_with_records(path),
        ["hold-records", path, records] => super::records::hold(path, records),
        ["exclude-records", path, seed] => super::records::exclude(path, seed),
        ["busy-with-records", path, records] => super::records::busy(path, records),
        #[cfg(target_os = "linux")]
        ["records-read-only", path] => super::records_beside::read_only(path),
        ["count-records", path, seed] => super::records::count_worker(path, seed),
        ["count-aloud", path] => {
            let file = file(Path::new(path));
            loop {
                increment(&file, &WriteOptions::new()).unwrap();
                say("counted");
            }
        }
        #[cfg(feature = "store")]
        ["write-records", path, layout, me] => super::store_repository_model::writes_records(path, layout, me),
        ["many-aloud", dir, who, names] => super::many::appends_to_all(Path::new(dir), who, names),
        ["edit-own-line", path, key, times] => super::merging::edit_own_line(path, key, times),
        ["opposite", runtime, first, second] => super::deadlock::opposite(runtime, first, second),
        ["reachable"] => say("reachable"),
        #[cfg(target_os = "linux")]
        ["full-disk", dir] => fine(|| super::privileged::full_disk_worker(Path::new(dir))),
        #[cfg(target_os = "linux")]
        ["full-disk-in-place", dir] => fine(|| super::privileged::full_disk_in_place_worker(Path::new(dir))),
        #[cfg(target_os = "linux")]
        ["kept-on-another-disk", dir] => fine(|| super::privileged::kept_on_another_disk_worker(Path::new(dir))),
        #[cfg(target_os = "linux")]
        ["bound", dir] => fine(|| super::privileged::bound_worker(Path::new(dir))),
        #[cfg(target_os = "linux")]
        ["doctor", dir, fs_type, level] => fine(|| super::privileged::doctor_worker(Path::new(dir), fs_type, level)),
        #[cfg(target_os = "linux")]
        ["no-rights", dir, code] => fine(|| super::privileged::no_rights_worker(Path::new(dir), code)),
        #[cfg(target_os = "linux")]
        ["fair-reader", path, log, me] => super::fairness::reader(Path::new(path), Path::new(log), me),
        #[cfg(target_os = "linux")]
        ["fair-taker", path, log, me] => super::fairness::taker(Path::new(path), Path::new(log), me),
        #[cfg(feature = "watch")]
        ["write-as", path, session] => super::watching::write_as(Path::new(path), session),
        #[cfg(feature = "watch")]
        ["watch-named", dir, name] => super::watching_again::watch_named(Path::new(dir), name),
        #[cfg(feature = "watch")]
        ["live-count", path, key, times] => super::live::count_field(path, key, times),
        #[cfg(feature = "store")]
        ["refresh", path, how] => super::store_credentials::refreshes(path, how),
        #[cfg(feature = "store")]
        ["make-tokens", path, count] => super::store_tokens::makes(path, count),
        #[cfg(feature = "store")]
        ["queue-run", path, log] => super::store_queue::run(path, log),
        #[cfg(feature = "store")]
        ["queue-one", path, lease] => super::store_queue::one(path, lease),
        #[cfg(all(feature = "store", unix))]
        ["queue-child", path] => super::store_queue::child(path),
        ["lease", path, hold] => super::leases::holder(path, hold),
        ["lease-race", path, rounds] => super::leases::racer(path, rounds),
        #[cfg(target_os = "linux")]
        ["leaks", path] => super::locks::leaks(path),
        ["write", path, text] => match file(Path::new(path)).write(text.as_bytes(), &WriteOptions::new()) {
            Ok(written) => say(format!("{} {:?}", written.outcome, written.notices)),
            Err(e) => say(format!("{}: {e}", e.code())),
        },
        ["create", path, me] => {
            let file = file(Path::new(path));
            say("ready");
            hear();
            let options = WriteOptions::new().expect(filelatch::Expect::Absent);
            match file.write(me.as_bytes(), &options) {
                Ok(_) => say("won"),
                Err(e) => say(e.code()),
            }
        }
        _ => panic!("no such role: {words:?}"),
    }
}
