//! A difference as `diff -u` and git write it.

use std::ops::Range;

use super::{Difference, Hunk, LineKind};

impl Difference {
    /// The difference in unified format; nothing if there is none. Names are what stands behind `---` and `+++`: `a/FILE` and
    /// `b/FILE` for `git apply` and `patch -p1`, `/dev/null` for a content that does not exist.
    pub fn unified(&self, old_name: &str, new_name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Difference::None => {}
            Difference::Binary => {
                let line = format!("Binary files {} and {} differ\n", quoted(old_name), quoted(new_name));
                out.extend_from_slice(line.as_bytes());
            }
            Difference::Lines(hunks) => {
                for (mark, name) in [("---", old_name), ("+++", new_name)] {
                    // What stands behind a tab is no part of the name: so a name may have blanks.
                    let end = if name.contains(' ') { "\t" } else { "" };
                    out.extend_from_slice(format!("{mark} {}{end}\n", quoted(name)).as_bytes());
                }
                for hunk in hunks {
                    hunk.unified(&mut out);
                }
            }
        }
        out
    }
}

impl Hunk {
    /// The hunk's first line, `@@ -1,3 +1,4 @@ heading`, without a line end.
    pub fn header(&self) -> String {
        let heading = self.heading.as_ref().map_or_else(String::new, |heading| format!(" {heading}"));
        format!("@@ -{} +{} @@{heading}", place(&self.old), place(&self.new))
    }

    fn unified(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.header().as_bytes());
        out.push(b'\n');
        for line in &self.lines {
            out.push(line.kind.sign());
            out.extend_from_slice(&line.bytes);
            if !line.bytes.ends_with(b"\n") {
                out.push(b'\n');
                out.extend_from_slice(NO_LINE_END.as_bytes());
            }
        }
    }
}

/// What stands below a last line without a line end.
pub const NO_LINE_END: &str = "\\ No newline at end of file\n";

impl LineKind {
    /// The sign before a line of this kind.
    pub fn sign(self) -> u8 {
        match self {
            LineKind::Context => b' ',
            LineKind::Removed => b'-',
            LineKind::Added => b'+',
        }
    }
}

/// First line, counted from 1, and number of lines, which is left out if it is 1. No lines stand behind the line before them.
fn place(lines: &Range<usize>) -> String {
    match lines.len() {
        0 => format!("{},0", lines.start),
        1 => format!("{}", lines.start + 1),
        count => format!("{},{count}", lines.start + 1),
    }
}

/// A name with control characters, quotes or backslashes in quotes, as git writes it and patch reads it.
fn quoted(name: &str) -> String {
    if !name.bytes().any(|byte| byte < b' ' || matches!(byte, b'"' | b'\\' | 0x7f)) {
        return name.to_owned();
    }
    let mut quoted = "\"".to_owned();
    for character in name.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other if other.is_ascii_control() => {
                let code = format!("\\{:03o}", u32::from(other));
                quoted.push_str(&code);
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
