//! Envoy's access log in its default text format, and Istio's, which adds fields in the middle and at the end.
//!
//! ```text
//! [time] "METHOD path protocol" status flags[ details] received sent duration upstream-time
//!     "x-forwarded-for" "user agent" "request id" "authority" "upstream host"
//!     [ cluster upstream-local downstream-local peer sni route][ further]
//! ```
//!
//! Sources: Envoy, "Access logging", default format string; Istio, `EnvoyTextLogFormat` of 1.3 to 1.30.
//! Nothing is escaped (envoy#4191), and a client can write any of these fields except the numbers. That includes the
//! path: `X-Envoy-Original-Path` is logged in its place and is not among the headers that Envoy sanitizes. Therefore:
//!
//! - The request ends where the flags and all numbers follow. If they follow twice, nobody can know which status is
//!   real, and the line is rejected.
//! - The fields after it are read from the end: upstream, authority and request id are Envoy's, and the user agent
//!   is what remains.
//!
//! Envoy's own format has no peer. The last address of `X-Forwarded-For` was added by Envoy or, if Envoy adds none,
//! by the proxy before it, so that address is the client. The list ends at the first `" "`, unless a later field
//! ends like a list: then a client wrote that text, and the last address is unknown.

use std::borrow::Cow;
use std::net::IpAddr;

use super::client::parse_address;
use super::draft::push_field;
use super::request::put_request;
use super::scan::{
    BETWEEN, Miss, begins_with_status, bracketed_time, decimal, field, found_in, given, literal,
    present, status, unescaped_request, word,
};
use super::{FieldName, Record, further, time};

/// The most bytes between the request and its numbers, including the reason for an upstream failure.
const NEAR: usize = 512;

/// The number of fields that Istio adds after the quoted ones.
const ADDED: usize = 6;

/// Returns whether a line begins with a bracketed RFC 3339 time.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let [b'[', b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', rest @ ..] = line else {
        return false;
    };
    let (rest, zone) = word(rest.get(..40).unwrap_or(rest));
    zone.ends_with(b"]") && rest.starts_with(b"\"")
}

/// Parses a line. One that ends early is read as far as it goes, provided that it has the status.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let expected = "a time like 2026-11-23T17:10:33.537Z";
    let (rest, time) = bracketed_time(line, b"]", time::iso, expected)?;
    record.set_time(time);
    let (rest, _) = literal(rest, b" \"", "a space and '\"' before the request")?;
    let (after, request) = unescaped_request(rest, are_numbers_next, is_status_next)?;
    put_request(&mut record, &Cow::Borrowed(request), request);
    let (rest, code) = word(after.get(1..).unwrap_or_default());
    // 0 means that no response was started.
    record.status = status(code);
    record.is_unanswered = record.status.is_none();
    let rest = numbers(&mut record, rest);
    let (quoted, added) = rest.split_at(quoted_length(rest));
    texts(&mut record, quoted);
    read_added(&mut record, added.strip_prefix(b" ").unwrap_or(added));
    Ok(record)
}

/// Returns whether the text begins like ` status flags`.
fn is_status_next(rest: &[u8]) -> bool {
    rest.strip_prefix(b" ").is_some_and(|rest| begins_with_status(rest, b"-0"))
}

/// Returns whether the text begins like everything from the status to the first quoted field.
fn are_numbers_next(rest: &[u8]) -> bool {
    if !is_status_next(rest) {
        return false;
    }
    let near = rest.get(1..).unwrap_or_default();
    let mut rest = after_details(word(near.get(..NEAR).unwrap_or(near)).0);
    for _received_sent_duration_upstream in 0..4 {
        let (after, text) = word(rest);
        if decimal(text).is_none() && text != b"-" {
            return false;
        }
        rest = after;
    }
    rest.starts_with(b"\"")
}

/// Parses the fields from the flags to the upstream's time, and returns the text from the quoted fields on.
fn numbers<'a>(record: &mut Record<'a>, flags: &'a [u8]) -> &'a [u8] {
    let (rest, _) = word(after_details(flags));
    let (rest, sent) = word(rest);
    record.bytes = decimal(sent);
    let (rest, _) = word(rest);
    word(rest).0
}

/// Skips the flags, and the one to three fields that Istio writes before the numbers, none of which is a number.
fn after_details(flags: &[u8]) -> &[u8] {
    let mut rest = word(flags).0;
    for _ in 0..3 {
        let (after, text) = field(rest);
        if decimal(text).is_some() {
            break;
        }
        rest = after;
    }
    rest
}

/// Returns the length of the quoted fields: up to the last quote that does not close a `key="value"` of the site.
fn quoted_length(rest: &[u8]) -> usize {
    let mut near = rest;
    while let Some(close) = memchr::memrchr(b'"', near) {
        let before = near.get(..close).unwrap_or_default();
        let open = memchr::memrchr(b'"', before).unwrap_or_default();
        let Some(key) = before.get(..open).and_then(|before| before.strip_suffix(b"=")) else {
            return close + 1;
        };
        near = key;
    }
    rest.len()
}

/// Parses the quoted fields: Envoy's own from the right; of the rest, the first is the address list and everything
/// else the user agent.
fn texts<'a>(record: &mut Record<'a>, quoted: &'a [u8]) {
    let Some(inside) = quoted.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")) else {
        return;
    };
    let mut fields = memchr::memmem::rfind_iter(inside, BETWEEN);
    let mut rest = inside;
    let mut cut = || {
        let at = fields.next()?;
        let (before, text) = rest.split_at_checked(at)?;
        rest = before;
        text.get(BETWEEN.len()..)
    };
    let (_upstream, authority, _request_id) = (cut(), cut(), cut());
    record.host = authority.and_then(given);
    let (addresses, agent) = found_in(rest, BETWEEN).unwrap_or((rest, b""));
    record.agent = given(agent);
    let Some(addresses) = present(addresses) else { return };
    if !has_list_end(agent) {
        record.client = last_address(addresses);
        record.is_forwarded = true;
    }
    push_field(record, FieldName::Header("x-forwarded-for".into()), Cow::Borrowed(addresses));
}

/// Returns whether the presumed user agent could be the end of an address list followed by a user agent.
fn has_list_end(agent: &[u8]) -> bool {
    let mut ends = memchr::memmem::find_iter(agent, BETWEEN);
    ends.any(|end| agent.get(..end).is_some_and(|text| last_address(text).is_some()))
}

/// Parses the last address of a list. No address is longer than the text examined.
fn last_address(list: &[u8]) -> Option<IpAddr> {
    const LONGEST: usize = 64;
    let near = list.get(list.len().saturating_sub(LONGEST)..).unwrap_or(list);
    let last = near.rsplit(|b| matches!(*b, b',' | b'"')).next()?;
    parse_address(last)
}

/// Parses the text after the quoted fields: Istio's, of which the fourth is the peer, then the site's own.
fn read_added<'a>(record: &mut Record<'a>, added: &'a [u8]) {
    let mut rest = added;
    let mut peer = None;
    for at in 0..ADDED {
        let (after, text) = word(rest);
        if at == 3 {
            peer = parse_address(text);
        }
        rest = after;
    }
    match peer {
        Some(peer) => {
            record.client = Some(peer);
            record.is_forwarded = false;
        }
        None => rest = added,
    }
    // Istio's words have among them the name that the client asked for in its TLS handshake.
    further::further_of(record, rest, FieldName::Unnamed);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample_without_quotes;
    use super::super::tests::{preset, read};

    const HEAD: &str = r#"[2026-11-23T17:10:33.537Z] "GET /v1/items?api_key=k HTTP/2""#;
    const SAID: &str = "method=GET target=/v1/items?api_key=k version=2";

    #[test]
    fn lines_are_read() {
        let time = "2026-11-23T17:10:33.537Z";
        let texts = r#""203.0.113.9, 192.0.2.1" "c/1 (x)" "req-1" "api.example.org" "10.0.0.9:80""#;
        let own = r#""-" "c/1 (x)" "req-1" "api.example.org" "10.0.0.9:80""#;
        let istio =
            r"outbound|80||api 10.0.0.8:1 10.0.0.7:80 198.51.100.7:4711 a.example.org default";
        let rest = "agent=c/1 (x) host=api.example.org 200 bytes=226";
        let forwarded = "header:x-forwarded-for=203.0.113.9, 192.0.2.1";
        let cases = [
            (format!("{HEAD} 200 - 154 226 100 9 {texts}"), format!("{time} client=192.0.2.1 {SAID} {rest} {forwarded}")),
            (format!("{HEAD} 200 - 154 226 100 - {own}"), format!("{time} {SAID} {rest}")),
            (
                format!("{HEAD} 200 UF,URX 154 226 100 - {texts} jti=abc-1 sub=s-1"),
                format!("{time} client=192.0.2.1 {SAID} {rest} {forwarded} id:jti=abc-1 field=s-1"),
            ),
            (
                format!("{HEAD} 200 - via_upstream - \"-\" 154 226 100 9 {texts} {istio}"),
                format!("{time} client=198.51.100.7 {SAID} {rest} {forwarded}"),
            ),
            (
                format!("{HEAD} 200 - \"-\" \"TLS error: 1:a b\" 154 226 100 9 {own} {istio} kid=k-17"),
                format!("{time} client=198.51.100.7 {SAID} {rest} id:kid=k-17"),
            ),
            (
                format!("{HEAD} 0 DC 154 0 100 - {own}"),
                format!("{time} {SAID} agent=c/1 (x) host=api.example.org bytes=0"),
            ),
            (
                "[2026-11-23T17:10:33.537Z] \"- - -\" 0 - 5 7 9 - \"-\" \"-\" \"-\" \"-\" \"10.0.0.9:80\"".into(),
                format!("{time} bytes=7"),
            ),
            (format!("{HEAD} 200 - 154 226"), format!("{time} {SAID} 200 bytes=226")),
            (format!("{HEAD} 200"), format!("{time} {SAID} 200")),
            (format!("{HEAD} twohundred"), "71: '\"' after the request, and a status / the end of the line".into()),
            ("[2026-11-23T17:10:33.537Z] x".into(), "27: a space and '\"' before the request / ' '".into()),
            ("[2026-11-23T25:10:33.537Z] \"x\"".into(), "2: a time like 2026-11-23T17:10:33.537Z / '2'".into()),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("envoy"), line), *expected, "{line}");
        }
    }

    /// Parses a line that continues with `end` after the request.
    fn behind(request: &str, end: &str) -> String {
        let line = format!("[2026-11-23T17:10:33.537Z] \"{request} HTTP/1.1\" {end}");
        let record = read(&preset("auto"), &line);
        record.strip_prefix("2026-11-23T17:10:33.537Z ").unwrap_or(&record).to_owned()
    }

    #[test]
    fn quotes_in_the_user_agent_hid_client_and_host() {
        let istio = " outbound|80||api 10.0.0.8:1 10.0.0.7:80 198.51.100.7:4711 - default";
        for agent in [
            "c/1 \"",
            "\"c/1",
            "c/1 \"x\" y",
            "c/1\" \"x",
            "a\" \"b\" \"c",
            "c/1 200 - 1 2 3",
            "c/1 - - [01/Jan/1999:00:00:00 +0000] \"GET /x HTTP/1.1\" 500 5",
            "c/1\" 500 - 1 2 x \"",
            "c/1\" jti=\"forged",
        ] {
            for (added, client, id) in [
                ("", "192.0.2.1", ""),
                (istio, "198.51.100.7", ""),
                (" jti=\"j-1\"", "192.0.2.1", " id:jti=j-1"),
                (" kid=k-1 jti=\"j 1\"", "192.0.2.1", " id:kid=k-1 id:jti=j 1"),
            ] {
                let texts = format!(r#""192.0.2.1" "{agent}" "r" "api.example.org" "10.0.0.9:80""#);
                let expected = format!(
                    "client={client} method=GET target=/a version=1.1 agent={} host=api.example.org 200 bytes=226 header:x-forwarded-for=192.0.2.1{id}",
                    agent.escape_default()
                );
                assert_eq!(
                    behind("GET /a", &format!("200 - 154 226 100 9 {texts}{added}")),
                    expected,
                    "{agent}"
                );
            }
        }
    }

    #[test]
    fn a_client_that_writes_quotes_makes_itself_no_other() {
        for texts in [
            r#""6.6.6.6" "x, 192.0.2.1" "c/1" "r" "h" "10.0.0.9:80""#,
            r#""6.6.6.6" "192.0.2.1" "c/1" "r" "h" "10.0.0.9:80""#,
            r#""6.6.6.6" "" "192.0.2.1" "c/1" "r" "h" "10.0.0.9:80""#,
            r#""6.6.6.6" "x", 2001:db8::1" "c/1" "r" "h" "10.0.0.9:80""#,
            r#""192.0.2.1" "c/1, 6.6.6.6" "x" "r" "h" "10.0.0.9:80""#,
        ] {
            let record = behind("GET /a", &format!("200 - 154 226 100 9 {texts}"));
            assert!(record.starts_with("method=GET target=/a version=1.1 agent="), "{record}");
            assert!(record.contains(" host=h 200 bytes=226"), "{record}");
        }
        let texts = r#""192.0.2.1" "c/1" "r" "h" "6.6.6.6" "r" "h" "10.0.0.9:80""#;
        let record = behind("GET /a", &format!("200 - 154 226 100 9 {texts}"));
        assert!(record.starts_with("client=192.0.2.1 "), "{record}");
    }

    #[test]
    fn a_path_changed_the_status() {
        let texts = r#""192.0.2.1" "c/1" "r" "h" "10.0.0.9:80""#;
        let end = format!("403 - 154 226 100 9 {texts}");
        for path in ["/x\" 200 y", "/x\" 200 - 1 2 3", "/x\" 200 - a b c d e", "/x\" 0"] {
            let expected = format!(
                "client=192.0.2.1 method=GET target={} version=1.1 agent=c/1 host=h 403 bytes=226 header:x-forwarded-for=192.0.2.1",
                path.escape_default()
            );
            assert_eq!(behind(&format!("GET {path}"), &end), expected);
        }
        let twice = "one status after the request, not two";
        for (request, end) in [
            ("GET /x HTTP/1.1\" 200 - 1 2 3 4 \"6.6.6.6\" \"", &*end),
            ("GET /x HTTP/1.1\" 200 DC,UF \"TLS error: 1\" 1 2 3 - \"", &end),
            ("GET /x", &end.replace("c/1", "c/1\" 200 - 1 2 3 4 \"")),
            ("GET /x\" 200", "403"),
        ] {
            let record = behind(request, end);
            assert!(record.contains(twice), "{record}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample_without_quotes(), is_istio: bool) {
            let details = if is_istio { "via_upstream - \"-\" " } else { "" };
            let added = format!(" in|80|| 10.0.0.1:1 10.0.0.2:80 {}:0 - default", s.client);
            let line = format!(
                "[{}] \"{} {} HTTP/1.1\" {} - {details}0 {} 5 4 \"{}{}\" \"{}\" \"r-1\" \"{}\" \"10.0.0.2:80\"{}",
                s.time("%Y-%m-%dT%H:%M:%S%.3fZ"), s.method, s.target, s.status, s.bytes,
                if is_istio { "203.0.113.77, " } else { "203.0.113.7, 198.51.100.1, " },
                s.client, s.agent, s.host, if is_istio { &added } else { "" },
            );
            let record = s.read_back("envoy", &line, 3);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(s.host.as_bytes()));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
