//! Lock files that are not what they should be (LOCK-19).

use std::os::unix::fs::symlink;

use crate::sandbox::Sandbox;

/// LOCK-19: a lock file that is a symbolic link, a FIFO or a directory is an error that names it; nothing is followed.
#[test]
fn not_a_file() {
    let s = Sandbox::new();
    for name in ["link.json", "dangling.json", "fifo.json", "dir.json"] {
        s.write(name, "{}");
    }
    s.write("target", "precious");
    symlink("target", s.path(".link.json.lock")).unwrap();
    symlink("nothing", s.path(".dangling.json.lock")).unwrap();
    std::fs::create_dir(s.path(".dir.json.lock")).unwrap();
    s.sh("mkfifo .fifo.json.lock").exits(0);
    let before = s.names();
    for (name, what) in [
        ("link.json", "a symbolic link"),
        ("dangling.json", "a symbolic link"),
        ("fifo.json", "a FIFO, socket or device"),
        ("dir.json", "a directory"),
    ] {
        for args in [vec!["update", name, ".a = 1"], vec!["write", name], vec!["run", name, "--", "true"]] {
            s.run(&args).exits(1).says(&format!(".{name}.lock` is {what}")).says("nothing was changed");
        }
        assert_eq!(s.text(name), "{}");
    }
    assert_eq!(s.text("target"), "precious");
    assert_eq!(s.names(), before);
}

/// LOCK-19 (P1): somebody's data under the lock file's name is locked, but kept byte for byte.
#[test]
fn somebodys_data() {
    let s = Sandbox::new();
    for data in ["", "4211\n", "{\"name\":\"not ours\"}", &"x".repeat(5000)] {
        s.write("a.json", "{}");
        s.write(".a.json.lock", data);
        s.run(["update", "a.json", ".a = 1"]).exits(0);
        assert_eq!(s.value("a.json")["a"], 1);
        assert_eq!(s.text(".a.json.lock"), data);
        let holder = s.holder("a.json");
        s.run(["write", "a.json", "--no-wait"]).exits(4).says("pid");
        assert_eq!(holder.finish(), Some(0));
        assert_eq!(s.text(".a.json.lock"), data);
    }
}

/// P1: the lock file stays, with the mode of the file it guards for those who may write that.
#[test]
fn stays() {
    use std::os::unix::fs::PermissionsExt;
    let s = Sandbox::new();
    s.run_with("x", ["write", "a"]).exits(0);
    let mode = std::fs::metadata(s.path(".a.lock")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    assert!(s.text(".a.lock").starts_with("{\"v\":1,"), "{}", s.text(".a.lock"));
}

/// ATOM-1: commands that find nothing to do leave no lock file behind.
#[test]
fn mistyped_names() {
    let s = Sandbox::new();
    for args in
        [vec!["update", "a.json", "."], vec!["patch", "a.json", "--merge-patch", "{}"], vec!["read", "--shared", "a"]]
    {
        s.run(&args).exits(5);
    }
    assert!(s.names().is_empty(), "{:?}", s.names());
}
