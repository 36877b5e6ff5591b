//! `token-in-url` and `token-in-referer`: a token appears where logs, histories and proxies keep it.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::profile::{Many, Told};
use crate::engine::usage::Carrier;

use super::{Case, Detector, Judgement::Usage, because, fact, state};

const NAME: &str = "token-in-url";
const REFERER_NAME: &str = "token-in-referer";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token is in the query, the path or the user part of a URL; once a day for each route and parameter, the first five by name",
    facts: &[
        fact("url.carrier", "query, path or userinfo"),
        fact("url.parameter", "the parameter's name; empty for userinfo"),
        fact("url.route", "the route"),
        fact("url.accepted", "whether the server accepted the token"),
        fact("url.count", "uses since the last alert, this one included"),
    ],
    judge: Usage(judge),
};

pub(super) const REFERER: Detector = Detector {
    name: REFERER_NAME,
    about: "a token is in the Referer: the previous page had it in its URL",
    facts: &[
        fact("referer.parameter", "the parameter's name"),
        fact("referer.route", "the requested route"),
    ],
    judge: Usage(judge_referer),
};

fn judge(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let usage = case.placed.usage;
    let (carrier, parameter) = match &usage.carrier {
        Carrier::Query(name) => ("query", name.clone()),
        Carrier::Path(name) => ("path", name.clone()),
        Carrier::Userinfo => ("userinfo", SmolStr::default()),
        _ => return,
    };
    let Some(news) = tell(case, told, NAME, &parameter) else { return };
    let (Many::One(before) | Many::Further(before)) = news;
    state(facts, "url.carrier", Value::Text(SmolStr::new_static(carrier)));
    state(facts, "url.parameter", Value::Text(parameter.clone()));
    state(facts, "url.route", Value::Text(usage.route.clone()));
    state(facts, "url.accepted", Value::Bool(case.is_ok()));
    state(facts, "url.count", Value::Int(i64::from(before) + 1));
    let place = match carrier {
        "userinfo" => "user part of the URL".to_owned(),
        _ => format!("{carrier} parameter {parameter}"),
    };
    because(
        facts,
        NAME,
        0.0,
        format!("token in the {place} of {}{}, where logs keep it", usage.route, further(news)),
    );
}

fn judge_referer(case: &Case<'_>, told: &mut Told, facts: &mut Facts) {
    let usage = case.placed.usage;
    let Carrier::Referer(parameter) = &usage.carrier else { return };
    let Some(news) = tell(case, told, REFERER_NAME, parameter) else { return };
    state(facts, "referer.parameter", Value::Text(parameter.clone()));
    state(facts, "referer.route", Value::Text(usage.route.clone()));
    let (route, further) = (&usage.route, further(news));
    let text = format!("token in parameter {parameter} of the Referer, sent to {route}{further}");
    because(facts, REFERER_NAME, 0.0, text);
}

const fn further(news: Many) -> &'static str {
    match news {
        Many::One(_) => "",
        Many::Further(_) => " and further routes",
    }
}

/// Reports once per route and parameter, and only the first few of a day by name: a token sent in every URL would
/// flood, and so would hourly JWTs. All tokens of a principal count as one.
fn tell(case: &Case<'_>, told: &mut Told, kind: &str, parameter: &str) -> Option<Many> {
    let route = case.placed.usage.route.as_bytes();
    let what = [parameter.as_bytes(), b" ", route].concat();
    case.tell_one(told, kind, [&[], &what], case.params.repeat.exposed_hours)
}
