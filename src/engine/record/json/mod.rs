//! JSON logs: one object per line, parsed in one pass without building a tree; strings are borrowed.
//!
//! If a key occurs twice, the first one counts: a logger that escapes nothing writes its own keys before
//! anything that a client could smuggle in.

#[cfg(test)]
mod dialect_tests;
mod envelope;
#[cfg(test)]
mod tests;
mod text;

use std::borrow::Cow;

use smol_str::SmolStr;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::escape::Escape;
use crate::engine::record::keys::{self, Form, Meaning, Said, Scope};
use crate::engine::record::names;
use crate::engine::record::scan::{self, Miss, Quoted};
use crate::engine::record::time::Time;
use crate::engine::record::{Record, Reject, Text, time};

pub(super) use envelope::{Cut, Sealed, envelope};
use text::{Broken, Cursor};

/// The rank of the site's own `fields` table: better than any synonym.
const OWN_RANK: u8 = 9;

/// The deepest nesting that is parsed; deeper objects are skipped.
const MAX_DEPTH: usize = 16;

/// The header that a list may contain several times: once for each proxy that did not append to the previous value.
const HOPS: &str = "x-forwarded-for";

/// A site's own keys.
#[derive(Clone, Debug, Default)]
pub(super) struct Own {
    /// The dotted path of each, and where its value is stored.
    pub(super) paths: Vec<(String, Slot)>,
    /// Names of keys that contain a token's id, in any object that is understood.
    pub(super) ids: Vec<SmolStr>,
}

impl Own {
    const fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.ids.is_empty()
    }

    fn id(&self, key: &[u8]) -> Option<Slot> {
        names::is_among(&self.ids, key)
            .then(|| Slot::Id(Cow::Owned(String::from_utf8_lossy(key).into_owned())))
    }

    /// Looks up a key under a path (which ends with a dot): returns a slot of its own, or the path of the object
    /// under the key.
    fn find<'o>(&'o self, path: Option<&'o str>, key: &[u8]) -> (Option<Slot>, Option<&'o str>) {
        let mut below = None;
        let Some(path) = path else { return (None, None) };
        for (whole, slot) in &self.paths {
            let inside = whole.strip_prefix(path).map(str::as_bytes);
            let Some(rest) = inside.and_then(|inside| inside.strip_prefix(key)) else { continue };
            if rest.is_empty() {
                return (Some(slot.clone()), below);
            }
            if let Some(deeper) = rest.strip_prefix(b".") {
                below = whole.get(..whole.len() - deeper.len());
            }
        }
        (None, below)
    }
}

/// Parses a line. JSON that contains no request is rejected, and so is a line without a time, unless its
/// envelope has `lent` it one.
pub(super) fn read<'a>(
    line: &'a [u8],
    own: &Own,
    lent: Option<Time>,
) -> Result<Record<'a>, Reject> {
    let mut walk = Walk { text: Cursor::new(line), said: Said::default(), own, unread_time: None };
    if walk.line().is_err() {
        return Err(walk.text.miss().reject(line));
    }
    walk.said.join_time();
    if !walk.said.has_request() {
        return Err(absent("a key for the request (request, uri, path, method with status)"));
    }
    if !walk.said.draft.has_time() && lent.is_none() {
        return Err(walk.no_time(line));
    }
    Ok(walk.said.finish())
}

fn absent(expected: &'static str) -> Reject {
    Reject::new(1, expected, "an object without it")
}

/// A line being parsed into a draft.
struct Walk<'a, 'o> {
    text: Cursor<'a>,
    said: Said<'a>,
    own: &'o Own,
    /// The key of the first value that should be a time and is none, and the length of the line from that value on.
    unread_time: Option<(String, usize)>,
}

impl<'a, 'o> Walk<'a, 'o> {
    fn line(&mut self) -> Result<(), Broken> {
        self.text.mark(b'{', "JSON: `{`")?;
        let path = (!self.own.paths.is_empty()).then_some("");
        self.object(Some(Scope::Root), path, MAX_DEPTH)?;
        self.text.end()
    }

    /// Returns the reject of a line without a time: at the value in its place, if there is one.
    fn no_time(&self, line: &[u8]) -> Reject {
        let Some((key, rest)) = &self.unread_time else { return absent(keys::NO_TIME) };
        let found = format!("something else under {key:?}").into();
        Reject { found, ..Miss::with_left(*rest, keys::TIMES).reject(line) }
    }

    /// Parses an object after its opening brace. `path` is its position in the site's table, with a trailing dot;
    /// `None` where the site's table has no keys below.
    fn object(
        &mut self,
        scope: Option<Scope>,
        path: Option<&'o str>,
        depth: usize,
    ) -> Result<(), Broken> {
        if self.text.take(b'}') {
            return Ok(());
        }
        loop {
            let key = self.text.key()?;
            match key.text() {
                Cow::Borrowed(key) => self.member(key, scope, path, depth)?,
                Cow::Owned(key) => self.member(&key, scope, path, depth)?,
            }
            if self.text.ends(b'}', "JSON: `,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Parses the value of a key.
    fn member(
        &mut self,
        key: &[u8],
        scope: Option<Scope>,
        path: Option<&'o str>,
        depth: usize,
    ) -> Result<(), Broken> {
        let rest = self.text.miss().rest;
        if self.own.is_empty() {
            self.common_member(key, scope, None, depth)?;
        } else {
            self.own_member(key, scope, path, depth)?;
        }
        if self.said.has_unread_time && self.unread_time.is_none() {
            self.unread_time = Some((String::from_utf8_lossy(key).into_owned(), rest));
        }
        Ok(())
    }

    /// Parses the value of a key that may be in the site's table.
    fn own_member(
        &mut self,
        key: &[u8],
        scope: Option<Scope>,
        path: Option<&'o str>,
        depth: usize,
    ) -> Result<(), Broken> {
        let (slot, below) = self.own.find(path, key);
        // An object that a client can fill with its own names (a query, a body) has no scope, so no ids are read there.
        let id = scope.and_then(|_| self.own.id(key));
        match id.or(slot) {
            Some(Slot::Skip) => self.value(&Meaning::default(), below, depth),
            Some(slot) => {
                let meaning = Meaning { slot: Some((slot, OWN_RANK)), ..Meaning::NOTHING };
                self.value(&meaning, below, depth)
            }
            None => self.common_member(key, scope, below, depth),
        }
    }

    /// Parses the value of a key by the built-in table.
    fn common_member(
        &mut self,
        key: &[u8],
        scope: Option<Scope>,
        path: Option<&'o str>,
        depth: usize,
    ) -> Result<(), Broken> {
        static NOTHING: Meaning = Meaning::NOTHING;
        let Some(scope) = scope else { return self.value(&NOTHING, path, depth) };
        if let Some(known) = keys::known(scope, key) {
            return self.value(known, path, depth);
        }
        match keys::named(scope, key).or_else(|| keys::followed(scope, key)) {
            Some(named) => self.value(&named, path, depth),
            None => self.value(&NOTHING, path, depth),
        }
    }

    fn value(
        &mut self,
        meaning: &Meaning,
        path: Option<&'o str>,
        depth: usize,
    ) -> Result<(), Broken> {
        if meaning.is_nothing() && path.is_none() {
            return self.text.skip();
        }
        match self.text.next() {
            Some(b'"') => {
                let quoted = self.text.string()?;
                self.put(meaning, quoted);
                Ok(())
            }
            Some(b'{') if depth > 0 => {
                self.text.mark(b'{', "JSON: `{`")?;
                self.said.opened(meaning);
                self.object(meaning.scope, path, depth - 1)
            }
            Some(b'[') if depth > 0 => self.list(meaning),
            Some(b'{' | b'[') => self.text.skip(),
            _ => {
                let plain = self.text.plain()?;
                self.put_plain(meaning, plain);
                Ok(())
            }
        }
    }

    /// Parses a list, such as Caddy's values of one header. Each element is stored like a single value, but a list
    /// of hops is one value whose last element was added last. Objects in it are skipped, except headers in the
    /// form of `AWS` WAF.
    fn list(&mut self, meaning: &Meaning) -> Result<(), Broken> {
        self.text.mark(b'[', "JSON: `[`")?;
        if self.text.take(b']') {
            return Ok(());
        }
        let is_hops = meaning.is_hops();
        let mut hops: Option<Text<'a>> = None;
        loop {
            match self.text.next() {
                Some(b'"') if is_hops => push(&mut hops, self.text.string()?.text()),
                Some(b'{') if meaning.scope == Some(Scope::Headers) => self.header(&mut hops)?,
                Some(b'{' | b'[') => self.text.skip()?,
                _ => self.value(meaning, None, 0)?,
            }
            if self.text.ends(b']', "JSON: `,` or `]`")? {
                match hops {
                    Some(hops) if is_hops => self.said.put(meaning, hops),
                    Some(hops) => self.said.put(&keys::header(HOPS), hops),
                    None => {}
                }
                return Ok(());
            }
        }
    }

    /// Parses `{"name":"Host","value":"example.org"}`: one header. The header of hops may occur several times.
    fn header(&mut self, hops: &mut Option<Text<'a>>) -> Result<(), Broken> {
        self.text.mark(b'{', "JSON: `{`")?;
        let mut name: Text<'a> = Cow::Borrowed(b"");
        loop {
            let key = self.text.key()?;
            match (key.raw, self.text.next()) {
                (b"name" | b"key", Some(b'"')) => name = self.text.string()?.text(),
                (b"value", Some(b'"')) if names::is_same(&name, HOPS.as_bytes()) => {
                    push(hops, self.text.string()?.text());
                }
                (b"value", _) => self.value(&keys::header(&name[..]), None, 0)?,
                _ => self.text.skip()?,
            }
            if self.text.ends(b'}', "JSON: `,` or `}`")? {
                return Ok(());
            }
        }
    }

    /// Stores a string as its key requires. One that does not fit its key is ignored; the line may contain the
    /// value elsewhere.
    fn put(&mut self, meaning: &Meaning, quoted: Quoted<'a>) {
        let Some((slot, rank)) = &meaning.slot else { return };
        match slot {
            // Caddy writes 0 where there was no response; some loggers append the reason to the status.
            Slot::Part(Part::Status) => {
                if let Some(status) = status(scan::word(quoted.raw).1) {
                    self.said.draft.status(*rank, status);
                }
            }
            _ => self.said.put(meaning, quoted.text()),
        }
    }

    /// Stores a number as its key requires.
    fn put_plain(&mut self, meaning: &Meaning, plain: &'a [u8]) {
        if plain == b"null" {
            return self.said.absent(meaning);
        }
        let Some((slot, rank)) = &meaning.slot else { return };
        match slot {
            Slot::Part(Part::Status) => {
                if let Some(status) = status(plain) {
                    self.said.draft.status(*rank, status);
                }
            }
            Slot::Part(Part::Time) => {
                self.said.has_beginning |= meaning.form == Form::Beginning;
                match time::epoch(plain).or_else(|| exponent(plain)) {
                    Some(time) => {
                        self.said.draft.time(*rank, time);
                    }
                    None => self.said.has_unread_time = true,
                }
            }
            Slot::Took(_) => {
                self.said.needs_request_object |= meaning.form == Form::BesideRequest;
                self.said.draft.put(slot, *rank, Cow::Borrowed(plain), Escape::None);
            }
            Slot::Part(Part::Bytes) => {
                self.said.draft.put(slot, *rank, Cow::Borrowed(plain), Escape::None);
            }
            Slot::Part(Part::Tls) => {
                if let Some(name) = tls_version(plain) {
                    self.said.draft.put(slot, *rank, Cow::Borrowed(name), Escape::None);
                }
            }
            Slot::Id(_) if plain.iter().all(u8::is_ascii_digit) => {
                self.said.draft.put(slot, *rank, Cow::Borrowed(plain), Escape::None);
            }
            _ => {}
        }
    }
}

/// Adds a hop to a list of hops.
fn push<'a>(hops: &mut Option<Text<'a>>, hop: Text<'a>) {
    match hops {
        None => *hops = Some(hop),
        Some(hops) => {
            let list = hops.to_mut();
            list.extend_from_slice(b", ");
            list.extend_from_slice(&hop);
        }
    }
}

/// Parses a status of up to three digits.
fn status(text: &[u8]) -> Option<u16> {
    scan::decimal(text)
        .and_then(|status| u16::try_from(status).ok())
        .filter(|status| *status < 1000)
}

/// Parses a number of seconds with an exponent, which Go writes for floats from 10^21 on, and other loggers for
/// smaller ones.
fn exponent(plain: &[u8]) -> Option<Time> {
    let has_exponent = plain.iter().any(|b| matches!(b, b'e' | b'E'));
    let number = has_exponent.then(|| std::str::from_utf8(plain).ok()?.parse().ok())?;
    number.and_then(time::epoch_of_float)
}

/// Returns the name of a TLS version by its number on the wire: 0x0303 is TLS 1.2 (RFC 8446, section 4.2.1).
fn tls_version(plain: &[u8]) -> Option<&'static [u8]> {
    match scan::decimal(plain)? {
        0x0301 => Some(b"TLSv1"),
        0x0302 => Some(b"TLSv1.1"),
        0x0303 => Some(b"TLSv1.2"),
        0x0304 => Some(b"TLSv1.3"),
        _ => None,
    }
}
