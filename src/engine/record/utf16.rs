//! Converts UTF-16 lines, as Windows tools write them, to UTF-8, with or without the byte order mark that may begin a
//! file (Unicode 16.0, section 23.8).
//!
//! Lines end at the byte 0A, so the other byte of that character is on the wrong side of the cut: little-endian
//! lines begin with the end of the previous LF, big-endian lines end with the beginning of their own.

/// Decodes a line that is UTF-16 according to its mark or to the NULs around its first characters. A lone surrogate
/// becomes U+FFFD.
pub(super) fn decoded(line: &[u8]) -> Option<Vec<u8>> {
    let unit: fn([u8; 2]) -> u16 = match line {
        [0xfe, 0xff, ..] => u16::from_be_bytes,
        [0, _, 0, _, ..] if line.len().is_multiple_of(2) => u16::from_be_bytes,
        _ => u16::from_le_bytes,
    };
    let text = match line {
        [0xff, 0xfe, text @ ..] | [0xfe, 0xff, text @ ..] => text,
        // The end of the previous LF. A line without a mark that could be either is little-endian, as nearly all are.
        [0, text @ ..] if text.len().is_multiple_of(2) => text,
        text => text,
    };
    let (pairs, _) = text.as_chunks::<2>();
    let is_ascii = |pair: &[u8; 2]| matches!(unit(*pair), 0x20..=0x7e);
    if pairs.len() < 2 || !pairs.iter().take(2).all(is_ascii) {
        return None;
    }
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)));
    let mut text: String = text.map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.truncate(text.trim_end_matches('\r').len());
    Some(text.into_bytes())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "GET /\u{e9}\u{4e2d}\u{1f511}";

    /// The lines of a file, split like all files at each byte 0A.
    fn lines(text: &str, unit: fn(u16) -> [u8; 2], has_mark: bool) -> Vec<Vec<u8>> {
        let mark = has_mark.then_some('\u{feff}');
        let text: String = mark.into_iter().chain(text.chars()).collect();
        let bytes: Vec<u8> = text.encode_utf16().flat_map(unit).collect();
        bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
    }

    #[test]
    fn lines_of_both_orders_are_read_with_and_without_a_mark() {
        let file = format!("{TEXT}\r\n{TEXT}\n");
        for (unit, has_mark) in [
            (u16::to_le_bytes as fn(u16) -> [u8; 2], true),
            (u16::to_le_bytes, false),
            (u16::to_be_bytes, true),
        ] {
            let first = &lines(&file, unit, has_mark)[0];
            assert_eq!(decoded(first).unwrap(), TEXT.as_bytes(), "{first:?}");
        }
        // After the first line, only ASCII is recognised for certain.
        for unit in [u16::to_le_bytes, u16::to_be_bytes] {
            for line in &lines("first\r\nGET /v1/items\r\nGET /v1/items\n", unit, true)[1..3] {
                assert_eq!(decoded(line).unwrap(), b"GET /v1/items", "{line:?}");
            }
        }
    }

    #[test]
    fn what_is_not_utf_16_is_left_alone() {
        for line in
            ["", "GET /", "\u{feff}GET /", "\0", "\0\0\0\0", "a\0", "\u{1}\0\u{2}\0", "ab\0\0"]
        {
            assert_eq!(decoded(line.as_bytes()), None, "{line:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_grow_without_bound(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let text = decoded(&line).unwrap_or_default();
            prop_assert!(text.len() <= line.len() * 3 / 2);
        }
    }
}
