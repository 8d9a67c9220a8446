//! Leases: a lock that can be lost, and writes that a late holder can't make (P11).
//!
//! A strict [`Guard`](crate::Guard) is held until it is dropped or its process dies. A [`Lease`] also ends when its time is over: a
//! holder that hangs, or is stopped, keeps nobody out for longer. Then two may believe that they hold it (L8). So each lease has a
//! number greater than all before, and every write through filelatch is compared with it, under the strict lock (L9).
//!
//! # Promise
//! - At most one lease of a file is live; its holder knows that it is lost before others take it, by [`Lease::lost`].
//! - A write through a lease that is lost is refused ([`Error::LeaseLost`](crate::Error::LeaseLost)): the comparison and the swap are
//!   under one lock.
//! - While a lease is live, others' writes through filelatch wait or fail ([`Error::Leased`](crate::Error::Leased)).
//! - Numbers grow across releases, restarts and power cuts; also when the lease file is lost, or the clock set back. (Both at once: as
//!   long as the file's attribution has the number of the last lease that wrote.)
//! - Time is the machine's since its start, which no one sets and which runs on in suspend (L10). A dead holder's lease on this machine is
//!   over at once.
//!
//! # Non-promise
//! - A program's own write(2) is not fenced, nor is what it does elsewhere. Stores of your own can compare [`Lease::token`].
//! - A holder that is stopped *while it writes* has the strict lock, and keeps everybody out until it goes on or is killed.
//! - There is no queue for leases, and a wait for one is not part of the search for deadlocks: it ends with the lease.
//! - With `locks = "off"` nothing is compared.
//!
//! # Invariants
//! - The lease file is changed only under the exclusive lock, as a whole (`file`).
//! - A number is durable before it is given out (`grant`).
//!
//! # Order of operations
//! | | under the strict lock | after it |
//! |---|---|---|
//! | grant | look, judge (`judge`), next number, record written and synced, renamed, directory synced | given out |
//! | renew, give back | still ours? record written and synced, renamed | |
//! | write | still ours and in time? new version prepared and synced, once more still ours and in time?, swap | |
//! | another's write | is a lease live? then released and waited (`wait`), else written | |

pub(crate) mod desk;
pub(crate) mod file;
pub(crate) mod grant;
pub(crate) mod held;
pub(crate) mod judge;
pub(crate) mod keeper;
pub(crate) mod options;
pub(crate) mod record;
pub(crate) mod service;
pub(crate) mod wait;

use std::time::Duration;

use crate::lock::Holder;

pub use held::Lease;
pub use options::LeaseOptions;
pub use service::Leases;

/// A lease that is live, as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseState {
    /// Who has it.
    pub holder: Holder,
    /// Its number.
    pub token: u64,
    /// At most so long, unless it is renewed. Of another machine's: until this process may believe that it is over.
    pub remaining: Duration,
}

/// A lease that the program which started this one has, and lets this one write under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InheritedLease {
    /// The resource's name ([`Lease::resource_name`]).
    pub resource: String,
    /// Its number ([`Lease::token`]).
    pub token: u64,
}
