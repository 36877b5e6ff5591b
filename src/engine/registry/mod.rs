//! What the site itself knows about its tokens: names, owners, expiry, revocation, leaks, decoys.

mod scope;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chrono::{DateTime, NaiveDate};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr};

use crate::engine::geo::Country;
use crate::engine::reserved::Reserved;
use crate::engine::secret::{SealKey, Secret, TokenId};
use crate::engine::time::Timestamp;
use crate::engine::usage::Usage;

pub use scope::Scope;

/// One row of the registry.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Registered {
    /// The token; `None` for a principal that is registered by name (`jwt:ISS:SUB`).
    pub token: Option<TokenId>,
    /// The principal's name. Several tokens may share it: rotation keeps the name.
    pub name: SmolStr,
    /// Whom to ask.
    pub owner: SmolStr,
    /// When the token was made.
    pub issued_at: Option<Timestamp>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its successor, by name or id.
    pub rotated_to: SmolStr,
    /// When it was replaced; use after the overlap is an alert.
    pub rotated_at: Option<Timestamp>,
    /// What it may be used for; if none of them is a permission, anything.
    pub scopes: Vec<Scope>,
    /// The only networks it may be used from; empty for any.
    pub networks: Vec<IpNet>,
    /// The only countries it may be used from; empty for any.
    pub countries: Vec<Country>,
    /// Whether its owner signs in with a second factor.
    pub mfa: Option<bool>,
    /// Bait: nobody has a reason to use it.
    pub decoy: bool,
    /// When it was leaked.
    pub leaked_at: Option<Timestamp>,
    /// Anything.
    pub notes: SmolStr,
}

/// The columns of a registry file, in the order in which they are documented.
pub const COLUMNS: &[&str] = &[
    "token",
    "name",
    "owner",
    "issued_at",
    "expires_at",
    "revoked_at",
    "rotated_to",
    "rotated_at",
    "scopes",
    "networks",
    "countries",
    "mfa",
    "decoy",
    "leaked_at",
    "notes",
];

/// A value in a registry file that cannot be parsed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}")]
pub struct ColumnFault {
    /// The column.
    pub column: String,
    /// What is expected. The actual value is not repeated: it may be a secret in the wrong column.
    pub expected: &'static str,
}

impl Registered {
    /// Returns whether it is the site's own and in good order, so that its owner is responsible for its actions.
    #[must_use]
    pub fn is_sound(&self, now: Timestamp) -> bool {
        !self.decoy && !self.is_over(now) && self.leaked_at.is_none_or(|leak| now < leak)
    }

    /// Returns whether it has expired, was revoked or was replaced by then.
    fn is_over(&self, now: Timestamp) -> bool {
        let ends = [self.expires_at, self.revoked_at, self.rotated_at];
        ends.into_iter().flatten().any(|end| end <= now)
    }

    /// Returns whether its scopes permit requests, and none of them permits this one.
    #[must_use]
    pub fn forbids(&self, method: &str, route: &str) -> bool {
        let mut permitted = self.scopes.iter().filter_map(Scope::permitted).peekable();
        permitted.peek().is_some() && !permitted.any(|requests| requests.contains(method, route))
    }

    /// Sets one column from its text; an empty text changes nothing. Lists are separated by spaces, `;`, `|` or
    /// commas.
    ///
    /// A token is a secret, which is sealed at once, or a `tw1_` id.
    ///
    /// # Errors
    /// The column is unknown, or its value is not of its kind.
    pub fn set(&mut self, column: &str, text: &str, key: &SealKey) -> Result<(), ColumnFault> {
        let text = text.trim();
        if text.is_empty() && COLUMNS.contains(&column) {
            return Ok(());
        }
        let fault = |expected| ColumnFault {
            column: if COLUMNS.contains(&column) { column } else { "(unknown)" }.to_owned(),
            expected,
        };
        let time = || instant(text).map(Some).ok_or_else(|| fault("a date or RFC 3339 time"));
        let is_true = || truth(text).ok_or_else(|| fault("true or false"));
        match column {
            "token" => self.token = Some(token(text, key).map_err(fault)?),
            "name" => self.name = free_name(text)?,
            "owner" => self.owner = SmolStr::new(text),
            "issued_at" => self.issued_at = time()?,
            "expires_at" => self.expires_at = time()?,
            "revoked_at" => self.revoked_at = time()?,
            "rotated_to" => self.rotated_to = SmolStr::new(text),
            "rotated_at" => self.rotated_at = time()?,
            "scopes" => self.scopes = scopes(text).map_err(fault)?,
            "networks" => {
                self.networks = networks(text).ok_or_else(|| fault("networks in CIDR notation"))?;
            }
            "countries" => {
                self.countries =
                    countries(text).ok_or_else(|| fault("country codes of two letters"))?;
            }
            "mfa" => self.mfa = Some(is_true()?),
            "decoy" => self.decoy = is_true()?,
            "leaked_at" => self.leaked_at = time()?,
            "notes" => self.notes = SmolStr::new(text),
            _ => {
                return Err(fault(
                    "one of token, name, owner, issued_at, expires_at, revoked_at, rotated_to, \
                     rotated_at, scopes, networks, countries, mfa, decoy, leaked_at, notes",
                ));
            }
        }
        Ok(())
    }
}

/// Columns with new values, as given in a file or on a command line. Columns that are not named stay as they are, and
/// columns named without a value are cleared.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Changes {
    columns: BTreeSet<&'static str>,
    values: Registered,
}

impl Changes {
    /// Names one column, with a text in the form of [`Registered::set`].
    ///
    /// # Errors
    /// The column is unknown, or its value is not of its kind.
    pub fn set(&mut self, column: &str, text: &str, key: &SealKey) -> Result<(), ColumnFault> {
        self.values.set(column, text, key)?;
        self.columns.extend(COLUMNS.iter().find(|known| **known == column));
        Ok(())
    }

    /// Returns whether a column is named.
    #[must_use]
    pub fn has(&self, column: &str) -> bool {
        self.columns.contains(column)
    }

    /// Returns the countries that are named.
    #[must_use]
    pub fn countries(&self) -> &[Country] {
        &self.values.countries
    }

    /// Returns the name that is given, which may be empty; `None` if that column is not named.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.has("name").then_some(self.values.name.as_str())
    }

    /// Returns the successor that is named, which may be empty; `None` if that column is not named.
    #[must_use]
    pub fn successor(&self) -> Option<&str> {
        self.has("rotated_to").then_some(self.values.rotated_to.as_str())
    }

    /// Returns the same with a token as the successor.
    #[must_use]
    pub fn rotated_to(mut self, token: TokenId) -> Self {
        self.values.rotated_to = token.to_smolstr();
        self.columns.insert("rotated_to");
        self
    }

    /// Returns the same about a token.
    #[must_use]
    pub fn of_token(mut self, token: TokenId) -> Self {
        self.values.token = Some(token);
        self.columns.insert("token");
        self
    }

    /// Returns which row is meant: a token's, else that of a name.
    #[must_use]
    pub fn subject(&self) -> (Option<TokenId>, &str) {
        match self.values.token {
            Some(token) => (Some(token), ""),
            None => (None, &self.values.name),
        }
    }

    /// Changes a row. A row without a token keeps its name, since the name identifies it. A token that is given a
    /// successor is rotated, as of now unless a time is given.
    pub fn apply(&self, row: &mut Registered, now: Timestamp) {
        let rotated_before = row.rotated_at;
        let from = self.values.clone();
        for column in &self.columns {
            match *column {
                "name" if row.token.is_some() => row.name = from.name.clone(),
                "owner" => row.owner = from.owner.clone(),
                "issued_at" => row.issued_at = from.issued_at,
                "expires_at" => row.expires_at = from.expires_at,
                "revoked_at" => row.revoked_at = from.revoked_at,
                "rotated_to" => row.rotated_to = from.rotated_to.clone(),
                "rotated_at" => row.rotated_at = from.rotated_at,
                "scopes" => row.scopes = from.scopes.clone(),
                "networks" => row.networks = from.networks.clone(),
                "countries" => row.countries = from.countries.clone(),
                "mfa" => row.mfa = from.mfa,
                "decoy" => row.decoy = from.decoy,
                "leaked_at" => row.leaked_at = from.leaked_at,
                "notes" => row.notes = from.notes.clone(),
                _ => {}
            }
        }
        if self.has("rotated_to") && !row.rotated_to.is_empty() {
            row.rotated_at = row.rotated_at.or(rotated_before).or(Some(now));
        }
    }
}

/// Returns the name that a text is.
///
/// # Errors
/// The name is that of alerts about no token: a token's own alerts would be mistaken for those.
pub fn free_name(text: &str) -> Result<SmolStr, ColumnFault> {
    let fault = || ColumnFault {
        column: "name".to_owned(),
        expected: "another name: fleet, mails, log:..., source:..., geoip:... and database:... are those of alerts about no token",
    };
    Reserved::parse(text).map_or_else(|| Ok(SmolStr::new(text)), |_| Err(fault()))
}

fn token(text: &str, key: &SealKey) -> Result<TokenId, &'static str> {
    if let Ok(id) = text.parse() {
        return Ok(id);
    }
    if text.starts_with(TokenId::PREFIX) {
        return Err(
            "the secret, or the whole id: tw1_ and 32 hex digits, as `tokens show` prints it",
        );
    }
    if text.contains(|c: char| c.is_ascii_whitespace()) {
        return Err("one token without white space, without words such as Bearer");
    }
    Ok(key.seal(&Secret::new(text.as_bytes())))
}

fn instant(text: &str) -> Option<Timestamp> {
    let time = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
    let date = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc());
    time.ok().or_else(date).map(Timestamp::from)
}

fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => None,
    }
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split([' ', ';', '|', ',']).filter(|item| !item.is_empty())
}

fn scopes(text: &str) -> Result<Vec<Scope>, &'static str> {
    list(text).map(Scope::parse).collect()
}

fn networks(text: &str) -> Option<Vec<IpNet>> {
    let network = |item: &str| {
        item.parse().ok().or_else(|| item.parse::<std::net::IpAddr>().ok().map(IpNet::from))
    };
    list(text).map(network).collect()
}

fn countries(text: &str) -> Option<Vec<Country>> {
    list(text).map(Country::parse).collect()
}

/// What the registry says about an alert's subject, as of the moment when it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Background {
    /// Whom to ask; may be empty.
    pub owner: SmolStr,
    /// Anything; may be empty.
    pub notes: SmolStr,
    /// The properties of the token that make its use an alert.
    pub marks: Vec<Mark>,
}

/// A leak, an end of validity, or a decoy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `decoy`, `leaked`, `revoked`, `rotated` or `expired`.
    pub what: &'static str,
    /// Since when, if known.
    pub since: Option<Timestamp>,
    /// Its successor; may be empty.
    pub successor: SmolStr,
    /// The note given with it; may be empty.
    pub note: String,
}

impl Mark {
    /// Returns successor, start and note: `to deploy-2, since 2026-11-20 10:00:00 UTC: INC-7`. Contains the note as it
    /// was given, so it is not safe to show.
    #[must_use]
    pub fn to_words(&self) -> String {
        let successor = (!self.successor.is_empty()).then(|| format!("to {}", self.successor));
        let since = self.since.map(|since| format!("since {}", since.to_words()));
        let said = successor.into_iter().chain(since).collect::<Vec<_>>().join(", ");
        let parts = [said, self.note.trim().to_owned()];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }
}

/// All registered tokens and principals, in memory: only administrators write it, so attackers cannot make it grow.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    by_token: BTreeMap<TokenId, Arc<Registered>>,
    by_name: BTreeMap<SmolStr, Arc<Registered>>,
    /// The tokens with a name.
    named: BTreeMap<SmolStr, BTreeSet<TokenId>>,
}

impl Registry {
    /// Builds the registry from its rows; of two rows with the same token, the later one wins.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = Registered>) -> Self {
        let mut registry = Self::default();
        for row in rows {
            let row = Arc::new(row);
            match row.token {
                Some(token) => {
                    registry.named.entry(row.name.clone()).or_default().insert(token);
                    registry.by_token.insert(token, row);
                }
                None => {
                    registry.by_name.insert(row.name.clone(), row);
                }
            }
        }
        registry
    }

    /// Returns the row of a token.
    #[must_use]
    pub fn token(&self, token: TokenId) -> Option<&Registered> {
        self.by_token.get(&token).map(Arc::as_ref)
    }

    /// Returns the row that applies to a usage: its token's, else its principal's.
    #[must_use]
    pub fn row(&self, usage: &Usage) -> Option<&Registered> {
        let by_name = || {
            let name = SmolStr::new(usage.identity.as_ref()?.to_string());
            self.by_name.get(&name).map(Arc::as_ref)
        };
        self.token(usage.token).or_else(by_name)
    }

    /// Returns whether all tokens registered for a principal have ended by then; false if there are none.
    #[must_use]
    pub fn is_over(&self, principal: &str, now: Timestamp) -> bool {
        let own = principal.parse().ok().and_then(|token| self.token(token));
        let by_name = self.by_name.get(principal).map(Arc::as_ref);
        let mut rows = self.named(principal).chain(own).chain(by_name).peekable();
        rows.peek().is_some() && rows.all(|row| row.is_over(now))
    }

    /// Returns the token of a principal: its own, or the only one with its name that has not ended by then.
    #[must_use]
    pub fn only_token(&self, principal: &str, now: Timestamp) -> Option<TokenId> {
        let mut named = self.named(principal).filter(|row| !row.is_over(now));
        let only = named.next().filter(|_| named.next().is_none());
        principal.parse().ok().or_else(|| only?.token)
    }

    /// Returns the principals whose tokens have a different name in another registry, or none any more.
    #[must_use]
    pub fn renamed_in(&self, other: &Self) -> BTreeSet<SmolStr> {
        let tokens = other.by_token.keys().map(|token| (self.called(*token), other.called(*token)));
        tokens.filter(|(before, after)| before != after).map(|(before, _)| before).collect()
    }

    /// Returns the name of a token, else its id.
    fn called(&self, token: TokenId) -> SmolStr {
        let name = self.token(token).map(|row| row.name.clone());
        name.filter(|name| !name.is_empty()).unwrap_or_else(|| token.to_smolstr())
    }

    fn named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Registered> {
        let tokens = self.named.get(name).into_iter().flatten();
        tokens.filter_map(|token| self.token(*token)).filter(move |row| row.name == name)
    }

    /// Returns the principal to whose normal behaviour a usage belongs: the registered name, else the identity in the
    /// token, else the token's id.
    #[must_use]
    pub fn principal(&self, usage: &Usage) -> SmolStr {
        if let Some(row) = self.token(usage.token).filter(|row| !row.name.is_empty()) {
            return row.name.clone();
        }
        match &usage.identity {
            Some(identity) => SmolStr::new(identity.to_string()),
            None => SmolStr::new(usage.token.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
