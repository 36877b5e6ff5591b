//! Scenes for the detectors: what must be reported, and what must not.

mod again;
mod beyond;
mod kinds;

use std::collections::BTreeSet;

use super::*;
use crate::engine::geo::{Country, NetworkKind, Place};
use crate::engine::profile::Family;
use crate::engine::profile::tests::{Life, START, berlin, lagos, place, rented, stolen, usage};
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use crate::engine::usage::{Carrier, Claims, Transport, Usage};

impl Life {
    /// Applies one usage as the Judge does, and returns its facts.
    pub(super) fn judged(
        &mut self,
        usage: &Usage,
        place: &Place,
        row: Option<&Registered>,
    ) -> Facts {
        self.judged_by(usage, place, row, &Params::default())
    }

    /// The same with the parameters of a site.
    fn judged_by(
        &mut self,
        usage: &Usage,
        place: &Place,
        row: Option<&Registered>,
        params: &Params,
    ) -> Facts {
        let placed = Placed::new(usage, place);
        let signals = self.compare(usage, place);
        let facts =
            detect(&placed, &signals, row, &mut self.profile, &mut Exposures::default(), params);
        self.profile.absorb(&placed, &signals, &params.profile);
        assert_closed(&facts);
        facts
    }
}

/// Checks that what may only be one of some words is one of them.
fn assert_closed(facts: &Facts) {
    for fact in ALL.iter().flat_map(|detector| detector.facts) {
        let is_one = |value: &Value| fact.values.contains(&value.to_string().as_str());
        let value = facts.get(fact.name).filter(|_| !fact.values.is_empty());
        assert!(value.is_none_or(is_one), "{}: {value:?}", fact.name);
    }
}

pub(super) fn has(facts: &Facts, name: &str) -> bool {
    facts.get(name).is_some()
}

pub(super) fn reasons(facts: &Facts, kind: &str) -> Vec<String> {
    facts.reasons.iter().filter(|r| r.kind == kind).map(|r| r.text.clone()).collect()
}

pub(super) fn row() -> Registered {
    Registered { token: Some(usage(0).token), name: "orders".into(), ..Registered::default() }
}

#[test]
fn every_fact_has_one_owner_and_a_text() {
    let mut seen = BTreeSet::new();
    for detector in ALL {
        assert!(!detector.about.is_empty() && !detector.facts.is_empty());
        for fact in detector.facts {
            assert!(seen.insert(fact.name), "{} twice", fact.name);
            assert!(fact.name.contains('.') && !fact.about.is_empty());
        }
    }
}

#[test]
fn only_documented_facts_are_stated() {
    let mut life = Life::default();
    life.steady(5);
    let row = Registered { decoy: true, leaked_at: Some(START), revoked_at: Some(START), ..row() };
    let loud = Usage { carrier: Carrier::Userinfo, transport: Transport::Plain, ..stolen(5 * DAY) };
    let facts = life.judged(&loud, &lagos(), Some(&row));
    let known: BTreeSet<_> = ALL.iter().flat_map(|d| d.facts).map(|fact| fact.name).collect();
    assert!(facts.values.len() > 15);
    for (name, _) in facts.values.iter().chain(&facts.usual) {
        assert!(known.contains(name), "{name}");
    }
}

#[test]
fn a_usual_request_has_no_facts() {
    let mut life = Life::default();
    life.steady(5);
    let facts = life.judged(&usage(5 * DAY), &berlin(), Some(&row()));
    assert!(facts.is_empty() && facts.reasons.is_empty() && facts.usual.is_empty());
}

#[test]
fn a_stolen_token_is_explained_in_sentences() {
    let mut life = Life::default();
    life.steady(10);
    let facts = life.judged(&stolen(10 * DAY), &rented(), None);
    let Some(Value::Float(score)) = facts.get("unusual.score") else { panic!("{facts:?}") };
    assert!(*score >= 10.0);
    assert_eq!(facts.get("unusual.accepted"), Some(&Value::Bool(true)));
    let told = reasons(&facts, "unusual-use");
    assert_eq!(told[0], "client curl, never seen in 10 active days");
    assert!(told.contains(&"country SG, never seen in 10 active days".to_owned()), "{told:?}");
    assert!(
        told.contains(&"a hosting network, never seen in 10 active days".to_owned()),
        "{told:?}"
    );
    let nats: Vec<_> =
        facts.reasons.iter().filter(|r| r.kind == "unusual-use").map(|r| r.nats).collect();
    assert!(nats.is_sorted_by(|a, b| a >= b), "{nats:?}");
    assert!(facts.usual.contains(&("unusual.country", Value::Text("DE".into()))));
    assert!(!has(&life.judged(&stolen(10 * DAY + SECOND), &rented(), None), "unusual.score"));
}

#[test]
fn lagos_twelve_minutes_after_berlin_is_impossible() {
    let mut life = Life::default();
    let facts = life.judged(&usage(0), &berlin(), None);
    assert!(facts.is_empty());
    let facts = life.judged(&stolen(720 * SECOND), &lagos(), None);
    let told = reasons(&facts, "impossible-travel");
    assert_eq!(told, ["used from Lagos, NG 12 min after Berlin, DE: 5,156 km at 25,779 km/h"]);
    assert_eq!(facts.get("travel.seconds"), Some(&Value::Int(720)));
}

#[test]
fn three_seconds_were_told_as_sixty() {
    let mut life = Life::default();
    life.judged(&usage(0), &berlin(), None);
    let facts = life.judged(&stolen(3 * SECOND), &lagos(), None);
    let told = reasons(&facts, "impossible-travel");
    assert_eq!(
        told,
        ["used from Lagos, NG within a minute of Berlin, DE: 5,156 km at 309,351 km/h or more"]
    );
    assert_eq!(facts.get("travel.seconds"), Some(&Value::Int(60)), "what was reckoned with");
    let mut life = Life::default();
    life.steady(10);
    life.judged(&usage(10 * DAY), &berlin(), None);
    let facts = life.judged(&stolen(10 * DAY + 3 * SECOND), &lagos(), None);
    let told = reasons(&facts, "unusual-use");
    assert!(
        told.iter().any(|text| text.ends_with(" km from Berlin, DE, within a minute")),
        "{told:?}"
    );
}

#[test]
fn a_flight_a_refusal_a_vpn_a_cloud_and_one_operator_are_no_travel() {
    let travels = |to: Place, micros, status| {
        let mut life = Life::default();
        life.judged(&usage(0), &berlin(), None);
        let usage = Usage { status: Some(status), ..stolen(micros) };
        has(&life.judged(&usage, &to, None), "travel.speed_kmh")
    };
    assert!(travels(lagos(), 720 * SECOND, 200));
    assert!(!travels(lagos(), 8 * 3600 * SECOND, 200));
    assert!(!travels(lagos(), 720 * SECOND, 401));
    assert!(!travels(Place { network: Some(NetworkKind::Vpn), ..lagos() }, SECOND, 200));
    assert!(!travels(Place { network: Some(NetworkKind::Hosting), ..lagos() }, SECOND, 200));
    assert!(!travels(Place { asn: berlin().asn, ..lagos() }, SECOND, 200));
    assert!(!travels(Place::default(), SECOND, 200));
    let near = place("DE", "Munich", (48.1, 11.6), 64777, NetworkKind::Residential);
    assert!(!travels(near, SECOND, 200), "under 500 km");
}

#[test]
fn new_things_are_told_once_after_three_days() {
    let mut life = Life::default();
    life.steady(2);
    assert!(!has(&life.judged(&stolen(2 * DAY), &rented(), None), "new.country"));
    let mut life = Life::default();
    life.steady(4);
    let refused = Usage { status: Some(403), ..stolen(4 * DAY) };
    assert!(!has(&life.judged(&refused, &rented(), None), "new.country"));
    let facts = life.judged(&stolen(4 * DAY + 1), &rented(), None);
    assert_eq!(reasons(&facts, "new-country"), ["country SG, never seen in 4 active days"]);
    assert_eq!(
        reasons(&facts, "new-network"),
        ["network AS64999 Example, never seen in 4 active days"]
    );
    assert_eq!(reasons(&facts, "new-client"), ["client curl, never seen in 4 active days"]);
    assert!(facts.usual.contains(&("new.network", Value::Text("AS64500".into()))));
    let facts = life.judged(&stolen(4 * DAY + 2), &rented(), None);
    assert!(
        !has(&facts, "new.country") && !has(&facts, "new.network") && !has(&facts, "new.client")
    );
}

#[test]
fn pinned_places_are_told_at_once_and_allowed_ones_never() {
    let pinned = Registered {
        countries: vec![Country::parse("DE").unwrap()],
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        ..row()
    };
    let mut life = Life::default();
    assert!(life.judged(&usage(0), &berlin(), Some(&pinned)).is_empty());
    let facts = life.judged(&stolen(1), &lagos(), Some(&pinned));
    assert_eq!(facts.get("pinned.country"), Some(&Value::Text("NG".into())));
    assert_eq!(facts.get("pinned.network"), Some(&Value::Text("198.51.100.7".into())));
    assert!(reasons(&facts, "new-country")[0].contains("is not among the allowed ones: DE"));
    let facts = life.judged(&stolen(2), &lagos(), Some(&pinned));
    assert!(!has(&facts, "pinned.country") && !has(&facts, "pinned.network"));
}

#[test]
fn a_burst_is_told_with_its_numbers() {
    let mut life = Life::default();
    life.steady(10);
    let mut told = Vec::new();
    for n in 0..300 {
        let facts = life.judged(&usage(10 * DAY + n * 2 * SECOND), &berlin(), None);
        told.extend(reasons(&facts, "rate-spike"));
        let is_notice = facts.get("unusual.tier") == Some(&Value::Int(1));
        assert!(!is_notice, "a burst had two names");
        if has(&facts, "rate.count") {
            assert_eq!(facts.get("rate.window"), Some(&Value::Text("5 min".into())));
        }
    }
    assert!(!told.is_empty() && told.len() <= 3, "once for each level: {told:?}");
    assert!(told[0].contains(" requests in 5 min, usually at most "), "{told:?}");
}

#[test]
fn an_expired_token_is_told_if_accepted_after_the_grace() {
    let judged = |micros, status| {
        let mut usage = Usage { status: Some(status), ..usage(micros) };
        usage.claims.expires_at = Some(START);
        Life::default().judged(&usage, &berlin(), None)
    };
    assert!(!has(&judged(-1, 200), "expired.seconds"));
    assert!(!has(&judged(60 * SECOND, 200), "expired.seconds"));
    assert!(!has(&judged(3600 * SECOND, 401), "expired.seconds"));
    assert!(!has(&judged(3600 * SECOND, 302), "expired.seconds"));
    let facts = judged(3 * DAY, 200);
    assert_eq!(facts.get("expired.seconds"), Some(&Value::Int(259_200)));
    let told = reasons(&facts, "expired-token-accepted");
    assert_eq!(told, ["accepted 3 days after it expired, according to the token itself"]);
}

#[test]
fn dead_tokens_are_told_once_a_day_and_source() {
    let dead = Registered { revoked_at: Some(START), leaked_at: Some(START), ..row() };
    let mut life = Life::default();
    let facts = life.judged(&usage(10 * SECOND), &berlin(), Some(&dead));
    assert!(!has(&facts, "revoked.seconds") && has(&facts, "leaked.seconds"));
    let facts = life.judged(&usage(11 * SECOND), &berlin(), Some(&dead));
    assert_eq!(facts.get("revoked.accepted"), Some(&Value::Bool(true)));
    assert!(!has(&facts, "leaked.seconds"), "told already");
    let facts = life.judged(&usage(3600 * SECOND), &berlin(), Some(&dead));
    assert!(!has(&facts, "revoked.seconds"));
    assert!(has(&life.judged(&stolen(3601 * SECOND), &lagos(), Some(&dead)), "revoked.seconds"));
    let refused = Usage { status: Some(401), ..usage(3602 * SECOND) };
    let facts = life.judged(&refused, &berlin(), Some(&dead));
    assert_eq!(facts.get("revoked.accepted"), Some(&Value::Bool(false)));
    assert!(has(&life.judged(&usage(2 * DAY), &berlin(), Some(&dead)), "revoked.seconds"));
}

#[test]
fn what_ends_a_token_ends_no_request_under_way() {
    let dead = Registered { revoked_at: Some(START.plus(HOUR)), ..row() };
    let stream = |took_millis| Usage { took_millis, ..usage(90 * MINUTE) };
    let judged = |took| Life::default().judged(&stream(took), &berlin(), Some(&dead));
    assert!(!has(&judged(80 * 60_000), "revoked.seconds"), "server-sent events");
    assert_eq!(judged(20 * 60_000).get("revoked.seconds"), Some(&Value::Int(600)));
    let told = reasons(&judged(20 * 60_000), "revoked-token-used");
    assert_eq!(told, ["accepted 10 min after it was revoked; the request took 20 min"]);

    let expires_at = Some(START.plus(HOUR));
    let claims = Claims { expires_at, ..Claims::default() };
    let judged = |took| {
        let jwt = Usage { claims: claims.clone(), ..stream(took) };
        Life::default().judged(&jwt, &berlin(), None)
    };
    assert!(!has(&judged(80 * 60_000), "expired.seconds"));
    assert_eq!(judged(20 * 60_000).get("expired.seconds"), Some(&Value::Int(600)));
}

#[test]
fn a_predecessor_is_told_after_the_overlap() {
    let rotated = Registered { rotated_at: Some(START), rotated_to: "orders-2".into(), ..row() };
    let judged = |micros| Life::default().judged(&usage(micros), &berlin(), Some(&rotated));
    assert!(judged(DAY).is_empty());
    let told = reasons(&judged(DAY + SECOND), "rotated-token-used");
    assert_eq!(told, ["accepted 24 h after it was rotated to orders-2"]);
}

#[test]
fn bait_is_told_whatever_the_answer() {
    let decoy = Registered { decoy: true, ..row() };
    for status in [Some(200), Some(401), Some(503), None] {
        let bitten = Usage { status, ..usage(0) };
        assert!(has(&Life::default().judged(&bitten, &berlin(), Some(&decoy)), "decoy.used"));
    }
}

#[test]
fn a_token_in_a_url_is_told_once_a_day_with_the_count() {
    let mut life = Life::default();
    let carrier = Carrier::Query("api_key".into());
    let sent = |micros| Usage { carrier: carrier.clone(), ..usage(micros) };
    let facts = life.judged(&sent(0), &berlin(), None);
    assert_eq!(facts.get("url.parameter"), Some(&Value::Text("api_key".into())));
    assert_eq!(facts.get("url.route"), Some(&Value::Text("/v1/orders".into())));
    assert!((1..50).all(|n| life.judged(&sent(n * SECOND), &berlin(), None).is_empty()));
    let facts = life.judged(&sent(DAY), &berlin(), None);
    assert_eq!(facts.get("url.count"), Some(&Value::Int(50)));
    let other = Usage { route: "/v1/users".into(), ..sent(DAY) };
    assert!(has(&life.judged(&other, &berlin(), None), "url.route"));
    let page = Usage { carrier: Carrier::Referer("token".into()), ..usage(DAY) };
    let facts = life.judged(&page, &berlin(), None);
    assert!(has(&facts, "referer.parameter") && !has(&facts, "url.route"));
}

#[test]
fn a_token_in_the_urls_of_a_thousand_routes_is_told_a_handful_of_times_a_day() {
    let mut life = Life::default();
    let sent = |micros, n: i64| Usage {
        carrier: Carrier::Query("api_key".into()),
        route: format!("/v1/{n}").into(),
        ..usage(micros)
    };
    for day in 0..3 {
        let mut told = Vec::new();
        for n in 0..1000 {
            let facts = life.judged(&sent(day * DAY + n * SECOND, n), &berlin(), None);
            told.extend(facts.get("url.count").cloned());
            told.truncate(100);
            if told.len() == 6 && has(&facts, "url.count") {
                assert!(reasons(&facts, "token-in-url")[0].contains(" and further routes"));
            }
        }
        let count = if day == 0 { 1 } else { 995 };
        assert_eq!((told.len(), told.last()), (6, Some(&Value::Int(count))), "day {day}");
    }
}

#[test]
fn a_carrier_and_a_scheme_that_were_never_seen_were_called_usual() {
    let loud = Usage { carrier: Carrier::Userinfo, transport: Transport::Plain, ..usage(0) };
    let facts = Life::default().judged(&loud, &berlin(), None);
    assert!(has(&facts, "url.carrier") && has(&facts, "transport.scheme"));
    assert_eq!(facts.usual, []);
}

#[test]
fn plain_http_is_told_and_tls_is_not() {
    let judged =
        |transport| Life::default().judged(&Usage { transport, ..usage(0) }, &berlin(), None);
    assert_eq!(judged(Transport::Plain).get("transport.scheme"), Some(&Value::Text("http".into())));
    for (transport, text) in [
        (Transport::Ssl, "sent over SSL, older than TLS 1.2"),
        (Transport::Tls10, "sent over TLS 1.0, older than 1.2"),
        (Transport::Tls11, "sent over TLS 1.1, older than 1.2"),
    ] {
        let facts = judged(transport);
        assert_eq!(facts.get("transport.scheme"), Some(&Value::Text("old-tls".into())));
        assert_eq!(reasons(&facts, "insecure-transport"), [text], "the version was not said");
    }
    assert!(judged(Transport::Tls).is_empty() && judged(Transport::Unknown).is_empty());
}

#[test]
fn a_redirect_first_does_not_silence_that_plain_http_is_accepted_then() {
    let mut life = Life::default();
    let sent = |second: i64, status| Usage {
        transport: Transport::Plain,
        status: Some(status),
        ..usage(second * SECOND)
    };
    let accepted: Vec<Option<Value>> = [(0, 308), (1, 200), (2, 308), (3, 200)]
        .into_iter()
        .map(|(second, status)| {
            let facts = life.judged(&sent(second, status), &berlin(), None);
            facts.get("transport.accepted").cloned()
        })
        .collect();
    assert_eq!(accepted, [Some(Value::Bool(false)), Some(Value::Bool(true)), None, None]);
}

#[test]
fn times_at_the_ends_of_the_range_do_no_harm() {
    for micros in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
        let mut life = Life::default();
        for time in [micros, 0, micros, START.0] {
            let row = Registered { expires_at: Some(Timestamp(i64::MIN)), decoy: true, ..row() };
            let odd = Usage { time: Timestamp(time), ..usage(0) };
            life.judged(&odd, &lagos(), Some(&row));
        }
    }
}

#[test]
fn the_kinds_of_a_new_network_are_those_that_there_are() {
    let kinds = NetworkKind::ALL.map(NetworkKind::as_str);
    let facts = ALL.iter().flat_map(|detector| detector.facts);
    let kind = facts.into_iter().find(|fact| fact.name == "new.network_kind").unwrap();
    assert_eq!(kind.values, kinds);
}
