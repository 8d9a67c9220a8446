//! Exit statuses: the contract with scripts, as one table; `status`, `completions`, `man`, help.

use crate::sandbox::Sandbox;

/// DESIGN §4 (LOCK-5, VER-1, VER-2): every exit status, in every way it comes about.
#[test]
fn every_exit_status() {
    let s = Sandbox::new();
    s.write("a.json", "{\"a\":1}");
    s.write("b.json", "{");
    std::fs::create_dir(s.path("dir")).unwrap();
    let zeros = "0".repeat(64);
    for (expected, args) in [
        (0, vec!["--help"]),
        (0, vec!["--version"]),
        (0, vec!["read", "a.json"]),
        (0, vec!["hash", "a.json"]),
        (0, vec!["write", "new"]),
        (0, vec!["update", "a.json", "."]),
        (0, vec!["patch", "a.json", "--merge-patch", "{}"]),
        (0, vec!["status"]),
        (0, vec!["run", "a.json", "--", "true"]),
        (0, vec!["init"]),
        (1, vec!["read", "dir"]),
        (1, vec!["update", "b.json", "."]),
        (1, vec!["update", "a.json", "empty"]),
        (1, vec!["update", "new", "."]),
        (1, vec!["patch", "a.json", "--json-patch", "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]"]),
        (1, vec!["patch", "a.json", "--merge-patch", "{"]),
        (1, vec!["write", "nodir/new"]),
        (1, vec!["run", "a.json", "--", "false"]),
        (2, vec![]),
        (2, vec!["frobnicate"]),
        (2, vec!["read"]),
        (2, vec!["read", "a.json", "--timeout", "5"]),
        (2, vec!["write", "a.json", "--expect", "abc"]),
        (2, vec!["write", "a.json", "--strategy", "newest"]),
        (2, vec!["update", "a.json", ".", "--argjson", "x", "{"]),
        (2, vec!["patch", "a.json"]),
        (2, vec!["run", "a.json"]),
        (2, vec!["run", "--timeout", "1s", "--no-wait", "a.json", "--", "true"]),
        (3, vec!["write", "a.json", "--expect", "absent"]),
        (3, vec!["write", "a.json", "--expect", &zeros]),
        (3, vec!["write", "gone", "--expect", &zeros]),
        (5, vec!["read", "gone"]),
        (5, vec!["hash", "a.json", "gone"]),
        (5, vec!["update", "gone.json", "."]),
        (5, vec!["patch", "gone.json", "--merge-patch", "{}"]),
        (126, vec!["run", "a.json", "--", "/etc/passwd"]),
        (127, vec!["run", "a.json", "--", "no-such-command"]),
    ] {
        let ran = s.run(&args);
        assert_eq!(ran.code, Some(expected), "{args:?}: {ran:?}");
        let silent = expected == 0 || args.ends_with(&["false"]);
        assert!(silent || !ran.err.is_empty(), "{args:?}: {ran:?}");
    }
    // 4: the lock was not had.
    let holder = s.holder("a.json");
    for args in [
        vec!["write", "a.json", "--no-wait"],
        vec!["write", "a.json", "--timeout", "10ms"],
        vec!["update", "a.json", ".", "--no-wait"],
        vec!["patch", "a.json", "--merge-patch", "{}", "--no-wait"],
        vec!["read", "a.json", "--shared", "--no-wait"],
        vec!["run", "a.json", "--no-wait", "--", "true"],
        vec!["run", "a.json", "--timeout", "10ms", "--", "true"],
    ] {
        s.run(&args).exits(4).says("locked").says("nothing was changed");
    }
    s.run(["run", "-E", "77", "--no-wait", "a.json", "--", "true"]).exits(77);
    s.run(["read", "a.json"]).exits(0);
    assert_eq!(holder.finish(), Some(0));
}

/// DESIGN §4: a file that is missing does not hide the others.
#[test]
fn hash_goes_on() {
    let s = Sandbox::new();
    s.write("a", "a");
    s.write("b\nb", "b");
    let a = "17762fddd969a453925d65717ac3eea21320b66b54342fde15128d6caf21215f";
    let b = "10e5cf3d3c8a4f9f3468c8cc58eea84892a22fdadbc1acb22410190044c1d553";
    let ran = s.run(["hash", "a", "gone", "b\nb"]).exits(5).says("`gone` does not exist");
    assert_eq!(ran.text(), format!("{a}  a\n\\{b}  b\\nb\n"), "as b3sum prints them");
    // Something worse than a missing file shows.
    s.run(["hash", "gone", ".", "a"]).exits(1);
}

/// LOCK-7, LOCK-16: who holds, since when, how many wait; nothing else is listed.
#[test]
fn status_lists_holders() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    s.run(["update", "a.json", "."]).exits(0);
    s.run(["status"]).exits(0).says("nothing is locked");
    let holder = s.holder("a.json");
    let ran = s.run(["status"]).exits(0);
    let pid = holder.pid();
    assert!(ran.text().starts_with("a.json  exclusive  "), "{ran:?}");
    assert!(ran.text().contains(&format!("by pid {pid} (sh)")), "{ran:?}");
    let listed = s.run(["status", "--json", "."]).exits(0).json();
    assert_eq!(listed["locks"][0]["path"], "a.json");
    assert_eq!(listed["locks"][0]["locked"], true);
    assert_eq!(listed["locks"][0]["holders"][0]["pid"], pid);
    assert_eq!(listed["locks"][0]["holders"][0]["purpose"], "sh");
    assert_eq!(listed["locks"][0]["holders"][0]["shared"], false);
    assert_eq!(listed["locks"][0]["holders"][0]["confirmed"], true);
    assert_eq!(holder.finish(), Some(0));
    let free = s.run(["status", "--json", "a.json"]).exits(0).json();
    assert_eq!(free["locks"][0]["locked"], false);
    assert_eq!(s.run(["status", "--all"]).exits(0).text(), "a.json  free\n");
}

/// ATOM-4: what dead writers left is shown, not touched; the next write of the file removes what nobody could miss.
#[test]
fn leftovers() {
    let s = Sandbox::new();
    s.write("a.json", "{}");
    s.write(".a.json.4194304-00000000000000ab.tmp", "");
    s.write(".a.json.4194304-00000000000000ac.tmp", "somebody's data");
    let listed = s.run(["status", "--json"]).exits(0).json();
    let mut disposable: Vec<_> = listed["leftovers"].as_array().unwrap().iter().map(|l| &l["disposable"]).collect();
    disposable.sort_by_key(ToString::to_string);
    assert_eq!(disposable, [false, true]);
    s.run(["update", "a.json", ".a = 1"]).exits(0);
    assert_eq!(s.names(), [".a.json.4194304-00000000000000ac.tmp", ".a.json.lock", "a.json"]);
    assert_eq!(s.text(".a.json.4194304-00000000000000ac.tmp"), "somebody's data");
}

/// DESIGN §4: completions and manual pages come from the definition, for every command.
#[test]
fn completions_and_manual() {
    let s = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = s.run(["completions", shell]).exits(0).text();
        assert!(script.contains("filter-timeout"), "{shell}");
    }
    let page = s.run(["man"]).exits(0).text();
    let names = ["init", "run", "read", "hash", "write", "update", "patch", "status", "doctor", "completions", "man"];
    for name in names {
        assert!(page.contains(&format!("filelatch\\-{name}(1)")), "{name}: {page}");
        let own = s.run(["man", name]).exits(0).text();
        assert!(own.contains(&format!("filelatch\\-{name}")), "{own}");
    }
    // The long help and the manual say more than the list of commands.
    for text in [s.run(["run", "--help"]).exits(0).text(), s.run(["man", "run"]).exits(0).text().replace("\\_", "_")] {
        assert!(text.contains("FILELATCH_HELD") && text.contains("128+N"), "{text}");
    }
    assert_eq!(s.run(["man", "run", "--json"]).exits(0).json()["page"], "run");
    assert_eq!(s.run(["completions", "fish", "--json"]).exits(0).json()["shell"], "fish");
}

/// EXEMPLARS §7: a closed pipe is no error.
#[test]
fn closed_pipe() {
    let s = Sandbox::new();
    s.write("big", vec![b'x'; 1 << 20]);
    // `head` ends after one byte; the pipe holds less than the file.
    let script = "{ filelatch read big; echo \"status $?\" >&2; } | head -c 1";
    let ran = s.sh(script).exits(0);
    assert_eq!((ran.text().as_str(), ran.err.as_str()), ("x", "status 0\n"));
    let ran = s.sh("{ filelatch --help; echo \"status $?\" >&2; } | true").exits(0);
    assert_eq!(ran.err, "status 0\n");
}
