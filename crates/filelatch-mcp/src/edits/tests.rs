//! Edits against examples, and against plain models: strings, and lists of lines.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn text(old: &str, new: &str) -> Edit {
    texts(old, 1, new)
}

fn texts(old: &str, count: usize, new: &str) -> Edit {
    Edit { what: What::Text { old: old.to_owned(), count }, new_text: new.to_owned() }
}

/// Lines of `of`, from 0.
fn lines(of: &str, first: usize, last: usize, at: At, new: &str) -> Edit {
    let lines = Lines::new(of.as_bytes());
    let anchor = |line| Anchor::parse(&lines.label(line)).unwrap();
    Edit { what: What::Lines { first: anchor(first), last: anchor(last), at }, new_text: new.to_owned() }
}

fn applied(before: &str, edits: &[Edit]) -> Result<String, Unfit> {
    let edited = apply(before.as_bytes(), edits, Anchored::Here, LIMIT)?;
    Ok(String::from_utf8(edited.bytes).unwrap())
}

/// AGENT-2: a piece is replaced where it stands, each edit sees those before it, and all are made or none.
#[test]
fn pieces() {
    assert_eq!(applied("one two", &[text("two", "three")]).unwrap(), "one three");
    assert_eq!(applied("a b", &[text("a", "b c"), text("c b", "d")]).unwrap(), "b d");
    assert_eq!(applied("a a a", &[texts("a", 3, "bb")]).unwrap(), "bb bb bb");
    assert_eq!(applied("", &[text("", "new")]).unwrap(), "new");
    assert_eq!(applied("a", &[text("a", "")]).unwrap(), "");
    assert_eq!(applied("a", &[text("x", "y")]), Err(Unfit::Missing { edit: 0, found: 0, expected: 1 }));
    assert_eq!(applied("a", &[text("a", "b"), text("a", "c")]), Err(Unfit::Missing { edit: 1, found: 0, expected: 1 }));
    assert_eq!(applied("a a", &[texts("a", 3, "b")]), Err(Unfit::Missing { edit: 0, found: 2, expected: 3 }));
    assert_eq!(applied("a", &[text("", "b")]), Err(Unfit::Empty { edit: 0 }));
    assert_eq!(apply(b"a\xff", &[text("a", "b")], Anchored::Here, LIMIT), Err(Unfit::NotText { at: 1 }));
    assert_eq!(apply(b"aa", &[texts("a", 2, "bbb")], Anchored::Here, 5), Err(Unfit::TooLong { edit: 0 }));
}

/// AGENT-2: what stands in several places, or overlaps itself, is ambiguous, and the places are told.
#[test]
fn ambiguous() {
    let places = |before: &str, old: &str, count| match applied(before, &[texts(old, count, "x")]) {
        Err(Unfit::Ambiguous { places, .. }) => places.iter().map(|spot| spot.line).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(places("a\nb\na\n", "a", 1), [1, 3]);
    assert_eq!(places("aaa", "aa", 1), [1, 1]);
    assert_eq!(places("aaaa", "aa", 2), [1, 1, 1]);
    assert_eq!(places(&"a\n".repeat(1000), "a", 999).len(), PLACES);
    assert_eq!(places("a\r\nb\na\nc\na\r\n", "a\n", 2), [1, 3, 5]);
}

/// AGENT-2: looking takes no longer for pieces that nearly overlap everywhere.
#[test]
fn periodic() {
    let long = "a".repeat(1 << 20);
    let piece = &long[..1 << 19];
    assert!(matches!(applied(&long, &[text(piece, "b")]), Err(Unfit::Ambiguous { .. })));
    assert!(matches!(applied(&long, &[texts(piece, 2, "b")]), Err(Unfit::Ambiguous { .. })));
}

/// AGENT-4: line endings, the byte order mark and the end of the text stay as they are.
#[test]
fn endings() {
    for (before, edit, after) in [
        ("a\r\nb\r\nc\r\n", text("a\nb\n", "x\ny\nz\n"), "x\r\ny\r\nz\r\nc\r\n"),
        ("a\r\nb\r\n", text("a\r\nb", "x\r\ny"), "x\r\ny\r\n"),
        ("a\nb\n", text("a\r\nb", "x\r\ny"), "x\ny\n"),
        ("a\nb", text("b", "c\nd"), "a\nc\nd"),
        ("ab", text("b", "\r\nc"), "a\r\nc"),
        ("a\r\nb\nc\r\nd\n", text("b\nc\n", "x\ny\n"), "a\r\nx\ny\nd\n"),
        ("a\r\nb\nc\r\nd\n", text("c\nd", "x\ny"), "a\r\nb\nx\r\ny\n"),
        ("a\nb\r\nc", text("c", "x\ny"), "a\nb\r\nx\r\ny"),
        ("a\nb\r\nc", text("\nc", "\nx"), "a\nb\r\nx"),
        ("\u{feff}a\r\n", text("\u{feff}a", "\u{feff}b"), "\u{feff}b\r\n"),
        ("\u{feff}", text("", "a\n"), "\u{feff}a\n"),
        ("\u{feff}a", text("a", "b"), "\u{feff}b"),
    ] {
        assert_eq!(applied(before, std::slice::from_ref(&edit)).unwrap(), after, "{before:?} {edit:?}");
    }
}

/// AGENT-2: lines by their anchors: replaced, removed, put before and behind; endings as the text has them.
#[test]
fn by_anchor() {
    use At::{After, Before, Replace};
    for (before, first, last, at, new, after) in [
        ("a\nb\nc\n", 1, 1, Replace, "x", "a\nx\nc\n"),
        ("a\nb\nc\n", 1, 1, Replace, "x\ny\n", "a\nx\ny\nc\n"),
        ("a\nb\nc\n", 0, 1, Replace, "", "c\n"),
        ("a\r\nb\r\n", 0, 0, Replace, "x\ny", "x\r\ny\r\nb\r\n"),
        ("a\nb", 1, 1, Replace, "x\n", "a\nx"),
        ("a\nb", 1, 1, Replace, "x", "a\nx"),
        ("a\nb\n", 1, 1, Before, "x", "a\nx\nb\n"),
        ("a\nb\n", 1, 1, After, "x", "a\nb\nx\n"),
        ("a\nb", 1, 1, After, "x\n", "a\nb\nx"),
        ("a\r\nb", 1, 1, After, "x", "a\r\nb\r\nx"),
        ("\u{feff}a\n", 0, 0, Before, "x", "\u{feff}x\na\n"),
        ("a\nb\r\nc\n", 1, 1, Replace, "x\ny", "a\nx\r\ny\r\nc\n"),
    ] {
        let body = before.trim_start_matches('\u{feff}');
        let edit = lines(body, first, last, at, new);
        assert_eq!(applied(before, std::slice::from_ref(&edit)).unwrap(), after, "{before:?} {edit:?}");
    }
    let backwards = {
        let mut edit = lines("a\nb\n", 0, 1, Replace, "x");
        if let What::Lines { first, last, .. } = &mut edit.what {
            std::mem::swap(first, last);
        }
        edit
    };
    assert_eq!(applied("a\nb\n", &[backwards]), Err(Unfit::Backwards { edit: 0 }));
}

/// AGENT-2: anchors are of the content before the call; what an edit of the call has replaced is not replaced again.
#[test]
fn anchors_after_edits() {
    use At::{After, Replace};
    let before = "a\nb\nc\n";
    let of = |first, at, new| lines(before, first, first, at, new);
    assert_eq!(applied(before, &[of(0, Replace, "x\ny"), of(2, Replace, "z")]).unwrap(), "x\ny\nb\nz\n");
    assert_eq!(
        applied(before, &[of(0, After, "1"), of(0, After, "2"), of(0, Replace, "A")]).unwrap(),
        "A\n1\n2\nb\nc\n"
    );
    assert_eq!(applied(before, &[text("b", "B"), of(1, After, "x")]).unwrap(), "a\nB\nx\nc\n");
    assert_eq!(applied(before, &[text("b", "B"), of(1, Replace, "x")]), Err(Unfit::Overlaps { edit: 1 }));
    assert_eq!(applied(before, &[text("a\nb\nc", "x"), of(1, After, "y")]), Err(Unfit::Overlaps { edit: 1 }));
    let stale = lines("a\nb\n", 1, 1, Replace, "x");
    let moved = |now: &str, anchored| apply(now.as_bytes(), std::slice::from_ref(&stale), anchored, LIMIT);
    assert_eq!(moved("0\na\nb\n", Anchored::Perhaps).unwrap().bytes, b"0\na\nx\n");
    assert_eq!(moved("a\nB\n", Anchored::Perhaps), Err(Unfit::Gone { edit: 0, line: 2 }));
    assert_eq!(moved("b\na\nb\n", Anchored::Perhaps), Err(Unfit::Several { edit: 0, line: 2 }));
    assert_eq!(moved("b\nb\n", Anchored::Perhaps).unwrap().bytes, b"b\nx\n");
    assert_eq!(moved("b\nb\n", Anchored::Elsewhere), Err(Unfit::Several { edit: 0, line: 2 }));
}

/// AGENT-2: where it was changed, in lines.
#[test]
fn changed() {
    let told = |before: &str, edits: &[Edit]| {
        let edited = apply(before.as_bytes(), edits, Anchored::Here, LIMIT).unwrap();
        edited.changed.iter().map(|c| (c.start_line, c.lines_removed, c.lines_added)).collect::<Vec<_>>()
    };
    let before = "a\nb\nc\nd\n";
    assert_eq!(told(before, &[text("b", "x")]), [(2, 1, 1)]);
    assert_eq!(told(before, &[text("b\nc", "x")]), [(2, 2, 1)]);
    assert_eq!(told(before, &[text("b\nc\n", "")]), [(2, 2, 0)]);
    assert_eq!(told(before, &[lines(before, 1, 1, At::After, "x\ny")]), [(3, 0, 2)]);
    assert_eq!(told(before, &[text("a", "1\n2"), text("d", "x")]), [(1, 1, 2), (5, 1, 1)]);
    assert_eq!(told(before, &[text("d", "x"), text("a", "1\n2")]), [(1, 1, 2), (5, 1, 1)]);
    assert_eq!(told("a b\n", &[text("a", "x"), text("b", "y")]), [(1, 1, 1)]);
    let many = told(&"a\n".repeat(500), &[texts("a", 500, "b")]);
    assert_eq!(many.iter().map(|(_, _, added)| added).sum::<usize>(), 500);
}

/// How often a piece stands in a text, overlapping ones counted.
fn count(text: &str, piece: &str) -> usize {
    text.char_indices().filter(|(at, _)| text[*at..].starts_with(piece)).count()
}

/// A line of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    /// It was there before the call, as this.
    Before(usize),
    Inserted,
    Replaced,
}

proptest! {
    /// AGENT-2: pieces against the plain model: counted, and replaced from the left.
    #[test]
    fn like_strings(before in "[ab\n]{0,12}", edits in vec(("[ab\n]{1,3}", 1..3usize, "[abc\n]{0,3}"), 1..4)) {
        let mut model = Some(before.clone());
        for (old, expected, new) in &edits {
            model = model.and_then(|text| {
                let whole = text.matches(old.as_str()).count();
                (whole == *expected && count(&text, old) == whole).then(|| text.replace(old.as_str(), new))
            });
        }
        let edits: Vec<_> = edits.iter().map(|(old, expected, new)| texts(old, *expected, new)).collect();
        prop_assert_eq!(applied(&before, &edits).ok(), model);
    }

    /// AGENT-2: with CR LF everything comes out as with LF, but for the line endings.
    #[test]
    fn like_with_lf(before in "[ab\n]{0,12}\n", edits in vec(("[ab\n]{1,3}", "[abc\n]{0,3}"), 1..4)) {
        let edits: Vec<_> = edits.iter().map(|(old, new)| text(old, new)).collect();
        let plain = applied(&before, &edits);
        // Once the last line feed is gone, there is nothing to tell by.
        if let Ok(plain) = &plain {
            prop_assert_eq!(applied(&with_crlf(&before), &edits).unwrap(), with_crlf(plain));
        } else {
            prop_assert!(applied(&with_crlf(&before), &edits).is_err());
        }
    }

    /// AGENT-4: in a text with both endings, what no edit touches keeps its bytes.
    #[test]
    fn mixed(head in "([ab]\r?\n){0,4}", old in "[xy]\r?\n?[xy]", tail in "(\r?\n[ab]){0,4}\r?\n", new in "[xy\n]{0,4}") {
        let before = format!("{head}{old}{tail}");
        let after = applied(&before, &[text(&with_lf(&old), &new)]).unwrap();
        prop_assert!(after.starts_with(&head) && after.ends_with(&tail), "{:?}", after);
        prop_assert_eq!(with_lf(&after[head.len()..after.len() - tail.len()]), new);
    }

    /// AGENT-2: lines by anchors against a plain list of lines.
    #[test]
    fn like_lists(size in 1..8usize, edits in vec((0..8usize, 0..3usize, 0..3u8, vec("[x-z]{1,2}", 1..3)), 1..5)) {
        let before: Vec<String> = (0..size).map(|n| format!("line {n}")).collect();
        let content = before.iter().fold(String::new(), |text, line| text + line + "\n");
        let mut model: Option<Vec<(From, String)>> =
            Some(before.into_iter().enumerate().map(|(n, line)| (From::Before(n), line)).collect());
        let mut made = Vec::new();
        for (first, more, at, new) in edits {
            let first = first % size;
            let at = [At::Replace, At::Before, At::After][usize::from(at)];
            let last = if at == At::Replace { (first + more).min(size - 1) } else { first };
            made.push(lines(&content, first, last, at, &new.join("\n")));
            model = model.and_then(|mut list| {
                let find = |n| list.iter().position(|(from, _)| *from == From::Before(n));
                let (from, to) = (find(first)?, find(last)?);
                let new = |from| new.iter().map(move |line| (from, line.clone()));
                match at {
                    // Something was put between them, or replaced: the range is not what the client saw.
                    At::Replace if list[from..=to].iter().any(|(from, _)| !matches!(from, From::Before(_))) => return None,
                    At::Replace => drop(list.splice(from..=to, new(From::Replaced))),
                    At::Before => drop(list.splice(from..from, new(From::Inserted))),
                    At::After => {
                        let behind = list[from + 1..].iter().take_while(|(from, _)| *from == From::Inserted).count();
                        let place = from + 1 + behind;
                        drop(list.splice(place..place, new(From::Inserted)));
                    }
                }
                Some(list)
            });
        }
        let model = model.map(|list| list.iter().fold(String::new(), |text, (_, line)| text + line + "\n"));
        prop_assert_eq!(applied(&content, &made).ok(), model);
    }

    /// AGENT-7: whatever the text and the edits are, the answer is one.
    #[test]
    fn anything(before in vec(any::<u8>(), 0..40), edits in vec(("(?s).{0,3}", 0..3usize, "(?s).{0,3}", 0..3u8), 1..4)) {
        let lines = Lines::new(&before);
        let edits: Vec<_> = edits.into_iter().map(|(old, n, new, kind)| match kind {
            0 if lines.count() > 0 => {
                let anchor = Anchor::parse(&lines.label(n % lines.count())).unwrap();
                Edit { what: What::Lines { first: anchor.clone(), last: anchor, at: At::After }, new_text: new }
            }
            _ => texts(&old, n + 1, &new),
        }).collect();
        if let Ok(edited) = apply(&before, &edits, Anchored::Perhaps, LIMIT) {
            prop_assert!(std::str::from_utf8(&edited.bytes).is_ok());
            prop_assert_eq!(edited.bytes.starts_with(BOM), before.starts_with(BOM));
        }
    }
}
