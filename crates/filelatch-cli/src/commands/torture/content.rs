//! What the files hold: contents that are unique, that tell which changes are in them, and that contradict themselves when they are
//! torn.
//!
//! Text: a first line with length and checksum of the rest. JSON: a checksum of the list of changes.

use filelatch::Version;
use filelatch_testkit::operations::OpId;
use serde_json::{Value, json};

/// A file that gets longer than this is left alone, and the next one begun.
pub(super) const FULL: usize = 64 << 10;

/// A kind of file, by what is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Replaced as a whole, if it is what was read.
    Register,
    /// Lines are appended.
    Log,
    /// A JSON document whose list grows.
    Document,
}

impl Kind {
    /// A file's kind by its name; `None`: not one of ours.
    pub(super) fn of(file: &str) -> Option<Kind> {
        let kinds = [("register-", Kind::Register), ("log-", Kind::Log), ("state-", Kind::Document)];
        kinds.into_iter().find(|(prefix, _)| file.starts_with(prefix)).map(|(_, kind)| kind)
    }

    pub(super) fn file(self, number: usize) -> String {
        match self {
            Kind::Register => format!("register-{number}.txt"),
            Kind::Log => format!("log-{number}.txt"),
            Kind::Document => format!("state-{number}.json"),
        }
    }

    /// The changes that are in a content, in its order, if it is of a kind that tells; or what is wrong with it.
    pub(super) fn changes(self, bytes: &[u8]) -> Result<Option<Vec<OpId>>, String> {
        match self {
            Kind::Register => unsealed(bytes).map(|_| None),
            Kind::Log => unsealed(bytes)?.lines().map(id).collect::<Result<_, _>>().map(Some),
            Kind::Document => {
                let value: Value =
                    serde_json::from_slice(bytes).map_err(|e| format!("{} bytes are not JSON: {e}", bytes.len()))?;
                let list = value["changes"].as_array().ok_or("the list of changes is missing")?;
                let ids = list.iter().map(|one| one.as_str().ok_or("a change is not text".to_owned()).and_then(id));
                let ids = ids.collect::<Result<Vec<_>, _>>()?;
                let sum = checksum_of(&ids);
                if value["checksum"] != sum {
                    return Err(format!("the checksum is {}, not {sum}", value["checksum"]));
                }
                Ok(Some(ids))
            }
        }
    }
}

fn id(line: &str) -> Result<OpId, String> {
    let word = line.split(' ').next().unwrap_or_default();
    word.parse().map_err(|()| format!("{word:?} is not the name of a change"))
}

/// Puts the first line in front.
pub(super) fn sealed(body: &str) -> Vec<u8> {
    format!("{} bytes, {}\n{body}", body.len(), Version::of(body.as_bytes()).short()).into_bytes()
}

/// What is behind the first line, if it is what that says.
pub(super) fn unsealed(bytes: &[u8]) -> Result<&str, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| format!("{} bytes are not text", bytes.len()))?;
    let (first, body) = text.split_once('\n').ok_or_else(|| format!("{} bytes without a line", bytes.len()))?;
    let is = format!("{} bytes, {}", body.len(), Version::of(body.as_bytes()).short());
    if first == is { Ok(body) } else { Err(format!("its first line says {first:?}, the rest is {is:?}")) }
}

/// The document before its first change.
pub(super) fn empty_document() -> Value {
    json!({"changes": [], "checksum": checksum_of(&[])})
}

/// For a document with these changes.
pub(super) fn checksum_of(ids: &[OpId]) -> String {
    let text: Vec<_> = ids.iter().map(ToString::to_string).collect();
    Version::of(text.join(" ").as_bytes()).short()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// TEST-2: a content that is cut off, mixed with another, or of another length is seen to be.
    #[test]
    fn test_2_torn_contents_contradict_themselves() {
        let one = sealed("0#1 aaaa\n0#2 bb\n");
        assert_eq!(Kind::Log.changes(&one).unwrap().unwrap().len(), 2);
        let other = sealed("0#1 aaaa\n0#3 cc\n");
        for cut in 0..one.len() {
            assert!(Kind::Log.changes(&one[..cut]).is_err(), "{cut}");
            let mixed = [&one[..cut], &other[cut..]].concat();
            assert!(mixed == one || mixed == other || Kind::Log.changes(&mixed).is_err(), "{cut}");
        }
        let mut value = empty_document();
        assert_eq!(Kind::Document.changes(value.to_string().as_bytes()), Ok(Some(Vec::new())));
        value["changes"] = json!(["1#1"]);
        assert!(Kind::Document.changes(value.to_string().as_bytes()).is_err());
        for kind in [Kind::Register, Kind::Log, Kind::Document] {
            assert_eq!(Kind::of(&kind.file(7)), Some(kind));
        }
    }
}
