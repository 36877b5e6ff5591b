//! The command line of `scan`.

use std::path::PathBuf;

use clap::Args;

/// What `scan` reads, and how it ends.
pub(super) const ABOUT_SCAN: &str = "\
In a directory, every file is read, hidden ones and those that git ignores too, except .git, links, binary files (with a NUL in the \
first 8 KiB) and files larger than 64 MiB; a file given by name is read in any case.\n\n\
Exit status: 0 nothing was found; 1 something was found; 70 something could \
not be read, or was masked by another scanner, and nothing was found in the rest; with --known or --leaked, also without a \
key or database.";

/// Options of `scan`.
#[derive(Debug, Args)]
pub struct Scan {
    /// Files or directories; - is standard input. With --git, repositories.
    #[arg(value_name = "PATH", required_unless_present = "findings")]
    pub paths: Vec<PathBuf>,
    /// Search all that was ever added on any branch or tag, not the files as they are now.
    #[arg(long)]
    pub git: bool,
    /// Also look up what another scanner found: the JSON of gitleaks, trufflehog or kingfisher; - is standard input.
    #[arg(long, value_name = "FILE")]
    pub findings: Vec<PathBuf>,
    /// Only show tokens that are known here: used in the logs, or registered.
    #[arg(long)]
    pub known: bool,
    /// Mark each known token that was found as leaked, as `tokens leak` does: its use is an alert from then on.
    #[arg(long)]
    pub leaked: bool,
}
