//! Text as a document: one string.

use std::sync::Arc;

use serde_json::Value;

use super::delta::Delta;
use super::splice::Splices;
use super::syntax::{NodeId, Shape, Syntax};
use super::{DocError, Format};

/// Any text.
#[derive(Debug)]
pub(super) struct TextSyntax {
    text: Arc<String>,
}

impl TextSyntax {
    pub(super) fn new(text: String) -> Self {
        Self { text: Arc::new(text) }
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

    fn keys(&self, _: NodeId) -> Result<Vec<String>, DocError> {
        Ok(Vec::new())
    }

    fn start(&self, _: NodeId) -> usize {
        0
    }

    fn item(&self, _: NodeId, _: usize) -> Option<NodeId> {
        None
    }

    fn len(&self, _: NodeId) -> usize {
        0
    }

    fn value(&self, _: NodeId) -> Result<Value, DocError> {
        Ok(Value::String(self.text.to_string()))
    }

    fn edit(&self, delta: &Delta) -> Result<Splices, DocError> {
        let mut splices = Splices::default();
        splices.replace(0..self.text.len(), print_document(&delta.apply(self.value(self.root())?))?);
        Ok(splices)
    }

    fn verify(&self, new: &str, delta: &Delta) -> Result<(), DocError> {
        match delta {
            Delta::Replace(Value::String(wanted)) if wanted == new => Ok(()),
            _ => Err(DocError::VerifyFailed { format: Format::Text, message: "the text differs".to_owned() }),
        }
    }

    fn settle(&mut self, new: &Arc<String>, _: &Splices) -> bool {
        self.text = Arc::clone(new);
        true
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
