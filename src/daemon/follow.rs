//! The live loop: passes batches from followed files to the worker until it is stopped.
//!
//! Runs on its own thread. Other threads send it an [`Order`], which it carries out between batches, directly after a
//! commit.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anyhow::Context;
use tracing::{debug, info, warn};

use crate::clock::{monotonic, now};
use crate::daemon::strain::Strains;
use crate::daemon::telling;
use crate::daemon::worker::{Delivery, Worker};
use crate::deliver::render::Files;
use crate::engine::alert::Alert;
use crate::engine::health::path_of;
use crate::engine::judge::Judge;
use crate::engine::line::Batch;
use crate::engine::reader::Reader;
use crate::engine::registry::Registry;
use crate::engine::time::Timestamp;
use crate::engine::word::Words;
use crate::source::follow::{Follower, Watch};
use crate::source::journal::{Journals, UnitWatch};
use crate::store::{self, StoreError, certain};

/// The longest sleep of an idle loop.
const IDLE: Duration = Duration::from_secs(1);

/// Wait of an alert between its judgement and its commit, so that several alerts share the cost.
const SOON: Duration = Duration::from_millis(5);

/// Between commits for alerts, so many times their duration is for other work: if every batch has an alert, commits
/// would otherwise take most of the time.
const COMMITS: u32 = 4;

/// Time for other work that counts in advance: alerts seldom come, and one between two other commits need not wait.
const ADVANCE: Duration = Duration::from_secs(1);

/// The last commit, and when the next one is due.
#[derive(Clone, Copy, Debug, Default)]
struct Committed {
    /// When the last commit ended.
    at: Duration,
    /// When there has been time enough for other work.
    free: Duration,
}

impl Committed {
    /// Records a commit.
    fn note(&mut self, began: Duration, ended: Duration) {
        let took = ended.saturating_sub(began);
        let free = self.free.max(ended.saturating_sub(ADVANCE)) + took * (COMMITS + 1);
        *self = Self { at: ended, free: free.min(ended + took * COMMITS) };
    }

    /// Returns when the next commit is due if there is an alert.
    fn soon(self) -> Duration {
        self.free.max(self.at + SOON)
    }
}

/// Waits between retries of a database access: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Time without a commit after which the cause is reported.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time for retries when the program is ending; what was not committed is read again later.
const LAST_TRIES: Duration = Duration::from_secs(3);

/// An order to the loop.
pub enum Order {
    /// Continue with another configuration.
    Reload(Box<Reload>),
    /// Look up addresses again: a GeoIP file was replaced.
    ForgetPlaces,
    /// End with this error: the database is damaged.
    Damaged(Box<StoreError>),
    /// Commit and end.
    Stop,
}

/// The parts that a reload replaces.
pub struct Reload {
    /// Parses the lines.
    pub reader: Arc<Reader>,
    /// Judges the usages.
    pub judge: Judge,
    /// The files to follow.
    pub watches: Vec<Watch>,
    /// The units of the journal to follow.
    pub units: Vec<UnitWatch>,
    /// The longest time between a usage and its commit.
    pub commit_interval: Duration,
    /// Whether alerts are mailed.
    pub delivery: Delivery,
    /// The settings that changed, and that only a start puts in force.
    pub not_applied: Vec<&'static str>,
}

/// What the loop reports to other threads.
pub trait Listener {
    /// The loop is alive: called at least once a second unless something hangs.
    fn alive(&mut self);
    /// All files were examined once: files that appear from now on are followed from their beginning.
    fn ready(&mut self);
    /// These alerts are committed; mails may be due. `files` returns the paths of their evidence.
    fn told(&mut self, alerts: &[Alert], files: &Files<'_>);
    /// The database cannot be used, so nothing is read.
    fn blocked(&mut self, why: &StoreError);
    /// The database can be used again.
    fn unblocked(&mut self);
    /// Returns whether the program is ending, so that the loop must not wait for long.
    fn is_stopping(&self) -> bool;
}

/// The live loop and its parts.
pub struct Loop<'a, L> {
    /// Returns batches of files. Also wakes the loop for the journal.
    pub follower: Follower,
    /// Returns batches of the journal.
    pub journals: Journals,
    /// Parses the lines.
    pub reader: Arc<Reader>,
    /// Judges and commits.
    pub worker: Worker,
    /// The longest time between a usage and its commit.
    pub commit_interval: Duration,
    /// The database's versions when the worker's judge was created.
    pub versions: Versions,
    /// The monitor's own problems, by the clock.
    pub strains: Strains,
    /// Orders from other threads.
    pub orders: &'a Receiver<Order>,
    /// Receives the loop's reports.
    pub listener: L,
}

impl<L: Listener> Loop<'_, L> {
    /// Runs until the loop is stopped.
    ///
    /// # Errors
    /// Those of the store that a retry cannot cure.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut committed = Committed { at: monotonic(), ..Committed::default() };
        let mut new_since = Some(now());
        self.keep_logs();
        loop {
            self.listener.alive();
            let mut batches = VecDeque::from(self.follower.poll(monotonic()));
            batches.extend(self.journals.poll(monotonic()));
            self.listener.ready();
            let is_idle = batches.is_empty();
            // Nothing more is to be written where nobody will look for it: the next start restores what was lost.
            self.worker.store.expect_in_place()?;
            // Before anything is judged: a mark just set on a token applies to its next use.
            let found = self.find_versions()?;
            if found != self.versions {
                self.commit(&mut committed)?;
                self.refresh(found)?;
            }
            while let Some(batch) = batches.pop_front() {
                self.take(batch)?;
                // Batches that begin together are committed together: see `source::follow`.
                if batches.front().is_none_or(|next| !next.bytes.is_empty()) {
                    self.commit_if_due(&mut committed)?;
                }
            }
            if !self.follower.is_behind() {
                let (follower, journals, now) = (&self.follower, &self.journals, monotonic());
                self.worker.look(
                    |log| !journals.is_behind(path_of(log), now),
                    |log| follower.source_of(path_of(log)),
                );
            }
            self.ask()?;
            self.commit_if_due(&mut committed)?;
            self.forget(&mut committed)?;
            if let Some(since) = new_since.take() {
                self.note_followed(since, &mut committed)?;
            }
            match self.orders.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => {
                    let last = self.follower.end();
                    last.into_iter().try_for_each(|batch| self.take(batch))?;
                    return self.commit(&mut committed);
                }
                Ok(Order::Reload(reload)) => {
                    self.commit(&mut committed)?;
                    new_since = Some(now());
                    self.reload(*reload)?;
                }
                Ok(Order::Damaged(error)) => return Err(*error).context("outside the loop"),
                Ok(Order::ForgetPlaces) => self.worker.judge.forget_places(),
                Err(TryRecvError::Empty) => {}
            }
            if is_idle {
                let has_changes = self.worker.has_changes();
                let longest = if has_changes { self.rest(committed) } else { IDLE };
                self.follower.wait(longest.min(IDLE));
            }
        }
    }

    fn take(&mut self, batch: Batch) -> anyhow::Result<()> {
        let log = self.worker.log_of(batch.stream, &batch.position.path);
        let reach = self.worker.reach(&log);
        let batch = &Batch { reach, ..batch };
        let reading = self.reader.read_now(batch, now());
        debug!(
            path = %batch.position.path.display(), from = batch.from,
            lines = reading.tally.lines, "Read a batch."
        );
        if let Some((offset, why)) = reading.rejects.first() {
            debug!(
                path = %batch.position.path.display(), offset, error = %why,
                rejected = reading.tally.rejected, "Lines were rejected."
            );
        }
        let Self { worker, listener, strains, .. } = self;
        strains.note(log, &reading, now());
        retry(listener, "recalling principals", || {
            worker.take(batch.stream, batch.position.clone(), &reading, now())
        })
    }

    /// Commits if a commit is due.
    fn commit_if_due(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        let is_due = self.worker.is_full() || self.rest(*committed).is_zero();
        if is_due { self.commit(committed) } else { Ok(()) }
    }

    /// Commits all changes.
    fn commit(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        if !self.worker.has_changes() {
            return Ok(());
        }
        let Self { worker, listener, .. } = self;
        let began = monotonic();
        let alerts = retry(listener, "committing", || worker.commit(now()))?;
        committed.note(began, monotonic());
        if alerts.is_empty() {
            return Ok(());
        }
        let files =
            retry(listener, "reading the positions", || telling::files(&worker.store, &alerts));
        // The alerts are committed, and reported only here: without their paths, if necessary.
        listener.told(&alerts, &|stream| files.as_ref().ok()?.get(&stream).cloned());
        files.map(drop)
    }

    /// Returns how long changes may still wait for their commit.
    fn rest(&self, committed: Committed) -> Duration {
        let latest = committed.at + self.commit_interval;
        let due = if self.worker.has_alerts() { committed.soon().min(latest) } else { latest };
        due.saturating_sub(monotonic())
    }

    /// Deletes the state of files that the follower forgot, once all that was read of them is committed.
    fn forget(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        let streams = self.follower.take_forgotten();
        if streams.is_empty() {
            return Ok(());
        }
        self.commit(committed)?;
        self.drop_logs();
        let Self { worker, listener, .. } = self;
        retry(listener, "forgetting files", || worker.forget_streams(&streams))
    }

    /// Records which patterns are followed, once the first look at their files is committed: what a new one found is
    /// history, and nothing but these positions shows that.
    fn note_followed(&mut self, since: Timestamp, committed: &mut Committed) -> anyhow::Result<()> {
        self.commit(committed)?;
        let patterns = self.follower.patterns();
        let Self { worker, listener, .. } = self;
        retry(listener, "noting what is followed", || worker.store.note_followed(&patterns, since))
    }

    /// Drops from memory the logs of which no file is remembered: a log of each container would add up.
    fn drop_logs(&mut self) {
        let Self { worker, follower, journals, strains, .. } = self;
        let logs = follower.logs();
        let is_watched = |path: &Path| logs.get(path) == Some(&true) || journals.follows(path);
        strains.drop_logs(is_watched);
        // A source that is taken away and comes back by two reloads goes on.
        worker.drop_logs(|path| logs.contains_key(path) || journals.follows(path));
    }

    fn reload(&mut self, reload: Reload) -> anyhow::Result<()> {
        let Reload { reader, mut judge, watches, units, commit_interval, delivery, not_applied } =
            reload;
        // Before the contents are read: the next turn finds what changes meanwhile.
        self.versions = self.find_versions()?;
        let registry = self.read("reading the registry", store::Reader::registry)?;
        let mutes = self.read("reading the mutes", store::Reader::mutes)?;
        let words = self.read("reading what people said", store::Reader::words)?;
        let positions = self.read("reading the positions", store::Reader::positions)?;
        self.reader = reader;
        // `set_registry` compares the old names with the new ones.
        judge.registry = std::mem::take(&mut self.worker.judge.registry);
        self.worker.set_judge(judge, delivery);
        self.set_registry(Registry::new(registry))?;
        self.worker.judge.policy.mutes = mutes;
        self.worker.judge.policy.words = Words::new(words);
        self.follower.set_watches(watches);
        self.journals.set_watches(units, &positions);
        self.keep_logs();
        self.commit_interval = commit_interval;
        info!("The configuration was reloaded.");
        if !not_applied.is_empty() {
            let settings = not_applied.join(", ");
            warn!(settings, "Some changes take effect at the next start only.");
        }
        Ok(())
    }

    fn ask(&mut self) -> anyhow::Result<()> {
        let Self { worker, listener, strains, follower, .. } = self;
        retry(listener, "looking at the mails", || {
            strains.ask(worker, |now| follower.lags(now), monotonic(), now())
        })
    }

    fn keep_logs(&mut self) {
        let Self { worker, follower, journals, .. } = self;
        // A pattern such as `access.*` names the files of a log that has no file of its own name.
        let logs = follower.logs();
        worker.keep_logs(|path| {
            follower.follows(path) || logs.get(path) == Some(&true) || journals.follows(path)
        });
        self.drop_logs();
    }

    /// Loads what commands changed in the database: registry, mutes and words.
    fn refresh(&mut self, found: Versions) -> anyhow::Result<()> {
        let known = std::mem::replace(&mut self.versions, found);
        if found.registry != known.registry {
            let registry = self.read("reading the registry", store::Reader::registry)?;
            self.set_registry(Registry::new(registry))?;
        }
        if found.mutes != known.mutes {
            self.worker.judge.policy.mutes =
                self.read("reading the mutes", store::Reader::mutes)?;
        }
        if found.words != known.words {
            let words = self.read("reading what people said", store::Reader::words)?;
            self.worker.judge.policy.words = Words::new(words);
        }
        Ok(())
    }

    fn set_registry(&mut self, registry: Registry) -> anyhow::Result<()> {
        let old_names = self.worker.set_registry(registry);
        let Self { worker, listener, .. } = self;
        retry(listener, "dropping old names", || worker.store.drop_unused(&old_names))?;
        if retry(listener, "forgetting", || worker.store.forget_again())? {
            worker.forget_names();
        }
        Ok(())
    }

    fn find_versions(&mut self) -> anyhow::Result<Versions> {
        self.read("looking for changes", Versions::of)
    }

    /// Reads from the database, with retries.
    fn read<T>(
        &mut self,
        doing: &'static str,
        ask: impl Fn(&store::Reader) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let Self { worker, listener, .. } = self;
        retry(listener, doing, || ask(&worker.store))
    }
}

/// The versions of what commands change in the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Versions {
    registry: u64,
    mutes: u64,
    words: u64,
}

impl Versions {
    /// Reads them.
    ///
    /// # Errors
    /// Those of the database.
    pub fn of(store: &store::Reader) -> Result<Self, StoreError> {
        Ok(Self {
            registry: store.registry_version()?,
            mutes: store.mutes_version()?,
            words: store.words_version()?,
        })
    }
}

/// Retries as long as the store's error may be temporary. Meanwhile nothing is read, so nothing is lost and memory does
/// not grow.
fn retry<T, L: Listener>(
    listener: &mut L,
    doing: &'static str,
    mut action: impl FnMut() -> Result<T, StoreError>,
) -> anyhow::Result<T> {
    let since = monotonic();
    let mut wait = RETRY.0;
    let mut is_told = false;
    loop {
        let error = match certain(&mut action) {
            Ok(value) => {
                if is_told {
                    info!(doing, "The database works again.");
                    listener.unblocked();
                }
                return Ok(value);
            }
            Err(error) if error.is_temporary() => error,
            Err(error) => return Err(error).context(doing),
        };
        if listener.is_stopping() && monotonic().saturating_sub(since) >= LAST_TRIES {
            return Err(error).context(doing);
        }
        if !is_told && monotonic().saturating_sub(since) >= PATIENCE {
            warn!(doing, %error, "The database cannot be used; reading stops until it can.");
            listener.blocked(&error);
            is_told = true;
        }
        listener.alive();
        std::thread::sleep(wait);
        let longest = if listener.is_stopping() { RETRY.0 } else { RETRY.1 };
        wait = (wait * 2).min(longest);
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
