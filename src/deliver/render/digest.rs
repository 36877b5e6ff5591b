//! The mail about many incidents: those of a day, or those that exceed the hourly cap of mails.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::engine::alert::Alert;
use crate::engine::mute::EndedMute;
use crate::engine::time::Timestamp;

use super::page::{Page, Part, Step};
use super::safe::{plain, safe_within};
use super::{Context, Host, MAX_IDS, Mail, words};

/// How many principals a digest counts individually.
const MAX_PRINCIPALS: usize = 20;
/// How many rules a digest counts individually.
const MAX_RULES: usize = 40;
/// How many incidents a digest lists.
const MAX_INCIDENTS: usize = 50;
/// How many mutes a digest lists.
const MAX_MUTES: usize = 20;
/// The longest value in a table, in characters.
const MAX_CELL: usize = 48;

/// The length of a time to the minute: `2026-11-23 17:10`.
const MINUTES: usize = 16;
/// Characters of an incident's id, `in_` and 10 digits: enough to identify one among millions.
const SHORT_ID: usize = 13;

/// The prefix of `day` in a digest that does not cover a day but what was found before a replay began; a time follows.
pub const UNTIL: &str = "until ";

/// Why several incidents share one mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bundle<'a> {
    /// The digest of a day, or of what came before a replay.
    Daily {
        /// For example `2026-11-23`, or [`UNTIL`] and a time.
        day: &'a str,
        /// The mutes that ended since the previous digest.
        mutes: &'a [EndedMute],
    },
    /// This many mails were sent within the hour; these would have been the next. Sent once an hour.
    Overflow(u32),
}

/// What a digest is about.
#[derive(Clone, Copy, Debug)]
pub struct Digest<'a> {
    /// The part of the message id before the `@`.
    pub id: &'a str,
    /// Why there is a digest.
    pub bundle: Bundle<'a>,
    /// The most severe alerts, in any order; those with the same `incident` share one line.
    pub alerts: &'a [Alert],
    /// The number of all alerts that it represents, including those that are only counted.
    pub n_alerts: u64,
    /// The number of their incidents.
    pub n_incidents: u64,
}

/// The alerts of one incident, as far as a digest contains them.
struct Group<'a> {
    heaviest: &'a Alert,
    opened: Timestamp,
    alerts: Vec<&'a Alert>,
}

/// Makes the mail of a digest: counts by rule and by principal, and one line for each incident.
#[must_use]
pub fn digest(digest: &Digest<'_>, context: &Context<'_>) -> Mail {
    let groups = groups(digest.alerts);
    let alerts = words::counted(digest.n_alerts, "alert");
    let incidents = words::counted(digest.n_incidents, "incident");
    let mutes = digest.mutes();
    let level = groups.iter().map(|group| group.heaviest.rule.level);
    let level = level.chain(mutes.iter().map(|ended| ended.level)).max();
    let (title, lead) = match digest.bundle {
        Bundle::Daily { day, .. } => (
            format!("{}: {alerts}{}", of(day), muted(mutes)),
            format!("Not mailed at once: {alerts} in {incidents}."),
        ),
        Bundle::Overflow(cap) => (
            format!("{incidents} beyond {} per hour", words::counted(u64::from(cap), "mail")),
            format!(
                "{alerts} in {incidents}, combined because the limit of mails per hour is reached."
            ),
        ),
    };
    let shout = level.map(|level| format!("{} ", level.as_str().to_uppercase()));
    let subject = format!("[tokenwatch] {}{title}", shout.unwrap_or_default());
    let parts = parts(digest, &groups, context.host);
    let page = Page { level, title, lead, parts, foot: context.foot() };
    let ids = groups.iter().take(MAX_IDS).map(|group| group.heaviest.id.clone());
    Mail { alerts: ids.collect(), ..context.mail(digest.id, subject, &page) }
}

/// Returns the incidents that a digest with these alerts lists, and of which its line names all that `all` contains.
#[must_use]
pub fn listed(alerts: &[Alert], all: &[Alert]) -> BTreeSet<SmolStr> {
    let groups = groups(alerts);
    let mut named = BTreeSet::new();
    for group in groups.iter().take(MAX_INCIDENTS) {
        let rules = words::rules(&group.alerts).into_iter();
        named.extend(rules.map(|rule| (group.heaviest.incident.as_str(), rule)));
    }
    let is_named = |alert: &Alert| named.contains(&(alert.incident.as_str(), words::kind(alert)));
    let in_part = all.iter().filter(|alert| !is_named(alert)).map(|alert| &alert.incident);
    let in_part: BTreeSet<&SmolStr> = in_part.collect();
    let incidents = all.iter().map(|alert| &alert.incident);
    incidents.filter(|incident| !in_part.contains(incident)).cloned().collect()
}

impl Digest<'_> {
    const fn mutes(&self) -> &[EndedMute] {
        match self.bundle {
            Bundle::Daily { mutes, .. } => mutes,
            Bundle::Overflow(_) => &[],
        }
    }
}

/// Returns what a digest is of: `Daily digest of 2026-11-23`, `Digest up to 2026-11-23T17:10:33Z`.
fn of(day: &str) -> String {
    match day.strip_prefix(UNTIL) {
        Some(time) => format!("Digest up to {}", plain(time, MAX_CELL)),
        None => format!("Daily digest of {}", plain(day, MAX_CELL)),
    }
}

/// Returns how many alerts were suppressed until now, for the title.
fn muted(mutes: &[EndedMute]) -> String {
    match mutes.iter().map(|ended| ended.n_alerts).sum() {
        0 => String::new(),
        n => format!(" and {} muted", words::number(n)),
    }
}

/// Returns one line for each mute, the one with the most severe alert first.
fn mutes(ended: &[EndedMute]) -> Part {
    let mut ended: Vec<&EndedMute> = ended.iter().collect();
    ended.sort_by_key(|ended| (Reverse(ended.level), ended.mute.id));
    let row = |ended: &&EndedMute| {
        let mute = &ended.mute;
        vec![
            mute.until.map(Timestamp::to_words).unwrap_or_default(),
            ended.level.to_string(),
            safe_within(&mute.scope.to_string(), MAX_CELL),
            safe_within(&mute.reason, MAX_CELL),
            names(&ended.principals),
            words::number(ended.n_alerts),
        ]
    };
    let more = size(ended.len().saturating_sub(MAX_MUTES));
    let more = (more > 0).then(|| format!("and {} more", words::counted(more, "mute")));
    let head = vec!["Ended", "Worst", "Mute", "Reason", "Principal", "Alerts"];
    let rows = ended.iter().take(MAX_MUTES).map(row).collect();
    Part::Table("Suppressed by mutes that have ended", head, rows, more)
}

/// Returns the only name, or the number of names.
fn names(principals: &BTreeSet<SmolStr>) -> String {
    match principals.first().filter(|_| principals.len() == 1) {
        Some(name) => safe_within(name, MAX_CELL),
        None => words::counted(size(principals.len()), "principal"),
    }
}

fn size(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn parts(digest: &Digest<'_>, groups: &[Group<'_>], host: &Host) -> Vec<Part> {
    let rules = tally(digest.alerts, |alert| {
        format!("{} ({})", safe_within(&alert.rule.name, MAX_CELL), alert.rule.level)
    });
    let principals = tally(digest.alerts, |alert| safe_within(&alert.principal, MAX_CELL));
    let rows: Vec<Vec<String>> = groups.iter().take(MAX_INCIDENTS).map(row).collect();
    let n_hidden = digest.n_incidents.saturating_sub(size(rows.len()));
    let more = match (n_hidden, digest.n_alerts.saturating_sub(size(digest.alerts.len()))) {
        (0, 0) => None,
        (n, 0) => Some(format!("and {} more", words::counted(n, "incident"))),
        (0, n) => Some(format!("and {} more", words::counted(n, "alert"))),
        (n, m) => {
            let (n, m) = (words::counted(n, "incident"), words::counted(m, "further alert"));
            Some(format!("and {n} and {m} more"))
        }
    };
    let is_whole = digest.n_alerts <= size(digest.alerts.len());
    let of_all = |whole, part| if is_whole { whole } else { part };
    let head =
        vec!["Since (UTC)", "Level", "Principal", "What", "Why", "From", "Alerts", "Incident"];
    vec![
        Part::Rows(of_all("By rule", "By rule (heaviest alerts only)"), top(rules, MAX_RULES)),
        Part::Rows(
            of_all("By principal", "By principal (heaviest alerts only)"),
            top(principals, MAX_PRINCIPALS),
        ),
        Part::Table("Incidents", head, rows, more),
        mutes(digest.mutes()),
        Part::Commands("What to do", commands(groups, host)),
    ]
}

/// Returns the commands about any of the incidents, each of which has an id, and that for the others.
fn commands(groups: &[Group<'_>], host: &Host) -> Vec<Step> {
    let of_one = [
        ("alerts show INCIDENT", "all facts of an incident"),
        ("alerts ack INCIDENT --expected", "if it was the owner; if not: --confirmed"),
    ];
    let of_one = of_one.into_iter().filter(|_| !groups.is_empty());
    let all = [("alerts list", "all alerts, with their ids")];
    of_one.chain(all).map(|(words, purpose)| (host.command(words), purpose.into())).collect()
}

/// Returns the incidents, most severe first, then by time.
fn groups(alerts: &[Alert]) -> Vec<Group<'_>> {
    let mut groups: BTreeMap<&str, Group<'_>> = BTreeMap::new();
    for alert in alerts {
        let group = groups.entry(&alert.incident).or_insert(Group {
            heaviest: alert,
            opened: alert.time,
            alerts: Vec::new(),
        });
        group.alerts.push(alert);
        group.opened = group.opened.min(alert.time);
        if group.heaviest.weight() < alert.weight() {
            group.heaviest = alert;
        }
    }
    let mut groups: Vec<Group<'_>> = groups.into_values().collect();
    groups.iter_mut().for_each(|group| group.alerts.sort_by_key(|alert| Reverse(alert.weight())));
    groups.sort_by_key(|group| (Reverse(group.heaviest.weight()), group.opened));
    groups
}

fn row(group: &Group<'_>) -> Vec<String> {
    let alert = group.heaviest;
    let of_use = Some(alert).filter(|alert| !alert.is_about_token());
    let place = of_use.and_then(|alert| words::place(&alert.place));
    let from = place.or_else(|| Some(of_use?.client?.to_string()));
    let reason = alert.reasons.first().map_or(&alert.reason, |reason| &reason.text);
    vec![
        group.opened.to_words().chars().take(MINUTES).collect(),
        alert.rule.level.to_string(),
        safe_within(&alert.principal, MAX_CELL),
        words::line(&group.alerts),
        safe_within(reason, MAX_CELL),
        from.unwrap_or_default(),
        words::number(size(group.alerts.len())),
        plain(&alert.incident, SHORT_ID),
    ]
}

/// Counts alerts by a name.
fn tally(alerts: &[Alert], name: impl Fn(&Alert) -> String) -> Vec<(String, u64)> {
    let mut tally: BTreeMap<String, u64> = BTreeMap::new();
    alerts.iter().for_each(|alert| *tally.entry(name(alert)).or_default() += 1);
    let mut tally: Vec<(String, u64)> = tally.into_iter().collect();
    tally.sort_by_key(|(_, count)| Reverse(*count));
    tally
}

/// Prints the largest counts, and the sum of the others.
fn top(tally: Vec<(String, u64)>, n_shown: usize) -> Vec<(String, String)> {
    let n_others = tally.len().saturating_sub(n_shown);
    let others: u64 = tally.iter().skip(n_shown).map(|(_, count)| count).sum();
    let shown = tally.into_iter().take(n_shown);
    let mut rows: Vec<(String, String)> =
        shown.map(|(name, count)| (name, words::number(count))).collect();
    if n_others > 0 {
        rows.push((format!("and {n_others} more"), words::number(others)));
    }
    rows
}
