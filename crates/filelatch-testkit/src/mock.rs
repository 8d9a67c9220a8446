//! A lock service that behaves as the test says (TEST-1).

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use filelatch::{
    CancelToken, Error, HeldLock, Holder, IfUnavailable, LockKind, LockOptions, LockScope, LockService, LockState,
    Result, Validity, Wait, Waiting,
};

/// The longest real wait for a lock that another part of the test holds, unless the request says how long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between the simulated tries of a request that does not say.
const TRY_EVERY: Duration = Duration::from_millis(100);

/// How soon a real wait notices that it was called off.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a mock does with requests for a path.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Behaviour {
    /// A correct lock among those who share the mock: granted if nobody else of them holds it, waited for (in real time) if
    /// somebody does.
    #[default]
    Success,
    /// Somebody outside the test holds it for ever: a request that does not wait gets [`Error::Locked`], any other
    /// [`Error::Timeout`], at once, as if its time were over.
    Timeout,
    /// Contention: the first so many requests fare as with [`Behaviour::Timeout`], those after them as with
    /// [`Behaviour::Success`].
    RefuseFirst(u32),
    /// Contention: somebody outside the test holds it and lets go after so many further tries, of all requests together. A
    /// request that does not wait is one try. One that waits tries once more every 100 ms (or [`Wait::Retry`]'s interval) of its
    /// time, but no real time passes; its callback is called after each try that failed.
    ReleasedAfter(u32),
    /// Every request fails with what this returns.
    Fail(Arc<dyn Fn(&Path) -> Error + Send + Sync>),
}

impl Behaviour {
    /// Every request fails with an [`Error::Io`] of this kind.
    pub fn io_error(kind: std::io::ErrorKind) -> Behaviour {
        Behaviour::fail(move |path| Error::Io { action: "lock", path: path.to_owned(), source: kind.into() })
    }

    /// Every request fails with what `error` returns.
    pub fn fail(error: impl Fn(&Path) -> Error + Send + Sync + 'static) -> Behaviour {
        Behaviour::Fail(Arc::new(error))
    }
}

impl fmt::Debug for Behaviour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Behaviour::Success => f.write_str("Success"),
            Behaviour::Timeout => f.write_str("Timeout"),
            Behaviour::RefuseFirst(n) => write!(f, "RefuseFirst({n})"),
            Behaviour::ReleasedAfter(n) => write!(f, "ReleasedAfter({n})"),
            Behaviour::Fail(_) => f.write_str("Fail(..)"),
        }
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The lock was had, with this token.
    Granted {
        /// See [`HeldLock::token`].
        token: u64,
    },
    /// It was refused; the [code](Error::code) of the error: `locked`, `timeout`, `held-by-parent`…
    Refused(&'static str),
    /// Not a request: the lock with this token was released.
    Released {
        /// Of the lock that was released.
        token: u64,
    },
}

/// A call that a mock has seen, once it was answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// For what.
    pub path: PathBuf,
    /// Exclusive or shared.
    pub kind: LockKind,
    /// How long the caller would wait, where it said so.
    pub wait: Option<Wait>,
    /// What became of it.
    pub answer: Answer,
}

/// A [`LockService`] in memory whose behaviour is set for each path, and that remembers every call.
///
/// Clones share everything. Paths are compared as they are spelled.
///
/// ```
/// use std::path::Path;
/// use filelatch::{Error, LockOptions, LockService};
/// use filelatch_testkit::{Answer, Behaviour, MockLocks};
///
/// // The code under test: it should say "busy" when the lock is not to be had.
/// fn save(locks: &dyn LockService) -> &'static str {
///     match locks.acquire(Path::new("state.json"), &LockOptions::new()) {
///         Ok(_lock) => "saved",
///         Err(Error::Timeout { .. }) => "busy",
///         Err(_) => "broken",
///     }
/// }
///
/// let locks = MockLocks::new();
/// locks.set("state.json", Behaviour::RefuseFirst(1));
/// assert_eq!((save(&locks), save(&locks)), ("busy", "saved"));
/// assert_eq!(locks.calls()[0].answer, Answer::Refused("timeout"));
///
/// locks.set("state.json", Behaviour::io_error(std::io::ErrorKind::PermissionDenied));
/// assert_eq!(save(&locks), "broken");
///
/// locks.reset();
/// assert_eq!(save(&locks), "saved");
/// ```
#[derive(Clone, Debug, Default)]
pub struct MockLocks {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    otherwise: Behaviour,
    behaviours: BTreeMap<PathBuf, Behaviour>,
    held: Vec<Tenant>,
    calls: Vec<Call>,
    last_token: u64,
}

#[derive(Debug)]
struct Tenant {
    path: PathBuf,
    kind: LockKind,
    owner: Owner,
    token: u64,
    validity: Validity,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Owner {
    Thread(ThreadId),
    Scope(LockScope),
}

/// A lock that a mock has granted.
#[derive(Debug)]
struct MockLock {
    shared: Arc<Shared>,
    path: PathBuf,
    kind: LockKind,
    wait: Option<Wait>,
    /// 0: the caller went on without the lock.
    token: u64,
}

impl MockLocks {
    /// A mock that grants what is free.
    pub fn new() -> MockLocks {
        MockLocks::default()
    }

    /// What to do with requests for this path from now on.
    pub fn set(&self, path: impl Into<PathBuf>, behaviour: Behaviour) {
        self.shared.lock().behaviours.insert(path.into(), behaviour);
    }

    /// What to do with requests for all other paths from now on.
    pub fn set_default(&self, behaviour: Behaviour) {
        self.shared.lock().otherwise = behaviour;
    }

    /// What was called so far, in the order of the answers. Releases are among them.
    pub fn calls(&self) -> Vec<Call> {
        self.shared.lock().calls.clone()
    }

    /// The calls for one path.
    pub fn calls_for(&self, path: impl AsRef<Path>) -> Vec<Call> {
        let path = path.as_ref();
        self.shared.lock().calls.iter().filter(|call| call.path == path).cloned().collect()
    }

    /// From now on the locks that are held on this path say that they are `validity`: lost, or of another process. For tests of
    /// code that looks before it writes.
    pub fn invalidate(&self, path: impl AsRef<Path>, validity: &Validity) {
        for tenant in self.shared.lock().held.iter_mut().filter(|tenant| tenant.path == path.as_ref()) {
            tenant.validity = validity.clone();
        }
    }

    /// Forgets behaviours and calls. Locks that are held stay held; tokens go on growing.
    pub fn reset(&self) {
        let mut state = self.shared.lock();
        state.otherwise = Behaviour::default();
        state.behaviours.clear();
        state.calls.clear();
    }

    fn request(&self, path: &Path, kind: LockKind, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        let owner = match options.asked_scope() {
            Some(scope) => Owner::Scope(scope.clone()),
            None => Owner::Thread(std::thread::current().id()),
        };
        let granted = self.shared.decide(path, kind, &owner, options);
        let mut state = self.shared.lock();
        let token = match granted {
            Ok(token) => token,
            Err(e) => {
                state.note(path, kind, options.asked_wait(), Answer::Refused(e.code()));
                let proceed = options.asked_if_unavailable() == IfUnavailable::Proceed;
                if !(proceed && matches!(e, Error::Locked { .. } | Error::Timeout { .. } | Error::Io { .. })) {
                    return Err(e);
                }
                0
            }
        };
        if token > 0 {
            state.note(path, kind, options.asked_wait(), Answer::Granted { token });
        }
        let (path, shared) = (path.to_owned(), Arc::clone(&self.shared));
        Ok(Box::new(MockLock { shared, path, kind, wait: options.asked_wait(), token }))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn decide(&self, path: &Path, kind: LockKind, owner: &Owner, options: &LockOptions<'_>) -> Result<u64> {
        let wait = options.asked_wait().unwrap_or_default();
        let mut state = self.lock();
        let behaviour = match state.behaviours.get(path) {
            Some(behaviour) => behaviour.clone(),
            None => state.otherwise.clone(),
        };
        match behaviour {
            Behaviour::Success => {}
            Behaviour::Timeout => return Err(refusal(path, wait, outsider())),
            Behaviour::Fail(error) => {
                drop(state);
                return Err(error(path));
            }
            Behaviour::RefuseFirst(0) | Behaviour::ReleasedAfter(0) => state.end_contention(path),
            Behaviour::RefuseFirst(n) => {
                state.behaviours.insert(path.to_owned(), Behaviour::RefuseFirst(n - 1));
                return Err(refusal(path, wait, outsider()));
            }
            Behaviour::ReleasedAfter(left) => {
                let (every, tries) = tries(wait);
                let failed = tries.map_or(left, |tries| left.min(tries));
                state.behaviours.insert(path.to_owned(), Behaviour::ReleasedAfter(left - failed));
                drop(state);
                for n in 1..=failed {
                    if let Some(on_wait) = options.asked_on_wait().filter(|_| wait != Wait::No) {
                        on_wait(&Waiting { path, elapsed: every.saturating_mul(n), holders: &outsider() });
                    }
                    not_cancelled(path, options)?;
                }
                if tries.is_some_and(|tries| failed == tries) {
                    return Err(refusal(path, wait, outsider()));
                }
                state = self.lock();
                state.end_contention(path);
            }
        }
        self.take(state, path, kind, owner, options)
    }

    /// A correct lock among those who share the mock.
    fn take(
        &self,
        mut state: MutexGuard<'_, State>,
        path: &Path,
        kind: LockKind,
        owner: &Owner,
        options: &LockOptions<'_>,
    ) -> Result<u64> {
        let wait = options.asked_wait().unwrap_or_default();
        if state.held.iter().any(|tenant| tenant.path == path && tenant.owner == *owner) {
            return Err(Error::Reentrant { path: path.to_owned() });
        }
        let mut left = wait.limit().unwrap_or(PATIENCE);
        while !state.is_free(path, kind) && !left.is_zero() {
            not_cancelled(path, options)?;
            let slice = left.min(LOOK_EVERY);
            let waited = self.released.wait_timeout(state, slice).unwrap_or_else(PoisonError::into_inner);
            left -= if waited.1.timed_out() { slice } else { Duration::ZERO };
            state = waited.0;
        }
        if !state.is_free(path, kind) {
            return Err(refusal(path, wait, state.holders(path)));
        }
        state.last_token += 1;
        let token = state.last_token;
        let (path, owner) = (path.to_owned(), owner.clone());
        state.held.push(Tenant { path, kind, owner, token, validity: Validity::Held });
        Ok(token)
    }
}

impl State {
    fn is_free(&self, path: &Path, kind: LockKind) -> bool {
        let alone = |other| kind == LockKind::Exclusive || other == LockKind::Exclusive;
        !self.held.iter().any(|tenant| tenant.path == path && alone(tenant.kind))
    }

    fn holders(&self, path: &Path) -> Vec<Holder> {
        let held = self.held.iter().filter(|tenant| tenant.path == path);
        held.map(|tenant| holder("the test", tenant.kind == LockKind::Shared)).collect()
    }

    fn end_contention(&mut self, path: &Path) {
        self.behaviours.insert(path.to_owned(), Behaviour::Success);
    }

    fn note(&mut self, path: &Path, kind: LockKind, wait: Option<Wait>, answer: Answer) {
        self.calls.push(Call { path: path.to_owned(), kind, wait, answer });
    }
}

fn holder(purpose: &str, shared: bool) -> Holder {
    let mut holder = Holder::default();
    holder.purpose = Some(purpose.to_owned());
    holder.shared = shared;
    holder.confirmed = true;
    holder
}

/// The one outside the test who holds what is contended.
fn outsider() -> Vec<Holder> {
    vec![holder("simulated contention", false)]
}

fn refusal(path: &Path, wait: Wait, holders: Vec<Holder>) -> Error {
    let path = path.to_owned();
    match wait {
        Wait::No => Error::Locked { path, holders },
        _ => Error::Timeout { path, waited: wait.limit().unwrap_or(PATIENCE), holders },
    }
}

fn not_cancelled(path: &Path, options: &LockOptions<'_>) -> Result<()> {
    if options.asked_cancel().is_some_and(CancelToken::is_cancelled) {
        return Err(Error::Cancelled { path: path.to_owned() });
    }
    Ok(())
}

/// Interval and number of a request's tries; `None`: without limit.
fn tries(wait: Wait) -> (Duration, Option<u32>) {
    match wait {
        Wait::No => (TRY_EVERY, Some(1)),
        Wait::For(limit) => {
            let times = limit.as_nanos() / TRY_EVERY.as_nanos();
            (TRY_EVERY, Some(u32::try_from(times).map_or(u32::MAX, |times| times.saturating_add(1))))
        }
        Wait::Retry { interval, times } => (interval, Some(times.saturating_add(1))),
        Wait::Forever => (TRY_EVERY, None),
    }
}

impl LockService for MockLocks {
    fn acquire(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        self.request(path, LockKind::Exclusive, options)
    }

    fn acquire_shared(&self, path: &Path, options: &LockOptions<'_>) -> Result<Box<dyn HeldLock>> {
        self.request(path, LockKind::Shared, options)
    }

    fn lock_state(&self, path: &Path) -> Result<LockState> {
        let state = self.shared.lock();
        let mut holders = state.holders(path);
        let behaviour = state.behaviours.get(path).unwrap_or(&state.otherwise);
        let contended = match behaviour {
            Behaviour::Timeout => true,
            Behaviour::RefuseFirst(left) | Behaviour::ReleasedAfter(left) => *left > 0,
            Behaviour::Success | Behaviour::Fail(_) => false,
        };
        if contended && holders.is_empty() {
            holders = outsider();
        }
        Ok(LockState { holders, ..LockState::default() })
    }
}

impl HeldLock for MockLock {
    fn path(&self) -> &Path {
        &self.path
    }

    fn validity(&self) -> Validity {
        let state = self.shared.lock();
        let tenant = state.held.iter().find(|tenant| tenant.token == self.token);
        tenant.map_or(Validity::Unenforced, |tenant| tenant.validity.clone())
    }

    fn token(&self) -> Option<u64> {
        (self.token > 0).then_some(self.token)
    }
}

impl Drop for MockLock {
    fn drop(&mut self) {
        if self.token > 0 {
            let mut state = self.shared.lock();
            state.held.retain(|tenant| tenant.token != self.token);
            state.note(&self.path, self.kind, self.wait, Answer::Released { token: self.token });
            self.shared.released.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::{History, run_concurrent};

    const NOW: Wait = Wait::No;

    fn ask(locks: &MockLocks, wait: Wait) -> Result<Box<dyn HeldLock>> {
        locks.acquire(Path::new("f"), &LockOptions::new().wait(wait))
    }

    fn code(result: Result<Box<dyn HeldLock>>) -> &'static str {
        result.map_or_else(|e| e.code(), |_lock| "granted")
    }

    /// TEST-1: success, timeout, error, each for its path, and reset.
    #[test]
    fn test_1_each_path_behaves_as_set() {
        let locks = MockLocks::new();
        assert_eq!(code(ask(&locks, NOW)), "granted");
        locks.set("f", Behaviour::Timeout);
        assert_eq!(code(ask(&locks, NOW)), "locked");
        let late = ask(&locks, Wait::For(Duration::from_secs(3600))).unwrap_err();
        assert_eq!(late.to_string(), "`f` is still locked after 3600 s: held by a program that keeps no record");
        assert!(locks.is_locked(Path::new("f")).unwrap());
        assert_eq!(code(locks.acquire(Path::new("g"), &LockOptions::new())), "granted");
        locks.set("f", Behaviour::io_error(std::io::ErrorKind::StorageFull));
        assert_eq!(code(ask(&locks, NOW)), "disk-full");
        locks.set_default(Behaviour::Timeout);
        assert_eq!(code(locks.acquire_shared(Path::new("g"), &LockOptions::new())), "timeout");
        locks.reset();
        assert_eq!(code(ask(&locks, NOW)), "granted");
        assert_eq!(locks.calls().len(), 2, "the request and the release after the reset");
    }

    /// TEST-1: contention of both kinds.
    #[test]
    fn test_1_contention_is_simulated() {
        let locks = MockLocks::new();
        locks.set("f", Behaviour::RefuseFirst(2));
        let codes: Vec<_> = (0..4).map(|_| code(ask(&locks, NOW))).collect();
        assert_eq!(codes, ["locked", "locked", "granted", "granted"]);

        locks.set("f", Behaviour::ReleasedAfter(5));
        assert_eq!(code(ask(&locks, NOW)), "locked", "one try");
        let retry = Wait::Retry { interval: Duration::from_millis(10), times: 1 };
        assert_eq!(code(ask(&locks, retry)), "timeout", "two tries");
        let told = AtomicU32::new(0);
        let on_wait = |waiting: &Waiting<'_>| {
            told.fetch_add(1, Ordering::Relaxed);
            assert_eq!(waiting.holders[0].purpose.as_deref(), Some("simulated contention"));
        };
        let patient = LockOptions::new().on_wait(&on_wait);
        assert_eq!(code(locks.acquire(Path::new("f"), &patient)), "granted", "the two that were left");
        assert_eq!(told.into_inner(), 2);
    }

    /// TEST-1: every call is there, with what became of it.
    #[test]
    fn test_1_calls_are_recorded() {
        let locks = MockLocks::new();
        let held = ask(&locks, NOW).unwrap();
        assert_eq!((held.path(), held.token(), held.is_held()), (Path::new("f"), Some(1), true));
        assert_eq!(code(ask(&locks, NOW)), "held-by-parent", "the same owner asks again");
        drop(held);
        let answers: Vec<_> = locks.calls_for("f").into_iter().map(|call| call.answer).collect();
        let refused = Answer::Refused("held-by-parent");
        assert_eq!(answers, [Answer::Granted { token: 1 }, refused, Answer::Released { token: 1 }]);
        assert_eq!(locks.calls()[0].wait, Some(NOW));
        assert!(locks.calls_for("g").is_empty());
    }

    /// TEST-1: among those who share it, the mock is a lock.
    #[test]
    fn test_1_the_mock_excludes() {
        let (locks, history) = (MockLocks::new(), History::new());
        run_concurrent(8, |task| {
            for round in 0..50 {
                let (path, options) = (Path::new("f"), LockOptions::new());
                let (kind, lock) = if (task + round) % 3 == 0 {
                    (LockKind::Shared, locks.acquire_shared(path, &options))
                } else {
                    (LockKind::Exclusive, locks.acquire(path, &options))
                };
                let lock = lock.unwrap();
                drop(history.acquired(task, "f", kind));
                drop(lock);
            }
        });
        history.check().unwrap();
        let scope = LockOptions::new().wait(Wait::For(Duration::from_millis(5)));
        let held = ask(&locks, NOW).unwrap();
        assert_eq!(code(locks.acquire(Path::new("f"), &scope.scope(&LockScope::new()))), "timeout");
        drop(held);
    }

    /// TEST-1: a wait that is called off ends, simulated or real.
    #[test]
    fn test_1_waits_can_be_cancelled() {
        let locks = MockLocks::new();
        let cancel = CancelToken::new();
        let on_wait = |waiting: &Waiting<'_>| {
            if waiting.elapsed >= Duration::from_millis(300) {
                cancel.cancel();
            }
        };
        let options = LockOptions::new().on_wait(&on_wait).cancel(&cancel).scope(&LockScope::new());
        locks.set("f", Behaviour::ReleasedAfter(1000));
        assert_eq!(code(locks.acquire(Path::new("f"), &options)), "cancelled");
        locks.set("f", Behaviour::Success);
        let held = ask(&locks, NOW).unwrap();
        assert_eq!(code(locks.acquire(Path::new("f"), &options)), "cancelled");
        drop(held);
    }

    /// TEST-1: a lock that was lost says so; going on without one, too.
    #[test]
    fn test_1_locks_can_be_lost() {
        let locks = MockLocks::new();
        let held = ask(&locks, NOW).unwrap();
        locks.invalidate("f", &Validity::Forked);
        assert_eq!((held.validity(), held.is_held()), (Validity::Forked, false));
        drop(held);
        locks.set("f", Behaviour::Timeout);
        let options = LockOptions::new().if_unavailable(IfUnavailable::Proceed);
        let none = locks.acquire(Path::new("f"), &options).unwrap();
        assert_eq!((none.validity(), none.token()), (Validity::Unenforced, None));
    }
}
