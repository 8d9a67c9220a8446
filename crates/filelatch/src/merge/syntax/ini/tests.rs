use super::*;

const CONFIG: &str = r"# About the project.

[metadata]
name = latch
description = many writers, one file and nothing lost
version: 1.0   
flags

[options]
; what it needs
install_requires =
    serde>=1.0
    # for tests

    log
    ; none
zip_safe = no
entry =  one
    two
ignore = E116,E121 , W3
size = 1,2,3
path = a\
    b

# repeated
[remote]
	fetch = a
	fetch = b
	# c

[include]
Map.js
Layer.js
";

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

fn shape(tree: &Tree, path: &[&str]) -> Shape {
    tree.node(child(tree, path)).shape
}

fn names(tree: &Tree, path: &[&str]) -> Vec<String> {
    let node = tree.node(child(tree, path));
    node.children.iter().map(|&id| tree.node(id).name.as_deref().unwrap_or("-").to_owned()).collect()
}

/// MERGE-1: sections, pairs, and values over several lines are units where people see them.
#[test]
fn sections_and_pairs_are_units() {
    let tree = built(CONFIG);
    assert_eq!(names(&tree, &[]), ["", "[metadata]", "[options]", "[remote]", "[include]"]);
    assert_eq!(names(&tree, &["[metadata]"]), ["name", "description", "version", "flags"]);
    assert_eq!(part(&tree, &[""], Node::open), "\n# About the project.");
    assert_eq!(part(&tree, &["[metadata]", "version"], |node| node.value), "1.0");
    assert_eq!(part(&tree, &["[metadata]", "version"], Node::tail), "   ");
    assert_eq!(shape(&tree, &["[metadata]", "description"]), Shape::Prose);
    let needs = ["[options]", "install_requires"];
    assert_eq!(part(&tree, &needs, Node::lead), "\n; what it needs\n");
    assert_eq!(shape(&tree, &needs), Shape::List);
    assert_eq!(part(&tree, &[&needs[..], &["1"]].concat(), Node::lead), "\n    # for tests\n\n    ");
    assert_eq!(part(&tree, &needs, Node::close), "\n    ; none");
    assert_eq!(shape(&tree, &["[options]", "entry"]), Shape::Lines);
    assert_eq!(part(&tree, &["[options]", "entry"], |node| node.value), "one\n    two");
    assert_eq!(shape(&tree, &["[options]", "path"]), Shape::Lines);
    assert_eq!(names(&tree, &["[options]", "ignore"]).len(), 3);
    assert_eq!(part(&tree, &["[options]", "ignore", "1"], |node| node.item), "E121 ,");
    assert_eq!(shape(&tree, &["[options]", "size"]), Shape::Leaf);
    assert_eq!(part(&tree, &["[remote]"], Node::lead), "\n\n# repeated\n");
    assert_eq!(part(&tree, &["[remote]"], Node::close), "\n\t# c");
}

/// MERGE-1: a section whose keys repeat, or that holds words alone, is a list of lines.
#[test]
fn what_repeats_is_a_list_of_lines() {
    let tree = built(CONFIG);
    assert_eq!(shape(&tree, &["[remote]"]), Shape::List);
    assert_eq!(part(&tree, &["[remote]", "1"], |node| node.value), "fetch = b");
    assert_eq!(part(&tree, &["[include]", "0"], |node| node.value), "Map.js");
    let tree = built("a = 1,x\nb=\n  c\n  d\na = 2\n");
    assert_eq!(shape(&tree, &[""]), Shape::List);
    assert_eq!(shape(&tree, &["", "1"]), Shape::Lines);
}

/// MERGE-1: environment files and Java's properties.
#[test]
fn pairs_without_sections() {
    let tree = built("\u{feff}# local\n\nexport PATH=/a:/b\nURL='http://x?a=b'\r\nEMPTY=\n\na.b.c: d\n! = x");
    assert_eq!(names(&tree, &[""]), ["PATH", "URL", "EMPTY", "a.b.c", "!"]);
    assert_eq!(part(&tree, &["", "PATH"], |node| node.value), "/a:/b");
    assert_eq!(part(&tree, &["", "EMPTY"], |node| node.value), "");
    for text in ["", "\n", "; only", "# only\r\n", "\u{feff}", "a", "[s]", "a = b"] {
        built(text);
    }
}

/// MERGE-1: what programs read differently has no tree; the reason names the line.
#[test]
fn what_is_not_understood_has_no_tree() {
    for (text, line) in [
        ("server {\n}\n", 1),
        ("a = 1\n}\n", 2),
        ("<Directory />\n", 1),
        ("listen 80;\n", 1),
        ("user;\n", 1),
        ("\nLoadModule a b\n", 2),
        ("KEY=\"begin\nend\"\n", 1),
        ("dir = C:\\x\\\nb = 1\n", 2),
        ("[a]\nx=1\n[a]\n", 3),
        ("[a\n", 1),
        ("[a] b\n", 1),
        ("a = 1\n<<<<<<< ours\n", 2),
        ("a = 1\n=======\n", 2),
        (">>>>>>> theirs\n", 1),
    ] {
        match tree(text) {
            Ok(_) => panic!("a tree of {text:?}"),
            Err(NoTree(why)) => assert!(why.contains(&format!("line {line}")), "{text:?}: {why}"),
        }
    }
}

/// MERGE-1: whatever text has a tree, has one without gaps, whose rows begin with their line ends.
#[test]
fn every_byte_of_generated_texts_belongs_to_a_unit() {
    const PARTS: [&str; 30] = [
        "a = 1\n",
        "b: two\r\n",
        "\n",
        "  \n",
        "# comment\n",
        "    ; deep\n",
        "[s]\n",
        "[t] # c\n",
        "  deep\n",
        "    deeper\n",
        "c=\n",
        "flag\n",
        "x,y = 1\n",
        "d = a,b\n",
        "e = a, b ,c\n",
        "f = \"q\" \n",
        "g = \\\n",
        "\th = 1\n",
        "i=words in a row\n",
        "[u] \n",
        "=",
        "\"",
        "\r",
        "\u{feff}",
        "é",
        "[",
        "]",
        "j",
        "\\",
        "k = v",
    ];
    let mut state = 0x9E37_79B9_7F4A_7C15u64;
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
        let Ok(tree) = tree(&text) else { continue };
        trees += 1;
        assert_eq!(tree.gap(), None, "{text:?}");
        for node in tree.nodes.iter().filter(|node| node.rows) {
            for child in
                node.children.iter().map(|&child| tree.node(child)).filter(|child| child.name.as_deref() != Some(""))
            {
                let lead = tree.bytes(child.lead());
                assert!(
                    lead.starts_with(b"\n") || lead.starts_with(b"\r\n"),
                    "{text:?}: {:?}",
                    String::from_utf8_lossy(lead)
                );
            }
        }
    }
    assert!(trees > 5_000, "{trees} trees");
}
