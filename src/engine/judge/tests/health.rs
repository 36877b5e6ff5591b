//! Logs whose lines cannot be read, or are gone.

use std::net::IpAddr;
use std::path::Path;

use super::judge;
use crate::engine::alert::{Level, Value};
use crate::engine::commit::Commit;
use crate::engine::detect::{Eye, Strain};
use crate::engine::health::{Log, Roll};
use crate::engine::judge::Followed;
use crate::engine::line::{Loss, StreamId};
use crate::engine::memory::Memory;
use crate::engine::profile::tests::{START, usage};
use crate::engine::pulse::{Gap, Pulse};
use crate::engine::record::Reject;
use crate::engine::secret::TokenId;
use crate::engine::time::{DAY, HOUR, SECOND, Timestamp};
use crate::engine::usage::{Origin, Usage};

/// A pulse of lines a second apart, of which each Nth is rejected.
fn pulse(from: Timestamp, n_lines: i64, one_in: i64) -> Pulse {
    let mut pulse = Pulse::default();
    let why = Reject::new(5, "a time", "'x'");
    for n in 1..=n_lines {
        match n % one_in {
            0 => pulse.reject(n.unsigned_abs() * 100, &why),
            _ => pulse.read(Some(from.plus(n * SECOND))),
        }
    }
    pulse
}

fn check(log: &mut Log, pulse: &Pulse) -> Commit {
    let (judge, mut memory) = (judge(), Memory::new(9));
    let path = Path::new("/var/log/a.log");
    let of = Followed { path, file: path, stream: StreamId(3), now: START };
    judge.check(&mut memory, log, of, pulse);
    memory.take()
}

#[test]
fn a_log_that_cannot_be_read_is_told_once_a_day() {
    let mut log = Log::default();
    let told = check(&mut log, &pulse(START, 1000, 20));
    assert_eq!((told.alerts.len(), told.notices.len(), told.incidents.len()), (1, 1, 1));
    let alert = &told.alerts[0];
    assert_eq!((alert.rule.name.as_str(), alert.rule.level), ("monitor-health", Level::High));
    assert_eq!((alert.principal.as_str(), &alert.token), ("log:/var/log/a.log", &None));
    assert_eq!(alert.evidence, [Origin { stream: StreamId(3), offset: 2000 }]);
    assert!(alert.reason.starts_with("5 of 100 lines of /var/log/a.log "), "{}", alert.reason);
    assert!(told.subjects.is_empty() && told.ledger.tokens.is_empty(), "a log is no principal");
    for (hours, n_alerts) in [(1, 0), (22, 0), (24, 1), (46, 0)] {
        // Restarted in between: what is remembered is what was packed.
        log = Log::decode(&log.encode()).unwrap();
        let later = check(&mut log, &pulse(START.plus(hours * HOUR), 1000, 20));
        assert_eq!(later.alerts.len(), n_alerts, "{hours}");
    }
    assert!(check(&mut Log::default(), &pulse(START, 5000, 200)).alerts.is_empty());
}

#[test]
fn a_restart_in_the_window_changes_nothing() {
    let whole = check(&mut Log::default(), &pulse(START, 500, 20)).alerts;
    let mut log = Log::default();
    let mut alerts = Vec::new();
    for stretch in pulse(START, 500, 20).stretches() {
        let mut part = Pulse::default();
        let (judge, mut memory) = (judge(), Memory::new(9));
        (0..stretch.read).for_each(|_| part.read(stretch.time));
        let why = Reject::new(5, "a time", "'x'");
        stretch.first.iter().for_each(|first| part.reject(first.offset, &why));
        let path = Path::new("/var/log/a.log");
        let of = Followed { path, file: path, stream: StreamId(3), now: START.plus(DAY) };
        judge.check(&mut memory, &mut log, of, &part);
        alerts.extend(memory.take().alerts);
        log = Log::decode(&log.encode()).unwrap();
    }
    assert_eq!(alerts, whole);
}

#[test]
fn each_gap_is_told_with_its_file_its_bytes_and_its_cause() {
    let mut log = Log::default();
    let mut told = Vec::new();
    for (offset, loss) in [(0, Loss::Truncated), (0, Loss::Truncated), (700, Loss::Removed)] {
        let mut pulse = Pulse::default();
        pulse.lose(Gap { offset, bytes: 4711, loss });
        let commit = check(&mut log, &pulse);
        told.extend(commit.alerts);
        log = Log::decode(&log.encode()).unwrap();
    }
    assert_eq!(told.len(), 2, "the same gap again is no news: {told:?}");
    assert_eq!(told[0].incident, told[1].incident);
    assert_ne!(told[0].id, told[1].id);
    let alert = &told[1];
    assert_eq!((alert.rule.name.as_str(), alert.rule.level), ("monitor-health", Level::High));
    assert_eq!(alert.facts.get("health.gap_bytes"), Some(&Value::Int(4711)));
    assert_eq!(alert.facts.get("health.gap_cause"), Some(&Value::Text("removed".into())));
    assert_eq!(alert.evidence, [Origin { stream: StreamId(3), offset: 700 }]);
    assert_eq!(
        alert.reason,
        "4711 bytes of /var/log/a.log were never read: the file was removed before they could be; \
         it was read up to offset 700"
    );
}

#[test]
fn a_damaged_file_has_lost_at_least_what_is_known() {
    let mut pulse = Pulse::default();
    pulse.lose(Gap { offset: 700, bytes: 1, loss: Loss::Damaged });
    let told = check(&mut Log::default(), &pulse).alerts;
    assert_eq!(told[0].facts.get("health.gap_cause"), Some(&Value::Text("damaged".into())));
    assert_eq!(
        told[0].reason,
        "at least 1 bytes of /var/log/a.log were never read: the compressed file is damaged, cut \
         short, or needs more memory to unpack than is allowed; it was read up to offset 700"
    );
}

/// Uses of a number of tokens in turn, a second apart; each Nth is from elsewhere.
fn crowd(n_tokens: u8, n_uses: i64, elsewhere: u8) -> Vec<Usage> {
    let one = |n: i64| {
        let token = u8::try_from(n % i64::from(n_tokens)).unwrap();
        let last = if token % elsewhere == elsewhere - 1 { 200 } else { 1 };
        Usage {
            token: TokenId([100 + token; 16]),
            identity: None,
            client: Some(IpAddr::from([192, 0, 2, last])),
            status: Some(200),
            ..usage(n * SECOND)
        }
    };
    (0..n_uses).map(one).collect()
}

/// Returns the reasons reported for a log cut into batches of `size` usages, with a restart after each.
fn counted(usages: &[Usage], size: usize) -> Vec<String> {
    let (judge, mut memory, mut log) = (judge(), Memory::new(9), Log::default());
    let path = Path::new("/var/log/a.log");
    let of = Followed { path, file: path, stream: StreamId(3), now: START };
    for batch in usages.chunks(size) {
        judge.count(&mut memory, &mut log, of, batch);
        log = Log::decode(&log.encode()).unwrap();
    }
    memory.take().alerts.into_iter().map(|alert| alert.reason).collect()
}

#[test]
fn an_address_that_nearly_everybody_comes_from_is_told_once_however_the_log_is_cut() {
    let usages = crowd(20, 90_000, 20);
    let told = counted(&usages, 77);
    assert_eq!(
        told,
        [
            "19 of 20 principals of /var/log/a.log come from 192.0.2.1 (1000 uses within 6 h): if that is a \
          proxy of yours, set trusted_proxies = [\"192.0.2.1\"] for this source and log X-Forwarded-For, \
          since all addresses are the proxy's"
        ]
    );
    assert_eq!(counted(&usages, 90_000), told);
    assert_eq!(counted(&crowd(20, 2000, 10), 100), [""; 0], "18 of 20 are not more than 90 %");
    assert_eq!(counted(&crowd(9, 2000, 20), 100), [""; 0]);
    assert_eq!(counted(&crowd(20, 999, 20), 100), [""; 0]);
}

#[test]
fn what_is_too_far_off_is_told_once_for_as_long_as_it_lasts_and_waiting_mails_by_no_mail() {
    let (judge, mut roll) = (judge(), Roll::default());
    let mut ask = |eye: Eye, micros: i64, day: i64| {
        let mut memory = Memory::new(9);
        let strain = Strain {
            principal: format!("{eye:?}").into(),
            eye,
            about: "a.mmdb".to_owned(),
            cause: String::new(),
            micros,
        };
        judge.strain(&mut memory, &mut roll, &[strain], START.plus(day * DAY));
        roll = Roll::decode(&serde_json::to_vec(&roll).unwrap()).unwrap();
        let told = memory.take();
        let reason = told.alerts.first().map(|alert| alert.reason.to_string());
        (reason.unwrap_or_default(), told.notices.len())
    };
    let nothing = (String::new(), 0);
    for (eye, limit, reason, n_mails) in [
        (Eye::Clock, 120 * SECOND, "lines of a.mmdb are dated 120 s in the future", 1),
        (Eye::Atlas, 30 * DAY, "the GeoIP data of a.mmdb was built 30 days ago", 1),
        (Eye::Mail, HOUR, "the oldest mail has waited for 60 min", 0),
        (Eye::Lag, 60 * SECOND, "bytes of a.mmdb have not been read for 60 s", 1),
    ] {
        assert_eq!(ask(eye, limit, 0), nothing);
        let (told, mailed) = ask(eye, limit + 1, 0);
        assert!(told.starts_with(reason), "{told}");
        assert_eq!(mailed, n_mails, "{eye:?}");
        assert_eq!(ask(eye, 2 * limit, 9), nothing, "it lasts");
        assert_eq!(ask(eye, 0, 9), nothing);
        assert_eq!(ask(eye, 2 * limit, 9).1, n_mails, "it began anew");
    }
    assert_eq!(ask(Eye::Database, 1, 0), ("a.mmdb".to_owned(), 1), "what became of it, by mail");
    assert_eq!(ask(Eye::Database, 1, 40), nothing);
}

#[test]
fn a_log_that_nobody_looks_at_any_more_is_late_no_longer() {
    let (judge, mut roll) = (judge(), Roll::default());
    let late = |log: &str| Strain {
        principal: log.into(),
        eye: Eye::Lag,
        about: log.to_owned(),
        cause: String::new(),
        micros: HOUR,
    };
    let ask = |roll: &mut Roll, logs: &[&str]| {
        let strains: Vec<Strain> = logs.iter().map(|log| late(log)).collect();
        judge.strain(&mut Memory::new(9), roll, &strains, START);
        ["log:a", "log:b"].map(|log| roll.is_late(&log.into()))
    };
    assert_eq!(ask(&mut roll, &["log:a", "log:b"]), [true, true]);
    assert_eq!(ask(&mut roll, &["log:b"]), [false, true]);
}
