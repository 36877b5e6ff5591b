//! The request line and its target: method, target and version, and the scheme and host of a whole URL.

use std::borrow::Cow;
use std::ops::Range;

use super::{Record, Text, scan};

/// The parts of a request line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Request<'a> {
    pub(super) method: Option<Text<'a>>,
    pub(super) target: Option<Text<'a>>,
    pub(super) version: Option<Text<'a>>,
    /// What was sent is no request.
    pub(super) is_malformed: bool,
}

impl<'a> Request<'a> {
    /// Splits `GET /path HTTP/1.1`. The version may be missing, and the target may contain spaces. Anything that
    /// is no request (a TLS handshake, noise) becomes the target as the log wrote it, so that it stays printable.
    pub(super) fn split(text: &Text<'a>, raw: Text<'a>) -> Self {
        if scan::present(text).is_none() || text[..] == *b"- - -" {
            return Self::default();
        }
        // HAProxy's words for what it could not read.
        if text[..] == *b"<BADREQ>" {
            return Self { is_malformed: true, ..Self::default() };
        }
        let space = memchr::memchr(b' ', text).unwrap_or(text.len());
        let is_method = |name: &[u8]| {
            (1..=32).contains(&name.len())
                && name.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
        };
        let after = text.get(space + 1..).unwrap_or_default();
        if after.is_empty() || !text.get(..space).is_some_and(is_method) {
            // Some logs write the target only.
            let is_target = raw.starts_with(b"/") || authority(&raw).is_some();
            return Self { target: Some(raw), is_malformed: !is_target, ..Self::default() };
        }
        let last = memchr::memrchr(b' ', after).map_or(0, |at| at + 1);
        let has_version = last > 0 && after.get(last..).is_some_and(|w| w.starts_with(b"HTTP/"));
        let start = space + 1;
        let end = if has_version { start + last - 1 } else { text.len() };
        Self {
            method: Some(slice(text, 0, space)),
            target: (start < end).then(|| slice(text, start, end)),
            version: has_version.then(|| slice(text, start + last + 5, text.len())),
            is_malformed: false,
        }
    }

    /// Stores the request in a record.
    pub(super) fn store(self, record: &mut Record<'a>) {
        record.method = self.method;
        record.target = self.target;
        record.version = self.version;
        record.is_malformed = self.is_malformed;
    }
}

/// Stores a request line in a record: `text` as it was sent, `raw` as it was logged. For a whole URL, scheme
/// and host are stored too.
pub(super) fn put_request<'a>(record: &mut Record<'a>, text: &Text<'a>, raw: &'a [u8]) {
    Request::split(text, Cow::Borrowed(raw)).store(record);
    let target = record.target.take();
    put_target(record, target);
}

/// Stores a target in a record. For a whole URL, scheme and host are stored too, unless they are known.
pub(super) fn put_target<'a>(record: &mut Record<'a>, target: Option<Text<'a>>) {
    if let Some(target) = &target
        && let Some((scheme, host)) = authority(target)
    {
        record.scheme = record.scheme.take().or_else(|| Some(slice(target, 0, scheme)));
        record.host = record.host.take().or_else(|| Some(slice(target, host.start, host.end)));
    }
    record.target = target;
}

/// Finds the end of the scheme in a whole URL, and the range of the host, without `user:password@`.
fn authority(target: &[u8]) -> Option<(usize, Range<usize>)> {
    const LONGEST_SCHEME: usize = 16;
    let near = target.get(..LONGEST_SCHEME + 3).unwrap_or(target);
    let scheme = memchr::memmem::find(near, b"://")?;
    if scheme == 0 || !target.get(..scheme)?.iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let rest = target.get(scheme + 3..)?;
    let length = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let user = memchr::memrchr(b'@', rest.get(..length)?).map_or(0, |at| at + 1);
    (user < length).then_some((scheme, scheme + 3 + user..scheme + 3 + length))
}

/// Returns a part of a text, borrowed if the text is.
pub(super) fn slice<'a>(text: &Text<'a>, start: usize, end: usize) -> Text<'a> {
    match text {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(start..end).unwrap_or_default()),
        Cow::Owned(bytes) => Cow::Owned(bytes.get(start..end).unwrap_or_default().to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Parts<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

    #[test]
    fn request_lines_are_taken_apart() {
        let cases: &[(&str, Parts<'_>)] = &[
            ("GET / HTTP/1.1", (Some("GET"), Some("/"), Some("1.1"))),
            ("GET /a b?c d HTTP/2", (Some("GET"), Some("/a b?c d"), Some("2"))),
            ("GET /", (Some("GET"), Some("/"), None)),
            ("GET /a b", (Some("GET"), Some("/a b"), None)),
            ("GET HTTP/1.1", (Some("GET"), Some("HTTP/1.1"), None)),
            ("GET  HTTP/1.1", (Some("GET"), None, Some("1.1"))),
            (
                "CONNECT example.org:443 HTTP/1.1",
                (Some("CONNECT"), Some("example.org:443"), Some("1.1")),
            ),
            ("M-SEARCH * HTTP/1.1", (Some("M-SEARCH"), Some("*"), Some("1.1"))),
            ("GARBAGE", (None, Some("GARBAGE"), None)),
            ("GET ", (None, Some("GET "), None)),
            ("", (None, None, None)),
            ("-", (None, None, None)),
            ("- - -", (None, None, None)),
            ("<BADREQ>", (None, None, None)),
        ];
        for (line, expected) in cases {
            let text = || Cow::Borrowed(line.as_bytes());
            let request = Request::split(&text(), text());
            let show =
                |t: &Option<Text<'_>>| t.as_ref().map(|t| String::from_utf8_lossy(t).into_owned());
            let shown = (show(&request.method), show(&request.target), show(&request.version));
            let shown = (shown.0.as_deref(), shown.1.as_deref(), shown.2.as_deref());
            assert_eq!(shown, *expected, "{line:?}");
        }
    }

    #[test]
    fn what_is_no_request_is_marked() {
        let is_malformed = |line: &'static str| {
            let text = || Cow::Borrowed(line.as_bytes());
            Request::split(&text(), text()).is_malformed
        };
        for line in
            ["\\x16\\x03\\x01", "Gh0st\\xAD", "GARBAGE", "GET ", "\"GET\" / HTTP/1.1", "<BADREQ>"]
        {
            assert!(is_malformed(line), "{line}");
        }
        for line in
            ["GET /", "PRI * HTTP/2.0", "/v1/items", "https://example.org/", "-", "", "- - -"]
        {
            assert!(!is_malformed(line), "{line}");
        }
    }

    #[test]
    fn a_whole_url_has_scheme_and_host() {
        let cases = [
            ("https://example.org:443/a?b", Some(("https", "example.org:443"))),
            ("http://ann:x@[2001:db8::1]?b=@", Some(("http", "[2001:db8::1]"))),
            ("wss://example.org", Some(("wss", "example.org"))),
            ("/a?u=http://b/", None),
            ("a/b://c/", None),
            ("://c", None),
            ("http://ann@/", None),
            ("", None),
        ];
        for (target, expected) in cases {
            let mut record = Record::default();
            put_target(&mut record, Some(Cow::Borrowed(target.as_bytes())));
            let have = record.scheme.as_deref().zip(record.host.as_deref());
            let expected = expected.map(|(s, h): (&str, &str)| (s.as_bytes(), h.as_bytes()));
            assert_eq!(have, expected, "{target}");
        }
    }
}
