//! When things are reported, by the clock of the simulation.

use std::time::Duration;

use filelatch_fs::sim::{Call, Dials, SimFs, Verb, Watching};

use super::super::options::WatchOptions;
use super::super::tracker::{Report, Seen};
use super::world::{Op, World, words};
use crate::version::Version;

const A: &str = "/d/a";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// How long after the last call each report comes.
fn when(world: &mut World, ops: &[Op]) -> Vec<(String, Duration)> {
    world.run(ops);
    let began = world.now();
    let mut all = Vec::new();
    while let Some(due) = world.tracker.due() {
        world.pass(due.saturating_sub(world.now()));
        let mut out = Vec::new();
        let now = world.now();
        world.tracker.step(now, &mut out);
        world.believe(&out);
        all.extend(words(&out).into_iter().map(|word| (word, now.saturating_sub(began))));
    }
    all
}

/// WATCH-1: what is whole is reported after a millisecond; what may go on, a little later.
#[test]
fn how_soon() {
    let cases: [(&[Op], &str, u64); 10] = [
        (&[Op::Truncate(A), Op::Write(A, "x"), Op::Close(A)], "modified /d/a", 1),
        (&[Op::Create("/d/n"), Op::Close("/d/n"), Op::Rename("/d/n", A)], "modified /d/a", 1),
        (&[Op::Create("/d/n"), Op::Write("/d/n", "x"), Op::Close("/d/n")], "created /d/n", 1),
        (&[Op::Create("/d/n"), Op::Close("/d/n")], "created /d/n", 1),
        (&[Op::Rename(A, "/d/b"), Op::Rename("/d/b", A)], "", 0),
        // Empty, and still open: what it is to hold may come yet.
        (&[Op::Create("/d/n")], "created /d/n", 250),
        (&[Op::Truncate(A)], "modified /d/a", 250),
        (&[Op::Remove(A)], "deleted /d/a", 10),
        (&[Op::Rename(A, "/d/b")], "renamed /d/a /d/b", 10),
        (&[Op::Append(A, "x")], "modified /d/a", 50),
    ];
    for (ops, word, millis) in cases {
        let mut world = World::begun(&[(A, "a")], &["/d"]);
        let reports: &[_] = if word.is_empty() { &[] } else { &[(word.to_owned(), ms(millis))] };
        assert_eq!(when(&mut world, ops), reports, "{ops:?}");
    }
    // Where nobody says when a file is closed.
    let trees = SimFs::new(Dials { events: Watching::Trees, ..Dials::default() });
    let mut world = World::with(&trees, &[(A, "a")], &["/d"], &WatchOptions::new());
    world.begin();
    assert_eq!(when(&mut world, &[Op::Append(A, "x")]), [("modified /d/a".to_owned(), ms(10))]);
}

/// WATCH-1: a program that empties a file and takes its time is not reported to have emptied it.
#[test]
fn emptied_to_be_filled() {
    for ops in [
        [Op::Truncate(A), Op::Write(A, "x"), Op::Close(A)],
        [Op::Create("/d/n"), Op::Write("/d/n", "x"), Op::Close("/d/n")],
    ] {
        let mut world = World::begun(&[(A, "a")], &["/d"]);
        let mut out = Vec::new();
        for op in &ops {
            world.run(std::slice::from_ref(op));
            world.pass(ms(45));
            let now = world.now();
            world.tracker.step(now, &mut out);
        }
        assert_eq!(words(&out).len(), 1, "{ops:?}: {out:?}");
        world.believe(&out);
    }
}

/// Runs `ops` again and again with a pause of so many microseconds for a second; answers when there were reports.
fn for_a_second(world: &mut World, pause: u64, ops: &[Op]) -> Vec<Duration> {
    let began = world.now();
    let mut times = Vec::new();
    while world.now() < began + ms(1000) {
        world.run(ops);
        world.pass(Duration::from_micros(pause));
        let mut out = Vec::new();
        let now = world.now();
        if world.tracker.due().is_some_and(|due| due <= now) {
            world.tracker.step(now, &mut out);
        }
        world.believe(&out);
        if !out.is_empty() {
            times.push(now.saturating_sub(began));
        }
    }
    times
}

fn longest_gap(times: &[Duration]) -> Duration {
    let before = [Duration::ZERO].into_iter().chain(times.iter().copied());
    before.zip(times).map(|(a, b)| b.saturating_sub(a)).max().unwrap_or(Duration::MAX)
}

/// WATCH-1: a file that never comes to rest is reported all the same, again and again.
#[test]
fn no_rest() {
    let mut world = World::begun(&[(A, "a")], &["/d"]);
    let times = for_a_second(&mut world, 500, &[Op::Create("/d/n"), Op::Append("/d/n", "x"), Op::Rename("/d/n", A)]);
    assert!(longest_gap(&times) <= ms(102), "{times:?}");
    let mut world = World::begun(&[(A, "a")], &["/d"]);
    let times = for_a_second(&mut world, 5000, &[Op::Append(A, "x")]);
    assert!(longest_gap(&times) <= ms(260), "{times:?}");
    assert!(times.len() <= 5, "not at every write: {times:?}");
}

/// WATCH-1: nobody waits for another file to come to rest.
#[test]
fn no_starvation() {
    let mut world = World::begun(&[(A, "a"), ("/d/b", "b")], &["/d"]);
    world.run(&[Op::Append(A, "x"), Op::Append("/d/b", "x"), Op::Close("/d/b"), Op::Append(A, "x")]);
    let mut out = Vec::new();
    world.pass(ms(1));
    let now = world.now();
    world.tracker.step(now, &mut out);
    assert_eq!(words(&out), ["modified /d/b"]);
}

/// WATCH-1: a version is of bytes that were there at one moment. Of a file that changes whenever it is read it is not told, and told when
/// it has come to rest.
#[test]
fn changes_while_it_is_read() {
    for (force, grows) in [(false, true), (true, true), (false, false), (true, false)] {
        let mut world = World::begun(&[(A, "a")], &[A]);
        world.run(&[Op::Append(A, "x"), Op::Close(A)]);
        let fs = world.fs.clone();
        fs.observe(move |fs: &SimFs, call: &Call| {
            if call.verb == Verb::ReadAt && grows {
                fs.foreign().append(A, b"y").unwrap();
            } else if call.verb == Verb::ReadAt {
                fs.host().advance(ms(20));
                fs.foreign().overwrite(A, b"zz").unwrap();
            }
        });
        let mut out = Vec::new();
        let began = world.now();
        if force {
            world.tracker.settle_all(&mut out);
        }
        while out.is_empty() {
            let due = world.tracker.due().unwrap();
            world.pass(due.saturating_sub(world.now()));
            let now = world.now();
            world.tracker.step(now, &mut out);
            assert!(now <= began + ms(400), "bounded");
        }
        let [Report::Change(Seen { version: None, size: Some(_), .. })] = out[..] else { panic!("{out:?}") };
        fs.unhook();
        world.believe(&out);
        let out = world.settle();
        let [Report::Change(Seen { version: Some(version), .. })] = out[..] else { panic!("{out:?}") };
        assert_eq!(version, Version::of(&fs.foreign().read(A).unwrap()));
        world.assert_true(&(force, grows));
    }
}
