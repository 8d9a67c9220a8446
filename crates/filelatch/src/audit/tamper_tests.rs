//! Tampering: every byte of every file of a log changed, removed, doubled or added; every line and every file dropped, doubled, swapped.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::key::Key;
use super::line::{Body, Link, append, append_as, file_name};
use super::scan::FORM;
use super::verify::{Anchor, ProblemKind, Verified, Walk};

type Files = BTreeMap<u64, Vec<u8>>;

fn body(event: &'static str) -> Body {
    Body::new(SystemTime::UNIX_EPOCH, event)
}

/// A log of three files, as writers make it.
fn log(name: &str, key: Option<&Key>) -> (Files, Vec<Link>) {
    let (mut files, mut links) = (Files::new(), Vec::<Link>::new());
    for file in 0..3 {
        let (mut out, before) = (Vec::new(), links.last().copied());
        let n = before.map_or(1, |before| before.n + 1);
        let mut begin = body("begin").number("v", FORM).text("log", name);
        if let Some(before) = &before {
            begin = begin.text("after", before.chain.to_hex().as_str());
        }
        if let Some(key) = key {
            begin = begin.text("key", &key.id());
        }
        links.push(append_as(&mut out, key, n, before.as_ref().map(|before| &before.chain), &begin));
        for i in 0..2 {
            let write = body("write").text("path", "a").number("generation", i).text("hash", &"0".repeat(64));
            links.push(append(&mut out, key, links.last(), &write));
        }
        if file < 2 {
            let next = file_name(links.last().unwrap().n + 2);
            let next = body("next").text("file", &next.to_string_lossy());
            links.push(append(&mut out, key, links.last(), &next));
        }
        files.insert(n, out);
    }
    (files, links)
}

fn verify(files: &Files, key: Option<&Key>, anchors: &[Anchor]) -> Verified {
    let mut walk = Walk::new(key, anchors);
    let last = files.keys().next_back().copied();
    for (number, bytes) in files {
        walk.file(*number, bytes, Some(*number) == last);
    }
    walk.end();
    walk.found
}

/// Changed, and found: the first problem is in this file, at this line or the next, and names a record.
#[track_caller]
fn assert_found(files: &Files, number: u64, line: u64, anchor: Anchor, how: &str) {
    let found = verify(files, None, &[]);
    let name = file_name(number).into_string().unwrap();
    let Some(first) = found.problems.first() else {
        // Only the end of the log can be changed so that what is left is a log: the anchor knows.
        let found = verify(files, None, &[anchor]);
        let first = found.problems.first().unwrap_or_else(|| panic!("{how} in {name}:{line} is not found"));
        let at_the_end = files.keys().next_back() == Some(&number);
        assert!(at_the_end && first.kind == ProblemKind::Truncated && first.record.is_some(), "{how}: {first}");
        return;
    };
    assert!(
        first.file == name && first.line.is_none_or(|at| at == line || at == line + 1),
        "{how} in {name}:{line}: {first}"
    );
    assert!(first.record.is_some(), "{how} in {name}:{line}: {first}");
}

/// KEEP-2: any byte flipped, removed, doubled, or another put before it; the file, line and record are named.
#[test]
fn every_byte() {
    let (files, links) = log("log", None);
    let anchor = Anchor { link: *links.last().unwrap() };
    let good = verify(&files, None, &[anchor]);
    assert!(good.is_ok() && good.notes.is_empty(), "{good:?}");
    assert_eq!((good.records, good.files, good.head), (11, 3, Some(anchor)));
    for (number, bytes) in &files {
        for at in 0..bytes.len() {
            let line = bytes[..at].iter().filter(|b| **b == b'\n').count() as u64 + 1;
            let put = |how: &str, changed: Vec<u8>| {
                if changed != *bytes {
                    let mut files = files.clone();
                    files.insert(*number, changed);
                    assert_found(&files, *number, line, anchor, how);
                }
            };
            for bit in [0, 5, 7] {
                let mut changed = bytes.clone();
                changed[at] ^= 1 << bit;
                put("a flipped bit", changed);
            }
            let (before, after) = bytes.split_at(at);
            put("a zero", [before, b"\0", &after[1..]].concat());
            put("a removed byte", [before, &after[1..]].concat());
            put("a doubled byte", [before, &after[..1], after].concat());
            for other in [b" ", b"\n", b"0"] {
                put("an added byte", [before, other, after].concat());
            }
        }
    }
}

/// KEEP-2: any line dropped, doubled or swapped with any other, and the log cut at any byte.
#[test]
fn every_line() {
    let (files, links) = log("log", None);
    let anchor = Anchor { link: *links.last().unwrap() };
    let lines_of = |bytes: &[u8]| bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect::<Vec<_>>();
    let all: Vec<(u64, usize)> =
        files.iter().flat_map(|(n, bytes)| (0..lines_of(bytes).len()).map(|i| (*n, i))).collect();
    for &(number, i) in &all {
        let lines = lines_of(&files[&number]);
        let put = |lines: Vec<Vec<u8>>, how: &str| {
            let mut files = files.clone();
            files.insert(number, lines.concat());
            let found = verify(&files, None, &[anchor]);
            let named = found.problems.iter().any(|problem| problem.record.is_some());
            assert!(named, "{how} {number}:{} is not found: {found:?}", i + 1);
        };
        let (mut dropped, mut doubled) = (lines.clone(), lines.clone());
        dropped.remove(i);
        doubled.insert(i, lines[i].clone());
        put(dropped, "dropped");
        put(doubled, "doubled");
        for &(other, j) in all.iter().filter(|other| **other > (number, i)) {
            let mut changed: BTreeMap<u64, Vec<Vec<u8>>> =
                files.iter().map(|(n, bytes)| (*n, lines_of(bytes))).collect();
            let one = changed[&number][i].clone();
            let two = std::mem::replace(&mut changed.get_mut(&other).unwrap()[j], one);
            changed.get_mut(&number).unwrap()[i] = two;
            let changed = changed.into_iter().map(|(n, lines)| (n, lines.concat())).collect();
            let found = verify(&changed, None, &[]);
            let name = file_name(number).into_string().unwrap();
            let first = found.problems.first().unwrap_or_else(|| panic!("{number}:{i} for {other}:{j} is not found"));
            assert!(first.file == name && first.record.is_some() && first.line == Some(i as u64 + 1), "{first}");
        }
    }
    for (number, bytes) in &files {
        for at in 0..bytes.len() {
            let mut cut = files.clone();
            cut.split_off(&(number + 1));
            cut.insert(*number, bytes[..at].to_vec());
            let found = verify(&cut, None, &[anchor]);
            let told = found.problems.iter().any(|problem| problem.kind == ProblemKind::Truncated);
            assert!(told, "cut at {number}:{at}: {found:?}");
            // In the middle of a line: seen without an anchor, too.
            let torn = at > 0 && bytes[at - 1] != b'\n';
            assert!(!torn || !verify(&cut, None, &[]).notes.is_empty());
        }
    }
}

/// KEEP-2: whole files dropped, exchanged, renamed, or of another log.
#[test]
fn every_file() {
    let (files, links) = log("log", None);
    let anchor = Anchor { link: *links.last().unwrap() };
    let numbers: Vec<u64> = files.keys().copied().collect();
    for (i, number) in numbers.iter().enumerate() {
        let mut dropped = files.clone();
        dropped.remove(number);
        let found = verify(&dropped, None, &[anchor]);
        let wanted = if i == 2 { ProblemKind::Truncated } else { ProblemKind::MissingFile };
        assert!(found.problems.iter().any(|problem| problem.kind == wanted), "{number}: {found:?}");
        for other in numbers.iter().filter(|other| *other > number) {
            let mut swapped = files.clone();
            swapped.insert(*number, files[other].clone());
            swapped.insert(*other, files[number].clone());
            let found = verify(&swapped, None, &[]);
            assert!(found.problems.iter().any(|problem| problem.kind == ProblemKind::SwappedFile), "{found:?}");
        }
        let (others, _) = log("another", None);
        let mut mixed = files.clone();
        mixed.insert(*number, others[number].clone());
        let found = verify(&mixed, None, &[anchor]);
        assert!(
            found.problems.iter().any(|problem| problem.kind == ProblemKind::SwappedFile
                || problem.kind == ProblemKind::Truncated
                || problem.kind == ProblemKind::Rewritten),
            "{found:?}"
        );
        assert!(!verify(&mixed, None, &[]).is_ok());
    }
    assert!(!verify(&Files::new(), None, &[anchor]).is_ok());
    assert!(verify(&Files::new(), None, &[]).is_ok());
}

/// KEEP-2: who rewrites the whole chain is found by an anchor, or by a key that he has not got; records that somebody adds without either
/// are found where they begin.
#[test]
fn forgers() {
    let (files, links) = log("log", None);
    let anchor = Anchor { link: *links.last().unwrap() };
    // The same log, with another record in it and the chain made anew: a log.
    let mut forged = Files::new();
    let mut last: Option<Link> = None;
    for (number, bytes) in &files {
        let mut out = Vec::new();
        for line in bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let (_, head) = super::line::split(line).unwrap();
            let text = String::from_utf8(head.to_vec()).unwrap().replace("\"path\":\"a\"", "\"path\":\"b\"");
            let mut text = text.split_once(",\"at\"").map(|(_, rest)| format!(",\"at\"{rest}")).unwrap();
            if let Some(before) = last
                && text.contains("\"begin\"")
            {
                let (head, _) = text.split_once(",\"after\"").unwrap();
                text = format!("{head},\"after\":\"{}\"", before.chain.to_hex());
            }
            let before = last.map(|last| last.chain);
            let n = last.map_or(1, |last| last.n + 1);
            last = Some(append_as(&mut out, None, n, before.as_ref(), &Body::of_text(text)));
        }
        forged.insert(*number, out);
    }
    assert!(verify(&forged, None, &[]).is_ok(), "{:?}", verify(&forged, None, &[]));
    let found = verify(&forged, None, &[anchor]);
    assert_eq!(found.problems.iter().map(|problem| problem.kind).collect::<Vec<_>>(), [ProblemKind::Rewritten]);
    // With a key.
    let (key, other) = (Key::new(b"0123456789abcdef").unwrap(), Key::new(b"another key, not the same").unwrap());
    let (mut keyed, links) = log("log", Some(&key));
    assert!(verify(&keyed, Some(&key), &[]).is_ok());
    for wrong in [None, Some(&other)] {
        let found = verify(&keyed, wrong, &[]);
        assert!(found.problems.iter().all(|problem| problem.kind == ProblemKind::WrongKey), "{found:?}");
        assert_eq!(found.problem_count, 3);
    }
    assert_eq!(
        verify(&forged, Some(&key), &[]).problems.first().map(|problem| problem.kind),
        Some(ProblemKind::WrongKey)
    );
    let end = keyed.values_mut().next_back().unwrap();
    append(end, None, links.last(), &body("write"));
    let found = verify(&keyed, Some(&key), &[]);
    assert_eq!(
        found.problems.iter().map(|problem| (problem.kind, problem.record)).collect::<Vec<_>>(),
        [(ProblemKind::Edited, Some(12))]
    );
}
