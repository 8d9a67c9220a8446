//! TEST-2 with real processes: what was acknowledged before a kill is counted.

use filelatch::{Error, Filelatch};
use filelatch_testkit::{Worker, Workers, verify_no_lost_increments, verify_no_lost_updates};

const UPDATES: usize = 40;

/// Eight processes increment one counter and add their names; two are killed while they work.
#[test]
fn test_2_killed_workers_lose_nothing_that_they_acknowledged() {
    const NAME: &str = "test_2_killed_workers_lose_nothing_that_they_acknowledged";
    if let Some(worker) = Worker::current(NAME) {
        let file = Filelatch::new().file(worker.env("FILE").unwrap()).unwrap();
        worker.wait_for_start();
        for i in 0..UPDATES {
            let name = format!("{}.{i}", worker.index());
            let add = |value: &mut serde_json::Value| {
                value["count"] = (value["count"].as_i64().unwrap() + 1).into();
                value["names"].as_array_mut().unwrap().push(name.clone().into());
                Ok::<_, Error>(())
            };
            file.update_value(&filelatch::WriteOptions::new(), add).unwrap();
            worker.acknowledge(&name);
        }
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = Filelatch::new().file(dir.path().join("f.json")).unwrap();
    file.write(br#"{"count": 0, "names": []}"#, &filelatch::WriteOptions::new()).unwrap();
    let mut workers = Workers::of(NAME).env("FILE", file.path()).spawn(8).unwrap();
    workers.start();
    for (victim, after) in [(2, 5), (6, 11)] {
        assert!(workers.wait_for(victim, after));
        workers.kill(victim).unwrap();
    }
    let ended = workers.finish().unwrap();

    let killed = i64::try_from(ended.iter().filter(|worker| worker.killed).count()).unwrap();
    for (index, worker) in ended.iter().enumerate() {
        assert!(
            worker.killed || (worker.status.success() && worker.acknowledged.len() == UPDATES),
            "{index}: {worker:?}"
        );
    }
    let value: serde_json::Value = file.read_as().unwrap();
    let acknowledged = || ended.iter().flat_map(|worker| worker.acknowledged.clone());
    verify_no_lost_increments(0, acknowledged().map(|_| 1), killed, value["count"].as_i64().unwrap()).unwrap();
    let found = value["names"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned());
    let verified = verify_no_lost_updates(acknowledged(), found).unwrap();
    assert!(verified.unacknowledged.len() <= 2, "at most one in doubt for each that was killed: {verified:?}");
}

/// A worker that fails is not mistaken for one that was killed, and one that ends early does not block the start.
#[test]
fn test_2_workers_that_end_by_themselves_are_told_apart() {
    const NAME: &str = "test_2_workers_that_end_by_themselves_are_told_apart";
    if let Some(worker) = Worker::current(NAME) {
        assert!(worker.index() != 0, "meant to fail");
        worker.wait_for_start();
        worker.acknowledge("one");
        return;
    }
    let mut workers = Workers::of(NAME).spawn(2).unwrap();
    workers.start();
    assert!(!workers.wait_for(0, 1));
    assert!(workers.wait_for(1, 1));
    let ended = workers.finish().unwrap();
    assert!(!ended[0].killed && !ended[0].status.success());
    assert!(!ended[1].killed && ended[1].status.success());
    assert_eq!(ended[1].acknowledged, ["one"]);
    assert!(Worker::current(NAME).is_none());
}
