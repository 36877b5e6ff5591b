//! What a person said about an incident, and what that teaches: values that are a principal's own after all, or an
//! actor to be recognised.
//!
//! Words are an argument of the Judge, like mutes. Each has a number and a time. It takes effect on its principal
//! before the first usage at or after that time, and the profile stores the number of the last word that took effect.
//! So it does not matter when the program was started, nor how a log was cut.

use std::collections::BTreeMap;

use smol_str::SmolStr;

use crate::engine::alert::{Alert, Incident, Value};
use crate::engine::geo::Place;
use crate::engine::profile::Family;
pub use crate::engine::profile::{Brought, Heard, Known, Sighting, Verdict, Word};
use crate::engine::stats::units;
use crate::engine::time::{DAY, Timestamp};

/// The most actors in a word: those of an hour, which are seldom more than two.
const ACTORS: usize = 32;

impl Sighting {
    /// Extracts the actor from an alert. Returns `None` for an alert without a usage of a principal: about a log, or
    /// about a silence, for which there is no line. For many at once, it is the network and client in common.
    fn of(alert: &Alert) -> Option<Self> {
        let is_of_many = alert.token.is_none();
        if is_of_many && !alert.facts.contains("fleet.change") {
            return None;
        }
        alert.evidence.first()?;
        let nats = |name: &str| match alert.facts.get(name) {
            Some(Value::Float(nats)) => *nats,
            _ => 0.0,
        };
        let has_rate = nats("unusual.rate").max(nats("rate.nats")) > 0.0;
        let seen = Self {
            time: alert.time,
            client: alert.client,
            // No value of it is kept, and JSON cannot represent every number.
            place: Place { point: None, ..alert.place.clone() },
            agent: alert.agent.clone(),
            novel: alert.brought.novel,
            families: Family::ALL.into_iter().filter(|of| nats(of.fact()) > 0.0).collect(),
            surprise: if has_rate { alert.brought.surprise } else { 0.0 },
            turns_with: alert.brought.turn_with.into_iter().collect(),
        };
        (!is_of_many || seen.stranger().is_some()).then_some(seen)
    }
}

impl Word {
    /// Creates the word for a verdict on alerts of one principal; `None` if it can teach nothing.
    #[must_use]
    pub fn of(verdict: Verdict, at: Timestamp, alerts: &[&Alert]) -> Option<Self> {
        let mut actors: Vec<Sighting> = Vec::new();
        for seen in alerts.iter().filter_map(|alert| Sighting::of(alert)) {
            let has_room = actors.len() < ACTORS;
            match actors.iter_mut().find(|actor| actor.keys() == seen.keys()) {
                Some(actor) => actor.merge(&seen),
                None if has_room => actors.push(seen),
                None => {}
            }
        }
        let principal = alerts.first()?.principal.clone();
        (!actors.is_empty()).then_some(Self {
            number: 0,
            at,
            principal,
            verdict,
            actors,
            about: None,
        })
    }
}

/// All words. Bounded by what people say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Words {
    by_principal: BTreeMap<SmolStr, Vec<Word>>,
    watches: BTreeMap<u32, Vec<Watch>>,
}

/// An actor of confirmed misuse.
#[derive(Clone, Debug, PartialEq)]
struct Watch {
    principal: SmolStr,
    since: Timestamp,
    /// When a later word revoked it.
    end: Option<Timestamp>,
}

impl Words {
    /// Accepts all words, in any order.
    #[must_use]
    pub fn new(mut words: Vec<Word>) -> Self {
        words.sort_by_key(|word| word.number);
        let mut all = Self::default();
        for word in words {
            for key in word.strangers() {
                let watches = all.watches.entry(key).or_default();
                match word.verdict {
                    Verdict::Confirmed => watches.push(Watch {
                        principal: word.principal.clone(),
                        since: word.at,
                        end: None,
                    }),
                    Verdict::Expected => watches
                        .iter_mut()
                        .filter(|watch| watch.principal == word.principal && watch.end.is_none())
                        .for_each(|watch| watch.end = Some(word.at)),
                }
            }
            all.by_principal.entry(word.principal.clone()).or_default().push(word);
        }
        all
    }

    /// Returns the words that must take effect on a principal before a usage at `time`, in order: those after number
    /// `after`, the last that took effect.
    pub fn due(&self, principal: &str, after: u32, time: Timestamp) -> impl Iterator<Item = &Word> {
        let words = self.by_principal.get(principal).map(Vec::as_slice).unwrap_or_default();
        let words = words.iter().skip_while(move |word| word.number <= after);
        words.take_while(move |word| word.at <= time)
    }

    /// Returns whether a person had said what an incident was, with the alerts that it has, before an alert at `time`
    /// joins it. The number of alerts decides which are later, so that a replay hears what the daemon heard: a line may
    /// arrive long after its time.
    #[must_use]
    pub fn have_settled(&self, incident: &Incident, time: Timestamp) -> bool {
        let had_all = |word: &Word| match &word.about {
            Some(Known { incident: id, n_alerts }) => {
                *id == incident.id && *n_alerts <= incident.alerts
            }
            None => incident.opened <= word.at && word.at < time,
        };
        self.about_principal(&incident.principal).any(had_all)
    }

    /// Returns whether misuse of a principal was confirmed from one time on and before another.
    #[must_use]
    pub fn have_confirmed(&self, principal: &str, from: Timestamp, before: Timestamp) -> bool {
        let is_then = |word: &Word| from <= word.at && word.at < before;
        self.about_principal(principal)
            .any(|word| word.verdict == Verdict::Confirmed && is_then(word))
    }

    fn about_principal(&self, principal: &str) -> impl Iterator<Item = &Word> {
        self.by_principal.get(principal).into_iter().flatten()
    }

    /// Returns what is known about an actor at a time. Misuse is watched for `days` days.
    pub(crate) fn about(
        &self,
        principal: &str,
        actor: impl FnOnce() -> [u32; 3],
        time: Timestamp,
        days: f64,
    ) -> Heard {
        let has_forgotten = self.has_forgotten(principal, time);
        if self.watches.is_empty() {
            return Heard { has_forgotten, ..Heard::default() };
        }
        let keys = actor();
        let watched = units(days, DAY);
        let watches = keys.iter().filter_map(|key| self.watches.get(key)).flatten();
        let in_force =
            watches.filter(|watch| watch.since <= time && watch.end.is_none_or(|end| time < end));
        let unknown = Heard { has_forgotten, ..Heard::default() };
        in_force.fold(unknown, |heard, watch| Heard {
            is_watched: heard.is_watched || time.since(watch.since) < watched,
            is_barred: heard.is_barred || watch.principal == principal,
            ..heard
        })
    }

    /// Returns whether misuse of a principal had been confirmed by a time.
    fn has_forgotten(&self, principal: &str, time: Timestamp) -> bool {
        let mut words = self.by_principal.get(principal).into_iter().flatten();
        words.any(|word| word.verdict == Verdict::Confirmed && word.at <= time)
    }
}
