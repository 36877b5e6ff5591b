//! Amazon S3's server access log, as documented in its user guide, "Amazon S3 server access log format".
//!
//! ```text
//! owner bucket [time] client requester request-id operation key "request" status error sent size total-ms
//!     turnaround-ms "referer" "user agent" version host-id signature cipher authentication host tls ...
//! ```
//!
//! The requester is a canonical user, or the ARN of an IAM user or role. The access key is not logged, unless the
//! request was signed in its query. Fields may be added at the end.
//!
//! The key is percent-encoded. Request, referer and user agent are not documented to be, and they contain quotes as
//! received. So the request ends where all numbers follow, and the user agent ends at the last quote: no later field
//! is quoted. If all numbers follow twice, nobody can know which status is real, and the line is rejected.

use std::borrow::Cow;

use super::client::parse_address;
use super::request::put_request;
use super::scan::{
    BETWEEN, Miss, before, begins_with_status, bracketed_time, decimal, found_in, given, literal,
    present, status, unescaped_request, word,
};
use super::{Record, time};

/// The length of a canonical user in hex digits.
const OWNER: usize = 64;

/// Returns whether a line begins with a canonical user, a word and a bracket.
pub(super) fn is_likely(line: &[u8]) -> bool {
    if line.get(OWNER) != Some(&b' ') {
        return false;
    }
    let is_user = line.get(..OWNER).is_some_and(|user| user.iter().all(u8::is_ascii_hexdigit));
    is_user && word(line.get(OWNER + 1..).unwrap_or_default()).0.starts_with(b"[")
}

/// Parses a line. One that ends early is read as far as it goes, provided that it has the status.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let (rest, _) = before(line, b" ", "the bucket's owner")?;
    let (rest, _) = before(rest, b" ", "the bucket")?;
    let expected = "a time like 10/Oct/2000:13:55:36 +0000";
    let (rest, time) = bracketed_time(rest, b"] ", time::clf, expected)?;
    record.set_time(time);
    let (rest, text) = before(rest, b" ", "the client's address")?;
    record.client = parse_address(text);
    let (rest, requester) = before(rest, b" ", "the requester")?;
    record.user = given(requester);
    let (rest, _) = before(rest, b" ", "the request's id")?;
    let (rest, _) = before(rest, b" ", "the operation")?;
    let (rest, _) = before(rest, b" ", "the key")?;
    let rest = request(&mut record, rest)?;
    let (after, code) = word(rest);
    record.status = status(code);
    if record.status.is_none() && code != b"-" {
        return Err(Miss::at(rest, "a status, or '-'"));
    }
    let (rest, _error) = word(after);
    let (rest, sent) = word(rest);
    record.bytes = decimal(sent);
    read_tail(&mut record, rest);
    Ok(record)
}

/// Parses the request, which is absent if S3 itself acted.
fn request<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    let Some(inside) = rest.strip_prefix(b"\"") else {
        return Ok(literal(rest, b"- ", "'\"' before the request, or '-'")?.0);
    };
    let (rest, text) = unescaped_request(inside, are_numbers_next, is_status_next)?;
    put_request(record, &Cow::Borrowed(text), text);
    Ok(rest.get(1..).unwrap_or_default())
}

fn is_status_next(rest: &[u8]) -> bool {
    rest.strip_prefix(b" ").is_some_and(|rest| begins_with_status(rest, b"-"))
}

/// Returns whether the text begins like status, error, bytes, size and times, followed by a referer.
fn are_numbers_next(rest: &[u8]) -> bool {
    const NEAR: usize = 256;
    if !is_status_next(rest) {
        return false;
    }
    let near = rest.get(1..).unwrap_or_default();
    let (rest, _status) = word(near.get(..NEAR).unwrap_or(near));
    let (mut rest, _error) = word(rest);
    for _sent_size_times in 0..4 {
        let (after, text) = word(rest);
        if decimal(text).is_none() && text != b"-" {
            return false;
        }
        rest = after;
    }
    rest.starts_with(b"\"") || rest.starts_with(b"- \"")
}

/// Splits off referer and user agent, each of which may be a bare `-`.
fn texts(rest: &[u8]) -> (&[u8], (&[u8], &[u8])) {
    let end = memchr::memrchr(b'"', rest).unwrap_or_default();
    let (quoted, after) = rest.split_at(end);
    let after = after.strip_prefix(b"\"").unwrap_or(after);
    let after = after.strip_prefix(b" ").unwrap_or(after);
    if let Some(agent) = quoted.strip_prefix(b"- \"") {
        return (after, (b"", agent));
    }
    let Some(inside) = quoted.strip_prefix(b"\"") else {
        let (rest, referer) = word(rest);
        let (rest, agent) = word(rest);
        return (rest, (referer, agent));
    };
    if let Some(both) = found_in(inside, BETWEEN) {
        return (after, both);
    }
    let (rest, agent) = word(after);
    (rest, (inside, agent))
}

/// Parses the fields from the object's size to the TLS version.
fn read_tail<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) {
    for _size_and_times in 0..3 {
        rest = word(rest).0;
    }
    let (after, (referer, agent)) = texts(rest);
    record.referer = given(referer);
    record.agent = given(agent);
    rest = after;
    for _version_host_signature in 0..3 {
        rest = word(rest).0;
    }
    let (rest, cipher) = word(rest);
    let (rest, _authentication) = word(rest);
    let (rest, host) = word(rest);
    let (_, tls) = word(rest);
    record.host = given(host);
    record.tls = given(tls);
    if record.host.is_some() {
        let scheme: &[u8] = if present(cipher).is_some() { b"https" } else { b"http" };
        record.scheme = Some(Cow::Borrowed(scheme));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::sample::sample_without_quotes;
    use super::super::tests::{preset, read};

    const OWNER: &str = "79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47e0001";

    #[test]
    fn lines_are_read() {
        let head = format!("{OWNER} data [23/Nov/2026:17:10:33 +0000] 192.0.2.1");
        let begin = "2026-11-23T17:10:33Z client=192.0.2.1";
        let cases = [
            (
                format!(
                    r#"{head} arn:aws:iam::1:user/ann 3E57 REST.GET.OBJECT a%252Fb "GET /data/a?X-Amz-Signature=s" HTTP/1.1" 200 - 113 - 7 - "-" "c "1 x" - s9lz= SigV4 ECDHE-RSA QueryString data.example.org TLSv1.2 - Yes eu-1"#
                ),
                format!(
                    r#"{begin} method=GET target=/data/a?X-Amz-Signature=s\" version=1.1 agent=c \"1 x user=arn:aws:iam::1:user/ann host=data.example.org scheme=https tls=TLSv1.2 200 bytes=113"#
                ),
            ),
            (
                format!(
                    r#"{head} - 3E57 REST.GET.OBJECT a "GET /data/a HTTP/1.1" 403 AccessDenied 297 - 38 12 "http://example.org/" "c/1" - B= - - - data.example.org -"#
                ),
                format!(
                    "{begin} method=GET target=/data/a version=1.1 referer=http://example.org/ agent=c/1 host=data.example.org scheme=http 403 bytes=297"
                ),
            ),
            (
                format!(
                    r#"{head} AmazonS3 3E57 S3.EXPIRE.OBJECT a "-" - - - 7 - - "-" "-" - B= - - - - -"#
                ),
                format!("{begin} user=AmazonS3"),
            ),
            (
                format!("{head} AmazonS3 3E57 BATCH.DELETE.OBJECT a - 204 - - 7 - - - - -"),
                format!("{begin} user=AmazonS3 204"),
            ),
            (
                format!("{head} - 3E57 REST.GET a \"GET / HTTP/1.1\" 200"),
                format!("{begin} method=GET target=/ version=1.1 200"),
            ),
            (
                format!("{head} - 3E57 REST.GET a \"GET /"),
                "134: '\"' after the request, and a status / the end of the line".into(),
            ),
            (
                format!("{OWNER} data [tomorrow] x"),
                "72: a time like 10/Oct/2000:13:55:36 +0000 / 't'".into(),
            ),
        ];
        for (line, expected) in &cases {
            assert_eq!(read(&preset("s3"), line), *expected, "{line}");
        }
    }

    /// Parses a line with a request, and with the text from the referer on.
    fn line(request: &str, status: &str, texts: &str) -> String {
        let head = format!("{OWNER} data [23/Nov/2026:17:10:33 +0000] 192.0.2.1 - 3E REST.GET a");
        let line = format!(
            "{head} \"{request} HTTP/1.1\" {status} - 113 - 7 - {texts} - s= SigV4 ECDHE QueryString data.example.org TLSv1.3 - - eu-1"
        );
        let record = read(&preset("auto"), &line);
        record.strip_prefix("2026-11-23T17:10:33Z client=192.0.2.1 ").unwrap_or(&record).to_owned()
    }

    #[test]
    fn quotes_in_referer_and_user_agent_hid_the_host() {
        for (texts, referer, agent) in [
            (r#""r" "a" b""#, "r", "a\" b"),
            (r#""r" ""a" b""#, "r", "\"a\" b"),
            (r#""r" "a" "b" c""#, "r", "a\" \"b\" c"),
            (r#""r" s" "a""#, "r\" s", "a"),
            (r#""r" "a" - h SigV4 - - - -""#, "r", "a\" - h SigV4 - - - -"),
            (r#"- "a" b""#, "", "a\" b"),
            (r#""r" s" -"#, "r\" s", ""),
            (r#""r" -"#, "r", ""),
            ("- -", "", ""),
        ] {
            let shown = |name, text: &str| match text {
                "" => String::new(),
                text => format!("{name}={} ", text.escape_default()),
            };
            let expected = format!(
                "method=GET target=/a version=1.1 {}{}host=data.example.org scheme=https tls=TLSv1.3 200 bytes=113",
                shown("referer", referer),
                shown("agent", agent)
            );
            assert_eq!(line("GET /a", "200", texts), expected, "{texts}");
        }
    }

    #[test]
    fn a_path_or_a_user_agent_changed_the_status() {
        let texts = r#""r" "a""#;
        for path in ["/x\" 200 y", "/x\" 200 - 1 2 x 4 \"", "/x\" -"] {
            let record = line(&format!("GET {path}"), "403", texts);
            let target = path.escape_default();
            assert!(
                record.starts_with(&format!("method=GET target={target} version=1.1 ")),
                "{record}"
            );
            assert!(record.ends_with(" 403 bytes=113"), "{record}");
        }
        for (request, texts) in [
            ("GET /x HTTP/1.1\" 200 - 1 2 3 4 \"-\"", texts),
            ("GET /x", "\"-\" \"a\" 200 - - - - - \"b\""),
        ] {
            let record = line(request, "403", texts);
            assert!(record.contains("one status after the request, not two"), "{record}");
        }
    }

    #[test]
    fn a_record_inside_the_user_agent_changes_nothing() {
        let forged = r#"c/1 - - [01/Jan/1999:00:00:00 +0000] "GET /x HTTP/1.1" 500 5"#;
        let line = format!(
            r#"{OWNER} data [23/Nov/2026:17:10:33 +0000] 192.0.2.1 - 3E REST.GET a "GET / HTTP/1.1" 200 - 113 - 7 - "-" "{forged}" - s= - - - h -"#
        );
        let record = read(&preset("auto"), &line);
        assert!(
            record.starts_with("2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/ "),
            "{record}"
        );
        assert!(record.contains(" 200 bytes=113"), "{record}");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_back(s in sample_without_quotes()) {
            let line = format!(
                "{OWNER} data [{}] {} - 3E57 REST.GET.OBJECT k \"{} {} HTTP/1.1\" {} - {} 9 7 6 \"{}\" \"{}\" - h= SigV4 ECDHE AuthHeader {} TLSv1.3 - -",
                s.time("%d/%b/%Y:%H:%M:%S +0000"), s.client, s.method, s.target, s.status, s.bytes, s.referer, s.agent, s.host,
            );
            let record = s.read_back("s3", &line, 0);
            prop_assert_eq!(record.target.as_deref(), Some(s.target.as_bytes()));
            prop_assert_eq!(record.referer.as_deref(), Some(s.referer.as_bytes()));
            prop_assert_eq!(record.agent.as_deref(), Some(s.agent.as_bytes()));
            prop_assert_eq!(record.host.as_deref(), Some(s.host.as_bytes()));
            prop_assert_eq!(record.tls.as_deref(), Some(&b"TLSv1.3"[..]));
            prop_assert_eq!(record.bytes, Some(s.bytes));
        }
    }
}
