//! Amazon S3's server access log, as its user guide draws it in "Amazon S3 server access log format".
//!
//! ```text
//! owner bucket [time] client requester request-id operation key "request" status error sent size total-ms
//!     turnaround-ms "referer" "user agent" version host-id signature cipher authentication host tls ...
//! ```
//!
//! The requester is a canonical user, or the ARN of an IAM user or role. Nothing says which access key was used,
//! unless the request was signed in its query. Fields may be added at the end.

use std::borrow::Cow;

use super::client::parse_address;
use super::draft::put_request;
use super::scan::{
    Miss, before, decimal, field, given, literal, present, status, unescaped_quoted, word,
};
use super::{Record, time};

/// Hex digits of a canonical user.
const OWNER: usize = 64;

/// Says whether a line begins with a canonical user, a word and a bracket.
pub(super) fn is_likely(line: &[u8]) -> bool {
    if line.get(OWNER) != Some(&b' ') {
        return false;
    }
    let is_user = line.get(..OWNER).is_some_and(|user| user.iter().all(u8::is_ascii_hexdigit));
    is_user && word(line.get(OWNER + 1..).unwrap_or_default()).0.starts_with(b"[")
}

/// Reads a line. One that ends early is taken as far as it goes, if it has the status.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let (rest, _) = before(line, b" ", "the bucket's owner")?;
    let (rest, _) = before(rest, b" ", "the bucket")?;
    let (inside, _) = literal(rest, b"[", "'[' before the time")?;
    let (rest, text) = before(inside, b"] ", "']' after the time")?;
    let Some(time) = time::clf(text) else {
        return Err(Miss {
            rest: inside.len(),
            expected: "a time like 10/Oct/2000:13:55:36 +0000",
        });
    };
    record.time = Some(time.at);
    record.time_digits = time.digits;
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
        return Err(Miss { rest: rest.len(), expected: "a status, or '-'" });
    }
    let (rest, _error) = word(after);
    let (rest, sent) = word(rest);
    record.bytes = decimal(sent);
    read_tail(&mut record, rest);
    Ok(record)
}

/// Reads the request, which is absent where S3 itself acted.
fn request<'a>(record: &mut Record<'a>, rest: &'a [u8]) -> Result<&'a [u8], Miss> {
    let Some(inside) = rest.strip_prefix(b"\"") else {
        return Ok(literal(rest, b"- ", "'\"' before the request, or '-'")?.0);
    };
    let Some((rest, text)) = unescaped_quoted(inside, is_status_next) else {
        return Err(Miss { rest: 0, expected: "'\"' after the request, and a status" });
    };
    put_request(record, &Cow::Borrowed(text), text);
    Ok(rest.get(1..).unwrap_or_default())
}

fn is_status_next(rest: &[u8]) -> bool {
    let Some(rest) = rest.strip_prefix(b" ") else { return false };
    let (_, code) = word(rest.get(..4).unwrap_or(rest));
    code == b"-" || status(code).is_some()
}

/// Reads from the object's size to the version of TLS.
fn read_tail<'a>(record: &mut Record<'a>, mut rest: &'a [u8]) {
    for _size_and_times in 0..3 {
        rest = word(rest).0;
    }
    let (after, referer) = field(rest);
    record.referer = given(referer);
    let (after, agent) = field(after);
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
