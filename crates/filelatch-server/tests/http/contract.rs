//! The HTTP contract, as one table: what is sent, and what comes back.

use std::fs;

use axum::body::Body;
use axum::http::Request;
use filelatch::Version;
use serde_json::json;

use crate::common::{Answer, Server};

/// One request to a server of its own, whose folder has what [`folder`] makes.
struct Row {
    send: &'static str,
    headers: &'static [&'static str],
    body: &'static str,
    status: u16,
    /// `name: value` of the answer; `name:` is not there; a value that ends with `*` may go on.
    answers: &'static [&'static str],
    /// Parts of its body; those that begin with `!` are not in it.
    says: &'static [&'static str],
}

const A: &str = "{\"a\": 1}\n";

const fn row(send: &'static str, body: &'static str, status: u16, says: &'static [&'static str]) -> Row {
    Row { send, headers: &[], body, status, answers: &[], says }
}

const fn with(mut row: Row, headers: &'static [&'static str], answers: &'static [&'static str]) -> Row {
    row.headers = headers;
    row.answers = answers;
    row
}

const JSON: &[&str] = &["content-type: application/json"];
const MERGE: &[&str] = &["content-type: application/merge-patch+json"];
const PATCH: &[&str] = &["content-type: application/json-patch+json; charset=utf-8"];
const PROBLEM: &[&str] = &["content-type: application/problem+json", "x-content-type-options: nosniff"];
/// Every problem has these.
const FIELDS: [&str; 7] = ["type", "title", "status", "detail", "success", "error", "hints"];

/// `{HASH}`: of `a.json`; `{OTHER}`: of nothing that is there; `{SHORT}`: the first 16 digits of the first.
const TABLE: &[Row] = &[
    // --- raw files: reading ---
    with(
        row("GET /files/a.json", "", 200, &["{\"a\": 1}\n"]),
        &[],
        &[
            "etag: \"{HASH}\"",
            "content-type: application/json",
            "content-disposition: attachment",
            "x-content-type-options: nosniff",
            "content-security-policy: default-src 'none'; sandbox*",
            "accept-ranges: none",
            "cache-control: private, no-cache",
            "last-modified: *",
            "filelatch-modified-by: external",
            "content-length: 9",
        ],
    ),
    with(row("HEAD /files/a.json", "", 200, &["!a"]), &[], &["etag: \"{HASH}\"", "content-length: 9"]),
    with(row("GET /files/x.html", "", 200, &["<script>"]), &[], &["content-type: text/plain; charset=utf-8"]),
    with(row("GET /files/bin", "", 200, &[]), &[], &["content-type: application/octet-stream"]),
    with(row("GET /files/d/e.txt", "", 200, &["deep"]), &[], &[]),
    with(row("GET /files/d%2fe.txt", "", 200, &["deep"]), &[], &[]),
    with(row("GET /files/%c3%a4.txt", "", 200, &["umlaut"]), &[], &[]),
    with(
        row("GET /files/a.json", "", 304, &["!a"]),
        &["if-none-match: \"{HASH}\""],
        &["etag: \"{HASH}\"", "content-type:"],
    ),
    with(row("GET /files/a.json", "", 304, &[]), &["if-none-match: W/\"{OTHER}\", W/\"{HASH}\""], &[]),
    with(row("GET /files/a.json", "", 304, &[]), &["if-none-match: *"], &[]),
    with(row("HEAD /files/a.json", "", 304, &[]), &["if-none-match: *"], &[]),
    with(row("GET /files/a.json", "", 200, &[]), &["if-none-match: \"{OTHER}\""], &[]),
    with(row("GET /files/a.json", "", 200, &[]), &["if-none-match: \"{SHORT}\""], &[]),
    with(row("GET /files/a.json", "", 200, &[]), &["if-match: \"{HASH}\""], &[]),
    with(row("GET /files/a.json", "", 412, &["\"kind\":\"conflict\""]), &["if-match: \"{OTHER}\""], PROBLEM),
    with(row("GET /files/a.json", "", 304, &[]), &["if-modified-since: Fri, 01 Jan 2100 00:00:00 GMT"], &[]),
    with(row("GET /files/a.json", "", 200, &[]), &["if-modified-since: Thu, 01 Jan 1970 00:00:00 GMT"], &[]),
    with(row("GET /files/a.json", "", 400, &["entity tags"]), &["if-none-match: abc"], PROBLEM),
    with(row("GET /files/none", "", 404, &["\"kind\":\"not-found\"", "\"path\":\"none\""]), &[], PROBLEM),
    with(row("GET /files/none", "", 404, &[]), &["if-match: *"], PROBLEM),
    row("GET /files/d", "", 422, &["\"kind\":\"not-a-file\""]),
    row("GET /files/none/x", "", 404, &[]),
    row("GET /files/a.json/x", "", 422, &[]),
    // --- raw files: writing ---
    with(
        row("PUT /files/new", "x", 201, &["\"outcome\":\"written\"", "\"path\":\"new\"", "\"success\":true"]),
        &[],
        &["etag: *"],
    ),
    row("PUT /files/a.json", "x", 200, &["\"outcome\":\"written\""]),
    with(row("PUT /files/a.json", A, 200, &["\"outcome\":\"unchanged\""]), &[], &["etag: \"{HASH}\""]),
    with(row("PUT /files/a.json", "x", 200, &[]), &["if-match: \"{HASH}\""], &[]),
    with(row("PUT /files/a.json", "x", 200, &[]), &["if-match: \"{OTHER}\" , \"{HASH}\""], &[]),
    with(row("PUT /files/a.json", "x", 200, &[]), &["if-match: *"], &[]),
    with(
        row(
            "PUT /files/a.json",
            "x",
            412,
            &["\"currentHash\":\"{HASH}\"", "\"expectedHash\":\"{OTHER}\"", "\"lastModifiedBy\":\"external\""],
        ),
        &["if-match: \"{OTHER}\""],
        PROBLEM,
    ),
    with(row("PUT /files/a.json", "x", 412, &["\"currentHash\":\"{HASH}\""]), &["if-match: W/\"{HASH}\""], PROBLEM),
    with(row("PUT /files/a.json", "x", 412, &[]), &["if-match: \"{SHORT}\""], PROBLEM),
    with(row("PUT /files/a.json", "x", 412, &[]), &["if-none-match: *"], PROBLEM),
    with(row("PUT /files/a.json", "x", 412, &[]), &["if-none-match: \"{HASH}\""], PROBLEM),
    with(row("PUT /files/a.json", "x", 200, &[]), &["if-none-match: \"{OTHER}\""], &[]),
    with(row("PUT /files/a.json", "x", 412, &[]), &["if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT"], PROBLEM),
    with(row("PUT /files/a.json", "x", 200, &[]), &["if-unmodified-since: Fri, 01 Jan 2100 00:00:00 GMT"], &[]),
    with(
        row("PUT /files/a.json", "x", 200, &[]),
        &["if-match: \"{HASH}\"", "if-unmodified-since: Thu, 01 Jan 1970 00:00:00 GMT"],
        &[],
    ),
    with(row("PUT /files/new", "x", 412, &["\"currentHash\":null"]), &["if-match: *"], PROBLEM),
    with(row("PUT /files/new", "x", 412, &["\"expectedHash\":\"{HASH}\""]), &["if-match: \"{HASH}\""], PROBLEM),
    with(row("PUT /files/new", "x", 201, &[]), &["if-none-match: *"], &[]),
    with(row("PUT /files/a.json", "x", 400, &["entity tags"]), &["if-match: {HASH}"], PROBLEM),
    with(row("PUT /files/a.json", "x", 400, &["Content-Range"]), &["content-range: bytes 0-0/9"], PROBLEM),
    with(row("PUT /files/a.json", "x", 415, &["Content-Encoding"]), &["content-encoding: gzip"], PROBLEM),
    with(row("PUT /files/a.json", "x", 409, &["\"kind\":\"lease-lost\""]), &["filelatch-lease: 1"], PROBLEM),
    with(row("PUT /files/a.json", "x", 400, &["number of a lease"]), &["filelatch-lease: x"], PROBLEM),
    with(row("PUT /files/a.json", "x", 400, &["name of a session"]), &["filelatch-session: "], PROBLEM),
    row("PUT /files/a.json?durability=none&wait=250", "x", 200, &[]),
    row("PUT /files/a.json?durability=fast", "x", 400, &["not a durability"]),
    row("PUT /files/a.json?wait=long", "x", 400, &["length of time"]),
    with(row("PUT /files/n/e/w", "x", 404, &["\"kind\":\"no-directory\"", "mkdir"]), &[], PROBLEM),
    row("PUT /files/n/e/w?mkdir=true", "x", 201, &[]),
    row("PUT /files/d", "x", 422, &["\"kind\":\"not-a-file\""]),
    row("PUT /files/strict.txt", "x", 428, &["\"kind\":\"condition-required\""]),
    with(row("PUT /files/strict.txt", "x", 201, &[]), &["if-none-match: *"], &[]),
    // --- raw files: patches ---
    with(
        row("PATCH /files/a.json", "{\"b\": 2}", 200, &["\"outcome\":\"written\"", "\"hash\":\""]),
        MERGE,
        &["etag: *"],
    ),
    with(row("PATCH /files/a.json", "[{\"op\":\"add\",\"path\":\"/b\",\"value\":[]}]", 200, &[]), PATCH, &[]),
    with(row("PATCH /files/a.json", "{}", 200, &["\"outcome\":\"unchanged\""]), MERGE, &["etag: \"{HASH}\""]),
    with(row("PATCH /files/y.yaml", "{\"b\": null}", 200, &[]), MERGE, &[]),
    with(row("PATCH /files/t.toml", "{\"a\": 5}", 200, &[]), MERGE, &[]),
    with(
        row(
            "PATCH /files/a.json",
            "[{\"op\":\"test\",\"path\":\"/a\",\"value\":2}]",
            422,
            &["\"kind\":\"patch-failed\""],
        ),
        PATCH,
        PROBLEM,
    ),
    with(row("PATCH /files/a.json", "{\"a\": 2}", 422, &["\"kind\":\"patch-failed\""]), PATCH, PROBLEM),
    with(row("PATCH /files/a.json", "{\"a\":", 400, &["\"kind\":\"malformed\""]), MERGE, PROBLEM),
    with(row("PATCH /files/a.json", "", 400, &[]), MERGE, PROBLEM),
    with(
        row("PATCH /files/a.json", "{}", 415, &["merge-patch"]),
        JSON,
        &["accept-patch: application/merge-patch+json*"],
    ),
    row("PATCH /files/a.json", "{}", 415, &[]),
    with(row("PATCH /files/x.html", "{}", 422, &["\"kind\":\"unknown-format\""]), MERGE, PROBLEM),
    with(row("PATCH /files/bad.json", "{\"a\": 1}", 422, &["\"kind\":\"not-parseable\""]), MERGE, PROBLEM),
    with(row("PATCH /files/none.json", "{\"a\": 1}", 404, &[]), MERGE, PROBLEM),
    with(
        row("PATCH /files/a.json", "{\"a\": 3}", 412, &["{HASH}"]),
        &["content-type: application/merge-patch+json", "if-match: \"{OTHER}\""],
        PROBLEM,
    ),
    with(
        row("PATCH /files/a.json", "{\"a\": 3}", 200, &[]),
        &["content-type: application/merge-patch+json", "if-match: \"{HASH}\", \"{OTHER}\""],
        &[],
    ),
    // --- raw files: removal ---
    row("DELETE /files/a.json", "", 200, &["\"outcome\":\"removed\"", "\"success\":true"]),
    with(row("DELETE /files/a.json", "", 200, &[]), &["if-match: \"{HASH}\""], &[]),
    with(row("DELETE /files/a.json", "", 412, &["\"currentHash\":\"{HASH}\""]), &["if-match: \"{OTHER}\""], PROBLEM),
    row("DELETE /files/none", "", 404, &[]),
    with(row("DELETE /files/none", "", 404, &[]), &["if-match: *"], PROBLEM),
    row("DELETE /files/d", "", 422, &[]),
    // --- files as JSON ---
    with(
        row(
            "GET /api/files/a.json",
            "",
            200,
            &[
                "\"success\":true",
                "\"path\":\"a.json\"",
                "\"exists\":true",
                "\"content\":\"{\\\"a\\\": 1}\\n\"",
                "\"hash\":\"{HASH}\"",
                "\"size\":9",
                "\"lastModifiedBy\":\"external\"",
                "\"lastModifiedAt\":\"20",
            ],
        ),
        &[],
        &["cache-control: no-store", "content-type: application/json"],
    ),
    row(
        "GET /api/files/none",
        "",
        200,
        &["\"exists\":false", "\"content\":null", "\"hash\":null", "\"lastModifiedBy\":null"],
    ),
    row("GET /api/files/none/x", "", 200, &["\"exists\":false"]),
    row("GET /api/files/bin", "", 422, &["\"kind\":\"not-text\"", "/files/bin"]),
    row("GET /api/files/d", "", 422, &["\"kind\":\"not-a-file\""]),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\"}", 200, &["\"outcome\":\"written\"", "\"hash\":"]),
        JSON,
        &[],
    ),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedHash\": \"{HASH}\"}", 200, &[]), JSON, &[]),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedHash\": \"{SHORT}\"}", 200, &[]), JSON, &[]),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedHash\": null}", 200, &[]), JSON, &[]),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"x\", \"expectedHash\": \"{OTHER}\"}",
            409,
            &[
                "\"success\":false",
                "\"error\":\"`a.json` changed since",
                "\"kind\":\"conflict\"",
                "\"currentHash\":\"{HASH}\"",
                "\"expectedHash\":\"{OTHER}\"",
                "\"lastModifiedBy\":\"external\"",
                "\"lastModifiedAt\":\"20",
                "!currentContent",
            ],
        ),
        JSON,
        PROBLEM,
    ),
    with(
        row(
            "PUT /api/files/a.json?contents=true",
            "{\"content\": \"x\", \"expectedHash\": \"{OTHER}\"}",
            409,
            &["\"currentContent\":\"{\\\"a\\\": 1}\\n\""],
        ),
        JSON,
        PROBLEM,
    ),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"x\", \"expectAbsent\": true}",
            409,
            &["\"expectedHash\":\"absent\""],
        ),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/files/new", "{\"content\": \"x\", \"expectAbsent\": true}", 200, &[]), JSON, &[]),
    with(
        row("PUT /api/files/new", "{\"content\": \"x\", \"expectedHash\": \"{HASH}\"}", 409, &["\"currentHash\":null"]),
        JSON,
        PROBLEM,
    ),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"x\", \"expectedHash\": \"{OTHER}\", \"strategy\": \"last-write-wins\"}",
            200,
            &["\"overwrote\":\"{HASH}\""],
        ),
        JSON,
        &[],
    ),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"{\\\"a\\\": 0, \\\"b\\\": 2}\\n\", \"strategy\": \"merge\", \"base\": \"{\\\"a\\\": 0}\\n\"}",
            200,
            &["\"outcome\":\"merged\"", "\"content\":\"{\\\"a\\\": 1, \\\"b\\\": 2}\\n\""],
        ),
        JSON,
        &[],
    ),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"{\\\"a\\\": 2}\", \"strategy\": \"merge\", \"base\": \"{\\\"a\\\": 0}\"}",
            409,
            &["\"conflictId\":\"", "\"currentHash\":\"{HASH}\""],
        ),
        JSON,
        PROBLEM,
    ),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"strategy\": \"fastest\"}", 400, &["not a strategy"]),
        JSON,
        PROBLEM,
    ),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedHash\": \"abc\"}", 400, &["expectedHash"]),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedHash\": \"any\"}", 400, &[]), JSON, PROBLEM),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"expectedhash\": \"{OTHER}\"}", 400, &["unknown field"]),
        JSON,
        PROBLEM,
    ),
    with(
        row(
            "PUT /api/files/a.json",
            "{\"content\": \"x\", \"expectedHash\": \"{HASH}\", \"expectAbsent\": true}",
            400,
            &["exclude"],
        ),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/files/a.json", "{\"content\": 1}", 400, &["\"kind\":\"malformed\""]), JSON, PROBLEM),
    // Fields without their names are no fields.
    with(row("PUT /api/files/a.json", "[\"x\"]", 400, &["\"kind\":\"malformed\"", "an object"]), JSON, PROBLEM),
    with(row("DELETE /api/files/a.json", "[]", 400, &["\"kind\":\"malformed\"", "an object"]), JSON, PROBLEM),
    with(row("DELETE /api/files/a.json", " null", 200, &["\"success\":true"]), JSON, &[]),
    with(row("PUT /api/files/a.json", "{}", 400, &["missing field `content`"]), JSON, PROBLEM),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"content\": \"y\"}", 400, &["duplicate field"]),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\"} x", 400, &[]), JSON, PROBLEM),
    with(row("PUT /api/files/a.json", "", 400, &[]), JSON, PROBLEM),
    row("PUT /api/files/a.json", "{\"content\": \"x\"}", 415, &["application/json"]),
    with(row("PUT /api/files/a.json", "{\"content\": \"x\"}", 415, &[]), &["content-type: text/plain"], PROBLEM),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"sessionId\": \"\"}", 400, &["name of a session"]),
        JSON,
        PROBLEM,
    ),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"leaseToken\": 1}", 409, &["\"kind\":\"lease-lost\""]),
        JSON,
        PROBLEM,
    ),
    with(
        row("PUT /api/files/a.json", "{\"content\": \"x\", \"ifLocked\": \"wait\"}", 400, &["ifLocked"]),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/files/n/w", "{\"content\": \"x\"}", 404, &["\"kind\":\"no-directory\""]), JSON, PROBLEM),
    with(row("PUT /api/files/n/w", "{\"content\": \"x\", \"mkdir\": true}", 200, &[]), JSON, &[]),
    row("DELETE /api/files/a.json", "", 200, &["\"outcome\":\"removed\""]),
    with(row("DELETE /api/files/a.json", "{\"expectedHash\": \"{HASH}\"}", 200, &[]), JSON, &[]),
    with(row("DELETE /api/files/a.json", "{\"expectedHash\": \"{OTHER}\"}", 409, &["{HASH}"]), JSON, PROBLEM),
    row("DELETE /api/files/a.json", "{\"expectedHash\": \"{OTHER}\"}", 415, &[]),
    row("DELETE /api/files/none", "", 404, &[]),
    // --- documents ---
    row(
        "GET /api/documents",
        "",
        200,
        &[
            "{\"name\":\"directives\",\"path\":\"a.json\",\"route\":\"/api/era/directives\"}",
            "{\"name\":\"plain\",\"path\":\"x.html\"}",
        ],
    ),
    row("GET /api/documents/directives", "", 200, &["\"hash\":\"{HASH}\""]),
    row("GET /api/era/directives", "", 200, &["\"hash\":\"{HASH}\"", "\"path\":\"a.json\""]),
    with(row("PUT /api/era/directives", "{\"content\": \"x\", \"expectedHash\": \"{HASH}\"}", 200, &[]), JSON, &[]),
    with(
        row("PUT /api/era/directives", "{\"content\": \"x\", \"expectedHash\": \"{OTHER}\"}", 409, &["{HASH}"]),
        JSON,
        PROBLEM,
    ),
    with(row("PUT /api/documents/directives", "{\"content\": \"x\"}", 200, &["\"path\":\"a.json\""]), JSON, &[]),
    row("GET /api/documents/none", "", 404, &["\"kind\":\"no-such-document\""]),
    row("DELETE /api/documents/directives", "", 405, &[]),
    // --- the rest ---
    row(
        "GET /api/tree",
        "",
        200,
        &[
            "\"path\":\"a.json\",\"size\":9,\"modifiedAt\":\"20",
            "d/e.txt",
            "\"truncated\":false",
            "!.filelatch",
            "!.env",
        ],
    ),
    row(
        "GET /api/me",
        "",
        200,
        &["\"scopes\":[\"read\",\"write\",\"admin\"]", "\"workspace\":true", "\"session\":\"web\""],
    ),
    with(row("GET /healthz", "", 200, &["ok"]), &[], &["x-request-id: *"]),
    with(row("GET /healthz", "", 200, &[]), &["x-request-id: my-1.2_x"], &["x-request-id: my-1.2_x"]),
    row("GET /metrics", "", 200, &["filelatch_uptime_seconds"]),
    row("GET /openapi.json", "", 200, &["\"/api/files/{path}\""]),
    with(row("GET /nothing", "", 404, &["\"kind\":\"no-route\""]), &[], PROBLEM),
    with(row("GET /files/", "", 404, &["\"kind\":\"no-route\""]), &[], PROBLEM),
    with(row("POST /files/a.json", "", 405, &["\"kind\":\"method-not-allowed\""]), &[], PROBLEM),
    with(row("BREW /files/a.json", "", 405, &[]), &[], &["allow: *"]),
    row("TRACE /files/a.json", "", 405, &[]),
    // --- paths ---
    row("GET /files/../a.json", "", 400, &["\"kind\":\"bad-path\""]),
    row("GET /files/%2e%2e/a.json", "", 400, &["\"kind\":\"bad-path\""]),
    row("GET /files/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "", 400, &["\"kind\":\"bad-path\""]),
    row("GET /files/d/..%2fa.json", "", 400, &["\"kind\":\"bad-path\""]),
    row("GET /files/..%5ca.json", "", 400, &["backslash"]),
    row("GET /files//etc/passwd", "", 400, &["empty name"]),
    row("GET /files/%2fetc%2fpasswd", "", 400, &["empty name"]),
    row("GET /files/d//e.txt", "", 400, &["empty name"]),
    row("GET /files/d/", "", 400, &["empty name"]),
    row("GET /files/./a.json", "", 400, &[]),
    row("GET /files/a.json%00", "", 400, &["control character"]),
    row("GET /files/a.json%00.txt", "", 400, &[]),
    row("GET /files/%c0%ae%c0%ae/a.json", "", 400, &["not UTF-8"]),
    row("GET /files/%ff", "", 400, &["not UTF-8"]),
    row("GET /files/%e0%80%af", "", 400, &["not UTF-8"]),
    row("GET /files/%252e%252e/a.json", "", 404, &[]),
    row("GET /api/files/%2e%2e/a.json", "", 400, &["\"kind\":\"bad-path\""]),
    row("GET /files/.env", "", 404, &["!KEY"]),
    row("GET /files/.ENV", "", 404, &[]),
    row("GET /files/.filelatch/config.toml", "", 404, &[]),
    row("PUT /files/.filelatch/config.toml", "locks = \"off\"", 404, &[]),
    row("PUT /files/.git/hooks/pre-commit?mkdir=true", "x", 404, &[]),
    row("DELETE /files/.env", "", 404, &[]),
    row("GET /api/files/.env", "", 404, &[]),
    with(row("PUT /api/files/.env", "{\"content\": \"x\"}", 404, &[]), JSON, PROBLEM),
];

fn folder(server: &Server) {
    let write = |path: &str, content: &[u8]| fs::write(server.root().join(path), content).unwrap();
    fs::create_dir(server.root().join("d")).unwrap();
    write("a.json", A.as_bytes());
    write("d/e.txt", b"deep");
    write("\u{e4}.txt", b"umlaut");
    write("x.html", b"<script>alert(1)</script>");
    write("bin", &[0xff, 0xfe, 0]);
    write("bad.json", b"{");
    write("y.yaml", b"a: 1 # one\nb: 2\n");
    write("t.toml", b"a = 1 # one\n");
    write(".env", b"KEY=1");
}

const CONFIG: &str = "[[policy]]\nglob = \"strict.*\"\nrequire_condition = true\n\
[[document]]\nname = \"directives\"\npath = \"a.json\"\nroute = \"/api/era/directives\"\n\
[[document]]\nname = \"plain\"\npath = \"x.html\"\n";

fn filled(text: &str) -> String {
    let hash = Version::of(A.as_bytes());
    text.replace("{HASH}", &hash.to_string())
        .replace("{SHORT}", &hash.short())
        .replace("{OTHER}", &Version::of(b"?").to_string())
}

fn check(row: &Row, answer: &Answer) {
    let (what, text) =
        (format!("{} {:?} {:?}", row.send, row.headers, row.body), String::from_utf8_lossy(&answer.body));
    assert_eq!(answer.status.as_u16(), row.status, "{what}: {text}");
    for expected in row.answers {
        let (name, value) = expected.split_once(':').unwrap();
        let (found, value) = (answer.header(name), filled(value.trim()));
        match value.strip_suffix('*') {
            Some(begins) => assert!(found.is_some_and(|found| found.starts_with(begins)), "{what}: {name}: {found:?}"),
            None if value.is_empty() => assert_eq!(found, None, "{what}: {name}"),
            None => assert_eq!(found, Some(value.as_str()), "{what}: {name}"),
        }
    }
    for said in row.says {
        let said = filled(said);
        match said.strip_prefix('!') {
            Some(unsaid) => assert!(!text.contains(unsaid), "{what}: {unsaid:?} in {text}"),
            None => assert!(text.contains(&said), "{what}: {said:?} is not in {text}"),
        }
    }
    if row.status >= 400 && !row.send.starts_with("HEAD") {
        let problem = answer.json();
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{what}");
        for field in FIELDS {
            assert!(problem.get(field).is_some(), "{what}: no `{field}` in {text}");
        }
        assert_eq!(problem["status"], row.status, "{what}");
        assert_eq!(problem["error"], problem["detail"], "{what}");
    }
}

/// SERVE-1, SERVE-2, SERVE-3, SERVE-7: each row as it is sent, on a folder of its own.
#[tokio::test]
async fn table() {
    for row in TABLE {
        let server = Server::configured(CONFIG);
        folder(&server);
        let (method, path) = row.send.split_once(' ').unwrap();
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost");
        for header in row.headers {
            let (name, value) = header.split_once(':').unwrap();
            request = request.header(name, filled(value.trim()));
        }
        let answer = server.send(request.body(Body::from(filled(row.body))).unwrap()).await;
        check(row, &answer);
        let root = server.root().to_str().unwrap();
        assert!(!String::from_utf8_lossy(&answer.body).contains(root), "{}: tells where the root lies", row.send);
    }
}

/// SERVE-2: a patch keeps what it does not change, in each format.
#[tokio::test]
async fn patches_keep_the_rest() {
    let server = Server::configured(CONFIG);
    folder(&server);
    for (file, patch, result) in [
        ("a.json", "{\"b\": {\"c\": null, \"d\": 1}}", "{\"a\": 1, \"b\": {\"d\": 1}}\n"),
        ("y.yaml", "{\"a\": 7}", "a: 7 # one\nb: 2\n"),
        ("t.toml", "{\"b\": 2}", "a = 1 # one\nb = 2\n"),
    ] {
        let request = Request::patch(format!("/files/{file}")).header("host", "localhost");
        let request = request.header("content-type", "application/merge-patch+json").body(Body::from(patch)).unwrap();
        let answer = server.send(request).await;
        assert_eq!(answer.status, 200, "{file}: {}", answer.json());
        assert_eq!(fs::read_to_string(server.root().join(file)).unwrap(), result);
        assert_eq!(answer.json()["hash"], Version::of(result.as_bytes()).to_string());
    }
}

/// SERVE-7: a handler that panics is answered for, with a number that the log has, too; it is counted, and its place is free again.
#[tokio::test]
async fn faults() {
    let server = Server::new();
    let faulty = server.with_a_fault(|options| options.limits.requests = 1);
    let get = |path: &str| Request::get(path).header("host", "localhost").body(Body::empty()).unwrap();
    for _ in 0..3 {
        let answer = faulty.send(get("/fault")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["kind"]), (500, &json!("internal")));
        assert!(answer.header("x-request-id").is_some() && answer.header("retry-after").is_some());
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
    let figures = faulty.send(get("/metrics")).await;
    let figures = String::from_utf8(figures.body).unwrap();
    assert!(figures.contains("route=\"/fault\",method=\"GET\",status=\"500\"} 3\n"), "{figures}");
}
