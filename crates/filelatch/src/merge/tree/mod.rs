//! Trees of units, and their three-way merge.
//!
//! # Order of operations
//!
//! 1. `syntax/` builds the trees of the three contents ([`node`]).
//! 2. [`pair`] finds which units are the same unit, [`order`] where they stand in the result.
//! 3. [`weave`] goes down: what one side left alone is the other's, bytes and all; what both changed is taken apart until only
//!    leaves and comments are left ([`leaf`]), which fit or are a conflict. A conflict rises to the smallest unit that stands on
//!    lines of its own.
//! 4. [`emit`] puts separators, line ends and indentation right and makes [pieces](super::Piece).
//! 5. [`check`] looks in the result for what each side had changed.
//!
//! # Invariants
//!
//! - A unit that one side deleted and the other changed is a conflict (L47).
//! - Every unit of the result is a unit of a side, or both sides' changes to one unit.

pub(super) mod check;
mod emit;
mod leaf;
mod node;
mod order;
mod pair;
mod stale;
mod weave;

pub(super) use node::{Language, NoTree, Node, NodeId, Shape, Span, Tree};
pub(super) use weave::{Notes, weave};

/// Indices of the three versions.
const BASE: usize = 0;
const OURS: usize = 1;
const THEIRS: usize = 2;

/// The three versions' trees.
type Trees<'t> = [&'t Tree; 3];
