//! Lines that hold no unit, blank lines and comments: to which unit they belong.

/// What a line holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Blank,
    Comment,
    /// The next unit, or the end of the document.
    Last,
}

/// The line ends between two units (from `begin` to `end`), and what the line behind each holds. `marks` begin comments.
pub(super) fn rows(text: &[u8], begin: usize, end: usize, marks: &[u8]) -> Vec<(usize, Row)> {
    let mut rows: Vec<(usize, Row)> = Vec::new();
    for at in begin..end {
        let byte = text[at];
        if byte == b'\n' {
            if let Some(row) = rows.last_mut().filter(|row| row.1 == Row::Last) {
                row.1 = Row::Blank;
            }
            rows.push((if at > begin && text[at - 1] == b'\r' { at - 1 } else { at }, Row::Last));
        } else if marks.contains(&byte)
            && let Some(row) = rows.last_mut()
        {
            // What is between two units is white space and comments.
            row.1 = Row::Comment;
        }
    }
    rows
}

/// Where the comments at the head of a file end that belong to no unit: above the last blank lines before the first unit; or
/// there is no unit at all.
pub(super) fn head_of_file(rows: &[(usize, Row)], is_all: bool) -> usize {
    if is_all && rows.iter().any(|row| row.1 == Row::Comment) {
        return rows.last().map_or(0, |row| row.0);
    }
    let last = rows.windows(2).rposition(|pair| pair[0].1 == Row::Comment && pair[1].1 == Row::Blank);
    last.map_or(0, |last| rows[last + 1].0)
}

/// Where the comments end that stand right below a unit, with a blank line, or the end of the document, behind them: between the
/// end of the unit at `begin` and the next one, or the end, at `end`. Others belong to the next unit.
pub(super) fn below(rows: &[(usize, Row)], begin: usize, end: usize, is_end: bool) -> usize {
    for &(at, row) in rows {
        match row {
            Row::Comment => {}
            Row::Blank => return at,
            Row::Last => return if is_end { at } else { begin },
        }
    }
    end
}
