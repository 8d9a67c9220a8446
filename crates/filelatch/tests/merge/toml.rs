//! TOML: what people change in one file at one time.

use filelatch::merge::{Kind, ListRule, MergeOptions, Merged, merge};

use crate::expect::{self, text};

fn run(base: &str, ours: &str, theirs: &str) -> Merged {
    expect::run(Kind::Toml, base, ours, theirs)
}

#[track_caller]
fn fits(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::fits(Kind::Toml, base, ours, theirs, expected);
}

#[track_caller]
fn fits_in_order(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::fits_in_order(Kind::Toml, base, ours, theirs, expected);
}

#[track_caller]
fn clashes(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::clashes(Kind::Toml, base, ours, theirs, expected);
}

/// MERGE-1: neighbouring pairs, changed by one side each.
#[test]
fn neighbouring_pairs() {
    fits(
        "[dependencies]\nlog = \"0.4\"\nrand = \"0.8\"\nserde = \"1.0\"\n",
        "[dependencies]\nlog = \"0.5\"\nrand = \"0.8\"\nserde = \"1.0\"\n",
        "[dependencies]\nlog = \"0.4\"\nrand = \"0.9\" # why\n",
        "[dependencies]\nlog = \"0.5\"\nrand = \"0.9\" # why\n",
    );
}

/// MERGE-1: feature lists on one line, and a version beside them.
#[test]
fn lists_and_inline_tables_on_one_line() {
    fits(
        "[features]\nfull = [\"a\", \"b\"]\n\n[dependencies]\nserde = { version = \"1.0\", features = [\"rc\"] }\n",
        "[features]\nfull = [\"b\"]\n\n[dependencies]\nserde = { version = \"1.1\", features = [\"rc\"] }\n",
        "[features]\nfull = [\"a\", \"b\", \"c\"]\n\n[dependencies]\nserde = { version = \"1.0\", features = [\"rc\", \"std\"], optional = true }\n",
        "[features]\nfull = [\"b\", \"c\"]\n\n[dependencies]\nserde = { version = \"1.1\", features = [\"rc\", \"std\"], optional = true }\n",
    );
}

/// MERGE-1: both add to a list in rows; the comma at its end stays as it was.
#[test]
fn lists_in_rows() {
    fits_in_order(
        "[workspace]\nmembers = [\n    \"z\",\n    \"a\",\n]\n",
        "[workspace]\nmembers = [\n    \"z\",\n    \"a\",\n    \"ours\",\n]\n",
        "[workspace]\nmembers = [\n    \"z\",\n    \"a\",\n    \"theirs\", # new\n]\n",
        "[workspace]\nmembers = [\n    \"z\",\n    \"a\",\n    \"ours\",\n    \"theirs\", # new\n]\n",
    );
    fits_in_order(
        "x = [\n  \"z\",\n  \"a\"\n]\n",
        "x = [\n  \"z\",\n  \"a\",\n  \"ours\"\n]\n",
        "x = [\n  \"z\",\n  \"a\",\n  \"theirs\"\n]\n",
        "x = [\n  \"z\",\n  \"a\",\n  \"ours\",\n  \"theirs\"\n]\n",
    );
    // Sorted on both sides: it stays so.
    fits(
        "x = [\n  \"a\",\n  \"c\",\n  \"e\",\n]\n",
        "x = [\n  \"a\",\n  \"c\",\n  \"e\",\n  \"h\",\n]\n",
        "x = [\n  \"a\",\n  \"c\",\n  \"e\",\n  \"g\",\n]\n",
        "x = [\n  \"a\",\n  \"c\",\n  \"e\",\n  \"g\",\n  \"h\",\n]\n",
    );
}

/// MERGE-1: what one side replaces in a list, the other must not have deleted; and a list that was written anew takes no additions
/// that were meant for the old one.
#[test]
fn lists_that_change_hands_are_a_conflict() {
    let list = |items: &str| format!("x = [{items}]\n");
    let conflict = |base: &str, ours: &str, theirs: &str| {
        let (base, ours, theirs) = (list(base), list(ours), list(theirs));
        let expected = format!("<<<<<<< ours\n{ours}=======\n{theirs}>>>>>>> theirs\n");
        clashes(&base, &ours, &theirs, &expected);
    };
    conflict("'a', 'b', 'c'", "'a', 'new'", "'a', 'c'");
    conflict("1, 2, 3, 4, 5", "1, 5", "1, 2, 3, 4, 5, 6");
    // Half of it may go.
    fits(&list("1, 2, 3, 4"), &list("1, 4"), &list("1, 2, 3, 4, 5"), &list("1, 4, 5"));
}

/// MERGE-1: two lists that begin at nothing are one list only if one has all that the other has.
#[test]
fn new_lists_are_mixed_only_if_one_holds_the_other() {
    fits(
        "[features]\n",
        "[features]\nx = [\"b\"]\n",
        "[features]\nx = [\"a\", \"b\"]\n",
        "[features]\nx = [\"a\", \"b\"]\n",
    );
    clashes(
        "[features]\n",
        "[features]\nx = [\"b\", \"c\"]\n",
        "[features]\nx = [\"a\", \"b\"]\n",
        "[features]\n<<<<<<< ours\nx = [\"b\", \"c\"]\n=======\nx = [\"a\", \"b\"]\n>>>>>>> theirs\n",
    );
}

/// MERGE-1: both add a table, or a pair, at one place.
#[test]
fn additions_at_one_place() {
    fits_in_order(
        "[package]\nname = \"x\"\n",
        "[package]\nname = \"x\"\n\n[lib]\npath = \"o\"\n",
        "[package]\nname = \"x\"\nedition = \"2021\"\n\n# for tests\n[dev]\npath = \"o\"\n",
        "[package]\nname = \"x\"\nedition = \"2021\"\n\n[lib]\npath = \"o\"\n\n# for tests\n[dev]\npath = \"o\"\n",
    );
}

/// MERGE-1: a comment that both put above what they add stands there once.
#[test]
fn a_shared_header_stands_once() {
    fits_in_order(
        "[d]\na = 1\n\n[e]\n",
        "[d]\na = 1\n\n# new\nours = 2\n\n[e]\n",
        "[d]\na = 1\n\n# new\ntheirs = 3\nt = 4\n\n[e]\n",
        "[d]\na = 1\n\n# new\nours = 2\ntheirs = 3\nt = 4\n\n[e]\n",
    );
    fits_in_order(
        "[d]\n# all\nz = 1\n",
        "[d]\n# all\nours = 2\nz = 1\n",
        "[d]\n# all\ntheirs = 3\nz = 1\n",
        "[d]\n# all\nours = 2\ntheirs = 3\nz = 1\n",
    );
}

/// MERGE-1: one thing replaced by another does not take the changes that were meant for the first.
#[test]
fn replaced_is_not_renamed() {
    clashes(
        "[d]\nserde_json = \"1.0.1\"\n",
        "[d]\nserde_yaml = \"1.0.1\"\n",
        "[d]\nserde_json = \"1.0.2\"\n",
        "[d]\n<<<<<<< ours\nserde_yaml = \"1.0.1\"\n=======\nserde_json = \"1.0.2\"\n>>>>>>> theirs\n",
    );
    fits(
        "[d]\nmath2-extension = \"1.0.1\"\n",
        "[d]\nmath-extension = \"1.0.1\"\n",
        "[d]\nmath2-extension = \"1.0.2\"\n",
        "[d]\nmath-extension = \"1.0.2\"\n",
    );
}

/// MERGE-1: blocks that are sorted by name stay so.
#[test]
fn sorted_blocks_stay_sorted() {
    let package = |name: &str| format!("[[package]]\nname = \"{name}\"\n\n");
    let all = |names: &str| names.chars().map(|name| package(&name.to_string())).collect::<String>();
    fits(&all("acz"), &all("acfz"), &all("acez"), &all("acefz"));
}

/// MERGE-1: a table never takes the pairs of another one: neither those at the head of the document nor those of a block.
#[test]
fn pairs_stay_in_their_tables() {
    fits("a = 1\n", "a = 1\n\n[t]\nx = 1\n", "a = 1\nb = 2\n", "a = 1\nb = 2\n\n[t]\nx = 1\n");
    fits("", "b = 2\n", "[t]\nx = 1\n", "b = 2\n[t]\nx = 1\n");
    let base = "[[bin]]\nname = \"a\"\n";
    fits(
        base,
        &format!("{base}[bin.x]\ny = 1\n"),
        &format!("{base}path = \"p\"\n"),
        &format!("{base}path = \"p\"\n[bin.x]\ny = 1\n"),
    );
    // Lines that look alike: git puts theirs into the new table.
    fits(
        "[a]\nx = 1\n\n[c]\nx = 1\ny = 2\n",
        "[a]\nx = 1\n\n[b]\nx = 1\n\n[c]\nx = 1\ny = 2\n",
        "[a]\nx = 1\nz = 3\n\n[c]\nx = 1\ny = 2\n",
        "[a]\nx = 1\nz = 3\n\n[b]\nx = 1\n\n[c]\nx = 1\ny = 2\n",
    );
}

/// MERGE-1: blocks of one header are told apart by their names, also if other tables stand between them.
#[test]
fn blocks_are_told_apart() {
    let block = |name: &str, path: &str| format!("[[bin]]\nname = \"{name}\"\npath = \"{path}\"\n\n");
    let meta = |name: &str| format!("[meta.{name}]\nhidden = true\n\n");
    for between in [String::new(), meta("a")] {
        let rest = if between.is_empty() { String::new() } else { meta("b") };
        fits(
            &format!("{}{between}{}{rest}[end]\n", block("a", "a.rs"), block("b", "b.rs")),
            &format!("{}{}{between}{}{rest}[end]\n", block("n", "b.rs"), block("a", "a.rs"), block("b", "b.rs")),
            &format!("{}{between}{}{rest}[end]\n", block("a", "a.rs"), block("b", "c.rs")),
            &format!("{}{}{between}{}{rest}[end]\n", block("n", "b.rs"), block("a", "a.rs"), block("b", "c.rs")),
        );
    }
}

/// MERGE-1: a block is known by a field whose name ends in name, id or key, or by name and version: one that both add is one.
#[test]
fn blocks_are_named_by_what_names_them() {
    let epoch = |name: &str, height: u32| format!("[[epochs]]\nepoch_name = \"{name}\"\nheight = {height}\n");
    let base = epoch("1.0", 1);
    clashes(
        &base,
        &format!("{base}{}", epoch("2.0", 5)),
        &format!("{base}{}", epoch("2.0", 6)),
        &format!(
            "{base}[[epochs]]\nepoch_name = \"2.0\"\n<<<<<<< ours\nheight = 5\n=======\nheight = 6\n>>>>>>> theirs\n"
        ),
    );
    let package =
        |version: &str, sum: &str| format!("[[package]]\nname = \"log\"\nversion = \"{version}\"\nsum = \"{sum}\"\n\n");
    fits(
        &[package("0.4", "a"), package("0.5", "b")].concat(),
        &[package("0.3", "c"), package("0.4", "a"), package("0.5", "b")].concat(),
        &[package("0.4", "d"), package("0.5", "b")].concat(),
        &[package("0.3", "c"), package("0.4", "d"), package("0.5", "b")].concat(),
    );
    let base = [package("0.4", "a"), package("0.5", "b")].concat();
    let both = run(&base, &format!("{base}{}", package("0.6", "c")), &format!("{base}{}", package("0.6", "d")));
    assert_eq!(both.conflicts().count(), 1, "{}", text(&both));
    assert_eq!(text(&both).matches("version = \"0.6\"").count(), 1, "{}", text(&both));
}

/// MERGE-1: two versions are a conflict, of that line alone.
#[test]
fn versions_are_a_conflict_of_one_line() {
    clashes(
        "[package]\nname = \"x\"\nversion = \"1.0.0\"\nedition = \"2018\"\n",
        "[package]\nname = \"x\"\nversion = \"1.0.1\"\nedition = \"2021\"\n",
        "[package]\nname = \"y\"\nversion = \"1.1.0\"\nedition = \"2018\"\n",
        "[package]\nname = \"y\"\n<<<<<<< ours\nversion = \"1.0.1\"\n=======\nversion = \"1.1.0\"\n>>>>>>> theirs\nedition = \"2021\"\n",
    );
}

/// MERGE-1: one table in two forms is a conflict, not a table that is there twice.
#[test]
fn one_table_in_two_forms_is_a_conflict() {
    let base = "[dependencies]\na = \"1\"\n";
    for (ours, theirs) in [
        (
            "[dependencies]\na = \"1\"\nb = { path = \"b\" }\n",
            "[dependencies]\na = \"1\"\n\n[dependencies.b]\npath = \"b\"\n",
        ),
        (
            "[dependencies]\na = \"1\"\nb.path = \"b\"\n",
            "[dependencies]\na = \"1\"\n\n[dependencies.b]\npath = \"b\"\n",
        ),
        ("[dependencies]\na = \"1\"\n\n[[b]]\n", "[dependencies]\na = \"1\"\n\n[b]\n"),
    ] {
        for (ours, theirs) in [(ours, theirs), (theirs, ours)] {
            let merged = run(base, ours, theirs);
            assert!(!merged.is_clean(), "{}", text(&merged));
        }
    }
}

/// MERGE-1: `a.b = …` is the same unit as `a = { b = … }`: what one side deletes, the other does not keep in another form unseen.
#[test]
fn dotted_keys_are_tables() {
    let base = "[dependencies]\nlog = \"0.4\"\nrand = \"0.8\"\n";
    fits(
        base,
        "[dependencies]\nlog.workspace = true\nrand = \"0.8\"\n",
        "[dependencies]\nlog = \"0.4\"\nrand.workspace = true\n",
        "[dependencies]\nlog.workspace = true\nrand.workspace = true\n",
    );
    clashes(
        base,
        "[dependencies]\nlog.workspace = true\nrand = \"0.8\"\n",
        "[dependencies]\nrand = \"0.9\"\n",
        "[dependencies]\n<<<<<<< ours\nlog.workspace = true\n=======\n>>>>>>> theirs\nrand = \"0.9\"\n",
    );
    fits_in_order(
        "[t]\na.x = 1\na.y = 1\n[u]\n",
        "[t]\na.x = 1\na.y = 2\na.p = 3\n[u]\n",
        "[t]\na.x = 2\na.y = 1\na.q = 4\n[u]\n",
        "[t]\na.x = 2\na.y = 2\na.p = 3\na.q = 4\n[u]\n",
    );
}

/// MERGE-1: line ends stay what they are.
#[test]
fn line_ends() {
    let crlf = |text: &str| text.replace('\n', "\r\n");
    fits(
        &crlf("\u{feff}[t]\na = 1\nb = 2"),
        &crlf("\u{feff}[t]\na = 2\nb = 2"),
        &crlf("\u{feff}[t]\na = 1\nb = 3\nc = 4"),
        &crlf("\u{feff}[t]\na = 2\nb = 3\nc = 4"),
    );
}

/// MERGE-2: the owner's rules find lists of tables by JSON pointer, as readers see the document.
#[test]
fn rules_by_pointer() {
    let base = "[net.hosts]\nlist = [\n  { host = \"a\", n = 1 },\n]\n";
    let ours = base.replace("1 },\n", "1 },\n  { host = \"b\", n = 2 },\n");
    let theirs = base.replace("1 },\n", "1 },\n  { host = \"b\", n = 3 },\n");
    assert!(run(base, &ours, &theirs).is_clean(), "nothing says that a host stands once");
    let mut options = MergeOptions { kind: Kind::Toml, ..MergeOptions::default() };
    options.rules.lists.push(("/net/hosts/list".to_owned(), ListRule::Keyed("host".to_owned())));
    assert!(!merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options).is_clean());
    let top = base.replace("[net.hosts]\n", "");
    let [ours, theirs] = [ours, theirs].map(|side| side.replace("[net.hosts]\n", ""));
    options.rules.lists[0].0 = "/list".to_owned();
    assert!(!merge(top.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options).is_clean());
}

/// MERGE-1: a text that is no tree is told of by its first trouble, each time.
#[test]
fn the_first_trouble_is_told() {
    let base = "[[a]]\n[[b]]\n[[a]]\n[[b]]\n";
    let tell = || run(base, &format!("{base}x = 1\n"), &format!("{base}x = 2\n")).fallback().map(ToString::to_string);
    for _ in 0..20 {
        let told = tell().expect("it is merged as lines");
        assert!(told.contains("`[[a]]`"), "{told}");
    }
}
