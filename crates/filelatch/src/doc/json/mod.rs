//! JSON, with comments where the file has them.

mod edit;
mod print;
mod scan;
mod settle;
mod syntax;
mod verify;

pub(super) use print::print_document;
pub(super) use syntax::JsonSyntax;
