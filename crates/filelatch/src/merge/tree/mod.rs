//! Trees of units, and their three-way merge.

mod node;

pub(super) use node::{Language, NoTree, Node, NodeId, Shape, Span, Tree};
