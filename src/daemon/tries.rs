//! An attempt to send a mail, and what follows it: what its recipients answered, and when the next try is due.

use std::collections::BTreeMap;

use tracing::{error, warn};

use crate::deliver::email::{Delivery, Mailer, SendFault};
use crate::deliver::render::{Host, Mail, bare};
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use crate::store::{Answers, Outgoing};

/// Waits between attempts to send a mail: the first, doubled after each attempt up to the longest.
const BACKOFF: (i64, i64) = (30 * SECOND, 30 * MINUTE);

/// Interval at which a single mail is tried while the server accepts none.
const PROBE: i64 = BACKOFF.0;

/// How long a server may say "later" about a text before it gets another. One that says so of all mails that it does
/// not know yet (greylisting) accepts them within minutes.
const SAME_TEXT: i64 = HOUR;

/// How long those who postponed a mail are asked again after others accepted it, and how long a server that has
/// something against us or the text of a mail is: RFC 5321, section 4.5.4.1, asks for four to five days.
pub(super) const GIVE_UP: i64 = 5 * DAY;

/// Sends a mail to those recipients whose address is `wanted`. Whoever would get it but for its text gets it without
/// what is in the logs: those are the words of whoever sent requests, and he must not choose which alerts are told.
pub(super) async fn deliver(
    mailer: &Mailer,
    host: &Host,
    mail: &Mail,
    wanted: impl Fn(&str) -> bool,
    now: Timestamp,
) -> Vec<Delivery> {
    let deliveries = mailer.send_to(mail, wanted).await;
    let is_old = now.since(mail.date) >= SAME_TEXT;
    let is_for_text =
        |fault: &SendFault| fault.is_about_text() && (is_old || !fault.is_temporary());
    let (refused, mut done): (Vec<_>, Vec<_>) = deliveries
        .into_iter()
        .partition(|delivery| delivery.result.as_ref().is_err_and(is_for_text));
    if let Some(Err(fault)) = refused.first().map(|delivery| &delivery.result) {
        warn!(id = mail.message_id, error = %fault, "The text of a mail was refused; it is sent without.");
        let is_refused = |address: &str| refused.iter().any(|delivery| delivery.to == address);
        done.extend(mailer.send_to(&bare(mail, host), is_refused).await);
    }
    done
}

/// What the recipients of a mail answered.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Answered {
    /// How many accepted it.
    pub(super) n_accepted: usize,
    /// What those said who will never accept it.
    pub(super) refused: Vec<String>,
    /// What those said who may accept it later, by address.
    pub(super) postponed: BTreeMap<String, String>,
    /// Whether the server accepts no mail now.
    is_out: bool,
    /// Whether it has something against us, which is for a person to change.
    is_unwelcome: bool,
    /// Whether it refused a text, and the one without words from logs, too.
    is_text_refused: bool,
}

impl Answered {
    /// Sums up a send to some recipients of `n_recipients`.
    pub(super) fn of(deliveries: &[Delivery], n_recipients: usize) -> Self {
        let mut answered = Self::default();
        for Delivery { to, result } in deliveries {
            match result {
                Ok(()) => answered.n_accepted += 1,
                Err(fault) => answered.add(to, fault),
            }
        }
        // What a server has against us, it may say of each recipient.
        answered.is_out |= answered.is_unwelcome && answered.refused.len() == n_recipients;
        answered
    }

    fn add(&mut self, to: &str, fault: &SendFault) {
        self.is_unwelcome |= fault.is_about_us();
        // What a server has against the text, a person can have changed there.
        self.is_text_refused |= fault.is_about_text() && !fault.is_temporary();
        if fault.is_temporary() || fault.is_about_text() {
            self.is_out |= fault.is_of_server();
            self.postponed.insert(to.to_owned(), say(to, fault));
        } else {
            self.refused.push(say(to, fault));
        }
    }

    /// Returns why a mail that nobody accepted is to be tried again; `None` if it is to be given up. What the server
    /// has against us or a text is not the fault of a mail, until a person has had time to change it.
    pub(super) fn to_retry(&self, age: i64) -> Option<String> {
        let is_recent = age < GIVE_UP;
        let postponed = self.postponed.values().next().cloned();
        postponed
            .filter(|_| is_recent || !self.is_text_refused)
            .or_else(|| (self.is_out && is_recent).then(|| self.refused.join(", ")))
    }

    /// Gives up those who postponed the mail.
    pub(super) fn give_up(&mut self) {
        let postponed = std::mem::take(&mut self.postponed).into_values();
        self.refused.extend(postponed.map(|answer| format!("{answer}; given up")));
    }
}

/// How long no mail is tried, because the server accepts none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) until: Timestamp,
    wait: i64,
    /// How often the server refused what a person has to change. Such tries become ever rarer: mail providers lock an
    /// account after some failed logins, and go on counting.
    n_refused: u32,
}

impl Pause {
    /// Returns the pause after a try that nobody accepted; the one before if the server was not to blame.
    pub(super) fn after(
        before: Option<Self>,
        answered: &Answered,
        began: Timestamp,
    ) -> Option<Self> {
        if !answered.is_out {
            return before;
        }
        let n_before = before.map_or(0, |pause| pause.n_refused);
        let (wait, n_refused) = if answered.is_unwelcome {
            (backoff(n_before, 0), n_before.saturating_add(1))
        } else {
            (PROBE, n_before)
        };
        Some(Self { until: began.plus(wait), wait, n_refused })
    }

    /// Returns whether it lasts. A clock set back must not delay the next try.
    pub(super) fn lasts(self, now: Timestamp) -> bool {
        (1..=self.wait).contains(&self.until.since(now))
    }
}

fn say(to: &str, fault: &SendFault) -> String {
    match fault.remedy() {
        "" => format!("{to}: {fault}"),
        remedy => format!("{to}: {fault}; {remedy}"),
    }
}

/// Returns what was said of a mail before and now.
pub(super) fn joined(before: &str, now: &str) -> String {
    let said: Vec<&str> = [before, now].into_iter().filter(|why| !why.is_empty()).collect();
    said.join(", ")
}

/// Returns what is to be kept of the answers to a mail that somebody accepted, now or before. Those who postponed it
/// are given up from a time on.
pub(super) fn answers(
    mail: &Mail,
    row: &Outgoing,
    mut answered: Answered,
    give_up_at: Timestamp,
    now: Timestamp,
) -> Answers {
    if give_up_at <= now {
        answered.give_up();
    }
    let Answered { refused, postponed, .. } = answered;
    let next = now.plus(backoff(row.attempts, row.id));
    if let Some(why) = postponed.values().next() {
        warn!(id = mail.message_id, error = why, next = %next, "Mail was postponed by some recipients; it will be retried.");
    }
    let refused = refused.join(", ");
    if !refused.is_empty() {
        error!(refused, "Mail was refused permanently for some recipients.");
    }
    Answers { refused, postponed, next, give_up_at }
}

/// Returns the wait: twice as long after each attempt, up to half an hour; a tenth of it differs between mails, so that
/// they are not all retried at once.
pub(super) fn backoff(attempts: u32, id: i64) -> i64 {
    let wait = BACKOFF.0.saturating_mul(1 << attempts.min(20)).min(BACKOFF.1);
    wait + wait / 100 * id.rem_euclid(10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::email::Stage;

    fn delivery(to: &str, code: u16) -> Delivery {
        answer(to, code, "so")
    }

    fn answer(to: &str, code: u16, text: &str) -> Delivery {
        let (server, text) = ("localhost:25".to_owned(), text.to_owned());
        let fault = SendFault::Refused { server, stage: Stage::Recipient, code, text };
        Delivery { to: to.to_owned(), result: if code < 400 { Ok(()) } else { Err(fault) } }
    }

    #[test]
    fn what_a_server_had_against_us_was_taken_for_the_fault_of_the_recipients() {
        let refused = |texts: &[&str]| {
            let deliveries: Vec<_> = texts.iter().map(|text| answer("a", 550, text)).collect();
            Answered::of(&deliveries, texts.len())
        };
        for (texts, is_retried) in [
            (&["5.7.1 <a>: Relay access denied"][..], true),
            (&["5.1.8 <us>: Sender address rejected: Domain not found"], true),
            (&["no"], true),
            (&["5.1.1 no such user", "5.7.1 <b>: Relay access denied"], true),
            (&["5.1.1 no such user"], false),
            (&["5.1.10 null MX"], false),
            (&["5.2.1 mailbox disabled"], false),
        ] {
            let answered = refused(texts);
            assert_eq!(answered.to_retry(GIVE_UP - 1).is_some(), is_retried, "{texts:?}");
            assert_eq!(answered.to_retry(GIVE_UP), None, "{texts:?}");
            assert_eq!(Pause::after(None, &answered, Timestamp(0)).is_some(), is_retried);
        }
        let repeated = Answered::of(&[answer("a", 550, "5.7.1 no")], 2);
        assert_eq!(repeated.to_retry(0), None, "others have it");
    }

    #[test]
    fn each_recipient_answers_for_itself() {
        let deliveries = [("a", 250), ("b", 452), ("c", 550)].map(|(to, code)| delivery(to, code));
        let mut answered = Answered::of(&deliveries, 3);
        assert_eq!((answered.n_accepted, answered.is_out), (1, false));
        let postponed: Vec<&str> = answered.postponed.keys().map(String::as_str).collect();
        assert_eq!((answered.refused.len(), postponed), (1, vec!["b"]));
        answered.give_up();
        assert!(answered.postponed.is_empty());
        assert!(
            answered.refused[1].starts_with("b: ") && answered.refused[1].ends_with("; given up")
        );
    }
}
