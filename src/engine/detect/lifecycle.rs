//! `lifecycle`: a token in use that soon ends and has no successor, and a JWT that lives for too long.
//!
//! Both are judged at a use, never by a timer: nobody misses a token that is not used.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures};
use crate::engine::posture::is_worth_a_word;
use crate::engine::profile::{Many, Told, section};
use crate::engine::registry::Registered;
use crate::engine::stats::units;
use crate::engine::time::{DAY, SECOND, Timestamp};
use crate::engine::usage::{Identity, Usage};

use super::words::{grouped, span_of};
use super::{Case, DAY_HOURS, Detector, Judgement::Exposure, because, fact, rest, state};

const NAME: &str = "lifecycle";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a registered token that is accepted ends within 30, 7 or 1 days and has no successor, once each; or a JWT that is not new here was issued for more than 90 days, or without an end: once in thirty days, of each sort twenty-one in thirty days",
    facts: &[
        fact(
            "lifecycle.what",
            "expires, expires-soon, lives-long, lives-too-long or never-expires (the last three: JWTs)",
        ).one_of(&LIFECYCLES),
        fact("lifecycle.days", "whole days until it expires, or for which it was issued"),
    ],
    judge: Exposure(judge),
};

section! {
    /// When a token ends too soon, or too late.
    Lifecycle = "lifecycle" {
        /// Days before the end in the registry that are worth a note.
        notice_days = 30.0, "d", "own choice: a month to plan a rotation";
        /// Days before it from which it is urgent.
        soon_days = 7.0, "d", "GitLab mails 7 days before a token expires";
        /// Days before it from which it is told once more.
        last_days = 1.0, "d", "own choice: the last day on which nothing has failed yet";
        /// Days for which a JWT may be issued.
        long_days = 90.0, "d", "Panther: 90 days for tokens of Databricks";
        /// Days beyond which its lifetime is too long.
        too_long_days = 365.0, "d", "GitLab: 365 days at most";
    }
}

const EXPIRES: &str = "expires";
const EXPIRES_SOON: &str = "expires-soon";
const LIVES_LONG: &str = "lives-long";
const LIVES_TOO_LONG: &str = "lives-too-long";
const NEVER_EXPIRES: &str = "never-expires";

/// All that `lifecycle.what` may be.
const LIFECYCLES: [&str; 5] = [EXPIRES, EXPIRES_SOON, LIVES_LONG, LIVES_TOO_LONG, NEVER_EXPIRES];

/// What is to be told.
struct News {
    what: &'static str,
    days: Option<i64>,
    text: String,
}

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    if !case.placed.usage.is_accepted() {
        return;
    }
    // If both are true, the other is told at the next use.
    let news = ending(case, told).or_else(|| lasting(case, told, exposures));
    let Some(News { what, days, text }) = news else { return };
    state(facts, "lifecycle.what", Value::Text(SmolStr::new_static(what)));
    if let Some(days) = days {
        state(facts, "lifecycle.days", Value::Int(days));
    }
    because(facts, NAME, 0.0, text);
}

/// Returns what to tell of a registered token that soon ends and has no successor. The end that a JWT states does not
/// count: its client gets the next one by itself.
fn ending(case: &Case<'_>, told: &mut Told) -> Option<News> {
    let (usage, params) = (case.placed.usage, &case.params.lifecycle);
    let row = case.row.filter(|row| row.is_sound(usage.time) && !has_successor(row))?;
    let end = row.expires_at?;
    let left = end.since(usage.time);
    let stages = [
        (params.last_days, EXPIRES_SOON),
        (params.soon_days, EXPIRES_SOON),
        (params.notice_days, EXPIRES),
    ];
    let (stage, what) = stages.into_iter().find(|(days, _)| left <= units(*days, DAY))?;
    // What a JWT states is nothing to the end of a principal that is registered by name.
    let stated = usage.claims.issued_at.filter(|_| row.token.is_some());
    if !is_worth_a_word(units(stage, DAY), end, row.issued_at.or(stated)) {
        return None;
    }
    // Its end is part of the key: with a later one, everything is news again.
    let token = [case.series(), &end.0.to_be_bytes()].concat();
    let hours = params.notice_days * DAY_HOURS;
    let many = case.tell_one(told, NAME, [&stage.to_be_bytes(), &token], hours)?;
    let further = match many {
        Many::One(_) => "",
        Many::Further(_) => ", as do further ones of its principal",
    };
    let days = left.div_euclid(DAY);
    let left = span_of(left.div_euclid(SECOND));
    let text = format!("expires in {left}, and has no successor in the registry{further}");
    Some(News { what, days: Some(days), text })
}

fn has_successor(row: &Registered) -> bool {
    !row.rotated_to.is_empty() || row.rotated_at.is_some()
}

/// Returns what to tell of a JWT with a long life. Each principal of its issuer has such JWTs, so only the first few
/// are told of; and none that is new here: whoever makes some up for a public page would fill that room.
fn lasting(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures) -> Option<News> {
    let (what, days) = life_of(case)?;
    if case.is_new_here() {
        return None;
    }
    let of = if what == LIVES_LONG { Exposed::Lasting } else { Exposed::Endless };
    let hours = case.params.repeat.new_hours;
    let tell = |told: &mut Told| case.tell(told, NAME, &[what.as_bytes()], hours);
    let (_, room) = case.tell_one_of(told, (exposures, Some(of)), tell)?;
    let life = match days.and_then(|days| u32::try_from(days).ok()) {
        Some(days) => format!("for {} days", grouped(days.into())),
        None => "without an end (exp)".to_owned(),
    };
    let text = format!("a JWT that was issued {life}, as its issuer is set up{}", rest(room));
    Some(News { what, days, text })
}

/// Returns what a JWT's life is if it is a long one, and its days.
fn life_of(case: &Case<'_>) -> Option<(&'static str, Option<i64>)> {
    let (usage, params) = (case.placed.usage, &case.params.lifecycle);
    let Some(end) = usage.claims.expires_at else {
        return is_jwt(usage).then_some((NEVER_EXPIRES, None));
    };
    let life = end.since(issued(usage));
    let bounds = [(params.too_long_days, LIVES_TOO_LONG), (params.long_days, LIVES_LONG)];
    let (_, what) = bounds.into_iter().find(|(days, _)| units(*days, DAY) < life)?;
    Some((what, Some(life.div_euclid(DAY))))
}

/// Returns when a JWT was issued: if it does not say so, no later than it was used.
fn issued(usage: &Usage) -> Timestamp {
    let claims = &usage.claims;
    claims.issued_at.or(claims.not_before).unwrap_or(usage.time)
}

/// Returns whether the token is a JWT of which something was read: of one that is too long, nothing is known.
fn is_jwt(usage: &Usage) -> bool {
    let claims = &usage.claims;
    let has_time = claims.issued_at.or(claims.not_before).is_some();
    has_time || matches!(usage.identity, Some(Identity::Jwt { .. }))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{reasons, row};
    use super::*;
    use crate::engine::posture::{Kind, Limits, Listing, Posture, Standing};
    use crate::engine::profile::tests::{Life, START, berlin, usage};
    use crate::engine::secret::TokenId;
    use crate::engine::time::HOUR;
    use crate::engine::usage::Claims;

    /// What is told of a use, and of how many days.
    type Told = Option<(&'static str, Option<i64>)>;

    fn told(life: &mut Life, used: &Usage, row: Option<&Registered>) -> Told {
        let facts = life.judged(used, &berlin(), row);
        let what = LIFECYCLES.into_iter().find(|what| {
            facts.get("lifecycle.what") == Some(&Value::Text(SmolStr::new_static(what)))
        });
        let days = match facts.get("lifecycle.days") {
            Some(Value::Int(days)) => Some(*days),
            _ => None,
        };
        what.map(|what| (what, days))
    }

    /// A registered token that ends so many days after the start.
    fn ends(days: i64) -> Registered {
        Registered { expires_at: Some(START.plus(days * DAY)), ..row() }
    }

    #[test]
    fn a_registered_token_that_ends_is_told_a_month_a_week_and_a_day_before() {
        let (mut life, row) = (Life::default(), ends(40));
        let mut news = Vec::new();
        for hour in 0..41 * 24 {
            let of = told(&mut life, &usage(hour * HOUR), Some(&row));
            news.extend(of.map(|(what, days)| (hour, what, days)));
        }
        let expected = [
            (10 * 24, EXPIRES, Some(30)),
            (33 * 24, EXPIRES_SOON, Some(7)),
            (39 * 24, EXPIRES_SOON, Some(1)),
        ];
        assert_eq!(news, expected);
    }

    #[test]
    fn a_token_with_a_successor_or_without_a_future_does_not_end_unexpectedly() {
        let is_told = |row: &Registered| told(&mut Life::default(), &usage(0), Some(row)).is_some();
        assert!(
            is_told(&ends(5)) && !is_told(&ends(31)) && !is_told(&row()) && !is_told(&ends(-1))
        );
        assert!(!is_told(&Registered { rotated_to: "orders-2".into(), ..ends(5) }));
        assert!(!is_told(&Registered { rotated_at: Some(START.plus(DAY)), ..ends(5) }));
        for at in [START, START.plus(-DAY)] {
            assert!(!is_told(&Registered { revoked_at: Some(at), ..ends(5) }));
            assert!(!is_told(&Registered { leaked_at: Some(at), ..ends(5) }));
        }
        assert!(!is_told(&Registered { decoy: true, ..ends(5) }));
        for status in [Some(302), Some(401), Some(500)] {
            let refused = Usage { status, ..usage(0) };
            assert_eq!(told(&mut Life::default(), &refused, Some(&ends(5))), None, "{status:?}");
        }
    }

    #[test]
    fn a_token_is_not_about_to_end_in_the_first_half_of_its_life() {
        let of = |left: i64, life: i64| {
            let issued_at = Some(START.plus((left - life) * DAY));
            told(&mut Life::default(), &usage(0), Some(&Registered { issued_at, ..ends(left) }))
        };
        assert_eq!(of(7, 7), None);
        assert_eq!(of(1, 7), Some((EXPIRES_SOON, Some(1))));
        assert_eq!(of(1, 1), None);
        assert_eq!(of(30, 59), None);
        assert_eq!(of(30, 60), Some((EXPIRES, Some(30))));
        assert_eq!(of(7, 30), Some((EXPIRES_SOON, Some(7))));
    }

    #[test]
    fn a_principal_that_ends_was_not_told_by_its_short_lived_jwts() {
        let row = Registered { token: None, ..ends(20) };
        assert_eq!(
            told(&mut Life::default(), &jwt(Some(2), Some(3)), Some(&row)),
            Some((EXPIRES, Some(18)))
        );
    }

    /// Names what an audit finds about the end of a token that is registered so.
    fn finds_end(row: &Registered) -> bool {
        let (issued_at, expires_at) = (row.issued_at, row.expires_at);
        let listing = Listing { is_own: true, issued_at, expires_at, ..Listing::default() };
        let token = Standing { listing: Some(listing), ..Standing::default() };
        let limits = Limits::default();
        let found = Posture::of(&token, &limits, START).findings(&limits, START);
        found.iter().any(|finding| finding.kind == Kind::ExpiresSoon)
    }

    #[test]
    fn an_audit_said_of_a_token_that_was_just_issued_that_it_expires_soon() {
        for life in [1, 2, 7, 13, 14, 20, 59, 60, 365] {
            for left in 1..=life.min(40) {
                let issued_at = Some(START.plus((left - life) * DAY));
                let row = Registered { issued_at, ..ends(left) };
                let is_told = told(&mut Life::default(), &usage(0), Some(&row)).is_some();
                assert_eq!(finds_end(&row), is_told, "{left} of {life} days");
            }
        }
        assert!(!finds_end(&Registered { issued_at: Some(START), ..ends(7) }));
        assert!(finds_end(&ends(7)), "nobody knows for how long");
    }

    #[test]
    fn a_later_end_is_told_anew_and_of_many_tokens_a_few_by_name() {
        let mut life = Life::default();
        assert_eq!(told(&mut life, &usage(0), Some(&ends(5))), Some((EXPIRES_SOON, Some(5))));
        assert_eq!(told(&mut life, &usage(HOUR), Some(&ends(5))), None);
        let later = Some((EXPIRES_SOON, Some(6)));
        assert_eq!(told(&mut life, &usage(4 * DAY), Some(&ends(10))), later);
        let mut life = Life::default();
        let mut all = Vec::new();
        for token in 0..20 {
            let used = Usage { token: TokenId([token; 16]), ..usage(0) };
            all.extend(reasons(&life.judged(&used, &berlin(), Some(&ends(5))), NAME));
        }
        assert_eq!(all.len(), 6);
        assert_eq!(all[0], "expires in 5 days, and has no successor in the registry");
        assert!(all[5].ends_with("registry, as do further ones of its principal"), "{all:?}");
    }

    /// A use on the second day, by which its principal is known, of a JWT with these claims, in days of the start.
    fn jwt(issued: Option<i64>, expires: Option<i64>) -> Usage {
        let at = |days: Option<i64>| days.map(|days| START.plus(days * DAY));
        let (issued_at, expires_at) = (at(issued), at(expires));
        Usage { claims: Claims { issued_at, expires_at, ..Claims::default() }, ..usage(2 * DAY) }
    }

    fn known() -> Life {
        let mut life = Life::default();
        life.steady(2);
        life
    }

    #[test]
    fn a_jwt_that_lives_long_is_told_by_its_lifetime() {
        let of = |issued, expires| told(&mut known(), &jwt(issued, expires), None);
        assert_eq!(of(Some(0), Some(90)), None);
        assert_eq!(of(Some(0), Some(91)), Some((LIVES_LONG, Some(91))));
        assert_eq!(of(Some(0), Some(365)), Some((LIVES_LONG, Some(365))));
        assert_eq!(of(Some(-360), Some(6)), Some((LIVES_TOO_LONG, Some(366))));
        assert_eq!(of(Some(0), None), Some((NEVER_EXPIRES, None)));
        assert_eq!(of(None, Some(92)), None, "it may have been issued when it was used");
        assert_eq!(of(None, Some(93)), Some((LIVES_LONG, Some(91))));
        assert_eq!(of(None, None), None, "nothing shows that it is a JWT");
        let (issuer, subject) = ("https://id.example.org".into(), "ann".into());
        let named = Usage { identity: Some(Identity::Jwt { issuer, subject }), ..jwt(None, None) };
        assert_eq!(told(&mut known(), &named, None), Some((NEVER_EXPIRES, None)));
    }

    #[test]
    fn a_jwt_that_is_new_here_or_refused_lives_as_long_as_it_likes() {
        let endless = jwt(Some(0), None);
        assert_eq!(told(&mut Life::default(), &endless, None), None);
        let refused = Usage { status: Some(401), ..endless.clone() };
        assert_eq!(told(&mut known(), &refused, None), None);
        assert!(told(&mut Life::default(), &endless, Some(&row())).is_some(), "registered");
    }

    #[test]
    fn a_long_life_is_told_once_a_month_and_whose_doing_it_is() {
        let mut life = known();
        let mut texts = |day: i64, issued, expires| {
            let used = Usage { time: START.plus(day * DAY), ..jwt(issued, expires) };
            reasons(&life.judged(&used, &berlin(), None), NAME)
        };
        let endless = ["a JWT that was issued without an end (exp), as its issuer is set up"];
        let long = ["a JWT that was issued for 1,000 days, as its issuer is set up"];
        assert_eq!(texts(2, Some(0), None), endless);
        assert_eq!(texts(3, Some(0), Some(1000)), long);
        assert_eq!(texts(4, Some(1), None), [""; 0]);
        assert_eq!(texts(32, Some(0), None), endless);
    }

    #[test]
    fn the_end_of_a_jwt_alone_is_no_news_and_of_two_stories_one_is_told_at_a_time() {
        assert_eq!(told(&mut known(), &jwt(Some(0), Some(3)), Some(&row())), None);
        let (mut life, row) = (known(), ends(6));
        let mut next = |hour: i64| {
            let endless = jwt(Some(-30), None);
            told(&mut life, &Usage { time: endless.time.plus(hour * HOUR), ..endless }, Some(&row))
        };
        assert_eq!(next(0), Some((EXPIRES_SOON, Some(4))));
        assert_eq!(next(1), Some((NEVER_EXPIRES, None)));
        assert_eq!(next(2), None);
    }
}
