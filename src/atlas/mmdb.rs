//! MMDB files in memory: City, Country and ASN data in the schemas of several vendors.
//!
//! A file is read as a whole, never mapped: if a mapped file is cut or overwritten, the process is killed. Before a
//! file is used, all of it is walked, so that no later lookup fails.
//!
//! | schema | country | city | coordinates | network |
//! | --- | --- | --- | --- | --- |
//! | `MaxMind`, DB-IP | `country.iso_code` | `city.names.en` | `location.{latitude,longitude,accuracy_radius}` | `autonomous_system_{number,organization}` |
//! | ip-location-db | `country_code` | `city` | `latitude`, `longitude` | as `MaxMind` |
//! | IPinfo | `country_code`, else `country` | `city` | `latitude`, `longitude` or `lat`, `lng`, as text | `asn` (`AS64496`), `as_name` or `name` |

use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use maxminddb::{MaxMindDbError, Reader, WithinOptions};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::engine::geo::{Country, Point};

/// The limit of a file, in MiB: the largest available ones (City, IPv4 and IPv6) have some 150 MB. A file and its
/// successor are in memory together, and fit below `MemoryHigh=` of systemd/tokenwatch.service.
const MAX_FILE_MIB: u64 = 160;
const MAX_FILE_BYTES: u64 = MAX_FILE_MIB << 20;

/// The marker before the metadata, near the end of the file.
const METADATA_START: &[u8] = b"\xab\xcd\xefMaxMind.com";

/// The radius of coordinates without one: `MaxMind` gives 20 to 50 km to most addresses whose city it knows.
const DEFAULT_RADIUS_KM: f32 = 50.0;

/// Why a file is not used, or not used in its newest form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// There is no such file.
    #[error("no such file")]
    Missing,
    /// The system denies reading it.
    #[error("reading it: {0}")]
    Unreadable(String),
    /// It would take memory that the service does not have.
    #[error("{0} bytes are more than the {MAX_FILE_MIB} MiB that fit into the service's memory")]
    TooLarge(u64),
    /// It was written to while being read.
    #[error("it changes while it is read")]
    Changing,
    /// It lacks the end of an MMDB file.
    #[error("no MMDB metadata at its end: it is cut off, or not an MMDB file")]
    NotMmdb,
    /// It is an MMDB file, but its tree or its data are invalid.
    #[error("damaged: {0}")]
    Damaged(String),
}

impl Fault {
    /// Returns whether the fault may be gone at the next look although the file stays the same.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unreadable(_) | Self::Changing)
    }
}

/// Identifies one state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    device: u64,
    inode: u64,
    modified: (i64, i64),
    n_bytes: u64,
}

impl Identity {
    /// Looks at the file to which the path leads now. Anything but a file is unreadable (opening a pipe would wait
    /// for its writer).
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        let meta = std::fs::metadata(path).map_err(|error| fault(&error))?;
        if meta.is_file() {
            Ok(Self::new(&meta))
        } else {
            Err(Fault::Unreadable("not a regular file".to_owned()))
        }
    }

    fn new(meta: &std::fs::Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            n_bytes: meta.size(),
        }
    }
}

fn fault(error: &std::io::Error) -> Fault {
    match error.kind() {
        std::io::ErrorKind::NotFound => Fault::Missing,
        kind => Fault::Unreadable(kind.to_string()),
    }
}

/// One file's data about one address. Everything may be missing.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Record {
    pub(super) country: Option<Country>,
    pub(super) city: SmolStr,
    pub(super) point: Option<Point>,
    pub(super) asn: Option<u32>,
    pub(super) organization: SmolStr,
}

/// One file, read and verified.
pub(super) struct Mmdb {
    identity: Identity,
    reader: Reader<Vec<u8>>,
}

impl Mmdb {
    /// Reads and verifies the file.
    pub(super) fn open(path: &Path) -> Result<Self, Fault> {
        let mut file = File::open(path).map_err(|error| fault(&error))?;
        let identity = identity_of_open(&file)?;
        if identity.n_bytes > MAX_FILE_BYTES {
            return Err(Fault::TooLarge(identity.n_bytes));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(identity.n_bytes).unwrap_or_default());
        file.by_ref()
            .take(MAX_FILE_BYTES)
            .read_to_end(&mut bytes)
            .map_err(|error| fault(&error))?;
        if identity_of_open(&file)? != identity {
            return Err(Fault::Changing);
        }
        memchr::memmem::rfind(&bytes, METADATA_START).ok_or(Fault::NotMmdb)?;
        let damaged = |error: MaxMindDbError| Fault::Damaged(error.to_string());
        let reader = Reader::from_source(bytes).map_err(damaged)?;
        verify(&reader).map_err(damaged)?;
        Ok(Self { identity, reader })
    }

    pub(super) fn identity(&self) -> Identity {
        self.identity
    }

    /// Returns the file's own name for its type, such as `GeoLite2-City`.
    pub(super) fn kind(&self) -> &str {
        &self.reader.metadata().database_type
    }

    /// Returns when the file was made, in seconds since 1970.
    pub(super) fn built(&self) -> u64 {
        self.reader.metadata().build_epoch
    }

    /// Returns the file's data about the address; `None` if it has no record of it.
    pub(super) fn find(&self, address: IpAddr) -> Option<Record> {
        let found = self.reader.lookup(address).ok()?;
        Some(Record::from(found.decode::<Raw<'_>>().ok()??))
    }
}

fn identity_of_open(file: &File) -> Result<Identity, Fault> {
    Ok(Identity::new(&file.metadata().map_err(|error| fault(&error))?))
}

/// Walks the tree to all records and reads each of them once.
///
/// The library's own check is not used, since it rejects files without a description.
fn verify(reader: &Reader<Vec<u8>>) -> Result<(), MaxMindDbError> {
    // A tree of n nodes has n + 1 leaves; a tree with a cycle would never end.
    let mut n_left = u64::from(reader.metadata().node_count) * 2 + 2;
    let mut seen = HashSet::with_hasher(foldhash::fast::FixedState::default());
    for found in reader.networks(WithinOptions::default().include_networks_without_data())? {
        let found = found?;
        n_left = n_left
            .checked_sub(1)
            .ok_or_else(|| MaxMindDbError::invalid_database("the search tree has a cycle"))?;
        if found.offset().is_some_and(|offset| seen.insert(offset)) {
            found.decode::<IgnoredAny>()?;
            found.decode::<Raw<'_>>()?;
        }
    }
    Ok(())
}

/// A record in any of the schemas.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw<'a> {
    #[serde(borrow)]
    country: Leaf<'a>,
    country_code: Leaf<'a>,
    city: Leaf<'a>,
    location: Leaf<'a>,
    #[serde(alias = "lat")]
    latitude: Leaf<'a>,
    #[serde(alias = "lng")]
    longitude: Leaf<'a>,
    #[serde(alias = "radius")]
    accuracy_radius: Leaf<'a>,
    autonomous_system_number: Leaf<'a>,
    autonomous_system_organization: Leaf<'a>,
    asn: Leaf<'a>,
    as_name: Leaf<'a>,
    name: Leaf<'a>,
}

impl From<Raw<'_>> for Record {
    fn from(raw: Raw<'_>) -> Self {
        let country = raw.country_code.text.and_then(Country::parse);
        let organization = raw.autonomous_system_organization.text;
        let city = SmolStr::new(raw.city.text.unwrap_or_default());
        Self {
            country: country.or_else(|| raw.country.text.and_then(Country::parse)),
            point: raw.point(!city.is_empty()),
            city,
            asn: raw.autonomous_system_number.asn().or_else(|| raw.asn.asn()),
            organization: organization
                .or(raw.as_name.text)
                .or_else(|| raw.name.text.filter(|_| raw.asn.text.is_some()))
                .unwrap_or_default()
                .into(),
        }
    }
}

impl Raw<'_> {
    /// Returns the coordinates. Without a radius they count only if the city is known: those of a whole country would
    /// suggest a precision that nobody promised.
    fn point(&self, has_city: bool) -> Option<Point> {
        let nested = self.location.point;
        let [latitude, longitude, radius] = match nested {
            [Some(_), Some(_), _] => nested,
            _ => [self.latitude.number(), self.longitude.number(), self.accuracy_radius.number()],
        };
        let (latitude, longitude) = (latitude?, longitude?);
        let is_on_globe = (-90.0..=90.0).contains(&latitude)
            && (-180.0..=180.0).contains(&longitude)
            && (latitude.abs() > f64::EPSILON || longitude.abs() > f64::EPSILON);
        let radius = radius.map(narrow).filter(|radius| *radius > 0.0 && radius.is_finite());
        let radius_km = match radius {
            Some(radius) => radius,
            None if has_city => DEFAULT_RADIUS_KM,
            None => return None,
        };
        is_on_globe.then(|| Point {
            latitude: narrow(latitude),
            longitude: narrow(longitude),
            radius_km,
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are a metre's precision")]
fn narrow(number: f64) -> f32 {
    number as f32
}

/// One value of a record, whatever its type: the parts of it that can be used.
#[derive(Clone, Copy, Default)]
struct Leaf<'a> {
    /// The text, or a map's `iso_code` or `names.en`; never empty.
    text: Option<&'a str>,
    number: Option<f64>,
    /// A map's latitude, longitude and radius.
    point: [Option<f64>; 3],
}

impl Leaf<'_> {
    fn number(self) -> Option<f64> {
        self.number.or_else(|| self.text?.trim().parse().ok())
    }

    /// Parses `64496`, `"64496"` or `"AS64496"`; 0 stands for none.
    fn asn(self) -> Option<u32> {
        let from_text = || {
            let text = self.text?.trim();
            text.strip_prefix("AS").unwrap_or(text).parse().ok()
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let from_number =
            || self.number.filter(|n| (0.0..=f64::from(u32::MAX)).contains(n)).map(|n| n as u32);
        from_number().or_else(from_text).filter(|asn| *asn != 0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Leaf<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(LeafVisitor)
    }
}

struct LeafVisitor;

impl<'de> Visitor<'de> for LeafVisitor {
    type Value = Leaf<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Leaf { text: Some(text).filter(|text| !text.is_empty()), ..Leaf::default() })
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Leaf::default())
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Leaf::default())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Leaf { number: Some(number), ..Leaf::default() })
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Leaf { number: i32::try_from(number).ok().map(f64::from), ..Leaf::default() })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Leaf { number: u32::try_from(number).ok().map(f64::from), ..Leaf::default() })
    }

    fn visit_u128<E>(self, _: u128) -> Result<Self::Value, E> {
        Ok(Leaf::default())
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Leaf::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Leaf::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut leaf = Leaf::default();
        while let Some(key) = map.next_key::<&str>()? {
            let [latitude, longitude, radius] = &mut leaf.point;
            match key {
                "iso_code" => leaf.text = map.next_value::<Leaf<'_>>()?.text.or(leaf.text),
                "names" | "en" => leaf.text = leaf.text.or(map.next_value::<Leaf<'_>>()?.text),
                "latitude" => *latitude = map.next_value::<Leaf<'_>>()?.number(),
                "longitude" => *longitude = map.next_value::<Leaf<'_>>()?.number(),
                "accuracy_radius" => *radius = map.next_value::<Leaf<'_>>()?.number(),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(leaf)
    }
}
