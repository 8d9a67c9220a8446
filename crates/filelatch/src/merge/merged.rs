//! The result of a merge, as data: what is settled and what is not.

use std::fmt;

use super::options::Algorithm;

/// Where settled bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Ours changed them.
    Ours,
    /// Theirs changed them.
    Theirs,
    /// Both made the same change.
    Both,
    /// Both changed them, and both changes are in.
    Merged,
}

/// A stretch of the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Nobody changed this.
    Unchanged(Vec<u8>),
    /// Changed, and settled.
    Taken {
        /// The bytes of the result.
        bytes: Vec<u8>,
        /// Whose they are.
        from: Source,
    },
    /// Not settled.
    Conflict(Hunk),
}

/// One place where the sides do not fit together: whole lines of the three contents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hunk {
    /// What was there.
    pub base: Vec<u8>,
    /// What ours has there.
    pub ours: Vec<u8>,
    /// What theirs has there.
    pub theirs: Vec<u8>,
    /// What it is about, if the document has names for it: `/scripts/build`.
    pub place: Option<String>,
}

/// How a result came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// At most one side had changed the content.
    Whole,
    /// Line by line, as git does.
    Lines,
    /// By the units of the document.
    Structure,
    /// Not at all: at least one content is no text.
    Binary,
}

/// Why a document was merged as lines although its structure was wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fallback {
    /// A content can't be read as what its name says.
    Unreadable {
        /// `base`, `ours` or `theirs`.
        side: &'static str,
        /// The parser's words, with line and column.
        why: String,
    },
    /// The merged structure did not pass its checks; the lines did not fit either.
    Unproved {
        /// Which check.
        why: String,
    },
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fallback::Unreadable { side, why } => {
                write!(f, "merged as plain lines, because {side} can't be read: {why}")
            }
            Fallback::Unproved { why } => {
                write!(f, "merged as plain lines, because the merged structure is wrong: {why}")
            }
        }
    }
}

/// What became of a merge: pieces that make up the document, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    pieces: Vec<Piece>,
    method: Method,
    fallback: Option<Fallback>,
    lines: LineFacts,
}

/// What the pieces do not tell and markers as git's depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LineFacts {
    /// How lines were compared.
    pub(super) algorithm: Algorithm,
    /// The first line of the base ends with CR LF, or does not; `None` if it has no line end.
    pub(super) base_is_crlf: Option<bool>,
    /// How many bytes of the base each piece stands for.
    pub(super) base_lengths: Vec<usize>,
    /// Pieces where both sides have the same lines, but not by the same change, and what the base has there.
    pub(super) agreed: Vec<(usize, Vec<u8>)>,
}

impl Merged {
    pub(super) fn new(pieces: Vec<Piece>, method: Method) -> Self {
        Merged { pieces, method, fallback: None, lines: LineFacts::default() }
    }

    pub(super) fn of_lines(pieces: Vec<Piece>, lines: LineFacts) -> Self {
        Merged { lines, ..Merged::new(pieces, Method::Lines) }
    }

    /// Pieces that were made otherwise than `lines`, of the same contents.
    pub(super) fn of_structure(pieces: Vec<Piece>, lines: &Merged) -> Self {
        let LineFacts { algorithm, base_is_crlf, .. } = lines.lines;
        let facts = LineFacts { algorithm, base_is_crlf, ..LineFacts::default() };
        Merged { lines: facts, ..Merged::new(pieces, Method::Structure) }
    }

    pub(super) fn lines(&self) -> &LineFacts {
        &self.lines
    }

    /// One side's content, whole.
    pub(super) fn whole(bytes: &[u8], from: Source) -> Self {
        Merged::new(vec![Piece::Taken { bytes: bytes.to_vec(), from }], Method::Whole)
    }

    /// One conflict over everything.
    pub(crate) fn refused(base: &[u8], ours: &[u8], theirs: &[u8], method: Method) -> Self {
        let hunk = Hunk { base: base.to_vec(), ours: ours.to_vec(), theirs: theirs.to_vec(), place: None };
        Merged::new(vec![Piece::Conflict(hunk)], method)
    }

    pub(super) fn fell_back(self, why: Fallback) -> Self {
        Merged { fallback: Some(why), ..self }
    }

    /// The stretches of the document, in order.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The places that are not settled, in order.
    pub fn conflicts(&self) -> impl Iterator<Item = &Hunk> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Conflict(hunk) => Some(hunk),
            _ => None,
        })
    }

    /// Is everything settled?
    pub fn is_clean(&self) -> bool {
        self.conflicts().next().is_none()
    }

    /// The merged content, if everything is settled.
    pub fn content(&self) -> Option<Vec<u8>> {
        let mut content = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Unchanged(bytes) | Piece::Taken { bytes, .. } => content.extend_from_slice(bytes),
                Piece::Conflict(_) => return None,
            }
        }
        Some(content)
    }

    /// How the result came about.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Why the structure of the document did not count, if it should have.
    pub fn fallback(&self) -> Option<&Fallback> {
        self.fallback.as_ref()
    }
}
