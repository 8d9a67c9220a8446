//! Generated files: written for somebody, and removed with him (STORE-9).
//!
//! A program that makes files for a session (a configuration, an index, a key) leaves them behind when it is killed, overwrites what somebody has
//! put right by hand, or touches files that did not change and so makes builds run. Here a file is published for an owner; the register in
//! `.filelatch/stores/generated.json` knows what is whose and which version it was.
//!
//! # Promise
//! - A file that is generated is whole: it is published as every file is. One that has the content already is not touched: same inode, same
//!   times.
//! - **Nothing generated is forgotten**: the register says so, durably, before the file or a folder for it is made. Killed anywhere, the next
//!   [`Generated::remove`] finds it.
//! - **Nothing is removed that is not as it was generated.** What somebody has edited or put in its place is left, or kept as a version
//!   first, and named. The file is renamed away and looked at before it goes, so one that is edited in that moment is put back.
//! - A path has one owner. Another is refused; so is a file that was there before or was edited, unless the caller says to replace it.
//! - A removal that was interrupted is gone on with by the next one.
//! - Folders that were made for generated files go when they are empty.
//!
//! # Non-promise
//! - Only files in the workspace. A symbolic link is followed when it is published, as always, and is not removed.
//! - A program that has the file open while it is removed writes to nobody.
//! - A folder that somebody else makes in the moment in which it is made here counts as made here; it goes only if it is empty.
//! - Rights: who may write the workspace can change the register. It has checksums against damage, not against people.
//!
//! # Order of operations
//! Publish, under the record lock of the path in the register: look at the file → register → folders → file.
//! Remove, under the record locks of all paths of the owner: for each file, under its lock: rename away → look → remove → sync the folder;
//! then empty folders and the register, in one step.

mod publish;
mod register;
mod remove;

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub use publish::{PublishOptions, Published};
pub use register::Owner;
pub use remove::{Removal, RemoveOptions};

use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::store::{OwnStore, StoreError};
use crate::version::Version;
use register::Rows;

/// The generated files of a workspace. From [`Filelatch::generated`].
#[derive(Clone, Debug)]
pub struct Generated {
    latch: Filelatch,
    /// The workspace's folder.
    root: PathBuf,
    register: PathBuf,
}

/// How a generated file is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeneratedState {
    /// As it was generated.
    AsGenerated,
    /// Somebody has changed it since, or put something else there.
    Edited,
    /// It is not there: somebody has removed it, or its writer was interrupted.
    Missing,
}

impl GeneratedState {
    /// A stable word for programs.
    pub fn code(self) -> &'static str {
        match self {
            GeneratedState::AsGenerated => "as-generated",
            GeneratedState::Edited => "edited",
            GeneratedState::Missing => "missing",
        }
    }
}

/// A generated file, as the register has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GeneratedFile {
    /// Relative to the workspace's folder.
    pub path: PathBuf,
    /// For whom.
    pub owner: Owner,
    /// What was generated.
    pub version: Version,
    /// When.
    pub at: SystemTime,
    /// It is for its user's eyes only.
    pub private: bool,
    /// How it is now.
    pub state: GeneratedState,
}

impl Filelatch {
    /// The generated files of the workspace that a directory belongs to.
    ///
    /// # Errors
    /// [`Error::NoWorkspace`].
    pub fn generated(&self, dir: impl AsRef<Path>) -> Result<Generated> {
        let dir = dir.as_ref();
        let register = self.own_store(dir, OwnStore::Generated, false)?;
        let root = self.workspace_of(dir)?;
        let root = root.ok_or_else(|| Error::NoWorkspace {
            path: dir.to_owned(),
            without: "there is no list of generated files",
        })?;
        Ok(Generated { latch: self.clone(), root, register })
    }
}

impl Generated {
    /// The workspace's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The register's file. It need not exist.
    pub fn path(&self) -> &Path {
        &self.register
    }

    /// All generated files, or those of one owner, by path; how they are is looked at now.
    pub fn list(&self, owner: Option<&Owner>) -> Result<Vec<GeneratedFile>> {
        let Some(rows) = self.rows()? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for (path, row) in rows.files {
            if owner.is_some_and(|owner| row.owner != *owner) {
                continue;
            }
            let found = self.version_at(&path, row.private)?;
            let state = match found {
                Found::Missing => GeneratedState::Missing,
                Found::Version(version) if row.versions.contains(&version) => GeneratedState::AsGenerated,
                Found::Version(_) | Found::Other => GeneratedState::Edited,
            };
            let Some(&version) = row.versions.first() else { continue };
            all.push(GeneratedFile { path, owner: row.owner, version, at: row.at, private: row.private, state });
        }
        Ok(all)
    }

    /// All owners that have files.
    pub fn owners(&self) -> Result<Vec<Owner>> {
        let mut owners: Vec<_> =
            self.rows()?.into_iter().flat_map(|rows| rows.files.into_values()).map(|row| row.owner).collect();
        owners.sort();
        owners.dedup();
        Ok(owners)
    }

    /// `None`: nothing was ever generated.
    fn rows(&self) -> Result<Option<Rows>> {
        let file = match self.latch.file(&self.register) {
            // Its folder is not there yet.
            Err(error) if is_missing(&error) => return Ok(None),
            file => file?,
        };
        let Some(read) = file.try_read()? else { return Ok(None) };
        Rows::parse(read.bytes()).map(Some).map_err(|source| self.wrong(source))
    }

    fn wrong(&self, source: StoreError) -> Error {
        Error::Store { path: self.register.clone(), source }
    }

    /// The register, to be changed.
    fn open_register(&self) -> Result<LatchFile> {
        self.latch.own_store(&self.root, OwnStore::Generated, true)?;
        self.latch.file(&self.register)
    }

    /// What is at a path now.
    fn version_at(&self, path: &Path, private: bool) -> Result<Found> {
        match self.handle(path, private)? {
            Handle::Missing => Ok(Found::Missing),
            Handle::Other => Ok(Found::Other),
            Handle::File(file) => found(file.try_read().map(|read| read.map(|read| read.version()))),
        }
    }

    fn handle(&self, path: &Path, private: bool) -> Result<Handle> {
        let full = self.root.join(path);
        let opened = if private { self.latch.private_file(&full) } else { self.latch.file(&full) };
        match opened {
            Err(error) if is_missing(&error) => Ok(Handle::Missing),
            Err(Error::NotAFile { .. }) => Ok(Handle::Other),
            Err(error) => Err(error),
            // A link that leads elsewhere, in its place or on the way there.
            Ok(file) if file.canonical_path() != full => Ok(Handle::Other),
            Ok(file) => Ok(Handle::File(Box::new(file))),
        }
    }
}

/// Is there no such file, or no folder for it?
fn is_missing(error: &Error) -> bool {
    match error {
        Error::NotFound { .. } => true,
        Error::Io { source, .. } => matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        _ => false,
    }
}

enum Handle {
    /// Its folder is gone.
    Missing,
    /// Not the file.
    Other,
    File(Box<LatchFile>),
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Missing,
    Version(Version),
    /// No file, or one that may not be read here.
    Other,
}

fn found(read: Result<Option<Version>>) -> Result<Found> {
    match read {
        Ok(Some(version)) => Ok(Found::Version(version)),
        Ok(None) | Err(Error::NotFound { .. }) => Ok(Found::Missing),
        Err(
            Error::NotAFile { .. }
            | Error::TooLarge { .. }
            | Error::Store { source: StoreError::NotPrivate { .. }, .. },
        ) => Ok(Found::Other),
        Err(error) => Err(error),
    }
}
