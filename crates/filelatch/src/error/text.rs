//! Parts of the sentences that errors are told in.

use std::io;
use std::time::Duration;

use crate::lock::Holder;
use crate::many::FileOutcome;

/// The system's message without Rust's `(os error 13)`.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    // Only the first letter: the rest may hold a name.
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

pub(super) fn overtaken(current: Option<u64>, token: u64, holder: Option<&Holder>) -> String {
    match (current, holder) {
        (Some(current), Some(holder)) => format!(": number {current} is {}", held_by(std::slice::from_ref(holder))),
        (Some(current), None) if current != token => format!(": there was a later one (number {current})"),
        _ => ": its time is over, or it was given back".to_owned(),
    }
}

pub(super) fn partly(applied: &crate::many::Applied) -> String {
    let left = applied.files.iter().filter(|file| matches!(file.outcome, FileOutcome::Conflict { .. }));
    let names: Vec<_> = left.map(|file| format!("`{}`", file.path.display())).collect();
    let names = names.join(", ");
    format!("another program has changed {names} meanwhile, which was left as it is; the other files are written")
}

pub(super) fn several(matches: usize) -> String {
    if matches > 1 { format!(": {matches} begin so") } else { String::new() }
}

pub(super) fn held_by(holders: &[Holder]) -> String {
    match holders {
        [] => "held by a program that keeps no record".to_owned(),
        [one] => format!("held by {one}"),
        // Who waits for a record cannot be told from who has one.
        [one, others @ ..] if one.records => {
            format!("held by {one}, or by one of {} others that lock records of it", others.len())
        }
        [one, others @ ..] => format!("held by {one} and {} more", others.len()),
    }
}

/// `1.5 s`, `200 ms`.
pub(crate) fn seconds(time: Duration) -> String {
    let millis = time.as_millis();
    match millis {
        0..1000 => format!("{millis} ms"),
        _ if millis.is_multiple_of(1000) => format!("{} s", millis / 1000),
        1000..60_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        _ => format!("{} s", millis / 1000),
    }
}
