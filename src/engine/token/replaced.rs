//! A text of which parts are replaced.

use std::borrow::Cow;
use std::ops::Range;

/// A text that is copied up to its last replaced part. It may contain secrets, and so cannot be printed.
pub struct Replaced<'t> {
    text: &'t [u8],
    copy: Vec<u8>,
    /// The end of what is in the copy.
    copied: usize,
}

impl<'t> Replaced<'t> {
    /// Begins with nothing replaced.
    #[must_use]
    pub const fn new(text: &'t [u8]) -> Self {
        Self { text, copy: Vec::new(), copied: 0 }
    }

    /// Replaces a part, which begins no earlier than the last one ended.
    pub fn replace(&mut self, part: Range<usize>, by: &[u8]) {
        self.copy.extend_from_slice(self.text.get(self.copied..part.start).unwrap_or_default());
        self.copy.extend_from_slice(by);
        self.copied = part.end;
    }

    /// Returns the text with its parts replaced; borrows it if there are none.
    #[must_use]
    pub fn text(mut self) -> Cow<'t, [u8]> {
        if self.copied == 0 && self.copy.is_empty() {
            return Cow::Borrowed(self.text);
        }
        self.copy.extend_from_slice(self.text.get(self.copied..).unwrap_or_default());
        Cow::Owned(self.copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_replaced_stays() {
        let replaced = |parts: &[(usize, usize)]| {
            let mut text = Replaced::new(b"one two three");
            parts.iter().for_each(|(from, to)| text.replace(*from..*to, b"[]"));
            String::from_utf8(text.text().into_owned()).unwrap()
        };
        assert_eq!(replaced(&[]), "one two three");
        assert_eq!(replaced(&[(0, 3)]), "[] two three");
        assert_eq!(replaced(&[(0, 0)]), "[]one two three");
        assert_eq!(replaced(&[(0, 4), (4, 7), (8, 13)]), "[][] []");
        assert!(matches!(Replaced::new(b"one").text(), Cow::Borrowed(b"one")));
    }
}
