//! `filelatch write`: standard input becomes the file, atomically.

use std::io::{self, IsTerminal, Read, Write as _};

use filelatch::{Error, LatchFile, WriteOptions, Written};

use crate::args::Write;
use crate::context::{Context, warn, with_waiting};
use crate::output;
use crate::render::CliError;

/// Input longer than this goes to the disk at once.
const IN_MEMORY: u64 = 1 << 30;

pub(crate) fn write(context: &Context, args: &Write) -> Result<(), CliError> {
    let file = if args.mkdir { context.latch.file_with_dirs(&args.file)? } else { context.latch.file(&args.file)? };
    warn(&file);
    context.check_held(&file, None, true)?;
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        output::note("reading the new content from the terminal; Ctrl-D ends it, Ctrl-C gives up");
    }
    let mut bytes = Vec::new();
    (&mut input).take(IN_MEMORY + 1).read_to_end(&mut bytes).map_err(|e| unreadable(&e))?;
    let written = with_waiting(args.writing.waiting.wait(), |lock| {
        let mut options = WriteOptions::new().expect(args.expect.clone()).lock(lock);
        options.strategy = args.strategy;
        options.durability = args.writing.durability;
        if bytes.len() as u64 <= IN_MEMORY {
            Ok(file.write(&bytes, &options)?)
        } else {
            stream(&file, bytes, input, &options)
        }
    })?;
    output::written(&file, &written, context.json)
}

/// What does not fit into memory.
fn stream(
    file: &LatchFile,
    begin: Vec<u8>,
    mut rest: impl Read,
    options: &WriteOptions<'_>,
) -> Result<Written, CliError> {
    let fail = |source| Error::Io { action: "write a new version of", path: file.path().to_owned(), source };
    let mut writer = file.writer(options)?;
    writer.write_all(&begin).map_err(fail)?;
    drop(begin);
    let mut chunk = vec![0; 1 << 20];
    loop {
        match rest.read(&mut chunk).map_err(|e| unreadable(&e))? {
            0 => break,
            n => writer.write_all(&chunk[..n]).map_err(fail)?,
        }
    }
    Ok(writer.commit(&options.lock).map_err(Error::from)?)
}

fn unreadable(error: &io::Error) -> CliError {
    CliError::own("io", format!("cannot read standard input: {error}")).hint("nothing was changed")
}
