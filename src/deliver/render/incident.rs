//! The mail about one incident: what happened, why it stands out, where the evidence is, what to do.

use std::collections::BTreeSet;

use crate::engine::alert::{Alert, Incident, Level, TokenRef, Value};
use crate::engine::geo::is_network;
use crate::engine::registry::{Background, Mark};
use crate::engine::reserved::Reserved;
use crate::engine::time::SECOND;

use super::commands::{commands, is_of_owner, mend};
use super::page::{Page, Part};
use super::safe::{plain, safe, safe_within};
use super::{Context, MAX_IDS, Mail, words};

/// An incident's first mail has revision 0 or 1: the revision counts what was reported up to the mail.
const FIRST_REVISION: u32 = 1;

/// The longest name in a subject, in characters.
const MAX_NAME: usize = 60;
/// The longest sentence of a reason, in characters.
const MAX_REASON: usize = 500;
/// How many reasons a mail lists.
const MAX_REASONS: usize = 12;
/// How many lines of a log a mail points to.
const MAX_EVIDENCE: usize = 5;
/// How many alerts of an incident a mail lists.
const MAX_ALERTS: usize = 10;
/// The longest value in a table, in characters.
const MAX_CELL: usize = 40;

/// Makes the mail about an incident as of `incident.revision`.
///
/// `alerts` are the incident's, most severe first: the first is reported in full, all are listed, up to a limit. If
/// there are none (they were pruned), the mail contains only what the incident itself states.
#[must_use]
pub fn incident(incident: &Incident, alerts: &[Alert], context: &Context<'_>) -> Mail {
    let headline = match alerts.first() {
        Some(alert) => {
            format!("{}: {}", name(alert), words::kinds(&alerts.iter().collect::<Vec<_>>()))
        }
        None => "incident".to_owned(),
    };
    let level = incident.level.as_str().to_uppercase();
    let update = if is_update(incident) { " (update)" } else { "" };
    let page = Page {
        level: Some(incident.level),
        title: format!("{headline}{update}"),
        lead: lead(alerts),
        parts: parts(incident, alerts, context),
        foot: format!("Incident {}, {}", safe(&incident.id), context.foot()),
    };
    let subject = format!("[tokenwatch] {level} {headline}{update}");
    let mail = context.mail(&format!("{}.{}", incident.id, incident.revision), subject, &page);
    let thread = 0 < incident.revision;
    Mail {
        thread: thread.then(|| context.message_id(&format!("{}.0", incident.id))),
        alerts: alerts.iter().take(MAX_IDS).map(|alert| alert.id.clone()).collect(),
        ..mail
    }
}

/// Returns what an alert is about, without a byte from a log: the token's registered name, else its id; for an alert
/// about a log or a GeoIP file, the name of the file; for one about a source, its prefix or operator.
fn name(alert: &Alert) -> String {
    let Some(token) = &alert.token else {
        return match Reserved::parse(&alert.principal) {
            Some(Reserved::Log(path)) => format!("log {}", file_name(path)),
            Some(Reserved::Geoip(path)) => format!("GeoIP file {}", file_name(path)),
            Some(Reserved::Database(_)) => "the database".to_owned(),
            Some(Reserved::Mails) => "the mails".to_owned(),
            Some(Reserved::Source(source)) if is_network(source) => format!("source {source}"),
            // What they have in common is a program and a route, which they chose.
            Some(Reserved::Source(_)) => "many sources".to_owned(),
            Some(Reserved::Fleet) => "many tokens".to_owned(),
            None => "a principal".to_owned(),
        };
    };
    let name = plain(&token.name, MAX_NAME);
    if name.is_empty() { format!("token {}", short(token)) } else { name }
}

fn file_name(path: &str) -> String {
    plain(path.rsplit('/').next().unwrap_or_default(), MAX_NAME)
}

/// Returns enough of a token's id to recognise it: `tw1_e72ab08728`.
fn short(token: &TokenRef) -> String {
    token.id.to_string().chars().take(14).collect()
}

/// Returns the most severe alert's strongest reason as a sentence; all reasons are listed further down.
fn lead(alerts: &[Alert]) -> String {
    let Some(alert) = alerts.first() else {
        return "Its alerts are no longer kept.".to_owned();
    };
    let reason = match alert.reasons.as_slice() {
        [first, others @ ..] if !others.is_empty() => {
            let signs = words::counted(u64::try_from(others.len()).unwrap_or(0), "further sign");
            format!("{}, and {signs}", safe_within(&first.text, MAX_REASON))
        }
        _ => safe_within(&alert.reason, MAX_REASON),
    };
    let end = if reason.is_empty() || reason.ends_with('.') { "" } else { "." };
    words::capital(&reason) + end
}

fn is_update(incident: &Incident) -> bool {
    FIRST_REVISION < incident.revision
}

fn parts(incident: &Incident, alerts: &[Alert], context: &Context<'_>) -> Vec<Part> {
    let mut parts = Vec::new();
    if is_update(incident) {
        parts.push(Part::Items("New since the incident began", lines(&news(alerts))));
    }
    parts.push(Part::Rows("", who(incident, alerts, context)));
    if let Some(alert) = alerts.first() {
        parts.push(Part::Items("Why", reasons(alert)));
        parts.push(Part::Items("Also", also(alert, alerts, is_update(incident))));
        parts.push(Part::Rows("What is usual", usual(alert)));
        let history = context.history.iter().map(|line| safe_within(line, MAX_REASON));
        parts.push(Part::Items("History", history.collect()));
        parts.push(Part::Items("Evidence (file and offset in bytes)", evidence(alert, context)));
    }
    parts.extend(others(incident, alerts));
    parts.push(Part::Items("What to mend", mend(alerts)));
    parts.push(Part::Commands("What to do", commands(incident, alerts, context.host)));
    parts
}

/// Returns the rules of which a mail about alerts says what they found.
#[must_use]
pub fn named(alerts: &[Alert]) -> BTreeSet<&str> {
    of_rules(alerts).map(|alert| alert.rule.name.as_str()).collect()
}

/// Returns the heaviest alert of each rule, as many as a mail names.
fn of_rules(alerts: &[Alert]) -> impl Iterator<Item = &Alert> {
    let mut rules = BTreeSet::new();
    alerts.iter().filter(move |alert| rules.insert(&alert.rule.name)).take(MAX_ALERTS)
}

/// Returns what other rules say first, if that is neither among the reasons of the heaviest alert nor news.
fn also(heaviest: &Alert, alerts: &[Alert], is_update: bool) -> Vec<String> {
    let news = if is_update { news(alerts) } else { Vec::new() };
    let is_new = |alert: &Alert| news.iter().any(|other| other.rule.name == alert.rule.name);
    let mut lines = Vec::new();
    for alert in of_rules(alerts).skip(1).filter(|alert| !is_new(alert)) {
        let reason = alert.reasons.first().map_or(&alert.reason, |reason| &reason.text);
        if heaviest.reasons.iter().take(MAX_REASONS).all(|said| said.text != *reason) {
            let rule = safe(&alert.rule.name);
            lines.push(format!(
                "{rule} ({}): {}",
                alert.rule.level,
                safe_within(reason, MAX_REASON)
            ));
        }
    }
    lines
}

/// Returns the alerts after the first that added a rule or raised the level, latest first.
fn news(alerts: &[Alert]) -> Vec<&Alert> {
    let mut by_time: Vec<&Alert> = alerts.iter().collect();
    by_time.sort_by_key(|alert| alert.time);
    let (mut rules, mut level) = (BTreeSet::new(), Level::Informational);
    by_time.retain(|alert| {
        let is_new = rules.insert(&alert.rule.name) | (level < alert.rule.level);
        level = level.max(alert.rule.level);
        is_new
    });
    by_time.into_iter().skip(1).rev().take(MAX_ALERTS).collect()
}

/// Prints each alert: `2026-11-23 17:10:33 UTC  unusual-use (high): country NG, never seen in 41 active days`.
fn lines(alerts: &[&Alert]) -> Vec<String> {
    let line = |alert: &&Alert| {
        let (time, rule) = (alert.time.to_words(), safe(&alert.rule.name));
        let reason = safe_within(&alert.reason, MAX_REASON);
        format!("{time}  {rule} ({}): {reason}", alert.rule.level)
    };
    alerts.iter().map(line).collect()
}

/// Returns the rows that state who, when, from where and with what.
fn who(incident: &Incident, alerts: &[Alert], context: &Context<'_>) -> Vec<(String, String)> {
    let mut rows = vec![("Principal".to_owned(), safe(&incident.principal))];
    rows.extend(context.background.into_iter().flat_map(registered));
    let when = match incident.last.since(incident.opened) {
        0 => incident.opened.to_words(),
        span => {
            let (first, last) = (incident.opened.to_words(), incident.last.to_words());
            let seconds = u32::try_from(span / SECOND).unwrap_or_default();
            format!("{first} to {last} ({})", words::span(seconds.into()))
        }
    };
    let Some(alert) = alerts.first() else {
        rows.push(("When".to_owned(), when));
        return rows;
    };
    let place = words::place(&alert.place);
    let forgeable =
        if alert.is_forgeable { " (forgeable: taken from X-Forwarded-For)" } else { "" };
    let address = alert.client.map(|client| format!("{client}{forgeable}"));
    let from: Vec<String> = address.into_iter().chain(place).collect();
    let from = from.join(", ") + &elsewhere(alert);
    let route = (!alert.route.is_empty()).then(|| safe(&alert.route));
    let known = [
        ("Token", alert.token.as_ref().map(token)),
        ("When", Some(when)),
        ("From", (!from.is_empty()).then_some(from)),
        ("Network", words::network(&alert.place)),
        ("Client", words::client(&alert.agent)),
        ("Request", route),
        ("Answer", words::status(alert.status)),
        ("Rule", Some(rule(alert))),
        ("Risk", Some(format!("{} of 100", alert.risk))),
    ];
    let known = known.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    rows.extend(known);
    rows
}

/// Says where the stranger is, if two places took turns and this use is the owner's.
fn elsewhere(alert: &Alert) -> String {
    match alert.facts.get("concurrent.there") {
        Some(Value::Text(there)) if is_of_owner(alert) => {
            format!(" (the known place; the unknown one: {})", safe(there))
        }
        _ => String::new(),
    }
}

/// Returns the rows from the registry: whom to ask, and what is registered about the token.
fn registered(background: &Background) -> Vec<(String, String)> {
    let texts = [("Owner", &background.owner), ("Notes", &background.notes)];
    let known = texts.into_iter().filter(|(_, text)| !text.trim().is_empty());
    let known = known.map(|(name, text)| (name.to_owned(), safe_within(text, MAX_REASON)));
    known.chain(background.marks.iter().map(mark)).collect()
}

/// Prints `Revoked`, `since 2026-11-20 10:00:00 UTC: INC-7`.
fn mark(mark: &Mark) -> (String, String) {
    (words::capital(mark.what), safe_within(&mark.to_words(), MAX_REASON))
}

/// Prints `tw1_... (github-pat, ghp_...4f2a)`.
fn token(token: &TokenRef) -> String {
    let words = [safe(&token.kind), safe(&token.hint)];
    let known: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    if known.is_empty() {
        return token.id.to_string();
    }
    format!("{} ({})", token.id, known.join(", "))
}

/// Prints `Impossible travel (impossible-travel)`.
fn rule(alert: &Alert) -> String {
    let (title, name) = (safe(&alert.rule.title), safe(&alert.rule.name));
    if title.is_empty() { name } else { format!("{title} ({name})") }
}

/// Prints each reason with its weight: `+5.1  country NG, never in 41 active days`.
fn reasons(alert: &Alert) -> Vec<String> {
    let weight = |nats: f32| if nats > 0.0 { format!("+{nats:.1} ") } else { String::new() };
    let reasons = alert.reasons.iter().take(MAX_REASONS);
    let mut lines: Vec<String> = reasons
        .map(|reason| format!("{}{}", weight(reason.nats), safe_within(&reason.text, MAX_REASON)))
        .collect();
    lines.extend(more(alert.reasons.len(), MAX_REASONS));
    lines
}

/// Returns what is usual, under names for people; no duplicates, and no unknown values.
fn usual(alert: &Alert) -> Vec<(String, String)> {
    let mut rows: Vec<(String, String)> = Vec::new();
    for (fact, value) in alert.usual.iter() {
        let Some(name) = words::usual(fact) else { continue };
        let value = words::value(fact, value);
        if !value.is_empty() && rows.iter().all(|(known, _)| known != name) {
            rows.push((name.to_owned(), value));
        }
    }
    rows
}

fn evidence(alert: &Alert, context: &Context<'_>) -> Vec<String> {
    let shown = alert.evidence.iter().take(MAX_EVIDENCE).map(|origin| context.place(*origin));
    shown.chain(more(alert.evidence.len(), MAX_EVIDENCE)).collect()
}

/// Returns the line that states how many are not shown.
fn more(n_all: usize, n_shown: usize) -> Option<String> {
    let more = n_all.saturating_sub(n_shown);
    (more > 0).then(|| format!("and {more} more"))
}

/// Returns the table of the incident's alerts, if there are several.
fn others(incident: &Incident, alerts: &[Alert]) -> Option<Part> {
    let row = |alert: &Alert| {
        let of_use = Some(alert).filter(|alert| !alert.is_about_token());
        let client = of_use.and_then(|alert| alert.client);
        let country = of_use.and_then(|alert| alert.place.country);
        vec![
            alert.time.to_words(),
            alert.rule.level.to_string(),
            safe_within(&alert.rule.name, MAX_CELL),
            client.map(|client| client.to_string()).unwrap_or_default(),
            country.map(|country| country.to_string()).unwrap_or_default(),
            safe_within(&alert.route, MAX_CELL),
        ]
    };
    let rows: Vec<Vec<String>> = alerts.iter().take(MAX_ALERTS).map(row).collect();
    let n_all = alerts.len().max(usize::try_from(incident.alerts).unwrap_or(usize::MAX));
    let head = vec!["Time", "Level", "Rule", "Address", "Country", "Route"];
    (1 < n_all && !rows.is_empty())
        .then(|| Part::Table("Alerts of this incident", head, rows, more(n_all, MAX_ALERTS)))
}
