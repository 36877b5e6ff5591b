//! A mail server: where it is, and how the connection to it is protected.

use std::fmt;
use std::net::IpAddr;

/// How the connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// STARTTLS, and nothing is sent before it (`smtp://`, port 587).
    StartTls,
    /// TLS from the first byte (`smtps://`, port 465).
    Tls,
    /// None: only to this host itself (`smtp+insecure://`, port 25).
    Plain,
}

impl Security {
    /// Returns what its URL begins with.
    const fn scheme(self) -> &'static str {
        match self {
            Self::StartTls => "smtp",
            Self::Tls => "smtps",
            Self::Plain => "smtp+insecure",
        }
    }
}

/// A mail server. Shown as `smtps://mail.example.org:465`, `smtp://192.0.2.7:2525`, `smtp+insecure://[::1]:25`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// How the connection is protected.
    pub security: Security,
    /// Name or address, the latter without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl Server {
    /// Returns whether the server is this host, so that nothing leaves it unprotected.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let is_loopback = |ip: IpAddr| ip.to_canonical().is_loopback();
        self.host.eq_ignore_ascii_case("localhost") || self.host.parse().is_ok_and(is_loopback)
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { security, host, port } = self;
        if host.contains(':') {
            write!(f, "{}://[{host}]:{port}", security.scheme())
        } else {
            write!(f, "{}://{host}:{port}", security.scheme())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_is_loopback() {
        for (host, is_loopback) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("127.1.2.3", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("localhost.example.org", false),
            ("192.0.2.1", false),
        ] {
            let server = Server { security: Security::Plain, host: host.into(), port: 25 };
            assert_eq!(server.is_loopback(), is_loopback, "{host}");
        }
    }
}
