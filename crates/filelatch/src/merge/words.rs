//! Three-way merge of prose: words instead of lines.
//!
//! # What this module promises
//!
//! - A result has every word that a side put in, and none that a side took out. White space is merged apart from the words: one
//!   side can break the lines anew while the other changes words.
//! - A clean result only where the changes of the two sides are apart by at least one word that both kept; next to each other they
//!   would make a sentence that nobody wrote. Changes that both made alike count as nobody's.
//! - No result for what is no edit of the text: a side that kept less than half of it wrote its own.
//! - Every byte of a result comes from one of the three texts, and no escape (`\n`, `\u00e9`), link, code span, address, path or
//!   version is taken apart.
//! - With ours and theirs exchanged the result is the same.
//!
//! Numbers, versions and hashes that both sides changed near each other usually belong together (a version and its checksum), so
//! they are a conflict.

use std::ops::Range;

use super::options::Algorithm;
use super::text::{Change, diff};

/// Longer texts are no sentences; their lines are merged, not their words.
const MAX_BYTES: usize = 16 * 1024;

/// What a word weighs; signs weigh nothing, and a character of a script without spaces a part of a word.
const WORD: usize = 4;

/// How many unchanged words lie at least between changes of the two sides.
const APART: usize = WORD;

/// The same, if both changed numbers.
const NUMBERS_APART: usize = 4 * WORD;

/// Texts of fewer words are alike only if they differ in nothing but numbers.
const ALIKE_WORDS: usize = 5 * WORD;

/// So many pairs of lines are looked at for versions of one line.
const MAX_PAIRS: usize = 4096;

/// Merges the words of a string, a sentence or a paragraph. `None`: a conflict.
pub(in crate::merge) fn merge(base: &str, ours: &str, theirs: &str) -> Option<String> {
    if ours == theirs || theirs == base {
        return Some(ours.to_owned());
    }
    if ours == base {
        return Some(theirs.to_owned());
    }
    if [base, ours, theirs].into_iter().any(|text| text.len() > MAX_BYTES) {
        return None;
    }
    let base = Text::new(base);
    let (ours, theirs) = (Side::new(&base, ours)?, Side::new(&base, theirs)?);
    let edits = edits(&base, &ours, &theirs)?;
    weave(&base, &ours, &theirs, &edits)
}

/// Are two texts almost the same, or the same but for numbers?
pub(in crate::merge) fn are_alike(a: &str, b: &str) -> bool {
    if a.len().max(b.len()) > MAX_BYTES {
        return false;
    }
    let (a, b) = (Text::new(a), Text::new(b));
    let bare = |token: &Token<'_>| token.word.replace(|c: char| c.is_ascii_digit(), "");
    let numbers = |text: &Text<'_>| text.tokens.iter().any(Token::is_number);
    if a.tokens.len() == b.tokens.len()
        && (numbers(&a) || numbers(&b))
        && a.tokens.iter().map(bare).eq(b.tokens.iter().map(bare))
    {
        return true;
    }
    let (shared, all) = shared(&a.sorted_words(), &b.sorted_words());
    all >= 2 * ALIKE_WORDS && 5 * shared >= 4 * all
}

fn sorted_words<'t>(lines: &[&'t str]) -> Vec<Vec<Token<'t>>> {
    lines.iter().map(|line| Text::new(line).sorted_words()).collect()
}

/// How much of two texts' words they share, and how much there is.
fn shared(a: &[Token<'_>], b: &[Token<'_>]) -> (usize, usize) {
    let all = a.iter().chain(b).map(|token| token.weight).sum();
    let mut shared = 0;
    let mut left = b.iter().peekable();
    for token in a {
        while left.next_if(|other| other.word < token.word).is_some() {}
        if left.next_if(|other| other.word == token.word).is_some() {
            shared += 2 * token.weight;
        }
    }
    (shared, all)
}

/// Pairs of lines of two texts that are versions of one line: more than half of their words are the same. Both rise.
pub(in crate::merge) fn pairs(before: &[&str], after: &[&str]) -> Vec<(usize, usize)> {
    let bytes: usize = before.iter().chain(after).map(|line| line.len()).sum();
    if before.is_empty() || bytes > MAX_BYTES || before.len().saturating_mul(after.len()) > MAX_PAIRS {
        return Vec::new();
    }
    let (before, after) = (sorted_words(before), sorted_words(after));
    // The best sum of likeness for the rest of both, from the end.
    let width = after.len() + 1;
    let mut best = vec![0_usize; (before.len() + 1) * width];
    let mut alike = vec![0_usize; before.len() * width];
    for (at, line) in before.iter().enumerate().rev() {
        for (to, other) in after.iter().enumerate().rev() {
            let (shared, all) = shared(line, other);
            let likeness = if 2 * shared > all { 1000 * shared / all } else { 0 };
            alike[at * width + to] = likeness;
            let paired = if likeness > 0 { likeness + best[(at + 1) * width + to + 1] } else { 0 };
            best[at * width + to] = paired.max(best[(at + 1) * width + to]).max(best[at * width + to + 1]);
        }
    }
    let mut pairs = Vec::new();
    let (mut at, mut to) = (0, 0);
    while at < before.len() && to < after.len() {
        let (here, likeness) = (best[at * width + to], alike[at * width + to]);
        if likeness > 0 && here == likeness + best[(at + 1) * width + to + 1] {
            pairs.push((at, to));
            (at, to) = (at + 1, to + 1);
        } else if here == best[(at + 1) * width + to] {
            at += 1;
        } else {
            to += 1;
        }
    }
    pairs
}

/// White space and what follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Token<'t> {
    space: &'t str,
    word: &'t str,
    weight: usize,
}

impl Token<'_> {
    fn is_number(&self) -> bool {
        self.word.bytes().any(|byte| byte.is_ascii_digit())
    }
}

struct Text<'t> {
    tokens: Vec<Token<'t>>,
    /// White space behind the last word.
    end: &'t str,
}

impl<'t> Text<'t> {
    fn new(text: &'t str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        loop {
            let space = &rest[..rest.len() - rest.trim_start().len()];
            rest = &rest[space.len()..];
            let Some(first) = rest.chars().next() else { return Text { tokens, end: space } };
            let (word, behind) = rest.split_at(token_length(rest, first));
            let weight = match word.chars().any(char::is_alphanumeric) {
                true if is_spaceless(first) => 1,
                true => WORD,
                false => 0,
            };
            tokens.push(Token { space, word, weight });
            rest = behind;
        }
    }

    fn words(&self) -> Vec<&'t str> {
        self.tokens.iter().map(|token| token.word).collect()
    }

    fn sorted_words(&self) -> Vec<Token<'t>> {
        let mut words: Vec<_> = self.tokens.iter().filter(|token| token.weight > 0).copied().collect();
        words.sort_unstable_by_key(|token| token.word);
        words
    }

    fn weight(&self, tokens: Range<usize>) -> usize {
        self.tokens[tokens].iter().map(|token| token.weight).sum()
    }
}

/// One side's text and how it came from the base.
struct Side<'t> {
    text: Text<'t>,
    changes: Vec<Change>,
    /// Where each token of the base is.
    kept: Vec<Option<usize>>,
}

impl<'t> Side<'t> {
    /// `None`: it kept less than half of the base.
    fn new(base: &Text<'t>, text: &'t str) -> Option<Self> {
        let text = Text::new(text);
        let changes = diff(&base.words(), &text.words(), Algorithm::Myers);
        let mut kept = Vec::with_capacity(base.tokens.len());
        let mut gone = 0;
        let mut at = 0;
        for change in &changes {
            kept.extend((at..change.after.start).map(Some));
            kept.extend(change.before.clone().map(|_| None));
            gone += base.weight(change.before.clone());
            at = change.after.end;
        }
        kept.extend((at..text.tokens.len()).map(Some));
        (2 * gone <= base.weight(0..base.tokens.len())).then_some(Side { text, changes, kept })
    }

    /// What became of a token of the base.
    fn kept(&self, token: usize) -> Option<&Token<'t>> {
        self.kept.get(token).copied().flatten().and_then(|at| self.text.tokens.get(at))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    Ours,
    Theirs,
    /// The same words; where they are in theirs.
    Both(Range<usize>),
}

struct Edit {
    who: Who,
    before: Range<usize>,
    after: Range<usize>,
    numbers: bool,
}

/// Both sides' changes in one order. `None`: they are not apart.
fn edits(base: &Text<'_>, ours: &Side<'_>, theirs: &Side<'_>) -> Option<Vec<Edit>> {
    let mut edits: Vec<Edit> = Vec::with_capacity(ours.changes.len() + theirs.changes.len());
    let (mut ours_left, mut theirs_left) = (ours.changes.iter().peekable(), theirs.changes.iter().peekable());
    loop {
        let (side, change, who) = match (ours_left.peek(), theirs_left.peek()) {
            (None, None) => break,
            (Some(a), Some(b)) if is_same(ours, a, theirs, b) => {
                let theirs = theirs_left.next()?.after.clone();
                (ours, ours_left.next()?, Who::Both(theirs))
            }
            (Some(a), Some(b)) if (b.before.start, b.before.end) < (a.before.start, a.before.end) => {
                (theirs, theirs_left.next()?, Who::Theirs)
            }
            (Some(_), _) => (ours, ours_left.next()?, Who::Ours),
            (None, Some(_)) => (theirs, theirs_left.next()?, Who::Theirs),
        };
        let (gone, new) = (&base.tokens[change.before.clone()], &side.text.tokens[change.after.clone()]);
        let numbers = gone.iter().chain(new).any(Token::is_number);
        edits.push(Edit { who, before: change.before.clone(), after: change.after.clone(), numbers });
    }
    let mut apart = 0;
    let mut last: Option<&Edit> = None;
    let mut end = 0;
    for edit in &edits {
        if edit.before.start < end {
            return None;
        }
        apart += base.weight(end..edit.before.start);
        end = edit.before.end;
        if matches!(edit.who, Who::Both(_)) {
            continue;
        }
        if let Some(last) = last.filter(|last| last.who != edit.who) {
            let wanted = if last.numbers && edit.numbers { NUMBERS_APART } else { APART };
            if apart < wanted {
                return None;
            }
        }
        last = Some(edit);
        apart = 0;
    }
    Some(edits)
}

/// Whether two changes are the same one, white space aside.
fn is_same(ours: &Side<'_>, a: &Change, theirs: &Side<'_>, b: &Change) -> bool {
    let (ours, theirs) = (&ours.text.tokens[a.after.clone()], &theirs.text.tokens[b.after.clone()]);
    a.before == b.before && ours.len() == theirs.len() && ours.iter().zip(theirs).all(|(a, b)| a.word == b.word)
}

/// Puts the text together.
fn weave(base: &Text<'_>, ours: &Side<'_>, theirs: &Side<'_>, edits: &[Edit]) -> Option<String> {
    let mut out = String::new();
    let mut at = 0;
    let end = base.tokens.len();
    for edit in edits.iter().map(Some).chain([None]) {
        let until = edit.map_or(end, |edit| edit.before.start);
        for (n, token) in base.tokens[..until].iter().enumerate().skip(at) {
            out.push_str(settle(token.space, ours.kept(n)?.space, theirs.kept(n)?.space)?);
            out.push_str(token.word);
        }
        let Some(edit) = edit else { break };
        let tokens = if edit.who == Who::Theirs { &theirs.text.tokens } else { &ours.text.tokens };
        for (n, token) in tokens[edit.after.clone()].iter().enumerate() {
            let space = match &edit.who {
                Who::Ours | Who::Theirs => token.space,
                Who::Both(in_theirs) => {
                    let before = base.tokens[edit.before.clone()].get(n).map_or(token.space, |token| token.space);
                    settle(before, token.space, theirs.text.tokens[in_theirs.clone()].get(n)?.space)?
                }
            };
            out.push_str(space);
            out.push_str(token.word);
        }
        at = edit.before.end;
    }
    out.push_str(settle(base.end, ours.text.end, theirs.text.end)?);
    Some(out)
}

/// One stretch of white space, three ways.
fn settle<'t>(base: &'t str, ours: &'t str, theirs: &'t str) -> Option<&'t str> {
    if ours == theirs || theirs == base {
        Some(ours)
    } else if ours == base {
        Some(theirs)
    } else {
        None
    }
}

/// Scripts that have no spaces between their words.
fn is_spaceless(first: char) -> bool {
    matches!(first, '\u{0E00}'..='\u{0EFF}' | '\u{1000}'..='\u{109F}' | '\u{1780}'..='\u{17FF}'
        | '\u{3040}'..='\u{30FF}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// How long a code span, a link or a tag may be; a longer one is taken for text, so that the search for its end costs little.
const SPAN: usize = 400;

/// How many bytes the token at the beginning of `text` has.
fn token_length(text: &str, first: char) -> usize {
    match first {
        '\\' => escape(text),
        '`' => code_span(text).unwrap_or_else(|| run(text, |c| c == '`')),
        '[' => link(text).unwrap_or(1),
        '!' if text[1..].starts_with('[') => link(&text[1..]).map_or(1, |length| length + 1),
        '<' => tag(text).unwrap_or(1),
        _ if is_spaceless(first) => first.len_utf8(),
        _ if is_sign(first) => first.len_utf8(),
        _ if first.is_alphanumeric() => word(text),
        // Signs before a word belong to it: `--all`, `$HOME`, `@name`; emphasis does not.
        '*' | '_' | '\'' => run(text, |c| c == first),
        _ => {
            let signs =
                run(text, |c| !c.is_alphanumeric() && !c.is_whitespace() && !is_sign(c) && c != '\\' && c != '`');
            if text[signs..].starts_with(|c: char| c.is_alphanumeric() && !is_spaceless(c)) {
                signs + word(&text[signs..])
            } else {
                signs
            }
        }
    }
}

/// What ends every word and stands for itself.
fn is_sign(c: char) -> bool {
    matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | '<' | '>' | ',' | ';' | '"' | '|')
        || matches!(c, '\u{2010}'..='\u{2027}' | '\u{3000}'..='\u{303F}' | '\u{FF00}'..='\u{FF0F}' | '«' | '»')
}

/// A backslash and what it stands before: `\n`, `\u00e9`.
fn escape(text: &str) -> usize {
    let mut chars = text.chars().skip(1);
    let length = chars.next().map_or(1, |next| 1 + next.len_utf8());
    match &text[1..length] {
        "u" if text.as_bytes().get(2..6).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 6,
        "x" if text.as_bytes().get(2..4).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 4,
        "U" if text.as_bytes().get(2..10).is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) => 10,
        _ => length,
    }
}

fn run(text: &str, belongs: impl Fn(char) -> bool) -> usize {
    text.find(|c| !belongs(c)).unwrap_or(text.len())
}

/// A word with what joins its parts: `don't`, `src/main.rs`, `1.4.0-rc.1`, `a@b.example`, `https://host/path?query`.
fn word(text: &str) -> usize {
    let is_address = text[..run(text, char::is_alphanumeric)].len() < 20
        && text[run(text, char::is_alphanumeric)..].starts_with("://");
    let length = run(text, |c| {
        let ends = c.is_whitespace() || c == '\\' || c == '`' || is_spaceless(c);
        !ends && (!is_sign(c) || (is_address && matches!(c, ',' | ';')))
    });
    // Signs at the end are the sentence's, not the word's.
    let whole = &text[..length];
    let bare =
        whole.trim_end_matches(|c: char| !c.is_alphanumeric() && !matches!(c, '+' | '#' | '%' | '/' | '$' | '=' | '&'));
    if bare.is_empty() { length } else { bare.len() }
}

/// From a run of backticks to the next one of its length.
fn code_span(text: &str) -> Option<usize> {
    let ticks = run(text, |c| c == '`');
    let mut at = ticks;
    while at < text.len().min(SPAN) {
        let next = at + text[at..].find('`')?;
        let length = run(&text[next..], |c| c == '`');
        if length == ticks {
            return (next + length <= SPAN).then_some(next + length);
        }
        at = next + length;
    }
    None
}

/// `[text](address)` and `[text][reference]`.
fn link(text: &str) -> Option<usize> {
    let behind = bracket(text, b'[', b']')?;
    let rest = &text[behind..];
    match rest.bytes().next()? {
        b'(' => Some(behind + bracket(rest, b'(', b')')?),
        b'[' => Some(behind + bracket(rest, b'[', b']')?),
        _ => None,
    }
}

/// From a bracket to its counterpart.
fn bracket(text: &str, open: u8, close: u8) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate().take(SPAN) {
        if byte == open {
            depth += 1;
        } else if byte == close && depth > 1 {
            depth -= 1;
        } else if byte == close {
            return Some(at + 1);
        }
    }
    None
}

/// `<b>`, `</b>`, `<img src="…">`, `<https://…>`.
fn tag(text: &str) -> Option<usize> {
    let begins = text[1..].strip_prefix('/').unwrap_or(&text[1..]).starts_with(|c: char| c.is_ascii_alphabetic());
    let end = text.bytes().take(SPAN).position(|byte| byte == b'>')?;
    (begins && !text[1..end].contains(['<', '\n'])).then_some(end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<&str> {
        Text::new(text).words()
    }

    /// MERGE-1: what has a meaning only as a whole is one token.
    #[test]
    fn tokens_are_not_taken_apart() {
        assert_eq!(tokens("Don't stop, (really)!"), ["Don't", "stop", ",", "(", "really", ")", "!"]);
        assert_eq!(tokens("v1.4.0-rc.1, src/main.rs."), ["v1.4.0-rc.1", ",", "src/main.rs", "."]);
        assert_eq!(tokens("see https://a.example/b?c=1,2#d."), ["see", "https://a.example/b?c=1,2#d", "."]);
        assert_eq!(tokens("run `a b` or ``c`d``"), ["run", "`a b`", "or", "``c`d``"]);
        assert_eq!(tokens("[a b](c (d)) ![x](y), [z][1]"), ["[a b](c (d))", "![x](y)", ",", "[z][1]"]);
        assert_eq!(tokens("[![x](y)](z) [not] (a link)"), ["[![x](y)](z)", "[", "not", "]", "(", "a", "link", ")"]);
        assert_eq!(tokens("<b>bold</b> a < b"), ["<b>", "bold", "</b>", "a", "<", "b"]);
        assert_eq!(
            tokens(r#""a\nb\u00e9 \"c\" \\d""#),
            ["\"", "a", r"\n", "b", r"\u00e9", r#"\""#, "c", r#"\""#, r"\\", "d", "\""]
        );
        assert_eq!(tokens("cmd --all -x=$HOME *very* #12"), ["cmd", "--all", "-x=$HOME", "*", "very", "*", "#12"]);
        assert_eq!(tokens("読む人 für"), ["読", "む", "人", "für"]);
        assert_eq!(tokens("` open [ <"), ["`", "open", "[", "<"]);
    }

    /// MERGE-1: the tokens and the white space are the text.
    #[test]
    fn tokens_cover_the_text() {
        let signs = [
            'a', 'é', '本', ' ', '\n', '`', '[', ']', '(', ')', '<', '>', '\\', 'u', '0', '.', '/', ':', '!', '*', '"',
            '\u{2019}',
        ];
        let mut state = 3_u64;
        for _ in 0..20_000 {
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) as usize
            };
            let text: String = (0..next() % 30).map(|_| signs[next() % signs.len()]).collect();
            let parts = Text::new(&text);
            let mut rebuilt: String = parts.tokens.iter().flat_map(|token| [token.space, token.word]).collect();
            rebuilt.push_str(parts.end);
            assert_eq!(rebuilt, text);
            assert!(parts.tokens.iter().all(|token| !token.word.is_empty()), "{text:?}");
        }
    }

    fn both(base: &str, ours: &str, theirs: &str) -> Option<String> {
        let merged = merge(base, ours, theirs);
        assert_eq!(merge(base, theirs, ours), merged, "another result with the sides exchanged");
        merged
    }

    /// MERGE-2: different words of one sentence.
    #[test]
    fn different_words_are_merged() {
        let merged = both(
            "The quick brown fox jumps over the dog.",
            "The slow brown fox jumps over the dog.",
            "The quick brown fox jumps over the lazy dog.",
        );
        assert_eq!(merged.as_deref(), Some("The slow brown fox jumps over the lazy dog."));
        let merged = both(r#""lint && test src""#, r#""lint --fix && test src""#, r#""lint && test src tests""#);
        assert_eq!(merged.as_deref(), Some(r#""lint --fix && test src tests""#));
    }

    /// MERGE-2: neighbouring words make a sentence only together.
    #[test]
    fn neighbouring_words_conflict() {
        assert_eq!(both("a red fox runs today", "a blue fox runs today", "a red hare runs today"), None);
        assert_eq!(both("a red fox, it runs", "a red hare, it runs", "a red fox, she runs"), None);
        assert_eq!(both("one two three", "one two three four", "one two three five"), None);
        assert_eq!(both("one two three four", "one 2 three four", "one zwei three four"), None);
    }

    /// MERGE-2: what both changed alike is no conflict, and needs no distance.
    #[test]
    fn the_same_change_counts_once() {
        let merged = both("teh cat sat on a mat", "the cat sat on a mat", "the black cat sat on a mat");
        assert_eq!(merged, None, "the change of one and an insertion of the other touch");
        let merged = both("teh cat sat on a mat", "the cat sat on a mat", "the cat sat on a rug");
        assert_eq!(merged.as_deref(), Some("the cat sat on a rug"));
        let merged = both("one teh cat two", "one the cat two", "one the cat three");
        assert_eq!(merged.as_deref(), Some("one the cat three"));
    }

    /// MERGE-2: one side breaks the lines anew, the other changes words.
    #[test]
    fn reflowed_text_keeps_the_others_words() {
        let base = "A paragraph that is\nbroken into lines\nof one length.\n";
        let ours = "A paragraph that is broken\ninto lines of one length.\n";
        let theirs = "A paragraph that is\nbroken into rows\nof one length.\n";
        let merged = both(base, ours, theirs);
        assert_eq!(merged.as_deref(), Some("A paragraph that is broken\ninto rows of one length.\n"));
        // The same word changed by both, on lines broken anew by one.
        let (ours, theirs) = (ours.replace("lines", "rows"), base.replace("lines", "rows"));
        assert_eq!(both(base, &ours, &theirs).as_deref(), Some(&ours[..]));
        let ours = "A paragraph that is broken\ninto lines of one length.\n";
        let other = "A paragraph\nthat is broken into lines of one length.\n";
        assert_eq!(
            both(base, ours, other).as_deref(),
            Some("A paragraph\nthat is broken\ninto lines of one length.\n")
        );
    }

    /// MERGE-2: numbers that stand together are changed together.
    #[test]
    fn numbers_near_each_other_conflict() {
        assert_eq!(
            both("use v1 of lib at abc123 here", "use v2 of lib at abc123 here", "use v1 of lib at def456 here"),
            None
        );
        let far = both(
            "from 1 one two three four five to 2",
            "from 3 one two three four five to 2",
            "from 1 one two three four five to 4",
        );
        assert_eq!(far.as_deref(), Some("from 3 one two three four five to 4"));
    }

    /// MERGE-2: what is written anew is no edit.
    #[test]
    fn a_rewritten_text_conflicts() {
        let base = "one two three four five six";
        assert_eq!(both(base, "uno due tre quattro five six", "one two three four five seven"), None);
    }

    /// MERGE-2: a long text and endless openings cost no more than their length.
    #[test]
    fn hostile_texts_are_read_in_linear_time() {
        for text in ["`", "[", "<a ", "``[(", "\\", "[![", "a`b``"] {
            let long = text.repeat(MAX_BYTES / text.len());
            let changed = format!("x {long}");
            let other = format!("{long} y");
            let merged = merge(&long, &changed[..changed.len().min(MAX_BYTES) - 2], &other[..MAX_BYTES - 2]);
            assert!(merged.is_none_or(|merged| merged.len() <= 2 * MAX_BYTES));
        }
    }
}
