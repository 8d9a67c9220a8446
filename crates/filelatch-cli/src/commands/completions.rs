//! `filelatch completions`: scripts for shells, from the definition of the command line.

use clap::CommandFactory;
use serde_json::json;

use crate::args::{Cli, Completions};
use crate::output;
use crate::render::CliError;

pub(crate) fn completions(args: &Completions, as_json: bool) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "filelatch", &mut script);
    if as_json {
        let script = String::from_utf8_lossy(&script);
        return output::json(&json!({"shell": args.shell.to_string(), "script": script}));
    }
    output::data(&script)
}
