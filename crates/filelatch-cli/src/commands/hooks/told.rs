//! What an agent says about an edit: files, and what it claims to have made of them. Pure text.
//!
//! Agents describe an edit by the call of their tool: `tool_name`, `tool_input`, afterwards `tool_response`, and `cwd`, `session_id`. Claude Code
//! names a file and texts; Codex sends a patch in its own form (`*** Begin Patch`). Nothing that is not understood is guessed.

use std::path::PathBuf;

use serde_json::Value;

/// Longest description that is read, in bytes.
pub(super) const LONGEST: u64 = 64 << 20;
/// Most files of one patch.
const MOST_FILES: usize = 10_000;
const BEGIN: &str = "*** Begin Patch";

/// One call of an editing tool.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The agent's own name of its session.
    pub(super) session: Option<String>,
    /// What relative paths are relative to.
    pub(super) cwd: Option<PathBuf>,
    pub(super) edits: Vec<Edit>,
}

/// A file that is edited.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) path: PathBuf,
    pub(super) claim: Claim,
}

/// What the tool says it has made of the file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing that could be compared.
    #[default]
    Nothing,
    /// This is all of it.
    Whole(String),
    /// These stand in it, in this order.
    Parts(Vec<String>),
    /// All of it by the tool's account, else at least the parts.
    Either(String, Vec<String>),
    /// The file is gone.
    Removed,
}

/// How a claim and a file compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fits {
    /// It is what the tool says.
    Yes,
    /// It may be, or be another's as well.
    Unclear,
    /// It is something else.
    No,
}

impl Told {
    /// Reads a description. The error says what is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Told, String> {
        let value: Value = serde_json::from_slice(bytes).map_err(|e| format!("it is not JSON: {e}"))?;
        let Value::Object(call) = &value else { return Err("it is no JSON object".to_owned()) };
        let text = |name: &str| call.get(name).and_then(Value::as_str).map(str::to_owned);
        let (session, cwd) = (text("session_id"), text("cwd").map(PathBuf::from));
        let Some(input) = call.get("tool_input").filter(|input| input.is_object()) else {
            return Err("it has no `tool_input`".to_owned());
        };
        if let Some(patch) = patch_of(input) {
            return Ok(Told { session, cwd, edits: files_of(patch)? });
        }
        let named = ["file_path", "notebook_path", "filePath", "path"];
        let Some(path) = named.iter().find_map(|name| input.get(*name)) else {
            // A command of a shell says nothing of files.
            let known = input.get("command").is_some();
            return if known {
                Ok(Told { session, cwd, edits: Vec::new() })
            } else {
                Err("`tool_input` names no file".to_owned())
            };
        };
        let path = path.as_str().filter(|path| !path.is_empty()).ok_or("the file's name is no text")?;
        let claim = claim_of(input, call.get("tool_response").unwrap_or(&Value::Null));
        Ok(Told { session, cwd, edits: vec![Edit { path: PathBuf::from(path), claim }] })
    }
}

/// A patch, wherever the tool puts it.
fn patch_of(input: &Value) -> Option<&str> {
    ["command", "input", "patch"].iter().find_map(|name| {
        let text = input.get(*name)?.as_str()?;
        text.find(BEGIN).map(|at| &text[at..])
    })
}

fn claim_of(input: &Value, response: &Value) -> Claim {
    // A person has changed what the tool wanted to write: it is not the tool's alone.
    if response.get("userModified").and_then(Value::as_bool) == Some(true) {
        return Claim::Nothing;
    }
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    if let Some(content) = text(input, "content") {
        return Claim::Whole(content);
    }
    let replacement = |of: &Value| {
        let all = of.get("replace_all").and_then(Value::as_bool).unwrap_or(false);
        Some((text(of, "old_string")?, text(of, "new_string")?, all))
    };
    let edits: Vec<_> = match input.get("edits").and_then(Value::as_array) {
        Some(edits) => edits.iter().filter_map(replacement).collect(),
        None => replacement(input).into_iter().collect(),
    };
    if edits.is_empty() {
        return Claim::Nothing;
    }
    // Of texts that were replaced again by a later one nothing need be left: the last one stands.
    let parts = edits.last().map(|(_, new, _)| new.clone()).into_iter().collect();
    let before = text(response, "originalFile");
    match before.and_then(|before| edits.iter().try_fold(before, |content, edit| replaced(&content, edit))) {
        Some(whole) => Claim::Either(whole, parts),
        None => Claim::Parts(parts),
    }
}

fn replaced(content: &str, (old, new, all): &(String, String, bool)) -> Option<String> {
    match (old.is_empty(), all) {
        (true, _) => content.is_empty().then(|| new.clone()),
        (false, _) if !content.contains(old.as_str()) => None,
        (false, true) => Some(content.replace(old.as_str(), new)),
        (false, false) => Some(content.replacen(old.as_str(), new, 1)),
    }
}

/// The files of a patch in the form of Codex.
fn files_of(patch: &str) -> Result<Vec<Edit>, String> {
    let mut edits: Vec<Edit> = Vec::new();
    // Of the file at hand: its new content, or the places that were changed, and the one being read.
    let (mut added, mut parts, mut part) = (None::<String>, Vec::new(), String::new());
    let finish = |edits: &mut Vec<Edit>, added: &mut Option<String>, parts: &mut Vec<String>, part: &mut String| {
        let part = std::mem::take(part);
        let mut parts = std::mem::take(parts);
        parts.extend(Some(part).filter(|part| !part.is_empty()));
        if let Some(edit) = edits.last_mut().filter(|edit| edit.claim == Claim::Nothing) {
            edit.claim = added.take().map_or(Claim::Parts(parts), Claim::Whole);
        }
        *added = None;
    };
    for line in patch.lines() {
        let begin = |what: &str| line.strip_prefix(what).map(|path| PathBuf::from(path.trim()));
        let (update, add, delete) = (begin("*** Update File:"), begin("*** Add File:"), begin("*** Delete File:"));
        if let Some(to) = begin("*** Move to:") {
            // The old name is edited as well: its file goes.
            if let Some(last) = edits.pop() {
                edits.push(Edit { path: last.path, claim: Claim::Removed });
            }
            edits.push(Edit { path: to, claim: Claim::Nothing });
        } else if let Some(path) = update.clone().or_else(|| add.clone()).or_else(|| delete.clone()) {
            finish(&mut edits, &mut added, &mut parts, &mut part);
            if path.as_os_str().is_empty() {
                return Err("the patch names no file".to_owned());
            }
            if edits.len() >= MOST_FILES {
                return Err(format!("the patch has more than {MOST_FILES} files"));
            }
            added = add.map(|_| String::new());
            let claim = if delete.is_some() { Claim::Removed } else { Claim::Nothing };
            edits.push(Edit { path, claim });
        } else if line.starts_with("*** End Patch") {
            break;
        } else if line.starts_with("@@") {
            parts.extend(Some(std::mem::take(&mut part)).filter(|part| !part.is_empty()));
        } else if let Some(text) = line.strip_prefix('+').or_else(|| line.strip_prefix(' ')) {
            let into = added.as_mut().unwrap_or(&mut part);
            into.push_str(text);
            into.push('\n');
        }
    }
    finish(&mut edits, &mut added, &mut parts, &mut part);
    if edits.is_empty() { Err("the patch names no file".to_owned()) } else { Ok(edits) }
}

impl Claim {
    /// Compares with what is there. Line endings, a byte order mark and the last line's end do not count: tools change them.
    pub(super) fn fits(&self, bytes: &[u8]) -> Fits {
        let Ok(text) = std::str::from_utf8(bytes) else { return Fits::Unclear };
        let text = plain(text);
        let same = |whole: &str| plain(whole).trim_end_matches('\n') == text.trim_end_matches('\n');
        match self {
            Claim::Nothing | Claim::Removed => Fits::Unclear,
            // Where something was only taken out, nothing shows whose the rest is.
            Claim::Parts(parts) if parts.iter().all(|part| part.trim().is_empty()) => Fits::Unclear,
            Claim::Whole(whole) => {
                if same(whole) {
                    Fits::Yes
                } else {
                    Fits::No
                }
            }
            Claim::Parts(parts) => {
                if has(&text, parts) {
                    Fits::Yes
                } else {
                    Fits::No
                }
            }
            Claim::Either(whole, _) if same(whole) => Fits::Yes,
            Claim::Either(_, parts) => {
                if has(&text, parts) {
                    Fits::Unclear
                } else {
                    Fits::No
                }
            }
        }
    }
}

fn has(text: &str, parts: &[String]) -> bool {
    let mut rest = text;
    parts.iter().map(|part| plain(part)).all(|part| {
        let part = part.trim_end_matches('\n');
        let found = rest.find(part);
        rest = found.map_or("", |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

fn plain(text: &str) -> String {
    text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(value: &Value) -> Result<Told, String> {
        Told::parse(value.to_string().as_bytes())
    }

    fn claim(input: &Value, response: &Value) -> Claim {
        let told = told(&json!({"tool_name": "Edit", "tool_input": input, "tool_response": response})).unwrap();
        told.edits.into_iter().next().unwrap().claim
    }

    /// AGENT-9: what is no description of an edit is told as such, never guessed.
    #[test]
    fn malformed() {
        for bytes in [&b""[..], b"{", b"\xff", b"[]", b"{}", b"{\"tool_input\":3}", b"{\"tool_input\":{}}"] {
            assert!(Told::parse(bytes).is_err(), "{bytes:?}");
        }
        for input in [json!({"file_path": 3}), json!({"file_path": ""}), json!({"command": "*** Begin Patch\nx"})] {
            assert!(told(&json!({"tool_input": input})).is_err(), "{input}");
        }
        assert_eq!(told(&json!({"tool_input": {"command": "ls"}})).unwrap().edits, []);
        let deep = "[".repeat(100_000);
        assert!(Told::parse(deep.as_bytes()).is_err());
    }

    /// AGENT-9: what Claude Code says of its tools.
    #[test]
    fn texts() {
        let whole = claim(&json!({"file_path": "/a", "content": "one\ntwo\n"}), &json!({}));
        assert_eq!(
            (whole.fits(b"one\r\ntwo\r\n"), whole.fits(b"\xef\xbb\xbfone\ntwo"), whole.fits(b"one")),
            (Fits::Yes, Fits::Yes, Fits::No)
        );
        let input = json!({"file_path": "/a", "old_string": "b", "new_string": "B"});
        let edited = claim(&input, &json!({"originalFile": "a b b"}));
        assert_eq!(
            (edited.fits(b"a B b"), edited.fits(b"a B b!"), edited.fits(b"a b b")),
            (Fits::Yes, Fits::Unclear, Fits::No)
        );
        let weaker = claim(&input, &Value::Null);
        assert_eq!((weaker.fits(b"a B b"), weaker.fits(b"a b b")), (Fits::Yes, Fits::No));
        // A person had a hand in it.
        assert_eq!(claim(&input, &json!({"userModified": true})), Claim::Nothing);
        let several = json!({"file_path": "/a", "edits": [{"old_string": "a", "new_string": "b"}, {"old_string": "b", "new_string": "c", "replace_all": true}]});
        assert_eq!(claim(&several, &json!({"originalFile": "a b"})).fits(b"c c"), Fits::Yes);
        assert_eq!(claim(&json!({"notebook_path": "n.ipynb", "new_source": "x"}), &Value::Null), Claim::Nothing);
    }

    /// AGENT-9: what Codex sends: several files in one patch, each with its own claim.
    #[test]
    fn patches() {
        let patch = "*** Begin Patch\n*** Update File: a/b.txt\n@@ fn main\n keep\n-old\n+new\n@@\n+last\n*** Add File: n.txt\n+one\n+two\n\
                     *** Delete File: d\n*** Update File: old\n*** Move to: moved\n@@\n-x\n+y\n*** End Patch\n";
        let told = told(
            &json!({"cwd": "/w", "session_id": "s", "tool_name": "apply_patch", "tool_input": {"command": patch}}),
        )
        .unwrap();
        let edits: Vec<_> = told.edits.iter().map(|edit| (edit.path.to_str().unwrap(), &edit.claim)).collect();
        let parts = Claim::Parts(vec!["keep\nnew\n".into(), "last\n".into()]);
        assert_eq!(
            edits,
            [
                ("a/b.txt", &parts),
                ("n.txt", &Claim::Whole("one\ntwo\n".into())),
                ("d", &Claim::Removed),
                ("old", &Claim::Removed),
                ("moved", &Claim::Parts(vec!["y\n".into()])),
            ]
        );
        assert_eq!(
            (parts.fits(b"x\r\nkeep\r\nnew\r\n..last"), parts.fits(b"last\nkeep\nnew\n")),
            (Fits::Yes, Fits::No)
        );
    }
}
