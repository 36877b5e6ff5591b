//! Tests of the whole parser: tables of lines, the real lines of the recipes, properties.

#![expect(
    clippy::string_slice,
    clippy::too_many_lines,
    reason = "tables of cases are long, and cut at known places"
)]

mod envelopes;
mod family;
mod malformed;
mod pasted;
mod printed;
mod properties;
mod real;
mod split_times;
mod templates;
mod took;
mod values;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::hostile::PIECES;
use super::{Columns, FieldName, Format, Record, Reject, Text, guess};

/// Formats a record as one line of text: its values in a fixed order.
pub(super) fn shown(record: &Record<'_>) -> String {
    let mut out = String::new();
    if let Some(time) = record.time {
        write!(out, "{} ", time.to_rfc3339(record.time_digits)).unwrap();
    }
    if let Some(client) = record.client {
        write!(out, "client={client} ").unwrap();
    }
    for (name, text) in [
        ("method", &record.method),
        ("target", &record.target),
        ("version", &record.version),
        ("referer", &record.referer),
        ("agent", &record.agent),
        ("user", &record.user),
        ("host", &record.host),
        ("scheme", &record.scheme),
        ("tls", &record.tls),
    ] {
        if let Some(text) = text {
            write!(out, "{name}={} ", text.escape_ascii()).unwrap();
        }
    }
    if let Some(status) = record.status {
        write!(out, "{status} ").unwrap();
    }
    if let Some(bytes) = record.bytes {
        write!(out, "bytes={bytes} ").unwrap();
    }
    for (name, text) in &record.fields {
        let name = match name {
            FieldName::Header(name) => format!("header:{name}"),
            FieldName::Cookie(name) => format!("cookie:{name}"),
            FieldName::Id(name) => format!("id:{name}"),
            FieldName::Other(_) | FieldName::OfServer | FieldName::Unnamed => "field".to_owned(),
        };
        write!(out, "{name}={} ", text.escape_ascii()).unwrap();
    }
    out.trim_end().to_owned()
}

pub(super) fn read(format: &Format, line: &str) -> String {
    match format.parse(line.as_bytes()) {
        Ok(record) => shown(&record),
        Err(Reject { column, expected, found, .. }) => format!("{column}: {expected} / {found}"),
    }
}

/// Parses a line with a template.
fn read_by(template: &str, line: &str) -> String {
    read(&Format::template(template).unwrap(), line)
}

pub(super) fn preset(name: &str) -> Format {
    Format::preset(name).unwrap()
}

/// Escapes a text like nginx.
pub(super) fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        match byte {
            b'"' | b'\\' | ..0x20 | 0x7f.. => write!(out, "\\x{byte:02X}").unwrap(),
            _ => out.push(char::from(byte)),
        }
        out
    })
}

pub(super) fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(|t| std::str::from_utf8(t).unwrap())
}
