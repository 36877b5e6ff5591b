//! Opening what the daemon works on. A full disk or a database that another process holds is waited out here: a daemon that
//! ends for it is started again a few times, and then for good no more.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use rustix::io::Errno;
use sd_notify::NotifyState;
use tracing::{info, warn};

use crate::daemon::blocked::{Blocked, Spell, mail_blocked};
use crate::daemon::follow::{Versions, versions};
use crate::daemon::outbox::{Post, Pump, Rules, mailer};
use crate::daemon::recovery;
use crate::daemon::site::Site;
use crate::daemon::systemd::{Signals, notify};
use crate::daemon::worker::{Delivery, Worker};
use crate::deliver::email::Mailer;
use crate::deliver::render::Host;
use crate::engine::geo::Atlas;
use crate::engine::line::{Position, StreamId};
use crate::store::{Lock, Role, Store, StoreError};

/// Between two tries: the first time, and the longest. Each may copy a backup and look through it.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// All that a daemon holds of its state, each part with a connection of its own.
pub struct Opened {
    /// Who judges and commits.
    pub worker: Worker,
    /// What the database was like before the worker's judge was made.
    pub versions: Versions,
    /// How far each stream was read.
    pub positions: Vec<(StreamId, Position)>,
    /// Who mails, where there is a server.
    pub pump: Option<Pump>,
    /// For what has time.
    pub store: Store,
}

/// Where and by what it is opened.
pub struct Opening<'a> {
    /// The site.
    pub site: &'a Site,
    /// Where addresses lie.
    pub places: Arc<dyn Atlas>,
    /// Where systemd put credentials.
    pub credentials: Option<&'a Path>,
    /// Where mails come from.
    pub host: &'a Host,
    /// The daemon is about to end.
    pub stopping: &'a Arc<AtomicBool>,
}

impl Opening<'_> {
    /// Opens everything under the lock, which is taken if it was not. What is there already stays as it is.
    fn open(&self, lock: &mut Option<Lock>) -> anyhow::Result<Opened> {
        let Self { site, .. } = self;
        let lock = match lock {
            Some(lock) => lock,
            None => lock.insert(Lock::take(&site.state, Role::Daemon)?),
        };
        let store = recovery::open(site, lock)?;
        // Before what they count is read: what is said meanwhile is found by the loop's first turn.
        let versions = versions(&store)?;
        let judge = site.judge_of(&store)?;
        let positions = store.positions()?;
        let (bound, places) = (site.memory_bound(), Arc::clone(&self.places));
        let worker = Worker::new(judge, store, places, delivery(site), bound)?;
        let pump = self.pump()?;
        Ok(Opened { worker, versions, positions, pump, store: site.store()? })
    }

    /// Makes who mails, where there is a server.
    fn pump(&self) -> anyhow::Result<Option<Pump>> {
        let Some(Post { mailer, rules }) = post(self.site, self.credentials)? else {
            return Ok(None);
        };
        let (host, stopping) = (self.host.clone(), Arc::clone(self.stopping));
        Pump::new(self.site.store()?, mailer, rules, host, stopping).map(Some)
    }

    /// Opens everything, as often as it takes; `None` if the process is to end before.
    ///
    /// # Errors
    /// Another daemon holds the state, or something that trying again does not cure.
    pub fn wait(
        &self,
        lock: &mut Option<Lock>,
        runtime: &tokio::runtime::Runtime,
        signals: &mut Signals,
    ) -> anyhow::Result<Option<Opened>> {
        let mut told = None;
        let mut wait = AGAIN.0;
        recovery::announce(self.site);
        loop {
            let error = match self.open(lock) {
                Ok(opened) => {
                    if told.is_some() {
                        info!("The database could be opened.");
                        notify(&[NotifyState::Status("")]);
                    }
                    return Ok(Some(opened));
                }
                Err(error) if is_temporary(&error) => error,
                Err(error) => return Err(error),
            };
            let told = told.get_or_insert_with(|| self.tell(&error));
            recovery::ask_for_time();
            let is_over = runtime.block_on(async {
                // A mail that is dropped half-way is told by the journal all the same.
                tokio::select! {
                    () = signals.end() => true,
                    () = told.rest(wait) => false,
                }
            });
            wait = (wait * 2).min(AGAIN.1);
            if is_over {
                notify(&[NotifyState::Stopping]);
                return Ok(None);
            }
        }
    }

    /// Says once that the start has to wait.
    fn tell(&self, error: &anyhow::Error) -> Told {
        let why = format!("{error:#}");
        warn!(error = why, "The database cannot be opened; the start waits until it can.");
        notify(&[NotifyState::Status(&format!("Waiting: {why}"))]);
        let spell = Spell::default();
        // Whoever locked it is at work on this host, and nothing is broken.
        if !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Busy { .. })))
        {
            spell.begin(why);
        }
        let mail = self.site.config.mail.as_ref();
        // What is wrong with the settings is told as soon as the database can be opened.
        let mailer = mail.and_then(|mail| mailer(mail, self.credentials).ok());
        Told { blocked: Blocked::new(spell), mailer, host: self.host.clone() }
    }
}

/// Who mails that the start has to wait.
struct Told {
    blocked: Blocked,
    mailer: Option<Mailer>,
    host: Host,
}

impl Told {
    async fn rest(&mut self, wait: Duration) {
        if let Some(mailer) = &self.mailer
            && let Some((since, why)) = self.blocked.due()
        {
            let outcome = mail_blocked(mailer, &self.host, since, &why).await;
            self.blocked.note(since, outcome);
        }
        tokio::time::sleep(wait).await;
    }
}

/// Returns through whom mails go out, where there is a server. Asks nothing of the database.
///
/// # Errors
/// The settings cannot work.
pub fn post(site: &Site, credentials: Option<&Path>) -> anyhow::Result<Option<Post>> {
    let Some(mail) = &site.config.mail else { return Ok(None) };
    let rules =
        Rules { at_once: mail.at_once, digest: mail.digest, max_per_hour: mail.max_per_hour };
    Ok(Some(Post { mailer: mailer(mail, credentials)?, rules }))
}

/// Mails are queued only where there is a server to send them through.
#[must_use]
pub const fn delivery(site: &Site) -> Delivery {
    if site.config.mail.is_some() { Delivery::Mail } else { Delivery::Silent }
}

/// Tells whether time may cure it: a full disk, or one that fails. Files beside the database (the lock, the key, a copy of the
/// backup) need it as well.
fn is_temporary(error: &anyhow::Error) -> bool {
    let may_pass = |error: &io::Error| {
        matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
            || error.raw_os_error() == Some(Errno::IO.raw_os_error())
    };
    error.chain().any(|cause| {
        cause.downcast_ref().is_some_and(StoreError::is_temporary)
            || cause.downcast_ref().is_some_and(may_pass)
    })
}
