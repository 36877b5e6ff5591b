//! One variable of a template: where its value ends, and which values it may have.

use std::borrow::Cow;

use memchr::memmem;

use super::client::{is_address_list, is_between_hops, last_hop};
use super::draft::{Draft, Part, Slot};
use super::escape::Escape;
use super::scan::{Miss, last_word, present, quoted, status, unescaped_quoted};
use super::strftime::{Moments, Pattern};
use super::syntax::Variable;
use super::template_fault::{TemplateFault, adjacent};
use super::{Reject, time, upstreams};

/// One variable and how to find where it ends.
#[derive(Clone, Debug)]
pub(super) struct Step {
    /// The variable as written in the template.
    pub(super) written: Box<str>,
    /// The character at which it begins in the template, counted from 1.
    pub(super) column: usize,
    pub(super) slot: Slot,
    pub(super) rank: u8,
    pub(super) pattern: Option<Pattern>,
    pub(super) escape: Escape,
    pub(super) end: End,
    /// The literal after it.
    pub(super) after: Vec<u8>,
}

/// Where a variable ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
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

impl Step {
    pub(super) fn new(variable: Variable, escape: Escape) -> Self {
        let Variable { name, column, mut slot, rank, pattern } = variable;
        let end = End::First;
        if slot == Slot::Part(Part::Time) && pattern.is_none() && name.starts_with('%') {
            // A time in an unknown notation, next to a known one.
            slot = Slot::Skip;
        }
        Self { written: name.into(), column, slot, rank, pattern, escape, end, after: Vec::new() }
    }

    /// Returns whether a variable that follows directly is separate, rather than printed as a part of this one.
    pub(super) fn may_touch(&mut self, next: &Variable) -> Result<bool, TemplateFault> {
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
    pub(super) fn cut<'a>(&self, rest: &'a [u8], later: &[Self]) -> Option<(&'a [u8], &'a [u8])> {
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
            End::Hops => self.length_of_hops(rest)?,
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

    /// Returns the length of a list of hops. A client may have written words into it, but its proxy added a comma and
    /// an address, which the dash of an absent field may follow. Otherwise it ends at the first space that is not
    /// between two hops.
    fn length_of_hops(&self, rest: &[u8]) -> Option<usize> {
        let near = rest.get(..memchr::memchr(b'"', rest).unwrap_or(rest.len()))?;
        let mut spaces = memmem::find_iter(near, &self.after);
        let is_end = |at: &usize| {
            let (hops, behind) = near.split_at(*at);
            let (before, hop) = last_word(hops);
            let is_added = before.is_empty() || hop.contains(&b',') || before.ends_with(b",");
            behind.starts_with(b" - ") && is_added && last_hop(hop).is_some()
        };
        let end = if rest.starts_with(b"- ") { None } else { spaces.find(is_end) };
        end.or_else(|| memmem::find_iter(rest, &self.after).find(|at| !is_between_hops(rest, *at)))
    }

    fn length_of_list(&self, rest: &[u8]) -> Option<usize> {
        let length = upstreams::length(rest);
        rest.get(length..)?.starts_with(&self.after).then_some(length)
    }

    /// Stores a value; returns `false` if it cannot be parsed as required.
    pub(super) fn put<'a>(
        &self,
        raw: &'a [u8],
        draft: &mut Draft<'a>,
        moments: &mut Moments,
    ) -> bool {
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
    pub(super) fn is_cut_short(&self, rest: &[u8]) -> bool {
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
    pub(super) fn last<'a>(&self, rest: &'a [u8]) -> Option<&'a [u8]> {
        let inside = (self.end == End::Quote).then(|| self.quoted(rest, |_| true)).flatten();
        inside.map(|(_, inside)| inside)
    }

    /// Returns where the last value ends if the line goes on: a status or a number contains no space.
    pub(super) fn surplus(&self, value: &[u8]) -> Option<usize> {
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
    pub(super) fn may_be(&self, value: &[u8]) -> bool {
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

    /// Returns the reject of a line that ends before or in this value.
    pub(super) fn lacking(&self, line: &[u8]) -> Reject {
        reject(line, 0, format!("the whole {}", self.written), self.column)
    }

    /// Returns the reject of a value that the variable cannot have. If its first word is one, the template's literal
    /// was to follow there, and was found too late.
    pub(super) fn misfit(&self, line: &[u8], rest: &[u8], raw: &[u8]) -> Reject {
        let word = first_word(raw);
        let is_value = |word: &[u8]| {
            let word = Cow::Borrowed(word);
            Draft::default().put(&self.slot, self.rank, word, self.escape)
        };
        if self.pattern.is_none() && (1..raw.len()).contains(&word.len()) && is_value(word) {
            return self.missing(line, rest.len() - word.len(), &self.after);
        }
        reject(line, rest.len(), self.expected(), self.column)
    }

    /// Describes what the value should have been.
    pub(super) fn expected(&self) -> &'static str {
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
    pub(super) fn parting(&self, line: &[u8], rest: &[u8]) -> Reject {
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
        let left = if self.is_spacious() { 0 } else { rest.len() - first_word(rest).len() };
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
    pub(super) fn is_spacious(&self) -> bool {
        match &self.slot {
            Slot::Part(part) => matches!(part, Part::Request | Part::Agent | Part::User),
            Slot::Header(_) | Slot::Named(_) | Slot::Variable(_) => true,
            Slot::OfServer | Slot::Unnamed => true,
            _ => false,
        }
    }
}

/// Returns a text up to what ends words in logs.
fn first_word(text: &[u8]) -> &[u8] {
    let is_end = |b: &u8| matches!(b, b' ' | b'\t' | b'"' | b']' | b',' | b'|');
    let length = text.iter().position(is_end).unwrap_or(text.len());
    text.get(..length).unwrap_or_default()
}

/// Formats a literal for an error.
pub(super) fn quote(literal: &[u8]) -> String {
    let mark = if literal.contains(&b'\'') { '"' } else { '\'' };
    format!("{mark}{}{mark}", String::from_utf8_lossy(literal))
}

/// What is expected after everything in a template.
pub(super) const LINE_END: &str = "the end of the line, where the template ends";

/// Returns the reject of a line that stops matching with `left` bytes left, at a column of the template.
pub(super) fn reject(
    line: &[u8],
    left: usize,
    expected: impl Into<Cow<'static, str>>,
    column: usize,
) -> Reject {
    let miss = Miss::with_left(left, "").reject(line);
    Reject { expected: expected.into(), template: Some(column), ..miss }
}
