//! Identifies files: their identity, the meaning of a changed file, and the names that belong to one log.

use std::cmp::Reverse;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Statx, StatxAttributes, StatxFlags};

use super::{marks, moment};
use crate::engine::line::{Position, StreamId};

/// A file's identity in the file system. Inode numbers are reused (by ext4, at once), so the birth time is part of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth time in ns since 1970, or 0 if the file system does not record it.
    pub born: i64,
}

impl Identity {
    /// Returns the identity stored in a position.
    #[must_use]
    pub const fn of(position: &Position) -> Self {
        Self { device: position.device, inode: position.inode, born: position.born }
    }

    /// Returns the id of one life of this file: the same in every run, so that evidence can refer to it.
    #[must_use]
    pub fn stream(self, generation: u32) -> StreamId {
        let mut bytes = Vec::with_capacity(28);
        bytes.extend_from_slice(&self.device.to_le_bytes());
        bytes.extend_from_slice(&self.inode.to_le_bytes());
        bytes.extend_from_slice(&self.born.to_le_bytes());
        bytes.extend_from_slice(&generation.to_le_bytes());
        StreamId(i64::from_le_bytes(marks::hash(&bytes).to_le_bytes()))
    }

    /// Returns the position of a life of which nothing was read.
    ///
    /// Since there are no bytes before offset 0, its `tail` is the time of the content's last change (ns since 1970)
    /// instead of a hash: copies made since then contain lines that were never read.
    #[must_use]
    pub fn start(self, path: &Path, generation: u32, modified: i64) -> Position {
        let mut position = Position {
            path: path.to_owned(),
            device: self.device,
            inode: self.inode,
            born: self.born,
            generation,
            ..Position::default()
        };
        marks::Marks::default().write_to(&mut position);
        position.tail = modified.cast_unsigned();
        position
    }

    /// Returns the position of a life in which the contents of another file continue after what was read of them there.
    #[must_use]
    pub fn go_on(self, path: &Path, generation: u32, from: Position) -> Position {
        Position {
            offset: from.offset,
            size: from.size.max(from.offset),
            head: from.head,
            head_length: from.head_length,
            tail: from.tail,
            began: from.offset,
            directives: from.directives,
            ..self.start(path, generation, 0)
        }
    }
}

/// Returns the files to which standard output and standard error are redirected.
pub(super) fn own_output() -> Vec<Identity> {
    let (out, error) = (io::stdout(), io::stderr());
    let both = [out.as_fd(), error.as_fd()].map(|output| {
        let file = output.try_clone_to_owned().map(File::from);
        file.and_then(|file| Seen::of(&file))
    });
    both.into_iter().flatten().filter(|seen| seen.is_file).map(|seen| seen.identity).collect()
}

/// The result of comparing a file with a stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// Device, inode and birth time are equal.
    pub same_identity: bool,
    /// The file is at least as long as the stored offset.
    pub long_enough: bool,
    /// Its first bytes, and its last bytes before the offset, are equal.
    pub same_marks: bool,
}

/// A file's relation to a stored position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The same file: continue.
    Same,
    /// The same file without its contents: next generation, from 0; unread bytes are a gap.
    Truncated,
    /// Another file with the same contents: adopt the offset and read what follows.
    Copied,
    /// Another file: read it from its start.
    New,
}

/// Determines a file's relation to a stored position.
#[must_use]
pub const fn decide(found: Evidence) -> Meaning {
    match (found.same_identity, found.long_enough && found.same_marks) {
        (true, true) => Meaning::Same,
        (true, false) => Meaning::Truncated,
        (false, true) => Meaning::Copied,
        (false, false) => Meaning::New,
    }
}

/// The result of one look at a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) identity: Identity,
    pub(super) size: u64,
    /// Last change of the content, ns since 1970.
    pub(super) modified: i64,
    pub(super) is_file: bool,
    /// It has hard links, or is a mount: a write under another name is not reported under this one.
    pub(super) has_other_names: bool,
}

impl Seen {
    /// Looks at the target of a path, following symbolic links.
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        moment::pass();
        Ok(Self::from(&rustix::fs::statx(CWD, path, AtFlags::empty(), wanted())?))
    }

    /// Looks at a path itself, without following symbolic links.
    pub(super) fn named(path: &Path) -> io::Result<Self> {
        moment::pass();
        Ok(Self::from(&rustix::fs::statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, wanted())?))
    }

    /// Looks at an open file.
    pub(super) fn of(file: &File) -> io::Result<Self> {
        Ok(Self::from(&rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted())?))
    }
}

impl Seen {
    /// Returns a moment at which the contents were being written, in ns since 1970: the birth time.
    ///
    /// If a file was last written to before its birth, it is a copy that kept its time, which is more meaningful. The
    /// files of a log follow one another, so this orders them even if an old one is still being written.
    pub(super) const fn began(&self) -> i64 {
        let born = self.identity.born;
        if born == 0 || self.modified < born { self.modified } else { born }
    }
}

fn wanted() -> StatxFlags {
    StatxFlags::BASIC_STATS | StatxFlags::BTIME
}

impl From<&Statx> for Seen {
    fn from(found: &Statx) -> Self {
        let has_birth = found.stx_mask & StatxFlags::BTIME.bits() != 0;
        let ns = |seconds: i64, rest: u32| {
            let time = seconds.saturating_mul(1_000_000_000).saturating_add(i64::from(rest));
            moment::tick_of(time)
        };
        let born = if has_birth { ns(found.stx_btime.tv_sec, found.stx_btime.tv_nsec) } else { 0 };
        Self {
            identity: Identity {
                device: rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor),
                inode: found.stx_ino,
                born,
            },
            size: found.stx_size,
            modified: ns(found.stx_mtime.tv_sec, found.stx_mtime.tv_nsec),
            has_other_names: found.stx_nlink > 1
                || found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT),
            is_file: FileType::from_raw_mode(u32::from(found.stx_mode)) == FileType::RegularFile,
        }
    }
}

/// Endings of compressed files.
const COMPRESSED: [&[u8]; 9] =
    [b".gz", b".zst", b".bz2", b".xz", b".Z", b".lz4", b".zip", b".lzma", b".br"];

/// Returns whether a file is compressed, according to its name.
#[must_use]
pub fn is_compressed(path: &Path) -> bool {
    let name = path.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    COMPRESSED.iter().any(|ending| name.ends_with(ending))
}

/// Returns a time (ns since 1970) with the precision of `kept`, a compressed file's time. Some programs keep only whole
/// seconds of the original's: bzip2 1.0.8 sets it by utime(2).
pub(super) const fn as_kept(time: i64, kept: i64) -> i64 {
    let has_rest = kept.rem_euclid(1_000_000_000) != 0;
    if has_rest { time } else { time.saturating_sub(time.rem_euclid(1_000_000_000)) }
}

/// Returns the name that a rotated log had before its rotation: `access.log` for `access.log.1`,
/// `access.log-20260101.gz`, `access-2026-01-01.log` and for itself.
///
/// Removes parts that follow `.`, `-` or `_` and begin with a digit, and the ending of a compressed file. Two logs
/// whose names differ only in a number (`node-1.log`, `node-2.log`) have the same base: then their contents are
/// compared, and they are never taken for one because of their names.
pub(super) fn base(name: &OsStr) -> OsString {
    let kept: Vec<&[u8]> = parts(name).into_iter().filter(|part| !is_counter(part)).collect();
    OsString::from_vec(kept.concat())
}

/// Returns the path of the log from which a path was rotated, as far as its end shows: without counters and dates at
/// the end of the name. For `n-1.log.2` it is `n-1.log`.
#[must_use]
pub fn unrotated(path: &Path) -> PathBuf {
    let Some(name) = path.file_name() else { return path.to_owned() };
    let mut parts = parts(name);
    while parts.len() > 1 && parts.last().is_some_and(|part| is_counter(part)) {
        parts.pop();
    }
    path.with_file_name(OsString::from_vec(parts.concat()))
}

/// Returns the names that a log may have had before its rotation, longest first: its own, those without one run of
/// counters, and its [`base`]. `n-1.log.2` may come from `n-1.log`, but not from `n-2.log`.
pub(super) fn origins(name: &OsStr) -> Vec<OsString> {
    let parts = parts(name);
    let mut origins = vec![name.to_owned()];
    for length in 0..=parts.len() {
        for (from, run) in parts.windows(length.max(1)).enumerate() {
            let run = run.get(..length).unwrap_or_default();
            if run.iter().all(|part| is_counter(part)) {
                let (before, after) = parts.split_at(from);
                let after = after.get(length..).unwrap_or_default();
                origins.push(OsString::from_vec([before.concat(), after.concat()].concat()));
            }
        }
    }
    origins.push(base(name));
    origins.dedup();
    origins
}

/// Returns whether a name has a short number before its ending: `access-8080.log` may be a separate log or a rotated
/// file of `access.log`.
pub(super) fn is_numbered(name: &OsStr) -> bool {
    let is_rotated = parts(name).last().is_some_and(|part| is_counter(part));
    !is_rotated && matches!(youth(name), Youth::Number(_))
}

/// Returns whether a name may be that of a numbered log or its rotated files, as well as a rotated one of `log`.
///
/// A compressed file whose number is its only counter is not ambiguous: no log is written in compressed form.
pub(super) fn is_ambiguous(name: &OsStr, log: &OsStr) -> bool {
    let path = Path::new(name);
    let origin = unrotated(path);
    let is_packed = is_compressed(path) && path.with_extension("") == origin;
    !is_packed && origin.as_os_str() != log && is_numbered(origin.as_os_str())
}

/// The position of a name among those of one log's files, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Youth {
    /// `log-20260101`, `log.2026-01-01.2`: later is younger.
    Date(Vec<u128>),
    /// `log.1`, `log.2`: higher is older.
    Number(Vec<Reverse<u128>>),
    /// The log itself.
    Log,
}

/// With at least this many digits, the counters in a name are a date rather than a number.
const DATE_DIGITS: usize = 6;

/// Returns how young a file is among those of its log, according to its name.
///
/// Numbers are assumed to be shifted, as by logrotate. Some programs count upwards instead, so a name decides only if
/// times do not.
pub(super) fn youth(name: &OsStr) -> Youth {
    let counters: Vec<&[u8]> = parts(name).into_iter().filter(|part| is_counter(part)).collect();
    let digits = |part: &&[u8]| part.iter().filter(|byte| byte.is_ascii_digit()).count();
    let number = |part: &&[u8]| {
        let digits = part.iter().filter(|byte| byte.is_ascii_digit());
        digits.fold(0, |sum: u128, byte| {
            sum.saturating_mul(10).saturating_add(u128::from(byte.saturating_sub(b'0')))
        })
    };
    if counters.is_empty() {
        Youth::Log
    } else if counters.iter().map(digits).sum::<usize>() >= DATE_DIGITS {
        Youth::Date(counters.iter().map(number).collect())
    } else {
        Youth::Number(counters.iter().map(number).map(Reverse).collect())
    }
}

/// Splits a name before each `.`, `-` and `_`, without the ending of a compressed file.
fn parts(name: &OsStr) -> Vec<&[u8]> {
    let mut rest = name.as_bytes();
    for ending in COMPRESSED {
        rest = rest.strip_suffix(ending).unwrap_or(rest);
    }
    let mut parts = Vec::new();
    while !rest.is_empty() {
        let after = rest.iter().skip(1).position(is_separator);
        let (part, next) = rest.split_at(after.map_or(rest.len(), |at| at + 1));
        parts.push(part);
        rest = next;
    }
    parts
}

const fn is_separator(byte: &u8) -> bool {
    matches!(byte, b'.' | b'-' | b'_')
}

/// Returns whether a part of a name is a number or a time.
fn is_counter(part: &[u8]) -> bool {
    part.first().is_some_and(is_separator)
        && part.get(1).is_some_and(u8::is_ascii_digit)
        && part.iter().skip(1).all(|byte| byte.is_ascii_digit() || matches!(byte, b'T' | b'Z'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_name_is_led_back_to_its_log() {
        for (name, log) in [
            ("a.log", "a.log"),
            ("a.log.1", "a.log"),
            ("a.log.2.gz", "a.log"),
            ("a.log-20260302", "a.log"),
            ("n-1.log.2", "n-1.log"),
            ("n-1.log", "n-1.log"),
            ("1", "1"),
        ] {
            assert_eq!(unrotated(&Path::new("/l").join(name)), Path::new("/l").join(log), "{name}");
        }
    }

    #[test]
    fn the_decision_table_is_whole() {
        let rows = [
            (true, true, true, Meaning::Same),
            (true, true, false, Meaning::Truncated),
            (true, false, true, Meaning::Truncated),
            (true, false, false, Meaning::Truncated),
            (false, true, true, Meaning::Copied),
            (false, true, false, Meaning::New),
            (false, false, true, Meaning::New),
            (false, false, false, Meaning::New),
        ];
        for (same_identity, long_enough, same_marks, meaning) in rows {
            let found = Evidence { same_identity, long_enough, same_marks };
            assert_eq!(decide(found), meaning, "{found:?}");
        }
    }

    #[test]
    fn rotated_names_lead_back_to_their_log() {
        for name in [
            "access.log",
            "access.log.1",
            "access.log.12.gz",
            "access.log-20260101",
            "access.log-20260101-12.zst",
            "access-20260101.log",
            "access-2026-01-01.log.gz",
            "access_20260101T120000Z.log",
        ] {
            assert_eq!(base(OsStr::new(name)), "access.log", "{name}");
        }
        assert_eq!(base(OsStr::new("access-ssl.log")), "access-ssl.log");
        assert_eq!(base(OsStr::new("v2.log")), "v2.log");
        assert_eq!(base(OsStr::new("0.log")), "0.log");
        assert_eq!(base(OsStr::new("0.log.20260101-120000")), "0.log");
        assert_eq!(base(OsStr::from_bytes(b"a\xff.log.1")).as_bytes(), b"a\xff.log");
        assert_eq!(base(OsStr::new("")), "");
        assert_eq!(base(OsStr::new(".1")), "");
    }

    #[test]
    fn a_number_in_the_name_of_a_log_is_told_from_its_counter() {
        let comes_from = |name: &str, log: &str| {
            origins(OsStr::new(name)).iter().any(|origin| origin == OsStr::new(log))
        };
        for (name, log) in [
            ("n-1.log", "n-1.log"),
            ("n-1.log.2", "n-1.log"),
            ("n-1.log-20260101-12.gz", "n-1.log"),
            ("n-1-2026-01-01.log", "n-1.log"),
            ("a-2026-01-01.log.2.gz", "a.log"),
            ("a.log.1.gz", "a.log.1"),
        ] {
            assert!(comes_from(name, log), "{name} {log}");
        }
        for (name, log) in [("n-2.log", "n-1.log"), ("n-2.log.1", "n-1.log"), ("n.log", "n-1.log")]
        {
            assert!(!comes_from(name, log), "{name} {log}");
        }
    }

    #[test]
    fn a_short_number_before_the_ending_may_be_of_another_log() {
        for (name, log, is_doubted) in [
            ("a-8080.log", "a.log", true),
            ("a-8080.log.1", "a.log", true),
            ("a-8080.log.1.gz", "a.log", true),
            ("a-8080.log", "a-8080.log", false),
            ("a-8080.log.1", "a-8080.log", false),
            ("a-2.log.gz", "a.log", false),
            ("a-2026-01-01.log", "a.log", false),
            ("a-2026-01-01.log.2.gz", "a.log", false),
            ("a.log.1", "a.log", false),
            ("a.1", "a", false),
        ] {
            assert_eq!(is_ambiguous(OsStr::new(name), OsStr::new(log)), is_doubted, "{name}");
        }
    }

    #[test]
    fn names_of_one_log_have_an_order() {
        let oldest_first = [
            "a.log-20251231",
            "a.log-20260101",
            "a.log-2026010112",
            "a.log.12.gz",
            "a.log.10",
            "a.log.9",
            "a.log.1",
            "a.log.0",
            "a.log",
        ];
        for pair in oldest_first.windows(2) {
            assert!(youth(OsStr::new(pair[0])) < youth(OsStr::new(pair[1])), "{pair:?}");
        }
        let dates =
            ["a-2025-12-31.log", "a-2026-01-01.log", "a-2026-01-02.log", "a-2026-11-01.log"];
        assert!(dates.map(|name| youth(OsStr::new(name))).is_sorted());
        assert_eq!(youth(OsStr::new("v2.log")), Youth::Log);
    }

    #[test]
    fn a_stream_is_named_by_its_life() {
        let identity = Identity { device: 1, inode: 2, born: 3 };
        assert_eq!(identity.stream(0), identity.stream(0));
        assert_ne!(identity.stream(0), identity.stream(1));
        assert_ne!(identity.stream(0), Identity { born: 4, ..identity }.stream(0));
    }
}
