//! Shortens a request's path to its route: `/v1/items/42?x=1` to `/v1/items/{id}`.
//!
//! Routes are stored and shown, so nothing that looks like a secret may remain in one.

use smol_str::SmolStr;
use zeroize::Zeroizing;

use crate::engine::shape::is_secretive;

/// The most segments of a route; deeper paths end in [`MORE`].
const MAX_SEGMENTS: usize = 8;

/// The most bytes of a route.
const MAX_BYTES: usize = 96;

/// The longest word; longer segments are ids regardless of their characters.
const MAX_WORD: usize = 24;

/// Replaces a segment that identifies one thing of many.
const ID: &[u8] = b"{id}";

/// Replaces the segments beyond the limits.
const MORE: &[u8] = b"/{more}";

/// The route of a request whose target is no path.
pub const OTHER: SmolStr = SmolStr::new_static("{other}");

/// Returns the route of a request target: a path with or without query, or a whole URL.
///
/// Query, fragment and path parameters are dropped, what servers resolve before they choose a route is resolved, and
/// segments that look like ids become `{id}`.
/// The route has at most 8 segments and 96 bytes, all ASCII. Targets that are no path become `{other}`; `*` is kept.
#[must_use]
pub fn route(target: &[u8]) -> SmolStr {
    if target == b"*" {
        return SmolStr::new_static("*");
    }
    let Some(path) = path(target) else { return OTHER };
    match is_resolved(path) {
        true => shorten(path),
        false => shorten(&resolve(path)),
    }
}

fn shorten(path: &[u8]) -> SmolStr {
    let mut route = Route::default();
    let segments = path.split(|b| *b == b'/').filter(|segment| !segment.is_empty());
    for (at, segment) in segments.enumerate() {
        let shown = word(segment).unwrap_or(ID);
        if MAX_SEGMENTS <= at || MAX_BYTES - MORE.len() < route.length + 1 + shown.len() {
            route.push(MORE);
            return route.finish();
        }
        route.push(b"/");
        route.push(shown);
    }
    if route.length == 0 || path.ends_with(b"/") {
        route.push(b"/");
    }
    route.finish()
}

/// A route under construction, on the stack: most are too long for a short string, and would be copied as they grow.
struct Route {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

impl Default for Route {
    fn default() -> Self {
        Self { bytes: [0; MAX_BYTES], length: 0 }
    }
}

impl Route {
    fn push(&mut self, part: &[u8]) {
        let end = self.length + part.len();
        if let Some(free) = self.bytes.get_mut(self.length..end) {
            free.copy_from_slice(part);
            self.length = end;
        }
    }

    fn finish(&self) -> SmolStr {
        let text = self.bytes.get(..self.length).map(std::str::from_utf8);
        text.and_then(Result::ok).map_or(OTHER, SmolStr::new)
    }
}

/// Returns whether a path has nothing to resolve.
fn is_resolved(path: &[u8]) -> bool {
    let begins_segment = |dot: usize| dot.checked_sub(1).and_then(|at| path.get(at)) == Some(&b'/');
    memchr::memchr2_iter(b'%', b'.', path)
        .all(|at| path.get(at) == Some(&b'.') && !begins_segment(at))
}

/// Decodes the letters, digits, `-`, `.`, `_` and `~` that need no encoding, and resolves `.` and `..` (RFC 3986,
/// sections 6.2.2.2 and 5.2.4): `/v1/items/%2e%2e/users` is `/v1/users`. A token may be in it, so it is wiped.
fn resolve(path: &[u8]) -> Zeroizing<Vec<u8>> {
    let decoded = decode_unreserved(path);
    // At most the length of the path and a slash: the buffer does not grow, so it leaves no copies.
    let mut resolved = Zeroizing::new(Vec::with_capacity(decoded.len() + 1));
    let mut ends_in_slash = false;
    for segment in decoded.split(|b| *b == b'/') {
        ends_in_slash = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = memchr::memrchr(b'/', &resolved).unwrap_or(0);
                resolved.truncate(parent);
            }
            _ => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
            }
        }
    }
    if ends_in_slash {
        resolved.push(b'/');
    }
    resolved
}

fn decode_unreserved(path: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut decoded = Zeroizing::new(Vec::with_capacity(path.len()));
    let mut rest = path;
    while let Some((first, behind)) = rest.split_first() {
        let encoded = match (first, behind) {
            (b'%', [high, low, behind @ ..]) => unreserved(*high, *low).map(|byte| (byte, behind)),
            _ => None,
        };
        let (byte, behind) = encoded.unwrap_or((*first, behind));
        decoded.push(byte);
        rest = behind;
    }
    decoded
}

/// Returns the byte that two hex digits encode, if it needs no encoding.
fn unreserved(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    (byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)).then_some(byte)
}

/// Returns the path of a request target: without query, fragment, scheme and authority.
#[must_use]
pub fn path(target: &[u8]) -> Option<&[u8]> {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    target.get(..end).and_then(path_of)
}

/// Removes scheme and authority.
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
fn word(segment: &[u8]) -> Option<&[u8]> {
    let (letters, segment) = Letters::of(segment)?;
    let is_word =
        segment.len() <= MAX_WORD && !letters.are_of_id(segment) && !is_secretive(segment);
    is_word.then_some(segment)
}

/// The numbers of characters of each sort in a segment.
#[derive(Default)]
struct Letters {
    digits: usize,
    upper: usize,
    lower: usize,
}

impl Letters {
    /// Counts them, and returns the segment up to its parameters; `None` if any character cannot be in a word.
    fn of(segment: &[u8]) -> Option<(Self, &[u8])> {
        let mut letters = Self::default();
        for (at, byte) in segment.iter().enumerate() {
            match byte {
                b'a'..=b'z' => letters.lower += 1,
                b'0'..=b'9' => letters.digits += 1,
                b'A'..=b'Z' => letters.upper += 1,
                b'-' | b'_' | b'.' | b'~' | b'+' | b'*' => {}
                b';' => return Some((letters, segment.get(..at)?)),
                _ => return None,
            }
        }
        Some((letters, segment))
    }

    /// Returns whether they make an id: digits, hex, or letters in no word's mixture. (UUIDs are too long for a word,
    /// and e-mail addresses contain other characters.)
    fn are_of_id(&self, segment: &[u8]) -> bool {
        const HEX: usize = 8;
        const MIXED: usize = 12;
        const DIGITS: usize = 3;
        let Self { digits, upper, lower } = *self;
        let is_hex = || segment.iter().all(|b| b.is_ascii_hexdigit() || *b == b'-');
        (digits != 0 && digits == segment.len())
            || DIGITS <= digits
            || (HEX <= segment.len() && is_hex())
            || (MIXED <= segment.len() && lower != 0 && segment.len() <= 4 * upper)
            || (MIXED <= segment.len() && lower == 0 && digits != 0)
    }
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
            ("/v1/items/../users", "/v1/users"),
            ("/v1/items/%2e%2E/users", "/v1/users"),
            ("/../../%61dmin/./keys/..", "/admin/"),
            ("/v1/%2", "/v1/{id}"),
            ("/%2fadmin/%zz", "/{id}/{id}"),
            ("/.well-known/x", "/.well-known/x"),
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
