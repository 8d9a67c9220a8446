//! Bad input: a clear error, the right exit status, the file untouched.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::json;

use crate::sandbox::{BIN, Sandbox, feed};

/// Issue 2, bad input: names that are not UTF-8 work everywhere; in JSON they are shown with replacement characters.
#[test]
fn names_that_are_not_text() {
    let s = Sandbox::new();
    let name = OsStr::from_bytes(b"f\xff.json");
    let of = |word: &'static str| vec![OsStr::new(word), name];
    assert_eq!(s.run_with("{}", of("write")).exits(0).text().len(), 65);
    assert_eq!(s.run(of("read")).exits(0).out, b"{}");
    assert!(s.run(of("hash")).exits(0).out.ends_with(b"  f\xff.json\n"));
    s.run([OsStr::new("update"), name, OsStr::new(".a = 1")]).exits(0);
    s.run([OsStr::new("run"), name, OsStr::new("--"), OsStr::new("test"), OsStr::new("-e"), name]).exits(0);
    let answer = s.run([OsStr::new("read"), name, OsStr::new("--json")]).exits(0).json();
    assert_eq!(answer["path"], "f\u{fffd}.json");
    let nested =
        [OsStr::new("run"), name, OsStr::new("--"), OsStr::new(BIN), OsStr::new("update"), name, OsStr::new(".b=1")];
    s.run(nested).exits(0);
    assert_eq!(s.value(name), json!({"a": 1, "b": 1}));
}

/// Issue 2, bad input: directories, missing directories, loops of symbolic links, FIFOs.
#[test]
fn what_is_not_a_file() {
    let s = Sandbox::new();
    std::fs::create_dir(s.path("dir.json")).unwrap();
    symlink("loop2.json", s.path("loop1.json")).unwrap();
    symlink("loop1.json", s.path("loop2.json")).unwrap();
    s.sh("mkfifo fifo.json").exits(0);
    for (name, expected) in [
        ("dir.json", "is a directory"),
        ("loop1.json", "symbolic links"),
        ("fifo.json", "FIFO"),
        ("a.json/b", "does not exist"),
    ] {
        let commands =
            [vec!["write", name], vec!["read", "--shared", name], vec!["update", name, "--format", "json", "."]];
        for args in commands {
            let ran = s.run(&args);
            assert!(matches!(ran.code, Some(1 | 5)), "{args:?}: {ran:?}");
            assert!(ran.err.contains(expected), "{args:?}: {ran:?}");
        }
    }
    assert!(!s.path("a.json").exists());
}

/// ATOM-3: a symbolic link's target is replaced, not the link; the lock is the target's (LOCK-9).
#[test]
fn symbolic_links() {
    let s = Sandbox::new();
    std::fs::create_dir(s.path("d")).unwrap();
    s.write("d/real.json", "{}");
    symlink("d/real.json", s.path("link.json")).unwrap();
    let holder = s.holder("d/../link.json");
    s.run(["update", "d//real.json", ".", "--no-wait"]).exits(4);
    assert_eq!(holder.finish(), Some(0));
    s.run(["update", "link.json", ".a = 1"]).exits(0);
    assert_eq!(s.value("d/real.json"), json!({"a": 1}));
    assert!(s.path("link.json").is_symlink());
}

/// ATOM-3: `--mkdir` makes what is missing; without it the error says what is.
#[test]
fn missing_directories() {
    let s = Sandbox::new();
    s.run_with("x", ["write", "a/b/c"]).exits(1).says("its directory `a/b` does not exist").says("--mkdir");
    assert!(!s.path("a").exists());
    s.run_with("x", ["write", "--mkdir", "a/b/c"]).exits(0);
    assert_eq!(s.text("a/b/c"), "x");
}

/// Issue 2, bad input: no permission. Nothing is changed, and no lock file or temporary file appears.
#[test]
fn no_permission() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    std::fs::set_permissions(s.path("a.json"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::create_dir(s.path("ro")).unwrap();
    s.write("ro/b.json", "{}");
    std::fs::set_permissions(s.path("ro"), PermissionsExt::from_mode(0o555)).unwrap();
    // Root may do everything: somebody else has to try. The program must be where nobody may read.
    let as_root = rustix::process::geteuid().is_root();
    let own = s.path("../filelatch");
    let command = |args: &[&str]| {
        if !as_root {
            return s.command(args);
        }
        if !own.exists() {
            s.copy_program(&own);
        }
        let mut command = s.program("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(&own).args(args);
        command
    };
    if as_root && s.program("setpriv").arg("--version").output().is_err() {
        return;
    }
    if as_root {
        feed(command(&["read", "a.json"]), b"").exits(1).says("permission");
    }
    feed(command(&["update", "ro/b.json", ".a = 1"]), b"").exits(1).says("nothing was changed");
    feed(command(&["write", "ro/new"]), b"").exits(1).says("ro");
    feed(command(&["read", "ro/b.json"]), b"").exits(0);
    // A shared lock that can't be had in a folder that can't be written is told of (P1).
    feed(command(&["read", "--shared", "ro/b.json"]), b"").exits(0).says("warning:");
    std::fs::set_permissions(s.path("ro"), PermissionsExt::from_mode(0o755)).unwrap();
    assert_eq!(s.text("ro/b.json"), "{}");
    let left: Vec<_> = std::fs::read_dir(s.path("ro")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["b.json"]);
}

/// Issue 2, bad input: 0 bytes and 100 MB go in and come out.
#[test]
fn small_and_large() {
    let s = Sandbox::new();
    s.run_with("", ["write", "empty"]).exits(0);
    assert_eq!(s.run(["read", "empty"]).exits(0).out, b"");
    let big: Vec<u8> = (0..100_000_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let hash = s.run_with(&big, ["write", "big", "--durability", "none"]).exits(0).text();
    assert!(s.bytes("big") == big);
    assert_eq!(s.run(["hash", "big"]).exits(0).text(), format!("{}  big\n", hash.trim()));
    assert!(s.run(["read", "big"]).exits(0).out == big);
}

/// ATOM-4: a full disk or a limit on file sizes stops the write; the old content stays and nothing is left.
#[test]
fn no_space() {
    let s = Sandbox::new();
    s.write("a", "old");
    // The limit's signal is ignored, so that the write fails instead.
    let script = "trap '' XFSZ; ulimit -f 1; head -c 4000000 /dev/zero | filelatch write a";
    let ran = s.sh(script);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(s.text("a"), "old");
    assert!(s.names().iter().all(|name| name == "a" || name == ".a.lock"), "{:?}", s.names());
}

/// ATOM-3: mode kept; another name of the file is told of.
#[test]
fn metadata() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    std::fs::set_permissions(s.path("a.json"), PermissionsExt::from_mode(0o640)).unwrap();
    std::fs::hard_link(s.path("a.json"), s.path("b.json")).unwrap();
    s.run(["update", "a.json", ".a = 1"]).exits(0).says("note: another name of the file (a hard link)");
    assert_eq!(std::fs::metadata(s.path("a.json")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(s.text("b.json"), "{}");
    std::fs::hard_link(s.path("a.json"), s.path("c.json")).unwrap();
    let answer = s.run(["update", "a.json", ".a = 2", "--json"]).exits(0).json();
    assert!(answer["notices"][0].as_str().unwrap().contains("hard link"), "{answer}");
}
