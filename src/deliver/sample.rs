//! An incident of made-up alerts, for the tests of this folder.

use std::sync::LazyLock;

use smol_str::SmolStr;

use crate::deliver::render::Host;
use crate::engine::alert::{Alert, Incident, Level, Reason, RuleRef, TokenRef, Value};
use crate::engine::geo::{Country, NetworkKind, Place, Point};
use crate::engine::line::StreamId;
use crate::engine::registry::{Background, Mark};
use crate::engine::secret::TokenId;
use crate::engine::time::{MINUTE, Timestamp};
use crate::engine::usage::{Agent, Origin};
use crate::engine::word::Brought;

/// Monday, 23 November 2026, 17:10:33 UTC.
pub(super) const NOW: Timestamp = Timestamp(1_795_453_833_000_000);

pub(super) static HOST: LazyLock<Host> = LazyLock::new(|| named("log1.example.org"));

/// A host whose program uses the default configuration and state.
pub(super) fn named(name: &str) -> Host {
    Host { name: name.to_owned(), program: "tokenwatch".to_owned() }
}

pub(super) fn files(stream: StreamId) -> Option<String> {
    (stream == StreamId(1)).then(|| "/var/log/nginx/access.log".to_owned())
}

fn reason(nats: f32, text: &str) -> Reason {
    Reason { kind: "unusual-use".into(), nats, text: text.into(), ..Reason::default() }
}

/// The score of a new country and a new network.
pub(super) fn alert() -> Alert {
    let facts = [
        ("unusual.score", Value::Float(8.72)),
        ("unusual.country", Value::Float(5.11)),
        ("unusual.network", Value::Float(2.4)),
        ("unusual.hour", Value::Float(1.21)),
    ];
    let usual = [
        ("unusual.country", Value::Text("DE, NL".into())),
        ("unusual.network", Value::Text("AS64496".into())),
    ];
    let named = |(name, value): (&str, Value)| (SmolStr::new(name), value);
    Alert {
        id: "al_0011223344556677".into(),
        incident: "in_2c5ea4c0f00dcafe".into(),
        time: NOW,
        rule: RuleRef {
            id: "5b1c9f0e-0000-4000-8000-000000000006".into(),
            name: "unusual-use".into(),
            level: Level::High,
            title: "Token used in an unusual way".into(),
        },
        token: Some(TokenRef {
            id: TokenId([0xe7; 16]),
            name: "ci-deploy".into(),
            kind: "github-pat".into(),
            hint: "ghp_...4f2a".into(),
        }),
        principal: "ci-deploy".into(),
        client: Some("203.0.113.7".parse().unwrap()),
        is_forgeable: false,
        place: Place {
            country: Country::parse("NG"),
            city: "Lagos".into(),
            point: Some(Point { latitude: 6.45, longitude: 3.39, radius_km: 20.0 }),
            asn: Some(64500),
            organization: "Example Broadband".into(),
            network: Some(NetworkKind::Mobile),
        },
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        route: "GET /v1/items/{id}".into(),
        status: Some(200),
        risk: 76,
        reason: "country NG, never seen in 41 active days, and 2 further signs".into(),
        reasons: vec![
            reason(5.11, "country NG, never seen in 41 active days"),
            reason(2.4, "network AS64500 Example Broadband, never seen in 41 active days"),
            reason(1.21, "17:00 UTC, rarely used at this hour on working days"),
        ],
        facts: facts.into_iter().map(named).collect(),
        usual: usual.into_iter().map(named).collect(),
        evidence: vec![Origin { stream: StreamId(1), offset: 4711 }],
        brought: Brought::default(),
    }
}

/// A milder alert of the same incident, ten minutes before.
pub(super) fn earlier() -> Alert {
    Alert {
        id: "al_8899aabbccddeeff".into(),
        time: NOW.plus(-10 * MINUTE),
        rule: RuleRef {
            name: "new-country".into(),
            level: Level::Low,
            title: "First use from a country".into(),
            ..RuleRef::default()
        },
        risk: 20,
        reason: "country NG, never seen in 41 active days".into(),
        ..alert()
    }
}

pub(super) fn incident() -> Incident {
    Incident {
        id: "in_2c5ea4c0f00dcafe".into(),
        principal: "ci-deploy".into(),
        opened: NOW.plus(-10 * MINUTE),
        last: NOW,
        level: Level::High,
        revision: 1,
        alerts: 2,
    }
}

/// What an attacker would like to see in a mail.
pub(super) const HOSTILE: &str = "x\r\nBcc: evil@example.org\r\n\r\n<script>alert(1)</script>\"'&\u{202e}gpj.exe\u{1b}[2Jhttps://evil.example";

/// The alert with hostile text in everything that comes from a log, a token or an atlas.
pub(super) fn hostile() -> Alert {
    let text = || SmolStr::new(HOSTILE);
    let values = || std::iter::once((text(), Value::Text(text()))).collect();
    Alert {
        id: text(),
        incident: text(),
        rule: RuleRef { id: text(), name: text(), level: Level::Critical, title: text() },
        token: alert().token.map(|token| TokenRef {
            name: text(),
            kind: text(),
            hint: text(),
            ..token
        }),
        principal: text(),
        place: Place { city: text(), organization: text(), ..alert().place },
        agent: Agent { family: text(), version: text() },
        route: text(),
        reason: HOSTILE.into(),
        reasons: vec![Reason {
            kind: text(),
            nats: 1.0,
            text: HOSTILE.into(),
            ..Reason::default()
        }],
        facts: values(),
        usual: values(),
        ..alert()
    }
}

/// A registry with the same text in each of its fields.
pub(super) fn hostile_background() -> Background {
    let text = || SmolStr::new(HOSTILE);
    let mark = Mark { what: "leaked", since: Some(NOW), successor: text(), note: HOSTILE.into() };
    Background { owner: text(), notes: text(), marks: vec![mark] }
}
