//! The families of evidence, their hazards, and the evidence of a value never seen before.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::profile::params::Caps;
use crate::engine::stats::{Days, Nats};

/// One kind of evidence about who uses a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// Country.
    Country,
    /// Kind of network.
    Kind,
    /// Autonomous system.
    Network,
    /// /24 or /48.
    Prefix,
    /// Client program.
    Client,
    /// Its version.
    Version,
    /// Impossible travel.
    Hop,
    /// Hour of the day.
    Hour,
    /// Routes never used.
    Routes,
    /// Refused and missing objects.
    Errors,
    /// A long gap.
    Dormancy,
    /// Network and client of misuse that a person confirmed.
    Watched,
    /// Many new networks in one day.
    Strangers,
}

/// A value of a family, as it is stored: a network, a neighbourhood, a hash of a client's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Value {
    /// Its family.
    pub family: Family,
    /// What distinguishes it from others of the family.
    pub key: u32,
}

impl Value {
    /// Names a value.
    #[must_use]
    pub const fn new(family: Family, key: u32) -> Self {
        Self { family, key }
    }
}

impl fmt::Display for Value {
    /// Writes the name under which it is stored: `family:key`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.family.index(), self.key)
    }
}

impl From<Value> for String {
    fn from(value: Value) -> Self {
        value.to_string()
    }
}

impl TryFrom<String> for Value {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let parse = || {
            let (family, key) = name.split_once(':')?;
            let family = Family::ALL.get(family.parse::<usize>().ok()?)?;
            Some(Self::new(*family, key.parse().ok()?))
        };
        parse().ok_or("no name of a value")
    }
}

/// How a hazard is weighed: the table in docs/detection.md, Identity.
struct Law {
    /// Probability that an attacker brings something new.
    attack: f64,
    /// Prior days with something new.
    alpha: f64,
    /// Prior active days.
    beta: f64,
}

impl Family {
    /// How many there are.
    pub const COUNT: usize = 13;

    /// All, in the order in which they are stored.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Country,
        Self::Kind,
        Self::Network,
        Self::Prefix,
        Self::Client,
        Self::Version,
        Self::Hop,
        Self::Hour,
        Self::Routes,
        Self::Errors,
        Self::Dormancy,
        Self::Watched,
        Self::Strangers,
    ];

    /// The families whose values are learned or held back: they identify who it is.
    pub const IDENTITY: [Self; 6] =
        [Self::Country, Self::Kind, Self::Network, Self::Prefix, Self::Client, Self::Version];

    /// The families in which it matters who else has a value.
    pub const COMMON: [Self; 3] = [Self::Network, Self::Prefix, Self::Client];

    /// Returns the name of the fact that states its evidence.
    #[must_use]
    pub const fn fact(self) -> &'static str {
        match self {
            Self::Country => "unusual.country",
            Self::Kind => "unusual.kind",
            Self::Network => "unusual.network",
            Self::Prefix => "unusual.prefix",
            Self::Client => "unusual.client",
            Self::Version => "unusual.version",
            Self::Hop => "unusual.hop",
            Self::Hour => "unusual.hour",
            Self::Routes => "unusual.routes",
            Self::Errors => "unusual.errors",
            Self::Dormancy => "unusual.dormancy",
            Self::Watched => "unusual.watched",
            Self::Strangers => "unusual.strangers",
        }
    }

    /// Returns its index in whatever is stored by family.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    const fn bit(self) -> u16 {
        1 << self.index()
    }

    const fn law(self) -> Law {
        let (attack, alpha, beta) = match self {
            Self::Country => (0.60, 0.25, 20.0),
            Self::Kind => (0.55, 0.10, 15.0),
            Self::Network => (0.80, 0.40, 15.0),
            Self::Prefix => (0.90, 0.60, 2.0),
            Self::Client => (0.65, 0.10, 15.0),
            Self::Version => (0.15, 0.60, 13.0),
            Self::Hop => (0.50, 0.15, 10.0),
            Self::Hour => (0.45, 0.30, 1.0),
            // these are no hazards; their evidence has formulas of its own
            Self::Routes | Self::Errors | Self::Dormancy | Self::Watched | Self::Strangers => {
                (1.0, 1.0, 1.0)
            }
        };
        Law { attack, alpha, beta }
    }

    /// Returns the most that it may add to the score.
    #[must_use]
    pub const fn cap(self, caps: &Caps) -> f64 {
        match self {
            Self::Country => caps.country,
            Self::Kind => caps.kind,
            Self::Network => caps.network,
            Self::Prefix => caps.prefix,
            Self::Client => caps.client,
            Self::Version => caps.version,
            Self::Hop => caps.hop,
            Self::Hour => caps.hour,
            Self::Routes => caps.routes,
            Self::Errors => caps.errors,
            Self::Dormancy => caps.dormancy,
            Self::Watched => caps.watched,
            Self::Strangers => caps.strangers,
        }
    }
}

/// A prior on how often new values appear: Gamma(alpha, beta) in days per active day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prior {
    /// Days with a new value.
    pub alpha: f64,
    /// Active days.
    pub beta: f64,
}

/// The priors of all families: empirical Bayes, fixed until fitted to the site's own tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Priors([Prior; Family::COUNT]);

impl Default for Priors {
    fn default() -> Self {
        Self(Family::ALL.map(|family| {
            let Law { alpha, beta, .. } = family.law();
            Prior { alpha, beta }
        }))
    }
}

impl Priors {
    /// Returns the prior of a family.
    #[must_use]
    pub fn get(&self, family: Family) -> Prior {
        let none = Prior { alpha: 1.0, beta: 1.0 };
        self.0.get(family.index()).copied().unwrap_or(none)
    }

    /// Replaces the prior of a family, with beta clamped to 1 to 30, the range of a fit.
    pub fn set(&mut self, family: Family, prior: Prior) {
        if let Some(slot) = self.0.get_mut(family.index()) {
            *slot = Prior { beta: prior.beta.clamp(1.0, 30.0), ..prior };
        }
    }

    /// Returns the evidence that an attacker, not the owner, brings something new:
    ///
    /// `ln(p_attack / p_user)`, `p_user = (nu + alpha) / (A + beta) (1 + 4 2^-A)`
    ///
    /// after `days` = A active days, on `seen` = nu of which something new appeared. The last
    /// factor is the measured effect of age: young principals change more.
    #[must_use]
    pub fn evidence(&self, family: Family, seen: f64, days: f64) -> f64 {
        let Prior { alpha, beta } = self.get(family);
        let user = (seen + alpha) / (days + beta) * (1.0 + 4.0 * libm::exp2(-days));
        libm::log(family.law().attack / user)
    }
}

/// A set of families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families(pub u16);

impl Families {
    /// Returns whether a family is in the set.
    #[must_use]
    pub const fn has(self, family: Family) -> bool {
        self.0 & family.bit() != 0
    }

    /// Returns whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Adds a family.
    pub const fn add(&mut self, family: Family) {
        self.0 |= family.bit();
    }

    /// Returns the union of both sets.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the families of the set, in their order.
    pub fn iter(self) -> impl Iterator<Item = Family> {
        Family::ALL.into_iter().filter(move |family| self.has(*family))
    }
}

impl FromIterator<Family> for Families {
    fn from_iter<I: IntoIterator<Item = Family>>(families: I) -> Self {
        families.into_iter().fold(Self::default(), |mut set, family| {
            set.add(family);
            set
        })
    }
}

/// Evidence by family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evidence(pub [Nats; Family::COUNT]);

impl Evidence {
    /// Returns the evidence of one family.
    #[must_use]
    pub fn get(&self, family: Family) -> Nats {
        self.0.get(family.index()).copied().unwrap_or_default()
    }

    /// Raises the evidence of one family.
    pub fn raise(&mut self, family: Family, nats: Nats) {
        if let Some(most) = self.0.get_mut(family.index()) {
            *most = nats.max(*most);
        }
    }

    /// Returns the larger of both for each family.
    #[must_use]
    pub fn or(mut self, other: &Self) -> Self {
        Family::ALL.into_iter().for_each(|family| self.raise(family, other.get(family)));
        self
    }

    /// Returns the evidence of the other families.
    #[must_use]
    pub fn without(mut self, families: Families) -> Self {
        for (nats, family) in self.0.iter_mut().zip(Family::ALL) {
            if families.has(family) {
                *nats = Nats(0);
            }
        }
        self
    }

    /// Returns the sum in nats.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.0.iter().map(|nats| nats.get()).sum()
    }

    /// Returns the sum of the evidence that somebody else is there.
    #[must_use]
    pub fn identity(&self) -> f64 {
        Family::IDENTITY.into_iter().map(|family| self.get(family).get()).sum()
    }

    /// Returns the families with any evidence.
    #[must_use]
    pub fn families(&self) -> Families {
        Family::ALL.into_iter().filter(|family| self.get(*family) > Nats(0)).collect()
    }
}

/// How often something new appears, by family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hazards {
    /// Days on which a new value appeared, faded, of the families from `Country` to `Hop`.
    pub days: [Days; 7],
    /// New routes, not days, in steps of 1/256, faded.
    pub routes: u32,
    /// The families already counted today.
    pub today: Families,
}

impl Hazards {
    /// Returns the faded days on which the family had something new.
    #[must_use]
    pub(super) fn get(&self, family: Family) -> f64 {
        self.days.get(family.index()).map_or(0.0, |days| days.get())
    }

    /// Notes that the family had something new today.
    pub(super) fn count(&mut self, family: Family) {
        if self.today.has(family) {
            return;
        }
        self.today.add(family);
        if let Some(days) = self.days.get_mut(family.index()) {
            *days = days.and_one();
        }
    }

    /// Counts something new in the family, a day or a route, because a person says so.
    pub(super) fn add(&mut self, family: Family) {
        if family == Family::Routes {
            self.routes = self.routes.saturating_add(256);
        }
        if let Some(days) = self.days.get_mut(family.index()) {
            *days = days.and_one();
        }
    }

    /// Fades the counts by one active day.
    pub(super) fn fade(&mut self) {
        self.days.iter_mut().for_each(|days| *days = days.faded());
        // as Days, in 32 bits: steps of 1/256
        self.routes = u32::try_from((u64::from(self.routes) * 64_039) >> 16).unwrap_or(u32::MAX);
        self.today = Families::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_the_formula_of_the_table() {
        let priors = Priors::default();
        // A = 3, nothing new so far: ln(.6 / (.25 / 23 * 1.5)) = 3.6 (docs/detection.md, Cold start)
        let young = priors.evidence(Family::Country, 0.0, 3.0);
        assert!((young - (0.6 / (0.25 / 23.0 * 1.5f64)).ln()).abs() < 1e-12);
        assert!((young - 3.6).abs() < 0.01);
        // a principal that always changes is no likelier to be somebody else
        assert!(priors.evidence(Family::Prefix, 40.0, 42.0) < 0.0);
    }

    #[test]
    fn something_new_counts_once_a_day() {
        let mut hazards = Hazards::default();
        hazards.count(Family::Prefix);
        hazards.count(Family::Prefix);
        assert!((hazards.get(Family::Prefix) - 1.0).abs() < 1e-9);
        hazards.fade();
        hazards.count(Family::Prefix);
        assert!((hazards.get(Family::Prefix) - 1.977).abs() < 0.01);
    }
}
