//! `filelatch merge`: three files become one, on every system; and `--git`, beside git itself where there is one.

use serde_json::json;

use crate::sandbox::{Ran, Sandbox, feed};

const BASE: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\n";
const OURS: &str = "one\nTWO\nthree\nfour\nfive\nsix\nseven\n";
const THEIRS: &str = "one\ntwo\nthree\nfour\nfive\nSIX\nseven\n";
const MERGED: &str = "one\nTWO\nthree\nfour\nfive\nSIX\nseven\n";
const AGAINST: &str = "one\n2\nthree\nfour\nfive\nsix\nseven\n";

fn sandbox() -> Sandbox {
    let s = Sandbox::new();
    for (name, content) in [("base", BASE), ("ours", OURS), ("theirs", THEIRS), ("against", AGAINST)] {
        s.write(name, content);
    }
    s
}

fn lines(n: usize, line: impl Fn(usize) -> String) -> String {
    (0..n).map(line).collect()
}

fn is_silent(ran: &Ran) -> bool {
    ran.err.is_empty()
}

/// MERGE-1: changes that fit are printed merged; a conflict is printed with markers, the files' names behind them, and exits 3.
#[test]
fn printed() {
    let s = sandbox();
    assert_eq!(s.run(["merge", "base", "ours", "theirs"]).exits(0).says("2 places settled by lines").text(), MERGED);
    assert!(is_silent(&s.run(["merge", "-q", "base", "ours", "theirs"]).exits(0)));
    assert_eq!(s.run(["merge", "base", "base", "theirs"]).exits(0).says("ours had changed nothing").text(), THEIRS);
    assert_eq!(s.run(["merge", "base", "ours", "ours"]).exits(0).says("both made the same change").text(), OURS);
    let shown = "one\n<<<<<<< ours\nTWO\n=======\n2\n>>>>>>> against\nthree\nfour\nfive\nsix\nseven\n";
    assert_eq!(s.run(["merge", "base", "ours", "against"]).exits(3).says("1 conflict").text(), shown);
    let options = ["--style", "diff3", "--marker-size", "9", "--label", "mine", "-L", "old", "-L", "-"];
    let shown =
        "one\n<<<<<<<<< mine\nTWO\n||||||||| old\ntwo\n=========\n2\n>>>>>>>>> -\nthree\nfour\nfive\nsix\nseven\n";
    let ran = s.run(["merge", "base", "ours", "against"].iter().chain(&options));
    assert_eq!(ran.exits(3).text(), shown);
}

/// MERGE-1: with `--output` the result is written as every write is; with an input as OUT, too.
#[test]
fn written() {
    let s = sandbox();
    let ran = s.run(["merge", "base", "ours", "theirs", "-o", "out"]).exits(0);
    assert_eq!((ran.text().as_str(), s.text("out").as_str()), ("", MERGED));
    s.run(["merge", "base", "ours", "against", "-o", "out"]).exits(3);
    assert!(s.text("out").contains("<<<<<<< ours\nTWO\n=======\n2\n>>>>>>> against\n"));
    s.run(["merge", "base", "ours", "theirs", "-o", "ours"]).exits(0);
    assert_eq!(s.text("ours"), MERGED);
    let hash = s.run(["hash", "ours"]).exits(0).text();
    let answer = s.run(["merge", "base", "ours", "theirs", "-o", "ours", "--json"]).exits(0).json();
    assert_eq!([&answer["outcome"], &answer["hash"]], [&json!("unchanged"), &json!(hash[..64])]);
    s.run(["merge", "base", "ours", "theirs", "-o", "gone/out"]).exits(1).says("does not exist");
}

/// MERGE-1: what happened, as data; content that is no text comes in base64.
#[test]
fn told_in_json() {
    let s = sandbox();
    let answer = s.run(["merge", "base", "ours", "theirs", "--json"]).exits(0).json();
    let expected = json!({"clean": true, "method": "lines", "fallback": null, "conflicts": [], "content": MERGED});
    assert_eq!(answer, expected);
    let answer = s.run(["merge", "base", "ours", "against", "--json"]).exits(3).json();
    let conflict = &answer["conflicts"][0];
    assert_eq!(
        json!([answer["clean"], conflict["base"], conflict["ours"], conflict["theirs"]]),
        json!([false, "two\n", "TWO\n", "2\n"])
    );
    s.write("latin", b"one\n\xe9\n");
    let answer = s.run(["merge", "base", "latin", "against", "--json"]).exits(3).json();
    assert_eq!([&answer["encoding"], &answer["conflicts"][0]["encoding"]], ["base64", "base64"]);
    let answer = s.run(["merge", "base", "gone", "theirs", "--json"]).exits(5).json();
    assert_eq!(answer["error"]["kind"], "not-found");
}

/// MERGE-1, bad input: what is not there, is no file, is binary, is given twice, is large.
#[test]
fn bad_input() {
    let s = sandbox();
    s.run(["merge", "gone", "ours", "theirs"]).exits(5).says("`gone` does not exist").says("nothing was merged");
    std::fs::create_dir(s.path("dir")).unwrap();
    s.run(["merge", "base", "dir", "theirs"]).exits(1).says("is a directory");
    s.run(["merge", "base", "ours", "theirs", "-o", "dir"]).exits(1).says("is a directory");
    s.write("binary", b"one\0two");
    let ran = s.run(["merge", "base", "binary", "theirs"]).exits(3).says("binary");
    assert_eq!(ran.out, b"one\0two");
    assert_eq!(s.run(["merge", "base", "ours", "binary"]).exits(3).text(), OURS);
    assert_eq!(s.run(["merge", "base", "base", "base"]).exits(0).says("theirs had changed nothing").text(), BASE);
    s.write("empty", "");
    assert_eq!(s.run(["merge", "empty", "empty", "ours"]).exits(0).text(), OURS);
    for wrong in [&["--kind", "pdf"][..], &["--rule", "x=y"], &["--list", "a"], &["--list", "a=set"], &["-p"]] {
        s.run(["merge", "base", "ours", "theirs"].iter().chain(wrong)).exits(2);
    }
    s.run(["merge", "base", "ours", "theirs", "--marker-size", "1001"]).exits(2).says("1,000 characters");
    s.run(["merge", "base", "ours", "theirs", "-L", "1", "-L", "2", "-L", "3", "-L", "4"])
        .exits(2)
        .says("three labels");

    // 50 MB, changed at both ends.
    let large = lines(1_000_000, |i| format!("line {i:>8} of a file that is rather long, again\n"));
    s.write("large", &large);
    s.write("large-ours", format!("first\n{large}"));
    s.write("large-theirs", format!("{large}last\n"));
    let ran = s.run(["merge", "large", "large-ours", "large-theirs"]).exits(0);
    assert!(ran.out == format!("first\n{large}last\n").as_bytes());
}

/// MERGE-2, VER-5: rules of the document's owner: on the command line, or in the workspace that its name lies in.
#[test]
fn rules() {
    let s = sandbox();
    for (name, version) in [("b.json", "1.0.0"), ("o.json", "1.1.0"), ("t.json", "1.10.0")] {
        s.write(name, format!("{{\"version\": \"{version}\"}}\n"));
    }
    let files = ["b.json", "o.json", "t.json"];
    let higher = "{\"version\": \"1.10.0\"}\n";
    s.run(["merge"].iter().chain(&files)).exits(3);
    assert_eq!(s.run(["merge", "--rule", "version=higher"].iter().chain(&files)).exits(0).text(), higher);
    s.run(["init", "--no-git"]).exits(0);
    s.write(".filelatch/config.toml", "[[policy]]\nglob = \"v.json\"\n[policy.merge]\nversion = \"higher\"\n");
    s.run(["merge"].iter().chain(&files)).exits(3);
    assert_eq!(s.run(["merge", "--path", "v.json"].iter().chain(&files)).exits(0).text(), higher);
    s.run(["merge", "--path", "v.json", "--rule", "version=conflict"].iter().chain(&files)).exits(3);
    s.run(["merge-driver", "b.json", "o.json", "t.json", "7", "v.json"]).exits(0);
    assert_eq!(s.text("o.json"), higher);
    s.write(".filelatch/config.toml", "no = 1\n");
    s.run(["merge"].iter().chain(&files)).exits(1).says("unknown field");
}

/// MERGE-5, P17: `merge --git` answers as `git merge-file` does, result and exit status: clean, conflicts, more of them than a status can
/// say, favours, styles, labels, errors.
#[test]
fn in_place_of_git_merge_file() {
    let s = sandbox();
    s.write("binary", b"one\0two");
    s.write("open", "one\nTWO");
    s.write("overlap", "two\nx\nthree\nfour\nfive\nsix\nseven\n");
    s.write("overlap-too", "one\nx\nthree\nfour\nfive\nsix\nseven\n");
    s.write("open-too", "one\n2");
    let many = |by: &str| lines(300, |i| format!("{i}\n{by}{i}\n-\n-\n-\n"));
    for (name, by) in [("many", "x"), ("many-ours", "y"), ("many-theirs", "z")] {
        s.write(name, many(by));
    }
    let inputs = [
        ["ours", "base", "theirs"],
        ["ours", "base", "against"],
        ["ours", "base", "base"],
        ["many-ours", "many", "many-theirs"],
        ["open", "base", "open-too"],
        ["open-too", "base", "against"],
        ["overlap", "base", "overlap-too"],
        ["binary", "base", "theirs"],
        ["gone", "base", "theirs"],
        ["ours", "gone", "theirs"],
    ];
    let options = [
        "",
        "-q",
        "--diff3",
        "--zdiff3",
        "--ours",
        "--theirs",
        "--union",
        "--ours --union",
        "--marker-size 3",
        "--marker-size=-1",
        "-L a",
        "-L a -L b -L c --diff3",
        "-L 1 -L 2 -L 3 -L 4",
        "--no-such-option",
        "--diff-algorithm histogram",
        "--diff-algorithm x",
        "--marker-size x",
    ];
    if s.program("git").arg("--version").output().is_err() {
        return;
    }
    // git knows the option since 2.44.
    let probe = s
        .program("git")
        .args(["merge-file", "-p", "--diff-algorithm=myers", "ours", "base", "theirs"])
        .output()
        .unwrap();
    let knows_algorithms = probe.status.code() != Some(129);
    for input in inputs {
        for option in options {
            if option.contains("algorithm") && !knows_algorithms {
                continue;
            }
            let options: Vec<_> = option.split_whitespace().chain(["-p"]).chain(input).collect();
            let mut git = s.program("git");
            git.arg("merge-file").args(&options).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1");
            let git = feed(git, b"");
            let ours = s.run(["merge", "--git", "--kind", "lines"].iter().chain(&options));
            assert_eq!((ours.code, ours.text()), (git.code, git.text()), "{options:?}: {ours:?}");
            assert!(!option.contains("-q") || is_silent(&ours), "{options:?}: {ours:?}");
        }
    }
    // Without `-p` the result is in CURRENT; after an error it is as it was.
    s.run(["merge", "--git", "ours", "base", "against"]).exits(1);
    assert!(s.text("ours").contains("<<<<<<< ours\nTWO\n=======\n2\n>>>>>>> against\n"));
    s.run(["merge", "--git", "against", "base", "binary"]).exits(255);
    assert_eq!(s.text("against"), AGAINST);
    s.run(["merge", "--git", "against", "base"]).exits(129);
}
