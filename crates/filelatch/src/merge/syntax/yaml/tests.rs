use super::*;
use crate::merge::tree::NodeId;

/// The tree as indented lines: shape, name, value, and what says it otherwise.
fn outline(text: &str) -> String {
    let tree = tree(text).unwrap();
    let mut lines = Vec::new();
    let mut stack: Vec<(NodeId, usize)> = vec![(tree.root, 0)];
    while let Some((id, depth)) = stack.pop() {
        let node = tree.node(id);
        let name = node.name.as_deref().map(|name| format!("{name}: ")).unwrap_or_default();
        let value = match node.shape {
            Shape::Map => "{}".to_owned(),
            Shape::List => "[]".to_owned(),
            _ => format!("{:?}", String::from_utf8_lossy(tree.says(id))),
        };
        lines.push(format!("{:1$}{name}{value}\n", "", depth * 2));
        stack.extend(node.children.iter().rev().map(|&child| (child, depth + 1)));
    }
    lines.concat()
}

fn spans(text: &str, name: &str) -> [String; 5] {
    let tree = tree(text).unwrap();
    let node = tree.nodes.iter().find(|node| node.name.as_deref() == Some(name)).unwrap();
    let close = if node.is_container() { node.close() } else { Span::default() };
    [node.lead(), node.head, node.open(), close, node.tail()]
        .map(|span| String::from_utf8_lossy(tree.bytes(span)).into_owned())
}

fn reason(text: &str) -> String {
    tree(text).map(|_| outline(text)).unwrap_err().0
}

const WORKFLOW: &str = r#"# Copyright
# somebody

# What runs on each push.
name: CI
on:
  push:
    branches: [ main, 'release/**' ] # only these
  pull_request:
env: { RUST_LOG: debug, "CI": "true" }
jobs:
  # The tests.
  test:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os:
        - ubuntu-latest
        - windows-latest
        # - macos-latest
        include: [
          { os: ubuntu-latest, rust: stable }, # first
          {
            os: windows-latest,
          },
        ]
    steps:
      - uses: actions/checkout@v4
      - name: Build
        run: |
          cargo build

          cargo test
        # behind the step

      # - name: not now
      - run: >-
          a long
          line
  #lint:
  #  runs-on: x

  docs: &docs
    needs: "te\x73t"
    if: a is
      b and c
  site:
    <<: *docs
    env: !!map
      A: !!str 1
      B:
      C: 'it''s
        so'

# the end
"#;

fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        WORKFLOW,
        "",
        "\n\n",
        "# nothing\n",
        "---\n",
        "a: 1",
        "- a\n- - b\n  - c\n-\n  d: 1\n  e:\n  - f\n- # why\n  g: 2\n",
        "\u{feff}a: 1\nb: 2\n",
        "\u{feff}# about\n\na: 1\n",
        "\u{feff}# about\na: 1\n",
        "\u{feff}\n---\na: 1\n",
        "%YAML 1.2\n---\na: 1\n...\n# end\n",
        "# one\nkind: A\n---\n# two\nkind: B\n\n---\n---\nkind: C # c\n",
        "a: |\n  x",
        "a: |-\n  x",
        "a: |+\n  x\n\n",
        "a: >\n  x",
        "- |\n x\n- |\n\n",
        "[1, 2]\n",
        "# list\n[\n  1, # one\n  2\n] # end\n# behind\n",
        "--- # flow\n{}\n---\n[]\n",
        "{a: 1, b}\n",
        "a: |+\n  x\n\n\nb: |2-\n   y\nc: |\n\n  z\n   \n \nd:\n",
        "a:\n    b: 1\n  # of a, or nothing\n# of the root\nc: 1\n",
        "a:   \n  - x   \n  -   y\t# tab\n\t\n  - z",
        "a:\n  # paragraph\n\n  # of b\n  b: 1\n",
        "key: {a: [1, {b: {c: []}}], d: {}, e: , f: }\n",
        "key:\n  text on\n  the next\n\n  lines\nother:\n  \"quoted\n   too\\\n   here\"\n",
    ]
    .map(str::to_owned)
    .into();
    texts.extend(texts.clone().iter().map(|text| text.replace('\n', "\r\n")));
    texts
}

/// MERGE-2: Every byte of a text belongs to exactly one unit, and another parser reads what the tree says.
#[test]
fn units_tile_the_text_and_another_parser_agrees() {
    for text in texts() {
        let tree = tree(&text).unwrap_or_else(|reason| panic!("{reason:?} in {text:?}"));
        assert_eq!(tree.gap(), None, "{text:?}");
        assert_eq!(&tree.text[1..], text.as_bytes());
        assert_eq!(verify(&text), Ok(()), "{text:?}");
        for node in tree.nodes.iter().filter(|node| node.is_container() && node.rows) {
            for (index, &child) in node.children.iter().enumerate() {
                let lead = tree.bytes(tree.node(child).lead());
                let begins = lead.starts_with(b"\n") || lead.starts_with(b"\r\n");
                assert!(begins || (index == 0 && lead.is_empty()), "{text:?}: {lead:?}");
            }
        }
    }
}

/// MERGE-2: Texts cut and patched at random have a tree that another parser agrees with, or none.
#[test]
fn damaged_texts_are_read_right_or_refused() {
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random % u64::try_from(limit.max(1)).unwrap()).unwrap()
    };
    let pieces = [
        "\n", "  ", " ", "- ", "a: ", ": ", "#", " # c", "[", "]", "{", "}", ",", "\"", "'", "|", "b", "\n\n", "\t",
        "---\n",
    ];
    let texts = texts();
    let (mut trees, mut agreed) = (0, 0);
    for _ in 0..20_000 {
        let mut text = texts[below(texts.len())].clone();
        for _ in 0..=below(4) {
            let mut at = below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            let mut end = (at + below(6) * below(2)).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(at..end, pieces[below(pieces.len())]);
        }
        let Ok(tree) = tree(&text) else { continue };
        trees += 1;
        assert_eq!(tree.gap(), None, "{text:?}");
        match verify(&text) {
            Ok(()) => agreed += 1,
            Err(reason) => assert!(!reason.contains("two parsers"), "{reason} {text:?}"),
        }
    }
    assert!(trees > 5_000, "{trees}");
    assert!(agreed * 100 > trees * 90, "{agreed} of {trees}");
}

/// MERGE-2: What the tree of a workflow file holds.
#[test]
fn outline_of_a_workflow() {
    let wanted = r#"{}
  name: "CI"
  on: {}
    push: {}
      branches: []
        "main"
        "release/**"
    pull_request: ""
  env: {}
    RUST_LOG: "debug"
    CI: "\"true"
  jobs: {}
    test: {}
      runs-on: "${{ matrix.os }}"
      strategy: {}
        matrix: {}
          os: []
            "ubuntu-latest"
            "windows-latest"
          include: []
            {}
              os: "ubuntu-latest"
              rust: "stable"
            {}
              os: "windows-latest"
      steps: []
        {}
          uses: "actions/checkout@v4"
        {}
          name: "Build"
          run: "cargo build\n\ncargo test\n"
        {}
          run: ">a long\nline"
    docs: {}
      needs: "test"
      if: "a is b and c"
    site: {}
      <<: "*docs"
      env: {}
        A: "!!str 1"
        B: ""
        C: "it's so"
"#;
    assert_eq!(outline(WORKFLOW), wanted);
}

/// MERGE-2: Comments belong to what they stand at: to the unit below, to the collection whose column they have, to the line.
#[test]
fn comments_belong_to_units() {
    assert_eq!(spans(WORKFLOW, "name"), ["\n\n# What runs on each push.\n", "name: ", "", "", ""]);
    assert_eq!(spans(WORKFLOW, "branches"), ["\n    ", "branches: ", "[", " ]", " # only these"]);
    assert_eq!(spans(WORKFLOW, "test"), ["\n  # The tests.\n  ", "test:", "", "", ""]);
    assert_eq!(spans(WORKFLOW, "docs"), ["\n  #lint:\n  #  runs-on: x\n\n  ", "docs: &docs", "", "", ""]);
    assert_eq!(spans(WORKFLOW, "run")[4], "");
    let os = "a:\n  os:\n    - x\n    # - y\n  b: 1\n";
    assert_eq!(spans(os, "os")[3], "\n    # - y");
    assert_eq!(spans(os, "b")[0], "\n  ");
    let steps = "a:\n  - b: 1\n    # of b's\n\n  # of c\n  - c: 1\n# of d\nd:\n";
    assert_eq!(spans(steps, "c")[0], "");
    assert_eq!(spans(steps, "d")[0], "\n# of d\n");
    let end = "a:\n  b: 1\n  # in a\n\n# at the end\n";
    assert_eq!(spans(end, "a")[3], "\n  # in a");
    let open = "a: # why\n  # paragraph\n\n  # of b\n  b: 1\n";
    assert_eq!(spans(open, "a")[2], " # why\n  # paragraph");
    assert_eq!(spans(open, "b")[0], "\n\n  # of b\n  ");
}

/// MERGE-2: Texts that say the same have the same meaning; types stay apart.
#[test]
fn meaning_is_what_a_text_says() {
    let meaning = |text: &str| tree(text).map(|tree| tree.node(tree.root).meaning).unwrap();
    let same = [
        ("a: [x, z]\nb: 1\n", "b:   1 # one\n\na:\n- x\n- 'z'\n"),
        ("a: {b: c d}\n", "a:\n    b: \"c d\"\n"),
        ("a: |\n  x\n  y\n", "a: \"x\\ny\\n\"\n"),
        ("a: b\n  c\n", "a: 'b c'\n"),
        ("a: [1.2.3, 20.x, 3.10-dev, -x, 1a]\n", "a: ['1.2.3', '20.x', '3.10-dev', '-x', '1a']\n"),
        ("a:\n  - b: 1\n    c: 2\n", "a:\n- c: 2\n  b: 1\n"),
    ];
    for (one, other) in same {
        assert_eq!(meaning(one), meaning(other), "{one:?} {other:?}");
    }
    let differ = [
        ("a: true\n", "a: 'true'\n"),
        ("a: 1\n", "a: \"1\"\n"),
        ("a: yes\n", "a: 'yes'\n"),
        ("a: 1.5\n", "a: '1.5'\n"),
        ("a: 1_000\n", "a: '1_000'\n"),
        ("a: -0x1F\n", "a: '-0x1F'\n"),
        ("a: 1e3\n", "a: '1e3'\n"),
        ("a: 12:30\n", "a: '12:30'\n"),
        ("a: 2024-01-31\n", "a: '2024-01-31'\n"),
        ("a: .inf\n", "a: '.inf'\n"),
        ("a: ~\n", "a: '~'\n"),
        ("a: *b\n", "a: '*b'\n"),
        ("a: !b c\n", "a: c\n"),
        ("a:\n", "a: ''\n"),
        ("a: !b [c]\n", "a: [c]\n"),
        ("a: !b\n  c: 1\n", "a:\n  c: 1\n"),
        ("a: [b, c]\n", "a: [c, b]\n"),
        ("a: >\n  b\n", "a: |\n  b\n"),
        ("a: |\n  b\n", "a: |-\n  b\n"),
    ];
    for (one, other) in differ {
        assert_ne!(meaning(one), meaning(other), "{one:?} {other:?}");
    }
}

/// MERGE-2: What is not surely understood has no tree, and the reason says where.
#[test]
fn what_is_not_understood_is_refused() {
    let cases = [
        ("? a\n: b\n", "line 1: a complex key"),
        ("a: 1\n\tb: 2\n", "line 2: indented with a tab"),
        ("a:\n  b: 1\n c: 2\n", "line 3: an indentation that fits nowhere"),
        ("a: 1\n{{ c }}: 1\n", "line 2: expected a key"),
        ("{% if a %}\nb: {{ c }}\n{% endif %}\n", "line 1: expected a value"),
        ("b: {{ c }} {% if a %}\n", "line 1: expected a value"),
        ("a: 1\nb: c: d\n", "line 2: a colon where none was expected"),
        ("a: 1\nb: 2\na: 3\n", "`a` stands twice in line 3"),
        ("a: [1, 2\nb: 3\n", "line 1: a plain scalar of several lines in a flow collection"),
        ("a: [1, '2'\nb: 3\n", "line 2: expected `,` or the end of the collection"),
        ("a: \"x\nb: 1\n", "line 1: a quoted string without an end"),
        ("a: 1\n...\nb: 1\n", "line 2: a document ends with `...` and another begins"),
        ("a: &b c: 1\n", "line 1: a colon where none was expected"),
        ("- &b c: 1\n", "line 1: a colon where none was expected"),
        ("a: 1\n- b\n", "line 2: expected a key"),
        ("- b\na: 1\n", "line 2: expected `- `"),
        ("just a text\n", "line 1: neither a mapping nor a list"),
        ("\n\u{feff}a: 1\n", "line 2: a byte order mark inside of the text"),
        ("[1] 2\n", "line 1: expected the end of the line"),
        ("a: 1\rb: 2\n", "line 1: a carriage return that ends no line"),
        ("a: \"\\q\"\n", "line 1: an escape that YAML does not have"),
    ];
    for (text, wanted) in cases {
        assert_eq!(reason(text), wanted, "{text:?}");
    }
}

/// MERGE-2: A merged text in which an anchor is lost, a key stands twice or the parsers disagree is refused.
#[test]
fn verify_refuses() {
    assert!(verify("a: *b\nc: 1\n").is_err());
    assert!(verify("a: 1\n'a': 2\n").is_err());
    assert!(verify("a: [}\n").is_err());
    assert!(verify("a: |\n   \n b\n").is_err());
    assert_eq!(verify("a: &b 1\nc: *b\n"), Ok(()));
}

/// MERGE-2: Deep nesting costs no stack and has a limit.
#[test]
fn deep_nesting() {
    let block = |depth: usize| (0..depth).map(|level| format!("{:1$}a:\n", "", level)).collect::<Vec<_>>().concat();
    assert!(tree(&block(MAX_DEPTH)).is_ok());
    assert_eq!(reason(&block(MAX_DEPTH + 2)), format!("nested deeper than {MAX_DEPTH} levels"));
    assert!(tree(&"- ".repeat(MAX_DEPTH)).is_ok());
    assert!(tree(&format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
    assert_eq!(reason(&"[".repeat(100_000)), format!("nested deeper than {MAX_DEPTH} levels"));
    assert_eq!(reason(&"- ".repeat(100_000)), format!("nested deeper than {MAX_DEPTH} levels"));
}

/// MERGE-2: In a recipe the templates are text, and what they say counts.
#[test]
fn templates_are_text() {
    let recipe = r#"{% set name = "tool: one" %}
{%- set version = "1.2" -%}

package:
  name: {{ name|lower }}
  version: {{ version }}  # as above
source:
  url: https://example.org/{{ name[0] }}/{{ name }}-{{ version }}.tar.gz
  args: [{{ a }}, b]
  text: "{{ c: d }}"
"#;
    let tree = tree(recipe).unwrap();
    assert_eq!(tree.gap(), None);
    assert_eq!(&tree.text[1..], recipe.as_bytes());
    assert_eq!(verify(recipe), Ok(()));
    let outline = outline(recipe);
    for line in ["name: \"{{ name|lower }}\"", "version: \"{{ version }}\"", "\"{{ a }}\"", "text: \"\\\"{{ c: d }}\""]
    {
        assert!(outline.contains(line), "{line} in {outline}");
    }
    let meaning = |text: &str| super::tree(text).map(|tree| tree.node(tree.root).meaning).unwrap();
    assert_ne!(meaning("a: {{ b|c }}\nd: \"{{ e|f }}\"\n"), meaning("a: {{ b|c }}\nd: \"{{ e:f }}\"\n"));
    assert!(verify("a: {{ b }}\n  c: d\n").is_err());
}
