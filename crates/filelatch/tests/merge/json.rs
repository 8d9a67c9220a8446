//! The rules of merging by structure, shown with JSON; every case also with ours and theirs exchanged.

use filelatch::merge::{
    ConflictStyle, Fallback, Kind, ListRule, Markers, MergeOptions, Merged, Method, VersionRule, merge,
};

fn options() -> MergeOptions {
    MergeOptions { kind: Kind::Json, ..MergeOptions::default() }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// Merges, both ways round: the verdict must be the same, and so must the lines.
fn both_ways(base: &str, ours: &str, theirs: &str, options: &MergeOptions) -> Merged {
    let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), options);
    let exchanged = merge(base.as_bytes(), theirs.as_bytes(), ours.as_bytes(), options);
    assert_eq!(merged.is_clean(), exchanged.is_clean(), "the verdict depends on who is who");
    if let (Some(one), Some(other)) = (merged.content(), exchanged.content()) {
        let lines = |bytes: Vec<u8>| {
            let mut lines: Vec<String> =
                text(bytes).lines().map(|line| line.trim().trim_end_matches(',').to_owned()).collect();
            lines.sort();
            lines
        };
        let inline = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == b'\n').count() < 3;
        assert!(inline(&one) || lines(one) == lines(other), "the lines depend on who is who");
    }
    merged
}

fn clean(base: &str, ours: &str, theirs: &str) -> String {
    let merged = both_ways(base, ours, theirs, &options());
    match merged.content() {
        Some(content) => text(content),
        None => panic!("a conflict: {:?}\n{}", merged.fallback(), text(merged.render(&Markers::default()))),
    }
}

/// The conflict's rendering in style merge.
fn conflict(base: &str, ours: &str, theirs: &str) -> String {
    let merged = both_ways(base, ours, theirs, &options());
    assert!(!merged.is_clean(), "clean: {}", text(merged.content().unwrap()));
    text(merged.render(&Markers::default()))
}

/// MERGE-2: the comma that a new last line needs is no conflict.
#[test]
fn both_append_to_one_object() {
    let base = "{\n  \"a\": 1\n}\n";
    let ours = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    let theirs = "{\n  \"a\": 1,\n  \"c\": 3\n}\n";
    assert_eq!(clean(base, ours, theirs), "{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 3\n}\n");
}

/// MERGE-2: the same in a list, over several lines and in one.
#[test]
fn both_append_to_one_list() {
    assert_eq!(
        clean("[\n  \"a\"\n]\n", "[\n  \"a\",\n  \"b\"\n]\n", "[\n  \"a\",\n  \"c\"\n]\n"),
        "[\n  \"a\",\n  \"b\",\n  \"c\"\n]\n"
    );
    assert_eq!(
        clean("{\"files\": [\"x\"]}\n", "{\"files\": [\"x\", \"y\"]}\n", "{\"files\": [\"w\", \"x\"]}\n"),
        "{\"files\": [\"w\", \"x\", \"y\"]}\n"
    );
    assert_eq!(
        clean(
            "{\n  \"k\": [ \"a\", \"b\" ]\n}\n",
            "{\n  \"k\": [ \"b\" ]\n}\n",
            "{\n  \"k\": [ \"a\", \"b\", \"c\" ]\n}\n"
        ),
        "{\n  \"k\": [ \"b\", \"c\" ]\n}\n"
    );
}

/// MERGE-2: what both add in the same way stands there once; a new object that both begin does not double.
#[test]
fn what_both_add_stands_once() {
    let base = "{\n  \"name\": \"x\"\n}\n";
    let ours = "{\n  \"name\": \"x\",\n  \"scripts\": {\n    \"build\": \"make all\"\n  }\n}\n";
    let theirs = "{\n  \"name\": \"x\",\n  \"scripts\": {\n    \"test\": \"make check\"\n  }\n}\n";
    let wanted =
        "{\n  \"name\": \"x\",\n  \"scripts\": {\n    \"build\": \"make all\",\n    \"test\": \"make check\"\n  }\n}\n";
    assert_eq!(clean(base, ours, theirs), wanted);
    let same = "{\n  \"name\": \"x\",\n  \"private\": true\n}\n";
    let more = "{\n  \"name\": \"x\",\n  \"private\": true,\n  \"type\": \"module\"\n}\n";
    assert_eq!(clean(base, same, more), more);
}

/// MERGE-2: lines that touch each other belong to different keys.
#[test]
fn neighbouring_keys_changed_by_different_sides() {
    let base = "{\n  \"a\": \"one\",\n  \"b\": \"two\",\n  \"c\": \"three\"\n}\n";
    assert_eq!(
        clean(base, &base.replace("one", "ours"), &base.replace("two", "theirs")),
        "{\n  \"a\": \"ours\",\n  \"b\": \"theirs\",\n  \"c\": \"three\"\n}\n"
    );
    let deleted = "{\n  \"a\": \"one\",\n  \"c\": \"three\"\n}\n";
    assert_eq!(
        clean(base, deleted, &base.replace("three\"", "three\",\n  \"d\": \"four\"")),
        "{\n  \"a\": \"one\",\n  \"c\": \"three\",\n  \"d\": \"four\"\n}\n"
    );
}

/// MERGE-2, L47: one side deletes what the other changes.
#[test]
fn deleted_and_changed_is_a_conflict() {
    let base = "{\n  \"a\": \"one\",\n  \"b\": \"two\"\n}\n";
    let told = conflict(base, "{\n  \"a\": \"one\"\n}\n", &base.replace("two", "TWO"));
    assert!(told.contains("<<<<<<< ours") && told.contains("\"b\": \"TWO\""), "{told}");
    let nested = "{\n  \"m\": {\n    \"x\": 1,\n    \"y\": 2\n  },\n  \"z\": 0\n}\n";
    conflict(nested, "{\n  \"z\": 0\n}\n", &nested.replace("\"y\": 2", "\"y\": 3"));
}

/// MERGE-2: both change one value; what is around it is settled.
#[test]
fn a_conflict_is_as_small_as_the_lines_allow() {
    let base = "{\n  \"v\": \"base\",\n  \"list\": [\n    \"a\"\n  ]\n}\n";
    let ours = "{\n  \"v\": \"ours\",\n  \"list\": [\n    \"a\",\n    \"b\"\n  ]\n}\n";
    let theirs = "{\n  \"v\": \"theirs\",\n  \"list\": [\n    \"a\",\n    \"c\"\n  ]\n}\n";
    assert_eq!(
        conflict(base, ours, theirs),
        "{\n<<<<<<< ours\n  \"v\": \"ours\",\n=======\n  \"v\": \"theirs\",\n>>>>>>> theirs\n  \"list\": [\n    \"a\",\n    \"b\",\n    \"c\"\n  ]\n}\n"
    );
    let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options());
    let hunk = merged.conflicts().next().unwrap();
    assert_eq!(hunk.place.as_deref(), Some("/v"));
    assert_eq!(hunk.base, b"  \"v\": \"base\",\n");
    let diff3 = Markers { style: ConflictStyle::Diff3, ..Markers::default() };
    assert!(text(merged.render(&diff3)).contains("||||||| base\n  \"v\": \"base\",\n"));
}

/// MERGE-2: one side lays the document out anew, the other changes and adds.
#[test]
fn layout_against_content() {
    let base = "{\n  \"a\": 1,\n  \"m\": {\n    \"x\": [1, 2]\n  }\n}\n";
    let ours = "{\n    \"a\": 1,\n    \"m\": {\n        \"x\": [1, 2]\n    }\n}\n";
    let theirs = "{\n  \"a\": 2,\n  \"m\": {\n    \"x\": [1, 2],\n    \"y\": {\n      \"deep\": true\n    }\n  }\n}\n";
    assert_eq!(
        clean(base, ours, theirs),
        "{\n    \"a\": 2,\n    \"m\": {\n        \"x\": [1, 2],\n        \"y\": {\n          \"deep\": true\n        }\n    }\n}\n"
    );
    let one_line = "{\n  \"tags\": [\"a\", \"b\"]\n}\n";
    let rows = "{\n  \"tags\": [\n    \"a\",\n    \"b\"\n  ]\n}\n";
    assert_eq!(
        clean(one_line, rows, "{\n  \"tags\": [\"a\", \"b\", \"c\"]\n}\n"),
        "{\n  \"tags\": [\n    \"a\",\n    \"b\",\n    \"c\"\n  ]\n}\n"
    );
}

/// MERGE-2: line ends and byte order marks are layout, too.
#[test]
fn line_ends_against_content() {
    let base = "{\n  \"a\": 1,\n  \"b\": 2\n}\n";
    let ours = base.replace('\n', "\r\n");
    let theirs = base.replace("\"b\": 2", "\"b\": 2,\n  \"c\": 3");
    let merged = clean(base, &ours, &theirs);
    assert_eq!(merged, "{\r\n  \"a\": 1,\r\n  \"b\": 2,\r\n  \"c\": 3\r\n}\r\n");
}

/// MERGE-2: comments come from the side that changed them, and none is lost.
#[test]
fn comments_stay() {
    let base = "{\n  // the first\n  \"a\": 1, // one\n  /* the second */\n  \"b\": 2\n  // the end\n}\n";
    let ours = base.replace("\"a\": 1, // one", "\"a\": 10, // ten");
    let theirs = base.replace("\"b\": 2\n", "\"b\": 2, // two\n  // the third\n  \"c\": 3\n");
    assert_eq!(
        clean(base, &ours, &theirs),
        "{\n  // the first\n  \"a\": 10, // ten\n  /* the second */\n  \"b\": 2, // two\n  // the third\n  \"c\": 3\n  // the end\n}\n"
    );
}

/// MERGE-2: a carriage return alone ends a comment; what is behind it counts.
#[test]
fn a_comment_ends_at_a_carriage_return() {
    let found = clean("{ // x\r\"a\": 1, \"b\": 2}", "{ // x\r\"a\": 3, \"b\": 2}", "{ // x\r\"a\": 1, \"b\": 4}");
    assert_eq!(found, "{ // x\r\"a\": 3, \"b\": 4}");
}

/// MERGE-2: items of lists are known by their names; moved ones are still themselves.
#[test]
fn items_are_known_by_name() {
    let base = "[\n  {\"name\": \"a\", \"n\": 1},\n  {\"name\": \"b\", \"n\": 2},\n  {\"name\": \"c\", \"n\": 3}\n]\n";
    let moved = "[\n  {\"name\": \"c\", \"n\": 3},\n  {\"name\": \"a\", \"n\": 1},\n  {\"name\": \"b\", \"n\": 2}\n]\n";
    let edited = base.replace("\"n\": 3", "\"n\": 33");
    assert_eq!(
        clean(base, moved, &edited),
        "[\n  {\"name\": \"c\", \"n\": 33},\n  {\"name\": \"a\", \"n\": 1},\n  {\"name\": \"b\", \"n\": 2}\n]\n"
    );
    // The same item, changed in different fields.
    assert_eq!(
        clean(
            base,
            &base.replace("\"n\": 2", "\"n\": 20"),
            &base.replace("\"b\", \"n\": 2", "\"b\", \"n\": 2, \"m\": 0")
        ),
        base.replace("\"n\": 2", "\"n\": 20, \"m\": 0")
    );
}

/// MERGE-2, L48: both replace one item by other ones; nobody knows which.
#[test]
fn both_replace_one_item() {
    let base = "{\n  \"use\": [\n    \"alpha\",\n    \"beta\"\n  ]\n}\n";
    conflict(base, &base.replace("beta", "gamma-1"), &base.replace("beta", "delta/9"));
    conflict(base, &base.replace("beta", "beta2"), &base.replace("beta", "beta3"));
}

/// MERGE-2: items that each side replaced stay in their order; numbers of one list belong together.
#[test]
fn neighbouring_items_are_replaced_by_different_sides() {
    let list = |items: [&str; 4]| {
        format!("{{\n  \"use\": [\n    {}\n  ]\n}}\n", items.map(|item| format!("\"{item}\"")).join(",\n    "))
    };
    let base = list(["first", "alpha", "beta", "last"]);
    let (one, other) = (list(["first", "alpha", "x/1", "last"]), list(["first", "y-2", "beta", "last"]));
    assert_eq!(clean(&base, &one, &other), list(["first", "y-2", "x/1", "last"]));
    assert_eq!(clean(&base, &other, &one), list(["first", "y-2", "x/1", "last"]));
    let point = "{\n  \"at\": [1, 4, 0]\n}\n";
    conflict(point, &point.replace("4, 0", "4, 1"), &point.replace("4, 0", "5, 0"));
    let ports = "{\n  \"ports\": [80, 443]\n}\n";
    let (one, other) = (ports.replace("443", "443, 8080"), ports.replace("443", "443, 9090"));
    let merged = merge(ports.as_bytes(), one.as_bytes(), other.as_bytes(), &options());
    assert_eq!(merged.content(), Some(ports.replace("443", "443, 8080, 9090").into_bytes()));
}

/// MERGE-2: sorted stays sorted.
#[test]
fn sorted_keys_stay_sorted() {
    let base = "{\n  \"alpha\": 1,\n  \"delta\": 2,\n  \"omega\": 3\n}\n";
    let ours = base.replace("\"delta\": 2,\n", "\"delta\": 2,\n  \"kappa\": 5,\n");
    let theirs = base.replace("\"delta\": 2,\n", "\"delta\": 2,\n  \"gamma\": 4,\n  \"lambda\": 6,\n");
    let wanted =
        "{\n  \"alpha\": 1,\n  \"delta\": 2,\n  \"gamma\": 4,\n  \"kappa\": 5,\n  \"lambda\": 6,\n  \"omega\": 3\n}\n";
    assert_eq!(clean(base, &ours, &theirs), wanted);
}

/// MERGE-2: a key that one side renamed is still the one that the other changes.
#[test]
fn renamed_and_changed() {
    let base = "{\n  \"old-name\": \"^1.0.0\",\n  \"other\": \"^1.0.0\"\n}\n";
    assert_eq!(
        clean(base, &base.replace("old-name", "old-name2"), &base.replace("^1.0.0", "^1.1.0")),
        "{\n  \"old-name2\": \"^1.1.0\",\n  \"other\": \"^1.1.0\"\n}\n"
    );
}

/// MERGE-2: one side replaces a version everywhere, the other adds it once more.
#[test]
fn an_addition_that_was_overtaken_is_a_conflict() {
    let base = "{\n  \"a\": \"^1.0.0\",\n  \"b\": \"^1.0.0\"\n}\n";
    let ours = base.replace("\"a\": \"^1.0.0\",\n", "\"a\": \"^1.0.0\",\n  \"aa\": \"^1.0.0\",\n");
    conflict(base, &ours, &base.replace("^1.0.0", "^2.0.0"));
}

/// MERGE-2: different words of one sentence.
#[test]
fn words_of_a_sentence() {
    let base = "{\n  \"description\": \"A small tool that locks files for many writers at once\"\n}\n";
    assert_eq!(
        clean(base, &base.replace("small", "tiny"), &base.replace("many writers", "several writers")),
        "{\n  \"description\": \"A tiny tool that locks files for several writers at once\"\n}\n"
    );
    conflict(base, &base.replace("small", "tiny"), &base.replace("small", "little"));
}

/// MERGE-2: the owner of a document may let the higher version count, and say what lists are.
#[test]
fn rules_of_the_owner() {
    let base = "{\n  \"version\": \"1.0.0\"\n}\n";
    let (ours, theirs) = (base.replace("1.0.0", "1.9.0"), base.replace("1.0.0", "1.10.0"));
    conflict(base, &ours, &theirs);
    let mut higher = options();
    higher.rules.version = VersionRule::Higher;
    assert_eq!(both_ways(base, &ours, &theirs, &higher).content(), Some(theirs.into_bytes()));

    let base = "{\n  \"hosts\": [\n    {\"host\": \"a\", \"n\": 1}\n  ]\n}\n";
    let ours = "{\n  \"hosts\": [\n    {\"host\": \"a\", \"n\": 1},\n    {\"host\": \"b\", \"n\": 2}\n  ]\n}\n";
    let theirs = "{\n  \"hosts\": [\n    {\"host\": \"a\", \"n\": 1},\n    {\"host\": \"b\", \"n\": 3}\n  ]\n}\n";
    let mut keyed = options();
    keyed.rules.lists.push(("/hosts".to_owned(), ListRule::Keyed("host".to_owned())));
    assert!(!both_ways(base, ours, theirs, &keyed).is_clean(), "one host with two numbers");
}

/// MERGE-2: a clean merge of lines that puts lines under the wrong key does not count.
#[test]
fn lines_that_slip_under_another_key() {
    // Both insert a key of the same name, far enough apart for lines.
    let base = "{\n  \"one\": {\n    \"a\": 1,\n    \"b\": 2,\n    \"c\": 3,\n    \"d\": 4\n  }\n}\n";
    let ours = base.replace("    \"a\": 1,\n", "    \"new\": true,\n    \"a\": 1,\n");
    let theirs = base.replace("    \"d\": 4\n", "    \"d\": 4,\n    \"new\": false\n");
    let told = conflict(base, &ours, &theirs);
    assert!(told.contains("\"new\": true") && told.contains("\"new\": false"), "{told}");
    let same = base.replace("    \"d\": 4\n", "    \"d\": 4,\n    \"new\": true\n");
    assert_eq!(clean(base, &ours, &same).matches("\"new\"").count(), 1);
}

/// MERGE-2: what can't be read is merged as lines, and that is said.
#[test]
fn broken_documents_are_lines() {
    let base = "{\n  \"a\": 1,\n\n\n\n\n  \"b\": 2\n}\n";
    let broken = base.replace("\"b\": 2", "\"b\": ");
    let theirs = base.replace("\"a\": 1", "\"a\": 2");
    let merged = both_ways(base, &broken, &theirs, &options());
    assert_eq!(merged.method(), Method::Lines);
    assert!(matches!(merged.fallback(), Some(Fallback::Unreadable { side: "ours", .. })), "{:?}", merged.fallback());
    assert_eq!(merged.content(), Some(broken.replace("\"a\": 1", "\"a\": 2").into_bytes()));
    let twice = "{\n  \"a\": 1,\n  \"a\": 2\n}\n";
    let told = both_ways(twice, &twice.replace('1', "3"), &twice.replace('2', "4"), &options());
    assert!(told.fallback().unwrap().to_string().contains("`a` stands twice"), "{:?}", told.fallback());
}

/// MERGE-2: nesting, long numbers and many items are no danger.
#[test]
fn extreme_documents() {
    let deep = |inner: &str| format!("{}\n{inner}\n{}", "{\"d\":".repeat(999).replace(':', ":\n"), "}".repeat(999));
    let work = move || {
        let base = deep("[1]");
        let (ours, theirs) = (deep("[1, \"ours\"]"), deep("[1, \"theirs\"]"));
        let merged = merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options());
        assert!(merged.fallback().unwrap().to_string().contains("nested deeper"), "{:?}", merged.fallback());
        let deeper = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let merged =
            merge(deeper.as_bytes(), format!(" {deeper}").as_bytes(), format!("{deeper} ").as_bytes(), &options());
        assert!(merged.fallback().is_some());
    };
    // A thread as small as a server's.
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
    let base = "{\n  \"n\": 123456789012345678901234567890,\n  \"m\": 1.10\n}\n";
    assert_eq!(
        clean(base, &base.replace("7890,", "7891,"), &base.replace("1.10", "1.100")),
        base.replace("7890,", "7891,").replace("1.10", "1.100")
    );
}
