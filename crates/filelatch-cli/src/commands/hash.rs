//! `filelatch hash`: the versions of files, in the format of `b3sum`.

use std::path::Path;

use serde_json::{Value, json};

use crate::args::Hash;
use crate::context::Context;
use crate::render::{CliError, tell};
use crate::{exit, output};

pub(crate) fn hash(context: &Context, args: &Hash) -> Result<u8, CliError> {
    let mut status = exit::DONE;
    let mut answers = Vec::new();
    for path in &args.files {
        match version(context, path) {
            Ok(hash) if context.json => answers.push(json!({"path": output::path(path), "hash": hash})),
            Ok(hash) => output::data(&line(&hash, path))?,
            Err(error) => {
                // The worst of all: an error that is more than a missing file stands out.
                status = if status == exit::DONE { error.status() } else { status.min(error.status()) };
                if context.json {
                    answers.push(json!({"path": output::path(path), "hash": null, "error": error.to_json()}));
                } else {
                    tell(&error);
                }
            }
        }
    }
    if context.json {
        output::json(&Value::Array(answers))?;
    }
    Ok(status)
}

fn version(context: &Context, path: &Path) -> Result<String, CliError> {
    Ok(context.file(path)?.read()?.version().to_string())
}

/// `HASH  FILE`; a name that would break the line is escaped, which a backslash in front says (as coreutils and b3sum do).
fn line(hash: &str, path: &Path) -> Vec<u8> {
    let name = path.as_os_str().as_encoded_bytes();
    let mut line = Vec::with_capacity(hash.len() + name.len() + 4);
    if name.iter().any(|b| matches!(b, b'\n' | b'\\')) {
        line.push(b'\\');
    }
    line.extend_from_slice(hash.as_bytes());
    line.extend_from_slice(b"  ");
    for &byte in name {
        match byte {
            b'\n' => line.extend_from_slice(b"\\n"),
            b'\\' => line.extend_from_slice(b"\\\\"),
            _ => line.push(byte),
        }
    }
    line.push(b'\n');
    line
}
