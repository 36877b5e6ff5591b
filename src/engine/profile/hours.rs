//! The hours at which a principal is active, separately for working days and weekends.

use crate::engine::profile::family::{Family, Priors};
use crate::engine::stats::Days;
use crate::engine::time::Timestamp;

/// Days on which each hour was active, faded: 24 for working days, then 24 for weekends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hours {
    /// The hours.
    pub bins: [Days; 48],
    /// Active working days and active weekend days.
    pub days: [Days; 2],
    /// The hours already counted today, one bit each.
    pub today: u32,
}

impl Default for Hours {
    fn default() -> Self {
        Self { bins: [Days(0); 48], days: [Days(0); 2], today: 0 }
    }
}

fn class(time: Timestamp) -> usize {
    usize::from(time.weekday() >= 5)
}

impl Hours {
    /// The weight of a neighbouring hour for this one.
    const NEIGHBOUR: f64 = 0.8;

    /// Returns on how many days this hour was active, and out of how many.
    #[must_use]
    pub(super) fn usual(&self, time: Timestamp) -> (f64, f64) {
        let (class, hour) = (class(time), time.hour_of_day());
        let bin = |hour: usize| self.bins.get(class * 24 + hour % 24).map_or(0.0, |d| d.get());
        let beside = bin(hour + 1).max(bin(hour + 23)) * Self::NEIGHBOUR;
        (bin(hour).max(beside), self.days.get(class).map_or(0.0, |days| days.get()))
    }

    /// Returns the evidence of a use at this hour, at most `cap`; none before `warm_up` such days.
    #[must_use]
    pub(super) fn evidence(&self, time: Timestamp, priors: &Priors, warm_up: f64, cap: f64) -> f64 {
        let (usual, days) = self.usual(time);
        // cheap test first: an hour active on half of the days is never evidence
        if days <= warm_up || usual * 2.0 >= days {
            return 0.0;
        }
        priors.evidence(Family::Hour, usual, days).clamp(0.0, cap)
    }

    /// Returns the mean number of active hours in an active day.
    #[must_use]
    pub(super) fn mean_of_day(&self) -> f64 {
        let active: f64 = self.bins.iter().map(|bin| bin.get()).sum();
        let days: f64 = self.days.iter().map(|days| days.get()).sum();
        if days > 0.0 { active / days } else { 0.0 }
    }

    /// Begins an active day.
    pub(super) fn begin_day(&mut self, time: Timestamp) {
        let class = class(time);
        self.today = 0;
        self.bins.iter_mut().skip(class * 24).take(24).for_each(|bin| *bin = bin.faded());
        if let Some(days) = self.days.get_mut(class) {
            *days = days.faded().and_one();
        }
    }

    /// Notes a use.
    pub(super) fn see(&mut self, time: Timestamp) {
        let hour = time.hour_of_day();
        let bit = 1 << hour;
        if self.today & bit != 0 {
            return;
        }
        self.today |= bit;
        if let Some(bin) = self.bins.get_mut(class(time) * 24 + hour) {
            *bin = bin.and_one();
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "exact on purpose")]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, HOUR};

    #[test]
    fn night_is_evidence_for_who_works_by_day() {
        let monday = Timestamp(4 * DAY); // 5 January 1970
        let mut hours = Hours::default();
        for day in (0..25).filter(|day| day % 7 < 5) {
            hours.begin_day(monday.plus(day * DAY));
            (9..17).for_each(|hour| hours.see(monday.plus(day * DAY + hour * HOUR)));
        }
        let at = |hour| {
            hours.evidence(monday.plus(28 * DAY + hour * HOUR), &Priors::default(), 1.5, 3.0)
        };
        assert!(at(3) > 2.5, "{}", at(3));
        assert_eq!((at(12), at(17), at(8)), (0.0, 0.0, 0.0));
        let sunday = monday.plus(34 * DAY + 3 * HOUR);
        assert_eq!(hours.evidence(sunday, &Priors::default(), 1.5, 3.0), 0.0);
    }
}
