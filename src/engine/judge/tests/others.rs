//! What others do, and whom it excuses.

use super::*;

/// Twenty days of registered tokens, and one of them stolen at the end: what is told of it.
fn theft_beside(others: impl Iterator<Item = Usage>) -> Vec<(Level, String)> {
    let days = (0..20).flat_map(|n| [own(1, n * DAY), own(6, n * DAY + MINUTE)]);
    let mut usages: Vec<Usage> = days.chain(others).chain([stranger(1, 20 * DAY)]).collect();
    usages.sort_by_key(|usage| usage.time);
    let of_orders = |alert: &Alert| alert.principal == "orders";
    let alerts = judged(&usages).alerts.into_iter().filter(of_orders);
    alerts.map(|alert| (alert.rule.level, alert.reason)).collect()
}

/// What tokens do that somebody made up and a public page answers: at one place, then at the stranger's, all at
/// once.
fn made_up(from: i64) -> impl Iterator<Item = Usage> {
    let at_home = move |n: u8| (from..19).map(move |day| own(n, day * DAY + i64::from(n) * MINUTE));
    let tokens = || 100..110;
    tokens()
        .flat_map(at_home)
        .chain(tokens().map(|n| stranger(n, 19 * DAY + HOUR + i64::from(n) * SECOND)))
}

#[test]
fn tokens_that_somebody_made_up_excuse_nobody() {
    let told = theft_beside(std::iter::empty());
    assert!(told.iter().any(|(level, _)| *level == Level::Critical));
    assert_eq!(theft_beside(made_up(17)), told);
    assert_eq!(theft_beside(made_up(19)), told);
    // there were enough of them, had they lived long enough
    assert_ne!(theft_beside(made_up(2)), told);
}
