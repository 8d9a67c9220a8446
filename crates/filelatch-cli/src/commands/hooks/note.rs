//! `filelatch hooks post-edit`: the name of who wrote what is there now.

use std::time::Duration;

use filelatch::{Attributed, Error, LockOptions, Version, Wait, WriteOptions};

use super::told::{Claim, Edit, Fits};
use super::{Call, is_missing};
use crate::args::Global;
use crate::args_hooks::PostEdit;
use crate::render::{CliError, tell};
use crate::{exit, output};

/// How long the lock is waited for: an agent waits as long.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn note(global: &Global, args: &PostEdit) -> Result<u8, CliError> {
    if args.expect.is_some() && args.files.len() > 1 {
        return Err(CliError::own("usage", "--expect is the version of one file").hint("nothing was noted"));
    }
    let call = Call::of(global, args.agent, &args.files, "filelatch hooks post-edit")?;
    // Named on the command line: the caller's word counts.
    let is_word = !args.files.is_empty();
    let mut worst = exit::DONE;
    for edit in &call.edits {
        let Err(error) = note_one(&call, edit, is_word, args.expect) else { continue };
        if call.edits.len() == 1 {
            return Err(error);
        }
        tell(&error);
        worst = worst.max(error.status());
    }
    Ok(worst)
}

fn note_one(call: &Call, edit: &Edit, is_word: bool, expect: Option<Version>) -> Result<(), CliError> {
    let path = &edit.path;
    if edit.claim == Claim::Removed {
        return Ok(());
    }
    let read = call.context.latch.file(path).and_then(|file| Ok((file.try_read()?, file)));
    let (seen, file) = match read {
        Ok((Some(seen), file)) => (seen, file),
        Ok((None, _)) => return Err(Error::NotFound { path: path.clone() }.into()),
        Err(error) if is_missing(&error) => return Err(Error::NotFound { path: path.clone() }.into()),
        Err(error) => return Err(error.into()),
    };
    let fits = if is_word { Fits::Yes } else { edit.claim.fits(seen.bytes()) };
    match fits {
        Fits::Yes => {}
        Fits::Unclear => {
            output::note(&format!("nothing shows whose `{}` is now: no author was noted", path.display()));
            return Ok(());
        }
        Fits::No => {
            let message = format!("`{}` is not what this edit has made of it: it was changed since", path.display());
            let error = CliError::own("conflict", message);
            return Err(error.hint("no author was noted; read the file again before the next edit"));
        }
    }
    let mut options = WriteOptions::new().lock(LockOptions::new().wait(Wait::For(PATIENCE)));
    if let Some(session) = &call.session {
        options = options.session(session.as_str());
    }
    // Otherwise it is named now, or was already.
    if file.attribute(&expect.unwrap_or(seen.version()), &options)? == Attributed::Unsupported {
        output::note(&format!("files carry no notes where `{}` is: its author is not shown there", path.display()));
    }
    Ok(())
}
