//! What is told, as JSON.

use serde::Serialize;

use super::lookout::LeaseView;
use crate::problem::HolderView;

/// What all readers are told.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub(crate) enum Message {
    /// A file is another.
    FileChanged {
        path: String,
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        from: Option<String>,
        hash: Option<String>,
        size: Option<u64>,
        by: Option<String>,
        origin: &'static str,
        at: String,
    },
    /// A file is locked or leased by others than before.
    FileLockChange {
        path: String,
        locked: bool,
        holder: Option<Box<HolderView>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        lease: Option<Box<LeaseView>>,
    },
    /// A conflict was stored or resolved.
    Conflict { id: String, path: String, state: &'static str },
    /// Something happened in a queue.
    QueueChanged { queue: String },
    /// A queued write has come to its end.
    WriteDone { id: String, path: String, state: &'static str },
    /// Messages are missing before this: read everything again.
    Reset {},
}

/// Who looks at a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Viewer {
    pub(crate) client: String,
    pub(crate) session: String,
}

/// What is told without a place in the order.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(crate) enum Aside<'a> {
    /// The first message.
    Hello { cursor: String, client: &'a str, session: &'a str },
    /// Who looks at a file now.
    Presence { path: &'a str, clients: &'a [Viewer] },
    /// A line of the audit log.
    Audit { record: serde_json::Value },
    /// Messages are missing before this.
    Reset { cursor: String },
    /// The client has said something that is not understood.
    Error { detail: &'a str },
    /// The server closes.
    Bye { reason: &'a str },
}

impl Aside<'_> {
    /// As text.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Message {
    /// As text, with its place in the order.
    pub(crate) fn text(&self, cursor: &str) -> String {
        #[derive(Serialize)]
        struct Placed<'a> {
            cursor: &'a str,
            #[serde(flatten)]
            message: &'a Message,
        }
        serde_json::to_string(&Placed { cursor, message: self }).unwrap_or_default()
    }
}
