//! Names of sessions: what people type, and what is a folder, a branch and a file at once, on every system.

use crate::error::{Error, Result};

/// Before the name, in that of the branch.
pub(crate) const PREFIX: &str = "session/";
const LONGEST: usize = 64;

/// Checks a name. What passes is a component of a path on every system, and git takes it for a branch.
///
/// Letters and digits of any script, and `-`, `_`, `+`, `.` between them; 64 bytes at most.
pub(crate) fn check(name: &str) -> Result<()> {
    let wrong = |why| Err(Error::BadName { name: name.chars().take(80).collect(), why });
    let allowed = |c: char| c.is_alphanumeric() || "-_+.".contains(c);
    let upper = name.to_ascii_uppercase();
    let stem = upper.split('.').next().unwrap_or_default();
    let numbered =
        |word| stem.strip_prefix(word).is_some_and(|n: &str| n.len() == 1 && n.as_bytes()[0].is_ascii_digit());
    if name.is_empty() {
        wrong("it is empty")
    } else if name.len() > LONGEST {
        wrong("it is longer than 64 bytes")
    } else if !name.chars().all(allowed) {
        wrong("only letters, digits and - _ + . may be in it")
    } else if !name.starts_with(char::is_alphanumeric) || !name.ends_with(char::is_alphanumeric) {
        wrong("it must begin and end with a letter or digit")
    } else if name.contains("..") {
        wrong("`..` is in it")
    } else if upper.rsplit('.').next() == Some("LOCK") && upper != "LOCK" {
        wrong("git's locks end in .lock")
    } else if ["CON", "PRN", "AUX", "NUL"].contains(&stem) || numbered("COM") || numbered("LPT") {
        wrong("it is the name of a device on Windows")
    } else {
        Ok(())
    }
}

/// The branch of a session.
pub(crate) fn branch(name: &str) -> String {
    format!("{PREFIX}{name}")
}

const FIRST: [&str; 32] = [
    "amber", "bold", "brave", "bright", "brisk", "calm", "clear", "clever", "crisp", "eager", "early", "fair", "fresh",
    "gentle", "golden", "green", "happy", "keen", "kind", "light", "lively", "mild", "neat", "open", "plain", "quick",
    "quiet", "ready", "round", "sharp", "steady", "warm",
];
const SECOND: [&str; 32] = [
    "badger", "beech", "birch", "brook", "cedar", "cliff", "crane", "delta", "ember", "falcon", "fern", "field",
    "finch", "forest", "harbor", "heron", "lake", "lark", "maple", "meadow", "oak", "otter", "pine", "reed", "river",
    "robin", "sparrow", "stone", "swift", "tern", "valley", "willow",
];

/// A name that people can say: `calm-otter`.
pub(crate) fn generated(random: u64) -> String {
    let pick = |words: [&'static str; 32], bits: u64| words[usize::try_from(bits % 32).unwrap_or_default()];
    format!("{}-{}", pick(FIRST, random), pick(SECOND, random >> 5))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::Git;

    /// SERVE-6: names that are paths, options, devices or locks are refused; names of any script are not.
    #[test]
    fn checked() {
        for good in ["a", "fix-login", "v1.2", "größe", "日本語", "A_b+c", "1", &"x".repeat(64), "con2", "COMA"] {
            assert!(check(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            "/x",
            "a\\b",
            "-a",
            "a-",
            ".a",
            "a.",
            "a..b",
            "a b",
            "a\nb",
            "a\0b",
            "a:b",
            "a~1",
            "a^",
            "a?",
            "a*",
            "a[",
            "x.lock",
            "x.LOCK",
            "con",
            "NUL.txt",
            "com1",
            "a@{1}",
            "\u{202e}x",
            &"x".repeat(65),
        ] {
            assert!(matches!(check(bad), Err(Error::BadName { .. })), "{bad:?}");
        }
    }

    /// SERVE-6: every name that passes is a branch to git: compared with `git check-ref-format`, each character of ASCII in each place.
    #[test]
    fn git_takes_them() {
        let git = Git::new(".");
        let mut names: Vec<String> = vec!["größe".into(), "日本語".into(), "x".repeat(64)];
        for c in (1..127_u8).map(char::from) {
            names.extend([format!("{c}x"), format!("x{c}x"), format!("x{c}"), format!("x{c}{c}x")]);
        }
        names.extend((0..32).map(|n| generated(n << 5 | (31 - n))));
        let passed: Vec<_> = names.iter().filter(|name| check(name).is_ok()).collect();
        assert!(passed.len() > 100, "{}", passed.len());
        for name in passed.iter().step_by(7) {
            let Ok(told) = git.run(["check-ref-format", "--branch", &branch(name)]) else { return };
            assert!(told.is_ok(), "{name}: {told:?}");
        }
    }
}
