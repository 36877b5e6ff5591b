//! `new-country`, `new-network`, `new-client`: the first accepted use with something never seen, and
//! any use from where the registry does not allow it.

use smol_str::{SmolStr, format_smolstr};

use crate::engine::alert::{Facts, Reason, Value};
use crate::engine::profile::{Family, Told, Usual, section};

use super::words::{counted, listed};
use super::{Case, DAY_HOURS, Detector, Judgement::Usage, because, fact, state, usual};

const NEW_COUNTRY: &str = "new-country";
const NEW_NETWORK: &str = "new-network";
const NEW_CLIENT: &str = "new-client";

section! {
    /// When something new is worth a word.
    New = "new" {
        /// Active days after which something new is reported.
        min_active_days = 3.0, "d", "docs/detection.md, Cold start";
    }
}

pub(super) const COUNTRY: Detector = Detector {
    name: NEW_COUNTRY,
    about: "the first accepted use from a country, or any use from one that the registry does not allow",
    facts: &[
        fact("new.country", "the country, never seen before"),
        fact("pinned.country", "the country, not among the registered ones"),
    ],
    judge: Usage(judge_country),
};

pub(super) const NETWORK: Detector = Detector {
    name: NEW_NETWORK,
    about: "the first accepted use from a network operator, or any use from a network that the registry does not allow",
    facts: &[
        fact("new.network", "the autonomous system's number, never seen before"),
        fact("new.network_name", "its operator's name"),
        fact("new.network_kind", "its kind: residential, mobile, hosting, vpn, business")
            .one_of(&["residential", "mobile", "hosting", "vpn", "business"]),
        fact("pinned.network", "the address, not within the registered networks"),
    ],
    judge: Usage(judge_network),
};

pub(super) const CLIENT: Detector = Detector {
    name: NEW_CLIENT,
    about: "the first accepted use by a client program",
    facts: &[fact("new.client", "the program, never seen before")],
    judge: Usage(judge_client),
};

/// The least evidence of a new value worth a report, in nats: below it, new values are what its principal is known for.
const LEAST: f64 = 1.0;

/// Returns whether a value is new to a principal that is old enough, and was not reported lately. What many took to
/// at once is reported once for all.
fn is_news<V: AsRef<str>>(
    case: &Case<'_>,
    told: &mut Told,
    family: Family,
    value: impl FnOnce() -> V,
) -> bool {
    let signals = case.signals;
    let is_old = f64::from(signals.active_days) >= case.params.new.min_active_days;
    let is_its_own = signals.novel.has(family) && !signals.explained.has(family);
    // A principal of more networks than its profile holds meets each of them as if for the first time.
    let is_evidence = signals.evidence.get(family).get() >= LEAST;
    let is_new = signals.is_accepted && is_its_own && is_evidence;
    if !is_old || !is_new {
        return false;
    }
    let value = value();
    let what = [value.as_ref().as_bytes()];
    case.tell(told, family.fact(), &what, case.params.repeat.new_hours).is_some()
}

/// Says that something is new: it was never seen; or it was, but it is held back, or was forgotten because it was
/// misuse.
pub(super) fn never(case: &Case<'_>) -> String {
    let days = counted(case.signals.active_days, "active day");
    let what = if case.signals.was_seen { "not one of its own" } else { "never seen" };
    format!("{what} in {days}")
}

fn nats(case: &Case<'_>, family: Family) -> f64 {
    case.signals.evidence.get(family).get()
}

fn known(case: &Case<'_>) -> Usual {
    case.profile.usual()
}

fn judge_country(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let Some(country) = case.placed.place.country else { return };
    let pinned = case.row.map(|row| row.countries.as_slice()).unwrap_or_default();
    if !pinned.is_empty() && !pinned.contains(&country) {
        let what = [case.series(), country.as_str().as_bytes(), &[u8::from(case.is_ok())]];
        if case.tell(told, "pinned country", &what, DAY_HOURS).is_some() {
            state(facts, "pinned.country", Value::Text(country.as_str().into()));
            usual(facts, "pinned.country", Value::Text(listed(pinned).into()));
            let text =
                format!("country {country} is not among the allowed ones: {}", listed(pinned));
            refuse(facts, NEW_COUNTRY, "pinned.country", text);
        }
    }
    if is_news(case, told, Family::Country, || country.as_str()) {
        let countries = listed(&known(case).countries);
        state(facts, "new.country", Value::Text(country.as_str().into()));
        usual(facts, "new.country", Value::Text(countries.into()));
        let text = format!("country {country}, {}", never(case));
        because(facts, NEW_COUNTRY, nats(case, Family::Country), text);
    }
}

/// Says that the registry does not allow a place.
fn refuse(facts: &mut Facts, kind: &'static str, fact: &'static str, text: String) {
    let (kind, fact) = (SmolStr::new_static(kind), SmolStr::new_static(fact));
    facts.reasons.push(Reason { kind, fact, text, ..Reason::default() });
}

fn judge_network(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let place = case.placed.place;
    let pinned = case.row.map(|row| row.networks.as_slice()).unwrap_or_default();
    if let Some(address) = case.placed.usage.client
        && !pinned.is_empty()
        && !pinned.iter().any(|network| network.contains(&address))
        && case.tell_by_source(told, "pinned", DAY_HOURS).is_some()
    {
        state(facts, "pinned.network", Value::Text(format_smolstr!("{address}")));
        usual(facts, "pinned.network", Value::Text(listed(pinned).into()));
        let text = format!("address {address} is not in an allowed network: {}", listed(pinned));
        refuse(facts, NEW_NETWORK, "pinned.network", text);
    }
    let Some(asn) = place.asn else { return };
    if is_news(case, told, Family::Network, || format_smolstr!("{asn}")) {
        let networks: Vec<String> =
            known(case).networks.iter().map(|asn| format!("AS{asn}")).collect();
        state(facts, "new.network", Value::Int(asn.into()));
        state(facts, "new.network_name", Value::Text(place.organization.clone()));
        if let Some(kind) = place.network {
            let kind = SmolStr::new_static(kind.as_str());
            state(facts, "new.network_kind", Value::Text(kind));
        }
        usual(facts, "new.network", Value::Text(listed(&networks).into()));
        let name = super::unusual::network_name(place);
        because(
            facts,
            NEW_NETWORK,
            nats(case, Family::Network),
            format!("{name}, {}", never(case)),
        );
    }
}

fn judge_client(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let family = &case.placed.usage.agent.family;
    if is_news(case, told, Family::Client, || family) {
        state(facts, "new.client", Value::Text(family.clone()));
        let clients = i64::try_from(known(case).clients).unwrap_or(i64::MAX);
        let others = if clients == 1 { "1 other" } else { &format!("{clients} others") };
        usual(facts, "new.client", Value::Text(SmolStr::new(others)));
        let name = super::unusual::client_name(family);
        because(facts, NEW_CLIENT, nats(case, Family::Client), format!("{name}, {}", never(case)));
    }
}
