//! The access logs of Nginx Proxy Manager and of its fork `NPMplus`: nginx's variables, the time first.
//!
//! ```text
//! [time] [cache upstream-status ]status - METHOD scheme host "uri" [Client address] [Length bytes] [Gzip ratio]
//!     [ [Sent-to server]] "user agent" "referer"                                                     (1)
//! [time] host address seconds "request" status bytes sent referer user agent                         (2)
//! ```
//!
//! Sources: (1) Nginx Proxy Manager, `log-proxy.conf`, formats `proxy` and `standard`; (2) `NPMplus`, `nginx.conf`,
//! whose last two fields have no quotes. Both escape like nginx.

use super::client::parse_address;
use super::further;
use super::request::put_request;
use super::scan::{
    Miss, before, begins_with_status, bracketed_time, decimal, given, literal, present, quoted,
    status, unescape, word,
};
use super::{Record, time};

/// Returns whether a line begins with a bracketed time, and has a dash between a status and a method.
pub(super) fn is_likely(line: &[u8]) -> bool {
    after_time(line).is_some_and(|rest| !is_plus(rest))
}

/// Returns whether a line begins with a bracketed time, a host, an address, seconds and a quote.
pub(super) fn is_likely_plus(line: &[u8]) -> bool {
    after_time(line).is_some_and(is_plus)
}

/// Returns the text after `[10/Oct/2000:13:55:36 -0700] `.
fn after_time(line: &[u8]) -> Option<&[u8]> {
    const LENGTH: usize = 29;
    let [b'[', _, _, b'/', _, _, _, b'/', ..] = line else { return None };
    line.get(LENGTH - 2..).unwrap_or_default().strip_prefix(b"] ")
}

fn is_plus(rest: &[u8]) -> bool {
    let (rest, _host) = word(rest);
    let (rest, address) = word(rest);
    let (rest, seconds) = word(rest);
    let is_seconds = seconds.iter().all(|b| b.is_ascii_digit() || *b == b'.');
    rest.starts_with(b"\"") && is_seconds && parse_address(address).is_some()
}

fn read_time<'a>(record: &mut Record<'a>, line: &'a [u8]) -> Result<&'a [u8], Miss> {
    let expected = "a time like 10/Oct/2000:13:55:36 -0700";
    let (rest, time) = bracketed_time(line, b"] ", time::clf, expected)?;
    record.set_time(time);
    Ok(rest)
}

/// Parses a line of Nginx Proxy Manager.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let rest = read_time(&mut record, line)?;
    let rest = read_status(&mut record, rest)?;
    let (rest, method) = before(rest, b" ", "the method")?;
    record.method = given(method);
    let (rest, scheme) = before(rest, b" ", "the scheme")?;
    record.scheme = given(scheme);
    let (rest, host) = before(rest, b" ", "the host")?;
    record.host = present(host).map(unescape);
    let (rest, _) = literal(rest, b"\"", "'\"' before the URI")?;
    let Some((rest, uri)) = quoted(rest, |rest| rest.starts_with(b" [Client ")) else {
        return Err(Miss::at_end("'\"' after the URI, and [Client ...]"));
    };
    record.target = present(uri.raw).map(|_| uri.text());
    let (rest, client) = in_brackets(rest, b" [Client ", "a space and [Client ...]")?;
    record.client = parse_address(client);
    let (rest, length) = in_brackets(rest, b" [Length ", "a space and [Length ...]")?;
    record.bytes = decimal(length);
    let (rest, _) = in_brackets(rest, b" [Gzip ", "a space and [Gzip ...]")?;
    let rest = in_brackets(rest, b" [Sent-to ", "").map_or(rest, |(rest, _)| rest);
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    let (rest, agent) = further::quoted_or_cut(rest).unwrap_or((rest, None));
    let (rest, referer) = further::quoted_or_absent(rest).unwrap_or((rest, None));
    (record.agent, record.referer) = (agent, referer);
    further::further(&mut record, rest);
    Ok(record)
}

/// Parses the status: the word before the dash before the method. In front of it, the format `proxy` has the
/// state of the cache and the upstream servers' status, which may be dashes too.
fn read_status<'a>(record: &mut Record<'a>, words: &'a [u8]) -> Result<&'a [u8], Miss> {
    let mut rest = words;
    let mut code = None;
    while !rest.is_empty() {
        let (after, text) = word(rest);
        if text == b"-" && code.is_some() {
            record.status = code;
            let is_method = after.first().is_some_and(u8::is_ascii_uppercase);
            if is_method || after.starts_with(b"- ") {
                return Ok(after);
            }
        }
        code = status(text);
        rest = after;
    }
    Err(Miss::at(words, "a status and '-' before the method"))
}

/// Splits off the text between `lead` and `]`.
fn in_brackets<'a>(
    rest: &'a [u8],
    lead: &[u8],
    expected: &'static str,
) -> Result<(&'a [u8], &'a [u8]), Miss> {
    let (inside, _) = literal(rest, lead, expected)?;
    Ok(before(inside, b"]", "']' after it")?)
}

/// Parses a line of `NPMplus`. One that ends early is read as far as it goes, provided that it has the status.
pub(super) fn read_plus(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let rest = read_time(&mut record, line)?;
    let (rest, host) = before(rest, b" ", "the host")?;
    record.host = present(host).map(unescape);
    let (at_seconds, client) = before(rest, b" ", "the client's address")?;
    record.client = parse_address(client);
    let (rest, _) = before(at_seconds, b" \"", "the seconds it took, and '\"'")?;
    let Some((after, request)) = quoted(rest, is_status_next) else {
        return Err(Miss::at_end("'\"' after the request, and a status"));
    };
    put_request(&mut record, &request.text(), request.raw);
    let (rest, code) = word(after.get(1..).unwrap_or_default());
    record.status = status(code);
    let (rest, bytes) = word(rest);
    record.bytes = decimal(bytes);
    let (rest, _sent) = word(rest);
    let (agent, referer) = word(rest);
    record.referer = present(referer).map(unescape);
    record.agent = present(agent).map(unescape);
    Ok(record)
}

fn is_status_next(rest: &[u8]) -> bool {
    rest.strip_prefix(b" ").is_some_and(|rest| begins_with_status(rest, b""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::{Sample, sample};
    use super::super::tests::{preset, read};

    #[test]
    fn nginx_proxy_managers_lines_are_read() {
        let time = "[23/Nov/2026:17:10:33 +0000]";
        let begin = "2026-11-23T17:10:33Z client=192.0.2.1";
        let tail = r#"GET https api.example.org "/v1?api_key=k" [Client 192.0.2.1] [Length 512] [Gzip 1.1]"#;
        let said = "method=GET target=/v1?api_key=k";
        let rest = "agent=c/1 \\\"x\\\" host=api.example.org scheme=https";
        let agent = r#""c/1 \x22x\x22" "-""#;
        let cases = [
            (
                format!("{time} 301 - {tail} {agent}"),
                format!("{begin} {said} {rest} 301 bytes=512"),
            ),
            (
                format!("{time} - 404 200 - {tail} [Sent-to api] {agent}"),
                format!("{begin} {said} {rest} 200 bytes=512"),
            ),
            (
                format!("{time} HIT 502, 200 200 - {tail} [Sent-to 10.0.0.9:80] {agent}"),
                format!("{begin} {said} {rest} 200 bytes=512"),
            ),
            (
                format!("{time} - - 499 - {tail} {agent}"),
                format!("{begin} {said} {rest} 499 bytes=512"),
            ),
            (
                format!("{time} 200 - {tail} \"-\" \"http://example.org/\" \"Bearer x1\" tw1_0f"),
                format!(
                    "{begin} {said} referer=http://example.org/ host=api.example.org scheme=https 200 bytes=512 field=Bearer x1 field=tw1_0f"
                ),
            ),
            (
                format!(
                    "{time} 400 - - http - \"-\" [Client 192.0.2.1] [Length 0] [Gzip -] \"-\" \"-\""
                ),
                format!("{begin} scheme=http 400 bytes=0"),
            ),
            (
                format!("{time} 200 - GET https h \"/\" [Client 192.0.2.1] [Lengths]"),
                "70: a space and [Length ...] / ' '".into(),
            ),
            (format!("{time} OK - GET"), "30: a status and '-' before the method / 'O'".into()),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("npm"), line), *expected, "{line}");
        }
    }

    #[test]
    fn npmplus_lines_are_read() {
        let head = "[23/Nov/2026:17:10:33 +0000] api.example.org 192.0.2.1 0.156";
        let begin = "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/ version=2.0";
        let cases = [
            (
                format!(
                    "{head} \"GET / HTTP/2.0\" 200 2048 2156 http://example.org/?q=1 c/1 (x y)"
                ),
                format!(
                    "{begin} referer=http://example.org/?q=1 agent=c/1 (x y) host=api.example.org 200 bytes=2048"
                ),
            ),
            (
                format!("{head} \"GET / HTTP/2.0\" 401 77 935 - -"),
                format!("{begin} host=api.example.org 401 bytes=77"),
            ),
            (format!("{head} \"GET / HTTP/2.0\" 401"), format!("{begin} host=api.example.org 401")),
            (
                format!("{head} \"GET / HTTP/2.0\""),
                "78: '\"' after the request, and a status / the end of the line".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("npmplus"), line), *expected, "{line}");
            assert_eq!(read(&preset("auto"), line), *expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample(), has_upstream: bool) {
            let (upstream, sent) = if has_upstream { ("- 502, 200 ", " [Sent-to a:80]") } else { ("", "") };
            let line = format!(
                "[{}] {upstream}{} - {} https {} \"{}\" [Client {}] [Length {}] [Gzip -]{sent} \"{}\" \"{}\"",
                s.time("%d/%b/%Y:%H:%M:%S %z"), s.status, s.method, s.host, Sample::escaped(&s.target), s.client,
                s.bytes, Sample::escaped(&s.agent), Sample::escaped(&s.referer),
            );
            let record = s.read_back("npm", &line, 0);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.referer.as_deref(), Some(s.referer.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(s.host.as_bytes()));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }

        #[test]
        fn what_npmplus_prints_is_read_back(s in sample()) {
            let referer = s.referer.replace([' ', '-'], "+");
            let line = format!(
                "[{}] {} {} 0.156 \"{} {} HTTP/3.0\" {} {} 9 {} {}",
                s.time("%d/%b/%Y:%H:%M:%S %z"), s.host, s.client, s.method, Sample::escaped(&s.target), s.status,
                s.bytes, Sample::escaped(&referer), Sample::escaped(&s.agent),
            );
            let record = s.read_back("npmplus", &line, 0);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.referer.as_deref(), Some(referer.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(s.host.as_bytes()));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
