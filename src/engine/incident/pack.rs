//! A desk as bytes, and back without loss: a tenth of its size as JSON.

use smol_str::SmolStr;

use super::{Desk, MAX_MAILED, MAX_TOLD, Open, Told};
use crate::engine::alert::{Incident, Level};
use crate::engine::profile::{CodecError, Read, Reader, Writer};
use crate::engine::time::Timestamp;

/// The version that is written. What begins with a brace is JSON, as it was before.
const VERSION: u8 = 2;
/// The one before: of an open incident only the level that was mailed.
const WITHOUT_MAILED: u8 = 1;

impl Desk {
    /// Packs the desk; an empty desk becomes no bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut to = Writer::with_capacity(128);
        to.byte(VERSION);
        to.is(self.open.is_some());
        let _ = self.open.as_ref().map(|open| write_open(&mut to, open));
        to.len(self.told.len());
        let mut before = self.began();
        for Told { key, until, level } in &self.told {
            to.word64(*key);
            to.from(before.0, until.0);
            to.len(level_at(*level));
            before = *until;
        }
        to.end()
    }

    /// Unpacks what [`encode`](Self::encode) packed, or JSON.
    ///
    /// # Errors
    /// Returns an error if the bytes are of a later version, or damaged.
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        match bytes {
            [] => return Ok(Self::default()),
            [b'{', ..] => {
                return serde_json::from_slice(bytes).map_err(|_| CodecError::Value("desk"));
            }
            _ => {}
        }
        let mut from = Reader::new(bytes);
        let version = from.byte()?;
        if ![VERSION, WITHOUT_MAILED].contains(&version) {
            return Err(CodecError::Version(version));
        }
        let open = if from.is()? { Some(read_open(&mut from, version)?.into()) } else { None };
        let n_told = from.len(MAX_TOLD)?;
        let mut desk = Self { open, told: Vec::with_capacity(n_told) };
        let mut before = desk.began();
        for _ in 0..n_told {
            let key = from.word64()?;
            let until = Timestamp(from.from(before.0)?);
            desk.told.push(Told { key, until, level: read_level(&mut from)? });
            before = until;
        }
        if from.is_at_end() { Ok(desk) } else { Err(CodecError::Length) }
    }

    /// The base of the first time.
    fn began(&self) -> Timestamp {
        self.open.as_ref().map_or(Timestamp(0), |open| open.incident.opened)
    }
}

fn level_at(level: Level) -> usize {
    Level::ALL.iter().position(|of| *of == level).unwrap_or(0)
}

fn read_level(from: &mut Reader<'_>) -> Read<Level> {
    let at = from.len(Level::ALL.len() - 1)?;
    Ok(Level::ALL.get(at).copied().unwrap_or_default())
}

fn write_open(to: &mut Writer, open: &Open) {
    write_incident(to, &open.incident);
    to.is(open.mailed.is_some());
    if let Some(level) = open.mailed {
        to.len(level_at(level));
        to.from(open.incident.opened.0, open.due.0);
        to.uint(open.updates);
        to.len(open.known.len());
        open.known.iter().for_each(|key| to.word64(*key));
    }
}

fn write_incident(to: &mut Writer, incident: &Incident) {
    let Incident { id, principal, opened, last, level, revision, alerts } = incident;
    write_name(to, id);
    write_name(to, principal);
    to.from(0, opened.0);
    to.from(opened.0, last.0);
    to.len(level_at(*level));
    to.uint(*revision);
    to.uint(*alerts);
}

fn read_open(from: &mut Reader<'_>, version: u8) -> Read<Open> {
    let (id, principal) = (read_name(from)?, read_name(from)?);
    let opened = Timestamp(from.from(0)?);
    let incident = Incident {
        id,
        principal,
        opened,
        last: Timestamp(from.from(opened.0)?),
        level: read_level(from)?,
        revision: from.uint()?,
        alerts: from.uint()?,
    };
    let (due, updates, known) = (Timestamp::default(), 0, Vec::new());
    if !from.is()? {
        return Ok(Open { incident, mailed: None, due, updates, known });
    }
    let mut open = Open { mailed: Some(read_level(from)?), incident, due, updates, known };
    if version == VERSION {
        open.due = Timestamp(from.from(open.incident.opened.0)?);
        open.updates = from.uint()?;
        for _ in 0..from.len(MAX_MAILED)? {
            open.known.push(from.word64()?);
        }
    }
    Ok(open)
}

/// Writes a name of any length. Hex digits at its end take half a byte each: most names are a prefix and a hash.
fn write_name(to: &mut Writer, name: &str) {
    let stem = name.trim_end_matches(|digit| hex(digit).is_some());
    to.len(stem.len());
    stem.bytes().for_each(|byte| to.byte(byte));
    to.len(name.len() - stem.len());
    name.chars().skip(stem.chars().count()).filter_map(hex).for_each(|digit| to.bits(digit, 4));
}

fn read_name(from: &mut Reader<'_>) -> Read<SmolStr> {
    let mut name = Vec::new();
    for _ in 0..from.len(usize::MAX)? {
        name.push(from.byte()?);
    }
    let mut name = String::from_utf8(name).map_err(|_| CodecError::Value("name"))?;
    for _ in 0..from.len(usize::MAX)? {
        let digit = u32::try_from(from.bits(4)?).ok().and_then(|digit| char::from_digit(digit, 16));
        name.extend(digit);
    }
    Ok(name.into())
}

/// Accepts only lower case, so that reading restores what was written.
fn hex(digit: char) -> Option<u32> {
    digit.to_digit(16).filter(|_| !digit.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn level() -> impl Strategy<Value = Level> {
        (0..Level::ALL.len()).prop_map(|at| Level::ALL[at])
    }

    fn open() -> impl Strategy<Value = Open> {
        let names = ("in_[0-9a-f]{16}", "(tw1_[0-9a-f]{32}|[a-zA-Z0-9äé/-]{0,40})");
        let times = (any::<i64>(), any::<i64>());
        let known = prop::collection::vec(any::<u64>(), 0..=MAX_MAILED);
        let mailed = prop::option::of((level(), any::<i64>(), any::<u32>(), known));
        (names, times, level(), any::<(u32, u32)>(), mailed).prop_map(
            |((id, principal), (opened, last), level, (revision, alerts), mailed)| {
                let (opened, last) = (Timestamp(opened), Timestamp(last));
                let (id, principal) = (id.into(), principal.into());
                let incident = Incident { id, principal, opened, last, level, revision, alerts };
                let (mailed, due, updates, known) = match mailed {
                    Some((level, due, updates, known)) => {
                        (Some(level), Timestamp(due), updates, known)
                    }
                    None => (None, Timestamp::default(), 0, Vec::new()),
                };
                Open { incident, mailed, due, updates, known }
            },
        )
    }

    fn desk() -> impl Strategy<Value = Desk> {
        let told = (any::<u64>(), any::<i64>(), level()).prop_map(|(key, until, level)| Told {
            key,
            until: Timestamp(until),
            level,
        });
        (prop::option::of(open()), prop::collection::vec(told, 0..=MAX_TOLD))
            .prop_map(|(open, told)| Desk { open: open.map(Box::new), told })
    }

    proptest! {
        #[test]
        fn a_desk_is_read_as_it_was_written_and_as_json(desk in desk()) {
            let bytes = desk.encode();
            prop_assert_eq!(bytes.is_empty(), desk.is_empty());
            prop_assert_eq!(Desk::decode(&bytes), Ok(desk.clone()));
            for cut in 1..bytes.len() {
                prop_assert!(Desk::decode(&bytes[..cut]).is_err(), "{}", cut);
            }
            let json = serde_json::to_vec(&desk).unwrap();
            prop_assert_eq!(Desk::decode(&json), Ok(desk));
        }

        #[test]
        fn any_bytes_are_a_desk_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let bytes = [&[VERSION][..], &bytes].concat();
            if let Ok(desk) = Desk::decode(&bytes) {
                prop_assert_eq!(Desk::decode(&desk.encode()), Ok(desk));
            }
        }
    }

    #[test]
    fn a_desk_of_the_version_before_is_read() {
        let mut open = Open::by(&crate::engine::alert::Alert::default());
        open.mailed = Some(Level::High);
        let mut to = Writer::with_capacity(64);
        to.byte(WITHOUT_MAILED);
        to.is(true);
        write_incident(&mut to, &open.incident);
        to.is(true);
        to.len(level_at(Level::High));
        to.len(0);
        assert_eq!(Desk::decode(&to.end()), Ok(Desk { open: Some(open.into()), told: Vec::new() }));
    }

    #[test]
    fn a_desk_with_three_things_told_has_less_than_a_hundred_bytes() {
        let opened = Timestamp(1_775_940_400_084_000);
        let incident = Incident {
            id: "in_7e8f36060582a1ec".into(),
            principal: "tw1_103ee1e558b2c8e5b69498e88a76f4b2".into(),
            opened,
            last: opened.plus(5_084_000),
            level: Level::Medium,
            revision: 1,
            alerts: 3,
        };
        let told = |key: u64| Told {
            key: u64::MAX - key,
            until: opened.plus(86_400_000_000),
            level: Level::Low,
        };
        let (due, updates, known) = (Timestamp::default(), 0, Vec::new());
        let open = Some(Box::new(Open { incident, mailed: None, due, updates, known }));
        let desk = Desk { open, told: (0..3).map(told).collect() };
        let [packed, json] = [desk.encode().len(), serde_json::to_vec(&desk).unwrap().len()];
        assert!(packed < 100 && json > 400, "{packed} B, as JSON {json} B");
    }
}
