//! Differences beside those of the real `git diff`, and through `git apply` and `patch`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use filelatch::diff::{DiffOptions, Difference, LineKind, diff};
use filelatch::merge::Algorithm;

use crate::cases::{Numbers, case};
use crate::git::{for_all_seeds, git, usable_git};

fn options(numbers: &mut Numbers) -> DiffOptions {
    DiffOptions {
        context: [3, 3, 3, 0, 1, 7][numbers.below(6)],
        algorithm: [Algorithm::Myers, Algorithm::Histogram][numbers.below(2)],
    }
}

fn by_git(dir: &Path, old: &[u8], new: &[u8], options: &DiffOptions) -> Vec<u8> {
    std::fs::write(dir.join("old"), old).unwrap();
    std::fs::write(dir.join("new"), new).unwrap();
    let algorithm = match options.algorithm {
        Algorithm::Myers => "--diff-algorithm=myers",
        Algorithm::Histogram => "--diff-algorithm=histogram",
    };
    let output = git(dir)
        .args(["diff", "--no-index", "--no-color", algorithm, &format!("-U{}", options.context), "old", "new"])
        .output()
        .unwrap();
    // Before `---` stand git's own lines.
    let start = output.stdout.windows(4).position(|at| at == b"--- ").unwrap_or(output.stdout.len());
    output.stdout[start..].to_vec()
}

fn difference(dir: &Path, seed: u64) -> Option<String> {
    let mut numbers = Numbers(seed);
    let options = options(&mut numbers);
    let case = case(&mut numbers);
    let (old, new) = (case.base, case.ours);
    let (git, ours) = (by_git(dir, &old, &new, &options), diff(&old, &new, &options).unified("a/old", "b/new"));
    if git == ours {
        return None;
    }
    let mut report = format!("case {seed}, {options:?}\n");
    for (name, content) in [("old", &old), ("new", &new), ("git diff", &git), ("filelatch", &ours)] {
        if old.len() < 2000 {
            writeln!(report, "--- {name}\n{}", content.escape_ascii().to_string().replace("\\n", "\\n\n")).unwrap();
        }
    }
    Some(report)
}

/// KEEP-1: a difference is shown as `git diff` shows it: the same hunks, headings and lines. 300 generated cases; 50,000 with
/// `FILELATCH_FULL`.
#[test]
fn differences_are_those_of_git() {
    for_all_seeds(300, 50_000, difference);
}

/// KEEP-1: `git apply` and `patch` make the new content of the old one, byte for byte.
#[test]
fn differences_are_applied() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let Some(()) = usable_git(dir) else { return };
    let patch = Command::new("patch").arg("--version").stdout(Stdio::null()).status().is_ok();
    for seed in 0..60 {
        let case = case(&mut Numbers(seed));
        let (old, new) = (case.base, case.ours);
        if old == new || old.is_empty() || new.is_empty() {
            continue;
        }
        let change = diff(&old, &new, &DiffOptions::default()).unified("a/the file.txt", "b/the file.txt");
        std::fs::write(dir.join("change.diff"), &change).unwrap();
        std::fs::write(dir.join("the file.txt"), &old).unwrap();
        let applied = git(dir).args(["apply", "--whitespace=nowarn", "change.diff"]).output().unwrap();
        assert!(applied.status.success(), "case {seed}: {applied:?}");
        assert_eq!(std::fs::read(dir.join("the file.txt")).unwrap(), new, "case {seed}: git apply");
        if patch {
            std::fs::write(dir.join("the file.txt"), &old).unwrap();
            let applied = Command::new("patch")
                .args(["-p1", "--binary", "--quiet", "--no-backup-if-mismatch", "--input=change.diff"])
                .current_dir(dir)
                .output()
                .unwrap();
            assert!(applied.status.success(), "case {seed}: {applied:?}");
            assert_eq!(std::fs::read(dir.join("the file.txt")).unwrap(), new, "case {seed}: patch");
        }
    }
}

/// KEEP-1: the marked bytes are where two lines differ, and what is not marked is the same on both sides.
#[test]
fn changed_words_are_marked() {
    let marks = |old: &str, new: &str| -> Vec<String> {
        let Difference::Lines(hunks) = diff(old.as_bytes(), new.as_bytes(), &DiffOptions::default()) else {
            panic!("no lines");
        };
        let lines = hunks.into_iter().flat_map(|hunk| hunk.lines).filter(|line| line.kind != LineKind::Context);
        lines
            .map(|line| {
                let mut text = String::new();
                let mut done = 0;
                for range in line.changed {
                    text += std::str::from_utf8(&line.bytes[done..range.start]).unwrap();
                    write!(text, "[{}]", std::str::from_utf8(&line.bytes[range.clone()]).unwrap()).unwrap();
                    done = range.end;
                }
                text + std::str::from_utf8(&line.bytes[done..]).unwrap().trim_end()
            })
            .collect()
    };
    assert_eq!(
        marks("  \"version\": \"1.2.3\",\n", "  \"version\": \"1.3.0\",\n"),
        ["  \"version\": \"[1.2.3]\",", "  \"version\": \"[1.3.0]\","]
    );
    assert_eq!(marks("größe = grün\n", "größe = blau\n"), ["größe = [grün]", "größe = [blau]"]);
    assert_eq!(marks("call(a)\n", "call(a,\n     b)\n"), ["call(a)", "call(a[,\n]", "[     b])"]);
    assert_eq!(marks("nothing alike\n", "other words here\n"), ["nothing alike", "other words here"]);
    assert_eq!(marks("a\n", ""), ["a"]);
}

/// KEEP-1: contents that are no text are said to differ, and no more.
#[test]
fn binary_contents_only_differ() {
    let options = DiffOptions::default();
    let change = diff(b"a\0b", b"a\0c", &options);
    assert_eq!(change, Difference::Binary);
    assert_eq!(change.unified("a/x", "/dev/null"), b"Binary files a/x and /dev/null differ\n");
    assert_eq!(diff(b"a\0b", b"a\0b", &options), Difference::None);
    assert_eq!(diff(b"a", b"a", &options).unified("a/x", "b/x"), b"");
}
