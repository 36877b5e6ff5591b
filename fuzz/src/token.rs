//! Looks for credentials in a record, and asserts that none gets out.

use std::borrow::Cow;
use std::hint::black_box;
use std::sync::LazyLock;

use smol_str::SmolStr;
use tokenwatch::engine::record::{FieldName, Record};
use tokenwatch::engine::secret::{SealKey, Secret};
use tokenwatch::engine::time::Timestamp;
use tokenwatch::engine::token::{Finder, MAX_SIGHTINGS, Sealer, Searcher, Seen, Sighting};
use tokenwatch::engine::usage::Origin;
use tokenwatch::engine::{agent, route, shape};

use crate::CANARY;

/// Finds, seals and redacts what a record holds.
pub fn check(finder: &Finder, sealer: &Sealer, record: &Record<'_>) {
    let mut sightings = Vec::new();
    finder.find(record, &mut sightings);
    assert!(sightings.len() <= MAX_SIGHTINGS);
    let mut usages = Vec::new();
    sealer.seal(record, &sightings, Origin::default(), &SmolStr::default(), &mut usages);
    let json = serde_json::to_string(&usages).unwrap();
    if !sightings.iter().any(is_canary) {
        return;
    }
    assert!(!shows_canary(json.as_bytes()), "{json}");
    for shown in [format!("{usages:?}"), format!("{sightings:?}")] {
        assert!(!shows_canary(shown.as_bytes()), "{shown}");
    }
    let redaction = sealer.redaction(&sightings);
    let texts = [&record.target, &record.referer, &record.agent, &record.user, &record.host];
    let fields = record.fields.iter().map(|(_, text)| text);
    for text in texts.into_iter().flatten().chain(fields) {
        let shown = redaction.apply(text);
        assert!(!shows_canary(&shown), "{}", shown.escape_ascii());
    }
}

/// The id of an AWS key is public.
fn is_canary(sighting: &Sighting<'_>) -> bool {
    matches!(&sighting.seen, Seen::Secret(secret, form)
        if secret.expose() == CANARY && form.kind != "aws-access-key")
}

fn shows_canary(shown: &[u8]) -> bool {
    shown.windows(CANARY.len()).any(|window| window == CANARY)
}

/// Reads a name and, behind the first line end, a value, and puts them in every carrier.
pub fn read_token(input: &[u8]) {
    static FINDER: LazyLock<(Finder, Sealer)> = LazyLock::new(|| {
        let names = crate::names();
        (Finder::new(&names), Sealer::new(SealKey::new(b"key"), &names))
    });
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (name, value) = input.split_at(end);
    let value = value.get(1..).unwrap_or_default();
    let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
    let (finder, sealer) = &*FINDER;
    for record in records(&lower, value) {
        check(finder, sealer, &record);
    }
    check_shapes(value);
}

/// Records with a value in one carrier each.
fn records<'a>(name: &'a str, value: &'a [u8]) -> Vec<Record<'a>> {
    let blank = || Record {
        time: Some(Timestamp(1_772_438_400_000_000)),
        status: Some(200),
        ..Record::default()
    };
    let text = || Some(Cow::Borrowed(value));
    let field = |name| Record { fields: vec![(name, Cow::Borrowed(value))], ..blank() };
    let pair = [b"/v1?", name.as_bytes(), b"=", value].concat();
    vec![
        field(FieldName::Header(name.into())),
        field(FieldName::Cookie(name.into())),
        field(FieldName::Id(name.into())),
        field(FieldName::Unnamed),
        Record { target: Some(pair.into()), referer: text(), agent: text(), ..blank() },
        Record { target: text(), user: text(), host: text(), method: text(), ..blank() },
    ]
}

/// What judges a text by its shape takes any text.
fn check_shapes(text: &[u8]) {
    let entropy = shape::entropy(text);
    assert!((0.0..=8.0).contains(&entropy), "{entropy}");
    if let Some(kind) = shape::vendor(text) {
        assert!(text.starts_with(kind.prefix.as_bytes()), "{}", kind.name);
        black_box(kind.is_malformed(text));
        assert!(shape::is_secretive(text), "{}", kind.name);
    }
    black_box((shape::jwt(text), shape::is_token_shaped(text)));
    if let Some(decoded) = shape::decode(text) {
        assert!(decoded.len() <= text.len());
    }
    assert_eq!(agent::agent(text), agent::agent(text));
    assert_eq!(route::route(text), route::route(text));
}

/// Searches an input for the canary and for what has the shape of a token.
pub fn read_text(input: &[u8]) {
    let key = SealKey::new(b"key");
    let canary = key.seal(&Secret::new(CANARY));
    let searcher = Searcher::new(key, vec![canary]);
    let mut spots = Vec::new();
    searcher.search(input, &mut spots);
    let mut end = 0;
    for spot in &spots {
        assert!(end <= spot.bytes.start && spot.bytes.end <= input.len(), "{spot:?}");
        end = spot.bytes.end;
        assert!(!shows_canary(spot.hint.as_bytes()), "{spot:?}");
    }
    black_box(searcher.judge(input));
}
