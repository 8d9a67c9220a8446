//! Many tasks at once, begun together (TEST-2).

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::Duration;

use filelatch_fs::{Host, RealHost};

use crate::random::Random;

/// Runs `task(0)` … `task(n - 1)` at once, each on a thread of its own, all begun together. Answers their results in order.
///
/// ```
/// use filelatch_testkit::run_concurrent;
/// assert_eq!(run_concurrent(4, |i| i * i), [0, 1, 4, 9]);
/// ```
///
/// # Panics
/// If tasks panic: after all have ended, with the index and the message of each.
#[track_caller]
pub fn run_concurrent<R: Send>(n: usize, task: impl Fn(usize) -> R + Sync) -> Vec<R> {
    match Concurrent::new(n).run(task) {
        Ok(results) => results,
        Err(panics) => panic!("{panics}"),
    }
}

/// A concurrent run with its settings.
///
/// ```
/// use std::time::Duration;
/// use filelatch_testkit::Concurrent;
///
/// let run = Concurrent::new(3).start_delays(7, Duration::from_millis(2));
/// assert_eq!(run.delays(), Concurrent::new(3).start_delays(7, Duration::from_millis(2)).delays());
/// let panics = run.run(|i| assert!(i != 1, "one is bad")).unwrap_err();
/// assert_eq!(panics.by_task, [(1, "one is bad".to_owned())]);
/// ```
#[derive(Clone, Debug)]
pub struct Concurrent {
    n: usize,
    delays: Option<(u64, Duration)>,
}

/// The tasks that panicked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panics {
    /// How many tasks there were.
    pub of: usize,
    /// Index and message of each that panicked.
    pub by_task: Vec<(usize, String)>,
}

impl Concurrent {
    /// `n` tasks without delays.
    pub fn new(n: usize) -> Concurrent {
        Concurrent { n, delays: None }
    }

    /// After the common start, each task waits a time of its own between nothing and `longest`, drawn by `seed`.
    #[must_use]
    pub fn start_delays(mut self, seed: u64, longest: Duration) -> Concurrent {
        self.delays = Some((seed, longest));
        self
    }

    /// How long each task waits after the common start.
    pub fn delays(&self) -> Vec<Duration> {
        let Some((seed, longest)) = self.delays else { return vec![Duration::ZERO; self.n] };
        let mut random = Random::new(seed);
        let longest = u64::try_from(longest.as_nanos()).unwrap_or(u64::MAX);
        (0..self.n).map(|_| Duration::from_nanos(random.up_to(longest))).collect()
    }

    /// Runs the tasks and waits for all of them: their results in order, or the panics.
    pub fn run<R: Send>(&self, task: impl Fn(usize) -> R + Sync) -> Result<Vec<R>, Panics> {
        let start = Barrier::new(self.n.max(1));
        let one = |index: usize, delay: Duration| {
            start.wait();
            if !delay.is_zero() {
                RealHost.sleep(delay);
            }
            catch_unwind(AssertUnwindSafe(|| task(index)))
        };
        let ended: Vec<_> = std::thread::scope(|scope| {
            let one = &one;
            let threads: Vec<_> =
                (0..).zip(self.delays()).map(|(index, delay)| scope.spawn(move || one(index, delay))).collect();
            threads.into_iter().map(|thread| thread.join().and_then(|result| result)).collect()
        });
        let mut results = Vec::with_capacity(self.n);
        let mut by_task = Vec::new();
        for (index, result) in ended.into_iter().enumerate() {
            match result {
                Ok(result) => results.push(result),
                Err(panic) => by_task.push((index, message(&*panic))),
            }
        }
        if by_task.is_empty() { Ok(results) } else { Err(Panics { of: self.n, by_task }) }
    }
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "(no message)".to_owned())
}

impl fmt::Display for Panics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} tasks panicked:", self.by_task.len(), self.of)?;
        for (index, message) in &self.by_task {
            write!(f, "\n  task {index}: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Panics {}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// TEST-2
    #[test]
    fn test_2_all_tasks_run_at_once_and_answer_in_order() {
        let inside = AtomicUsize::new(0);
        let results = run_concurrent(16, |i| {
            inside.fetch_add(1, Ordering::SeqCst);
            while inside.load(Ordering::SeqCst) < 16 {
                std::thread::yield_now();
            }
            i
        });
        assert_eq!(results, (0..16).collect::<Vec<_>>());
        assert_eq!(run_concurrent(0, |i| i), Vec::<usize>::new());
    }

    /// TEST-2: one panic neither hides another nor stops the rest.
    #[test]
    fn test_2_every_panic_is_reported_with_its_index() {
        let ended = AtomicUsize::new(0);
        let panics = Concurrent::new(6)
            .run(|i| {
                assert!(i % 2 == 0, "odd: {i}");
                ended.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap_err();
        assert_eq!(ended.load(Ordering::SeqCst), 3);
        assert_eq!(panics.to_string(), "3 of 6 tasks panicked:\n  task 1: odd: 1\n  task 3: odd: 3\n  task 5: odd: 5");
    }

    /// TEST-2: the seed decides the delays.
    #[test]
    fn test_2_delays_come_from_the_seed() {
        let run = |seed| Concurrent::new(50).start_delays(seed, Duration::from_millis(10)).delays();
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
        assert!(run(3).iter().all(|delay| *delay <= Duration::from_millis(10)));
        assert!(Concurrent::new(3).delays().iter().all(Duration::is_zero));
    }
}
