//! Single alerts: their order, their ids, their time.

use super::*;

#[test]
fn that_a_country_is_not_allowed_stood_behind_the_signs_of_it() {
    let abroad = Usage { client: Some("198.51.100.7".parse().unwrap()), ..stranger(1, 20 * DAY) };
    let mut usages = theft();
    usages.pop();
    usages.push(abroad);
    let pinned = Registered {
        token: Some(TokenId([1; 16])),
        name: "orders".into(),
        countries: vec![Country::parse("DE").unwrap()],
        ..Registered::default()
    };
    let mut judge = judge();
    judge.registry = Registry::new([pinned]);
    let (mut books, mut memory) = (Books::default(), Memory::new(2));
    books.judge(&mut memory, &mut judge, &usages);
    books.commit(memory.take());
    let last = START.plus(20 * DAY);
    let of = |name: &str| {
        let told = books.alerts.iter().filter(|alert| alert.time == last);
        told.filter(|alert| alert.rule.name == name).map(|alert| &alert.reasons[0].text).next()
    };
    assert!(of("unusual-use").is_some(), "{:?}", names(&books, 0));
    for name in ["unusual-use", "new-country"] {
        assert!(of(name).is_none_or(|text| text.contains("not among the allowed")), "{name}");
    }
    assert!(of("new-client").is_none_or(|text| text.starts_with("client curl")));
}

#[test]
fn a_slow_download_is_told_though_its_line_is_older_than_the_owners_last() {
    let mut usages = theft();
    usages.insert(usages.len() - 1, own(1, 20 * DAY + 16 * MINUTE));
    let books = judged(&usages);
    let told: Vec<&str> = books.alerts.iter().map(|alert| alert.rule.name.as_str()).collect();
    for name in ["unusual-use", "new-country", "new-network", "new-client"] {
        assert!(told.contains(&name), "{told:?}");
    }
}

#[test]
fn two_pieces_of_news_of_one_second_have_ids_of_their_own() {
    let bait = |client: &str| Usage {
        token: TokenId([4; 16]),
        client: Some(client.parse().unwrap()),
        ..usage(0)
    };
    let books = judged(&[bait("192.0.2.10"), bait("203.0.113.9")]);
    let is_bait = |alert: &&Alert| alert.rule.name == "honeytoken-used";
    let ids: BTreeSet<_> = books.alerts.iter().filter(is_bait).map(|alert| &alert.id).collect();
    assert_eq!(ids.len(), 2);
}

#[test]
fn a_line_with_a_wrong_clock_does_not_silence_the_present() {
    let leaked = |time| Usage { token: TokenId([3; 16]), time, ..usage(0) };
    let wrong = leaked(START.plus(3650 * DAY));
    let days = (3..7).map(|day| leaked(START.plus(day * DAY)));
    let usages: Vec<Usage> = std::iter::once(wrong).chain(days).collect();
    let books = judged(&usages);
    let is_now = |alert: &&Alert| alert.time < START.plus(3650 * DAY);
    let told: BTreeSet<_> = books.alerts.iter().filter(is_now).map(|a| &a.incident).collect();
    assert!(!told.is_empty(), "{:?}", books.alerts);
    assert!(!books.incidents.values().any(|one| one.last.since(one.opened) > DAY));
}
