//! `weak-token`: a token in use is too short to be hard to guess.

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures};
use crate::engine::profile::{Told, section};

use super::{Case, Detector, Judgement::Exposure, because, fact, rest, state};

const NAME: &str = "weak-token";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token of no known format that is accepted is too short for its characters to be hard to guess; once in thirty days; of tokens that are not registered, twenty-one in thirty days, those that are new here apart",
    facts: &[fact("weak.bits", "the most bits that it can have, by its length and characters")],
    judge: Exposure(judge),
};

section! {
    /// When a token is too short.
    Weak = "weak" {
        /// Bits that a token must be able to have; those beyond 128 are not counted.
        min_bits = 112.0, "bits", "NIST SP 800-131A: least security strength; OWASP ASVS 7.2.3 asks for 128, but a random UUID has 122";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    let usage = case.placed.usage;
    let is_few = |bits: &u8| f64::from(*bits) < case.params.weak.min_bits;
    let Some(bits) = usage.most_bits.filter(is_few).filter(|_| usage.is_accepted()) else { return };
    let tell = |told: &mut Told| case.tell(told, NAME, &[], case.params.repeat.new_hours);
    // Whoever makes them makes all alike, and a public page answers words that are no tokens at all.
    let of = match case.is_new_here() {
        true => Some(Exposed::Short),
        false => case.row.is_none().then_some(Exposed::Weak),
    };
    let Some((_, room)) = case.tell_one_of(told, (exposures, of), tell) else { return };
    state(facts, "weak.bits", Value::Int(bits.into()));
    let text =
        format!("a token of {bits} bits at most, by its length and characters{}", rest(room));
    because(facts, NAME, 0.0, text);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, reasons};
    use crate::engine::alert::Value;
    use crate::engine::profile::tests::{Life, berlin, usage};
    use crate::engine::secret::TokenId;
    use crate::engine::time::{DAY, HOUR};
    use crate::engine::usage::Usage;

    #[test]
    fn a_token_below_the_least_strength_is_told_when_it_is_accepted() {
        let bits = |most_bits, status| {
            let used = Usage { most_bits, status, ..usage(0) };
            Life::default().judged(&used, &berlin(), None).get("weak.bits").cloned()
        };
        assert_eq!(bits(Some(111), Some(200)), Some(Value::Int(111)));
        assert_eq!(bits(Some(26), None), Some(Value::Int(26)));
        assert_eq!(bits(Some(112), Some(200)), None);
        assert_eq!(bits(None, Some(200)), None);
        for refused in [302, 401, 404, 500] {
            assert_eq!(bits(Some(26), Some(refused)), None, "{refused}");
        }
    }

    #[test]
    fn it_is_told_once_a_month_of_all_tokens_of_a_principal() {
        let mut life = Life::default();
        let mut is_told = |at: i64, token: u8| {
            let used = Usage { most_bits: Some(53), token: TokenId([token; 16]), ..usage(at) };
            has(&life.judged(&used, &berlin(), None), "weak.bits")
        };
        assert!(is_told(0, 1) && !is_told(HOUR, 1) && !is_told(DAY, 2) && !is_told(29 * DAY, 1));
        assert!(is_told(30 * DAY, 3));
    }

    #[test]
    fn the_sentence_says_how_it_is_known() {
        let used = Usage { most_bits: Some(53), ..usage(0) };
        let facts = Life::default().judged(&used, &berlin(), None);
        let text = "a token of 53 bits at most, by its length and characters";
        assert_eq!(reasons(&facts, "weak-token"), [text]);
    }
}
