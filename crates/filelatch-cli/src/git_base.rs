//! Former versions of a file from git: what a writer's content was made from, when it must be merged (MERGE-3).
//!
//! # Promise
//! Looks at the versions of the file in the index and in the newest commits of HEAD that touched it, and answers the one whose hash is
//! wanted. Takes none of git's locks (L53), asks nobody for a password, fetches nothing, changes nothing, and ends within a time limit.
//!
//! git's own hashes are of other kinds, so each candidate is read and hashed. Where git turns line ends (`core.autocrlf`), the file may have
//! a version with CR LF of what git keeps with LF: both are tried. Other filters are not run.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use filelatch::{BaseSource, Expect, Version};

/// Different contents that are looked at, the newest first.
const CONTENTS: usize = 200;
/// Contents that are longer are no versions of files that are merged.
const LONGEST: u64 = 256 << 20;
/// All of it takes no longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The repository that a file is in, if it is in one.
#[derive(Debug)]
pub(crate) struct GitHistory;

impl BaseSource for GitHistory {
    fn name(&self) -> String {
        "git's index and history".to_owned()
    }

    fn find(&self, path: &Path, wanted: &Expect) -> Result<Option<Vec<u8>>, String> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        let deadline = deadline();
        let mut ids = Ids::default();
        let index = [OsStr::new("ls-files"), "-s".as_ref(), "-z".as_ref(), "--".as_ref(), name];
        for entry in ask(dir, index, deadline)?.split(|b| *b == 0) {
            // `MODE ID STAGE\tPATH`
            ids.extend(entry.split(u8::is_ascii_whitespace).nth(1));
        }
        let log =
            ["log", "--format=", "--raw", "--no-abbrev", "--no-renames", "--no-show-signature", "-m", "-n", "200"];
        let log = log.iter().map(OsStr::new).chain(["--".as_ref(), name]);
        // A repository without a commit has no history.
        let history = ask(dir, log, deadline).or_else(|e| if ids.seen.is_empty() { Err(e) } else { Ok(Vec::new()) })?;
        for line in history.split(|b| *b == b'\n').filter_map(|line| line.strip_prefix(b":")) {
            // `:OLDMODE NEWMODE OLD NEW STATUS\tPATH`
            let mut words = line.split(u8::is_ascii_whitespace).skip(2);
            let (old, new) = (words.next(), words.next());
            ids.extend(new);
            ids.extend(old);
        }
        contents(dir, &ids.list, wanted, deadline)
    }
}

/// What git calls contents, each once.
#[derive(Default)]
struct Ids {
    seen: HashSet<Vec<u8>>,
    list: Vec<Vec<u8>>,
}

impl Ids {
    fn extend(&mut self, id: Option<&[u8]>) {
        let Some(id) = id.filter(|id| matches!(id.len(), 40 | 64) && id.iter().all(u8::is_ascii_hexdigit)) else {
            return;
        };
        // A content that is not there is all zeros.
        if self.list.len() < CONTENTS && id.iter().any(|b| *b != b'0') && self.seen.insert(id.to_vec()) {
            self.list.push(id.to_vec());
        }
    }
}

fn git<'a>(dir: &Path, arguments: impl IntoIterator<Item = &'a OsStr>) -> Command {
    let mut command = Command::new("git");
    command.arg("--literal-pathspecs").arg("-C").arg(dir);
    command.args(["-c", "core.fsmonitor=false"]).args(arguments);
    let quiet = [("GIT_OPTIONAL_LOCKS", "0"), ("GIT_NO_LAZY_FETCH", "1"), ("GIT_TERMINAL_PROMPT", "0")];
    command.envs(quiet).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn start(mut command: Command) -> Result<Child, String> {
    command.spawn().map_err(|e| match e.kind() {
        io::ErrorKind::NotFound => "git is not installed".to_owned(),
        _ => format!("git can't be run: {e}"),
    })
}

/// What git prints.
fn ask<'a>(dir: &Path, arguments: impl IntoIterator<Item = &'a OsStr>, deadline: Instant) -> Result<Vec<u8>, String> {
    let mut child = start(git(dir, arguments))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let told = thread::spawn(move || read(err, 1 << 16));
    let printed = within(deadline, &mut child, move || read(out, 64 << 20))?;
    let status = child.wait().map_err(|e| format!("git can't be waited for: {e}"))?;
    if status.success() {
        return Ok(printed);
    }
    let told = told.join().unwrap_or_default();
    let told = String::from_utf8_lossy(&told);
    let line = told.lines().next().unwrap_or_default();
    match line.strip_prefix("fatal: ").unwrap_or(line) {
        text if text.starts_with("not a git repository") => Err("the file is in no repository".to_owned()),
        "" => Err(format!("git failed: {status}")),
        text => Err(text.to_owned()),
    }
}

fn read(from: Option<impl Read>, limit: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What is longer, or can't be read, is as good as not there.
        from.take(limit).read_to_end(&mut bytes).ok();
    }
    bytes
}

/// Runs `work` on the child's output; ends the child when that takes too long.
fn within<T: Send + 'static>(
    deadline: Instant,
    child: &mut Child,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || send.send(work()).ok());
    let left = deadline.saturating_duration_since(now());
    receive.recv_timeout(left).map_err(|_| {
        child.kill().ok();
        child.wait().ok();
        format!("git took longer than {} s", PATIENCE.as_secs())
    })
}

#[expect(clippy::disallowed_methods, reason = "how long git is waited for is the command line's own business")]
fn now() -> Instant {
    Instant::now()
}

fn deadline() -> Instant {
    now() + PATIENCE
}

/// The first of these contents that is wanted.
fn contents(dir: &Path, ids: &[Vec<u8>], wanted: &Expect, deadline: Instant) -> Result<Option<Vec<u8>>, String> {
    if ids.is_empty() {
        return Ok(None);
    }
    let mut command = git(dir, ["cat-file", "--batch"].map(OsStr::new));
    let mut child = start({
        command.stdin(Stdio::piped()).stderr(Stdio::null());
        command
    })?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let asked: Vec<u8> = ids.iter().flat_map(|id| [id, &b"\n"[..]].concat()).collect();
    let wanted = wanted.clone();
    let (Some(mut input), Some(output)) = (input, output) else { return Ok(None) };
    // A few kilobytes: git reads them before it stops to write.
    let writer = thread::spawn(move || input.write_all(&asked));
    let found = within(deadline, &mut child, move || search(&mut BufReader::new(output), &wanted));
    child.kill().ok();
    child.wait().ok();
    writer.join().ok();
    found?.map_err(|e| format!("git's answer can't be read: {e}"))
}

/// Answers of `git cat-file --batch`: `ID blob SIZE`, a line end, the content, a line end.
fn search(answers: &mut impl BufRead, wanted: &Expect) -> io::Result<Option<Vec<u8>>> {
    let mut line = String::new();
    loop {
        line.clear();
        if answers.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let words: Vec<_> = line.split_whitespace().collect();
        let [_, kind, size] = words[..] else { continue };
        let Ok(size) = size.parse::<u64>() else { continue };
        if kind != "blob" || size > LONGEST {
            io::copy(&mut answers.by_ref().take(size + 1), &mut io::sink())?;
            continue;
        }
        let mut content = Vec::new();
        answers.by_ref().take(size + 1).read_to_end(&mut content)?;
        content.truncate(usize::try_from(size).unwrap_or_default());
        for content in [Some(content.clone()), with_crlf(&content)].into_iter().flatten() {
            if wanted.admits(Some(&Version::of(&content))) {
                return Ok(Some(content));
            }
        }
    }
}

/// The content with CR LF, if all its line ends are LF.
fn with_crlf(content: &[u8]) -> Option<Vec<u8>> {
    if content.contains(&b'\r') || !content.contains(&b'\n') {
        return None;
    }
    let mut turned = Vec::with_capacity(content.len() + content.len() / 16);
    for &byte in content {
        turned.extend((byte == b'\n').then_some(b'\r'));
        turned.push(byte);
    }
    Some(turned)
}
