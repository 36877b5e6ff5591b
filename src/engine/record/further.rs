//! Fields after those of a format: quoted, bare, `key=value`, `key="value"`, whatever a site adds at the end of its
//! lines.

use std::borrow::Cow;

use super::draft::push_field;
use super::scan::{Quoted, is_end, present, quoted, word};
use super::{FieldName, Record, Text, names};

/// Splits off a quoted field or `-`, and the space after it. A field whose quote never closes takes the rest of
/// the line and has no value: half a secret is no token.
pub(super) fn quoted_or_absent(rest: &[u8]) -> Option<(&[u8], Option<Text<'_>>)> {
    match rest {
        [b'"', inside @ ..] => {
            Some(quoted(inside, is_end).map_or((b"", None), |(after, text)| whole(after, text)))
        }
        [b'-', after @ ..] if is_end(after) => {
            Some((after.strip_prefix(b" ").unwrap_or(after), None))
        }
        _ => None,
    }
}

/// Splits off a field like [`quoted_or_absent`], but one that cannot contain a token: if its quote never closes, its
/// value is the rest.
pub(super) fn quoted_or_cut(rest: &[u8]) -> Option<(&[u8], Option<Text<'_>>)> {
    let Some(inside) = rest.strip_prefix(b"\"") else { return quoted_or_absent(rest) };
    let cut = || (&b""[..], Quoted { raw: inside, has_escapes: true });
    let (after, text) = quoted(inside, is_end).unwrap_or_else(cut);
    Some(whole(after, text))
}

/// Returns the value of a quoted field, and the text after the space that follows it.
fn whole<'a>(after: &'a [u8], text: Quoted<'a>) -> (&'a [u8], Option<Text<'a>>) {
    let said = present(text.raw).map(|_| text.text());
    (after.strip_prefix(b" ").unwrap_or(after), said)
}

/// Parses further fields: quoted, bare, `key=value`, `key="value"`. Numbers and absent values are skipped. What clients
/// send is quoted, so a bare word is the server's.
pub(super) fn further<'a>(record: &mut Record<'a>, rest: &'a [u8]) {
    further_of(record, rest, FieldName::OfServer);
}

/// Parses further fields, of which bare words are `words`.
pub(super) fn further_of<'a>(
    record: &mut Record<'a>,
    mut rest: &'a [u8],
    mut words: FieldName<'static>,
) {
    while !rest.is_empty() {
        if rest.starts_with(b"[") {
            // ingress-nginx: its last word is the request id, which a client may send.
            words = FieldName::Unnamed;
        }
        if let Some((after, text)) = quoted_or_absent(rest) {
            if let Some(text) = text.filter(|t| names::credential(t).is_some()) {
                push_field(record, FieldName::Unnamed, text);
            }
            rest = after;
            continue;
        }
        rest = bare(record, rest, &words);
    }
}

/// Parses one field that does not begin with a quote and returns the text after it.
fn bare<'a>(record: &mut Record<'a>, rest: &'a [u8], words: &FieldName<'static>) -> &'a [u8] {
    let (after, text) = word(rest);
    let Some((key, value)) = memchr::memchr(b'=', text).and_then(|at| text.split_at_checked(at))
    else {
        if let Some(text) = names::credential(text) {
            push_field(record, words.clone(), Cow::Borrowed(text));
        }
        return after;
    };
    let value = value.get(1..).unwrap_or_default();
    let (after, value) = if value.starts_with(b"\"") {
        let from = rest.get(key.len() + 1..).unwrap_or_default();
        quoted_or_absent(from).unwrap_or((after, None))
    } else {
        (after, present(value).map(Cow::Borrowed))
    };
    let Some(value) = value else { return after };
    let name = names::pair(key);
    let is_id = matches!(name, FieldName::Id(_));
    if names::credential(&value).is_some() || is_id && names::is_given(&value) {
        push_field(record, name, value);
    }
    after
}
