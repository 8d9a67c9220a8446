//! Many writers, one file, nothing lost.

pub mod doc;
