//! What follows an attempt to send a mail: who has it already, and when the next try is due.

use std::collections::{BTreeMap, BTreeSet};

use crate::deliver::email::{Delivery, SendFault};
use crate::engine::time::{MINUTE, SECOND};
use crate::store::{About, Outgoing};

/// Waits between attempts to send a mail: the first, doubled after each attempt up to the longest.
const BACKOFF: (i64, i64) = (30 * SECOND, 30 * MINUTE);

/// Interval at which a single mail is tried while the server accepts none.
pub(super) const PROBE: i64 = BACKOFF.0;

/// What follows an attempt.
pub(super) enum Outcome {
    /// Every recipient has it, or refused it for good.
    Sent { refused: String },
    /// Somebody may accept it later. `is_out` means that the server accepts no mail now.
    Later { why: String, is_out: bool },
    /// Nobody will ever accept it.
    Never { why: String },
}

impl Outcome {
    /// Returns the outcome; `has_served` says whether some recipients already had the mail.
    pub(super) fn of(deliveries: &[Delivery], has_served: bool) -> Self {
        let say = |delivery: &Delivery| match &delivery.result {
            Ok(()) => String::new(),
            Err(fault) if fault.remedy().is_empty() => format!("{}: {fault}", delivery.to),
            Err(fault) => format!("{}: {fault}; {}", delivery.to, fault.remedy()),
        };
        let is_later =
            |delivery: &&Delivery| delivery.result.as_ref().is_err_and(SendFault::is_temporary);
        if let Some(delivery) = deliveries.iter().find(is_later) {
            let is_out = delivery.result.as_ref().is_err_and(SendFault::is_of_server);
            return Self::Later { why: say(delivery), is_out };
        }
        let refused: Vec<String> =
            deliveries.iter().filter(|delivery| delivery.result.is_err()).map(say).collect();
        let refused_all = refused.len() == deliveries.len() && !has_served;
        let refused = refused.join(", ");
        if refused_all { Self::Never { why: refused } } else { Self::Sent { refused } }
    }
}

/// Returns the wait: twice as long after each attempt, up to half an hour; a tenth of it differs between mails, so that
/// they are not all retried at once.
pub(super) fn backoff(attempts: u32, id: i64) -> i64 {
    let wait = BACKOFF.0.saturating_mul(1 << attempts.min(20)).min(BACKOFF.1);
    wait + wait / 100 * id.rem_euclid(10)
}

/// Recipients that have a mail which others still wait for, by the row and its last alert: a storm's row that has grown
/// contains more. Lost when the process ends: then they may get it twice.
#[derive(Debug, Default)]
pub(super) struct Served(BTreeMap<(i64, i64), BTreeSet<String>>);

impl Served {
    /// Returns who has everything in these rows.
    pub(super) fn with(&self, rows: &[&Outgoing]) -> BTreeSet<String> {
        let of_row = |row: &&Outgoing| self.0.get(&told_by(row)).cloned().unwrap_or_default();
        rows.iter().map(of_row).reduce(|all, one| &all & &one).unwrap_or_default()
    }

    /// Notes who accepted a mail of these rows.
    pub(super) fn note(&mut self, rows: &[&Outgoing], deliveries: &[Delivery]) {
        for row in rows {
            let taken = deliveries.iter().filter(|delivery| delivery.result.is_ok());
            self.0.entry(told_by(row)).or_default().extend(taken.map(|one| one.to.clone()));
        }
    }

    /// Forgets rows that nobody waits for any more.
    pub(super) fn forget(&mut self, rows: &[&Outgoing]) {
        self.0.retain(|(id, _), _| rows.iter().all(|row| row.id != *id));
    }
}

const fn told_by(row: &Outgoing) -> (i64, i64) {
    match row.about {
        About::Storm { upto, .. } => (row.id, upto),
        _ => (row.id, 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::Timestamp;

    fn row(about: About) -> Outgoing {
        Outgoing {
            id: 7,
            message_id: "storm.0".into(),
            principal: "".into(),
            rule: "".into(),
            is_critical: false,
            about,
            created: Timestamp(0),
            due: Timestamp(0),
            attempts: 0,
            error: String::new(),
        }
    }

    #[test]
    fn whoever_took_the_mail_of_a_storm_gets_what_it_grew_by() {
        let storm = |upto| row(About::Storm { after: 0, upto });
        let taken = [Delivery { to: "a@example.org".to_owned(), result: Ok(()) }];
        let mut served = Served::default();
        served.note(&[&storm(3000)], &taken);
        assert_eq!(served.with(&[&storm(3000)]).len(), 1);
        assert!(served.with(&[&storm(5000)]).is_empty());
        served.forget(&[&storm(5000)]);
        assert!(served.with(&[&storm(3000)]).is_empty());
    }
}
