//! What does not belong into version control (P16): lines of a repository's `info/exclude`.

use std::path::Path;

use filelatch::{Filelatch, WriteOptions};

const HEADING: &str = "# filelatch: lock and lease files, temporary files, what a workspace remembers";
/// The patterns.
const EXCLUDED: [&str; 6] = [".*.lock", ".*.lease", ".*.sync", ".*.tmp", ".filelatch/*", "!.filelatch/config.toml"];

/// Adds the patterns that are missing in the file, which is this repository's alone and which no cleaning removes; made with its folder if it
/// is not there. Answers what had to be added. `show` is told before it is.
pub fn exclude(
    engine: &Filelatch,
    file: &Path,
    mut show: impl FnMut(&[&'static str]),
) -> filelatch::Result<Vec<&'static str>> {
    let file = engine.file_with_dirs(file)?;
    let mut added = Vec::new();
    let mut shown = false;
    file.update_bytes(&WriteOptions::new(), |old| {
        let old = old.unwrap_or_default();
        let has = |pattern: &str| old.split(|byte| *byte == b'\n').any(|line| line.trim_ascii() == pattern.as_bytes());
        added = EXCLUDED.into_iter().filter(|pattern| !has(pattern)).collect();
        if added.is_empty() {
            return Ok::<_, filelatch::Error>(None);
        }
        // An update may run again.
        if !std::mem::replace(&mut shown, true) {
            show(&added);
        }
        let mut new = old.to_vec();
        if !new.is_empty() && !new.ends_with(b"\n") {
            new.push(b'\n');
        }
        for line in [HEADING].iter().chain(&added) {
            new.extend_from_slice(line.as_bytes());
            new.push(b'\n');
        }
        Ok(Some(new))
    })?;
    Ok(added)
}
