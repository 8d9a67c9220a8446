//! Read-modify-write: many changes, one publish (VER-7, VER-8).
//!
//! # Promise
//! - Each change is applied to the newest content, under the lock; none is lost, whatever the number of threads and processes.
//! - A change that fails or panics takes nothing of itself along, and the others go on.
//! - The caller hears "done" only after its change has the durability asked for.
//! - Concurrent changes of one document in one process share one publish (and its fsyncs), in order of arrival.
//!
//! # Non-promise
//! A closure may run more than once: when a program that ignores locks wrote in between, it is applied again to what is there
//! now (P8), unless it is marked to run once.

pub(crate) mod combine;
pub(crate) mod head;
