//! Tests of the window: what is counted when, regardless of how the log is cut.

use proptest::prelude::*;

use super::super::Pulse;
use super::*;
use crate::engine::record::Reject;
use crate::engine::time::{HOUR, MINUTE, SECOND};

const NOON: Timestamp = Timestamp::from_seconds(1_795_435_200);
const LOG: StreamId = StreamId(7);

/// A line: read with its time, whole or in part, or rejected.
#[derive(Clone, Copy, Debug)]
enum Line {
    Read(Option<i64>),
    InPart(Option<i64>),
    Rejected,
}

use Line::{InPart, Read, Rejected};

fn pulse(lines: &[Line], offset: u64) -> Pulse {
    let mut pulse = Pulse::default();
    let reject = Reject::new(3, "a time", "'x'");
    for (n, line) in (offset..).zip(lines) {
        match line {
            Read(micros) => pulse.read(micros.map(|micros| NOON.plus(micros))),
            InPart(micros) => {
                pulse.read_in_part(micros.map(|micros| NOON.plus(micros)), n, &reject);
            }
            Rejected => pulse.reject(n, &reject),
        }
    }
    pulse
}

fn is_bad(lines: u64, rejected: u64) -> bool {
    20 <= rejected && 100 <= lines && lines < 100 * rejected
}

/// Counts lines cut at these places and returns all bad moments.
fn counted(window: &mut Window, lines: &[Line], cuts: &[usize], now: Timestamp) -> Vec<Spell> {
    let mut spells = Vec::new();
    let mut ends: Vec<usize> = cuts.iter().copied().filter(|cut| *cut < lines.len()).collect();
    ends.extend([0, lines.len()]);
    ends.sort_unstable();
    for pair in ends.windows(2) {
        let (from, to) = (pair[0], pair[1]);
        for stretch in pulse(&lines[from..to], from as u64).stretches() {
            spells.extend(window.count(LOG, stretch, now, is_bad).into_iter().flatten());
        }
    }
    spells
}

/// One line per second, of which each Nth is rejected.
fn one_in(n: usize, lines: usize) -> Vec<Line> {
    let line = |at: usize| match at % n {
        0 => Rejected,
        _ => Read(Some(i64::try_from(at).unwrap() * SECOND)),
    };
    (1..=lines).map(line).collect()
}

#[test]
fn the_first_moment_is_the_line_that_makes_it_one() {
    let spells = counted(&mut Window::default(), &one_in(20, 600), &[], NOON);
    let first = &spells[0];
    assert_eq!((first.lines, first.rejected), (400, 20));
    assert_eq!(first.time, NOON.plus(399 * SECOND));
    assert_eq!((first.first.stream, first.first.misfit.offset), (LOG, 19));
    assert_eq!((first.first.misfit.column, first.first.misfit.expected.as_str()), (3, "a time"));
}

#[test]
fn few_rejected_lines_are_no_moment() {
    let mut odd = one_in(1_000_000, 30);
    odd.splice(10..10, [Rejected; 3]);
    for lines in [one_in(200, 5000), one_in(100, 5000), odd, vec![Rejected; 19]] {
        assert_eq!(counted(&mut Window::default(), &lines, &[], NOON), []);
    }
    assert_eq!(counted(&mut Window::default(), &[Rejected; 99], &[], NOON), []);
    assert_eq!(counted(&mut Window::default(), &[Rejected; 100], &[], NOON).len(), 1);
}

#[test]
fn what_is_older_than_the_window_does_not_count() {
    // 19 rejected lines an hour are too few, regardless of the number of hours.
    let hour = |n: i64| {
        let read = (0..81).map(move |at| Read(Some(n * HOUR + at * SECOND)));
        read.chain([Rejected; 19])
    };
    let lines: Vec<Line> = (0..20).flat_map(hour).collect();
    let mut window = Window::default();
    assert_eq!(counted(&mut window, &lines, &[], NOON), []);
    assert_eq!(window.sums(), (100, 19));
    let minutes = |first: i64| (first..first + 10).map(|n| Read(Some(20 * HOUR + n * MINUTE)));
    counted(&mut window, &minutes(0).collect::<Vec<_>>(), &[], NOON);
    assert_eq!(window.sums(), (10, 0));
    counted(&mut window, &minutes(5).collect::<Vec<_>>(), &[], NOON);
    assert_eq!((window.sums(), window.earlier.len()), ((15, 0), 9));
}

#[test]
fn a_line_with_a_wrong_clock_does_not_stop_the_window() {
    let mut window = Window::default();
    counted(&mut window, &[Read(Some(3650 * DAY))], &[], NOON);
    let lines: Vec<Line> = (0..100).map(|n| Read(Some(n * SECOND))).collect();
    counted(&mut window, &lines, &[], NOON);
    assert_eq!(window.newest, Some(NOON.plus(99 * SECOND)));
    assert_eq!(window.sums(), (37, 0));
}

#[test]
fn lines_of_one_minute_are_late_together_wherever_they_are_cut() {
    let mut window = Window::default();
    let newest = NOON.plus(DAY + 30 * SECOND);
    counted(&mut window, &[Read(Some(DAY + 30 * SECOND))], &[], NOON);
    counted(&mut window, &[Read(Some(0)); 70], &[], NOON);
    assert_eq!((window.newest, window.n_late), (Some(newest), 0));
    // Late at last: of the minute's lines the newest counts, including those before the cut.
    let lines: Vec<Line> =
        [Read(Some(-20 * SECOND)); 40].into_iter().chain([Read(Some(-50 * SECOND)); 40]).collect();
    counted(&mut window, &lines, &[40], NOON);
    assert_eq!(window.newest, Some(NOON.plus(-20 * SECOND)));
}

#[test]
fn a_log_that_says_no_time_goes_by_the_clock() {
    let mut window = Window::default();
    let at = |window: &mut Window, hours: i64, n: usize| {
        counted(window, &vec![Rejected; n], &[], NOON.plus(hours * HOUR))
    };
    assert_eq!(at(&mut window, 0, 90), []);
    assert_eq!(at(&mut window, 1, 90), [], "an hour later is another window");
    assert_eq!(at(&mut window, 1, 10)[0].time, NOON.plus(HOUR));
    // Its first time counts for the lines before it.
    counted(&mut window, &[Read(Some(0))], &[], NOON.plus(HOUR));
    assert_eq!((window.newest, window.sums()), (Some(NOON), (101, 100)));
}

#[test]
fn a_log_that_stops_fitting_goes_by_the_clock_again() {
    let mut window = Window::default();
    let lines: Vec<Line> = (0..200).map(|n| Read(Some(n * SECOND))).collect();
    counted(&mut window, &lines, &[], NOON);
    let spells = counted(&mut window, &[Rejected; 100], &[], NOON.plus(HOUR));
    let times: Vec<i64> = spells.iter().map(|spell| spell.time.since(NOON) / SECOND).collect();
    assert_eq!(times, [199], "by its own time as long as that says something");
    let spells = counted(&mut window, &[Rejected; 100], &[], NOON.plus(DAY));
    assert_eq!(spells[0].time, NOON.plus(DAY));
    assert_eq!((spells[0].lines, spells[0].rejected), (100, 100));
}

#[test]
fn lines_that_are_read_in_part_count_as_rejected_at_their_time() {
    let mut window = Window::default();
    let lines: Vec<Line> = (0..300).map(|n| InPart(Some(n * SECOND))).collect();
    let spells = counted(&mut window, &lines, &[], NOON.plus(DAY));
    assert_eq!((spells[0].lines, spells[0].rejected), (100, 100));
    assert_eq!(spells[0].time, NOON.plus(99 * SECOND));
    assert_eq!(window.newest(), Some(NOON.plus(299 * SECOND)));
    assert_eq!(window.sums(), (300, 300));
}

#[test]
fn what_is_kept_can_be_kept() {
    let mut window = Window::default();
    counted(&mut window, &one_in(7, 900), &[], NOON);
    let text = serde_json::to_string(&window).unwrap();
    assert_eq!(serde_json::from_str::<Window>(&text).unwrap(), window);
    assert!(text.len() < 3000, "{}", text.len());
}

fn line() -> impl Strategy<Value = Line> {
    prop_oneof![
        6 => (-30..90 * MINUTE).prop_map(|micros| Read(Some(micros))),
        2 => (0..20 * SECOND).prop_map(|micros| Read(Some(micros))),
        1 => (-9 * DAY..9 * DAY).prop_map(|micros| Read(Some(micros))),
        1 => Just(Read(None)),
        2 => (-30..90 * MINUTE).prop_map(|micros| InPart(Some(micros))),
        3 => Just(Rejected),
    ]
}

proptest! {
    #[test]
    fn it_does_not_matter_where_a_log_is_cut(
        runs in prop::collection::vec((line(), 1usize..90), 1..30),
        cuts in prop::collection::vec(0usize..1500, 0..20),
    ) {
        let lines: Vec<Line> =
            runs.into_iter().flat_map(|(line, n)| std::iter::repeat_n(line, n)).collect();
        let (mut whole, mut parts) = (Window::default(), Window::default());
        // A clock behind the log's time is that of a replay, so the log's own time counts.
        let now = NOON.plus(-10 * DAY);
        let spells = counted(&mut whole, &lines, &[], now);
        let cut = counted(&mut parts, &lines, &cuts, now);
        prop_assert_eq!(&parts, &whole);
        // A run that is cut may be bad in each of its parts: the first bad moment matters.
        prop_assert_eq!(cut.first(), spells.first());
        prop_assert_eq!(cut.is_empty(), spells.is_empty());
        prop_assert!(whole.earlier.len() < 10);
    }
}
