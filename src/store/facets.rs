//! Where, with what and for what a token was used: all of its values packed into one row.
//!
//! One row per value would need a lookup for each value of each commit, which took most of a commit's time. Instead, a
//! token's only row is read, merged with the new values, and written back.
//!
//! ```text
//! body    version (1), values, ascending by facet and text
//! value   facet (one byte, as its code in columns), length of the text, text,
//!         first time minus that of the previous value (zigzag), last time minus the first, count
//! ```
//! Numbers are LEB128, times are in microseconds. The empty text is the sum of the folded values of its facet.

use std::cmp::Reverse;

use rusqlite::{CachedStatement, Connection, OptionalExtension as _, Result, Row, params};
use tracing::error;

use crate::engine::ledger::{Facet, Seen, Span, read_address};
use crate::engine::time::Timestamp;

use super::codec::{MAX_COUNT, get_count, get_text, legible};

/// How many values of one facet are kept per token. A commit that exceeds twice this limit folds all but the most
/// recently seen values into the empty value. So folding is rare, and an attacker who invents addresses costs a bounded
/// row and hides no address that a log vouches for.
pub const FACET_LIMIT: u32 = 256;

/// Changes with the packing, not with the schema.
const VERSION: u8 = 1;

const GET: &str = "SELECT body FROM facets WHERE token = ?1";
const PUT: &str = "INSERT INTO facets (token, body) VALUES (?1, ?2)
    ON CONFLICT (token) DO UPDATE SET body = excluded.body";

/// How many values a token has, by facet, without the folded ones.
pub(super) type Counts = [u32; Facet::ALL.len()];

/// One value of a token, as stored in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value<'a> {
    facet: Facet,
    text: &'a str,
    span: Span,
}

impl<'a> Value<'a> {
    fn of(seen: &'a Seen) -> Self {
        Self { facet: seen.facet, text: &seen.value, span: seen.span }
    }

    const fn key(&self) -> (Facet, &'a str) {
        (self.facet, self.text)
    }

    fn may_be_forged(&self) -> bool {
        self.facet == Facet::Address && read_address(self.text).1
    }
}

/// Adds values to those of tokens, with statements that are prepared once.
pub(super) struct Writer<'a> {
    get: CachedStatement<'a>,
    put: CachedStatement<'a>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(db: &'a Connection) -> Result<Self> {
        Ok(Self { get: db.prepare_cached(GET)?, put: db.prepare_cached(PUT)? })
    }

    /// Stores the values, ascending by facet and text, of a new token, without looking for old ones. Returns how many
    /// it has.
    pub(super) fn begin(&mut self, number: i64, new: &[Seen]) -> Result<Counts> {
        self.merge(number, &[], new)
    }

    /// Adds values, ascending by facet and text, to those of a token. Returns how many it has then.
    pub(super) fn add(&mut self, number: i64, new: &[Seen]) -> Result<Counts> {
        let old = get(&mut self.get, number)?.unwrap_or_default();
        self.merge(number, &old, new)
    }

    fn merge(&mut self, number: i64, old: &[u8], new: &[Seen]) -> Result<Counts> {
        let mut values = merge(read(old), new.iter().map(Value::of));
        fold(&mut values);
        self.put.execute(params![number, encode(&values)])?;
        Ok(counts(&values))
    }
}

/// Returns the values of some facets of a token, ascending by facet and text.
pub(super) fn of_token(db: &Connection, number: i64, wanted: &[Facet]) -> Result<Vec<Seen>> {
    let body = get(&mut db.prepare_cached(GET)?, number)?.unwrap_or_default();
    let values = read(&body).into_iter().filter(|value| wanted.contains(&value.facet));
    Ok(values.map(owned).collect())
}

/// Hands the values of each token, with its number, to a function.
pub(super) fn each(db: &Connection, mut of: impl FnMut(i64, Vec<Seen>)) -> Result<()> {
    let mut all = db.prepare_cached("SELECT token, body FROM facets")?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        of(row.get(0)?, read(row.get_ref(1)?.as_blob()?).into_iter().map(owned).collect());
    }
    Ok(())
}

fn owned(value: Value<'_>) -> Seen {
    Seen { facet: value.facet, value: value.text.into(), span: value.span }
}

/// Removes the values of a token that were last seen before a time. Returns how many were removed, and how many are
/// left.
pub(super) fn prune(db: &Connection, number: i64, before: Timestamp) -> Result<(usize, Counts)> {
    let body = get(&mut db.prepare_cached(GET)?, number)?.unwrap_or_default();
    let mut values = read(&body);
    let n_before = values.len();
    values.retain(|value| value.span.last >= before);
    let n_gone = n_before - values.len();
    if n_gone > 0 {
        db.prepare_cached(PUT)?.execute(params![number, encode(&values)])?;
    }
    Ok((n_gone, counts(&values)))
}

/// Upgrades the schema from version 7 to 8: one row per value becomes one row per token.
pub(super) fn pack_rows(db: &Connection) -> Result<()> {
    db.execute_batch("CREATE TABLE facets (token INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")?;
    let mut all = db.prepare(
        "SELECT token, facet, value, first_seen, last_seen, count FROM facet
         ORDER BY token, facet, value",
    )?;
    let mut put = db.prepare(PUT)?;
    let mut rows = all.query([])?;
    let mut open: Option<(i64, Vec<Seen>)> = None;
    let mut close = |(number, values): (i64, Vec<Seen>)| {
        let values: Vec<_> = values.iter().map(Value::of).collect();
        put.execute(params![number, encode(&values)])
    };
    while let Some(row) = rows.next()? {
        let number = row.get(0)?;
        if open.as_ref().is_some_and(|(before, _)| *before != number) {
            open.take().map(&mut close).transpose()?;
        }
        // An unreadable row is logged and dropped.
        let Some(seen) = legible("a value of a token", std::iter::once(seen(row)))?.pop() else {
            continue;
        };
        open.get_or_insert_with(|| (number, Vec::new())).1.push(seen);
    }
    open.map(&mut close).transpose()?;
    db.execute_batch("DROP TABLE facet")
}

/// Reads a row of version 7.
fn seen(row: &Row<'_>) -> Result<Seen> {
    let first = row.get("first_seen")?;
    let span = Span { first, last: row.get("last_seen")?, count: get_count(row, "count")? };
    Ok(Seen { facet: row.get("facet")?, value: get_text(row, "value")?, span })
}

fn get(statement: &mut CachedStatement<'_>, number: i64) -> Result<Option<Vec<u8>>> {
    statement.query_row([number], |row| row.get(0)).optional()
}

/// Unpacks a body. An unreadable one is logged and treated as empty: it must not stop the program.
fn read(body: &[u8]) -> Vec<Value<'_>> {
    if body.is_empty() {
        return Vec::new();
    }
    decode(body).unwrap_or_else(|| {
        error!("The stored values of a token cannot be read; they are reset.");
        Vec::new()
    })
}

/// Merges two ascending lists into one. The spans of a value that is in both are added up.
fn merge<'a>(old: Vec<Value<'a>>, new: impl ExactSizeIterator<Item = Value<'a>>) -> Vec<Value<'a>> {
    let mut merged = Vec::with_capacity(old.len() + new.len());
    let mut old = old.into_iter().peekable();
    for value in new {
        while let Some(earlier) = old.next_if(|earlier| earlier.key() < value.key()) {
            merged.push(earlier);
        }
        match old.next_if(|earlier| earlier.key() == value.key()) {
            Some(earlier) => merged.push(Value { span: both(earlier.span, value.span), ..value }),
            None => merged.push(value),
        }
    }
    merged.extend(old);
    merged
}

fn both(a: Span, b: Span) -> Span {
    let sum = a.and(b);
    Span { count: sum.count.min(MAX_COUNT.unsigned_abs()), ..sum }
}

/// Folds the facets that have grown beyond twice the limit.
fn fold(values: &mut Vec<Value<'_>>) {
    let sizes = counts(values);
    for (facet, _) in Facet::ALL.into_iter().zip(sizes).filter(|(_, n)| *n > 2 * FACET_LIMIT) {
        let is_of = |value: &Value<'_>| value.facet == facet && !value.text.is_empty();
        let mut all: Vec<_> = values.iter().copied().filter(is_of).collect();
        // The most recently seen values stay. Those that a client may have forged are folded before any real one.
        all.sort_unstable_by_key(|value @ Value { text, span, .. }| {
            (value.may_be_forged(), Reverse(span.last), Reverse(span.count), *text)
        });
        let gone = all.split_off(FACET_LIMIT as usize);
        all.sort_unstable_by_key(Value::key);
        let sum = gone.iter().map(|value| value.span).reduce(both);
        let sum = sum.map(|span| Value { facet, text: "", span });
        values.retain(|value| !is_of(value));
        *values = merge(std::mem::take(values), sum.into_iter());
        *values = merge(std::mem::take(values), all.into_iter());
    }
}

fn counts(values: &[Value<'_>]) -> Counts {
    let mut counts = Counts::default();
    for value in values.iter().filter(|value| !value.text.is_empty()) {
        let place = Facet::ALL.iter().zip(&mut counts).find(|(facet, _)| **facet == value.facet);
        place.into_iter().for_each(|(_, count)| *count += 1);
    }
    counts
}

fn encode(values: &[Value<'_>]) -> Vec<u8> {
    let mut body = Vec::with_capacity(1 + values.len() * 32);
    body.push(VERSION);
    let mut before = 0;
    for Value { facet, text, span } in values {
        body.push(code(*facet));
        put_number(&mut body, text.len() as u64);
        body.extend_from_slice(text.as_bytes());
        let step = span.first.0.wrapping_sub(before);
        put_number(&mut body, ((step << 1) ^ (step >> 63)).cast_unsigned());
        put_number(&mut body, span.last.0.wrapping_sub(span.first.0).cast_unsigned());
        put_number(&mut body, span.count);
        before = span.first.0;
    }
    body
}

/// Unpacks a body; `None` for bytes that [`encode`] does not write.
fn decode(body: &[u8]) -> Option<Vec<Value<'_>>> {
    let (version, mut rest) = body.split_first()?;
    if *version != VERSION {
        return None;
    }
    let mut values = Vec::with_capacity(rest.len() / 16);
    let mut before = 0_i64;
    while let Some((facet, tail)) = rest.split_first() {
        rest = tail;
        let facet = *Facet::ALL.get(usize::from(*facet))?;
        let length = usize::try_from(take_number(&mut rest)?).ok()?;
        let text = std::str::from_utf8(rest.split_off(..length)?).ok()?;
        let step = take_number(&mut rest)?;
        let first = before.wrapping_add((step >> 1).cast_signed() ^ -(step & 1).cast_signed());
        let last = first.wrapping_add(take_number(&mut rest)?.cast_signed());
        let count = take_number(&mut rest)?;
        let span = Span { first: Timestamp(first), last: Timestamp(last), count };
        values.push(Value { facet, text, span });
        before = first;
    }
    values.is_sorted_by(|a, b| a.key() < b.key()).then_some(values)
}

/// Returns the index in [`Facet::ALL`].
const fn code(facet: Facet) -> u8 {
    match facet {
        Facet::Address => 0,
        Facet::Network => 1,
        Facet::Country => 2,
        Facet::Client => 3,
        Facet::Route => 4,
    }
}

fn put_number(body: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        let [low, ..] = number.to_le_bytes();
        body.push(low | 0x80);
        number >>= 7;
    }
    let [low, ..] = number.to_le_bytes();
    body.push(low);
}

fn take_number(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn values() -> impl Strategy<Value = Vec<Seen>> {
        let span = (any::<i64>(), any::<i64>(), 0..=MAX_COUNT.unsigned_abs());
        let value = (0..Facet::ALL.len(), "[a-cé]{0,3}", span);
        prop::collection::vec(value, 0..40).prop_map(|values| {
            let seen = |(facet, value, (first, last, count)): (usize, String, _)| Seen {
                facet: Facet::ALL[facet],
                value: value.into(),
                span: Span { first: Timestamp(first), last: Timestamp(last), count },
            };
            let mut values: Vec<Seen> = values.into_iter().map(seen).collect();
            values.sort_by(|a, b| Value::of(a).key().cmp(&Value::of(b).key()));
            values.dedup_by(|a, b| Value::of(a).key() == Value::of(b).key());
            values
        })
    }

    proptest! {
        #[test]
        fn what_was_packed_is_read_back(values in values()) {
            let values: Vec<_> = values.iter().map(Value::of).collect();
            let body = encode(&values);
            prop_assert_eq!(decode(&body), Some(values));
        }

        #[test]
        fn bytes_that_nobody_packed_are_refused_or_read_and_never_end_the_program(
            bytes in prop::collection::vec(any::<u8>(), 0..60),
        ) {
            let body = [&[VERSION], bytes.as_slice()].concat();
            prop_assert!(decode(&body).is_none_or(|values| decode(&encode(&values)) == Some(values)));
        }

        #[test]
        fn merging_keeps_every_value_and_every_count(old in values(), new in values()) {
            let of = |seen: &[Seen]| seen.iter().map(|seen| u128::from(seen.span.count)).sum::<u128>();
            let merged = merge(old.iter().map(Value::of).collect(), new.iter().map(Value::of));
            prop_assert!(merged.is_sorted_by(|a, b| a.key() < b.key()));
            let all = old.iter().chain(&new).map(Value::of);
            for value in all {
                prop_assert!(merged.iter().any(|other| other.key() == value.key()));
            }
            let sum: u128 = merged.iter().map(|value| u128::from(value.span.count)).sum();
            prop_assert!(sum <= of(&old) + of(&new));
        }
    }

    #[test]
    fn forged_addresses_are_folded_before_any_that_is_real() {
        let seen = |value: String, time| Seen {
            facet: Facet::Address,
            value: value.into(),
            span: Span::once(Timestamp(time)),
        };
        let n_forged = 2 * FACET_LIMIT;
        let forged = (1..=n_forged).map(|n| seen(format!("2001:db8::{n:x}?"), n.into()));
        let mut all: Vec<Seen> = forged
            .chain([seen("192.0.2.7".to_owned(), 0), seen("192.0.2.8".to_owned(), 0)])
            .collect();
        all.sort_by(|a, b| a.value.cmp(&b.value));
        let mut values = all.iter().map(Value::of).collect();
        fold(&mut values);
        let has = |text: &str| values.iter().any(|value| value.text == text);
        assert!(has("192.0.2.7") && has("192.0.2.8"), "the oldest of all");
        assert!(has(&format!("2001:db8::{n_forged:x}?")) && !has("2001:db8::1?"));
        assert_eq!(counts(&values), [FACET_LIMIT, 0, 0, 0, 0]);
        let sum: u64 = values.iter().map(|value| value.span.count).sum();
        assert_eq!(sum, u64::from(n_forged) + 2);
    }

    #[test]
    fn a_later_version_is_not_read_as_this_one() {
        let mut body = encode(&[]);
        assert_eq!(decode(&body), Some(Vec::new()));
        body[0] += 1;
        assert_eq!((decode(&body), decode(&[])), (None, None));
    }

    #[test]
    fn codes_are_the_places_of_facets() {
        let codes: Vec<usize> = Facet::ALL.into_iter().map(|facet| code(facet).into()).collect();
        assert_eq!(codes, (0..Facet::ALL.len()).collect::<Vec<_>>());
    }
}
