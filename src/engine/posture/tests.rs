//! Each finding, and its nearest neighbour that is none.

use crate::engine::time::HOUR;

use super::*;
use crate::engine::alert::{Value, Values};
use crate::engine::rule::BUILT_IN;

/// Noon on Monday, 23 November 2026.
const NOW: Timestamp = Timestamp(1_795_435_200_000_000);

fn days(n: i64) -> Option<Timestamp> {
    Some(NOW.plus(-n * DAY))
}

/// A row that leaves nothing to be desired.
fn row() -> Listing {
    Listing {
        is_own: true,
        has_owner: true,
        issued_at: days(100),
        expires_at: days(-100),
        ..Listing::default()
    }
}

/// A registered token, used until an hour ago.
fn token(listing: Listing) -> Standing {
    Standing {
        listing: Some(listing),
        is_row_expected: true,
        first_seen: days(100),
        last_seen: Some(NOW.plus(-HOUR)),
        is_accepted: true,
        last_ok_hour: Some(NOW.plus(-HOUR).hour()),
        ..Standing::default()
    }
}

/// A JWT of an hour that nobody registered, in use.
fn jwt() -> Standing {
    Standing {
        listing: None,
        is_row_expected: false,
        is_jwt: true,
        issued_at: Some(NOW.plus(-HOUR)),
        expires_at: Some(NOW.plus(HOUR)),
        ..token(Listing::default())
    }
}

fn alerted(kind: Kind, time: Option<Timestamp>, token: Standing) -> Standing {
    Standing { alerts: [(kind, Span::once(time.unwrap()))].into(), ..token }
}

fn full(tokens: &[Standing]) -> Vec<Finding> {
    let limits = Limits::default();
    let mut posture = Posture::of(&tokens[0], &limits, NOW);
    tokens[1..].iter().for_each(|token| posture.add(token, &limits, NOW));
    posture.findings(&limits, NOW)
}

fn found(tokens: &[Standing]) -> Vec<&'static str> {
    full(tokens).iter().map(|finding| finding.kind.as_str()).collect()
}

fn check(cases: &[(Standing, &[&str])]) {
    for (token, expected) in cases {
        assert_eq!(found(std::slice::from_ref(token)), *expected, "{token:?}");
    }
}

#[test]
fn kinds_are_listed_once_the_worst_first_each_with_a_name_of_its_own() {
    let levels = Kind::ALL.map(Kind::level);
    assert!(levels.windows(2).all(|pair| pair[1] <= pair[0]), "{levels:?}");
    assert!(Kind::ALL.windows(2).all(|pair| pair[0] < pair[1]));
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        assert!(!kind.remedy().is_empty() && !kind.remedy().ends_with('.'));
    }
    assert_eq!(Kind::parse("hit"), None);
}

#[test]
fn each_rule_that_comes_along_tells_one_kind_or_none() {
    let rules = BUILT_IN.iter().filter_map(|(file, _)| file.strip_suffix(".yml"));
    let told = rules.filter_map(|rule| Some((rule, Kind::told_by(rule, Values::default)?)));
    let expected = [
        ("expired-token-accepted", Kind::DeadButAccepted),
        ("honeytoken-used", Kind::DecoyUsed),
        ("insecure-transport", Kind::PlainHttp),
        ("jwt-alg-none", Kind::Unsigned),
        ("leaked-token-used", Kind::LeakedInUse),
        ("lifecycle", Kind::LongLived),
        ("mfa-missing", Kind::NoMfa),
        ("revoked-token-used", Kind::DeadButAccepted),
        ("rotated-token-used", Kind::DeadButAccepted),
        ("scope-violation", Kind::BeyondScopes),
        ("token-in-referer", Kind::InReferer),
        ("token-in-url", Kind::InUrl),
        ("weak-token", Kind::Weak),
    ];
    assert_eq!(told.collect::<Vec<_>>(), expected);
}

#[test]
fn facts_tell_a_refused_leak_and_an_end_from_a_long_life() {
    let with = |fact: &str, value| Values::from_iter([(fact.into(), value)]);
    for (is_accepted, kind) in [(false, Kind::LeakedNotRevoked), (true, Kind::LeakedInUse)] {
        let facts = || with("leaked.accepted", Value::Bool(is_accepted));
        assert_eq!(Kind::told_by("leaked-token-used", facts), Some(kind));
    }
    for (what, kind) in [
        ("expires", Kind::ExpiresSoon),
        ("expires-soon", Kind::ExpiresSoon),
        ("lives-long", Kind::LongLived),
    ] {
        let facts = || with("lifecycle.what", Value::Text(what.into()));
        assert_eq!(Kind::told_by("lifecycle", facts), Some(kind), "{what}");
    }
}

#[test]
fn use_beyond_what_is_registered_was_no_finding() {
    let with = |fact: &str| Values::from_iter([(fact.into(), Value::Text("x".into()))]);
    for rule in ["new-country", "new-network"] {
        for pin in ["pinned.country", "pinned.network"] {
            assert_eq!(Kind::told_by(rule, || with(pin)), Some(Kind::OutsidePins));
        }
        for new in ["new.country", "new.network"] {
            assert_eq!(Kind::told_by(rule, || with(new)), None, "new, and not excluded");
        }
    }
    assert_eq!(Kind::told_by("scope-violation", Values::default), Some(Kind::BeyondScopes));
}

#[test]
fn a_registered_token_in_order_has_no_findings() {
    check(&[(token(row()), &[]), (jwt(), &[])]);
}

#[test]
fn a_leaked_token_is_in_use_only_if_it_was_accepted_since() {
    let leaked = |n| Listing { leaked_at: days(n), ..row() };
    let refused = |hour: i64| Standing { last_ok_hour: Some(hour), ..token(leaked(3)) };
    let this_hour = Listing { leaked_at: Some(NOW.plus(-HOUR)), ..row() };
    let revoked = Listing { revoked_at: days(2), ..leaked(3) };
    let revoked = Standing {
        last_seen: days(2),
        last_ok_hour: Some(NOW.plus(-2 * DAY - HOUR).hour()),
        ..token(revoked)
    };
    check(&[
        (token(leaked(3)), &["leaked-in-use"]),
        (token(this_hour), &["leaked-in-use"]),
        (refused(NOW.plus(-4 * DAY).hour()), &["leaked-not-revoked"]),
        (
            Standing { last_ok_hour: None, last_seen: days(4), ..token(leaked(3)) },
            &["leaked-not-revoked"],
        ),
        (token(leaked(-3)), &[]),
        (revoked, &[]),
    ]);
}

#[test]
fn a_dead_token_is_accepted_after_its_grace_or_not() {
    let revoked = |at| Listing { revoked_at: Some(at), ..row() };
    let hour = Timestamp(NOW.plus(-HOUR).hour() * HOUR);
    let rotated = |n| Listing { rotated_at: days(n), ..row() };
    let expired = Listing { expires_at: days(2), ..row() };
    let first = |first| Standing { first_seen: Some(first), ..token(revoked(hour)) };
    let alerted = |at: Timestamp| alerted(Kind::DeadButAccepted, Some(at), token(revoked(hour)));
    check(&[
        (token(revoked(NOW.plus(-DAY))), &["dead-but-accepted"]),
        // Within the hour, only the first use or an alert says that it was later.
        (token(revoked(hour)), &[]),
        (first(hour.plus(HOUR / 2)), &["dead-but-accepted"]),
        (alerted(hour.plus(HOUR / 2)), &["dead-but-accepted"]),
        (alerted(hour.plus(-HOUR)), &[]),
        // Nine seconds later it is still revoked just now.
        (token(revoked(hour.plus(-9 * SECOND))), &[]),
        (token(revoked(hour.plus(-11 * SECOND))), &["dead-but-accepted"]),
        (token(rotated(2)), &["dead-but-accepted"]),
        (token(rotated(1)), &[]),
        (token(expired), &["dead-but-accepted"]),
        (Standing { expires_at: days(2), ..token(row()) }, &["dead-but-accepted"]),
        (token(revoked(NOW.plus(DAY))), &[]),
    ]);
}

#[test]
fn a_decoy_is_only_asked_whether_it_was_used() {
    let bait = |n| Listing { decoy_since: days(n), has_owner: false, expires_at: None, ..row() };
    let tried = Standing { last_seen: None, is_accepted: false, ..token(bait(3)) };
    check(&[
        (token(bait(3)), &["decoy-used"]),
        (token(bait(0)), &[]),
        (alerted(Kind::DecoyUsed, days(1), tried), &["decoy-used"]),
    ]);
}

#[test]
fn what_was_exposed_is_to_be_replaced_unless_it_has_ended() {
    let kinds = [
        Kind::Unsigned,
        Kind::InUrl,
        Kind::PlainHttp,
        Kind::OutsidePins,
        Kind::InReferer,
        Kind::BeyondScopes,
        Kind::Weak,
    ];
    for kind in kinds {
        let name = [kind.as_str()];
        let dead = Listing { revoked_at: days(1), ..row() };
        let dead = Standing { last_ok_hour: None, ..token(dead) };
        // Its principal sends the next one in the same way.
        let expired = Standing { expires_at: Some(NOW.plus(-HOUR)), last_ok_hour: None, ..jwt() };
        check(&[
            (alerted(kind, days(300), token(row())), &name),
            (alerted(kind, days(2), dead), &[]),
            (alerted(kind, days(29), expired.clone()), &name),
            (alerted(kind, days(31), expired), &[]),
        ]);
    }
    let finding = &full(&[alerted(Kind::InUrl, days(3), token(row()))])[0];
    assert_eq!(
        (finding.since, finding.detail.as_str()),
        (days(3), "last 2026-11-20 12:00:00 UTC, 1 alert")
    );
}

#[test]
fn a_jwt_lives_long_if_it_is_valid_for_more_than_a_year_or_for_ever() {
    let valid = |from, to| Standing { issued_at: days(from), expires_at: to, ..jwt() };
    check(&[
        (valid(1, days(-365)), &["long-lived"]),
        (valid(1, days(-364)), &[]),
        (valid(1, None), &["long-lived"]),
        (Standing { is_jwt: false, ..valid(1, None) }, &[]),
        (Standing { issued_at: None, ..valid(1, days(-365)) }, &[]),
    ]);
}

#[test]
fn a_token_of_more_than_the_highest_age_is_overdue_while_somebody_uses_it() {
    let issued = |n| token(Listing { issued_at: days(n), ..row() });
    let first = |n| {
        let row = Listing { issued_at: None, ..row() };
        Standing { first_seen: days(n), ..token(row) }
    };
    check(&[
        (issued(366), &["rotation-overdue"]),
        (issued(365), &[]),
        (first(366), &["rotation-overdue"]),
        (first(365), &[]),
        (Standing { last_seen: days(90), ..first(366) }, &["unused"]),
    ]);
    assert_eq!(full(&[first(400)])[0].detail, "first used 400 days ago");
}

#[test]
fn the_end_of_a_registered_token_is_missing_near_or_far() {
    let ends = |at| token(Listing { expires_at: at, ..row() });
    let named = Listing { is_own: false, expires_at: None, ..row() };
    check(&[
        (ends(None), &["no-expiry"]),
        (token(named), &[]),
        (Standing { expires_at: days(-40), ..ends(None) }, &[]),
        (ends(days(-30)), &["expires-soon"]),
        (ends(days(-31)), &[]),
        (Standing { expires_at: days(-1), ..ends(days(-90)) }, &["expires-soon"]),
    ]);
    let found = full(&[ends(days(-30))]);
    assert_eq!(found[0].detail, "2026-12-23 12:00:00 UTC, in 30 days");
    assert_eq!(found[0].since, Some(NOW));
}

#[test]
fn what_nobody_uses_is_unused_since_its_last_use_or_its_registration() {
    let last = |n| Standing { last_seen: days(n), ..token(row()) };
    let never = |n| {
        let row = Listing { registered_at: days(n), ..row() };
        Standing { first_seen: None, last_seen: None, is_accepted: false, ..token(row) }
    };
    let stranger =
        |is_accepted| Standing { listing: None, is_row_expected: false, is_accepted, ..last(90) };
    check(&[
        (last(90), &["unused"]),
        (last(89), &[]),
        (never(90), &["unused"]),
        (never(89), &[]),
        (stranger(true), &["unused"]),
        (stranger(false), &[]),
        (Standing { expires_at: days(80), last_ok_hour: None, ..stranger(true) }, &[]),
    ]);
    assert_eq!(full(&[never(90)])[0].detail, "registered, and never used, 90 days ago");
}

#[test]
fn what_the_registry_lacks_is_said_while_the_token_lives() {
    let bare = || Listing { has_owner: false, mfa: Some(false), ..row() };
    let ended = Listing { revoked_at: Some(NOW), ..bare() };
    check(&[
        (token(bare()), &["no-mfa", "no-owner"]),
        (token(Listing { mfa: Some(true), ..row() }), &[]),
        (token(ended), &[]),
    ]);
}

#[test]
fn an_accepted_token_without_a_row_is_unregistered_if_others_have_one() {
    let expected = Standing { is_row_expected: true, ..jwt() };
    check(&[
        (expected.clone(), &["unregistered"]),
        (Standing { is_accepted: false, ..expected }, &[]),
        (jwt(), &[]),
    ]);
}

#[test]
fn the_tokens_of_a_principal_are_judged_each_and_the_principal_as_a_whole() {
    let old = Standing {
        expires_at: days(200),
        first_seen: days(201),
        last_seen: days(200),
        last_ok_hour: days(200).map(Timestamp::hour),
        ..jwt()
    };
    // The principal goes on with another token.
    assert_eq!(found(&[old.clone(), jwt()]), [""; 0]);
    let named = Listing { is_own: false, expires_at: None, ..row() };
    let listed = |token| Standing { listing: Some(named.clone()), ..token };
    assert_eq!(found(&[listed(old.clone()), listed(jwt())]), [""; 0]);
    assert_eq!(found(&[listed(old.clone()), listed(old)]), ["unused"]);
    let alerts = [3, 1, 2].map(|n| alerted(Kind::InUrl, days(n), jwt()));
    let found = full(&alerts);
    assert_eq!((found.len(), found[0].since), (1, days(3)));
    assert_eq!(found[0].detail, "last 2026-11-22 12:00:00 UTC, 3 alerts");
}

#[test]
fn the_leeway_of_a_server_is_no_finding_about_jwts_but_hours_are() {
    let hour = Timestamp(NOW.plus(-HOUR).hour() * HOUR);
    let ended = |at| Standing { expires_at: Some(at), ..jwt() };
    let told = |at| alerted(Kind::DeadButAccepted, Some(at), ended(hour));
    let registered = Listing { expires_at: Some(hour.plus(-240 * SECOND)), ..row() };
    check(&[
        (ended(hour.plus(-240 * SECOND)), &[]),
        (ended(hour.plus(-601 * SECOND)), &["dead-but-accepted"]),
        (told(hour.plus(240 * SECOND)), &[]),
        (told(hour.plus(601 * SECOND)), &["dead-but-accepted"]),
        (token(registered), &["dead-but-accepted"]),
    ]);
}

#[test]
fn exposures_of_what_nobody_registered_lapse_once_nobody_uses_it() {
    let stray = |n| Standing { is_jwt: false, expires_at: None, last_seen: days(n), ..jwt() };
    let in_url = |token| alerted(Kind::InUrl, days(100), token);
    let kept = Standing { last_seen: days(90), ..token(row()) };
    check(&[
        (in_url(stray(89)), &["in-url"]),
        (in_url(stray(90)), &["unused"]),
        (in_url(kept), &["in-url", "unused"]),
    ]);
}

#[test]
fn what_is_soon_and_what_is_long_are_limits() {
    let limits = Limits { soon: [40 * DAY; 3], long: 90 * DAY, ..Limits::default() };
    let names = |token| {
        let found = Posture::of(&token, &limits, NOW).findings(&limits, NOW);
        found.iter().map(|finding| finding.kind.as_str()).collect::<Vec<_>>()
    };
    let ends = |n: i64| token(Listing { expires_at: days(-n), ..row() });
    let valid = |n: i64| Standing { issued_at: days(1), expires_at: days(1 - n), ..jwt() };
    assert_eq!((names(ends(40)), names(ends(41))), (vec!["expires-soon"], vec![]));
    assert_eq!((names(valid(91)), names(valid(90))), (vec!["long-lived"], vec![]));
}
