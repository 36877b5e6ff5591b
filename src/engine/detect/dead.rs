//! `dead-token-tried`: somebody has found a token that is no longer valid, and the server refuses it.
//!
//! Most refusals come from a client that was not informed: it continues past the token's end, which is
//! news only once. Somebody has found the token if it is tried after it had come to rest, or from a network
//! and by a client that its principal never used. (docs/detection.md, Dead tokens.)

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Family, Told, report_key, section};
use crate::engine::stats::units;
use crate::engine::time::{HOUR, SECOND, Timestamp};
use crate::engine::usage::Outcome;

use super::words::span_of;
use super::{Case, Detector, Judgement::Usage, Params, because, fact, state, usual};

const NAME: &str = "dead-token-tried";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the server refused a dead token that nobody had tried for a while, or that a stranger tried; a stale client, once",
    facts: &[
        fact("dead.seconds", "seconds since the token's end"),
        fact("dead.how", "expired, revoked or rotated").one_of(&["expired", "revoked", "rotated"]),
        fact("dead.rested", "seconds since it was last tried or accepted, or since its end"),
        fact("dead.is_stranger", "whether network and client are new to its principal").is_so(),
        fact("dead.is_stale", "whether it is only a client that keeps trying").is_so(),
    ],
    judge: Usage(judge),
};

section! {
    /// When a dead token is at rest.
    Dead = "dead" {
        /// Hours without a try after the token's end.
        rest_hours = 24.0, "h", "own choice: what runs at all runs once a day";
        /// How long a stale client is remembered.
        stale_days = 30.0, "d", "own choice: one reminder a month";
    }
}

/// The end of a token.
#[derive(Clone, Copy)]
struct End {
    at: Timestamp,
    how: &'static str,
    /// Known from the token alone: its owner's client requests a new one when it is refused.
    is_planned: bool,
}

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let (usage, signals, params) = (case.placed.usage, case.signals, &case.params.dead);
    let Some(end) = end_of(case) else { return };
    let outcome = usage.outcome();
    if !matches!(outcome, Outcome::Denied | Outcome::Ok) {
        return;
    }
    // JWTs expire by the dozen: each would push out another report.
    let rest_least = units(params.rest_hours, HOUR);
    let what = report_key(b"dead", &[&usage.token.0]);
    // Whoever is not among the last of many may have been forgotten: nothing says that it rested.
    let may_be_forgotten = !end.is_planned && told.may_forget(b"dead", usage.time, rest_least);
    let last = if end.is_planned { None } else { told.touch(what, usage.time) };
    // While a server goes on accepting it, it is not at rest; `revoked` and its like report that.
    if outcome == Outcome::Ok {
        return;
    }
    let Some(known_since) = signals.known_since else { return };
    let since = last.map_or(end.at, |last| last.max(end.at));
    let rest = usage.time.since(since.max(known_since));
    let is_rested = rest >= rest_least && (last.is_some() || !may_be_forgotten);
    let is_stranger = signals.novel.has(Family::Client) && is_elsewhere(case);
    let is_found = is_stranger || (is_rested && !end.is_planned);
    let is_old = usage.time.since(end.at) >= rest_least;
    let is_stale = !is_found && !is_rested && is_old && (last.is_some() || may_be_forgotten);
    let stale_hours = params.stale_days * super::DAY_HOURS;
    // Somebody who found it is reported; the next tries are not those of a stale client.
    let is_first = (is_found || is_stale)
        && case.tell_one(told, "stale", [&[], &usage.token.0], stale_hours).is_some();
    let is_news = match is_found {
        // A client that first tries the JWT that it has is told of once, not with each JWT.
        true if end.is_planned => case.tell_by_source(told, NAME, stale_hours).is_some(),
        true => case.tell_by_source(told, NAME, case.params.repeat.dead_hours).is_some(),
        false => is_stale && is_first,
    };
    if !is_news {
        return;
    }
    let seconds = usage.time.since(end.at).div_euclid(SECOND);
    state(facts, "dead.seconds", Value::Int(seconds));
    state(facts, "dead.how", Value::Text(SmolStr::new_static(end.how)));
    state(facts, "dead.rested", Value::Int(rest.div_euclid(SECOND)));
    state(facts, "dead.is_stranger", Value::Bool(is_stranger));
    state(facts, "dead.is_stale", Value::Bool(is_stale));
    usual(facts, "dead.seconds", Value::Int(0));
    let rest = rest.div_euclid(SECOND);
    let text = sentence(end.how, [seconds, rest].map(span_of), is_stranger, is_stale);
    because(facts, NAME, 0.0, text);
}

fn sentence(how: &str, [ago, rest]: [String; 2], is_stranger: bool, is_stale: bool) -> String {
    let what = if how == "expired" { how.to_owned() } else { format!("was {how}") };
    if is_stale {
        return format!("a client keeps trying {ago} after the token {what}");
    }
    let why = match is_stranger {
        true => "from a network and by a client never seen".to_owned(),
        false => format!("unused for {rest} before"),
    };
    format!("tried and refused {ago} after it {what}, {why}")
}

/// Returns whether the network, or the neighbourhood if the network is unknown, is not the principal's.
fn is_elsewhere(case: &Case<'_>) -> bool {
    let family = if case.placed.place.asn.is_some() { Family::Network } else { Family::Prefix };
    case.signals.novel.has(family)
}

/// Returns the earliest end that has passed: the registry's before the token's own.
fn end_of(case: &Case<'_>) -> Option<End> {
    let Params { expired, revoked, rotated, .. } = case.params;
    let passed = |at: Option<Timestamp>, how, grace| {
        case.seconds_after(at, grace)?;
        Some(End { at: at?, how, is_planned: false })
    };
    let row = case.row;
    let overlap = units(rotated.overlap_hours, HOUR);
    let rotated = row.and_then(|row| row.rotated_at).map(|at| at.plus(overlap));
    let registered = [
        passed(row.and_then(|row| row.revoked_at), "revoked", revoked.grace_seconds),
        passed(row.and_then(|row| row.expires_at), "expired", expired.grace_seconds),
        passed(rotated, "rotated", 0.0),
    ];
    let claimed = passed(case.placed.usage.claims.expires_at, "expired", expired.grace_seconds);
    let claimed = claimed.map(|end| End { is_planned: true, ..end });
    registered.into_iter().flatten().min_by_key(|end| end.at).or(claimed)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{reasons, row};
    use crate::engine::alert::Value;
    use crate::engine::geo::Place;
    use crate::engine::profile::tests::{Life, START, berlin, lagos, stolen, usage};
    use crate::engine::registry::Registered;
    use crate::engine::time::{DAY, HOUR, MINUTE, SECOND};
    use crate::engine::usage::{Claims, Usage};

    /// Returns what is reported about refused uses after five steady days: `(found, stale)`.
    fn told(uses: impl IntoIterator<Item = (Usage, Place)>, row: &Registered) -> (usize, usize) {
        let mut life = Life::default();
        life.steady(5);
        let (mut found, mut stale) = (0, 0);
        for (usage, place) in uses {
            let refused = Usage { status: Some(401), ..usage };
            let facts = life.judged(&refused, &place, Some(row));
            match facts.get("dead.is_stale") {
                Some(Value::Bool(true)) => stale += 1,
                Some(_) => found += 1,
                None => {}
            }
        }
        (found, stale)
    }

    #[test]
    fn a_revoked_token_had_the_grace_of_an_expired_one() {
        let end = Some(START.plus(5 * DAY));
        let half_a_minute_later = || [(stolen(5 * DAY + 30 * SECOND), lagos())];
        let revoked = Registered { revoked_at: end, ..row() };
        assert_eq!(told(half_a_minute_later(), &revoked), (1, 0));
        let expired = Registered { expires_at: end, ..row() };
        assert_eq!(told(half_a_minute_later(), &expired), (0, 0));
    }

    fn revoked() -> Registered {
        Registered { revoked_at: Some(START.plus(5 * DAY)), ..row() }
    }

    fn home(micros: i64) -> (Usage, Place) {
        (usage(micros), berlin())
    }

    #[test]
    fn a_token_at_rest_that_is_tried_is_told_wherever_it_is_tried() {
        assert_eq!(told([home(6 * DAY)], &revoked()), (1, 0));
        let again = (0..40).map(|n| home(7 * DAY + n * MINUTE));
        assert_eq!(told(again, &revoked()), (1, 0), "once, and no stale client");
        let days = (0..40).map(|n| home(7 * DAY + n * HOUR));
        assert_eq!(told(days, &revoked()), (1, 0), "nor the day after");
        let fresh = Registered { expires_at: Some(START.plus(5 * DAY)), ..row() };
        assert_eq!(told([home(8 * DAY)], &fresh), (1, 0));
    }

    #[test]
    fn a_stale_client_is_told_once() {
        let weeks = (0..2000).map(|n| home(5 * DAY + n * 10 * MINUTE));
        assert_eq!(told(weeks, &revoked()), (0, 1));
        let nightly = (0..20).map(|n| home(5 * DAY + 2 * HOUR + n * 23 * HOUR));
        assert_eq!(told(nightly, &revoked()), (0, 1));
        let a_day = (0..100).map(|n| home(5 * DAY + n * 10 * MINUTE));
        assert_eq!(told(a_day, &revoked()), (0, 0));
    }

    #[test]
    fn a_token_that_the_server_accepted_until_an_hour_ago_is_not_at_rest() {
        let mut life = Life::default();
        life.steady(5);
        let late = Registered { revoked_at: Some(START.plus(2 * DAY)), ..row() };
        for n in 0..24 {
            life.judged(&usage(5 * DAY + n * HOUR), &berlin(), Some(&late));
        }
        let refused = Usage { status: Some(401), ..usage(6 * DAY) };
        let facts = life.judged(&refused, &berlin(), Some(&late));
        assert_eq!(facts.get("dead.is_stale"), Some(&Value::Bool(true)), "{facts:?}");
    }

    #[test]
    fn a_stranger_is_told_at_once_and_the_owner_elsewhere_is_not() {
        let stranger = (stolen(5 * DAY + HOUR), lagos());
        assert_eq!(told([stranger], &revoked()), (1, 0));
        let travels = Usage { client: stolen(0).client, ..usage(5 * DAY + HOUR) };
        assert_eq!(told([(travels, lagos())], &revoked()), (0, 0));
    }

    #[test]
    fn a_laptop_that_slept_tries_its_old_jwt_and_is_not_told_of_but_a_stranger_is() {
        let claims = Claims { expires_at: Some(START.plus(5 * DAY)), ..Claims::default() };
        let slept = (Usage { claims: claims.clone(), ..usage(8 * DAY) }, berlin());
        assert_eq!(told([slept], &row()), (0, 0));
        let goes_on = |n| (Usage { claims: claims.clone(), ..usage(5 * DAY + n * HOUR) }, berlin());
        assert_eq!(told((1..200).map(goes_on), &row()), (0, 0));
        let replayed = (Usage { claims, ..stolen(8 * DAY) }, lagos());
        assert_eq!(told([replayed], &row()), (1, 0));
    }

    #[test]
    fn a_token_that_died_before_anything_was_known_is_at_rest_from_then_on() {
        let old = Registered { revoked_at: Some(START.plus(-90 * DAY)), ..row() };
        let first = Usage { status: Some(401), ..usage(0) };
        let facts = Life::default().judged(&first, &berlin(), Some(&old));
        assert_eq!(facts.get("dead.seconds"), None);
        assert_eq!(told([home(5 * DAY)], &old), (1, 0));
    }

    #[test]
    fn the_sentence_says_how_long_it_had_been_at_rest() {
        let mut life = Life::default();
        life.steady(5);
        let refused = Usage { status: Some(401), ..usage(8 * DAY) };
        let facts = life.judged(&refused, &berlin(), Some(&revoked()));
        assert_eq!(
            reasons(&facts, "dead-token-tried"),
            ["tried and refused 3 days after it was revoked, unused for 3 days before"]
        );
    }
}
