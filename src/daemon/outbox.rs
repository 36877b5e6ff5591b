//! The pump: sends the mails that are due, retries those that failed, and obeys the hourly cap.
//!
//! Works on its own thread and database connection, so that no mail server can block the loop. A mail is marked as sent
//! only after the server accepted it: it may be sent twice, with the same Message-ID, but is never lost. What cannot be
//! marked is not sent again for that: marking it is all that is tried until it succeeds.

use std::collections::BTreeSet;
use std::time::Duration;

use tracing::{error, info, warn};

use crate::clock::{self, monotonic};
use crate::daemon::blocked::mail_blocked;
use crate::daemon::compose::{Combined, Composer, Written};
use crate::daemon::post::{Cut, Post, Rules};
use crate::daemon::tries::{Answered, GIVE_UP, Pause, answers, backoff, deliver, joined};
use crate::deliver::email::Mailer;
use crate::deliver::render::{Host, Mail};
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use crate::store::{About, Answers, Outgoing, Postponed, Store, StoreError};

/// How long the first mail beyond the cap waits for others before the hourly digest: enough for a whole burst.
const GATHER: i64 = 2 * MINUTE;

/// Interval between two mails of a rule while more is due than may be sent: Alertmanager's `group_interval`.
const ONE_A_RULE: i64 = 5 * MINUTE;

/// Mails read per turn, and so the most that an hourly digest stands for.
const AT_A_TIME: u32 = 5000;

/// Why a mail is given up whose incidents were pruned or forgotten, or whose rows are damaged.
const GONE: &str = "its alerts are gone or unreadable";

/// Notes in the database what became of a mail.
type Note = Box<dyn Fn(&mut Store) -> Result<(), StoreError> + Send>;

/// Sends mails.
pub struct Pump {
    store: Store,
    mailer: Mailer,
    rules: Rules,
    host: Host,
    runtime: tokio::runtime::Runtime,
    /// The last turn; `None` after a start or a reload, which may have repaired the mail server: mails that wait for a
    /// retry are then tried once.
    turned: Option<Timestamp>,
    /// The last pause, after a try that showed that the server accepts no mail; `None` once it accepted one.
    pause: Option<Pause>,
    /// What became of the last mail, if the database did not take it.
    unnoted: Option<Note>,
    /// When the turn began.
    began: Duration,
    cut: Cut,
}

impl Pump {
    /// Creates a pump with its own connection.
    ///
    /// # Errors
    /// The runtime for sending cannot be started.
    pub fn new(
        store: Store,
        mailer: Mailer,
        rules: Rules,
        host: Host,
        cut: Cut,
    ) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (turned, pause, unnoted) = (None, None, None);
        let began = monotonic();
        Ok(Self { store, mailer, rules, host, runtime, turned, pause, unnoted, began, cut })
    }

    /// Replaces the mailer and its rules, and tries at once the mails that wait for a retry.
    pub fn replace(&mut self, post: Post) {
        (self.mailer, self.rules) = (post.mailer, post.rules);
        self.turned = None;
    }

    /// Sends what is due, and returns when there will be something to do again.
    ///
    /// # Errors
    /// Those of the store; nothing is lost.
    pub fn turn(&mut self, now: Timestamp) -> Result<Timestamp, StoreError> {
        self.began = monotonic();
        self.catch_up()?;
        self.queue_digest(now)?;
        // Mails queued or postponed by a clock that was ahead must not wait until that time comes again, either.
        if self.turned.is_none_or(|turned| now < turned) {
            self.store.hasten(now)?;
            self.pause = None;
        }
        self.turned = Some(now);
        if !self.is_out(now) {
            self.send_due(now)?;
        }
        self.next_turn(now)
    }

    /// Returns whether the server accepted no mail a moment ago.
    fn is_out(&self, now: Timestamp) -> bool {
        self.pause.is_some_and(|pause| pause.lasts(now))
    }

    /// Returns whether no further mail is to be begun in this turn.
    fn is_over(&self) -> bool {
        self.cut.is_due() || monotonic().saturating_sub(self.began) >= self.rules.turn
    }

    fn send_due(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let due = self.store.due(now, AT_A_TIME)?;
        let (digests, incidents): (Vec<_>, Vec<_>) =
            due.into_iter().partition(|mail| matches!(mail.about, About::Digest { .. }));
        for mail in digests.iter().take(self.room(now)?) {
            self.send_one(mail, now)?;
        }
        let rest = self.send_singly(&incidents, now)?;
        if self.may_bundle(&rest, now)? {
            self.send_bundle(&rest, now)?;
        }
        // New mails come first.
        if rest.is_empty() { self.ask_again(now) } else { Ok(()) }
    }

    /// Sends the mails that may go out singly; returns those that wait for the hourly digest. If more are due than may
    /// be sent, a rule has one mail per interval: a storm of one rule must not displace all others.
    fn send_singly<'a>(
        &mut self,
        incidents: &'a [Outgoing],
        now: Timestamp,
    ) -> Result<Vec<&'a Outgoing>, StoreError> {
        let mut room = self.room(now)?;
        let mut reserve = self.reserve(now)?;
        let n_critical = incidents.iter().filter(|mail| mail.is_critical).count();
        let has_room_for_critical = n_critical <= room;
        let mut told = None;
        if room < incidents.len() + reserve {
            told = Some(self.store.rules_told_since(now.plus(-ONE_A_RULE), now)?);
        }
        let (mut rest, mut waiting, mut failed) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for mail in incidents {
            // Mails about one principal keep their order.
            if failed.contains(&mail.principal) {
                continue;
            }
            let is_shared = matches!(mail.about, About::Storm { .. });
            let is_told = told.as_ref().is_some_and(|told| told.contains(&mail.rule));
            // A critical mail waits only for critical ones, and overtakes those that wait for the digest.
            let is_ahead = mail.is_critical && has_room_for_critical;
            let is_full = room <= if mail.is_critical { 0 } else { reserve };
            let is_behind = is_told || waiting.contains(&mail.principal);
            if is_full || is_shared || is_behind && !is_ahead {
                // A mail about many principals is not ordered with others.
                waiting.extend(Some(mail.principal.clone()).filter(|name| !name.is_empty()));
                rest.push(mail);
                continue;
            }
            room -= 1;
            reserve = reserve.saturating_sub(usize::from(mail.is_critical));
            told.as_mut().map(|told| told.insert(mail.rule.clone()));
            if self.send_one(mail, now)? == Tried::InVain {
                failed.insert(mail.principal.clone());
            }
        }
        Ok(rest)
    }

    /// Returns how many mails may be sent now; the hourly digest does not count.
    fn room(&self, now: Timestamp) -> Result<usize, StoreError> {
        let n_sent = self.store.sent_since(now.plus(-HOUR), now)?;
        let room = u64::from(self.rules.max_per_hour).saturating_sub(n_sent);
        Ok(usize::try_from(room).unwrap_or(usize::MAX))
    }

    /// Returns how much of the room is for critical mails only: those of the hour used their own share first.
    fn reserve(&self, now: Timestamp) -> Result<usize, StoreError> {
        let n_critical = self.store.critical_since(now.plus(-HOUR), now)?;
        let left = u64::from(self.share()).saturating_sub(n_critical);
        Ok(usize::try_from(left).unwrap_or(0))
    }

    /// Returns how many mails of an hour are for critical alerts only.
    const fn share(&self) -> u32 {
        Rules::reserve(self.rules.max_per_hour)
    }

    /// Returns whether the mails beyond the cap are sent now, as one: at most once an hour, across restarts.
    fn may_bundle(&self, rest: &[&Outgoing], now: Timestamp) -> Result<bool, StoreError> {
        let Some(first) = rest.first() else { return Ok(false) };
        // A clock set back must not delay the mails queued before.
        let is_gathering = (0..GATHER).contains(&now.since(first.created));
        Ok(is_another_hour(self.store.bundled()?, now) && !is_gathering)
    }

    /// Returns how many mails may be repeated now: as many per hour as are reserved for critical ones. Whoever has room
    /// again for a day of mails must not take that of new ones.
    fn room_for_repeats(&self, now: Timestamp) -> Result<usize, StoreError> {
        let n_repeated = self.store.repeated_since(now.plus(-HOUR), now)?;
        let n_repeated = usize::try_from(n_repeated).unwrap_or(usize::MAX);
        let room = self.room(now)?.saturating_sub(self.reserve(now)?);
        let share = usize::try_from(self.share()).unwrap_or(0);
        Ok(room.min(share.max(1).saturating_sub(n_repeated)))
    }

    fn next_turn(&self, now: Timestamp) -> Result<Timestamp, StoreError> {
        let next = self.store.next_due()?.unwrap_or_else(|| now.plus(DAY));
        let next = match self.pause.filter(|pause| pause.lasts(now)) {
            Some(pause) => next.max(pause.until),
            // A mail that is due and not sent waits for room under the cap.
            None if next <= now => now.plus(10 * SECOND),
            None => next,
        };
        Ok(next.min(self.next_digest(now)))
    }

    fn next_digest(&self, now: Timestamp) -> Timestamp {
        let today = self.digest_of(now);
        if today > now { today } else { today.plus(DAY) }
    }

    /// Returns the digest's time on the day of `now`.
    fn digest_of(&self, now: Timestamp) -> Timestamp {
        let day = now.to_chrono().date_naive();
        day.and_time(self.rules.digest).and_utc().into()
    }

    fn queue_digest(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.digest_of(now) <= now {
            let day = now.to_chrono().date_naive().to_string();
            self.store.queue_digest(&day, self.rules.at_once, now)?;
        }
        Ok(())
    }

    fn composer(&self) -> Result<Composer<'_>, StoreError> {
        let upto = self.store.last_alert()?;
        Ok(Composer { store: &self.store, rules: &self.rules, host: &self.host, upto })
    }

    fn send_one(&mut self, outgoing: &Outgoing, now: Timestamp) -> Result<Tried, StoreError> {
        if self.is_over() || self.is_out(now) {
            return Ok(Tried::InVain);
        }
        let composer = self.composer()?;
        let upto = composer.upto;
        match composer.write(outgoing)? {
            Written::Mail(mail) => {
                self.store.fix(&[outgoing], upto)?;
                let tried = self.send(&[outgoing], &mail, Sent::Single, now)?;
                // Updates of which nothing is left would pass for news that waits.
                let beside = self.store.updates_beside(outgoing)?;
                self.untold(&beside.iter().collect::<Vec<_>>())?;
                Ok(tried)
            }
            Written::Settled => self.store.settled(&[outgoing], now).map(|()| Tried::Done),
            Written::Gone => self.bury(&[outgoing], now).map(|()| Tried::Done),
        }
    }

    /// Gives up mails whose incidents were pruned or forgotten, or whose rows are damaged.
    fn bury(&mut self, mails: &[&Outgoing], now: Timestamp) -> Result<(), StoreError> {
        self.store.dead(mails, GONE, now)
    }

    /// Closes mails that have nothing to report together.
    fn send_off(&mut self, mails: &[&Outgoing], now: Timestamp) -> Result<(), StoreError> {
        let (mut settled, mut gone) = (Vec::new(), Vec::new());
        for outgoing in mails {
            match self.composer()?.write(outgoing)? {
                Written::Settled => settled.push(*outgoing),
                Written::Gone => gone.push(*outgoing),
                // An alert was added meanwhile: it waits for the next turn.
                Written::Mail(_) => {}
            }
        }
        self.store.settled(&settled, now)?;
        self.bury(&gone, now)
    }

    /// Sends a mail, bypassing the database, that the database cannot be used since a time.
    ///
    /// # Errors
    /// No recipient accepted the mail; the error contains the replies.
    pub fn tell_blocked(&self, since: Timestamp, why: &str) -> Result<(), String> {
        self.runtime.block_on(async {
            // The journal has it too, so neither the daemon's end nor a reload need wait.
            tokio::select! {
                outcome = mail_blocked(&self.mailer, &self.host, since, why) => outcome,
                () = self.cut.fall() => Err("the daemon ends, or has a new mailer".to_owned()),
            }
        })
    }

    /// Sends several mails as one.
    fn send_bundle(&mut self, rest: &[&Outgoing], now: Timestamp) -> Result<(), StoreError> {
        if self.is_over() || self.is_out(now) {
            return Ok(());
        }
        let rest = &self.untold(rest)?;
        let composer = self.composer()?;
        let last = composer.upto;
        let Some(Combined { mail, upto, listed }) = composer.bundle(rest)? else {
            return self.send_off(rest, now);
        };
        self.store.fix(rest, last)?;
        self.store.note_listed(rest, &listed)?;
        self.send(rest, &mail, Sent::Bundle { upto }, now).map(drop)
    }

    /// Returns the mails that have something to tell, and closes the others: mails sent in this turn told it.
    fn untold<'a>(&mut self, mails: &[&'a Outgoing]) -> Result<Vec<&'a Outgoing>, StoreError> {
        let (mut untold, mut told) = (Vec::new(), Vec::new());
        let composer = self.composer()?;
        let upto = composer.upto;
        for mail in mails {
            if composer.is_told(mail)? { told.push(*mail) } else { untold.push(*mail) }
        }
        self.store.drop_told(&told, upto)?;
        Ok(untold)
    }

    /// Sends one mail for one or several rows of the outbox.
    fn send(
        &mut self,
        rows: &[&Outgoing],
        mail: &Mail,
        kind: Sent,
        now: Timestamp,
    ) -> Result<Tried, StoreError> {
        let Some(first) = rows.first() else { return Ok(Tried::Done) };
        let answered = self.hand_over(mail, |_| true, now);
        let Some(mut answered) = answered else { return Ok(Tried::InVain) };
        let (began, now) = (now, clock::now().max(now));
        let (id, ids) = (first.id, rows.iter().map(|row| row.id).collect::<Vec<_>>());
        if answered.n_accepted > 0 {
            info!(id = mail.message_id, rows = rows.len(), "Mail was sent.");
            let answers = answers(mail, first, answered, now.plus(GIVE_UP), now);
            self.note(move |store| match kind {
                Sent::Single => store.sent(id, &answers, now),
                Sent::Bundle { upto } => store.sent_bundled(&ids, upto, &answers, now),
            })?;
            return self.is_up(now).map(|()| Tried::Done);
        }
        let why = answered.to_retry(now.since(first.created));
        self.pause = Pause::after(self.pause, &answered, began);
        if let Some(why) = why {
            let next = now.plus(backoff(first.attempts, first.id));
            warn!(id = mail.message_id, error = %why, next = %next, "Mail was not sent; it will be retried.");
            self.note(move |store| store.failed(&ids, &why, next))?;
            return Ok(Tried::InVain);
        }
        answered.give_up();
        let why = answered.refused.join(", ");
        error!(id = mail.message_id, error = why, "Mail cannot be sent, and is given up.");
        let rows: Vec<Outgoing> = rows.iter().copied().cloned().collect();
        self.note(move |store| store.dead(&rows.iter().collect::<Vec<_>>(), &why, now))?;
        Ok(Tried::Done)
    }

    /// Notes what became of a mail. While the database does not take it, no mail is sent: it would be sent each second,
    /// and not count under the cap.
    fn note(
        &mut self,
        note: impl Fn(&mut Store) -> Result<(), StoreError> + Send + 'static,
    ) -> Result<(), StoreError> {
        self.unnoted = Some(Box::new(note));
        self.catch_up()
    }

    /// Notes what became of the last mail, if that is still to be done.
    fn catch_up(&mut self) -> Result<(), StoreError> {
        if let Some(note) = &self.unnoted {
            note(&mut self.store)?;
            self.unnoted = None;
        }
        Ok(())
    }

    /// Hands a mail to the server for those recipients whose address is `wanted`. Returns what they answered, or `None`
    /// if it was cut off: it stays in the outbox, and is sent again unchanged, twice to a server that had all of it.
    fn hand_over(
        &self,
        mail: &Mail,
        wanted: impl Fn(&str) -> bool,
        now: Timestamp,
    ) -> Option<Answered> {
        let sending = deliver(&self.mailer, &self.host, mail, wanted, now);
        let deliveries = self.runtime.block_on(async {
            tokio::select! {
                deliveries = sending => Some(deliveries),
                () = self.cut.fall() => None,
            }
        });
        let n_recipients = self.mailer.recipients().count();
        deliveries.map(|deliveries| Answered::of(&deliveries, n_recipients))
    }

    /// Notes that the server accepts mails: after a while in which it did not, all are tried.
    fn is_up(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if self.pause.take().is_some() { self.store.hasten(now) } else { Ok(()) }
    }

    /// Asks those again who postponed a mail that others accepted. Whoever postpones one again is left alone for the
    /// rest of the turn: others would meet the same full mailbox. Of the digests that they missed, one per hour is
    /// sent.
    fn ask_again(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let mut room = self.room_for_repeats(now)?;
        if room == 0 {
            return Ok(());
        }
        let mut room_for_bundles = usize::from(is_another_hour(self.store.bundle_repeated()?, now));
        let mut full = BTreeSet::new();
        for mail in self.store.postponed(now, AT_A_TIME)? {
            if self.is_over() || self.is_out(now) {
                break;
            }
            let room = if mail.is_bundle { &mut room_for_bundles } else { &mut room };
            let are_full = mail.whom.keys().all(|address| full.contains(address));
            if *room == 0 || are_full && !mail.whom.is_empty() {
                continue;
            }
            match self.repeat(&mail, &mut full, now)? {
                Tried::Done => *room -= 1,
                Tried::InVain => {}
            }
        }
        Ok(())
    }

    /// Asks again who postponed a mail, and adds to `full` who still does.
    fn repeat(
        &mut self,
        postponed: &Postponed,
        full: &mut BTreeSet<String>,
        now: Timestamp,
    ) -> Result<Tried, StoreError> {
        let Postponed { mail: row, whom, give_up_at, .. } = postponed;
        let mut nobody = Answers { refused: row.error.clone(), ..Answers::default() };
        // Somebody who is no longer a recipient need not be asked.
        if !self.mailer.recipients().any(|address| whom.contains_key(&address)) {
            return self.store.asked_again(row, &nobody, None).map(|()| Tried::Done);
        }
        let written = self.composer()?.again(row)?;
        if matches!(written, Written::Gone) {
            nobody.refused = joined(&row.error, &format!("{GONE}; given up"));
        }
        let Written::Mail(mail) = written else {
            return self.store.asked_again(row, &nobody, None).map(|()| Tried::Done);
        };
        let answered = self.hand_over(&mail, |address| whom.contains_key(address), now);
        let Some(answered) = answered else { return Ok(Tried::InVain) };
        let (began, now) = (now, clock::now().max(now));
        let is_accepted = answered.n_accepted > 0;
        let is_in_vain = !is_accepted && !answered.postponed.is_empty();
        let pause = Pause::after(self.pause, &answered, began);
        full.extend(answered.postponed.keys().cloned());
        let mut answers = answers(&mail, row, answered, *give_up_at, now);
        answers.refused = joined(&row.error, &answers.refused);
        let asked = row.clone();
        self.note(move |store| store.asked_again(&asked, &answers, is_accepted.then_some(now)))?;
        if is_accepted {
            info!(id = mail.message_id, "Mail was sent to those who had postponed it.");
            self.is_up(now)?;
        } else {
            self.pause = pause;
        }
        Ok(if is_in_vain { Tried::InVain } else { Tried::Done })
    }
}

/// Returns whether more than an hour has passed since the last of what is sent once an hour. A clock set back must not
/// delay it by more than an hour.
fn is_another_hour(last: Option<Timestamp>, now: Timestamp) -> bool {
    last.is_none_or(|last| !(0..=HOUR).contains(&now.since(last)))
}

/// How a sent mail counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// As one mail under the cap.
    Single,
    /// As the hourly digest, which covers a storm up to this alert.
    Bundle { upto: i64 },
}

/// The result of sending a mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tried {
    /// It was sent, or given up.
    Done,
    /// It keeps waiting, and so do later mails about the same principal.
    InVain,
}
