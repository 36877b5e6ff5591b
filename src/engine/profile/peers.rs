//! What the other principals of a site say about one: how often such principals change, and which
//! values are known among them.

use crate::engine::geo::NetworkKind;
use crate::engine::profile::Profile;
use crate::engine::profile::family::{Family, Priors, Value};
use crate::engine::profile::signals::kind_of;
use crate::engine::stats::Days;
use crate::engine::time::Timestamp;

/// The kind of user that a principal is: the two change at quite different rates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Everybody who is not clearly a machine.
    #[default]
    Human,
    /// A program at work around the clock, from one neighbourhood, or from rented machines only.
    Machine,
}

impl Class {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Human, Self::Machine];

    /// Returns its index in whatever is stored by class.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns its name for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Machine => "machine",
        }
    }
}

/// The families whose hazards are shared with the population: days with something new by active day.
pub const SHARED: [Family; 7] = [
    Family::Country,
    Family::Kind,
    Family::Network,
    Family::Prefix,
    Family::Client,
    Family::Version,
    Family::Hop,
];

/// What one principal contributes to the experience of its class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its class.
    pub class: Class,
    /// Its faded active days.
    pub days: Days,
    /// Of these, days with something new, for each family of [`SHARED`].
    pub new: [Days; SHARED.len()],
}

/// What is known beyond one principal.
pub trait Peers {
    /// Returns how often new values appear for principals of a class.
    fn priors(&self, class: Class) -> &Priors;

    /// Returns how many principals of a class have made a value their own, as far as stored.
    fn known_by(&self, class: Class, value: Value) -> u32;

    /// Returns whether many principals took to a value at once shortly before a time: then it says nothing about one.
    fn is_shared_change(&self, value: Value, time: Timestamp) -> bool;

    /// Returns whether many principals became far busier than ever shortly before a time: then it says nothing that
    /// one of them is, too, unless it is several times its busiest ever.
    fn is_rush(&self, time: Timestamp) -> bool;

    /// Returns whether many principals met far more refused and missing answers than ever shortly before a time, among
    /// them this route's: then such an answer of the route says nothing about a principal that meets it.
    fn is_fault(&self, route: u32, time: Timestamp) -> bool;

    /// Returns for how many hours between two times nobody called, counting only rests of more than three days: a log
    /// that is lost, holidays.
    fn rested(&self, from: Timestamp, until: Timestamp) -> i64;
}

/// A principal without peers: default priors, nothing known.
#[derive(Clone, Debug, Default)]
pub struct Alone(Priors);

impl Peers for Alone {
    fn priors(&self, _: Class) -> &Priors {
        &self.0
    }

    fn known_by(&self, _: Class, _: Value) -> u32 {
        0
    }

    fn is_shared_change(&self, _: Value, _: Timestamp) -> bool {
        false
    }

    fn is_rush(&self, _: Timestamp) -> bool {
        false
    }

    fn is_fault(&self, _: u32, _: Timestamp) -> bool {
        false
    }

    fn rested(&self, _: Timestamp, _: Timestamp) -> i64 {
        0
    }
}

/// Active hours in a day from which a principal works around the clock (docs/detection.md, Priors).
const MACHINE_HOURS: f64 = 20.0;
/// Active days after which one neighbourhood is a habit: people leave theirs within a week.
const HABIT_DAYS: f64 = 5.0;
/// Active days after which using only rented machines is a habit: people start at a desk, or with a phone.
const RENTED_DAYS: f64 = 2.0;
/// Active days after which an unregistered principal speaks for others: what an alerted actor does takes as long
/// to become normal for one principal. A made-up token is a principal as soon as a public page answers it.
/// Not a parameter: what was added under one value could not be subtracted under another.
const SETTLED_DAYS: u32 = 14;

impl Profile {
    /// Returns the class, as far as is known.
    #[must_use]
    pub const fn class(&self) -> Class {
        self.class
    }

    /// Returns whether it has been active long enough to speak for others.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.n_days > SETTLED_DAYS
    }

    /// Returns what the principal contributes to the experience of its class; `None` until it is settled.
    #[must_use]
    pub fn share(&self) -> Option<Share> {
        let new = self.hazards.days;
        self.is_settled().then_some(Share { class: self.class, days: self.days, new })
    }

    fn is_only_hosting(&self) -> bool {
        let mut kinds = self.tables.of(Family::Kind).iter().map(|slot| kind_of(slot.key));
        !self.tables.of(Family::Kind).is_empty()
            && kinds.all(|kind| kind == Some(NetworkKind::Hosting))
    }

    /// Returns whether it has used only rented machines.
    pub(super) fn is_rented(&self) -> bool {
        self.days.get() >= RENTED_DAYS && self.is_only_hosting()
    }

    /// Returns whether it is certainly not a person carrying a laptop: at work around the clock, or on rented machines.
    /// A principal with only one neighbourhood may be a person at home.
    pub(super) fn is_program(&self) -> bool {
        self.is_rented() || self.hours.mean_of_day() >= MACHINE_HOURS
    }

    /// Determines the class from the past days.
    pub(super) fn classify(&self) -> Class {
        let is_fixed = self.days.get() >= HABIT_DAYS && self.tables.of(Family::Prefix).len() == 1;
        if is_fixed || self.is_program() { Class::Machine } else { Class::Human }
    }
}
