//! Mails about a database that cannot be used, usually because the disk is full. They bypass the outbox, which is in
//! that database.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{info, warn};

use crate::clock::{monotonic, now};
use crate::daemon::outbox::Pump;
use crate::daemon::tries::{Answered, backoff};
use crate::deliver::email::Mailer;
use crate::deliver::render::{self, Context, Host};
use crate::engine::time::Timestamp;

/// Interval between two such mails: a disk that is full now and then is one piece of news.
const APART: Duration = Duration::from_hours(1);

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
    /// When the last attempt failed, and how many did in a row.
    tried: Option<(Duration, u32)>,
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
        self.due_at(monotonic())
    }

    fn due_at(&self, now: Duration) -> Option<(Timestamp, String)> {
        let (since, why) = self.spell.lock().clone()?;
        let is_within = |time: Duration, wait| now.saturating_sub(time) < wait;
        let has_to_wait = self.told_of == Some(since)
            || self.told.is_some_and(|told| is_within(told, APART))
            || self.tried.is_some_and(|(tried, n_failed)| is_within(tried, pause(n_failed)));
        (!has_to_wait).then_some((since, why))
    }

    /// Lets the next attempt be made at once: the mail server may have been repaired.
    pub fn hasten(&mut self) {
        self.tried = None;
    }

    /// Notes the outcome of an attempt.
    pub fn note(&mut self, since: Timestamp, outcome: Result<(), String>) {
        self.note_at(monotonic(), since, outcome);
    }

    fn note_at(&mut self, now: Duration, since: Timestamp, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.told_of = Some(since);
                self.told = Some(now);
                self.tried = None;
                info!("The mail about the blocked database was sent.");
            }
            Err(error) => {
                let n_failed = self.tried.map_or(0, |(_, n_failed)| n_failed);
                self.tried = Some((now, n_failed.saturating_add(1)));
                warn!(
                    error,
                    "The mail about the blocked database was not sent; it will be retried."
                );
            }
        }
    }
}

/// Returns the wait after so many failed attempts in a row: as for other mails, since a server that locks an account
/// after some failed logins does not ask what the mail was about.
fn pause(n_failed: u32) -> Duration {
    let micros = backoff(n_failed.saturating_sub(1), 0);
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
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

    #[test]
    fn a_mail_about_a_full_disk_was_tried_every_half_minute_for_days() {
        let spell = Spell::default();
        let mut blocked = Blocked::new(spell.clone());
        spell.begin("the disk is full".to_owned());
        let refuse = || Err("535 wrong user or password".to_owned());
        let tries = |blocked: &mut Blocked, from: u64, until: u64| {
            let mut tries = Vec::new();
            for second in from..until {
                let now = Duration::from_secs(second);
                if let Some((since, _)) = blocked.due_at(now) {
                    blocked.note_at(now, since, refuse());
                    tries.push(second - from);
                }
            }
            tries
        };
        let start = 3600;
        let first = tries(&mut blocked, start, start + 7200);
        assert_eq!(first, [0, 30, 90, 210, 450, 930, 1890, 3690, 5490]);
        blocked.hasten();
        assert_eq!(tries(&mut blocked, 10_900, 11_000), [0, 30, 90], "anew after a reload");
        let now = Duration::from_secs(20_000);
        let (since, _) = blocked.due_at(now).unwrap();
        blocked.note_at(now, since, Ok(()));
        assert_eq!(blocked.due_at(now + 2 * APART), None, "it was told");
    }
}
