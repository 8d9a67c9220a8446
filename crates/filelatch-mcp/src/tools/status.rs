//! `status`: who holds what, what waits for a decision, what was left behind.

use std::collections::BTreeSet;
use std::path::Path;

use filelatch::show::{slashed, time};
use filelatch::{Error, Holder, LeaseState, LockState};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Tool, conflicts};
use crate::refusal::{HolderView, Refusal};
use crate::work::{Call, Work};

/// Files that are found when all are looked for, and folders whose leftovers are.
const FOUND: usize = 2000;
/// Files that may be asked for.
const ASKED: usize = 256;

pub(super) struct Status;

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Files to look at; default: all that somebody holds.
    paths: Option<Vec<String>>,
}

/// A file that is locked or leased.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LockView {
    path: String,
    /// Who holds its lock; empty: nobody.
    holders: Vec<HolderView>,
    /// How many processes wait for the lock.
    waiting: usize,
}

/// A file that is leased.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct LeaseView {
    path: String,
    holder: HolderView,
    /// When it is over unless it is renewed.
    expires_at: String,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Answer {
    ok: bool,
    /// The folder that paths are relative to.
    root: String,
    /// The name that you write under.
    session: String,
    /// Is there a workspace? Without one there is no history, and there are no stored conflicts.
    workspace: bool,
    /// Does this server only read?
    read_only: bool,
    /// Of filelatch.
    version: String,
    /// Files whose lock somebody holds; and those that were asked for.
    locks: Vec<LockView>,
    leases: Vec<LeaseView>,
    open_conflicts: usize,
    /// Temporary files that writers have left beside the root's own files and those that were asked for; `doctor` puts them right.
    leftovers: Vec<String>,
}

impl Tool for Status {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "status";
    const TITLE: &'static str = "Who holds what";
    const DESCRIPTION: &'static str = "Tells the root, your session's name, which files are locked or leased by whom since when, how many conflicts \
        are open, and what dead writers left. Use it first, and when a call was refused because somebody holds a file. Takes no locks and \
        changes nothing.";
    const ACCESS: Access = Access::Reads;
    const WORK: Work = Work::Look;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        status(call, arguments.paths.as_deref())
    }
}

/// What is held, of the files that were asked for or of all.
pub(crate) fn status(call: &Call, paths: Option<&[String]>) -> Result<Answer, Refusal> {
    let server = call.server();
    let root = server.root();
    let mut answer = Answer {
        ok: true,
        root: root.path().to_string_lossy().into_owned(),
        session: call.session().to_string(),
        workspace: server.workspace().is_some(),
        read_only: server.options().read_only,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Answer::default()
    };
    let mut folders = BTreeSet::from([root.path().to_owned()]);
    match paths {
        Some(paths) if paths.len() > ASKED => {
            return Err(Refusal::malformed(format!("`paths` has at most {ASKED} files")));
        }
        Some(paths) => {
            for path in paths {
                let (place, file) = call.file(path)?;
                let refused = |e: Error| call.refused(&e).about(place.as_str());
                let lock = file.lock_state().map_err(refused)?;
                let lease = file.lease_state().map_err(refused)?;
                add(call, &mut answer, place.as_str(), &lock, lease.as_ref(), true);
                folders.extend(file.canonical_path().parent().map(Path::to_owned));
            }
        }
        None => {
            let held = root.locked(FOUND, |path| call.shows(path)).map_err(|e| call.refused(&e))?;
            for file in &held {
                let path = slashed(&file.path);
                if call.covers(&path) {
                    add(call, &mut answer, &path, &file.lock, file.lease.as_ref(), false);
                }
            }
        }
    }
    answer.open_conflicts = conflicts::open(call, None)?.len();
    for folder in folders {
        let left = call.latch().leftovers(&folder).unwrap_or_default();
        answer.leftovers.extend(left.iter().filter(|left| !left.in_use).filter_map(|left| {
            let relative = left.path.strip_prefix(root.path()).ok()?;
            Some(slashed(relative)).filter(|path| call.covers(path))
        }));
    }
    Ok(answer)
}

fn add(call: &Call, answer: &mut Answer, path: &str, lock: &LockState, lease: Option<&LeaseState>, asked: bool) {
    let host = call.server().host();
    let own = host.pid();
    // Those of this process are held for the moment of a call.
    let others = |holder: &&Holder| !(holder.confirmed && holder.pid == Some(own));
    let holders: Vec<_> = lock.holders.iter().filter(others).map(HolderView::from).collect();
    if asked || !holders.is_empty() {
        answer.locks.push(LockView { path: path.to_owned(), holders, waiting: lock.waiting });
    }
    if let Some(lease) = lease {
        let expires_at = time(host.now() + lease.remaining);
        answer.leases.push(LeaseView { path: path.to_owned(), holder: HolderView::from(&lease.holder), expires_at });
    }
}
