//! The last trusted place, and the speed of a journey from there.

use smol_str::{SmolStr, format_smolstr};

use crate::engine::geo::{Atlas, Country, NetworkKind, Place, Point};
use crate::engine::profile::params::Travel;
use crate::engine::stats::narrow;
use crate::engine::time::{SECOND, Timestamp};

/// Where a principal was last, as far as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fix {
    /// When.
    pub time: Timestamp,
    /// Degrees north and east, in 1/100.
    pub degrees: Option<(i16, i16)>,
    /// Accuracy radius in km; 0 if unknown.
    pub radius_km: u16,
    /// Country.
    pub country: Option<Country>,
    /// Autonomous system.
    pub asn: Option<u32>,
    /// Kind of network.
    pub network: Option<NetworkKind>,
    /// City, cut at 23 bytes.
    pub city: SmolStr,
}

/// A jump from the last trusted place.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Distance between the edges of both accuracy radii.
    pub km: f64,
    /// Time between both uses, at least a minute.
    pub seconds: f64,
    /// Whether the actual time was shorter.
    pub is_sooner: bool,
    /// Speed.
    pub kmh: f64,
    /// The place left: `Berlin, DE`.
    pub from: SmolStr,
    /// The kind of network there.
    pub from_network: Option<NetworkKind>,
}

/// The longest city name stored.
const CITY_BYTES: usize = 23;

/// Names a place as precisely as possible: `Berlin, DE`, `DE`, or nothing.
#[must_use]
pub fn name(city: &str, country: Option<Country>) -> SmolStr {
    match country {
        Some(country) if city.is_empty() => SmolStr::new(country.as_str()),
        Some(country) => format_smolstr!("{city}, {country}"),
        None => SmolStr::new(city),
    }
}

impl Fix {
    /// Stores a place; `None` if nothing is known about it, or if it hides where its user is.
    #[must_use]
    pub(super) fn of(time: Timestamp, place: &Place) -> Option<Self> {
        let is_hidden = place.network == Some(NetworkKind::Vpn);
        if is_hidden || (place.country.is_none() && place.point.is_none()) {
            return None;
        }
        Some(Self {
            time,
            degrees: place.point.map(|p| (hundredths(p.latitude), hundredths(p.longitude))),
            radius_km: place.point.map_or(0, |p| kilometres(p.radius_km)),
            country: place.country,
            asn: place.asn,
            network: place.network,
            city: cut(&place.city),
        })
    }

    /// Returns the hop from here to a place; `None` if the distance is unknown, within one network,
    /// or if the place hides where its user is.
    ///
    /// With coordinates at both ends: the great circle less both radii. Otherwise the least
    /// distance between the two countries.
    #[must_use]
    pub(super) fn hop(
        &self,
        time: Timestamp,
        to: &Place,
        atlas: &dyn Atlas,
        params: &Travel,
    ) -> Option<Hop> {
        let numbers = self.asn.zip(to.asn);
        let is_one_network = numbers.is_some_and(|(from, to)| atlas.is_one_operator(from, to));
        if is_one_network || to.network == Some(NetworkKind::Vpn) {
            return None;
        }
        let km = match (self.point(), to.point) {
            (Some(from), Some(point)) => {
                let known = |radius, kind| radius_of(radius, kind, params);
                let radii =
                    known(from.radius_km, self.network) + known(point.radius_km, to.network);
                (from.distance_km(point) - radii).max(0.0)
            }
            _ => atlas.border_distance_km(self.country?, to.country?)?,
        };
        let micros = u32::try_from(time.since(self.time).max(0) / SECOND).unwrap_or(u32::MAX);
        let measured = f64::from(micros);
        let seconds = measured.max(params.min_seconds).max(1.0);
        let kmh = km / seconds * 3600.0;
        let from = name(&self.city, self.country);
        let is_sooner = measured < seconds;
        Some(Hop { km, seconds, is_sooner, kmh, from, from_network: self.network })
    }

    fn point(&self) -> Option<Point> {
        let (north, east) = self.degrees?;
        let degrees = |hundredths: i16| narrow(f64::from(hundredths) / 100.0);
        let radius_km = f32::from(self.radius_km);
        Some(Point { latitude: degrees(north), longitude: degrees(east), radius_km })
    }
}

fn radius_of(radius_km: f32, network: Option<NetworkKind>, params: &Travel) -> f64 {
    let known = if radius_km > 0.0 { f64::from(radius_km) } else { params.radius_km };
    let is_mobile = network == Some(NetworkKind::Mobile);
    if is_mobile { known.max(params.mobile_radius_km) } else { known }
}

#[expect(clippy::cast_possible_truncation, reason = "saturates, and degrees fit")]
fn hundredths(degrees: f32) -> i16 {
    libm::round(f64::from(degrees) * 100.0) as i16
}

fn kilometres(radius: f32) -> u16 {
    u16::try_from(crate::engine::stats::whole(f64::from(radius))).unwrap_or(u16::MAX)
}

fn cut(city: &str) -> SmolStr {
    let end = (0..=CITY_BYTES.min(city.len())).rev().find(|end| city.is_char_boundary(*end));
    SmolStr::new(city.get(..end.unwrap_or(0)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::geo::NoAtlas;

    fn place(city: &str, country: &str, latitude: f32, longitude: f32, asn: u32) -> Place {
        Place {
            country: Country::parse(country),
            city: city.into(),
            point: Some(Point { latitude, longitude, radius_km: 20.0 }),
            asn: Some(asn),
            network: Some(NetworkKind::Residential),
            ..Place::default()
        }
    }

    fn berlin() -> Place {
        place("Berlin", "DE", 52.52, 13.405, 64500)
    }

    #[test]
    fn a_hop_is_distance_less_radii_by_time() {
        let start = Timestamp::from_seconds(1_000_000);
        let fix = Fix::of(start, &berlin()).unwrap();
        let lagos = place("Lagos", "NG", 6.45, 3.39, 64501);
        let hop =
            fix.hop(start.plus(12 * 60 * SECOND), &lagos, &NoAtlas, &Travel::default()).unwrap();
        assert!((hop.km - 5160.0).abs() < 60.0, "{}", hop.km);
        assert!((hop.kmh - hop.km * 5.0).abs() < 1e-6);
        assert_eq!(hop.from, "Berlin, DE");
    }

    #[test]
    fn the_same_instant_counts_as_a_minute() {
        let start = Timestamp::from_seconds(1_000_000);
        let fix = Fix::of(start, &berlin()).unwrap();
        let to = place("Lagos", "NG", 6.45, 3.39, 64501);
        for (seconds, counted, is_sooner) in [(0, 60.0, true), (59, 60.0, true), (60, 60.0, false)]
        {
            let time = start.plus(seconds * SECOND);
            let hop = fix.hop(time, &to, &NoAtlas, &Travel::default()).unwrap();
            assert_eq!((hop.seconds, hop.is_sooner), (counted, is_sooner), "{seconds}");
        }
    }

    #[test]
    fn one_network_and_a_vpn_are_no_travel() {
        let start = Timestamp::from_seconds(1_000_000);
        let fix = Fix::of(start, &berlin()).unwrap();
        let same = place("Lagos", "NG", 6.45, 3.39, 64500);
        assert_eq!(fix.hop(start, &same, &NoAtlas, &Travel::default()), None);
        let vpn = Place { network: Some(NetworkKind::Vpn), ..place("Lagos", "NG", 6.45, 3.39, 1) };
        assert_eq!(fix.hop(start, &vpn, &NoAtlas, &Travel::default()), None);
        assert_eq!(Fix::of(start, &vpn), None);
    }

    #[test]
    fn long_cities_are_cut_between_characters() {
        let city = "Łłłłłłłłłłłłłłłłłłłłł";
        assert_eq!(cut(city).len(), 22);
        assert_eq!(cut("Berlin"), "Berlin");
    }
}
