//! A client that speaks JSON-RPC by hand to the real program.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

/// No answer takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder, with a workspace or without.
pub(crate) struct Project {
    dir: TempDir,
}

impl Project {
    pub(crate) fn new() -> Project {
        Project { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn with_workspace() -> Project {
        let project = Project::new();
        let made = command().args(["init", "."]).current_dir(project.root()).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        project
    }

    pub(crate) fn root(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(fs::read(self.path(name)).unwrap()).unwrap()
    }

    /// Temporary files beside the others: after whatever happened, none stays for good.
    pub(crate) fn start(&self) -> Client {
        self.start_with(&[])
    }

    pub(crate) fn start_with(&self, args: &[&str]) -> Client {
        let mut client = Client::spawn(self.root(), args);
        client.initialize("test-client");
        client
    }
}

/// The program, without what this process was started with.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_filelatch"));
    for name in ["FILELATCH_SESSION", "FILELATCH_HELD", "FILELATCH_LEASE", "FILELATCH_TRUSTED"] {
        command.env_remove(name);
    }
    command
}

/// A server, and the pipes to it.
pub(crate) struct Client {
    pub(crate) server: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    next_id: i64,
    early: HashMap<i64, Value>,
}

impl Client {
    pub(crate) fn spawn(root: &Path, args: &[&str]) -> Client {
        let mut server = command()
            .arg("mcp")
            .arg(root)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let input = server.stdin.take();
        let output = server.stdout.take().unwrap();
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Client { server, input, lines, next_id: 0, early: HashMap::new() }
    }

    pub(crate) fn initialize(&mut self, name: &str) -> Value {
        let info =
            json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": name, "version": "1"}});
        let answer = self.request("initialize", &info);
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer["result"].clone()
    }

    /// Sends one line.
    pub(crate) fn send(&mut self, message: &Value) {
        self.send_raw(message.to_string().as_bytes());
    }

    pub(crate) fn send_raw(&mut self, line: &[u8]) {
        let input = self.input.as_mut().unwrap();
        // A server that was killed does not read any more.
        input.write_all(line).and_then(|()| input.write_all(b"\n")).and_then(|()| input.flush()).ok();
    }

    /// Sends a request and does not wait for the answer.
    pub(crate) fn begin(&mut self, method: &str, params: &Value) -> i64 {
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.next_id, "method": method, "params": params}));
        self.next_id
    }

    pub(crate) fn begin_call(&mut self, tool: &str, arguments: &Value) -> i64 {
        self.begin("tools/call", &json!({"name": tool, "arguments": arguments}))
    }

    /// The next message; every line must be one. `None`: the server has closed its output.
    pub(crate) fn message(&mut self) -> Option<Value> {
        let line = self.lines.recv_timeout(PATIENCE).ok()?;
        let message: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("not JSON ({e}): {line}"));
        assert_eq!(message["jsonrpc"], "2.0", "{line}");
        Some(message)
    }

    /// The answer to a request; `None`: the server has ended.
    pub(crate) fn answer(&mut self, id: i64) -> Option<Value> {
        if let Some(answer) = self.early.remove(&id) {
            return Some(answer);
        }
        loop {
            let message = self.message()?;
            match message["id"].as_i64() {
                Some(found) if found == id => return Some(message),
                Some(other) => drop(self.early.insert(other, message)),
                None => {}
            }
        }
    }

    pub(crate) fn request(&mut self, method: &str, params: &Value) -> Value {
        let id = self.begin(method, params);
        self.answer(id).expect("an answer")
    }

    /// What a tool answered, and whether it is a refusal. The text is the same as the structured content.
    pub(crate) fn told(answer: &Value) -> Value {
        let result = &answer["result"];
        let told = result["structuredContent"].clone();
        assert!(told.is_object(), "{answer}");
        let text: Value = serde_json::from_str(result["content"][0]["text"].as_str().unwrap()).unwrap();
        assert_eq!(text, told);
        assert_eq!(told["ok"] != json!(true), result["isError"] == json!(true), "{answer}");
        told
    }

    pub(crate) fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        let answer = self.request("tools/call", &json!({"name": tool, "arguments": arguments}));
        Client::told(&answer)
    }

    /// A call that must succeed.
    pub(crate) fn done(&mut self, tool: &str, arguments: &Value) -> Value {
        let told = self.call(tool, arguments);
        assert_eq!(told["ok"], true, "{told}");
        told
    }

    /// A call that must be refused so.
    pub(crate) fn refused(&mut self, tool: &str, arguments: &Value, kind: &str) -> Value {
        let told = self.call(tool, arguments);
        assert_eq!(told["kind"], kind, "{told}");
        assert!(!told["message"].as_str().unwrap().is_empty() && !told["not_done"].as_str().unwrap().is_empty());
        told
    }

    /// Closes the input and waits for the end; what was still sent.
    pub(crate) fn end(mut self) -> (std::process::ExitStatus, Vec<Value>) {
        self.input = None;
        let mut rest = Vec::new();
        while let Some(message) = self.message() {
            rest.push(message);
        }
        (self.server.wait().unwrap(), rest)
    }

    pub(crate) fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.input = None;
        self.server.kill().ok();
        self.server.wait().ok();
    }
}
