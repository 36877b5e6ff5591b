//! What people say of a theft, and what it changes.

use super::*;

#[test]
fn what_was_expected_is_not_told_again_and_news_weighs_less() {
    let theft = theft();
    let told = judged(&theft);
    let expected = word(&told, 1, Verdict::Expected, 21);
    let again: Vec<Usage> = theft.iter().cloned().chain([stranger(1, 60 * DAY)]).collect();
    assert!(judged(&again).alerts.len() > told.alerts.len(), "it would be told");
    let books = judged_with(&again, std::slice::from_ref(&expected));
    assert_eq!(names(&books, told.alerts.len()), ["dormant-token-woke"], "it did sleep");
    // Somebody else yet is less of a surprise.
    let else_where =
        |micros| Usage { client: Some("198.51.100.7".parse().unwrap()), ..own(1, micros) };
    let score = |books: &Books| match books.alerts.last().unwrap().facts.get("unusual.score") {
        Some(Value::Float(score)) => *score,
        _ => 0.0,
    };
    let twice: Vec<Usage> = theft.iter().cloned().chain([else_where(22 * DAY)]).collect();
    assert!(score(&judged_with(&twice, &[expected])) + 2.0 < score(&judged(&twice)));
}

#[test]
fn another_stranger_is_told_though_the_one_before_was_expected() {
    let theft = theft();
    let expected = Word {
        at: START.plus(20 * DAY + 10 * MINUTE),
        ..word(&judged(&theft), 1, Verdict::Expected, 0)
    };
    let agent = Agent { family: "wget".into(), version: "1.21".into() };
    let client = Some("198.51.100.7".parse().unwrap());
    let other = Usage { client, agent, ..own(1, 20 * DAY + 30 * MINUTE) };
    let told = |later: Usage, words: &[Word]| {
        let usages: Vec<Usage> = theft.iter().cloned().chain([later]).collect();
        let books = judged_with(&usages, words);
        books.alerts.iter().filter(|alert| alert.rule.name == "unusual-use").count()
    };
    let expected = std::slice::from_ref(&expected);
    assert_eq!((told(other.clone(), &[]), told(other, expected)), (1, 2));
    // The one who was expected is still at it.
    assert_eq!(told(stranger(1, 20 * DAY + 30 * MINUTE), expected), 1);
}

#[test]
fn each_stranger_who_takes_turns_is_told_and_again_once_that_is_confirmed() {
    let agent = Agent { family: "wget".into(), version: "1.21".into() };
    let client = Some("198.51.100.7".parse().unwrap());
    let other = |micros| Usage { client, agent: agent.clone(), ..own(1, micros) };
    let past = || (0..20).map(|n| own(1, n * DAY));
    let at = |day: i64, minute: i64| day * DAY + minute * MINUTE;
    let in_turns = |day: i64| {
        [
            own(1, at(day, 0)),
            stranger(1, at(day, 2)),
            own(1, at(day, 4)),
            other(at(day, 6)),
            own(1, at(day, 8)),
        ]
    };
    let told = |days: &[i64], words: &[Word]| {
        let usages: Vec<Usage> = past().chain(days.iter().flat_map(|day| in_turns(*day))).collect();
        let books = judged_with(&usages, words);
        books.alerts.iter().filter(|alert| alert.rule.name == "concurrent-use").count()
    };
    // Both within the hour, at the owner's use.
    assert_eq!((told(&[20], &[]), told(&[20, 22], &[])), (2, 2));
    let first: Vec<Usage> = past().chain(in_turns(20)).collect();
    let confirmed = word(&judged(&first), 1, Verdict::Confirmed, 21);
    assert_eq!(told(&[20, 22], &[confirmed]), 4);
}

#[test]
fn after_the_owners_turn_was_confirmed_the_strangers_return_was_no_news() {
    let at = |day: i64, minute: i64| day * DAY + minute * MINUTE;
    let in_turns =
        |day| [own(1, at(day, 0)), stranger(1, at(day, 2)), own(1, at(day, 4))].into_iter();
    let turns = |books: Books| {
        let is_turn = |alert: &Alert| alert.rule.name == "concurrent-use";
        books.alerts.into_iter().filter(is_turn).collect::<Vec<Alert>>()
    };
    let first: Vec<Usage> = (0..20).map(|n| own(1, n * DAY)).chain(in_turns(20)).collect();
    let told = turns(judged(&first));
    let stranger = told[0].facts.get("concurrent.stranger");
    assert_eq!((told.len(), stranger), (1, Some(&Value::Text("there".into()))));
    let usages: Vec<Usage> = first.into_iter().chain(in_turns(22)).collect();
    let n_told = |verdict| {
        let word = Word::of(verdict, START.plus(21 * DAY), &told.iter().collect::<Vec<_>>());
        turns(judged_with(&usages, &[Word { number: 1, ..word.unwrap() }])).len()
    };
    assert_eq!((n_told(Verdict::Expected), n_told(Verdict::Confirmed)), (1, 2));
}

#[test]
fn after_a_word_about_a_stranger_the_owners_next_use_told_of_him_again() {
    let at = |minute: i64| 20 * DAY + minute * MINUTE;
    let past = (0..20).map(|n| own(1, n * DAY));
    let theft: Vec<Usage> = past.chain([own(1, at(0)), stranger(1, at(2))]).collect();
    let told = judged(&theft);
    let n_turns = |verdict: Option<Verdict>, later: &[Usage]| {
        let words =
            verdict.map(|verdict| Word { at: START.plus(at(4)), ..word(&told, 1, verdict, 0) });
        let usages: Vec<Usage> = theft.iter().chain(later).cloned().collect();
        let books = judged_with(&usages, words.as_slice());
        names(&books, told.alerts.len())
            .into_iter()
            .filter(|name| *name == "concurrent-use")
            .count()
    };
    let next = [own(1, at(6))];
    assert_eq!(n_turns(None, &next), 1);
    assert_eq!(n_turns(Some(Verdict::Confirmed), &next), 0);
    assert_eq!(n_turns(Some(Verdict::Expected), &next), 0);
    let again = [own(1, at(6)), stranger(1, at(8)), own(1, at(9))];
    assert_eq!(n_turns(Some(Verdict::Confirmed), &again), 1, "he came again");
    assert_eq!(n_turns(Some(Verdict::Expected), &again), 0);
}

#[test]
fn after_a_theft_was_confirmed_the_next_thief_was_not_told_for_a_day() {
    let next = Usage {
        client: Some("198.51.100.7".parse().unwrap()),
        agent: Agent { family: "wget".into(), version: "1.21".into() },
        ..own(1, 20 * DAY + 3 * HOUR)
    };
    let told = judged(&theft());
    let usages: Vec<Usage> = theft().into_iter().chain([next]).collect();
    let n_told = |words: &[Word]| {
        let books = judged_with(&usages, words);
        names(&books, told.alerts.len()).into_iter().filter(|name| *name == "unusual-use").count()
    };
    let said = |verdict| {
        let alerts: Vec<&Alert> = told.alerts.iter().collect();
        Word::of(verdict, START.plus(20 * DAY + HOUR), &alerts)
            .map(|word| Word { number: 1, ..word })
    };
    let after = |verdict| n_told(&[said(verdict).unwrap()]);
    // One story a day, until somebody has read it.
    assert_eq!((n_told(&[]), after(Verdict::Expected), after(Verdict::Confirmed)), (0, 1, 1));
}

#[test]
fn a_quiet_site_with_a_budget_hears_of_less() {
    let threshold = |alerts: &[Alert]| {
        let unusual = alerts.iter().find(|alert| alert.rule.name == "unusual-use").unwrap();
        unusual.facts.get("unusual.threshold").cloned()
    };
    assert_eq!(threshold(&judged(&theft()).alerts), Some(Value::Float(6.0)));
    let mut judge = judge();
    let mut memory = Memory::new(9);
    Books::default().judge(&mut memory, &mut judge, &theft());
    assert_eq!(threshold(&memory.take().alerts), Some(Value::Float(8.0)));
}

#[test]
fn old_lines_between_present_ones_leave_the_counts_of_a_budget_alone() {
    // A thief a day, each of another token that was at home for a week.
    let thefts = (0..30).flat_map(|n: u8| {
        let first = i64::from(n) * DAY;
        let own = (0..7).map(move |day| own(30 + n, first + day * DAY));
        own.chain([stranger(30 + n, first + 7 * DAY)])
    });
    let mut usages: Vec<Usage> = thefts.collect();
    usages.sort_by_key(|usage| usage.time);
    let threshold = |usages: &[Usage]| {
        let (mut judge, mut memory) = (judge(), Memory::new(64));
        Books::default().judge(&mut memory, &mut judge, usages);
        memory.house().threshold(5.0, &judge.params.profile.score)
    };
    let before = threshold(&usages);
    assert!(before.weekly.is_some_and(|weekly| weekly > 5.0), "{before:?}");
    let last = usages.last().unwrap().time.since(START);
    let old = (0..50).flat_map(|n| [own(99, (n - 2000) * MINUTE - 2000 * DAY), own(30, last + n)]);
    usages.extend(old);
    assert_eq!(threshold(&usages), before);
}

#[test]
fn what_was_confirmed_is_forgotten_and_never_learned() {
    let theft = theft();
    let told = judged(&theft);
    // The thief stays for so long that it would be learned.
    let stay = (21..60).map(|day| stranger(1, day * DAY));
    let stays: Vec<Usage> = theft.iter().cloned().chain(stay).collect();
    let (n, at) = (stays.len(), |day| vec![stranger(1, day * DAY)]);
    let last = |books: &Books| {
        let subject = Subject::decode(&books.subjects["orders"]).unwrap();
        subject.profile.active_days()
    };
    let confirmed = word(&told, 1, Verdict::Confirmed, 22);
    let books = judged_with(&stays, std::slice::from_ref(&confirmed));
    assert_eq!((last(&judged(&stays)) > 40, last(&books)), (true, 20));
    // Confirmed late: what it taught is gone, and it is reported when it comes back.
    let late: Vec<Usage> = stays.iter().cloned().chain(at(63)).collect();
    let confirmed = Word { at: START.plus(62 * DAY), ..confirmed };
    let before = judged(&stays).alerts.len();
    assert_eq!(judged(&late).alerts.len(), before);
    let books = judged_with(&late, std::slice::from_ref(&confirmed));
    assert!(names(&books, before).contains(&"unusual-use"), "{:?} {n}", names(&books, before));
    // It was seen, and that is not denied.
    let alert = books.alerts.iter().rev().find(|alert| alert.rule.name == "unusual-use").unwrap();
    let says = |text: &str| alert.reasons.iter().any(|reason| reason.text.contains(text));
    assert!(says(", not one of its own in ") && !says("never seen"), "{:?}", alert.reasons);
    // The owner's own values are still known.
    let owner: Vec<Usage> = stays.iter().cloned().chain([own(1, 63 * DAY)]).collect();
    assert_eq!(judged_with(&owner, &[confirmed]).alerts.len(), before);
}

#[test]
fn misuse_of_one_principal_is_evidence_for_all_for_a_month() {
    let theft = theft();
    let told = judged(&theft);
    let confirmed = word(&told, 1, Verdict::Confirmed, 21);
    let taken_back = word(&told, 2, Verdict::Expected, 22);
    for (day, words, is_watched) in [
        (23, vec![confirmed.clone()], true),
        (20, vec![confirmed.clone()], false),
        (52, vec![confirmed.clone()], false),
        (23, vec![confirmed, taken_back], false),
    ] {
        let other = stranger(5, day * DAY + 2 * MINUTE);
        let usages: Vec<Usage> = theft.iter().cloned().chain([other]).collect();
        let books = judged_with(&usages, &words);
        let alert = books.alerts.iter().rev().find(|alert| alert.rule.name == "unusual-use");
        let nats = alert.unwrap().facts.get("unusual.watched");
        assert_eq!(nats, is_watched.then_some(&Value::Float(1.0)), "{day}");
        let says = alert.unwrap().reason.contains("misuse by these was confirmed recently");
        assert_eq!(says, is_watched);
    }
}

#[test]
fn a_burst_is_worth_what_the_rate_alone_may_be_and_its_alert_says_so() {
    let steady = (0..144 * 20).map(|n| own(1, n * 10 * MINUTE));
    let burst = (0..400).map(|n| own(1, 20 * DAY + HOUR + n * SECOND));
    let told = judged(&steady.chain(burst).collect::<Vec<Usage>>());
    assert!(!told.alerts.is_empty() && told.alerts.iter().all(adds_up), "{:?}", told.alerts);
    let is_held =
        |alert: &Alert| alert.reasons.iter().any(|why| why.how.ends_with("alone at most"));
    assert!(told.alerts.iter().any(is_held), "{:?}", told.alerts);
}

#[test]
fn a_burst_that_was_expected_is_not_told_the_next_time() {
    let steady = |days: std::ops::Range<i64>| {
        days.flat_map(|day| (0..144).map(move |n| own(1, day * DAY + n * 10 * MINUTE)))
    };
    // Turned away, so that a second one is not as many as before.
    let turned_away = |usage| Usage { status: Some(429), ..usage };
    let burst =
        |day: i64| (0..400).map(move |n| turned_away(own(1, day * DAY + HOUR + n * SECOND)));
    let usages: Vec<Usage> =
        steady(0..20).chain(burst(20)).chain(steady(21..24)).chain(burst(24)).collect();
    let told = judged(&usages);
    let days = |books: &Books| -> BTreeSet<i64> {
        books.alerts.iter().map(|alert| alert.time.since(START) / DAY).collect()
    };
    assert_eq!(days(&told), BTreeSet::from([20, 24]));
    assert!(told.alerts.iter().all(adds_up), "{:?}", told.alerts);
    let first: Vec<&Alert> =
        told.alerts.iter().filter(|alert| alert.time < START.plus(21 * DAY)).collect();
    let expected = Word::of(Verdict::Expected, START.plus(22 * DAY), &first).unwrap();
    let books = judged_with(&usages, &[Word { number: 1, ..expected }]);
    assert_eq!(days(&books), BTreeSet::from([20]));
}
