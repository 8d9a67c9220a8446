//! Where writes are stored: records of their own in the workspace's stores.

use std::time::{Duration, SystemTime};

use filelatch::store::{OwnStore, Repository, RepositoryOptions};
use filelatch::{Error, Filelatch};

use super::record::{Queued, State as WriteState};
use crate::problem::Problem;
use crate::state::State;
use crate::work::Failure;

/// More writes do not wait at the same time.
const MOST: usize = 256;
/// Bytes of all that wait.
const BYTES: usize = 256 << 20;
/// So many that came to their end are remembered…
const REMEMBERED: usize = 500;
/// …and so long.
const AGE: Duration = Duration::from_secs(7 * 24 * 3600);

pub(crate) type Store = Repository<Queued>;

/// Opens it. `None`: there is no workspace.
pub(super) fn open(state: &State, latch: &Filelatch) -> Result<Option<Store>, Error> {
    if !state.has_workspace() {
        return Ok(None);
    }
    let path = latch.own_store(state.root(), OwnStore::Writes, true)?;
    Repository::open(latch, path, &RepositoryOptions::directory()).map(Some)
}

/// Stores a write; its id.
pub(super) fn put(state: &State, store: &Store, write: &Queued) -> Result<String, Failure> {
    let known = store.survey()?.intact;
    let waiting = known.iter().filter(|record| record.value.state == WriteState::Queued);
    let bytes =
        |write: &Queued| write.content.as_ref().map_or(0, String::len) + write.base.as_ref().map_or(0, String::len);
    let (count, sum) = waiting.fold((0, 0), |(count, sum), record| (count + 1, sum + bytes(&record.value)));
    if count >= MOST || sum + bytes(write) > BYTES {
        return Err(Problem::busy("as many writes wait already as may").about(write.path.as_str()).into());
    }
    let now = state.host().now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    // Ids in the order of time.
    let id = format!("{:013x}-{:08x}", now.as_millis(), state.host().random() & 0xffff_ffff);
    store.insert(&id, write)?;
    Ok(id)
}

/// Forgets what came to its end long ago.
pub(super) fn tidy(state: &State, store: &Store) -> Result<(), Error> {
    let mut ended: Vec<_> = store.survey()?.intact;
    ended.retain(|record| record.value.state != WriteState::Queued);
    ended.sort_by(|a, b| b.id.cmp(&a.id));
    let oldest = filelatch::show::time(state.host().now() - AGE);
    for (i, record) in ended.iter().enumerate() {
        let old = record.value.done_at.as_ref().is_some_and(|at| *at < oldest);
        if old || i >= REMEMBERED {
            store.delete(&record.id)?;
        }
    }
    Ok(())
}
