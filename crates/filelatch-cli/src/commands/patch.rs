//! `filelatch patch`: RFC 7396 and RFC 6902 patches.

use std::ffi::OsStr;
use std::io::Read;

use filelatch::Error;
use filelatch::doc::Document;
use serde_json::Value;

use super::{change, document_error, format_of};
use crate::args::Patch;
use crate::context::Context;
use crate::render::CliError;

pub(crate) fn patch(context: &Context, args: &Patch) -> Result<(), CliError> {
    // clap sees to it that there is exactly one.
    let (given, is_merge) = match (&args.merge_patch, &args.json_patch) {
        (Some(patch), _) => (patch, true),
        (None, patch) => (patch.as_ref().ok_or_else(|| CliError::own("usage", "which patch?"))?, false),
    };
    let patch = load(context, given)?;
    let file = context.file(&args.file)?;
    let format = format_of(&file, args.format)?;
    // Before the lock is taken: a mistyped name leaves no lock file behind.
    file.read()?;
    let wrong = |source| document_error(&file, source);
    change(context, &file, None, &args.writing, |old| {
        let old = old.ok_or_else(|| Error::NotFound { path: file.path().to_owned() })?;
        let mut document = Document::parse(old, format).map_err(wrong)?;
        if is_merge { document.merge_patch(&patch) } else { document.json_patch(&patch) }.map_err(wrong)?;
        document.render().map_err(wrong)
    })
}

/// JSON, `@FILE` or `-`.
fn load(context: &Context, given: &OsStr) -> Result<Value, CliError> {
    let (text, source) = match given.as_encoded_bytes() {
        b"-" => {
            let mut text = Vec::new();
            std::io::stdin().lock().read_to_end(&mut text).map_err(|e| {
                CliError::own("io", format!("cannot read standard input: {e}")).hint("nothing was changed")
            })?;
            (text, "standard input".to_owned())
        }
        [b'@', ..] => {
            let path = path_after_at(given);
            (context.latch.file(&path)?.read()?.bytes().to_vec(), format!("`{}`", path.display()))
        }
        text => (text.to_vec(), "the patch".to_owned()),
    };
    serde_json::from_slice(&text)
        .map_err(|e| CliError::own("patch-failed", format!("{source} is not JSON: {e}")).hint("nothing was changed"))
}

#[cfg(unix)]
fn path_after_at(given: &OsStr) -> std::path::PathBuf {
    use std::os::unix::ffi::OsStrExt;
    OsStr::from_bytes(&given.as_bytes()[1..]).into()
}

#[cfg(not(unix))]
fn path_after_at(given: &OsStr) -> std::path::PathBuf {
    given.to_string_lossy()[1..].into()
}
