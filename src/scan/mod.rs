//! Looks for secrets in files, in the history of git repositories, and in what other scanners report.
//!
//! Each secret is passed on as it is found, with its place: nothing but the text around it is kept in memory. What
//! cannot be read is noted, and the rest is read. Nothing is written, and of git nothing is run but `git log`,
//! and `git hash-object`, which only computes.

mod files;
mod git;
mod pieces;
mod pipes;
mod report;
mod utf16;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use smol_str::SmolStr;

use crate::engine::token::{Searcher, Spot};
use pieces::Pieces;
use utf16::Text;

/// The name of standard input.
pub const STDIN: &str = "-";

/// How many faults are described; the others are only counted.
const MAX_FAULTS: usize = 100;

/// Where a secret is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The file; `-` is standard input. Empty if another scanner does not say.
    pub path: PathBuf,
    /// The line, counted from 1.
    pub line: Option<u64>,
    /// The byte of the line, counted from 1; in UTF-8, whatever the file is in.
    pub column: Option<u64>,
    /// The commit that added the line; may be empty.
    pub commit: SmolStr,
    /// The scanner and the rule that found it, if another one did; may be empty.
    pub rule: SmolStr,
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files that were read to their end.
    pub files: u64,
    /// Bytes of files, or of what git wrote.
    pub bytes: u64,
    /// Binary files that were skipped; in a repository, each of their changes.
    pub binary: u64,
    /// Files that were skipped because they are larger than [`MAX_FILE`].
    pub large: u64,
    /// Commits.
    pub commits: u64,
    /// What other scanners reported.
    pub reported: u64,
    /// What they masked, so that nobody knows whether it is in use.
    pub masked: u64,
}

pub use files::MAX_FILE;

/// Why something could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// A file or directory, or a part of it.
    #[error("{doing} {path}: {cause}")]
    Read {
        /// `opening`, `listing`, `reading`.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        cause: io::Error,
    },
    /// It is neither a file nor a directory, so reading it might never end.
    #[error("{path}: neither a file nor a directory")]
    Special {
        /// What was named.
        path: PathBuf,
    },
    /// The program `git` cannot be run.
    #[error("running git, which reads the history of a repository: {cause}")]
    NoGit {
        /// The system's error.
        cause: io::Error,
    },
    /// `git log` failed, perhaps halfway.
    #[error("git log in {path}: {said}")]
    Git {
        /// The repository.
        path: PathBuf,
        /// What git wrote to standard error; not safe for a terminal.
        said: String,
    },
    /// The file is no JSON.
    #[error("{path}:{line}:{column}: this is no JSON, expected {}", report::EXPECTED)]
    NoJson {
        /// The file.
        path: PathBuf,
        /// The line of the fault.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// The file is JSON, but from none of the known scanners.
    #[error(
        "{path}: no secret in it has the keys of a known scanner, expected {}",
        report::EXPECTED
    )]
    Unknown {
        /// The file.
        path: PathBuf,
    },
}

/// A search that goes on from one thing to the next.
pub struct Scan<'a> {
    searcher: &'a Searcher,
    tell: &'a mut dyn FnMut(&Whereabouts, &Spot) -> io::Result<()>,
    /// What was read so far.
    pub tally: Tally,
    /// The first faults.
    pub faults: Vec<ScanError>,
    /// How many there were.
    pub n_faults: u64,
    /// The first file of a repository that git took for binary.
    pub binary: Option<PathBuf>,
    /// The spots of one piece; kept to reuse its memory.
    spots: Vec<Spot>,
}

impl<'a> Scan<'a> {
    /// Creates a search that passes what it finds to `tell`. An error of `tell` ends what is being read, and is
    /// returned from there; faults of what is read are noted.
    pub fn new(
        searcher: &'a Searcher,
        tell: &'a mut dyn FnMut(&Whereabouts, &Spot) -> io::Result<()>,
    ) -> Self {
        let (tally, faults) = (Tally::default(), Vec::new());
        Self { searcher, tell, tally, faults, n_faults: 0, binary: None, spots: Vec::new() }
    }

    fn note(&mut self, fault: ScanError) {
        self.n_faults += 1;
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        }
    }

    /// Searches everything that `from` has. Returns whether it could be read to its end.
    fn stream(&mut self, path: &Path, from: impl Read) -> io::Result<bool> {
        let unreadable = |cause| ScanError::Read { doing: "reading", path: path.to_owned(), cause };
        let mut pieces = match Text::of(from) {
            Ok(text) => Pieces::new(text),
            Err(cause) => {
                self.note(unreadable(cause));
                return Ok(false);
            }
        };
        loop {
            let piece = match pieces.next() {
                Ok(Some(piece)) => piece,
                Ok(None) => return Ok(true),
                Err(cause) => {
                    self.note(unreadable(cause));
                    return Ok(false);
                }
            };
            self.tally.bytes += piece.bytes.len() as u64;
            let at = || Whereabouts { path: path.to_owned(), ..Whereabouts::default() };
            self.text(piece.bytes, piece.line, piece.column, at)?;
        }
    }

    /// Searches a part of a line; `column` is that of its first byte, counted from 0.
    fn text(
        &mut self,
        text: &[u8],
        line: u64,
        column: u64,
        at: impl Fn() -> Whereabouts,
    ) -> io::Result<()> {
        self.searcher.search(text, &mut self.spots);
        for spot in self.spots.drain(..) {
            let column = column + spot.bytes.start as u64 + 1;
            (self.tell)(&Whereabouts { line: Some(line), column: Some(column), ..at() }, &spot)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod sample;
