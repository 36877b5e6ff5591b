//! How engine types are stored in columns: integers, text and blobs only. A code keeps its meaning once used.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Result, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use smol_str::SmolStr;
use tracing::error;

use crate::engine::alert::Level;
use crate::engine::ledger::{Activity, Facet};
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;

use super::error::is_illegible;

/// Counters stop here: the largest integer that every JSON reader represents exactly (2^53 - 1, RFC 8259, section 6).
/// Two of them always fit into a column's 64 bits, so sums cannot overflow, whatever sizes a log line claims.
pub(super) const MAX_COUNT: i64 = (1 << 53) - 1;

/// Returns a count as it is stored.
pub(super) fn count(value: u64) -> i64 {
    i64::try_from(value).map_or(MAX_COUNT, |value| value.min(MAX_COUNT))
}

/// Reads a count.
pub(super) fn get_count(row: &Row<'_>, column: &str) -> Result<u64> {
    row.get::<_, i64>(column).map(|value| u64::try_from(value).unwrap_or_default())
}

/// Reads a small number, such as a revision.
pub(super) fn get_u32(row: &Row<'_>, column: &str) -> Result<u32> {
    row.get::<_, u32>(column)
}

/// Reads a name.
pub(super) fn get_text(row: &Row<'_>, column: &str) -> Result<SmolStr> {
    Ok(SmolStr::new(row.get_ref(column)?.as_str()?))
}

/// Collects the readable rows. A row whose bytes have changed is logged and skipped: it must neither hide others nor
/// stop the program.
pub(super) fn legible<T>(
    what: &'static str,
    rows: impl Iterator<Item = Result<T>>,
) -> Result<Vec<T>> {
    rows.filter(|row| !is_passed_over(what, row)).collect()
}

/// Returns whether a row is to be skipped as [`legible`] does, and logs that.
pub(super) fn is_passed_over<T>(what: &'static str, row: &Result<T>) -> bool {
    match row {
        Err(fault) if is_illegible(fault) => {
            error!(what, %fault, "A row of the database cannot be read; it is skipped.");
            true
        }
        _ => false,
    }
}

/// Reads text that only its own parser can judge: invalid UTF-8 is replaced, and left for that parser to reject.
pub(super) fn get_lossy(row: &Row<'_>, column: &str) -> Result<String> {
    Ok(String::from_utf8_lossy(row.get_ref(column)?.as_bytes()?).into_owned())
}

/// Reads a value stored as JSON.
pub(super) fn get_json<T: DeserializeOwned>(row: &Row<'_>, column: &str) -> Result<T> {
    let text = row.get_ref(column)?.as_str()?;
    serde_json::from_str(text).map_err(|fault| FromSqlError::Other(Box::new(fault)).into())
}

/// Initial capacity, enough for most alerts as JSON: with less, a text would grow four times.
const JSON_BYTES: usize = 2048;

/// Returns a value as JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    let mut json = Vec::with_capacity(JSON_BYTES);
    serde_json::to_writer(&mut json, value)
        .map_err(|fault| rusqlite::Error::ToSqlConversionFailure(Box::new(fault)))?;
    String::from_utf8(json).map_err(|fault| fault.utf8_error().into())
}

/// Reads the five counters of an activity.
pub(super) fn get_activity(row: &Row<'_>) -> Result<Activity> {
    Ok(Activity {
        requests: get_count(row, "requests")?,
        ok: get_count(row, "ok")?,
        denied: get_count(row, "denied")?,
        failed: get_count(row, "failed")?,
        bytes: get_count(row, "bytes")?,
    })
}

/// Microseconds since 1970.
impl ToSql for Timestamp {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(self.0.into())
    }
}

impl FromSql for Timestamp {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_i64().map(Self)
    }
}

/// The sixteen bytes.
impl ToSql for TokenId {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for TokenId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        <[u8; 16]>::column_result(value).map(Self)
    }
}

/// 0 for informational to 4 for critical.
impl ToSql for Level {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let code: i64 = match self {
            Self::Informational => 0,
            Self::Low => 1,
            Self::Medium => 2,
            Self::High => 3,
            Self::Critical => 4,
        };
        Ok(code.into())
    }
}

impl FromSql for Level {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Informational),
            1 => Ok(Self::Low),
            2 => Ok(Self::Medium),
            3 => Ok(Self::High),
            4 => Ok(Self::Critical),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

/// 0 for addresses to 4 for routes.
impl ToSql for Facet {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        let code: i64 = match self {
            Self::Address => 0,
            Self::Network => 1,
            Self::Country => 2,
            Self::Client => 3,
            Self::Route => 4,
        };
        Ok(code.into())
    }
}

impl FromSql for Facet {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_i64()? {
            0 => Ok(Self::Address),
            1 => Ok(Self::Network),
            2 => Ok(Self::Country),
            3 => Ok(Self::Client),
            4 => Ok(Self::Route),
            other => Err(FromSqlError::OutOfRange(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_back_as_what_they_were() {
        for level in Level::ALL {
            let ToSqlOutput::Owned(value) = level.to_sql().unwrap() else { panic!() };
            assert_eq!(Level::column_result((&value).into()), Ok(level));
        }
        for facet in Facet::ALL {
            let ToSqlOutput::Owned(value) = facet.to_sql().unwrap() else { panic!() };
            assert_eq!(Facet::column_result((&value).into()), Ok(facet));
        }
    }

    #[test]
    fn counts_stop_at_the_limit() {
        assert_eq!([count(0), count(7), count(u64::MAX)], [0, 7, MAX_COUNT]);
    }
}
