//! Parses the values of options.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use smol_str::SmolStr;

use crate::cli::country::unknown;
use crate::engine::alert::Level;
use crate::engine::geo::Country;
use crate::engine::mute::Scope;
use crate::engine::posture::Kind;
use crate::store::Whence;

pub(super) fn level(name: &str) -> Result<Level, String> {
    Level::parse(name).ok_or_else(|| {
        let names = Level::ALL.map(Level::as_str).join(", ");
        format!("expected one of {names}")
    })
}

pub(super) fn finding(name: &str) -> Result<Kind, String> {
    Kind::parse(name).ok_or_else(|| {
        let names = Kind::ALL.map(Kind::as_str).join(", ");
        format!("expected one of {names}")
    })
}

pub(super) fn mute(text: &str) -> Result<i64, String> {
    text.parse().map_err(|_| "expected the number of a mute, as `alerts mute` lists it".to_owned())
}

pub(super) fn network(text: &str) -> Result<u32, String> {
    let number = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    let number = number.parse().ok().filter(|number| 0 < *number);
    number.ok_or_else(|| "expected an autonomous system such as AS64500".to_owned())
}

pub(super) fn country(text: &str) -> Result<Country, String> {
    let code = Country::parse(&text.to_ascii_uppercase());
    let code = code.ok_or("expected a country code of two letters such as DE")?;
    unknown(code).map_or(Ok(code), Err)
}

pub(super) fn route(text: &str) -> Result<SmolStr, String> {
    let why = "expected a method and a path as alerts name them, such as \"GET /v1/items/{id}\"";
    Scope::is_route(text).then(|| text.into()).ok_or_else(|| why.to_owned())
}

/// Parses where tokens were used from.
pub(super) fn whence(text: &str) -> Result<Whence, String> {
    const EXPECTED: &str =
        "expected an address, a network (203.0.113.0/24), an operator (AS64500) or a country (NG)";
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(Whence::Addresses(IpNet::from(address.to_canonical())));
    }
    if let Ok(network) = text.parse::<IpNet>() {
        return Ok(Whence::Addresses(unmapped(network).trunc()));
    }
    match text.len() {
        2 => country(text).map(Whence::Country),
        _ if text.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("as")) => {
            network(text).map(Whence::Operator)
        }
        _ => Err(EXPECTED.to_owned()),
    }
}

/// Returns the IPv4 network that an IPv6 one stands for: addresses are stored unmapped.
fn unmapped(network: IpNet) -> IpNet {
    let v4 = |v6: Ipv6Net| {
        let length = v6.prefix_len().checked_sub(96)?;
        Ipv4Net::new(v6.addr().to_ipv4_mapped()?, length).ok()
    };
    match network {
        IpNet::V6(v6) => v4(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mute_of_a_country_that_does_not_exist_muted_nothing() {
        assert_eq!(country("gb"), Ok(Country::parse("GB").unwrap()));
        let gb = "no country has the code UK: the United Kingdom is GB";
        assert_eq!(country("uk"), Err(gb.to_owned()));
        assert!(country("XX").is_err() && country("DEU").is_err());
    }

    #[test]
    fn a_mute_that_is_no_number_was_an_invalid_digit() {
        assert_eq!((mute("7"), mute("-7")), (Ok(7), Ok(-7)));
        assert!(mute("xx").is_err_and(|why| why.starts_with("expected the number of a mute")));
    }

    #[test]
    fn a_place_is_an_address_a_network_an_operator_or_a_country() {
        let network = |text: &str| Whence::Addresses(text.parse().unwrap());
        for (text, expected) in [
            ("203.0.113.7", network("203.0.113.7/32")),
            ("::ffff:203.0.113.7", network("203.0.113.7/32")),
            ("203.0.113.7/24", network("203.0.113.0/24")),
            ("::ffff:203.0.113.7/120", network("203.0.113.0/24")),
            ("2001:db8::/32", network("2001:db8::/32")),
            ("as64500", Whence::Operator(64_500)),
            ("ng", Whence::Country(Country::parse("NG").unwrap())),
        ] {
            assert_eq!(whence(text), Ok(expected), "{text}");
        }
        for text in ["", "XX", "ASx", "203.0.113", "203.0.113.7/33", "Nigeria", "\u{e4}s1"] {
            assert!(whence(text).is_err(), "{text}");
        }
    }
}
