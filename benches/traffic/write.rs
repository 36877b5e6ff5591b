//! Writes the log, its labels, and the files needed to read it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Result;
use std::path::Path;

use serde_json::json;

use crate::attacks::Attack;
use crate::habits::{Token, World};
use crate::random::Random;
use crate::{DAY, DAYS, Request, START};

/// Routes; `{n}` is another number at each request.
const ROUTES: [&str; 24] = [
    "GET /v1/orders/{n}",
    "GET /v1/orders",
    "POST /v1/orders",
    "GET /v1/items/{n}",
    "GET /v1/stock",
    "PUT /v1/stock/{n}",
    "GET /v1/prices",
    "GET /v1/customers/{n}",
    "POST /v1/events",
    "GET /v1/jobs/{n}",
    "GET /v1/reports",
    "GET /v1/reports/{n}",
    "GET /v1/users/{n}",
    "GET /v1/teams",
    "POST /v1/tickets",
    "GET /v1/tickets/{n}",
    "GET /v1/files/{n}",
    "GET /v1/labels",
    "GET /v1/invoices/{n}",
    "GET /v1/taxes",
    "POST /v1/refunds",
    "GET /v1/webhooks",
    "GET /v1/keys",
    "GET /v2/orders/{n}",
];

/// Lines of a thousand that are written up to two minutes late, or twice.
const DISORDER: u64 = 10;

pub(crate) fn all(
    directory: &Path,
    world: &World,
    tokens: &[Token],
    attacks: &[Attack],
    random: &mut Random,
) -> Result<()> {
    fs::create_dir_all(directory)?;
    world.places.write(directory);
    let secrets: BTreeMap<&str, &str> =
        tokens.iter().map(|token| (token.principal(), token.secret.as_str())).collect();
    let mut lines: Vec<(i64, String)> = Vec::new();
    let mut put = |request: &Request, secret: &str, random: &mut Random| {
        let text = line(world, request, secret, random);
        let late = if random.below(1000) < DISORDER { random.below(120) as i64 } else { 0 };
        if random.below(1000) < DISORDER {
            lines.push((request.time + random.below(120) as i64, text.clone()));
        }
        lines.push((request.time + late, text));
    };
    for token in tokens {
        token.requests.iter().for_each(|request| put(request, &token.secret, random));
    }
    for attack in attacks {
        for (n, request) in attack.requests.iter().enumerate() {
            let made_up = attack.secrets.get(n).map(String::as_str);
            put(request, made_up.unwrap_or_else(|| secrets[attack.principal.as_str()]), random);
        }
    }
    lines.retain(|(time, _)| *time < DAYS * DAY);
    lines.sort_by_key(|(time, _)| *time);
    let log: String = lines.into_iter().map(|(_, text)| text).collect();
    fs::write(directory.join("access.log"), log)?;
    fs::write(directory.join("labels.json"), labels(tokens, attacks))?;
    fs::write(directory.join("registry.csv"), registry(tokens))?;
    let config = "[[source]]\npaths = [\"access.log\"]\nformat = \"nginx-json\"\n[geoip]\ncity = \"City.mmdb\"\nasn = \"ASN.mmdb\"\n";
    fs::write(directory.join("tokenwatch.toml"), config)
}

fn stamp(time: i64) -> String {
    chrono::DateTime::from_timestamp(START + time, 0).unwrap().to_rfc3339()
}

fn line(world: &World, request: &Request, secret: &str, random: &mut Random) -> String {
    let Request { place, net, host, client, version, status, bytes, .. } = request;
    let route = ROUTES[request.route % ROUTES.len()];
    let (method, path) = route.split_once(' ').unwrap_or(("GET", route));
    let line = json!({
        "time": stamp(request.time), "remote_addr": world.places.address(*place, *net, *host),
        "request_method": method, "request_uri": path.replace("{n}", &random.below(100_000).to_string()),
        "status": status, "body_bytes_sent": bytes, "http_referer": "",
        "http_user_agent": client.replace("{v}", &version.to_string()),
        "http_authorization": format!("Bearer {secret}"), "scheme": "https",
    });
    line.to_string() + "\n"
}

fn labels(tokens: &[Token], attacks: &[Attack]) -> String {
    let classes: BTreeMap<&str, &str> = tokens
        .iter()
        .map(|token| (token.principal(), if token.is_person { "human" } else { "machine" }))
        .collect();
    let attacks: Vec<_> = attacks
        .iter()
        .map(|attack| {
            let times = || attack.requests.iter().map(|request| request.time);
            json!({
                "principal": attack.principal, "kind": attack.kind,
                "start": stamp(times().min().unwrap_or(0)), "end": stamp(times().max().unwrap_or(0)),
                "takeover": attack.is_takeover, "well_posed": attack.is_well_posed,
            })
        })
        .collect();
    let labels = json!({
        "days": DAYS, "tokens": tokens.len(), "start": stamp(0), "end": stamp(DAYS * DAY),
        "attacks": attacks, "benign": [], "classes": classes, "examples": {},
    });
    serde_json::to_string_pretty(&labels).unwrap() + "\n"
}

fn registry(tokens: &[Token]) -> String {
    let registered = tokens.iter().filter(|token| token.is_registered);
    let rows: String =
        registered.map(|token| format!("{},{}\n", token.secret, token.name)).collect();
    format!("token,name\n{rows}")
}
