//! Tokens inside longer texts: those that stand apart, to be found, and all that might be one, to be hidden.

use super::jwt::{Jwt, MAX_HEADER, begins_as_header, header_has_algorithm, is_of_jwt, jwt};
use super::kinds::{SHORTEST, hidden_length, length};

/// Returns whether a text has as many letters, digits, `-` and `_` in a row as every token has. Most texts have not,
/// and few of their bytes are looked at to tell.
#[must_use]
pub fn may_hold(text: &[u8]) -> bool {
    let mut from = 0;
    while let Some(window) = text.get(from..from + SHORTEST) {
        match window.iter().rposition(|b| !is_part(*b)) {
            None => return true,
            Some(at) => from += at + 1,
        }
    }
    false
}

/// Returns the vendors' tokens and JSON web tokens that stand apart in a text: between its ends, or bytes that are
/// part of no word.
pub fn apart(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = text;
    std::iter::from_fn(move || {
        while SHORTEST <= rest.len() {
            let token = length(rest).or_else(|| jwt_length(rest)).and_then(|end| {
                let (token, after) = rest.split_at_checked(end)?;
                is_end(after).then_some((token, after))
            });
            if let Some((token, after)) = token {
                rest = after;
                return Some(token);
            }
            rest = after_word(rest);
        }
        None
    })
}

/// Returns everything in a text that contains a vendor's token or a JSON web token, or may be the greater part of one,
/// whatever stands around it. Not every piece is a token.
pub fn suspects(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            let suspect = hidden_length(text, at)
                .or_else(|| hidden_jwt_length(rest))
                .and_then(|length| rest.get(..length));
            at += suspect.map_or(1, <[u8]>::len);
            if suspect.is_some() {
                return suspect;
            }
        }
        None
    })
}

/// Returns whether a byte is part of a word in which a token would not stand apart.
const fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')
}

/// Returns whether a token may end before this text. `s.abc.js` ends later.
fn is_end(after: &[u8]) -> bool {
    match after {
        [b'.', next, ..] => !is_part(*next),
        [next, ..] => !is_part(*next),
        [] => true,
    }
}

/// Returns the text after the first word and after what is between it and the next one.
fn after_word(text: &[u8]) -> &[u8] {
    let is_of_word = |b: &u8| is_part(*b) || *b == b'.';
    let word = text.iter().take_while(|b| is_of_word(b)).count();
    let text = text.get(word..).unwrap_or_default();
    let between = text.iter().take_while(|b| !is_of_word(b)).count();
    text.get(between..).unwrap_or_default()
}

/// Returns the length of the JSON web token with which a text begins.
fn jwt_length(text: &[u8]) -> Option<usize> {
    if !(text.starts_with(b"ey") || text.starts_with(b"ew")) {
        return None;
    }
    let run = jwt_run(text);
    let whole = text.get(..run)?;
    // Dots behind it belong to the sentence, except the one before an empty signature.
    let end = whole.iter().rposition(|b| *b != b'.').map_or(0, |at| at + 1);
    let bare = whole.get(..end).unwrap_or_default();
    [whole, bare]
        .into_iter()
        .find(|token| matches!(jwt(token), Jwt::Signed | Jwt::Encrypted))
        .map(<[u8]>::len)
}

/// Returns how many of the first bytes may be of one JSON web token. Padding ends a part, so only a dot follows it: a
/// text with many beginnings, `ey=ey=ey=`, is not read to its end for each.
fn jwt_run(text: &[u8]) -> usize {
    let mut before = b'.';
    let fits = |byte: &&u8| {
        let is_next = before != b'=' || matches!(**byte, b'=' | b'.');
        before = **byte;
        is_of_jwt(before) && is_next
    };
    text.iter().take_while(fits).count()
}

/// Returns how much of a text that begins like a JSON web token must be hidden.
fn hidden_jwt_length(text: &[u8]) -> Option<usize> {
    if !(text.starts_with(b"ey") || text.starts_with(b"ew")) {
        return None;
    }
    let near = text.get(..=MAX_HEADER).unwrap_or(text);
    let dot = near.iter().take_while(|b| is_of_jwt(**b)).position(|b| *b == b'.');
    let is_header = match dot.and_then(|dot| near.get(..dot)) {
        Some(header) => begins_as_header(header) || header_has_algorithm(header),
        None => begins_as_header(text),
    };
    is_header.then(|| text.iter().take_while(|b| is_of_jwt(**b)).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_beginnings_was_read_to_its_end_for_each() {
        for (text, run) in [
            ("", 0),
            ("ey=ey=ey=", 3),
            ("ey==.ey=.c2ln==", 15),
            ("eyJ.eyJ.c2ln=x", 13),
            ("eyJ.eyJ.c2ln&x", 12),
        ] {
            assert_eq!(jwt_run(text.as_bytes()), run, "{text}");
        }
    }
}
