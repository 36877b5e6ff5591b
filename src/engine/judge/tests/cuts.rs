//! It does not matter where a stream is cut.

use super::*;

fn usages() -> impl Strategy<Value = Vec<Usage>> {
    let step = prop_oneof![
        4 => 0..3 * SECOND,
        3 => 0..HOUR,
        2 => 6 * HOUR..DAY,
        1 => -2 * DAY..0,
    ];
    // tokens that are used, and such that are tried once
    let token = prop_oneof![3 => 1u8..8, 1 => 100u8..=255];
    let one = (step, token, 0..CLIENTS.len(), 0u8..3, 0u8..5, 0u8..8, 0u8..6);
    prop::collection::vec(one, 1..150).prop_map(|steps| {
        let mut now = 0;
        let stream = steps.into_iter().map(|(step, token, client, agent, route, status, at)| {
            now += step;
            Usage {
                token: TokenId([token; 16]),
                client: Some(CLIENTS[client].parse().unwrap()),
                agent: Agent { family: format!("client-{agent}").into(), version: "1.0".into() },
                route: format!("/v1/{route}").into(),
                bytes: if route == 4 { 90 << 20 } else { 612 },
                status: match token {
                    100.. if status > 0 => Some(401),
                    _ => [Some(200), None, Some(401), Some(404), Some(302), Some(503)]
                        .get(usize::from(status))
                        .copied()
                        .unwrap_or(Some(200)),
                },
                object: (status == 3).then(|| Object {
                    hash: u32::from(route) * 31 + u32::from(agent),
                    number: Some(u32::from(route)),
                }),
                carrier: match at {
                    0 => Carrier::Query("api_key".into()),
                    1 => Carrier::Referer("token".into()),
                    _ => Carrier::Header("authorization".into()),
                },
                identity: (token == 7).then(|| Identity::Basic("anna".into())),
                ..usage(now)
            }
        });
        stream.collect()
    })
}

/// What people say of some alerts, each so long after it.
fn words_on(alerts: &[Alert], said: &[(prop::sample::Index, bool, i64)]) -> Vec<Word> {
    let word = |(number, (which, is_fine, later)): (u32, &(prop::sample::Index, bool, i64))| {
        let alert = which.get(alerts);
        let verdict = if *is_fine { Verdict::Expected } else { Verdict::Confirmed };
        let word = Word::of(verdict, alert.time.plus(*later), &[alert])?;
        Some(Word { number, ..word })
    };
    let mut words: Vec<Word> = match alerts {
        [] => Vec::new(),
        _ => (1..).zip(said).filter_map(word).collect(),
    };
    words.sort_by_key(|word| word.at);
    words.iter_mut().zip(1..).for_each(|(word, number)| word.number = number);
    words
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn it_does_not_matter_where_a_stream_is_cut(
        usages in usages(),
        cuts in prop::collection::btree_set(0usize..150, 0..20),
        said in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>(), 0..3 * DAY), 0..6),
    ) {
        let words = words_on(&judged(&usages).alerts, &said);
        let whole = judged_with(&usages, &words);
        for alert in &whole.alerts {
            prop_assert!(adds_up(alert), "{:?}", alert);
        }
        for (n_parts, after) in [(1, After::Restart), (1, After::Forget), (3, After::Restart)] {
            prop_assert_eq!(&judged_in_parts(&usages, &cuts, n_parts, after, &words), &whole);
        }
    }
}

/// Ten days of one token, in which it is stolen, passed on, robbed and revoked, and sleeps for two months.
fn eventful() -> Vec<Usage> {
    let own = |micros| Usage { token: TokenId([1; 16]), ..usage(micros) };
    let mut usages: Vec<Usage> = (0..240).map(|n| own(n * HOUR)).collect();
    let thief = |micros| Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..own(micros)
    };
    let at = 10 * DAY;
    usages.extend([own(at), thief(at + 5 * MINUTE), own(at + 10 * MINUTE)]);
    let hands = (0..16).map(|n| Usage {
        client: Some(format!("198.51.{}.7", n % 8).parse().unwrap()),
        ..own(at + 50 * MINUTE + n * 4 * MINUTE)
    });
    usages.extend(hands);
    usages.push(Usage { bytes: 90 << 20, ..own(at + 5 * HOUR) });
    usages.push(Usage { token: TokenId([5; 16]), status: Some(401), ..own(at + 6 * HOUR) });
    usages.extend((1..4).map(|n| own(at + 60 * DAY + n * MINUTE)));
    usages
}

#[test]
fn an_eventful_life_is_told_the_same_however_it_is_cut() {
    let usages = eventful();
    let whole = judged(&usages);
    let told: BTreeSet<&str> = whole.alerts.iter().map(|alert| alert.rule.name.as_str()).collect();
    let expected =
        ["concurrent-use", "dead-token-tried", "dormant-token-woke", "fan-out", "volume-spike"];
    assert!(expected.iter().all(|name| told.contains(name)), "{told:?}");
    for step in [1, 2, 7] {
        let cuts = (0..usages.len()).step_by(step).collect();
        for after in [After::Restart, After::Forget] {
            assert_eq!(judged_in_parts(&usages, &cuts, 1, after, &[]), whole, "{step}");
        }
    }
}

#[test]
fn a_stolen_token_is_one_incident_with_one_mail() {
    let own = |micros| Usage { token: TokenId([1; 16]), ..usage(micros) };
    let theft = Usage {
        client: Some("203.0.113.9".parse().unwrap()),
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        ..own(20 * DAY + MINUTE)
    };
    let again = (0..5).map(|n| Usage { time: theft.time.plus(n * 5 * MINUTE), ..theft.clone() });
    let usages: Vec<Usage> = (0..20).map(|n| own(n * DAY)).chain(again).collect();
    let books = judged_in_parts(&usages, &BTreeSet::from([10, 21, 23]), 1, After::Restart, &[]);
    let told: Vec<&str> = books.alerts.iter().map(|alert| alert.rule.name.as_str()).collect();
    assert_eq!(told, ["unusual-use", "new-client", "new-country", "new-network"]);
    let unusual = &books.alerts[0];
    assert_eq!((unusual.rule.level, unusual.principal.as_str()), (Level::Critical, "orders"));
    assert!(unusual.reason.starts_with("client curl, never seen in 20 active days; "));
    assert!(unusual.risk > 88);
    assert_eq!((books.incidents.len(), books.notices.len()), (1, 1));
    let incident = books.incidents.values().next().unwrap();
    assert_eq!((incident.alerts, incident.level), (4, Level::Critical));
}
