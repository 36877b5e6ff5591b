//! Shortens a request's path to its route: `/v1/items/42?x=1` to `/v1/items/{id}`.
//!
//! Routes are kept and shown, so nothing that looks like a secret may survive in one.

use smol_str::{SmolStr, SmolStrBuilder};

use crate::engine::shape::is_secretive;

/// Deeper paths end in [`MORE`].
const MAX_SEGMENTS: usize = 8;

/// No route is longer, in bytes.
const MAX_BYTES: usize = 96;

/// Longer segments are ids whatever they are made of.
const MAX_WORD: usize = 24;

/// Stands for a segment that names one thing of many.
const ID: &str = "{id}";

/// Stands for the segments beyond the limits.
const MORE: &str = "/{more}";

/// What requests get whose target is no path.
pub const OTHER: SmolStr = SmolStr::new_static("{other}");

/// Returns the route of a request target: a path with or without query, or a whole URL.
///
/// Query, fragment and path parameters fall away, nothing is decoded, and segments that look like
/// ids become `{id}`. At most 8 segments and 96 bytes, ASCII. Targets that are no path become
/// `{other}`; `*` stays.
#[must_use]
pub fn route(target: &[u8]) -> SmolStr {
    if target == b"*" {
        return SmolStr::new_static("*");
    }
    let Some(path) = path(target) else { return OTHER };
    let mut route = SmolStrBuilder::new();
    let mut length = 0;
    let segments = path.split(|b| *b == b'/').filter(|segment| !segment.is_empty());
    for (at, segment) in segments.enumerate() {
        let shown = word(segment).unwrap_or(ID);
        length += 1 + shown.len();
        if MAX_SEGMENTS <= at || MAX_BYTES - MORE.len() < length {
            route.push_str(MORE);
            return route.finish();
        }
        route.push('/');
        route.push_str(shown);
    }
    if length == 0 || path.ends_with(b"/") {
        route.push('/');
    }
    route.finish()
}

/// Returns the path of a request target: without query, fragment, scheme and authority.
#[must_use]
pub fn path(target: &[u8]) -> Option<&[u8]> {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    target.get(..end).and_then(path_of)
}

/// Takes scheme and authority off.
fn path_of(target: &[u8]) -> Option<&[u8]> {
    if target.starts_with(b"/") {
        return Some(target);
    }
    let at = memchr::memmem::find(target, b"://")?;
    let rest = target.get(at + 3..)?;
    let path = memchr::memchr(b'/', rest).and_then(|at| rest.get(at..));
    Some(path.unwrap_or(b"/"))
}

/// Returns a segment without its parameters if it is a word of the route, `None` if it is an id.
fn word(segment: &[u8]) -> Option<&str> {
    let segment = segment.split(|b| *b == b';').next()?;
    let is_plain =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~' | b'+' | b'*');
    let is_word = segment.len() <= MAX_WORD
        && segment.iter().all(is_plain)
        && !is_id(segment)
        && !is_secretive(segment);
    if is_word { std::str::from_utf8(segment).ok() } else { None }
}

/// Digits, hex, or letters mixed as no word is. (UUIDs are long, e-mail addresses not plain.)
fn is_id(segment: &[u8]) -> bool {
    const HEX: usize = 8;
    const MIXED: usize = 12;
    const DIGITS: usize = 3;
    let count = |is: fn(&u8) -> bool| segment.iter().filter(|b| is(b)).count();
    let n_digits = count(u8::is_ascii_digit);
    let n_upper = count(u8::is_ascii_uppercase);
    let n_lower = count(u8::is_ascii_lowercase);
    let is_hex = || segment.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
    (n_digits != 0 && n_digits == segment.len())
        || DIGITS <= n_digits
        || (HEX <= segment.len() && is_hex())
        || (MIXED <= segment.len() && n_lower != 0 && segment.len() <= 4 * n_upper)
        || (MIXED <= segment.len() && n_lower == 0 && n_digits != 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ids_become_one_route() {
        let cases = [
            ("/", "/"),
            ("/v1/items", "/v1/items"),
            ("/v1/items/", "/v1/items/"),
            ("//v1///items", "/v1/items"),
            ("/v1/items/42?x=1", "/v1/items/{id}"),
            ("/v1/items/7#top", "/v1/items/{id}"),
            ("/oauth2/token", "/oauth2/token"),
            ("/app;jsessionid=0A1B2C3D/x;v=1", "/app/x"),
            ("/u/6f1c9e2e-1f7a-4c4b-9d8a-0123456789ab", "/u/{id}"),
            ("/commit/deadbeef", "/commit/{id}"),
            ("/u/ann@example.org/mail", "/u/{id}/mail"),
            ("/u/ann%40example.org", "/u/{id}"),
            ("/bot12345678:AbCdEf/send", "/{id}/send"),
            ("/getUserSettings/a", "/getUserSettings/a"),
            ("/hook/AbCdEfGhIjKl", "/hook/{id}"),
            ("/hook/aVeryLongWordThatNobodyKnows", "/hook/{id}"),
            ("/1/2/a/b/c/d/e/f/g", "/{id}/{id}/a/b/c/d/e/f/{more}"),
            ("https://example.org/v1/items?x=/y", "/v1/items"),
            ("https://ann:secret@example.org", "/"),
            ("/caf\u{e9}", "/{id}"),
            ("*", "*"),
            ("", "{other}"),
            ("-", "{other}"),
            ("example.org:443", "{other}"),
            ("\u{16}\u{3}\u{1}", "{other}"),
        ];
        for (target, expected) in cases {
            assert_eq!(route(target.as_bytes()), expected, "{target}");
        }
    }

    proptest! {
        #[test]
        fn every_target_has_a_short_ascii_route(target in proptest::collection::vec(any::<u8>(), 0..300)) {
            let route = route(&target);
            prop_assert!(!route.is_empty() && route.len() <= MAX_BYTES);
            prop_assert!(route.bytes().all(|b| b.is_ascii_graphic()));
        }

        #[test]
        fn a_route_is_its_own_route(path in "(/[a-z0-9.~-]{0,12}){0,12}") {
            let once = route(path.as_bytes());
            if !once.contains('{') {
                prop_assert_eq!(route(once.as_bytes()), once);
            }
        }
    }
}
