//! The fuzz targets: one function of bytes each, which panics where a promise is broken. Shared by the fuzzers and the replay.

mod config;
mod documents;
mod held_record;
mod identity;
mod lease_record;
mod lock_record;
mod merge;
mod model;
mod names;
mod patches;
mod source;

use filelatch::doc::Format;

/// All targets.
#[allow(dead_code, reason = "the fuzzers know their own names")]
pub(crate) const NAMES: [&str; 13] = [
    "config",
    "held_record",
    "identity",
    "json",
    "jsonc",
    "lease_record",
    "lock_record",
    "merge",
    "names",
    "patch",
    "text",
    "toml",
    "yaml",
];

/// Runs a target on an input.
pub(crate) fn run(name: &str, data: &[u8]) {
    match name {
        "config" => config::run(data),
        "held_record" => held_record::run(data),
        "identity" => identity::run(data),
        "json" => documents::run(Format::Json, data),
        "jsonc" => documents::run(Format::Jsonc, data),
        "lease_record" => lease_record::run(data),
        "lock_record" => lock_record::run(data),
        "merge" => merge::run(data),
        "names" => names::run(data),
        "patch" => patches::run(data),
        "text" => documents::run(Format::Text, data),
        "toml" => documents::run(Format::Toml, data),
        "yaml" => documents::run(Format::Yaml, data),
        other => panic!("no target `{other}`"),
    }
}
