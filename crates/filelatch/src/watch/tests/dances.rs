//! How editors and tools save, as the calls that a watcher notices. Each is one change.

use std::time::Duration;

use filelatch_fs::Hint;

use super::super::event::RescanCause;
use super::world::{Op, World, sorted, words};

const F: &str = "/d/f";
const TEMP: &str = "/d/.f.7-0123456789abcdef.tmp";

struct Dance {
    name: &'static str,
    ops: &'static [Op],
    /// Told when nothing is looked at meanwhile.
    said: &'static [&'static str],
}

/// Recorded with strace(1) where the program was at hand, else as its sources do it.
const DANCES: &[Dance] = &[
    Dance {
        name: "vim, backup by rename: 4913 tells whether files can be made here",
        ops: &[
            Op::Create("/d/4913"),
            Op::Chmod("/d/4913", 0o644),
            Op::Close("/d/4913"),
            Op::Remove("/d/4913"),
            Op::Rename(F, "/d/f~"),
            Op::Create(F),
            Op::Write(F, "new text"),
            Op::Close(F),
            Op::Chmod(F, 0o644),
            Op::Remove("/d/f~"),
        ],
        said: &["modified /d/f"],
    },
    Dance {
        name: "vim, backupcopy=yes",
        ops: &[
            Op::Create("/d/f~"),
            Op::Write("/d/f~", "old text"),
            Op::Close("/d/f~"),
            Op::Truncate(F),
            Op::Write(F, "new text"),
            Op::Close(F),
            Op::Remove("/d/f~"),
        ],
        said: &["modified /d/f"],
    },
    Dance {
        name: "nano, VS Code, echo: in place",
        ops: &[Op::Truncate(F), Op::Write(F, "new"), Op::Append(F, " text"), Op::Close(F)],
        said: &["modified /d/f"],
    },
    Dance {
        name: "save by rename",
        ops: &[
            Op::Create("/d/f.new"),
            Op::Write("/d/f.new", "new text"),
            Op::Chmod("/d/f.new", 0o644),
            Op::Close("/d/f.new"),
            Op::Rename("/d/f.new", F),
        ],
        said: &["modified /d/f"],
    },
    Dance {
        name: "emacs: lock link, autosave, backup by rename",
        ops: &[
            Op::Symlink("me@host.1:2", "/d/.#f"),
            Op::Create("/d/#f#"),
            Op::Write("/d/#f#", "new te"),
            Op::Close("/d/#f#"),
            Op::Rename(F, "/d/f~"),
            Op::Create(F),
            Op::Write(F, "new text"),
            Op::Close(F),
            Op::Chmod(F, 0o644),
            Op::Remove("/d/#f#"),
            Op::Remove("/d/.#f"),
        ],
        said: &["created /d/f~", "modified /d/f"],
    },
    Dance {
        name: "sed -i",
        ops: &[
            Op::Create("/d/sedAb12Cd"),
            Op::Chmod("/d/sedAb12Cd", 0o644),
            Op::Write("/d/sedAb12Cd", "new text"),
            Op::Close("/d/sedAb12Cd"),
            Op::Rename("/d/sedAb12Cd", F),
        ],
        said: &["modified /d/f"],
    },
    Dance {
        name: "git checkout",
        ops: &[Op::Remove(F), Op::Create(F), Op::Write(F, "new text"), Op::Close(F)],
        said: &["modified /d/f"],
    },
    Dance { name: "mv", ops: &[Op::Rename(F, "/d/g")], said: &["renamed /d/f /d/g"] },
    Dance { name: "mv into", ops: &[Op::Rename(F, "/d/s/f")], said: &["renamed /d/f /d/s/f"] },
    Dance {
        name: "cp",
        ops: &[Op::Create("/d/g"), Op::Write("/d/g", "old text"), Op::Close("/d/g")],
        said: &["created /d/g"],
    },
    Dance {
        name: "cp over it",
        ops: &[Op::Truncate(F), Op::Write(F, "other text"), Op::Close(F)],
        said: &["modified /d/f"],
    },
    Dance {
        name: "filelatch: temporary file, exchange, the old one removed",
        ops: &[Op::Create(TEMP), Op::Write(TEMP, "new text"), Op::Exchange(F, TEMP), Op::Remove(TEMP)],
        said: &["modified /d/f"],
    },
    Dance {
        name: "a log",
        ops: &[Op::Append(F, "line\n"), Op::Append(F, "line\n"), Op::Append(F, "line\n")],
        said: &["modified /d/f"],
    },
    Dance {
        name: "a directory is moved, and comes back",
        ops: &[Op::Rename("/d/s", "/d/t"), Op::Append("/d/t/x", "!"), Op::Rename("/d/t", "/d/s")],
        said: &["modified /d/s/x"],
    },
];

fn world() -> World {
    World::begun(&[(F, "old text"), ("/d/s/x", "x")], &["/d", F])
}

/// WATCH-1: an editor's save is one change.
#[test]
fn one_change() {
    for Dance { name, ops, said } in DANCES {
        let mut world = world();
        world.run(ops);
        assert_eq!(sorted(words(&world.settle())), *said, "{name}");
        world.assert_true(name);
    }
}

/// WATCH-1: also by a program that takes its time, and calls fsync. (A backup that is a copy is a file of its own meanwhile.)
#[test]
fn one_change_slowly() {
    for Dance { name, ops, said } in DANCES.iter().filter(|dance| dance.said.len() == 1) {
        let mut world = world();
        let mut out = Vec::new();
        for op in *ops {
            world.run(std::slice::from_ref(op));
            let takes = if matches!(op, Op::Write(..)) { 30_000 } else { 700 };
            for _ in 0..takes / 100 {
                world.pass(Duration::from_micros(100));
                let now = world.now();
                world.tracker.step(now, &mut out);
            }
        }
        world.believe(&out);
        out.extend(world.settle());
        let copy = name.contains("backupcopy");
        let told: Vec<_> = words(&out).into_iter().filter(|word| !copy || !word.ends_with("f~")).collect();
        assert_eq!(sorted(told), *said, "{name}");
        world.assert_true(name);
    }
}

/// WATCH-1: looked at in the middle, between any two calls, what is said is true at that moment, and the end is right.
#[test]
fn looked_at_in_the_middle() {
    for Dance { name, ops, .. } in DANCES {
        for stop in 0..ops.len() {
            for pass in [0, 30] {
                let mut world = world();
                world.run(&ops[..stop]);
                world.pass(Duration::from_millis(pass));
                world.force();
                world.assert_true(&(name, stop));
                world.run(&ops[stop..]);
                world.settle();
                world.assert_true(&(name, stop));
            }
        }
    }
}

/// WATCH-1: looked at after every call.
#[test]
fn looked_at_all_the_time() {
    for Dance { name, ops, .. } in DANCES {
        let mut world = world();
        for op in *ops {
            world.run(std::slice::from_ref(op));
            world.force();
            world.assert_true(&(name, op));
        }
    }
}

/// What happens to the hints of a dance.
fn with_hints(name: &str, ops: &[Op], fault: impl Fn(&mut Vec<Hint>), rescan: bool) {
    let mut world = world();
    let mut hints: Vec<Hint> = ops.iter().flat_map(|op| world.act(op)).collect();
    fault(&mut hints);
    let context = (name, format!("{hints:?}"));
    for hint in hints {
        world.hint(hint);
    }
    world.settle();
    if rescan {
        let mut out = Vec::new();
        world.tracker.rescan(RescanCause::Overflow, &mut out);
        world.believe(&out);
    }
    world.assert_true(&context);
}

/// WATCH-1: hints that are missing, each set of them (of long dances: each pair, and all but one), and a look at everything afterwards.
#[test]
fn dropped() {
    for Dance { name, ops, .. } in DANCES {
        let count = count(ops);
        for kept in 0..1_u32 << count {
            let dropped = count - kept.count_ones() as usize;
            if count > 8 && !(dropped <= 2 || dropped + 1 >= count) {
                continue;
            }
            let drop_some = |hints: &mut Vec<Hint>| {
                let mut number = 0;
                hints.retain(|_| {
                    number += 1;
                    kept & (1 << (number - 1)) != 0
                });
            };
            with_hints(name, ops, drop_some, true);
        }
    }
}

/// How many hints a dance makes.
fn count(ops: &[Op]) -> usize {
    let mut world = world();
    ops.iter().map(|op| world.act(op).len()).sum()
}

/// WATCH-1: hints that come twice.
#[test]
fn doubled() {
    for Dance { name, ops, .. } in DANCES {
        with_hints(
            name,
            ops,
            |hints| *hints = hints.iter().flat_map(|hint| [hint.clone(), hint.clone()]).collect(),
            false,
        );
        with_hints(name, ops, |hints| hints.extend(hints.clone()), false);
    }
}

/// WATCH-1: hints in any order; of long dances each pair exchanged.
#[test]
fn reordered() {
    for Dance { name, ops, .. } in DANCES {
        let count = count(ops);
        with_hints(name, ops, |hints| hints.reverse(), false);
        for a in 0..count {
            for b in 0..a {
                let swap = |hints: &mut Vec<Hint>| {
                    hints.swap(a, b);
                };
                with_hints(name, ops, swap, false);
            }
        }
        if count <= 6 {
            for order in permutations(count) {
                let permute = |hints: &mut Vec<Hint>| {
                    let old = hints.clone();
                    *hints = order.iter().filter_map(|at| old.get(*at).cloned()).collect();
                };
                with_hints(name, ops, permute, false);
            }
        }
    }
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    let Some(last) = n.checked_sub(1) else { return vec![Vec::new()] };
    let smaller = permutations(last);
    let with = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, last);
        order
    };
    smaller.iter().flat_map(|order| (0..=last).map(move |at| with(order, at))).collect()
}
