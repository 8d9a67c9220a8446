//! The independent check of an edited JSON text.
//!
//! Strict JSON is read by `serde_json` in one pass that builds nothing: it follows the change, compares what changed with
//! what was intended, counts the members of every object on the way and skips the rest, of which it checks the grammar.
//! The skipped parts are the same bytes as before. Texts with comments or trailing commas are read by `jsonc-parser`.

use std::fmt;

use jsonc_parser::{JsonValue, ParseOptions};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::super::DocError;
use super::super::delta::{Change, Delta, ObjectDelta, Slot};
use super::super::syntax::{NodeId, Syntax};
use super::JsonSyntax;

pub(super) fn verify(syntax: &JsonSyntax, new: &str, delta: &Delta) -> Result<(), DocError> {
    let failed = |message: String| DocError::VerifyFailed { format: syntax.format, message };
    if syntax.relaxed {
        let found = parse_relaxed(new).map_err(failed)?;
        let old = parse_relaxed(&syntax.text).map_err(failed)?;
        return if found == delta.apply(old) { Ok(()) } else { Err(failed("another value than intended".to_owned())) };
    }
    let mut deserializer = serde_json::Deserializer::from_str(new);
    let expected = Expected::Delta { syntax, node: syntax.root(), delta };
    expected.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|error| failed(error.to_string()))
}

/// What is to be found in the new text.
#[derive(Clone, Copy)]
enum Expected<'e> {
    /// Anything: these bytes were not touched.
    Untouched,
    /// This value.
    Value(&'e Value),
    /// The old node plus the change.
    Delta { syntax: &'e JsonSyntax, node: NodeId, delta: &'e Delta },
}

impl<'de> DeserializeSeed<'de> for Expected<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        match self {
            Self::Untouched => IgnoredAny::deserialize(deserializer).map(drop),
            Self::Value(value) | Self::Delta { delta: Delta::Replace(value), .. } => match value {
                Value::Null => <()>::deserialize(deserializer),
                Value::Bool(wanted) => same(&bool::deserialize(deserializer)?, wanted),
                Value::Number(wanted) => same(&Number::deserialize(deserializer)?, wanted),
                Value::String(wanted) => deserializer.deserialize_str(Text(wanted)),
                Value::Array(_) => deserializer.deserialize_seq(self),
                Value::Object(_) => deserializer.deserialize_map(self),
            },
            Self::Delta { delta: Delta::Array(_), .. } => deserializer.deserialize_seq(self),
            Self::Delta { delta: Delta::Object(_), .. } => deserializer.deserialize_map(self),
        }
    }
}

fn same<T: PartialEq + fmt::Display, E: Error>(found: &T, wanted: &T) -> Result<(), E> {
    if found == wanted { Ok(()) } else { Err(E::custom(format_args!("found {found}, intended {wanted}"))) }
}

impl<'de> Visitor<'de> for Expected<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the intended value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let wanted = match self {
            Self::Value(Value::Array(items)) | Self::Delta { delta: Delta::Replace(Value::Array(items)), .. } => {
                items.len()
            }
            Self::Delta { delta: Delta::Array(slots), .. } => slots.len(),
            _ => return Err(A::Error::custom("found an array")),
        };
        let mut found = 0;
        while seq.next_element_seed(self.element(found))?.is_some() {
            found += 1;
        }
        same(&found, &wanted)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let wanted = match self {
            Self::Value(Value::Object(fields)) | Self::Delta { delta: Delta::Replace(Value::Object(fields)), .. } => {
                Fields::All(fields)
            }
            Self::Delta { syntax, node, delta: Delta::Object(delta) } => Fields::Some(syntax, node, delta),
            _ => return Err(A::Error::custom("found an object")),
        };
        let (mut found, mut added) = (0, 0);
        while let Some(field) = map.next_key_seed(wanted)? {
            map.next_value_seed(field.expected)?;
            found += 1;
            added += usize::from(field.is_new);
        }
        let (count, new) = wanted.counts();
        same(&found, &count)?;
        same(&added, &new)
    }
}

impl<'e> Expected<'e> {
    fn element(self, index: usize) -> Expected<'e> {
        match self {
            Self::Value(Value::Array(items)) | Self::Delta { delta: Delta::Replace(Value::Array(items)), .. } => {
                items.get(index).map_or(Self::Untouched, Self::Value)
            }
            Self::Delta { syntax, node, delta: Delta::Array(slots) } => match slots.get(index) {
                Some(Slot::New(value)) => Self::Value(value),
                Some(Slot::Edit(old, delta)) => match syntax.item(node, *old) {
                    Some(node) => Self::Delta { syntax, node, delta },
                    None => Self::Untouched,
                },
                // Behind the end the wrong count is the error.
                Some(Slot::Keep(_)) | None => Self::Untouched,
            },
            _ => Self::Untouched,
        }
    }
}

/// The fields an object should have.
#[derive(Clone, Copy)]
enum Fields<'e> {
    All(&'e Map<String, Value>),
    Some(&'e JsonSyntax, NodeId, &'e ObjectDelta),
}

/// What is expected of one field.
struct Field<'e> {
    expected: Expected<'e>,
    is_new: bool,
}

impl<'e> Fields<'e> {
    /// How many fields there should be, and how many of them new.
    fn counts(self) -> (usize, usize) {
        match self {
            Self::All(fields) => (fields.len(), fields.len()),
            Self::Some(syntax, node, delta) => {
                let removed = delta.changed.values().filter(|change| matches!(change, Change::Remove)).count();
                (syntax.count(node) - removed + delta.added.len(), delta.added.len())
            }
        }
    }

    fn field<E: Error>(self, key: &str) -> Result<Field<'e>, E> {
        let (expected, is_new) = match self {
            Self::All(fields) => match fields.get(key) {
                Some(value) => (Expected::Value(value), true),
                None => return Err(E::custom(format_args!("`{key}` should not be there"))),
            },
            Self::Some(syntax, node, delta) => match (delta.changed.get(key), delta.added.get(key)) {
                (Some(Change::Remove), _) => return Err(E::custom(format_args!("`{key}` should be gone"))),
                (Some(Change::Edit(delta)), _) => match syntax.field(node, key) {
                    Ok(Some(node)) => (Expected::Delta { syntax, node, delta }, false),
                    _ => return Err(E::custom(format_args!("`{key}` was not there before"))),
                },
                (None, Some(value)) => (Expected::Value(value), true),
                (None, None) => (Expected::Untouched, false),
            },
        };
        Ok(Field { expected, is_new })
    }
}

impl<'de, 'e> DeserializeSeed<'de> for Fields<'e> {
    type Value = Field<'e>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<'e>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'e> Visitor<'_> for Fields<'e> {
    type Value = Field<'e>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Field<'e>, E> {
        self.field(key)
    }
}

/// A string, compared without being copied.
struct Text<'e>(&'e str);

impl Visitor<'_> for Text<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the string {:?}", self.0)
    }

    fn visit_str<E: Error>(self, found: &str) -> Result<(), E> {
        if found == self.0 { Ok(()) } else { Err(E::custom(format_args!("found {found:?}, intended {:?}", self.0))) }
    }
}

/// Reads JSON with comments and trailing commas, and none of the other liberties.
fn parse_relaxed(text: &str) -> Result<Value, String> {
    let options = ParseOptions {
        allow_comments: true,
        allow_trailing_commas: true,
        allow_loose_object_property_names: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let value = jsonc_parser::parse_to_value(text, &options).map_err(|error| error.to_string())?;
    value.map_or_else(|| Err("empty document".to_owned()), from_relaxed)
}

fn from_relaxed(value: JsonValue<'_>) -> Result<Value, String> {
    Ok(match value {
        JsonValue::Null => Value::Null,
        JsonValue::Boolean(value) => Value::Bool(value),
        JsonValue::String(text) => Value::String(text.into_owned()),
        JsonValue::Number(text) => {
            let number = super::super::number::from_text(text).ok_or_else(|| format!("`{text}` is not a number"))?;
            Value::Number(number)
        }
        JsonValue::Array(items) => {
            Value::Array(items.take_inner().into_iter().map(from_relaxed).collect::<Result<_, _>>()?)
        }
        JsonValue::Object(fields) => {
            let fields = fields.take_inner().into_iter();
            Value::Object(
                fields
                    .map(|(key, value)| Ok((key.into_owned(), from_relaxed(value)?)))
                    .collect::<Result<_, String>>()?,
            )
        }
    })
}
