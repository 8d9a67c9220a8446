//! Decisions from bytes. What is not there is 0, so that every input is a whole program.

use serde_json::{Map, Number, Value};

/// Between a text and the decisions about it.
const SEPARATOR: &[u8] = b"\0\0";

/// Texts that formats stumble over.
const STRINGS: [&str; 32] = [
    "",
    "a",
    "b",
    "key",
    "null",
    "~",
    "true",
    "no",
    "1",
    "1.0",
    "0x1f",
    "1979-05-27",
    "07:32:00",
    ".inf",
    "a b",
    " a",
    "a ",
    "a: b",
    "a #b",
    "- a",
    "#",
    "'",
    "\"",
    "\\",
    "\n",
    "a\nb\n",
    "\r\n",
    "\t",
    "é\u{2028}",
    "\u{85}\u{7f}",
    "\u{feff}",
    "<<",
];

/// Numbers that formats stumble over.
const NUMBERS: [&str; 16] = [
    "0",
    "1",
    "-1",
    "42",
    "1.0",
    "-0",
    "-0.0",
    "1.5",
    "1e5",
    "1E+400",
    "0.1e-7",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "123456789012345678901234567890.5",
];

/// Bytes that are read from the front.
pub(crate) struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Source(bytes)
    }

    /// The text before the first separator, and the decisions behind it.
    pub(crate) fn split(data: &'a [u8]) -> (&'a [u8], Source<'a>) {
        match data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR) {
            Some(at) => (&data[..at], Source(&data[at + SEPARATOR.len()..])),
            None => (data, Source(&[])),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// Below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        if bound <= 1 { 0 } else { usize::from(self.byte()) % bound }
    }

    pub(crate) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// One of the known texts, or one made of the bytes themselves.
    pub(crate) fn string(&mut self) -> String {
        let choice = self.below(STRINGS.len() + 8);
        if let Some(known) = STRINGS.get(choice) {
            return (*known).to_owned();
        }
        let len = self.below(12).min(self.0.len());
        let (own, rest) = self.0.split_at(len);
        self.0 = rest;
        String::from_utf8_lossy(own).into_owned()
    }

    pub(crate) fn value(&mut self, depth: usize) -> Value {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => Value::String(self.string()),
            1 => number(self.one_of(&NUMBERS)),
            2 => Value::Bool(self.byte() & 1 == 1),
            3 => Value::Null,
            4 => number(&self.byte().to_string()),
            5 => {
                let len = self.below(4);
                Value::Array((0..len).map(|_| self.value(depth - 1)).collect())
            }
            _ => {
                let len = self.below(4);
                Value::Object((0..len).map(|_| (self.string(), self.value(depth - 1))).collect::<Map<_, _>>())
            }
        }
    }

    /// A path to something in `value`, or to a place where something may be added, or to nowhere.
    pub(crate) fn pointer(&mut self, value: &Value) -> String {
        let (mut pointer, mut here) = (String::new(), value);
        loop {
            let choice = self.below(8);
            let step = match here {
                Value::Object(map) if choice > 1 && !map.is_empty() => {
                    map.iter().nth(self.below(map.len().min(256))).map(|(key, value)| (key.clone(), Some(value)))
                }
                Value::Array(items) if choice > 1 && !items.is_empty() => {
                    let index = self.below(items.len().min(256));
                    Some((index.to_string(), items.get(index)))
                }
                Value::Object(_) if choice == 1 => Some((self.string(), None)),
                Value::Array(items) if choice == 1 => {
                    let end = items.len().to_string();
                    Some((self.one_of(&["-", &end, "01", "x"]).to_owned(), None))
                }
                _ => None,
            };
            let Some((token, next)) = step else { return pointer };
            pointer.push('/');
            pointer.push_str(&token.replace('~', "~0").replace('/', "~1"));
            let Some(next) = next else { return pointer };
            here = next;
        }
    }
}

fn number(text: &str) -> Value {
    Value::Number(serde_json::from_str::<Number>(text).expect("a number"))
}
