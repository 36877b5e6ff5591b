//! Removes the envelopes of a line until its contents can be parsed.

use smol_str::SmolStr;

use super::columns::Columns;
use super::combined::{self, Tail};
use super::family::{FAMILIES, Family, TIMELESS};
use super::format::Parser;
use super::json::{self, Cut, Sealed};
use super::scan::{Miss, word};
use super::syslog::{self, Envelope};
use super::time::Time;
use super::{Record, Reject, utf16};
use crate::engine::line::unmarked;

/// The deepest nesting of envelopes: a container's around a syslog daemon's.
const MAX_ENVELOPES: usize = 3;

/// Parses a line under the columns that lines above it name.
pub(super) fn read<'a>(
    parser: &Parser,
    line: &'a [u8],
    ids: &[SmolStr],
    columns: &Columns,
) -> Result<Record<'a>, Reject> {
    let around = || Around { columns, ids, lent: None, depth: MAX_ENVELOPES };
    let text = unmarked(line);
    // Inspected in place: a record is 400 bytes, and each `?` would move it.
    let mut read = parser.read(text, around());
    if let Err(reject) = &mut read {
        reject.column += line.len() - text.len();
    }
    if read.is_err()
        && let Some(text) = utf16::decoded(line)
    {
        let record = parser.read(&text, around()).map(Record::into_owned);
        // Columns in the decoded text differ from those in the given line.
        read = record.map_err(|reject| Reject { column: 1, ..reject });
    }
    if let Ok(record) = &mut read {
        if let Some(lack) = &mut record.lack {
            lack.column = line.len() + 1;
        }
        record.is_unanswered |= record.status == Some(NO_ANSWER);
        record.status = record.status.filter(|status| *status != NO_ANSWER);
    }
    if read.as_ref().is_ok_and(|record| record.time.is_none() && record.may_hold_token()) {
        // Nobody could judge its token without a time, and skipping it silently would lose the token.
        read = Err(Miss::at_end(NO_TIME).reject(line));
    }
    read
}

/// The status of a request to which no answer was sent: `000` of nginx, Squid and CloudFront, `0` in JSON.
const NO_ANSWER: u16 = 0;

/// The missing time of a line, and what to do about it.
const NO_TIME: &str = "a time: use a format that has one, or log through an envelope that has (syslog, a \
     container runtime, the journal)";

/// What is expected if a server's line is in an application's message.
const SHIPPED: &str = "a shipper's keys beside the message (stream, log.file.path, kubernetes, syslogtag) and no logger's \
     (level): it may be a client's text";

impl Parser {
    /// Parses a line in its envelopes. Terminal colours are removed if they are at either end of the line, or if
    /// the line cannot be parsed with them.
    fn read<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        let line = self.without_blanks(line);
        let plain = || {
            let plain = syslog::uncoloured(line)?;
            let record = self.read(&plain, around.within(None)?);
            // Columns in a line without colours differ from those in the given line.
            Some(record.map(Record::into_owned).map_err(|reject| Reject { column: 1, ..reject }))
        };
        // morgan's dev has colours of its own, which its parser skips.
        let is_own = || TIMELESS.iter().any(|family| (family.is_likely)(line));
        if syslog::is_coloured(line)
            && !is_own()
            && let Some(record) = plain()
        {
            return record;
        }
        let otherwise = || plain().or_else(|| self.indented(line, around));
        self.enveloped(line, around).or_else(|reject| otherwise().unwrap_or(Err(reject)))
    }

    /// Removes the line ends that a line still has, and blanks behind a quote, which would not be taken for the last
    /// field's. Other blanks may be an empty column; in a template, those behind a quote, too.
    fn without_blanks<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        let text = line.trim_ascii_end();
        if text.ends_with(b"\"") && !matches!(self, Self::Template(_)) {
            return text;
        }
        let length = line.iter().rposition(|byte| *byte != b'\r').map_or(0, |at| at + 1);
        line.get(..length).unwrap_or_default()
    }

    /// Parses a line behind the spaces at its beginning, in a format that the site has named. Programs indent what
    /// continues a message, which may be a client's text; behind a tab, as most do, nothing is read at all.
    fn indented<'a>(
        &self,
        line: &'a [u8],
        around: Around<'_>,
    ) -> Option<Result<Record<'a>, Reject>> {
        let shift = line.iter().take_while(|byte| **byte == b' ').count();
        let is_named = !matches!(self, Self::Auto(_));
        let inside =
            line.get(shift..).filter(|inside| is_named && shift > 0 && !inside.is_empty())?;
        let shifted = |reject: Reject| Reject { column: reject.column + shift, ..reject };
        Some(self.read(inside, around).map_err(shifted))
    }

    /// Parses a line without colours. A line that begins like an envelope is one, unless it begins like a line of a
    /// family. The combined family accepts any text after a client's name, so it would read `Oct 11 ...` as one.
    fn enveloped<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        let is_template = matches!(self, Self::Template(_));
        let is_own = || FAMILIES.iter().any(|family| (family.is_likely)(line));
        if !is_template && syslog::is_likely(line) && !is_own() {
            if syslog::is_part(line) {
                return Err(Cut::InParts.reject());
            }
            return self
                .peeled(line, around)
                .or_else(|inner| self.bare(line, around).map_err(|outer| furthest(inner, outer)));
        }
        match self.bare(line, around) {
            Ok(record) => Ok(record),
            Err(outer) => self.peeled(line, around).map_err(|inner| furthest(inner, outer)),
        }
    }

    /// Parses the contents of the line's envelope. A line without a time gets that of the innermost envelope that
    /// has one: when the line was written, which is when its request was answered.
    fn peeled<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        let none = Reject::new(0, "", "");
        if line.first() == Some(&b'{') {
            return self.unsealed(line, around).unwrap_or(Err(none));
        }
        if syslog::is_field(line) {
            return Err(Reject::new(1, "a journal's MESSAGE=", "another field of it"));
        }
        let envelope = syslog::peel(line, around.columns).ok_or_else(|| none.clone())?;
        let Envelope { line: inside, time, .. } = envelope;
        let shift = line.len() - inside.len();
        self.read(inside, around.within(time).ok_or(none)?)
            .map(|record| lend(record, &envelope))
            .map_err(|reject| Reject { column: reject.column + shift, ..reject })
    }

    /// Parses the contents of an object; `None` if they cannot be a line.
    fn unsealed<'a>(
        &self,
        line: &'a [u8],
        around: Around<'_>,
    ) -> Option<Result<Record<'a>, Reject>> {
        let sealed = json::envelope(line)?;
        let is_text = matches!(sealed, Sealed::Text(_));
        let envelope = match sealed {
            Sealed::Cut(cut) => return Some(Err(cut.reject())),
            Sealed::Line(envelope) | Sealed::Text(envelope) => envelope,
        };
        match self.read(&envelope.line, around.within(envelope.time)?) {
            Ok(_) if is_text => Some(Err(Reject::new(1, SHIPPED, "a message that is a line"))),
            Err(_) if is_text => None,
            Ok(record) => Some(Ok(lend(record.into_owned(), &envelope))),
            // The inner line is escaped, so its columns differ from those of the given line.
            Err(reject) => Some(Err(Reject { column: 1, ..reject })),
        }
    }

    /// Parses a line without an envelope.
    #[inline]
    fn bare<'a>(&self, line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Reject> {
        if self.is_directive(line) {
            return Err(directive());
        }
        match self {
            Self::Auto(own) => auto(line, own, around),
            Self::Columns => around.columns.read(line, around.ids).map_err(|m| m.reject(line)),
            Self::Combined(tail) => combined::read(line, *tail).map_err(|m| m.reject(line)),
            Self::Family(family) => family.read(line, around.ids).map_err(|m| m.reject(line)),
            Self::Timeless(family) => {
                timeless(family, line, around.lent).map_err(|m| m.reject(line))
            }
            Self::Errors => errors(line, around).map_err(|miss| miss.reject(line)),
            Self::Json(own) => json::read(line, own, around.lent),
            Self::Template(template) => template.read(line),
        }
    }
}

/// What is known about a line before it is parsed.
#[derive(Clone, Copy)]
struct Around<'c> {
    /// The directives above it.
    columns: &'c Columns,
    /// The site's own names of fields that contain a token's id.
    ids: &'c [SmolStr],
    /// The time from its envelopes.
    lent: Option<Time>,
    /// How many more envelopes it may have.
    depth: usize,
}

impl Around<'_> {
    /// Returns the context inside one more envelope, which may have a time; `None` at the limit.
    fn within(self, time: Option<Time>) -> Option<Self> {
        let depth = self.depth.checked_sub(1)?;
        Some(Self { lent: time.or(self.lent), depth, ..self })
    }
}

/// Returns the reject of a directive. To count rejects, call [`Format::is_silent`](super::Format::is_silent) first.
fn directive() -> Reject {
    Reject::new(1, "a request", "a directive")
}

/// Gives a record without a time that of its envelope, and notes when the line was written: what the innermost envelope
/// says of it, which is closest to the server.
fn lend<'a, L>(mut record: Record<'a>, envelope: &Envelope<L>) -> Record<'a> {
    if let (None, Some(time)) = (record.time, envelope.time) {
        record.set_time(time);
    }
    record.written = record.written.or_else(|| envelope.written());
    record
}

/// Parses a line by its appearance. Formats with a distinctive beginning come before the combined family, which would
/// accept a forged `[time] "request" status` after many beginnings. Of several rejects, the one that got furthest
/// is returned.
#[inline]
fn auto<'a>(line: &'a [u8], own: &json::Own, around: Around<'_>) -> Result<Record<'a>, Reject> {
    if line.first() == Some(&b'{') {
        return json::read(line, own, around.lent);
    }
    let mut best: Option<Miss> = None;
    if around.columns.are_told() {
        match around.columns.read(line, around.ids) {
            Ok(record) => return Ok(record),
            Err(miss) => best = Some(miss),
        }
    }
    // Most lines begin with a client and a dash, which no family's lines do, so no family is tried.
    let families = if word(line).0.starts_with(b"- ") { &[] } else { FAMILIES };
    for family in families.iter().filter(|family| (family.is_likely)(line)) {
        match family.read(line, around.ids) {
            Ok(record) => return Ok(record),
            Err(miss) if miss.is_forged() => return Err(miss.reject(line)),
            Err(miss) => best = Some(best.map_or(miss, |best| best.further(miss))),
        }
    }
    for family in TIMELESS.iter().filter(|family| (family.is_likely)(line)) {
        match timeless(family, line, around.lent) {
            Ok(record) => return Ok(record),
            Err(miss) => best = Some(best.map_or(miss, |best| best.further(miss))),
        }
    }
    let miss = match combined::read(line, Tail::Combined) {
        Ok(record) => return Ok(record),
        // The combined family accepts any beginning, so the reject of a format that looked more likely wins.
        Err(miss) => best.unwrap_or(miss),
    };
    combined::read_bare(line).map_err(|_| miss.reject(line))
}

/// Parses a line of any error log.
fn errors<'a>(line: &'a [u8], around: Around<'_>) -> Result<Record<'a>, Miss> {
    let mut best = Miss::at(line, ERROR_LINE);
    for family in FAMILIES.iter().filter(|family| family.is_error && (family.is_likely)(line)) {
        match family.read(line, around.ids) {
            Ok(record) => return Ok(record),
            Err(miss) => best = best.further(miss),
        }
    }
    Err(best)
}

/// What is expected in an error log, and what to do about anything else.
const ERROR_LINE: &str = "a line of an error log, as the file is named: others may be a client's text; if they are not, \
     set the source's format";

/// Parses a line of a format without a time, which an envelope must have supplied.
fn timeless<'a>(family: &Family, line: &'a [u8], lent: Option<Time>) -> Result<Record<'a>, Miss> {
    let record = family.read(line, &[])?;
    match lent {
        Some(_) => Ok(record),
        None => Err(Miss::at_end(NO_TIME)),
    }
}

/// Returns the reject that recognised the line, else the one that got further; if equal, the first.
fn furthest(one: Reject, other: Reject) -> Reject {
    match (one.is_of_server(), other.is_of_server()) {
        (true, _) => one,
        (false, true) => other,
        (false, false) if one.column < other.column => other,
        (false, false) => one,
    }
}
