//! Programs that call every hour, until they do not.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::tests::{After, Books, judge, judged_in_parts, own};
use crate::engine::judge::Judge;
use crate::engine::memory::Memory;
use crate::engine::profile::tests::START;
use crate::engine::registry::{Registered, Registry};
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND};
use crate::engine::usage::{Claims, Identity, Usage};
use crate::engine::word::{Verdict, Word};

/// Calls of one token, each hour of a range.
fn calls(n: u8, hours: std::ops::Range<i64>) -> impl Iterator<Item = Usage> {
    hours.map(move |hour| own(n, hour * HOUR + i64::from(n) * MINUTE))
}

fn sorted(usages: impl IntoIterator<Item = Usage>) -> Vec<Usage> {
    let mut usages: Vec<Usage> = usages.into_iter().collect();
    usages.sort_by_key(|usage| usage.time);
    usages
}

/// Returns the silences reported: principal, rule and hour.
fn told_by(judge: &mut Judge, usages: &[Usage]) -> Vec<(String, String, i64)> {
    let mut memory = Memory::new(usize::MAX);
    Books::default().judge(&mut memory, judge, usages);
    let alerts = memory.take().alerts.into_iter();
    let of_silence = alerts.filter(|alert| alert.reason.contains("no request for"));
    of_silence
        .map(|alert| {
            let hour = alert.time.since(START) / HOUR;
            (alert.principal.to_string(), alert.rule.name.to_string(), hour)
        })
        .collect()
}

fn told(usages: &[Usage]) -> Vec<(String, String, i64)> {
    told_by(&mut judge(), usages)
}

fn who(n: u8) -> String {
    own(n, 0).token.to_string()
}

#[test]
fn a_program_that_stopped_is_told_once_until_it_calls_again() {
    let stopped = calls(10, 0..480).chain(calls(10, 500..860));
    let all = sorted(stopped.chain(calls(11, 0..1100)));
    // The second time, after a pause of 20 hours not long ago.
    let pause = told(&all)[1].2 - 860;
    assert!((5 * 14..5 * 20).contains(&pause), "{pause}");
    assert_eq!(told(&all)[0], (who(10), "silence".into(), 483));
    assert_eq!(told(&all).len(), 2);
}

#[test]
fn a_word_about_a_silence_teaches_nothing_of_who_calls() {
    let all = sorted(calls(10, 0..480).chain(calls(11, 0..600)));
    let told = judged_in_parts(&all, &BTreeSet::new(), 1, After::Forget, &[]).alerts;
    let silence = told.iter().find(|alert| alert.rule.name == "silence").unwrap();
    assert_eq!(silence.token.as_ref().map(|token| token.id), Some(own(10, 0).token));
    for verdict in [Verdict::Expected, Verdict::Confirmed] {
        assert_eq!(Word::of(verdict, silence.time, &[silence]), None);
    }
}

#[test]
fn hours_in_which_nobody_calls_are_no_silence() {
    // The log is lost for five hours, for five days.
    let on = [0..480, 485..500, 620..660];
    let all = |n| on.clone().into_iter().flat_map(move |hours| calls(n, hours));
    assert_eq!(told(&sorted(all(10).chain(all(11)))), []);
    // It is nobody's pause: a principal that stops afterwards is reported as soon as ever.
    let stopped = [0..480, 485..500].into_iter().flat_map(|hours| calls(10, hours));
    let go_on = [0..480, 485..600].into_iter().flat_map(|hours| calls(11, hours));
    assert_eq!(told(&sorted(stopped.chain(go_on))), [(who(10), "silence".into(), 503)]);
}

#[test]
fn who_calls_by_day_was_missed_because_a_scanner_came_at_night() {
    let by_day = |n| (0..25).flat_map(move |day| calls(n, day * 24 + 8..day * 24 + 18));
    let scan = |hour: i64| Usage { status: Some(401), ..own(50, hour * HOUR + 7 * MINUTE) };
    let scans = (20..30).map(|hour| scan(20 * 24 + hour));
    assert_eq!(told(&sorted(by_day(10).chain(by_day(11)).chain(scans))), []);
}

#[test]
fn many_at_once_are_one_and_who_follows_is_one_of_them() {
    let four = (10..14).flat_map(|n| calls(n, 0..480));
    let all = sorted(four.chain(calls(20, 0..600)));
    let each: Vec<_> = (10..14).map(|n| (who(n), "silence".to_owned(), 483)).collect();
    assert_eq!(told(&all), each);
    // One paused for two hours once, and so falls due later.
    let six = (10..15).flat_map(|n| calls(n, 0..480));
    let late = calls(15, 0..300).chain(calls(15, 302..480));
    let all = sorted(six.chain(late).chain(calls(20, 0..600)));
    assert_eq!(told(&all), [("fleet".into(), "fleet-change".into(), 483)]);
}

#[test]
fn a_token_that_ended_is_silent_rightly_and_one_that_is_renewed_is_not() {
    let end = START.plus(481 * HOUR);
    let with = |row: Registered| {
        let mut judge = judge();
        let token = Some(own(10, 0).token);
        judge.registry = Registry::new([Registered { token, name: "sync".into(), ..row }]);
        told_by(&mut judge, &sorted(calls(10, 0..480).chain(calls(11, 0..600)))).len()
    };
    assert_eq!(with(Registered::default()), 1);
    assert_eq!(with(Registered { revoked_at: Some(end), ..Registered::default() }), 0);
    assert_eq!(with(Registered { rotated_at: Some(end), ..Registered::default() }), 0);
    assert_eq!(with(Registered { expires_at: Some(end), ..Registered::default() }), 0);
    let late = Some(end.plus(DAY));
    assert_eq!(with(Registered { revoked_at: late, ..Registered::default() }), 1);
    // By its own words; but one in a row of many that end was to be followed by another.
    let ending = |usage: Usage| Usage {
        claims: Claims { expires_at: Some(end), ..Claims::default() },
        ..usage
    };
    let jwts = |last: u8| {
        let name = Identity::Basic("anna".into());
        let of = |hours, n| {
            let name = name.clone();
            calls(10, hours).map(move |usage| Usage {
                token: own(n, 0).token,
                identity: Some(name.clone()),
                ..ending(usage)
            })
        };
        told(&sorted(of(0..400, 10).chain(of(400..480, last)).chain(calls(11, 0..600)))).len()
    };
    assert_eq!((jwts(10), jwts(12)), (0, 1));
}

#[test]
fn who_rests_at_weekends_or_is_hardly_known_is_not_expected() {
    let weeks = (0..4).flat_map(|week| calls(10, week * 168..week * 168 + 100));
    assert_eq!(told(&sorted(weeks.chain(calls(11, 0..1500)))), []);
    assert_eq!(told(&sorted(calls(10, 0..300).chain(calls(11, 0..500)))), []);
}

#[test]
fn a_line_far_ahead_silences_nobody_and_makes_nobody_silent() {
    let ahead = own(11, 400 * HOUR + 3650 * DAY);
    let mut all = sorted(calls(10, 0..480).chain(calls(11, 0..600)));
    all.insert(801, ahead);
    assert_eq!(told(&all), [(who(10), "silence".into(), 483)]);
}

#[test]
fn a_log_whose_clock_is_two_days_ahead_made_everybody_silent() {
    let mut all = sorted((10..13).flat_map(|n| calls(n, 0..480)));
    let run = |n: u8, start: i64| (0..64).map(move |k| own(n, start + k * SECOND));
    for hour in 480..500 {
        let now = hour * HOUR + 10 * MINUTE;
        all.extend((10..13).map(|n| own(n, hour * HOUR + i64::from(n))));
        let turns = (0..5).map(|n| now + n * 8 * MINUTE);
        all.extend(turns.flat_map(|now| run(20, now + 2 * DAY).chain(run(21, now))));
    }
    assert_eq!(told(&all), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    #[test]
    fn silence_is_told_the_same_however_the_stream_is_cut(
        rests in prop::collection::vec((470i64..500, 0i64..30), 5),
        outage in 490i64..510,
        cuts in prop::collection::btree_set(0usize..3500, 0..40),
        odd in (0usize..3000, -90i64..2000),
    ) {
        let lives = (10u8..).zip(rests).flat_map(|(n, (stop, rest))| {
            calls(n, 0..stop).chain(calls(n, stop + rest..540))
        });
        let lives = lives.chain(calls(20, 0..480)).chain(calls(30, 0..540));
        let is_lost = |usage: &Usage| {
            (outage..outage + 6).contains(&(usage.time.since(START) / HOUR))
        };
        let mut usages = sorted(lives.filter(|usage| !is_lost(usage)));
        usages.insert(odd.0, own(30, odd.1 * HOUR));
        let whole = judged_in_parts(&usages, &BTreeSet::new(), 1, After::Forget, &[]);
        prop_assert!(whole.alerts.iter().any(|alert| alert.reason.contains("no request for")));
        for (n_parts, after) in [(1, After::Restart), (1, After::Forget), (3, After::Restart)] {
            prop_assert_eq!(&judged_in_parts(&usages, &cuts, n_parts, after, &[]), &whole);
        }
    }
}
