//! Client addresses as logs write them, and the client behind trusted proxies.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

/// The most proxies per request; entries further left in the header are ignored.
const MAX_HOPS: usize = 64;

/// Walks `X-Forwarded-For` (or RFC 7239 `Forwarded`) from the right as long as the current hop is trusted, and
/// returns where the walk ends. An untrusted peer is the client, whatever its header says. An entry that is no
/// address (`unknown`, an obfuscated name) ends the walk at the proxy that wrote it.
#[must_use]
pub fn client_behind(
    peer: Option<IpAddr>,
    forwarded: Option<&[u8]>,
    trusted: &[IpNet],
) -> Option<IpAddr> {
    walk(peer, forwarded, |hop| trusted.iter().any(|network| network.contains(hop)))
}

/// Returns the client if no trusted proxies are configured and the log names no peer: hops with private addresses
/// (RFC 1918, RFC 4193, loopback, link-local) belong to the site, as Envoy assumes too.
#[must_use]
pub fn client_beyond_private(last_hop: Option<IpAddr>, forwarded: Option<&[u8]>) -> Option<IpAddr> {
    walk(last_hop, forwarded, is_private)
}

/// Returns whether an address is one of the site's own network.
#[must_use]
pub fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_private() || v4.is_loopback() || v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unique_local() || v6.is_loopback() || v6.is_unicast_link_local(),
    }
}

fn walk(
    from: Option<IpAddr>,
    forwarded: Option<&[u8]>,
    is_trusted: impl Fn(&IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut client = from?.to_canonical();
    for hop in forwarded.unwrap_or_default().rsplit(|b| *b == b',').take(MAX_HOPS) {
        if !is_trusted(&client) {
            break;
        }
        match hop_address(hop) {
            Some(address) => client = address,
            None => break,
        }
    }
    Some(client)
}

/// Returns the last entry of a list of hops, if it is an address.
pub(super) fn last_hop(list: &[u8]) -> Option<IpAddr> {
    list.rsplit(|b| *b == b',').next().and_then(hop_address)
}

/// Parses one entry: an address, or the `for=` of an RFC 7239 element.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    if memchr::memchr(b'=', hop).is_none() {
        return parse_address(hop);
    }
    hop.split(|b| *b == b';').map(<[u8]>::trim_ascii).find_map(|pair| {
        let (name, value) = pair.split_at_checked(4)?;
        name.eq_ignore_ascii_case(b"for=").then(|| parse_address(value))?
    })
}

/// Parses an address with the decoration that logs add: quotes, brackets, a port, a zone id. An IPv4-mapped IPv6
/// address becomes IPv4. If an unbracketed IPv6 address is invalid as a whole, its last group is read as a port.
#[must_use]
pub fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = text.trim_ascii();
    if let Some(address) = v4(text) {
        return Some(IpAddr::V4(address));
    }
    let text = text.strip_prefix(b"\"").and_then(|t| t.strip_suffix(b"\"")).unwrap_or(text);
    if let Some(bracketed) = text.strip_prefix(b"[") {
        return plain(bracketed.get(..memchr::memchr(b']', bracketed)?)?);
    }
    plain(text).or_else(|| address_and_port(text))
}

/// Parses an address that is always followed by a port, as `HAProxy` writes it: `2001:db8::1:58430`.
#[must_use]
pub fn address_and_port(text: &[u8]) -> Option<IpAddr> {
    let (address, port) = text.split_at_checked(memchr::memrchr(b':', text)?)?;
    let is_port = (2..=6).contains(&port.len()) && port.iter().skip(1).all(u8::is_ascii_digit);
    is_port.then(|| plain(address))?
}

/// Returns whether the text is a list of addresses in the form of `X-Forwarded-For`.
pub(super) fn is_address_list(text: &[u8]) -> bool {
    text.split(|b| *b == b',').take(MAX_HOPS).all(|hop| parse_address(hop).is_some())
}

/// Parses a bare address and drops a zone id.
fn plain(text: &[u8]) -> Option<IpAddr> {
    const LONGEST: usize = 45;
    let text = memchr::memchr(b'%', text).map_or(Some(text), |at| text.get(..at))?;
    if text.len() > LONGEST {
        return None;
    }
    if let Some(address) = v4(text) {
        return Some(IpAddr::V4(address));
    }
    let address: IpAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

/// Parses four decimal octets. (Parsing through `str` takes five times as long, on every line.)
fn v4(text: &[u8]) -> Option<Ipv4Addr> {
    if text.len() > 15 {
        return None;
    }
    let mut octets = [0u8; 4];
    let mut parts = text.split(|b| *b == b'.');
    for octet in &mut octets {
        *octet = match *parts.next()? {
            [a] if a.is_ascii_digit() => a - b'0',
            [a @ b'1'..=b'9', b] if b.is_ascii_digit() => (a - b'0') * 10 + (b - b'0'),
            [a @ b'1'..=b'2', b, c] if b.is_ascii_digit() && c.is_ascii_digit() => {
                ((a - b'0') * 100).checked_add((b - b'0') * 10 + (c - b'0'))?
            }
            _ => return None,
        };
    }
    parts.next().is_none().then(|| Ipv4Addr::from(octets))
}

/// Returns whether a space in a list of hops is between two of them: a comma precedes it, and another hop follows. A
/// list that a client ended with a comma must not take the next field for a hop.
pub(super) fn is_between_hops(list: &[u8], space: usize) -> bool {
    let Some((before, behind)) = list.split_at_checked(space) else { return false };
    let next = behind.trim_ascii_start();
    let end = next.iter().position(|byte| b", ".contains(byte)).unwrap_or(next.len());
    let hop = next.get(..end).unwrap_or_default();
    before.ends_with(b",") && (parse_address(hop).is_some() || hop.eq_ignore_ascii_case(b"unknown"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn addresses_are_read_however_they_are_written() {
        let cases = [
            ("192.0.2.1", Some("192.0.2.1")),
            (" 192.0.2.1 ", Some("192.0.2.1")),
            ("192.0.2.1:58430", Some("192.0.2.1")),
            ("255.255.255.255", Some("255.255.255.255")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:db8::1:58430", Some("2001:db8::1")),
            ("2001:db8:1:2:3:4:5:6:443", Some("2001:db8:1:2:3:4:5:6")),
            ("::ffff:192.0.2.1", Some("192.0.2.1")),
            ("::ffff:192.0.2.1:58430", Some("192.0.2.1")),
            ("fe80::1%eth0", Some("fe80::1")),
            ("::1%0", Some("::1")),
            ("[2001:db8::1]", Some("2001:db8::1")),
            ("[2001:db8::1]:443", Some("2001:db8::1")),
            ("\"[2001:db8::1]:443\"", Some("2001:db8::1")),
            ("256.0.2.1", None),
            ("299.0.2.1", None),
            ("192.0.2", None),
            ("192.0.2.1.5", None),
            ("192.0.2.01", None),
            ("unknown", None),
            ("_hidden", None),
            ("unix:", None),
            ("[", None),
            ("-", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(parse_address(text.as_bytes()), expected.and_then(address), "{text}");
        }
        assert_eq!(address_and_port(b"2001:db8::1:5843"), address("2001:db8::1"));
        assert_eq!(address_and_port(b"unix:1"), None);
    }

    #[test]
    fn the_header_is_believed_as_far_as_the_proxies_are_trusted() {
        let trusted: Vec<IpNet> =
            ["10.0.0.0/8", "2001:db8:ff::/48"].iter().map(|n| n.parse().unwrap()).collect();
        let cases = [
            ("198.51.100.7", "203.0.113.9", "198.51.100.7"),
            ("10.0.0.1", "", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("::ffff:10.0.0.1", "203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "1.2.3.4, 203.0.113.9,10.2.3.4", "203.0.113.9"),
            ("10.0.0.1", "1.2.3.4, evil", "10.0.0.1"),
            ("10.0.0.1", "203.0.113.9, unknown, 10.9.9.9", "10.9.9.9"),
            ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("10.0.0.1", "[2001:db8::9]:4711, 2001:db8:ff::1", "2001:db8::9"),
            ("10.0.0.1", "fe80::9%eth0", "fe80::9"),
            ("10.0.0.1", "for=203.0.113.9;proto=https, for=\"[2001:db8:ff::1]:99\"", "203.0.113.9"),
            ("10.0.0.1", "proto=https;For=203.0.113.9", "203.0.113.9"),
            ("10.0.0.1", "for=_hidden", "10.0.0.1"),
        ];
        for (peer, forwarded, expected) in cases {
            let client = client_behind(address(peer), Some(forwarded.as_bytes()), &trusted);
            assert_eq!(client, address(expected), "{peer} / {forwarded}");
        }
        assert_eq!(client_behind(None, Some(b"203.0.113.9"), &trusted), None);
        assert_eq!(client_behind(address("10.0.0.1"), None, &trusted), address("10.0.0.1"));
    }

    #[test]
    fn without_a_word_of_whom_to_trust_private_hops_are_the_sites_own() {
        let cases = [
            ("203.0.113.9", "203.0.113.9"),
            ("198.51.100.1, 203.0.113.9, 10.0.0.1", "203.0.113.9"),
            ("192.168.1.7, 10.0.0.1", "192.168.1.7"),
            ("2001:db8::9, [fd00::1]:443", "2001:db8::9"),
            ("unknown, 10.0.0.1", "10.0.0.1"),
        ];
        for (forwarded, expected) in cases {
            let last = forwarded.rsplit(", ").next().map(str::as_bytes).and_then(parse_address);
            let client = client_beyond_private(last, Some(forwarded.as_bytes()));
            assert_eq!(client, address(expected), "{forwarded}");
        }
    }

    #[test]
    fn a_thousand_hops_are_not_walked() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap()];
        let header = format!("203.0.113.9{}", ", 10.0.0.1".repeat(1000));
        let client = client_behind(address("10.0.0.1"), Some(header.as_bytes()), &trusted);
        assert_eq!(client, address("10.0.0.1"));
    }

    proptest! {
        #[test]
        fn every_address_is_read_as_it_is_printed(bits in any::<u128>(), short in any::<u32>()) {
            let six = IpAddr::from(bits.to_be_bytes());
            let four = IpAddr::from(short.to_be_bytes());
            prop_assert_eq!(parse_address(six.to_string().as_bytes()), Some(six.to_canonical()));
            prop_assert_eq!(parse_address(four.to_string().as_bytes()), Some(four));
        }

        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let trusted = ["10.0.0.0/8".parse().unwrap()];
            let client = client_behind(address("10.0.0.1"), Some(&text), &trusted);
            prop_assert!(client == address("10.0.0.1") || text.iter().any(|byte| b".:".contains(byte)));
            prop_assert!(!is_address_list(&text) || text.len() > 1);
            prop_assert!(address_and_port(&text).is_none() || text.contains(&b':'));
        }
    }
}
