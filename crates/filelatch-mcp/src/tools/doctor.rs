//! `doctor`: what this place guarantees, what was left behind, putting right what is nobody's.

use filelatch::Wait;
use filelatch::doctor::{DoctorOptions, Outcome};
use filelatch::show::{slashed, without_root};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Access, Tool};
use crate::refusal::Refusal;
use crate::work::{Call, Work};

/// Names that are looked at.
const NAMES: usize = 100_000;
/// Findings that are told.
const MOST: usize = 200;

pub(super) struct Doctor;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// Remove what is proved to be nobody's, complete writes that were interrupted.
    #[serde(default)]
    fix: bool,
}

/// Something that was found.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Finding {
    path: String,
    kind: String,
    /// What it is, and how that is known.
    what: String,
    /// Something should be done about it.
    problem: bool,
    /// `fix` can put it right.
    fixable: bool,
    /// It was put right.
    fixed: bool,
    /// Why it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<String>,
    /// What a person can do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    /// Nothing is wrong, or nothing any more.
    healthy: bool,
    /// What filelatch can promise here: `strict` (all), `limited`, `file-lock` (the system's locks do not work here), `unknown`.
    level: String,
    /// What is missing, and why.
    why: Vec<String>,
    /// Problems first.
    findings: Vec<Finding>,
    /// There are more than are told.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// What was not looked at.
    skipped: Vec<String>,
    /// Names that were looked at.
    looked_at: usize,
}

impl Tool for Doctor {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "doctor";
    const TITLE: &'static str = "Check the files' state";
    const DESCRIPTION: &'static str = "Finds out what this file system guarantees, and what killed writers left: temporary files, interrupted writes, \
        stale lock files. With `fix: true` it puts right what is proved to be nobody's, while others work on. Use it when `status` tells of \
        leftovers, or a refusal names it. Tell the user what needs a person.";
    const ACCESS: Access = Access::Both;
    const IDEMPOTENT: bool = true;
    const WORK: Work = Work::Change;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        if arguments.fix {
            call.may_write()?;
        }
        let root = call.server().root().path();
        let wait = call.wait(None);
        let options = DoctorOptions::new().fix(arguments.fix).limit(NAMES).wait(Wait::For(wait));
        let report = call.latch().doctor(root, &options).map_err(|e| call.refused(&e))?;
        let healthy = report.is_healthy();
        let told = |text: &str| without_root(text, root);
        let mut findings = Vec::new();
        let mut more = false;
        let (problems, notes): (Vec<_>, Vec<_>) = report.findings.iter().partition(|finding| finding.problem);
        for finding in problems.into_iter().chain(notes) {
            let path = slashed(finding.path.strip_prefix(root).unwrap_or(&finding.path));
            // Of what is hidden, only what is wrong with it.
            if !call.covers(&path) || (!finding.problem && !call.shows(std::path::Path::new(&path))) {
                continue;
            }
            if findings.len() == MOST {
                more = true;
                break;
            }
            findings.push(Finding {
                path,
                kind: word(&serde_json::to_value(finding.kind).unwrap_or_default()),
                what: told(&finding.what),
                problem: finding.problem,
                fixable: finding.fix.is_some(),
                fixed: finding.outcome == Some(Outcome::Done),
                left: match &finding.outcome {
                    Some(Outcome::Left(why)) => Some(told(why)),
                    _ => None,
                },
                advice: finding.advice.as_deref().map(told),
            });
        }
        Ok(Answer {
            ok: true,
            healthy,
            level: word(&serde_json::to_value(report.overall.level).unwrap_or_default()),
            why: report.overall.why.iter().map(|why| told(why)).collect(),
            findings,
            more,
            skipped: report.skipped.iter().map(|skipped| told(skipped)).collect(),
            looked_at: report.entries,
        })
    }
}

fn word(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
