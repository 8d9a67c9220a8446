//! The command queue with real processes: runners that are killed, stopped and woken.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use filelatch::store::log::LogOptions;
use filelatch::store::queue::{
    Beside, ClaimOptions, CommandState, CommandUpdate, NewCommand, Outcome, PruneOptions, Queue,
};
use filelatch::{CancelToken, Error, Wait};

use super::support::{Worker, engine, hear, is_full, say, until};

fn queue(path: &Path) -> Queue {
    engine().queue(path).unwrap()
}

fn add(queue: &Queue, n: usize) -> Vec<String> {
    queue.add_all((0..n).map(|i| NewCommand::new(["work", &i.to_string()]))).unwrap()
}

fn states(queue: &Queue) -> Vec<(String, CommandState)> {
    queue.list().unwrap().into_iter().map(|command| (command.id, command.state)).collect()
}

/// What is left of signs of life.
fn signs(dir: &Path) -> Vec<String> {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| name.matches('.').count() > 2 && !name.contains("snapshot")).collect()
}

fn now() -> ClaimOptions {
    ClaimOptions::new()
}

fn waits() -> ClaimOptions {
    ClaimOptions::new().wait(Wait::Forever)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.code(), code, "{error}");
}

/// STORE-2: a command's life, from the first handle to the last: order, priority, moves, refusals.
#[test]
fn one_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = queue(&path);
    let ids = add(&queue, 3);
    assert_eq!(ids, ["000000", "000001", "000002"]);
    let urgent = queue.add(NewCommand::new(["now"]).priority(5).id("urgent")).unwrap();
    refused(queue.add(NewCommand::new(["now"]).id("urgent")), "exists");
    queue.move_to("000002", &Beside::Before("000001".to_owned())).unwrap();
    refused(queue.move_to("x", &Beside::First), "no-such-item");
    let order: Vec<_> = states(&queue).into_iter().map(|(id, _)| id).collect();
    assert_eq!(order, ["urgent", "000000", "000002", "000001"]);

    let other = super::store_queue::queue(&path);
    let claim = other.claim(&now()).unwrap().unwrap();
    assert_eq!((claim.id(), claim.attempt(), claim.command()), (&*urgent, 1, &["now".to_owned()][..]));
    refused(queue.update("urgent", CommandUpdate::new().priority(1)), "wrong-state");
    refused(queue.remove("urgent"), "wrong-state");
    let token = claim.token();
    claim.beat().unwrap();
    claim.complete(&Outcome::new().exit_code(0).result("fine")).unwrap();
    refused(queue.complete("urgent", token, &Outcome::new()), "wrong-state");
    refused(queue.complete("urgent", token - 1, &Outcome::new()), "stale-token");
    let shown = queue.get("urgent").unwrap();
    assert_eq!((shown.state, shown.exit_code, shown.result), (CommandState::Done, Some(0), Some("fine".into())));

    let claim = queue.claim_by_lease(&now()).unwrap().unwrap();
    assert!(claim.token > token);
    queue.release(&claim.id, claim.token).unwrap();
    let again = queue.claim(&now()).unwrap().unwrap();
    assert_eq!((again.id(), again.attempt()), (&*claim.id, 2));
    refused(queue.beat(&claim.id, claim.token, None), "stale-token");
    let next = again.complete_and_claim(&Outcome::new(), &now()).unwrap().unwrap();
    assert_eq!(next.id(), "000002");
    next.fail(&Outcome::new().exit_code(7)).unwrap();
    assert_eq!(queue.get("000002").unwrap().state, CommandState::Failed);
    queue.again("000002").unwrap();
    queue.remove("000002").unwrap();
    assert_eq!(queue.prune(&PruneOptions::new()).unwrap(), 2);
    assert_eq!(states(&queue), [("000001".to_owned(), CommandState::Pending)]);
    // Numbers of commands that are gone are not given again.
    assert_eq!(add(&queue, 1), ["000003"]);
}

/// STORE-2: what was added fails again later as often as it may, and is not claimed before its time.
#[test]
fn retries_and_delays() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(&dir.path().join("q"));
    let never = Duration::from_secs(1 << 30);
    queue.add(NewCommand::new(["later"]).delay(never)).unwrap();
    queue.add(NewCommand::new(["twice"]).retries(1)).unwrap();
    for state in [CommandState::Pending, CommandState::Failed] {
        queue.claim(&now()).unwrap().unwrap().fail(&Outcome::new().exit_code(1)).unwrap();
        assert_eq!(queue.get("000001").unwrap().state, state);
    }
    assert!(queue.claim(&now()).unwrap().is_none());
    queue.update("000000", CommandUpdate::new().delay(Duration::ZERO)).unwrap();
    let claim = queue.claim(&now()).unwrap().unwrap();
    // The runner decides for commands that do not say so.
    claim.fail(&Outcome::new().retries(3).retry_delay(never)).unwrap();
    let shown = queue.get("000000").unwrap();
    assert!(shown.state == CommandState::Pending && shown.not_before.is_some());
    assert!(queue.claim(&now()).unwrap().is_none());
}

/// STORE-2: a wait for something to claim ends by a delay that passes, by the end of a lease, when it is called off, and when nothing can come.
#[test]
fn waits_end() {
    let dir = tempfile::tempdir().unwrap();
    let queue = queue(&dir.path().join("q"));
    queue.add(NewCommand::new(["soon"]).delay(Duration::from_millis(50))).unwrap();
    let claim = queue.claim(&waits()).unwrap().unwrap();
    assert!(queue.claim(&now().wait(Wait::For(Duration::from_millis(30)))).unwrap().is_none());
    claim.release().unwrap();
    let lost = queue.claim_by_lease(&now().lease(Duration::from_millis(50))).unwrap().unwrap();
    let claim = queue.claim(&waits()).unwrap().unwrap();
    assert_eq!(claim.id(), lost.id);
    refused(queue.complete(&lost.id, lost.token, &Outcome::new()), "stale-token");
    let token = CancelToken::new();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| queue.claim(&waits().cancel(&token)));
        token.cancel();
        refused(waiting.join().unwrap(), "cancelled");
        let waiting = scope.spawn(|| queue.claim(&waits().until_empty()));
        claim.complete(&Outcome::new()).unwrap();
        assert!(waiting.join().unwrap().unwrap().is_none());
    });
}

/// STORE-2: a claim that is dropped is claimable at once; no file is left of it in the end.
#[test]
fn a_dropped_claim() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let (one, two) = (queue(&path), queue(&path));
    add(&one, 1);
    let claim = one.claim(&now()).unwrap().unwrap();
    let token = claim.token();
    assert!(two.claim(&now()).unwrap().is_none());
    assert!(!two.get("000000").unwrap().claimable);
    drop(claim);
    assert!(two.get("000000").unwrap().claimable);
    let claim = two.claim(&now()).unwrap().unwrap();
    assert!(claim.token() > token && claim.attempt() == 2);
    // A sign of life that somebody has removed is no death.
    for name in signs(dir.path()) {
        std::fs::remove_file(dir.path().join(name)).unwrap();
    }
    assert!(one.claim(&now()).unwrap().is_none());
    claim.complete(&Outcome::new()).unwrap();
    drop((one, two));
    assert_eq!(signs(dir.path()), [""; 0]);
}

/// STORE-2: threads of one process that share a handle, and others with handles of their own, have each command once.
#[test]
fn threads() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let shared = queue(&path);
    let ids = add(&shared, 60);
    let ended = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for i in 0..4 {
            let queue = if i < 2 { shared.clone() } else { queue(&path) };
            let ended = &ended;
            scope.spawn(move || {
                let mut claim = queue.claim(&waits().until_empty()).unwrap();
                while let Some(has) = claim {
                    ended.lock().unwrap().push((has.token(), has.id().to_owned()));
                    claim = has.complete_and_claim(&Outcome::new(), &waits()).unwrap();
                }
            });
        }
    });
    let mut ended = ended.into_inner().unwrap();
    ended.sort();
    assert_eq!(ended.into_iter().map(|(_, id)| id).collect::<Vec<_>>(), ids);
}

/// Claims until told to end, or until nothing is left; does the work of each.
pub(crate) fn run(path: &str, log: &str) {
    let queue = queue(Path::new(path));
    let log = File::options().append(true).create(true).open(log).unwrap();
    let note = |what: String| (&log).write_all(what.as_bytes()).unwrap();
    let works = Path::new(path).with_extension("works");
    let mut claim = queue.claim(&waits().until_empty()).unwrap();
    while let Some(has) = claim {
        note(format!("start {} {} {}\n", has.id(), has.token(), has.attempt()));
        // Two that do one command's work at once would meet here.
        let own = File::options().append(true).create(true).open(works.join(has.id())).unwrap();
        match own.try_lock() {
            Ok(()) => {}
            Err(e) => note(format!("overlap {} {e}\n", has.id())),
        }
        (&own).write_all(b"x").unwrap();
        let (id, token) = (has.id().to_owned(), has.token());
        drop(own);
        claim = has.complete_and_claim(&Outcome::new().exit_code(0), &now()).unwrap();
        note(format!("done {id} {token}\n"));
        if claim.is_none() {
            claim = queue.claim(&waits().until_empty()).unwrap();
        }
    }
}

/// STORE-2 (P14): runners that are killed at random moments: each command is completed exactly once, no two have one at once, none is lost, and
/// they begin in the order of the queue.
#[test]
fn killed_runners() {
    let (runners, commands, kills) = if is_full() { (8, 5000, 120) } else { (4, 120, 8) };
    let dir = tempfile::tempdir().unwrap();
    let (path, log) = (dir.path().join("q"), dir.path().join("log"));
    std::fs::create_dir(dir.path().join("q.works")).unwrap();
    let queue = queue(&path);
    let ids = add(&queue, commands);
    let role = ["queue-run", path.to_str().unwrap(), log.to_str().unwrap()];
    let mut workers: Vec<_> = (0..runners).map(|_| Worker::start(&role)).collect();
    let noted = || std::fs::metadata(&log).map_or(0, |meta| meta.len());
    let mut seed = 4711_u64;
    for kill in 1..=kills {
        // About so much is noted of all commands together.
        let enough = (commands as u64 * 35) * kill / (kills + 1);
        until("the runners go on", || noted() >= enough);
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let victim = usize::try_from(seed >> 33).unwrap() % runners;
        workers[victim].kill();
        workers[victim] = Worker::start(&role);
    }
    for worker in workers {
        worker.finish();
    }
    let text = std::fs::read_to_string(&log).unwrap();
    let (mut first, mut done) = (BTreeMap::new(), BTreeSet::new());
    for line in text.lines() {
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["start", id, token, "1"] => drop(first.insert(token.parse::<u64>().unwrap(), id.to_owned())),
            ["start", ..] => {}
            ["done", id, _] => assert!(done.insert(id.to_owned()), "{id} was completed twice"),
            _ => panic!("{line}"),
        }
    }
    // Who was killed before it noted its first start leaves a gap, and no disorder.
    let firsts: Vec<_> = first.into_values().collect();
    let wanted: Vec<_> = ids.iter().filter(|id| firsts.contains(id)).cloned().collect();
    assert_eq!(firsts, wanted);
    assert!(firsts.len() + usize::try_from(kills).unwrap() >= commands);
    assert_eq!(signs(dir.path()), [""; 0], "somebody has cleared up after the dead");
    let list = queue.list().unwrap();
    assert_eq!(list.iter().map(|command| command.id.clone()).collect::<Vec<_>>(), ids);
    for command in list {
        assert_eq!((command.state, command.exit_code), (CommandState::Done, Some(0)), "{}", command.id);
        let works = std::fs::read(dir.path().join("q.works").join(&command.id)).unwrap();
        assert!((1..=u64::from(command.attempts)).contains(&(works.len() as u64)), "{}", command.id);
    }
}

/// Claims one command and tells of it, then ends it as it is told.
pub(crate) fn one(path: &str, lease: &str) {
    let queue = queue(Path::new(path));
    say("waits");
    let options = waits().lease(Duration::from_millis(lease.parse().unwrap()));
    let claim = queue.claim(&options).unwrap().unwrap();
    say(format!("has {} {}", claim.id(), claim.token()));
    while let Some(word) = hear() {
        match &*word {
            "beat" => say(claim.beat().map_or_else(|e| e.code().to_owned(), |()| "went on".to_owned())),
            "complete" => {
                return say(claim
                    .complete(&Outcome::new())
                    .map_or_else(|e| e.code().to_owned(), |()| "done".to_owned()));
            }
            other => panic!("{other}"),
        }
    }
}

fn runner(path: &Path, lease: u64) -> Worker {
    let mut worker = Worker::start(&["queue-one", path.to_str().unwrap(), &lease.to_string()]);
    worker.expect("waits");
    worker
}

fn has(worker: &mut Worker) -> (String, u64) {
    let said = worker.hear().unwrap();
    let words: Vec<_> = said.split(' ').collect();
    assert_eq!(words[0], "has");
    (words[1].to_owned(), words[2].parse().unwrap())
}

/// An hour, in milliseconds: no lease of these tests ends by itself.
const LONG: u64 = 3_600_000;

/// STORE-2 (P14): a runner that waits is woken by a command that another process adds, and by the death of the runner that has the last one.
#[test]
fn waiting_runners_are_woken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = queue(&path);
    add(&queue, 1);
    queue.claim(&now()).unwrap().unwrap().complete(&Outcome::new()).unwrap();
    let mut one = runner(&path, LONG);
    let id = queue.add(NewCommand::new(["true"])).unwrap();
    let (had, token) = has(&mut one);
    assert_eq!(had, id);
    let mut two = runner(&path, LONG);
    one.kill();
    let (had, newer) = has(&mut two);
    assert!(had == id && newer > token);
    two.tell("complete");
    two.expect("done");
    refused(queue.complete(&id, token, &Outcome::new()), "stale-token");
}

/// STORE-2 (P14): a stopped runner's command is another's when its lease is over, and when it goes on it is refused.
#[test]
#[cfg(unix)]
fn a_stopped_runner() {
    use rustix::process::{Pid, Signal, kill_process};

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = queue(&path);
    let id = add(&queue, 1).remove(0);
    let mut one = runner(&path, 200);
    let (_, token) = has(&mut one);
    let pid = Pid::from_raw(i32::try_from(one.pid()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let claim = queue.claim(&waits()).unwrap().unwrap();
    assert!(claim.id() == id && claim.token() > token);
    kill_process(pid, Signal::CONT).unwrap();
    one.tell("beat");
    one.expect("stale-token");
    one.tell("complete");
    one.expect("stale-token");
    claim.complete(&Outcome::new()).unwrap();
}

/// STORE-2 (P12, P14): a program that the runner has started keeps the command from others when the runner is killed, and no longer than it lives.
#[test]
#[cfg(unix)]
fn the_command_outlives_its_runner() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let queue = queue(&path);
    let id = add(&queue, 1).remove(0);
    let mut one = Worker::start(&["queue-child", path.to_str().unwrap()]);
    let pid: i32 = one.hear().unwrap().parse().unwrap();
    one.kill();
    assert!(queue.claim(&now()).unwrap().is_none());
    assert!(!queue.get(&id).unwrap().claimable);
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let claim = queue.claim(&waits()).unwrap().unwrap();
    assert_eq!(claim.id(), id);
    claim.complete(&Outcome::new()).unwrap();
}

/// STORE-2 (P14): what a command left running has nothing to do with the next command of its runner.
#[test]
#[cfg(unix)]
fn what_a_command_left_running() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let (one, two) = (queue(&path), queue(&path));
    add(&one, 3);
    let mut claim = one.claim(&now()).unwrap().unwrap();
    let mut left = claim.hand_on(|| std::process::Command::new("sleep").arg("1000").spawn().unwrap()).unwrap();
    let next = claim.complete_and_claim(&Outcome::new(), &now()).unwrap().unwrap();
    drop(next);
    assert_eq!(two.claim(&now()).unwrap().unwrap().id(), "000001");
    let mut claim = one.claim(&now()).unwrap().unwrap();
    assert_eq!(claim.id(), "000001");
    let mut too = claim.hand_on(|| std::process::Command::new("sleep").arg("1000").spawn().unwrap()).unwrap();
    claim.complete(&Outcome::new()).unwrap();
    drop(one.claim(&now()).unwrap());
    assert_eq!(two.claim(&now()).unwrap().unwrap().id(), "000002");
    for child in [&mut left, &mut too] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Claims, starts a program that inherits the sign of life, and one that does not.
#[cfg(unix)]
pub(crate) fn child(path: &str) {
    let queue = queue(Path::new(path));
    let mut claim = queue.claim(&now().lease(Duration::from_millis(LONG))).unwrap().unwrap();
    let sleep = || std::process::Command::new("sleep").arg("1000").stdout(std::process::Stdio::null()).spawn().unwrap();
    let mut heir = claim.hand_on(sleep).unwrap();
    let mut other = sleep();
    other.kill().unwrap();
    other.wait().unwrap();
    say(heir.id());
    hear();
    heir.wait().unwrap();
}

/// STORE-2: the file is written anew when it has become long, claims and places included, and those who have read it go on.
#[test]
fn a_long_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let (one, two) = (queue(&path), queue(&path));
    add(&one, 3);
    let claim = two.claim(&now()).unwrap().unwrap();
    one.move_to("000002", &Beside::Before("000001".to_owned())).unwrap();
    let long = "x".repeat(100_000);
    let ids = one.add_all((0..12).map(|_| NewCommand::new([long.clone()]))).unwrap();
    let before = std::fs::metadata(&path).unwrap().len();
    for id in &ids {
        one.remove(id).unwrap();
    }
    let size = || {
        let names = std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap);
        names.map(|entry| entry.metadata().unwrap().len()).sum::<u64>()
    };
    assert!(before > 1_200_000 && size() < before / 2, "{before}, then {}", size());
    let wanted = ["000000", "000002", "000001"].map(str::to_owned);
    for queue in [&one, &two, &super::store_queue::queue(&path)] {
        assert_eq!(states(queue).into_iter().map(|(id, _)| id).collect::<Vec<_>>(), wanted);
    }
    assert!(one.compact().unwrap());
    let next = claim.complete_and_claim(&Outcome::new().exit_code(3), &now()).unwrap().unwrap();
    assert_eq!(next.id(), "000002");
    next.complete(&Outcome::new()).unwrap();
    assert!(two.compact().unwrap());
    let shown = one.get("000000").unwrap();
    assert_eq!((shown.state, shown.exit_code, shown.attempts), (CommandState::Done, Some(3), 1));
    // Numbers go on where they were.
    assert_eq!(add(&queue(&path), 1), ["000015"]);
}

/// STORE-2: whatever byte of a queue is changed, what was acknowledged is told as it was, or there is an error that names the place.
#[test]
fn damage_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q");
    let made = queue(&path);
    add(&made, 3);
    made.claim(&now()).unwrap().unwrap().complete(&Outcome::new().exit_code(0)).unwrap();
    let whole = states(&made);
    drop(made);
    let bytes = std::fs::read(&path).unwrap();
    let mut told = 0;
    for at in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[at] ^= 0x01;
        std::fs::write(&path, &bad).unwrap();
        let engine = engine();
        match engine.queue(&path).and_then(|queue| queue.list()) {
            Ok(list) => {
                let list: Vec<_> = list.into_iter().map(|command| (command.id, command.state)).collect();
                assert_eq!(list, whole, "byte {at}");
            }
            Err(e) => {
                assert!(!e.hints().is_empty(), "{e}");
                told += 1;
            }
        }
        let found = std::fs::read(&path).unwrap();
        assert_eq!(found, bad, "looking changed the file");
    }
    assert!(told > bytes.len() / 2, "{told} of {}", bytes.len());
}

/// STORE-2: a log that is no queue, and a queue that a newer program has written, are left alone.
#[test]
fn what_is_no_queue() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    engine().log(&path).unwrap().append(b"{\"some\": \"record\"}", &LogOptions::default()).unwrap();
    let before = std::fs::read(&path).unwrap();
    refused(queue(&path).list(), "damaged");
    refused(queue(&path).add(NewCommand::new(["true"])), "damaged");
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let path = dir.path().join("newer");
    engine().log(&path).unwrap().append(b"{\"do\":\"queue\",\"form\":2}", &LogOptions::default()).unwrap();
    refused(queue(&path).list(), "newer-form");
    refused(queue(&dir.path().join("missing")).list(), "not-found");
    refused(queue(&dir.path().join("missing")).claim(&now()), "not-found");
    assert!(!dir.path().join("missing").exists());
}
