//! A log for measurements: the same arguments give the same bytes.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

/// Distinct client addresses.
const ADDRESSES: u64 = 50_000;

const WEEK: u64 = 604_800;

/// Monday, 2 March 2026, in seconds since 1970.
const BEGIN: u64 = 1_772_409_600;

/// How the lines look.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    /// nginx combined; a fifth of the requests carry a token in the query.
    Combined,
    /// JSON lines; 71 % carry a bearer token.
    Json,
}

/// What a log holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// How its lines look.
    pub(crate) form: Form,
    /// How many there are.
    pub(crate) lines: u64,
    /// When the first one is, in seconds from the begin of all logs.
    pub(crate) from: u64,
    /// The seconds that they span.
    pub(crate) seconds: u64,
    /// Which tokens they carry.
    pub(crate) tokens: Tokens,
}

/// Which tokens lines carry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tokens {
    /// Few are used much, many little (Zipf's law); not every line has one.
    Drawn(u64),
    /// Every line has one, each in its turn.
    InTurn(u64),
}

impl Plan {
    /// The usual one: a week, 20,000 tokens.
    pub(crate) const fn usual(form: Form, lines: u64) -> Self {
        Self { form, lines, from: 0, seconds: WEEK, tokens: Tokens::Drawn(20_000) }
    }
}

/// Writes a log to a file.
pub(crate) fn write(path: &Path, plan: Plan) -> std::io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    each(plan, |line| file.write_all(line.as_bytes()))?;
    file.flush()
}

/// Hands each line of a log, with its end, to `take`.
pub(crate) fn each<E>(plan: Plan, mut take: impl FnMut(&str) -> Result<(), E>) -> Result<(), E> {
    let mut random = Random(20_261_123);
    let zipf = match plan.tokens {
        Tokens::Drawn(tokens) => Zipf::new(tokens),
        Tokens::InTurn(_) => Zipf::new(1),
    };
    let mut line = String::new();
    for n in 0..plan.lines {
        line.clear();
        let second = BEGIN + plan.from + n * plan.seconds / plan.lines;
        let request = match plan.tokens {
            Tokens::Drawn(_) => {
                let token = zipf.draw(&mut random);
                let has_token = random.below(100) < 71;
                Request::draw(&mut random, token, has_token)
            }
            // Of one that is refused at once nothing would be kept.
            Tokens::InTurn(tokens) => {
                Request { status: 200, ..Request::draw(&mut random, n % tokens, true) }
            }
        };
        match plan.form {
            Form::Combined => request.combined(&mut line, second),
            Form::Json => request.json(&mut line, second),
        }
        take(&line)?;
    }
    Ok(())
}

struct Request {
    client: String,
    token: Option<String>,
    method: &'static str,
    path: String,
    status: u16,
    bytes: u64,
    agent: &'static str,
}

impl Request {
    fn draw(random: &mut Random, token: u64, has_token: bool) -> Self {
        // Each token has a few addresses of its own, so that profiles look like profiles.
        let client = (token * 7 + random.below(3)) % ADDRESSES;
        const AGENTS: [&str; 4] = [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/133.0.0.0 Safari/537.36",
            "python-requests/2.32.3",
            "curl/8.5.0",
            "Go-http-client/2.0",
        ];
        let agent = AGENTS[usize::try_from(token % 4).unwrap()];
        let status = [200, 200, 200, 200, 200, 200, 304, 404, 401, 500];
        Self {
            client: format!(
                "{}.{}.{}.{}",
                11 + client % 80,
                client / 80 % 250,
                client % 250,
                1 + client % 254
            ),
            token: has_token.then(|| secret(token)),
            method: if random.below(10) == 0 { "POST" } else { "GET" },
            path: format!("/api/v1/things/{}/parts/{}", random.below(100_000), random.below(100)),
            status: status[usize::try_from(random.below(10)).unwrap()],
            bytes: random.below(50_000),
            agent,
        }
    }

    fn combined(&self, line: &mut String, second: u64) {
        let Self { client, method, path, status, bytes, agent, .. } = self;
        let time = chrono::DateTime::from_timestamp(second.cast_signed(), 0).unwrap();
        let time = time.format("%d/%b/%Y:%H:%M:%S +0000");
        // A fifth of all lines: 20 of the 71 in a hundred that have a token.
        let in_url = self.token.as_ref().filter(|_| self.bytes % 71 < 20);
        let query = in_url.map(|token| format!("?api_key={token}&limit=50")).unwrap_or_default();
        writeln!(
            line,
            "{client} - - [{time}] \"{method} {path}{query} HTTP/1.1\" {status} {bytes} \"https://www.example.org/list\" \"{agent}\""
        )
        .unwrap();
    }

    fn json(&self, line: &mut String, second: u64) {
        let Self { client, method, path, status, bytes, agent, .. } = self;
        let time = chrono::DateTime::from_timestamp(second.cast_signed(), 0).unwrap();
        let time = time.format("%Y-%m-%dT%H:%M:%S+00:00");
        let bearer = self.token.as_ref().map(|token| format!("Bearer {token}")).unwrap_or_default();
        writeln!(
            line,
            "{{\"time\":\"{time}\",\"remote_addr\":\"{client}\",\"method\":\"{method}\",\"uri\":\"{path}\",\"status\":{status},\"bytes\":{bytes},\"referer\":\"-\",\"user_agent\":\"{agent}\",\"authorization\":\"{bearer}\"}}"
        )
        .unwrap();
    }
}

fn secret(token: u64) -> String {
    let mut random = Random(token ^ 0x746f_6b65_6e21);
    let mut text = String::from("exk_");
    for _ in 0..40 {
        text.push(char::from(
            b"0123456789abcdefghijklmnopqrstuvwxyz"[usize::try_from(random.below(36)).unwrap()],
        ));
    }
    text
}

/// Ranks drawn with a probability of 1 / rank.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ranks: u64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=ranks).map(|rank| {
            sum += 1.0 / f64::from(u32::try_from(rank).unwrap());
            sum
        });
        Self(sums.collect())
    }

    fn draw(&self, random: &mut Random) -> u64 {
        let total = self.0.last().copied().unwrap_or_default();
        let at = f64::from(u32::try_from(random.below(1 << 31)).unwrap()) / f64::from(1u32 << 31)
            * total;
        self.0.partition_point(|sum| *sum < at) as u64
    }
}

/// splitmix64
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Draws a number below a bound.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}
