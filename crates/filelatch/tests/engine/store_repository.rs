//! Repositories on the real file system: what they promise, typed and by bytes.
#![expect(clippy::disallowed_methods, reason = "a test stands outside the seam: it is the other programs")]

use std::path::Path;

use filelatch::store::{Record, Repository, RepositoryOptions, StoreError};
use filelatch::{Error, Expect, Filelatch, LockOptions};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::support::{engine, no_wait};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Task {
    pub(crate) title: String,
    pub(crate) done: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tags: Vec<String>,
    pub(crate) note: Option<String>,
}

pub(crate) fn task(title: &str) -> Task {
    Task { title: title.to_owned(), done: false, tags: Vec::new(), note: None }
}

fn open(path: &Path) -> Repository<Task> {
    Repository::open(&engine(), path, &RepositoryOptions::collection()).unwrap()
}

fn ids(records: &[Record<Task>]) -> Vec<&str> {
    records.iter().map(|record| record.id.as_str()).collect()
}

#[track_caller]
fn refused(result: Result<impl std::fmt::Debug, Error>) -> StoreError {
    match result {
        Err(Error::Store { source, .. }) => source,
        other => panic!("{other:?}"),
    }
}

/// STORE-1: get, list, filter, insert, save, update and delete, in each format; what is written is as people write it.
#[test]
fn every_call() {
    for name in ["a.json", "a.yaml", "a.toml"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let tasks = open(&path);
        assert_eq!(tasks.list().unwrap(), []);
        assert!(!tasks.delete("x").unwrap() && !path.exists(), "looking makes no file");
        tasks.insert("b", &task("second")).unwrap();
        tasks.save("a", &task("first")).unwrap();
        let again = refused(tasks.insert("a", &task("other")));
        assert!(matches!(again, StoreError::Exists { what: "record", .. }), "{again:?}");
        assert_eq!(ids(&tasks.list().unwrap()), ["a", "b"]);
        let done = tasks.update("b", |task| {
            task.done = true;
            task.note = Some("two\nlines".to_owned());
            Ok::<_, Error>(task.title.clone())
        });
        assert_eq!(done.unwrap(), "second");
        assert_eq!(ids(&tasks.filter(|_, task| task.done).unwrap()), ["b"]);
        assert!(tasks.exists("b").unwrap() && !tasks.exists("c").unwrap());
        assert_eq!(tasks.get("b").unwrap().note.as_deref(), Some("two\nlines"));
        assert!(matches!(refused(tasks.get("c")), StoreError::NotFound { .. }));
        assert!(matches!(refused(tasks.update("c", |_| Ok::<_, Error>(()))), StoreError::NotFound { .. }));
        tasks
            .update("b", |task| {
                task.note = None;
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(tasks.get("b").unwrap().note, None);
        let now = std::fs::read_to_string(&path).unwrap();
        assert_eq!(now, as_written(name), "{name}");
        assert!(tasks.delete("b").unwrap() && !tasks.delete("b").unwrap());
        assert!(tasks.delete("a").unwrap());
        assert_eq!(tasks.list().unwrap(), []);
        tasks.insert("c", &task("third")).unwrap();
        assert_eq!(ids(&open(&path).list().unwrap()), ["c"]);
    }
}

fn as_written(name: &str) -> &'static str {
    match name {
        "a.json" => {
            "{
  \"version\": 1,
  \"records\": {
    \"b\": {
      \"title\": \"second\",
      \"done\": true,
      \"note\": null
    },
    \"a\": {
      \"title\": \"first\",
      \"done\": false,
      \"note\": null
    }
  }
}
"
        }
        "a.yaml" => {
            "version: 1
records:
  b:
    title: second
    done: true
    note: null
  a:
    title: first
    done: false
    note: null
"
        }
        _ => {
            "version = 1

[records.b]
title = \"second\"
done = true

[records.a]
title = \"first\"
done = false
"
        }
    }
}

/// STORE-1, VER-10: a change touches the bytes of the changed record only: comments, order, spelling, further keys beside the records and
/// fields that the program does not know stay.
#[test]
fn edits_keep_the_rest() {
    let rows = [
        (
            "a.json",
            "{\n  // tasks of the team\n  \"owner\": \"us\",\n  \"records\": {\n    // urgent\n    \"b\": {\"title\":   \"x\", \"done\": false, \"note\": null, \"color\": 3.50}, // see #4\n    \"a\": {\"title\": \"y\", \"done\": false, \"note\": \"n\"}\n  },\n  \"version\": 1\n}\n",
            "\"done\": false, \"note\": null, \"color\"",
            "\"done\": true, \"note\": null, \"color\"",
        ),
        (
            "a.yaml",
            "# tasks of the team\nversion: 1\nrecords:\n  b: # urgent\n    title:   x\n    done: false # no\n    note: ~\n    color: 3.50\n  a: {title: y, done: false, note: n} # kept\n",
            "done: false # no",
            "done: true # no",
        ),
        (
            "a.toml",
            "# tasks of the team\r\nversion = 1\r\n\r\n[records.b] # urgent\r\ntitle   = 'x'\r\ndone = false\r\ncolor = 3.50\r\n\r\n[records]\r\na = {title = 'y', done = false} # kept\r\n",
            "'x'\r\ndone = false",
            "'x'\r\ndone = true",
        ),
    ];
    for (name, before, old, new) in rows {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, before).unwrap();
        let tasks = open(&path);
        let wanted = before.replacen(old, new, 1);
        assert_ne!(wanted, before, "{name}");
        tasks
            .update("b", |task| {
                task.done = true;
                Ok::<_, Error>(())
            })
            .unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), wanted, "{name}");
        // The same by what was read and is saved.
        let mut task = tasks.get("b").unwrap();
        task.done = false;
        tasks.save("b", &task).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before, "{name}");
    }
}

/// STORE-1: a record has a version, whatever its formatting, and is saved only if it is still the one that was expected.
#[test]
fn compare_and_swap() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let tasks = open(&path);
    let first = tasks.save_if("a", &Expect::Absent, &task("one")).unwrap();
    assert_eq!(tasks.find("a").unwrap().unwrap().version, first);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace('\n', "\r\n").replacen('{', "{ // a comment", 1)).unwrap();
    assert_eq!(tasks.find("a").unwrap().unwrap().version, first, "other bytes, the same record");
    let second = tasks.save_if("a", &Expect::Version(first), &task("two")).unwrap();
    let before = std::fs::read(&path).unwrap();
    for expected in [Expect::Version(first), Expect::Absent] {
        match tasks.save_if("a", &expected, &task("three")) {
            Err(Error::Conflict(conflict)) => {
                assert_eq!(conflict.current, Some(second));
                assert!(conflict.path.to_string_lossy().ends_with("a.json#a"), "{conflict}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(tasks.save_if("b", &Expect::Version(first), &task("x")), Err(Error::Conflict(_))));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(tasks.save("a", &task("two")).unwrap(), second, "the same again");
}

/// STORE-1: several records in one step; an error, of the closure or of a record, takes all of it back.
#[test]
fn several_in_one_step() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    let tasks = open(&path);
    tasks.insert("a", &task("one")).unwrap();
    tasks.insert("b", &task("two")).unwrap();
    let before = std::fs::read(&path).unwrap();
    let failed = tasks.modify(|records| {
        records.save("c", &task("three"))?;
        records.delete("a")?;
        assert_eq!(ids(&records.list()?), ["b", "c"]);
        records.insert("b", &task("again"))
    });
    assert!(matches!(refused(failed), StoreError::Exists { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), before);
    let counted = tasks.modify(|records| {
        let title = records.get("a")?.title;
        records.delete("a")?;
        records.insert("a", &task("anew"))?;
        records.update("b", |task| {
            task.title.push_str(&title);
            Ok::<_, Error>(())
        })?;
        assert_eq!(records.get("b")?.title, "twoone", "it sees its own changes");
        records.insert("c", &task("three"))?;
        Ok::<_, Error>(records.filter(|_, task| !task.done)?.len())
    });
    assert_eq!(counted.unwrap(), 3);
    let titles: Vec<_> = tasks.list().unwrap().into_iter().map(|record| record.value.title).collect();
    assert_eq!(titles, ["anew", "twoone", "three"]);
    // More than are edited one by one.
    tasks
        .modify(|records| {
            records.delete("b")?;
            for n in 0..100 {
                records.insert(&format!("n{n:02}"), &task("many"))?;
            }
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(tasks.list().unwrap().len(), 102);
}

/// STORE-1: while somebody holds a record, others change, add and remove other records, this thread too; the held one is refused.
#[test]
fn locked_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let tasks = open(&path);
    tasks.insert("a", &task("one")).unwrap();
    let held = tasks.lock_record("a", &LockOptions::new()).unwrap();
    tasks.insert("b", &task("two")).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let others = open(&path);
            others
                .update("b", |task| {
                    task.done = true;
                    Ok::<_, Error>(())
                })
                .unwrap();
            others.insert("c", &task("three")).unwrap();
            assert!(others.delete("c").unwrap());
            let impatient = RepositoryOptions::collection().wait(filelatch::Wait::No);
            let impatient = Repository::<Task>::open(&engine(), &path, &impatient).unwrap();
            assert!(matches!(impatient.save("a", &task("stolen")), Err(Error::Locked { .. })));
            assert!(matches!(impatient.modify(|_| Ok::<_, Error>(())), Err(Error::Locked { .. })));
            assert!(matches!(others.lock_record("a", &no_wait()), Err(Error::Locked { .. })));
        });
    });
    assert!(matches!(tasks.save("a", &task("mine")), Err(Error::Reentrant { .. })));
    assert!(held.is_held());
    held.update(|task| {
        task.title.push('!');
        Ok::<_, Error>(())
    })
    .unwrap();
    assert_eq!(held.get().unwrap().title, "one!");
    assert!(tasks.get("b").unwrap().done);
    held.save(&task("saved")).unwrap();
    assert!(held.delete().unwrap() && !held.delete().unwrap());
    assert_eq!(held.try_get().unwrap(), None);
    held.release();
    tasks.save("a", &task("free")).unwrap();
}

/// STORE-1: records of an older form are migrated as they are read, and written so with the next change of any of them; a newer form is
/// refused, for reading and writing, and stays as it is.
#[test]
fn migrations() {
    let options = RepositoryOptions::collection().schema(3, |from, mut value| {
        let fields = value.as_object_mut().ok_or("no object")?;
        if from < 2 {
            let title = fields.shift_remove("name").ok_or("no name")?;
            fields.insert("title".to_owned(), title);
        }
        fields.insert("done".to_owned(), false.into());
        Ok(value)
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.yaml");
    let old = "version: 1 # since May\nrecords:\n  # first\n  a: {name: x, note: n}\n  b:\n    name: yes sir # why\n    other: 1\n";
    std::fs::write(&path, old).unwrap();
    let tasks = Repository::<Task>::open(&engine(), &path, &options).unwrap();
    assert_eq!(tasks.get("b").unwrap().title, "yes sir");
    assert_eq!(tasks.list().unwrap().len(), 2);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), old, "reading writes nothing");
    let seen = tasks.find("b").unwrap().unwrap().version;
    tasks
        .update("a", |task| {
            task.note = None;
            Ok::<_, Error>(())
        })
        .unwrap();
    let now = std::fs::read_to_string(&path).unwrap();
    assert!(now.starts_with("version: 3 # since May\nrecords:\n  # first\n"), "{now}");
    assert!(now.contains("other: 1") && now.contains("title: yes sir") && !now.contains("name"), "{now}");
    assert_eq!(tasks.find("b").unwrap().unwrap().version, seen, "it was this version already");
    // One that can't be migrated: nothing is written, and it is named.
    std::fs::write(&path, "version: 1\nrecords:\n  a: {name: x}\n  b: {nam: y}\n").unwrap();
    assert_eq!(tasks.get("a").unwrap().title, "x");
    for refusal in [refused(tasks.get("b").map(drop)), refused(tasks.save("a", &task("z")).map(drop))] {
        let StoreError::Damaged { line: Some(4), problem, .. } = refusal else { panic!("{refusal:?}") };
        assert!(problem.contains("`b`") && problem.contains("no name"), "{problem}");
    }
    // Without a migration an older version is no version that is known.
    let none = Repository::<Value>::open(&engine(), &path, &RepositoryOptions::collection()).unwrap();
    none.get("a").unwrap();
    let newer = "version: 4\nrecords: {}\n";
    std::fs::write(&path, newer).unwrap();
    for refusal in [
        refused(tasks.get("a").map(drop)),
        refused(tasks.list().map(drop)),
        refused(tasks.survey().map(drop)),
        refused(tasks.insert("a", &task("x")).map(drop)),
        refused(tasks.delete("a").map(drop)),
    ] {
        assert_eq!(refusal, StoreError::Newer { found: 4, known: 3 });
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), newer);
}

/// STORE-1: without a header, too; a file that has one is not taken for one without.
#[test]
fn without_a_header() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let tasks = Repository::<Task>::open(&engine(), &path, &RepositoryOptions::collection().bare()).unwrap();
    tasks.insert("version", &task("an id like others")).unwrap();
    tasks.insert("b/c~d", &task("two")).unwrap();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("{\n  \"version\": {\n    \"title\""));
    assert_eq!(ids(&tasks.list().unwrap()), ["b/c~d", "version"]);
    assert_eq!(tasks.get("b/c~d").unwrap().title, "two");
    let other = dir.path().join("b.json");
    open(&other).insert("a", &task("one")).unwrap();
    let bare = Repository::<Value>::open(&engine(), &other, &RepositoryOptions::collection().bare()).unwrap();
    assert_eq!(refused(bare.insert("x", &json!(1))), StoreError::Newer { found: 1, known: 0 });
    let headed = open(&path);
    assert!(matches!(refused(headed.list()), StoreError::Damaged { .. }));
}

/// STORE-1, VER-6: what is not a collection is never taken for an empty one: the error names the place, and nothing is written.
#[test]
fn damaged_files() {
    let rows: [(&str, &str, Option<u64>); 12] = [
        ("a.json", "", None),
        ("a.yaml", "", Some(1)),
        ("a.toml", "", Some(1)),
        ("a.json", "{\"version\": 1, \"records\": {", None),
        ("a.json", "[]", Some(1)),
        ("a.json", "{}", Some(1)),
        ("a.json", "{\n\"version\": 1\n}", Some(1)),
        ("a.json", "{\n\"records\": {}\n}", Some(1)),
        ("a.json", "{\n\"version\":\n1,\n\"records\":\n[]\n}", Some(5)),
        ("a.json", "{\n\"version\":\n\"1\",\n\"records\": {}\n}", Some(3)),
        ("a.json", "{\n\"version\": -1,\n\"records\": {}\n}", Some(2)),
        ("a.yaml", "version: 1\nrecords:\n", Some(2)),
    ];
    for (name, content, wanted) in rows {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        let tasks = open(&path);
        let results = [
            tasks.list().map(drop),
            tasks.insert("x", &task("new")).map(drop),
            tasks.delete("x").map(drop),
            tasks.survey().map(drop),
        ];
        for result in results {
            let error = result.unwrap_err();
            match (&error, wanted) {
                (Error::Document { .. }, None) => {}
                (Error::Store { source: StoreError::Damaged { line, .. }, .. }, Some(_)) => {
                    assert_eq!(*line, wanted, "{content:?}: {error}");
                }
                other => panic!("{content:?}: {other:?}"),
            }
            assert!(error.to_string().contains(name) && !error.hints().is_empty(), "{error}");
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

/// STORE-1: a damaged record hides no other, is named with its line, is not overwritten, and can be deleted.
#[test]
fn damaged_records() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let content = "{\"version\": 1, \"records\": {\n\"a\": {\"title\": \"x\", \"done\": false},\n\"b\": {\"title\": \"y\",\n  \"done\": \"no\"},\n\"c\": 7,\n\"d\": {\"title\": \"1\", \"done\": true},\n\"d\": {\"title\": \"2\", \"done\": true}}}\n";
    std::fs::write(&path, content).unwrap();
    let tasks = open(&path);
    assert_eq!(tasks.get("a").unwrap().title, "x");
    let survey = tasks.survey().unwrap();
    assert_eq!(ids(&survey.intact), ["a"]);
    let damaged: Vec<_> = survey.damaged.iter().map(|(id, error)| format!("{id}: {error}")).collect();
    let has = |n: usize, words: &[&str]| {
        assert!(words.iter().all(|word| damaged[n].contains(word)), "{words:?} in {damaged:?}");
    };
    has(0, &["b: ", "line 4:", "`/done`"]);
    has(1, &["c: ", "line 5:"]);
    has(2, &["d: ", "line 6", "line 7"]);
    assert_eq!(damaged.len(), 3);
    for id in ["b", "c", "d"] {
        tasks.save(id, &task("over")).unwrap_err();
        tasks.insert(id, &task("over")).unwrap_err();
        tasks.update(id, |_| Ok::<_, Error>(())).unwrap_err();
    }
    for id in ["b", "c"] {
        assert!(matches!(refused(tasks.save(id, &task("over"))), StoreError::Damaged { line: Some(_), .. }), "{id}");
    }
    tasks.list().unwrap_err();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    tasks
        .update("a", |task| {
            task.done = true;
            Ok::<_, Error>(())
        })
        .unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), content.replacen("false", "true", 1), "the rest stays");
    assert!(tasks.delete("b").unwrap() && tasks.delete("c").unwrap());
    tasks.delete("d").unwrap_err();
    assert_eq!(tasks.survey().unwrap().damaged.len(), 1);
}

/// STORE-1: what can't be stored so that it is read again is refused, and spoils nothing.
#[test]
fn what_cannot_be_stored() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.toml");
    let values = Repository::<Value>::open(&engine(), &path, &RepositoryOptions::collection()).unwrap();
    values.insert("good", &json!({"a": 1})).unwrap();
    for bad in [json!({"a": null}), json!([1, null])] {
        assert!(matches!(refused(values.insert("bad", &bad)), StoreError::Invalid { .. }), "{bad}");
    }
    let mut deep = json!(1);
    for _ in 0..200 {
        deep = json!([deep]);
    }
    assert!(matches!(refused(values.insert("deep", &deep)), StoreError::Invalid { .. }));
    let numbers =
        Repository::<f64>::open(&engine(), dir.path().join("n.json"), &RepositoryOptions::collection()).unwrap();
    assert!(matches!(refused(numbers.insert("nan", &f64::NAN)), StoreError::Invalid { .. }));
    assert!(!dir.path().join("n.json").exists());
    let text = RepositoryOptions::collection();
    let text = Repository::<Value>::open(&engine(), dir.path().join("a.txt"), &text);
    assert!(matches!(refused(text), StoreError::Invalid { .. }));
    assert_eq!(values.list().unwrap().len(), 1);
}

fn in_folder(latch: &Filelatch, dir: &Path) -> Repository<Task> {
    Repository::open(latch, dir.join("tasks"), &RepositoryOptions::directory()).unwrap()
}

/// STORE-1: records with files of their own: the folder comes with the first of them, other files are left alone, comments stay, and a
/// damaged file is named, hides no other, is not written over, and can be deleted.
#[test]
fn files_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = in_folder(&engine(), dir.path());
    assert_eq!((tasks.list().unwrap().len(), tasks.try_get("a").unwrap()), (0, None));
    assert!(!tasks.delete("a").unwrap() && !dir.path().join("tasks").exists(), "looking makes no folder");
    tasks.insert("a", &task("one")).unwrap();
    let path = |name: &str| dir.path().join("tasks").join(name);
    for (name, text) in [("README.md", "#"), ("A.json", "?"), ("b.json.bak", "?"), (".c.json", "?"), ("d.yaml", "?")] {
        std::fs::write(path(name), text).unwrap();
    }
    let text = std::fs::read_to_string(path("a.json")).unwrap();
    assert!(text.starts_with("{\n  \"version\": 1,\n  \"record\": {"), "{text}");
    std::fs::write(path("a.json"), text.replacen('{', "{ // kept", 1)).unwrap();
    tasks.save("a", &task("two")).unwrap();
    assert_eq!(
        std::fs::read_to_string(path("a.json")).unwrap(),
        text.replacen('{', "{ // kept", 1).replace("\"one\"", "\"two\"")
    );
    std::fs::write(path("bad.json"), "{\"version\": 1,\n \"record\": {\"title\": 1}}").unwrap();
    std::fs::write(path("torn.json"), "{\"version\": 1,").unwrap();
    let survey = tasks.survey().unwrap();
    assert_eq!(ids(&survey.intact), ["a"]);
    let damaged: Vec<_> = survey.damaged.iter().map(|(id, error)| (id.as_str(), error.to_string())).collect();
    assert!(
        matches!(&damaged[..], [("bad", bad), ("torn", torn)] if bad.contains("bad.json`: line 2") && torn.contains("torn.json")),
        "{damaged:?}"
    );
    for id in ["bad", "torn"] {
        tasks.save(id, &task("over")).unwrap_err();
        assert!(matches!(refused(tasks.insert(id, &task("over"))), StoreError::Exists { .. }));
        assert!(tasks.exists(id).unwrap() && tasks.delete(id).unwrap());
    }
    assert_eq!(ids(&tasks.list().unwrap()), ["a"]);
    // Several need a place to keep what is to be written.
    let several = tasks.modify(|records| records.insert("b", &task("b")).and_then(|_| records.insert("c", &task("c"))));
    assert!(matches!(several, Err(Error::NoWorkspace { .. })), "{several:?}");
    assert_eq!(ids(&tasks.list().unwrap()), ["a"]);
    let many = tasks.modify(|records| (0..300).try_for_each(|n| records.exists(&format!("n{n}")).map(drop)));
    assert!(matches!(refused(many), StoreError::Invalid { .. }));
    assert_eq!(std::fs::read_to_string(path("README.md")).unwrap(), "#");
}

/// STORE-1: no record leads out of the folder, or to another record: not by its id, and not by a link that somebody put there.
#[test]
#[cfg(unix)]
fn no_record_leads_elsewhere() {
    let dir = tempfile::tempdir().unwrap();
    let tasks = in_folder(&engine(), dir.path());
    tasks.insert("a", &task("one")).unwrap();
    std::fs::write(dir.path().join("outside.json"), "{}").unwrap();
    let path = |name: &str| dir.path().join("tasks").join(name);
    std::os::unix::fs::symlink("../outside.json", path("link.json")).unwrap();
    std::os::unix::fs::symlink("a.json", path("alias.json")).unwrap();
    std::os::unix::fs::symlink("../new.json", path("new.json")).unwrap();
    for id in ["../outside", "link", "alias", "new", "A", "a/../a", ".", ""] {
        for result in [
            tasks.try_get(id).map(drop),
            tasks.save(id, &task("x")).map(drop),
            tasks.delete(id).map(drop),
            tasks.modify(|records| records.save(id, &task("x"))).map(drop),
            tasks.lock_record(id, &no_wait()).map(drop),
        ] {
            assert!(matches!(refused(result), StoreError::Invalid { .. }), "{id}");
        }
    }
    assert_eq!(std::fs::read_to_string(dir.path().join("outside.json")).unwrap(), "{}");
    assert!(!dir.path().join("new.json").exists());
    assert_eq!(tasks.get("a").unwrap(), task("one"));
}

/// STORE-1: while somebody holds a record with a file of its own, others change other records; a step that looks at it waits.
#[test]
fn locked_files() {
    let dir = tempfile::tempdir().unwrap();
    let latch = Filelatch::new();
    latch.init(dir.path()).unwrap();
    let tasks = in_folder(&latch, dir.path());
    tasks.insert("a", &task("one")).unwrap();
    let held = tasks.lock_record("a", &LockOptions::new()).unwrap();
    let others = in_folder(&Filelatch::new(), dir.path());
    others.insert("b", &task("two")).unwrap();
    let moved = others.modify(|records| records.rename("b", "c"));
    moved.unwrap();
    let looks = others.modify_with(&no_wait(), |records| records.update("a", |_| Ok::<_, Error>(())));
    assert!(matches!(looks, Err(Error::Locked { .. })), "{looks:?}");
    held.update(|task| {
        task.done = true;
        Ok::<_, Error>(())
    })
    .unwrap();
    assert!(held.get().unwrap().done && held.delete().unwrap() && !held.delete().unwrap());
    held.save(&task("again")).unwrap();
    held.release();
    assert_eq!(ids(&others.list().unwrap()), ["a", "c"]);
}
