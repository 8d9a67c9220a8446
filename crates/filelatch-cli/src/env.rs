//! Everything that is taken from the environment, in one place. The library reads none of it.
//!
//! | variable | meaning |
//! |---|---|
//! | `FILELATCH_SESSION` | who writes, unless `--session` says so |
//! | `FILELATCH_TRUSTED` | folders whose workspace is obeyed whoever owns it, separated as in `PATH` |
//! | `FILELATCH_AUDIT_KEY` | a file with the key of the workspace's audit log, outside the workspace |
//! | `FILELATCH_PASSPHRASE` | of an encrypted file of credentials, unless `--passphrase-file` gives it; kept from the command of `credential refresh` |
//! | `FILELATCH_NEW_PASSPHRASE` | the one that `credential encrypt` gives the file, unless `--new-passphrase-file` does |
//! | `FILELATCH_HELD` | set by `filelatch run` for the command: the locks it holds (see `held`) |
//! | `FILELATCH_TORTURE_SABOTAGE` | for the tests of `filelatch torture`: what its processes do wrong on purpose |
//! | `FILELATCH_LEASE` | set by `filelatch run --max-hold` for the command: the leases it writes under (see `leases`) |
//! | `FILELATCH_TOKEN` | set by `filelatch run --max-hold` for the command: the number of its lease, if it has one; not read |
//! | `FILELATCH_QUEUE`, `_QUEUE_ID`, `_QUEUE_ATTEMPT`, `_QUEUE_TOKEN` | set by `filelatch queue run` for its commands; not read |
//! | `XDG_RUNTIME_DIR` | where processes find deadlocks among each other, in `filelatch/`; else below `TMPDIR` |
//! | `VISUAL`, `EDITOR` | for `filelatch edit`: the command that starts the editor; else `vi` (Windows: `notepad`) |
//! | `TMPDIR` | for `filelatch edit`: where the private copy lies (Windows: `TMP`, `TEMP`) |
//! | `PATH` | for `filelatch git-setup`: by which name this program is found |
//! | `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM` | colours on a terminal |
#![expect(clippy::disallowed_methods, reason = "the command line is what passes the environment into the library")]

use std::ffi::OsString;
use std::path::PathBuf;

use clap::ValueEnum;
use filelatch::store::Secret;

use crate::args::Sabotage;
use crate::render::CliError;

fn value(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The words of the command line.
pub(crate) fn arguments() -> impl Iterator<Item = OsString> {
    std::env::args_os().skip(1)
}

/// This program, by the name that it is found under: that stays when a package manager puts a new version elsewhere and changes
/// a link.
pub(crate) fn program() -> std::io::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let own_name = own.file_name().unwrap_or_default();
    let is_it = |found: &PathBuf| std::fs::canonicalize(found).is_ok_and(|found| same_file(&found, &own));
    let found = value("PATH").and_then(|dirs| {
        let mut named = std::env::split_paths(&dirs).filter(|dir| dir.is_absolute()).map(|dir| dir.join(own_name));
        named.find(is_it)
    });
    Ok(found.unwrap_or(own))
}

fn same_file(found: &std::path::Path, own: &std::path::Path) -> bool {
    std::fs::canonicalize(own).is_ok_and(|own| own == found)
}

/// The session's name. One that is not text is shown with replacement characters.
pub(crate) fn session() -> Option<String> {
    value("FILELATCH_SESSION").map(|name| name.to_string_lossy().into_owned())
}

/// Workspaces that are obeyed whoever owns them.
pub(crate) fn trusted() -> Vec<PathBuf> {
    value("FILELATCH_TRUSTED").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

/// The file with the key of audit logs.
pub(crate) fn audit_key() -> Option<PathBuf> {
    value("FILELATCH_AUDIT_KEY").map(PathBuf::from)
}

/// Names of the variables with passphrases.
pub(crate) const PASSPHRASES: [&str; 2] = ["FILELATCH_PASSPHRASE", "FILELATCH_NEW_PASSPHRASE"];

/// The passphrase of an encrypted file of credentials.
pub(crate) fn passphrase() -> Result<Option<Secret>, CliError> {
    secret(PASSPHRASES[0])
}

/// The passphrase that it is to have.
pub(crate) fn new_passphrase() -> Result<Option<Secret>, CliError> {
    secret(PASSPHRASES[1])
}

fn secret(name: &str) -> Result<Option<Secret>, CliError> {
    let wrong = |_| CliError::own("usage", format!("the value of {name} is not text")).hint("nothing was changed");
    value(name).map(|value| value.into_string().map(Secret::new).map_err(wrong)).transpose()
}

/// Opens a file with a passphrase. One that other users may read is refused; pipes are their owner's business.
pub(crate) fn open(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    let file = std::fs::File::open(path)?;
    #[cfg(unix)]
    {
        let found = file.metadata()?;
        if found.is_file() && std::os::unix::fs::MetadataExt::mode(&found) & 0o077 != 0 {
            let problem = "other users may read it; `chmod 600` closes it";
            return Err(std::io::Error::new(std::io::ErrorKind::PermissionDenied, problem));
        }
    }
    Ok(file)
}

/// What the processes of `torture` do wrong on purpose. A word that says nothing is an error: a run would be sound and seem not to find it.
pub(crate) fn sabotage() -> Result<Option<Sabotage>, CliError> {
    let parse = |word: OsString| {
        let told = word.to_string_lossy().into_owned();
        Sabotage::from_str(&told, false).map_err(|_| CliError::own("usage", format!("`{told}` is no sabotage")))
    };
    value("FILELATCH_TORTURE_SABOTAGE").map(parse).transpose()
}

/// Name of the variable that tells the command of `run` which locks are held.
pub(crate) const HELD: &str = "FILELATCH_HELD";

/// Its value.
pub(crate) fn held() -> Option<String> {
    value(HELD).and_then(|held| held.into_string().ok())
}

/// Name of the variable that tells the command of `run --max-hold` which leases it writes under.
pub(crate) const LEASE: &str = "FILELATCH_LEASE";

/// Its value.
pub(crate) fn lease() -> Option<String> {
    value(LEASE).and_then(|leases| leases.into_string().ok())
}

/// Name of the variable that tells the command of `run --max-hold` the number of its lease.
pub(crate) const TOKEN: &str = "FILELATCH_TOKEN";

/// Names of the variables that tell a command of `queue run` its queue's file, its name, which attempt it is, and its token.
pub(crate) const QUEUE: [&str; 4] =
    ["FILELATCH_QUEUE", "FILELATCH_QUEUE_ID", "FILELATCH_QUEUE_ATTEMPT", "FILELATCH_QUEUE_TOKEN"];

/// The command that starts the user's editor.
pub(crate) fn editor() -> OsString {
    let default = if cfg!(windows) { "notepad" } else { "vi" };
    value("VISUAL").or_else(|| value("EDITOR")).unwrap_or_else(|| default.into())
}

/// A new folder that only this user can look into.
pub(crate) fn private_dir(name: &str) -> std::io::Result<PathBuf> {
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    for n in 0_u32.. {
        let dir = std::env::temp_dir().join(format!("{name}-{}-{n}", own_pid()));
        match builder.create(&dir) {
            // Somebody else's, or left by a process of the same number.
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists && n < 10_000 => {}
            created => return created.map(|()| dir),
        }
    }
    Err(std::io::ErrorKind::AlreadyExists.into())
}

/// This process.
pub(crate) fn own_pid() -> u32 {
    std::process::id()
}

/// A directory that only this user can write, made if need be. `None` where it can't be had: then deadlocks with other processes
/// end by timeout.
#[cfg(unix)]
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    use std::os::unix::fs::{DirBuilderExt, MetadataExt};

    let uid = rustix::process::geteuid().as_raw();
    let dir = match value("XDG_RUNTIME_DIR") {
        Some(dir) => PathBuf::from(dir).join("filelatch"),
        None => std::env::temp_dir().join(format!("filelatch-{uid}")),
    };
    // In a directory that everybody can write the name may be taken already: only what is checked counts.
    std::fs::DirBuilder::new().mode(0o700).create(&dir).ok();
    let found = std::fs::symlink_metadata(&dir).ok()?;
    let open_to_others = found.mode() & 0o077 != 0;
    (found.is_dir() && found.uid() == uid && !open_to_others).then_some(dir)
}

/// The user's own temporary directory serves.
#[cfg(not(unix))]
pub(crate) fn runtime_dir() -> Option<PathBuf> {
    let dir = std::env::temp_dir().join("filelatch");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir)
}
