//! The way to a path that was asked for: every name on it that may come to stand for something else.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use filelatch_fs::{FileId, FileKind, Fs, Stat};

/// Links that may follow one another before it counts as a loop (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// One name on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// The directory that it was looked up in, without links.
    pub(super) dir: PathBuf,
    pub(super) dir_id: FileId,
    pub(super) name: OsString,
    pub(super) kind: StepKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StepKind {
    /// A directory on the way.
    Dir,
    /// A symbolic link.
    Link,
    /// Where the way ends, or where it is interrupted.
    Last,
}

#[derive(Debug)]
pub(super) enum End {
    /// The path without links, and what is there.
    There(PathBuf, Stat),
    /// Nothing, or not yet; or links in a circle.
    Missing,
    /// It can't be told.
    Failed,
}

#[derive(Debug)]
pub(super) struct Way {
    pub(super) steps: Vec<Step>,
    pub(super) end: End,
}

enum Part {
    Up,
    Name(OsString),
}

/// Follows an absolute path, links of the last component too.
pub(super) fn follow(fs: &dyn Fs, path: &Path) -> Way {
    let mut steps = Vec::new();
    let end = walk(fs, path, &mut steps).unwrap_or_else(|e| match e.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => End::Missing,
        _ => End::Failed,
    });
    if let Some(last) = steps.last_mut().filter(|last| last.kind != StepKind::Link) {
        last.kind = StepKind::Last;
    }
    Way { steps, end }
}

fn walk(fs: &dyn Fs, path: &Path, steps: &mut Vec<Step>) -> io::Result<End> {
    let mut rest = VecDeque::new();
    let mut here = prepend(path, &mut rest).unwrap_or_default();
    let mut stat = fs.stat(&here)?;
    let mut links = 0;
    while let Some(part) = rest.pop_front() {
        let name = match part {
            Part::Up => {
                here.pop();
                stat = fs.stat(&here)?;
                continue;
            }
            Part::Name(name) => name,
        };
        if stat.kind != FileKind::Dir {
            return Ok(End::Missing);
        }
        let next = here.join(&name);
        steps.push(Step { dir: here.clone(), dir_id: stat.id, name, kind: StepKind::Dir });
        let found = fs.stat(&next)?;
        if found.kind == FileKind::Symlink {
            links += 1;
            if links > MAX_LINKS {
                return Ok(End::Missing);
            }
            if let Some(step) = steps.last_mut() {
                step.kind = StepKind::Link;
            }
            if let Some(root) = prepend(&fs.read_link(&next)?, &mut rest) {
                here = root;
                stat = fs.stat(&here)?;
            }
        } else {
            here = next;
            stat = found;
        }
    }
    Ok(End::There(here, stat))
}

/// Puts a path's components in front; answers where it begins, if it is absolute.
fn prepend(path: &Path, rest: &mut VecDeque<Part>) -> Option<PathBuf> {
    let mut root = PathBuf::new();
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Prefix(_) | Component::RootDir => root.push(component),
            Component::CurDir => {}
            Component::ParentDir => parts.push(Part::Up),
            Component::Normal(name) => parts.push(Part::Name(name.to_owned())),
        }
    }
    for part in parts.into_iter().rev() {
        rest.push_front(part);
    }
    (!root.as_os_str().is_empty()).then_some(root)
}
