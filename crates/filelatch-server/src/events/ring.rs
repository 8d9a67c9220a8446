//! Messages in order, the newest of them.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;

/// Messages that are kept.
const KEPT: usize = 65_536;
/// Bytes of them.
const BYTES: usize = 8 << 20;

/// A message, put into words.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) text: Utf8Bytes,
    pub(crate) kind: Kind,
}

/// Whom a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Everybody.
    Told,
    /// Everybody who was there: who comes later is told how it is now.
    Presence,
    /// Those who asked for it.
    Audit,
}

/// What a reader gets.
#[derive(Clone, Debug)]
pub(crate) enum Read {
    /// What comes next; empty: nothing yet.
    Items(Vec<Item>),
    /// What came next is not kept any more. The reader is at the end now.
    Missed,
}

/// Where somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    /// Number of the last message that was read.
    pub(crate) at: u64,
    /// Messages are missing before what comes next.
    pub(crate) reset: bool,
}

#[derive(Debug)]
pub(crate) struct Ring {
    /// Drawn at random for each life of the server.
    run: u64,
    /// Number of the last message.
    last: u64,
    items: VecDeque<Item>,
    bytes: usize,
    kept: usize,
}

impl Ring {
    pub(crate) fn new(run: u64) -> Ring {
        Ring { run, last: 0, items: VecDeque::new(), bytes: 0, kept: KEPT }
    }

    /// Adds a message; `make` is given its cursor.
    pub(crate) fn push(&mut self, kind: Kind, make: impl FnOnce(&str) -> String) {
        self.last += 1;
        let text = Utf8Bytes::from(make(&self.cursor(self.last)));
        self.bytes += text.len() + size_of::<Item>();
        self.items.push_back(Item { text, kind });
        while self.items.len() > self.kept || self.bytes > BYTES {
            let Some(gone) = self.items.pop_front() else { break };
            self.bytes -= gone.text.len() + size_of::<Item>();
        }
    }

    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Number of the oldest message that is kept, or of the next one.
    fn first(&self) -> u64 {
        self.last + 1 - self.items.len() as u64
    }

    pub(crate) fn cursor(&self, number: u64) -> String {
        format!("{:016x}-{number}", self.run)
    }

    /// Where reading goes on after a cursor; without one at the end.
    pub(crate) fn position(&self, cursor: Option<&str>) -> Position {
        let Some(cursor) = cursor else { return Position { at: self.last, reset: false } };
        let number = cursor.split_once('-').and_then(|(run, number)| {
            let own = run.len() == 16 && u64::from_str_radix(run, 16) == Ok(self.run);
            number.parse().ok().filter(|number| own && (self.first() - 1..=self.last).contains(number))
        });
        number.map_or(Position { at: self.last, reset: true }, |at| Position { at, reset: false })
    }

    /// What comes after `at`, at most so many.
    pub(crate) fn read(&self, at: &mut u64, most: usize) -> Read {
        if *at + 1 < self.first() {
            *at = self.last;
            return Read::Missed;
        }
        let skip = usize::try_from(*at + 1 - self.first()).unwrap_or(usize::MAX);
        let items: Vec<_> = self.items.iter().skip(skip).take(most).cloned().collect();
        *at += items.len() as u64;
        Read::Items(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(messages: u64) -> Ring {
        let mut ring = Ring { kept: 10, ..Ring::new(7) };
        (0..messages).for_each(|_| ring.push(Kind::Told, str::to_owned));
        ring
    }

    fn texts(read: &Read) -> Option<Vec<String>> {
        match read {
            Read::Items(items) => Some(items.iter().map(|item| item.text.to_string()).collect()),
            Read::Missed => None,
        }
    }

    /// SERVE-4: after a cursor comes everything once and in order, or the reader is told that something is missing.
    #[test]
    fn nothing_is_left_out() {
        let ring = ring(25);
        for (cursor, at, reset) in [
            (None, 25, false),
            (Some(ring.cursor(25)), 25, false),
            (Some(ring.cursor(15)), 15, false),
            (Some(ring.cursor(14)), 25, true),
            (Some(ring.cursor(26)), 25, true),
            (Some("0000000000000008-20".to_owned()), 25, true),
            (Some("7-20".to_owned()), 25, true),
            (Some("0000000000000007-".to_owned()), 25, true),
            (Some(String::new()), 25, true),
        ] {
            assert_eq!(ring.position(cursor.as_deref()), Position { at, reset }, "{cursor:?}");
        }
        let mut at = 15;
        assert_eq!(texts(&ring.read(&mut at, 3)).unwrap(), [ring.cursor(16), ring.cursor(17), ring.cursor(18)]);
        assert_eq!(texts(&ring.read(&mut at, 100)).unwrap().len(), 7);
        assert_eq!(texts(&ring.read(&mut at, 100)).unwrap().len(), 0);
        let mut slow = 14;
        assert_eq!((texts(&ring.read(&mut slow, 3)), slow), (None, 25));
    }

    /// SERVE-4: nothing was ever told: every cursor but the first is unknown.
    #[test]
    fn empty() {
        let ring = ring(0);
        assert_eq!(ring.position(Some(&ring.cursor(0))), Position { at: 0, reset: false });
        assert_eq!(ring.position(Some(&ring.cursor(1))), Position { at: 0, reset: true });
        assert_eq!(texts(&ring.read(&mut 0, 1)).unwrap().len(), 0);
    }

    /// SERVE-4: long messages do not take more memory than short ones.
    #[test]
    fn bounded_by_bytes() {
        let mut ring = Ring::new(1);
        (0..20).for_each(|_| ring.push(Kind::Told, |_| "x".repeat(1 << 20)));
        assert!(ring.items.len() < 8, "{}", ring.items.len());
        let mut at = 0;
        assert!(matches!(ring.read(&mut at, 1), Read::Missed));
        assert_eq!(at, 20);
    }
}
