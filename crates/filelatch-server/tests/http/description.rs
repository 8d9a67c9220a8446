//! The description of the API, against the routes themselves.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::Value;

use crate::common::Server;

const METHODS: [&str; 5] = ["GET", "PUT", "POST", "PATCH", "DELETE"];

fn description() -> Value {
    serde_json::to_value(filelatch_server::open_api()).unwrap()
}

/// SERVE-1: every route that is described is there, with exactly the methods that are described; and the description as it is served is this one.
#[tokio::test]
async fn fits_the_routes() {
    let server = Server::new();
    let description = description();
    assert_eq!(server.get("/openapi.json").await.json(), description);
    for (path, item) in description["paths"].as_object().unwrap() {
        let concrete = path.replace(['{', '}'], "");
        for method in METHODS {
            let described = item.get(method.to_lowercase()).is_some();
            let request = Request::builder().method(method).uri(&concrete).header("host", "localhost");
            let answer = server.send(request.body(Body::empty()).unwrap()).await;
            let taken = answer.status != StatusCode::METHOD_NOT_ALLOWED;
            assert_eq!(taken, described, "{method} {path}: {}", answer.status);
            let absent = answer.status == StatusCode::NOT_FOUND && answer.json()["kind"] == "no-route";
            assert!(!absent, "{method} {path} is described, and not there");
        }
    }
}

/// SERVE-1: every operation says what it answers, every parameter of a path is described, names of operations are unique, and every reference
/// leads to a schema.
#[test]
fn is_whole() {
    let description = description();
    let mut operations = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path}"));
            assert!(operations.insert(id.to_owned()), "{method} {path}: two operations are called {id}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.keys().any(|status| status < &"400".to_owned()), "{method} {path}: no success");
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            for name in path.split('{').skip(1).filter_map(|part| part.split('}').next()) {
                let found = parameters.iter().any(|parameter| parameter["name"] == name && parameter["in"] == "path");
                assert!(found, "{method} {path}: `{name}` is not described");
            }
        }
    }
    let text = description.to_string();
    for reference in text.split("\"$ref\":\"").skip(1).filter_map(|part| part.split('"').next()) {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(description.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
