//! What `status` says about the mail queue.

use serde_json::{Value as Json, json};

use crate::cli::print;
use crate::config::Mail;
use crate::daemon::post::Rules;
use crate::engine::time::Timestamp;
use crate::store::{OutboxStats, Reader, StoreError};

/// Mails whose errors are read at most.
const MAILS: u32 = 100;

/// The mail queue; empty without a database.
#[derive(Default)]
pub(super) struct Mails {
    stats: OutboxStats,
    full: Option<Full>,
    last_error: String,
    last_refusal: String,
}

/// The hourly cap, which holds mails back.
#[derive(Clone, Copy)]
struct Full {
    until: Timestamp,
    /// Whether mails about something critical are not held back.
    has_room_for_critical: bool,
}

impl Mails {
    /// Reads how the queue is doing. `config` is the mail server, if there is one.
    ///
    /// # Errors
    /// Any database error.
    pub(super) fn of(
        reader: &Reader,
        stats: OutboxStats,
        config: Option<&Mail>,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        // Due at the end of time: all of them.
        let always = Timestamp(i64::MAX);
        let postponed = reader.postponed(always, MAILS)?.into_iter();
        let postponed = postponed.flat_map(|mail| mail.whom.into_values());
        let waiting = reader.due(always, MAILS)?.into_iter().map(|mail| mail.error);
        let last_error = postponed.chain(waiting).rfind(|error| !error.is_empty());
        Ok(Self {
            stats,
            full: config.map_or(Ok(None), |config| full(reader, &stats, config, now))?,
            last_error: last_error.unwrap_or_default(),
            last_refusal: reader.last_refusal()?,
        })
    }

    /// Returns the numbers in words. `has_server` says whether the site has a mail server.
    pub(super) fn summary(&self, has_server: bool, now: Timestamp) -> String {
        let of = &self.stats;
        let ago = |time: Timestamp| print::ago(time, now);
        let some = |n: u64, what: &str| match n {
            0 => String::new(),
            n => format!(", {} {what}", print::number(n)),
        };
        let n_waiting = print::number(of.waiting);
        let waiting = match of.waiting {
            n if n > 0 && !has_server => {
                format!("{n_waiting} waiting, but no [mail] is configured")
            }
            _ => format!("{n_waiting} waiting"),
        };
        let oldest = of.late_since(now).map(|time| format!(", the oldest queued {}", ago(time)));
        let next = || of.next_due.map(|time| format!(", the next due {}", ago(time)));
        let sent = of.last_sent.map(|time| format!(", last sent {}", ago(time)));
        [
            waiting,
            some(of.critical, "critical"),
            some(of.postponed, "postponed by a recipient"),
            oldest.or_else(next).unwrap_or_default(),
            some(of.dead, "given up"),
            some(of.refused, "refused by a recipient"),
            sent.unwrap_or_default(),
        ]
        .concat()
    }

    /// Returns what is said below the numbers, each under a name; empty if there is nothing to say.
    pub(super) fn details(&self) -> [(&'static str, String); 3] {
        [
            ("", self.full.map(Full::sentence).unwrap_or_default()),
            ("last error", self.last_error.clone()),
            ("last refused", self.last_refusal.clone()),
        ]
    }

    pub(super) fn to_json(&self, now: Timestamp) -> Json {
        let OutboxStats {
            waiting, critical, postponed, next_due, dead, refused, last_sent, ..
        } = self.stats;
        print::object([
            ("waiting", json!(waiting)),
            ("critical", json!(critical)),
            ("postponed", json!(postponed)),
            ("full_until", print::time(self.full.map(|full| full.until))),
            ("critical_only", json!(self.full.is_some_and(|full| full.has_room_for_critical))),
            ("oldest", print::time(self.stats.late_since(now))),
            ("next_due", print::time(next_due)),
            ("dead", json!(dead)),
            ("refused", json!(refused)),
            ("last_sent", print::time(last_sent)),
            ("last_error", json!(self.last_error)),
            ("last_refusal", json!(self.last_refusal)),
        ])
    }
}

/// Returns until when the hourly cap holds back mails that wait: all of them, or those about nothing critical.
fn full(
    reader: &Reader,
    stats: &OutboxStats,
    config: &Mail,
    now: Timestamp,
) -> Result<Option<Full>, StoreError> {
    if stats.waiting == 0 {
        return Ok(None);
    }
    let whole = reader.full_until(config.max_per_hour, 0, now)?;
    let is_lesser = stats.critical < stats.waiting;
    let reserve = if is_lesser { Rules::reserve(config.max_per_hour) } else { 0 };
    let until = reader.full_until(config.max_per_hour, reserve, now)?;
    Ok(until.map(|until| Full { until, has_room_for_critical: whole.is_none() }))
}

impl Full {
    fn sentence(self) -> String {
        let until = self.until.to_words();
        if self.has_room_for_critical {
            format!(
                "Until {until}, mail.max_per_hour leaves room for critical alerts only: other mails go out then, or in the hourly digest"
            )
        } else {
            format!(
                "mail.max_per_hour is reached until {until}: waiting mails go out then, or in the hourly digest"
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::MINUTE;

    #[test]
    fn an_update_that_gathers_was_the_oldest_mail_queued_in_the_future() {
        let now = Timestamp::from_seconds(1_800_000_000);
        let at = |minutes: i64| Some(now.plus(minutes * MINUTE));
        let told = |oldest, next_due| {
            let stats = OutboxStats { waiting: 1, oldest, next_due, ..OutboxStats::default() };
            let mails = Mails { stats, ..Mails::default() };
            let json = mails.to_json(now);
            (mails.summary(true, now), json["oldest"].is_null(), json["next_due"].clone())
        };
        let time = |minutes| print::time(at(minutes));
        let gathers = "1 waiting, the next due in 4 min".to_owned();
        assert_eq!(told(at(4), at(4)), (gathers, true, time(4)));
        let is_tried_again = "1 waiting, the oldest queued 3 min ago".to_owned();
        assert_eq!(told(at(-3), at(9)), (is_tried_again, false, time(9)));
    }
}
