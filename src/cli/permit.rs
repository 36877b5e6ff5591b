//! Whether the daemon's user may read a path. Root may read everything, so root's check looks at owner, groups, mode
//! and ACL; anyone else's opens the file.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;

use crate::cli::advice;
use crate::store::{Holder, Role};

/// The user of the service and its `SupplementaryGroups=`: systemd/tokenwatch.service.
const SERVICE_USER: &str = "tokenwatch";
const SERVICE_GROUPS: [&str; 2] = ["adm", "systemd-journal"];

/// `CAP_DAC_OVERRIDE` and `CAP_DAC_READ_SEARCH` (capabilities(7)): permissions are not checked.
const READS_ALL: u64 = 1 << 1 | 1 << 2;

/// The ACL of a file, as the kernel stores it: acl(5).
const ACL: &str = "system.posix_acl_access";
/// More than any ACL that ext4 or XFS can store for a log.
const MAX_ACL: usize = 64 * 1024;

const READ: u32 = 4;
const ENTER: u32 = 1;

/// Whose permissions count.
pub(super) enum Permit {
    /// Those of this process: it tries to open the file.
    Own,
    /// Another user's, as far as root knows it.
    Of(User),
}

/// What determines a user's permissions.
pub(super) struct User {
    id: u32,
    groups: BTreeSet<u32>,
    /// The groups are those of the running daemon. Otherwise its unit may add more.
    is_certain: bool,
    reads_all: bool,
}

/// Why the daemon cannot read a path.
#[derive(Debug)]
pub(super) enum Refusal {
    /// The system refuses.
    Denied(io::Error),
    /// The permissions of this file or directory refuse.
    Closed(Barrier),
    /// They grant a group access, but the daemon may not be a member of it.
    Unsure(Barrier),
}

/// A file or directory, and the user that it keeps out.
#[derive(Debug)]
pub(super) struct Barrier {
    path: PathBuf,
    user: u32,
    mode: u32,
    owner: u32,
    group: u32,
}

impl Refusal {
    /// Returns a command that grants access; empty if permissions are not the problem.
    pub(super) fn remedy(&self) -> String {
        let (Self::Closed(barrier) | Self::Unsure(barrier)) = self else { return String::new() };
        let Barrier { path, user, .. } = barrier;
        let right = if path.is_dir() { "x" } else { "r" };
        format!("`setfacl -m u:{user}:{right} {}` grants it", advice::quoted(path.as_os_str()))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (barrier, verb) = match self {
            Self::Denied(error) => return write!(f, "{error}"),
            Self::Closed(barrier) => (barrier, "may not"),
            Self::Unsure(barrier) => (barrier, "may not be able to"),
        };
        let Barrier { path, user, mode, owner, group } = barrier;
        let path = path.display();
        write!(
            f,
            "the daemon's user {user} {verb} read {path}: mode {mode:04o}, owner {owner}, group {group}"
        )
    }
}

impl Permit {
    /// Returns whose permissions count for a state directory: the running daemon's, else those of the directory's
    /// owner.
    pub(super) fn of(state: &Path, holder: Option<Holder>) -> Self {
        if !geteuid().is_root() {
            return Self::Own;
        }
        let running = match holder {
            Some(Holder::Process(pid, Role::Daemon)) => User::running(pid),
            _ => None,
        };
        let user = running.or_else(|| User::owning(state));
        user.map_or(Self::Own, |user| if user.id == 0 { Self::Own } else { Self::Of(user) })
    }

    /// Returns why the daemon cannot read a file; `None` if it can, or if the path is gone or not a regular file.
    pub(super) fn refusal(&self, path: &Path) -> Option<Refusal> {
        let found = match fs::metadata(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Refusal::Denied(error)),
        };
        if !found.is_file() {
            return None;
        }
        match self {
            Self::Own => File::open(path).err().map(Refusal::Denied),
            Self::Of(user) => user.refusal(path, &found),
        }
    }
}

impl User {
    /// Returns the user of a process: `/proc/PID/status` (proc(5)).
    fn running(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let words = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        };
        let ids = |name: &str| {
            words(name)?.iter().map(|word| word.parse().ok()).collect::<Option<Vec<u32>>>()
        };
        let capable = u64::from_str_radix(words("CapEff:")?.first()?, 16).ok()?;
        // The real, effective, saved and file system's id; the last one counts.
        let id = *ids("Uid:")?.last()?;
        let groups = ids("Groups:")?.into_iter().chain(ids("Gid:")?.last().copied()).collect();
        Some(Self { id, groups, is_certain: true, reads_all: capable & READS_ALL != 0 })
    }

    /// Returns the owner of a directory, with the groups from `/etc/passwd`, `/etc/group` and the service's unit.
    fn owning(directory: &Path) -> Option<Self> {
        let found = fs::metadata(directory).ok()?;
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let (id, users, groups) = (found.uid(), read("/etc/passwd"), read("/etc/group"));
        Some(Self::known(id, found.gid(), &users, &groups))
    }

    fn known(id: u32, group: u32, users: &str, groups: &str) -> Self {
        let rows = |text: &str| {
            let rows = text.lines().map(|line| line.split(':').map(str::to_owned).collect());
            rows.collect::<Vec<Vec<String>>>()
        };
        let number = |row: &[String], at: usize| row.get(at)?.parse::<u32>().ok();
        let user = rows(users).into_iter().find(|row| number(row, 2) == Some(id));
        let name = user.as_ref().and_then(|user| user.first()).map_or("", String::as_str);
        let main = user.as_ref().and_then(|user| number(user, 3)).unwrap_or(group);
        let has = |row: &Vec<String>| {
            let names = row.get(3).map_or("", String::as_str);
            let title = row.first().map_or("", String::as_str);
            names.split(',').any(|member| !name.is_empty() && member == name)
                || name == SERVICE_USER && SERVICE_GROUPS.contains(&title)
        };
        let more = rows(groups).into_iter().filter(has).filter_map(|row| number(&row, 2));
        let groups = more.chain([main]).collect();
        Self { id, groups, is_certain: false, reads_all: false }
    }

    fn refusal(&self, path: &Path, found: &Metadata) -> Option<Refusal> {
        // Links lead through other directories.
        let real = path.canonicalize().ok()?;
        let folders: Vec<&Path> = real.ancestors().skip(1).collect();
        let closed = folders.into_iter().rev().find_map(|folder| {
            let found = fs::metadata(folder).ok()?;
            self.refused(folder, &found, ENTER)
        });
        closed.or_else(|| self.refused(&real, found, READ))
    }

    fn refused(&self, path: &Path, found: &Metadata, want: u32) -> Option<Refusal> {
        let acl = acl(path).unwrap_or_else(|| {
            let mode = found.mode();
            vec![(Tag::Owner, mode >> 6), (Tag::Group, mode >> 3), (Tag::Other, mode)]
        });
        let barrier = || Barrier {
            path: path.to_owned(),
            user: self.id,
            mode: found.mode() & 0o7777,
            owner: found.uid(),
            group: found.gid(),
        };
        match self.may(&acl, (found.uid(), found.gid()), want) {
            Some(true) => None,
            Some(false) => Some(Refusal::Closed(barrier())),
            None => Some(Refusal::Unsure(barrier())),
        }
    }

    /// Returns whether an ACL grants access, by the algorithm of acl(5); `None` if it grants it only to a group that
    /// the user may not be in.
    fn may(&self, acl: &[(Tag, u32)], (owner, group): (u32, u32), want: u32) -> Option<bool> {
        if self.reads_all {
            return Some(true);
        }
        let mask = acl.iter().find_map(|(tag, bits)| (*tag == Tag::Mask).then_some(*bits));
        let masked = |bits: u32| bits & mask.unwrap_or(u32::MAX) & want == want;
        let of = |tag: Tag| acl.iter().find_map(|(one, bits)| (*one == tag).then_some(*bits));
        if self.id == owner {
            return Some(of(Tag::Owner).is_some_and(|bits| bits & want == want));
        }
        if let Some(bits) = of(Tag::OneUser(self.id)) {
            return Some(masked(bits));
        }
        let groups = acl.iter().filter_map(|(tag, bits)| match tag {
            Tag::Group => Some((group, *bits)),
            Tag::OneGroup(id) => Some((*id, *bits)),
            _ => None,
        });
        let (own, foreign): (Vec<_>, Vec<_>) = groups.partition(|(id, _)| self.groups.contains(id));
        let is_granted = |groups: &[(u32, u32)]| groups.iter().any(|(_, bits)| masked(*bits));
        let granted = if own.is_empty() {
            of(Tag::Other).is_some_and(|bits| bits & want == want)
        } else {
            is_granted(&own)
        };
        (granted || self.is_certain || !is_granted(&foreign)).then_some(granted)
    }
}

/// Whom an entry of an ACL applies to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tag {
    Owner,
    OneUser(u32),
    Group,
    OneGroup(u32),
    Mask,
    Other,
}

/// Returns the entries of a path's ACL with their bits; `None` if it has only its mode.
///
/// ```text
/// version: u32 = 2, then for each entry: tag: u16, bits: u16, id: u32 (little endian; linux/posix_acl_xattr.h)
/// ```
fn acl(path: &Path) -> Option<Vec<(Tag, u32)>> {
    let mut bytes = vec![0; MAX_ACL];
    let n_read = rustix::fs::getxattr(path, ACL, bytes.as_mut_slice()).ok()?;
    bytes.truncate(n_read);
    let entries = bytes.strip_prefix(&2_u32.to_le_bytes())?;
    entries.chunks_exact(8).map(entry).collect()
}

fn entry(bytes: &[u8]) -> Option<(Tag, u32)> {
    let (tag, rest) = bytes.split_first_chunk::<2>()?;
    let (bits, rest) = rest.split_first_chunk::<2>()?;
    let id = u32::from_le_bytes(*rest.first_chunk()?);
    let tag = match u16::from_le_bytes(*tag) {
        0x01 => Tag::Owner,
        0x02 => Tag::OneUser(id),
        0x04 => Tag::Group,
        0x08 => Tag::OneGroup(id),
        0x10 => Tag::Mask,
        0x20 => Tag::Other,
        _ => return None,
    };
    Some((tag, u32::from(u16::from_le_bytes(*bits))))
}

#[cfg(test)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/:/bin/sh\ntokenwatch:x:990:980::/:\nann:x:1000:1000::/:\n";
    const GROUPS: &str = "root:x:0:\nadm:x:4:syslog\nweb:x:33:bob,ann\ntokenwatch:x:980:\n";

    #[test]
    fn who_may_read_follows_owner_groups_mode_and_acl() {
        let ann = User::known(1000, 1, USERS, GROUPS);
        assert_eq!(ann.groups, BTreeSet::from([33, 1000]));
        let mode =
            |bits: u32| vec![(Tag::Owner, bits >> 6), (Tag::Group, bits >> 3), (Tag::Other, bits)];
        let cases = [
            (0o600, (0, 0), Some(false)),
            (0o600, (1000, 0), Some(true)),
            (0o640, (0, 33), Some(true)),
            (0o640, (0, 4), None),
            (0o644, (0, 4), Some(true)),
            // The first matching class counts.
            (0o044, (1000, 33), Some(false)),
            (0o604, (0, 33), Some(false)),
        ];
        for (bits, owner, expected) in cases {
            assert_eq!(ann.may(&mode(bits), owner, READ), expected, "{bits:o} {owner:?}");
        }
        let mut acl = mode(0o640);
        acl.extend([(Tag::OneUser(1000), 5), (Tag::Mask, 4)]);
        assert_eq!(ann.may(&acl, (0, 0), READ), Some(true));
        assert_eq!(ann.may(&acl, (0, 0), ENTER), Some(false), "the mask takes it away");
        let running = User { is_certain: true, ..ann };
        assert_eq!(running.may(&mode(0o640), (0, 4), READ), Some(false));
    }

    #[test]
    fn the_service_is_in_the_groups_of_its_unit() {
        let unit = include_str!("../../systemd/tokenwatch.service");
        assert!(unit.contains(&format!("\nUser={SERVICE_USER}\n")));
        assert!(unit.contains(&format!("\nSupplementaryGroups={}\n", SERVICE_GROUPS.join(" "))));
        let service = User::known(990, 990, USERS, GROUPS);
        assert_eq!(service.groups, BTreeSet::from([4, 980]));
    }

    #[test]
    fn the_service_leaves_no_core_files() {
        let unit = include_str!("../../systemd/tokenwatch.service");
        assert!(unit.contains("\nLimitCORE=1\n"));
    }

    #[test]
    fn an_acl_is_read_as_the_kernel_stores_it() {
        let bytes = [2, 0, 4, 0, 0xE8, 3, 0, 0];
        assert_eq!(entry(&bytes), Some((Tag::OneUser(1000), 4)));
        assert_eq!(entry(&[64, 0, 4, 0, 0, 0, 0, 0]), None);
        assert_eq!(entry(&bytes[..7]), None);
    }
}
