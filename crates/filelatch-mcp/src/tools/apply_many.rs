//! `apply_many`: changes of several files, all or none.

use filelatch::doc::Format;
use filelatch::many::FileOutcome;
use filelatch::{Error, Expect, FileContent, LatchFile, ManyOptions, Version};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::edit::{EditArgument, parsed};
use super::patch_doc::patch_of;
use super::{Access, Tool};
use crate::fitting::{Fitting, OnConflict, too_large};
use crate::place::Place;
use crate::refusal::{ConflictView, Refusal};
use crate::tools::read::hash_of;
use crate::work::{Call, Work};
use crate::writing::{self, ChangedView, Once, Outcome, Planned, Stop, once, unified};

pub(super) struct ApplyMany;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// What is to become of each file; each file once.
    changes: Vec<ChangeArgument>,
    /// Make the directories that are missing; they stay, also if nothing is written.
    #[serde(default)]
    mkdir: bool,
    /// Show what would change, and write nothing.
    #[serde(default)]
    dry_run: bool,
    /// A text of your own: the same call with the same key is made once, also if its answer got lost.
    #[expect(dead_code, reason = "it is taken before the arguments are")]
    idempotency_key: Option<String>,
    /// How long to wait for all the locks: 5000 unless given, at most 60000.
    wait_ms: Option<u64>,
}

/// The change of one file: one of `edits`, `content`, `merge_patch`, `json_patch`, `remove`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ChangeArgument {
    /// The file, relative to the root.
    path: String,
    /// As in `edit`.
    edits: Option<Vec<EditArgument>>,
    /// Its whole new content. To replace one that exists, give `base_hash`.
    content: Option<String>,
    /// As in `patch_doc`.
    merge_patch: Option<Value>,
    /// As in `patch_doc`.
    json_patch: Option<Value>,
    /// Remove it. Needs `base_hash`.
    #[serde(default)]
    remove: bool,
    /// The version that must be there; for `edits` and patches the one that they are made for, merged if others wrote since.
    base_hash: Option<String>,
    /// There must be no such file yet.
    #[serde(default)]
    expect_absent: bool,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    outcome: Outcome,
    /// The session that it was written as.
    by: String,
    /// In the order in which they were given.
    files: Vec<FileAnswer>,
    /// Where the key is remembered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remembered: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
struct FileAnswer {
    path: String,
    /// The version that is there now; null: it was removed.
    hash: Option<String>,
    /// The version that was replaced; null: there was no file.
    previous_hash: Option<String>,
    outcome: Outcome,
    changed: Vec<ChangedView>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diff: Option<String>,
}

impl Tool for ApplyMany {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "apply_many";
    const TITLE: &'static str = "Change several files as one";
    const DESCRIPTION: &'static str = "Edits, writes, patches and removes several files: all of it or nothing, also after a crash. Use it when files must \
        fit together, a rename across files for example. Needs a workspace for more than one file (`no-workspace`). A refusal names the file that did \
        not fit; nothing was changed.";
    const ACCESS: Access = Access::Writes;
    const DESTROYS: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let limits = call.server().limits();
        let count = arguments.changes.len();
        if count == 0 || count > limits.files {
            return Err(Refusal::malformed(format!("a call has 1 to {} changes, not {count}", limits.files)));
        }
        let edits: usize = arguments.changes.iter().map(|change| change.edits.as_ref().map_or(0, Vec::len)).sum();
        if edits > limits.edits {
            return Err(Refusal::malformed(format!("a call has at most {} edits, not {edits}", limits.edits)));
        }
        let mut targets = Vec::with_capacity(count);
        for change in &arguments.changes {
            let place = call.place(&change.path)?;
            let file = place.open(call.server(), arguments.mkdir && !arguments.dry_run)?;
            targets.push((place, file));
        }
        let mut changes = Vec::with_capacity(count);
        for (at, (change, (place, file))) in arguments.changes.into_iter().zip(&targets).enumerate() {
            changes.push(One::new(call, place, file, change).map_err(|refusal| in_change(refusal, at))?);
        }
        let files: Vec<LatchFile> = targets.iter().map(|(_, file)| file.clone()).collect();
        let options = ManyOptions::new().lock(call.lock(call.wait(arguments.wait_ms))).session(call.session().clone());
        loop {
            let made = match call.key().filter(|_| !arguments.dry_run) {
                _ if arguments.dry_run => dry(call, &mut changes),
                None => locked(call, &files, &options, &mut changes),
                Some(key) => {
                    match once(call, &files, key, options.clone(), |contents| all(call, &mut changes, contents)) {
                        Ok(Once::Made(answer)) => Ok(Answer { remembered: Some("workspace".to_owned()), ..answer }),
                        Ok(Once::Repeated(answer)) => Ok(Answer { outcome: Outcome::Repeated, ..answer }),
                        Ok(Once::NoWorkspace) => Err(no_workspace().into()),
                        Err(stop) => Err(stop),
                    }
                }
            };
            match made {
                Err(Stop::NeedsBase) => {
                    for change in &mut changes {
                        change.find_base()?;
                    }
                }
                Err(Stop::Library(error)) => return Err(library(call, &error, &targets)),
                Err(Stop::Refused(refusal)) => {
                    let file = targets.iter().find(|(place, _)| refusal.path.as_deref() == Some(place.as_str()));
                    return Err(match file {
                        Some((_, file)) => writing::with_author(call, *refusal, file),
                        None => *refusal,
                    });
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }
}

fn no_workspace() -> Refusal {
    Refusal::new("no-workspace", "there is no workspace, which several files are written as one with")
        .run("filelatch init", "makes one, in the project's folder")
}

fn library(call: &Call, error: &Error, targets: &[(Place, LatchFile)]) -> Refusal {
    let mut refusal = call.refused(error);
    if let Error::Partial(applied) = error {
        let left =
            applied.files.iter().zip(targets).find(|(file, _)| matches!(file.outcome, FileOutcome::Conflict { .. }));
        refusal.path = left.map(|(_, (place, _))| place.as_str().to_owned());
    }
    refusal
}

fn in_change(refusal: Refusal, at: usize) -> Refusal {
    Refusal { message: format!("changes[{at}]: {}", refusal.message), ..refusal }
}

/// The change of one file.
struct One<'a> {
    call: &'a Call,
    place: &'a Place,
    file: &'a LatchFile,
    what: Kind<'a>,
    expect: Expect,
}

enum Kind<'a> {
    Fitted(Box<Fitting<'a>>),
    Content(String),
    Remove,
}

impl<'a> One<'a> {
    fn new(call: &'a Call, place: &'a Place, file: &'a LatchFile, change: ChangeArgument) -> Result<One<'a>, Refusal> {
        let base = change.base_hash.as_deref().map(hash_of).transpose()?;
        let expect = match (&base, change.expect_absent) {
            (None, false) => Expect::Any,
            (Some(base), false) => base.clone(),
            (None, true) => Expect::Absent,
            (Some(_), true) => return Err(Refusal::malformed("`expect_absent` does not go with `base_hash`")),
        };
        let fitted =
            |change| Kind::Fitted(Box::new(Fitting::new(call, place, file, change, base.clone(), OnConflict::Merge)));
        let patches = change.merge_patch.is_some() || change.json_patch.is_some();
        let what = match (change.edits, change.content, patches, change.remove) {
            (Some(edits), None, false, false) => fitted(crate::fitting::Change::Edits(parsed(call, edits)?)),
            (None, Some(content), false, false) => Kind::Content(content),
            (None, None, true, false) => {
                let create = change.expect_absent.then(|| json!({}));
                fitted(patch_of(change.merge_patch, change.json_patch, create, None::<Format>)?)
            }
            (None, None, false, true) => Kind::Remove,
            _ => {
                let what = "give one of `edits`, `content`, `merge_patch`, `json_patch`, `remove`";
                return Err(Refusal::malformed(what));
            }
        };
        Ok(One { call, place, file, what, expect })
    }

    fn find_base(&mut self) -> Result<(), Refusal> {
        match &mut self.what {
            Kind::Fitted(fitting) => fitting.find_base(),
            _ => Ok(()),
        }
    }

    /// What is to become of the file. `remove` is set if it is to go.
    fn plan(&mut self, old: Option<&[u8]>, remove: &mut bool) -> Result<Planned, Stop> {
        match &mut self.what {
            Kind::Fitted(fitting) => {
                if self.expect == Expect::Absent && old.is_some() {
                    return Err(self.unexpected(old).into());
                }
                fitting.plan(old)
            }
            Kind::Content(content) => {
                let limit = usize::try_from(self.call.server().limits().content).unwrap_or(usize::MAX);
                if content.len() > limit {
                    return Err(too_large(self.place, content.len(), limit).into());
                }
                let same = old == Some(content.as_bytes());
                let planned = Planned::content(old, content.clone().into_bytes());
                if same || self.fits(old) { Ok(planned) } else { Err(self.unexpected(old).into()) }
            }
            Kind::Remove => {
                if old.is_none() && self.expect != Expect::Any {
                    return Err(self.unexpected(old).into());
                }
                if old.is_some() && (self.expect == Expect::Any || !self.fits(old)) {
                    return Err(self.unexpected(old).into());
                }
                *remove = old.is_some();
                Ok(Planned::default())
            }
        }
    }

    /// Without a word about what is there, nothing may be there.
    fn fits(&self, old: Option<&[u8]>) -> bool {
        match &self.expect {
            Expect::Any | Expect::Absent => old.is_none(),
            expect => expect.admits(old.map(Version::of).as_ref()),
        }
    }

    fn unexpected(&self, old: Option<&[u8]>) -> Refusal {
        let path = self.place.as_str();
        let (kind, message) = match (&self.expect, old) {
            (Expect::Any, _) => ("needs-base", format!("`{path}` exists, and this says nothing of what it replaces")),
            (Expect::Absent, _) => ("conflict", format!("`{path}` exists already")),
            (_, None) => ("conflict", format!("`{path}` is gone")),
            _ => ("conflict", format!("`{path}` changed since the version that this was made for")),
        };
        let expected_hash = match &self.expect {
            Expect::Version(version) => Some(version.to_string()),
            Expect::Prefix(prefix) => Some(prefix.clone()),
            Expect::Absent => Some("absent".to_owned()),
            Expect::Any => None,
        };
        let conflict = Some(Box::new(ConflictView { expected_hash, ..ConflictView::default() }));
        let refusal = Refusal { conflict, ..Refusal::new(kind, message) }.about(path);
        refusal.next("read", json!({"path": path}), "shows what is there; then give its `hash` as `base_hash`")
    }
}

fn locked(
    call: &Call,
    files: &[LatchFile],
    options: &ManyOptions<'_>,
    changes: &mut [One<'_>],
) -> Result<Answer, Stop> {
    let (_, answer) = call.latch().update_files(files, options, |contents| all(call, changes, contents))?;
    Ok(answer)
}

/// Plans all, and puts it into the contents only then.
fn all(call: &Call, changes: &mut [One<'_>], contents: &mut [FileContent]) -> Result<Answer, Stop> {
    let mut answer = Answer { ok: true, by: call.session().to_string(), ..Answer::default() };
    for (change, content) in changes.iter_mut().zip(contents) {
        let mut remove = false;
        let previous = content.bytes().map(Version::of);
        let planned = change.plan(content.bytes(), &mut remove);
        let planned = planned.map_err(|stop| writing::stamped(stop, content.bytes()))?;
        let new = planned.bytes.as_deref().map(Version::of);
        answer.files.push(told(change, previous, new, &planned, remove));
        if remove {
            content.remove();
        } else if let (Some(bytes), Some(new)) = (planned.bytes, new) {
            call.server().known().put(new, &bytes[..]);
            content.write(bytes);
        }
    }
    answer.outcome = together(&answer.files);
    Ok(answer)
}

fn dry(call: &Call, changes: &mut [One<'_>]) -> Result<Answer, Stop> {
    let mut answer = Answer { ok: true, by: call.session().to_string(), outcome: Outcome::DryRun, ..Answer::default() };
    for change in changes {
        let seen = change.file.try_read()?;
        let old = seen.as_ref().map(filelatch::Snapshot::bytes);
        let mut remove = false;
        let planned = change.plan(old, &mut remove)?;
        let new = if remove { Some(&[][..]) } else { planned.bytes.as_deref() };
        let diff = new.and_then(|new| unified(old.unwrap_or_default(), new, change.place.as_str()));
        answer.files.push(FileAnswer {
            diff,
            outcome: Outcome::DryRun,
            ..told(change, old.map(Version::of), planned.bytes.as_deref().map(Version::of), &planned, remove)
        });
    }
    Ok(answer)
}

fn told(
    change: &One<'_>,
    previous: Option<Version>,
    new: Option<Version>,
    planned: &Planned,
    remove: bool,
) -> FileAnswer {
    FileAnswer {
        path: change.place.as_str().to_owned(),
        hash: if remove { None } else { new.or(previous).map(|hash| hash.to_string()) },
        previous_hash: previous.map(|hash| hash.to_string()),
        outcome: match (&planned.bytes, remove, planned.merged) {
            (_, _, true) => Outcome::Merged,
            (None, false, _) => Outcome::Unchanged,
            _ => Outcome::Written,
        },
        changed: planned.changed.iter().copied().map(ChangedView::from).collect(),
        diff: None,
    }
}

fn together(files: &[FileAnswer]) -> Outcome {
    let any = |outcome| files.iter().any(|file| file.outcome == outcome);
    match (any(Outcome::Merged), any(Outcome::Written)) {
        (true, _) => Outcome::Merged,
        (_, true) => Outcome::Written,
        _ => Outcome::Unchanged,
    }
}
