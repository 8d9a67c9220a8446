//! Secrets on their way through the command line: standard input, standard output, files; never arguments.

use std::io::{self, IsTerminal, Read};
use std::path::Path;

use filelatch::store::Secret;

use crate::output;
use crate::render::CliError;

/// Longer input is no secret.
const LARGEST: u64 = 64 << 20;

/// Reads standard input to its end. `exact`: all of it counts; otherwise one end of line at the end does not.
pub(crate) fn from_stdin(what: &str, exact: bool) -> Result<Secret, CliError> {
    let mut input = io::stdin().lock();
    if input.is_terminal() {
        output::warning(&format!("reading {what} from the terminal, which shows it; Ctrl-D ends it, Ctrl-C gives up"));
    }
    read(&mut input, exact, &format!("standard input ({what})"))
}

/// Reads to the end.
pub(crate) fn read(input: &mut dyn Read, exact: bool, name: &str) -> Result<Secret, CliError> {
    let fail = |e: io::Error| CliError::own("io", format!("cannot read {name}: {e}")).hint("nothing was changed");
    let mut bytes = Vec::with_capacity(4096);
    input.take(LARGEST + 1).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(CliError::own("too-large", format!("{name} does not end")).hint("nothing was changed"));
    }
    if !exact {
        trim(&mut bytes);
    }
    Ok(Secret::new(bytes))
}

/// Takes one end of line off.
pub(crate) fn trim(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

/// The first line of a file, `-` being standard input.
pub(crate) fn first_line(path: &Path) -> Result<Secret, CliError> {
    let fail = |e: io::Error| {
        let message = format!("cannot read the passphrase from `{}`: {e}", path.display());
        CliError::own(if e.kind() == io::ErrorKind::NotFound { "not-found" } else { "io" }, message)
    };
    let whole = if path == Path::new("-") {
        read(&mut io::stdin().lock(), true, "standard input (the passphrase)")?
    } else {
        let mut file = crate::env::open(path).map_err(fail)?;
        read(&mut file, true, "the passphrase")?
    };
    let line = whole.expose().split(|byte| *byte == b'\n').next().unwrap_or_default();
    Ok(Secret::new(line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Prints a secret.
pub(crate) fn print(secret: &Secret, with_line_end: bool) -> Result<(), CliError> {
    output::data(secret.expose())?;
    if with_line_end { output::data(b"\n") } else { Ok(()) }
}

/// Rows with columns as wide as they need to be; the last one is not filled. Control characters are replaced: names may be anybody's.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<(), CliError> {
    let printable =
        |text: String| text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect::<String>();
    let rows: Vec<_> = rows.map(|row| row.map(printable)).collect();
    let mut all = vec![head.map(str::to_owned)];
    all.extend(rows);
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
    let widths: Vec<_> = (0..N).map(width).collect();
    for row in &all {
        let cells = row.iter().enumerate().map(|(i, cell)| {
            let fill = if i + 1 == N { 0 } else { widths[i] - cell.chars().count() + 2 };
            format!("{cell}{}", " ".repeat(fill))
        });
        output::line(cells.collect::<String>().trim_end())?;
    }
    Ok(())
}
