//! `filelatch man`: manual pages, from the definition of the command line.

use clap::{CommandFactory, ValueEnum};
use serde_json::json;

use crate::args::{Cli, Man};
use crate::output;
use crate::render::CliError;

pub(crate) fn man(args: &Man, as_json: bool) -> Result<(), CliError> {
    let mut whole = Cli::command();
    whole.build();
    let name = args.command.and_then(|page| page.to_possible_value()).map(|value| value.get_name().to_owned());
    let page = match &name {
        Some(name) => whole.find_subcommand(name).cloned().unwrap_or_default().name(format!("filelatch-{name}")),
        None => whole,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(CliError::Stdout)?;
    if as_json {
        return output::json(&json!({"page": name, "roff": String::from_utf8_lossy(&text)}));
    }
    output::data(&text)
}
