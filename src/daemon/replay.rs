//! Replays old logs through the same worker as live ones: reading, judging and committing each have a thread.

use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use anyhow::Context;
use foldhash::fast::FixedState;
use smol_str::SmolStr;

use crate::daemon::names::{Name, Names};
use crate::daemon::worker::{ByLog, Worker};
use crate::deliver::render::Files;
use crate::engine::alert::Alert;
use crate::engine::arrival::{Arrival, BadTimes};
use crate::engine::commit::Commit;
use crate::engine::line::{Batch, Position, StreamId, Tally};
use crate::engine::reader::{Reader, Reading};
use crate::engine::record::Reject;
use crate::engine::time::Timestamp;
use crate::engine::usage::Usage;
use crate::engine::visible;
use crate::engine::zone::Reach;
use crate::source::SourceError;
use crate::store::{Store, StoreError, certain};

/// Bundles of readings that may wait for the Judge: enough to keep both threads busy, with little memory.
const WAITING: usize = 4;

/// A bundle ends at so many bytes, or so many readings: a batch of overlapping logs may be a single line.
const WORTH_WAKING: usize = 64 << 10;
const MOST_READS: usize = 256;

/// Bytes of logs between two commits at most.
const BYTES: u64 = 64 << 20;

/// The result of a replay.
#[derive(Debug, Default)]
pub struct Summary {
    /// What happened to the bytes.
    pub tally: Tally,
    /// Lines with an impossible time.
    pub bad_times: BadTimes,
    /// The newest time of a line.
    pub newest: Option<Timestamp>,
    /// How many alerts were raised.
    pub alerts: usize,
    /// Files that could not be read to their end.
    pub faults: Vec<SourceError>,
    /// The first lines that no format matches: file, offset, reason.
    pub rejects: Vec<(Position, u64, Reject)>,
}

/// Rejected lines that a summary keeps.
const MAX_REJECTS: usize = 3;

/// The principals of logs that are to have more lines.
type UnderWay = HashSet<SmolStr, FixedState>;

/// A batch from the reading thread.
struct Read {
    stream: StreamId,
    /// The principal of its log.
    log: SmolStr,
    position: Position,
    reading: Reading,
}

/// The channels of the reading thread: readings come, and lists of judged usages go back for reuse.
struct Reads {
    came: Receiver<Vec<Result<Read, SourceError>>>,
    spent: SyncSender<Vec<Usage>>,
}

/// Reads, judges and commits all batches; calls `tell` with each new alert once it is committed. `unread` are the files
/// with unread lines in these batches, `arrival` is what is known of when lines came.
///
/// # Errors
/// Those of the store. A file that cannot be read to its end is not an error: the summary lists it.
pub fn replay(
    reader: &Reader,
    worker: &mut Worker,
    batches: impl Iterator<Item = Result<Batch, SourceError>> + Send,
    unread: &[PathBuf],
    arrival: Arrival,
    now: impl Fn() -> Timestamp,
    tell: impl FnMut(Alert, &Files<'_>),
) -> anyhow::Result<Summary> {
    let (sender, came) = sync_channel(WAITING);
    let (spent, lists) = sync_channel(WAITING);
    let reaches = worker.reaches();
    let under_way = unread.iter().map(|path| Name::of(path).principal).collect();
    let twin = worker.store.twin().context("opening a second connection to the database")?;
    thread::scope(|scope| {
        scope.spawn(move || read_ahead(reader, batches, reaches, arrival, &lists, &sender));
        let books = twin.map_or(Books::Here, |store| Books::beside(scope, store));
        judge_all(worker, Reads { came, spent }, books, under_way, now, tell)
    })
}

/// Reads all batches and sends what was read in bundles. `reaches` is how far each log has come, and `spent` are lists
/// to be used again.
fn read_ahead(
    reader: &Reader,
    batches: impl Iterator<Item = Result<Batch, SourceError>>,
    mut reaches: ByLog<Reach>,
    arrival: Arrival,
    spent: &Receiver<Vec<Usage>>,
    sender: &SyncSender<Vec<Result<Read, SourceError>>>,
) {
    let (mut reads, mut n_bytes, mut names) = (Vec::new(), 0, Names::default());
    // Reading is ahead of judging, so it tracks the times itself.
    let mut arrivals = ByLog::<Arrival>::default();
    let mut read = |mut batch: Batch| {
        let Name { log, principal } = names.of(batch.stream, &batch.position.path);
        batch.reach = reaches.get(log).copied().unwrap_or_default();
        let arrival = arrivals.entry(Arc::clone(log)).or_insert(arrival);
        let reading = reader.read_into(&batch, arrival, spent.try_recv().unwrap_or_default());
        if reading.reach != batch.reach {
            reaches.insert(Arc::clone(log), reading.reach);
        }
        let (stream, log) = (batch.stream, principal.clone());
        Read { stream, log, reading, position: batch.position }
    };
    for batch in batches {
        n_bytes += batch.as_ref().map_or(0, |batch| batch.bytes.len());
        reads.push(batch.map(&mut read));
        if n_bytes < WORTH_WAKING && reads.len() < MOST_READS {
            continue;
        }
        n_bytes = 0;
        // The next bundle will probably be as large.
        let next = Vec::with_capacity(reads.len());
        // The receiver is gone only after an error of its own.
        if sender.send(std::mem::replace(&mut reads, next)).is_err() {
            return;
        }
    }
    sender.send(reads).ok();
}

/// The result of a replay so far.
struct Account<T> {
    summary: Summary,
    paths: BTreeMap<StreamId, String>,
    tell: T,
}

impl<T: FnMut(Alert, &Files<'_>)> Account<T> {
    /// Reports committed alerts.
    fn note(&mut self, alerts: Vec<Alert>) {
        let Self { summary, paths, tell } = self;
        summary.alerts += alerts.len();
        let files = |stream| paths.get(&stream).cloned();
        alerts.into_iter().for_each(|alert| tell(alert, &files));
    }
}

/// Where commits happen.
enum Books {
    /// On the Judge's thread, with its own connection.
    Here,
    /// On a thread and connection of its own, one commit at a time, while the Judge continues: committing takes about
    /// as long as judging.
    Beside {
        commits: SyncSender<(Commit, Timestamp)>,
        outcomes: Receiver<Result<Vec<Alert>, StoreError>>,
        /// A commit is under way.
        is_busy: bool,
    },
}

impl Books {
    fn beside<'scope>(scope: &'scope thread::Scope<'scope, '_>, mut store: Store) -> Self {
        let (commits, to_commit) = sync_channel::<(Commit, Timestamp)>(1);
        let (told, outcomes) = sync_channel(1);
        scope.spawn(move || {
            for (commit, now) in to_commit {
                let outcome = certain(|| store.commit(&commit, now)).map(|_| commit.alerts);
                if told.send(outcome).is_err() {
                    break;
                }
            }
        });
        Self::Beside { commits, outcomes, is_busy: false }
    }

    /// Commits the changes, or begins to, and reports the alerts committed by now: those of the previous commit are
    /// reported even if this one fails.
    fn commit<T: FnMut(Alert, &Files<'_>)>(
        &mut self,
        worker: &mut Worker,
        now: Timestamp,
        account: &mut Account<T>,
    ) -> anyhow::Result<()> {
        account.note(self.wait(worker)?);
        match self {
            Self::Here => account.note(certain(|| worker.commit(now)).context("committing")?),
            Self::Beside { commits, is_busy, .. } => {
                commits.send((worker.take_changes(), now)).context("committing")?;
                *is_busy = true;
            }
        }
        Ok(())
    }

    /// Waits for the commit under way, and returns its alerts.
    fn wait(&mut self, worker: &mut Worker) -> anyhow::Result<Vec<Alert>> {
        let Self::Beside { outcomes, is_busy, .. } = self else { return Ok(Vec::new()) };
        if !std::mem::take(is_busy) {
            return Ok(Vec::new());
        }
        let alerts = outcomes.recv().context("committing")?.context("committing")?;
        worker.settle();
        Ok(alerts)
    }
}

fn judge_all(
    worker: &mut Worker,
    reads: Reads,
    mut books: Books,
    under_way: UnderWay,
    now: impl Fn() -> Timestamp,
    tell: impl FnMut(Alert, &Files<'_>),
) -> anyhow::Result<Summary> {
    let (summary, paths) = (Summary::default(), BTreeMap::new());
    let mut account = Account { summary, paths, tell };
    let judged = judge(worker, reads, &mut books, under_way, now, &mut account);
    // Alerts committed meanwhile are reported despite a failure: their lines are not read again.
    match books.wait(worker) {
        Ok(alerts) => account.note(alerts),
        Err(fault) => return judged.and(Err(fault)),
    }
    judged.map(|()| account.summary)
}

fn judge<T: FnMut(Alert, &Files<'_>)>(
    worker: &mut Worker,
    Reads { came, spent }: Reads,
    books: &mut Books,
    mut under_way: UnderWay,
    now: impl Fn() -> Timestamp,
    account: &mut Account<T>,
) -> anyhow::Result<()> {
    let mut uncommitted = 0;
    for read in came.into_iter().flatten() {
        let Read { stream, log, position, reading } = match read {
            Ok(read) => read,
            Err(fault) => {
                account.summary.faults.push(fault);
                continue;
            }
        };
        note_rejects(&mut account.summary, &position, &reading);
        account.summary.tally.add(&reading.tally);
        uncommitted += reading.tally.bytes();
        account.paths.entry(stream).or_insert_with(|| visible::path(&position.path));
        account.summary.bad_times.add(reading.bad_times);
        account.summary.newest = account.summary.newest.max(reading.pulse.newest());
        // The logs' own time is the clock, or the real one until a line has a time.
        let time = account.summary.newest.unwrap_or_else(&now);
        note_end(&mut under_way, log, &position);
        certain(|| worker.take(stream, position.clone(), &reading, time))
            .context("recalling principals")?;
        // If there is no room, enough lists are on their way back.
        spent.try_send(reading.usages).ok();
        // All older lines were read: files come in the order of their lines. A log at its end need not have more lines,
        // nor one that an earlier run read.
        worker.look(|log| under_way.contains(log), |_| None);
        if worker.is_full() || uncommitted >= BYTES {
            books.commit(worker, now(), account)?;
            uncommitted = 0;
        }
    }
    if worker.has_changes() {
        books.commit(worker, now(), account)?;
    }
    Ok(())
}

/// Notes whether a log was read to the end of its file.
fn note_end(under_way: &mut UnderWay, log: SmolStr, position: &Position) {
    if position.offset >= position.size {
        under_way.remove(&log);
    } else {
        under_way.insert(log);
    }
}

fn note_rejects(summary: &mut Summary, position: &Position, reading: &Reading) {
    let room = MAX_REJECTS.saturating_sub(summary.rejects.len());
    let first = reading.rejects.iter().take(room);
    summary.rejects.extend(first.map(|(at, why)| (position.clone(), *at, why.clone())));
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::daemon::worker::Delivery;
    use crate::engine::detect::Params;
    use crate::engine::geo::NoAtlas;
    use crate::engine::incident::Policy;
    use crate::engine::judge::Judge;
    use crate::engine::registry::Registry;
    use crate::engine::rule::RuleSet;

    #[test]
    fn alerts_that_are_committed_are_told_though_the_next_commit_cannot_begin() {
        let judge = Judge::new(
            Params::default(),
            RuleSet::built_in(),
            Registry::default(),
            Policy::default(),
        );
        let store = Store::in_memory().unwrap();
        let mut worker =
            Worker::new(judge, store, Arc::new(NoAtlas), Delivery::Past, 1 << 20).unwrap();
        let (told, outcomes) = sync_channel(1);
        told.send(Ok(vec![Alert::default()])).unwrap();
        // The other end is gone, as if the committing thread had ended.
        let (commits, _) = sync_channel(1);
        let mut books = Books::Beside { commits, outcomes, is_busy: true };
        let mut n_told = 0;
        let tell = |_, _: &Files<'_>| n_told += 1;
        let mut account = Account { summary: Summary::default(), paths: BTreeMap::new(), tell };
        assert!(books.commit(&mut worker, Timestamp::default(), &mut account).is_err());
        assert_eq!(account.summary.alerts, 1);
        assert_eq!(n_told, 1);
    }
}
