//! A database that takes nothing, a full disk mostly, cannot take a mail either: that one goes out without it.

use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{monotonic, now};
use crate::daemon::outbox::Pump;
use crate::engine::time::Timestamp;

/// Between two such mails: a disk that is full now and then is one piece of news.
const APART: Duration = Duration::from_hours(1);

/// Between two tries.
const RETRY: Duration = Duration::from_secs(30);

/// What is known of it.
#[derive(Debug, Default)]
pub struct Blocked {
    /// Since when nothing can be written, and why.
    spell: Option<(Timestamp, String)>,
    /// It was told.
    is_told: bool,
    told: Option<Duration>,
    tried: Option<Duration>,
}

impl Blocked {
    /// Nothing can be written from now on.
    pub fn begin(&mut self, why: String) {
        self.spell.get_or_insert_with(|| (now(), why));
    }

    /// It can be again.
    pub fn end(&mut self) {
        self.spell = None;
        self.is_told = false;
    }

    /// Mails it, once for as long as it lasts and not more than once an hour.
    pub fn tell(&mut self, pump: &Pump) {
        let Some((since, why)) = &self.spell else { return };
        let is_within = |time: Option<Duration>, wait| {
            time.is_some_and(|time| monotonic().saturating_sub(time) < wait)
        };
        if self.is_told || is_within(self.told, APART) || is_within(self.tried, RETRY) {
            return;
        }
        self.tried = Some(monotonic());
        match pump.tell_blocked(*since, why) {
            Ok(()) => {
                self.is_told = true;
                self.told = self.tried;
                info!("Mail was sent: the database cannot be written.");
            }
            Err(error) => {
                warn!(
                    error,
                    "The mail that the database cannot be written was not sent; it is tried again."
                );
            }
        }
    }
}
