//! The HTTP contract, in process: requests to `app(state)` without a socket.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

mod access;
mod common;
mod confined;
mod contract;
mod description;
mod documented;
mod files;
mod merging;
mod queued;
mod random;
mod stores;
