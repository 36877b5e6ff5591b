//! `expired-token-accepted`: the server accepted a token after its end.

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Told, section};

use super::words::span;
use super::{Case, Detector, Judgement::Usage, because, fact, state, usual};

const NAME: &str = "expired-token-accepted";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "the server accepted a token after its expiry, by the token itself (exp) or the registry",
    facts: &[fact("expired.seconds", "seconds since the token's end")],
    judge: Usage(judge),
};

section! {
    /// When an expired token is one.
    Expired = "expired" {
        /// How long after its end a token may still be accepted.
        grace_seconds = 60.0, "s", "clock leeway of JWT libraries; jsonwebtoken 60";
    }
}

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    if !case.is_ok() {
        return; // a stale client that is refused is the most common 401 there is
    }
    let grace = case.params.expired.grace_seconds;
    let claimed = case.seconds_after(case.placed.usage.claims.expires_at, grace);
    let registered = case.seconds_after(case.row.and_then(|row| row.expires_at), grace);
    let Some(seconds) = claimed.max(registered) else { return };
    if !is_news(case, told, seconds, registered.is_some()) {
        return;
    }
    let whose = if claimed >= registered { "token itself" } else { "registry" };
    state(facts, "expired.seconds", Value::Int(seconds));
    usual(facts, "expired.seconds", Value::Int(0));
    let ago = span(u32::try_from(seconds).unwrap_or(u32::MAX).into());
    because(facts, NAME, 0.0, format!("accepted {ago} after it expired, according to the {whose}"));
}

/// Returns whether a use so long after the end is to be reported. Many servers accept every JWT some minutes too long
/// (.NET's default leeway is five): that is reported once a week by principal; a JWT that is used much later, at once.
fn is_news(case: &Case<'_>, told: &mut Told, seconds: i64, is_registered: bool) -> bool {
    let repeat = &case.params.repeat;
    let (kind, hours) = match is_registered {
        true => (NAME.to_owned(), repeat.dead_hours),
        false => (format!("{NAME} {}", seconds.ilog10()), repeat.new_hours),
    };
    case.tell_by_source(told, &kind, hours).is_some()
}
