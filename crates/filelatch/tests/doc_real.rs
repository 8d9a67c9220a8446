//! Files people really have (see `fixtures/real/SOURCES.md`), edited in every way we can think of.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests read fixtures; the seam is for the library")]

use std::path::{Path, PathBuf};

use filelatch::doc::{DocError, Document, Format};
use serde_json::{Value, json};

fn real_files() -> Vec<(PathBuf, Format, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/real");
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "md"));
    assert!(files.len() >= 12, "the fixtures are there");
    files
        .into_iter()
        .map(|path| {
            let bytes = std::fs::read(&path).unwrap();
            (path.clone(), Format::from_path(&path).unwrap(), bytes)
        })
        .collect()
}

/// A small generator of random numbers (xorshift): the same edits in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 11) % n.max(1) as u64).unwrap()
    }
}

/// Pointers to all nodes below the root.
fn pointers(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, out: &mut Vec<String>) {
        let children: Vec<(String, &Value)> = match value {
            Value::Object(map) => {
                map.iter().map(|(key, child)| (key.replace('~', "~0").replace('/', "~1"), child)).collect()
            }
            Value::Array(items) => items.iter().enumerate().map(|(index, child)| (index.to_string(), child)).collect(),
            _ => Vec::new(),
        };
        for (step, child) in children {
            let pointer = format!("{at}/{step}");
            out.push(pointer.clone());
            walk(child, &pointer, out);
        }
    }
    let mut out = Vec::new();
    walk(value, "", &mut out);
    out
}

/// VER-10: an update that changes no value changes no byte.
#[test]
fn identity_changes_no_byte() {
    for (path, format, bytes) in real_files() {
        let mut document = Document::parse(&bytes, format).unwrap();
        let value = document.value().unwrap().clone();
        document.replace(value.clone()).unwrap();
        document.merge_patch(&json!({})).unwrap();
        document.write(&value).unwrap();
        assert!(!document.is_changed(), "{}", path.display());
        assert_eq!(document.render().unwrap(), bytes, "{}", path.display());
    }
}

/// VER-10: one field changed, one line differs.
#[test]
fn one_scalar_changed_is_one_line_changed() {
    for (path, format, bytes) in real_files() {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let value = Document::parse(&bytes, format).unwrap().value().unwrap().clone();
        for pointer in pointers(&value) {
            let new = match value.pointer(&pointer).unwrap() {
                Value::String(text) if text.contains('\n') => continue,
                Value::String(text) => json!(format!("{text}, changed: # 'so' \"to\" say")),
                Value::Number(_) => json!(4711),
                Value::Bool(flag) => json!(!flag),
                _ => continue,
            };
            let mut document = Document::parse(&bytes, format).unwrap();
            document.set(&pointer, new.clone()).unwrap();
            let edited = String::from_utf8(document.render().unwrap()).unwrap();
            let (old_lines, new_lines): (Vec<&str>, Vec<&str>) =
                (text.split('\n').collect(), edited.split('\n').collect());
            assert_eq!(old_lines.len(), new_lines.len(), "{} {pointer}", path.display());
            let differing = old_lines.iter().zip(&new_lines).filter(|(old, new)| old != new).count();
            assert_eq!(differing, 1, "{} {pointer}", path.display());
            let read_back = Document::parse(edited.as_bytes(), format).unwrap();
            assert_eq!(read_back.get(&pointer).unwrap(), Some(new), "{} {pointer}", path.display());
        }
    }
}

/// VER-10, L46: whatever is done to a document, the result reads back as what was asked for.
#[test]
fn random_edits_read_back() {
    for (path, format, bytes) in real_files() {
        let mut random = Random(0x9E37_79B9_7F4A_7C15);
        for round in 0..60 {
            let mut document = Document::parse(&bytes, format).unwrap();
            for _ in 0..=random.below(4) {
                let value = document.value().unwrap().clone();
                let all = pointers(&value);
                if all.is_empty() {
                    break;
                }
                let pointer = all[random.below(all.len())].clone();
                let target = value.pointer(&pointer).unwrap();
                match random.below(4) {
                    0 => drop(document.remove(&pointer).unwrap()),
                    1 if target.is_object() => document.set(&format!("{pointer}/new"), fresh(&mut random)).unwrap(),
                    1 if target.is_array() => document.insert(&format!("{pointer}/0"), fresh(&mut random)).unwrap(),
                    2 if target.is_array() => document.set(&format!("{pointer}/-"), fresh(&mut random)).unwrap(),
                    _ => document.set(&pointer, fresh(&mut random)).unwrap(),
                }
            }
            let wanted = document.value().unwrap().clone();
            let edited = match document.render() {
                Ok(edited) => edited,
                Err(error) => panic!("{} round {round}: {error}\n{wanted}", path.display()),
            };
            assert_eq!(Document::parse(&edited, format).unwrap().value().unwrap(), &wanted, "{}", path.display());
        }
    }
}

fn fresh(random: &mut Random) -> Value {
    match random.below(8) {
        0 => json!(1.5),
        1 => json!("two\nlines\n"),
        2 => json!([]),
        3 => json!({}),
        4 => json!(["a", 1, {"k": true}]),
        5 => json!({"x": 1, "y": {"z": [1, 2]}, "w": "é # x: y"}),
        6 => json!([{"n": 1}, {"n": 2, "m": {"o": "no"}}]),
        _ => json!("text"),
    }
}

/// A random value, of the kinds all formats have.
fn generated(random: &mut Random, depth: usize) -> Value {
    const TEXTS: [&str; 12] = [
        "",
        "plain",
        "no",
        "1.0",
        "a: b",
        "# x",
        "it's",
        "\"q\"",
        "two\nlines",
        " pad ",
        "ünïcödé \u{1F600}",
        "tab\there\\",
    ];
    match random.below(if depth == 0 { 5 } else { 8 }) {
        0 => json!(random.below(100_000)),
        1 => json!(-2.5),
        2 => json!(random.below(2) == 0),
        3 | 4 => json!(TEXTS[random.below(TEXTS.len())]),
        5 => Value::Array((0..random.below(4)).map(|_| generated(random, depth - 1)).collect()),
        _ => object(random, depth),
    }
}

fn object(random: &mut Random, depth: usize) -> Value {
    const KEYS: [&str; 9] = ["a", "b c", "on", "x.y", "1", "ключ", "q\"uote", "", "~/"];
    let count = random.below(5);
    Value::Object(
        (0..count).map(|_| (KEYS[random.below(KEYS.len())].to_owned(), generated(random, depth.max(1) - 1))).collect(),
    )
}

/// ATOM-5, VER-10: new documents hold their value; from one value to any other; and identity on all of them.
#[test]
fn generated_documents_become_one_another() {
    for format in [Format::Json, Format::Yaml, Format::Toml] {
        let mut random = Random(4711);
        for round in 0..400 {
            let (before, after) = (object(&mut random, 3), object(&mut random, 3));
            let mut document = Document::new_with(&before, format).unwrap();
            let mut bytes = document.render().unwrap();
            if random.below(3) == 0 {
                bytes = String::from_utf8(bytes).unwrap().replace('\n', "\r\n").into_bytes();
            }
            if random.below(3) == 0 {
                bytes = [b"\xEF\xBB\xBF".to_vec(), bytes].concat();
            }
            let mut document = Document::parse(&bytes, format).unwrap();
            document.replace(document.value().unwrap().clone()).unwrap();
            assert_eq!(document.render().unwrap(), bytes, "{format} round {round}: identity");

            document.replace(after.clone()).unwrap();
            match document.render() {
                Ok(edited) => {
                    let read_back = Document::parse(&edited, format).unwrap();
                    assert_eq!(read_back.value().unwrap(), &after, "{format} round {round}");
                    assert_eq!(
                        edited.starts_with(b"\xEF\xBB\xBF"),
                        bytes.starts_with(b"\xEF\xBB\xBF"),
                        "the BOM stays"
                    );
                }
                Err(error @ DocError::VerifyFailed { .. }) => {
                    panic!("{format} round {round}: {error}\n{before}\n{after}\n{}", String::from_utf8_lossy(&bytes))
                }
                Err(error) => panic!("{format} round {round}: {error}"),
            }
        }
    }
}
