//! Facts, and the alerts that rules make from them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use crate::engine::geo::Place;
use crate::engine::profile::Brought;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Agent, Origin};

/// The alert kind of a sum of evidence, the only one that is not a fact.
pub const UNUSUAL_USE: &str = "unusual-use";

/// The fact that states this sum, in nats.
pub const SCORE: &str = "unusual.score";

/// The alert kinds about a token, and not about its use: anybody could have been the next to use it.
const ABOUT_TOKEN: [&str; 2] = ["lifecycle", "weak-token"];

/// A measured value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// Yes or no.
    Bool(bool),
    /// A count.
    Int(i64),
    /// A measurement; the fact's name includes its unit.
    Float(f64),
    /// A name.
    Text(SmolStr),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:.1}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// Values by name, in alphabetical order. A list, because a map reserves room for eleven at a time, and thousands of
/// alerts may wait for one commit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Values(Vec<(SmolStr, Value)>);

impl Values {
    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a value by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Returns whether there is a value with a name.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Returns all names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&SmolStr, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Keeps some of the values.
    pub fn retain(&mut self, is_kept: impl Fn(&Value) -> bool) {
        self.0.retain(|(_, value)| is_kept(value));
    }
}

/// If several values have the same name, the last one counts.
impl FromIterator<(SmolStr, Value)> for Values {
    fn from_iter<T: IntoIterator<Item = (SmolStr, Value)>>(values: T) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|(a, _), (b, _)| a.cmp(b));
        values.dedup_by(|last, first| {
            let is_same = last.0 == first.0;
            if is_same {
                std::mem::swap(last, first);
            }
            is_same
        });
        Self(values)
    }
}

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from_iter)
    }
}

/// What detectors found out about one usage.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// Named values, e.g. `travel.speed_kmh`.
    pub values: Vec<(&'static str, Value)>,
    /// Their usual values, by the same names.
    pub usual: Vec<(&'static str, Value)>,
    /// Why they matter, in words.
    pub reasons: Vec<Reason>,
    /// What the detectors that do not repeat themselves take them for.
    pub reports: Vec<Report>,
}

/// What a detector reported, and for how long it does not report the same again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The detector's name.
    pub by: &'static str,
    /// A hash of what it keeps apart from its other reports.
    pub key: u32,
    /// In the unit of `Timestamp`.
    pub period: i64,
}

impl Facts {
    /// Returns whether no detector stated anything.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Returns a fact by its name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(fact, _)| *fact == name).map(|(_, value)| value)
    }

    /// Returns the sum of evidence in nats, if it is large enough to be stated.
    #[must_use]
    pub fn score(&self) -> Option<f64> {
        match self.get(SCORE) {
            Some(Value::Float(nats)) => Some(*nats),
            _ => None,
        }
    }
}

/// One sentence for people, without a full stop: `country NG, never in 41 active days`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// The alert kind that it supports: a rule's name, e.g. `unusual-use`.
    pub kind: SmolStr,
    /// What it adds to the score, in nats; 0 for plain facts.
    pub nats: f32,
    /// How that value is computed, if it is not simply the evidence: `0.5 x 6.0`.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub how: SmolStr,
    /// The fact that it is about, for finding the usual value; may be empty.
    #[serde(default, skip_serializing_if = "SmolStr::is_empty")]
    pub fact: SmolStr,
    /// The sentence.
    pub text: String,
}

impl Reason {
    /// Returns whether it says that the registry does not allow the place of use.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        self.fact.starts_with("pinned.")
    }
}

/// Severity, with Sigma's names.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For reports.
    #[default]
    Informational,
    /// For the daily digest.
    Low,
    /// For the daily digest.
    Medium,
    /// Mailed at once.
    High,
    /// Mailed at once.
    Critical,
}

impl Level {
    /// All levels, mildest first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// Returns the level's name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Parses a level's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Which rule matched.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's UUID.
    pub id: SmolStr,
    /// The alert kind, e.g. `impossible-travel`.
    pub name: SmolStr,
    /// Its severity.
    pub level: Level,
    /// The rule's title, for people.
    pub title: SmolStr,
}

impl RuleRef {
    /// Returns whether its alerts are sums of evidence rather than facts.
    #[must_use]
    pub fn is_score(&self) -> bool {
        self.name == UNUSUAL_USE
    }
}

/// The token that an alert is about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TokenRef {
    /// Its id.
    pub id: TokenId,
    /// Its registered name; may be empty.
    pub name: SmolStr,
    /// Its kind.
    pub kind: SmolStr,
    /// The part that may be shown.
    pub hint: SmolStr,
}

/// A rule that matched, with all the evidence.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Stable: the same lines result in the same id.
    pub id: SmolStr,
    /// The incident it belongs to.
    pub incident: SmolStr,
    /// Event time of the usage or line that made the rule match.
    pub time: Timestamp,
    /// Which rule.
    pub rule: RuleRef,
    /// Which token; `None` for an alert about a log, a source, the fleet, or a silence.
    pub token: Option<TokenRef>,
    /// The principal.
    pub principal: SmolStr,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// The address comes from a header: the log names no peer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_forgeable: bool,
    /// The location of the address.
    pub place: Place,
    /// The client program.
    pub agent: Agent,
    /// Method and route.
    pub route: SmolStr,
    /// Status of the response.
    pub status: Option<u16>,
    /// 0 to 100: how likely it is that the alert deserves attention.
    pub risk: u8,
    /// One sentence.
    pub reason: String,
    /// The individual sentences with their weights, heaviest first.
    pub reasons: Vec<Reason>,
    /// The facts.
    pub facts: Values,
    /// The usual values.
    pub usual: Values,
    /// The lines on which it is based.
    pub evidence: Vec<Origin>,
    /// What its usage contributed, in case of a later word.
    #[serde(default)]
    pub brought: Brought,
}

impl Alert {
    /// Returns whether the alert is a sum of evidence rather than a fact.
    #[must_use]
    pub fn is_score(&self) -> bool {
        self.rule.is_score()
    }

    /// Returns whether the alert is about the token, and not about its use: anybody could have been the next to use it.
    #[must_use]
    pub fn is_about_token(&self) -> bool {
        ABOUT_TOKEN.contains(&self.rule.name.as_str())
    }

    /// Returns the weight of an alert, by which the heaviest is reported first: the worst level, then certain alerts,
    /// then likely ones.
    #[must_use]
    pub fn weight(&self) -> (Level, bool, u8) {
        (self.rule.level, !self.is_score(), self.risk)
    }
}

/// The alerts of one principal within an hour: what a person is notified about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Stable: the same lines result in the same id.
    pub id: SmolStr,
    /// The principal.
    pub principal: SmolStr,
    /// Event time of its first alert.
    pub opened: Timestamp,
    /// Event time of its last alert.
    pub last: Timestamp,
    /// The highest level of its alerts.
    pub level: Level,
    /// Grows each time there is something new to report: a higher level, a further rule.
    pub revision: u32,
    /// The number of its alerts.
    pub alerts: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_and_written_as_those_of_a_map() {
        let named = |(name, value): (&str, i64)| (SmolStr::new(name), Value::Int(value));
        for pairs in [&[][..], &[("b", 1)], &[("c", 1), ("a", 2), ("b", 3), ("a", 4), ("a", 5)]] {
            let values: Values = pairs.iter().copied().map(named).collect();
            let map: BTreeMap<SmolStr, Value> = pairs.iter().copied().map(named).collect();
            assert!(values.iter().eq(&map));
            assert!(["", "a", "b", "c", "d"].iter().all(|name| values.get(name) == map.get(*name)));
            let json = serde_json::to_string(&map).unwrap();
            assert_eq!(serde_json::to_string(&values).unwrap(), json);
            assert_eq!(serde_json::from_str::<Values>(&json).unwrap(), values);
        }
    }

    #[test]
    fn a_leak_was_told_behind_a_score() {
        let alert = |name: &str, level, risk| {
            let mut alert = Alert { risk, ..Alert::default() };
            (alert.rule.name, alert.rule.level) = (name.into(), level);
            alert
        };
        let mut alerts = [
            alert("unusual-use", Level::Critical, 100),
            alert("new-country", Level::Low, 20),
            alert("leaked-token-used", Level::Critical, 90),
            alert("token-in-url", Level::High, 70),
        ];
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.weight()));
        let names = alerts.map(|alert| alert.rule.name);
        assert_eq!(names, ["leaked-token-used", "unusual-use", "token-in-url", "new-country"]);
    }
}
