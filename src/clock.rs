//! The only file that reads the clock. Everything else gets the time as an argument.

#![expect(clippy::disallowed_methods, reason = "this is where the clock is read")]

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

/// Returns systemd's clock for reloads (`MONOTONIC_USEC` in `sd_notify(3)`).
#[must_use]
pub fn monotonic_usec() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    seconds * 1_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default() / 1000
}
