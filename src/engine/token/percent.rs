//! Percent decoding that leaves no unwiped copies.

use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::engine::secret::Bytes;

/// Decodes `%XX`. Anything else is kept, and so is `+`, which tokens contain.
///
/// Borrows if there is nothing to decode.
pub(super) fn decode(text: &[u8]) -> Bytes<'_> {
    if memchr::memchr(b'%', text).is_none() {
        return Bytes::Line(text);
    }
    // Decoding never lengthens: the buffer does not grow, so it leaves no copies on the heap.
    let mut decoded = Zeroizing::new(Vec::with_capacity(text.len()));
    decoded.extend(percent_decode(text));
    Bytes::Own(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_is_encoded_and_nothing_else() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"", b""),
            (b"a+b", b"a+b"),
            (b"access%5Ftoken", b"access_token"),
            (b"%2b%", b"+%"),
            (b"%zz%2", b"%zz%2"),
            (b"%2541", b"%41"),
        ];
        for (text, expected) in cases {
            assert_eq!(&*decode(text), expected);
        }
        assert!(matches!(decode(b"plain"), Bytes::Line(_)));
    }
}
