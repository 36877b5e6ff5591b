//! Mutes, which stop mail about a rule, a principal, a network, a country, a client, a route, or a combination of
//! these, with a reason and an end.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::alert::{Alert, Level};
use crate::engine::geo::Country;
use crate::engine::time::Timestamp;

/// Stops alerts from being mailed. They are still stored, and shown as muted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// The number of the mute, by which to end it.
    pub id: i64,
    /// What is not mailed.
    pub scope: Scope,
    /// The reason.
    pub reason: SmolStr,
    /// When it was set.
    pub since: Timestamp,
    /// When it ends; `None` for never.
    pub until: Option<Timestamp>,
    /// The number of the last alert stored before it: alerts up to that one are still reported.
    pub after: i64,
}

/// Alerts that have all of these properties in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// A rule's name; empty for every rule.
    pub rule: SmolStr,
    /// A principal; empty for everybody.
    pub principal: SmolStr,
    /// The autonomous system of the client; `None` for every network.
    pub network: Option<u32>,
    /// The country of the client; `None` for every country.
    pub country: Option<Country>,
    /// The client program; empty for every client.
    pub client: SmolStr,
    /// Method and route, e.g. `GET /v1/items/{id}`; empty for every route.
    pub route: SmolStr,
}

/// A mute that has ended, and the alerts that it suppressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedMute {
    /// The mute.
    pub mute: Mute,
    /// The alerts that nobody has acknowledged since, and that no other mute still covers.
    pub n_alerts: u64,
    /// Their principals.
    pub principals: BTreeSet<SmolStr>,
    /// The highest of their levels.
    pub level: Level,
}

impl Mute {
    /// Returns whether this mute covers an alert, by the time of the alert's usage. The caller must know that the
    /// alert came after the mute was set.
    #[must_use]
    pub fn covers(&self, alert: &Alert) -> bool {
        self.covers_as_of(alert, &alert.principal)
    }

    /// Like [`Self::covers`], as if the alert were of this principal.
    #[must_use]
    pub fn covers_as_of(&self, alert: &Alert, principal: &str) -> bool {
        self.until.is_none_or(|until| alert.time < until)
            && self.scope.holds_as_of(alert, principal)
    }
}

/// Formatted for people, e.g. `new-client for ci in NG`; contains values as they were given, so not safe to show.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rule = if self.rule.is_empty() { "every rule" } else { &self.rule };
        let whom = if self.principal.is_empty() { "everybody" } else { &self.principal };
        write!(f, "{rule} for {whom}")?;
        self.network.map(|asn| write!(f, " from AS{asn}")).transpose()?;
        self.country.map(|country| write!(f, " in {country}")).transpose()?;
        if !self.client.is_empty() {
            write!(f, " by {}", self.client)?;
        }
        if self.route.is_empty() { Ok(()) } else { write!(f, " at {}", self.route) }
    }
}

impl Scope {
    /// Returns whether a text is a route as in alerts: a method and a path.
    #[must_use]
    pub fn is_route(text: &str) -> bool {
        text.split_once(' ')
            .is_some_and(|(method, path)| !method.is_empty() && path.starts_with('/'))
    }

    /// Returns whether nothing is named, so that the scope is everything.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Returns whether an alert is in the scope. A critical alert is only in a scope that names a principal: reducing
    /// the noise of all must not hide the worst alert of one.
    #[must_use]
    pub fn holds(&self, alert: &Alert) -> bool {
        self.holds_as_of(alert, &alert.principal)
    }

    fn holds_as_of(&self, alert: &Alert, principal: &str) -> bool {
        let is_heard_anyway = self.principal.is_empty() && alert.rule.level == Level::Critical;
        let name = |wanted: &SmolStr, found: &str| wanted.is_empty() || wanted == found;
        !is_heard_anyway
            && name(&self.rule, &alert.rule.name)
            && name(&self.principal, principal)
            && name(&self.client, &alert.agent.family)
            && name(&self.route, &alert.route)
            && self.network.is_none_or(|network| alert.place.asn == Some(network))
            && self.country.is_none_or(|country| alert.place.country == Some(country))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::alert::RuleRef;
    use crate::engine::geo::Place;
    use crate::engine::usage::Agent;

    fn alert(level: Level) -> Alert {
        let rule = RuleRef { name: "new-client".into(), level, ..RuleRef::default() };
        let country = Country::parse("NG");
        let place = Place { country, asn: Some(64_500), ..Place::default() };
        let agent = Agent { family: "curl".into(), version: "8".into() };
        let (principal, route) = ("ci".into(), "GET /v1/a".into());
        Alert { rule, place, agent, principal, route, ..Alert::default() }
    }

    #[test]
    fn a_scope_holds_what_has_all_of_it() {
        let any =
            Scope { country: Country::parse("NG"), route: "GET /v1/a".into(), ..Scope::default() };
        assert!(any.holds(&alert(Level::High)));
        for other in [
            Scope { network: Some(64_501), ..any.clone() },
            Scope { country: Country::parse("DE"), ..any.clone() },
            Scope { client: "wget".into(), ..any.clone() },
            Scope { route: "GET /v1/b".into(), ..any.clone() },
            Scope { principal: "cd".into(), ..any.clone() },
            Scope { rule: "new-country".into(), ..any },
        ] {
            assert!(!other.holds(&alert(Level::High)), "{other:?}");
        }
    }

    #[test]
    fn what_is_critical_is_muted_for_a_principal_by_name_only() {
        let mut scope = Scope { network: Some(64_500), ..Scope::default() };
        assert!(!scope.holds(&alert(Level::Critical)));
        scope.principal = "ci".into();
        assert!(scope.holds(&alert(Level::Critical)));
    }
}
