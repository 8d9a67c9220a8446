//! One line of a log: `{"len":27,"sum":"<16 hex digits>","rec":<record>}`.
//!
//! The record stands there byte for byte as it was given, so that any JSON program can read the file; its length comes before it, so that
//! it is skipped without being parsed, and the first half of its BLAKE3 hash tells whether these are the bytes that were written.

use std::str;

/// Longest record in bytes.
pub(super) const RECORD_LIMIT: usize = 16 << 20;
/// What every line begins with.
pub(super) const OPENING: &[u8] = b"{\"len\":";
const MIDDLE: &[u8] = b",\"sum\":\"";
const BEFORE_RECORD: &[u8] = b"\",\"rec\":";
/// What every line ends with.
pub(super) const ENDING: &[u8] = b"}\n";
const SUM: usize = 16;
/// Longest head: [`RECORD_LIMIT`] has eight digits.
pub(super) const HEAD_LIMIT: usize = OPENING.len() + 8 + MIDDLE.len() + SUM + BEFORE_RECORD.len();
/// Longest line.
pub(super) const LINE_LIMIT: usize = HEAD_LIMIT + RECORD_LIMIT + ENDING.len();

/// Everything before the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// Its own length.
    pub(super) size: usize,
    /// The record's.
    pub(super) len: usize,
    pub(super) sum: [u8; SUM],
}

impl Head {
    /// Length of the line.
    pub(super) fn whole(&self) -> usize {
        self.size + self.len + ENDING.len()
    }

    pub(super) fn is_of(&self, record: &[u8]) -> bool {
        sum(&[record]) == self.sum
    }
}

/// What bytes at the beginning of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begin {
    Head(Head),
    /// They end within a head.
    Short,
    /// No line of ours begins so.
    Foreign,
}

/// The first 16 hex digits of the hash of these bytes.
pub(super) fn sum(parts: &[&[u8]]) -> [u8; SUM] {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    let mut digits = [0; SUM];
    digits.copy_from_slice(&hasher.finalize().to_hex().as_bytes()[..SUM]);
    digits
}

/// Adds the line of a record.
pub(super) fn append(out: &mut Vec<u8>, record: &[u8]) {
    out.extend_from_slice(OPENING);
    out.extend_from_slice(record.len().to_string().as_bytes());
    out.extend_from_slice(MIDDLE);
    out.extend_from_slice(&sum(&[record]));
    out.extend_from_slice(BEFORE_RECORD);
    out.extend_from_slice(record);
    out.extend_from_slice(ENDING);
}

/// Length of the line of a record of this length.
pub(super) fn len_of(record: usize) -> u64 {
    let digits = record.checked_ilog10().map_or(1, |log| log as usize + 1);
    (OPENING.len() + digits + MIDDLE.len() + SUM + BEFORE_RECORD.len() + record + ENDING.len()) as u64
}

/// Reads the head of a line.
pub(super) fn begin(bytes: &[u8]) -> Begin {
    let mut rest = bytes;
    if let Some(end) = literal(&mut rest, OPENING) {
        return end;
    }
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let too_many = digits > 8 || (digits > 1 && rest[0] == b'0');
    if too_many {
        return Begin::Foreign;
    }
    if digits == rest.len() {
        return Begin::Short;
    }
    let Some(len) = str::from_utf8(&rest[..digits]).ok().and_then(|text| text.parse::<usize>().ok()) else {
        return Begin::Foreign;
    };
    if len == 0 || len > RECORD_LIMIT {
        return Begin::Foreign;
    }
    rest = &rest[digits..];
    if let Some(end) = literal(&mut rest, MIDDLE) {
        return end;
    }
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let Some(digits) = rest.get(..SUM) else {
        return if rest.iter().all(is_digit) { Begin::Short } else { Begin::Foreign };
    };
    if !digits.iter().all(is_digit) {
        return Begin::Foreign;
    }
    let mut sum = [0; SUM];
    sum.copy_from_slice(digits);
    rest = &rest[SUM..];
    if let Some(end) = literal(&mut rest, BEFORE_RECORD) {
        return end;
    }
    Begin::Head(Head { size: bytes.len() - rest.len(), len, sum })
}

/// Takes a literal off; `Some`: it is not (whole) there.
fn literal(rest: &mut &[u8], wanted: &[u8]) -> Option<Begin> {
    if let Some(after) = rest.strip_prefix(wanted) {
        *rest = after;
        return None;
    }
    Some(if wanted.starts_with(rest) { Begin::Short } else { Begin::Foreign })
}

/// The record of a whole line that ends with its newline.
pub(super) fn record(line: &[u8]) -> Option<&[u8]> {
    let Begin::Head(head) = begin(line) else { return None };
    if head.whole() != line.len() || !line.ends_with(ENDING) {
        return None;
    }
    let record = &line[head.size..head.size + head.len];
    head.is_of(record).then_some(record)
}

/// Are these bytes what writers that were killed leave: beginnings of lines, one after the other, none of them whole?
pub(super) fn are_pieces(bytes: &[u8]) -> bool {
    // Pieces may end anywhere, so up to here another one may begin.
    let mut reach = 0;
    for at in memchr_all(bytes, b'{') {
        if at > reach {
            return false;
        }
        reach = reach.max(at + longest_piece(&bytes[at..]));
        if reach >= bytes.len() {
            return true;
        }
    }
    bytes.is_empty()
}

fn memchr_all(bytes: &[u8], wanted: u8) -> impl Iterator<Item = usize> + '_ {
    bytes.iter().enumerate().filter(move |(_, byte)| **byte == wanted).map(|(at, _)| at)
}

/// How many of these bytes can be the beginning of one line.
fn longest_piece(bytes: &[u8]) -> usize {
    match begin(bytes) {
        Begin::Short => bytes.len(),
        Begin::Head(head) => head.whole() - 1,
        // A beginning of a beginning is one, too, so the first length that is none ends it.
        Begin::Foreign => (1..bytes.len()).find(|len| begin(&bytes[..*len]) != Begin::Short).unwrap_or(bytes.len()) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(record: &str) -> Vec<u8> {
        let mut out = Vec::new();
        append(&mut out, record.as_bytes());
        out
    }

    /// STORE-8: the form of a line, which people and other programs read.
    #[test]
    fn the_form() {
        let text = String::from_utf8(line("{\"a\": 1}")).unwrap();
        let hash = blake3::hash(b"{\"a\": 1}").to_hex();
        assert_eq!(text, format!("{{\"len\":8,\"sum\":\"{}\",\"rec\":{{\"a\": 1}}}}\n", &hash[..16]));
        assert_eq!(record(text.as_bytes()), Some(&b"{\"a\": 1}"[..]));
    }

    /// STORE-8: no byte of a line can change without the line being found out.
    #[test]
    fn every_byte_counts() {
        let good = line("[1,2,\"three\"]");
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bad = good.clone();
                bad[at] ^= 1 << bit;
                assert_eq!(record(&bad), None, "bit {bit} of byte {at}");
            }
            assert_eq!(record(&[&good[..at], &good[at + 1..]].concat()), None, "byte {at} missing");
            assert_eq!(record(&[&good[..=at], &good[at..]].concat()), None, "byte {at} twice");
        }
    }

    /// STORE-8: every beginning of a line is a piece, two of them as well; a whole line is none, nor is anything else.
    #[test]
    fn pieces() {
        let good = line("{\"a\":[true,null]}");
        for end in 1..good.len() {
            assert!(are_pieces(&good[..end]), "{end}");
            for other in 1..good.len() {
                assert!(are_pieces(&[&good[..end], &good[..other]].concat()), "{end} {other}");
            }
        }
        assert!(!are_pieces(&good));
        let mut without_newline = good.clone();
        *without_newline.last_mut().unwrap() = b'X';
        assert!(!are_pieces(&without_newline));
        for foreign in
            ["x", "{\"lem", "{}", "{\"len\":0,", "{\"len\":01", "{\"len\":99999999,", "{\"len\":5,\"sum\":\"G"]
        {
            assert!(!are_pieces(foreign.as_bytes()), "{foreign}");
        }
    }
}
