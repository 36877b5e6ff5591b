//! The parts of a profile that later versions added.

use super::{
    CodecError, Read, Reader, WITHOUT_CALENDAR, WITHOUT_CLASS, WITHOUT_DAY_LOADS, WITHOUT_HOURS,
    WITHOUT_RHYTHM, Writer,
};
use crate::engine::profile::actor::minute;
use crate::engine::profile::calendar::Calendar;
use crate::engine::profile::fan::Fan;
use crate::engine::profile::hourly::Hourly;
use crate::engine::profile::load::Load;
use crate::engine::profile::peers::Class;
use crate::engine::profile::silence::Rhythm;
use crate::engine::profile::strangers::Strangers;
use crate::engine::profile::turns::{Net, Spot, Turns};
use crate::engine::profile::volume::Volume;
use crate::engine::stats::{Days, Most};
use crate::engine::time::{SECOND, Timestamp};

pub(super) fn read_class(from: &mut Reader<'_>, version: u8) -> Read<Class> {
    if version == WITHOUT_CLASS {
        return Ok(Class::default());
    }
    let at = from.len(Class::ALL.len() - 1)?;
    Ok(Class::ALL.get(at).copied().unwrap_or_default())
}

/// The flag of a place whose run is stored in seconds; without it, only the minute of the last use is.
const IN_SECONDS: u8 = 8;

fn second(time: Timestamp) -> i64 {
    time.0.div_euclid(SECOND)
}

pub(super) fn write_turns(to: &mut Writer, turns: &Turns, last: Timestamp) {
    to.uint(u64::from(turns.habit.0) << 1 | u64::from(turns.is_counted));
    to.len(turns.recent.len());
    for spot in &turns.recent {
        let (sort, number) = spot.net.parts();
        to.byte(IN_SECONDS | u8::from(spot.is_strange) << 2 | sort);
        to.bits(number, 24);
        to.bits(spot.country, 16);
        to.bits(spot.client, 16);
        to.from(spot.last, second(last));
        to.from(spot.since, spot.last);
    }
}

pub(super) fn read_turns(from: &mut Reader<'_>, version: u8, last: Timestamp) -> Read<Turns> {
    let mut turns = Turns::default();
    if version <= WITHOUT_HOURS {
        return Ok(turns);
    }
    let habit: u64 = from.uint()?;
    turns.is_counted = habit & 1 == 1;
    turns.habit = Days(u16::try_from(habit >> 1).map_err(|_| CodecError::Value("days"))?);
    let n_recent = from.len(Turns::SLOTS)?;
    turns.recent.reserve_exact(n_recent);
    for _ in 0..n_recent {
        let flags = from.byte()?;
        if flags > IN_SECONDS | 7 {
            return Err(CodecError::Value("turn"));
        }
        let number = u32::from(from.short()?) | u32::from(from.byte()?) << 16;
        let mut spot = Spot {
            net: Net::from_parts(flags, number),
            country: from.short()?,
            client: from.short()?,
            since: 0,
            last: 0,
            is_strange: flags & 4 != 0,
        };
        let age = from.from(0)?;
        if flags & IN_SECONDS == 0 {
            spot.last = minute(last).wrapping_sub(age).wrapping_mul(60);
            spot.since = spot.last;
        } else {
            spot.last = second(last).wrapping_sub(age);
            spot.since = spot.last.wrapping_sub(from.from(0)?);
        }
        turns.recent.push(spot);
    }
    Ok(turns)
}

pub(super) fn write_hourly(to: &mut Writer, hourly: &Hourly, hour: i64) {
    to.from(hour, hourly.hour);
    if hourly.hour == i64::MIN {
        return;
    }
    let Fan { bits, requests, before, top, weeks, days, whole_weeks } = &hourly.fan;
    to.set(*bits);
    to.uint(*requests);
    to.uint(before.0);
    to.uint(before.1);
    top.iter().chain(weeks).for_each(|count| to.uint(*count));
    to.byte(whole_weeks << 4 | days & 15);
    let Volume { in_hour, in_day, most, hours, days } = &hourly.volume;
    to.uint(*in_hour);
    to.uint(*in_day);
    to.uint(*most);
    to.uint(days.days); // the hours' are as many
    if days.days > 0 {
        [hours, days].into_iter().for_each(|most| write_most(to, most));
    }
}

fn write_most(to: &mut Writer, most: &Most) {
    [most.mean, most.variance, most.peak].into_iter().for_each(|of| to.bits(of, 16));
}

fn read_most(from: &mut Reader<'_>, days: u16) -> Read<Most> {
    let mut of = || if from.is_packed { from.short() } else { from.uint() };
    Ok(Most { mean: of()?, variance: of()?, peak: of()?, days })
}

pub(super) fn read_hourly(from: &mut Reader<'_>, version: u8, hour: i64) -> Read<Hourly> {
    let mut hourly = Hourly::default();
    if version <= WITHOUT_HOURS {
        return Ok(hourly);
    }
    hourly.hour = from.from(hour)?;
    if hourly.hour == i64::MIN {
        return Ok(hourly);
    }
    let fan = &mut hourly.fan;
    fan.bits = if from.is_packed { from.set()? } else { from.word64()? };
    (fan.requests, fan.before) = (from.uint()?, (from.uint()?, from.uint()?));
    for count in fan.top.iter_mut().chain(&mut fan.weeks) {
        *count = from.uint()?;
    }
    let weeks = from.byte()?;
    (fan.days, fan.whole_weeks) = (weeks & 15, weeks >> 4);
    let volume = &mut hourly.volume;
    (volume.in_hour, volume.in_day, volume.most) = (from.uint()?, from.uint()?, from.uint()?);
    let days: u16 = from.uint()?;
    if days > 0 {
        for of in [&mut volume.hours, &mut volume.days] {
            *of = read_most(from, days)?;
        }
    }
    Ok(hourly)
}

pub(super) fn write_rhythm(to: &mut Writer, rhythm: &Rhythm, last: Timestamp) {
    let Rhythm { beat, days, day, pause, wait, token, is_renewed, ends, is_told } = *rhythm;
    to.uint(days);
    if days == 0 {
        return;
    }
    to.uint(beat);
    to.from(last.day(), day.into());
    to.uint(pause);
    to.uint(wait);
    to.bits(token, 16);
    to.byte(u8::from(ends.is_some()) << 2 | u8::from(is_renewed) << 1 | u8::from(is_told));
    let _ = ends.map(|ends| to.from(last.seconds(), ends));
}

pub(super) fn read_rhythm(from: &mut Reader<'_>, version: u8, last: Timestamp) -> Read<Rhythm> {
    let mut rhythm = Rhythm::default();
    if version <= WITHOUT_RHYTHM {
        return Ok(rhythm);
    }
    rhythm.days = from.uint()?;
    if rhythm.days == 0 {
        return Ok(rhythm);
    }
    rhythm.beat = from.uint()?;
    let day = i32::try_from(from.from(last.day())?);
    rhythm.day = day.map_err(|_| CodecError::Value("day"))?;
    (rhythm.pause, rhythm.wait) = (from.uint()?, from.uint()?);
    rhythm.token = from.short()?;
    let flags = from.byte()?;
    if flags > 7 {
        return Err(CodecError::Value("rhythm"));
    }
    (rhythm.is_renewed, rhythm.is_told) = (flags & 2 != 0, flags & 1 != 0);
    rhythm.ends = if flags & 4 != 0 { Some(from.from(last.seconds())?) } else { None };
    Ok(rhythm)
}

pub(super) fn write_load(to: &mut Writer, load: &Load) {
    let Load { five, in_hour, today, past, .. } = load;
    to.uint(five.0);
    to.uint(five.1);
    to.uint(*in_hour);
    today.iter().for_each(|most| to.uint(*most));
    let days = past.iter().map(|most| most.days).max().unwrap_or(0);
    to.uint(days); // both are as many
    if days > 0 {
        past.iter().for_each(|most| write_most(to, most));
    }
}

pub(super) fn read_load(from: &mut Reader<'_>, version: u8) -> Read<Load> {
    let mut load = Load::default();
    if version <= WITHOUT_RHYTHM {
        return Ok(load);
    }
    load.five = (from.uint()?, from.uint()?);
    load.in_hour = from.uint()?;
    load.today = [from.uint()?, from.uint()?];
    let days: u16 = from.uint()?;
    if days > 0 {
        for most in &mut load.past {
            *most = read_most(from, days)?;
        }
    }
    Ok(load)
}

pub(super) fn write_day_load(to: &mut Writer, load: &Load) {
    to.uint(load.in_day);
    to.uint(load.days.days);
    if load.days.days > 0 {
        write_most(to, &load.days);
    }
}

pub(super) fn read_day_load(from: &mut Reader<'_>, version: u8, load: &mut Load) -> Read<()> {
    if version <= WITHOUT_DAY_LOADS {
        return Ok(());
    }
    load.in_day = from.uint()?;
    let days = from.uint()?;
    if days > 0 {
        load.days = read_most(from, days)?;
    }
    Ok(())
}

pub(super) fn write_calendar(to: &mut Writer, calendar: Calendar, day: i32) {
    to.from(day.into(), calendar.newest.into());
    to.uint(calendar.before);
}

/// Reads the calendar; of an earlier version only the last active day is known to be counted.
pub(super) fn read_calendar(from: &mut Reader<'_>, version: u8, day: i32) -> Read<Calendar> {
    if version <= WITHOUT_CALENDAR {
        return Ok(Calendar { newest: day, before: 0 });
    }
    let newest = i32::try_from(from.from(day.into())?).map_err(|_| CodecError::Value("day"))?;
    Ok(Calendar { newest, before: from.uint()? })
}

pub(super) fn write_strangers(to: &mut Writer, strangers: Strangers, day: i32) {
    let Strangers { day: last, today, past } = strangers;
    to.uint(today);
    to.uint(past.to_bits());
    if today != 0 || past != 0.0 {
        to.from(day.into(), last.into());
    }
}

pub(super) fn read_strangers(from: &mut Reader<'_>, version: u8, day: i32) -> Read<Strangers> {
    if version <= WITHOUT_CALENDAR {
        return Ok(Strangers::default());
    }
    let (today, past) = (from.uint()?, f32::from_bits(from.uint()?));
    if today == 0 && past == 0.0 {
        return Ok(Strangers::default());
    }
    let last = i32::try_from(from.from(day.into())?).map_err(|_| CodecError::Value("day"))?;
    Ok(Strangers { day: last, today, past })
}
