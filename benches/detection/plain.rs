//! Three rules that people usually write first. Each alerts once per principal in 24 hours, and not on the first day.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::SmolStr;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::geo::{Place, Point};
use tokenwatch::engine::registry::Registry;
use tokenwatch::engine::time::{DAY, HOUR, Timestamp};
use tokenwatch::engine::usage::Usage;

use crate::score::Alert;
use crate::seconds;

/// Kilometres an hour, from which on nobody travels: that of airliners.
const SPEED_KMH: f64 = 900.0;

/// Kilometres, below which it is no travel: `BuffaLogs`' default. Without it, a phone and a desk would travel all day.
const LEAST_KM: f64 = 100.0;

/// Standard deviations of an hour's count above its mean.
const Z: f64 = 3.0;

/// Whole hours of history before a z-score means anything: a week.
const WARM_UP_HOURS: i64 = 168;

/// All three, with what they remember of each principal.
pub(crate) struct Rules {
    registry: Registry,
    principals: BTreeMap<SmolStr, Past>,
    /// Name, least level, alerts of each.
    pub(crate) told: [(String, Level, Vec<Alert>); 3],
}

#[derive(Default)]
struct Past {
    first: Option<Timestamp>,
    networks: BTreeSet<u32>,
    clients: BTreeSet<SmolStr>,
    last: Option<(Timestamp, Point)>,
    hours: Hours,
    muted: [Option<Timestamp>; 3],
}

/// Mean and variance of the finished hours [Welford 1962], empty ones included.
#[derive(Default)]
struct Hours {
    hour: i64,
    count: f64,
    n: i64,
    mean: f64,
    sum: f64,
}

impl Rules {
    pub(crate) fn new(registry: Registry) -> Self {
        let rule = |name: &str| (name.to_owned(), Level::Informational, Vec::new());
        let told = ["new net or client", "travel 900 km/h", "hourly z > 3"].map(rule);
        Self { registry, principals: BTreeMap::new(), told }
    }

    pub(crate) fn take(&mut self, usage: &Usage, place: &Place) {
        let principal = self.registry.principal(usage);
        let past = self.principals.entry(principal.clone()).or_default();
        let first = *past.first.get_or_insert(usage.time);
        let fires = [past.is_new(usage, place), past.is_travel(usage, place), past.is_rate(usage)];
        if usage.time.since(first) <= DAY {
            return;
        }
        let name = self.registry.row(usage).map(|row| row.name.clone()).unwrap_or_default();
        for ((is_told, muted), (_, _, told)) in
            fires.into_iter().zip(&mut past.muted).zip(&mut self.told)
        {
            if is_told && muted.is_none_or(|until| usage.time >= until) {
                *muted = Some(usage.time.plus(DAY));
                told.push(Alert {
                    time: usage.time,
                    level: Level::Critical,
                    principal: principal.clone(),
                    token: Some((usage.token, name.clone())),
                    incident: format!("{principal}/{}", usage.time.0).into(),
                });
            }
        }
    }
}

impl Past {
    fn is_new(&mut self, usage: &Usage, place: &Place) -> bool {
        let is_new_network = place.asn.is_some_and(|asn| self.networks.insert(asn));
        self.clients.insert(usage.agent.family.clone()) || is_new_network
    }

    fn is_travel(&mut self, usage: &Usage, place: &Place) -> bool {
        let Some(point) = place.point else { return false };
        let Some((time, from)) = self.last.replace((usage.time, point)) else { return false };
        let km = from.distance_km(point);
        let hours = (seconds(usage.time) - seconds(time)).max(1.0) / 3600.0;
        LEAST_KM <= km && SPEED_KMH <= km / hours
    }

    fn is_rate(&mut self, usage: &Usage) -> bool {
        let hours = &mut self.hours;
        hours.turn(usage.time.0.div_euclid(HOUR));
        hours.count += 1.0;
        let deviation = (hours.sum / hours.n.max(2) as f64).sqrt().max(1.0);
        WARM_UP_HOURS <= hours.n && hours.mean + Z * deviation < hours.count
    }
}

impl Hours {
    fn turn(&mut self, hour: i64) {
        if self.hour == 0 {
            self.hour = hour;
        }
        while self.hour < hour {
            self.n += 1;
            let off = self.count - self.mean;
            self.mean += off / self.n as f64;
            self.sum += off * (self.count - self.mean);
            (self.count, self.hour) = (0.0, self.hour + 1);
        }
    }
}
