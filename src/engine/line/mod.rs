//! Whole lines and their positions: streams, positions, batches.

mod comment;
mod parts;

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};

use crate::engine::zone::Reach;

pub use comment::comment;
pub use parts::{Lines, Seams, settled};

/// The longest line that is parsed whole: of a longer one, the first 64 KiB are parsed and the rest is discarded.
pub const MAX_LINE: usize = 64 * 1024;

/// Removes the byte order mark of UTF-8, with which Windows' tools begin a file.
#[must_use]
pub fn unmarked(line: &[u8]) -> &[u8] {
    line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
}

/// One life of a file: from its creation or last truncation to the next.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct StreamId(pub i64);

/// Where a log begins that exists at the very first start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadFrom {
    /// At its start.
    Start,
    /// After its last whole line: the old contents are not read.
    #[default]
    End,
}

/// A file's identity, and how far it has been read.
///
/// `head` and `tail` are hashes of bytes already committed. A file with the same device, inode and birth time that
/// is at least `offset` bytes long and has the same hashes is the same file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Where the file was last seen; bytes that are not UTF-8 are preserved.
    pub path: PathBuf,
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Birth time in ns since 1970, or 0 if the file system does not record it.
    pub born: i64,
    /// How many times the file was truncated while it was known.
    pub generation: u32,
    /// Bytes committed: everything before this offset has taken effect, nothing after it has.
    pub offset: u64,
    /// Hash of the first `head_length` bytes.
    pub head: u64,
    /// The number of leading bytes that `head` covers: up to 1 KiB, growing with the file.
    pub head_length: u32,
    /// Hash of the last `min(offset, 64)` bytes before `offset`.
    pub tail: u64,
    /// The end of what is known to have been written to the file: its size when it was last looked at, without NULs at
    /// its end once they were seen. What of it is gone before it is read is a gap.
    pub size: u64,
    /// Where reading began. The bytes before it were there before the file was followed, or were read from the file
    /// of which this one is a copy.
    pub began: u64,
    /// The number of bytes before `began` that were read later: from the start of the file, by a replay.
    pub early: u64,
    /// The directives in force at `offset`.
    pub directives: Directives,
    /// The journal's cursor of the last message read; empty for files.
    pub cursor: String,
}

impl Position {
    /// Returns how many bytes of the stream were committed: those from where reading began, and the earlier ones
    /// that were read later.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.offset.saturating_sub(self.began) + self.early
    }

    /// Returns how many of them were committed before the byte at `from`: the bytes before `began` are read last.
    #[must_use]
    pub const fn committed_before(&self, from: u64) -> u64 {
        if from < self.began {
            from + self.offset.saturating_sub(self.began)
        } else {
            from - self.began + self.early
        }
    }
}

/// The longest directive that is obeyed: no log names more columns than fit.
const MAX_DIRECTIVE: usize = 8 * 1024;
/// The field of a journal export that precedes a message and contains the time when the journal received it.
const REALTIME: &[u8] = b"__REALTIME_TIMESTAMP=";
/// Built once: a batch may be a single line.
static REALTIME_FINDER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(REALTIME));
/// The longest field that can be a number of microseconds.
const MAX_REALTIME: usize = 64;

/// Everything outside a line that determines how it is parsed: the lines above it (`#Fields` and `#Date` of W3C
/// extended logs, `#fields` of Zeek, the time in a journal export), the last one of each kind; and the file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Directives {
    fields: Vec<u8>,
    date: Vec<u8>,
    realtime: Vec<u8>,
    /// When the file was last written to, in ns since 1970, or 0 if unknown: it determines the year of times without
    /// one. No line contains it. In the stored position of a compressed file that was given up before its end, its bits
    /// are inverted, so that it is less than 0.
    #[serde(skip)]
    pub written: i64,
}

impl Directives {
    /// Records a line if it is a directive, with or without an envelope. Returns whether it is one.
    pub fn note(&mut self, line: &[u8]) -> bool {
        let is_time = line.starts_with(REALTIME);
        let text = if is_time { Some(Cow::Borrowed(line)) } else { comment(line) };
        // Trimmed only now: the line may still have its line end, and a text in an envelope may end in blanks.
        let Some(text) = text.as_deref().map(<[u8]>::trim_ascii_end) else { return false };
        let (kept, longest) = match text.get(..7) {
            _ if is_time => (&mut self.realtime, MAX_REALTIME),
            Some(b"#Fields" | b"#fields") => (&mut self.fields, MAX_DIRECTIVE),
            _ if text.starts_with(b"#Date") => (&mut self.date, MAX_DIRECTIVE),
            _ => return false,
        };
        if text.len() > longest {
            return false;
        }
        text.clone_into(kept);
        true
    }

    /// Records every directive among whole lines.
    pub fn note_all(&mut self, lines: &[u8]) {
        if parts::may_be_in(lines) {
            // A directive may itself be split into parts.
            for line in Lines::new(0, lines) {
                self.note(&line.bytes);
            }
            return;
        }
        self.note_comments(lines);
        self.note_times(lines);
    }

    /// Examines each `#` of a block, and each line at most once.
    fn note_comments(&mut self, lines: &[u8]) {
        const NAMES: [&[u8]; 3] = [b"#Fields", b"#fields", b"#Date"];
        let mut from = 0;
        while let Some(at) = lines.get(from..).and_then(|rest| memchr::memchr(b'#', rest)) {
            let (before, mark) = lines.split_at(from + at);
            from = before.len() + 1;
            if NAMES.iter().any(|name| mark.starts_with(name)) {
                let begin = memchr::memrchr(b'\n', before).map_or(0, |end| end + 1);
                from = before.len() + memchr::memchr(b'\n', mark).unwrap_or(mark.len());
                self.note(lines.get(begin..from).unwrap_or_default());
            }
        }
    }

    fn note_times(&mut self, lines: &[u8]) {
        let mut rest = lines;
        while let Some(at) = REALTIME_FINDER.find(rest) {
            let (before, found) = rest.split_at(at);
            let end = memchr::memchr(b'\n', found).map_or(found.len(), |end| end + 1);
            let (line, after) = found.split_at(end);
            // `rest` begins at the start of a line.
            if before.last().is_none_or(|byte| *byte == b'\n') {
                self.note(line);
            }
            rest = after;
        }
    }

    /// Returns the line that names the columns, or an empty one.
    #[must_use]
    pub fn fields(&self) -> &[u8] {
        &self.fields
    }

    /// Returns the line that contains the day, or an empty one.
    #[must_use]
    pub fn date(&self) -> &[u8] {
        &self.date
    }

    /// Returns when the journal received the next message, in µs since 1970; empty if unknown.
    #[must_use]
    pub fn realtime(&self) -> &[u8] {
        self.realtime.strip_prefix(REALTIME).unwrap_or_default()
    }

    /// Returns the directives as lines, for storage.
    #[must_use]
    pub fn to_lines(&self) -> Vec<u8> {
        let lines =
            [&self.fields, &self.date, &self.realtime].into_iter().filter(|line| !line.is_empty());
        lines.flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
    }

    /// Parses stored lines.
    #[must_use]
    pub fn from_lines(lines: &[u8]) -> Self {
        let mut directives = Self::default();
        directives.note_all(lines);
        directives
    }
}

/// Whole lines of one stream as read, each with its line end (the last line of a finished file may lack it).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Which stream the bytes come from.
    pub stream: StreamId,
    /// Which configured source the stream belongs to: an index into the reader's sources.
    pub source: usize,
    /// Offset of the first byte of `bytes`.
    pub from: u64,
    /// The lines.
    pub bytes: Vec<u8>,
    /// The directives in force at `from`.
    pub directives: Directives,
    /// What is true of the stream once this batch is committed.
    pub position: Position,
    /// Bytes in this range of the stream that are not in `bytes`, by reason.
    pub missing: Missing,
    /// How the bytes of its gap were lost, if it has one.
    pub loss: Option<Loss>,
    /// How far its log had come before this batch. Sources do not know it: the readings pass it on.
    pub reach: Reach,
}

/// Bytes that were skipped, reported rather than hidden.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// The parts of lines beyond [`MAX_LINE`].
    pub discarded: u64,
    /// Bytes that are known to have been written but were gone before they could be read.
    pub gap: u64,
    /// Leading NULs of a file that was truncated while its writer kept its offset.
    pub nuls: u64,
}

/// What became of bytes that were gone before they could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The file was truncated.
    Truncated,
    /// The file was removed, whatever name it had been rotated to.
    Removed,
    /// The file, which was compressed, is damaged, cut short, or needs more memory to unpack than is allowed: how much
    /// it contained is known at least.
    Damaged,
}

/// One line without its line end, and its position. A line that a container runtime split into parts is joined, and
/// has the position of its first part.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// The bytes, without LF and one CR before it.
    pub bytes: Cow<'a, [u8]>,
    /// Offset of the line's first byte in its stream.
    pub offset: u64,
    /// Length including the line end: the bytes that the line accounts for.
    pub length: u64,
    /// The number of line ends before it in its batch.
    pub nth: usize,
}

impl Batch {
    /// Iterates over the lines, ordered by where they end.
    #[must_use]
    pub fn lines(&self) -> Lines<'_> {
        Lines::new(self.from, &self.bytes)
    }
}

/// What became of a batch's bytes. `bytes()` equals the number of bytes that the batch covered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Lines seen.
    pub lines: u64,
    /// Lines that were parsed to their end.
    pub parsed: u64,
    /// Lines that match no format, or not to its end.
    pub rejected: u64,
    /// Usages found.
    pub usages: u64,
    /// Bytes of lines that were parsed to their end.
    pub parsed_bytes: u64,
    /// Bytes of lines that match no format, or not to its end.
    pub rejected_bytes: u64,
    /// Bytes skipped.
    pub missing: Missing,
}

impl Tally {
    /// Returns all bytes accounted for.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.parsed_bytes
            + self.rejected_bytes
            + self.missing.discarded
            + self.missing.gap
            + self.missing.nuls
    }

    /// Returns the bytes of its own stream that it accounts for: those of a gap belong to an earlier life of the file.
    #[must_use]
    pub const fn committed(&self) -> u64 {
        self.bytes().saturating_sub(self.missing.gap)
    }

    /// Adds another tally to this one.
    pub const fn add(&mut self, other: &Self) {
        self.lines += other.lines;
        self.parsed += other.parsed;
        self.rejected += other.rejected;
        self.usages += other.usages;
        self.parsed_bytes += other.parsed_bytes;
        self.rejected_bytes += other.rejected_bytes;
        self.missing.discarded += other.missing.discarded;
        self.missing.gap += other.missing.gap;
        self.missing.nuls += other.missing.nuls;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_directive_is_obeyed_whatever_ends_its_line() {
        let line = format!("#Fields: {}", "x".repeat(MAX_DIRECTIVE - 9));
        for (more, end, is_obeyed) in [("", "\n", true), ("", "\r\n", true), ("x", "\n", false)] {
            let whole = format!("{line}{more}{end}");
            let (mut by_line, mut at_once) = (Directives::default(), Directives::default());
            by_line.note(whole.trim_end().as_bytes());
            at_once.note_all(whole.as_bytes());
            assert_eq!(by_line, at_once, "{end:?}");
            assert_eq!(!at_once.fields().is_empty(), is_obeyed, "{end:?}");
        }
    }

    #[test]
    fn a_directive_in_parts_is_the_same_by_line_and_at_once() {
        let head = "2026-03-02T08:00:00Z stdout";
        let log = format!("{head} P #Fields: date\n{head} F  time\n#Date: 2026-03-02\n");
        let (mut by_line, mut at_once) = (Directives::default(), Directives::default());
        let batch = Batch { bytes: log.clone().into_bytes(), ..Batch::default() };
        batch.lines().for_each(|line| assert!(by_line.note(&line.bytes)));
        at_once.note_all(log.as_bytes());
        assert_eq!(at_once, by_line);
        assert_eq!(at_once.fields(), b"#Fields: date time");
    }

    #[test]
    fn a_directive_in_dockers_envelope_was_another_one_once_stored() {
        for blanks in ["", " ", "\\t", " \\r\\n", "\\t \\n"] {
            let log = format!("{{\"log\":\"#Fields: date time{blanks}\",\"stream\":\"stdout\"}}\n");
            let noted = Directives::from_lines(log.as_bytes());
            assert_eq!(noted.fields(), b"#Fields: date time", "{blanks:?}");
            assert_eq!(Directives::from_lines(&noted.to_lines()), noted, "{blanks:?}");
        }
    }

    #[test]
    fn lines_know_where_they_stand() {
        let batch = Batch { from: 100, bytes: b"one\ntwo\r\n\nend".to_vec(), ..Batch::default() };
        let lines: Vec<_> = batch.lines().collect();
        let lines: Vec<_> =
            lines.iter().map(|l| (l.offset, l.length, l.nth, &l.bytes[..])).collect();
        let expected: Vec<(u64, u64, usize, &[u8])> =
            vec![(100, 4, 0, b"one"), (104, 5, 1, b"two"), (109, 1, 2, b""), (110, 3, 3, b"end")];
        assert_eq!(lines, expected);
    }
}
