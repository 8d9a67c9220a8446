//! Deadlocks: who waits for what while holding what (P3).
//!
//! # Promise
//! A circle of owners of ours, in one process or in several of one user on one machine, is found about 200 ms after it closed;
//! the owner with the greatest name fails with the circle spelled out, the others go on. The uncontended path writes nothing,
//! nor does a wait of an owner that holds nothing.
//!
//! # Non-promise
//! Foreign programs, other users, other machines: their part of a circle can't be seen, and the timeout names the holder.
//!
//! # How
//! Each process keeps one file in a runtime directory of the user (injected; without one only this process's own owners are
//! seen) and holds a lock on it while it lives. The file lists the process's waiting owners; a reader that gets the lock of a
//! file knows its process is dead and removes it. A circle counts once it was read twice, unchanged. The list begins where the record
//! of a lock file does: on Windows nobody else can read the locked byte.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use filelatch_fs::fs::write_all_at;
use filelatch_fs::real::LOCK_RECORD_OFFSET;
use filelatch_fs::{Access, FsDir, FsFile, LockKind};
use serde::{Deserialize, Serialize};

use super::resource::locked;
use crate::parts::Parts;

const SUFFIX: &str = ".waits";
/// Times that a reader may be quicker than the lock of a new file.
const TRIES: u32 = 10;
/// A list longer than this is not ours.
const LIST_LIMIT: u64 = 1 << 20;

/// One waiting owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Edge {
    pub(crate) owner: String,
    pub(crate) holds: Vec<String>,
    pub(crate) waits: String,
    /// For people: what it waits for, by path, and who it is.
    pub(crate) path: String,
    pub(crate) who: String,
}

/// The waits of this process, published.
#[derive(Debug)]
pub(crate) struct Waits {
    parts: Arc<Parts>,
    runtime_dir: Option<PathBuf>,
    mine: Mutex<Mine>,
}

#[derive(Debug, Default)]
struct Mine {
    edges: BTreeMap<String, Edge>,
    file: Option<Published>,
}

#[derive(Debug)]
struct Published {
    dir: Arc<dyn FsDir>,
    name: OsString,
    file: Box<dyn FsFile>,
}

/// A published wait; dropping it takes it back.
#[derive(Debug)]
pub(crate) struct WaitNote<'a> {
    waits: &'a Waits,
    owner: String,
    seen: Mutex<Option<Vec<Edge>>>,
}

impl Waits {
    pub(crate) fn new(parts: Arc<Parts>, runtime_dir: Option<PathBuf>) -> Waits {
        Waits { parts, runtime_dir, mine: Mutex::default() }
    }

    /// Publishes that an owner waits. `None` when it holds nothing: it can't be part of a circle.
    pub(crate) fn publish(&self, edge: Edge) -> Option<WaitNote<'_>> {
        if edge.holds.is_empty() {
            return None;
        }
        let owner = edge.owner.clone();
        let mut mine = locked(&self.mine);
        mine.edges.insert(owner.clone(), edge);
        self.write(&mut mine);
        Some(WaitNote { waits: self, owner, seen: Mutex::new(None) })
    }

    /// Detection is best effort: without the file, circles with other processes end by timeout.
    fn write(&self, mine: &mut Mine) {
        if mine.file.is_none() {
            mine.file = self.runtime_dir.as_ref().and_then(|dir| self.create(dir).ok());
        }
        if let Some(published) = &mine.file {
            let edges: Vec<_> = mine.edges.values().collect();
            let mut text = serde_json::to_vec(&edges).unwrap_or_default();
            text.push(b'\n');
            let written = write_all_at(&*published.file, &text, LOCK_RECORD_OFFSET)
                .and_then(|()| published.file.set_len(LOCK_RECORD_OFFSET + text.len() as u64));
            if written.is_err() {
                mine.file = None;
            }
        }
    }

    fn create(&self, dir: &std::path::Path) -> io::Result<Published> {
        let dir = self.parts.fs.open_dir(dir)?;
        for _ in 0..TRIES {
            let name: OsString = format!("{}-{:016x}{SUFFIX}", self.parts.host.pid(), self.parts.host.random()).into();
            let file = dir.create_new(&name, 0o600)?;
            // A reader that looks before this takes the file for a dead process's.
            if file.try_lock(LockKind::Exclusive)? && file.stat()?.nlink > 0 {
                return Ok(Published { dir, name, file });
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// All waits that can be seen: this process's and the others'.
    fn all(&self) -> Vec<Edge> {
        let mut edges: Vec<Edge>;
        let own_name;
        {
            let mine = locked(&self.mine);
            edges = mine.edges.values().cloned().collect();
            own_name = mine.file.as_ref().map(|published| published.name.clone());
        }
        let Some(Ok(dir)) = self.runtime_dir.as_ref().map(|dir| self.parts.fs.open_dir(dir)) else { return edges };
        let mut names = Vec::new();
        let listed = dir.list(&mut |name| {
            if name.as_encoded_bytes().ends_with(SUFFIX.as_bytes()) && Some(&name) != own_name.as_ref() {
                names.push(name);
            }
            true
        });
        if listed.is_err() {
            return edges;
        }
        for name in names {
            edges.extend(read_others(&*dir, &name).unwrap_or_default());
        }
        edges
    }
}

fn read_others(dir: &dyn FsDir, name: &OsString) -> io::Result<Vec<Edge>> {
    let file = dir.open(name, Access::ReadWrite)?;
    if !file.stat()?.is_file() {
        return Ok(Vec::new());
    }
    if file.try_lock(LockKind::Exclusive)? {
        // Its process is dead, or has just made it and will not mind making another.
        dir.remove(name)?;
        return Ok(Vec::new());
    }
    let text = read_list(&*file)?;
    // Torn by a write under way: the next look will see it whole.
    Ok(serde_json::from_slice(text.split(|b| *b == b'\n').next().unwrap_or_default()).unwrap_or_default())
}

fn read_list(file: &dyn FsFile) -> io::Result<Vec<u8>> {
    let size = file.stat()?.size;
    if size > LIST_LIMIT {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut list = vec![0; usize::try_from(size).map_err(|_| io::ErrorKind::FileTooLarge)?];
    let mut len = 0;
    while len < list.len() {
        match file.read_at(&mut list[len..], LOCK_RECORD_OFFSET + len as u64)? {
            0 => break,
            n => len += n,
        }
    }
    list.truncate(len);
    Ok(list)
}

impl WaitNote<'_> {
    /// The circle this owner is in and has to give up for: it was there at the last look too, and this owner's name is the
    /// greatest in it.
    pub(crate) fn deadlock(&self) -> Option<Vec<String>> {
        let circle = circle_of(&self.owner, &self.waits.all());
        let mut seen = locked(&self.seen);
        let Some(circle) = circle else {
            *seen = None;
            return None;
        };
        if seen.as_ref() != Some(&circle) {
            *seen = Some(circle);
            return None;
        }
        let greatest = circle.iter().all(|edge| edge.owner <= self.owner);
        greatest.then(|| {
            let next = |i: usize| &circle[(i + 1) % circle.len()];
            let sentence =
                |(i, edge): (usize, &Edge)| format!("{} waits for `{}` held by {}", edge.who, edge.path, next(i).who);
            circle.iter().enumerate().map(sentence).collect()
        })
    }

    /// Was a circle seen at the last look? Then the next look should come soon.
    pub(crate) fn suspects(&self) -> bool {
        locked(&self.seen).is_some()
    }
}

impl Drop for WaitNote<'_> {
    fn drop(&mut self) {
        let mut mine = locked(&self.waits.mine);
        mine.edges.remove(&self.owner);
        self.waits.write(&mut mine);
        if mine.edges.is_empty()
            && let Some(published) = mine.file.take()
        {
            // Removed while still locked: nobody can mistake it for a dead process's.
            published.dir.remove(&published.name).ok();
        }
    }
}

/// May a lock of one name keep out who asks for the other? A record's name begins with its file's (P10).
fn meets(a: &str, b: &str) -> bool {
    let covers = |file: &str, record: &str| record.strip_prefix(file).is_some_and(|rest| rest.starts_with(':'));
    a == b || covers(a, b) || covers(b, a)
}

/// Follows "waits for what the next one holds" from `start` until it comes back. Exclusive locks have one holder; of several
/// shared holders every one is tried.
fn circle_of(start: &str, edges: &[Edge]) -> Option<Vec<Edge>> {
    fn follow<'a>(start: &str, edges: &'a [Edge], path: &mut Vec<&'a Edge>) -> bool {
        let Some(last) = path.last().copied() else { return false };
        for next in edges.iter().filter(|edge| edge.holds.iter().any(|held| meets(held, &last.waits))) {
            if next.owner == start {
                return true;
            }
            if path.iter().all(|edge| edge.owner != next.owner) {
                path.push(next);
                if follow(start, edges, path) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
    let first = edges.iter().find(|edge| edge.owner == start)?;
    let mut path = vec![first];
    follow(start, edges, &mut path).then(|| path.into_iter().cloned().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edge(owner: &str, holds: &[&str], waits: &str) -> Edge {
        let holds = holds.iter().map(|&h| h.to_owned()).collect();
        Edge { owner: owner.into(), holds, waits: waits.into(), path: waits.into(), who: owner.into() }
    }

    /// LOCK-14: circles of two and three are found from each of their owners; a chain is none.
    #[test]
    fn circles() {
        let two = [edge("a", &["x"], "y"), edge("b", &["y"], "x"), edge("c", &["z"], "x")];
        assert_eq!(circle_of("a", &two).unwrap().len(), 2);
        assert_eq!(circle_of("b", &two).unwrap().len(), 2);
        assert!(circle_of("c", &two).is_none(), "waits for a circle, but is not in it");
        let three = [edge("a", &["x"], "y"), edge("b", &["y"], "z"), edge("c", &["z", "w"], "x")];
        assert_eq!(
            circle_of("b", &three).unwrap().iter().map(|e| e.owner.as_str()).collect::<Vec<_>>(),
            ["b", "c", "a"]
        );
        let chain = [edge("a", &["x"], "y"), edge("b", &["y"], "z")];
        assert!(circle_of("a", &chain).is_none());
    }
}
