//! The MCP server as its clients meet it: the real program, spoken to over its standard input and output.
//!
//! One module for each subject. No fixed sleep decides a result: a test waits for an answer, or for the end of a process.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests look at the disk from outside")]
#![expect(clippy::format_collect, reason = "contents are short")]

mod client;
#[cfg(unix)]
mod crashes;
mod editing;
mod leases;
mod memory;
mod over_http;
mod parallel;
mod protocol;
#[cfg(unix)]
mod random;
mod reading;
mod watching;
