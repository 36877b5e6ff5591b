//! Messages to and from systemd; without effect in its absence.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::warn;

use crate::daemon::lifetime::Lifetime;

/// The signals to the process.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    on_hangup: Asked,
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The end.
    End,
    /// Another configuration.
    Reload,
}

impl Signals {
    /// Listens from now on; a signal that arrives before it is awaited is kept.
    ///
    /// # Errors
    /// Those of the system.
    pub fn listen(runtime: &tokio::runtime::Runtime, lifetime: Lifetime) -> std::io::Result<Self> {
        let _context = runtime.enter();
        let on_hangup = lifetime.on_hangup();
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            on_hangup,
        })
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) -> Asked {
        // Losing a branch loses nothing: a signal stays pending.
        tokio::select! {
            _ = self.terminate.recv() => Asked::End,
            _ = self.interrupt.recv() => Asked::End,
            _ = self.hangup.recv() => self.on_hangup,
        }
    }

    /// Waits until the process is to end.
    pub async fn end(&mut self) {
        // As above; this also leaves a reload pending.
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv(), if self.on_hangup == Asked::End => {}
        }
    }
}

/// Notifies systemd.
pub fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        warn!(%error, "systemd cannot be notified.");
    }
}

/// Returns how often systemd expects a sign of life.
#[must_use]
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}
