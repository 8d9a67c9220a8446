//! `filelatch watch`: what it says of changes, and how it ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, ChildStdout, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// A watch that has said that it watches. Killed when dropped.
struct Watch {
    child: Child,
    out: Option<BufReader<ChildStdout>>,
    ready: Value,
}

impl Watch {
    fn start(s: &Sandbox, args: &[&str]) -> Watch {
        let mut command = s.command(["watch", "--json"].iter().chain(args));
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = Some(BufReader::new(child.stdout.take().unwrap()));
        let mut watch = Watch { child, out, ready: Value::Null };
        watch.ready = watch.next();
        assert_eq!(watch.ready["kind"], "ready");
        watch
    }

    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.out.as_mut().unwrap().read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line:?}, {:?}", self.err()))
    }

    /// Kind, path, origin.
    fn brief(&mut self) -> [String; 3] {
        let told = self.next();
        ["kind", "path", "origin"].map(|field| told[field].as_str().unwrap_or("").to_owned())
    }

    /// The paths of the next lines, sorted: what happens at the same time is told in any order.
    fn paths(&mut self, lines: usize) -> Vec<String> {
        let mut paths: Vec<_> = (0..lines).map(|_| self.brief()[1].clone()).collect();
        paths.sort();
        paths
    }

    fn err(&mut self) -> String {
        let mut text = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The rest of what it says, what it says on standard error, and its status.
    fn end(mut self) -> (Vec<Value>, String, Option<i32>) {
        let mut rest = String::new();
        self.out.as_mut().unwrap().read_to_string(&mut rest).unwrap();
        let lines = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        (lines, self.err(), self.child.wait().unwrap().code())
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Puts a file into the folder, whole: one that is written there may be seen before it is done, which is told as two changes.
fn put(s: &Sandbox, name: impl AsRef<std::path::Path>, bytes: &str) {
    s.write("../tmp/new", bytes);
    std::fs::rename(s.path("../tmp/new"), s.path(name)).unwrap();
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn workspace() -> Sandbox {
    let s = Sandbox::new();
    s.run(["init", "--no-git"]).exits(0);
    s
}

/// WATCH-1, WATCH-2: each change as one line of JSON, with what is there now and whose it is.
#[test]
fn watch_1_changes_as_json() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &["."]);
    assert_eq!(keys(&watch.ready), ["kind", "paths", "mode", "why", "intervalMs", "resumed", "cursor"]);
    assert_eq!((&watch.ready["paths"], &watch.ready["resumed"]), (&json!(["."]), &json!("no")));
    let hash = s.run_with("one", ["write", "a.txt", "--session", "agent-7"]).exits(0).text();
    let created = watch.next();
    assert_eq!(keys(&created), ["kind", "path", "hash", "size", "origin", "by", "at", "cursor"]);
    assert_eq!((&created["kind"], &created["path"]), (&json!("created"), &json!("./a.txt")));
    assert_eq!((&created["hash"], &created["size"]), (&json!(hash.trim()), &json!(3)));
    // On a file system without attributes nobody knows.
    let attributed = created["origin"] == "session";
    assert_eq!(created["by"], if attributed { json!("agent-7") } else { Value::Null });
    put(&s, "a.txt", "by an editor");
    let origin = if attributed { "external" } else { "unknown" };
    assert_eq!(watch.brief(), ["modified", "./a.txt", origin]);
    std::fs::rename(s.path("a.txt"), s.path("b.txt")).unwrap();
    let renamed = watch.next();
    assert_eq!([&renamed["kind"], &renamed["from"], &renamed["path"]], ["renamed", "./a.txt", "./b.txt"]);
    std::fs::remove_file(s.path("b.txt")).unwrap();
    let deleted = watch.next();
    assert_eq!([&deleted["kind"], &deleted["path"]], ["deleted", "./b.txt"]);
    assert_eq!([&deleted["hash"], &deleted["size"], &deleted["by"]], [&Value::Null; 3]);
}

/// WATCH-1: the same as people see it, one line each whatever a name is made of, flushed at once.
#[test]
fn watch_1_changes_as_text() {
    let s = Sandbox::new();
    let mut child =
        s.command(["watch", ".", "--count", "2"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut ready = String::new();
    err.read_line(&mut ready).unwrap();
    assert_eq!(ready, "note: watching; Ctrl-C ends it\n");
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let mut line = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        line
    };
    let hash = s.run_with("one", ["write", "a\nb\u{1b}[2J", "--session", "agent-7"]).exits(0).text();
    let told = line();
    assert!(told.starts_with(&format!("created   ./a\\nb\\u{{1b}}[2J  {}  ", &hash[..16])), "{told}");
    assert!(told.ends_with("  by agent-7\n") || told.ends_with("  unknown\n"), "{told}");
    std::fs::remove_file(s.path("a\nb\u{1b}[2J")).unwrap();
    assert!(line().starts_with("deleted   ./a\\nb\\u{1b}[2J  -  "));
    assert_eq!(line(), "");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// WATCH-1: a name that is no text is shown as elsewhere.
#[test]
fn watch_1_names_that_are_no_text() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &["."]);
    put(&s, OsStr::from_bytes(b"a\xff"), "x");
    assert_eq!(watch.next()["path"], "./a\u{fffd}");
}

/// WATCH-1: whoever closes the output ends it, also while nothing happens; quietly.
#[test]
fn watch_1_a_closed_pipe_ends_it() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &["."]);
    drop(watch.out.take());
    assert_eq!(watch.child.wait().unwrap().code(), Some(0));
    assert_eq!(watch.err(), "");
}

/// WATCH-1: signals end it with status 0, when its state is saved: the next one goes on without a gap and without a reset.
#[test]
fn watch_1_signals_save_and_end() {
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let s = workspace();
        let mut watch = Watch::start(&s, &[".", "--resume", "tests"]);
        put(&s, "a", "1");
        let cursor = watch.next()["cursor"].as_str().unwrap().to_owned();
        watch.signal(signal);
        let (rest, err, status) = watch.end();
        assert_eq!((rest, err.as_str(), status), (vec![], "", Some(0)));
        put(&s, "a", "2");
        put(&s, "b", "new");
        let mut again = Watch::start(&s, &[".", "--resume", "tests", "--since", &cursor]);
        assert_eq!(again.ready["resumed"], "yes");
        let mut told = [again.brief(), again.brief(), again.brief()].map(|[kind, path, _]| [kind, path]);
        told.sort();
        assert_eq!(told, [["created", "./b"], ["modified", "./a"], ["rescanned", "."]]);
    }
}

/// WATCH-1: a watch that is killed: the next one says so and tells everything that changed since.
#[test]
fn watch_1_nothing_is_missed_after_a_kill() {
    let s = workspace();
    put(&s, "gone", "x");
    let mut watch = Watch::start(&s, &[".", "--resume", "tests"]);
    put(&s, "a", "1");
    assert_eq!(watch.brief()[1], "./a");
    watch.signal(Signal::KILL);
    assert_eq!(watch.end().2, None);
    put(&s, "a", "2");
    put(&s, "b", "new");
    std::fs::remove_file(s.path("gone")).unwrap();
    let mut again = Watch::start(&s, &[".", "--resume", "tests"]);
    assert_eq!(again.ready["resumed"], "after-kill");
    assert_eq!(again.next()["kind"], "reset");
    assert_eq!(again.paths(3), ["./a", "./b", "./gone"]);
    assert_eq!(again.next()["kind"], "rescanned");
}

/// WATCH-1: a name belongs to one watch; the second is told who has it.
#[test]
fn watch_1_a_name_is_had_once() {
    let s = workspace();
    let watch = Watch::start(&s, &[".", "--resume", "tests"]);
    let refused = s.run(["watch", ".", "--resume", "tests"]).exits(4);
    refused.says(&format!("pid {}", watch.child.id())).says("filelatch watch");
}

/// WATCH-1: how long it watches: so many changes, so long; the status tells which it was.
#[test]
fn watch_1_ends_by_number_and_time() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &[".", "--once", "--timeout", "60s"]);
    put(&s, "a", "x");
    assert_eq!(watch.brief()[0], "created");
    assert_eq!(watch.end(), (vec![], String::new(), Some(0)));
    s.run(["watch", ".", "--once", "--timeout", "10ms"]).exits(4);
    s.run(["watch", ".", "--count", "3", "--timeout", "10ms"]).exits(4);
    s.run(["watch", ".", "--timeout", "10ms"]).exits(0);
}

/// WATCH-1: a path that is missing is an error, unless it may be; then its creation is told.
#[test]
fn watch_1_missing_paths() {
    let s = Sandbox::new();
    s.run(["watch", "gone"]).exits(5).says("`gone` does not exist").says("--allow-missing");
    let mut watch = Watch::start(&s, &["sub/a", "--allow-missing"]);
    std::fs::create_dir(s.path("sub")).unwrap();
    put(&s, "sub/a", "x");
    assert_eq!(watch.brief()[..2], ["created", "sub/a"]);
}

/// WATCH-2: changes of certain origins are left out, and nothing else.
#[test]
fn watch_2_origins_are_chosen() {
    let s = Sandbox::new();
    let mut external = Watch::start(&s, &[".", "--external-only"]);
    let mut others = Watch::start(&s, &[".", "--not-own", "--session", "a session with a long name"]);
    s.run_with("1", ["write", "own", "--session", "a session with a long name"]).exits(0);
    s.run_with("2", ["write", "others", "--session", "agent-8"]).exits(0);
    put(&s, "external", "3");
    if external.next()["origin"] == "unknown" {
        return; // A file system without attributes.
    }
    assert_eq!(others.paths(2), ["./external", "./others"]);
    put(&s, "more", "4");
    assert_eq!(external.brief()[1..], ["./more", "external"]);
}

/// WATCH-2: what the session did that the watch was told to be is its own.
#[test]
fn watch_2_the_own_session() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &[".", "--session", "me"]);
    s.run_with("1", ["write", "a", "--session", "me"]).exits(0);
    let told = watch.next();
    if told["origin"] != "unknown" {
        assert_eq!((&told["origin"], &told["by"]), (&json!("own"), &json!("me")));
        s.run_with("2", ["write", "a", "--session", "you"]).exits(0);
        assert_eq!(watch.brief(), ["modified", "./a", "session"]);
    }
}

/// WATCH-1: a watch whose output goes into a file that it watches does not tell of that for ever.
#[test]
fn watch_1_its_own_output() {
    let s = Sandbox::new();
    let [out, err] = ["out", "err"].map(|name| std::fs::File::create(s.path(name)).unwrap());
    let mut watch = s.command(["watch", ".", "--json", "--count", "2"]);
    let mut watch = watch.stdout(out).stderr(err).spawn().unwrap();
    let lines = || s.text("out").lines().count();
    while lines() < 1 {
        std::thread::yield_now();
    }
    put(&s, "a", "1");
    while lines() < 2 {
        std::thread::yield_now();
    }
    put(&s, "b", "2");
    assert!(watch.wait().unwrap().success());
    let told: Vec<Value> = s.text("out").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told.iter().map(|told| &told["path"]).collect::<Vec<_>>(), [&Value::Null, &json!("./a"), &json!("./b")]);
}

/// WATCH-1: what is left out: globs, what is below, folders of version control.
#[test]
fn watch_1_what_is_left_out() {
    let s = Sandbox::new();
    for dir in ["sub", ".git", "target"] {
        std::fs::create_dir(s.path(dir)).unwrap();
    }
    let mut flat = Watch::start(&s, &[".", "--no-recursive", "--version-control"]);
    let mut globs = Watch::start(&s, &[".", "--ignore", "*.log", "--ignore", "target/"]);
    for name in [".git/HEAD", "target/a", "a.log", "sub/b.log", "sub/a", "a"] {
        put(&s, name, "x");
    }
    assert_eq!(flat.paths(2), ["./a", "./a.log"]);
    assert_eq!(globs.paths(2), ["./a", "./sub/a"]);
    s.run(["watch", ".", "--ignore", "a["]).exits(2).says("`a[` is not a glob");
}

/// WATCH-4: it says how it hears of changes.
#[test]
fn watch_4_polling_on_demand() {
    let s = Sandbox::new();
    let mut watch = Watch::start(&s, &[".", "--poll=20ms"]);
    let how = [&watch.ready["mode"], &watch.ready["why"], &watch.ready["intervalMs"]];
    assert_eq!(how, [&json!("polling"), &json!("asked"), &json!(20)]);
    put(&s, "a", "x");
    assert_eq!(watch.brief()[..2], ["created", "./a"]);
    let own_pause = Watch::start(&s, &["--poll", "."]);
    assert!(own_pause.ready["intervalMs"].as_u64().unwrap() >= 250);
}

/// WATCH-1: mistakes are told with what to do.
#[test]
fn watch_1_mistakes() {
    let s = Sandbox::new();
    s.run(["watch"]).exits(2);
    s.run(["watch", ".", "--resume", "tests"]).exits(1).says("no workspace").says("filelatch init");
    s.run(["watch", ".", "--since", "1"]).exits(2);
    let s = workspace();
    s.run(["watch", ".", "--resume", "tests", "--since", "nonsense"]).exits(2).says("is not a cursor");
    // A cursor of nobody's.
    let mut watch = Watch::start(&s, &[".", "--resume", "tests", "--since", "0123456789abcdef-7"]);
    assert_eq!(watch.next()["kind"], "reset");
}
