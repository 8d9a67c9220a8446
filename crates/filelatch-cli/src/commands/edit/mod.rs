//! `filelatch edit`: an editor on a private copy, and a merge on save.
//!
//! # Promise
//! The user's text is in the file, or in a stored conflict, or in the copy, and where it is is told. The copy is removed only when its
//! text is in the file, or the user has decided against it and it is stored, or nothing was changed.
//!
//! # Order of operations
//! read → copy → editor → compare the copy with what was read → write with that as the base (merged by the library, under the lock) → on a
//! conflict ask, and again. No lock is held while the user edits or is asked.

mod copy;

use std::io::{self, BufRead, IsTerminal, Write};

use filelatch::merge::{self, ConflictStyle, Markers};
use filelatch::{Conflict, Error, Expect, LatchFile, Resolution, Snapshot, Strategy, Version, WriteOptions, Written};

use self::copy::Copy;
use crate::args_conflicts::Edit;
use crate::context::{Context, with_waiting};
use crate::output;
use crate::render::CliError;

/// Markers get so long at most where the text itself has lines that look like some.
const LONGEST_MARKER: usize = 100;

pub(crate) fn edit(context: &Context, args: &Edit) -> Result<(), CliError> {
    let file = context.file(&args.file)?;
    context.check_held(&file, None, true)?;
    let seen = file.try_read()?;
    let before = seen.as_ref().map_or(&[][..], Snapshot::bytes);
    let copy = Copy::make(file.canonical_path(), before)?;
    let mut session =
        Session { context, args, file: &file, copy, base: seen.as_ref().map(|seen| seen.bytes().to_vec()), open: None };
    let text = session.copy.edit()?;
    if text == before {
        session.copy.remove();
        output::note("nothing was changed, so nothing was written");
        return unchanged(context, &file, seen.as_ref());
    }
    session.save(text)
}

/// What is told when the editor changed nothing.
fn unchanged(context: &Context, file: &LatchFile, seen: Option<&Snapshot>) -> Result<(), CliError> {
    let hash = seen.map(|seen| seen.version().to_string());
    if context.json {
        let path = output::path(file.path());
        return output::json(&serde_json::json!(
            {"success": true, "path": path, "hash": hash, "outcome": "unchanged", "notices": []}
        ));
    }
    hash.map_or(Ok(()), |hash| output::line(&hash))
}

struct Session<'a> {
    context: &'a Context,
    args: &'a Edit,
    file: &'a LatchFile,
    copy: Copy,
    /// What the text was made from; `None`: there was no file.
    base: Option<Vec<u8>>,
    /// The stored conflict of the last try.
    open: Option<String>,
}

/// What the user wants.
enum Choice {
    Mine,
    Theirs,
    Again,
    Stop,
}

impl Session<'_> {
    /// Brings the text into the file, however often the user has to be asked.
    fn save(&mut self, mut text: Vec<u8>) -> Result<(), CliError> {
        loop {
            let conflict = match self.write(&text) {
                Ok(written) => {
                    self.close(&text, &written);
                    self.copy.remove();
                    return output::written(self.file, &written, self.context.json);
                }
                Err(Error::Conflict(conflict)) => conflict,
                Err(e) => return Err(self.kept(e.into())),
            };
            if let Some(id) = conflict.unmerged.as_ref().and_then(|unmerged| unmerged.id.clone()) {
                self.open = Some(id);
            }
            match self.ask(&conflict) {
                Choice::Stop => return Err(self.kept(Error::Conflict(conflict).into())),
                Choice::Theirs => return self.give_up(),
                // What was met is what the text replaces.
                Choice::Mine => self.base = self.read()?,
                Choice::Again => text = self.again(&text)?,
            }
        }
    }

    fn write(&self, text: &[u8]) -> Result<Written, Error> {
        let expect = self.base.as_ref().map_or(Expect::Absent, |base| Expect::Version(Version::of(base)));
        with_waiting(self.args.writing.waiting.wait(), |lock| {
            let mut options = WriteOptions::new().strategy(Strategy::Merge).expect(expect).lock(lock);
            options.base = self.base.as_deref().map(Into::into);
            options.durability = self.args.writing.durability;
            self.file.write(text, &options)
        })
    }

    fn read(&self) -> Result<Option<Vec<u8>>, CliError> {
        let now = self.file.try_read().map_err(|e| self.kept(e.into()))?;
        Ok(now.map(|now| now.bytes().to_vec()))
    }

    /// The stored conflict of an earlier try is settled by what was written now.
    fn close(&mut self, text: &[u8], written: &Written) {
        let (Some(id), Some(version)) = (self.open.take(), written.version) else { return };
        let now = self.file.read().ok().filter(|now| now.version() == version);
        let content = now.map_or_else(|| text.to_vec(), |now| now.bytes().to_vec());
        // For this version only: if somebody has written since, it stays open, and is told of by `status`.
        let options = WriteOptions::new().expect(Expect::Version(version));
        self.file.resolve(&id, &Resolution::Content(content), &options).ok();
    }

    /// The user keeps what is in the file.
    fn give_up(&mut self) -> Result<(), CliError> {
        let stored = self
            .open
            .take()
            .is_some_and(|id| self.file.resolve(&id, &Resolution::Theirs, &WriteOptions::new()).is_ok());
        if stored {
            self.copy.remove();
        } else {
            output::note(&format!("your text is in `{}`", self.copy.path().display()));
        }
        output::note("the file was left as it is");
        let now = self.file.try_read()?;
        unchanged(self.context, self.file, now.as_ref())
    }

    /// Lets the user edit what was brought together, with markers around the rest.
    fn again(&mut self, text: &[u8]) -> Result<Vec<u8>, CliError> {
        let theirs = self.read()?;
        let Some(now) = &theirs else {
            // There is nothing to merge with: the text alone.
            self.base = theirs;
            return self.copy.edit();
        };
        let options = self.context.latch.merge_options(self.file.canonical_path()).map_err(|e| self.kept(e.into()))?;
        let merged = merge::merge(self.base.as_deref().unwrap_or_default(), text, now, &options);
        let size = marker_size([text, now]);
        let labels = ["mine".to_owned(), "as it was".to_owned(), "theirs".to_owned()];
        let shown = merged.render(&Markers { style: ConflictStyle::Diff3, size, labels });
        let shown = merged.content().unwrap_or(shown);
        self.copy.put(&shown).map_err(|e| self.kept(e))?;
        self.base = theirs;
        loop {
            let text = self.copy.edit()?;
            let Some(line) = first_marker(&text, size) else { return Ok(text) };
            output::warning(&format!("there is still a marker in line {line}"));
            if !matches!(prompt("[e]dit again, or [q]uit without writing?", "eq"), Some('e')) {
                let error = CliError::own("conflict", "the text still has markers; nothing was written");
                return Err(self.kept(error));
            }
        }
    }

    fn ask(&self, conflict: &Conflict) -> Choice {
        let can_ask = !self.context.json && io::stdin().is_terminal() && io::stderr().is_terminal();
        if !can_ask {
            return Choice::Stop;
        }
        output::warning(&conflict.to_string());
        output::note(&format!("your text is in `{}`", self.copy.path().display()));
        let question = "keep [m]ine, keep [t]heirs, [e]dit again with both, or [q]uit without writing?";
        match prompt(question, "mteq") {
            Some('m') => Choice::Mine,
            Some('t') => Choice::Theirs,
            Some('e') => Choice::Again,
            _ => Choice::Stop,
        }
    }

    /// The error, and where the text is.
    fn kept(&self, error: CliError) -> CliError {
        output::note(&format!("your text is in `{}`", self.copy.path().display()));
        error
    }
}

/// One of these letters; `None`: no answer is to be had.
fn prompt(question: &str, letters: &str) -> Option<char> {
    loop {
        let mut out = io::stderr().lock();
        write!(out, "{question} ").and_then(|()| out.flush()).ok()?;
        drop(out);
        let mut line = String::new();
        if io::stdin().lock().read_line(&mut line).ok()? == 0 {
            return None;
        }
        let letter = line.trim().chars().next().map(|c| c.to_ascii_lowercase());
        if let Some(letter) = letter.filter(|letter| letters.contains(*letter)) {
            return Some(letter);
        }
    }
}

/// So long that no line of the contents looks like a marker.
fn marker_size(contents: [&[u8]; 2]) -> usize {
    let longest = contents.iter().flat_map(|bytes| bytes.split(|b| *b == b'\n')).map(run).max().unwrap_or_default();
    if longest < 7 { 7 } else { (longest + 1).min(LONGEST_MARKER) }
}

fn run(line: &[u8]) -> usize {
    match line.first() {
        Some(mark @ (b'<' | b'|' | b'=' | b'>')) => line.iter().take_while(|b| *b == mark).count(),
        _ => 0,
    }
}

/// The number of the first line that is a marker.
fn first_marker(bytes: &[u8], size: usize) -> Option<usize> {
    let is_marker = |line: &[u8]| run(line) == size && matches!(line.get(size), None | Some(b' ' | b'\r'));
    bytes.split(|b| *b == b'\n').position(is_marker).map(|line| line + 1)
}
