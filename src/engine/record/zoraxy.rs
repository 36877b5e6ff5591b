//! Zoraxy's access log, as in its log files. Older versions print no user agent.
//!
//! ```text
//! [2006/01/02 15:04:05 ][2006-01-02 15:04:05.000000] [router:class] [origin:host] [client: address]
//!     [[useragent: user agent] ]METHOD uri status
//! ```
//!
//! The time has no zone and is read as UTC. Nothing is escaped. A host contains no space, so the first client bracket
//! is the real one. A URI contains none either, so method and URI are the two words before the last.

use std::borrow::Cow;

use super::client::parse_address;
use super::request::put_target;
use super::scan::{Miss, before, bracketed_time, given, last_word, status};
use super::{Record, time};

/// The length of what a second logger writes before the line.
const STAMP: usize = "2006/01/02 15:04:05 ".len();

/// Returns whether a line begins with a bracketed time and the router's bracket.
pub(super) fn is_likely(line: &[u8]) -> bool {
    const TIME: usize = "[2006-01-02 15:04:05.000000] ".len();
    bare(line).get(TIME..).is_some_and(|rest| rest.starts_with(b"[router:"))
}

/// Removes what a second logger writes before the line.
fn bare(line: &[u8]) -> &[u8] {
    match line {
        [b'0'..=b'9', _, _, _, b'/', ..] => line.get(STAMP..).unwrap_or_default(),
        _ => line,
    }
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let expected = "a time like 2026-11-23 17:10:33.537001";
    let (rest, time) = bracketed_time(bare(line), b"] ", time::iso, expected)?;
    record.set_time(time);
    let (rest, _) = before(rest, b" [origin:", "the router and the origin")?;
    let (rest, host) = before(rest, b"] [client: ", "']' after the origin, and the client")?;
    record.host = given(host);
    let (rest, client) = before(rest, b"] ", "']' after the client")?;
    record.client = parse_address(client);
    let (rest, code) = last_word(rest);
    record.status = status(code);
    if record.status.is_none() {
        return Err(Miss::at(code, "a status at the end of the line"));
    }
    let (rest, uri) = last_word(rest);
    let (agent, method) = last_word(rest);
    put_target(&mut record, Some(Cow::Borrowed(uri)));
    record.method = given(method);
    let agent = agent.strip_prefix(b"[useragent: ").and_then(|agent| agent.strip_suffix(b"]"));
    record.agent = agent.and_then(given);
    Ok(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample;
    use super::super::tests::{preset, read};

    #[test]
    fn lines_are_read() {
        let head = "[2026-11-23 17:10:33.537001] [router:host-http] [origin:a.example.org] [client: 192.0.2.1]";
        let begin = "2026-11-23T17:10:33.537001Z client=192.0.2.1 method=GET";
        let cases = [
            (
                format!("2026/11/23 17:10:33 {head} [useragent: c/1 (x)] GET /?token=t 444"),
                format!("{begin} target=/?token=t agent=c/1 (x) host=a.example.org 444"),
            ),
            (
                format!("{head} [useragent: c] GET /x 200 [client: 6.6.6.6]] GET / 404"),
                format!(
                    "{begin} target=/ agent=c] GET /x 200 [client: 6.6.6.6] host=a.example.org 404"
                ),
            ),
            (
                format!("{head} [useragent: ] GET / 2000"),
                "112: a status at the end of the line / '2'".into(),
            ),
            (
                "[2026-11-23 17:10:33.537001] [router:x] [origin:".into(),
                "49: ']' after the origin, and the client / the end of the line".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("zoraxy"), line), *expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample()) {
            let time = s.time("%Y/%m/%d %H:%M:%S [%Y-%m-%d %H:%M:%S%.6f]");
            let line = format!(
                "{time} [router:host-http] [origin:{}] [client: {}] [useragent: {}] {} {} {}",
                s.host, s.client, s.agent, s.method, s.target, s.status,
            );
            let record = s.read_back("zoraxy", &line, 6);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(s.host.as_bytes()));
        }
    }
}
