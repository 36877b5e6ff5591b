//! `unusual-use`: the sum of all evidence against one actor, in its own words.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Reason, SCORE, UNUSUAL_USE, Value};
use crate::engine::geo::Place;
use crate::engine::profile::{Errors, Family, Tier, Told};
use crate::engine::stats::{narrow, whole};

use super::words::{counted, gap, grouped, later, listed};
use super::{Case, Detector, Judgement::Usage, fact, state, usual};

pub(super) const DETECTOR: Detector = Detector {
    name: UNUSUAL_USE,
    about: "the evidence that somebody else uses the token reaches [detect.score] notice, alert or critical; reported when it does",
    facts: &[
        fact(SCORE, "all evidence against the actor within a day, in nats"),
        fact(
            "unusual.tier",
            "the tier of [detect.score] that the score reaches: 1 notice, 2 alert, 3 critical",
        ),
        fact("unusual.threshold", "nats from which a score is mailed at once"),
        fact("unusual.families", "how many kinds of evidence it consists of"),
        fact("unusual.accepted", "whether the server accepted this use").is_so(),
        fact("unusual.again", "true if the same actor was reported before and has gone on").is_so(),
        fact("unusual.country", "nats: country never seen"),
        fact("unusual.kind", "nats: kind of network never seen"),
        fact("unusual.network", "nats: network operator never seen"),
        fact("unusual.prefix", "nats: addresses never seen"),
        fact("unusual.client", "nats: client never seen"),
        fact("unusual.version", "nats: version of the client never seen"),
        fact("unusual.hop", "nats: too far from the last place"),
        fact("unusual.hour", "nats: rarely used at this hour"),
        fact("unusual.routes", "nats: routes never used"),
        fact("unusual.errors", "nats: refused and missing objects"),
        fact("unusual.dormancy", "nats: first use after a long gap"),
        fact("unusual.watched", "nats: network and client of recently confirmed misuse"),
        fact("unusual.strangers", "nats: many new networks in one day"),
        fact("unusual.rate", "nats: requests faster than ever"),
    ],
    judge: Usage(judge),
};

const AGAIN: &str = "reported before, and going on: a reminder";

/// Returns the risk in percent of a score in nats: `100 logistic(0.67 (S - 7))`.
///
/// False alarms were measured to fall as exp(-0.67 S), not exp(-S): kinds of evidence depend on
/// one another. 6, 8, 10 nats are 34, 66, 88 percent. (docs/detection.md, Tiers and risk.)
#[must_use]
pub fn risk(score: f64) -> u8 {
    let percent = 100.0 / (1.0 + libm::exp(-0.67 * (score - 7.0)));
    u8::try_from(whole(libm::round(percent))).unwrap_or(100).min(100)
}

fn judge(case: &Case<'_>, _: &mut Told, facts: &mut Facts) {
    let signals = case.signals;
    if signals.tier == Tier::None {
        return;
    }
    let families = signals.actor.families();
    let rate = signals.burst.as_ref().filter(|burst| burst.nats.get() > 0.0);
    let kinds = families.iter().count() + usize::from(rate.is_some());
    state(facts, SCORE, Value::Float(signals.score));
    state(facts, "unusual.tier", Value::Int(signals.tier.number()));
    state(facts, "unusual.threshold", Value::Float(signals.threshold));
    state(facts, "unusual.families", Value::Int(i64::try_from(kinds).unwrap_or(0)));
    state(facts, "unusual.accepted", Value::Bool(signals.is_accepted));
    usual(facts, SCORE, Value::Float(0.0));
    let mut reasons = Vec::new();
    for family in families.iter() {
        let nats = signals.actor.get(family).get();
        state(facts, family.fact(), Value::Float(nats));
        let (share, how) = match signals.is_rate_alone {
            true => (0.0, format!("{nats:.1}, less than the rate alone")),
            false => (nats, String::new()),
        };
        reasons.push(reason(family.fact(), share, &how, sentence(case, family)));
    }
    if let Some(burst) = rate {
        let nats = burst.nats.get();
        state(facts, "unusual.rate", Value::Float(nats));
        let how = match signals.is_rate_alone {
            true if nats > signals.rate_share => format!("{nats:.1}, alone at most"),
            true if nats < signals.rate_share => format!("{nats:.1}, several times the most ever"),
            true => String::new(),
            false => format!("0.5 x {nats:.1}"),
        };
        let text = super::rate::sentence(burst);
        reasons.push(reason("unusual.rate", signals.rate_share, &how, text));
    }
    if signals.is_reminder {
        state(facts, "unusual.again", Value::Bool(true));
        reasons.push(reason("unusual.again", 0.0, "", AGAIN.to_owned()));
    }
    state_usual(case, facts);
    reasons.sort_by(|a, b| b.nats.total_cmp(&a.nats));
    facts.reasons.extend(reasons);
}

/// Returns a sentence with what it adds to the score.
fn reason(fact: &'static str, nats: f64, how: &str, text: String) -> Reason {
    let (kind, fact) = (SmolStr::new_static(UNUSUAL_USE), SmolStr::new_static(fact));
    Reason { kind, nats: narrow(nats), how: how.into(), fact, text }
}

/// States what is usual for the values that are not.
fn state_usual(case: &Case<'_>, facts: &mut Facts) {
    let known = case.profile.usual();
    let text = |names: String| Value::Text(SmolStr::new(names));
    let networks: Vec<String> = known.networks.iter().map(|asn| format!("AS{asn}")).collect();
    let kinds: Vec<&str> = known.kinds.iter().map(|kind| kind.as_str()).collect();
    let novel = case.signals.novel;
    if novel.has(Family::Country) {
        usual(facts, Family::Country.fact(), text(listed(&known.countries)));
    }
    if novel.has(Family::Kind) {
        usual(facts, Family::Kind.fact(), text(listed(&kinds)));
    }
    if novel.has(Family::Network) {
        usual(facts, Family::Network.fact(), text(listed(&networks)));
    }
}

/// Returns the sentence for one kind of evidence.
fn sentence(case: &Case<'_>, family: Family) -> String {
    let (signals, usage, place) = (case.signals, case.placed.usage, case.placed.place);
    let never = super::novel::never(case);
    // evidence from an earlier use by this actor: its value is not available
    let is_now = signals.evidence.get(family).0 > 0;
    let value = |now: String, before: &str| if is_now { now } else { before.to_owned() };
    match family {
        Family::Country => {
            let country = place.country.map(|country| format!("country {country}"));
            format!("{}, {never}", value(country.unwrap_or_default(), "a country"))
        }
        Family::Kind => {
            let kind = place.network.map(|kind| format!("a {} network", kind.as_str()));
            format!("{}, {never}", value(kind.unwrap_or_default(), "a kind of network"))
        }
        Family::Network => format!("{}, {never}", value(network_name(place), "a network")),
        Family::Prefix => {
            let prefix = case.placed.prefix.map(|prefix| format!("addresses {prefix}"));
            format!("{}, {never}", value(prefix.unwrap_or_default(), "addresses"))
        }
        Family::Client => {
            format!("{}, {never}", value(client_name(&usage.agent.family), "a client"))
        }
        Family::Version => {
            let agent = format!("{} {}", client_name(&usage.agent.family), usage.agent.version);
            format!("{}, {never}", value(agent, "a version of the client"))
        }
        Family::Hop => match &signals.hop {
            Some(hop) if is_now => {
                let (km, later) = (grouped(hop.km), later(hop));
                format!("{km} km from {}, {later}", hop.from)
            }
            _ => "two places too far apart".to_owned(),
        },
        Family::Hour if !is_now => "an hour at which it is rarely used".to_owned(),
        Family::Hour => {
            let days = if signals.time.weekday() < 5 { "working days" } else { "weekends" };
            format!("{:02}:00 UTC, rarely used at this hour on {days}", signals.time.hour_of_day())
        }
        Family::Routes if !is_now => "routes never used before".to_owned(),
        Family::Routes => format!("{} never used before", counted(signals.routes, "route")),
        Family::Errors if !is_now => "many requests today refused or not found".to_owned(),
        Family::Errors => {
            let Errors { count, requests } = signals.errors;
            format!("{count} of {requests} requests today refused or not found")
        }
        Family::Dormancy if !is_now => "first use after a long gap".to_owned(),
        Family::Dormancy => {
            let (_, longest) = signals.gap_days;
            format!("first use in {}, the longest gap was {longest:.0} days", gap(signals))
        }
        Family::Watched if !is_now => "network and client of recently confirmed misuse".to_owned(),
        Family::Watched => {
            let (network, client) = (network_name(place), client_name(&usage.agent.family));
            format!("{network} with {client}: misuse by these was confirmed recently")
        }
        Family::Strangers if !is_now => "many new networks in one day".to_owned(),
        Family::Strangers => format!("{} new networks today", signals.networks),
    }
}

/// Returns the name of a network: `network AS64500 Example Hosting`.
#[must_use]
pub fn network_name(place: &Place) -> String {
    let asn = place.asn.map(|asn| format!(" AS{asn}")).unwrap_or_default();
    let space = if place.organization.is_empty() { "" } else { " " };
    format!("network{asn}{space}{}", place.organization)
}

/// Returns the name of a client: `client curl`.
#[must_use]
pub fn client_name(family: &str) -> String {
    if family.is_empty() { "client without a name".to_owned() } else { format!("client {family}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn risk_is_calibrated_at_the_tiers() {
        assert_eq!([6.0, 7.0, 8.0, 10.0].map(risk), [34, 50, 66, 88]);
        assert_eq!([risk(-1e9), risk(1e9), risk(f64::NAN)], [0, 100, 0]);
    }
}
