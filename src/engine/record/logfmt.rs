//! logfmt, as Heroku's router and Go's loggers write it.
//!
//! ```text
//! time=2026-03-02T08:00:00Z level=info msg="request handled" method=GET path="/a?b=c" status=200 is_cached
//! ```
//!
//! Sources: the packages `kr/logfmt` and `go-logfmt/logfmt` (a value is quoted as in JSON if it contains a space, an
//! equals sign or a quote; a key without a value is true), Heroku "HTTP routing". The keys are those of JSON.
//! Loggers write their own keys first: if a key occurs twice, the first one counts.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::keys::{self, Meaning, Said, Scope};
use super::scan::{Miss, is_end, quoted, word};
use super::{Record, Text, names};

/// The preset's name.
pub(super) const NAME: &str = "logfmt";

/// Returns whether a line begins with `key=`, the key in lower case.
pub(super) fn is_likely(line: &[u8]) -> bool {
    const LONGEST: usize = 40;
    let near = line.get(..LONGEST).unwrap_or(line);
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-' | b'@');
    let length = near.iter().take_while(|b| is_name(b)).count();
    let is_small = |b: &u8| b.is_ascii_lowercase() || *b == b'@';
    near.first().is_some_and(is_small) && near.get(length) == Some(&b'=')
}

/// Parses a line. `ids` are the site's own names of keys that contain a token's id.
pub(super) fn read<'a>(line: &'a [u8], ids: &[SmolStr]) -> Result<Record<'a>, Miss> {
    let mut said = Said::default();
    let mut rest = line;
    while !rest.is_empty() {
        let end = memchr::memchr2(b'=', b' ', rest).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let Some(value) = after.strip_prefix(b"=") else {
            rest = after.get(1..).unwrap_or_default();
            continue;
        };
        let (after, text) = value_of(value)?;
        if let Some(meaning) = meaning(key, ids) {
            said.put(&meaning, text);
        }
        rest = after;
    }
    let record = said.finish();
    // A path alone may be a file's.
    if record.target.is_none() || (record.method.is_none() && record.status.is_none()) {
        let expected = "keys for the request (path, uri or request, and method or status)";
        return Err(Miss::at(line, expected));
    }
    Ok(record)
}

/// Splits off a value, quoted or bare, and the space after it.
fn value_of(input: &[u8]) -> Result<(&[u8], Text<'_>), Miss> {
    let Some(inside) = input.strip_prefix(b"\"") else {
        let (rest, value) = word(input);
        return Ok((rest, Cow::Borrowed(value)));
    };
    let Some((rest, value)) = quoted(inside, is_end) else {
        return Err(Miss::at_end("'\"' after the value"));
    };
    Ok((rest.get(1..).unwrap_or_default(), value.text()))
}

fn meaning(key: &[u8], ids: &[SmolStr]) -> Option<Meaning> {
    if names::is_among(ids, key) {
        return Some(Meaning::id(key));
    }
    let known = keys::known(Scope::Root, key).cloned();
    known.or_else(|| keys::named(Scope::Root, key)).or_else(|| keys::followed(Scope::Root, key))
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::tests::{preset, read as shown};

    #[test]
    fn lines_of_loggers_are_read() {
        let cases = [
            (
                r#"time=2026-03-02T08:00:00Z level=info msg="a \"b\" status=500 ip=198.51.100.9" method=GET path="/a?b=c" status=200 remote_addr=192.0.2.1:4711 bytes=5 user_agent="c/1 (\u00e9)" authorization="Bearer x" cached dur=12ms"#,
                "2026-03-02T08:00:00Z client=192.0.2.1 method=GET target=/a?b=c agent=c/1 (\\xc3\\xa9) 200 bytes=5 header:authorization=Bearer x",
            ),
            (
                "ts=1795453833.537 at=info method=GET path=/a?b=c host=example.org request_id=8 fwd=192.0.2.1 dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=https",
                "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/a?b=c host=example.org scheme=https 200 bytes=13",
            ),
            (
                r#"ts=1795453833.537 at=info method=GET path=/a host=example.org fwd="203.0.113.1,198.51.100.3" dyno=web.1 status=200 bytes=13"#,
                "2026-11-23T17:10:33.537Z client=198.51.100.3 method=GET target=/a host=example.org 200 bytes=13 header:x-forwarded-for=203.0.113.1,198.51.100.3",
            ),
            (
                "ts=1795453833.537 http.request.method=GET url.path=/a http.response.status_code=404 jti=j-1 status=200",
                "2026-11-23T17:10:33.537Z method=GET target=/a 404 id:jti=j-1",
            ),
            (
                "level=info ts=2026-03-02T08:00:00.5Z request=\"GET /a HTTP/1.1\" status= code=204 x=",
                "2026-03-02T08:00:00.500Z method=GET target=/a version=1.1 204",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(&preset("logfmt"), line), expected, "{line}");
            assert_eq!(shown(&preset("auto"), line), expected, "{line}");
        }
        let heroku = "119 <158>1 2026-03-02T08:00:00.5+00:00 host heroku router - at=info method=GET path=/a status=200";
        assert_eq!(
            shown(&preset("auto"), heroku),
            "2026-03-02T08:00:00.500Z method=GET target=/a 200"
        );
    }

    #[test]
    fn other_lines_are_rejected() {
        let expected = "keys for the request (path, uri or request, and method or status)";
        for (line, reject) in [
            ("", format!("1: {expected} / the end of the line")),
            ("level=info path=/var/lib/x", format!("1: {expected} / 'l'")),
            ("level=info msg=\"cut", "20: '\"' after the value / the end of the line".to_owned()),
        ] {
            assert_eq!(shown(&preset("logfmt"), line), reject, "{line}");
            // With auto, the error is about the combined family's words.
            let told = shown(&preset("auto"), line);
            assert!(line.is_empty() || told == reject, "{line}: {told}");
        }
        for line in ["GET /?a=b", "A=b", "=b", "a b=c", "192.0.2.1 a=b", "http://x/?a=b"] {
            assert!(!is_likely(line.as_bytes()), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_time_was_read_though_nothing_lent_it_one() {
        let line = "method=GET path=/x status=200 remote_addr=203.0.113.9";
        let enveloped = format!("<158>1 2026-03-02T08:00:00.5Z host app - - - {line}");
        let undated = format!("<158>Mar  2 08:00:00 host app: {line}");
        let expected = "a time: use a format that has one, or log through an envelope that has (syslog, a \
                        container runtime, the journal) / the end of the line";
        for name in ["logfmt", "auto"] {
            let format = preset(name);
            assert_eq!(shown(&format, line), format!("{}: {expected}", line.len() + 1), "{name}");
            assert_eq!(
                shown(&format, &undated),
                format!("{}: {expected}", undated.len() + 1),
                "{name}"
            );
            assert_eq!(
                shown(&format, &enveloped),
                "2026-03-02T08:00:00.500Z client=203.0.113.9 method=GET target=/x 200",
                "{name}"
            );
        }
        let lines = [enveloped.as_bytes()];
        assert_eq!(crate::engine::record::guess(lines.into_iter()).name, NAME);
    }

    #[test]
    fn a_day_and_a_clock_apart_were_no_time() {
        assert_eq!(
            shown(
                &preset("logfmt"),
                "date=2026-03-05 time=10:20:30.5 method=GET path=/x status=200"
            ),
            "2026-03-05T10:20:30.500Z method=GET target=/x 200"
        );
    }

    /// Formats a value as go-logfmt does.
    fn printed(value: &str) -> String {
        let mut out = String::new();
        if value.chars().all(|c| c > ' ' && !matches!(c, '=' | '"' | '\\')) {
            return value.to_owned();
        }
        for char in value.chars() {
            match char {
                '"' | '\\' => write!(out, "\\{char}").unwrap(),
                ..' ' => write!(out, "\\u{:04x}", u32::from(char)).unwrap(),
                _ => out.push(char),
            }
        }
        format!("\"{out}\"")
    }

    proptest! {
        #[test]
        fn what_go_prints_is_read_back(
            message in "[ -~\t]{0,30}",
            path in "/[ -~]{0,30}",
            agent in "[!-~]{2,10}[ -~\té]{0,20}",
            status in 100u16..600,
        ) {
            let line = format!(
                "time=2026-03-02T08:00:00Z msg={} method=GET path={} status={status} user_agent={}",
                printed(&message), printed(&path), printed(&agent),
            );
            let record = read(line.as_bytes(), &[]).unwrap();
            prop_assert_eq!(record.time.map(|t| t.to_rfc3339(0)), Some("2026-03-02T08:00:00Z".to_owned()));
            prop_assert_eq!(record.target.as_deref(), Some(path.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(agent.as_bytes()));
            prop_assert_eq!(record.status, Some(status));
        }
    }
}
