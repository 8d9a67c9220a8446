//! Collections of which a workspace has one.

use std::path::PathBuf;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::place::OwnStore;
use super::repository::{Repository, RepositoryOptions};
use crate::engine::Filelatch;
use crate::error::{Error, Result};

/// A collection in `.filelatch/stores` of the workspace of a folder.
#[derive(Clone, Debug)]
pub(super) struct OwnCollection {
    pub(super) latch: Filelatch,
    pub(super) dir: PathBuf,
    store: OwnStore,
}

impl OwnCollection {
    /// It is an error if the folder is in no workspace.
    pub(super) fn open(latch: &Filelatch, dir: PathBuf, store: OwnStore) -> Result<Self> {
        latch.own_store(&dir, store, false)?;
        Ok(OwnCollection { latch: latch.clone(), dir, store })
    }

    /// Where it lies; it need not exist.
    pub(super) fn path(&self) -> Result<PathBuf> {
        self.latch.own_store(&self.dir, self.store, false)
    }

    /// To be read; `None`: not even its folder is there.
    pub(super) fn existing<T: Serialize + DeserializeOwned>(&self) -> Result<Option<Repository<T>>> {
        match Repository::open(&self.latch, self.path()?, &RepositoryOptions::collection()) {
            Err(Error::Io { action: "find", source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some),
        }
    }

    /// To be changed.
    pub(super) fn made<T: Serialize + DeserializeOwned>(&self) -> Result<Repository<T>> {
        let path = self.latch.own_store(&self.dir, self.store, true)?;
        Repository::open(&self.latch, path, &RepositoryOptions::collection())
    }
}
