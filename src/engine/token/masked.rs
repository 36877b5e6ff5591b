//! Values in place of a token: masks, placeholders, truncated texts. They are no tokens. Otherwise everybody's masked
//! token would be one busy token.

/// What logs and libraries write in place of a value, in lower case.
const WORDS: [&[u8]; 25] = [
    b"redacted",
    b"filtered",
    b"masked",
    b"hidden",
    b"removed",
    b"omitted",
    b"scrubbed",
    b"sanitized",
    b"sanitised",
    b"null",
    b"nil",
    b"none",
    b"undefined",
    b"unknown",
    b"anonymous",
    b"empty",
    b"deleted",
    b"true",
    b"false",
    b"n/a",
    b"nan",
    b"(null)",
    b"your_api_key",
    b"your-api-key",
    b"object object",
];

/// The length of the longest of them. Longer values, as nearly all tokens are, are compared with none.
const LONGEST_WORD: usize = 13;

/// Hashes of the empty text, of which hashing loggers show a part: SHA-256, SHA-1, MD5.
const EMPTY: [&[u8]; 3] = [
    b"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    b"da39a3ee5e6b4b0d3255bfef95601890afd80709",
    b"d41d8cd98f00b204e9800998ecf8427e",
];

/// The shortest part of a hash that loggers show: Caddy's `hash` filter writes 8 hex digits.
const SHORTEST_HASH: usize = 8;

/// Returns whether a value is only a substitute for a token: empty, one character repeated, a word such as `REDACTED`,
/// in brackets, a template variable, or truncated with dots or stars.
pub(super) fn is_masked(value: &[u8]) -> bool {
    let Some((first, rest)) = value.split_first() else { return true };
    if rest.iter().all(|b| b == first) {
        return true;
    }
    if matches!(first, b'[' | b'<' | b'{')
        || value.starts_with(b"${")
        || is_cut(value)
        || has_run(value)
    {
        return true;
    }
    let bare = value.trim_ascii();
    (bare.len() <= LONGEST_WORD && WORDS.iter().any(|word| bare.eq_ignore_ascii_case(word)))
        || (bare.len() >= SHORTEST_HASH && EMPTY.iter().any(|hash| is_start(bare, hash)))
}

/// Returns whether dots show that the value was truncated.
pub(super) fn is_cut(value: &[u8]) -> bool {
    const ELLIPSIS: &[u8] = "\u{2026}".as_bytes();
    let dots: [&[u8]; 2] = [b"...", ELLIPSIS];
    dots.iter().any(|dots| value.starts_with(dots) || value.ends_with(dots))
        || memchr::memchr_iter(b'.', value).any(|at| begins_at(value, at, b"..."))
}

/// Removes the dots at the end of a truncated value.
pub(super) fn uncut(value: &[u8]) -> &[u8] {
    let value = value.strip_suffix("\u{2026}".as_bytes()).unwrap_or(value);
    let end = value.iter().rposition(|b| *b != b'.').map_or(0, |at| at + 1);
    value.get(..end).unwrap_or_default()
}

/// Returns whether a part is hidden by three stars in a row, or by eight `x`: `ghp_****4f2a`.
fn has_run(value: &[u8]) -> bool {
    let is_hidden = |at| {
        let run: Option<&[u8]> = value.get(at..at + 8);
        run.is_some_and(|run| run.iter().all(|b| matches!(b, b'x' | b'X')))
    };
    memchr::memchr_iter(b'*', value).any(|at| begins_at(value, at, b"***"))
        || memchr::memchr2_iter(b'x', b'X', value).any(is_hidden)
}

/// Returns whether a mark is at a position. Few values contain its first byte, so most need no search for all of it.
fn begins_at(value: &[u8], at: usize, mark: &[u8]) -> bool {
    value.get(at..).is_some_and(|rest| rest.starts_with(mark))
}

fn is_start(value: &[u8], whole: &[u8]) -> bool {
    whole.get(..value.len()).is_some_and(|start| start.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_is_longer_than_what_is_compared() {
        assert_eq!(WORDS.iter().map(|word| word.len()).max(), Some(LONGEST_WORD));
    }

    #[test]
    fn masks_are_no_tokens() {
        for mask in [
            "",
            "-",
            "*",
            "****",
            "xxxx",
            "XXXXXXXX",
            "REDACTED",
            "[REDACTED]",
            "[FILTERED]",
            "<redacted>",
            "[redacted]",
            "null",
            "undefined",
            "none",
            "(null)",
            "...",
            "e3b0c442",
            "E3B0C44298FC1C14",
            "d41d8cd98f00b204e9800998ecf8427e",
            "ghp_****4f2a",
            "eyJhbGciOi...",
            "sk_live_51H8\u{2026}",
            "{token}",
            "${TOKEN}",
            "<token>",
            "ghp_xxxxxxxxxxxx4f2a",
            "abc...def",
        ] {
            assert!(is_masked(mask.as_bytes()), "{mask}");
        }
    }

    #[test]
    fn tokens_are_no_masks() {
        for token in
            ["hunter2!", "e3b0c443", "nullable", "xx1xx2xx3", "a.b.c", "00000000-0000-0000"]
        {
            assert!(!is_masked(token.as_bytes()), "{token}");
        }
    }

    #[test]
    fn dots_come_off_the_end() {
        assert_eq!(uncut(b"sk_live_51H8..."), b"sk_live_51H8");
        assert_eq!(uncut("sk\u{2026}".as_bytes()), b"sk");
        assert_eq!(uncut(b"..."), b"");
        assert_eq!(uncut(b""), b"");
    }
}
