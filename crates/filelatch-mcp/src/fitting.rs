//! A change that was made for one version of a file, fitted to the one that is there.
//!
//! # Promise
//! - Edits are applied to what is there. Where they do not fit, and the version that they were made for is known, they are applied to that, and
//!   both are merged as the library merges this file; what is not clean is refused with both sides.
//! - Anchors whose lines stand in several places are not guessed: with a `base_hash` that is not what is there, their lines are taken in the
//!   version that they were made for.
//!
//! # Order of operations
//! Under the lock: compare · apply · else merge. If the version that it was made for is not in memory, the lock is let go while it is looked for
//! (kept versions, git), and all is done again.

use std::sync::Arc;

use filelatch::doc::{Document, Format};
use filelatch::merge::{Merged, Piece};
use filelatch::{Error, Expect, LatchFile, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::anchors::Lines;
use crate::edits::{self, Anchored, Edit, Edited, Unfit, What, spot};
use crate::nearest::nearest;
use crate::place::Place;
use crate::refusal::{ConflictView, Refusal, Spot};
use crate::tools::read::not_utf8;
use crate::work::Call;
use crate::writing::{self, Answer, How, Planned, Stop, changes};

/// Bytes of a side that a conflict shows.
const SHOWN: usize = 4000;
/// So far a side's piece is looked for.
const NEAR: usize = 16 << 10;

/// What to do with a file that is not at the version that a change was made for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnConflict {
    #[default]
    Merge,
    Fail,
    Queue,
}

/// A change that depends on what is there.
#[derive(Debug)]
pub(crate) enum Change {
    Edits(Vec<Edit>),
    /// A patch of a document: RFC 7396 or RFC 6902, and what a file that does not exist begins with.
    MergePatch(Value, Option<Value>, Option<Format>),
    JsonPatch(Value, Option<Value>, Option<Format>),
}

/// Makes the change of a file, as a call asks for it.
pub(crate) fn make(
    call: &Call,
    path: &str,
    change: Change,
    on_conflict: OnConflict,
    how: &How,
) -> Result<Answer, Refusal> {
    if how.base.is_none() && on_conflict != OnConflict::Merge {
        return Err(Refusal::malformed("`on_conflict` other than `merge` needs a `base_hash`"));
    }
    let (place, file) = call.file(path)?;
    let mut fitting = Fitting::new(call, &place, &file, change, how.base.clone(), on_conflict);
    loop {
        match writing::change(call, &place, &file, how, &mut |old| fitting.plan(old)) {
            Err(Stop::NeedsBase) => fitting.find_base()?,
            Err(stop) => return Err(writing::with_author(call, stop.refusal(call, &place), &file)),
            Ok(answer) => return Ok(answer),
        }
    }
}

/// A change of one file.
pub(crate) struct Fitting<'a> {
    call: &'a Call,
    place: &'a Place,
    file: &'a LatchFile,
    change: Change,
    base: Option<Expect>,
    on_conflict: OnConflict,
    known: Base,
}

enum Base {
    NotLookedFor,
    Nowhere,
    Found(Arc<[u8]>),
}

impl<'a> Fitting<'a> {
    pub(crate) fn new(
        call: &'a Call,
        place: &'a Place,
        file: &'a LatchFile,
        change: Change,
        base: Option<Expect>,
        on_conflict: OnConflict,
    ) -> Fitting<'a> {
        let known = match &base {
            Some(Expect::Version(version)) => call.server().known().get(version),
            _ => None,
        };
        let known = known.map_or(Base::NotLookedFor, Base::Found);
        Fitting { call, place, file, change, base, on_conflict, known }
    }

    /// Looks for the version that the change was made for, where a merge does.
    pub(crate) fn find_base(&mut self) -> Result<(), Refusal> {
        let Some(base) = &self.base else { return Ok(()) };
        let found = self.file.find_base(base).map_err(|e| self.call.refused(&e).about(self.place.as_str()))?;
        self.known = found.map_or(Base::Nowhere, |bytes| Base::Found(bytes.into()));
        Ok(())
    }

    /// What is to become of the newest content.
    pub(crate) fn plan(&mut self, old: Option<&[u8]>) -> Result<Planned, Stop> {
        let limit = self.limit();
        if let Some(old) = old.filter(|old| old.len() > limit) {
            return Err(too_large(self.place, old.len(), limit).into());
        }
        let stale = self.base.as_ref().is_some_and(|base| !base.admits(old.map(Version::of).as_ref()));
        if stale && self.on_conflict != OnConflict::Merge {
            return Err(self.changed_since(old).into());
        }
        let positional = matches!(&self.change, Change::Edits(edits) if edits.iter().any(|edit| matches!(edit.what, What::Lines { .. })));
        if stale && positional {
            match (&self.known, old) {
                (Base::NotLookedFor, _) => return Err(Stop::NeedsBase),
                (Base::Found(base), Some(old)) => return self.merged(base, old, None),
                _ => {}
            }
        }
        let anchored = match (&self.base, stale) {
            (None, _) => Anchored::Perhaps,
            (_, false) => Anchored::Here,
            (_, true) => Anchored::Elsewhere,
        };
        let unfit = match self.apply(old, anchored) {
            Ok(planned) => return Ok(planned),
            Err(unfit) => unfit,
        };
        match (old.filter(|_| stale), &self.known) {
            (Some(_), Base::NotLookedFor) => Err(Stop::NeedsBase),
            (Some(old), Base::Found(base)) => self.merged(base, old, Some(unfit)),
            _ => Err(self.refusal(old, unfit)),
        }
    }

    fn limit(&self) -> usize {
        usize::try_from(self.call.server().limits().content).unwrap_or(usize::MAX)
    }

    fn apply(&self, old: Option<&[u8]>, anchored: Anchored) -> Result<Planned, Unapplied> {
        match &self.change {
            Change::Edits(edits) => {
                let Some(old) = old else { return Err(Unapplied::Absent) };
                let Edited { bytes, changed } = edits::apply(old, edits, anchored, self.limit())?;
                if bytes == old {
                    return Ok(Planned::default());
                }
                Ok(Planned { bytes: Some(bytes), changed, ..Planned::default() })
            }
            Change::MergePatch(patch, create, format) => {
                self.patched(old, create.as_ref(), *format, |document| document.merge_patch(patch))
            }
            Change::JsonPatch(patch, create, format) => {
                self.patched(old, create.as_ref(), *format, |document| document.json_patch(patch))
            }
        }
    }

    fn patched(
        &self,
        old: Option<&[u8]>,
        create: Option<&Value>,
        format: Option<Format>,
        patch: impl FnOnce(&mut Document) -> Result<(), filelatch::doc::DocError>,
    ) -> Result<Planned, Unapplied> {
        let path = self.file.canonical_path();
        let wrong = |source| Unapplied::Document(Error::Document { path: path.to_owned(), source });
        let format = format.or_else(|| Format::from_path(path)).filter(|format| *format != Format::Text);
        let format = format.ok_or(Unapplied::NoFormat)?;
        let mut document = match (old, create) {
            (Some(old), _) => Document::parse(old, format),
            (None, Some(value)) => Document::new_with(value, format),
            (None, None) => return Err(Unapplied::Absent),
        }
        .map_err(wrong)?;
        patch(&mut document).map_err(wrong)?;
        if old.is_none() {
            // Written as a new document of this value is, not as one that was empty.
            document = Document::new_with(&document.value().map_err(wrong)?.clone(), format).map_err(wrong)?;
        }
        let bytes = document.render().map_err(wrong)?;
        if bytes.len() > self.limit() {
            return Err(Unapplied::Unfit(Unfit::TooLong { edit: 0 }));
        }
        Ok(Planned::content(old, bytes))
    }

    /// Applies the change to the version that it was made for, and merges both. `unfit`: why it does not fit as it is.
    fn merged(&self, base: &[u8], old: &[u8], unfit: Option<Unapplied>) -> Result<Planned, Stop> {
        let mine = match (self.apply(Some(base), Anchored::Here), unfit) {
            (Ok(Planned { bytes: Some(mine), .. }), _) => mine,
            (Ok(_), _) => return Ok(Planned::default()),
            // Not even there: that is the client's mistake, not a conflict.
            (Err(_), Some(unfit)) | (Err(unfit), None) => return Err(self.refusal(Some(base), unfit)),
        };
        let merged = self.file.merge(Some(base), &mine, old)?;
        match merged.content() {
            Some(bytes) if bytes == old => Ok(Planned::default()),
            Some(bytes) => {
                Ok(Planned { changed: changes(old, &bytes), bytes: Some(bytes), merged: true, ..Planned::default() })
            }
            None => Err(self.clash(&merged, old).into()),
        }
    }

    /// Both sides of what does not fit together.
    fn clash(&self, merged: &Merged, old: &[u8]) -> Refusal {
        let (mut mine, mut theirs, mut places) = (String::new(), String::new(), Vec::new());
        let lines = Lines::new(old);
        let mut from = 0;
        for piece in merged.pieces() {
            let there = match piece {
                Piece::Conflict(hunk) => {
                    push(&mut mine, &hunk.ours);
                    push(&mut theirs, &hunk.theirs);
                    &hunk.theirs
                }
                Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => bytes,
            };
            // What comes from this side stands there in the same order.
            let near = &old[from..old.len().min(from + there.len() + NEAR)];
            if let Some(at) = memchr::memmem::find(near, there).map(|at| from + at) {
                if matches!(piece, Piece::Conflict(_)) && places.len() < 10 {
                    places.push(spot(&lines, lines.line_at(at)));
                }
                from = at + there.len();
            }
        }
        let message =
            format!("`{}` was changed in the same places since the version that this is for", self.place.as_str());
        let view = ConflictView { mine: Some(mine), theirs: Some(theirs), places, ..self.view() };
        self.with_next(Refusal { conflict: Some(Box::new(view)), ..Refusal::new("conflict", message) })
    }

    fn view(&self) -> ConflictView {
        let expected_hash = self.base.as_ref().map(|base| match base {
            Expect::Version(version) => version.to_string(),
            Expect::Prefix(prefix) => prefix.clone(),
            Expect::Absent => "absent".to_owned(),
            Expect::Any => String::new(),
        });
        ConflictView { expected_hash, ..ConflictView::default() }
    }

    fn with_next(&self, refusal: Refusal) -> Refusal {
        let path = self.place.as_str();
        let known = self.view().expected_hash;
        let arguments = match known {
            Some(hash) => json!({"path": path, "known_hash": hash}),
            None => json!({"path": path}),
        };
        refusal.about(path).next("read", arguments, "shows what is there now; make the change for that")
    }

    fn changed_since(&self, old: Option<&[u8]>) -> Refusal {
        let what = if old.is_some() { "changed since the version that this is for" } else { "is gone" };
        let message = format!("`{}` {what}", self.place.as_str());
        self.with_next(Refusal { conflict: Some(Box::new(self.view())), ..Refusal::new("conflict", message) })
    }

    fn refusal(&self, old: Option<&[u8]>, unapplied: Unapplied) -> Stop {
        let path = self.place.as_str();
        let unfit = match unapplied {
            Unapplied::Document(error) => return Stop::Library(error),
            Unapplied::Absent => {
                let refusal = Refusal::new("not-found", format!("`{path}` does not exist")).about(path);
                let arguments = json!({"path": path, "expect_absent": true});
                return refusal.next("write", arguments, "makes a new file, with its `content`").into();
            }
            Unapplied::NoFormat => {
                return Refusal::new(
                    "unknown-format",
                    format!("the name of `{path}` does not tell the document's format"),
                )
                .about(path)
                .hint("give `format`: json, jsonc, yaml or toml; other files are changed by `edit`")
                .into();
            }
            Unapplied::Unfit(unfit) => unfit,
        };
        let text = old.unwrap_or_default();
        let refusal = match unfit {
            Unfit::NotText { at } => not_utf8(path, at, text.len()),
            Unfit::Missing { edit, found: 0, .. } => self.missing(text, edit),
            Unfit::Missing { edit, found, expected } => {
                let message = format!("edits[{edit}]: the text is in `{path}` {found} times, not {expected}");
                self.conflicting(message, text, edit)
            }
            Unfit::Ambiguous { edit, expected, places } => {
                let times = if expected == 1 { "once".to_owned() } else { format!("{expected} times") };
                let message = format!("edits[{edit}]: the text is in `{path}` more often than {times}");
                let refusal = Refusal { places, ..Refusal::new("ambiguous", message) };
                refusal.about(path).hint("give more of the text around it, or `expected_count` to change all of them")
            }
            Unfit::Empty { edit } => {
                Refusal::malformed(format!("edits[{edit}] has an empty `old_text`, and `{path}` is not empty"))
                    .about(path)
                    .hint("use an `anchor` with `at`, or `append`")
            }
            Unfit::Gone { edit, line } => {
                let message =
                    format!("edits[{edit}]: the line that its anchor names (line {line} then) was changed or removed");
                self.conflicting_at(message, text, edit, line)
            }
            Unfit::Several { edit, line } => {
                let message =
                    format!("edits[{edit}]: several lines are like the one that its anchor names (line {line} then)");
                self.conflicting_at(message, text, edit, line)
            }
            Unfit::Overlaps { edit } => Refusal::malformed(format!(
                "edits[{edit}] replaces lines that an earlier edit of the call has replaced"
            ))
            .about(path)
            .hint("make one edit of both"),
            Unfit::Backwards { edit } => {
                Refusal::malformed(format!("edits[{edit}]: `end_anchor` is above `anchor`")).about(path)
            }
            Unfit::TooLong { .. } => too_large(self.place, self.limit() + 1, self.limit()),
        };
        refusal.into()
    }

    fn missing(&self, text: &[u8], edit: usize) -> Refusal {
        let path = self.place.as_str();
        self.conflicting(format!("edits[{edit}]: the text is not in `{path}`"), text, edit)
    }

    /// A conflict with the places that are most like what was looked for.
    fn conflicting(&self, message: String, text: &[u8], edit: usize) -> Refusal {
        let looked = match &self.change {
            Change::Edits(edits) => edits.get(edit).map(|edit| (&edit.what, &edit.new_text)),
            _ => None,
        };
        let (places, length) = match looked {
            Some((What::Text { old, .. }, _)) => (nearest(text, old), old.lines().count()),
            _ => (Vec::new(), 1),
        };
        self.both(message, text, edit, places, length)
    }

    fn conflicting_at(&self, message: String, text: &[u8], edit: usize, line: usize) -> Refusal {
        let lines = Lines::new(text);
        let at = (line <= lines.count()).then(|| spot(&lines, line - 1));
        self.both(message, text, edit, at.into_iter().collect(), 1)
    }

    fn both(&self, message: String, text: &[u8], edit: usize, places: Vec<Spot>, length: usize) -> Refusal {
        let lines = Lines::new(text);
        let theirs = places.first().map(|place| {
            let from = place.line - 1;
            let mut theirs = String::new();
            push(&mut theirs, &text[lines.range(from..from + length.max(1))]);
            theirs
        });
        let mine = match &self.change {
            Change::Edits(edits) => edits.get(edit).map(|edit| {
                let mut mine = String::new();
                push(&mut mine, edit.new_text.as_bytes());
                mine
            }),
            _ => None,
        };
        let view = ConflictView { mine, theirs, places, ..self.view() };
        self.with_next(Refusal { conflict: Some(Box::new(view)), ..Refusal::new("conflict", message) })
    }
}

/// Why a change could not be applied.
enum Unapplied {
    Absent,
    NoFormat,
    Document(Error),
    Unfit(Unfit),
}

impl From<Unfit> for Unapplied {
    fn from(unfit: Unfit) -> Unapplied {
        Unapplied::Unfit(unfit)
    }
}

/// Adds what can be shown.
fn push(shown: &mut String, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let room = SHOWN.saturating_sub(shown.len());
    let cut = text.char_indices().map(|(at, _)| at).find(|at| *at >= room).unwrap_or(text.len());
    shown.push_str(&text[..cut]);
}

pub(crate) fn too_large(place: &Place, size: usize, limit: usize) -> Refusal {
    let path = place.as_str();
    Refusal::new("too-large", format!("`{path}` has, or would have, {size} bytes, and the limit is {limit}"))
        .about(path)
        .hint("split the file, or change it with a program of its own")
}
