//! Cookies: files that a watch makes to see where it is in the system's queue (L44).
//!
//! A cookie is an empty temporary file with the name of one (see `path.rs`), so that watches overlook it and version control does not list
//! it. It is made and removed at once: the hint is in the queue as soon as it exists. One that a killed process left is removed by the next
//! watch of the directory, and by `filelatch doctor --fix`; that another watch's is removed with it does no harm.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;

use filelatch_fs::{Fs, Host};

use crate::path::{temp_base, temp_name};

const BASE: &str = "filelatch-watch";

/// The name for a new one.
pub(crate) fn name(host: &dyn Host) -> OsString {
    temp_name(BASE.as_ref(), host.pid(), host.random())
}

/// Is this the name of one, of any watch?
pub(crate) fn is_cookie(name: &OsStr) -> bool {
    temp_base(name) == Some(BASE.as_bytes())
}

/// Makes one in a directory.
pub(crate) fn make(fs: &dyn Fs, dir: &Path, name: &OsStr) -> io::Result<()> {
    let dir = fs.open_dir(dir)?;
    drop(dir.create_new(name, 0o600)?);
    // Whoever was faster has done the same.
    dir.remove(name).ok();
    Ok(())
}

/// Removes those that were left. Best effort: they harm nobody.
pub(crate) fn sweep(fs: &dyn Fs, dir: &Path) {
    let Ok(dir) = fs.open_dir(dir) else { return };
    let mut left = Vec::new();
    let listed = dir.list(&mut |name| {
        if is_cookie(&name) {
            left.push(name);
        }
        true
    });
    if listed.is_err() {
        return;
    }
    for name in left {
        if dir.stat(&name).is_ok_and(|stat| stat.is_file() && stat.size == 0) {
            dir.remove(&name).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use filelatch_fs::sim::{Dials, SimFs};

    /// WATCH-1: cookies come and go; those of the dead are removed, other files are not.
    #[test]
    fn come_and_go() {
        let fs = SimFs::new(Dials::default());
        let foreign = fs.foreign();
        let host = fs.host();
        foreign.create("/data", b"x").unwrap();
        make(&fs, Path::new("/"), &name(&host)).unwrap();
        assert_eq!(foreign.names("/").unwrap(), ["data"]);
        let left = name(&host);
        assert!(is_cookie(&left) && !is_cookie(".data.1-0123456789abcdef.tmp".as_ref()));
        foreign.create(Path::new("/").join(&left), b"").unwrap();
        let full = name(&host);
        foreign.create(Path::new("/").join(&full), b"not ours").unwrap();
        foreign.create("/.data.1-0123456789abcdef.tmp", b"").unwrap();
        sweep(&fs, Path::new("/"));
        let names = foreign.names("/").unwrap();
        assert!(!names.contains(&left.to_string_lossy().into_owned()), "{names:?}");
        assert_eq!(names.len(), 3, "{names:?}");
    }
}
