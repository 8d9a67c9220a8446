//! `read`: a file, or what has become of it since it was read.

use filelatch::diff::{DiffOptions, Difference, diff};
use filelatch::show::{author, time};
use filelatch::{Expect, Snapshot};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Access, Tool};
use crate::anchors::Lines;
use crate::edits::{BOM, Ending};
use crate::refusal::Refusal;
use crate::work::{Call, Work};

pub(super) struct Read;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// The file, relative to the root.
    path: String,
    /// The hash of what you have. If the file still has it, no content is sent; else the difference, where it is known and shorter.
    known_hash: Option<String>,
    /// The first line wanted, from 1.
    start_line: Option<usize>,
    /// The last line wanted.
    end_line: Option<usize>,
    /// Begin each line with its anchor `N:hhhhhh|`, which `edit` takes.
    #[serde(default)]
    anchors: bool,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
#[expect(clippy::struct_excessive_bools, reason = "they are fields of an answer")]
pub(super) struct Answer {
    ok: bool,
    path: String,
    /// False: there is no such file, and nothing else is told.
    exists: bool,
    /// The version: give it as `base_hash` of an edit, or as `known_hash` of the next read.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    /// Bytes of the file.
    size: usize,
    /// Lines of the file.
    lines: usize,
    /// The text of the lines that were asked for, without the byte order mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<String>,
    /// It is what `known_hash` says.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unchanged: bool,
    /// What changed since `known_hash`, as a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
    /// The first line of `content`.
    #[serde(skip_serializing_if = "Option::is_none")]
    start_line: Option<usize>,
    /// Its last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_line: Option<usize>,
    /// How lines end.
    line_ending: Ending,
    /// Does the file begin with a byte order mark?
    bom: bool,
    /// Who wrote this version: a session, or `external`.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    /// When.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

impl Tool for Read {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "read";
    const TITLE: &'static str = "Read a file";
    const DESCRIPTION: &'static str = "Reads a text file of the root, whole or some lines, with the hash of its version. Give the hash you have as \
        `known_hash` to learn whether it changed, and how. `anchors: true` names each line for `edit`. Read before you change a file, and after \
        a conflict.";
    const ACCESS: Access = Access::Reads;
    const WORK: Work = Work::Look;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let known = arguments.known_hash.as_deref().map(hash_of).transpose()?;
        let (place, file) = match call.file(&arguments.path) {
            Err(refusal) if refusal.kind == "not-found" => {
                let place = call.place(&arguments.path)?;
                return Ok(Answer { ok: true, path: place.as_str().to_owned(), ..Answer::default() });
            }
            found => found?,
        };
        let path = place.as_str().to_owned();
        let Some(snapshot) = file.try_read().map_err(|e| call.refused(&e).about(&path))? else {
            return Ok(Answer { ok: true, path, ..Answer::default() });
        };
        let bytes = snapshot.bytes();
        let text = std::str::from_utf8(bytes).map_err(|e| not_utf8(&path, e.valid_up_to(), bytes.len()))?;
        let version = snapshot.version();
        let bom = bytes.starts_with(BOM);
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = Lines::new(text.as_bytes());
        let mut answer = Answer {
            ok: true,
            path,
            exists: true,
            hash: Some(version.to_string()),
            size: bytes.len(),
            lines: lines.count(),
            line_ending: Ending::of(bytes),
            bom,
            by: author(snapshot.author()),
            at: Some(time(snapshot.modified_at())),
            ..Answer::default()
        };
        if known.as_ref().is_some_and(|known| known.admits(Some(&version))) {
            answer.unchanged = true;
            return Ok(answer);
        }
        let (range, whole) = wanted(&arguments, &answer)?;
        if whole && let Some(Expect::Version(known)) = &known {
            answer.diff = call.server().known().get(known).and_then(|base| difference(&base, &snapshot));
        }
        if answer.diff.is_none() {
            let at = lines.range(range.clone());
            let shown = if arguments.anchors { labelled(&lines, range.clone()) } else { text[at].to_owned() };
            let limit = call.server().limits().content;
            if shown.len() as u64 > limit {
                let path = &answer.path;
                let arguments = json!({"path": path, "start_line": 1, "end_line": 1000});
                return Err(Refusal::new(
                    "too-large",
                    format!("`{path}` has more than the {limit} bytes that are sent at once"),
                )
                .about(path)
                .not_done("nothing was read")
                .next("read", arguments, "reads some of its lines"));
            }
            answer.content = Some(shown);
            if !whole {
                answer.start_line = Some(range.start + 1);
                answer.end_line = Some(range.end);
            }
        }
        call.server().known().put(version, bytes);
        Ok(answer)
    }
}

/// The lines that were asked for, from 0, and whether they are all.
fn wanted(arguments: &Arguments, answer: &Answer) -> Result<(std::ops::Range<usize>, bool), Refusal> {
    let (first, last) = (arguments.start_line, arguments.end_line);
    if first == Some(0) || last == Some(0) {
        return Err(Refusal::malformed("lines count from 1"));
    }
    let start = first.unwrap_or(1) - 1;
    let end = last.unwrap_or(answer.lines).min(answer.lines);
    if last.is_some_and(|last| last <= start) {
        return Err(Refusal::malformed("`end_line` is before `start_line`"));
    }
    if start > 0 && start >= answer.lines {
        let (path, lines) = (&answer.path, answer.lines);
        return Err(Refusal::new("no-such-line", format!("`{path}` has {lines} lines, and no line {}", start + 1))
            .about(path)
            .not_done("nothing was read")
            .next("read", json!({"path": path}), "reads all of it"));
    }
    Ok((start..end.max(start), first.is_none() && last.is_none()))
}

fn labelled(lines: &Lines<'_>, range: std::ops::Range<usize>) -> String {
    let mut out = String::new();
    for line in range {
        out.push_str(&lines.label(line));
        out.push_str(&String::from_utf8_lossy(lines.text(line)));
        out.push('\n');
    }
    out
}

/// What changed since `base`, if telling that is shorter than the content.
fn difference(base: &[u8], now: &Snapshot) -> Option<String> {
    let difference = diff(base, now.bytes(), &DiffOptions::default());
    if !matches!(difference, Difference::Lines(_)) {
        return None;
    }
    let text = String::from_utf8(difference.unified("known", "now")).ok()?;
    (text.len() < now.bytes().len()).then_some(text)
}

/// A hash in an argument: all its digits, or at least 16 of them.
pub(crate) fn hash_of(text: &str) -> Result<Expect, Refusal> {
    if let Ok(expect @ (Expect::Version(_) | Expect::Prefix(_))) = text.trim().parse() {
        return Ok(expect);
    }
    let shown: String = text.chars().take(80).collect();
    Err(Refusal::malformed(format!("`{}` is no hash", shown.escape_debug()))
        .hint("a hash is the `hash` of an earlier answer: 64 hexadecimal digits, or at least the first 16"))
}

/// A file that is no text.
pub(crate) fn not_utf8(path: &str, at: usize, len: usize) -> Refusal {
    Refusal::new("not-utf8", format!("`{path}` is no UTF-8 text: byte {at} of {len}"))
        .about(path)
        .not_done("nothing was read or changed")
        .hint("it may be an image or a program; use a tool that is made for it")
}
