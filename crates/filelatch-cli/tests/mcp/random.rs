//! Random requests to `filelatch mcp`: whatever comes, each request is answered once, nothing but JSON-RPC is said, nothing outside is touched,
//! and nothing crashes.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use serde_json::{Map, Value, json};

const REQUESTS: usize = 3_000;
/// With `FILELATCH_FULL`.
const REQUESTS_IN_FULL: usize = 10_000;
const SEED: u64 = 0x6d63_7020_7261_6e64;
/// Unanswered at the same time.
const WINDOW: usize = 48;
/// Lines longer than any message may be.
const OVERSIZE: [usize; 2] = [20 << 20, (16 << 20) + 1];
/// What must not be seen from within the root.
const SECRET: &str = "s3cret-that-nobody-may-see";

/// `SplitMix64`.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    /// In one of `n` cases.
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn of<'a, T: ?Sized>(&mut self, choices: &[&'a T]) -> &'a T {
        choices[self.below(choices.len())]
    }
}

const PATHS: [&str; 24] = [
    "a.txt",
    "b.txt",
    "d/c.json",
    "d/t.toml",
    "d/y.yaml",
    "new.txt",
    "d",
    "",
    ".",
    "..",
    "../outside.txt",
    "/etc/passwd",
    "link.txt",
    "up/outside.txt",
    ".env",
    ".filelatch/config.toml",
    ".git/config",
    "a\u{0}b",
    "file:///etc/passwd",
    "a.txt/x",
    "d/../../outside.txt",
    "\u{e4}\u{1f600}",
    "d//c.json",
    "binary.bin",
];
const TEXTS: [&str; 14] = [
    "one",
    "one\n",
    "two\n",
    "three\r\n",
    "\n",
    "",
    "x = 1\n",
    "\u{feff}",
    "\u{1f600}",
    "none of it is there",
    "1:0000",
    "2:ffff",
    "{\"a\": 1}",
    "*",
];

fn junk(random: &mut Random, depth: usize) -> Value {
    match random.below(if depth == 0 { 9 } else { 11 }) {
        0 => Value::Null,
        1 => json!(random.one_in(2)),
        2 => json!(random.next().cast_signed()),
        3 => json!(random.next()),
        4 => json!([-1, 0, 1, 2, 1000][random.below(5)]),
        5 => json!([1e300, -0.5, f64::MIN_POSITIVE, 4.0][random.below(4)]),
        6 => json!(random.of(&PATHS)),
        7 => json!(random.of(&TEXTS)),
        8 => json!("y".repeat(random.below(5000))),
        9 => (0..random.below(4)).map(|_| junk(random, depth - 1)).collect(),
        _ => {
            let names = ["path", "op", "value", "old_text", "new_text", "a", "edits", "content", ""];
            let fields: Map<String, Value> =
                (0..random.below(4)).map(|_| (random.of(&names).to_owned(), junk(random, depth - 1))).collect();
            fields.into()
        }
    }
}

/// A value that means something where a field has this name.
fn sensible(name: &str, random: &mut Random, tool: &str) -> Value {
    match name {
        "path" if tool == "lease" && !random.one_in(8) => json!("leased.txt"),
        "path" if random.one_in(3) => json!(random.of(&PATHS)),
        "path" => json!(random.of(&PATHS[..6])),
        "paths" => json!([random.of(&["**", "*.txt", "d/*", "[", "../**"])]),
        "edits" => (0..=random.below(3))
            .map(|_| {
                let mut edit = json!({"old_text": random.of(&TEXTS), "new_text": random.of(&TEXTS)});
                if random.one_in(4) {
                    edit = json!({"anchor": random.of(&["1:0000", "2:ffff", "0:", ":", "99999999999999999999:aaaa"]), "new_text": random.of(&TEXTS)});
                }
                if random.one_in(4) {
                    edit["expected_count"] = json!([0, 1, 2, 1_000_000][random.below(4)]);
                }
                edit
            })
            .collect(),
        "changes" => (0..=random.below(3))
            .map(|_| {
                let mut change = json!({"path": random.of(&PATHS)});
                let field = random.of(&["content", "edits", "remove", "merge_patch", "base_hash"]);
                change[field] = if field == "remove" { json!(true) } else { sensible(field, random, tool) };
                change
            })
            .collect(),
        "action" => json!(random.of(&[
            "acquire", "renew", "release", "status", "list", "show", "resolve", "diff", "restore", "start", "merge", "remove", "x"
        ])),
        "merge_patch" => json!({"a": junk(random, 1)}),
        "json_patch" => json!([{"op": random.of(&["add", "remove", "replace", "test", "move"]), "path": random.of(&["/a", "", "/a/b", "x"]), "value": junk(random, 1)}]),
        "wait_ms" => json!([0, 5, 20][random.below(3)]),
        "seconds" => json!([1, 0, 2][random.below(3)]),
        "base_hash" | "known_hash" | "expected_hash" | "id" | "version" => {
            json!(random.of(&["absent", "0000000000000000", "zz", "", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"]))
        }
        "idempotency_key" => json!(random.of(&["k", "another", "../k", "", "\u{0}"])),
        "durability" => json!(random.of(&["none", "none", "file", "full", "x"])),
        "on_conflict" => json!(random.of(&["merge", "fail", "queue", "x"])),
        "strategy" => json!(random.of(&["fail-fast", "queue", "last-write-wins", "merge", "x"])),
        "start_line" | "end_line" | "max" => json!([0_u64, 1, 2, 1 << 40][random.below(4)]),
        "dry_run" | "mkdir" | "create" | "anchors" | "expect_absent" | "newline" | "fix" => json!(random.one_in(2)),
        _ => json!(random.of(&TEXTS)),
    }
}

fn arguments(random: &mut Random, tool: &str, properties: &[String]) -> Value {
    if random.one_in(30) {
        return junk(random, 3);
    }
    let mut fields = Map::new();
    for name in properties {
        let often =
            matches!(&**name, "path" | "edits" | "content" | "text" | "changes" | "wait_ms" | "durability" | "seconds");
        if often && !random.one_in(12) || random.one_in(6) {
            let value = if random.one_in(20) { junk(random, 2) } else { sensible(name, random, tool) };
            fields.insert(name.clone(), value);
        }
    }
    if random.one_in(40) {
        fields.insert("surplus".to_owned(), junk(random, 2));
    }
    fields.into()
}

/// What is sent, and the request that is answered, if it is one.
struct Sent {
    line: Vec<u8>,
    /// As JSON.
    id: Option<String>,
    /// Whether it was called off, and need not be answered.
    called_off: Option<String>,
}

fn request(random: &mut Random, number: usize, tools: &BTreeMap<String, Vec<String>>) -> Sent {
    let id = match random.below(4) {
        0 => json!(format!("s{number}")),
        1 => json!(-i64::try_from(number).unwrap()),
        _ => json!(number),
    };
    let names: Vec<&str> = tools.keys().map(String::as_str).collect();
    let tool = random.of(&names);
    let mut message = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": tool, "arguments": arguments(random, tool, &tools[tool])}});
    let plain = |line: Vec<u8>| Sent { line, id: None, called_off: None };
    match random.below(40) {
        0 => message["params"]["name"] = junk(random, 1),
        1 => message["params"] = junk(random, 2),
        2 => {
            message["method"] = json!(random.of(&[
                "no/such",
                "",
                "tools/list",
                "ping",
                "resources/list",
                "resources/templates/list",
                "prompts/list"
            ]));
        }
        3 => {
            message["method"] = json!("resources/read");
            message["params"] = json!({"uri": random.of(&["filelatch://status", "filelatch://conflicts/0", "filelatch://conflicts/../..", "file:///etc/passwd", ""])});
        }
        4 => {
            message.as_object_mut().unwrap().remove("id");
            message["method"] = json!(random.of(&[
                "notifications/roots/list_changed",
                "notifications/progress",
                "notifications/x",
                "tools/call"
            ]));
            return plain(message.to_string().into_bytes());
        }
        5 => {
            let other = json!(random.below(number + 1));
            let line = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": other, "reason": "none"}});
            return Sent { line: line.to_string().into_bytes(), id: None, called_off: Some(other.to_string()) };
        }
        6 => return plain(json!([message, message]).to_string().into_bytes()),
        7 => {
            let line = message.to_string();
            return plain(line.as_bytes()[..random.below(line.len())].to_vec());
        }
        8 => {
            let bytes = (0..random.below(200)).map(|_| random.next().to_le_bytes()[0]).filter(|byte| *byte != b'\n');
            return plain(bytes.collect());
        }
        9 => return plain("[".repeat(random.below(50_000)).into_bytes()),
        10 => {
            message["params"]["arguments"] = json!({"path": "SURROGATE"});
            return plain(message.to_string().replace("SURROGATE", "a\\ud800.txt").into_bytes());
        }
        11 => {
            message["params"]["arguments"] = json!({"path": "HUGE"});
            let line = message
                .to_string()
                .replace("\"HUGE\"", random.of(&["1e999", "123456789012345678901234567890", "-0", "1E-400"]));
            // Whether a number is one is up to the parser: answered under the id, or as no JSON.
            return Sent { line: line.into_bytes(), called_off: Some(id.to_string()), id: None };
        }
        12 => {
            let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
            message["params"]["arguments"] = json!({"path": serde_json::from_str::<Value>(&deep).unwrap()});
        }
        13 if random.one_in(10) => {
            message["params"]["arguments"] = json!({"path": "a.txt", "content": "z".repeat(11 << 20)});
        }
        _ => {}
    }
    Sent { line: message.to_string().into_bytes(), id: Some(id.to_string()), called_off: None }
}

fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "root") {
        let path = entry.path();
        let content = if path.is_dir() { Vec::new() } else { fs::read(&path).unwrap() };
        found.insert(path.to_string_lossy().into_owned(), content);
    }
    found
}

fn filelatch(base: &Path, words: [&str; 2]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filelatch"));
    command
        .args(words)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", base)
        .env("TMPDIR", base)
        .current_dir(base);
    command
}

fn folder(base: &Path) {
    fs::create_dir_all(base.join("root/d")).unwrap();
    for (name, content) in [
        ("outside.txt", SECRET),
        ("root/.env", SECRET),
        ("root/a.txt", "one\ntwo\none\n"),
        ("root/b.txt", "\u{feff}one\r\nthree\r\nfour"),
        ("root/leased.txt", "one\n"),
        ("root/d/c.json", "{\"a\": {\"b\": 1}}\n"),
        ("root/d/t.toml", "a = 1 # stays\n"),
        ("root/d/y.yaml", "a: 1\n"),
    ] {
        fs::write(base.join(name), content).unwrap();
    }
    fs::write(base.join("root/binary.bin"), [0, 255, 254, 10, 0]).unwrap();
    std::os::unix::fs::symlink("../outside.txt", base.join("root/link.txt")).unwrap();
    std::os::unix::fs::symlink("..", base.join("root/up")).unwrap();
    assert!(filelatch(base, ["init", "root"]).output().unwrap().status.success());
}

/// What was answered, and what was not yet.
#[derive(Default)]
struct Told {
    /// The beginnings of requests without an answer, by their ids.
    open: HashMap<String, Vec<u8>>,
    /// Called off, or not told apart from what is no JSON: answered once or never.
    may_be_answered: HashSet<String>,
    successes: usize,
    refusals: usize,
    errors: usize,
}

impl Told {
    fn take(&mut self, answer: &Value) {
        if answer["result"]["isError"] == true {
            self.refusals += 1;
            let refusal = &answer["result"]["structuredContent"];
            let whole = ["kind", "message", "not_done"].iter().all(|field| refusal[field].is_string());
            assert!(whole && refusal["ok"] == false, "{answer}");
        } else if answer.get("result").is_some() {
            self.successes += 1;
        } else {
            self.errors += 1;
            assert!(answer["error"]["code"].is_i64() && answer["error"]["message"].is_string(), "{answer}");
        }
        let Some(id) = answer.get("id").filter(|id| !id.is_null()).map(Value::to_string) else { return };
        let known = self.open.remove(&id).is_some() || self.may_be_answered.remove(&id);
        assert!(known, "a second answer, or one to nobody: {answer}");
    }
}

/// The names of each tool's arguments.
fn properties(list: &Value) -> BTreeMap<String, Vec<String>> {
    let tools = list["result"]["tools"].as_array().unwrap().iter();
    let named = tools.map(|tool| {
        let fields = tool["inputSchema"]["properties"].as_object().unwrap();
        (tool["name"].as_str().unwrap().to_owned(), fields.keys().cloned().collect())
    });
    named.collect()
}

/// AGENT-7, AGENT-6: requests with random tools and arguments, broken lines, wrong types, huge numbers, deep nesting, lone surrogates,
/// unknown methods, batches, lines of 20 MB: the server lives, answers each request exactly once and ends well; files outside the root and hidden ones
/// are neither read nor changed; standard output has nothing but JSON-RPC.
#[test]
fn random_requests() {
    let (base, logs) = (tempfile::tempdir().unwrap(), tempfile::NamedTempFile::new().unwrap());
    let base = base.path();
    folder(base);
    let before = tree(base);
    let log = || fs::read_to_string(logs.path()).unwrap();
    let mut server = filelatch(base, ["mcp", "root"])
        .env("RUST_BACKTRACE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(logs.reopen().unwrap())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let output = BufReader::new(server.stdout.take().unwrap());
    let (heard, answers) = mpsc::channel();
    let listener = std::thread::spawn(move || {
        for line in output.lines() {
            let line = line.expect("standard output is text");
            let message: Value =
                serde_json::from_str(&line).unwrap_or_else(|e| panic!("no JSON on standard output ({e}): {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            assert!(!line.contains(SECRET), "told what is hidden: {line}");
            // A request of the server's own has an id, too.
            if message.get("method").is_none() {
                heard.send(message).unwrap();
            }
        }
    });
    let mut say = |line: &[u8]| {
        input.write_all(line).expect("the server takes what comes");
        input.write_all(b"\n").expect("the server takes what comes");
    };
    let client = json!({"name": "random", "version": "1"});
    say(json!({"jsonrpc": "2.0", "id": "begin", "method": "initialize", "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client}})
        .to_string()
        .as_bytes());
    assert_eq!(answers.recv().unwrap()["result"]["serverInfo"]["name"], "filelatch");
    say(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    say(br#"{"jsonrpc":"2.0","id":"list","method":"tools/list"}"#);
    let list = answers.recv().unwrap();
    let tools = properties(&list);

    let full = std::env::var_os("FILELATCH_FULL").is_some();
    let requests = if full { REQUESTS_IN_FULL } else { REQUESTS };
    let mut random = Random(SEED);
    let mut told = Told::default();
    for number in 0..requests {
        let sent = request(&mut random, number + 1, &tools);
        if let Some(id) = sent.called_off {
            told.open.remove(&id);
            told.may_be_answered.insert(id);
        }
        if let Some(id) = sent.id {
            told.open.insert(id, sent.line[..sent.line.len().min(500)].to_vec());
        }
        say(&sent.line);
        if let Some(at) = [requests / 3, requests / 2].iter().position(|at| *at == number) {
            say(&vec![b'"'; OVERSIZE[at]]);
        }
        while told.open.len() >= WINDOW {
            let answer = answers.recv().expect("the server lives");
            told.take(&answer);
        }
        for answer in answers.try_iter() {
            told.take(&answer);
        }
    }
    while !told.open.is_empty() {
        let Ok(answer) = answers.recv_timeout(std::time::Duration::from_secs(90)) else {
            let left: Vec<_> = told.open.values().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
            panic!("no answer to {left:#?}\n{}", log());
        };
        told.take(&answer);
    }
    // It is as good as new.
    say(br#"{"jsonrpc":"2.0","id":"end","method":"tools/call","params":{"name":"read","arguments":{"path":"d/y.yaml"}}}"#);
    let last = loop {
        let answer = answers.recv().expect("the server lives");
        if answer["id"] == "end" {
            break answer;
        }
    };
    assert_eq!(last["result"]["structuredContent"]["ok"], true, "{last}");
    drop(input);
    listener.join().expect("standard output has nothing but JSON-RPC");
    let status = server.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", log());
    assert!(!log().contains("panicked"), "{}", log());
    assert_eq!(tree(base), before, "something outside the root was changed");
    assert_eq!(fs::read_to_string(base.join("root/.env")).unwrap(), SECRET);
    // The generator reaches what it is to reach.
    let (successes, refusals, errors) = (told.successes, told.refusals, told.errors);
    assert!(
        successes > requests / 10 && refusals > requests / 10 && errors > requests / 50,
        "{successes} {refusals} {errors}"
    );
}
