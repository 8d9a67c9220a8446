//! The sweeps find what is wrong, and pass what is right.
#![expect(clippy::trivially_copy_pass_by_ref, reason = "checks take what was acknowledged by reference, also a bool")]

use super::*;
use crate::fs::{FsFile, read_to_end};
use crate::sim::{Foreign, Report, Sweep, for_each_cut, for_each_fault, for_each_intrusion, for_each_kill};
use crate::types::{Access, LockKind, WriterProbe};

fn old(fs: &SimFs) {
    fs.foreign().create("/f", b"old").unwrap();
}

/// Acknowledged: the new text. Not acknowledged: one of the two.
fn old_or_new(fs: &SimFs, done: &bool) -> Result<(), String> {
    match fs.foreign().read("/f") {
        Ok(text) if text == b"new" || (text == b"old" && !*done) => Ok(()),
        other => Err(format!("acknowledged: {done}, and the file is {other:?}")),
    }
}

fn cuts(sync_file: bool, sync_dir: bool) -> Report {
    Sweep::default().cuts(old, |fs| replace(fs, b"new", sync_file, sync_dir).is_ok(), old_or_new)
}

/// TEST-3, L24: without any sync the sweep finds empty files and lost acknowledgements, and tells the way there.
#[test]
fn a_replace_without_syncs_is_found_out() {
    let report = cuts(false, false);
    assert!(report.violations.iter().any(|v| v.complaint.contains("Ok([])")), "an empty file");
    assert!(
        report.violations.iter().any(|v| v.complaint.contains("true") && v.story.contains("rename .f.tmp -> f: lost"))
    );
    let first = report.violations[0].to_string();
    assert!(first.contains("power cut before call #4") && first.contains("Rename /.f.tmp -> /f"), "{first}");
}

/// L24: each of the two syncs is needed.
#[test]
fn half_a_replace_is_found_out() {
    let without_file = cuts(false, true);
    assert!(without_file.violations.iter().any(|v| v.complaint.contains("Ok([])")));
    let without_dir = cuts(true, false);
    assert!(!without_dir.violations.is_empty());
    assert!(without_dir.violations.iter().all(|v| v.mishap.contains("#5") && v.complaint.contains("true")));
}

/// TEST-3, L24: with both it holds against power cuts, errors and kills.
#[test]
fn the_right_replace_holds() {
    let scenario = |fs: &SimFs| replace(fs, b"new", true, true).is_ok();
    let report = cuts(true, true);
    report.assert_clean();
    assert_eq!((report.runs, report.sampled), (7, 0));
    for_each_fault(old, scenario, old_or_new);
    for_each_kill(old, scenario, old_or_new);
}

/// L26: who tries a failed sync again and believes it is found out by the fault sweep.
#[test]
fn a_second_sync_is_found_out() {
    let scenario = |fs: &SimFs| {
        let retry = || {
            let dir = fs.open_dir("/".as_ref())?;
            let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
            write_all_at(&*temp, b"new", 0)?;
            temp.sync().or_else(|_| temp.sync())?;
            dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
            dir.sync()
        };
        io::Result::is_ok(&retry())
    };
    for_each_cut(old, scenario, old_or_new);
    let report = Sweep::default().faults(old, scenario, old_or_new);
    assert!(report.violations.iter().any(|v| v.mishap.starts_with("Error(Other) at call #3")), "{report:?}");
}

/// L36: who takes a short write for a whole one is found out.
#[test]
fn a_short_write_is_found_out() {
    let scenario = |fs: &SimFs| {
        let write = || {
            let dir = fs.open_dir("/".as_ref())?;
            let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
            temp.write_at(b"new and long", 0)?;
            temp.sync()?;
            dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
            dir.sync()
        };
        io::Result::is_ok(&write())
    };
    let check = |fs: &SimFs, _: &bool| match fs.foreign().read("/f").as_deref() {
        Ok(b"old" | b"new and long") => Ok(()),
        other => Err(format!("{other:?}")),
    };
    let report = Sweep::default().faults(old, scenario, check);
    assert!(report.violations.iter().all(|v| v.mishap.starts_with("Short")), "{report:?}");
    assert!(!report.violations.is_empty());
}

/// A lock as a file that exists is left behind by a kill, and the next start hangs on it; flock is not.
#[test]
fn a_lock_left_behind_is_found_out() {
    let existence = |fs: &SimFs| {
        let locked = || {
            let dir = fs.open_dir("/".as_ref())?;
            dir.create_new("f.lock".as_ref(), 0o600)?;
            dir.open("f".as_ref(), Access::Read)?;
            dir.remove("f.lock".as_ref())
        };
        io::Result::is_ok(&locked())
    };
    let flock = |fs: &SimFs| {
        let locked = || {
            let file = fs.open_dir("/".as_ref())?.open("f".as_ref(), Access::ReadWrite)?;
            file.try_lock(LockKind::Exclusive)
        };
        io::Result::unwrap_or(locked(), false)
    };
    let starts = |scenario: fn(&SimFs) -> bool| {
        move |fs: &SimFs, _: &bool| if scenario(fs) { Ok(()) } else { Err("the next start is blocked".to_owned()) }
    };
    let report = Sweep::default().kills(old, existence, starts(existence));
    assert!(report.violations.iter().any(|v| v.mishap.contains("#2")), "{report:?}");
    for_each_kill(old, flock, starts(flock));
}

/// Reads `/f`, adds a line and publishes, if nobody came between; P5 in small. `careful`: by exchange, with a look at what
/// was displaced; otherwise compare and rename.
fn add_line(fs: &SimFs, careful: bool) -> io::Result<bool> {
    let dir = fs.open_dir("/".as_ref())?;
    let base = read_to_end(&*dir.open("f".as_ref(), Access::Read)?, 1000)?;
    let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
    write_all_at(&*temp, &[&base, &b"+ours"[..]].concat(), 0)?;
    temp.sync()?;
    drop(temp);
    if !careful {
        if read_to_end(&*dir.open("f".as_ref(), Access::Read)?, 1000)? != base {
            dir.remove(".f.tmp".as_ref())?;
            return Ok(false);
        }
        dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
        dir.sync()?;
        return Ok(true);
    }
    dir.exchange("f".as_ref(), ".f.tmp".as_ref())?;
    let displaced = dir.open(".f.tmp".as_ref(), Access::Read)?;
    let unchanged = |file: &dyn FsFile| -> io::Result<bool> {
        Ok(file.probe_writers()? == WriterProbe::None && read_to_end(file, 1000)? == base)
    };
    if !unchanged(&*displaced)? {
        dir.rename(".f.tmp".as_ref(), "f.conflict".as_ref())?;
        dir.sync()?;
        return Ok(false);
    }
    dir.sync()?;
    dir.remove(".f.tmp".as_ref())?;
    Ok(true)
}

/// Is the foreign text somewhere?
fn foreign_text_is_kept<A>(fs: &SimFs, _: &A) -> Result<(), String> {
    let eyes = fs.foreign();
    let names = eyes.names("/").map_err(|e| e.to_string())?;
    let texts: Vec<Vec<u8>> = names.iter().filter_map(|name| eyes.read(format!("/{name}")).ok()).collect();
    if texts.iter().any(|text| text.windows(7).any(|part| part == b"foreign")) {
        Ok(())
    } else {
        Err(format!("the foreign text is gone: {names:?}"))
    }
}

/// VER-11 (P5.3): against a program that ignores us and acts at any moment, compare and rename loses its text, exchange and
/// look does not.
#[test]
fn a_hostile_writer_at_every_point() {
    // Synced: a foreign program that does not sync risks its own text.
    let rename_over = |hand: &Foreign| {
        hand.replace("/f", b"foreign").unwrap();
        hand.open("/f", Access::Read).unwrap().sync().unwrap();
        hand.sync_dir("/").unwrap();
    };
    let careless = Sweep::default().intrusions(old, |fs| add_line(fs, false).ok(), rename_over, foreign_text_is_kept);
    let mishaps: BTreeSet<&str> = careless.violations.iter().map(|v| v.mishap.as_str()).collect();
    assert_eq!(mishaps.len(), 3, "between the second opening and the rename: {mishaps:?}");
    for_each_intrusion(old, |fs| add_line(fs, true).ok(), rename_over, foreign_text_is_kept);
}
