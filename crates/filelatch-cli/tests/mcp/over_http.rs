//! `/mcp` of `filelatch serve`: the same tools, behind tokens and their scopes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::client::{Project, command};

/// A server that has said where it listens. Killed when dropped.
struct Served {
    child: Child,
    /// Whoever has it goes on being told.
    _out: BufReader<ChildStdout>,
    address: String,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Served {
    fn start(project: &Project) -> Served {
        let mut command = command();
        command.current_dir(project.root()).args(["serve", ".", "--listen", "127.0.0.1:0", "--log-level", "off"]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://").unwrap().to_owned();
        Served { child, _out: out, address }
    }

    /// Sends a message; status, head and body.
    fn post(&self, headers: &str, message: &Value) -> (u16, String, String) {
        let body = message.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nContent-Length: {}\r\n{headers}\r\n",
            self.address,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    /// A client that has said hello.
    fn client(&self, token: &str, more: &str) -> Session<'_> {
        let headers = format!("Authorization: Bearer {token}\r\n{more}");
        let info = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "web-client", "version": "1"}}});
        let (status, head, body) = self.post(&headers, &info);
        assert_eq!(status, 200, "{body}");
        let id = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
        let session = Session {
            served: self,
            headers: format!("{headers}Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-06-18\r\n"),
            id,
        };
        let (status, ..) =
            self.post(&session.headers, &json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        assert_eq!(status, 202);
        session
    }
}

struct Session<'s> {
    served: &'s Served,
    headers: String,
    id: String,
}

impl Session<'_> {
    fn request(&self, method: &str, params: &Value) -> Value {
        let (status, _, body) =
            self.served.post(&self.headers, &json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}));
        assert_eq!(status, 200, "{body}");
        let messages =
            body.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data:")?.trim()).ok());
        messages.into_iter().find(|message| message["id"] == 7).unwrap_or_else(|| panic!("{body}"))
    }

    fn call(&self, tool: &str, arguments: &Value) -> Value {
        self.request("tools/call", &json!({"name": tool, "arguments": arguments}))["result"]["structuredContent"]
            .clone()
    }

    fn tools(&self) -> Vec<String> {
        let listed = self.request("tools/list", &json!({}));
        listed["result"]["tools"]
            .as_array()
            .unwrap()
            .iter()
            .map(|tool| tool["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn token(project: &Project, name: &str, scope: &str) -> String {
    let args = ["token", "create", name, "--scope", scope, "--json"];
    let made = command().current_dir(project.root()).args(args).output().unwrap();
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["token"].as_str().unwrap().to_owned()
}

/// AGENT-5, SERVE-7: with a token that may write, tools write, under the token's or a chosen name; one that may read gets answers and refusals; nobody
/// else gets anything, and nobody does in another's session what he may not do himself.
#[test]
fn scopes() {
    let project = Project::with_workspace();
    project.write("a.txt", "one\n");
    let (reads, writes) = (token(&project, "reader", "read"), token(&project, "writer", "write"));
    let served = Served::start(&project);
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    assert_eq!(served.post("", &hello).0, 401);
    assert_eq!(served.post("Authorization: Bearer wrong\r\n", &hello).0, 401);
    let evil = format!("Authorization: Bearer {writes}\r\nOrigin: http://evil.example\r\n");
    assert_eq!(served.post(&evil, &hello).0, 403);

    let writer = served.client(&writes, "");
    let reader = served.client(&reads, "");
    assert_eq!(reader.call("read", &json!({"path": "a.txt"}))["content"], "one\n");
    let lease = json!({"action": "acquire", "path": "a.txt"});
    assert_eq!(reader.call("lease", &lease)["kind"], "forbidden");
    let had = writer.call("lease", &lease);
    assert_eq!((&had["ok"], &had["holder"]["session"]), (&json!(true), &json!("writer")), "{had}");
    assert!(reader.tools().len() <= writer.tools().len());
    // In the writer's session with the reader's token.
    let headers = format!(
        "Authorization: Bearer {reads}\r\nMcp-Session-Id: {}\r\nMCP-Protocol-Version: 2025-06-18\r\n",
        writer.id
    );
    let thief = Session { served: &served, headers, id: writer.id.clone() };
    let release = json!({"action": "release", "path": "a.txt", "token": had["token"]});
    assert_eq!(thief.call("lease", &release)["kind"], "forbidden");
    assert_eq!(writer.call("lease", &release)["ok"], true);
    let named = served.client(&writes, "Filelatch-Session: ann\r\n");
    assert_eq!(named.call("lease", &lease)["holder"]["session"], "ann");
    let status = reader.request("resources/read", &json!({"uri": "filelatch://status"}));
    assert!(status["result"]["contents"][0]["text"].as_str().unwrap().contains("\"ann\""), "{status}");
    // Revoked, it is refused from then on.
    let revoked = command().current_dir(project.root()).args(["token", "revoke", "reader"]).output().unwrap();
    if revoked.status.success() {
        let again = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/list"});
        assert_eq!(served.post(&reader.headers, &again).0, 401);
    }
}

/// AGENT-7: what is no message gets an error, and the server goes on.
#[test]
fn malformed() {
    let project = Project::with_workspace();
    let writes = token(&project, "writer", "write");
    let served = Served::start(&project);
    let headers = format!("Authorization: Bearer {writes}\r\n");
    for message in [json!({}), json!([]), json!(3), json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call"})] {
        let (status, _, body) = served.post(&headers, &message);
        assert!((400..500).contains(&status), "{status} {body}");
    }
    assert_eq!(served.client(&writes, "").call("status", &json!({}))["ok"], true);
}
