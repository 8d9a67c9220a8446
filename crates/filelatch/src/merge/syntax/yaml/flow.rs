//! Flow collections: `[a, b]`, `{ a: 1 }`, on one line or several.

use super::{Builder, MAX_DEPTH, u32_of};
use crate::merge::tree::{NoTree, NodeId, Shape, Span};

/// A flow collection that is being read.
struct Flow {
    id: NodeId,
    is_map: bool,
}

impl Builder<'_> {
    /// Reads a flow collection whose bracket stands at `at`, with all that is in it.
    pub(super) fn flow(&mut self, id: NodeId, at: usize) -> Result<(), NoTree> {
        let mut open: Vec<Flow> = Vec::new();
        self.enter(id, at, &mut open)?;
        while let Some(&Flow { id, is_map }) = open.last() {
            let lead = self.at;
            let at = self.end_of_flow_trivia(lead)?;
            if self.byte(at) == Some(if is_map { b'}' } else { b']' }) {
                self.at = at + 1;
                let node = self.node(id);
                node.inner.end = u32_of(lead);
                node.value.end = u32_of(at + 1);
                node.item.end = node.value.end;
                open.pop();
                if !open.is_empty() {
                    self.flow_tail(id)?;
                }
                continue;
            }
            let before = self.nodes[id as usize].children.last().map(|&before| &self.nodes[before as usize]);
            if before.is_some_and(|before| before.separator.is_none()) {
                return self.refuse(at, "expected `,` or the end of the collection");
            }
            let child = self.unit(lead, at);
            let begins = self.text[lead..at].contains(&b'\n');
            let container = self.node(id);
            container.rows = if container.children.is_empty() { begins } else { container.rows || begins };
            container.children.push(child);
            self.at = at;
            if is_map && !self.field(child)? {
                self.flow_tail(child)?;
                continue;
            }
            let start = self.at;
            let properties = self.properties(start)?;
            if let Some((_, end)) = properties {
                self.at = self.skip_blanks(end);
            }
            match self.byte(self.at) {
                Some(b'[' | b'{') => {
                    if let Some((start, end)) = properties {
                        let says = String::from_utf8_lossy(&self.text[start..end]).into_owned();
                        self.node(child).says = Some(says.into());
                    }
                    let at = self.at;
                    self.enter(child, at, &mut open)?;
                }
                Some(b'"' | b'\'' | b'*') => {
                    self.marked(child, start)?;
                    self.flow_tail(child)?;
                }
                Some(b',' | b']' | b'}') if properties.is_some() => {
                    let end = properties.map_or(start, |(_, end)| end);
                    self.place(child, start..end);
                    self.at = end;
                    self.flow_tail(child)?;
                }
                _ => {
                    self.plain_in_flow(child, start)?;
                    self.flow_tail(child)?;
                }
            }
        }
        Ok(())
    }

    fn enter(&mut self, id: NodeId, at: usize, open: &mut Vec<Flow>) -> Result<(), NoTree> {
        if self.open.len() + open.len() >= MAX_DEPTH {
            return Err(NoTree(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let is_map = self.text[at] == b'{';
        self.place(id, at..at + 1);
        let node = self.node(id);
        node.shape = if is_map { Shape::Map } else { Shape::List };
        node.separated = true;
        node.inner = Span::new(at + 1, at + 1);
        self.at = at + 1;
        open.push(Flow { id, is_map });
        Ok(())
    }

    /// The key of a field. Whether a value follows.
    fn field(&mut self, child: NodeId) -> Result<bool, NoTree> {
        let quoted = matches!(self.byte(self.at), Some(b'"' | b'\''));
        let (name, end) = self.flow_key(self.at)?;
        self.node(child).name = Some(name);
        let colon = self.end_of_flow_trivia(end)?;
        let has_value = self.byte(colon) == Some(b':')
            && (quoted || self.is_space(colon + 1) || matches!(self.byte(colon + 1), Some(b',' | b'}')));
        let end = if has_value { colon + 1 } else { end };
        let value = if has_value { self.end_of_flow_trivia(end)? } else { end };
        if !has_value || matches!(self.byte(value), Some(b',' | b'}')) {
            self.place(child, end..end);
            self.at = end;
            return Ok(false);
        }
        self.at = value;
        Ok(true)
    }

    /// What stands behind a unit: its comma, and a comment on its line.
    fn flow_tail(&mut self, id: NodeId) -> Result<(), NoTree> {
        let mut end = self.at;
        let mut at = self.end_of_flow_trivia(end)?;
        let mut separator = None;
        if self.byte(at) == Some(b',') {
            separator = Some(Span::new(at, at + 1));
            end = at + 1;
            at = self.skip_blanks(end);
        } else {
            at = self.skip_blanks(end);
        }
        if self.byte(at) == Some(b'#') && at > end {
            end = self.line_end(at);
        }
        self.at = end;
        let node = self.node(id);
        node.separator = separator;
        node.item.end = u32_of(end);
        Ok(())
    }

    /// Behind blanks, line ends and comments in a flow collection.
    pub(super) fn end_of_flow_trivia(&self, at: usize) -> Result<usize, NoTree> {
        let mut at = at;
        loop {
            match self.byte(at) {
                Some(b' ' | b'\t' | b'\r') => at += 1,
                Some(b'\n') => {
                    at += 1;
                    if self.is_marker(at) {
                        return self.refuse(at, "a marker of documents in a collection");
                    }
                }
                Some(b'#') if at > 0 && self.is_space(at - 1) => at = self.line_end(at),
                _ => return Ok(at),
            }
        }
    }
}
