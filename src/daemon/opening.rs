//! Opens the daemon's state. Waits while the disk is full or another process holds the database: systemd restarts a
//! daemon that ends only a few times, then gives up.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::clock::now;
use crate::daemon::blocked::{Blocked, Spell, mail_blocked};
use crate::daemon::compaction::compact_before_loop;
use crate::daemon::follow::Versions;
use crate::daemon::lifetime::Lifetime;
use crate::daemon::outbox::Pump;
use crate::daemon::post::{Cut, Post, Rules, mailer};
use crate::daemon::recovery;
use crate::daemon::site::Site;
use crate::daemon::systemd::{Signals, notify};
use crate::daemon::worker::{Delivery, Worker};
use crate::deliver::email::{Mailer, Timeouts};
use crate::deliver::render::{Host, UNTIL};
use crate::engine::geo::Atlas;
use crate::engine::line::{Position, StreamId};
use crate::engine::time::Timestamp;
use crate::store::{Lock, Role, Standstill, Store, StoreError};

/// Waits between attempts: the first, and the longest. Each attempt may copy a backup and check it.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// The daemon's state, each part with its own connection.
pub struct Opened {
    /// Judges and commits.
    pub worker: Worker,
    /// The database's versions before the worker's judge was created.
    pub versions: Versions,
    /// The position of each stream.
    pub positions: Vec<(StreamId, Position)>,
    /// The patterns that the run before followed, and since when they are followed.
    pub followed: BTreeMap<PathBuf, Timestamp>,
    /// Sends mails, if there is a server.
    pub pump: Option<Pump>,
    /// For the second thread.
    pub store: Store,
}

/// What to open, and with what.
pub struct Opening<'a> {
    /// The site.
    pub site: &'a Site,
    /// Locates addresses.
    pub places: Arc<dyn Atlas>,
    /// The directory of systemd's credentials.
    pub credentials: Option<&'a Path>,
    /// The host that mails name.
    pub host: &'a Host,
    /// The end of the daemon, or a new mailer.
    pub cut: &'a Cut,
    /// How long the daemon runs, and so waits.
    pub lifetime: Lifetime,
}

impl Opening<'_> {
    /// Opens everything under the lock, and takes the lock if it is not held yet. Existing parts stay as they are.
    fn open(&self, lock: &mut Option<Lock>) -> anyhow::Result<Opened> {
        let Self { site, .. } = self;
        let lock = match lock {
            Some(lock) => lock,
            None => lock.insert(Lock::take(&site.state, Role::Daemon)?),
        };
        let mut store = recovery::open(site, lock)?;
        store.keep_few_pages()?;
        store.forget_again()?;
        // Before the contents are read: the loop's first turn finds what changes meanwhile.
        let versions = Versions::of(&store)?;
        if delivery(site) == Delivery::Past {
            set_apart(&mut store, site)?;
        }
        let judge = site.judge_of(&store)?;
        let (positions, followed) = (store.positions()?, store.followed()?);
        let (bound, places) = (site.memory_bound(), Arc::clone(&self.places));
        let worker = Worker::new(judge, store, places, delivery(site), bound)?;
        let pump = self.pump()?;
        let mut store = self.connect()?;
        // Last, so that no attempt that fails did it in vain.
        compact_before_loop(&mut store)?;
        Ok(Opened { worker, versions, positions, followed, pump, store })
    }

    /// Creates the pump, if there is a mail server.
    fn pump(&self) -> anyhow::Result<Option<Pump>> {
        let Some(Post { mailer, rules }) = post(self.site, self.credentials)? else {
            return Ok(None);
        };
        let (host, cut) = (self.host.clone(), self.cut.clone());
        Pump::new(self.connect()?, mailer, rules, host, cut).map(Some)
    }

    /// Opens the database once more, for another thread.
    fn connect(&self) -> anyhow::Result<Store> {
        let store = self.site.store()?;
        store.keep_few_pages()?;
        Ok(store)
    }

    /// Opens everything, with retries; `None` if the process is to end first.
    ///
    /// # Errors
    /// Another daemon holds the state, or a retry cannot cure the error.
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
                        info!("The database was opened.");
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
                // If the mail is dropped half-way, the cause is still in the journal.
                tokio::select! {
                    () = signals.end() => true,
                    () = self.lifetime.end() => true,
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

    /// Reports once that the start has to wait.
    fn tell(&self, error: &anyhow::Error) -> Told {
        let why = format!("{error:#}");
        warn!(error = why, "The database cannot be opened; the start waits until it can.");
        notify(&[NotifyState::Status(&format!("Waiting: {why}"))]);
        let spell = Spell::default();
        // Another process on this host holds the lock; nothing is broken.
        if !error.chain().any(|cause| matches!(cause.downcast_ref(), Some(StoreError::Busy { .. })))
        {
            spell.begin(why);
        }
        let mail = self.site.mail();
        // Faulty settings are reported as soon as the database can be opened.
        let mailer = mail.and_then(|mail| mailer(mail, self.credentials, Timeouts::PATIENT).ok());
        let mailer = mailer.map(Arc::new);
        let standstill = Standstill::show(&self.site.state).ok();
        let (blocked, host) = (Blocked::new(spell), self.host.clone());
        Told { blocked, mailer, host, sending: None, _standstill: standstill }
    }
}

/// Mails that the start has to wait.
struct Told {
    blocked: Blocked,
    mailer: Option<Arc<Mailer>>,
    host: Host,
    /// The mail under way, and the spell that it is about. A slow server does not hold up the start.
    sending: Option<(Timestamp, JoinHandle<Result<(), String>>)>,
    /// Until the start goes on.
    _standstill: Option<Standstill>,
}

impl Told {
    async fn rest(&mut self, wait: Duration) {
        match self.sending.take() {
            Some((since, sending)) if sending.is_finished() => {
                let outcome = sending.await.unwrap_or_else(|error| Err(error.to_string()));
                self.blocked.note(since, outcome);
            }
            Some(sending) => self.sending = Some(sending),
            None => self.sending = self.send(),
        }
        tokio::time::sleep(wait).await;
    }

    /// Begins the mail that is due; it is finished even if the start succeeds meanwhile.
    fn send(&self) -> Option<(Timestamp, JoinHandle<Result<(), String>>)> {
        let (mailer, host) = (Arc::clone(self.mailer.as_ref()?), self.host.clone());
        let (since, why) = self.blocked.due()?;
        let sending = async move { mail_blocked(&mailer, &host, since, &why).await };
        Some((since, tokio::spawn(sending)))
    }
}

/// Returns the mailer and its rules, if there is a server. Does not use the database.
///
/// # Errors
/// The settings cannot work.
pub fn post(site: &Site, credentials: Option<&Path>) -> anyhow::Result<Option<Post>> {
    let Some(mail) = site.mail() else { return Ok(None) };
    let rules = Rules {
        at_once: mail.at_once,
        digest: mail.digest,
        max_per_hour: mail.max_per_hour,
        turn: Rules::TURN,
    };
    Ok(Some(Post { mailer: mailer(mail, credentials, Timeouts::PATIENT)?, rules }))
}

/// Returns whether mails are queued: only if there is a server.
#[must_use]
pub const fn delivery(site: &Site) -> Delivery {
    match site.config.mail {
        _ if !site.is_mailing => Delivery::Past,
        Some(_) => Delivery::Mail,
        None => Delivery::Silent,
    }
}

/// Queues a digest of what was found before. [`Delivery::Past`] keeps all alerts so far out of later ones.
///
/// # Errors
/// Those of the store.
pub fn set_apart(store: &mut Store, site: &Site) -> Result<(), StoreError> {
    let at_once = site.policy().at_once.unwrap_or_default();
    let now = now();
    store.queue_digest(&format!("{UNTIL}{now}"), at_once, now).map(drop)
}

/// Returns whether an error may be temporary: a full disk, or an I/O error. Also for files beside the database (the
/// lock, the key, a copy of the backup).
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
