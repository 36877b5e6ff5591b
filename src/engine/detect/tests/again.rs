//! What was reported before: what is a reminder, what is said once for many, and what stays news.

use super::*;

#[test]
fn what_goes_on_was_mailed_again_each_day() {
    let mut life = Life::default();
    let carrier = Carrier::Query("api_key".into());
    let mut again = |micros, carrier: &Carrier, status| {
        let loud = Usage { transport: Transport::Plain, status: Some(status), ..usage(micros) };
        let loud = Usage { carrier: carrier.clone(), ..loud };
        let facts = life.judged(&loud, &berlin(), None);
        ["url.again", "transport.again"].map(|name| facts.get(name) == Some(&Value::Bool(true)))
    };
    assert_eq!(again(0, &carrier, 200), [false; 2]);
    for day in 1..20 {
        assert_eq!(again(day * DAY, &carrier, 200), [true; 2], "day {day}");
    }
    assert_eq!(again(28 * DAY, &carrier, 200), [false; 2], "after a week");
    assert_eq!(again(29 * DAY, &Carrier::Query("token".into()), 200), [false, true]);
    assert_eq!(again(30 * DAY, &carrier, 401), [false; 2], "refused");
}

#[test]
fn each_new_jwt_of_a_principal_made_all_else_news_again() {
    let mut life = Life::default();
    life.steady(10);
    let mut news = 0;
    for hour in 0..48_u8 {
        let token = TokenId([hour + 1; 16]);
        let theirs = Usage { token, ..stolen(10 * DAY + i64::from(hour) * HOUR) };
        let facts = life.judged(&theirs, &rented(), None);
        news += usize::from(has(&facts, "new.network"));
        life.judged(&usage(10 * DAY + i64::from(hour) * HOUR + SECOND), &berlin(), None);
    }
    assert_eq!(news, 1);
}

#[test]
fn each_opaque_token_of_a_principal_is_told_of_when_it_is_leaked() {
    let mut life = Life::default();
    life.steady(10);
    let leaked = Registered { leaked_at: Some(START), ..row() };
    for token in [TokenId([1; 16]), TokenId([2; 16])] {
        let use_of = |at| Usage { token, ..usage(at) };
        assert!(has(&life.judged(&use_of(10 * DAY), &berlin(), Some(&leaked)), "leaked.seconds"));
        let again = life.judged(&use_of(10 * DAY + HOUR), &berlin(), Some(&leaked));
        assert!(!has(&again, "leaked.seconds"));
    }
}

#[test]
fn each_jwt_without_an_end_of_a_principal_was_told_of() {
    let there = place("DE", "Berlin", (52.5, 13.4), 65000, NetworkKind::Mobile);
    let of_principal = || Registered { token: None, ..row() };
    let ended = Some(START);
    for (fact, row) in [
        ("decoy.used", Registered { decoy: true, ..of_principal() }),
        ("leaked.seconds", Registered { leaked_at: ended, ..of_principal() }),
        ("revoked.seconds", Registered { revoked_at: ended, ..of_principal() }),
        ("rotated.seconds", Registered { rotated_at: ended, ..of_principal() }),
        ("expired.seconds", Registered { expires_at: ended, ..of_principal() }),
        (
            "pinned.country",
            Registered { countries: vec![Country::parse("FR").unwrap()], ..of_principal() },
        ),
        (
            "pinned.network",
            Registered { networks: vec!["203.0.113.0/24".parse().unwrap()], ..of_principal() },
        ),
        ("unsigned.is_new", of_principal()),
    ] {
        let mut life = Life::default();
        life.steady(10);
        let mut is_told = |n: u8, place: &Place| {
            let at = 10 * DAY + i64::from(n) * SECOND;
            let mut jwt = Usage { token: TokenId([n; 16]), ..usage(at) };
            jwt.claims.is_unsigned = true;
            has(&life.judged(&jwt, place, Some(&row)), fact)
        };
        let told = (0..100).filter(|n| is_told(*n, &berlin())).count();
        assert_eq!(told, 1, "{fact}");
        let elsewhere = fact != "pinned.country";
        assert_eq!(is_told(101, &there), elsewhere, "{fact}");
    }
}

#[test]
fn a_server_that_accepts_each_jwt_some_minutes_too_long_was_told_of_with_each() {
    let mut life = Life::default();
    life.steady(10);
    let mut used = |hour: i64, late: i64| {
        let at = 10 * DAY + hour * HOUR;
        let token = TokenId([u8::try_from(hour + 1).unwrap(); 16]);
        let mut jwt = Usage { token, ..usage(at) };
        jwt.claims.expires_at = Some(START.plus(at - late * SECOND));
        has(&life.judged(&jwt, &berlin(), None), "expired.seconds")
    };
    assert_eq!((0..48).filter(|hour| used(*hour, 200)).count(), 1);
    assert!(used(48, 90_000), "one that is used a day later is another story");
}

#[test]
fn a_leaked_key_on_many_phones_was_told_of_with_each_of_their_networks() {
    let mut life = Life::default();
    life.steady(10);
    let leaked = Registered { leaked_at: Some(START), ..row() };
    let mut told = 0;
    for n in 0..200_u32 {
        let there = place("DE", "Berlin", (52.5, 13.4), 65000 + n % 100, NetworkKind::Mobile);
        let use_of = usage(10 * DAY + i64::from(n) * MINUTE);
        told += usize::from(has(&life.judged(&use_of, &there, Some(&leaked)), "leaked.seconds"));
    }
    assert_eq!(told, 6, "five by name, and that there are more");
}

#[test]
fn of_many_dead_tokens_those_that_were_forgotten_were_said_to_have_rested() {
    let mut life = Life::default();
    life.steady(10);
    let mut reasons_told = Vec::new();
    for round in 0..60_i64 {
        for n in 0..40_u8 {
            let revoked = Registered { revoked_at: Some(START.plus(10 * DAY)), ..row() };
            let at = 10 * DAY + round * 2 * HOUR + i64::from(n) * SECOND + 20 * SECOND;
            let tried = Usage { token: TokenId([n; 16]), status: Some(401), ..usage(at) };
            let facts = life.judged(&tried, &berlin(), Some(&revoked));
            reasons_told.extend(reasons(&facts, "dead-token-tried"));
        }
    }
    let is_stale = |text: &String| text.contains("keeps trying");
    assert!(reasons_told.iter().all(is_stale), "{reasons_told:?}");
    assert_eq!(reasons_told.len(), 6, "five by name, and that there are more");
}

#[test]
fn refusals_from_everywhere_kept_a_leaked_key_that_was_accepted_quiet() {
    let mut life = Life::default();
    life.steady(10);
    let leaked = Registered { leaked_at: Some(START), ..row() };
    let from = |n: u32| place("DE", "Berlin", (52.5, 13.4), 65000 + n, NetworkKind::Mobile);
    for n in 0..20_u32 {
        let refused = Usage { status: Some(401), ..usage(10 * DAY + i64::from(n) * MINUTE) };
        life.judged(&refused, &from(n), Some(&leaked));
    }
    let accepted = life.judged(&usage(10 * DAY + HOUR), &from(3), Some(&leaked));
    assert_eq!(accepted.get("leaked.accepted"), Some(&Value::Bool(true)));
}

#[test]
fn every_sort_of_report_is_remembered_by_itself() {
    // Detectors that remember nothing this way, or by the names below.
    const OTHERS: [&str; 14] = [
        "concurrent-use",
        "fleet-change",
        "mfa-missing",
        "monitor-health",
        "new-client",
        "new-country",
        "new-network",
        "object-enumeration",
        "rate-spike",
        "scope-violation",
        "silence",
        "success-after-guessing",
        "token-guessing",
        "unusual-use",
    ];
    let more = [
        "stale",
        "dead",
        "turn",
        "pinned",
        "pinned country",
        "expired-token-accepted 3",
        "reminder",
        "scope.request",
        "mfa.request",
    ];
    let families = [Family::Country, Family::Network, Family::Client].map(Family::fact);
    let names = ALL.iter().map(|detector| detector.name).filter(|name| !OTHERS.contains(name));
    let names: BTreeSet<&str> = names.chain(more).chain(families).collect();
    let sorts: BTreeSet<u32> =
        names.iter().map(|of| report_key(of.as_bytes(), &[]) >> 24).collect();
    assert_eq!(sorts.len(), names.len());
}
