//! Text as a document: one string.

use serde_json::Value;

use super::delta::Delta;
use super::syntax::{NodeId, Shape, Syntax};
use super::{DocError, Format};

/// Any text.
#[derive(Debug)]
pub(super) struct TextSyntax {
    text: String,
}

impl TextSyntax {
    pub(super) fn new(text: String) -> Self {
        Self { text }
    }
}

impl Syntax for TextSyntax {
    fn text(&self) -> &str {
        &self.text
    }

    fn root(&self) -> NodeId {
        0
    }

    fn shape(&self, _: NodeId) -> Shape {
        Shape::Scalar
    }

    fn field(&self, _: NodeId, _: &str) -> Result<Option<NodeId>, DocError> {
        Ok(None)
    }

    fn item(&self, _: NodeId, _: usize) -> Option<NodeId> {
        None
    }

    fn len(&self, _: NodeId) -> usize {
        0
    }

    fn value(&self, _: NodeId) -> Result<Value, DocError> {
        Ok(Value::String(self.text.clone()))
    }

    fn edit(&self, delta: &Delta) -> Result<String, DocError> {
        print_document(&delta.apply(Value::String(self.text.clone())))
    }

    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError> {
        match delta {
            Delta::Replace(Value::String(wanted)) if wanted == new => Ok(()),
            _ => Err(DocError::VerifyFailed { format: Format::Text, message: "the text differs".to_owned() }),
        }
    }
}

/// The text a string stands for.
pub(super) fn print_document(value: &Value) -> Result<String, DocError> {
    match value {
        Value::String(text) => Ok(text.clone()),
        _ => Err(DocError::Unrepresentable {
            format: Format::Text,
            pointer: String::new(),
            message: "anything but one string".to_owned(),
        }),
    }
}
