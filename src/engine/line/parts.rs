//! Joins the parts into which a container runtime splits a long line.
//!
//! ```text
//! 2026-03-02T08:00:00.1Z stdout P BEGINNING         CRI: P is a part, F is the last part or a whole line
//! 2026-03-02T08:00:00.1Z stdout F END
//! {"log":"BEGINNING","stream":"stdout","time":"…"}  docker's json-file: 16 KiB that do not end with a line end
//! {"log":"END\n","stream":"stdout","time":"…"}
//! ```
//!
//! Sources: Kubernetes "CRI container log format" (a tag `P` or `F` after the stream), docker
//! `daemon/logger/copier.go` (a buffer of 16 KiB) and `jsonfilelog` (the last part of a line gets its line end back).
//! Standard output and standard error are split independently, so their parts may alternate.
//!
//! Reading stays stateless: a batch begins and ends where no line is unfinished ([`settled`]), so a part whose other
//! parts are missing is left in the file, like a line without its end. A line that is never finished is abandoned after
//! a number of bytes that does not depend on how they were read: only its first part is passed on, and rejected.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::{Line, MAX_LINE};

/// The largest range over which the parts of lines may spread, counted from the first of several overlapping lines.
/// Larger than a longest line, smaller than what the sources read at once.
const MAX_SPREAD: u64 = 128 * 1024;
/// The bytes that docker puts into one object before it begins another.
const DOCKER_CHUNK: usize = 16 * 1024;
/// The beginning of a docker object, up to the text.
const DOCKER_HEAD: &[u8] = b"{\"log\":\"";
/// What follows the text: inside it, the quotes would be escaped.
const DOCKER_TAIL: &[u8] = b"\",\"stream\":\"";

// Built once: a batch may be a single line, and building a finder takes longer than searching one.
static PART: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b" P "));
static DOCKER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(DOCKER_HEAD));

/// Iterates over the lines of a batch: each whole, ordered by where they end.
#[derive(Debug)]
pub struct Lines<'a> {
    physical: Physical<'a>,
    /// `None` if nothing looks like a part.
    joiner: Option<Joiner<'a>>,
}

impl<'a> Lines<'a> {
    pub(super) fn new(from: u64, bytes: &'a [u8]) -> Self {
        let physical = Physical { rest: bytes, offset: from, nth: 0 };
        Self { physical, joiner: may_be_in(bytes).then(Joiner::default) }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        let Some(joiner) = &mut self.joiner else { return self.physical.next() };
        loop {
            if let Some(line) = joiner.ready.pop_front() {
                return Some(line);
            }
            match self.physical.next() {
                Some(line) => joiner.take(line),
                None if joiner.is_settled() => return None,
                None => joiner.give_up(),
            }
        }
    }
}

/// Returns the number of bytes of whole lines before the first one that waits for its other parts.
#[must_use]
pub fn settled(lines: &[u8]) -> usize {
    if !may_be_in(lines) {
        return lines.len();
    }
    let mut joiner = Joiner::default();
    let mut settled = 0;
    for line in (Physical { rest: lines, offset: 0, nth: 0 }) {
        let (begin, end) = (line.offset, line.offset + line.length);
        if joiner.is_too_far(end) {
            settled = begin;
        }
        joiner.take(line);
        joiner.ready.clear();
        if joiner.is_settled() {
            settled = end;
        }
    }
    usize::try_from(settled).unwrap_or(lines.len())
}

/// Determines, line by line, where a batch of these lines may end.
#[derive(Debug, Default)]
pub struct Seams<'a>(Joiner<'a>);

impl<'a> Seams<'a> {
    /// Adds a line, including its end, and returns whether a batch may end before it.
    pub fn are_before(&mut self, line: &'a [u8]) -> bool {
        let offset = self.0.end;
        let length = line.len() as u64;
        let is_settled = self.0.is_settled() || self.0.is_too_far(offset + length);
        self.0.take(Line { bytes: trim_end(line).into(), offset, length, nth: 0 });
        self.0.ready.clear();
        is_settled
    }
}

/// Returns whether there may be anything to join, at the cost of one search.
pub(super) fn may_be_in(lines: &[u8]) -> bool {
    PART.find(lines).is_some() || (has_long_line(lines) && DOCKER.find(lines).is_some())
}

/// Returns whether a line is long enough to be a part from docker. Examines little: from each place where one might end
/// back to the previous line end.
fn has_long_line(mut lines: &[u8]) -> bool {
    while let Some(near) = lines.get(..DOCKER_CHUNK) {
        let Some(end) = memchr::memrchr(b'\n', near) else { return true };
        lines = lines.get(end + 1..).unwrap_or_default();
    }
    false
}

/// The lines as they are in the file.
#[derive(Debug)]
struct Physical<'a> {
    rest: &'a [u8],
    offset: u64,
    nth: usize,
}

impl<'a> Iterator for Physical<'a> {
    type Item = Line<'a>;

    #[inline]
    fn next(&mut self) -> Option<Line<'a>> {
        if self.rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.rest).map_or(self.rest.len(), |at| at + 1);
        let (whole, after) = self.rest.split_at(end);
        self.rest = after;
        let length = whole.len() as u64;
        let bytes = Cow::Borrowed(trim_end(whole));
        let line = Line { bytes, offset: self.offset, length, nth: self.nth };
        self.offset += length;
        self.nth += 1;
        Some(line)
    }
}

fn trim_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Which of a container's two outputs a line is from, and the runtime that wrote it.
type Output = (Runtime, bool);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Runtime {
    Cri,
    Docker,
}

/// The parts of one line from a container runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece<'a> {
    output: Output,
    /// Everything before the text, without the tag.
    head: &'a [u8],
    /// The tag that a whole line has.
    tag: &'static [u8],
    text: &'a [u8],
    tail: &'a [u8],
    is_last: bool,
}

/// An unfinished line.
#[derive(Debug)]
struct Begun<'a> {
    output: Output,
    first: Line<'a>,
    /// The line so far; empty if it became too long.
    joined: Vec<u8>,
    /// Bytes of all parts.
    length: u64,
}

/// Joins lines one by one.
#[derive(Debug, Default)]
struct Joiner<'a> {
    /// Unfinished lines in the order of their beginnings; at most one per output.
    begun: Vec<Begun<'a>>,
    /// Where the first part of the current run of overlapping unfinished lines begins.
    since: u64,
    /// Where the last line ended.
    end: u64,
    /// Whole lines.
    ready: VecDeque<Line<'a>>,
}

impl<'a> Joiner<'a> {
    const fn is_settled(&self) -> bool {
        self.begun.is_empty()
    }

    /// Returns whether a line that ends here is too far away to wait for.
    fn is_too_far(&self, end: u64) -> bool {
        !self.is_settled() && end - self.since > MAX_SPREAD
    }

    fn take(&mut self, line: Line<'a>) {
        self.end = line.offset + line.length;
        if self.is_too_far(self.end) {
            self.give_up();
        }
        let bytes: Cow<'a, [u8]> = line.bytes.clone();
        let Cow::Borrowed(bytes) = bytes else { return self.ready.push_back(line) };
        let Some(piece) = piece(bytes) else { return self.ready.push_back(line) };
        match self.begun.iter().position(|begun| begun.output == piece.output) {
            Some(at) => self.go_on(at, &piece, line.length),
            None if piece.is_last => self.ready.push_back(line),
            None => self.begin(&piece, line),
        }
    }

    fn begin(&mut self, piece: &Piece<'a>, first: Line<'a>) {
        if self.is_settled() {
            self.since = first.offset;
        }
        let joined = [piece.head, piece.tag, piece.text].concat();
        self.begun.push(Begun { output: piece.output, length: first.length, first, joined });
    }

    fn go_on(&mut self, at: usize, piece: &Piece<'a>, length: u64) {
        let Some(begun) = self.begun.get_mut(at) else { return };
        begun.length += length;
        let is_short = begun.joined.len() + piece.text.len() + piece.tail.len() <= MAX_LINE;
        if begun.joined.is_empty() || !is_short {
            begun.joined = Vec::new();
        } else {
            begun.joined.extend_from_slice(piece.text);
        }
        if piece.is_last {
            let mut begun = self.begun.remove(at);
            if !begun.joined.is_empty() {
                begun.joined.extend_from_slice(piece.tail);
            }
            self.ready.push_back(begun.whole());
        }
    }

    /// Passes on the first parts of lines whose last parts did not come.
    fn give_up(&mut self) {
        for begun in self.begun.drain(..) {
            self.ready.push_back(Begun { joined: Vec::new(), ..begun }.whole());
        }
    }
}

impl<'a> Begun<'a> {
    /// Returns the line joined from all parts, or its first part if it could not be joined.
    fn whole(self) -> Line<'a> {
        let bytes = if self.joined.is_empty() { self.first.bytes } else { self.joined.into() };
        Line { bytes, length: self.length, ..self.first }
    }
}

fn piece(line: &[u8]) -> Option<Piece<'_>> {
    match line.first()? {
        b'{' => docker(line),
        b'1'..=b'9' => cri(line),
        _ => None,
    }
}

/// Parses `2026-03-02T08:00:00.1Z stdout P TEXT`.
fn cri(line: &[u8]) -> Option<Piece<'_>> {
    /// RFC 3339 with nanoseconds and a zone of hours and minutes.
    const LONGEST_TIME: usize = 35;
    let near = line.get(..LONGEST_TIME + 1).unwrap_or(line);
    let (_, rest) = line.split_at_checked(memchr::memchr(b' ', near)? + 1)?;
    let is_error = rest.starts_with(b"stderr ");
    let text = rest.strip_prefix(b"stdout ").or_else(|| rest.strip_prefix(b"stderr "))?;
    let (tag, text) = text.split_at_checked(2)?;
    let is_last = match tag {
        b"F " => true,
        b"P " => false,
        _ => return None,
    };
    let head = line.get(..line.len() - tag.len() - text.len())?;
    let output = (Runtime::Cri, is_error);
    Some(Piece { output, head, tag: b"F ", text, tail: b"", is_last })
}

/// Parses `{"log":"TEXT","stream":"stdout","time":"…"}`.
fn docker(line: &[u8]) -> Option<Piece<'_>> {
    let inside = line.strip_prefix(DOCKER_HEAD)?;
    let (text, tail) = inside.split_at_checked(memchr::memmem::find(inside, DOCKER_TAIL)?)?;
    let is_error = tail.get(DOCKER_TAIL.len()..)?.starts_with(b"stderr\"");
    let is_last = text.len() < DOCKER_CHUNK || ends_with_line_end(text);
    let output = (Runtime::Docker, is_error);
    Some(Piece { output, head: DOCKER_HEAD, tag: b"", text, tail, is_last })
}

/// Returns the text in a docker object, still escaped.
pub(super) fn docker_text(line: &[u8]) -> Option<&[u8]> {
    docker(line).map(|piece| piece.text)
}

/// Returns whether an escaped text ends with `\n`, and not with a backslash and an n.
fn ends_with_line_end(text: &[u8]) -> bool {
    let Some(before) = text.strip_suffix(b"n") else { return false };
    before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(log: &str) -> Vec<(u64, u64, usize, String)> {
        let text = |line: &Line<'_>| String::from_utf8(line.bytes.to_vec()).unwrap();
        let lines = Lines::new(100, log.as_bytes());
        lines.map(|line| (line.offset, line.length, line.nth, text(&line))).collect()
    }

    fn texts(log: &str) -> Vec<String> {
        lines(log).into_iter().map(|(.., text)| text).collect()
    }

    #[test]
    fn parts_of_both_outputs_were_rejected() {
        let log = "T1Z stdout P a\nT2Z stderr P x\nT3Z stderr F y\nT4Z stdout P b\nplain\nT5Z stdout F c\r\nT6Z stdout F d\n"
            .replace('T', "2026-03-02T08:00:0");
        let first = "2026-03-02T08:00:01Z stdout F abc".to_owned();
        let length = log.lines().next().unwrap().len() as u64 + 1;
        let expected = [
            (100 + length, 2 * length, 1, "2026-03-02T08:00:02Z stderr F xy".to_owned()),
            (100 + 4 * length, 6, 4, "plain".to_owned()),
            (100, 3 * length + 1, 0, first),
            (107 + 5 * length, length, 6, "2026-03-02T08:00:06Z stdout F d".to_owned()),
        ];
        assert_eq!(lines(&log), expected);
        let total: u64 = expected.iter().map(|(_, length, ..)| length).sum();
        assert_eq!(total, log.len() as u64);
        // Nothing may be split between the beginnings and the ends.
        let at_end = |n: usize| log.split_inclusive('\n').take(n).map(str::len).sum::<usize>();
        for (n, is_settled) in [0, 0, 0, 0, 0, 6, 7].into_iter().enumerate() {
            assert_eq!(settled(&log.as_bytes()[..at_end(n + 1)]), at_end(is_settled), "{n}");
        }
        let mut seams = Seams::default();
        let seams: Vec<bool> =
            log.split_inclusive('\n').map(|line| seams.are_before(line.as_bytes())).collect();
        assert_eq!(seams, [true, false, false, false, false, false, true]);
    }

    #[test]
    fn dockers_parts_are_joined_up_to_a_line_end() {
        let object = |text: &str, second: u8| {
            format!(
                "{{\"log\":\"{text}\",\"stream\":\"stdout\",\"attrs\":{{}},\"time\":\"2026-03-02T08:00:0{second}Z\"}}"
            )
        };
        // Not a line end, but a backslash and an n.
        let part = "x".repeat(DOCKER_CHUNK - 3) + "\\\\n";
        let log = format!("{}\n{}\n", object(&part, 1), object("end\\n", 2));
        assert_eq!(texts(&log), [object(&format!("{part}end\\n"), 2)]);
        let around = format!("short\n{log}short\n");
        assert_eq!(texts(&around), ["short", &object(&format!("{part}end\\n"), 2), "short"]);
        let whole = part.replace("\\\\n", "\\\\\\n");
        let log = format!("{}\n{}\n", object(&whole, 1), object("end\\n", 2));
        assert_eq!(texts(&log), [object(&whole, 1), object("end\\n", 2)]);
    }

    #[test]
    fn what_is_longer_than_a_line_or_never_ends_is_its_first_part() {
        let head = "2026-03-02T08:00:00Z stdout ";
        let part = format!("{head}P {}\n", "x".repeat(40_000));
        let too_long = format!("{part}{part}{head}F end\n{head}F whole\n");
        let first = part.trim_end().to_owned();
        assert_eq!(texts(&too_long), [first.clone(), format!("{head}F whole")]);
        let endless = part.repeat(4);
        let given_up: Vec<_> = lines(&endless).into_iter().map(|(o, l, n, _)| (o, l, n)).collect();
        let length = part.len() as u64;
        assert_eq!(given_up, [(100, 3 * length, 0), (100 + 3 * length, length, 3)]);
        assert_eq!(settled(endless.as_bytes()), 3 * part.len());
    }
}
