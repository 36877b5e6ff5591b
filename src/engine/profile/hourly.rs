//! What an hour brings: requests, neighbourhoods and bytes.
//!
//! Only accepted uses count. The hour and the day are those of the clock, UTC.

use crate::engine::profile::actor::distinct;
use crate::engine::profile::fan::{Fan, Spread};
use crate::engine::profile::load::{Load, Peak};
use crate::engine::profile::params::Params;
use crate::engine::profile::signals::{Placed, Signals};
use crate::engine::profile::volume::{Flood, Volume};
use crate::engine::profile::{Family, Profile};
use crate::engine::stats::key;
use crate::engine::time::{HOUR, Timestamp};

/// One principal's hours.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hourly {
    /// The hour that is being counted, since 1970.
    pub hour: i64,
    pub fan: Fan,
    pub volume: Volume,
    pub load: Load,
}

impl Default for Hourly {
    fn default() -> Self {
        Self {
            hour: i64::MIN,
            fan: Fan::default(),
            volume: Volume::default(),
            load: Load::default(),
        }
    }
}

impl Hourly {
    /// Ends the hours before this one.
    fn roll(&mut self, hour: i64) {
        if hour <= self.hour {
            return;
        }
        if self.hour > i64::MIN {
            self.fan.end_hour();
            if hour > self.hour.saturating_add(1) {
                self.fan.idle();
            }
            self.volume.end_hour();
            self.load.end_hour();
            if hour.div_euclid(24) != self.hour.div_euclid(24) {
                self.fan.end_day();
                self.volume.end_day();
                self.load.end_day();
            }
        }
        self.hour = hour;
    }

    /// Turns a clock that was wrong back, and starts the hour and the day again.
    pub(super) fn turn_back(&mut self, hour: i64) {
        self.hour = self.hour.min(hour);
        (self.fan.bits, self.fan.requests, self.fan.before, self.fan.top) = (0, 0, (0, 0), [0; 2]);
        (self.volume.in_hour, self.volume.in_day, self.volume.most) = (0, 0, 0);
        self.load.turn_back();
    }

    /// Returns a copy with one more usage.
    fn with(&self, signals: &Signals, seen: &Placed<'_>) -> Self {
        let mut next = self.clone();
        next.count(signals, seen);
        next
    }

    fn count(&mut self, signals: &Signals, seen: &Placed<'_>) {
        self.roll(signals.time.hour());
        self.fan.count(bit_of(signals, seen));
        if signals.novel.has(Family::Prefix) && signals.explained.has(Family::Prefix) {
            self.fan.accept();
        }
        self.volume.count(seen.usage.bytes);
        self.load.count(signals.time.max(Timestamp(self.hour.saturating_mul(HOUR))));
    }
}

/// Returns the counter's bit for a neighbourhood. For IPv6 it is the operator's, where known: privacy addresses and
/// phones change their prefixes all the time.
fn bit_of(signals: &Signals, seen: &Placed<'_>) -> Option<u64> {
    let is_v6 = seen.prefix?.address().is_ipv6();
    let network = signals.keys.network.filter(|_| is_v6);
    let value = network.or(signals.keys.prefix)?;
    Some(1 << (key(&[&value.to_le_bytes()]) % 64))
}

impl Profile {
    /// Returns whether an accepted usage makes this hour stand out, by neighbourhoods, bytes or requests.
    pub(super) fn compare_hour(
        &self,
        signals: &Signals,
        seen: &Placed<'_>,
        params: &Params,
    ) -> (Option<Spread>, Option<Flood>, Option<Peak>) {
        if !signals.is_accepted {
            return (None, None, None);
        }
        let hourly = self.hourly.with(signals, seen);
        let is_new = signals.novel.has(Family::Routes);
        let answer = is_new.then_some(seen.usage.bytes);
        (
            hourly.fan.spread(distinct(hourly.fan.bits), &params.fan_out),
            hourly.volume.flood(answer, &params.volume),
            hourly.load.peak(&params.rate, params.caps.rate),
        )
    }

    /// Counts an accepted usage.
    pub(super) fn note_hour(&mut self, signals: &Signals, seen: &Placed<'_>) {
        if signals.is_accepted {
            self.hourly.count(signals, seen);
        }
    }
}
