//! The exit statuses, from sysexits(3) where it has a suitable one.

use std::fmt::Display;
use std::io;

use crate::config::Faults;
use crate::daemon::site::FaultyRules;
use crate::store::StoreError;

/// The condition asked about is true: there is an alert, a finding or a secret, the daemon is unhealthy, or a rule is
/// faulty.
pub const CONDITION: u8 = 1;
/// The command line is wrong, according to clap or to the program, or names something unknown; clap's own status.
pub const USAGE: u8 = 2;
/// Something failed that should work; also a missing file or database.
pub const FAILED: u8 = 70;
/// Another process holds the state: the daemon, or a `replay --save`.
pub const HELD: u8 = 75;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 78;

/// A fault in the command line that clap cannot find.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Usage(String);

/// Makes the error of a wrong command line: [`USAGE`].
pub fn usage(why: impl Display) -> anyhow::Error {
    Usage(why.to_string()).into()
}

/// Returns the exit status of an error: 0 if a reader closed the pipe.
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
