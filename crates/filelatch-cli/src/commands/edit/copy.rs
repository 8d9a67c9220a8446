//! The private copy that the editor works on.
#![expect(
    clippy::disallowed_methods,
    reason = "a file of the user's own in a private folder, which an editor changes as it likes; the library only replaces files"
)]

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::env;
use crate::output;
use crate::render::CliError;

/// A file in a folder of its own, with the name of the file that is edited: editors tell from it what they show.
#[derive(Debug)]
pub(super) struct Copy {
    dir: PathBuf,
    path: PathBuf,
    first: Vec<u8>,
    /// Ctrl-C ends this process.
    ends: Arc<AtomicBool>,
}

impl Copy {
    pub(super) fn make(file: &Path, bytes: &[u8]) -> Result<Copy, CliError> {
        let fail = |e| CliError::own("io", format!("cannot make a copy to edit: {e}")).hint("nothing was changed");
        let dir = env::private_dir("filelatch-edit").map_err(fail)?;
        let path = dir.join(file.file_name().unwrap_or(OsStr::new("text")));
        let ends = Arc::new(AtomicBool::new(true));
        #[cfg(unix)]
        crate::signals::end_if(&ends).map_err(fail)?;
        let copy = Copy { dir, path, first: bytes.to_vec(), ends };
        if let Err(error) = copy.put(bytes) {
            copy.remove();
            return Err(error);
        }
        Ok(copy)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Replaces its content.
    pub(super) fn put(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let put = options.open(&self.path).and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
        put.map_err(|e| CliError::own("io", format!("cannot write `{}`: {e}", self.path.display())))
    }

    /// Runs the editor, and reads what it left.
    pub(super) fn edit(&self) -> Result<Vec<u8>, CliError> {
        let editor = env::editor();
        // Ctrl-C is the editor's business while it runs.
        self.ends.store(false, Ordering::Relaxed);
        let status = start(&editor, &self.path);
        self.ends.store(true, Ordering::Relaxed);
        let text = fs::read(&self.path);
        let name = editor.to_string_lossy();
        Err(match (status, text) {
            (Ok(status), Ok(text)) if status.success() => return Ok(text),
            (Ok(status), Err(e)) if status.success() => {
                self.ended(&format!("the copy `{}` can't be read: {e}", self.path.display()))
            }
            (Ok(status), _) => self.ended(&format!("the editor `{name}` failed: {status}")),
            (Err(e), _) => self
                .ended(&format!("the editor `{name}` can't be run: {e}"))
                .hint("set VISUAL or EDITOR to the command that starts your editor"),
        })
    }

    /// Nothing was written; the copy stays if somebody has changed it.
    fn ended(&self, what: &str) -> CliError {
        let error = CliError::own("editor", what.to_owned()).hint("nothing was written");
        match fs::read(&self.path) {
            Ok(text) if text == self.first => {
                self.remove();
                error
            }
            Ok(_) => error.hint(format!("your text is in `{}`", self.path.display())),
            Err(_) => error.hint(format!("what the editor left is in `{}`", self.dir.display())),
        }
    }

    /// Removes the copy and what the editor has left beside it, if that is only its own (backups, swap files): the folder stays when
    /// something can't be removed.
    pub(super) fn remove(&self) {
        if fs::remove_dir_all(&self.dir).is_err() {
            output::note(&format!("the copy in `{}` could not be removed", self.dir.display()));
        }
    }
}

/// The words of the editor's command are the shell's to understand, as git has it.
#[cfg(unix)]
fn start(editor: &OsStr, path: &Path) -> std::io::Result<ExitStatus> {
    let mut line = OsString::from(editor);
    line.push(" \"$@\"");
    Command::new("/bin/sh").arg("-c").arg(line).arg(editor).arg(path).status()
}

/// A program, or a program and its arguments with blanks between.
#[cfg(not(unix))]
fn start(editor: &OsStr, path: &Path) -> std::io::Result<ExitStatus> {
    let whole = Path::new(editor);
    if whole.is_file() {
        return Command::new(whole).arg(path).status();
    }
    let text = OsString::from(editor).to_string_lossy().into_owned();
    let mut words = text.split_whitespace();
    let program = words.next().unwrap_or("notepad");
    Command::new(program).args(words).arg(path).status()
}
