//! Streams and the present state of their files: what exists of each, and how much of it is unread.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::engine::line::{MAX_LINE, Position};
use crate::engine::time::{SECOND, Timestamp};
use crate::source::rotation::{is_compressed, unrotated};
use crate::store::StreamStatus;

/// The present state of a stream's file.
enum FileState {
    /// It exists.
    There(Metadata),
    /// It has a later life: nothing more can be read of this one.
    Over,
    /// Its path is absent, or is another file now.
    Gone,
    /// It cannot be examined, or there is no file: the journal, standard input.
    Unknown(io::Error),
}

/// A stream, which is one life of a file, and the state of that file.
pub(super) struct Life<'a> {
    /// The stored stream.
    pub stream: &'a StreamStatus,
    file: FileState,
}

/// Examines the files of all streams.
pub(super) fn look(streams: &[StreamStatus]) -> Vec<Life<'_>> {
    let mut latest = BTreeMap::new();
    for position in streams.iter().map(|stream| &stream.position) {
        let (file, life) = life_of(position);
        let known = latest.entry(file).or_insert(life);
        *known = life.max(*known);
    }
    let life = |stream| Life { stream, file: state_of(stream, &latest) };
    streams.iter().map(life).collect()
}

/// Returns the life of a log with which the log's state is, or else the one that was read last.
pub(super) fn latest<'a>(lives: &[&'a Life<'a>]) -> Option<&'a Life<'a>> {
    lives.iter().copied().max_by_key(|life| (!life.stream.health.is_empty(), life.stream.updated))
}

/// Device and inode.
type FileId = (u64, u64);
/// The id of what has no device and inode.
const NO_FILE: FileId = (0, 0);
/// Birth and generation: the later, the higher.
type Age = (i64, u32);

/// Returns the file and the life of a position. Inodes are reused, so another birth time means another life.
const fn life_of(position: &Position) -> (FileId, Age) {
    ((position.device, position.inode), (position.born, position.generation))
}

/// Looks for the file of a stream, of which `latest` is the latest life.
fn state_of(stream: &StreamStatus, latest: &BTreeMap<FileId, Age>) -> FileState {
    let (file, life) = life_of(&stream.position);
    if latest.get(&file).is_some_and(|latest| life < *latest) {
        return FileState::Over;
    }
    match fs::metadata(&stream.position.path) {
        Ok(found) if (found.dev(), found.ino()) == file => FileState::There(found),
        Ok(_) => FileState::Gone,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && file != NO_FILE => FileState::Gone,
        Err(cause) => FileState::Unknown(cause),
    }
}

/// Groups lives by log, including those of its rotated files.
pub(super) fn by_log<'a>(lives: &'a [Life<'a>]) -> BTreeMap<PathBuf, Vec<&'a Life<'a>>> {
    let mut logs = BTreeMap::<_, Vec<_>>::new();
    for life in lives {
        logs.entry(unrotated(&life.stream.position.path)).or_default().push(life);
    }
    logs
}

impl Life<'_> {
    /// Returns whether its file exists, in this life; `None` if that cannot be known.
    pub(super) const fn is_there(&self) -> Option<bool> {
        match self.file {
            FileState::There(_) => Some(true),
            FileState::Over | FileState::Gone => Some(false),
            FileState::Unknown(_) => None,
        }
    }

    /// Returns whether some of its bytes are unread.
    pub(super) fn has_rest(&self) -> bool {
        self.stream.position.offset < self.size()
    }

    /// Returns its size: the file's if it exists, else the last known one. A life that is over ends where it was read:
    /// the bytes after that are counted as lost, or are read from a copy.
    pub(super) fn size(&self) -> u64 {
        let position = &self.stream.position;
        match &self.file {
            FileState::There(file) if !self.is_compressed() => file.len().max(position.size),
            FileState::Over => position.offset,
            FileState::There(_) | FileState::Gone | FileState::Unknown(_) => position.size,
        }
    }

    /// Returns whether its offset counts unpacked bytes, of which the file itself shows neither number nor lines. Its
    /// stored size exceeds the offset until all is read.
    fn is_compressed(&self) -> bool {
        is_compressed(&self.stream.position.path)
    }

    /// Returns for how many seconds it has had unread bytes: the time since its last commit, unless only an unfinished
    /// line is unread.
    pub(super) fn lag(&self, now: Timestamp) -> i64 {
        let is_behind = self.has_rest() && self.has_line();
        if is_behind { (now.since(self.stream.updated) / SECOND).max(0) } else { 0 }
    }

    /// Returns whether a whole or overlong line is unread; true if that cannot be examined.
    fn has_line(&self) -> bool {
        if self.is_compressed() {
            return true;
        }
        let Some(file) = self.regular().and_then(|_| File::open(&self.stream.position.path).ok())
        else {
            return true;
        };
        let mut ahead = vec![0; MAX_LINE + 1];
        match file.read_at(&mut ahead, self.stream.position.offset) {
            Ok(n_read) => n_read > MAX_LINE || ahead.iter().take(n_read).any(|byte| *byte == b'\n'),
            Err(_) => true,
        }
    }

    /// Returns why the file cannot be opened, unless it was read to its end.
    pub(super) fn fault(&self) -> Option<io::Error> {
        let position = &self.stream.position;
        match &self.file {
            FileState::There(_) if self.has_rest() => {
                self.regular().and_then(|_| File::open(&position.path).err())
            }
            // Nothing can be examined in a directory without access.
            FileState::Unknown(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some(cause.kind().into())
            }
            _ => None,
        }
    }

    /// Returns its file if that exists and is safe to open: opening a pipe would wait for its writer.
    fn regular(&self) -> Option<&Metadata> {
        match &self.file {
            FileState::There(file) => Some(file).filter(|file| file.is_file()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::line::{StreamId, Tally};

    #[test]
    fn of_files_that_one_commit_wrote_the_log_is_judged_by_the_one_with_its_state() {
        let stream = |number, updated, health: &str| StreamStatus {
            stream: StreamId(number),
            position: Position::default(),
            tally: Tally::default(),
            updated: Timestamp::default().plus(updated),
            health: health.to_owned(),
        };
        let streams = [stream(1, 5, "state"), stream(2, 5, ""), stream(3, 4, "older")];
        let lives = look(&streams);
        let latest = latest(&lives.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(latest.stream.stream, StreamId(1));
    }

    #[test]
    fn a_compressed_log_that_was_read_to_its_end_lagged_until_it_was_gone() {
        let directory = tempfile::tempdir().unwrap();
        let lag = |name: &str, size| {
            let path = directory.path().join(name);
            fs::write(&path, "twenty bytes, packed\n").unwrap();
            let found = fs::metadata(&path).unwrap();
            let (device, inode) = (found.dev(), found.ino());
            let position = Position { path, device, inode, size, ..Position::default() };
            let (tally, health) = (Tally::default(), String::new());
            let updated = Timestamp::default();
            let stream = [StreamStatus { stream: StreamId(1), position, tally, updated, health }];
            let lives = look(&stream);
            let life = lives.first().unwrap();
            (life.has_rest(), life.lag(updated.plus(90 * SECOND)))
        };
        assert_eq!(lag("a.log.1.gz", 0), (false, 0), "all of its no lines");
        assert_eq!(lag("b.log.1.gz", 1), (true, 90), "a replay was cut short");
        assert_eq!(lag("c.log", 0), (true, 90));
    }
}
