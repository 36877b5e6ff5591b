//! The first lines of a log: what they look like, how they fit its format, and what is found in them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;

use crate::engine::detect::rejected_percent;
use crate::engine::pulse::Misfit;
use crate::engine::reader::Source as Reading;
use crate::engine::record::{Columns, Record, guess, is_error_log, is_private};
use crate::engine::token::{Finder, Seen};
use crate::engine::zone::Reach;

/// How the first lines of a log fit its format.
#[derive(Default, Serialize)]
pub(super) struct Sample {
    path: String,
    format: String,
    /// What the lines look like, and the share of them that does, 0 to 1.
    guess: &'static str,
    guess_share: f64,
    lines: usize,
    fit: usize,
    /// Of those that fit: how many have a client address, how many a status, and how many a token.
    with_client: usize,
    with_status: usize,
    with_token: usize,
    /// Where the log has secrets themselves, not ids in their place.
    in_clear: BTreeSet<String>,
    /// The private address from which nearly all lines come, for others whom they name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) proxy: Option<IpAddr>,
    /// Lines by private address that name another client.
    #[serde(skip)]
    passed_on: BTreeMap<IpAddr, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first: Option<Numbered>,
}

/// A line that does not fit, and its number. Contains no byte of the line.
#[derive(Serialize)]
pub(super) struct Numbered {
    pub(super) line: u64,
    #[serde(flatten)]
    misfit: Misfit,
}

impl Sample {
    /// Returns `None` if there are no lines yet.
    pub(super) fn new(
        reading: &Reading,
        finder: &Finder,
        path: &Path,
        bytes: &[u8],
    ) -> Option<Self> {
        let of_errors = is_error_log(path).then(|| reading.for_error_logs());
        let reading = of_errors.as_ref().unwrap_or(reading);
        let guess = guess(lines(bytes).map(|(_, _, line)| line));
        let mut sample = Self {
            path: path.display().to_string(),
            format: reading.format.name().to_owned(),
            guess: guess.name,
            guess_share: guess.share,
            ..Self::default()
        };
        let mut columns = Columns::default();
        for (number, offset, line) in lines(bytes) {
            columns.note(line);
            let misfit = match reading.record(line, &columns, &mut Reach::default()) {
                Ok(None) => continue,
                Ok(Some(Record { lack: Some(lack), .. })) => Some(Misfit::new(offset, &lack)),
                Ok(Some(record)) => {
                    sample.see(&record, finder);
                    None
                }
                Err(reject) => Some(Misfit::new(offset, &reject)),
            };
            if let Some(misfit) = misfit {
                sample.first.get_or_insert(Numbered { line: number, misfit });
            }
            sample.lines += 1;
        }
        if reading.trusted_proxies.is_empty() {
            sample.proxy = sample.most_passed_on();
        }
        (sample.lines > 0).then_some(sample)
    }

    fn see(&mut self, record: &Record<'_>, finder: &Finder) {
        let mut sightings = Vec::new();
        finder.find(record, &mut sightings);
        self.fit += 1;
        self.with_client += usize::from(record.client.is_some());
        self.with_status += usize::from(record.status.is_some());
        self.with_token += usize::from(!sightings.is_empty());
        let peer = record.client.filter(|peer| is_private(peer) && record.forwarded().is_some());
        if let Some(peer) = peer {
            *self.passed_on.entry(peer).or_default() += 1;
        }
        let secrets = sightings.iter().filter(|one| matches!(one.seen, Seen::Secret(..)));
        self.in_clear.extend(secrets.map(|one| one.carrier.to_string()));
    }

    /// Returns the address that passed on nearly all lines, of at least a few.
    fn most_passed_on(&self) -> Option<IpAddr> {
        /// Fewer lines may be one client's.
        const FEWEST: usize = 5;
        let (peer, count) = self.passed_on.iter().max_by_key(|(_, count)| **count)?;
        (FEWEST <= *count && self.fit * 9 <= *count * 10).then_some(*peer)
    }

    /// Returns whether lines fit, but none has a token: perhaps the site has no callers with tokens, but a format that
    /// misses a field looks the same.
    pub(super) const fn is_tokenless(&self) -> bool {
        self.fit > 0 && self.with_token == 0
    }

    /// Returns whether so many lines have no token that it is hardly chance.
    pub(super) const fn is_doubtful(&self) -> bool {
        /// Fewer lines may be those of callers without one.
        const FEWEST: usize = 20;
        self.is_tokenless() && FEWEST <= self.fit
    }

    /// Returns whether lines fit, but none has a client address, which every server logs, or none has a status.
    pub(super) const fn is_incomplete(&self) -> bool {
        self.fit > 0 && (self.with_client == 0 || self.with_status == 0)
    }

    /// Returns where docs/formats.md says how a server of this format logs tokens.
    pub(super) fn section(&self) -> &'static str {
        section(if self.format == "auto" { self.guess } else { &self.format })
    }

    pub(super) fn rejected_percent(&self) -> f64 {
        let count = |lines| u64::try_from(lines).unwrap_or(u64::MAX);
        rejected_percent(count(self.lines), count(self.lines - self.fit))
    }
}

/// `/var/log/a.log: auto, looks like common (98 %); 196 of the first 200 lines fit, 12 with a token, ...`
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, format, guess, lines, fit, .. } = self;
        let share = self.guess_share * 100.0;
        match *guess {
            "auto" => write!(f, "{path}: {format}, looks like no preset; ")?,
            guess => write!(f, "{path}: {format}, looks like {guess} ({share:.0} %); ")?,
        }
        match fit {
            0 => write!(f, "none of the first {lines} lines fits, so nothing would be seen")?,
            _ => write!(f, "{fit} of the first {lines} lines fit")?,
        }
        if *fit > 0 {
            write!(f, ", {} with a token", some(self.with_token))?;
        }
        if !self.in_clear.is_empty() {
            let carriers: Vec<&str> = self.in_clear.iter().map(String::as_str).collect();
            write!(f, " (in clear: {})", carriers.join(", "))?;
        }
        if *fit > 0 && self.with_client < *fit {
            write!(f, ", {} with a client's address", some(self.with_client))?;
        }
        if *fit > 0 && self.with_status == 0 {
            write!(f, ", none with a status: whether a token was accepted is not known")?;
        }
        let Some(Numbered { line, misfit }) = &self.first else { return Ok(()) };
        let Misfit { offset, column, expected } = misfit;
        write!(f, ", the first that does not is line {line} (offset {offset}), where ")?;
        write!(f, "column {column} should be {expected}")
    }
}

fn section(format: &str) -> &'static str {
    match format {
        "nginx-combined" | "nginx-json" | "nginx-error" => "nginx",
        "apache-combined" | "common" | "vhost-combined" | "apache-error" => "apache",
        "lighttpd" | "lighttpd-error" => "lighttpd",
        "caddy-json" => "caddy",
        "traefik" | "traefik-json" => "traefik",
        "envoy" | "envoy-json" => "envoy-and-istio",
        "kong-json" => "kong-and-apisix",
        "alb" | "elb" | "s3" | "aws-api-gateway" => "aws",
        "cloudflare" | "akamai" | "google-cloud" | "azure" => {
            "cloudflare-akamai-google-cloud-azure"
        }
        "w3c" => "iis-and-other-w3c-logs",
        "uvicorn" => "gunicorn-and-uvicorn",
        "pino" | "morgan-dev" | "morgan-short" | "morgan-tiny" => "node-morgan-and-pino",
        "json" | "ecs" => "json-and-logfmt",
        "haproxy" => "haproxy",
        "litespeed" => "litespeed",
        "squid" => "squid",
        "uwsgi" => "uwsgi",
        "zoraxy" => "zoraxy",
        _ => "templates",
    }
}

fn some(n: usize) -> String {
    if n == 0 { "none".to_owned() } else { n.to_string() }
}

/// Returns the lines that are not empty, with their numbers and offsets.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = (u64, u64, &[u8])> {
    let mut offset = 0;
    let lines = (1..).zip(bytes.split(|byte| *byte == b'\n')).map(move |(number, line)| {
        let from = offset;
        offset += line.len() as u64 + 1;
        (number, from, line.strip_suffix(b"\r").unwrap_or(line))
    });
    lines.filter(|(_, _, line)| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::record::Format;

    #[test]
    fn every_format_has_a_section_that_exists() {
        let text = include_str!("../../docs/formats.md");
        let headings = text.lines().filter_map(|line| line.strip_prefix("## "));
        let anchor =
            |heading: &str| heading.to_lowercase().replace([',', ':'], "").replace(' ', "-");
        let anchors: BTreeSet<String> = headings.map(anchor).collect();
        for (name, _) in Format::presets() {
            assert!(anchors.contains(section(name)), "{name}: {anchors:?}");
        }
        assert_eq!(section("nginx-combined"), "nginx");
    }
}
