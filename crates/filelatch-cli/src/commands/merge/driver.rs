//! `filelatch merge-driver`: what git runs for files with `merge=filelatch`.
//!
//! git gives temporary files that nobody else knows, so they are read and overwritten plainly: no lock file is left among the
//! user's files. Any status up to 128 means a conflict to git, and it would take OURS for the result. So whatever goes wrong
//! ends with a higher one, a panic included: then git stops, and nothing is lost.

use std::ffi::OsStr;

use filelatch::merge::{ConflictStyle, Kind, Markers, Method};

use super::git::configured_style;
use super::inputs::{self, Inputs};
use super::{options, told};
use crate::args_merge::MergeDriver;
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

/// Merges; every error ends with a status that git takes for one.
pub(crate) fn merge_driver(context: &Context, args: &MergeDriver) -> Result<u8, CliError> {
    merged(context, args).map_err(|error| CliError::WithStatus(Box::new(error), exit::GIT_ERROR))
}

fn merged(context: &Context, args: &MergeDriver) -> Result<u8, CliError> {
    let inputs = Inputs::read([&args.base, &args.ours, &args.theirs])?;
    let name = args.path.as_deref().unwrap_or(&args.ours);
    let options = options(context, &args.rules, name)?;
    let merged = inputs.merge(&options);
    let tell = |style| {
        output::note(&format!("{}: {}", name.display(), told::summary(&merged, style)));
        if let Some(fallback) = merged.fallback() {
            output::note(&format!("{}: {fallback}", name.display()));
        }
    };
    if merged.method() == Method::Binary {
        tell(ConflictStyle::default());
        return Ok(exit::ERROR);
    }
    // What git would merge itself has git's verdict, too, and that depends on the style.
    let by_git = options.kind == Kind::Lines;
    let style = if merged.is_clean() && !by_git {
        ConflictStyle::default()
    } else {
        args.style.unwrap_or_else(|| configured_style(&merged))
    };
    let content = merged.render(&Markers { style, size: args.marker_size, labels: labels(args) });
    if content != inputs.ours {
        inputs::overwrite(&args.ours, &content)?;
    }
    if merged.shown(style) == 0 {
        return Ok(exit::DONE);
    }
    tell(style);
    Ok(exit::ERROR)
}

/// Ours, base, theirs. A git that does not know `%S %X %Y` passes them on as they are.
fn labels(args: &MergeDriver) -> [String; 3] {
    let given = |at: usize, placeholder: &str, default: &str| match args.labels.get(at).map(OsStr::new) {
        None => default.to_owned(),
        Some(label) if label == placeholder => default.to_owned(),
        Some(label) => label.to_string_lossy().into_owned(),
    };
    [given(1, "%X", "ours"), given(0, "%S", "base"), given(2, "%Y", "theirs")]
}
