//! The roll of all logs: which of them had lines in which hours, so that a log without new lines is noticed.
//!
//! Time is that of the lines. An hour in which no log had a line does not count: while a whole site is idle, or nothing
//! can be read, no log is missing. The state is sets of hours, so the order in which logs are read does not matter, as
//! long as the check comes after all of them.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, format_smolstr};

use super::hours::{Hours, KEPT};
use crate::engine::detect::{Eye, Health, Strain, Unheard};
use crate::engine::incident::Desk;
use crate::engine::pulse::{Pulse, Window};
use crate::engine::time::{DAY, HOUR, Timestamp};

/// The most logs on the roll; the one whose latest line is oldest goes first.
const MAX_LOGS: usize = 4096;

/// A week of a log, which determines what is usual.
const WEEK_HOURS: i64 = 7 * 24;

/// All logs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Roll {
    /// Hours in which any log had lines.
    site: Hours,
    /// By principal.
    logs: BTreeMap<SmolStr, Heard>,
    /// What is, or was, too far off.
    #[serde(default)]
    strains: BTreeMap<SmolStr, Spell>,
    /// It differs from its stored form.
    #[serde(skip)]
    is_changed: bool,
    /// The current hour of the latest check for silent logs.
    #[serde(skip)]
    looked: Option<i64>,
}

/// One log.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Heard {
    hours: Hours,
    /// Its newest hour when its silence was reported.
    told: Option<i64>,
    /// The hour of its first line; `None` if that is long ago.
    #[serde(default)]
    began: Option<i64>,
    /// It continues another log, which has ended.
    #[serde(default)]
    continues: bool,
    /// Its newest hour when another log of its source continued it: it has ended, and is not silent.
    #[serde(default)]
    ended: Option<i64>,
    /// The daemon follows it; it is not from a finished replay.
    #[serde(default)]
    is_followed: bool,
    desk: Desk,
}

/// Something that was too far off.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Spell {
    is_open: bool,
    desk: Desk,
}

impl Heard {
    /// Notes an hour with a line; returns whether it is new.
    fn note(&mut self, hour: i64) -> bool {
        self.began = self.began.map(|began| began.min(hour));
        self.hours.note(hour)
    }
}

impl Roll {
    /// Returns what has begun to be too far off, among all current measurements. Anything that is no longer measured,
    /// such as a log that is not followed, counts as no longer off.
    pub fn strained<'a>(&mut self, strains: &'a [Strain], params: &Health) -> Vec<&'a Strain> {
        let name = |strain: &Strain| name_of(strain.eye, &strain.principal);
        let seen: BTreeSet<SmolStr> = strains.iter().map(name).collect();
        for (_, spell) in self.strains.iter_mut().filter(|(name, _)| !seen.contains(*name)) {
            self.is_changed |= std::mem::take(&mut spell.is_open);
        }
        if self.strains.len() > MAX_LOGS {
            self.strains.retain(|_, spell| spell.is_open);
        }
        let mut begun = Vec::new();
        for strain in strains {
            let is_strained = params.is_strained(strain);
            let name = name_of(strain.eye, &strain.principal);
            let was = self.strains.get(&name).is_some_and(|spell| spell.is_open);
            if was == is_strained {
                continue;
            }
            self.strains.entry(name).or_default().is_open = is_strained;
            self.is_changed = true;
            begun.extend(is_strained.then_some(strain));
        }
        begun
    }

    /// Returns what was reported about something that is too far off.
    pub fn spell(&mut self, strain: &Strain) -> Option<&mut Desk> {
        Some(&mut self.strains.get_mut(&name_of(strain.eye, &strain.principal))?.desk)
    }

    /// Returns whether a log was read too late at its latest measurement.
    #[must_use]
    pub fn is_late(&self, principal: &SmolStr) -> bool {
        let spell = self.strains.get(&name_of(Eye::Lag, principal));
        spell.is_some_and(|spell| spell.is_open)
    }

    /// Returns the logs that were read too late at their latest measurement.
    pub fn late(&self) -> impl Iterator<Item = &str> {
        let open = self.strains.iter().filter(|(_, spell)| spell.is_open);
        open.filter_map(|(name, _)| name.strip_prefix(LAG))
    }

    /// Unpacks the stored form; `None` if it is damaged or of a later version.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// Packs the roll, if it has changed since the last time.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        let is_changed = std::mem::take(&mut self.is_changed);
        is_changed.then(|| serde_json::to_vec(self).unwrap_or_default())
    }

    /// Returns whether the roll has changed since it was packed.
    #[must_use]
    pub const fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Notes when a log had lines, readable or not. Lines from more than a day after `now` have a wrong clock and are
    /// ignored.
    pub fn hear(&mut self, principal: &SmolStr, pulse: &Pulse, window: &Window, now: Timestamp) {
        let else_at = window.newest().unwrap_or(now);
        let mut last = None;
        for stretch in pulse.stretches() {
            let time = stretch.time.unwrap_or(else_at);
            let hour = time.hour();
            if last == Some(hour) || time > now.plus(DAY) {
                continue;
            }
            last = Some(hour);
            self.is_changed |= self.site.note(hour);
            self.is_changed |= match self.logs.get_mut(principal) {
                Some(log) => log.note(hour),
                None => self.begin(principal, hour).note(hour),
            };
        }
    }

    fn begin(&mut self, principal: &SmolStr, hour: i64) -> &mut Heard {
        self.make_room();
        let new = || Heard { began: Some(hour), ..Heard::default() };
        self.logs.entry(principal.clone()).or_insert_with(new)
    }

    fn make_room(&mut self) {
        if self.logs.len() < MAX_LOGS {
            return;
        }
        let oldest = self.logs.iter().min_by_key(|(_, log)| log.hours.newest());
        if let Some(name) = oldest.map(|(name, _)| name.clone()) {
            self.logs.remove(&name);
        }
    }

    /// Forgets the logs that are no longer followed, and marks the others as followed.
    pub fn retain(&mut self, is_followed: impl Fn(&str) -> bool) {
        let n_before = self.logs.len();
        self.logs.retain(|principal, _| is_followed(principal));
        self.is_changed |= self.logs.len() < n_before;
        for log in self.logs.values_mut() {
            self.is_changed |= !std::mem::replace(&mut log.is_followed, true);
        }
    }

    /// Marks a log as followed.
    pub fn follow(&mut self, principal: &str) {
        if let Some(log) = self.logs.get_mut(principal) {
            self.is_changed |= !std::mem::replace(&mut log.is_followed, true);
        }
    }

    /// Returns whether a log is followed.
    #[must_use]
    pub fn is_followed(&self, principal: &str) -> bool {
        self.logs.get(principal).is_some_and(|log| log.is_followed)
    }

    /// Returns the details of a log's silence, if it has fallen silent.
    #[must_use]
    pub fn unheard(&self, principal: &str, params: &Health) -> Option<Unheard> {
        let log = self.logs.get(principal)?;
        let last = log.hours.newest().filter(|last| log.ended != Some(*last))?;
        let now = self.site.newest().filter(|now| now.saturating_sub(last) < KEPT)?;
        let (heard, of, longest) = self.week(log, last)?;
        let wait = params.patience(heard, of, longest)?;
        let since = (last + 1..now).filter(|hour| self.site.has(*hour));
        let hours = u32::try_from(since.count()).unwrap_or(u32::MAX);
        // The hour at whose start it became news: that of the first line after the last silent hour.
        let mut behind = (last + 1..=now).filter(|hour| self.site.has(*hour));
        let due = behind.nth(usize::try_from(wait).ok()?)?;
        let (last, time) = (after(last), Timestamp(due.saturating_mul(HOUR)));
        Some(Unheard { hours, wait, heard, of, longest, last, time })
    }

    /// Returns for a log's last week the number of hours with its lines, the number of hours with any log's lines, and
    /// its longest pause among the latter. Returns `None` if it is not known for that long.
    fn week(&self, log: &Heard, last: i64) -> Option<(u32, u32, u32)> {
        let began = last.saturating_sub(WEEK_HOURS);
        (last.saturating_sub(KEPT)..=began).rev().find(|hour| log.hours.has(*hour))?;
        let (mut heard, mut of, mut pause, mut longest) = (0, 0, 0, 0);
        for hour in (began + 1..=last).filter(|hour| self.site.has(*hour)) {
            of += 1;
            pause += 1;
            if log.hours.has(hour) {
                heard += 1;
                pause = 0;
            }
            longest = longest.max(pause);
        }
        Some((heard, of, longest))
    }

    /// Returns the logs that have fallen silent since the last check, among those that should have more lines. Checks
    /// only once another hour has begun. A log that another one of its source (`source_of`) continues has ended: that
    /// of a container or a month.
    pub fn missing(
        &mut self,
        has_more: impl Fn(&str) -> bool,
        source_of: impl Fn(&str) -> Option<usize>,
        params: &Health,
    ) -> Vec<(SmolStr, Unheard)> {
        let now = self.site.newest();
        if std::mem::replace(&mut self.looked, now) == now {
            return Vec::new();
        }
        let is_told = |log: &Heard| log.told.is_some() && log.told == log.hours.newest();
        let names = self.logs.iter().filter(|(name, log)| !is_told(log) && has_more(name));
        let silent =
            names.filter_map(|(name, _)| Some((name.clone(), self.unheard(name, params)?)));
        let mut silent: Vec<(SmolStr, Unheard)> = silent.collect();
        // The first to be missed comes first, also if several are found at once.
        silent.sort_by(|(a, one), (b, other)| (one.time, a).cmp(&(other.time, b)));
        silent.retain(|(name, found)| !self.end(name, found.time, &source_of));
        silent
    }

    /// Notes that a silent log has ended, if another log of its source began when it ended (an hour before its last
    /// line at the earliest), and before its silence was news. Each log continues one. Returns whether it has ended.
    fn end(
        &mut self,
        name: &SmolStr,
        news: Timestamp,
        source_of: impl Fn(&str) -> Option<usize>,
    ) -> bool {
        let last = self.logs.get(name).and_then(|log| log.hours.newest());
        let (Some(source), Some(last)) = (source_of(name), last) else { return false };
        let period = last.saturating_sub(1)..news.hour();
        let continues = |other: &SmolStr, log: &Heard| {
            let is_new = !log.continues && log.began.is_some_and(|began| period.contains(&began));
            is_new && other != name && source_of(other) == Some(source)
        };
        let next = self.logs.iter_mut().filter(|(other, log)| continues(other, log));
        let Some((_, next)) = next.min_by_key(|(_, log)| log.began) else { return false };
        next.continues = true;
        if let Some(log) = self.logs.get_mut(name) {
            log.ended = Some(last);
        }
        self.is_changed = true;
        true
    }

    /// Notes that a log's silence is reported, and returns what was reported about the log.
    pub fn tell(&mut self, principal: &str) -> Option<&mut Desk> {
        let log = self.logs.get_mut(principal)?;
        log.told = log.hours.newest();
        self.is_changed = true;
        Some(&mut log.desk)
    }
}

/// The prefix of the spells of lag.
const LAG: &str = "lag ";

/// Returns the name of a spell: clock and lag of a log are separate.
fn name_of(eye: Eye, principal: &SmolStr) -> SmolStr {
    if eye == Eye::Lag { format_smolstr!("{LAG}{principal}") } else { principal.clone() }
}

/// The end of an hour.
const fn after(hour: i64) -> Timestamp {
    Timestamp(hour.saturating_add(1).saturating_mul(HOUR))
}
