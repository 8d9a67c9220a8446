//! Policies: how files of a workspace are treated, by glob (VER-5).
//!
//! `.filelatch/config.toml`:
//!
//! ```toml
//! locks = "on"                # "off" only in an emergency: nothing excludes anything then
//! lock = "auto"               # or "os", "file": what locks are made of
//! timeout = "30s"             # default for all files
//!
//! [[policy]]
//! glob = "config/**/*.json"   # relative to the folder that holds .filelatch; the first match counts
//! strategy = "queue"          # fail-fast (default), queue, last-write-wins, merge
//! durability = "full"         # none, file, full (default)
//! timeout = "2m"
//! hard_links = "replace"      # or "in-place"
//! lock_file = "hidden"        # .name.lock; or "suffix": name.lock
//! lock = "file"               # as above, for these files
//! if_unavailable = "error"    # or "proceed": warn and go on without the lock
//! keep = "displaced"          # versions that are kept: none, displaced (default), current, every
//! keep_versions = 50          # of these so many…
//! keep_age = "30d"            # …and none so long after it was replaced…
//! keep_bytes = "256MB"        # …and so many bytes
//! require_condition = true    # over HTTP: a write of the raw file must say what it replaces (`If-Match`)
//!
//! [policy.merge]              # belongs to the policy above it
//! version = "higher"          # versions that both sides changed: "conflict" (default) or the higher one
//! lists = { "/servers" = "key:host", "/tags" = "set" }   # what lists are, by JSON pointer
//! conflict_style = "diff3"    # markers in stored conflicts: "merge" (default), "diff3", "zdiff3"
//!
//! [session]                   # sessions in git worktrees
//! include = [".env", "config/local.*"]   # files that git does not track and that each session gets a copy of
//!
//! [[document]]                # a file that the server offers by name; see `named`
//! name = "directives"
//! path = "config/directives.json"
//! route = "/api/era/directives"
//!
//! [audit]
//! enabled = true              # false: nothing is recorded
//! locks = "contended"         # locks that are recorded: those that were waited for (default), or "all"
//! file_bytes = "8MiB"         # a longer file is followed by a new one
//! keep_bytes = "64MiB"        # the oldest files go beyond that…
//! keep_age = "365d"           # …and, if it is said, when they are so old
//! key_file = "/etc/audit.key" # a secret outside the workspace that the chain is computed with
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use globset::{GlobBuilder, GlobMatcher};
use serde::Deserialize;

use crate::audit::{AuditLocks, AuditPolicy};
use crate::error::{Error, Result};
use crate::keep::{Keep, KeepLimits, Size};
use crate::lock::resource::locked;
use crate::lock::{IfUnavailable, LockMode, Wait};
use crate::merge::{ConflictStyle, ListRule, Rules, VersionRule};
use crate::named::{self, NamedDocument};
use crate::path::LockFileName;
use crate::write::{Durability, HardLinks};

/// What a write does about versions and other writers (VER-4, P7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Refuse when the file is not what was expected.
    #[default]
    FailFast,
    /// Wait for one's turn, then as fail-fast: the queue orders, it never overrides.
    Queue,
    /// Write whatever is there; the result names the version that was overwritten. Of several such writes that wait in one
    /// process only the newest is written.
    LastWriteWins,
    /// When the file is not what was expected, bring both changes together: the base is the expected version. What does not fit together
    /// is a conflict, and is stored.
    Merge,
}

impl FromStr for Strategy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fail-fast" => Ok(Strategy::FailFast),
            "queue" => Ok(Strategy::Queue),
            "last-write-wins" => Ok(Strategy::LastWriteWins),
            "merge" => Ok(Strategy::Merge),
            other => Err(format!("`{other}` is not a strategy: fail-fast, queue, last-write-wins or merge")),
        }
    }
}

/// How one file is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// What a write does about versions.
    pub strategy: Strategy,
    /// What a successful write has survived.
    pub durability: Durability,
    /// What happens to further names of the file.
    pub hard_links: HardLinks,
    /// How long to wait for the lock.
    pub wait: Wait,
    /// What to do when it can't be had.
    pub if_unavailable: IfUnavailable,
    /// What the lock is made of.
    pub lock: LockMode,
    /// How the lock file is named.
    pub lock_file: LockFileName,
    /// False: nothing is locked at all (LOCK-21).
    pub locks: bool,
    /// Which versions are kept, of files in a workspace.
    pub keep: Keep,
    /// How much of them.
    pub keep_limits: KeepLimits,
    /// Over HTTP a write of the raw file must say what it replaces; else it is refused (428).
    pub require_condition: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            strategy: Strategy::default(),
            durability: Durability::default(),
            hard_links: HardLinks::default(),
            wait: Wait::default(),
            if_unavailable: IfUnavailable::default(),
            lock: LockMode::default(),
            lock_file: LockFileName::default(),
            locks: true,
            keep: Keep::default(),
            keep_limits: KeepLimits::default(),
            require_condition: false,
        }
    }
}

/// How one file is merged, as its workspace says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MergePolicy {
    pub(crate) rules: Rules,
    pub(crate) style: ConflictStyle,
}

/// The rules of a workspace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policies {
    locks: Option<bool>,
    lock: Option<LockMode>,
    wait: Option<Wait>,
    keep: KeepRule,
    rules: Vec<Rule>,
    pub(crate) session: RawSession,
    pub(crate) audit: AuditPolicy,
    pub(crate) documents: Vec<NamedDocument>,
}

/// What is said about sessions in git worktrees.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawSession {
    /// Patterns of files.
    #[serde(default)]
    pub(crate) include: Vec<String>,
}

#[derive(Clone, Debug)]
struct Rule {
    glob: GlobMatcher,
    raw: RawRule,
    wait: Option<Wait>,
    merge: Arc<MergePolicy>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawConfig {
    #[serde(default)]
    locks: Option<Text<Switch>>,
    #[serde(default)]
    lock: Option<Text<LockMode>>,
    #[serde(default)]
    timeout: Option<Text<Period>>,
    keep: Option<Text<Keep>>,
    keep_versions: Option<u32>,
    keep_age: Option<Text<Period>>,
    keep_bytes: Option<Text<Size>>,
    #[serde(default)]
    policy: Vec<RawRule>,
    #[serde(default)]
    document: Vec<NamedDocument>,
    #[serde(default)]
    session: RawSession,
    #[serde(default)]
    audit: RawAudit,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawAudit {
    enabled: Option<bool>,
    locks: Option<Text<AuditLocks>>,
    file_bytes: Option<Text<Size>>,
    keep_bytes: Option<Text<Size>>,
    keep_age: Option<Text<Period>>,
    key_file: Option<PathBuf>,
}

impl RawAudit {
    fn policy(self) -> Result<AuditPolicy, String> {
        if let Some(relative) = self.key_file.as_ref().filter(|path| !path.is_absolute()) {
            return Err(format!("audit: the key file `{}` is no absolute path", relative.display()));
        }
        let default = AuditPolicy::default();
        Ok(AuditPolicy {
            enabled: self.enabled.unwrap_or(default.enabled),
            locks: self.locks.map_or(default.locks, |t| t.0),
            file_bytes: self.file_bytes.map_or(default.file_bytes, |t| t.0.0),
            keep_bytes: self.keep_bytes.map_or(default.keep_bytes, |t| t.0.0),
            keep_age: self.keep_age.map(|t| t.0.0),
            key_file: self.key_file,
        })
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    glob: String,
    strategy: Option<Text<Strategy>>,
    durability: Option<Text<Durability>>,
    timeout: Option<Text<Period>>,
    hard_links: Option<Text<HardLinks>>,
    lock: Option<Text<LockMode>>,
    lock_file: Option<Text<LockFileName>>,
    if_unavailable: Option<Text<IfUnavailable>>,
    keep: Option<Text<Keep>>,
    keep_versions: Option<u32>,
    keep_age: Option<Text<Period>>,
    keep_bytes: Option<Text<Size>>,
    require_condition: Option<bool>,
    #[serde(default)]
    merge: RawMerge,
}

/// What is said about kept versions, for all files or for some.
#[derive(Clone, Copy, Debug, Default)]
struct KeepRule {
    keep: Option<Keep>,
    versions: Option<u32>,
    age: Option<Duration>,
    bytes: Option<u64>,
}

impl KeepRule {
    fn over(self, policy: &mut Policy) {
        policy.keep = self.keep.unwrap_or(policy.keep);
        let limits = &mut policy.keep_limits;
        limits.versions = self.versions.unwrap_or(limits.versions);
        limits.age = self.age.unwrap_or(limits.age);
        limits.bytes = self.bytes.unwrap_or(limits.bytes);
    }
}

impl RawRule {
    fn keep(&self) -> KeepRule {
        KeepRule {
            keep: self.keep.map(|t| t.0),
            versions: self.keep_versions,
            age: self.keep_age.map(|t| t.0.0),
            bytes: self.keep_bytes.map(|t| t.0.0),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMerge {
    version: Option<Text<VersionRule>>,
    #[serde(default)]
    lists: BTreeMap<String, Text<ListRule>>,
    conflict_style: Option<Text<ConflictStyle>>,
}

impl RawMerge {
    /// Pointers in an order of their own: which of two that fit a list counts does not depend on the file's.
    fn policy(&self) -> Result<MergePolicy, String> {
        if let Some(wrong) = self.lists.keys().find(|pointer| !pointer.is_empty() && !pointer.starts_with('/')) {
            return Err(format!("`{wrong}` is not a JSON pointer: it begins with `/`"));
        }
        let lists = self.lists.iter().map(|(pointer, rule)| (pointer.clone(), rule.0.clone())).collect();
        let rules = Rules { version: self.version.map_or_else(VersionRule::default, |t| t.0), lists };
        Ok(MergePolicy { rules, style: self.conflict_style.map_or_else(ConflictStyle::default, |t| t.0) })
    }
}

/// A value that is written as text.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "String", bound(deserialize = "T: FromStr<Err = String>"))]
struct Text<T: FromStr<Err = String>>(T);

impl<T: FromStr<Err = String>> TryFrom<String> for Text<T> {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map(Text)
    }
}

#[derive(Clone, Copy, Debug)]
struct Switch(bool);

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Switch(true)),
            "off" => Ok(Switch(false)),
            other => Err(format!("`{other}` is not a switch: on or off")),
        }
    }
}

/// A length of time as people write it: `500ms`, `5s`, `2m`, `1h`, `30d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period(pub Duration);

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a length of time: a number with ms, s, m, h or d");
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let millis = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        number.checked_mul(millis).map(|ms| Period(Duration::from_millis(ms))).ok_or_else(wrong)
    }
}

impl FromStr for LockMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(LockMode::Auto),
            "os" => Ok(LockMode::Os),
            "file" => Ok(LockMode::File),
            "on" | "off" => Err(format!("`{text}` is not a kind of lock; to switch locks {text}, write `locks`")),
            other => Err(format!("`{other}` is not a kind of lock: auto, os or file")),
        }
    }
}

impl FromStr for LockFileName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "hidden" => Ok(LockFileName::Hidden),
            "suffix" => Ok(LockFileName::Suffix),
            other => Err(format!("`{other}` is not a kind of lock file name: hidden or suffix")),
        }
    }
}

impl FromStr for IfUnavailable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "error" => Ok(IfUnavailable::Error),
            "proceed" => Ok(IfUnavailable::Proceed),
            other => Err(format!("`{other}` is not a choice: error or proceed")),
        }
    }
}

/// The configuration that was parsed last: mostly the next one has the same bytes.
#[derive(Debug, Default)]
pub(crate) struct LastParsed(Mutex<Option<(Vec<u8>, Arc<Policies>)>>);

impl LastParsed {
    /// As [`Policies::parse`].
    pub(crate) fn parsed(&self, text: Vec<u8>, path: &Path) -> Result<Arc<Policies>> {
        if let Some((known, policies)) = &*locked(&self.0)
            && *known == text
        {
            return Ok(Arc::clone(policies));
        }
        let policies = Arc::new(Policies::parse(&text, path)?);
        *locked(&self.0) = Some((text, Arc::clone(&policies)));
        Ok(policies)
    }
}

impl Policies {
    /// Reads a configuration; `path` is for messages.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Policies> {
        let wrong = |message: String| Error::Config { path: path.to_owned(), message };
        let text = std::str::from_utf8(text).map_err(|e| wrong(format!("not UTF-8 at byte {}", e.valid_up_to())))?;
        let raw: RawConfig = toml_edit::de::from_str(text).map_err(|e| wrong(describe(&e, text)))?;
        named::check(&raw.document).map_err(wrong)?;
        let rules = raw.policy.into_iter().map(|rule| {
            let glob = GlobBuilder::new(&rule.glob).literal_separator(true).build();
            let glob = glob.map_err(|e| wrong(format!("glob `{}`: {}", rule.glob, e.kind())))?.compile_matcher();
            let merge = rule.merge.policy().map_err(|e| wrong(format!("glob `{}`: {e}", rule.glob)))?;
            Ok(Rule { glob, wait: rule.timeout.map(wait_of), merge: Arc::new(merge), raw: rule })
        });
        Ok(Policies {
            locks: raw.locks.map(|l| l.0.0),
            lock: raw.lock.map(|l| l.0),
            wait: raw.timeout.map(wait_of),
            keep: KeepRule {
                keep: raw.keep.map(|t| t.0),
                versions: raw.keep_versions,
                age: raw.keep_age.map(|t| t.0.0),
                bytes: raw.keep_bytes.map(|t| t.0.0),
            },
            rules: rules.collect::<Result<_>>()?,
            session: raw.session,
            documents: raw.document,
            audit: raw.audit.policy().map_err(wrong)?,
        })
    }

    /// The policy of a file, by its path relative to the workspace.
    pub(crate) fn of(&self, relative: &Path, defaults: Policy) -> Policy {
        let mut policy = defaults;
        policy.locks = self.locks.unwrap_or(true) && defaults.locks;
        policy.lock = self.lock.unwrap_or(defaults.lock);
        policy.wait = self.wait.unwrap_or(defaults.wait);
        self.keep.over(&mut policy);
        if let Some(Rule { raw, wait, .. }) = self.rule(relative) {
            policy.strategy = raw.strategy.map_or(policy.strategy, |t| t.0);
            policy.durability = raw.durability.map_or(policy.durability, |t| t.0);
            policy.hard_links = raw.hard_links.map_or(policy.hard_links, |t| t.0);
            policy.lock = raw.lock.map_or(policy.lock, |t| t.0);
            policy.lock_file = raw.lock_file.map_or(policy.lock_file, |t| t.0);
            policy.if_unavailable = raw.if_unavailable.map_or(policy.if_unavailable, |t| t.0);
            policy.wait = wait.unwrap_or(policy.wait);
            policy.require_condition = raw.require_condition.unwrap_or(policy.require_condition);
            raw.keep().over(&mut policy);
        }
        policy
    }

    /// How a file is merged; `None`: nothing is said about it.
    pub(crate) fn merge_of(&self, relative: &Path) -> Option<&Arc<MergePolicy>> {
        self.rule(relative).map(|rule| &rule.merge)
    }

    fn rule(&self, relative: &Path) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.glob.is_match(relative))
    }
}

fn wait_of(period: Text<Period>) -> Wait {
    Wait::For(period.0.0)
}

/// The parser's message, with the line.
fn describe(error: &toml_edit::de::Error, text: &str) -> String {
    let message = error.message().trim().replace('\n', " ");
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policies> {
        Policies::parse(text.as_bytes(), Path::new("config.toml"))
    }

    /// VER-5: the first matching glob decides; what it leaves out comes from the defaults.
    #[test]
    fn first_match_counts() {
        let policies = parse(
            "timeout = \"7s\"\n[[policy]]\nglob = \"config/*.json\"\nstrategy = \"queue\"\n\
             [[policy]]\nglob = \"**/*.json\"\ndurability = \"none\"\ntimeout = \"250ms\"\n",
        )
        .unwrap();
        let of = |path: &str| policies.of(Path::new(path), Policy::default());
        assert_eq!((of("config/a.json").strategy, of("config/a.json").durability), (Strategy::Queue, Durability::Full));
        assert_eq!(of("config/a.json").wait, Wait::For(Duration::from_secs(7)));
        assert_eq!((of("x/y.json").strategy, of("x/y.json").durability), (Strategy::FailFast, Durability::None));
        assert_eq!(of("x/y.json").wait, Wait::For(Duration::from_millis(250)));
        assert_eq!(of("a.toml").wait, Wait::For(Duration::from_secs(7)));
    }

    /// LOCK-21, LOCK-18: the emergency switch and going on without a lock are explicit words in the configuration.
    #[test]
    fn switches() {
        assert!(!parse("locks = \"off\"").unwrap().of(Path::new("a"), Policy::default()).locks);
        let policy = parse("[[policy]]\nglob = \"*\"\nif_unavailable = \"proceed\"").unwrap();
        assert_eq!(policy.of(Path::new("a"), Policy::default()).if_unavailable, IfUnavailable::Proceed);
    }

    /// LOCK-3: what locks are made of, for all files and for some.
    #[test]
    fn kinds_of_locks() {
        let policies = parse("lock = \"file\"\n[[policy]]\nglob = \"*.db\"\nlock = \"os\"").unwrap();
        let of = |path: &str| policies.of(Path::new(path), Policy::default()).lock;
        assert_eq!((of("a"), of("a.db")), (LockMode::File, LockMode::Os));
        assert_eq!(parse("").unwrap().of(Path::new("a"), Policy::default()).lock, LockMode::Auto);
    }

    /// MERGE-2, VER-5: rules of merging belong to their policy.
    #[test]
    fn merging() {
        let policies = parse(
            "[[policy]]\nglob = \"a.json\"\nstrategy = \"merge\"\n[policy.merge]\nversion = \"higher\"\n\
             lists = { \"/servers\" = \"key:host\", \"/jobs/*/steps\" = \"ordered\" }\nconflict_style = \"zdiff3\"\n\
             [[policy]]\nglob = \"*\"",
        )
        .unwrap();
        assert_eq!(policies.of(Path::new("a.json"), Policy::default()).strategy, Strategy::Merge);
        let merge = policies.merge_of(Path::new("a.json")).unwrap();
        assert_eq!((merge.rules.version, merge.style), (VersionRule::Higher, ConflictStyle::Zdiff3));
        let keyed = ListRule::Keyed("host".to_owned());
        assert_eq!(
            merge.rules.lists,
            [("/jobs/*/steps".to_owned(), ListRule::Ordered), ("/servers".to_owned(), keyed)]
        );
        assert_eq!(**policies.merge_of(Path::new("b")).unwrap(), MergePolicy::default());
        assert!(policies.merge_of(Path::new("b/c")).is_none());
    }

    /// SERVE-2: where a write must say what it replaces.
    #[test]
    fn conditions() {
        let policies = parse("[[policy]]\nglob = \"*.json\"\nrequire_condition = true").unwrap();
        let of = |path: &str| policies.of(Path::new(path), Policy::default()).require_condition;
        assert_eq!((of("a.json"), of("a.toml")), (true, false));
    }

    /// KEEP-1: what is kept, for all files and for some.
    #[test]
    fn keeping() {
        let policies = parse(
            "keep_versions = 7\nkeep_age = \"2d\"\n[[policy]]\nglob = \"*.key\"\nkeep = \"none\"\n\
             [[policy]]\nglob = \"*.big\"\nkeep = \"current\"\nkeep_bytes = \"1MiB\"\nkeep_versions = 2\n",
        )
        .unwrap();
        let of = |path: &str| policies.of(Path::new(path), Policy::default());
        let age = Duration::from_secs(2 * 24 * 3600);
        let default = KeepLimits::default();
        assert_eq!((of("a").keep, of("a").keep_limits), (Keep::Displaced, KeepLimits { versions: 7, age, ..default }));
        assert_eq!(of("a.key").keep, Keep::None);
        let big = KeepLimits { versions: 2, age, bytes: 1 << 20 };
        assert_eq!((of("a.big").keep, of("a.big").keep_limits), (Keep::Current, big));
    }

    /// VER-5: mistakes are named with file and line, never skipped.
    #[test]
    fn mistakes() {
        for (text, expected) in [
            ("[[policy]]\nglob = \"*\"\nstrategy = \"fastest\"", "line 3: `fastest` is not a strategy"),
            ("\n\ntimeout = \"5\"", "line 3: `5` is not a length of time"),
            ("lock = \"off\"", "line 1: `off` is not a kind of lock; to switch locks off, write `locks`"),
            ("lock = \"flock\"", "line 1: `flock` is not a kind of lock: auto, os or file"),
            ("keep = \"all\"", "line 1: `all` is not a way to keep versions: none, displaced, current or every"),
            ("keep_bytes = \"many\"", "line 1: `many` is not a number of bytes"),
            ("lokcs = \"off\"", "line 1: unknown field `lokcs`"),
            ("[[policy]]\nglob = \"a[\"", "glob `a[`"),
            ("[[policy]]\nglob = \"a\"\nmerge.version = \"newest\"", "line 3: `newest` is not a rule for versions"),
            ("[[policy]]\nglob = \"a\"\nmerge.lists = { \"/a\" = \"bag\" }", "`bag` is not a rule for lists"),
            ("[[policy]]\nglob = \"a\"\nmerge.lists = { a = \"set\" }", "`a` is not a JSON pointer"),
            ("[audit]\nlocks = \"some\"", "line 2: `some` does not say which locks are recorded"),
            ("[audit]\nkey_file = \"key\"", "the key file `key` is no absolute path"),
            ("[audit]\nenabled = \"yes\"", "line 2"),
            ("locks = [", "line 1"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?} gave {error:?}");
        }
    }

    /// KEEP-2: what is recorded, and where it ends.
    #[test]
    fn auditing() {
        assert_eq!(parse("").unwrap().audit, AuditPolicy::default());
        let text = "[audit]\nenabled = false\nlocks = \"all\"\nfile_bytes = \"1MiB\"\nkeep_bytes = \"2MiB\"\nkeep_age = \"7d\"\n";
        let audit = parse(text).unwrap().audit;
        assert_eq!(
            (audit.enabled, audit.locks, audit.file_bytes, audit.keep_bytes),
            (false, AuditLocks::All, 1 << 20, 2 << 20)
        );
        assert_eq!(audit.keep_age, Some(Duration::from_secs(7 * 24 * 3600)));
    }

    /// DESIGN §4: lengths of time.
    #[test]
    fn periods() {
        assert_eq!("500ms".parse(), Ok(Period(Duration::from_millis(500))));
        assert_eq!("2m".parse(), Ok(Period(Duration::from_secs(120))));
        for wrong in ["", "5", "s", "-1s", "1.5s", "5 s", "99999999999999999999h"] {
            assert!(wrong.parse::<Period>().is_err(), "{wrong}");
        }
    }
}
