//! Turning a change into splices of a YAML text. Whole nodes are replaced in `replace.rs`.

use std::ops::Range;

use serde_json::Value;

use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::flow::{Comments, Layout, List, Piece};
use super::super::pointer::Path;
use super::super::splice::{Position, Splices, eol, joined, line_end, line_start, next_line, whole_lines, with_eol};
use super::super::syntax::Syntax;
use super::super::{DocError, Format};
use super::YamlSyntax;
use super::print::{Style, flow_entry, inline, key};
use super::scalar::resolve;
use super::tree::{Entry, Id, Item, Kind, Node, Style as Quoting};

/// What changes in the text.
pub(super) fn edit(syntax: &YamlSyntax, delta: &Delta) -> Result<Splices, DocError> {
    // To YAML they are line breaks, to everybody else they are not.
    if syntax.text.split('\r').skip(1).any(|line| !line.starts_with('\n')) {
        return Err(unrepresentable("an edit of a text with carriage returns for line breaks", &Path::default()));
    }
    let mut editor = Editor {
        syntax,
        text: &syntax.text,
        eol: eol(&syntax.text),
        style: detect(syntax),
        aliases: aliases(syntax),
        at: Path::default(),
        splices: Splices::default(),
    };
    editor.node(syntax.root(), delta, Parent::Document)?;
    Ok(editor.splices)
}

pub(super) struct Editor<'s> {
    pub(super) syntax: &'s YamlSyntax,
    pub(super) text: &'s str,
    pub(super) eol: &'static str,
    pub(super) style: Style,
    /// Where each alias is, and what it refers to.
    aliases: Vec<(usize, Id)>,
    pub(super) at: Path,
    pub(super) splices: Splices,
}

/// Where a node stands; block collections carry their column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parent {
    Document,
    Mapping(usize),
    Sequence(usize),
    Flow,
    /// The value of a key without colon: in a flow mapping, or in a block mapping behind a `?`.
    FlowBare {
        key: Id,
    },
    BlockBare(usize),
}

impl<'s> Editor<'s> {
    pub(super) fn get(&self, id: Id) -> &'s Node {
        self.syntax.node(id)
    }

    fn below<R>(&mut self, step: &str, inside: impl FnOnce(&mut Self) -> R) -> R {
        let outer = std::mem::take(&mut self.at);
        let mut here = outer.clone();
        here.with_key(step, |at| self.at = at.clone());
        let result = inside(self);
        self.at = outer;
        result
    }

    fn shared(&self, message: impl Into<String>) -> DocError {
        DocError::Shared { pointer: self.at.as_str().to_owned(), message: message.into() }
    }

    fn line(&self, at: usize) -> usize {
        Position::of(self.text, at).line
    }

    /// Refuses if another place refers to this node, so that a change would show there.
    fn must_be_alone(&self, id: Id) -> Result<(), DocError> {
        let Some(anchor) = &self.get(id).anchor else {
            return Ok(());
        };
        match self.aliases.iter().find(|(_, target)| *target == id) {
            Some(&(user, _)) => Err(self
                .shared(format!("it carries the anchor `&{anchor}`, which is used again at line {}", self.line(user)))),
            None => Ok(()),
        }
    }

    /// Refuses if something in this range is referred to from outside of it.
    pub(super) fn must_be_unused(&self, range: &Range<usize>) -> Result<(), DocError> {
        for &(alias, target) in &self.aliases {
            let node = self.get(target);
            if range.start <= node.from && node.end <= range.end && !range.contains(&alias) {
                let name = self.get(target).anchor.as_deref().unwrap_or_default();
                let line = self.line(alias);
                return Err(self.shared(format!("it holds the anchor `&{name}`, which is used again at line {line}")));
            }
        }
        Ok(())
    }

    fn node(&mut self, id: Id, delta: &Delta, parent: Parent) -> Result<(), DocError> {
        self.must_be_alone(id)?;
        match (&self.get(id).kind, delta) {
            (_, Delta::Replace(value)) => self.replace(id, value, parent),
            (Kind::Alias { .. }, _) => {
                let name = &self.text[self.get(id).start..self.get(id).end];
                Err(self.shared(format!("it is the alias `{name}`, and the anchor would change with it")))
            }
            (Kind::Mapping { entries, flow }, Delta::Object(delta)) => self.mapping(id, entries, *flow, delta, parent),
            (Kind::Sequence { items, flow }, Delta::Array(slots)) => self.sequence(id, items, *flow, slots, parent),
            _ => Err(DocError::VerifyFailed { format: Format::Yaml, message: "a change that does not fit".to_owned() }),
        }
    }

    // ── Mappings ────────────────────────────────────────────────────────────────────────────────────────────────────

    fn mapping(
        &mut self,
        id: Id,
        entries: &'s [Entry],
        flow: bool,
        delta: &ObjectDelta,
        parent: Parent,
    ) -> Result<(), DocError> {
        let node = self.get(id);
        let column = node.column;
        let structural =
            !delta.added.is_empty() || delta.changed.values().any(|change| matches!(change, Change::Remove));
        // A single pair in a list, `[a: b]`, has no room for a second one: it gets braces.
        let bare = flow && structural && !self.text[node.start..].starts_with('{');
        let mut gone = vec![false; entries.len()];
        let mut overrides: Vec<(String, Value)> = Vec::new();
        for (name, change) in &delta.changed {
            let Some(field) = self.syntax.find(id, name)? else {
                continue;
            };
            let own = entries.iter().position(|entry| entry.key == field.key).filter(|_| !field.merged);
            self.below(name, |editor| match (change, own) {
                (Change::Remove, Some(index)) => {
                    let entry = &entries[index];
                    let end = editor.get(entry.value).end;
                    gone[index] = true;
                    editor.must_be_unused(&(entry.start..end))?;
                    // A merged field would come to light.
                    if editor.syntax.find_merged(id, name)? {
                        return Err(editor.shared("removing it would bring the field of a merge key (`<<`) to light"));
                    }
                    Ok(())
                }
                (Change::Remove, None) => {
                    Err(editor.shared("it comes from a merge key (`<<`) and cannot be removed here"))
                }
                (Change::Edit(delta), Some(index)) => {
                    let inner = match (flow, entries[index].has_colon) {
                        (false, true) => Parent::Mapping(column),
                        (false, false) => Parent::BlockBare(column),
                        (true, true) => Parent::Flow,
                        (true, false) => Parent::FlowBare { key: entries[index].key },
                    };
                    editor.node(entries[index].value, delta, inner)
                }
                (Change::Edit(delta), None) => {
                    // A field of its own hides the merged one, for all readers if its key is written alike.
                    if !matches!(**delta, Delta::Replace(_)) && editor.is_more_than_its_value(field.value) {
                        return Err(
                            editor.shared("it comes from a merge key (`<<`), with more in it than can be copied here")
                        );
                    }
                    let value = delta.apply(editor.syntax.value(field.value)?);
                    overrides.push((editor.spelled(field.key), value));
                    Ok(())
                }
            })?;
        }
        let added: Vec<(String, &Value)> = overrides
            .iter()
            .map(|(name, value)| (name.clone(), value))
            .chain(delta.added.iter().map(|(name, value)| (key(name), value)))
            .collect();
        if added.is_empty() && !gone.contains(&true) {
            return Ok(());
        }
        if bare {
            self.put_in_braces(node, &added, gone.contains(&true));
            return Ok(());
        }
        if flow {
            let items = entries.iter().map(|entry| entry.start..self.entry_end(entry)).collect();
            let name = entries.last().and_then(|entry| self.syntax.key(entry.key)).unwrap_or_default();
            let edited = matches!(delta.changed.get(name), Some(Change::Edit(_)));
            let kept = (0..entries.len()).filter(|&index| !gone[index]).map(Piece::Keep);
            let new = added.iter().map(|(name, value)| Piece::New(flow_entry(name, value)));
            self.rewrite_flow(id, '{', items, kept.chain(new).collect(), edited);
            return Ok(());
        }
        if !added.is_empty() {
            self.must_be_indented_by_spaces(id)?;
        }
        let ranges: Vec<Range<usize>> = entries.iter().map(|entry| entry.start..self.entry_end(entry)).collect();
        self.block(id, &ranges, &gone, parent, "{}", |style| {
            added.iter().map(|(k, v)| style.entry(k, v, column)).collect()
        })
        .into_iter()
        .for_each(|(range, text)| self.splices.replace(range, text));
        if gone.iter().all(|&gone| gone) {
            return Ok(());
        }
        let Some(last) = (0..entries.len()).rev().find(|&index| !gone[index]) else {
            return Ok(());
        };
        let name = self.syntax.key(entries[last].key).unwrap_or_default();
        let inner = match delta.changed.get(name) {
            Some(Change::Edit(delta)) => Some(delta.as_ref()),
            _ => None,
        };
        let at = line_end(self.text, self.tail(entries[last].value, inner));
        let style = self.style_where(self.has_room_for_text(at, column));
        for (name, value) in added {
            let line = format!("\n{}{}", " ".repeat(column), style.entry(&name, value, column));
            self.splices.insert(at, with_eol(line, self.eol));
        }
        Ok(())
    }

    /// A pair without braces gets them, for its new fields or instead of what it was.
    fn put_in_braces(&mut self, node: &Node, added: &[(String, &Value)], is_gone: bool) {
        let fields: Vec<String> = added.iter().map(|(name, value)| flow_entry(name, value)).collect();
        if is_gone {
            self.splices.replace(node.start..node.end, format!("{{{}}}", fields.join(", ")));
            return;
        }
        self.splices.insert_first(node.start, "{");
        // A mark without anything behind it is one only before white space.
        let gap = if self.text[..node.end].ends_with(['?', ':']) { " " } else { "" };
        self.splices.insert(node.end, format!("{gap}, {}}}", fields.join(", ")));
    }

    /// A key as it is spelled, tag included, or a spelling of its text.
    fn spelled(&self, key: Id) -> String {
        let node = self.get(self.syntax.target(key));
        let on_one_line =
            matches!(node.kind, Kind::Scalar { style: Quoting::Plain | Quoting::Single | Quoting::Double, .. })
                && !self.text[node.start..node.end].contains(['\n', ',', '[', ']', '{', '}']);
        let text = if on_one_line {
            self.text[node.start..node.end].to_owned()
        } else {
            self::key(self.syntax.key(key).unwrap_or_default())
        };
        match &node.tag {
            Some(tag) => format!("{tag} {text}"),
            None => text,
        }
    }

    /// Whether something in a node is lost if its value is written anew: a tag, or a number beyond numbers.
    fn is_more_than_its_value(&self, id: Id) -> bool {
        let node = self.get(self.syntax.target(id));
        node.tag.is_some()
            || match &node.kind {
                Kind::Scalar { text, style: Quoting::Plain } => {
                    resolve(text).as_str().is_some_and(|value| value != text.as_str())
                }
                Kind::Scalar { .. } | Kind::Alias { .. } => false,
                Kind::Sequence { items, .. } => items.iter().any(|item| self.is_more_than_its_value(item.value)),
                Kind::Mapping { entries, .. } => entries
                    .iter()
                    .any(|entry| [entry.key, entry.value].into_iter().any(|id| self.is_more_than_its_value(id))),
            }
    }

    fn entry_end(&self, entry: &Entry) -> usize {
        let value = self.get(entry.value);
        if entry.has_colon { value.end } else { self.get(entry.key).end }
    }

    /// Whether a `?` with nothing behind it ends here. It is a mark only before white space.
    pub(super) fn ends_in_mark(&self, at: usize) -> bool {
        let before = self.text[..at].strip_suffix('?').filter(|_| self.text[at..].starts_with(char::is_whitespace));
        before.is_some_and(|before| before.ends_with(|c: char| c.is_whitespace() || ",[{".contains(c)))
    }

    // ── Sequences ───────────────────────────────────────────────────────────────────────────────────────────────────

    fn sequence(
        &mut self,
        id: Id,
        items: &'s [Item],
        flow: bool,
        slots: &[Slot],
        parent: Parent,
    ) -> Result<(), DocError> {
        let column = self.get(id).column;
        let mut gone = vec![true; items.len()];
        for slot in slots {
            if let Slot::Keep(index) | Slot::Edit(index, _) = slot {
                gone[*index] = false;
            }
        }
        for (index, item) in items.iter().enumerate().filter(|(index, _)| gone[*index]) {
            let end = self.get(item.value).end;
            self.below(&index.to_string(), |editor| editor.must_be_unused(&(item.start..end)))?;
        }
        let inner = if flow { Parent::Flow } else { Parent::Sequence(column) };
        if flow {
            let mut pieces = Vec::with_capacity(slots.len());
            for slot in slots {
                pieces.push(match slot {
                    Slot::Keep(index) => Piece::Keep(*index),
                    Slot::Edit(index, delta) => {
                        self.below(&index.to_string(), |editor| editor.node(items[*index].value, delta, inner))?;
                        Piece::Keep(*index)
                    }
                    Slot::New(value) => Piece::New(inline(value, true, self.quoting(items, value))),
                });
            }
            let structural = pieces.len() != items.len() || slots.iter().any(|slot| matches!(slot, Slot::New(_)));
            if structural {
                let ranges = items.iter().map(|item| item.start..self.get(item.value).end).collect();
                let edited = slots.iter().any(|slot| matches!(slot, Slot::Edit(index, _) if *index + 1 == items.len()));
                self.rewrite_flow(id, '[', ranges, pieces, edited);
            }
            return Ok(());
        }
        if slots.iter().any(|slot| matches!(slot, Slot::New(_))) {
            self.must_be_indented_by_spaces(id)?;
        }
        let ranges: Vec<Range<usize>> = items.iter().map(|item| item.start..self.get(item.value).end).collect();
        let new_items = |style: &Style| {
            let new = slots.iter().filter_map(|slot| match slot {
                Slot::New(value) => Some(self.new_item(style, items, value, column)),
                _ => None,
            });
            new.collect()
        };
        self.block(id, &ranges, &gone, parent, "[]", new_items)
            .into_iter()
            .for_each(|(range, text)| self.splices.replace(range, text));
        if gone.iter().all(|&gone| gone) {
            return Ok(());
        }
        let mut previous: Option<usize> = None;
        for slot in slots {
            match slot {
                Slot::Keep(index) => previous = Some(self.get(items[*index].value).end),
                Slot::Edit(index, delta) => {
                    self.below(&index.to_string(), |editor| editor.node(items[*index].value, delta, inner))?;
                    previous = Some(self.tail(items[*index].value, Some(delta)));
                }
                Slot::New(value) => {
                    let pad = " ".repeat(column);
                    let item = |room: bool| self.new_item(&self.style_where(room), items, value, column);
                    let (at, text) = if let Some(end) = previous {
                        let at = line_end(self.text, end);
                        (at, format!("\n{pad}{}", item(self.has_room_for_text(at, column))))
                    } else {
                        let (at, _) = self.before_first(items[0].start, &pad, "");
                        self.before_first(items[0].start, &pad, &item(self.is_text_safe_above(at, column)))
                    };
                    self.splices.insert(at, with_eol(text, self.eol));
                }
            }
        }
        Ok(())
    }

    /// A new item, quoted like its neighbours.
    fn new_item(&self, style: &Style, items: &[Item], value: &Value, column: usize) -> String {
        match (value, self.quoting(items, value)) {
            (Value::String(_), quoting @ (Quoting::Single | Quoting::Double)) => {
                format!("- {}", inline(value, false, quoting))
            }
            _ => style.item(value, column),
        }
    }

    fn quoting(&self, items: &[Item], value: &Value) -> Quoting {
        let last = items.last().filter(|_| value.as_str().is_some_and(|text| !text.contains('\n')));
        match last.map(|item| &self.get(item.value).kind) {
            Some(Kind::Scalar { style: style @ (Quoting::Single | Quoting::Double), .. }) => *style,
            _ => Quoting::Plain,
        }
    }

    /// Where an item goes that becomes the first one: above the comments of the one that was.
    fn before_first(&self, first: usize, pad: &str, item: &str) -> (usize, String) {
        let line = line_start(self.text, first);
        if !self.text[line..first].trim().is_empty() {
            return (first, format!("{item}\n{pad}"));
        }
        let mut at = line;
        while at > 0 {
            let above = line_start(self.text, at - 1);
            if !self.text[above..at].trim_start().starts_with('#') {
                break;
            }
            at = above;
        }
        (at, format!("{pad}{item}\n"))
    }

    // ── Both ────────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Removes children of a block collection; if none stays, writes it anew with `new` children, or as empty.
    fn block(
        &self,
        id: Id,
        ranges: &[Range<usize>],
        gone: &[bool],
        parent: Parent,
        empty: &str,
        new: impl FnOnce(&Style) -> Vec<String>,
    ) -> Vec<(Range<usize>, String)> {
        let node = self.get(id);
        if gone.iter().all(|&gone| gone) {
            // What stands behind the last one would become a part of a text block.
            let line_end = line_end(self.text, node.end);
            let text_blocks = self.has_room_for_text(node.end, node.column);
            let lines = new(&self.style_where(text_blocks));
            if lines.is_empty() {
                let lead = if parent == Parent::Document && node.props_end == node.from { "" } else { " " };
                let start = if lead.is_empty() { node.start } else { node.props_end };
                return vec![(start..node.end, format!("{lead}{empty}"))];
            }
            let text = lines.join(&format!("\n{}", " ".repeat(node.column)));
            let end = if self.text[node.end..line_end].trim().is_empty() { line_end } else { node.end };
            return vec![(node.start..end, with_eol(text, self.eol))];
        }
        let mut cuts: Vec<Range<usize>> = Vec::new();
        let first_kept = gone.iter().position(|&gone| !gone).unwrap_or(0);
        let mut index = 0;
        // The first child may share its line with what is before the collection (`- name: x`).
        let line = line_start(self.text, ranges[0].start);
        if first_kept > 0 && !self.text[line..ranges[0].start].trim().is_empty() {
            cuts.push(ranges[0].start..ranges[first_kept].start);
            index = first_kept;
        }
        for index in index..ranges.len() {
            if gone[index] {
                cuts.push(self.lines(&ranges[index]));
            }
        }
        joined(cuts).into_iter().map(|range| (range, String::new())).collect()
    }

    /// The lines of a child. The line break before them stays if it is a text block's, and empty lines behind them go if they
    /// would become a part of one.
    fn lines(&self, child: &Range<usize>) -> Range<usize> {
        let lines = whole_lines(self.text, child.start, child.end);
        let own = line_start(self.text, child.start);
        let above = self.syntax.nodes().iter().find(|node| {
            let is_text = matches!(&node.kind, Kind::Scalar { style: Quoting::Literal | Quoting::Folded, .. });
            is_text && node.end <= own && self.text[node.end..own].trim().is_empty()
        });
        let Some(above) = above else { return lines };
        let mut end = lines.end;
        if self.text[above.start..line_end(self.text, above.start)].bytes().take(3).any(|b| b == b'+') {
            while end < self.text.len() && self.text[end..next_line(self.text, end)].trim().is_empty() {
                end = next_line(self.text, end);
            }
        }
        own..end
    }

    /// Whether a text block may be the last thing on the line of `at`, in a collection at `column`: not before something on that
    /// line, nor above blanks or comments indented further than the collection, which would become parts of it.
    pub(super) fn has_room_for_text(&self, at: usize, column: usize) -> bool {
        let end = line_end(self.text, at);
        if !self.text[at..end].trim().is_empty() {
            return false;
        }
        self.is_text_safe_above(next_line(self.text, end), column)
    }

    fn is_text_safe_above(&self, line: usize, column: usize) -> bool {
        for line in self.text[line..].lines() {
            let rest = line.trim_start_matches([' ', '\t']);
            if line.len() - rest.len() > column {
                return !(rest.is_empty() || rest.starts_with('#'));
            }
            if !rest.is_empty() {
                return true;
            }
        }
        true
    }

    /// How new things are written where a text block may not stand.
    fn style_where(&self, text_blocks: bool) -> Style {
        Style { text_blocks, ..self.style.clone() }
    }

    /// Refuses to add lines to a block that is indented by tabs.
    fn must_be_indented_by_spaces(&self, id: Id) -> Result<(), DocError> {
        let start = self.get(id).start;
        if !self.text[line_start(self.text, start)..start].contains('\t') {
            return Ok(());
        }
        Err(unrepresentable("one more line in a block indented by a tab", &self.at))
    }

    /// Where the part of a node that stays ends: new siblings go behind that line.
    fn tail(&self, id: Id, delta: Option<&Delta>) -> usize {
        let node = self.get(id);
        match (&node.kind, delta) {
            (Kind::Mapping { flow: false, entries }, Some(Delta::Object(delta))) => {
                let change = |entry: &Entry| delta.changed.get(self.syntax.key(entry.key).unwrap_or_default());
                let last = entries.iter().rev().find(|entry| !matches!(change(entry), Some(Change::Remove)));
                last.map_or(node.end, |last| match change(last) {
                    Some(Change::Edit(delta)) => self.tail(last.value, Some(delta)),
                    _ => self.entry_end(last),
                })
            }
            (Kind::Sequence { flow: false, items }, Some(Delta::Array(slots))) => {
                let last = slots.iter().rev().find_map(|slot| match slot {
                    Slot::Keep(index) => Some((index, None)),
                    Slot::Edit(index, delta) => Some((index, Some(delta.as_ref()))),
                    Slot::New(_) => None,
                });
                last.map_or(node.end, |(index, delta)| self.tail(items[*index].value, delta))
            }
            _ => node.end,
        }
    }

    /// Rewrites a flow collection. `edited`: something is written behind the mark that the last of its items may be.
    fn rewrite_flow(&mut self, id: Id, open: char, items: Vec<Range<usize>>, pieces: Vec<Piece>, edited: bool) {
        let node = self.get(id);
        let keeps = |piece: &Piece| matches!(piece, Piece::Keep(index) if *index + 1 == items.len());
        let gets_comma = pieces.iter().any(keeps) && !pieces.last().is_some_and(keeps);
        if let Some(last) = items.last().filter(|last| gets_comma && !edited && self.ends_in_mark(last.end)) {
            self.splices.insert(last.end, " null");
        }
        let pad = match items.first() {
            Some(first) if open == '{' && self.text[node.start + 1..first.start] == *" " => " ",
            _ => "",
        };
        let layout = Layout::Line { pad, gap: " " };
        let inside = node.start + 1..node.end - 1;
        let list = List { text: self.text, comments: Comments::Hash, inside, items, layout, eol: self.eol };
        list.rewrite(pieces, &mut self.splices);
    }
}

pub(super) fn unrepresentable(message: impl Into<String>, at: &Path) -> DocError {
    DocError::Unrepresentable { format: Format::Yaml, pointer: at.as_str().to_owned(), message: message.into() }
}

fn aliases(syntax: &YamlSyntax) -> Vec<(usize, Id)> {
    let alias = |node: &Node| match node.kind {
        Kind::Alias { target } => Some((node.start, target)),
        _ => None,
    };
    syntax.nodes().iter().filter_map(alias).collect()
}

/// How the file writes YAML: from its first nested mapping and its first list under a key.
fn detect(syntax: &YamlSyntax) -> Style {
    let mut style = Style::default();
    let (mut indent, mut list_indent) = (None, None);
    for node in syntax.nodes() {
        let Kind::Mapping { flow: false, entries } = &node.kind else {
            continue;
        };
        for entry in entries {
            let inner = syntax.node(entry.value);
            match inner.kind {
                Kind::Mapping { flow: false, .. } if indent.is_none() && inner.column > node.column => {
                    indent = Some(inner.column - node.column);
                }
                Kind::Sequence { flow: false, .. } if list_indent.is_none() => {
                    list_indent = inner.column.checked_sub(node.column);
                }
                _ => {}
            }
        }
        if indent.is_some() && list_indent.is_some() {
            break;
        }
    }
    style.indent = indent.unwrap_or(style.indent);
    style.list_indent = list_indent.unwrap_or(style.list_indent);
    style
}
