//! `insecure-transport`: a token crossed the wire in clear, or under a cipher that can be broken.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures};
use crate::engine::profile::{Many, Told};
use crate::engine::usage::Transport;

use super::{Case, Detector, Judgement::Exposure, because, fact, rest, state};

const NAME: &str = "insecure-transport";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token is sent over plain HTTP or TLS below 1.2; once a day for each client and answer, of a principal's registered tokens five by name; of tokens that are new here, twenty-one an hour",
    facts: &[
        fact("transport.scheme", "http or old-tls").one_of(&["http", "old-tls"]),
        fact(
            "transport.accepted",
            "whether the server accepted the token; a redirect comes too late",
        )
        .is_so(),
        fact("transport.again", "whether the same was reported within the last week").is_so(),
    ],
    judge: Exposure(judge),
};

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    let usage = case.placed.usage;
    let (scheme, words) = match usage.transport {
        Transport::Plain => ("http", "over plain HTTP"),
        Transport::Ssl => ("old-tls", "over SSL, older than TLS 1.2"),
        Transport::Tls10 => ("old-tls", "over TLS 1.0, older than 1.2"),
        Transport::Tls11 => ("old-tls", "over TLS 1.1, older than 1.2"),
        Transport::Unknown | Transport::Tls => return,
    };
    let is_accepted = case.is_served();
    // An earlier refusal must not suppress a later acceptance.
    let answer: &[u8] = if is_accepted { b"accepted" } else { b"refused" };
    let client = usage.agent.family.as_bytes();
    let how = [scheme.as_bytes(), b" ", answer, b" ", client].concat();
    let hours = case.params.repeat.exposed_hours;
    let tell = |told: &mut Told| case.tell_one(told, NAME, [&how, case.series()], hours);
    let Some((many, room)) = case.tell_in_room(told, (exposures, Exposed::Insecure), tell) else {
        return;
    };
    let further = match many {
        Many::One(_) => "",
        Many::Further(_) => ", as are further tokens of its principal",
    };
    state(facts, "transport.scheme", Value::Text(SmolStr::new_static(scheme)));
    state(facts, "transport.accepted", Value::Bool(is_accepted));
    // Not by token: with five named each day, those of a later day would all be news.
    let is_again = case.is_reminder(told, NAME, &[&how]);
    state(facts, "transport.again", Value::Bool(is_again));
    let still = if is_again { "still " } else { "" };
    because(facts, NAME, 0.0, format!("{still}sent {words}{further}{}", rest(room)));
}
