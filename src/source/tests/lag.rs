//! How far a log lags behind.

use super::*;
use crate::source::marks::Marks;

/// More than a few polls can read.
fn flood() -> String {
    format!("{}\n", "x".repeat(99)).repeat(200_000)
}

#[test]
fn a_log_is_behind_once_bytes_stay_unread_and_not_while_a_start_catches_up() {
    let mut bench = Bench::start(&["a.log"]);
    // Not reported by the kernel, so that no look depends on its timing.
    bench.watches[0].is_polled = true;
    bench.restart();
    let lags = |bench: &mut Bench| {
        bench.now += Duration::from_secs(10);
        bench.follower.poll(bench.now);
        bench.follower.lags(bench.now).into_values().max().unwrap_or_default().as_secs()
    };
    // Reading what is there at the start takes ten polls, a hundred seconds.
    bench.write("a.log", flood());
    for n in 0..9 {
        assert_eq!(lags(&mut bench), 0, "{n}");
    }
    lags(&mut bench);
    assert_eq!(lags(&mut bench), 0, "it is read to its end");
    // The same amount, arriving later, is late.
    bench.write("a.log", flood());
    let late: Vec<u64> = (0..7).map(|_| lags(&mut bench)).collect();
    assert_eq!(late, [0, 10, 20, 30, 40, 50, 60]);
    for _ in 0..4 {
        lags(&mut bench);
    }
    assert_eq!(lags(&mut bench), 0);
    // A line without an end waits for it; one that is always there is not counted as an earlier one.
    bench.write("a.log", "no end");
    assert_eq!((0..9).map(|_| lags(&mut bench)).max(), Some(0));
    bench.write("a.log", "\n");
    for _ in 0..9 {
        bench.write("a.log", "one more\n");
        assert_eq!(lags(&mut bench), 0);
    }
}

#[test]
fn reading_everything_leaves_no_lag() {
    let mut bench = Bench::start(&["a"]);
    bench.write("a", "one\ntw");
    bench.poll();
    let [tail] = bench.follower.tails.as_slice() else { panic!("one file") };
    assert_eq!((tail.position.offset, tail.seen.size), (4, 6));
    assert_eq!(tail.position.path, bench.path("a"));
    let file = File::open(bench.path("a")).unwrap();
    let marks = Marks::read(&file, 4).unwrap();
    assert!(marks.agree(&bench.known[&tail.stream]));
}
