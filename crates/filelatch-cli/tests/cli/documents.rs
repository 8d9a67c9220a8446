//! Documents through the command line: what stays, what changes, what is refused.

use crate::sandbox::Sandbox;

/// VER-7, VER-10: comments, order and formatting outside the change stay byte for byte, in all formats.
#[test]
fn comments_stay() {
    for (name, before, filter, after) in [
        (
            "a.json",
            "{\n  // why\n  \"a\": 1.0, \"b\": [1,2]\n}\n",
            ".b[1] = 3",
            "{\n  // why\n  \"a\": 1.0, \"b\": [1,3]\n}\n",
        ),
        ("a.toml", "# top\n[p] # here\nv = '1'  # why\n", ".p.v = \"2\"", "# top\n[p] # here\nv = '2'  # why\n"),
        (
            "a.yaml",
            "# top\na: &x 1  # one\nb:\n- c # three\n",
            ".b[0] = \"d\"",
            "# top\na: &x 1  # one\nb:\n- d # three\n",
        ),
        ("crlf.json", "{\r\n\t\"a\": 1\r\n}\r\n", ".a = 2", "{\r\n\t\"a\": 2\r\n}\r\n"),
        ("bom.json", "\u{feff}{\"a\":1}", ".a = 2", "\u{feff}{\"a\":2}"),
        ("a.txt", "hello", "ascii_upcase", "HELLO"),
    ] {
        let s = Sandbox::new();
        s.write(name, before);
        s.run(["update", name, "."]).exits(0);
        assert_eq!(s.text(name), before, "{name}: an update that changes nothing changes nothing");
        s.run(["update", name, filter]).exits(0);
        assert_eq!(s.text(name), after, "{name}");
    }
}

/// VER-10: numbers keep their text on the way through the filter: exact, big, with an exponent.
#[test]
fn numbers_stay() {
    let s = Sandbox::new();
    let before = "{\"a\": 1.0, \"b\": 12345678901234567890123, \"c\": 1e3, \"d\": -0.0, \"e\": 0.10, \"n\": 1}";
    s.write("a.json", before);
    s.run(["update", "a.json", ".n += 1"]).exits(0);
    assert_eq!(s.text("a.json"), before.replace("\"n\": 1", "\"n\": 2"));
    s.run(["update", "a.json", ".b += 1 | .c = (.c | . * 1)"]).exits(0);
    assert!(s.text("a.json").contains("12345678901234567890124"), "{}", s.text("a.json"));
    assert!(s.text("a.json").contains("\"c\": 1e3"), "{}", s.text("a.json"));
    s.write("a.toml", "a = 1.0\nb = 0x10\nc = 1_000\nd = 2026-01-01T00:00:00Z\nn = 1\n");
    s.run(["update", "a.toml", ".n = 2"]).exits(0);
    assert_eq!(s.text("a.toml"), "a = 1.0\nb = 0x10\nc = 1_000\nd = 2026-01-01T00:00:00Z\nn = 2\n");
}

/// Issue 2: arguments of filters; `--create` begins with null, as jq's -n.
#[test]
fn arguments_and_creation() {
    let s = Sandbox::new();
    let args = ["--arg", "v", "-1", "--argjson", "w", "{\"x\":[1.50]}"];
    s.run(["update", "new.json", ".a.b = $v | .c = $w", "--create"].iter().chain(&args)).exits(0);
    assert_eq!(
        s.text("new.json"),
        "{\n  \"a\": {\n    \"b\": \"-1\"\n  },\n  \"c\": {\n    \"x\": [\n      1.50\n    ]\n  }\n}\n"
    );
    s.run(["update", "new.toml", ".a.b = 1", "--create"]).exits(0);
    assert_eq!(s.text("new.toml"), "[a]\nb = 1\n");
    s.run(["update", "new.yml", "{a: [1]}", "--create"]).exits(0);
    assert!(s.text("new.yml").starts_with("a:\n"), "{}", s.text("new.yml"));
    // A failure creates nothing.
    s.run(["update", "none.toml", "null", "--create"]).exits(1);
    assert!(!s.path("none.toml").exists());
    s.run(["update", "conf", ".a = 1", "--create"]).exits(1).says("--format");
    s.run(["update", "conf", ".a = 1", "--create", "--format", "toml"]).exits(0);
    assert_eq!(s.text("conf"), "a = 1\n");
}

/// Issue 2, bad input: a filter that yields two values, or none, or fails, or does not end; a value that the format can't
/// express; duplicate keys. The file stays.
#[test]
fn refused_filters() {
    let s = Sandbox::new();
    s.write("a.toml", "a = 1\n");
    s.write("dup.json", "{\"a\": 1, \"a\": 2, \"b\": 3}");
    for (name, filter, expected) in [
        ("a.toml", ".a, .a", "more than one value"),
        ("a.toml", "empty", "no value"),
        ("a.toml", "error(\"no\")", "the filter failed: no"),
        ("a.toml", ".a.b = 1", "the filter failed"),
        ("a.toml", "halt", "stopped"),
        ("a.toml", ".a = null", "TOML cannot express"),
        ("a.toml", ".a = nan", "no document can hold"),
        ("a.toml", "[1]", "TOML"),
        ("a.toml", ".a =", "not understood"),
        ("a.toml", "env", "`env` is not defined"),
        ("dup.json", ".a = 3", "duplicate key `a`"),
    ] {
        let before = s.bytes(name);
        s.run(["update", name, filter]).exits(1).says(expected);
        assert_eq!(s.bytes(name), before, "{filter}");
    }
    s.run(["update", "a.toml", "--filter-timeout", "50ms", "last(range(1e12))"]).exits(1).says("has not ended");
    assert_eq!(s.text("a.toml"), "a = 1\n");
    s.run(["update", "--no-wait", "a.toml", ".a = 2"]).exits(0);
}

/// Issue 2: RFC 7396 and RFC 6902, from the arguments, a file, standard input; all or nothing.
#[test]
fn patches() {
    let s = Sandbox::new();
    s.write("a.yaml", "# top\na: 1\nb:\n  c: x # why\n");
    s.run(["patch", "a.yaml", "--merge-patch", "{\"a\":null,\"b\":{\"c\":\"z\"}}"]).exits(0);
    assert!(s.text("a.yaml").ends_with("b:\n  c: z # why\n"), "{}", s.text("a.yaml"));
    s.write("p.json", "[{\"op\":\"add\",\"path\":\"/d\",\"value\":[1]}]");
    s.run(["patch", "a.yaml", "--json-patch", "@p.json"]).exits(0);
    s.run_with("{\"d\":null}", ["patch", "a.yaml", "--merge-patch", "-"]).exits(0);
    let before = s.text("a.yaml");
    let half = "[{\"op\":\"remove\",\"path\":\"/b\"},{\"op\":\"test\",\"path\":\"/z\",\"value\":1}]";
    s.run(["patch", "a.yaml", "--json-patch", half]).exits(1).says("patch not applied");
    assert_eq!(s.text("a.yaml"), before);
    s.run(["patch", "a.yaml", "--json-patch", "@gone.json"]).exits(5);
    s.run(["patch", "a.yaml", "--merge-patch", "{}", "--json-patch", "[]"]).exits(2);
}

/// VER-6 ⚠: a document that does not parse is never taken for empty and overwritten; the error names file, line and column.
#[test]
fn broken_documents_are_left_alone() {
    let s = Sandbox::new();
    for (name, text, place) in [
        ("a.json", "{\n  \"a\": 1,\n", "line "),
        ("b.json", "", "line 1, column 1"),
        ("c.toml", "a = 1\nb = \n", "line 2"),
        ("d.yaml", "a: [1\n", "line "),
        ("e.json", "\u{0}", "line 1"),
    ] {
        s.write(name, text);
        for args in [["update", name, "."], ["update", name, "{}"]] {
            let ran = s.run(args).exits(1).says(&format!("`{name}`"));
            ran.says(place);
        }
        s.run(["update", "--create", name, ".a = 1"]).exits(1);
        s.run(["patch", name, "--merge-patch", "{\"a\":1}"]).exits(1);
        assert_eq!(s.text(name), text);
    }
    // `write` replaces bytes, whatever they are.
    s.run_with("{}", ["write", "a.json"]).exits(0);
}
