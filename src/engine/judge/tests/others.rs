//! What others do, and whom it excuses.

use super::*;

/// A token used from another provider in another country.
fn elsewhere(n: u8, micros: i64) -> Usage {
    Usage { client: Some("198.51.100.7".parse().unwrap()), ..own(n, micros) }
}

/// Returns what is reported about a theft after twenty days of registered tokens.
fn theft_beside(others: impl Iterator<Item = Usage>) -> Vec<(Level, String)> {
    let days = (0..20).flat_map(|n| [own(1, n * DAY), own(6, n * DAY + MINUTE)]);
    let mut usages: Vec<Usage> = days.chain(others).chain([elsewhere(1, 20 * DAY)]).collect();
    usages.sort_by_key(|usage| usage.time);
    let of_orders = |alert: &Alert| alert.principal == "orders";
    let alerts = judged(&usages).alerts.into_iter().filter(of_orders);
    alerts.map(|alert| (alert.rule.level, alert.reason)).collect()
}

/// What tokens do that somebody made up and a public page answers: at one place, then at the thief's, all at
/// once.
fn made_up(from: i64) -> impl Iterator<Item = Usage> {
    let at_home = move |n: u8| (from..19).map(move |day| own(n, day * DAY + i64::from(n) * MINUTE));
    let tokens = || 100..110;
    tokens()
        .flat_map(at_home)
        .chain(tokens().map(|n| elsewhere(n, 19 * DAY + HOUR + i64::from(n) * SECOND)))
}

#[test]
fn tokens_that_somebody_made_up_excuse_nobody() {
    let told = theft_beside(std::iter::empty());
    assert!(told.iter().any(|(level, _)| *level >= Level::High));
    assert_eq!(theft_beside(made_up(17)), told);
    assert_eq!(theft_beside(made_up(19)), told);
    // there were enough of them, had they lived long enough
    assert_ne!(theft_beside(made_up(2)), told);
}

/// Twelve registered tokens at home for 20 days.
fn fleet() -> (Judge, Vec<Usage>) {
    let row = |n: u8| Registered {
        token: Some(TokenId([n; 16])),
        name: format!("service-{n}").into(),
        ..Registered::default()
    };
    let registry = Registry::new((1..=12).map(row));
    let judge = Judge::new(Params::default(), RuleSet::built_in(), registry, Policy::default());
    let own = |n: u8, hour: i64| own(n, hour * HOUR + i64::from(n) * SECOND);
    (judge, (0..480).step_by(6).flat_map(|hour| (1..=12).map(move |n| own(n, hour))).collect())
}

/// Returns what is reported from the twenty-first day on: rule and principal.
fn told(mut judge: Judge, usages: &[Usage]) -> Vec<(String, String)> {
    let mut memory = Memory::new(64);
    Books::default().judge(&mut memory, &mut judge, usages);
    let late = |alert: &Alert| alert.time >= START.plus(20 * DAY);
    let alerts = memory.take().alerts.into_iter().filter(late);
    alerts.map(|alert| (alert.rule.name.to_string(), alert.principal.to_string())).collect()
}

fn count(told: &[(String, String)], rule: &str) -> usize {
    told.iter().filter(|(name, _)| name == rule).count()
}

#[test]
fn a_deployment_is_one_piece_of_news_and_not_one_for_each() {
    let (judge, mut usages) = fleet();
    let agent = Agent { family: "gateway".into(), version: "1.0".into() };
    let new = |n: u8| Usage { agent: agent.clone(), ..own(n, 20 * DAY + i64::from(n) * SECOND) };
    usages.extend((1..=12).map(new));
    let told = told(judge, &usages);
    // the first four were there before anybody knew
    assert_eq!((count(&told, "fleet-change"), count(&told, "new-client")), (1, 4), "{told:?}");
}

#[test]
fn many_tokens_stolen_at_once_are_told_each_if_place_and_program_are_new() {
    let (judge, mut usages) = fleet();
    usages.extend((1..=12).map(|n| stranger(n, 20 * DAY + i64::from(n) * SECOND)));
    let told = told(judge, &usages);
    assert_eq!((count(&told, "fleet-change"), count(&told, "unusual-use")), (1, 12), "{told:?}");
}

#[test]
fn a_thief_of_many_tokens_made_his_program_a_usual_one() {
    let (judge, mut usages) = fleet();
    usages.extend((1..=5).map(|n| stranger(n, 20 * DAY + i64::from(n) * SECOND)));
    let curl = stranger(12, 0).agent;
    usages.push(Usage { agent: curl, ..own(12, 21 * DAY) });
    let told = told(judge, &usages);
    let of_last = ("new-client".to_owned(), "service-12".to_owned());
    assert!(told.contains(&of_last), "{told:?}");
}

#[test]
fn whose_tokens_move_abroad_to_rented_machines_is_told_for_each() {
    let (judge, mut usages) = fleet();
    let moved = |n: u8| Usage { agent: usage(0).agent, ..stranger(n, 20 * DAY + i64::from(n)) };
    usages.extend((1..=12).map(moved));
    let told = told(judge, &usages);
    assert_eq!((count(&told, "fleet-change"), count(&told, "unusual-use")), (1, 12), "{told:?}");
}

#[test]
fn when_nobody_called_for_a_month_each_token_was_said_to_wake() {
    let days = |days: std::ops::Range<i64>| days.flat_map(|day| (0..4).map(move |n| 4 * day + n));
    let of = |n: u8, at: i64| own(n, at * 6 * HOUR + i64::from(n) * SECOND);
    // One of them rests later, while the others go on.
    let all = days(0..20).chain(days(52..120)).flat_map(|at| (30..34).map(move |n| of(n, at)));
    let rest = START.plus(60 * DAY)..START.plus(110 * DAY);
    let is_asleep = |usage: &Usage| usage.token == own(33, 0).token && rest.contains(&usage.time);
    let usages: Vec<Usage> = all.filter(|usage| !is_asleep(usage)).collect();
    let told = told(judge(), &usages);
    let woke: Vec<_> = told.iter().filter(|(rule, _)| rule == "dormant-token-woke").collect();
    assert_eq!(woke, [&("dormant-token-woke".into(), own(33, 0).token.to_string())]);
    assert_eq!(count(&told, "unusual-use"), 0, "{told:?}");
}

/// All come from one provider of another city once; weeks later one of them comes again.
#[test]
fn what_many_did_once_is_not_learned() {
    let (judge, mut usages) = fleet();
    let lagos = |n: u8, at: i64| elsewhere(n, at + i64::from(n) * SECOND);
    usages.extend((1..=12).map(|n| lagos(n, 20 * DAY)));
    usages.extend((21..42).flat_map(|day| (1..=12).map(move |n| own(n, day * DAY))));
    let before = told(fleet().0, &usages);
    assert_eq!(
        (count(&before, "fleet-change"), count(&before, "unusual-use")),
        (1, 4),
        "{before:?}"
    );
    usages.push(lagos(9, 42 * DAY));
    let after = told(judge, &usages);
    assert_eq!(count(&after[before.len()..], "unusual-use"), 1, "{after:?}");
}

/// A company that stays where it moved to is no news when the two weeks are over.
#[test]
fn what_many_do_on_three_days_is_learned() {
    let (judge, mut usages) = fleet();
    let lagos = |n: u8, day: i64| elsewhere(n, day * DAY + i64::from(n) * SECOND);
    usages.extend((20..60).flat_map(|day| (1..=12).map(move |n| lagos(n, day))));
    let told = told(judge, &usages);
    let of_those_after = |n: u8| told.iter().any(|(_, of)| *of == format!("service-{n}"));
    assert!(!(5..=12).any(of_those_after), "{told:?}");
}

#[test]
fn who_changed_first_is_named_and_what_is_not_told_of_others_is_said() {
    let (mut judge, mut usages) = fleet();
    usages.extend((1..=12).map(|n| elsewhere(n, 20 * DAY + i64::from(n) * SECOND)));
    let mut memory = Memory::new(64);
    Books::default().judge(&mut memory, &mut judge, &usages);
    let alerts = memory.take().alerts;
    let alert = alerts.iter().find(|alert| alert.rule.name == "fleet-change").unwrap();
    let text = "network AS64666 Example, not usual for any of them, is used by 5 principals so far, within 1 min: \
                service-1, service-2, service-3, service-4, service-5; stolen tokens would look the same; for the next \
                14 days this change alone raises no alert for other tokens";
    assert_eq!(alert.reason, text);
}

/// A person confirms that many moved because they were stolen: nothing excuses the others from then on.
#[test]
fn what_many_did_is_held_against_all_once_it_is_confirmed() {
    let (mut judge, mut usages) = fleet();
    usages.extend((1..=5).map(|n| elsewhere(n, 20 * DAY + i64::from(n) * SECOND)));
    usages.extend((6..=12).map(|n| elsewhere(n, 21 * DAY + i64::from(n) * SECOND)));
    let mut memory = Memory::new(64);
    Books::default().judge(&mut memory, &mut judge, &usages);
    let alerts = memory.take().alerts;
    let alert = alerts.iter().find(|alert| alert.rule.name == "fleet-change").unwrap();
    let word = |number: u32, verdict, hours: i64| {
        let at = START.plus(20 * DAY + hours * HOUR);
        Word { number, ..Word::of(verdict, at, &[alert]).unwrap() }
    };
    let of_those_after = |words: Vec<Word>| {
        let mut judge = fleet().0;
        judge.policy.words = Words::new(words);
        let told = told(judge, &usages);
        (6..=12)
            .filter(|n| told.contains(&("unusual-use".to_owned(), format!("service-{n}"))))
            .count()
    };
    let confirmed = word(1, Verdict::Confirmed, 1);
    assert_eq!(of_those_after(vec![]), 0);
    assert_eq!(of_those_after(vec![confirmed.clone()]), 7);
    assert_eq!(of_those_after(vec![confirmed, word(2, Verdict::Expected, 2)]), 0);
}

/// Each asks ten times for what is not there: for the same, or for something of its own.
fn faulty(path: impl Fn(u8) -> String) -> Vec<Usage> {
    missing(10, path)
}

fn missing(n_times: i64, path: impl Fn(u8) -> String) -> Vec<Usage> {
    let ask = |n: u8, nth: i64| Usage {
        route: path(n).into(),
        status: Some(404),
        ..own(n, 20 * DAY + i64::from(n) * MINUTE + nth * SECOND)
    };
    (1..=12).flat_map(|n| (0..n_times).map(|nth| ask(n, nth)).collect::<Vec<_>>()).collect()
}

/// The same fleet, of which no burst is evidence: what follows is about errors.
fn unhurried() -> (Judge, Vec<Usage>) {
    let (mut judge, usages) = fleet();
    judge.params.profile.caps.rate = 0.0;
    (judge, usages)
}

/// Returns how many principals are reported as unusual, at whichever levels.
fn n_unusual(told: &[(String, String)]) -> usize {
    let unusual = told.iter().filter(|(rule, _)| rule == "unusual-use");
    unusual.map(|(_, of)| of).collect::<BTreeSet<_>>().len()
}

#[test]
fn a_few_missing_files_of_many_were_a_fault() {
    let (judge, mut usages) = unhurried();
    usages.extend(missing(4, |_| "/v1/items/{id}".to_owned()));
    let told = told(judge, &usages);
    assert_eq!((count(&told, "fleet-change"), n_unusual(&told)), (0, 0), "{told:?}");
}

#[test]
fn a_walk_through_ids_during_a_fault_was_not_told() {
    let (judge, mut usages) = unhurried();
    usages.extend(faulty(|_| "/v1/orders/{id}".to_owned()));
    usages.extend((0..30).map(|nth: u8| Usage {
        object: Some(Object { hash: nth.into(), number: Some(nth.into()) }),
        route: "/v1/orders/{id}".into(),
        status: Some(404),
        ..own(12, 20 * DAY + 2 * HOUR + i64::from(nth) * SECOND)
    }));
    assert_eq!(count(&told(judge, &usages), "object-enumeration"), 1);
}

#[test]
fn a_faulty_release_was_told_for_everybody_who_met_it() {
    let (judge, mut usages) = unhurried();
    usages.extend(faulty(|_| "/v2/orders".to_owned()));
    // Another error of somebody who met it is the first of his own.
    usages.push(Usage {
        route: "/favicon.ico".into(),
        status: Some(404),
        ..own(12, 20 * DAY + HOUR)
    });
    let told = told(judge, &usages);
    // the first five met it before anybody knew
    assert_eq!((count(&told, "fleet-change"), n_unusual(&told)), (1, 5), "{told:?}");
}

#[test]
fn a_fault_that_refuses_every_object_is_no_enumeration_of_each_token() {
    let (judge, mut usages) = unhurried();
    let ask = |n: u8, nth: u8| Usage {
        object: Some(Object { hash: u32::from(nth) << 8 | u32::from(n), number: None }),
        route: "/v1/orders/{id}".into(),
        status: Some(403),
        ..own(n, 20 * DAY + i64::from(n) * MINUTE + i64::from(nth) * SECOND)
    };
    usages.extend((1..=12).flat_map(|n| (0..30).map(move |nth| ask(n, nth))));
    // A walk elsewhere on the same day is none of the fault's.
    usages.extend((0..30).map(|nth| {
        let asked = ask(12, nth);
        Usage { time: asked.time.plus(2 * HOUR), route: "/v1/users/{id}".into(), ..asked }
    }));
    let told = told(judge, &usages);
    // until the fifth meets it, nobody knows
    assert_eq!(count(&told, "object-enumeration"), 5, "{told:?}");
}

#[test]
fn a_second_fault_of_the_day_is_told_as_well() {
    let (judge, mut usages) = unhurried();
    usages.extend(faulty(|_| "/v2/orders".to_owned()));
    let later = |usage: Usage| Usage { time: usage.time.plus(6 * HOUR), ..usage };
    usages.extend(faulty(|_| "/v3/payouts".to_owned()).into_iter().map(later));
    assert_eq!(count(&told(judge, &usages), "fleet-change"), 2);
}

#[test]
fn errors_that_have_nothing_in_common_are_told_for_each() {
    let (judge, mut usages) = unhurried();
    usages.extend(faulty(|n| format!("/v2/{n}/orders")));
    let told = told(judge, &usages);
    assert_eq!((count(&told, "fleet-change"), n_unusual(&told)), (0, 12), "{told:?}");
}

#[test]
fn a_thief_during_a_faulty_release_is_told_all_the_same() {
    let (judge, mut usages) = unhurried();
    usages.extend(faulty(|_| "/v2/orders".to_owned()));
    usages.push(stranger(12, 20 * DAY + HOUR));
    let told = told(judge, &usages);
    assert_eq!((count(&told, "fleet-change"), n_unusual(&told)), (1, 6), "{told:?}");
}
