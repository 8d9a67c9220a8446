//! What is told of changes, to whom, and what can go wrong with it.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;
use std::thread::{self, Thread};

use super::*;
use crate::events::{Events, Happened, Hint};
use crate::fs::read_to_end;
use crate::host::Host;
use crate::sim::{Fault, HintFault, Plan, Schedules, Verb, Watching, is_killed, is_power_cut};
use crate::types::Access;

/// A source that watches `/`, and what it told.
struct Ear {
    events: Box<dyn Events>,
    told: Arc<Mutex<Vec<Hint>>>,
}

impl Ear {
    fn of(fs: &SimFs) -> Ear {
        let told = Arc::new(Mutex::new(Vec::new()));
        let all = Arc::clone(&told);
        let events = fs.events(Arc::new(move |hint| all.lock().unwrap().push(hint))).unwrap();
        events.add("/".as_ref()).unwrap();
        Ear { events, told }
    }

    fn told(&self) -> Vec<Hint> {
        std::mem::take(&mut self.told.lock().unwrap())
    }
}

fn at(path: &str, what: Happened) -> Hint {
    Hint::At { path: path.into(), what }
}

/// The names that were created, in the order in which they were told.
fn created(hints: &[Hint]) -> Vec<&Path> {
    let name = |hint| match hint {
        &Hint::At { ref path, what: Happened::Created } => Some(path.as_path()),
        _ => None,
    };
    hints.iter().filter_map(name).collect()
}

/// WATCH-1: whoever makes a change, in any process or none, it is told before the call returns, and what was told can look.
#[test]
fn everybody_is_told_at_once() {
    let fs = SimFs::default();
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (all, eyes) = (Arc::clone(&sizes), fs.foreign());
    let tell = move |_| all.lock().unwrap().push(eyes.read("/f").map(|bytes| bytes.len()).ok());
    let events = fs.events(Arc::new(tell)).unwrap();
    events.add("/".as_ref()).unwrap();
    let ear = Ear::of(&fs.process());
    assert!(!events.covers_trees() && events.tells_close());

    fs.process().foreign().create("/f", b"text").unwrap();
    let story = [at("/f", Happened::Created), at("/f", Happened::Written), at("/f", Happened::Closed)];
    assert_eq!(ear.told(), story);
    assert_eq!(*sizes.lock().unwrap(), [Some(0), Some(4), Some(4)]);
    let file = fs.process();
    let file = root(&file).open("f".as_ref(), Access::ReadWrite).unwrap();
    file.set_len(1).unwrap();
    assert_eq!(ear.told(), [at("/f", Happened::Written)]);
    fs.foreign().rename("/f", "/g").unwrap();
    assert_eq!(ear.told(), [at("/f", Happened::Gone), at("/g", Happened::MovedIn)]);
    fs.foreign().mkfifo("/p").unwrap();
    assert_eq!(ear.told(), [at("/p", Happened::Created)]);
}

/// WATCH-1: a killed process closes its files, which is told, and is told nothing any more.
#[test]
fn the_dead_are_told_nothing() {
    let fs = SimFs::default();
    let other = fs.process();
    let (ear, dead) = (Ear::of(&fs), Ear::of(&other));
    let file = root(&other).create_new("f".as_ref(), 0o600).unwrap();
    assert_eq!((ear.told().len(), dead.told().len()), (1, 1));
    other.kill();
    assert_eq!(ear.told(), [at("/f", Happened::Closed)]);
    drop(file);
    assert!(ear.told().is_empty() && dead.told().is_empty());
    assert!(is_killed(&dead.events.add("/".as_ref()).unwrap_err()));
    fs.power_cut();
    assert!(is_power_cut(&ear.events.add("/".as_ref()).unwrap_err()));
    fs.foreign().create("/g", b"").unwrap_err();
    assert!(ear.told().is_empty());
}

/// WATCH-1: what is of no interest any more, and a source that is dropped, are silent.
#[test]
fn silence() {
    let fs = SimFs::default();
    let ear = Ear::of(&fs);
    ear.events.remove("/".as_ref());
    fs.foreign().create("/a", b"").unwrap();
    ear.events.add("/".as_ref()).unwrap();
    assert!(ear.told().is_empty());
    let told = Arc::clone(&ear.told);
    fs.disturb_hints(HintFault::Hold);
    fs.foreign().create("/b", b"").unwrap();
    drop(ear);
    fs.release_hints();
    fs.foreign().create("/c", b"").unwrap();
    assert!(told.lock().unwrap().is_empty());
}

/// TEST-3: hints are lost, doubled, replaced by an overflow, as ordered, until that is taken back.
#[test]
fn hints_go_wrong_as_ordered() {
    let fs = SimFs::default();
    let ear = Ear::of(&fs);
    let dirs = |from: usize| (from..from + 3).for_each(|n| fs.create_dir(format!("/{n}").as_ref()).unwrap());
    fs.disturb_hints(HintFault::Lose(1));
    dirs(0);
    assert_eq!(created(&ear.told()), [Path::new("/0"), Path::new("/2")]);
    fs.disturb_hints(HintFault::Double);
    dirs(3);
    assert_eq!(created(&ear.told()), ["/3", "/3", "/4", "/4", "/5", "/5"].map(Path::new));
    fs.heal();
    fs.disturb_hints(HintFault::Overflow(2));
    dirs(6);
    assert_eq!(ear.told(), [Hint::Lost, Hint::Lost, at("/8", Happened::Created)]);
    fs.disturb_hints(HintFault::LoseAll);
    dirs(9);
    assert!(ear.told().is_empty());
    fs.heal();
    dirs(12);
    assert_eq!(ear.told().len(), 3);
    assert_eq!(fs.hints().len(), 15, "all that there was to tell");
    fs.settle();
    assert!(fs.hints().is_empty());
}

/// TEST-3: hints come late, in their order or in another one, which a seed decides.
#[test]
fn hints_come_late() {
    let fs = SimFs::default();
    let ear = Ear::of(&fs);
    let mut orders = BTreeSet::new();
    for seed in 0..40 {
        fs.disturb_hints(HintFault::Hold);
        let names: Vec<String> = ["a", "b", "c"].iter().map(|name| format!("/{name}{seed}")).collect();
        for name in &names {
            fs.create_dir(name.as_ref()).unwrap();
        }
        assert!(ear.told().is_empty());
        fs.heal();
        fs.stat("/".as_ref()).unwrap();
        assert!(ear.told().is_empty(), "held until they are released");
        if seed == 0 {
            fs.release_hints();
            assert_eq!(created(&ear.told()), names.iter().map(Path::new).collect::<Vec<_>>());
            continue;
        }
        fs.release_hints_shuffled(seed);
        let told = ear.told();
        let order: Vec<usize> =
            created(&told).iter().map(|path| names.iter().position(|name| Path::new(name) == *path).unwrap()).collect();
        orders.insert(order);
    }
    assert_eq!(orders.len(), 6, "every order of three comes");
    fs.create_dir("/now".as_ref()).unwrap();
    assert_eq!(ear.told().len(), 1);
}

/// TEST-3: watching is made of calls that are counted and fail; a system without hints and one whose watches are used up.
#[test]
fn watching_fails_as_ordered() {
    let fs = SimFs::new(Dials { watches: Some(1), ..Dials::default() });
    fs.foreign().create_dirs("/d/e").unwrap();
    let ear = Ear::of(&fs);
    assert_eq!(fs.trace_calls().iter().map(|call| call.verb).collect::<Vec<_>>(), [Verb::Events, Verb::AddWatch]);
    ear.events.add("/".as_ref()).unwrap();
    assert_eq!(ear.events.add("/d".as_ref()).unwrap_err().kind(), ErrorKind::StorageFull);
    ear.events.remove("/".as_ref());
    ear.events.add("/d".as_ref()).unwrap();
    assert_eq!(ear.events.add("/nowhere".as_ref()).unwrap_err().kind(), ErrorKind::NotFound);
    fs.foreign().create("/f", b"").unwrap();
    assert_eq!(ear.events.add("/f".as_ref()).unwrap_err().kind(), ErrorKind::NotADirectory);
    assert!(ear.told().is_empty(), "what was removed is not told");

    fs.fail_verb(Verb::RemoveWatch, Fault::EIO);
    ear.events.remove("/d".as_ref());
    fs.heal();
    fs.foreign().create("/d/f", b"").unwrap();
    assert_eq!(created(&ear.told()), [Path::new("/d/f")], "a removal that fails leaves the watch");
    assert!(Fault::from(ErrorKind::StorageFull).may_hit(Verb::AddWatch));
    fs.fail_verb(Verb::AddWatch, ErrorKind::StorageFull);
    assert_eq!(ear.events.add("/d".as_ref()).unwrap_err().kind(), ErrorKind::StorageFull);

    // A watch ends with its directory, and makes room.
    fs.heal();
    fs.foreign().remove("/d/f").unwrap();
    root(&fs).open_dir("d".as_ref()).unwrap().remove_dir("e".as_ref()).unwrap();
    root(&fs).remove_dir("d".as_ref()).unwrap();
    assert_eq!(ear.told().last(), Some(&at("/d", Happened::Gone)));
    ear.events.add("/".as_ref()).unwrap();

    // What is done and reported as failed is told.
    fs.fail_verb(Verb::Rename, Fault::Late(ErrorKind::Other));
    root(&fs).rename("f".as_ref(), "g".as_ref()).unwrap_err();
    assert_eq!(ear.told(), [at("/f", Happened::Gone), at("/g", Happened::MovedIn)]);

    let mute = SimFs::new(Dials { events: Watching::Missing, ..Dials::default() });
    assert_eq!(mute.events(Arc::new(|_| ())).unwrap_err().kind(), ErrorKind::Unsupported);
}

/// WATCH-1: a system that covers trees tells of everything below, by the path of the directory that was added, and not of closing.
#[test]
fn whole_trees() {
    let fs = SimFs::new(Dials { events: Watching::Trees, ..Dials::default() });
    fs.foreign().create_dirs("/top/a/b").unwrap();
    fs.foreign().create_dirs("/beside").unwrap();
    fs.foreign().symlink("/top", "/link").unwrap();
    let ear = Ear::of(&fs);
    assert!(ear.events.covers_trees() && !ear.events.tells_close());
    ear.events.remove("/".as_ref());
    ear.events.add("/link".as_ref()).unwrap();
    fs.foreign().create("/beside/f", b"text").unwrap();
    fs.foreign().create("/top/a/b/f", b"text").unwrap();
    assert_eq!(ear.told(), [at("/link/a/b/f", Happened::Created), at("/link/a/b/f", Happened::Written)]);
    fs.foreign().rename("/top/a", "/beside/a").unwrap();
    assert_eq!(ear.told(), [at("/link/a", Happened::Gone)]);
    fs.foreign().create("/beside/a/g", b"").unwrap();
    assert!(ear.told().is_empty());
}

/// WATCH-1: a case-insensitive system tells of a name as it is shown, also when only its case changes.
#[test]
fn names_as_they_are_shown() {
    let fs = SimFs::new(Dials { case_insensitive: true, ..Dials::default() });
    fs.foreign().create("/Name", b"").unwrap();
    let ear = Ear::of(&fs);
    let file = fs.foreign().open("/NAME", Access::ReadWrite).unwrap();
    file.set_len(3).unwrap();
    fs.foreign().rename("/name", "/nAME").unwrap();
    file.set_len(4).unwrap();
    let story = [
        at("/Name", Happened::Written),
        at("/name", Happened::Gone),
        at("/nAME", Happened::MovedIn),
        at("/nAME", Happened::Written),
    ];
    assert_eq!(ear.told(), story);
}

/// A queue that one thread waits for and others fill.
#[derive(Default)]
struct Queue(Mutex<(VecDeque<Hint>, Option<Thread>)>);

impl Queue {
    /// Watches `/`.
    fn fill(self: &Arc<Queue>, fs: &SimFs) -> Box<dyn Events> {
        let (inbox, host) = (Arc::clone(self), fs.host());
        let tell = move |hint| {
            let mut state = inbox.0.lock().unwrap();
            state.0.push_back(hint);
            let waiting = state.1.take();
            drop(state);
            if let Some(thread) = waiting {
                host.unpark(&thread);
            }
        };
        let events = fs.events(Arc::new(tell)).unwrap();
        events.add("/".as_ref()).unwrap();
        events
    }

    /// Parks without a timeout: if nobody tells, that is a deadlock, which the exploration finds.
    fn wait(&self, fs: &SimFs) -> Hint {
        loop {
            let mut state = self.0.lock().unwrap();
            if let Some(hint) = state.0.pop_front() {
                return hint;
            }
            state.1 = Some(thread::current());
            drop(state);
            fs.host().park(None);
        }
    }
}

/// WATCH-1, TEST-3: under every schedule, who watches, then looks, then waits for hints comes to know of a change: it was there when he
/// looked, or it is told.
#[test]
fn nothing_falls_between_watching_and_looking() {
    let explored = Schedules::default().explore(|plan: &mut Plan| {
        plan.process("writer", |fs| {
            root(fs).create_new("f".as_ref(), 0o600).unwrap().write_at(b"text", 0).unwrap();
        });
        plan.process("watcher", |fs| {
            let queue = Arc::new(Queue::default());
            let _events = queue.fill(fs);
            let complete = |fs: &SimFs| {
                let bytes = root(fs).open("f".as_ref(), Access::Read).and_then(|file| read_to_end(&*file, 9));
                bytes.is_ok_and(|bytes| bytes == b"text")
            };
            while !complete(fs) {
                queue.wait(fs);
            }
        });
    });
    explored.assert_complete();
    assert!(explored.schedules > 50, "{explored:?}");
}

/// WATCH-1, TEST-3: a process that is killed under the scheduler closes its files; who waits for that is woken by it.
#[test]
fn a_death_is_told_under_schedules() {
    let deadly = Schedules { deaths: 1, ..Schedules::default() };
    let explored = deadly.explore(|plan: &mut Plan| {
        let watcher = plan.fs().process();
        let queue = Arc::new(Queue::default());
        let events = queue.fill(&watcher);
        plan.process("writer", |fs| {
            let file = root(fs).create_new("f".as_ref(), 0o600).unwrap();
            file.stat().unwrap();
            file.stat().unwrap();
        });
        plan.thread(&watcher, "watcher", move |fs| {
            let _events = events;
            let here = root(fs).open("f".as_ref(), Access::Read).is_ok();
            while here && queue.wait(fs) != at("/f", Happened::Closed) {}
        });
    });
    explored.assert_complete();
    assert!(explored.schedules > 20, "{explored:?}");
}
