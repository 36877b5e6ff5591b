//! `expired-token-accepted`: the server accepted a token after its end.

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures, Room};
use crate::engine::profile::{Told, section};

use super::words::span_of;
use super::{Case, Detector, Judgement::Exposure, because, fact, rest, state, usual};

const NAME: &str = "expired-token-accepted";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the server accepted a token after its expiry, by the token itself (exp) or the registry; of tokens that are new here, twenty-one an hour; of those that are not registered, within ten minutes of their own exp, twenty-one in thirty days",
    facts: &[fact("expired.seconds", "seconds since the token's end")],
    judge: Exposure(judge),
};

section! {
    /// When an expired token is one.
    Expired = "expired" {
        /// How long after its end a token may still be accepted.
        grace_seconds = 60.0, "s", "clock leeway of JWT libraries; jsonwebtoken 60";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    if !case.is_ok() {
        return; // a stale client that is refused is the most common 401 there is
    }
    let grace = case.params.expired.grace_seconds;
    let claimed = case.seconds_after(case.placed.usage.claims.expires_at, grace);
    let registered = case.seconds_after(case.row.and_then(|row| row.expires_at), grace);
    let Some(seconds) = claimed.max(registered) else { return };
    let Some(room) = room_for(case, told, exposures, (seconds, registered.is_some())) else {
        return;
    };
    let whose = if claimed >= registered { "token itself" } else { "registry" };
    state(facts, "expired.seconds", Value::Int(seconds));
    usual(facts, "expired.seconds", Value::Int(0));
    let ago = span_of(seconds);
    let (length, rest) = (case.length(), rest(room));
    let text = format!("accepted {ago} after it expired, according to the {whose}{length}{rest}");
    because(facts, NAME, 0.0, text);
}

/// The seconds after its end within which a server that accepts a JWT does so by a leeway: RFC 7519 allows "some small
/// leeway, usually no more than a few minutes", and .NET's default is five.
pub const LEEWAY: i64 = 600;

/// Returns the room for a report about a use so long after the end, if it is to be reported. Many servers accept every
/// JWT some minutes too long: that is reported once in thirty days by principal, and of the first few principals only,
/// since it says something about the server; a JWT that is used much later, at once.
fn room_for(
    case: &Case<'_>,
    told: &mut Told,
    exposures: &mut Exposures,
    (seconds, is_registered): (i64, bool),
) -> Option<Room> {
    let repeat = &case.params.repeat;
    let (kind, hours) = match is_registered {
        true => (NAME.to_owned(), repeat.dead_hours),
        false => (format!("{NAME} {}", seconds.ilog10()), repeat.new_hours),
    };
    let is_leeway = seconds <= LEEWAY && case.row.is_none();
    let of = match case.is_new_here() {
        true => Some(Exposed::Expired),
        false => is_leeway.then_some(Exposed::Leeway),
    };
    let tell = |told: &mut Told| case.tell_by_source(told, &kind, hours);
    case.tell_one_of(told, (exposures, of), tell).map(|(_, room)| room)
}
