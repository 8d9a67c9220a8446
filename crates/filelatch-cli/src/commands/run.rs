//! `filelatch run`: a command under the locks of files (P12).

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, ExitStatus};

use filelatch::{Filelatch, Guard, Inherited, LockOptions, RecordGuard, SharedGuard, Wait};

use super::run_leased;
use crate::args::{Global, Run};
use crate::context::{Context, with_waiting};
use crate::held::Held;
use crate::render::CliError;
use crate::{env, exit, output};

/// Held until dropped.
#[derive(Default)]
struct Locks {
    exclusive: Vec<Guard>,
    shared: Vec<SharedGuard>,
    records: Vec<RecordGuard>,
}

pub(crate) fn run(global: &Global, args: &Run) -> Result<u8, CliError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::own("usage", "there is no command to run"));
    };
    let purpose = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let context = Context::new(global, &purpose, args.files.len() > 1);
    if let Some(max_hold) = args.max_hold {
        let mut command = Command::new(program);
        command.args(arguments);
        return run_leased::run(&context, args, &mut command, max_hold);
    }
    let locks = lock(&context, args).map_err(|error| match error.status() {
        exit::NO_LOCK => CliError::WithStatus(Box::new(error), args.conflict_exit_code),
        _ => error,
    })?;
    let held = hand_on(&locks, &context.held, args.close)?;

    let mut command = Command::new(program);
    command.args(arguments);
    match held.to_value() {
        value if value.is_empty() => command.env_remove(env::HELD),
        value => command.env(env::HELD, value),
    };
    let status = execute(&mut command, program)?;
    // What the command has left running keeps the locks it inherited; the others end here.
    drop(locks);
    Ok(status)
}

fn lock(context: &Context, args: &Run) -> Result<Locks, CliError> {
    // Kept until the locks are had: their locks may be inherited, which is found out once for each handle.
    let files = args.files.iter().map(|path| context.file_or_record(path)).collect::<Result<Vec<_>, _>>()?;
    for (file, record) in &files {
        if args.shared && record.is_some() {
            let message = format!("`{}` is a record, and records have no shared locks", file.path().display());
            return Err(CliError::own("usage", message).hint("leave `--shared` away, or name the file"));
        }
        context.check_held(file, record.as_deref(), !args.shared)?;
    }
    let wait = if args.no_wait { Wait::No } else { args.timeout.map_or(Wait::Forever, Wait::For) };
    let whole: Vec<_> = files.iter().filter(|(_, record)| record.is_none()).map(|(file, _)| file).collect();
    let paths = || whole.iter().map(|file| file.path());
    // Who has the whole file needs none of its records.
    let records = files.iter().filter(|(file, _)| !whole.iter().any(|whole| whole.id() == file.id()));
    let records = records.filter_map(|(file, record)| Some((file.path(), record.as_deref()?)));
    let locks = with_waiting(Some(wait), |options: LockOptions<'_>| {
        let latch: &Filelatch = &context.latch;
        let mut locks = Locks::default();
        if args.shared {
            locks.shared = latch.lock_all_shared(paths(), &options)?;
        } else {
            locks.exclusive = latch.lock_all(paths(), &options)?;
        }
        locks.records = latch.lock_all_records(records, &options)?;
        Ok::<_, filelatch::Error>(locks)
    })?;
    if files.iter().all(|(file, _)| file.policy().locks) {
        locks.each(|_, warning, _| warning.map(output::warning));
    }
    Ok(locks)
}

impl Locks {
    /// Resource, warning, and how to make the lock inheritable.
    fn each<T>(
        &self,
        mut each: impl FnMut(String, Option<&str>, &dyn Fn() -> filelatch::Result<Option<u64>>) -> T,
    ) -> Vec<T> {
        let mut all = Vec::new();
        all.extend(self.exclusive.iter().map(|g| each(g.resource_name(), g.warning(), &|| g.make_inheritable())));
        all.extend(self.shared.iter().map(|g| each(g.resource_name(), g.warning(), &|| g.make_inheritable())));
        all.extend(self.records.iter().map(|g| each(g.resource_name(), g.warning(), &|| g.make_inheritable())));
        all
    }
}

/// Lets the command inherit the locks, unless they are to be kept from it; answers what it is told of them.
fn hand_on(locks: &Locks, outer: &Held, close: bool) -> Result<Held, CliError> {
    let mut held = outer.clone();
    let handed = locks.each(|resource, warning, make_inheritable| {
        let handed = if close || warning.is_some() { Ok(None) } else { make_inheritable() };
        handed.map(|descriptor| (resource, descriptor))
    });
    for result in handed {
        let (resource, descriptor) = result?;
        let known = held.inherited.iter_mut().find(|inherited| inherited.resource == resource);
        match (descriptor, known) {
            (Some(descriptor), Some(known)) => known.descriptor = descriptor,
            (Some(descriptor), None) => held.inherited.push(Inherited { resource, descriptor }),
            (None, None) if close => held.kept.push((resource, env::own_pid())),
            // What was inherited, the command inherits as well: it can't be kept from it.
            (None, _) => {}
        }
    }
    Ok(held)
}

#[cfg(unix)]
fn execute(command: &mut Command, program: &OsStr) -> Result<u8, CliError> {
    let signals = |e| CliError::own("io", format!("cannot handle signals: {e}")).hint("the command was not run");
    let caught = crate::signals::catch().map_err(signals)?;
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return not_run(program, &error),
    };
    // Without the thread a request to end does not reach the command; that is no reason to leave it.
    caught.pass_on_to(&child).ok();
    let status = child.wait().map_err(|e| CliError::own("io", format!("cannot wait for the command: {e}")))?;
    Ok(status_of(status))
}

#[cfg(not(unix))]
fn execute(command: &mut Command, program: &OsStr) -> Result<u8, CliError> {
    match command.status() {
        Ok(status) => Ok(status_of(status)),
        Err(error) => not_run(program, &error),
    }
}

fn not_run(program: &OsStr, error: &io::Error) -> Result<u8, CliError> {
    Err(not_started(program, error))
}

pub(super) fn not_started(program: &OsStr, error: &io::Error) -> CliError {
    let status = if error.kind() == io::ErrorKind::NotFound { exit::NOT_FOUND } else { exit::NOT_EXECUTABLE };
    let kind = if status == exit::NOT_FOUND { "command-not-found" } else { "not-executable" };
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text).to_owned();
    let message = format!("cannot run `{}`: {}", Path::new(program).display(), text.to_lowercase());
    CliError::WithStatus(Box::new(CliError::own(kind, message)), status)
}

#[cfg(unix)]
pub(super) fn status_of(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let signal = |signal| u8::try_from(signal).unwrap_or_default().saturating_add(exit::SIGNALLED);
    match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(exit::ERROR),
        (None, Some(number)) => signal(number),
        (None, None) => exit::ERROR,
    }
}

#[cfg(not(unix))]
pub(super) fn status_of(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::ERROR)
}
