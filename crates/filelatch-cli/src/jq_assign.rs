//! Assignments as jq has them: `.a.b = 1` makes `.a` where there is none, and `.[2] = 1` fills up with nulls.
//!
//! jaq refuses both. Before each assignment of a filter goes a step that makes the containers which the assignment is going to
//! need; what is there already it leaves alone.

use jaq_core::load::lex::StrPart;
use jaq_core::load::parse::{BinaryOp, Def, Pattern, Term};

/// Name of the definition that [`main_def`] makes.
const MAIN: &str = "_filelatch_main";
const MAKE: &str = "_filelatch_make";

/// What the rewritten filter calls, and what builds on assignments itself.
const DEFS: &str = r#"
def _filelatch_at($p):
  if $p == [] then . else
    $p[0] as $k | ($k | type) as $t
    | if . == null then (if $t == "number" then [] elif $t == "string" then {} else . end) else . end
    | if $t == "number" and type == "array" and $k >= length then . + [range(length; $k + 1) | null] else . end
    | if ($p | length) > 1 then .[$k] |= _filelatch_at($p[1:]) else . end
  end;
def _filelatch_make_at($p):
  if $p == [] then . else
    getpath($p[:-1]) as $container
    | if $container == null or ($container | type) == "array" then _filelatch_at($p) else . end
  end;
def _filelatch_make(f): reduce path(f) as $p (.; _filelatch_make_at($p));
def setpath($path; $value): _filelatch_make_at($path) | getpath($path) = $value;
"#;

type Filter<'s> = Term<&'s str>;

/// The definitions that go with [`main_def`].
pub(crate) fn defs() -> Vec<Def<&'static str>> {
    jaq_core::load::parse(DEFS, |p| p.defs()).unwrap_or_default()
}

/// A filter as a definition with its variables (`$name`) as parameters, assignments made ready; and the code that calls it. `None`
/// if the filter can't be parsed.
pub(crate) fn main_def<'s>(code: &'s str, variables: &[&'s str]) -> Option<(Def<&'s str>, String)> {
    let mut body = jaq_core::load::parse(code, |p| p.term())?;
    rewrite(&mut body);
    let call = match variables {
        [] => MAIN.to_owned(),
        some => format!("{MAIN}({})", some.join("; ")),
    };
    Some((Def { name: MAIN, args: variables.to_vec(), body }, call))
}

fn rewrite(term: &mut Filter<'_>) {
    each_part(term, &mut rewrite);
    let assigns = |op: &BinaryOp<_>| {
        matches!(op, BinaryOp::Assign | BinaryOp::Update | BinaryOp::UpdateMath(_) | BinaryOp::UpdateAlt)
    };
    if let Term::BinOp(target, op, _) = term
        && assigns(op)
    {
        let make = Term::Call(MAKE, vec![(**target).clone()]);
        let assignment = std::mem::take(term);
        *term = Term::BinOp(Box::new(make), BinaryOp::Pipe(None), Box::new(assignment));
    }
}

/// The terms that a term is made of.
fn each_part<'s>(term: &mut Filter<'s>, each: &mut dyn FnMut(&mut Filter<'s>)) {
    match term {
        Term::Id | Term::Recurse | Term::Num(_) | Term::Break(_) | Term::Var(_) => {}
        Term::Str(_, parts) => {
            for part in parts {
                if let StrPart::Term(part) = part {
                    each(part);
                }
            }
        }
        Term::Arr(inner) => boxed(inner, each),
        Term::Obj(fields) => {
            for (key, value) in fields {
                each(key);
                value.iter_mut().for_each(&mut *each);
            }
        }
        // What stands inside the brackets of a path is an index or a bound; assignments have no place there.
        Term::Neg(inner) | Term::Label(_, inner) | Term::Path(inner, _) => each(inner),
        Term::BinOp(left, op, right) => {
            each(left);
            if let BinaryOp::Pipe(Some(pattern)) = op {
                in_pattern(pattern, each);
            }
            each(right);
        }
        Term::Fold(_, over, pattern, arguments) => {
            each(over);
            in_pattern(pattern, each);
            arguments.iter_mut().for_each(each);
        }
        Term::TryCatch(tried, catch) => {
            each(tried);
            boxed(catch, each);
        }
        Term::IfThenElse(cases, otherwise) => {
            for (condition, then) in cases {
                each(condition);
                each(then);
            }
            boxed(otherwise, each);
        }
        Term::Def(defs, rest) => {
            for def in defs {
                each(&mut def.body);
            }
            each(rest);
        }
        Term::Call(_, arguments) => arguments.iter_mut().for_each(each),
    }
}

fn boxed<'s>(term: &mut Option<Box<Filter<'s>>>, each: &mut dyn FnMut(&mut Filter<'s>)) {
    if let Some(term) = term {
        each(term);
    }
}

fn in_pattern<'s>(pattern: &mut Pattern<&'s str>, each: &mut dyn FnMut(&mut Filter<'s>)) {
    match pattern {
        Pattern::Var(_) => {}
        Pattern::Arr(parts) => parts.iter_mut().for_each(|part| in_pattern(part, each)),
        Pattern::Obj(fields) => {
            for (key, part) in fields {
                each(key);
                in_pattern(part, each);
            }
        }
    }
}
