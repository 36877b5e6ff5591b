//! `alerts`: shows, acknowledges and mutes alerts.

mod ack;
mod incidents;
mod mute;
mod sum;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use serde_json::{Value as Json, json};
use smol_str::SmolStr;

use crate::cli::advice::{self, Place};
use crate::cli::args::{Alerts, AlertsList, Global};
use crate::cli::exit::usage;
use crate::cli::history::incident_json;
use crate::cli::print::{self, Printer, field};
use crate::cli::{Context, alike, state, table, when};
use crate::clock;
use crate::clock::now;
use crate::daemon::site::Site;
use crate::deliver::stdout::alert_json;
use crate::engine::alert::{Alert, Level};
use crate::engine::line::StreamId;
use crate::engine::profile::Score;
use crate::engine::registry::{Background, Mark};
use crate::engine::reserved::Reserved;
use crate::engine::time::Timestamp;
use crate::engine::usage::{NO_ANSWER, Origin};
use crate::source::journal::UnitWatch;
use crate::store::{Ack, AlertFilter, Found, Reader, StoreError, StoredAlert, StoredIncident, Who};

/// Characters of an alert's id in a table, `al_` and 10 digits: enough to identify one among millions.
const SHORT_ID: usize = 13;

pub(super) fn run(context: &mut Context, options: &Alerts) -> anyhow::Result<ExitCode> {
    match options {
        Alerts::List(options) => list(context, options),
        Alerts::Show { id } => show(context, id),
        Alerts::Ack(options) => ack::run(context, options),
        Alerts::Mute(options) => mute::run(context, options),
        Alerts::Unmute { id } => mute::end(context, *id, clock::now()),
    }?;
    Ok(ExitCode::SUCCESS)
}

fn list(context: &mut Context, options: &AlertsList) -> anyhow::Result<()> {
    let now = now();
    let (since, until) = when::window(options.since.as_deref(), options.until.as_deref(), now)?;
    let mut filter = AlertFilter {
        since,
        until,
        level: options.level.unwrap_or_default(),
        rule: options.rule.clone(),
        only_unacked: options.open,
        limit: Some(options.limit),
        ..AlertFilter::default()
    };
    let reader = state::reader(&context.site)?;
    if let Some(name) = &options.principal {
        state::refuse_secret(name)?;
        let name = alike::as_logged(&reader, name)?;
        match (reader.resolve(&name)?, Reserved::parse(&name)) {
            (Found::One(Who::Token(id)), _) => filter.token = Some(id),
            (_, Some(Reserved::Source(source))) => {
                filter.principal = Some(alike::source_name(&reader, source)?);
            }
            _ => filter.principal = Some(name),
        }
    }
    if options.incidents {
        let found = reader.incidents(&filter)?;
        if found.is_empty() {
            refuse_slips(context, &reader, &filter, now)?;
        }
        incidents::list(&mut context.printer, &found)?;
        print::say_limit(found.len(), options.limit);
        return Ok(());
    }
    let alerts = reader.alerts(&filter)?;
    if alerts.is_empty() {
        refuse_slips(context, &reader, &filter, now)?;
    }
    let printer = &mut context.printer;
    if printer.is_json() {
        let paths = state::paths(&reader)?;
        alerts.iter().try_for_each(|alert| printer.json(&stored_json(alert, &paths)))?;
    } else if alerts.is_empty() {
        printer.line("no alerts")?;
    } else {
        let drawn = if table::is_narrow() { narrow(&alerts, now) } else { wide(&alerts) };
        printer.line(table::coloured(&drawn, |word| Level::parse(word).map(print::style)))?;
    }
    print::say_limit(alerts.len(), options.limit);
    Ok(())
}

/// Refuses a filter that finds nothing because of a slip in a name.
fn refuse_slips(
    context: &Context,
    reader: &Reader,
    filter: &AlertFilter,
    now: Timestamp,
) -> anyhow::Result<()> {
    if let Some(rule) = &filter.rule {
        refuse_slip(&context.site, reader, rule)?;
    }
    if let Some(name) = &filter.principal {
        refuse_stranger(reader, name, now)?;
    }
    Ok(())
}

/// Refuses the name of a principal that does not exist, unless an alert has it.
fn refuse_stranger(reader: &Reader, name: &SmolStr, now: Timestamp) -> anyhow::Result<()> {
    if !alike::is_told(reader, name)? {
        state::principal(reader, name, now)?;
    }
    Ok(())
}

/// Refuses the name of a rule that no alert can have. A disabled or removed rule may have left alerts of another time
/// or level.
fn refuse_slip(site: &Site, reader: &Reader, rule: &SmolStr) -> anyhow::Result<()> {
    let any = AlertFilter { rule: Some(rule.clone()), limit: Some(1), ..AlertFilter::default() };
    let is_disabled = site.config.rules.disable.iter().any(|name| name.value == **rule);
    if is_disabled || !reader.alerts(&any)?.is_empty() {
        return Ok(());
    }
    mute::known_rule(site, rule)
}

fn wide(alerts: &[StoredAlert]) -> comfy_table::Table {
    let mut table =
        table::table(&["level", "time", "principal", "rule", "why", "where", "answer", "id"]);
    for stored in alerts {
        let alert = &stored.alert;
        table.add_row([
            alert.rule.level.as_str().to_owned(),
            print::minute(alert.time),
            print::safe(&alert.principal),
            print::safe(&alert.rule.name),
            print::safe(headline(&alert.reason)),
            print::safe(place(alert)),
            said(stored),
            short(&alert.id),
        ]);
    }
    table
}

fn narrow(alerts: &[StoredAlert], now: Timestamp) -> comfy_table::Table {
    let mut table = table::table(&["level", "time", "what", "id"]);
    for stored in alerts {
        let alert = &stored.alert;
        let what = format!("{}: {} {}", alert.principal, alert.rule.name, said(stored));
        table.add_row([
            alert.rule.level.as_str().to_owned(),
            print::ago(alert.time, now),
            print::safe(what.trim()),
            short(&alert.id),
        ]);
    }
    table
}

/// Returns as much of a reason as a table has room for; `alerts show` has all of it.
fn headline(reason: &str) -> String {
    const MOST: usize = 160;
    match reason.char_indices().nth(MOST) {
        None => reason.to_owned(),
        Some((end, _)) => format!("{}...", reason.get(..end).unwrap_or(reason).trim_end()),
    }
}

fn short(id: &str) -> String {
    print::safe(id.chars().take(SHORT_ID).collect::<String>())
}

/// Returns where a client was: country and address, short enough for a table.
fn place(alert: &Alert) -> String {
    let country = alert.place.country.map(|country| country.to_string());
    let client = alert.client.map(|client| client.to_string());
    country.into_iter().chain(client).collect::<Vec<_>>().join(" ")
}

/// Returns what people decided about an alert, in a word or two.
fn said(stored: &StoredAlert) -> String {
    let verdict = stored.ack.as_ref().map(|ack| ack.verdict.as_str());
    let muted = stored.is_muted.then_some("muted");
    verdict.into_iter().chain(muted).collect::<Vec<_>>().join(", ")
}

fn stored_json(stored: &StoredAlert, paths: &BTreeMap<StreamId, String>) -> Json {
    let mut json = alert_json(&stored.alert, &|stream| paths.get(&stream).cloned());
    let ack = ack_json(stored.ack.as_ref());
    print::extend(&mut json, [("ack", ack), ("muted", json!(stored.is_muted))]);
    json
}

fn ack_json(ack: Option<&Ack>) -> Json {
    ack.map_or(Json::Null, |ack| {
        print::object([
            ("id", json!(ack.subject)),
            ("verdict", json!(ack.verdict.as_str())),
            ("note", json!(ack.note)),
            ("@timestamp", print::time(ack.at)),
        ])
    })
}

/// The alert or incident of an id.
enum Subject {
    Alert(Box<StoredAlert>),
    Incident(StoredIncident),
}

impl Subject {
    fn id(&self) -> &SmolStr {
        match self {
            Self::Alert(stored) => &stored.alert.id,
            Self::Incident(stored) => &stored.incident.id,
        }
    }
}

fn find(reader: &Reader, id: &str) -> anyhow::Result<Subject> {
    if id.is_empty() {
        return Err(usage("the id is empty: `tokenwatch alerts list` shows ids"));
    }
    let ids = match (reader.alert(id)?, reader.incident(id)?) {
        (Found::One(alert), Found::None) => return Ok(Subject::Alert(Box::new(alert))),
        (Found::None, Found::One(incident)) => return Ok(Subject::Incident(incident)),
        (Found::None, Found::None) => {
            return Err(usage(format!(
                "no alert or incident has the id \"{}\": `tokenwatch alerts list` shows ids",
                print::safe(id)
            )));
        }
        (alerts, incidents) => {
            let alerts = several(alerts).into_iter().map(|stored| stored.alert.id);
            let incidents = several(incidents).into_iter().map(|stored| stored.incident.id);
            alerts.chain(incidents).map(print::safe).collect::<Vec<_>>()
        }
    };
    Err(usage(format!("{} is ambiguous: it may mean {}", print::safe(id), ids.join(", "))))
}

fn several<T>(found: Found<T>) -> Vec<T> {
    match found {
        Found::One(one) => vec![one],
        Found::Many(many) => many,
        Found::None => Vec::new(),
    }
}

fn show(context: &mut Context, id: &str) -> anyhow::Result<()> {
    let reader = state::reader(&context.site)?;
    let subject = find(&reader, id)?;
    let paths = state::paths(&reader)?;
    let scores = sum::scores(&context.site);
    let beside =
        Beside { reader: &reader, paths: &paths, scores: &scores, global: &context.global };
    let printer = &mut context.printer;
    match subject {
        Subject::Alert(stored) if printer.is_json() => {
            printer.json(&shown_json(&stored, &beside)?)?;
        }
        Subject::Alert(stored) => show_alert(printer, &stored, None, &beside)?,
        Subject::Incident(stored) if printer.is_json() => {
            let alerts = stored.alerts.iter().map(|stored| shown_json(stored, &beside));
            let alerts = alerts.collect::<anyhow::Result<Json>>()?;
            let mut json = incident_json(&stored.incident);
            let ack = ack_json(stored.ack.as_ref());
            print::extend(&mut json, [("alerts", alerts), ("ack", ack)]);
            printer.json(&json)?;
        }
        Subject::Incident(stored) => show_incident(printer, &stored, &beside)?,
    }
    Ok(())
}

/// What is needed to show more about an alert than it contains itself.
struct Beside<'a> {
    reader: &'a Reader,
    paths: &'a BTreeMap<StreamId, String>,
    scores: &'a Score,
    global: &'a Global,
}

impl Beside<'_> {
    /// Returns what the registry says about the alert's token or principal.
    fn background(&self, alert: &Alert) -> Result<Background, StoreError> {
        let token = alert.token.as_ref().map(|token| token.id);
        self.reader.background(token, &alert.principal, alert.time)
    }
}

/// Returns an alert with its basis: the weight of each reason, and the registry's entry.
fn shown_json(stored: &StoredAlert, beside: &Beside<'_>) -> anyhow::Result<Json> {
    let alert = &stored.alert;
    let mut json = stored_json(stored, beside.paths);
    let basis = print::known([
        ("registered", background_json(&beside.background(alert)?)),
        ("reasons", json!(alert.reasons)),
        ("score", sum::json(alert, beside.scores)),
    ]);
    print::extend(&mut json, basis);
    Ok(json)
}

fn background_json(background: &Background) -> Json {
    let mark = |mark: &Mark| {
        print::object([
            ("what", json!(mark.what)),
            ("@timestamp", print::time(mark.since)),
            ("rotated_to", json!(mark.successor)),
            ("note", json!(mark.note)),
        ])
    };
    let marks = background.marks.iter().map(mark).collect::<Vec<_>>();
    print::object([
        ("owner", json!(background.owner)),
        ("notes", json!(background.notes)),
        ("marks", if marks.is_empty() { Json::Null } else { marks.into() }),
    ])
}

fn show_incident(
    printer: &mut Printer,
    stored: &StoredIncident,
    beside: &Beside<'_>,
) -> anyhow::Result<()> {
    let incident = &stored.incident;
    let level = print::level(incident.level, 0);
    let name = print::bold(format_args!("incident {}", print::Safe(&incident.id)));
    printer.line(format_args!("{level}  {name}"))?;
    field(printer, "principal", &incident.principal)?;
    field(printer, "opened", incident.opened.to_words())?;
    field(printer, "last", incident.last.to_words())?;
    field(printer, "alerts", print::number(incident.alerts.into()))?;
    show_ack(printer, stored.ack.as_ref())?;
    for (at, told) in stored.alerts.iter().enumerate() {
        // Several rules match one request with the same facts.
        let is_same = |other: &&StoredAlert| {
            let (one, other) = (&told.alert, &other.alert);
            (&one.evidence, &one.facts) == (&other.evidence, &other.facts)
                && one.usual == other.usual
        };
        let before = stored.alerts.iter().take(at).find(is_same).map(|before| &before.alert);
        printer.line("")?;
        show_alert(printer, told, before, beside)?;
    }
    Ok(())
}

/// Shows an alert; its facts only if no alert before it has the same.
fn show_alert(
    printer: &mut Printer,
    stored: &StoredAlert,
    before: Option<&Alert>,
    beside: &Beside<'_>,
) -> anyhow::Result<()> {
    let alert = &stored.alert;
    let (rule, title) = (print::safe(&alert.rule.name), print::safe(&alert.rule.title));
    let level = print::level(alert.rule.level, 0);
    printer.line(format_args!("{level}  {}  {title}", print::bold(rule)))?;
    field(printer, "alert", format!("{} of incident {}", alert.id, alert.incident))?;
    field(printer, "time", alert.time.to_words())?;
    if let Some(token) = &alert.token {
        let id = token.id.to_string();
        field(printer, "token", [token.name.as_str(), &id, &token.kind, &token.hint].join(" "))?;
    }
    let now = renamed(alert, beside)?.map(|name| format!(" (now {name})")).unwrap_or_default();
    field(printer, "principal", format!("{}{now}", alert.principal))?;
    show_background(printer, &beside.background(alert)?)?;
    let forgeable =
        if alert.is_forgeable { " (forgeable: taken from X-Forwarded-For)" } else { "" };
    field(printer, "client", client(alert) + forgeable)?;
    let agent = [alert.agent.family.as_str(), &alert.agent.version].join(" ");
    field(printer, "with", agent)?;
    let answered = alert.status.filter(|status| *status != NO_ANSWER);
    let status = answered.map(|status| format!(" -> {status}")).unwrap_or_default();
    field(printer, "request", format!("{}{status}", alert.route))?;
    field(printer, "why", &alert.reason)?;
    field(printer, "risk", format!("{} of 100", alert.risk))?;
    show_ack(printer, stored.ack.as_ref())?;
    field(printer, "muted", if stored.is_muted { "yes" } else { "" })?;
    sum::show(printer, alert, beside.scores)?;
    match before {
        Some(before) => field(printer, "facts", format!("as of {}", before.id))?,
        None => show_facts(printer, alert)?,
    }
    for origin in &alert.evidence {
        let path = beside.paths.get(&origin.stream).map_or("(file unknown)", String::as_str);
        field(printer, "evidence", format!("{path}:{}", origin.offset))?;
    }
    let look = look(alert, beside.paths, beside.global).unwrap_or_default();
    Ok(field(printer, "look", look)?)
}

/// Returns what the token of an alert is called now, if it had no name or another one at the time.
fn renamed(alert: &Alert, beside: &Beside<'_>) -> Result<Option<SmolStr>, StoreError> {
    let Some(token) = &alert.token else { return Ok(None) };
    let rows = beside.reader.registered(&Who::Token(token.id))?;
    let names = rows.into_iter().map(|row| row.name);
    Ok(names.into_iter().find(|name| !name.is_empty() && *name != alert.principal))
}

/// Shows whom to ask, and the marks of the token.
fn show_background(printer: &mut Printer, background: &Background) -> std::io::Result<()> {
    field(printer, "owner", &background.owner)?;
    field(printer, "notes", &background.notes)?;
    for mark in &background.marks {
        field(printer, mark.what, mark.to_words())?;
    }
    Ok(())
}

/// Returns the command that shows the first line of the evidence; the journal has no offsets.
fn look(alert: &Alert, paths: &BTreeMap<StreamId, String>, global: &Global) -> Option<String> {
    let in_file = |origin: &Origin| {
        let path = Path::new(paths.get(&origin.stream)?);
        let place = Place::Offset(origin.offset);
        UnitWatch::named(path).is_none().then(|| advice::explain(global, path, &place))
    };
    alert.evidence.iter().find_map(in_file)
}

/// Returns everything known about where a client was.
fn client(alert: &Alert) -> String {
    let place = &alert.place;
    let where_to =
        [place.city.to_string(), place.country.map(|c| c.to_string()).unwrap_or_default()];
    let number = place.asn.map(|asn| format!("AS{asn}")).unwrap_or_default();
    let network = [number, place.organization.to_string()];
    let words = |words: &[String]| {
        words.iter().filter(|word| !word.is_empty()).cloned().collect::<Vec<_>>().join(" ")
    };
    let client = alert.client.map(|client| client.to_string()).unwrap_or_default();
    let parts = [client, words(&where_to), words(&network)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

fn show_ack(printer: &mut Printer, ack: Option<&Ack>) -> std::io::Result<()> {
    let Some(ack) = ack else { return Ok(()) };
    let note = if ack.note.is_empty() { String::new() } else { format!(": {}", ack.note) };
    field(printer, "answer", format!("{} on {}{note}", ack.verdict.as_str(), ack.at.to_words()))
}

fn show_facts(printer: &mut Printer, alert: &Alert) -> std::io::Result<()> {
    if alert.facts.is_empty() {
        return Ok(());
    }
    let mut table = table::table(&["  fact", "measured", "usual"]);
    for (name, value) in alert.facts.iter() {
        let usual = alert.usual.get(name).map(|usual| print::safe(usual.to_string()));
        let name = format!("  {}", print::Safe(name));
        table.add_row([name, print::safe(value.to_string()), usual.unwrap_or_default()]);
    }
    printer.line(table::coloured(&table, |_| None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_long_reason_took_half_a_screen() {
        assert_eq!(headline("country NG, and 8 further signs"), "country NG, and 8 further signs");
        let long = headline(&"ä, ".repeat(100));
        assert!(long.ends_with("...") && long.chars().count() <= 163, "{long}");
    }
}
