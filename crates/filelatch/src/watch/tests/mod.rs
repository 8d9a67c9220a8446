//! The tracker on a simulated file system: foreign programs act, hints are handed over by the test, or are not.

mod basics;
mod chance;
mod dances;
mod many;
mod odd;
mod renames;
mod timing;
mod world;
