//! Tokens in URLs: of those that are new here, an hour has a number of alerts; others are always reported. What all of
//! a site have in common is reported of a few.

use std::ops::Range;

use super::*;
use crate::engine::usage::{Claims, Transport};

/// A use of the nth token, with the token in its URL.
fn exposed(n: u32, micros: i64) -> Usage {
    let mut token = [0xee; 16];
    token[..4].copy_from_slice(&n.to_be_bytes());
    let carrier = Carrier::Query("api_key".into());
    Usage { token: TokenId(token), carrier, ..usage(micros) }
}

/// Uses of invented tokens that a public page answers, ten a second.
fn flood(tokens: Range<u32>, start: i64) -> Vec<Usage> {
    let times = (0..).map(|n| start + n * SECOND / 10);
    tokens.zip(times).map(|(n, at)| exposed(1_000 + n, at)).collect()
}

/// Returns the alerts about tokens in URLs.
fn told(books: &Books) -> Vec<&Alert> {
    books.alerts.iter().filter(|alert| alert.rule.name == "token-in-url").collect()
}

fn is_of(alert: &Alert, usage: &Usage) -> bool {
    alert.token.as_ref().is_some_and(|token| token.id == usage.token)
}

#[test]
fn a_flood_of_invented_tokens_in_urls_had_an_alert_for_each() {
    let lives = [flood(0..3_000, 0), flood(3_000..6_000, HOUR)];
    let books = judged(&lives.concat());
    let is_last = |alert: &&Alert| alert.reason.ends_with("so further ones are not reported");
    let last: Vec<usize> =
        told(&books).iter().enumerate().filter(|(_, of)| is_last(of)).map(|(n, _)| n).collect();
    assert_eq!((told(&books).len(), books.incidents.len()), (42, 42));
    assert_eq!(last, [20, 41]);
    assert_eq!(books.tokens.len(), 6_000, "they are known all the same");
}

#[test]
fn in_a_flood_a_token_that_is_registered_or_was_active_before_is_reported() {
    let known =
        |micros| Usage { carrier: Carrier::Header("authorization".into()), ..exposed(1, micros) };
    let registered = Usage { token: TokenId([6; 16]), ..exposed(0, DAY + MINUTE) };
    let real = exposed(1, DAY + MINUTE);
    let lives =
        [vec![known(0)], flood(0..1_000, DAY), vec![registered.clone(), real.clone()]].concat();
    let books = judged(&lives);
    let told = told(&books);
    assert_eq!(told.len(), 23);
    assert!(is_of(told[21], &registered) && is_of(told[22], &real));
    assert!(told[21..].iter().all(|alert| alert.reason.ends_with("where logs keep it")));
}

#[test]
fn a_real_token_that_first_appears_in_a_flood_is_reported_the_next_day_at_the_latest() {
    for status in [Some(200), Some(302), None] {
        let real = |micros| Usage { status, ..exposed(1, micros) };
        // At the end of the first day, and at the start of the next, in floods.
        let (end, start) = (DAY - HOUR, DAY);
        let lives = [
            flood(0..100, end),
            vec![real(end + MINUTE), real(end + 2 * MINUTE)],
            flood(100..200, start),
            vec![real(start + MINUTE), real(start + 2 * MINUTE)],
        ];
        let books = judged(&lives.concat());
        let own: Vec<_> = told(&books).into_iter().filter(|of| is_of(of, &real(0))).collect();
        assert_eq!(own.len(), 1, "{status:?}");
        assert_eq!(own[0].time, real(start + MINUTE).time);
    }
}

#[test]
fn tokens_in_referers_have_reports_of_their_own() {
    let in_header =
        |usage: Usage| Usage { carrier: Carrier::Header("authorization".into()), ..usage };
    let in_referer = |usage: Usage| Usage { carrier: Carrier::Referer("token".into()), ..usage };
    let used = flood(0..100, 0).into_iter().map(in_header);
    let passed = flood(0..100, MINUTE).into_iter().map(in_referer);
    let books = judged(&used.chain(passed).chain(flood(0..100, 2 * MINUTE)).collect::<Vec<_>>());
    let n_told = |name| books.alerts.iter().filter(|alert| alert.rule.name == name).count();
    assert_eq!((n_told("token-in-referer"), n_told("token-in-url")), (21, 21));
}

#[test]
fn a_flood_of_invented_tokens_over_plain_http_or_that_have_expired_had_an_alert_for_each() {
    let plain = |usage: Usage| Usage { transport: Transport::Plain, ..usage };
    let late = |usage: Usage| {
        let expires_at = Some(usage.time.plus(-HOUR));
        Usage { claims: Claims { expires_at, ..Claims::default() }, ..usage }
    };
    let flood = flood(0..1_000, 0).into_iter().map(plain).map(late).collect::<Vec<_>>();
    let books = judged(&flood);
    for name in ["insecure-transport", "expired-token-accepted"] {
        let all: Vec<_> = books.alerts.iter().filter(|alert| alert.rule.name == name).collect();
        assert_eq!(all.len(), 21, "{name}");
        assert!(all[20].reason.contains("further ones are not reported"), "{}", all[20].reason);
    }
}

/// Uses of the nth token on a day, and on the day before.
fn known(n: u32, day: i64) -> [Usage; 2] {
    let at = day * DAY + i64::from(n) * MINUTE;
    let carrier = Carrier::Header("authorization".into());
    let used = Usage { carrier, ..exposed(n, at) };
    [Usage { time: used.time.plus(-DAY), ..used.clone() }, used]
}

/// The same, on that day so many seconds after the end that the token states.
fn late(n: u32, day: i64, seconds: i64) -> [Usage; 2] {
    let [before, used] = known(n, day);
    let expires_at = Some(used.time.plus(-seconds * SECOND));
    [before, Usage { claims: Claims { expires_at, ..Claims::default() }, ..used }]
}

fn unsigned(usage: Usage) -> Usage {
    Usage { claims: Claims { is_unsigned: true, ..Claims::default() }, ..usage }
}

fn short(usage: Usage) -> Usage {
    Usage { most_bits: Some(53), ..usage }
}

fn endless(usage: Usage) -> Usage {
    let issued_at = Some(usage.time.plus(-HOUR));
    Usage { claims: Claims { issued_at, ..Claims::default() }, ..usage }
}

/// Returns the reasons of the alerts of a rule.
fn reasons_of(name: &str, usages: &[Usage]) -> Vec<String> {
    let books = judged(usages);
    let alerts = books.alerts.iter().filter(|alert| alert.rule.name == name);
    alerts.map(|alert| alert.reason.to_string()).collect()
}

#[test]
fn a_flood_of_invented_tokens_that_are_short_or_unsigned_is_told_of_a_few() {
    let hours = [flood(0..500, 0), flood(500..1_000, HOUR), flood(1_000..1_500, 20 * DAY)];
    let flood: Vec<Usage> = hours.concat().into_iter().map(unsigned).map(short).collect();
    let registered = short(unsigned(Usage { token: TokenId([6; 16]), ..exposed(0, 21 * DAY) }));
    let usages = [flood, vec![registered]].concat();
    let unsigned = reasons_of("jwt-alg-none", &usages);
    assert_eq!(unsigned.len(), 2 * 21 + 1, "of each day, and the registered one");
    assert!(unsigned[20].ends_with("20 such alerts came, so further ones are not reported"));
    let weak = reasons_of("weak-token", &usages);
    assert_eq!(weak.len(), 21 + 1);
    let text = "a token of 53 bits at most, by its length and characters; 20 such alerts about tokens on their first \
                day came within thirty days, so further ones are not reported";
    assert_eq!(weak[20], text);
}

#[test]
fn what_all_tokens_of_a_site_have_in_common_is_told_of_a_few() {
    type Make = fn(Usage) -> Usage;
    let sorts: [(&str, Make, &str); 2] = [
        ("weak-token", short, "whoever makes the tokens makes them too short"),
        ("lifecycle", endless, "an issuer's JWTs are alike"),
    ];
    for (name, make, why) in sorts {
        let of = |n| {
            let [before, used] = known(n, 1 + i64::from(n) / 25);
            [before, make(used)]
        };
        let mut usages: Vec<Usage> = (0..200).flat_map(of).collect();
        usages.sort_by_key(|usage| usage.time);
        let reasons = reasons_of(name, &usages);
        assert_eq!(reasons.len(), 21, "{name}");
        let end = format!("within thirty days: {why}, so further ones are not reported");
        assert!(reasons[20].ends_with(&end) && !reasons[19].contains("further"), "{reasons:?}");
    }
}

#[test]
fn made_up_names_that_came_back_hid_unsigned_jwts_in_the_names_of_others() {
    let of = |n| known(n, 1).map(unsigned);
    let mut usages: Vec<Usage> = (0..100).flat_map(of).collect();
    usages.sort_by_key(|usage| usage.time);
    let reasons = reasons_of("jwt-alg-none", &usages);
    assert_eq!(
        reasons.len(),
        100,
        "once each: on the first day while there is room, else once it is known"
    );
}

#[test]
fn invented_jwts_leave_room_for_the_long_lives_of_real_ones() {
    let flood = flood(0..1_000, 0).into_iter().map(endless);
    let [before, used] = known(1, 1);
    let usages: Vec<Usage> = flood.chain([before, endless(used)]).collect();
    assert_eq!(reasons_of("lifecycle", &usages).len(), 1);
}

/// Returns the alerts about 200 principals, of which 25 a day are once accepted so long after the end.
fn expired(seconds: i64) -> Vec<Alert> {
    let mut usages: Vec<Usage> =
        (0..200).flat_map(|n| late(n, 1 + i64::from(n) / 25, seconds)).collect();
    usages.sort_by_key(|usage| usage.time);
    let alerts = judged(&usages).alerts.into_iter();
    alerts.filter(|alert| alert.rule.name == "expired-token-accepted").collect()
}

#[test]
fn a_servers_leeway_was_told_of_everybody_who_met_it() {
    let told = expired(150);
    assert_eq!(told.len(), 21);
    assert!(told[20].reason.ends_with("so further ones are not reported"), "{:?}", told[20]);
    assert!(!told[19].reason.contains("further"), "{:?}", told[19]);
}

#[test]
fn what_no_leeway_explains_is_told_of_everybody() {
    assert_eq!(expired(601).len(), 200);
}

#[test]
fn a_restart_in_a_flood_does_not_begin_anew() {
    let usages = flood(0..300, 0);
    let cuts: BTreeSet<usize> = (0..300).step_by(7).collect();
    let cut = judged_in_parts(&usages, &cuts, 1, After::Restart, &[]);
    assert_eq!(told(&cut).len(), 21);
    assert_eq!(cut, judged(&usages));
}

#[test]
fn lines_out_of_order_at_the_turn_of_an_hour_have_as_many_reports() {
    let mut usages = flood(0..1_200, HOUR - MINUTE);
    let hours: BTreeSet<i64> = usages.iter().map(|usage| usage.time.hour()).collect();
    let n_in_order = told(&judged(&usages)).len();
    usages.reverse();
    assert_eq!((n_in_order, told(&judged(&usages)).len()), (21 * hours.len(), 21 * hours.len()));
    assert_eq!(hours.len(), 2);
}
