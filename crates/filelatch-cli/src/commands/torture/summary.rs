//! What a run has measured, and how it is told.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use filelatch_testkit::operations::{Action, End, Operation, VerifiedOperations};
use serde_json::{Value, json};

use super::team::{Log, Mishaps};

/// Measured over all rounds.
#[derive(Default)]
pub(super) struct Summary {
    /// Time in which the processes worked.
    pub(super) worked: Duration,
    pub(super) mishaps: Mishaps,
    /// All that ended.
    pub(super) operations: usize,
    pub(super) verified: VerifiedOperations,
    /// How long the operations that ended took, by name.
    took: BTreeMap<String, Vec<Duration>>,
    /// Changes and locks that ended, by the place of the process.
    shares: Vec<usize>,
    longest_wait: Duration,
    recoveries: usize,
    slowest_recovery: Duration,
}

impl Summary {
    /// Takes in a round.
    pub(super) fn add(&mut self, logs: &[Log], operations: &[Operation], processes: usize) {
        self.shares.resize(processes, 0);
        let places: BTreeMap<u64, &Log> = logs.iter().map(|log| (log.process, log)).collect();
        for operation in operations {
            if let (Action::Hold(_), Some(hold)) = (operation.action, operation.hold) {
                self.longest_wait = self.longest_wait.max(hold.acquired.saturating_sub(operation.began));
            }
            let log = places.get(&operation.id.process);
            if let Some((ended, _)) = operation.ended {
                let took = ended.saturating_sub(operation.began);
                self.took.entry(operation.name.clone()).or_default().push(took);
                // Plain reads wait for nobody.
                if operation.action != Action::Read
                    && let Some(share) = log.and_then(|log| self.shares.get_mut(log.slot))
                {
                    *share += 1;
                }
            } else if let Some(killed) = log.and_then(|log| log.killed)
                && operation.action != Action::Read
                && let Some(next) = next_after(operations, operation, killed)
            {
                self.recoveries += 1;
                self.slowest_recovery = self.slowest_recovery.max(next.saturating_sub(killed));
            }
        }
    }

    pub(super) fn verify(&mut self, verified: VerifiedOperations) {
        self.verified.acknowledged += verified.acknowledged;
        self.verified.unanswered += verified.unanswered;
        self.verified.refused += verified.refused;
        self.verified.reads += verified.reads;
        self.verified.holds += verified.holds;
    }

    /// Largest share of a process to the smallest.
    fn fairness(&self) -> Option<f64> {
        let least = *self.shares.iter().min()?;
        let most = *self.shares.iter().max()?;
        (least > 0).then(|| ratio(most, least))
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        let width = self.took.keys().map(String::len).max().unwrap_or_default().max(9);
        let line = |text: &mut String, cells: [&str; 6]| {
            let [name, count, rate, p50, p99, max] = cells;
            writeln!(text, "{name:width$}  {count:>8}  {rate:>8}  {p50:>9}  {p99:>9}  {max:>9}").ok();
        };
        line(&mut text, ["operation", "count", "per s", "p50", "p99", "max"]);
        for (name, count, rate, [p50, p99, max]) in self.rows() {
            line(&mut text, [name, &count.to_string(), &format!("{rate:.0}"), &ms(p50), &ms(p99), &ms(max)]);
        }
        let Mishaps { kills, stops } = self.mishaps;
        write!(text, "{kills} kills, {stops} stops").ok();
        if self.recoveries > 0 {
            let slowest = ms(self.slowest_recovery);
            let times = self.recoveries;
            write!(text, "; {times} in the middle of a change or lock: the next one got through within {slowest}").ok();
        }
        let fairness = self.fairness().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        let wait = ms(self.longest_wait);
        writeln!(text, "\nlargest to smallest share of a process: {fairness}; longest wait for a lock: {wait}").ok();
        text
    }

    pub(super) fn json(&self) -> Value {
        let millis = |time: Duration| time.as_secs_f64() * 1000.0;
        let operations: serde_json::Map<_, _> = self
            .rows()
            .map(|(name, count, rate, [p50, p99, max])| {
                let row = json!({
                    "count": count, "perSecond": rate, "p50Ms": millis(p50), "p99Ms": millis(p99), "maxMs": millis(max),
                });
                (name.to_owned(), row)
            })
            .collect();
        json!({
            "seconds": self.worked.as_secs_f64(),
            "operations": operations,
            "kills": self.mishaps.kills,
            "stops": self.mishaps.stops,
            "recoveries": {"count": self.recoveries, "slowestMs": millis(self.slowest_recovery)},
            "fairness": {"maxToMinShare": self.fairness(), "longestWaitMs": millis(self.longest_wait)},
            "verified": {
                "acknowledged": self.verified.acknowledged,
                "unanswered": self.verified.unanswered,
                "refused": self.verified.refused,
                "reads": self.verified.reads,
                "holds": self.verified.holds,
            },
        })
    }

    /// Name, count, per second, median, 99th percentile and maximum.
    fn rows(&self) -> impl Iterator<Item = (&str, usize, f64, [Duration; 3])> {
        let seconds = self.worked.as_secs_f64().max(0.001);
        self.took.iter().map(move |(name, took)| {
            let mut took = took.clone();
            took.sort_unstable();
            let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len() - 1)).copied();
            let of = [at(50), at(99), at(100)].map(Option::unwrap_or_default);
            (name.as_str(), took.len(), ratio(took.len(), 1) / seconds, of)
        })
    }
}

/// When the next one got the file that a killed process was working on.
fn next_after(operations: &[Operation], dead: &Operation, killed: Duration) -> Option<Duration> {
    let through = |next: &Operation| {
        let at = match (next.action, &next.ended) {
            (Action::Change, Some((ended, End::Changed(_)))) => *ended,
            (Action::Hold(_), _) => next.hold?.acquired,
            _ => return None,
        };
        (next.file == dead.file && next.id.process != dead.id.process && at >= killed).then_some(at)
    };
    operations.iter().filter_map(through).min()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a test run")]
fn ratio(a: usize, b: usize) -> f64 {
    a as f64 / b as f64
}

fn ms(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
