//! Log formats defined by a site: nginx `log_format` and Apache `LogFormat` strings, compiled into a flat list of
//! steps, each a variable and the literal that ends it.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::draft::{Draft, Part, Slot};
use super::escape::Escape;
use super::names::is_same;
use super::strftime::Moments;
use super::syntax::{Piece, apache_pieces, bare_name, nginx_pieces};
use super::template_fault::{TemplateFault, no_time, part_of_time};
use super::template_step::{End, LINE_END, Step, quote, reject};
use super::{Record, Reject, upstreams};

/// A compiled template.
#[derive(Clone, Debug)]
pub(super) struct Template {
    text: Box<str>,
    /// The literal before the first variable.
    lead: Vec<u8>,
    steps: Vec<Step>,
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

    /// Parses a line. One that ends early is read as far as it goes, provided that it has the status, with what it
    /// lacks.
    pub(super) fn read<'a>(&self, line: &'a [u8]) -> Result<Record<'a>, Reject> {
        let Some(mut rest) = line.strip_prefix(&self.lead[..]) else {
            return Err(reject(line, line.len(), quote(&self.lead), 1));
        };
        let mut draft = Draft::default();
        let mut moments = Moments::default();
        // Where the first part of a time is, in case all of them are absent.
        let mut time = None;
        let mut lack = None;
        for (at, step) in self.steps.iter().enumerate() {
            let later = self.steps.get(at + 1..).unwrap_or_default();
            let (raw, after) = match step.cut(rest, later) {
                Some(cut) => cut,
                None if draft.has_status() && step.is_cut_short(rest) => match step.last(rest) {
                    Some(whole) => (whole, &b""[..]),
                    None if step.slot == Slot::Part(Part::Agent) => (rest, &b""[..]),
                    // Half a secret is no token.
                    None => {
                        lack = Some(Box::new(step.lacking(line)));
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
                return Err(step.misfit(line, rest, raw));
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
        record.lack = lack;
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
            let is_fit = step.may_be(value)
                && step.put(value, &mut Draft::default(), &mut Moments::default());
            if !is_fit {
                break;
            }
            trail.push((&*step.written, value));
            rest = after;
        }
        trail
    }
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
