//! Who is there, and which file each of them looks at.

use std::collections::{BTreeMap, BTreeSet};

use super::message::Viewer;

/// More are not named for one file.
const NAMED: usize = 100;

/// A client as the status shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Client {
    pub(crate) session: String,
    pub(crate) path: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Presence {
    clients: BTreeMap<String, Client>,
    by_path: BTreeMap<String, BTreeSet<String>>,
    /// Files whose viewers were not told yet.
    dirty: BTreeSet<String>,
}

impl Presence {
    /// Somebody comes, or is another now.
    pub(crate) fn set(&mut self, id: &str, now: Client) {
        let before = self.clients.get(id).cloned();
        if before.as_ref() == Some(&now) {
            return;
        }
        if let Some(path) = before.and_then(|before| before.path) {
            self.leave(id, path);
        }
        if let Some(path) = &now.path {
            self.by_path.entry(path.clone()).or_default().insert(id.to_owned());
            self.dirty.insert(path.clone());
        }
        self.clients.insert(id.to_owned(), now);
    }

    /// Somebody goes.
    pub(crate) fn remove(&mut self, id: &str) {
        if let Some(path) = self.clients.remove(id).and_then(|client| client.path) {
            self.leave(id, path);
        }
    }

    fn leave(&mut self, id: &str, path: String) {
        if let Some(viewers) = self.by_path.get_mut(&path) {
            viewers.remove(id);
            if viewers.is_empty() {
                self.by_path.remove(&path);
            }
        }
        self.dirty.insert(path);
    }

    pub(crate) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The files whose viewers are others than when this was asked last, with those who look at them.
    pub(crate) fn take_news(&mut self) -> Vec<(String, Vec<Viewer>)> {
        let dirty = std::mem::take(&mut self.dirty);
        dirty.into_iter().map(|path| (path.clone(), self.viewers(&path))).collect()
    }

    /// All files that somebody looks at, with those who do.
    pub(crate) fn all(&self) -> Vec<(String, Vec<Viewer>)> {
        self.by_path.keys().map(|path| (path.clone(), self.viewers(path))).collect()
    }

    /// The files that somebody looks at.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.by_path.keys().cloned().collect()
    }

    pub(crate) fn clients(&self) -> impl Iterator<Item = (&String, &Client)> {
        self.clients.iter()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.clients.is_empty()
    }

    fn viewers(&self, path: &str) -> Vec<Viewer> {
        let ids = self.by_path.get(path).into_iter().flatten();
        let viewer = |id: &String| {
            self.clients.get(id).map(|client| Viewer { client: id.clone(), session: client.session.clone() })
        };
        ids.filter_map(viewer).take(NAMED).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(session: &str, path: Option<&str>) -> Client {
        Client { session: session.to_owned(), path: path.map(str::to_owned) }
    }

    fn news(presence: &mut Presence) -> Vec<String> {
        let told = presence.take_news().into_iter();
        told.map(|(path, viewers)| {
            let sessions: Vec<_> = viewers.into_iter().map(|viewer| viewer.session).collect();
            format!("{path}: {}", sessions.join(" "))
        })
        .collect()
    }

    /// SERVE-5: who looks at a file is told when it changes, of both files when somebody goes from one to the other.
    #[test]
    fn who_looks_at_what() {
        let mut presence = Presence::default();
        presence.set("1", client("ann", None));
        assert!(!presence.is_dirty());
        presence.set("1", client("ann", Some("a")));
        presence.set("2", client("bob", Some("a")));
        assert_eq!(news(&mut presence), ["a: ann bob"]);
        presence.set("2", client("bob", Some("a")));
        assert!(!presence.is_dirty());
        presence.set("2", client("bob", Some("b")));
        assert_eq!(news(&mut presence), ["a: ann", "b: bob"]);
        presence.set("2", client("eve", Some("b")));
        assert_eq!(news(&mut presence), ["b: eve"]);
        presence.remove("1");
        assert_eq!(news(&mut presence), ["a: "]);
        assert_eq!(presence.paths(), ["b"]);
        presence.remove("2");
        presence.remove("2");
        assert_eq!(news(&mut presence), ["b: "]);
        assert!(presence.is_empty() && presence.all().is_empty());
    }
}
