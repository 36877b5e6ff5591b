//! The daemon's second thread: work that the loop must not wait for.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::atlas::{Change, Reloading};
use crate::clock::{monotonic, now};
use crate::daemon::backup::{self, Backups};
use crate::daemon::blocked::Blocked;
use crate::daemon::follow::Order;
use crate::daemon::outbox::Pump;
use crate::daemon::post::{Cut, Post};
use crate::deliver::render::Host;
use crate::engine::time::Timestamp;
use crate::store::{Pruned, Retention, Store, StoreError, certain};

/// Interval between checks of the GeoIP files.
const REFRESH: Duration = Duration::from_mins(1);

/// Interval between the end of one pruning of old history and the next.
const PRUNE: Duration = Duration::from_hours(1);

/// The longest wait between two pieces of one pruning: a million tokens take an hour.
const PIECE: Duration = Duration::from_secs(1);

/// Wait before the first pruning, if the last one is older than [`OVERDUE`]: a start has more urgent work.
const FIRST: Duration = Duration::from_mins(1);

/// The age of the last pruning from which on the next does not wait for an hour without a restart.
const OVERDUE: Duration = Duration::from_hours(24);

/// The longest interval between two looks at the outbox.
const PUMP: Duration = Duration::from_secs(30);

/// A request to the second thread besides its regular work.
pub enum Chore {
    /// Mails may be due, or a blocked database is to be reported.
    Mail,
    /// A backup has ended.
    BackedUp(Box<backup::Outcome>),
    /// End.
    Stop,
}

/// When the next piece of old history is pruned, by the monotonic clock.
struct Pruning(Duration);

impl Pruning {
    /// `last` is when one was last done, if that is known.
    fn after(last: Option<Timestamp>, now: Timestamp, monotonic: Duration) -> Self {
        let age = last.map(|last| u64::try_from(now.since(last)).unwrap_or_default());
        let is_overdue = age.is_none_or(|age| Duration::from_micros(age) > OVERDUE);
        Self(monotonic + if is_overdue { FIRST } else { PRUNE })
    }

    fn wait(&self, monotonic: Duration) -> Duration {
        self.0.saturating_sub(monotonic)
    }

    /// Prunes a piece if it is time; `prune` returns true once nothing is left.
    fn turn(&mut self, monotonic: Duration, prune: impl FnOnce() -> bool) {
        if self.wait(monotonic).is_zero() {
            self.0 = monotonic + if prune() { PRUNE } else { PIECE };
        }
    }
}

/// When the outbox is looked at next, by the monotonic clock.
struct Mailing(Duration);

impl Mailing {
    /// Looks at once.
    const NOW: Self = Self(Duration::ZERO);

    fn wait(&self, monotonic: Duration) -> Duration {
        self.0.saturating_sub(monotonic)
    }

    /// Looks at the outbox if it is time; `send` returns how long there is nothing to do.
    fn turn(&mut self, monotonic: Duration, send: impl FnOnce() -> Duration) {
        if self.wait(monotonic).is_zero() {
            self.0 = monotonic + send();
        }
    }
}

/// Sends mails, reloads GeoIP files, prunes, and starts backups.
pub struct Housekeeper {
    /// Its own connection.
    pub store: Store,
    /// How long history is kept.
    pub retention: Retention,
    /// GeoIP files that may be replaced.
    pub atlas: Arc<Reloading>,
    /// Sends orders to the loop.
    pub orders: Sender<Order>,
    /// The backups of the database.
    pub backups: Backups,
    /// The mails about a database that cannot be used.
    pub blocked: Blocked,
    /// Sends mails, if there is a server.
    pub pump: Option<Pump>,
    /// The host that mails name.
    pub host: Host,
    /// The mailer to open a pump with.
    pub post: Option<Post>,
    /// The database prevents mails, and that was logged.
    pub is_hindered: bool,
    /// The end of the daemon, or a new mailer.
    pub cut: Cut,
}

impl Housekeeper {
    /// Works until it is stopped.
    pub fn work(mut self, chores: &Receiver<Chore>) {
        let mut refreshed = monotonic();
        // If the database cannot be read, pruning finds out why.
        let mut pruning = Pruning::after(self.store.pruned().unwrap_or(None), now(), refreshed);
        let mut mailing = Mailing::NOW;
        loop {
            mailing.turn(monotonic(), || self.send_mail());
            let wait = mailing.wait(monotonic()).min(pruning.wait(monotonic()));
            if self.cut.stopping.load(Ordering::Relaxed) {
                return;
            }
            match chores.recv_timeout(wait.min(self.backups.turn())) {
                Ok(Chore::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Chore::BackedUp(outcome)) => self.note_backup(*outcome),
                Ok(Chore::Mail) => mailing = Mailing::NOW,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(post) = self.cut.replacement.take() {
                self.replace(post);
                mailing = Mailing::NOW;
                // A faulty GeoIP file may be the reason for the reload.
                self.refresh_atlas();
            }
            if let Some(pump) = &self.pump {
                self.blocked.tell(pump);
            }
            if monotonic().saturating_sub(refreshed) >= REFRESH {
                self.refresh_atlas();
                refreshed = monotonic();
            }
            pruning.turn(monotonic(), || self.prune());
        }
    }

    /// Replaces the mailer after a reload. An open pump stays open: the database may not be writable.
    fn replace(&mut self, post: Option<Post>) {
        self.post = None;
        self.blocked.hasten();
        match (post, &mut self.pump) {
            (Some(post), Some(pump)) => pump.replace(post),
            (Some(post), None) => self.post = Some(post),
            (None, pump) => *pump = None,
        }
    }

    /// Opens the pump that a reload requested; each turn tries until it succeeds.
    fn open_pump(&mut self) -> Result<(), StoreError> {
        if self.post.is_none() {
            return Ok(());
        }
        let store = Store::open(self.store.path())?;
        store.keep_few_pages()?;
        let Some(Post { mailer, rules }) = self.post.take() else { return Ok(()) };
        match Pump::new(store, mailer, rules, self.host.clone(), self.cut.clone()) {
            Ok(pump) => self.pump = Some(pump),
            Err(error) => error!(%error, "No mails can be sent until the next reload."),
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.open_pump()?;
        self.pump.as_mut().map(|pump| certain(|| pump.turn(now()))).transpose()
    }

    /// Sends mails, and returns how long there is nothing to do.
    fn send_mail(&mut self) -> Duration {
        match self.turn() {
            Ok(None) => PUMP,
            Ok(Some(next)) => {
                if std::mem::take(&mut self.is_hindered) {
                    info!("Mails are sent again.");
                }
                let micros = u64::try_from(next.since(now())).unwrap_or_default();
                Duration::from_micros(micros).clamp(Duration::from_millis(20), PUMP)
            }
            Err(error) if error.is_damage_of(self.store.path()) => {
                self.end_on(error);
                PUMP
            }
            Err(error) => {
                // Logged once, however often it is tried: a disk may be full for days.
                if !std::mem::replace(&mut self.is_hindered, true) {
                    warn!(%error, "Mails are waiting because the database cannot be read or written.");
                }
                Duration::from_secs(1)
            }
        }
    }

    /// Saves for `status` whether a backup is due and has failed.
    fn note_backup(&mut self, outcome: backup::Outcome) {
        let failed = match self.backups.note(outcome) {
            Ok(None) => return,
            Ok(Some(is_made)) => (!is_made).then(now),
            Err(damage) => return self.end_on(damage),
        };
        match certain(|| self.store.note_backup(failed)) {
            Err(error) if error.is_damage_of(self.store.path()) => self.end_on(error),
            Err(error) => warn!(%error, "The outcome of the backup cannot be saved."),
            Ok(()) => {}
        }
    }

    /// Stops the loop, which may never read the damaged pages itself.
    fn end_on(&self, damage: StoreError) {
        // The loop is gone only if it ended by itself.
        self.orders.send(Order::Damaged(Box::new(damage))).ok();
    }

    fn refresh_atlas(&self) {
        for change in self.atlas.refresh() {
            match change {
                Change::Loaded(layer) => {
                    info!(?layer, "A GeoIP file was loaded.");
                    self.orders.send(Order::ForgetPlaces).ok();
                }
                Change::Faulty(layer) => {
                    warn!(?layer, "A GeoIP file cannot be used; the previous data stays in use.");
                }
                Change::Recovered(layer) => info!(?layer, "A GeoIP file can be used again."),
            }
        }
    }

    /// Prunes a piece; returns true once nothing is left to prune.
    fn prune(&mut self) -> bool {
        match certain(|| self.store.prune(&self.retention, now())) {
            Ok(Pruned { is_done, .. }) => is_done,
            Err(error) if error.is_damage_of(self.store.path()) => {
                self.end_on(error);
                true
            }
            Err(error) => {
                warn!(%error, "Old history cannot be pruned now.");
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR};

    /// Returns the waits between pieces, the last of which leaves nothing.
    fn waits(mut pruning: Pruning, n_pieces: usize) -> Vec<Duration> {
        let mut at = Duration::ZERO;
        let piece = |n: usize| {
            at += pruning.wait(at);
            pruning.turn(at, || n == n_pieces);
            pruning.turn(at, || unreachable!("it is not time yet"));
            pruning.wait(at)
        };
        (1..=n_pieces).map(piece).collect()
    }

    #[test]
    fn a_walk_over_a_million_tokens_took_more_than_a_day() {
        let pruning = Pruning::after(None, Timestamp(0), Duration::ZERO);
        assert_eq!(waits(pruning, 4), [PIECE, PIECE, PIECE, PRUNE]);
    }

    #[test]
    fn the_outbox_was_read_between_all_pieces_of_a_walk() {
        let (mut mailing, mut n_looks) = (Mailing::NOW, 0);
        let mut look_until = |mailing: &mut Mailing, end: u32| {
            for n in 0..end {
                mailing.turn(PIECE * n, || {
                    n_looks += 1;
                    PUMP
                });
            }
            n_looks
        };
        assert_eq!(look_until(&mut mailing, 30), 1);
        assert_eq!(look_until(&mut mailing, 31), 2);
        mailing = Mailing::NOW;
        assert_eq!(look_until(&mut mailing, 30), 3, "there are new ones");
    }

    #[test]
    fn a_daemon_that_restarts_every_hour_never_pruned() {
        let now = Timestamp(7 * DAY);
        for (last, wait) in [
            (None, FIRST),
            (Some(now.plus(-DAY - 1)), FIRST),
            (Some(now.plus(-DAY)), PRUNE),
            (Some(now.plus(HOUR)), PRUNE),
        ] {
            assert_eq!(Pruning::after(last, now, PIECE).wait(PIECE), wait, "{last:?}");
        }
    }
}
