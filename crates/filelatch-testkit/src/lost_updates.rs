//! Is everything there that was acknowledged? (TEST-2)

use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// What a check that found nothing wrong can still tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified<T> {
    /// Acknowledged updates, all of them present.
    pub kept: usize,
    /// Present without an acknowledgement: of a writer that was killed between the two, or that never reported.
    pub unacknowledged: Vec<T>,
}

/// Updates are missing, or there more often than they were made.
#[derive(Clone, PartialEq, Eq)]
pub struct LostUpdates<T> {
    /// How many were acknowledged.
    pub acknowledged: usize,
    /// Acknowledged, but absent, and how often.
    pub lost: Vec<(T, usize)>,
    /// Present more often than made, and by how much.
    pub duplicated: Vec<(T, usize)>,
}

/// Compares the updates that were acknowledged with those that the final content holds.
///
/// An update is whatever tells it apart from the others: a line, an id, `(writer, number)`. One that is found without having been
/// acknowledged is no error, for a writer may be killed after it wrote and before it reported; found twice, it is.
///
/// ```
/// use filelatch_testkit::verify_no_lost_updates;
///
/// let ok = verify_no_lost_updates(["a1", "b1"], ["b1", "a1", "b2"]).unwrap();
/// assert_eq!((ok.kept, ok.unacknowledged), (2, vec!["b2"]));
///
/// let wrong = verify_no_lost_updates(["a1", "a2", "b1"], ["a2", "b1", "b1"]).unwrap_err();
/// assert_eq!(wrong.to_string(), "1 of 3 acknowledged updates is lost: \"a1\"; 1 is there too often: \"b1\"");
/// ```
pub fn verify_no_lost_updates<T: Ord>(
    acknowledged: impl IntoIterator<Item = T>,
    found: impl IntoIterator<Item = T>,
) -> Result<Verified<T>, LostUpdates<T>> {
    let mut updates = BTreeMap::<T, Count>::new();
    for update in acknowledged {
        updates.entry(update).or_default().acknowledged += 1;
    }
    for update in found {
        updates.entry(update).or_default().found += 1;
    }
    let acknowledged = updates.values().map(|count| count.acknowledged).sum();
    let (mut lost, mut duplicated, mut unacknowledged) = (Vec::new(), Vec::new(), Vec::new());
    for (update, Count { acknowledged, found }) in updates {
        if found < acknowledged {
            lost.push((update, acknowledged - found));
        } else if found > acknowledged.max(1) {
            duplicated.push((update, found - acknowledged.max(1)));
        } else if acknowledged == 0 {
            unacknowledged.push(update);
        }
    }
    if lost.is_empty() && duplicated.is_empty() {
        return Ok(Verified { kept: acknowledged, unacknowledged });
    }
    Err(LostUpdates { acknowledged, lost, duplicated })
}

#[derive(Default)]
struct Count {
    acknowledged: usize,
    found: usize,
}

/// How many are named in a message.
const NAMED: usize = 10;

impl<T: Debug> fmt::Display for LostUpdates<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |updates: &[(T, usize)]| updates.iter().map(|(_, times)| times).sum::<usize>();
        let verb = |n| if n == 1 { "is" } else { "are" };
        let (lost, twice) = (count(&self.lost), count(&self.duplicated));
        if lost > 0 {
            write!(f, "{lost} of {} acknowledged updates {} lost: ", self.acknowledged, verb(lost))?;
            name(f, &self.lost)?;
        }
        if twice > 0 {
            write!(f, "{}{twice} {} there too often: ", if lost > 0 { "; " } else { "" }, verb(twice))?;
            name(f, &self.duplicated)?;
        }
        Ok(())
    }
}

fn name<T: Debug>(f: &mut fmt::Formatter<'_>, updates: &[(T, usize)]) -> fmt::Result {
    for (i, (update, times)) in updates.iter().take(NAMED).enumerate() {
        write!(f, "{}{update:?}", if i == 0 { "" } else { ", " })?;
        if *times > 1 {
            write!(f, " ({times} times)")?;
        }
    }
    if updates.len() > NAMED { write!(f, " and {} more", updates.len() - NAMED) } else { Ok(()) }
}

impl<T: Debug> Debug for LostUpdates<T> {
    /// As displayed: this is what `unwrap` prints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<T: Debug> std::error::Error for LostUpdates<T> {}

/// A counter that does not say what was added to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LostIncrements {
    /// Its value before.
    pub before: i64,
    /// What was acknowledged as added.
    pub acknowledged: i64,
    /// What may have been added besides, by writers that were killed before they reported.
    pub in_doubt: i64,
    /// Its value after.
    pub after: i64,
}

/// Checks a counter: `before` plus all that was acknowledged, and at most `in_doubt` more (one for each writer that was killed).
///
/// ```
/// use filelatch_testkit::verify_no_lost_increments;
///
/// verify_no_lost_increments(0, [500, 500], 0, 1000).unwrap();
/// let wrong = verify_no_lost_increments(0, [500, 500], 1, 998).unwrap_err();
/// assert_eq!(wrong.to_string(), "2 increments are lost: 0 + 1000 acknowledged, but the counter is 998");
/// ```
pub fn verify_no_lost_increments(
    before: i64,
    acknowledged: impl IntoIterator<Item = i64>,
    in_doubt: i64,
    after: i64,
) -> Result<(), LostIncrements> {
    let acknowledged: i64 = acknowledged.into_iter().sum();
    let least = before + acknowledged;
    if (least..=least + in_doubt).contains(&after) {
        return Ok(());
    }
    Err(LostIncrements { before, acknowledged, in_doubt, after })
}

impl fmt::Display for LostIncrements {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LostIncrements { before, acknowledged, in_doubt, after } = self;
        let missing = before + acknowledged - after;
        match missing {
            1 => f.write_str("1 increment is lost: ")?,
            2.. => write!(f, "{missing} increments are lost: ")?,
            _ => write!(f, "{} increments too many: ", -missing - in_doubt)?,
        }
        write!(f, "{before} + {acknowledged} acknowledged")?;
        if missing <= 0 && *in_doubt > 0 {
            write!(f, " + at most {in_doubt} in doubt")?;
        }
        write!(f, ", but the counter is {after}")
    }
}

impl std::error::Error for LostIncrements {}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::run_concurrent;

    /// TEST-2: a writer without a lock is caught.
    #[test]
    fn test_2_lost_updates_of_a_careless_writer_are_found() {
        let file = Mutex::new(Vec::new());
        let read_by_all = std::sync::Barrier::new(4);
        let acknowledged = run_concurrent(4, |task| {
            let mut copy = file.lock().unwrap().clone();
            read_by_all.wait();
            copy.push(task);
            *file.lock().unwrap() = copy;
            task
        });
        let lost = verify_no_lost_updates(acknowledged, file.into_inner().unwrap()).unwrap_err();
        assert_eq!((lost.lost.len(), lost.duplicated.len()), (3, 0));
    }

    /// TEST-2: equal updates are counted.
    #[test]
    fn test_2_equal_updates_are_counted() {
        assert_eq!(verify_no_lost_updates([1, 1, 2], [2, 1, 1]).unwrap().kept, 3);
        assert_eq!(verify_no_lost_updates([1, 1, 1], [1]).unwrap_err().lost, [(1, 2)]);
        assert_eq!(verify_no_lost_updates([1], [1, 1]).unwrap_err().duplicated, [(1, 1)]);
        assert_eq!(verify_no_lost_updates([1], [1, 7, 7]).unwrap_err().duplicated, [(7, 1)]);
    }

    /// TEST-2: the message stays readable however much is lost.
    #[test]
    fn test_2_long_lists_are_cut() {
        let wrong = verify_no_lost_updates(0..30, 13..30).unwrap_err();
        let text = wrong.to_string();
        assert_eq!(text, "13 of 30 acknowledged updates are lost: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 3 more");
        assert_eq!(format!("{wrong:?}"), text);
    }

    /// TEST-2: counters, with what a killed writer leaves in doubt.
    #[test]
    fn test_2_counters() {
        assert!(verify_no_lost_increments(5, [1; 10], 2, 16).is_ok());
        let text = |in_doubt, after| verify_no_lost_increments(0, [1; 10], in_doubt, after).unwrap_err().to_string();
        assert_eq!(text(0, 9), "1 increment is lost: 0 + 10 acknowledged, but the counter is 9");
        assert_eq!(
            text(1, 13),
            "2 increments too many: 0 + 10 acknowledged + at most 1 in doubt, but the counter is 13"
        );
    }
}
