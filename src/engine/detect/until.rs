//! Until when such use is reported: what a person's word ends, and what something else has to.

use std::collections::BTreeSet;

use crate::engine::alert::Alert;

use super::ALL;

/// Until when alerts like one are repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Until {
    /// It is normal for its principal: a person's word teaches that, or days of use.
    Learned,
    /// The registry permits it.
    Permitted {
        /// The column that has to.
        column: &'static str,
        /// What it does not permit.
        beyond: &'static str,
    },
    /// Somebody changes how the token is made or sent.
    Mended,
    /// Nobody uses the token any more: it has ended, or others have it.
    Ended,
    /// A rule of the site's own no longer matches.
    Unmatched,
}
use Until::{Ended, Learned, Mended, Permitted, Unmatched};

/// What ends reports of a fact, by its name or its family.
const FACTS: [(&str, Until); 26] = [
    ("concurrent", Learned),
    ("dead", Ended),
    ("decoy", Ended),
    ("dormant", Learned),
    ("expired", Ended),
    ("fan", Learned),
    ("guessed", Learned),
    ("leaked", Ended),
    ("lifecycle", Mended),
    ("mfa", Mended),
    ("new", Learned),
    ("objects", Learned),
    (
        "pinned.country",
        Permitted { column: "countries", beyond: "use from outside its registered countries" },
    ),
    (
        "pinned.network",
        Permitted { column: "networks", beyond: "use from outside its registered networks" },
    ),
    ("rate", Learned),
    ("referer", Mended),
    ("revoked", Ended),
    ("rotated", Ended),
    ("scope", Permitted { column: "scopes", beyond: "use beyond its registered scopes" }),
    ("transport", Mended),
    ("travel", Learned),
    ("unsigned", Ended),
    ("unusual", Learned),
    ("url", Mended),
    ("volume", Learned),
    ("weak", Mended),
];

impl Until {
    /// Returns what ends reports of a fact about a usage; `None` for facts about a log or about many.
    fn of_fact(fact: &str) -> Option<Self> {
        let is_of = |of: &str| {
            fact.strip_prefix(of).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        FACTS.iter().find(|(of, _)| is_of(of)).map(|(_, until)| *until)
    }

    /// Returns what ends alerts like these, each once.
    #[must_use]
    pub fn of<'a>(alerts: impl IntoIterator<Item = &'a Alert>) -> BTreeSet<Self> {
        let of_alert = |alert: &'a Alert| {
            let facts = alert.facts.iter().filter_map(|(fact, _)| Self::of_fact(fact));
            facts.chain(is_own(alert).then_some(Unmatched))
        };
        alerts.into_iter().flat_map(of_alert).collect()
    }

    /// Returns what is reported again though a person has said that it was the owner.
    #[must_use]
    pub fn again(untils: &BTreeSet<Self>) -> Vec<&'static str> {
        let again = untils.iter().filter_map(|until| match until {
            Learned => None,
            Permitted { beyond, .. } => Some(*beyond),
            Mended | Ended => Some("such use of the token"),
            Unmatched => Some("what a rule of your own matches"),
        });
        let mut again: Vec<&str> = again.collect();
        again.dedup();
        again
    }
}

/// Returns whether a rule of the site's own made an alert: built-in ones are named like a detector, and need its facts.
fn is_own(alert: &Alert) -> bool {
    let is_built_in = ALL.iter().any(|detector| detector.name == alert.rule.name);
    !is_built_in || alert.facts.is_empty()
}

#[cfg(test)]
mod tests {
    use smol_str::SmolStr;

    use super::*;
    use crate::engine::alert::Value;
    use crate::engine::detect::About;

    #[test]
    fn every_fact_about_a_usage_ends_somehow() {
        let of_usages = ALL.iter().filter(|detector| detector.of() == About::Usages);
        let facts: Vec<&str> =
            of_usages.flat_map(|detector| detector.facts).map(|fact| fact.name).collect();
        for fact in &facts {
            assert!(Until::of_fact(fact).is_some(), "{fact}");
        }
        for (of, until) in FACTS {
            assert!(facts.iter().any(|fact| fact.starts_with(of)), "{of}");
            assert_eq!(Until::of_fact(of), Some(until), "{of}");
        }
        assert_eq!(Until::of_fact("newer.country"), None);
    }

    #[test]
    fn a_rule_of_the_sites_own_matches_again_whatever_is_learned() {
        let alert = |rule: &str, facts: &[&str]| {
            let named = |fact: &&str| (SmolStr::new(fact), Value::Bool(true));
            let mut alert = Alert { facts: facts.iter().map(named).collect(), ..Alert::default() };
            alert.rule.name = rule.into();
            alert
        };
        let of = |rule: &str, facts: &[&str]| {
            Until::of([&alert(rule, facts)]).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(of("new-client", &["new.client"]), [Learned]);
        assert_eq!(of("night-shift", &["new.client"]), [Learned, Unmatched]);
        assert_eq!(of("night-shift", &[]), [Unmatched]);
        assert_eq!(of("new-client", &[]), [Unmatched], "overridden by a rule without facts");
        assert_eq!(of("token-in-url", &["url.route", "weak.bits"]), [Mended]);
    }
}
