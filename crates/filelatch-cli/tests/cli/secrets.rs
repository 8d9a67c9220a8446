//! `token` and `credential`: secrets by standard input and output, never by arguments, in files that nobody else may open.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::sandbox::{BIN, Sandbox};

fn workspace() -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s
}

/// STORE-3: made and shown once, verified, listed, revoked, removed.
#[test]
fn a_token() {
    let s = workspace();
    let made = s.run(["token", "create", "ci", "--scope", "write", "--expires", "90d", "--json"]).exits(0).json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert!(token.starts_with(&format!("flt_{id}_")) && token.len() == 60, "{made}");
    let shown = s.run(["token", "create", "to look"]).exits(0).says("shown this once").text();
    for (input, code) in
        [(token.to_owned(), 0), (format!("{token}\n"), 0), (format!("{token}x"), 1), (String::new(), 1)]
    {
        let told = s.run_with(&input, ["token", "verify", "--json"]).exits(code).json();
        assert_eq!(told["valid"], code == 0, "{told}");
    }
    assert_eq!(s.run_with(token, ["token", "verify"]).exits(0).text(), format!("{id}  write  ci\n"));
    s.run_with(token, ["token", "verify", "--scope", "read"]).exits(0);
    s.run_with(token, ["token", "verify", "--scope", "admin"]).exits(1);
    s.run_with(&shown, ["token", "verify", "--scope", "write"]).exits(1);
    let all = s.run(["token", "list", "--json"]).exits(0).json();
    assert_eq!(json!([all["tokens"][0]["name"], all["tokens"][1]["scopes"]]), json!(["ci", ["read"]]));
    assert!(all["tokens"][0]["lastUsed"].is_string() && all["tokens"][0]["expires"].is_string(), "{all}");
    s.run(["token", "list"]).exits(0).shows("LAST USED").shows("active  write").shows("to look");
    s.run(["token", "revoke", token]).exits(2).says("not its id");
    s.run(["token", "revoke", "nothing"]).exits(5).says("nothing was changed");
    s.run(["token", "revoke", id]).exits(0);
    s.run_with(token, ["token", "verify"]).exits(1).says("no such token");
    assert_eq!(s.run(["token", "list", "--json"]).exits(0).json()["tokens"][0]["state"], "revoked");
    assert_eq!(s.run(["token", "prune", "--older-than", "1h"]).exits(0).text(), "0\n");
    assert_eq!(s.run(["token", "prune"]).exits(0).text(), "1\n");
    let file = s.text(".filelatch/stores/tokens.json");
    assert!(!file.contains(token.rsplit('_').next().unwrap()), "{file}");
    serde_json::from_str::<Value>(&file).unwrap();
}

/// STORE-3, STORE-6: bad input is told, with what to do.
#[test]
fn bad_input() {
    let s = Sandbox::new();
    s.run(["token", "list"]).exits(1).says("filelatch init");
    s.run(["credential", "get", "k"]).exits(1).says("filelatch init");
    s.run(["credential", "--store", "c", "get", "k"]).exits(5).says("no credential `k`");
    s.run(["credential", "--store", "no/c", "list"]).exits(1).says("does not exist");
    s.run(["credential", "--store", "c", "list"]).exits(0).says("no file");
    s.run(["token", "--store", "t", "create", "", "--scope", "read"]).exits(1).says("no name");
    s.run(["token", "--store", "t", "create", "x", "--scope", "all"]).exits(2).says("read, write or admin");
    for args in [&["k=hunter2"][..], &["k", "hunter2"], &["k", "--", "hunter2"], &["k", "hunter2", "hunter2"]] {
        let args = ["credential", "--store", "c", "set"].iter().chain(args);
        let ran = s.run_with("x", args).exits(2).says("no argument").says("nothing was stored");
        assert!(!ran.err.contains("hunter2"), "{ran:?}");
    }
    s.run_with("", ["credential", "--store", "c", "set", "k"]).exits(1).says("is empty");
    s.run_with("\n", ["credential", "--store", "c", "set", "k"]).exits(1).says("is empty");
    assert!(!s.path("c").exists());
    for (name, content) in [("broken", "{"), ("empty", ""), ("list", "[]"), ("crlf", "{}\r\n")] {
        s.write(name, content);
        #[cfg(unix)]
        s.sh(&format!("chmod 600 {name}")).exits(0);
        s.run(["token", "--store", name, "list"]).exits(1).says("line 1").says("nothing was changed");
        s.run(["credential", "--store", name, "list"]).exits(1).says("line 1");
        s.run(["credential", "--store", "c", "import", name]).exits(1).says("the form is");
    }
    s.run(["credential", "--store", "c", "import", "gone"]).exits(5);
    s.run_with("x", ["credential", "--store", "c", "--passphrase-file", "gone", "set", "k"]).exits(5).says("gone");
    s.run_with("x", ["credential", "--store", "c", "--passphrase-file", "-", "set", "k"]).exits(2).says("two things");
    s.run(["credential", "--store", "c", "encrypt"]).exits(2).says("no new passphrase");
}

/// STORE-6: modes, links, FIFOs: what others may open is refused, what is made is private.
#[test]
#[cfg(unix)]
fn private() {
    let s = Sandbox::new();
    s.sh("umask 0; printf x | filelatch credential --store c set k && filelatch credential --store c export out")
        .exits(0);
    s.sh("umask 0; filelatch token --store t create x").exits(0);
    assert_eq!(s.sh("stat -c %a c out t .c.lock .out.lock .t.lock").exits(0).text(), "600\n".repeat(6));
    s.sh("chmod 644 c out t; ln -s c link; mkfifo fifo").exits(0);
    s.run(["credential", "--store", "c", "get", "k"]).exits(1).says("mode 0644").says("chmod 600");
    s.run(["token", "--store", "t", "list"]).exits(1).says("mode 0644");
    s.run(["credential", "--store", "d", "import", "out"]).exits(1).says("mode 0644");
    s.run(["credential", "--store", "link", "list"]).exits(1).says("symbolic link");
    s.run(["credential", "--store", "fifo", "list"]).exits(1).says("FIFO");
    s.run(["credential", "--store", ".", "list"]).exits(1).says("directory");
    s.sh("chmod 600 c out").exits(0);
    s.run(["credential", "--store", "c", "export", "out"]).exits(3).says("exists already");
    s.run(["credential", "--store", "c", "export", "--force", "out"]).exits(0);
    s.sh("echo correct horse > pass; chmod 644 pass").exits(0);
    s.run(["credential", "--store", "c", "encrypt", "--new-passphrase-file", "pass"])
        .exits(1)
        .says("other users may read it");
}

/// STORE-6: stored, handed out, listed, moved to another file.
#[test]
fn a_credential() {
    let s = workspace();
    s.run_with("hunter2\n", ["credential", "set", "github", "--note", "read only", "--expires", "1h"]).exits(0);
    assert_eq!(s.run(["credential", "get", "github"]).exits(0).out, b"hunter2\n");
    assert_eq!(s.run(["credential", "get", "github", "--exact"]).exits(0).out, b"hunter2");
    s.run_with("a\nb\r\n", ["credential", "set", "two"]).exits(0);
    assert_eq!(s.run(["credential", "get", "two", "--exact"]).exits(0).out, b"a\nb");
    s.run_with([0, 255, 10], ["credential", "set", "raw", "--exact"]).exits(0);
    assert_eq!(s.run(["credential", "get", "raw", "--exact"]).exits(0).out, [0, 255, 10]);
    let raw = s.run(["credential", "get", "raw", "--json"]).exits(0).json();
    assert_eq!(json!([raw["secret"], raw["encoding"], raw["expires"]]), json!(["AP8K", "base64", null]));
    let list = s.run(["credential", "list", "--json"]).exits(0);
    assert!(!list.text().contains("hunter2"));
    let list = list.json();
    assert_eq!(
        json!([list["encrypted"], list["credentials"][0]["key"], list["credentials"][0]["note"]]),
        json!([false, "github", "read only"])
    );
    s.run(["credential", "list"]).exits(0).shows("KEY").shows("read only");
    let export = s.run(["credential", "export", "-"]).exits(0);
    assert_eq!(export.json()["credentials"]["github"]["text"], "hunter2");
    let told = s.run_with(export.text(), ["credential", "--store", "other", "import", "-"]).exits(0).text();
    assert_eq!(told, "3 added, 0 replaced, 0 unchanged\n");
    s.run_with("other", ["credential", "--store", "other", "set", "two"]).exits(0);
    s.run_with(export.text(), ["credential", "--store", "other", "import", "-"]).exits(3).says("`two`");
    let told =
        s.run_with(export.text(), ["credential", "--store", "other", "import", "-", "--replace"]).exits(0).text();
    assert_eq!(told, "0 added, 1 replaced, 2 unchanged\n");
    s.run(["credential", "delete", "two"]).exits(0);
    s.run(["credential", "delete", "two"]).exits(5);
    s.run(["credential", "get", "two"]).exits(5);
    for part in s.run(["audit", "show", "--json"]).exits(0).text().lines() {
        assert!(!part.contains("hunter2"), "{part}");
    }
    assert!(!s.path(".filelatch/versions").exists());
}

/// STORE-6: encrypted by a passphrase from a file, from a descriptor, from the environment.
#[test]
fn encrypted() {
    let s = Sandbox::new();
    s.run_with("hunter2", ["credential", "--store", "c", "set", "k"]).exits(0);
    s.write("pass", "correct horse\nmore\n");
    #[cfg(unix)]
    s.sh("chmod 600 pass").exits(0);
    s.run_with("short\n", ["credential", "--store", "c", "encrypt", "--new-passphrase-file", "-"])
        .exits(1)
        .says("too short");
    s.run(["credential", "--store", "c", "encrypt", "--new-passphrase-file", "pass"]).exits(0);
    assert!(s.bytes("c").starts_with(b"age-encryption.org/v1\n"));
    s.run(["credential", "--store", "c", "get", "k"]).exits(1).says("it is encrypted").says("passphrase");
    let wrong = s.run_with("wrong", ["credential", "--store", "c", "--passphrase-file", "-", "get", "k"]);
    wrong.exits(1).says("passphrase is wrong");
    assert_eq!(
        s.run(["credential", "--store", "c", "--passphrase-file", "pass", "get", "k"]).exits(0).out,
        b"hunter2\n"
    );
    let mut by_environment = s.command(["credential", "--store", "c", "list", "--json"]);
    let listed = by_environment.env("FILELATCH_PASSPHRASE", "correct horse").output().unwrap();
    assert!(String::from_utf8_lossy(&listed.stdout).contains("\"encrypted\":true"), "{listed:?}");
    s.run(["credential", "--store", "c", "--passphrase-file", "pass", "decrypt"]).exits(0);
    assert_eq!(s.run(["credential", "--store", "c", "get", "k"]).exits(0).out, b"hunter2\n");
}

/// STORE-6: a command renews a credential: it gets the old one, what it prints is stored; what fails changes nothing.
#[test]
#[cfg(unix)]
fn refresh() {
    let s = Sandbox::new();
    let refresh = |options: &[&str], script: &str| {
        let mut args = vec!["credential", "--store", "c", "refresh", "k"];
        args.extend(options);
        args.extend(["--", "sh", "-c", script]);
        s.run(args)
    };
    let first = refresh(&["--expires", "1h"], "test -z \"$(cat)\" && echo one").exits(0);
    assert_eq!(first.out, b"one\n");
    assert_eq!(refresh(&[], "exit 9").exits(0).out, b"one\n");
    let two =
        refresh(&["--if-expires-within", "2h", "--json"], "read old; test \"$old\" = one && echo two").exits(0).json();
    assert_eq!(json!([two["secret"], two["renewed"], two["expires"]]), json!(["two", true, null]));
    s.run_with("old", ["credential", "--store", "c", "set", "k", "--expires", "0s"]).exits(0);
    refresh(&[], "echo no; exit 9").exits(9).says("nothing was changed");
    refresh(&[], "kill -9 $$").exits(137);
    refresh(&[], "true").exits(1).says("printed nothing");
    refresh(&["--from-json"], "echo hunter2").exits(1).says("not JSON");
    refresh(&["--from-json"], "echo '{\"secret\":\"x\",\"expiresIn\":-1}'").exits(1).says("expiresIn");
    s.run(["credential", "--store", "c", "refresh", "k", "--", "no-such-command"]).exits(127);
    assert_eq!(s.run(["credential", "--store", "c", "get", "k"]).exits(0).out, b"old\n");
    // One that does not read its input, and one that prints a lot.
    refresh(&["-q", "--from-json"], "exec <&-; echo '{\"secret\":\"three\",\"expiresIn\":3600.5}'").exits(0).quietly();
    let three = s.run(["credential", "--store", "c", "get", "k", "--json"]).exits(0).json();
    assert!(three["secret"] == "three" && three["expires"].is_string(), "{three}");
    refresh(&["--if-expires-within", "2h"], "head -c 2000000 /dev/zero | tr '\\0' x")
        .exits(1)
        .says("longer than 1 MiB");
    // The passphrase is not the command's business.
    let mut leak =
        s.command(["credential", "--store", "d", "refresh", "k", "--", "sh", "-c", "echo \"[$FILELATCH_PASSPHRASE]\""]);
    let leak = leak.env("FILELATCH_PASSPHRASE", "correct horse").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&leak.stdout), "[]\n", "{leak:?}");
}

/// STORE-6: twenty commands meet an expired credential at once: one renews it, all print the new one; also when the first of them is killed
/// while it does.
#[test]
#[cfg(unix)]
fn refreshed_once() {
    let s = Sandbox::new();
    for kill in [false, true] {
        s.run_with("old", ["credential", "--store", "c", "set", "k", "--expires", "0s"]).exits(0);
        s.sh("rm -f log begun").exits(0);
        let script = "echo call >> log; sort -R log > begun; echo new $$";
        let hangs = "echo call >> log; touch begun; exec cat fifo";
        let start = |script: &str| {
            let mut command = s.program(BIN);
            command.args(["credential", "--store", "c", "refresh", "k", "--expires", "1h", "--", "sh", "-c", script]);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        };
        if kill {
            s.sh("mkfifo fifo").exits(0);
        }
        let victim = kill.then(|| start(hangs));
        let began = Instant::now();
        while kill && !s.path("begun").exists() {
            assert!(began.elapsed() < Duration::from_secs(60), "the command never runs");
            std::thread::park_timeout(Duration::from_millis(1));
        }
        let others: Vec<_> = (0..20).map(|_| start(script)).collect();
        if let Some(mut victim) = victim {
            victim.kill().unwrap();
            victim.wait().unwrap();
            // Its command has lost its reader, and ends with its input.
            s.sh(": > fifo").exits(0);
        }
        let printed: Vec<_> = others.into_iter().map(|other| other.wait_with_output().unwrap()).collect();
        assert!(
            printed.iter().all(|one| one.stdout == printed[0].stdout && one.stdout.starts_with(b"new ")),
            "{printed:?}"
        );
        assert_eq!(s.text("log").lines().count(), 1 + usize::from(kill));
    }
}
