//! Tests of finding and sealing together: records in, usages out.

mod apart;
mod headers;
mod ids;
mod posed;
mod privacy;
mod sealed;
mod texts;
mod urls;

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::jwt::tests::token as jwt_of;
use super::*;
use crate::engine::record::{Columns, Format};
use crate::engine::secret::SealKey;
use crate::engine::time::Timestamp;
use crate::engine::usage::{Origin, Usage};

/// The key and the token of the recipes for proxies.
const KEY: &[u8] = b"site-key-from-file";

const STRIPE: &str = "sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz";
const STRIPE_ID: &str = "tw1_e72ab087281c9e371d43de6784010c4e";

/// A made-up secret without the shape of any vendor.
const RANDOM: &str = "q8Wz3Lp0Vt6Yc1Nb";

fn names() -> Names {
    Names {
        query: vec!["my-Key".into()],
        cookies: vec!["Session".into()],
        headers: vec!["X-Mine".into()],
        ..Names::default()
    }
}

fn sealer() -> Sealer {
    Sealer::new(SealKey::new(KEY), &names())
}

fn text(text: &str) -> Cow<'_, [u8]> {
    Cow::Borrowed(text.as_bytes())
}

fn blank<'a>() -> Record<'a> {
    Record { time: Some(Timestamp::from_seconds(1_795_453_833)), ..Record::default() }
}

fn with_target(target: &str) -> Record<'_> {
    Record { target: Some(text(target)), ..blank() }
}

fn with_referer(referer: &str) -> Record<'_> {
    Record { referer: Some(text(referer)), ..blank() }
}

fn with_field<'a>(name: FieldName<'a>, value: &'a str) -> Record<'a> {
    Record { fields: vec![(name, text(value))], ..blank() }
}

fn with_header<'a>(name: &'a str, value: &'a str) -> Record<'a> {
    with_field(FieldName::Header(Cow::Borrowed(name)), value)
}

fn usages(record: &Record<'_>) -> Vec<Usage> {
    let (mut sightings, mut out) = (Vec::new(), Vec::new());
    Finder::new(&names()).find(record, &mut sightings);
    sealer().seal(record, &sightings, Origin::default(), "", &mut out);
    out
}

/// `carrier kind`, one for each usage.
fn shown(record: &Record<'_>) -> String {
    let one = |usage: &Usage| format!("{} {}", usage.carrier, usage.kind);
    usages(record).iter().map(one).collect::<Vec<_>>().join(", ")
}

fn id(secret: &str) -> TokenId {
    SealKey::new(KEY).seal(&Secret::new(secret.as_bytes()))
}

/// Parses a line for a site with these ids, and returns the sealed ids found.
fn sealed_in(format: Format, ids: &[&str], line: &str) -> Vec<String> {
    let ids: Vec<SmolStr> = ids.iter().map(SmolStr::new).collect();
    let format = format.with_ids(&ids);
    let record = format.parse(line.as_bytes()).unwrap();
    let mut found = Vec::new();
    Finder::new(&Names { ids, ..Names::default() }).find(&record, &mut found);
    let sealed = found.iter().filter_map(|sighting| match &sighting.seen {
        Seen::Sealed(id) => Some(format!("{} {id}", sighting.carrier)),
        _ => None,
    });
    sealed.collect()
}
