//! Keys and scalars: where they end, and what they say.

use super::{Builder, Next};
use crate::merge::syntax::json::is_prose;
use crate::merge::tree::{NoTree, NodeId, Shape};

/// How a scalar is written, as far as its lines are folded and its escapes read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Single,
    Double,
}

impl Builder<'_> {
    /// The anchor and the tag of a node, if it has them: where they begin and end.
    pub(super) fn properties(&self, at: usize) -> Result<Option<(usize, usize)>, NoTree> {
        let mut end = at;
        let mut found = None;
        for _ in 0..2 {
            let start = self.skip_blanks(end);
            if !matches!(self.byte(start), Some(b'&' | b'!')) {
                break;
            }
            end = start;
            let verbatim = self.text[start..].starts_with(b"!<");
            while !self.is_space(end) && (verbatim || !matches!(self.text[end], b',' | b'[' | b']' | b'{' | b'}')) {
                end += 1;
            }
            if self.text[start] == b'&' && end == start + 1 {
                return self.refuse(start, "an anchor without a name");
            }
            found = Some((at, end));
        }
        Ok(found)
    }

    /// The key of a block mapping that begins here, and where its value may begin: behind the colon.
    pub(super) fn key(&self, at: usize) -> Result<Option<(Box<str>, usize)>, NoTree> {
        let Some(first) = self.byte(at) else { return Ok(None) };
        match first {
            b'"' | b'\'' => {
                let (end, says) = self.quoted(at)?;
                let colon = self.skip_blanks(end);
                let is_key = self.byte(colon) == Some(b':')
                    && self.is_space(colon + 1)
                    && !self.text[at..colon].contains(&b'\n');
                Ok(is_key.then(|| (says.into(), colon + 1)))
            }
            b'?' if self.is_space(at + 1) => self.refuse(at, "a complex key"),
            b'-' | b'?' | b':' if self.is_space(at + 1) => Ok(None),
            b',' | b'[' | b']' | b'{' | b'}' | b'#' | b'&' | b'*' | b'!' | b'|' | b'>' | b'%' | b'@' | b'`' => Ok(None),
            _ => {
                let (end, _) = self.plain_in_line(at, false);
                if self.byte(end) != Some(b':') {
                    return Ok(None);
                }
                Ok(Some((self.str(at, self.trim_end(at, end)).into(), end + 1)))
            }
        }
    }

    /// Where a plain scalar ends in its line: at `: `, ` #`, the line end, in flow style also at `,[]{}`. With: whether the line ends
    /// there.
    fn plain_in_line(&self, at: usize, flow: bool) -> (usize, bool) {
        let mut end = at;
        while let Some(byte) = self.byte(end) {
            match byte {
                b'\n' => return (end, true),
                b'\r' if self.is_line_end(end) => return (end, true),
                b':' if self.is_space(end + 1) => return (end, false),
                b':' if flow && matches!(self.byte(end + 1), Some(b',' | b'[' | b']' | b'{' | b'}')) => {
                    return (end, false);
                }
                b',' | b'[' | b']' | b'{' | b'}' if flow => return (end, false),
                b'#' if end > at && matches!(self.text[end - 1], b' ' | b'\t') => return (end, false),
                _ => end += 1,
            }
        }
        (end, true)
    }

    fn trim_end(&self, start: usize, end: usize) -> usize {
        start + self.text[start..end].trim_ascii_end().len()
    }

    fn str(&self, start: usize, end: usize) -> String {
        String::from_utf8_lossy(&self.said[start..end]).into_owned()
    }

    /// Reads a scalar or flow collection in block style; its value begins at `start`, with anchor and tag. It belongs to a collection in
    /// `column`.
    pub(super) fn scalar_or_flow(&mut self, unit: NodeId, start: usize, column: usize) -> Result<(), NoTree> {
        let at = self.at;
        match self.byte(at) {
            Some(b'[' | b'{') => {
                if start < at {
                    let says = self.str(start, self.trim_end(start, at));
                    self.node(unit).says = Some(says.into());
                }
                self.flow(unit, at)
            }
            Some(b'|' | b'>') => self.text_block(unit, start, column),
            Some(b'"' | b'\'' | b'*') => self.marked(unit, start),
            _ => {
                self.plain_first(at)?;
                let (mut end, mut to_line_end) = self.plain_in_line(at, false);
                while to_line_end {
                    match self.next(end)? {
                        Next::Content(next, below) if below > column && !self.has_comment(end, next) => {
                            (end, to_line_end) = self.plain_in_line(next, false);
                        }
                        _ => break,
                    }
                }
                if self.byte(end) == Some(b':') {
                    return self.refuse(end, "a colon where none was expected");
                }
                let end = self.trim_end(at, end);
                self.end_scalar(unit, start, end, Style::Plain, None)
            }
        }
    }

    fn has_comment(&self, from: usize, to: usize) -> bool {
        // Between lines of content only blank lines and comments can be.
        self.text[from..to].contains(&b'#')
    }

    pub(super) fn plain_first(&self, at: usize) -> Result<(), NoTree> {
        let refused = match self.byte(at) {
            Some(b'-' | b'?' | b':') => {
                self.is_space(at + 1) || matches!(self.byte(at + 1), Some(b',' | b'[' | b']' | b'{' | b'}'))
            }
            Some(byte) => b",[]{}#&*!|>'\"%@`".contains(&byte),
            None => true,
        };
        if refused { self.refuse(at, "expected a value") } else { Ok(()) }
    }

    /// A plain scalar in a flow collection, on one line.
    pub(super) fn plain_in_flow(&mut self, unit: NodeId, start: usize) -> Result<(), NoTree> {
        let at = self.at;
        self.plain_first(at)?;
        let (end, to_line_end) = self.plain_in_line(at, true);
        if to_line_end {
            let next = self.end_of_flow_trivia(end)?;
            if !matches!(self.byte(next), Some(b',' | b']' | b'}')) {
                return self.refuse(end, "a plain scalar of several lines in a flow collection");
            }
        }
        let end = self.trim_end(at, end);
        self.end_scalar(unit, start, end, Style::Plain, None)
    }

    /// A key in a flow mapping: its name, and where it ends.
    pub(super) fn flow_key(&self, at: usize) -> Result<(Box<str>, usize), NoTree> {
        if matches!(self.byte(at), Some(b'"' | b'\'')) {
            let (end, says) = self.quoted(at)?;
            return Ok((says.into(), end));
        }
        if self.byte(at) == Some(b'?') && self.is_space(at + 1) {
            return self.refuse(at, "a complex key");
        }
        self.plain_first(at)?;
        let (end, _) = self.plain_in_line(at, true);
        let end = self.trim_end(at, end);
        Ok((self.str(at, end).into(), end))
    }

    /// A quoted scalar or an alias.
    pub(super) fn marked(&mut self, unit: NodeId, start: usize) -> Result<(), NoTree> {
        let at = self.at;
        if self.text[at] == b'*' {
            let mut end = at + 1;
            while !self.is_space(end) && !matches!(self.text[end], b',' | b'[' | b']' | b'{' | b'}') {
                end += 1;
            }
            self.place(unit, start..end);
            self.at = end;
            return Ok(());
        }
        let style = if self.text[at] == b'"' { Style::Double } else { Style::Single };
        let (end, says) = self.quoted(at)?;
        self.end_scalar(unit, start, end, style, Some(says))
    }

    fn end_scalar(
        &mut self,
        unit: NodeId,
        start: usize,
        end: usize,
        style: Style,
        says: Option<String>,
    ) -> Result<(), NoTree> {
        let plain = &self.said[self.at..end];
        let says = match says {
            Some(says) => Some(says),
            None if plain.contains(&b'\n') => Some(self.fold(self.at, end, style)?),
            None => None,
        };
        let words = says.as_deref().map_or_else(|| std::str::from_utf8(plain).is_ok_and(is_prose), is_prose);
        // What has an anchor or a tag is what its bytes are.
        let has_properties = start < self.at;
        self.place(unit, start..end);
        self.at = end;
        let node = self.node(unit);
        node.shape = if words { Shape::Prose } else { Shape::Leaf };
        if !has_properties {
            node.says = says.map(|says| if style == Style::Plain { says } else { as_string(says) }.into());
        }
        Ok(())
    }

    /// Where a quoted scalar ends, and what it says.
    fn quoted(&self, at: usize) -> Result<(usize, String), NoTree> {
        let quote = self.text[at];
        let mut end = at + 1;
        let mut simple = true;
        loop {
            match self.byte(end) {
                None => return self.refuse(at, "a quoted string without an end"),
                Some(b'\\') if quote == b'"' => {
                    simple = false;
                    end += 2;
                }
                Some(b'\'') if quote == b'\'' && self.byte(end + 1) == Some(b'\'') => {
                    simple = false;
                    end += 2;
                }
                Some(byte) if byte == quote => break,
                Some(b'\n') => {
                    simple = false;
                    end += 1;
                    if self.is_marker(end) {
                        return self.refuse(end, "a marker of documents in a string");
                    }
                }
                Some(_) => end += 1,
            }
        }
        let says = if simple {
            self.str(at + 1, end)
        } else {
            self.fold(at + 1, end, if quote == b'"' { Style::Double } else { Style::Single })?
        };
        Ok((end + 1, says))
    }

    /// What a scalar says: lines folded, escapes read.
    fn fold(&self, start: usize, end: usize, style: Style) -> Result<String, NoTree> {
        let text = String::from_utf8_lossy(&self.said[start..end]);
        let mut says = String::with_capacity(text.len());
        // Blanks up to here were escaped: they stay at the end of a line.
        let mut firm = 0;
        let mut chars = text.chars().peekable();
        let mut skip_line = false;
        while let Some(char) = chars.next() {
            match char {
                '\'' if style == Style::Single => {
                    chars.next();
                    says.push('\'');
                }
                '\\' if style == Style::Double => {
                    if chars.peek() == Some(&'\r') {
                        chars.next();
                    }
                    match chars.next() {
                        Some('\n') => skip_line = true,
                        Some(escape) => match self.escape(start, escape, &mut chars)? {
                            Some(char) => says.push(char),
                            None => return self.refuse(start, "an escape that YAML does not have"),
                        },
                        None => return self.refuse(start, "an escape without an end"),
                    }
                    firm = says.len();
                    if !skip_line {
                        continue;
                    }
                }
                '\r' if chars.peek() == Some(&'\n') => continue,
                '\n' => {}
                _ => {
                    says.push(char);
                    continue;
                }
            }
            if !(char == '\n' || skip_line) {
                continue;
            }
            let kept = says.trim_end_matches([' ', '\t']).len().max(firm);
            says.truncate(kept);
            let mut breaks = 0;
            while let Some(&next) = chars.peek() {
                match next {
                    '\n' => breaks += 1,
                    ' ' | '\t' | '\r' => {}
                    _ => break,
                }
                chars.next();
            }
            match breaks {
                0 if skip_line => {}
                0 => says.push(' '),
                _ => says.extend(std::iter::repeat_n('\n', breaks)),
            }
            skip_line = false;
            firm = says.len();
        }
        Ok(says)
    }

    fn escape(
        &self,
        at: usize,
        escape: char,
        chars: &mut std::iter::Peekable<std::str::Chars<'_>>,
    ) -> Result<Option<char>, NoTree> {
        let digits = match escape {
            '0' => return Ok(Some('\0')),
            'a' => return Ok(Some('\u{7}')),
            'b' => return Ok(Some('\u{8}')),
            't' | '\t' => return Ok(Some('\t')),
            'n' => return Ok(Some('\n')),
            'v' => return Ok(Some('\u{b}')),
            'f' => return Ok(Some('\u{c}')),
            'r' => return Ok(Some('\r')),
            'e' => return Ok(Some('\u{1b}')),
            'N' => return Ok(Some('\u{85}')),
            '_' => return Ok(Some('\u{a0}')),
            'L' => return Ok(Some('\u{2028}')),
            'P' => return Ok(Some('\u{2029}')),
            ' ' | '"' | '/' | '\\' => return Ok(Some(escape)),
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => return Ok(None),
        };
        let mut code = 0u32;
        for _ in 0..digits {
            match chars.next().and_then(|digit| digit.to_digit(16)) {
                Some(digit) => code = code.wrapping_mul(16).wrapping_add(digit),
                None => return self.refuse(at, "an escape without its digits"),
            }
        }
        // Halves of a pair, as JSON writes them, are not read.
        Ok(char::from_u32(code))
    }

    /// `|` or `>`: a block of text.
    fn text_block(&mut self, unit: NodeId, start: usize, column: usize) -> Result<(), NoTree> {
        let header = self.at;
        let folded = self.text[header] == b'>';
        let (mut keep, mut strip, mut indent) = (false, false, None);
        let mut at = header + 1;
        while let Some(mark) = self.byte(at).filter(|mark| matches!(mark, b'+' | b'-' | b'1'..=b'9')) {
            match mark {
                b'+' => keep = true,
                b'-' => strip = true,
                digit => indent = Some(column + usize::from(digit - b'0')),
            }
            at += 1;
        }
        if at > header + 3 {
            return self.refuse(header, "the header of a text block");
        }
        let mut line_end = self.end_of_trivia(at)?;
        let mut end = line_end;
        let mut says = String::new();
        // Empty lines that count if another line follows.
        let mut empty = 0;
        while line_end < self.text.len() {
            let line = self.behind_line_end(line_end);
            let content = line + self.text[line..].iter().take_while(|&&byte| byte == b' ').count();
            let blank = self.is_line_end(content);
            if line == self.text.len() {
                break;
            }
            let at_least = *indent.get_or_insert_with(|| if blank { usize::MAX } else { content - line });
            if at_least == usize::MAX {
                indent = None;
            }
            if blank && content - line <= at_least {
                if keep && content == self.text.len() {
                    return self.refuse(content, "blanks at the end of a text block that keeps them");
                }
                empty += 1;
                line_end = content;
                if keep && line_end < self.text.len() {
                    end = line_end;
                }
                continue;
            }
            if at_least <= column || content - line < at_least {
                break;
            }
            line_end = self.line_end(content);
            says.extend(std::iter::repeat_n('\n', empty));
            empty = 0;
            says.push_str(&self.str(line + at_least, line_end));
            says.push('\n');
            end = line_end;
        }
        if strip {
            says.pop();
        } else if keep {
            says.extend(std::iter::repeat_n('\n', empty));
        }
        let has_properties = start < header;
        self.place(unit, start..end);
        self.at = end;
        let node = self.node(unit);
        node.shape = if folded { Shape::Prose } else { Shape::Lines };
        if !has_properties {
            // How lines are folded depends on more than is looked at here; folded blocks are equal to folded blocks only.
            let says = if folded { format!(">{says}") } else { as_string(says) };
            node.says = Some(says.into());
        }
        Ok(())
    }
}

/// What a string says that is not written plainly: itself, if nothing but a string is written so, else behind a quote.
pub(super) fn as_string(says: String) -> String {
    let plain = match says.as_bytes().first() {
        Some(b'_' | b'/' | b'$' | b'(') => true,
        Some(first) if first.is_ascii_alphabetic() => !["null", "true", "false", "yes", "no", "on", "off", "y", "n"]
            .iter()
            .any(|word| says.eq_ignore_ascii_case(word)),
        Some(first) if first.is_ascii_digit() || matches!(first, b'+' | b'-' | b'.') => !may_be_number(&says),
        Some(first) => !first.is_ascii(),
        None => false,
    };
    if plain { says } else { format!("\"{says}") }
}

/// Whether some version of YAML may read this as a number, a date or a time. `1.2.3` and `20.x` are none.
fn may_be_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['+', '-']);
    let is_date = || digits.as_bytes().iter().take_while(|byte| byte.is_ascii_digit()).count() == 4;
    if digits.is_empty() || digits.contains(':') || digits.contains('-') && is_date() {
        return true;
    }
    let word = digits.to_ascii_lowercase();
    if ["0x", "0o", "0b"].iter().any(|base| word.starts_with(base)) || matches!(word.as_str(), ".inf" | ".nan") {
        return true;
    }
    let points = digits.bytes().filter(|&byte| byte == b'.').count();
    points <= 1
        && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_' | b',' | b'e' | b'+' | b'-'))
}
