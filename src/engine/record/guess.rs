//! What `auto` recognised: the preset that fits most of some lines.

use super::family::{FAMILIES, Family, TIMELESS};
use super::json::{self, Sealed};
use super::{Columns, Format, Record, Text, logfmt, parse_address, syslog};
use crate::engine::line::comment;

/// The format that some lines of a log appear to have.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guess {
    /// The preset that most of the lines match, or `auto` if none matches any.
    pub name: &'static str,
    /// Lines examined. Empty lines, comments and messages of the server's own do not count.
    pub lines: usize,
    /// Lines that match no preset.
    pub rejected: usize,
    /// The share of the lines that match the named preset, 0 to 1.
    pub share: f64,
}

/// Examines some lines of a log. If presets match equally many lines, the more common preset wins.
pub fn guess<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Guess {
    let mut columns = Columns::default();
    let names: Vec<&'static str> =
        families().map(|family| family.name).chain(NAMES.iter().copied()).collect();
    let mut counts = vec![0usize; names.len()];
    let (mut seen, mut rejected) = (0, 0);
    let auto = Format::preset("auto");
    for line in lines.filter(|line| !line.is_empty()) {
        columns.note(line);
        if comment(line).is_some() {
            continue;
        }
        let parsed = auto.as_ref().map(|auto| auto.parse_under(line, &columns));
        if matches!(&parsed, Some(Err(reject)) if reject.is_of_server()) {
            continue;
        }
        seen += 1;
        let record = parsed.and_then(Result::ok);
        let name = record.map(|record| name_of(line, &record, &columns));
        match counts.iter_mut().zip(&names).find(|(_, known)| Some(**known) == name) {
            Some((count, _)) => *count += 1,
            None => rejected += 1,
        }
    }
    // `max_by_key` returns the last of equal counts, and the names are sorted from rare to common.
    let best = counts.iter().copied().zip(&names).filter(|(count, _)| *count > 0);
    let (count, name) = best.max_by_key(|(count, _)| *count).unwrap_or((0, &"auto"));
    let share = if seen == 0 { 0.0 } else { count as f64 / seen as f64 };
    Guess { name, lines: seen, rejected, share }
}

/// Names the preset of the line in an envelope; `None` if there is no readable one.
fn name_inside(line: &[u8], columns: &Columns) -> Option<&'static str> {
    let inside: Text<'_> = match json::envelope(line) {
        Some(Sealed::Line(envelope) | Sealed::Text(envelope)) => envelope.line,
        Some(Sealed::Cut(_)) => return None,
        None => syslog::peel(line, columns)?.line.into(),
    };
    if let Some(family) = TIMELESS.iter().find(|family| (family.is_likely)(&inside)) {
        return Some(family.name);
    }
    if logfmt::is_likely(&inside) && logfmt::read(&inside, &[]).is_ok() {
        return Some(logfmt::NAME);
    }
    let record = Format::preset("auto")?.parse_under(&inside, columns).ok()?;
    Some(name_of(&inside, &record, columns))
}

fn families() -> impl Iterator<Item = &'static Family> {
    FAMILIES.iter().chain(TIMELESS)
}

/// The presets that can be recognised besides the families, from rare to common.
const NAMES: &[&str] = &[
    "litespeed",
    "lighttpd",
    "traefik",
    "pino",
    "ecs",
    "akamai",
    "azure",
    "google-cloud",
    "aws-api-gateway",
    "cloudflare",
    "kong-json",
    "envoy-json",
    "traefik-json",
    "caddy-json",
    "vhost-combined",
    "common",
    "json",
    "nginx-json",
    "nginx-combined",
];

/// Text that lines of one JSON dialect contain and others do not. The first dialect with all marks present wins.
const MARKS: &[(&str, &[&str])] = &[
    ("traefik-json", &["\"DownstreamStatus\":"]),
    ("cloudflare", &["\"EdgeStartTimestamp\":"]),
    ("akamai", &["\"reqTimeSec\":"]),
    ("google-cloud", &["\"httpRequest\":{", "\"requestMethod\":"]),
    ("azure", &["\"properties\":{", "\"httpMethod\":"]),
    ("envoy-json", &["\"response_code\":", "\"downstream_remote_address\":"]),
    ("kong-json", &["\"latencies\":{", "\"started_at\":"]),
    ("aws-api-gateway", &["\"requestTime", "\"httpMethod\":"]),
    ("pino", &["\"req\":{", "\"remoteAddress\":"]),
    ("ecs", &["\"http\":{", "\"@timestamp\":"]),
    ("ecs", &["\"http.request.method\":"]),
    ("caddy-json", &["\"request\":{", "\"uri\":"]),
    ("nginx-json", &["\"remote_addr\":"]),
    ("nginx-json", &["\"body_bytes_sent\":"]),
];

/// Names the preset of a line that `auto` reads.
fn name_of(line: &[u8], record: &Record<'_>, columns: &Columns) -> &'static str {
    let has = |text: &[u8]| memchr::memmem::find(line, text).is_some();
    if has(b"{\"") && has(b"\":") && line.ends_with(b"}") {
        let marked = MARKS.iter().find(|(_, marks)| marks.iter().all(|mark| has(mark.as_bytes())));
        return marked
            .map_or_else(|| name_inside(line, columns).unwrap_or("json"), |(name, _)| name);
    }
    if syslog::is_likely(line)
        && let Some(name) = name_inside(line, columns)
    {
        return name;
    }
    // As in `auto`: a line that begins like a family's and that its parser accepts belongs to that family.
    let reads = |name| {
        let format = Format::preset(name);
        format.is_some_and(|format| format.parse_under(line, columns).is_ok())
    };
    if let Some(family) = families().find(|family| reads(family.name)) {
        return family.name;
    }
    let begins_with_client = || {
        let end = memchr::memchr(b' ', line).unwrap_or(line.len());
        record.client.is_some() && parse_address(line.get(..end).unwrap_or(line)) == record.client
    };
    match () {
        () if line.starts_with(b"[\"") => "litespeed",
        () if record.host.is_some() && begins_with_client() => "lighttpd",
        () if record.host.is_some() => "vhost-combined",
        () if line.ends_with(b"ms") => "traefik",
        () if memchr::memchr_iter(b'"', line).count() <= 2 => "common",
        () => "nginx-combined",
    }
}
