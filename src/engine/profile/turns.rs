//! Two places that take turns within minutes: A, B, and A again.
//!
//! A place is a network in a country with a client. Two places differ if their networks differ and, beside it, country or client:
//! the two address families of one line, or a laptop that is carried from one network to another, are one
//! place. Whoever takes turns as a habit (phone and laptop, a VPN that goes on and off, a service in
//! many regions) is known by the days on which that happened. (docs/detection.md, Turns.)

use crate::engine::geo::Country;
use crate::engine::profile::Profile;
use crate::engine::profile::actor::minute;
use crate::engine::profile::params::{Concurrent, Params};
use crate::engine::profile::signals::{Signals, country_of};
use crate::engine::stats::{Days, whole};

/// A network, in 24 bits: two that clash do no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Net {
    /// An autonomous system.
    System(u32),
    /// One whose number has more than 24 bits: its lower ones.
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
            // A prefix' top bit says that it is of IPv6.
            (None, Some(prefix)) if prefix >> 31 == 1 => Some(Self::V6(prefix & Self::BITS)),
            (None, Some(prefix)) => Some(Self::V4(prefix & Self::BITS)),
            (None, None) => None,
        }
    }

    /// Returns the sort and the number, as they are kept.
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

    /// Tells whether it is certainly another network. Where operators are unknown, addresses of both
    /// families may be of one line.
    fn is_other(self, other: Self) -> bool {
        use Net::{Large, System, V4, V6};
        let is_comparable = matches!(
            (self, other),
            (System(_) | Large(_), System(_) | Large(_)) | (V4(_), V4(_)) | (V6(_), V6(_))
        );
        is_comparable && self != other
    }
}

/// Where and with what a token was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub net: Net,
    /// As it is kept, 0 if unknown.
    pub country: u16,
    /// 16 bits of the client's key.
    pub client: u16,
    /// When it was used last, in minutes since 1970.
    pub minute: i64,
    /// Whether it was somebody else's then, as far as was known: its values were held back.
    pub is_strange: bool,
}

impl Spot {
    fn of(signals: &Signals, params: &Params) -> Option<Self> {
        let keys = &signals.keys;
        let country = keys.country.and_then(|country| u16::try_from(country).ok());
        Some(Self {
            net: Net::of(keys.network, keys.prefix)?,
            country: country.unwrap_or(0),
            client: u16::try_from(keys.client & 0xffff).unwrap_or(0),
            minute: minute(signals.time),
            is_strange: signals.evidence.identity() >= params.learning.hold,
        })
    }

    /// Tells whether it is the same in all.
    fn is_same(&self, other: &Self) -> bool {
        let of = |spot: &Self| (spot.net, spot.country, spot.client);
        of(self) == of(other)
    }

    /// Tells whether nobody is at both at once: networks differ, and country or client does.
    fn is_elsewhere(&self, other: &Self) -> bool {
        let are_known = self.country != 0 && other.country != 0;
        let is_abroad = are_known && self.country != other.country;
        self.net.is_other(other.net) && (is_abroad || self.client != other.client)
    }
}

/// Two places that took turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Minutes from the first use at this place to the one now, with the other between them.
    pub minutes: i64,
    /// The other's country.
    pub country: Option<Country>,
    /// The other's autonomous system, if it is known and has 24 bits at the most.
    pub network: Option<u32>,
    /// Whether one of both is known and the other is somebody else's, as far as is known.
    pub is_strange: bool,
    /// On how many of the past days places took turns, of so many, both faded.
    pub days: (f64, f64),
}

/// The places used last, and how often places take turns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Turns {
    /// The latest first.
    pub recent: Vec<Spot>,
    /// Days on which known places took turns, faded.
    pub habit: Days,
    /// Whether today is among them.
    pub is_counted: bool,
}

impl Turns {
    /// How many places are kept. Who uses more of them in turn takes turns as a habit.
    pub(super) const SLOTS: usize = 3;

    /// Returns the place with which this one takes turns; of several the one that is stranger, then the latest.
    fn turn(&self, here: &Spot, params: &Concurrent) -> Option<(Spot, Spot)> {
        let is_recent = |spot: &&Spot| here.minute.saturating_sub(spot.minute) <= window(params);
        let recent: Vec<&Spot> = self.recent.iter().take_while(is_recent).collect();
        let at = recent.iter().position(|spot| spot.is_same(here))?;
        let before = **recent.get(at)?;
        let mut between = recent.into_iter().take(at).filter(|spot| here.is_elsewhere(spot));
        let first = *between.next()?;
        let is_own = !here.is_strange && !before.is_strange;
        let stranger = between.find(|spot| is_own && spot.is_strange && !first.is_strange);
        Some((before, stranger.copied().unwrap_or(first)))
    }

    fn see(&mut self, here: Spot, params: &Concurrent) {
        let before = self.recent.iter().position(|spot| spot.is_same(&here));
        let before = before.map(|at| self.recent.remove(at));
        let age = |spot: &Spot| here.minute.saturating_sub(spot.minute);
        // Strange it stays until it rests: what became known in between, became so by these very uses.
        let was_strange =
            before.is_some_and(|spot| spot.is_strange && age(&spot) <= window(params));
        self.recent.insert(0, Spot { is_strange: here.is_strange || was_strange, ..here });
        self.recent.truncate(Self::SLOTS);
        self.recent.retain(|spot| age(spot) <= window(params));
    }

    /// Lets one active day pass.
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

fn window(params: &Concurrent) -> i64 {
    whole(params.window_minutes).into()
}

impl Profile {
    /// Tells whether an accepted usage makes two places take turns.
    pub(super) fn compare_turns(&self, signals: &Signals, params: &Params) -> Option<Turn> {
        let here = Spot::of(signals, params).filter(|_| signals.is_accepted)?;
        let (before, there) = self.turns.turn(&here, &params.concurrent)?;
        Some(Turn {
            minutes: here.minute.saturating_sub(before.minute),
            country: country_of(there.country.into()),
            network: match there.net {
                Net::System(asn) => Some(asn),
                _ => None,
            },
            is_strange: (here.is_strange || before.is_strange) != there.is_strange,
            days: (self.turns.habit.get(), self.days.get()),
        })
    }

    /// Notes where an accepted usage came from, and the day if known places took turns.
    pub(super) fn note_turn(&mut self, signals: &Signals, params: &Params) {
        let Some(here) = Spot::of(signals, params).filter(|_| signals.is_accepted) else { return };
        if signals.turn.is_some_and(|turn| !turn.is_strange) {
            self.turns.count();
        }
        self.turns.see(here, &params.concurrent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spot(net: Net, country: u16, client: u16, minute: i64) -> Spot {
        Spot { net, country, client, minute, is_strange: false }
    }

    /// Sees uses, and tells whether the last of them makes places take turns.
    fn takes_turns(uses: &[Spot]) -> Option<i64> {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let mut last = None;
        for here in uses {
            last = turns.turn(here, &params).map(|(before, _)| here.minute - before.minute);
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
            let again = Spot { minute: 2, ..a };
            assert_eq!(takes_turns(&[a, b, again]).is_some(), expected, "{a:?} {b:?}");
        }
    }

    #[test]
    fn of_several_the_stranger_is_named() {
        let (mut turns, params) = (Turns::default(), Concurrent::default());
        let a = spot(Net::System(1), 1, 1, 0);
        let stranger = Spot { is_strange: true, ..spot(Net::System(2), 2, 2, 1) };
        [a, stranger, spot(Net::System(3), 1, 3, 2)].iter().for_each(|of| turns.see(*of, &params));
        let (_, there) = turns.turn(&Spot { minute: 3, ..a }, &params).unwrap();
        assert_eq!(there, stranger);
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
