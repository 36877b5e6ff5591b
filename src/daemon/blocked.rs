//! Mails about a database that cannot be used, usually because the disk is full. They bypass the outbox, which is in
//! that database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{monotonic, now};
use crate::daemon::outbox::Pump;
use crate::daemon::tries::Answered;
use crate::deliver::email::Mailer;
use crate::deliver::render::{self, Context, Host};
use crate::engine::time::Timestamp;

/// Interval between two such mails: a disk that is full now and then is one piece of news.
const APART: Duration = Duration::from_hours(1);

/// Interval between two attempts.
const RETRY: Duration = Duration::from_secs(30);

/// Since when the database cannot be used, and why. Shared between threads instead of sent: a message could be lost
/// in a full queue, and would be sent only once.
#[derive(Clone, Debug, Default)]
pub struct Spell(Arc<Mutex<Option<(Timestamp, String)>>>);

impl Spell {
    /// Records that it cannot be used from now on.
    pub fn begin(&self, why: String) {
        self.lock().get_or_insert_with(|| (now(), why));
    }

    /// Records that the database can be used again.
    pub fn end(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Timestamp, String)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The mails about such spells.
#[derive(Debug, Default)]
pub struct Blocked {
    spell: Spell,
    /// The start of the last reported spell.
    told_of: Option<Timestamp>,
    told: Option<Duration>,
    tried: Option<Duration>,
}

impl Blocked {
    /// Reports these spells.
    #[must_use]
    pub fn new(spell: Spell) -> Self {
        Self { spell, ..Self::default() }
    }

    /// Sends a mail if one is due.
    pub fn tell(&mut self, pump: &Pump) {
        if let Some((since, why)) = self.due() {
            self.note(since, pump.tell_blocked(since, &why));
        }
    }

    /// Returns the spell to report now: each once, and at most one an hour.
    pub fn due(&self) -> Option<(Timestamp, String)> {
        let (since, why) = self.spell.lock().clone()?;
        let is_within = |time: Option<Duration>, wait| {
            time.is_some_and(|time| monotonic().saturating_sub(time) < wait)
        };
        let has_to_wait = self.told_of == Some(since)
            || is_within(self.told, APART)
            || is_within(self.tried, RETRY);
        (!has_to_wait).then_some((since, why))
    }

    /// Notes the outcome of an attempt.
    pub fn note(&mut self, since: Timestamp, outcome: Result<(), String>) {
        self.tried = Some(monotonic());
        match outcome {
            Ok(()) => {
                self.told_of = Some(since);
                self.told = self.tried;
                info!("The mail about the blocked database was sent.");
            }
            Err(error) => {
                warn!(
                    error,
                    "The mail about the blocked database was not sent; it will be retried."
                );
            }
        }
    }
}

/// Sends a mail, bypassing the database, that the database cannot be used since a time.
///
/// # Errors
/// No recipient accepted the mail; the error contains the replies.
pub async fn mail_blocked(
    mailer: &Mailer,
    host: &Host,
    since: Timestamp,
    why: &str,
) -> Result<(), String> {
    let mail = {
        let words = Context { host, date: since, files: &|_| None, history: &[], background: None };
        render::blocked(why, &words)
    };
    let deliveries = mailer.send(&mail).await;
    let Answered { n_accepted, refused, postponed, .. } =
        Answered::of(&deliveries, deliveries.len());
    if n_accepted > 0 {
        return Ok(());
    }
    Err(postponed.into_values().chain(refused).collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spell_is_told_once_and_one_that_is_over_not_at_all() {
        let spell = Spell::default();
        let mut blocked = Blocked::new(spell.clone());
        assert_eq!(blocked.due(), None);
        spell.begin("the disk is full".to_owned());
        spell.begin("another reason".to_owned());
        let (since, why) = blocked.due().unwrap();
        assert_eq!(why, "the disk is full");
        spell.end();
        assert_eq!(blocked.due(), None);
        spell.begin("the disk is full again".to_owned());
        let (again, _) = blocked.due().unwrap();
        assert!(since <= again);
        blocked.note(again, Ok(()));
        assert_eq!(blocked.due(), None, "it was told");
        spell.end();
        spell.begin("within the hour".to_owned());
        assert_eq!(blocked.due(), None);
    }
}
