//! `token-guessing`: somebody tries unknown tokens; `success-after-guessing`: and has found one.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::geo::Prefix;
use crate::engine::house::{Guesses, Manner, Success};
use crate::engine::profile::Placed;
use crate::engine::stats::Sketch;

use super::{Detector, Judgement, because, fact, rest, state, usual};

const NAME: &str = "token-guessing";
const FOUND: &str = "success-after-guessing";

pub(super) const GUESSING: Detector = Detector {
    name: NAME,
    about: "one source, or many of one kind, tried unknown tokens one after another, and the server refused them",
    facts: &[
        fact(
            "guessing.source",
            "/24, IPv6 /64; for many sources: /48, autonomous system, or client and route",
        ),
        fact("guessing.manner", "burst, day, slow or spread")
            .one_of(&["burst", "day", "slow", "spread"]),
        fact(
            "guessing.tokens",
            "different unknown tokens, estimated; those of one JWT subject count once",
        ),
        fact("guessing.tries", "requests with them"),
        fact("guessing.minutes", "minutes since the first of them"),
        fact("guessing.sources", "sources (/24, /64) that share them"),
        fact("guessing.known", "known tokens used from there meanwhile, if they were counted"),
        fact(
            "guessing.accepted",
            "tokens accepted meanwhile that were never used from there before",
        ),
    ],
    judge: Judgement::Site,
};

pub(super) const SUCCESS: Detector = Detector {
    name: FOUND,
    about: "a token was accepted from where tokens were guessed within six hours, and was never used from there before",
    facts: &[
        fact("guessed.tokens", "unknown tokens tried from there, estimated"),
        fact("guessed.tries", "requests with them"),
        fact("guessed.minutes", "minutes since the last of them"),
    ],
    judge: Judgement::House,
};

/// States the facts of guessing.
#[must_use]
pub fn guessed(guesses: &Guesses) -> Facts {
    let Guesses { source, tokens, tries, sources, known, accepted, .. } = guesses;
    let minutes = guesses.seconds / 60;
    let mut facts = Facts::default();
    state(&mut facts, "guessing.source", Value::Text(source.clone()));
    state(&mut facts, "guessing.manner", Value::Text(SmolStr::new_static(name(guesses.manner))));
    state(&mut facts, "guessing.tokens", Value::Int((*tokens).into()));
    state(&mut facts, "guessing.tries", Value::Int((*tries).into()));
    state(&mut facts, "guessing.minutes", Value::Int(minutes));
    state(&mut facts, "guessing.sources", Value::Int((*sources).into()));
    if let Some(known) = *known {
        state(&mut facts, "guessing.known", Value::Int(known.into()));
    }
    state(&mut facts, "guessing.accepted", Value::Int((*accepted).into()));
    if let Some(most) = guesses.usual {
        usual(&mut facts, "guessing.tokens", Value::Int(most.into()));
    }
    because(&mut facts, NAME, 0.0, sentence(guesses, minutes.max(1)));
    facts
}

/// Adds the facts of an accepted use from where tokens were guessed.
pub fn found(success: &Success, placed: &Placed<'_>, facts: &mut Facts) {
    let minutes = success.seconds / 60;
    state(facts, "guessed.tokens", Value::Int(success.tokens.into()));
    state(facts, "guessed.tries", Value::Int(success.tries.into()));
    state(facts, "guessed.minutes", Value::Int(minutes));
    usual(facts, "guessed.tokens", Value::Int(0));
    let from = placed.usage.client.map(|client| Prefix::of(client).to_string());
    let text = format!(
        "accepted from {}, where it was never used before and where {} unknown tokens were tried, the last {} min ago",
        from.unwrap_or_default(),
        about(success.tokens),
        minutes.max(1)
    );
    because(facts, FOUND, 0.0, text);
}

const fn name(manner: Manner) -> &'static str {
    match manner {
        Manner::Burst => "burst",
        Manner::Day => "day",
        Manner::Slow => "slow",
        Manner::Spread => "spread",
    }
}

fn sentence(guesses: &Guesses, minutes: i64) -> String {
    let Guesses { source, tries, sources, accepted, .. } = guesses;
    let tokens = about(guesses.tokens);
    let within = match minutes {
        ..120 => format!("{minutes} min"),
        _ => format!("{} h", minutes / 60),
    };
    let from = match guesses.manner {
        Manner::Spread => format!("{sources} sources of {source}"),
        Manner::Slow => format!("{source} at regular intervals"),
        Manner::Burst | Manner::Day => source.to_string(),
    };
    let usual = match guesses.usual {
        None => String::new(),
        Some(0) => ", usually none".to_owned(),
        Some(most) => format!(", usually {} at most", about(most)),
    };
    let mut text = format!(
        "{tokens} unknown tokens were tried in {tries} requests within {within} from {from}{usual}"
    );
    match accepted {
        0 => {}
        1 => text.push_str("; a token never used from there before was accepted meanwhile"),
        n => text.push_str(&format!(
            "; {n} tokens never used from there before were accepted meanwhile"
        )),
    }
    if guesses.manner == Manner::Spread {
        text.push_str("; for 24 h its sources are not reported one by one");
    }
    text + &rest(guesses.room)
}

/// Formats a number of tokens, which a sketch estimates; a full one counts no further.
fn about(tokens: u32) -> String {
    if tokens < Sketch::FULL { format!("about {tokens}") } else { format!("{tokens} or more") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::house::Room;

    #[test]
    fn what_five_sources_tried_was_measured_by_their_own_other_hours() {
        let guesses = Guesses {
            key: 1,
            source: "2001:db8:1::/48".into(),
            manner: Manner::Spread,
            tokens: 115,
            tries: 130,
            seconds: 18_000,
            sources: 5,
            known: None,
            accepted: 1,
            usual: None,
            room: Room::One,
        };
        let facts = guessed(&guesses);
        assert_eq!(facts.usual, []);
        assert!(!facts.values.iter().any(|(name, _)| *name == "guessing.known"));
        assert_eq!(
            facts.reasons[0].text,
            "about 115 unknown tokens were tried in 130 requests within 5 h from 5 sources of 2001:db8:1::/48; a token \
             never used from there before was accepted meanwhile; for 24 h its sources are not reported one by one"
        );
        let alone = guessed(&Guesses { usual: Some(0), known: Some(0), ..guesses });
        assert!(alone.reasons[0].text.contains("2001:db8:1::/48, usually none;"));
        assert!(alone.values.contains(&("guessing.known", Value::Int(0))));
    }
}
