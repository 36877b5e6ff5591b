//! Where a client is: country, coordinates, network. [`Atlas`] is the interface to the data.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};
use smol_str::{SmolStr, ToSmolStr as _, format_smolstr};

/// An ISO 3166-1 alpha-2 code, upper case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SmolStr", into = "SmolStr")]
pub struct Country([u8; 2]);

impl Country {
    /// Accepts two ASCII letters of either case.
    #[must_use]
    pub const fn new(code: [u8; 2]) -> Option<Self> {
        let [a, b] = code;
        if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() {
            Some(Self([a.to_ascii_uppercase(), b.to_ascii_uppercase()]))
        } else {
            None
        }
    }

    /// Parses a code such as `DE`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        <[u8; 2]>::try_from(text.as_bytes()).ok().and_then(Self::new)
    }

    /// Returns the code's two letters.
    #[must_use]
    pub const fn code(self) -> [u8; 2] {
        self.0
    }

    /// Returns the code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl TryFrom<SmolStr> for Country {
    type Error = &'static str;
    fn try_from(text: SmolStr) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a country code of two letters")
    }
}

impl From<Country> for SmolStr {
    fn from(country: Country) -> Self {
        Self::new(country.as_str())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A point on the globe and its accuracy.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Degrees north.
    pub latitude: f32,
    /// Degrees east.
    pub longitude: f32,
    /// Accuracy radius in km.
    pub radius_km: f32,
}

impl Point {
    /// Returns the great-circle distance in km (haversine, R = 6371 km), without subtracting the radii.
    #[must_use]
    pub fn distance_km(self, other: Self) -> f64 {
        const EARTH_KM: f64 = 6371.0;
        let (lat1, lat2) = (rad(self.latitude), rad(other.latitude));
        let (dlat, dlon) = (lat2 - lat1, rad(other.longitude) - rad(self.longitude));
        let (s, t) = (libm::sin(dlat / 2.0), libm::sin(dlon / 2.0));
        let a = s * s + libm::cos(lat1) * libm::cos(lat2) * t * t;
        2.0 * EARTH_KM * libm::asin(f64::sqrt(a.clamp(0.0, 1.0)))
    }
}

fn rad(degrees: f32) -> f64 {
    f64::from(degrees).to_radians()
}

/// What kind of network an address belongs to, as far as its operator's name shows.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum NetworkKind {
    /// Homes and everything that cannot be distinguished from them.
    #[default]
    Residential,
    /// Phones: many users behind few addresses, which are far from the users.
    Mobile,
    /// Rented machines and clouds.
    Hosting,
    /// Exits that hide the user's location.
    Vpn,
    /// Companies, universities and governments with networks of their own.
    Business,
}

impl NetworkKind {
    /// All, in the order in which they are stored.
    pub const ALL: [Self; 5] =
        [Self::Residential, Self::Mobile, Self::Hosting, Self::Vpn, Self::Business];

    /// Returns its name, as in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Residential => "residential",
            Self::Mobile => "mobile",
            Self::Hosting => "hosting",
            Self::Vpn => "vpn",
            Self::Business => "business",
        }
    }
}

/// What an [`Atlas`] knows about one address. Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Place {
    /// Country, unless unknown or meaningless (private, anycast).
    pub country: Option<Country>,
    /// City's English name; empty if unknown.
    pub city: SmolStr,
    /// Coordinates, if the data has any.
    pub point: Option<Point>,
    /// Autonomous system number.
    pub asn: Option<u32>,
    /// The operator's name; empty if unknown.
    pub organization: SmolStr,
    /// The kind of network; `None` if the operator is unknown.
    pub network: Option<NetworkKind>,
}

/// A client's neighbourhood: IPv4 /24 or IPv6 /48 (one customer's site at most).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Prefix(IpAddr);

impl Prefix {
    /// Returns the neighbourhood of an address; v4-mapped v6 counts as v4.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(v4) => Self(Ipv4Addr::from_bits(v4.to_bits() & 0xffff_ff00).into()),
            IpAddr::V6(v6) => Self(Ipv6Addr::from_bits(v6.to_bits() & (!0 << 80)).into()),
        }
    }

    /// Returns one subscriber's network: IPv6 /64 and, for lack of anything better, IPv4 /24.
    #[must_use]
    pub fn subscriber(address: IpAddr) -> SmolStr {
        match address.to_canonical() {
            v4 @ IpAddr::V4(_) => Self::of(v4).to_smolstr(),
            IpAddr::V6(v6) => {
                format_smolstr!("{}/64", Ipv6Addr::from_bits(v6.to_bits() & (!0 << 64)))
            }
        }
    }

    /// Returns the neighbourhood's first address.
    #[must_use]
    pub const fn address(self) -> IpAddr {
        self.0
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, if self.0.is_ipv4() { 24 } else { 48 })
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns whether a name is a network's: a subscriber's, a neighbourhood's, or that of an operator, `AS64500`.
#[must_use]
pub fn is_network(name: &str) -> bool {
    if let Some(number) = name.strip_prefix("AS") {
        return number.parse::<u32>().is_ok();
    }
    let first = name.split('/').next().and_then(|address| address.parse::<IpAddr>().ok());
    first.is_some_and(|first| {
        Prefix::subscriber(first) == name || Prefix::of(first).to_smolstr() == name
    })
}

/// Locates addresses.
pub trait Atlas: Send + Sync {
    /// Returns what is known about the address; all empty if nothing is.
    fn place(&self, address: IpAddr) -> Place;

    /// Returns the least distance in km between two countries' territories, 0 for neighbours; `None` if one is unknown.
    fn border_distance_km(&self, a: Country, b: Country) -> Option<f64>;

    /// Tells whether two autonomous systems are the same, or of one operator and one kind: large operators number their
    /// regions apart.
    fn is_one_operator(&self, a: u32, b: u32) -> bool {
        a == b
    }
}

/// Knows nothing: for tests and for installations without data.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAtlas;

impl Atlas for NoAtlas {
    fn place(&self, _: IpAddr) -> Place {
        Place::default()
    }

    fn border_distance_km(&self, _: Country, _: Country) -> Option<f64> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_globe() {
        let berlin = Point { latitude: 52.52, longitude: 13.405, radius_km: 10.0 };
        let tokyo = Point { latitude: 35.68, longitude: 139.69, radius_km: 10.0 };
        assert!((berlin.distance_km(tokyo) - 8918.0).abs() < 10.0);
        assert!(berlin.distance_km(berlin) < 1e-9);
    }

    #[test]
    fn a_neighbourhood_is_a_24_or_a_48() {
        let of = |text: &str| Prefix::of(text.parse().unwrap()).to_string();
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2::3"), "2001:db8:1::/48");
    }

    #[test]
    fn a_subscriber_has_a_24_or_a_64() {
        let of = |text: &str| Prefix::subscriber(text.parse().unwrap());
        assert_eq!(of("192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("::ffff:192.0.2.77"), "192.0.2.0/24");
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
    }

    #[test]
    fn a_network_has_the_name_that_it_is_given_here_or_its_operators_number() {
        for name in
            ["192.0.2.0/24", "2001:db8:1:2::/64", "2001:db8:1::/48", "AS64500", "2001:db8::/64"]
        {
            assert!(is_network(name), "{name}");
        }
        for name in [
            "",
            "192.0.2.0",
            "192.0.2.0/",
            "192.0.2.7/24",
            "192.0.2.0/16",
            "192.0.2.0/24/24",
            "::ffff:192.0.2.0/24",
            "2001:db8:1:2::/48",
            "2001:db8::/32",
            "AS",
            "AS64500/24",
            "ASN64500",
            "evil.example/24",
            "192.0.2.0/24 GET /v1",
            "AS64500 GET /v1",
        ] {
            assert!(!is_network(name), "{name}");
        }
    }

    #[test]
    fn countries_have_two_letters() {
        assert_eq!(Country::parse("de").unwrap().as_str(), "DE");
        assert_eq!(Country::parse("D1"), None);
        assert_eq!(Country::parse("DEU"), None);
    }
}
