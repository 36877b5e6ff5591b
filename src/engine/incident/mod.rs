//! Joins alerts to incidents: one cause is told once, and what belongs together is told together.
//!
//! Each principal has a [`Desk`]. An alert that repeats an earlier one (same rule, same `once_per`
//! values, not worse, within `within`) is dropped. The rest join the principal's open incident, or
//! open one; an incident takes alerts for an hour from its first, or until somebody says that it was
//! expected (docs/detection.md, Rules and incidents). A person is told when an incident first reaches the level that is mailed at once, and
//! again only when it gets worse.

mod pack;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};

use crate::engine::alert::{Alert, Incident, Level};
use crate::engine::commit::Notice;
use crate::engine::geo::Prefix;
use crate::engine::mute::Mute;
use crate::engine::rule::{Dimension, Once, Rule};
use crate::engine::time::{DAY, HOUR, Timestamp};
use crate::engine::usage::Usage;
use crate::engine::word::Words;

/// How long an incident takes alerts, from its first.
pub const INCIDENT: i64 = HOUR;

/// How many alerts a desk remembers so as not to tell them twice. Older ones are forgotten first, so a
/// principal that causes more than this within a day may be told of one twice.
const MAX_TOLD: usize = 64;

/// Who is told what.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Alerts of this level and above are mailed at once.
    pub at_once: Level,
    /// What nobody wants to hear of.
    pub mutes: Vec<Mute>,
    /// Scores a week that are to be mailed at the most; 0 for as many as there are.
    pub budget: f64,
    /// What people said of alerts.
    pub words: Words,
}

impl Default for Policy {
    fn default() -> Self {
        let (mutes, words) = (Vec::new(), Words::default());
        Self { at_once: Level::High, mutes, budget: 0.0, words }
    }
}

/// What has been told about one principal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    open: Option<Open>,
    told: Vec<Told>,
}

/// An incident that still takes alerts, and the highest level that a person was told of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    incident: Incident,
    mailed: Option<Level>,
}

/// An alert that was raised: what it was about, when, and how bad.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    key: u64,
    until: Timestamp,
    level: Level,
}

/// What became of an alert that was let through.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The incident as it is now.
    pub incident: Incident,
    /// The mail that is due, if one is.
    pub notice: Option<Notice>,
}

impl Desk {
    /// Tells whether nothing has been told, so that nothing needs to be kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_none() && self.told.is_empty()
    }

    /// Tells whether a match at a time is news; if so, remembers it. `key` says what it is about.
    pub fn is_news(&mut self, rule: &Rule, time: Timestamp, key: u64) -> bool {
        self.told.retain(|told| time < told.until);
        // Told in the far future: by a line with a wrong clock, which must not silence the present.
        let is_near = |told: &Told| told.until.since(time) <= rule.once.within + DAY;
        let known = self
            .told
            .iter()
            .any(|told| told.key == key && rule.head.level <= told.level && is_near(told));
        if known {
            return false;
        }
        self.told.retain(|told| told.key != key);
        if self.told.len() == MAX_TOLD {
            self.told.remove(0);
        }
        let until = time.plus(rule.once.within);
        self.told.push(Told { key, until, level: rule.head.level });
        true
    }

    /// Joins an alert to the open incident, or opens one, and sets the alert's `incident`.
    pub fn join(&mut self, alert: &mut Alert, policy: &Policy) -> Joined {
        // Whoever called one thing expected was not asked about the next: that is an incident of its own, and mailed.
        let takes = |open: &Open| {
            let Incident { principal, opened, .. } = &open.incident;
            alert.time.since(*opened).abs() < INCIDENT
                && !policy.words.have_settled(principal, *opened, alert.time)
        };
        let open = self.open.take().filter(takes);
        let mut open = open.unwrap_or_else(|| Open { incident: opened_by(alert), mailed: None });
        let incident = &mut open.incident;
        alert.incident = incident.id.clone();
        incident.last = incident.last.max(alert.time);
        incident.level = incident.level.max(alert.rule.level);
        incident.alerts += 1;
        let is_muted = policy.mutes.iter().any(|mute| mute.covers(alert));
        let is_due = !is_muted
            && alert.rule.level >= policy.at_once
            && open.mailed.is_none_or(|level| level < alert.rule.level);
        let notice = is_due.then(|| {
            incident.revision += 1;
            open.mailed = Some(alert.rule.level);
            Notice { incident: incident.id.clone(), revision: incident.revision }
        });
        let joined = Joined { incident: open.incident.clone(), notice };
        self.open = Some(open);
        joined
    }
}

fn opened_by(alert: &Alert) -> Incident {
    Incident {
        id: stable_id("in", &[&alert.principal, &alert.rule.name, &alert.time.to_string()]),
        principal: alert.principal.clone(),
        opened: alert.time,
        last: alert.time,
        level: alert.rule.level,
        revision: 0,
        alerts: 0,
    }
}

/// Returns `prefix_` and 16 hex digits that depend on the parts and on nothing else.
#[must_use]
pub fn stable_id(prefix: &str, parts: &[&str]) -> SmolStr {
    format_smolstr!("{prefix}_{:016x}", digest(parts))
}

fn digest(parts: &[&str]) -> u64 {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    hash.finalize().iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

/// Returns what a match of a log is about, as a number: nothing tells two of one rule apart.
#[must_use]
pub fn key_of_log(rule: &Rule) -> u64 {
    digest(&[&rule.head.name])
}

/// Returns the same where something does: `what`.
#[must_use]
pub fn key_of(rule: &Rule, what: &str) -> u64 {
    digest(&[&rule.head.name, what])
}

/// Returns what a match is about, as a number: the rule's name, and the values that the rule tells matches apart by.
#[must_use]
pub fn key(rule: &Rule, usage: &Usage) -> u64 {
    let Once { per, .. } = &rule.once;
    let mut parts = vec![rule.head.name.to_string()];
    parts.extend(per.iter().map(|dimension| match dimension {
        Dimension::Principal => String::new(),
        Dimension::Token => usage.token.to_string(),
        Dimension::Network => usage.client.map(|ip| Prefix::of(ip).to_string()).unwrap_or_default(),
        Dimension::Address => usage.client.map(|ip| ip.to_string()).unwrap_or_default(),
        Dimension::Client => usage.agent.family.to_string(),
        Dimension::Route => format!("{} {}", usage.method, usage.route),
        Dimension::Carrier => usage.carrier.to_string(),
        Dimension::Answer => usage.is_accepted().to_string(),
    }));
    digest(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::MINUTE;
    use crate::engine::word::{Verdict, Word};

    /// An alert of the level high, some minutes after the beginning.
    fn alert(minute: i64) -> Alert {
        let mut alert = Alert { principal: "ci".into(), ..Alert::default() };
        alert.time = Timestamp::default().plus(minute * MINUTE);
        alert.rule.level = Level::High;
        alert
    }

    fn word(verdict: Verdict, minute: i64) -> Word {
        let at = Timestamp::default().plus(minute * MINUTE);
        Word { number: 1, at, principal: "ci".into(), verdict, actors: Vec::new() }
    }

    /// How many mails are due of an alert at the beginning and one ten minutes later.
    fn mails(words: &[Word]) -> usize {
        let policy = Policy { words: Words::new(words.to_vec()), ..Policy::default() };
        let mut desk = Desk::default();
        let joined = [0, 10].map(|minute| desk.join(&mut alert(minute), &policy));
        joined.iter().filter(|joined| joined.notice.is_some()).count()
    }

    #[test]
    fn what_comes_after_an_expected_incident_is_mailed_as_its_own() {
        assert_eq!(mails(&[]), 1);
        assert_eq!(mails(&[word(Verdict::Expected, 5)]), 2);
        let others = Word { principal: "web".into(), ..word(Verdict::Expected, 5) };
        for word in [
            word(Verdict::Confirmed, 5), // it goes on, and somebody knows
            word(Verdict::Expected, -5),
            word(Verdict::Expected, 10),
            others,
        ] {
            assert_eq!(mails(std::slice::from_ref(&word)), 1, "{word:?}");
        }
    }
}
