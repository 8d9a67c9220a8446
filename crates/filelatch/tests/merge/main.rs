//! Merges, as pure functions of bytes.
#![expect(clippy::disallowed_methods, reason = "tests stand outside the seam: git is another program")]

#[cfg(test)]
mod cases;
#[cfg(test)]
mod edits;
#[cfg(test)]
mod expect;
#[cfg(test)]
mod git;
#[cfg(test)]
mod ini;
#[cfg(test)]
mod json;
#[cfg(test)]
mod prose;
#[cfg(test)]
mod toml;
#[cfg(test)]
mod unified;
#[cfg(test)]
mod yaml;
