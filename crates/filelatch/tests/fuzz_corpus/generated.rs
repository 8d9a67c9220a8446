//! YAML documents by chance and edits by chance, through the `yaml` target (VER-10): more layouts in a second than a fuzzer finds in an hour.
//! `FILELATCH_FULL` set: many times as many; a number in it is the seed. A finding is made small before it is reported.

use std::cell::Cell;
use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use super::targets;

const TARGET: &str = "yaml";

thread_local! {
    /// Panics of this thread are counted, not printed.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// VER-10: a legal edit is made, whatever the document looks like, and the second reader agrees.
#[test]
fn documents_by_chance() {
    let (seed, rounds) = effort(4000);
    let mut found = Vec::new();
    for round in 0..rounds {
        let mut random = Random(seed * 1_000_003 + round);
        let text = random.document();
        let edits: Vec<u8> = (0..random.below(40)).map(|_| random.byte()).collect();
        if let Some(message) = fails(&text, &edits) {
            let (text, edits) = smaller(text, edits, &message);
            let message = fails(&text, &edits).unwrap_or_default();
            found.push(format!("round {round}\n{text:?} with {edits:?}\n{text}\n{message}"));
            if found.len() == 8 {
                break;
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n==========\n"));
}

/// The seed, and how many rounds: so many, or a hundred times as many.
#[expect(clippy::disallowed_methods, reason = "how long to try is told by the environment")]
pub(super) fn effort(rounds: u64) -> (u64, u64) {
    match std::env::var("FILELATCH_FULL") {
        Ok(seed) => (seed.parse().unwrap_or(1), rounds * 100),
        Err(_) => (1, rounds),
    }
}

fn fails(text: &str, edits: &[u8]) -> Option<String> {
    panic_of(TARGET, &[text.as_bytes(), b"\0\0", edits].concat())
}

/// The message of a target's panic.
pub(super) fn panic_of(target: &str, input: &[u8]) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| targets::run(target, input)));
    QUIET.set(false);
    let panic = result.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// Takes away what is not needed for a failure of the same kind.
fn smaller(mut text: String, mut edits: Vec<u8>, message: &str) -> (String, Vec<u8>) {
    let kind = |message: &str| message.split([':', '{', '\n']).next().map(str::to_owned);
    let same = |text: &str, edits: &[u8]| fails(text, edits).is_some_and(|new| kind(&new) == kind(message));
    let mut size = text.len().max(edits.len());
    while size > 0 {
        let mut at = 0;
        while at < text.len() {
            let end = (at + size..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            let shorter = format!("{}{}", &text[..at], &text[end..]);
            if same(&shorter, &edits) {
                text = shorter;
            } else {
                at = end;
            }
        }
        let mut at = 0;
        while at < edits.len() {
            let end = (at + size).min(edits.len());
            let shorter = [&edits[..at], &edits[end..]].concat();
            if same(&text, &shorter) {
                edits = shorter;
            } else {
                at = end;
            }
        }
        size /= 2;
    }
    for at in 0..edits.len() {
        let zero = [&edits[..at], &[0], &edits[at + 1..]].concat();
        if same(&text, &zero) {
            edits = zero;
        }
    }
    (text, edits)
}

/// What YAML is made of.
const TOKENS: [&str; 44] = [
    "a: ", "b:", "c: 1", "- ", "-", "\n", "\n", "\n", "\n  ", "\n  ", "\n    ", "\n ", " ", "  ", "\t", "# c",
    " # c\n", "[", "]", "{", "}", ", ", ",", "? ", ": ", ":", "&x ", "*x", "!t ", "!!str ", "|\n", ">-\n", "|+\n  ",
    "'q'", "\"d\"", "x", "1", "null", "~", "---\n", "--- ", "...\n", "<<: *x", "\r\n",
];

const SCALARS: [&str; 24] = [
    "x",
    "1",
    "null",
    "~",
    "true",
    "'q'",
    "\"d\"",
    "a b",
    "1.5",
    "0x1f",
    "a#b",
    "http://x",
    "'it''s'",
    "\"\\n\"",
    "é",
    "-x",
    "'a: b'",
    "\"a\n  b\"",
    "'a\n  b'",
    "a\n  b",
    "!t x",
    "!!str 1",
    "''",
    ".inf",
];

pub(super) struct Random(pub(super) u64);

impl Random {
    /// splitmix64 (Steele and others, 2014).
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % bound
    }

    pub(super) fn one(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }

    pub(super) fn of<'t>(&mut self, choices: &[&'t str]) -> &'t str {
        choices[self.below(choices.len())]
    }

    fn document(&mut self) -> String {
        let mut text = String::new();
        if self.one(4) {
            for _ in 0..=self.below(14) {
                text.push_str(self.of(&TOKENS));
            }
            return text;
        }
        if self.one(6) {
            text.push_str(self.of(&[
                "# head\n",
                "\n",
                "---\n",
                "# a\n---\n# b\n",
                "%YAML 1.2\n---\n",
                "--- # c\n",
                "\u{feff}",
            ]));
        }
        let column = if self.one(6) { self.below(4) } else { 0 };
        match self.below(8) {
            0 => {
                let lead = self.of(&["", " ", "  ", "--- ", "--- &a ", "!t ", "&a "]);
                text.push_str(lead);
                self.value(&mut text, 0, 1);
            }
            _ => self.block(&mut text, column, 3, true),
        }
        if self.one(6) {
            text.push_str(self.of(&["# tail\n", "\n\n", "...\n", "  # tail\n", "   \n"]));
        }
        if self.one(5) {
            text.truncate(text.trim_end().len());
        }
        if self.one(8) { text.replace('\n', "\r\n") } else { text }
    }

    /// A block collection at a column; `fresh`: on a line of its own.
    fn block(&mut self, out: &mut String, column: usize, depth: usize, mut fresh: bool) {
        let is_list = self.one(3);
        let entries = 1 + self.below(3);
        for index in 0..entries {
            if fresh {
                self.trivia(out, column);
                out.push_str(&" ".repeat(column));
            }
            fresh = true;
            if is_list {
                out.push('-');
                if depth > 0 && self.one(3) {
                    let gap = 1 + usize::from(self.one(4)) * self.below(3);
                    out.push_str(&" ".repeat(gap));
                    self.block(out, column + 1 + gap, depth - 1, false);
                    continue;
                }
                self.behind(out, column, depth, true);
                continue;
            }
            let key = if self.one(12) {
                "<<"
            } else {
                self.of(&["a", "b", "\"q k\"", "'k'", "key", "1", "null", "&k k", "x y", "!!str s"])
            };
            match self.below(16) {
                0 => {
                    write!(out, "? {key}").expect("a text");
                    match self.below(3) {
                        0 => out.push('\n'),
                        1 => {
                            write!(out, "\n{}:", " ".repeat(column)).expect("a text");
                            self.behind(out, column, depth, false);
                        }
                        _ => {
                            write!(out, " # c\n{}:", " ".repeat(column)).expect("a text");
                            self.behind(out, column, depth, false);
                        }
                    }
                }
                1 if index > 0 => {
                    out.push_str("<<: *x");
                    out.push('\n');
                }
                choice => {
                    out.push_str(key);
                    if index > 0 && !key.ends_with(['"', '\'']) && choice > 2 {
                        write!(out, "{index}").expect("a text");
                    }
                    out.push_str(if choice == 3 { " :" } else { ":" });
                    self.behind(out, column, depth, false);
                }
            }
        }
    }

    fn trivia(&mut self, out: &mut String, column: usize) {
        if self.one(7) {
            match self.below(4) {
                0 => out.push('\n'),
                1 => out.push_str("# c\n"),
                2 => out.push_str("   \n"),
                _ => {
                    writeln!(out, "{}# own", " ".repeat(column)).expect("a text");
                }
            }
        }
    }

    /// What stands behind a colon or dash, with its line's end.
    fn behind(&mut self, out: &mut String, column: usize, depth: usize, in_list: bool) {
        if self.one(12) {
            out.push_str(self.of(&[" # c\n", "\n", "   \n", "\t# c\n"]));
            return;
        }
        if depth > 0 && self.one(3) {
            if self.one(6) {
                out.push_str(self.of(&[" &x", " !t", " &x !t", " !!map", " &y # c"]));
            }
            out.push_str(self.of(&["\n", "\n", "\n", " # c\n", " \n", "\n\n"]));
            let step = if in_list { 1 + self.below(4) } else { self.below(5) };
            self.block(out, column + step, depth - 1, true);
            return;
        }
        out.push_str(self.of(&[" ", " ", " ", " ", "  ", "\t"]));
        if self.one(10) {
            out.push_str(self.of(&["&x ", "!t ", "!!str ", "&y !t ", "!!int ", "&x\n     ", "# c\n     "]));
        }
        self.value(out, column, depth);
    }

    /// A value that begins on its line, with the line's end.
    fn value(&mut self, out: &mut String, column: usize, depth: usize) {
        match self.below(10) {
            0 | 1 => self.flow(out, depth.min(2), column),
            2 => {
                out.push_str(self.of(&["|", ">", "|-", ">-", "|+", ">+", "|2", "|-1", "| # c"]));
                out.push('\n');
                let pad = " ".repeat(column + 1 + self.below(3));
                for _ in 0..self.below(4) {
                    match self.below(6) {
                        0 => out.push('\n'),
                        1 => {
                            writeln!(out, "{pad}  more").expect("a text");
                        }
                        2 => {
                            writeln!(out, "{pad}# no comment").expect("a text");
                        }
                        _ => {
                            writeln!(out, "{pad}text").expect("a text");
                        }
                    }
                }
                return;
            }
            3 if self.one(3) => out.push_str("*x"),
            _ => {
                let scalar = self.of(&SCALARS);
                out.push_str(&scalar.replace('\n', &format!("\n{}", " ".repeat(column))));
            }
        }
        out.push_str(self.of(&["\n", "\n", "\n", "\n", " # c\n", " \n", "\n\n"]));
    }

    fn flow(&mut self, out: &mut String, depth: usize, column: usize) {
        let is_list = self.one(2);
        out.push(if is_list { '[' } else { '{' });
        let len = self.below(4);
        for index in 0..len {
            out.push_str(self.of(&["", " ", ""]));
            if self.one(8) {
                write!(out, "{}{}", self.of(&["\n", " # c\n"]), " ".repeat(column + 2)).expect("a text");
            }
            if !is_list || self.one(6) {
                let key = self.of(&["a", "b", "\"q\"", "? c", "'k'", ""]);
                write!(out, "{key}{index}").expect("a text");
                if key.starts_with('"') || key.starts_with('\'') {
                    out.truncate(out.len() - 1);
                }
                if !self.one(6) {
                    out.push_str(self.of(&[": ", ":\n      ", ": &x ", ": !t "]));
                    self.flow_value(out, depth, column);
                }
            } else {
                self.flow_value(out, depth, column);
            }
            if index + 1 < len || self.one(4) {
                out.push_str(self.of(&[",", ", ", " ,"]));
                if self.one(8) {
                    write!(out, " # t\n{}", " ".repeat(column + 2)).expect("a text");
                }
            }
        }
        out.push(if is_list { ']' } else { '}' });
    }

    fn flow_value(&mut self, out: &mut String, depth: usize, column: usize) {
        match self.below(8) {
            0 | 1 if depth > 0 => self.flow(out, depth - 1, column),
            2 => {}
            _ => out.push_str(&self.of(&SCALARS).replace('\n', &format!("\n{}", " ".repeat(column)))),
        }
    }
}
