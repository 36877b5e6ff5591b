//! How logs escape the values of variables and columns.

use std::borrow::Cow;

use super::{Text, names, scan};

/// How the log escaped a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    None,
    Backslash,
    /// A plus for a space.
    Plus,
    /// A plus for the space behind a scheme and behind each comma; any other may be of the credential.
    Scheme,
    /// `%20` for a space, as in a URL.
    Percent,
}

/// Returns a value as it was sent.
pub(super) fn unescaped(raw: Text<'_>, escape: Escape) -> Text<'_> {
    match (escape, raw) {
        (Escape::Backslash, Cow::Borrowed(raw)) => scan::unescape(raw),
        (Escape::Percent, Cow::Borrowed(raw)) => percent_encoding::percent_decode(raw).into(),
        (Escape::Plus, Cow::Borrowed(raw)) if memchr::memchr(b'+', raw).is_some() => {
            raw.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect()
        }
        (Escape::Scheme, Cow::Borrowed(raw)) => with_scheme_apart(raw),
        (_, raw) => raw,
    }
}

/// Returns `Bearer abc+d==` for `Bearer+abc+d==`. What stands before the first plus may as well be the beginning of a
/// credential without a scheme: base64 has a plus in any place, so it must be the name of one.
fn with_scheme_apart(raw: &[u8]) -> Text<'_> {
    let length = memchr::memchr(b'+', raw).unwrap_or(0);
    let word = raw.get(..length).unwrap_or_default();
    if !names::SCHEMES.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word)) {
        return raw.into();
    }
    let before = std::iter::once(&b',').chain(raw);
    let is_space = |(at, before): (usize, &u8)| at == length || *before == b',';
    let plain = raw.iter().zip(before.enumerate());
    plain.map(|(b, place)| if *b == b'+' && is_space(place) { b' ' } else { *b }).collect()
}
