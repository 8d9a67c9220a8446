//! `filelatch hooks pre-edit`: is a file somebody else's now?

use std::path::Path;
use std::time::Duration;

use filelatch::{Error, Filelatch, LatchFile, LeaseState, LockOptions, Wait};

use super::{Call, here, is_missing};
use crate::args::Global;
use crate::args_hooks::PreEdit;
use crate::render::{CliError, tell};
use crate::{exit, output, waiting};

/// An ordinary write holds its lock for less.
const PATIENCE: Duration = Duration::from_secs(2);
/// Files that are told of when nobody knows what is edited.
const TOLD: usize = 20;

pub(super) fn ask(global: &Global, args: &PreEdit) -> Result<u8, CliError> {
    let call = match Call::of(global, args.agent, &args.files, "filelatch hooks pre-edit") {
        Ok(call) => call,
        Err(error) => {
            tell_of_held(global);
            return Err(error);
        }
    };
    let mut worst = exit::DONE;
    for edit in &call.edits {
        let refused = match ask_for(&call, &edit.path) {
            Ok(()) => continue,
            Err(refused) => refused,
        };
        if call.edits.len() == 1 {
            return Err(refused);
        }
        tell(&refused);
        // That one file could not be looked at does not outweigh that another is somebody's.
        worst = if worst == exit::NO_LOCK { worst } else { refused.status() };
    }
    Ok(worst)
}

fn ask_for(call: &Call, path: &Path) -> Result<(), CliError> {
    let file = match call.context.latch.file(path) {
        Ok(file) => file,
        Err(error) if is_missing(&error) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    if let Some(lease) = file.lease_state()?
        && !is_own(call, &file, &lease)
    {
        return Err(leased(path, &lease));
    }
    let name = file.id().to_string();
    let inherited = call.context.held.inherited.iter().any(|held| held.resource == name);
    let kept = call.context.held.kept.iter().any(|(resource, _)| *resource == name);
    if inherited || kept || file.lock_state()?.holders.is_empty() {
        return Ok(());
    }
    // Most locks are held for the moment of one write.
    match file.lock(&LockOptions::new().wait(Wait::For(PATIENCE))) {
        Ok(_) => Ok(()),
        Err(Error::Timeout { holders, .. }) => {
            let who = holders.first().map_or_else(|| "a program that keeps no record".to_owned(), waiting::holder);
            let session = holders.first().and_then(|holder| holder.session.as_deref());
            let message = format!("`{}` is locked: held {who}{}", path.display(), as_session(session));
            let hint = "nothing was changed; when it is free, read the file again and edit what is there then";
            Err(CliError::own("locked", message).hint(hint).hint(SEE))
        }
        Err(error) => Err(error.into()),
    }
}

const SEE: &str = "`filelatch status FILE` shows who holds it";

/// Of this session, or of the command that started the agent.
fn is_own(call: &Call, file: &LatchFile, lease: &LeaseState) -> bool {
    let name = file.id().to_string();
    let inherited = call.context.leases.iter().any(|own| own.resource == name && own.token == lease.token);
    inherited || (call.session.is_some() && call.session == lease.holder.session)
}

fn leased(path: &Path, lease: &LeaseState) -> CliError {
    let who = waiting::holder(&lease.holder);
    let left = waiting::length(lease.remaining);
    let session = as_session(lease.holder.session.as_deref());
    let message = format!("`{}` is leased for at most {left} more: held {who}{session}", path.display());
    let hint = "nothing was changed; when it is free, read the file again and edit what is there then";
    let own =
        "if the lease is yours, write under it: filelatch's tool `edit` with `lease_token`, or give it back first";
    CliError::own("leased", message).hint(hint).hint(own).hint(SEE)
}

fn as_session(session: Option<&str>) -> String {
    session.map(|session| format!(" as {session}")).unwrap_or_default()
}

/// Whoever edits unchecked is to know at least what is not free.
fn tell_of_held(global: &Global) {
    let latch = Filelatch::builder().session(global.session.clone().unwrap_or_default()).build();
    let Ok(held) = latch.root(here()).and_then(|root| root.locked(TOLD, |_| true)) else { return };
    for file in held.iter().filter(|file| file.lease.is_some() || !file.lock.holders.is_empty()) {
        let lease = file.lease.as_ref().map(|lease| &lease.holder);
        if let Some(holder) = lease.or(file.lock.holders.first()) {
            let session = as_session(holder.session.as_deref());
            let who = waiting::holder(holder);
            output::warning(&format!("do not edit `{}`: held {who}{session}", file.path.display()));
        }
    }
}
