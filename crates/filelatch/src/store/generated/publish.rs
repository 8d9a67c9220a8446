//! Publishing a generated file.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::register::{Owner, Row, Rows};
use super::{Found, Generated, is_missing};
use crate::error::{Error, Result};
use crate::file::{LatchFile, WriteOptions};
use crate::lock::LockOptions;
use crate::policy::Strategy;
use crate::store::StoreError;
use crate::version::{Expect, Version};
use crate::workspace::WORKSPACE_DIR;
use crate::write::{Durability, Notice};
use crate::write_path::Outcome;

/// How to publish a generated file.
#[derive(Clone, Debug, Default)]
pub struct PublishOptions<'a> {
    /// Only its user may open it (0600), and nothing of its content is kept.
    pub private: bool,
    /// Replace also what somebody has edited, or what was there before. It is kept as a version where the workspace keeps versions.
    pub replace: bool,
    /// What the file has survived when this returns; else as the policy says. The register is always durable.
    pub durability: Option<Durability>,
    /// How to wait for locks.
    pub lock: LockOptions<'a>,
}

impl<'a> PublishOptions<'a> {
    /// Open as other files are, and nothing is replaced that was not generated.
    pub fn new() -> Self {
        PublishOptions::default()
    }

    /// For its user's eyes only.
    #[must_use]
    pub fn private(mut self, private: bool) -> Self {
        self.private = private;
        self
    }

    /// Replace what was not generated, too.
    #[must_use]
    pub fn replace(mut self, replace: bool) -> Self {
        self.replace = replace;
        self
    }

    /// What the file has survived when this returns.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// How to wait for locks.
    #[must_use]
    pub fn lock(mut self, lock: LockOptions<'a>) -> Self {
        self.lock = lock;
        self
    }
}

/// A generated file that is in place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Published {
    /// Relative to the workspace's folder.
    pub path: PathBuf,
    /// What it is.
    pub version: Version,
    /// Written, or unchanged: then it was not touched.
    pub outcome: Outcome,
    /// What there is to know besides.
    pub notices: Vec<Notice>,
}

impl Generated {
    /// Generates a file for an owner. A file that has the content already is not touched. Missing folders are made.
    ///
    /// # Errors
    /// [`StoreError::Exists`]: the path is another owner's, or there is a file that was not generated. [`StoreError::Edited`]: somebody has
    /// changed it since. Both unless told to replace, which never takes another owner's. [`StoreError::Invalid`]: it is not in the workspace.
    /// Nothing was changed then.
    pub fn publish(
        &self,
        owner: &Owner,
        path: impl AsRef<Path>,
        bytes: &[u8],
        options: &PublishOptions<'_>,
    ) -> Result<Published> {
        let relative = self.inside(path.as_ref())?;
        let version = Version::of(bytes);
        let register = self.open_register()?;
        let name = record_name(&relative);
        let guard = register.lock_record(&name, &options.lock)?;

        // Under the lock of the path its row is ours alone.
        let row = self.rows()?.and_then(|mut rows| rows.files.remove(&relative));
        let current = self.version_at(&relative, options.private)?;
        let owns = self.check(owner, &relative, row.as_ref(), current, options)?;
        let is_there = current == Found::Version(version);
        let wanted = Row {
            owner: owner.clone(),
            versions: match current {
                // Until the new one is written it may be that.
                Found::Version(old) if owns && old != version => vec![version, old],
                _ => vec![version],
            },
            at: self.latch.parts().host.now(),
            private: options.private,
        };
        let is_known = row.is_some_and(|row| {
            row.versions.first() == Some(&version) && row.private == options.private && row.owner == *owner
        });
        if !(is_known && is_there) {
            let writing = WriteOptions::new().durability(Durability::Full).lock(options.lock.clone());
            guard.update_bytes(&writing, |old| {
                let mut rows = match old {
                    Some(old) => Rows::parse(old).map_err(|source| self.wrong(source))?,
                    None => Rows::default(),
                };
                rows.folders.extend(self.missing_folders(&relative)?);
                rows.files.insert(relative.clone(), wanted);
                let bytes = rows.write(&*self.latch.parts().host).map_err(|source| self.wrong(source))?;
                Ok::<_, Error>(Some(bytes))
            })?;
        }
        if is_known && is_there {
            return Ok(Published { path: relative, version, outcome: Outcome::Unchanged, notices: Vec::new() });
        }
        let file = self.file_to_write(&relative, options.private)?;
        let mut writing = WriteOptions::new().strategy(Strategy::FailFast).lock(options.lock.clone());
        writing.durability = options.durability;
        writing.expect = match current {
            _ if options.replace => Expect::Any,
            Found::Version(current) => Expect::Version(current),
            _ => Expect::Absent,
        };
        let written = file.write(bytes, &writing)?;
        Ok(Published { path: relative, version, outcome: written.outcome, notices: written.notices })
    }

    /// True: what is there was generated for this owner.
    fn check(
        &self,
        owner: &Owner,
        relative: &Path,
        row: Option<&Row>,
        current: Found,
        options: &PublishOptions<'_>,
    ) -> Result<bool> {
        let shown = relative.display();
        if let Some(row) = row.filter(|row| row.owner != *owner) {
            let id = format!("{shown} (of {})", row.owner);
            return Err(self.wrong(StoreError::Exists { what: "generated file of another owner", id }));
        }
        match (current, row) {
            (Found::Missing, _) => Ok(false),
            (Found::Version(version), Some(row)) if row.versions.contains(&version) => Ok(true),
            (Found::Version(_), _) if options.replace => Ok(false),
            (_, Some(_)) => Err(self.wrong(StoreError::Edited { path: relative.to_owned() })),
            (_, None) => {
                let what = "file that was not generated";
                Err(self.wrong(StoreError::Exists { what, id: shown.to_string() }))
            }
        }
    }

    fn file_to_write(&self, relative: &Path, private: bool) -> Result<LatchFile> {
        let full = self.root.join(relative);
        let open = self.latch.file_with_dirs(&full)?;
        if !private {
            return Ok(open);
        }
        self.latch.private_file(&full)
    }

    /// The path relative to the workspace, with links followed.
    fn inside(&self, path: &Path) -> Result<PathBuf> {
        let fs = &self.latch.parts().fs;
        let invalid = |problem: &str, hint: &str| {
            self.wrong(StoreError::Invalid {
                problem: format!("`{}` {problem}", path.display()),
                hint: hint.to_owned(),
            })
        };
        let full = match self.latch.file(path) {
            Ok(file) => file.canonical_path().to_owned(),
            Err(error) if is_missing(&error) => {
                // Its folders are not there yet.
                let mut there = path.parent().unwrap_or(Path::new(""));
                let found = loop {
                    let at = if there.as_os_str().is_empty() { Path::new(".") } else { there };
                    match fs.canonicalize(at) {
                        Ok(found) => break found,
                        Err(e) if e.kind() == io::ErrorKind::NotFound && at == there => {}
                        Err(e) => return Err(Error::io("find", at, e)),
                    }
                    there = there.parent().unwrap_or(Path::new(""));
                };
                let rest = path.strip_prefix(there).unwrap_or(path);
                if !rest.components().all(|part| matches!(part, Component::Normal(_))) {
                    return Err(invalid("goes through folders that are not there", "name it without `..`"));
                }
                found.join(rest)
            }
            Err(error) => return Err(error),
        };
        match full.strip_prefix(&self.root) {
            Ok(relative) if relative.starts_with(WORKSPACE_DIR) => Err(invalid(
                "lies in the folder of the workspace itself",
                "choose a path outside it, or open the workspace that the file is in",
            )),
            Ok(relative) => Ok(relative.to_owned()),
            Err(_) => Err(invalid("is not in the workspace", "only files in the workspace are generated")),
        }
    }

    /// The folders of a file that are not there, the outermost last.
    fn missing_folders(&self, relative: &Path) -> Result<Vec<PathBuf>> {
        let mut missing = Vec::new();
        for folder in relative.ancestors().skip(1).filter(|folder| !folder.as_os_str().is_empty()) {
            let full = self.root.join(folder);
            match self.latch.parts().fs.stat(&full) {
                Ok(_) => break,
                Err(e) if e.kind() == io::ErrorKind::NotFound => missing.push(folder.to_owned()),
                Err(e) => return Err(Error::io("look for", full, e)),
            }
        }
        Ok(missing)
    }
}

/// The name of the lock of a path in the register.
pub(super) fn record_name(relative: &Path) -> String {
    relative.to_string_lossy().into_owned()
}
