//! The only file that reads the clock. Everything else gets the time as an argument.

#![allow(clippy::disallowed_methods, reason = "this is where the clock is read")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use chrono::Utc;

use crate::engine::time::Timestamp;

/// Returns the time of day, in UTC. May jump when the system's clock is set.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from(Utc::now())
}

/// Returns the time since the first call. Never goes back.
#[must_use]
pub fn monotonic() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    START.elapsed()
}
