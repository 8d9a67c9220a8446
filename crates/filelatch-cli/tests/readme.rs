//! The README's transcript is true: every command in it is run, and prints what stands there (`…` stands for anything).
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
    let bin = Path::new(env!("CARGO_BIN_EXE_filelatch")).parent().expect("a folder").to_owned();
    let path = std::env::join_paths([bin.as_path(), Path::new("/usr/bin"), Path::new("/bin")]).expect("a search path");
    for Step { command, expected } in &steps {
        let output = Command::new("sh")
            .args(["-c", &format!("{{ {command}; }} 2>&1")])
            .current_dir(&scratch)
            .env_clear()
            .env("PATH", &path)
            .env("FILELATCH_SESSION", "alice")
            .stdin(Stdio::null())
            .output()
            .expect("sh runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(fits(expected, &printed), "$ {command}\nREADME:\n{expected}\nprinted:\n{printed}");
    }
}

#[test]
fn the_pattern_can_fail() {
    assert!(fits("a … c\n", "a b c\n") && fits("a\n", "a\n") && fits("x…y…z", "x1y2z"));
    assert!(!fits("a … c\n", "a b d\n") && !fits("a…c", "a\nc") && !fits("a", "ab") && !fits("a…bc", "ac"));
}
