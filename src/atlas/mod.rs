//! `GeoIP` behind [`crate::engine::geo::Atlas`]: where an address is, and whose network it belongs to.
//!
//! There are several layers, the best first; each field comes from the first layer that knows it:
//!
//! 1. City (or Country) files: country, city, coordinates. Files are tried in order. The first one with a record of
//!    the address determines its geography, even if it leaves a field out: a vendor that knows an address but names
//!    no country has a reason (anycast, satellites).
//! 2. ASN files: the network's number and its operator's name.
//! 3. The built-in table ([`BuiltIn`]): country, number and name where no file has a record.
//!
//! Addresses that have a meaning only inside a network (private, link-local, documentation, ...) are nowhere, whatever
//! a file contains.

mod builtin;
mod mmdb;
mod network;
mod reload;
mod table;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

pub use builtin::BuiltIn;
pub use mmdb::Fault;
pub use network::network_kind;
pub use reload::{Change, Layer, Reloading, Role};

/// Which files to read. The caller must resolve relative paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// City or Country files, tried in order (for example one for IPv4 and one for IPv6).
    pub city: Vec<PathBuf>,
    /// ASN files, tried in order.
    pub asn: Vec<PathBuf>,
    /// Directories to search, in order, for the files that are not configured above.
    pub usual: Vec<PathBuf>,
}

impl Default for Settings {
    /// Returns settings without configured files, with the directories of geoipupdate and the distributions.
    fn default() -> Self {
        let usual = ["/var/lib/GeoIP", "/usr/share/GeoIP", "/usr/local/share/GeoIP"];
        Self { city: vec![], asn: vec![], usual: usual.map(PathBuf::from).to_vec() }
    }
}

impl Settings {
    /// Returns the current files for a role: the configured ones, else the best one found.
    fn paths(&self, role: Role) -> Vec<PathBuf> {
        let (configured, kinds): (_, &[&str]) = match role {
            Role::City => (&self.city, &["city", "country"]),
            Role::Asn => (&self.asn, &["asn"]),
            Role::BuiltIn => return vec![],
        };
        if configured.is_empty() {
            kinds.iter().find_map(|kind| self.find_usual(kind)).into_iter().collect()
        } else {
            configured.clone()
        }
    }

    fn find_usual(&self, kind: &str) -> Option<PathBuf> {
        const VENDORS: [&str; 3] = ["geoip2", "geolite2", "dbip"];
        self.usual.iter().find_map(|directory| {
            let names = file_names(directory);
            VENDORS.iter().find_map(|vendor| {
                let start = format!("{vendor}-{kind}");
                let fits = |name: &&String| {
                    let name = name.to_ascii_lowercase();
                    name.starts_with(&start) && name.ends_with(".mmdb")
                };
                // If there are several, the last by name: `dbip-city-lite-2026-06` after `...-05`.
                names.iter().filter(fits).max().map(|name| directory.join(name))
            })
        })
    }
}

/// Returns the names in a directory; none if it cannot be read.
fn file_names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Returns whether an address refers to the same host everywhere, according to the IANA special-purpose registries
/// (RFC 6890 and its updates). IPv4-mapped addresses count as IPv4.
fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_shared = a == 100 && b & 0xc0 == 64; // carrier-grade NAT, RFC 6598
    let is_protocol = a == 192 && b == 0 && c == 0; // RFC 6890
    let is_benchmark = a == 198 && b & 0xfe == 18; // RFC 2544
    !(a == 0
        || a >= 224
        || is_shared
        || is_protocol
        || is_benchmark
        || address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation())
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, ..] = address.segments();
    let is_global = a & 0xe000 == 0x2000; // 2000::/3, everything allocated (RFC 4291)
    let is_documentation = (a == 0x2001 && b == 0xdb8) || (a == 0x3fff && b < 0x1000); // RFC 3849, 9637
    is_global && !is_documentation
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
