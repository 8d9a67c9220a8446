//! Who may do what, and from where.

use axum::body::Body;
use axum::http::{Request, StatusCode};
use filelatch::store::{OwnStore, Scope};
use filelatch::{Filelatch, LockOptions};
use serde_json::{Value, json};

use crate::common::{Answer, Server};

fn guarded() -> Server {
    Server::with(|options| {
        options.no_auth = false;
        options.allow_hosts = vec!["files.example.com".to_owned()];
    })
}

/// A token with this scope.
fn token(server: &Server, scope: Scope) -> String {
    let latch = Filelatch::new();
    let path = latch.own_store(server.root(), OwnStore::Tokens, true).unwrap();
    let made = latch.tokens(path).unwrap().create(scope.word(), &[scope], None, &LockOptions::new()).unwrap();
    made.token.expose_text().unwrap().to_owned()
}

async fn send(server: &Server, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

/// A logged in browser: its cookie.
async fn log_in(server: &Server) -> String {
    let link = server.state.login_link().unwrap();
    let path = link.strip_prefix("http://localhost").unwrap();
    let answer = send(server, "GET", path, &[("host", "localhost")], "").await;
    assert_eq!((answer.status, answer.header("location")), (StatusCode::SEE_OTHER, Some("/")));
    let cookie = answer.header("set-cookie").unwrap();
    for part in ["; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let again = send(server, "GET", path, &[("host", "localhost")], "").await;
    assert_eq!(again.status, StatusCode::FORBIDDEN, "a link works once");
    cookie.split(';').next().unwrap().to_owned()
}

/// SERVE-7: every route of the description asks for a token, and every one that changes something for the scope to change; so a new route
/// that forgets to ask is found here.
#[tokio::test]
async fn every_route_asks() {
    let server = guarded();
    let reads = format!("Bearer {}", token(&server, Scope::Read));
    let description: Value = serde_json::to_value(filelatch_server::open_api()).unwrap();
    let mut asked = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        let concrete = path.replace("{path}", "a.json").replace(['{', '}'], "");
        for method in item.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let method = method.to_uppercase();
            if matches!(path.as_str(), "/healthz" | "/login") {
                continue;
            }
            let json = ("content-type", "application/json");
            let nobody = send(&server, &method, &concrete, &[("host", "localhost"), json], "{}").await;
            assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}");
            assert_eq!(nobody.header("www-authenticate"), Some("Bearer"), "{method} {path}");
            let headers = [("host", "localhost"), json, ("authorization", reads.as_str())];
            let reader = send(&server, &method, &concrete, &headers, "{}").await;
            // These two change nothing but the caller's own login, and nothing at all.
            let harmless =
                (method == "GET" && path != "/api/tokens") || matches!(path.as_str(), "/api/logout" | "/api/merge");
            assert_eq!(
                reader.status == StatusCode::FORBIDDEN,
                !harmless,
                "{method} {path}: {}",
                String::from_utf8_lossy(&reader.body)
            );
            asked += 1;
        }
    }
    assert!(asked > 15, "{asked}");
}

/// SERVE-7, STORE-3: tokens and what they allow; a wrong one is not made good by a cookie, and a revoked one ends at once.
#[tokio::test]
async fn tokens() {
    let server = guarded();
    std::fs::write(server.root().join("a"), "x").unwrap();
    let (reads, writes, admin) =
        (token(&server, Scope::Read), token(&server, Scope::Write), token(&server, Scope::Admin));
    let cookie = log_in(&server).await;
    let bearer = |token: &str| format!("Bearer {token}");
    for (authorization, method, path, status) in [
        (bearer(&reads), "GET", "/files/a", 200),
        (bearer(&reads), "PUT", "/files/a", 403),
        (bearer(&reads), "DELETE", "/files/a", 403),
        (bearer(&reads), "GET", "/metrics", 200),
        (bearer(&reads), "POST", "/api/login-links", 403),
        (bearer(&writes), "GET", "/files/a", 200),
        (bearer(&writes), "PUT", "/files/a", 200),
        (bearer(&writes), "POST", "/api/login-links", 403),
        (bearer(&admin), "PUT", "/files/a", 200),
        (bearer(&admin), "POST", "/api/login-links", 201),
        (format!("bearer  {writes}"), "GET", "/files/a", 200),
        (format!("Basic {writes}"), "GET", "/files/a", 401),
        (writes.clone(), "GET", "/files/a", 401),
        (bearer(&writes[..writes.len() - 1]), "GET", "/files/a", 401),
        (bearer(&format!("{writes}x")), "GET", "/files/a", 401),
        (bearer(""), "GET", "/files/a", 401),
        (bearer(&"x".repeat(5000)), "GET", "/files/a", 401),
        (bearer("flt_aaaaaaaaaaaa_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), "GET", "/files/a", 401),
    ] {
        let headers = [
            ("host", "localhost"),
            ("authorization", authorization.as_str()),
            ("cookie", cookie.as_str()),
            ("content-type", "application/json"),
        ];
        let answer = send(&server, method, path, &headers, "{}").await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{method} {path} {authorization}: {}",
            String::from_utf8_lossy(&answer.body)
        );
        assert!(!String::from_utf8_lossy(&answer.body).contains("flt_"), "a token is told");
    }
    let answer =
        send(&server, "GET", "/api/me", &[("host", "localhost"), ("authorization", &bearer(&writes))], "").await.json();
    assert_eq!((&answer["session"], &answer["scopes"]), (&json!("write"), &json!(["read", "write"])));
    let latch = Filelatch::new();
    let tokens = latch.tokens(latch.own_store(server.root(), OwnStore::Tokens, false).unwrap()).unwrap();
    let id = writes.split('_').nth(1).unwrap();
    tokens.revoke(id, &LockOptions::new()).unwrap();
    let answer =
        send(&server, "GET", "/files/a", &[("host", "localhost"), ("authorization", &bearer(&writes))], "").await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// SERVE-7: who writes, by header, body, token and default.
#[tokio::test]
async fn sessions() {
    let server = guarded();
    let bearer = format!("Bearer {}", token(&server, Scope::Write));
    let cookie = log_in(&server).await;
    let own = [("host", "localhost"), ("content-type", "application/json")];
    let by_token = ("authorization", bearer.as_str());
    let by_cookie = [("cookie", cookie.as_str()), ("sec-fetch-site", "same-origin")];
    for (headers, body, author) in [
        (vec![by_token], "{\"content\": \"1\"}", "write"),
        (vec![by_token, ("filelatch-session", "ann")], "{\"content\": \"2\"}", "ann"),
        (
            vec![by_token, ("filelatch-session", "ann")],
            "{\"content\": \"3\", \"sessionId\": \"a tab with a long name\"}",
            "a tab with a long name",
        ),
        (by_cookie.to_vec(), "{\"content\": \"4\"}", "web"),
    ] {
        let headers: Vec<_> = own.into_iter().chain(headers).collect();
        let answer = send(&server, "PUT", "/api/files/a", &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.json());
        let read = send(&server, "GET", "/api/files/a", &headers, "").await.json();
        assert_eq!(read["lastModifiedBy"], author, "{body}");
    }
}

/// SERVE-7: names that a page of another site could be turned to (DNS rebinding), and requests of other sites' pages (CSRF), are refused,
/// also where everybody is let in.
#[tokio::test]
async fn other_sites() {
    let open = Server::with(|options| {
        options.allow_hosts = vec!["files.example.com".to_owned(), "other.example.com:8443".to_owned()];
    });
    std::fs::write(open.root().join("a"), "x").unwrap();
    for (headers, status) in [
        (&[("host", "localhost")][..], 200),
        (&[("host", "localhost:4180")], 200),
        (&[("host", "LocalHost")], 200),
        (&[("host", "localhost.")], 200),
        (&[("host", "127.0.0.1:1")], 200),
        (&[("host", "[::1]:4180")], 200),
        (&[("host", "files.example.com")], 200),
        (&[("host", "files.example.com:443")], 200),
        (&[("host", "other.example.com:8443")], 200),
        (&[("host", "other.example.com")], 421),
        (&[("host", "evil.example")], 421),
        (&[("host", "localhost.evil.example")], 421),
        (&[("host", "127.0.0.1.evil.example")], 421),
        (&[("host", "192.168.0.1")], 421),
        (&[("host", "0.0.0.0")], 421),
        (&[("host", "evil.example#localhost")], 400),
        (&[("host", "user@localhost")], 400),
        (&[("host", "")], 400),
        (&[], 400),
        (&[("host", "localhost"), ("host", "evil.example")], 400),
        (&[("host", "localhost:4180"), ("origin", "http://localhost:4180")], 200),
        (&[("host", "localhost:4180"), ("origin", "https://localhost:4180")], 200),
        (&[("host", "localhost:4180"), ("origin", "http://localhost:4181")], 403),
        (&[("host", "localhost"), ("origin", "https://files.example.com")], 200),
        (&[("host", "localhost"), ("origin", "http://evil.example")], 403),
        (&[("host", "localhost"), ("origin", "null")], 403),
        (&[("host", "localhost"), ("origin", "")], 403),
        (&[("host", "localhost"), ("origin", "file://localhost")], 403),
        (&[("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil.example")], 400),
        (&[("host", "localhost"), ("sec-fetch-site", "same-origin")], 200),
        (&[("host", "localhost"), ("sec-fetch-site", "none")], 200),
        (&[("host", "localhost"), ("sec-fetch-site", "cross-site")], 403),
        (&[("host", "localhost"), ("sec-fetch-site", "same-site")], 403),
        // A link that somebody follows: its page does not get the answer.
        (&[("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 200),
    ] {
        let answer = send(&open, "GET", "/files/a", headers, "").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", String::from_utf8_lossy(&answer.body));
    }
    let navigated = [("host", "localhost"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")];
    assert_eq!(send(&open, "PUT", "/files/a", &navigated, "y").await.status, StatusCode::FORBIDDEN);
    let upgrade =
        [("host", "localhost"), ("origin", "http://evil.example"), ("connection", "upgrade"), ("upgrade", "websocket")];
    assert_eq!(send(&open, "GET", "/api/events", &upgrade, "").await.status, StatusCode::FORBIDDEN);
}

/// SERVE-7: a change by a cookie must say that it is our own page's; one that says nothing is refused.
#[tokio::test]
async fn changes_by_cookie() {
    let server = guarded();
    let cookie = log_in(&server).await;
    let own = [("host", "localhost"), ("cookie", cookie.as_str())];
    for (headers, status) in [
        (&[("origin", "http://localhost")][..], 201),
        (&[("sec-fetch-site", "same-origin")], 200),
        (&[], 403),
        (&[("sec-fetch-site", "none")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("origin", "http://evil.example")], 403),
    ] {
        let headers: Vec<_> = own.into_iter().chain(headers.iter().copied()).collect();
        let answer = send(&server, "PUT", "/files/a", &headers, "x").await;
        assert_eq!(answer.status.as_u16(), status, "{headers:?}: {}", String::from_utf8_lossy(&answer.body));
    }
    assert_eq!(send(&server, "GET", "/files/a", &own, "").await.status, StatusCode::OK);
    for wrong in ["filelatch=", "filelatch=x", "other=x", &format!("x{cookie}"), &format!("{cookie}x")] {
        let headers = [("host", "localhost"), ("cookie", wrong)];
        assert_eq!(send(&server, "GET", "/files/a", &headers, "").await.status, StatusCode::UNAUTHORIZED, "{wrong}");
    }
    // Browsers send all of that name: one that is good is enough.
    let several = format!("a=b; filelatch=stale; {cookie}");
    assert_eq!(
        send(&server, "GET", "/files/a", &[("host", "localhost"), ("cookie", &several)], "").await.status,
        StatusCode::OK
    );
    let headers = [("host", "localhost"), ("cookie", cookie.as_str()), ("origin", "http://localhost")];
    let answer = send(&server, "POST", "/api/logout", &headers, "").await;
    assert!(
        answer.header("set-cookie").unwrap().starts_with("filelatch=; ")
            && answer.header("set-cookie").unwrap().contains("Max-Age=0")
    );
    assert_eq!(send(&server, "GET", "/files/a", &own, "").await.status, StatusCode::UNAUTHORIZED);
}

/// SERVE-7, SERVE-5: what is there without a login: that the server lives, how to log in, and the page's own files.
#[tokio::test]
async fn without_a_login() {
    let server = guarded();
    let get = async |path: &str| send(&server, "GET", path, &[("host", "localhost")], "").await;
    assert_eq!(get("/healthz").await.status, StatusCode::OK);
    let page = get("/").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(String::from_utf8_lossy(&page.body).contains("filelatch serve"));
    for path in ["/login", "/login?code=", "/login?code=x", "/login?code=%00", "/login?code=a&code=b"] {
        let answer = get(path).await;
        assert!(answer.status.is_client_error(), "{path}");
        assert_eq!(answer.header("set-cookie"), None, "{path}");
    }
    for path in ["/api/tree", "/metrics", "/openapi.json", "/nothing", "/files/a", "/assets", "/assets/../api/tree"] {
        assert_eq!(get(path).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    let cookie = log_in(&server).await;
    let page = send(&server, "GET", "/", &[("host", "localhost"), ("cookie", &cookie)], "").await;
    assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, Some("text/html; charset=utf-8")));
    assert!(page.header("content-security-policy").unwrap().starts_with("default-src 'self';"));
    // Its own files, as it names them.
    let text = String::from_utf8_lossy(&page.body).into_owned();
    for asset in text.split('"').filter(|part| part.starts_with("/assets/")) {
        let answer = get(asset).await;
        assert_eq!(
            (answer.status, answer.header("cache-control")),
            (StatusCode::OK, Some("public, max-age=31536000, immutable")),
            "{asset}"
        );
    }
}
