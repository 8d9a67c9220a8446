//! Every mishap at every call of granting, renewing, writing under and giving back a lease (LOCK-13, P11).
//!
//! After each one the next process, and a machine that mounts each disk which could be left, ask for the lease, with their clock set
//! back: only what is on the disk keeps the numbers growing.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use filelatch::{Error, Filelatch, LeaseOptions, Wait, WriteOptions};
use filelatch_fs::sim::{Dials, SimFs, Sweep};

use super::support::is_full;

const OLD: &[u8] = b"the old version";
const NEW: &[u8] = b"the new version, which is longer";

/// What a scenario was told.
#[derive(Debug, Default)]
struct Told {
    /// The greatest number that was given out.
    token: u64,
    /// The write under it was acknowledged.
    written: bool,
    /// All of it went well.
    done: bool,
}

fn engine(fs: &SimFs) -> Filelatch {
    Filelatch::builder().fs(fs.as_fs()).host(Arc::new(fs.host())).without_workspaces().session("test").build()
}

fn with_old(fs: &SimFs) {
    fs.foreign().create("/a", OLD).unwrap();
}

/// The file has had a lease before.
fn with_lease(fs: &SimFs) {
    with_old(fs);
    let lease = engine(&fs.process()).file("/a").unwrap().lease(&LeaseOptions::new()).unwrap();
    lease.write(OLD, &WriteOptions::new()).unwrap();
    lease.release().unwrap();
}

fn scenario(fs: &SimFs) -> Told {
    let mut told = Told::default();
    let steps: Result<(), Error> = (|| {
        let file = engine(fs).file("/a")?;
        let lease = file.lease(&LeaseOptions::new().wait(Wait::No))?;
        told.token = lease.token();
        lease.renew()?;
        lease.write(NEW, &WriteOptions::new())?;
        told.written = true;
        lease.release()?;
        let again = file.lease(&LeaseOptions::new().wait(Wait::No))?;
        assert!(again.token() > told.token, "{} after {}", again.token(), told.token);
        told.token = again.token();
        Ok(())
    })();
    told.done = steps.is_ok();
    told
}

fn check(fs: &SimFs, told: &Told) -> Result<(), String> {
    fs.host().set_now(SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    let file = engine(fs).file("/a").map_err(|e| e.to_string())?;
    let found = file.try_read().map_err(|e| e.to_string())?.map(|s| s.bytes().to_vec());
    let (old, new) = (found.as_deref() == Some(OLD), found.as_deref() == Some(NEW));
    if !(new || (old && !told.written)) {
        return Err(format!("{told:?}, and found {found:?}"));
    }
    let lease = file.lease(&LeaseOptions::new().wait(Wait::No)).map_err(|e| format!("the next is kept out: {e}"))?;
    if lease.token() <= told.token {
        return Err(format!("number {} was given out before: {told:?}", lease.token()));
    }
    lease.write(b"next", &WriteOptions::new()).map_err(|e| format!("cannot write any more: {e}"))?;
    lease.release().map_err(|e| format!("cannot give back: {e}"))?;
    let names = fs.foreign().names("/").map_err(|e| e.to_string())?;
    let leftover = names.iter().find(|name| name.contains(".lease."));
    leftover.map_or(Ok(()), |name| Err(format!("left behind: {name}")))
}

/// LOCK-13: the scenario without a mishap goes to its end: the sweeps below begin from all of it.
#[test]
fn without_mishap() {
    for build in [with_old, with_lease] {
        let fs = SimFs::new(Dials::default());
        build(&fs);
        assert!(scenario(&fs).done);
    }
}

/// Every mishap at every call, on so many kinds of file systems. The quick set looks at fewer of the disks that each can leave.
fn sweep(build: fn(&SimFs), kinds: usize) {
    for dials in &Dials::usual()[..kinds] {
        let few = Dials { enumerate: 8, samples: 4, ..*dials };
        let dials = if is_full() { *dials } else { few };
        Sweep::on(dials).everything(build, scenario, check).assert_clean();
    }
}

/// LOCK-13: the power is cut and the process killed before every call, and each call fails in every way it can, on a file's first
/// lease: no number is given out twice on any disk, an acknowledged write is there, nothing keeps the next start out.
#[test]
fn the_first_lease() {
    sweep(with_old, 4);
}

/// LOCK-13: the same for a file that has had a lease before. In the quick set on one kind of file system: the second lease of the scenario
/// is a later one, too.
#[test]
fn a_later_lease() {
    sweep(with_lease, if is_full() { 4 } else { 1 });
}
