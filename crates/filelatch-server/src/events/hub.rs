//! The ring, its readers, and what runs for them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};

use super::lookout::{LockView, Lookout};
use super::message::{Aside, Message, Viewer};
use super::presence::{Client, Presence};
use super::ring::{Kind, Position, Read, Ring};
use super::source;
use crate::problem::{Problem, Result};
use crate::state::State;

/// Who comes and goes within this time is told in one message.
const GATHER: Duration = Duration::from_millis(50);

/// Events of one server.
#[derive(Debug)]
pub(crate) struct Events {
    ring: Mutex<Ring>,
    /// Counts what was added to the ring.
    added: watch::Sender<u64>,
    presence: Mutex<Presence>,
    room: Arc<Semaphore>,
    /// Held while the sources are started. True: they run.
    running: tokio::sync::Mutex<bool>,
    lookout: Mutex<Lookout>,
    /// The lookout has something to do.
    look: Notify,
    auditors: watch::Sender<usize>,
    looking: AtomicBool,
    mode: Mutex<Option<&'static str>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Events {
    /// `run` is random; at most so many sockets.
    pub(crate) fn new(run: u64, sockets: usize) -> Events {
        Events {
            ring: Mutex::new(Ring::new(run)),
            added: watch::Sender::new(0),
            presence: Mutex::default(),
            room: Arc::new(Semaphore::new(sockets)),
            running: tokio::sync::Mutex::new(false),
            lookout: Mutex::default(),
            look: Notify::new(),
            auditors: watch::Sender::new(0),
            looking: AtomicBool::new(false),
            mode: Mutex::new(None),
        }
    }

    /// Tells everybody.
    pub(crate) fn tell(&self, message: &Message) {
        self.push(Kind::Told, |cursor| message.text(cursor));
    }

    pub(super) fn push(&self, kind: Kind, make: impl FnOnce(&str) -> String) {
        let mut ring = locked(&self.ring);
        ring.push(kind, make);
        let last = ring.last();
        drop(ring);
        self.added.send_replace(last);
    }

    // --- Readers ---

    /// Room for one more socket.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit> {
        Arc::clone(&self.room)
            .try_acquire_owned()
            .map_err(|_| Problem::busy("as many sockets as may be open at once are open"))
    }

    /// Where reading begins, and its cursor.
    pub(super) fn position(&self, cursor: Option<&str>) -> (Position, String) {
        let ring = locked(&self.ring);
        let position = ring.position(cursor);
        (position, ring.cursor(position.at))
    }

    pub(super) fn read(&self, at: &mut u64, most: usize) -> Read {
        locked(&self.ring).read(at, most)
    }

    pub(super) fn cursor(&self, number: u64) -> String {
        locked(&self.ring).cursor(number)
    }

    /// Changes when there is something to read.
    pub(super) fn added(&self) -> watch::Receiver<u64> {
        self.added.subscribe()
    }

    // --- Who is there ---

    pub(super) fn set_client(self: &Arc<Self>, state: &State, id: &str, client: Client) {
        self.with_presence(state, |presence| presence.set(id, client));
        // Somebody looks at a file: its lock is looked at.
        self.look.notify_one();
    }

    pub(super) fn remove_client(self: &Arc<Self>, state: &State, id: &str) {
        self.with_presence(state, |presence| presence.remove(id));
    }

    fn with_presence(self: &Arc<Self>, state: &State, change: impl FnOnce(&mut Presence)) {
        let mut presence = locked(&self.presence);
        let was_dirty = presence.is_dirty();
        change(&mut presence);
        if was_dirty || !presence.is_dirty() {
            return;
        }
        drop(presence);
        let events = Arc::clone(self);
        let ending = state.ending().clone();
        state.tasks().spawn(async move {
            tokio::select! {
                () = tokio::time::sleep(GATHER) => events.tell_presence(),
                () = ending.cancelled() => {}
            }
        });
    }

    fn tell_presence(&self) {
        let mut presence = locked(&self.presence);
        // In this order in the ring, too.
        for (path, clients) in presence.take_news() {
            self.push(Kind::Presence, |_| presence_text(&path, &clients));
        }
    }

    /// Who looks at what, for one who comes; and the number of the last message that this is as new as.
    pub(super) fn presence(&self) -> (Vec<String>, u64) {
        let presence = locked(&self.presence);
        let all = presence.all().iter().map(|(path, clients)| presence_text(path, clients)).collect();
        (all, locked(&self.ring).last())
    }

    /// Who is there: by client, for the status.
    pub(crate) fn clients(&self) -> BTreeMap<String, (String, Option<String>)> {
        let presence = locked(&self.presence);
        presence.clients().map(|(id, client)| (id.clone(), (client.session.clone(), client.path.clone()))).collect()
    }

    pub(super) fn viewed(&self) -> Vec<String> {
        locked(&self.presence).paths()
    }

    pub(super) fn is_anybody_there(&self) -> bool {
        !locked(&self.presence).is_empty()
    }

    // --- Sources ---

    /// What is told from now on begins with what changes from now on.
    pub(crate) async fn start(self: &Arc<Self>, state: &State) -> Result<()> {
        let mut running = self.running.lock().await;
        if !*running {
            source::start(state).await?;
            *running = true;
        }
        Ok(())
    }

    pub(super) async fn stopped(&self) {
        *self.running.lock().await = false;
    }

    pub(super) fn set_mode(&self, mode: &'static str) {
        *locked(&self.mode) = Some(mode);
    }

    /// How changes are heard of; `None`: nobody wanted to yet.
    pub(crate) fn mode(&self) -> Option<&'static str> {
        *locked(&self.mode)
    }

    /// True: the lookout does not run yet, and is to.
    pub(super) fn begin_lookout(&self) -> bool {
        !self.looking.swap(true, Ordering::Relaxed)
    }

    pub(super) fn lookout(&self) -> MutexGuard<'_, Lookout> {
        locked(&self.lookout)
    }

    pub(super) fn look(&self) -> &Notify {
        &self.look
    }

    /// Notes what a file's lock is now, and tells if it is another than before.
    pub(crate) fn lock_is(&self, view: &LockView) {
        let news = self.lookout().is(view);
        if let Some(news) = news {
            self.tell(&news);
            self.look.notify_one();
        }
    }

    pub(super) fn auditors(&self) -> &watch::Sender<usize> {
        &self.auditors
    }
}

fn presence_text(path: &str, clients: &[Viewer]) -> String {
    Aside::Presence { path, clients }.text()
}
