//! Removes secrets from output: from records by what was found in them, from lines that fit no format by trying every
//! word, since their fields are unknown.

use std::borrow::Cow;

use crate::cli::lines::text;
use crate::engine::reader::Reader;
use crate::engine::record::{FieldName, Record};
use crate::engine::shape::is_secretive;
use crate::engine::token::{MAX_SIGHTINGS, Redaction, Sighting};

/// Replaces a word that looks like a secret.
const HIDDEN: &[u8] = b"[...]";

/// A text with more secrets is not shown at all: each costs a search through the text.
const MAX_SECRETS: usize = 64;

/// Removes the secrets of one record from its fields.
pub(super) struct Cleaner<'a> {
    reader: &'a Reader,
    /// `None` for a record without secrets.
    redaction: Option<Redaction>,
    /// There may be more secrets than the limit of a search.
    is_full: bool,
}

impl<'a> Cleaner<'a> {
    pub(super) fn new(reader: &'a Reader, sightings: &[Sighting<'_>]) -> Self {
        Self {
            reader,
            redaction: (!sightings.is_empty()).then(|| reader.sealer().redaction(sightings)),
            is_full: sightings.len() >= MAX_SIGHTINGS,
        }
    }

    /// Removes the secrets that were found, and those that only the field's name reveals.
    pub(super) fn clean<'f>(&self, field: &'f [u8]) -> Cow<'f, [u8]> {
        let finder = self.reader.finder();
        let clean = match &self.redaction {
            None => return finder.hide(field),
            Some(redaction) => redaction.apply(field),
        };
        if self.is_full {
            return Cow::Owned(scrub(self.reader, &clean));
        }
        match clean {
            Cow::Borrowed(field) => finder.hide(field),
            Cow::Owned(field) => Cow::Owned(finder.hide(&field).into_owned()),
        }
    }
}

/// Returns the line with ids in place of its secrets. A secret may be anywhere, so every word is tried: as the value of
/// the name before it, as a URL, and after a scheme such as `Bearer`; words that merely look random are hidden.
pub(super) fn scrub(reader: &Reader, line: &[u8]) -> Vec<u8> {
    let line = &hide_lists(line)[..];
    let words: Vec<&[u8]> =
        line.split(|b| is_between(*b)).filter(|word| !word.is_empty()).collect();
    let pairs: Vec<_> = words
        .windows(2)
        .filter_map(|pair| match pair {
            [name, value] => Some([*name, *value]),
            _ => None,
        })
        .collect();
    let records: Vec<Record<'_>> = words
        .iter()
        .map(|word| of_word(word))
        .chain(pairs.iter().flat_map(|[name, value]| of_pair(name, value)))
        .collect();
    let mut clean = line.to_vec();
    let mut secrets = 0;
    for record in &records {
        let mut sightings = Vec::new();
        reader.finder().find(record, &mut sightings);
        if !sightings.is_empty() {
            secrets += 1;
            if secrets > MAX_SECRETS {
                return HIDDEN.to_vec();
            }
            clean = reader.sealer().redaction(&sightings).apply(&clean).into_owned();
        }
    }
    hide_random(&reader.finder().hide(&clean))
}

/// Hides lists of numbers: a journal's JSON gives a message that is not UTF-8 byte by byte.
fn hide_lists(line: &[u8]) -> Vec<u8> {
    const SHORTEST: usize = 16;
    let mut clean = Vec::with_capacity(line.len());
    let mut rest = line;
    while let Some(open) = memchr::memchr(b'[', rest) {
        let (before, list) = rest.split_at(open + 1);
        let is_number = |b: &u8| b.is_ascii_digit() || matches!(b, b',' | b' ');
        let length = list.iter().take_while(|b| is_number(b)).count();
        clean.extend_from_slice(before);
        if length >= SHORTEST {
            clean.extend_from_slice(b"...");
        } else {
            clean.extend_from_slice(list.get(..length).unwrap_or_default());
        }
        rest = list.get(length..).unwrap_or_default();
    }
    clean.extend_from_slice(rest);
    clean
}

const fn is_between(byte: u8) -> bool {
    byte.is_ascii_whitespace()
        || matches!(
            byte,
            b'"' | b'\'' | b',' | b'{' | b'}' | b'<' | b'>' | b'|' | b'\\' | b'&' | b';'
        )
}

/// Returns a word as a URL and as a field.
fn of_word(word: &[u8]) -> Record<'_> {
    let has_query = memchr::memchr2(b'?', b'/', word).is_some();
    let target = if has_query { word.into() } else { [b"?", word].concat().into() };
    let fields = vec![(FieldName::Unnamed, Cow::Borrowed(word))];
    Record { target: Some(target), fields, ..Record::default() }
}

/// Returns two words as a name with its value, and as an Authorization header.
fn of_pair<'a>(name: &'a [u8], value: &'a [u8]) -> [Record<'a>; 2] {
    let header = |text| vec![(FieldName::Header("authorization".into()), text)];
    let name = name.strip_suffix(b":").unwrap_or(name);
    let own = name.strip_prefix(b"http_").unwrap_or(name);
    let own = String::from_utf8_lossy(own).to_lowercase().replace('_', "-");
    let value = value.strip_prefix(b":").unwrap_or(value);
    let named = vec![(FieldName::Header(own.into()), Cow::Borrowed(value))];
    let signed = header(Cow::Owned([name, b" ", value].concat()));
    [Record { fields: named, ..Record::default() }, Record { fields: signed, ..Record::default() }]
}

/// Returns a user name without its random-looking words: servers may take a token, of unknown shape, as the user name.
pub(super) fn user(name: Cow<'_, str>) -> Cow<'_, str> {
    let hidden = hide_random(name.as_bytes());
    if hidden == name.as_bytes() { name } else { text(&hidden).into_owned().into() }
}

/// Hides words that look like tokens or random; sealed ids stay.
fn hide_random(line: &[u8]) -> Vec<u8> {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut clean = Vec::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|byte| is_part(byte)).count();
        let (word, after) = rest.split_at_checked(length.max(1)).unwrap_or((rest, b""));
        let is_id = word.starts_with(b"tw1_") && clean.ends_with(b"[");
        clean.extend_from_slice(if is_secretive(word) && !is_id { HIDDEN } else { word });
        rest = after;
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_as_a_list_of_bytes_was_shown() {
        let line = br#"{"MESSAGE":[115,107,95,108,105,118,101,95],"PRIORITY":[6],"a":"[x]"}"#;
        let hidden = br#"{"MESSAGE":[...],"PRIORITY":[6],"a":"[x]"}"#;
        assert_eq!(hide_lists(line), hidden);
        assert_eq!(hide_lists(b"[1,2,3,4,5,6,7,8,9"), b"[...");
        assert_eq!(hide_lists(b"a [b] ["), b"a [b] [");
    }
}
