//! `filelatch read`: a file's content, and in JSON what is known of it.

use filelatch::Snapshot;
use serde_json::{Map, Value, json};

use crate::args::Read;
use crate::context::{Context, with_waiting};
use crate::render::CliError;
use crate::{exit, output};

pub(crate) fn read(context: &Context, args: &Read) -> Result<u8, CliError> {
    match snapshot(context, args) {
        Ok(snapshot) if context.json => output::json(&describe(args, &snapshot)).map(|()| exit::DONE),
        Ok(snapshot) => output::data(snapshot.bytes()).map(|()| exit::DONE),
        Err(error) if context.json && error.status() == exit::NO_FILE => {
            output::json(&json!({
                "path": output::path(&args.file),
                "exists": false,
                "content": null,
                "hash": null,
                "size": null,
                "lastModifiedBy": null,
                "lastModifiedAt": null,
            }))?;
            Ok(exit::NO_FILE)
        }
        Err(error) => Err(error),
    }
}

fn snapshot(context: &Context, args: &Read) -> Result<Snapshot, CliError> {
    let file = context.file(&args.file)?;
    let read = || if args.durable { file.read_durable() } else { file.read() };
    if !args.shared {
        return Ok(read()?);
    }
    context.check_held(&file, None, false)?;
    // Looked for first: a mistyped name leaves no lock file behind.
    read()?;
    let guard = with_waiting(args.waiting.wait(), |options| file.lock_shared(&options))?;
    if let Some(warning) = guard.warning().filter(|_| file.policy().locks) {
        output::warning(warning);
    }
    Ok(read()?)
}

fn describe(args: &Read, snapshot: &Snapshot) -> Value {
    let mut object = Map::new();
    object.insert("path".to_owned(), output::path(&args.file));
    object.insert("exists".to_owned(), true.into());
    output::content(&mut object, snapshot.bytes());
    object.insert("hash".to_owned(), snapshot.version().to_string().into());
    object.insert("size".to_owned(), snapshot.bytes().len().into());
    object.insert("lastModifiedBy".to_owned(), output::author(snapshot.author()));
    object.insert("lastModifiedAt".to_owned(), output::time(snapshot.modified_at()));
    Value::Object(object)
}
