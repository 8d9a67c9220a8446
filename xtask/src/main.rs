//! Chores of this repository.
//!
//! - `cargo xtask ids`: which requirement is proved by which tests; fails when one that is marked done has none.
//! - `cargo xtask ci`: what continuous integration runs (`.ci/run`).
//! - `cargo xtask prove`: the full set of proofs, for an hour and more. `--only NAME`: one of them, or all whose names begin so.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people")]
#![expect(clippy::disallowed_methods, reason = "reads the sources themselves; no part of the product")]

mod ids;
mod prove;

use std::path::Path;
use std::process::{Command, ExitCode};

const USAGE: &str = "usage: cargo xtask ids [--tests] | ci | prove [--only NAME]";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
    let done = match arguments[..] {
        ["ids"] => ids::check(root, false),
        ["ids", "--tests"] => ids::check(root, true),
        ["ci"] => ci(root),
        ["prove"] => prove::run(root, None),
        ["prove", "--only", name] => prove::run(root, Some(name)),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}

fn ci(root: &Path) -> Result<(), String> {
    let status = Command::new("bash").arg(".ci/run").current_dir(root).env("CI", "true").status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(".ci/run: {status}")),
        Err(e) => Err(format!("cannot start bash: {e}")),
    }
}
