//! Posture: what the state of tokens asks a person to mend, whether or not anything unusual happened.
//!
//! [`Standing`] is what is known of one token, [`Posture`] that of a subject: a token, or all tokens that state the
//! same principal. What is known comes from outside; so does the present, to which ages are counted.

mod kind;
mod standing;

use std::collections::BTreeMap;

use crate::engine::ledger::Span;
use crate::engine::numbers::counted;
use crate::engine::time::{DAY, SECOND, Timestamp};

pub use kind::Kind;
pub use standing::{Listing, Standing};

/// One thing to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: Kind,
    /// Since when it is so, if that is known.
    pub since: Option<Timestamp>,
    /// What is known of it, in a few words; may be empty.
    pub detail: String,
}

/// From when on something counts.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A token that is older should have been rotated.
    pub max_age: i64,
    /// A token without use for so long is unused.
    pub unused: i64,
    /// How long before its end a token expires soon: time to replace it by hand. The longest one that is
    /// [worth a word](is_worth_a_word) counts.
    pub soon: [i64; 3],
    /// A JWT that is valid for longer lives long: nobody can call it back.
    pub long: i64,
    /// How long a token may still be accepted after the registry says that it expired.
    pub expired: i64,
    /// How long after the end that it states itself: servers allow for clocks that differ.
    pub leeway: i64,
    /// How long a revoked one may.
    pub revoked: i64,
    /// How long a rotated one may.
    pub rotated: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_age: 365 * DAY,
            unused: 90 * DAY,
            soon: [30 * DAY, 7 * DAY, DAY],
            long: 365 * DAY,
            expired: 60 * SECOND,
            leeway: 600 * SECOND,
            revoked: 10 * SECOND,
            rotated: DAY,
        }
    }
}

/// Returns whether a token's end is worth a word so long `before`: its life is twice as long at least. One that is
/// issued for a week is not news on its first day. If nobody knows when it was issued, it lives for long.
#[must_use]
pub fn is_worth_a_word(before: i64, end: Timestamp, issued_at: Option<Timestamp>) -> bool {
    issued_at.is_none_or(|issued_at| before.saturating_mul(2) <= end.since(issued_at))
}

/// The posture of a subject: one token, or all tokens that state the same principal.
#[derive(Clone, Debug)]
pub struct Posture {
    /// Everything together; of the alerts, those that it was exposed.
    all: Standing,
    is_live: bool,
    found: BTreeMap<Kind, Finding>,
}

impl Posture {
    /// Begins with a token.
    #[must_use]
    pub fn of(token: &Standing, limits: &Limits, now: Timestamp) -> Self {
        let mut posture = Self {
            all: Standing { alerts: BTreeMap::new(), ..token.clone() },
            is_live: false,
            found: BTreeMap::new(),
        };
        posture.add(token, limits, now);
        posture
    }

    /// Adds another token of the same principal. Of findings of one kind, one is kept, with the earliest beginning.
    pub fn add(&mut self, token: &Standing, limits: &Limits, now: Timestamp) {
        for finding in token.of_token(limits, now) {
            let since = self.found.get(&finding.kind).and_then(|known| known.since);
            let since = since.into_iter().chain(finding.since).min();
            self.found.insert(finding.kind, Finding { since, ..finding });
        }
        self.is_live |= token.end(limits, now).is_none();
        let all = &mut self.all;
        for (kind, span) in token.exposures(limits, now) {
            all.alerts.entry(kind).and_modify(|sum| *sum = sum.and(span)).or_insert(span);
        }
        all.first_seen = all.first_seen.into_iter().chain(token.first_seen).min();
        all.last_seen = all.last_seen.max(token.last_seen);
        all.is_accepted |= token.is_accepted;
    }

    /// Returns what is to be mended, the worst first.
    #[must_use]
    pub fn findings(self, limits: &Limits, now: Timestamp) -> Vec<Finding> {
        let Self { all, is_live, mut found } = self;
        let exposed = all.alerts.iter().map(|(kind, span)| exposed(*kind, *span));
        let of_subject = all.of_subject(is_live, limits, now).into_iter().chain(exposed);
        found.extend(of_subject.map(|finding| (finding.kind, finding)));
        found.into_values().collect()
    }
}

fn exposed(kind: Kind, span: Span) -> Finding {
    let alerts = counted(span.count, "alert");
    let detail = format!("last {}, {alerts}", span.last.to_words());
    Finding { kind, since: Some(span.first), detail }
}

#[cfg(test)]
mod tests;
