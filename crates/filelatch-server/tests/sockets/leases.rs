//! Leases over HTTP.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::common::{Server, content};

const PATH: &str = "/api/locks/a.json";

/// SERVE-7, LOCK-13: a lease keeps others from writing (423), its holder writes by its number, and it is renewed and given back by it.
#[tokio::test(flavor = "multi_thread")]
async fn taken_used_given_back() {
    let server = Server::new().await;
    let mut socket = server.socket(None).await;
    let (status, lease) = server.json("ann", "POST", PATH, &json!({"maxHold": "20s", "purpose": "a big edit"})).await;
    assert_eq!(status, StatusCode::CREATED, "{lease}");
    assert_eq!((&lease["path"], &lease["holder"]["session"]), (&json!("a.json"), &json!("ann")));
    let token = lease["token"].as_u64().unwrap();
    let told = socket.of("file-lock-change").await;
    assert_eq!((&told["lease"]["purpose"], &told["lease"]["holder"]["session"]), (&json!("a big edit"), &json!("ann")));

    let (status, refused) = server.json("bob", "PUT", "/api/files/a.json", &json!({"content": "1", "wait": 0})).await;
    assert_eq!((status, &refused["kind"]), (StatusCode::LOCKED, &json!("leased")), "{refused}");
    assert_eq!(refused["holder"]["session"], "ann");
    assert!(refused["retryAfter"].as_u64().unwrap() > 0);
    let (status, refused) = server.json("bob", "POST", PATH, &json!({})).await;
    assert_eq!((status, &refused["holder"]["session"]), (StatusCode::LOCKED, &json!("ann")));

    let body = json!({"content": "1", "leaseToken": token});
    let (status, written) = server.json("ann", "PUT", "/api/files/a.json", &body).await;
    assert_eq!(status, StatusCode::OK, "{written}");

    let (status, renewed) = server.json("ann", "PUT", PATH, &json!({"token": token, "maxHold": "60s"})).await;
    assert_eq!((status, &renewed["token"]), (StatusCode::OK, &json!(token)), "{renewed}");
    assert!(renewed["expiresAt"].as_str() > lease["expiresAt"].as_str());
    let shown = server.get(PATH).await;
    assert_eq!((&shown["locked"], &shown["lease"]["expiresAt"].is_string()), (&json!(false), &true));
    assert_eq!(server.get("/api/status").await["leases"], 1);

    let (status, stale) = server.json("bob", "DELETE", &format!("{PATH}?token={}", token - 1), &Value::Null).await;
    assert_eq!((status, &stale["kind"]), (StatusCode::CONFLICT, &json!("stale-token")));
    let (status, _) = server.json("ann", "DELETE", &format!("{PATH}?token={token}"), &Value::Null).await;
    assert_eq!(status, StatusCode::OK);
    let (status, _) = server.json("ann", "PUT", PATH, &json!({"token": token})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, _) = server.json("bob", "PUT", "/api/files/a.json", &content("2")).await;
    assert_eq!(status, StatusCode::OK);
    server.end().await;
}

/// SERVE-7: a lease lasts on when the server is started again, and is its holder's as before.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_restart() {
    let server = Server::new().await;
    let (_, lease) = server.json("ann", "POST", PATH, &json!({"maxHold": "30s"})).await;
    let token = lease["token"].as_u64().unwrap();
    let again = Server::again(server.end().await).await;
    assert_eq!(again.get(PATH).await["lease"]["holder"]["session"], "ann");
    let (status, _) = again.json("bob", "PUT", "/api/files/a.json", &json!({"content": "1", "wait": 0})).await;
    assert_eq!(status, StatusCode::LOCKED);
    let body = json!({"content": "1", "leaseToken": token});
    assert_eq!(again.json("ann", "PUT", "/api/files/a.json", &body).await.0, StatusCode::OK);
    assert_eq!(again.json("ann", "PUT", PATH, &json!({"token": token})).await.0, StatusCode::OK);
    assert_eq!(again.json("ann", "DELETE", &format!("{PATH}?token={token}"), &Value::Null).await.0, StatusCode::OK);
    again.end().await;
}

/// SERVE-7: a lease that nobody renews is over by its time: then another may have it, and the number of the first counts no more.
#[tokio::test(flavor = "multi_thread")]
async fn over_by_time() {
    let server = Server::new().await;
    let (_, lease) = server.json("ann", "POST", PATH, &json!({"maxHold": "1s"})).await;
    let (status, next) = server.json("bob", "POST", PATH, &json!({"wait": "30s"})).await;
    assert_eq!(status, StatusCode::CREATED, "{next}");
    assert!(next["token"].as_u64() > lease["token"].as_u64());
    let body = json!({"content": "1", "leaseToken": lease["token"]});
    let (status, refused) = server.json("ann", "PUT", "/api/files/a.json", &body).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(!server.root().join("a.json").exists());
    server.end().await;
}

/// SERVE-7: what is malformed is refused, and nobody has a lease then.
#[tokio::test(flavor = "multi_thread")]
async fn malformed() {
    let server = Server::new().await;
    for body in [
        json!({"maxHold": "soon"}),
        json!({"maxHold": 0}),
        json!({"maxHold": "9999h"}),
        json!({"maxHold": -1}),
        json!({"purpose": "x".repeat(300)}),
        json!({"purpose": "a\nb"}),
        json!({"sessionId": ""}),
        json!({"session": "x"}),
        json!([]),
        json!(7),
    ] {
        let (status, problem) = server.json("ann", "POST", PATH, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body} {problem}");
    }
    for (method, path, body, expected) in [
        ("PUT", PATH, json!({}), 400),
        ("PUT", PATH, json!({"token": "1"}), 400),
        ("PUT", PATH, json!({"token": 1}), 409),
        ("PUT", PATH, json!({"token": u64::MAX}), 409),
        ("DELETE", PATH, Value::Null, 400),
        ("DELETE", "/api/locks/a.json?token=x", Value::Null, 400),
        ("DELETE", "/api/locks/a.json?token=5", Value::Null, 409),
        ("POST", "/api/locks/.env", json!({}), 404),
        ("POST", "/api/locks/gone/a.json", json!({}), 404),
        ("GET", "/api/locks/%2e%2e/x", Value::Null, 400),
        ("GET", "/api/locks/.filelatch/config.toml", Value::Null, 404),
        ("PATCH", PATH, json!({}), 405),
    ] {
        let (status, problem) = server.json("ann", method, path, &body).await;
        assert_eq!(status.as_u16(), expected, "{method} {path} {body} {problem}");
    }
    assert_eq!(server.get("/api/locks").await, json!({"locks": []}));
    server.end().await;
}
