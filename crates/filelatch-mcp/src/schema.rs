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

/// The schema of a type that is read: of arguments.
pub(crate) fn of<T: JsonSchema>() -> JsonObject {
    made::<T>(SchemaSettings::draft2020_12())
}

fn made<T: JsonSchema>(settings: SchemaSettings) -> JsonObject {
    let settings = settings.with(|settings| {
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

/// The schema of a type that is written: what is left out at times is not required.
fn written<T: JsonSchema>() -> JsonObject {
    made::<T>(SchemaSettings::draft2020_12().for_serialize())
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
        "anyOf": [told(written::<T>(), true), told(written::<Refusal>(), false)],
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

#[cfg(test)]
mod tests {
    use super::*;

    /// AGENT-8: clients that check answers with the schema take those without what is left out at times.
    #[test]
    fn what_may_be_left_out_is_not_required() {
        let refusal = Value::Object(answer::<Refusal>())["anyOf"][1]["required"].clone();
        assert_eq!(refusal, json!(["ok", "kind", "message", "not_done", "next"]));
    }
}
