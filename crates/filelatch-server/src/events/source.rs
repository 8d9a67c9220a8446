//! Where events come from: the library's watches.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use filelatch::show::{author, time};
use filelatch::watch::{Change, ChangeKind, Event, Mode, Origin, Watch, WatchOptions};
use tokio::sync::Notify;

use super::lookout;
use super::message::{Aside, Message};
use super::ring::Kind;
use crate::problem::Result;
use crate::state::State;
use crate::work::{Call, Work};

/// Events that are passed on before others have their turn.
const TURN: usize = 256;
/// After a watch has ended by itself, a pause before the next.
const AFTER_END: Duration = Duration::from_secs(1);
/// What happens in the workspace's folder within this time is looked at together.
const GATHER: Duration = Duration::from_millis(100);

/// The workspace's own folders that are watched.
const CONFLICTS: &str = "conflicts";
const STORES: &str = "stores";
const AUDIT: &str = "audit";

/// Begins to watch. When this returns, everything that changes from now on is told.
pub(super) async fn start(state: &State) -> Result<()> {
    let begin = |call: &Call| {
        let state = call.state();
        let files = call.latch().watch([state.root()], &WatchOptions::new().locks(true))?;
        let own = match call.latch().workspace_of(state.root())? {
            Some(workspace) => {
                let folder = workspace.join(filelatch::WORKSPACE_DIR);
                let folders = [CONFLICTS, STORES, AUDIT].map(|name| folder.join(name));
                // It is heard that something happens there; what it is, the library says.
                Some((folder, call.latch().watch(folders, &WatchOptions::new().hash_limit(0))?))
            }
            None => None,
        };
        Ok((files, own))
    };
    let (files, own) = state.blocking(Work::Look, "", begin).await?;
    state.events().lookout().touch_all();
    state.events().look().notify_one();
    state.tasks().spawn(files_told(state.clone(), Arc::new(files)));
    if let Some((folder, watch)) = own {
        state.tasks().spawn(own_told(state.clone(), folder, Arc::new(watch)));
    }
    let events = Arc::clone(state.events());
    if events.begin_lookout() {
        state.tasks().spawn(lookout::run(state.clone()));
    }
    Ok(())
}

/// Waits for what a watch has, one after the other; `None`: the server or the watch has ended.
struct Heard {
    watch: Arc<Watch>,
    ready: Arc<Notify>,
    _listening: filelatch::watch::Listening,
}

impl Heard {
    fn new(watch: Arc<Watch>) -> Heard {
        let ready = Arc::new(Notify::new());
        let told = Arc::clone(&ready);
        let listening = watch.on_event(move || told.notify_one());
        ready.notify_one();
        Heard { watch, ready, _listening: listening }
    }

    /// What is there, at most a turn's worth. `None`: the watch has ended.
    fn take(&self) -> Option<Vec<Event>> {
        let mut events = Vec::new();
        while events.len() < TURN {
            match self.watch.next(Some(Duration::ZERO)) {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(e) if self.watch.is_alive() => tracing::warn!(error = %e, "watching goes on with a problem"),
                Err(e) => {
                    tracing::warn!(error = %e, "watching has ended");
                    return None;
                }
            }
        }
        if events.len() == TURN {
            self.ready.notify_one();
        }
        Some(events)
    }

    /// Ending a watch waits for its thread.
    async fn end(self) {
        tokio::task::spawn_blocking(move || drop(self)).await.ok();
    }
}

async fn files_told(state: State, watch: Arc<Watch>) {
    let heard = Heard::new(watch);
    let events = Arc::clone(state.events());
    loop {
        tokio::select! {
            () = state.ending().cancelled() => return heard.end().await,
            () = heard.ready.notified() => {}
        }
        let Some(found) = heard.take() else { break };
        events.set_mode(match heard.watch.mode() {
            Mode::Events => "events",
            Mode::Polling { .. } => "polling",
        });
        for event in found {
            match event {
                Event::Change(change) => {
                    if let Some(message) = changed(&state, &change) {
                        events.tell(&message);
                    }
                }
                Event::Reset { .. } => events.tell(&Message::Reset {}),
                // What was found by it was told as changes.
                Event::Rescanned { .. } => {}
            }
        }
        locks_touched(&state, &heard.watch);
        tokio::task::yield_now().await;
    }
    heard.end().await;
    events.stopped().await;
    again(state).await;
}

/// Another watch, and a reset for what it has not seen.
fn again(state: State) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        loop {
            tokio::select! {
                () = state.ending().cancelled() => return,
                () = tokio::time::sleep(AFTER_END) => {}
            }
            match state.events().start(&state).await {
                Ok(()) => return state.events().tell(&Message::Reset {}),
                Err(problem) => tracing::warn!(problem = %problem.detail, "watching can't begin again"),
            }
        }
    })
}

fn locks_touched(state: &State, watch: &Watch) {
    let touched = watch.touched_locks();
    if !touched.many && touched.files.is_empty() {
        return;
    }
    let mut lookout = state.events().lookout();
    if touched.many {
        lookout.touch_all();
    }
    for path in touched.files.iter().filter_map(|path| shown(state, path)) {
        lookout.touch(path);
    }
    drop(lookout);
    state.events().look().notify_one();
}

/// A file of the root that is shown, as the API writes it.
fn shown(state: &State, path: &Path) -> Option<String> {
    state.shown(path).map(|path| path.as_str().to_owned())
}

fn changed(state: &State, change: &Change) -> Option<Message> {
    let here = shown(state, &change.path);
    let from = match &change.kind {
        ChangeKind::Renamed { from } => shown(state, from),
        _ => None,
    };
    let by = match &change.origin {
        Origin::Own => Some(state.latch().session().to_owned()),
        Origin::Session(name) => author(&filelatch::Author::Session(name.clone())),
        Origin::External => author(&filelatch::Author::External),
        Origin::Unknown => None,
    };
    // To others a hidden file is not there: what moves behind is gone, what comes out is new.
    let (path, kind) = match (here, &from, &change.kind) {
        (Some(path), None, ChangeKind::Renamed { .. }) => (path, "created"),
        (Some(path), _, kind) => (path, kind.word()),
        (None, Some(from), _) => {
            let (path, at) = (from.clone(), time(change.at));
            let origin = change.origin.word();
            return Some(Message::FileChanged {
                path,
                kind: "deleted",
                from: None,
                hash: None,
                size: None,
                by,
                origin,
                at,
            });
        }
        (None, None, _) => return None,
    };
    Some(Message::FileChanged {
        path,
        kind,
        from,
        hash: change.version.map(|version| version.to_string()),
        size: change.size,
        by,
        origin: change.origin.word(),
        at: time(change.at),
    })
}

// --- The workspace's own folder ---

async fn own_told(state: State, folder: PathBuf, watch: Arc<Watch>) {
    let heard = Heard::new(watch);
    let mut conflicts = Conflicts::default();
    conflicts.look(&state).await;
    let mut audit = Audit::default();
    let mut auditors = state.events().auditors().subscribe();
    loop {
        tokio::select! {
            () = state.ending().cancelled() => return heard.end().await,
            _ = auditors.changed() => {}
            () = heard.ready.notified() => tokio::time::sleep(GATHER).await,
        }
        let Some(found) = heard.take() else { break };
        let mut queues = std::collections::BTreeSet::new();
        let (mut conflict, mut audited) = (false, false);
        for event in found {
            let Event::Change(change) = event else {
                (conflict, audited) = (true, true);
                continue;
            };
            let Ok(path) = change.path.strip_prefix(&folder) else { continue };
            conflict |= path.starts_with(CONFLICTS);
            audited |= path.starts_with(AUDIT);
            queues.extend(queue_of(path));
        }
        for queue in queues {
            state.events().tell(&Message::QueueChanged { queue });
        }
        if conflict {
            conflicts.tell(&state).await;
        }
        let wanted = *auditors.borrow_and_update() > 0;
        audit.tell(&state, wanted, audited).await;
    }
    // The watch over the files begins both anew.
    heard.end().await;
}

/// The queue that a file of the stores belongs to.
fn queue_of(path: &Path) -> Option<String> {
    let name = path.strip_prefix(Path::new(STORES).join("queues")).ok()?.to_str()?;
    let (queue, rest) = name.split_once(".queue")?;
    (!queue.is_empty() && !queue.contains('/') && (rest.is_empty() || rest.starts_with('.'))).then(|| queue.to_owned())
}

/// The stored conflicts that were told, and whether they are open.
#[derive(Debug, Default)]
struct Conflicts(BTreeMap<String, bool>);

impl Conflicts {
    async fn list(state: &State) -> Option<Vec<(String, String, bool)>> {
        let list = |call: &Call| {
            let stored = call.latch().conflicts(call.state().root())?.stored;
            let shown = stored.into_iter().filter_map(|conflict| {
                let open = conflict.is_open();
                Some((conflict.id, shown(call.state(), &conflict.path)?, open))
            });
            Ok(shown.collect())
        };
        let listed = state.blocking(Work::Look, "", list).await;
        listed.inspect_err(|problem| tracing::warn!(problem = %problem.detail, "conflicts could not be listed")).ok()
    }

    async fn look(&mut self, state: &State) {
        if let Some(listed) = Conflicts::list(state).await {
            self.0 = listed.into_iter().map(|(id, _, open)| (id, open)).collect();
        }
    }

    async fn tell(&mut self, state: &State) {
        let Some(listed) = Conflicts::list(state).await else { return };
        let before = std::mem::take(&mut self.0);
        for (id, path, open) in listed {
            // One that was resolved before it was told is told as that.
            if before.get(&id) != Some(&open) {
                let word = if open { "open" } else { "resolved" };
                state.events().tell(&Message::Conflict { id: id.clone(), path, state: word });
            }
            self.0.insert(id, open);
        }
    }
}

/// The audit log, followed while somebody wants it.
#[derive(Debug, Default)]
struct Audit(Option<filelatch::audit::AuditTail>);

impl Audit {
    async fn tell(&mut self, state: &State, wanted: bool, news: bool) {
        if !wanted {
            self.0 = None;
            return;
        }
        if self.0.is_some() && !news {
            return;
        }
        let tail = self.0.take();
        let read = move |call: &Call| {
            let Some(mut tail) = tail else {
                return Ok((call.latch().audit(call.state().root())?.follow()?, Vec::new()));
            };
            let records = tail.read()?.records;
            let root = call.latch().audit(call.state().root())?.root().to_owned();
            let told = records
                .iter()
                .filter(|record| record.path().is_none_or(|path| shown(call.state(), &root.join(path)).is_some()));
            let told = told.map(|record| record.for_remote().to_json()).collect();
            Ok::<_, crate::work::Failure>((tail, told))
        };
        match state.blocking(Work::Look, "", read).await {
            Ok((tail, records)) => {
                self.0 = Some(tail);
                for record in records {
                    state.events().push(Kind::Audit, |_| Aside::Audit { record }.text());
                }
            }
            Err(problem) => tracing::warn!(problem = %problem.detail, "the audit log could not be followed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SERVE-4: what happens to the files of a queue is told by the queue's name.
    #[test]
    fn names_of_queues() {
        for (path, queue) in [
            ("stores/queues/build.queue", Some("build")),
            ("stores/queues/build.queue.snapshot", Some("build")),
            ("stores/queues/.queue", None),
            ("stores/queues/a/b.queue", None),
            ("stores/queues/build.queues", None),
            ("stores/tokens.json", None),
            ("stores/queues/notes.txt", None),
        ] {
            assert_eq!(queue_of(Path::new(path)).as_deref(), queue, "{path}");
        }
    }
}
