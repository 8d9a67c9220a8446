//! `run --max-hold`: a command under a lease, what it and others may write, how it ends (LOCK-13, P11).

use rustix::process::Signal;

use crate::sandbox::{Running, Sandbox};

const READY: &str = "echo ready; cat >/dev/null";

/// LOCK-13: others' writes are refused and say who has the lease for how long; reads and strict locks are free; afterwards all is free.
#[test]
fn others_are_refused() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    let holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f.json", "--", "sh", "-c", READY]));
    for args in [
        vec!["write", "f.json", "--no-wait"],
        vec!["update", "f.json", ".x = 1", "--timeout", "10ms"],
        vec!["patch", "f.json", "--merge-patch", "{\"x\":1}", "--no-wait"],
        vec!["run", "--max-hold", "1s", "--no-wait", "f.json", "--", "true"],
    ] {
        s.run(&args).exits(4).says("is leased for at most 3599").says("(sh)").says("nothing was changed");
        let json = args.iter().copied().take(1).chain(["--json"]).chain(args[1..].iter().copied());
        assert_eq!(s.run(json).exits(4).json()["error"]["kind"], "leased");
    }
    s.run(["run", "--max-hold", "1s", "--no-wait", "-E", "77", "f.json", "--", "true"]).exits(77);
    s.run(["read", "f.json"]).exits(0);
    s.run(["run", "--no-wait", "f.json", "--", "true"]).exits(0);
    let listed = s.run(["status"]).exits(0).text();
    assert!(
        listed.starts_with("f.json  leased  ") && listed.contains("(sh)") && listed.contains("at most 59m"),
        "{listed}"
    );
    let json = s.run(["status", "--json"]).exits(0).json();
    let lease = &json["locks"][0]["lease"];
    assert!(lease["remainingMs"].as_u64().unwrap() > 3_500_000 && lease["token"].as_u64().unwrap() > 0, "{json}");
    assert_eq!((json["locks"][0]["locked"].as_bool(), lease["holder"]["purpose"].as_str()), (Some(false), Some("sh")));
    assert_eq!(holder.finish(), Some(0));
    s.run(["status"]).exits(0).says("nothing is locked");
    s.run(["update", "--no-wait", "f.json", ".x = 1"]).exits(0);
    assert_eq!(s.names(), [".f.json.lease", ".f.json.lock", "f.json"]);
}

/// LOCK-13: commands inside write under the lease, at any depth, and know its number; it grows.
#[test]
fn commands_inside_write() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    let script = "filelatch update --no-wait f.json .x=1 >/dev/null && echo 2 | filelatch write --no-wait g >/dev/null && \
                  filelatch run f.json -- filelatch patch f.json --merge-patch '{\"y\":2}' >/dev/null && \
                  filelatch run --max-hold 1m h -- filelatch update --no-wait f.json .z=3 >/dev/null && echo $FILELATCH_TOKEN";
    let inside = ["run", "--max-hold", "1m", "f.json", "--", "sh", "-c", script];
    let number = |text: String| text.trim().parse::<u64>().unwrap();
    let first = number(s.run(inside).exits(0).text());
    assert_eq!(s.value("f.json"), serde_json::json!({"x": 1, "y": 2, "z": 3}));
    let second = number(s.run(inside).exits(0).text());
    assert!(second > first, "{second} after {first}");
    // Several files have several numbers.
    let script =
        "filelatch update f.json .a=1 >/dev/null && filelatch write g </dev/null >/dev/null && echo [$FILELATCH_TOKEN]";
    let ran = s.run(["run", "--max-hold", "1m", "f.json", "g", "./f.json", "--", "sh", "-c", script]).exits(0);
    assert_eq!(ran.text(), "[]\n");
    // The lease of the one that started it can't be waited for.
    let nested =
        ["run", "--max-hold", "1m", "g", "--", "filelatch", "run", "--max-hold", "1s", "--json", "g", "--", "true"];
    assert_eq!(s.run(nested).exits(4).json()["error"]["kind"], "held-by-parent");
}

/// LOCK-13: the number is compared, not believed.
#[test]
fn a_late_number_is_refused() {
    let s = Sandbox::new();
    s.write("f", "old");
    let told = s.run(["run", "--max-hold", "1m", "f", "--", "sh", "-c", "echo $FILELATCH_LEASE"]).exits(0).text();
    let with = |lease: &str| s.sh(&format!("echo late | FILELATCH_LEASE='{lease}' filelatch write --json f"));
    let ran = with(told.trim()).exits(3);
    assert_eq!(ran.json()["error"]["kind"], "lease-lost");
    let holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f", "--", "sh", "-c", READY]));
    let ran = with(told.trim()).exits(3);
    assert_eq!(ran.json()["error"]["kind"], "lease-lost");
    assert!(ran.json()["error"]["message"].as_str().unwrap().contains(&format!("pid {}", holder.pid())), "{ran:?}");
    assert_eq!(s.text("f"), "old");
    assert_eq!(holder.finish(), Some(0));
    // Nonsense is nobody's lease.
    with("f:1 x 2:3:f:-1").exits(0);
}

/// LOCK-13: when the lease is over the command is asked to end, with all that it started, and the status says so.
#[test]
fn over() {
    let s = Sandbox::new();
    let script = "trap 'echo asked; exit 7' TERM; sleep 1000 & echo started; wait";
    let mut ran = s.run(["run", "--max-hold", "2s", "f", "--", "sh", "-c", script]).exits(124);
    assert_eq!(ran.text(), "started\nasked\n");
    assert!(ran.err.contains("the lease of `f` is over after 2s: the command was ended"), "{ran:?}");
    // `run` ended, and so did the pipe: the sleeper is gone, too.
    ran = s.run(["run", "--json", "--max-hold", "2s", "f", "--", "sleep", "1000"]).exits(124);
    assert_eq!(ran.json()["error"]["kind"], "lease-lost");
    // A stopped one as well.
    s.run(["run", "--max-hold", "2s", "f", "--", "sh", "-c", "kill -STOP $$"]).exits(124);
    s.run(["write", "--no-wait", "f"]).exits(0);
}

/// LOCK-13: one that does not listen is killed.
#[test]
fn over_and_deaf() {
    let s = Sandbox::new();
    let script = "trap '' TERM; echo deaf; while :; do sleep 0.05; done";
    let ran = s.run(["run", "--max-hold", "2s", "f", "--", "sh", "-c", script]).exits(124).says("killing it");
    assert_eq!(ran.text(), "deaf\n");
}

/// P12: otherwise the status is the command's, and signals are passed on to it and what it has started.
#[test]
fn status_and_signals() {
    let s = Sandbox::new();
    for (code, script) in [(0, "exit 0"), (7, "exit 7"), (137, "kill -9 $$")] {
        s.run(["run", "--max-hold", "1h", "f", "--", "sh", "-c", script]).exits(code).quietly();
    }
    s.run(["run", "--max-hold", "1h", "f", "--", "no-such-command"]).exits(127).says("cannot run");
    s.run(["run", "--max-hold", "1h", "f", "--", "/etc/passwd"]).exits(126);
    s.run(["run", "--max-hold", "1h", "--shared", "f", "--", "true"]).exits(2);
    s.run(["run", "--max-hold", "x", "f", "--", "true"]).exits(2);
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::INT, "INT")] {
        let script = format!("trap 'exit 42' {name}; echo ready; while :; do sleep 0.01; done");
        let mut holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f", "--", "sh", "-c", &script]));
        holder.signal(signal);
        assert_eq!(holder.wait().0, Some(42), "{name}");
    }
    // Killed itself, its lease is free at once, though the command goes on: that one is fenced.
    let script = "echo ready; read line; echo late | filelatch write --json f";
    let mut holder = Running::start(&mut s.command(["run", "--max-hold", "1h", "f", "--", "sh", "-c", script]));
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait().1, Some(9));
    s.run_with("mine", ["run", "--max-hold", "1h", "--no-wait", "f", "--", "filelatch", "write", "f"]).exits(0);
    holder.end_input();
    assert!(holder.rest().contains("lease-lost"));
    assert_eq!(s.text("f"), "mine");
}
