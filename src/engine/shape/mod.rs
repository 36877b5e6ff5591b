//! Recognises tokens by their shape alone: vendors' prefixes and checksums, JSON web tokens, randomness.

mod check;
mod jwt;
mod kinds;
mod within;

pub use check::{entropy, is_random, most_bits};
pub use jwt::{Jwt, decode, jwt};
pub use kinds::{Kind, SHORTEST, vendor};
pub use within::{apart, may_hold, suspects};

use crate::engine::secret::TokenId;

/// Returns whether a word that is about to be shown has the shape of a token, or looks as random as one.
#[must_use]
pub fn is_secretive(word: &[u8]) -> bool {
    is_token_shaped(word) || check::is_random(word)
}

/// Returns whether a word has the shape of a token: a vendor's, a JSON web token's, or that of our own ids.
#[must_use]
pub fn is_token_shaped(word: &[u8]) -> bool {
    vendor(word).is_some()
        || jwt(word) != Jwt::Other
        || word.starts_with(TokenId::PREFIX.as_bytes())
}
