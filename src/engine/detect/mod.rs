//! Detectors: facts of one kind each, from a usage, its signals and the registry.
//!
//! Contract: [`detect`] asks all of [`ALL`]. A fact is a measured statement; whether it makes an alert
//! is for the rules. What was told lately is not told again: detectors ask the principal's [`Told`]
//! before they speak. Of a log that cannot be read the facts are stated by [`misread`], of bytes that were lost by [`gone`], of a log without lines by [`missing`], of principals behind one address by [`crowded`], of what many do at once by [`shared`] and [`lost`], of who calls no more by [`fell_silent`], of who has no token yet by [`guessed`], of who may have found one by [`found`], of who walks through objects by [`walked`]. Statistics never speak alone but through the score, in `unusual`.

mod concurrent;
mod dead;
mod dormant;
mod expired;
mod fan_out;
mod fleet;
mod guessing;
mod health;
mod honeytoken;
mod leaked;
mod novel;
mod objects;
mod params;
mod rate;
mod revoked;
mod rotated;
mod silence;
#[cfg(test)]
mod tests;
mod transport;
mod travel;
mod unusual;
mod url;
mod volume;
mod words;

use smol_str::SmolStr;

pub use fleet::shared;
pub use guessing::{found, guessed};
pub use health::{
    Crowd, Eye, Health, Strain, Unheard, crowded, gone, misread, missing, rejected_percent,
    strained,
};
pub use objects::walked;
pub(crate) use params::nearest;
pub use params::{BadParameter, Params};
pub use silence::{fell_silent, lost};
pub use unusual::{client_name, network_name, risk};

use crate::engine::alert::{Facts, Reason, Value};
use crate::engine::profile::{Placed, Profile, Signals, Told};
use crate::engine::registry::Registered;
use crate::engine::stats::{key, narrow, whole};
use crate::engine::time::{MINUTE, SECOND, Timestamp};
use crate::engine::usage::{Carrier, Outcome};

/// A fact that a detector may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactName {
    /// Its name, e.g. `travel.speed_kmh`.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
}

const fn fact(name: &'static str, about: &'static str) -> FactName {
    FactName { name, about }
}

/// One detector.
#[derive(Clone, Copy, Debug)]
pub struct Detector {
    /// The alert kind that its facts speak for: the rule's name.
    pub name: &'static str,
    /// When it speaks, in a sentence.
    pub about: &'static str,
    /// The facts it may state.
    pub facts: &'static [FactName],
    /// What it judges, and how.
    judge: Judgement,
}

/// What a detector, or a rule, judges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// Usages, each beside the past of its principal.
    Usages,
    /// Logs, and whether they can be read.
    Logs,
    /// What is no usage of a principal: many at once, somebody who has no token yet, one that calls no more.
    Site,
}

/// States the facts of a usage.
type OfOne = fn(&Case<'_>, &mut Told, &mut Facts);

#[derive(Clone, Copy, Debug)]
enum Judgement {
    Usage(OfOne),
    /// Of usages, by what is known beyond their principal.
    House,
    Log,
    Site,
}
use Judgement::{House, Log, Site, Usage};

impl Detector {
    /// Returns what it judges.
    #[must_use]
    pub const fn of(&self) -> About {
        match self.judge {
            Usage(_) | House => About::Usages,
            Log => About::Logs,
            Site => About::Site,
        }
    }

    const fn of_usages(&self) -> Option<OfOne> {
        match self.judge {
            Usage(judge) => Some(judge),
            House | Log | Site => None,
        }
    }
}

/// All detectors, in the order of their facts. Documentation is generated from it.
pub const ALL: &[Detector] = &[
    honeytoken::DETECTOR,
    leaked::DETECTOR,
    url::DETECTOR,
    url::REFERER,
    expired::DETECTOR,
    revoked::DETECTOR,
    rotated::DETECTOR,
    dead::DETECTOR,
    unusual::DETECTOR,
    travel::DETECTOR,
    concurrent::DETECTOR,
    fan_out::DETECTOR,
    novel::COUNTRY,
    novel::NETWORK,
    novel::CLIENT,
    rate::DETECTOR,
    volume::DETECTOR,
    dormant::DETECTOR,
    silence::DETECTOR,
    transport::DETECTOR,
    fleet::DETECTOR,
    guessing::GUESSING,
    guessing::SUCCESS,
    objects::DETECTOR,
    health::DETECTOR,
];

/// States all facts of a usage. `row` is what the registry says of its token or principal; the profile is that of
/// the principal before the usage, and notes what is told.
#[must_use]
pub fn detect(
    placed: &Placed<'_>,
    signals: &Signals,
    row: Option<&Registered>,
    profile: &mut Profile,
    params: &Params,
) -> Facts {
    let mut facts = Facts::default();
    let mut told = std::mem::take(profile.told());
    let case = Case { placed, signals, row, profile, params };
    // A token in a Referer was exposed, not used: nothing else can be said of it.
    let detectors = match placed.usage.carrier {
        Carrier::Referer(_) => &[url::REFERER],
        _ => ALL,
    };
    let judgements = detectors.iter().filter_map(Detector::of_usages);
    judgements.for_each(|judge| judge(&case, &mut told, &mut facts));
    *profile.told() = told;
    facts
}

/// What a detector judges.
struct Case<'a> {
    placed: &'a Placed<'a>,
    signals: &'a Signals,
    row: Option<&'a Registered>,
    profile: &'a Profile,
    params: &'a Params,
}

impl Case<'_> {
    /// The server accepted the token, and the log says so.
    fn is_ok(&self) -> bool {
        self.placed.usage.outcome() == Outcome::Ok
    }

    /// Asks whether to tell something of this usage's token now; it was kept back so often.
    fn tell(&self, told: &mut Told, what: &[&[u8]], hours: f64) -> Option<u32> {
        let mut parts = vec![self.placed.usage.token.0.as_slice()];
        parts.extend(what);
        let minutes = i64::from(whole(hours * 60.0));
        told.tell(key(&parts), self.placed.usage.time, minutes * MINUTE)
    }

    /// The same, apart for each neighbourhood and answer.
    fn tell_by_source(&self, told: &mut Told, kind: &str, hours: f64) -> Option<u32> {
        let source = self.placed.prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
        let answer = [u8::from(self.is_ok())];
        self.tell(told, &[kind.as_bytes(), source.as_bytes(), &answer], hours)
    }

    /// Seconds from an instant to this usage, if that is more than `grace` seconds.
    fn seconds_after(&self, instant: Option<Timestamp>, grace: f64) -> Option<i64> {
        let seconds = self.placed.usage.time.since(instant?).div_euclid(SECOND);
        (seconds > i64::from(whole(grace))).then_some(seconds)
    }
}

/// Adds a fact.
fn state(facts: &mut Facts, name: &'static str, value: Value) {
    facts.values.push((name, value));
}

/// Adds what is usual for a fact.
fn usual(facts: &mut Facts, name: &'static str, value: Value) {
    facts.usual.push((name, value));
}

/// Adds a sentence.
fn because(facts: &mut Facts, kind: &'static str, nats: f64, text: String) {
    let kind = SmolStr::new_static(kind);
    facts.reasons.push(Reason { kind, nats: narrow(nats), text, ..Reason::default() });
}

/// A day, in hours.
const DAY_HOURS: f64 = 24.0;
