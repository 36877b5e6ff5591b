//! Says what stands at the start of unread bytes: whole lines, NULs, an over-long line, or too little.

use crate::engine::line::MAX_LINE;

/// What the bytes at the start of a line are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// So many bytes of whole lines, none of them over-long or starting with NUL.
    Lines(usize),
    /// So many NULs where a line should start; more may follow behind the bytes given.
    Nuls(usize),
    /// A line of more than [`MAX_LINE`] bytes, its end not counted.
    Long,
    /// A line without its end, or nothing at all.
    Partial,
}

/// Looks at `bytes`, which begin at the start of a line.
///
/// Costs two searches: one for a NUL behind a line end, and one from each 64 KiB mark back to the
/// line end before it, instead of one look at each line.
pub(super) fn cut(bytes: &[u8]) -> Cut {
    let nuls = bytes.iter().take_while(|byte| **byte == 0).count();
    if nuls > 0 {
        return Cut::Nuls(nuls);
    }
    let clean = memchr::memmem::find(bytes, b"\n\0").map_or(bytes.len(), |at| at + 1);
    let mut rest = bytes.get(..clean).unwrap_or_default();
    let mut whole = 0;
    loop {
        let window = rest.get(..=MAX_LINE).unwrap_or(rest);
        match memchr::memrchr(b'\n', window) {
            Some(at) => {
                whole += at + 1;
                rest = rest.get(at + 1..).unwrap_or_default();
            }
            None if whole > 0 => return Cut::Lines(whole),
            None if window.len() > MAX_LINE => return Cut::Long,
            None => return Cut::Partial,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_pass() {
        assert_eq!(cut(b""), Cut::Partial);
        assert_eq!(cut(b"a"), Cut::Partial);
        assert_eq!(cut(b"\n"), Cut::Lines(1));
        assert_eq!(cut(b"a\nb\nc"), Cut::Lines(4));
        assert_eq!(cut(b"a\r\nb\r"), Cut::Lines(3));
        assert_eq!(cut(b"\0\0a\n"), Cut::Nuls(2));
        assert_eq!(cut(b"a\n\0b\n"), Cut::Lines(2));
        assert_eq!(cut(b"a\0b\n"), Cut::Lines(4));
    }

    #[test]
    fn a_line_of_the_limit_passes_and_one_more_byte_does_not() {
        let line = |n: usize| [vec![b'x'; n], b"\n".to_vec()].concat();
        assert_eq!(cut(&line(MAX_LINE)), Cut::Lines(MAX_LINE + 1));
        assert_eq!(cut(&line(MAX_LINE + 1)), Cut::Long);
        assert_eq!(cut(&vec![b'x'; MAX_LINE]), Cut::Partial);
        assert_eq!(cut(&vec![b'x'; MAX_LINE + 1]), Cut::Long);
        let two = [line(MAX_LINE), line(MAX_LINE), line(MAX_LINE + 1)].concat();
        assert_eq!(cut(&two), Cut::Lines(2 * (MAX_LINE + 1)));
    }
}
