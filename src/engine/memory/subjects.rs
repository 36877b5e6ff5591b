//! The subjects in memory. Recently used ones are open. The others rest, packed in their stored form, at a third of the
//! size: opening one again takes a microsecond or two, recalling it from the store ten times that.

use std::collections::{BTreeMap, VecDeque};

use smol_str::SmolStr;

use super::Subject;
use crate::engine::commit::SubjectRow;

/// The approximate size of an open subject: [`Subject`] itself, and its values, actors and reports, in vectors that are
/// as long as they have to be. The average of a generated site is 1,500 to 2,800 bytes; one with all tables full has
/// 5,200.
const OPEN_BYTES: usize = 2560;

/// The approximate size of each besides that: its slot, its name, its place by name.
const SLOT_BYTES: usize = 256;

/// A subject that was used this many times since it was opened stays open: more than once.
const BUSY: u8 = 2;

/// All subjects in memory, by place and by name.
#[derive(Debug)]
pub(super) struct Subjects {
    slots: Vec<Slot>,
    /// Ordered: whoever sends JWTs chooses names, and in a table they could be made to collide.
    by_name: BTreeMap<SmolStr, usize>,
    /// Places of open subjects, in the order in which they were opened or passed over.
    open: VecDeque<usize>,
    /// The most subjects that may be open.
    most_open: usize,
    /// Places of subjects that have changed since the last commit.
    dirty: Vec<usize>,
    /// Bytes of all packed subjects.
    n_resting_bytes: usize,
}

#[derive(Debug)]
struct Slot {
    principal: SmolStr,
    state: State,
    is_dirty: bool,
    /// Set by each usage, cleared by each sweep: the clock hand passes those that are set.
    is_recent: bool,
    /// How many times it was used since it was opened, at most [`BUSY`]; reduced by one each time it is passed over.
    n_uses: u8,
}

#[derive(Debug)]
enum State {
    Open(Box<Subject>),
    /// Packed. If empty, nothing is known about it.
    Resting {
        blob: Box<[u8]>,
        due: Option<u32>,
    },
}

impl State {
    fn new() -> Self {
        Self::Resting { blob: Box::default(), due: None }
    }

    fn due(&self) -> Option<u32> {
        match self {
            Self::Open(subject) => subject.profile.due(),
            Self::Resting { due, .. } => *due,
        }
    }

    fn n_bytes(&self) -> usize {
        match self {
            Self::Open(_) => OPEN_BYTES,
            Self::Resting { blob, .. } => blob.len(),
        }
    }
}

impl Subjects {
    /// Reserves `n_open_bytes` for open subjects.
    pub(super) fn new(n_open_bytes: usize) -> Self {
        Self {
            slots: Vec::new(),
            by_name: BTreeMap::new(),
            open: VecDeque::new(),
            most_open: most_open(n_open_bytes),
            dirty: Vec::new(),
            n_resting_bytes: 0,
        }
    }

    /// Changes the limit of open subjects in bytes; opening the next subject enforces it.
    pub(super) fn limit_open(&mut self, n_bytes: usize) {
        self.most_open = most_open(n_bytes);
    }

    /// Returns the approximate size of all of them in bytes.
    pub(super) fn n_bytes(&self) -> usize {
        self.slots.len() * SLOT_BYTES + self.open.len() * OPEN_BYTES + self.n_resting_bytes
    }

    /// Returns the number of subjects that have changed since the last commit.
    pub(super) fn n_dirty(&self) -> usize {
        self.dirty.len()
    }

    /// Returns the place of a principal's subject.
    pub(super) fn place(&self, principal: &str) -> Option<usize> {
        self.by_name.get(principal).copied()
    }

    /// Assigns a principal a place, unless it has one; nothing is known about it yet.
    pub(super) fn enter(&mut self, principal: SmolStr) -> usize {
        if let Some(at) = self.place(&principal) {
            return at;
        }
        let at = self.slots.len();
        self.by_name.insert(principal.clone(), at);
        let state = State::new();
        self.slots.push(Slot { principal, state, is_dirty: false, is_recent: true, n_uses: 0 });
        at
    }

    /// Puts the recalled subject at its place.
    pub(super) fn put(&mut self, at: usize, subject: Subject) {
        if let Some(place) = self.open(at) {
            *place = subject;
        }
    }

    /// Returns the principal at a place.
    pub(super) fn principal(&self, at: usize) -> Option<&SmolStr> {
        self.slots.get(at).map(|slot| &slot.principal)
    }

    /// Returns in which of the site's hours the silence of the principal at a place is news.
    pub(super) fn due(&self, at: usize) -> Option<u32> {
        self.slots.get(at)?.state.due()
    }

    /// Returns all places with their principals and the hour in which their silence is news.
    pub(super) fn all_due(&self) -> impl Iterator<Item = (usize, &SmolStr, u32)> {
        let slots = self.slots.iter().enumerate();
        slots.filter_map(|(at, slot)| Some((at, &slot.principal, slot.state.due()?)))
    }

    /// Returns a subject for changes, and its principal.
    pub(super) fn change(&mut self, at: usize) -> Option<(&SmolStr, &mut Subject)> {
        let slot = self.slots.get_mut(at)?;
        slot.is_recent = true;
        if !std::mem::replace(&mut slot.is_dirty, true) {
            self.dirty.push(at);
        }
        self.open(at)?;
        match self.slots.get_mut(at)? {
            Slot { principal, state: State::Open(subject), n_uses, .. } => {
                *n_uses = (*n_uses + 1).min(BUSY);
                Some((principal, subject))
            }
            Slot { state: State::Resting { .. }, .. } => None,
        }
    }

    /// Opens a subject; if that exceeds the limit, another one rests first.
    fn open(&mut self, at: usize) -> Option<&mut Subject> {
        if let State::Resting { blob, .. } = &self.slots.get(at)?.state {
            let n_bytes = blob.len();
            let subject = match n_bytes {
                0 => Box::default(),
                // Whatever was packed here can be unpacked. If it could not, it would be kept as it is, not start over.
                _ => Box::new(Subject::decode(blob).ok()?),
            };
            while self.open.len() >= self.most_open {
                self.rest_one();
            }
            self.n_resting_bytes -= n_bytes;
            let slot = self.slots.get_mut(at)?;
            (slot.state, slot.n_uses) = (State::Open(subject), 0);
            self.open.push_back(at);
        }
        match &mut self.slots.get_mut(at)?.state {
            State::Open(subject) => Some(subject),
            State::Resting { .. } => None,
        }
    }

    /// Packs the first subject that was not used again since it was opened or passed over (Corbato 1968, CLOCK).
    fn rest_one(&mut self) {
        while let Some(at) = self.open.pop_front() {
            let busy = self.slots.get_mut(at).filter(|slot| slot.n_uses == BUSY);
            let Some(busy) = busy else { return self.rest(at) };
            busy.n_uses -= 1;
            self.open.push_back(at);
        }
    }

    fn rest(&mut self, at: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        if let State::Open(subject) = &slot.state {
            let blob = subject.encode().into_boxed_slice();
            self.n_resting_bytes += blob.len();
            slot.state = State::Resting { blob, due: slot.state.due() };
        }
    }

    /// Takes out the subjects that have changed since the last time, sorted by name.
    pub(super) fn take_changed(&mut self) -> Vec<SubjectRow> {
        let mut rows = Vec::with_capacity(self.dirty.len());
        for at in std::mem::take(&mut self.dirty) {
            let Some(slot) = self.slots.get_mut(at) else { continue };
            slot.is_dirty = false;
            let blob = match &slot.state {
                State::Open(subject) => subject.encode(),
                State::Resting { blob, .. } => blob.to_vec(),
            };
            rows.push(SubjectRow {
                principal: slot.principal.clone(),
                blob,
                due: slot.state.due(),
            });
        }
        rows.sort_by(|a, b| a.principal.cmp(&b.principal));
        rows
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.slots.clear();
        self.by_name.clear();
        self.open.clear();
        self.dirty.clear();
        self.n_resting_bytes = 0;
    }

    /// Drops subjects until they take at most `n_bytes`, but none that has changed: first the oldest places that were
    /// not used since the last sweep and, if that is not enough, the oldest places. Returns the new places.
    pub(super) fn sweep(&mut self, n_bytes: usize) -> Moved {
        let first = self.drop_until(n_bytes, |slot| std::mem::take(&mut slot.is_recent));
        let second = self.drop_until(n_bytes, |_| false);
        Moved(first.0.into_iter().map(|at| at.and_then(|at| second.to(at))).collect())
    }

    /// In place: a second table would be as large as everything that is kept.
    fn drop_until(&mut self, n_bytes: usize, is_kept: impl Fn(&mut Slot) -> bool) -> Moved {
        let mut excess = self.n_bytes().saturating_sub(n_bytes);
        let mut moved = Vec::with_capacity(self.slots.len());
        let (mut n_kept, mut n_resting_bytes) = (0, 0);
        self.slots.retain_mut(|slot| {
            let is_kept = excess == 0 || slot.is_dirty || is_kept(slot);
            moved.push(is_kept.then_some(n_kept));
            match &slot.state {
                _ if !is_kept => excess = excess.saturating_sub(SLOT_BYTES + slot.state.n_bytes()),
                State::Open(_) => {}
                State::Resting { blob, .. } => n_resting_bytes += blob.len(),
            }
            n_kept += usize::from(is_kept);
            is_kept
        });
        self.n_resting_bytes = n_resting_bytes;
        let moved = Moved(moved);
        self.by_name.retain(|_, at| moved.follow(at));
        self.open.retain_mut(|at| moved.follow(at));
        self.dirty.retain_mut(|at| moved.follow(at));
        moved
    }
}

fn most_open(n_bytes: usize) -> usize {
    (n_bytes / OPEN_BYTES).max(1)
}

/// The new place of each place, if it is kept.
pub(super) struct Moved(Vec<Option<usize>>);

impl Moved {
    fn to(&self, at: usize) -> Option<usize> {
        self.0.get(at).copied().flatten()
    }

    /// Replaces a place by its new one; returns whether it is kept.
    pub(super) fn follow(&self, at: &mut usize) -> bool {
        self.to(*at).inspect(|to| *at = *to).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::time::{DAY, Timestamp};

    /// Room for one open subject.
    fn subjects() -> Subjects {
        Subjects::new(OPEN_BYTES)
    }

    /// Changes a subject in a recognisable way.
    fn change(subjects: &mut Subjects, principal: &str, key: u32) {
        let at = subjects.enter(principal.into());
        let (_, subject) = subjects.change(at).unwrap();
        subject.profile.told().touch(key, Timestamp(DAY));
    }

    fn as_if_alone(keys: &[u32]) -> Vec<u8> {
        let mut subject = Subject::default();
        for key in keys {
            subject.profile.told().touch(*key, Timestamp(DAY));
        }
        subject.encode()
    }

    fn names(rows: &[SubjectRow]) -> Vec<&str> {
        rows.iter().map(|row| row.principal.as_str()).collect()
    }

    #[test]
    fn who_rests_goes_on_where_it_was() {
        let mut subjects = subjects();
        for (principal, key) in [("a", 1), ("b", 2), ("a", 3), ("c", 4), ("b", 5)] {
            change(&mut subjects, principal, key);
            assert_eq!(subjects.open.len(), 1);
        }
        let rows = subjects.take_changed();
        assert_eq!(names(&rows), ["a", "b", "c"]);
        let blobs: Vec<Vec<u8>> = rows.into_iter().map(|row| row.blob).collect();
        assert_eq!(blobs, [as_if_alone(&[1, 3]), as_if_alone(&[2, 5]), as_if_alone(&[4])]);
        assert_eq!((subjects.n_dirty(), subjects.take_changed().len()), (0, 0));
    }

    #[test]
    fn who_is_used_again_and_again_stays_open() {
        let mut subjects = Subjects::new(3 * OPEN_BYTES);
        let is_open = |subjects: &Subjects, name: &str| {
            let at = subjects.place(name).unwrap();
            matches!(subjects.slots[at].state, State::Open(_))
        };
        for (n, stranger) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
            change(&mut subjects, "busy", 1);
            change(&mut subjects, stranger, 2);
            assert!(is_open(&subjects, "busy"), "{stranger}");
            assert_eq!(subjects.open.len(), (n + 2).min(3));
        }
        assert!(!is_open(&subjects, "a"));
        subjects.limit_open(OPEN_BYTES);
        change(&mut subjects, "a", 3);
        assert_eq!(subjects.open.len(), 1);
        // What the store recalled is open, however busy the others are.
        let at = subjects.enter("g".into());
        subjects.put(at, Subject::default());
        assert!(is_open(&subjects, "g"));
    }

    #[test]
    fn a_sweep_drops_the_idle_first_then_the_oldest_and_never_what_is_not_taken() {
        let mut subjects = subjects();
        for (principal, key) in [("old", 1), ("idle", 2), ("busy", 3), ("new", 4)] {
            change(&mut subjects, principal, key);
        }
        subjects.take_changed();
        let n_bytes = subjects.n_bytes();
        // None is idle yet, so the oldest goes.
        let moved = subjects.sweep(n_bytes - 1);
        assert_eq!((subjects.place("old"), subjects.place("idle")), (None, Some(0)));
        assert_eq!((moved.to(0), moved.to(3)), (None, Some(2)));
        change(&mut subjects, "busy", 5);
        subjects.take_changed();
        subjects.sweep(subjects.n_bytes() - 1);
        assert_eq!((subjects.place("idle"), subjects.place("busy")), (None, Some(0)));
        change(&mut subjects, "new", 6);
        subjects.sweep(0);
        assert_eq!((subjects.place("busy"), subjects.place("new")), (None, Some(0)));
        let rows = subjects.take_changed();
        assert_eq!((names(&rows), &rows[0].blob), (vec!["new"], &as_if_alone(&[4, 6])));
        subjects.sweep(0);
        assert_eq!((subjects.n_bytes(), subjects.open.len()), (0, 0));
    }

    #[test]
    fn an_open_subject_is_small() {
        let n_bytes = std::mem::size_of::<Subject>();
        assert!(n_bytes <= 1000, "{n_bytes} B, besides what its vectors hold");
    }

    #[test]
    fn what_rests_and_what_is_open_is_counted() {
        let mut subjects = subjects();
        change(&mut subjects, "a", 1);
        assert_eq!(subjects.n_bytes(), SLOT_BYTES + OPEN_BYTES);
        change(&mut subjects, "b", 1);
        let resting = as_if_alone(&[1]).len();
        assert_eq!(subjects.n_bytes(), 2 * SLOT_BYTES + OPEN_BYTES + resting);
        change(&mut subjects, "a", 1);
        assert_eq!(subjects.n_bytes(), 2 * SLOT_BYTES + OPEN_BYTES + resting);
        subjects.clear();
        assert_eq!(subjects.n_bytes(), 0);
    }
}
