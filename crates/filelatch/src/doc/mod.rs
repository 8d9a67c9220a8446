//! Documents: read and changed without losing a comment.
