//! Documents of which each side changes other places: everything must be there, whoever is asked.

use std::collections::BTreeSet;

use filelatch::doc::{Document, Format};
use filelatch::merge::{Kind, MergeOptions, merge};
use serde_json::{Map, Value, json};

use crate::cases::Numbers;

const CASES: u64 = 150;
const CASES_IN_FULL: u64 = 20_000;

fn value(numbers: &mut Numbers, depth: usize) -> Value {
    match numbers.below(if depth < 3 { 8 } else { 5 }) {
        0 => json!(numbers.below(1000)),
        1 => json!(numbers.once_in(2)),
        2 | 3 => json!(format!("word{} word{}", numbers.below(1000), numbers.below(1000))),
        4 => Value::Array((0..numbers.below(4)).map(|at| json!(format!("item{at}-{}", numbers.below(1000)))).collect()),
        5 => Value::Array(
            (0..=numbers.below(4))
                .map(|at| json!({"name": format!("name{at}"), "port": numbers.below(9000), "on": numbers.once_in(2)}))
                .collect(),
        ),
        _ => {
            let fields = 1 + numbers.below(6);
            Value::Object((0..fields).map(|at| (format!("key{at}"), value(numbers, depth + 1))).collect())
        }
    }
}

/// All places of a value that can be changed, as JSON pointers; not those in lists, whose numbers shift.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if let Value::Object(fields) = value {
        for (name, field) in fields {
            let place = format!("{at}/{name}");
            places(field, &place, found);
            found.push(place);
        }
    }
}

/// One change of one place.
#[derive(Clone, Debug)]
enum Edit {
    Set(Value),
    Remove,
    Add(String, Value),
}

fn edits(numbers: &mut Numbers, places: &[String], who: &str) -> Vec<(String, Edit)> {
    let mut taken: BTreeSet<&String> = BTreeSet::new();
    let mut edits = Vec::new();
    for _ in 0..=numbers.below(4) {
        let place = &places[numbers.below(places.len())];
        // No two changes of one side above each other.
        if taken.iter().any(|other| within(other, place) || within(place, other)) {
            continue;
        }
        taken.insert(place);
        let edit = match numbers.below(5) {
            0 => Edit::Remove,
            1 | 2 => Edit::Set(json!(format!("{who}-{}", numbers.below(1_000_000)))),
            _ => Edit::Add(
                format!("{who}{}", numbers.below(1000)),
                json!(format!("{who} added this {}", numbers.below(99))),
            ),
        };
        edits.push((place.clone(), edit));
    }
    edits
}

fn within(inner: &str, outer: &str) -> bool {
    inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
}

/// Makes the changes in a document; a field is added beside the place.
fn apply(base: &[u8], format: Format, edits: &[(String, Edit)]) -> Option<Vec<u8>> {
    let mut document = Document::parse(base, format).unwrap();
    for (place, edit) in edits {
        let done = match edit {
            Edit::Set(value) => document.set(place, value.clone()),
            Edit::Remove => document.remove(place).map(drop),
            Edit::Add(name, value) => {
                let (parent, _) = place.rsplit_once('/').unwrap();
                document.set(&format!("{parent}/{name}"), value.clone())
            }
        };
        done.ok()?;
    }
    document.render().ok()
}

fn content(value: &Value, format: Format) -> Option<Vec<u8>> {
    let mut document = Document::new_with(value, format).ok()?;
    document.render().ok()
}

fn parsed(bytes: &[u8], format: Format) -> Value {
    Document::parse(bytes, format).unwrap().value().unwrap().clone()
}

/// MERGE-2, MERGE-6: changes of different places come together, all of them, in every format; with ours and theirs exchanged the
/// result means the same; where one side deletes what the other changes, nothing is merged in silence.
#[test]
fn changes_of_different_places_are_all_there() {
    let cases = if std::env::var_os("FILELATCH_FULL").is_some() { CASES_IN_FULL } else { CASES };
    let (mut merged, mut refused) = (0, 0);
    for (format, kind) in [(Format::Json, Kind::Json), (Format::Yaml, Kind::Yaml), (Format::Toml, Kind::Toml)] {
        for seed in 0..cases {
            let mut numbers = Numbers(seed);
            let fields: Map<String, Value> =
                (0..3 + numbers.below(6)).map(|at| (format!("top{at}"), value(&mut numbers, 0))).collect();
            let base_value = Value::Object(fields);
            let Some(base) = content(&base_value, format) else { continue };
            let mut all = Vec::new();
            places(&base_value, "", &mut all);
            let ours_edits = edits(&mut numbers, &all, "ours");
            let theirs_edits = edits(&mut numbers, &all, "theirs");
            let both: Vec<_> = ours_edits.iter().chain(&theirs_edits).cloned().collect();
            let (Some(ours), Some(theirs)) = (apply(&base, format, &ours_edits), apply(&base, format, &theirs_edits))
            else {
                continue;
            };
            let disjoint = ours_edits
                .iter()
                .all(|(ours, _)| theirs_edits.iter().all(|(theirs, _)| !within(ours, theirs) && !within(theirs, ours)));
            let options = MergeOptions { kind, ..MergeOptions::default() };
            let result = merge(&base, &ours, &theirs, &options);
            let exchanged = merge(&base, &theirs, &ours, &options);
            let told = || format!("seed {seed}, {format:?}\n{}", String::from_utf8_lossy(&base));
            assert_eq!(result.is_clean(), exchanged.is_clean(), "{}", told());
            let Some(bytes) = result.content() else {
                refused += usize::from(disjoint);
                continue;
            };
            merged += usize::from(disjoint);
            assert_eq!(parsed(&bytes, format), parsed(&exchanged.content().unwrap(), format), "{}", told());
            let wanted = if disjoint { apply(&base, format, &both) } else { None };
            if let Some(wanted) = wanted {
                assert_eq!(parsed(&bytes, format), parsed(&wanted, format), "{}", told());
            } else {
                // What one side set is there, or the other side did the same.
                for (place, edit) in &both {
                    if let Edit::Set(value) = edit {
                        assert_eq!(parsed(&bytes, format).pointer(place), Some(value), "{place}, {}", told());
                    }
                }
            }
        }
    }
    assert!(merged > 20 * refused, "{merged} merged, {refused} refused although the changes are of different places");
}
