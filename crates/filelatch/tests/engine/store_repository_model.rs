//! Repositories against a plain map: random programs, many writers, damage of every byte.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::collections::BTreeMap;
use std::path::Path;

use filelatch::doc::Format;
use filelatch::store::{Repository, RepositoryOptions, StoreError, Transaction};
use filelatch::{Durability, Error, Expect, Filelatch, LockOptions, Wait};

use super::store_repository::{Task, task};
use super::support::{PATIENCE, Worker, is_full};

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap()
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }
}

const KEYS: [&str; 16] = [
    "a",
    "b",
    "a b",
    "ü",
    "a/b",
    "~1",
    "records",
    "version",
    "7",
    "true",
    "null",
    "<<",
    "a.b",
    "#c",
    "- x",
    "\u{feff}d",
];
const NAMES: [&str; 8] = ["a", "b", "c-1", "x.y", "repository", "0", "records", "2026-11-21"];
const TEXTS: [&str; 18] = [
    "",
    "yes",
    "1",
    "null",
    "# x",
    "a: b",
    "two\nlines\n",
    "tab\t",
    "é\u{1f600}",
    "\u{2028}",
    "\"q\"",
    "it's",
    " lead",
    "trail ",
    "\r\n",
    "{}",
    "---",
    "\u{1}",
];

fn random_task(random: &mut Random) -> Task {
    let mut made = task(random.pick(&TEXTS));
    made.done = random.below(2) == 0;
    made.tags = (0..random.below(3)).map(|_| random.pick(&TEXTS).to_owned()).collect();
    made.note = (random.below(2) == 0).then(|| random.pick(&TEXTS).to_owned());
    made
}

type Model = BTreeMap<String, Task>;

/// The same operation on both; what it answers must be the same.
fn step(
    random: &mut Random,
    ids: &[&str],
    records: &mut Transaction<'_, Task>,
    model: &mut Model,
) -> Result<(), Error> {
    let id = random.pick(ids);
    let value = random_task(random);
    match random.below(8) {
        0 | 1 => match (records.insert(id, &value), model.contains_key(id)) {
            (Ok(_), false) => drop(model.insert(id.to_owned(), value)),
            (Err(Error::Store { source: StoreError::Exists { .. }, .. }), true) => {}
            other => panic!("{other:?}"),
        },
        2 => {
            records.save(id, &value)?;
            model.insert(id.to_owned(), value);
        }
        3 | 4 => {
            let changed = records.update(id, |task| {
                task.title.push('+');
                task.note.clone_from(&value.note);
                Ok::<_, Error>(())
            });
            match (changed, model.get_mut(id)) {
                (Ok(()), Some(task)) => {
                    task.title.push('+');
                    task.note = value.note;
                }
                (Err(Error::Store { source: StoreError::NotFound { .. }, .. }), None) => {}
                other => panic!("{other:?}"),
            }
        }
        5 => assert_eq!(records.delete(id)?, model.remove(id).is_some()),
        6 => assert_eq!(records.try_get(id)?.as_ref(), model.get(id)),
        _ => {
            let listed: Model = records.list()?.into_iter().map(|record| (record.id, record.value)).collect();
            assert_eq!(listed, *model);
        }
    }
    Ok(())
}

fn program(seed: u64, steps: usize, latch: &Filelatch, path: &Path, options: &RepositoryOptions, ids: &[&str]) {
    let mut random = Random(seed);
    let mut model = Model::new();
    let mut tasks = Repository::<Task>::open(latch, path, options).unwrap();
    for n in 0..steps {
        match random.below(12) {
            0 => {
                // Several in one step, sometimes taken back.
                let fails = random.below(3) == 0;
                let (seed, steps) = (random.next(), 1 + random.below(6));
                let mut after = model.clone();
                let done = tasks.modify(|records| {
                    after.clone_from(&model);
                    let mut random = Random(seed);
                    for _ in 0..steps {
                        step(&mut random, ids, records, &mut after)?;
                    }
                    if fails { Err(Error::NotFound { path: path.to_owned() }) } else { Ok(()) }
                });
                match done {
                    Ok(()) if !fails => model = after,
                    Err(Error::NotFound { .. }) if fails => {}
                    other => panic!("seed {seed}, step {n}: {other:?}"),
                }
            }
            1 => tasks = Repository::open(latch, path, options).unwrap(),
            2 => {
                let id = random.pick(ids);
                let held = tasks.lock_record(id, &LockOptions::new()).unwrap();
                assert_eq!(held.try_get().unwrap().as_ref(), model.get(id));
                if random.below(2) == 0 {
                    let value = random_task(&mut random);
                    held.save(&value).unwrap();
                    model.insert(id.to_owned(), value);
                } else {
                    assert_eq!(held.delete().unwrap(), model.remove(id).is_some());
                }
            }
            3 => {
                let id = random.pick(ids);
                let found = tasks.find(id).unwrap();
                assert_eq!(found.as_ref().map(|record| &record.value), model.get(id));
                let value = random_task(&mut random);
                let expected = found.map_or(Expect::Absent, |record| Expect::Version(record.version));
                tasks.save_if(id, &expected, &value).unwrap();
                model.insert(id.to_owned(), value);
            }
            4 | 5 => {
                let id = random.pick(ids);
                assert_eq!(tasks.delete(id).unwrap(), model.remove(id).is_some());
            }
            6 | 7 => {
                let id = random.pick(ids);
                let value = random_task(&mut random);
                assert_eq!(tasks.insert(id, &value).is_ok(), !model.contains_key(id));
                model.entry(id.to_owned()).or_insert(value);
            }
            _ => {
                let id = random.pick(ids);
                let value = random_task(&mut random);
                tasks.save(id, &value).unwrap();
                model.insert(id.to_owned(), value);
            }
        }
        let listed: Model = tasks.list().unwrap().into_iter().map(|record| (record.id, record.value)).collect();
        assert_eq!(listed, model, "seed {seed}, step {n}");
        for id in ids {
            assert_eq!(tasks.exists(id).unwrap(), model.contains_key(*id), "seed {seed}, step {n}: {id}");
        }
    }
}

/// STORE-1: random programs, on both layouts, in each format, with a header and without: every answer is that of a plain map.
#[test]
fn random_programs() {
    let (programs, steps) = if is_full() { (60, 120) } else { (2, 40) };
    for seed in 0..programs {
        for (name, format) in [("a.json", Format::Json), ("a.yaml", Format::Yaml), ("a.toml", Format::Toml)] {
            for bare in [false, true] {
                let dir = tempfile::tempdir().unwrap();
                let latch = Filelatch::new();
                latch.init(dir.path()).unwrap();
                let as_wanted = |options: RepositoryOptions| {
                    let options = options.format(format).durability(Durability::None);
                    if bare { options.bare() } else { options }
                };
                let keys: Vec<_> = KEYS.into_iter().filter(|key| !bare || *key != "records").collect();
                program(
                    seed,
                    steps,
                    &latch,
                    &dir.path().join(name),
                    &as_wanted(RepositoryOptions::collection()),
                    &keys,
                );
                let folder = dir.path().join("tasks");
                program(seed, steps, &latch, &folder, &as_wanted(RepositoryOptions::directory()), &NAMES);
            }
        }
    }
}

const WRITERS: u64 = 40;
const ROUNDS: u64 = 3;

/// Inserts records of its own and counts in one that all have.
pub(crate) fn writes_records(path: &str, layout: &str, me: &str) {
    let tasks = many_writers_open(Path::new(path), layout);
    for round in 0..ROUNDS {
        tasks.insert(&format!("w{me}-{round}"), &task(me)).unwrap();
        tasks
            .update("shared", |task| {
                task.title.push('+');
                Ok::<_, Error>(())
            })
            .unwrap();
        if round % 2 == 0 {
            tasks
                .modify(|records| {
                    records.save(&format!("m{me}-{round}"), &task(me))?;
                    records.update("shared", |task| {
                        task.title.push('*');
                        Ok::<_, Error>(())
                    })
                })
                .unwrap();
        }
    }
}

fn many_writers_open(path: &Path, layout: &str) -> Repository<Task> {
    let options = if layout == "collection" { RepositoryOptions::collection() } else { RepositoryOptions::directory() };
    let options = options.durability(Durability::None).wait(Wait::For(PATIENCE));
    Repository::open(&Filelatch::new(), path, &options).unwrap()
}

/// STORE-1, VER-7: forty writers at once, threads of one process or processes of their own: every insert and every count is there.
#[test]
fn many_writers() {
    for layout in ["collection", "directory"] {
        for processes in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            Filelatch::new().init(dir.path()).unwrap();
            let path = dir.path().join("tasks.yaml");
            let tasks = many_writers_open(&path, layout);
            tasks.insert("shared", &task("")).unwrap();
            let path = path.to_str().unwrap();
            if processes {
                let workers: Vec<_> =
                    (0..WRITERS).map(|me| Worker::start(&["write-records", path, layout, &me.to_string()])).collect();
                for worker in workers {
                    worker.finish();
                }
            } else {
                std::thread::scope(|scope| {
                    for me in 0..WRITERS {
                        scope.spawn(move || writes_records(path, layout, &me.to_string()));
                    }
                });
            }
            let steps = ROUNDS.div_ceil(2);
            let shared = tasks.get("shared").unwrap().title;
            let counted = |sign: char| shared.chars().filter(|c| *c == sign).count() as u64;
            assert_eq!((counted('+'), counted('*')), (WRITERS * ROUNDS, WRITERS * steps), "{layout}");
            assert_eq!(tasks.list().unwrap().len() as u64, 1 + WRITERS * (ROUNDS + steps), "{layout}");
        }
    }
}

/// STORE-1: any byte of a collection is another: an error that names the place, or a document that is read as it is written; and a change
/// that is made all the same leaves every other byte alone.
#[test]
fn every_byte_damaged() {
    for name in ["a.json", "a.yaml", "a.toml"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let options = RepositoryOptions::collection().durability(Durability::None);
        let latch = Filelatch::builder().without_workspaces().build();
        let open = || Repository::<Task>::open(&latch, &path, &options).unwrap();
        for id in ["first", "second", "third"] {
            open().insert(id, &task(&format!("the {id}"))).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        let (mut errors, mut others) = (0, 0);
        for at in 0..whole.len() {
            for byte in [whole[at] ^ 1, whole[at] ^ 0x80, 0, b'"', b'\n', b'{'] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                if damaged == whole {
                    continue;
                }
                std::fs::write(&path, &damaged).unwrap();
                let tasks = open();
                let listed = tasks.list();
                match &listed {
                    Ok(_) => others += 1,
                    Err(e) => {
                        errors += 1;
                        assert!(e.path() == path && !e.hints().is_empty(), "{e}");
                    }
                }
                // A change is refused, or leaves all that it is not about.
                let saved = tasks.save("second", &task("new"));
                let after = std::fs::read(&path).unwrap();
                if saved.is_err() {
                    assert_eq!(after, damaged, "{name}, byte {at} is {byte:#x}");
                    continue;
                }
                let listed = listed.map(|listed| listed.into_iter().map(|record| (record.id, record.value)));
                if let Ok(listed) = listed {
                    let mut model: Model = listed.collect();
                    model.insert("second".to_owned(), task("new"));
                    let now =
                        open().list().unwrap().into_iter().map(|record| (record.id, record.value)).collect::<Model>();
                    assert_eq!(now, model, "{name}, byte {at} is {byte:#x}");
                }
                for (text, neighbour) in [("the first", "first"), ("the third", "third")] {
                    let has = |bytes: &[u8], text: &str| bytes.windows(text.len()).any(|own| own == text.as_bytes());
                    assert_eq!(has(&after, text), has(&damaged, text), "{name}, byte {at} is {byte:#x}: {neighbour}");
                }
            }
        }
        assert!(errors > 100 && others > 20, "{name}: {errors} errors, {others} others");
    }
}
