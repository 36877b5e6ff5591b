//! Log formats defined by a site: nginx `log_format` and Apache `LogFormat` strings, compiled into a flat list of
//! steps, each a variable and the literal that ends it.

use std::borrow::Cow;

use memchr::memmem;
use smol_str::SmolStr;

use super::client::{is_address_list, is_between_hops};
use super::draft::{Draft, Escape, Part, Slot};
use super::names::is_same;
use super::scan::{Miss, present, quoted, status, unescaped_quoted};
use super::strftime::{Moments, Pattern};
use super::syntax::{Piece, Variable, apache_pieces, bare_name, nginx_pieces};
use super::template_fault::{TemplateFault, adjacent, no_time, part_of_time};
use super::{Record, Reject, time, upstreams};

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
    /// The variable as written in the template.
    written: Box<str>,
    /// The character at which it begins in the template, counted from 1.
    column: usize,
    slot: Slot,
    rank: u8,
    pattern: Option<Pattern>,
    escape: Escape,
    end: End,
    /// The literal after it.
    after: Vec<u8>,
}

/// Where a variable ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// At the end of the line.
    Line,
    /// At the closing quote; quotes inside are escaped, or not followed by the template's next literal.
    Quote,
    /// At the first occurrence of the literal.
    First,
    /// At the first occurrence of the literal followed by a status: a request without quotes.
    Status,
    /// Before the later literals, searched for from the end of the line: a user agent without quotes.
    Back,
    /// Before the first slash: a host that the path follows directly.
    Slash,
    /// Where its pattern ends: a time of Apache's.
    Pattern,
    /// Where its list ends: nginx's values of several upstream servers.
    List,
    /// At the first occurrence of the literal that no comma precedes: hops without quotes.
    Hops,
    /// At the first occurrence of the literal followed by a time of Apache's: a text without quotes.
    Time,
}

impl Template {
    /// Compiles an nginx `log_format` string.
    pub(super) fn nginx(template: &str, escape: Escape) -> Result<Self, TemplateFault> {
        compile(template, nginx_pieces(template)?, escape)
    }

    /// Compiles an Apache `LogFormat` string.
    pub(super) fn apache(template: &str) -> Result<Self, TemplateFault> {
        compile(template, apache_pieces(template)?, Escape::Backslash)
    }

    /// Makes the variables with these names ids of tokens, unless they are parts of a record.
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

    /// Parses a line. One that ends early is read as far as it goes, provided that it has the status.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        let Some(mut rest) = line.strip_prefix(&self.lead[..]) else {
            return Err(reject(line, line.len(), quote(&self.lead), 1));
        };
        let mut draft = Draft::default();
        let mut moments = Moments::default();
        // Where the first part of a time is, in case all of them are absent.
        let mut time = None;
        for (at, step) in self.steps.iter().enumerate() {
            let later = self.steps.get(at + 1..).unwrap_or_default();
            let (raw, after) = match step.cut(rest, later) {
                Some(cut) => cut,
                None if draft.has_status() && step.is_cut_short(rest) => match step.last(rest) {
                    Some(whole) => (whole, &b""[..]),
                    None if step.slot == Slot::Part(Part::Agent) => (rest, &b""[..]),
                    // Half a secret is no token.
                    None => {
                        rest = b"";
                        break;
                    }
                },
                None => return Err(step.parting(line, rest)),
            };
            if let Some(at) = step.surplus(raw) {
                return Err(self.surplus(line, rest.len() - at));
            }
            if !step.may_be(raw) || !step.put(raw, &mut draft, &mut moments) {
                return Err(reject(line, rest.len(), step.expected(), step.column));
            }
            if step.pattern.is_some() {
                time = time.or(Some((rest.len(), step)));
            }
            rest = after;
        }
        if !rest.is_empty() {
            return Err(self.surplus(line, rest.len()));
        }
        match (moments.time(), time) {
            (Some(time), Some((_, step))) => {
                draft.time(step.rank, time);
            }
            (None, Some((left, step))) if !moments.is_empty() => {
                return Err(reject(line, left, step.expected(), step.column));
            }
            _ => {}
        }
        let mut record = draft.finish();
        if self.steps.iter().all(|step| step.slot != Slot::Part(Part::Client)) {
            record.take_last_hop();
        }
        Ok(record)
    }

    /// Returns the reject of a line that continues after the template's end.
    fn surplus(&self, line: &[u8], left: usize) -> Reject {
        reject(line, left, LINE_END, self.text.chars().count() + 1)
    }

    /// Returns the variables that match a line, with their values, up to the first mismatch.
    pub(super) fn trail<'a>(&self, line: &'a [u8]) -> Vec<(&str, &'a [u8])> {
        let mut rest = line.strip_prefix(&self.lead[..]).unwrap_or_default();
        let mut trail = Vec::new();
        for (at, step) in self.steps.iter().enumerate() {
            let later = self.steps.get(at + 1..).unwrap_or_default();
            let Some((value, after)) = step.cut(rest, later) else { break };
            if !step.put(value, &mut Draft::default(), &mut Moments::default()) {
                break;
            }
            trail.push((&*step.written, value));
            rest = after;
        }
        trail
    }
}

/// What is expected after everything in a template.
const LINE_END: &str = "the end of the line, where the template ends";

/// Returns the reject of a line that stops matching with `left` bytes left, at a column of the template.
fn reject(
    line: &[u8],
    left: usize,
    expected: impl Into<Cow<'static, str>>,
    column: usize,
) -> Reject {
    let miss = Miss { rest: left, expected: "" }.reject(line);
    Reject { expected: expected.into(), template: Some(column), ..miss }
}

impl Step {
    fn new(variable: Variable, escape: Escape) -> Self {
        let Variable { name, column, mut slot, rank, pattern } = variable;
        let end = End::First;
        if slot == Slot::Part(Part::Time) && pattern.is_none() && name.starts_with('%') {
            // A time in an unknown notation, next to a known one.
            slot = Slot::Skip;
        }
        Self { written: name.into(), column, slot, rank, pattern, escape, end, after: Vec::new() }
    }

    /// Returns whether a variable that follows directly is separate, rather than printed as a part of this one.
    fn may_touch(&mut self, next: &Variable) -> Result<bool, TemplateFault> {
        match (&self.slot, &next.slot) {
            _ if self.pattern.is_some() => Ok(true),
            // The path and its query are printed next to each other: `%U%q`, `$uri$is_args$args`.
            (Slot::Part(Part::Target | Part::Query), Slot::Part(Part::Query)) => Ok(false),
            (Slot::Part(Part::Host), Slot::Part(Part::Target)) => {
                self.end = End::Slash;
                Ok(true)
            }
            _ => Err(adjacent(&next.name, next.column)),
        }
    }

    /// Splits off the value: returns it and the rest after the literal.
    fn cut<'a>(&self, rest: &'a [u8], later: &[Self]) -> Option<(&'a [u8], &'a [u8])> {
        let length = match self.end {
            End::Line => rest.len(),
            End::Quote => {
                let next = self.after.get(1..).unwrap_or_default();
                if later.is_empty() {
                    // A server that escapes quotes leaves none bare, so the first one closes the last value.
                    let is_first = self.escape != Escape::None;
                    let (behind, raw) = self.quoted(rest, |r| is_first || r == next)?;
                    return (behind == next).then_some((raw, &b""[..]));
                }
                self.quoted(rest, |r| r.starts_with(next))?.1.len()
            }
            End::First if self.slot == Slot::Part(Part::Time) => self.length_of_time(rest)?,
            End::First => memmem::find(rest, &self.after)?,
            End::Status => self.length_to_status(rest, later)?,
            End::Back => self.length_from_back(rest, later)?,
            End::Slash => memchr::memchr(b'/', rest).unwrap_or(rest.len()),
            End::Pattern => self.length_of_pattern(rest)?,
            End::List => self.length_of_list(rest)?,
            End::Hops => {
                memmem::find_iter(rest, &self.after).find(|at| !is_between_hops(rest, *at))?
            }
            End::Time => {
                let time = later.first()?.pattern.as_ref()?;
                memmem::find_iter(rest, &self.after).find(|at| {
                    let behind = rest.get(at + self.after.len()..).unwrap_or_default();
                    time.read(behind, &mut Moments::default()).is_some()
                })?
            }
        };
        Some((rest.get(..length)?, rest.get(length + self.after.len()..)?))
    }

    /// Splits off a quoted text after its opening quote: returns the rest and the text.
    fn quoted<'a>(
        &self,
        rest: &'a [u8],
        goes_on: impl Fn(&[u8]) -> bool,
    ) -> Option<(&'a [u8], &'a [u8])> {
        if self.escape == Escape::None {
            return unescaped_quoted(rest, goes_on);
        }
        quoted(rest, goes_on).map(|(behind, inside)| (behind, inside.raw))
    }

    /// Returns the length of a time. Apache prints a dash instead if a modifier excludes the status.
    fn length_of_pattern(&self, rest: &[u8]) -> Option<usize> {
        let length = self.pattern.as_ref()?.read(rest, &mut Moments::default());
        let length = length.or_else(|| rest.starts_with(b"-").then_some(1))?;
        rest.get(length..)?.starts_with(&self.after).then_some(length)
    }

    fn length_of_list(&self, rest: &[u8]) -> Option<usize> {
        let length = upstreams::length(rest);
        rest.get(length..)?.starts_with(&self.after).then_some(length)
    }

    /// Stores a value; returns `false` if it cannot be parsed as required.
    fn put<'a>(&self, raw: &'a [u8], draft: &mut Draft<'a>, moments: &mut Moments) -> bool {
        match &self.pattern {
            Some(_) if present(raw).is_none() => true,
            Some(pattern) => pattern.read(raw, moments) == Some(raw.len()),
            None => draft.put(&self.slot, self.rank, Cow::Borrowed(raw), self.escape),
        }
    }

    /// Returns the length of a time, which may contain the literal that ends it, such as the space before its zone:
    /// of two ends, the later one that leaves a time wins.
    fn length_of_time(&self, rest: &[u8]) -> Option<usize> {
        let ends = memmem::find_iter(rest, &self.after).take(2);
        let is_time = |end: &usize| rest.get(..*end).is_some_and(|text| time::read(text).is_some());
        ends.filter(is_time).last().or_else(|| memmem::find(rest, &self.after))
    }

    /// Returns whether the line may have been truncated within this value: the rest contains nothing that does not
    /// belong here.
    fn is_cut_short(&self, rest: &[u8]) -> bool {
        match self.end {
            End::Quote => {
                let next = self.after.get(1..).unwrap_or_default();
                self.quoted(rest, |_| true).is_none_or(|(behind, _)| next.starts_with(behind))
            }
            End::List => upstreams::length(rest) == rest.len(),
            _ => self.is_spacious() || !rest.contains(&b' '),
        }
    }

    /// Returns the value in which the line ends, if its closing quote shows that it is complete.
    fn last<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let inside = (self.end == End::Quote).then(|| self.quoted(rest, |_| true)).flatten();
        inside.map(|(_, inside)| inside)
    }

    /// Returns where the last value ends if the line goes on: a status or a number contains no space.
    fn surplus(&self, value: &[u8]) -> Option<usize> {
        let is_word = matches!(
            self.slot,
            Slot::Part(Part::Status | Part::Bytes | Part::Client)
                | Slot::Id(_)
                | Slot::Took(_)
                | Slot::Skip
        );
        if self.end != End::Line || !is_word {
            return None;
        }
        if upstreams::is_list(&self.written) {
            return Some(upstreams::length(value)).filter(|at| *at < value.len());
        }
        let at = memchr::memchr(b' ', value)?;
        let is_list = self.slot == Slot::Part(Part::Client) && is_address_list(value);
        let word = Cow::Borrowed(value.get(..at)?);
        let is_value = Draft::default().put(&self.slot, self.rank, word, Escape::Backslash);
        (is_value && !is_list).then_some(at)
    }

    /// Returns whether the variable can have this value: a client contains a space only if it is an address list.
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
        let before = between.iter().rev().chain([self]);
        for (step, next) in before.zip(later.iter().rev()) {
            let is_list = step.after == b" " && upstreams::is_list(&next.written);
            let end = if is_list {
                upstreams::space_before(text)
            } else {
                memmem::rfind(text, &step.after)
            };
            text = text.get(..end?)?;
        }
        Some(text.len())
    }

    /// Describes what the value should have been.
    fn expected(&self) -> &'static str {
        match self.slot {
            Slot::Part(Part::Time) => "a time",
            Slot::Part(Part::Client) => "an address or a name",
            Slot::Part(Part::Status) => "a status",
            Slot::Part(Part::Bytes) => "a number of bytes",
            _ => "a value",
        }
    }

    /// Describes what should have followed the value: at its end, after a word, or at the end of the line if the
    /// value may contain spaces.
    fn parting(&self, line: &[u8], rest: &[u8]) -> Reject {
        if self.end == End::Quote
            && let Some((behind, _)) = self.quoted(rest, |_| true)
        {
            let next = self.after.get(1..).unwrap_or_default();
            return self.missing(line, behind.len(), next);
        }
        if let Some(pattern) = &self.pattern {
            return match pattern.read(rest, &mut Moments::default()) {
                Some(length) => self.missing(line, rest.len() - length, &self.after),
                None => reject(line, rest.len(), self.expected(), self.column),
            };
        }
        let is_end = |b: &u8| matches!(b, b' ' | b'\t' | b'"' | b']' | b',' | b'|');
        let word = rest.iter().position(is_end).unwrap_or(rest.len());
        let left = if self.is_spacious() { 0 } else { rest.len() - word };
        self.missing(line, left, &self.after)
    }

    /// Returns the reject of a missing literal after the value.
    fn missing(&self, line: &[u8], left: usize, literal: &[u8]) -> Reject {
        let column = self.column + self.written.chars().count();
        if literal.is_empty() {
            return reject(line, left, LINE_END, column);
        }
        reject(line, left, format!("{} after {}", quote(literal), self.written), column)
    }

    /// Returns whether the value may contain spaces.
    fn is_spacious(&self) -> bool {
        match &self.slot {
            Slot::Part(part) => matches!(part, Part::Request | Part::Agent | Part::User),
            Slot::Header(_) | Slot::Named(_) | Slot::Variable(_) => true,
            Slot::OfServer | Slot::Unnamed => true,
            _ => false,
        }
    }
}

/// Formats a literal for an error.
fn quote(literal: &[u8]) -> String {
    let mark = if literal.contains(&b'\'') { '"' } else { '\'' };
    format!("{mark}{}{mark}", String::from_utf8_lossy(literal))
}

fn compile(template: &str, pieces: Vec<Piece>, escape: Escape) -> Result<Template, TemplateFault> {
    check_time(template, &pieces)?;
    let mut lead = Vec::new();
    let mut steps: Vec<Step> = Vec::new();
    for piece in pieces {
        match piece {
            Piece::Literal(text) => match steps.last_mut() {
                Some(step) => step.after.extend(text),
                None => lead.extend(text),
            },
            Piece::Variable(variable) => {
                let last = steps.last_mut().filter(|step| step.after.is_empty());
                if last.map_or(Ok(true), |last| last.may_touch(&variable))? {
                    steps.push(Step::new(variable, escape));
                }
            }
        }
    }
    set_ends(&lead, &mut steps);
    Ok(Template { text: template.into(), lead, steps })
}

/// Requires a time: a complete one, or parts that make one.
fn check_time(template: &str, pieces: &[Piece]) -> Result<(), TemplateFault> {
    let mut moments = Moments::default();
    let mut first = None;
    for piece in pieces {
        let Piece::Variable(variable) = piece else { continue };
        if variable.slot != Slot::Part(Part::Time) {
            continue;
        }
        match &variable.pattern {
            Some(pattern) => pattern.promise(&mut moments),
            None if variable.name.starts_with('$') => return Ok(()),
            None => {}
        }
        first = first.or(Some(variable));
    }
    match first {
        _ if moments.time().is_some() => Ok(()),
        Some(variable) => Err(part_of_time(variable)),
        None => Err(no_time(template)),
    }
}

/// Chooses for each step how its end is found.
fn set_ends(lead: &[u8], steps: &mut [Step]) {
    let mut is_quoted = lead.ends_with(b"\"");
    let mut quoted = Vec::with_capacity(steps.len());
    for step in steps.iter() {
        quoted.push(is_quoted && step.after.starts_with(b"\""));
        is_quoted = step.after.ends_with(b"\"");
    }
    // Backwards, since only the last loose value can be found from the end of the line.
    let mut is_last_loose = true;
    let mut has_quote_behind = false;
    let mut is_status_behind = false;
    let mut is_pattern_behind = false;
    for at in (0..steps.len()).rev() {
        let is_last = at + 1 == steps.len();
        let (Some(step), Some(is_quoted)) = (steps.get_mut(at), quoted.get(at)) else { return };
        let is_loose = step.after == b" " && step.is_spacious() && !is_quoted;
        step.end = match step.end {
            End::Slash => End::Slash,
            _ if step.pattern.is_some() => End::Pattern,
            _ if *is_quoted => End::Quote,
            _ if is_last && step.after.is_empty() => End::Line,
            _ if upstreams::is_list(&step.written) && upstreams::is_ended_by(&step.after) => {
                End::List
            }
            _ if is_loose && step.slot.is_hops() => End::Hops,
            _ if is_loose && is_status_behind => End::Status,
            _ if is_loose && is_pattern_behind => End::Time,
            _ if is_loose && is_last_loose && !has_quote_behind && !is_last => End::Back,
            _ => End::First,
        };
        is_last_loose &= !(is_loose || step.end == End::Line && step.is_spacious());
        has_quote_behind |= *is_quoted;
        is_status_behind = step.slot == Slot::Part(Part::Status);
        is_pattern_behind = step.pattern.is_some();
    }
}
