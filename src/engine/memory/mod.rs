//! What the Judge remembers between usages, and what it has found out since the last commit.
//!
//! Memory is a bounded cache in front of the store. The loop asks what is missing ([`Memory::missing_tokens`],
//! [`Memory::unknown_principals`]), has the store recall it, and passes it in ([`Memory::admit`],
//! [`Memory::remember`]). [`Memory::take`] takes out everything that changed since the last commit; once that is
//! committed, [`Memory::forget`] makes room. Subjects that were not used lately stay in memory in their stored form.
//!
//! An unknown token to which the server did not respond with success (4xx, 5xx) never gets a place here: it is only
//! counted, so an attacker may invent as many as he likes.

mod due;
mod journal;
mod subjects;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use foldhash::fast::{FixedState, SeedableRandomState};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::alert::{Alert, Incident};
use crate::engine::commit::{Commit, HouseRow, Notice, SubjectRow};
use crate::engine::geo::Place;
use crate::engine::house::{self, House, Part, Table};
use crate::engine::incident::{Desk, Joined};
use crate::engine::ledger::Ledger;
use crate::engine::memory::journal::Journal;
use crate::engine::memory::subjects::Subjects;
use crate::engine::profile::{CodecError, Profile};
use crate::engine::registry::Registry;
use crate::engine::secret::TokenId;
use crate::engine::time::{SECOND, Timestamp};
use crate::engine::usage::{NO_ANSWER, Usage};

/// What is remembered about one principal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subject {
    /// What is normal.
    pub profile: Profile,
    /// What has been reported.
    pub desk: Desk,
}

impl Subject {
    /// Packs the subject: length of the profile (u32, little endian), profile, desk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (profile, desk) = (self.profile.encode(), self.desk.encode());
        let length = u32::try_from(profile.len()).unwrap_or(u32::MAX);
        [&length.to_le_bytes()[..], &profile, &desk].concat()
    }

    /// Unpacks what [`Subject::encode`] packed.
    ///
    /// # Errors
    /// Returns an error if the bytes are of a later version, or damaged.
    pub fn decode(blob: &[u8]) -> Result<Self, CodecError> {
        let (length, rest) = blob.split_first_chunk::<4>().ok_or(CodecError::Length)?;
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        let (profile, desk) = rest.split_at_checked(length).ok_or(CodecError::Length)?;
        Ok(Self { profile: Profile::decode(profile)?, desk: Desk::decode(desk)? })
    }
}

/// Everything that the Judge remembers.
#[derive(Debug)]
pub struct Memory {
    /// The limit of subjects and tokens after a commit, in bytes.
    bound: usize,
    subjects: Subjects,
    tokens: HashMap<TokenId, TokenSlot, FixedState>,
    /// The tokens that were admitted since the last commit and were not known then.
    strange: Vec<TokenId>,
    /// What tokens did since the last commit.
    journal: Journal,
    refused_unknown: u64,
    alerts: Vec<Alert>,
    incidents: BTreeMap<SmolStr, Incident>,
    notices: Vec<Notice>,
    house: House,
    /// What was reported about many at once.
    fleet: Part<Desk>,
    /// No subject in memory falls due in an earlier one of the site's hours.
    next_due: u32,
    /// What was reported about sources that guess tokens: the last 1,024 of them.
    sources: Table<Told, 16>,
}

/// What was reported about a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Told {
    desk: Desk,
    /// When it was last reported, in seconds since 1970.
    last: i64,
}

impl house::Entry for Told {
    fn worth(&self, _: i64) -> impl Ord {
        self.last
    }
}

/// The divisor of the bound for open subjects: a replay processes as many lines as it can.
const OPEN: usize = 4;

/// The divisor for a daemon, which has the time to open one more often: saves some 20 MB with 20,000 tokens.
const FEW_OPEN: usize = 20;

/// The approximate size of a token: its slot and its place in the table.
const TOKEN_BYTES: usize = 64;

/// A token whose principal is in memory.
#[derive(Debug)]
struct TokenSlot {
    slot: usize,
    /// The store has a row for it, or will have one.
    is_known: bool,
    /// Its number in the journal, if it did something since the last commit.
    entry: Option<u32>,
}

/// A subject for changes, and what is known beyond it.
pub struct Recalled<'a> {
    /// The subject's principal.
    pub principal: &'a SmolStr,
    /// What is remembered about it.
    pub subject: &'a mut Subject,
    /// What is known beyond one principal.
    pub house: &'a mut House,
    /// What was reported about many at once.
    pub fleet: &'a mut Part<Desk>,
}

/// The name of the fleet's desk among the parts of the house.
const FLEET_DESK: &str = "fleet.desk";

/// The name of the desks of sources there.
const SOURCE_DESKS: &str = "sources.desk";

/// A place in memory: valid until the next [`Memory::forget`] or [`Memory::clear`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(usize);

impl Memory {
    /// Creates an empty memory whose subjects and tokens take about `bound` bytes at most after a commit.
    #[must_use]
    pub fn new(bound: usize) -> Self {
        Self::hashing(bound, SeedableRandomState::fixed())
    }

    /// Creates one that hashes what clients choose in this way. No result depends on it.
    #[must_use]
    pub fn hashing(bound: usize, by: SeedableRandomState) -> Self {
        Self {
            bound,
            subjects: Subjects::new(bound / OPEN),
            tokens: HashMap::with_hasher(FixedState::default()),
            strange: Vec::new(),
            journal: Journal::hashing(by),
            refused_unknown: 0,
            alerts: Vec::new(),
            incidents: BTreeMap::new(),
            notices: Vec::new(),
            house: House::default(),
            fleet: Part::default(),
            next_due: u32::MAX,
            sources: Table::default(),
        }
    }

    /// Keeps fewer subjects open from now on, for a process that waits for lines and prefers a small size to speed.
    pub fn keep_few_open(&mut self) {
        self.subjects.limit_open(self.bound / FEW_OPEN);
    }

    /// Returns the tokens in `usages` that are not in memory, each once.
    #[must_use]
    pub fn missing_tokens(&self, usages: &[Usage]) -> Vec<TokenId> {
        let strange =
            usages.iter().map(|usage| usage.token).filter(|t| !self.tokens.contains_key(t));
        strange.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns the principals that must be recalled before a batch can be judged: those of tokens that are known,
    /// registered or were accepted. `known` is sorted.
    #[must_use]
    pub fn unknown_principals(
        &self,
        usages: &[Usage],
        known: &[TokenId],
        registry: &Registry,
    ) -> Vec<SmolStr> {
        let strange = self.admissible(usages, known, registry);
        let names: BTreeSet<SmolStr> =
            strange.map(|(usage, _)| registry.principal(usage)).collect();
        names.into_iter().filter(|name| self.subjects.place(name).is_none()).collect()
    }

    /// Assigns the tokens of a batch places at their principals. `known` is sorted.
    pub fn admit(&mut self, usages: &[Usage], known: &[TokenId], registry: &Registry) {
        let strange: Vec<(TokenId, bool, SmolStr)> = self
            .admissible(usages, known, registry)
            .map(|(usage, is_known)| (usage.token, is_known, registry.principal(usage)))
            .collect();
        for (token, is_known, principal) in strange {
            let slot = self.subjects.enter(principal);
            if let Entry::Vacant(place) = self.tokens.entry(token) {
                place.insert(TokenSlot { slot, is_known, entry: None });
                self.strange.extend((!is_known).then_some(token));
            }
        }
    }

    /// Returns usages of tokens that have no place but may get one, and whether the store knows the token.
    fn admissible<'a>(
        &'a self,
        usages: &'a [Usage],
        known: &'a [TokenId],
        registry: &'a Registry,
    ) -> impl Iterator<Item = (&'a Usage, bool)> {
        usages.iter().filter(|usage| !self.tokens.contains_key(&usage.token)).filter_map(|usage| {
            let is_known =
                known.binary_search(&usage.token).is_ok() || registry.token(usage.token).is_some();
            (is_known || makes_known(usage)).then_some((usage, is_known))
        })
    }

    /// Accepts what the store recalled; returns the subjects that cannot be unpacked.
    pub fn remember(&mut self, rows: Vec<SubjectRow>) -> Vec<(SmolStr, CodecError)> {
        let mut faults = Vec::new();
        for row in rows {
            match (self.subjects.place(&row.principal), Subject::decode(&row.blob)) {
                (Some(at), Ok(subject)) => {
                    let due = subject.profile.due().unwrap_or(u32::MAX);
                    self.next_due = self.next_due.min(due);
                    self.subjects.put(at, subject);
                }
                (_, Err(fault)) => faults.push((row.principal, fault)),
                (None, Ok(_)) => {}
            }
        }
        faults
    }

    /// Finds the subject of a usage, or counts the usage as refused if its token is unknown.
    ///
    /// A token becomes known by its first use with a successful response.
    pub fn find(&mut self, usage: &Usage) -> Option<Handle> {
        let Some(token) = self.tokens.get_mut(&usage.token) else {
            self.refused_unknown += 1;
            return None;
        };
        if !token.is_known && !makes_known(usage) {
            self.refused_unknown += 1;
            return None;
        }
        token.is_known = true;
        Some(Handle(token.slot))
    }

    /// Accepts what the store keeps beyond single principals; returns the parts that cannot be read.
    #[must_use]
    pub fn furnish(&mut self, rows: &[HouseRow]) -> Vec<SmolStr> {
        let (house, mut faults) = House::restore(rows);
        self.house = house;
        if !self.fleet.restore(rows, FLEET_DESK) {
            faults.push(FLEET_DESK.into());
        }
        faults.extend(self.sources.restore(rows, SOURCE_DESKS));
        faults
    }

    /// Returns what is known beyond one principal.
    #[must_use]
    pub const fn house(&self) -> &House {
        &self.house
    }

    /// Returns what is known beyond one principal, for changes.
    pub const fn house_mut(&mut self) -> &mut House {
        &mut self.house
    }

    /// Returns what was reported about a source that guesses, for changes.
    pub fn desk_of_source(&mut self, key: u64, time: Timestamp) -> Option<&mut Desk> {
        let now = time.0.div_euclid(SECOND);
        let told = self.sources.enter(key, now)?;
        told.last = told.last.max(now);
        Some(&mut told.desk)
    }

    /// Returns a subject for changes, and what is known beyond it.
    pub fn subject(&mut self, handle: Handle) -> Option<Recalled<'_>> {
        let Self { subjects, house, fleet, .. } = self;
        let (principal, subject) = subjects.change(handle.0)?;
        Some(Recalled { principal, subject, house, fleet })
    }

    /// Adds a usage to the history of its token. A token exposed in a Referer was not used by the request, so this
    /// is no part of its history.
    pub fn record(&mut self, handle: Handle, usage: &Usage, place: &Place) {
        if !usage.is_used() {
            return;
        }
        let Some(principal) = self.subjects.principal(handle.0) else { return };
        let Some(token) = self.tokens.get_mut(&usage.token) else { return };
        let journal = &mut self.journal;
        let entry = *token.entry.get_or_insert_with(|| journal.begin(principal, usage));
        journal.add(entry, usage, place);
    }

    /// Keeps an alert and the new state of its incident for the next commit.
    pub fn tell(&mut self, alert: Alert, joined: Joined) {
        self.incidents.insert(joined.incident.id.clone(), joined.incident);
        self.notices.extend(joined.notice);
        self.alerts.push(alert);
    }

    /// Returns the alerts since the last commit.
    #[must_use]
    pub fn alerts(&self) -> &[Alert] {
        &self.alerts
    }

    /// Returns the number of uses of tokens since the last commit.
    #[must_use]
    pub const fn uses(&self) -> usize {
        self.journal.len()
    }

    /// Returns the number of subjects that have changed since the last commit.
    #[must_use]
    pub fn dirty(&self) -> usize {
        self.subjects.n_dirty()
    }

    /// Takes out everything that changed since the last commit.
    pub fn take(&mut self) -> Commit {
        let subjects = self.subjects.take_changed();
        let ledger = Ledger {
            tokens: self.journal.take(),
            refused_unknown: std::mem::take(&mut self.refused_unknown),
        };
        self.close_entries(&ledger);
        let fleet = self.fleet.take(FLEET_DESK.into());
        let sources: Vec<HouseRow> = self.sources.take(SOURCE_DESKS).collect();
        Commit {
            subjects,
            ledger,
            alerts: std::mem::take(&mut self.alerts),
            incidents: std::mem::take(&mut self.incidents).into_values().collect(),
            notices: std::mem::take(&mut self.notices),
            house: self.house.take().into_iter().chain(fleet).chain(sources).collect(),
            ..Commit::default()
        }
    }

    /// Ends the entries of tokens in the journal, and gives up the places of those that did not become known. Visits
    /// only these: memory may hold a million others.
    fn close_entries(&mut self, ledger: &Ledger) {
        for token in ledger.tokens.keys() {
            if let Some(slot) = self.tokens.get_mut(token) {
                slot.entry = None;
            }
        }
        for token in self.strange.drain(..) {
            if let Entry::Occupied(place) = self.tokens.entry(token)
                && !place.get().is_known
            {
                place.remove();
            }
        }
    }

    /// Forgets everything that the store also has, because registry or profiles were changed from outside.
    ///
    /// Correct only directly after a commit.
    pub fn clear(&mut self) {
        self.subjects.clear();
        self.tokens.clear();
        self.strange.clear();
    }

    /// Forgets subjects beyond the bound; those used since it was last reached go last.
    ///
    /// Correct only once everything taken out is committed: the store must have what is forgotten.
    pub fn forget(&mut self) {
        // Few principals may have many tokens, such as JWTs of an hour. The store has all those that did nothing since.
        if self.tokens.len() * TOKEN_BYTES > self.bound / 2 {
            self.tokens.retain(|_, token| token.entry.is_some());
        }
        let n_token_bytes = self.tokens.len() * TOKEN_BYTES;
        if self.subjects.n_bytes() + n_token_bytes <= self.bound {
            return;
        }
        // Makes room for an eighth of the bound at once, so that sweeps stay rare.
        let n_left = (self.bound - self.bound / 8).saturating_sub(n_token_bytes);
        let moved = self.subjects.sweep(n_left);
        self.tokens.retain(|_, token| moved.follow(&mut token.slot));
    }
}

/// Returns whether a usage makes its token known: it was not turned away, and it was a use. Anybody can invent a token
/// that is in a Referer or is refused, and a made-up token also gets 400, 404 or 429 where the route, the form or the
/// rate is checked first. A server error (5xx) shows nothing about the token. A redirect does make it known: many
/// APIs respond with one.
pub(super) const fn makes_known(usage: &Usage) -> bool {
    !matches!(usage.status, Some(NO_ANSWER | 400..=599)) && usage.is_used()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::profile::tests::usage;

    fn of(token: u8) -> Usage {
        Usage { token: TokenId([token; 16]), ..usage(0) }
    }

    /// Returns the tokens in memory: whether each is known, and whether it has an entry in the journal.
    fn places(memory: &Memory) -> BTreeMap<TokenId, (bool, bool)> {
        let slots = memory.tokens.iter();
        slots.map(|(token, slot)| (*token, (slot.is_known, slot.entry.is_some()))).collect()
    }

    proptest! {
        #[test]
        fn a_commit_ends_all_entries_and_removes_exactly_the_tokens_that_are_not_known(
            acts in prop::collection::vec((0_u8..4, 0_u8..8), 1..200),
        ) {
            let mut memory = Memory::new(4 * TOKEN_BYTES * 2);
            for (act, token) in acts {
                let usage = of(token);
                match act {
                    0 => {
                        let known: Vec<TokenId> = (token < 3).then_some(usage.token).into_iter().collect();
                        memory.admit(&[usage], &known, &Registry::default());
                    }
                    1 => if let Some(handle) = memory.find(&usage) {
                        memory.subject(handle);
                        memory.record(handle, &usage, &Place::default());
                    },
                    2 => {
                        let mut expected = places(&memory);
                        expected.retain(|_, (is_known, _)| *is_known);
                        expected.values_mut().for_each(|(_, has_entry)| *has_entry = false);
                        memory.take();
                        prop_assert_eq!(places(&memory), expected);
                        prop_assert!(memory.strange.is_empty());
                    }
                    _ => memory.forget(),
                }
            }
        }
    }
}
