//! The transcripts of the README and of guides are true: every command in them is run, and prints what stands there (`…` stands for
//! anything).
#![expect(clippy::disallowed_methods, reason = "a test that plays a user")]

use std::path::Path;
use std::process::{Command, Stdio};

struct Step {
    command: String,
    expected: String,
}

fn steps(readme: &str) -> Vec<Step> {
    let transcript =
        readme.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a transcript");
    let mut steps: Vec<Step> = Vec::new();
    for line in transcript.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), expected: String::new() });
        } else {
            let expected = &mut steps.last_mut().expect("a command first").expected;
            expected.push_str(line);
            expected.push('\n');
        }
    }
    steps
}

/// Does `text` fit `pattern`, in which `…` stands for any text within a line?
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let parts: Vec<_> = parts.collect();
    for (i, part) in parts.iter().enumerate() {
        let at = if i + 1 == parts.len() { rest.len().checked_sub(part.len()) } else { rest.find(part) };
        match at {
            Some(at) if rest[at..].starts_with(part) && !rest[..at].contains('\n') => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty()
}

/// VER-10, VER-1, VER-3, LOCK-7: what the README shows is what happens.
#[test]
fn transcript() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = std::fs::read_to_string(root.join("README.md")).expect("README.md");
    let scratch = tempfile::tempdir().expect("a scratch folder");
    let steps = steps(&readme);
    assert!(steps.len() >= 6, "only {} commands found", steps.len());
    std::fs::write(scratch.path().join("config.yaml"), &steps[0].expected).expect("the file to begin with");
    for step in &steps {
        check(step, &run(&step.command, scratch.path()), "README");
    }
}

/// MERGE-5: what the guide about git shows is what happens.
#[test]
fn git_merge_driver() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guides/git-merge-driver.md");
    let steps = steps(&std::fs::read_to_string(guide).expect("the guide"));
    assert!(steps.len() >= 6, "only {} commands found", steps.len());
    let scratch = tempfile::tempdir().expect("a scratch folder");
    if Command::new("git").arg("--version").output().is_err() {
        return;
    }
    let package = |more: &str| {
        let text =
            format!("{{\n  \"name\": \"app\",\n  \"dependencies\": {{\n    \"left\": \"^1.0.0\"{more}\n  }}\n}}\n");
        std::fs::write(scratch.path().join("package.json"), text).expect("a file");
    };
    let commit = |first: &str| {
        let ran = run(&format!("{first} git add . && git commit -q -m x"), scratch.path());
        assert_eq!(ran, "", "{first}");
    };
    package("");
    commit("git init -q -b main &&");
    package(",\n    \"right\": \"^2.0.0\"");
    commit("git switch -q -c theirs &&");
    assert_eq!(run("git switch -q main", scratch.path()), "");
    package(",\n    \"up\": \"^3.0.0\"");
    commit("");
    for step in &steps {
        check(step, &run(&step.command, scratch.path()), "guide");
    }
}

/// SERVE-6: what the page about sessions shows is what happens.
#[test]
fn sessions() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/concepts/sessions.md");
    let steps = steps(&std::fs::read_to_string(page).expect("the page"));
    assert!(steps.len() >= 6, "only {} commands found", steps.len());
    let scratch = tempfile::tempdir().expect("a scratch folder");
    if Command::new("git").arg("--version").output().is_err() {
        return;
    }
    std::fs::write(scratch.path().join("notes.txt"), "notes\n").expect("a file");
    assert_eq!(run("git init -q -b main && git add . && git commit -q -m first", scratch.path()), "");
    for step in &steps {
        check(step, &run(&step.command, scratch.path()), "page");
    }
}

/// What the shell prints, with an environment of its own.
fn run(command: &str, dir: &Path) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_filelatch")).parent().expect("a folder");
    let path = std::env::join_paths([bin, Path::new("/usr/bin"), Path::new("/bin")]).expect("a search path");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{{ {command}; }} 2>&1")]).current_dir(dir).env_clear().env("PATH", path);
    shell.env("FILELATCH_SESSION", "alice").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        shell.env(format!("GIT_{who}_NAME"), "alice").env(format!("GIT_{who}_EMAIL"), "alice@example.org");
    }
    let output = shell.stdin(Stdio::null()).output().expect("sh runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[track_caller]
fn check(Step { command, expected }: &Step, printed: &str, document: &str) {
    assert!(fits(expected, printed), "$ {command}\n{document}:\n{expected}\nprinted:\n{printed}");
}

#[test]
fn the_pattern_can_fail() {
    assert!(fits("a … c\n", "a b c\n") && fits("a\n", "a\n") && fits("x…y…z", "x1y2z"));
    assert!(!fits("a … c\n", "a b d\n") && !fits("a…c", "a\nc") && !fits("a", "ab") && !fits("a…bc", "ac"));
}
