//! Groups of sessions (STORE-4).
//!
//! A group is a name for several sessions that belong together: the reviewers, those who work on a release. A session may be in any number of
//! groups. It is told by its name, and need not exist: that of a git worktree, or any name that somebody writes as. A group stays when
//! its last session leaves, and a session's end takes it out of no group.
//!
//! Groups lie in `.filelatch/stores/groups.json`, a [`Repository`], for all sessions of the workspace.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::StoreError;
use super::own::OwnCollection;
use super::place::OwnStore;
use super::repository::{Record, Repository, Survey};
use super::stamp;
use crate::engine::Filelatch;
use crate::error::{Error, Result};
use crate::lock::LockOptions;

/// Longest name of a session, in bytes.
const LONGEST: usize = 256;

/// Sessions that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Its name: any text of up to 256 bytes without control characters.
    pub name: String,
    /// What it is for.
    pub note: Option<String>,
    /// Who is in it, by name.
    pub members: Vec<Member>,
    /// Who made it.
    pub created_by: String,
    /// When; `None`: what is stored is no point in time.
    pub created_at: Option<SystemTime>,
}

/// A session in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Its name.
    pub session: String,
    /// When it joined; `None`: what is stored is no point in time.
    pub joined_at: Option<SystemTime>,
}

/// The groups of a workspace, from [`Filelatch::groups`].
#[derive(Clone, Debug)]
pub struct Groups {
    own: OwnCollection,
}

/// As it is stored.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    members: BTreeMap<String, StoredMember>,
    created_by: String,
    #[serde(with = "stamp")]
    created_at: Option<SystemTime>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredMember {
    #[serde(with = "stamp")]
    joined_at: Option<SystemTime>,
}

impl Filelatch {
    /// The groups of sessions in the workspace of a directory; [`Error::NoWorkspace`] if there is none.
    pub fn groups(&self, dir: impl AsRef<Path>) -> Result<Groups> {
        Ok(Groups { own: OwnCollection::open(self, dir.as_ref().to_owned(), OwnStore::Groups)? })
    }
}

impl Groups {
    /// The file they are in; it need not exist.
    pub fn path(&self) -> Result<PathBuf> {
        self.own.path()
    }

    /// All groups, by name.
    pub fn list(&self) -> Result<Vec<Group>> {
        match self.own.existing::<Stored>()? {
            Some(stored) => Ok(stored.list()?.into_iter().map(Group::of).collect()),
            None => Ok(Vec::new()),
        }
    }

    /// The groups that can be read, by name, and the names of the others, with the reason.
    pub fn survey(&self) -> Result<Survey<Group>> {
        match self.own.existing::<Stored>()? {
            Some(stored) => Ok(stored.survey()?.map(Group::of)),
            None => Ok(Survey::default()),
        }
    }

    /// The group of this name.
    pub fn get(&self, name: &str) -> Result<Group> {
        let found = match self.own.existing::<Stored>()? {
            Some(stored) => stored.find(name)?,
            None => None,
        };
        found.map(Group::of).ok_or_else(|| self.missing(name))
    }

    /// The groups that a session is in, by name.
    pub fn of_session(&self, session: &str) -> Result<Vec<Group>> {
        let mut groups = self.list()?;
        groups.retain(|group| group.members.iter().any(|member| member.session == session));
        Ok(groups)
    }

    /// Makes a group with nobody in it; a name that is taken is an error.
    pub fn create(&self, name: &str, note: Option<&str>, lock: &LockOptions<'_>) -> Result<Group> {
        let parts = self.own.latch.parts();
        let stored = Stored {
            note: note.map(str::to_owned),
            members: BTreeMap::new(),
            created_by: parts.session.clone(),
            created_at: Some(parts.host.now()),
        };
        let groups: Repository<Stored> = self.own.made()?;
        groups.modify_with(lock, |records| {
            if records.exists(name)? {
                return Err(self.refused(StoreError::Exists { what: "group", id: name.to_owned() }));
            }
            records.insert(name, &stored)
        })?;
        Ok(Group::from_stored(name.to_owned(), stored))
    }

    /// Adds a session to a group, which must exist. False: it was in it before, since when it joined.
    pub fn join(&self, name: &str, session: &str, lock: &LockOptions<'_>) -> Result<bool> {
        if !(1..=LONGEST).contains(&session.len()) || session.chars().any(char::is_control) {
            let problem = format!("`{}` can't be the name of a session", session.escape_debug());
            let hint = format!("a name has 1 to {LONGEST} bytes and no control characters");
            return Err(self.refused(StoreError::Invalid { problem, hint }));
        }
        let joined_at = Some(self.own.latch.parts().host.now());
        self.change(name, lock, |group| {
            let is_new = !group.members.contains_key(session);
            if is_new {
                group.members.insert(session.to_owned(), StoredMember { joined_at });
            }
            is_new
        })
    }

    /// Takes a session out of a group, which must exist. False: it was not in it.
    pub fn leave(&self, name: &str, session: &str, lock: &LockOptions<'_>) -> Result<bool> {
        self.change(name, lock, |group| group.members.remove(session).is_some())
    }

    /// Deletes a group, whoever is in it; it is an error if there is none.
    pub fn delete(&self, name: &str, lock: &LockOptions<'_>) -> Result<()> {
        let Some(groups) = self.own.existing::<Stored>()? else { return Err(self.missing(name)) };
        let (_, found) = groups.modify_with(lock, |records| records.delete(name))?;
        if found { Ok(()) } else { Err(self.missing(name)) }
    }

    /// `change` answers whether it has changed the group.
    fn change(&self, name: &str, lock: &LockOptions<'_>, change: impl Fn(&mut Stored) -> bool) -> Result<bool> {
        let Some(groups) = self.own.existing::<Stored>()? else { return Err(self.missing(name)) };
        let (_, changed) = groups.modify_with(lock, |records| {
            if !records.exists(name)? {
                return Err(self.missing(name));
            }
            records.update(name, |group| Ok(change(group)))
        })?;
        Ok(changed)
    }

    fn missing(&self, name: &str) -> Error {
        self.refused(StoreError::NotFound { what: "group", id: name.to_owned() })
    }

    fn refused(&self, source: StoreError) -> Error {
        Error::Store { path: self.own.path().unwrap_or_else(|_| self.own.dir.clone()), source }
    }
}

impl Group {
    fn of(record: Record<Stored>) -> Group {
        Group::from_stored(record.id, record.value)
    }

    fn from_stored(name: String, stored: Stored) -> Group {
        let Stored { note, members, created_by, created_at } = stored;
        let member = |(session, StoredMember { joined_at })| Member { session, joined_at };
        let members = members.into_iter().map(member).collect();
        Group { name, note, members, created_by, created_at }
    }
}
