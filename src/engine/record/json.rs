//! JSON logs: one object a line, read through serde without building a tree, strings borrowed.
//!
//! Of a key that stands twice the first counts: a logger that escapes nothing writes its own keys before
//! what a client could smuggle in.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use smol_str::SmolStr;

use super::draft::{Draft, Escape, Part, Slot};
use super::keys::{self, Meaning, Scope};
use super::names::is_same;
use super::time::Time;
use super::{Record, Reject, Text, scan, time};

/// What the site's own `fields` table gives: better than any synonym.
const OWN_RANK: u8 = 9;

/// A site's own keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// The dotted path of each, and where its value goes.
    pub(super) paths: Vec<(String, Slot)>,
    /// Names of keys that hold a token's id, in whichever object that is understood.
    pub(super) ids: Vec<SmolStr>,
}

impl Own {
    fn id(&self, key: &str) -> Option<Slot> {
        let is_id = |name: &SmolStr| is_same(name.as_bytes(), key.as_bytes());
        self.ids.iter().any(is_id).then(|| Slot::Id(Cow::Owned(key.to_owned())))
    }
}

/// Reads a line. What is JSON but says nothing of a request is rejected, and so is what has no time,
/// unless an envelope has `lent` it one.
pub(super) fn read<'a>(
    line: &'a [u8],
    own: &Own,
    lent: Option<Time>,
) -> Result<Record<'a>, Reject> {
    let Ok(text) = std::str::from_utf8(line) else {
        // JSON is UTF-8; a client's other bytes that the logger let through become U+FFFD.
        let text = String::from_utf8_lossy(line);
        return read_text(&text, own, lent)
            .map(Record::into_owned)
            .map_err(|r| Reject { column: r.column.min(line.len() + 1), ..r });
    };
    read_text(text, own, lent)
}

fn read_text<'a>(text: &'a str, own: &Own, lent: Option<Time>) -> Result<Record<'a>, Reject> {
    let mut draft = Draft::default();
    let mut reader = serde_json::Deserializer::from_str(text);
    let meaning = Meaning { slot: None, scope: Some(Scope::Root) };
    let value = Value { draft: &mut draft, meaning, own, path: Some("") };
    value.deserialize(&mut reader).and_then(|()| reader.end()).map_err(|e| reject(text, &e))?;
    if !draft.has_request() {
        return Err(absent("a key for the request (request, uri, path, method with status)"));
    }
    if !draft.has_time() && lent.is_none() {
        return Err(absent("a key for the time (time, ts, msec, @timestamp)"));
    }
    Ok(draft.finish())
}

fn absent(expected: &'static str) -> Reject {
    Reject::new(1, expected, "an object without it")
}

/// Turns `serde_json`'s message, `expected X at line 1 column 7`, into ours. Its column is that of the last
/// byte read.
fn reject(text: &str, error: &serde_json::Error) -> Reject {
    let message = error.to_string();
    let (what, _) = message.split_once(" at line").unwrap_or((&message, ""));
    let expected = match what.strip_prefix("expected ") {
        Some(expected) => format!("JSON: {expected}"),
        None if error.is_eof() => "the rest of the JSON object".to_owned(),
        None => format!("JSON ({what})"),
    };
    let at = if error.is_eof() { text.len() } else { error.column().saturating_sub(1) };
    Reject::new(at + 1, expected, scan::found_at(text.as_bytes(), at))
}

/// A value whose key has a meaning: goes into the draft.
struct Value<'d, 'o, 'a> {
    draft: &'d mut Draft<'a>,
    meaning: Meaning,
    own: &'o Own,
    /// The path of the object so far, with a dot at its end; `None` where no key of the site's can be below.
    path: Option<&'o str>,
}

impl<'a> Value<'_, '_, 'a> {
    fn put(&mut self, text: Text<'a>) {
        if let Some((slot, rank)) = &self.meaning.slot {
            // A value that is not what its key promises says nothing; the line may say it elsewhere.
            self.draft.put(slot, *rank, text, Escape::None);
        }
    }

    fn put_whole(&mut self, value: u64) {
        let Some((slot, rank)) = &self.meaning.slot else { return };
        let rank = *rank;
        match slot {
            Slot::Part(Part::Status) => {
                // Caddy writes 0 where nothing was answered.
                if let Some(status) = u16::try_from(value).ok().filter(|status| *status < 1000) {
                    self.draft.status(rank, status);
                }
            }
            Slot::Part(Part::Bytes) => {
                self.draft.bytes(rank, value);
            }
            Slot::Part(Part::Time) => {
                if let Some(time) = i64::try_from(value).ok().and_then(time::epoch_of) {
                    self.draft.time(rank, time);
                }
            }
            Slot::Part(Part::Tls) => {
                // The protocol's number on the wire: 0x0303 is TLS 1.2 (RFC 8446, section 4.2.1).
                let name: Option<&'static [u8]> = match value {
                    0x0301 => Some(b"TLSv1"),
                    0x0302 => Some(b"TLSv1.1"),
                    0x0303 => Some(b"TLSv1.2"),
                    0x0304 => Some(b"TLSv1.3"),
                    _ => None,
                };
                if let Some(name) = name {
                    self.put(Cow::Borrowed(name));
                }
            }
            Slot::Id(_) => self.put(Cow::Owned(value.to_string().into_bytes())),
            Slot::Part(_) | Slot::Header(_) | Slot::Cookie(_) | Slot::Unnamed | Slot::Skip => {}
        }
    }

    fn put_float(&mut self, value: f64) {
        let Some((Slot::Part(Part::Time), rank)) = &self.meaning.slot else { return };
        if let Some(time) = time::epoch_of_float(value) {
            self.draft.time(*rank, time);
        }
    }
}

impl<'o> Value<'_, 'o, '_> {
    /// Looks a key up in the site's table: a slot of its own, or the path of the object below it.
    fn own_of(&self, key: &str) -> (Option<Slot>, Option<&'o str>) {
        let mut below = None;
        let Some(path) = self.path.filter(|_| !self.own.paths.is_empty()) else {
            return (None, None);
        };
        for (whole, slot) in &self.own.paths {
            let Some(rest) = whole.strip_prefix(path).and_then(|r| r.strip_prefix(key)) else {
                continue;
            };
            if rest.is_empty() {
                return (Some(slot.clone()), below);
            }
            if let Some(deeper) = rest.strip_prefix('.') {
                below = whole.get(..whole.len() - deeper.len());
            }
        }
        (None, below)
    }
}

impl<'a> DeserializeSeed<'a> for Value<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'a>>(self, reader: D) -> Result<(), D::Error> {
        if self.meaning.is_nothing() && self.path.is_none() {
            return reader.deserialize_ignored_any(IgnoredAny).map(|_| ());
        }
        reader.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Value<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E>(mut self, text: &'a str) -> Result<(), E> {
        self.put(Cow::Borrowed(text.as_bytes()));
        Ok(())
    }

    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.put(Cow::Owned(text.as_bytes().to_vec()));
        Ok(())
    }

    fn visit_u64<E>(mut self, value: u64) -> Result<(), E> {
        self.put_whole(value);
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(mut self, value: f64) -> Result<(), E> {
        self.put_float(value);
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    /// A list, such as Caddy's values of one header: each goes where one would.
    fn visit_seq<S: SeqAccess<'a>>(self, mut list: S) -> Result<(), S::Error> {
        let Self { draft, meaning, own, .. } = self;
        let meaning = Meaning { scope: None, ..meaning };
        while list
            .next_element_seed(Value {
                draft: &mut *draft,
                meaning: meaning.clone(),
                own,
                path: None,
            })?
            .is_some()
        {}
        Ok(())
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let (slot, path) = self.own_of(&key);
            // What the client may fill with names of its own (a query, a body) is not understood, and has none.
            let id = self.meaning.scope.and_then(|_| self.own.id(&key));
            let slot = id.or(slot);
            let mut meaning = match slot {
                Some(slot) => Meaning { slot: Some((slot, OWN_RANK)), scope: None },
                None => meaning_of(self.meaning.scope, &key),
            };
            if matches!(meaning.slot, Some((Slot::Skip, _))) {
                meaning.slot = None;
            }
            let value = Value { draft: &mut *self.draft, meaning, own: self.own, path };
            map.next_value_seed(value)?;
        }
        Ok(())
    }
}

/// Looks a key up in our table. ECS is also written flat (`http.request.method`): such a key is followed
/// down as the nested objects would be.
fn meaning_of(mut scope: Option<Scope>, mut key: &str) -> Meaning {
    while let Some(here) = scope {
        let whole = keys::meaning(here, key);
        if !whole.is_nothing() {
            return whole;
        }
        let dot = memchr::memchr(b'.', key.as_bytes());
        let Some((first, rest)) = dot.and_then(|at| key.split_at_checked(at)) else { return whole };
        scope = keys::meaning(here, first).scope;
        key = rest.get(1..).unwrap_or_default();
    }
    Meaning::default()
}

/// A key, borrowed unless it holds escapes.
struct Key;

impl<'a> DeserializeSeed<'a> for Key {
    type Value = Cow<'a, str>;

    fn deserialize<D: serde::Deserializer<'a>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'a> Visitor<'a> for Key {
    type Value = Cow<'a, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}
