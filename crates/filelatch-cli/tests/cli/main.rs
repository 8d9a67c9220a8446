//! The command line as its users meet it: real processes, real files, what they print and how they end.
//!
//! One module for each subject. No fixed sleep decides a result: a test waits for the message that a user would see, or for the
//! end of a pipe.
//!
//! Most tests speak to the program through a shell and are for Unix; `everywhere`, `documents` and `json` run on every system.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]

#[cfg(unix)]
mod audit;
#[cfg(unix)]
mod bad_input;
#[cfg(unix)]
mod bookmarks;
#[cfg(unix)]
mod changes;
#[cfg(unix)]
mod doctor;
mod documents;
#[cfg(unix)]
mod edit;
mod everywhere;
#[cfg(unix)]
mod git;
#[cfg(unix)]
mod hooks;
#[cfg(unix)]
mod interop;
mod json;
mod keep;
#[cfg(unix)]
mod leases;
#[cfg(unix)]
mod lock_files;
mod log;
#[cfg(unix)]
mod many;
mod merge;
mod merging;
#[cfg(unix)]
mod queue;
#[cfg(unix)]
mod run;
mod sandbox;
mod secrets;
#[cfg(unix)]
mod serve;
#[cfg(unix)]
mod session;
#[cfg(unix)]
mod status;
#[cfg(unix)]
mod torture;
#[cfg(unix)]
mod waiting;
#[cfg(unix)]
mod watch;
#[cfg(unix)]
mod workspace;
