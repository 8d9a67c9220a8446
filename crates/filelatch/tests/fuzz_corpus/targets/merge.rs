//! Three-way merges (MERGE-1, MERGE-2): what holds for any three contents.
//!
//! An input is a byte that chooses kind and algorithm, and base, ours and theirs with two zero bytes between them.

use std::collections::{BTreeMap, BTreeSet};

use filelatch::doc::{Document, Format};
use filelatch::merge::{Algorithm, ConflictStyle, Hunk, Kind, Markers, MergeOptions, Merged, merge};
use serde_json::Value;

use super::source::Source;

const KINDS: [Kind; 7] = [Kind::Lines, Kind::Json, Kind::Yaml, Kind::Toml, Kind::Markdown, Kind::Ini, Kind::Text];
/// Longer than any marker that an input may have.
const SIZE: usize = 41;

pub(crate) fn run(data: &[u8]) {
    let mut source = Source::new(data);
    let choice = source.byte();
    let (base, rest) = Source::split(source.rest());
    let (ours, rest) = Source::split(rest.rest());
    let theirs = rest.rest();
    let options = MergeOptions {
        kind: KINDS[usize::from(choice) % KINDS.len()],
        algorithm: if choice & 128 == 0 { Algorithm::Histogram } else { Algorithm::Myers },
        ..MergeOptions::default()
    };
    check(base, ours, theirs, &options);
}

fn check(base: &[u8], ours: &[u8], theirs: &[u8], options: &MergeOptions) {
    for (ours, theirs, expected) in [(base, theirs, theirs), (ours, base, ours), (ours, ours, ours)] {
        assert_eq!(merge(base, ours, theirs, options).content().as_deref(), Some(expected), "one side alone");
    }
    let merged = merge(base, ours, theirs, options);
    nothing_new_is_lost(&merged, base, ours, theirs);
    if let Some(content) = merged.content() {
        nothing_is_revived(&content, base, ours, theirs);
        documents_agree(&content, base, ours, theirs, options.kind);
    }
    shown(&merged, [base, ours, theirs]);
    same_both_ways(&merged, &merge(base, theirs, ours, options), options.kind);
}

/// A clean document parses if all three did, and holds what one side alone changed.
fn documents_agree(content: &[u8], base: &[u8], ours: &[u8], theirs: &[u8], kind: Kind) {
    let format = match kind {
        Kind::Json => Format::Jsonc,
        Kind::Yaml => Format::Yaml,
        Kind::Toml => Format::Toml,
        _ => return,
    };
    let values = [base, ours, theirs].map(|bytes| value(bytes, format));
    if let [Some(base), Some(ours), Some(theirs)] = &values {
        let found = value(content, format);
        let found = found.unwrap_or_else(|| panic!("does not parse:\n{}", String::from_utf8_lossy(content)));
        // An alias changes with its anchor.
        if !content.contains(&b'*') {
            changes(base, ours, theirs, &found);
        }
    }
}

/// The same verdict, and the same lines; of two blocks at one place ours comes first.
fn same_both_ways(merged: &Merged, swapped: &Merged, kind: Kind) {
    assert_eq!(merged.is_clean(), swapped.is_clean(), "the verdict depends on who is ours");
    assert_eq!(merged.method(), swapped.method(), "the method depends on who is ours");
    assert_eq!(merged.fallback().is_some(), swapped.fallback().is_some(), "the fallback depends on who is ours");
    // Neighbours may stand the other way round; a last line has its end or not.
    let told = |hunk: &Hunk| [bag(words(&hunk.base)), bag(words(&hunk.ours)), bag(words(&hunk.theirs))];
    let mut conflicts: Vec<_> = merged.conflicts().map(told).collect();
    let mut others: Vec<_> = swapped.conflicts().map(told).map(|[base, ours, theirs]| [base, theirs, ours]).collect();
    conflicts.sort();
    others.sort();
    assert!(conflicts == others, "conflicts depend on who is ours");
    if let (Some(content), Some(other)) = (merged.content(), swapped.content()) {
        // Which block ends a list decides about commas.
        let pieces = |bytes: &[u8]| match kind {
            Kind::Lines => bag(bytes.split(|&byte| byte == b'\n')),
            _ => bag(words(bytes)),
        };
        assert_eq!(pieces(&content), pieces(&other), "the result depends on who is ours");
    }
}

fn bag<'a>(items: impl Iterator<Item = &'a [u8]>) -> BTreeMap<Vec<u8>, usize> {
    let mut bag = BTreeMap::new();
    for item in items {
        *bag.entry(item.to_vec()).or_default() += 1;
    }
    bag
}

/// As many conflicts as are counted; without one the result is the content.
fn shown(merged: &Merged, inputs: [&[u8]; 3]) {
    let marker = [b'<'; SIZE];
    let has_marker = inputs.iter().any(|input| input.windows(SIZE).any(|window| window == marker));
    for style in [ConflictStyle::Merge, ConflictStyle::Diff3, ConflictStyle::Zdiff3] {
        let markers = Markers { style, size: SIZE, ..Markers::default() };
        let text = merged.render(&markers);
        let count = text.split(|&byte| byte == b'\n').filter(|line| line.starts_with(&marker)).count();
        assert!(has_marker || count == merged.shown(style), "{count} markers of {}", merged.shown(style));
        if let Some(content) = merged.content()
            && count == 0
        {
            assert_eq!(text, content);
        }
        assert!(merged.is_clean() || style == ConflictStyle::Merge || count > 0, "a conflict is not shown");
    }
}

/// Runs of letters and digits.
fn words(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| !byte.is_ascii_alphanumeric() && byte.is_ascii()).filter(|word| !word.is_empty())
}

/// A word that a side brought is in the result, or in the conflict that its side has.
fn nothing_new_is_lost(merged: &Merged, base: &[u8], ours: &[u8], theirs: &[u8]) {
    let result = merged.render(&Markers { style: ConflictStyle::Diff3, ..Markers::default() });
    let (result, base): (BTreeSet<_>, BTreeSet<_>) = (words(&result).collect(), words(base).collect());
    for word in words(ours).chain(words(theirs)) {
        let lost = !base.contains(word) && !result.contains(word);
        assert!(!lost, "`{}` is lost", String::from_utf8_lossy(word));
    }
}

/// What both sides removed is not in a clean result.
fn nothing_is_revived(content: &[u8], base: &[u8], ours: &[u8], theirs: &[u8]) {
    let here: BTreeSet<_> = words(ours).chain(words(theirs)).collect();
    let base: BTreeSet<_> = words(base).collect();
    for word in words(content) {
        let revived = base.contains(word) && !here.contains(word);
        assert!(!revived, "`{}` is back", String::from_utf8_lossy(word));
    }
}

fn value(bytes: &[u8], format: Format) -> Option<Value> {
    Document::parse(bytes, format).ok()?.value().ok().cloned()
}

/// What one side alone did to a value is done, at each path of keys.
fn changes(base: &Value, ours: &Value, theirs: &Value, found: &Value) {
    let mut left = vec![(String::new(), Some(base), Some(ours), Some(theirs), Some(found))];
    while let Some((path, base, ours, theirs, found)) = left.pop() {
        if base.is_none() && found.is_some() && (ours.is_none() || theirs.is_none()) {
            // A key that one side renamed takes along what the other changed in it.
        } else if ours == theirs {
            assert_eq!(found, ours, "both sides agree about `{path}`");
        } else if base == theirs {
            assert_eq!(found, ours, "only ours changed `{path}`");
        } else if base == ours {
            assert_eq!(found, theirs, "only theirs changed `{path}`");
        } else if let (Some(Value::Object(ours)), Some(Value::Object(theirs)), Some(Value::Object(found))) =
            (ours, theirs, found)
        {
            let base = base.and_then(Value::as_object);
            let keys: BTreeSet<&String> = ours.keys().chain(theirs.keys()).chain(found.keys()).collect();
            for key in keys {
                let base = base.and_then(|base| base.get(key));
                left.push((format!("{path}/{key}"), base, ours.get(key), theirs.get(key), found.get(key)));
            }
        } else if let (Some(Value::Array(ours)), Some(Value::Array(theirs)), Some(Value::Array(found))) =
            (ours, theirs, found)
        {
            let base = base.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            for item in ours.iter().chain(theirs).filter(|item| !item.is_object() && !item.is_array()) {
                assert!(
                    base.contains(item) || found.contains(item) || item.is_string(),
                    "{item} is lost from `{path}`"
                );
            }
        }
    }
}
