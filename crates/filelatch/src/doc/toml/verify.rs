//! The independent check of an edited TOML text: `toml_edit` reads the old and the new text; the new one must be the old
//! one plus the change.

use serde_json::{Map, Number, Value};
use toml_edit::{Item, TableLike};

use super::super::delta::Delta;
use super::super::number::same_kind_value;
use super::super::syntax::Syntax;
use super::super::{DocError, Format};
use super::TomlSyntax;

pub(super) fn verify(syntax: &TomlSyntax, new: &str, delta: &Delta) -> Result<(), DocError> {
    let failed = |message: String| DocError::VerifyFailed { format: Format::Toml, message };
    let old = read(&syntax.text).map_err(failed)?;
    let ours = syntax.value(syntax.root())?;
    if !same_kind_value(&old, &ours) {
        return Err(failed("two parsers disagree about the text as it was".to_owned()));
    }
    let found = read(new).map_err(failed)?;
    if same_kind_value(&found, &delta.apply(old)) {
        Ok(())
    } else {
        Err(failed("another value than intended".to_owned()))
    }
}

/// What `toml_edit` reads.
fn read(text: &str) -> Result<Value, String> {
    let document = toml_edit::Document::parse(text).map_err(|error| error.message().to_owned())?;
    table(document.as_table())
}

fn table(table: &dyn TableLike) -> Result<Value, String> {
    let fields = table.iter().map(|(key, item)| Ok((key.to_owned(), from_item(item)?)));
    Ok(Value::Object(fields.collect::<Result<Map<_, _>, String>>()?))
}

fn from_item(item: &Item) -> Result<Value, String> {
    match item {
        Item::None => Ok(Value::Null),
        Item::Value(value) => from_value(value),
        Item::Table(inner) => table(inner),
        Item::ArrayOfTables(tables) => {
            Ok(Value::Array(tables.iter().map(|inner| table(inner)).collect::<Result<_, _>>()?))
        }
    }
}

fn from_value(value: &toml_edit::Value) -> Result<Value, String> {
    Ok(match value {
        toml_edit::Value::String(text) => Value::String(text.value().clone()),
        toml_edit::Value::Integer(number) => Value::Number(Number::from(*number.value())),
        toml_edit::Value::Boolean(value) => Value::Bool(*value.value()),
        toml_edit::Value::Float(number) => {
            let number = *number.value();
            let text =
                if number.is_nan() && number.is_sign_negative() { "-nan".to_owned() } else { number.to_string() };
            Number::from_f64(number).map_or_else(|| Value::String(text.replace("NaN", "nan")), Value::Number)
        }
        toml_edit::Value::Datetime(datetime) => Value::String(datetime.display_repr().into_owned()),
        toml_edit::Value::Array(items) => Value::Array(items.iter().map(from_value).collect::<Result<_, _>>()?),
        toml_edit::Value::InlineTable(inner) => table(inner)?,
    })
}

/// Where the key defined again at `second` was defined first: the last point up to which the text is valid and has it.
pub(super) fn first_definition(text: &str, second: usize) -> Option<usize> {
    let statements = super::scan::scan(text).ok()?;
    let at = statements.iter().position(|statement| statement.range().contains(&second))?;
    let is_header = |i: usize| matches!(statements[i], super::scan::Statement::Header { .. });
    let names = |i: usize| -> Vec<&str> {
        let (super::scan::Statement::Header { keys, .. } | super::scan::Statement::Pair { keys, .. }) = &statements[i];
        keys.iter().map(|key| key.name.as_str()).collect()
    };
    let section = |i: usize| (0..i).rev().find(|&i| is_header(i));
    let twin = (0..at).find(|&i| {
        is_header(i) == is_header(at) && names(i) == names(at) && (is_header(at) || section(i) == section(at))
    })?;
    Some(statements[twin].range().start)
}
