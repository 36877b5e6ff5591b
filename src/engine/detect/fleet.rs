//! `fleet-change`: many principals took to the same new network or client within an hour, or to far more requests.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Report, Value};
use crate::engine::house::{Shared, What};
use crate::engine::profile::{Family, Placed};
use crate::engine::time::MINUTE;
use crate::engine::usage::Usage;

use super::unusual::{client_name, network_name};
use super::words::{listed, span};
use super::{Detector, Judgement::Site, because, fact, state, usual};

const NAME: &str = "fleet-change";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "within an hour, many principals changed to the same new network or client, made far more requests, got far more errors, or fell silent: one event, reported once instead of once for each",
    facts: &[
        fact("fleet.principals", "principals that changed within [detect.fleet] window_minutes"),
        fact("fleet.change", "what changed: network, prefix, client, rate, errors or silence")
            .one_of(&["network", "prefix", "client", "rate", "errors", "silence"]),
        fact("fleet.value", "what they have in common, in words"),
        fact("fleet.minutes", "minutes from the first to the last of them"),
    ],
    judge: Site,
};

/// States the facts of a change that many principals have in common; `placed` is the usage that
/// made it so.
#[must_use]
pub fn shared(change: &Shared, placed: &Placed<'_>) -> Facts {
    let (what, value) = match change.what {
        What::Value(value) => match value.family {
            Family::Network => ("network", network_name(placed.place)),
            Family::Client => ("client", client_name(&placed.usage.agent.family)),
            _ => {
                let prefix = placed.prefix.map(|prefix| prefix.to_string());
                ("prefix", format!("addresses {}", prefix.unwrap_or_default()))
            }
        },
        What::Rush => ("rate", "far more requests than ever".to_owned()),
        What::Fault(_) => {
            let Usage { method, route, .. } = &placed.usage;
            ("errors", format!("{method} {route}"))
        }
    };
    let minutes = placed.usage.time.since(change.since) / MINUTE;
    let common =
        Common { change: what, value: &value, principals: change.principals.len(), minutes };
    let mut facts = common.stated(sentence(change, &value, minutes));
    let period = change.minutes.saturating_mul(MINUTE);
    facts.reports.push(Report { by: NAME, key: change.what.key(), period });
    facts
}

/// Says who it is so far, what else it may be, and what is not reported about others.
fn sentence(change: &Shared, value: &str, minutes: i64) -> String {
    let (who, within) = (change.principals.len(), minutes.max(1));
    let names = listed(&change.principals);
    let silence = span(f64::from(u32::try_from(change.minutes).unwrap_or(u32::MAX)) * 60.0);
    match change.what {
        What::Value(..) => format!(
            "{value}, not usual for any of them, is used by {who} principals so far, within {within} min: {names}; stolen \
             tokens would look the same; for the next {silence} this change alone raises no alert for other tokens"
        ),
        What::Rush => format!(
            "{value} from {who} principals so far, within {within} min: {names}; a launch, or retries of what failed, look \
             like this, and so does draining many accounts; for the next {silence} the rate of others is no evidence, \
             unless it is several times their largest ever: the digest has those"
        ),
        What::Fault(_) => format!(
            "requests to {value}, among others, are refused or not found for {who} principals so far, within {within} min: \
             {names}; a release out of step with its service looks like this, and so does somebody trying many tokens; for \
             the next {silence} these errors do not count as evidence"
        ),
    }
}

/// What a number of principals have in common.
pub(super) struct Common<'a> {
    /// What changed, as `fleet.change` has it, and to which value.
    pub change: &'static str,
    pub value: &'a str,
    pub principals: usize,
    /// From the first to the last of them.
    pub minutes: i64,
}

impl Common<'_> {
    /// States it as facts, for the reason `text`.
    pub(super) fn stated(self, text: String) -> Facts {
        let mut facts = Facts::default();
        let principals = i64::try_from(self.principals).unwrap_or(i64::MAX);
        state(&mut facts, "fleet.principals", Value::Int(principals));
        state(&mut facts, "fleet.change", Value::Text(SmolStr::new_static(self.change)));
        state(&mut facts, "fleet.value", Value::Text(SmolStr::new(self.value)));
        state(&mut facts, "fleet.minutes", Value::Int(self.minutes));
        usual(&mut facts, "fleet.principals", Value::Int(0));
        because(&mut facts, NAME, 0.0, text);
        facts
    }
}
