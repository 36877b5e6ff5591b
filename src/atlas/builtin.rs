//! The built-in table: country, network and the distances between countries, without any setup.
//!
//! `data/README.md` lists the sources of the data and their licences, and how to rebuild the table.

use std::net::IpAddr;
use std::sync::OnceLock;

use crate::engine::geo::{Atlas, Country, Place};

use super::is_public;
use super::network::network_kind;
use super::table::{Ranges4, Ranges6, Value, inflate, take_column, take_u32, take_varint};

/// A pair of countries whose distance is unknown, in the packed triangle.
const UNKNOWN: u16 = u16::MAX;

/// Contains the country and the network of public addresses, and the distances between countries.
pub struct BuiltIn {
    built: u32,
    /// In ascending order; the ranges and the triangle refer to positions in this list.
    countries: Vec<Country>,
    /// Least distances in units of 10 km, rounded down: row a contains b = 0 to a.
    borders: Vec<u16>,
    country4: Ranges4<u8>,
    asn4: Ranges4<u32>,
    /// Unpacked for the first IPv6 address: many sites never see one.
    six: OnceLock<Option<Six>>,
    operators: Operators,
}

impl BuiltIn {
    /// Returns the table, unpacked at the first call (some 20 ms, some 7 MB), and for the first IPv6 address (5 MB
    /// more).
    ///
    /// A damaged table, which a test rules out, knows nothing.
    #[must_use]
    pub fn get() -> Option<&'static Self> {
        static TABLE: OnceLock<Option<BuiltIn>> = OnceLock::new();
        TABLE.get_or_init(Self::unpack).as_ref()
    }

    fn unpack() -> Option<Self> {
        let head = inflate(include_bytes!("data/countries.zst"))?;
        let mut rest = head.as_slice();
        let built = take_u32(&mut rest)?;
        let (codes, triangle) = (take_column(&mut rest)?, take_column(&mut rest)?);
        let (codes, _) = codes.as_chunks();
        let (distances, _) = triangle.as_chunks();
        Some(Self {
            built,
            countries: codes.iter().map(|code| Country::new(*code)).collect::<Option<_>>()?,
            borders: distances.iter().map(|bytes| u16::from_le_bytes(*bytes)).collect(),
            country4: Ranges4::unpack(include_bytes!("data/country4.zst"))?,
            asn4: Ranges4::unpack(include_bytes!("data/asn4.zst"))?,
            six: OnceLock::new(),
            operators: Operators::unpack(include_bytes!("data/operators.zst"))?,
        })
    }

    /// Returns when the oldest of the sources was made, in seconds since 1970.
    #[must_use]
    pub fn built(&self) -> u64 {
        u64::from(self.built)
    }

    /// Returns whether a code is that of a country: ISO 3166-1, and XK for Kosovo.
    #[must_use]
    pub fn has(&self, country: Country) -> bool {
        self.triangle_row(country).is_some()
    }

    /// Returns the country in which the address is registered or announced.
    #[must_use]
    pub fn country(&self, address: IpAddr) -> Option<Country> {
        let value = match address.to_canonical() {
            IpAddr::V4(v4) => self.country4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.six()?.country.find(upper(v6)),
        };
        self.countries.get(usize::from(value?)).copied()
    }

    /// Returns the number of the autonomous system that announces the address.
    #[must_use]
    pub fn asn(&self, address: IpAddr) -> Option<u32> {
        let value = match address.to_canonical() {
            IpAddr::V4(v4) => self.asn4.find(v4.to_bits()),
            IpAddr::V6(v6) => self.six()?.asn.find(upper(v6)),
        };
        let place = value.filter(|value| *value != u32::NONE)?;
        self.operators.numbers.get(usize::try_from(place).ok()?).copied()
    }

    /// Returns the name of an autonomous system's operator.
    #[must_use]
    pub fn operator(&self, asn: u32) -> Option<&str> {
        self.operators.name(asn)
    }

    fn six(&self) -> Option<&Six> {
        self.six.get_or_init(Six::unpack).as_ref()
    }

    fn triangle_row(&self, country: Country) -> Option<usize> {
        self.countries.binary_search(&country).ok()
    }
}

/// What is known of IPv6 addresses.
struct Six {
    country: Ranges6<u8>,
    asn: Ranges6<u32>,
}

impl Six {
    fn unpack() -> Option<Self> {
        Some(Self {
            country: Ranges6::unpack(include_bytes!("data/country6.zst"))?,
            asn: Ranges6::unpack(include_bytes!("data/asn6.zst"))?,
        })
    }
}

impl Atlas for BuiltIn {
    fn place(&self, address: IpAddr) -> Place {
        if !is_public(address) {
            return Place::default();
        }
        let asn = self.asn(address);
        with_network(Place {
            country: self.country(address),
            asn,
            organization: asn.and_then(|asn| self.operator(asn)).unwrap_or_default().into(),
            ..Place::default()
        })
    }

    fn border_distance_km(&self, a: Country, b: Country) -> Option<f64> {
        if a == b {
            return Some(0.0);
        }
        let (a, b) = (self.triangle_row(a)?, self.triangle_row(b)?);
        let (row, column) = (a.max(b), a.min(b));
        let distance = *self.borders.get(row * (row + 1) / 2 + column)?;
        (distance != UNKNOWN).then(|| f64::from(distance) * 10.0)
    }

    fn is_one_operator(&self, a: u32, b: u32) -> bool {
        // Reserved numbers have a placeholder for a name: `-Reserved AS-`.
        let name = |asn| self.operator(asn).filter(|name| !name.starts_with('-'));
        let has_name = |known: &str| name(b) == Some(known);
        let is_alike = |name: &str| network_kind(Some(a), name) == network_kind(Some(b), name);
        a == b || name(a).is_some_and(|name| has_name(name) && is_alike(name))
    }
}

/// Adds to a place what its operator shows about the network.
pub(super) fn with_network(place: Place) -> Place {
    let is_known = place.asn.is_some() || !place.organization.is_empty();
    let network = is_known.then(|| network_kind(place.asn, &place.organization));
    Place { network, ..place }
}

fn upper(address: std::net::Ipv6Addr) -> u64 {
    u64::try_from(address.to_bits() >> 64).unwrap_or(u64::MAX)
}

/// The autonomous systems that announce anything, with their operators' names.
///
/// Packed: a column of the differences of the numbers as varints, and a column of the names, each followed by a line
/// feed.
struct Operators {
    numbers: Vec<u32>,
    names: String,
    /// The position of each name's line feed.
    ends: Vec<u32>,
}

impl Operators {
    fn unpack(packed: &[u8]) -> Option<Self> {
        let bytes = inflate(packed)?;
        let mut rest = bytes.as_slice();
        let (mut deltas, names) = (take_column(&mut rest)?, take_column(&mut rest)?);
        let ends: Vec<u32> =
            memchr::memchr_iter(b'\n', names).filter_map(|end| u32::try_from(end).ok()).collect();
        let mut numbers = Vec::with_capacity(ends.len());
        let mut number = 0_u32;
        while !deltas.is_empty() {
            number = number.checked_add(u32::try_from(take_varint(&mut deltas)?).ok()?)?;
            numbers.push(number);
        }
        let names = std::str::from_utf8(names).ok()?.to_owned();
        (numbers.len() == ends.len()).then_some(Self { numbers, names, ends })
    }

    fn name(&self, asn: u32) -> Option<&str> {
        let place = self.numbers.binary_search(&asn).ok()?;
        let start = match place.checked_sub(1) {
            Some(before) => usize::try_from(*self.ends.get(before)?).ok()? + 1,
            None => 0,
        };
        let end = usize::try_from(*self.ends.get(place)?).ok()?;
        self.names.get(start..end).filter(|name| !name.is_empty())
    }
}
