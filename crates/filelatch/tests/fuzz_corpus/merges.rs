//! Merges by chance, through the `merge` target: a document of each kind, changed twice. `FILELATCH_FULL` as in `generated`.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::generated::{Random, effort, panic_of};
use super::targets;

/// In the order of the target's choice.
const KINDS: [&Kind; 7] = [&LINES, &JSON, &YAML, &TOML, &MARKDOWN, &INI, &TEXT];

/// Documents of a kind, and lines that may be added to one.
struct Kind {
    name: &'static str,
    documents: &'static [&'static str],
    lines: &'static [&'static str],
}

const LINES: Kind = Kind {
    name: "lines",
    documents: &[
        "a\nb\nc\nd\ne\nf\ng\nh\n",
        "{\na\n}\n\n{\nb\n}\n\n{\nc\n}\n",
        "x\nx\ny\nx\nx\ny\nx\n",
        "a\r\nb\r\nc\r\nd\r\n",
        "a\nb",
    ],
    lines: &["new", "other", "x", "}", "", "{"],
};

const JSON: Kind = Kind {
    name: "json",
    documents: &[
        "{\n  \"name\": \"n\",\n  \"version\": \"1.0.0\",\n  \"scripts\": {\n    \"build\": \"tsc\",\n    \"test\": \"jest\"\n  },\n  \"list\": [\n    \"a\",\n    \"b\"\n  ],\n  \"deps\": {\n    \"x\": \"^1.0.0\",\n    \"y\": \"^2.0.0\"\n  }\n}\n",
        "[\n  {\"id\": 1, \"v\": \"a\"},\n  {\"id\": 2, \"v\": \"b\"},\n  {\"id\": 3, \"v\": \"c\"}\n]\n",
        "{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"d\": null}}\n",
        "{\n  // comment\n  \"a\": 1, // one\n  \"b\": 2,\n}\n",
        "{\n  \"servers\": [\n    {\n      \"name\": \"s1\",\n      \"port\": 80\n    },\n    {\n      \"name\": \"s2\",\n      \"port\": 81\n    }\n  ]\n}",
        "{}\n",
    ],
    lines: &[
        "  \"new\": 1,",
        "  \"zed\": {\"q\": 2},",
        "    \"item\",",
        "  // note",
        "    {\"id\": 9, \"v\": \"z\"},",
        "  \"a\": 5,",
    ],
};

const YAML: Kind = Kind {
    name: "yaml",
    documents: &[
        "name: n\non:\n  push:\n    branches: [main]\njobs:\n  build:\n    runs-on: linux\n    steps:\n      - uses: checkout\n      - run: make\n  test:\n    runs-on: linux\n",
        "# head\nlist:\n- a\n- b\n- c\n\nmap:\n  x: 1 # one\n  y: 2\n",
        "services:\n  - name: web\n    port: 80\n  - name: db\n    port: 81\n",
        "a: |\n  text\n  more\nb: >-\n  folded\nc: &x\n  k: v\nd: *x\n",
        "- 1\n- 2\n- 3\n",
        "a: 1\n---\na: 2\n",
    ],
    lines: &["new: 1", "  z: 3", "- item", "      - run: other", "# note", "  - name: cache\n    port: 82", ""],
};

const TOML: Kind = Kind {
    name: "toml",
    documents: &[
        "[package]\nname = \"n\"\nversion = \"1.0.0\"\n\n[dependencies]\na = \"1\"\nb = { version = \"2\", features = [\"x\", \"y\"] }\n\n[dev-dependencies]\nc = \"3\"\n",
        "# head\ntitle = \"t\"\n\n[[item]]\nid = 1\nv = \"a\"\n\n[[item]]\nid = 2\nv = \"b\"\n",
        "[a]\nx = 1\n[a.b]\ny = 2\n[c]\nlist = [\n  \"p\",\n  \"q\",\n]\n",
        "a.b = 1\na.c = 2\nd = 3\n",
    ],
    lines: &["new = 1", "z = \"2\"", "[new]", "[[item]]\nid = 9", "# note", "  \"r\",", ""],
};

const MARKDOWN: Kind = Kind {
    name: "markdown",
    documents: &[
        "# Title\n\nA paragraph of some words that goes on.\n\n## Unreleased\n\n- one\n- two\n\n## 1.0\n\n- old\n",
        "# T\n\n| a | b |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n```sh\nrun\n```\n",
        "1. first\n2. second\n   - inner\n3. third\n\nText [link][l].\n\n[l]: http://x\n",
        "---\ntitle: t\ntags: [a, b]\n---\n\nBody of text.\n",
    ],
    lines: &["- three", "## 2.0", "", "New words stand here.", "| 5 | 6 |", "# Section", "[m]: http://y"],
};

const INI: Kind = Kind {
    name: "ini",
    documents: &[
        "[a]\nx = 1\ny = 2\n\n; note\n[b]\nz=3\n",
        "A=1\nB=2\n# c\nC=three words here\n",
        "root = true\n[*]\nindent_size = 2\n[*.md]\ntrim = false\n",
    ],
    lines: &["new = 1", "D=4", "[c]", "; other", ""],
};

const TEXT: Kind = Kind {
    name: "text",
    documents: &[
        "One sentence here. Another one there.\n\nA second paragraph\nof two lines.\n",
        "*.o\ntarget/\n# local\n.env\n",
        "a\nb\nc\n",
    ],
    lines: &["New line.", "*.log", "", "Some other words."],
};

/// Where one side indents the lines of an ini file anew and the other adds lines, it can depend on who is ours whether that is a
/// conflict (docs/concepts/merging.md). Nothing is lost either way.
fn is_known(kind: &str, message: &str) -> bool {
    kind == "ini" && message.contains("depends on who is ours")
}

/// MERGE-1, MERGE-2: what the target checks holds for two people's changes of one document.
#[test]
fn merges_by_chance() {
    let (seed, rounds) = effort(6000);
    // One of each sort.
    let mut found: BTreeMap<_, String> = BTreeMap::new();
    for round in 0..rounds {
        let mut random = Random(seed * 7_000_003 + round);
        let choice = random.below(KINDS.len());
        let kind = KINDS[choice];
        let base = random.of(kind.documents).to_owned();
        let sides = [changed(&mut random, kind, &base), changed(&mut random, kind, &base)];
        let contents = [base, sides[0].clone(), sides[1].clone()];
        if let Some(message) = fails(choice, &contents)
            && !is_known(kind.name, &message)
            && let Entry::Vacant(place) = found.entry((kind.name, sort(&message)))
        {
            let contents = smaller(choice, contents, &message);
            let message = fails(choice, &contents).unwrap_or_default();
            let [base, ours, theirs] = contents;
            place.insert(format!(
                "round {round}, {}: {message}\n{base}\n--- ours\n{ours}\n--- theirs\n{theirs}",
                kind.name
            ));
        }
    }
    let found: Vec<_> = found.into_values().collect();
    assert!(found.is_empty(), "{}", found.join("\n==========\n"));
}

fn fails(choice: usize, [base, ours, theirs]: &[String; 3]) -> Option<String> {
    let choice = [u8::try_from(choice).unwrap_or_default()];
    let separator: &[u8] = b"\0\0";
    let input = [&choice, base.as_bytes(), separator, ours.as_bytes(), separator, theirs.as_bytes()].concat();
    panic_of("merge", &input)
}

/// What somebody makes of a document: up to four lines added, removed, doubled, moved, or changed within.
fn changed(random: &mut Random, kind: &Kind, base: &str) -> String {
    let mut lines: Vec<String> = base.split_inclusive('\n').map(str::to_owned).collect();
    for _ in 0..=random.below(4) {
        let at = random.below(lines.len() + 1);
        match random.below(8) {
            0 | 1 => {
                let end = if base.contains("\r\n") { "\r\n" } else { "\n" };
                lines.insert(at, format!("{}{end}", random.of(kind.lines)));
            }
            _ if at == lines.len() => {}
            2 => drop(lines.remove(at)),
            3 => {
                let other = random.below(lines.len());
                lines.swap(at, other);
            }
            4 => lines.insert(at, lines[at].clone()),
            5 => lines[at].insert_str(0, random.of(&["  ", " ", "\t"])),
            _ => {
                let word = lines[at].split(|c: char| !c.is_ascii_alphanumeric()).rfind(|word| !word.is_empty());
                if let Some(word) = word.map(str::to_owned) {
                    let new = format!("{}{}", random.of(&["u", "w", "7", "88"]), random.of(&["", "1", "2"]));
                    lines[at] = lines[at].replacen(&word, &new, 1);
                }
            }
        }
    }
    if random.one(12) {
        return lines.concat().trim_end().to_owned();
    }
    lines.concat()
}

/// What a message says in general.
fn sort(message: &str) -> String {
    message.split(['`', '{', '\n']).map(str::trim).find(|part| !part.is_empty()).unwrap_or_default().to_owned()
}

/// Takes lines away from all three as long as it fails the same way.
fn smaller(choice: usize, mut contents: [String; 3], message: &str) -> [String; 3] {
    let same = |contents: &[String; 3]| fails(choice, contents).is_some_and(|new| sort(&new) == sort(message));
    let mut progress = true;
    while progress {
        progress = false;
        let lines: Vec<String> = contents.concat().split_inclusive('\n').map(str::to_owned).collect();
        for line in lines {
            for which in [&[0, 1, 2][..], &[1], &[2], &[0]] {
                let mut fewer = contents.clone();
                for &side in which {
                    fewer[side] = fewer[side].replacen(&line, "", 1);
                }
                if fewer != contents && same(&fewer) {
                    contents = fewer;
                    progress = true;
                }
            }
        }
    }
    contents
}

/// All kinds that the target knows.
#[test]
fn kinds() {
    for (choice, kind) in KINDS.iter().enumerate() {
        let same = [kind.documents[0].to_owned(), "a\n".to_owned(), "a\n".to_owned()];
        assert!(fails(choice, &same).is_none());
    }
    assert!(targets::NAMES.contains(&"merge"));
}
