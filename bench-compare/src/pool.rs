//! Worker processes of any language, spoken to line by line.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crate::stats::percentile;
use crate::worker::{counter, now, open_counter};

/// Where the peers are (`setup-peers`).
#[derive(Clone)]
pub struct Peers(pub Option<PathBuf>);

impl Peers {
    fn command(&self, name: &str) -> Option<Command> {
        let dir = self.0.as_ref()?;
        let script = |file: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(file);
        match name {
            "python-filelock" => {
                let mut command = Command::new(dir.join("venv/bin/python"));
                command.arg(script("worker.py"));
                Some(command)
            }
            "queue-persist" => {
                let mut command = Command::new(dir.join("venv/bin/python"));
                command.arg(script("queue.py"));
                Some(command)
            }
            "node-proper-lockfile" => {
                let mut command = Command::new("node");
                command.arg(script("worker.js")).env("NODE_PATH", dir.join("node_modules"));
                Some(command)
            }
            _ => None,
        }
    }
}

pub struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Process {
    /// Starts a worker of a contender and waits until it is ready. `None`: this peer is not installed.
    pub fn start(peers: &Peers, name: &str, dir: &Path) -> Option<Process> {
        let ours = crate::lockers::NAMES.contains(&name) || crate::turns::NAMES.contains(&name) || name == "empty" || name == "idle";
        let mut command = if ours {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.arg("worker").arg(name);
            command
        } else {
            peers.command(name)?
        };
        let mut child = command.arg(dir).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let (stdin, stdout) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut process = Process { child, stdin, stdout };
        assert_eq!(process.hear(), ["ready"]);
        Some(process)
    }

    pub fn tell(&mut self, line: &str) {
        self.stdin.write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    pub fn hear(&mut self) -> Vec<String> {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "a worker died");
        line.split_whitespace().map(str::to_owned).collect()
    }

    /// Tells, and answers the number after the word that comes back.
    pub fn ask(&mut self, line: &str) -> u64 {
        self.tell(line);
        self.hear()[1].parse().unwrap()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What many who contended got.
#[derive(Clone, Default)]
pub struct Contest {
    pub ops: Vec<u64>,
    pub p50: u64,
    pub p99: u64,
    pub worst: u64,
    pub seconds: f64,
}

impl Contest {
    pub fn rate(&self) -> f64 {
        self.ops.iter().sum::<u64>() as f64 / self.seconds
    }

    /// Greatest share to smallest.
    pub fn max_to_min(&self) -> f64 {
        let (max, min) = (self.ops.iter().max().unwrap(), self.ops.iter().min().unwrap());
        *max as f64 / *min as f64
    }

    /// The worst wait as a multiple of the time in which each gets one turn.
    pub fn worst_to_fair(&self) -> f64 {
        self.worst as f64 / 1e9 * self.rate() / self.ops.len() as f64
    }
}

/// What is contended for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The lock alone.
    Locks,
    /// The lock, and under it a number in a file is counted up.
    Counts,
    /// Durable updates of a document.
    Updates,
    /// Turns, until the time is over or nothing is left to do.
    Turns,
    /// The lock, kept for so many ns.
    Holds(u64),
}

/// Several processes with several threads each, begun together. What was counted must be there in the end.
pub fn contest(
    peers: &Peers,
    name: &str,
    dir: &Path,
    processes: usize,
    threads: usize,
    seconds: f64,
    what: What,
) -> Option<Contest> {
    let mut all = (0..processes).map(|_| Process::start(peers, name, dir)).collect::<Option<Vec<_>>>()?;
    let begin = now() + 20_000_000;
    for (i, process) in all.iter_mut().enumerate() {
        let verb = match what {
            What::Locks => "loop",
            What::Counts => "count",
            What::Updates => "update",
            What::Turns => "turns",
            What::Holds(_) => "hold",
        };
        let number = if let What::Holds(ns) = what { ns } else { (400 + i * threads) as u64 };
        process.tell(&format!("{verb} {begin} {seconds} {threads} {number}"));
    }
    let mut contest = Contest { seconds, ..Contest::default() };
    let mut medians = Vec::new();
    let mut end = begin;
    for process in &mut all {
        let words = process.hear();
        end = end.max(now());
        for thread in words[1..].chunks(4) {
            let number = |i: usize| thread[i].parse::<u64>().unwrap();
            contest.ops.push(number(0));
            medians.push(number(1));
            contest.p99 = contest.p99.max(number(2));
            contest.worst = contest.worst.max(number(3));
        }
    }
    // The last operations of slow contenders end well after the time is over.
    contest.seconds = (end - begin) as f64 / 1e9;
    medians.sort_unstable();
    contest.p50 = percentile(&medians, 0.5);
    if what == What::Counts {
        let file = open_counter(dir);
        assert_eq!(counter(&file), contest.ops.iter().sum::<u64>(), "{name}: increments under the lock are lost");
        file.set_len(0).unwrap();
    }
    Some(contest)
}
