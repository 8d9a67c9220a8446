//! Sessions, with a real git in temporary folders. Without git nothing is tried.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

mod changes;
mod contention;
mod fixture;
mod gc;
#[cfg(unix)]
mod killed;
mod list;
mod merge;
mod remove;
mod start;
