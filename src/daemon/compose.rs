//! Composes mails from what is stored: about an incident, about a day, about what exceeds the hourly cap.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;

use crate::daemon::post::Rules;
use crate::daemon::telling::{background, files, history, open, plain, summary};
use crate::deliver::render::{self, Bundle, Context, Digest, Host, Mail};
use crate::engine::alert::Alert;
use crate::engine::time::Timestamp;
use crate::store::{
    About, Found, Outgoing, Reader, StoreError, StoredAlert, StoredIncident, Summary,
};

/// Alerts that a mail contains in full, besides the heaviest of each rule; the rest is counted.
const MAX_ALERTS: usize = 200;

/// The result of composing a mail.
pub(super) enum Written {
    /// The mail.
    Mail(Mail),
    /// All its alerts were muted or acknowledged meanwhile, or told by other mails.
    Settled,
    /// Its contents are gone or unreadable.
    Gone,
}

/// One mail for several rows.
pub(super) struct Combined {
    /// The mail.
    pub(super) mail: Mail,
    /// The last alert of a storm among the rows; 0 without one.
    pub(super) upto: i64,
    /// The incidents whose rules it all names; others it may only count.
    pub(super) listed: BTreeSet<SmolStr>,
}

/// What mails are composed of.
pub(super) struct Composer<'a> {
    /// What is known.
    pub(super) store: &'a Reader,
    /// What is to be mailed.
    pub(super) rules: &'a Rules,
    /// Who mails it.
    pub(super) host: &'a Host,
    /// The newest alert: a mail that was never sent reports its incident up to it.
    pub(super) upto: i64,
}

impl Composer<'_> {
    /// Composes the mail of a row.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn write(&self, outgoing: &Outgoing) -> Result<Written, StoreError> {
        match &outgoing.about {
            About::Incident { .. } => self.about_incident(outgoing),
            About::Digest { day, .. } => {
                let at_once = self.rules.at_once;
                let alerts = self.store.digest_summary(outgoing, at_once, MAX_ALERTS)?;
                let mutes = self.store.digest_mutes(outgoing)?;
                // Mutes of alerts that would not have been mailed at once are worth a line, not a mail.
                if alerts.n_alerts == 0 && mutes.iter().all(|ended| ended.level < at_once) {
                    return Ok(Written::Settled);
                }
                let bundle = Bundle::Daily { day, mutes: &mutes };
                let mail = self.digest(&outgoing.message_id, bundle, &alerts, outgoing.created)?;
                Ok(Written::Mail(mail))
            }
            // It has no mail of its own, and is composed only if it has nothing left to report.
            About::Storm { .. } => Ok(Written::Settled),
            About::Illegible => Ok(Written::Gone),
        }
    }

    /// Composes the mail of a row about an incident.
    fn about_incident(&self, outgoing: &Outgoing) -> Result<Written, StoreError> {
        let About::Incident { incident, revision, upto } = &outgoing.about else {
            return Ok(Written::Gone);
        };
        let Found::One(found) = self.store.incident(incident)? else { return Ok(Written::Gone) };
        let found = found.as_of(upto.unwrap_or(self.upto));
        if found.alerts.is_empty() {
            return Ok(Written::Gone);
        }
        if open(&found.alerts).is_empty() || self.is_told(outgoing)? {
            return Ok(Written::Settled);
        }
        let alerts = heaviest(&found);
        let mut incident = found.incident;
        incident.revision = *revision;
        let files = files(self.store, &alerts)?;
        let history = history(self.store, &incident.principal)?;
        let background = background(self.store, &alerts)?;
        let context = Context {
            host: self.host,
            date: outgoing.created,
            files: &|stream| files.get(&stream).cloned(),
            history: &history,
            background: background.as_ref(),
        };
        Ok(Written::Mail(render::incident(&incident, &alerts, &context)))
    }

    /// Returns whether other mails have told all that a mail about their incident is for. It was queued for alerts that
    /// one of them, composed later, could tell already. What is not mailed at once is no reason for an update.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn is_told(&self, outgoing: &Outgoing) -> Result<bool, StoreError> {
        // A mail that is sent again must not fall silent.
        let About::Incident { incident, upto: None, .. } = &outgoing.about else {
            return Ok(false);
        };
        let Some(told) = self.store.reported(outgoing)? else { return Ok(false) };
        let Found::One(found) = self.store.incident(incident)? else { return Ok(false) };
        let later = found.alerts.iter().filter(|stored| stored.number > told);
        let later: Vec<StoredAlert> = later.cloned().collect();
        if open(&later).iter().any(|alert| alert.rule.level >= self.rules.at_once) {
            return Ok(false);
        }
        // Of very many alerts, a mail does not name each.
        let earlier = heaviest(&found.as_of(told));
        let named = render::named(&earlier);
        Ok(earlier.iter().all(|alert| named.contains(alert.rule.name.as_str())))
    }

    /// Composes a mail again that somebody has, for others.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn again(&self, outgoing: &Outgoing) -> Result<Written, StoreError> {
        let rows = self.store.bundled_with(outgoing.id)?;
        if rows.is_empty() {
            return self.write(outgoing);
        }
        let mail = self.bundle(&rows.iter().collect::<Vec<_>>())?;
        Ok(mail.map_or(Written::Settled, |combined| Written::Mail(combined.mail)))
    }

    /// Composes a mail about many incidents.
    fn digest(
        &self,
        id: &str,
        bundle: Bundle<'_>,
        summary: &Summary,
        date: Timestamp,
    ) -> Result<Mail, StoreError> {
        let Summary { n_alerts, n_incidents, .. } = *summary;
        let alerts = in_full(summary);
        let files = files(self.store, alerts)?;
        let context = Context {
            host: self.host,
            date,
            files: &|stream| files.get(&stream).cloned(),
            history: &[],
            background: None,
        };
        Ok(render::digest(&Digest { id, bundle, alerts, n_alerts, n_incidents }, &context))
    }

    /// Composes one mail for several rows; `None` if they have nothing left to report.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn bundle(&self, rows: &[&Outgoing]) -> Result<Option<Combined>, StoreError> {
        let Some(first) = rows.first() else { return Ok(None) };
        let (alerts, upto) = self.sum_up(rows)?;
        if alerts.n_alerts == 0 {
            return Ok(None);
        }
        let last = rows.iter().map(|row| row.id).max().unwrap_or(first.id);
        let id = format!("{}.bundle.{last}.{upto}", first.message_id);
        let bundle = Bundle::Overflow(self.rules.max_per_hour);
        let listed = render::listed(in_full(&alerts), &alerts.alerts);
        let mail = self.digest(&id, bundle, &alerts, first.created)?;
        Ok(Some(Combined { mail, upto, listed }))
    }

    /// Returns the alerts of several rows, the heaviest first, and the last alert of a storm among them.
    fn sum_up(&self, rest: &[&Outgoing]) -> Result<(Summary, i64), StoreError> {
        let mut alerts = Vec::new();
        let mut told = BTreeSet::new();
        let ends = self.ends(rest);
        for outgoing in rest {
            // An incident that grew while it waited has a row per revision, and is included once.
            if let About::Incident { incident, .. } = &outgoing.about
                && told.insert(incident)
                && let Found::One(found) = self.store.incident(incident)?
            {
                let upto = ends.get(incident).copied().unwrap_or(self.upto);
                alerts.extend(open(&found.as_of(upto).alerts));
            }
        }
        let mut all = summary(alerts);
        let mut last = 0;
        for outgoing in rest {
            if let About::Storm { after, upto } = outgoing.about {
                let range = (after, upto);
                let storm = self.store.summary(range, &told, MAX_ALERTS)?;
                all.alerts.extend(storm.alerts);
                all.n_alerts += storm.n_alerts;
                all.n_incidents += storm.n_incidents;
                last = upto;
            }
        }
        all.alerts.sort_by_key(|alert| Reverse(alert.weight()));
        Ok((all, last))
    }

    /// Returns up to which alert a mail for several rows reports each of their incidents.
    fn ends<'b>(&self, rows: &[&'b Outgoing]) -> BTreeMap<&'b SmolStr, i64> {
        let mut ends = BTreeMap::new();
        for row in rows {
            if let About::Incident { incident, upto, .. } = &row.about {
                let end = ends.entry(incident).or_default();
                *end = upto.unwrap_or(self.upto).max(*end);
            }
        }
        ends
    }
}

/// Returns the alerts that a digest contains in full, the heaviest.
fn in_full(summary: &Summary) -> &[Alert] {
    summary.alerts.get(..MAX_ALERTS).unwrap_or(&summary.alerts)
}

/// Returns the alerts of an incident that are not muted, the heaviest first: as many as a mail contains, and the
/// heaviest of each rule, which would otherwise be told by none.
fn heaviest(found: &StoredIncident) -> Vec<Alert> {
    let mut alerts = plain(&found.alerts);
    alerts.sort_by_key(|alert| Reverse(alert.weight()));
    let mut rules = BTreeSet::new();
    let numbered = alerts.into_iter().enumerate();
    let kept =
        numbered.filter(|(n, alert)| rules.insert(alert.rule.name.clone()) || *n < MAX_ALERTS);
    kept.map(|(_, alert)| alert).collect()
}
