//! What the name of a field implies: normalised header names, ids of tokens, values that cannot be credentials.

use std::borrow::Cow;

use smol_str::SmolStr;

use super::FieldName;
use super::scan::present;

/// Headers that contain a scheme and its credential.
pub(crate) const AUTHORIZATIONS: [&str; 4] =
    ["authorization", "proxy-authorization", "x-authorization", "x-forwarded-authorization"];

/// The words before credentials in [`AUTHORIZATIONS`], in lower case: IANA's HTTP Authentication Scheme Registry, and
/// those of vendors.
pub(crate) const SCHEMES: &[&str] = &[
    "access-token",
    "api-key",
    "api-token",
    "api_key",
    "apikey",
    "apitoken",
    "aws",
    "aws4-ecdsa-p256-sha256",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "bot",
    "client-id",
    "concealed",
    "digest",
    "dpop",
    "geniekey",
    "gnap",
    "googlelogin",
    "hawk",
    "hmac",
    "hoba",
    "jwt",
    "kerberos",
    "key",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "private-token",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "sharedaccesssignature",
    "sharedkey",
    "sharedkeylite",
    "signature",
    "splunk",
    "sso-key",
    "ssws",
    "token",
    "vapid",
    "wsse",
    "x-api-key",
    "zoho-oauthtoken",
];

/// Headers that sites log for their credentials, or that are looked up by name: these names need no allocation.
const KNOWN: &[&str] = &[
    "authorization",
    "cookie",
    "x-api-key",
    "x-forwarded-for",
    "forwarded",
    "proxy-authorization",
    "x-auth-token",
    "x-access-token",
    "x-real-ip",
    "api-key",
    "apikey",
    "private-token",
    "job-token",
    "x-vault-token",
    "x-gitlab-token",
    "x-amz-security-token",
    "x-csrf-token",
    "x-token-id",
    "x-tw-id",
    "x-consumer-id",
    "x-client-id",
    "x-session-id",
    "x-goog-api-key",
    "dpop",
    "set-cookie",
    "token",
];

/// Headers that contain no credential; keeping them would only cost memory.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "dnt",
    "expect",
    "from",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "keep-alive",
    "origin",
    "pragma",
    "priority",
    "range",
    "te",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "upgrade-insecure-requests",
    "via",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
    "x-requested-with",
];

/// Returns whether two names are equal, ignoring letter case and treating `-` and `_` as the same.
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    let fold = |b: &u8| if *b == b'_' { b'-' } else { b.to_ascii_lowercase() };
    one.len() == other.len() && one.iter().map(fold).eq(other.iter().map(fold))
}

/// Returns whether a field's name is among the site's own names of ids.
pub(super) fn is_among(ids: &[SmolStr], name: &[u8]) -> bool {
    ids.iter().any(|id| is_same(id.as_bytes(), name))
}

/// Returns the header's name in lower case with `-`; `None` for headers that contain no credential and for names
/// that are too long.
pub(super) fn header(name: &[u8]) -> Option<Cow<'static, str>> {
    const LONGEST: usize = 64;
    let mut buffer = [0u8; LONGEST];
    let lower = buffer.get_mut(..name.len()).filter(|lower| !lower.is_empty())?;
    for (to, from) in lower.iter_mut().zip(name) {
        *to = if *from == b'_' { b'-' } else { from.to_ascii_lowercase() };
    }
    let lower = std::str::from_utf8(lower).ok()?;
    if let Some(known) = KNOWN.iter().find(|known| **known == lower) {
        return Some(Cow::Borrowed(known));
    }
    let is_harmless = HARMLESS.contains(&lower) || lower.starts_with("sec-");
    (!is_harmless).then(|| Cow::Owned(lower.to_owned()))
}

/// Returns what a field is by its name, which the site chose. The name of a credential header makes it that header, and
/// so does nginx's name of any header; another name that mentions a token makes it an id. What a client sends is no id,
/// even if it looks like one.
pub(super) fn field(name: &str) -> FieldName<'_> {
    if let Some(header) = credential_header(name).or_else(|| header_of_nginx(name)) {
        return FieldName::Header(header);
    }
    let own = Cow::Borrowed(name);
    if is_id(name) { FieldName::Id(own) } else { FieldName::Other(own) }
}

/// Returns what a variable of the site's own is: as [`field`], but a value that begins like one of our ids is one even
/// under the name of a credential, since no client can set it.
pub(super) fn variable<'a>(name: &'a str, value: &[u8]) -> FieldName<'a> {
    match field(name) {
        FieldName::Header(_) if value.starts_with(b"tw1_") => FieldName::Id(Cow::Borrowed(name)),
        name => name,
    }
}

/// Returns what a `key=value` at the end of a log line is.
pub(super) fn pair(key: &[u8]) -> FieldName<'_> {
    std::str::from_utf8(key).map_or(FieldName::Unnamed, field)
}

fn header_of_nginx(name: &str) -> Option<Cow<'static, str>> {
    header(name.strip_prefix("http_")?.as_bytes())
}

/// Returns whether a field name suggests a token's id.
pub(super) fn is_id(name: &str) -> bool {
    credential_header(name).is_none()
        && ["token", "jti", "key_id", "keyid", "tw_id", "kid", "consumer"]
            .iter()
            .any(|part| contains_ignoring_case(name.as_bytes(), part.as_bytes()))
}

/// Returns whether a field name suggests a token or its id.
pub(super) fn is_told(name: &str) -> bool {
    is_id(name) || credential_header(name).is_some()
}

/// The endings of a credential's own name.
const ENDINGS: &[&str] = &[
    "token",
    "api-key",
    "apikey",
    "access-key",
    "accesskey",
    "secret-key",
    "secretkey",
    "auth-key",
    "authkey",
    "secret",
    "password",
    "authorization",
    "jwt",
    "bearer",
];

/// Returns the credential header with this name, with or without `http_` in front, if there is one.
fn credential_header(name: &str) -> Option<Cow<'static, str>> {
    let header = header(name.as_bytes())?;
    let header = match header.strip_prefix("http-") {
        Some(own) => Cow::Owned(own.to_owned()),
        None => header,
    };
    let is_named = header == "cookie" || ENDINGS.iter().any(|end| header.ends_with(end));
    is_named.then_some(header)
}

/// Returns the credential header that a key is named after, if any. Compares endings first: most keys are none, and
/// normalising each would cost more than parsing it.
pub(super) fn credential_key(key: &[u8]) -> Option<Cow<'static, str>> {
    let ends_with = |end: &&str| {
        let at = key.len().checked_sub(end.len());
        at.and_then(|at| key.get(at..)).is_some_and(|tail| is_same(tail, end.as_bytes()))
    };
    ENDINGS.iter().any(ends_with).then(|| header(key))?
}

fn contains_ignoring_case(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part))
}

/// Returns whether an id has a value. (`HAProxy` writes `tw1_-` where there was no token to hash.)
pub(super) fn is_given(value: &[u8]) -> bool {
    present(value).is_some() && value != b"tw1_-"
}

/// Returns the value unless it cannot be a credential: absent, a number, or too short.
pub(super) fn credential(value: &[u8]) -> Option<&[u8]> {
    let is_number = || value.iter().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b','));
    (value.len() >= 3 && is_given(value) && !is_number()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_one_spelling() {
        assert_eq!(header(b"X_API_Key").as_deref(), Some("x-api-key"));
        assert_eq!(header(b"X-Custom").as_deref(), Some("x-custom"));
        assert_eq!(header(b"Accept-Language"), None);
        assert_eq!(header(b"Sec-Fetch-Mode"), None);
        assert_eq!(header(b""), None);
        assert_eq!(header(&[b'a'; 65]), None);
        assert_eq!(header(b"\xff"), None);
    }

    #[test]
    fn an_id_without_digits_is_none() {
        for value in ["", "-", "tw1_-", "0.050", "462", "a", "1,2"] {
            assert_eq!(credential(value.as_bytes()), None, "{value}");
        }
        assert!(credential(b"abc-123").is_some());
    }

    #[test]
    fn a_credentials_own_name_was_taken_for_that_of_an_id() {
        for (name, header) in [
            ("token", "token"),
            ("access_token", "access-token"),
            ("accessToken", "accesstoken"),
            ("Session-Token", "session-token"),
            ("auth_token", "auth-token"),
            ("api_key", "api-key"),
            ("apikey", "apikey"),
            ("x_api_key", "x-api-key"),
            ("http_x_api_key", "x-api-key"),
            ("http_authorization", "authorization"),
            ("X-Auth-Token", "x-auth-token"),
            ("cookie", "cookie"),
        ] {
            assert_eq!(field(name), FieldName::Header(header.into()), "{name}");
            assert_eq!(variable(name, b"abc"), FieldName::Header(header.into()), "{name}");
            assert_eq!(variable(name, b"tw1_0f"), FieldName::Id(name.into()), "{name}");
        }
        for name in
            ["jti", "kid", "key_id", "api_key_id", "token_id", "x_tw_id", "consumer", "token_hash"]
        {
            assert_eq!(field(name), FieldName::Id(name.into()), "{name}");
        }
        for name in ["sub", "request_id", "rt", ""] {
            assert_eq!(field(name), FieldName::Other(name.into()), "{name}");
            assert_eq!(variable(name, b"tw1_0f"), FieldName::Other(name.into()), "{name}");
        }
        assert_eq!(field("http_x_token_id"), FieldName::Header("x-token-id".into()));
    }
}
