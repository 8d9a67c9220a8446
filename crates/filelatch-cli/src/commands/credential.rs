//! `filelatch credential`: secrets are stored, handed out, and renewed once.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use filelatch::store::{Credential as Stored, Credentials, NewCredential, OwnStore, Passphrase, Secret};
use filelatch::{LockOptions, Wait};
use filelatch_fs::{Host, RealHost};
use serde_json::{Map, Value, json};

use super::run::{not_started, status_of};
use super::token::path;
use crate::args_secrets::{
    Credential, CredentialAction, CredentialEncrypt, CredentialExport, CredentialGet, CredentialImport,
    CredentialRefresh, CredentialSet,
};
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{env, output, secrets};

pub(crate) fn credential(context: &Context, args: &Credential) -> Result<(), CliError> {
    use CredentialAction as Action;
    let create = matches!(args.action, Action::Set(_) | Action::Import(_) | Action::Refresh(_));
    let mut store = context.latch.credentials(path(context, args.store.as_deref(), OwnStore::Credentials, create)?)?;
    if let Some(passphrase) = passphrase(args)? {
        store = store.passphrase(Passphrase::new(passphrase));
    }
    let store = &store;
    match &args.action {
        Action::Get(args) => get(context, store, args),
        Action::Set(args) => set(store, args),
        Action::Delete(args) => Ok(with_waiting(args.waiting.wait(), |lock| store.delete(&args.key, &lock))?),
        Action::List(_) => list(context, store),
        Action::Import(args) => import(context, store, args),
        Action::Export(args) => export(store, args),
        Action::Refresh(args) => refresh(context, store, args),
        Action::Encrypt(args) => encrypt(store, args),
        Action::Decrypt(args) => {
            if !with_waiting(args.waiting.wait(), |lock| store.decrypt(&lock))? {
                output::note("it was not encrypted");
            }
            Ok(())
        }
    }
}

fn passphrase(args: &Credential) -> Result<Option<Secret>, CliError> {
    let Some(file) = &args.passphrase_file else { return env::passphrase() };
    let takes = match &args.action {
        CredentialAction::Set(_) => true,
        CredentialAction::Import(import) => import.file == Path::new("-"),
        CredentialAction::Encrypt(encrypt) => encrypt.new_passphrase_file.as_deref() == Some(Path::new("-")),
        _ => false,
    };
    if takes && file == Path::new("-") {
        let error = CliError::own("usage", "standard input can't be two things at once");
        return Err(error.hint("nothing was changed; give the passphrase by a file, or by /dev/fd/3 and 3<FILE"));
    }
    secrets::first_line(file).map(Some)
}

fn get(context: &Context, store: &Credentials, args: &CredentialGet) -> Result<(), CliError> {
    let found = store.get(&args.key)?.ok_or_else(|| missing(store, &args.key))?;
    if context.json { output::json(&with_secret(&found)) } else { secrets::print(&found.secret, !args.exact) }
}

fn missing(store: &Credentials, key: &str) -> CliError {
    let shown: String = key.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let message = format!("there is no credential `{shown}` in `{}`", store.path().display());
    CliError::own("no-such-item", message).hint("`filelatch credential list` shows what there is")
}

fn with_secret(found: &Stored) -> Value {
    let mut object = Map::new();
    object.insert("key".to_owned(), found.key.clone().into());
    let text = found.secret.expose_text();
    let secret = text.map_or_else(|| output::base64(found.secret.expose()), str::to_owned);
    object.insert("secret".to_owned(), secret.into());
    if text.is_none() {
        object.insert("encoding".to_owned(), "base64".into());
    }
    object.insert("expires".to_owned(), found.expires.map_or(Value::Null, output::time));
    object.insert("updated".to_owned(), output::time(found.updated));
    object.insert("by".to_owned(), found.by.clone().into());
    object.insert("note".to_owned(), found.note.clone().into());
    Value::Object(object)
}

fn set(store: &Credentials, args: &CredentialSet) -> Result<(), CliError> {
    if args.key.contains('=') || !args.value.is_empty() {
        let error = CliError::own("usage", "a secret is no argument: other users see the arguments of commands");
        let error =
            error.hint("nothing was stored; if that was the secret, replace it: it may be in your shell's history");
        return Err(error.hint("give it on standard input: filelatch credential set KEY < FILE"));
    }
    let secret = secrets::from_stdin("the secret", args.exact)?;
    let mut new = NewCredential::new(secret);
    if let Some(after) = args.expires {
        new = new.expires(RealHost.now() + after);
    }
    if let Some(note) = &args.note {
        new = new.note(note);
    }
    Ok(with_waiting(args.waiting.wait(), |lock| store.set(&args.key, new, &lock))?)
}

fn list(context: &Context, store: &Credentials) -> Result<(), CliError> {
    let (all, encrypted) = (store.list()?, store.is_encrypted()?);
    if context.json {
        let credentials: Vec<_> = all
            .iter()
            .map(|info| {
                json!({
                    "key": info.key,
                    "expires": info.expires.map_or(Value::Null, output::time),
                    "updated": output::time(info.updated),
                    "by": info.by,
                    "note": info.note,
                })
            })
            .collect();
        return output::json(&json!({"encrypted": encrypted == Some(true), "credentials": credentials}));
    }
    if encrypted.is_none() {
        output::note(&format!("there is no file `{}` yet", store.path().display()));
        return Ok(());
    }
    let rows = all.into_iter().map(|info| {
        let ends = info.expires.map_or_else(|| "-".to_owned(), output::moment);
        [info.key, ends, output::moment(info.updated), info.by, info.note.unwrap_or_default()]
    });
    secrets::table(["KEY", "ENDS", "STORED", "BY", "NOTE"], rows)
}

fn import(context: &Context, store: &Credentials, args: &CredentialImport) -> Result<(), CliError> {
    let input = if args.file == Path::new("-") { Some(secrets::from_stdin("the credentials", true)?) } else { None };
    let done = with_waiting(args.waiting.wait(), |lock| match &input {
        Some(input) => store.import(input.expose(), args.replace, &lock),
        None => store.import_file(&args.file, args.replace, &lock),
    })?;
    if context.json {
        let counts = json!({"added": done.added, "replaced": done.replaced, "unchanged": done.unchanged});
        return output::json(&counts);
    }
    output::line(&format!("{} added, {} replaced, {} unchanged", done.added, done.replaced, done.unchanged))
}

fn export(store: &Credentials, args: &CredentialExport) -> Result<(), CliError> {
    if args.file == Path::new("-") {
        return secrets::print(&store.export()?, false);
    }
    Ok(with_waiting(args.waiting.wait(), |lock| store.export_file(&args.file, args.force, &lock))?)
}

fn refresh(context: &Context, store: &Credentials, args: &CredentialRefresh) -> Result<(), CliError> {
    let lasts = |found: &Stored, now: SystemTime| found.lasts(now, args.if_expires_within);
    // A server takes as long as it takes, and whoever renews it meanwhile does it for all.
    let wait = args.timeout.map_or(Wait::Forever, Wait::For);
    let refreshed = with_waiting(Some(wait), |lock: LockOptions<'_>| {
        store.refresh_with(&args.key, lasts, &lock, |old| renewed(args, old))
    })?;
    if args.quiet {
        return Ok(());
    }
    if context.json {
        let mut object = with_secret(&refreshed.credential);
        object["renewed"] = refreshed.called.into();
        return output::json(&object);
    }
    secrets::print(&refreshed.credential.secret, true)
}

/// Runs the command: the old secret is its input, what it prints is the new one.
fn renewed(args: &CredentialRefresh, old: Option<&Stored>) -> Result<NewCredential, CliError> {
    let (program, rest) = args.command.split_first().ok_or_else(|| CliError::own("usage", "there is no command"))?;
    let mut command = Command::new(program);
    command.args(rest).stdin(Stdio::piped()).stdout(Stdio::piped());
    // It is given one secret, not all of them.
    for name in env::PASSPHRASES {
        command.env_remove(name);
    }
    let mut child = command.spawn().map_err(|e| not_started(program, &e))?;
    let fail = |e: std::io::Error| {
        let error = CliError::own("io", format!("cannot talk to the command: {e}"));
        error.hint("nothing was stored; the command may have used up the old secret")
    };
    let (input, output) = (child.stdin.take(), child.stdout.take());
    let printed = std::thread::scope(|scope| {
        scope.spawn(|| {
            // A command that does not want it need not read it.
            if let (Some(mut input), Some(old)) = (input, old) {
                input.write_all(old.secret.expose()).ok();
            }
        });
        let mut output = output.ok_or_else(|| fail(std::io::ErrorKind::BrokenPipe.into()))?;
        secrets::read(&mut output, false, "what the command printed")
    });
    let ended = child.wait().map_err(fail)?;
    let printed = printed?;
    if !ended.success() {
        let error = CliError::own("command-failed", format!("the command failed ({ended})"));
        let error =
            error.hint("nothing was changed; if it has used up the old secret, a new one has to be set by hand");
        return Err(CliError::WithStatus(Box::new(error), status_of(ended)));
    }
    if printed.is_empty() {
        let error = CliError::own("no-secret", "the command printed nothing");
        return Err(error.hint("nothing was changed; the new secret is what it prints on standard output"));
    }
    if args.from_json {
        return parsed(&printed);
    }
    let new = NewCredential::new(printed);
    Ok(args.expires.map_or(new.clone(), |after| new.expires(RealHost.now() + after)))
}

/// `{"secret": …, "expires": …}` or `{"secret": …, "expiresIn": …}`.
fn parsed(printed: &Secret) -> Result<NewCredential, CliError> {
    let wrong = |what: &str| {
        let error = CliError::own("no-secret", format!("the command printed no credential: {what}"));
        error.hint("nothing was changed; the form is {\"secret\": \"…\", \"expiresIn\": 3600}")
    };
    // What the parser says may have a piece of the secret in it.
    let value: Value = serde_json::from_slice(printed.expose()).map_err(|_| wrong("it is not JSON"))?;
    let secret = value.get("secret").and_then(Value::as_str).ok_or_else(|| wrong("there is no text `secret`"))?;
    let new = NewCredential::new(Secret::new(secret));
    match (value.get("expires"), value.get("expiresIn")) {
        (None | Some(Value::Null), None | Some(Value::Null)) => Ok(new),
        (Some(at), None) => {
            let at = at.as_str().and_then(|at| at.parse::<jiff::Timestamp>().ok());
            Ok(new.expires(at.ok_or_else(|| wrong("`expires` is no point in time"))?.into()))
        }
        (None, Some(after)) => {
            let after = after.as_f64().and_then(|after| Duration::try_from_secs_f64(after).ok());
            let ends = after.and_then(|after| RealHost.now().checked_add(after));
            Ok(new.expires(ends.ok_or_else(|| wrong("`expiresIn` is no number of seconds"))?))
        }
        _ => Err(wrong("it has both `expires` and `expiresIn`")),
    }
}

fn encrypt(store: &Credentials, args: &CredentialEncrypt) -> Result<(), CliError> {
    let new = match &args.new_passphrase_file {
        Some(file) => Some(secrets::first_line(file)?),
        None => env::new_passphrase()?,
    };
    let new = new.ok_or_else(|| {
        let error = CliError::own("usage", "there is no new passphrase");
        error.hint("nothing was changed; --new-passphrase-file FILE, or FILELATCH_NEW_PASSPHRASE, gives it")
    })?;
    let new = Passphrase::new(new);
    with_waiting(args.waiting.wait(), |lock| store.encrypt(&new, &lock))?;
    Ok(())
}
