//! What the state says about one token, and what is to be mended about it.

use std::collections::BTreeMap;

use crate::engine::ledger::Span;
use crate::engine::numbers::counted;
use crate::engine::time::{DAY, HOUR, Timestamp};

use super::{Finding, Kind, Limits, is_worth_a_word};

/// How long what was exposed through a JWT that has expired since is news: its principal goes on with the next one.
const RECENT: i64 = 30 * DAY;

/// What the registry states about a token.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// It states it about this token, not about everything of a principal.
    pub is_own: bool,
    /// It says whom to ask.
    pub has_owner: bool,
    /// Whether the owner signs in with a second factor.
    pub mfa: Option<bool>,
    /// Since when it is bait.
    pub decoy_since: Option<Timestamp>,
    /// When it was registered, if that matters: it was never used.
    pub registered_at: Option<Timestamp>,
    /// When the token was made.
    pub issued_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// When it was replaced.
    pub rotated_at: Option<Timestamp>,
    /// When it leaked.
    pub leaked_at: Option<Timestamp>,
}

/// What the state says about one token.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    /// Its registry row; `None` if it has none.
    pub listing: Option<Listing>,
    /// Whether a missing row says something: others have one.
    pub is_row_expected: bool,
    /// Whether it is a JWT, which states its own times.
    pub is_jwt: bool,
    /// When it was issued, as it states itself.
    pub issued_at: Option<Timestamp>,
    /// When it expires, as it states itself.
    pub expires_at: Option<Timestamp>,
    /// First usage.
    pub first_seen: Option<Timestamp>,
    /// Last usage.
    pub last_seen: Option<Timestamp>,
    /// Whether it was ever accepted.
    pub is_accepted: bool,
    /// The last hour in which it was accepted, since 1970; known if it leaked or has ended.
    pub last_ok_hour: Option<i64>,
    /// The kept alerts about it that are findings.
    pub alerts: BTreeMap<Kind, Span>,
}

/// A token's end: when, how, and how long it may still be accepted.
pub(super) struct End {
    at: Timestamp,
    how: &'static str,
    grace: i64,
    /// The token states it itself.
    is_own: bool,
}

/// The findings that are alerts about what was exposed, or used beyond what is registered.
const EXPOSING: [Kind; 7] = [
    Kind::Unsigned,
    Kind::InUrl,
    Kind::PlainHttp,
    Kind::OutsidePins,
    Kind::InReferer,
    Kind::BeyondScopes,
    Kind::Weak,
];

impl Standing {
    /// Returns the first of its ends that have come.
    pub(super) fn end(&self, limits: &Limits, now: Timestamp) -> Option<End> {
        let row =
            |column: fn(&Listing) -> Option<Timestamp>| self.listing.as_ref().and_then(column);
        let ends = [
            (row(|row| row.revoked_at), "revoked", limits.revoked, false),
            (row(|row| row.rotated_at), "rotated", limits.rotated, false),
            (row(|row| row.expires_at), "expired", limits.expired, false),
            (self.expires_at, "expired", limits.expired.max(limits.leeway), true),
        ];
        let end = |(at, how, grace, is_own): (Option<Timestamp>, _, _, _)| {
            Some(End { at: at?, how, grace, is_own })
        };
        ends.into_iter().filter_map(end).filter(|end| end.at <= now).min_by_key(|end| end.at)
    }

    /// Returns when its use was over, however long it may still be accepted.
    #[must_use]
    pub fn ended_at(&self, now: Timestamp) -> Option<Timestamp> {
        self.end(&Limits::default(), now).map(|end| end.at)
    }

    fn own_row(&self) -> Option<&Listing> {
        self.listing.as_ref().filter(|row| row.is_own)
    }

    /// Returns since when nobody has used it, if that is too long.
    fn unused_since(&self, limits: &Limits, now: Timestamp) -> Option<Timestamp> {
        let registered = self.listing.as_ref().and_then(|row| row.registered_at);
        self.last_seen.or(registered).filter(|last| limits.unused <= now.since(*last))
    }

    /// Finds what concerns this token, whatever else its principal has.
    pub(super) fn of_token(&self, limits: &Limits, now: Timestamp) -> Vec<Finding> {
        if let Some(since) = self.listing.as_ref().and_then(|row| row.decoy_since) {
            return self.decoy_used(since).into_iter().collect();
        }
        let end = self.end(limits, now);
        let mut found = Vec::new();
        found.extend(self.leaked(end.as_ref(), now));
        match end {
            Some(end) => found.extend(self.accepted_after(&end)),
            None => {
                found.extend(self.long_lived(limits));
                found.extend(self.rotation_overdue(limits, now));
                found.extend(self.no_expiry());
            }
        }
        found
    }

    fn decoy_used(&self, since: Timestamp) -> Option<Finding> {
        let last = self.last_seen.filter(|last| since <= *last);
        let last = last.max(self.alerts.get(&Kind::DecoyUsed).map(|span| span.last))?;
        let detail = format!("last {}", last.to_words());
        Some(Finding { kind: Kind::DecoyUsed, since: Some(since), detail })
    }

    /// Within the hour of the leak, a use counts as later: the remedy is the same.
    fn leaked(&self, end: Option<&End>, now: Timestamp) -> Option<Finding> {
        let leaked = self.listing.as_ref()?.leaked_at.filter(|at| *at <= now)?;
        let since = end.map_or(leaked, |end| leaked.max(end.at.plus(end.grace)));
        let in_use = self.last_ok_hour.filter(|hour| since.hour() <= *hour);
        match in_use.filter(|_| self.last_seen >= Some(since)) {
            Some(hour) => Some(Finding {
                kind: Kind::LeakedInUse,
                since: Some(leaked),
                detail: last_accepted(hour),
            }),
            None if end.is_some() => None,
            None => Some(Finding {
                kind: Kind::LeakedNotRevoked,
                since: Some(leaked),
                detail: String::new(),
            }),
        }
    }

    /// Requests are counted by the hour: of the hour of its end, only the alerts know which came later.
    fn accepted_after(&self, end: &End) -> Option<Finding> {
        let from = end.at.plus(end.grace);
        let is_later = |hour: &i64| {
            from.hour() < *hour || (from.hour() == *hour && self.first_seen >= Some(from))
        };
        let counted = self.last_ok_hour.filter(is_later).map(last_accepted);
        let alerted = || {
            let last = self.alerts.get(&Kind::DeadButAccepted)?.last;
            (from <= last && self.is_accepted).then_some(())?;
            Some(format!("last alert {}", last.to_words()))
        };
        let detail = counted.or_else(alerted)?;
        let detail = format!("{}, {detail}", end.how);
        Some(Finding { kind: Kind::DeadButAccepted, since: Some(end.at), detail })
    }

    /// Returns the alerts that it was exposed. It stays exposed until it is replaced, however old the alert is; one
    /// that has ended by itself is followed by the next, sent in the same way. One that nobody registered and nobody
    /// uses any more can be replaced by nobody.
    pub(super) fn exposures(
        &self,
        limits: &Limits,
        now: Timestamp,
    ) -> impl Iterator<Item = (Kind, Span)> {
        let end = self.end(limits, now);
        let has_lapsed = match &self.listing {
            Some(row) => row.decoy_since.is_some(),
            None => self.unused_since(limits, now).is_some(),
        };
        let counts = move |span: &Span| match &end {
            None => !has_lapsed,
            Some(end) => !has_lapsed && end.is_own && now.since(span.last) <= RECENT,
        };
        let of = |kind| self.alerts.get(&kind).map(|span| (kind, *span));
        EXPOSING.into_iter().filter_map(of).filter(move |(_, span)| counts(span))
    }

    fn long_lived(&self, limits: &Limits) -> Option<Finding> {
        let detail = match (self.is_jwt, self.issued_at, self.expires_at) {
            (true, _, None) => "no exp".to_owned(),
            (true, Some(from), Some(to)) if limits.long < to.since(from) => {
                format!("valid for {}", days(to.since(from)))
            }
            _ => return None,
        };
        Some(Finding { kind: Kind::LongLived, since: self.issued_at.or(self.first_seen), detail })
    }

    /// A token is at least as old as its first use. One that nobody uses is to be revoked instead.
    fn rotation_overdue(&self, limits: &Limits, now: Timestamp) -> Option<Finding> {
        let issued = self.own_row().and_then(|row| row.issued_at).or(self.issued_at);
        let made = issued.or(self.first_seen).filter(|made| limits.max_age < now.since(*made))?;
        if self.unused_since(limits, now).is_some() {
            return None;
        }
        let verb = if issued.is_some() { "issued" } else { "first used" };
        let detail = format!("{verb} {} ago", days(now.since(made)));
        Some(Finding {
            kind: Kind::RotationOverdue,
            since: Some(made.plus(limits.max_age)),
            detail,
        })
    }

    /// JWTs that state no end are long-lived.
    fn no_expiry(&self) -> Option<Finding> {
        let row = self.own_row()?;
        let is_open = !self.is_jwt && row.expires_at.or(self.expires_at).is_none();
        let finding =
            || Finding { kind: Kind::NoExpiry, since: row.issued_at, detail: String::new() };
        is_open.then(finding)
    }

    /// Finds what concerns a whole subject; `is_live` says whether any of its tokens has not ended.
    pub(super) fn of_subject(
        &self,
        is_live: bool,
        limits: &Limits,
        now: Timestamp,
    ) -> Vec<Finding> {
        let Some(row) = &self.listing else {
            let mut found = Vec::new();
            if is_live && self.is_accepted {
                found.extend(self.unused(limits, now));
            }
            if self.is_row_expected && self.is_accepted {
                let since = self.first_seen;
                found.push(Finding { kind: Kind::Unregistered, since, detail: String::new() });
            }
            return found;
        };
        // Of a principal, only its own row can say that it has ended: its tokens come and go.
        let has_ended = if row.is_own {
            !is_live
        } else {
            Self { expires_at: None, ..self.clone() }.end(limits, now).is_some()
        };
        if has_ended || row.decoy_since.is_some() {
            return Vec::new();
        }
        let mut found = Vec::new();
        let bare = |kind| Finding { kind, since: None, detail: String::new() };
        found.extend((row.mfa == Some(false)).then(|| bare(Kind::NoMfa)));
        found.extend(self.expires_soon(row, limits, now));
        found.extend(self.unused(limits, now));
        found.extend((!row.has_owner).then(|| bare(Kind::NoOwner)));
        found
    }

    fn expires_soon(&self, row: &Listing, limits: &Limits, now: Timestamp) -> Option<Finding> {
        let own = |stated: Option<Timestamp>| stated.filter(|_| row.is_own);
        let end = [row.expires_at, own(self.expires_at)].into_iter().flatten().min()?;
        let issued_at = row.issued_at.or_else(|| own(self.issued_at));
        let worth = limits.soon.into_iter().filter(|soon| is_worth_a_word(*soon, end, issued_at));
        let since = end.plus(-worth.max()?);
        let detail = format!("{}, in {}", end.to_words(), days(end.since(now)));
        let finding = Finding { kind: Kind::ExpiresSoon, since: Some(since), detail };
        (since <= now).then_some(finding)
    }

    fn unused(&self, limits: &Limits, now: Timestamp) -> Option<Finding> {
        let since = self.unused_since(limits, now)?;
        let how =
            if self.last_seen.is_some() { "last used" } else { "registered, and never used," };
        let detail = format!("{how} {} ago", days(now.since(since)));
        Some(Finding { kind: Kind::Unused, since: Some(since), detail })
    }
}

fn days(span: i64) -> String {
    counted(u64::try_from(span / DAY).unwrap_or_default(), "day")
}

fn last_accepted(hour: i64) -> String {
    let time = Timestamp(hour.saturating_mul(HOUR)).to_chrono();
    format!("last accepted in the hour of {}", time.format("%Y-%m-%d %H:%MZ"))
}
