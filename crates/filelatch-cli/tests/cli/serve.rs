//! `filelatch serve`: how it starts, what it refuses, and that what was acknowledged is there however it ends.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::sandbox::Sandbox;
use crate::session::Repo;

/// A server that has said where it listens. Killed when dropped.
struct Server {
    child: Child,
    out: BufReader<ChildStdout>,
    address: String,
}

/// An answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Server {
    fn start(s: &Sandbox, args: &[&str]) -> Server {
        let mut command = s.command(["serve", ".", "--listen", "127.0.0.1:0"]);
        let log = File::options().append(true).create(true).open(s.path("../log")).unwrap();
        let mut child = command.args(args).stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let line = next_line(&mut out);
        let address = line.strip_prefix("listening on http://").unwrap_or_else(|| panic!("{line}")).to_owned();
        Server { child, out, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its exit status.
    fn ended(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    fn send(&self, line: &str, headers: &str, body: &str) -> Answer {
        send(&self.address, line, headers, body).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn next_line(out: &mut BufReader<ChildStdout>) -> String {
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// `None`: nobody answered.
fn send(address: &str, line: &str, headers: &str, body: &str) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).ok()?;
    let length = body.len();
    let text = format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
    );
    stream.write_all(text.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    // An answer that was cut off is none.
    let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    if length.is_some_and(|length: usize| length != body.len()) {
        return None;
    }
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, head: head.to_owned(), body: body.to_owned() })
}

/// SERVE-6: a session that is merged over HTTP is merged as `filelatch session merge` does it: a document whose one line both sides changed
/// is no conflict.
#[test]
fn merges_sessions() {
    let Some(repo) = Repo::new() else { return };
    let s = &repo.0;
    repo.git("config user.name n").exits(0);
    repo.git("config user.email n@example.org").exits(0);
    s.write("c.json", "{\"a\": 1, \"b\": 1}\n");
    repo.git("add c.json").exits(0);
    repo.git("commit -q -m documents").exits(0);
    let folder = repo.session("start fix").exits(0).text().trim_end().to_owned();
    std::fs::write(format!("{folder}/c.json"), "{\"a\": 2, \"b\": 1}\n").unwrap();
    repo.git(&format!("-C {folder} commit -q -a -m theirs")).exits(0);
    s.write("c.json", "{\"a\": 1, \"b\": 2}\n");
    repo.git("commit -q -a -m ours").exits(0);
    let server = Server::start(s, &["--no-auth"]);
    let merged =
        server.send("POST /api/sessions/fix/merge", "Content-Type: application/json\r\n", "{\"message\": \"both\"}");
    assert_eq!(merged.status, 200, "{merged:?}");
    assert_eq!(s.text("c.json"), "{\"a\": 2, \"b\": 2}\n");
}

/// SERVE-1, SERVE-7: where it listens on the first line, a link that logs in once on the second; a signal ends it with status 0; neither the
/// link nor a token is in its log.
#[test]
fn starts_and_ends() {
    let s = Sandbox::new();
    s.run(["init", "."]).exits(0);
    s.write("a.json", "{}\n");
    let made = s.run(["token", "create", "ci", "--scope", "write", "--json"]).exits(0).json();
    let token = made["token"].as_str().unwrap();
    for (format, signal) in [("text", Signal::TERM), ("json", Signal::INT)] {
        let mut server = Server::start(&s, &["--log-format", format]);
        let link = next_line(&mut server.out);
        let path = link.strip_prefix(&format!("http://{}", server.address)).unwrap_or_else(|| panic!("{link}"));
        let logged_in = server.send(&format!("GET {path}"), "", "");
        assert_eq!(logged_in.status, 303, "{logged_in:?}");
        let cookie = logged_in.head.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        assert_eq!(server.send("GET /api/me", &format!("Cookie: {cookie}\r\n"), "").status, 200);
        assert_eq!(server.send("GET /api/tree", "", "").status, 401);
        let bearer = format!("Authorization: Bearer {token}\r\n");
        assert_eq!(server.send("PUT /files/a.json", &bearer, "{\"a\":1}").status, 200);
        server.signal(signal);
        let mut rest = String::new();
        server.out.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "standard output is those two lines");
        assert_eq!(server.ended(), Some(0));
        let log = s.text("../log");
        for secret in [path.split_once("code=").unwrap().1, token, cookie.split_once('=').unwrap().1] {
            assert!(!log.contains(secret), "{secret} is in {log}");
        }
        assert!(log.contains("/api/tree"), "{log}");
    }
    let log = s.text("../log");
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let asked: Vec<_> = lines.filter(|line| line["path"] == "/files/a.json").collect();
    assert_eq!((asked.len(), &asked[0]["status"], &asked[0]["span"]["by"]), (1, &json!(200), &json!("ci")), "{log}");
    let read = s.run(["read", "a.json", "--json"]).exits(0).json();
    assert_eq!(read["lastModifiedBy"], "ci");
}

/// SERVE-7: what it can't serve is refused with its reason, and the right exit status.
#[test]
fn refusals() {
    let s = Sandbox::new();
    s.write("file", "");
    let server = Server::start(&s, &["--no-auth"]);
    let taken = server.address.as_str();
    for (args, status, told) in [
        (&["serve", "missing"][..], 5, "`missing` does not exist"),
        (&["serve", "file"], 1, "cannot open `file`: not a directory"),
        (&["serve", ".", "--listen", taken], 1, "another program listens there"),
        (&["serve", ".", "--listen", "nonsense"], 2, "an address and a port"),
        (&["serve", ".", "--listen", "127.0.0.1:99999"], 2, "an address and a port"),
        (&["serve", ".", "--listen", "0.0.0.0:0", "--no-auth"], 2, "would let everybody in"),
        (&["serve", ".", "--deny", "a["], 2, "is not a glob"),
        (&["serve", ".", "--tls-cert", "file"], 2, "--tls-key"),
        (&["serve", ".", "--tls-cert", "file", "--tls-key", "missing"], 1, "`missing`"),
        (&["serve", ".", "--max-requests", "0"], 2, "--max-requests"),
    ] {
        s.run(args).exits(status).says(told);
    }
    s.run(["init", "."]).exits(0);
    s.write(".filelatch/config.toml", "[[document]]\nname = \"a\"\npath = \"a\"\nroute = \"/api/files\"\n");
    s.run(["serve", "."]).exits(1).says("the route `/api/files` of the document `a` is one of the server's own");
    s.write(".filelatch/config.toml", "[[document]]\nname = \"a\"\npath = \"../a\"\n");
    s.run(["serve", "."]).exits(1).says("does not stay below the folder");
}

/// SERVE-7: without a workspace files are served, and it says what there is not.
#[test]
fn without_a_workspace() {
    let s = Sandbox::new();
    let server = Server::start(&s, &["--no-auth"]);
    assert_eq!(server.send("PUT /files/a", "", "x").status, 201);
    assert_eq!(serde_json::from_str::<Value>(&server.send("GET /api/me", "", "").body).unwrap()["workspace"], false);
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    assert!(s.text("../log").contains("is in no workspace"));
}

/// What clients were told is written: of each file of its own the last number, and the members of a shared document.
#[derive(Default)]
struct Acknowledged {
    own: BTreeMap<usize, u64>,
    members: Vec<String>,
}

/// Clients that write until nobody answers any more.
fn load(
    address: &str,
    round: usize,
    known: &Arc<Mutex<Acknowledged>>,
    count: &Arc<AtomicUsize>,
) -> Vec<std::thread::JoinHandle<()>> {
    let client = |client: usize| {
        let (address, known, count) = (address.to_owned(), Arc::clone(known), Arc::clone(count));
        std::thread::spawn(move || {
            let mut n = known.lock().unwrap().own.get(&client).copied().unwrap_or(0);
            for i in 0.. {
                n += 1;
                let Some(put) = send(&address, &format!("PUT /files/own-{client}"), "", &format!("{n}\n")) else {
                    return;
                };
                assert!(matches!(put.status, 200 | 201 | 503), "{put:?}");
                if put.status < 300 {
                    known.lock().unwrap().own.insert(client, n);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                let member = format!("r{round}c{client}n{i}");
                let media = "Content-Type: application/merge-patch+json\r\n";
                let Some(patch) = send(&address, "PATCH /files/shared.json", media, &format!("{{\"{member}\":1}}"))
                else {
                    return;
                };
                assert!(matches!(patch.status, 200 | 503), "{patch:?}");
                if patch.status == 200 {
                    known.lock().unwrap().members.push(member);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    (0..8).map(client).collect()
}

fn all_there(s: &Sandbox, known: &Mutex<Acknowledged>) {
    let known = known.lock().unwrap();
    let shared = s.value("shared.json");
    for member in &known.members {
        assert_eq!(shared[member], 1, "{member} was acknowledged");
    }
    for (client, n) in &known.own {
        let found: u64 = s.text(format!("own-{client}")).trim().parse().unwrap();
        assert!(found >= *n, "client {client}: {n} was acknowledged, and {found} is there");
    }
}

/// SERVE-7, ATOM-1: killed under load, again and again: every write that was acknowledged is there, no file is torn, and the next server works.
#[test]
fn killed_under_load() {
    let s = Sandbox::new();
    s.run(["init", "."]).exits(0);
    s.write("shared.json", "{}\n");
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..5 {
        let server = Server::start(&s, &["--no-auth", "--log-level", "warn"]);
        let count = Arc::new(AtomicUsize::new(0));
        let clients = load(&server.address, round, &known, &count);
        while count.load(Ordering::Relaxed) < 40 * (round + 1) {
            std::thread::yield_now();
        }
        server.signal(Signal::KILL);
        assert_eq!(server.ended(), None);
        for client in clients {
            client.join().unwrap();
        }
        all_there(&s, &known);
    }
    assert!(known.lock().unwrap().members.len() > 100);
}

/// SERVE-7: asked to end under load: what was acknowledged is there, nobody got half an answer that says so, and the status is 0.
#[test]
fn ended_under_load() {
    let s = Sandbox::new();
    s.write("shared.json", "{}\n");
    let known = Arc::new(Mutex::new(Acknowledged::default()));
    let server = Server::start(&s, &["--no-auth", "--log-level", "warn"]);
    let count = Arc::new(AtomicUsize::new(0));
    let clients = load(&server.address, 0, &known, &count);
    while count.load(Ordering::Relaxed) < 100 {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    assert_eq!(server.ended(), Some(0));
    for client in clients {
        client.join().unwrap();
    }
    all_there(&s, &known);
    assert!(s.names().iter().all(|name| !name.contains(".tmp")), "{:?}", s.names());
}

/// SERVE-6a, P17: a write that was left queued is made by the next server, after a kill.
#[test]
fn queued_and_killed() {
    let s = Sandbox::new();
    s.run(["init", "."]).exits(0);
    s.write("a", "old");
    let holder = s.holder("a");
    let server = Server::start(&s, &["--no-auth"]);
    let body = json!({"content": "new", "wait": 0, "ifLocked": "queue", "sessionId": "ann"}).to_string();
    let taken = server.send("PUT /api/files/a", "Content-Type: application/json\r\n", &body);
    assert_eq!(taken.status, 202, "{taken:?}");
    let id = serde_json::from_str::<Value>(&taken.body).unwrap()["id"].as_str().unwrap().to_owned();
    server.signal(Signal::KILL);
    server.ended();
    assert_eq!(s.text("a"), "old");
    let server = Server::start(&s, &["--no-auth"]);
    let state = || serde_json::from_str::<Value>(&server.send(&format!("GET /api/writes/{id}"), "", "").body).unwrap();
    assert_eq!(state()["state"], "queued");
    assert_eq!(holder.finish(), Some(0));
    while state()["state"] == "queued" {
        std::thread::yield_now();
    }
    assert_eq!((state()["state"].as_str(), s.text("a").as_str()), (Some("written"), "new"));
    let read = s.run(["read", "a", "--json"]).exits(0).json();
    assert_eq!(read["lastModifiedBy"], "ann");
}

/// STORE-2, SERVE-7: runners over HTTP beside `filelatch queue run` in another process: each command is run and completed once.
#[test]
fn runners_here_and_there() {
    const COMMANDS: usize = 60;
    const JSON: &str = "Content-Type: application/json\r\n";
    let s = Sandbox::new();
    s.run(["init", "."]).exits(0);
    let server = Server::start(&s, &["--no-auth", "--log-level", "warn"]);
    for n in 0..COMMANDS {
        let body = json!({"id": format!("c{n}"), "command": ["sh", "-c", format!("echo c{n} >> ran")]}).to_string();
        assert_eq!(server.send("POST /api/queues/jobs", JSON, &body).status, 201);
    }
    let runners: Vec<_> = (0..3)
        .map(|_| {
            let (address, ran) = (server.address.clone(), s.path("ran"));
            std::thread::spawn(move || {
                let mut done = 0;
                loop {
                    let claimed = send(&address, "POST /api/queues/jobs/claim", JSON, "{}").unwrap();
                    if claimed.status == 204 {
                        return done;
                    }
                    assert_eq!(claimed.status, 200, "{}", claimed.body);
                    let claimed: Value = serde_json::from_str(&claimed.body).unwrap();
                    let id = claimed["id"].as_str().unwrap();
                    let mut file = File::options().append(true).create(true).open(&ran).unwrap();
                    file.write_all(format!("{id}\n").as_bytes()).unwrap();
                    let body = json!({"token": claimed["token"], "exitCode": 0}).to_string();
                    let line = format!("POST /api/queues/jobs/{id}/complete");
                    let ended = send(&address, &line, JSON, &body).unwrap();
                    assert_eq!(ended.status, 200, "{}", ended.body);
                    done += 1;
                }
            })
        })
        .collect();
    s.run(["queue", "run", "jobs", "--until-empty"]).exits(0);
    let here: usize = runners.into_iter().map(|runner| runner.join().unwrap()).sum();
    // A runner here may have had the last one when the others found nothing.
    s.run(["queue", "run", "jobs", "--until-empty"]).exits(0);
    let ran = std::fs::read_to_string(s.path("ran")).unwrap();
    let mut ran: Vec<_> = ran.lines().map(str::to_owned).collect();
    ran.sort_unstable();
    let mut all: Vec<_> = (0..COMMANDS).map(|n| format!("c{n}")).collect();
    all.sort_unstable();
    assert_eq!(ran, all, "{here} of them here");
    let listed: Value = serde_json::from_str(&server.send("GET /api/queues/jobs", "", "").body).unwrap();
    for command in listed["commands"].as_array().unwrap() {
        assert_eq!((&command["state"], &command["attempts"]), (&json!("done"), &json!(1)), "{command}");
    }
}
