//! Tables of edits with the exact text expected. Every row is one promise of VER-10: a change touches the changed node and
//! nothing else.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
use filelatch::doc::{DocError, Document, Format};
use serde_json::{Value, json};

/// One edit.
enum Do {
    Set(&'static str, Value),
    Insert(&'static str, Value),
    Remove(&'static str),
    Merge(Value),
    Patch(Value),
    Replace(Value),
}
use Do::{Insert, Merge, Patch, Remove, Replace, Set};

fn edited(format: Format, before: &str, edit: &Do) -> Result<String, DocError> {
    let mut document = Document::parse(before.as_bytes(), format)?;
    match edit {
        Set(pointer, value) => document.set(pointer, value.clone())?,
        Insert(pointer, value) => document.insert(pointer, value.clone())?,
        Remove(pointer) => document.remove(pointer).map(|removed| assert!(removed.is_some(), "{pointer} is there"))?,
        Merge(patch) => document.merge_patch(patch)?,
        Patch(patch) => document.json_patch(patch)?,
        Replace(value) => document.replace(value.clone())?,
    }
    document.render().map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Checks all rows and reports all that differ, not only the first.
fn check(format: Format, rows: &[(&str, Do, &str)]) {
    let mut wrong = Vec::new();
    for (before, edit, wanted) in rows {
        match edited(format, before, edit) {
            Ok(found) if found == *wanted => {}
            Ok(found) => wrong.push(format!("--- before\n{before}\n--- wanted\n{wanted}\n--- found\n{found}")),
            Err(error) => wrong.push(format!("--- before\n{before}\n--- wanted\n{wanted}\n--- error\n{error}")),
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n\n"));
}

/// VER-10
#[test]
fn json_values_change_in_place() {
    check(
        Format::Json,
        &[
            (r#"{"a":1,"b":2}"#, Set("/a", json!(3)), r#"{"a":3,"b":2}"#),
            (
                "{\n  \"a\": 1, // one\n  \"b\": 2\n}\n",
                Set("/a", json!("x")),
                "{\n  \"a\": \"x\", // one\n  \"b\": 2\n}\n",
            ),
            ("{\r\n\t\"a\": 1\r\n}", Set("/a", json!([1])), "{\r\n\t\"a\": [\r\n\t\t1\r\n\t]\r\n}"),
            ("[1, 2, 3]\n", Set("/1", json!(null)), "[1, null, 3]\n"),
            ("{\"a\": {\"b\": {\"c\": 1.0}}}", Set("/a/b/c", json!(1)), "{\"a\": {\"b\": {\"c\": 1}}}"),
            ("{ \"a\" : 1 }", Set("/a", json!({"b": [1, 2]})), "{ \"a\" : {\"b\" : [1, 2]} }"),
            (r#"{"a/b": {"~x": 1}}"#, Set("/a~1b/~0x", json!(2)), r#"{"a/b": {"~x": 2}}"#),
            (r#"{"caf\u00e9": 1}"#, Set("/café", json!(2)), r#"{"caf\u00e9": 2}"#),
            ("7", Set("", json!("x")), "\"x\""),
        ],
    );
}

/// VER-10
#[test]
fn json_fields_come_and_go() {
    check(
        Format::Json,
        &[
            ("{\n  \"a\": 1\n}\n", Set("/b", json!(2)), "{\n  \"a\": 1,\n  \"b\": 2\n}\n"),
            ("{\n    \"a\": {}\n}\n", Set("/a/b", json!(2)), "{\n    \"a\": {\n        \"b\": 2\n    }\n}\n"),
            (
                "{\n\t\"a\": {\n\t\t\"x\": 1\n\t}\n}\n",
                Set("/b", json!({"c": [1]})),
                "{\n\t\"a\": {\n\t\t\"x\": 1\n\t},\n\t\"b\": {\n\t\t\"c\": [\n\t\t\t1\n\t\t]\n\t}\n}\n",
            ),
            (r#"{"a": 1}"#, Set("/b", json!({"c": 1})), r#"{"a": 1, "b": {"c": 1}}"#),
            (r#"{"a":1}"#, Set("/b", json!({"c": [1,2]})), r#"{"a":1,"b":{"c":[1,2]}}"#),
            (r#"{ "a": 1 }"#, Set("/b", json!(2)), r#"{ "a": 1, "b": 2 }"#),
            ("{}", Set("/a", json!(1)), "{\n  \"a\": 1\n}"),
            ("{}\n", Set("/a", json!({"b": 1})), "{\n  \"a\": {\n    \"b\": 1\n  }\n}\n"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}\n", Remove("/a"), "{\n  \"b\": 2\n}\n"),
            ("{\n  \"a\": 1,\n  \"b\": 2\n}\n", Remove("/b"), "{\n  \"a\": 1\n}\n"),
            ("{\n  \"a\": 1\n}\n", Remove("/a"), "{}\n"),
            (
                "{\n  \"a\": 1, // one\n  // about b\n  \"b\": 2, // two\n  \"c\": 3 // three\n}\n",
                Remove("/b"),
                "{\n  \"a\": 1, // one\n  // about b\n  \"c\": 3 // three\n}\n",
            ),
            ("{\n  \"a\": 1, // one\n  \"b\": 2 // two\n}\n", Remove("/b"), "{\n  \"a\": 1 // one\n}\n"),
            (
                "{\n  \"a\": 1, // one\n  \"b\": 2 // two\n}\n",
                Set("/c", json!(3)),
                "{\n  \"a\": 1, // one\n  \"b\": 2, // two\n  \"c\": 3\n}\n",
            ),
            ("{\n  \"a\": 1,\n  \"b\": 2,\n}\n", Set("/c", json!(3)), "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3,\n}\n"),
            ("{\n  \"a\": 1,\n  \"b\": 2,\n}\n", Remove("/b"), "{\n  \"a\": 1,\n}\n"),
            ("{\n  // none yet\n}\n", Set("/a", json!(1)), "{\n  // none yet\n  \"a\": 1\n}\n"),
            (
                "{\n  \"a\": 1\n  // \"b\": 2\n}\n",
                Set("/c", json!(3)),
                "{\n  \"a\": 1,\n  \"c\": 3\n  // \"b\": 2\n}\n",
            ),
            (
                "{\r\n  \"a\": 1\r\n}\r\n",
                Set("/b", json!({"c": 1})),
                "{\r\n  \"a\": 1,\r\n  \"b\": {\r\n    \"c\": 1\r\n  }\r\n}\r\n",
            ),
            (r#"{"a": 1, "b": 2, "c": 3}"#, Remove("/a"), r#"{"b": 2, "c": 3}"#),
            (r#"{"a": 1, "b": 2, "c": 3}"#, Remove("/b"), r#"{"a": 1, "c": 3}"#),
            (r#"{"a": 1, "b": 2, "c": 3}"#, Replace(json!({"c": 3, "d": 4})), r#"{"c": 3, "d": 4}"#),
            (r#"{"a": 1, "b": 2}"#, Replace(json!({"b": 2, "a": 1})), r#"{"a": 1, "b": 2}"#),
        ],
    );
}

/// VER-10: what looks like a comment and is none, and where comments end. Such edits were refused, or broke a line for nothing.
#[test]
fn json_comments_and_what_looks_like_one() {
    check(
        Format::Jsonc,
        &[
            (
                "[1]",
                Patch(
                    json!([{"op": "add", "path": "/-", "value": "http://a"}, {"op": "add", "path": "/-", "value": 2}]),
                ),
                "[1, \"http://a\", 2]",
            ),
            ("[1, 2 // two */\n]", Insert("/-", json!(3)), "[1, 2, // two */\n 3\n]"),
            ("[1 /* // */]", Insert("/-", json!(2)), "[1, 2 /* // */]"),
            ("[ // all\n 1, /* two */ 2]", Replace(json!([])), "[ // all\n /* two */]"),
            // A carriage return alone ends a comment.
            ("{// none\r}", Set("/a", json!(1)), "{// none\n  \"a\": 1\n}"),
            ("{\"a\": 1} // one\r/* two\n*/", Set("/a", json!(2)), "{\"a\": 2} // one\r/* two\n*/"),
            ("[1, // one\r 2, 3]", Remove("/1"), "[1, // one\n 3]"),
            // A comment keeps what only others take for white space.
            ("{// none\u{b}\u{a0}\n}", Set("/a", json!(1)), "{// none\u{b}\u{a0}\n  \"a\": 1\n}"),
        ],
    );
    for text in ["{\"a\": 1} // one\r}", "{ // one\ra\n}"] {
        let found = Document::parse(text.as_bytes(), Format::Jsonc);
        assert!(matches!(found, Err(DocError::Parse { .. })), "{text:?}: {found:?}");
    }
}

/// VER-10
#[test]
fn json_elements_come_and_go() {
    check(
        Format::Json,
        &[
            ("[1, 2, 3]", Remove("/0"), "[2, 3]"),
            ("[1, 2, 3]", Remove("/1"), "[1, 3]"),
            ("[1, 2, 3]", Remove("/2"), "[1, 2]"),
            ("[1, 2]", Set("/-", json!(3)), "[1, 2, 3]"),
            ("[1, 2]", Set("/2", json!(3)), "[1, 2, 3]"),
            ("[1, 2]", Insert("/0", json!(0)), "[0, 1, 2]"),
            ("[1, 2]", Insert("/1", json!(9)), "[1, 9, 2]"),
            ("[]", Set("/-", json!(1)), "[\n  1\n]"),
            ("{\"a\": []}", Set("/a/-", json!(1)), "{\"a\": [1]}"),
            (
                "[\n  1, // one\n  2, // two\n  3 // three\n]\n",
                Insert("/1", json!(9)),
                "[\n  1, // one\n  9,\n  2, // two\n  3 // three\n]\n",
            ),
            (
                "[\n  1, // one\n  // even\n  2, // two\n  3 // three\n]\n",
                Remove("/0"),
                "[\n  // even\n  2, // two\n  3 // three\n]\n",
            ),
            ("[\n  1, // one\n  2, // two\n  3 // three\n]\n", Remove("/2"), "[\n  1, // one\n  2 // two\n]\n"),
            (
                "[\n  {\"id\": 1, \"n\": \"a\"},\n  {\"id\": 2, \"n\": \"b\"}\n]\n",
                Replace(json!([{"id": 2, "n": "c"}])),
                "[\n  {\"id\": 2, \"n\": \"c\"}\n]\n",
            ),
            (
                "[\n  {\"id\": 1, \"n\": \"a\"},\n  {\"id\": 2, \"n\": \"b\"}\n]\n",
                Replace(json!([{"id": 1, "n": "a"}, {"id": 3, "n": "x"}, {"id": 2, "n": "b"}])),
                "[\n  {\"id\": 1, \"n\": \"a\"},\n  {\n    \"id\": 3,\n    \"n\": \"x\"\n  },\n  {\"id\": 2, \"n\": \"b\"}\n]\n",
            ),
            ("[\"a\", \"b\", \"c\"]", Replace(json!(["b", "c", "d"])), "[\"b\", \"c\", \"d\"]"),
        ],
    );
}

/// VER-10, L49
#[test]
fn json_patches() {
    check(
        Format::Json,
        &[
            (r#"{"a": {"b": 1, "c": 2}}"#, Merge(json!({"a": {"b": null, "d": 3}})), r#"{"a": {"c": 2, "d": 3}}"#),
            (r#"{"a": 1}"#, Merge(json!({"a": {"b": {"c": null, "d": 1}}})), r#"{"a": {"b": {"d": 1}}}"#),
            (
                r#"{"a": [1, 2]}"#,
                Patch(json!([
            {"op": "test", "path": "/a/0", "value": 1}, {"op": "add", "path": "/a/1", "value": 9},
            {"op": "move", "from": "/a/0", "path": "/b"}, {"op": "replace", "path": "/a/0", "value": 7},
            {"op": "copy", "from": "/b", "path": "/a/-"}])),
                r#"{"a": [7, 2, 1], "b": 1}"#,
            ),
        ],
    );
}

/// VER-10
#[test]
fn toml_values_change_in_place() {
    check(
        Format::Toml,
        &[
            ("a = 1 # one\n", Set("/a", json!(2)), "a = 2 # one\n"),
            ("a = 1\r\nb = 'x'\r\n", Set("/b", json!("y")), "a = 1\r\nb = 'y'\r\n"),
            ("a = 'x'", Set("/a", json!("it's")), "a = \"it's\""),
            (
                "[t]\nd = 1979-05-27T07:32:00Z # when\n",
                Set("/t/d", json!("1980-01-01")),
                "[t]\nd = 1980-01-01 # when\n",
            ),
            ("d = 1979-05-27\n", Set("/d", json!("soon")), "d = \"soon\"\n"),
            ("a.b.c = 1\n", Set("/a/b/c", json!(true)), "a.b.c = true\n"),
            ("a = { b = 1, c = 2 }\n", Set("/a/b", json!([1, "x"])), "a = { b = [1, \"x\"], c = 2 }\n"),
            ("a = [\n  1, # one\n  2, # two\n]\n", Set("/a/1", json!(3)), "a = [\n  1, # one\n  3, # two\n]\n"),
            ("s = \"\"\"\none\ntwo\n\"\"\"\n", Set("/s", json!("one\nthree\n")), "s = \"\"\"\none\nthree\n\"\"\"\n"),
            ("[[p]]\nn = 1\n\n[[p]]\nn = 2\n", Set("/p/1/n", json!(3)), "[[p]]\nn = 1\n\n[[p]]\nn = 3\n"),
            ("i = inf\nn = nan\na = 1\n", Set("/a", json!(2)), "i = inf\nn = nan\na = 2\n"),
            ("x = 1\n", Set("/x", json!({"y": 1})), "x = { y = 1 }\n"),
            ("x = 1\n", Set("/x", serde_json::from_str("-0").unwrap()), "x = -0\n"),
        ],
    );
}

/// VER-10
#[test]
fn toml_fields_come_and_go() {
    check(
        Format::Toml,
        &[
            ("a = 1\n", Set("/b", json!(2)), "a = 1\nb = 2\n"),
            ("a = 1", Set("/b", json!(2)), "a = 1\nb = 2"),
            ("", Set("/b", json!(2)), "b = 2\n"),
            ("# c\n", Set("/b", json!(2)), "# c\nb = 2\n"),
            ("a = 1 # one\n\n[t]\nx = 1\n", Set("/b", json!(2)), "a = 1 # one\nb = 2\n\n[t]\nx = 1\n"),
            ("[t]\nx = 1\n", Set("/b", json!(2)), "b = 2\n\n[t]\nx = 1\n"),
            ("[t]\nx = 1\n\n[u]\ny = 1\n", Set("/t/z", json!("é\n")), "[t]\nx = 1\nz = \"é\\n\"\n\n[u]\ny = 1\n"),
            ("[t]\n  x = 1\n", Set("/t/z", json!(2)), "[t]\n  x = 1\n  z = 2\n"),
            ("[t]\n", Set("/t/z", json!(2)), "[t]\nz = 2\n"),
            ("[t.u]\nx = 1\n", Set("/t/z", json!(2)), "[t]\nz = 2\n\n[t.u]\nx = 1\n"),
            ("a.b = 1\nc = 2\n", Set("/a/d", json!(3)), "a.b = 1\na.d = 3\nc = 2\n"),
            ("a = 1\n", Set("/t", json!({"x": 1, "u": {"y": 2}})), "a = 1\n\n[t]\nx = 1\n\n[t.u]\ny = 2\n"),
            ("[t]\nx = 1\n\n[u]\n", Set("/t/v", json!({"y": 2})), "[t]\nx = 1\n\n[t.v]\ny = 2\n\n[u]\n"),
            (
                "[deps]\na = { version = \"1\" }\n",
                Set("/deps/b", json!({"version": "2"})),
                "[deps]\na = { version = \"1\" }\nb = { version = \"2\" }\n",
            ),
            ("a = { b = 1 }\n", Set("/a/c", json!(2)), "a = { b = 1, c = 2 }\n"),
            ("a = {}\n", Set("/a/c", json!(2)), "a = { c = 2 }\n"),
            ("a = { b = 1, \"c d\" = 2 }\n", Remove("/a/b"), "a = { \"c d\" = 2 }\n"),
            ("a = 1\nb = 2 # two\nc = 3\n", Remove("/b"), "a = 1\nc = 3\n"),
            ("a = 1\n# about b\nb = 2", Remove("/b"), "a = 1\n# about b"),
            ("[t]\nx = 1\n", Remove("/t/x"), "[t]\n"),
            (
                "[a]\nx = 1\n\n# about t\n[t]\nx = 1\n\n[u]\ny = 1\n",
                Remove("/a"),
                "# about t\n[t]\nx = 1\n\n[u]\ny = 1\n",
            ),
            ("[a]\nx = 1\n\n[t]\nx = 1\n\n[t.v]\nz = 1\n\n[u]\ny = 1\n", Remove("/t"), "[a]\nx = 1\n\n[u]\ny = 1\n"),
            ("[t.u]\nx = 1\n", Remove("/t/u"), "[t]\n"),
            ("a.b = 1\n", Remove("/a/b"), "a = {}\n"),
            // The innermost of the tables that a key made stands for those around it.
            ("a.b.c = 1\nd = 2\n", Remove("/a/b/c"), "a.b = {}\nd = 2\n"),
            (
                "[t]\na.b.c = 1\n[u]\n",
                Merge(json!({"t": {"a": {"b": {"c": null}, "d": 2}}})),
                "[t]\na.b = {}\na.d = 2\n[u]\n",
            ),
            ("a.b.c = 1\na.d.e = 1\n", Merge(json!({"a": {"b": {"c": null}, "d": 5}})), "a.b = {}\na.d = 5\n"),
            ("[a.b.c]\nx = 1\n", Remove("/a/b/c"), "[a.b]\n"),
            (
                "[[p]]\nn = 1\n\n[[p]]\nn = 2\n",
                Set("/p/-", json!({"n": 3})),
                "[[p]]\nn = 1\n\n[[p]]\nn = 2\n\n[[p]]\nn = 3\n",
            ),
            (
                "[[p]]\nn = 1\n\n[[p]]\nn = 2\n",
                Insert("/p/0", json!({"n": 0})),
                "[[p]]\nn = 0\n\n[[p]]\nn = 1\n\n[[p]]\nn = 2\n",
            ),
            (
                "[[p]]\nn = 1\n\n[[p]]\nn = 2\n",
                Insert("/p/1", json!({"n": 0})),
                "[[p]]\nn = 1\n\n[[p]]\nn = 0\n\n[[p]]\nn = 2\n",
            ),
            ("[[p]]\nn = 1\n\n[[p]]\nn = 2\n\n[z]\n", Remove("/p/0"), "[[p]]\nn = 2\n\n[z]\n"),
            ("[[p]]\nn = 1\n\n[z]\n", Remove("/p/0"), "p = []\n\n[z]\n"),
            ("a = [\n  1, # one\n  2, # two\n]\n", Set("/a/-", json!(3)), "a = [\n  1, # one\n  2, # two\n  3,\n]\n"),
            ("a = [\n  1, # one\n  2  # two\n]\n", Set("/a/-", json!(3)), "a = [\n  1, # one\n  2,  # two\n  3\n]\n"),
            ("a = ['x', 'y']\n", Set("/a/-", json!("z")), "a = ['x', 'y', 'z']\n"),
            ("a = ['x', 'y']\n", Remove("/a/0"), "a = ['y']\n"),
            ("a = 1\r\n", Set("/t", json!({"x": 1})), "a = 1\r\n\r\n[t]\r\nx = 1\r\n"),
            ("[t]\nx = 1\n", Set("/t", json!(1)), "t = 1\n"),
        ],
    );
}

/// VER-10
#[test]
fn yaml_values_change_in_place() {
    check(
        Format::Yaml,
        &[
            ("a: 1 # one\nb: 2\n", Set("/a", json!(2)), "a: 2 # one\nb: 2\n"),
            ("a: 'x'\n", Set("/a", json!("it's")), "a: 'it''s'\n"),
            ("a: \"x\"\r\nb: y\r\n", Set("/a", json!("z")), "a: \"z\"\r\nb: y\r\n"),
            ("a: x\n", Set("/a", json!("no")), "a: \"no\"\n"),
            ("a: x\n", Set("/a", json!("y: z")), "a: \"y: z\"\n"),
            ("a:\n", Set("/a", json!(1)), "a: 1\n"),
            ("a: # note\n", Set("/a", json!(1)), "a: 1 # note\n"),
            ("a: &x 1\nb: 2\n", Set("/a", json!(3)), "a: &x 3\nb: 2\n"),
            ("a: &x 1\nb: *x\n", Set("/b", json!(3)), "a: &x 1\nb: 3\n"),
            ("a: !t x\n", Set("/a", json!("z")), "a: !t z\n"),
            (
                "on:\n  push:\n    branches: [main]\n",
                Set("/on/push/branches/0", json!("dev")),
                "on:\n  push:\n    branches: [dev]\n",
            ),
            ("a: |\n  one\n  two\nb: 1\n", Set("/a", json!("one\nthree\n")), "a: |\n  one\n  three\nb: 1\n"),
            ("a: |\n  one\n  two\nb: 1\n", Set("/b", json!(2)), "a: |\n  one\n  two\nb: 2\n"),
            ("a: >-\n  one\n  two\n\nb: 1\n", Set("/a", json!("x")), "a: x\n\nb: 1\n"),
            ("- a\n- b # two\n", Set("/1", json!("c")), "- a\n- c # two\n"),
            ("-\n- b\n", Set("/0", json!("c")), "- c\n- b\n"),
            ("{a: 1, b}\n", Set("/b", json!(2)), "{a: 1, b: 2}\n"),
            ("a: 1\n", Set("/a", json!({"b": [1, {"c": 2, "d": 3}]})), "a:\n  b:\n    - 1\n    - c: 2\n      d: 3\n"),
            ("a:\n  b: 1\nc: 2\n", Set("/a", json!("x")), "a: x\nc: 2\n"),
            ("a:\n- 1\n- 2\nc: 2\n", Set("/a", json!({})), "a: {}\nc: 2\n"),
            ("x: .inf\na: 1\n", Set("/a", json!(2)), "x: .inf\na: 2\n"),
            ("---\n# top\na: 1\n...\n", Set("/a", json!(2)), "---\n# top\na: 2\n...\n"),
            ("plain\n", Set("", json!("other")), "other\n"),
            ("a: x\n", Set("/a", serde_json::from_str("-1E+400").unwrap()), "a: -1e+400\n"),
            ("a: x\n", Set("/a", json!(" y")), "a: \" y\"\n"),
            ("a: x\n", Set("/ b", json!(1)), "a: x\n\" b\": 1\n"),
            ("---\n# top\na: 1\n...\n", Set("", json!(5)), "---\n# top\n5\n...\n"),
            ("--- &x\na: 1\n", Set("", json!(5)), "--- &x 5\n"),
            ("a: multi\n  line\nb: 1\n", Set("/a", json!("x")), "a: x\nb: 1\n"),
        ],
    );
}

/// VER-10
#[test]
fn yaml_fields_come_and_go() {
    check(
        Format::Yaml,
        &[
            ("a: 1\n", Set("/b", json!(2)), "a: 1\nb: 2\n"),
            ("a: 1", Set("/b", json!(2)), "a: 1\nb: 2"),
            ("", Set("", json!({"b": 2})), "b: 2\n"),
            ("# only\n", Set("", json!({"b": 2})), "# only\nb: 2\n"),
            ("a:\n  b: 1 # one\n# end\n", Set("/a/c", json!("x y")), "a:\n  b: 1 # one\n  c: x y\n# end\n"),
            (
                "a:\n    b:\n        c: 1\n",
                Set("/d", json!({"e": {"f": 1}})),
                "a:\n    b:\n        c: 1\nd:\n    e:\n        f: 1\n",
            ),
            (
                "steps:\n- name: x\n  run: y\n",
                Set("/steps/0/with", json!({"k": "v"})),
                "steps:\n- name: x\n  run: y\n  with:\n    k: v\n",
            ),
            ("steps:\n- name: x\n", Set("/other", json!([1])), "steps:\n- name: x\nother:\n- 1\n"),
            (
                "steps:\n  - name: x\n",
                Set("/steps/-", json!({"name": "w", "run": "z"})),
                "steps:\n  - name: x\n  - name: w\n    run: z\n",
            ),
            ("a: 1\nb: 2 # two\n# three\nc: 3\n", Remove("/b"), "a: 1\n# three\nc: 3\n"),
            ("- name: x # n\n  run: y\n", Remove("/0/name"), "- run: y\n"),
            ("- name: x\n", Remove("/0/name"), "- {}\n"),
            ("a:\n  b: 1\nc: 1\n", Remove("/a/b"), "a: {}\nc: 1\n"),
            ("a: 1\n", Remove("/a"), "{}\n"),
            ("a: |\n  x\n\nb: 1\n", Remove("/a"), "\nb: 1\n"),
            ("{a: 1, b: 2}\n", Remove("/a"), "{b: 2}\n"),
            ("{a: 1}\n", Set("/b", json!("x, y")), "{a: 1, b: \"x, y\"}\n"),
            ("a: {}\n", Set("/a/b", json!(1)), "a: {b: 1}\n"),
            ("a: []\n", Set("/a/-", json!("x")), "a: [x]\n"),
            ("l:\n  - a # one\n  - b # two\n  - c # three\n", Remove("/l/1"), "l:\n  - a # one\n  - c # three\n"),
            ("l:\n  - a # one\n  - b # two\n", Insert("/l/1", json!("x")), "l:\n  - a # one\n  - x\n  - b # two\n"),
            ("l:\n  # first\n  - a\n", Insert("/l/0", json!("x")), "l:\n  - x\n  # first\n  - a\n"),
            ("l:\n  - 'a'\n", Set("/l/-", json!("x")), "l:\n  - 'a'\n  - 'x'\n"),
            ("- - a\n  - b\n- c\n", Set("/0/-", json!("x")), "- - a\n  - b\n  - x\n- c\n"),
            ("- - a\n  - b\n- c\n", Remove("/0/0"), "- - b\n- c\n"),
            ("l:\n- a\n- b\n", Remove("/l/1"), "l:\n- a\n"),
            ("l:\n- a\n", Remove("/l/0"), "l: []\n"),
            (
                "d: &d\n  x: 1\ns:\n  <<: *d\n  y: 2\n",
                Set("/s/x", json!(5)),
                "d: &d\n  x: 1\ns:\n  <<: *d\n  y: 2\n  x: 5\n",
            ),
            ("a: 1\r\n", Set("/b", json!({"c": 1})), "a: 1\r\nb:\r\n  c: 1\r\n"),
            (
                "a:\n  b:\n    c: 1\n    d: 2\n",
                Merge(json!({"a": {"b": {"d": null}, "e": 1}, "f": 2})),
                "a:\n  b:\n    c: 1\n  e: 1\nf: 2\n",
            ),
            ("a: 1\n", Set("/t", json!("one\ntwo\n")), "a: 1\nt: |\n  one\n  two\n"),
        ],
    );
}

/// VER-10: what fuzzing found; each of these edits was refused or changed something else.
#[test]
fn yaml_in_unusual_layouts() {
    let two_lines = || json!("x\ny\n");
    check(
        Format::Yaml,
        &[
            // The root, indented or behind something.
            (" x\n", Set("", json!({"a": 1})), "a: 1\n"),
            ("# c\n  - x\n  - y\n# d\n", Set("", json!({"a": 1})), "# c\na: 1\n# d\n"),
            ("--- x # c\n", Set("", json!([1])), "---\n- 1 # c\n"),
            ("# c\u{a0}\n", Set("", json!(1)), "# c\u{a0}\n1\n"),
            ("--- |\n  x\n", Set("", json!({"a": 1})), "---\na: 1\n"),
            ("...\na: 1\n", Set("/b", json!(2)), "...\na: 1\nb: 2\n"),
            // Behind a property a collection needs a line of its own.
            ("- &y\n- a\n", Set("/0", json!([1, 2])), "- &y\n  - 1\n  - 2\n- a\n"),
            ("a: !\nb: 1\n", Set("/a", json!(0)), "a: 0\nb: 1\n"),
            // What stands right behind an anchor was a bracket.
            ("- &y[a]\n", Set("/0", json!("b")), "- &y b\n"),
            ("{a: &y[a]}\n", Set("/a", json!(1)), "{a: &y 1}\n"),
            ("- &y[a]\n", Set("/0", json!(["b", {}])), "- &y[b, {}]\n"),
            // A `?` alone is a key only before white space.
            ("[? ]\n", Insert("/-", json!(1)), "[? null, 1 ]\n"),
            ("{? # c\n}\n", Set("/b", json!(1)), "{? null, # c\n b: 1\n}\n"),
            ("{? }\n", Set("/null", json!(1)), "{? null: 1 }\n"),
            ("{? }\n", Merge(json!({"null": 1, "b": 2})), "{? null: 1, b: 2 }\n"),
            ("[?]\n", Insert("/-", json!(1)), "[?, 1]\n"),
            ("a: 1\r\n?\r\n", Set("/null", json!(2)), "a: 1\r\n?\r\n: 2\r\n"),
            // A colon behind an anchor would be a part of its name.
            ("{&y , b}\n", Set("/null", json!(1)), "{&y : 1 , b}\n"),
            // A pair without braces gets them, and nothing else changes.
            ("l: [\"q\": .inf]\n", Set("/l/0/b", json!(2)), "l: [{\"q\": .inf, b: 2}]\n"),
            ("l: [\"q\": 1, 2]\n", Remove("/l/0/q"), "l: [{}, 2]\n"),
            // A key that hides a merged one is spelled like it.
            ("x: &x {1: a}\ny:\n  <<: *x\n", Set("/y/1", json!("b")), "x: &x {1: a}\ny:\n  <<: *x\n  1: b\n"),
            // Two lines that go, one of them with the line break before it.
            (
                "- a: 1\n  b: 2\n- c",
                Patch(json!([{"op": "remove", "path": "/1"}, {"op": "remove", "path": "/0/b"}])),
                "- a: 1\n",
            ),
            // Empty lines that belong to a text, or must not.
            ("a: |+\n  x\n\nb: 1\n\nc: 2\n", Remove("/b"), "a: |+\n  x\n\nc: 2\n"),
            ("a: |+\n  x\n\nb: 1", Remove("/b"), "a: |+\n  x\n\n"),
            ("a: |+\n\n\nb: 1\n", Set("/c", json!(2)), "a: |+\n\n\nb: 1\nc: 2\n"),
            ("b:\n  a: |+\n\n\nc: 1\n", Set("/b/d", json!(2)), "b:\n  a: |+\n\n\n  d: 2\nc: 1\n"),
            ("- |\n x\n  \n", Set("/1", json!(2)), "- |\n x\n  \n- 2\n"),
            ("|\nx \n", Set("", json!("y\nz\n")), "|\n  y\n  z\n"),
            // What stands behind a text block on its last line.
            ("a: 1 # c\nb: 2\n", Set("/a", json!({"t": two_lines()})), "a:\n  t: \"x\\ny\\n\" # c\nb: 2\n"),
            ("a: 1\n  # c\n", Set("/a", two_lines()), "a: \"x\\ny\\n\"\n  # c\n"),
            ("a: 1\n  # c\n", Set("/b", two_lines()), "a: 1\nb: \"x\\ny\\n\"\n  # c\n"),
            ("a:   \nb: 1\n", Set("/a", two_lines()), "a: |\n  x\n  y\nb: 1\n"),
        ],
    );
}

/// VER-10: a value that readers would not take behind a tag is refused as what it is, not as a mistake of the editor.
#[test]
fn yaml_tags_of_scalars() {
    let refused = |tag: &str, value: &Value| {
        let found = edited(Format::Yaml, &format!("a: {tag}\n"), &Set("/a", value.clone()));
        assert!(
            matches!(&found, Err(DocError::Unrepresentable { pointer, .. }) if pointer == "/a"),
            "{tag}: {found:?}"
        );
    };
    for tag in ["!time", "!degrees", "!radians", "!include", "!include#a", "!int"] {
        for value in [json!({"b": 1}), json!([1]), json!([])] {
            refused(tag, &value);
        }
    }
    for tag in ["!!timestamp", "!timestamp", "!time", "!degrees", "!radians"] {
        refused(tag, &json!("2001-01-01"));
    }
    check(Format::Yaml, &[("a: !time noon\n", Set("/a", json!("dawn")), "a: !time dawn\n")]);
}
