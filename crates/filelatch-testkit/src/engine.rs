//! An engine on a simulated machine (TEST-3).

use std::ops::Deref;
use std::sync::Arc;

use filelatch::Filelatch;
use filelatch_fs::sim::{Dials, SimFs};

/// A [`Filelatch`] on an empty simulated file system, in memory, with a clock that stands still unless somebody waits.
///
/// ```
/// use filelatch_testkit::test_engine;
///
/// let latch = test_engine();
/// let file = latch.file("/state.json")?;
/// file.write(b"{}", &Default::default())?;
///
/// // Another program, which knows nothing of locks:
/// latch.sim.foreign().overwrite("/state.json", b"[]").unwrap();
/// assert_eq!(file.read()?.bytes(), b"[]");
///
/// // Another process with filelatch, on the same disk:
/// let guard = file.try_lock()?;
/// assert!(latch.another_process().file("/state.json")?.try_lock().is_err());
/// # drop(guard);
///
/// // What a power cut may leave: on each possible disk the file is there, whole.
/// file.write(b"{\"done\": true}", &Default::default())?;
/// latch.sim.power_cut();
/// for disk in latch.sim.possible_disks() {
///     let after = filelatch_testkit::engine_on(&disk.fs);
///     assert_eq!(after.file("/state.json")?.read()?.bytes(), b"{\"done\": true}");
/// }
/// # Ok::<_, filelatch::Error>(())
/// ```
pub fn test_engine() -> TestEngine {
    engine_on(&SimFs::new(Dials::default()))
}

/// An engine on this simulated file system, as the process that the handle stands for.
///
/// ```
/// use filelatch_testkit::{Dials, SimFs, engine_on};
///
/// let full = SimFs::new(Dials { capacity: Some(4096), ..Dials::default() });
/// let file = engine_on(&full).file("/f").unwrap();
/// let error = file.write(&[b'x'; 10_000], &Default::default()).unwrap_err();
/// assert_eq!(error.code(), "disk-full");
/// ```
pub fn engine_on(sim: &SimFs) -> TestEngine {
    let builder = Filelatch::builder().fs(sim.as_fs()).host(Arc::new(sim.host())).session("test").purpose("test");
    TestEngine { latch: builder.build(), sim: sim.clone() }
}

/// An engine and the simulated machine that it runs on. Derefs to the engine.
#[derive(Clone, Debug)]
pub struct TestEngine {
    /// The engine.
    pub latch: Filelatch,
    /// The file system with its host, as this engine's process has them: cut the power, order errors, act as another program.
    pub sim: SimFs,
}

impl TestEngine {
    /// An engine in another process of the same machine.
    #[must_use = "a handle is all there is of a process"]
    pub fn another_process(&self) -> TestEngine {
        engine_on(&self.sim.process())
    }
}

impl Deref for TestEngine {
    type Target = Filelatch;

    fn deref(&self) -> &Filelatch {
        &self.latch
    }
}

#[cfg(test)]
mod tests {
    use filelatch::{Error, Wait, WriteOptions};
    use filelatch_fs::sim::Verb;

    use super::*;
    use crate::{run_concurrent, verify_no_lost_increments};

    /// TEST-3: the whole engine runs on injected parts, with several tasks and processes.
    #[test]
    fn test_3_engines_of_two_processes_share_a_simulated_disk() {
        let one = test_engine();
        let two = one.another_process();
        one.file("/n.json").unwrap().write(b"{\"n\": 0}", &WriteOptions::new()).unwrap();
        let added = run_concurrent(4, |task| {
            let file = [&one, &two][task % 2].file("/n.json").unwrap();
            for _ in 0..5 {
                let add = |value: &mut serde_json::Value| {
                    value["n"] = (value["n"].as_i64().unwrap() + 1).into();
                    Ok::<_, Error>(())
                };
                file.update_value(&WriteOptions::new(), add).unwrap();
            }
            5
        });
        let value: serde_json::Value = two.file("/n.json").unwrap().read_as().unwrap();
        verify_no_lost_increments(0, added, 0, value["n"].as_i64().unwrap()).unwrap();
    }

    /// TEST-3: errors can be ordered; a process that is killed lets its locks go.
    #[test]
    fn test_3_errors_and_kills_are_simulated() {
        let one = test_engine();
        let file = one.file("/f").unwrap();
        file.write(b"old", &WriteOptions::new()).unwrap();
        one.sim.fail_verb(Verb::SyncFile, std::io::ErrorKind::StorageFull);
        assert_eq!(file.write(b"new", &WriteOptions::new()).unwrap_err().code(), "disk-full");
        one.sim.heal();
        assert_eq!(file.read().unwrap().bytes(), b"old");

        let two = one.another_process();
        let held = two.file("/f").unwrap().lock(&filelatch::LockOptions::new()).unwrap();
        assert!(file.try_lock().is_err());
        two.sim.kill();
        let wait = filelatch::LockOptions::new().wait(Wait::For(std::time::Duration::from_secs(5)));
        drop(file.lock(&wait).unwrap());
        drop(held);
    }
}
