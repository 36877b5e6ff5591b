//! The file system of a path, where it determines what can be done with the path.

use std::io;
use std::path::Path;

use rustix::fs::statfs;

/// File systems on another machine, by statfs(2): NFS, SMB, CIFS, SMB2, AFS, Coda, Ceph. The write-ahead log of SQLite
/// "does not work over a network filesystem" (sqlite.org/wal.html).
const REMOTE: [i64; 7] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x5346_414f, 0x7375_7245, 0x00c3_6400];

/// File systems that may be on another machine, by statfs(2): FUSE (`sshfs`, `s3fs`), 9P (shared by hosts with their
/// guests); and those for which GNU coreutils' `tail -f` does not use inotify (src/stat.c): `kafs`, GFS2, OCFS2,
/// Lustre, GPFS, `fhgfs`, `panfs`, the shares of virtual machines (`vboxsf`, `vmhgfs`, `prl_fs`), `aufs`.
const FOREIGN: [i64; 13] = [
    0x6573_5546,
    0x0102_1997,
    0x6b41_4653,
    0x0116_1970,
    0x7461_636f,
    0x0bd0_0bd0,
    0x4750_4653,
    0x1983_0326,
    0xaad7_aaea,
    0x786f_4256,
    0xbacb_acbc,
    0x7c7c_6673,
    0x6175_6673,
];

/// Returns whether a path is on another machine.
///
/// # Errors
/// Returns the error of the file system.
pub fn is_remote(path: &Path) -> io::Result<bool> {
    Ok(REMOTE.contains(&statfs(path)?.f_type))
}

/// Returns whether the kernel reports all changes in a directory. It does not report those made by another machine,
/// since inotify(7) "reports only events that a user-space program triggers through the filesystem API" of this one.
#[must_use]
pub fn hears_changes(folder: &Path) -> bool {
    // If the file system is unknown, the directory is watched: if that does not help, the sweep finds the changes.
    statfs(folder).map_or(true, |system| has_ears(system.f_type))
}

fn has_ears(system: i64) -> bool {
    !REMOTE.contains(&system) && !FOREIGN.contains(&system)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_machine_writes_to_is_not_heard_of() {
        // ext4, xfs, btrfs, tmpfs, overlay; NFS, CIFS, SMB2, FUSE, 9P (statfs(2)); GFS2, `vboxsf` (coreutils).
        for system in [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0x794c_7630] {
            assert!(has_ears(system), "{system:x}");
        }
        for system in
            [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x0116_1970, 0x786f_4256]
        {
            assert!(!has_ears(system), "{system:x}");
        }
        let folder = tempfile::tempdir().unwrap();
        assert!(hears_changes(folder.path()) && !is_remote(folder.path()).unwrap());
        assert!(hears_changes(&folder.path().join("gone")));
    }
}
