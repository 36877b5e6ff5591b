//! What the exit status says, after sysexits(3) where that knows a word for it.

use std::fmt::Display;
use std::io;

use crate::config::Faults;
use crate::daemon::site::FaultyRules;
use crate::store::StoreError;

/// An alert was found, the daemon is not well, or a rule is faulty: what was asked about is true.
pub const CONDITION: u8 = 1;
/// The command line is wrong, as clap or the program itself finds it, or names something unknown; clap's own status.
pub const USAGE: u8 = 2;
/// Something that should work did not; a file or a database that is not there, too.
pub const FAILED: u8 = 70;
/// Another process holds the state: the daemon, or a `replay --save`.
pub const HELD: u8 = 75;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 78;

/// What is wrong with the command line, where clap cannot know it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

/// Makes an error of a command line that cannot be meant: [`USAGE`].
pub fn usage(why: impl Display) -> anyhow::Error {
    Usage(why.to_string()).into()
}

/// Returns the status of an error. A reader that has seen enough is none.
#[must_use]
pub fn of(error: &anyhow::Error) -> u8 {
    let is_closed_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(is_closed_pipe) {
        return 0;
    }
    if error.chain().any(|cause| cause.is::<Faults>() || cause.is::<FaultyRules>()) {
        return CONFIGURATION;
    }
    if error.chain().any(|cause| cause.is::<Usage>()) {
        return USAGE;
    }
    let store = error.chain().find_map(|cause| cause.downcast_ref::<StoreError>());
    match store {
        Some(StoreError::Locked { .. }) => HELD,
        _ => FAILED,
    }
}
