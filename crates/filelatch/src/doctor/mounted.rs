//! What the type of a file system and the options of its mount mean: knowledge that no probe finds out (LOCK-20).

use filelatch_fs::{Caps, FsKind, Mount};

use super::report::{Fact, Verdict};
use crate::lock::locality::local_locks;

/// What is told without trying anything.
pub(super) struct Told {
    pub(super) facts: Vec<Fact>,
    /// The locks exclude only programs of this machine, or of this mount, though others reach the same files (P4).
    pub(super) local_locks: Option<String>,
    pub(super) read_only: bool,
}

pub(super) fn told(mount: Option<&Mount>, caps: &Caps) -> Told {
    let unknown = Mount { fs_type: caps.name.to_owned(), ..Mount::default() };
    let known = mount.unwrap_or(&unknown);
    let local_locks = local_locks(known, caps);
    let mut facts = vec![file_system(known, caps)];
    facts.extend(durability(known));
    facts.push(match mount {
        None => Fact::new("mount-options", Verdict::Unknown, "this system does not tell how it is mounted"),
        Some(mount) => options(mount, local_locks.as_deref()),
    });
    Told { facts, local_locks, read_only: known.has("ro") }
}

fn file_system(mount: &Mount, caps: &Caps) -> Fact {
    let name = "file-system";
    let fact = match (caps.kind, caps.name) {
        (_, "overlayfs" | "fuse.overlayfs") => Fact::limited(
            name,
            "in the lower layers of a container's image, who opens a lock file only for reading locks another file than who \
             writes it (L23): keep shared files on a volume",
        ),
        (FsKind::Local, _) => Fact::good(name, "on this machine"),
        (FsKind::Network, _) => Fact::limited(
            name,
            "reached over a network, or shared by a machine's host: a lock is as good as the server's, may be lost with the \
             connection, and is waited for longer; nobody is told of changes",
        ),
        (FsKind::Unknown, _) => Fact {
            weakens: true,
            ..Fact::new(name, Verdict::Unknown, "not known to filelatch: treated as if on a network")
        },
    };
    fact.value(mount.fs_type.clone())
}

/// Where "durable" means less than it should.
fn durability(mount: &Mount) -> Option<Fact> {
    let name = "durability";
    let off = |option: &&str| mount.has(option);
    if matches!(mount.fs_type.as_str(), "tmpfs" | "ramfs") {
        return Some(Fact::limited(name, "the files are in memory: they survive killed programs, but no reboot"));
    }
    // mount(8), ext4(5), xfs(5), overlayfs of the kernel's documentation.
    let unsafe_option =
        ["nobarrier", "barrier=0", "barrier=none", "volatile", "fsync=volatile"].iter().find(|o| off(o));
    unsafe_option.map(|option| {
        let meaning = format!(
            "mounted with `{option}`: the disk may forget what it said was written, and a power cut take back what was \
             acknowledged"
        );
        Fact::limited(name, meaning)
    })
}

fn options(mount: &Mount, local_locks: Option<&str>) -> Fact {
    let name = "mount-options";
    let telling = |option: &&String| {
        ["nolock", "noflock", "localflock", "localflocks", "nobrl", "soft", "softerr", "ro", "data=writeback"]
            .contains(&option.as_str())
            || option.starts_with("local_lock=")
            || option.starts_with("vers=")
    };
    let shown: Vec<&str> = mount.options.iter().filter(telling).map(String::as_str).collect();
    let fact = if local_locks.is_some() {
        Fact::missing(name, "they keep locks on this machine although others reach the same files")
    } else if mount.has("soft") || mount.has("softerr") {
        Fact::limited(
            name,
            "`soft` gives up on a slow server: a write may fail or a lock be lost where `hard` would wait",
        )
    } else if mount.has("ro") {
        Fact::new(name, Verdict::Limited, "read-only: files can be read, nothing else")
    } else if mount.has("data=writeback") {
        let meaning = "after a power cut, files written with durability `none` may hold old bytes of other files";
        Fact::limited(name, meaning).harmless()
    } else {
        Fact::good(name, "nothing in them weakens a promise")
    };
    if shown.is_empty() { fact } else { fact.value(shown.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn tell(name: &'static str, kind: FsKind, options: &[&str]) -> Told {
        let caps = Caps {
            kind,
            name,
            case_insensitive: false,
            timestamp_granule: Duration::from_millis(20),
            range_locks: kind == FsKind::Local,
        };
        let options = options.iter().map(|o| (*o).to_owned()).collect();
        told(Some(&Mount { fs_type: name.to_owned(), options, ..Mount::default() }), &caps)
    }

    fn verdict(told: &Told, name: &str) -> Option<(Verdict, bool)> {
        told.facts.iter().find(|fact| fact.name == name).map(|fact| (fact.verdict, fact.weakens))
    }

    /// LOCK-20, P4: locks that are known to be local are not believed, whatever a probe says.
    #[test]
    fn local_locks_are_known() {
        use FsKind::Network;
        for (name, options, local) in [
            ("nfs", &["rw", "hard", "local_lock=none"][..], false),
            ("nfs", &["rw", "nolock"], true),
            ("nfs", &["rw", "local_lock=flock"], true),
            ("nfs", &["rw", "local_lock=all"], true),
            ("nfs", &["rw", "local_lock=posix"], false),
            ("cifs", &["rw"], false),
            ("cifs", &["rw", "nobrl"], true),
            ("lustre", &["localflock"], true),
            ("ocfs2", &["localflocks"], true),
            ("ceph", &["rw"], false),
            ("9p", &["rw"], true),
            ("virtiofs", &["rw"], true),
            ("vboxsf", &["rw"], true),
            ("fuse.sshfs", &["rw"], true),
        ] {
            let told = tell(name, Network, options);
            assert_eq!(told.local_locks.is_some(), local, "{name} {options:?}");
            assert_eq!(verdict(&told, "file-system"), Some((Verdict::Limited, true)), "{name}");
        }
    }

    /// ATOM-2: options that make "durable" mean less are named; those that mean nothing are not held against a disk.
    #[test]
    fn durability_is_weakened_by_options() {
        let of = |name, options: &[&str]| verdict(&tell(name, FsKind::Local, options), "durability");
        assert_eq!(of("ext4", &["rw", "noatime"]), None);
        for options in [&["barrier=0"][..], &["nobarrier"]] {
            assert_eq!(of("ext4", options), Some((Verdict::Limited, true)));
        }
        assert_eq!(of("overlayfs", &["rw", "volatile"]), Some((Verdict::Limited, true)));
        assert_eq!(of("tmpfs", &["rw"]), Some((Verdict::Limited, true)));
        let told = tell("ext4", FsKind::Local, &["rw", "data=writeback"]);
        assert_eq!(verdict(&told, "mount-options"), Some((Verdict::Limited, false)));
        let told = tell("ext4", FsKind::Local, &["rw", "relatime"]);
        assert_eq!(verdict(&told, "mount-options"), Some((Verdict::Good, false)));
        assert!(tell("ext4", FsKind::Local, &["ro"]).read_only && !told.read_only);
    }
}
