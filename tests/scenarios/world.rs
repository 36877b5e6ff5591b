//! Places: invented operators and cities, with addresses that nobody uses, and GeoIP files that contain them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use serde_json::json;

use crate::random::hash;
use crate::sample::MmdbWriter;

/// Networks (IPv4 /24, IPv6 /48) of a place.
pub(crate) const NETS: u64 = 256;

/// One operator in one city.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) is_v6: bool,
    pub(crate) country: String,
    pub(crate) city: String,
    pub(crate) at: (f64, f64),
    pub(crate) asn: u32,
    pub(crate) operator: String,
}

#[derive(Debug, Default)]
pub(crate) struct World(pub(crate) Vec<Place>);

impl World {
    /// The text of an address: a host of a network of a place.
    ///
    /// `11.0.0.0/8` was never seen on the internet, `3ffe::/16` is no more (RFC 3701); documentation addresses have no
    /// place.
    pub(crate) fn address(&self, place: usize, net: u64, host: u64) -> String {
        let (at, net) = (place as u64, net % NETS);
        if self.0[place].is_v6 {
            let prefix = (0x3ffe_u128 << 32) | u128::from(at << 16 | net);
            let interface = u128::from(hash(&format!("{net}/{host}")));
            return Ipv6Addr::from(prefix << 80 | interface).to_string();
        }
        let base = 11 << 24 | (at as u32 & 0xff) << 16 | (net as u32) << 8;
        Ipv4Addr::from(base + 1 + (host % 254) as u32).to_string()
    }

    /// Writes `City.mmdb` and `ASN.mmdb`.
    pub(crate) fn write(&self, directory: &Path) {
        let mut city = MmdbWriter::new(6, "City");
        let mut asn = MmdbWriter::new(6, "ASN");
        for (at, place) in self.0.iter().enumerate() {
            let network = match place.is_v6 {
                true => format!("3ffe:{at:x}::/32"),
                false => format!("11.{at}.0.0/16"),
            };
            let where_ = json!({
                "country": {"iso_code": place.country},
                "city": {"names": {"en": place.city}},
                "location": {"latitude": place.at.0, "longitude": place.at.1, "accuracy_radius": 20},
            });
            city = city.with(&network, &where_);
            let who = json!({
                "autonomous_system_number": place.asn,
                "autonomous_system_organization": place.operator,
            });
            asn = asn.with(&network, &who);
        }
        city.write(directory, "City.mmdb");
        asn.write(directory, "ASN.mmdb");
    }
}
