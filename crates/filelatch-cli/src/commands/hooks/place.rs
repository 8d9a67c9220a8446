//! Where each agent has its hooks, and what it wants there.
//!
//! | agent | settings | scripts | which tools |
//! |---|---|---|---|
//! | Claude Code | `.claude/settings.json`, `hooks.PreToolUse`, `hooks.PostToolUse` | `.claude/hooks/` | `Edit`, `Write`, `MultiEdit`, `NotebookEdit` |
//! | Codex | `.codex/hooks.json`, the same form | `.codex/hooks/` | `apply_patch` |
//! | any other | none | `filelatch-hooks/` | |
//!
//! Both agents run a command with JSON on its standard input, and block the call for exit status 2 with what is on standard error. Sources:
//! code.claude.com/docs/en/hooks, developers.openai.com/codex/hooks.

use std::path::{Path, PathBuf};

use super::script::{When, line_of};
use super::settings::Entry;
use crate::args_hooks::Agent;
use crate::render::CliError;

pub(super) const PRE: &str = "filelatch-pre-edit.sh";
pub(super) const POST: &str = "filelatch-post-edit.sh";

/// The places in one folder.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) scripts: PathBuf,
    pub(super) settings: Option<PathBuf>,
    pub(super) entries: Vec<Entry>,
    /// Folders that may have to be made, inner ones first.
    pub(super) folders: Vec<PathBuf>,
}

impl Place {
    pub(super) fn of(agent: Agent, dir: &Path) -> Result<Place, CliError> {
        let at = |name: &str| dir.join(name);
        Ok(match agent {
            Agent::Claude => Place {
                scripts: at(".claude/hooks"),
                settings: Some(at(".claude/settings.json")),
                entries: entries("Edit|Write|MultiEdit|NotebookEdit", "\"$CLAUDE_PROJECT_DIR\"/.claude/hooks"),
                folders: vec![at(".claude/hooks"), at(".claude")],
            },
            Agent::Codex => {
                // It runs commands in the session's folder, which may be below the project's.
                let is_top = dir.join(".git").exists();
                let folder = line_of(dir.to_str(), &dir.display().to_string())?;
                let top = if is_top {
                    "\"$(git rev-parse --show-toplevel)\"".to_owned()
                } else {
                    format!("'{}'", folder.replace('\'', "'\\''"))
                };
                Place {
                    scripts: at(".codex/hooks"),
                    settings: Some(at(".codex/hooks.json")),
                    entries: entries("apply_patch", &format!("{top}/.codex/hooks")),
                    folders: vec![at(".codex/hooks"), at(".codex")],
                }
            }
            Agent::Generic => Place {
                scripts: at("filelatch-hooks"),
                settings: None,
                entries: Vec::new(),
                folders: vec![at("filelatch-hooks")],
            },
        })
    }

    pub(super) fn script(&self, when: When) -> PathBuf {
        self.scripts.join(match when {
            When::Pre => PRE,
            When::Post => POST,
        })
    }
}

/// `folder`: as a word for the shell.
fn entries(matcher: &'static str, folder: &str) -> Vec<Entry> {
    let entry = |event, script| Entry { event, matcher, command: command(folder, script), script };
    vec![entry("PreToolUse", PRE), entry("PostToolUse", POST)]
}

/// Runs a script. One that is gone must not block: some shells end with 2 when they can't open what they are to run.
fn command(folder: &str, script: &str) -> String {
    format!(
        "f={folder}/{script}; test -r \"$f\" || {{ echo \"filelatch: $f is gone: not checked\" >&2; exit 1; }}; sh \"$f\""
    )
}
