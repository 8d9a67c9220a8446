//! Versions of software in documents: which of two is the higher.

use std::cmp::Ordering;

/// Is ours the higher version? `None`: these are not three versions of one form, or the higher can't be told. Quotes and a
/// prefix that all have (`^`, `~>`, `v`, `pkg==`) belong to the form.
pub(super) fn higher(base: &[u8], ours: &[u8], theirs: &[u8]) -> Option<bool> {
    let [base, ours, theirs] = [base, ours, theirs].map(|bytes| std::str::from_utf8(bytes).ok());
    let (base, ours, theirs) = (split(base?)?, split(ours?)?, split(theirs?)?);
    if ours.before != theirs.before
        || base.before != ours.before
        || ours.behind != theirs.behind
        || base.behind != ours.behind
    {
        return None;
    }
    match ours.cmp(&theirs) {
        Ordering::Greater => Some(true),
        Ordering::Less => Some(false),
        Ordering::Equal => None,
    }
}

/// Is there one version in this text?
pub(super) fn is_version(text: &[u8]) -> bool {
    std::str::from_utf8(text).is_ok_and(|text| split(text).is_some())
}

/// A version and what stands around it.
struct Form<'t> {
    before: &'t str,
    numbers: Vec<u64>,
    /// What follows `-`: `rc.1`.
    pre: Option<&'t str>,
    behind: &'t str,
}

impl Form<'_> {
    /// Semantic versions' order (semver.org, 11), with any number of parts; missing ones are 0.
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = self.numbers.len().max(other.numbers.len());
        let part = |form: &Self, at: usize| form.numbers.get(at).copied().unwrap_or(0);
        for at in 0..parts {
            match part(self, at).cmp(&part(other, at)) {
                Ordering::Equal => {}
                unequal => return unequal,
            }
        }
        match (self.pre, other.pre) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(a), Some(b)) => pre_release(a, b),
        }
    }
}

fn pre_release(a: &str, b: &str) -> Ordering {
    let mut b_parts = b.split('.');
    for a in a.split('.') {
        let Some(b) = b_parts.next() else { return Ordering::Greater };
        let order = match (a.parse::<u64>(), b.parse::<u64>()) {
            (Ok(a), Ok(b)) => a.cmp(&b),
            (Ok(_), Err(_)) => Ordering::Less,
            (Err(_), Ok(_)) => Ordering::Greater,
            (Err(_), Err(_)) => a.cmp(b),
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    if b_parts.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

/// Finds the one version in a text. At least two numbers with a dot between them, or a single number behind `v`, `^` or `~`.
fn split(text: &str) -> Option<Form<'_>> {
    let start = text.find(|c: char| c.is_ascii_digit())?;
    let before = &text[..start];
    if before.ends_with(|c: char| c.is_alphanumeric() && !matches!(c, 'v' | 'V')) {
        return None;
    }
    let rest = &text[start..];
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let core = rest[..end].trim_end_matches('.');
    let numbers: Vec<u64> = core.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    if numbers.len() < 2 && !before.ends_with(['v', '^', '~', '=', '>', '@']) {
        return None;
    }
    let rest = &rest[core.len()..];
    let (pre, behind) = match rest.strip_prefix('-') {
        Some(pre) => {
            let end = pre.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '-').unwrap_or(pre.len());
            (Some(&pre[..end]), &pre[end..])
        }
        None => (None, rest),
    };
    // A second number would make it something else: a range, a date with a time, an address with a port.
    if behind.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Some(Form { before, numbers, pre, behind })
}

#[cfg(test)]
mod tests {
    use super::higher;

    fn ours(base: &str, ours: &str, theirs: &str) -> Option<bool> {
        higher(base.as_bytes(), ours.as_bytes(), theirs.as_bytes())
    }

    /// MERGE-2: which version is higher, and when that can't be told.
    #[test]
    fn the_higher_version_is_told_by_numbers_not_letters() {
        assert_eq!(ours("\"1.2.0\"", "\"1.10.0\"", "\"1.9.0\""), Some(true));
        assert_eq!(ours("^2.0", "^2.0.1", "^3"), Some(false));
        assert_eq!(ours("v1", "v3", "v2"), Some(true));
        assert_eq!(ours("1.0.0-rc.2", "1.0.0-rc.11", "1.0.0-rc.9"), Some(true));
        assert_eq!(ours("1.0.0-rc.1", "1.0.0-rc.2", "1.0.0"), Some(false));
        assert_eq!(ours("foo==1.0", "foo==1.2", "foo==1.1"), Some(true));
        assert_eq!(ours("^1.0", "~1.1", "^1.2"), None, "another kind of range");
        assert_eq!(ours("8080", "8081", "8082"), None, "a number is no version");
        assert_eq!(ours(">=1.0 <2.0", ">=1.1 <2.0", ">=1.0 <3.0"), None, "a range");
        assert_eq!(ours("a1.0", "a1.1", "a1.2"), None, "part of a word");
        assert_eq!(ours("1.0", "1.1", "1.1.0"), None, "equal");
    }
}
