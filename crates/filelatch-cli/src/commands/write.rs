//! `filelatch write`: standard input becomes the file, atomically.

use std::io::{self, IsTerminal, Read, Write as _};
use std::sync::Arc;

use filelatch::{Error, Expect, LatchFile, Strategy, WriteOptions, Written};

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
    let (expect, base) = base(context, &file, args)?;
    let written = with_waiting(args.writing.waiting.wait(), |lock| {
        let mut options = WriteOptions::new().expect(expect).lock(lock);
        options.strategy = args.strategy;
        options.base = base;
        options.durability = args.writing.durability;
        if bytes.len() as u64 <= IN_MEMORY {
            Ok(file.write(&bytes, &options)?)
        } else {
            stream(&file, bytes, input, &options)
        }
    })?;
    output::written(&file, &written, context.json)
}

/// A given base.
type Base = Option<Arc<[u8]>>;

/// What is expected, and what the input was made from if it was given.
fn base(context: &Context, file: &LatchFile, args: &Write) -> Result<(Expect, Base), CliError> {
    let Some(given) = &args.base else { return Ok((args.expect.clone(), None)) };
    let wrong = |message: String| Err(CliError::own("usage", message).hint("nothing was changed"));
    if args.strategy.unwrap_or(file.policy().strategy) != Strategy::Merge {
        return wrong("`--base` is for `--strategy merge`".to_owned());
    }
    let found = match context.latch.file(given).and_then(|base| base.try_read()) {
        Ok(Some(found)) => found,
        Ok(None) | Err(Error::Io { action: "find", .. } | Error::NotFound { .. }) => {
            return match given.to_str().and_then(|text| text.parse().ok()) {
                Some(hash @ (Expect::Version(_) | Expect::Prefix(_))) => match &args.expect {
                    Expect::Any => Ok((hash, None)),
                    expect if *expect == hash => Ok((hash, None)),
                    _ => wrong("`--expect` and `--base` name different versions".to_owned()),
                },
                _ => wrong(format!("`--base {}` is neither a file nor a hash of 16 or more digits", given.display())),
            };
        }
        Err(e) => return Err(e.into()),
    };
    if !args.expect.admits(Some(&found.version())) {
        return wrong(format!(
            "`{}` is not the expected version: it has the hash {}",
            given.display(),
            found.version()
        ));
    }
    Ok((args.expect.clone(), Some(found.bytes().into())))
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
