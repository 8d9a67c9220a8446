//! A record as it is read.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::line::split;
use crate::conflict::path_of;
use crate::parts::parse_rfc3339;

/// What tells of machines and processes: nothing for those who are elsewhere (KEEP-3).
const LOCAL: [&str; 6] = ["pid", "pidns", "host", "boot", "start", "key"];
/// Fields that name sessions.
const NAMES: [&str; 2] = ["session", "by"];

/// One record of an audit log.
///
/// Which fields it has besides number, time and event depends on the event; `docs/concepts/audit.md` lists them.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditRecord {
    number: u64,
    fields: Map<String, Value>,
}

impl AuditRecord {
    /// Reads a line without its end. `None`: it is no record. Whether the chain holds is not looked at.
    pub fn parse(line: &[u8]) -> Option<AuditRecord> {
        let (link, _) = split(line)?;
        match serde_json::from_slice(line) {
            Ok(Value::Object(fields)) => Some(AuditRecord { number: link.n, fields }),
            _ => None,
        }
    }

    /// Its number in the log; the first is 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// When it was made, by its writer's clock.
    pub fn at(&self) -> Option<SystemTime> {
        parse_rfc3339(self.text("at")?)
    }

    /// What happened: `write`, `lock`, `conflict`, …
    pub fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    /// Which file it is about, relative to the workspace's folder.
    pub fn path(&self) -> Option<PathBuf> {
        path_of(self.text("path")?, self.text("path_bytes"))
    }

    /// Who did it.
    pub fn session(&self) -> Option<&str> {
        self.text("session")
    }

    /// Its chain value, as 64 digits.
    pub fn chain(&self) -> &str {
        self.text("chain").unwrap_or_default()
    }

    /// A field that is a text.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field)?.as_str()
    }

    /// A field that is a number.
    pub fn count(&self, field: &str) -> Option<u64> {
        self.fields.get(field)?.as_u64()
    }

    /// Is the field there, and null?
    #[cfg(feature = "store")]
    pub(crate) fn is_null(&self, field: &str) -> bool {
        self.fields.get(field).is_some_and(Value::is_null)
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// The record for readers on other machines: without process ids and names of hosts, also where they are part of a session's name that
    /// nobody has chosen (`user@host#1f3a` becomes `user#1f3a`) (KEEP-3).
    #[must_use]
    pub fn for_remote(&self) -> AuditRecord {
        let mut fields = self.fields.clone();
        without_local(&mut fields);
        AuditRecord { number: self.number, fields }
    }
}

fn without_local(fields: &mut Map<String, Value>) {
    fields.retain(|name, _| !LOCAL.contains(&name.as_str()));
    for (name, value) in fields.iter_mut() {
        match value {
            Value::String(text) if NAMES.contains(&name.as_str()) => {
                if let Cow::Owned(public) = public_session(text) {
                    *text = public;
                }
            }
            // Records are written by us and have no more than two levels; what somebody else put deeper is not shown.
            Value::Object(inner) => without_local_flat(inner),
            Value::Array(items) => items.iter_mut().for_each(|item| {
                if let Value::Object(inner) = item {
                    without_local_flat(inner);
                }
            }),
            _ => {}
        }
    }
}

fn without_local_flat(fields: &mut Map<String, Value>) {
    fields.retain(|name, value| !LOCAL.contains(&name.as_str()) && !value.is_object() && !value.is_array());
    for name in NAMES {
        if let Some(Value::String(text)) = fields.get_mut(name)
            && let Cow::Owned(public) = public_session(text)
        {
            *text = public;
        }
    }
}

/// A session's name without host and process id, where it has the form of one that nobody has chosen: `user@host#1f3a` or
/// `user@host:4711`.
pub(crate) fn public_session(name: &str) -> Cow<'_, str> {
    let Some((user, rest)) = name.split_once('@') else { return name.into() };
    if user.is_empty() {
        return name.into();
    }
    if let Some((_, random)) = rest.rsplit_once('#')
        && !random.is_empty()
        && random.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return format!("{user}#{random}").into();
    }
    match rest.rsplit_once(':') {
        Some((_, pid)) if !pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit()) => user.to_owned().into(),
        _ => name.into(),
    }
}

impl fmt::Display for AuditRecord {
    /// One line for people. Control characters in names are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.text("at").unwrap_or("-").replacen('T', " ", 1);
        write!(f, "{:>6}  {}  {:<8}", self.number, shown(&at), shown(self.event()))?;
        if let Some(path) = self.path() {
            write!(f, "  {}", shown(&path.to_string_lossy()))?;
        }
        let skipped = ["n", "at", "event", "path", "path_bytes", "session", "chain"];
        for (name, value) in self.fields.iter().filter(|(name, _)| !skipped.contains(&name.as_str())) {
            match value {
                Value::String(hash) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                    write!(f, "  {}={}", shown(name), &hash[..16])?;
                }
                Value::String(text) => write!(f, "  {}={}", shown(name), shown(text))?,
                other => write!(f, "  {}={other}", shown(name))?,
            }
        }
        match self.session() {
            Some(session) => write!(f, "  by {}", shown(session)),
            None => Ok(()),
        }
    }
}

/// Without what would make a terminal do something.
fn shown(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        return text
            .chars()
            .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
    }
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::line::{Body, append};

    /// KEEP-3: nothing of hosts and processes is left, at any place of a record; names that were chosen stay.
    #[test]
    fn for_remote() {
        let body = Body::new(SystemTime::UNIX_EPOCH, "lock").text("session", "alice@build-3#1f3a");
        let body = body.raw("holders", r#"[{"session":"bob@h:4711","pid":4711,"host":"h"},{"deep":{"pid":4711}}]"#);
        let body = body.raw("from", r#"{"pid":4711,"boot":"b-4711","session":"deploy"}"#).number("pid", 4711);
        let mut line = Vec::new();
        append(&mut line, None, None, &body);
        line.pop();
        let record = AuditRecord::parse(&line).unwrap();
        assert!(record.to_json().to_string().contains("4711"));
        let public = record.for_remote();
        let text = public.to_json().to_string();
        for secret in ["4711", "build-3", "\"h\"", "pid", "host", "boot"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        assert_eq!(public.session(), Some("alice#1f3a"));
        assert!(text.contains("deploy") && text.contains("\"bob\""), "{text}");
        assert!(!public.to_string().contains("4711"));
    }

    /// KEEP-3: forms of default names.
    #[test]
    fn sessions() {
        for (name, public) in [
            ("alice@h#1f3a", "alice#1f3a"),
            ("alice@h:12", "alice"),
            ("a@b@c#00", "a#00"),
            ("deploy", "deploy"),
            ("alice@h", "alice@h"),
            ("@h#12", "@h#12"),
            ("a@h#", "a@h#"),
            ("a@h:x", "a@h:x"),
        ] {
            assert_eq!(public_session(name), public);
        }
    }

    /// KEEP-2: a record for people is one line without control characters.
    #[test]
    fn display() {
        let body = Body::new(SystemTime::UNIX_EPOCH, "write").text("path", "a\n\u{1b}[31mb").number("generation", 3);
        let mut line = Vec::new();
        append(&mut line, None, None, &body.text("session", "s\u{7}"));
        line.pop();
        let text = AuditRecord::parse(&line).unwrap().to_string();
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.contains("write") && text.contains("generation=3") && text.ends_with("by s\\u{7}"), "{text}");
    }
}
