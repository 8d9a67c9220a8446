//! Events for web sockets: one watch over the root, one ring of messages, any number of readers.
//!
//! # Promise
//! - A reader gets every message after its cursor once and in order, or `reset` in the place of those that it will not get.
//! - Nobody who tells something waits for a reader. A message is put into words once, however many read it.
//! - What is hidden is not told of.
//!
//! # Non-promise
//! - Cursors are of one life of the server: after a restart each is answered with `reset`.
//! - A lock that was held for less than half a second may not be told of.
//!
//! # Layout
//! `message` what is told, `ring` messages in order, `hub` the ring with its readers and who looks at what (`presence`), `source` from the
//! library's watches to the hub, `lookout` locks, `socket` one client.

mod hub;
pub(crate) mod lookout;
mod message;
mod presence;
mod ring;
mod socket;
mod source;

pub(crate) use hub::Events;
pub(crate) use message::Message;

pub(crate) use socket::routes;
