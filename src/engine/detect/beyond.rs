//! `scope-violation` and `mfa-missing`: a token is accepted for what its scopes do not permit, or for what takes a
//! second factor.

use smol_str::{SmolStr, format_smolstr};

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures};
use crate::engine::profile::{Many, Told};
use crate::engine::registry::Scope;

use super::words::listed;
use super::{
    Case, Detector,
    Judgement::{Exposure, Usage},
    because, fact, rest, state, usual,
};

const SCOPE_NAME: &str = "scope-violation";
const MFA_NAME: &str = "mfa-missing";

/// Facts, and the sorts of reports: by its name, `mfa-missing` would share that of another detector.
const SCOPE_REQUEST: &str = "scope.request";
const MFA_REQUEST: &str = "mfa.request";

pub(super) const SCOPE: Detector = Detector {
    name: SCOPE_NAME,
    about: "a token is accepted for a method or route that none of its registered scopes permits; once a day for each, the first five by name",
    facts: &[fact(SCOPE_REQUEST, "the method and the route")],
    judge: Usage(judge_scope),
};

pub(super) const MFA: Detector = Detector {
    name: MFA_NAME,
    about: "a token is accepted on a sensitive route, though its owner signed in without a second factor; once a day for each method and route, the first five by name; of tokens that are new here, twenty-one an hour",
    facts: &[
        fact(MFA_REQUEST, "the method and the route"),
        fact("mfa.according_to", "what says that there was no second factor: token or registry")
            .one_of(&["token", "registry"]),
    ],
    judge: Exposure(judge_mfa),
};

fn judge_scope(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let Some(row) = case.row else { return };
    let Some((method, route)) = served(case) else { return };
    if !row.forbids(method, route) {
        return;
    }
    let request = format_smolstr!("{method} {route}");
    let Some(many) = tell(case, told, SCOPE_REQUEST, &request) else { return };
    let permissions = row.scopes.iter().filter(|scope| scope.permitted().is_some());
    let permissions = listed(&permissions.collect::<Vec<&Scope>>());
    let further = further(many);
    let text =
        format!("accepted for {request}{further}, which none of its scopes permits: {permissions}");
    state(facts, SCOPE_REQUEST, Value::Text(request));
    usual(facts, SCOPE_REQUEST, Value::Text(permissions.into()));
    because(facts, SCOPE_NAME, 0.0, text);
}

fn judge_mfa(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    let sensitive = &case.params.sensitive;
    let Some(by) = word_of_one_factor(case) else { return };
    let Some((method, route)) = served(case) else { return };
    if !sensitive.iter().any(|requests| requests.contains(method, route)) {
        return;
    }
    let request = format_smolstr!("{method} {route}");
    let tell = |told: &mut Told| tell(case, told, MFA_REQUEST, &request);
    let Some((many, room)) = case.tell_in_room(told, (exposures, Exposed::Mfa), tell) else {
        return;
    };
    let whose = if by == "token" { "token itself" } else { by };
    let (further, rest) = (further(many), rest(room));
    let text = format!(
        "accepted for {request}{further} without a second factor, according to the {whose}{rest}"
    );
    state(facts, MFA_REQUEST, Value::Text(request));
    state(facts, "mfa.according_to", Value::Text(SmolStr::new_static(by)));
    because(facts, MFA_NAME, 0.0, text);
}

/// Returns what says that the owner signed in with one factor. A token knows its own sign-in better than the registry.
fn word_of_one_factor(case: &Case<'_>) -> Option<&'static str> {
    let by_registry = || case.row.and_then(|row| row.mfa) == Some(false);
    match case.placed.usage.claims.second_factor {
        Some(true) => None,
        Some(false) => Some("token"),
        None => by_registry().then_some("registry"),
    }
}

/// Returns method and route of a request that got what it asked for. A redirect gave nothing yet, and OPTIONS asks for
/// nothing but what may be asked.
fn served<'a>(case: &Case<'a>) -> Option<(&'a str, &'a str)> {
    let usage = case.placed.usage;
    let is_known = usage.method != "-" && usage.route.starts_with('/');
    let is_served = case.is_served() && is_known && usage.method != "OPTIONS";
    is_served.then_some((usage.method.as_str(), usage.route.as_str()))
}

/// All tokens of a principal count as one, and only the first few of its requests of a day are told by name: a client
/// that was given the wrong token uses it everywhere.
fn tell(case: &Case<'_>, told: &mut Told, sort: &str, request: &str) -> Option<Many> {
    let hours = case.params.repeat.beyond_hours;
    case.tell_one(told, sort, [&[], request.as_bytes()], hours)
}

const fn further(many: Many) -> &'static str {
    match many {
        Many::One(_) => "",
        Many::Further(_) => " and further requests",
    }
}
