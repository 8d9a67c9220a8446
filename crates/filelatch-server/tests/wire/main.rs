//! The server on real sockets: limits, slow and broken clients, its end.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

mod client;
mod contention;
mod ending;
mod limits;
#[cfg(feature = "tls")]
mod tls;
