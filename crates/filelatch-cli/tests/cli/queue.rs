//! `filelatch queue`: what its commands say and how they end; runners that are killed, asked to end, or lose what they have.

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};

use crate::sandbox::{Running, Sandbox};

fn list(s: &Sandbox) -> Value {
    s.run(["queue", "list", "q", "--json"]).exits(0).json()
}

fn states(s: &Sandbox) -> Vec<(String, String)> {
    let list = list(s);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list.as_array().unwrap().iter().map(|command| (text(&command["id"]), text(&command["state"]))).collect()
}

fn add(s: &Sandbox, script: &str) -> String {
    s.run(["queue", "add", "q", "--", "sh", "-c", script]).exits(0).text().trim().to_owned()
}

/// A FIFO: whoever reads it waits until somebody opens it for writing.
fn gate(s: &Sandbox, name: &str) {
    assert!(s.program("mkfifo").arg(name).status().unwrap().success());
}

fn open(s: &Sandbox, name: &str) {
    s.sh(&format!(": > {name}")).exits(0);
}

fn runner(s: &Sandbox, options: &[&str]) -> Running {
    Running::start(&mut s.command(["queue", "run", "q"].iter().chain(options)))
}

/// STORE-2 (DESIGN §4): add, list, update, move, remove, claim, complete; statuses and JSON are a contract.
#[test]
fn commands() {
    let s = Sandbox::new();
    assert_eq!(s.run(["queue", "add", "q", "--", "echo", "a b"]).exits(0).text(), "000000\n");
    s.run(["queue", "add", "q", "--id", "x", "--priority", "-1", "--", "true"]).exits(0);
    s.run(["queue", "add", "q", "--id", "x", "--", "true"]).exits(3).says("already").says("nothing was changed");
    let added = s.run(["queue", "add", "q", "--json", "--retries", "2", "--", "false"]).exits(0).json();
    assert_eq!(added, json!({"id": "000001"}));
    let first = &list(&s)[0];
    assert_eq!([&first["id"], &first["state"], &first["attempts"]], [&json!("000000"), &json!("pending"), &json!(0)]);
    assert_eq!(first["command"], json!(["echo", "a b"]));
    assert!(first.get("runner").is_none() && first.get("exitCode").is_none());

    s.run(["queue", "move", "q", "x", "--before", "000001"]).exits(0).quietly();
    let order = |s: &Sandbox| states(s).into_iter().map(|(id, _)| id).collect::<Vec<_>>();
    assert_eq!(order(&s), ["000000", "x", "000001"]);
    s.run(["queue", "move", "q", "000001", "--first"]).exits(0);
    s.run(["queue", "move", "q", "x", "--last"]).exits(0);
    s.run(["queue", "move", "q", "x"]).exits(2);
    s.run(["queue", "move", "q", "x", "--first", "--last"]).exits(2);
    s.run(["queue", "move", "q", "x", "--after", "nobody"]).exits(5).says("no command `nobody`");
    assert_eq!(order(&s), ["000001", "000000", "x"]);
    s.run(["queue", "update", "q", "000000", "--priority", "9", "--", "echo", "it's"]).exits(0);
    s.run(["queue", "update", "q", "000000"]).exits(2).says("nothing is to be changed");
    s.run(["queue", "list", "q"]).exits(0).shows("000000  pending   echo 'it'\\''s'\n");
    s.run(["queue", "show", "q", "000000"]).exits(0).shows("priority    9");

    let claim = s.run(["queue", "claim", "q"]).exits(0).json();
    assert_eq!([&claim["id"], &claim["command"]], [&json!("000000"), &json!(["echo", "it's"])]);
    let token = claim["token"].as_u64().unwrap();
    let (now, old) = (token.to_string(), (token - 1).to_string());
    s.run(["queue", "remove", "q", "000000"]).exits(3).says("claimed");
    s.run(["queue", "update", "q", "000000", "--priority", "1"]).exits(3);
    s.run(["queue", "heartbeat", "q", "000000", "--token", &now, "--lease", "1h"]).exits(0).quietly();
    s.run(["queue", "complete", "q", "000000", "--token", &old]).exits(3).says("not the current one");
    let result = ["--exit-code", "0", "--result", "{\"n\": 1}"];
    s.run(["queue", "complete", "q", "000000", "--token", &now].iter().chain(&result)).exits(0).quietly();
    s.run(["queue", "complete", "q", "000000", "--token", &now]).exits(3).says("done already");
    let shown = s.run(["queue", "show", "q", "000000", "--json"]).exits(0).json();
    assert_eq!([&shown["state"], &shown["exitCode"], &shown["result"]], [&json!("done"), &json!(0), &json!({"n": 1})]);

    let claim = s.run(["queue", "claim", "q", "--lease", "1h"]).exits(0).json();
    let token = claim["token"].to_string();
    assert_eq!(claim["id"], "000001");
    let failed =
        s.run(["queue", "fail", "q", "000001", "--token", &token, "--exit-code", "7", "--json"]).exits(0).json();
    assert_eq!(failed, json!({"id": "000001", "state": "pending", "success": true}));
    let claim = s.run(["queue", "claim", "q"]).exits(0).json();
    assert_eq!([&claim["id"], &claim["attempt"]], [&json!("000001"), &json!(2)]);
    s.run(["queue", "release", "q", "000001", "--token", &claim["token"].to_string()]).exits(0).quietly();
    s.run(["queue", "remove", "q", "x"]).exits(0);
    s.run(["queue", "remove", "q", "x"]).exits(5);
    let claim = s.run(["queue", "claim", "q"]).exits(0).json();
    assert_eq!(claim["attempt"], 3);
    let nothing = s.run(["queue", "claim", "q", "--json"]).exits(5);
    assert_eq!(nothing.json()["error"]["kind"], "nothing-claimable");
    s.run(["queue", "claim", "q", "--wait", "20ms"]).exits(5).says("nothing is claimable");
    assert_eq!(s.run(["queue", "prune", "q"]).exits(0).text(), "1\n");
    assert_eq!(states(&s), [("000001".to_owned(), "claimed".to_owned())]);
}

/// STORE-2: bad input: what is missing, no queue, no directory, too long, not text, locked away.
#[test]
fn bad_input() {
    let s = Sandbox::new();
    for action in [&["list", "q"][..], &["claim", "q"], &["run", "q"], &["remove", "q", "x"], &["prune", "q"]] {
        s.run(["queue"].iter().chain(action)).exits(5);
    }
    assert_eq!(s.names(), [""; 0]);
    s.run(["queue", "add", "no/q", "--", "true"]).exits(1).says("does not exist");
    s.run(["queue", "add", "q"]).exits(2);
    s.run(["queue", "add", "q", "--", ""]).exits(1).says("at least one word");
    s.run(["queue", "add", "q", "--id", "../x", "--", "true"])
        .exits(1)
        .says("can't be the name")
        .says("nothing was changed");
    s.run(["queue", "add", "q", "--", &"x".repeat(131_000)]).exits(0);
    s.run(["queue", "add", "q", "--", &"x".repeat(100_000), &"x".repeat(100_000)]).exits(1).says("at most 131072");
    s.run(["queue", "add", ".", "--", "true"]).exits(1).says("directory");
    s.write("text", "no queue\n");
    for action in [&["list", "text"][..], &["claim", "text"], &["add", "text", "--", "true"]] {
        s.run(["queue"].iter().chain(action)).exits(1).says("text");
    }
    assert_eq!(s.text("text"), "no queue\n");
    s.write("empty", "");
    s.run(["queue", "list", "empty"]).exits(0).says("the list is empty");
    s.run(["queue", "add", "empty", "--", "true"]).exits(0);
    gate(&s, "fifo");
    s.run(["queue", "list", "fifo"]).exits(1);
    std::os::unix::fs::symlink("empty", s.path("link")).unwrap();
    s.run(["queue", "add", "link", "--", "true"]).exits(0);
    assert_eq!(s.run(["queue", "list", "empty", "--json"]).exits(0).json().as_array().unwrap().len(), 2);
}

/// STORE-2: a plain name is a queue of the workspace.
#[test]
fn by_name() {
    let s = Sandbox::new();
    s.run(["init"]).exits(0);
    s.run(["queue", "add", "jobs", "--", "true"]).exits(0);
    assert!(s.path(".filelatch/stores/queues/jobs.queue").exists());
    s.run(["queue", "run", "jobs", "--until-empty"]).exits(0);
    s.run(["queue", "list", "jobs"]).exits(0).shows("done");
    s.run(["queue", "list", "other"]).exits(5);
}

/// STORE-2: a runner runs commands in order, tells them what they are, records how they ended, and tries again what fails.
#[test]
fn a_runner() {
    let s = Sandbox::new();
    add(&s, "echo $FILELATCH_QUEUE_ID $FILELATCH_QUEUE_ATTEMPT; test $FILELATCH_QUEUE_TOKEN -gt 0; cat");
    s.run(["queue", "add", "q", "--retries", "1", "--", "sh", "-c", "echo no >&2; exit 7"]).exits(0);
    s.run(["queue", "add", "q", "--", "no-such-command"]).exits(0);
    s.run(["queue", "add", "q", "--", "sh", "-c", "kill -9 $$"]).exits(0);
    // One command may add another.
    add(&s, "filelatch queue add \"$FILELATCH_QUEUE\" --id last -- echo last");
    let ran = s.run(["queue", "run", "q", "--until-empty"]).exits(0).says("no-such-command");
    assert_eq!(ran.text(), "000000 1\nlast\nlast\n");
    let list = list(&s);
    let told = |i: usize| json!([list[i]["state"], list[i]["exitCode"], list[i]["attempts"]]);
    assert_eq!(told(0), json!(["done", 0, 1]));
    assert_eq!(told(1), json!(["failed", 7, 2]));
    assert_eq!(told(2), json!(["failed", 127, 1]));
    assert_eq!(told(3), json!(["failed", 137, 1]));
    assert_eq!(told(5), json!(["done", 0, 1]));
    s.run(["queue", "again", "q", "last"]).exits(0);
    let ran = s.run(["queue", "run", "q", "--until-empty", "--json", "--output", "."]).exits(0);
    let line = ran.json();
    assert_eq!(json!([line["id"], line["state"], line["exitCode"]]), json!(["last", "done", 0]));
    assert_eq!(s.text("last.out"), "last\n");
    let left: Vec<_> = s.names().into_iter().filter(|name| name.matches('.').count() > 2).collect();
    assert_eq!(left, [""; 0], "no sign of life is left");
}

/// STORE-2: several jobs run at once: these two wait for each other.
#[test]
fn jobs() {
    let s = Sandbox::new();
    gate(&s, "gate");
    add(&s, "echo met > gate");
    add(&s, "cat gate");
    assert_eq!(s.run(["queue", "run", "q", "--until-empty", "-j", "2"]).exits(0).text(), "met\n");
}

/// STORE-2 (P12, P14): a runner is killed: as long as its command lives nobody else gets it; then at once, and what is left of it is refused.
#[test]
fn a_killed_runner() {
    let s = Sandbox::new();
    gate(&s, "gate");
    add(&s, "echo $$ > pid; echo ready; cat gate; exit $FILELATCH_QUEUE_ATTEMPT");
    let mut killed = runner(&s, &["--lease", "1h"]);
    killed.signal(Signal::KILL);
    killed.wait();
    s.run(["queue", "claim", "q"]).exits(5);
    assert_eq!(list(&s)[0].get("claimable"), None);
    // With what it has started: that has the sign of life, too.
    let group = s.text("pid").trim().parse().unwrap();
    kill_process_group(Pid::from_raw(group).unwrap(), Signal::KILL).unwrap();
    let claim = s.run(["queue", "claim", "q", "--wait", "60s"]).exits(0).json();
    assert_eq!(claim["attempt"], 2);
}

/// STORE-2: asked to end, a runner finishes what it runs and begins nothing more.
#[test]
fn asked_to_end() {
    let s = Sandbox::new();
    gate(&s, "gate");
    add(&s, "echo ready; cat gate; echo finished");
    add(&s, "echo not this");
    let mut asked = runner(&s, &[]);
    asked.signal(Signal::TERM);
    open(&s, "gate");
    assert_eq!((asked.rest(), asked.wait()), ("finished\n".to_owned(), (Some(0), None)));
    let is = |state: &str| state.to_owned();
    assert_eq!(states(&s), [("000000".to_owned(), is("done")), ("000001".to_owned(), is("pending"))]);
    // One that waits ends at once.
    s.run(["queue", "remove", "q", "000001"]).exits(0);
    let mut waits = s.command(["queue", "run", "q"]).spawn().unwrap();
    // Not `INT`: a background job may have begun with that ignored.
    kill_process(Pid::from_child(&waits), Signal::TERM).unwrap();
    let status = waits.wait().unwrap();
    // Before it has listened the signal ends it as any program.
    assert!(status.success() || std::os::unix::process::ExitStatusExt::signal(&status).is_some(), "{status}");
}

/// STORE-2: asked twice, it ends its command and gives it back.
#[test]
fn asked_twice() {
    let s = Sandbox::new();
    add(&s, "echo ready; exec sleep 1000");
    let mut asked = Running::start(s.command(["queue", "run", "q"]).stderr(std::process::Stdio::piped()));
    asked.signal(Signal::TERM);
    // Two signals of one kind could become one.
    asked.signal(Signal::INT);
    assert_eq!(asked.wait(), (Some(0), None));
    assert_eq!(states(&s), [("000000".to_owned(), "pending".to_owned())]);
    assert_eq!(list(&s)[0]["attempts"], 1);
}

/// STORE-2 (P14): a command that was taken from its runner is ended with all that it has started.
#[test]
fn a_lost_command_is_ended() {
    let s = Sandbox::new();
    gate(&s, "gate");
    // Nobody ever opens the gate: the pipe of the reader ends with the last of its group.
    add(&s, "echo ready; sleep 1000 & cat gate");
    let mut loses = runner(&s, &["--lease", "300ms", "--until-empty"]);
    s.run(["queue", "remove", "q", "000000", "--force"]).exits(0);
    assert_eq!((loses.rest(), loses.wait()), (String::new(), (Some(0), None)));
    assert_eq!(list(&s), json!([]));
}

/// STORE-2 (P14): a runner that is stopped loses its command after its lease; when it goes on, it ends that.
#[test]
fn a_stopped_runner() {
    let s = Sandbox::new();
    add(&s, "echo ready; exec sleep 1000");
    let mut stopped = runner(&s, &["--lease", "200ms", "--until-empty"]);
    stopped.signal(Signal::STOP);
    let claim = s.run(["queue", "claim", "q", "--wait", "60s", "--lease", "1h"]).exits(0).json();
    assert_eq!(claim["attempt"], 2);
    let token = claim["token"].to_string();
    s.run(["queue", "complete", "q", "000000", "--token", &token]).exits(0);
    stopped.signal(Signal::CONT);
    assert_eq!((stopped.rest(), stopped.wait()), (String::new(), (Some(0), None)));
    assert_eq!(states(&s), [("000000".to_owned(), "done".to_owned())]);
}
