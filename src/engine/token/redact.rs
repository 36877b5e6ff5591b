//! Removes a record's secrets from everything that is shown of it: `[tw1_...]` replaces each.

use std::borrow::Cow;

use zeroize::Zeroizing;

use super::names::{Name, promise};
use super::{Finder, Form, Need, Replaced, is_short_hash, masked, percent, verdict};
use crate::engine::secret::{Secret, TokenId};
use crate::engine::shape::{decode, is_secretive, suspects};

/// The replacement of a value that was hidden because of its name.
const HIDDEN: &[u8] = b"[...]";

/// How many bytes before a `=` are searched for a name.
const LONGEST_NAME: usize = 120;

/// How many bytes of a value are judged; they are enough for a longer one.
const MAX_VALUE: usize = 1024;

/// How many times a text is percent-decoded at most.
const MAX_ENCODED: usize = 3;

/// A text with more suspects is not shown at all: each costs a search through the text.
const MAX_SUSPECTS: usize = 64;

/// A secret, and what is shown instead.
type Pattern = (Zeroizing<Vec<u8>>, Cow<'static, [u8]>);

/// The secrets of one record, ready to be removed from its fields.
pub struct Redaction {
    /// Longest first, so that of two with the same beginning the longer one is found whole.
    patterns: Vec<Pattern>,
}

impl std::fmt::Debug for Redaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Redaction(..)")
    }
}

impl Redaction {
    /// Collects secrets with their ids; for basic authentication, the decoded base64 text too.
    pub(super) fn new<'s, 'a: 's>(
        secrets: impl Iterator<Item = (TokenId, &'s Secret<'a>, Form)>,
    ) -> Self {
        let mut patterns = Vec::new();
        for (id, secret, form) in secrets {
            let shown = || Cow::Owned(format!("[{id}]").into_bytes());
            patterns.push((Zeroizing::new(secret.expose().to_vec()), shown()));
            if let Some(pair) = decode(secret.expose()).filter(|_| form == Form::BASIC) {
                patterns.push((pair, shown()));
            }
        }
        patterns.retain(|(pattern, _)| !pattern.is_empty());
        Self::sorted(patterns)
    }

    /// Collects what has the shape of a token in a text or in what it decodes to; `None` if there is too much.
    fn of_suspects(field: &[u8]) -> Option<Self> {
        let mut patterns: Vec<Pattern> = Vec::new();
        let mut text = Zeroizing::new(field.to_vec());
        for _ in 0..=MAX_ENCODED {
            for suspect in suspects(&text) {
                if !patterns.iter().any(|(known, _)| **known == suspect) {
                    patterns.push((Zeroizing::new(suspect.to_vec()), Cow::Borrowed(HIDDEN)));
                }
                if MAX_SUSPECTS < patterns.len() {
                    return None;
                }
            }
            if memchr::memchr(b'%', &text).is_none() {
                break;
            }
            text = Zeroizing::new(percent::decode(&text).to_vec());
        }
        Some(Self::sorted(patterns))
    }

    fn sorted(mut patterns: Vec<Pattern>) -> Self {
        patterns.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        Self { patterns }
    }

    /// Replaces every occurrence of every secret by its id in brackets, whether the secret is plain or percent-encoded,
    /// partly or wholly, once or repeatedly. Borrows if there is none.
    #[must_use]
    pub fn apply<'f>(&self, field: &'f [u8]) -> Cow<'f, [u8]> {
        let mut clean = Replaced::new(field);
        let mut at = 0;
        while let Some(rest) = field.get(at..).filter(|rest| !rest.is_empty()) {
            match self.occurrence(rest) {
                Some((length, shown)) => {
                    clean.replace(at..at + length, shown);
                    at += length;
                }
                None => at += 1,
            }
        }
        clean.text()
    }

    fn occurrence(&self, rest: &[u8]) -> Option<(usize, &[u8])> {
        self.patterns.iter().find_map(|(pattern, shown)| Some((length(rest, pattern)?, &**shown)))
    }
}

impl Finder {
    /// Replaces by `[...]` the values of credential names, wherever a text contains `name=value`, and everything that
    /// has the shape of a vendor's token or of a JSON web token, whatever stands around it: the last safeguard, for
    /// anything that was not found as a token. Our ids and masks are kept. Borrows if there is none.
    #[must_use]
    pub fn hide<'f>(&self, field: &'f [u8]) -> Cow<'f, [u8]> {
        match self.hide_named(field) {
            Cow::Borrowed(field) => hide_shaped(field),
            Cow::Owned(field) => Cow::Owned(hide_shaped(&field).into_owned()),
        }
    }

    fn hide_named<'f>(&self, field: &'f [u8]) -> Cow<'f, [u8]> {
        let mut clean = Replaced::new(field);
        let mut at = 0;
        while let Some(rest) = field.get(at..) {
            let Some(next) = memchr::memchr2(b'=', b'%', rest) else { break };
            let sign = at + next;
            at = sign + 1;
            let text = field.get(sign..).unwrap_or_default();
            let Some(behind) = after(text, b'=') else { continue };
            let name = field.get(sign.saturating_sub(LONGEST_NAME)..sign).unwrap_or_default();
            let quotes = behind.iter().take_while(|b| is_quote(**b)).count();
            let from = field.len() - behind.len() + quotes;
            let rest = field.get(from..).unwrap_or_default();
            at = at.max(from);
            if self.is_to_hide(name, rest) {
                at = from + value(rest).len();
                clean.replace(from..at, HIDDEN);
            }
        }
        clean.text()
    }

    /// Returns whether a value must be hidden. The name is the end of `before`, whatever precedes it. Only a fixed part
    /// of `behind` is examined: a hostile text is all `token=token=`.
    fn is_to_hide(&self, before: &[u8], behind: &[u8]) -> bool {
        let mut before = percent::decode(before).to_vec();
        for _ in 1..MAX_ENCODED {
            before = percent::decode(&before).to_vec();
        }
        let is_part = |b: &u8| b.is_ascii_alphanumeric() || b"-_.[]".contains(b);
        let start = before.iter().rposition(|b| !is_part(b)).map_or(0, |at| at + 1);
        let name = before.get(start..).unwrap_or_default();
        let promised = if self.is_query(name) { Name::Password } else { promise(name) };
        if matches!(promised, Name::Never | Name::Unknown) {
            return false;
        }
        let value = value(behind.get(..MAX_VALUE).unwrap_or(behind));
        match promised {
            Name::Password | Name::AwsCredential => !is_harmless(value),
            Name::Sure => !is_harmless(value) && !is_short_hash(value),
            Name::Likely => !is_harmless(value) && verdict(value, Need::Likely).is_some(),
            Name::Never | Name::Unknown => false,
        }
    }
}

fn hide_shaped(field: &[u8]) -> Cow<'_, [u8]> {
    match Redaction::of_suspects(field) {
        Some(redaction) => redaction.apply(field),
        None => Cow::Borrowed(HIDDEN),
    }
}

const fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'')
}

/// Returns the value at the beginning of a text, up to its delimiter.
fn value(text: &[u8]) -> &[u8] {
    let is_end = |b: &u8| *b <= b' ' || is_quote(*b) || b"<>&;#".contains(b);
    let end = text.iter().position(is_end).unwrap_or(text.len());
    text.get(..end).unwrap_or_default()
}

/// Returns whether a value is one of our ids, perhaps followed by more, or a mask that contains no secret.
fn is_harmless(value: &[u8]) -> bool {
    let id = value.strip_prefix(b"[").and_then(|rest| rest.split(|b| *b == b']').next());
    let id = id.and_then(|id| std::str::from_utf8(id).ok());
    if id.is_some_and(|id| id == "..." || id.parse::<TokenId>().is_ok()) {
        return true;
    }
    let value = percent::decode(value);
    let is_frame = |b: &u8| b"[]{}()$".contains(b);
    let start = value.iter().position(|b| !is_frame(b)).unwrap_or(value.len());
    let end = value.iter().rposition(|b| !is_frame(b)).map_or(start, |at| at + 1);
    let inner = value.get(start..end).unwrap_or_default();
    let mut parts = inner.split(|b| matches!(b, b'.' | b'*'));
    masked::is_masked(inner) && !parts.any(is_secretive)
}

/// Returns how many bytes of `text` spell the pattern, if it begins with the pattern.
fn length(text: &[u8], pattern: &[u8]) -> Option<usize> {
    let mut rest = text;
    for byte in pattern {
        rest = after(rest, *byte)?;
    }
    Some(text.len() - rest.len())
}

/// Returns the text after one byte, which may be written as `%41`, `%2541` and so on.
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

    proptest::proptest! {
        #[test]
        fn values_of_known_names_were_shown_where_no_token_was_found(
            token in "[A-Za-z0-9]{24}",
            name in proptest::sample::select(vec![
                "access_token", "apiKey", "token", "password", "client_secret", "user[password]",
                "access_token[]", "jwt", "x-api-key", "access%5Ftoken", "mine",
            ]),
            sign in proptest::sample::select(vec!["=", "%3D", "%253d", "=\""]),
            between in proptest::sample::select(vec![" ", "\"", "\n", ";", "&", "%3D", "%26", "?"]),
        ) {
            let names = super::super::Names { query: vec!["mine".into()], ..Default::default() };
            let finder = Finder::new(&names);
            let text = format!("x=1{between}{name}{sign}{token}{between}z");
            let shown = String::from_utf8(finder.hide(text.as_bytes()).into_owned()).unwrap();
            proptest::prop_assert!(!shown.contains(&token), "{}", shown);
        }

        #[test]
        fn no_token_is_shown_whatever_stands_around_it(
            token in proptest::prop_oneof![
                "(ghp_|gho_|npm_)[0-9A-Za-z]{36}",
                "(sk|rk)_live_[0-9A-Za-z]{24}",
                "glpat-[0-9A-Za-z_-]{20}",
                "xoxb-[0-9]{12}-[0-9A-Za-z]{24}",
                "AIza[0-9A-Za-z_-]{35}",
                "eyJhbGciOiJIUzI1NiJ9\\.eyJ[0-9A-Za-z]{20}\\.[0-9A-Za-z_-]{43}",
            ],
            before in "\\PC{0,12}|[a-zA-Z0-9%&=/;,.:_-]{0,12}",
            after in "\\PC{0,12}|[a-zA-Z0-9%&=/;,.:_-]{0,12}",
        ) {
            let text = format!("{before}{token}{after}");
            let shown = Finder::default().hide(text.as_bytes()).into_owned();
            let shown = String::from_utf8_lossy(&shown);
            let secret = token.get(token.len() - 16..).unwrap();
            proptest::prop_assert!(!shown.contains(secret), "{}", shown);
        }
    }

    #[test]
    fn tokens_that_were_no_words_of_their_own_were_shown() {
        let ghp = format!("ghp_{}", "q8Wz3Lp0Vt6Y".repeat(3));
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbm4ifQ.c2lnbmF0dXJl";
        let bot = format!("12345678:A{}", "b4".repeat(17));
        let vault = format!("s.{}", "q8Wz3Lp0Vt6Y".repeat(2));
        let cases = [
            ("/v1/x;T", "/v1/x;[...]"),
            ("(T)", "([...])"),
            ("a,T,b", "a,[...],b"),
            ("q=Bearer%20T", "q=Bearer%20[...]"),
            ("%2522T%2522", "%2522[...]%2522"),
            ("T/1.0", "[...]/1.0"),
            ("\\x22T\\x22", "\\x22[...]\\x22"),
        ];
        for token in [&ghp, jwt] {
            for (text, expected) in cases {
                let text = text.replace('T', token);
                let shown = Finder::default().hide(text.as_bytes()).into_owned();
                assert_eq!(String::from_utf8(shown).unwrap(), expected, "{text}");
            }
        }
        let encoded: String = ghp.bytes().map(|b| format!("%{b:02X}")).collect();
        for (text, expected) in [
            (format!("x{ghp}x"), "x[...]"),
            (format!("x{encoded},"), "x[...],"),
            (format!("a {vault}"), "a [...]"),
            (format!("/bot{bot}/x"), "/bot[...]/x"),
            (
                vec![ghp.as_str(); MAX_SUSPECTS + 1].join(" "),
                &vec!["[...]"; MAX_SUSPECTS + 1].join(" "),
            ),
            ((0..=MAX_SUSPECTS).map(|i| format!("{ghp}{i} ")).collect(), "[...]"),
        ] {
            let shown = Finder::default().hide(text.as_bytes()).into_owned();
            assert_eq!(String::from_utf8(shown).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn masks_ids_and_values_of_other_names_stay() {
        for stays in [
            "",
            "=",
            "%",
            "%3D",
            "a=b",
            "token=",
            "token=[...]",
            "token=****",
            "token=[redacted]",
            "token=%5Bredacted%5D",
            "token=[tw1_e72ab087281c9e371d43de6784010c4e]&a=b",
            "token=9f86d081",
            "key=name",
            "csrf_token=q8Wz3Lp0Vt6Yc1Nb",
            "code=q8Wz3Lp0Vt6Yc1Nb",
            "/styles.5d41402abc4b2a76b9719d911017c592.css",
            "/monkeys/hf_and/ghp_/eyewear-and-eyJ/sk-learn/6ba7b810-9dad-11d1-80b4-00c04fd430c8",
            "ghp_****4f2a [tw1_e72ab087281c9e371d43de6784010c4e]",
        ] {
            assert_eq!(Finder::default().hide(stays.as_bytes()), stays.as_bytes(), "{stays}");
        }
        let cases = [
            ("password=a1 x", "password=[...] x"),
            ("token=[q8Wz3Lp0Vt6Yc1Nb", "token=[...]"),
            ("token=q8Wz3Lp0Vt6Yc1NbDk5M...", "token=[...]"),
            ("a key=q8Wz3Lp0Vt6Yc1Nb'", "a key=[...]'"),
        ];
        for (field, expected) in cases {
            let shown = Finder::default().hide(field.as_bytes()).into_owned();
            assert_eq!(String::from_utf8(shown).unwrap(), expected);
        }
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
