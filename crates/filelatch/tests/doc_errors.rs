//! What is refused, and with which words.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]

use filelatch::doc::{DocError, Document, Format};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

fn refused(bytes: &[u8], format: Format) -> DocError {
    let document = Document::parse(bytes, format);
    document.and_then(|document| document.value().cloned()).unwrap_err()
}

/// VER-6: a broken document is an error with line and column, and never taken for empty.
#[test]
fn broken_documents_name_the_place() {
    let rows: &[(Format, &str, usize, usize, &str)] = &[
        (Format::Json, "", 1, 1, "empty document"),
        (Format::Json, " \n", 2, 1, "empty document"),
        (Format::Json, "{\n  \"a\": 1\n  \"b\": 2\n}", 3, 3, "`,` or `}`"),
        (Format::Json, "{\"é\": tru}", 1, 7, "a value"),
        (Format::Json, "{\"a\": 1} x", 1, 10, "end of the document"),
        (Format::Json, "[1, 2", 1, 6, "ends where"),
        (Format::Json, "{'a': 1}", 1, 2, "double quotes"),
        (Format::Json, "[01]", 1, 2, "cannot begin with `0`"),
        (Format::Json, "[\"a\nb\"]", 1, 4, "line break"),
        (Format::Json, "[\"\\ud800\"]", 1, 2, "surrogate"),
        (Format::Json, "[1 /* never", 1, 4, "never closed"),
        (Format::Yaml, "a: [1\n", 1, 4, ""),
        (Format::Yaml, "a: 1\n---\nb: 2\n", 2, 1, "second document"),
        (Format::Yaml, "a: *nowhere\n", 1, 4, "anchor"),
        (Format::Yaml, "a:\n\t- x\n", 2, 2, "tabs"),
        (Format::Toml, "a = 1\nb = \n", 2, 5, ""),
        (Format::Toml, "a 1\n", 1, 3, ""),
    ];
    for (format, text, line, column, words) in rows {
        match refused(text.as_bytes(), *format) {
            DocError::Parse { line: found_line, column: found_column, message, .. } => {
                assert_eq!((found_line, found_column), (*line, *column), "{format} {text:?}: {message}");
                assert!(message.contains(words), "{format} {text:?}: {message}");
            }
            other => panic!("{format} {text:?}: {other}"),
        }
    }
}

/// VER-6: with a byte order mark and without, positions are those an editor shows.
#[test]
fn positions_do_not_count_the_byte_order_mark() {
    let error = refused(b"\xEF\xBB\xBF{\"a\": }", Format::Json);
    assert!(matches!(error, DocError::Parse { line: 1, column: 7, .. }), "{error}");
}

/// VER-6
#[test]
fn bytes_that_are_no_text_are_refused() {
    assert_eq!(refused(b"{\"a\": \"\xFF\"}", Format::Json), DocError::NotUtf8 { offset: 7 });
    assert_eq!(refused(b"\xEF\xBB\xBFa\xFF", Format::Text), DocError::NotUtf8 { offset: 4 });
}

/// VER-10, VER-7: a text that begins with U+FEFF would be read back without it, so it is refused; behind a byte order mark it is text.
#[test]
fn a_byte_order_mark_is_no_content() {
    let value = json!("\u{FEFF}a");
    let mut document = Document::parse(b"a", Format::Text).unwrap();
    document.set("", value.clone()).unwrap();
    assert!(matches!(document.render(), Err(DocError::Unrepresentable { .. })));
    assert!(matches!(Document::new_with(&value, Format::Text), Err(DocError::Unrepresentable { .. })));
    let mut document = Document::parse(b"\xEF\xBB\xBFa", Format::Text).unwrap();
    document.set("", value.clone()).unwrap();
    let bytes = document.render().unwrap();
    assert_eq!(Document::parse(&bytes, Format::Text).unwrap().value().unwrap(), &value);
}

/// VER-6: empty files mean what their format says.
#[test]
fn empty_files() {
    assert_eq!(Document::parse(b"", Format::Toml).unwrap().value().unwrap(), &json!({}));
    assert_eq!(Document::parse(b"", Format::Yaml).unwrap().value().unwrap(), &Value::Null);
    assert_eq!(Document::parse(b"", Format::Text).unwrap().value().unwrap(), &json!(""));
}

/// L46: which of the two is meant is unclear, so nobody guesses. The rest of the document stays usable.
#[test]
fn duplicate_keys_are_refused_where_they_matter() {
    let json = b"{\n  \"a\": 1,\n  \"b\": 2,\n  \"a\": 3\n}";
    let yaml = b"a: 1\nb: 2\na: 3\n";
    for (format, bytes, second) in [(Format::Json, &json[..], 4), (Format::Yaml, &yaml[..], 3)] {
        let mut document = Document::parse(bytes, format).unwrap();
        let wanted = |error: DocError| match error {
            DocError::DuplicateKey { key, first_line, line, .. } => {
                assert_eq!((key.as_str(), first_line, line), ("a", second - 2, second), "{format}");
            }
            other => panic!("{format}: {other}"),
        };
        wanted(document.get("/a").unwrap_err());
        wanted(document.set("/a", json!(5)).unwrap_err());
        wanted(document.value().unwrap_err());
        wanted(document.merge_patch(&json!({"a": 5})).unwrap_err());
        assert_eq!(document.get("/b").unwrap(), Some(json!(2)));
        document.set("/b", json!(7)).unwrap();
        let edited = String::from_utf8(document.render().unwrap()).unwrap();
        assert_eq!(edited, String::from_utf8_lossy(bytes).replace(": 2", ": 7"), "{format}");
    }
    let error = refused(b"[t]\na = 1\n\n[u]\n\n[t]\nb = 1\n", Format::Toml);
    assert!(matches!(error, DocError::DuplicateKey { first_line: 1, line: 6, .. }), "{error:?}");
    let error = refused(b"[t]\na = 1\nb = 2\na = 3\n", Format::Toml);
    assert!(matches!(error, DocError::DuplicateKey { first_line: 2, line: 4, .. }), "{error:?}");
}

/// VER-6: thousands of levels are an error, not a stack overflow.
#[test]
fn deep_nesting_is_refused() {
    let levels = 5_000;
    let rows = [
        (Format::Json, "[".repeat(levels) + &"]".repeat(levels)),
        (Format::Json, "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels)),
        (Format::Yaml, "[".repeat(levels) + &"]".repeat(levels)),
        (Format::Yaml, "- ".repeat(levels) + "x"),
        (Format::Toml, "a = ".to_owned() + &"[".repeat(levels) + &"]".repeat(levels)),
        (Format::Toml, vec!["a"; levels].join(".") + " = 1"),
        (Format::Toml, "[".to_owned() + &vec!["a"; levels].join(".") + "]"),
    ];
    for (format, text) in rows {
        let error = refused(text.as_bytes(), format);
        assert!(matches!(error, DocError::Parse { .. }), "{format}: {error}");
    }
    let at_limit = "[".repeat(127) + &"]".repeat(127);
    let mut document = Document::parse(at_limit.as_bytes(), Format::Json).unwrap();
    document.set(&"/0".repeat(126), json!([1])).unwrap();
    assert!(document.render().is_ok(), "127 levels can be edited");
}

/// VER-6: a document that expands without end is refused.
#[test]
fn alias_bombs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let refs = vec![format!("*a{}", i - 1); 10].join(", ");
        text = format!("{text}a{i}: &a{i} [{refs}]\n");
    }
    assert!(refused(text.as_bytes(), Format::Yaml).to_string().contains("beyond all measure"));
}

/// VER-10: TOML has no null, and its numbers have 64 bits.
#[test]
fn what_a_format_cannot_say_is_refused_with_its_place() {
    let rows = [
        (json!(null), "null"),
        (json!({"b": [1, null]}), "null"),
        (serde_json::from_str("12345678901234567890123").unwrap(), "64-bit integer"),
        (serde_json::from_str("1e400").unwrap(), "64-bit float"),
    ];
    for (value, words) in rows {
        let mut document = Document::parse(b"[t]\nx = 1\n", Format::Toml).unwrap();
        document.set("/t/x", value).unwrap();
        match document.render().unwrap_err() {
            DocError::Unrepresentable { pointer, message, .. } => {
                assert!(pointer.starts_with("/t/x"), "{pointer}");
                assert!(message.contains(words), "{message}");
            }
            other => panic!("{other}"),
        }
    }
    let error = Document::new_with(&json!({"t": {"x": null}}), Format::Toml).unwrap_err();
    assert!(matches!(&error, DocError::Unrepresentable { pointer, .. } if pointer == "/t/x"), "{error:?}");
    assert!(error.hints()[0].contains("remove the key"), "{error:?}");
}

/// VER-10: numbers keep their text.
#[test]
fn huge_numbers_survive() {
    for format in [Format::Json, Format::Yaml] {
        let text = "{\"a\": 12345678901234567890123, \"b\": 1e400, \"c\": 1.0, \"d\": 1}\n";
        let mut document = Document::parse(text.as_bytes(), format).unwrap();
        assert_eq!(document.get("/a").unwrap().unwrap().to_string(), "12345678901234567890123");
        assert_ne!(document.get("/c").unwrap(), document.get("/d").unwrap());
        let big: Value = serde_json::from_str("98765432109876543210987").unwrap();
        document.set("/d", big).unwrap();
        let edited = String::from_utf8(document.render().unwrap()).unwrap();
        assert_eq!(edited, text.replace("1}", "98765432109876543210987}"), "{format}");
    }
}

/// VER-10: an anchor is one text in several places; a change here would show there.
#[test]
fn shared_yaml_is_not_changed_behind_ones_back() {
    let text = "base: &b\n  x: 1\none:\n  <<: *b\n  y: 2\ntwo: *b\n";
    for (pointer, value) in [("/base/x", Some(json!(2))), ("/two/x", Some(json!(2))), ("/one/x", None), ("/base", None)]
    {
        let mut document = Document::parse(text.as_bytes(), Format::Yaml).unwrap();
        match value {
            Some(value) => document.set(pointer, value).unwrap(),
            None => drop(document.remove(pointer).unwrap()),
        }
        let error = document.render().unwrap_err();
        assert!(matches!(error, DocError::Shared { .. }), "{pointer}: {error:?}");
    }
}

/// L49: all operations or none, and the failing one is named.
#[test]
fn patches_are_all_or_nothing() {
    let mut document = Document::parse(b"{\"a\": 1, \"l\": [1]}", Format::Json).unwrap();
    let patches = [
        (json!([{"op": "add", "path": "/b", "value": 2}, {"op": "test", "path": "/a", "value": 2}]), Some(1)),
        (json!([{"op": "remove", "path": "/a"}, {"op": "remove", "path": "/a"}]), Some(1)),
        (json!([{"op": "add", "path": "/l/5", "value": 2}]), Some(0)),
        (json!([{"op": "move", "from": "/l", "path": "/l/0"}]), Some(0)),
        (json!([{"op": "frobnicate", "path": ""}]), Some(0)),
        (json!({"op": "add"}), None),
    ];
    for (patch, index) in patches {
        match document.json_patch(&patch).unwrap_err() {
            DocError::PatchFailed { operation, .. } => assert_eq!(operation, index, "{patch}"),
            other => panic!("{patch}: {other}"),
        }
        assert!(!document.is_changed(), "{patch}");
    }
}

/// L49: pointers are checked.
#[test]
fn wrong_pointers_are_named() {
    let mut document = Document::parse(b"{\"a\": [1, 2]}", Format::Json).unwrap();
    assert_eq!(document.get("/a/2").unwrap(), None);
    assert_eq!(document.get("/a/01").unwrap(), None);
    assert_eq!(document.remove("/x").unwrap(), None);
    for pointer in ["a", "/a/3", "/a/x", "/b/c", "/a/0/x", "/a~2"] {
        let error = document.set(pointer, json!(1)).unwrap_err();
        assert!(matches!(error, DocError::Pointer { .. }), "{pointer}: {error}");
    }
    assert!(!document.is_changed());
}

#[derive(Debug, Serialize, Deserialize)]
struct Settings {
    name: String,
    ratio: f64,
    #[serde(default)]
    retries: u32,
    servers: Vec<Server>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Server {
    host: String,
    port: u16,
}

const SETTINGS: &str = "{\n  \"name\": \"x\", // the name\n  \"unknown\": [1, 2],\n  \"ratio\": 1e2,\n  \"servers\": [\n    {\"host\": \"a\", \"port\": 1, \"note\": \"kept\"},\n    {\"host\": \"b\", \"port\": 2}\n  ]\n}\n";

/// VER-7, VER-10: a typed update writes what the program changed, and nothing it does not know.
#[test]
fn typed_updates_keep_what_the_type_does_not_know() {
    let mut document = Document::parse(SETTINGS.as_bytes(), Format::Json).unwrap();
    let mut settings: Settings = document.read().unwrap();
    document.write(&settings).unwrap();
    assert!(!document.is_changed(), "nothing changed, not even the spelling of 1e2 or an absent default");

    settings.servers[0].port = 8080;
    settings.servers.push(Server { host: "c".to_owned(), port: 3 });
    document.write(&settings).unwrap();
    let edited = String::from_utf8(document.render().unwrap()).unwrap();
    let wanted = SETTINGS
        .replace("\"port\": 1", "\"port\": 8080")
        .replace("\"port\": 2}\n", "\"port\": 2},\n    {\n      \"host\": \"c\",\n      \"port\": 3\n    }\n");
    assert_eq!(edited, wanted);
}

/// VER-7: a document of another shape is an error that names the place.
#[test]
fn typed_reads_name_the_place() {
    let text = SETTINGS.replace("\"port\": 2", "\"port\": \"two\"");
    match Document::parse(text.as_bytes(), Format::Json).unwrap().read::<Settings>().unwrap_err() {
        DocError::TypeMismatch { pointer, .. } => assert_eq!(pointer, "/servers/1/port"),
        other => panic!("{other}"),
    }
}

/// VER-7: what a failing closure did is undone, what happened before stays.
#[test]
fn savepoints_undo_their_part_only() {
    let mut document = Document::parse(b"{\"a\": {\"x\": 1}, \"l\": [1, 2]}", Format::Json).unwrap();
    document.set("/a/x", json!(2)).unwrap();
    document.savepoint();
    document.set("/a/x", json!(3)).unwrap();
    document.remove("/l/0").unwrap();
    document.set("/n", json!(1)).unwrap();
    document.rollback();
    assert_eq!(document.value().unwrap(), &json!({"a": {"x": 2}, "l": [1, 2]}));
    document.savepoint();
    document.set("/l/-", json!(3)).unwrap();
    document.release();
    assert_eq!(document.render().unwrap(), b"{\"a\": {\"x\": 2}, \"l\": [1, 2, 3]}");
    document.rollback();
    assert!(!document.is_changed(), "without a savepoint everything is undone");
}

/// VER-10: `on` and `no` are strings.
#[test]
fn yaml_booleans_are_true_and_false_only() {
    let document = Document::parse(b"on: no\nyes: ~\nt: true\n", Format::Yaml).unwrap();
    assert_eq!(document.value().unwrap(), &json!({"on": "no", "yes": null, "t": true}));
}

/// ATOM-5: new documents look the way people write them.
#[test]
fn new_documents_are_pretty() {
    let value = json!({"a": 1, "l": ["x", {"k": true}], "o": {"e": {}, "t": "two\nlines\n"}});
    let rows = [
        (
            Format::Json,
            "{\n  \"a\": 1,\n  \"l\": [\n    \"x\",\n    {\n      \"k\": true\n    }\n  ],\n  \"o\": {\n    \"e\": {},\n    \"t\": \"two\\nlines\\n\"\n  }\n}\n",
        ),
        (Format::Yaml, "a: 1\nl:\n  - x\n  - k: true\no:\n  e: {}\n  t: |\n    two\n    lines\n"),
        (Format::Toml, "a = 1\nl = [\"x\", { k = true }]\n\n[o]\nt = \"two\\nlines\\n\"\n\n[o.e]\n"),
    ];
    for (format, wanted) in rows {
        let mut document = Document::new_with(&value, format).unwrap();
        assert!(document.is_changed());
        assert_eq!(String::from_utf8(document.render().unwrap()).unwrap(), wanted);
    }
}

/// VER-10: work is linear: ten megabytes with an edit in every record (a quadratic step would take minutes).
#[test]
fn large_documents_take_linear_time() {
    let records: Vec<Value> = (0..40_000).map(|id| json!({"id": id, "text": "x".repeat(200), "count": 0})).collect();
    let mut value = json!({ "records": records });
    let mut document = Document::new_with(&value, Format::Json).unwrap();
    let bytes = document.render().unwrap();
    assert!(bytes.len() > 10_000_000);
    for record in value["records"].as_array_mut().unwrap() {
        record["count"] = json!(1);
    }
    let mut document = Document::parse(&bytes, Format::Json).unwrap();
    document.replace(value.clone()).unwrap();
    let edited = document.render().unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&edited).unwrap(), value);
}

/// VER-6, VER-10: `/*/` begins a comment and does not end it; both readers of JSON with comments agree.
#[test]
fn comments_that_begin_with_a_slash() {
    let text = "{\"a\": [ /*/ ] /**/ ]}";
    let mut document = Document::parse(text.as_bytes(), Format::Json).unwrap();
    assert_eq!(document.value().unwrap(), &json!({"a": []}));
    document.set("/a", json!([1])).unwrap();
    let edited = String::from_utf8(document.render().unwrap()).unwrap();
    assert_eq!(Document::parse(edited.as_bytes(), Format::Json).unwrap().value().unwrap(), &json!({"a": [1]}));
    assert!(edited.contains("/*/ ] /**/"), "{edited}");
    assert!(Document::parse(b"{\"a\": 1} /*/", Format::Json).is_err());
}
