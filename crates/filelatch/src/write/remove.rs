//! Removing a file, as careful as replacing it: what goes is looked at (P5).
//!
//! # Promise
//! The name is gone, and what it stood for is a kept version, or removed where none are kept; or it is there, and nothing was changed.
//! Bytes that a program which ignores locks had finished writing are never lost (VER-11).
//!
//! # Order of operations
//! Still the bytes that were compared? → the name becomes a temporary one, replacing nothing → look at what came along → keep it or remove it →
//! fsync of the directory. What turns out to be foreign gets its name back; if that is taken again by then, both stay.
//!
//! Killed before the look, the file stays under the temporary name; the sweep finds it and keeps it unless it is provably an old version
//! of ours.

use std::io;
use std::path::PathBuf;

use super::attribution::Attribution;
use super::current::Current;
use super::options::{Durability, Notice};
use super::publish::{Base, Displaced, Publisher, has_bytes};
use crate::error::{Error, Result};
use crate::keep::publish::{Moved, New, not_kept};
use crate::path::temp_name;
use crate::snapshot::Content;

impl Publisher<'_> {
    /// Removes the file, which must still be this version.
    pub(crate) fn remove(&self, old: &Current, content: &Content) -> Result<Vec<Notice>> {
        let (dir, name) = (&*self.place.dir, self.place.name.as_os_str());
        let fail = |action, e| Error::io(action, &self.place.spelled, e);
        let base = Base::Bytes(old, content);
        self.still_locked()?;
        self.check_fence()?;
        let same = match dir.stat(name) {
            Ok(stat) => stat.id == old.stat.id && has_bytes(&*old.file, &content.bytes).map_err(|e| fail("read", e))?,
            Err(e) if e.kind() == io::ErrorKind::NotFound => false,
            Err(e) => return Err(fail("look at", e)),
        };
        if !same {
            return Err(self.conflict(&base, None)?);
        }
        let aside = temp_name(&self.place.name, self.parts.host.pid(), self.parts.host.random());
        let beside = || -> PathBuf { dir.path().join(&aside) };
        #[cfg(feature = "watch")]
        let removing = self.parts.own_writes.begin_removal(&self.place.id);
        match dir.rename_new(name, &aside) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Err(self.conflict(&base, None)?),
            // Some systems report an error for what they did all the same (L29).
            Err(_) if dir.stat(name).is_err() && dir.stat(&aside).is_ok_and(|stat| stat.id == old.stat.id) => {}
            Err(e) => return Err(fail("remove", e)),
        }
        let mut notices = Vec::new();
        let looked = dir.stat(&aside).and_then(|stat| self.examine(stat.id, old, &content.bytes));
        match looked {
            Ok(Displaced::AsCompared) => {
                let new = Attribution::new(old.attribution.as_ref(), &content.version(), self.parts.host.now(), "");
                let marks = old.attribution.is_some() || old.file.list_xattrs().is_ok();
                let kept = self.keeping.as_ref().map(|keeping| {
                    let new = New { attribution: &new, marks };
                    keeping.displaced(dir, &aside, old, Some(content.version()), new)
                });
                match kept {
                    Some(Ok(Moved::Away)) => {}
                    Some(Ok(Moved::Copied)) | None => drop(dir.remove(&aside).ok()),
                    Some(Err(e)) => {
                        notices.push(not_kept(&e));
                        dir.remove(&aside).ok();
                    }
                }
            }
            Ok(Displaced::LateWriter) => notices.push(Notice::LateWriter { kept: beside() }),
            Ok(Displaced::Foreign) => {
                let kept = match dir.rename_new(&aside, name) {
                    Ok(()) => None,
                    Err(_) => Some(beside()),
                };
                return Err(self.conflict(&base, kept)?);
            }
            // It can't be looked at: then it must not be lost.
            Err(_) => notices.push(Notice::ForeignKept { kept: beside() }),
        }
        #[cfg(feature = "watch")]
        removing.done();
        if self.how.durability == Durability::Full {
            dir.sync().map_err(|e| fail("make durable the removal of", e))?;
        }
        Ok(notices)
    }
}
