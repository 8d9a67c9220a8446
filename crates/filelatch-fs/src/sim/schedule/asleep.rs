//! Is a thread that was let go still working, or does it wait for a mutex of the program under test?
//!
//! The seam does not see mutexes. A thread that waits for one is held by a thread that stands at a call, and goes on when that one
//! does; until then it must not count as running. Linux tells which threads sleep ([proc_pid_stat(5)], state `S`). Elsewhere
//! a thread counts as asleep once it has not been heard of for long; a wrong guess can make a run diverge, which is reported, but
//! never make two calls at once.
//!
//! [proc_pid_stat(5)]: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html

use std::path::PathBuf;

/// A thread as the operating system knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Task {
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only Linux tells"))]
    stat: Option<PathBuf>,
}

/// Looks, [`LOOK`](super::control::LOOK) apart, after which a silent thread is believed to be asleep.
pub(super) const LOOKS: u32 = if cfg!(target_os = "linux") { 3 } else { 400 };

impl Task {
    /// The calling thread.
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "looks at real threads, not at simulated files")]
    pub(super) fn current() -> Task {
        let link = std::fs::read_link("/proc/thread-self").ok();
        Task { stat: link.map(|link| PathBuf::from("/proc").join(link).join("stat")) }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn current() -> Task {
        Task::default()
    }

    /// Does it sleep now, or is it gone? Where nobody tells: yes, the number of looks decides.
    #[cfg(target_os = "linux")]
    #[expect(clippy::disallowed_methods, reason = "looks at real threads, not at simulated files")]
    pub(super) fn is_asleep(&self) -> bool {
        let Some(path) = &self.stat else { return false };
        let Ok(stat) = std::fs::read_to_string(path) else { return true };
        // The name is in parentheses and may hold anything.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        matches!(state, Some('S' | 'X' | 'Z'))
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn is_asleep(&self) -> bool {
        true
    }
}
