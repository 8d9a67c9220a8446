//! The three contents of a merge.
#![expect(
    clippy::disallowed_methods,
    reason = "git's temporary files, pipes and devices, which the library does not take; what is replaced goes through the library"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use filelatch::merge::{self, MergeOptions, Merged};
use filelatch::{Error, LatchFile};

use crate::context::Context;
use crate::render::CliError;

/// Larger inputs are refused: a merge is made in memory.
const LIMIT: u64 = 1 << 30;

/// What was read.
pub(super) struct Inputs<'a> {
    pub(super) base: Vec<u8>,
    pub(super) ours: Vec<u8>,
    pub(super) theirs: Vec<u8>,
    /// Base, ours, theirs.
    paths: [&'a Path; 3],
}

impl<'a> Inputs<'a> {
    /// Base, ours, theirs.
    pub(super) fn read(paths: [&'a Path; 3]) -> Result<Self, CliError> {
        let [base, ours, theirs] = paths;
        Ok(Inputs { base: read(base)?, ours: read(ours)?, theirs: read(theirs)?, paths })
    }

    pub(super) fn merge(&self, options: &MergeOptions) -> Merged {
        merge::merge(&self.base, &self.ours, &self.theirs, options)
    }

    /// What was read from this file, if it is one of the inputs.
    pub(super) fn of_file(&self, context: &Context, file: &LatchFile) -> Option<&[u8]> {
        let contents = [&self.base, &self.ours, &self.theirs];
        let is_it = |path: &Path| context.latch.file(path).is_ok_and(|input| input.id() == file.id());
        let found = self.paths.iter().position(|path| is_it(path))?;
        Some(contents[found])
    }
}

/// A file, a pipe or a device.
fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    let fail = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => {
            let message = format!("`{}` does not exist", path.display());
            CliError::own("not-found", message).hint("nothing was merged; where there was no base, /dev/null is one")
        }
        _ => Error::Io { action: "read", path: path.to_owned(), source }.into(),
    };
    if path.is_dir() {
        return Err(Error::NotAFile { path: path.to_owned(), what: "a directory" }.into());
    }
    let mut file = File::open(path).map_err(fail)?;
    let size = file.metadata().map_err(fail)?.len();
    // One more than there is: the end is found without a second allocation.
    let mut bytes = Vec::with_capacity(usize::try_from(size.min(LIMIT)).unwrap_or_default() + 1);
    (&mut file).take(LIMIT + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LIMIT {
        return Err(Error::TooLarge { path: path.to_owned(), limit: LIMIT }.into());
    }
    Ok(bytes)
}

/// Is this something that is written to and not replaced?
pub(super) fn is_stream(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir())
}

/// To write to it.
pub(super) fn open_stream(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).open(path)
}

/// Overwrites git's own temporary file, which nobody else knows: the name and the mode stay.
pub(super) fn overwrite(path: &Path, content: &[u8]) -> Result<(), CliError> {
    let fail = |source| Error::Io { action: "write the result into", path: path.to_owned(), source };
    let mut file = OpenOptions::new().write(true).truncate(true).open(path).map_err(fail)?;
    file.write_all(content).map_err(fail)?;
    Ok(())
}
