//! YAML 1.2, one document per file.

mod edit;
mod print;
mod replace;
mod scalar;
mod syntax;
mod tree;
mod verify;

pub(super) use print::print_document;
pub(super) use syntax::YamlSyntax;
