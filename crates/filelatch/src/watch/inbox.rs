//! What the thread of a watch is told and asked: hints of the system, and wishes of callers.
//!
//! # Invariants
//! - Hints are taken in the order in which they came; when they are too many they become one [`Hint::Lost`], which says more than they did.
//! - A cookie counts as seen when its hint is taken, so after all hints before it, or with the next `Lost`: then everything is looked at, and
//!   that begins after the cookie was made.
//! - Every wish is answered, also when the thread ends.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::sync::{Arc, Mutex};
use std::thread::Thread;
use std::time::Duration;

use filelatch_fs::events::Hint;
use filelatch_fs::{Host, Tell};

use super::cookie::is_cookie;
use crate::error::{Error, Result};
use crate::lock::resource::locked;

/// Hints that may wait. A thread that has this many to work off is faster if it looks at everything once.
const HINTS: usize = 32_768;

/// A wish.
#[derive(Debug)]
pub(crate) enum Wish {
    /// To have reported everything that was hinted at before these cookies.
    Seen(Vec<OsString>),
    /// To have looked at everything.
    Rescan,
    /// To have saved what is known.
    Save,
    /// To hear of the thread's end.
    End,
}

#[derive(Debug)]
pub(crate) struct Inbox {
    host: Arc<dyn Host>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    hints: VecDeque<Hint>,
    wishes: Vec<Asked>,
    ids: u64,
    stop: bool,
    /// Who takes.
    thread: Option<Thread>,
    /// Nobody takes any more.
    ended: Option<Error>,
}

#[derive(Debug)]
struct Asked {
    id: u64,
    wish: Wish,
    by: Thread,
    answer: Option<Result<()>>,
}

/// What is to be done now.
#[derive(Debug, Default)]
pub(crate) struct Work {
    pub(crate) hints: VecDeque<Hint>,
    pub(crate) stop: bool,
}

/// Wishes that can be fulfilled now.
#[derive(Debug, Default)]
pub(crate) struct Due {
    pub(crate) seen: Vec<u64>,
    pub(crate) rescan: Vec<u64>,
    pub(crate) save: Vec<u64>,
}

impl Inbox {
    pub(crate) fn new(host: Arc<dyn Host>) -> Arc<Inbox> {
        Arc::new(Inbox { host, state: Mutex::default() })
    }

    /// For a source of hints.
    pub(crate) fn tell(self: &Arc<Self>) -> Tell {
        let inbox = Arc::clone(self);
        Arc::new(move |hint| inbox.hint(hint))
    }

    pub(crate) fn hint(&self, hint: Hint) {
        let mut state = locked(&self.state);
        if state.ended.is_some() {
            return;
        }
        if state.hints.len() >= HINTS {
            state.hints.clear();
            state.hints.push_back(Hint::Lost);
        }
        state.hints.push_back(hint);
        self.wake(&state);
    }

    fn wake(&self, state: &State) {
        if let Some(thread) = &state.thread {
            self.host.unpark(thread);
        }
    }

    /// The calling thread is the one that takes from now on.
    pub(crate) fn attend(&self) {
        locked(&self.state).thread = Some(std::thread::current());
    }

    /// Everything that has come.
    pub(crate) fn take(&self) -> Work {
        let mut state = locked(&self.state);
        Work { hints: std::mem::take(&mut state.hints), stop: state.stop }
    }

    /// The hints that were taken are this one, and others: cookies are noted. True: it is one, and nobody else's business.
    pub(crate) fn is_seen(&self, hint: &Hint) -> bool {
        match hint {
            Hint::Lost => {
                let mut state = locked(&self.state);
                state.wishes.iter_mut().for_each(|asked| asked.sees(|_| true));
                false
            }
            Hint::At { path, .. } => {
                let Some(name) = path.file_name().filter(|name| is_cookie(name)) else { return false };
                let mut state = locked(&self.state);
                state.wishes.iter_mut().for_each(|asked| asked.sees(|cookie| cookie == name));
                true
            }
        }
    }

    /// What can be fulfilled by now.
    pub(crate) fn due(&self) -> Due {
        let state = locked(&self.state);
        let mut due = Due::default();
        for asked in state.wishes.iter().filter(|asked| asked.answer.is_none()) {
            match &asked.wish {
                Wish::Seen(cookies) if cookies.is_empty() => due.seen.push(asked.id),
                Wish::Seen(_) | Wish::End => {}
                Wish::Rescan => due.rescan.push(asked.id),
                Wish::Save => due.save.push(asked.id),
            }
        }
        due
    }

    /// These are fulfilled, or can't be.
    pub(crate) fn answer(&self, ids: &[u64], result: &Result<()>) {
        let mut state = locked(&self.state);
        for asked in state.wishes.iter_mut().filter(|asked| ids.contains(&asked.id)) {
            asked.answer = Some(result.as_ref().copied().map_err(Error::share));
            self.host.unpark(&asked.by);
        }
    }

    /// Nothing is taken any more: all wishes, also later ones, are answered with this error.
    pub(crate) fn end(&self, why: &Error) {
        let mut state = locked(&self.state);
        state.ended = Some(why.share());
        state.hints.clear();
        for asked in &mut state.wishes {
            asked.answer.get_or_insert_with(|| Err(why.share()));
            self.host.unpark(&asked.by);
        }
    }

    /// The thread is to end.
    pub(crate) fn stop(&self) {
        let mut state = locked(&self.state);
        state.stop = true;
        self.wake(&state);
    }

    /// Waits until nothing is taken any more, or the host's clock shows this.
    pub(crate) fn wait_for_end(&self, until: Duration) {
        self.ask(Wish::End).wait_until(until);
    }

    /// Puts a wish. It is forgotten when what this answers is dropped.
    pub(crate) fn ask(&self, wish: Wish) -> Answer<'_> {
        let mut state = locked(&self.state);
        state.ids += 1;
        let id = state.ids;
        let answer = state.ended.as_ref().map(|why| Err(why.share()));
        state.wishes.push(Asked { id, wish, by: std::thread::current(), answer });
        self.wake(&state);
        Answer { inbox: self, id }
    }
}

impl Asked {
    fn sees(&mut self, cookie: impl Fn(&OsStr) -> bool) {
        if let Wish::Seen(cookies) = &mut self.wish {
            cookies.retain(|own| !cookie(own));
        }
    }
}

/// A wish that was put.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    inbox: &'a Inbox,
    id: u64,
}

impl Answer<'_> {
    /// Waits until the host's clock shows this. `None`: not answered by then.
    pub(crate) fn wait_until(&self, until: Duration) -> Option<Result<()>> {
        loop {
            let answer = locked(&self.inbox.state).wishes.iter_mut().find(|asked| asked.id == self.id)?.answer.take();
            let now = self.inbox.host.monotonic();
            if answer.is_some() || now >= until {
                return answer;
            }
            self.inbox.host.park(Some(until.saturating_sub(now)));
        }
    }
}

impl Drop for Answer<'_> {
    fn drop(&mut self) {
        locked(&self.inbox.state).wishes.retain(|asked| asked.id != self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::cookie;
    use filelatch_fs::events::Happened;
    use filelatch_fs::sim::SimHost;

    fn at(name: &OsStr) -> Hint {
        Hint::At { path: std::path::Path::new("/d").join(name), what: Happened::Created }
    }

    fn inbox() -> (Arc<Inbox>, OsString) {
        let host = Arc::new(SimHost::new(1));
        let name = cookie::name(&*host);
        (Inbox::new(host), name)
    }

    /// WATCH-1: a barrier is due when all of its cookies were taken, and not before.
    #[test]
    fn cookies_are_seen_in_their_turn() {
        let (inbox, first) = inbox();
        let second = cookie::name(&SimHost::new(2));
        let asked = inbox.ask(Wish::Seen(vec![first.clone(), second.clone()]));
        for hint in [at("a".as_ref()), at(&first)] {
            assert_eq!(inbox.is_seen(&hint), hint != at("a".as_ref()));
            assert!(inbox.due().seen.is_empty());
        }
        assert!(inbox.is_seen(&at(&second)));
        assert_eq!(inbox.due().seen, [asked.id]);
        inbox.answer(&[asked.id], &Ok(()));
        assert!(inbox.due().seen.is_empty());
        assert!(matches!(asked.wait_until(Duration::ZERO), Some(Ok(()))));
    }

    /// WATCH-1: too many hints become one that everything is to be looked at; a barrier whose cookie was among them is due then.
    #[test]
    fn too_many_hints() {
        let (inbox, cookie) = inbox();
        let asked = inbox.ask(Wish::Seen(vec![cookie.clone()]));
        inbox.hint(at(&cookie));
        for n in 0..HINTS {
            inbox.hint(at(n.to_string().as_ref()));
        }
        let hints = inbox.take().hints;
        assert_eq!(hints.len(), 2);
        assert_eq!(hints[0], Hint::Lost);
        assert!(!inbox.is_seen(&hints[0]), "the tracker must hear of it");
        assert_eq!(inbox.due().seen, [asked.id]);
    }

    /// WATCH-1: wishes are answered when the thread has ended, also those that come later.
    #[test]
    fn ends_with_answers() {
        let (inbox, _) = inbox();
        let early = inbox.ask(Wish::Rescan);
        inbox.end(&Error::Cancelled { path: "/".into() });
        let late = inbox.ask(Wish::Save);
        for asked in [early, late] {
            assert_eq!(asked.wait_until(Duration::ZERO).unwrap().unwrap_err().code(), "cancelled");
        }
        assert!(locked(&inbox.state).wishes.is_empty(), "nothing is left of them");
    }
}
