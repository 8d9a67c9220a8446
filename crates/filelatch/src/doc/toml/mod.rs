//! TOML.

mod edit;
mod insert;
mod print;
mod scan;
mod syntax;
mod verify;

pub(super) use print::print_document;
pub(crate) use scan::string_value;
pub(super) use syntax::TomlSyntax;
