//! Judges and commits, live and in a replay: a reading is committed together with the position that vouches for it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use foldhash::fast::{FixedState, SeedableRandomState};
use smol_str::SmolStr;
use tracing::{error, warn};

use crate::daemon::homes::Homes;
use crate::daemon::names::{Name, Names};
use crate::engine::alert::Alert;
use crate::engine::commit::{Commit, HouseRow, StreamUpdate, SubjectRow};
use crate::engine::detect::Strain;
use crate::engine::geo::Atlas;
use crate::engine::health::{Log, Roll, path_of};
use crate::engine::judge::{Followed, Judge};
use crate::engine::line::{Position, StreamId, Tally};
use crate::engine::memory::Memory;
use crate::engine::profile::CodecError;
use crate::engine::reader::Reading;
use crate::engine::registry::Registry;
use crate::engine::time::{MINUTE, Timestamp};
use crate::engine::zone::Reach;
use crate::store::{Store, StoreError};

/// The store's name for the hours in which logs had lines.
pub const ROLL: &str = "logs";

/// Changed principals that may wait for a commit ...
const MAX_DIRTY: usize = 20_000;

/// ... and uses of tokens, of 48 bytes each ...
const MAX_USES: usize = 500_000;

/// ... and alerts, of some 3 KB each; as many again while a replay commits on another thread.
const MAX_ALERTS: usize = 6_000;

/// How far ahead of its arrival a usage is believed to be; a clock that is ahead by more is reported (`skew_seconds`).
const AHEAD: i64 = 2 * MINUTE;

/// Whether people are notified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// Mails are queued in the transaction of their alerts.
    Mail,
    /// There is nobody to mail to.
    Silent,
    /// Nothing is mailed, not even in a digest: a replay learns from the past, which is no news, or somebody looks on.
    Past,
}

/// A value for each log, by path.
pub(super) type ByLog<T> = HashMap<Arc<Path>, T, FixedState>;

/// Judges readings and commits the results.
pub struct Worker {
    /// Judges; may be replaced between batches.
    pub judge: Judge,
    /// Contains the state.
    pub store: Store,
    atlas: Arc<dyn Atlas>,
    /// Whether people are notified.
    pub delivery: Delivery,
    memory: Memory,
    /// How well logs are read, by path.
    pub(super) logs: ByLog<Log>,
    homes: Homes,
    names: Names,
    /// The hours in which they had lines.
    roll: Roll,
    /// Logs are followed, not only replayed.
    is_live: bool,
    streams: BTreeMap<StreamId, StreamUpdate>,
    /// A commit that failed: it is retried first, unchanged.
    stuck: Option<Commit>,
}

/// Keeps alerts from counting as mailed if nothing is mailed, and hashes what clients choose by a seed that they cannot
/// know: with a known one they could make all collide.
fn prepare(judge: &mut Judge, delivery: Delivery) {
    judge.policy.at_once = judge.policy.at_once.filter(|_| delivery == Delivery::Mail);
    judge.hash_by(SeedableRandomState::random());
}

impl Worker {
    /// Creates a worker whose memory holds at most `bound` bytes of subjects and tokens, and recalls how logs were
    /// read.
    ///
    /// # Errors
    /// Those of the store.
    pub fn new(
        mut judge: Judge,
        store: Store,
        atlas: Arc<dyn Atlas>,
        delivery: Delivery,
        bound: usize,
    ) -> Result<Self, StoreError> {
        prepare(&mut judge, delivery);
        let mut memory = Memory::hashing(bound, SeedableRandomState::random());
        let house = store.house()?;
        let roll = house.iter().find(|row| row.name == ROLL);
        let roll = roll.map_or_else(|| Some(Roll::default()), |row| Roll::decode(&row.body));
        let mut faults = memory.furnish(&house);
        faults.extend(roll.is_none().then_some(SmolStr::new_static(ROLL)));
        for part in faults {
            error!(%part, "Part of the site-wide statistics is unreadable and was reset.");
        }
        let (logs, homes) = logs(&store)?;
        let streams = BTreeMap::new();
        Ok(Self {
            judge,
            store,
            atlas,
            delivery,
            memory,
            logs,
            homes,
            names: Names::default(),
            roll: roll.unwrap_or_default(),
            is_live: false,
            streams,
            stuck: None,
        })
    }

    /// Applies another configuration.
    pub fn set_judge(&mut self, mut judge: Judge, delivery: Delivery) {
        prepare(&mut judge, delivery);
        (self.judge, self.delivery) = (judge, delivery);
    }

    /// Judges the reading of a batch; `now` is for logs without times. Takes effect with the next [`Worker::commit`].
    ///
    /// # Errors
    /// Those of the store while principals are recalled. The batch may be passed again.
    pub fn take(
        &mut self,
        stream: StreamId,
        position: Position,
        reading: &Reading,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.recall(reading)?;
        if self.is_live {
            self.judge.latest = now.plus(AHEAD);
        }
        self.judge.judge(&mut self.memory, &reading.usages, self.atlas.as_ref());
        // A rotated file still belongs to its log, whatever its name.
        let Name { log: path, principal } = self.names.of(stream, &position.path);
        let log = self.logs.entry(Arc::clone(path)).or_default();
        let of = Followed { path, file: &position.path, stream, now };
        self.judge.count(&mut self.memory, log, of, &reading.usages);
        self.judge.check(&mut self.memory, log, of, &reading.pulse);
        log.reach = reading.reach;
        log.bad_times = log.bad_times.saturating_add(reading.bad_times.lines);
        self.roll.hear(principal, &reading.pulse, &log.window, now);
        if self.is_live {
            self.roll.follow(principal);
            log.skew.note(reading.pulse.newest(), reading.local, now);
        }
        let update = self.streams.entry(stream).or_insert_with(|| StreamUpdate {
            stream,
            before: position.committed_before(reading.from),
            position: Position::default(),
            tally: Tally::default(),
            health: String::new(),
        });
        update.position = position;
        update.tally.add(&reading.tally);
        Ok(())
    }

    /// Returns the log of a stream that is in this file now.
    pub fn log_of(&mut self, stream: StreamId, file: &Path) -> Arc<Path> {
        Arc::clone(&self.names.of(stream, file).log)
    }

    /// Returns the newest time in a log.
    #[must_use]
    pub fn reach(&self, log: &Path) -> Reach {
        self.logs.get(log).map(|log| log.reach).unwrap_or_default()
    }

    /// Returns by how many microseconds a log's clock is ahead; less than 0 if it is behind.
    #[must_use]
    pub fn skew(&self, log: &Path) -> i64 {
        self.logs.get(log).map_or(0, |log| log.skew.micros())
    }

    /// Returns the newest time of each log with a named zone.
    #[must_use]
    pub(super) fn reaches(&self) -> ByLog<Reach> {
        let logs = self.logs.iter().filter(|(_, log)| !log.reach.is_empty());
        logs.map(|(path, log)| (Arc::clone(path), log.reach)).collect()
    }

    /// Looks for logs that have fallen silent, among those that are to have more lines; to be called when everything
    /// available was taken. `source_of` says which logs may continue one another.
    pub fn look(
        &mut self,
        has_more: impl Fn(&str) -> bool,
        source_of: impl Fn(&str) -> Option<usize>,
    ) {
        self.judge.look(&mut self.memory, &mut self.roll, has_more, source_of);
    }

    /// Reports problems that have begun.
    pub fn strain(&mut self, strains: &[Strain], now: Timestamp) {
        self.judge.strain(&mut self.memory, &mut self.roll, strains, now);
    }

    /// Forgets the logs that are no longer followed: their silence is no news. From now on, all readings are of
    /// followed logs.
    pub fn keep_logs(&mut self, is_followed: impl Fn(&Path) -> bool) {
        self.is_live = true;
        self.memory.keep_few_open();
        self.roll.retain(|principal| is_followed(path_of(principal)));
    }

    /// Forgets how logs were read that are not to be kept. Correct only directly after a commit.
    pub fn drop_logs(&mut self, is_kept: impl Fn(&Path) -> bool) {
        self.logs.retain(|path, _| is_kept(path));
        self.homes.retain(is_kept);
    }

    /// Forgets the addresses and names that are counted of many at once: some may be of a token that was forgotten.
    pub fn forget_names(&mut self) {
        self.logs.values_mut().for_each(|log| log.callers.forget_addresses());
        self.memory.house_mut().forget_names();
    }

    /// Forgets streams whose files are gone for good. The state of a log that goes on moves to another of its files.
    /// Correct only directly after a commit.
    ///
    /// # Errors
    /// Those of the store. It may be called again.
    pub fn forget_streams(&mut self, streams: &[StreamId]) -> Result<(), StoreError> {
        let homes = self.homes_left(&streams.iter().copied().collect())?;
        let state =
            |(log, home): (&Arc<Path>, &StreamId)| Some((*home, self.logs.get(log)?.encode()));
        let moved: Vec<_> = homes.iter().filter_map(state).collect();
        self.store.forget_streams(streams, &moved)?;
        for (log, home) in &homes {
            self.homes.move_to(log, *home);
        }
        Ok(())
    }

    /// Returns the youngest other streams of the logs whose state is stored with one of these.
    fn homes_left(
        &self,
        streams: &BTreeSet<StreamId>,
    ) -> Result<BTreeMap<Arc<Path>, StreamId>, StoreError> {
        let logs = self.homes.among(streams);
        let mut homes = BTreeMap::new();
        if logs.is_empty() {
            return Ok(homes);
        }
        let mut others = self.store.positions()?;
        others.retain(|(stream, _)| !streams.contains(stream));
        others.sort_by_key(|(_, position)| position.born);
        for (stream, position) in others {
            if let Some(log) = logs.get(&Name::of(&position.path).log) {
                homes.insert(Arc::clone(log), stream);
            }
        }
        Ok(homes)
    }

    fn recall(&mut self, reading: &Reading) -> Result<(), StoreError> {
        if let Some(beat) = self.memory.due_by(&reading.usages) {
            let is_known = |principal: &str| self.memory.knows(principal);
            let rows = self.store.due_subjects(beat, is_known)?;
            let faults = self.memory.invite(rows);
            report(&faults);
        }
        let strange = self.memory.missing_tokens(&reading.usages);
        if strange.is_empty() {
            return Ok(());
        }
        let mut known = self.store.known_tokens(&strange)?;
        known.sort_unstable();
        let principals =
            self.memory.unknown_principals(&reading.usages, &known, &self.judge.registry);
        let rows = self.store.recall_subjects(&principals)?;
        self.memory.admit(&reading.usages, &known, &self.judge.registry);
        self.remember(rows);
        Ok(())
    }

    /// Recalls subjects. One that cannot be unpacked is reset and reported: losing one baseline is better than losing
    /// the lines of all.
    fn remember(&mut self, rows: Vec<SubjectRow>) {
        report(&self.memory.remember(rows));
    }

    /// Returns whether so much has changed since the last commit that the next one is due, whatever the clock says.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.memory.dirty() >= MAX_DIRTY
            || self.memory.uses() >= MAX_USES
            || self.memory.alerts().len() >= MAX_ALERTS
    }

    /// Returns whether an alert waits for its commit.
    #[must_use]
    pub fn has_alerts(&self) -> bool {
        !self.memory.alerts().is_empty()
    }

    /// Returns whether there is anything to commit.
    #[must_use]
    pub fn has_changes(&self) -> bool {
        self.stuck.is_some() || !self.streams.is_empty() || self.roll.is_changed()
    }

    /// Commits everything since the last commit in one transaction and returns the new alerts.
    ///
    /// # Errors
    /// Those of the store. Nothing is lost: the next call retries the same commit.
    pub fn commit(&mut self, now: Timestamp) -> Result<Vec<Alert>, StoreError> {
        let commit = match self.stuck.take() {
            Some(commit) => commit,
            None => self.take_changes(),
        };
        match self.store.commit(&commit, now) {
            Ok(_) => {
                self.settle();
                Ok(commit.alerts)
            }
            Err(error) => {
                self.stuck = Some(commit);
                Err(error)
            }
        }
    }

    /// Frees memory once the changes are committed.
    pub fn settle(&mut self) {
        self.memory.forget();
    }

    /// Takes the changes since the last call, to be committed.
    pub fn take_changes(&mut self) -> Commit {
        let mut streams: Vec<_> = std::mem::take(&mut self.streams).into_values().collect();
        for StreamUpdate { stream, position, .. } in &streams {
            self.homes.move_to(&self.names.of(*stream, &position.path).log, *stream);
        }
        for update in &mut streams {
            let log = &self.names.of(update.stream, &update.position.path).log;
            if self.homes.is_home(log, update.stream) {
                update.health = self.logs.get(log).map(Log::encode).unwrap_or_default();
            }
            debug_assert_eq!(
                update.unaccounted(),
                0,
                "bytes of {} are committed and not accounted for: {update:?}",
                update.position.path.display()
            );
        }
        let left = self.homes.take_left();
        let mut commit = Commit { streams, left, ..self.memory.take() };
        let roll = self.roll.take().map(|body| HouseRow { name: ROLL.into(), body });
        commit.house.extend(roll);
        commit.is_past = self.delivery == Delivery::Past;
        commit
    }

    /// Replaces the registry. Principals may have new names, so memory is cleared and filled from the store.
    ///
    /// Only valid directly after a commit. Returns the old names: that commit may have written to them once more, while
    /// the baselines are under the new ones.
    #[must_use]
    pub fn set_registry(&mut self, registry: Registry) -> BTreeSet<SmolStr> {
        let names = self.judge.registry.renamed_in(&registry);
        self.judge.registry = registry;
        self.memory.clear();
        names
    }
}

fn report(faults: &[(SmolStr, CodecError)]) {
    for (principal, fault) in faults {
        error!(%principal, %fault, "A stored profile is unreadable and was reset.");
    }
}

/// Recalls how each log was last read, and where that is stored. Of the files that were followed under one path, the
/// latest counts.
fn logs(store: &Store) -> Result<(ByLog<Log>, Homes), StoreError> {
    let (mut logs, mut homes) = (ByLog::default(), Homes::default());
    store.healths(|stream, path, health| match Log::decode(&health) {
        Some(log) => {
            let path = Name::of(&path).log;
            homes.move_to(&path, stream);
            logs.insert(path, log);
        }
        None => {
            let path = path.display();
            warn!(%path, "The statistics of this log are unreadable and were reset.");
        }
    })?;
    Ok((logs, homes))
}
