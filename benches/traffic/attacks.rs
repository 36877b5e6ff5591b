//! The attacks and mistakes: at most one per token, between day 16 and the end.

use crate::habits::{Token, World, pick};
use crate::random::Random;
use crate::world::NETS;
use crate::{DAY, HOUR, Request};

/// What happens, and whether somebody else has the token.
const KINDS: [(&str, bool); 7] = [
    // From another network of the country, a request more every day.
    ("slow_boil", true),
    // The owner's program and hours, from another network of the country.
    ("copied_client", true),
    // Homes of the owner's country, another one at each request.
    ("rotating_proxies", true),
    // From the usual place, few requests with large answers.
    ("large_answers", false),
    // From the usual place, with another program.
    ("insider_tool", false),
    // From another country, while the owner goes on, with the owner's program.
    ("concurrent", true),
    // Sold: thirty networks in many countries within two days.
    ("fan_out", true),
];

/// Tokens that are attacked in each way.
const EACH: usize = 7;

pub(crate) struct Attack {
    pub(crate) principal: String,
    pub(crate) kind: &'static str,
    pub(crate) is_takeover: bool,
    pub(crate) is_well_posed: bool,
    pub(crate) requests: Vec<Request>,
    /// The made-up secrets, if it is guessing.
    pub(crate) secrets: Vec<String>,
}

pub(crate) fn plan(tokens: &mut [Token], world: &World, random: &mut Random) -> Vec<Attack> {
    let mut attacks = Vec::new();
    for (kind, is_takeover) in KINDS {
        for _ in 0..EACH {
            let free: Vec<usize> = (0..tokens.len()).filter(|n| !tokens[*n].is_attacked).collect();
            let token = &mut tokens[pick(random, &free)];
            token.is_attacked = true;
            let requests = requests(kind, token, world, random);
            let is_new = |request: &Request| {
                let asn = |place: usize| world.places.0[place].asn;
                let is_known = token
                    .requests
                    .iter()
                    .any(|own| own.time < request.time && asn(own.place) == asn(request.place));
                !is_known || matches!(kind, "large_answers" | "insider_tool")
            };
            attacks.push(Attack {
                principal: token.principal().to_owned(),
                kind,
                is_takeover,
                is_well_posed: requests.iter().any(is_new),
                requests,
                secrets: Vec::new(),
            });
        }
    }
    attacks
}

fn requests(kind: &str, token: &Token, world: &World, random: &mut Random) -> Vec<Request> {
    let start = (16 + random.below(12) as i64) * DAY;
    let last = last_before(start, token, random);
    let own = last.place;
    let usual = day_of(token, start / DAY);
    let lists = [&world.homes[..], &world.racks[..], &world.clouds[..]];
    let [near, far] = [false, true].map(|other| {
        let list = pick(random, &lists);
        pick(random, &world.near(list, own, other))
    });
    let at = |time: i64, place: usize, random: &mut Random| {
        let net = random.below(NETS);
        let (client, version) = (last.client, last.version);
        Request { net, host: 9, client, version, ..token.request(time, place, random) }
    };
    let net = random.below(NETS);
    match kind {
        "slow_boil" => {
            let moments = (0..14).flat_map(|day| (0..=day).map(move |n| (day, n)));
            let time = |(day, n): (i64, i64)| start + day * DAY + 9 * HOUR + n * 1_800;
            moments.map(|moment| Request { net, ..at(time(moment), near, random) }).collect()
        }
        "copied_client" => some_times(&usual, start, random)
            .into_iter()
            .map(|time| Request { net, ..at(time + 30, near, random) })
            .collect(),
        "rotating_proxies" => (0..60)
            .map(|n| {
                let home = pick(random, &world.near(&world.homes, own, false));
                at(start + 11 * HOUR + n * 90, home, random)
            })
            .collect(),
        "large_answers" => (0..40)
            .map(|n| {
                let request = at(start + 9 * HOUR + n * 400, own, random);
                Request { net: last.net, host: last.host, bytes: 4_000_000, status: 200, ..request }
            })
            .collect(),
        "insider_tool" => (0..30)
            .map(|n| {
                let request = at(start + 10 * HOUR + n * 60, own, random);
                Request {
                    net: last.net,
                    host: last.host,
                    client: "curl/8.{v}.0",
                    version: 5,
                    ..request
                }
            })
            .collect(),
        "concurrent" => {
            let from = usual.get(usual.len() / 2).map_or(start + 12 * HOUR, |one| one.time);
            (0..80).map(|n| Request { net, ..at(from + n * 20, far, random) }).collect()
        }
        _ => (0..120)
            .map(|n| {
                let buyer = pick(random, &world.homes);
                Request { net: n as u64 % 30, ..at(start + n * 1_400, buyer, random) }
            })
            .collect(),
    }
}

/// A third of the moments of some requests; one in the morning if there are none.
fn some_times(usual: &[Request], start: i64, random: &mut Random) -> Vec<i64> {
    let times = usual.iter().filter(|_| random.below(3) == 0).map(|one| one.time);
    let times: Vec<i64> = times.collect();
    if times.is_empty() { vec![start + 10 * HOUR] } else { times }
}

/// What the owner does on a day: somebody may do likewise, from elsewhere.
fn day_of(token: &Token, day: i64) -> Vec<Request> {
    token.requests.iter().filter(|one| one.time / DAY == day).copied().collect()
}

/// The owner as it was before a moment: tokens change in time.
fn last_before(moment: i64, token: &Token, random: &mut Random) -> Request {
    let before = token.requests.iter().filter(|one| one.time < moment);
    let last = before.max_by_key(|one| one.time).copied();
    last.unwrap_or_else(|| token.request(moment, token.places[0], random))
}

/// Made-up tokens, a few from each of forty addresses.
pub(crate) fn guessing(world: &World, random: &mut Random) -> Vec<Attack> {
    let campaign = |day: i64, random: &mut Random| {
        let n = 240;
        let letters = b"0123456789abcdef";
        let made_up = |random: &mut Random| -> String {
            (0..32).map(|_| char::from(letters[random.below(16) as usize])).collect()
        };
        let sources: Vec<usize> = (0..40).map(|_| pick(random, &world.homes)).collect();
        let request = |n: usize, random: &mut Random| Request {
            time: day * DAY + 13 * HOUR + n as i64 * 30,
            place: sources[n % 40],
            net: n as u64 % 40,
            host: 3,
            client: "python-requests/2.{v}.0",
            version: 31,
            route: 0,
            status: if random.below(20) == 0 { 403 } else { 401 },
            bytes: 120,
        };
        Attack {
            principal: "*".to_owned(),
            kind: "guessing",
            is_takeover: false,
            is_well_posed: true,
            requests: (0..n).map(|n| request(n, random)).collect(),
            secrets: (0..n).map(|_| format!("exk_{}", made_up(random))).collect(),
        }
    };
    [20, 33].map(|day| campaign(day, random)).into()
}
