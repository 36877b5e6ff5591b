//! Logs whose columns are named by an earlier line: W3C extended logs (IIS, CloudFront, Incapsula) and Zeek's.
//!
//! ```text
//! #Date: 2026-03-02 08:00:00
//! #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query c-ip cs(User-Agent) sc-status
//! 2026-03-02 08:00:01 192.0.2.9 GET /v1/items api_key=... 203.0.113.7 curl/8.5.0 200
//! ```
//!
//! Sources: W3C "Extended Log File Format" (`WD-logfile-960323`), IIS and CloudFront documentation, Zeek's
//! ASCII writer. Columns are separated by tabs, or by spaces if the line has no tab; a value may be quoted.
//! IIS and similar servers write `+` for a space, CloudFront percent-encodes. Times are UTC, except `time-local`.
//!
//! A line that does not match the columns in force is read with the default columns of its writer; see [`w3c`].

use std::borrow::{Borrow, Cow};
use std::collections::HashMap;
use std::sync::LazyLock;

use foldhash::fast::FixedState;
use smol_str::SmolStr;

use super::draft::{Draft, Part, Slot};
use super::duration::Whole;
use super::escape::Escape;
use super::scan::{Miss, present};
use super::time::{self, Time};
use super::{Record, client, keys, names, w3c};
use crate::engine::line::{Directives, comment};

/// The most columns per line; a directive that names more belongs to no log that we support.
const MAX_COLUMNS: usize = 128;

/// The meaning of a log's columns, as defined by the directives above its lines. By default none is known.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    directives: Directives,
    columns: Vec<Column>,
    /// The day of lines that contain only a time of day.
    day: Vec<u8>,
}

/// One column: its name and its content.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Column {
    name: String,
    holds: Holds,
}

/// The content of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Holds {
    Day,
    /// In UTC, as the format requires.
    TimeOfDay,
    LocalTimeOfDay,
    /// `cs-uri`: a path, a URL, or a host and its path.
    Address,
    Other(Slot, u8),
}

impl Columns {
    /// Parses the directives in force. A column with an unknown name has no meaning.
    #[must_use]
    pub fn new(directives: &Directives) -> Self {
        let mut columns = Self { directives: directives.clone(), ..Self::default() };
        columns.take_names();
        columns.take_day();
        columns
    }

    /// Records a line if it is a directive. If it is not, nothing is parsed again: hostile logs contain
    /// thousands of comments.
    pub fn note(&mut self, line: &[u8]) {
        if !line.starts_with(b"_") && memchr::memchr(b'#', line).is_none() {
            return;
        }
        if !self.directives.note(line) {
            return;
        }
        match comment(line) {
            Some(text) if text.starts_with(b"#Date") => self.take_day(),
            Some(_) => self.take_names(),
            None => {}
        }
    }

    fn take_names(&mut self) {
        let names = self.directives.fields().split(|b| b.is_ascii_whitespace()).skip(1);
        let names = names.filter(|name| !name.is_empty()).take(MAX_COLUMNS + 1);
        let columns: Vec<Column> = names.map(Column::of).collect();
        self.columns = if columns.len() > MAX_COLUMNS { Vec::new() } else { columns };
    }

    fn take_day(&mut self) {
        let mut words = self.directives.date().split(|b| b.is_ascii_whitespace());
        self.day = words.nth(1).unwrap_or_default().to_vec();
    }

    /// Returns when the journal received the message that comes next.
    pub(super) fn realtime(&self) -> Option<Time> {
        time::epoch(self.directives.realtime())
    }

    /// Returns when the file was last written to, in ns since 1970, or 0 if that is unknown.
    pub(super) const fn written(&self) -> i64 {
        self.directives.written
    }

    /// Returns whether any directive is in force.
    pub(super) const fn are_told(&self) -> bool {
        !self.columns.is_empty() || !self.day.is_empty()
    }

    /// Parses a line by the columns in force, else by the default columns that fit it. `ids` are the site's own
    /// names of columns that contain a token's id.
    pub(super) fn read<'a>(&self, line: &'a [u8], ids: &[SmolStr]) -> Result<Record<'a>, Miss> {
        // A client may have sent the tab: the separator is the one that yields as many values as there are columns.
        let tabbed = memchr::memchr(b'\t', line).map(|_| words(line, true)).transpose()?;
        let words = match tabbed {
            Some(tabbed) if self.columns.is_empty() && is_tab_first(line) => tabbed,
            Some(tabbed) if tabbed.values.len() == self.columns.len() => tabbed,
            _ => words(line, false)?,
        };
        let own = if self.columns.is_empty() {
            Err(Miss::at(line, "a line above that begins with #Fields:"))
        } else {
            read_as(&words, &self.columns, ids, &self.day, line)
        };
        own.or_else(|miss| match w3c::layout(&words) {
            Some(names) => {
                let columns: Vec<_> = names.iter().map(|name| Column::default_of(name)).collect();
                read_as(&words, &columns, ids, &self.day, line).map_err(|other| miss.further(other))
            }
            None => Err(miss),
        })
    }
}

/// The columns that writers have by default. Resolving a name costs as much as parsing its value, and without
/// directives every line resolves all of its names.
static DEFAULTS: LazyLock<HashMap<&str, Column, FixedState>> =
    LazyLock::new(|| w3c::names().map(|name| (name, Column::of(name.as_bytes()))).collect());

impl Column {
    /// Returns the meaning of a name in [`w3c`], or a column without a meaning if the name is not in it.
    fn default_of(name: &str) -> &'static Self {
        static NOTHING: Column = Column { holds: Holds::Other(Slot::Skip, 0), name: String::new() };
        DEFAULTS.get(name).unwrap_or(&NOTHING)
    }

    fn of(name: &[u8]) -> Self {
        let name = String::from_utf8_lossy(name).into_owned();
        Self { holds: Holds::of(name.as_bytes()), name }
    }

    /// Returns the column's content, given the site's own names of ids. Parts of a record keep their meaning, and
    /// so do headers, whose names the finder knows.
    fn holds(&self, ids: &[SmolStr]) -> Cow<'_, Holds> {
        let is_free = matches!(self.holds, Holds::Other(Slot::Skip | Slot::Named(_), _));
        if is_free && names::is_among(ids, self.name.as_bytes()) {
            return Cow::Owned(Holds::Other(Slot::Id(self.name.clone().into()), 1));
        }
        Cow::Borrowed(&self.holds)
    }
}

impl Holds {
    fn of(name: &[u8]) -> Self {
        let part = |part, rank| Self::Other(Slot::Part(part), rank);
        let name = std::str::from_utf8(name).unwrap_or_default();
        match name.to_ascii_lowercase().as_str() {
            "date" | "date-local" | "date-utc" => Self::Day,
            "time" | "time-utc" => Self::TimeOfDay,
            "time-local" => Self::LocalTimeOfDay,
            "cs-uri" => Self::Address,
            "ts" | "x-timestamp" | "timestamp" => part(Part::Time, 3),
            "c-ip" | "id.orig_h" | "cs-ip" => part(Part::Client, 3),
            "cs-method" | "method" => part(Part::Method, 3),
            "cs-uri-stem" | "cs-uri-path" => part(Part::Target, 3),
            "uri" => part(Part::Target, 4),
            "cs-uri-query" => part(Part::Query, 3),
            "cs-version" | "cs-protocol-version" | "version" => part(Part::Version, 3),
            "sc-status" | "c-status" | "status_code" => part(Part::Status, 3),
            "sc-bytes" | "bytes" | "response_body_len" => part(Part::Bytes, 3),
            "cs(user-agent)" | "user_agent" => part(Part::Agent, 3),
            "cs(referer)" | "cs(referrer)" | "referrer" => part(Part::Referer, 3),
            "cs-username" | "c-auth-id" | "cs-auth-id" | "username" => part(Part::User, 3),
            // CloudFront's cs(Host) is the distribution; x-host-header is the host that the client asked for.
            "x-host-header" => part(Part::Host, 4),
            "cs-host" | "host" | "cs(host)" => part(Part::Host, 3),
            "cs-protocol" | "cs-uri-scheme" => part(Part::Scheme, 3),
            "ssl-protocol" | "crypt-protocol" | "cs-tls-version" => part(Part::Tls, 3),
            "s-xff" | "x-forwarded-for" => Self::Other(Slot::Header("x-forwarded-for".into()), 1),
            // IIS counts milliseconds, CloudFront seconds with a fraction.
            "time-taken" => Self::Other(Slot::Took(Whole::Millis), 1),
            "password" => Self::Other(Slot::Skip, 0),
            lower => Self::header_or_id(lower),
        }
    }

    /// `cs(Header)` is a request header; a column with a name like a token's is a header too, or an id of a token.
    fn header_or_id(name: &str) -> Self {
        let inside = name.strip_prefix("cs(").and_then(|rest| rest.strip_suffix(')'));
        if let Some((slot, rank)) = inside.and_then(|header| keys::header(header).slot) {
            return Self::Other(slot, rank);
        }
        let is_told = inside.is_none() && names::is_told(name);
        let slot = if is_told { Slot::Named(name.to_owned().into()) } else { Slot::Skip };
        Self::Other(slot, 1)
    }
}

/// The values of one line, and how they were written.
pub(super) struct Words<'a> {
    /// The values without their quotes.
    pub(super) values: Vec<&'a [u8]>,
    /// Whether tabs separate them.
    pub(super) has_tabs: bool,
    /// Whether the first value was quoted.
    pub(super) is_quoted: bool,
}

/// Splits a line into its values.
fn words(line: &[u8], has_tabs: bool) -> Result<Words<'_>, Miss> {
    let mut words =
        Words { values: Vec::with_capacity(24), has_tabs, is_quoted: line.starts_with(b"\"") };
    let mut rest = line;
    while !rest.is_empty() {
        if words.values.len() == MAX_COLUMNS {
            return Err(Miss::at(rest, "the end of the line"));
        }
        let value;
        (value, rest) = if has_tabs { split(rest, b'\t') } else { spaced(rest)? };
        words.values.push(value);
        if !has_tabs {
            rest = rest.trim_ascii_start();
        }
    }
    Ok(words)
}

/// Returns whether the first separator of a line is a tab.
fn is_tab_first(line: &[u8]) -> bool {
    line.iter().find(|b| matches!(b, b' ' | b'\t')) == Some(&b'\t')
}

/// Splits the text at the next separator, which is dropped.
fn split(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    let end = memchr::memchr(separator, text).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    (value, rest.get(1..).unwrap_or_default())
}

/// Splits off a value that ends at a space, or a quoted one, in which a quote is doubled.
fn spaced(text: &[u8]) -> Result<(&[u8], &[u8]), Miss> {
    let Some(inside) = text.strip_prefix(b"\"") else { return Ok(split(text, b' ')) };
    let mut from = 0;
    while let Some(at) = inside.get(from..).and_then(|rest| memchr::memchr(b'"', rest)) {
        let end = from + at;
        let rest = inside.get(end + 1..).unwrap_or_default();
        if rest.is_empty() || rest.starts_with(b" ") {
            return Ok((inside.get(..end).unwrap_or_default(), rest));
        }
        from = end + if rest.starts_with(b"\"") { 2 } else { 1 };
    }
    Err(Miss::at_end("'\"' after a quoted value"))
}

/// Parses the values by their columns.
fn read_as<'a>(
    words: &Words<'a>,
    columns: &[impl Borrow<Column>],
    ids: &[SmolStr],
    day: &[u8],
    line: &'a [u8],
) -> Result<Record<'a>, Miss> {
    let n_columns = columns.len();
    if words.values.len() != n_columns {
        let rest = words.values.get(n_columns).map(|value| rest_from(line, value));
        return Err(Miss::at(
            rest.unwrap_or_default(),
            "as many values as the line above names columns",
        ));
    }
    let mut draft = Draft::default();
    let (mut date, mut clock) = (day, None);
    for (column, value) in columns.iter().zip(words.values.iter().copied()) {
        let Some(value) = present(value).filter(|value| *value != b"(empty)") else { continue };
        let holds = column.borrow().holds(ids);
        let is_good = match &*holds {
            Holds::Day => {
                date = value;
                true
            }
            Holds::TimeOfDay | Holds::LocalTimeOfDay => {
                clock = Some((value, *holds == Holds::LocalTimeOfDay));
                true
            }
            Holds::Address => put_address(&mut draft, value),
            Holds::Other(slot, rank) => {
                draft.put(slot, *rank, value.into(), escape(slot, words.has_tabs, line))
            }
        };
        if !is_good {
            return Err(Miss::at(rest_from(line, value), expected(&holds)));
        }
    }
    if let Some((clock, is_local)) = clock {
        put_time(&mut draft, date, clock, is_local)
            .ok_or_else(|| Miss::at(rest_from(line, clock), "a time of day"))?;
    }
    if !draft.has_request() && !draft.has_client() {
        return Err(Miss::at_end("a column for the request or the client"));
    }
    Ok(draft.finish())
}

/// Stores a time of day; without a day, the record gets no time.
fn put_time(draft: &mut Draft<'_>, date: &[u8], clock: &[u8], is_local: bool) -> Option<()> {
    time::of_day(b"1970-01-01", clock)?;
    if let Some(time) = time::of_day(date, clock) {
        draft.time(3, Time { is_local, ..time });
    }
    Some(())
}

/// Stores a path or URL; the host of `host/path` is stored separately.
fn put_address<'a>(draft: &mut Draft<'a>, value: &'a [u8]) -> bool {
    let is_whole = value.starts_with(b"/") || memchr::memmem::find(value, b"://").is_some();
    let slash = memchr::memchr(b'/', value).filter(|_| !is_whole);
    let (host, target) = value.split_at_checked(slash.unwrap_or(0)).unwrap_or((b"", value));
    let is_host = host.contains(&b'.') || client::parse_address(host).is_some();
    let (host, target) = if is_host { (host, target) } else { (&b""[..], value) };
    draft.put(&Slot::Part(Part::Host), 1, host.into(), Escape::None)
        && draft.put(&Slot::Part(Part::Target), 2, target.into(), Escape::None)
}

/// Returns how a value was escaped. Paths and queries stay as they were sent: a `+` in them is literal. So is one in a
/// credential, whose base64 has it, but not the one behind its scheme.
fn escape(slot: &Slot, has_tabs: bool, line: &[u8]) -> Escape {
    let is_text = match slot {
        Slot::Part(part) => matches!(part, Part::Agent | Part::User),
        Slot::Header(name) => name == "cookie",
        _ => false,
    };
    let is_authorization =
        matches!(slot, Slot::Header(name) if names::AUTHORIZATIONS.contains(&&**name));
    match () {
        // Zeek's first column is an epoch; it writes unprintable bytes as \xHH.
        () if has_tabs && line.get(4) != Some(&b'-') => Escape::Backslash,
        () if has_tabs && (is_text || *slot == Slot::Part(Part::Referer)) => Escape::Percent,
        () if is_text => Escape::Plus,
        () if is_authorization => Escape::Scheme,
        () => Escape::None,
    }
}

fn expected(holds: &Holds) -> &'static str {
    match holds {
        Holds::Other(Slot::Part(Part::Time), _) => "a time",
        Holds::Other(Slot::Part(Part::Status), _) => "a status",
        Holds::Other(Slot::Part(Part::Bytes), _) => "a number of bytes",
        _ => "a value",
    }
}

/// Returns `line` from where `value`, a part of it, begins.
fn rest_from<'a>(line: &'a [u8], value: &[u8]) -> &'a [u8] {
    let at = (value.as_ptr() as usize).saturating_sub(line.as_ptr() as usize);
    line.get(at..).unwrap_or_default()
}

/// Returns whether a line begins with a day or, if tabs separate it, with an epoch, like lines with columns.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\"").unwrap_or(line);
    match line {
        [y, _, _, _, b'-', _, _, b'-', _, _, rest @ ..] => {
            y.is_ascii_digit() && is_clock_next(rest)
        }
        [h, _, b':', _, _, b':', _, _, b' ', ..] => h.is_ascii_digit(),
        [e, ..] if e.is_ascii_digit() => {
            line.get(..24).is_some_and(|head| head.contains(&b'\t') && head.contains(&b'.'))
        }
        _ => false,
    }
}

/// Returns whether a time of day follows the day, and something other than a colon follows the time.
fn is_clock_next(rest: &[u8]) -> bool {
    let ([b' ' | b'\t', clock @ ..] | [b'"', b' ', b'"', clock @ ..]) = rest else { return false };
    matches!(clock, [_, _, b':', _, _, b':', _, _, end, ..] if *end != b':')
}

/// Parses a line without any directives.
pub(super) fn read<'a>(line: &'a [u8], ids: &[SmolStr]) -> Result<Record<'a>, Miss> {
    Columns::default().read(line, ids)
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
