//! Documents (VER-10, VER-6, VER-7): an edited text, parsed again, is the value edited; what is not touched keeps its bytes; a settled document
//! is the document of its bytes. The check by the second parser must never have to step in:
//! that would be a bug of an editor.

use filelatch::doc::{DocError, Document, Format};
use filelatch::fuzzing;
use serde_json::Value;

use super::model::{self, same};
use super::source::Source;

/// Edits of one input.
const STEPS: usize = 16;

pub(crate) fn run(format: Format, data: &[u8]) {
    let (text, mut source) = Source::split(data);
    let parsed = Document::parse(text, format);
    if matches!(format, Format::Json | Format::Jsonc) {
        like_serde(text, &parsed);
    }
    let Ok(mut document) = parsed else { return };
    assert!(!document.is_changed());
    assert_eq!(document.render().as_deref(), Ok(text), "an unchanged document changed");
    let Ok(value) = document.value().cloned() else { return };
    nothing_changes(text, format, &value);
    small_edits(text, format, &value, &mut source);
    let Some((bytes, value, twin)) = edit(&mut document, value, &mut source) else { return };
    // Once more, on the document that became of it and on one that is parsed afresh: no difference may show.
    let mut fresh = Document::parse(&bytes, format).expect("a rendered document parses");
    let Some(mut twin) = twin else { return };
    let script = source.rest();
    let one = edit(&mut twin, value.clone(), &mut Source::new(script));
    let two = edit(&mut fresh, value, &mut Source::new(script));
    assert_eq!(one.map(|(bytes, ..)| text_of(&bytes)), two.map(|(bytes, ..)| text_of(&bytes)), "a settled document");
}

/// A second opinion about strict JSON.
fn like_serde(text: &[u8], parsed: &Result<Document, DocError>) {
    let Ok(theirs) = serde_json::from_slice::<Value>(text) else { return };
    let ours = match parsed {
        Ok(document) => document.value(),
        Err(DocError::Parse { message, .. }) if message.contains("levels deep") => return,
        Err(e) => panic!("strict JSON is refused: {e}"),
    };
    match ours {
        Ok(ours) => assert_eq!(ours, &theirs),
        Err(DocError::DuplicateKey { .. }) => {}
        Err(e) => panic!("strict JSON has no value: {e}"),
    }
}

/// An update that changes no value changes no byte.
fn nothing_changes(text: &[u8], format: Format, value: &Value) {
    let mut document = Document::parse(text, format).expect("it parsed before");
    document.replace(value.clone()).expect("the same value");
    assert!(!document.is_changed());
    assert_eq!(document.render().as_deref(), Ok(text));
}

/// One small value for another leaves all other lines alone; a new field takes nothing away.
fn small_edits(text: &[u8], format: Format, value: &Value, source: &mut Source<'_>) {
    let pointer = source.pointer(value);
    let mut document = Document::parse(text, format).expect("it parsed before");
    match value.pointer(&pointer) {
        Some(Value::Number(_) | Value::Bool(_)) if !pointer.is_empty() => {
            let edited = document.set(&pointer, source.byte().into()).and_then(|()| document.render());
            let Some(bytes) = accepted(edited) else { return };
            let (old, new) = (lines(text), lines(&bytes));
            let changed = old.iter().zip(&new).filter(|(old, new)| old != new).count();
            // What a merge key brings is overridden by a line of its own.
            let merged = text.windows(2).any(|two| two == b"<<");
            assert!(
                merged || old.len() == new.len() && changed <= 1,
                "{}\n--- became ---\n{}",
                text_of(text),
                text_of(&bytes)
            );
        }
        Some(Value::Object(map)) => {
            let mut key = source.string();
            while map.contains_key(&key) {
                key.push('k');
            }
            let pointer = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
            let edited = document.set(&pointer, source.value(1)).and_then(|()| document.render());
            let Some(bytes) = accepted(edited) else { return };
            let mut new = bytes.iter();
            let kept = text.iter().filter(|b| !b.is_ascii_whitespace()).all(|old| new.any(|new| new == old));
            assert!(kept, "{}\n--- lost by adding `{key}` ---\n{}", text_of(text), text_of(&bytes));
        }
        _ => {}
    }
}

/// Applies edits to document and model side by side, and compares after each. The bytes, the value and, if it could settle, the document of
/// the bytes; `None` where the format can't say it.
fn edit(
    document: &mut Document,
    mut value: Value,
    source: &mut Source<'_>,
) -> Option<(Vec<u8>, Value, Option<Document>)> {
    let mut saved = Vec::new();
    let mut said = vec![document.render().map_or_else(|e| e.to_string(), |bytes| text_of(&bytes))];
    for _ in 0..STEPS {
        if source.is_empty() {
            break;
        }
        let mut wanted = value.clone();
        let choice = source.below(12);
        let (result, model) = match choice {
            0..=3 => {
                let (pointer, new) = (source.pointer(&value), source.value(2));
                said.push(format!("set {pointer:?} to {new}"));
                (document.set(&pointer, new.clone()), model::set(&mut wanted, &pointer, new))
            }
            4 | 5 => {
                let (pointer, new) = (source.pointer(&value), source.value(2));
                said.push(format!("insert {pointer:?}: {new}"));
                (document.insert(&pointer, new.clone()), model::insert(&mut wanted, &pointer, new))
            }
            6..=8 => {
                let pointer = source.pointer(&value);
                said.push(format!("remove {pointer:?}"));
                let removed = document.remove(&pointer);
                let there = model::get(&value, &pointer).ok().flatten();
                if let Ok(removed) = &removed {
                    assert_eq!(removed, &there, "what was removed at `{pointer}`");
                }
                let model = if there.is_some() { model::remove(&mut wanted, &pointer) } else { Ok(()) };
                (removed.map(drop), model)
            }
            9 => {
                for _ in 0..source.below(4) {
                    let (pointer, new) = (source.pointer(&wanted), source.value(2));
                    model::insert(&mut wanted, &pointer, new).ok();
                }
                said.push(format!("replace by {wanted}"));
                (document.replace(wanted.clone()), Ok(()))
            }
            10 => {
                document.savepoint();
                saved.push(value.clone());
                (Ok(()), Ok(()))
            }
            _ => {
                let Some(before) = saved.pop() else { continue };
                if source.byte() & 1 == 1 {
                    document.release();
                } else {
                    document.rollback();
                    wanted = before;
                }
                (Ok(()), Ok(()))
            }
        };
        match (result, model) {
            (Ok(()), Ok(())) => value = wanted,
            (Ok(()), Err(_)) => panic!("an edit ({choice}) that is not possible was made of {value}"),
            (Err(DocError::Pointer { .. }), Err(_))
            | (Err(DocError::Shared { .. } | DocError::Unrepresentable { .. }), _) => {}
            (Err(e), _) => panic!("edit {choice} of {value}: {e}"),
        }
        assert_eq!(document.value().expect("it had a value"), &value, "after edit {choice}");
    }
    let bytes = accepted_after(document.render(), &said)?;
    let format = document.format();
    let read = Document::parse(&bytes, format).unwrap_or_else(|e| panic!("{e}: {}", text_of(&bytes)));
    let found = read.value().unwrap_or_else(|e| panic!("{e}: {}", text_of(&bytes)));
    assert!(same(found, &value), "wanted {value}\nfound  {found}\nin {}", text_of(&bytes));
    let value = found.clone();
    let (settled_bytes, settled) = fuzzing::settle(document).expect("it rendered");
    assert_eq!(text_of(&settled_bytes), text_of(&bytes), "settled and rendered");
    if !settled {
        return Some((bytes, value, None));
    }
    assert_eq!(document.value(), Ok(&value));
    assert_eq!(document.render().as_ref(), Ok(&bytes));
    let mut twin = Document::parse(&bytes, format).expect("it parsed");
    std::mem::swap(&mut twin, document);
    Some((bytes, value, Some(twin)))
}

/// What a format can't say is refused; that an editor was wrong is not an answer.
fn accepted(result: Result<Vec<u8>, DocError>) -> Option<Vec<u8>> {
    accepted_after(result, &[])
}

fn accepted_after(result: Result<Vec<u8>, DocError>, said: &[String]) -> Option<Vec<u8>> {
    match result {
        Ok(bytes) => Some(bytes),
        Err(DocError::Unrepresentable { .. } | DocError::Shared { .. } | DocError::DuplicateKey { .. }) => None,
        Err(e) => panic!("{e}: {}", said.join("\n- ")),
    }
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split(|b| *b == b'\n').collect()
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
