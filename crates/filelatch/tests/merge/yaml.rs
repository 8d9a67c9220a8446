//! YAML: what people change in one file at one time.

use filelatch::merge::{Fallback, Kind, Merged};

use crate::expect::{self, text};

fn run(base: &str, ours: &str, theirs: &str) -> Merged {
    expect::run(Kind::Yaml, base, ours, theirs)
}

#[track_caller]
fn fits(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::fits(Kind::Yaml, base, ours, theirs, expected);
}

#[track_caller]
fn fits_in_order(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::fits_in_order(Kind::Yaml, base, ours, theirs, expected);
}

#[track_caller]
fn clashes(base: &str, ours: &str, theirs: &str, expected: &str) {
    expect::clashes(Kind::Yaml, base, ours, theirs, expected);
}

/// MERGE-2: keys, environment entries and services that both add at one place are both kept.
#[test]
fn both_add_at_one_place() {
    fits_in_order(
        "services:\n  web:\n    image: web:1\n    environment:\n      - MODE=prod\n",
        "services:\n  web:\n    image: web:1\n    environment:\n      - MODE=prod\n      - LOG_LEVEL=warn\n  db:\n    image: db:3\n",
        "services:\n  web:\n    image: web:2\n    environment:\n      - MODE=prod\n      - PORT=80 # why\n\n  # To look things up.\n  search:\n    image: search:9\n",
        "services:\n  web:\n    image: web:2\n    environment:\n      - MODE=prod\n      - LOG_LEVEL=warn\n      - PORT=80 # why\n  db:\n    image: db:3\n\n  # To look things up.\n  search:\n    image: search:9\n",
    );
    fits_in_order(
        "en:\n  title: Shop\n",
        "en:\n  title: Shop\n  basket: Basket\n",
        "en:\n  title: Shop\n  account: \"Account: yours\"\n",
        "en:\n  title: Shop\n  basket: Basket\n  account: \"Account: yours\"\n",
    );
    // A list in the column of its key.
    fits_in_order(
        "branches:\n- main\nother: 1\n",
        "branches:\n- main\n- dev\nother: 1\n",
        "branches:\n- main\n- next\nother: 2\n",
        "branches:\n- main\n- dev\n- next\nother: 2\n",
    );
}

/// MERGE-2: neighbouring lines, versions of steps, and what stands in one line of a matrix.
#[test]
fn neighbours() {
    fits(
        "steps:\n  - uses: checkout@v3\n  - uses: cache@v3\n    with:\n      key: a\n",
        "steps:\n  - uses: checkout@v4\n  - uses: cache@v3\n    with:\n      key: a\n",
        "steps:\n  - uses: checkout@v3\n  - uses: cache@v4\n    with:\n      key: a-b\n",
        "steps:\n  - uses: checkout@v4\n  - uses: cache@v4\n    with:\n      key: a-b\n",
    );
    fits(
        "matrix: { os: [linux, mac], node: [18, 20] } # all\nfast: true\n",
        "matrix: { os: [linux, mac, windows], node: [18, 20] } # all\nfast: false\n",
        "matrix: { os: [linux, mac], node: [20] } # all\nfast: true\n",
        "matrix: { os: [linux, mac, windows], node: [20] } # all\nfast: false\n",
    );
    fits(
        "run: |\n  one\n  two\n  three\nname: a b c\n",
        "run: |\n  one!\n  two\n  three\nname: a b c\n",
        "run: |\n  one\n  two\n  three!\nname: a b d\n",
        "run: |\n  one!\n  two\n  three!\nname: a b d\n",
    );
}

/// MERGE-2: what comes first in `- name: x` stands behind the dash, whichever field that is.
#[test]
fn the_first_field_of_an_item() {
    let base = "steps:\n  - uses: a@v1\n    name: x\n    if: y\n  - run: z\n";
    fits(
        base,
        "steps:\n  - name: x\n    if: y\n  - run: z\n",
        "steps:\n  - uses: a@v1\n    name: x\n    if: y2\n  - run: z\n",
        "steps:\n  - name: x\n    if: y2\n  - run: z\n",
    );
    fits(
        base,
        "steps:\n  - id: i\n    uses: a@v1\n    name: x\n    if: y\n  - run: z\n",
        "steps:\n  - uses: a@v2\n    name: x\n    if: y2\n  - run: z\n",
        "steps:\n  - id: i\n    uses: a@v2\n    name: x\n    if: y2\n  - run: z\n",
    );
}

/// MERGE-2: one side writes a list in another way, the other changes it: what it says counts.
#[test]
fn another_style() {
    fits(
        "q: 1\na: [x, y]\nb: 1\nc: 2\n",
        "q: 1\na:\n  - x\n  - y\nb: 1\nc: 3\n",
        "q: 1\na: [x, y, z]\nb: 1\nc: 2\n",
        "q: 1\na: [x, y, z]\nb: 1\nc: 3\n",
    );
    fits("a: 'x'\nb: 1\n", "a: \"x\"\nb: 1\n", "a: y\nb: 1\n", "a: y\nb: 1\n");
    // A word that is none any more is a change.
    clashes("a: yes\n", "a: 'yes'\n", "a: no\n", "<<<<<<< ours\na: 'yes'\n=======\na: no\n>>>>>>> theirs\n");
}

/// MERGE-2: both add the same, written in two ways; both add two versions of one thing; both add different fields to one thing.
#[test]
fn both_add_one_thing() {
    let merged = run("a: 1\nz: 1\n", "a: 1\nnode_js:\n  - \"6.11.4\"\nz: 1\n", "a: 1\nnode_js:\n- 6.11.4\nz: 1\n");
    assert_eq!(text(&merged), "a: 1\nnode_js:\n- \"6.11.4\"\nz: 1\n");
    clashes(
        "a: 1\nz: 1\n",
        "a: 1\nb:\n  title: T\n  ours: 1\nz: 1\n",
        "a: 1\nb:\n  title: T\n  theirs: 1\nz: 1\n",
        "a: 1\nb:\n  title: T\n<<<<<<< ours\n  ours: 1\n=======\n  theirs: 1\n>>>>>>> theirs\nz: 1\n",
    );
    fits_in_order(
        "a: 1\nz: 1\n",
        "a: 1\nenv:\n  OURS: 1\nz: 1\n",
        "a: 1\nenv:\n  THEIRS: 1\nz: 1\n",
        "a: 1\nenv:\n  OURS: 1\n  THEIRS: 1\nz: 1\n",
    );
}

/// MERGE-2: comments go with what they stand at.
#[test]
fn comments() {
    fits_in_order(
        "a:\n  b: 1\n  # not yet:\n  # c: 2\n\n# The second part.\nd: 1\n",
        "a:\n  b: 1\n  e: 5 # five\n  # not yet:\n  # c: 2\n\n# The second part.\nd: 1\n",
        "a:\n  b: 2\n  f: 6\n  # not yet:\n  # c: 2\n\n# The second part.\nd: 1\n",
        "a:\n  b: 2\n  e: 5 # five\n  f: 6\n  # not yet:\n  # c: 2\n\n# The second part.\nd: 1\n",
    );
    fits(
        "# Licence\n\n# about a\na: 1\nb: 1\n",
        "# Licence\n\n# new\nz: 1\n# about a\na: 1\nb: 1\n",
        "# Licence\n\n# about a, really\na: 2\nb: 1\n",
        "# Licence\n\n# new\nz: 1\n# about a, really\na: 2\nb: 1\n",
    );
}

/// MERGE-2: a conflict is as small as the rows that hold it.
#[test]
fn conflicts_are_small() {
    clashes(
        "services:\n  web:\n    image: web:1\n    ports: [80]\n  db:\n    image: db:1\n",
        "services:\n  web:\n    image: web:2\n    ports: [81]\n  db:\n    image: db:1\n",
        "services:\n  web:\n    image: web:3\n    ports: [80]\n  db:\n    image: db:2\n",
        "services:\n  web:\n<<<<<<< ours\n    image: web:2\n=======\n    image: web:3\n>>>>>>> theirs\n    ports: [81]\n  db:\n    image: db:2\n",
    );
    // Deleted here, changed there (L47).
    clashes(
        "a:\n  b: 1\n  c: 2\nd: 3\n",
        "a:\n  b: 1\nd: 3\n",
        "a:\n  b: 1\n  c: 4\nd: 5\n",
        "a:\n  b: 1\n<<<<<<< ours\n=======\n  c: 4\n>>>>>>> theirs\nd: 5\n",
    );
}

/// MERGE-2: lines that look alike under different keys: a change stays under its own.
#[test]
fn look_alikes_stay_apart() {
    fits(
        "a:\n  on: true\n  n: 1\nb:\n  on: true\n  n: 1\nc:\n  on: true\n  n: 1\n",
        "b:\n  on: true\n  n: 1\nc:\n  on: true\n  n: 1\n",
        "a:\n  on: true\n  n: 1\nb:\n  on: true\n  n: 1\nc:\n  on: true\n  n: 2\n",
        "b:\n  on: true\n  n: 1\nc:\n  on: true\n  n: 2\n",
    );
}

/// MERGE-2: several documents in one file; an anchor that one side needs and the other deletes.
#[test]
fn documents_and_anchors() {
    fits_in_order(
        "kind: A\nname: a\n---\nkind: B\nname: b\n",
        "kind: A\nname: a\nx: 1\n---\nkind: B\nname: b\ny: 1\n---\nkind: C\nname: c\n",
        "kind: A\nname: a\nz: 1\n---\nkind: B\nname: bb\n",
        "kind: A\nname: a\nx: 1\nz: 1\n---\nkind: B\nname: bb\ny: 1\n---\nkind: C\nname: c\n",
    );
    let merged = run(
        "a: &x\n  n: 1\nb: 1\nc: 1\nd:\n  m: 1\n",
        "b: 1\nc: 1\nd:\n  m: 1\n",
        "a: &x\n  n: 1\nb: 1\nc: 1\nd:\n  <<: *x\n  m: 1\n",
    );
    assert!(!merged.is_clean(), "{}", text(&merged));
}

/// MERGE-2, MERGE-6: CRLF stays; a byte order mark stays at the beginning.
#[test]
fn line_ends_and_byte_order_mark() {
    fits_in_order(
        "\u{feff}a: 1\r\nb:\r\n  - x\r\n",
        "\u{feff}z: 0\r\na: 1\r\nb:\r\n  - x\r\n  - y\r\n",
        "\u{feff}a: 1\r\nb:\r\n  - x\r\n  - w\r\nc: 1\r\n",
        "\u{feff}z: 0\r\na: 1\r\nb:\r\n  - x\r\n  - y\r\n  - w\r\nc: 1\r\n",
    );
    fits_in_order("a: 1", "a: 1\nb: 2", "a: 1\nc: 3", "a: 1\nb: 2\nc: 3");
}

/// MERGE-2: recipes with templates have trees, too; a document that is none is merged as lines, and the reason is said.
#[test]
fn templates_and_what_is_not_read() {
    fits(
        "{% set version = \"1\" %}\npackage:\n  version: {{ version }}\nrun:\n  - a >=1\n  - b\n",
        "{% set version = \"1\" %}\npackage:\n  version: {{ version }}\nrun:\n  - a >=2\n  - b\n",
        "{% set version = \"1\" %}\npackage:\n  version: {{ version }}\nrun:\n  - a >=1\n  - aa\n  - b\n",
        "{% set version = \"1\" %}\npackage:\n  version: {{ version }}\nrun:\n  - a >=2\n  - aa\n  - b\n",
    );
    let merged = run("a: 1\nb: 1\n", "a: 2\nb: 1\na: 3\n", "a: 1\nb: 2\n");
    assert!(
        matches!(merged.fallback(), Some(Fallback::Unreadable { side: "ours", why }) if why.contains("stands twice")),
        "{:?}",
        merged.fallback()
    );
}

/// MERGE-6: collections nested deeply: taken apart down to a limit, below it one side's or the other's. No stack is overrun.
#[test]
fn deep_nesting() {
    let nested = |depth: usize, innermost: &str| {
        let mut text = String::new();
        for level in 0..depth {
            text.push_str(&" ".repeat(level));
            text.push_str("a:\n");
        }
        text.push_str(&innermost.lines().map(|line| [&" ".repeat(depth), line, "\n"].concat()).collect::<String>());
        text
    };
    let all = |depth: usize| ["b: 1\nc: 1", "b: 2\nc: 1", "b: 1\nc: 2", "b: 2\nc: 2"].map(|text| nested(depth, text));
    let [base, ours, theirs, expected] = all(100);
    fits(&base, &ours, &theirs, &expected);
    let [base, ours, theirs, _] = all(990);
    let merged = run(&base, &ours, &theirs);
    assert_eq!(merged.conflicts().count(), 1, "{:?}", merged.fallback());
}
