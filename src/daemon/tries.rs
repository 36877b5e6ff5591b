//! What is to be done after a try to send a mail, and when the next one is due.

use crate::deliver::email::{Delivery, SendFault};
use crate::engine::time::{MINUTE, SECOND};

/// Waits between two tries of a mail: the first; each further is twice as long, up to the longest.
const BACKOFF: (i64, i64) = (30 * SECOND, 30 * MINUTE);

/// What is to be done after a try.
pub(super) enum Outcome {
    /// Every recipient has it, or refused it for good.
    Sent { refused: String },
    /// Somebody may take it later.
    Later { why: String },
    /// Nobody will ever take it.
    Never { why: String },
}

impl Outcome {
    /// Returns it; `has_served` says whether some recipients had the mail before.
    pub(super) fn of(deliveries: &[Delivery], has_served: bool) -> Self {
        let say = |delivery: &Delivery| match &delivery.result {
            Ok(()) => String::new(),
            Err(fault) if fault.remedy().is_empty() => format!("{}: {fault}", delivery.to),
            Err(fault) => format!("{}: {fault}; {}", delivery.to, fault.remedy()),
        };
        let is_later =
            |delivery: &&Delivery| delivery.result.as_ref().is_err_and(SendFault::is_temporary);
        if let Some(delivery) = deliveries.iter().find(is_later) {
            return Self::Later { why: say(delivery) };
        }
        let refused: Vec<String> =
            deliveries.iter().filter(|delivery| delivery.result.is_err()).map(say).collect();
        let refused_all = refused.len() == deliveries.len() && !has_served;
        let refused = refused.join(", ");
        if refused_all { Self::Never { why: refused } } else { Self::Sent { refused } }
    }
}

/// Twice as long after each try, up to half an hour; a tenth of it differs from mail to mail, so
/// that not all come back at once.
pub(super) fn backoff(attempts: u32, id: i64) -> i64 {
    let wait = BACKOFF.0.saturating_mul(1 << attempts.min(20)).min(BACKOFF.1);
    wait + wait / 100 * id.rem_euclid(10)
}
