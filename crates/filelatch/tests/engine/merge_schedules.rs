//! Two processes that merge, in every order of their calls.

use std::sync::{Arc, Mutex};

use filelatch::{Error, Expect, Filelatch, Outcome, Policy, Strategy, Version, WriteOptions};
use filelatch_fs::sim::{Plan, SimFs};

use super::schedules::{few, run};

const BASE: &[u8] = b"1\n2\n3\n4\n5\n";

fn engine(fs: &SimFs, locks: bool) -> Filelatch {
    let mut policy = Policy::default();
    policy.locks = locks;
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).defaults(policy).session("test").build()
}

/// What a writer was told: the outcome, or the id of the stored conflict.
type Told = Arc<Mutex<Vec<(&'static [u8], Result<Outcome, Option<String>>)>>>;

/// Processes that each write what they made of the base.
fn writers(plan: &mut Plan, locks: bool, workspace: bool, contents: [&'static [u8]; 2]) -> Told {
    let told = Told::default();
    plan.fs().foreign().create("/a", BASE).unwrap();
    if workspace {
        plan.fs().foreign().create_dirs("/.filelatch/sessions").unwrap();
    }
    for (name, content) in ["one", "two"].into_iter().zip(contents) {
        let told = Arc::clone(&told);
        plan.process(name, move |fs| {
            let Ok(file) = engine(fs, locks).file("/a") else { return };
            let options = WriteOptions::new().strategy(Strategy::Merge);
            let options = options.expect(Expect::Version(Version::of(BASE))).base(BASE);
            let result = match file.write(content, &options) {
                Ok(written) => Ok(written.outcome),
                Err(Error::Conflict(conflict)) => Err(conflict.unmerged.and_then(|unmerged| unmerged.id)),
                Err(_) => Err(None),
            };
            told.lock().unwrap().push((content, result));
        });
    }
    told
}

/// VER-4, VER-11: two that changed different places are both told that they wrote, and both changes are in the file; with locks, and without
/// any, by the look at what was displaced.
#[test]
fn both_changes_are_in() {
    for locks in [true, false] {
        let name = if locks { "merge" } else { "merge without locks" };
        run(name, &few(1), 100, |plan| {
            let told = writers(plan, locks, false, [b"one\n2\n3\n4\n5\n", b"1\n2\n3\n4\ntwo\n"]);
            plan.at_end(move |fs| {
                let told = told.lock().unwrap().clone();
                // Who merged may be answered first.
                let each = |outcome| told.iter().filter(|(_, result)| *result == Ok(outcome)).count();
                if (each(Outcome::Written), each(Outcome::Merged)) != (1, 1) {
                    return Err(format!("told {told:?}"));
                }
                found(fs, b"one\n2\n3\n4\ntwo\n")
            });
        });
    }
}

fn found(fs: &SimFs, wanted: &[u8]) -> Result<(), String> {
    match fs.foreign().read("/a") {
        Ok(found) if found == wanted => Ok(()),
        other => Err(format!("the file is {other:?}")),
    }
}

/// MERGE-4: of two that changed one place one wrote, and the other is told the id of a conflict that is there, whole.
#[test]
fn one_is_a_conflict() {
    run("clash", &few(1), 50, |plan| {
        let told = writers(plan, true, true, [b"1\n2\none\n4\n5\n", b"1\n2\ntwo\n4\n5\n"]);
        plan.at_end(move |fs| {
            let told = told.lock().unwrap().clone();
            let (mut won, mut lost) = (None, None);
            for (content, result) in &told {
                match result {
                    Ok(Outcome::Written) => won = Some(*content),
                    Err(Some(id)) => lost = Some((*content, id.clone())),
                    _ => {}
                }
            }
            let (Some(won), Some((lost, id))) = (won, lost) else { return Err(format!("told {told:?}")) };
            found(fs, won)?;
            stored(fs, &id, lost, won)
        });
    });
}

/// MERGE-4: two that are refused for the same write at once store one conflict, and both are told of it.
#[test]
fn one_conflict_stored_by_two() {
    const SAME: &[u8] = b"1\n2\nours\n4\n5\n";
    const THEIRS: &[u8] = b"1\n2\ntheirs\n4\n5\n";
    run("the same conflict", &few(1), 50, |plan| {
        let told = writers(plan, true, true, [SAME, SAME]);
        plan.fs().foreign().replace("/a", THEIRS).unwrap();
        plan.at_end(move |fs| {
            let told = told.lock().unwrap().clone();
            let [(_, Err(Some(one))), (_, Err(Some(two)))] = &told[..] else { return Err(format!("told {told:?}")) };
            if one != two {
                return Err(format!("two ids: {told:?}"));
            }
            found(fs, THEIRS)?;
            stored(fs, one, SAME, THEIRS)
        });
    });
}

fn stored(fs: &SimFs, id: &str, ours: &[u8], theirs: &[u8]) -> Result<(), String> {
    let engine = engine(fs, true);
    let text = |e: Error| e.to_string();
    let listed = engine.conflicts("/").map_err(text)?;
    if listed.stored.len() != 1 || !listed.damaged.is_empty() {
        return Err(format!("not one whole conflict: {listed:?}"));
    }
    let contents = engine.conflict_contents(&engine.conflict("/", id).map_err(text)?).map_err(text)?;
    if contents.ours.as_deref() == Some(ours) && contents.theirs.as_deref() == Some(theirs) {
        return Ok(());
    }
    Err(format!("not what met: {contents:?}"))
}
