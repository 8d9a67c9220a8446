//! The protocol: what it begins with, what is no message, how it ends.

use serde_json::{Value, json};

use crate::client::{Client, Project};

/// AGENT-8: who the server is, and its tools: each with a title, both schemas and annotations.
#[test]
fn begins() {
    let project = Project::new();
    let mut client = Client::spawn(project.root(), &[]);
    let told = client.initialize("someone");
    assert_eq!(told["serverInfo"]["name"], "filelatch");
    assert!(told["capabilities"]["tools"].is_object() && told["instructions"].is_string(), "{told}");
    let answer = client.request("tools/list", &json!({}));
    let tools = answer["result"]["tools"].as_array().unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "read"), "{tools:?}");
    for tool in tools {
        assert_eq!(tool["inputSchema"]["type"], "object", "{tool}");
        assert_eq!(tool["outputSchema"]["type"], "object", "{tool}");
        assert!(tool["title"].is_string() && tool["description"].is_string(), "{tool}");
        assert_eq!(tool["annotations"]["openWorldHint"], false, "{tool}");
        assert!(tool["annotations"]["readOnlyHint"].is_boolean(), "{tool}");
    }
    let (status, rest) = client.end();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
}

/// AGENT-7: what is no message is answered with an error, and the connection goes on.
#[test]
fn what_is_no_message() {
    let project = Project::new();
    project.write("a.txt", "one\n");
    let mut client = Client::spawn(project.root(), &[]);
    // Before the beginning, too.
    client.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
    client.send_raw(b"not json");
    assert_eq!(client.message().unwrap()["error"]["code"], -32700);
    client.initialize("someone");
    for (line, code) in [
        (&b"{"[..], -32700),
        (b"\xff\xfe", -32700),
        (b"[]", -32600),
        (b"7", -32600),
        (b"{\"jsonrpc\":\"1.0\",\"id\":70,\"method\":\"ping\"}", -32600),
        (b"{\"id\":71}", -32600),
        (b"{\"jsonrpc\":\"2.0\",\"id\":72,\"method\":\"no/such\"}", -32601),
    ] {
        client.send_raw(line);
        let told = client.message().unwrap();
        assert_eq!(told["error"]["code"], code, "{}: {told}", String::from_utf8_lossy(line));
    }
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    client.send_raw(deep.as_bytes());
    assert_eq!(client.message().unwrap()["error"]["code"], -32700);
    client.send_raw(b"");
    client.send_raw(b"\r");
    assert_eq!(client.done("read", &json!({"path": "a.txt"}))["content"], "one\n");
    let unknown = client.request("tools/call", &json!({"name": "nothing", "arguments": {}}));
    assert_eq!(unknown["error"]["code"], -32602, "{unknown}");
    let malformed = client.request("tools/call", &json!({"name": "read", "arguments": "a.txt"}));
    assert!(malformed["error"].is_object(), "{malformed}");
    assert_eq!(client.done("read", &json!({"path": "a.txt"}))["content"], "one\n");
}

/// AGENT-7: a message beyond the limit is refused without being stored, and the next is read.
#[test]
fn too_long() {
    let project = Project::new();
    project.write("a.txt", "one\n");
    let mut client = project.start();
    client.send_raw(&vec![b'x'; (16 << 20) + 1]);
    assert_eq!(client.message().unwrap()["error"]["code"], -32600);
    client.send_raw(&vec![b' '; 40 << 20]);
    assert_eq!(client.message().unwrap()["error"]["code"], -32600);
    assert_eq!(client.done("read", &json!({"path": "a.txt"}))["content"], "one\n");
}

/// AGENT-6: wrong arguments are refusals in the one shape, and say where.
#[test]
fn wrong_arguments() {
    let project = Project::new();
    let mut client = project.start();
    for (arguments, says) in [
        (json!({}), "missing field `path`"),
        (json!({"path": 7}), "path"),
        (json!({"path": "a", "pth": 1}), "unknown field `pth`"),
        (json!({"path": "a", "start_line": -1}), "start_line"),
        (json!({"path": "a", "known_hash": "xyz"}), "no hash"),
    ] {
        let told = client.refused("read", &arguments, "malformed");
        assert!(told["message"].as_str().unwrap().contains(says), "{told}");
        assert_eq!(told["not_done"], "nothing was changed");
    }
}

/// AGENT-7: at the end of its input the server answers what it was asked, and ends well.
#[test]
fn ends() {
    let project = Project::new();
    project.write("a.txt", "one\n");
    let mut client = project.start();
    let ids: Vec<_> = (0..20).map(|_| client.begin_call("read", &json!({"path": "a.txt"}))).collect();
    let (status, rest) = client.end();
    assert!(status.success(), "{status}");
    let mut answered: Vec<_> = rest.iter().filter_map(|message| message["id"].as_i64()).collect();
    answered.sort_unstable();
    assert_eq!(answered, ids);
    // Without a word, too.
    let (status, rest) = Client::spawn(project.root(), &[]).end();
    assert!(status.success() && rest.is_empty(), "{status} {rest:?}");
}

/// AGENT-7: SIGTERM is a clean end, too.
#[test]
#[cfg(unix)]
fn ends_by_signal() {
    let project = Project::new();
    let mut client = project.start();
    let pid = client.server.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(client.message(), None);
    let status = client.server.wait().unwrap();
    assert!(status.success(), "{status}");
}

/// AGENT-7: an id that is in use is refused, and numbers of any precision come through.
#[test]
fn ids() {
    let project = Project::new();
    let mut client = project.start();
    for id in [json!(0), json!(-5), json!(9_007_199_254_740_993_i64), json!("a"), json!("")] {
        client.send(&json!({"jsonrpc": "2.0", "id": id, "method": "ping"}));
        assert_eq!(client.message().unwrap()["id"], id);
    }
    client.send_raw(b"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"ping\"}");
    let told = client.message().unwrap();
    assert!(told["error"].is_object() && told.get("id").is_none_or(Value::is_null), "{told}");
}
