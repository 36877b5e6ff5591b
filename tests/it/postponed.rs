//! A recipient who postpones mails that others accept, with a clock set by the test: the real pump, database and
//! server.

use tokenwatch::clock;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use tokenwatch::store::Answers;

use crate::pump::{CAP, Mail, Site, id_of};
use crate::smtp::Message;

const ANA: &str = "ana@example.org";
const BEN: &str = "ben@example.org";
const CARL: &str = "carl@example.org";

/// A site that mails to both, and Ben has no room for mail.
fn site() -> Site {
    let site = Site::to(&[ANA, BEN]);
    site.server.script(|script| script.full = vec![BEN.into()]);
    site
}

fn make_room(site: &Site) {
    site.server.script(|script| script.full.clear());
}

/// The mails that somebody got, in their order, by Message-ID.
fn got(site: &Site, whom: &str) -> Vec<String> {
    let messages = site.server.messages();
    let of = |message: &&Message| message.to.iter().any(|to| to == whom);
    messages.iter().filter(of).map(id_of).collect()
}

/// Counts the single mails and the digests that somebody got in the hour that ends at a time.
fn of_hour(site: &Site, whom: &str, end: Timestamp) -> (usize, usize) {
    of_hours(site, whom, end, 1)
}

fn of_hours(site: &Site, whom: &str, end: Timestamp, n_hours: i64) -> (usize, usize) {
    let within = |time: &Timestamp, mail: &Mail| {
        time.0 <= end.0 && end.since(*time) <= n_hours * HOUR && mail.to.iter().any(|to| to == whom)
    };
    let mails = site.sent.iter().filter(|(time, mail)| within(time, mail));
    let (bundles, single): (Vec<_>, Vec<_>) = mails.partition(|(_, mail)| mail.is_bundle);
    (single.len(), bundles.len())
}

#[test]
fn a_recipient_with_a_full_mailbox_kept_later_mails_from_everybody() {
    let (mut site, mut now) = (site(), clock::now().plus(HOUR));
    for n in 1..=3 {
        site.happen_to("deploy-bot", Level::Critical, now);
        now = site.run(now, now.plus(5 * MINUTE));
        assert_eq!(got(&site, ANA).len(), n, "each mail, once");
    }
    site.restart();
    now = site.run(now, now.plus(5 * MINUTE));
    assert_eq!(got(&site, ANA).len(), 3, "and none again");
    assert_eq!((got(&site, BEN).len(), site.n_in("waiting")), (0, 0));
    make_room(&site);
    site.run(now, now.plus(3 * HOUR));
    let (mut ana, mut ben) = (got(&site, ANA), got(&site, BEN));
    ana.sort();
    ben.sort();
    assert_eq!((ana.len(), ana), (3, ben));
}

#[test]
fn a_mail_about_a_full_disk_came_again_and_again_where_one_recipient_postponed_it() {
    let (site, now) = (site(), clock::now());
    assert_eq!(site.tell_blocked(now), Ok(()), "somebody knows");
    assert_eq!(got(&site, ANA).len(), 1);
}

#[test]
fn a_recipient_whose_mailbox_stayed_full_was_asked_for_ever() {
    let (mut site, start) = (site(), clock::now().plus(HOUR));
    site.happen_to("deploy-bot", Level::High, start);
    let now = site.run(start, start.plus(4 * DAY));
    assert!(site.store.next_due().unwrap().is_some(), "for days");
    assert_eq!(site.store.last_refusal().unwrap(), "", "it was not refused");
    let now = site.run(now, start.plus(6 * DAY));
    assert_eq!(site.store.next_due().unwrap(), None);
    let why = site.store.last_refusal().unwrap();
    assert!(why.contains(BEN) && why.contains("mailbox full; given up"), "{why}");
    assert_eq!(site.store.stats().unwrap().outbox.refused, 1);
    make_room(&site);
    site.run(now, now.plus(DAY));
    assert_eq!((got(&site, ANA).len(), got(&site, BEN).len()), (1, 0));
}

#[test]
fn mails_that_one_recipient_postponed_did_not_count_under_the_cap() {
    let (mut site, mut now) = (site(), clock::now().plus(HOUR));
    let fits = |site: &Site, now| {
        for whom in [ANA, BEN] {
            let (n_single, _) = of_hour(site, whom, now);
            assert!(n_single <= CAP as usize, "{whom}: {n_single}");
        }
    };
    for n in 0..3 * CAP {
        site.happen_to(&format!("principal-{n:04}-"), Level::Critical, now);
        now = site.run(now, now.plus(MINUTE));
        fits(&site, now);
    }
    assert_eq!(of_hour(&site, ANA, now), (CAP as usize, 1), "one digest, once");
    // Two hours of mails wait for Ben when he has room again.
    for n in 0..18 * 60 {
        if n == 120 {
            make_room(&site);
        }
        if n % 20 == 0 {
            site.happen_to(&format!("principal-{n:04}-"), Level::Critical, now);
        }
        now = site.run(now, now.plus(MINUTE));
        fits(&site, now);
    }
    let (mut ana, mut ben) = (got(&site, ANA), got(&site, BEN));
    ana.sort();
    ben.sort();
    assert_eq!(ana, ben, "both have all, once");
}

#[test]
fn all_digests_that_one_recipient_missed_came_at_once() {
    let (mut site, mut now) = (site(), clock::now().plus(HOUR));
    for n in 0..4 * 4 * CAP {
        site.happen_to(&format!("principal-{n:04}-"), Level::High, now);
        now = site.run(now, now.plus(3 * MINUTE));
    }
    now = site.run(now, now.plus(2 * HOUR));
    let n_missed = of_hours(&site, ANA, now, 24).1;
    assert!(4 <= n_missed, "{n_missed}");
    make_room(&site);
    for _ in 0..n_missed + 1 {
        now = site.run(now, now.plus(HOUR));
        assert!(of_hour(&site, BEN, now).1 <= 1, "one an hour");
    }
    assert_eq!(of_hours(&site, BEN, now, 24).1, n_missed, "and all of them");
}

#[test]
fn what_one_recipient_missed_left_no_room_for_new_mails() {
    let (mut site, mut now) = (site(), clock::now().plus(HOUR));
    let mut happen = |site: &mut Site, n_mails, wait| {
        for _ in 0..n_mails {
            site.happen_to(&format!("principal-{}-", now.0), Level::High, now);
            now = site.run(now, now.plus(wait));
        }
        now
    };
    happen(&mut site, 20, HOUR);
    make_room(&site);
    let now = happen(&mut site, 20, 20 * MINUTE);
    assert_eq!(of_hours(&site, ANA, now, DAY / HOUR * 2), (40, 0), "none waited for the digest");
    let now = site.run(now, now.plus(DAY));
    assert_eq!(of_hours(&site, BEN, now, DAY / HOUR * 3), (40, 0));
}

#[test]
fn a_mail_that_one_recipient_postponed_counted_as_one_that_nobody_has() {
    let (mut site, now) = (site(), clock::now().plus(HOUR));
    site.happen_to("deploy-bot", Level::High, now);
    site.run(now, now.plus(2 * HOUR));
    let outbox = site.store.stats().unwrap().outbox;
    assert_eq!((outbox.waiting, outbox.postponed, outbox.oldest), (0, 1, None));
    assert_eq!(site.store.oldest_mail().unwrap(), None);
}

/// Mails that Ana accepted and somebody postponed. They are due.
fn postpone(site: &mut Site, whom: &str, n_mails: usize, now: Timestamp) {
    for _ in 0..n_mails {
        site.happen_to("deploy-bot", Level::High, now);
        let mail = site.store.due(now, 1).unwrap().remove(0);
        let answers = Answers {
            postponed: [(whom.to_owned(), "later".to_owned())].into(),
            next: now,
            give_up_at: now.plus(DAY),
            ..Answers::default()
        };
        site.store.sent(mail.id, &answers, now.plus(-2 * HOUR)).unwrap();
    }
}

#[test]
fn a_full_mailbox_kept_missed_mails_from_somebody_who_has_room() {
    let (mut site, now) = (Site::to(&[ANA, BEN, CARL]), clock::now().plus(HOUR));
    site.server.script(|script| script.full = vec![BEN.into()]);
    postpone(&mut site, BEN, 10, now);
    let now = site.run(now, now.plus(105 * SECOND));
    let left = site.store.postponed(Timestamp(i64::MAX), 100).unwrap();
    assert!(left.iter().all(|one| one.mail.attempts > 1), "none before all others: {left:?}");
    postpone(&mut site, CARL, 1, now);
    site.turn(now);
    assert_eq!(got(&site, CARL).len(), 1);
    assert_eq!(site.store.postponed(Timestamp(i64::MAX), 100).unwrap().len(), 10);
}

#[test]
fn a_missed_mail_whose_alerts_were_pruned_was_dropped_without_a_word() {
    let (mut site, now) = (site(), clock::now().plus(HOUR));
    site.happen_to("deploy-bot", Level::High, now);
    let now = site.run(now, now.plus(HOUR));
    let database = rusqlite::Connection::open(site.store.path()).unwrap();
    database.execute("DELETE FROM alert", []).unwrap();
    make_room(&site);
    site.run(now, now.plus(HOUR));
    let outbox = site.store.stats().unwrap().outbox;
    assert_eq!((outbox.postponed, outbox.refused), (0, 1));
    let why = site.store.last_refusal().unwrap();
    assert_eq!(why, "its alerts are gone or unreadable; given up");
}
