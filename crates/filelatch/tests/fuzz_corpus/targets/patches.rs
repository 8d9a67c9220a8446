//! Merge patches (RFC 7396) and JSON patches (RFC 6902) against their plain definitions. Input: the format's number, a document, a patch.

use filelatch::doc::{DocError, Document, Format};
use serde_json::Value;

use super::model::{self, same};
use super::source::Source;

pub(crate) fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    let format = [Format::Json, Format::Yaml, Format::Toml][usize::from(*first) % 3];
    let (text, source) = Source::split(data);
    let Ok(patch) = serde_json::from_slice::<Value>(source.rest()) else { return };
    let Ok(before) = Document::parse(text, format).and_then(|document| document.value().cloned()) else { return };

    let mut wanted = before.clone();
    model::merge(&mut wanted, &patch);
    check(text, format, "merge", &before, Some(wanted), |document| document.merge_patch(&patch));

    let mut wanted = before.clone();
    let possible = model::patch(&mut wanted, &patch).is_ok();
    check(text, format, "patch", &before, possible.then_some(wanted), |document| document.json_patch(&patch));
}

fn check(
    text: &[u8],
    format: Format,
    what: &str,
    before: &Value,
    wanted: Option<Value>,
    change: impl FnOnce(&mut Document) -> Result<(), DocError>,
) {
    let mut document = Document::parse(text, format).expect("it parsed before");
    match (change(&mut document), wanted) {
        (Ok(()), Some(wanted)) => {
            assert!(same(document.value().expect("it had a value"), &wanted), "{what}: {document:?} is not {wanted}");
            match document.render() {
                Ok(bytes) => {
                    let read = Document::parse(&bytes, format).expect("a rendered document parses");
                    assert!(same(read.value().expect("a value"), &wanted), "{what}: not {wanted}");
                }
                Err(DocError::Unrepresentable { .. } | DocError::Shared { .. }) => {}
                Err(e) => panic!("{what}: {e}"),
            }
        }
        (Ok(()), None) => panic!("{what}: not possible, and yet made, of {before}"),
        (Err(e), wanted) => {
            let can_not_be_said = matches!(e, DocError::Shared { .. } | DocError::Unrepresentable { .. });
            let message = e.to_string();
            let shared = message.contains("cannot be changed on its own") || message.contains("cannot express");
            assert!(wanted.is_none() || can_not_be_said || shared, "{what} of {before}: {message}");
            // All of it or nothing.
            assert_eq!(document.value(), Ok(before), "{what}: {message}");
            assert_eq!(document.render().as_deref(), Ok(text), "{what}: {message}");
        }
    }
}
