//! The moments between two looks at the file system: tests let the world go on in them, and refuse what it would grant.

/// Stands before each look at a file and before each opening of one.
#[cfg(not(test))]
pub(super) const fn pass() {}

/// Returns a time as the clock of the file system shows it.
#[cfg(not(test))]
pub(super) const fn tick_of(time: i64) -> i64 {
    time
}

/// Stands before each opening of a file, in case that it cannot be opened.
#[cfg(not(test))]
pub(super) const fn refusal(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use super::tests::{pass, refusal, tick_of};
