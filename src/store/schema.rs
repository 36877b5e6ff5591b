//! The tables, as a list of migrations that only grows.
//!
//! Times are microseconds since 1970 in UTC. No table references another by a constraint: each has its own retention,
//! and a check per inserted row would slow down the hottest path for nothing.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{StoreError, facets};

/// `tkwt`: marks a database as ours (`PRAGMA application_id`).
const APPLICATION: i64 = 0x746b_7774;

/// Entry N upgrades a database from version N to N + 1.
const MIGRATIONS: &[Migration] = &[
    Migration::Sql(V1),
    Migration::Sql(V2),
    Migration::Sql(V3),
    Migration::Sql(V4),
    Migration::Sql(V5),
    Migration::Sql(V6),
    Migration::Sql(V7),
    Migration::Code(facets::pack_rows),
    Migration::Sql(V9),
    Migration::Sql(V10),
    Migration::Sql(V11),
    Migration::Sql(V12),
    Migration::Sql(V13),
    Migration::Sql(V14),
    Migration::Sql(V15),
];

/// Upgrades a database to the next version.
enum Migration {
    Sql(&'static str),
    /// Where rows have to be read and rewritten.
    Code(fn(&Connection) -> rusqlite::Result<()>),
}

impl Migration {
    fn run(&self, db: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Sql(sql) => db.execute_batch(sql),
            Self::Code(run) => run(db),
        }
    }
}

const V1: &str = r"
-- Counters and cursors of the program itself.
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- How far each log file has been read, how to tell it from others, what became of its bytes.
-- Unsigned numbers (device, inode, hashes) are stored as the signed number with the same bits.
CREATE TABLE stream (
  stream INTEGER PRIMARY KEY,
  path BLOB NOT NULL,
  device INTEGER NOT NULL,
  inode INTEGER NOT NULL,
  born INTEGER NOT NULL,
  generation INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  head INTEGER NOT NULL,
  head_length INTEGER NOT NULL,
  tail INTEGER NOT NULL,
  size INTEGER NOT NULL,
  lines INTEGER NOT NULL,
  parsed INTEGER NOT NULL,
  rejected INTEGER NOT NULL,
  usages INTEGER NOT NULL,
  parsed_bytes INTEGER NOT NULL,
  rejected_bytes INTEGER NOT NULL,
  discarded INTEGER NOT NULL,
  gap INTEGER NOT NULL,
  nuls INTEGER NOT NULL,
  updated INTEGER NOT NULL
) STRICT;

-- Tokens that were used, with totals. The number is derived from the id (see slot.rs). The principal
-- is empty if it is the token's own id. The last five columns count the rows of facet, without the
-- folded ones.
CREATE TABLE token (
  number INTEGER PRIMARY KEY,
  id BLOB NOT NULL,
  kind TEXT NOT NULL,
  hint TEXT NOT NULL,
  principal TEXT NOT NULL,
  issued_at INTEGER,
  expires_at INTEGER,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  ok INTEGER NOT NULL,
  denied INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  addresses INTEGER NOT NULL,
  networks INTEGER NOT NULL,
  countries INTEGER NOT NULL,
  clients INTEGER NOT NULL,
  routes INTEGER NOT NULL
) STRICT;
CREATE INDEX token_principal ON token (principal) WHERE principal <> '';

-- What the Judge remembers about a principal. The number is derived from its name; the body carries its version.
CREATE TABLE profile (
  number INTEGER PRIMARY KEY,
  principal TEXT NOT NULL,
  body BLOB NOT NULL
) STRICT;

-- What a token did, by hour since 1970.
CREATE TABLE activity (
  token INTEGER NOT NULL,
  hour INTEGER NOT NULL,
  requests INTEGER NOT NULL,
  ok INTEGER NOT NULL,
  denied INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  PRIMARY KEY (token, hour)
) STRICT, WITHOUT ROWID;

-- Where, with what and for what a token was used. The empty value is the sum of the folded ones.
CREATE TABLE facet (
  token INTEGER NOT NULL,
  facet INTEGER NOT NULL,
  value TEXT NOT NULL,
  first_seen INTEGER NOT NULL,
  last_seen INTEGER NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (token, facet, value)
) STRICT, WITHOUT ROWID;

-- What the site knows about its tokens. A row without a token is a principal by name. The slot is the
-- base number of the token's row in token. Lists are JSON arrays.
CREATE TABLE registry (
  number INTEGER PRIMARY KEY,
  token BLOB UNIQUE,
  slot INTEGER,
  name TEXT NOT NULL,
  owner TEXT NOT NULL,
  issued_at INTEGER,
  expires_at INTEGER,
  revoked_at INTEGER,
  rotated_to TEXT NOT NULL,
  rotated_at INTEGER,
  scopes TEXT NOT NULL,
  networks TEXT NOT NULL,
  countries TEXT NOT NULL,
  mfa INTEGER,
  decoy INTEGER NOT NULL,
  leaked_at INTEGER,
  notes TEXT NOT NULL
) STRICT;
CREATE INDEX registry_name ON registry (name);
CREATE UNIQUE INDEX registry_principal ON registry (name) WHERE token IS NULL;

-- What happened to registry rows: when a change takes effect, when it was recorded, with which note.
CREATE TABLE lifecycle (
  number INTEGER PRIMARY KEY,
  token BLOB,
  name TEXT NOT NULL,
  time INTEGER NOT NULL,
  what TEXT NOT NULL,
  note TEXT NOT NULL,
  noted INTEGER NOT NULL
) STRICT;
CREATE INDEX lifecycle_token ON lifecycle (token);
CREATE INDEX lifecycle_name ON lifecycle (name);

-- The alerts of one principal within an hour. Levels are 0 (informational) to 4 (critical).
CREATE TABLE incident (
  id TEXT PRIMARY KEY,
  principal TEXT NOT NULL,
  opened INTEGER NOT NULL,
  last INTEGER NOT NULL,
  level INTEGER NOT NULL,
  revision INTEGER NOT NULL,
  alerts INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX incident_principal ON incident (principal, last);
CREATE INDEX incident_last ON incident (last);

-- Alerts: columns to query by, and the whole alert as JSON. Numbers ascend in the order of commits
-- and are never reused, so that a digest can state its range. An alert about a log has no bytes in
-- token.
CREATE TABLE alert (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  incident TEXT NOT NULL,
  time INTEGER NOT NULL,
  level INTEGER NOT NULL,
  rule TEXT NOT NULL,
  principal TEXT NOT NULL,
  token BLOB NOT NULL,
  body TEXT NOT NULL
) STRICT;
CREATE INDEX alert_time ON alert (time);
CREATE INDEX alert_incident ON alert (incident);
CREATE INDEX alert_principal ON alert (principal, time);
CREATE INDEX alert_token ON alert (token);

-- What nobody wants to be notified about.
CREATE TABLE mute (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  rule TEXT NOT NULL,
  principal TEXT NOT NULL,
  reason TEXT NOT NULL,
  since INTEGER NOT NULL,
  until INTEGER
) STRICT;

-- A person's verdict on an alert or an incident: expected or confirmed.
CREATE TABLE ack (
  subject TEXT PRIMARY KEY,
  verdict TEXT NOT NULL,
  note TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Mails: waiting, sent, dead (given up), empty (a digest of nothing). An incident's row names
-- incident and revision; a digest's row its day and the alerts after one number up to another; a
-- storm's row such alerts and no day. The error of a mail that was sent names who refused it. sent_in
-- is the row's own number for a mail of its own, 0 once it was repeated, negative for a bundle of what exceeded the cap;
-- upto_alert of an incident's row is the last alert that such a bundle reports, if it names all rules; after_alert is
-- after which alert digests have left to it what is less urgent, if any have.
CREATE TABLE outbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  message_id TEXT NOT NULL UNIQUE,
  principal TEXT NOT NULL,
  incident TEXT,
  revision INTEGER,
  day TEXT,
  after_alert INTEGER,
  upto_alert INTEGER,
  created INTEGER NOT NULL,
  due INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL,
  error TEXT NOT NULL,
  sent_at INTEGER,
  sent_in INTEGER
) STRICT;
CREATE INDEX outbox_waiting ON outbox (principal, id) WHERE state = 'waiting';
CREATE INDEX outbox_sent ON outbox (sent_at) WHERE state = 'sent';

PRAGMA application_id = 0x746b7774;
";

const V2: &str = r"
-- The lines of a log that name the columns of later lines, in force at the offset; the journal's
-- cursor of the last message.
ALTER TABLE stream ADD COLUMN directives BLOB NOT NULL DEFAULT x'';
ALTER TABLE stream ADD COLUMN cursor TEXT NOT NULL DEFAULT '';
-- Where reading began: what is before it existed already, or was read from another file.
ALTER TABLE stream ADD COLUMN began INTEGER NOT NULL DEFAULT 0;
-- How well the lines of the log were read recently, and what was reported about it: JSON of the engine.
ALTER TABLE stream ADD COLUMN health TEXT NOT NULL DEFAULT '';
";

const V3: &str = r"
-- What is known beyond one principal, in parts: JSON of the engine.
CREATE TABLE house (
  name TEXT PRIMARY KEY,
  body BLOB NOT NULL
) STRICT, WITHOUT ROWID;
";

const V4: &str = r"
-- People's words on alerts, for the Judge: JSON of the engine. Numbers ascend and are never reused:
-- profiles remember the last one that they absorbed.
CREATE TABLE word (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  principal TEXT NOT NULL,
  body TEXT NOT NULL
) STRICT;
";

const V5: &str = r"
-- Mutes of a network (0 for any), a country, a client (empty for any).
ALTER TABLE mute ADD COLUMN network INTEGER NOT NULL DEFAULT 0;
ALTER TABLE mute ADD COLUMN country TEXT NOT NULL DEFAULT '';
ALTER TABLE mute ADD COLUMN client TEXT NOT NULL DEFAULT '';
";

const V6: &str = r"
-- In which of the site's hours a principal that is always active would have been silent for too long.
ALTER TABLE profile ADD COLUMN due INTEGER;
CREATE INDEX profile_due ON profile (due) WHERE due IS NOT NULL;
";

const V7: &str = r"
-- How many of the bytes before `began` a replay has read after all, from the start.
ALTER TABLE stream ADD COLUMN early INTEGER NOT NULL DEFAULT 0;
";

/// Continues from version 8, which [`facets::pack_rows`] creates.
const V9: &str = r"
-- Most alerts are about a token that is its own principal: queries for such a principal use alert_token. This
-- index, whose keys are the longest, contains the others.
DROP INDEX alert_principal;
CREATE INDEX alert_principal ON alert (principal)
  WHERE principal <> 'tw1_' || lower(hex(token));

-- Nothing that an incident is found by may change as it grows: each alert would move it in these indexes, too.
DROP INDEX incident_principal;
CREATE INDEX incident_principal ON incident (principal);
DROP INDEX incident_last;
CREATE INDEX incident_opened ON incident (opened);
";

const V10: &str = r"
-- When the file was last written to, as of the last read; ns since 1970, 0 if unknown.
ALTER TABLE stream ADD COLUMN written INTEGER NOT NULL DEFAULT 0;
-- The last alert before a mute was set.
ALTER TABLE mute ADD COLUMN after_alert INTEGER NOT NULL DEFAULT 0;
";

const V11: &str = r"
ALTER TABLE mute ADD COLUMN route TEXT NOT NULL DEFAULT '';
";

const V12: &str = r"
-- The last alert before an incident was acknowledged; earlier versions went by its time.
ALTER TABLE ack ADD COLUMN upto_alert INTEGER NOT NULL DEFAULT 0;
UPDATE ack SET upto_alert = coalesce((
  SELECT max(number) FROM alert WHERE alert.incident = ack.subject AND alert.time <= ack.at), 0);
";

const V13: &str = r"
-- Tokens and principals that were forgotten while somebody who had them in memory could still commit them. Whoever
-- commits forgets them once more, and empties this table.
CREATE TABLE forgotten (
  token BLOB,
  principal TEXT
) STRICT;
";

const V14: &str = r"
-- Which recipients postponed a mail that others accepted, and what was answered: JSON. They are asked again when the
-- row is due, and given up at a time; NULL if none is left to ask. Of several rows that went out as one mail, the first
-- has this.
ALTER TABLE outbox ADD COLUMN postponed TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN give_up_at INTEGER;
CREATE INDEX outbox_postponed ON outbox (due) WHERE give_up_at IS NOT NULL;
CREATE INDEX outbox_bundled ON outbox (sent_in) WHERE sent_in < 0;
";

const V15: &str = r"
-- The last alert that a mail about an incident reports; NULL until it is first sent.
ALTER TABLE outbox ADD COLUMN reported_upto INTEGER;
";

/// The newest version that this program knows.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Returns the version of a database, 0 for an empty one, if it belongs to this program and is not too new.
pub(super) fn version(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let fault = |source| StoreError::database(path, "reading the schema version", source);
    let ask = |sql| db.query_row(sql, [], |row| row.get::<_, i64>(0)).map_err(fault);
    let found = ask("PRAGMA user_version")?;
    let is_ours = ask("PRAGMA application_id")? == APPLICATION;
    let is_empty = ask("SELECT count(*) FROM sqlite_schema")? == 0;
    match found {
        _ if !is_ours && !is_empty => Err(StoreError::Foreign { path: path.to_owned() }),
        0.. if found <= known() => Ok(found),
        _ => Err(StoreError::Newer { path: path.to_owned(), found, known: known() }),
    }
}

/// Upgrades a database to the newest version in one transaction, so that nobody sees a version in between. Returns the
/// version that it had.
pub(super) fn upgrade(db: &Connection, path: &Path) -> Result<i64, StoreError> {
    let fault = |source| StoreError::database(path, "upgrading the schema", source);
    let before = version(db, path)?;
    if before == known() {
        return Ok(before);
    }
    let upgrade = Transaction::new_unchecked(db, TransactionBehavior::Immediate).map_err(fault)?;
    // Checked again inside the transaction: another process may have been faster.
    let from = usize::try_from(version(&upgrade, path)?).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(from) {
        migration.run(&upgrade).map_err(fault)?;
    }
    upgrade.pragma_update(None, "user_version", known()).map_err(fault)?;
    upgrade.commit().map_err(fault)?;
    Ok(before)
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
