//! `lease`: the right to write a file, for a time.
//!
//! # Decision
//! A lease is known by its number and is the session's, not the process': it lasts until its time is over, also when the server is killed. A
//! server that ends as it should gives back those that were taken through it and not given back before.

use std::time::Duration;

use filelatch::show::time;
use filelatch::{Error, LatchFile, LeaseOptions, LeaseState, Wait};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Access, Tool};
use crate::line::{self, GRACE};
use crate::refusal::{HolderView, Refusal};
use crate::work::{Call, Work};

/// How long a lease lasts unless it is said, at least and at most, in seconds.
const SECONDS: (u64, u64, u64) = (60, 1, 24 * 3600);
/// Longest text that says what a lease is for, in bytes.
const PURPOSE: usize = 200;
/// A place in line is noted again after so long.
const TURN: Duration = Duration::from_secs(2);
/// Who is not the first in line looks again after so long.
const LOOK: Duration = Duration::from_millis(50);
/// Nobody is told to stay away for longer.
const AWAY: Duration = Duration::from_secs(60);

pub(super) struct Lease;

/// What to do.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Action {
    Acquire,
    Renew,
    Release,
    Status,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Arguments {
    /// `acquire` takes it, `renew` begins its time anew, `release` gives it back, `status` tells who has it.
    action: Action,
    /// The file, relative to the root. It need not exist.
    path: String,
    /// How long it lasts unless it is renewed: 1 to 86400, default 60.
    seconds: Option<u64>,
    /// For `acquire`: how long to wait if somebody has it, up to 60000; default: not at all.
    wait_ms: Option<u64>,
    /// For `acquire`: what it is for, for others to see.
    purpose: Option<String>,
    /// For `renew` and `release`: the lease's number.
    token: Option<u64>,
}

#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct Answer {
    ok: bool,
    path: String,
    /// Has somebody the lease now?
    held: bool,
    /// Your lease's number: give it as `lease_token` when you write the file, and to `renew` and `release`.
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<u64>,
    /// When it is over unless it is renewed.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Who has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    holder: Option<HolderView>,
    /// How many sessions stand in line for it.
    waiting: usize,
}

impl Tool for Lease {
    type Arguments = Arguments;
    type Answer = Answer;
    const NAME: &'static str = "lease";
    const TITLE: &'static str = "Reserve a file";
    const DESCRIPTION: &'static str = "Reserves a file for you for some seconds: meanwhile nobody else writes it through filelatch. For work of \
        several steps; single edits need none. Write with its `token` as `lease_token`. `leased`: somebody has it; you are told your place in \
        line, come back after `retry_after_ms`. `lease-lost`: your time was over; read the file again.";
    const ACCESS: Access = Access::Both;
    const WORK: Work = Work::Wait;

    fn run(call: &Call, arguments: Arguments) -> Result<Answer, Refusal> {
        let (place, file) = call.file(&arguments.path)?;
        let path = place.as_str();
        let refused = |e: &Error| call.refused(e).about(path);
        if !matches!(arguments.action, Action::Status) {
            call.may_write()?;
        }
        let needed = || {
            let example = json!({"action": "renew", "path": path, "token": 1});
            Refusal::malformed("`token` is missing: the number that `acquire` answered").next(
                "lease",
                example,
                "with its number",
            )
        };
        let length = length(arguments.seconds)?;
        let token = match arguments.action {
            Action::Status => None,
            Action::Acquire => {
                Some(acquire(call, path, &file, &arguments, length.unwrap_or(Duration::from_secs(SECONDS.0)))?)
            }
            Action::Renew => {
                let token = arguments.token.ok_or_else(needed)?;
                let lease =
                    file.resume_lease(token, &call.lock(call.wait(arguments.wait_ms))).map_err(|e| refused(&e))?;
                let renewed = length.map_or_else(|| lease.renew(), |length| lease.renew_for(length));
                lease.detach();
                renewed.map_err(|e| refused(&e))?;
                Some(token)
            }
            Action::Release => {
                let token = arguments.token.ok_or_else(needed)?;
                let lock = call.lock(call.wait(arguments.wait_ms));
                file.resume_lease(token, &lock).and_then(filelatch::Lease::release).map_err(|e| refused(&e))?;
                call.server().held().ended(call.server().root(), &file, token);
                None
            }
        };
        let state = file.lease_state().map_err(|e| refused(&e))?;
        let own = |state: &LeaseState| token == Some(state.token);
        if let (Some(token), false) = (token, state.as_ref().is_some_and(own)) {
            return Err(refused(&Error::LeaseLost {
                path: file.path().to_owned(),
                token,
                current: None,
                holder: None,
            }));
        }
        Ok(Answer {
            ok: true,
            path: path.to_owned(),
            held: state.is_some(),
            token,
            expires_at: state.as_ref().map(|state| time(call.server().host().now() + state.remaining)),
            holder: state.as_ref().map(|state| HolderView::from(&state.holder)),
            waiting: line::length(call, &file),
        })
    }
}

fn length(seconds: Option<u64>) -> Result<Option<Duration>, Refusal> {
    let (_, least, most) = SECONDS;
    match seconds {
        Some(seconds) if !(least..=most).contains(&seconds) => {
            Err(Refusal::malformed(format!("`seconds` is between {least} and {most}")))
        }
        seconds => Ok(seconds.map(Duration::from_secs)),
    }
}

/// Takes the lease when it is this session's turn; its number.
fn acquire(call: &Call, path: &str, file: &LatchFile, asked: &Arguments, length: Duration) -> Result<u64, Refusal> {
    if asked.purpose.as_ref().is_some_and(|purpose| purpose.len() > PURPOSE || purpose.chars().any(char::is_control)) {
        return Err(Refusal::malformed(format!("`purpose` has at most {PURPOSE} bytes and no control characters")));
    }
    let host = call.server().host();
    let wait = asked.wait_ms.map_or(Duration::ZERO, |_| call.wait(asked.wait_ms));
    let until = host.monotonic().saturating_add(wait);
    let (mut stood, mut told) = (false, None);
    let tried = loop {
        let left = until.saturating_sub(host.monotonic());
        // Who finds it free, and nobody in line, need not stand there.
        let is_alone = !stood && line::length(call, file) == 0 && matches!(file.lease_state(), Ok(None));
        let before = if is_alone { Some(0) } else { line::stand(call, file, left.min(TURN) + GRACE) };
        stood |= !is_alone;
        match before {
            Some(before @ 1..) => {
                if call.cancel().is_cancelled() {
                    break Err(Error::Cancelled { path: file.path().to_owned() });
                }
                if left.is_zero() {
                    return Err(in_line(call, path, file, before));
                }
                if told != Some(before) {
                    told = Some(before);
                    call.tell(&format!("waiting for the lease of {path}: number {} in line", before + 1));
                }
                host.park(Some(left.min(LOOK)));
            }
            // The first, or the line is full or can't be noted: then whoever comes first gets it.
            Some(0) | None => match take(call, file, asked, length, left.min(TURN)) {
                Err(Error::Leased { .. }) if left > TURN && !call.cancel().is_cancelled() => {
                    call.tell(&format!("waiting for the lease of {path}: next in line"));
                }
                Err(Error::Leased { .. }) if is_alone => {}
                tried => break tried,
            },
        }
    };
    match tried {
        Ok(lease) => {
            if stood {
                line::leave(call, file);
            }
            // The client has gone away meanwhile: nobody would ever give it back.
            if call.cancel().is_cancelled() {
                lease.release().ok();
                return Err(call.refused(&Error::Cancelled { path: file.path().to_owned() }).about(path));
            }
            let token = lease.detach();
            call.server().held().taken(call.server().root(), file, token);
            Ok(token)
        }
        Err(Error::Leased { .. }) => Err(in_line(call, path, file, 0)),
        Err(e) => {
            if stood {
                line::leave(call, file);
            }
            Err(call.refused(&e).about(path))
        }
    }
}

fn take(
    call: &Call,
    file: &LatchFile,
    asked: &Arguments,
    length: Duration,
    wait: Duration,
) -> Result<filelatch::Lease, Error> {
    let wait = if wait.is_zero() { Wait::No } else { Wait::For(wait) };
    let mut options = LeaseOptions::new().max_hold(length).wait(wait).scope(call.scope()).cancel(call.cancel());
    options = options.session(&**call.session()).detached();
    if let Some(purpose) = &asked.purpose {
        options = options.purpose(purpose);
    }
    file.lease(&options)
}

/// The lease was not had in time. The place in line is kept for who comes back in time.
fn in_line(call: &Call, path: &str, file: &LatchFile, before: usize) -> Refusal {
    let state = file.lease_state().ok().flatten();
    let remaining = state.as_ref().map_or(Duration::from_secs(1), |state| state.remaining);
    let retry = remaining.clamp(Duration::from_millis(100), AWAY);
    let place = line::stand(call, file, retry + GRACE).map(|before| before + 1);
    let who = match &state {
        Some(state) => {
            let session = state.holder.session.as_deref().unwrap_or("somebody");
            format!("is leased by {session} for at most {} s more", state.remaining.as_secs().max(1))
        }
        None if before > 0 => "is free, and it is others' turn first".to_owned(),
        None => "was leased until now".to_owned(),
    };
    let line = place.map(|place| format!("; you are number {place} in line")).unwrap_or_default();
    let mut refusal = Refusal::new("leased", format!("`{path}` {who}{line}")).about(path).retry(retry);
    if let Some(own) = state.as_ref().filter(|state| state.holder.session.as_deref() == Some(&**call.session())) {
        let arguments = json!({"action": "renew", "path": path, "token": own.token});
        refusal = refusal.next("lease", arguments, "it is your own session's: goes on with it");
    }
    refusal = refusal.next(
        "lease",
        json!({"action": "acquire", "path": path, "wait_ms": 60000}),
        format!("waits; your place is kept if you come back within {} s", (retry + GRACE).as_secs()),
    );
    let mut holder = state.map(|state| HolderView::from(&state.holder)).unwrap_or_default();
    holder.place = place;
    refusal.holder = Some(Box::new(holder));
    refusal
}
