//! Conditional requests (RFC 9110 §13) on strong entity tags, which are hashes of contents.
//!
//! # Promise
//! The comparison that decides a change is made under the lock, with the disk. Conditions that the library can't be told as one expectation
//! (lists, dates, `*` for *exists*) are decided on what was read, and the change is then made on exactly that, or decided anew.
//!
//! # Order (§13.2.2)
//! `If-Match`, else `If-Unmodified-Since`; then `If-None-Match`, else, for reading, `If-Modified-Since`.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::header::{HeaderName, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_UNMODIFIED_SINCE};
use axum::http::{HeaderMap, StatusCode};
use filelatch::show::{author, time};
use filelatch::{Expect, Snapshot, Version};

use crate::problem::{ConflictInfo, Problem, Result};

/// How often a change is decided anew because the file was another one by then.
pub(crate) const ROUNDS: usize = 64;

/// Entity tags that a request names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    /// `*`
    Any,
    List(Vec<Tag>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Tag {
    weak: bool,
    text: String,
}

/// The conditions of a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    matches: Option<Tags>,
    none_matches: Option<Tags>,
    unmodified_since: Option<SystemTime>,
    modified_since: Option<SystemTime>,
}

/// What the conditions say of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Go,
    /// 304
    NotModified,
    /// 412
    Failed,
}

impl Conditions {
    pub(crate) fn of(headers: &HeaderMap) -> Result<Conditions> {
        Ok(Conditions {
            matches: tags(headers, &IF_MATCH)?,
            none_matches: tags(headers, &IF_NONE_MATCH)?,
            // A date that is none does not count (§13.1.3, §13.1.4).
            unmodified_since: date(headers, &IF_UNMODIFIED_SINCE),
            modified_since: date(headers, &IF_MODIFIED_SINCE),
        })
    }

    /// Does a change say nothing of what it replaces?
    pub(crate) fn are_none(&self) -> bool {
        self.matches.is_none() && self.none_matches.is_none() && self.unmodified_since.is_none()
    }

    /// The conditions of a change, if they are one expectation.
    pub(crate) fn expectation(&self) -> Option<Expect> {
        match (&self.matches, &self.none_matches) {
            (None, None) if self.unmodified_since.is_none() => Some(Expect::Any),
            (None, Some(Tags::Any)) if self.unmodified_since.is_none() => Some(Expect::Absent),
            (Some(Tags::List(list)), None) => match &list[..] {
                [tag] if !tag.weak => tag.version().map(Expect::Version),
                _ => None,
            },
            _ => None,
        }
    }

    /// What they say of what is there. `reads`: the request is GET or HEAD.
    pub(crate) fn verdict(&self, current: Option<&Snapshot>, reads: bool) -> Verdict {
        let version = current.map(Snapshot::version);
        let modified = current.map(|current| whole_seconds(current.modified_at()));
        self.judge(version.as_ref(), modified, reads)
    }

    fn judge(&self, version: Option<&Version>, modified: Option<SystemTime>, reads: bool) -> Verdict {
        match (&self.matches, self.unmodified_since) {
            (Some(tags), _) if !tags.name(version, true) => return Verdict::Failed,
            (None, Some(since)) if modified.is_some_and(|modified| modified > since) => return Verdict::Failed,
            _ => {}
        }
        let not_new = if reads { Verdict::NotModified } else { Verdict::Failed };
        match (&self.none_matches, self.modified_since) {
            (Some(tags), _) if tags.name(version, false) => not_new,
            (None, Some(since)) if reads && modified.is_some_and(|modified| modified <= since) => Verdict::NotModified,
            _ => Verdict::Go,
        }
    }

    /// 412, with what is there.
    pub(crate) fn failed(&self, path: &str, current: Option<&Snapshot>) -> Problem {
        let detail = match current {
            Some(_) => format!("`{path}` is not what the request expects"),
            None => format!("`{path}` does not exist, and the request expects that it does"),
        };
        let expected = match &self.matches {
            Some(Tags::List(list)) if list.len() == 1 => list.first().map(|tag| tag.text.clone()),
            _ => None,
        };
        let mut problem = Problem::new(StatusCode::PRECONDITION_FAILED, "conflict", detail)
            .hint("nothing was written; read the file again and apply the change to what is there now")
            .about(path);
        problem.conflict_info = Some(ConflictInfo {
            expected_hash: expected,
            current_hash: current.map(|current| current.version().to_string()),
            last_modified_by: current.and_then(|current| author(current.author())),
            last_modified_at: current.map(|current| time(current.modified_at())),
            ..ConflictInfo::default()
        });
        problem
    }
}

impl Tags {
    /// Is what is there among them? `strongly`: weak tags are equal to nothing (§8.8.3.2).
    fn name(&self, version: Option<&Version>, strongly: bool) -> bool {
        let Some(version) = version else { return false };
        match self {
            Tags::Any => true,
            Tags::List(list) => {
                let text = version.to_string();
                list.iter().any(|tag| tag.text == text && !(strongly && tag.weak))
            }
        }
    }
}

impl Tag {
    /// Our tags are hashes: 64 lower-case digits.
    fn version(&self) -> Option<Version> {
        let plain =
            self.text.len() == 64 && self.text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        self.text.parse().ok().filter(|_| plain)
    }
}

/// The entity tag of a version.
pub(crate) fn etag(version: &Version) -> String {
    format!("\"{version}\"")
}

/// Dates in headers have no fractions.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let since = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    UNIX_EPOCH + std::time::Duration::from_secs(since)
}

fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    httpdate::parse_http_date(value.to_str().ok()?).ok()
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>> {
    if !headers.contains_key(name) {
        return Ok(None);
    }
    let wrong =
        || Problem::malformed(format!("`{name}` is `*` or a list of entity tags: `\"…\"`")).hint("nothing was changed");
    let mut list = Vec::new();
    let mut any = false;
    for value in headers.get_all(name) {
        let text = String::from_utf8_lossy(value.as_bytes());
        if text.trim() == "*" {
            any = true;
            continue;
        }
        parse(&text, &mut list).ok_or_else(wrong)?;
    }
    match (any, list.is_empty()) {
        (true, true) => Ok(Some(Tags::Any)),
        (false, false) => Ok(Some(Tags::List(list))),
        _ => Err(wrong()),
    }
}

/// A list of entity tags (§8.8.3); empty places in it are allowed (§5.6.1.2). `None`: it is none.
fn parse(text: &str, list: &mut Vec<Tag>) -> Option<()> {
    let mut rest = text.trim_matches([' ', '\t', ',']);
    while !rest.is_empty() {
        let (weak, quoted) = match rest.strip_prefix("W/") {
            Some(quoted) => (true, quoted),
            None => (false, rest),
        };
        let (tag, after) = quoted.strip_prefix('"')?.split_once('"')?;
        if !tag.chars().all(|c| c == '!' || ('#'..='~').contains(&c) || c > '\u{7f}') {
            return None;
        }
        list.push(Tag { weak, text: tag.to_owned() });
        let next = after.trim_start_matches([' ', '\t']);
        if !next.is_empty() && !next.starts_with(',') {
            return None;
        }
        rest = next.trim_start_matches([' ', '\t', ',']);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Verdict::{Failed, Go, NotModified};
    use super::*;

    fn conditions(fields: &[(&str, &str)]) -> Result<Conditions> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        Conditions::of(&headers)
    }

    /// SERVE-2: RFC 9110 §13.2.2, every row: which condition counts, and what it says, for reading and for changing.
    #[test]
    fn precedence() {
        let version = Version::of(b"a");
        let (own, weak, other) = (etag(&version), format!("W/{}", etag(&version)), etag(&Version::of(b"b")));
        let (own, weak, other) = (own.as_str(), weak.as_str(), other.as_str());
        let list = format!("{other} ,, {own},");
        let modified = UNIX_EPOCH + Duration::from_secs(784_111_777);
        let (before, at, after) =
            ("Sun, 06 Nov 1994 08:49:36 GMT", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:38 GMT");
        for (fields, reading, changing) in [
            (&[][..], Go, Go),
            (&[("if-match", own)], Go, Go),
            (&[("if-match", "*")], Go, Go),
            (&[("if-match", &list)], Go, Go),
            (&[("if-match", other), ("if-match", own)], Go, Go),
            (&[("if-match", other)], Failed, Failed),
            (&[("if-match", weak)], Failed, Failed),
            (&[("if-none-match", own)], NotModified, Failed),
            (&[("if-none-match", weak)], NotModified, Failed),
            (&[("if-none-match", "*")], NotModified, Failed),
            (&[("if-none-match", other)], Go, Go),
            (&[("if-unmodified-since", at)], Go, Go),
            (&[("if-unmodified-since", after)], Go, Go),
            (&[("if-unmodified-since", before)], Failed, Failed),
            (&[("if-unmodified-since", "yesterday")], Go, Go),
            (&[("if-modified-since", at)], NotModified, Go),
            (&[("if-modified-since", "Sun Nov  6 08:49:38 1994")], NotModified, Go),
            (&[("if-modified-since", before)], Go, Go),
            // The tag counts, not the date.
            (&[("if-match", own), ("if-unmodified-since", before)], Go, Go),
            (&[("if-match", other), ("if-unmodified-since", after)], Failed, Failed),
            (&[("if-none-match", other), ("if-modified-since", after)], Go, Go),
            (&[("if-none-match", own), ("if-modified-since", before)], NotModified, Failed),
            // Both count.
            (&[("if-match", own), ("if-none-match", own)], NotModified, Failed),
            (&[("if-match", other), ("if-none-match", own)], Failed, Failed),
        ] {
            let conditions = conditions(fields).unwrap();
            for (reads, expected) in [(true, reading), (false, changing)] {
                assert_eq!(
                    conditions.judge(Some(&version), Some(modified), reads),
                    expected,
                    "{fields:?}, reads: {reads}"
                );
            }
            if let Some(expect) = conditions.expectation() {
                assert_eq!(expect.admits(Some(&version)), changing == Go, "{fields:?} as {expect:?}");
            }
        }
    }

    /// SERVE-2: what there is not matches nothing, not even `*`.
    #[test]
    fn absent() {
        for (name, value, verdict) in [
            ("if-match", "*", Verdict::Failed),
            ("if-match", "\"a\"", Verdict::Failed),
            ("if-none-match", "*", Verdict::Go),
            ("if-none-match", "\"a\"", Verdict::Go),
            ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT", Verdict::Go),
        ] {
            assert_eq!(conditions(&[(name, value)]).unwrap().judge(None, None, false), verdict, "{name}: {value}");
        }
        assert_eq!(conditions(&[("if-none-match", "*")]).unwrap().expectation(), Some(Expect::Absent));
    }

    /// SERVE-2: what is no list of entity tags is refused, instead of counting as none.
    #[test]
    fn malformed() {
        for value in [
            "",
            ",",
            "abc",
            "\"abc",
            "abc\"",
            "\"a\" \"b\"",
            "w/\"a\"",
            "*, \"a\"",
            "\"a\", *",
            "\"a b\"",
            "**",
            "W/*",
            "\"a\"x",
        ] {
            assert!(conditions(&[("if-match", value)]).is_err(), "{value}");
        }
        assert!(conditions(&[("if-match", "*"), ("if-match", "\"a\"")]).is_err());
    }
}
