//! Which files are locked or leased, and when that changes.
//!
//! # How it hears of it
//! Whoever takes a lock signs its lock file, and a lease is a file: the watch names both. What is held is looked at again every
//! [`AGAIN`], because letting go of a lock changes no file, and so is what somebody looks at, because a program may lock without signing. If
//! nothing is held and nobody looks at anything, nothing is done.
//!
//! # Non-promise
//! Locks of this process do not count: they are held for a moment, while it writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use filelatch::lease::LeaseState;
use filelatch::show::{slashed, time};
use filelatch::{Holder, LockState};
use serde::Serialize;
use tokio::time::Instant;
use utoipa::ToSchema;

use super::message::Message;
use crate::extract::FilePath;
use crate::problem::{HolderView, Result};
use crate::state::State;
use crate::work::{Call, Failure, Work};

/// After so long what is held, and what somebody looks at, is looked at again.
const AGAIN: Duration = Duration::from_millis(400);
/// Looks are at least so far apart.
const PAUSE: Duration = Duration::from_millis(150);
/// Files that are looked at in one go.
const MOST: usize = 512;
/// Files that are found when all are looked for.
pub(crate) const FOUND: usize = 2000;
/// The end of a lease that moves by less is the same end, computed again.
const JITTER: Duration = Duration::from_millis(100);

/// A file's lock and lease.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LockView {
    /// The file.
    pub(crate) path: String,
    /// Does anybody hold the lock?
    pub(crate) locked: bool,
    /// Who does.
    pub(crate) holders: Vec<HolderView>,
    /// How many wait, as far as the system tells.
    pub(crate) waiting: usize,
    /// Who has a lease.
    pub(crate) lease: Option<LeaseView>,
}

/// A lease.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LeaseView {
    /// Who has it.
    pub(crate) holder: HolderView,
    /// When it is over unless it is renewed.
    pub(crate) expires_at: String,
    /// What it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) purpose: Option<String>,
    #[serde(skip)]
    pub(crate) token: u64,
    #[serde(skip)]
    expires: SystemTime,
}

impl LeaseView {
    pub(crate) fn of(state: &State, lease: &LeaseState) -> LeaseView {
        let expires = state.host().now() + lease.remaining;
        LeaseView {
            holder: HolderView::from(&lease.holder),
            expires_at: time(expires),
            purpose: lease.holder.purpose.clone(),
            token: lease.token,
            expires,
        }
    }
}

impl LockView {
    pub(crate) fn of(state: &State, path: String, lock: &LockState, lease: Option<&LeaseState>) -> LockView {
        let own = state.host().pid();
        let others = |holder: &&Holder| !(holder.confirmed && holder.pid == Some(own));
        let holders: Vec<_> = lock.holders.iter().filter(others).map(HolderView::from).collect();
        LockView {
            path,
            locked: !holders.is_empty(),
            holders,
            waiting: lock.waiting,
            lease: lease.map(|lease| LeaseView::of(state, lease)),
        }
    }

    pub(crate) fn is_held(&self) -> bool {
        self.locked || self.lease.is_some()
    }

    fn free(path: String) -> LockView {
        LockView { path, locked: false, holders: Vec::new(), waiting: 0, lease: None }
    }
}

/// What a file's lock is now.
pub(crate) fn look(call: &Call, path: &FilePath) -> Result<LockView, Failure> {
    let file = call.file(path)?;
    let (lock, lease) = (file.lock_state()?, file.lease_state()?);
    Ok(LockView::of(call.state(), path.as_str().to_owned(), &lock, lease.as_ref()))
}

/// All files that are held now and shown.
pub(crate) fn look_at_all(call: &Call) -> Result<Vec<LockView>, Failure> {
    let state = call.state();
    let shown = |path: &std::path::Path| FilePath::parse(&slashed(path)).is_ok_and(|path| !state.is_hidden(&path));
    let held = state.folder().locked(FOUND, shown)?;
    let view = |file: &filelatch::LockedFile| LockView::of(state, slashed(&file.path), &file.lock, file.lease.as_ref());
    Ok(held.iter().map(view).filter(LockView::is_held).collect())
}

/// What is known of a file that is held.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    holders: Vec<HolderView>,
    /// Number and end.
    lease: Option<(u64, SystemTime)>,
}

impl Seen {
    fn of(view: &LockView) -> Seen {
        Seen { holders: view.holders.clone(), lease: view.lease.as_ref().map(|lease| (lease.token, lease.expires)) }
    }

    fn is(&self, other: &Seen) -> bool {
        let apart =
            |a: SystemTime, b: SystemTime| a.duration_since(b).or_else(|_| b.duration_since(a)).unwrap_or_default();
        self.holders == other.holders
            && match (self.lease, other.lease) {
                (Some((a, a_end)), Some((b, b_end))) => a == b && apart(a_end, b_end) < JITTER,
                (a, b) => a == b,
            }
    }
}

/// What is held, and what is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Lookout {
    held: BTreeMap<String, Seen>,
    touched: BTreeSet<String>,
    /// Any file may be held by others than before.
    all: bool,
    /// Of those that are looked at again and again, where to go on.
    next: String,
}

impl Lookout {
    /// Something happened to the lock or lease of a file.
    pub(super) fn touch(&mut self, path: String) {
        self.touched.insert(path);
    }

    /// Any file may be held by others than before.
    pub(super) fn touch_all(&mut self) {
        self.all = true;
    }

    /// Notes what a file's lock is; the message that tells of it, if it is another than before.
    pub(super) fn is(&mut self, view: &LockView) -> Option<Message> {
        let now = view.is_held().then(|| Seen::of(view));
        let same = match (self.held.get(&view.path), &now) {
            (Some(before), Some(now)) => before.is(now),
            (before, now) => before.is_none() && now.is_none(),
        };
        if same {
            return None;
        }
        match now {
            Some(now) => drop(self.held.insert(view.path.clone(), now)),
            None => drop(self.held.remove(&view.path)),
        }
        Some(Message::FileLockChange {
            path: view.path.clone(),
            locked: view.locked,
            holder: view.holders.first().cloned().map(Box::new),
            lease: view.lease.clone().map(Box::new),
        })
    }

    /// What is to be looked at now: what was touched, and, if it is time for that, what is held and `viewed`.
    fn due(&mut self, again: bool, viewed: Vec<String>) -> Vec<String> {
        let mut due: BTreeSet<String> = BTreeSet::new();
        while due.len() < MOST
            && let Some(path) = self.touched.pop_first()
        {
            due.insert(path);
        }
        if again {
            let rest: BTreeSet<String> = self.held.keys().cloned().chain(viewed).collect();
            let (before, after): (Vec<_>, Vec<_>) = rest.into_iter().partition(|path| *path < self.next);
            let mut round = after.into_iter().chain(before);
            due.extend(round.by_ref().take(MOST.saturating_sub(due.len())));
            self.next = round.next().unwrap_or_default();
        }
        due.into_iter().collect()
    }

    fn is_quiet(&self) -> bool {
        self.held.is_empty() && self.touched.is_empty() && !self.all
    }
}

/// Looks, as long as the server is there.
pub(super) async fn run(state: State) {
    let events = std::sync::Arc::clone(state.events());
    let mut looked = Instant::now();
    loop {
        let idle = !events.is_anybody_there() || (events.lookout().is_quiet() && events.viewed().is_empty());
        let again = async {
            if idle {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep_until(looked + AGAIN).await;
        };
        let asked = tokio::select! {
            () = state.ending().cancelled() => return,
            () = again => false,
            () = events.look().notified() => true,
        };
        if asked {
            tokio::select! {
                () = state.ending().cancelled() => return,
                () = tokio::time::sleep_until(looked + PAUSE) => {}
            }
        }
        if !events.is_anybody_there() {
            continue;
        }
        if std::mem::take(&mut events.lookout().all) {
            look_for_all(&state).await;
        }
        let again = looked.elapsed() >= AGAIN || asked;
        let due = events.lookout().due(again, events.viewed());
        looked = Instant::now();
        let look_at = move |call: &Call| {
            let views = due.into_iter().filter_map(|path| {
                let path = FilePath::parse(&path).ok()?;
                // What can't be looked at is held by nobody that this server could show.
                Some(look(call, &path).unwrap_or_else(|_| LockView::free(path.as_str().to_owned())))
            });
            Ok(views.collect::<Vec<_>>())
        };
        match state.blocking(Work::Look, "", look_at).await {
            Ok(views) => views.iter().for_each(|view| events.lock_is(view)),
            Err(problem) => tracing::warn!(problem = %problem.detail, "locks could not be looked at"),
        }
    }
}

async fn look_for_all(state: &State) {
    let events = state.events();
    match state.blocking(Work::Look, "", look_at_all).await {
        Ok(views) => views.iter().for_each(|view| events.lock_is(view)),
        Err(problem) => tracing::warn!(problem = %problem.detail, "locks could not be looked for"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(path: &str, pids: &[u32], lease: Option<(u64, u64)>) -> LockView {
        let holders: Vec<_> =
            pids.iter().map(|pid| HolderView { pid: Some(*pid), confirmed: true, ..HolderView::default() }).collect();
        let lease = lease.map(|(token, millis)| LeaseView {
            holder: HolderView::default(),
            expires_at: String::new(),
            purpose: None,
            token,
            expires: SystemTime::UNIX_EPOCH + Duration::from_millis(millis),
        });
        LockView { path: path.to_owned(), locked: !pids.is_empty(), holders, waiting: 0, lease }
    }

    /// SERVE-4: a change of holders, of a lease or of its end is told once; the same again is not.
    #[test]
    fn what_is_told() {
        let mut lookout = Lookout::default();
        for (pids, lease, told) in [
            (&[][..], None, false),
            (&[1], None, true),
            (&[1], None, false),
            (&[1, 2], None, true),
            (&[2], None, true),
            (&[], None, true),
            (&[], None, false),
            (&[], Some((5, 10_000)), true),
            (&[], Some((5, 10_050)), false),
            (&[], Some((5, 12_000)), true),
            (&[], Some((6, 12_000)), true),
            (&[], None, true),
        ] {
            assert_eq!(lookout.is(&view("a", pids, lease)).is_some(), told, "{pids:?} {lease:?}");
        }
        assert!(lookout.is_quiet());
    }

    /// SERVE-4: many files are looked at in turns, and what was touched first.
    #[test]
    fn turns() {
        let mut lookout = Lookout::default();
        let viewed: Vec<_> = (0..MOST + 10).map(|n| format!("{n:06}")).collect();
        let mut seen: BTreeSet<String> = lookout.due(true, viewed.clone()).into_iter().collect();
        assert_eq!(seen.len(), MOST);
        lookout.touch("z".to_owned());
        seen.extend(lookout.due(true, viewed.clone()));
        assert!(seen.remove("z"));
        assert_eq!(seen.len(), viewed.len());
        assert!(lookout.due(false, viewed).is_empty());
    }
}
