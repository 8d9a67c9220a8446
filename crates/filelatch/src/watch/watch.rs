//! Beginning a watch, and what its owner can do with it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, io};

use super::cookie;
use super::event::{Cursor, Event};
use super::feed::{Feed, Listener, Position, Reader};
use super::ground::Ground;
use super::inbox::{Inbox, Wish};
use super::options::{Polling, WatchOptions};
use super::poll::{Mode, Pauses, PollReason};
use super::run::{Looks, Runner, Saver};
use super::state::{Found, Store};
use super::table::PathText;
use super::touched::{Touched, TouchedLocks};
use super::tracker::Tracker;
use crate::engine::Filelatch;
use crate::error::{Error, Result, plain};
use crate::lock::resource::locked;
use crate::parts::Parts;

/// The thread's stack: it hashes and lists, none of it deep.
const STACK: usize = 1 << 20;
/// How long a cookie may go unheard before everything is looked at instead.
const COOKIE: Duration = Duration::from_secs(1);
/// How long a dropped watch waits for its thread to save.
const END: Duration = Duration::from_secs(10);

/// What became of the state of a former watch ([`WatchOptions::resume`]).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resumed {
    /// The watch has no name, or it is the first one of this name.
    No,
    /// It goes on where the last one ended.
    Yes {
        /// The last one was killed: it may have reported more than is known of it, so the first event is [`Event::Reset`].
        after_kill: bool,
    },
    /// The state is of no use, and the first event is [`Event::Reset`].
    Unusable {
        /// Why, and where it is now.
        why: String,
    },
}

/// A watch on files and trees. It ends when it is dropped.
///
/// Reports are read with [`Watch::next`], or with any number of [`Watch::reader`]s, each from a place of its own.
pub struct Watch {
    parts: Arc<Parts>,
    pid: u32,
    ground: Box<Ground>,
    /// Do all hints come through one queue?
    one_queue: bool,
    inbox: Arc<Inbox>,
    feed: Arc<Feed>,
    position: Mutex<Position>,
    mode: Arc<Mutex<Mode>>,
    touched: Option<Arc<Touched>>,
    resumed: Resumed,
}

impl Filelatch {
    /// Watches files and trees. When this returns, every change that is made afterwards will be reported; of a watch that is resumed also
    /// every difference from what the former one knew.
    ///
    /// A path may be relative: it is resolved now, against the current directory. What it leads to is watched, through symbolic links, also
    /// when the path comes to lead elsewhere. It need not exist, unless [`WatchOptions::missing`] says otherwise.
    ///
    /// ```
    /// # fn main() -> Result<(), filelatch::Error> {
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let dir = dir.path();
    /// use filelatch::watch::{ChangeKind, Event, Origin, WatchOptions};
    ///
    /// let latch = filelatch::Filelatch::new();
    /// let watch = latch.watch([dir], &WatchOptions::new())?;
    /// std::fs::write(dir.join("a.txt"), "by another program").unwrap();
    ///
    /// let Some(Event::Change(change)) = watch.next(None)? else { panic!() };
    /// assert_eq!((change.kind, change.path), (ChangeKind::Created, dir.join("a.txt")));
    /// assert_eq!(change.origin, Origin::External);
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch<P: Into<PathBuf>>(&self, paths: impl IntoIterator<Item = P>, options: &WatchOptions) -> Result<Watch> {
        let paths: Vec<PathBuf> = paths.into_iter().map(Into::into).collect();
        Watch::begin(self, &paths, options)
    }
}

impl Watch {
    fn begin(latch: &Filelatch, paths: &[PathBuf], options: &WatchOptions) -> Result<Watch> {
        let parts = latch.parts();
        let host = &parts.host;
        let Some(first) = paths.first().cloned() else {
            let nothing = io::Error::new(io::ErrorKind::InvalidInput, "no path was given");
            return Err(Error::io("watch", "", nothing));
        };
        if !options.missing {
            paths.iter().try_for_each(|path| exists(parts, path))?;
        }
        let ground = Box::new(Ground::under(latch, paths)?);
        let store = match &options.resume {
            None => None,
            Some(name) => Some(Store::open(latch, ground.first(), name, asked(parts, paths, options)?)?),
        };
        let found = store.as_ref().map_or(Ok(Found::Nothing), Store::load)?;
        let (resumed, saved) = match found {
            Found::Nothing => (Resumed::No, None),
            Found::Saved(saved) => (Resumed::Yes { after_kill: !saved.ended }, Some(saved)),
            Found::Unusable(why) => (Resumed::Unusable { why }, None),
        };
        let (tail, table) = saved.map(|saved| (saved.tail, saved.table)).unzip();

        let inbox = Inbox::new(Arc::clone(host));
        inbox.attend();
        let (events, no_events) = match parts.fs.events(inbox.tell()) {
            Ok(events) => (Some(events), None),
            Err(e) => (None, Some(PollReason::NoEvents(plain(&e)))),
        };
        let one_queue = events.as_ref().is_some_and(|events| !events.covers_trees());
        let mut tracker = Tracker::new(Arc::clone(parts), ground.roots(&*parts.fs, paths), options)?;
        let mut reports = Vec::new();
        let began = host.monotonic();
        tracker.begin(events, table, began, &mut reports);
        let mut pauses = Pauses::new(options.polling);
        pauses.looked(host.monotonic().saturating_sub(began));

        let feed = Arc::new(Feed::new(Arc::clone(host), first.clone(), options.kept, tail));
        let reset = !matches!(resumed, Resumed::No | Resumed::Yes { after_kill: false });
        let mut runner = Runner {
            host: Arc::clone(host),
            tracker,
            inbox: Arc::clone(&inbox),
            feed: Arc::clone(&feed),
            mode: Arc::new(Mutex::new(Mode::Events)),
            looks: Looks { pauses, next: None },
            saver: store.map(Saver::new),
            own: options.own,
            touched: options.locks.then(Arc::default),
        };
        let why = if matches!(options.polling, Polling::Always(_)) {
            Some(PollReason::Asked)
        } else if no_events.is_some() {
            no_events
        } else if runner.tracker.unwatched() {
            Some(PollReason::Limit)
        } else if let Some(name) = ground.remote() {
            Some(PollReason::Remote(name.to_owned()))
        } else {
            (!runner.hears(&*parts.fs, ground.samples())).then_some(PollReason::Silent)
        };
        match why {
            Some(why) if options.polling == Polling::Never => {
                return Err(Error::NotWatchable { path: first, why: why.to_string() });
            }
            Some(why) => runner.look_again(why),
            None => {}
        }
        // Before anything is reported: whoever comes next must know this watch's cursors, and that it may have been killed.
        runner.save(false)?;
        runner.publish(&mut reports);
        let watch = Watch {
            parts: Arc::clone(parts),
            pid: host.pid(),
            ground,
            one_queue,
            inbox,
            position: Mutex::new(feed.beginning(reset)),
            feed,
            mode: Arc::clone(&runner.mode),
            touched: runner.touched.clone(),
            resumed,
        };
        let started = host.spawn("filelatch-watch", STACK, Box::new(move || runner.run()));
        if let Err(e) = started {
            let why = Error::Internal { path: first, message: format!("no thread for it: {}", plain(&e)) };
            // There is no thread that the end of the watch could wait for.
            watch.inbox.end(&why);
            return Err(why);
        }
        Ok(watch)
    }

    /// What was reported next; waits for it at most so long, without limit for `None`. `Ok(None)`: nothing within that time.
    ///
    /// This is the watch's own first reader: it begins where the watch began. Calls from several threads share its place. It is also told,
    /// as errors, of what went wrong but did not end the watch: that the state could not be saved. After the error that has ended it every
    /// further call has the same one.
    pub fn next(&self, wait: Option<Duration>) -> Result<Option<Event>> {
        self.feed.next(&self.position, true, wait)
    }

    /// A reader of what is reported after a cursor; for `None` from now on. [`Event::Reset`] comes first when the cursor is not known, or
    /// reports after it are not kept any more.
    pub fn reader(&self, since: Option<Cursor>) -> Reader {
        let position = since.map_or_else(|| self.feed.now(), |since| self.feed.position(since));
        Reader::new(Arc::clone(&self.feed), position)
    }

    /// Everything that was changed before this call is reported when it returns: by [`Watch::next`] and readers, without waiting.
    ///
    /// [`Error::NotInSync`]: it took longer than `wait`. Where the system tells of changes a file is made and removed in each watched directory
    /// to see how far its queue was heard (L44); where it does not, or the file can't be made, everything is looked at.
    ///
    /// A file that another program goes on changing during the call may be reported later.
    pub fn sync(&self, wait: Duration) -> Result<()> {
        let host = &self.parts.host;
        let until = host.monotonic().saturating_add(wait);
        if *locked(&self.mode) == Mode::Events
            && let Some(answer) = self.sync_by_cookies(until)
        {
            return answer;
        }
        let answer = self.inbox.ask(Wish::Rescan).wait_until(until);
        answer.unwrap_or_else(|| Err(Error::NotInSync { path: self.feed.path().to_owned(), waited: wait }))
    }

    /// `None`: there can be no cookies, or they were not heard of.
    fn sync_by_cookies(&self, until: Duration) -> Option<Result<()>> {
        let (fs, host) = (&*self.parts.fs, &*self.parts.host);
        let named = |dir| (dir, cookie::name(host));
        let cookies: Vec<_> = self.ground.dirs().iter().map(named).collect();
        let make = |(dir, name): &(&PathBuf, OsString)| cookie::make(fs, dir, name).is_ok();
        let asked;
        if self.one_queue {
            // What comes from anywhere is in the same queue: the first directory that takes one will do.
            let mut made = cookies.iter().map(|cookie| {
                let asked = self.inbox.ask(Wish::Seen(vec![cookie.1.clone()]));
                make(cookie).then_some(asked)
            });
            asked = made.find_map(|made| made)?;
        } else {
            asked = self.inbox.ask(Wish::Seen(cookies.iter().map(|(_, name)| name.clone()).collect()));
            if cookies.is_empty() || !self.ground.is_complete() || !cookies.iter().all(make) {
                return None;
            }
        }
        asked.wait_until(until.min(host.monotonic().saturating_add(COOKIE)))
    }

    /// The place after all that was reported so far.
    pub fn cursor(&self) -> Cursor {
        self.feed.cursor()
    }

    /// Whose locks and leases may be others than at the last call, if [`WatchOptions::locks`] was asked for. Listeners
    /// ([`Watch::on_event`]) are called when there is something.
    ///
    /// Where the system tells of no changes, nothing is ever named.
    pub fn touched_locks(&self) -> TouchedLocks {
        self.touched.as_ref().map(|touched| touched.take()).unwrap_or_default()
    }

    /// How it hears of changes, by now: it begins to look again and again when the system's limit of watches is reached.
    pub fn mode(&self) -> Mode {
        locked(&self.mode).clone()
    }

    /// False: it has ended by itself, and [`Watch::next`] says why.
    pub fn is_alive(&self) -> bool {
        !self.feed.has_ended()
    }

    /// What became of the state of the former watch.
    pub fn resumed(&self) -> &Resumed {
        &self.resumed
    }

    /// Saves the state that the next watch of this name begins with. Nothing without a name. It is also saved when the watch is dropped, and
    /// about two seconds after each change.
    pub fn checkpoint(&self, wait: Duration) -> Result<()> {
        let until = self.parts.host.monotonic().saturating_add(wait);
        let answer = self.inbox.ask(Wish::Save).wait_until(until);
        answer.unwrap_or_else(|| Err(Error::NotInSync { path: self.feed.path().to_owned(), waited: wait }))
    }

    /// Calls `listener` whenever there is something new to read, or the watch has ended, until what this answers is dropped. It is called on
    /// the watch's thread, holds it up, and may not wait for the watch. For those who wait for other things as well, such as tasks.
    pub fn on_event(&self, listener: impl Fn() + Send + Sync + 'static) -> Listening {
        let listener: Listener = Arc::new(listener);
        Listening { feed: Arc::clone(&self.feed), id: self.feed.listen(listener) }
    }
}

impl Drop for Watch {
    /// Ends the watch and waits, for at most 10 s, until its state is saved and its name is free.
    fn drop(&mut self) {
        let host = &self.parts.host;
        // A forked child does not have the thread.
        if host.pid() == self.pid {
            self.inbox.stop();
            let until = host.monotonic().saturating_add(END);
            // Answered when the thread ends, if not before.
            self.inbox.wait_for_end(until);
        }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = f.debug_struct("Watch");
        all.field("feed", &self.feed)
            .field("mode", &self.mode())
            .field("resumed", &self.resumed)
            .finish_non_exhaustive()
    }
}

/// Somebody is called; until this is dropped.
#[must_use = "dropping it ends the calls"]
#[derive(Debug)]
pub struct Listening {
    feed: Arc<Feed>,
    id: u64,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.feed.stop_listening(self.id);
    }
}

fn exists(parts: &Parts, path: &Path) -> Result<()> {
    match parts.fs.stat(path) {
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(Error::NotFound { path: path.to_owned() }),
        Err(e) => Err(Error::io("look at", path, e)),
    }
}

/// What is watched and how, as a text: what a former watch knows is of use only if it was asked for the same.
fn asked(parts: &Parts, paths: &[PathBuf], options: &WatchOptions) -> Result<String> {
    let current = parts.fs.current_dir().map_err(|e| Error::io("find", ".", e))?;
    let whole: Vec<_> = paths.iter().map(|path| (PathText::of(path), PathText::of(&current.join(path)))).collect();
    let how = (options.recursive, &options.ignore, options.version_control, options.hash_limit);
    // Of texts and numbers: that can't fail.
    Ok(serde_json::to_string(&(whole, how)).unwrap_or_default())
}
