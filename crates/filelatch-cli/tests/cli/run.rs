//! `run`: status of the command, who holds the lock how long, nested commands (P12).

use rustix::process::Signal;

use crate::sandbox::{Running, Sandbox};

/// P12: the exit status is the command's; a signal is 128 + its number.
#[test]
fn status_is_the_commands() {
    let s = Sandbox::new();
    for (code, script) in [(0, "exit 0"), (7, "exit 7"), (255, "exit 255"), (137, "kill -9 $$"), (143, "kill -15 $$")] {
        s.run(["run", "f", "--", "sh", "-c", script]).exits(code).quietly();
    }
    let ran = s.run(["run", "f", "--", "printf", "%s|", "a b", "-x", "--"]).exits(0);
    assert_eq!(ran.text(), "a b|-x|--|", "no shell looks at the arguments");
    let ran = s.run_with("in", ["run", "f", "--", "cat"]).exits(0);
    assert_eq!(ran.text(), "in", "standard input is the command's");
    s.run(["run", "f", "--", "no-such-command"]).exits(127).says("cannot run `no-such-command`");
    s.run(["run", "f", "--", "/etc/passwd"]).exits(126).says("permission denied");
}

/// P12, LOCK-14: commands inside use the held lock instead of waiting for it, at any depth.
#[test]
fn nested() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    let script = "filelatch update --no-wait f.json .x=1 && echo 2 | filelatch write --no-wait g && \
                  filelatch patch f.json --merge-patch '{\"y\":2}' && filelatch read --shared --no-wait f.json && \
                  filelatch run --no-wait g f.json -- sh -c 'filelatch update --no-wait f.json .z=3'";
    s.run(["run", "f.json", "g", "--", "sh", "-c", script]).exits(0);
    assert_eq!(s.value("f.json"), serde_json::json!({"x": 1, "y": 2, "z": 3}));
    let deep = ["run", "g", "--", "filelatch", "run", "g", "--", "filelatch", "run", "--close", "g", "--"];
    s.run(deep.iter().chain(&["filelatch", "write", "g"])).exits(0);
    // The lock ended with the command.
    s.run(["update", "--no-wait", "f.json", "."]).exits(0);
    // After an inner command the outer one still holds.
    let mut outer = Running::start(
        s.command(["run", "f.json", "--", "sh", "-c", "filelatch update f.json .a=1 >/dev/null; echo ready; cat"])
            .stdin(std::process::Stdio::null()),
    );
    s.run(["update", "--no-wait", "f.json", "."]).exits(4);
    outer.end_input();
    assert_eq!(outer.wait().0, Some(0));
}

/// P12: a lock that can't be used from inside is an error at once, not a wait without end.
#[test]
fn nested_but_not_handed_on() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    let inner = ["filelatch update --json f.json .x=1", "filelatch run --json f.json -- true"];
    for options in [["--shared"], ["--close"]] {
        for inner in inner {
            let args = ["run"].into_iter().chain(options).chain(["f.json", "--", "sh", "-c", inner]);
            let ran = s.run(args).exits(4);
            assert_eq!(ran.json()["error"]["kind"], "held-by-parent", "{ran:?}");
        }
    }
    s.run(["run", "--shared", "f.json", "--", "filelatch", "read", "--shared", "f.json"]).exits(0);
    s.run(["run", "--shared", "f.json", "--", "filelatch", "run", "--shared", "f.json", "--", "true"]).exits(0);
    assert_eq!(s.text("f.json"), "{}");
}

/// P12: the descriptor is checked, not believed: a closed one, another file's, a free one, nonsense.
#[test]
fn held_is_verified() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    // Closed on the way: waited for as usual, and said.
    let script = "eval \"exec ${FILELATCH_HELD##*:}>&-\"; filelatch update --timeout 50ms f.json .x=1";
    s.run(["run", "f.json", "--", "bash", "-c", script]).exits(4).says("was not inherited");
    // Another open file under the number.
    let script = "eval \"exec ${FILELATCH_HELD##*:}</dev/null\"; filelatch update --timeout 50ms f.json .x=1";
    s.run(["run", "f.json", "--", "bash", "-c", script]).exits(4);
    assert_eq!(s.text("f.json"), "{}");
    // The lock file itself, but not locked: the lock is taken like any other's.
    let held = s.run(["run", "f.json", "--", "sh", "-c", "echo $FILELATCH_HELD"]).exits(0).text();
    let resource = held.trim().rsplit_once(':').unwrap().0;
    let holder = s.holder("f.json");
    let script = format!("exec 7<.f.json.lock; FILELATCH_HELD={resource}:7 filelatch update --no-wait f.json .x=1");
    s.sh(&script).exits(4);
    assert_eq!(holder.finish(), Some(0));
    let script = format!("exec 7<.f.json.lock; FILELATCH_HELD={resource}:7 filelatch update --no-wait f.json .x=1");
    s.sh(&script).exits(0);
    for nonsense in ["x", "a:b", ":", "1:2:3", "f.json:99999999999999999999"] {
        s.sh(&format!("FILELATCH_HELD={nonsense} filelatch update --no-wait f.json .x=2")).exits(0);
    }
}

/// P12, LOCK-2: what the command left running keeps the lock; so does the command when filelatch itself is killed.
#[test]
fn heirs_keep_the_lock() {
    let s = Sandbox::new();
    let mut holder = s.holder("f");
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait().1, Some(9));
    s.run(["write", "f", "--no-wait"]).exits(4);
    holder.end_input();
    holder.rest();
    s.run(["write", "f", "--timeout", "10s"]).exits(0);

    // A background job outlives the command.
    let script = "cat <&0 & echo ready";
    let script = format!("exec 3<&0; {}", script.replace("<&0", "<&3"));
    let mut holder = Running::start(s.command(["run", "f", "--", "sh", "-c", &script]).env("LC_ALL", "C"));
    assert_eq!(holder.wait().0, Some(0));
    s.run(["write", "f", "--no-wait"]).exits(4);
    holder.end_input();
    holder.rest();
    s.run(["write", "f", "--timeout", "10s"]).exits(0);
}

/// P12: with `--close` the lock ends with filelatch, whatever is left running.
#[test]
fn close_keeps_the_lock_to_itself() {
    let s = Sandbox::new();
    let mut holder = Running::start(&mut s.command(["run", "--close", "f", "--", "sh", "-c", "echo ready; cat"]));
    s.run(["write", "f", "--no-wait"]).exits(4);
    holder.signal(Signal::KILL);
    assert_eq!(holder.wait().1, Some(9));
    s.run(["write", "f", "--no-wait"]).exits(0);
}

/// P12: Ctrl-C and requests to end are the command's business; its status is not lost.
#[test]
fn signals() {
    let s = Sandbox::new();
    let trap = |signal: &str| format!("trap 'exit 42' {signal}; echo ready; while :; do sleep 0.01; done");
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let mut holder = Running::start(&mut s.command(["run", "f", "--", "sh", "-c", &trap(name)]));
        holder.signal(signal);
        assert_eq!(holder.wait(), (Some(42), None), "{name} is passed on");
    }
    let mut holder = s.holder("f");
    holder.signal(Signal::INT);
    holder.signal(Signal::QUIT);
    holder.end_input();
    assert_eq!(holder.wait(), (Some(0), None), "the command decides");
    // The command can still be interrupted: nothing is ignored on its behalf.
    s.run(["run", "f", "--", "sh", "-c", "kill -INT $$; sleep 10"]).exits(130);
}

/// LOCK-14: several files are taken in one order, whatever the order of the arguments; two spellings are one file.
#[test]
fn several_files() {
    let s = Sandbox::new();
    let runs: Vec<_> = (0..8)
        .map(|i| {
            let files = if i % 2 == 0 { ["a", "b"] } else { ["b", "a"] };
            let args = ["run", files[0], files[1], "./a", "--", "sh", "-c", "filelatch status --all >/dev/null"];
            s.command(args).spawn().unwrap()
        })
        .collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
}

/// LOCK-1: shared locks go together, exclusive ones do not.
#[test]
fn shared() {
    let s = Sandbox::new();
    let reader = Running::start(&mut s.command(["run", "--shared", "f", "--", "sh", "-c", "echo ready; cat"]));
    s.run(["run", "--shared", "--no-wait", "f", "--", "true"]).exits(0);
    s.run(["run", "--no-wait", "f", "--", "true"]).exits(4);
    assert_eq!(reader.finish(), Some(0));
}

/// LOCK-14 (P3): a circle among processes is found and named, long before any timeout; the others go on.
#[test]
fn deadlock() {
    let s = Sandbox::new();
    std::fs::create_dir(s.path("d")).unwrap();
    // Each holds one file, says so through a FIFO, and asks for the other's from inside.
    let both = "mkfifo d/1 d/2; \
        (filelatch run a -- sh -c 'echo >d/1; read x <d/2; filelatch run --timeout 60s b -- true'; echo one $?) & \
        (filelatch run b -- sh -c 'read x <d/1; echo >d/2; filelatch run --timeout 60s a -- true'; echo two $?); wait";
    let ran = s.sh(both);
    let mut ends: Vec<_> = ran.text().lines().map(|line| line.split(' ').nth(1).unwrap().to_owned()).collect();
    ends.sort();
    assert_eq!(ends, ["0", "4"], "{ran:?}");
    assert!(ran.err.contains("deadlock") && ran.err.contains("waits for"), "{ran:?}");
}

/// LOCK-17, P12: records of one file are held beside each other, by several commands; the same record and the whole file exclude. The
/// command uses its record's lock and is refused the whole file; `status` tells of records.
#[test]
fn records() {
    let s = Sandbox::new();
    s.write("f.json", "{}");
    let mut seven = s.holder("f.json#task-7");
    s.run(["run", "--no-wait", "f.json#task-8", "g", "--", "true"]).exits(0);
    s.run(["run", "--no-wait", "f.json#task-8", "f.json#task-7", "--", "true"]).exits(4).says("f.json#task-7");
    s.run(["run", "--no-wait", "-E", "9", "f.json", "--", "true"]).exits(9);
    s.run(["run", "--shared", "f.json#x", "--", "true"]).exits(2).says("no shared locks");
    s.run(["update", "--no-wait", "f.json#task-8", ".b=2"]).exits(0);
    s.run(["update", "--no-wait", "f.json", ".b=3"]).exits(4);
    let status = s.run(["status", "--json", "f.json"]).exits(0).json();
    assert_eq!(
        (&status["locks"][0]["records"], &status["locks"][0]["holders"][0]["records"]),
        (&1.into(), &true.into())
    );
    seven.end_input();
    seven.wait();
    // Inside: the record that is held, another one, at any depth, beside a sister, and not the whole file.
    let script = "filelatch update --no-wait f.json#x .x=1 && filelatch update --no-wait f.json#y .y=1 && \
                  filelatch run --no-wait f.json#x -- filelatch update --no-wait f.json#x .z=1 && \
                  { filelatch update f.json#x .p=1 & filelatch update f.json#x .q=1; wait; } && \
                  ! filelatch update f.json .no=1";
    s.run(["run", "f.json#x", "--", "sh", "-c", script]).exits(0).says("started this one");
    assert_eq!(s.value("f.json"), serde_json::json!({"b": 2, "x": 1, "y": 1, "z": 1, "p": 1, "q": 1}));
    // Not handed on: refused at once.
    let ran = s.run(["run", "--close", "f.json#x", "--", "filelatch", "update", "--json", "f.json#x", ".x=2"]).exits(4);
    assert_eq!(ran.json()["error"]["kind"], "held-by-parent");
    // Under the whole file's lock a record is had with it.
    s.run(["run", "f.json", "--", "filelatch", "update", "--no-wait", "f.json#x", ".x=3"]).exits(0);
    assert_eq!(s.value("f.json")["x"], 3);
    // A file of exactly that name is that file.
    s.write("a#b", "text");
    let held = s.run(["run", "./a#b", "--", "sh", "-c", "ls -A"]).exits(0).text();
    assert!(held.contains(".a#b.lock"), "{held}");
}
