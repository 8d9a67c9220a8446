//! filelatch over HTTP: many writers, one file, nothing lost.
//!
//! [`app`] makes the routes of one root folder, [`serve`] answers a listener with them. All of them work through one engine of
//! `filelatch`; there is no second way to the disk.
//!
//! # Promise
//! - What a client was told is written, is on the disk, as the durability says that holds.
//! - A write that names what it replaces is refused if the file is not that (409, 412), and the answer says what is there.
//! - A slow client holds no lock: a body is read whole before anything is locked.
//! - No path leads out of the root, by names or by symbolic links, also while somebody exchanges them.
//! - Whatever is malformed is refused with a 4xx and one body, [`Problem`].
//!
//! # Non-promise
//! It is no web server for the world: it speaks HTTP/1.1 to a team's tools and browsers. Put a proxy in front of it for anything else.
//!
//! # Where things are
//! `api/` has one module for each area, each with its routes; `app` puts them into one table. `problem` is the body of refusals, `extract`
//! what handlers take, `access` who may do what, `work` the threads that library calls run on, `state` what all share.

pub mod access;
pub mod api;
mod app;
mod change;
mod conditional;
mod documents;
mod events;
mod extract;
mod front;
mod metrics;
mod mime;
mod mount;
mod options;
mod page;
pub mod problem;
mod serve;
mod stall;
mod state;
#[cfg(feature = "tls")]
mod tls;
mod work;
mod writes;

pub use app::{app, open_api};
pub use extract::{Content, FilePath, Json, MaybeJson, Param, Query, Span};
pub use metrics::{Counted, Gauge};
pub use options::{Limits, ServerOptions};
pub use problem::Problem;
#[cfg(feature = "tls")]
pub use serve::serve_tls;
pub use serve::{runtime, serve};
pub use state::State;
#[cfg(feature = "tls")]
pub use tls::Tls;
pub use work::{Call, Failure, Work};
pub use writes::Done;
