//! Secrets that cannot be printed, the key that seals them, and the id that remains.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

use hmac::digest::common::Key;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use smol_str::{SmolStr, SmolStrBuilder};
use zeroize::{Zeroize, Zeroizing};

/// Bytes that may turn out to be a credential: borrowed from the line, or decoded and then wiped on drop.
///
/// They can be neither printed nor cloned, so searching for credentials leaves no copies behind.
pub enum Bytes<'a> {
    /// As in the line.
    Line(&'a [u8]),
    /// Decoded from percent or base64 encoding.
    Own(Zeroizing<Vec<u8>>),
}

impl Deref for Bytes<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Line(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// The raw bytes of a credential.
///
/// They cannot be printed, cloned or serialised; the only way out is [`Secret::expose`], which only the seal and the
/// redaction may call.
pub struct Secret<'a>(Bytes<'a>);

impl<'a> Secret<'a> {
    /// Wraps the bytes of a credential.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(Bytes::Line(bytes))
    }

    /// Returns the raw bytes. Callers are few and known: `grep expose`.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// Copies the bytes, to no longer borrow the line, into memory that is wiped on drop; needed if the "line" is
    /// itself a decoded text that is about to be wiped.
    pub(crate) fn into_owned(self) -> Secret<'static> {
        Secret(Bytes::Own(match self.0 {
            Bytes::Line(bytes) => Zeroizing::new(bytes.to_vec()),
            Bytes::Own(bytes) => bytes,
        }))
    }
}

impl<'a> From<Bytes<'a>> for Secret<'a> {
    fn from(bytes: Bytes<'a>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The block size of SHA-256 in bytes.
const BLOCK: usize = 64;

/// The site's key, which turns tokens into ids.
///
/// Holds the state of HMAC-SHA256 after the key block, so that sealing costs only two compressions.
#[derive(Clone)]
pub struct SealKey {
    secrets: Hmac<Sha256>,
    references: Hmac<Sha256>,
}

impl SealKey {
    /// Uses the key's bytes as they are: any length, as RFC 2104 allows.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        // Here the key is the message, not the key, so no id of a secret reveals anything about the result.
        let mut derived = keyed(b"tokenwatch: key of references, 1");
        derived.update(key);
        let mut derived = derived.finalize().into_bytes();
        let references = keyed(&derived);
        derived.zeroize();
        Self { secrets: keyed(key), references }
    }

    /// Returns the id of a secret: the first 16 bytes of HMAC-SHA256(key, secret).
    #[must_use]
    pub fn seal(&self, secret: &Secret<'_>) -> TokenId {
        let mut mac = self.secrets.clone();
        mac.update(secret.expose());
        finish(mac)
    }

    /// Returns the id of a token that is known only by a reference: `scheme` is the kind of reference (`jti`, `kid`),
    /// and `value` the reference itself.
    ///
    /// Uses a second key derived from the first, so a client cannot choose a secret whose id is that of a reference,
    /// nor a reference whose id is that of a secret.
    #[must_use]
    pub fn seal_reference(&self, scheme: &str, value: &Secret<'_>) -> TokenId {
        let mut mac = self.references.clone();
        mac.update(scheme.as_bytes());
        mac.update(&[0]);
        mac.update(value.expose());
        finish(mac)
    }
}

/// RFC 2104, section 2: keys longer than the block are hashed, shorter ones padded with zeros.
fn keyed(key: &[u8]) -> Hmac<Sha256> {
    let mut block = Key::<Hmac<Sha256>>::default();
    let mut fill = |key: &[u8]| block.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
    if key.len() <= BLOCK {
        fill(key);
    } else {
        let mut digest = Sha256::digest(key);
        fill(&digest);
        digest.zeroize();
    }
    let mac = Hmac::new(&block);
    block.zeroize();
    mac
}

fn finish(mac: Hmac<Sha256>) -> TokenId {
    let digest = mac.finalize().into_bytes();
    let mut id = [0; 16];
    id.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    TokenId(id)
}

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(..)")
    }
}

/// A token's id: `tw1_` and 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; 16]);

impl TokenId {
    /// The beginning of every printed id: the scheme's name and version.
    pub const PREFIX: &'static str = "tw1_";

    /// Returns the first eight bytes as an integer: enough to look up a token, but not to distinguish two.
    #[must_use]
    pub fn short(self) -> u64 {
        self.0.iter().take(8).fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
    }
}

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Formatted by hand in one pass: `{:032x}` divides 128 bits for each digit, and an alert has four ids.
        let mut text = *b"tw1_00000000000000000000000000000000";
        let (pairs, _) = text.as_chunks_mut::<2>();
        for (pair, byte) in pairs.iter_mut().skip(Self::PREFIX.len() / 2).zip(self.0) {
            *pair = [byte >> 4, byte & 0xf].map(hex_digit);
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

/// Returns the digit of a number below 16.
const fn hex_digit(number: u8) -> u8 {
    if number < 10 { b'0' + number } else { b'a' - 10 + number }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not a `tw1_` id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected tw1_ and 32 hex digits")]
pub struct NoTokenId;

impl FromStr for TokenId {
    type Err = NoTokenId;

    fn from_str(text: &str) -> Result<Self, NoTokenId> {
        let hex = text.strip_prefix(Self::PREFIX).ok_or(NoTokenId)?;
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NoTokenId);
        }
        let value = u128::from_str_radix(hex, 16).map_err(|_| NoTokenId)?;
        Ok(Self(value.to_be_bytes()))
    }
}

impl Serialize for TokenId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TokenId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = SmolStr::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Returns the part of a secret that may be shown: the vendor's prefix and the last four characters.
///
/// `prefix` is the number of leading bytes of a public prefix such as `ghp_`. At least eight characters stay hidden,
/// and secrets under 16 bytes show nothing.
#[must_use]
pub fn mask<'s>(secret: &'s Secret<'_>, prefix: usize) -> SmolStr {
    const SHORTEST_SHOWN: usize = 16;
    const TAIL: usize = 4;
    const HIDDEN: usize = 8;
    let bytes = secret.expose();
    // To the end in any case, which lets the compiler examine many at a time.
    let is_plain = bytes.iter().fold(true, |is_plain, byte| is_plain & byte.is_ascii_graphic());
    if bytes.len() < SHORTEST_SHOWN || !is_plain || bytes.len() < prefix + TAIL + HIDDEN {
        return SmolStr::new_static("...");
    }
    let text = |part: Option<&'s [u8]>| part.and_then(|part| std::str::from_utf8(part).ok());
    let mut hint = SmolStrBuilder::new();
    hint.push_str(text(bytes.get(..prefix)).unwrap_or_default());
    hint.push_str("...");
    hint.push_str(text(bytes.get(bytes.len() - TAIL..)).unwrap_or_default());
    hint.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// nginx (njs) and `HAProxy` computed this id from this key and this token.
    #[test]
    fn the_id_is_the_one_that_proxies_compute() {
        let key = SealKey::new(b"site-key-from-file");
        let id = key.seal(&Secret::new(b"sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz"));
        assert_eq!(id.to_string(), "tw1_e72ab087281c9e371d43de6784010c4e");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    /// Cases 2, 3 and 6 of RFC 4231, section 4.
    #[test]
    fn keys_shorter_and_longer_than_a_block_are_those_of_the_rfc() {
        let id = |key: &[u8], data| SealKey::new(key).seal(&Secret::new(data)).to_string();
        let short = id(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(short, "tw1_5bdcc146bf60754e6a042426089575c7");
        assert_eq!(id(&[0xaa; 20], &[0xdd; 50]), "tw1_773ea91e36800e46854db8ebd09181a7");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(id(&[0xaa; 131], long), "tw1_60e431591ee0b67f0d8a26aacbf5b77f");
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1] {
            let key = vec![7; length];
            let mut theirs = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            theirs.update(b"x");
            assert_eq!(id(&key, b"x"), finish(theirs).to_string(), "{length}");
        }
    }

    #[test]
    fn a_reference_never_has_the_id_of_a_secret() {
        let key = SealKey::new(b"site-key-from-file");
        let id = key.seal_reference("jti", &Secret::new(b"abc-123"));
        assert_ne!(id, key.seal_reference("kid", &Secret::new(b"abc-123")));
        assert_ne!(id, key.seal(&Secret::new(b"abc-123")));
        assert_ne!(id, key.seal(&Secret::new(b"jti\0abc-123")));
    }

    #[test]
    fn other_texts_are_no_ids() {
        for text in ["", "tw1_", "tw1_-", "tw1_e72ab087281c9e371d43de6784010c4", "e72ab087"] {
            assert_eq!(text.parse::<TokenId>(), Err(NoTokenId), "{text}");
        }
    }

    #[test]
    fn the_mask_shows_prefix_and_tail_only() {
        assert_eq!(mask(&Secret::new(b"ghp_abcdefghijklmnop4f2a"), 4), "ghp_...4f2a");
        assert_eq!(mask(&Secret::new(b"abcdefghijklmnop4f2a"), 0), "...4f2a");
        assert_eq!(mask(&Secret::new(b"hunter2"), 0), "...");
        assert_eq!(mask(&Secret::new(b"ghp_abcdefg4f2aa"), 12), "...");
    }

    #[test]
    fn nothing_prints_a_secret_or_the_key() {
        let shown = format!("{:?} {:?}", Secret::new(b"hunter2"), SealKey::new(b"hunter2"));
        assert_eq!(shown, "Secret(..) SealKey(..)");
    }
}
