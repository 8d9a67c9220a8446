//! The engine: one value, built from its parts, that every face of filelatch uses.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, Weak};

use filelatch_fs::{FileId, Fs, FsKind, Host, RealFs, RealHost};

use crate::audit::AuditPolicy;
use crate::audit::log::Log;
use crate::audit::trail::Trail;
use crate::conflict::BaseSource;
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::file::LatchFile;
use crate::guard::{Guard, SharedGuard};
use crate::lease::InheritedLease;
use crate::lease::keeper::Keeper;
use crate::lock::helpers::Helpers;
use crate::lock::owner::Owner;
use crate::lock::resource::{Resource, locked};
use crate::lock::sidecar::LockPath;
use crate::lock::waits::Waits;
use crate::lock::{LockOptions, Wait};
use crate::merge::{MergeOptions, Rules};
use crate::parts::Parts;
use crate::path::{Dirs, Place, ResourceId};
use crate::policy::{MergePolicy, Policy};
use crate::privacy::Privacy;
use crate::record_guard::RecordGuard;
use crate::workspace::{self, Initialized, Trusted, Workspace};
use crate::write::{Leftover, sweep};

/// Files whose lock file stays open although no handle refers to them.
const RECENT: usize = 32;
/// By what the default time of waits is multiplied on network file systems.
const NETWORK_PATIENCE: u32 = 4;
/// Largest file that is read into memory, unless the builder says otherwise.
const READ_LIMIT: u64 = 1 << 30;

/// Locks, versions and atomic writes for files that several programs change.
///
/// Cheap to clone; clones share locks, queues and caches. Two engines in one process exclude each other like two processes, but
/// do not share a queue: use one. After a fork the child's first call starts afresh with nothing held (L21).
///
/// ```
/// # fn main() -> Result<(), filelatch::Error> {
/// # let dir = tempfile::tempdir().unwrap();
/// # let path = dir.path().join("state.json");
/// let latch = filelatch::Filelatch::new();
/// let state = latch.file(&path)?;
/// state.write(b"{\"count\": 0}\n", &Default::default())?;
/// state.update_value(&Default::default(), |value| {
///     value["count"] = 1.into();
///     Ok::<_, filelatch::Error>(())
/// })?;
/// assert_eq!(state.read()?.bytes(), b"{\"count\": 1}\n");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Filelatch {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    parts: Arc<Parts>,
    trusted: Trusted,
    defaults: Policy,
    default_merge: Arc<MergePolicy>,
    use_workspaces: bool,
    runtime_dir: Option<PathBuf>,
    read_limit: u64,
    audit_key: Option<PathBuf>,
    life: Life,
}

/// What one process has of an engine. A forked child begins another.
#[derive(Debug)]
struct Life {
    pid: u32,
    helpers: Arc<Helpers>,
    waits: Waits,
    keeper: Arc<Keeper>,
    files: Mutex<Files>,
    dirs: Dirs,
    /// The logs of workspaces in use, by their folders.
    audits: Mutex<BTreeMap<PathBuf, Arc<Log>>>,
    child: OnceLock<Box<Life>>,
}

#[derive(Debug, Default)]
struct Files {
    entries: HashMap<ResourceId, Weak<Entry>>,
    recent: VecDeque<Arc<Entry>>,
    /// By the directory of a root, and what was asked for below it.
    glanced: HashMap<(FileId, OsString), Weak<Entry>>,
    /// Length of `entries` at which dead ones are cleared out.
    clear_at: usize,
    /// Files that were private once are so again.
    private: HashSet<ResourceId>,
    inherited: Vec<Inherited>,
    inherited_leases: Vec<InheritedLease>,
}

/// A lock that the process which started this one holds and has handed on (P12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inherited {
    /// The resource's name ([`Guard::resource_name`], [`RecordGuard::resource_name`](crate::RecordGuard::resource_name)).
    pub resource: String,
    /// The descriptor ([`Guard::make_inheritable`], [`RecordGuard::make_inheritable`](crate::RecordGuard::make_inheritable)).
    pub descriptor: u64,
}

/// Builds a [`Filelatch`] from parts.
#[derive(Debug)]
pub struct Builder {
    fs: Arc<dyn Fs>,
    host: Arc<dyn Host>,
    session: Option<String>,
    purpose: String,
    trusted: Trusted,
    defaults: Policy,
    merge_rules: Rules,
    base_sources: Vec<Arc<dyn BaseSource>>,
    use_workspaces: bool,
    runtime_dir: Option<PathBuf>,
    read_limit: u64,
    audit_key: Option<PathBuf>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            fs: Arc::new(RealFs),
            host: Arc::new(RealHost),
            session: None,
            purpose: String::new(),
            trusted: Vec::new(),
            defaults: Policy::default(),
            merge_rules: Rules::default(),
            base_sources: Vec::new(),
            use_workspaces: true,
            runtime_dir: None,
            read_limit: READ_LIMIT,
            audit_key: None,
        }
    }
}

impl Builder {
    /// The file system; the real one by default.
    #[must_use]
    pub fn fs(mut self, fs: Arc<dyn Fs>) -> Self {
        self.fs = fs;
        self
    }

    /// Clock and process facts; the real machine's by default.
    #[must_use]
    pub fn host(mut self, host: Arc<dyn Host>) -> Self {
        self.host = host;
        self
    }

    /// Who writes: shown to others as the author. `user@host#random` by default. Names of up to 12 bytes travel with the files;
    /// longer ones are resolved through the workspace.
    #[must_use]
    pub fn session(mut self, name: impl Into<String>) -> Self {
        self.session = Some(name.into());
        self
    }

    /// What this program is doing, for those who wait for its locks: `deploy.py`.
    #[must_use]
    pub fn purpose(mut self, purpose: impl Into<String>) -> Self {
        self.purpose = purpose.into();
        self
    }

    /// Workspaces that are obeyed whoever owns them (P16), by the folder that holds `.filelatch`.
    #[must_use]
    pub fn trusted(mut self, roots: impl IntoIterator<Item = PathBuf>) -> Self {
        self.trusted.extend(roots);
        self
    }

    /// How files are treated that no workspace says anything about. On network file systems its wait is four times as long.
    #[must_use]
    pub fn defaults(mut self, policy: Policy) -> Self {
        self.defaults = policy;
        self
    }

    /// How documents are merged that no policy says anything about.
    #[must_use]
    pub fn merge_rules(mut self, rules: Rules) -> Self {
        self.merge_rules = rules;
        self
    }

    /// Somebody who may know former versions of files: asked, in the order they were given, for what a writer's content was made from
    /// when [`Strategy::Merge`](crate::Strategy::Merge) needs it and the caller did not give it.
    #[must_use]
    pub fn base_source(mut self, source: Arc<dyn BaseSource>) -> Self {
        self.base_sources.push(source);
        self
    }

    /// Look for no workspaces: the defaults are for all files.
    #[must_use]
    pub fn without_workspaces(mut self) -> Self {
        self.use_workspaces = false;
        self
    }

    /// A directory of the user's own (`$XDG_RUNTIME_DIR/filelatch`, mode 0700) through which processes find deadlocks among each
    /// other. Without one only those inside this process are found; the others end by timeout.
    #[must_use]
    pub fn runtime_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.runtime_dir = Some(dir.into());
        self
    }

    /// Largest file that is read into memory, in bytes; 1 GiB by default. The streaming writer has no limit.
    #[must_use]
    pub fn read_limit(mut self, bytes: u64) -> Self {
        self.read_limit = bytes.min(u64::MAX - 1);
        self
    }

    /// A file with a secret that audit logs are chained with (see [`audit`](crate::audit)); else as their workspaces say. It must not lie in
    /// the workspace.
    #[must_use]
    pub fn audit_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.audit_key = Some(path.into());
        self
    }

    /// The engine.
    pub fn build(self) -> Filelatch {
        let mut parts = Parts::new(self.fs, self.host, self.session, self.purpose);
        parts.base_sources = self.base_sources;
        let parts = Arc::new(parts);
        let life = Life::new(&parts, self.runtime_dir.clone());
        let inner = Inner {
            parts,
            trusted: self.trusted,
            defaults: self.defaults,
            default_merge: Arc::new(MergePolicy { rules: self.merge_rules, ..MergePolicy::default() }),
            use_workspaces: self.use_workspaces,
            runtime_dir: self.runtime_dir,
            read_limit: self.read_limit,
            audit_key: self.audit_key,
            life,
        };
        Filelatch { inner: Arc::new(inner) }
    }
}

impl Life {
    fn new(parts: &Arc<Parts>, runtime_dir: Option<PathBuf>) -> Life {
        Life {
            pid: parts.host.pid(),
            helpers: Helpers::new(Arc::clone(&parts.host)),
            waits: Waits::new(Arc::clone(parts), runtime_dir),
            keeper: Arc::default(),
            files: Mutex::default(),
            dirs: Dirs::default(),
            audits: Mutex::default(),
            child: OnceLock::new(),
        }
    }

    /// In a forked child: closes what was inherited. A mutex that another thread of the parent held at the fork stays locked
    /// for ever here, so nothing is waited for.
    fn close_after_fork(&self) {
        let Ok(files) = self.files.try_lock() else { return };
        for entry in files.entries.values().filter_map(Weak::upgrade) {
            entry.resource.close_after_fork();
            entry.records.close_after_fork();
        }
        drop(files);
        if let Ok(audits) = self.audits.try_lock() {
            audits.values().for_each(|log| log.close_after_fork());
        }
    }
}

impl Default for Filelatch {
    fn default() -> Self {
        Filelatch::new()
    }
}

impl Filelatch {
    /// An engine on the real file system with the defaults.
    pub fn new() -> Filelatch {
        Builder::default().build()
    }

    /// An engine of other parts.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Who this engine writes as.
    pub fn session(&self) -> &str {
        &self.inner.parts.session
    }

    pub(crate) fn parts(&self) -> &Arc<Parts> {
        &self.inner.parts
    }

    fn life(&self) -> &Life {
        let pid = self.inner.parts.host.pid();
        let mut life = &self.inner.life;
        while life.pid != pid {
            life = life.child.get_or_init(|| {
                life.close_after_fork();
                Box::new(Life::new(&self.inner.parts, self.inner.runtime_dir.clone()))
            });
        }
        life
    }

    /// A handle on a file. The path is resolved now: symbolic links are followed, and the directory must exist; the file need
    /// not. The workspace's policy for it is read now, too.
    pub fn file(&self, path: impl AsRef<Path>) -> Result<LatchFile> {
        let place = Place::resolve(&*self.inner.parts.fs, &self.life().dirs, path.as_ref())?;
        let entry = self.entry(place.clone())?;
        Ok(LatchFile::new(self.clone(), place, entry))
    }

    /// A handle on a file with secrets: see [`privacy`](crate::privacy). Symbolic links are refused.
    #[cfg(feature = "store")]
    pub(crate) fn private_file(&self, path: &Path) -> Result<LatchFile> {
        let place = Place::resolve_itself(&*self.inner.parts.fs, &self.life().dirs, path)?;
        let entry = self.private_entry(place.clone())?;
        Ok(LatchFile::new(self.clone(), place, entry))
    }

    pub(crate) fn private_entry(&self, place: Place) -> Result<Arc<Entry>> {
        let entry = self.entry(place)?;
        entry.make_private();
        locked(&self.life().files).private.insert(entry.place().id.clone());
        Ok(entry)
    }

    /// A handle as from [`Filelatch::file`], for a file whose directories may have to be made first. Each new directory is made
    /// durable, with its parent.
    pub fn file_with_dirs(&self, path: impl AsRef<Path>) -> Result<LatchFile> {
        let path = path.as_ref();
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            self.make_dirs(parent)?;
        }
        self.file(path)
    }

    fn make_dirs(&self, dir: &Path) -> Result<()> {
        let fs = &self.inner.parts.fs;
        let fail = |e| Error::io("create the directory", dir, e);
        match fs.canonicalize(dir) {
            Ok(_) => return Ok(()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(fail(e)),
        }
        let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        self.make_dirs(parent)?;
        match fs.create_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(e) => Err(fail(e)),
            Ok(()) => (|| fs.open_dir(dir)?.sync())().and_then(|()| fs.open_dir(parent)?.sync()).map_err(fail),
        }
    }

    pub(crate) fn entry(&self, place: Place) -> Result<Arc<Entry>> {
        let inner = &*self.inner;
        let workspace = match &place.root {
            _ if !inner.use_workspaces => None,
            Some(root) => Workspace::find_beneath(&inner.parts, root, &place.dir, &inner.trusted)?,
            None => Workspace::find(&inner.parts, place.dir.path(), &inner.trusted)?,
        };
        let mut defaults = inner.defaults;
        // What nobody has chosen for this file is meant for disks. A file server takes longer (LOCK-20).
        if place.dir.caps().kind == FsKind::Network
            && let Wait::For(time) = defaults.wait
        {
            defaults.wait = Wait::For(time.saturating_mul(NETWORK_PATIENCE));
        }
        let (policy, merge) = match &workspace {
            Some(workspace) => {
                let relative = place.path.strip_prefix(&workspace.root).unwrap_or(&place.path);
                (workspace.policies.of(relative, defaults), workspace.policies.merge_of(relative))
            }
            None => (defaults, None),
        };
        let merge = Arc::clone(merge.unwrap_or(&inner.default_merge));
        let life = self.life();
        let mut files = locked(&life.files);
        if let Some(entry) = files.entries.get(&place.id).and_then(Weak::upgrade)
            && (entry.policy == policy && entry.merge == merge)
            && match (&entry.workspace, &workspace) {
                (Some(known), Some(found)) => known.is(found),
                (known, found) => known.is_none() && found.is_none(),
            }
        {
            files.touch(&entry);
            return Ok(entry);
        }
        let id = place.id.clone();
        let lock = LockPath::of(&place, policy.lock_file);
        let path = place.path.clone();
        let resource = Resource::new(Arc::clone(&inner.parts), Arc::clone(&life.helpers), place, lock, policy.lock);
        let workspace = workspace.map(Arc::new);
        let trail = workspace.as_ref().and_then(|workspace| {
            let relative = path.strip_prefix(&workspace.root).ok()?;
            let own = relative.starts_with(crate::audit::own_folder());
            let log = (!own).then(|| self.audit_log(workspace, false)).flatten()?;
            Some(Trail::new(log, relative.to_owned()))
        });
        let privacy = match files.entries.get(&id).and_then(Weak::upgrade) {
            Some(other) => other.privacy.clone(),
            None => Privacy::new(files.private.contains(&id)),
        };
        let entry = Entry::new(resource, policy, merge, workspace, inner.read_limit, trail, privacy);
        if !files.inherited.is_empty() {
            let name = id.to_string();
            let mut handed_on = files.inherited.iter().filter(|held| held.resource == name);
            handed_on.any(|held| entry.resource.adopt(held.descriptor));
            for held in &files.inherited {
                let record = held.resource.strip_prefix(&name).and_then(|rest| rest.strip_prefix(':'));
                if let Some(byte) = record.and_then(|byte| u64::from_str_radix(byte, 16).ok()) {
                    entry.records.adopt(byte, held.descriptor);
                }
            }
        }
        if !files.inherited_leases.is_empty() {
            let name = id.to_string();
            let leases = files.inherited_leases.iter().filter(|lease| lease.resource == name);
            leases.for_each(|lease| entry.leases.inherit(lease.token));
        }
        files.insert(id, &entry);
        Ok(entry)
    }

    /// What a path below a root's directory stood for when it was asked for last.
    pub(crate) fn glanced(&self, root: FileId, relative: &Path) -> Option<Arc<Entry>> {
        let asked = (root, relative.as_os_str().to_owned());
        locked(&self.life().files).glanced.get(&asked)?.upgrade()
    }

    pub(crate) fn remember_glanced(&self, root: FileId, relative: &Path, entry: &Arc<Entry>) {
        let glanced = &mut locked(&self.life().files).glanced;
        if glanced.len() >= 4 * RECENT {
            glanced.retain(|_, entry| entry.strong_count() > 0);
        }
        // Whoever holds many files open has them all living.
        if glanced.len() < 16 * RECENT {
            glanced.insert((root, relative.as_os_str().to_owned()), Arc::downgrade(entry));
        }
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.life().keeper
    }

    pub(crate) fn waits(&self) -> &Waits {
        &self.life().waits
    }

    /// What an owner holds, by name; only asked by an owner that has to wait.
    pub(crate) fn holdings(&self, owner: Owner) -> Vec<String> {
        let files = locked(&self.life().files);
        let mut held: Vec<_> = files.inherited.iter().map(|held| held.resource.clone()).collect();
        for entry in files.entries.values().filter_map(Weak::upgrade) {
            held.extend(entry.resource.is_held_by(owner).then(|| entry.place().id.to_string()));
            held.extend(entry.records.holdings(owner));
        }
        held
    }

    /// Says that this process was started by the holder of these locks: they are used as they are held, instead of waited for,
    /// and a circle through them is found (P3, P12). What a file does with its descriptor is checked at its first use; those
    /// that are not open or hold no lock at all are left out and handed back.
    ///
    /// To be called before the first file is opened.
    pub fn inherit(&self, held: impl IntoIterator<Item = Inherited>) -> Vec<Inherited> {
        let fs = &self.inner.parts.fs;
        let holds = |held: &Inherited| match fs.inherited(held.descriptor).and_then(|file| file.held_lock()) {
            Ok(kind) => kind.is_some(),
            Err(e) => e.kind() == io::ErrorKind::Unsupported,
        };
        let (good, bad): (Vec<_>, Vec<_>) = held.into_iter().partition(holds);
        locked(&self.life().files).inherited.extend(good);
        bad
    }

    /// Says that this process was started by the holder of these leases, and writes under them: every write of these files is compared
    /// with the number, and refused with [`Error::LeaseLost`] once it is not the current one any more.
    ///
    /// To be called before the first file is opened.
    pub fn inherit_leases(&self, leases: impl IntoIterator<Item = InheritedLease>) {
        locked(&self.life().files).inherited_leases.extend(leases);
    }

    /// Takes the exclusive locks of several files in one global order, so that such calls can't deadlock with each other. Two
    /// spellings of one file are one lock. If one can't be had, none is held afterwards.
    pub fn lock_all<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
        options: &LockOptions<'_>,
    ) -> Result<Vec<Guard>> {
        self.in_order(paths, options, LatchFile::lock)
    }

    /// As [`Filelatch::lock_all`], shared.
    pub fn lock_all_shared<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
        options: &LockOptions<'_>,
    ) -> Result<Vec<SharedGuard>> {
        self.in_order(paths, options, LatchFile::lock_shared)
    }

    /// Locks records of several files, in one order for all callers: files as in [`Filelatch::lock_all`], records as in
    /// [`LatchFile::lock_records`]. If one can't be had, none is held afterwards.
    pub fn lock_all_records<'a>(
        &self,
        records: impl IntoIterator<Item = (&'a Path, &'a str)>,
        options: &LockOptions<'_>,
    ) -> Result<Vec<RecordGuard>> {
        let mut files: BTreeMap<ResourceId, (LatchFile, Vec<&str>)> = BTreeMap::new();
        for (path, record) in records {
            let file = self.file(path)?;
            let id = file.id().clone();
            files.entry(id).or_insert_with(|| (file, Vec::new())).1.push(record);
        }
        let host = &self.inner.parts.host;
        let began = host.monotonic();
        let mut guards = Vec::new();
        for (file, records) in files.into_values() {
            let wait = options.wait.unwrap_or(file.policy().wait);
            let left = wait.after(host.monotonic().saturating_sub(began));
            guards.extend(file.lock_records(records, &options.clone().wait(left))?);
        }
        Ok(guards)
    }

    fn in_order<'a, G>(
        &self,
        paths: impl IntoIterator<Item = &'a Path>,
        options: &LockOptions<'_>,
        lock: fn(&LatchFile, &LockOptions<'_>) -> Result<G>,
    ) -> Result<Vec<G>> {
        let mut files = paths.into_iter().map(|path| self.file(path)).collect::<Result<Vec<_>>>()?;
        files.sort_by(|a, b| a.id().cmp(b.id()));
        files.dedup_by(|a, b| a.id() == b.id());
        let host = &self.inner.parts.host;
        let began = host.monotonic();
        let mut guards = Vec::with_capacity(files.len());
        for file in &files {
            let wait = options.wait.unwrap_or(file.policy().wait);
            let left = wait.after(host.monotonic().saturating_sub(began));
            guards.push(lock(file, &options.clone().wait(left))?);
        }
        Ok(guards)
    }

    /// The log of a workspace, as this process writes it; `None`: nothing is recorded. `always`: also where the policy says so.
    pub(crate) fn audit_log(&self, workspace: &Arc<Workspace>, always: bool) -> Option<Arc<Log>> {
        let policy = &workspace.policies.audit;
        if !(workspace.is_trusted && (policy.enabled || always)) {
            return None;
        }
        let mut audits = locked(&self.life().audits);
        if let Some(log) = audits.get(&workspace.root).filter(|log| log.is_by(policy, workspace)) {
            return Some(Arc::clone(log));
        }
        let (parts, key) = (Arc::clone(&self.inner.parts), self.inner.audit_key.clone());
        let log = Arc::new(Log::new(parts, Arc::clone(workspace), AuditPolicy::clone(policy), key));
        audits.insert(workspace.root.clone(), Arc::clone(&log));
        Some(log)
    }

    /// The log of the workspace that a path belongs to, as it is told of it.
    pub(crate) fn trail_of(&self, path: &Path) -> Option<Trail> {
        let (dir, name) = (path.parent()?, path.file_name()?);
        let dir = self.inner.parts.fs.canonicalize(dir).ok()?;
        let workspace = Arc::new(Workspace::find(&self.inner.parts, &dir, &self.inner.trusted).ok()??);
        let relative = dir.strip_prefix(&workspace.root).ok()?.join(name);
        let log = self.audit_log(&workspace, false).filter(|_| self.inner.use_workspaces)?;
        Some(Trail::new(log, relative))
    }

    pub(crate) fn audit_key(&self) -> Option<PathBuf> {
        self.inner.audit_key.clone()
    }

    /// Why records of this engine could not be written to audit logs, if some could not: by the folders of their workspaces. Those that
    /// still wait are tried once more.
    pub fn audit_trouble(&self) -> Vec<(PathBuf, String)> {
        let audits = locked(&self.life().audits).clone();
        let trouble = audits.into_iter().filter_map(|(root, log)| {
            log.flush();
            Some((root, log.trouble()?))
        });
        trouble.collect()
    }

    /// The workspace that a directory belongs to.
    pub(crate) fn find_workspace(&self, dir: &Path) -> Result<Option<Workspace>> {
        let dir = self.inner.parts.fs.canonicalize(dir).map_err(|e| Error::io("find", dir, e))?;
        Workspace::find(&self.inner.parts, &dir, &self.inner.trusted)
    }

    /// Makes a workspace: `.filelatch/` with a commented configuration. What exists is left alone.
    pub fn init(&self, root: impl AsRef<Path>) -> Result<Initialized> {
        workspace::init(&self.inner.parts, root.as_ref())
    }

    /// The workspace that a directory, by its canonical path, belongs to.
    #[cfg(feature = "watch")]
    pub(crate) fn workspace(&self, dir: &Path) -> Result<Option<Workspace>> {
        if !self.inner.use_workspaces {
            return Ok(None);
        }
        Workspace::find(&self.inner.parts, dir, &self.inner.trusted)
    }

    /// The folder of the workspace that a directory belongs to.
    pub fn workspace_of(&self, dir: impl AsRef<Path>) -> Result<Option<PathBuf>> {
        let dir = dir.as_ref();
        let dir = self.inner.parts.fs.canonicalize(dir).map_err(|e| Error::io("find", dir, e))?;
        Ok(Workspace::find(&self.inner.parts, &dir, &self.inner.trusted)?.map(|workspace| workspace.root))
    }

    /// Patterns of the files that each session in a git worktree gets a copy of (`[session] include`), as the workspace of a directory says.
    pub fn session_include(&self, dir: impl AsRef<Path>) -> Result<Vec<String>> {
        let dir = dir.as_ref();
        let dir = self.inner.parts.fs.canonicalize(dir).map_err(|e| Error::io("find", dir, e))?;
        let workspace = Workspace::find(&self.inner.parts, &dir, &self.inner.trusted)?;
        Ok(workspace.map(|workspace| workspace.policies.session.include.clone()).unwrap_or_default())
    }

    /// How a file is merged: its kind, and the rules of its workspace.
    pub fn merge_options(&self, path: impl AsRef<Path>) -> Result<MergeOptions> {
        Ok(self.file(path)?.entry()?.merge_options())
    }

    /// Files in a directory that have a lock file beside them (named the usual way), held or not, sorted. Changes nothing.
    pub fn lock_files(&self, dir: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let dir = dir.as_ref();
        let fail = |e| Error::io("list", dir, e);
        let path = self.inner.parts.fs.canonicalize(dir).map_err(fail)?;
        let mut files = Vec::new();
        let mut each = |name: std::ffi::OsString| {
            files.extend(crate::path::locked_by(&name).map(|name| dir.join(name)));
            true
        };
        self.inner.parts.fs.open_dir(&path).and_then(|open| open.list(&mut each)).map_err(fail)?;
        files.sort();
        Ok(files)
    }

    /// Temporary files that dead writers left in a directory, and those of living ones. Changes nothing.
    pub fn leftovers(&self, dir: impl AsRef<Path>) -> Result<Vec<Leftover>> {
        let dir = dir.as_ref();
        let fail = |e| Error::io("list", dir, e);
        let path = self.inner.parts.fs.canonicalize(dir).map_err(fail)?;
        let open = self.inner.parts.fs.open_dir(&path).map_err(fail)?;
        sweep::list(&*open).map_err(fail)
    }
}

impl Files {
    fn insert(&mut self, id: ResourceId, entry: &Arc<Entry>) {
        self.entries.insert(id, Arc::downgrade(entry));
        self.touch(entry);
        // A million files one after another must not leave a million dead entries.
        if self.entries.len() >= self.clear_at.max(2 * RECENT) {
            self.entries.retain(|_, entry| entry.strong_count() > 0);
            self.clear_at = self.entries.len() * 2;
        }
    }

    fn touch(&mut self, entry: &Arc<Entry>) {
        if self.recent.back().is_some_and(|last| Arc::ptr_eq(last, entry)) {
            return;
        }
        self.recent.retain(|other| !Arc::ptr_eq(other, entry));
        self.recent.push_back(Arc::clone(entry));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
    }
}
