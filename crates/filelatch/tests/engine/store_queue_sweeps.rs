//! The command queue under every mishap at every call, and two runners in every order of their calls.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use filelatch::store::queue::{ClaimOptions, CommandState, NewCommand, Outcome, Queue};
use filelatch::{Error, Filelatch, Wait};
use filelatch_fs::Host;
use filelatch_fs::sim::{Dials, Fault, Plan, Schedules, SimFs, Sweep};

use super::schedules::{few, run};
use super::support::is_full;

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().session("test").build()
}

fn queue(fs: &SimFs) -> Result<Queue, Error> {
    engine(fs).queue("/q")
}

/// What a scenario was told.
#[derive(Debug, Default)]
struct Told {
    added: Vec<&'static str>,
    /// Commands with the token that completed them.
    completed: Vec<(String, u64)>,
    /// The greatest token that was given.
    token: u64,
    done: bool,
}

fn with_two(fs: &SimFs) {
    let queue = queue(&fs.process()).unwrap();
    queue.add_all(["a", "b"].map(|id| NewCommand::new(["true"]).id(id))).unwrap();
}

fn scenario(fs: &SimFs) -> Told {
    let mut told = Told::default();
    let steps: Result<(), Error> = (|| {
        let queue = queue(fs)?;
        queue.add(NewCommand::new(["true"]).id("c"))?;
        told.added.push("c");
        let claim = queue.claim(&ClaimOptions::new())?.ok_or_else(|| Error::Cancelled { path: "a".into() })?;
        let first = (claim.id().to_owned(), claim.token());
        told.token = claim.token();
        claim.beat()?;
        let next = claim.complete_and_claim(&Outcome::new(), &ClaimOptions::new())?;
        told.completed.push(first);
        let next = next.ok_or_else(|| Error::Cancelled { path: "b".into() })?;
        let second = (next.id().to_owned(), next.token());
        told.token = next.token();
        next.complete(&Outcome::new())?;
        told.completed.push(second);
        Ok(())
    })();
    told.done = steps.is_ok();
    told
}

fn check(fs: &SimFs, told: &Told) -> Result<(), String> {
    let fail = |e: Error| e.to_string();
    let queue = queue(fs).map_err(fail)?;
    let list = queue.list().map_err(fail)?;
    let ids: Vec<_> = list.iter().map(|command| &*command.id).collect();
    let all = ids == ["a", "b", "c"] || (ids == ["a", "b"] && told.added.is_empty());
    if !all {
        return Err(format!("{told:?}, and there are {ids:?}"));
    }
    for (id, _) in &told.completed {
        if !list.iter().any(|command| command.id == *id && command.state == CommandState::Done) {
            return Err(format!("`{id}` was completed: {list:?}"));
        }
    }
    // Everything else is claimable at once, whoever had it, in order, and is completed once.
    let open: Vec<_> = list.iter().filter(|command| command.state != CommandState::Done).collect();
    for command in &open {
        let claim = queue.claim(&ClaimOptions::new()).map_err(fail)?;
        let claim = claim.ok_or_else(|| format!("`{}` can't be claimed: {list:?}", command.id))?;
        if claim.id() != command.id || claim.token() <= told.token && fs.boots() == 1 {
            return Err(format!("claimed `{}` with {} instead of {command:?}: {told:?}", claim.id(), claim.token()));
        }
        let token = claim.token();
        claim.complete(&Outcome::new()).map_err(fail)?;
        match queue.complete(&command.id, token, &Outcome::new()) {
            Err(e) if e.code() == "wrong-state" => {}
            other => return Err(format!("completed twice: {other:?}")),
        }
    }
    if queue.claim(&ClaimOptions::new()).map_err(fail)?.is_some() {
        return Err("something was claimed twice".to_owned());
    }
    queue.add(NewCommand::new(["true"]).id("next")).map_err(|e| format!("nothing can be added any more: {e}"))?;
    Ok(())
}

/// STORE-2: the scenario without a mishap goes to its end: the sweep below begins from all of it.
#[test]
fn without_mishap() {
    let fs = SimFs::new(Dials::default());
    with_two(&fs);
    let told = scenario(&fs);
    assert!(told.done && told.completed.len() == 2, "{told:?}");
    check(&fs.process(), &told).unwrap();
}

/// STORE-2 (P14): the power is cut, the process killed and each call fails in every way at every call of adding, claiming and completing: none
/// is lost, each is completed once, what a dead runner had is claimable at once.
#[test]
fn every_mishap() {
    for dials in &Dials::usual() {
        let few = Dials { enumerate: 3, samples: 1, ..*dials };
        let mut sweep = Sweep::on(if is_full() { *dials } else { few });
        if !is_full() {
            sweep.faults = vec![Fault::EIO, Fault::Late(ErrorKind::Other), Fault::Short(3)];
        }
        sweep.everything(with_two, scenario, check).assert_clean();
    }
}

/// Compacts while it has a command.
fn compacts(fs: &SimFs) -> Told {
    let mut told = Told::default();
    let steps: Result<(), Error> = (|| {
        let queue = queue(fs)?;
        queue.add(NewCommand::new(["true"]).id("c"))?;
        told.added.push("c");
        let claim = queue.claim(&ClaimOptions::new())?.ok_or_else(|| Error::Cancelled { path: "a".into() })?;
        told.token = claim.token();
        queue.compact()?;
        let own = (claim.id().to_owned(), claim.token());
        claim.complete(&Outcome::new())?;
        told.completed.push(own);
        Ok(())
    })();
    told.done = steps.is_ok();
    told
}

/// STORE-2 (P13): the power is cut and the process killed at every call while the queue is written anew: nothing of it is lost.
#[test]
fn mishaps_of_a_compaction() {
    let fs = SimFs::new(Dials::default());
    with_two(&fs);
    let told = compacts(&fs);
    assert!(told.done, "{told:?}");
    let few = Dials { enumerate: 3, samples: 1, ..Dials::default() };
    let sweep = Sweep::on(if is_full() { Dials::default() } else { few });
    sweep.cuts(with_two, compacts, check).assert_clean();
    sweep.kills(with_two, compacts, check).assert_clean();
    if is_full() {
        sweep.faults(with_two, compacts, check).assert_clean();
    }
}

/// Who has which command, as the runners say.
#[derive(Clone, Debug, Default)]
struct Has(Arc<Mutex<BTreeMap<String, Vec<&'static str>>>>);

/// Claims and completes until nothing is left.
fn works(fs: &SimFs, name: &'static str, has: &Has, done: &Arc<Mutex<Vec<String>>>) {
    let Ok(queue) = queue(fs) else { return };
    while let Ok(Some(claim)) = queue.claim(&ClaimOptions::new()) {
        let id = claim.id().to_owned();
        has.0.lock().unwrap().entry(id.clone()).or_default().push(name);
        // Others may come between.
        fs.as_fs().stat("/q".as_ref()).ok();
        has.0.lock().unwrap().entry(id.clone()).or_default().retain(|other| *other != name);
        if claim.complete(&Outcome::new()).is_ok() {
            done.lock().unwrap().push(id);
        }
    }
}

fn two_runners(plan: &mut Plan) -> (Has, Arc<Mutex<Vec<String>>>) {
    with_two(plan.fs());
    let (has, done) = (Has::default(), Arc::default());
    for name in ["one", "two"] {
        let (has, done) = (has.clone(), Arc::clone(&done));
        plan.process(name, move |fs| works(fs, name, &has, &done));
    }
    (has, done)
}

/// STORE-2 (P14): two runners in every order with few preemptions: never do both have a command, and each is completed once.
#[test]
fn two_runners_in_every_order() {
    let limits = Schedules { most: 20_000, ..few(1) };
    run("queue", &limits, 30, |plan| {
        let (has, done) = two_runners(plan);
        plan.always(move |_| {
            let both =
                has.0.lock().unwrap().iter().find(|(_, who)| who.len() > 1).map(|(id, who)| format!("{id}: {who:?}"));
            both.map_or(Ok(()), Err)
        });
        plan.at_end(move |_| {
            let mut done = done.lock().unwrap().clone();
            done.sort();
            if done == ["a", "b"] { Ok(()) } else { Err(format!("completed: {done:?}")) }
        });
    });
}

/// STORE-2 (P14): one of two runners dies at any point: the next one has all that is left at once, and nothing was completed twice.
#[test]
fn a_runner_dies_at_any_point() {
    let limits = Schedules { deaths: 1, most: 20_000, ..few(0) };
    run("queue, death", &limits, 60, |plan| {
        let (_, done) = two_runners(plan);
        plan.at_end(move |fs| {
            works(fs, "next", &Has::default(), &done);
            let list = queue(fs).and_then(|queue| queue.list()).map_err(|e| e.to_string())?;
            if let Some(open) = list.iter().find(|command| command.state != CommandState::Done) {
                return Err(format!("left: {open:?}"));
            }
            // Who died after its completion did not say so; nobody says so twice.
            let mut done = done.lock().unwrap().clone();
            done.sort();
            let all = done.len();
            done.dedup();
            if done.len() == all { Ok(()) } else { Err(format!("completed: {done:?}")) }
        });
    });
}

/// STORE-2: a runner that waits is woken by what is added, by a runner's end and by a release; no time passes by which it might have looked
/// again.
#[test]
fn woken_by_events() {
    let began = |fs: &SimFs| fs.host().monotonic();
    run("queue, waiting", &Schedules { most: 20_000, ..few(1) }, 30, |plan| {
        queue(&plan.fs().process()).unwrap().add(NewCommand::new(["true"]).id("a")).unwrap();
        let start = began(plan.fs());
        let got = Arc::new(Mutex::new(Vec::new()));
        let gets = Arc::clone(&got);
        plan.process("waits", move |fs| {
            let Ok(queue) = queue(fs) else { return };
            let options = ClaimOptions::new().wait(Wait::Forever).lease(Duration::from_secs(3600));
            while gets.lock().unwrap().len() < 2 {
                let Ok(Some(claim)) = queue.claim(&options) else { return };
                let id = claim.id().to_owned();
                if claim.complete(&Outcome::new()).is_ok() {
                    gets.lock().unwrap().push(id);
                }
            }
        });
        plan.process("adds", move |fs| {
            let Ok(queue) = queue(fs) else { return };
            let lease = ClaimOptions::new().lease(Duration::from_secs(3600));
            let claim = queue.claim(&lease);
            queue.add(NewCommand::new(["true"]).id("b")).ok();
            // Without a word.
            drop(claim);
        });
        plan.at_end(move |fs| {
            let mut got = got.lock().unwrap().clone();
            got.sort();
            let passed = began(fs).saturating_sub(start);
            if got != ["a", "b"] {
                return Err(format!("had {got:?}"));
            }
            if passed >= Duration::from_millis(100) { Err(format!("it took {passed:?}")) } else { Ok(()) }
        });
    });
}
