//! The command line as its users meet it: real processes, real files, what they print and how they end.
//!
//! One module for each subject. No fixed sleep decides a result: a test waits for the message that a user would see, or for the
//! end of a pipe.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

mod bad_input;
mod doctor;
mod documents;
mod interop;
mod json;
mod leases;
mod lock_files;
mod many;
mod run;
mod sandbox;
mod status;
mod torture;
mod waiting;
mod workspace;
