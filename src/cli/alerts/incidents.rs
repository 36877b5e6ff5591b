//! `alerts list --incidents`: what belongs together, with the id that mails and `alerts ack` use.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::{ack_json, incident_json};
use crate::cli::print::{self, Printer};
use crate::store::{StoredAlert, StoredIncident};

/// Prints incidents, each with the alert that weighs most.
pub(super) fn list(printer: &mut Printer, incidents: &[StoredIncident]) -> anyhow::Result<()> {
    if printer.is_json() {
        return Ok(incidents.iter().try_for_each(|stored| printer.json(&summed_up(stored)))?);
    }
    if incidents.is_empty() {
        return Ok(printer.line("no incidents")?);
    }
    for stored in incidents {
        let incident = &stored.incident;
        let level = print::level(incident.level, 13);
        let (who, rules) = (print::safe(&incident.principal), rules(stored).join(", "));
        let head = print::bold(format_args!("{who}: {}", print::safe(rules)));
        printer.line(format_args!("{} {level} {head}", print::minute(incident.opened)))?;
        if let Some(worst) = worst(stored) {
            printer.line(format_args!("    {}", print::safe(&worst.alert.reason)))?;
        }
        let alerts = print::counted(stored.alerts.len() as u64, "alert");
        let said = said(stored);
        let comma = if said.is_empty() { "" } else { ", " };
        let id = print::safe(&incident.id);
        printer.line(format_args!("    {id}  {alerts}{comma}{said}"))?;
    }
    Ok(())
}

fn summed_up(stored: &StoredIncident) -> Json {
    let mut json = incident_json(&stored.incident);
    let reason = worst(stored).map(|worst| worst.alert.reason.as_str());
    let sum = [
        ("rules", json!(rules(stored))),
        ("event", print::object([("reason", json!(reason))])),
        ("alerts", json!(stored.alerts.len())),
        ("open", json!(n_open(stored))),
        ("ack", ack_json(stored.ack.as_ref())),
    ];
    print::extend(&mut json, sum);
    json
}

fn rules(stored: &StoredIncident) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    let rules = stored.alerts.iter().map(|one| one.alert.rule.name.as_str());
    rules.filter(|rule| seen.insert(*rule)).collect()
}

fn worst(stored: &StoredIncident) -> Option<&StoredAlert> {
    stored.alerts.iter().max_by_key(|one| one.alert.weight())
}

/// Returns how many of its alerts nobody has answered.
fn n_open(stored: &StoredIncident) -> usize {
    stored.alerts.iter().filter(|one| one.ack.is_none()).count()
}

/// Returns what people decided, and how much is open since.
fn said(stored: &StoredIncident) -> String {
    let verdict = stored.ack.as_ref().map(|ack| ack.verdict.as_str().to_owned());
    let (n_open, n_alerts) = (n_open(stored), stored.alerts.len());
    let open =
        (0 < n_open && n_open < n_alerts).then(|| format!("{} open", print::number(n_open as u64)));
    verdict.into_iter().chain(open).collect::<Vec<_>>().join(", ")
}
