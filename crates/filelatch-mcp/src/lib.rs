//! filelatch for agents: files of one root over the Model Context Protocol. Many writers, nothing lost.
//!
//! [`Server::new`] makes a server of one folder, [`serve_stdio`] answers the client at standard input and output with it, and
//! [`Server::connection`] is what other transports of rmcp serve. All of it works through one engine of `filelatch`; there is no second way to
//! the disk.
//!
//! # Promise
//! - What a tool answered as written is on the disk, as the durability says that holds. A refusal says what did not happen.
//! - An edit is applied to the newest content, under the lock. Edits of different places by any number of clients, of any number of servers, all
//!   survive; one that does not fit is refused, with both sides, and the call that comes next.
//! - Bytes that no edit touched are the same bytes: line endings, byte order mark, final newline.
//! - No path leads out of the root, by names or by symbolic links; what is hidden ([`Hidden`](filelatch::Hidden)) is not shown and not written.
//! - A call that is repeated with the key of one that was made (also in another server, after a crash, where there is a workspace) is not made
//!   again, and answered as that one was.
//! - Standard output carries JSON-RPC and nothing else. Whatever a client sends, the server neither crashes nor works without bound.
//!
//! # Non-promise
//! - Attribution is by the name that a client gives itself. Clients of one server are not kept from each other.
//! - Other programs that ignore the locks are noticed, not excluded, as everywhere in filelatch.
//!
//! # Invariants
//! - No library call runs on a thread of the runtime, and each has a lock scope of its own (`work`).
//! - Every answer of a tool has one of two shapes: its own with `ok: true`, or a [refusal](refusal::Refusal) with `ok: false`. Only what is no call
//!   of a known tool is a protocol error.
//!
//! # Where things are
//! `tools/` has one file for each tool, and the table of them; `server` what rmcp asks; `stdio` the messages on a pipe; `work` the threads that
//! library calls run on; `place` paths; `refusal` the one shape of refusals. `anchors` and what edits are made of know nothing of the protocol.

#![allow(
    clippy::result_large_err,
    reason = "a refusal is made once for a call, and read by its caller: its size is no matter"
)]

mod anchors;
mod asker;
mod edits;
mod feed;
mod fitting;
mod held;
mod http;
mod keys;
mod known;
mod line;
mod nearest;
mod options;
mod place;
mod progress;
pub mod refusal;
mod resources;
mod schema;
mod server;
mod state;
mod stdio;
mod tools;
mod work;
mod writing;

pub use asker::Caller;
pub use http::HttpService;
pub use options::{Limits, Options};
pub use server::Connection;
pub use state::Server;
pub use stdio::serve_stdio;
/// Cancelled when a server is to end.
pub use tokio_util::sync::CancellationToken;
