//! A live document: the states of [`core`](super::core), with a disk and somebody who says when to look at it.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::core::{Core, Disk, Merging, Plan, Taken};
use super::event::{LiveChange, LiveConflict, LiveEvent, LiveState, NotResolved};
use super::options::LiveOptions;
use crate::conflict::{self, Cause, Resolution};
use crate::engine::Filelatch;
use crate::error::{Conflict, Error, Result, Unmerged};
use crate::file::{LatchFile, WriteOptions};
use crate::guard::Guard;
use crate::merge::{MergeOptions, Merged};
use crate::policy::Strategy;
use crate::snapshot::Content;
use crate::version::{Expect, Version};
use crate::watch::own::Watching;
use crate::watch::{ChangeKind, Event, Origin, Reader, Watch, origin};
use crate::write::{Author, Notice};
use crate::write_path::{Outcome, Written};

/// How often a save begins again because a program that takes no part in locks has written in between.
const ATTEMPTS: u32 = 20;

/// A file with a draft of its next content. See the [module](crate::live).
#[derive(Debug)]
pub struct Live {
    engine: Filelatch,
    path: PathBuf,
    automatic: bool,
    chosen: Option<MergeOptions>,
    /// As the policy had it when the file was looked at last.
    merge: MergeOptions,
    core: Core,
    events: VecDeque<LiveEvent>,
    /// What the file is called in changes that are reported of it.
    names: Vec<OsString>,
    hearing: Hearing,
    /// So that own saves are known as such, whoever watches.
    _watching: Watching,
}

/// Who tells of changes.
#[derive(Debug)]
pub(super) enum Hearing {
    /// Whoever has the document.
    Nobody,
    Others(Reader),
    /// In this order: the reader ends before the watch does.
    Own(Reader, #[expect(dead_code, reason = "it lives as long as the document")] Watch),
}

impl Hearing {
    fn reader(&self) -> Option<&Reader> {
        match self {
            Hearing::Nobody => None,
            Hearing::Others(reader) | Hearing::Own(reader, _) => Some(reader),
        }
    }
}

impl Live {
    /// What `hearing` tells must begin before this looks at the file.
    pub(super) fn new(engine: &Filelatch, path: &Path, options: &LiveOptions, hearing: Hearing) -> Result<Live> {
        let watching = engine.parts().own_writes.watching();
        let file = engine.file(path)?;
        let mut live = Live {
            engine: engine.clone(),
            path: path.to_owned(),
            automatic: options.automatic,
            chosen: options.merge.clone(),
            merge: MergeOptions::default(),
            core: Core::default(),
            events: VecDeque::new(),
            names: Vec::new(),
            hearing,
            _watching: watching,
        };
        match live.look_at(&file) {
            Disk::Unreadable { why, .. } => return Err(why.share()),
            disk => live.see(disk),
        };
        live.events.clear();
        Ok(live)
    }

    /// The path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it stands.
    pub fn state(&self) -> LiveState {
        self.core.state()
    }

    /// What a person sees: the draft, or what the disk has. Empty where there is no file and no draft.
    pub fn text(&self) -> &[u8] {
        self.core.text()
    }

    /// The draft; `None`: there is none.
    pub fn draft(&self) -> Option<&[u8]> {
        self.core.draft()
    }

    /// What the text was made from: what the disk had when it was looked at last, or, in a conflict, before that. `None`: there was no
    /// file.
    pub fn base(&self) -> Option<&[u8]> {
        self.core.base().map(|base| &base.content.bytes[..])
    }

    /// The version of [`Live::base`].
    pub fn base_version(&self) -> Option<Version> {
        self.core.base().map(|base| base.content.version())
    }

    /// Who wrote [`Live::base`], and when.
    pub fn base_origin(&self) -> Option<(&Origin, SystemTime)> {
        self.core.base().map(|base| (&base.by, base.at))
    }

    /// What does not fit together; `None` in other states than [`LiveState::Conflict`].
    pub fn conflict(&self) -> Option<LiveConflict<'_>> {
        self.core.conflict()
    }

    /// Why the file can't be read; `None` in other states than [`LiveState::Unreadable`].
    pub fn error(&self) -> Option<&Error> {
        self.core.error().map(|why| &**why)
    }

    /// What was typed last, if a merge or a decision has made another text of it since. Kept until something is typed, saved or
    /// discarded.
    pub fn before_merge(&self) -> Option<&[u8]> {
        self.core.before_merge()
    }

    /// Takes the last merge back: the draft is again what was typed, in conflict with what the disk has until somebody decides. False:
    /// nothing was merged, or something was typed since.
    pub fn undo_merge(&mut self) -> bool {
        let merging = Merging { options: &self.merge, automatic: self.automatic };
        self.core.undo_merge(&merging)
    }

    /// The text is another now. What is equal to the base is no draft. Nothing is merged by it; in a conflict the places that don't fit are
    /// computed again.
    pub fn set_draft(&mut self, bytes: impl Into<Vec<u8>>) {
        let merging = Merging { options: &self.merge, automatic: self.automatic };
        let event = self.core.set_draft(bytes.into(), &merging);
        self.events.extend(event);
    }

    /// As [`Live::set_draft`], for a face that has its own copy of the text and may not have heard of a merge yet: `base` is the
    /// version ([`Live::base_version`]) on which these bytes were typed. What the disk has had since is merged into them, which is told as an
    /// event.
    ///
    /// # Errors
    /// [`Error::NoSuchVersion`]: nobody knows that version any more; the draft is what it was.
    pub fn set_draft_on(&mut self, base: Option<Version>, bytes: impl Into<Vec<u8>>) -> Result<()> {
        let found = match base {
            Some(version) if !self.core.knows(&version) => Some(self.find(version)?),
            _ => None,
        };
        let merging = Merging { options: &self.merge, automatic: self.automatic };
        let event = self.core.set_draft_on(base, bytes.into(), found, &merging);
        self.events.extend(event.map_err(|_| self.no_such_version(base))?);
        Ok(())
    }

    fn no_such_version(&self, version: Option<Version>) -> Error {
        let wanted = version.map(|version| version.short()).unwrap_or_default();
        Error::NoSuchVersion { path: self.path.clone(), wanted }
    }

    /// A version that was kept, or that a source of bases knows.
    fn find(&self, version: Version) -> Result<Taken> {
        let entry = self.engine.file(&self.path)?.entry()?;
        let bytes = conflict::find(&entry, &Expect::Version(version));
        let bytes = bytes.map_err(|_| self.no_such_version(Some(version)))?;
        Ok(Taken { content: Content::new(bytes), by: Origin::Unknown, at: SystemTime::UNIX_EPOCH })
    }

    /// Changes the text: `change` is given it and answers another.
    pub fn edit(&mut self, change: impl FnOnce(&[u8]) -> Vec<u8>) {
        let new = change(self.text());
        self.set_draft(new);
    }

    /// Drops the draft, for what the disk has, and answers it. What is gone or can't be read stays so.
    pub fn discard(&mut self) -> Option<Vec<u8>> {
        self.core.discard()
    }

    /// Decides a conflict, for the version that [`Live::conflict`] shows. What comes of it is a draft: nothing is written before
    /// [`Live::save`], and what the disk has by then is merged with it as always.
    ///
    /// - [`Resolution::Mine`]: the draft as it is. What the disk has is written over.
    /// - [`Resolution::Theirs`]: what the disk has. The draft can still be had ([`Live::before_merge`], [`Live::undo_merge`]).
    /// - [`Resolution::Merged`]: both, if by now everything fits.
    /// - [`Resolution::Content`][]: this.
    ///
    /// Of a file that is gone: `Mine` and `Content` make it anew when it is saved, `Theirs` lets it be gone.
    pub fn resolve(&mut self, how: Resolution) -> Result<(), NotResolved> {
        self.core.resolve(how)
    }

    /// Waits for something to happen, at most so long; without limit for `None`. `Ok(None)`: nothing within that time. A document that
    /// nobody tells of changes does not wait.
    ///
    /// An error says that the watch has ended ([`Reader::next`]); [`Live::refresh`] still looks.
    pub fn next(&mut self, wait: Option<Duration>) -> Result<Option<LiveEvent>> {
        let host = Arc::clone(&self.engine.parts().host);
        let until = wait.map(|wait| host.monotonic().saturating_add(wait));
        loop {
            if let Some(event) = self.take_event() {
                return Ok(Some(event));
            }
            let left = until.map(|until| until.saturating_sub(host.monotonic()));
            let Some(reader) = self.hearing.reader() else { return Ok(None) };
            let Some(event) = reader.next(left)? else { return Ok(None) };
            self.hear(&event);
        }
    }

    /// Takes in what was told by now, without waiting, and answers the next thing that happened, as [`Live::take_event`].
    pub fn take_in(&mut self) -> Result<Option<LiveEvent>> {
        let mut concerned = self.state() == LiveState::Unreadable;
        while let Some(reader) = self.hearing.reader()
            && let Some(event) = reader.next(Some(Duration::ZERO))?
        {
            concerned |= self.concerns(&event);
        }
        if concerned {
            self.refresh();
        }
        Ok(self.take_event())
    }

    /// Looks at the file. What has changed is told by [`Live::take_event`].
    pub fn refresh(&mut self) {
        let disk = match self.engine.file(&self.path) {
            Ok(file) => self.look_at(&file),
            Err(e) => self.missing(e),
        };
        self.see(disk);
    }

    /// Looks at the file if the event is about it, or about everything; for who reads one watch for many documents.
    pub fn hear(&mut self, event: &Event) {
        if self.concerns(event) {
            self.refresh();
        }
    }

    /// The next thing that happened and was not told yet.
    pub fn take_event(&mut self) -> Option<LiveEvent> {
        self.events.pop_front()
    }

    /// By name: whether it is about another file of this name is quickly seen.
    fn concerns(&self, event: &Event) -> bool {
        let is_named =
            |path: &Path| path.file_name().is_some_and(|name| self.names.iter().any(|known| same_name(known, name)));
        match event {
            Event::Change(change) => {
                is_named(&change.path) || matches!(&change.kind, ChangeKind::Renamed { from } if is_named(from))
            }
            Event::Rescanned { .. } | Event::Reset { .. } => true,
        }
    }

    fn look_and_see(&mut self, file: &LatchFile) -> bool {
        let disk = self.look_at(file);
        self.see(disk)
    }

    /// Takes it in; was it merged into the draft?
    fn see(&mut self, disk: Disk) -> bool {
        let merging = Merging { options: &self.merge, automatic: self.automatic };
        let event = self.core.see(disk, &merging);
        let merged = event.as_ref().is_some_and(|event| matches!(event.what, LiveChange::Merged));
        self.events.extend(event);
        merged
    }

    /// What the disk has. By path, each time: directories are replaced, and links lead elsewhere.
    fn look_at(&mut self, file: &LatchFile) -> Disk {
        let parts = Arc::clone(self.engine.parts());
        let own = &parts.own_writes;
        let look = own.look();
        self.names = [self.path.file_name(), file.canonical_path().file_name()]
            .into_iter()
            .flatten()
            .map(OsStr::to_owned)
            .collect();
        let read = file.entry().and_then(|entry| {
            self.merge = self.chosen.clone().unwrap_or_else(|| entry.merge_options());
            entry.read()
        });
        match read {
            Ok(Some(snapshot)) => {
                let (id, version) = (file.id(), snapshot.version());
                let by = origin::of_author(own, &parts, look, id, &version, snapshot.author());
                let at = snapshot.modified_at();
                Disk::Has(Taken { content: snapshot.into_content(), by, at })
            }
            Ok(None) => Disk::Nothing { by: origin::of_absence(own, file.id(), look), at: parts.host.now() },
            Err(e) => self.missing(e),
        }
    }

    fn missing(&self, why: Error) -> Disk {
        let at = self.engine.parts().host.now();
        let is_gone = match &why {
            Error::NotFound { .. } => true,
            Error::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
            }
            _ => false,
        };
        if is_gone { Disk::Nothing { by: Origin::External, at } } else { Disk::Unreadable { why: Arc::new(why), at } }
    }

    /// Writes the text, if it was made on what the disk has; else it is first brought together with that, as always. When this
    /// returns, what [`Live::text`] shows is on disk with the durability that was asked for, and there is no draft any more.
    ///
    /// - In a conflict nothing is written ([`Error::Conflict`]); [`Live::resolve`] decides it.
    /// - A file that is gone is made anew only if `options.expect` is [`Expect::Absent`], or if it was [resolved](Live::resolve) so.
    ///   (One that was never there is made.) Another expectation must hold of what is on disk, besides.
    /// - With [`Strategy::LastWriteWins`] the text replaces whatever is there. With [`Strategy::FailFast`] or [`Strategy::Queue`] a merge is
    ///   made, but not written before somebody has seen it: the save is refused once. Without one, or with [`Strategy::Merge`], it is written
    ///   at once; the policy's strategy plays no part.
    /// - `options.base` plays no part.
    ///
    /// Writing is the engine's ([`LatchFile::write`]): the lock, what is kept, which errors. After an error the draft is what it was, or
    /// merged.
    pub fn save(&mut self, options: &WriteOptions<'_>) -> Result<Written> {
        let file = self.engine.file(&self.path)?;
        let overwrites = options.strategy == Some(Strategy::LastWriteWins);
        let merges = options.strategy.is_none_or(|strategy| strategy == Strategy::Merge);
        let recreate = options.expect == Expect::Absent;
        let before = self.base_version().map_or(Expect::Absent, Expect::Version);
        let mut merged = false;
        if !overwrites {
            // Without the lock: a merge may take its time, and what is in the way need not be waited for.
            merged = self.look_and_see(&file);
            if self.core.plan(recreate).is_none() {
                return self.nothing_to_write();
            }
        }
        let guard = Guard::new(file.hold_to_write(&options.lock)?);
        let mut notices = Vec::new();
        let mut attempts = 0;
        loop {
            let plan = if overwrites {
                let over = self.look_at(&file).version();
                self.core.content().map(|content| Plan { content, over })
            } else {
                merged |= self.look_and_see(&file);
                self.core.plan(recreate)
            };
            let Some(Plan { content, over }) = plan else { return self.nothing_to_write() };
            if merged && !merges {
                return Err(self.refused(before, None));
            }
            if !options.expect.admits(over.as_ref()) {
                return Err(self.refused(options.expect.clone(), None));
            }
            let expect = if overwrites { Expect::Any } else { over.map_or(Expect::Absent, Expect::Version) };
            let options = WriteOptions { expect, strategy: Some(Strategy::FailFast), base: None, ..options.clone() };
            match guard.write(&content.bytes, &options) {
                Ok(mut written) => {
                    written.notices.append(&mut notices);
                    if merged && written.outcome == Outcome::Written {
                        written.outcome = Outcome::Merged;
                    }
                    let event = self.core.saved(content, written.outcome, self.engine.parts().host.now());
                    self.events.push_back(event);
                    return Ok(written);
                }
                Err(Error::Conflict(conflict)) if merges && attempts < ATTEMPTS => {
                    attempts += 1;
                    notices.extend(conflict.kept.map(|kept| Notice::ForeignKept { kept }));
                    // What was compared are the bytes; what was remembered may be older.
                    file.entry()?.cache.forget();
                }
                Err(e) => return Err(e),
            }
        }
    }

    fn nothing_to_write(&self) -> Result<Written> {
        match self.state() {
            LiveState::Clean | LiveState::Draft => Ok(Written {
                outcome: Outcome::Unchanged,
                version: None,
                created: false,
                overwrote: None,
                notices: Vec::new(),
            }),
            LiveState::Unreadable => {
                Err(self.core.error().map_or_else(|| Error::NotFound { path: self.path.clone() }, |why| why.share()))
            }
            LiveState::Gone => Err(self.refused(self.base_version().map_or(Expect::Absent, Expect::Version), None)),
            LiveState::Conflict => {
                let expected = self.base_version().map_or(Expect::Absent, Expect::Version);
                let merged = self.core.conflict().map(|conflict| conflict.merged());
                Err(self.refused(expected, merged.filter(|merged| !merged.is_clean())))
            }
        }
    }

    /// The error for "not written": what the disk has instead of what was expected.
    fn refused(&self, expected: Expect, merged: Option<&Merged>) -> Error {
        let there = match (self.state(), self.core.conflict()) {
            (LiveState::Gone, _) => None,
            (_, Some(conflict)) => Some((conflict.version(), conflict.by(), conflict.at())),
            _ => self.core.base().map(|base| (base.content.version(), &base.by, base.at)),
        };
        let author = |by: &Origin| match by {
            Origin::Own => Author::Session(self.engine.session().to_owned()),
            Origin::Session(name) => Author::Session(name.clone()),
            Origin::External => Author::External,
            Origin::Unknown => Author::Unknown,
        };
        Error::Conflict(Box::new(Conflict {
            path: self.path.clone(),
            expected,
            current: there.map(|(version, ..)| version),
            last_modified_by: there.map(|(_, by, _)| author(by)).unwrap_or_default(),
            last_modified_at: there.map(|(.., at)| at),
            kept: None,
            unmerged: merged.map(|merged| {
                Box::new(Unmerged {
                    cause: Cause::Merge,
                    base: self.base_version(),
                    conflicts: merged.conflicts().count(),
                    fallback: merged.fallback().map(ToString::to_string),
                    looked: Vec::new(),
                    id: None,
                    not_stored: None,
                })
            }),
        }))
    }
}

/// Of one file, also where the file system tells no case apart.
fn same_name(a: &OsStr, b: &OsStr) -> bool {
    let lower = |name: &OsStr| name.to_string_lossy().to_lowercase();
    a.eq_ignore_ascii_case(b) || (!(a.is_ascii() && b.is_ascii()) && lower(a) == lower(b))
}
