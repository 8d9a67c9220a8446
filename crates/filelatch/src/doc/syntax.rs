//! The seam between documents and their formats.

use std::sync::Arc;

use serde_json::Value;

use super::delta::Delta;
use super::splice::Splices;
use super::{DocError, Format};

/// How deep objects and arrays may nest. Recursion over a document is bounded by this.
pub const MAX_DEPTH: usize = 127;

/// A node of a parsed document; its meaning belongs to the [`Syntax`] that gave it out.
pub(super) type NodeId = usize;

/// What a node is, as far as navigation cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar,
    Object,
    Array,
}

/// A parsed text: it can be navigated, and it can turn a [`Delta`] into a new text.
pub(super) trait Syntax: std::fmt::Debug + Send + Sync {
    /// The text, without byte order mark.
    fn text(&self) -> &str;

    /// The whole document.
    fn root(&self) -> NodeId;

    /// What the node is.
    fn shape(&self, node: NodeId) -> Shape;

    /// The value under a key. A key that stands twice is an error.
    fn field(&self, object: NodeId, key: &str) -> Result<Option<NodeId>, DocError>;

    /// The keys of an object in the order of the text, one that stands twice twice.
    fn keys(&self, object: NodeId) -> Result<Vec<String>, DocError>;

    /// Where the text of the node begins.
    fn start(&self, node: NodeId) -> usize;

    /// The element at an index.
    fn item(&self, array: NodeId, index: usize) -> Option<NodeId>;

    /// The number of elements of an array.
    fn len(&self, array: NodeId) -> usize;

    /// The value of the node and everything in it.
    fn value(&self, node: NodeId) -> Result<Value, DocError>;

    /// What the change does to the text. The result is not trusted before [`Syntax::verify`] has agreed.
    fn edit(&self, delta: &Delta) -> Result<Splices, DocError>;

    /// Parses `new` with a parser other than the editor's and checks that it is this document plus the change.
    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError>;

    /// Becomes the syntax of `new`: this text with `splices` applied, and verified. False: it stays what it is, because
    /// parsing `new` when it is needed costs no more.
    fn settle(&mut self, _new: &Arc<String>, _splices: &Splices) -> bool {
        false
    }
}

/// Parses a text, byte order mark removed.
pub(super) fn parse(text: String, format: Format) -> Result<Box<dyn Syntax>, DocError> {
    if u32::try_from(text.len()).is_err() {
        return Err(DocError::TooLarge { bytes: text.len() });
    }
    Ok(match format {
        Format::Json | Format::Jsonc => Box::new(super::json::JsonSyntax::parse(text, format)?),
        Format::Yaml => Box::new(super::yaml::YamlSyntax::parse(text)?),
        Format::Toml => Box::new(super::toml::TomlSyntax::parse(text)?),
        Format::Text => Box::new(super::text::TextSyntax::new(text)),
    })
}

/// The text of a new document with this value.
pub(super) fn print(value: &Value, format: Format) -> Result<String, DocError> {
    match format {
        Format::Json | Format::Jsonc => Ok(super::json::print_document(value)),
        Format::Yaml => super::yaml::print_document(value),
        Format::Toml => super::toml::print_document(value),
        Format::Text => super::text::print_document(value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::change;
    use super::super::delta::Op;
    use super::super::pointer;
    use super::*;

    /// L46: the check is what stands between a bug in an editor and a lost file, so it is tested with wrong texts, one per
    /// way to be wrong.
    #[test]
    fn wrong_texts_are_caught() {
        let json = "{\"a\": [1, {\"b\": 2}], \"c\": 3}";
        let jsonc = "{\"a\": [1, {\"b\": 2}], /* c */ \"c\": 3}";
        let toml = "c = 3\na = [1, {b = 2}]\n";
        let yaml = "c: 3\na: [1, {b: 2}]\n";
        let rows: [(Format, &str, &[&str], &str); 4] = [
            (
                Format::Json,
                json,
                &[
                    json,
                    "{\"a\": [1, {\"b\": 7}], \"c\": 3, \"d\": 4}",
                    "{\"a\": [1, {\"b\": 7}]}",
                    "{\"a\": [1, {\"b\": 7}, 2], \"c\": 3}",
                    "{\"a\": [1, {\"b\": 7, \"b\": 7}], \"c\": 3}",
                    "{\"a\": [1, {\"b\": 7.0}], \"c\": 3}",
                    "{\"a\": [1, {\"b\": \"7\"}], \"c\": 3}",
                    "{\"a\": [1, {\"b\": 7}], \"c\": 3,}",
                    "{\"a\": [1, {\"b\": 7}], \"c\": 3} 1",
                    "{\"a\": [1, {\"b\": 7}], \"c\": 3 // no\n}",
                ],
                "{\"a\": [1, {\"b\": 7}], \"c\": 3}",
            ),
            (Format::Jsonc, jsonc, &[jsonc, "{\"a\": [1, {\"b\": 7}]}", "{"], "{\"a\": [1, {\"b\": 7}], \"c\": 3,}"),
            (
                Format::Toml,
                toml,
                &[toml, "c = 3\na = [1, {b = 7.0}]\n", "c = 3\n", "c = "],
                "a = [1, {b = 7}]\nc = 3\n",
            ),
            (Format::Yaml, yaml, &[yaml, "c: 3\na: [1, {b: '7'}]\n", "c: 3\n", "c: ["], "a: [1, {b: 7}]\nc: 3\n"),
        ];
        for (format, old, wrong, right) in rows {
            let syntax = parse(old.to_owned(), format).unwrap();
            let mut delta: Option<Arc<Delta>> = None;
            let path = pointer::parse("/a/1/b").unwrap();
            change::change(syntax.as_ref(), &mut delta, &path, Op::Set(json!(7))).unwrap();
            let delta = delta.unwrap();
            for new in wrong {
                let verdict = syntax.verify(new, &delta);
                assert!(matches!(verdict, Err(DocError::VerifyFailed { .. })), "{format}: {new}");
            }
            syntax.verify(right, &delta).unwrap();
        }
    }

    /// A document is built in one thread and may be finished in another.
    #[test]
    fn documents_can_be_sent() {
        fn sendable<T: Send + Sync>() {}
        sendable::<super::super::Document>();
    }
}
