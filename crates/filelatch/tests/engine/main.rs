//! The engine against the real file system: threads, processes, kills, full disks, programs that ignore locks.
//!
//! Each test names the requirement it proves. What needs another process starts this binary again as a worker ([`support`]);
//! what needs root or a mount says so and is skipped without. What needs signals, `/proc`, links or modes is for Linux only; the rest runs on
//! every system.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod audit_sweeps;
#[cfg(test)]
mod authors;
#[cfg(test)]
mod conflict_sweeps;
#[cfg(test)]
mod conflicts;
#[cfg(test)]
mod deadlock;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod doctor;
#[cfg(test)]
mod doctor_sweeps;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod fairness;
#[cfg(test)]
mod fallback;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod fork;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(test)]
mod keep;
#[cfg(test)]
mod keep_sweeps;
#[cfg(test)]
mod lease_sweeps;
#[cfg(test)]
mod leases;
#[cfg(test)]
#[cfg(feature = "watch")]
mod live;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod lock_files;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod many;
#[cfg(test)]
mod many_sweeps;
#[cfg(test)]
mod merge_schedules;
#[cfg(test)]
mod merging;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod network;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod privileged;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod records;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod records_beside;
#[cfg(test)]
#[cfg(target_os = "linux")]
mod roots;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod simulated;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_changes;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_credentials;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_generated;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_log;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_log_sweeps;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_private;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_queue;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_queue_sweeps;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_repository;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_repository_model;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_repository_sweeps;
#[cfg(test)]
#[cfg(feature = "store")]
mod store_tokens;
#[cfg(test)]
mod support;
#[cfg(test)]
mod updates;
#[cfg(test)]
mod versions;
#[cfg(test)]
#[cfg(feature = "watch")]
mod watching;
#[cfg(test)]
#[cfg(feature = "watch")]
mod watching_again;
#[cfg(test)]
#[cfg(all(feature = "watch", target_os = "linux"))]
mod watching_editors;
#[cfg(test)]
#[cfg(feature = "watch")]
mod watching_simulated;
