//! Detectors: facts of one kind each, from a usage, its signals and the registry.
//!
//! Contract: [`detect`] runs all of [`ALL`]. A fact is a measured statement; the rules decide whether it makes an
//! alert. Recent reports are not repeated: detectors ask the principal's [`Told`] first. Statistics never speak
//! alone, only through the score, in `unusual`.
//!
//! Other facts are stated by a function each: [`misread`] (a log that cannot be read), [`gone`] (bytes that were
//! lost), [`missing`] (a log without lines), [`crowded`] (principals behind one address), [`shared`] and [`lost`]
//! (what many do at once), [`fell_silent`] (a principal that has stopped calling), [`guessed`] (guessing),
//! [`found`] (a token that may have been guessed) and [`walked`] (a walk through objects).

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
    Crowd, Eye, Health, Strain, Unheard, crowded, gone, misread, missing, rejected_percent, skewed,
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
    /// The alert kind that its facts support: the rule's name.
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
    /// Usages, each compared with the past of its principal.
    Usages,
    /// Logs, and whether they can be read.
    Logs,
    /// What is not one principal's usage: many at once, somebody without a token yet, a principal that has stopped.
    Site,
}

/// States the facts of a usage.
type OfOne = fn(&Case<'_>, &mut Told, &mut Facts);

#[derive(Clone, Copy, Debug)]
enum Judgement {
    Usage(OfOne),
    /// Usages, by what is known beyond their principal.
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

/// States all facts of a usage. `row` is what the registry says about its token or principal; the profile is that of
/// the principal before the usage, and notes what is reported.
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
    // A token in a Referer was exposed, not used: nothing else can be said about it.
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
    /// Returns whether the server accepted the token and the log says so.
    fn is_ok(&self) -> bool {
        self.placed.usage.outcome() == Outcome::Ok
    }

    /// Returns how often something about this usage's principal was suppressed, if it is to be reported now.
    fn tell(&self, told: &mut Told, what: &[&[u8]], hours: f64) -> Option<u32> {
        let minutes = i64::from(whole(hours * 60.0));
        told.tell(key(what), self.placed.usage.time, minutes * MINUTE)
    }

    /// Like [`tell`](Self::tell), separately for each token of the principal. What concerns the principal must not be
    /// told this way: its JWTs change by the hour, and each would push out other reports.
    fn tell_of_token(&self, told: &mut Told, what: &[&[u8]], hours: f64) -> Option<u32> {
        let mut parts = vec![self.placed.usage.token.0.as_slice()];
        parts.extend(what);
        self.tell(told, &parts, hours)
    }

    /// Like [`tell_of_token`](Self::tell_of_token), separately for each neighbourhood and answer.
    fn tell_by_source(&self, told: &mut Told, kind: &str, hours: f64) -> Option<u32> {
        let source = self.placed.prefix.map(|prefix| prefix.to_string()).unwrap_or_default();
        let answer = [u8::from(self.is_ok())];
        self.tell_of_token(told, &[kind.as_bytes(), source.as_bytes(), &answer], hours)
    }

    /// Returns the seconds from an instant to this usage, if they are more than `grace`.
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
