//! Commits, alerts and registry rows for the tests of the store.

use std::path::{Path, PathBuf};

use smol_str::{SmolStr, ToSmolStr, format_smolstr};
use tempfile::TempDir;

use crate::engine::alert::{Alert, Incident, Level, Reason, RuleRef, TokenRef, Value, Values};
use crate::engine::commit::{Commit, Notice, StreamUpdate, SubjectRow};
use crate::engine::geo::{Country, Place};
use crate::engine::ledger::{Facet, Ledger, Seen, Span, TokenUse};
use crate::engine::line::{Directives, Position, StreamId, Tally};
use crate::engine::registry::Registered;
use crate::engine::secret::TokenId;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Agent, Origin, Outcome};
use crate::engine::word::Brought;

/// Noon on Monday, 23 November 2026.
pub(super) const NOON: Timestamp = Timestamp(1_795_435_200_000_000);

/// A fresh state directory and the path of its database.
pub(super) fn state() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tokenwatch.db");
    (directory, path)
}

impl super::Reader {
    /// Returns the plan of a query: which indexes it uses, what it scans or sorts.
    pub(super) fn plan(&self, sql: &str) -> String {
        let mut plan = self.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        // Parameters are NULL: the plan is made before they are known.
        let steps = plan.raw_query().mapped(|row| row.get::<_, String>("detail"));
        steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
    }
}

/// A token's id that begins with `first`.
pub(super) fn id(first: u8) -> TokenId {
    let mut id = [0x11; 16];
    id[0] = first;
    TokenId(id)
}

/// Adds one usage to a ledger, as the engine would.
pub(super) fn record(ledger: &mut Ledger, token: TokenId, time: Timestamp, address: &str) {
    let entry = ledger.tokens.entry(token).or_insert_with(|| TokenUse {
        kind: "opaque".into(),
        hint: "...4f2a".into(),
        principal: token.to_smolstr(),
        issued_at: None,
        expires_at: None,
        first: time,
        last: time,
        hours: Vec::new(),
        facets: Vec::new(),
    });
    entry.count(time, Outcome::Ok, 100);
    let country = if address.contains(':') { "DE" } else { "FR" };
    for (facet, value) in [(Facet::Address, address), (Facet::Country, country)] {
        let found = entry
            .facets
            .binary_search_by(|seen| (seen.facet, seen.value.as_str()).cmp(&(facet, value)));
        match found {
            Ok(at) => entry.facets[at].span.extend(time),
            Err(at) => {
                let seen = Seen { facet, value: value.into(), span: Span::once(time) };
                entry.facets.insert(at, seen);
            }
        }
    }
}

/// A stream's position after `offset` bytes.
pub(super) fn position(offset: u64) -> Position {
    let mut directives = Directives::from_lines(b"#Fields: date time c-ip\n#Date: 2026-03-02\n");
    directives.written = 4;
    Position {
        path: Path::new("/var/log/example/access.log").to_owned(),
        device: u64::MAX,
        inode: 12,
        born: -1,
        generation: 3,
        offset,
        head: u64::MAX - 1,
        head_length: 1024,
        tail: 1 << 63,
        size: offset + 7,
        began: 3,
        early: 2,
        directives,
        cursor: "s=1;i=2".to_owned(),
    }
}

/// One usage at noon of each token, with everything that a commit contains except alerts.
pub(super) fn commit_of(tokens: &[u8]) -> Commit {
    let mut ledger = Ledger::default();
    tokens.iter().for_each(|token| record(&mut ledger, id(*token), NOON, "192.0.2.7"));
    let n_lines = tokens.len() as u64;
    let tally = Tally {
        lines: n_lines,
        parsed: n_lines,
        usages: n_lines,
        parsed_bytes: n_lines * 100,
        ..Tally::default()
    };
    Commit {
        streams: vec![StreamUpdate {
            stream: StreamId(1),
            before: 0,
            position: position(n_lines * 100),
            tally,
            health: r#"{"a":1}"#.to_owned(),
        }],
        subjects: tokens.iter().map(|token| subject(&id(*token).to_smolstr(), *token)).collect(),
        ledger,
        ..Commit::default()
    }
}

/// What is remembered about a principal.
pub(super) fn subject(principal: &str, byte: u8) -> SubjectRow {
    SubjectRow { principal: principal.into(), blob: vec![1, byte], due: Some(byte.into()) }
}

/// An alert of a token that is its own principal.
pub(super) fn alert(name: &str, incident: &str, token: u8, time: Timestamp) -> Alert {
    Alert {
        id: name.into(),
        incident: incident.into(),
        time,
        rule: RuleRef {
            id: "00000000-0000-4000-8000-000000000001".into(),
            name: "new-country".into(),
            level: Level::Medium,
            title: "New country".into(),
        },
        token: Some(TokenRef {
            id: id(token),
            name: SmolStr::default(),
            kind: "opaque".into(),
            hint: "...4f2a".into(),
        }),
        principal: id(token).to_smolstr(),
        client: Some([192, 0, 2, 7].into()),
        is_forgeable: false,
        place: Place { country: Country::parse("FR"), ..Place::default() },
        agent: Agent { family: "curl".into(), version: "8.5".into() },
        route: "GET /v1/items/{id}".into(),
        status: Some(200),
        risk: 40,
        reason: "country FR, never in 41 active days".to_owned(),
        reasons: vec![Reason {
            kind: "new-country".into(),
            nats: 2.5,
            text: "so".to_owned(),
            ..Reason::default()
        }],
        facts: Values::from_iter([("country.is_new".into(), Value::Bool(true))]),
        usual: Values::default(),
        evidence: vec![Origin { stream: StreamId(1), offset: 4 }],
        brought: Brought::default(),
    }
}

/// An incident of a token that is its own principal.
pub(super) fn incident(name: &str, token: u8, revision: u32) -> Incident {
    Incident {
        id: name.into(),
        principal: id(token).to_smolstr(),
        opened: NOON,
        last: NOON,
        level: Level::High,
        revision,
        alerts: revision,
    }
}

/// A commit of one incident with one alert (`NAME-a`), and the mail about it.
pub(super) fn incident_commit(name: &str, token: u8, revision: u32) -> Commit {
    let alert_id = format_smolstr!("{name}-a");
    Commit {
        alerts: vec![alert(&alert_id, name, token, NOON)],
        incidents: vec![incident(name, token, revision)],
        notices: vec![Notice { incident: name.into(), revision, delay: 0 }],
        ..Commit::default()
    }
}

/// A registry row.
pub(super) fn registered(token: Option<u8>, name: &str) -> Registered {
    Registered { token: token.map(id), name: name.into(), ..Registered::default() }
}
