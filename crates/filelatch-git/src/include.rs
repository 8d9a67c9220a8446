//! Files that a working place needs and git does not track: found in the main working tree, and copied.
//!
//! # Promise
//! Only files that git does not track are copied; nothing that is there is replaced. A copy appears as a whole. Permission bits and extended
//! attributes come along; until then only its owner may read it. Where the file system can, the copy shares the blocks of the original. No
//! link is followed: one whose text leads out of the tree is left out and told of, another is made as it is.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use filelatch::Version;
use filelatch_fs::fs::{read_to_end, write_all_at};
use filelatch_fs::{Access, FileKind, Fs, FsDir, FsFile};

use crate::error::{Error, Result};
use crate::git::{Git, path_of};
use crate::record::Included;

/// More files are no list of what a working place needs.
const MOST: usize = 10_000;
const CHUNK: usize = 256 << 10;
/// Longer files are not compared: they count as changed.
const LONGEST: u64 = 1 << 30;
const ATTRIBUTION: &str = "user.filelatch";
/// A copy that is not whole yet, in the session's own folder.
const UNFINISHED: &str = "include.tmp";

/// A file that was not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file, or the pattern that names none.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// Copies what the patterns name from `main` to `folder`. `own` is a folder on the file system of `folder` that nobody else uses.
pub(crate) fn copy(
    git: &Git,
    [main, folder, own]: [&Path; 3],
    patterns: &[String],
) -> Result<(Vec<Included>, Vec<Skipped>)> {
    let (mut included, mut skipped) = (Vec::<Included>::new(), Vec::new());
    for pattern in patterns {
        let found = match find(git, pattern)? {
            Ok(found) if found.is_empty() => Err("no file that git does not track has this name".to_owned()),
            found => found,
        };
        let found = found.unwrap_or_else(|why| {
            skipped.push(Skipped { path: pattern.into(), why });
            Vec::new()
        });
        for path in found {
            if included.iter().any(|done| done.path == path) {
                continue;
            }
            if included.len() == MOST {
                skipped.push(Skipped { path, why: format!("there are more than {MOST} files to include") });
                return Ok((included, skipped));
            }
            match copy_one(&*git.fs, [main, folder, own], &path) {
                Ok(hash) => included.push(Included { path, hash }),
                Err(Left::Skip(why)) => skipped.push(Skipped { path, why }),
                Err(Left::Fail(e)) => return Err(Error::io("copy", main.join(path))(e)),
            }
        }
    }
    Ok((included, skipped))
}

/// Files that git does not track, ignored ones too; or why the pattern is none: it leads out of the tree. What is in other repositories and worktrees is not looked at.
fn find(git: &Git, pattern: &str) -> Result<Result<Vec<PathBuf>, String>> {
    let pathspec = format!(":(top,glob){pattern}");
    let told = git.run(["ls-files", "--others", "-z", "--", &pathspec])?;
    if !told.is_ok() {
        return Ok(Err(told.reason()));
    }
    let own = |path: &Path| path.starts_with(filelatch::WORKSPACE_DIR);
    let listed = told.out.split(|&byte| byte == 0).filter(|path| !path.is_empty() && !path.ends_with(b"/"));
    Ok(Ok(listed.map(path_of).filter(|path| !own(path)).collect()))
}

/// Why a file was not copied.
enum Left {
    Skip(String),
    Fail(io::Error),
}

impl From<io::Error> for Left {
    fn from(e: io::Error) -> Self {
        match e.kind() {
            io::ErrorKind::NotFound => Left::Skip("it is gone".to_owned()),
            io::ErrorKind::AlreadyExists => Left::Skip("there is another of this name".to_owned()),
            io::ErrorKind::PermissionDenied => Left::Skip("it can't be read".to_owned()),
            _ => Left::Fail(e),
        }
    }
}

/// Answers the hash of the content.
fn copy_one(fs: &dyn Fs, [main, folder, own]: [&Path; 3], path: &Path) -> Result<String, Left> {
    let names = components(path).ok_or_else(|| Left::Skip("it is not in the tree".to_owned()))?;
    let Some((name, dirs)) = names.split_last() else { return Err(Left::Skip("it has no name".to_owned())) };
    let from = open_below(fs, main, dirs, false)?;
    match from.stat(name)?.kind {
        FileKind::File => {}
        FileKind::Symlink => {
            let text = fs.read_link(&main.join(path))?;
            if !stays_inside(dirs.len(), &text) {
                return Err(Left::Skip("it is a link that leads out of the tree".to_owned()));
            }
            let hash = Version::of(text.as_os_str().as_encoded_bytes()).to_string();
            return match open_below(fs, folder, dirs, true)?.symlink(&text, name) {
                Err(e)
                    if e.kind() == io::ErrorKind::AlreadyExists && hash_at(fs, folder, path) == Some(hash.clone()) =>
                {
                    Ok(hash)
                }
                made => Ok(made.map(|()| hash)?),
            };
        }
        FileKind::Dir | FileKind::Other => return Err(Left::Skip("it is not a file".to_owned())),
    }
    let source = from.open(name, Access::Read)?;
    if !source.stat()?.is_file() {
        return Err(Left::Skip("it is not a file".to_owned()));
    }
    let own = fs.open_dir(own)?;
    match own.remove(UNFINISHED.as_ref()) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(Left::Fail(e)),
        _ => {}
    }
    let made = own.create_new(UNFINISHED.as_ref(), 0o600)?;
    let hash = fill(&*source, &*made)?;
    let dir = open_below(fs, folder, dirs, true)?;
    let moved = own.move_to(UNFINISHED.as_ref(), &*dir, name);
    if moved.is_err() {
        own.remove(UNFINISHED.as_ref()).ok();
    }
    match moved {
        // By a start that was interrupted.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && hash_at(fs, folder, path) == Some(hash.clone()) => {
            Ok(hash)
        }
        moved => Ok(moved.map(|()| hash)?),
    }
}

/// Copies these files to a folder that is only for them, durably. One that can't be kept is an error.
pub(crate) fn keep(fs: &dyn Fs, from: &Path, to: &Path, paths: &[PathBuf]) -> Result<()> {
    for path in paths {
        let fail = |e| Error::io("keep", from.join(path))(e);
        match copy_one(fs, [from, to, to], path) {
            Ok(_) => {}
            Err(Left::Skip(why)) => return Err(fail(io::Error::other(why))),
            Err(Left::Fail(e)) => return Err(fail(e)),
        }
        let kept = to.join(path);
        let (Some(dir), Some(name)) = (kept.parent(), kept.file_name()) else { continue };
        let dir_of = |dir: &Path| fs.open_dir(dir);
        let is_file = fs.stat(&kept).is_ok_and(|stat| stat.is_file());
        if is_file {
            let access = if cfg!(windows) { Access::ReadWrite } else { Access::Read };
            dir_of(dir).and_then(|dir| dir.open(name, access)).and_then(|file| file.sync()).map_err(fail)?;
        }
        for dir in dir.ancestors().take_while(|dir| dir.starts_with(to)) {
            dir_of(dir).and_then(|dir| dir.sync()).map_err(fail)?;
        }
    }
    Ok(())
}

/// A folder below another, name by name; no link is followed.
fn open_below(fs: &dyn Fs, top: &Path, names: &[&OsStr], create: bool) -> io::Result<Arc<dyn FsDir>> {
    let mut dir = fs.open_dir(top)?;
    for name in names {
        if create {
            match dir.create_dir(name, 0o777) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
        }
        dir = dir.open_dir(name)?;
    }
    Ok(dir)
}

fn fill(source: &dyn FsFile, made: &dyn FsFile) -> io::Result<String> {
    if made.clone_from(source).is_err() {
        made.set_len(0)?;
        let mut buffer = vec![0; CHUNK];
        let mut at = 0;
        loop {
            let n = source.read_at(&mut buffer, at)?;
            if n == 0 {
                break;
            }
            write_all_at(made, &buffer[..n], at)?;
            at += n as u64;
        }
    }
    for name in source.list_xattrs().unwrap_or_default() {
        if name != ATTRIBUTION
            && let Ok(Some(value)) = source.get_xattr(&name)
        {
            // Those that only the system may set are not for us to carry.
            made.set_xattr(&name, &value).ok();
        }
    }
    made.set_mode(source.stat()?.mode & 0o777)?;
    hash_of(made)
}

/// A hash, as [`Version`] has it; of a very long file none that can be met again.
fn hash_of(file: &dyn FsFile) -> io::Result<String> {
    match read_to_end(file, LONGEST) {
        Ok(bytes) => Ok(Version::of(&bytes).to_string()),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Ok(String::new()),
        Err(e) => Err(e),
    }
}

/// The hash of what is at a path below, also of a link's text. `None`: nothing that could be compared.
pub(crate) fn hash_at(fs: &dyn Fs, top: &Path, path: &Path) -> Option<String> {
    let names = components(path)?;
    let (name, dirs) = names.split_last()?;
    let dir = open_below(fs, top, dirs, false).ok()?;
    let hash = match dir.stat(name).ok()?.kind {
        FileKind::File => hash_of(&*dir.open(name, Access::Read).ok()?).ok()?,
        FileKind::Symlink => {
            Version::of(fs.read_link(&top.join(path)).ok()?.as_os_str().as_encoded_bytes()).to_string()
        }
        FileKind::Dir | FileKind::Other => return None,
    };
    (!hash.is_empty()).then_some(hash)
}

/// The names that lead to a path below; `None` if it is none.
fn components(path: &Path) -> Option<Vec<&OsStr>> {
    path.components()
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Does the text of a link, so many folders deep, stay below the top?
fn stays_inside(mut depth: usize, text: &Path) -> bool {
    for part in text.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-6: links that lead out of the tree, by whatever way.
    #[test]
    fn links() {
        for (depth, text, inside) in [
            (0, "a", true),
            (0, "a/../b", true),
            (1, "../a", true),
            (0, "../a", false),
            (1, "../../a", false),
            (1, "a/../../../b", false),
            (5, "/etc/passwd", false),
            (0, ".", true),
        ] {
            assert_eq!(stays_inside(depth, Path::new(text)), inside, "{depth} {text}");
        }
        assert_eq!(components(Path::new("a/../b")), None);
        assert_eq!(components(Path::new("a/b")), Some(vec![OsStr::new("a"), OsStr::new("b")]));
    }
}
