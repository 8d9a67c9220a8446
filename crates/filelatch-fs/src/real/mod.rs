//! The real systems: one file each, the same types in all of them.
//!
//! `unix.rs` serves Linux (which is run and tested), macOS and the BSDs; `raw_unix.rs` and `raw_bell.rs` hold the few calls that need unsafe
//! code; `linux.rs` and `linux_mount.rs` read `/proc`; `inotify.rs`, `fsevents.rs` and `windows_events.rs` are what
//! the systems tell of changes. `windows.rs` and `windows_host.rs` are Windows, `raw_windows.rs` and
//! `raw_windows_events.rs` hold its unsafe code.

#[cfg(all(feature = "events", target_os = "macos"))]
mod fsevents;
#[cfg(all(feature = "events", target_os = "linux"))]
mod inotify;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod linux_mount;
#[cfg(target_os = "linux")]
mod raw_bell;
#[cfg(unix)]
mod raw_unix;
#[cfg(windows)]
mod raw_windows;
#[cfg(all(feature = "events", windows))]
mod raw_windows_events;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
mod unix_host;
#[cfg(windows)]
mod windows;
#[cfg(all(feature = "events", windows))]
mod windows_events;
#[cfg(windows)]
mod windows_host;

#[cfg(unix)]
pub use unix::{LOCK_RECORD_OFFSET, RealFs};
#[cfg(unix)]
pub use unix_host::RealHost;
#[cfg(windows)]
pub use windows::{LOCK_RECORD_OFFSET, RealFs};
#[cfg(windows)]
pub use windows_host::RealHost;

/// Calls `tell`, and stays alive if it panics: then he has missed this hint, and is told the next.
#[cfg(all(feature = "events", any(target_os = "linux", target_os = "macos", windows)))]
fn safe(tell: crate::events::Tell) -> crate::events::Tell {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    std::sync::Arc::new(move |hint| drop(catch_unwind(AssertUnwindSafe(|| tell(hint)))))
}

#[cfg(test)]
pub(crate) mod tests;
#[cfg(all(test, windows))]
mod windows_tests;
