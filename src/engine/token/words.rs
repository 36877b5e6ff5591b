//! Credentials in free text: user agents, and any text that is not the URL it should be.

use std::sync::LazyLock;

use memchr::memmem::Finder;

use super::url::{Place, uncluttered};
use super::{Need, Search, percent};
use crate::engine::secret::Bytes;
use crate::engine::shape;

/// The most words of one text that are searched.
const MAX_WORDS: usize = 64;

static BEARER: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"earer "));
static BASIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"asic "));

impl<'a> Search<'_, 'a> {
    /// Searches a user agent: URLs, parameters and tokens among its words, and `Bearer` and `Basic` with the word after
    /// them. Ordinary user agents contain none of their marks and cost almost nothing.
    pub(super) fn agent(&mut self, agent: &'a [u8]) {
        if memchr::memchr2(b'=', b'@', agent).is_some() || shape::may_hold(agent) {
            let mut before: &[u8] = b"";
            for word in words(agent) {
                // What follows a scheme is found with it.
                if !is_scheme(before) {
                    self.agent_word(word);
                }
                before = word;
            }
        }
        self.schemes(agent, Place::Agent);
    }

    fn agent_word(&mut self, word: &'a [u8]) {
        if memchr::memmem::find(word, b"://").is_some() || word.contains(&b'?') {
            self.url(word, Place::Agent);
        } else if word.contains(&b'=') {
            self.query(word, Place::Agent);
        } else {
            self.add(|| Place::Agent.query(b""), percent::decode(word), Need::Shape);
        }
    }

    /// Searches for `Bearer` and `Basic` with the word after them.
    pub(super) fn schemes(&mut self, text: &'a [u8], place: Place) {
        // Most targets and Referers have no space at all.
        let has_space = memchr::memchr(b' ', text).is_some();
        if !has_space || BEARER.find(text).is_none() && BASIC.find(text).is_none() {
            return;
        }
        let mut before: &[u8] = b"";
        for word in words(text) {
            if before.eq_ignore_ascii_case(b"bearer") {
                let value = Bytes::Line(uncluttered(word));
                self.add(|| place.query(b"bearer"), value, Need::Likely);
            } else if before.eq_ignore_ascii_case(b"basic") {
                self.basic(place.query(b"basic"), word);
            }
            before = word;
        }
    }
}

fn is_scheme(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"bearer") || word.eq_ignore_ascii_case(b"basic")
}

/// Splits at white space, quotes and brackets.
fn words(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_between = |b: &u8| *b <= b' ' || b"\"'()<>,".contains(b);
    text.split(is_between).filter(|word| !word.is_empty()).take(MAX_WORDS)
}
