//! Step 1 of the flow: whole lines from live files ([`follow`]), from the systemd journal ([`journal`]) and from old
//! files ([`listing`], [`replay`]).
//!
//! All of them pass on [`Batch`](crate::engine::line::Batch)es: whole lines of one stream, and the
//! [`Position`](crate::engine::line::Position) that applies once they are committed. For every batch
//! `position.offset - from == bytes.len() + missing.discarded + missing.nuls`; `missing.gap` is not part of that sum,
//! since the bytes of a gap are in a file, or in a life of it, that has ended.
//!
//! An over-long line ends its batch: the batch contains the line's first 64 KiB without a line end, and the next batch
//! begins after the discarded rest. So offsets can be added up within a batch.
//!
//! Everything here blocks and belongs on its own thread. Time is an argument.

mod above;
mod admit;
mod anew;
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
mod loss;
mod marks;
mod moment;
mod old;
mod quiet;
mod reap;
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

/// The most bytes of one batch: what is read at once.
pub const MAX_BATCH: usize = 256 * 1024;

/// Why bytes could not be read. What was read before the fault is valid.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The file may be missing, or not readable for the program: a person can change that.
    #[error("{action} {path}: {cause}")]
    Access {
        /// What was being done: `opening`, `listing`, `looking at`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// The device returned no bytes; the file itself may be intact.
    #[error("reading {path} at byte {offset}: {cause}")]
    Read {
        /// The file.
        path: PathBuf,
        /// How far it had been read, in bytes after decompression.
        offset: u64,
        /// The system's error.
        cause: io::Error,
    },
    /// A compressed file is truncated or damaged, or needs more memory to unpack than is allowed; its contents after
    /// the offset are lost.
    #[error("decompressing {path} after byte {offset}: {cause}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// How far it had been read, in bytes after decompression.
        offset: u64,
        /// The decoder's error.
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
    /// The kernel reports no changes, so only the sweep finds them.
    #[error("watching {path} for changes: {cause}")]
    Watch {
        /// The directory.
        path: PathBuf,
        /// The system's error: `ENOSPC` means `fs.inotify.max_user_watches`.
        cause: notify::Error,
    },
}

impl SourceError {
    /// Returns whether the same call may succeed later without any intervention.
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

/// Converts a length to a `usize`; one that does not fit becomes the largest.
fn as_length(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}
