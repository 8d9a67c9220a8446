//! Documents and block collections.

use super::{Builder, MAX_DEPTH, Next, Open, u32_of};
use crate::merge::tree::{NoTree, NodeId, Shape, Span};

impl Builder<'_> {
    /// Reads the whole text.
    pub(super) fn stream(&mut self) -> Result<NodeId, NoTree> {
        if let Some(at) = self.text.windows(2).position(|pair| pair[0] == b'\r' && pair[1] != b'\n') {
            return self.refuse(at, "a carriage return that ends no line");
        }
        let mut documents = Vec::new();
        loop {
            let begin = self.at;
            let next = match (self.next(begin)?, documents.is_empty()) {
                (Next::End, false) => break,
                (Next::Marker(at), _) if self.text[at] == b'-' => Some(at),
                (Next::Marker(at), _) => {
                    self.end_marker(at)?;
                    break;
                }
                (Next::End | Next::Content(..), true) => None,
                (Next::Content(at, _), false) => return self.refuse(at, "expected `---`"),
            };
            documents.push(self.document(begin, next)?);
        }
        let end = self.text.len();
        if let [root] = documents[..] {
            let first = self.byte(self.nodes[root as usize].value.start as usize);
            let node = self.node(root);
            node.item.end = u32_of(end);
            // What has no closing bracket ends with the text.
            if node.is_container() && !matches!(first, Some(b'[' | b'{')) {
                node.value.end = u32_of(end);
            }
            return Ok(root);
        }
        let root = self.unit(0, 0);
        self.place(root, 0..end);
        let inner_end = documents.last().map_or(0, |&last| self.node(last).item.end);
        let node = self.node(root);
        node.shape = Shape::List;
        node.rows = true;
        node.inner.end = inner_end;
        node.children = documents;
        Ok(root)
    }

    /// `...` with nothing behind it but comments.
    fn end_marker(&mut self, at: usize) -> Result<(), NoTree> {
        let end = self.end_of_trivia(at + 3)?;
        match self.next(end)? {
            Next::End => Ok(()),
            _ => self.refuse(at, "a document ends with `...` and another begins"),
        }
    }

    /// Reads a document that begins at `begin`, with its `---` at `marker`.
    fn document(&mut self, begin: usize, marker: Option<usize>) -> Result<NodeId, NoTree> {
        let document = match marker {
            Some(marker) => self.unit(begin, marker),
            None => self.unit(begin, begin),
        };
        let value = marker.map_or(begin, |marker| marker + 3);
        let line_end = if marker.is_some() { self.end_of_trivia(value)? } else { value };
        match self.next(line_end)? {
            Next::Content(at, column) => {
                if self.is_dash(at) {
                    self.begin(document, false, value, column, Some(at))?;
                } else if self.key(at)?.is_some() {
                    self.begin(document, true, value, column, Some(at))?;
                } else if matches!(self.text[at], b'[' | b'{') {
                    if marker.is_none() {
                        self.node(document).head = Span::new(at, at);
                    }
                    self.flow(document, at)?;
                    self.tail(document)?;
                    return Ok(document);
                } else {
                    return self.refuse(at, "neither a mapping nor a list");
                }
            }
            // Nothing but comments.
            Next::Marker(_) | Next::End => {
                self.place(document, value..value);
                let end = if marker.is_some() { line_end } else { self.text.len() };
                self.node(document).item.end = u32_of(end);
                self.at = end;
                return Ok(document);
            }
        }
        while !self.open.is_empty() {
            self.entry()?;
        }
        Ok(document)
    }

    /// Begins a block collection whose value begins at `value`, and whose units stand in `column`. `first`: where its first unit
    /// is, if that is on another line.
    fn begin(
        &mut self,
        id: NodeId,
        is_map: bool,
        value: usize,
        column: usize,
        first: Option<usize>,
    ) -> Result<(), NoTree> {
        if self.open.len() >= MAX_DEPTH {
            return Err(NoTree(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let inner = first.map_or(value, |first| self.open_end(value, first));
        self.place(id, value..inner);
        let node = self.node(id);
        node.shape = if is_map { Shape::Map } else { Shape::List };
        node.rows = true;
        node.inner = Span::new(inner, inner);
        self.open.push(Open { id, is_map, column });
        self.at = inner;
        self.column = column;
        Ok(())
    }

    /// Where the open of a collection ends: behind what stands in its line, and behind all paragraphs of comments but the last
    /// before its first unit.
    fn open_end(&self, value: usize, first: usize) -> usize {
        let mut end = if self.is_line_end(value) { value } else { self.line_end(value) };
        let mut at = end;
        let mut comment = end;
        loop {
            at = self.behind_line_end(at);
            let mark = at == 1 && self.text[1..].starts_with(BOM);
            if mark {
                at += BOM.len();
                end = at;
            }
            let content = self.skip_blanks(at);
            if content >= first {
                return end;
            }
            at = self.line_end(content);
            if mark {
                end = at;
                comment = at;
            }
            if matches!(self.text.get(content), Some(b'#' | b'%')) {
                comment = at;
            } else if self.is_line_end(content) {
                end = comment;
            }
        }
    }

    /// Reads a unit of the innermost collection, or ends collections.
    fn entry(&mut self) -> Result<(), NoTree> {
        let mut lead = self.at;
        let (at, column) = if self.is_line_end(lead) {
            let (at, column) = match self.next(lead)? {
                Next::Content(at, column) => (at, Some(column)),
                Next::Marker(at) => (at, None),
                Next::End => (self.text.len(), None),
            };
            lead = self.end_above(lead, at, column);
            self.at = lead;
            let Some(column) = column else { return Ok(()) };
            (at, column)
        } else {
            (lead, self.column)
        };
        let Some(&Open { id, is_map, column: expected }) = self.open.last() else {
            return self.refuse(at, "less indented than the document");
        };
        if column != expected {
            return self.refuse(at, "an indentation that fits nowhere");
        }
        let unit = self.unit(lead, at);
        if is_map {
            let Some((name, behind)) = self.key(at)? else { return self.refuse(at, "expected a key") };
            self.node(unit).name = Some(name);
            self.at = behind;
        } else {
            if !self.is_dash(at) {
                return self.refuse(at, "expected `- `");
            }
            self.at = at + 1;
        }
        self.node(id).children.push(unit);
        self.value(unit, column, is_map)
    }

    /// Ends the collections that have no unit in `column` (`None`: all), where the next content is at `next`. Comments from `lead` on
    /// belong to the collection that their column fits. Returns where the lead of what comes next begins.
    fn end_above(&mut self, lead: usize, next: usize, column: Option<usize>) -> usize {
        let keep = match column {
            None => 0,
            Some(column) => {
                let mut keep = self.open.len();
                while keep > 0 && self.open[keep - 1].column > column {
                    keep -= 1;
                }
                // A list may stand in the column of the key that it belongs to.
                if keep > 1
                    && self.open[keep - 1].column == column
                    && !self.open[keep - 1].is_map
                    && !self.is_dash(next)
                {
                    keep -= 1;
                }
                keep
            }
        };
        let mut cut = lead;
        let mut line = lead;
        while self.open.len() > keep {
            let start = self.behind_line_end(line);
            let content = self.skip_blanks(start);
            if content >= next || content >= self.text.len() {
                break;
            }
            line = self.line_end(content);
            if self.text[content] != b'#' {
                continue;
            }
            let here = content - start;
            if column.is_some_and(|column| here <= column) {
                break;
            }
            while self.open.len() > keep.max(1) {
                let (inner, outer) = (self.open[self.open.len() - 1].column, self.open[self.open.len() - 2].column);
                if inner <= here && !(inner == outer && here == inner) {
                    break;
                }
                self.end_innermost(cut);
            }
            if self.open.len() <= keep || self.open.last().is_some_and(|open| open.column > here) {
                break;
            }
            cut = line;
        }
        while self.open.len() > keep {
            self.end_innermost(cut);
        }
        cut
    }

    fn end_innermost(&mut self, at: usize) {
        if let Some(open) = self.open.pop() {
            let last = self.nodes[open.id as usize].children.last().copied();
            let inner = last.map(|last| self.nodes[last as usize].item.end);
            let node = self.node(open.id);
            if let Some(inner) = inner {
                node.inner.end = inner;
            }
            node.value.end = u32_of(at);
            node.item.end = u32_of(at);
        }
    }

    /// Reads the value of a unit behind its colon or dash, which stands in a collection in `column`.
    fn value(&mut self, unit: NodeId, column: usize, in_map: bool) -> Result<(), NoTree> {
        let behind = self.at;
        let mut at = self.skip_blanks(behind);
        let tabs = self.text[behind..at].contains(&b'\t');
        let properties = self.properties(at)?;
        if let Some((_, end)) = properties {
            at = self.skip_blanks(end);
        }
        if !self.is_line_end(at) && self.text[at] != b'#' {
            if !in_map && properties.is_none() && !tabs {
                let column = column + (at - behind) + 1;
                if self.is_dash(at) {
                    return self.begin(unit, false, at, column, None);
                }
                if self.key(at)?.is_some() {
                    return self.begin(unit, true, at, column, None);
                }
            }
            self.at = at;
            self.scalar_or_flow(unit, properties.map_or(at, |(start, _)| start), column)?;
            return self.tail(unit);
        }
        let line_end = self.line_end(at);
        let value = properties.map_or(behind, |(_, end)| end);
        match self.next(line_end)? {
            Next::Content(at, below) if below > column || (below == column && in_map && self.is_dash(at)) => {
                let is_map = if self.is_dash(at) { Some(false) } else { self.key(at)?.map(|_| true) };
                if let Some(is_map) = is_map {
                    if let Some((start, end)) = properties {
                        let says = String::from_utf8_lossy(&self.text[start..end]).into_owned();
                        self.node(unit).says = Some(says.into());
                    }
                    return self.begin(unit, is_map, value, below, Some(at));
                }
                self.at = at;
                self.scalar_or_flow(unit, properties.map_or(at, |(start, _)| start), column)?;
                self.tail(unit)
            }
            // Nothing: null.
            _ => {
                self.place(unit, properties.map_or(behind..behind, |(start, end)| start..end));
                self.at = value;
                self.tail(unit)
            }
        }
    }

    /// What stands behind a value on its line: a comment.
    fn tail(&mut self, unit: NodeId) -> Result<(), NoTree> {
        let end = self.end_of_trivia(self.at)?;
        self.node(unit).item.end = u32_of(end);
        self.at = end;
        Ok(())
    }

    /// The end of a line in which nothing but a comment follows.
    pub(super) fn end_of_trivia(&self, at: usize) -> Result<usize, NoTree> {
        let content = self.skip_blanks(at);
        if self.is_line_end(content) {
            Ok(content)
        } else if self.text[content] == b'#' && content > at {
            Ok(self.line_end(content))
        } else {
            self.refuse(content, "expected the end of the line")
        }
    }

    /// What comes behind the line end at `at`, blank lines and comments aside.
    pub(super) fn next(&self, at: usize) -> Result<Next, NoTree> {
        let mut at = at;
        loop {
            at = self.behind_line_end(at);
            let start = at;
            if at == 1 && self.text[1..].starts_with(BOM) {
                at += BOM.len();
            }
            let line = at;
            while self.byte(at) == Some(b' ') {
                at += 1;
            }
            match self.byte(at) {
                None => return Ok(Next::End),
                Some(b'\n' | b'\r') => {}
                Some(b'#') => at = self.line_end(at),
                Some(b'\t') => {
                    let content = self.skip_blanks(at);
                    match self.byte(content) {
                        None => return Ok(Next::End),
                        Some(b'\n' | b'\r') => at = content,
                        Some(b'#') => at = self.line_end(content),
                        Some(_) => return self.refuse(content, "indented with a tab"),
                    }
                }
                // A directive, before the first document.
                Some(b'%') if at == line && self.open.is_empty() => at = self.line_end(at),
                Some(_) if at == line && self.is_marker(at) => return Ok(Next::Marker(at)),
                Some(_) if line != start && at != line => return self.refuse(at, "indented behind a byte order mark"),
                Some(0xEF) if self.text[at..].starts_with(BOM) => {
                    return self.refuse(at, "a byte order mark inside of the text");
                }
                Some(_) => return Ok(Next::Content(at, at - line)),
            }
        }
    }

    /// Whether an item of a block sequence begins here.
    pub(super) fn is_dash(&self, at: usize) -> bool {
        self.byte(at) == Some(b'-') && self.is_space(at + 1)
    }
}

const BOM: &[u8] = "\u{feff}".as_bytes();
