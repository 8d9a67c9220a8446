//! `filelatch hooks`: what agents run before and after they edit by themselves (AGENT-9).

use serde_json::{Value, json};

use crate::sandbox::{Ran, Running, Sandbox};

const READY: &str = "echo ready; cat >/dev/null";

fn edit(s: &Sandbox, tool: &str, input: &Value, response: &Value) -> String {
    let cwd = s.path("");
    json!({"session_id": "0198-x", "cwd": cwd, "tool_name": tool, "tool_input": input, "tool_response": response})
        .to_string()
}

/// Runs a script as an agent does, with the edit on its standard input.
fn script(s: &Sandbox, path: &str, input: &str) -> Ran {
    let mut command = s.program("/bin/sh");
    command.arg(s.path(path));
    crate::sandbox::feed(command, input.as_bytes())
}

/// AGENT-9: an edit of a file that somebody has leased is refused with who, since when and what next; another file's is not; once the lease
/// is over it goes on.
#[test]
fn a_leased_file_is_refused() {
    let s = Sandbox::new();
    s.write("f.txt", "one\n");
    s.write("g.txt", "one\n");
    s.run(["hooks", "install", "claude", "--yes"]).exits(0);
    let pre = ".claude/hooks/filelatch-pre-edit.sh";
    let of = |file: &str| {
        edit(&s, "Edit", &json!({"file_path": s.path(file), "old_string": "a", "new_string": "b"}), &Value::Null)
    };
    let args = ["--session", "ann", "run", "--max-hold", "1h", "f.txt", "--", "sh", "-c", READY];
    let holder = Running::start(&mut s.command(args));
    let refused = script(&s, pre, &of("f.txt")).exits(2);
    let refused = refused.says("is leased for at most 59m").says(&format!("by pid {}", holder.pid())).says("as ann");
    let refused = refused.says("nothing was changed").says("lease_token");
    assert!(refused.out.is_empty(), "{refused:?}");
    script(&s, pre, &of("g.txt")).exits(0).quietly();
    script(&s, pre, &of("new/folder/h.txt")).exits(0).quietly();
    // A patch names several.
    let patch =
        "*** Begin Patch\n*** Update File: g.txt\n@@\n-a\n+b\n*** Update File: f.txt\n@@\n-a\n+b\n*** End Patch\n";
    script(&s, pre, &edit(&s, "apply_patch", &json!({"command": patch}), &Value::Null))
        .exits(2)
        .says("f.txt` is leased");
    // As arguments, and in JSON for programs.
    s.run(["hooks", "pre-edit", "f.txt"]).exits(4).says("is leased");
    assert_eq!(s.run(["hooks", "pre-edit", "f.txt", "--json"]).exits(4).json()["error"]["kind"], "leased");
    // Its own holder may.
    s.run(["--session", "ann", "hooks", "pre-edit", "f.txt"]).exits(0).quietly();
    assert_eq!(holder.finish(), Some(0));
    script(&s, pre, &of("f.txt")).exits(0).quietly();
}

/// AGENT-9: a held lock is waited for a moment, then told of; the command that holds it may edit.
#[test]
fn a_locked_file_is_refused() {
    let s = Sandbox::new();
    s.write("f.txt", "one\n");
    let holder = s.holder("f.txt");
    s.run(["hooks", "pre-edit", "f.txt"])
        .exits(4)
        .says("is locked")
        .says(&format!("pid {}", holder.pid()))
        .says("nothing was changed");
    assert_eq!(holder.finish(), Some(0));
    s.run(["hooks", "pre-edit", "f.txt"]).exits(0).quietly();
    s.run(["run", "f.txt", "--", "filelatch", "hooks", "pre-edit", "f.txt"]).exits(0);
    s.run(["run", "--close", "f.txt", "--", "filelatch", "hooks", "pre-edit", "f.txt"]).exits(0);
    s.run(["run", "--max-hold", "1m", "f.txt", "--", "filelatch", "hooks", "pre-edit", "f.txt"]).exits(0);
}

/// AGENT-9: what can't be understood does not block, and is not silent: it says so, and what is held.
#[test]
fn malformed_input_neither_blocks_nor_is_silent() {
    let s = Sandbox::new();
    s.write("f.txt", "one\n");
    s.run(["hooks", "install", "codex", "--yes"]).exits(0);
    let pre = ".codex/hooks/filelatch-pre-edit.sh";
    let holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f.txt", "--", "sh", "-c", READY]));
    for input in [
        "",
        "{",
        "[]",
        "null",
        "{\"tool_input\": {\"file_path\": 3}}",
        "\u{0}",
        "{\"tool_input\": {\"what\": \"f.txt\"}}",
    ] {
        let told = script(&s, pre, input).exits(1).says("could not be read").says("do not edit `f.txt`");
        assert!(told.out.is_empty(), "{told:?}");
    }
    assert_eq!(holder.finish(), Some(0));
    // Of a program that knows no hooks an agent is not kept from its work either.
    let text = s.text(pre).replace("hooks pre-edit", "no-such-command");
    s.write(pre, text);
    script(&s, pre, "{}").exits(1);
    // What edits nothing is none of our business.
    s.run_with(edit(&s, "Bash", &json!({"command": "ls"}), &Value::Null), ["hooks", "pre-edit"]).exits(0).quietly();
}

/// AGENT-9: the session is the author of what its tool wrote; nobody is named for bytes that are others.
#[test]
fn the_author_is_noted() {
    let s = Sandbox::new();
    s.run(["init"]).exits(0);
    s.run(["hooks", "install", "claude", "--yes"]).exits(0);
    let post = ".claude/hooks/filelatch-post-edit.sh";
    let by =
        |file: &str| s.run(["read", file, "--json"]).exits(0).json()["lastModifiedBy"].as_str().unwrap().to_owned();
    let written =
        |content: &str| edit(&s, "Write", &json!({"file_path": s.path("f.txt"), "content": content}), &json!({}));
    s.write("f.txt", "one\n");
    if by("f.txt") == "unknown" {
        eprintln!("no extended attributes here: nothing is tried");
        return;
    }
    script(&s, post, &written("one\n")).exits(0).quietly();
    let session = by("f.txt");
    assert!(session.starts_with("claude-") && session.len() == 12, "{session}");
    // Somebody else was there in between.
    s.write("f.txt", "somebody else\n");
    script(&s, post, &written("two\n")).exits(2).says("was changed since").says("read the file again");
    assert_eq!(by("f.txt"), "external");
    // Through filelatch: the author stays.
    s.run_with("three\n", ["--session", "bob", "write", "f.txt"]).exits(0);
    script(&s, post, &written("three\n")).exits(0).quietly();
    assert_eq!(by("f.txt"), "bob");
    // A replaced text, by what the tool says was there before.
    s.write("f.txt", "three\nFOUR\n");
    let input = json!({"file_path": s.path("f.txt"), "old_string": "four", "new_string": "FOUR"});
    script(&s, post, &edit(&s, "Edit", &input, &json!({"originalFile": "three\nfour\n"}))).exits(0).quietly();
    assert_eq!(by("f.txt"), session);
    s.write("f.txt", "other\nFOUR\n");
    script(&s, post, &edit(&s, "Edit", &input, &json!({"originalFile": "three\nfour\n"})))
        .exits(0)
        .says("no author was noted");
    assert_eq!(by("f.txt"), "external");
    // The log and the changes tell of it.
    let told = s.run(["changes", "list", "--json"]).exits(0).text();
    assert!(told.contains(&session) && told.contains("f.txt"), "{told}");
    s.run(["audit", "verify"]).exits(0);
    script(&s, post, "{").exits(1).says("could not be read");
    script(&s, post, &edit(&s, "Write", &json!({"file_path": "gone", "content": ""}), &json!({})))
        .exits(1)
        .says("gone");
}

/// AGENT-9: any other tool names files, and the version that it wrote.
#[test]
fn generic() {
    let s = Sandbox::new();
    s.write("f", "one");
    s.run(["hooks", "install", "generic", "--yes", "--session", "my tool"]).exits(0);
    let sh = |script: &str| s.sh(&format!("sh filelatch-hooks/filelatch-{script}"));
    sh("pre-edit.sh f g").exits(0).quietly();
    sh("post-edit.sh f").exits(0).quietly();
    let by = s.run(["read", "f", "--json"]).exits(0).json()["lastModifiedBy"].as_str().unwrap().to_owned();
    assert!(["my tool", "unknown"].contains(&by.as_str()), "{by}");
    s.write("f", "two");
    let hash = s.run(["hash", "f"]).exits(0).text()[..64].to_owned();
    s.write("f", "three");
    s.run(["hooks", "post-edit", "--expect", &hash, "f"]).exits(3);
    s.run(["hooks", "post-edit", "--expect", &hash, "f", "g"]).exits(2);
    s.run(["hooks", "uninstall", "generic", "--yes"]).exits(0);
    assert_eq!(s.names(), [".f.lock", "f"]);
}

/// AGENT-9: what is installed is shown first and confirmed, done once, and taken out to the byte.
#[test]
fn installed_and_taken_out() {
    let settings = "{\n  // mine\n  \"model\": \"x\",\n  \"hooks\": {\n    \"PreToolUse\": [\n      { \"matcher\": \"Bash\", \"hooks\": [{ \"type\": \"command\", \"command\": \"mine.sh\" }] }\n    ]\n  }\n}\n";
    for (agent, file) in [("claude", ".claude/settings.json"), ("codex", ".codex/hooks.json")] {
        let s = Sandbox::new();
        std::fs::create_dir(s.path(file).parent().unwrap()).unwrap();
        s.write(file, settings);
        // Without a terminal somebody has to say so.
        s.run(["hooks", "install", agent]).exits(2).says("+#!/bin/sh").says("PostToolUse").says("`--yes`");
        s.run(["hooks", "show", agent]).exits(0).shows("+#!/bin/sh").shows("filelatch-post-edit.sh").shows("timeout");
        assert_eq!(s.text(file), settings);
        let told = s.run(["hooks", "install", agent, "--yes", "--json"]).exits(0).json();
        assert_eq!(told["files"].as_array().unwrap().len(), 3, "{told}");
        let installed = s.text(file);
        assert!(
            installed.contains("// mine")
                && installed.contains("mine.sh")
                && installed.contains("filelatch-pre-edit.sh")
        );
        s.run(["hooks", "install", agent, "--yes"]).exits(0).says("already");
        assert_eq!(s.text(file), installed);
        s.run(["hooks", "uninstall", agent]).exits(2);
        s.run(["hooks", "uninstall", agent, "--yes"]).exits(0);
        assert_eq!(s.text(file), settings);
        assert!(!s.path(file).parent().unwrap().join("hooks").exists());
        s.run(["hooks", "uninstall", agent, "--yes"]).exits(0).says("nothing to take out");
        // Where there was nothing, nothing is left.
        let s = Sandbox::new();
        s.run(["hooks", "install", agent, "--yes"]).exits(0);
        s.run(["hooks", "uninstall", agent, "--yes"]).exits(0);
        assert_eq!(s.names(), Vec::<String>::new());
    }
}

/// AGENT-9: somebody's own files are not overwritten or removed, and settings that are none are left as they are.
#[test]
fn what_is_somebodys_own() {
    let s = Sandbox::new();
    s.run(["hooks", "install", "claude", "--yes"]).exits(0);
    let pre = ".claude/hooks/filelatch-pre-edit.sh";
    let own = s.text(pre) + "echo mine\n";
    s.write(pre, &own);
    s.run(["hooks", "uninstall", "claude", "--yes"]).exits(0).says("was changed by somebody");
    assert_eq!(s.text(pre), own);
    s.write(pre, "mine");
    s.run(["hooks", "install", "claude", "--yes"])
        .exits(3)
        .says("was not written by filelatch")
        .says("nothing was changed");
    std::fs::remove_file(s.path(pre)).unwrap();
    s.write(".claude/settings.json", "{ no");
    s.run(["hooks", "install", "claude", "--yes"]).exits(1).says("can't have hooks").says("nothing was changed");
    assert_eq!(s.text(".claude/settings.json"), "{ no");
    assert!(!s.path(pre).exists());
    s.run(["hooks", "install", "claude", "--dir", "no-such", "--yes"]).exits(5);
    s.run(["hooks", "install", "nobody", "--yes"]).exits(2);
}

/// AGENT-9: the commands in the settings run the scripts, from any folder; a script that is gone is told of and blocks nothing.
#[test]
fn commands_of_settings() {
    for (agent, file) in [("claude", ".claude/settings.json"), ("codex", ".codex/hooks.json")] {
        let s = Sandbox::new();
        s.write("f.txt", "one\n");
        std::fs::create_dir(s.path("below")).unwrap();
        s.run(["hooks", "install", agent, "--yes"]).exits(0);
        let settings = s.value(file);
        let commands = ["PreToolUse", "PostToolUse"]
            .map(|event| settings["hooks"][event][0]["hooks"][0]["command"].as_str().unwrap().to_owned());
        let run = |command: &str, input: &str| {
            let mut shell = s.program("/bin/sh");
            shell.args(["-c", command]).env("CLAUDE_PROJECT_DIR", s.path("")).current_dir(s.path("below"));
            crate::sandbox::feed(shell, input.as_bytes())
        };
        let input = edit(
            &s,
            "Edit",
            &json!({"file_path": s.path("f.txt"), "old_string": "", "new_string": "one"}),
            &Value::Null,
        );
        let holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f.txt", "--", "sh", "-c", READY]));
        run(&commands[0], &input).exits(2).says("is leased");
        assert_eq!(holder.finish(), Some(0));
        run(&commands[0], &input).exits(0).quietly();
        run(&commands[1], &input).exits(0);
        std::fs::remove_dir_all(s.path(file).parent().unwrap().join("hooks")).unwrap();
        for command in &commands {
            run(command, &input).exits(1).says("is gone: not checked");
        }
    }
}
