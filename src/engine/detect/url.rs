//! `token-in-url` and `token-in-referer`: a token appears where logs, histories and proxies keep it.

use smol_str::SmolStr;

use crate::engine::alert::{Facts, Value};
use crate::engine::house::{Exposed, Exposures, Room};
use crate::engine::profile::{Many, Told};
use crate::engine::usage::Carrier;

use super::{Case, Detector, Judgement::Exposure, because, fact, rest, state};

const NAME: &str = "token-in-url";
const REFERER_NAME: &str = "token-in-referer";

pub(super) const DETECTOR: Detector = Detector {
    name: NAME,
    about: "a token is in the query, the path or the user part of a URL; once a day for each route and parameter, the first five by name; of tokens that are new here, twenty-one an hour",
    facts: &[
        fact("url.carrier", "query, path or userinfo").one_of(&["query", "path", "userinfo"]),
        fact("url.parameter", "the parameter's name; empty for userinfo"),
        fact("url.route", "the route"),
        fact("url.accepted", "whether the server accepted the token").is_so(),
        fact("url.count", "uses since the last alert, this one included"),
        fact("url.again", "whether the same was reported within the last week").is_so(),
    ],
    judge: Exposure(judge),
};

pub(super) const REFERER: Detector = Detector {
    name: REFERER_NAME,
    about: "a token is in the Referer: the previous page had it in its URL",
    facts: &[
        fact("referer.parameter", "the parameter's name"),
        fact("referer.route", "the requested route"),
    ],
    judge: Exposure(judge_referer),
};

fn judge(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    let usage = case.placed.usage;
    let (carrier, parameter) = match &usage.carrier {
        Carrier::Query(name) => ("query", name.clone()),
        Carrier::Path(name) => ("path", name.clone()),
        Carrier::Userinfo => ("userinfo", SmolStr::default()),
        _ => return,
    };
    let room = (exposures, Exposed::Url);
    let Some(news) = tell(case, told, room, NAME, &parameter) else { return };
    let (Many::One(before) | Many::Further(before)) = news.many;
    state(facts, "url.carrier", Value::Text(SmolStr::new_static(carrier)));
    state(facts, "url.parameter", Value::Text(parameter.clone()));
    state(facts, "url.route", Value::Text(usage.route.clone()));
    state(facts, "url.accepted", Value::Bool(case.is_ok()));
    state(facts, "url.count", Value::Int(i64::from(before) + 1));
    let answer: &[u8] = if case.is_ok() { b"accepted" } else { b"refused" };
    let is_again = case.is_reminder(told, NAME, &[case.series(), parameter.as_bytes(), answer]);
    state(facts, "url.again", Value::Bool(is_again));
    let place = match carrier {
        "userinfo" => "user part of the URL".to_owned(),
        _ => format!("{carrier} parameter {parameter}"),
    };
    let (route, further, rest) = (&usage.route, news.further(), rest(news.room));
    let still = if is_again { "still " } else { "" };
    let text = format!("token {still}in the {place} of {route}{further}, where logs keep it{rest}");
    because(facts, NAME, 0.0, text);
}

fn judge_referer(case: &Case<'_>, told: &mut Told, exposures: &mut Exposures, facts: &mut Facts) {
    let usage = case.placed.usage;
    let Carrier::Referer(parameter) = &usage.carrier else { return };
    let room = (exposures, Exposed::Referer);
    let Some(news) = tell(case, told, room, REFERER_NAME, parameter) else { return };
    state(facts, "referer.parameter", Value::Text(parameter.clone()));
    state(facts, "referer.route", Value::Text(usage.route.clone()));
    let (route, further, rest) = (&usage.route, news.further(), rest(news.room));
    let text =
        format!("token in parameter {parameter} of the Referer, sent to {route}{further}{rest}");
    because(facts, REFERER_NAME, 0.0, text);
}

/// What to report about an exposure.
struct News {
    /// Of its principal.
    many: Many,
    /// Of all that are new here.
    room: Room,
}

impl News {
    const fn further(&self) -> &'static str {
        match self.many {
            Many::One(_) => "",
            Many::Further(_) => " and further routes",
        }
    }
}

/// Reports once per route and parameter, and only the first few of a day by name: a token sent in every URL would
/// flood, and so would hourly JWTs. All tokens of a principal count as one.
fn tell(
    case: &Case<'_>,
    told: &mut Told,
    (exposures, of): (&mut Exposures, Exposed),
    kind: &str,
    parameter: &str,
) -> Option<News> {
    let route = case.placed.usage.route.as_bytes();
    let what = [parameter.as_bytes(), b" ", route].concat();
    let hours = case.params.repeat.exposed_hours;
    let tell = |told: &mut Told| case.tell_one(told, kind, [&[], &what], hours);
    let (many, room) = case.tell_in_room(told, (exposures, of), tell)?;
    Some(News { many, room })
}
