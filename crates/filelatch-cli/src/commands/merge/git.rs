//! `filelatch merge --git`: in place of `git merge-file`, with its arguments and its exit status (P17).

use std::ffi::OsString;

use filelatch::merge::{Algorithm, ConflictStyle, Favor, Markers, Merged, Method};
use filelatch_git::Git;
use serde_json::Value;

use super::inputs::Inputs;
use super::{labels, marker_size, options, told, write};
use crate::args_merge::Merge;
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

/// More conflicts are not counted.
const MOST: usize = 127;

/// Merges; every error ends with git's status for errors.
pub(super) fn merge_file(context: &dyn Fn(&'static str) -> Context, args: &Merge, json: bool) -> Result<u8, CliError> {
    match merged(context, args, json) {
        Err(_) if args.quiet && !json => Ok(exit::GIT_ERROR),
        done => done.map_err(|error| {
            let status = if error.kind() == "usage" { exit::GIT_USAGE } else { exit::GIT_ERROR };
            CliError::WithStatus(Box::new(error), status)
        }),
    }
}

fn merged(context: &dyn Fn(&'static str) -> Context, args: &Merge, json: bool) -> Result<u8, CliError> {
    let [current, base, other] = [args.base.as_path(), &args.ours_file, &args.theirs_file];
    let labels = labels(args, [current, base, other])?;
    let size = marker_size(args.marker_size)?;
    let inputs = Inputs::read([base, current, other])?;
    let context = context("filelatch merge --git");
    let mut options =
        options(&context, &args.rules, args.path.as_deref().or(args.output.as_deref()).unwrap_or(current))?;
    options.algorithm = args.rules.algorithm.unwrap_or(Algorithm::Myers);
    let merged = inputs.merge(&options);
    if merged.method() == Method::Binary {
        let message = format!("cannot merge binary files: `{}` is left as it was", current.display());
        return Err(CliError::own("binary", message).hint("take one of them whole"));
    }
    let style = style(args, &merged);
    let favor = favor(args);
    let content = match favor {
        Some(favor) => merged.favoring(favor, style),
        None => merged.render(&Markers { style, size, labels }),
    };
    let mut answer = json.then(|| told::answer(&merged));
    if args.stdout {
        match &mut answer {
            Some(answer) => output::content(answer, &content),
            None => output::data(&content)?,
        }
    } else {
        let out = args.output.as_deref().unwrap_or(current);
        let written = write(&context, out, &content, &inputs)?;
        if let (Some(answer), Some(written)) = (&mut answer, written) {
            told::written(answer, out, &written);
        }
    }
    if let Some(answer) = answer {
        output::json(&Value::Object(answer))?;
    }
    let conflicts = if favor.is_some() { 0 } else { merged.shown(style) };
    if conflicts > 0 && !args.quiet {
        told::tell(&merged, style);
    }
    Ok(u8::try_from(conflicts.min(MOST)).unwrap_or(exit::GIT_ERROR))
}

fn favor(args: &Merge) -> Option<Favor> {
    match (args.ours, args.theirs_count, args.union) {
        (true, ..) => Some(Favor::Ours),
        (_, true, _) => Some(Favor::Theirs),
        (.., true) => Some(Favor::Union),
        _ => None,
    }
}

fn style(args: &Merge, merged: &Merged) -> ConflictStyle {
    match (args.style, args.zdiff3, args.diff3) {
        (_, true, _) => ConflictStyle::Zdiff3,
        (_, _, true) => ConflictStyle::Diff3,
        (Some(style), ..) => style,
        _ => configured_style(merged),
    }
}

/// What git's configuration says here; the default where there is no git, and where it makes no difference.
pub(super) fn configured_style(merged: &Merged) -> ConflictStyle {
    // A clean merge may have conflicts in a style that shows more of them.
    if merged.shown(ConflictStyle::Diff3) == 0 {
        return ConflictStyle::default();
    }
    let asked = Git::new(".").outer().word(["config", "--get", "merge.conflictStyle"]);
    asked.ok().flatten().and_then(|told| told.parse().ok()).unwrap_or_default()
}

/// Is this command line one that git may have written? Then a mistake in it must not look like a number of conflicts.
pub(crate) fn speaks_git(mut arguments: impl Iterator<Item = OsString>) -> bool {
    let command = arguments.find(|argument| !argument.as_encoded_bytes().starts_with(b"-"));
    match command.as_deref().and_then(|command| command.to_str()) {
        Some("merge-driver") => true,
        Some("merge") => arguments.take_while(|argument| argument != "--").any(|argument| argument == "--git"),
        _ => false,
    }
}
