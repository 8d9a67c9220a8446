//! `append`: text at the end of a file.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::{Access, Tool};
use crate::edits::{Changed, Ending, with_crlf, with_lf};
use crate::fitting::too_large;
use crate::refusal::Refusal;
use crate::work::{Call, Work};
use crate::writing::{self, Answer, DurabilityArgument, How, Planned, Stop};

pub(super) struct Append;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file, relative to the root.
    path: String,
    /// The text.
    text: String,
    /// Make the file if there is none.
    #[serde(default)]
    create: bool,
    /// End it with a line ending if `text` has none: true unless given.
    newline: Option<bool>,
    /// Show what would change, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// A text of your own: the same call with the same key is made once, also if its answer got lost.
    #[expect(dead_code, reason = "it is taken before the arguments are")]
    idempotency_key: Option<String>,
    /// The `token` of your lease on the file.
    lease_token: Option<u64>,
    /// How long to wait for the lock: 5000 unless given, at most 60000.
    wait_ms: Option<u64>,
    /// What the write has survived when it is answered; else as the file's policy says.
    durability: Option<DurabilityArgument>,
}

impl Tool for Append {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "append";
    const TITLE: &'static str = "Append to a file";
    const DESCRIPTION: &'static str = "Adds text at the end of a file, whatever others add at the same time: nothing is overwritten, no line is torn. \
        Begins on a line of its own. Use it for logs, lists and notes; give an `idempotency_key` if the call may be repeated. `not-found`: give \
        `create`.";
    const ACCESS: Access = Access::Writes;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let (place, file) = call.file(&arguments.path)?;
        let how = How {
            wait: call.wait(arguments.wait_ms),
            durability: arguments.durability,
            lease_token: arguments.lease_token,
            dry_run: arguments.dry_run,
            base: None,
        };
        let limit = usize::try_from(call.server().limits().content).unwrap_or(usize::MAX);
        let mut plan = |old: Option<&[u8]>| -> Result<Planned, Stop> {
            if old.is_none() && !arguments.create {
                let path = place.as_str();
                let refusal = Refusal::new("not-found", format!("`{path}` does not exist")).about(path);
                return Err(refusal.next("append", json!({"path": path, "create": true}), "makes it").into());
            }
            let planned = appended(old, &arguments.text, arguments.newline.unwrap_or(true));
            let size = planned.bytes.as_ref().map_or(0, Vec::len);
            if size > limit {
                return Err(too_large(&place, size, limit).into());
            }
            Ok(planned)
        };
        writing::change(call, &place, &file, &how, &mut plan).map_err(|stop| stop.refusal(call, &place))
    }
}

/// The content with a text behind it, which begins a line.
fn appended(old: Option<&[u8]>, text: &str, newline: bool) -> Planned {
    let content = old.unwrap_or_default();
    let (ending, text) = match Ending::of(content) {
        Ending::Crlf => ("\r\n", with_crlf(text)),
        Ending::Lf => ("\n", with_lf(text)),
        Ending::None | Ending::Mixed => ("\n", text.to_owned()),
    };
    if text.is_empty() && old.is_some() {
        return Planned::default();
    }
    let mut bytes = Vec::with_capacity(content.len() + text.len() + 4);
    bytes.extend_from_slice(content);
    let body = content.strip_prefix(crate::edits::BOM).unwrap_or(content);
    if !body.is_empty() && !body.ends_with(b"\n") {
        bytes.extend_from_slice(ending.as_bytes());
    }
    let start_line = memchr::memchr_iter(b'\n', &bytes).count() + 1;
    bytes.extend_from_slice(text.as_bytes());
    if newline && !text.is_empty() && !text.ends_with('\n') {
        bytes.extend_from_slice(ending.as_bytes());
    }
    let added =
        memchr::memchr_iter(b'\n', text.as_bytes()).count() + usize::from(!text.is_empty() && !text.ends_with('\n'));
    let changed = Changed { start_line, lines_removed: 0, lines_added: added };
    Planned { bytes: Some(bytes), changed: vec![changed], start_line: Some(start_line), ..Planned::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-2: what is appended begins a line, and ends as the file's lines do.
    #[test]
    fn endings() {
        for (old, text, newline, new, line) in [
            (None, "a", true, "a\n", 1),
            (Some(""), "a\nb", true, "a\nb\n", 1),
            (Some("x\n"), "a", true, "x\na\n", 2),
            (Some("x"), "a", true, "x\na\n", 2),
            (Some("x\r\ny"), "a\nb", true, "x\r\ny\r\na\r\nb\r\n", 3),
            (Some("x\n"), "a", false, "x\na", 2),
            (Some("\u{feff}"), "a", true, "\u{feff}a\n", 1),
            (Some("x\n"), "\n", true, "x\n\n", 2),
        ] {
            let planned = appended(old.map(str::as_bytes), text, newline);
            assert_eq!(planned.bytes.as_deref(), Some(new.as_bytes()), "{old:?} {text:?}");
            assert_eq!(planned.start_line, Some(line), "{old:?} {text:?}");
        }
        assert!(appended(Some(b"x"), "", true).bytes.is_none());
        assert_eq!(appended(None, "", true).bytes.as_deref(), Some(&b""[..]));
    }
}
