//! Streams as their files stand now: what is there of each, and what of it was not read.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::PathBuf;

use crate::engine::line::{MAX_LINE, Position};
use crate::engine::time::{SECOND, Timestamp};
use crate::source::rotation::unrotated;
use crate::store::StreamStatus;

/// What became of a stream's file.
enum Standing {
    /// It is there.
    There(Metadata),
    /// It is in a later life: nothing more can be read of this one.
    Over,
    /// Another file stands under its path, or none.
    Gone,
    /// It cannot be looked at, or is none: the journal, standard input.
    Unknown(io::Error),
}

/// A stream, which is one life of a file, and what became of that.
pub(super) struct Life<'a> {
    /// What is known of it.
    pub stream: &'a StreamStatus,
    standing: Standing,
}

/// Looks at the files of all streams.
pub(super) fn look(streams: &[StreamStatus]) -> Vec<Life<'_>> {
    let mut latest = BTreeMap::new();
    for position in streams.iter().map(|stream| &stream.position) {
        let (file, life) = life_of(position);
        let known = latest.entry(file).or_insert(life);
        *known = life.max(*known);
    }
    let life = |stream| Life { stream, standing: standing(stream, &latest) };
    streams.iter().map(life).collect()
}

/// Device and inode.
type FileId = (u64, u64);
/// What has no device and inode.
const NO_FILE: FileId = (0, 0);
/// Birth and generation: the later, the higher.
type Age = (i64, u32);

/// Returns which file a position is of, and which life of it. An inode is used again, so another birth is another life.
const fn life_of(position: &Position) -> (FileId, Age) {
    ((position.device, position.inode), (position.born, position.generation))
}

fn standing(stream: &StreamStatus, latest: &BTreeMap<FileId, Age>) -> Standing {
    let (file, life) = life_of(&stream.position);
    if latest.get(&file).is_some_and(|latest| life < *latest) {
        return Standing::Over;
    }
    match fs::metadata(&stream.position.path) {
        Ok(found) if (found.dev(), found.ino()) == file => Standing::There(found),
        Ok(_) => Standing::Gone,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound && file != NO_FILE => Standing::Gone,
        Err(cause) => Standing::Unknown(cause),
    }
}

/// Puts together the lives of each log, those of its rotated files too.
pub(super) fn by_log<'a>(lives: &'a [Life<'a>]) -> BTreeMap<PathBuf, Vec<&'a Life<'a>>> {
    let mut logs = BTreeMap::<_, Vec<_>>::new();
    for life in lives {
        logs.entry(unrotated(&life.stream.position.path)).or_default().push(life);
    }
    logs
}

impl Life<'_> {
    /// Tells whether its file is there, in this life; nothing if that cannot be known.
    pub(super) const fn is_there(&self) -> Option<bool> {
        match self.standing {
            Standing::There(_) => Some(true),
            Standing::Over | Standing::Gone => Some(false),
            Standing::Unknown(_) => None,
        }
    }

    /// Tells whether bytes of it were not read.
    pub(super) fn has_rest(&self) -> bool {
        self.stream.position.offset < self.size()
    }

    /// Returns its size: of the file if it is there, else as it was; of a life that is over, up to where it was read: what was
    /// beyond is lost, and counted so, or is read of its copy.
    pub(super) fn size(&self) -> u64 {
        let position = &self.stream.position;
        match &self.standing {
            // A packed file's offset counts unpacked bytes: its own size says nothing.
            Standing::There(file) => file.len().max(position.size),
            Standing::Over => position.offset,
            Standing::Gone | Standing::Unknown(_) => position.size,
        }
    }

    /// Returns for how many seconds it has had bytes that were not read: since its last commit, if its file is longer than
    /// what was read by more than a line without an end.
    pub(super) fn lag(&self, now: Timestamp) -> i64 {
        let is_behind = self.has_rest() && self.has_line();
        if is_behind { (now.since(self.stream.updated) / SECOND).max(0) } else { 0 }
    }

    /// Tells whether a whole line, or too long a one, stands behind what was read; so is what cannot be looked at.
    fn has_line(&self) -> bool {
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

    /// Returns why it cannot be opened if it was not read to its end.
    pub(super) fn fault(&self) -> Option<io::Error> {
        let position = &self.stream.position;
        match &self.standing {
            Standing::There(_) if self.has_rest() => {
                self.regular().and_then(|_| File::open(&position.path).err())
            }
            // In a folder that is closed nothing can be looked at.
            Standing::Unknown(cause) if cause.kind() == io::ErrorKind::PermissionDenied => {
                Some(cause.kind().into())
            }
            _ => None,
        }
    }

    /// Returns its file if that is there and may be opened: opening a pipe would wait for its writer.
    fn regular(&self) -> Option<&Metadata> {
        match &self.standing {
            Standing::There(file) => Some(file).filter(|file| file.is_file()),
            _ => None,
        }
    }
}
