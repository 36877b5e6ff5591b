//! The examples in a rule: log lines for which it must match, and lines for which it must not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chrono::DateTime;
use ipnet::IpNet;
use serde::Deserialize;
use smol_str::SmolStr;

use crate::engine::geo::{Atlas, Country, NetworkKind, Place, Point};
use crate::engine::requests::Requests;
use crate::engine::time::{Timestamp, duration};

/// The examples of one rule.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Examples {
    /// The rule must match at least once.
    #[serde(default)]
    pub fire: Vec<Example>,
    /// The rule must not match.
    #[serde(default)]
    pub quiet: Vec<Example>,
}

/// A small log and its surroundings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// What happens, as a sentence.
    pub title: String,
    /// Registry rows: a token's secret, and columns of the registry by name.
    #[serde(default)]
    pub registry: Vec<BTreeMap<String, String>>,
    /// Requests that take a second factor, as `[tokens] sensitive` names them.
    #[serde(default)]
    pub sensitive: Vec<String>,
    /// The locations of networks.
    #[serde(default)]
    pub places: BTreeMap<IpNet, ExamplePlace>,
    /// Bytes after the log that are truncated before they are read.
    #[serde(default)]
    pub lost: u64,
    /// What the clock shows after the log, if it matters: RFC 3339.
    #[serde(default)]
    pub clock: Option<String>,
    /// The log, ordered by time.
    pub log: Vec<ExampleLine>,
}

/// A line, possibly repeated.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleLine {
    /// When it is written: RFC 3339.
    pub at: String,
    /// The line; `{time}` in it is replaced by the time in Apache's and nginx's notation.
    pub line: String,
    /// The log that contains it.
    #[serde(default = "example_log")]
    pub file: String,
    /// The interval between repetitions: `20m`.
    #[serde(default)]
    pub every: Option<String>,
    /// How many times it is written.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What an example's atlas knows about a network.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExamplePlace {
    country: Option<Country>,
    city: SmolStr,
    latitude: Option<f32>,
    longitude: Option<f32>,
    asn: Option<u32>,
    organization: SmolStr,
    network: Option<NetworkKind>,
}

/// The most repetitions of one line.
const MOST_TIMES: u32 = 100_000;

fn example_log() -> String {
    "example.log".to_owned()
}

impl Example {
    /// Returns what the clock shows.
    ///
    /// # Errors
    /// Describes a time that cannot be parsed.
    pub fn clock(&self) -> Result<Option<Timestamp>, String> {
        let Some(text) = &self.clock else { return Ok(None) };
        let time = DateTime::parse_from_rfc3339(text)
            .map_err(|_| format!("clock: expected RFC 3339, found {text:?}"))?;
        Ok(Some(Timestamp::from(time.to_utc())))
    }

    /// Returns the requests that take a second factor.
    ///
    /// # Errors
    /// Describes a text that names none.
    pub fn sensitive(&self) -> Result<Vec<Requests>, String> {
        let parse = |text: &String| {
            Requests::parse(text).map_err(|expected| format!("sensitive: expected {expected}"))
        };
        self.sensitive.iter().map(parse).collect()
    }

    /// Splits the example by log: each with its own lines, and the same surroundings.
    #[must_use]
    pub fn by_file(&self) -> BTreeMap<&str, Self> {
        let mut files = BTreeMap::new();
        for entry in &self.log {
            let part = || Self { log: Vec::new(), ..self.clone() };
            files.entry(entry.file.as_str()).or_insert_with(part).log.push(entry.clone());
        }
        files
    }

    /// Generates the log: its lines ordered by time, each with the time when it is written.
    ///
    /// # Errors
    /// Describes a time, an interval or a number that cannot be parsed.
    pub fn lines(&self) -> Result<Vec<(Timestamp, String)>, String> {
        let mut lines = Vec::new();
        for entry in &self.log {
            let start = DateTime::parse_from_rfc3339(&entry.at)
                .map_err(|_| format!("at: expected RFC 3339, found {:?}", entry.at))?;
            let start = Timestamp::from(start.to_utc());
            let every = match &entry.every {
                None => 0,
                Some(text) => duration(text)
                    .ok_or_else(|| format!("every: expected a duration, found {text:?}"))?,
            };
            let times = entry.times.unwrap_or(1);
            if times > MOST_TIMES {
                return Err(format!("times: at most {MOST_TIMES}, found {times}"));
            }
            lines.extend((0..times).map(|n| {
                let time = start.plus(every.saturating_mul(i64::from(n)));
                (time, entry.line.replace("{time}", &clf_time(time)))
            }));
        }
        lines.sort_by_key(|(time, _)| *time);
        Ok(lines)
    }
}

/// Formats a time as `02/Mar/2026:08:00:00 +0000`.
fn clf_time(time: Timestamp) -> String {
    time.to_chrono().format("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

impl Atlas for Example {
    fn place(&self, address: IpAddr) -> Place {
        let holding = self.places.iter().filter(|(network, _)| network.contains(&address));
        let known = holding.max_by_key(|(network, _)| network.prefix_len());
        known.map(|(_, place)| place.to_place()).unwrap_or_default()
    }

    /// Examples that need distances give coordinates.
    fn border_distance_km(&self, _: Country, _: Country) -> Option<f64> {
        None
    }
}

impl ExamplePlace {
    fn to_place(&self) -> Place {
        let point = self.latitude.zip(self.longitude);
        Place {
            country: self.country,
            city: self.city.clone(),
            point: point.map(|(latitude, longitude)| Point {
                latitude,
                longitude,
                radius_km: 20.0,
            }),
            asn: self.asn,
            organization: self.organization.clone(),
            network: self.network,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_repeat_and_come_in_order_of_time() {
        let entry = |at: &str, every: Option<&str>, times| ExampleLine {
            at: at.into(),
            line: format!("{times:?} [{{time}}]"),
            file: example_log(),
            every: every.map(Into::into),
            times,
        };
        let log = vec![
            entry("2026-03-02T08:00:00Z", Some("30m"), Some(2)),
            entry("2026-03-02T08:10:00Z", None, None),
        ];
        let lines = Example { log, ..Example::default() }.lines().unwrap();
        let texts: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
        assert_eq!(
            texts,
            [
                "Some(2) [02/Mar/2026:08:00:00 +0000]",
                "None [02/Mar/2026:08:10:00 +0000]",
                "Some(2) [02/Mar/2026:08:30:00 +0000]",
            ]
        );
    }
}
