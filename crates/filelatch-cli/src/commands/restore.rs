//! `filelatch restore`: a kept version becomes the file again.

use filelatch::{Error, LatchFile, Version, WriteOptions};

use crate::args_keep::Restore;
use crate::context::{Context, with_waiting};
use crate::output;
use crate::render::CliError;

pub(crate) fn restore(context: &Context, args: &Restore) -> Result<(), CliError> {
    let file = context.file(&args.file)?;
    context.check_held(&file, None, true)?;
    let version = kept_version(&file, &args.kept)?;
    let written = with_waiting(args.writing.waiting.wait(), |lock| {
        let mut options = WriteOptions::new().expect(args.expect.clone()).lock(lock);
        options.durability = args.writing.durability;
        file.restore(&version, &options)
    })?;
    output::written(&file, &written, context.json)
}

/// The version that the user means: digits of its hash, or its number in the list, which the file as it is begins.
pub(super) fn kept_version(file: &LatchFile, text: &str) -> Result<Version, CliError> {
    let Some(number) = text.strip_prefix('@') else { return Ok(file.find_kept(text)?) };
    let missing = || Error::NoSuchVersion { path: file.path().to_owned(), wanted: text.to_owned() };
    let number: usize = number.parse().map_err(|_| missing())?;
    let at = number.checked_sub(1).ok_or_else(missing)?;
    Ok(file.history()?.get(at).ok_or_else(missing)?.version)
}
