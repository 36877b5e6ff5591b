//! The contents of mails besides the alerts themselves, from the store.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::alert::Alert;
use crate::engine::ledger::Facet;
use crate::engine::line::StreamId;
use crate::engine::numbers::{counted, number};
use crate::engine::registry::Background;
use crate::engine::visible;
use crate::store::{Found, Reader, StoreError, StoredAlert, Summary};

/// Countries and clients that a mail lists as usual, at most.
const MAX_SHOWN: usize = 5;

/// Returns the alerts that are neither muted nor acknowledged.
pub(super) fn open(alerts: &[StoredAlert]) -> Vec<Alert> {
    let is_open = |stored: &&StoredAlert| !stored.is_muted && stored.ack.is_none();
    alerts.iter().filter(is_open).map(|stored| stored.alert.clone()).collect()
}

/// Returns the alerts that are not muted.
pub(super) fn plain(alerts: &[StoredAlert]) -> Vec<Alert> {
    alerts.iter().filter(|stored| !stored.is_muted).map(|stored| stored.alert.clone()).collect()
}

/// Counts alerts and their incidents.
pub(super) fn summary(alerts: Vec<Alert>) -> Summary {
    let incidents: BTreeSet<&str> = alerts.iter().map(|alert| alert.incident.as_str()).collect();
    let (n_alerts, n_incidents) = (alerts.len() as u64, incidents.len() as u64);
    Summary { alerts, n_alerts, n_incidents }
}

/// Returns the paths of the files that alerts name.
///
/// # Errors
/// Those of the store.
pub(super) fn files(
    store: &Reader,
    alerts: &[Alert],
) -> Result<BTreeMap<StreamId, String>, StoreError> {
    let streams = alerts.iter().flat_map(|alert| &alert.evidence).map(|origin| origin.stream);
    let mut files = BTreeMap::new();
    for stream in streams.collect::<BTreeSet<_>>() {
        let path = store.path_of(stream)?;
        files.extend(path.map(|path| (stream, visible::path(&path))));
    }
    Ok(files)
}

/// Returns the registry's entry for the first alert, which is shown in full.
///
/// # Errors
/// Those of the store.
pub(super) fn background(
    store: &Reader,
    alerts: &[Alert],
) -> Result<Option<Background>, StoreError> {
    let of = |alert: &Alert| {
        let token = alert.token.as_ref().map(|token| token.id);
        store.background(token, &alert.principal, alert.time)
    };
    alerts.first().map(of).transpose()
}

/// Returns a principal's earlier use, in a few lines.
///
/// # Errors
/// Those of the store.
pub(super) fn history(store: &Reader, principal: &str) -> Result<Vec<String>, StoreError> {
    let Found::One(who) = store.resolve(principal)? else { return Ok(Vec::new()) };
    let outline = store.outline(&who)?;
    let mut lines = Vec::new();
    if let Some(first) = outline.first_seen {
        let day = first.to_chrono().date_naive();
        lines.push(format!("known since {day}, {}", counted(outline.requests, "request")));
    }
    for (facet, name) in [(Facet::Country, "countries"), (Facet::Client, "clients")] {
        let rows = outline.facets.get(&facet).map(Vec::as_slice).unwrap_or_default();
        let shown: Vec<String> = rows
            .iter()
            .filter(|row| !row.value.is_empty())
            .take(MAX_SHOWN)
            .map(|row| format!("{} ({})", row.value, number(row.span.count)))
            .collect();
        if !shown.is_empty() {
            lines.push(format!("{name}: {}", shown.join(", ")));
        }
    }
    Ok(lines)
}
