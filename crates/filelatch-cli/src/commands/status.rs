//! `filelatch status`: who holds what, who waits, what was left behind. Takes no lock, changes nothing.

use std::path::{Path, PathBuf};

use filelatch::{Conflicts, Error, Holder, LeaseState, Leftover, LockState, StoredConflict};
use serde_json::{Value, json};

use super::conflicts;
use crate::args::Status;
use crate::context::Context;
use crate::render::CliError;
use crate::{output, waiting};

struct Row {
    path: PathBuf,
    lock_file: PathBuf,
    state: LockState,
    lease: Option<LeaseState>,
}

pub(crate) fn status(context: &Context, args: &Status) -> Result<(), CliError> {
    let mut paths = args.paths.clone();
    if paths.is_empty() {
        let root = context.latch.workspace_of(".")?;
        // The current folder is spelled as such, the workspace's by its name.
        paths.push(root.unwrap_or_else(|| PathBuf::from(".")));
    }
    let (mut rows, mut leftovers, mut stored) = (Vec::new(), Vec::new(), Conflicts::default());
    for path in &paths {
        match row(context, path) {
            Ok(row) => {
                stored.stored.extend(context.latch.file(path)?.conflicts()?);
                rows.push(row);
            }
            Err(CliError::Library(Error::NotAFile { what: "a directory", .. })) => {
                let all = context.latch.lock_files(path)?.into_iter().filter_map(|file| row(context, &file).ok());
                rows.extend(all.filter(|row| args.all || !row.is_free()));
                leftovers.extend(context.latch.leftovers(path)?);
                stored_in(context, path, &mut stored)?;
            }
            Err(error) => return Err(error),
        }
    }
    stored.stored.retain(StoredConflict::is_open);
    if context.json {
        let locks: Vec<_> = rows.iter().map(Row::to_json).collect();
        let leftovers: Vec<_> = leftovers.iter().map(leftover_to_json).collect();
        let conflicts: Vec<_> = stored.stored.iter().map(conflicts::to_json).collect();
        return output::json(&json!({"locks": locks, "leftovers": leftovers, "conflicts": conflicts}));
    }
    let mut text = lines(&rows);
    text.push_str(&conflicts::lines(&stored.stored));
    for one in &stored.damaged {
        output::warning(&format!("the conflict in `{}` can't be read: {}", one.dir.display(), one.problem));
    }
    for leftover in &leftovers {
        text.push_str(&describe(leftover));
        text.push('\n');
    }
    if text.is_empty() {
        output::note("nothing is locked, no conflict is open, and nothing was left behind");
    }
    output::data(text.as_bytes())
}

/// Open conflicts of files in a folder and below it.
fn stored_in(context: &Context, dir: &Path, into: &mut Conflicts) -> Result<(), CliError> {
    let Conflicts { stored, damaged, .. } = context.latch.conflicts(dir)?;
    // Any name in the folder tells where it really is.
    let inside = context.latch.file(dir.join("x"))?;
    let dir = inside.canonical_path().parent().unwrap_or(dir);
    into.stored.extend(stored.into_iter().filter(|one| one.path.starts_with(dir)));
    into.damaged.extend(damaged);
    Ok(())
}

fn row(context: &Context, path: &Path) -> Result<Row, CliError> {
    // What is found in the current folder is called by its name alone.
    let path = path.strip_prefix(".").ok().filter(|name| !name.as_os_str().is_empty()).unwrap_or(path);
    let file = context.file(path)?;
    let (state, lease) = (file.lock_state()?, file.lease_state()?);
    Ok(Row { path: path.to_owned(), lock_file: file.lock_path(), state, lease })
}

/// Aligned lines, one for each holder of a lock or lease.
fn lines(rows: &[Row]) -> String {
    let mut cells: Vec<[String; 3]> = Vec::new();
    for row in rows {
        let path = row.path.display().to_string();
        let queue = match row.state.waiting {
            0 => String::new(),
            n => format!(", {n} waiting"),
        };
        if let Some(lease) = &row.lease {
            let left = waiting::length(lease.remaining);
            cells.push([
                path.clone(),
                "leased".to_owned(),
                format!("{}, at most {left} more", holder_text(&lease.holder)),
            ]);
        }
        if row.state.holders.is_empty() && (row.lease.is_none() || row.state.waiting > 0) {
            cells.push([path.clone(), "free".to_owned(), queue.trim_start_matches(", ").to_owned()]);
        }
        for holder in &row.state.holders {
            let kind = match (holder.records, holder.shared) {
                (true, _) => "records",
                (false, true) => "shared",
                (false, false) => "exclusive",
            };
            cells.push([path.clone(), kind.to_owned(), format!("{}{queue}", holder_text(holder))]);
        }
    }
    let width = |column: usize| cells.iter().map(|cells| cells[column].chars().count()).max().unwrap_or_default();
    let (first, second) = (width(0), width(1));
    let line = |[path, kind, rest]: &[String; 3]| {
        let line = format!("{path:first$}  {kind:second$}  {rest}");
        format!("{}\n", line.trim_end())
    };
    cells.iter().map(line).collect()
}

/// `12s by pid 4211 (deploy.py) on build-3 as alice`.
fn holder_text(holder: &Holder) -> String {
    let mut text = waiting::holder(holder);
    if let Some(session) = &holder.session {
        text.push_str(" as ");
        text.push_str(session);
    }
    if !holder.confirmed {
        text.push_str(" (by its record; the system cannot confirm it)");
    }
    text
}

fn describe(leftover: &Leftover) -> String {
    let what = match (leftover.in_use, leftover.disposable) {
        (true, _) => "a write under way, or its writer may be alive",
        (false, true) => "left by a writer that died; the next write of its file removes it",
        (false, false) => "left behind, and may hold another program's data: look at it, then remove it",
    };
    format!("{}  {} bytes  {what}", leftover.path.display(), leftover.size)
}

impl Row {
    fn is_free(&self) -> bool {
        self.state.holders.is_empty() && self.state.waiting == 0 && self.lease.is_none()
    }

    fn to_json(&self) -> Value {
        json!({
            "path": output::path(&self.path),
            "lockFile": output::path(&self.lock_file),
            "locked": !self.state.holders.is_empty(),
            "waiting": self.state.waiting,
            "records": self.state.records,
            "holders": self.state.holders.iter().map(holder_to_json).collect::<Vec<_>>(),
            "lease": self.lease.as_ref().map(lease_to_json),
        })
    }
}

fn holder_to_json(holder: &Holder) -> Value {
    json!({
        "pid": holder.pid,
        "program": holder.program,
        "purpose": holder.purpose,
        "session": holder.session,
        "host": holder.host,
        "since": holder.since.map(output::time),
        "shared": holder.shared,
        "records": holder.records,
        "confirmed": holder.confirmed,
    })
}

fn lease_to_json(lease: &LeaseState) -> Value {
    json!({
        "token": lease.token,
        "remainingMs": u64::try_from(lease.remaining.as_millis()).unwrap_or(u64::MAX),
        "holder": holder_to_json(&lease.holder),
    })
}

fn leftover_to_json(leftover: &Leftover) -> Value {
    json!({
        "path": output::path(&leftover.path),
        "size": leftover.size,
        "inUse": leftover.in_use,
        "disposable": leftover.disposable,
    })
}
