//! The daemon's second thread: what has time beside the loop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{error, info, warn};

use crate::atlas::{Change, Reloading};
use crate::clock::{monotonic, now};
use crate::daemon::backup::{self, Backups};
use crate::daemon::blocked::Blocked;
use crate::daemon::follow::Order;
use crate::daemon::outbox::{Post, Pump};
use crate::deliver::render::Host;
use crate::engine::time::Timestamp;
use crate::store::{Pruned, Retention, Store, StoreError, certain};

/// GeoIP files are looked at this often.
const REFRESH: Duration = Duration::from_mins(1);

/// Old history is pruned this often, a bounded piece at a time.
const PRUNE: Duration = Duration::from_hours(1);

/// The pump looks at the outbox at least this often.
const PUMP: Duration = Duration::from_secs(30);

/// What the second thread is asked to do beside its rounds.
pub enum Chore {
    /// Mails may be due, or there is something to tell without the database.
    Mail,
    /// A backup has come to an end.
    BackedUp(Box<backup::Outcome>),
    /// End.
    Stop,
}

/// What a reload leaves for the second thread: through whom mails go out from now on, if at all. Only the newest counts,
/// and nobody waits for the mails that are under way.
#[derive(Clone, Default)]
pub struct Replacement(Arc<Mutex<Option<Option<Post>>>>);

impl Replacement {
    /// Leaves it, in place of what was not taken yet.
    pub fn leave(&self, post: Option<Post>) {
        *self.slot() = Some(post);
    }

    fn take(&self) -> Option<Option<Post>> {
        self.slot().take()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Option<Post>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what has time: mails, GeoIP files, pruning, backups.
pub struct Housekeeper {
    /// A connection of its own.
    pub store: Store,
    /// How long history is kept.
    pub retention: Retention,
    /// GeoIP files that may be replaced.
    pub atlas: Arc<Reloading>,
    /// Tells the loop what has changed.
    pub orders: Sender<Order>,
    /// Copies of the database.
    pub backups: Backups,
    /// What is told of a database that takes nothing.
    pub blocked: Blocked,
    /// Sends mails, where there is a server.
    pub pump: Option<Pump>,
    /// Where mails come from.
    pub host: Host,
    /// What a reload leaves.
    pub replacement: Replacement,
    /// What a pump is to be opened for.
    pub post: Option<Post>,
    /// The database keeps it from sending, and that was told.
    pub is_hindered: bool,
    /// The daemon is about to end.
    pub stopping: Arc<AtomicBool>,
}

impl Housekeeper {
    /// Works until it is told to stop.
    pub fn work(mut self, chores: &Receiver<Chore>) {
        let (mut refreshed, mut pruned) = (monotonic(), monotonic());
        loop {
            let wait = self.send_mail();
            if self.stopping.load(Ordering::Relaxed) {
                return;
            }
            match chores.recv_timeout(wait.min(self.backups.turn())) {
                Ok(Chore::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Chore::BackedUp(outcome)) => self.note_backup(*outcome),
                Ok(Chore::Mail) | Err(RecvTimeoutError::Timeout) => {}
            }
            if let Some(post) = self.replacement.take() {
                self.replace(post);
                // Whoever reloads may have put a GeoIP file right.
                self.refresh_atlas();
            }
            if let Some(pump) = &self.pump {
                self.blocked.tell(pump);
            }
            if monotonic().saturating_sub(refreshed) >= REFRESH {
                self.refresh_atlas();
                refreshed = monotonic();
            }
            if monotonic().saturating_sub(pruned) >= PRUNE && self.prune() {
                pruned = monotonic();
            }
        }
    }

    /// Goes on with the mails as a reload says. One that is open stays so: the database may take nothing.
    fn replace(&mut self, post: Option<Post>) {
        self.post = None;
        match (post, &mut self.pump) {
            (Some(post), Some(pump)) => pump.replace(post),
            (Some(post), None) => self.post = Some(post),
            (None, pump) => *pump = None,
        }
    }

    /// Opens the pump that a reload asked for; until that succeeds, each turn tries.
    fn open_pump(&mut self) -> Result<(), StoreError> {
        if self.post.is_none() {
            return Ok(());
        }
        let store = Store::open(self.store.path())?;
        let Some(Post { mailer, rules }) = self.post.take() else { return Ok(()) };
        let (host, stopping) = (self.host.clone(), Arc::clone(&self.stopping));
        match Pump::new(store, mailer, rules, host, stopping) {
            Ok(pump) => self.pump = Some(pump),
            Err(error) => error!(%error, "No mails can be sent until the next reload."),
        }
        Ok(())
    }

    fn turn(&mut self) -> Result<Option<Timestamp>, StoreError> {
        self.open_pump()?;
        self.pump.as_mut().map(|pump| certain(|| pump.turn(now()))).transpose()
    }

    /// Returns how long there is nothing to do.
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
                // Once, however often it is tried: a disk may be full for days.
                if !std::mem::replace(&mut self.is_hindered, true) {
                    warn!(%error, "Mails are waiting because the database cannot be read or written.");
                }
                Duration::from_secs(1)
            }
        }
    }

    /// Keeps for `status` whether there should be a backup and is none.
    fn note_backup(&mut self, outcome: backup::Outcome) {
        let failed = match self.backups.note(outcome) {
            Ok(None) => return,
            Ok(Some(is_made)) => (!is_made).then(now),
            Err(damage) => return self.end_on(damage),
        };
        match certain(|| self.store.note_backup(failed)) {
            Err(error) if error.is_damage_of(self.store.path()) => self.end_on(error),
            Err(error) => warn!(%error, "How the backup went cannot be noted."),
            Ok(()) => {}
        }
    }

    /// The loop may never come to the pages that are damaged: it is told.
    fn end_on(&self, damage: StoreError) {
        // It is gone only if it ended by itself.
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
                    warn!(?layer, "A GeoIP file cannot be used; what was in use stays in use.");
                }
                Change::Recovered(layer) => info!(?layer, "A GeoIP file is in order again."),
            }
        }
    }

    /// Prunes a piece; true once nothing is left to prune.
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
