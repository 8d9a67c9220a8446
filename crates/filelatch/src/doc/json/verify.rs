//! The independent check of an edited JSON text.
//!
//! Strict JSON is read by `serde_json` in one pass that builds nothing: it follows the change, compares what changed with
//! what was intended, counts the members of every object on the way and skips the rest, of which it checks the grammar.
//! The skipped parts are the same bytes as before. Texts with comments or trailing commas are read by `jsonc-parser`.

use std::fmt;

use jsonc_parser::{JsonValue, ParseOptions};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Number, Value};

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
        let mut found = 0;
        let wanted = match self {
            Self::Value(Value::Array(items)) | Self::Delta { delta: Delta::Replace(Value::Array(items)), .. } => {
                let wanted = |index: usize| items.get(index).map_or(Self::Untouched, Self::Value);
                while seq.next_element_seed(wanted(found))?.is_some() {
                    found += 1;
                }
                items.len()
            }
            Self::Delta { syntax, node, delta: Delta::Array(slots) } => {
                let old: Vec<NodeId> = syntax.elements(node).collect();
                let wanted = |index: usize| match slots.get(index) {
                    Some(Slot::New(value)) => Self::Value(value),
                    Some(Slot::Edit(index, delta)) => Self::Delta { syntax, node: old[*index], delta },
                    // Behind the end the wrong count is the error.
                    Some(Slot::Keep(_)) | None => Self::Untouched,
                };
                while seq.next_element_seed(wanted(found))?.is_some() {
                    found += 1;
                }
                slots.len()
            }
            _ => return Err(A::Error::custom("found an array")),
        };
        same(&found, &wanted)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let (mut found, mut new) = (0, 0);
        let (wanted, wanted_new) = match self {
            Self::Value(Value::Object(fields)) | Self::Delta { delta: Delta::Replace(Value::Object(fields)), .. } => {
                while let Some(value) = map.next_key_seed(Key(|key: &str| fields.get(key)))? {
                    let value = value.ok_or_else(|| A::Error::custom("found a field that should not be there"))?;
                    map.next_value_seed(Self::Value(value))?;
                    found += 1;
                }
                (fields.len(), 0)
            }
            Self::Delta { syntax, node, delta: Delta::Object(delta) } => {
                // Old fields keep their order, so one walk over them finds them all.
                let mut old = syntax.members(node);
                while let Some(expected) = map.next_key_seed(Key(|key: &str| field(syntax, &mut old, delta, key)))? {
                    let expected =
                        expected.ok_or_else(|| A::Error::custom("found a field that should not be there"))?;
                    map.next_value_seed(expected)?;
                    found += 1;
                    new += usize::from(matches!(expected, Self::Value(_)));
                }
                let removed = delta.changed.values().filter(|change| matches!(change, Change::Remove)).count();
                (syntax.count(node) - removed + delta.added.len(), delta.added.len())
            }
            _ => return Err(A::Error::custom("found an object")),
        };
        same(&found, &wanted)?;
        same(&new, &wanted_new)
    }
}

/// What is expected under a key of a changed object; `None` if it should not be there.
fn field<'e>(
    syntax: &'e JsonSyntax,
    old: &mut impl Iterator<Item = (NodeId, NodeId)>,
    delta: &'e ObjectDelta,
    key: &str,
) -> Option<Expected<'e>> {
    match delta.changed.get(key) {
        Some(Change::Remove) => None,
        Some(Change::Edit(delta)) => {
            let (_, node) = old.find(|&(name, _)| syntax.string(name).is_ok_and(|name| name == key))?;
            Some(Expected::Delta { syntax, node, delta })
        }
        None => Some(delta.added.get(key).map_or(Expected::Untouched, Expected::Value)),
    }
}

/// Reads a key and looks something up for it, without copying it.
struct Key<F>(F);

impl<'de, R, F: FnOnce(&str) -> R> DeserializeSeed<'de> for Key<F> {
    type Value = R;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<R, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<R, F: FnOnce(&str) -> R> Visitor<'_> for Key<F> {
    type Value = R;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<R, E> {
        Ok((self.0)(key))
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
