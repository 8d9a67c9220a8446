//! Templates that become YAML: recipes, files that are filled in when something is installed.
//!
//! `{{ … }}` in a value stands for text that nobody knows, `{% set … %}` on a line for nothing. For reading both are masked,
//! byte for byte, so that all places stay. Other statements (`{% if %}`) decide what is in the document at all: no tree.

/// The text with its templates masked. `None`: it has none, or others than these.
pub(super) fn masked(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = text.to_vec();
    let mut found = false;
    let mut at = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii();
        if let Some(statement) = content.strip_prefix(b"{%") {
            let statement = statement.strip_suffix(b"%}")?;
            let statement = statement.strip_prefix(b"-").unwrap_or(statement).trim_ascii();
            if !statement.starts_with(b"set ") || !statement.contains(&b'=') || find(statement, b"%}").is_some() {
                return None;
            }
            out[at + line.len() - line.trim_ascii_start().len()] = b'#';
            found = true;
        } else {
            found |= mask_values(line, &mut out[at..at + line.len()])?;
        }
        at += line.len();
    }
    found.then_some(out)
}

/// Masks each `{{ … }}` of a line. `None`: one that does not end on its line or begins it, or a statement.
fn mask_values(line: &[u8], out: &mut [u8]) -> Option<bool> {
    let comment = if line.trim_ascii_start().starts_with(b"#") { 0 } else { find(line, b" #").unwrap_or(line.len()) };
    let mut at = 0;
    let mut found = false;
    while let Some(start) = find(&line[at..comment.max(at)], b"{").map(|start| at + start) {
        at = start + 1;
        match line.get(at) {
            Some(b'%') => return None,
            Some(b'{') => {}
            _ => continue,
        }
        let end = start + find(&line[start..], b"}}")? + 2;
        // Alone it may stand for lines.
        if line[..start].trim_ascii().is_empty() {
            return None;
        }
        for mask in &mut out[start..end] {
            if !mask.is_ascii_alphanumeric() {
                *mask = b'_';
            }
        }
        found = true;
        at = end;
    }
    Some(found)
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
