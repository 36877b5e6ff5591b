//! Writes the access log of an invented company, with attacks and mistakes in it, for `cargo bench --bench detection`.
//! `cargo bench --bench traffic -- SEED DIR`, or `just traffic SEED DIR`
//!
//! The same seed gives the same bytes. DIR then contains `access.log`, `labels.json`, `registry.csv`, `City.mmdb`,
//! `ASN.mmdb` and `tokenwatch.toml`. `habits.rs` defines the users, `attacks.rs` what goes wrong.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "a generator may fail, and counts"
)]

mod attacks;
mod habits;
#[path = "../../tests/scenarios/random.rs"]
mod random;
#[path = "../../src/atlas/sample.rs"]
mod sample;
#[path = "../../tests/scenarios/world.rs"]
mod world;
mod write;

use attacks::Attack;
use habits::{Token, World};
use random::Random;

/// Monday, 2 March 2026, in seconds since 1970. Summer time begins on the 29th, within the log.
pub(crate) const START: i64 = 1_772_409_600;
pub(crate) const DAY: i64 = 86_400;
pub(crate) const HOUR: i64 = 3_600;
pub(crate) const DAYS: i64 = 45;
const TOKENS: u64 = 120;

/// One request. Times are seconds from [`START`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) time: i64,
    pub(crate) place: usize,
    pub(crate) net: u64,
    pub(crate) host: u64,
    pub(crate) client: &'static str,
    /// Stands for the `{v}` of the client.
    pub(crate) version: u64,
    pub(crate) route: usize,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
}

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let (Some(seed), Some(directory)) = (arguments.next(), arguments.next()) else {
        println!("cargo bench --bench traffic -- SEED DIR");
        return;
    };
    let mut random = Random::named(&format!("traffic {seed}"));
    let world = World::new(&mut random);
    let mut tokens: Vec<Token> = (0..TOKENS).map(|n| Token::new(n, &world, &mut random)).collect();
    habits::live(&mut tokens, &world, &mut random);
    let mut attacks: Vec<Attack> = attacks::plan(&mut tokens, &world, &mut random);
    attacks.extend(attacks::guessing(&world, &mut random));
    write::all(directory.as_ref(), &world, &tokens, &attacks, &mut random).expect("DIR");
}
