//! The configured mailer, the one that a reload leaves for the thread that mails, and what cuts off a mail under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::NaiveTime;
use tokio::time::sleep;

use crate::config::{Faults, Mail as MailConfig};
use crate::deliver::email::{MailSettings, Mailer, Password, Timeouts};
use crate::engine::alert::Level;

/// How long a mail under way may still take after a reload. A server that is well has answered by then, and one that is
/// slow must not keep the new settings waiting.
const REPRIEVE: Duration = Duration::from_secs(10);

/// Interval between looks at what cuts off a mail.
const LOOK: Duration = Duration::from_millis(50);

/// The mailer, and when to use it.
pub struct Post {
    /// Sends the mails.
    pub mailer: Mailer,
    /// When to send.
    pub rules: Rules,
}

/// When mails are sent.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Alerts below this level wait for the digest.
    pub at_once: Level,
    /// Time of the digest, in UTC.
    pub digest: NaiveTime,
    /// Mails per hour at most, plus one digest of those beyond. A quarter, rounded down, is reserved for critical
    /// alerts, so that a flood of lesser ones cannot hold them up; they use it first.
    pub max_per_hour: u32,
    /// No mail is begun once a turn has lasted so long: the work that shares the thread has its turn then, too.
    pub turn: Duration,
}

impl Rules {
    /// How long a turn lasts: a slow server takes minutes for each mail.
    pub const TURN: Duration = Duration::from_mins(1);

    /// Returns how many of the mails per hour are for critical alerts only.
    #[must_use]
    pub const fn reserve(max_per_hour: u32) -> u32 {
        max_per_hour / 4
    }
}

/// Creates the configured mailer. `credentials` is the directory of systemd's credentials.
///
/// # Errors
/// The password or the certificate cannot be read, or a setting cannot work.
pub fn mailer(
    config: &MailConfig,
    credentials: Option<&std::path::Path>,
    timeouts: Timeouts,
) -> anyhow::Result<Mailer> {
    let (ca_pem, password) = match (config.ca_pem(), config.password(credentials)) {
        (Ok(ca_pem), Ok(password)) => (ca_pem, password),
        (ca_pem, password) => {
            let faults = [password.err(), ca_pem.err()].into_iter().flatten().flatten();
            return Err(faults.collect::<Faults>().into());
        }
    };
    let settings = MailSettings {
        server: config.server.value.clone(),
        user: config.user.clone(),
        password: password.map(Password::new),
        ca_pem,
        from: config.from.clone(),
        to: config.to.clone(),
        hello_name: config.hello_name.clone(),
        timeouts,
    };
    Ok(Mailer::new(settings)?)
}

/// The mailer that a reload leaves for the second thread, if there is a mail server. Only the newest counts, and the
/// reload itself does not wait for mails under way.
#[derive(Clone, Default)]
pub struct Replacement(Arc<Mutex<Option<Option<Post>>>>);

impl Replacement {
    /// Leaves a mailer, in place of one not yet taken.
    pub fn leave(&self, post: Option<Post>) {
        *self.slot() = Some(post);
    }

    pub(super) fn take(&self) -> Option<Option<Post>> {
        self.slot().take()
    }

    fn is_left(&self) -> bool {
        self.slot().is_some()
    }

    fn slot(&self) -> MutexGuard<'_, Option<Option<Post>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What cuts off a mail under way: the end of the daemon, or a reload.
#[derive(Clone, Default)]
pub struct Cut {
    /// The daemon is about to end.
    pub stopping: Arc<AtomicBool>,
    /// The mailer that a reload leaves.
    pub replacement: Replacement,
}

impl Cut {
    /// Returns whether no further mail is to be begun.
    pub(super) fn is_due(&self) -> bool {
        self.stopping.load(Ordering::Relaxed) || self.replacement.is_left()
    }

    /// Waits until a mail under way is to be dropped: at once at the end, a moment after a reload.
    pub(super) async fn fall(&self) {
        let mut left = REPRIEVE;
        while !self.stopping.load(Ordering::Relaxed) && !left.is_zero() {
            sleep(LOOK).await;
            if self.replacement.is_left() {
                left = left.saturating_sub(LOOK);
            }
        }
    }
}
