//! Live documents: on a simulated disk, and several of them at one file.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use filelatch::live::{Live, LiveChange, LiveEvent, LiveOptions, LiveState};
use filelatch::watch::{Origin, WatchOptions};
use filelatch::{Durability, Error, Expect, Filelatch, Outcome, Policy, Resolution, Strategy, Version, WriteOptions};
use filelatch_fs::sim::{Dials, Plan, SimFs, Verb};

use super::schedules::{few, run};
use super::support;

fn engine(fs: &SimFs, session: &str) -> Filelatch {
    let host = Arc::new(fs.host());
    Filelatch::builder().fs(fs.as_fs()).host(host).session(session).without_workspaces().build()
}

fn open(fs: &SimFs, session: &str, path: &str) -> Live {
    engine(fs, session).live_unheard(path, &LiveOptions::new()).unwrap()
}

fn events(live: &mut Live) -> Vec<LiveEvent> {
    std::iter::from_fn(|| live.take_event()).collect()
}

fn words(live: &mut Live) -> Vec<&'static str> {
    events(live).iter().map(|event| event.what.word()).collect()
}

fn on_disk(fs: &SimFs, path: &str) -> String {
    String::from_utf8(fs.foreign().read(path).unwrap()).unwrap()
}

const SAVE: fn() -> WriteOptions<'static> = WriteOptions::new;

/// WATCH-3: a draft is brought together with what others wrote, and saved over nothing that was not seen.
#[test]
fn a_draft_meets_other_writers() {
    for dials in Dials::usual() {
        let fs = SimFs::new(dials);
        fs.foreign().create("/a.json", b"{\n  \"a\": 1,\n  \"b\": 1,\n  \"c\": 1\n}\n").unwrap();
        let mut live = open(&fs, "me", "/a.json");
        assert_eq!((live.state(), words(&mut live)), (LiveState::Clean, vec![]));
        live.edit(|text| String::from_utf8_lossy(text).replace("\"a\": 1", "\"a\": 2").into_bytes());
        fs.foreign().replace("/a.json", b"{\n  \"a\": 1,\n  \"b\": 2,\n  \"c\": 1\n}\n").unwrap();
        live.refresh();
        let merged = "{\n  \"a\": 2,\n  \"b\": 2,\n  \"c\": 1\n}\n";
        assert_eq!((words(&mut live), live.text()), (vec!["merged"], merged.as_bytes()), "{dials:?}");
        let saved = live.save(&SAVE()).unwrap();
        assert_eq!((saved.outcome, saved.version), (Outcome::Written, Some(Version::of(merged.as_bytes()))));
        assert_eq!(on_disk(&fs, "/a.json"), merged);
        // Its own save is nothing new.
        live.refresh();
        assert_eq!((words(&mut live), live.state()), (vec!["saved"], LiveState::Clean));
        // What was written since is merged by the save itself.
        live.edit(|text| String::from_utf8_lossy(text).replace("\"a\": 2", "\"a\": 3").into_bytes());
        let other = engine(&fs.process(), "them").file("/a.json").unwrap();
        other.write(merged.replace("\"c\": 1", "\"c\": 3").as_bytes(), &SAVE()).unwrap();
        let saved = live.save(&SAVE()).unwrap();
        let both = "{\n  \"a\": 3,\n  \"b\": 2,\n  \"c\": 3\n}\n";
        assert_eq!((saved.outcome, on_disk(&fs, "/a.json").as_str()), (Outcome::Merged, both));
        let told = events(&mut live);
        assert!(
            matches!(
                told[..],
                [
                    LiveEvent { what: LiveChange::Merged, .. },
                    LiveEvent { what: LiveChange::Saved(Outcome::Merged), by: Origin::Own, .. }
                ]
            ),
            "{told:?}"
        );
        let by = if dials.xattrs { Origin::Session("them".to_owned()) } else { Origin::Unknown };
        assert_eq!(told[0].by, by);
        assert_eq!(live.base_origin().unwrap().0, &Origin::Own);
        // Nothing is to be written: it is made sure of all the same.
        assert_eq!(live.save(&SAVE()).unwrap().outcome, Outcome::Unchanged);
    }
}

/// WATCH-3: a save that meets what does not fit writes nothing, and says what is in the way; each decision has its way.
#[test]
fn a_save_meets_a_conflict() {
    let meet = || {
        let fs = SimFs::new(Dials::default());
        fs.foreign().create("/a", b"one\n").unwrap();
        let mut live = open(&fs, "me", "/a");
        live.set_draft("mine\n");
        engine(&fs.process(), "them").file("/a").unwrap().write(b"theirs\n", &SAVE()).unwrap();
        let error = live.save(&SAVE()).unwrap_err();
        let Error::Conflict(conflict) = &error else { panic!("{error}") };
        assert_eq!(conflict.expected, Expect::Version(Version::of(b"one\n")));
        assert_eq!(conflict.current, Some(Version::of(b"theirs\n")));
        let text = error.to_string();
        assert!(text.ends_with("; last written by them; both changed the same place"), "{text}");
        assert_eq!(error.hints(), ["nothing was written"]);
        assert_eq!((on_disk(&fs, "/a").as_str(), live.text()), ("theirs\n", &b"mine\n"[..]));
        assert_eq!((words(&mut live), live.state()), (vec!["conflict"], LiveState::Conflict));
        (fs, live)
    };
    for (how, wanted) in [
        (Resolution::Mine, "mine\n"),
        (Resolution::Theirs, "theirs\n"),
        (Resolution::Content(b"both\n".to_vec()), "both\n"),
    ] {
        let (fs, mut live) = meet();
        live.resolve(how).unwrap();
        live.save(&SAVE()).unwrap();
        assert_eq!((on_disk(&fs, "/a").as_str(), live.state()), (wanted, LiveState::Clean));
    }
    // Decided for the version that was seen: a newer one is not written over.
    let (fs, mut live) = meet();
    live.resolve(Resolution::Mine).unwrap();
    fs.foreign().replace("/a", b"newer\n").unwrap();
    assert_eq!(live.save(&SAVE()).unwrap_err().code(), "conflict");
    assert_eq!(on_disk(&fs, "/a"), "newer\n");
    // Unless that is what is wanted.
    live.save(&SAVE().strategy(Strategy::LastWriteWins)).unwrap();
    assert_eq!((on_disk(&fs, "/a").as_str(), live.state()), ("mine\n", LiveState::Clean));
}

/// WATCH-3: what a file's policy says of merges counts for its draft, and a strategy that does not merge has it looked at first.
#[test]
fn strategies() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create("/a", b"a\nb\nc\n").unwrap();
    let mut policy = Policy::default();
    policy.strategy = Strategy::FailFast;
    let engine = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).defaults(policy).build();
    let mut live = engine.live_unheard("/a", &LiveOptions::new()).unwrap();
    for (strategy, refused) in
        [(None, false), (Some(Strategy::Merge), false), (Some(Strategy::FailFast), true), (Some(Strategy::Queue), true)]
    {
        fs.foreign().replace("/a", b"a\nb\nc\n").unwrap();
        live.refresh();
        live.set_draft("A\nb\nc\n");
        fs.foreign().replace("/a", b"a\nb\nC\n").unwrap();
        let options = WriteOptions { strategy, ..SAVE() };
        if refused {
            assert_eq!(live.save(&options).unwrap_err().code(), "conflict");
            assert_eq!((on_disk(&fs, "/a").as_str(), live.text()), ("a\nb\nC\n", &b"A\nb\nC\n"[..]));
        }
        live.save(&options).unwrap();
        assert_eq!(on_disk(&fs, "/a"), "A\nb\nC\n");
    }
    // An expectation besides.
    live.set_draft("x\n");
    let error = live.save(&SAVE().expect(Expect::Version(Version::of(b"other")))).unwrap_err();
    assert_eq!(error.code(), "conflict");
    assert_eq!(on_disk(&fs, "/a"), "A\nb\nC\n");
    live.save(&SAVE().expect(Expect::Version(Version::of(b"A\nb\nC\n")))).unwrap();
}

/// WATCH-3: a file that is removed keeps its text here, and is made anew when somebody says so, also in a directory that is another by now.
#[test]
fn gone_and_back() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create_dirs("/d").unwrap();
    fs.foreign().create("/d/a", b"one\n").unwrap();
    let mut live = open(&fs, "me", "/d/a");
    live.set_draft("two\n");
    fs.foreign().remove("/d/a").unwrap();
    let error = live.save(&SAVE()).unwrap_err();
    assert_eq!((error.code(), live.state(), live.text()), ("conflict", LiveState::Gone, &b"two\n"[..]));
    assert!(error.to_string().contains("is gone") && error.hints()[0].contains("absent"), "{error}");
    assert!(fs.foreign().read("/d/a").is_err());
    live.save(&SAVE().expect(Expect::Absent)).unwrap();
    assert_eq!(on_disk(&fs, "/d/a"), "two\n");
    // The directory, too.
    fs.foreign().rename("/d", "/e").unwrap();
    live.refresh();
    assert_eq!(live.state(), LiveState::Gone);
    fs.foreign().create_dirs("/d").unwrap();
    fs.foreign().create("/d/a", b"three\n").unwrap();
    live.refresh();
    assert_eq!((live.state(), live.text()), (LiveState::Clean, &b"three\n"[..]));
    live.set_draft("four\n");
    live.save(&SAVE()).unwrap();
    assert_eq!((on_disk(&fs, "/d/a").as_str(), on_disk(&fs, "/e/a").as_str()), ("four\n", "two\n"));
    assert_eq!(words(&mut live), ["gone", "saved", "gone", "reloaded", "saved"]);
}

/// WATCH-3: what can't be read for a while is said, and the draft is kept.
#[test]
fn unreadable() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create("/a", b"one\n").unwrap();
    let mut live = open(&fs, "me", "/a");
    live.set_draft("two\n");
    fs.foreign().remove("/a").unwrap();
    fs.foreign().create_dirs("/a").unwrap();
    live.refresh();
    assert_eq!((live.state(), live.error().unwrap().code()), (LiveState::Unreadable, "not-a-file"));
    assert_eq!(live.save(&SAVE()).unwrap_err().code(), "not-a-file");
    fs.foreign().rename("/a", "/b").unwrap();
    fs.foreign().create("/a", b"one\n").unwrap();
    live.refresh();
    assert_eq!((live.state(), live.text()), (LiveState::Draft, &b"two\n"[..]));
    assert_eq!(words(&mut live), ["unreadable", "back"]);
}

/// WATCH-3: a save that fails on the way leaves draft and file as they were; one that is visible but not durable is tried again.
#[test]
fn a_save_that_fails() {
    let fs = SimFs::new(Dials::default());
    fs.foreign().create("/a", b"one\n").unwrap();
    let mut live = open(&fs, "me", "/a");
    live.set_draft("two\n");
    fs.fail_verb(Verb::Exchange, std::io::ErrorKind::PermissionDenied);
    assert_eq!(live.save(&SAVE()).unwrap_err().code(), "permission-denied");
    fs.heal();
    live.refresh();
    assert_eq!((live.state(), on_disk(&fs, "/a").as_str(), words(&mut live)), (LiveState::Draft, "one\n", vec![]));
    fs.fail_verb(Verb::SyncDir, std::io::ErrorKind::Other);
    assert_eq!(live.save(&SAVE()).unwrap_err().code(), "published-not-durable");
    fs.heal();
    live.refresh();
    assert_eq!((live.state(), words(&mut live)), (LiveState::Clean, vec!["agreed"]));
    let calls = fs.trace_calls().len();
    assert_eq!(live.save(&SAVE()).unwrap().outcome, Outcome::Unchanged);
    assert!(fs.trace_calls()[calls..].iter().any(|call| call.verb == Verb::SyncDir), "made durable");
}

/// WATCH-3: a foreign program that writes at the very moment of a save is merged, too, whenever that is.
#[test]
fn a_program_without_locks() {
    let before = SimFs::new(Dials::default());
    let run = |fs: &SimFs| {
        fs.foreign().create("/a", b"a\nb\nc\n").unwrap();
        let mut live = open(fs, "me", "/a");
        live.edit(|text| String::from_utf8_lossy(text).replace('a', "A").into_bytes());
        (live.save(&SAVE()), live)
    };
    run(&before).0.unwrap();
    let calls = before.calls();
    assert!(calls > 10);
    for number in 0..calls {
        let fs = SimFs::new(Dials::default());
        fs.on_call(number, |fs| drop(fs.foreign().replace("/a", b"a\nb\nC\n")));
        let (saved, mut live) = run(&fs);
        saved.unwrap();
        live.refresh();
        // Before it was read, or between, or after: nobody's line is missing.
        live.save(&SAVE()).unwrap();
        let (disk, seen) = (on_disk(&fs, "/a"), String::from_utf8_lossy(live.text()).into_owned());
        assert_eq!(disk, seen, "at call {number}");
        assert!(disk.contains('C'), "at call {number}: {disk}");
        let replaced_after = disk == "a\nb\nC\n";
        assert!(
            disk == "A\nb\nC\n" || replaced_after && words(&mut live).contains(&"reloaded"),
            "at call {number}: {disk}"
        );
    }
}

/// What a process was told of its save, and how its document stood then.
type Told = Arc<Mutex<Vec<(Result<Outcome, &'static str>, LiveState)>>>;

/// Two processes with a live document each: type, save, look once more.
fn both_save(plan: &mut Plan, locks: bool, typed: [(char, &'static str); 2]) -> Told {
    let told = Told::default();
    plan.fs().foreign().create("/a", b"1\n2\n3\n4\n5\n").unwrap();
    for (name, (from, to)) in ["ann", "ben"].into_iter().zip(typed) {
        let told = Arc::clone(&told);
        plan.process(name, move |fs| {
            let mut policy = Policy::default();
            policy.locks = locks;
            let builder = Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).session(name);
            let Ok(mut live) = builder.defaults(policy).build().live_unheard("/a", &LiveOptions::new()) else { return };
            live.edit(|text| String::from_utf8_lossy(text).replace(from, to).into_bytes());
            let saved = live.save(&SAVE()).map(|written| written.outcome).map_err(|e| e.code());
            let state = live.state();
            live.refresh();
            told.lock().unwrap().push((saved, state));
        });
    }
    told
}

/// WATCH-3: two processes save at once what fits together: both are told that they saved, and both changes are in the file, in every order of
/// their calls; with locks, and without any.
#[test]
fn two_saves_in_every_order() {
    for locks in [true, false] {
        run(if locks { "live" } else { "live without locks" }, &few(1), 60, |plan| {
            let told = both_save(plan, locks, [('1', "one"), ('5', "five")]);
            plan.at_end(move |fs| {
                let told = told.lock().unwrap().clone();
                let all_saved = told.iter().all(|(saved, state)| saved.is_ok() && *state == LiveState::Clean);
                let content = fs.foreign().read("/a").map_err(|e| e.to_string())?;
                if told.len() == 2 && all_saved && content == b"one\n2\n3\n4\nfive\n" {
                    return Ok(());
                }
                Err(format!("told {told:?}, found {}", String::from_utf8_lossy(&content)))
            });
        });
    }
}

/// WATCH-3: of two processes that typed at one place one saves, or sees the other's first and changes that; the other one is in conflict, and what is
/// in the file is one whole line.
#[test]
fn two_saves_that_clash() {
    run("live clash", &few(1), 60, |plan| {
        let told = both_save(plan, true, [('3', "three"), ('3', "drei")]);
        plan.at_end(move |fs| {
            let told = told.lock().unwrap().clone();
            let content = fs.foreign().read("/a").map_err(|e| e.to_string())?;
            let lost = told.iter().filter(|told| **told == (Err("conflict"), LiveState::Conflict)).count();
            let won = told.iter().filter(|(saved, _)| saved.is_ok()).count();
            // Who opens it after the other has saved finds nothing to change.
            let is_one = [&b"1\n2\nthree\n4\n5\n"[..], b"1\n2\ndrei\n4\n5\n"].contains(&&content[..]);
            if is_one && won + lost == 2 && won > 0 {
                return Ok(());
            }
            Err(format!("told {told:?}, found {}", String::from_utf8_lossy(&content)))
        });
    });
}

/// Small random numbers with a seed (splitmix64, Steele and others 2014).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).unwrap()
    }
}

/// A kind of document, and how its words are changed.
#[derive(Clone, Copy, Debug)]
enum Sort {
    Lines,
    Json,
    Markdown,
}

impl Sort {
    fn path(self) -> &'static str {
        match self {
            Sort::Lines => "/a.rs",
            Sort::Json => "/a.json",
            Sort::Markdown => "/a.md",
        }
    }

    fn start(self) -> String {
        match self {
            Sort::Lines => ["zero\n", "one\n", "two\n", "three\n", "four\n", "five\n", "six\n"].concat(),
            Sort::Json => {
                let fields: Vec<_> = (0..6).map(|n| format!("  \"k{n}\": \"v{n}\"")).collect();
                format!("{{\n{}\n}}\n", fields.join(",\n"))
            }
            Sort::Markdown => {
                let parts = ["one", "two", "three", "four"];
                parts.map(|n| format!("# Part {n}\n\nSome text of part {n}, by nobody.\n\n")).concat()
            }
        }
    }

    /// Puts a word that nobody has used somewhere, and perhaps removes others.
    fn change(self, text: &str, word: &str, dice: &mut Dice) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        match self {
            Sort::Lines => {
                let at = dice.roll(lines.len() + 1);
                if at < lines.len() && dice.roll(2) == 0 {
                    lines[at] = word.to_owned();
                } else {
                    lines.insert(at, word.to_owned());
                }
            }
            Sort::Json => {
                let fields: Vec<_> = (0..lines.len()).filter(|i| lines[*i].starts_with("  \"")).collect();
                let at = fields[dice.roll(fields.len())];
                let (key, rest) = lines[at].split_once(": ").unwrap();
                let comma = if rest.ends_with(',') { "," } else { "" };
                let added = format!("  \"n{word}\": \"{word}\"{comma}");
                if dice.roll(3) == 0 {
                    let key = format!("{key}: {}", rest.trim_end_matches(','));
                    lines[at] = format!("{key},");
                    lines.insert(at + 1, added);
                } else {
                    lines[at] = format!("{key}: \"{word}\"{comma}");
                }
            }
            Sort::Markdown => {
                let at = dice.roll(lines.len());
                if lines[at].is_empty() {
                    lines.splice(at..=at, [String::new(), format!("A sentence, {word}."), String::new()]);
                } else {
                    lines[at] = format!("{} {word}", lines[at]);
                }
            }
        }
        lines.iter().flat_map(|line| [line, "\n"]).collect()
    }
}

/// Words that were put in by somebody.
fn put_in(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    let words = text.split(|c| !is_part(c)).filter_map(|word| word.strip_prefix('n').or(Some(word)));
    words.filter(|word| word.starts_with('w') && word[1..].parse::<u32>().is_ok()).map(str::to_owned).collect()
}

/// Two people with a document each, and what is known of the words that they put in.
struct Room {
    sort: Sort,
    fs: SimFs,
    dice: Dice,
    lives: [Live; 2],
    /// A face that has a copy of its own: what it shows, and which version that was typed on.
    copies: [Option<(Option<Version>, String)>; 2],
    /// Taken out by somebody who saw it.
    retired: BTreeSet<String>,
    saved: BTreeSet<String>,
    unsaved: [BTreeSet<String>; 2],
    merged: usize,
    conflicts: usize,
    undone: usize,
}

impl Room {
    fn new(sort: Sort, seed: u64) -> Room {
        let mut dice = Dice(seed);
        let fs = SimFs::new(Dials { xattrs: dice.roll(2) == 0, ..Dials::default() });
        fs.foreign().create(sort.path(), sort.start().as_bytes()).unwrap();
        let lives = ["ann", "ben"].map(|name| open(&fs.process(), name, sort.path()));
        let copies = [0, 1].map(|i| (seed % 3 > i).then(|| (lives[0].base_version(), sort.start())));
        let (retired, saved, unsaved) = <(BTreeSet<_>, BTreeSet<_>, [BTreeSet<_>; 2])>::default();
        Room { sort, fs, dice, lives, copies, retired, saved, unsaved, merged: 0, conflicts: 0, undone: 0 }
    }

    fn text(&self, who: usize) -> String {
        String::from_utf8(self.lives[who].text().to_vec()).unwrap()
    }

    fn step(&mut self, who: usize, call: usize, word: String) {
        match call {
            0..=3 => self.type_in(who, word),
            4..=6 => self.save(who),
            7 => self.lives[who].refresh(),
            8 => {
                let now = (self.lives[who].base_version(), self.text(who));
                self.copies[who] = self.copies[who].take().map(|_| now);
            }
            9 => {
                // Whoever takes no part in anything, and writes what he has just read.
                let before = on_disk(&self.fs, self.sort.path());
                let after = self.sort.change(&before, &word, &mut self.dice);
                self.retired.extend(put_in(&before).difference(&put_in(&after)).cloned());
                self.fs.foreign().replace(self.sort.path(), after.as_bytes()).unwrap();
                self.saved.insert(word);
            }
            10 => self.decide(who),
            _ => self.undone += usize::from(self.lives[who].undo_merge()),
        }
    }

    fn type_in(&mut self, who: usize, word: String) {
        let before = self.copies[who].as_ref().map_or_else(|| self.text(who), |(_, text)| text.clone());
        let after = self.sort.change(&before, &word, &mut self.dice);
        match &mut self.copies[who] {
            None => self.lives[who].set_draft(after.clone()),
            Some((base, text)) => {
                if let Err(e) = self.lives[who].set_draft_on(*base, after.clone()) {
                    assert_eq!(e.code(), "no-such-version");
                    return;
                }
                text.clone_from(&after);
            }
        }
        for out in put_in(&before).difference(&put_in(&after)) {
            self.unsaved[who].remove(out);
            self.retired.insert(out.clone());
        }
        self.unsaved[who].insert(word);
    }

    fn save(&mut self, who: usize) {
        match self.lives[who].save(&SAVE()) {
            Ok(_) => self.saved.append(&mut self.unsaved[who]),
            Err(e) => {
                assert_eq!(e.code(), "conflict", "{e}");
                assert_eq!(self.lives[who].state(), LiveState::Conflict);
            }
        }
    }

    fn decide(&mut self, who: usize) {
        let Some(conflict) = self.lives[who].conflict() else { return };
        self.conflicts += 1;
        let theirs = put_in(std::str::from_utf8(conflict.theirs()).unwrap());
        let mine = put_in(&self.text(who));
        if self.dice.roll(2) == 0 {
            self.lives[who].resolve(Resolution::Mine).unwrap();
            self.retired.extend(theirs.difference(&mine).cloned());
        } else {
            self.lives[who].resolve(Resolution::Theirs).unwrap();
            for out in mine.difference(&theirs) {
                self.unsaved[who].remove(out);
                self.retired.insert(out.clone());
            }
        }
    }

    /// Words that should be somewhere and are not.
    fn missing(&self) -> Vec<&String> {
        let disk = put_in(&on_disk(&self.fs, self.sort.path()));
        let mut missing: Vec<_> = self.saved.iter().filter(|word| !disk.contains(*word)).collect();
        for (who, unsaved) in self.unsaved.iter().enumerate() {
            let text = put_in(&self.text(who));
            missing.extend(unsaved.iter().filter(|word| !text.contains(*word)));
        }
        missing.retain(|word| !self.retired.contains(*word));
        missing
    }
}

/// WATCH-3: two people and a program without manners at one file, in any order of typing, saving, looking, deciding, in documents of their own or through
/// copies that lag behind: each word that was put in and saved is on disk for as long as nobody who had seen it took it out, and each
/// that was not saved is where its writer finds it.
#[test]
fn nothing_disappears() {
    for sort in [Sort::Lines, Sort::Json, Sort::Markdown] {
        let (mut merged, mut conflicts, mut undone) = (0, 0, 0);
        for seed in 0..if support::is_full() { 2000 } else { 40 } {
            let mut room = Room::new(sort, seed);
            let mut trail = Vec::new();
            for number in 0..40 {
                let (who, call) = (room.dice.roll(2), room.dice.roll(12));
                trail.push((who, call));
                room.step(who, call, format!("w{number}"));
                let told = events(&mut room.lives[who]);
                room.merged += told.iter().filter(|event| matches!(event.what, LiveChange::Merged)).count();
                assert_eq!(room.missing(), [""; 0], "{sort:?} {seed} after {trail:?}: {:?}", room.lives);
            }
            (merged, conflicts, undone) = (merged + room.merged, conflicts + room.conflicts, undone + room.undone);
        }
        assert!(merged > 30 && conflicts > 5 && undone > 0, "{sort:?}: {merged} {conflicts} {undone}");
    }
}

/// Body of a worker that counts one field up, in a live document of its own.
pub(crate) fn count_field(path: &str, key: &str, times: &str) {
    let engine = Filelatch::builder().session(key).without_workspaces().build();
    let mut live = engine.live(path, &LiveOptions::new()).unwrap();
    let times: usize = times.parse().unwrap();
    support::say("open");
    support::hear();
    for n in 1..=times {
        live.edit(|text| {
            let line = format!("\"{key}\": {}", n - 1);
            let text = std::str::from_utf8(text).unwrap();
            assert!(text.contains(&line), "`{line}` is missing in {text}");
            text.replace(&line, &format!("\"{key}\": {n}")).into_bytes()
        });
        // Some of what the other one saves is heard before, some is met by the save.
        if n % 3 == 0 {
            live.take_in().unwrap();
        }
        live.save(&SAVE().durability(Durability::None)).unwrap();
        assert_eq!(live.state(), LiveState::Clean);
    }
    support::say("saved");
    // It hears what the other one has made of it, too.
    let all = format!("\"ann\": {times},\n  \"ben\": {times}");
    while !String::from_utf8_lossy(live.text()).contains(&all) {
        live.next(Some(support::PATIENCE)).unwrap().expect("a change is heard of");
    }
    support::say("heard");
}

/// WATCH-3, MERGE-1: two processes change two neighbouring fields of one document, as often as they can: both end with all of both.
#[test]
fn two_processes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state.json");
    std::fs::write(&path, "{\n  \"ann\": 0,\n  \"ben\": 0\n}\n").unwrap();
    let mut watching = support::engine().live(&path, &LiveOptions::new()).unwrap();
    let name = path.to_str().unwrap();
    let mut workers = ["ann", "ben"].map(|key| support::Worker::start(&["live-count", name, key, "60"]));
    for worker in &mut workers {
        worker.expect("open");
    }
    for worker in &mut workers {
        worker.tell("go");
    }
    for said in ["saved", "heard"] {
        for worker in &mut workers {
            worker.expect(said);
        }
    }
    let last = "{\n  \"ann\": 60,\n  \"ben\": 60\n}\n";
    assert_eq!(std::fs::read_to_string(&path).unwrap(), last);
    while watching.text() != last.as_bytes() {
        let event = watching.next(Some(support::PATIENCE)).unwrap().expect("a change is heard of");
        assert_eq!(event.what.word(), "reloaded");
        // Unknown where there are no attributions.
        assert!(matches!(event.by, Origin::Session(_) | Origin::Unknown), "{event:?}");
    }
    for worker in workers {
        worker.finish();
    }
}

/// WATCH-3: many documents share one watch; each hears of its own file, and its own saves are no news.
#[test]
fn one_watch_for_many() {
    let dir = tempfile::tempdir().unwrap();
    let path = |n: usize| dir.path().join(format!("{n}.txt"));
    for n in 0..300 {
        std::fs::write(path(n), "one\n").unwrap();
    }
    let engine = support::engine();
    let watch = engine.watch([dir.path()], &WatchOptions::new()).unwrap();
    let open = |n| engine.live_on(path(n), watch.reader(None), &LiveOptions::new()).unwrap();
    let mut lives: Vec<_> = (0..300).map(open).collect();
    let second = open(7);
    // Each may go to the thread that it is for.
    let mut second = std::thread::spawn(move || second).join().unwrap();
    std::fs::write(path(5), "two\n").unwrap();
    std::fs::remove_file(path(6)).unwrap();
    lives[7].set_draft("three\n");
    lives[7].save(&SAVE().durability(Durability::None)).unwrap();
    watch.sync(support::PATIENCE).unwrap();
    for (n, live) in lives.iter_mut().enumerate() {
        let first = live.take_in().unwrap();
        let words: Vec<_> = first.into_iter().chain(events(live)).map(|event| event.what.word()).collect();
        let wanted: &[_] = match n {
            5 => &["reloaded"],
            6 => &["gone"],
            7 => &["saved"],
            _ => &[],
        };
        assert_eq!(words, wanted, "{n}");
    }
    // Another document of the same engine and file hears of it, and whose it was.
    let event = second.take_in().unwrap().unwrap();
    assert_eq!((event.what.word(), event.by, second.text()), ("reloaded", Origin::Own, &b"three\n"[..]));
    // One thread for all of them.
    let mut unheard = [0, 1].map(|n| engine.live_unheard(path(n), &LiveOptions::new()).unwrap());
    std::fs::write(path(1), "four\n").unwrap();
    let reader = watch.reader(None);
    std::fs::write(path(1), "five\n").unwrap();
    loop {
        let event = reader.next(Some(support::PATIENCE)).unwrap().expect("a change is heard of");
        for live in &mut unheard {
            live.hear(&event);
        }
        if unheard[1].text() == b"five\n" {
            break;
        }
    }
    assert_eq!(words(&mut unheard[0]), [""; 0]);
    // With the watch the hearing ends, and is not silent about it.
    drop(watch);
    assert_eq!(lives[0].next(None).unwrap_err().code(), "cancelled");
    std::fs::write(path(0), "six\n").unwrap();
    lives[0].refresh();
    assert_eq!(lives[0].text(), b"six\n");
}

/// WATCH-3: editors that save by renaming, a file that is made later, a directory that is replaced, a link that leads elsewhere: the document
/// is what the path leads to.
#[test]
fn by_path() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir(at("d")).unwrap();
    let path = at("d/a.txt");
    let mut live = support::engine().live(&path, &LiveOptions::new()).unwrap();
    assert_eq!((live.state(), live.text()), (LiveState::Clean, &b""[..]));
    let until = |live: &mut Live, state: LiveState, text: &str| {
        while live.state() != state || live.text() != text.as_bytes() {
            live.next(Some(support::PATIENCE)).unwrap().expect("a change is heard of");
        }
    };
    std::fs::write(&path, "one\n").unwrap();
    until(&mut live, LiveState::Clean, "one\n");
    // As vim does it.
    std::fs::rename(&path, at("d/a.txt~")).unwrap();
    std::fs::write(&path, "two\n").unwrap();
    std::fs::remove_file(at("d/a.txt~")).unwrap();
    until(&mut live, LiveState::Clean, "two\n");
    // As VS Code does it.
    std::fs::write(at("d/.tmp"), "three\n").unwrap();
    std::fs::rename(at("d/.tmp"), &path).unwrap();
    until(&mut live, LiveState::Clean, "three\n");
    live.set_draft("draft\n");
    // A directory that is watched can't be renamed on Windows.
    if cfg!(not(windows)) {
        std::fs::rename(at("d"), at("old")).unwrap();
        until(&mut live, LiveState::Gone, "draft\n");
        std::fs::create_dir(at("d")).unwrap();
        std::fs::write(&path, "three\n").unwrap();
        until(&mut live, LiveState::Draft, "draft\n");
    }
    std::fs::remove_file(&path).unwrap();
    until(&mut live, LiveState::Gone, "draft\n");
}
