//! The JSON of one alert, as `replay --json` and `run` print it, with names of the Elastic Common Schema.
//!
//! ```json
//! {"@timestamp":"2026-11-23T17:10:33Z","rule":{"id":"...","name":"impossible-travel","level":"high"},
//!  "incident":"...","id":"...","alert":"...",
//!  "token":{"id":"tw1_...","name":"ci","kind":"github-pat","hint":"ghp_..."},
//!  "principal":"ci","source":{"ip":"192.0.2.7","geo":{"country_iso_code":"NG","city_name":"Lagos"},
//!  "as":{"number":64500,"organization":{"name":"Example Broadband"}}},
//!  "route":"GET /v1/items","http":{"response":{"status_code":200}},"user_agent":{"name":"curl","version":"8"},
//!  "event":{"risk_score":88,"reason":"..."},"facts":{"travel.speed_kmh":9420},
//!  "usual":{"unusual.country":"DE"},"evidence":[{"file":"/var/log/access.log","offset":4711}]}
//! ```
//!
//! `id` and `alert` are the same: incidents have an `id`, and alerts had an `alert` first. What is unknown has no key.
//! `facts` and `usual` are flat: their keys are the facts' dotted names.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value as Json;

use crate::engine::alert::{Alert, TokenRef, Values};
use crate::engine::geo::Country;
use crate::engine::secret::TokenId;

use super::render::Files;

/// Returns an alert as JSON. `files` returns the paths of the evidence.
#[must_use]
pub fn alert_json(alert: &Alert, files: &Files<'_>) -> Json {
    serde_json::to_value(printed(alert, files)).unwrap_or_default()
}

/// Returns the same for direct serialisation, without an intermediate tree: replays print alerts by the ten thousand.
pub fn printed<'a>(alert: &'a Alert, files: &Files<'_>) -> impl Serialize + use<'a> {
    let rule = &alert.rule;
    let evidence = alert.evidence.iter();
    Printed {
        timestamp: alert.time.to_string(),
        alert: &alert.id,
        event: Event { reason: &alert.reason, risk_score: alert.risk },
        evidence: evidence
            .map(|origin| Evidence { file: files(origin.stream), offset: origin.offset })
            .collect(),
        facts: &alert.facts,
        http: alert.status.map(|status_code| Http { response: Response { status_code } }),
        id: &alert.id,
        incident: &alert.incident,
        principal: &alert.principal,
        route: &alert.route,
        rule: Rule { id: &rule.id, level: rule.level.as_str(), name: &rule.name },
        source: Source::of(alert),
        token: alert.token.as_ref().map(Token::of),
        user_agent: Client { name: &alert.agent.family, version: &alert.agent.version },
        usual: &alert.usual,
    }
}

/// An alert as it is printed. Here and below, keys are in alphabetical order.
#[derive(Serialize)]
struct Printed<'a> {
    #[serde(rename = "@timestamp")]
    timestamp: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    alert: &'a str,
    event: Event<'a>,
    evidence: Vec<Evidence>,
    facts: &'a Values,
    #[serde(skip_serializing_if = "Option::is_none")]
    http: Option<Http>,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    incident: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    principal: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    rule: Rule<'a>,
    #[serde(skip_serializing_if = "Source::is_unknown")]
    source: Source<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<Token<'a>>,
    #[serde(skip_serializing_if = "Client::is_unknown")]
    user_agent: Client<'a>,
    usual: &'a Values,
}

#[derive(Serialize)]
struct Event<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    risk_score: u8,
}

#[derive(Serialize)]
struct Evidence {
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    offset: u64,
}

#[derive(Serialize)]
struct Rule<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    level: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

#[derive(Serialize)]
struct Http {
    response: Response,
}

#[derive(Serialize)]
struct Response {
    status_code: u16,
}

/// The program that sent the request.
#[derive(Serialize)]
struct Client<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
}

impl Client<'_> {
    const fn is_unknown(&self) -> bool {
        self.name.is_empty() && self.version.is_empty()
    }
}

#[derive(Serialize)]
struct Token<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    hint: &'a str,
    id: TokenId,
    #[serde(skip_serializing_if = "str::is_empty")]
    kind: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

impl<'a> Token<'a> {
    fn of(token: &'a TokenRef) -> Self {
        Self { hint: &token.hint, id: token.id, kind: &token.kind, name: &token.name }
    }
}

/// Where the client is.
#[derive(Default, PartialEq, Serialize)]
struct Source<'a> {
    #[serde(rename = "as", skip_serializing_if = "Option::is_none")]
    network: Option<Network<'a>>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    forgeable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    geo: Option<Geo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip: Option<IpAddr>,
}

#[derive(Default, PartialEq, Serialize)]
struct Network<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Organization<'a>>,
}

#[derive(PartialEq, Serialize)]
struct Organization<'a> {
    name: &'a str,
}

#[derive(Default, PartialEq, Serialize)]
struct Geo<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    city_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    country_iso_code: Option<Country>,
}

impl<'a> Source<'a> {
    fn of(alert: &'a Alert) -> Self {
        let place = &alert.place;
        let name = place.organization.as_str();
        let organization = (!name.is_empty()).then_some(Organization { name });
        let network = Network { number: place.asn, organization };
        let geo = Geo { city_name: &place.city, country_iso_code: place.country };
        Self {
            network: Some(network).filter(|network| *network != Network::default()),
            forgeable: alert.is_forgeable,
            geo: Some(geo).filter(|geo| *geo != Geo::default()),
            ip: alert.client,
        }
    }

    fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::deliver::sample;
    use crate::engine::geo::Place;

    use super::*;

    #[test]
    fn an_alert_has_the_names_of_the_schema() {
        let json = alert_json(&sample::alert(), &sample::files);
        insta::assert_json_snapshot!(json);
    }

    #[test]
    fn what_is_unknown_has_no_key() {
        let mut alert = sample::alert();
        alert.client = None;
        alert.place = Place::default();
        alert.token.as_mut().unwrap().name = "".into();
        let json = alert_json(&alert, &|_| None);
        assert_eq!(json.get("source"), None);
        assert_eq!(json["token"].get("name"), None);
        assert_eq!(json["evidence"][0], json!({"offset": 4711}));
    }

    #[test]
    fn a_list_of_alerts_lacked_what_each_alert_alone_has() {
        let alert = Alert { route: "GET /v1/items".into(), status: Some(200), ..sample::alert() };
        let json = alert_json(&alert, &sample::files);
        assert_eq!((&json["id"], &json["alert"]), (&json!(alert.id), &json!(alert.id)));
        assert_eq!(
            (&json["route"], &json["http"]["response"]["status_code"]),
            (&json!("GET /v1/items"), &json!(200))
        );
        assert_eq!(json["user_agent"]["name"], json!(alert.agent.family));
        assert_eq!(json["token"]["hint"], json!(alert.token.unwrap().hint));
    }

    #[test]
    fn an_alert_about_a_log_has_no_token() {
        let alert = Alert { token: None, ..sample::alert() };
        assert_eq!(alert_json(&alert, &sample::files).get("token"), None);
    }

    #[test]
    fn what_is_printed_is_what_commands_return() {
        let mut alert = sample::alert();
        for _ in 0..2 {
            let text = serde_json::to_string(&printed(&alert, &sample::files)).unwrap();
            assert_eq!(text, alert_json(&alert, &sample::files).to_string());
            alert = Alert::default();
        }
    }

    #[test]
    fn one_alert_is_one_line() {
        let mut alert = sample::alert();
        alert.reason = "a\r\nb\u{2028}".into();
        assert!(!alert_json(&alert, &sample::files).to_string().contains(['\n', '\r']));
    }
}
