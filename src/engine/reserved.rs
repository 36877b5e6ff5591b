//! The names of principals that are no token's: alerts about a log, about a source of guesses, about many at once,
//! about the monitor's own parts.

use std::fmt;

/// A principal without a token. No token may be registered under such a name: alerts about it would be mistaken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reserved<'a> {
    /// What many do at once: `fleet`.
    Fleet,
    /// A log, by its path: `log:/var/log/nginx/access.log`.
    Log(&'a str),
    /// A source that guesses tokens, by its prefix: `source:203.0.113.0/24`.
    Source(&'a str),
    /// A GeoIP file, by its path: `geoip:/var/lib/GeoIP/GeoLite2-City.mmdb`.
    Geoip(&'a str),
    /// A database that was lost, by the second of the loss: `database:1772400000`.
    Database(&'a str),
    /// The mails that wait for a server: `mails`.
    Mails,
}

const LOG: &str = "log:";
const SOURCE: &str = "source:";
const GEOIP: &str = "geoip:";
const DATABASE: &str = "database:";

impl<'a> Reserved<'a> {
    /// The name of [`Reserved::Fleet`].
    pub const FLEET: &'static str = "fleet";
    /// The name of [`Reserved::Mails`].
    pub const MAILS: &'static str = "mails";

    /// Parses the name of a principal; `None` if it is not reserved.
    #[must_use]
    pub fn parse(principal: &'a str) -> Option<Self> {
        let rest = |start| principal.strip_prefix(start);
        match principal {
            Self::FLEET => Some(Self::Fleet),
            Self::MAILS => Some(Self::Mails),
            _ => (rest(LOG).map(Self::Log))
                .or_else(|| rest(SOURCE).map(Self::Source))
                .or_else(|| rest(GEOIP).map(Self::Geoip))
                .or_else(|| rest(DATABASE).map(Self::Database)),
        }
    }
}

impl fmt::Display for Reserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str(Self::FLEET),
            Self::Log(path) => write!(f, "{LOG}{path}"),
            Self::Source(prefix) => write!(f, "{SOURCE}{prefix}"),
            Self::Geoip(path) => write!(f, "{GEOIP}{path}"),
            Self::Database(second) => write!(f, "{DATABASE}{second}"),
            Self::Mails => f.write_str(Self::MAILS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed_and_nothing_else() {
        for name in [
            "fleet",
            "log:/var/log/nginx/access.log",
            "log:",
            "source:203.0.113.0/24",
            "geoip:/var/lib/GeoIP/City.mmdb",
            "database:1772400000",
            "mails",
        ] {
            assert_eq!(Reserved::parse(name).map(|of| of.to_string()).as_deref(), Some(name));
        }
        for name in
            ["", "ci", "fleet-7", "Fleet", "log", "login:ci", "jwt:log:x", "mails-7", "database"]
        {
            assert_eq!(Reserved::parse(name), None, "{name}");
        }
    }
}
