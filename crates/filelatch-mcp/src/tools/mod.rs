//! The tools: one file for each, with its arguments, its answer, what it is for in words for a model, and its work.

mod append;
mod apply_many;
mod changes;
pub(crate) mod conflicts;
mod doctor;
mod edit;
mod history;
mod lease;
mod patch_doc;
pub(crate) mod read;
mod session;
pub(crate) mod status;
mod write;

use std::sync::LazyLock;

use rmcp::model::{JsonObject, Tool as Described, ToolAnnotations};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::keys::Key;
use crate::refusal::Refusal;
use crate::schema;
use crate::work::{Call, Work};

/// All tools, in the order in which they are listed. A new one is a line here.
static TABLE: LazyLock<Vec<Entry>> = LazyLock::new(|| {
    vec![
        Entry::of::<read::Read>(),
        Entry::of::<edit::Edit>(),
        Entry::of::<write::Write>(),
        Entry::of::<patch_doc::PatchDoc>(),
        Entry::of::<append::Append>(),
        Entry::of::<apply_many::ApplyMany>(),
        Entry::of::<status::Status>(),
        Entry::of::<lease::Lease>(),
        Entry::of::<changes::Changes>(),
        Entry::of::<conflicts::Conflicts>(),
        Entry::of::<history::History>(),
        Entry::of::<session::Session>(),
        Entry::of::<doctor::Doctor>(),
    ]
});

/// What a tool may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// It changes nothing.
    Reads,
    /// It changes things if it is asked to; a server that only reads offers it, and it refuses by [`Call::may_write`].
    Both,
    /// It is for changing things.
    Writes,
}

/// A tool.
pub(crate) trait Tool {
    /// What it is asked. Types of arguments have `deny_unknown_fields`.
    type Arguments: DeserializeOwned + JsonSchema;
    /// What it answers. Its first field is `ok: bool`, true.
    type Answer: Serialize + JsonSchema;
    /// As it is called.
    const NAME: &'static str;
    /// As people see it.
    const TITLE: &'static str;
    /// For a model, at most 60 words: what it does, when to use it, what a refusal means.
    const DESCRIPTION: &'static str;
    /// What it may do.
    const ACCESS: Access;
    /// Can what it changes be lost? (What replaces content can; what adds can't.)
    const DESTROYS: bool = false;
    /// Does a second call with the same arguments change nothing more?
    const IDEMPOTENT: bool = false;
    /// Whom it may keep waiting.
    const WORK: Work;

    /// Does it.
    fn run(call: &Call, arguments: Self::Arguments) -> Result<Self::Answer, Refusal>;
}

/// A tool in the table.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) described: Described,
    pub(crate) access: Access,
    pub(crate) work: Work,
    pub(crate) run: fn(&Call, JsonObject) -> Result<Value, Refusal>,
}

impl Entry {
    fn of<T: Tool>() -> Entry {
        let mut described = Described::new(T::NAME, T::DESCRIPTION, schema::of::<T::Arguments>());
        let reads = T::ACCESS == Access::Reads;
        described.title = Some(T::TITLE.to_owned());
        described.output_schema = Some(schema::answer::<T::Answer>().into());
        described.annotations = Some(ToolAnnotations::from_raw(
            Some(T::TITLE.to_owned()),
            Some(reads),
            Some(!reads && T::DESTROYS),
            Some(reads || T::IDEMPOTENT),
            Some(false),
        ));
        Entry { described, access: T::ACCESS, work: T::WORK, run: run::<T> }
    }
}

/// The tools that a server offers.
pub(crate) fn offered(read_only: bool) -> impl Iterator<Item = &'static Entry> {
    TABLE.iter().filter(move |tool| !read_only || tool.access != Access::Writes)
}

/// The tool of a name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    TABLE.iter().find(|tool| tool.described.name == name)
}

fn run<T: Tool>(call: &Call, arguments: JsonObject) -> Result<Value, Refusal> {
    if T::ACCESS == Access::Writes {
        call.may_write()?;
    }
    let key = Key::of(T::NAME, &arguments)?;
    let arguments = serde_path_to_error::deserialize(Value::Object(arguments)).map_err(|e| malformed::<T>(&e))?;
    let answer = match key {
        None => T::run(call, arguments),
        key => T::run(&call.with_key(key), arguments),
    }?;
    serde_json::to_value(answer).map_err(|e| {
        let refusal = Refusal::new("internal", format!("the answer cannot be written down: {e}"));
        refusal.not_done("what was asked may have been done: read the file to see")
    })
}

fn malformed<T: Tool>(error: &serde_path_to_error::Error<serde_json::Error>) -> Refusal {
    let path = error.path().to_string();
    let place = if path == "." { String::new() } else { format!(" (at `{path}`)") };
    Refusal::malformed(format!("the arguments of `{}` are wrong: {}{place}", T::NAME, error.inner()))
        .hint("make the call again with arguments as the tool's input schema has them")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-8: descriptions are short, names are the table's, and every schema is an object without references.
    #[test]
    fn described() {
        let mut names = std::collections::BTreeSet::new();
        for tool in offered(false) {
            let described = &tool.described;
            let name = &*described.name;
            assert!(names.insert(name), "{name} twice");
            let words = described.description.as_deref().unwrap_or_default().split_whitespace().count();
            assert!((10..=60).contains(&words), "{name}: {words} words");
            let output = described.output_schema.as_deref().unwrap();
            for schema in [&*described.input_schema, output] {
                assert_eq!(schema["type"], "object", "{name}");
                let text = serde_json::to_string(schema).unwrap();
                assert!(!text.contains("$ref") && !text.contains("$schema"), "{name}: {text}");
            }
            let closed = described.input_schema.get("additionalProperties");
            assert_eq!(closed, Some(&Value::Bool(false)), "{name} takes unknown fields");
            assert!(output["anyOf"][0]["properties"]["ok"].is_object(), "{name}");
            assert!(std::ptr::eq(find(name).unwrap(), tool));
        }
        assert!(find("nothing").is_none());
    }
}
