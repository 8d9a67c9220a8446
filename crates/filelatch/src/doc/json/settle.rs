//! Turning the scan of the old text into the scan of the new one.
//!
//! A scalar that becomes another scalar moves what is behind it, and nothing else. After any other change the objects and arrays
//! that were touched are scanned again, and the others carried over. Either way moving is all that depends on the size of the
//! document, and costs a few percent of a scan.

use std::sync::Arc;

use super::super::splice::Splice;
use super::JsonSyntax;
use super::scan::{self, Before, Kind, Node, as_u32};

/// Makes `syntax` the syntax of `new`, which is its text with the splices applied.
pub(super) fn settle(syntax: &mut JsonSyntax, new: &Arc<String>, splices: &[Splice]) -> bool {
    if u32::try_from(new.len()).is_err() {
        return false;
    }
    if !replace_scalars(&mut syntax.nodes, splices) {
        // Whether a comment or trailing comma is left tells only a scan of all the text.
        let before = if syntax.relaxed { None } else { Before::new(&syntax.nodes, splices) };
        let scanned = match before {
            Some(before) => scan::scan_again(new, syntax.format, before),
            None => scan::scan(new, syntax.format),
        };
        let Ok(scanned) = scanned else { return false };
        syntax.nodes = scanned.nodes;
        syntax.relaxed = scanned.relaxed;
    }
    syntax.text = Arc::clone(new);
    debug_assert!(
        scan::scan(new, syntax.format).is_ok_and(|scan| scan.relaxed == syntax.relaxed && scan.nodes == syntax.nodes),
        "a settled document is the document of its text"
    );
    true
}

/// The end of a splice in the old text, and how far what is behind it moves; wraps below zero.
struct Move {
    end: u32,
    by: u32,
}

/// Moves all nodes if every splice replaces one scalar by another. False: one does not, and nothing has changed.
fn replace_scalars(nodes: &mut [Node], splices: &[Splice]) -> bool {
    let mut replaced: Vec<(usize, Kind)> = Vec::with_capacity(splices.len());
    let mut moves: Vec<Move> = Vec::with_capacity(splices.len());
    let mut by = 0_u32;
    for (range, new) in splices {
        let Ok(index) = nodes.binary_search_by_key(&range.start, |node| node.start as usize) else { return false };
        let node = &nodes[index];
        if node.end as usize != range.end || matches!(node.kind, Kind::Object | Kind::Array) {
            return false;
        }
        let Some(kind) = scan::scalar(new) else { return false };
        by = by.wrapping_add(as_u32(new.len().wrapping_sub(range.len())));
        replaced.push((index, kind));
        moves.push(Move { end: node.end, by });
    }
    let (Some(&(first, _)), Some(&(last, _))) = (replaced.first(), replaced.last()) else { return true };
    for &(index, kind) in &replaced {
        nodes[index].kind = kind;
    }
    if moves.iter().any(|one| one.by != 0) {
        shift(nodes, first, last, &moves);
    }
    true
}

/// Moves the nodes around and behind the replaced ones, of which these are the first and the last.
fn shift(nodes: &mut [Node], first: usize, last: usize, moves: &[Move]) {
    // How many of the moves are no further than an offset.
    let until = |offset: u32, known: usize| known + moves[known..].partition_point(|one| one.end <= offset);
    let by = |count: usize| count.checked_sub(1).map_or(0, |index| moves[index].by);
    let mut at = 0;
    while at < first {
        let node = &mut nodes[at];
        if node.next as usize > first {
            // It holds the first and ends behind it.
            node.end = node.end.wrapping_add(by(until(node.end, 0)));
            at += 1;
        } else {
            at = node.next as usize;
        }
    }
    let mut behind = 0;
    for node in &mut nodes[first..=last] {
        while moves.get(behind).is_some_and(|one| one.end <= node.start) {
            behind += 1;
        }
        let through = match node.kind {
            Kind::Object | Kind::Array => until(node.end, behind),
            _ => behind + usize::from(moves.get(behind).is_some_and(|one| one.end <= node.end)),
        };
        node.start = node.start.wrapping_add(by(behind));
        node.end = node.end.wrapping_add(by(through));
    }
    let all = by(moves.len());
    for node in &mut nodes[last + 1..] {
        node.start = node.start.wrapping_add(all);
        node.end = node.end.wrapping_add(all);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::super::super::document::Document;
    use super::super::super::syntax::Syntax;
    use super::super::super::{DocError, Format};
    use super::*;

    const BOM: &str = "\u{feff}";

    /// A small generator of random numbers (xorshift): the same documents and edits in every run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
            let index = self.below(from.len());
            &from[index]
        }

        fn key(&mut self) -> String {
            let keys = ["a", "b", "c", "long name", "caf\u{e9}", "a/b", "~", "q\"q", "\u{1f980}", "0", "-", ""];
            (*self.pick(&keys)).to_owned()
        }

        fn scalar(&mut self) -> Value {
            let numbers: [&str; 6] = ["0", "-0", "1.0", "1e-7", "12345678901234567890123", "-17.25E+3"];
            match self.below(9) {
                0 => Value::Null,
                1 => json!(true),
                2 => json!(false),
                3 => json!(self.below(1_000_000)),
                4 => serde_json::from_str(self.pick::<&str>(&numbers)).unwrap(),
                5 => json!("x".repeat(self.below(40))),
                6 => json!("\" \\ \n \u{7} // no { comment } [ \u{20ac}"),
                7 => json!("/* neither */"),
                _ => json!(self.key()),
            }
        }

        fn value(&mut self, depth: usize) -> Value {
            match self.below(if depth == 0 { 4 } else { 7 }) {
                4 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
                5 => Value::Object(
                    (0..self.below(4)).map(|_| (self.key(), self.value(depth - 1))).collect::<Map<_, _>>(),
                ),
                6 => json!([]),
                _ => self.scalar(),
            }
        }

        fn trivia(&mut self, comments: bool) -> &'static str {
            match self.below(if comments { 12 } else { 7 }) {
                0 => " ",
                1 => "\n  ",
                2 => "\r\n\t",
                7 => " // { line \" comment\n",
                8 => "/* [ block */",
                9 => " /* two\r\nlines, \u{20ac} */ ",
                _ => "",
            }
        }

        /// A value as somebody might have written it.
        fn text(&mut self, value: &Value, comments: bool) -> String {
            let mut text = self.trivia(comments).to_owned();
            match value {
                Value::Array(items) => {
                    text += "[";
                    for (i, item) in items.iter().enumerate() {
                        text += if i > 0 { "," } else { "" };
                        text += &self.text(item, comments);
                    }
                    text += if comments && !items.is_empty() && self.below(4) == 0 { "," } else { "" };
                    text += self.trivia(comments);
                    text += "]";
                }
                Value::Object(fields) => {
                    text += "{";
                    for (i, (key, value)) in fields.iter().enumerate() {
                        text += if i > 0 { "," } else { "" };
                        text += self.trivia(comments);
                        let key = json!(key).to_string();
                        text += &if self.below(8) == 0 { key.replace('a', "\\u0061") } else { key };
                        text += self.trivia(comments);
                        text += ":";
                        text += &self.text(value, comments);
                    }
                    text += if comments && !fields.is_empty() && self.below(4) == 0 { "," } else { "" };
                    text += self.trivia(comments);
                    text += "}";
                }
                scalar => text += &scalar.to_string(),
            }
            text + self.trivia(comments)
        }

        /// Changes both documents alike; changes that are refused are refused by both.
        fn edit(&mut self, documents: [&mut Document; 2], pointers: &[String]) {
            let mut at = self.pick(pointers).clone();
            let value = self.value(2);
            let kind = self.below(10);
            if kind >= 6 {
                let end = if self.below(2) == 0 { "-".to_owned() } else { escaped(&self.key()) };
                at = format!("{at}/{end}");
            }
            let scalar = self.scalar();
            let outcomes = documents.map(|document| match kind {
                0..3 => document.set(&at, scalar.clone()).map(|()| None),
                3 | 6 | 7 => document.set(&at, value.clone()).map(|()| None),
                4 => document.remove(&at),
                5 | 8 => document.insert(&at, value.clone()).map(|()| None),
                _ => document
                    .merge_patch(&json!({"a": scalar.clone(), "b": null, "c": {"d": value.clone()}}))
                    .map(|()| None),
            });
            let [one, other] = outcomes.map(|outcome| format!("{outcome:?}"));
            assert_eq!(one, other, "{at}");
        }
    }

    fn escaped(key: &str) -> String {
        key.replace('~', "~0").replace('/', "~1")
    }

    /// The pointers to all nodes, those behind a duplicate key included.
    fn pointers(bytes: &[u8]) -> Vec<String> {
        fn walk(syntax: &JsonSyntax, node: usize, at: &str, out: &mut Vec<String>) {
            out.push(at.to_owned());
            match syntax.node(node).kind {
                Kind::Object => {
                    for (key, value) in syntax.members(node) {
                        let key = escaped(&syntax.string(key).unwrap());
                        walk(syntax, value, &format!("{at}/{key}"), out);
                    }
                }
                Kind::Array => {
                    for (index, item) in syntax.elements(node).enumerate() {
                        walk(syntax, item, &format!("{at}/{index}"), out);
                    }
                }
                _ => {}
            }
        }
        let text = str::from_utf8(bytes).unwrap().trim_start_matches(BOM).to_owned();
        let syntax = JsonSyntax::parse(text, Format::Jsonc).unwrap();
        let mut out = Vec::new();
        walk(&syntax, syntax.root(), "", &mut out);
        out
    }

    /// Edits a document, settles it, edits on: at every step it is what parsing its text gives.
    fn follow(text: &str, format: Format, random: &mut Random, steps: usize) {
        let mut settled = Document::parse(text.as_bytes(), format).unwrap();
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..steps {
            let mut parsed = Document::parse(&bytes, format).unwrap();
            assert_eq!(format!("{settled:?}"), format!("{parsed:?}"), "the same index");
            let pointers = pointers(&bytes);
            for at in &pointers {
                assert_eq!(format!("{:?}", settled.get(at)), format!("{:?}", parsed.get(at)), "{at}");
            }
            assert_eq!(format!("{:?}", settled.value()), format!("{:?}", parsed.value()));
            settled.savepoint();
            parsed.savepoint();
            for _ in 0..=random.below(4) {
                random.edit([&mut settled, &mut parsed], &pointers);
            }
            match (parsed.render(), settled.settle()) {
                (Ok(rendered), Ok((new, true))) => {
                    assert_eq!(*new, *rendered);
                    bytes = rendered;
                }
                (Err(wanted), Err(error)) => {
                    assert_eq!(error.to_string(), wanted.to_string());
                    settled.rollback();
                }
                (rendered, settled) => panic!("{rendered:?} but {settled:?}"),
            }
        }
        settled.rollback();
        assert!(!settled.is_changed(), "nothing to go back to");
        assert_eq!(settled.render().unwrap(), bytes);
    }

    /// VER-10: a document that was updated is the document of its bytes. Texts as people write them.
    #[test]
    fn settled_is_parsed() {
        let records: Vec<Value> = (0..30).map(|i| json!({"id": i, "a": {"count": 0, "tags": ["x", i]}})).collect();
        let plain = serde_json::to_string_pretty(&json!({"a": records, "b": [], "c": {}})).unwrap();
        let commented = "// top\n{\n  \"a\": 1, // one\n  /* c */ \"b\": [1, 2, /* x */ 3,],\n  \"c\": {\"a\": [{}, []]}, // c\n}\n";
        let texts = [
            plain.clone(),
            plain.replace('\n', "\r\n"),
            format!("{BOM}{plain}"),
            commented.to_owned(),
            format!("{BOM}{}", commented.replace('\n', "\r\n")),
            r#"{"a": 1, "b": {"c": 1, "c": 2, "a": [1, 2]}, "a": {"b": 3}, "c": [true, null, "x"]}"#.to_owned(),
            r#"{"caf\u00e9": ["\ud83e\udd80", "\ud800"], "a": "\"\\"}"#.to_owned(),
            "[[1,2,3],[4,5,6],{\"a\":[7,8,9]},\"\",-0.0]".to_owned(),
            " 7 ".to_owned(),
            "{}".to_owned(),
        ];
        let mut random = Random(0x5eed);
        for text in &texts {
            for _ in 0..12 {
                follow(text, Format::Json, &mut random, 12);
                follow(text, Format::Jsonc, &mut random, 12);
            }
        }
    }

    /// VER-10: the same with random documents.
    #[test]
    fn settled_is_parsed_at_random() {
        for seed in 1..=400 {
            let mut random = Random(0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed));
            let mut value = random.value(5);
            if value.is_array() || value.is_object() {
                value = json!({"a": value, "b": random.value(4), "c": [random.value(3), random.value(3)]});
            }
            let text = random.text(&value, seed % 3 == 0);
            let bom = if seed % 5 == 0 { BOM } else { "" };
            follow(&format!("{bom}{text}"), Format::Json, &mut random, 20);
        }
    }

    /// Many scalars in one change, each of another length.
    #[test]
    fn many_scalars_move() {
        let text =
            json!((0..200).map(|i| json!({"n": i, "s": "abc", "list": [i, [i]]})).collect::<Vec<_>>()).to_string();
        let mut document = Document::parse(text.as_bytes(), Format::Json).unwrap();
        for round in 0..3 {
            for i in (round..200).step_by(3) {
                document.set(&format!("/{i}/s"), json!("y".repeat(i % 7))).unwrap();
                document.set(&format!("/{i}/list/1/0"), json!(i * i * i)).unwrap();
            }
            let (bytes, settled) = document.settle().unwrap();
            assert!(settled);
            let parsed = Document::parse(&bytes, Format::Json).unwrap();
            assert_eq!(format!("{document:?}"), format!("{parsed:?}"));
        }
    }

    /// A change that cannot be made leaves the document and its changes as they were.
    #[test]
    fn failing_to_settle() {
        let mut document = Document::parse(b"a = 1\n", Format::Toml).unwrap();
        document.set("/a", Value::Null).unwrap();
        let error = document.settle().unwrap_err();
        assert!(matches!(error, DocError::Unrepresentable { .. }), "{error}");
        assert!(document.is_changed());
        assert_eq!(document.get("/a").unwrap(), Some(Value::Null));
        assert_eq!(document.settle().unwrap_err().to_string(), error.to_string());
    }

    /// Formats that are parsed again hand out their bytes and stay; a text and a new document settle.
    #[test]
    fn other_formats() {
        for (format, text, at) in [(Format::Toml, "a = 1 # x\n", "/a"), (Format::Yaml, "a: 1 # x\n", "/a")] {
            let mut document = Document::parse(text.as_bytes(), format).unwrap();
            document.set(at, json!(2)).unwrap();
            let (bytes, settled) = document.settle().unwrap();
            assert_eq!(*bytes, *text.replace('1', "2").as_bytes());
            assert!(!settled && document.is_changed());
            assert_eq!(document.render().unwrap(), *bytes);
        }
        for format in [Format::Json, Format::Toml, Format::Yaml] {
            let mut document = Document::new_with(&json!({"a": 1}), format).unwrap();
            let wanted = document.render().unwrap();
            let (bytes, settled) = document.settle().unwrap();
            assert_eq!((&*bytes, settled, document.is_changed()), (&*wanted, true, false));
        }
        let mut document = Document::parse(format!("{BOM}one\n").as_bytes(), Format::Text).unwrap();
        document.replace(json!("two\n")).unwrap();
        let (bytes, settled) = document.settle().unwrap();
        assert_eq!((&*bytes, settled), (format!("{BOM}two\n").as_bytes(), true));
        assert_eq!(document.render().unwrap(), *bytes);
        assert_eq!(document.value().unwrap(), &json!("two\n"));
    }
}
