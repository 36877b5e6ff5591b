//! The problems that `status` lists: a line for each problem of a log, and of the parts that logs share.

use std::path::Path;

use anstyle::AnsiColor;
use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use crate::atlas::Layer;
use crate::cli::advice;
use crate::cli::args::Global;
use crate::cli::lives::{Life, by_log, latest};
use crate::cli::print::{self, Printer};
use crate::cli::unseen::Unseen;
use crate::engine::detect::{Eye, Health, UNREAD, skewed};
use crate::engine::health::{Log, Roll, path_of, principal};
use crate::engine::time::{DAY, SECOND, Timestamp};
use crate::engine::visible;
use crate::store::{OutboxStats, backup_of};

/// A backup is made daily; a running daemon makes it at most a few hours late.
const BACKUP_AGE: i64 = 2 * DAY;

/// One problem.
pub(super) struct Trouble {
    kind: &'static str,
    /// The log, file or part.
    about: String,
    text: String,
}

impl Trouble {
    /// Returns whether the problem is current. Past ones are shown for as long as the files are known.
    pub(super) fn is_under_way(&self) -> bool {
        !matches!(self.kind, "gap" | "bad_time")
    }
}

/// What is examined, and when.
pub(super) struct Look<'a> {
    pub lives: &'a [Life<'a>],
    /// The database, if the daemon waits for it.
    pub blocked: Option<&'a Path>,
    pub unseen: &'a Unseen,
    pub roll: &'a Roll,
    /// The outbox; `None` without a mail server.
    pub outbox: Option<&'a OutboxStats>,
    /// The first incidents about which a mail was given up.
    pub given_up: &'a [SmolStr],
    /// As typed, for the commands that texts tell the user to run.
    pub global: &'a Global,
    pub layers: &'a [Layer],
    pub params: &'a Health,
    pub now: Timestamp,
}

impl Look<'_> {
    /// Returns all problems: of the database, log by log, then those of the other parts that logs share.
    pub(super) fn troubles(&self) -> Vec<Trouble> {
        let mut found: Vec<_> = self.blocked.map(blocked).into_iter().collect();
        for (path, lives) in &by_log(self.lives) {
            self.look_at_log(path, lives, &mut found);
        }
        self.look_beside(&mut found);
        found.extend(self.layers.iter().filter_map(|layer| self.look_at_layer(layer)));
        self.look_at_mails(&mut found);
        found
    }

    fn look_at_mails(&self, found: &mut Vec<Trouble>) {
        let Some(outbox) = self.outbox else { return };
        let mut add = |text| found.push(Trouble { kind: "mail", about: "mails".to_owned(), text });
        let limit = self.params.limit(Eye::Mail);
        if let Some(oldest) = outbox.oldest.filter(|oldest| self.now.since(*oldest) > limit) {
            let queued = print::ago(oldest, self.now);
            add(format!("the oldest was queued {queued} and has not been sent"));
        }
        if outbox.lost > 0 {
            add(self.given_up(outbox.lost));
        }
    }

    /// Says that mails were given up, and how to see what they would have told.
    fn given_up(&self, n_lost: u64) -> String {
        let command = |words: &str| advice::command(self.global, words);
        let mails = print::counted_as(n_lost, "mail was given up", "mails were given up");
        let what = if n_lost == 1 { "its" } else { "their" };
        let names: Vec<_> = self.given_up.iter().map(print::safe).collect();
        let about = match names.as_slice() {
            [] => String::new(),
            names => format!(" ({})", names.join(", ")),
        };
        let (show, id) = match names.as_slice() {
            [one] if n_lost == 1 => (format!("alerts show {one}"), one.as_str()),
            _ => ("alerts list --open --incidents".to_owned(), "ID"),
        };
        format!(
            "{mails}, and no other mail told {what} alerts{about}: `{}` shows them; answer with `{}`, or `--confirmed`",
            command(&show),
            command(&format!("alerts ack {id} --expected"))
        )
    }

    /// Returns why bytes are not read, as far as that is known.
    const fn why_unread(&self) -> &'static str {
        if self.blocked.is_some() { "the daemon waits for the database" } else { UNREAD }
    }

    /// Adds the logs of which nothing was ever read.
    fn look_beside(&self, found: &mut Vec<Trouble>) {
        let is_known =
            |path: &Path| self.lives.iter().any(|life| life.stream.position.path == path);
        let mut add = |kind, path: &Path, text| {
            let about = visible::path(path);
            found.push(Trouble { kind, about, text });
        };
        for pattern in &self.unseen.absent {
            add("absent", pattern, "no file matches: nothing is read".to_owned());
        }
        for (path, refusal) in self.unseen.refused.iter().filter(|(path, _)| !is_known(path)) {
            add("unreadable", path, format!("cannot be opened: {refusal}"));
        }
        let late = self.roll.late().map(path_of);
        for path in late.filter(|path| !is_known(path) && !self.unseen.refused.contains_key(*path))
        {
            add("lag", path, format!("nothing has been read: {}", self.why_unread()));
        }
    }

    fn look_at_log(&self, path: &Path, lives: &[&Life<'_>], found: &mut Vec<Trouble>) {
        let about = visible::path(path);
        let mut add = |kind, text| found.push(Trouble { kind, about: about.clone(), text });
        let gap = lives.iter().map(|life| life.stream.tally.missing.gap).sum::<u64>();
        if gap > 0 {
            add("gap", format!("{} B were lost before they could be read", print::number(gap)));
        }
        let name = principal(path);
        let silent = self.roll.unheard(&name, self.params);
        if let Some(silent) = silent.filter(|_| self.roll.is_followed(&name)) {
            let (last, hours) = (print::ago(silent.last, self.now), silent.hours);
            add("silent", format!("no line since {last}: {hours} h in which other logs had some"));
        }
        let lag = lives.iter().map(|life| life.lag(self.now)).max();
        let limit = self.params.limit(Eye::Lag) / SECOND;
        let refusal = |life: &Life<'_>| {
            let refusal = self.unseen.refused.get(&life.stream.position.path)?;
            life.has_rest().then(|| refusal.to_string())
        };
        // The caller opens the file: the daemon's user, or one with more rights.
        let fault = lives.iter().find_map(|life| life.fault().map(|fault| fault.to_string()));
        if let Some(fault) = fault.or_else(|| lives.iter().find_map(|life| refusal(life))) {
            add("unreadable", format!("cannot be opened: {fault}"));
        } else if let Some(lag) = lag.filter(|lag| *lag > limit) {
            let why = self.why_unread();
            add("lag", format!("bytes have not been read for {lag} s: {why}"));
        } else if self.roll.is_late(&name) {
            add("lag", format!("bytes are read more than {limit} s after they were written"));
        }
        let Some(log) = latest(lives).and_then(|life| Log::decode(&life.stream.health)) else {
            return;
        };
        if let Some(crowd) = log.callers.crowd(self.params) {
            let [behind, principals] = [crowd.behind, crowd.principals].map(print::number);
            let address = crowd.address;
            let text = format!(
                "{behind} of {principals} principals come from {address}: if that is a proxy, \
                 set trusted_proxies = [\"{address}\"]"
            );
            add("proxy", text);
        }
        if log.bad_times > 0 {
            let lines = print::number(log.bad_times);
            let text = "lines are dated more than a day in the future; they count as of their arrival, or of the lines above";
            add("bad_time", format!("{lines} {text}"));
        }
        let skew = log.skew.micros();
        if skew.saturating_abs() > self.params.limit(Eye::Clock) {
            add("skew", format!("its latest lines are {}", skewed(skew)));
        }
    }

    /// Returns why a GeoIP file is not in use, or that it is too old. The built-in table is as old as the program.
    fn look_at_layer(&self, layer: &Layer) -> Option<Trouble> {
        let path = layer.path.as_ref()?;
        let text = match &layer.fault {
            Some(fault) => format!("the GeoIP file cannot be used: {fault}"),
            None => self.age_of(layer)?,
        };
        Some(Trouble { kind: "geoip", about: visible::path(path), text })
    }

    fn age_of(&self, layer: &Layer) -> Option<String> {
        let built = Timestamp::from_seconds(i64::try_from(layer.built?).ok()?);
        let is_old = self.now.since(built) > self.params.limit(Eye::Atlas);
        is_old.then(|| format!("the GeoIP data was built {}", print::ago(built, self.now)))
    }
}

/// Returns the problem of a database that was lost and replaced: the first to know about.
pub(super) fn lost(database: &Path, text: String) -> Trouble {
    let about = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Trouble { kind: "database", about, text }
}

/// Returns the problem of a configuration that the daemon cannot have read: if it was told to, it runs on with the one
/// before, and it will not start again.
pub(super) fn misconfigured(first: &str) -> Trouble {
    let text = format!(
        "{first}; it is not in effect, and the daemon will not start with it: `tokenwatch check`"
    );
    Trouble { kind: "configuration", about: "configuration".to_owned(), text }
}

/// Returns the problem of a daemon that waits for its database.
fn blocked(database: &Path) -> Trouble {
    let text = "it cannot be used, and nothing is read until it can: its disk is full or fails, or another process \
        has locked it; the journal names the cause";
    lost(database, text.to_owned())
}

/// Returns the problem of a daemon without a database: it begins by creating one.
pub(super) fn absent(database: &Path) -> Trouble {
    let text = "there is none though the daemon runs: it was removed, or cannot be created; see the journal";
    lost(database, text.to_owned())
}

/// Returns the problem of a database that was lost while no daemon runs.
pub(super) fn removed(database: &Path) -> Trouble {
    let text = "there is none though there was one: the daemon's next start puts the backup in its place, or \
        starts over without one";
    lost(database, text.to_owned())
}

/// Returns the problem of a log with too many unreadable lines.
pub(super) fn rejected(log: &Path, text: String) -> Trouble {
    Trouble { kind: "rejected", about: visible::path(log), text }
}

/// Returns the problem of a backup that is old or whose last attempt failed.
pub(super) fn backup(
    database: &Path,
    made: Option<Timestamp>,
    failed: Option<Timestamp>,
    now: Timestamp,
) -> Option<Trouble> {
    let old = made.filter(|made| now.since(*made) > BACKUP_AGE);
    let text = match (failed, old) {
        (Some(failed), _) => {
            format!("the attempt {} failed: see the journal", print::ago(failed, now))
        }
        (None, Some(made)) => format!("made {}, and none since", print::ago(made, now)),
        (None, None) => return None,
    };
    Some(Trouble { kind: "backup", ..lost(&backup_of(database), text) })
}

/// Prints one line per problem.
pub(super) fn print(printer: &mut Printer, troubles: &[Trouble]) -> std::io::Result<()> {
    let red = AnsiColor::Red.on_default();
    for Trouble { kind, about, text } in troubles {
        let (about, text) = (print::safe(about), print::safe(text));
        printer.line(format_args!("{red}{kind}{red:#}: {about}: {text}"))?;
    }
    Ok(())
}

/// Returns the problems as JSON.
pub(super) fn to_json(troubles: &[Trouble]) -> Json {
    let one = |Trouble { kind, about, text }: &Trouble| json!({"kind": kind, "about": about, "text": text});
    troubles.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::Parser as _;

    use super::*;
    use crate::atlas::Role;
    use crate::cli::args::Cli;
    use crate::engine::time::HOUR;

    fn told(look: &Look<'_>) -> Vec<String> {
        let troubles = look.troubles();
        troubles.iter().map(|one| format!("{}: {}: {}", one.kind, one.about, one.text)).collect()
    }

    #[test]
    fn a_backup_that_failed_or_is_old_is_trouble_and_one_of_yesterday_is_none() {
        let now = Timestamp(400 * DAY);
        let ago = |hours: i64| Some(now.plus(-hours * HOUR));
        let told = |made, failed| {
            backup(Path::new("state/tokenwatch.db"), made, failed, now)
                .map(|trouble| format!("{}: {}: {}", trouble.kind, trouble.about, trouble.text))
        };
        assert_eq!([told(None, None), told(ago(48), None)], [None, None]);
        let old = told(ago(49), None).unwrap();
        assert_eq!(old, "backup: tokenwatch.db.backup: made 2 d ago, and none since");
        let failed = told(ago(3), ago(2)).unwrap();
        assert!(failed.contains("the attempt 2 h ago failed"), "{failed}");
        assert!(told(None, ago(2)).is_some());
    }

    #[test]
    fn old_geography_and_waiting_mails_are_trouble_and_the_built_in_table_is_none() {
        let now = Timestamp(400 * DAY);
        let layer = |path: Option<&str>, days: u64| Layer {
            role: Role::BuiltIn,
            path: path.map(PathBuf::from),
            kind: None,
            built: Some((400 - days) * 86_400),
            fault: None,
        };
        let layers = [layer(Some("a.mmdb"), 31), layer(Some("b.mmdb"), 29), layer(None, 300)];
        let outbox = |hours: i64| OutboxStats {
            oldest: Some(now.plus(-hours * HOUR)),
            ..OutboxStats::default()
        };
        let (params, roll) = (Health::default(), Roll::default());
        let both = ["in_1", "in_2"].map(SmolStr::new_static);
        let global = Cli::parse_from(["tokenwatch", "status"]).global;
        let look_at = |outbox: Option<&OutboxStats>, params: &Health| {
            let lost = outbox.map_or(0, |outbox| outbox.lost);
            let given_up = &both[..usize::try_from(lost).unwrap()];
            let unseen = Unseen::default();
            told(&Look {
                lives: &[],
                blocked: None,
                unseen: &unseen,
                roll: &roll,
                outbox,
                given_up,
                global: &global,
                layers: &layers,
                params,
                now,
            })
        };
        let look_by = |outbox: OutboxStats, params: &Health| look_at(Some(&outbox), params);
        let look = |outbox| look_by(outbox, &params);
        let old = "geoip: a.mmdb: the GeoIP data was built 31 d ago";
        assert_eq!(look(outbox(1)), [old]);
        let waiting = "mail: mails: the oldest was queued 2 h ago and has not been sent";
        assert_eq!(look(outbox(2)), [old, waiting]);
        let lost = |n| OutboxStats { lost: n, ..OutboxStats::default() };
        let told = "mail: mails: 1 mail was given up, and no other mail told its alerts (in_1): \
                    `tokenwatch alerts show in_1` shows them; answer with \
                    `tokenwatch alerts ack in_1 --expected`, or `--confirmed`";
        assert_eq!(look(lost(1)), [old, told]);
        let told = "mail: mails: 2 mails were given up, and no other mail told their alerts (in_1, in_2): \
                    `tokenwatch alerts list --open --incidents` shows them; answer with \
                    `tokenwatch alerts ack ID --expected`, or `--confirmed`";
        assert_eq!(look(lost(2)), [old, told]);
        assert_eq!(look_at(None, &params), [old], "there is no server for mails");
        // The configured limits apply, here as for the daemon.
        let patient = Health { geoip_days: 31.0, mail_hours: 2.0, ..params };
        assert_eq!(look_by(outbox(2), &patient), [""; 0]);
    }
}
