//! Who uses tokens, and how: ten archetypes, and changes that affect the whole company.

use crate::random::Random;
use crate::world::{NETS, Place};
use crate::{DAY, DAYS, HOUR, Request};

/// The invented internet.
pub(crate) struct World {
    pub(crate) places: crate::world::World,
    pub(crate) homes: Vec<usize>,
    pub(crate) phones: Vec<usize>,
    pub(crate) offices: Vec<usize>,
    pub(crate) racks: Vec<usize>,
    pub(crate) clouds: Vec<usize>,
    pub(crate) exits: Vec<usize>,
}

const CITIES: [(&str, &str, f64, f64); 14] = [
    ("DE", "Berlin", 52.52, 13.41),
    ("DE", "Munich", 48.14, 11.58),
    ("FR", "Paris", 48.86, 2.35),
    ("FR", "Lyon", 45.76, 4.84),
    ("US", "Chicago", 41.88, -87.63),
    ("US", "Dallas", 32.78, -96.80),
    ("US", "Seattle", 47.61, -122.33),
    ("PL", "Warsaw", 52.23, 21.01),
    ("IN", "Mumbai", 19.08, 72.88),
    ("IN", "Delhi", 28.61, 77.21),
    ("BR", "Recife", -8.05, -34.90),
    ("JP", "Osaka", 34.69, 135.50),
    ("ZA", "Durban", -29.86, 31.02),
    ("VN", "Hanoi", 21.03, 105.85),
];

impl World {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut world = Self {
            places: crate::world::World::default(),
            homes: Vec::new(),
            phones: Vec::new(),
            offices: Vec::new(),
            racks: Vec::new(),
            clouds: Vec::new(),
            exits: Vec::new(),
        };
        for (at, (country, city, latitude, longitude)) in CITIES.into_iter().enumerate() {
            let country_at = CITIES.iter().position(|one| one.0 == country).unwrap_or(at);
            let mut add = |n: usize, words: &str| {
                // An operator is the same in all cities of its country.
                let asn = 64_500 + (country_at * 16 + n) as u32;
                let off = |random: &mut Random| (random.below(40) as f64 - 20.0) / 100.0;
                world.places.0.push(Place {
                    is_v6: false,
                    country: country.into(),
                    city: city.into(),
                    at: (latitude + off(random), longitude + off(random)),
                    asn,
                    operator: format!("Example {words} {country} {n}"),
                });
                world.places.0.len() - 1
            };
            (0..4).for_each(|n| world.homes.push(add(n, "Broadband")));
            (4..6).for_each(|n| world.phones.push(add(n, "Mobile")));
            (6..9).for_each(|n| world.offices.push(add(n, "Industries")));
            (9..11).for_each(|n| world.racks.push(add(n, "Hosting")));
            world.clouds.push(add(11, "Cloud"));
            world.exits.push(add(12, "VPN"));
        }
        world
    }

    /// Places of a list in the country (or, with `other`, outside of the country) of a place.
    pub(crate) fn near(&self, list: &[usize], place: usize, other: bool) -> Vec<usize> {
        let country = |at: usize| &self.places.0[at].country;
        list.iter().copied().filter(|at| (country(*at) == country(place)) != other).collect()
    }
}

pub(crate) fn pick<T: Copy>(random: &mut Random, from: &[T]) -> T {
    from[random.below(from.len() as u64) as usize]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A partner's program in two data centres.
    Partner,
    /// Functions on fresh machines of a cloud.
    Serverless,
    /// A browser extension that polls while the browser is open.
    Extension,
    /// Devices of one maker that share a token.
    Devices,
    /// A backend that is deployed every week.
    Backend,
    /// Three shifts at one desk, round midnight.
    Shifts,
    /// Little, and a batch on the last day of the month.
    MonthEnd,
    /// Six people, at home and through a VPN.
    Team,
    /// A shop whose season comes and goes.
    Seasonal,
    /// One person at a desk.
    Desk,
}

const KINDS: [Kind; 10] = [
    Kind::Partner,
    Kind::Serverless,
    Kind::Extension,
    Kind::Devices,
    Kind::Backend,
    Kind::Shifts,
    Kind::MonthEnd,
    Kind::Team,
    Kind::Seasonal,
    Kind::Desk,
];

const PROGRAMS: [&str; 6] = [
    "ledger-link/3.{v}.0",
    "stock-bridge/1.{v}.2",
    "okhttp/4.{v}.0",
    "Go-http-client/2.{v}",
    "acme-sdk-java/5.{v}.1",
    "python-requests/2.{v}.0",
];
const BROWSERS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/1{v}.0.0.0 Safari/537.36",
    "Mozilla/5.0 (X11; Linux x86_64; rv:1{v}.0) Gecko/20100101 Firefox/1{v}.0",
    "AcmeDesk/8.{v}.0 (Macintosh; Intel Mac OS X 10_15_7)",
];

pub(crate) struct Token {
    pub(crate) name: String,
    pub(crate) secret: String,
    pub(crate) is_registered: bool,
    pub(crate) kind: Kind,
    pub(crate) is_person: bool,
    pub(crate) client: &'static str,
    pub(crate) version: u64,
    pub(crate) places: Vec<usize>,
    pub(crate) net: u64,
    /// Requests an active hour.
    pub(crate) pace: u64,
    pub(crate) routes: usize,
    pub(crate) requests: Vec<Request>,
    pub(crate) is_attacked: bool,
}

impl Token {
    pub(crate) fn new(n: u64, world: &World, random: &mut Random) -> Self {
        let kind = KINDS[(n % KINDS.len() as u64) as usize];
        let is_person = matches!(kind, Kind::Extension | Kind::Shifts | Kind::Team | Kind::Desk);
        let home = pick(random, &world.homes);
        let near =
            |list: &[usize], random: &mut Random| pick(random, &world.near(list, home, false));
        let places = match kind {
            Kind::Partner => vec![near(&world.racks, random), pick(random, &world.racks)],
            Kind::Serverless => vec![near(&world.clouds, random)],
            Kind::Extension => vec![home, near(&world.offices, random)],
            Kind::Devices => vec![home, near(&world.homes, random), near(&world.phones, random)],
            Kind::Backend | Kind::MonthEnd | Kind::Seasonal => vec![near(&world.racks, random)],
            Kind::Shifts | Kind::Desk => vec![near(&world.offices, random)],
            Kind::Team => vec![
                home,
                near(&world.homes, random),
                near(&world.homes, random),
                near(&world.exits, random),
                pick(random, &world.exits),
            ],
        };
        let clients: &[&str] = if is_person { &BROWSERS } else { &PROGRAMS };
        let letters = b"0123456789abcdef";
        let secret: String =
            (0..32).map(|_| char::from(letters[random.below(16) as usize])).collect();
        Self {
            name: format!("{kind:?}-{n}").to_lowercase(),
            secret: format!("exk_{secret}"),
            is_registered: random.below(10) < 6,
            kind,
            is_person,
            client: pick(random, clients),
            version: 10 + random.below(20),
            places,
            net: random.below(NETS),
            pace: 2 + random.below(10),
            routes: 2 + random.below(10) as usize,
            requests: Vec::new(),
            is_attacked: false,
        }
    }

    /// As labels and alerts name it.
    pub(crate) fn principal(&self) -> &str {
        if self.is_registered { &self.name } else { &self.secret }
    }

    pub(crate) fn request(&self, time: i64, place: usize, random: &mut Random) -> Request {
        let status = [404, 500].get(random.below(100) as usize).copied().unwrap_or(200);
        Request {
            time,
            place,
            net: self.net,
            host: 1,
            client: self.client,
            version: self.version,
            route: random.below(self.routes as u64) as usize,
            status,
            bytes: 300 + random.below(3_000),
        }
    }

    /// So many requests within a span, at any moment.
    fn call(&mut self, from: i64, span: i64, n: u64, place: usize, random: &mut Random) {
        for _ in 0..n {
            let time = from + random.below(span as u64) as i64;
            let request = self.request(time, place, random);
            self.requests.push(request);
        }
    }

    fn day(&mut self, day: i64, random: &mut Random) {
        // People live by local time: an hour earlier from 29 March (day 27) on.
        let morning = day * DAY + if day >= 27 { 7 * HOUR } else { 8 * HOUR };
        if self.is_person {
            self.day_of_people(day, morning, random);
        } else {
            self.day_of_machine(day, morning, random);
        }
    }

    fn day_of_machine(&mut self, day: i64, morning: i64, random: &mut Random) {
        let (start, is_weekend, pace, place) = (day * DAY, day % 7 >= 5, self.pace, self.places[0]);
        let from = self.requests.len();
        match self.kind {
            Kind::Partner => {
                for hour in 0..24 {
                    let place = pick(random, &self.places.clone());
                    self.call(start + hour * HOUR, HOUR, pace, place, random);
                }
            }
            Kind::Serverless => {
                (0..24).for_each(|hour| self.call(start + hour * HOUR, HOUR, pace, place, random));
            }
            Kind::Devices => {
                for _ in 0..pace * 30 {
                    let place = pick(random, &self.places.clone());
                    self.call(start, DAY, 1, place, random);
                }
            }
            Kind::Backend => {
                let is_deployed = day % 7 == 2;
                self.version += u64::from(is_deployed);
                self.routes += usize::from(is_deployed && random.below(2) == 0);
                self.call(start, DAY, pace * 24, place, random);
            }
            Kind::MonthEnd => {
                let n = if is_weekend { 0 } else { pace * 2 };
                self.call(morning, 9 * HOUR, n, place, random);
                let n = if day == 29 { pace * 100 } else { 0 };
                self.call(start + 20 * HOUR, 2 * HOUR, n, place, random);
            }
            _ => {
                let season = 1.0 + 2.0 * (day as f64 / 42.0).min(1.0);
                let weekly = if is_weekend { 1.6 } else { 1.0 };
                let n = (pace as f64 * 16.0 * season * weekly) as u64;
                self.call(start + 5 * HOUR, 18 * HOUR, n, place, random);
            }
        }
        if matches!(self.kind, Kind::Serverless | Kind::Devices) {
            for request in &mut self.requests[from..] {
                (request.net, request.host) = (random.below(NETS), random.below(250));
            }
        }
    }

    fn day_of_people(&mut self, day: i64, morning: i64, random: &mut Random) {
        let (is_weekend, pace) = (day % 7 >= 5, self.pace);
        match self.kind {
            Kind::Extension if !is_weekend || random.below(3) == 0 => {
                let place = self.places[usize::from(!is_weekend && random.below(4) > 0)];
                let begin = morning + random.below(3_600) as i64;
                for n in 0..(24 + random.below(12)) as i64 {
                    self.call(begin + n * 900, 60, 1, place, random);
                }
            }
            Kind::Shifts => {
                // One of three eight-hour shifts rests at each weekend.
                for shift in (0..3).filter(|shift| (day / 7) % 3 != *shift || !is_weekend) {
                    let from = morning - 2 * HOUR + shift * 8 * HOUR;
                    self.call(from, 8 * HOUR, pace * 4, self.places[0], random);
                }
            }
            Kind::Team if !is_weekend => {
                for _ in 0..6 {
                    let place = pick(random, &self.places.clone());
                    let begin = morning + random.below(7_200) as i64;
                    self.call(begin, 6 * HOUR, pace, place, random);
                }
            }
            Kind::Desk if !is_weekend => {
                self.call(morning, 9 * HOUR, pace * 5, self.places[0], random);
            }
            _ => {}
        }
    }
}

impl Token {
    /// One in three has a harmless change of its own, some day: days at another home, another browser; another program,
    /// another provider.
    fn change(&mut self, world: &World, random: &mut Random) {
        let (roll, from) = (random.below(6), (15 + random.below(25) as i64) * DAY + 5 * HOUR);
        let own = self.places[0];
        let is_at_home = self.is_person || self.kind == Kind::Devices;
        let list = if is_at_home { &world.homes } else { &world.racks };
        let place = pick(random, &world.near(list, own, false));
        let clients: &[&str] = if self.is_person { &BROWSERS } else { &PROGRAMS };
        let client = pick(random, clients);
        let until = if self.is_person { from + 5 * DAY } else { DAYS * DAY };
        for request in self.requests.iter_mut().filter(|one| (from..until).contains(&one.time)) {
            match roll {
                0 => (request.place, request.net) = (place, 77),
                1 => request.client = client,
                _ => {}
            }
        }
        if !self.is_person {
            match roll {
                0 => self.places = vec![place],
                1 => self.client = client,
                _ => {}
            }
        }
    }
}

/// Lets all live, and the company change: holidays, a house that moves, new browsers.
pub(crate) fn live(tokens: &mut [Token], world: &World, random: &mut Random) {
    for token in tokens.iter_mut() {
        let holiday = token.is_person.then(|| 10 + random.below(25) as i64);
        for day in 0..DAYS {
            // A browser has a new version every four weeks.
            token.version += u64::from(token.is_person && day % 28 == 20);
            if holiday.is_none_or(|from| !(from..from + 7).contains(&day)) {
                token.day(day, random);
            }
        }
    }
    tokens.iter_mut().for_each(|token| token.change(world, random));
    // One provider's machines all move to another provider of the country on a Tuesday morning.
    let moving = world.racks[0];
    let to = pick(random, &world.near(&world.racks, moving, false).split_off(1));
    let moment = 22 * DAY + 9 * HOUR;
    for token in tokens.iter_mut().filter(|token| !token.is_person) {
        for request in &mut token.requests {
            let after = random.below(HOUR as u64) as i64;
            if request.place == moving && request.time > moment + after {
                request.place = to;
            }
        }
        token.places.iter_mut().filter(|place| **place == moving).for_each(|place| *place = to);
    }
}
