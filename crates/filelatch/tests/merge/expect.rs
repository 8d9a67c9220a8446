//! What a case expects of a merge.

use filelatch::merge::{Kind, Markers, MergeOptions, Merged, merge};

pub(crate) fn run(kind: Kind, base: &str, ours: &str, theirs: &str) -> Merged {
    let options = MergeOptions { kind, ..MergeOptions::default() };
    merge(base.as_bytes(), ours.as_bytes(), theirs.as_bytes(), &options)
}

pub(crate) fn text(merged: &Merged) -> String {
    String::from_utf8(merged.render(&Markers::default())).unwrap()
}

/// Clean, with this result, whoever is called ours.
#[track_caller]
pub(crate) fn fits(kind: Kind, base: &str, ours: &str, theirs: &str, expected: &str) {
    fits_in_order(kind, base, ours, theirs, expected);
    fits_in_order(kind, base, theirs, ours, expected);
}

/// Clean, with ours before theirs.
#[track_caller]
pub(crate) fn fits_in_order(kind: Kind, base: &str, ours: &str, theirs: &str, expected: &str) {
    let merged = run(kind, base, ours, theirs);
    assert!(merged.is_clean(), "{}\n{:?}", text(&merged), merged.fallback());
    assert_eq!(text(&merged), expected);
    assert!(run(kind, base, theirs, ours).is_clean());
}

/// A conflict, shown so, whoever is called ours.
#[track_caller]
pub(crate) fn clashes(kind: Kind, base: &str, ours: &str, theirs: &str, expected: &str) {
    let merged = run(kind, base, ours, theirs);
    assert!(!merged.is_clean(), "{}", text(&merged));
    assert_eq!(text(&merged), expected);
    assert!(!run(kind, base, theirs, ours).is_clean());
}
