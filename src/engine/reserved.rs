//! The names of principals that are no token's: alerts about a log, about a source of guesses, about many at once.

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
}

const LOG: &str = "log:";
const SOURCE: &str = "source:";

impl<'a> Reserved<'a> {
    /// The name of [`Reserved::Fleet`].
    pub const FLEET: &'static str = "fleet";

    /// Parses the name of a principal; `None` if it is not reserved.
    #[must_use]
    pub fn parse(principal: &'a str) -> Option<Self> {
        let log = || principal.strip_prefix(LOG).map(Self::Log);
        let source = || principal.strip_prefix(SOURCE).map(Self::Source);
        (principal == Self::FLEET).then_some(Self::Fleet).or_else(log).or_else(source)
    }
}

impl fmt::Display for Reserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fleet => f.write_str(Self::FLEET),
            Self::Log(path) => write!(f, "{LOG}{path}"),
            Self::Source(prefix) => write!(f, "{SOURCE}{prefix}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_parsed_and_nothing_else() {
        for name in ["fleet", "log:/var/log/nginx/access.log", "log:", "source:203.0.113.0/24"] {
            assert_eq!(Reserved::parse(name).map(|of| of.to_string()).as_deref(), Some(name));
        }
        for name in ["", "ci", "fleet-7", "Fleet", "log", "login:ci", "jwt:log:x"] {
            assert_eq!(Reserved::parse(name), None, "{name}");
        }
    }
}
