//! `jwt-alg-none`: the server accepted a JWT that nobody signed.

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures};
use crate::engine::profile::Told;

use super::{Case, Detector, Judgement::Exposure, because, fact, rest, state};

const NAME: &str = "jwt-alg-none";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the server accepted a JWT whose header says `alg: none`, which anybody can write; once in thirty days for each source; of tokens that are new here, twenty-one a day",
    facts: &[fact(
        "unsigned.is_new",
        "whether its principal is new here: not registered, and not used on an earlier day",
    )
    .is_so()],
    judge: Exposure(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    if !case.placed.usage.claims.is_unsigned || !case.is_served() {
        return;
    }
    let tell = |told: &mut Told| case.tell_by_source(told, NAME, case.params.repeat.new_hours);
    // Whoever is known is always told of: with a room, made-up names that come back would hide a forged one.
    let Some((_, room)) = case.tell_in_room(told, (exposures, Exposed::Unsigned), tell) else {
        return;
    };
    state(facts, "unsigned.is_new", Value::Bool(case.is_new_here()));
    let rest = rest(room);
    let text =
        format!("accepted a JWT without a signature (alg: none), which anybody can write{rest}");
    because(facts, NAME, 0.0, text);
}

#[cfg(test)]
mod tests {
    use super::super::tests::{has, reasons, row};
    use crate::engine::alert::Value;
    use crate::engine::profile::tests::{Life, berlin, lagos, stolen, usage};
    use crate::engine::time::{DAY, HOUR, SECOND};
    use crate::engine::usage::{Claims, Usage};

    fn unsigned(usage: Usage) -> Usage {
        Usage { claims: Claims { is_unsigned: true, ..Claims::default() }, ..usage }
    }

    #[test]
    fn a_jwt_that_nobody_signed_is_told_when_the_server_accepts_it() {
        let is_told = |status| {
            let tried = Usage { status, ..unsigned(usage(0)) };
            has(&Life::default().judged(&tried, &berlin(), None), "unsigned.is_new")
        };
        assert!(is_told(Some(200)) && is_told(Some(204)) && is_told(Some(101)));
        assert!(
            !is_told(Some(401)) && !is_told(Some(404)) && !is_told(Some(503)) && !is_told(None)
        );
        assert!(!is_told(Some(308)), "many redirect to https before they look at a token");
        assert!(!has(&Life::default().judged(&usage(0), &berlin(), None), "unsigned.is_new"));
    }

    #[test]
    fn it_is_worse_if_its_principal_is_known() {
        let is_new = |mut life: Life, row| {
            let facts = life.judged(&unsigned(usage(5 * DAY)), &berlin(), row);
            facts.get("unsigned.is_new").cloned()
        };
        let (mut known, row) = (Life::default(), row());
        known.steady(5);
        assert_eq!(is_new(Life::default(), None), Some(Value::Bool(true)));
        assert_eq!(is_new(Life::default(), Some(&row)), Some(Value::Bool(false)));
        assert_eq!(is_new(known, None), Some(Value::Bool(false)));
    }

    #[test]
    fn it_is_told_once_a_source() {
        let mut life = Life::default();
        let mut judged =
            |usage, place| reasons(&life.judged(&unsigned(usage), &place, None), "jwt-alg-none");
        let text = "accepted a JWT without a signature (alg: none), which anybody can write";
        assert_eq!(judged(usage(0), berlin()), [text]);
        assert_eq!(judged(usage(HOUR), berlin()), [""; 0]);
        assert_eq!(judged(stolen(HOUR + SECOND), lagos()), [text]);
        assert_eq!(judged(usage(31 * DAY), berlin()), [text]);
    }
}
