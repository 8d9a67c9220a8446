//! Merges of lines beside those of the real `git merge-file`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filelatch::merge::{Algorithm, ConflictStyle, Favor, Kind, Markers, MergeOptions, merge};

use crate::cases::{Case, Numbers, case, frequent};

/// What git is told.
#[derive(Debug)]
struct Settings {
    style: ConflictStyle,
    algorithm: Algorithm,
    favor: Option<Favor>,
    size: usize,
    labels: [String; 3],
}

impl Settings {
    fn new(numbers: &mut Numbers) -> Self {
        let styles = [ConflictStyle::Merge, ConflictStyle::Merge, ConflictStyle::Diff3, ConflictStyle::Zdiff3];
        let favors = [Favor::Ours, Favor::Theirs, Favor::Union, Favor::Union];
        Settings {
            style: styles[numbers.below(4)],
            algorithm: [Algorithm::Myers, Algorithm::Histogram][numbers.below(2)],
            favor: numbers.once_in(6).then(|| favors[numbers.below(4)]),
            size: if numbers.once_in(8) { 1 + numbers.below(40) } else { 7 },
            labels: if numbers.once_in(8) {
                ["our file.txt".to_owned(), "äöü".to_owned(), "HEAD~1 (a change)".to_owned()]
            } else {
                ["ours".to_owned(), "base".to_owned(), "theirs".to_owned()]
            },
        }
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["merge-file".to_owned(), "-p".to_owned(), "-q".to_owned()];
        for label in &self.labels {
            arguments.extend(["-L".to_owned(), label.clone()]);
        }
        match self.style {
            ConflictStyle::Merge => {}
            ConflictStyle::Diff3 => arguments.push("--diff3".to_owned()),
            ConflictStyle::Zdiff3 => arguments.push("--zdiff3".to_owned()),
        }
        match self.algorithm {
            Algorithm::Myers => {}
            Algorithm::Histogram => arguments.push("--diff-algorithm=histogram".to_owned()),
        }
        match self.favor {
            None => {}
            Some(Favor::Ours) => arguments.push("--ours".to_owned()),
            Some(Favor::Theirs) => arguments.push("--theirs".to_owned()),
            Some(Favor::Union) => arguments.push("--union".to_owned()),
        }
        if self.size != 7 {
            arguments.push(format!("--marker-size={}", self.size));
        }
        arguments
    }
}

/// git's exit status and output.
type Answer = (Option<i32>, Vec<u8>);

fn by_git(dir: &Path, case: &Case, settings: &Settings) -> Answer {
    std::fs::write(dir.join("base"), &case.base).unwrap();
    std::fs::write(dir.join("ours"), &case.ours).unwrap();
    std::fs::write(dir.join("theirs"), &case.theirs).unwrap();
    let output = git(dir).args(settings.arguments()).args(["ours", "base", "theirs"]).output().unwrap();
    (output.status.code(), output.stdout)
}

fn by_us(case: &Case, settings: &Settings) -> Answer {
    let options = MergeOptions { kind: Kind::Lines, algorithm: settings.algorithm, ..MergeOptions::default() };
    let merged = merge(&case.base, &case.ours, &case.theirs, &options);
    if let Some(favor) = settings.favor {
        return (Some(0), merged.favoring(favor, settings.style));
    }
    let markers = Markers { style: settings.style, size: settings.size, labels: settings.labels.clone() };
    let shown = merged.shown(settings.style);
    if settings.style == ConflictStyle::Merge {
        assert_eq!(merged.is_clean(), shown == 0, "the verdict");
    }
    (Some(i32::try_from(shown.min(127)).unwrap()), merged.render(&markers))
}

pub(crate) fn git(dir: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(dir).env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", dir).env("GIT_CEILING_DIRECTORIES", dir);
    git.stdin(Stdio::null());
    git
}

/// A git that knows `--diff-algorithm` (2.44), or `None` with a message.
pub(crate) fn usable_git(dir: &Path) -> Option<()> {
    let case = Case { base: b"a\n".to_vec(), ours: b"b\n".to_vec(), theirs: b"a\n".to_vec() };
    for name in ["base", "ours", "theirs"] {
        std::fs::write(dir.join(name), b"a\n").unwrap();
    }
    let probe = git(dir).args(["merge-file", "-p", "--diff-algorithm=histogram", "ours", "base", "theirs"]).output();
    if probe.is_ok_and(|output| output.status.success() && output.stdout == case.base) {
        return Some(());
    }
    eprintln!("skipped: no git that knows `merge-file --diff-algorithm`");
    None
}

/// Case `seed` by both; what differs, if anything does.
fn difference(dir: &Path, seed: u64) -> Option<String> {
    let mut numbers = Numbers(seed);
    let settings = Settings::new(&mut numbers);
    let case = case(&mut numbers);
    compared(dir, &case, &settings).map(|report| format!("case {seed}, {report}"))
}

fn compared(dir: &Path, case: &Case, settings: &Settings) -> Option<String> {
    let (git, ours) = (by_git(dir, case, settings), by_us(case, settings));
    if git == ours {
        return None;
    }
    let mut report = format!("{settings:?}\n");
    if case.base.len() < 2000 {
        for (name, content) in [
            ("base", &case.base),
            ("ours", &case.ours),
            ("theirs", &case.theirs),
            ("git merge-file", &git.1),
            ("filelatch", &ours.1),
        ] {
            writeln!(report, "--- {name}\n{}", content.escape_ascii().to_string().replace("\\n", "\\n\n")).unwrap();
        }
    }
    writeln!(report, "exit {:?} {:?}", git.0, ours.0).unwrap();
    Some(report)
}

fn plain(style: ConflictStyle, algorithm: Algorithm, favor: Option<Favor>) -> Settings {
    let labels = ["ours".to_owned(), "base".to_owned(), "theirs".to_owned()];
    Settings { style, algorithm, favor, size: 7, labels }
}

const STYLES: [ConflictStyle; 3] = [ConflictStyle::Merge, ConflictStyle::Diff3, ConflictStyle::Zdiff3];

/// MERGE-1: lines that both sides came to by different changes: the merge is clean, and in the styles that show the base git
/// shows a conflict.
#[test]
fn sides_that_agree_are_shown_as_git_shows_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(()) = usable_git(dir.path()) else { return };
    let content = |letters: &str| letters.chars().flat_map(|letter| [letter, '\n']).collect::<String>().into_bytes();
    let case = Case { base: content("aaa"), ours: content("abaa"), theirs: content("abab") };
    for style in STYLES {
        let settings = plain(style, Algorithm::Histogram, None);
        assert_eq!(compared(dir.path(), &case, &settings), None);
        let (conflicts, _) = by_us(&case, &settings);
        assert_eq!(conflicts, Some(i32::from(style != ConflictStyle::Merge)), "{style:?}");
    }
}

/// MERGE-1: lines that occur about as often as the histogram counts.
#[test]
fn frequent_lines_are_matched_as_git_matches_them() {
    let dir = tempfile::tempdir().unwrap();
    let Some(()) = usable_git(dir.path()) else { return };
    for count in 62..68 {
        for seed in 0..8 {
            let case = frequent(&mut Numbers(seed), count);
            let settings = plain(ConflictStyle::Diff3, Algorithm::Histogram, None);
            assert_eq!(compared(dir.path(), &case, &settings), None, "{count} times, seed {seed}");
        }
    }
}

/// MERGE-1: verdict, text and markers are those of `git merge-file`, byte for byte, in every style, with both algorithms, for
/// all line ends, and with `--ours`, `--theirs` and `--union`. 600 generated cases; 100,000 with `FILELATCH_FULL=1`, or those of
/// `FILELATCH_FULL=FIRST..LAST`.
#[test]
fn lines_are_merged_as_git_merges_them() {
    for_all_seeds(600, 100_000, difference);
}

/// Runs `difference` for a quick number of seeds, or as many as `FILELATCH_FULL` wants; fails if it finds any.
pub(crate) fn for_all_seeds(quick: u64, full: u64, difference: fn(&Path, u64) -> Option<String>) {
    let dir = tempfile::tempdir().unwrap();
    let Some(()) = usable_git(dir.path()) else { return };
    let seeds = match std::env::var("FILELATCH_FULL") {
        Err(_) => 0..quick,
        Ok(range) => match range.split_once("..") {
            Some((first, last)) => first.parse().unwrap()..last.parse().unwrap(),
            None => 0..full,
        },
    };
    let workers = 4;
    let reports: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| {
                let dir: PathBuf = dir.path().join(worker.to_string());
                let seeds = seeds.clone();
                scope.spawn(move || {
                    std::fs::create_dir(&dir).unwrap();
                    seeds.filter(|seed| seed % workers == worker).filter_map(|seed| difference(&dir, seed)).collect()
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| -> Vec<String> { thread.join().unwrap() }).collect()
    });
    let shown = reports.iter().min_by_key(|report| report.len());
    assert!(reports.is_empty(), "{} of {seeds:?} cases differ; the shortest:\n{}", reports.len(), shown.unwrap());
}
