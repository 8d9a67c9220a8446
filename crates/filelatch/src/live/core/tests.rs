//! All transitions: by a script for each, and by all short sequences of calls.

use std::time::Duration;

use super::*;
use crate::merge::Kind;

/// One word a line.
fn text(words: &str) -> Vec<u8> {
    words.split_whitespace().flat_map(|word| [word, "\n"]).collect::<String>().into_bytes()
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn taken(content: &str) -> Taken {
    Taken { content: Content::new(text(content)), by: Origin::Session("them".to_owned()), at: moment() }
}

fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

fn disk(what: &str) -> Disk {
    match what {
        "nothing" => Disk::Nothing { by: Origin::External, at: moment() },
        "unreadable" => {
            Disk::Unreadable { why: Arc::new(Error::NotAFile { path: "/a".into(), what: "a directory" }), at: moment() }
        }
        content => Disk::Has(taken(content)),
    }
}

fn options() -> MergeOptions {
    MergeOptions { kind: Kind::Lines, ..MergeOptions::default() }
}

/// `call argument → event state text [before BEFORE]`, or `→ error TEXT`; a line each.
fn run(script: &str) {
    let options = options();
    let merging = Merging { options: &options, automatic: true };
    let mut core = Core::default();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (call, wanted) = line.split_once('→').unwrap();
        let (verb, argument) = call.trim().split_once(' ').unwrap_or((call.trim(), ""));
        let event = match verb {
            "disk" => core.see(disk(argument), &merging),
            "type" => core.set_draft(text(argument), &merging),
            "type-on" => {
                let (base, typed) = argument.split_once(':').unwrap();
                let base = (base.trim() != "nothing").then(|| Version::of(&text(base)));
                core.set_draft_on(base, text(typed), None, &merging).unwrap()
            }
            "discard" => {
                core.discard();
                None
            }
            "undo" => {
                assert!(core.undo_merge(&merging), "{line}");
                None
            }
            "mine" | "theirs" | "merged" | "content" => {
                let how = match verb {
                    "mine" => Resolution::Mine,
                    "theirs" => Resolution::Theirs,
                    "merged" => Resolution::Merged,
                    _ => Resolution::Content(text(argument)),
                };
                if let Err(e) = core.resolve(how) {
                    assert_eq!(format!("error {e}"), wanted.trim(), "{line}");
                    continue;
                }
                None
            }
            "save" => {
                let plan = core.plan(argument == "anew");
                plan.map(|plan| core.saved(plan.content, Outcome::Written, moment()))
            }
            other => panic!("{other}"),
        };
        let state = format!("{:?}", core.state()).to_lowercase();
        let event = event.as_ref().map_or("-", |event| event.what.word());
        let before = core.before_merge().map(|before| format!(" before {}", words(before))).unwrap_or_default();
        let got = format!("{event} {state} {}{before}", words(core.text()));
        assert_eq!(got.trim(), wanted.trim(), "{line}");
    }
}

/// WATCH-3: without a draft the text follows the disk.
#[test]
fn follows() {
    run("disk nothing   → - clean
         disk a b c     → reloaded clean a b c
         disk a b c     → - clean a b c
         disk a b d     → reloaded clean a b d
         disk nothing   → gone gone a b d
         disk nothing   → - gone a b d
         disk a b d     → back clean a b d
         disk nothing   → gone gone a b d
         disk x         → reloaded clean x
         disk unreadable → unreadable unreadable x
         disk unreadable → - unreadable x
         disk x         → back clean x
         disk unreadable → unreadable unreadable x
         disk nothing   → gone gone x
         disk unreadable → unreadable unreadable x
         disk y         → reloaded clean y");
}

/// WATCH-3: a draft that fits is merged, and what was typed can be had.
#[test]
fn merges() {
    run("disk a b c d e → reloaded clean a b c d e
         type A b c d e → - draft A b c d e
         disk a b c d e → - draft A b c d e
         disk a b C d e → merged draft A b C d e before A b c d e
         disk a b C d E → merged draft A b C d E before A b c d e
         type A b C D e → - draft A b C D e
         disk a b C d E → - draft A b C D e
         save           → saved clean A b C D e
         disk A b C D e → - clean A b C D e");
    run("disk a b c     → reloaded clean a b c
         type A b c     → - draft A b c
         disk A b c     → agreed clean A b c before A b c
         type A b C     → - draft A b C
         disk X b c     → merged draft X b C before A b C");
    // The disk has more than the draft.
    run("disk a b c     → reloaded clean a b c
         type A b c     → - draft A b c
         disk A b C     → agreed clean A b C before A b c
         save           → saved clean A b C");
    // There was no file.
    run("disk nothing   → - clean
         type a b       → - draft a b
         disk a b       → agreed clean a b before a b");
    run("disk nothing   → - clean
         type a b       → - draft a b
         disk c         → conflict conflict a b
         disk nothing   → settled draft a b
         save           → saved clean a b");
    // What is typed back is no draft.
    run("disk a b c     → reloaded clean a b c
         type A b c     → - draft A b c
         type a b c     → - clean a b c
         disk x         → reloaded clean x");
}

/// WATCH-3: what does not fit is a conflict with the draft as it was, for as long as it does not fit.
#[test]
fn conflicts() {
    let opened = "disk a b c d e → reloaded clean a b c d e
                  type A b c d e → - draft A b c d e
                  disk X b c d e → conflict conflict A b c d e";
    for goes_on in [
        "disk X b c d e → - conflict A b c d e
         disk Y b c d e → conflict conflict A b c d e
         disk a b c d e → settled draft A b c d e
         save → saved clean A b c d e",
        // Against the first base: what they changed and took back is no conflict.
        "disk X b c d E → conflict conflict A b c d e
         disk a b c d E → merged draft A b c d E before A b c d e",
        "disk A b c d e → agreed clean A b c d e before A b c d e",
        "save → - conflict A b c d e
         mine → - draft A b c d e
         disk X b c d E → merged draft A b c d E before A b c d e
         save → saved clean A b c d E",
        "mine → - draft A b c d e
         disk Y b c d e → conflict conflict A b c d e",
        "theirs → - clean X b c d e before A b c d e
         disk X b c d e → - clean X b c d e before A b c d e
         undo → - conflict A b c d e
         mine → - draft A b c d e",
        "merged → error 1 places of the merged text are not settled
         content AX b c d e → - draft AX b c d e before A b c d e
         save → saved clean AX b c d e",
        "content X b c d e → - clean X b c d e before A b c d e",
        "discard → - clean X b c d e",
        // Typing goes on; nothing changes under the fingers.
        "type A b c d E → - conflict A b c d E
         type a b c d E → - conflict a b c d E
         disk X b c d e → merged draft X b c d E before a b c d E",
        "type a b c d E → - conflict a b c d E
         merged → - draft X b c d E before a b c d E",
        "type X b c d e → agreed clean X b c d e before X b c d e",
        "disk nothing → gone gone A b c d e
         disk X b c d e → conflict conflict A b c d e",
        "disk unreadable → unreadable unreadable A b c d e
         disk X b c d e → conflict conflict A b c d e",
    ] {
        run(&format!("{opened}\n{goes_on}"));
    }
}

/// WATCH-3: a merge can be taken back; then nothing is merged before somebody decides.
#[test]
fn undone_merges() {
    let merged = "disk a b c d e → reloaded clean a b c d e
                  type A b c d e → - draft A b c d e
                  disk a b C d e → merged draft A b C d e before A b c d e
                  undo           → - conflict A b c d e
                  disk a b C d e → - conflict A b c d e";
    for goes_on in [
        "disk a b C d E → conflict conflict A b c d e
         merged → - draft A b C d E before A b c d e",
        "mine → - draft A b c d e
         save → saved clean A b c d e",
        "theirs → - clean a b C d e before A b c d e",
        "disk a b c d e → settled draft A b c d e
         disk a b C d e → merged draft A b C d e before A b c d e",
        "disk A b c d e → agreed clean A b c d e before A b c d e",
    ] {
        run(&format!("{merged}\n{goes_on}"));
    }
}

/// WATCH-3: what is gone is not made anew without being told, and its text is kept.
#[test]
fn gone() {
    for draft in ["type a B → - draft a B", "type a b → - clean a b"] {
        let is = if draft.contains('B') { "a B" } else { "a b" };
        let gone = format!("disk a b → reloaded clean a b\n{draft}\ndisk nothing → gone gone {is}");
        run(&format!("{gone}\nsave → - gone {is}\nsave anew → saved clean {is}"));
        run(&format!("{gone}\nmine → - draft {is}\nsave → saved clean {is}"));
        run(&format!("{gone}\nmerged → error there is no conflict to be settled"));
        run(&format!(
            "{gone}\ncontent x → - draft x{}\ndisk nothing → - draft x{0}",
            if is == "a B" { " before a B" } else { "" }
        ));
    }
    run("disk a b → reloaded clean a b
         type a B → - draft a B
         disk nothing → gone gone a B
         theirs → - clean  before a B
         disk a b → reloaded clean a b before a B");
    run("disk a b → reloaded clean a b
         disk nothing → gone gone a b
         type x y → - gone x y
         discard → - gone a b");
}

/// WATCH-3: what was typed on a version that was replaced meanwhile is merged with what replaced it, not written over it.
#[test]
fn typed_on_another_version() {
    let merged = "disk a b c d e → reloaded clean a b c d e
                  type A b c d e → - draft A b c d e
                  disk a b C d e → merged draft A b C d e before A b c d e";
    for goes_on in [
        "type-on a b c d e: AA b c d e → merged draft AA b C d e before AA b c d e",
        "type-on a b C d e: AA b c d e → - draft AA b c d e",
        "type-on a b c d e: A b Y d e → conflict conflict A b Y d e
         type-on a b c d e: A b Z d e → - conflict A b Z d e",
        "type-on a b c d e: a b c d e → reloaded clean a b C d e",
        "disk nothing → gone gone A b C d e before A b c d e
         type-on a b c d e: AA b c d e → - gone AA b c d e
         disk a b C d e → merged draft AA b C d e before AA b c d e",
        "type-on nothing: x → conflict conflict x",
        "disk nothing → gone gone A b C d e before A b c d e
         type-on nothing: x → - draft x",
        "disk nothing → gone gone A b C d e before A b c d e
         theirs → - clean  before A b c d e
         type-on a b c d e: x → - gone x
         save → - gone x",
    ] {
        run(&format!("{merged}\n{goes_on}"));
    }
    let mut core = Core::default();
    let options = options();
    let merging = Merging { options: &options, automatic: true };
    for n in 0..2 * FORMER {
        core.see(disk(&n.to_string()), &merging);
    }
    let on = |n: usize| Some(Version::of(&text(&n.to_string())));
    assert!(core.set_draft_on(on(0), text("x"), None, &merging).is_err(), "forgotten");
    assert_eq!(core.state(), LiveState::Clean);
    assert!(core.set_draft_on(on(0), text("x"), Some(taken("0")), &merging).is_ok(), "found elsewhere");
    assert_eq!(core.state(), LiveState::Conflict);
}

/// WATCH-3: where merging is to be asked for, every other version is a conflict, and `Merged` merges it.
#[test]
fn asked_first() {
    let options = options();
    let merging = Merging { options: &options, automatic: false };
    let mut core = Core::default();
    core.see(disk("a b c"), &merging);
    core.see(disk("a b C"), &merging);
    assert_eq!(core.state(), LiveState::Clean, "without a draft there is nothing to be asked");
    core.set_draft(text("A b C"), &merging);
    let event = core.see(disk("a b D"), &merging).unwrap();
    assert!(matches!(event.what, LiveChange::Conflict { places: 0 }), "{event:?}");
    assert!(core.see(disk("a b D"), &merging).is_none());
    assert!(core.plan(true).is_none());
    core.resolve(Resolution::Merged).unwrap();
    assert_eq!((core.state(), words(core.text())), (LiveState::Draft, "A b D".to_owned()));
}

/// WATCH-2, WATCH-3: an event says whose doing it is, when it was done, and what the disk has.
#[test]
fn who_and_when() {
    let options = options();
    let merging = Merging { options: &options, automatic: true };
    let mut core = Core::default();
    for (content, word) in [("a b c", "reloaded"), ("a b C", "merged"), ("x", "conflict")] {
        let event = core.see(disk(content), &merging).unwrap();
        assert_eq!(event.what.word(), word);
        assert_eq!(event.version, Some(Version::of(&text(content))));
        assert_eq!((event.by, event.at), (Origin::Session("them".to_owned()), moment()));
        if core.state() == LiveState::Clean {
            core.set_draft(text("A b c"), &merging);
        }
    }
    let conflict = core.conflict().unwrap();
    assert_eq!((conflict.by(), conflict.at()), (&Origin::Session("them".to_owned()), moment()));
    assert_eq!([conflict.base().unwrap(), conflict.draft(), conflict.theirs()].map(words), ["a b C", "A b C", "x"]);
    assert_eq!(conflict.merged().conflicts().count(), 1);
}

/// WATCH-3: with draft and disk exchanged the verdict and the lines are the same.
#[test]
fn sides_exchanged() {
    let contents =
        ["a b c d e", "A b c d e", "a b C d e", "X b c d e", "A b C d e", "a b c d e f", "b c d e", "x y", ""];
    let options = options();
    let merging = Merging { options: &options, automatic: true };
    let meet = |draft: &str, theirs: &str| {
        let mut core = Core::default();
        core.see(disk(contents[0]), &merging);
        core.set_draft(text(draft), &merging);
        core.see(disk(theirs), &merging);
        let mut lines: Vec<_> = words(core.text()).split(' ').map(str::to_owned).collect();
        lines.sort();
        (core.state() == LiveState::Conflict, lines)
    };
    for a in contents {
        for b in contents {
            let ((one, text), (other, exchanged)) = (meet(a, b), meet(b, a));
            assert_eq!(one, other, "{a} / {b}");
            assert!(one || text == exchanged, "{a} / {b}: {text:?} {exchanged:?}");
        }
    }
}

/// WATCH-3: after every sequence of four calls, what was typed last is the draft, or can be had, or is on disk, unless somebody dropped it;
/// and a save writes over nothing that was not seen.
#[test]
fn all_short_sequences() {
    #[derive(Clone, Copy, Debug)]
    enum Call {
        Disk(&'static str),
        Type(&'static str),
        TypeOn(&'static str, &'static str),
        Resolve(usize),
        Discard,
        Undo,
        Save,
    }
    use Call::*;
    let calls = [
        Disk("a b c"),
        Disk("A b c"),
        Disk("a b C"),
        Disk("X b C"),
        Disk("nothing"),
        Disk("unreadable"),
        Type("A b c"),
        Type("a b D"),
        TypeOn("a b c", "A b c"),
        Resolve(0),
        Resolve(1),
        Resolve(2),
        Discard,
        Undo,
        Save,
    ];
    let options = options();
    let merging = Merging { options: &options, automatic: true };
    let count = calls.len().pow(4);
    for number in 0..count {
        let sequence: Vec<_> = (0..4).map(|i| calls[number / calls.len().pow(i) % calls.len()]).collect();
        let mut core = Core::default();
        core.see(disk("a b c"), &merging);
        let (mut typed, mut on_disk): (Option<Vec<u8>>, Option<Vec<u8>>) = (None, Some(text("a b c")));
        for call in &sequence {
            match *call {
                Disk(what) => {
                    core.see(disk(what), &merging);
                    match what {
                        "unreadable" => {}
                        "nothing" => on_disk = None,
                        content => on_disk = Some(text(content)),
                    }
                }
                Type(what) => {
                    core.set_draft(text(what), &merging);
                    // What was there already is nothing typed.
                    typed = core.draft().or(core.before_merge()).map(|_| text(what));
                }
                TypeOn(base, what) => {
                    if core.set_draft_on(Some(Version::of(&text(base))), text(what), None, &merging).is_ok() {
                        typed = Some(text(what));
                    }
                }
                Resolve(how) => {
                    let how = [Resolution::Mine, Resolution::Theirs, Resolution::Merged][how].clone();
                    core.resolve(how).ok();
                }
                Discard => {
                    core.discard();
                    typed = None;
                }
                Undo => drop(core.undo_merge(&merging)),
                Save => {
                    if let Some(plan) = core.plan(false) {
                        assert_eq!(plan.over, on_disk.as_deref().map(Version::of), "{sequence:?}");
                        on_disk = Some(plan.content.bytes.to_vec());
                        core.saved(plan.content, Outcome::Written, moment());
                        typed = None;
                    }
                }
            }
            let typed_is = |other: Option<&[u8]>| typed.as_deref() == other;
            let kept = typed.is_none()
                || typed_is(core.draft())
                || typed_is(core.before_merge())
                || typed_is(on_disk.as_deref())
                || typed_is(core.base().map(|base| &base.content.bytes[..]));
            assert!(kept, "{sequence:?}: {core:?}");
            match core.state() {
                LiveState::Clean => assert_eq!(core.text(), on_disk.as_deref().unwrap_or_default(), "{sequence:?}"),
                LiveState::Draft => assert_eq!(
                    core.base().map(|base| &base.content.bytes[..]),
                    on_disk.as_deref(),
                    "{sequence:?}: {core:?}"
                ),
                LiveState::Conflict => {
                    let conflict = core.conflict().unwrap();
                    assert_eq!(Some(conflict.theirs()), on_disk.as_deref(), "{sequence:?}");
                    assert_ne!(conflict.theirs(), conflict.draft(), "{sequence:?}");
                }
                LiveState::Gone => assert_eq!(on_disk, None, "{sequence:?}"),
                LiveState::Unreadable => {}
            }
        }
    }
}
