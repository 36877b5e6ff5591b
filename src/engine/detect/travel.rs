//! `impossible-travel`: two places too far apart for the time between.
//!
//! Silent within one operator, for places that are both usual, for principals at home in three
//! countries, and where either end is a VPN or a rented machine: there the address says nothing
//! about a person. (docs/detection.md, Travel.)

use crate::engine::alert::{Facts, Value};
use crate::engine::geo::NetworkKind;
use crate::engine::profile::{Told, place_name};

use super::words::{grouped, span, within};
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "impossible-travel";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "two accepted uses are farther apart than anybody can travel in the time between them",
    facts: &[
        fact("travel.speed_kmh", "speed, in km/h"),
        fact("travel.distance_km", "distance minus both accuracy radii, in km"),
        fact("travel.seconds", "seconds between the two uses, at least 60"),
        fact("travel.from", "the previous place"),
        fact("travel.to", "this place"),
    ],
    judge: Usage(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let (signals, params) = (case.signals, &case.params.profile.travel);
    let Some(hop) = &signals.hop else { return };
    let is_hidden = |kind| matches!(kind, Some(NetworkKind::Vpn | NetworkKind::Hosting));
    let is_far = hop.km >= params.min_distance_km && hop.kmh >= params.min_speed_kmh;
    let is_usual = signals.is_place_known || signals.is_distributed;
    if !is_far || is_usual || is_hidden(hop.from_network) || is_hidden(case.placed.place.network) {
        return;
    }
    let to = place_name(&case.placed.place.city, case.placed.place.country);
    let way: [&[u8]; 2] = [hop.from.as_bytes(), to.as_bytes()];
    if case.tell(told, NAME, &way, case.params.repeat.new_hours).is_none() {
        return;
    }
    let (from, km, kmh) = (&hop.from, grouped(hop.km), grouped(hop.kmh));
    let text = if hop.is_sooner {
        format!("used from {to} {} of {from}: {km} km at {kmh} km/h or more", within(hop.seconds))
    } else {
        format!("used from {to} {} after {from}: {km} km at {kmh} km/h", span(hop.seconds))
    };
    state(facts, "travel.speed_kmh", Value::Float(libm::round(hop.kmh)));
    state(facts, "travel.distance_km", Value::Float(libm::round(hop.km)));
    state(facts, "travel.seconds", Value::Int(crate::engine::stats::whole(hop.seconds).into()));
    state(facts, "travel.from", Value::Text(hop.from.clone()));
    state(facts, "travel.to", Value::Text(to));
    usual(facts, "travel.speed_kmh", Value::Float(params.min_speed_kmh));
    because(facts, NAME, 0.0, text);
}
