//! Joins alerts to incidents: a cause is reported once, and related alerts are reported together.
//!
//! Each principal has a [`Desk`]. An alert that repeats an earlier one (same rule, same `once_per` values, not worse,
//! within `within`) is dropped. Other alerts join the principal's open incident, or open one. An incident accepts
//! alerts for an hour from its first one, or until a person says what it was (docs/detection.md, Rules and incidents).
//!
//! A mail is sent when an incident first reaches the level that is mailed at once, and when it gets worse. Other news
//! for the reader, another rule or another actor, is gathered into updates: the first is due five minutes after the
//! previous mail, and each further one waits twice as long.

mod pack;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};

use crate::engine::alert::{Alert, Facts, Incident, Level, Report};
use crate::engine::commit::Notice;
use crate::engine::geo::Prefix;
use crate::engine::mute::Mute;
use crate::engine::rule::{Dimension, Once, Rule};
use crate::engine::time::{DAY, HOUR, MINUTE, Timestamp};
use crate::engine::usage::{Outcome, Usage};
use crate::engine::word::Words;

/// How long an incident accepts alerts, from its first one.
pub const INCIDENT: i64 = HOUR;

/// The most alerts that a desk remembers to avoid reporting them twice. The oldest are forgotten first, so an alert of
/// a principal with more than this in a day may be reported twice.
const MAX_TOLD: usize = 64;

/// The delay between a mail and the first update of its incident; it doubles with each further update.
const GATHER: i64 = 5 * MINUTE;

/// How many rules, answers and actors of an incident are remembered as mailed.
const MAX_MAILED: usize = 32;

/// How many of them leave room for actors: an attacker who keeps changing addresses is one story, and leaves room for
/// what else is new.
const MAX_ACTORS: usize = 24;

/// What is reported, and when.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Alerts of this level and above are mailed at once; `None` if nothing is mailed.
    pub at_once: Option<Level>,
    /// Alerts that are not to be mailed.
    pub mutes: Vec<Mute>,
    /// The most scores to mail per week; 0 for no limit.
    pub budget: f64,
    /// What people said about alerts.
    pub words: Words,
}

impl Default for Policy {
    fn default() -> Self {
        let (mutes, words) = (Vec::new(), Words::default());
        Self { at_once: Some(Level::High), mutes, budget: 0.0, words }
    }
}

/// What has been reported about one principal.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    /// Apart: most principals have none.
    open: Option<Box<Open>>,
    told: Vec<Told>,
}

/// An incident that still accepts alerts, and what of it was mailed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Open {
    incident: Incident,
    /// The highest level.
    mailed: Option<Level>,
    /// When the last mail was due.
    #[serde(default)]
    due: Timestamp,
    /// How many updates were gathered.
    #[serde(default)]
    updates: u32,
    /// Hashes of the rules, answers and actors that were mailed.
    #[serde(default)]
    known: Vec<u64>,
}

/// An alert that was raised: its subject, its time and its level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Told {
    key: u64,
    until: Timestamp,
    level: Level,
}

/// A rule that matched.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// The rule.
    pub rule: &'a Rule,
    /// Whose facts it matched.
    pub principal: &'a str,
    /// When.
    pub time: Timestamp,
    /// Identifies its subject: [`key`], [`key_of`], [`key_of_log`].
    pub key: u64,
    /// For how long the same is no news.
    pub within: i64,
}

/// The result of joining an alert that was not dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Joined {
    /// The incident as it is now.
    pub incident: Incident,
    /// The mail to send, if any.
    pub notice: Option<Notice>,
}

impl Desk {
    /// Returns whether nothing has been reported, so that nothing needs to be kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.open.is_none() && self.told.is_empty()
    }

    /// Returns whether a match is news; if so, remembers it. Everything is news again once a person has confirmed
    /// misuse of the principal: it should be over.
    pub fn is_news(&mut self, found: &Match<'_>, words: &Words) -> bool {
        let Match { rule, principal, time, key, within } = *found;
        self.told.retain(|told| time < told.until);
        // Reported in the far future, by a line with a wrong clock, which must not silence the present.
        let is_near = |told: &Told| told.until.since(time) <= within + DAY;
        let is_over = |told: &Told| words.have_confirmed(principal, told.until.plus(-within), time);
        let known = self.told.iter().any(|told| {
            told.key == key && rule.head.level <= told.level && is_near(told) && !is_over(told)
        });
        if known {
            return false;
        }
        self.told.retain(|told| told.key != key);
        if self.told.len() == MAX_TOLD {
            self.told.remove(0);
        }
        let until = time.plus(within);
        self.told.reserve_exact(1); // most have a few
        self.told.push(Told { key, until, level: rule.head.level });
        true
    }

    /// Joins an alert to the open incident, or opens one, and sets the alert's `incident`.
    pub fn join(&mut self, alert: &mut Alert, policy: &Policy) -> Joined {
        // A person who said what one thing was did not speak about the next: that is a new incident, and mailed.
        let takes = |open: &Open| {
            alert.time.since(open.incident.opened).abs() < INCIDENT
                && !policy.words.have_settled(&open.incident, alert.time)
        };
        let open = self.open.take().filter(|open| takes(open));
        let mut open = open.unwrap_or_else(|| Box::new(Open::by(alert)));
        let incident = &mut open.incident;
        alert.incident = incident.id.clone();
        incident.last = incident.last.max(alert.time);
        incident.level = incident.level.max(alert.rule.level);
        incident.alerts += 1;
        let is_mailed = policy.at_once.is_some_and(|least| alert.rule.level >= least)
            && !policy.mutes.iter().any(|mute| mute.covers(alert));
        let notice = if is_mailed { open.mail(alert) } else { None };
        let joined = Joined { incident: open.incident.clone(), notice };
        self.open = Some(open);
        joined
    }
}

impl Open {
    /// Opens an incident with its first alert.
    fn by(alert: &Alert) -> Self {
        let incident = Incident {
            id: stable_id("in", &[&alert.principal, &alert.rule.name, &alert.time.to_string()]),
            principal: alert.principal.clone(),
            opened: alert.time,
            last: alert.time,
            level: alert.rule.level,
            revision: 0,
            alerts: 0,
        };
        let (due, updates, known) = (Timestamp::default(), 0, Vec::new());
        Self { incident, mailed: None, due, updates, known }
    }

    /// Returns the mail that an alert needs; none if it is no news. An update that waits already is the one it needs.
    fn mail(&mut self, alert: &Alert) -> Option<Notice> {
        let is_worse = self.mailed.is_none_or(|level| level < alert.rule.level);
        if !self.is_news(alert) && !is_worse {
            return None;
        }
        if is_worse {
            self.due = alert.time;
        }
        let due = if is_worse { alert.time } else { self.next_update(alert.time) };
        self.mailed = self.mailed.max(Some(alert.rule.level));
        self.incident.revision += 1;
        let Incident { id, revision, .. } = &self.incident;
        Some(Notice { incident: id.clone(), revision: *revision, delay: due.since(alert.time) })
    }

    /// Returns whether an alert's rule, answer or actor has not been mailed yet; remembers them.
    fn is_news(&mut self, alert: &Alert) -> bool {
        let n_known = self.known.len();
        let place = place(alert);
        let answer = Outcome::of(alert.status).is_accepted().to_string();
        let keys = [
            (digest(&["rule", &alert.rule.name]), MAX_MAILED),
            (digest(&["answer", &answer]), MAX_MAILED),
            (digest(&["actor", &place, &answer]), MAX_ACTORS),
        ];
        for (key, most) in keys {
            if !self.known.contains(&key) && self.known.len() < most {
                self.known.push(key);
            }
        }
        self.known.len() > n_known
    }

    /// Returns when an update about an alert at `time` is due: with the one that waits, or as the next one.
    fn next_update(&mut self, time: Timestamp) -> Timestamp {
        if time < self.due {
            return self.due;
        }
        let due = time.max(self.due.plus(GATHER << self.updates.min(8)));
        // What came together with the last mail is told by it, if that has room: other news must not wait for it.
        if time != self.due {
            self.due = due;
            self.updates = self.updates.saturating_add(1);
        }
        due
    }
}

/// Returns where an alert came from: the operator, or the prefix if that is unknown.
fn place(alert: &Alert) -> String {
    let by_prefix = || alert.client.map(|ip| Prefix::of(ip).to_string()).unwrap_or_default();
    alert.place.asn.map_or_else(by_prefix, |asn| asn.to_string())
}

/// Returns `prefix_` and 16 hex digits that depend only on the parts.
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

/// Returns the key of a match for a log: all matches of one rule have the same.
#[must_use]
pub fn key_of_log(rule: &Rule) -> u64 {
    digest(&[&rule.head.name])
}

/// Returns the key of a match that `what` distinguishes.
#[must_use]
pub fn key_of(rule: &Rule, what: &str) -> u64 {
    digest(&[&rule.head.name, what])
}

/// Returns the key of a match: the rule's name, and the values by which the rule distinguishes matches.
#[must_use]
pub fn key(rule: &Rule, usage: &Usage, facts: &Facts) -> u64 {
    let mut parts = vec![rule.head.name.to_string()];
    parts.extend(rule.once.per.iter().map(|dimension| match dimension {
        Dimension::Principal => String::new(),
        Dimension::Token => usage.token.to_string(),
        Dimension::Network => usage.client.map(|ip| Prefix::of(ip).to_string()).unwrap_or_default(),
        Dimension::Address => usage.client.map(|ip| ip.to_string()).unwrap_or_default(),
        Dimension::Client => usage.agent.family.to_string(),
        Dimension::Route => format!("{} {}", usage.method, usage.route),
        Dimension::Carrier => usage.carrier.to_string(),
        Dimension::Answer => usage.is_accepted().to_string(),
        Dimension::Report => {
            let keys = reports(rule, facts).map(|report| report.key.to_string());
            keys.collect::<Vec<_>>().join(" ")
        }
    }));
    digest(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Returns for how long a match with these facts is not news again. If its rule leaves to the detectors what they keep
/// apart, no longer than they do not repeat it: they count in minutes.
#[must_use]
pub fn within(rule: &Rule, facts: &Facts) -> i64 {
    let Once { per, within } = &rule.once;
    let is_by_report = per.contains(&Dimension::Report);
    let periods = reports(rule, facts).filter(|_| is_by_report);
    periods.map(|report| report.period - MINUTE).fold(*within, i64::min)
}

/// Returns what the detectors reported whose facts a rule names.
fn reports<'a>(rule: &'a Rule, facts: &'a Facts) -> impl Iterator<Item = &'a Report> {
    facts.reports.iter().filter(|report| rule.detectors.contains(&report.by))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::MINUTE;
    use crate::engine::word::{Known, Verdict, Word};

    /// An alert of the level high, some minutes after the start.
    fn alert(minute: i64) -> Alert {
        let mut alert = Alert { principal: "ci".into(), ..Alert::default() };
        alert.time = Timestamp::default().plus(minute * MINUTE);
        alert.rule.level = Level::High;
        alert
    }

    fn word(verdict: Verdict, minute: i64) -> Word {
        let at = Timestamp::default().plus(minute * MINUTE);
        let (principal, actors) = ("ci".into(), Vec::new());
        Word { number: 1, at, principal, verdict, actors, about: None }
    }

    /// The number of mails for one alert at the start and one ten minutes later.
    fn mails(words: &[Word]) -> usize {
        let policy = Policy { words: Words::new(words.to_vec()), ..Policy::default() };
        let mut desk = Desk::default();
        let joined = [0, 10].map(|minute| desk.join(&mut alert(minute), &policy));
        joined.iter().filter(|joined| joined.notice.is_some()).count()
    }

    /// When mails about alerts (minute, rule, address, status) are due, each time once.
    fn due(alerts: &[(i64, &str, &str, u16)]) -> Vec<i64> {
        let mut due = notices(alerts);
        due.dedup();
        due
    }

    fn notices(alerts: &[(i64, &str, &str, u16)]) -> Vec<i64> {
        let mut desk = Desk::default();
        let join = |&(minute, rule, client, status): &(i64, &str, &str, u16)| {
            let mut alert = alert(minute);
            alert.rule.name = rule.into();
            (alert.client, alert.status) = (client.parse().ok(), Some(status));
            let notice = desk.join(&mut alert, &Policy::default()).notice?;
            Some(minute + notice.delay / MINUTE)
        };
        alerts.iter().filter_map(join).collect()
    }

    const THIEF: &str = "203.0.113.9";

    #[test]
    fn another_rule_or_actor_of_an_incident_was_never_mailed() {
        let theft = (0, "unusual-use", THIEF, 200);
        assert_eq!(due(&[theft, (1, "unusual-use", THIEF, 200)]), [0], "the same");
        assert_eq!(due(&[theft, (1, "revoked-token-used", THIEF, 200)]), [0, 5]);
        assert_eq!(due(&[theft, (20, "revoked-token-used", THIEF, 200)]), [0, 20]);
        assert_eq!(due(&[theft, (1, "unusual-use", "198.51.100.7", 200)]), [0, 5]);
        let refused = (0, "unusual-use", THIEF, 401);
        assert_eq!(due(&[refused, (1, "unusual-use", THIEF, 200)]), [0, 5], "he got in");
        let late = (-2, "revoked-token-used", THIEF, 200);
        assert_eq!(notices(&[theft, late]), [0, 0], "a late line is mailed as well");
    }

    #[test]
    fn what_the_first_mail_tells_as_well_delayed_real_news() {
        let both = [(0, "unusual-use", THIEF, 200), (0, "token-in-url", THIEF, 200)];
        let and = |later: &[(i64, &'static str, &'static str, u16)]| due(&[&both, later].concat());
        let news = |minute| (minute, "revoked-token-used", THIEF, 200);
        assert_eq!(and(&[]), [0, 5], "unless the first has room for it");
        assert_eq!(and(&[news(2)]), [0, 5], "together");
        assert_eq!(and(&[news(6)]), [0, 5, 6]);
        let again = (7, "unusual-use", "198.51.100.7", 200);
        assert_eq!(and(&[news(6), again]), [0, 5, 6, 16], "and updates are as rare as ever");
    }

    #[test]
    fn an_attacker_with_ever_other_addresses_is_a_mail_and_few_updates() {
        let addresses: Vec<String> = (0..59).map(|n| format!("198.51.{n}.7")).collect();
        let all = (0..59).zip(&addresses).map(|(minute, ip)| (minute, "rule", ip.as_str(), 200));
        let mut all: Vec<_> = all.collect();
        assert_eq!(due(&all), [0, 5, 15, 35]);
        all.push((59, "revoked-token-used", "198.51.99.7", 200));
        assert_eq!(due(&all), [0, 5, 15, 35, 75], "and what else is new is seen");
    }

    #[test]
    fn what_the_past_has_told_nobody_is_mailed() {
        let past = Policy { at_once: None, ..Policy::default() };
        let mut desk = Desk::default();
        assert_eq!(desk.join(&mut alert(0), &past).notice, None);
        assert!(desk.join(&mut alert(1), &Policy::default()).notice.is_some());
    }

    #[test]
    fn what_comes_after_a_word_is_mailed_as_an_incident_of_its_own() {
        assert_eq!(mails(&[]), 1);
        assert_eq!(mails(&[word(Verdict::Expected, 5)]), 2);
        assert_eq!(mails(&[word(Verdict::Confirmed, 5)]), 2, "it should be over");
        let others = Word { principal: "web".into(), ..word(Verdict::Expected, 5) };
        for word in [word(Verdict::Expected, -5), word(Verdict::Expected, 10), others] {
            assert_eq!(mails(std::slice::from_ref(&word)), 1, "{word:?}");
        }
    }

    #[test]
    fn a_late_line_joined_the_incident_that_somebody_had_called_expected() {
        let first = Desk::default().join(&mut alert(0), &Policy::default()).incident.id;
        let known = |n_alerts| Known { incident: first.clone(), n_alerts };
        // What the incident of each alert is; a replay has heard the word before the first of them.
        let joined = |about: Option<Known>, heard: usize| {
            let (mut desk, mut policy) = (Desk::default(), Policy::default());
            let minutes = [0, 14, 16, 30].into_iter().enumerate();
            let incidents = minutes.map(|(n, minute)| {
                if n == heard {
                    let word = Word { about: about.clone(), ..word(Verdict::Expected, 20) };
                    policy.words = Words::new(vec![word]);
                }
                let joined = desk.join(&mut alert(minute), &policy);
                (joined.incident.opened.0 / MINUTE, joined.notice.is_some())
            });
            incidents.collect::<Vec<_>>()
        };
        let [own, joins] = [(14, true), (14, false)];
        for heard in [0, 1] {
            assert_eq!(joined(Some(known(1)), heard), [(0, true), own, joins, joins]);
        }
        for heard in [0, 2] {
            let after_two = [(0, true), (0, false), (16, true), (16, false)];
            assert_eq!(joined(Some(known(2)), heard), after_two);
        }
        let other = Known { incident: "in_other".into(), n_alerts: 1 };
        let all_in_one = [(0, true), (0, false), (0, false), (0, false)];
        assert_eq!(joined(Some(other), 1), all_in_one);
        let by_time = [(0, true), (0, false), (0, false), (30, true)];
        assert_eq!(joined(None, 1), by_time, "a word from before");
    }
}
