//! Web sockets, over real connections to a server in this process; other processes are this binary, started again.
#![expect(clippy::unwrap_used, reason = "a failing test is how these tests complain")]
#![expect(clippy::disallowed_methods, reason = "tests stand outside the seam: they are the other programs")]

mod common;
mod ends;
mod events;
mod leases;
mod locks;
mod many;
mod presence;
