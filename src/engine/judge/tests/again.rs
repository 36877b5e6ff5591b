//! What was reported, and what is news after it.

use super::*;

/// Returns how often `unusual-use` is reported after twenty days of a registered token and the given usages.
fn told_of(after: &[Usage]) -> usize {
    let days = (0..20).flat_map(|n| [own(1, n * DAY), own(6, n * DAY + MINUTE)]);
    let usages: Vec<Usage> = days.chain(after.iter().cloned()).collect();
    let alerts = judged(&usages).alerts;
    alerts.iter().filter(|alert| alert.rule.name == "unusual-use").count()
}

fn refused(usage: Usage) -> Usage {
    Usage { status: Some(403), ..usage }
}

/// Somebody else again: from another network, with another program.
fn another(micros: i64) -> Usage {
    Usage {
        client: Some("198.51.100.7".parse().unwrap()),
        agent: Agent { family: "wget".into(), version: "1.21".into() },
        ..own(1, micros)
    }
}

#[test]
fn one_refused_request_hid_the_theft_of_the_next_day() {
    let theft = another(20 * DAY + HOUR);
    assert_eq!(told_of(std::slice::from_ref(&theft)), 1);
    let noise = refused(stranger(1, 20 * DAY));
    assert_eq!(told_of(&[noise.clone(), theft.clone()]), 2);
    // Nobody gets in the second time either; and after a report that somebody got in, no further one is needed.
    assert_eq!(told_of(&[noise, refused(theft.clone())]), 1);
    assert_eq!(told_of(&[stranger(1, 20 * DAY), refused(theft.clone())]), 1);
    assert_eq!(told_of(&[stranger(1, 20 * DAY), theft]), 1);
}

#[test]
fn who_was_refused_before_is_told_when_he_gets_in() {
    let at = |day: i64| stranger(1, day * DAY);
    assert_eq!(told_of(&[refused(at(20)), at(25)]), 2);
    assert_eq!(told_of(&[refused(at(20)), refused(at(25))]), 1);
    assert_eq!(told_of(&[at(20), at(25)]), 1);
    assert_eq!(told_of(&[at(20), refused(at(25)), at(26)]), 1);
    // within the day, too
    assert_eq!(told_of(&[refused(at(20)), stranger(1, 20 * DAY + 2 * HOUR)]), 2);
}

#[test]
fn what_the_owner_did_hid_a_theft_of_the_same_day() {
    let missed = |nth: i64| Usage {
        route: format!("/v2/{nth}").into(),
        status: Some(404),
        ..own(1, 20 * DAY + nth * SECOND)
    };
    let page: Vec<Usage> = (0..12).map(missed).collect();
    let n_told = told_of(&page);
    assert!(n_told > 0);
    // The owner goes on; the day's errors are still held against him, and were reported.
    let goes_on = [own(1, 20 * DAY + MINUTE), own(1, 20 * DAY + HOUR)];
    assert_eq!(told_of(&[&page[..], &goes_on[..]].concat()), n_told);
    let theft = [stranger(1, 20 * DAY + HOUR)];
    assert_eq!(told_of(&[&page[..], &theft[..]].concat()), n_told + 1);
}

#[test]
fn who_gets_in_and_is_turned_away_by_turns_is_not_told_each_time() {
    let visit = |nth: i64| {
        let client = format!("203.0.{}.9", 113 + nth).parse().ok();
        let agent = Agent { family: format!("tool-{nth}").into(), version: "1".into() };
        let usage = Usage { client, agent, ..stranger(1, 20 * DAY + nth * 65 * MINUTE) };
        if nth % 2 == 0 { refused(usage) } else { usage }
    };
    let visits: Vec<Usage> = (0..10).map(visit).collect();
    assert_eq!(told_of(&visits), 2);
}
