//! Bursts, days, and lines whose time is wrong.

use super::*;

/// Returns the tiers reported for `n` requests at intervals of `seconds` by a machine that calls every ten minutes.
fn told_of_burst(n: i64, seconds: i64) -> Vec<Tier> {
    let mut life = Life::default();
    life.steady(10);
    let burst = (0..n).map(|n| {
        let signals = life.live(&usage(10 * DAY + n * seconds * SECOND), &berlin());
        // At notice a rate has a name of its own.
        signals.tier.max(signals.rate_tier.min(Tier::Notice))
    });
    let mut told: Vec<Tier> = burst.filter(|tier| *tier > Tier::None).collect();
    told.dedup();
    told
}

#[test]
fn a_restart_with_ten_retries_is_not_mailed_and_a_flood_is() {
    assert_eq!(told_of_burst(12, 20), [Tier::Notice]);
    assert_eq!(told_of_burst(45, 5), [Tier::Notice]);
    assert_eq!(told_of_burst(300, 2), [Tier::Notice, Tier::Alert]);
    assert_eq!(told_of_burst(5000, 1), [Tier::Notice, Tier::Alert], "never critical alone");
}

/// Returns the tiers of the score and of the rate that many requests reach while many principals are busy.
fn told_in_rush(n: i64, seconds: i64) -> (Tier, Tier) {
    let mut life = Life::default();
    life.steady(10);
    life.peers.is_rush = true;
    let all = (0..n).map(|n| life.live(&usage(10 * DAY + n * seconds * SECOND), &berlin()));
    all.fold(Default::default(), |(tier, rate), signals| {
        (tier.max(signals.tier), rate.max(signals.rate_tier))
    })
}

#[test]
fn a_rush_of_many_was_reported_of_each_but_for_the_mail() {
    assert_eq!(told_in_rush(45, 5), (Tier::None, Tier::None));
    let (tier, rate) = told_in_rush(300, 2);
    assert_eq!(tier, Tier::None, "nothing but the rate: rate-spike says so");
    assert!(rate >= Tier::Notice, "several times its busiest ever");
}

#[test]
fn the_rate_during_a_rush_is_no_evidence_against_somebody_new() {
    let last = |is_rush| {
        let mut life = Life::default();
        life.steady(10);
        life.peers.is_rush = is_rush;
        let busy = (0..20).map(|n| stolen(10 * DAY + n * 5 * SECOND));
        busy.map(|usage| life.live(&usage, &berlin())).last().unwrap()
    };
    let (calm, rush) = (last(false), last(true));
    assert_eq!(rush.score, rush.actor.sum(), "who it is counts as always");
    assert!(rush.score + 1.0 < calm.score, "{} {}", rush.score, calm.score);
    assert!(rush.is_rushing, "it is one of the many that make a rush");
}

#[test]
fn a_burst_of_twenty_times_is_told_and_a_growing_machine_is_not() {
    let mut life = Life::default();
    let grown = (0..40i64).flat_map(|day| {
        let n = 300 + day * 9;
        (0..n).map(move |i| (usage(day * DAY + i * DAY / n), berlin()))
    });
    assert_eq!(life.told(grown), 0.0);
    let noon = 40 * DAY + 12 * HOUR;
    let rest = (0..300).map(|i| (usage(40 * DAY + i * DAY / 700), berlin()));
    assert_eq!(life.told(rest), 0.0);
    let burst = (0..90).map(|i| (usage(noon + i * 6 * SECOND), berlin()));
    let told = life.told(burst);
    assert!(told >= 6.0, "{told}");
}

#[test]
fn a_day_counts_when_it_is_over_whoever_comes_first_in_it() {
    let mut life = Life::default();
    life.steady(3);
    let theft = stolen(3 * DAY + HOUR);
    let before_the_owner = life.compare(&theft, &lagos());
    life.live(&usage(3 * DAY + MINUTE), &berlin());
    let after_the_owner = life.compare(&theft, &lagos());
    assert_eq!([before_the_owner.active_days, after_the_owner.active_days], [3, 3]);
}

#[test]
fn what_comes_a_day_late_is_counted_and_nothing_else() {
    let mut life = Life::default();
    life.steady(10);
    let before = life.profile.clone();
    let signals = life.live(&stolen(9 * DAY - 11 * MINUTE), &rented());
    assert!(signals.is_outdated && signals.tier == Tier::None);
    assert_eq!(life.profile.late(), 1);
    let Profile { late, late_run, rhythm, .. } = life.profile;
    assert_eq!(life.profile, Profile { late, late_run, rhythm, ..before });
    // a little out of order is not late, and time runs backwards by at most two minutes
    let signals = life.live(&usage(10 * DAY - 15 * MINUTE), &berlin());
    assert!(!signals.is_late);
    assert_eq!(signals.time, START.plus(10 * DAY - 12 * MINUTE));
}

#[test]
fn a_thief_who_read_slowly_was_never_judged() {
    for late in [11 * MINUTE, 16 * MINUTE, 23 * HOUR] {
        let mut life = Life::default();
        life.steady(10);
        let before = life.profile.clone();
        let signals = life.live(&stolen(10 * DAY - 10 * MINUTE - late), &rented());
        assert!(signals.is_late && signals.tier >= Tier::Alert, "{signals:?}");
        // It says nothing about when, and is held back.
        let of_time = [Family::Hop, Family::Hour, Family::Dormancy];
        assert!(of_time.into_iter().all(|family| signals.evidence.get(family) == Nats(0)));
        assert!(signals.hop.is_none() && signals.turn.is_none() && signals.burst.is_none());
        let Profile { actors, told_score, story, strangers, late, rhythm, .. } =
            life.profile.clone();
        assert!(late == 1 && actors.get(signals.actor_key).unwrap().is_suspect);
        let held = Profile { actors, told_score, story, strangers, late, rhythm, ..before };
        assert_eq!(life.profile, held);
    }
}

#[test]
fn what_the_owner_does_late_teaches_values_and_no_time() {
    let mut life = Life::default();
    life.steady(10);
    let before = life.profile.clone();
    let agent = Agent { family: "orders-sync".into(), version: "1.5".into() };
    let new = Usage { agent, route: "/v1/export".into(), ..usage(10 * DAY - HOUR) };
    assert!(life.live(&new, &berlin()).is_late);
    let later = life.compare(&Usage { time: START.plus(10 * DAY), ..new }, &berlin());
    assert_eq!(later.novel, Families::default());
    let Profile { pace, hours, hourly, turns, fix, trusted, last, day, .. } = &life.profile;
    assert_eq!((pace, hours, hourly), (&before.pace, &before.hours, &before.hourly));
    assert_eq!((turns, fix), (&before.turns, &before.fix));
    assert_eq!((trusted, last, day), (&before.trusted, &before.last, &before.day));
}

#[test]
fn a_second_log_of_the_same_days_counts_no_day_again() {
    let mut life = Life::default();
    life.steady(10);
    let once = (life.profile.active_days(), life.profile.days);
    let again = (0..10 * 144).map(|n| (usage(n * 10 * MINUTE), berlin()));
    life.told(again);
    assert_eq!(life.profile.late(), 64, "then the clock was set back");
    assert_eq!((life.profile.active_days(), life.profile.days), once);
    life.steady(11);
    assert_eq!(life.profile.active_days(), once.0 + 1);
}

#[test]
fn one_line_from_the_future_does_not_deafen() {
    let mut life = Life::default();
    life.steady(10);
    life.live(&usage(4000 * DAY), &berlin());
    let days = (10 * 144..12 * 144).map(|n| (usage(n * 10 * MINUTE), berlin()));
    assert_eq!(life.told(days), 0.0);
    let signals = life.live(&stolen(12 * DAY), &rented());
    assert!(!signals.is_late && signals.score >= 8.0, "{signals:?}");
}

#[test]
fn one_line_from_the_future_ended_dormancy_and_silence_for_good() {
    let mut life = Life::default();
    life.steady(10);
    life.live(&usage(500 * DAY), &berlin());
    life.told((10 * 144..30 * 144).map(|n| (usage(n * 10 * MINUTE), berlin())));
    assert_eq!(life.profile.patience(), Some(3), "it is expected to call again");
    let (gap, longest) = life.compare(&usage(65 * DAY), &berlin()).gap_days;
    assert!(gap > 30.0 && longest <= 3.0, "{gap} {longest}");
}

#[test]
fn a_wrong_clock_leaves_a_long_gap_of_the_past() {
    let mut life = Life::default();
    life.steady(10);
    life.told((50 * 144..60 * 144).map(|n| (usage(n * 10 * MINUTE), berlin())));
    life.live(&usage(500 * DAY), &berlin());
    life.told((60 * 144..62 * 144).map(|n| (usage(n * 10 * MINUTE), berlin())));
    let (_, longest) = life.compare(&usage(90 * DAY), &berlin()).gap_days;
    assert!((40.0..=43.0).contains(&longest), "{longest}");
}
