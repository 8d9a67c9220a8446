//! Looking again and again, where nobody tells of changes (WATCH-4, L42).
//!
//! # When
//! - It was asked for.
//! - The system has no events, or no more of them.
//! - The file system is one that other machines change without this one being told. Events of this machine's own changes are used as well.
//! - A file that was made for trial brought no event. No list of file systems knows them all.
//!
//! # Cost
//! The pause is 20 times as long as the last look took, so that it takes at most 5 % of the time, but not longer than 5 s: somebody waits.

use std::fmt;
use std::time::Duration;

use super::options::Polling;

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(250);
/// And the longest, unless it was asked for.
const LONGEST: Duration = Duration::from_secs(5);
/// How many times as long as the look.
const TIMES: u32 = 20;

/// How a watch hears of changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The system tells of them.
    Events,
    /// It looks again and again; what the system tells is used as well, where it does.
    Polling {
        /// Why.
        why: PollReason,
        /// The pause between two looks, as it is now.
        interval: Duration,
    },
}

/// Why a watch looks again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PollReason {
    /// It was asked for.
    Asked,
    /// The system tells nothing, and why.
    NoEvents(String),
    /// Other machines may change the files, and of that nothing is told: the name of the file system.
    Remote(String),
    /// A file that was made in the watched directory brought no event.
    Silent,
    /// The system watches no more directories for this user.
    Limit,
}

impl PollReason {
    /// A word for it: `asked`, `no-events`, `remote`, `silent`, `limit`.
    pub fn word(&self) -> &'static str {
        match self {
            PollReason::Asked => "asked",
            PollReason::NoEvents(_) => "no-events",
            PollReason::Remote(_) => "remote",
            PollReason::Silent => "silent",
            PollReason::Limit => "limit",
        }
    }
}

impl fmt::Display for PollReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PollReason::Asked => f.write_str("it was asked for"),
            PollReason::NoEvents(why) => write!(f, "the system tells nothing of changes: {why}"),
            PollReason::Remote(name) => {
                write!(f, "`{name}` is not known to tell of changes that other machines make")
            }
            PollReason::Silent => f.write_str("a file that was made for trial brought no event"),
            PollReason::Limit if cfg!(target_os = "linux") => f.write_str(
                "the system watches no more directories for this user; \
                 `sysctl fs.inotify.max_user_watches=1048576` allows more",
            ),
            PollReason::Limit => f.write_str("the system watches no more directories for this user"),
        }
    }
}

/// The pauses.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pauses {
    asked: Option<Duration>,
    last_look: Duration,
}

impl Pauses {
    pub(super) fn new(polling: Polling) -> Pauses {
        let asked = if let Polling::Always(pause) = polling { pause } else { None };
        Pauses { asked, last_look: Duration::ZERO }
    }

    /// A look took so long.
    pub(super) fn looked(&mut self, time: Duration) {
        self.last_look = time;
    }

    pub(super) fn pause(&self) -> Duration {
        let own = || self.last_look.saturating_mul(TIMES).clamp(SHORTEST, LONGEST);
        // A pause of nothing would be no pause.
        self.asked.map_or_else(own, |asked| asked.max(Duration::from_millis(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WATCH-4: a look takes a twentieth of the time at most, up to the longest pause; what was asked for is obeyed.
    #[test]
    fn pauses() {
        let ms = Duration::from_millis;
        let mut own = Pauses::new(Polling::Auto);
        assert_eq!(own.pause(), ms(250));
        for (look, pause) in [(1, 250), (20, 400), (100, 2000), (60_000, 5000)] {
            own.looked(ms(look));
            assert_eq!(own.pause(), ms(pause));
        }
        let mut asked = Pauses::new(Polling::Always(Some(ms(10))));
        asked.looked(ms(1000));
        assert_eq!(asked.pause(), ms(10));
        assert_eq!(Pauses::new(Polling::Always(Some(Duration::ZERO))).pause(), ms(1));
        assert_eq!(Pauses::new(Polling::Always(None)).pause(), ms(250));
    }
}
