//! Step 1 of the flow: whole lines out of live files ([`follow`]), of the systemd journal ([`journal`]) and
//! out of old files ([`listing`], [`replay`]).
//!
//! All hand on [`Batch`](crate::engine::line::Batch)es: whole lines of one stream, and the
//! [`Position`](crate::engine::line::Position) that is true once they are committed. For every batch
//! `position.offset - from == bytes.len() + missing.discarded + missing.nuls`; `missing.gap` stands
//! outside of that sum, since the bytes of a gap lie in a file, or in a life of it, that is over.
//!
//! An over-long line ends its batch: the batch holds the line's first 64 KiB without a line end, and
//! the next batch begins behind the discarded rest. So offsets can be added up within a batch.
//!
//! Everything here blocks and belongs on a thread of its own. Time is an argument.

mod admit;
mod cut;
mod decode;
mod discover;
mod drain;
pub mod follow;
pub mod journal;
mod lag;
mod lineage;
pub mod listing;
mod look;
mod marks;
mod moment;
mod old;
mod quiet;
pub mod replay;
mod resume;
pub mod rotation;
mod search;
mod sweep;
mod tail;
#[cfg(test)]
mod tests;
mod wake;

use std::io;
use std::path::PathBuf;

pub use wake::Waker;

/// Bytes of one batch, at most.
pub const MAX_BATCH: usize = 1024 * 1024;

/// Why bytes could not be read. What was read before the fault counts.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file may be missing, or not ours to read: a person can change that.
    #[error("{action} {path}: {cause}")]
    Access {
        /// What was being done: `opening`, `listing`, `looking at`.
        action: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The device gave no bytes; nothing is known to be wrong with the file.
    #[error("reading {path} at byte {offset}: {cause}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// How far it had been read, in bytes after decompression.
        offset: u64,
        /// What the system said.
        cause: io::Error,
    },
    /// A compressed file is cut off or damaged; what follows the offset cannot be had.
    #[error("decompressing {path} after byte {offset}: {cause}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How far it had been read, in bytes after decompression.
        offset: u64,
        /// What the decoder said.
        cause: io::Error,
    },
    /// A pattern that no file name can match.
    #[error("pattern {pattern}: {cause}")]
    Pattern {
        /// The pattern as given.
        pattern: PathBuf,
        /// What is wrong with it.
        cause: glob::PatternError,
    },
    /// The kernel reports no changes, so that only the sweep finds them.
    #[error("watching {path} for changes: {cause}")]
    Watch {
        /// Which directory.
        path: PathBuf,
        /// What the system said: `ENOSPC` means `fs.inotify.max_user_watches`.
        cause: notify::Error,
    },
}

impl SourceError {
    /// Tells whether the same call may succeed later without anybody's doing.
    #[must_use]
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Access { cause, .. } | Self::Read { cause, .. } => !matches!(
                cause.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::Unsupported
                    | io::ErrorKind::InvalidInput
                    | io::ErrorKind::NotADirectory
            ),
            Self::Watch { .. } => true,
            Self::Damaged { .. } | Self::Pattern { .. } => false,
        }
    }
}

/// Converts a length to what can be indexed; what does not fit in memory is the largest length.
fn as_length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
