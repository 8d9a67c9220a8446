//! The engine against the real file system: threads, processes, kills, full disks, programs that ignore locks.
//!
//! Each test names the requirement it proves. What needs another process starts this binary again as a worker ([`support`]);
//! what needs root or a mount says so and is skipped without.
#![cfg(target_os = "linux")]

#[cfg(test)]
mod deadlock;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod doctor_sweeps;
#[cfg(test)]
mod fairness;
#[cfg(test)]
mod fallback;
#[cfg(test)]
mod fork;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod lease_sweeps;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod lock_files;
#[cfg(test)]
mod locks;
#[cfg(test)]
mod network;
#[cfg(test)]
mod privileged;
#[cfg(test)]
mod publish;
#[cfg(test)]
mod records;
#[cfg(test)]
mod records_beside;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod support;
#[cfg(test)]
mod updates;
#[cfg(test)]
mod versions;
