//! The JSON of one alert, as `replay --json` and `run` print it: names of the Elastic Common Schema.
//!
//! ```json
//! {"@timestamp":"2026-11-23T17:10:33Z","rule":{"id":"...","name":"impossible-travel","level":"high"},
//!  "incident":"...","alert":"...","token":{"id":"tw1_...","name":"ci","kind":"github-pat"},
//!  "principal":"ci","source":{"ip":"192.0.2.7","geo":{"country_iso_code":"NG","city_name":"Lagos"},
//!  "as":{"number":64500,"organization":{"name":"Example Broadband"}}},
//!  "event":{"risk_score":88,"reason":"..."},"facts":{"travel.speed_kmh":9420},
//!  "usual":{"unusual.country":"DE"},"evidence":[{"file":"/var/log/access.log","offset":4711}]}
//! ```
//!
//! What is unknown has no key. `facts` and `usual` are flat: their keys are the facts' dotted names.

use serde_json::{Map, Value as Json, json};

use crate::engine::alert::Alert;
use crate::engine::geo::Place;

use super::render::Files;

/// Returns an alert as JSON. `files` knows the paths of the evidence.
#[must_use]
pub fn alert_json(alert: &Alert, files: &Files<'_>) -> Json {
    let evidence = alert.evidence.iter().map(|origin| {
        let offset = Some(json!(origin.offset));
        object([("file", files(origin.stream).map(Json::from)), ("offset", offset)])
    });
    object([
        ("@timestamp", Some(json!(alert.time.to_string()))),
        (
            "rule",
            Some(object([
                ("id", text(&alert.rule.id)),
                ("name", text(&alert.rule.name)),
                ("level", text(alert.rule.level.as_str())),
            ])),
        ),
        ("incident", text(&alert.incident)),
        ("alert", text(&alert.id)),
        (
            "token",
            alert.token.as_ref().map(|token| {
                object([
                    ("id", text(&token.id.to_string())),
                    ("name", text(&token.name)),
                    ("kind", text(&token.kind)),
                ])
            }),
        ),
        ("principal", text(&alert.principal)),
        ("source", filled(source(alert))),
        (
            "event",
            Some(object([
                ("risk_score", Some(json!(alert.risk))),
                ("reason", text(&alert.reason)),
            ])),
        ),
        ("facts", Some(json!(alert.facts))),
        ("usual", Some(json!(alert.usual))),
        ("evidence", Some(evidence.collect())),
    ])
}

fn source(alert: &Alert) -> Json {
    let Place { country, city, asn, organization, .. } = &alert.place;
    let geo = object([
        ("country_iso_code", country.map(|country| json!(country.as_str()))),
        ("city_name", text(city)),
    ]);
    let operator = object([("name", text(organization))]);
    let network =
        object([("number", asn.map(|asn| json!(asn))), ("organization", filled(operator))]);
    let ip = alert.client.map(|client| json!(client.to_string()));
    let forgeable = alert.is_forgeable.then_some(json!(true));
    object([("ip", ip), ("forgeable", forgeable), ("geo", filled(geo)), ("as", filled(network))])
}

fn object<const N: usize>(fields: [(&str, Option<Json>); N]) -> Json {
    let known = fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Json::Object(known.collect::<Map<_, _>>())
}

fn text(text: &str) -> Option<Json> {
    (!text.is_empty()).then(|| json!(text))
}

fn filled(value: Json) -> Option<Json> {
    value.as_object().is_some_and(|fields| !fields.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
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
    fn an_alert_about_a_log_has_no_token() {
        let alert = Alert { token: None, ..sample::alert() };
        assert_eq!(alert_json(&alert, &sample::files).get("token"), None);
    }

    #[test]
    fn one_alert_is_one_line() {
        let mut alert = sample::alert();
        alert.reason = "a\r\nb\u{2028}".into();
        assert!(!alert_json(&alert, &sample::files).to_string().contains(['\n', '\r']));
    }
}
