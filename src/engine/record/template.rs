//! Log formats that a site writes itself: nginx `log_format` and Apache `LogFormat` strings, compiled into a
//! flat list of steps, each a variable and the literal that ends it.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use smol_str::SmolStr;

use super::client::is_address_list;
use super::draft::{Draft, Escape, Part, Slot};
use super::names::is_same;
use super::scan::{Miss, quoted, status};
use super::syntax::{Piece, apache_pieces, bare_name, is_nginx, nginx_pieces};
use super::{Record, Reject, time};

/// Why a template cannot be compiled, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TemplateFault {
    /// Character position in the template, counted from 1.
    pub column: usize,
    /// What stands there.
    pub found: String,
    /// What could be read.
    pub expected: String,
    /// What to do about it.
    pub hint: String,
}

impl fmt::Display for TemplateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "column {}: found {}, expected {}; {}",
            self.column, self.found, self.expected, self.hint
        )
    }
}

impl std::error::Error for TemplateFault {}

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: Box<str>,
    /// The literal before the first variable.
    lead: Vec<u8>,
    steps: Vec<Step>,
}

/// One variable and how to find where it ends.
#[derive(Clone, Debug)]
struct Step {
    /// The variable as the template has it.
    written: Box<str>,
    /// The character at which it begins in the template, counted from 1.
    column: usize,
    slot: Slot,
    rank: u8,
    end: End,
    /// The literal behind it.
    after: Vec<u8>,
}

/// Where a variable ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// With the line.
    Line,
    /// At the quote that closes it; quotes inside are escaped, or not followed by what the template has next.
    Quote,
    /// Where the literal stands for the first time.
    First,
    /// Where the literal and then a status stand for the first time: a request without quotes.
    Status,
    /// Where the literals behind it, looked for from the end of the line, leave it: a user agent without quotes.
    Back,
    /// Before the first slash: a host that the path follows directly.
    Slash,
}

impl Template {
    /// Compiles an nginx `log_format` string.
    pub(super) fn nginx(template: &str) -> Result<Self, TemplateFault> {
        compile(template, nginx_pieces(template)?)
    }

    /// Compiles an Apache `LogFormat` string.
    pub(super) fn apache(template: &str) -> Result<Self, TemplateFault> {
        compile(template, apache_pieces(template)?)
    }

    /// Reads the variables of these names as ids of tokens, unless they are parts of a record.
    pub(super) fn name_ids(&mut self, names: &[SmolStr]) {
        for step in self.steps.iter_mut().filter(|step| !matches!(step.slot, Slot::Part(_))) {
            let own = bare_name(&step.written);
            if names.iter().any(|name| is_same(name.as_bytes(), own.as_bytes())) {
                step.slot = Slot::Id(Cow::Owned(own.to_owned()));
            }
        }
    }

    /// Returns the template.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Reads a line. One that ends early is taken as far as it goes, if it has the status.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        let reject = |rest: usize, expected: Cow<'static, str>, column| Reject {
            expected,
            template: Some(column),
            ..Miss { rest, expected: "" }.reject(line)
        };
        let Some(mut rest) = line.strip_prefix(&self.lead[..]) else {
            return Err(reject(line.len(), quote(&self.lead).into(), 1));
        };
        let mut draft = Draft::default();
        for (at, step) in self.steps.iter().enumerate() {
            let later = self.steps.get(at + 1..).unwrap_or_default();
            let (raw, after) = match step.cut(rest, later) {
                Some(cut) => cut,
                None if draft.has_status() && step.is_cut_short(rest) => step.last(rest),
                None => {
                    let (left, expected) = step.parting(rest);
                    return Err(reject(left, expected.into(), step.end_column()));
                }
            };
            if let Some(at) = step.surplus(raw) {
                let expected = "the end of the line, where the template ends".into();
                let column = self.text.chars().count() + 1;
                return Err(reject(rest.len() - at, expected, column));
            }
            if !step.may_be(raw)
                || !draft.put(&step.slot, step.rank, Cow::Borrowed(raw), Escape::Backslash)
            {
                return Err(reject(rest.len(), step.expected().into(), step.column));
            }
            rest = after;
        }
        if rest.is_empty() {
            return Ok(draft.finish());
        }
        let end = self.text.chars().count() + 1;
        Err(reject(rest.len(), "the end of the line, where the template ends".into(), end))
    }

    /// Returns the variables that a line fills, and their values, up to where the two part.
    pub(super) fn trail<'a>(&self, line: &'a [u8]) -> Vec<(&str, &'a [u8])> {
        let mut rest = line.strip_prefix(&self.lead[..]).unwrap_or_default();
        let mut trail = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let later = self.steps.get(at + 1..).unwrap_or_default();
            let Some((value, after)) = step.cut(rest, later) else { break };
            let is_good = Draft::default().put(
                &step.slot,
                step.rank,
                Cow::Borrowed(value),
                Escape::Backslash,
            );
            if !is_good {
                break;
            }
            trail.push((&*step.written, value));
            rest = after;
        }
        trail
    }
}

impl Step {
    /// Cuts the value off: the value, and the rest behind the literal.
    fn cut<'a>(&self, rest: &'a [u8], later: &[Self]) -> Option<(&'a [u8], &'a [u8])> {
        let length = match self.end {
            End::Line => rest.len(),
            End::Quote => {
                let next = self.after.get(1..).unwrap_or_default();
                if later.is_empty() {
                    // Both servers escape a quote inside: the first bare one closes the last value.
                    let (behind, inside) = quoted(rest, |_| true)?;
                    return (behind == next).then_some((inside.raw, &b""[..]));
                }
                quoted(rest, |r| r.starts_with(next))?.1.raw.len()
            }
            End::First if self.slot == Slot::Part(Part::Time) => self.length_of_time(rest)?,
            End::First => memmem::find(rest, &self.after)?,
            End::Status => self.length_to_status(rest, later)?,
            End::Back => self.length_from_back(rest, later)?,
            End::Slash => memchr::memchr(b'/', rest).unwrap_or(rest.len()),
        };
        Some((rest.get(..length)?, rest.get(length + self.after.len()..)?))
    }

    /// A time may hold what ends it, a space before its zone: of two ends, the later that leaves a time.
    fn length_of_time(&self, rest: &[u8]) -> Option<usize> {
        let ends = memmem::find_iter(rest, &self.after).take(2);
        let is_time = |end: &usize| rest.get(..*end).is_some_and(|text| time::read(text).is_some());
        ends.filter(is_time).last().or_else(|| memmem::find(rest, &self.after))
    }

    /// Says whether the line may have ended in this value: what is left of it holds nothing that the template
    /// does not have here.
    fn is_cut_short(&self, rest: &[u8]) -> bool {
        match self.end {
            End::Quote => {
                let next = self.after.get(1..).unwrap_or_default();
                quoted(rest, |_| true).is_none_or(|(behind, _)| next.starts_with(behind))
            }
            _ => self.is_spacious() || !rest.contains(&b' '),
        }
    }

    /// Takes the value that the line ends in, without the quote that closes it.
    fn last<'a>(&self, rest: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        let inside = (self.end == End::Quote).then(|| quoted(rest, |_| true)).flatten();
        (inside.map_or(rest, |(_, inside)| inside.raw), b"")
    }

    /// Where the last value is over and the line is not: a status or a number holds no space.
    fn surplus(&self, value: &[u8]) -> Option<usize> {
        let is_word = matches!(
            self.slot,
            Slot::Part(Part::Status | Part::Bytes | Part::Client) | Slot::Id(_) | Slot::Skip
        );
        let at = memchr::memchr(b' ', value).filter(|_| self.end == End::Line && is_word)?;
        let is_list = self.slot == Slot::Part(Part::Client) && is_address_list(value);
        let word = Cow::Borrowed(value.get(..at)?);
        let is_value = Draft::default().put(&self.slot, self.rank, word, Escape::Backslash);
        (is_value && !is_list).then_some(at)
    }

    /// Says whether a value can be one of this variable: an address, which may stand in a list, has no space.
    fn may_be(&self, value: &[u8]) -> bool {
        self.slot != Slot::Part(Part::Client) || !value.contains(&b' ') || is_address_list(value)
    }

    fn length_to_status(&self, rest: &[u8], later: &[Self]) -> Option<usize> {
        let next = later.first().map_or(&b""[..], |step| &step.after);
        let has_size = later.get(1).is_some_and(|step| step.slot == Slot::Part(Part::Bytes));
        memmem::find_iter(rest, &self.after).find(|at| {
            let Some(behind) = rest.get(at + self.after.len()..) else { return false };
            let Some((code, behind)) = behind.split_at_checked(3) else { return false };
            let Some(behind) = behind.strip_prefix(next) else {
                return behind.is_empty() && status(code).is_some();
            };
            let is_size = |b: &u8| b.is_ascii_digit() || *b == b'-';
            status(code).is_some() && (!has_size || behind.first().is_none_or(is_size))
        })
    }

    fn length_from_back(&self, rest: &[u8], later: &[Self]) -> Option<usize> {
        let (last, between) = later.split_last()?;
        let mut text = rest.strip_suffix(&last.after[..])?;
        for step in between.iter().rev().chain([self]) {
            text = text.get(..memmem::rfind(text, &step.after)?)?;
        }
        Some(text.len())
    }

    /// The character in the template behind the variable.
    fn end_column(&self) -> usize {
        self.column + self.written.chars().count()
    }

    /// Says what the value should have been.
    fn expected(&self) -> &'static str {
        match self.slot {
            Slot::Part(Part::Time) => "a time",
            Slot::Part(Part::Client) => "an address or a name",
            Slot::Part(Part::Status) => "a status",
            Slot::Part(Part::Bytes) => "a number of bytes",
            _ => "a value",
        }
    }

    /// Says what should have stood behind the value, and how much of `rest` is left where it should have:
    /// behind a word, or at the end, if the value may hold spaces.
    fn parting(&self, rest: &[u8]) -> (usize, String) {
        if self.end == End::Quote
            && let Some((behind, _)) = quoted(rest, |_| true)
        {
            let next = self.after.get(1..).unwrap_or_default();
            let end = "the end of the line, where the template ends".to_owned();
            let expected = if next.is_empty() {
                end
            } else {
                format!("{} after {}", quote(next), self.written)
            };
            return (behind.len(), expected);
        }
        let is_end = |b: &u8| matches!(b, b' ' | b'\t' | b'"' | b']' | b',' | b'|');
        let word = rest.iter().position(is_end).unwrap_or(rest.len());
        let left = if self.is_spacious() { 0 } else { rest.len() - word };
        (left, format!("{} after {}", quote(&self.after), self.written))
    }

    /// Says whether the value may hold spaces.
    fn is_spacious(&self) -> bool {
        match &self.slot {
            Slot::Part(part) => matches!(part, Part::Request | Part::Agent | Part::User),
            Slot::Header(_) | Slot::Named(_) | Slot::Unnamed => true,
            Slot::Cookie(_) | Slot::Id(_) | Slot::Skip => false,
        }
    }
}

/// Shows a literal.
fn quote(literal: &[u8]) -> String {
    let mark = if literal.contains(&b'\'') { '"' } else { '\'' };
    format!("{mark}{}{mark}", String::from_utf8_lossy(literal))
}

fn compile(template: &str, pieces: Vec<Piece>) -> Result<Template, TemplateFault> {
    let has_time = |p: &Piece| matches!(p, Piece::Variable { slot: Slot::Part(Part::Time), .. });
    if !pieces.iter().any(has_time) {
        return Err(no_time(template));
    }
    let mut lead = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => match steps.last_mut() {
                Some(step) => step.after.extend(text),
                None => lead.extend(text),
            },
            Piece::Variable { slot, rank, name, column } => {
                if let Some(last) = steps.last_mut().filter(|step| step.after.is_empty()) {
                    match (&last.slot, &slot) {
                        // The path and its query are printed side by side: `%U%q`, `$uri$is_args$args`.
                        (Slot::Part(Part::Target | Part::Query), Slot::Part(Part::Query)) => {
                            continue;
                        }
                        (Slot::Part(Part::Host), Slot::Part(Part::Target)) => last.end = End::Slash,
                        _ => return Err(adjacent(&name, column)),
                    }
                }
                let written = name.into();
                steps.push(Step {
                    written,
                    column,
                    slot,
                    rank,
                    end: End::First,
                    after: Vec::new(),
                });
            }
        }
    }
    set_ends(&lead, &mut steps);
    Ok(Template { text: template.into(), lead, steps })
}

/// Decides for each step how its end is found.
fn set_ends(lead: &[u8], steps: &mut [Step]) {
    let mut is_quoted = lead.ends_with(b"\"");
    let mut quoted = Vec::with_capacity(steps.len());
    for step in steps.iter() {
        quoted.push(is_quoted && step.after.starts_with(b"\""));
        is_quoted = step.after.ends_with(b"\"");
    }
    // From the end, since only the last loose value can be found from there.
    let mut is_last_loose = true;
    let mut has_quote_behind = false;
    let mut is_status_behind = false;
    for at in (0..steps.len()).rev() {
        let is_last = at + 1 == steps.len();
        let (Some(step), Some(is_quoted)) = (steps.get_mut(at), quoted.get(at)) else { return };
        let is_loose = step.after == b" " && step.is_spacious() && !is_quoted;
        step.end = match step.end {
            End::Slash => End::Slash,
            _ if *is_quoted => End::Quote,
            _ if is_last && step.after.is_empty() => End::Line,
            _ if is_loose && is_status_behind => End::Status,
            _ if is_loose && is_last_loose && !has_quote_behind && !is_last => End::Back,
            _ => End::First,
        };
        is_last_loose &= !(is_loose || step.end == End::Line && step.is_spacious());
        has_quote_behind |= *is_quoted;
        is_status_behind = step.slot == Slot::Part(Part::Status);
    }
}

fn adjacent(name: &str, column: usize) -> TemplateFault {
    TemplateFault {
        column,
        found: format!("{name} with nothing before it to end the last variable"),
        expected: "some text between two variables".to_owned(),
        hint: "put a space or quotes between them in the server's configuration".to_owned(),
    }
}

pub(super) fn no_time(template: &str) -> TemplateFault {
    let time = if is_nginx(template) { "$time_local, $time_iso8601 or $msec" } else { "%t" };
    TemplateFault {
        column: 1,
        found: "no variable for the time".to_owned(),
        expected: time.to_owned(),
        hint: "a line without its time cannot be judged; add the time to the server's log format"
            .to_owned(),
    }
}
