//! The sums of an audit, and the worst of what it found: bounded, however many tokens there are.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use crate::engine::alert::Level;
use crate::engine::posture::{Finding, Kind};
use crate::engine::time::Timestamp;

/// The most groups of unregistered tokens that are counted apart. Issuers are claims: there could be any number.
const MOST_GROUPS: usize = 100;

/// The group of all others.
const OTHERS: &str = "others";

/// Findings that tokens which nobody registered have by the thousand: they are counted, and no reason to list one.
const ONLY_COUNTED: [Kind; 2] = [Kind::Unregistered, Kind::Unused];

/// What an audit found about one token, or the tokens of one principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// How it is called.
    pub label: String,
    /// Its state.
    pub state: &'static str,
    /// Somebody registered it, by itself or by its principal's name.
    pub is_registered: bool,
    /// The last usage.
    pub last_seen: Option<Timestamp>,
    /// What is to be mended, the worst first.
    pub findings: Vec<Finding>,
    /// All that programs are told about it, if they ask for the worst.
    pub json: Option<Json>,
}

/// How a subject is ranked: by the level of its worst finding; registered ones before others, since anybody can make up
/// tokens that outnumber them; by its findings, the worst first; then by its last usage. The number keeps
/// subjects in the order in which they came.
type Rank = (Reverse<Level>, Reverse<bool>, Worst, Reverse<Option<Timestamp>>, u64);

/// Kinds of findings, ordered so that the worse come first, and more before fewer.
type Worst = Reverse<Vec<Reverse<Kind>>>;

/// What an audit found.
#[derive(Debug)]
pub struct Audit {
    n_most: usize,
    wanted: BTreeSet<Kind>,
    n_tokens: u64,
    n_subjects: u64,
    n_found: u64,
    n_listed: u64,
    counts: BTreeMap<Kind, u64>,
    groups: BTreeMap<String, u64>,
    worst: BTreeMap<Rank, Subject>,
}

impl Audit {
    /// Begins an audit that keeps the `n_most` worst subjects with one of the `wanted` findings, or any if none are.
    #[must_use]
    pub const fn new(n_most: usize, wanted: BTreeSet<Kind>) -> Self {
        Self {
            n_most,
            wanted,
            n_tokens: 0,
            n_subjects: 0,
            n_found: 0,
            n_listed: 0,
            counts: BTreeMap::new(),
            groups: BTreeMap::new(),
            worst: BTreeMap::new(),
        }
    }

    /// Returns whether one of the findings is wanted.
    #[must_use]
    pub fn wants(&self, findings: &[Finding]) -> bool {
        let is_wanted = |kind| self.wanted.is_empty() || self.wanted.contains(&kind);
        findings.iter().any(|finding| is_wanted(finding.kind))
    }

    /// Counts the findings about a subject of so many tokens. `group` is what it is counted under if nobody registered
    /// it.
    pub fn count(&mut self, n_tokens: u64, findings: &[Finding], group: impl FnOnce() -> String) {
        self.n_tokens += n_tokens;
        self.n_subjects += 1;
        self.n_found += u64::from(!findings.is_empty());
        for finding in findings {
            *self.counts.entry(finding.kind).or_default() += 1;
        }
        if findings.iter().any(|finding| finding.kind == Kind::Unregistered) {
            let group = group();
            let has_room = self.groups.len() < MOST_GROUPS || self.groups.contains_key(&group);
            let group = if has_room { group } else { OTHERS.to_owned() };
            *self.groups.entry(group).or_default() += 1;
        }
    }

    /// Returns whether a subject is to be listed. One that nobody registered, and of which nothing is known but that
    /// and that it is unused, is only counted, unless such are wanted: there may be as many as there are sessions.
    #[must_use]
    pub fn lists(&self, is_registered: bool, findings: &[Finding]) -> bool {
        let is_reason =
            |kind| is_registered || !ONLY_COUNTED.contains(&kind) || self.wanted.contains(&kind);
        findings.iter().any(|finding| is_reason(finding.kind)) && self.wants(findings)
    }

    /// Lists a subject, if it is among the worst.
    pub fn list(&mut self, subject: Subject) {
        let mut kinds: Vec<_> =
            subject.findings.iter().map(|finding| Reverse(finding.kind)).collect();
        kinds.sort_by_key(|kind| kind.0);
        let level = kinds.first().map(|kind| kind.0.level()).unwrap_or_default();
        let is_registered = Reverse(subject.is_registered);
        let last = Reverse(subject.last_seen);
        let rank = (Reverse(level), is_registered, Reverse(kinds), last, self.n_listed);
        self.n_listed += 1;
        self.worst.insert(rank, subject);
        if self.n_most < self.worst.len() {
            self.worst.pop_last();
        }
    }

    /// Returns the number of tokens, of the subjects that they are, and of those with findings.
    #[must_use]
    pub const fn totals(&self) -> (u64, u64, u64) {
        (self.n_tokens, self.n_subjects, self.n_found)
    }

    /// Returns how many subjects have each finding, the worst first.
    pub fn counts(&self) -> impl Iterator<Item = (Kind, u64)> {
        self.counts.iter().map(|(kind, count)| (*kind, *count))
    }

    /// Returns whether any subject has one of these findings.
    #[must_use]
    pub fn has_any(&self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.counts.contains_key(kind))
    }

    /// Returns the unregistered subjects by group, the largest first.
    #[must_use]
    pub fn groups(&self) -> Vec<(&str, u64)> {
        let mut groups: Vec<(&str, u64)> =
            self.groups.iter().map(|(group, count)| (group.as_str(), *count)).collect();
        groups.sort_by_key(|(group, count)| (Reverse(*count), *group));
        groups
    }

    /// Returns the worst subjects.
    pub fn worst(&self) -> impl Iterator<Item = &Subject> {
        self.worst.values()
    }

    /// Returns how many subjects were to be listed and are not among the worst.
    #[must_use]
    pub fn n_more(&self) -> u64 {
        self.n_listed.saturating_sub(self.worst.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(kinds: &[Kind]) -> Vec<Finding> {
        let finding = |kind: &Kind| Finding { kind: *kind, since: None, detail: String::new() };
        kinds.iter().map(finding).collect()
    }

    fn subject(label: &str, last: i64, kinds: &[Kind]) -> Subject {
        let last_seen = Some(Timestamp::from_seconds(last));
        let (label, findings) = (label.to_owned(), findings(kinds));
        Subject { label, state: "active", is_registered: true, last_seen, findings, json: None }
    }

    fn stray(kinds: &[Kind]) -> Subject {
        Subject { is_registered: false, ..subject("stray", 2000, kinds) }
    }

    #[test]
    fn made_up_tokens_do_not_push_a_registered_one_off_the_list() {
        let mut audit = Audit::new(3, BTreeSet::new());
        audit.list(subject("leaked", 0, &[Kind::LeakedInUse]));
        audit.list(subject("in url", 0, &[Kind::InUrl]));
        for _ in 0..120 {
            audit.list(stray(&[Kind::DeadButAccepted, Kind::Unsigned, Kind::InUrl, Kind::Weak]));
        }
        audit.list(subject("dead", 9, &[Kind::DeadButAccepted, Kind::Unsigned]));
        let labels: Vec<_> = audit.worst().map(|one| one.label.as_str()).collect();
        assert_eq!(labels, ["leaked", "dead", "stray"]);
    }

    #[test]
    fn what_nobody_registered_is_not_listed_because_nobody_uses_it() {
        let audit = Audit::new(3, BTreeSet::new());
        let unused = findings(&[Kind::Unused, Kind::Unregistered]);
        assert!(!audit.lists(false, &unused) && audit.lists(true, &unused[..1]));
        assert!(audit.lists(false, &findings(&[Kind::Unused, Kind::LongLived])));
        assert!(Audit::new(3, [Kind::Unused].into()).lists(false, &unused));
    }

    #[test]
    fn the_worst_of_many_are_kept_and_the_rest_counted() {
        let mut audit = Audit::new(3, BTreeSet::new());
        for n in 0..1000 {
            audit.list(subject("mild", n, &[Kind::NoOwner, Kind::NoExpiry]));
        }
        audit.list(subject("bad", 0, &[Kind::LeakedInUse]));
        audit.list(subject("worse", 0, &[Kind::LeakedInUse, Kind::InUrl]));
        let worst: Vec<_> = audit
            .worst()
            .map(|one| (one.label.as_str(), one.last_seen.unwrap().seconds()))
            .collect();
        assert_eq!(worst, [("worse", 0), ("bad", 0), ("mild", 999)]);
        assert_eq!(audit.n_more(), 999);
    }

    #[test]
    fn tokens_that_are_only_unregistered_are_counted_by_group_and_not_listed() {
        let mut audit = Audit::new(3, BTreeSet::new());
        let bare = findings(&[Kind::Unregistered]);
        for n in 0..300 {
            audit.count(2, &bare, || format!("issuer {n}"));
            audit.count(1, &bare, || "opaque".to_owned());
        }
        audit.count(1, &[], || unreachable!("it is registered"));
        assert_eq!(audit.totals(), (901, 601, 600));
        assert_eq!(audit.counts().collect::<Vec<_>>(), [(Kind::Unregistered, 600)]);
        let groups = audit.groups();
        assert_eq!((groups[0], groups[1], groups.len()), (("opaque", 300), (OTHERS, 201), 101));
        let in_url = findings(&[Kind::InUrl, Kind::Unregistered]);
        assert!(!audit.lists(false, &bare) && audit.lists(false, &in_url));
        assert!(Audit::new(3, [Kind::Unregistered].into()).lists(false, &bare));
        assert!(!Audit::new(3, [Kind::InUrl].into()).lists(false, &bare));
        assert!(
            audit.has_any(&[Kind::InUrl, Kind::Unregistered]) && !audit.has_any(&[Kind::InUrl])
        );
    }
}
