//! What every command does on every system, without a shell: the commands that are run are `filelatch` itself.

use std::io::Write;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::sandbox::Sandbox;

/// `filelatch run` of a command that waits for the end of its input, once it has the lock.
fn holder(s: &Sandbox, options: &[&str], file: &str) -> Child {
    let command = [file, "--", "filelatch", "write", "told"];
    let child = s
        .command(["run"].iter().chain(options).chain(&command))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let began = Instant::now();
    // The lock comes first, then the command.
    while s.run(["write", "--no-wait", "--expect", "absent", file]).code != Some(4) {
        assert!(began.elapsed() < Duration::from_secs(60), "`{file}` is never locked");
    }
    child
}

fn finish(mut holder: Child, says: &[u8]) -> Option<i32> {
    holder.stdin.take().unwrap().write_all(says).unwrap();
    holder.wait().unwrap().code()
}

/// DESIGN §4: a file is written, read, hashed, changed and patched; what is left are the file and its lock file.
#[test]
fn one_file_through_all_commands() {
    let s = Sandbox::new();
    let hash = s.run_with("{\"a\": 1}\n", ["write", "f.json", "--expect", "absent"]).exits(0).text();
    assert_eq!(s.run(["read", "f.json"]).exits(0).out, b"{\"a\": 1}\n");
    assert_eq!(s.run(["hash", "f.json"]).exits(0).text(), format!("{}  f.json\n", hash.trim()));
    s.run(["update", "f.json", ".a += 1"]).exits(0);
    s.run(["patch", "f.json", "--merge-patch", "{\"b\":[2]}"]).exits(0);
    assert_eq!(s.value("f.json"), json!({"a": 2, "b": [2]}));
    s.run_with("x", ["write", "f.json", "--expect", hash.trim()]).exits(3).says("nothing was written");
    s.run_with("x", ["write", "--mkdir", "d/e/f"]).exits(0);
    assert_eq!(s.text("d/e/f"), "x");
    s.run(["read", "gone"]).exits(5);
    assert_eq!(s.names(), [".f.json.lock", "d", "f.json"]);
}

/// LOCK-1, LOCK-5, P12: while a command runs under the lock others are refused or time out, and are told who holds it; its status comes
/// back and the lock is free.
#[test]
fn a_lock_while_a_command_runs() {
    let s = Sandbox::new();
    s.write("f", "old");
    let held = holder(&s, &[], "f");
    s.run(["write", "f", "--no-wait"]).exits(4).says("locked").says("filelatch").says("nothing was changed");
    s.run(["write", "f", "--timeout", "30ms"]).exits(4).says("still locked after");
    s.run(["read", "--shared", "--no-wait", "f"]).exits(4);
    assert_eq!(s.run(["read", "f"]).exits(0).out, b"old");
    let listed = s.run(["status", "--json", "f"]).exits(0).json();
    assert_eq!(json!([listed["locks"][0]["locked"], listed["locks"][0]["path"]]), json!([true, "f"]));
    assert_eq!(finish(held, b"so"), Some(0));
    assert_eq!(s.text("told"), "so");
    s.run_with("new", ["write", "f", "--no-wait"]).exits(0);
    assert_eq!(s.text("f"), "new");
    s.run(["run", "f", "--", "filelatch", "read", "gone"]).exits(5);
    s.run(["run", "f", "--", "no-such-command"]).exits(127);
}

/// LOCK-2: `run` is killed; whatever became of its command, the lock is free when both are gone.
#[test]
fn a_killed_run() {
    let s = Sandbox::new();
    let mut held = holder(&s, &[], "f");
    held.kill().unwrap();
    held.wait().unwrap();
    drop(held.stdin.take());
    s.run_with("new", ["write", "f", "--timeout", "60s"]).exits(0);
    assert_eq!(s.text("f"), "new");
}

/// LOCK-13: a lease: commands inside write under its number, others are refused; when it is over the command is ended.
#[test]
fn leases() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    s.run(["run", "--max-hold", "1m", "f.json", "--", "filelatch", "update", "--no-wait", "f.json", ".x = 1"]).exits(0);
    assert_eq!(s.value("f.json"), json!({"x": 1}));
    let mut held = holder(&s, &["--max-hold", "3s"], "f.json");
    let refused = s.run(["update", "f.json", ".y = 1", "--no-wait", "--json"]).exits(4).json();
    assert_eq!(refused["error"]["kind"], "leased");
    // Its input stays open: only the end of the lease ends it.
    let input = held.stdin.take();
    assert_eq!(held.wait().unwrap().code(), Some(124));
    drop(input);
    s.run(["update", "f.json", ".y = 1"]).exits(0);
    assert_eq!(s.value("f.json"), json!({"x": 1, "y": 1}));
}

/// DESIGN §4: a workspace is made, and its policy obeyed; a fallback lock by policy excludes and goes.
#[test]
fn workspaces() {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.write(".filelatch/config.toml", "[[policy]]\nglob = \"*.held\"\nlock = \"file\"\ntimeout = \"10ms\"\n");
    let held = holder(&s, &[], "a.held");
    assert!(s.path(".a.held.lock.held").exists());
    s.run(["write", "a.held"]).exits(4).says("still locked after");
    assert_eq!(finish(held, b""), Some(0));
    s.run_with("x", ["write", "a.held"]).exits(0);
    assert!(!s.path(".a.held.lock.held").exists());
}

/// LOCK-20, TEST-2: the doctor finds a folder where everything holds, and a torture run with killed processes finds nothing, whichever lock
/// is used.
#[test]
fn doctor_and_torture() {
    let s = Sandbox::new();
    let told = s.run(["doctor", "--json"]).exits(0).json();
    assert_eq!(told["healthy"], true, "{told}");
    for lock in ["os", "file"] {
        let args = ["torture", ".", "--lock", lock, "--seconds", "3", "--processes", "4", "--kill", "--json"];
        let told = s.run(args).exits(0).json();
        assert_eq!(told["violations"], json!([]), "{told}");
        assert!(
            told["kills"].as_u64().unwrap() > 0 && told["verified"]["acknowledged"].as_u64().unwrap() > 0,
            "{told}"
        );
    }
    assert_eq!(s.names(), [""; 0]);
}
