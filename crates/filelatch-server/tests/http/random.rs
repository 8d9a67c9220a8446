//! Random requests: whatever comes, the answer is no server error, and a refusal is a problem.

use axum::body::Body;
use axum::http::Request;
use proptest::prelude::*;
use serde_json::Value;

use crate::common::Server;

/// Words that mean something to some route, and bytes that mean nothing.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(vec![
            "a.json",
            "none",
            "d",
            ".env",
            "..",
            ".",
            "%2e%2e",
            "%00",
            "%ff",
            "api",
            "files",
            "history",
            "conflicts",
            "queues",
            "move",
            "claim",
            "complete",
            "first",
            "0",
            "18446744073709551616",
            "-1",
            "null",
            "fail-fast",
            "merge",
            "5s",
            "absent",
            "\u{e4}",
            "0000000000000000000000000000000000000000000000000000000000000000",
            "*",
            "\"x\"",
            "W/\"x\"",
            "read",
            "admin",
            "",
        ])
        .prop_map(str::to_owned),
        "[ -~]{0,12}",
        any::<String>(),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        word().prop_map(Value::from),
    ];
    let field = proptest::sample::select(vec![
        "content",
        "expectedHash",
        "expectAbsent",
        "strategy",
        "base",
        "baseHash",
        "sessionId",
        "leaseToken",
        "wait",
        "ifLocked",
        "mkdir",
        "token",
        "maxHold",
        "purpose",
        "restore",
        "keep",
        "path",
        "ours",
        "theirs",
        "name",
        "command",
        "id",
        "priority",
        "delay",
        "before",
        "after",
        "first",
        "last",
        "lease",
        "runner",
        "exitCode",
        "result",
        "error",
        "scopes",
        "expires",
        "op",
        "value",
        "from",
        "test",
        "a",
    ]);
    leaf.prop_recursive(3, 16, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((field.clone(), inner), 0..6)
                .prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>()),
        ]
    })
}

/// A route of the description, its parameters filled in.
fn path(routes: Vec<String>) -> impl Strategy<Value = String> {
    let query = proptest::collection::vec(
        (
            proptest::sample::select(vec![
                "wait",
                "durability",
                "contents",
                "version",
                "token",
                "last",
                "path",
                "cursor",
                "rescue",
                "code",
                "mkdir",
            ]),
            word(),
        ),
        0..3,
    );
    (proptest::sample::select(routes), proptest::collection::vec(word(), 3), query).prop_map(|(route, words, query)| {
        let mut words = words.into_iter();
        let mut out = String::new();
        for piece in route.split_inclusive(['{', '}']) {
            match piece.strip_suffix('}') {
                Some(_) => out.push_str(&escaped(&words.next().unwrap_or_default())),
                None => out.push_str(piece.trim_end_matches('{')),
            }
        }
        let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        if !query.is_empty() {
            out = format!("{out}?{}", query.join("&"));
        }
        out
    })
}

/// What can't stand in a request line is escaped; what is escaped stays so.
fn escaped(text: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/%*".contains(&byte);
    text.bytes().map(|byte| if keep(byte) { (byte as char).to_string() } else { format!("%{byte:02X}") }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    /// SERVE-7: no request makes a server error; what is refused says so in the one body.
    #[test]
    fn no_server_error(
        requests in proptest::collection::vec((
            proptest::sample::select(vec!["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"]),
            path(routes()),
            proptest::sample::select(vec![
                "application/json", "application/merge-patch+json", "application/json-patch+json", "text/plain", "", "application/json; charset=x",
            ]),
            proptest::collection::vec((proptest::sample::select(vec![
                "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "filelatch-lease", "filelatch-session", "range", "accept",
                "expect", "x-request-id",
            ]), word()), 0..3),
            prop_oneof![json().prop_map(|body| body.to_string().into_bytes()), proptest::collection::vec(any::<u8>(), 0..64)],
        ), 4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::new();
            std::fs::write(server.root().join("a.json"), "{\"a\": 1}\n").unwrap();
            std::fs::create_dir(server.root().join("d")).unwrap();
            for (method, path, media, headers, body) in requests {
                let mut request = Request::builder().method(method).uri(&path).header("host", "localhost").header("content-type", media);
                for (name, value) in &headers {
                    if let Ok(value) = axum::http::HeaderValue::from_bytes(value.as_bytes()) {
                        request = request.header(*name, value);
                    }
                }
                // A path that is none to the client's library.
                let Ok(request) = request.body(Body::from(body.clone())) else { continue };
                let answer = server.send(request).await;
                let (status, text) = (answer.status.as_u16(), String::from_utf8_lossy(&answer.body));
                assert!(status < 500 || status == 503, "{method} {path} {headers:?} {:?}: {status} {text}", String::from_utf8_lossy(&body));
                if status >= 400 && method != "HEAD" && !path.starts_with("/login") {
                    assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{method} {path}: {status} {text}");
                    assert_eq!(answer.json()["status"], status, "{method} {path}: {text}");
                }
                assert!(!text.contains(server.root().to_str().unwrap()), "{method} {path}: {text}");
            }
        });
    }
}

fn routes() -> Vec<String> {
    let mut routes: Vec<_> = filelatch_server::open_api().paths.paths.keys().cloned().collect();
    routes.extend(["/".to_owned(), "/nothing/{x}".to_owned(), "/assets/{x}".to_owned()]);
    routes
}
