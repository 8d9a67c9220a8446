//! Making the writes: one after another for each file, several files at once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use filelatch::show::time;
use filelatch::{CancelToken, Error, LockOptions, Outcome, Version, Wait};
use tokio::sync::{Semaphore, broadcast};

use super::record::{Done, Queued, State as WriteState, Update};
use super::store::{self, Store};
use crate::events::Message;
use crate::problem::{Problem, Result};
use crate::state::State;
use crate::work::{Call, Failure};

/// Files whose writes are made at the same time. Each has a thread while it waits for its lock.
const LANES: usize = 16;
/// So long a lock is waited for before the next look at whether it is still wanted.
const TURN: Duration = Duration::from_secs(5);
/// Before another try, where waiting is over at once.
const PAUSE: Duration = Duration::from_millis(200);
/// So many ends are kept for listeners that are behind.
const TOLD: usize = 256;

/// What waits, by file.
#[derive(Debug)]
pub(crate) struct Lanes {
    table: Mutex<Table>,
    room: Arc<Semaphore>,
    told: broadcast::Sender<Done>,
}

#[derive(Debug, Default)]
struct Table {
    lanes: HashMap<String, VecDeque<String>>,
    /// The one that each lane is at, and how to call it off.
    making: HashMap<String, CancelToken>,
}

impl Default for Lanes {
    fn default() -> Self {
        Lanes { table: Mutex::default(), room: Arc::new(Semaphore::new(LANES)), told: broadcast::channel(TOLD).0 }
    }
}

/// What a turn came to.
enum Turn {
    /// It is at its end, or somebody else's.
    Over,
    /// The lock is not to be had yet.
    Again,
    /// The server ends.
    Stop,
}

impl Lanes {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait here.
    pub(crate) fn waiting(&self) -> usize {
        self.table().lanes.values().map(VecDeque::len).sum()
    }
}

impl State {
    /// Writes that wait for a lock.
    pub fn queued_writes(&self) -> usize {
        self.lanes().waiting()
    }

    /// Hears of each queued write that comes to its end.
    pub fn hear_writes(&self) -> broadcast::Receiver<Done> {
        self.lanes().told.subscribe()
    }

    /// Takes up the writes that an earlier server was left with. [`serve`](crate::serve()) does it.
    pub async fn resume_writes(&self) -> Result<usize> {
        let waiting = self.blocking(crate::work::Work::Look, "", |call| {
            let Some(store) = call.state().writes(call.latch())? else { return Ok(Vec::new()) };
            store::tidy(call.state(), &store)?;
            let survey = store.survey()?;
            for (id, error) in &survey.damaged {
                tracing::warn!(id, %error, "a queued write can't be read");
            }
            let queued = survey.intact.into_iter().filter(|record| record.value.state == WriteState::Queued);
            Ok(queued.map(|record| (record.id, record.value.path)).collect())
        });
        let waiting = waiting.await?;
        let count = waiting.len();
        for (id, path) in waiting {
            self.line_up(id, path);
        }
        Ok(count)
    }

    /// Stores a write, durably, and lines it up. Its id.
    pub(crate) fn take_write(&self, call: &Call, write: &Queued) -> Result<String, Failure> {
        let store = self.writes(call.latch())?.ok_or_else(|| Error::NoWorkspace {
            path: self.root().to_owned(),
            without: "nothing can be left queued",
        })?;
        let id = store::put(self, &store, write)?;
        self.line_up(id.clone(), write.path.clone());
        Ok(id)
    }

    /// The store of writes; `None`: there is no workspace.
    pub(crate) fn writes(&self, latch: &filelatch::Filelatch) -> Result<Option<Store>, Error> {
        store::open(self, latch)
    }

    fn line_up(&self, id: String, path: String) {
        let mut table = self.lanes().table();
        let lane = table.lanes.entry(path.clone()).or_default();
        let begins = lane.is_empty();
        lane.push_back(id);
        drop(table);
        if begins {
            let state = self.clone();
            self.tasks().spawn(async move { state.lane(path).await });
        }
    }

    async fn lane(self, path: String) {
        loop {
            let next = self.lanes().table().lanes.get(&path).and_then(|lane| lane.front().cloned());
            let Some(id) = next else { return };
            match self.turn(&id).await {
                Turn::Over => {
                    let mut table = self.lanes().table();
                    let Some(lane) = table.lanes.get_mut(&path) else { return };
                    lane.pop_front();
                    if lane.is_empty() {
                        table.lanes.remove(&path);
                        return;
                    }
                }
                Turn::Again => tokio::select! {
                    () = tokio::time::sleep(PAUSE) => {}
                    () = self.ending().cancelled() => return,
                },
                Turn::Stop => return,
            }
        }
    }

    async fn turn(&self, id: &str) -> Turn {
        let permit = tokio::select! {
            permit = Arc::clone(&self.lanes().room).acquire_owned() => permit.ok(),
            () = self.ending().cancelled() => return Turn::Stop,
        };
        let cancel = CancelToken::new();
        self.lanes().table().making.insert(id.to_owned(), cancel.clone());
        let (state, given, of) = (self.clone(), cancel.clone(), id.to_owned());
        let work = self.tasks().spawn_blocking(move || {
            let turn = make(&state, &of, &given);
            drop(permit);
            turn
        });
        tokio::pin!(work);
        let turn = tokio::select! {
            turn = &mut work => turn,
            () = self.ending().cancelled() => {
                cancel.cancel();
                work.await
            }
        };
        self.lanes().table().making.remove(id);
        let stops = self.ending().is_cancelled();
        match turn {
            Ok(Ok(turn)) => turn,
            _ if stops => Turn::Stop,
            // The store itself fails: the write stays in it.
            Ok(Err(failure)) => {
                tracing::warn!(id, ?failure, "a queued write can't be looked at");
                Turn::Again
            }
            Err(_) => {
                tracing::error!(id, "a queued write failed in the middle");
                Turn::Over
            }
        }
    }

    /// Calls a write off, if it was not made yet: what became of it. On a thread for blocking work.
    pub(crate) fn call_off(&self, call: &Call, id: &str) -> Result<Queued, Failure> {
        let missing = || Problem::not_found("no-such-write", "there is no queued write of this id");
        let store = self.writes(call.latch())?.ok_or_else(missing)?;
        if !store.exists(id).unwrap_or(false) {
            return Err(missing().into());
        }
        // Its lane lets go of it before it is applied, or has made it.
        if let Some(cancel) = self.lanes().table().making.get(id) {
            cancel.cancel();
        }
        let lock = store.lock_record(id, &call.lock(None))?;
        let mut write = lock.get()?;
        if write.state != WriteState::Queued {
            let detail = format!("the write is {} already", write.state.word());
            let problem = Problem::new(axum::http::StatusCode::CONFLICT, "wrong-state", detail);
            return Err(problem.hint("nothing was changed").about(write.path.as_str()).into());
        }
        write.end(WriteState::Cancelled, Update::default(), time(self.host().now()));
        lock.save(&write)?;
        drop(lock);
        self.tell(id, &write);
        Ok(write)
    }

    fn tell(&self, id: &str, write: &Queued) {
        tracing::info!(id, path = write.path, state = write.state.word(), "queued write");
        let (path, state) = (write.path.clone(), write.state.word());
        self.events().tell(&Message::WriteDone { id: id.to_owned(), path, state });
        // Nobody need listen.
        self.lanes().told.send(Done { id: id.to_owned(), path: write.path.clone(), state: write.state.word() }).ok();
    }
}

/// One try at one write.
fn make(state: &State, id: &str, cancel: &CancelToken) -> Result<Turn, Failure> {
    let call = Call::of_server(state, cancel);
    let Some(store) = state.writes(call.latch())? else { return Ok(Turn::Over) };
    let lock = match store.lock_record(id, &LockOptions::new().wait(Wait::No).scope(call.scope())) {
        Ok(lock) => lock,
        // Another server is at it, or somebody calls it off.
        Err(Error::Locked { .. } | Error::Timeout { .. } | Error::Cancelled { .. }) => return Ok(Turn::Again),
        Err(error) => return Err(error.into()),
    };
    let Some(mut write) = lock.try_get()?.filter(|write| write.state == WriteState::Queued) else {
        return Ok(Turn::Over);
    };
    let (ended, update) = match attempt(state, &call, &lock, &mut write) {
        Ok((outcome, hash)) => (WriteState::Written, Update::made(outcome, hash)),
        Err(Failure::Library(Error::Cancelled { .. })) => {
            return Ok(if state.ending().is_cancelled() { Turn::Stop } else { Turn::Again });
        }
        Err(Failure::Library(
            Error::Locked { .. } | Error::Timeout { .. } | Error::Leased { .. } | Error::Deadlock { .. },
        )) => {
            return Ok(Turn::Again);
        }
        Err(failure) => {
            let problem = state.refusal(failure);
            let ended = if problem.conflict_info.is_some() { WriteState::Conflict } else { WriteState::Failed };
            (ended, Update::refused(&problem))
        }
    };
    write.end(ended, update, time(state.host().now()));
    lock.save(&write)?;
    drop(lock);
    state.tell(id, &write);
    Ok(Turn::Over)
}

fn attempt(
    state: &State,
    call: &Call,
    lock: &filelatch::store::RecordLock<Queued>,
    write: &mut Queued,
) -> Result<(Outcome, Option<Version>), Failure> {
    let mut change = write.change()?;
    change.wait = Some(TURN);
    state.check_shown(&change.path)?;
    if write.begun
        && let Some(version) = was_made(call, &change)?
    {
        return Ok((Outcome::Written, Some(version)));
    }
    if !write.begun {
        write.begun = true;
        lock.save(write)?;
    }
    let (_, written) = change.apply(&call.as_session(&write.session))?;
    Ok((written.outcome, written.version))
}

/// Did a server that was killed make it, without coming to note it?
fn was_made(call: &Call, change: &crate::change::Change) -> Result<Option<Version>, Failure> {
    let version = Version::of(&change.bytes);
    let file = match call.file(&change.path) {
        Ok(file) => file,
        Err(Failure::Library(Error::Io { action: "find", .. })) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let current = file.try_read()?.is_some_and(|current| current.version() == version);
    let kept = || file.history().is_ok_and(|kept| kept.iter().any(|kept| kept.version == version));
    Ok((current || kept()).then_some(version))
}
