//! Writes a story as a server's log: JSON, one line per request.

use serde_json::json;

use crate::random::{Random, hash};
use crate::story::{Call, Pick, Story, token};

/// Monday, 2 March 2026, in seconds since 1970.
pub(crate) const START: u64 = 1_772_409_600;
pub(crate) const DAY: u64 = 86_400;

/// A line, and when it is written.
struct Line {
    written: u64,
    text: String,
}

pub(crate) fn lines(story: &Story) -> String {
    let mut random = Random::named(&story.name);
    let mut lines = Vec::new();
    for call in &story.calls {
        for (n, who) in story.members(&call.who).iter().enumerate() {
            for time in times(call, &mut random) {
                let text = line(story, call, (n as u64, who), time, &mut random);
                let copies = 1 + u64::from(random.below(100) < story.doubled);
                for _ in 0..copies {
                    let written = time * 1000 + random.below(story.disorder * 1000);
                    lines.push(Line { written, text: text.clone() });
                }
            }
        }
    }
    lines.sort_by_key(|line| line.written);
    lines.iter().map(|line| line.text.as_str()).collect()
}

/// When calls are made, in seconds: `times` a day, from `at` on, `every` so often give or take a tenth, or anywhere
/// within `spread`.
fn times(call: &Call, random: &mut Random) -> Vec<u64> {
    let mut times = Vec::new();
    let is_on =
        |day: u64| call.on[(day % 7) as usize] && !call.off.is_some_and(|off| off.holds(day));
    for day in (call.days.0..=call.days.1).filter(|day| is_on(*day)) {
        let growth = (1.0 + call.grow / 100.0).powf((day - call.days.0) as f64);
        for n in 0..(call.times as f64 * growth).round() as u64 {
            let within = if call.spread > 0 {
                random.below(call.spread)
            } else {
                n * call.every + random.below(call.every / 10)
            };
            times.push(START + day * DAY + call.at + within);
        }
    }
    times
}

fn line(story: &Story, call: &Call, who: (u64, &str), time: u64, random: &mut Random) -> String {
    if call.is_broken {
        return "this is no line of a log that anybody reads\n".to_owned();
    }
    let day = (time - START) / DAY;
    let mut picked = |pick: Pick, bound: u64| match pick {
        Pick::One(n) => n,
        Pick::Any => random.below(bound),
        Pick::Day => hash(&format!("{}/{day}", who.1)) % bound,
        Pick::Own => who.0,
    };
    let (net, host) = (picked(call.net, 256), picked(call.host, 250));
    let route = call.route.replace("{n}", &random.below(100_000).to_string());
    let token = token(&call.form, who.1);
    let stamp = chrono::DateTime::from_timestamp(time as i64, 0).unwrap();
    let (route, bearer, referer) = match call.in_.as_str() {
        "query" => (format!("{route}?api_key={token}"), String::new(), String::new()),
        "referer" => {
            (route, String::new(), format!("https://www.example.org/page?api_key={token}"))
        }
        _ => (route, format!("Bearer {token}"), String::new()),
    };
    let bytes = call.bytes / 2 + random.below(call.bytes);
    let line = json!({
        "time": stamp.to_rfc3339(), "remote_addr": story.world.address(call.place, net, host),
        "request_method": call.method, "request_uri": route, "status": call.status,
        "body_bytes_sent": bytes, "http_referer": referer, "http_user_agent": call.agent,
        "http_authorization": bearer, "scheme": call.scheme,
    });
    line.to_string() + "\n"
}
