//! A request that can be printed in any format, and a check that it is read back.

// All of the file is tests; the mark is what tests/tidy.rs looks for.
#[cfg(test)]
use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::Record;
use super::tests::{escaped, preset, text};

/// The parts of a request that most formats print.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) client: Ipv4Addr,
    /// Microseconds since 1970.
    pub(super) micros: i64,
    pub(super) method: &'static str,
    /// Path and query.
    pub(super) target: String,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) host: String,
    pub(super) referer: String,
    pub(super) agent: String,
}

/// Requests whose texts may contain any printable character.
pub(super) fn sample() -> impl Strategy<Value = Sample> {
    sample_of("/[!-~]{0,30}", "[ -~é]{1,30}")
}

/// Requests without quotes, for formats that do not escape them.
pub(super) fn sample_without_quotes() -> impl Strategy<Value = Sample> {
    sample_of("/[!#-~]{0,30}", "[ !#-~é]{1,30}")
}

fn sample_of(target: &'static str, text: &'static str) -> impl Strategy<Value = Sample> {
    let given = |text: &String| text != "-";
    let numbers = (100_000_000_000_000i64..4_000_000_000_000_000, 100u16..600, any::<u32>());
    let method = prop::sample::select(vec!["GET", "POST", "DELETE", "PROPFIND"]);
    let texts = (text.prop_filter("given", given), text.prop_filter("given", given));
    (any::<u32>(), numbers, method, target, "[a-z]{1,9}\\.example\\.org", texts).prop_map(
        |(client, (micros, status, bytes), method, target, host, (referer, agent))| Sample {
            client: Ipv4Addr::from(client),
            micros,
            method,
            target,
            status,
            bytes: bytes.into(),
            host,
            referer,
            agent,
        },
    )
}

impl Sample {
    /// Formats the time in chrono's notation.
    pub(super) fn time(&self, form: &str) -> String {
        chrono::DateTime::from_timestamp_micros(self.micros).unwrap().format(form).to_string()
    }

    /// Escapes a text like nginx.
    pub(super) fn escaped(text: &str) -> String {
        escaped(text)
    }

    /// Parses a line with the preset and with `auto`, compares what every format has, and returns the record.
    /// `digits` is the number of digits of the second's fraction in the log.
    pub(super) fn read_back(&self, name: &str, line: &str, digits: u32) -> Record<'static> {
        let read = |name: &str| preset(name).parse(line.as_bytes()).map(Record::into_owned);
        let record =
            read(name).unwrap_or_else(|reject| panic!("{}: {reject}\n{line}", reject.column));
        assert_eq!(read("auto").as_ref(), Ok(&record), "{line}");
        let unit = 10_i64.pow(6 - digits);
        assert_eq!(record.time.map(|time| time.0), Some(self.micros / unit * unit), "{line}");
        assert_eq!(record.client, Some(self.client.into()), "{line}");
        assert_eq!(text(&record.method), Some(self.method), "{line}");
        assert_eq!(record.status, Some(self.status), "{line}");
        record
    }
}
