//! `filelatch diff`: what differs between versions of a file.

use std::io::{self, Write};
use std::ops::Range;

use anstyle::{AnsiColor, Style};
use filelatch::diff::{DiffOptions, Difference, Hunk, Line, LineKind, NO_LINE_END, diff as compare};
use filelatch::{LatchFile, Snapshot};
use serde_json::{Map, Value, json};

use super::restore::kept_version;
use crate::args_keep::{Color, Diff};
use crate::context::Context;
use crate::output;
use crate::render::CliError;

pub(crate) fn diff(context: &Context, args: &Diff) -> Result<(), CliError> {
    let file = context.latch.file(&args.file)?;
    let old = match &args.old {
        Some(version) => version_of(&file, version)?,
        // Nothing is kept, and the file is new: all of it is the difference.
        None => match file.history()?.first() {
            Some(kept) => Some(file.kept(&kept.version)?),
            None => None,
        },
    };
    let new = match &args.new {
        Some(version) => version_of(&file, version)?,
        None => file.try_read()?,
    };
    let bytes = |side: &Option<Snapshot>| side.as_ref().map_or_else(Vec::new, |side| side.bytes().to_vec());
    let options = DiffOptions { context: args.context, ..DiffOptions::default() };
    let difference = compare(&bytes(&old), &bytes(&new), &options);
    if context.json {
        let hash = |side: &Option<Snapshot>| side.as_ref().map(|side| side.version().to_string());
        return output::json(&json!({
            "path": output::path(&args.file),
            "old": hash(&old),
            "new": hash(&new),
            "identical": difference == Difference::None,
            "binary": difference == Difference::Binary,
            "hunks": hunks_to_json(&difference),
        }));
    }
    let path = args.file.to_string_lossy();
    let path = path.strip_prefix('/').unwrap_or(&path);
    let name = |side: &Option<Snapshot>, letter| match side {
        Some(_) => format!("{letter}/{path}"),
        None => "/dev/null".to_owned(),
    };
    let (old, new) = (name(&old, 'a'), name(&new, 'b'));
    let colors = match args.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never,
    };
    let plain = difference.unified(&old, &new);
    match &difference {
        // As it is: contents may have bytes that look like styles.
        Difference::Lines(hunks) if colors || args.word => {
            let painter = Painter { colors, words: args.word };
            output::data(&painter.paint(&plain, hunks))
        }
        _ => output::data(&plain),
    }
}

/// The version that the user means; `None`: the file as it is, which does not exist.
fn version_of(file: &LatchFile, text: &str) -> Result<Option<Snapshot>, CliError> {
    let current = file.try_read()?;
    if text == "@0" {
        return Ok(current);
    }
    let digits = text.len() >= 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if digits && let Some(current) = current.filter(|current| current.version().starts_with(text)) {
        return Ok(Some(current));
    }
    Ok(Some(file.kept(&kept_version(file, text)?)?))
}

/// Shows what the plain format can't.
struct Painter {
    colors: bool,
    words: bool,
}

impl Painter {
    fn paint(&self, plain: &[u8], hunks: &[Hunk]) -> Vec<u8> {
        let mut out = Vec::new();
        // The two lines with the names.
        for name in plain.split_inclusive(|byte| *byte == b'\n').take(2) {
            self.styled(&mut out, Style::new().bold(), name.trim_ascii_end());
            out.push(b'\n');
        }
        for hunk in hunks {
            self.styled(&mut out, AnsiColor::Cyan.on_default(), hunk.header().as_bytes());
            out.push(b'\n');
            for line in &hunk.lines {
                self.line(&mut out, line);
            }
        }
        out
    }

    fn line(&self, out: &mut Vec<u8>, line: &Line) {
        let (color, marks) = match line.kind {
            LineKind::Context => (Style::new(), ["", ""]),
            LineKind::Removed => (AnsiColor::Red.on_default(), ["[-", "-]"]),
            LineKind::Added => (AnsiColor::Green.on_default(), ["{+", "+}"]),
        };
        let text = line.bytes.strip_suffix(b"\n").unwrap_or(&line.bytes);
        let mut from = 0;
        self.styled(out, color, &[line.kind.sign()]);
        for Range { start, end } in line.changed.iter().filter(|_| self.words).cloned() {
            let (start, end) = (start.min(text.len()), end.min(text.len()));
            self.styled(out, color, &text[from..start]);
            if start < end {
                let [before, after] = if self.colors { ["", ""] } else { marks };
                out.extend_from_slice(before.as_bytes());
                self.styled(out, color.invert(), &text[start..end]);
                out.extend_from_slice(after.as_bytes());
            }
            from = end;
        }
        self.styled(out, color, &text[from..]);
        out.push(b'\n');
        if text.len() == line.bytes.len() {
            out.extend_from_slice(NO_LINE_END.as_bytes());
        }
    }

    fn styled(&self, out: &mut Vec<u8>, style: Style, text: &[u8]) {
        let style = if self.colors && !text.is_empty() { style } else { Style::new() };
        // Writing to memory does not fail.
        write!(out, "{style}").ok();
        out.extend_from_slice(text);
        write!(out, "{style:#}").ok();
    }
}

fn hunks_to_json(difference: &Difference) -> Vec<Value> {
    let Difference::Lines(hunks) = difference else { return Vec::new() };
    let line = |line: &Line| {
        let mut object = Map::new();
        let kind = match line.kind {
            LineKind::Context => "context",
            LineKind::Removed => "removed",
            LineKind::Added => "added",
        };
        object.insert("kind".to_owned(), kind.into());
        output::content(&mut object, &line.bytes);
        let changed: Vec<_> = line.changed.iter().map(|place| json!([place.start, place.end])).collect();
        object.insert("changed".to_owned(), changed.into());
        Value::Object(object)
    };
    let hunk = |hunk: &Hunk| json!({"header": hunk.header(), "lines": hunk.lines.iter().map(line).collect::<Vec<_>>()});
    hunks.iter().map(hunk).collect()
}
