//! What a usage records of its request besides the token: method, service, transport, the number of an object.

use smol_str::{SmolStr, StrExt as _};

use crate::engine::record::Record;
use crate::engine::requests;
use crate::engine::shape::is_token_shaped;
use crate::engine::usage::Transport;

/// The limit of service names in bytes; longer ones are cut.
const MAX_SERVICE: usize = 64;

/// Returns the lower bits of the last segment that is a number.
pub(super) fn number(path: &[u8]) -> Option<u32> {
    let is_number = |s: &&[u8]| !s.is_empty() && s.iter().all(u8::is_ascii_digit);
    let digits = path.rsplit(|b| *b == b'/').find(is_number)?;
    let digit = |sum: u32, byte: &u8| sum.wrapping_mul(10).wrapping_add(u32::from(byte & 15));
    Some(digits.iter().fold(0, digit))
}

/// Returns the record's method. One that is not known becomes `-`: a method is displayed, and clients can send
/// anything.
pub(super) fn method(record: &Record<'_>) -> SmolStr {
    let sent = record.method.as_deref().unwrap_or_default();
    SmolStr::new_static(requests::method(sent).unwrap_or("-"))
}

/// Returns the record's host without its port, in lower case.
pub(super) fn host_name(record: &Record<'_>) -> SmolStr {
    let host = record.host.as_deref().unwrap_or_default();
    let (name, _) = split_port(host);
    let name = name.get(..MAX_SERVICE).unwrap_or(name);
    let is_plain = |b: &u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']' | b'*')
    };
    let is_fit = name.iter().all(is_plain)
        && !is_token_shaped(name)
        && !name.split(|b| *b == b'.').any(is_token_shaped);
    match std::str::from_utf8(name) {
        Ok(name) if is_fit => name.to_ascii_lowercase_smolstr(),
        _ => SmolStr::new_static("other"),
    }
}

/// Splits `host:port`; a bracketed IPv6 address contains colons too.
fn split_port(host: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memrchr(b':', host).and_then(|at| host.split_at_checked(at)) {
        Some((name, port)) if port.iter().skip(1).all(u8::is_ascii_digit) && !is_bare_v6(name) => {
            (name, port.get(1..).unwrap_or_default())
        }
        _ => (host, b""),
    }
}

fn is_bare_v6(name: &[u8]) -> bool {
    name.contains(&b':') && !name.ends_with(b"]")
}

/// Uses the most reliable evidence: the TLS version, the scheme, the scheme of a whole URL, the port.
/// (HTTP/2 and 3 prove nothing: both run unencrypted behind a proxy.)
pub(super) fn transport(record: &Record<'_>) -> Transport {
    let target = record.target.as_deref().unwrap_or_default();
    let url_scheme = || match target.starts_with(b"/") {
        true => None,
        false => memchr::memmem::find(target, b"://").and_then(|at| target.get(..at)),
    };
    by_tls(record.tls.as_deref().unwrap_or_default())
        .or_else(|| by_scheme(record.scheme.as_deref().unwrap_or_default()))
        .or_else(|| by_scheme(url_scheme().unwrap_or_default()))
        .or_else(|| match split_port(record.host.as_deref().unwrap_or_default()).1 {
            b"80" => Some(Transport::Plain),
            b"443" => Some(Transport::Tls),
            _ => None,
        })
        .unwrap_or_default()
}

fn by_scheme(scheme: &[u8]) -> Option<Transport> {
    let is = |name: &str| scheme.eq_ignore_ascii_case(name.as_bytes());
    if is("https") || is("wss") {
        Some(Transport::Tls)
    } else if is("http") || is("ws") {
        Some(Transport::Plain)
    } else {
        None
    }
}

/// Parses `TLSv1.2`, `TLS 1.3`, `tls1_1`, `1.3`, `SSLv3`, and the record layer version that Caddy logs (771 is 1.2).
fn by_tls(text: &[u8]) -> Option<Transport> {
    if text.is_empty() || text == b"-" {
        return None;
    }
    let lower = text.trim_ascii().to_ascii_lowercase();
    if lower.starts_with(b"ssl") {
        return Some(Transport::Ssl);
    }
    let rest = lower.strip_prefix(b"tls").unwrap_or(&lower);
    let digits: Vec<u8> = rest.iter().copied().filter(u8::is_ascii_digit).collect();
    match digits.as_slice() {
        b"768" => Some(Transport::Ssl),
        b"1" | b"10" | b"769" => Some(Transport::Tls10),
        b"11" | b"770" => Some(Transport::Tls11),
        b"12" | b"13" | b"771" | b"772" => Some(Transport::Tls),
        _ if rest.len() < lower.len() => Some(Transport::Tls),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;

    fn text(text: &str) -> Option<Cow<'_, [u8]>> {
        (!text.is_empty()).then_some(Cow::Borrowed(text.as_bytes()))
    }

    #[test]
    fn transport_is_what_the_log_proves() {
        let of = |tls, scheme, target, host| {
            transport(&Record {
                tls: text(tls),
                scheme: text(scheme),
                target: text(target),
                host: text(host),
                version: text("2.0"),
                ..Record::default()
            })
        };
        for (tls, transport) in [
            ("SSLv3", Transport::Ssl),
            ("768", Transport::Ssl),
            ("TLSv1", Transport::Tls10),
            ("TLSv1.0", Transport::Tls10),
            ("769", Transport::Tls10),
            ("TLSv1.1", Transport::Tls11),
            ("tls1_1", Transport::Tls11),
        ] {
            assert_eq!(of(tls, "https", "/", ""), transport, "{tls}");
        }
        for tls in ["TLSv1.2", "TLSv1.3", "tls1.3", "1.3", "772", "TLS"] {
            assert_eq!(of(tls, "http", "/", ""), Transport::Tls, "{tls}");
        }
        assert_eq!(of("", "http", "/", "a:443"), Transport::Plain);
        assert_eq!(of("-", "https", "/", ""), Transport::Tls);
        assert_eq!(of("", "", "http://a/", ""), Transport::Plain);
        assert_eq!(of("", "", "/", "a:80"), Transport::Plain);
        assert_eq!(of("", "", "/", "[::1]:443"), Transport::Tls);
        assert_eq!(of("", "", "/", "a:8080"), Transport::Unknown);
        assert_eq!(of("", "", "/", ""), Transport::Unknown);
    }

    #[test]
    fn a_service_is_a_host_without_its_port() {
        let of = |host| host_name(&Record { host: text(host), ..Record::default() });
        assert_eq!(of("API.Example.org:8443"), "api.example.org");
        assert_eq!(of("[2001:db8::1]:443"), "[2001:db8::1]");
        assert_eq!(of("2001:db8::1"), "2001:db8::1");
        assert_eq!(of("ec2-203-0-113-25.example.org"), "ec2-203-0-113-25.example.org");
        assert_eq!(of("sk_live_51H8xYzAbCdEfGh.example.org"), "other");
        assert_eq!(of("a b"), "other");
        assert_eq!(of(""), "");
        assert_eq!(of(&"a".repeat(300)).len(), MAX_SERVICE);
    }

    #[test]
    fn only_known_methods_are_kept() {
        let of = |sent| method(&Record { method: text(sent), ..Record::default() });
        assert_eq!([of("GET"), of("get"), of("PROPFIND")], ["GET", "GET", "PROPFIND"]);
        assert_eq!([of(""), of("HUNTER")], ["-", "-"]);
    }
}
