//! Encodes a profile as bytes, and decodes it without loss.
//!
//! ```text
//! version (1 byte) | clock | days | hazards | 7 tables | hours | errors | place | pace | actors | told | class
//!     | turns | hours | word | story | rhythm | load | calendar | strangers | days' loads
//!
//! integers   4 bits that say how many times 4 bits follow; differences zigzag
//! days       14 bits
//! f32        a bit; if it is set, 32 bits
//! tables     length, then slots of key, weight, age in days: a bit says that the last two are those of the slot before
//! families   a bit mask, then what belongs to each family in it
//! ```
//!
//! Values are packed bit by bit, the lowest first, and only the last byte is padded: a profile of one day takes about
//! 160 bytes, a full one less than 1 KB (docs/detection.md, State size).

mod later;
#[cfg(test)]
mod tests;

use smol_str::SmolStr;

use crate::engine::geo::{Country, NetworkKind};
use crate::engine::profile::actor::{Actor, Actors, Tier, Voice};
use crate::engine::profile::bytes::{CodecError, Read, Reader, Writer};
use crate::engine::profile::calendar::Calendar;
use crate::engine::profile::family::{Evidence, Families, Family, Hazards};
use crate::engine::profile::hours::Hours;
use crate::engine::profile::pace::Pace;
use crate::engine::profile::signals::{country_key, country_of, kind_key, kind_of};
use crate::engine::profile::strangers::Strangers;
use crate::engine::profile::tables::{Slot, TABLES, Tables};
use crate::engine::profile::told::{Telling, Told};
use crate::engine::profile::travel::Fix;
use crate::engine::profile::{Profile, Story};
use crate::engine::stats::{Days, Maxima, Nats};
use crate::engine::time::Timestamp;

/// The version that is written.
const VERSION: u8 = 9;
/// No loads of whole days, which start empty.
const WITHOUT_DAY_LOADS: u8 = 8;
/// No calendar and no strangers: only the last day is known to be counted. Version 6 is read like it: it does not say
/// whether what was reported had been refused.
const WITHOUT_CALENDAR: u8 = 7;
/// Whole bytes.
const IN_BYTES: u8 = 5;
/// The version before: no rhythm and no loads, which start empty.
const WITHOUT_RHYTHM: u8 = 4;
/// The version before that: no words, and no story, whose score is counted once more.
const WITHOUT_WORDS: u8 = 3;
/// The version before that: no turns and hours, which start empty.
const WITHOUT_HOURS: u8 = 2;
/// The first version: no class, which the next day determines.
const WITHOUT_CLASS: u8 = 1;

impl Profile {
    /// Encodes the profile, usually in less than 1 KB.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::with_capacity(640);
        to.byte(VERSION);
        to.from(0, self.last.0);
        to.from(self.last.0, self.trusted.0);
        to.uint(self.late);
        to.uint(self.late_run);
        to.from(self.last.day(), self.day.into());
        to.uint(self.n_days);
        to.days(self.days);
        write_hazards(&mut to, &self.hazards);
        write_tables(&mut to, &self.tables, self.day);
        write_hours(&mut to, &self.hours);
        to.uint(self.max_gap_hours);
        self.errors.iter().for_each(|x| to.float(*x));
        self.errors_today.iter().for_each(|n| to.uint(*n));
        write_fix(&mut to, self.fix.as_ref(), self.last);
        write_pace(&mut to, &self.pace, self.last.hour());
        write_actors(&mut to, &self.actors, self.day);
        let base = i64::from(self.day) * 1440;
        [self.told_score, self.told_rate]
            .iter()
            .for_each(|voice| write_voice(&mut to, *voice, base));
        write_told(&mut to, &self.told, base);
        to.len(self.class.index());
        later::write_turns(&mut to, &self.turns, self.last);
        later::write_hourly(&mut to, &self.hourly, self.last.hour());
        to.uint(self.heard);
        write_story(&mut to, self.story, base);
        later::write_rhythm(&mut to, &self.rhythm, self.last);
        later::write_load(&mut to, &self.hourly.load);
        later::write_calendar(&mut to, self.calendar, self.day);
        later::write_strangers(&mut to, self.strangers, self.day);
        later::write_day_load(&mut to, &self.hourly.load);
        to.end()
    }

    /// Decodes what [`encode`](Self::encode) wrote, bit for bit the same.
    ///
    /// # Errors
    /// Bytes that are not a profile, or a profile of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        let mut from = Reader::new(bytes);
        let version = from.byte()?;
        if !(WITHOUT_CLASS..=VERSION).contains(&version) {
            return Err(CodecError::Version(version));
        }
        from.is_packed = version > IN_BYTES;
        let last = Timestamp(from.from(0)?);
        let trusted = Timestamp(from.from(last.0)?);
        let (late, late_run) = (from.uint()?, from.uint()?);
        let day = i32::try_from(from.from(last.day())?).map_err(|_| CodecError::Value("day"))?;
        let (n_days, days) = (from.uint()?, from.days()?);
        let hazards = read_hazards(&mut from)?;
        let base = i64::from(day) * 1440;
        let mut profile = Self {
            last,
            trusted,
            late,
            late_run,
            day,
            calendar: Calendar::default(),
            n_days,
            days,
            hazards,
            tables: read_tables(&mut from, day)?,
            hours: read_hours(&mut from)?,
            max_gap_hours: from.uint()?,
            errors: [from.float()?, from.float()?],
            errors_today: [from.uint()?, from.uint()?],
            fix: read_fix(&mut from, last)?,
            strangers: Strangers::default(),
            pace: read_pace(&mut from, last.hour(), version)?,
            actors: read_actors(&mut from, day)?,
            told_score: read_voice(&mut from, base)?,
            told_rate: read_voice(&mut from, base)?,
            told: read_told(&mut from, base)?,
            class: later::read_class(&mut from, version)?,
            turns: later::read_turns(&mut from, version, last)?,
            hourly: later::read_hourly(&mut from, version, last.hour())?,
            heard: if version <= WITHOUT_WORDS { 0 } else { from.uint()? },
            story: if version <= WITHOUT_WORDS { None } else { read_story(&mut from, base)? },
            rhythm: later::read_rhythm(&mut from, version, last)?,
        };
        profile.hourly.load = later::read_load(&mut from, version)?;
        profile.calendar = later::read_calendar(&mut from, version, day)?;
        profile.strangers = later::read_strangers(&mut from, version, day)?;
        later::read_day_load(&mut from, version, &mut profile.hourly.load)?;
        if from.is_at_end() { Ok(profile) } else { Err(CodecError::Length) }
    }
}

fn write_tables(to: &mut Writer, tables: &Tables, day: i32) {
    for (family, _) in TABLES {
        let slots = tables.of(family);
        to.len(slots.len());
        let mut before = None;
        for slot in slots {
            to.key(slot.key);
            let seen = (slot.weight, slot.day);
            // values seen on the same days, and those seen every day
            to.is(before == Some(seen));
            if before != Some(seen) {
                to.days(slot.weight);
                to.from(slot.day.into(), day.into());
            }
            before = Some(seen);
        }
    }
}

fn read_tables(from: &mut Reader<'_>, day: i32) -> Read<Tables> {
    let mut tables = Tables::roomy();
    for (family, most) in TABLES {
        let mut seen = (Days(0), day);
        for _ in 0..from.len(most)? {
            let key = from.key()?;
            if !(from.is_packed && from.is()?) {
                seen = (from.days()?, read_age(from, day)?);
            }
            if !tables.restore(family, Slot { key, weight: seen.0, day: seen.1 }) {
                return Err(CodecError::Value("table"));
            }
        }
    }
    Ok(tables.fitted())
}

fn read_age(from: &mut Reader<'_>, day: i32) -> Read<i32> {
    let age = from.from(0)?;
    i32::try_from(i64::from(day).wrapping_sub(age)).map_err(|_| CodecError::Value("day"))
}

fn write_hazards(to: &mut Writer, hazards: &Hazards) {
    hazards.days.iter().for_each(|days| to.days(*days));
    to.uint(hazards.routes);
    to.uint(hazards.today.0);
}

fn read_hazards(from: &mut Reader<'_>) -> Read<Hazards> {
    let mut hazards = Hazards::default();
    for days in &mut hazards.days {
        *days = from.days()?;
    }
    hazards.routes = from.uint()?;
    hazards.today = Families(from.uint()?);
    Ok(hazards)
}

fn write_hours(to: &mut Writer, hours: &Hours) {
    let mut before = Days(0);
    for bin in hours.bins {
        to.is(bin == before);
        if bin != before {
            to.days(bin);
        }
        before = bin;
    }
    hours.days.iter().for_each(|days| to.days(*days));
    to.uint(hours.today);
}

fn read_hours(from: &mut Reader<'_>) -> Read<Hours> {
    let mut hours = Hours::default();
    let active: u64 = if from.is_packed { 0 } else { from.uint()? };
    let mut before = Days(0);
    for (bin, at) in hours.bins.iter_mut().zip(0..) {
        if from.is_packed {
            *bin = if from.is()? { before } else { from.days()? };
        } else if active >> at & 1 == 1 {
            *bin = from.days()?;
        }
        before = *bin;
    }
    hours.days = [from.days()?, from.days()?];
    hours.today = from.uint()?;
    Ok(hours)
}

fn write_fix(to: &mut Writer, fix: Option<&Fix>, last: Timestamp) {
    let Some(fix) = fix else { return to.byte(0) };
    let has = |is: bool, bit: u8| u8::from(is) << bit;
    to.byte(
        1 | has(fix.degrees.is_some(), 1)
            | has(fix.country.is_some(), 2)
            | has(fix.asn.is_some(), 3)
            | has(fix.network.is_some(), 4),
    );
    to.from(fix.time.0, last.0);
    if let Some((north, east)) = fix.degrees {
        to.from(0, north.into());
        to.from(0, east.into());
    }
    to.uint(fix.radius_km);
    let _ = fix.country.map(|country| to.uint(country_key(country)));
    let _ = fix.asn.map(|asn| to.uint(asn));
    let _ = fix.network.map(|kind| to.uint(kind_key(kind)));
    to.len(fix.city.len());
    fix.city.bytes().for_each(|byte| to.byte(byte));
}

fn read_fix(from: &mut Reader<'_>, last: Timestamp) -> Read<Option<Fix>> {
    let flags = from.byte()?;
    if flags == 0 {
        return Ok(None);
    }
    let time = Timestamp(last.0.wrapping_sub(from.from(0)?));
    let mut degree = |is: bool| -> Read<i16> {
        let value = if is { from.from(0)? } else { 0 };
        i16::try_from(value).map_err(|_| CodecError::Value("place"))
    };
    let has_degrees = flags & 2 != 0;
    let degrees = (degree(has_degrees)?, degree(has_degrees)?);
    Ok(Some(Fix {
        time,
        degrees: has_degrees.then_some(degrees),
        radius_km: from.uint()?,
        country: if flags & 4 != 0 { Some(read_country(from)?) } else { None },
        asn: if flags & 8 != 0 { Some(from.uint()?) } else { None },
        network: if flags & 16 != 0 { Some(read_kind(from)?) } else { None },
        city: read_city(from)?,
    }))
}

fn read_country(from: &mut Reader<'_>) -> Read<Country> {
    country_of(from.uint()?).ok_or(CodecError::Value("country"))
}

fn read_kind(from: &mut Reader<'_>) -> Read<NetworkKind> {
    kind_of(from.uint()?).ok_or(CodecError::Value("network"))
}

fn read_city(from: &mut Reader<'_>) -> Read<SmolStr> {
    let mut city = Vec::new();
    for _ in 0..from.len(64)? {
        city.push(from.byte()?);
    }
    std::str::from_utf8(&city).map(SmolStr::new).map_err(|_| CodecError::Value("city"))
}

fn write_pace(to: &mut Writer, pace: &Pace, hour: i64) {
    to.from(hour, pace.hour);
    if pace.hour == i64::MIN {
        return;
    }
    to.from(pace.born, pace.hour);
    to.uint(pace.hours);
    to.uint(pace.days);
    let has_early = pace.early > 0;
    to.byte(pace.five.0 | u8::from(has_early) << 7);
    to.uint(pace.five.1);
    if has_early {
        to.uint(pace.early);
    }
    to.float(pace.squares);
    to.uint(pace.in_hour);
    to.uint(pace.in_day);
    if pace.hours == 0 && *pace == pace.unlearned() {
        return to.is(false);
    }
    to.is(true);
    pace.hod.iter().chain(&pace.dow).for_each(|factor| to.uint(*factor));
    let Maxima { mean, variance, days } = pace.maxima;
    let floats = [pace.level, mean, variance, pace.peak, pace.learned, pace.expected];
    floats.iter().chain(&pace.excess).chain(&pace.day_excess).for_each(|x| to.float(*x));
    to.float(pace.five_excess);
    to.uint(days);
    for (count, expected) in pace.before {
        to.uint(count);
        to.float(expected);
    }
    to.from(pace.cut.0, pace.hour.div_euclid(24));
    to.float(pace.cut.1);
    pace.limits.iter().for_each(|limit| to.uint(limit.wrapping_add(1))); // MAX, the usual, as 0
}

fn read_pace(from: &mut Reader<'_>, hour: i64, version: u8) -> Read<Pace> {
    let hour = from.from(hour)?;
    let mut pace = Pace { hour, ..Pace::default() };
    if hour == i64::MIN {
        return Ok(pace);
    }
    let born = hour.wrapping_sub(from.from(0)?);
    // Clocks that were turned back before anything was counted once left it unborn.
    pace.born = if born == i64::MIN { hour } else { born };
    (pace.hours, pace.days) = (from.uint()?, from.uint()?);
    let five = from.byte()?;
    pace.five = (five & 0x7f, from.uint()?);
    pace.early = if five >> 7 == 1 { from.uint()? } else { 0 };
    pace.squares = from.float()?;
    (pace.in_hour, pace.in_day) = (from.uint()?, from.uint()?);
    if !from.is()? {
        return Ok(pace);
    }
    for factor in pace.hod.iter_mut().chain(&mut pace.dow) {
        *factor = if from.is_packed { from.uint()? } else { from.short()? };
    }
    let Maxima { mean, variance, days } = &mut pace.maxima;
    let floats =
        [&mut pace.level, mean, variance, &mut pace.peak, &mut pace.learned, &mut pace.expected];
    for float in floats.into_iter().chain(&mut pace.excess).chain(&mut pace.day_excess) {
        *float = from.float()?;
    }
    pace.five_excess = from.float()?;
    *days = from.uint()?;
    for (count, expected) in &mut pace.before {
        (*count, *expected) = (from.uint()?, from.float()?);
    }
    if version > WITHOUT_WORDS {
        pace.cut = (pace.hour.div_euclid(24).wrapping_sub(from.from(0)?), from.float()?);
    }
    for limit in &mut pace.limits {
        *limit = from.uint::<u32>()?.wrapping_sub(1);
    }
    Ok(pace)
}

/// The step from one outcome to the next in an encoded report.
const TIERS: usize = Tier::ALL.len();

fn write_voice(to: &mut Writer, voice: Voice, base: i64) {
    let tier = Tier::ALL.iter().position(|tier| *tier == voice.tier).unwrap_or(0);
    to.len(tier + TIERS * (usize::from(voice.is_refused) + 2 * usize::from(voice.is_own)));
    if voice != Voice::default() {
        to.from(voice.minute, base);
    }
}

fn read_voice(from: &mut Reader<'_>, base: i64) -> Read<Voice> {
    let at = from.len(4 * TIERS - 1)?;
    let tier = Tier::ALL.get(at % TIERS).copied().unwrap_or_default();
    if at == 0 {
        return Ok(Voice::default());
    }
    let (is_refused, is_own) = (at / TIERS % 2 == 1, at / TIERS / 2 == 1);
    Ok(Voice { tier, minute: base.wrapping_sub(from.from(0)?), is_refused, is_own })
}

/// Writes the score plus one, so that 0 means none, and when the story began.
fn write_story(to: &mut Writer, story: Option<Story>, base: i64) {
    to.uint(story.map_or(0, |story| u64::from(story.score.0) + 1));
    let _ = story.map(|story| to.from(story.minute, base));
}

fn read_story(from: &mut Reader<'_>, base: i64) -> Read<Option<Story>> {
    let score: u64 = from.uint()?;
    let Some(score) = score.checked_sub(1) else { return Ok(None) };
    let score = Nats(u8::try_from(score).map_err(|_| CodecError::Value("score"))?);
    Ok(Some(Story { score, minute: base.wrapping_sub(from.from(0)?) }))
}

fn write_actors(to: &mut Writer, actors: &Actors, day: i32) {
    let base = i64::from(day) * 1440;
    to.len(actors.0.len());
    for actor in &actors.0 {
        to.bits(actor.key, 32);
        to.from(actor.day.into(), day.into());
        let flags = u64::from(actor.is_day_counted) << 1 | u64::from(actor.is_suspect);
        to.uint(u64::from(actor.days) << 2 | flags);
        write_voice(to, actor.told, base);
        let families = actor.evidence.families();
        to.uint(families.0);
        if families != Families::default() {
            to.from(actor.since, base);
        }
        families.iter().for_each(|family| to.byte(actor.evidence.get(family).0));
        to.uint(actor.requests);
        to.uint(actor.errors);
        to.set(actor.routes);
    }
}

fn read_actors(from: &mut Reader<'_>, day: i32) -> Read<Actors> {
    let base = i64::from(day) * 1440;
    let n_actors = from.len(Actors::SLOTS)?;
    let mut actors = Actors(Vec::with_capacity(n_actors));
    for _ in 0..n_actors {
        let key = from.word()?;
        let last = read_age(from, day)?;
        let state: u64 = from.uint()?;
        let told = read_voice(from, base)?;
        let families = Families(from.uint()?);
        let since =
            if families == Families::default() { 0 } else { base.wrapping_sub(from.from(0)?) };
        let mut evidence = Evidence::default();
        for family in families.iter() {
            evidence.raise(family, Nats(from.byte()?));
        }
        if evidence.families() != families || families.0 >> Family::COUNT != 0 {
            return Err(CodecError::Value("evidence"));
        }
        actors.0.push(Actor {
            key,
            day: last,
            days: u8::try_from(state >> 2).map_err(|_| CodecError::Value("actor"))?,
            is_day_counted: state & 2 == 2,
            is_suspect: state & 1 == 1,
            told,
            since,
            evidence,
            requests: from.uint()?,
            errors: from.uint()?,
            routes: if from.is_packed { from.set()? } else { from.uint()? },
        });
    }
    Ok(actors)
}

/// Writes each time as the difference from the one before: reports cluster in time.
fn write_told(to: &mut Writer, told: &Told, base: i64) {
    to.len(told.0.len());
    let mut before = base;
    for telling in &told.0 {
        to.bits(telling.key, 32);
        to.from(telling.minute, before);
        to.uint(telling.silent);
        before = telling.minute;
    }
}

fn read_told(from: &mut Reader<'_>, base: i64) -> Read<Told> {
    let n_told = from.len(Told::SLOTS)?;
    let mut told = Told(Vec::with_capacity(n_told));
    let mut before = base;
    for _ in 0..n_told {
        let key = from.word()?;
        let minute = before.wrapping_sub(from.from(0)?);
        told.0.push(Telling { key, minute, silent: from.uint()? });
        before = if from.is_packed { minute } else { base };
    }
    Ok(told)
}
