//! `filelatch edit`: an editor that is a script, at a terminal and without one.

use std::path::PathBuf;
use std::process::Stdio;

use crate::sandbox::{Ran, Sandbox, feed};

const BASE: &str = "{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n";

fn set(text: &str, key: &str, value: u32) -> String {
    text.replace(&format!("\"{key}\": 1"), &format!("\"{key}\": {value}"))
}

/// A workspace with a file, and an editor that does this; `$1` is the copy.
fn with_editor(script: &str) -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s.write("a.json", BASE);
    s.write("editor", format!("#!/bin/sh\n{script}\n"));
    s
}

fn edit(s: &Sandbox, more: &[&str]) -> Ran {
    let mut command = s.command(["edit", "a.json"].iter().chain(more));
    command.env("EDITOR", "sh ./editor");
    Ran::of(command.output().unwrap())
}

/// Copies that are left.
fn copies(s: &Sandbox) -> Vec<PathBuf> {
    let tmp = s.path("").parent().unwrap().join("tmp");
    let dirs = std::fs::read_dir(tmp).unwrap().map(|entry| entry.unwrap().path());
    dirs.filter(|dir| dir.file_name().unwrap().to_string_lossy().starts_with("filelatch-edit")).collect()
}

#[track_caller]
fn copy_has(s: &Sandbox, ran: &Ran, text: &str) {
    let copies = copies(s);
    let [copy] = &copies[..] else { panic!("{copies:?}") };
    let copy = copy.join("a.json");
    assert!(ran.err.contains(&format!("`{}`", copy.display())), "{}", ran.err);
    assert_eq!(std::fs::read_to_string(copy).unwrap(), text);
}

/// DESIGN §4, MERGE-4: the editor gets a private copy with the file's name, and nobody is locked out meanwhile; what it saves is the file.
#[test]
fn saves() {
    let s = with_editor(
        "cp \"$1\" seen; ls -ld \"${1%/*}\" >modes; sed -i 's/\"a\": 1/\"a\": 2/' \"$1\"; echo \"$1\" >name",
    );
    let ran = edit(&s, &["--json"]).exits(0).json();
    assert_eq!((&ran["outcome"], &ran["success"]), (&"written".into(), &true.into()));
    assert_eq!((s.text("a.json"), s.text("seen")), (set(BASE, "a", 2), BASE.to_owned()));
    assert!(s.text("name").ends_with("/a.json\n") && s.text("modes").starts_with("drwx------"));
    assert!(copies(&s).is_empty());
    // A file that is not there yet.
    s.write("editor", "echo new >\"$1\"");
    let mut command = s.command(["edit", "b.txt"]);
    command.env("VISUAL", "sh ./editor").env("EDITOR", "false");
    Ran::of(command.output().unwrap()).exits(0);
    assert_eq!(s.text("b.txt"), "new\n");
}

/// DESIGN §4, MERGE-4: what others wrote meanwhile is merged into it.
#[test]
fn merges_on_save() {
    let s = with_editor(
        "sed 's/\"b\": 1/\"b\": 5/' a.json | filelatch write a.json >/dev/null; sed -i 's/\"a\": 1/\"a\": 2/' \"$1\"",
    );
    let ran = edit(&s, &["--json"]).exits(0).json();
    assert_eq!(ran["outcome"], "merged");
    assert_eq!(s.text("a.json"), set(&set(BASE, "a", 2), "b", 5));
    assert!(copies(&s).is_empty());
}

/// DESIGN §4, MERGE-4: an editor that changes nothing, fails, or is not there: nothing is written, and a text that was changed stays.
#[test]
fn nothing_written() {
    let s = with_editor("touch \"$1\"");
    edit(&s, &[]).exits(0).says("nothing was changed");
    assert!(copies(&s).is_empty());
    s.write("editor", "exit 3");
    edit(&s, &[]).exits(1).says("nothing was written");
    assert!(copies(&s).is_empty(), "nothing to be kept");
    s.write("editor", "echo half >\"$1\"; exit 1");
    let ran = edit(&s, &[]).exits(1).says("nothing was written");
    copy_has(&s, &ran, "half\n");
    assert_eq!(s.text("a.json"), BASE);
    let mut command = s.command(["edit", "a.json"]);
    command.env("EDITOR", "no-such-editor");
    Ran::of(command.output().unwrap()).exits(1).says("nothing was written");
    assert_eq!(s.text("a.json"), BASE);
}

const BOTH_CHANGE_A: &str = "grep -q '<<<' \"$1\" && cp \"$1\" marked && { printf resolved >\"$1\"; exit; }\n\
     sed 's/\"a\": 1/\"a\": 8/' a.json | filelatch write a.json >/dev/null; sed -i 's/\"a\": 1/\"a\": 2/' \"$1\"";

/// DESIGN §4, MERGE-4: without a terminal a conflict is exit 3; both versions are stored, and the copy stays.
#[test]
fn conflict_without_a_terminal() {
    let s = with_editor(BOTH_CHANGE_A);
    let ran = edit(&s, &[]).exits(3);
    copy_has(&s, &ran, &set(BASE, "a", 2));
    assert_eq!(s.text("a.json"), set(BASE, "a", 8));
    let listed = s.run(["conflicts", "--json"]).exits(0).json();
    let id = listed["conflicts"][0]["id"].as_str().unwrap();
    assert!(ran.err.contains(id), "{}", ran.err);
    s.run(["conflicts", "resolve", id, "--keep", "mine"]).exits(0);
    assert_eq!(s.text("a.json"), set(BASE, "a", 2));
}

/// At a terminal, made by script(1). `None`: there is none here.
fn at_a_terminal(s: &Sandbox, answers: &str) -> Option<Ran> {
    let probe = s.program("script").args(["-qec", "true", "/dev/null"]).stdout(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = s.program("script");
    command.args(["-qec", "filelatch edit a.json", "/dev/null"]).env("EDITOR", "sh ./editor").env("SHELL", "/bin/sh");
    Some(feed(command, answers.as_bytes()))
}

/// MERGE-4: at a terminal the user is asked: mine, theirs, again with markers, or nothing.
#[test]
fn asked_at_a_terminal() {
    for (answer, file, open, left) in [
        ("m\n", set(BASE, "a", 2), 0, false),
        ("t\n", set(BASE, "a", 8), 0, false),
        ("what?\ne\n", "resolved".to_owned(), 0, false),
        ("q\n", set(BASE, "a", 8), 1, true),
    ] {
        let s = with_editor(BOTH_CHANGE_A);
        let Some(ran) = at_a_terminal(&s, answer) else { return };
        let shown = String::from_utf8_lossy(&ran.out).into_owned();
        assert!(shown.contains("keep [m]ine"), "{answer}: {shown}");
        assert_eq!(s.text("a.json"), file, "{answer}: {shown}");
        assert_eq!(copies(&s).len(), usize::from(left), "{answer}: {shown}");
        let listed = s.run(["conflicts", "--json"]).exits(0).json();
        assert_eq!(listed["conflicts"].as_array().unwrap().len(), open, "{answer}: {shown}");
        assert_eq!(ran.code, Some(if left { 3 } else { 0 }), "{answer}: {shown}");
        if answer.ends_with("e\n") {
            let marked = s.text("marked");
            assert!(marked.contains("<<<<<<< mine\n") && marked.contains("||||||| as it was"), "{marked}");
        }
    }
}
