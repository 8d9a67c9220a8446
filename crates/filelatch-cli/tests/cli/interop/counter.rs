//! Everybody increments one number, each in their own way, under one lock.

use std::process::{Child, Command, Stdio};
use std::thread;

use filelatch::{Durability, Filelatch, LockOptions, Wait, WriteOptions};

use super::{Tool, python};
use crate::sandbox::Sandbox;

const LOOPS: u64 = 4;
const ROUNDS: u64 = 25;

/// LOCK-1, LOCK-2, VER-7: four loops of flock(1), four of filelock, four of the command line and four of the library: nothing is lost.
///
/// The others write in place, as scripts do; we replace the file. Only the lock keeps them apart.
#[test]
fn nothing_is_lost() {
    let s = Sandbox::new();
    let python_takes_part = Tool::Filelock.is_here(&s);
    if !Tool::Flock.is_here(&s) {
        return;
    }
    s.write("n.json", "{\"n\": 0}");
    let flock = "i=0; while [ $i -lt ROUNDS ]; do \
        flock .n.json.lock sh -c 'n=$(tr -dc 0-9 <n.json); echo \"{\\\"n\\\": $((n + 1))}\" >n.json' || exit 1; \
        i=$((i + 1)); done";
    // filelock polls; the default of 50 ms would rarely find the lock free among waiters that the kernel wakes.
    let filelock = "import filelock, json\nlock = filelock.FileLock('.n.json.lock')\n\
        for _ in range(ROUNDS):\n    with lock.acquire(timeout=120, poll_interval=0.001):\n        \
        n = json.load(open('n.json'))['n']\n        with open('n.json', 'w') as f:\n            json.dump({'n': n + 1}, f)\n";
    let ours = "i=0; while [ $i -lt ROUNDS ]; do \
        filelatch update n.json '.n += 1' --durability none --timeout 120s >/dev/null || exit 1; i=$((i + 1)); done";
    let shell = |script: &str| {
        let mut command = s.program("sh");
        command.args(["-c", &script.replace("ROUNDS", &ROUNDS.to_string())]);
        command
    };
    let mut commands: Vec<Command> = Vec::new();
    for _ in 0..LOOPS {
        commands.push(shell(flock));
        commands.push(shell(ours));
        if python_takes_part {
            let mut command = s.program(python());
            command.args(["-c", &filelock.replace("ROUNDS", &ROUNDS.to_string())]);
            commands.push(command);
        }
    }
    let mut children: Vec<Child> =
        commands.iter_mut().map(|command| command.stderr(Stdio::null()).spawn().unwrap()).collect();
    // Two engines, as two programs would have, with two threads each.
    let engines = [Filelatch::new(), Filelatch::new()];
    thread::scope(|scope| {
        for i in 0..LOOPS {
            let file = engines[usize::from(i % 2 == 1)].file(s.path("n.json")).unwrap();
            scope.spawn(move || {
                let patience = LockOptions::new().wait(Wait::Forever);
                let options = WriteOptions::new().durability(Durability::None).lock(patience);
                for _ in 0..ROUNDS {
                    file.update_value::<filelatch::Error>(&options, |value| {
                        value["n"] = (value["n"].as_u64().unwrap() + 1).into();
                        Ok(())
                    })
                    .unwrap();
                }
            });
        }
    });
    for child in &mut children {
        assert!(child.wait().unwrap().success());
    }
    let kinds = if python_takes_part { 4 } else { 3 };
    assert_eq!(s.value("n.json")["n"], kinds * LOOPS * ROUNDS);
}
