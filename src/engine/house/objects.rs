//! Tokens that request one forbidden or missing object after another: those that walk through ids.
//!
//! At most 4,096 principals, those that requested most; a request that was answered costs nothing.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::table::{Entry, Table};
use super::window::{Limits, Window};
use crate::engine::commit::HouseRow;
use crate::engine::profile::section;
use crate::engine::stats::{key, whole};
use crate::engine::time::SECOND;
use crate::engine::usage::{Object, Usage};

section! {
    /// Objects that one token asks for and may not have.
    Objects = "objects" {
        /// Different objects, refused (403) or missing (404).
        objects = 20.0, "objects", "between CrowdSec, http-probing (10), and Elastic, web fuzzing (250)";
        /// Period in which they are counted.
        window_minutes = 10.0, "min", "Elastic, web fuzzing: 10 min";
        /// Multiple of the principal's own usual below which it is unremarkable.
        usual_factor = 5.0, "times", "own choice: clearly more than the worst of other days";
        /// Percentage of steps from number to number in one direction from which ids are walked through.
        one_way_percent = 90.0, "%", "own choice: by chance half of them do";
    }
}

const DAY: i64 = 86_400;

/// Whose fault it may be that an object is refused or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// Whoever requests it.
    Asker,
    /// A fault of the service, which many meet: a few objects say nothing about one of them.
    Service,
}

/// The number of steps, as a share of the objects, from which an order is meaningful.
const STEPS: f64 = 0.75;

pub(super) type Askers = Table<Asker, 64>;

/// A principal that requested forbidden or missing objects.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Asker {
    /// The window of failed objects.
    window: Window,
    /// The last number, and the steps up and down within the window.
    number: Option<u32>,
    steps: [u32; 2],
    /// When it last made such a request, in seconds since 1970.
    last: i64,
    /// What was reported, and when.
    told: Option<(Order, i64)>,
}

impl Entry for Asker {
    fn worth(&self, now: i64) -> impl Ord {
        let is_live = now.saturating_sub(self.last).abs() < DAY;
        let objects = if is_live { self.window.strange.count() } else { 0 };
        (objects.max(self.window.usual()), self.last)
    }
}

/// The order in which objects are requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// No order, or objects without numbers.
    Scattered,
    /// Downwards.
    Falling,
    /// Upwards.
    Rising,
}

/// One principal's walk through forbidden or missing objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enumeration {
    /// Different objects.
    pub objects: u32,
    /// Requests for them.
    pub requests: u32,
    /// Seconds since the first of them.
    pub seconds: i64,
    /// Their order.
    pub order: Order,
    /// The most in such a window on other days.
    pub usual: u32,
}

/// Notes a principal's request, if it was for a forbidden or missing object. Returns what to report now.
pub(super) fn ask(
    askers: &mut Askers,
    principal: &str,
    (usage, blame): (&Usage, Blame),
    params: &Objects,
) -> Option<Enumeration> {
    let object = usage.object.as_ref()?;
    let name = principal.as_bytes();
    let at = u64::from(key(&[name])) << 32 | u64::from(key(&[b"asker", name]));
    let now = usage.time.0.div_euclid(SECOND);
    let asker = askers.enter(at, now)?;
    asker.note(object, now, params);
    // The principal is known, so its past is an excuse.
    asker.window.known.add(key(&[name]));
    asker.news(now, blame, params)
}

/// Returns the parts that changed since the last call.
pub(super) fn take(askers: &mut Askers) -> impl Iterator<Item = HouseRow> {
    askers.take("askers")
}

/// Restores the table from its rows; returns the names of the parts that cannot be read.
pub(super) fn restore(askers: &mut Askers, rows: &[HouseRow]) -> Vec<SmolStr> {
    askers.restore(rows, "askers")
}

impl Asker {
    fn note(&mut self, object: &Object, now: i64, params: &Objects) {
        let length = i64::from(whole(params.window_minutes * 60.0));
        let (is_over, is_new) = self.window.fail(object.hash, now, length);
        if is_over {
            (self.number, self.steps) = (None, [0; 2]);
        }
        self.last = now;
        if !is_new {
            return;
        }
        if let (Some(last), Some(number)) = (self.number, object.number) {
            let [up, down] = &mut self.steps;
            // only the lower bits of a number are stored: take the shorter way round
            let step = if number.wrapping_sub(last) < 1 << 31 { up } else { down };
            *step = step.saturating_add(1);
        }
        self.number = object.number.or(self.number);
    }

    fn news(&mut self, now: i64, blame: Blame, params: &Objects) -> Option<Enumeration> {
        let Objects { objects: least, usual_factor: times, .. } = *params;
        if !self.window.is_strange(&Limits { strange: least, tries: least, times }) {
            return None;
        }
        let Window { tries, strange, .. } = &self.window;
        let objects = strange.count().min(*tries);
        let order = self.order(params);
        // during a fault, the least number is what everybody meets, unless somebody goes through ids
        let is_usual = blame == Blame::Service && order == Order::Scattered;
        if is_usual && f64::from(objects) < times * least {
            return None;
        }
        let told = self.told.filter(|(_, at)| now.saturating_sub(*at).abs() < DAY);
        let is_worse = |(told, _)| told == Order::Scattered && order != Order::Scattered;
        if told.is_some_and(|told| !is_worse(told)) {
            return None;
        }
        self.told = Some((order, now));
        let (requests, seconds, usual) = (*tries, self.window.seconds(now), self.window.usual());
        Some(Enumeration { objects, requests, seconds, order, usual })
    }

    fn order(&self, params: &Objects) -> Order {
        let [up, down] = self.steps.map(f64::from);
        let is_way = |steps: f64| 100.0 * steps >= params.one_way_percent * (up + down);
        if up + down < STEPS * params.objects {
            Order::Scattered
        } else if is_way(up) {
            Order::Rising
        } else if is_way(down) {
            Order::Falling
        } else {
            Order::Scattered
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::profile::tests::usage;

    /// A request for an object, some seconds after the start.
    fn request(object: Object, second: i64) -> Usage {
        Usage { object: Some(object), ..usage(second * SECOND) }
    }

    /// Requests objects on a day, at a fixed interval in seconds; returns what is reported.
    fn asked(
        askers: &mut Askers,
        objects: impl IntoIterator<Item = Object>,
        day: i64,
        step: i64,
    ) -> Vec<Enumeration> {
        asked_blaming(Blame::Asker, askers, objects, (day, step))
    }

    fn asked_blaming(
        blame: Blame,
        askers: &mut Askers,
        objects: impl IntoIterator<Item = Object>,
        (day, step): (i64, i64),
    ) -> Vec<Enumeration> {
        let times = (0..).map(|n| day * DAY + n * step);
        let requests = objects.into_iter().zip(times).map(|(object, at)| request(object, at));
        let params = Objects::default();
        requests.filter_map(|usage| ask(askers, "orders", (&usage, blame), &params)).collect()
    }

    fn numbered(n: u32) -> Object {
        Object { hash: key(&[&n.to_le_bytes()]), number: Some(n) }
    }

    fn named(n: u32) -> Object {
        Object { number: None, ..numbered(n) }
    }

    #[test]
    fn ids_that_are_walked_through_are_told_once() {
        for (objects, order) in [
            ((0..60).map(numbered).collect::<Vec<_>>(), Order::Rising),
            ((0..60).rev().map(numbered).collect(), Order::Falling),
            ((0..60).map(|n| numbered(n * 7919 % 61)).collect(), Order::Scattered),
            ((0..60).map(named).collect(), Order::Scattered),
        ] {
            let told = asked(&mut Askers::default(), objects, 0, 2);
            assert_eq!(told.len(), 1, "{told:?}");
            assert_eq!((told[0].order, told[0].usual), (order, 0));
            assert!((19..=22).contains(&told[0].requests), "{told:?}");
        }
    }

    #[test]
    fn few_objects_or_slow_ones_are_not() {
        let again = (0..500).map(|n| numbered(n % 15));
        assert_eq!(asked(&mut Askers::default(), again, 0, 1), []);
        assert_eq!(asked(&mut Askers::default(), (0..100).map(numbered), 0, 60), []);
    }

    #[test]
    fn during_a_fault_ids_that_are_walked_through_and_many_objects_are_told() {
        let asked = |objects: &mut dyn Iterator<Item = Object>| {
            asked_blaming(Blame::Service, &mut Askers::default(), objects, (0, 2))
        };
        assert_eq!(asked(&mut (0..30).map(named)), []);
        let told = asked(&mut (0..30).map(numbered));
        assert_eq!((told.len(), told[0].order), (1, Order::Rising));
        let told = asked(&mut (0..150).map(named));
        assert_eq!(told.len(), 1);
        assert!((95..=110).contains(&told[0].requests), "{told:?}");
    }

    /// Returns what is reported on each day, given the number of objects walked through.
    fn told_daily(n_objects: &[u32]) -> Vec<usize> {
        let mut askers = Askers::default();
        let mut told = Vec::new();
        for (n, day) in n_objects.iter().zip(0u32..) {
            let objects = (0..*n).map(|n| numbered(10_000 * day + n));
            told.push(asked(&mut askers, objects, i64::from(day), 1).len());
        }
        told
    }

    #[test]
    fn the_dead_links_that_a_principal_always_meets_are_its_excuse() {
        assert_eq!(told_daily(&[15, 15, 15, 15, 60, 60, 300]), [0, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn a_walk_that_was_told_does_not_make_the_next_one_usual() {
        assert_eq!(told_daily(&[200, 0, 0, 1000, 1000, 1000]), [1, 0, 0, 1, 1, 1]);
        assert_eq!(told_daily(&[80; 6]), [1; 6]);
    }

    #[test]
    fn a_walk_of_hours_is_told_once_a_day_and_makes_nothing_usual() {
        let mut askers = Askers::default();
        let mut walk = |day: i64| asked(&mut askers, (0..4000).map(numbered), day, 3).len();
        assert_eq!([0, 1, 2, 3, 4].map(&mut walk), [1; 5]);
    }

    #[test]
    fn a_hundred_thousand_principals_leave_it_bounded() {
        let mut askers = Askers::default();
        for n in 0..100_000 {
            let usage = request(numbered(n), i64::from(n));
            ask(&mut askers, &format!("p{n}"), (&usage, Blame::Asker), &Objects::default());
        }
        assert!(askers.len() <= 4096);
        let rows: Vec<_> = take(&mut askers).collect();
        let mut restored = Askers::default();
        assert!(restore(&mut restored, &rows).is_empty() && restored == askers);
    }
}
