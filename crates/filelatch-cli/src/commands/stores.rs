//! What the commands of stores have in common.

use std::path::Path;

use filelatch::Error;
use serde_json::{Value, json};

use crate::context::{Context, warn};
use crate::table::printable;
use crate::{exit, output};

/// Tells of locks that are switched off for a store.
pub(crate) fn warn_of(context: &Context, store: &Path) {
    if let Ok(file) = context.latch.file(store) {
        warn(&file);
    }
}

/// Tells of what can't be read; answers the exit status of a list that names it.
pub(crate) fn damaged(context: &Context, damaged: &[(String, Error)]) -> u8 {
    if damaged.is_empty() {
        return exit::DONE;
    }
    if !context.json {
        for (_, error) in damaged {
            output::warning(&printable(&error.to_string()));
        }
    }
    exit::ERROR
}

pub(crate) fn to_json(damaged: &[(String, Error)]) -> Value {
    damaged.iter().map(|(name, error)| json!({"name": name, "message": error.to_string()})).collect()
}
