//! Compares alerts with labels.
//!
//! An attack is **found** by an alert about its principal between its first line (less a second: alerts may be rounded)
//! and 24 h after its last. A **false alarm** is an incident whose first alert is outside all attacks of its principal.
//! An alert about a token that no label names counts as one without a principal (`*`): during guessing, these are
//! expected.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use smol_str::SmolStr;
use tokenwatch::engine::alert::{self, Level};
use tokenwatch::engine::secret::TokenId;
use tokenwatch::engine::time::{DAY, SECOND, Timestamp};

use crate::ById;

/// Days from the start that are left out of the rates: nothing is known yet.
const WARM_UP_DAYS: i64 = 14;

const NOBODY: &str = "*";
const UNKNOWN: &str = "?";

/// Kinds that the line or the registry gives away.
const FACTS: [&str; 7] = ["expired", "revoked", "leaked", "decoy", "url", "http", "guessing"];

/// The truth about a log.
#[derive(Debug, Deserialize)]
pub(crate) struct Labels {
    days: i64,
    tokens: i64,
    start: String,
    attacks: Vec<Attack>,
    classes: BTreeMap<String, String>,
    #[serde(default)]
    examples: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Attack {
    principal: String,
    kind: String,
    start: String,
    end: String,
    takeover: bool,
    well_posed: bool,
}

/// What scoring needs of an alert.
#[derive(Clone, Debug)]
pub(crate) struct Alert {
    pub(crate) time: Timestamp,
    pub(crate) level: Level,
    pub(crate) principal: SmolStr,
    pub(crate) token: Option<(TokenId, SmolStr)>,
    pub(crate) incident: SmolStr,
}

impl Alert {
    pub(crate) fn of(alert: &alert::Alert) -> Self {
        Self {
            time: alert.time,
            level: alert.rule.level,
            principal: alert.principal.clone(),
            token: alert.token.as_ref().map(|token| (token.id, token.name.clone())),
            incident: alert.incident.clone(),
        }
    }
}

/// Found, of so many.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share(usize, usize);

/// The numbers of one column.
#[derive(Debug, Default)]
pub(crate) struct Score {
    shares: Vec<(String, Share)>,
    /// Rate for 1000 token-days, and count, from day 14 on.
    false_alarms: Vec<(String, f64, usize)>,
    /// Seconds: of the takeovers found, the median and nine in ten.
    delay: [Option<f64>; 2],
    incidents: [usize; 2],
}

impl Labels {
    /// Which token ids are whose: of principals that are neither registered by name nor named by a JWT.
    pub(crate) fn whose(&self, registered: &[SmolStr], seal: impl Fn(&str) -> TokenId) -> ById {
        let is_secret = |name: &&String| {
            *name != NOBODY
                && !registered.iter().any(|one| one == *name)
                && !name.starts_with("jwt:")
        };
        let everyone = self.everyone();
        let secrets =
            everyone.iter().copied().filter(is_secret).map(|name| (seal(name), name.clone()));
        let examples = self.examples.iter().map(|(name, jwt)| (seal(jwt), name.clone()));
        secrets.chain(examples).collect()
    }

    fn everyone(&self) -> BTreeSet<&String> {
        self.classes.keys().chain(self.attacks.iter().map(|attack| &attack.principal)).collect()
    }

    fn principal<'a>(&'a self, alert: &'a Alert, by_id: &'a ById) -> &'a str {
        let is_labelled = |name: &str| {
            name != NOBODY
                && (self.classes.contains_key(name)
                    || self.attacks.iter().any(|a| a.principal == name))
        };
        match &alert.token {
            _ if is_labelled(&alert.principal) => &alert.principal,
            Some((_, name)) if is_labelled(name) => name,
            Some((id, _)) => by_id.get(id).map_or(UNKNOWN, String::as_str),
            None => NOBODY,
        }
    }

    pub(crate) fn score(&self, by_id: &ById, alerts: &[Alert]) -> Score {
        let whose: Vec<&str> = alerts.iter().map(|alert| self.principal(alert, by_id)).collect();
        let told: Vec<(&Alert, &str)> = alerts.iter().zip(whose).collect();
        let delays: Vec<Option<f64>> =
            self.attacks.iter().map(|attack| attack.delay(&told)).collect();
        let mut score = Score { shares: self.shares(&delays), ..Score::default() };
        let takeovers = self.attacks.iter().zip(&delays).filter(|(attack, _)| attack.takeover);
        let mut of_takeovers: Vec<f64> = takeovers.filter_map(|(_, delay)| *delay).collect();
        of_takeovers.sort_by(f64::total_cmp);
        score.delay = [0.5, 0.9].map(|share| percentile(&of_takeovers, share));
        let (all, alarms) = self.false_alarms(&told);
        score.incidents = [all, all - alarms.len()];
        score.false_alarms = self.rates(&alarms);
        score
    }

    fn shares(&self, delays: &[Option<f64>]) -> Vec<(String, Share)> {
        let share = |is_in: &dyn Fn(&Attack) -> bool| {
            let chosen = self.attacks.iter().zip(delays).filter(|(attack, _)| is_in(attack));
            let (found, total): (Vec<_>, Vec<_>) = chosen.partition(|(_, delay)| delay.is_some());
            Share(found.len(), found.len() + total.len())
        };
        let is_fact = |attack: &Attack| FACTS.contains(&attack.kind.as_str());
        let mut shares = vec![
            ("takeovers found".to_owned(), share(&|a| a.takeover)),
            ("takeovers found, well posed".to_owned(), share(&|a| a.takeover && a.well_posed)),
            ("all kinds found".to_owned(), share(&|_| true)),
            ("  behaviour, well posed".to_owned(), share(&|a| !is_fact(a) && a.well_posed)),
            ("  behaviour".to_owned(), share(&|a| !is_fact(a))),
            ("  facts".to_owned(), share(&is_fact)),
        ];
        let kinds: BTreeSet<&String> = self.attacks.iter().map(|attack| &attack.kind).collect();
        shares.extend(
            kinds.into_iter().map(|kind| (format!("    {kind}"), share(&|a| a.kind == *kind))),
        );
        shares
    }

    /// How many incidents there are, and which of them began outside of all attacks.
    fn false_alarms<'a>(
        &self,
        told: &[(&'a Alert, &'a str)],
    ) -> (usize, Vec<(&'a Alert, &'a str)>) {
        let mut opening: BTreeMap<&str, (&Alert, &str)> = BTreeMap::new();
        for (alert, who) in told {
            let first = opening.entry(&alert.incident).or_insert((alert, who));
            if alert.time < first.0.time {
                *first = (alert, who);
            }
        }
        let n = opening.len();
        let is_false = |(alert, who): &(&Alert, &str)| {
            let owner = if *who == UNKNOWN { NOBODY } else { who };
            !self.attacks.iter().any(|a| a.principal == owner && a.covers(alert.time))
        };
        (n, opening.into_values().filter(is_false).collect())
    }

    fn rates(&self, alarms: &[(&Alert, &str)]) -> Vec<(String, f64, usize)> {
        let start = time(&self.start).plus(WARM_UP_DAYS * DAY);
        let n_of = |class: &str| self.classes.values().filter(|one| *one == class).count() as i64;
        let rate =
            |name: &str, tokens: i64, from: Timestamp, days: i64, is_in: &dyn Fn(&str) -> bool| {
                let chosen = alarms.iter().filter(|(alert, who)| from <= alert.time && is_in(who));
                let count = chosen.count();
                (name.to_owned(), 1000.0 * count as f64 / (tokens * days).max(1) as f64, count)
            };
        let late = self.days - WARM_UP_DAYS;
        let mut rates =
            vec![rate("false alarms / 1000 token-days", self.tokens, start, late, &|_| true)];
        let classes: BTreeSet<&String> = self.classes.values().collect();
        for class in classes {
            let is_in = |who: &str| self.classes.get(who) == Some(class);
            rates.push(rate(&format!("  {class}"), n_of(class), start, late, &is_in));
        }
        rates.push(rate("  no token", self.tokens, start, late, &|who| who == NOBODY));
        let is_unknown = |who: &str| who != NOBODY && !self.classes.contains_key(who);
        rates.push(rate("  unknown token", self.tokens, start, late, &is_unknown));
        let whole = time(&self.start).plus(-1000 * DAY);
        rates.push(rate(
            "  whole log, with the first days",
            self.tokens,
            whole,
            self.days,
            &|_| true,
        ));
        rates
    }
}

impl Attack {
    fn covers(&self, moment: Timestamp) -> bool {
        time(&self.start).plus(-SECOND) <= moment && moment <= time(&self.end).plus(DAY)
    }

    /// Seconds from its first line to the first alert, if there is one.
    fn delay(&self, told: &[(&Alert, &str)]) -> Option<f64> {
        let about = told.iter().filter(|(_, who)| *who == self.principal);
        let first = about.map(|(alert, _)| alert.time).filter(|time| self.covers(*time)).min()?;
        Some(first.since(time(&self.start)).max(0) as f64 / SECOND as f64)
    }
}

fn time(text: &str) -> Timestamp {
    chrono::DateTime::parse_from_rfc3339(text).expect("a time").to_utc().into()
}

/// The smallest value that at least this share of the values does not exceed.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank - 1).copied()
}

/// Prints all columns as one table.
pub(crate) fn print(columns: &[(String, Score)]) {
    let row = |title: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!("{cell:>19}")).collect();
        println!("{title:<34}{cells}");
    };
    row("", columns.iter().map(|(name, _)| name.clone()).collect());
    let Some((_, first)) = columns.first() else { return };
    for (n, (title, _)) in first.shares.iter().enumerate() {
        let cell =
            |score: &Score| score.shares.get(n).map(|(_, share)| share.show()).unwrap_or_default();
        row(title, columns.iter().map(|(_, score)| cell(score)).collect());
    }
    for (n, (title, ..)) in first.false_alarms.iter().enumerate() {
        let cell = |score: &Score| {
            let rate = score.false_alarms.get(n);
            rate.map(|(_, rate, count)| format!("{rate:.2} ({count})")).unwrap_or_default()
        };
        row(title, columns.iter().map(|(_, score)| cell(score)).collect());
    }
    for (n, title) in ["delay of takeovers, median", "delay of takeovers, 90 %"].iter().enumerate()
    {
        let cell =
            |score: &Score| score.delay.get(n).copied().flatten().map_or("-".to_owned(), duration);
        row(title, columns.iter().map(|(_, score)| cell(score)).collect());
    }
    let incidents = |score: &Score| {
        let [all, inside] = score.incidents;
        format!("{all} ({inside})")
    };
    row("incidents (inside attacks)", columns.iter().map(|(_, score)| incidents(score)).collect());
}

impl Share {
    fn show(self) -> String {
        let Self(found, total) = self;
        format!("{:.1}% {found}/{total}", 100.0 * found as f64 / total.max(1) as f64)
    }
}

fn duration(seconds: f64) -> String {
    if seconds < 600.0 { format!("{seconds:.0} s") } else { format!("{:.1} h", seconds / 3600.0) }
}
