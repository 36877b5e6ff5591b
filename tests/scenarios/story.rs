//! Parses a scenario; README.md beside this file describes the grammar.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::play::{DAY, START};
use crate::random::Random;
use crate::world::{Place, World};

pub(crate) const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// One scenario.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) world: World,
    /// The names of its places, in their order.
    places: Vec<String>,
    pub(crate) clients: Vec<(String, String)>,
    pub(crate) people: Vec<Who>,
    pub(crate) calls: Vec<Call>,
    pub(crate) expectations: Vec<Expectation>,
    /// Seconds by which a line may come late.
    pub(crate) disorder: u64,
    /// Lines of a hundred that come twice.
    pub(crate) doubled: u64,
    /// Requests that take a second factor.
    pub(crate) sensitive: Vec<String>,
}

/// Who calls: one principal, or so many alike (`NAME-1`, `NAME-2`, ...).
#[derive(Debug)]
pub(crate) struct Who {
    pub(crate) name: String,
    pub(crate) crowd: Option<u64>,
    pub(crate) is_stranger: bool,
    pub(crate) columns: Vec<(String, String)>,
}

/// Which of a place's networks, or hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pick {
    One(u64),
    /// Another one at each call.
    Any,
    /// Another one every day.
    Day,
    /// Each caller's own.
    Own,
}

/// Days, from the first on counted from 0; both included.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days(pub(crate) u64, pub(crate) u64);

impl Days {
    pub(crate) const fn holds(self, day: u64) -> bool {
        self.0 <= day && day <= self.1
    }
}

/// Calls that are alike.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) who: String,
    pub(crate) place: usize,
    pub(crate) net: Pick,
    pub(crate) host: Pick,
    pub(crate) agent: String,
    pub(crate) method: String,
    pub(crate) route: String,
    pub(crate) days: Days,
    pub(crate) off: Option<Days>,
    /// Days of the week, Monday first.
    pub(crate) on: [bool; 7],
    /// Seconds.
    pub(crate) at: u64,
    pub(crate) every: u64,
    pub(crate) spread: u64,
    pub(crate) times: u64,
    /// Percent a day.
    pub(crate) grow: f64,
    pub(crate) status: u64,
    pub(crate) bytes: u64,
    pub(crate) scheme: String,
    /// Where the token stands: header, query or referer.
    pub(crate) in_: String,
    /// What kind of token it is, one of [`FORMS`].
    pub(crate) form: String,
    pub(crate) is_broken: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// At least once; all else about this principal on these days belongs to it.
    Must,
    /// Exactly once in all.
    Once,
    /// Allowed, up to this level.
    May,
    /// Not at all, not even at level low.
    Never,
    /// A known false alarm: told today, should not be.
    Shows,
}

#[derive(Debug)]
pub(crate) struct Expectation {
    pub(crate) verb: Verb,
    pub(crate) who: String,
    pub(crate) rule: String,
    pub(crate) level: usize,
    pub(crate) days: Days,
}

impl Story {
    /// Reads a scenario; the fault names file and line.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut story = Self {
            name: name.to_owned(),
            world: World::default(),
            places: Vec::new(),
            clients: Vec::new(),
            people: Vec::new(),
            calls: Vec::new(),
            expectations: Vec::new(),
            disorder: 0,
            doubled: 0,
            sensitive: Vec::new(),
        };
        for (n, line) in (1..).zip(text.lines()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            story.line(&words).map_err(|fault| format!("{name}.scn:{n}: {fault}"))?;
        }
        Ok(story)
    }

    fn line(&mut self, words: &[&str]) -> Result<(), String> {
        match words {
            [] | ["about", ..] => {}
            [comment, ..] if comment.starts_with('#') => {}
            ["place" | "place6", name, country, city, at, asn, operator @ ..] => {
                let (latitude, longitude) = at.split_once(',').ok_or("LATITUDE,LONGITUDE")?;
                self.places.push((*name).to_owned());
                self.world.0.push(Place {
                    is_v6: words[0] == "place6",
                    country: (*country).to_owned(),
                    city: (*city).to_owned(),
                    at: (number(latitude)?, number(longitude)?),
                    asn: number(asn.trim_start_matches("AS"))?,
                    operator: operator.join(" "),
                });
            }
            ["client", name, agent @ ..] => {
                self.clients.push(((*name).to_owned(), agent.join(" ")));
            }
            ["who", name, rest @ ..] => self.people.push(who(name, rest)?),
            ["call", who, "from", address, "with", client, method, route, keys @ ..] => {
                let mut call = self.call(who, address, client)?;
                (call.method, call.route) = (method.to_uppercase(), (*route).to_owned());
                keys.iter().try_for_each(|key| call.set(key))?;
                self.calls.push(call);
            }
            ["disorder", seconds] => self.disorder = duration(seconds)?,
            ["sensitive", requests @ ..] => {
                self.sensitive = requests.iter().map(|one| (*one).to_owned()).collect();
            }
            ["doubled", percent] => self.doubled = number(percent.trim_end_matches('%'))?,
            [verb @ ("must" | "once" | "may" | "never" | "shows"), who, rule, level, rest @ ..] => {
                let days = rest.first().and_then(|word| word.strip_prefix("days="));
                self.expectations.push(Expectation {
                    verb: match *verb {
                        "must" => Verb::Must,
                        "once" => Verb::Once,
                        "may" => Verb::May,
                        "never" => Verb::Never,
                        _ => Verb::Shows,
                    },
                    who: (*who).to_owned(),
                    rule: (*rule).to_owned(),
                    level: level_of(level)?,
                    days: days.map_or(Ok(Days(0, u64::MAX)), days_of)?,
                });
            }
            [word, ..] => return Err(format!("{word}: no such line, or too short")),
        }
        Ok(())
    }

    fn call(&self, who: &str, address: &str, client: &str) -> Result<Call, String> {
        let (address, host) = address.split_once('/').unwrap_or((address, "7"));
        let (place, net) = address.split_once(':').unwrap_or((address, "0"));
        let at = self.places.iter().position(|name| name == place);
        let agent = self.clients.iter().find(|(name, _)| name == client);
        Ok(Call {
            who: who.to_owned(),
            place: at.ok_or(format!("no place {place}"))?,
            net: pick(net)?,
            host: pick(host)?,
            agent: agent.ok_or(format!("no client {client}"))?.1.clone(),
            method: String::new(),
            route: String::new(),
            days: Days(0, 0),
            off: None,
            on: [true; 7],
            at: 0,
            every: 0,
            spread: 0,
            times: 1,
            grow: 0.0,
            status: 200,
            bytes: 512,
            scheme: "https".to_owned(),
            in_: "header".to_owned(),
            form: FORMS[0].to_owned(),
            is_broken: false,
        })
    }

    /// What has to be told, known false alarms aside.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = &Expectation> {
        self.expectations.iter().filter(|one| matches!(one.verb, Verb::Must | Verb::Once))
    }

    /// The names that a call is made under.
    pub(crate) fn members(&self, who: &str) -> Vec<String> {
        match self.people.iter().find(|person| person.name == who) {
            Some(Who { crowd: Some(n), .. }) => (1..=*n).map(|n| format!("{who}-{n}")).collect(),
            _ => vec![who.to_owned()],
        }
    }

    /// The name under which a principal's calls are made.
    pub(crate) fn crowd_of(&self, principal: &str) -> String {
        let crowd = self
            .people
            .iter()
            .find(|person| self.members(&person.name).iter().any(|one| one == principal));
        crowd.map_or(principal, |person| &person.name).to_owned()
    }

    /// The registry as a file; strangers are not in it.
    pub(crate) fn registry(&self) -> String {
        let mut text = String::from(
            "token,name,expires_at,revoked_at,rotated_at,scopes,networks,countries,mfa,decoy,leaked_at\n",
        );
        for person in self.people.iter().filter(|person| !person.is_stranger) {
            for name in self.members(&person.name) {
                let of = |column: &str| {
                    let found = person.columns.iter().find(|(name, _)| name == column);
                    found.map_or("", |(_, value)| value).to_owned()
                };
                let columns = [
                    "expires_at",
                    "revoked_at",
                    "rotated_at",
                    "scopes",
                    "networks",
                    "countries",
                    "mfa",
                    "decoy",
                    "leaked_at",
                ]
                .map(of);
                text += &format!("{},{name},{}\n", secret(&name), columns.join(","));
            }
        }
        text
    }
}

impl Call {
    fn set(&mut self, word: &str) -> Result<(), String> {
        let (key, value) = word.split_once('=').unwrap_or((word, ""));
        match key {
            "days" => self.days = days_of(value)?,
            "off" => self.off = Some(days_of(value)?),
            "on" => self.on = weekdays(value)?,
            "at" => self.at = moment(value)?,
            "every" => self.every = duration(value)?,
            "spread" => self.spread = duration(value)?,
            "times" => self.times = number(value)?,
            "grow" => self.grow = number(value.trim_end_matches('%'))?,
            "status" => self.status = number(value)?,
            "bytes" => self.bytes = number(value)?,
            "scheme" => self.scheme = value.to_owned(),
            "in" => self.in_ = value.to_owned(),
            "token" if FORMS.contains(&value) => self.form = value.to_owned(),
            "broken" => self.is_broken = true,
            _ => return Err(format!("{word}: no such key of a call")),
        }
        Ok(())
    }
}

/// Kinds of tokens: 32 random hex digits, which is what the registry has; 12 of them; a JWT of this name, signed or
/// not.
const FORMS: [&str; 4] = ["opaque", "short", "signed", "unsigned"];

/// A principal's token of a kind.
pub(crate) fn token(form: &str, name: &str) -> String {
    match form {
        "short" => secret(name)[4..16].to_owned(),
        "signed" => jwt("HS256", name) + "c2lnbmF0dXJlLW9mLW5vYm9keS1hdC1hbGw",
        "unsigned" => jwt("none", name),
        _ => secret(name),
    }
}

/// A JWT that ends on the sixtieth day, up to its signature.
fn jwt(algorithm: &str, name: &str) -> String {
    let header = json!({"alg": algorithm, "typ": "JWT"});
    let claims = json!({"iss": "https://id.example.org", "sub": name, "exp": START + 60 * DAY});
    let part = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
    format!("{}.{}.", part(header), part(claims))
}

/// A made-up token; the same name gives the same one.
fn secret(name: &str) -> String {
    let mut random = Random::named(name);
    let letters = b"0123456789abcdef";
    let hex = (0..32).map(|_| char::from(letters[random.below(16) as usize]));
    format!("exk_{}", hex.collect::<String>())
}

fn who(name: &str, rest: &[&str]) -> Result<Who, String> {
    let mut who =
        Who { name: name.to_owned(), crowd: None, is_stranger: false, columns: Vec::new() };
    for word in rest {
        match word.split_once('=') {
            Some((column, value)) => who.columns.push((column.to_owned(), value.to_owned())),
            None if *word == "stranger" => who.is_stranger = true,
            None => who.crowd = Some(number(word.trim_start_matches('x'))?),
        }
    }
    Ok(who)
}

fn pick(text: &str) -> Result<Pick, String> {
    Ok(match text {
        "*" => Pick::Any,
        "day" => Pick::Day,
        "own" => Pick::Own,
        _ => Pick::One(number(text)?),
    })
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text}: a number expected"))
}

fn level_of(text: &str) -> Result<usize, String> {
    LEVELS.iter().position(|level| *level == text).ok_or(format!("{text}: no level"))
}

fn days_of(text: &str) -> Result<Days, String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    Ok(Days(number(from)?, number(to)?))
}

/// `90s`, `10m`, `9h`, in seconds.
fn duration(text: &str) -> Result<u64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(format!("{text}: a duration expected, such as 10m")),
    };
    Ok(number::<u64>(&text[..text.len() - 1])? * unit)
}

/// `08:30`, in seconds of the day.
fn moment(text: &str) -> Result<u64, String> {
    let (hour, minute) = text.split_once(':').ok_or(format!("{text}: a time such as 08:30"))?;
    Ok(number::<u64>(hour)? * 3600 + number::<u64>(minute)? * 60)
}

/// `mon-fri`, `sat,sun`, `tue`.
fn weekdays(text: &str) -> Result<[bool; 7], String> {
    const NAMES: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let find = |name: &str| {
        NAMES.iter().position(|one| *one == name).ok_or(format!("{name}: a day such as mon"))
    };
    let mut on = [false; 7];
    for part in text.split(',') {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        (find(from)?..=find(to)?).for_each(|day| on[day] = true);
    }
    Ok(on)
}
