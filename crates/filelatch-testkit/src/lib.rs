//! For tests of programs that use filelatch: locks that behave as the test says, many tasks at once, and checks that nothing
//! was lost.
//!
//! | to test that… | use |
//! |---|---|
//! | your code handles a lock that is held, late or broken | [`MockLocks`] in place of [`Filelatch`](filelatch::Filelatch) |
//! | it is right when many threads run it | [`run_concurrent`], [`Concurrent`] |
//! | it is right when processes run it and are killed | [`Workers`], [`Worker`] |
//! | no update is missing afterwards | [`verify_no_lost_updates`], [`verify_no_lost_increments`] |
//! | no two held a lock at once | [`History`] |
//! | nothing was lost, torn, stale or held twice, among processes that were killed | [`operations::check`] |
//! | it survives power cuts, I/O errors and programs that ignore locks | [`test_engine`] on [`SimFs`] |
//! | it survives them at every single call, on every usual kind of file system | [`for_each_mishap`], [`Sweep`] |
//! | it is right in every order of the calls of two processes | [`Schedules`], [`Plan`] |
//!
//! ```
//! use filelatch::{Error, Filelatch};
//! use filelatch_testkit::{run_concurrent, verify_no_lost_updates};
//!
//! # let dir = tempfile::tempdir().unwrap();
//! let file = Filelatch::new().file(dir.path().join("done.txt"))?;
//! let acknowledged = run_concurrent(8, |task| {
//!     let line = format!("task {task}\n");
//!     file.update_bytes(&Default::default(), |old| {
//!         let mut text = old.unwrap_or_default().to_vec();
//!         text.extend(line.bytes());
//!         Ok::<_, Error>(Some(text))
//!     })
//!     .unwrap();
//!     format!("task {task}")
//! });
//! let found = String::from_utf8(file.read()?.bytes().to_vec()).unwrap();
//! verify_no_lost_updates(acknowledged, found.lines().map(str::to_owned)).unwrap();
//! # Ok::<_, Error>(())
//! ```
//!
//! Every order of two processes, each on an engine of its own, and a kill of one of them at every point:
//!
//! ```
//! use filelatch::Error;
//! use filelatch_testkit::{Plan, Schedules, engine_on};
//!
//! let limits = Schedules { deaths: 1, ..Schedules::with_preemptions(0) };
//! let explored = limits.explore(|plan: &mut Plan| {
//!     plan.fs().foreign().create("/log", b"").unwrap();
//!     for name in ["one", "two"] {
//!         plan.process(name, move |fs| {
//!             let log = engine_on(fs).file("/log").unwrap();
//!             // A process that is killed gets no answer.
//!             let _killed = log.update_bytes(&Default::default(), |old| {
//!                 Ok::<_, Error>(Some([old.unwrap_or_default(), name.as_bytes()].concat()))
//!             });
//!         });
//!     }
//!     plan.at_end(|fs| match &fs.foreign().read("/log").unwrap()[..] {
//!         b"onetwo" | b"twoone" | b"one" | b"two" => Ok(()),
//!         other => Err(format!("neither of the two got through: {other:?}")),
//!     });
//! });
//! explored.assert_clean();
//! assert!(explored.complete);
//! ```
//!
//! Nothing here sleeps to decide a result, and what is random comes from a seed.

mod concurrent;
mod engine;
mod history;
mod lost_updates;
mod mock;
pub mod operations;
mod random;
mod workers;

pub use concurrent::{Concurrent, Panics, run_concurrent};
pub use engine::{TestEngine, engine_on, test_engine};
pub use filelatch_fs::sim::{
    BadSchedule, Dials, Explored, HintFault, Plan, Report, Schedules, SimFs, Sweep, Watching, for_each_mishap,
};
pub use history::{Event, EventKind, History, Overlap, Within};
pub use lost_updates::{LostIncrements, LostUpdates, Verified, verify_no_lost_increments, verify_no_lost_updates};
pub use mock::{Answer, Behaviour, Call, MockLocks};
pub use random::Random;
pub use workers::{Ended, Worker, Workers, WorkersBuilder};
