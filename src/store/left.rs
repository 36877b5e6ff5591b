//! What a digest left to mails that were still to be sent: the next digest tells it if those did not.
//!
//! A mail that was tried reports its incident up to a fixed alert, and an alert that is mailed at once has a mail
//! coming: a digest leaves out both. But such a mail may go out as one of many that only counts its incident, or be
//! given up.

use rusqlite::{Connection, OptionalExtension, params};

use crate::engine::time::Timestamp;

use super::postponed::Answers;

/// Selects the numbers of the alerts that the digests up to `:after` left to mails that have been sent or given up
/// since and that no digest before `:digest` is repeating; some may have been told. After which alert digests left a
/// row what is less urgent than `:at_once`, the row says.
pub(super) fn numbers() -> String {
    let is_repeated = is_repeated_before(":digest");
    format!(
        "SELECT one.number
         FROM outbox AS mail JOIN alert AS one ON one.incident = mail.incident
         WHERE mail.after_alert IS NOT NULL AND mail.state IN ('sent', 'dead') AND one.number <= :after
           AND (one.number > mail.after_alert AND one.number <= mail.reported_upto
             OR mail.state = 'dead' AND one.level >= :at_once)
           AND NOT {is_repeated}"
    )
}

/// Whether what was left to `mail` was told by a digest older than `digest` that somebody is still to be asked again
/// about: who accepted that one knows it, and who did not gets it with that one.
fn is_repeated_before(digest: &str) -> String {
    let is_settled = is_settled_by("told.created");
    format!(
        "EXISTS (SELECT 1 FROM outbox AS told
           WHERE told.give_up_at IS NOT NULL AND told.day IS NOT NULL AND told.id < {digest}
             AND {is_settled})"
    )
}

/// Whether a digest of a time told what was left to `mail`: it did not as long as a mail about the same incident waited
/// that had been tried, because that one might have told it.
fn is_settled_by(time: &str) -> String {
    format!(
        "NOT EXISTS (SELECT 1 FROM outbox AS other
           WHERE other.message_id > mail.incident || '.' AND other.message_id < mail.incident || '/'
             AND other.incident = mail.incident
             AND (other.id = mail.id OR other.reported_upto IS NOT NULL)
             AND (other.state = 'waiting' OR coalesce(other.sent_at, other.due) > {time}))"
    )
}

/// Notes what a digest leaves to the mails that wait; for any other mail, nothing. To one that was never tried, it
/// leaves only what is urgent.
pub(super) fn note(db: &Connection, digest: i64) -> rusqlite::Result<()> {
    let sql = "UPDATE outbox SET after_alert =
           iif(reported_upto IS NULL, digest.upto_alert, coalesce(outbox.after_alert, digest.after_alert))
         FROM (SELECT after_alert, upto_alert FROM outbox WHERE id = ?1 AND day IS NOT NULL) AS digest
         WHERE state = 'waiting' AND incident IS NOT NULL";
    db.prepare_cached(sql)?.execute([digest]).map(drop)
}

/// Notes that a digest was sent, or that nobody wants to know any more what it would tell: that is told then. If
/// somebody is still to be asked again, it stays known, so that they get the same.
pub(super) fn note_sent(
    db: &Connection,
    digest: i64,
    answers: &Answers,
    now: Timestamp,
) -> rusqlite::Result<()> {
    if answers.postponed.is_empty() {
        note_told(db, digest, now)?;
    }
    note(db, digest)
}

/// Notes that nobody is to be asked again any more about a digest; for any other mail, nothing. What was left since it
/// was queued, not all were told.
pub(super) fn note_repeated(db: &Connection, digest: i64) -> rusqlite::Result<()> {
    let sql = "SELECT created FROM outbox WHERE id = ?1 AND day IS NOT NULL";
    let created = db.prepare_cached(sql)?.query_row([digest], |row| row.get(0)).optional()?;
    created.map_or(Ok(()), |created| note_told(db, digest, created))
}

/// Notes that a digest told what mails left that were settled by a time; for any other mail, nothing.
fn note_told(db: &Connection, digest: i64, time: Timestamp) -> rusqlite::Result<()> {
    let (is_settled, is_repeated) = (is_settled_by("?2"), is_repeated_before("?1"));
    let sql = format!(
        "UPDATE outbox AS mail SET after_alert = NULL
         WHERE after_alert IS NOT NULL AND incident IS NOT NULL AND {is_settled}
           AND NOT {is_repeated}
           AND EXISTS (SELECT 1 FROM outbox WHERE id = ?1 AND day IS NOT NULL)"
    );
    db.prepare_cached(&sql)?.execute(params![digest, time]).map(drop)
}

#[cfg(test)]
mod tests {
    use smol_str::SmolStr;

    use super::*;
    use crate::engine::alert::Level;
    use crate::engine::commit::{Commit, Notice};
    use crate::engine::time::{DAY, HOUR};
    use crate::engine::word::Verdict;
    use crate::store::outbox::About;
    use crate::store::sample::{NOON, alert};
    use crate::store::{Ack, Outgoing, Store};

    /// An incident with something urgent, `loud`, and something that is not, `quiet`; and whether its mail was tried.
    fn waiting(is_tried: bool) -> (Store, Outgoing) {
        let mut store = Store::in_memory().unwrap();
        for (name, level) in [("quiet", Level::Medium), ("loud", Level::High)] {
            let mut one = alert(name, "i", 1, NOON);
            (one.rule.name, one.rule.level) = (name.into(), level);
            store.commit(&Commit { alerts: vec![one], ..Commit::default() }, NOON).unwrap();
        }
        let notices = vec![Notice { incident: "i".into(), revision: 1, delay: 0 }];
        store.commit(&Commit { notices, ..Commit::default() }, NOON).unwrap();
        let mail = store.due(NOON, 1).unwrap().remove(0);
        if is_tried {
            store.fix(&[&mail], store.last_alert().unwrap()).unwrap();
            store.failed(&[mail.id], "451", NOON).unwrap();
        }
        (store, mail)
    }

    /// Queues the digest of a day; none if there is nothing to tell.
    fn queued(store: &mut Store, day: i64) -> Option<Outgoing> {
        let now = NOON.plus(day * DAY);
        store.queue_digest(&format!("day-{day}"), Level::High, now).unwrap().then(|| {
            let mut mails = store.due(now, 10).unwrap().into_iter();
            mails.rfind(|mail| matches!(mail.about, About::Digest { .. })).unwrap()
        })
    }

    fn told(store: &Store, mail: &Outgoing) -> Vec<SmolStr> {
        let summary = store.digest_summary(mail, Level::High, 10).unwrap();
        summary.alerts.into_iter().map(|alert| alert.id).collect()
    }

    /// Sends the digest of a day; returns the alerts that it tells.
    fn digest(store: &mut Store, day: i64) -> Vec<SmolStr> {
        let Some(mail) = queued(store, day) else { return Vec::new() };
        let told = told(store, &mail);
        store.sent(mail.id, &Answers::default(), mail.due).unwrap();
        told
    }

    /// Sends a mail as one of many that lists its incident, or only counts it.
    fn bundle(store: &mut Store, mail: &Outgoing, is_listed: bool) {
        store.fix(&[mail], store.last_alert().unwrap()).unwrap();
        let listed = is_listed.then(|| "i".into()).into_iter().collect();
        store.note_listed(&[mail], &listed).unwrap();
        store.sent_bundled(&[mail.id], 0, &Answers::default(), NOON.plus(HOUR)).unwrap();
    }

    /// Adds an alert of another incident that waits for a digest.
    fn add(store: &mut Store, name: &str) {
        let alerts = vec![alert(name, name, 1, NOON)];
        store.commit(&Commit { alerts, ..Commit::default() }, NOON).unwrap();
    }

    #[test]
    fn what_a_digest_left_to_a_mail_that_then_only_counted_it_was_told_by_none() {
        for (is_listed, expected) in [(false, vec!["quiet"]), (true, vec![])] {
            for is_empty in [true, false] {
                let (mut store, mail) = waiting(true);
                if !is_empty {
                    add(&mut store, "other");
                }
                let first = digest(&mut store, 1);
                assert_eq!(first, if is_empty { vec![] } else { vec!["other"] });
                assert_eq!(digest(&mut store, 2), [""; 0], "it still waits");
                bundle(&mut store, &mail, is_listed);
                assert_eq!(digest(&mut store, 3), expected, "{is_listed}");
                assert_eq!(digest(&mut store, 4), [""; 0], "once");
            }
        }
    }

    #[test]
    fn what_was_left_to_a_mail_that_was_given_up_is_told_by_the_next_digest() {
        for is_tried in [true, false] {
            let (mut store, mail) = waiting(is_tried);
            let first = digest(&mut store, 1);
            assert_eq!(first.len(), usize::from(!is_tried), "an untried mail may be dropped");
            store.dead(&[&mail], "550", NOON.plus(DAY + HOUR)).unwrap();
            assert_eq!(store.stats().unwrap().outbox.lost, 1);
            let second = digest(&mut store, 2);
            assert_eq!(second, if is_tried { vec!["loud", "quiet"] } else { vec!["loud"] });
            assert_eq!(store.stats().unwrap().outbox.lost, 0, "its alerts are told");
            assert_eq!(digest(&mut store, 3), [""; 0], "once");
        }
    }

    #[test]
    fn what_a_digest_told_before_the_mail_was_tried_is_not_told_again() {
        let (mut store, mail) = waiting(false);
        assert_eq!(digest(&mut store, 1), ["quiet"]);
        bundle(&mut store, &mail, false);
        assert_eq!(digest(&mut store, 2), [""; 0]);
    }

    #[test]
    fn a_digest_that_is_sent_after_the_mail_tells_what_that_only_counted_and_the_next_does_not() {
        let (mut store, mail) = waiting(true);
        add(&mut store, "other");
        let first = queued(&mut store, 1).unwrap();
        assert_eq!(told(&store, &first), ["other"]);
        bundle(&mut store, &mail, false);
        assert_eq!(told(&store, &first), ["quiet", "other"]);
        store.sent(first.id, &Answers::default(), NOON.plus(DAY)).unwrap();
        assert_eq!(digest(&mut store, 2), [""; 0]);
    }

    /// What somebody answers who has no room.
    fn postponed() -> Answers {
        let postponed = [("ben@example.org".to_owned(), "later".to_owned())].into();
        Answers { postponed, next: NOON, give_up_at: NOON.plus(9 * DAY), ..Answers::default() }
    }

    #[test]
    fn what_was_left_is_told_again_after_a_digest_that_was_given_up() {
        let (mut store, mail) = waiting(true);
        add(&mut store, "other");
        digest(&mut store, 1);
        bundle(&mut store, &mail, false);
        let refused = queued(&mut store, 2).unwrap();
        assert_eq!(told(&store, &refused), ["quiet"]);
        store.dead(&[&refused], "550", NOON.plus(2 * DAY)).unwrap();
        assert_eq!(digest(&mut store, 3), ["quiet"]);
        assert_eq!(digest(&mut store, 4), [""; 0]);
    }

    #[test]
    fn what_was_left_was_told_to_all_every_day_while_one_of_them_postponed_a_digest() {
        let (mut store, mail) = waiting(true);
        add(&mut store, "other");
        digest(&mut store, 1);
        bundle(&mut store, &mail, false);
        let mut missed = Vec::new();
        for (day, expected) in [(2, vec!["quiet"]), (3, vec!["third"]), (4, vec!["fourth"])] {
            if day > 2 {
                add(&mut store, expected[0]);
            }
            let partly = queued(&mut store, day).unwrap();
            assert_eq!(told(&store, &partly), expected);
            store.sent(partly.id, &postponed(), partly.due).unwrap();
            missed.push((partly, expected));
        }
        add(&mut store, "fifth");
        assert_eq!(digest(&mut store, 5), ["fifth"], "all accept this one");
        for (partly, expected) in missed {
            assert_eq!(told(&store, &partly), expected, "whoever is asked again gets the same");
            store.asked_again(&partly, &Answers::default(), Some(NOON.plus(6 * DAY))).unwrap();
        }
        assert_eq!(digest(&mut store, 6), [""; 0]);
    }

    #[test]
    fn what_was_left_after_a_digest_that_somebody_postponed_is_told_by_the_next() {
        for is_repeated_first in [true, false] {
            let (mut store, mail) = waiting(true);
            add(&mut store, "other");
            let partly = queued(&mut store, 1).unwrap();
            store.sent(partly.id, &postponed(), partly.due).unwrap();
            store.fix(&[&mail], store.last_alert().unwrap()).unwrap();
            store.note_listed(&[&mail], &[].into()).unwrap();
            let later = NOON.plus(DAY + HOUR);
            store.sent_bundled(&[mail.id], 0, &Answers::default(), later).unwrap();
            if is_repeated_first {
                store.asked_again(&partly, &Answers::default(), Some(later.plus(HOUR))).unwrap();
            }
            assert_eq!(digest(&mut store, 2), ["quiet"], "{is_repeated_first}");
            assert_eq!(digest(&mut store, 3), [""; 0], "once");
        }
    }

    #[test]
    fn an_alert_that_two_mails_of_one_incident_only_counted_was_told_by_none() {
        // Whether the first goes out before or after the second digest, which leaves something to both then.
        for is_before in [true, false] {
            let (mut store, first) = waiting(true);
            add(&mut store, "other");
            assert_eq!(digest(&mut store, 1), ["other"]);
            if is_before {
                bundle(&mut store, &first, false);
            }
            let mut third = alert("third", "i", 1, NOON);
            third.rule.level = Level::Medium;
            let notices = vec![Notice { incident: "i".into(), revision: 2, delay: 0 }];
            let commit = Commit { alerts: vec![third], notices, ..Commit::default() };
            store.commit(&commit, NOON).unwrap();
            let is_second = |mail: &Outgoing| mail.message_id == "i.2";
            let second = store.due(NOON.plus(DAY), 9).unwrap().into_iter().find(is_second).unwrap();
            store.fix(&[&second], store.last_alert().unwrap()).unwrap();
            store.failed(&[second.id], "451", NOON).unwrap();
            for (day, name) in [(2, "more"), (3, "again")] {
                add(&mut store, name);
                assert_eq!(digest(&mut store, day), [name], "{is_before}");
                if !is_before && day == 2 {
                    bundle(&mut store, &first, false);
                }
            }
            bundle(&mut store, &second, false);
            assert_eq!(digest(&mut store, 4), ["quiet", "third"], "{is_before}");
            assert_eq!(digest(&mut store, 5), [""; 0], "once");
        }
    }

    #[test]
    fn what_was_left_and_acknowledged_since_is_looked_for_once() {
        let (mut store, mail) = waiting(true);
        digest(&mut store, 1);
        bundle(&mut store, &mail, false);
        let (verdict, note) = (Verdict::Expected, String::new());
        store.ack(&Ack { subject: "quiet".into(), verdict, note, at: NOON }, None).unwrap();
        let empty = queued(&mut store, 2).unwrap();
        assert_eq!(told(&store, &empty), [""; 0]);
        store.settled(&[&empty], NOON.plus(2 * DAY)).unwrap();
        assert_eq!(queued(&mut store, 3), None);
    }

    #[test]
    fn what_was_left_is_found_by_an_index() {
        let store = Store::in_memory().unwrap();
        let plan = store.plan(&format!(
            "SELECT 1 FROM alert AS a WHERE a.number > 7 OR a.number IN ({})",
            numbers()
        ));
        assert!(plan.contains("alert_incident"), "{plan}");
        assert!(!plan.contains("SCAN a") && !plan.contains("SCAN one"), "{plan}");
    }
}
