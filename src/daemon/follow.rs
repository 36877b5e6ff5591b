//! The live loop: batches from followed files go through the worker until somebody says stop.
//!
//! Runs on a thread of its own. What others want of it comes as an [`Order`], and is done between
//! batches, directly after a commit.

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
use crate::engine::word::Words;
use crate::source::follow::{Follower, Watch};
use crate::source::journal::{Journals, UnitWatch};
use crate::store::{self, StoreError, certain};

/// How long the loop sleeps at most when nothing happens.
const IDLE: Duration = Duration::from_secs(1);

/// How long an alert waits for its commit once its batch is judged: the cost is shared where there are many.
const SOON: Duration = Duration::from_millis(5);

/// So many times as long as the last commit took the next one waits, alert or not: where each batch has an alert, commits
/// would take most of the time.
const COMMITS: u32 = 4;

/// When something was committed last, and how long that took.
#[derive(Clone, Copy, Debug)]
struct Committed {
    at: Duration,
    took: Duration,
}

/// Waits between two tries of a commit or a recall: the first, and the longest.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// After this long without a commit, a person is told why.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long trying goes on when the program is to end; what was not committed is read again.
const LAST_TRIES: Duration = Duration::from_secs(3);

/// What the loop is asked to do.
pub enum Order {
    /// Go on with another configuration.
    Reload(Box<Reload>),
    /// Addresses may lie elsewhere by now: a GeoIP file was replaced.
    ForgetPlaces,
    /// The database is damaged: end with this.
    Damaged(Box<StoreError>),
    /// Commit and end.
    Stop,
}

/// What a reload replaces.
pub struct Reload {
    /// How lines are read.
    pub reader: Arc<Reader>,
    /// What is judged by.
    pub judge: Judge,
    /// Which files are followed.
    pub watches: Vec<Watch>,
    /// Which units of the journal are followed.
    pub units: Vec<UnitWatch>,
    /// How long usages may wait for their commit.
    pub commit_interval: Duration,
    /// Whether people are told by mail.
    pub delivery: Delivery,
}

/// What the loop tells others.
pub trait Listener {
    /// The loop is alive: called at least once a second unless something hangs.
    fn alive(&mut self);
    /// All files have been looked at once: what comes now is followed from its beginning.
    fn ready(&mut self);
    /// These alerts are committed; mails may be due. `files` knows the paths of their evidence.
    fn told(&mut self, alerts: &[Alert], files: &Files<'_>);
    /// Nothing can be written, and nothing is read.
    fn blocked(&mut self, why: &StoreError);
    /// It can be again.
    fn unblocked(&mut self);
    /// Somebody wants the loop to end, so that it must not wait for long.
    fn is_stopping(&self) -> bool;
}

/// The live loop and everything that it works with.
pub struct Loop<'a, L> {
    /// Where batches of files come from. It wakes the loop for the journal too.
    pub follower: Follower,
    /// Where batches of the journal come from.
    pub journals: Journals,
    /// How lines are read.
    pub reader: Arc<Reader>,
    /// Who judges and commits.
    pub worker: Worker,
    /// How long usages may wait for their commit.
    pub commit_interval: Duration,
    /// What the database was like when the worker's judge was made.
    pub versions: Versions,
    /// What the clock tells of the monitor's own eyes.
    pub strains: Strains,
    /// What others want.
    pub orders: &'a Receiver<Order>,
    /// Who is told.
    pub listener: L,
}

impl<L: Listener> Loop<'_, L> {
    /// Works until told to stop.
    ///
    /// # Errors
    /// What the store says when trying again is of no use.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut committed = Committed { at: monotonic(), took: Duration::ZERO };
        self.keep_logs();
        loop {
            self.listener.alive();
            let mut batches = VecDeque::from(self.follower.poll(monotonic()));
            batches.extend(self.journals.poll(monotonic()));
            self.listener.ready();
            let is_idle = batches.is_empty();
            // Before anything is judged: what a person just said of a token holds for its next use.
            let found = self.find_versions()?;
            if found != self.versions {
                self.commit(&mut committed)?;
                self.refresh(found)?;
            }
            while let Some(batch) = batches.pop_front() {
                self.take(batch)?;
                // What begins together is committed together: see `source::follow`.
                if batches.front().is_none_or(|next| !next.bytes.is_empty()) {
                    self.commit_if_due(&mut committed)?;
                }
            }
            if !self.follower.is_behind() {
                let (journals, now) = (&self.journals, monotonic());
                self.worker.look(|log| !journals.is_behind(path_of(log), now));
            }
            self.ask()?;
            self.commit_if_due(&mut committed)?;
            self.forget(&mut committed)?;
            match self.orders.try_recv() {
                Ok(Order::Stop) | Err(TryRecvError::Disconnected) => {
                    self.commit(&mut committed)?;
                    return Ok(());
                }
                Ok(Order::Reload(reload)) => {
                    self.commit(&mut committed)?;
                    self.reload(*reload)?;
                }
                Ok(Order::Damaged(error)) => return Err(*error).context("beside the loop"),
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
        let reach = self.worker.reach(&batch.position.path);
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
        strains.note(batch, &reading, now());
        retry(listener, "recalling principals", || {
            worker.take(batch.stream, batch.position.clone(), &reading, now())
        })
    }

    /// Commits when it is time to.
    fn commit_if_due(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        let is_due = self.worker.is_full() || self.rest(*committed).is_zero();
        if is_due { self.commit(committed) } else { Ok(()) }
    }

    /// Commits what there is.
    fn commit(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        if !self.worker.has_changes() {
            return Ok(());
        }
        let Self { worker, listener, .. } = self;
        let began = monotonic();
        let alerts = retry(listener, "committing", || worker.commit(now()))?;
        let at = monotonic();
        *committed = Committed { at, took: at.saturating_sub(began) };
        if alerts.is_empty() {
            return Ok(());
        }
        let files =
            retry(listener, "reading the positions", || telling::files(&worker.store, &alerts));
        // They are committed, and told only here: without their paths, if need be.
        listener.told(&alerts, &|stream| files.as_ref().ok()?.get(&stream).cloned());
        files.map(drop)
    }

    /// How long changes may wait for their commit.
    fn rest(&self, committed: Committed) -> Duration {
        let Committed { at, took } = committed;
        let soon = SOON.max(took * COMMITS).min(self.commit_interval);
        let longest = if self.worker.has_alerts() { soon } else { self.commit_interval };
        longest.saturating_sub(monotonic().saturating_sub(at))
    }

    /// Removes what is stored of files that the follower forgot, once all that was read of them is committed.
    fn forget(&mut self, committed: &mut Committed) -> anyhow::Result<()> {
        let streams = self.follower.take_forgotten();
        if streams.is_empty() {
            return Ok(());
        }
        self.commit(committed)?;
        let Self { worker, listener, .. } = self;
        retry(listener, "forgetting files", || worker.store.forget_streams(&streams)).map(drop)
    }

    fn reload(&mut self, reload: Reload) -> anyhow::Result<()> {
        let Reload { reader, mut judge, watches, units, commit_interval, delivery } = reload;
        // Before what they count is read: what changes meanwhile is found by the next turn.
        self.versions = self.find_versions()?;
        let registry = self.read("reading the registry", store::Reader::registry)?;
        let mutes = self.read("reading the mutes", store::Reader::mutes)?;
        let words = self.read("reading what people said", store::Reader::words)?;
        let positions = self.read("reading the positions", store::Reader::positions)?;
        self.reader = reader;
        // What names there were is asked below.
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
        Ok(())
    }

    fn ask(&mut self) -> anyhow::Result<()> {
        let Self { worker, listener, strains, follower, .. } = self;
        retry(listener, "looking at the mails", || {
            strains.ask(worker, |now| follower.lags(now), monotonic(), now())
        })
    }

    fn keep_logs(&mut self) {
        let Self { worker, follower, journals, strains, .. } = self;
        let is_followed = |path: &Path| follower.follows(path) || journals.follows(path);
        strains.keep_logs(is_followed);
        worker.keep_logs(is_followed);
    }

    /// Takes in what commands changed in the database: registry, mutes and words.
    fn refresh(&mut self, found: Versions) -> anyhow::Result<()> {
        let known = std::mem::replace(&mut self.versions, found);
        if found.0 != known.0 {
            let registry = self.read("reading the registry", store::Reader::registry)?;
            self.set_registry(Registry::new(registry))?;
        }
        if found.1 != known.1 {
            self.worker.judge.policy.mutes =
                self.read("reading the mutes", store::Reader::mutes)?;
        }
        if found.2 != known.2 {
            let words = self.read("reading what people said", store::Reader::words)?;
            self.worker.judge.policy.words = Words::new(words);
        }
        Ok(())
    }

    fn set_registry(&mut self, registry: Registry) -> anyhow::Result<()> {
        let old_names = self.worker.set_registry(registry);
        let Self { worker, listener, .. } = self;
        retry(listener, "dropping old names", || worker.store.drop_unused(&old_names))
    }

    fn find_versions(&mut self) -> anyhow::Result<Versions> {
        self.read("looking for changes", versions)
    }

    /// Asks the database until it answers.
    fn read<T>(
        &mut self,
        doing: &'static str,
        ask: impl Fn(&store::Reader) -> Result<T, StoreError>,
    ) -> anyhow::Result<T> {
        let Self { worker, listener, .. } = self;
        retry(listener, doing, || ask(&worker.store))
    }
}

/// The versions of registry, mutes and words.
pub type Versions = (u64, u64, u64);

/// Returns the versions of what commands change in the database.
///
/// # Errors
/// What the database says.
pub fn versions(store: &store::Reader) -> Result<Versions, StoreError> {
    Ok((store.registry_version()?, store.mutes_version()?, store.words_version()?))
}

/// Tries again as long as the store's trouble may pass: nothing is read meanwhile, so nothing is lost
/// and memory does not grow.
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
            warn!(doing, %error, "The database cannot be written; reading stops until it can.");
            listener.blocked(&error);
            is_told = true;
        }
        listener.alive();
        std::thread::sleep(wait);
        let longest = if listener.is_stopping() { RETRY.0 } else { RETRY.1 };
        wait = (wait * 2).min(longest);
    }
}
