//! Detectors: facts of one kind each, from a usage, its signals and the registry.
//!
//! Contract: [`detect`] runs all of [`ALL`]. A fact is a measured statement; the rules decide whether it makes an
//! alert. Recent reports are not repeated: detectors ask the principal's [`Told`] first. Statistics never speak
//! alone, only through the score, in `unusual`.
//!
//! Other facts are stated by a function each: [`misread`] (a log that cannot be read), [`gone`] (bytes that were
//! lost), [`missing`] (a log without lines), [`crowded`] (principals behind one address), [`strained`] (a clock, a
//! GeoIP file, mails, reading or the database is not as it should be), [`shared`] and [`lost`] (what many do at once),
//! [`fell_silent`] (a principal that has stopped calling), [`guessed`] (guessing), [`found`] (a token that may have
//! been guessed) and [`walked`] (a walk through objects).

mod beyond;
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
mod lifecycle;
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
mod unsigned;
mod until;
mod unusual;
mod url;
mod volume;
mod weak;
mod words;

use std::cell::Cell;

use smol_str::SmolStr;

pub use expired::LEEWAY;
pub use fleet::shared;
pub use guessing::{found, guessed};
pub use health::{
    Crowd, Eye, Health, Strain, UNREAD, Unheard, crowded, gone, misread, missing, rejected_percent,
    skewed, strained,
};
pub use objects::walked;
pub(crate) use params::nearest;
pub use params::{BadParameter, Params};
pub use silence::{fell_silent, lost};
pub use until::Until;
pub use unusual::{client_name, network_name, risk};

use crate::engine::alert::{Facts, Reason, Report, Value};
use crate::engine::house::{Exposed, Exposures, NAMED, Room};
use crate::engine::profile::{Many, Placed, Profile, Signals, Told, report_key};
use crate::engine::registry::Registered;
use crate::engine::stats::{narrow, whole};
use crate::engine::time::{MINUTE, SECOND, Timestamp};
use crate::engine::usage::{Carrier, Outcome};

/// A fact that a detector may state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FactName {
    /// Its name, e.g. `travel.speed_kmh`.
    pub name: &'static str,
    /// What it means, with its unit.
    pub about: &'static str,
    /// All that it may be, if that is a closed list of words.
    pub values: &'static [&'static str],
}

const fn fact(name: &'static str, about: &'static str) -> FactName {
    FactName { name, about, values: &[] }
}

impl FactName {
    const fn one_of(self, values: &'static [&'static str]) -> Self {
        Self { values, ..self }
    }

    /// The same fact, which is a statement that is true or not.
    const fn is_so(self) -> Self {
        self.one_of(&["true", "false"])
    }
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

/// The same, by what was reported about others.
type OfNews = fn(&Case<'_>, &mut Told, &mut Exposures, &mut Facts);

#[derive(Clone, Copy, Debug)]
enum Judgement {
    Usage(OfOne),
    Exposure(OfNews),
    /// Usages, by what is known beyond their principal.
    House,
    Log,
    Site,
}
use Judgement::{Exposure, House, Log, Site, Usage};

impl Detector {
    /// Returns what it judges.
    #[must_use]
    pub const fn of(&self) -> About {
        match self.judge {
            Usage(_) | Exposure(_) | House => About::Usages,
            Log => About::Logs,
            Site => About::Site,
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
    beyond::SCOPE,
    beyond::MFA,
    fleet::DETECTOR,
    guessing::GUESSING,
    guessing::SUCCESS,
    objects::DETECTOR,
    health::DETECTOR,
    unsigned::DETECTOR,
    weak::DETECTOR,
    lifecycle::DETECTOR,
];

/// States all facts of a usage. `row` is what the registry says about its token or principal; the profile is that of
/// the principal before the usage, and notes what is reported, as do the exposures.
#[must_use]
pub fn detect(
    placed: &Placed<'_>,
    signals: &Signals,
    row: Option<&Registered>,
    profile: &mut Profile,
    exposures: &mut Exposures,
    params: &Params,
) -> Facts {
    let mut facts = Facts::default();
    let mut told = std::mem::take(profile.told());
    let case = Case { placed, signals, row, profile, params, report: Cell::new(None) };
    // A token in a Referer was exposed, not used: nothing else can be said about it.
    let detectors = match placed.usage.carrier {
        Carrier::Referer(_) => &[url::REFERER],
        _ => ALL,
    };
    for detector in detectors {
        let n_facts = facts.values.len();
        match detector.judge {
            Usage(judge) => judge(&case, &mut told, &mut facts),
            Exposure(judge) => judge(&case, &mut told, exposures, &mut facts),
            House | Log | Site => {}
        }
        let report = case.report.take().filter(|_| facts.values.len() > n_facts);
        let of = |(key, period)| Report { by: detector.name, key, period };
        facts.reports.extend(report.map(of));
    }
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
    /// The key and the period of what the detector whose turn it is reported last.
    report: Cell<Option<(u32, i64)>>,
}

impl Case<'_> {
    /// Returns whether the server accepted the token and the log says so.
    fn is_ok(&self) -> bool {
        self.placed.usage.outcome() == Outcome::Ok
    }

    /// Returns whether the server did more than redirect the request, which many do before they look at its token.
    fn is_served(&self) -> bool {
        self.is_ok() && !matches!(self.placed.usage.status, Some(301 | 307 | 308))
    }

    /// Returns whether nobody but the sender of this request vouches for the principal: it is not registered, and was
    /// not used on an earlier day. A day on which it got redirects alone is no active one, but the profile has its
    /// time.
    fn is_new_here(&self) -> bool {
        let last = self.profile.last_seen();
        let is_first_day = last.is_none_or(|last| last.day() >= self.placed.usage.time.day());
        self.row.is_none() && self.signals.active_days == 0 && is_first_day
    }

    /// Returns how often something about this usage's principal was suppressed, if it is to be reported now.
    fn tell(&self, told: &mut Told, kind: &str, what: &[&[u8]], hours: f64) -> Option<u32> {
        self.tell_key(told, report_key(kind.as_bytes(), what), period(hours))
    }

    /// Like [`tell`](Self::tell), for something with a key of its own.
    fn tell_key(&self, told: &mut Told, key: u32, period: i64) -> Option<u32> {
        let silent = told.tell(key, self.placed.usage.time, period)?;
        self.report.set(Some((key, period)));
        Some(silent)
    }

    /// Reports something through `tell`. Of principals that are new here, an hour has a number of reports of a sort:
    /// anybody can invent those.
    fn tell_in_room<T>(
        &self,
        told: &mut Told,
        (exposures, of): (&mut Exposures, Exposed),
        tell: impl FnOnce(&mut Told) -> Option<T>,
    ) -> Option<(T, Room)> {
        let of = self.is_new_here().then_some(of);
        self.tell_one_of(told, (exposures, of), tell)
    }

    /// Reports something through `tell`, if it is one of a sort only within the sort's room.
    fn tell_one_of<T>(
        &self,
        told: &mut Told,
        (exposures, of): (&mut Exposures, Option<Exposed>),
        tell: impl FnOnce(&mut Told) -> Option<T>,
    ) -> Option<(T, Room)> {
        let Some(of) = of else { return Some((tell(told)?, Room::One)) };
        let before = told.clone();
        let news = tell(told)?;
        let room = exposures.note(of, self.placed.usage.time);
        if room.is_none() {
            // It was not told, and will be as soon as there is room, or it is no longer one of the sort.
            *told = before;
        }
        Some((news, room?))
    }

    /// Notes that something is reported. Returns whether it was within seven days before: then this is a reminder.
    fn is_reminder(&self, told: &mut Told, kind: &str, what: &[&[u8]]) -> bool {
        let time = self.placed.usage.time;
        let last = told.touch(report_key(REMINDER, &[&[kind.as_bytes()], what].concat()), time);
        last.is_some_and(|last| time.since(last) < period(7.0 * DAY_HOURS))
    }

    /// Like [`tell`](Self::tell), for one of many things, such as a route, by `group`, such as a token: the first few
    /// of a group are told by name, then once that there are further ones.
    fn tell_one(
        &self,
        told: &mut Told,
        kind: &str,
        [group, what]: [&[u8]; 2],
        hours: f64,
    ) -> Option<Many> {
        let key = |of: &[u8]| report_key(kind.as_bytes(), &[group, of]);
        let many = [what, b"count", b"further"].map(key);
        let (period, [one, _, further]) = (period(hours), many);
        let news = told.tell_one(many, self.placed.usage.time, period)?;
        let key = match news {
            Many::One(_) => one,
            Many::Further(_) => further,
        };
        self.report.set(Some((key, period)));
        Some(news)
    }

    /// Like [`tell_one`](Self::tell_one), separately for each operator (neighbourhood, if that is unknown) and answer.
    fn tell_by_source(&self, told: &mut Told, kind: &str, hours: f64) -> Option<u32> {
        let Placed { place, prefix, .. } = self.placed;
        let source = match (place.asn, prefix) {
            (Some(asn), _) => asn.to_string(),
            (None, prefix) => prefix.map(|prefix| prefix.to_string()).unwrap_or_default(),
        };
        // Refusals from everywhere must not keep a later acceptance quiet.
        let group = [self.series(), &[u8::from(self.is_ok())]].concat();
        let many = self.tell_one(told, kind, [&group, source.as_bytes()], hours)?;
        let (Many::One(silent) | Many::Further(silent)) = many;
        Some(silent)
    }

    /// Returns the token if somebody registered it, else nothing: a principal's other tokens are a series, of which
    /// each would be told, and would push out other reports. They change by the hour, or somebody makes up as many as
    /// he likes.
    fn series(&self) -> &[u8] {
        let is_registered = self.row.is_some_and(|row| row.token.is_some());
        if is_registered { &self.placed.usage.token.0 } else { &[] }
    }

    /// Returns whether the server accepted the token; `None` if the log has no status.
    fn answer(&self) -> Option<bool> {
        (self.placed.usage.status.is_some()).then(|| self.is_ok())
    }

    /// Says how long the request took, where that explains when the token was used.
    fn length(&self) -> String {
        const NOTABLE: u32 = 60_000;
        let millis = self.placed.usage.took_millis;
        let length = || format!("; the request took {}", words::span(f64::from(millis) / 1000.0));
        if millis < NOTABLE { String::new() } else { length() }
    }

    /// Returns the seconds from an instant to the beginning of this usage, if they are more than `grace`.
    fn seconds_after(&self, instant: Option<Timestamp>, grace: f64) -> Option<i64> {
        let seconds = self.placed.usage.began().since(instant?).div_euclid(SECOND);
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

/// What became of a use of which the log has no status.
const UNANSWERED: &str = "used (the log does not say whether it was accepted)";

/// The sort of the reports of [`Case::is_reminder`].
const REMINDER: &[u8] = b"reminder";

/// Says that an hour, or thirty days, have no further reports, at the last one, and why.
fn rest(room: Room) -> String {
    let Room::Last(of) = room else { return String::new() };
    let month = format!("{NAMED} such alerts came within thirty days");
    let enough = match of {
        Exposed::Leeway => format!("{month}: the server accepts tokens some minutes too long"),
        Exposed::Weak => format!("{month}: whoever makes the tokens makes them too short"),
        Exposed::Lasting | Exposed::Endless => format!("{month}: an issuer's JWTs are alike"),
        Exposed::Short => {
            format!("{NAMED} such alerts about tokens on their first day came within thirty days")
        }
        Exposed::Url | Exposed::Referer | Exposed::Insecure | Exposed::Expired | Exposed::Mfa => {
            format!("of tokens first used that day, {NAMED} such alerts came in this hour")
        }
        Exposed::Guessing => format!("{NAMED} such alerts came in this hour"),
        Exposed::Slow => format!("{NAMED} alerts of slow guessing came in this hour"),
        Exposed::Found => {
            format!("{NAMED} alerts of guessing with an accepted token came in this hour")
        }
        Exposed::Unsigned => format!("of tokens first used that day, {NAMED} such alerts came"),
    };
    format!("; {enough}, so further ones are not reported")
}

/// Returns a period in microseconds.
fn period(hours: f64) -> i64 {
    i64::from(whole(hours * 60.0)) * MINUTE
}

/// A day, in hours.
const DAY_HOURS: f64 = 24.0;
