//! The access logs of AWS' load balancers: the Application Load Balancer's, and the classic one's.
//!
//! ```text
//! type time elb client:port target:port 3xtimes status target-status received sent "request" "user agent"
//!     cipher tls target-group "trace" "domain" ... and more at the end, over the years            Application
//! time elb client:port backend:port 3xtimes status backend-status received sent "request"[ "user agent"
//!     cipher tls]                                                                                  classic
//! ```
//!
//! Sources: Elastic Load Balancing, "Access logs for your Application Load Balancer" and "... your Classic Load
//! Balancer". The request contains a whole URL, as the load balancer composes it. All fields that matter come before
//! those that a client writes, and the user agent is the only header logged.

use std::borrow::Cow;

use super::client::{address_and_port, parse_address};
use super::duration::{self, Whole};
use super::request::put_request;
use super::scan::{Miss, before, decimal, given, literal, status, unescaped_quoted, word};
use super::{Record, time};

/// The request types of an Application Load Balancer, with the scheme of each.
const TYPES: [(&[u8], &[u8]); 6] = [
    (b"https", b"https"),
    (b"http", b"http"),
    (b"h2", b"https"),
    (b"grpcs", b"https"),
    (b"ws", b"ws"),
    (b"wss", b"wss"),
];

/// Returns whether a line begins with a request type and a time.
pub(super) fn is_likely_application(line: &[u8]) -> bool {
    if !matches!(line.first(), Some(b'h' | b'g' | b'w')) {
        return false;
    }
    let (rest, kind) = word(line.get(..6).unwrap_or(line));
    let stamp = line.get(kind.len() + 1..).unwrap_or_default();
    rest.len() < line.len() && scheme(kind).is_some() && is_time(stamp)
}

/// Returns whether a line begins with a time, a name, an address with its port, and another address or `-`.
pub(super) fn is_likely_classic(line: &[u8]) -> bool {
    if !is_time(line) {
        return false;
    }
    let (rest, _) = word(word(line).0);
    let (rest, client) = word(rest);
    let (_, backend) = word(rest);
    let is_address = |text: &[u8]| text.contains(&b':') && parse_address(text).is_some();
    is_address(client) && (backend == b"-" || is_address(backend))
}

fn is_time(text: &[u8]) -> bool {
    matches!(text, [b'0'..=b'9', _, _, _, b'-', _, _, b'-', _, _, b'T', ..])
}

fn scheme(kind: &[u8]) -> Option<&'static [u8]> {
    TYPES.iter().find_map(|(name, scheme)| (*name == kind).then_some(*scheme))
}

/// Parses a line of an Application Load Balancer.
pub(super) fn read_application(line: &[u8]) -> Result<Record<'_>, Miss> {
    let (rest, kind) = before(line, b" ", "the type of the request")?;
    let Some(scheme) = scheme(kind) else {
        let expected = "the type of the request: http, https, h2, grpcs, ws or wss";
        return Err(Miss::at(line, expected));
    };
    let mut record = Record { scheme: Some(Cow::Borrowed(scheme)), ..Record::default() };
    read_from_time(&mut record, rest)?;
    Ok(record)
}

/// Parses a line of a Classic Load Balancer. One with a TCP listener logs no request.
pub(super) fn read_classic(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    read_from_time(&mut record, line)?;
    // Unlike the other one's, its time is when the request was received.
    record.took_millis = 0;
    Ok(record)
}

fn read_from_time<'a>(record: &mut Record<'a>, stamp: &'a [u8]) -> Result<(), Miss> {
    let (rest, text) = before(stamp, b" ", "the time")?;
    let Some(time) = time::iso(text) else {
        return Err(Miss::at(stamp, "a time like 2026-11-23T17:10:33.537001Z"));
    };
    record.set_time(time);
    let (client, _) = before(rest, b" ", "the load balancer's name")?;
    let (rest, text) = before(client, b" ", "the client and its port")?;
    record.client = address_and_port(text).or_else(|| parse_address(text));
    if record.client.is_none() {
        return Err(Miss::at(client, "the client and its port"));
    }
    let rest = numbers(record, rest)?;
    let (rest, _) = literal(rest, b"\"", "'\"' before the request")?;
    let is_next = |rest: &[u8]| rest.is_empty() || rest.starts_with(b" \"");
    let Some((rest, request)) = unescaped_quoted(rest, is_next) else {
        return Err(Miss::at_end("'\"' after the request"));
    };
    // A request that the load balancer could not parse begins with a dash for the method; a TCP listener's has none.
    if request.starts_with(b"- ") {
        record.is_malformed = !request.starts_with(b"- - -");
    } else {
        put_request(record, &Cow::Borrowed(request), request);
    }
    if let Some((rest, agent)) =
        rest.strip_prefix(b" \"").and_then(|inside| unescaped_quoted(inside, |r| tls(r).is_some()))
    {
        record.agent = given(agent);
        record.tls = tls(rest).and_then(given);
    }
    Ok(())
}

/// Parses ` cipher protocol` after the user agent.
fn tls(rest: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = 80;
    let near = rest.strip_prefix(b" ")?;
    let (rest, _cipher) = word(near.get(..LONGEST).unwrap_or(near));
    let (_, protocol) = word(rest);
    let is_protocol =
        protocol == b"-" || protocol.starts_with(b"TLS") || protocol.starts_with(b"SSL");
    is_protocol.then_some(protocol)
}

/// Parses the fields from the target to the bytes sent.
fn numbers<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    rest = before(rest, b" ", "the target and its port")?.0;
    for expected in ["the first time", "the second time", "the third time"] {
        let (after, seconds) = before(rest, b" ", expected)?;
        // -1 if the request did not get that far.
        let millis = duration::read(seconds, Whole::Unknown).unwrap_or_default();
        record.took_millis = duration::sum(record.took_millis, millis);
        rest = after;
    }
    let (after, code) = before(rest, b" ", "a status")?;
    record.status = status(code);
    if record.status.is_none() && code != b"-" {
        return Err(Miss::at(rest, "a status, or '-'"));
    }
    let (rest, _) = before(after, b" ", "the target's status")?;
    let (rest, _) = before(rest, b" ", "the number of bytes received")?;
    let (after, size) = before(rest, b" ", "the number of bytes sent")?;
    record.bytes = decimal(size);
    if record.bytes.is_none() && size != b"-" {
        return Err(Miss::at(rest, "the number of bytes sent"));
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample_without_quotes;
    use super::super::tests::{preset, read};

    const TIME: &str = "2026-11-23T17:10:33.537001Z";
    const TAIL: &str = r#"arn:aws:tg/x "Root=1-2" "example.org" "-" 0 2026-11-23T17:10:33.5Z "forward" "-" "-" "10.0.0.9:80" "200" "-" "-" TID_1 "-" "-" "-" "new" 7"#;

    #[test]
    fn an_application_load_balancers_lines_are_read() {
        let url = "https://api.example.org:443/v1?api_key=k";
        let said = format!("target={url} version=1.1 agent=c/1 host=api.example.org:443");
        let cases = [
            (
                format!(
                    r#"https {TIME} app/lb/1 192.0.2.1:4711 10.0.0.9:80 0.0 0.1 0.0 200 200 34 366 "GET {url} HTTP/1.1" "c/1" ECDHE-RSA TLSv1.2 {TAIL}"#
                ),
                format!(
                    "{TIME} client=192.0.2.1 method=GET {said} scheme=https tls=TLSv1.2 200 bytes=366"
                ),
            ),
            (
                format!(
                    r#"h2 {TIME} app/lb/1 2001:db8::1:4711 - -1 -1 -1 403 - 34 366 "POST {url} HTTP/1.1" "c/1" - -"#
                ),
                format!("{TIME} client=2001:db8::1 method=POST {said} scheme=https 403 bytes=366"),
            ),
            (
                format!(
                    r#"wss {TIME} app/lb/1 192.0.2.1:4711 - -1 -1 -1 - - 34 0 "- http://api.example.org:80- -" "-" - - {TAIL}"#
                ),
                format!("{TIME} client=192.0.2.1 scheme=wss bytes=0"),
            ),
            (
                format!("https {TIME} app/lb/1 here"),
                "48: the client and its port / the end of the line".into(),
            ),
            (
                format!("http2 {TIME} app/lb/1"),
                "1: the type of the request: http, https, h2, grpcs, ws or wss / 'h'".into(),
            ),
            (
                format!(r#"http {TIME} app/lb/1 192.0.2.1:4711 - -1 -1 -1 OK - 34 0 "-""#),
                "69: a status, or '-' / 'O'".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("alb"), line), *expected, "{line}");
        }
    }

    #[test]
    fn a_classic_load_balancers_lines_are_read() {
        let head = format!("{TIME} my-lb 192.0.2.1:4711 10.0.0.9:80 0.000073 0.001048 0.000057");
        let begin = format!("{TIME} client=192.0.2.1");
        let said = "method=GET target=http://example.org:80/?a=\" version=1.1";
        let cases = [
            (
                format!(r#"{head} 200 200 0 29 "GET http://example.org:80/?a=" HTTP/1.1""#),
                format!("{begin} {said} host=example.org:80 scheme=http 200 bytes=29")
                    .replace("a=\"", "a=\\\""),
            ),
            (
                format!(
                    r#"{head} 200 200 0 29 "GET https://example.org/ HTTP/1.1" "c "1" x" ECDHE TLSv1.2"#
                ),
                format!(
                    r#"{begin} method=GET target=https://example.org/ version=1.1 agent=c \"1\" x host=example.org scheme=https tls=TLSv1.2 200 bytes=29"#
                ),
            ),
            (format!(r#"{head} - - 82 305 "- - - " "-" - -"#), format!("{begin} bytes=305")),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("elb"), line), *expected, "{line}");
            assert_eq!(read(&preset("auto"), line), *expected, "{line}");
        }
    }

    #[test]
    fn a_record_inside_the_user_agent_changes_nothing() {
        let forged = r#"c/1 - - [01/Jan/1999:00:00:00 +0000] "GET /x HTTP/1.1" 500 5"#;
        let rest = r#"lb 192.0.2.1:4711 10.0.0.9:80 0 0 0 200 200 0 29 "GET http://example.org/ HTTP/1.1""#;
        for head in ["", "http "] {
            let record = read(&preset("auto"), &format!(r#"{head}{TIME} {rest} "{forged}" - -"#));
            assert!(
                record.starts_with(&format!("{TIME} client=192.0.2.1 method=GET target=http://")),
                "{record}"
            );
            assert!(record.contains(" 200 bytes=29"), "{record}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample_without_quotes(), is_classic: bool) {
            let (name, kind) = if is_classic { ("elb", "") } else { ("alb", "https ") };
            let url = format!("https://{}:443{}", s.host, s.target);
            let line = format!(
                "{kind}{} lb/1 {}:4711 10.0.0.9:80 0.1 0.2 0.3 {} 200 7 {} \"{} {url} HTTP/1.1\" \"{}\" ECDHE TLSv1.3 {TAIL}",
                s.time("%Y-%m-%dT%H:%M:%S%.6fZ"), s.client, s.status, s.bytes, s.method, s.agent,
            );
            let record = s.read_back(name, &line, 6);
            prop_assert_eq!(record.target.as_deref(), Some(url.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            let host = format!("{}:443", s.host);
            prop_assert_eq!(record.host.as_deref(), Some(host.as_bytes()));
            prop_assert_eq!(record.tls.as_deref(), Some(&b"TLSv1.3"[..]));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
