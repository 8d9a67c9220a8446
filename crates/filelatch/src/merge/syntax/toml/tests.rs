use super::*;

const REAL: &str = r#"# What the project is.
# Written by hand.

[package]
name = "latch" # as on crates.io
version = "0.4.1"
authors = ["A <a@b.c>", 'B']
description = """
Many writers, \
one file.
"""

# The parts.
[dependencies]

# sorted
serde = { version = "1.0", features = ["derive", "rc"] }
"toml.edit" = { path = "../x" }
a.b.c = 1979-05-27 07:32:00Z
# log = "0.4"

# Binaries

[[bin]]
name = "one"
path = 'src/one.rs'

[bin.metadata]
x = [
  # first
  1, # one
  2 # two
  ,
  [ 3, { a = 1, b = "]" } ],
  # none
]
[[bin]] # second
name = "two"

[profile.release]
lto = true
# the end
"#;

fn built(text: &str) -> Tree {
    let tree = tree(text).unwrap_or_else(|error| panic!("{error:?} in\n{text}"));
    assert_eq!(tree.gap(), None, "{text}");
    assert_eq!(&tree.text[1..], text.as_bytes());
    tree
}

fn child(tree: &Tree, path: &[&str]) -> NodeId {
    path.iter().fold(tree.root, |node, step| match step.parse::<usize>() {
        Ok(index) => tree.node(node).children[index],
        Err(_) => tree.field(node, step).unwrap_or_else(|| panic!("no {step} of {path:?}")),
    })
}

fn part(tree: &Tree, path: &[&str], span: impl Fn(&Node) -> Span) -> String {
    String::from_utf8_lossy(tree.bytes(span(tree.node(child(tree, path))))).into_owned()
}

fn names(tree: &Tree, path: &[&str]) -> Vec<String> {
    let node = tree.node(child(tree, path));
    node.children.iter().map(|&id| tree.node(id).name.as_deref().unwrap_or("-").to_owned()).collect()
}

/// MERGE-1: every byte belongs to one unit, and units are where people see them.
#[test]
fn tables_pairs_and_blocks_are_units() {
    let tree = built(REAL);
    assert_eq!(names(&tree, &[]), ["", "[package]", "[dependencies]", "[[bin]]", "[profile.release]"]);
    assert_eq!(names(&tree, &["[dependencies]"]), ["serde", "\"toml.edit\"", "a"]);
    assert_eq!(names(&tree, &["[[bin]]", "0"]), ["name", "path", "[bin.metadata]"]);
    assert_eq!(part(&tree, &[""], Node::open), "\n# What the project is.\n# Written by hand.");
    assert_eq!(part(&tree, &["[dependencies]"], Node::lead), "\n\n# The parts.\n");
    assert_eq!(part(&tree, &["[dependencies]"], Node::open), "[dependencies]");
    assert_eq!(part(&tree, &["[dependencies]", "serde"], Node::lead), "\n\n# sorted\n");
    assert_eq!(part(&tree, &["[package]", "name"], Node::tail), " # as on crates.io");
    assert_eq!(part(&tree, &["[dependencies]"], Node::close), "\n# log = \"0.4\"");
    assert_eq!(part(&tree, &["[[bin]]", "0"], Node::lead), "\n\n# Binaries\n\n");
    assert_eq!(part(&tree, &["[[bin]]", "1"], Node::open), "[[bin]] # second");
    assert_eq!(part(&tree, &["[profile.release]"], Node::close), "\n# the end");
    assert_eq!(part(&tree, &[], Node::close), "\n");
    assert_eq!(tree.node(child(&tree, &["[package]", "description"])).shape, Shape::Lines);
}

/// MERGE-1: units of arrays and inline tables have their commas, and the comments that are about them.
#[test]
fn arrays_and_inline_tables_have_units_with_separators() {
    let tree = built(REAL);
    let x = ["[[bin]]", "0", "[bin.metadata]", "x"];
    assert!(tree.node(child(&tree, &x)).rows);
    assert_eq!(part(&tree, &[&x[..], &["0"]].concat(), Node::lead), "\n  # first\n  ");
    assert_eq!(part(&tree, &[&x[..], &["0"]].concat(), Node::tail), ", # one");
    assert_eq!(part(&tree, &[&x[..], &["1"]].concat(), Node::tail), " # two\n  ,");
    assert_eq!(part(&tree, &x, Node::close), "\n  # none\n]");
    assert_eq!(part(&tree, &[&x[..], &["2", "1", "b"]].concat(), |node| node.value), "\"]\"");
    let serde = ["[dependencies]", "serde"];
    assert!(!tree.node(child(&tree, &serde)).rows);
    assert_eq!(names(&tree, &serde), ["version", "features"]);
    assert_eq!(part(&tree, &[&serde[..], &["version"]].concat(), |node| node.item), " version = \"1.0\",");
    assert_eq!(part(&tree, &serde, Node::close), " }");
    let commented = built("a = [ # why\n  1,\n]\n");
    assert_eq!(part(&commented, &["", "a"], Node::open), "[ # why");
}

/// MERGE-1: documents that say the same have the same meaning, others another one.
#[test]
fn spelling_is_not_meaning() {
    let same = [
        "a = 'x'\nb.c = [1, 2]\n[t.\"u\"]\nk = {x=1,y=\"\\u0041\"}\n",
        "b.c = [\n  1,\n  2, # two\n]\r\n# a\n\"a\" = \"x\"\n\n[ t . u ]\r\nk = { y = 'A', x = 1 }",
    ];
    let meaning = |text: &str| {
        let tree = built(text);
        tree.node(tree.root).meaning
    };
    assert_eq!(meaning(same[0]), meaning(same[1]));
    for other in ["a = 1\n", "a = \"1\"\n", "a = '1 '\n", "[a]\n", "[[a]]\n", "a = {}\n", "a = []\n", "\"[a]\" = 1\n"] {
        for another in
            ["a = 2\n", "a = true\n", "a.b = 1\n", "'a.b' = 1\n", "a = { b = 2 }\n", "[a.b]\n", "[['a.b']]\n"]
        {
            assert_ne!(meaning(other), meaning(another), "{other} {another}");
        }
    }
}

/// MERGE-1: dotted keys that stand together are a table of their own.
#[test]
fn dotted_keys_are_tables() {
    let tree = built("[t]\n# c\na.b = 1\na.c.d = 2\nb.x = 1\nc = { d.e = 1 }\nb.y = 2\n");
    assert_eq!(names(&tree, &["[t]"]), ["a", "b.x", "c", "b.y"]);
    assert_eq!(names(&tree, &["[t]", "a"]), ["b", "c.d"]);
    assert_eq!(part(&tree, &["[t]", "a"], |node| node.item), "\n# c\na.b = 1\na.c.d = 2");
    assert_eq!(part(&tree, &["[t]", "a", "c.d"], |node| node.head), "a.c.d = ");
    let meaning = |text: &str| {
        let tree = built(text);
        tree.node(tree.root).meaning
    };
    assert_eq!(meaning("a.b = 1\na.c = 2\n"), meaning("a = { b = 1, c = 2 }\n"));
}

/// MERGE-1: line ends of any kind, a byte order mark, no last line end, nothing at all.
#[test]
fn any_line_ends_are_kept() {
    for text in
        ["", "\n", "# only\n", "# only", "\u{feff}", "\u{feff}# c\n\na = 1\n", "\u{feff}a = 1", "\r\n\r\na = 1\r\n"]
    {
        built(text);
        built(&text.replace('\n', "\r\n").replace("\r\r", "\r"));
    }
    let tree = built(&REAL.replace('\n', "\r\n"));
    assert_eq!(part(&tree, &["[dependencies]", "serde"], Node::lead), "\r\n\r\n# sorted\r\n");
    assert_eq!(part(&tree, &["[package]", "version"], Node::tail), "");
    assert_eq!(part(&tree, &[], Node::close), "\r\n");
}

/// MERGE-1: blocks of one header with other tables between them are told apart by a field, or not at all.
#[test]
fn blocks_that_stand_apart_need_names() {
    let text = "[[e]]\nname = \"a\"\n[m.a]\nx = 1\n[[e]]\nname = 'b'\n[e.f]\ny = 2\n[m.b]\n";
    let tree = built(text);
    assert_eq!(names(&tree, &[]), ["", "[[e]] \"a\"", "[m.a]", "[[e]] \"b\"", "[m.b]"]);
    assert_eq!(names(&tree, &["[[e]] \"b\""]), ["name", "[e.f]"]);
    let error = tree_error(&text.replace("name", "size"));
    assert!(error.contains("[[e]]"), "{error}");
    assert_eq!(tree_error("[[e]]\n[x]\n[e.f]\n"), "line 3: a table of a block that stands apart from it");
}

/// MERGE-1: blocks within blocks are items of lists within items.
#[test]
fn blocks_nest() {
    let tree = built("[[a]]\n[[a.b]]\nx = 1\n[a.b.c]\n[[a.b]]\n[a.d]\n[[a]]\n[[a.b]]\n[z]\n");
    assert_eq!(names(&tree, &[]), ["", "[[a]]", "[z]"]);
    assert_eq!(names(&tree, &["[[a]]"]).len(), 2);
    assert_eq!(names(&tree, &["[[a]]", "0"]), ["[[a.b]]", "[a.d]"]);
    assert_eq!(names(&tree, &["[[a]]", "0", "[[a.b]]"]).len(), 2);
    assert_eq!(names(&tree, &["[[a]]", "0", "[[a.b]]", "0"]), ["x", "[a.b.c]"]);
    assert_eq!(names(&tree, &["[[a]]", "1"]), ["[[a.b]]"]);
}

fn tree_error(text: &str) -> String {
    match tree(text) {
        Ok(_) => panic!("a tree of {text}"),
        Err(NoTree(why)) => why,
    }
}

/// MERGE-1: what is not TOML, or twice there, has no tree; the reason names the line.
#[test]
fn what_is_not_understood_has_no_tree() {
    for (text, line) in [
        ("a = 1\na = 2\n", 2),
        ("a = 1\n\"a\" = 2\n", 2),
        ("[a]\n[b]\n[a]\n", 3),
        ("a = {x = 1, x = 2}\n", 1),
        ("a\n", 1),
        ("a =\n", 1),
        ("\na = 1 b = 2\n", 2),
        ("a = [1 2]\n", 1),
        ("a = \"x\n\"\n", 1),
        ("a = '''x\n", 1),
        ("a = \"\\q\"\n", 1),
        ("[a\n", 1),
        ("[[a]\n", 1),
        ("\n\n<<<<<<< ours\n", 3),
        ("a = 1\r", 1),
    ] {
        let error = tree_error(text);
        assert!(error.contains(&format!("line {line}")), "{text:?}: {error}");
    }
    let deep = format!("a = {}{}\n", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    built(&deep);
    assert!(tree_error(&deep.replace("a = ", "a = [")).contains("deeper"));
    assert!(tree_error(&format!("{}b = 1\n", "a.".repeat(MAX_PARTS))).contains("parts"));
}

/// MERGE-1: whatever valid text is built of parts that are valid, has a tree without gaps; whatever text it is, nothing panics.
#[test]
fn every_byte_of_generated_texts_belongs_to_a_unit() {
    const PARTS: [&str; 40] = [
        "a = 1\n",
        "b = \"x\" # c\n",
        "\n",
        "# comment\n",
        "  # indented\n",
        "\r\n",
        "[t]\n",
        "[t.u]",
        " # header\n",
        "[[l]]\n",
        "[l.s]\n",
        "[[l.m]]\n",
        "name = 'n'\r\n",
        "x.y = [1,\n 2,]\n",
        "i = { a = 1, b.c = [{}] }\n",
        "m = \"\"\"\na\n# b\n\"\"\"\n",
        "d = 1979-05-27 07:32:00\n",
        "e = ''''''\n",
        "q = \"a\\\"]\"\n",
        "n = [[], [ ]] \n",
        "   ",
        "\t",
        "c =",
        " 5",
        "]",
        "[",
        "{",
        "}",
        ",",
        "=",
        ".",
        "\"",
        "'",
        "'''",
        "\\",
        "#",
        "é",
        "\u{feff}",
        "z = [ # c\n1 # d\n]",
        "k = 1",
    ];
    let mut state = 0x2545_F491_4F6C_DD1Du64;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap_or(0) % below
    };
    let mut trees = 0;
    for round in 0..30_000 {
        // Half of the texts are made of whole lines.
        let few = if round % 2 == 0 { 20 } else { PARTS.len() };
        let text: String = (0..next(14)).map(|_| PARTS[next(few)]).collect();
        match tree(&text) {
            Ok(tree) => {
                assert_eq!(tree.gap(), None, "{text}");
                for node in tree.nodes.iter().filter(|node| node.rows && node.name.as_deref() != Some("")) {
                    for &child in &node.children {
                        let item = tree.bytes(tree.node(child).item);
                        let has_row = item.is_empty() || item.starts_with(b"\n") || item.starts_with(b"\r\n");
                        let in_tail = tree.bytes(tree.node(child).lead()).contains(&b'\n');
                        assert!(has_row || in_tail, "{text:?}: {:?}", String::from_utf8_lossy(item));
                    }
                }
                trees += 1;
            }
            Err(_) => assert!(few > 20 || verify(&text).is_err() || text.contains("[l"), "{text:?} has no tree"),
        }
    }
    assert!(trees > 3_000, "{trees} trees");
}
