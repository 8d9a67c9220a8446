//! Each rule of the simulation has a test, and the sweeps are shown to find what is wrong.

mod calls;
#[cfg(target_os = "linux")]
mod differential;
#[cfg(all(feature = "events", target_os = "linux"))]
mod differential_events;
mod durability;
mod hints;
mod locks;
mod names;
mod schedules;
mod sweeps;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use super::{Dials, SimFs};
use crate::fs::{Fs, FsDir, write_all_at};

fn root(fs: &SimFs) -> Arc<dyn FsDir> {
    fs.open_dir("/".as_ref()).unwrap()
}

/// A file with this content, all of it durable.
fn with_file(path: &str, bytes: &[u8]) -> SimFs {
    let fs = SimFs::default();
    fs.foreign().create(path, bytes).unwrap();
    fs.settle();
    fs
}

/// What a file is on the disks that a power cut now could leave; `None`: it is not there.
fn outcomes(fs: &SimFs, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let disks = fs.possible_disks();
    assert!(disks.is_complete(), "{} disks are only a sample", disks.len());
    disks.map(|disk| disk.fs.foreign().read(path).ok()).collect()
}

fn set<const N: usize>(outcomes: [Option<&[u8]>; N]) -> BTreeSet<Option<Vec<u8>>> {
    outcomes.into_iter().map(|bytes| bytes.map(<[u8]>::to_vec)).collect()
}

/// Temp file, write, rename; the syncs as ordered.
fn replace(fs: &SimFs, bytes: &[u8], sync_file: bool, sync_dir: bool) -> io::Result<()> {
    let dir = fs.open_dir("/".as_ref())?;
    let temp = dir.create_new(".f.tmp".as_ref(), 0o600)?;
    write_all_at(&*temp, bytes, 0)?;
    if sync_file {
        temp.sync()?;
    }
    dir.rename(".f.tmp".as_ref(), "f".as_ref())?;
    if sync_dir {
        dir.sync()?;
    }
    Ok(())
}
