//! `filelatch update`: read, jq, write, with everything that the filter leaves alone kept byte for byte.

use filelatch::Error;
use filelatch::doc::Document;
use serde_json::{Number, Value};

use super::{change, document_error, format_of};
use crate::args::Update;
use crate::context::Context;
use crate::jq::{Arguments, Filter};
use crate::render::CliError;

pub(crate) fn update(context: &Context, args: &Update) -> Result<(), CliError> {
    let filter = Filter::compile(&args.filter, arguments(args)?, args.filter_timeout)?;
    let (file, record) = context.file_or_record(&args.file)?;
    let format = format_of(&file, args.format)?;
    if !args.create && file.try_read()?.is_none() {
        // Before the lock is taken: a mistyped name leaves no lock file behind.
        return Err(Error::NotFound { path: file.path().to_owned() }.into());
    }
    let wrong = |source| document_error(&file, source);
    change(context, &file, record.as_deref(), &args.writing, |old| {
        let Some(old) = old else {
            if !args.create {
                return Err(Error::NotFound { path: file.path().to_owned() }.into());
            }
            let new = filter.apply(Value::Null)?;
            return Document::new_with(&new, format).and_then(|mut document| document.render()).map_err(wrong);
        };
        let mut document = Document::parse(old, format).map_err(wrong)?;
        let before = document.value().map_err(wrong)?.clone();
        let mut after = filter.apply(before.clone())?;
        keep_spelling(&before, &mut after);
        document.replace(after).and_then(|()| document.render()).map_err(wrong)
    })
}

fn arguments(args: &Update) -> Result<Arguments, CliError> {
    let text = args.arg.chunks_exact(2).map(|pair| Ok((pair[0].clone(), Value::from(pair[1].clone()))));
    let json = args.argjson.chunks_exact(2).map(|pair| match serde_json::from_str(&pair[1]) {
        Ok(value) => Ok((pair[0].clone(), value)),
        Err(e) => Err(CliError::own("usage", format!("`--argjson {}`: `{}` is not JSON: {e}", pair[0], pair[1]))),
    });
    text.chain(json).collect()
}

/// A number that came through the filter with its value and kind (integer or not) keeps the way it was written: `1e3` does not
/// become `1000.0`.
fn keep_spelling(before: &Value, after: &mut Value) {
    match (before, after) {
        (Value::Number(before), Value::Number(after)) if same(before, after) => after.clone_from(before),
        (Value::Array(before), Value::Array(after)) => {
            for (before, after) in before.iter().zip(after) {
                keep_spelling(before, after);
            }
        }
        (Value::Object(before), Value::Object(after)) => {
            for (key, after) in after {
                if let Some(before) = before.get(key) {
                    keep_spelling(before, after);
                }
            }
        }
        _ => {}
    }
}

fn same(a: &Number, b: &Number) -> bool {
    let (a, b) = (a.to_string(), b.to_string());
    let is_integer = |text: &str| !text.contains(['.', 'e', 'E']);
    match (is_integer(&a), is_integer(&b)) {
        (true, true) => a == "-0" && b == "0",
        (false, false) => matches!((a.parse::<f64>(), b.parse::<f64>()), (Ok(a), Ok(b)) if a.total_cmp(&b).is_eq()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(before: &str, after: &str, expected: &str) {
        let [before, mut after, expected]: [Value; 3] =
            [before, after, expected].map(|text| serde_json::from_str(text).unwrap());
        keep_spelling(&before, &mut after);
        assert_eq!(after, expected);
    }

    /// Issue 2, documents: numbers that a filter did not change keep their text; another kind is a change.
    #[test]
    fn spelling() {
        kept(r#"{"a":[1e3,-0]}"#, r#"{"a":[1000.0,0],"b":1}"#, r#"{"a":[1e3,-0],"b":1}"#);
        kept("1.0", "1", "1");
        kept("12345678901234567890123", "12345678901234567890124", "12345678901234567890124");
    }
}
