//! Tests of the live loop: which logs are remembered, and under which names.

use std::fs;
use std::sync::mpsc::channel;

use super::*;
use crate::atlas::{Reloading, Settings};
use crate::engine::detect::Params;
use crate::engine::geo::NoAtlas;
use crate::engine::health::Log;
use crate::engine::incident::Policy;
use crate::engine::line::ReadFrom;
use crate::engine::reader::Source;
use crate::engine::record::Format;
use crate::engine::rule::RuleSet;
use crate::engine::secret::SealKey;
use crate::engine::token::{Finder, Names, Sealer};
use crate::source::follow::Options;
use crate::store::Store;

struct Quiet;

impl Listener for Quiet {
    fn alive(&mut self) {}
    fn ready(&mut self) {}
    fn told(&mut self, _: &[Alert], _: &Files<'_>) {}
    fn blocked(&mut self, _: &StoreError) {}
    fn unblocked(&mut self) {}
    fn is_stopping(&self) -> bool {
        true
    }
}

/// A loop that remembers no file that is gone.
fn forgetful<'a>(folder: &Path, pattern: &str, orders: &'a Receiver<Order>) -> Loop<'a, Quiet> {
    let patterns = vec![folder.join(pattern)];
    let watch = Watch { patterns, read_from: ReadFrom::Start, ..Watch::default() };
    let options = Options { max_gone: 0, rotate_wait: Duration::ZERO, ..Options::default() };
    let follower = Follower::new(vec![watch], Vec::new(), options);
    let journals = Journals::new(Vec::new(), &[], follower.waker());
    let (rules, params) = (RuleSet::built_in(), Params::default());
    let judge = Judge::new(params, rules, Registry::default(), Policy::default());
    let store = Store::in_memory().unwrap();
    let worker = Worker::new(judge, store, Arc::new(NoAtlas), Delivery::Silent, 1 << 20);
    let names = Names::default();
    let sealer = Sealer::new(SealKey::new(b"key"), &names);
    let source = Source::of(Format::preset("auto").unwrap());
    let reader = Reader::new(Finder::new(&names), sealer, vec![source]);
    let atlas = Reloading::open(Settings { city: vec![], asn: vec![], usual: vec![] });
    Loop {
        follower,
        journals,
        reader: Arc::new(reader),
        worker: worker.unwrap(),
        commit_interval: Duration::ZERO,
        versions: Versions::default(),
        strains: Strains::new(Arc::new(atlas), folder, now()),
        orders,
        listener: Quiet,
    }
}

/// One turn of the loop, at so many seconds.
fn turn<L: Listener>(work: &mut Loop<'_, L>, second: u64) {
    let mut committed = Committed::default();
    for batch in work.follower.poll(Duration::from_secs(second)) {
        work.take(batch).unwrap();
    }
    work.commit(&mut committed).unwrap();
    work.forget(&mut committed).unwrap();
}

fn n_logs<L>(work: &Loop<'_, L>) -> (usize, usize) {
    (work.worker.logs.len(), work.strains.heard.len())
}

#[test]
fn each_log_that_ever_was_stayed_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let (_orders, orders_out) = channel();
    let mut work = forgetful(folder.path(), "*.log", &orders_out);
    for name in ["a", "b", "c"] {
        fs::write(folder.path().join(name).with_extension("log"), "a line\n").unwrap();
    }
    (1..4).for_each(|second| turn(&mut work, second));
    assert_eq!(n_logs(&work), (3, 3));
    for name in ["a.log", "b.log"] {
        fs::remove_file(folder.path().join(name)).unwrap();
    }
    (4..20).for_each(|second| turn(&mut work, second));
    assert_eq!(n_logs(&work), (1, 1), "one is left");
    work.follower.set_watches(Vec::new());
    work.keep_logs();
    assert_eq!(n_logs(&work), (1, 0), "none is watched, and one is remembered");
}

#[test]
fn a_log_that_has_no_file_of_its_name_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (_orders, orders_out) = channel();
    let mut work = forgetful(folder.path(), "access.*", &orders_out);
    fs::write(folder.path().join("access.2026.11.27"), "a line\n").unwrap();
    (1..4).for_each(|second| turn(&mut work, second));
    work.keep_logs();
    assert_eq!(n_logs(&work), (1, 1));
}

#[test]
fn the_name_of_a_log_was_computed_again_for_each_batch() {
    let folder = tempfile::tempdir().unwrap();
    let (_orders, orders_out) = channel();
    let mut work = forgetful(folder.path(), "a.log", &orders_out);
    fs::write(folder.path().join("a.log"), "a line\n").unwrap();
    turn(&mut work, 1);
    let name = work.strains.heard.keys().next().unwrap();
    assert!(work.worker.logs.keys().all(|log| Arc::ptr_eq(log, name)), "it is passed on");
}

#[test]
fn the_state_of_a_log_stayed_with_each_of_its_rotated_files() {
    let folder = tempfile::tempdir().unwrap();
    let (_orders, orders_out) = channel();
    let mut work = forgetful(folder.path(), "a.log", &orders_out);
    let log = folder.path().join("a.log");
    for second in 1..5 {
        fs::write(&log, format!("{second} is no line\n")).unwrap();
        turn(&mut work, second);
        fs::rename(&log, folder.path().join(format!("a.log.{}", 9 - second))).unwrap();
    }
    let streams = work.worker.store.streams().unwrap();
    assert_eq!(streams.len(), 4, "all files are remembered");
    let latest = streams.iter().max_by_key(|one| one.updated).unwrap();
    let kept: Vec<_> = streams.iter().filter(|one| !one.health.is_empty()).collect();
    assert_eq!(kept, [latest]);
    let window = Log::decode(&latest.health).unwrap().window;
    assert_eq!(window.sums(), (4, 4), "of all of them");
}

#[test]
fn the_state_of_a_log_was_forgotten_with_the_file_that_was_read_last() {
    for is_empty_one_left in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (_orders, orders_out) = channel();
        let mut work = forgetful(folder.path(), "a.log", &orders_out);
        let (log, rotated) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        fs::write(&log, "1 is no line\n").unwrap();
        turn(&mut work, 1);
        fs::rename(&log, &rotated).unwrap();
        fs::write(&log, "2 is no line\n").unwrap();
        (2..5).for_each(|second| turn(&mut work, second));
        fs::remove_file(&log).unwrap();
        if is_empty_one_left {
            fs::remove_file(&rotated).unwrap();
            fs::write(&log, "").unwrap();
        }
        (5..20).for_each(|second| turn(&mut work, second));
        let states = |work: &Loop<'_, Quiet>| {
            let streams = work.worker.store.streams().unwrap();
            let stored = streams.iter().filter(|one| !one.health.is_empty());
            let sums = stored.map(|one| Log::decode(&one.health).unwrap().window.sums());
            (streams.len(), sums.collect::<Vec<_>>())
        };
        assert_eq!(states(&work), (1, vec![(2, 2)]), "it is with the file that is left");
        fs::write(&log, "3 is no line\n").unwrap();
        (20..25).for_each(|second| turn(&mut work, second));
        let n_files = if is_empty_one_left { 1 } else { 2 };
        assert_eq!(states(&work), (n_files, vec![(3, 3)]), "and moves on with the log");
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn an_alert_between_two_other_commits_waited_for_four_times_their_duration() {
    let mut committed = Committed::default();
    for n in 1..20 {
        committed.note(ms(200 * n - 25), ms(200 * n));
        assert_eq!(committed.soon(), committed.at + SOON, "after {n}");
    }
}

#[test]
fn commits_take_a_fifth_of_the_time_if_every_batch_has_an_alert() {
    for took in [1, 25, 300].map(ms) {
        let (mut committed, mut n, end) = (Committed::default(), 0, Duration::from_secs(60));
        while committed.at < end {
            let began = committed.soon();
            assert!(began <= committed.at + SOON.max(took * COMMITS), "{n} of {took:?}");
            committed.note(began, began + took);
            n += 1;
        }
        let most = (end + ADVANCE) / (COMMITS + 1) + 2 * took;
        assert!(took * n <= most, "{n} of {took:?}");
    }
}
