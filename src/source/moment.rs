//! The moments between two looks at the file system: tests let other things happen in them, and refuse access.

/// Called before each look at a file and before each opening of one.
#[cfg(not(test))]
pub(super) const fn pass() {}

/// Returns a time as the file system's clock would record it.
#[cfg(not(test))]
pub(super) const fn tick_of(time: i64) -> i64 {
    time
}

/// Called before each opening of a file; in tests, it may fail.
#[cfg(not(test))]
pub(super) const fn refusal(_: &std::path::Path) -> std::io::Result<()> {
    Ok(())
}

/// Called before each reading of an old file; in tests, it may fail.
#[cfg(not(test))]
pub(super) const fn failure() -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
pub(super) use super::tests::{failure, pass, refusal, tick_of};
