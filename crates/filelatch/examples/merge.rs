//! Three-way merge of files: `merge BASE OURS THEIRS OUT [NAME]`. Ends with 0 when everything fits, with 1 when OUT has
//! conflict markers. NAME tells the kind of document, if the files' own names do not.
#![expect(clippy::disallowed_methods, reason = "a small program of its own, not part of the library")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use filelatch::merge::{ConflictStyle, Markers, MergeOptions, merge};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [base, ours, theirs, out, name @ ..] = arguments.as_slice() else {
        return Err("usage: merge BASE OURS THEIRS OUT [NAME]".into());
    };
    let options = MergeOptions::for_path(name.first().unwrap_or(ours));
    let merged = merge(&std::fs::read(base)?, &std::fs::read(ours)?, &std::fs::read(theirs)?, &options);
    let markers = Markers { style: ConflictStyle::Diff3, ..Markers::default() };
    std::fs::write(out, merged.render(&markers))?;
    Ok(ExitCode::from(u8::from(!merged.is_clean())))
}
