//! Recognises JSON web tokens (RFC 7519) by their shape.

use base64::Engine as _;
use base64::engine::general_purpose::GeneralPurpose;
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// How many bytes of a presumed header are decoded.
pub(super) const MAX_HEADER: usize = 2 * 1024;

/// What a text is in terms of JSON web tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jwt {
    /// A signed token: header, payload, signature (which may be missing).
    Signed,
    /// An encrypted token: five parts, of which only the header is readable.
    Encrypted,
    /// A token's beginning. All tokens of an issuer begin alike, so it identifies nobody.
    Cut,
    /// Something else.
    Other,
}

/// Classifies a text as a JSON web token: base64url parts, the first a JSON object with `alg`.
#[must_use]
pub fn jwt(text: &[u8]) -> Jwt {
    // `{"`, `{ ` and `{` with a line end, in base64.
    if !(text.starts_with(b"ey") || text.starts_with(b"ew")) {
        return Jwt::Other;
    }
    // To the end in any case, which lets the compiler examine many at a time.
    if !text.iter().fold(true, |is_jwt, byte| is_jwt & is_of_jwt(*byte)) {
        return Jwt::Other;
    }
    let n_parts = memchr::memchr_iter(b'.', text).count() + 1;
    let header = text.split(|b| *b == b'.').next().unwrap_or_default();
    match (n_parts, header_has_algorithm(header)) {
        (3, true) => Jwt::Signed,
        (5, true) => Jwt::Encrypted,
        (1, _) if begins_as_header(header) => Jwt::Cut,
        (1, _) | (_, false) => Jwt::Other,
        _ => Jwt::Cut,
    }
}

/// Returns whether a byte may be part of a JSON web token.
pub(super) const fn is_of_jwt(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'=')
}

/// Returns whether a text is the header of a JSON web token.
pub(super) fn header_has_algorithm(header: &[u8]) -> bool {
    header.len() <= MAX_HEADER
        && decode(header).is_some_and(|json| memchr::memmem::find(&json, b"\"alg\"").is_some())
}

/// Returns whether a text without dots begins with one of the first member names that headers have.
pub(super) fn begins_as_header(text: &[u8]) -> bool {
    // `{"alg"`, `{"typ"`, `{"kid"`, `{"enc"`, `{"x5t"`: eight base64 characters are six bytes.
    let names: [&[u8]; 5] = [b"eyJhbGci", b"eyJ0eXAi", b"eyJraWQi", b"eyJlbmMi", b"eyJ4NXQi"];
    names.iter().any(|name| text.starts_with(name))
}

/// Decodes base64 of either alphabet, with or without padding; wiped on drop.
#[must_use]
pub fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    const URL: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::URL_SAFE, LENIENT);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&base64::alphabet::STANDARD, LENIENT);
    let is_standard = memchr::memchr2(b'+', b'/', text).is_some();
    let engine = if is_standard { &STANDARD } else { &URL };
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len() + 3));
    engine.decode_vec(text, &mut decoded).ok()?;
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    fn token(header: &str, payload: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload))
    }

    #[test]
    fn shapes_are_told_apart() {
        let whole = token(r#"{"alg":"HS256"}"#, "{}");
        let spaced = token("{\n \"alg\":\"HS256\"}", "{}");
        let session = token(r#"{"user":"ann"}"#, "{}");
        let (two, _) = whole.rsplit_once('.').unwrap();
        let (one, _) = two.rsplit_once('.').unwrap();
        let cases = [
            (whole.as_str(), Jwt::Signed),
            (spaced.as_str(), Jwt::Signed),
            (&format!("{two}."), Jwt::Signed),
            (&format!("{whole}.a.b"), Jwt::Encrypted),
            (two, Jwt::Cut),
            (one, Jwt::Cut),
            (one.get(..10).unwrap(), Jwt::Cut),
            (session.as_str(), Jwt::Other),
            ("", Jwt::Other),
            ("eyes.wide.shut", Jwt::Other),
            ("ey..", Jwt::Other),
            ("hello.big.world", Jwt::Other),
        ];
        for (text, expected) in cases {
            assert_eq!(jwt(text.as_bytes()), expected, "{text}");
        }
    }

    #[test]
    fn base64_of_both_alphabets_is_read_padded_or_not() {
        let cases: [(&str, &[u8]); 5] =
            [("", b""), ("_-8", b"\xff\xef"), ("/+8", b"\xff\xef"), ("YQ==", b"a"), ("YQ", b"a")];
        for (text, expected) in cases {
            assert_eq!(decode(text.as_bytes()).unwrap().as_slice(), expected, "{text}");
        }
        assert!(decode(b"!").is_none());
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(header in ".{0,60}", text in "e[yw][\\PC]{0,60}") {
            let token = token(&header, "");
            prop_assert!(jwt(token.as_bytes()) != Jwt::Encrypted);
            let is_base64 = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.=".contains(&b));
            prop_assert!(is_base64 || jwt(text.as_bytes()) == Jwt::Other);
        }
    }
}
