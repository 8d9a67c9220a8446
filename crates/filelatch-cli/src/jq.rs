//! jq filters, on a thread of their own: a filter that does not end is given up while the lock can still be released.
//!
//! `env`, `input` and modules are not offered: what a filter answers depends on the document and its arguments alone, for it may
//! be applied again.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use jaq_core::load::parse::Def;
use jaq_core::load::{Arena, File, Loader};
use jaq_core::{Compiler, Ctx, ValT, Vars, data, load};
use jaq_json::Val;
use serde_json::{Map, Value};

use crate::jq_assign;
use crate::render::CliError;

/// Filters may recurse deeply.
const STACK: usize = 256 << 20;
/// Functions that look outside.
const LEFT_OUT: [&str; 1] = ["env"];

/// A compiled filter.
#[derive(Debug)]
pub(crate) struct Filter {
    inputs: Sender<Value>,
    results: Receiver<Result<Value, CliError>>,
    limit: Duration,
}

/// Named values.
pub(crate) type Arguments = Vec<(String, Value)>;

impl Filter {
    /// Compiles a filter; mistakes in it are found here, before any lock is taken.
    pub(crate) fn compile(code: &str, arguments: Arguments, limit: Duration) -> Result<Filter, CliError> {
        let (inputs, inputs_rx) = channel();
        let (results_tx, results) = channel();
        let code = code.to_owned();
        let work = move || serve(&code, &arguments, &inputs_rx, &results_tx);
        thread::Builder::new()
            .name("filter".to_owned())
            .stack_size(STACK)
            .spawn(work)
            .map_err(|e| CliError::own("internal", format!("cannot start a thread for the filter: {e}")))?;
        // The first answer says that the filter was understood.
        results.recv().map_err(|_| crashed())??;
        Ok(Filter { inputs, results, limit })
    }

    /// The one value that the filter yields.
    pub(crate) fn apply(&self, input: Value) -> Result<Value, CliError> {
        self.inputs.send(input).map_err(|_| crashed())?;
        self.results.recv_timeout(self.limit).map_err(|e| match e {
            RecvTimeoutError::Disconnected => crashed(),
            RecvTimeoutError::Timeout => {
                let took = crate::waiting::length(self.limit);
                CliError::own("filter-timeout", format!("the filter has not ended after {took}"))
                    .hint("nothing was changed; `--filter-timeout` gives it more time")
            }
        })?
    }
}

fn crashed() -> CliError {
    CliError::own("filter-failed", "the filter crashed").hint("nothing was changed")
}

fn serve(code: &str, arguments: &Arguments, inputs: &Receiver<Value>, results: &Sender<Result<Value, CliError>>) {
    let defs = jaq_core::defs().chain(jaq_std::defs()).chain(jaq_json::defs());
    let funs = jaq_core::funs().chain(jaq_std::funs()).chain(jaq_json::funs());
    let funs = funs.filter(|(name, ..)| !LEFT_OUT.contains(name));
    let arena = Arena::default();
    let names: Vec<String> = arguments.iter().map(|(name, _)| format!("${name}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut defs: Vec<Def<&str>> = defs.collect();
    let mut main = code.to_owned();
    if let Some((def, call)) = jq_assign::main_def(code, &names) {
        defs.extend(jq_assign::defs());
        defs.push(def);
        main = call;
    }
    let modules = match Loader::new(defs).load(&arena, File { code: main.as_str(), path: () }) {
        Ok(modules) => modules,
        Err(errors) => return drop(results.send(Err(not_understood(code, &loading(&main, &errors))))),
    };
    let compiled = Compiler::default().with_funs(funs).with_global_vars(names.iter().copied()).compile(modules);
    let filter = match compiled {
        Ok(filter) => filter,
        Err(errors) => {
            let undefined = errors.iter().flat_map(|(_, undefined)| undefined);
            let first = undefined.map(|(name, what)| format!("{} `{name}` is not defined", what.as_str())).next();
            return drop(results.send(Err(not_understood(code, &first.unwrap_or_default()))));
        }
    };
    if results.send(Ok(Value::Null)).is_err() {
        return;
    }
    for input in inputs {
        let variables = arguments.iter().map(|(_, value)| to_jq(value)).collect::<Result<Vec<_>, _>>();
        let answer = variables.and_then(|variables| {
            let context = Ctx::<data::JustLut<Val>>::new(&filter.lut, Vars::new(variables));
            only(filter.id.run((context, to_jq(&input)?)))
        });
        if results.send(answer).is_err() {
            return;
        }
    }
}

/// Exactly one result.
fn only<'a>(mut results: impl Iterator<Item = jaq_core::ValX<'a, Val>>) -> Result<Value, CliError> {
    let nothing_changed = "nothing was changed; the filter must yield the document's new value, once";
    let mut next = || {
        let failed = |exception: jaq_core::Exn<'_, Val>| match exception.get_err() {
            // A text is shown as it is, as jq does.
            Ok(error) => match error.into_val() {
                Val::TStr(text) => {
                    CliError::own("filter-failed", format!("the filter failed: {}", String::from_utf8_lossy(&text)))
                }
                other => CliError::own("filter-failed", format!("the filter failed: {other}")),
            },
            Err(_) => CliError::own("filter-failed", "the filter stopped without a value"),
        };
        results.next().transpose().map_err(|exception| failed(exception).hint("nothing was changed"))
    };
    let Some(first) = next()? else {
        return Err(CliError::own("no-value", "the filter yielded no value").hint(nothing_changed));
    };
    if next()?.is_some() {
        let error = CliError::own("several-values", "the filter yielded more than one value").hint(nothing_changed);
        return Err(error.hint("`.[] |= …` changes every element; `.[]` takes the document apart"));
    }
    from_jq(&first)
}

fn to_jq(value: &Value) -> Result<Val, CliError> {
    Ok(match value {
        Value::Null => Val::Null,
        Value::Bool(value) => Val::Bool(*value),
        Value::Number(number) => Val::from_num(&number.to_string()).map_err(|e| unusable(&e.to_string()))?,
        Value::String(text) => Val::from(text.clone()),
        Value::Array(values) => values.iter().map(to_jq).collect::<Result<_, _>>()?,
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| Ok::<_, CliError>((Val::from(key.clone()), to_jq(value)?));
            Val::obj(fields.iter().map(field).collect::<Result<_, _>>()?)
        }
    })
}

fn from_jq(value: &Val) -> Result<Value, CliError> {
    let text =
        |bytes: &[u8]| std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| unusable("text that is not UTF-8"));
    Ok(match value {
        Val::Null => Value::Null,
        Val::Bool(value) => Value::Bool(*value),
        Val::Num(number) => {
            let number = number.to_string();
            Value::Number(serde_json::from_str(&number).map_err(|_| unusable(&format!("the number {number}")))?)
        }
        Val::TStr(bytes) => Value::String(text(bytes)?),
        Val::BStr(_) => return Err(unusable("bytes that are not text")),
        Val::Arr(values) => Value::Array(values.iter().map(from_jq).collect::<Result<_, _>>()?),
        Val::Obj(fields) => {
            let mut object = Map::new();
            for (key, value) in fields.iter() {
                let Val::TStr(key) = key else {
                    return Err(unusable(&format!("the key {key}, which is not text")));
                };
                object.insert(text(key)?, from_jq(value)?);
            }
            Value::Object(object)
        }
    })
}

fn unusable(what: &str) -> CliError {
    CliError::own("unrepresentable", format!("the filter yielded {what}, which no document can hold"))
        .hint("nothing was changed")
}

fn not_understood(code: &str, problem: &str) -> CliError {
    CliError::own("filter", format!("the filter `{code}` is not understood: {problem}"))
        .hint("nothing was changed; the language is jq's, without `env`, `input` and modules")
}

/// The first mistake of a filter that can't be parsed.
fn loading(code: &str, errors: &load::Errors<&str, ()>) -> String {
    let place = |found: &str| match found {
        "" => "at its end".to_owned(),
        _ => format!(
            "at `{}`, character {}",
            first_word(found),
            code[..load::span(code, found).start].chars().count() + 1
        ),
    };
    let Some((_, error)) = errors.first() else { return String::new() };
    match error {
        load::Error::Io(failed) => match failed.first() {
            Some((module, _)) => format!("there are no modules (`{module}`)"),
            None => String::new(),
        },
        load::Error::Lex(mistakes) => {
            let Some((expected, found)) = mistakes.first() else { return String::new() };
            format!("{} expected {}", expected.as_str(), place(found))
        }
        load::Error::Parse(mistakes) => {
            let Some((expected, found)) = mistakes.first() else { return String::new() };
            format!("{} expected {}", expected.as_str(), place(found))
        }
    }
}

fn first_word(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(input: &str, code: &str) -> String {
        let arguments = vec![("v".to_owned(), Value::from("x"))];
        let filter = Filter::compile(code, arguments, Duration::from_secs(10)).unwrap();
        match filter.apply(serde_json::from_str(input).unwrap()) {
            Ok(value) => value.to_string(),
            Err(error) => panic!("{code}: {error:?}"),
        }
    }

    /// Issue 2, documents: assignments make what is missing on the way, as jq's do.
    #[test]
    fn assignments_make_containers() {
        for (input, code, expected) in [
            ("null", ".a = 1", r#"{"a":1}"#),
            ("{}", ".a.b.c = 1", r#"{"a":{"b":{"c":1}}}"#),
            ("{}", ".a.b += 1", r#"{"a":{"b":1}}"#),
            ("{}", ".a.b //= 1", r#"{"a":{"b":1}}"#),
            ("{}", ".a.b |= 1", r#"{"a":{"b":1}}"#),
            ("{}", ".a[1].b = $v", r#"{"a":[null,{"b":"x"}]}"#),
            ("[0]", ".[2] = 1", "[0,null,1]"),
            ("[1,2]", ".[-1] = 3", "[1,3]"),
            ("[1,2]", ".[] |= .+1", "[2,3]"),
            ("[1,2,3]", ".[1:] = [9]", "[1,9]"),
            (r#"{"a":null}"#, "(.a, .b).c = 1", r#"{"a":{"c":1},"b":{"c":1}}"#),
            ("{}", r#"setpath(["a","b"]; 1)"#, r#"{"a":{"b":1}}"#),
            ("{}", "def f: .a.b; f = 1 | if true then .c.d = 2 else . end", r#"{"a":{"b":1},"c":{"d":2}}"#),
            ("{}", r#"reduce ("a","b") as $k (.; .[$k].n = $k)"#, r#"{"a":{"n":"a"},"b":{"n":"b"}}"#),
            (r#"{"a":1}"#, ". = {b: .a}", r#"{"b":1}"#),
            (
                r#"{"a":[{"x":1},{"x":2}]}"#,
                "(.a[] | select(.x == 2)).y.z = true",
                r#"{"a":[{"x":1},{"x":2,"y":{"z":true}}]}"#,
            ),
            (r#"{"a":1,"b":2}"#, "del(.a)", r#"{"b":2}"#),
            (r#"{"a":1}"#, "to_entries | from_entries | with_entries(.value += 1)", r#"{"a":2}"#),
        ] {
            assert_eq!(run(input, code), expected, "{input} | {code}");
        }
    }

    /// Issue 2, documents: the spelling of untouched numbers survives the way through jq.
    #[test]
    fn numbers() {
        let text = r#"{"a":[1.0,1.50,12345678901234567890123,-0.0,1e400],"x":1}"#;
        assert_eq!(run(text, ".x = 1"), run(text, "."));
        assert_eq!(run("[1.0,1.50,12345678901234567890123]", "."), "[1.0,1.50,12345678901234567890123]");
    }

    /// Issue 2, bad input: mistakes are found before any lock is taken, and named.
    #[test]
    fn mistakes() {
        for (code, expected) in [
            (".a.b=", "term expected at its end"),
            ("{a", "closing brace expected at its end"),
            (". | )", "expected at `)`, character 5"),
            ("foo(1)", "filter `foo` is not defined"),
            ("env", "filter `env` is not defined"),
            ("input", "filter `input` is not defined"),
            ("$ENV", "variable `$ENV` is not defined"),
            ("import \"a\" as a; .", "there are no modules"),
        ] {
            let error = Filter::compile(code, Vec::new(), Duration::from_secs(1)).unwrap_err();
            assert!(format!("{error:?}").contains(expected), "{code}: {error:?}");
        }
    }
}
