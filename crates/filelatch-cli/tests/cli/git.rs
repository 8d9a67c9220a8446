//! filelatch inside git: `git-setup`, and `merge-driver` under merge, rebase, cherry-pick and stash of a real git.
//!
//! The sandbox has a home of its own, so no configuration of the user or the machine counts. Without git nothing is tried.

use std::path::Path;

use serde_json::json;

use crate::sandbox::{Ran, Sandbox, feed};

/// Neighbouring lines changed: a conflict to git, none by keys.
const BASE: &str = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
const OURS: &str = "{\n  \"a\": 10,\n  \"b\": 2\n}\n";
const THEIRS: &str = "{\n  \"a\": 1,\n  \"b\": 20\n}\n";
const MERGED: &str = "{\n  \"a\": 10,\n  \"b\": 20\n}\n";
const AGAINST: &str = "{\n  \"a\": 11,\n  \"b\": 2\n}\n";

/// A repository in a sandbox.
struct Repo(Sandbox);

impl Repo {
    /// `None`: there is no git here.
    fn new() -> Option<Repo> {
        let repo = Repo(Sandbox::new());
        repo.0.program("git").arg("--version").output().ok()?;
        repo.git("init -q -b main").exits(0);
        Some(repo)
    }

    /// With the driver for the usual files, or for those named.
    fn with_driver(patterns: &[&str]) -> Option<Repo> {
        let repo = Repo::new()?;
        repo.filelatch(&["git-setup", "--yes", "--info"].iter().chain(patterns).collect::<Vec<_>>()).exits(0);
        Some(repo)
    }

    /// Runs git; words are separated by blanks.
    fn git(&self, words: &str) -> Ran {
        let mut git = self.0.program("git");
        git.args(words.split(' '));
        isolate(&mut git);
        feed(git, b"")
    }

    fn filelatch(&self, args: &[impl AsRef<std::ffi::OsStr>]) -> Ran {
        let mut command = self.0.command(args);
        isolate(&mut command);
        feed(command, b"")
    }

    fn commit(&self, files: &[(&str, &str)]) {
        for (name, content) in files {
            self.0.write(name, content);
        }
        self.git("add -A").exits(0);
        self.git("commit -q -m x").exits(0);
    }

    /// One version on `main`, ours; and theirs on a branch, from a common one. Ours is checked out.
    fn diverge(&self, name: &str, base: &str, ours: &str, theirs: &str) {
        self.commit(&[(name, base)]);
        self.git("switch -q -c theirs").exits(0);
        self.commit(&[(name, theirs)]);
        self.git("switch -q main").exits(0);
        self.commit(&[(name, ours)]);
    }

    fn text(&self, name: &str) -> String {
        self.0.text(name)
    }

    /// Nothing is left but these files.
    #[track_caller]
    fn has_only(&self, names: &[&str]) {
        assert_eq!(self.0.names(), [&[".git"], names].concat());
    }
}

fn isolate(command: &mut std::process::Command) {
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "n").env(format!("GIT_{who}_EMAIL"), "n@example.org");
        // The same commits have the same hashes each time.
        command.env(format!("GIT_{who}_DATE"), "1600000000 +0000");
    }
}

/// MERGE-5: git alone has a conflict; with the driver `git merge`, `git rebase`, `git cherry-pick` and `git stash pop` go through,
/// and leave nothing beside the file.
#[test]
fn through_git() {
    for (setup, doing) in [
        ("", "merge -q --no-edit theirs"),
        ("", "rebase -q theirs"),
        ("", "cherry-pick theirs"),
        ("checkout theirs -- f.json/reset -q/stash -q", "stash pop -q"),
    ] {
        for with_driver in [false, true] {
            let Some(repo) = Repo::new() else { return };
            if with_driver {
                repo.filelatch(&["git-setup", "--info"]).exits(0);
            }
            if setup.is_empty() {
                repo.diverge("f.json", BASE, OURS, THEIRS);
            } else {
                // Stashed on the common version, taken out on ours.
                repo.commit(&[("f.json", BASE)]);
                repo.0.write("f.json", THEIRS);
                repo.git("stash -q").exits(0);
                repo.commit(&[("f.json", OURS)]);
            }
            let ran = repo.git(doing);
            let found = repo.text("f.json");
            if with_driver {
                assert_eq!((ran.code, found.as_str()), (Some(0), MERGED), "{doing}: {ran:?}");
                repo.has_only(&["f.json"]);
            } else {
                assert!(ran.code != Some(0) && found.contains("<<<<<<<"), "{doing}: {ran:?}");
            }
        }
    }
}

/// MERGE-5: a real conflict: markers in the style that git is configured to show, with git's labels; git knows of the conflict and
/// says what it is about.
#[test]
fn conflicts() {
    for (style, shown) in [
        ("", "<<<<<<< HEAD\n  \"a\": 10,\n=======\n  \"a\": 11,\n>>>>>>> theirs\n"),
        (
            "-c merge.conflictStyle=diff3 ",
            "<<<<<<< HEAD\n  \"a\": 10,\n||||||| BASE\n  \"a\": 1,\n=======\n  \"a\": 11,\n>>>>>>> theirs\n",
        ),
        (
            "-c merge.conflictStyle=zdiff3 ",
            "<<<<<<< HEAD\n  \"a\": 10,\n||||||| BASE\n  \"a\": 1,\n=======\n  \"a\": 11,\n>>>>>>> theirs\n",
        ),
    ] {
        let Some(repo) = Repo::with_driver(&[]) else { return };
        repo.diverge("f.json", BASE, OURS, AGAINST);
        let base = repo.git("rev-parse --short HEAD~").text();
        let ran = repo.git(&format!("{style}merge theirs")).exits(1).says("f.json: 1 conflict");
        assert!(ran.text().contains("CONFLICT (content)"), "{ran:?}");
        let shown = shown.replace("BASE", base.trim());
        assert_eq!(repo.text("f.json"), format!("{{\n{shown}  \"b\": 2\n}}\n"), "{style}");
        assert_eq!(repo.git("ls-files -u").text().lines().count(), 3);
        repo.has_only(&["f.json"]);
    }
}

/// MERGE-5: for files whose kind is not known the driver leaves what git leaves, to the byte and the index, so `*` is harmless: clean,
/// conflict, in every style, CRLF, no line end at the end, binary, added on both sides, empty.
#[test]
fn harmless_for_everything() {
    let lines = |changed: &[(usize, &str)], end: &str| {
        let mut lines: Vec<_> = (0..30).map(|i| format!("line {i}")).collect();
        for &(i, new) in changed {
            lines[i] = new.to_owned();
        }
        lines.join(end)
    };
    let cases = [
        ["clean", &lines(&[], "\n"), &lines(&[(3, "x")], "\n"), &lines(&[(20, "y")], "\n")],
        ["conflict", &lines(&[], "\n"), &lines(&[(3, "x"), (9, "x")], "\n"), &lines(&[(3, "y"), (9, "y")], "\n")],
        ["same", &lines(&[], "\n"), &lines(&[(3, "x"), (4, "p")], "\n"), &lines(&[(3, "x"), (4, "q")], "\n")],
        ["crlf", &lines(&[], "\r\n"), &lines(&[(3, "x")], "\r\n"), &lines(&[(3, "y")], "\r\n")],
        ["end", &lines(&[], "\n"), &lines(&[(29, "x")], "\n"), &lines(&[(29, "y")], "\n")],
        ["overlap", "1\n2\n3\n", "1\nx\ny\n3\n", "x\ny\n3\n"],
        ["binary", "a\0b", "a\0c", "a\0d"],
        ["added", "", "a\nb\n", "a\nc\n"],
        ["emptied", &lines(&[], "\n"), "", &lines(&[(3, "y")], "\n")],
    ];
    for style in ["merge", "diff3", "zdiff3"] {
        let left = |with_driver: bool| {
            let repo = if with_driver { Repo::with_driver(&["*"]) } else { Repo::new() }?;
            let of = |side: usize| cases.map(|case| (case[0], case[side]));
            repo.commit(&of(1));
            repo.git("switch -q -c theirs").exits(0);
            repo.commit(&of(3));
            repo.git("switch -q main").exits(0);
            repo.commit(&of(2));
            let ran = repo.git(&format!("-c merge.conflictStyle={style} merge theirs"));
            let contents = cases.map(|case| (case[0], String::from_utf8_lossy(&repo.0.bytes(case[0])).into_owned()));
            Some((ran.code, contents, repo.git("ls-files -s").text(), repo.git("status --porcelain").text()))
        };
        let Some(expected) = left(false) else { return };
        assert_eq!(left(true).unwrap(), expected, "{style}");
    }
}

/// MERGE-5: a resolution that git remembers (rerere) is found again.
#[test]
fn rerere() {
    let Some(repo) = Repo::with_driver(&[]) else { return };
    repo.git("config rerere.enabled true").exits(0);
    repo.diverge("f.json", BASE, OURS, AGAINST);
    repo.git("merge theirs").exits(1);
    let resolved = BASE.replace("\"a\": 1", "\"a\": 21");
    repo.commit(&[("f.json", &resolved)]);
    repo.git("reset -q --hard HEAD~").exits(0);
    repo.git("merge theirs").exits(1).says("using previous resolution");
    assert_eq!(repo.text("f.json"), resolved);
}

/// MERGE-5: branches that were merged crosswise have a base that is itself a merge, with conflicts in it: what is left is what git
/// leaves, markers of markers included; and JSON that both resolved alike is clean.
#[test]
fn crosswise() {
    let build = |with_driver: bool, name: &str, versions: [&str; 5]| {
        let repo = if with_driver { Repo::with_driver(&["*"]) } else { Repo::new() }?;
        let [base, ours, theirs, our_merge, their_merge] = versions;
        repo.diverge(name, base, ours, theirs);
        repo.git("tag ours").exits(0);
        repo.git("merge theirs").exits(1);
        repo.commit(&[(name, our_merge)]);
        repo.git("switch -q theirs").exits(0);
        repo.git("merge ours").exits(1);
        repo.commit(&[(name, their_merge)]);
        repo.git("switch -q main").exits(0);
        let ran = repo.git("-c merge.conflictStyle=diff3 merge --no-edit theirs");
        Some((ran.code, repo.text(name)))
    };
    let versions = ["1\n2\n3\n", "1\nours\n3\n", "1\ntheirs\n3\n", "1\nour merge\n3\n", "1\ntheir merge\n3\n"];
    let Some(expected) = build(false, "f", versions) else { return };
    assert!(expected.1.contains("<<<<<<<<< "), "{expected:?}");
    assert_eq!(build(true, "f", versions).unwrap(), expected);
    let merged = BASE.replace('1', "21");
    let alike = [BASE, OURS, AGAINST, &merged, &merged];
    assert_eq!(build(true, "f.json", alike).unwrap(), (Some(0), merged.clone()));
    let one_more = merged.replace("2\n}", "2,\n  \"c\": 3\n}");
    let (code, text) = build(true, "f.json", [BASE, OURS, AGAINST, &merged, &one_more]).unwrap();
    assert!(code == Some(1) || text == one_more, "{code:?} {text}");
    assert!(text.contains("\"c\": 3"), "{text}");
}

/// MERGE-5: deleted here and changed there stays git's business.
#[test]
fn deleted_and_changed() {
    let Some(repo) = Repo::with_driver(&[]) else { return };
    repo.diverge("f.json", BASE, OURS, THEIRS);
    repo.git("rm -q f.json").exits(0);
    repo.git("commit -q -m gone").exits(0);
    let ran = repo.git("merge theirs").exits(1);
    assert!(ran.text().contains("CONFLICT (modify/delete)"), "{ran:?}");
    assert_eq!(repo.text("f.json"), THEIRS);
}

/// MERGE-5: the program stands where its path has blanks, quotes and percent signs; later it is gone: then git merges, and leaves what it
/// leaves by itself.
#[test]
fn where_the_program_is() {
    let Some(repo) = Repo::new() else { return };
    let dir = repo.0.path("../it's 100% \"here\" $HOME");
    std::fs::create_dir(&dir).unwrap();
    let program = dir.join("filelatch");
    repo.0.copy_program(&program);
    let mut setup = repo.0.program(&program);
    setup.args(["git-setup", "--info"]);
    isolate(&mut setup);
    feed(setup, b"").exits(0);
    repo.diverge("f.json", BASE, OURS, THEIRS);
    repo.git("merge -q --no-edit theirs").exits(0);
    assert_eq!(repo.text("f.json"), MERGED);
    repo.git("reset -q --hard HEAD~").exits(0);
    std::fs::remove_file(&program).unwrap();
    repo.git("merge theirs").exits(1).says("filelatch is gone: merged by git");
    let left = repo.text("f.json");
    assert!(left.contains("<<<<<<< HEAD\n") && left.contains(">>>>>>> theirs\n"), "{left}");
    assert_eq!(repo.git("ls-files -u").text().lines().count(), 3);
}

/// MERGE-5: attributes without a configuration, as for those who have not run git-setup, are git's own merge.
#[test]
fn attributes_alone() {
    let Some(repo) = Repo::new() else { return };
    repo.0.write(".gitattributes", "*.json merge=filelatch\n");
    repo.diverge("f.json", BASE, OURS, THEIRS);
    repo.git("merge theirs").exits(1);
    assert!(repo.text("f.json").contains("<<<<<<< HEAD\n"));
}

/// MERGE-5, P17: how the driver ends: 0, 1, and more than 128 for what must stop git.
#[test]
fn statuses_of_the_driver() {
    let s = Sandbox::new();
    let prepare = || {
        for (name, content) in [("base", BASE), ("ours", OURS), ("theirs", THEIRS), ("against", AGAINST)] {
            s.write(name, content);
        }
    };
    prepare();
    let driver = |args: &[&str]| s.run(["merge-driver"].iter().chain(args));
    driver(&["base", "ours", "theirs", "7", "f.json"]).exits(0);
    assert_eq!(s.text("ours"), MERGED);
    prepare();
    // An old git passes on what it does not know; an empty label is none.
    driver(&["--", "base", "ours", "against", "9", "f.json", "%S", "%X", ""]).exits(1).says("f.json: 1 conflict");
    assert!(
        s.text("ours").contains("\n<<<<<<<<< ours\n  \"a\": 10,\n=========\n  \"a\": 11,\n>>>>>>>>>\n"),
        "{}",
        s.text("ours")
    );
    prepare();
    for wrong in [&["base", "gone", "theirs"][..], &["gone", "ours", "theirs"], &["base", "ours", "."]] {
        driver(wrong).exits(255);
    }
    for wrong in [&["base", "ours"][..], &["base", "ours", "theirs", "seven"], &["--no-such-option"]] {
        driver(wrong).exits(129);
    }
    s.write("theirs", b"\0");
    driver(&["base", "ours", "theirs", "7", "f.json"]).exits(1).says("binary");
    assert_eq!(s.text("ours"), OURS);
    assert_eq!(s.names(), ["against", "base", "ours", "theirs"]);
}

/// MERGE-5: git-setup shows what it does, does it once, and undoes it to the byte: new files go, others are as they were.
#[test]
fn set_up_and_undone() {
    let Some(repo) = Repo::new() else { return };
    let config = || repo.text(".git/config");
    let before = config();
    let ran = repo.filelatch(&["git-setup", "--dry-run"]).exits(0);
    ran.says("`PATTERN merge=filelatch`: *.json ").says("git config --local merge.filelatch.driver");
    assert_eq!(config(), before);
    repo.has_only(&[]);

    repo.filelatch(&["git-setup"]).exits(0).says("gets at its top");
    repo.has_only(&[".gitattributes"]);
    assert!(config().contains("[merge \"filelatch\"]"));
    assert_eq!(repo.git("check-attr merge a/b.yaml").text(), "a/b.yaml: merge: filelatch\n");
    let once = (repo.text(".gitattributes"), config());
    repo.filelatch(&["git-setup", "--yes"]).exits(0).says("everything is set up already");
    assert_eq!((repo.text(".gitattributes"), config()), once);

    repo.filelatch(&["git-setup", "--remove", "--dry-run"]).exits(0).says("is removed");
    assert_eq!((repo.text(".gitattributes"), config()), once);
    repo.filelatch(&["git-setup", "--remove"]).exits(0);
    assert_eq!(config(), before);
    repo.has_only(&[]);
    repo.filelatch(&["git-setup", "--remove"]).exits(0).says("there is nothing to undo");

    // A file that was there, from a folder below; lines that came meanwhile stay.
    let own = "*.png binary\r\n*.json merge=union";
    repo.0.write(".gitattributes", own);
    std::fs::create_dir(repo.0.path("sub")).unwrap();
    let mut below = repo.0.command(["git-setup", "*.json", "*.toml"]);
    isolate(below.current_dir(repo.0.path("sub")));
    feed(below, b"").exits(0);
    assert_eq!(repo.git("check-attr merge a.json b.toml").text(), "a.json: merge: union\nb.toml: merge: filelatch\n");
    repo.0.write(".gitattributes", repo.text(".gitattributes") + "\n*.x text\n");
    repo.git("config merge.filelatch.recursive binary").exits(0);
    repo.filelatch(&["git-setup", "--remove"]).exits(0);
    assert_eq!(repo.text(".gitattributes"), format!("{own}\n*.x text\n"));
    assert!(config().ends_with("[merge \"filelatch\"]\n\trecursive = binary\n"), "{}", config());
}

/// MERGE-5: for this copy alone, for all repositories of the user, in a bare one, in a worktree; outside of any nothing is done.
#[test]
fn where_it_is_set_up() {
    let Some(repo) = Repo::new() else { return };
    repo.filelatch(&["git-setup", "--info"]).exits(0);
    repo.has_only(&[]);
    let answer = repo.filelatch(&["git-setup", "--remove", "--json"]).exits(0).json();
    assert_eq!(answer["config"]["unset"], json!(["merge.filelatch.name", "merge.filelatch.driver"]));
    assert!(answer["attributes"][0]["path"].as_str().unwrap().ends_with("info/attributes"), "{answer}");
    assert!(!repo.0.path(".git/info/attributes").exists());

    let home = |name: &str| repo.0.path("../home").join(name);
    repo.filelatch(&["git-setup", "--global"]).exits(0);
    assert_eq!(repo.git("check-attr merge a.json").text(), "a.json: merge: filelatch\n");
    assert!(home(".gitconfig").exists());
    repo.diverge("f.json", BASE, OURS, THEIRS);
    repo.git("merge -q --no-edit theirs").exits(0);
    assert_eq!(repo.text("f.json"), MERGED);
    repo.filelatch(&["git-setup", "--global", "--remove"]).exits(0);
    assert!(!home(".gitconfig").exists() && !home(".config/git/attributes").exists());
    std::fs::write(home(".gitconfig"), "[core]\n\tattributesFile = ~/mine\n").unwrap();
    repo.filelatch(&["git-setup", "--global"]).exits(0);
    assert!(home("mine").exists());
    repo.filelatch(&["git-setup", "--global", "--remove"]).exits(0);
    assert_eq!(std::fs::read_to_string(home(".gitconfig")).unwrap(), "[core]\n\tattributesFile = ~/mine\n");

    let inside = |dir: &Path, args: &[&str]| {
        let mut command = repo.0.command(args);
        isolate(command.current_dir(dir));
        feed(command, b"")
    };
    repo.git("worktree add -q ../tree").exits(0);
    inside(&repo.0.path("../tree"), &["git-setup"]).exits(0);
    assert!(repo.0.path("../tree/.gitattributes").exists() && !repo.0.path(".gitattributes").exists());
    repo.git("init -q --bare ../bare").exits(0);
    inside(&repo.0.path("../bare"), &["git-setup"]).exits(0);
    assert!(repo.0.path("../bare/info/attributes").exists());
    inside(&repo.0.path("../home"), &["git-setup"])
        .exits(1)
        .says("there is no repository here")
        .says("nothing was changed");
    for wrong in [&["git-setup", "a b"][..], &["git-setup", "!x"], &["git-setup", "--global", "--info"]] {
        repo.filelatch(wrong).exits(2);
    }
}
