//! `filelatch merge`: three files become one.
//!
//! Order of operations: all inputs are read, merged in memory, and only then is anything written or printed. Where OUT is one
//! of the inputs it is written only if it still is what was read.

mod driver;
mod git;
mod inputs;
mod told;

use std::io::Write;
use std::path::Path;

use filelatch::merge::{ConflictStyle, Markers, MergeOptions, Merged, Method};
use filelatch::{Error, Expect, Strategy, Version, WriteOptions, Written};
use serde_json::Value;

pub(crate) use driver::merge_driver;
pub(crate) use git::speaks_git;
pub(crate) use told::conflict as hunk_to_json;

use self::inputs::Inputs;
use crate::args_merge::{Merge, MergeRules};
use crate::context::{Context, warn, with_waiting};
use crate::render::CliError;
use crate::{exit, output};

pub(crate) fn merge(context: &dyn Fn(&'static str) -> Context, args: &Merge, json: bool) -> Result<u8, CliError> {
    if args.git {
        return git::merge_file(context, args, json);
    }
    let inputs = Inputs::read([&args.base, &args.ours_file, &args.theirs_file])?;
    let name = args.path.as_deref().or(args.output.as_deref()).unwrap_or(&args.ours_file);
    let context = context("filelatch merge");
    let merged = inputs.merge(&options(&context, &args.rules, name)?);
    // A style that shows more must not make a conflict of what is settled.
    let style = if merged.is_clean() { ConflictStyle::default() } else { args.style.unwrap_or_default() };
    let markers = Markers {
        style,
        size: marker_size(args.marker_size)?,
        labels: labels(args, [&args.ours_file, &args.base, &args.theirs_file])?,
    };
    let content = result(&merged, &inputs, &markers);
    let mut answer = json.then(|| told::answer(&merged));
    match &args.output {
        Some(out) => {
            let written = write(&context, out, &content, &inputs)?;
            if let (Some(answer), Some(written)) = (&mut answer, written) {
                told::written(answer, out, &written);
            }
        }
        None => match &mut answer {
            Some(answer) => output::content(answer, &content),
            None => output::data(&content)?,
        },
    }
    if let Some(answer) = answer {
        output::json(&Value::Object(answer))?;
    }
    if !args.quiet {
        told::tell(&merged, style);
    }
    Ok(if merged.is_clean() { exit::DONE } else { exit::CONFLICT })
}

/// What the document's workspace, its name and the command line say; the latter counts most.
fn options(context: &Context, rules: &MergeRules, name: &Path) -> Result<MergeOptions, CliError> {
    let mut options = MergeOptions::for_path(name);
    match context.latch.file(name) {
        Ok(file) => options.rules = file.merge_rules().clone(),
        Err(error @ Error::Config { .. }) => return Err(error.into()),
        // A name need not be one of a file here.
        Err(_) => {}
    }
    if let Some(kind) = rules.kind {
        options.kind = kind;
    }
    if let Some(algorithm) = rules.algorithm {
        options.algorithm = algorithm;
    }
    if let Some(&version) = rules.rule.last() {
        options.rules.version = version;
    }
    options.rules.lists.splice(0..0, rules.list.iter().cloned());
    Ok(options)
}

/// The document as it is left: merged, with markers, or ours where nothing can be merged.
fn result(merged: &Merged, inputs: &Inputs<'_>, markers: &Markers) -> Vec<u8> {
    match merged.method() {
        Method::Binary => inputs.ours.clone(),
        _ => merged.render(markers),
    }
}

/// git takes nothing and less than nothing for its default.
fn marker_size(given: i32) -> Result<usize, CliError> {
    match usize::try_from(given).unwrap_or(0) {
        0 => Ok(7),
        size if size <= 1000 => Ok(size),
        _ => Err(usage("markers have at most 1,000 characters")),
    }
}

/// The names of the files, unless labels are given; ours, base, theirs.
fn labels(args: &Merge, files: [&Path; 3]) -> Result<[String; 3], CliError> {
    if args.label.len() > 3 {
        return Err(usage("there are three labels at most: ours, base, theirs"));
    }
    let mut labels = files.map(|file| file.to_string_lossy().into_owned());
    for (label, given) in labels.iter_mut().zip(&args.label) {
        label.clone_from(given);
    }
    Ok(labels)
}

fn usage(message: &str) -> CliError {
    CliError::own("usage", message).hint("nothing was merged")
}

/// Puts the result where it belongs. `None`: into a pipe or a device.
fn write(context: &Context, out: &Path, content: &[u8], inputs: &Inputs<'_>) -> Result<Option<Written>, CliError> {
    if inputs::is_stream(out) {
        let fail = |source| Error::Io { action: "write to", path: out.to_owned(), source };
        inputs::open_stream(out).and_then(|mut stream| stream.write_all(content)).map_err(fail)?;
        return Ok(None);
    }
    let file = context.latch.file(out)?;
    warn(&file);
    context.check_held(&file, None, true)?;
    let expect = match inputs.of_file(context, &file) {
        Some(read) => Expect::Version(Version::of(read)),
        None => Expect::Any,
    };
    let written = with_waiting(None, |lock| {
        let strategy = Strategy::FailFast;
        file.write(content, &WriteOptions::new().expect(expect.clone()).strategy(strategy).lock(lock))
    })?;
    output::notices(&file, &written);
    Ok(Some(written))
}
