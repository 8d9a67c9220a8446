//! Our entries in an agent's settings: pure documents.
//!
//! Claude Code and Codex have the same form: `hooks` → event → groups of `{matcher, hooks: [{type, command, …}]}`. The document is changed by
//! its nodes: comments, order and formatting of everything else stay. Ours is known by the name of the script in its command.

use filelatch::doc::{Document, Format};
use serde_json::{Value, json};

/// One of our entries.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) event: &'static str,
    pub(super) matcher: &'static str,
    pub(super) command: String,
    /// The script's name, by which the entry is found again.
    pub(super) script: &'static str,
}

/// Seconds after which an agent gives up on a hook.
const TIMEOUT: u64 = 30;

impl Entry {
    fn group(&self) -> Value {
        let hook = json!({"type": "command", "command": self.command, "timeout": TIMEOUT});
        json!({"matcher": self.matcher, "hooks": [hook]})
    }

    fn is_in(&self, hook: &Value) -> bool {
        let command = hook.get("command").and_then(Value::as_str);
        command.is_some_and(|command| command.contains(self.script))
    }
}

/// Settings with our entries, and what had to be made for them: `file`, `hooks`, names of events.
pub(super) type With = (Vec<u8>, Vec<String>);

/// Adds our entries. `None`: they are there already. The error says why the settings can't have them.
pub(super) fn with(old: Option<&[u8]>, entries: &[Entry]) -> Result<Option<With>, String> {
    let mut document = parse(old)?;
    let mut made: Vec<String> = Vec::new();
    made.extend(old.is_none().then(|| "file".to_owned()));
    if get(&document, "/hooks")?.is_none() {
        set(&mut document, "/hooks", json!({}))?;
        made.push("hooks".to_owned());
    }
    for entry in entries {
        let list = format!("/hooks/{}", entry.event);
        let groups = get(&document, &list)?;
        if groups.is_none() {
            made.push(entry.event.to_owned());
        }
        let groups = groups.unwrap_or_else(|| json!([]));
        let Value::Array(found) = &groups else { return Err(format!("`hooks.{}` is no list", entry.event)) };
        let place = found.iter().position(|group| ours(group, entry).is_some());
        match place {
            Some(place) if found[place] == entry.group() => {}
            // An older one of ours, alone in its group.
            Some(place) if hooks_of(&found[place]).len() == 1 => {
                set(&mut document, &format!("{list}/{place}"), entry.group())?;
            }
            Some(_) => {}
            None if made.iter().any(|made| made == entry.event) => set(&mut document, &list, json!([entry.group()]))?,
            None => set(&mut document, &format!("{list}/-"), entry.group())?,
        }
    }
    finished(document, old).map(|new| new.map(|new| (new, made)))
}

/// What is left of the settings without our entries, and of what was `made` for them if nothing else is in it by now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// They have no entry of ours.
    AsItWas,
    Changed(Vec<u8>),
    /// Nothing: the file was made for them.
    Nothing,
}

/// Takes our entries out.
pub(super) fn without(old: &[u8], entries: &[Entry], made: &[String]) -> Result<Left, String> {
    let mut document = parse(Some(old))?;
    let was_made = |what: &str| made.iter().any(|made| made == what);
    for entry in entries {
        let list = format!("/hooks/{}", entry.event);
        let Some(Value::Array(groups)) = get(&document, &list)? else { continue };
        for (place, group) in groups.iter().enumerate().rev() {
            let Some(hook) = ours(group, entry) else { continue };
            let path = if hooks_of(group).len() == 1 {
                format!("{list}/{place}")
            } else {
                format!("{list}/{place}/hooks/{hook}")
            };
            document.remove(&path).map_err(|e| e.to_string())?;
        }
        if was_made(entry.event) && get(&document, &list)? == Some(json!([])) {
            document.remove(&list).map_err(|e| e.to_string())?;
        }
    }
    if was_made("hooks") && get(&document, "/hooks")? == Some(json!({})) {
        document.remove("/hooks").map_err(|e| e.to_string())?;
    }
    let is_empty = was_made("file") && document.value().map_err(|e| e.to_string())? == &json!({});
    match finished(document, Some(old))? {
        Some(_) if is_empty => Ok(Left::Nothing),
        Some(new) => Ok(Left::Changed(new)),
        None => Ok(Left::AsItWas),
    }
}

fn parse(old: Option<&[u8]>) -> Result<Document, String> {
    let document = match old {
        Some(old) if !old.trim_ascii().is_empty() => Document::parse(old, Format::Json),
        _ => Document::parse(b"{}\n", Format::Json),
    };
    let document = document.map_err(|e| e.to_string())?;
    if !document.value().map_err(|e| e.to_string())?.is_object() {
        return Err("it is no JSON object".to_owned());
    }
    match get(&document, "/hooks")? {
        None | Some(Value::Object(_)) => Ok(document),
        Some(_) => Err("`hooks` is no object".to_owned()),
    }
}

fn get(document: &Document, pointer: &str) -> Result<Option<Value>, String> {
    document.get(pointer).map_err(|e| e.to_string())
}

fn set(document: &mut Document, pointer: &str, value: Value) -> Result<(), String> {
    document.set(pointer, value).map_err(|e| e.to_string())
}

/// `None`: as it was.
fn finished(mut document: Document, old: Option<&[u8]>) -> Result<Option<Vec<u8>>, String> {
    let new = document.render().map_err(|e| e.to_string())?;
    Ok(Some(new).filter(|new| old != Some(new.as_slice())))
}

fn hooks_of(group: &Value) -> &[Value] {
    group.get("hooks").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Which hook of a group is ours.
fn ours(group: &Value, entry: &Entry) -> Option<usize> {
    hooks_of(group).iter().position(|hook| entry.is_in(hook))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries() -> [Entry; 2] {
        let entry =
            |event, script| Entry { event, matcher: "Edit|Write", command: format!("sh \"x/{script}\""), script };
        [entry("PreToolUse", "filelatch-pre-edit.sh"), entry("PostToolUse", "filelatch-post-edit.sh")]
    }

    /// What was added is taken out to the byte, whatever the settings looked like; done twice it changes nothing.
    #[test]
    fn there_and_back() {
        let olds = [
            "{}",
            "{}\n",
            "{\n  \"model\": \"x\"\n}\n",
            "{\n\t// mine\n\t\"hooks\": {},\n}\n",
            "{\"hooks\":{\"PreToolUse\":[]}}",
            "{\r\n  \"hooks\": {\r\n    \"PreToolUse\": [\r\n      // other\r\n      { \"matcher\": \"Bash\", \"hooks\": [ { \"type\": \"command\", \"command\": \"x\" } ] }\r\n    ],\r\n    \"Stop\": []\r\n  }\r\n}\r\n",
            "\u{feff}{ \"a\": 1.0, \"hooks\": { \"PostToolUse\": [ {\"hooks\": []} ] } }",
        ];
        for old in olds {
            let (new, made) = with(Some(old.as_bytes()), &entries()).unwrap().unwrap();
            let value = Document::parse(&new, Format::Json).unwrap();
            for entry in entries() {
                let groups = value.get(&format!("/hooks/{}", entry.event)).unwrap().unwrap();
                assert_eq!(groups.as_array().unwrap().last(), Some(&entry.group()), "{old}");
            }
            assert_eq!(with(Some(&new), &entries()).unwrap(), None, "{old}");
            let left = without(&new, &entries(), &made).unwrap();
            assert_eq!(left, Left::Changed(old.as_bytes().to_vec()), "{old}: {}", String::from_utf8_lossy(&new));
            assert_eq!(without(old.as_bytes(), &entries(), &made).unwrap(), Left::AsItWas);
        }
        let (new, made) = with(None, &entries()).unwrap().unwrap();
        assert_eq!(without(&new, &entries(), &made).unwrap(), Left::Nothing);
        // Made for us, but somebody has put something in.
        let more = String::from_utf8(new).unwrap().replacen('{', "{\"model\": \"x\",", 1);
        let Left::Changed(left) = without(more.as_bytes(), &entries(), &made).unwrap() else { panic!() };
        assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), json!({"model": "x"}));
    }

    /// Others in our group stay; an older entry of ours becomes the new one.
    #[test]
    fn changed_meanwhile() {
        let entries = entries();
        let mut group = entries[0].group();
        group["hooks"].as_array_mut().unwrap().push(json!({"type": "command", "command": "mine"}));
        let shared = json!({"hooks": {"PreToolUse": [group]}}).to_string();
        let Left::Changed(left) = without(shared.as_bytes(), &entries, &[]).unwrap() else { panic!() };
        let left: Value = serde_json::from_slice(&left).unwrap();
        assert_eq!(left["hooks"]["PreToolUse"][0]["hooks"], json!([{"type": "command", "command": "mine"}]));
        let mut older = entries[0].group();
        older["matcher"] = json!("Edit");
        let older = json!({"hooks": {"PreToolUse": [older], "PostToolUse": [entries[1].group()]}}).to_string();
        let (new, made) = with(Some(older.as_bytes()), &entries).unwrap().unwrap();
        let new: Value = serde_json::from_slice(&new).unwrap();
        assert_eq!((&new["hooks"]["PreToolUse"], made), (&json!([entries[0].group()]), vec![]));
    }

    /// Settings that are none are left alone, with the reason.
    #[test]
    fn refused() {
        for old in ["[]", "3", "{", "{\"hooks\": []}", "{\"hooks\": {\"PreToolUse\": 3}}", "\u{0}"] {
            assert!(with(Some(old.as_bytes()), &entries()).is_err(), "{old}");
        }
        assert!(with(Some(b"  \n"), &entries()).unwrap().is_some());
    }
}
