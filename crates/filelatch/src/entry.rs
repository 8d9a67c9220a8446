//! Everything this process shares about one file: its lock, its cache, its queue of changes.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use filelatch_fs::fs::read_to_end;
use filelatch_fs::{Access, FsFile, FsKind, Stat, WriterProbe};

use crate::audit::trail::{Passage, Publish, Trail};
use crate::conflict::{Cause, NewConflict, NewSide, Sides, Store, StoredConflict};
use crate::doc::Document;
use crate::error::{Conflict, Error, Result};
use crate::guard::Held;
use crate::keep::Keep;
use crate::keep::history::History;
use crate::keep::publish::Keeping;
use crate::lease::desk::LeaseDesk;
use crate::lock::owner::Owner;
use crate::lock::records::{RecordTenure, Records};
use crate::lock::resource::{Resource, Tenure, locked};
use crate::many::Several;
use crate::merge::MergeOptions;
use crate::merge_path::apart;
use crate::parts::Parts;
use crate::path::Place;
use crate::policy::{MergePolicy, Policy};
use crate::privacy::Privacy;
use crate::snapshot::{Cache, Content, Snapshot};
use crate::update::combine::{Combiner, Ended};
use crate::update::head::{Disk, Head};
use crate::version::{Expect, Version};
use crate::workspace::Workspace;
use crate::write::current::{self, Current};
use crate::write::publish::{Base, How, Published, Publisher, has_bytes};
use crate::write::temp::{Readers, Temp};
use crate::write::{Author, Durability, Notice, sweep};

/// Directory entries a sweep looks at before it gives up: a huge directory must not slow its first writer down.
const SWEEP_LIMIT: usize = 4096;
/// Content larger than this is not kept for the next change.
const KEEP: usize = 512 << 10;

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) resource: Arc<Resource>,
    pub(crate) records: Records,
    pub(crate) combiner: Combiner,
    pub(crate) cache: Cache,
    pub(crate) leases: LeaseDesk,
    pub(crate) policy: Policy,
    pub(crate) merge: Arc<MergePolicy>,
    pub(crate) workspace: Option<Arc<Workspace>>,
    pub(crate) read_limit: u64,
    pub(crate) privacy: Privacy,
    history: Option<History>,
    /// What the process shares about it as a log.
    #[cfg(feature = "store")]
    pub(crate) log: std::sync::OnceLock<crate::store::log::core::Core>,
    kept: Mutex<Option<Kept>>,
    swept: AtomicBool,
}

/// The content after the last change of this process.
#[derive(Debug)]
struct Kept {
    content: Arc<Content>,
    document: Option<Document>,
}

/// What most publishes have nothing of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Extra<'a> {
    /// Report the version that an unchecked write displaced.
    pub(crate) report_displaced: bool,
    /// Versions on the way to this one.
    pub(crate) passed: &'a [Arc<Content>],
    /// What a file that does not exist takes its metadata from.
    pub(crate) like: Option<&'a Current>,
    /// What became of it on the way.
    pub(crate) passage: Option<&'a Passage>,
    /// It is a part of a write of several files, which syncs the directories, or completes them.
    pub(crate) several: Option<&'a Several<'a>>,
}

impl Entry {
    pub(crate) fn new(
        resource: Resource,
        policy: Policy,
        merge: Arc<MergePolicy>,
        workspace: Option<Arc<Workspace>>,
        read_limit: u64,
        trail: Option<Trail>,
        privacy: Privacy,
    ) -> Arc<Entry> {
        if let Some(trail) = trail {
            resource.set_trail(trail);
        }
        let resource = Arc::new(resource);
        let history = workspace.as_ref().and_then(|workspace| {
            let relative = resource.place.path.strip_prefix(&workspace.root).ok()?;
            History::of(workspace, relative, policy.keep, policy.keep_limits)
        });
        Arc::new(Entry {
            leases: LeaseDesk::new(&resource.place),
            records: Records::new(Arc::clone(&resource)),
            resource,
            combiner: Combiner::default(),
            cache: Cache::default(),
            policy,
            merge,
            workspace,
            read_limit,
            privacy,
            history,
            #[cfg(feature = "store")]
            log: std::sync::OnceLock::new(),
            kept: Mutex::new(None),
            swept: AtomicBool::new(false),
        })
    }

    pub(crate) fn place(&self) -> &Place {
        &self.resource.place
    }

    /// Where is recorded what happens to it; `None`: nowhere.
    pub(crate) fn trail(&self) -> Option<&Trail> {
        self.resource.trail()
    }

    /// Records an error, if it is one of those that are.
    pub(crate) fn refused(&self, error: &Error) {
        if let Some(trail) = self.trail() {
            trail.refused(error);
            trail.flush();
        }
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.resource.parts
    }

    /// Where its versions are kept; `None`: nowhere.
    pub(crate) fn history(&self) -> Option<&History> {
        self.history.as_ref().filter(|_| !self.privacy.is_on())
    }

    /// From now on nothing of it is kept, and nothing is known of it any more.
    pub(crate) fn make_private(&self) {
        if !self.privacy.is_on() {
            self.privacy.switch_on();
            self.forget();
        }
    }

    /// Lets go of what is known of its content.
    pub(crate) fn forget(&self) {
        self.cache.forget();
        locked(&self.kept).take();
    }

    /// Opens the file, if it is one that may be used.
    pub(crate) fn current(&self) -> Result<Option<Current>> {
        let current = current::open(self.place())?;
        if let Some(current) = &current {
            self.privacy.admits(self.parts(), self.place(), &current.stat)?;
        }
        Ok(current)
    }

    /// Who may open a new version while it is made.
    pub(crate) fn readers(&self, replaces: bool) -> Readers {
        match (self.privacy.is_on(), replaces) {
            (true, _) => Readers::Owner,
            (false, true) => Readers::OwnerAtFirst,
            (false, false) => Readers::Usual,
        }
    }

    /// The lock of a record, where nothing has to be asked for.
    pub(crate) fn without_waiting(self: &Arc<Self>, record: &Arc<str>, owner: Owner) -> Result<Option<RecordTenure>> {
        if self.policy.locks {
            return self.records.with_whole(record, owner);
        }
        let held = Arc::new(Held::off(Arc::clone(self)));
        Ok(Some(self.records.add_whole(record, owner, held)))
    }

    fn how(&self, durability: Durability) -> How {
        How { durability, hard_links: self.policy.hard_links }
    }

    /// What is on disk, read for a change. Only under the lock.
    pub(crate) fn read_head(&self) -> Result<Head> {
        let Some(current) = self.current()? else { return Ok(Head::new(None)) };
        let fail = |e| Error::io("read", &self.place().spelled, e);
        // Usually nobody else has written since: comparing with what is in memory is cheaper than reading it once more, and
        // its parsed form is still good.
        if let Some(kept) = locked(&self.kept).take()
            && has_bytes(&*current.file, &kept.content.bytes).map_err(fail)?
        {
            let mut head = Head::new(Some(Disk::known(current, kept.content)));
            if let Some(document) = kept.document {
                head.adopt(document);
            }
            return Ok(head);
        }
        Ok(Head::new(Some(Disk::new(current, self.read_limit))))
    }

    /// Publishes a head.
    pub(crate) fn publish_head(
        &self,
        tenure: Option<&Tenure>,
        mut head: Head,
        durability: Durability,
        report_displaced: bool,
        passed: &[Arc<Content>],
    ) -> Result<Ended> {
        let place = self.place();
        let Some(new) = head.content(place)? else {
            return Ok(Ended::unchanged(None));
        };
        if let Some(disk) = &head.disk
            && disk.is(place, &new.bytes)?
        {
            make_durable(place, &disk.current, durability)?;
            let ended = Ended::unchanged(Some(new.version()));
            self.keep(new, head);
            return Ok(ended);
        }
        let like = head.like.take();
        let mut temp = self.prepare(&new, head.disk.is_some() || like.is_some())?;
        let by = head.author.take();
        if let Some(by) = &by {
            temp.written_by(by);
        }
        self.register(by.as_deref());
        let base = match (&head.disk, head.depends_on_disk) {
            (None, _) => Base::Absent,
            (Some(disk), false) => Base::Unchecked(Some(&disk.current)),
            (Some(disk), true) => Base::Bytes(&disk.current, disk.content(place)?),
        };
        // The last is the new version itself, and changes that left all as it was are no versions.
        let mut passed: Vec<_> = passed.iter().filter(|content| content.bytes[..] != new.bytes[..]).cloned().collect();
        passed.dedup_by(|a, b| a.bytes[..] == b.bytes[..]);
        let passage = Passage { by, ..std::mem::take(&mut head.passage) };
        let created = head.disk.is_none();
        let extra =
            Extra { report_displaced, passed: &passed, like: like.as_deref(), passage: Some(&passage), several: None };
        let published = self.publish(tenure, temp, &base, durability, &extra)?;
        self.keep(new, head);
        Ok(Ended {
            version: Some(published.version),
            unchanged: false,
            created,
            last: true,
            superseded: false,
            notices: published.notices,
            displaced: published.displaced,
        })
    }

    /// Notes the full name of a session that is not the engine's own.
    pub(crate) fn register(&self, session: Option<&str>) {
        if let Some((workspace, session)) = self.workspace.as_ref().zip(session) {
            // A name that can't be noted is shown as its id.
            workspace.register_session(self.parts(), session).ok();
        }
    }

    pub(crate) fn prepare(&self, content: &Content, replaces: bool) -> Result<Temp> {
        let fail = |e| Error::io("write a new version of", &self.place().spelled, e);
        let mut temp = Temp::create(self.parts(), self.place(), self.readers(replaces)).map_err(fail)?;
        temp.fill(content).map_err(fail)?;
        Ok(temp)
    }

    fn publisher<'a>(&'a self, tenure: Option<&'a Tenure>, durability: Durability, extra: &Extra<'a>) -> Publisher<'a> {
        let Extra { report_displaced, passed, like, several, .. } = *extra;
        self.cache.forget();
        if let Some(workspace) = &self.workspace {
            // A name that can't be noted is shown as its id.
            workspace.register_session(self.parts(), &self.parts().session).ok();
        }
        let history = self.history().filter(|history| history.keep != Keep::None);
        Publisher {
            parts: self.parts(),
            place: self.place(),
            resource: tenure.map(|tenure| &*tenure.resource),
            how: self.how(durability),
            report_displaced,
            like,
            keeping: history.map(|history| Keeping {
                history,
                parts: self.parts(),
                durability,
                passed,
                trail: self.trail(),
            }),
            fence: tenure.and_then(|tenure| tenure.fence).map(|token| (&self.leases, token)),
            several,
        }
    }

    /// Removes the file, if it is still this version. What was there is kept as any replaced version.
    pub(crate) fn remove(
        &self,
        tenure: Option<&Tenure>,
        old: &Current,
        content: &Content,
        durability: Durability,
        several: Option<&Several<'_>>,
        by: Option<&str>,
    ) -> Result<Vec<Notice>> {
        let extra = Extra { several, ..Extra::default() };
        let removed = self.publisher(tenure, durability, &extra).remove(old, content);
        match removed {
            Ok(mut notices) => {
                if let Some(trail) = self.trail() {
                    trail.removed(&content.version(), several.map(|several| several.id), by);
                }
                self.rescue_noticed(&mut notices);
                Ok(notices)
            }
            Err(Error::Conflict(mut conflict)) => {
                if let Some(kept) = &mut conflict.kept {
                    self.rescue_to(kept);
                }
                if let Some(trail) = self.trail() {
                    trail.foreign(conflict.kept.as_deref(), "at-publish");
                }
                Err(Error::Conflict(conflict))
            }
            Err(e) => Err(e),
        }
    }

    pub(crate) fn publish(
        &self,
        tenure: Option<&Tenure>,
        temp: Temp,
        base: &Base<'_>,
        durability: Durability,
        extra: &Extra<'_>,
    ) -> Result<Published> {
        let Extra { passage, several, .. } = *extra;
        let publisher = self.publisher(tenure, durability, extra);
        // What completes it syncs the directories before it answers.
        let durability = several.map_or(durability, |_| Durability::Full);
        let sweeper = tenure.filter(|_| !self.swept.swap(true, Ordering::Relaxed));
        let ours = sweeper.and_then(|_| temp.file().and_then(FsFile::stat).ok()).map(|stat| stat.id);
        let (generation, version) = (publisher.generation_on(base), temp.version());
        let published = publisher.publish(temp, base);
        if let Some(trail) = self.trail() {
            let nothing = Passage::default();
            let publish = |displaced, in_place, not_durable| Publish {
                version,
                generation,
                base,
                displaced,
                durability,
                in_place,
                not_durable,
                token: tenure.and_then(|tenure| tenure.fence),
                waited: tenure.filter(|tenure| tenure.kept.is_none()).and_then(|tenure| tenure.waited),
                passage: passage.unwrap_or(&nothing),
                intent: several.map(|several| several.id),
            };
            match &published {
                Ok(done) => trail.published(&publish(done.displaced, done.notices.contains(&Notice::InPlace), false)),
                Err(Error::PublishedNotDurable { .. }) => trail.published(&publish(None, false, true)),
                Err(e) => trail.refused(e),
            }
            // Without a lock there is no release that would do it.
            if tenure.is_none() {
                trail.flush();
            }
        }
        let mut published = match published {
            Ok(published) => published,
            Err(Error::Conflict(mut conflict)) => {
                if let Some(kept) = &mut conflict.kept {
                    self.rescue_to(kept);
                }
                if let Some(trail) = self.trail() {
                    trail.foreign(conflict.kept.as_deref(), "at-publish");
                }
                return Err(Error::Conflict(conflict));
            }
            Err(e) => return Err(e),
        };
        self.rescue_noticed(&mut published.notices);
        if let Some(tenure) = sweeper {
            let place = self.place();
            let in_place = published.notices.contains(&Notice::InPlace);
            let shown = || place.dir.stat(&place.name).ok().map(|stat| stat.id);
            let is_alone = || tenure.resource.stands() && (in_place || shown() == ours);
            // Tidying up after the dead must not make a write of the living fail.
            let rescue = |name: &OsStr| self.rescue(name).is_some();
            let put_away = |name: &OsStr| self.put_away(name);
            sweep::sweep(place, &self.resource.lock, SWEEP_LIMIT, &is_alone, &put_away, &rescue).ok();
        }
        Ok(published)
    }

    /// Foreign versions that a publish left beside the file are stored as conflicts where that is possible.
    fn rescue_noticed(&self, notices: &mut [Notice]) {
        for notice in notices {
            match notice {
                Notice::ForeignKept { kept } => {
                    self.rescue_to(kept);
                    self.resource.trail().inspect(|trail| trail.foreign(Some(kept), "at-publish"));
                }
                // Its program is not done with it: a later sweep looks again.
                Notice::LateWriter { kept } => {
                    self.swept.store(false, Ordering::Relaxed);
                    self.resource.trail().inspect(|trail| trail.foreign(Some(kept), "late-writer"));
                }
                _ => {}
            }
        }
    }

    /// A dead writer's file that nobody needs: the version that it had replaced and did not come to keep is kept, anything else is removed.
    pub(crate) fn put_away(&self, name: &OsStr) -> std::io::Result<()> {
        let place = self.place();
        let history = self.history().filter(|history| history.keep != Keep::None);
        if let Some(history) = history
            && history.inherit(self.parts(), place, name)?
        {
            return Ok(());
        }
        place.dir.remove(name)
    }

    /// Does anybody want to know what a document was between two changes of one publish?
    pub(crate) fn keeps_every(&self) -> bool {
        self.history().is_some_and(|history| history.keep == Keep::Every)
    }

    /// A foreign program's version that was left beside the file becomes a stored conflict, where there is a place for those. Then the
    /// path is that of the stored content.
    fn rescue_to(&self, kept: &mut PathBuf) {
        let place = self.place();
        let Some(name) = kept.file_name().map(OsStr::to_owned) else { return };
        if let Some(stored) = self.rescue(&name)
            && place.dir.remove(&name).is_ok()
        {
            *kept = stored;
        }
    }

    /// Stores a foreign version that lies beside the file under a temporary name; where its bytes are then. `None`: it could not be
    /// done, or its program still has it open for writing, and it stays where it is.
    pub(crate) fn rescue(&self, name: &OsStr) -> Option<PathBuf> {
        let (place, host) = (self.place(), &self.parts().host);
        let file = place.dir.open(name, Access::Read).ok()?;
        let stat = file.stat().ok().filter(Stat::is_file)?;
        if !matches!(file.probe_writers(), Ok(WriterProbe::None | WriterProbe::Unknown)) {
            return None;
        }
        let theirs = read_to_end(&*file, self.read_limit).ok()?;
        let shown = current::open(place).ok()?;
        let ours = shown.as_ref().map(|shown| shown.read(place, self.read_limit)).transpose().ok()?;
        if ours.as_ref() == Some(&theirs) {
            // The same bytes are in place: nobody could miss these.
            return Some(place.path.clone());
        }
        let ours = ours.zip(shown).map(|(bytes, shown)| (Version::of(&bytes), bytes, shown));
        let merged = ours.as_ref().map(|(_, bytes, _)| apart(bytes, &theirs));
        let stored = self.store_conflict(&NewConflict {
            path: &place.path,
            cause: Cause::Foreign,
            base: None,
            ours: ours.as_ref().map(|(version, bytes, shown)| NewSide {
                bytes,
                version: *version,
                author: self.resolve(shown.author(version)),
                at: Some(shown.written_at(version)),
            }),
            theirs: Some(NewSide {
                bytes: &theirs,
                version: Version::of(&theirs),
                author: Author::External,
                at: Some(stat.mtime.to_system_time()).filter(|at| *at <= host.now()),
            }),
            on_disk: Sides::Ours,
            merged: merged.as_ref(),
            style: self.merge.style,
        });
        stored.ok().map(|stored| stored.side_path("theirs"))
    }

    /// Keeps the newest content for the next change, and lets go of the replaced file.
    fn keep(&self, content: Arc<Content>, head: Head) {
        let (disk, document) = head.into_parts();
        if let Some(disk) = disk {
            self.resource.retire(disk.current.file);
        }
        if content.bytes.len() <= KEEP && !self.privacy.is_on() {
            *locked(&self.kept) = Some(Kept { content, document });
        }
    }

    /// The conflict of a change that may not be applied again.
    pub(crate) fn foreign_change(&self, head: &mut Head) -> Error {
        match head.version(self.place()) {
            Ok(current) => self.head_conflict(&Expect::Any, current, head),
            Err(e) => e,
        }
    }

    /// Is the head what a change expects?
    pub(crate) fn expected(&self, head: &mut Head, expect: &Expect) -> Result<()> {
        if *expect == Expect::Any {
            return Ok(());
        }
        let current = head.version(self.place())?;
        if expect.admits(current.as_ref()) {
            return Ok(());
        }
        Err(self.head_conflict(expect, current, head))
    }

    /// The head is not what was expected.
    pub(crate) fn head_conflict(&self, expected: &Expect, current: Option<Version>, head: &Head) -> Error {
        let mut error = self.conflict(expected, current, head.disk.as_ref().map(|disk| &disk.current));
        if let Error::Conflict(conflict) = &mut error {
            conflict.kept.clone_from(&head.kept);
        }
        error
    }

    /// What was expected is not what is there.
    pub(crate) fn conflict(&self, expected: &Expect, current: Option<Version>, file: Option<&Current>) -> Error {
        let by = current.as_ref().zip(file).map(|(version, file)| file.author(version)).unwrap_or_default();
        let at = current.as_ref().zip(file).map(|(version, file)| file.written_at(version));
        Error::Conflict(Box::new(Conflict {
            path: self.place().spelled.clone(),
            expected: expected.clone(),
            current,
            last_modified_by: self.resolve(by),
            last_modified_at: at,
            kept: None,
            unmerged: None,
        }))
    }

    pub(crate) fn resolve(&self, author: Author) -> Author {
        match &self.workspace {
            Some(workspace) => workspace.resolve(self.parts(), author),
            None => author,
        }
    }

    pub(crate) fn merge_options(&self) -> MergeOptions {
        MergeOptions { rules: self.merge.rules.clone(), ..MergeOptions::for_path(&self.place().path) }
    }

    /// The store of conflicts, or why there is none. What keeps no versions keeps no conflicts: credentials and tokens, and files of
    /// which the policy says so (P16).
    pub(crate) fn conflict_store(&self) -> Result<Store<'_>, String> {
        let Some(workspace) = &self.workspace else {
            return Err("there is no workspace to keep conflicts in; `filelatch init` makes one".to_owned());
        };
        if self.privacy.is_on() {
            return Err("nothing is kept of files with secrets".to_owned());
        }
        match &self.history {
            Some(history) if history.keep != Keep::None => {
                Ok(Store { parts: self.parts(), root: &workspace.root, workspace: Some(workspace) })
            }
            Some(_) => Err("by its policy nothing of this file is kept (`keep = \"none\"`)".to_owned()),
            None if !workspace.is_trusted => Err("the workspace belongs to another user".to_owned()),
            None => Err("nothing is kept of the workspace's own files".to_owned()),
        }
    }

    /// Stores a conflict about this file. An error is the reason, as part of a sentence.
    pub(crate) fn store_conflict(&self, new: &NewConflict<'_>) -> Result<StoredConflict, String> {
        let stored = self.conflict_store()?.put(new).map_err(|e| e.to_string())?;
        if let Some(trail) = self.trail() {
            trail.conflict(&stored);
            trail.flush();
        }
        Ok(stored)
    }

    /// Reads without a lock: a replaced file is whole, old or new.
    /// What was read of the file before, if these are its facts now.
    pub(crate) fn cached(&self, stat: &Stat) -> Option<Snapshot> {
        self.cache.get(stat)
    }

    pub(crate) fn read(&self) -> Result<Option<Snapshot>> {
        let (parts, place) = (self.parts(), self.place());
        // What the system says of a file that other machines change may be old.
        let caches = place.dir.caps().kind == FsKind::Local;
        if caches {
            // By the open directory, not by path: it may have been renamed since.
            match place.dir.stat(&place.name) {
                Ok(stat) => {
                    if let Some(snapshot) = self.cache.get(&stat) {
                        return Ok(Some(snapshot));
                    }
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
                Err(e) => return Err(Error::io("read", &place.spelled, e)),
            }
        }
        let fail = |e| Error::io("read", &place.spelled, e);
        // A program that writes in place may be at work: a file that changes while it is read is read again, a few times.
        for attempt in 0.. {
            let read_at = parts.host.now();
            let Some(current) = self.current()? else { return Ok(None) };
            let bytes = current.read(place, self.read_limit)?;
            let after = current.file.stat().map_err(fail)?;
            let quiet =
                (after.size, after.mtime, after.ctime) == (current.stat.size, current.stat.mtime, current.stat.ctime);
            if !quiet && attempt < 3 {
                continue;
            }
            let content = Content::new(bytes);
            let version = content.version();
            let author = self.resolve(current.author(&version));
            let snapshot = Snapshot::new(place.spelled.clone(), content, author, current.written_at(&version));
            if quiet && caches {
                self.cache.put(&after, &snapshot, read_at, place.dir.caps().timestamp_granule);
            }
            return Ok(Some(snapshot));
        }
        Ok(None)
    }
}

/// Unchanged bytes may still be in nobody's memory but the machine's: the caller was promised more.
pub(crate) fn make_durable(place: &Place, current: &Current, durability: Durability) -> Result<()> {
    let fail = |e| Error::io("make durable", &place.spelled, e);
    if durability >= Durability::File {
        current.file.sync().map_err(fail)?;
    }
    if durability == Durability::Full {
        place.dir.sync().map_err(fail)?;
    }
    Ok(())
}

impl Ended {
    fn unchanged(version: Option<Version>) -> Ended {
        let notices = Vec::new();
        Ended { version, unchanged: true, created: false, last: true, superseded: false, notices, displaced: None }
    }
}
