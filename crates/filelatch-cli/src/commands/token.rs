//! `filelatch token`: tokens are made, listed, verified, revoked.

use std::path::{Path, PathBuf};

use filelatch::store::{OwnStore, TokenInfo, Tokens};
use filelatch_fs::{Host, RealHost};
use serde_json::{Value, json};

use crate::args_secrets::{Token, TokenAction, TokenCreate, TokenPrune, TokenRevoke, TokenVerify};
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{exit, output, secrets};

pub(crate) fn token(context: &Context, args: &Token) -> Result<u8, CliError> {
    let create = matches!(args.action, TokenAction::Create(_));
    let tokens = context.latch.tokens(path(context, args.store.as_deref(), OwnStore::Tokens, create)?)?;
    match &args.action {
        TokenAction::Create(args) => made(context, &tokens, args)?,
        TokenAction::List(_) => list(context, &tokens)?,
        TokenAction::Verify(args) => return verify(context, &tokens, args),
        TokenAction::Revoke(args) => revoke(context, &tokens, args)?,
        TokenAction::Prune(args) => prune(context, &tokens, args)?,
    }
    Ok(exit::DONE)
}

/// The store that was named, or the workspace's.
pub(super) fn path(context: &Context, given: Option<&Path>, own: OwnStore, create: bool) -> Result<PathBuf, CliError> {
    match given {
        Some(given) => Ok(given.to_owned()),
        None => Ok(context.latch.own_store(".", own, create)?),
    }
}

fn made(context: &Context, tokens: &Tokens, args: &TokenCreate) -> Result<(), CliError> {
    let expires = args.expires.map(|after| RealHost.now() + after);
    let new = with_waiting(args.waiting.wait(), |lock| tokens.create(&args.name, &args.scope, expires, &lock))?;
    if context.json {
        return output::json(&json!({"id": new.id, "token": new.token.expose_text()}));
    }
    secrets::print(&new.token, true)?;
    output::note("it is shown this once, and stored nowhere");
    Ok(())
}

fn list(context: &Context, tokens: &Tokens) -> Result<(), CliError> {
    let all = tokens.list()?;
    if context.json {
        return output::json(&json!({"tokens": all.iter().map(info).collect::<Vec<_>>()}));
    }
    let rows = all.iter().map(|token| {
        let moment = |at: Option<_>| at.map_or_else(|| "-".to_owned(), output::moment);
        let scopes = token.scopes.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        let ends = moment(token.expires);
        [token.id.clone(), token.state.word().to_owned(), scopes, ends, moment(token.last_used), token.name.clone()]
    });
    secrets::table(["ID", "STATE", "SCOPES", "ENDS", "LAST USED", "NAME"], rows)
}

fn info(token: &TokenInfo) -> Value {
    let at = |at: Option<_>| at.map_or(Value::Null, output::time);
    json!({
        "id": token.id,
        "name": token.name,
        "scopes": words(&token.scopes),
        "state": token.state.word(),
        "created": output::time(token.created),
        "expires": at(token.expires),
        "revoked": at(token.revoked),
        "lastUsed": at(token.last_used),
    })
}

fn words(scopes: &[filelatch::store::Scope]) -> Vec<&'static str> {
    scopes.iter().map(|scope| scope.word()).collect()
}

fn verify(context: &Context, tokens: &Tokens, args: &TokenVerify) -> Result<u8, CliError> {
    let bearer = secrets::from_stdin("the token", false)?;
    let verified = match bearer.expose_text() {
        Some(bearer) => tokens.verify(bearer)?,
        None => None,
    };
    // Best effort, and nobody is waited for.
    tokens.note_uses().ok();
    let verified = verified.filter(|verified| args.scope.is_none_or(|scope| verified.allows(scope)));
    let Some(verified) = verified else {
        if context.json {
            output::json(&json!({"valid": false}))?;
        } else {
            output::note("no such token, or it is not good for this");
        }
        return Ok(exit::ERROR);
    };
    if context.json {
        let scopes = words(&verified.scopes);
        output::json(&json!({"valid": true, "id": verified.id, "name": verified.name, "scopes": scopes}))?;
    } else {
        output::line(&format!("{}  {}  {}", verified.id, words(&verified.scopes).join(","), verified.name))?;
    }
    Ok(exit::DONE)
}

fn revoke(context: &Context, tokens: &Tokens, args: &TokenRevoke) -> Result<(), CliError> {
    // Whoever pastes the whole token means the same.
    let whole = args.id.strip_prefix("flt_").and_then(|rest| rest.split_once('_'));
    if whole.is_some() {
        let error = CliError::own("usage", "this is a token, not its id: what is in arguments is seen by other users");
        return Err(error.hint("nothing was changed; the id is the part between the underscores, revoke it now"));
    }
    let revoked = with_waiting(args.waiting.wait(), |lock| tokens.revoke(&args.id, &lock))?;
    if context.json { output::json(&info(&revoked)) } else { Ok(()) }
}

fn prune(context: &Context, tokens: &Tokens, args: &TokenPrune) -> Result<(), CliError> {
    let now = RealHost.now();
    let before = now.checked_sub(args.older_than).unwrap_or(std::time::SystemTime::UNIX_EPOCH);
    let removed = with_waiting(args.waiting.wait(), |lock| tokens.prune(before, &lock))?;
    if context.json { output::json(&json!({"removed": removed})) } else { output::line(&removed.to_string()) }
}
