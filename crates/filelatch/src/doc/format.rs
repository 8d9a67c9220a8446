//! Which formats there are, and which one a file name asks for.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How the bytes of a document are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// JSON. Comments and trailing commas are accepted where the file already has them (`tsconfig.json` does); a file
    /// without them stays strict JSON.
    Json,
    /// JSON with comments, by name (`.jsonc`). Read and written like [`Format::Json`].
    Jsonc,
    /// YAML 1.2 with its core schema: `no`, `on` and `yes` are strings. One document per file.
    Yaml,
    /// TOML 1.0.
    Toml,
    /// Any UTF-8 text. Its value is one string.
    Text,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 5] = [Self::Json, Self::Jsonc, Self::Yaml, Self::Toml, Self::Text];

    /// The format a file name asks for; `None` if the name says nothing.
    pub fn from_path(path: &Path) -> Option<Self> {
        const TOML_NAMES: [&str; 5] = ["Cargo.lock", "poetry.lock", "uv.lock", "Pipfile", "pdm.lock"];
        const JSON_NAMES: [&str; 6] =
            [".babelrc", ".eslintrc", ".prettierrc", ".swcrc", "composer.lock", "Pipfile.lock"];
        const YAML_NAMES: [&str; 3] = [".clang-format", ".clang-tidy", ".yamllint"];

        // A name that is not text may still end in something known.
        let name = path.file_name()?.to_str().unwrap_or_default();
        if TOML_NAMES.contains(&name) {
            return Some(Self::Toml);
        }
        if JSON_NAMES.contains(&name) {
            return Some(Self::Json);
        }
        if YAML_NAMES.contains(&name) {
            return Some(Self::Yaml);
        }
        let extension = path.extension()?.to_str()?.to_ascii_lowercase();
        match extension.as_str() {
            "json" | "geojson" | "webmanifest" | "ipynb" | "har" | "jsonld" => Some(Self::Json),
            "jsonc" | "json5" | "code-workspace" | "hujson" => Some(Self::Jsonc),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            "txt" | "md" | "text" => Some(Self::Text),
            _ => None,
        }
    }

    /// The name users write and read: `json`, `jsonc`, `yaml`, `toml`, `text`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Jsonc => "jsonc",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::Text => "text",
        }
    }

    /// The name for prose.
    fn title(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Jsonc => "JSON with comments",
            Self::Yaml => "YAML",
            Self::Toml => "TOML",
            Self::Text => "text",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// The name is none of a [`Format`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a format; the formats are json, jsonc, yaml, toml and text")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        let lower = name.to_ascii_lowercase();
        let wanted = if lower == "yml" { "yaml" } else { &lower };
        Self::ALL.into_iter().find(|format| format.name() == wanted).ok_or_else(|| UnknownFormat(name.to_owned()))
    }
}
