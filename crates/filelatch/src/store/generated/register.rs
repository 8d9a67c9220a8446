//! The register: which path is whose.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use filelatch_fs::Host;
use serde::{Deserialize, Serialize};

use crate::conflict::{exact, path_of};
use crate::parts::{parse_rfc3339, rfc3339};
use crate::store::StoreError;
use crate::store::sheet::{Form, NONCE};
use crate::version::Version;

const FORM: Form = Form { name: "generated", version: 1 };

/// For whom a file was generated.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Owner {
    /// A session, by its name. It ends with it.
    Session(String),
    /// Somebody else, under a name of his own choice, who ends when he says so.
    Named(String),
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owner::Session(name) => write!(f, "session {name}"),
            Owner::Named(name) => f.write_str(name),
        }
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) owner: Owner,
    /// What it may be as it was generated: the newest, and the one before where it is not known that the newest was written.
    pub(super) versions: Vec<Version>,
    pub(super) at: SystemTime,
    pub(super) private: bool,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Rows {
    pub(super) files: BTreeMap<PathBuf, Row>,
    /// Folders that were made for files.
    pub(super) folders: BTreeSet<PathBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    folder: Option<String>,
    /// Of a name that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Owner>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    versions: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    private: bool,
}

fn text(path: &Path) -> String {
    let text = path.to_string_lossy();
    if cfg!(windows) { text.replace('\\', "/") } else { text.into_owned() }
}

impl Rows {
    pub(super) fn parse(bytes: &[u8]) -> Result<Rows, StoreError> {
        let mut rows = Rows::default();
        for (i, raw) in FORM.read::<Raw>(bytes)?.into_iter().enumerate() {
            let wrong = || StoreError::Damaged {
                line: Some(i as u64 + 2),
                offset: None,
                problem: "it does not say whose file it is".to_owned(),
                way_out: "restore the register from a backup, or remove the line".to_owned(),
            };
            rows.add(raw).ok_or_else(wrong)?;
        }
        Ok(rows)
    }

    fn add(&mut self, raw: Raw) -> Option<()> {
        if let (Some(folder), None) = (&raw.folder, &raw.file) {
            self.folders.insert(path_of(folder, raw.bytes.as_deref())?);
            return Some(());
        }
        let path = path_of(&raw.file?, raw.bytes.as_deref())?;
        let versions = raw.versions.iter().map(|version| version.parse().ok()).collect::<Option<Vec<_>>>()?;
        let row = Row { owner: raw.owner?, versions, at: parse_rfc3339(&raw.at?)?, private: raw.private };
        self.files.insert(path, row);
        Some(())
    }

    pub(super) fn write(&self, host: &dyn Host) -> Result<Vec<u8>, StoreError> {
        let blank = || Raw {
            file: None,
            folder: None,
            bytes: None,
            owner: None,
            versions: Vec::new(),
            at: None,
            private: false,
        };
        let files = self.files.iter().map(|(path, row)| Raw {
            file: Some(text(path)),
            bytes: exact(path),
            owner: Some(row.owner.clone()),
            versions: row.versions.iter().map(ToString::to_string).collect(),
            at: Some(rfc3339(row.at)),
            private: row.private,
            ..blank()
        });
        let folders = self.folders.iter().map(|path| Raw { folder: Some(text(path)), bytes: exact(path), ..blank() });
        let all: Vec<_> = files.chain(folders).collect();
        let mut nonce = [0; NONCE];
        nonce[..8].copy_from_slice(&host.random().to_le_bytes());
        nonce[8..].copy_from_slice(&host.random().to_le_bytes());
        FORM.write(nonce, &all)
    }
}
