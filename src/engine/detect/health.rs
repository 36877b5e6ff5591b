//! `monitor-health`: what prevents the monitor itself from seeing. It judges logs, not usages.

use std::net::IpAddr;

use smol_str::{SmolStr, ToSmolStr};

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::section;
use crate::engine::pulse::{Gap, Loss, Spell, WINDOW_MINUTES};

use crate::engine::stats::{units, whole};
use crate::engine::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};
use crate::engine::zone::offset_near;

use super::{Detector, Judgement::Log, because, fact, state, usual};

const NAME: &str = "monitor-health";

/// Why bytes of a log are not read, where no more is known than that.
pub const UNREAD: &str = "either the file cannot be read or the database cannot be used (see the journal), or lines \
    arrive faster than they are processed";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the monitor does not see everything: more than 1 % of a log's lines within ten minutes fit no format, bytes of it were lost before they could be read, it fell silent, nearly all of its principals come from one address, its clock is ahead, or it is read too late; GeoIP data is old, mails are waiting, or the database was lost",
    facts: &[
        fact("health.rejected_share", "rejected lines within ten minutes, in percent"),
        fact("health.rejected", "rejected lines within ten minutes"),
        fact("health.lines", "lines within ten minutes"),
        fact("health.column", "the byte where the first rejected line did not fit, from 1"),
        fact("health.expected", "what was expected there"),
        fact("health.gap_bytes", "bytes lost before they could be read"),
        fact(
            "health.gap_cause",
            "how they were lost: `truncated`, `removed` with their file, or `damaged` in a compressed one",
        ).one_of(&["truncated", "removed", "damaged"]),
        fact(
            "health.silent_hours",
            "hours without a line in which other logs had some, at the time of the alert",
        ),
        fact(
            "health.silent_heard",
            "percentage of the hours of the week before in which it had lines",
        ),
        fact("health.silent_pause", "its longest pause in that week, in such hours"),
        fact("health.proxy_address", "the address that nearly all principals of a log come from"),
        fact("health.proxy_share", "their share of the examined principals, in percent"),
        fact("health.proxy_principals", "examined principals"),
        fact("health.proxy_uses", "accepted uses in the examined hours"),
        fact(
            "health.skew_seconds",
            "by how many seconds lines are ahead of the clock; below 0, behind",
        ),
        fact("health.geoip_days", "how many days ago a GeoIP file was built"),
        fact("health.mail_minutes", "for how many minutes the oldest mail has waited"),
        fact("health.lag_seconds", "for how many seconds bytes of a log have not been read"),
        fact(
            "health.database",
            "`lost`: the database was damaged, empty or gone, and was replaced",
        ).one_of(&["lost"]),
    ],
    judge: Log,
};

section! {
    /// When a log cannot be read.
    Health = "health" {
        /// Percentage of rejected lines above which a log's format is wrong.
        rejected_percent = 1.0, "%", "own choice: scanners that send no HTTP make fewer";
        /// Rejected lines in ten minutes below which they are isolated.
        least_rejected = 5.0, "lines", "own choice: fewer are somebody's odd request";
        /// Lines in ten minutes below which one percent says nothing.
        least_lines = 100.0, "lines", "own choice: one percent of fewer is no whole line";
        /// Percentage of rejected lines that is too much for a log with fewer lines: most of it cannot be read.
        quiet_percent = 50.0, "%", "own choice: a wrong format fits hardly any line";
        /// Percentage of a week's hours with lines from which a log is expected to have some.
        silent_percent = 90.0, "%", "own choice: nearly every hour; who has nights or weekends has fewer";
        /// Minimum hours without a line.
        silent_hours = 1.0, "h", "own choice: what is told sooner is a restart";
        /// Multiple of its longest pause of that week.
        silent_factor = 5.0, "times", "as `silence.factor`, for tokens";
        /// Years in which chance alone may make a log silent once.
        silent_years = 3.0, "years", "own choice: many logs of many hosts, and a person for each alert";
        /// Percentage of a log's principals from one address above which it is a proxy's.
        proxy_percent = 90.0, "%", "own choice: an office has people outside, a proxy has none";
        /// Principals below which that says nothing.
        proxy_principals = 10.0, "principals", "own choice: nine services may well run on one host";
        /// Accepted uses within six hours below which that says nothing.
        proxy_uses = 1000.0, "uses", "own choice: a quiet log is no site's front";
        /// Seconds by which lines may be ahead of the clock.
        skew_seconds = 120.0, "s", "own choice: hosts without NTP drift by less in a month";
        /// Maximum age of a GeoIP file in days.
        geoip_days = 30.0, "d", "MaxMind and DB-IP renew theirs weekly or monthly";
        /// Hours that a mail may wait.
        mail_hours = 1.0, "h", "own choice: greylisting ends after minutes";
        /// Seconds for which bytes of a log may remain unread.
        lag_seconds = 60.0, "s", "own choice: a file that cannot be read is tried again every second";
    }
}

impl Health {
    /// Returns whether this many rejected lines among this many lines are too many.
    #[must_use]
    pub fn is_bad(&self, lines: u64, rejected: u64) -> bool {
        let (lines, rejected) = (number(lines), number(rejected));
        let percent =
            if self.least_lines <= lines { self.rejected_percent } else { self.quiet_percent };
        self.least_rejected <= rejected && percent * lines < 100.0 * rejected
    }
}

/// A log that has fallen silent. All hours counted are those in which any log had lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard {
    /// Hours without a line so far.
    pub hours: u32,
    /// The number after which it was news.
    pub wait: u32,
    /// In the week before: hours with lines, their total number, and the longest pause.
    pub heard: u32,
    /// See `heard`.
    pub of: u32,
    /// See `heard`.
    pub longest: u32,
    /// The end of the last hour with a line.
    pub last: Timestamp,
    /// When it was news.
    pub time: Timestamp,
}

/// Many principals behind one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// The address.
    pub address: IpAddr,
    /// The number of principals that come from there.
    pub behind: u64,
    /// The number of principals in all.
    pub principals: u64,
    /// Accepted uses by all of them in the log.
    pub usages: u64,
    /// The hours within which these were counted.
    pub hours: i64,
}

/// What the monitor depends on to see or to be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Eye {
    /// The clock, compared with a log's lines.
    Clock,
    /// A GeoIP file.
    Atlas,
    /// The mails.
    Mail,
    /// The reading of a log.
    Lag,
    /// The database, when it was lost.
    Database,
}

/// The state of one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strain {
    /// The principal of its alerts.
    pub principal: SmolStr,
    /// Which.
    pub eye: Eye,
    /// The log or the file; for a lost database, what became of it.
    pub about: String,
    /// Why, as far as it is known: the error of a log that cannot be opened.
    pub cause: String,
    /// By how much lines are ahead (less than 0: behind), how old the file is, how long the oldest mail or bytes of the
    /// log have waited.
    pub micros: i64,
}

impl Health {
    /// Returns whether something is over its limit.
    #[must_use]
    pub fn is_strained(&self, strain: &Strain) -> bool {
        let off = match strain.eye {
            Eye::Clock => strain.micros.saturating_abs(),
            Eye::Atlas | Eye::Mail | Eye::Lag | Eye::Database => strain.micros,
        };
        off > self.limit(strain.eye)
    }

    /// Returns the limit in microseconds.
    #[must_use]
    pub fn limit(&self, eye: Eye) -> i64 {
        let (limit, unit) = match eye {
            Eye::Clock => (self.skew_seconds, SECOND),
            Eye::Atlas => (self.geoip_days, DAY),
            Eye::Mail => (self.mail_hours, HOUR),
            Eye::Lag => (self.lag_seconds, SECOND),
            Eye::Database => (0.0, SECOND),
        };
        units(limit, unit)
    }

    /// Returns whether an address is a proxy's.
    #[must_use]
    pub fn is_proxied(&self, crowd: &Crowd) -> bool {
        self.proxy_principals <= number(crowd.principals)
            && self.proxy_uses <= number(crowd.usages)
            && self.proxy_percent < rejected_percent(crowd.principals, crowd.behind)
    }

    /// Returns the hours without a line after which a log that had lines in `heard` of `of` hours is missing;
    /// `None` if no lines are expected.
    ///
    /// Laplace's rule of succession gives the chance of an empty hour, `p = (of - heard + 1) / (of + 2)`; N of
    /// them in a row come by chance once in `p^-N` hours. Empty hours are not independent, though: they come in
    /// nights. So its longest pause counts too.
    #[must_use]
    pub fn patience(&self, heard: u32, of: u32, longest: u32) -> Option<u32> {
        const HOURS_OF_YEAR: f64 = 8760.0;
        let (heard, of) = (f64::from(heard), f64::from(of));
        if of < 24.0 || 100.0 * heard < self.silent_percent * of {
            return None;
        }
        let empty = (of - heard + 1.0) / (of + 2.0);
        let chance = libm::log((self.silent_years * HOURS_OF_YEAR).max(1.0)) / -libm::log(empty);
        let hours = libm::ceil(chance).max(self.silent_factor * f64::from(longest));
        Some(whole(libm::ceil(hours.max(self.silent_hours).max(1.0))))
    }
}

/// Returns the share of rejected lines in percent; 0 if there are no lines.
#[must_use]
pub fn rejected_percent(lines: u64, rejected: u64) -> f64 {
    100.0 * number(rejected) / number(lines).max(1.0)
}

fn number(count: u64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

/// States the facts of a log that cannot be read. `file` is where it is followed.
///
/// They contain no byte of a line: a rejected line may hold anything.
#[must_use]
pub fn misread(spell: &Spell, file: &str, params: &Health) -> Facts {
    let mut facts = Facts::default();
    let Spell { lines, rejected, first, .. } = spell;
    let misfit = &first.misfit;
    let share = rejected_percent(*lines, *rejected);
    let int = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    state(&mut facts, "health.rejected_share", Value::Float(share));
    state(&mut facts, "health.rejected", int(*rejected));
    state(&mut facts, "health.lines", int(*lines));
    state(&mut facts, "health.column", int(misfit.column));
    state(&mut facts, "health.expected", Value::Text(misfit.expected.clone()));
    usual(&mut facts, "health.rejected_share", Value::Float(params.rejected_percent));
    let (offset, column, expected) = (misfit.offset, misfit.column, &misfit.expected);
    let text = format!(
        "{rejected} of {lines} lines of {file} within {WINDOW_MINUTES} min ({share:.1} %) fit no \
         format, the first at offset {offset}, where column {column} should be {expected}"
    );
    because(&mut facts, NAME, 0.0, text);
    facts
}

/// Why the rest of a compressed file cannot be unpacked: the decoder does not distinguish the causes.
const SPOILED: &str =
    "the compressed file is damaged, cut short, or needs more memory to unpack than is allowed";

/// States the facts of bytes that were gone before they could be read. `file` is where they were.
pub fn gone(gap: &Gap, file: &str) -> Facts {
    let mut facts = Facts::default();
    let Gap { offset, bytes, loss } = gap;
    let (cause, what) = match loss {
        Loss::Truncated => ("truncated", "the file was truncated before they could be"),
        Loss::Removed => ("removed", "the file was removed before they could be"),
        Loss::Damaged => ("damaged", SPOILED),
    };
    let least = if *loss == Loss::Damaged { "at least " } else { "" };
    state(&mut facts, "health.gap_bytes", Value::Int(i64::try_from(*bytes).unwrap_or(i64::MAX)));
    state(&mut facts, "health.gap_cause", Value::Text(SmolStr::new_static(cause)));
    let text = format!(
        "{least}{bytes} bytes of {file} were never read: {what}; it was read up to offset {offset}"
    );
    because(&mut facts, NAME, 0.0, text);
    facts
}

/// States the facts of a log that has fallen silent. `file` is where it is followed.
pub fn missing(found: &Unheard, file: &str) -> Facts {
    let mut facts = Facts::default();
    let Unheard { wait, heard, of, longest, last, .. } = found;
    let share = rejected_percent(u64::from(*of), u64::from(*heard));
    state(&mut facts, "health.silent_hours", Value::Int(i64::from(*wait)));
    state(&mut facts, "health.silent_heard", Value::Float(share));
    state(&mut facts, "health.silent_pause", Value::Int(i64::from(*longest)));
    usual(&mut facts, "health.silent_hours", Value::Int(i64::from(*longest)));
    let text = format!(
        "no line of {file} since {last}, for {wait} h in which other logs had some; in the week before it had \
         lines in {heard} of {of} such hours"
    );
    because(&mut facts, NAME, 0.0, text);
    facts
}

/// States the facts of principals behind one address. `file` is where the log is followed.
pub fn crowded(crowd: &Crowd, file: &str) -> Facts {
    let mut facts = Facts::default();
    let Crowd { address, behind, principals, usages, hours } = crowd;
    let share = rejected_percent(*principals, *behind);
    let int = |count: u64| Value::Int(i64::try_from(count).unwrap_or(i64::MAX));
    state(&mut facts, "health.proxy_address", Value::Text(address.to_smolstr()));
    state(&mut facts, "health.proxy_share", Value::Float(share));
    state(&mut facts, "health.proxy_principals", int(*principals));
    state(&mut facts, "health.proxy_uses", int(*usages));
    let text = format!(
        "{behind} of {principals} principals of {file} come from {address} ({usages} uses within {hours} h): if that is \
         a proxy of yours, set trusted_proxies = [\"{address}\"] for this source and log X-Forwarded-For, since \
         all addresses are the proxy's"
    );
    because(&mut facts, NAME, 0.0, text);
    facts
}

/// States by how much a log's clock is off, and what to do: `dated 3600 s in the future: ...`.
#[must_use]
pub fn skewed(micros: i64) -> String {
    let (tense, side) = if micros < 0 { ("past", "behind") } else { ("future", "ahead") };
    let why = offset_near(micros, MINUTE).map_or_else(
        || "its clock or this host's is wrong".to_owned(),
        |offset| {
            let offset = in_hours(offset.abs());
            format!(
                "times without a zone are read as UTC; if the server is on a clock {offset} {side}, set time_zone in the \
                 log's [[source]], else its clock or this host's is wrong"
            )
        },
    );
    format!("dated {} s in the {tense}: {why}", micros.saturating_abs() / SECOND)
}

/// Formats an offset: `2 h`, `5 h 30 min`.
fn in_hours(offset: i64) -> String {
    match (offset / HOUR, offset % HOUR / MINUTE) {
        (0, minutes) => format!("{minutes} min"),
        (hours, 0) => format!("{hours} h"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

/// States the facts of what is too far off.
pub fn strained(strain: &Strain) -> Facts {
    let mut facts = Facts::default();
    let Strain { eye, about, cause, micros, .. } = strain;
    let (name, value, text) = match eye {
        Eye::Clock => {
            let seconds = micros / SECOND;
            let text = format!("lines of {about} are {}", skewed(*micros));
            ("health.skew_seconds", Value::Int(seconds), text)
        }
        Eye::Atlas => {
            let days = micros / DAY;
            let text = format!(
                "the GeoIP data of {about} was built {days} days ago: places and networks have moved since"
            );
            ("health.geoip_days", Value::Int(days), text)
        }
        Eye::Mail => {
            let minutes = micros / MINUTE;
            let text = format!(
                "the oldest mail has waited for {minutes} min: `status` shows the last error"
            );
            ("health.mail_minutes", Value::Int(minutes), text)
        }
        Eye::Database => {
            ("health.database", Value::Text(SmolStr::new_static("lost")), about.clone())
        }
        Eye::Lag => {
            let seconds = micros / SECOND;
            let why = if cause.is_empty() {
                UNREAD.to_owned()
            } else {
                format!("it cannot be opened: {cause}; let the daemon's user read it")
            };
            let text = format!("bytes of {about} have not been read for {seconds} s: {why}");
            ("health.lag_seconds", Value::Int(seconds), text)
        }
    };
    state(&mut facts, name, value);
    because(&mut facts, NAME, 0.0, text);
    facts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::line::StreamId;
    use crate::engine::pulse::{Misfit, Sight};
    use crate::engine::time::Timestamp;

    #[test]
    fn more_than_one_percent_is_too_much_of_enough_lines() {
        let health = Health::default();
        let cases = [
            (2000, 21, true),
            (2000, 20, false),
            (1999, 20, true),
            (2100, 21, false),
            (100, 5, true),
            (100, 4, false),
            (99, 99, true),
            (99, 49, false),
            (5, 5, true),
            (4, 4, false),
            (u64::MAX, u64::MAX, true),
            (0, 0, false),
        ];
        for (lines, rejected, expected) in cases {
            assert_eq!(health.is_bad(lines, rejected), expected, "{rejected} of {lines}");
        }
        assert!(!Health { rejected_percent: 100.0, ..health }.is_bad(1000, 1000));
    }

    #[test]
    fn the_cause_of_a_wrong_clock_or_an_unread_log_was_not_told() {
        let reason = |eye: Eye, cause: &str, micros: i64| {
            let (about, cause) = ("a.log".to_owned(), cause.to_owned());
            let strain = Strain { principal: "log:a.log".into(), eye, about, cause, micros };
            strained(&strain).reasons[0].text.to_string()
        };
        for (seconds, clock) in [
            (3599, "1 h ahead"),
            (3660, "1 h ahead"),
            (19_798, "5 h 30 min ahead"),
            (50_400, "14 h ahead"),
            (900, "15 min ahead"),
            (-18_000, "5 h behind"),
            (-12_600, "3 h 30 min behind"),
        ] {
            let text = reason(Eye::Clock, "", seconds * SECOND);
            assert!(text.contains("time_zone") && text.contains(clock), "{text}");
        }
        for seconds in [150, 700, 3661, 3500, 54_000, i64::MAX / SECOND] {
            let text = reason(Eye::Clock, "", seconds * SECOND);
            assert!(text.ends_with("in the future: its clock or this host's is wrong"), "{text}");
        }
        let text = reason(Eye::Lag, "Permission denied (os error 13)", 60 * SECOND);
        assert!(
            text.contains("a.log have not been read for 60 s: it cannot be opened: Permission")
        );
        assert!(reason(Eye::Lag, "", 60 * SECOND).contains("see the journal"));
    }

    #[test]
    fn the_sentence_names_file_share_place_and_expectation() {
        let misfit = Misfit { offset: 4711, column: 15, expected: "'[' before the time".into() };
        let first = Sight { stream: StreamId(1), misfit };
        let spell = Spell { time: Timestamp(0), lines: 400, rejected: 20, first };
        let facts = misread(&spell, "/var/log/nginx/access.log", &Health::default());
        assert_eq!(
            facts.reasons[0].text,
            "20 of 400 lines of /var/log/nginx/access.log within 10 min (5.0 %) fit no format, the \
             first at offset 4711, where column 15 should be '[' before the time"
        );
        assert_eq!(facts.get("health.rejected_share"), Some(&Value::Float(5.0)));
    }
}
