//! What takes part in contests of appends and of queues: one thread of a contender, turn by turn.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use filelatch::Filelatch;
use filelatch::store::log::{Log, LogOptions};
use filelatch::store::queue::{ClaimOptions, NewCommand, Outcome, Queue};
use rusqlite::{Connection, OptionalExtension, TransactionBehavior};
use rustix::fs::{Mode, OFlags, open};

use crate::group::Group;

/// One thread of a contender.
pub trait Turns: Send {
    /// One turn, durable when it returns. False: nothing is left to do.
    fn turn(&mut self) -> bool;
}

type Make = Box<dyn Fn() -> Box<dyn Turns> + Send + Sync>;

pub const NAMES: [&str; 6] =
    ["append-filelatch", "append-raw", "append-group", "append-sqlite", "queue-filelatch", "queue-sqlite"];

/// About 200 bytes.
pub fn record() -> Vec<u8> {
    let text = "x".repeat(160);
    format!("{{\"event\":\"saved\",\"by\":\"bench\",\"note\":\"{text}\"}}").into_bytes()
}

pub fn contender(name: &str, dir: &Path) -> Make {
    let dir = dir.to_owned();
    let wal = |dir: &Path, name: &str| sqlite(&dir.join(name));
    match name {
        "append-filelatch" => {
            let log = Filelatch::new().log(dir.join("log.jsonl")).unwrap();
            Box::new(move || Box::new(Latch(log.clone(), record())))
        }
        "append-raw" => Box::new(move || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
            let file = open(dir.join("raw.jsonl"), flags, Mode::from_raw_mode(0o600)).unwrap();
            Box::new(Raw(File::from(file), line()))
        }),
        "append-group" => {
            let group = Arc::new(Group::open(&dir));
            Box::new(move || Box::new(Grouped(Arc::clone(&group), line())))
        }
        "append-sqlite" => Box::new(move || Box::new(Sqlite(wal(&dir, "log.db"), record()))),
        "queue-filelatch" => {
            let queue = Filelatch::new().queue(dir.join("jobs.queue")).unwrap();
            // A runner has read the queue before it begins; the databases need not.
            queue.list().unwrap();
            Box::new(move || Box::new(Runner { queue: queue.clone(), options: ClaimOptions::new() }))
        }
        "queue-sqlite" => Box::new(move || Box::new(Table(wal(&dir, "queue.db")))),
        other => panic!("no contender `{other}`"),
    }
}

/// Fills a queue before the contest.
pub fn fill(name: &str, dir: &Path, n: usize) {
    match name {
        "queue-filelatch" => {
            let queue = Filelatch::new().queue(dir.join("jobs.queue")).unwrap();
            queue.add_all((0..n).map(|i| NewCommand::new(["job".to_owned(), i.to_string()]))).unwrap();
        }
        "queue-sqlite" => {
            let mut connection = sqlite(&dir.join("queue.db"));
            let all = connection.transaction().unwrap();
            for i in 0..n {
                all.execute("INSERT INTO jobs (command, state) VALUES (?1, 0)", [format!("job {i}")]).unwrap();
            }
            all.commit().unwrap();
        }
        _ => {}
    }
}

fn line() -> Vec<u8> {
    let mut line = record();
    line.push(b'\n');
    line
}

struct Latch(Log, Vec<u8>);

impl Turns for Latch {
    fn turn(&mut self) -> bool {
        self.0.append(&self.1, &LogOptions::default()).unwrap();
        true
    }
}

struct Raw(File, Vec<u8>);

impl Turns for Raw {
    fn turn(&mut self) -> bool {
        self.0.write_all(&self.1).unwrap();
        rustix::fs::fdatasync(self.0.as_fd()).unwrap();
        true
    }
}

struct Grouped(Arc<Group>, Vec<u8>);

impl Turns for Grouped {
    fn turn(&mut self) -> bool {
        self.0.append(&self.1);
        true
    }
}

fn sqlite(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(60)).unwrap();
    let set = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS log (id INTEGER PRIMARY KEY, record BLOB);
        CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY, command TEXT, state INTEGER, token INTEGER);
        CREATE INDEX IF NOT EXISTS by_state ON jobs (state, id);";
    // Several connections that begin at once get in each other's way, whatever the time-out.
    while connection.execute_batch(set).is_err() {}
    connection
}

struct Sqlite(Connection, Vec<u8>);

impl Turns for Sqlite {
    fn turn(&mut self) -> bool {
        self.0.prepare_cached("INSERT INTO log (record) VALUES (?1)").unwrap().execute([&self.1]).unwrap();
        true
    }
}

/// Claims a command and completes it.
struct Runner {
    queue: Queue,
    options: ClaimOptions,
}

impl Turns for Runner {
    fn turn(&mut self) -> bool {
        let Some(claim) = self.queue.claim(&self.options).unwrap() else { return false };
        claim.complete(&Outcome::new()).unwrap();
        true
    }
}

struct Table(Connection);

impl Turns for Table {
    fn turn(&mut self) -> bool {
        let claim = self.0.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
        let sql = "UPDATE jobs SET state = 1, token = COALESCE(token, 0) + 1
            WHERE id = (SELECT id FROM jobs WHERE state = 0 ORDER BY id LIMIT 1) RETURNING id, token";
        let got = claim.prepare_cached(sql).unwrap().query_row([], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        let Some((id, token)): Option<(i64, i64)> = got.unwrap() else { return false };
        claim.commit().unwrap();
        let sql = "UPDATE jobs SET state = 2 WHERE id = ?1 AND token = ?2 AND state = 1";
        assert_eq!(self.0.prepare_cached(sql).unwrap().execute([id, token]).unwrap(), 1);
        true
    }
}
