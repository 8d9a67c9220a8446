//! What is synced, seen through a file system that takes note of it.
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

use std::any::Any;
use std::ffi::{OsStr, OsString};
use std::process::Command;
use std::sync::{Arc, Mutex};

use filelatch_fs::types::WriterProbe;
use filelatch_fs::{Appended, Caps, FileId, FsDir, FsFile, LockKind, LockTable, Mount, RangeKind, RealFs, Stat};

use super::*;

type Noted = Arc<Mutex<BTreeSet<PathBuf>>>;

#[derive(Debug)]
struct NotingFs(Noted);
#[derive(Debug)]
struct NotingDir(Arc<dyn FsDir>, Noted);
#[derive(Debug)]
struct NotingFile(Box<dyn FsFile>, PathBuf, Noted);

impl Fs for NotingFs {
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        Ok(Arc::new(NotingDir(RealFs.open_dir(path)?, Arc::clone(&self.0))))
    }
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        RealFs.canonicalize(path)
    }
    fn stat(&self, path: &Path) -> io::Result<Stat> {
        RealFs.stat(path)
    }
    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        RealFs.read_link(path)
    }
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        RealFs.create_dir(path)
    }
    fn current_dir(&self) -> io::Result<PathBuf> {
        RealFs.current_dir()
    }
    fn lock_table(&self, file: FileId) -> io::Result<Option<LockTable>> {
        RealFs.lock_table(file)
    }
}

impl FsDir for NotingDir {
    fn path(&self) -> &Path {
        self.0.path()
    }
    fn id(&self) -> FileId {
        self.0.id()
    }
    fn caps(&self) -> &Caps {
        self.0.caps()
    }
    fn stat(&self, name: &OsStr) -> io::Result<Stat> {
        self.0.stat(name)
    }
    fn open(&self, name: &OsStr, access: Access) -> io::Result<Box<dyn FsFile>> {
        let path = self.0.path().join(name);
        Ok(Box::new(NotingFile(self.0.open(name, access)?, path, Arc::clone(&self.1))))
    }
    fn create_new(&self, name: &OsStr, mode: u32) -> io::Result<Box<dyn FsFile>> {
        self.0.create_new(name, mode)
    }
    fn open_dir(&self, name: &OsStr) -> io::Result<Arc<dyn FsDir>> {
        self.0.open_dir(name)
    }
    fn read_link(&self, name: &OsStr) -> io::Result<PathBuf> {
        self.0.read_link(name)
    }
    fn create_dir(&self, name: &OsStr, mode: u32) -> io::Result<()> {
        self.0.create_dir(name, mode)
    }
    fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.0.rename(from, to)
    }
    fn rename_new(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.0.rename_new(from, to)
    }
    fn exchange(&self, a: &OsStr, b: &OsStr) -> io::Result<()> {
        self.0.exchange(a, b)
    }
    fn link(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        self.0.link(from, to)
    }
    fn move_to(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        self.0.move_to(from, dir, to)
    }
    fn move_over(&self, from: &OsStr, dir: &dyn FsDir, to: &OsStr) -> io::Result<()> {
        self.0.move_over(from, dir, to)
    }
    fn remove(&self, name: &OsStr) -> io::Result<()> {
        self.0.remove(name)
    }
    fn remove_dir(&self, name: &OsStr) -> io::Result<()> {
        self.0.remove_dir(name)
    }
    fn symlink(&self, text: &Path, name: &OsStr) -> io::Result<()> {
        self.0.symlink(text, name)
    }
    fn mount(&self) -> io::Result<Option<Mount>> {
        self.0.mount()
    }
    fn sync(&self) -> io::Result<()> {
        self.1.lock().unwrap().insert(self.0.path().to_owned());
        self.0.sync()
    }
    fn list(&self, each: &mut dyn FnMut(OsString) -> bool) -> io::Result<()> {
        self.0.list(each)
    }
    fn as_any(&self) -> &dyn Any {
        self.0.as_any()
    }
}

impl FsFile for NotingFile {
    fn stat(&self) -> io::Result<Stat> {
        self.0.stat()
    }
    fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }
    fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(buf, offset)
    }
    fn append(&self, buf: &[u8]) -> io::Result<Appended> {
        self.0.append(buf)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync(&self) -> io::Result<()> {
        self.2.lock().unwrap().insert(self.1.clone());
        self.0.sync()
    }
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.0.set_mode(mode)
    }
    fn set_owner(&self, uid: u32, gid: u32) -> io::Result<()> {
        self.0.set_owner(uid, gid)
    }
    fn list_xattrs(&self) -> io::Result<Vec<OsString>> {
        self.0.list_xattrs()
    }
    fn get_xattr(&self, name: &OsStr) -> io::Result<Option<Vec<u8>>> {
        self.0.get_xattr(name)
    }
    fn set_xattr(&self, name: &OsStr, value: &[u8]) -> io::Result<()> {
        self.0.set_xattr(name, value)
    }
    fn lock(&self, kind: LockKind) -> io::Result<()> {
        self.0.lock(kind)
    }
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.0.try_lock(kind)
    }
    fn unlock(&self) -> io::Result<()> {
        self.0.unlock()
    }
    fn lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<()> {
        self.0.lock_range(start, len, kind)
    }
    fn try_lock_range(&self, start: u64, len: u64, kind: RangeKind) -> io::Result<bool> {
        self.0.try_lock_range(start, len, kind)
    }
    fn unlock_range(&self, start: u64, len: u64) -> io::Result<()> {
        self.0.unlock_range(start, len)
    }
    fn range_is_locked(&self, start: u64, len: u64) -> io::Result<bool> {
        self.0.range_is_locked(start, len)
    }
    fn probe_writers(&self) -> io::Result<WriterProbe> {
        self.0.probe_writers()
    }
    fn clone_from(&self, source: &dyn FsFile) -> io::Result<()> {
        self.0.clone_from(source)
    }
    fn make_inheritable(&self) -> io::Result<u64> {
        self.0.make_inheritable()
    }
    fn as_any(&self) -> &dyn Any {
        self.0.as_any()
    }
}

/// SERVE-6, L55: every loose object that a commit brought (commit, trees, contents), the ref, and all directories that name them are synced; those of
/// what was known before are not.
#[test]
fn all_that_a_commit_brought() {
    let root = tempfile::tempdir().unwrap();
    let top = root.path().canonicalize().unwrap();
    let git = |words: &str| {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=n", "-c", "user.email=n@example.org", "-c", "init.defaultBranch=main"]);
        let done = command.args(words.split(' ')).current_dir(&top).env("GIT_CONFIG_NOSYSTEM", "1").output().ok()?;
        assert!(done.status.success(), "{words}: {done:?}");
        Some(String::from_utf8(done.stdout).unwrap().trim().to_owned())
    };
    let Some(_) = git("init -q") else { return };
    let commit = |path: &str| {
        std::fs::create_dir_all(top.join(path).parent().unwrap()).unwrap();
        std::fs::write(top.join(path), path).unwrap();
        git("add -A").and_then(|_| git("commit -q -m x")).and_then(|_| git("rev-parse HEAD")).unwrap()
    };
    let known = commit("old");
    let tip = commit("dir/new");
    git("update-ref refs/filelatch/rescue/x HEAD");
    let noted = Noted::default();
    let mut runner = Git::new(&top);
    runner.fs = Arc::new(NotingFs(Arc::clone(&noted)));
    let repo = Repo::open(runner.clone()).unwrap();
    keep(&repo, &runner, std::slice::from_ref(&tip), Some(&known), &["refs/filelatch/rescue/x".to_owned()]).unwrap();
    let noted = noted.lock().unwrap();
    let object = |id: &str| top.join(".git/objects").join(&id[..2]).join(&id[2..]);
    let new: Vec<_> = ["HEAD", "HEAD^{tree}", "HEAD:dir", "HEAD:dir/new"]
        .map(|name| git(&format!("rev-parse {name}")).unwrap())
        .into();
    for id in &new {
        let path = object(id);
        assert!(noted.contains(&path) && noted.contains(path.parent().unwrap()), "{id}");
    }
    for dir in ["objects", "objects/pack", "refs/filelatch/rescue", "refs/filelatch", "refs", ""] {
        let dir = if dir.is_empty() { top.join(".git") } else { top.join(".git").join(dir) };
        assert!(noted.contains(&dir), "{}", dir.display());
    }
    assert!(noted.contains(&top.join(".git/refs/filelatch/rescue/x")));
    assert!(!noted.contains(&object(&known)));
}
