//! TOML.

mod edit;
mod insert;
mod print;
mod scan;
mod syntax;
mod verify;

pub(super) use print::print_document;
pub(super) use syntax::TomlSyntax;
