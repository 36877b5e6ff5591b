//! Two places that take turns within minutes: A, B, and A again.
//!
//! The run of each place is stored, that is, its first and last use without a rest of half an hour between: a use of B
//! falls between two of A if their runs overlap, in whatever order the lines came.
//!
//! A place is a network in a country with a client. Two places differ if their networks differ and, in addition, their
//! country or client: the two address families of one line, or a laptop carried from one network to another, are one
//! place. A program around the clock, or on rented machines, is not carried anywhere: its places differ if the
//! operators do. A principal that takes turns as a habit (phone and laptop, a VPN that goes on and off, a service in
//! many regions) is recognised by the days on which it did. (docs/detection.md, Turns.)

use crate::engine::geo::{Atlas, Country};
use crate::engine::profile::Profile;
use crate::engine::profile::params::{Concurrent, Params};
use crate::engine::profile::signals::{Signals, country_of};
use crate::engine::profile::told::report_key;
use crate::engine::profile::word::Sighting;
use crate::engine::stats::{Days, whole};
use crate::engine::time::SECOND;

/// A network, in 24 bits: collisions do no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    /// An autonomous system.
    System(u32),
    /// An autonomous system whose number has more than 24 bits: its lower ones.
    Large(u32),
    /// A neighbourhood of an unknown operator, by the family of its addresses.
    V4(u32),
    V6(u32),
}

impl Net {
    const BITS: u32 = 0x00ff_ffff;

    fn of(asn: Option<u32>, prefix: Option<u32>) -> Option<Self> {
        match (asn, prefix) {
            (Some(asn), _) if asn > Self::BITS => Some(Self::Large(asn & Self::BITS)),
            (Some(asn), _) => Some(Self::System(asn)),
            // The top bit of a prefix's key marks IPv6.
            (None, Some(prefix)) if prefix >> 31 == 1 => Some(Self::V6(prefix & Self::BITS)),
            (None, Some(prefix)) => Some(Self::V4(prefix & Self::BITS)),
            (None, None) => None,
        }
    }

    /// Returns the sort and the number, as they are stored.
    pub(super) const fn parts(self) -> (u8, u32) {
        match self {
            Self::System(number) => (0, number),
            Self::Large(number) => (1, number),
            Self::V4(number) => (2, number),
            Self::V6(number) => (3, number),
        }
    }

    pub(super) const fn from_parts(sort: u8, number: u32) -> Self {
        match sort & 3 {
            0 => Self::System(number),
            1 => Self::Large(number),
            2 => Self::V4(number),
            _ => Self::V6(number),
        }
    }

    /// Returns the key under which reports about it are remembered.
    fn key(self) -> u32 {
        let (sort, number) = self.parts();
        report_key(b"turn", &[&[sort], &number.to_le_bytes()])
    }

    const fn is_operator(self) -> bool {
        matches!(self, Self::System(_) | Self::Large(_))
    }

    /// Returns whether it is certainly another network. If operators are unknown, addresses of both families may
    /// belong to one line.
    fn is_other(self, other: Self, atlas: &dyn Atlas) -> bool {
        use Net::{System, V4, V6};
        if let (System(a), System(b)) = (self, other) {
            return !atlas.is_one_operator(a, b);
        }
        let is_comparable = (self.is_operator() && other.is_operator())
            || matches!((self, other), (V4(_), V4(_)) | (V6(_), V6(_)));
        is_comparable && self != other
    }
}

/// Where and with what a token was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub net: Net,
    /// As it is stored, 0 if unknown.
    pub country: u16,
    /// 16 bits of the client's key.
    pub client: u16,
    /// When its run began and when it was last used, in seconds since 1970.
    pub since: i64,
    pub last: i64,
    /// Whether it was somebody else's then, as far as was known: its values were held back.
    pub is_strange: bool,
}

impl Spot {
    fn of(signals: &Signals, params: &Params) -> Option<Self> {
        let keys = &signals.keys;
        let country = keys.country.and_then(|country| u16::try_from(country).ok());
        let second = signals.time.0.div_euclid(SECOND);
        Some(Self {
            net: Net::of(keys.network, keys.prefix)?,
            country: country.unwrap_or(0),
            client: u16::try_from(keys.client & 0xffff).unwrap_or(0),
            since: second,
            last: second,
            is_strange: signals.evidence.identity() >= params.learning.hold,
        })
    }

    /// Returns whether network, country and client are the same.
    fn is_same(&self, other: &Self) -> bool {
        let of = |spot: &Self| (spot.net, spot.country, spot.client);
        of(self) == of(other)
    }

    /// Returns whether it rested before a use, or after it.
    fn rested(&self, second: i64, params: &Concurrent) -> bool {
        second.abs_diff(self.last) > window(params).unsigned_abs()
    }

    /// Returns whether a use of one is between two of the other.
    const fn overlaps(&self, other: &Self) -> bool {
        self.since < other.last && other.since < self.last
    }

    /// Returns the run joined with an earlier one of the same place. It stays strange until it rests: what became known
    /// meanwhile became known by these very uses. Nothing older than two windows matters.
    fn after(&self, before: &Self, params: &Concurrent) -> Self {
        let last = self.last.max(before.last);
        let since = self.since.min(before.since).max(last.saturating_sub(2 * window(params)));
        Self { since, last, is_strange: self.is_strange || before.is_strange, ..*self }
    }

    /// Returns whether nobody can be at both at once: networks differ, and country or client does. A person carries a
    /// laptop from one network to another; a program stays with one operator until it moves, and then leaves it.
    fn is_elsewhere(&self, other: &Self, is_program: impl Fn() -> bool, atlas: &dyn Atlas) -> bool {
        let are_known = self.country != 0 && other.country != 0;
        let is_abroad = are_known && self.country != other.country;
        let is_with_both = || self.net.is_operator() && other.net.is_operator() && is_program();
        self.net.is_other(other.net, atlas)
            && (is_abroad || self.client != other.client || is_with_both())
    }
}

/// Two places that took turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// The minutes within which they did.
    pub minutes: i64,
    /// The other's country.
    pub country: Option<Country>,
    /// The other's autonomous system, if it is known and has at most 24 bits.
    pub network: Option<u32>,
    /// Whether this one is somebody else's, as far as is known.
    pub is_stranger_here: bool,
    /// Whether the other one is.
    pub is_stranger_there: bool,
    /// The key of the stranger's network.
    pub stranger: u32,
    /// On how many past days places took turns, and out of how many, both faded.
    pub days: (f64, f64),
}

impl Turn {
    /// Returns whether exactly one of the two is somebody else's.
    #[must_use]
    pub const fn is_strange(&self) -> bool {
        self.is_stranger_here != self.is_stranger_there
    }

    const fn is_of_known(&self) -> bool {
        !self.is_stranger_here && !self.is_stranger_there
    }
}

/// The places used last, and how often places take turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// The places, latest first.
    pub recent: Vec<Spot>,
    /// Days on which known places took turns, faded.
    pub habit: Days,
    /// Whether today is among them.
    pub is_counted: bool,
}

impl Turns {
    /// How many places are stored. A principal that uses more of them in turn does so as a habit.
    pub(super) const SLOTS: usize = 3;

    /// Returns the place with which this one takes turns, this one's run, and the seconds within which they did. Of
    /// several places it prefers a strange one if this one is not, a known one if this one is strange, then the latest.
    fn turn(
        &self,
        here: &Spot,
        is_program: impl Fn() -> bool,
        atlas: &dyn Atlas,
        params: &Concurrent,
    ) -> Option<(Spot, Spot, i64)> {
        let recent = || self.recent.iter().filter(|spot| !spot.rested(here.last, params));
        let before = recent().find(|spot| spot.is_same(here));
        let run = before.map_or(*here, |before| here.after(before, params));
        let is_news = |other: &Spot| {
            before.is_none_or(|before| !before.overlaps(other) || before.last < other.last)
        };
        let others = || {
            // The most expensive test comes last: most runs do not overlap.
            recent().filter(|other| {
                run.overlaps(other)
                    && is_news(other)
                    && here.is_elsewhere(other, &is_program, atlas)
            })
        };
        let is_of_another = |other: &&Spot| other.is_strange != run.is_strange;
        let there = *others().find(is_of_another).or_else(|| others().next())?;
        // If only the other was used before, this line is late: it falls between two uses of the other's run.
        let span = || there.last.saturating_sub(there.since).min(window(params));
        let seconds = before
            .map_or_else(span, |before| here.last.saturating_sub(before.last).saturating_abs());
        Some((run, there, seconds))
    }

    fn see(&mut self, here: Spot, params: &Concurrent) {
        let before = self.recent.iter().position(|spot| spot.is_same(&here));
        let before = before.map(|at| self.recent.remove(at));
        let before = before.filter(|spot| !spot.rested(here.last, params));
        let run = before.map_or(here, |before| here.after(&before, params));
        let at = self.recent.partition_point(|spot| spot.last > run.last);
        self.recent.reserve_exact(1); // most have one
        self.recent.insert(at, run);
        let latest = self.recent.first().map_or(run.last, |spot| spot.last);
        self.recent.retain(|spot| !spot.rested(latest, params));
        self.make_room();
    }

    /// Evicts the place unseen for longest. The only known place stays among strangers: somebody who keeps changing
    /// exits would otherwise push the owner out, and take turns with nobody. So does the only strange one among known.
    fn make_room(&mut self) {
        let n_strange = self.recent.iter().filter(|spot| spot.is_strange).count();
        let n_known = self.recent.len() - n_strange;
        let has_like = |spot: &Spot| 1 < if spot.is_strange { n_strange } else { n_known };
        if self.recent.len() > Self::SLOTS
            && let Some(at) = self.recent.iter().rposition(has_like)
        {
            self.recent.remove(at);
        }
    }

    /// Fades the habit by one active day.
    pub(super) fn begin_day(&mut self) {
        self.habit = self.habit.faded();
        self.is_counted = false;
    }

    fn count(&mut self) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.habit = self.habit.and_one();
        }
    }
}

/// Returns the keys of the networks of which a word about a sighting says who is there: its own, and if it is the
/// owner's, those of the strangers with whom it took turns.
pub(super) fn strangers_of(seen: &Sighting) -> Vec<u32> {
    let keys = seen.keys();
    let own = Net::of(keys.network, keys.prefix).map(Net::key);
    own.into_iter().chain(seen.turns_with.iter().copied()).collect()
}

/// Returns the window in seconds.
fn window(params: &Concurrent) -> i64 {
    i64::from(whole(params.window_minutes * 60.0))
}

impl Profile {
    /// Returns the turn that an accepted usage completes, if it does.
    pub(super) fn compare_turns(
        &self,
        signals: &Signals,
        params: &Params,
        atlas: &dyn Atlas,
    ) -> Option<Turn> {
        let here = Spot::of(signals, params).filter(|_| signals.is_accepted)?;
        let (run, there, seconds) =
            self.turns.turn(&here, || self.is_program(), atlas, &params.concurrent)?;
        Some(Turn {
            minutes: seconds / 60,
            country: country_of(there.country.into()),
            network: match there.net {
                Net::System(asn) => Some(asn),
                _ => None,
            },
            is_stranger_here: run.is_strange,
            is_stranger_there: there.is_strange,
            stranger: if run.is_strange { run.net } else { there.net }.key(),
            days: (self.turns.habit.get(), self.days.get()),
        })
    }

    /// Forgets where strangers were until now: a person has said who it was, and the owner's next use is not news.
    pub(super) fn settle_turns(&mut self, strangers: &[u32]) {
        self.turns.recent.retain(|spot| !spot.is_strange || !strangers.contains(&spot.net.key()));
    }

    /// Makes the turns of strangers news again.
    pub(super) fn forget_turns(&mut self, strangers: &[u32]) {
        strangers.iter().for_each(|key| self.told.forget(*key));
    }

    /// Notes the place of an accepted usage, and the day if known places took turns.
    pub(super) fn note_turn(&mut self, signals: &Signals, params: &Params) {
        let Some(here) = Spot::of(signals, params).filter(|_| signals.is_accepted) else { return };
        // Turns of strangers are not a habit: two exits used in turns, at night, would silence the whole day.
        if signals.turn.is_some_and(|turn| turn.is_of_known()) {
            self.turns.count();
        }
        self.turns.see(here, &params.concurrent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::geo::NoAtlas;

    fn spot(net: Net, country: u16, client: u16, minute: i64) -> Spot {
        let second = minute * 60;
        Spot { net, country, client, since: second, last: second, is_strange: false }
    }

    /// Applies uses by a person, and returns the minutes of the turn if the last one makes places take turns.
    fn takes_turns(uses: &[Spot]) -> Option<i64> {
        turns_of(false, uses)
    }

    fn turns_of(is_program: bool, uses: &[Spot]) -> Option<i64> {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let mut last = None;
        for here in uses {
            let turn = turns.turn(here, || is_program, &NoAtlas, &params);
            last = turn.map(|(_, _, seconds)| seconds / 60);
            turns.see(*here, &params);
        }
        last
    }

    #[test]
    fn places_take_turns_within_half_an_hour() {
        let a = |minute| spot(Net::System(1), 1, 1, minute);
        let b = |minute| spot(Net::System(2), 2, 1, minute);
        let c = |minute| spot(Net::System(3), 3, 1, minute);
        assert_eq!(takes_turns(&[a(0), b(10), a(20)]), Some(20));
        assert_eq!(takes_turns(&[a(0), b(10), c(15), a(30)]), Some(30));
        assert_eq!(takes_turns(&[a(0), b(10), a(31)]), None, "too long ago");
        assert_eq!(takes_turns(&[a(0), a(5), b(10)]), None, "nobody came back");
        assert_eq!(takes_turns(&[a(0), b(10), a(20), a(21)]), None, "counted at the first");
    }

    #[test]
    fn in_whatever_order_lines_come_it_is_their_time_that_counts() {
        let a = |minute| spot(Net::System(1), 1, 1, minute);
        let b = |minute| spot(Net::System(2), 2, 1, minute);
        let is_told = |uses: &[Spot]| (1..=uses.len()).any(|n| takes_turns(&uses[..n]).is_some());
        for uses in [[a(10), b(11), a(12)], [a(10), a(12), b(11)], [b(11), a(12), a(10)]] {
            assert!(is_told(&uses), "{uses:?}");
        }
        for uses in [[a(10), a(11), b(12)], [a(10), b(12), a(11)], [b(12), a(10), a(11)]] {
            assert!(!is_told(&uses), "{uses:?}");
        }
        assert!(!is_told(&[a(10), b(10), a(10)]), "in one second nobody knows");
    }

    #[test]
    fn one_place_does_not_take_turns_with_itself() {
        let pairs = [
            (spot(Net::System(1), 1, 1, 0), spot(Net::System(1), 2, 2, 1), false),
            (spot(Net::System(1), 1, 1, 0), spot(Net::System(2), 1, 1, 1), false),
            (spot(Net::System(1), 0, 1, 0), spot(Net::System(2), 2, 1, 1), false),
            (spot(Net::V4(1), 1, 1, 0), spot(Net::V6(1), 1, 2, 1), false),
            (spot(Net::V4(1), 1, 1, 0), spot(Net::System(1), 1, 2, 1), false),
            (spot(Net::System(1), 1, 1, 0), spot(Net::System(2), 1, 2, 1), true),
            (spot(Net::System(1), 1, 1, 0), spot(Net::System(2), 2, 1, 1), true),
            (spot(Net::V4(1), 0, 1, 0), spot(Net::V4(2), 0, 2, 1), true),
        ];
        for (a, b, expected) in pairs {
            let again = Spot { since: 120, last: 120, ..a };
            assert_eq!(takes_turns(&[a, b, again]).is_some(), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_program_is_not_with_two_operators_at_once() {
        let of_two = |is_program, nets: [Net; 2]| {
            let [a, b] = nets.map(|net| spot(net, 1, 1, 0));
            let uses = [a, Spot { since: 60, last: 60, ..b }, Spot { since: 120, last: 120, ..a }];
            turns_of(is_program, &uses).is_some()
        };
        let operators = [Net::System(1), Net::System(2)];
        assert!(of_two(true, operators));
        assert!(!of_two(false, operators), "a laptop is carried");
        assert!(!of_two(true, [Net::V4(1), Net::V4(2)]), "who runs them is not known");
    }

    #[test]
    fn of_several_the_stranger_is_named() {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let a = spot(Net::System(1), 1, 1, 0);
        let stranger = Spot { is_strange: true, ..spot(Net::System(2), 2, 2, 1) };
        [a, stranger, spot(Net::System(3), 1, 3, 2)].iter().for_each(|of| turns.see(*of, &params));
        let again = Spot { since: 180, last: 180, ..a };
        let (_, there, _) = turns.turn(&again, || false, &NoAtlas, &params).unwrap();
        assert_eq!(there, stranger);
    }

    #[test]
    fn of_several_a_stranger_takes_turns_with_the_known_one() {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let strange =
            |minute, asn| Spot { is_strange: true, ..spot(Net::System(asn), 2, 2, minute) };
        let owner = spot(Net::System(1), 1, 1, 1);
        let other = Spot { country: 3, ..strange(2, 3) };
        [strange(0, 2), owner, other].iter().for_each(|of| turns.see(*of, &params));
        let (_, there, _) = turns.turn(&strange(3, 2), || false, &NoAtlas, &params).unwrap();
        assert_eq!(there, owner);
    }

    #[test]
    fn ever_other_exits_do_not_push_the_owner_out() {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let owner = |minute| spot(Net::System(1), 1, 1, minute);
        turns.see(owner(0), &params);
        for n in 2..10 {
            let exit = spot(Net::System(n), 2, 2, n.into());
            turns.see(Spot { is_strange: true, ..exit }, &params);
            assert!(turns.recent.len() <= Turns::SLOTS);
        }
        let (run, there, _) = turns.turn(&owner(10), || false, &NoAtlas, &params).unwrap();
        assert_eq!((run.is_strange, there.is_strange), (false, true));
    }

    #[test]
    fn many_places_take_no_more_room() {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        (0..1000).for_each(|n| turns.see(spot(Net::V4(n), 1, 1, 5), &params));
        assert_eq!(turns.recent.len(), Turns::SLOTS);
        turns.see(spot(Net::V4(1), 1, 1, 50), &params);
        assert_eq!(turns.recent.len(), 1);
    }
}
