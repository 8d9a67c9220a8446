//! File systems whose locks are known to end at the machine, or the mount, that takes them (LOCK-20, P4).
//!
//! No probe on one machine finds that out: here the locks exclude, and there others have them, too.

use filelatch_fs::{Caps, Mount};

/// Are the locks known to be local, whatever a probe on this machine says? nfs(5), mount.cifs(8), `mount.lustre(8)`, the
/// documentation of gfs2 and ocfs2; 9p, sshfs and the folders that hosts share with virtual machines do not send locks, or
/// their servers say yes to all.
pub(crate) fn local_locks(mount: &Mount, caps: &Caps) -> Option<String> {
    let option = |name: &str| mount.has(name).then(|| format!("`{name}` is among the mount options"));
    match caps.name {
        "nfs" => option("nolock").or_else(|| option("local_lock=all")).or_else(|| option("local_lock=flock")),
        "cifs" | "smb" => option("nobrl").or_else(|| option("nolock")),
        "lustre" => option("localflock").or_else(|| option("noflock")),
        "gfs2" | "ocfs2" => option("localflocks"),
        "9p" | "fuse.sshfs" | "virtiofs" | "vboxsf" | "vmhgfs" | "prl_fs" | "fuse.rclone" | "fuse.objects"
        | "fuse.davfs" => Some(format!("{} keeps locks on the machine that takes them", mount.fs_type)),
        _ => None,
    }
}
