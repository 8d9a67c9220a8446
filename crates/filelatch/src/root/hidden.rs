//! Files that a server does not show: not in lists, not by name, not for writing. To everybody outside they are not there.
//!
//! # Promise
//! A name is compared as the most forgiving file system would: without case, without trailing dots and blanks, and without characters that are
//! not seen (HFS+ ignores them: `.g\u{200c}it` is `.git` there).
//!
//! # Non-promise
//! It is about names. A file with a secret and an innocent name is shown.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::error::Error;

/// The workspace's own folder and filelatch's own files: never shown, whatever is allowed. What is written to them is not by the server's rules.
const OWN: [&str; 8] = [
    "**/.filelatch",
    "**/.filelatch/**",
    "**/.*.lock",
    "**/.*.lock.held",
    "**/.*.lock.held.*",
    "**/.*.lease",
    "**/.*.sync",
    "**/.*.[0-9]*-[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f].tmp",
];

/// What is hidden unless it is allowed: folders of version control, where a writer could have programs run, and where secrets usually are.
const DEFAULTS: [&str; 26] = [
    "**/.git",
    "**/.git/**",
    "**/git~[0-9]*/**",
    "**/.hg/**",
    "**/.jj/**",
    "**/.svn/**",
    "**/.ssh/**",
    "**/.gnupg/**",
    "**/.aws/**",
    "**/.kube/**",
    "**/.docker/**",
    "**/.env",
    "**/.env.*",
    "**/.envrc",
    "**/*.pem",
    "**/*.key",
    "**/*.p12",
    "**/*.pfx",
    "**/*.kdbx",
    "**/id_{rsa,dsa,ecdsa,ed25519}*",
    "**/.netrc",
    "**/.npmrc",
    "**/.pypirc",
    "**/.htpasswd",
    "**/.pgpass",
    "**/.git-credentials",
];

/// Which files of a [`Root`](super::Root) those who take paths from others do not show: `.filelatch`, lock files and temporary files always;
/// folders of version control and what usually holds secrets unless they are allowed; and what is denied besides.
///
/// It is about names, as the most forgiving file system takes them: a file with a secret and an innocent name is shown.
///
/// ```
/// # fn main() -> Result<(), filelatch::Error> {
/// let hidden = filelatch::Hidden::new(&[".npmrc".to_owned()], &["*.sql".to_owned()])?;
/// assert!(hidden.hides(".git/config") && hidden.hides("a/.ENV") && hidden.hides("dump.sql"));
/// assert!(!hidden.hides(".npmrc") && !hidden.hides("src/main.rs"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Hidden {
    own: GlobSet,
    defaults: GlobSet,
    allow: GlobSet,
    deny: GlobSet,
    /// What was asked of late: it is asked for every request, and mostly of the same few files.
    known: Arc<RwLock<HashMap<Box<str>, bool>>>,
}

/// Paths whose answer is remembered, and the longest of them: some 300 KB at most.
const KNOWN: usize = 1024;
const LONGEST: usize = 256;

impl Hidden {
    /// With what is allowed and denied besides: globs relative to the root; one without `/` is for names at any depth.
    pub fn new(allow: &[String], deny: &[String]) -> Result<Hidden, Error> {
        let own = OWN.map(str::to_owned);
        let defaults = DEFAULTS.map(str::to_owned);
        let (own, defaults, allow, deny) = (set(&own)?, set(&defaults)?, set(allow)?, set(deny)?);
        Ok(Hidden { own, defaults, allow, deny, known: Arc::default() })
    }

    /// Is it hidden? The path is relative to the root, its names joined by `/`.
    pub fn hides(&self, path: &str) -> bool {
        if path.len() > LONGEST {
            return self.finds(path);
        }
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(path) {
            return *known;
        }
        let hides = self.finds(path);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN {
            known.clear();
        }
        known.insert(path.into(), hides);
        hides
    }

    fn finds(&self, path: &str) -> bool {
        let path = folded(path);
        self.own.is_match(&path)
            || self.deny.is_match(&path)
            || (self.defaults.is_match(&path) && !self.allow.is_match(&path))
    }
}

fn set(globs: &[String]) -> Result<GlobSet, Error> {
    let mut builder = GlobSetBuilder::new();
    for glob in globs {
        let wrong = |e: &globset::Error| Error::BadGlob { glob: glob.clone(), problem: e.kind().to_string() };
        // As in .gitignore: without a slash it is a name; and what it names may be a folder.
        let anywhere = if glob.contains('/') { glob.trim_start_matches('/').to_owned() } else { format!("**/{glob}") };
        for text in [anywhere.clone(), format!("{}/**", anywhere.trim_end_matches('/'))] {
            let glob = GlobBuilder::new(&text).literal_separator(true).case_insensitive(true).build();
            builder.add(glob.map_err(|e| wrong(&e))?);
        }
    }
    builder.build().map_err(|e| Error::BadGlob { glob: globs.join(" "), problem: e.kind().to_string() })
}

/// A path as the most forgiving file system takes it.
fn folded(path: &str) -> String {
    let seen = |c: &char| !matches!(*c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let names = path.split('/').map(|name| {
        let name: String = name.chars().filter(seen).collect();
        name.trim_end_matches(['.', ' ']).to_owned()
    });
    names.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same twice, the second time from memory.
    fn hides(hidden: &Hidden, path: &str) -> bool {
        let hides = hidden.hides(path);
        assert_eq!(hidden.hides(path), hides, "{path}");
        hides
    }

    /// SERVE-7: what is remembered is bounded, and is what would be found.
    #[test]
    fn remembered() {
        let hidden = Hidden::new(&[], &[]).unwrap();
        for n in 0..3 * KNOWN {
            assert!(!hides(&hidden, &format!("{n}.txt")) && hides(&hidden, &format!("{n}.pem")));
            assert!(hidden.known.read().unwrap().len() <= KNOWN);
        }
        assert!(hides(&hidden, &format!("{}.pem", "x".repeat(LONGEST))));
    }

    /// SERVE-7: what is hidden by default, in every spelling, and what is not.
    #[test]
    fn defaults() {
        let hidden = Hidden::new(&[], &[]).unwrap();
        for path in [
            ".git/config",
            "a/.git/hooks/pre-commit",
            ".GIT/config",
            ".git",
            ".git./config",
            ".git /config",
            "git~1/config",
            "GIT~1/x",
            ".g\u{200c}it/config",
            ".filelatch/config.toml",
            ".FileLatch/stores/tokens.json",
            "a/.filelatch/x",
            ".a.json.lock",
            "b/.a.json.lock.held",
            ".a.json.lock.held.0123456789abcdef",
            ".a.lease",
            ".a.log.sync",
            ".a.json.12-0123456789abcdef.tmp",
            ".env",
            "a/.env.local",
            "server.pem",
            "x/tls.KEY",
            "id_rsa",
            "id_ed25519.pub",
            ".ssh/known_hosts",
            ".netrc",
        ] {
            assert!(hides(&hidden, path), "{path}");
        }
        for path in [
            "a.json",
            "Cargo.lock",
            "git/config",
            ".gitignore",
            "environment",
            "keys.json",
            "a/b.tmp",
            ".github/workflows/ci.yml",
        ] {
            assert!(!hides(&hidden, path), "{path}");
        }
    }

    /// SERVE-7: what may be allowed and denied; the workspace's own files are never shown.
    #[test]
    fn allowed_and_denied() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let hidden = Hidden::new(
            &words(&[".env", ".git", ".filelatch/**", "*.lock"]),
            &words(&["secret/", "*.sql", "a/b.json"]),
        )
        .unwrap();
        for path in [".env", "x/.env", ".git/config", "b.json", "a/b.jsonl"] {
            assert!(!hides(&hidden, path), "{path}");
        }
        for path in
            [".filelatch/config.toml", ".a.lock", "secret/x/y", "dump.sql", "a/dump.SQL", "a/b.json", ".env.local"]
        {
            assert!(hides(&hidden, path), "{path}");
        }
        assert!(Hidden::new(&words(&["a["]), &[]).is_err());
    }
}
