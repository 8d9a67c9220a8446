//! The version on disk, as read under the lock.

use std::io;

use filelatch_fs::fs::read_to_end;
use filelatch_fs::{Access, FileKind, FsFile, Stat, Timestamp};

use super::attribution::{self, Attribution, Author, Mark};
use crate::error::{Error, Result};
use crate::path::Place;
use crate::version::Version;

/// An open version: what it was when it was read.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) file: Box<dyn FsFile>,
    pub(crate) stat: Stat,
    /// What it says about its writer, whether or not that is still true of the bytes.
    pub(crate) attribution: Option<Attribution>,
}

/// Opens the file; `None` when it does not exist.
pub(crate) fn open(place: &Place) -> Result<Option<Current>> {
    let fail = |e| Error::io("read", &place.spelled, e);
    let file = match place.dir.open(&place.name, Access::Read) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => {
            return Err(place
                .dir
                .stat(&place.name)
                .map_or(None, |stat| no_file(place, stat.kind))
                .unwrap_or_else(|| fail(e)));
        }
    };
    let stat = file.stat().map_err(fail)?;
    if let Some(error) = no_file(place, stat.kind) {
        return Err(error);
    }
    let attribution = match attribution::read(&*file).map_err(fail)? {
        Mark::By(attribution) => Some(attribution),
        Mark::None | Mark::Preparing => None,
    };
    Ok(Some(Current { file, stat, attribution }))
}

/// Looks whether there is such a file, without opening it.
pub(crate) fn exists(place: &Place) -> Result<bool> {
    match place.dir.stat(&place.name) {
        Ok(stat) => no_file(place, stat.kind).map_or(Ok(true), Err),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io("look at", &place.spelled, e)),
    }
}

fn no_file(place: &Place, kind: FileKind) -> Option<Error> {
    let what = match kind {
        FileKind::File => return None,
        FileKind::Dir => "a directory",
        FileKind::Symlink => "a symbolic link by now",
        FileKind::Other => "a FIFO, socket or device",
    };
    Some(Error::NotAFile { path: place.spelled.clone(), what })
}

impl Current {
    /// The bytes as they are now.
    pub(crate) fn read(&self, place: &Place, limit: u64) -> Result<Vec<u8>> {
        read_to_end(&*self.file, limit).map_err(|e| match e.kind() {
            io::ErrorKind::FileTooLarge => Error::TooLarge { path: place.spelled.clone(), limit },
            _ => Error::io("read", &place.spelled, e),
        })
    }

    /// Who wrote bytes of this version.
    pub(crate) fn author(&self, version: &Version) -> Author {
        match &self.attribution {
            Some(attribution) if attribution.is_of(version) => Author::Session(attribution.session.clone()),
            Some(_) => Author::External,
            None => match self.file.list_xattrs() {
                Ok(_) => Author::External,
                Err(_) => Author::Unknown,
            },
        }
    }

    /// When bytes of this version were written.
    pub(crate) fn written_at(&self, version: &Version) -> std::time::SystemTime {
        match &self.attribution {
            Some(attribution) if attribution.is_of(version) => attribution.at,
            _ => Timestamp::to_system_time(self.stat.mtime),
        }
    }
}
