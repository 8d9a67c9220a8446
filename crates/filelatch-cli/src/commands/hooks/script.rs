//! The two scripts: plain /bin/sh, told apart from somebody's own by their first lines.

use std::fmt::Write as _;
use std::path::Path;

use crate::args_hooks::Agent;
use crate::render::CliError;

/// What both are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Maker<'a> {
    pub(super) agent: Agent,
    /// Where the program was when they were made; it is looked for in the PATH first.
    pub(super) program: &'a str,
    /// The name that was chosen for this place.
    pub(super) session: Option<&'a str>,
    /// What was made in the settings for our entries, and which folders for the scripts.
    pub(super) made: &'a [String],
}

/// Before or after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Pre,
    Post,
}

const MADE: &str = "# made: ";
const PROGRAM: &str = "at=";
const SESSION: &str = "session=";

impl When {
    /// The subcommand.
    fn verb(self) -> &'static str {
        match self {
            When::Pre => "pre-edit",
            When::Post => "post-edit",
        }
    }
}

impl Maker<'_> {
    /// The script's text.
    pub(super) fn text(&self, when: When) -> String {
        let (verb, agent) = (when.verb(), self.agent.word());
        let purpose = match when {
            When::Pre => "Run before a file is edited: refuses while somebody else has leased or locked it.",
            When::Post => "Run after a file was edited: notes who wrote what is there now.",
        };
        let mut text = format!(
            "#!/bin/sh\n# {purpose}\n# Written by `filelatch hooks install {agent}`; `filelatch hooks uninstall {agent}` removes it.\n"
        );
        if !self.made.is_empty() {
            writeln!(text, "{MADE}{}", self.made.join(" ")).ok();
        }
        writeln!(text, "{PROGRAM}{}", quoted(self.program)).ok();
        if let Some(session) = self.session {
            writeln!(text, "{SESSION}{}", quoted(session)).ok();
        }
        let session = if self.session.is_some() { "--session \"$session\" " } else { "" };
        text.push_str("filelatch=$(command -v filelatch) || filelatch=$at\n");
        writeln!(text, "\"$filelatch\" {session}hooks {verb} --agent {agent} -- \"$@\"").ok();
        text.push_str(match (when, self.agent) {
            // The agents block for 2 alone; anything else is shown to the person, and the edit goes on.
            (When::Pre, _) => {
                "case $? in\n0) exit 0 ;; # go on\n4) exit 2 ;; # refused: the reason is on standard error\n*) exit 1 ;; # not checked: told, and not in the way\nesac\n"
            }
            (When::Post, _) => {
                "case $? in\n0) exit 0 ;; # noted\n3) exit 2 ;; # the file is another by now: the agent is told\n*) exit 1 ;; # not noted\nesac\n"
            }
        });
        text
    }
}

/// One word for the shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}

fn unquoted(word: &str) -> Option<String> {
    let inner = word.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("'\\''", "'"))
}

/// What the script at hand was made of; `None`: it is not ours.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) program: String,
    pub(super) session: Option<String>,
    pub(super) made: Vec<String>,
}

impl Found {
    pub(super) fn of(bytes: &[u8]) -> Option<Found> {
        let text = std::str::from_utf8(bytes).ok()?;
        let line = |prefix: &str| text.lines().find_map(|line| line.strip_prefix(prefix));
        let words = line(MADE).map(|made| made.split_ascii_whitespace().map(str::to_owned).collect());
        let session = line(SESSION).and_then(unquoted);
        Some(Found { program: unquoted(line(PROGRAM)?)?, session, made: words.unwrap_or_default() })
    }

    /// Is it as we wrote it?
    pub(super) fn is_untouched(&self, bytes: &[u8], agent: Agent, when: When) -> bool {
        let maker = Maker { agent, program: &self.program, session: self.session.as_deref(), made: &self.made };
        maker.text(when).as_bytes() == bytes
    }
}

/// The program's path as text for a script.
pub(super) fn program_text(path: &Path) -> Result<String, CliError> {
    line_of(path.to_str(), &path.display().to_string())
}

/// Text that stands in one line.
pub(super) fn line_of(text: Option<&str>, shown: &str) -> Result<String, CliError> {
    let fit = text.filter(|text| !text.chars().any(char::is_control));
    fit.map(str::to_owned).ok_or_else(|| {
        CliError::own("usage", format!("`{shown}` can't stand in a script: it is not plain text"))
            .hint("nothing was changed")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a script was made of is read from it again, quotes and all; a changed one is not taken for ours as it was.
    #[test]
    fn made_and_read() {
        let made = ["file".to_owned(), "PreToolUse".to_owned()];
        for (program, session) in [("/usr/bin/filelatch", None), ("/it's here/f", Some("o'hara 1"))] {
            for (when, made) in [(When::Pre, &made[..]), (When::Post, &[])] {
                let maker = Maker { agent: Agent::Claude, program, session, made };
                let text = maker.text(when);
                let found = Found::of(text.as_bytes()).unwrap();
                assert_eq!(
                    (found.program.as_str(), found.session.as_deref(), &found.made[..]),
                    (program, session, made)
                );
                assert!(found.is_untouched(text.as_bytes(), Agent::Claude, when));
                assert!(!found.is_untouched(format!("{text}echo\n").as_bytes(), Agent::Claude, when));
            }
        }
        assert_eq!(Found::of(b"#!/bin/sh\necho mine\n"), None);
        assert!(line_of(Some("a\nb"), "a").is_err() && line_of(None, "a").is_err());
    }
}
