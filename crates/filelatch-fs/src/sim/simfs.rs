//! The handle of a simulated file system: processes, power, faults, hooks, and the verbs of [`Fs`].

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, MutexGuard};
use std::thread::{self, ThreadId};

use crate::events::{Events, Tell};
use crate::fs::{Fs, FsDir};
use crate::types::{FileId, LockTable, Stat};

use super::call::{Call, Verb};
use super::dials::Dials;
use super::dir::SimDir;
use super::disk::Disks;
use super::errors;
use super::faults::{Fault, Verdict};
use super::foreign::Foreign;
use super::host::SimHost;
use super::inode::Node;
use super::state::{FOREIGN, ProcessId, State, World};
use super::store::Store;

/// The pid of the first process.
const FIRST_PID: u32 = 1000;

/// A simulated file system, as one simulated process sees it.
///
/// Clones are the same process; [`SimFs::process`] starts another one on the same files. See the [module](super).
#[derive(Clone)]
pub struct SimFs {
    pub(super) world: Arc<World>,
    pub(super) process: ProcessId,
}

/// A call that has been admitted: it happens under the one mutex.
pub(super) struct Turn<'a> {
    pub(super) state: MutexGuard<'a, State>,
    pub(super) verdict: Verdict,
}

impl Turn<'_> {
    /// Lets the call happen, or not.
    pub(super) fn run<T>(mut self, effect: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        let late = match self.verdict {
            Verdict::Go | Verdict::AtMost(_) => None,
            Verdict::Fail(error) => return Err(error),
            Verdict::GoThenFail(error) => Some(error),
        };
        let done = effect(&mut self.state);
        let hints = self.state.hints();
        // What it answered may be an open file, whose closing takes the mutex again.
        drop(self.state);
        hints.tell();
        match late {
            None => done,
            Some(error) => done.and(Err(error)),
        }
    }
}

/// Marks the calling thread as being inside a hook.
struct Backstage<'a>(&'a World, ThreadId);

impl Drop for Backstage<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        if let Some(at) = state.backstage.iter().position(|id| *id == self.1) {
            state.backstage.swap_remove(at);
        }
    }
}

impl SimFs {
    /// An empty file system with a host of its own; this handle is its first process.
    pub fn new(dials: Dials) -> Self {
        SimFs::with(Store::new(dials), SimHost::new(dials.seed))
    }

    pub(super) fn with(store: Store, host: SimHost) -> Self {
        let mut state = State::new(store, host);
        state.tick();
        let process = state.start_process(FIRST_PID);
        SimFs { world: Arc::new(World::new(state)), process }
    }

    /// As protocols take it.
    pub fn as_fs(&self) -> Arc<dyn Fs> {
        Arc::new(self.clone())
    }

    /// What kind of file system it is.
    pub fn dials(&self) -> Dials {
        self.world.lock().store.dials
    }

    /// How often the machine has been started: 1, and one more after each power cut ([`SimFs::possible_disks`]).
    pub fn boots(&self) -> u32 {
        self.host().boots()
    }

    // --- Processes ---

    /// The host as this process sees it.
    pub fn host(&self) -> SimHost {
        let pid = self.pid();
        self.world.lock().host.as_process(pid)
    }

    /// The pid of this process.
    pub fn pid(&self) -> u32 {
        self.world.lock().processes.get(&self.process).map_or(0, |process| process.pid)
    }

    /// Starts another process.
    #[must_use = "a handle is all there is of a process"]
    pub fn process(&self) -> SimFs {
        let mut state = self.world.lock();
        let pid = state.processes.values().map(|process| process.pid).max().unwrap_or(FIRST_PID) + 1;
        let process = state.start_process(pid);
        SimFs { world: Arc::clone(&self.world), process }
    }

    /// Starts another process with this pid, perhaps that of a dead one.
    #[must_use = "a handle is all there is of a process"]
    pub fn process_with_pid(&self, pid: u32) -> SimFs {
        let process = self.world.lock().start_process(pid);
        SimFs { world: Arc::clone(&self.world), process }
    }

    /// The living process with this pid.
    pub fn find_process(&self, pid: u32) -> Option<SimFs> {
        let state = self.world.lock();
        let mut found = state.processes.iter().filter(|(_, process)| process.alive && process.pid == pid);
        found.next().map(|(id, _)| SimFs { world: Arc::clone(&self.world), process: *id })
    }

    /// Kills this process: its open files are closed, its locks are free, its further calls fail (see
    /// [`is_killed`](super::is_killed)). What it wrote stays in the system's memory, as after a SIGKILL. Others are told of the files that
    /// are closed; calls that they make meanwhile are not counted and not hooked.
    pub fn kill(&self) {
        let mut state = self.world.lock();
        state.kill(self.process);
        let hints = state.hints();
        let thread = thread::current().id();
        state.backstage.push(thread);
        drop(state);
        let _leave = Backstage(&self.world, thread);
        self.world.changed.notify_all();
        hints.tell();
    }

    /// Programs that know nothing of filelatch; their calls are not counted, hooked or made to fail.
    pub fn foreign(&self) -> Foreign {
        Foreign::new(SimFs { world: Arc::clone(&self.world), process: FOREIGN })
    }

    // --- Power ---

    /// Makes everything durable and starts counting calls anew: the state in which a scenario begins.
    pub fn settle(&self) {
        let mut state = self.world.lock();
        state.store.settle();
        state.calls = 0;
        state.trace.clear();
        state.hints.settle();
    }

    /// Cuts the power before the call with this number: it and all later calls of everybody fail (see
    /// [`is_power_cut`](super::is_power_cut)) and change nothing.
    pub fn power_cut_before(&self, number: u64) {
        self.world.lock().cut_before = Some(number);
    }

    /// Cuts the power now.
    pub fn power_cut(&self) {
        self.world.lock().cut = true;
        self.world.changed.notify_all();
    }

    /// Has the power been cut?
    pub fn is_cut(&self) -> bool {
        self.world.lock().cut
    }

    /// Every disk that a power cut now (or the one that was) could leave, each as a file system of its own after a reboot.
    pub fn possible_disks(&self) -> Disks {
        let state = self.world.lock();
        Disks::of(&state.store, &state.host)
    }

    /// Calls so far.
    pub fn calls(&self) -> u64 {
        self.world.lock().calls
    }

    /// The calls so far, for people.
    pub fn trace(&self) -> Vec<String> {
        self.world.lock().trace.iter().map(Call::to_string).collect()
    }

    /// The calls so far.
    pub fn trace_calls(&self) -> Vec<Call> {
        self.world.lock().trace.clone()
    }

    // --- Faults ---

    /// Makes one call fail.
    pub fn fail_call(&self, number: u64, fault: impl Into<Fault>) {
        self.world.lock().faults.at_call(number, fault.into());
    }

    /// Makes every call from this one on fail for which the fault is conceivable ([`Fault::may_hit`]).
    pub fn fail_from(&self, number: u64, fault: impl Into<Fault>) {
        self.world.lock().faults.since_call(number, fault.into());
    }

    /// Makes every call of this verb fail.
    pub fn fail_verb(&self, verb: Verb, fault: impl Into<Fault>) {
        self.world.lock().faults.at_verb(verb, fault.into());
    }

    /// Takes all ordered faults back, also those of hints ([`SimFs::disturb_hints`]).
    pub fn heal(&self) {
        let mut state = self.world.lock();
        state.faults.clear();
        state.hints.heal();
    }

    /// How many calls were hit by faults.
    pub fn faults_hit(&self) -> u64 {
        self.world.lock().faults.hits
    }

    // --- Hooks ---

    /// Calls `act` once, before the call with this number. It gets a handle of the foreign process. No lock of the simulation
    /// is held meanwhile, and calls that it makes (through any handle, in its own thread) are not counted and not hooked.
    pub fn on_call(&self, number: u64, act: impl FnOnce(&SimFs) + Send + 'static) {
        self.world.lock().acts.entry(number).or_default().push(Box::new(act));
    }

    /// Calls `observer` before every call, as [`SimFs::on_call`] does, until another observer is set. Several threads may be
    /// inside it at once; one that blocks there holds its process at exactly this point.
    pub fn observe(&self, observer: impl Fn(&SimFs, &Call) + Send + Sync + 'static) {
        self.world.lock().observer = Some(Arc::new(observer));
    }

    /// Takes all hooks away.
    pub fn unhook(&self) {
        let mut state = self.world.lock();
        state.observer = None;
        state.acts.clear();
    }

    /// Counts a call, lets hooks act, and decides whether it may happen.
    pub(super) fn enter(&self, verb: Verb, paths: Vec<PathBuf>, detail: String) -> io::Result<Turn<'_>> {
        let mut state = self.world.lock();
        let thread = thread::current().id();
        if self.process == FOREIGN || state.cut || state.backstage.contains(&thread) {
            state.admit(self.process)?;
            state.tick();
            return Ok(Turn { state, verdict: Verdict::Go });
        }
        state.admit(self.process)?;
        let pid = state.processes.get(&self.process).map_or(0, |process| process.pid);
        let call = Call { number: state.calls, pid, verb, paths, detail };
        state.calls += 1;
        state.trace.push(call.clone());

        let acts = state.acts.remove(&call.number).unwrap_or_default();
        let observer = state.observer.clone();
        if !acts.is_empty() || observer.is_some() {
            state.backstage.push(thread);
            drop(state);
            {
                let _leave = Backstage(&self.world, thread);
                let outside = SimFs { world: Arc::clone(&self.world), process: FOREIGN };
                for act in acts {
                    act(&outside);
                }
                if let Some(observer) = observer {
                    observer(&outside, &call);
                }
            }
            state = self.world.lock();
        }

        if state.cut_before.is_some_and(|number| number <= call.number) {
            state.cut = true;
            self.world.changed.notify_all();
        }
        state.admit(self.process)?;
        state.tick();
        let verdict = state.faults.verdict(&call);
        Ok(Turn { state, verdict })
    }
}

impl Default for SimFs {
    fn default() -> Self {
        SimFs::new(Dials::default())
    }
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimFs").field("process", &self.process).finish_non_exhaustive()
    }
}

impl Fs for SimFs {
    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn FsDir>> {
        self.enter(Verb::OpenDir, vec![path.to_owned()], String::new())?.run(|state| {
            let (_, ino) = state.store.resolve(path, true)?;
            if state.store.inode(ino).node != Node::Dir {
                return Err(errors::os(ErrorKind::NotADirectory));
            }
            let dir = SimDir::new(self.clone(), ino, path.to_owned(), state.store.id(ino), state.store.dials.caps());
            Ok(Arc::new(dir) as Arc<dyn FsDir>)
        })
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        let turn = self.enter(Verb::Canonicalize, vec![path.to_owned()], String::new())?;
        turn.run(|state| Ok(state.store.resolve(path, true)?.0))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let turn = self.enter(Verb::StatPath, vec![path.to_owned()], String::new())?;
        turn.run(|state| Ok(state.store.stat(state.store.resolve(path, false)?.1)))
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.enter(Verb::ReadLink, vec![path.to_owned()], String::new())?.run(|state| {
            let (_, ino) = state.store.resolve(path, false)?;
            match &state.store.inode(ino).node {
                Node::Symlink(text) => Ok(text.clone()),
                _ => Err(errors::os(ErrorKind::InvalidInput)),
            }
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.enter(Verb::CreateDir, vec![path.to_owned()], String::new())?.run(|state| {
            let (dir, name) = state.store.resolve_parent(path)?;
            state.store.create(dir, &name, Node::Dir, 0o777).map(drop)
        })
    }

    fn current_dir(&self) -> io::Result<PathBuf> {
        self.enter(Verb::CurrentDir, vec![], String::new())?.run(|_| Ok(PathBuf::from("/")))
    }

    fn lock_table(&self, file: FileId) -> io::Result<Option<LockTable>> {
        let turn = self.enter(Verb::LockTable, vec![], format!("inode {}", file.ino))?;
        turn.run(|state| Ok(state.store.dials.lock_table.then(|| state.lock_table(file))))
    }

    fn events(&self, tell: Tell) -> io::Result<Box<dyn Events>> {
        self.begin_events(tell)
    }
}
