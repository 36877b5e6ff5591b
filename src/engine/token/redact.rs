//! Takes a record's secrets out of what is shown of it: `[tw1_...]` stands for each.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::Form;
use crate::engine::secret::{Secret, TokenId};
use crate::engine::shape::decode;

/// The secrets of one record, ready to be taken out of its fields.
pub struct Redaction {
    /// The longest first, so that of two that begin alike the whole one is found.
    patterns: Vec<(Zeroizing<Vec<u8>>, TokenId)>,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redaction(..)")
    }
}

impl Redaction {
    /// Takes secrets with their ids; of basic authentication also what its base64 text means.
    pub(super) fn new<'s, 'a: 's>(
        secrets: impl Iterator<Item = (TokenId, &'s Secret<'a>, Form)>,
    ) -> Self {
        let mut patterns = Vec::new();
        for (id, secret, form) in secrets {
            patterns.push((Zeroizing::new(secret.expose().to_vec()), id));
            if let Some(pair) = decode(secret.expose()).filter(|_| form == Form::BASIC) {
                patterns.push((pair, id));
            }
        }
        patterns.retain(|(pattern, _)| !pattern.is_empty());
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Self { patterns }
    }

    /// Replaces every occurrence of every secret by its id in brackets, whether the secret stands there
    /// plainly, or percent-encoded in part or whole, once or more often. Borrows if there is none.
    #[must_use]
    pub fn apply<'f>(&self, field: &'f [u8]) -> Cow<'f, [u8]> {
        let mut clean = Vec::new();
        let (mut kept, mut at) = (0, 0);
        while let Some(rest) = field.get(at..).filter(|rest| !rest.is_empty()) {
            match self.occurrence(rest) {
                Some((length, id)) => {
                    clean.extend_from_slice(field.get(kept..at).unwrap_or_default());
                    clean.extend_from_slice(format!("[{id}]").as_bytes());
                    at += length;
                    kept = at;
                }
                None => at += 1,
            }
        }
        if kept == 0 {
            return Cow::Borrowed(field);
        }
        clean.extend_from_slice(field.get(kept..).unwrap_or_default());
        Cow::Owned(clean)
    }

    fn occurrence(&self, rest: &[u8]) -> Option<(usize, TokenId)> {
        self.patterns.iter().find_map(|(pattern, id)| Some((length(rest, pattern)?, *id)))
    }
}

/// Returns how many bytes of `text` spell the pattern, if it begins with it.
fn length(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut rest = text;
    for byte in pattern {
        rest = after(rest, *byte)?;
    }
    Some(text.len() - rest.len())
}

/// Returns what stands behind one byte, which may be written `%41`, `%2541` and so on.
fn after(text: &[u8], byte: u8) -> Option<&[u8]> {
    let (first, rest) = text.split_first()?;
    let encoded = if *first == b'%' { after_encoded(rest, byte) } else { None };
    encoded.or_else(|| (*first == byte).then_some(rest))
}

fn after_encoded(mut text: &[u8], byte: u8) -> Option<&[u8]> {
    loop {
        let (digits, behind) = text.split_at_checked(2)?;
        if hex(digits) == Some(byte) {
            return Some(behind);
        }
        text = text.strip_prefix(b"25")?;
    }
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?;
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::secret::SealKey;

    fn shown(secret: &str, form: Form, field: &str) -> String {
        let secret = Secret::new(secret.as_bytes());
        let id = SealKey::new(b"key").seal(&secret);
        let redaction = Redaction::new([(id, &secret, form)].into_iter());
        let clean = String::from_utf8(redaction.apply(field.as_bytes()).into_owned()).unwrap();
        clean.replace(&id.to_string(), "ID")
    }

    #[test]
    fn secrets_go_however_they_are_spelled() {
        let cases = [
            ("", ""),
            ("nothing here", "nothing here"),
            ("a/b+c=d", "[ID]"),
            ("x=a/b+c=d&y=a/b+c=d", "x=[ID]&y=[ID]"),
            ("x=a%2Fb%2bc%3Dd.", "x=[ID]."),
            ("x=a%252Fb%25252Bc=%64", "x=[ID]"),
            ("a/b+c=", "a/b+c="),
            ("%", "%"),
            ("a%2", "a%2"),
        ];
        for (field, expected) in cases {
            assert_eq!(shown("a/b+c=d", Form::OPAQUE, field), expected, "{field}");
        }
    }

    #[test]
    fn a_percent_sign_in_a_secret_is_found_both_ways() {
        assert_eq!(shown("a%41", Form::OPAQUE, "a%41 a%2541"), "[ID] [ID]");
    }

    #[test]
    fn basic_authentication_goes_decoded_too() {
        let field = "Basic dXNlcjpwYXNz https://user:pass@example.org/";
        assert_eq!(
            shown("dXNlcjpwYXNz", Form::BASIC, field),
            "Basic [ID] https://[ID]@example.org/"
        );
    }

    #[test]
    fn of_two_that_begin_alike_the_whole_one_goes() {
        let key = SealKey::new(b"key");
        let secrets = [Secret::new(b"abcd"), Secret::new(b"abcdefgh")];
        let pairs = secrets.iter().map(|secret| (key.seal(secret), secret, Form::OPAQUE));
        let redaction = Redaction::new(pairs);
        let expected = format!("[{}]", key.seal(&secrets[1]));
        assert_eq!(redaction.apply(b"abcdefgh"), expected.as_bytes());
    }
}
