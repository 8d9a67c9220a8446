//! The schemas that clients check arguments and answers with.
//!
//! # Promise
//! They are plain JSON Schema without references, dialects and formats that only some checkers know. An answer of a tool is either its own or a
//! refusal, and the output schema says both: some clients check refusals, too.

use rmcp::model::JsonObject;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// The schema of a type.
pub(crate) fn of<T: JsonSchema>() -> JsonObject {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    let mut schema = schema.to_value();
    plain(&mut schema);
    let Value::Object(mut schema) = schema else { return JsonObject::default() };
    schema.entry("properties").or_insert_with(|| json!({}));
    schema
}

/// The schema of what a tool answers: `T` or a refusal.
pub(crate) fn answer<T: JsonSchema>() -> JsonObject {
    let told = |mut schema: JsonObject, ok: bool| {
        schema["properties"]["ok"] = json!({"type": "boolean", "const": ok});
        schema
    };
    let schema = json!({
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "anyOf": [told(of::<T>(), true), told(of::<Refusal>(), false)],
    });
    match schema {
        Value::Object(schema) => schema,
        _ => JsonObject::default(),
    }
}

/// Leaves out the names of types, and formats of numbers, which are Rust's.
fn plain(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("title").is_some_and(Value::is_string) {
                object.remove("title");
            }
            if object.get("format").is_some_and(Value::is_string) {
                object.remove("format");
            }
            object.values_mut().for_each(plain);
        }
        Value::Array(values) => values.iter_mut().for_each(plain),
        _ => {}
    }
}
