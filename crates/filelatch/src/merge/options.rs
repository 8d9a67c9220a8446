//! What a merge is told: what kind of document it is, and which rules go beyond what is safe for everybody.

use std::path::Path;
use std::str::FromStr;

/// What a document is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Lines, and nothing is known about them: program text, for example. Merged as git does.
    #[default]
    Lines,
    /// JSON, also with comments and trailing commas, and JSON5.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
    /// Markdown: headings, paragraphs, lists, tables.
    Markdown,
    /// `key = value` lines in sections: `.ini`, `.env`, `.cfg`, `.properties`, `.editorconfig`.
    Ini,
    /// Plain text of people: paragraphs, or one entry a line (`.txt`, `.rst`, `.gitignore`).
    Text,
}

impl Kind {
    /// The kind that a file's name tells; [`Kind::Lines`] when it tells nothing.
    pub fn of_path(path: &Path) -> Kind {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()) else {
            return Kind::Lines;
        };
        if name == ".env" || name.starts_with(".env.") {
            return Kind::Ini;
        }
        // A program, whatever its name ends in.
        if name == "cmakelists.txt" {
            return Kind::Lines;
        }
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "json" | "jsonc" | "json5" | "webmanifest" | "geojson" | "code-workspace" | "eslintrc" | "babelrc"
            | "prettierrc" | "swcrc" | "jshintrc" => Kind::Json,
            "yaml" | "yml" => Kind::Yaml,
            "toml" => Kind::Toml,
            "md" | "mdx" | "markdown" => Kind::Markdown,
            "ini" | "cfg" | "conf" | "properties" | "editorconfig" | "env" | "gitconfig" | "npmrc" => Kind::Ini,
            "txt" | "text" | "rst" | "adoc" | "gitignore" | "gitattributes" | "dockerignore" | "npmignore"
            | "eslintignore" | "prettierignore" => Kind::Text,
            _ if matches!(name.as_str(), "readme" | "changelog" | "changes" | "license" | "authors" | "codeowners") => {
                Kind::Text
            }
            _ => Kind::Lines,
        }
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "lines" => Ok(Kind::Lines),
            "json" => Ok(Kind::Json),
            "yaml" => Ok(Kind::Yaml),
            "toml" => Ok(Kind::Toml),
            "markdown" => Ok(Kind::Markdown),
            "ini" => Ok(Kind::Ini),
            "text" => Ok(Kind::Text),
            other => {
                Err(format!("`{other}` is not a kind of document: json, yaml, toml, markdown, ini, text or lines"))
            }
        }
    }
}

/// How conflicts are written into a text, as `git merge-file` and `merge.conflictStyle` have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictStyle {
    /// Ours and theirs.
    #[default]
    Merge,
    /// Ours, base and theirs.
    Diff3,
    /// As diff3, with the lines that both sides begin or end with taken out of the conflict.
    Zdiff3,
}

impl FromStr for ConflictStyle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "merge" => Ok(ConflictStyle::Merge),
            "diff3" => Ok(ConflictStyle::Diff3),
            "zdiff3" => Ok(ConflictStyle::Zdiff3),
            other => Err(format!("`{other}` is not a style of conflicts: merge, diff3 or zdiff3")),
        }
    }
}

/// How lines are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Algorithm {
    /// What `git merge` uses: lines that are rare are matched first.
    #[default]
    Histogram,
    /// What `git merge-file` uses by default: the shortest list of changes.
    Myers,
}

impl FromStr for Algorithm {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "histogram" => Ok(Algorithm::Histogram),
            "myers" => Ok(Algorithm::Myers),
            other => Err(format!("`{other}` is not a way to compare lines: histogram or myers")),
        }
    }
}

/// What happens when both sides changed a version to different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionRule {
    /// A conflict: only a person knows.
    #[default]
    Conflict,
    /// The higher one counts, where both are versions of one form (`1.4.0` and `1.10.2`, `^2.0` and `^2.1`). Changes one sided
    /// deletions or other values nowhere.
    Higher,
}

impl FromStr for VersionRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "conflict" => Ok(VersionRule::Conflict),
            "higher" => Ok(VersionRule::Higher),
            other => Err(format!("`{other}` is not a rule for versions: conflict or higher")),
        }
    }
}

/// What tells the items of a list apart (L48).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListRule {
    /// The order means something; items are what they are by content and place.
    Ordered,
    /// The order means nothing: items are added and removed.
    Set,
    /// Each item is an object, and this field names it.
    Keyed(String),
}

impl FromStr for ListRule {
    type Err = String;

    /// `ordered`, `set`, or `key:FIELD`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "ordered" => Ok(ListRule::Ordered),
            "set" => Ok(ListRule::Set),
            _ => match text.strip_prefix("key:") {
                Some(field) if !field.is_empty() => Ok(ListRule::Keyed(field.to_owned())),
                _ => Err(format!("`{text}` is not a rule for lists: ordered, set or key:FIELD")),
            },
        }
    }
}

/// Rules that only the owner of a document can give.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Versions that both sides changed.
    pub version: VersionRule,
    /// What lists are, by JSON pointer; `*` stands for any one step: `/servers`, `/jobs/*/steps`. Lists that are not named here
    /// are judged by their items.
    pub lists: Vec<(String, ListRule)>,
}

/// What a merge is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MergeOptions {
    /// What the document is made of.
    pub kind: Kind,
    /// How lines are compared.
    pub algorithm: Algorithm,
    /// Rules of the document's owner.
    pub rules: Rules,
}

impl MergeOptions {
    /// For a document of this name.
    pub fn for_path(path: &Path) -> Self {
        MergeOptions { kind: Kind::of_path(path), ..MergeOptions::default() }
    }
}
