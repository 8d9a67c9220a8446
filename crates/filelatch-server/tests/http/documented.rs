//! The examples of the reference (docs/reference/http.md), sent as they stand there.

use axum::body::Body;
use axum::http::Request;

use crate::common::Server;

const PAGE: &str = include_str!("../../../../docs/reference/http.md");
const CONFIG: &str =
    "[[document]]\nname = \"directives\"\npath = \"config/directives.json\"\nroute = \"/api/era/directives\"\n";

/// Does the text fit the pattern, in which `…` stands for anything?
fn fits(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('…');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    last.map_or(rest.is_empty(), |last| last.is_empty() || rest.is_empty() || text.ends_with(last))
}

/// SERVE-1, SERVE-2, SERVE-3: each example of the reference is true, in their order.
#[tokio::test]
async fn examples() {
    let server = Server::configured(CONFIG);
    std::fs::write(server.root().join("notes.md"), "# Notes\n").unwrap();
    std::fs::create_dir(server.root().join("config")).unwrap();
    std::fs::write(server.root().join("config/directives.json"), "{\n  \"tests\": true\n}\n").unwrap();
    let blocks: Vec<_> = PAGE.split("```http\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(blocks.len() > 20, "{}", blocks.len());
    for block in blocks {
        let (asked, answered) = block.split_once("→ ").unwrap();
        let (head, body) = asked.split_once("\n\n").unwrap_or((asked.trim_end(), ""));
        let mut lines = head.lines();
        let (method, path) = lines.next().unwrap().split_once(' ').unwrap();
        let mut request =
            Request::builder().method(method).uri(path).header("host", "localhost").header("filelatch-session", "ci");
        for (name, value) in lines.map(|line| line.split_once(": ").unwrap()) {
            request = request.header(name, value);
        }
        let answer = server.send(request.body(Body::from(body.to_owned())).unwrap()).await;
        let (status, expected) = answered.split_once('\n').unwrap();
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status.as_str(), status, "{block}\n{text}");
        assert!(fits(expected.trim_end(), text.trim_end()), "{block}\nwas answered with\n{text}");
    }
}

/// Each route of the description has its place in the reference.
#[test]
fn all_routes() {
    // Whatever their parameters are called.
    let plain = |text: &str| {
        let pieces = text.split('{').map(|piece| piece.split_once('}').map_or(piece, |(_, rest)| rest));
        pieces.collect::<Vec<_>>().join("{}")
    };
    let routes: Vec<_> = PAGE.split(['`', ' ', '\n', '?']).map(plain).collect();
    for path in filelatch_server::open_api().paths.paths.keys() {
        let told = routes.contains(&plain(path));
        assert!(told, "{path} is not in docs/reference/http.md");
    }
}
