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
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use filelatch::{BaseSource, Expect, Version};

use crate::error::Error;
use crate::git::Git;

/// Different contents that are looked at, the newest first.
const CONTENTS: usize = 200;
/// Contents that are longer are no versions of files that are merged.
const LONGEST: u64 = 256 << 20;
/// All of it takes no longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// The repository that a file is in, if it is in one.
#[derive(Debug)]
pub struct GitHistory;

impl BaseSource for GitHistory {
    fn name(&self) -> String {
        "git's index and history".to_owned()
    }

    fn find(&self, path: &Path, wanted: &Expect) -> Result<Option<Vec<u8>>, String> {
        let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else { return Ok(None) };
        // What is only looked for is not waited for.
        let git = Git::new(dir).global("--literal-pathspecs").patience(Duration::ZERO).limit(PATIENCE);
        let deadline = git.host.monotonic().saturating_add(PATIENCE);
        let mut ids = Ids::default();
        let index = [OsStr::new("ls-files"), "-s".as_ref(), "-z".as_ref(), "--".as_ref(), name];
        for entry in ask(&git, index)?.split(|b| *b == 0) {
            // `MODE ID STAGE\tPATH`
            ids.extend(entry.split(u8::is_ascii_whitespace).nth(1));
        }
        let log =
            ["log", "--format=", "--raw", "--no-abbrev", "--no-renames", "--no-show-signature", "-m", "-n", "200"];
        let log = log.iter().map(OsStr::new).chain(["--".as_ref(), name]);
        let left = deadline.saturating_sub(git.host.monotonic());
        let git = git.limit(left);
        // A repository without a commit has no history.
        let history = ask(&git, log).or_else(|e| if ids.seen.is_empty() { Err(e) } else { Ok(Vec::new()) })?;
        for line in history.split(|b| *b == b'\n').filter_map(|line| line.strip_prefix(b":")) {
            // `:OLDMODE NEWMODE OLD NEW STATUS\tPATH`
            let mut words = line.split(u8::is_ascii_whitespace).skip(2);
            let (old, new) = (words.next(), words.next());
            ids.extend(new);
            ids.extend(old);
        }
        contents(&git, &ids.list, wanted, deadline)
    }
}

/// What git prints.
fn ask<'a>(git: &Git, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<Vec<u8>, String> {
    let told = git.run(arguments).map_err(|error| error.to_string())?;
    if told.is_ok() {
        return Ok(told.out);
    }
    match told.reason() {
        text if text.starts_with("not a git repository") => Err("the file is in no repository".to_owned()),
        text => Err(text),
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

/// Does `work` on a child's output; ends the child when that takes too long.
fn within<T: Send + 'static>(
    git: &Git,
    deadline: Duration,
    child: &mut Child,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    let (send, receive) = mpsc::channel();
    let told = git.host.spawn("filelatch-git", 128 << 10, Box::new(move || drop(send.send(work()))));
    let left = deadline.saturating_sub(git.host.monotonic());
    let done = told.is_ok().then(|| receive.recv_timeout(left).ok()).flatten();
    child.kill().ok();
    child.wait().ok();
    done.ok_or_else(|| format!("git took longer than {} s", PATIENCE.as_secs()))
}

/// The first of these contents that is wanted.
fn contents(git: &Git, ids: &[Vec<u8>], wanted: &Expect, deadline: Duration) -> Result<Option<Vec<u8>>, String> {
    if ids.is_empty() {
        return Ok(None);
    }
    let mut command = git.command(["cat-file", "--batch"]);
    command.stdin(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|source| Error::NotRun { source }.to_string())?;
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let asked: Vec<u8> = ids.iter().flat_map(|id| [id, &b"\n"[..]].concat()).collect();
    let wanted = wanted.clone();
    let (Some(mut input), Some(output)) = (input, output) else { return Ok(None) };
    // A few kilobytes: git reads them before it stops to write.
    let write = move || drop(input.write_all(&asked));
    git.host.spawn("filelatch-git", 128 << 10, Box::new(write)).map_err(|e| e.to_string())?;
    let found = within(git, deadline, &mut child, move || search(&mut BufReader::new(output), &wanted))?;
    found.map_err(|e| format!("git's answer can't be read: {e}"))
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
