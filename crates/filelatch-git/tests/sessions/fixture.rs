//! A repository in a folder of its own, with a git that knows no configuration but its own.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use filelatch::Filelatch;
use filelatch_git::{Git, Sessions, StartOptions, Started};

pub(crate) struct Fixture {
    root: tempfile::TempDir,
    /// Before the others in the PATH.
    pub(crate) path: Option<PathBuf>,
}

impl Fixture {
    /// An empty repository; `None`: there is no git here.
    pub(crate) fn empty() -> Option<Fixture> {
        Fixture::with(&["init", "-q", "-b", "main", "repo"])
    }

    /// With a repository that this command of git makes, in `repo`.
    pub(crate) fn with(init: &[&str]) -> Option<Fixture> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("home")).unwrap();
        let fixture = Fixture { root, path: None };
        let made = fixture.command(&fixture.top(), init).output().ok()?;
        assert!(made.status.success(), "{made:?}");
        Some(fixture)
    }

    /// With one commit: `a.json`, `dir/b.txt`, and a `.gitignore` that names `.env` and `*.log`.
    pub(crate) fn new() -> Option<Fixture> {
        let fixture = Fixture::empty()?;
        fixture.write("a.json", "{\n  \"a\": 1,\n  \"b\": 2\n}\n");
        fixture.write("dir/b.txt", "one\ntwo\nthree\n");
        fixture.write(".gitignore", ".env\n*.log\n");
        fixture.commit("first");
        Some(fixture)
    }

    pub(crate) fn top(&self) -> PathBuf {
        self.root.path().canonicalize().unwrap()
    }

    /// In the main working tree.
    pub(crate) fn main(&self, name: impl AsRef<Path>) -> PathBuf {
        let repo = self.top().join("repo");
        if name.as_ref().as_os_str().is_empty() { repo } else { repo.join(name) }
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        put(&self.main(name), content);
    }

    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.main(name)).unwrap()
    }

    pub(crate) fn env(&self) -> Vec<(&'static str, std::ffi::OsString)> {
        let mut env: Vec<(&str, std::ffi::OsString)> = vec![
            ("HOME", self.root.path().join("home").into()),
            ("XDG_CONFIG_HOME", self.root.path().join("home").into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CONFIG_GLOBAL", self.root.path().join("home/none").into()),
            ("GIT_AUTHOR_NAME", "n".into()),
            ("GIT_AUTHOR_EMAIL", "n@example.org".into()),
            ("GIT_COMMITTER_NAME", "n".into()),
            ("GIT_COMMITTER_EMAIL", "n@example.org".into()),
            ("GIT_AUTHOR_DATE", "1600000000 +0000".into()),
            ("GIT_COMMITTER_DATE", "1600000000 +0000".into()),
            ("GIT_CEILING_DIRECTORIES", self.top().into()),
        ];
        if let Some(path) = &self.path {
            let old = std::env::var_os("PATH").unwrap_or_default();
            let all = [path.clone()].into_iter().chain(std::env::split_paths(&old));
            env.push(("PATH", std::env::join_paths(all).unwrap()));
        }
        env
    }

    pub(crate) fn command<I: AsRef<OsStr>>(&self, dir: &Path, words: impl IntoIterator<Item = I>) -> Command {
        let mut command = Command::new("git");
        command.args(words).current_dir(dir).envs(self.env()).stdin(Stdio::null());
        command
    }

    /// Runs git in a folder; words are separated by blanks. Answers what it prints.
    #[track_caller]
    pub(crate) fn git_in(&self, dir: impl AsRef<Path>, words: &str) -> String {
        let done = self.command(dir.as_ref(), words.split(' ')).output().unwrap();
        assert!(done.status.success(), "git {words}: {done:?}");
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn git(&self, words: &str) -> String {
        self.git_in(self.main(""), words)
    }

    #[track_caller]
    pub(crate) fn commit(&self, message: &str) -> String {
        self.commit_in(self.main(""), message)
    }

    #[track_caller]
    pub(crate) fn commit_in(&self, dir: impl AsRef<Path>, message: &str) -> String {
        self.git_in(&dir, "add -A");
        self.git_in(&dir, &format!("commit -q --allow-empty -m {message}"));
        self.git_in(&dir, "rev-parse HEAD")
    }

    /// The runner, in this folder.
    pub(crate) fn runner(&self, dir: impl Into<PathBuf>) -> Git {
        self.env().into_iter().fold(Git::new(dir), |git, (name, value)| git.env(name, value))
    }

    pub(crate) fn sessions(&self) -> Sessions {
        self.sessions_in(self.main(""))
    }

    pub(crate) fn sessions_in(&self, dir: impl Into<PathBuf>) -> Sessions {
        Sessions::open_with(self.runner(dir), &engine()).unwrap()
    }

    #[track_caller]
    pub(crate) fn start(&self, name: &str) -> Started {
        self.sessions().start(Some(name), &StartOptions::default()).unwrap()
    }

    /// git finds nothing wrong with the repository.
    #[track_caller]
    pub(crate) fn check(&self) {
        self.git("fsck --no-dangling --no-progress");
    }
}

pub(crate) fn engine() -> Filelatch {
    Filelatch::builder().session("tester").build()
}

pub(crate) fn put(path: &Path, content: impl AsRef<[u8]>) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}
