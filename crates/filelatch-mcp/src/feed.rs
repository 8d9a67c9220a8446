//! What changes in the root, for `changes`: one watch for all clients of a server, begun when somebody asks first.
//!
//! # Promise
//! - A cursor leads to what came after it, without a gap, as long as its watch lives and keeps it; also over a restart of the server where there is a
//!   workspace: the watch has a name there and goes on where it ended. Everything else is told as a reset.
//! - Several servers of one workspace have watches of different names; a cursor says which, and a server takes that one if nobody has it.

use std::sync::{Arc, Mutex, PoisonError};

use filelatch::Error;
use filelatch::watch::{Cursor, Watch, WatchOptions};

use crate::refusal::Refusal;
use crate::work::Call;

/// Names of watches in a workspace: `mcp-1` and so on. Servers beyond have none, and their cursors end with them.
const NAMES: usize = 16;
/// Changes that are kept for those who come back.
const KEPT: usize = 4096;

/// The watch, if there is one.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    open: Mutex<Option<Open>>,
}

/// A watch, and its name; empty: none.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    name: String,
    pub(crate) watch: Arc<Watch>,
}

/// A place in what some server has told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    name: String,
    pub(crate) cursor: Cursor,
}

impl Mark {
    pub(crate) fn parse(text: &str) -> Result<Mark, Refusal> {
        let (name, cursor) = text.split_once(':').unwrap_or(("", text));
        let known = name.is_empty() || number(name).is_some();
        let cursor = cursor.parse().ok().filter(|_| known);
        cursor.map(|cursor| Mark { name: name.to_owned(), cursor }).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            Refusal::malformed(format!("`{}` is no cursor", shown.escape_debug()))
                .hint("give the `cursor` of an earlier answer of `changes`, or none to begin now")
        })
    }
}

fn number(name: &str) -> Option<usize> {
    let number = name.strip_prefix("mcp-")?.parse().ok()?;
    ((1..=NAMES).contains(&number) && name == format!("mcp-{number}")).then_some(number)
}

impl Open {
    /// A place in what this watch tells, as text.
    pub(crate) fn mark(&self, cursor: Cursor) -> String {
        if self.name.is_empty() { cursor.to_string() } else { format!("{}:{cursor}", self.name) }
    }
}

impl Feed {
    /// The watch; begins it if there is none, or the last has ended by itself.
    pub(crate) fn open(&self, call: &Call, mark: Option<&Mark>) -> Result<Open, Refusal> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = open.as_ref().filter(|open| open.watch.is_alive()) {
            return Ok(open.clone());
        }
        *open = None;
        let begun = begin(call, mark).map_err(|e| call.refused(&e).not_done("nothing is watched"))?;
        *open = Some(begun.clone());
        Ok(begun)
    }

    /// Ends the watch and notes where it was, for the next server.
    pub(crate) fn close(&self) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner).take();
        drop(open);
    }
}

fn begin(call: &Call, mark: Option<&Mark>) -> Result<Open, Error> {
    let root = call.server().root().path();
    let options = WatchOptions::new().kept(KEPT);
    if call.server().workspace().is_some() {
        let wanted = mark.map(|mark| mark.name.clone()).filter(|name| !name.is_empty());
        let names = wanted.into_iter().chain((1..=NAMES).map(|number| format!("mcp-{number}")));
        for name in names {
            match call.latch().watch([root], &options.clone().resume(&name)) {
                Ok(watch) => return Ok(Open { name, watch: Arc::new(watch) }),
                // Another server's.
                Err(Error::Locked { .. } | Error::Timeout { .. }) => {}
                // A workspace that is not obeyed.
                Err(Error::NoWorkspace { .. }) => break,
                Err(e) => return Err(e),
            }
        }
    }
    let watch = call.latch().watch([root], &options)?;
    Ok(Open { name: String::new(), watch: Arc::new(watch) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-5: marks are read again; what is none is refused, names of files among them.
    #[test]
    fn marks() {
        for text in ["mcp-1:00000000000012ab-7", "mcp-16:00000000000012ab-7", "00000000000012ab-7"] {
            let mark = Mark::parse(text).unwrap();
            assert_eq!(mark.cursor.to_string(), "00000000000012ab-7");
        }
        for text in
            ["", "x", "mcp-17:00000000000012ab-7", "mcp-01:00000000000012ab-7", "../x:00000000000012ab-7", "mcp-1:"]
        {
            assert!(Mark::parse(text).is_err(), "{text}");
        }
    }
}
