//! A person's word about an actor, as a profile applies it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::geo::{Place, Prefix};
use crate::engine::profile::family::{Families, Family};
use crate::engine::profile::signals::Keys;
use crate::engine::time::Timestamp;
use crate::engine::usage::Agent;

/// A person's verdict on an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It was the owner, or otherwise in order.
    Expected,
    /// It was misuse.
    Confirmed,
}

impl Verdict {
    /// Returns the verdict's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expected => "expected",
            Self::Confirmed => "confirmed",
        }
    }

    /// Parses a verdict's word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Expected, Self::Confirmed].into_iter().find(|verdict| verdict.as_str() == word)
    }
}

/// What the usage behind an alert brought with it: stored with the alert, for a word that may follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Brought {
    /// The values that were not in its principal's tables.
    pub novel: Families,
    /// The surprise of the day's worst moment so far (docs/detection.md, Rate); 0 if the rate was usual.
    pub surprise: f32,
    /// The key of the stranger's network, if a known and an unknown place took turns: the usage is of either.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn_with: Option<u32>,
}

/// An actor as alerts saw it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sighting {
    /// When it was last seen.
    pub time: Timestamp,
    /// Its address.
    pub client: Option<IpAddr>,
    /// Where that is.
    pub place: Place,
    /// Its program.
    pub agent: Agent,
    /// The values that were not in the principal's tables.
    pub novel: Families,
    /// The kinds of evidence.
    pub families: Families,
    /// The surprise of the rate, if that was evidence.
    pub surprise: f32,
    /// The keys of the networks of strangers with whom it took turns, or its own if it is the stranger.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub turns_with: BTreeSet<u32>,
}

impl Sighting {
    /// Returns its values as profiles store them; the route is unknown.
    pub(crate) fn keys(&self) -> Keys {
        Keys::new(&self.place, self.client.map(Prefix::of), &self.agent)
    }

    /// Returns the key by which it is recognised: network and client, or neighbourhood and client if the principal
    /// itself uses that network and client; `None` if nothing distinguishes it from the principal.
    pub(crate) fn stranger(&self) -> Option<u32> {
        let is_new = |family: &Family| self.novel.has(*family);
        let by = [Family::Country, Family::Network, Family::Client, Family::Prefix];
        by.iter().any(is_new).then(|| self.keys().actor(self.novel))
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.time = self.time.max(other.time);
        self.novel = self.novel.or(other.novel);
        self.families = self.families.or(other.families);
        self.surprise = self.surprise.max(other.surprise);
        self.turns_with.extend(&other.turns_with);
    }
}

/// What a person said about an alert or an incident, and about which actors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Word {
    /// Grows with each word; 0 before it is stored.
    #[serde(skip)]
    pub number: u32,
    /// When it was said; of old logs, when what was read of them ended.
    pub at: Timestamp,
    /// The principal that it applies to.
    pub principal: SmolStr,
    /// What was said.
    pub verdict: Verdict,
    /// The actors, each once.
    pub actors: Vec<Sighting>,
    /// Of which incident; `None` before it is kept, and of words from before that was.
    #[serde(default)]
    pub about: Option<Known>,
}

/// An incident as far as it was known when something was said of it, or of one of its alerts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its id.
    pub incident: SmolStr,
    /// The alerts that it had.
    pub n_alerts: u32,
}

impl Word {
    /// Returns the kinds of evidence.
    #[must_use]
    pub fn families(&self) -> Families {
        self.actors.iter().fold(Families::default(), |all, actor| all.or(actor.families))
    }

    /// Returns the largest surprise of the rate; 0 if that was not evidence.
    #[must_use]
    pub fn surprise(&self) -> f32 {
        self.actors.iter().fold(0.0, |most, actor| most.max(actor.surprise))
    }

    /// Returns whether there is an actor to recognise.
    #[must_use]
    pub fn has_stranger(&self) -> bool {
        self.actors.iter().any(|actor| actor.stranger().is_some())
    }

    pub(crate) fn strangers(&self) -> impl Iterator<Item = u32> {
        self.actors.iter().filter_map(Sighting::stranger)
    }
}

/// What words say about the actor of one usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Misuse from this network, with this client, was confirmed recently.
    pub is_watched: bool,
    /// It was misuse of this very principal: never to be learned.
    pub is_barred: bool,
    /// Misuse of this principal by any actor was confirmed: what that actor brought was seen, and forgotten.
    pub has_forgotten: bool,
}
