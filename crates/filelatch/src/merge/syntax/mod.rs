//! Documents as trees of units: one file for each language.

pub(super) mod ini;
pub(super) mod json;
mod rows;
pub(super) mod toml;
pub(super) mod yaml;

use super::options::Kind;
use super::tree::{NoTree, Tree};

/// Builds the tree of a document. `None`: there are none of its kind.
pub(super) fn tree(kind: Kind, document: &[u8]) -> Option<Result<Tree, NoTree>> {
    let build: fn(&str) -> Result<Tree, NoTree> = match kind {
        Kind::Json => json::tree,
        Kind::Toml => toml::tree,
        Kind::Ini => ini::tree,
        Kind::Yaml => yaml::tree,
        _ => return None,
    };
    Some(match std::str::from_utf8(document) {
        Ok(text) => build(text),
        Err(error) => Err(NoTree(format!("not UTF-8 from byte {}", error.valid_up_to() + 1))),
    })
}

/// Whether a merged document can be read by a parser that the trees know nothing of, as strictly as the `side` it was made of.
pub(super) fn verify(kind: Kind, merged: &str) -> Result<(), String> {
    match kind {
        Kind::Json => json::verify(merged),
        Kind::Toml => toml::verify(merged),
        Kind::Yaml => yaml::verify(merged),
        _ => Ok(()),
    }
}
