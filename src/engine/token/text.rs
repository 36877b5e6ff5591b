//! Secrets in texts of any kind, such as code and configuration: tokens that are known, and what has the shape of one.
//!
//! A log has fields, and their names say where a token may be. In any other text each word may be one, so all words
//! and their parts are sealed, and the ids are compared with those of the known tokens.

use std::ops::Range;

use smol_str::SmolStr;

use super::url::{basic, split_once};
use super::{Form, Need, SHORTEST_NAMED, Verdict, masked, percent, verdict};
use crate::engine::secret::{SealKey, Secret, TokenId, mask};
use crate::engine::shape;

/// The shortest word that is compared with the known tokens: anything shorter is a word of language as well.
const SHORTEST: usize = SHORTEST_NAMED;

/// The longest word that is compared: nginx and Apache accept no longer header (`large_client_header_buffers`,
/// `LimitRequestFieldSize`).
pub const LONGEST_WORD: usize = 8 * 1024;

/// Shown for a secret of which nothing may be shown.
const HIDDEN: SmolStr = SmolStr::new_static("...");

/// A place in a text where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The bytes of the text that are the secret.
    pub bytes: Range<usize>,
    /// The id of the secret.
    pub id: TokenId,
    /// `github-pat`, `jwt`, `basic`; `opaque` if nothing but its id is known.
    pub kind: &'static str,
    /// The part that may be shown.
    pub hint: SmolStr,
    /// It is one of the known tokens.
    pub is_known: bool,
}

/// Searches texts for secrets.
#[derive(Clone, Debug)]
pub struct Searcher {
    key: SealKey,
    /// Ascending.
    known: Vec<TokenId>,
}

impl Searcher {
    /// Creates a searcher with the site's key and the ids of the tokens that are known there.
    #[must_use]
    pub fn new(key: SealKey, mut known: Vec<TokenId>) -> Self {
        known.sort_unstable();
        known.dedup();
        Self { key, known }
    }

    /// Appends the secrets of a text, in their order. No two of them share a byte: of those that would, a known token
    /// goes before a shape, and a shape before a password in a URL.
    ///
    /// A token whose checksum shows that it was never issued is none, unless it is known.
    pub fn search(&self, text: &[u8], out: &mut Vec<Spot>) {
        for word in words(text) {
            let mut spots = Spots { searcher: self, text, of_word: Vec::new() };
            let read = [Some(word), behind_escape(text, word)];
            read.into_iter().flatten().for_each(|word| spots.known(word));
            read.into_iter().flatten().for_each(|word| spots.shaped(word));
            spots.userinfo(word);
            spots.of_word.sort_unstable_by_key(|spot| spot.bytes.start);
            out.append(&mut spots.of_word);
        }
    }

    /// Judges what others call a secret; `None` for a mask in its place.
    #[must_use]
    pub fn judge(&self, secret: &[u8]) -> Option<Spot> {
        let whole = self.spot(0..secret.len(), secret, Form::OPAQUE);
        if whole.is_known {
            return Some(whole);
        }
        let mut spots = Vec::new();
        self.search(secret, &mut spots);
        let known = spots.iter().position(|spot| spot.is_known).unwrap_or_default();
        if known < spots.len() {
            return Some(spots.swap_remove(known));
        }
        (!masked::is_masked(secret)).then_some(whole)
    }

    /// Returns the spot of a secret.
    fn spot(&self, bytes: Range<usize>, secret: &[u8], form: Form) -> Spot {
        let secret = Secret::new(secret);
        let id = self.key.seal(&secret);
        // What nothing is known of may be a password, or hold one.
        let is_open = form != Form::OPAQUE;
        let hint = form.prefix.filter(|_| is_open).map_or(HIDDEN, |prefix| mask(&secret, prefix));
        Spot { bytes, id, kind: form.kind, hint, is_known: self.is_known(id) }
    }

    fn is_known(&self, id: TokenId) -> bool {
        self.known.binary_search(&id).is_ok()
    }
}

/// The secrets of one word of a text.
struct Spots<'s> {
    searcher: &'s Searcher,
    text: &'s [u8],
    of_word: Vec<Spot>,
}

impl<'s> Spots<'s> {
    /// Adds the known tokens among a word and its parts: percent-encoded too, what is behind `key=` or `key:` whatever
    /// is in it, and `user:password` as basic authentication sends it (`curl -u`).
    fn known(&mut self, word: &'s [u8]) {
        if self.searcher.known.is_empty() {
            return;
        }
        let mut found = |part: &'s [u8]| {
            let secret = percent::decode(part);
            if self.searcher.is_known(self.searcher.key.seal(&Secret::new(&secret))) {
                self.add(part, &secret, form(&secret));
            }
        };
        if let (_, Some(value)) = split_at(word, |b| matches!(b, b'=' | b':'))
            && SHORTEST <= value.len()
        {
            found(value);
        }
        each_part(word, &mut found);
        let (_, value) = split_at(word, |b| b == b'=');
        for pair in [Some(word), value].into_iter().flatten().filter(|pair| pair.contains(&b':')) {
            if let Some(secret) = basic(pair)
                && self.searcher.is_known(self.searcher.key.seal(&Secret::new(&secret)))
            {
                self.add(pair, &secret, Form::BASIC);
            }
        }
    }

    /// Adds vendors' tokens and JSON web tokens.
    fn shaped(&mut self, word: &'s [u8]) {
        if !shape::may_hold(word) {
            return;
        }
        for token in shape::apart(word) {
            if let Some(Verdict::Secret(form)) = verdict(token, Need::Shape)
                && !form.is_malformed
            {
                self.add(token, token, form);
            }
        }
    }

    /// Adds `user:password` of each URL in a word, with the id that it has as basic authentication.
    fn userinfo(&mut self, word: &'s [u8]) {
        for at in memchr::memmem::find_iter(word, b"://") {
            self.authority(word.get(at + 3..).unwrap_or_default());
        }
    }

    /// Adds `user:password` at the beginning of a URL without its scheme.
    fn authority(&mut self, url: &'s [u8]) {
        let (authority, _) = split_at(url, |b| matches!(b, b'/' | b'?' | b'#'));
        let Some(at) = memchr::memrchr(b'@', authority) else { return };
        let userinfo = authority.get(..at).unwrap_or_default();
        let Some(pair) = basic(userinfo) else { return };
        let (_, password) = split_once(userinfo, b':');
        let is_secret =
            password.is_some_and(|text| SHORTEST <= text.len() && !is_placeholder(text));
        if is_secret || self.searcher.is_known(self.searcher.key.seal(&Secret::new(&pair))) {
            self.add(userinfo, &pair, Form::BASIC);
        }
    }

    /// Adds a secret that is at a part of the text, unless another one is there already.
    fn add(&mut self, part: &[u8], secret: &[u8], form: Form) {
        let from = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr());
        let bytes = from..from + part.len();
        let is_apart = |spot: &Spot| spot.bytes.end <= bytes.start || bytes.end <= spot.bytes.start;
        if self.of_word.iter().all(is_apart) {
            self.of_word.push(self.searcher.spot(bytes, secret, form));
        }
    }
}

/// Returns whether a password in a URL only stands for one, as in templates and manuals.
fn is_placeholder(password: &[u8]) -> bool {
    password.contains(&b'$')
        || password.starts_with(b"%")
        || password.eq_ignore_ascii_case(b"password")
}

/// Returns the form of a known token.
fn form(secret: &[u8]) -> Form {
    match verdict(secret, Need::Shape) {
        Some(Verdict::Secret(form)) => form,
        _ => Form::OPAQUE,
    }
}

/// Not part of any word.
const OUTSIDE: u8 = 0;
/// Part of every word.
const INSIDE: u8 = 4;

/// Ranks bytes by how seldom they are within a token. White space, quotes, brackets and what separates arguments are in
/// none; `=` only ends base64 and `:` is in few; `/` is in base64 alone; `.` is in JSON web tokens and other vendors'.
#[inline]
const fn rank(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'%' => INSIDE,
        b'.' | b'~' | b'+' => 3,
        b'/' => 2,
        b'=' | b':' | b'&' | b'?' | b'#' | b'@' | b'!' | b'$' | b'*' | b'^' => 1,
        _ => OUTSIDE,
    }
}

/// Returns whether a byte can be part of a word, so that a text must not be cut beside it.
#[must_use]
pub const fn is_of_word(byte: u8) -> bool {
    rank(byte) != OUTSIDE
}

/// Returns the words of a text. One that is too long is split once more, as a long query can be.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let of_length = |word: &&[u8]| SHORTEST <= word.len() && word.len() <= LONGEST_WORD;
    let whole = text.split(|b| rank(*b) == OUTSIDE).filter(|word| SHORTEST <= word.len());
    whole
        .flat_map(|word| {
            let is_long = LONGEST_WORD < word.len();
            word.split(move |b| is_long && rank(*b) == 1)
        })
        .filter(of_length)
}

/// Returns a word without what an escape sequence before it leaves there: the letter of `\n` in JSON and code, and the
/// end of a colour (`ESC [ 31 m`), as a terminal's output has it.
fn behind_escape<'t>(text: &'t [u8], word: &'t [u8]) -> Option<&'t [u8]> {
    let at = word.as_ptr().addr().saturating_sub(text.as_ptr().addr());
    let behind = match text.get(at.checked_sub(1)?)? {
        b'\\' => word
            .strip_prefix(b"n")
            .or_else(|| word.strip_prefix(b"r"))
            .or_else(|| word.strip_prefix(b"t")),
        b'[' | b';' => {
            let n_digits = word.iter().take_while(|b| b.is_ascii_digit()).count();
            word.get(n_digits..)?.strip_prefix(b"m")
        }
        _ => None,
    };
    behind.filter(|word| SHORTEST <= word.len())
}

/// Calls `found` with a word, without the dots around it, and with all its parts: split at what is seldom in tokens
/// first.
fn each_part<'t>(word: &'t [u8], found: &mut impl FnMut(&'t [u8])) {
    if word.len() < SHORTEST {
        return;
    }
    found(word);
    let bare = without_dots(word);
    if bare.len() < word.len() && SHORTEST <= bare.len() {
        found(bare);
    }
    let seldom = word.iter().map(|b| rank(*b)).min().unwrap_or(INSIDE);
    if seldom < INSIDE {
        word.split(|b| rank(*b) == seldom).for_each(|part| each_part(part, found));
    }
}

/// Returns a text without the dots of a sentence or an ellipsis.
fn without_dots(text: &[u8]) -> &[u8] {
    let is_dot = |b: &&u8| **b == b'.';
    let before = text.iter().take_while(is_dot).count();
    let after = text.iter().rev().take_while(is_dot).count();
    text.get(before..text.len().saturating_sub(after)).unwrap_or_default()
}

/// Splits at the first byte that `is_end` accepts.
fn split_at(text: &[u8], is_end: impl Fn(u8) -> bool) -> (&[u8], Option<&[u8]>) {
    match text.iter().position(|b| is_end(*b)) {
        Some(at) => (text.get(..at).unwrap_or_default(), text.get(at + 1..)),
        None => (text, None),
    }
}
