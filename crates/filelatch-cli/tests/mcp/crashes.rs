//! Servers that are killed in the middle of it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Project;
use crate::random::Random;

/// A moment of a call that takes so long, or shortly after. No result depends on which it is.
fn some_moment(chance: &mut Random, whole: Duration) {
    std::thread::sleep(whole * u32::try_from(chance.below(1500)).unwrap() / 1000);
}

/// AGENT-3: a server is killed at some moment around a write; the call, made again with its key through a new server, has been made once.
#[test]
fn lost_answers() {
    let project = Project::with_workspace();
    project.write("log.txt", "");
    let mut chance = Random(0x5eed);
    let (mut answered, mut repeated) = (0, 0);
    let mut whole = Duration::ZERO;
    for n in 0..40 {
        let arguments =
            json!({"path": "log.txt", "text": format!("entry {n}"), "idempotency_key": format!("call {n}")});
        let mut client = project.start();
        let began = Instant::now();
        let id = client.begin_call("append", &arguments);
        let early = if n == 0 { client.answer(id) } else { None };
        if n == 0 {
            whole = began.elapsed();
        }
        some_moment(&mut chance, whole);
        client.kill();
        answered += usize::from(early.or_else(|| client.answer(id)).is_some());
        let told = project.start().done("append", &arguments);
        repeated += usize::from(told["outcome"] == "repeated");
        let lines: Vec<_> = project.read("log.txt").lines().map(str::to_owned).collect();
        let wanted: Vec<_> = (0..=n).map(|n| format!("entry {n}")).collect();
        assert_eq!(lines, wanted, "answered {answered}, {told}");
    }
    assert!(repeated >= answered);
    eprintln!("of 40 calls {answered} were answered, {repeated} found made already");
}

/// AGENT-2: a write of several files that is cut by a kill is completed by whoever comes next, or was never begun.
#[test]
fn several_files() {
    let project = Project::with_workspace();
    let names = ["a.txt", "b.txt", "c.txt"];
    for name in names {
        project.write(name, "0\n");
    }
    let mut chance = Random(0xfee1);
    let mut seen = BTreeSet::new();
    let mut now = 0;
    let mut whole = Duration::ZERO;
    for n in 1..=40 {
        let mut client = project.start();
        let hash = client.done("read", &json!({"path": "a.txt"}))["hash"].clone();
        let changes: Vec<_> =
            names.iter().map(|name| json!({"path": name, "content": format!("{n}\n"), "base_hash": hash})).collect();
        let began = Instant::now();
        let id = client.begin_call("apply_many", &json!({"changes": changes}));
        let early = if n == 1 { client.answer(id) } else { None };
        if n == 1 {
            whole = began.elapsed();
        }
        some_moment(&mut chance, whole);
        client.kill();
        let answered = early.or_else(|| client.answer(id)).is_some();
        // Whoever locks a file completes it: an edit that changes nothing is enough.
        let mut next = project.start();
        for name in names {
            next.done("append", &json!({"path": name, "text": ""}));
        }
        let contents: BTreeSet<_> = names.iter().map(|name| project.read(name)).collect();
        assert_eq!(contents.len(), 1, "all or none: {contents:?}");
        let content: i32 = contents.first().unwrap().trim().parse().unwrap();
        assert!(content == n || (content == now && !answered), "{content} after {n}, answered: {answered}");
        seen.insert((answered, content == n));
        now = content;
    }
    eprintln!("(answered, made) of the killed: {seen:?}");
}
