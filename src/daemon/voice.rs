//! What the loop reports, and where that goes: systemd, the journal, standard output, and the thread that mails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, SyncSender};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::oneshot;
use tracing::warn;

use crate::clock::monotonic;
use crate::daemon::blocked::Spell;
use crate::daemon::follow::{Listener, Order};
use crate::daemon::housekeeper::Chore;
use crate::daemon::lifetime::Lifetime;
use crate::daemon::printing::{Printing, Reading};
use crate::daemon::run::Output;
use crate::daemon::systemd::{notify, watchdog};
use crate::deliver::journal;
use crate::deliver::render::Files;
use crate::engine::alert::Alert;
use crate::store::{Standstill, StoreError};

/// Reports of the loop, and where they go.
pub(super) struct Voice {
    tell_ready: Option<oneshot::Sender<()>>,
    printing: Option<Printing>,
    is_journaled: bool,
    lifetime: Lifetime,
    orders: Sender<Order>,
    chores: SyncSender<Chore>,
    spell: Spell,
    state: PathBuf,
    /// While the database cannot be used, unless that cannot be shown.
    standstill: Option<Standstill>,
    stopping: Arc<AtomicBool>,
    /// How often systemd expects a sign of life.
    watchdog: Option<Duration>,
    pinged: Duration,
}

impl Voice {
    /// Returns the voice, and a receiver that reports when all files were examined once.
    ///
    /// # Errors
    /// The thread that prints cannot be started.
    pub(super) fn new(
        output: Output,
        orders: &Sender<Order>,
        chores: &SyncSender<Chore>,
        spell: &Spell,
        state: &Path,
        stopping: &Arc<AtomicBool>,
    ) -> anyhow::Result<(Self, oneshot::Receiver<()>)> {
        let (tell_ready, ready) = oneshot::channel();
        let voice = Self {
            tell_ready: Some(tell_ready),
            printing: output.sink.map(Printing::start).transpose()?,
            is_journaled: output.journal,
            lifetime: output.lifetime,
            orders: orders.clone(),
            chores: chores.clone(),
            spell: spell.clone(),
            state: state.to_owned(),
            standstill: None,
            stopping: Arc::clone(stopping),
            watchdog: watchdog(),
            pinged: Duration::ZERO,
        };
        Ok((voice, ready))
    }
}

impl Listener for Voice {
    fn alive(&mut self) {
        if self.lifetime.is_over() && !self.stopping.swap(true, Ordering::Relaxed) {
            // The loop is gone once it has ended for another reason.
            self.orders.send(Order::Stop).ok();
        }
        let Some(period) = self.watchdog else { return };
        let now = monotonic();
        if now.saturating_sub(self.pinged) >= period / 3 {
            self.pinged = now;
            notify(&[NotifyState::Watchdog]);
        }
    }

    fn ready(&mut self) {
        if let Some(tell) = self.tell_ready.take() {
            // Nobody receives once the program is ending.
            tell.send(()).ok();
        }
    }

    fn told(&mut self, alerts: &[Alert], files: &Files<'_>) {
        if self.is_journaled {
            alerts.iter().for_each(journal::record);
        }
        let reading = self.printing.as_mut().map(|printing| printing.tell(alerts, files));
        if reading == Some(Reading::Over) {
            self.printing = None;
            if !self.lifetime.is_over() {
                warn!("Standard output is closed; alerts are no longer printed there.");
            }
        }
        // The queue may be full: then the pump wakes up anyway.
        self.chores.try_send(Chore::Mail).ok();
    }

    fn blocked(&mut self, why: &StoreError) {
        self.standstill = Standstill::show(&self.state).ok();
        // Another process on this host holds the lock; nothing is broken.
        if !matches!(why, StoreError::Busy { .. }) {
            self.spell.begin(why.to_string());
            // The queue may be full: then the other thread looks at the spell by itself.
            self.chores.try_send(Chore::Mail).ok();
        }
    }

    fn unblocked(&mut self) {
        self.standstill = None;
        self.spell.end();
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
}
