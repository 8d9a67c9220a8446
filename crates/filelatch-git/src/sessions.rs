//! The sessions of one repository: what every verb works with.

use std::path::Path;

use filelatch::Filelatch;

use crate::error::{Error, Result};
use crate::git::Git;
use crate::name;
use crate::place::Place;
use crate::record::{Record, Records};
use crate::repo::Repo;

/// The sessions of a repository: folders of their own, with branches of their own, on the same objects.
///
/// What they have apart: files, index, HEAD, the state of a merge or rebase. What they share: branches, tags, remotes, configuration, hooks,
/// stash (L54).
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(crate) repo: Repo,
    pub(crate) latch: Filelatch,
    pub(crate) place: Place,
    pub(crate) records: Records,
}

impl Sessions {
    /// Of the repository that a folder is in: the main working tree, a session, or a folder in one of them. `latch` says who asks, and which
    /// workspaces are trusted.
    pub fn open(dir: impl AsRef<Path>, latch: &Filelatch) -> Result<Sessions> {
        Sessions::open_with(Git::new(dir.as_ref()), latch)
    }

    /// With a git of another patience, in the folder that it is to be run in.
    pub fn open_with(git: Git, latch: &Filelatch) -> Result<Sessions> {
        let repo = Repo::open(git)?;
        let place = Place::find(&repo, latch)?;
        let records = Records::new(&repo.git, &repo.common, latch.session());
        Ok(Sessions { repo, latch: latch.clone(), place, records })
    }

    /// git in the main working tree.
    pub(crate) fn git(&self) -> &Git {
        &self.repo.git
    }

    /// The top of the main working tree.
    pub fn main(&self) -> &Path {
        &self.repo.main
    }

    /// The record of a session; an error when there is none.
    pub(crate) fn record(&self, name: &str) -> Result<Record> {
        name::check(name)?;
        self.records.read(name)?.ok_or_else(|| Error::NoSuchSession { name: name.to_owned() })
    }
}
