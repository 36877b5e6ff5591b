//! JSON web tokens (RFC 7519), read without verification: we have no keys, and the logs already show whether the
//! server accepted them.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, format_smolstr};

use crate::engine::shape::decode;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Claims, Identity};
use crate::engine::visible::is_visible;

/// The longest token whose claims are read; longer ones are sealed like any other token.
const MAX_READ: usize = 16 * 1024;

/// The limit of issuer and subject in bytes; longer ones are cut.
const MAX_TEXT: usize = 128;

/// The length of the end of a name that is not the whole text: `~` and 16 hex digits.
const HASH_LENGTH: usize = 17;

/// What a token states about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Said {
    /// Its principal, if it names one.
    pub(super) identity: Option<Identity>,
    /// Its validity period, and whether it is signed.
    pub(super) claims: Claims,
}

/// Reads a signed token and omits whatever cannot be parsed.
///
/// `principal_claims` are the claims that make the identity: `iss` is the issuer, and the others, joined with `/`,
/// are the subject. If `sub` is among them but missing in the token, `azp` replaces it, then `client_id`.
pub(super) fn read(token: &[u8], principal_claims: &[SmolStr]) -> Said {
    if token.len() > MAX_READ {
        return Said::default();
    }
    let mut parts = token.split(|b| *b == b'.');
    let header = object(parts.next().unwrap_or_default(), &["alg"]);
    let mut names = vec!["iss", "sub", "azp", "client_id", "exp", "iat", "nbf", "amr"];
    names.extend(principal_claims.iter().map(SmolStr::as_str));
    let payload = object(parts.next().unwrap_or_default(), &names);
    let algorithm = get(&header, "alg").and_then(Value::as_str);
    let time = |name| get(&payload, name).and_then(time);
    Said {
        identity: identity(&payload, principal_claims),
        claims: Claims {
            issued_at: time("iat"),
            expires_at: time("exp"),
            not_before: time("nbf"),
            second_factor: get(&payload, "amr").and_then(second_factor),
            is_unsigned: algorithm.is_some_and(|name| name.eq_ignore_ascii_case("none")),
            is_malformed: false,
        },
    }
}

type Fields = Vec<(String, Value)>;

fn get<'f>(fields: &'f Fields, name: &str) -> Option<&'f Value> {
    fields.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value)
}

fn identity(payload: &Fields, principal_claims: &[SmolStr]) -> Option<Identity> {
    let claim = |name: &str| get(payload, name).and_then(text);
    let mut issuer = SmolStr::default();
    let mut subject = String::new();
    for name in principal_claims {
        let value = claim(name);
        match name.as_str() {
            "iss" => issuer = value.map(|v| clean(&v, MAX_TEXT)).unwrap_or_default(),
            other => {
                let value = value.filter(|v| !v.is_empty());
                let stand_in = || claim("azp").or_else(|| claim("client_id"));
                let value = value.or_else(|| stand_in().filter(|_| other == "sub"));
                if let Some(value) = value {
                    subject.push_str(if subject.is_empty() { "" } else { "/" });
                    subject.push_str(&value);
                }
            }
        }
    }
    let subject = clean(&subject, MAX_TEXT);
    let is_named = !subject.is_empty();
    is_named.then_some(Identity::Jwt { issuer, subject })
}

/// Returns a text or number as a name; a list is represented by its first element.
fn text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Array(list) => list.first().filter(|first| !first.is_array()).and_then(text),
        _ => None,
    }
}

/// Parses a `NumericDate` of RFC 7519: seconds since 1970; a fraction is allowed and cut off.
fn time(value: &Value) -> Option<Timestamp> {
    if let Some(seconds) = value.as_i64() {
        return Some(Timestamp::from_seconds(seconds));
    }
    let seconds = value.as_f64().filter(|seconds| seconds.is_finite())?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "`as` saturates, and that is what is wanted"
    )]
    Some(Timestamp::from_seconds(libm::floor(seconds) as i64))
}

/// What `amr` (RFC 8176) calls the methods by which more was asked for than what the owner knows: several at once, what
/// he has, what he is.
const FURTHER: [&str; 14] = [
    "mfa", "mca", "hwk", "otp", "pop", "sc", "sms", "swk", "tel", "face", "fpt", "iris", "retina",
    "vbm",
];

/// What it calls those by which he was only asked what he knows.
const KNOWN: [&str; 3] = ["kba", "pin", "pwd"];

/// What it says about the circumstances: where he was, that he was there, how risky that seemed.
const CIRCUMSTANCES: [&str; 3] = ["geo", "rba", "user"];

/// Returns whether more was asked for at sign-in than what the owner knows, by `amr`; `None` if it says so in other
/// words than those of RFC 8176.
fn second_factor(amr: &Value) -> Option<bool> {
    let methods: Vec<&str> = match amr {
        Value::String(text) => text.split_whitespace().collect(),
        Value::Array(list) => list.iter().map(|one| one.as_str().unwrap_or_default()).collect(),
        _ => return None,
    };
    if methods.iter().any(|method| FURTHER.contains(method)) {
        return Some(true);
    }
    let is_known = methods.iter().any(|method| KNOWN.contains(method));
    let is_clear = methods.iter().all(|one| KNOWN.contains(one) || CIRCUMSTANCES.contains(one));
    (is_known && is_clear).then_some(false)
}

/// Makes an untrusted text usable as a name of at most `limit` bytes: removes what is not [visible](is_visible), and
/// cuts it. A name that is not the whole text ends with a hash of it, so that different texts stay different names.
pub(super) fn clean(text: &str, limit: usize) -> SmolStr {
    if text.len() <= limit && text.chars().all(is_visible) {
        return SmolStr::new(text);
    }
    let mut end = HASH_LENGTH;
    let mut fits = |c: &char| {
        end += c.len_utf8();
        end <= limit
    };
    let shown: SmolStr = text.chars().filter(|c| is_visible(*c)).take_while(|c| fits(c)).collect();
    if shown.is_empty() { shown } else { format_smolstr!("{shown}~{:016x}", hash(text)) }
}

/// Hashes a text such that nobody finds another one with the same hash at little cost.
fn hash(text: &str) -> u64 {
    let first = Sha256::digest(text).first_chunk().copied();
    u64::from_be_bytes(first.unwrap_or_default())
}

/// Parses the wanted members of a base64url part that contains a JSON object.
fn object(part: &[u8], wanted: &[&str]) -> Fields {
    let Some(json) = decode(part) else { return Fields::new() };
    let mut fields = Fields::new();
    let mut reader = serde_json::Deserializer::from_slice(&json);
    // After a fault, the members parsed before it remain.
    reader.deserialize_map(Wanted { names: wanted, fields: &mut fields }).unwrap_or_default();
    fields
}

/// Keeps the wanted members of an object and skips the rest.
struct Wanted<'w> {
    names: &'w [&'w str],
    fields: &'w mut Fields,
}

impl<'de> Visitor<'de> for Wanted<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(name) = map.next_key::<Cow<'_, str>>()? {
            if self.names.iter().any(|wanted| *wanted == name) {
                self.fields.push((name.into_owned(), map.next_value()?));
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use proptest::prelude::*;

    use super::*;

    /// Builds a token from a header and a payload.
    pub(in crate::engine::token) fn token(header: &str, payload: &str) -> String {
        let part = |json: &str| URL_SAFE_NO_PAD.encode(json);
        format!("{}.{}.c2lnbmF0dXJlLW9mLWEtdGVzdA", part(header), part(payload))
    }

    fn names() -> Vec<SmolStr> {
        vec!["iss".into(), "sub".into()]
    }

    fn said(payload: &str) -> Said {
        read(token(r#"{"alg":"HS256"}"#, payload).as_bytes(), &names())
    }

    fn shown(payload: &str) -> String {
        said(payload).identity.map(|identity| identity.to_string()).unwrap_or_default()
    }

    #[test]
    fn a_token_says_whose_it_is() {
        assert_eq!(
            shown(r#"{"iss":"https://id.example.org","sub":"ann"}"#),
            "jwt:https://id.example.org:ann"
        );
        assert_eq!(shown(r#"{"sub":42}"#), "jwt::42");
        assert_eq!(shown(r#"{"iss":"i","azp":"app","client_id":"c"}"#), "jwt:i:app");
        assert_eq!(shown(r#"{"iss":"i","sub":"","client_id":"c"}"#), "jwt:i:c");
        assert_eq!(shown(r#"{"iss":"i"}"#), "");
        assert_eq!(shown(r#"{"iss":"i","sub":{"a":1}}"#), "");
        assert_eq!(shown("[]"), "");
        assert_eq!(shown("not json"), "");
    }

    #[test]
    fn the_claims_that_name_the_principal_can_be_chosen() {
        let token = token(
            r#"{"alg":"none"}"#,
            r#"{"iss":"i","sub":"s","tid":"t","email":"a@example.org"}"#,
        );
        let names = ["iss".into(), "tid".into(), "email".into()];
        let said = read(token.as_bytes(), &names);
        assert_eq!(said.identity.unwrap().to_string(), "jwt:i:t/a@example.org");
        assert!(said.claims.is_unsigned);
    }

    #[test]
    fn times_may_be_fractions_and_nonsense_is_no_time() {
        let claims = said(r#"{"iat":1795453833,"exp":1795457433.9,"nbf":"soon"}"#).claims;
        assert_eq!(claims.issued_at, Some(Timestamp::from_seconds(1_795_453_833)));
        assert_eq!(claims.expires_at, Some(Timestamp::from_seconds(1_795_457_433)));
        assert_eq!(claims.not_before, None);
        assert_eq!(said(r#"{"exp":1e300}"#).claims.expires_at, Some(Timestamp(i64::MAX)));
    }

    #[test]
    fn a_name_cannot_move_the_cursor_or_fill_the_memory() {
        let hash = "cd40d60b27c4c469";
        assert_eq!(shown(r#"{"sub":"a\u001b[2J\u202eb"}"#), format!("jwt::a[2Jb~{hash}"));
        let long = format!(r#"{{"sub":"{}"}}"#, "\u{fc}".repeat(1000));
        assert_eq!(shown(&long).len(), "jwt::".len() + MAX_TEXT - 1, "no half characters");
    }

    #[test]
    fn names_that_differ_behind_their_limit_or_invisibly_were_one_principal() {
        let path = "spiffe://example.org/".repeat(7);
        let name = |end: &str| clean(&format!("{path}{end}"), MAX_TEXT);
        assert_ne!(name("a"), name("b"));
        assert_eq!(name("a").len(), MAX_TEXT);
        assert_ne!(clean("kim", MAX_TEXT), clean("k\u{200b}im", MAX_TEXT));
        assert_ne!(clean("k\u{200b}im", MAX_TEXT), clean("ki\u{200b}m", MAX_TEXT));
        assert_eq!(clean("\u{200b}", MAX_TEXT), "", "nothing to show is no name");
    }

    #[test]
    fn names_kept_what_no_mail_and_no_terminal_shows() {
        for hidden in ["\u{ad}", "\u{61c}", "\u{2028}", "\u{3164}", "\u{fe0f}", "\u{e0041}"] {
            let name = clean(&format!("k{hidden}im"), MAX_TEXT);
            assert!(name.starts_with("kim~"), "{hidden:?}: {name}");
        }
        assert_eq!(clean("J\u{fc}rgen \u{6771}", MAX_TEXT), "J\u{fc}rgen \u{6771}");
    }

    #[test]
    fn a_name_that_fits_stays_as_it_is() {
        for text in ["kim", &"x".repeat(MAX_TEXT)] {
            assert_eq!(clean(text, MAX_TEXT), text);
        }
    }

    #[test]
    fn a_second_factor_is_missing_only_if_amr_lists_what_one_knows() {
        for (amr, expected) in [
            (r#"["pwd"]"#, Some(false)),
            (r#""pwd""#, Some(false)),
            (r#"["pwd","pin","geo","user"]"#, Some(false)),
            (r#"["pwd","mfa"]"#, Some(true)),
            (r#"["pwd","otp"]"#, Some(true)),
            (r#""pwd sms""#, Some(true)),
            (r#"["hwk","user"]"#, Some(true)),
            (r#"["fpt"]"#, Some(true)),
            (r#"["pwd","example-push"]"#, None),
            (r#"["wia"]"#, None),
            (r#"["user"]"#, None),
            (r#"["pwd",{"a":1}]"#, None),
            (r#"["PWD"]"#, None),
            ("[]", None),
            ("\"\"", None),
            ("2", None),
        ] {
            let claims = said(&format!(r#"{{"sub":"ann","amr":{amr}}}"#)).claims;
            assert_eq!(claims.second_factor, expected, "{amr}");
        }
        assert_eq!(said(r#"{"sub":"ann"}"#).claims.second_factor, None);
    }

    #[test]
    fn the_last_of_two_members_counts_as_in_other_readers() {
        assert_eq!(shown(r#"{"sub":"a","sub":"b"}"#), "jwt::b");
    }

    proptest! {
        #[test]
        fn no_payload_is_too_odd(payload in ".{0,300}", header in ".{0,60}") {
            let token = token(&header, &payload);
            read(token.as_bytes(), &names());
        }
    }
}
