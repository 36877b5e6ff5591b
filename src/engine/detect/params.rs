//! All parameters of `[detect.*]`: what they are, and how configuration sets them.

use crate::engine::house::{Fleet, Guessing, Objects};
use crate::engine::profile::{self, Parameter, Section};
use crate::engine::requests::Requests;

use super::dead::Dead;
use super::dormant::Dormant;
use super::expired::Expired;
use super::health::Health;
use super::lifecycle::Lifecycle;
use super::novel::New;
use super::revoked::Revoked;
use super::rotated::Rotated;
use super::weak::Weak;

profile::section! {
    /// How long the same fact is not repeated.
    Repeat = "repeat" {
        /// A token used after it expired, leaked, was revoked or rotated, from one operator.
        dead_hours = 24.0, "h", "own choice: once a day while it goes on";
        /// A decoy, from one operator.
        decoy_hours = 1.0, "h", "Canarytokens: a minute; an incident is an hour";
        /// An exposed token: one route and parameter, or one client.
        exposed_hours = 24.0, "h", "own choice: once a day until it is mended";
        /// A request beyond a token's scopes, or without a second factor: one method and route.
        beyond_hours = 24.0, "h", "own choice: once a day until it is mended";
        /// What is new and not learned yet: country, network, client, journey, fan-out, waking, a server's leeway; a
        /// JWT that nobody signed or that lives long, a weak token.
        new_hours = 720.0, "h", "own choice: as long as its actor (score.actor_repeat_days)";
    }
}

/// Parameters of all detectors, and of the profile behind them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Params {
    /// Of the profile and its score.
    pub profile: profile::Params,
    /// Of `expired-token-accepted`.
    pub expired: Expired,
    /// Of `revoked-token-used`.
    pub revoked: Revoked,
    /// Of `rotated-token-used`.
    pub rotated: Rotated,
    /// Of `dead-token-tried`.
    pub dead: Dead,
    /// Of `dormant-token-woke`.
    pub dormant: Dormant,
    /// Of `new-country`, `new-network`, `new-client`.
    pub new: New,
    /// Of `fleet-change`.
    pub fleet: Fleet,
    /// Of `token-guessing` and `success-after-guessing`.
    pub guessing: Guessing,
    /// Of `object-enumeration`.
    pub objects: Objects,
    /// When facts are repeated.
    pub repeat: Repeat,
    /// Of `monitor-health`.
    pub health: Health,
    /// Of `weak-token`.
    pub weak: Weak,
    /// Of `lifecycle`.
    pub lifecycle: Lifecycle,
    /// Of `mfa-missing`: the requests that take a second factor. Its value is no number, so [`Self::set`] does not know
    /// it.
    pub sensitive: Vec<Requests>,
}

/// A parameter that cannot be set.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BadParameter {
    /// There is no such section.
    #[error("unknown section \"detect.{section}\"{}", hint(.suggestion.as_deref()))]
    Section {
        /// The name given.
        section: String,
        /// The name probably meant.
        suggestion: Option<String>,
    },
    /// The section has no such key.
    #[error("unknown key \"{key}\" in [detect.{section}]{}", hint(.suggestion.as_deref()))]
    Key {
        /// The section.
        section: String,
        /// The name given.
        key: String,
        /// The name probably meant.
        suggestion: Option<String>,
    },
    /// The value is negative or not a number.
    #[error("expected a number not below 0, found {0}")]
    Value(f64),
}

fn hint(suggestion: Option<&str>) -> String {
    suggestion.map(|meant| format!(", did you mean \"{meant}\"?")).unwrap_or_default()
}

impl Params {
    fn sections(&mut self) -> Vec<&mut dyn Section> {
        let mut sections: Vec<&mut dyn Section> = self.profile.sections().into();
        sections.push(&mut self.expired);
        sections.push(&mut self.revoked);
        sections.push(&mut self.rotated);
        sections.push(&mut self.dead);
        sections.push(&mut self.dormant);
        sections.push(&mut self.new);
        sections.push(&mut self.fleet);
        sections.push(&mut self.guessing);
        sections.push(&mut self.objects);
        sections.push(&mut self.repeat);
        sections.push(&mut self.health);
        sections.push(&mut self.weak);
        sections.push(&mut self.lifecycle);
        sections
    }

    /// Returns all parameters with defaults, units and sources.
    #[must_use]
    pub fn list() -> Vec<Parameter> {
        Self::default().sections().iter().flat_map(|section| section.list()).copied().collect()
    }

    /// Sets the parameter `key` of `[detect.section]`.
    ///
    /// # Errors
    /// No such section or key, with the nearest existing name; or an invalid value.
    pub fn set(&mut self, section: &str, key: &str, value: f64) -> Result<(), BadParameter> {
        if !value.is_finite() || value < 0.0 {
            return Err(BadParameter::Value(value));
        }
        let name = |of: &dyn Section| of.list().first().map_or("", |parameter| parameter.section);
        let mut sections = self.sections();
        let names: Vec<&str> = sections.iter().map(|of| name(*of)).collect();
        let Some(found) = sections.iter_mut().find(|of| name(**of) == section) else {
            let suggestion = nearest(section, names);
            return Err(BadParameter::Section { section: section.to_owned(), suggestion });
        };
        let keys = found.list().iter().map(|parameter| parameter.key).collect();
        match found.field(key) {
            Some(field) => *field = value,
            None => {
                let (section, suggestion) = (section.to_owned(), nearest(key, keys));
                return Err(BadParameter::Key { section, key: key.to_owned(), suggestion });
            }
        }
        Ok(())
    }
}

/// Returns the name most similar to what was written, if any is similar.
pub(crate) fn nearest(written: &str, names: Vec<&str>) -> Option<String> {
    const ALIKE: f64 = 0.75;
    let likeness = |name: &&str| strsim::jaro_winkler(written, name);
    let best = names.into_iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(&best) >= ALIKE).then(|| best.to_owned())
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_set_by_name() {
        let mut params = Params::default();
        params.set("travel", "min_speed_kmh", 700.0).unwrap();
        assert_eq!(params.profile.travel.min_speed_kmh, 700.0);
        assert_eq!(
            params.set("travel", "min_sped_kmh", 1.0).unwrap_err().to_string(),
            "unknown key \"min_sped_kmh\" in [detect.travel], did you mean \"min_speed_kmh\"?"
        );
        assert_eq!(
            params.set("travl", "x", 1.0).unwrap_err().to_string(),
            "unknown section \"detect.travl\", did you mean \"travel\"?"
        );
        assert!(params.set("travel", "min_speed_kmh", f64::NAN).is_err());
    }

    #[test]
    fn every_parameter_is_documented_and_can_be_set_to_its_default() {
        let mut params = Params::default();
        for Parameter { section, key, about, default, unit, source } in Params::list() {
            assert!(!about.is_empty() && !unit.is_empty() && !source.is_empty(), "{section}.{key}");
            params.set(section, key, default).unwrap();
        }
        assert_eq!(params, Params::default());
    }
}
