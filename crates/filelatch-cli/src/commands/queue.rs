//! `filelatch queue`: commands that any number of runners share.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use filelatch::Wait;
use filelatch::store::StoreFolder;
use filelatch::store::queue::{
    Beside, ClaimOptions, CommandUpdate, NewCommand, Outcome, PruneOptions, Queue, QueuedCommand,
};
use serde_json::{Map, Value, json};

use super::queue_run;
use crate::args::Global;
use crate::args_queue::{self as args, QueueAction, When};
use crate::context::Context;
use crate::render::CliError;
use crate::{exit, output};

pub(crate) fn queue(global: &Global, args: &args::Queue) -> Result<u8, CliError> {
    let context = Context::new(global, "filelatch queue", false);
    let of = |name: &Path| open(&context, name, false);
    match &args.action {
        QueueAction::Add(args) => add(&context, args),
        QueueAction::List(args) => list(&context, &of(&args.queue)?, args),
        QueueAction::Show(args) => show(&context, &of(&args.queue)?.get(&args.id)?),
        QueueAction::Update(args) => {
            of(&args.queue)?.update(&args.id, update(args)?)?;
            told(&context, json!({"id": args.id}))
        }
        QueueAction::Move(args) => {
            of(&args.queue)?.move_to(&args.id, &beside(args))?;
            told(&context, json!({"id": args.id}))
        }
        QueueAction::Remove(args) => {
            let queue = of(&args.queue)?;
            if args.force { queue.remove_by_force(&args.id) } else { queue.remove(&args.id) }?;
            told(&context, json!({"id": args.id}))
        }
        QueueAction::Run(args) => queue_run::run(&context, of(&args.queue)?, args),
        QueueAction::Claim(args) => return claim(&of(&args.queue)?, args),
        QueueAction::Heartbeat(args) => {
            let claim = &args.claim;
            of(&claim.queue)?.beat(&claim.id, claim.token, args.lease)?;
            told(&context, json!({"id": claim.id}))
        }
        QueueAction::Complete(args) => {
            let claim = &args.claim;
            of(&claim.queue)?.complete(&claim.id, claim.token, &outcome(args))?;
            told(&context, json!({"id": claim.id, "state": "done"}))
        }
        QueueAction::Fail(args) => {
            let claim = &args.end.claim;
            let queue = of(&claim.queue)?;
            let outcome = outcome(&args.end).retries(args.retries).retry_delay(args.retry_delay);
            queue.fail(&claim.id, claim.token, &outcome)?;
            told(&context, json!({"id": claim.id, "state": queue.get(&claim.id)?.state.word()}))
        }
        QueueAction::Release(args) => {
            let claim = &args.claim;
            of(&claim.queue)?.release(&claim.id, claim.token)?;
            told(&context, json!({"id": claim.id, "state": "pending"}))
        }
        QueueAction::Again(args) => {
            of(&args.queue)?.again(&args.id)?;
            told(&context, json!({"id": args.id, "state": "pending"}))
        }
        QueueAction::Prune(args) => prune(&context, &of(&args.queue)?, args),
    }?;
    Ok(exit::DONE)
}

fn open(context: &Context, name: &Path, create: bool) -> Result<Queue, CliError> {
    let path: PathBuf = context.latch.store_path(".", StoreFolder::Queues, name, create)?;
    Ok(context.latch.queue(path)?)
}

/// Only programs want to be told that what was asked for was done.
fn told(context: &Context, mut answer: Value) -> Result<(), CliError> {
    if !context.json {
        return Ok(());
    }
    answer["success"] = true.into();
    output::json(&answer)
}

fn add(context: &Context, args: &args::QueueAdd) -> Result<(), CliError> {
    let mut command = NewCommand::new(&args.command);
    let When { priority, delay, retries, retry_delay, backoff } = args.when;
    if let Some(id) = &args.id {
        command = command.id(id);
    }
    if let Some(priority) = priority {
        command = command.priority(priority);
    }
    if let Some(delay) = delay {
        command = command.delay(delay);
    }
    if let Some(retries) = retries {
        command = command.retries(retries);
    }
    if let Some(delay) = retry_delay {
        command = command.retry_delay(delay);
    }
    if let Some(factor) = backoff {
        command = command.backoff(factor);
    }
    let id = open(context, &args.queue, true)?.add(command)?;
    if context.json { output::json(&json!({"id": id})) } else { output::line(&id) }
}

fn update(args: &args::QueueUpdate) -> Result<CommandUpdate, CliError> {
    let When { priority, delay, retries, retry_delay, backoff } = args.when;
    let mut update = CommandUpdate::new();
    if let Some(priority) = priority {
        update = update.priority(priority);
    }
    if let Some(delay) = delay {
        update = update.delay(delay);
    }
    if let Some(retries) = retries {
        update = update.retries(retries);
    }
    if let Some(delay) = retry_delay {
        update = update.retry_delay(delay);
    }
    if let Some(factor) = backoff {
        update = update.backoff(factor);
    }
    if !args.command.is_empty() {
        update = update.command(&args.command);
    }
    let numbers = [priority.is_some(), retries.is_some(), backoff.is_some()];
    if args.command.is_empty() && delay.is_none() && retry_delay.is_none() && !numbers.contains(&true) {
        let error = CliError::own("usage", "nothing is to be changed");
        return Err(error.hint("give an option, or another command after `--`"));
    }
    Ok(update)
}

fn beside(args: &args::QueueMove) -> Beside {
    match (&args.before, &args.after) {
        (Some(other), _) => Beside::Before(other.clone()),
        (None, Some(other)) => Beside::After(other.clone()),
        (None, None) if args.first => Beside::First,
        (None, None) => Beside::Last,
    }
}

fn outcome(args: &args::QueueEnd) -> Outcome {
    let mut outcome = Outcome::new();
    if let Some(code) = args.exit_code {
        outcome = outcome.exit_code(code);
    }
    if let Some(text) = &args.result {
        outcome = outcome.result(serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str())));
    }
    outcome
}

fn claim(queue: &Queue, args: &args::QueueClaim) -> Result<u8, CliError> {
    let mut options = ClaimOptions::new().lease(args.lease);
    if let Some(wait) = args.wait {
        options = options.wait(Wait::For(wait));
    }
    let Some(claim) = queue.claim_by_lease(&options)? else {
        let message = format!("nothing is claimable in `{}`", queue.path().display());
        let error =
            CliError::own("nothing-claimable", message).hint("nothing was changed; `--wait 5m` waits for a command");
        return Err(CliError::WithStatus(Box::new(error), exit::NO_FILE));
    };
    output::json(&json!({
        "id": claim.id,
        "token": claim.token,
        "command": claim.command,
        "attempt": claim.attempt,
        "lease": claim.lease.as_secs_f64(),
    }))?;
    Ok(exit::DONE)
}

fn prune(context: &Context, queue: &Queue, args: &args::QueuePrune) -> Result<(), CliError> {
    let mut options = PruneOptions::new();
    if let Some(keep) = args.keep {
        options = options.keep(keep);
    }
    if let Some(time) = args.older_than {
        options = options.older_than(time);
    }
    if args.failed {
        options = options.failed_too();
    }
    let pruned = queue.prune(&options)?;
    if context.json { output::json(&json!({"pruned": pruned})) } else { output::line(&pruned.to_string()) }
}

fn list(context: &Context, queue: &Queue, args: &args::QueueList) -> Result<(), CliError> {
    let mut commands = queue.list()?;
    if !args.state.is_empty() {
        commands.retain(|command| args.state.iter().any(|state| state == command.state.word()));
    }
    if context.json {
        return output::json(&commands.iter().map(to_json).collect());
    }
    if commands.is_empty() {
        output::note("the list is empty");
        return Ok(());
    }
    let width = commands.iter().map(|command| command.id.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for command in &commands {
        let line = format!("{:width$}  {:8}  {}\n", command.id, state(command), words(&command.command));
        text.push_str(&line);
    }
    output::data(text.as_bytes())
}

fn state(command: &QueuedCommand) -> String {
    match (command.state.word(), command.exit_code) {
        ("failed", Some(code)) => format!("failed {code}"),
        ("claimed", _) if command.claimable => "left".to_owned(),
        (word, _) => word.to_owned(),
    }
}

fn show(context: &Context, command: &QueuedCommand) -> Result<(), CliError> {
    let object = to_json(command);
    if context.json {
        return output::json(&object);
    }
    let mut text = String::new();
    for (key, value) in object.as_object().into_iter().flatten() {
        let value = match value {
            Value::String(value) => value.clone(),
            _ if key == "command" => words(&command.command),
            other => other.to_string(),
        };
        writeln!(text, "{key:10}  {value}").ok();
    }
    output::data(text.as_bytes())
}

fn to_json(command: &QueuedCommand) -> Value {
    let mut object = Map::new();
    let mut put = |key: &str, value: Value| {
        if !value.is_null() {
            object.insert(key.to_owned(), value);
        }
    };
    put("id", command.id.as_str().into());
    put("command", json!(command.command));
    put("state", command.state.word().into());
    put("attempts", command.attempts.into());
    put("priority", command.priority.into());
    put("failures", command.failures.into());
    put("runner", json!(command.runner));
    put("claimable", if command.claimable { true.into() } else { Value::Null });
    put("exitCode", json!(command.exit_code));
    put("result", command.result.clone().unwrap_or_default());
    put("token", json!(command.token));
    put("addedAt", output::time(command.added));
    put("notBefore", command.not_before.map_or(Value::Null, output::time));
    put("claimedAt", command.claimed_at.map_or(Value::Null, output::time));
    put("endedAt", command.ended_at.map_or(Value::Null, output::time));
    Value::Object(object)
}

/// As a shell would be given it; what a terminal takes for orders is written out.
fn words(words: &[String]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%^".contains(c);
    let quoted = |word: &String| {
        if !word.is_empty() && word.chars().all(plain) {
            return word.clone();
        }
        let mut text = String::from("'");
        for c in word.chars() {
            match c {
                '\'' => text.push_str("'\\''"),
                c if c.is_control() => text.extend(c.escape_default()),
                c => text.push(c),
            }
        }
        text.push('\'');
        text
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// STORE-2: a listed command stays on its line and can be given to a shell.
    #[test]
    fn commands_as_words() {
        let of = |list: &[&str]| words(&list.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["make", "-j2", "a b", ""]), "make -j2 'a b' ''");
        assert_eq!(of(&["it's", "a\nb\u{1b}"]), "'it'\\''s' 'a\\nb\\u{1b}'");
    }
}
