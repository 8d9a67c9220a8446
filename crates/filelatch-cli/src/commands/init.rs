//! `filelatch init`: makes a workspace and keeps its traces out of git.

use std::path::{Path, PathBuf};

use filelatch::Error;
use serde_json::json;

use crate::args::Init;
use crate::context::Context;
use crate::output;
use crate::render::CliError;

pub(crate) fn init(context: &Context, args: &Init) -> Result<(), CliError> {
    let made = context.latch.init(&args.dir)?;
    let exclude = if args.no_git { None } else { exclude_file(context, &made.dir) };
    let mut added = Vec::new();
    if let Some(exclude) = &exclude {
        added = filelatch_git::exclude(&context.latch, exclude, |patterns| show(exclude, patterns))?;
    }
    if context.json {
        return output::json(&json!({
            "success": true,
            "dir": output::path(&made.dir),
            "created": made.created,
            "gitExclude": exclude.as_deref().map(output::path),
            "added": added,
        }));
    }
    if !made.created {
        output::note("the workspace was there already");
    }
    output::data(made.dir.as_os_str().as_encoded_bytes())?;
    output::line("")
}

fn show(exclude: &Path, patterns: &[&str]) {
    output::note(&format!("adding to `{}`: {}", exclude.display(), patterns.join("  ")));
}

/// `info/exclude` of the git repository that a folder belongs to, if it does.
fn exclude_file(context: &Context, dir: &Path) -> Option<PathBuf> {
    for folder in dir.ancestors().skip(1) {
        let git = folder.join(".git");
        match context.latch.file(&git).and_then(|file| file.try_read()) {
            Err(Error::NotAFile { .. }) => return Some(git.join("info").join("exclude")),
            // A worktree or a submodule: the file says where its repository is.
            Ok(Some(link)) => return common_dir(context, folder, link.bytes()).map(|dir| dir.join("info/exclude")),
            Ok(None) | Err(_) => {}
        }
    }
    None
}

/// The folder that all worktrees of a repository share.
fn common_dir(context: &Context, folder: &Path, link: &[u8]) -> Option<PathBuf> {
    let text = std::str::from_utf8(link).ok()?;
    let own = folder.join(text.strip_prefix("gitdir:")?.trim());
    let common = context.latch.file(own.join("commondir")).and_then(|file| file.try_read()).ok().flatten();
    match common {
        Some(common) => Some(own.join(std::str::from_utf8(common.bytes()).ok()?.trim())),
        None => Some(own),
    }
}
