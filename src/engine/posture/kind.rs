//! The findings that there are: a closed list, with what to do about each.

use crate::engine::alert::{Alert, Level, Value, Values};

/// What may be wrong with a token. The worst come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A decoy was used.
    DecoyUsed,
    /// It was accepted after it leaked.
    LeakedInUse,
    /// It was accepted after its end.
    DeadButAccepted,
    /// A JWT without a signature.
    Unsigned,
    /// It leaked and has not ended.
    LeakedNotRevoked,
    /// It was in a URL.
    InUrl,
    /// It was sent without TLS.
    PlainHttp,
    /// It was used outside the networks or countries that are registered for it.
    OutsidePins,
    /// It was in a Referer.
    InReferer,
    /// It was accepted for what none of its scopes permits.
    BeyondScopes,
    /// It can be guessed.
    Weak,
    /// A JWT that is valid for more than a year.
    LongLived,
    /// Its owner signs in without a second factor.
    NoMfa,
    /// It is older than it may be.
    RotationOverdue,
    /// It is about to end.
    ExpiresSoon,
    /// Nobody has used it for long.
    Unused,
    /// It never ends.
    NoExpiry,
    /// It is used, and nobody registered it.
    Unregistered,
    /// Nobody is known to answer for it.
    NoOwner,
}

impl Kind {
    /// All kinds, the worst first.
    pub const ALL: [Self; 19] = [
        Self::DecoyUsed,
        Self::LeakedInUse,
        Self::DeadButAccepted,
        Self::Unsigned,
        Self::LeakedNotRevoked,
        Self::InUrl,
        Self::PlainHttp,
        Self::OutsidePins,
        Self::InReferer,
        Self::BeyondScopes,
        Self::Weak,
        Self::LongLived,
        Self::NoMfa,
        Self::RotationOverdue,
        Self::ExpiresSoon,
        Self::Unused,
        Self::NoExpiry,
        Self::Unregistered,
        Self::NoOwner,
    ];

    /// Returns the kind's name, how severe it is, and what to do about it.
    const fn about(self) -> (&'static str, Level, &'static str) {
        use Level::{Critical, High, Informational, Low, Medium};
        match self {
            Self::DecoyUsed => {
                ("decoy-used", Critical, "find out who has it, and what else was in its place")
            }
            Self::LeakedInUse => {
                ("leaked-in-use", Critical, "revoke it now, and read its history since the leak")
            }
            Self::DeadButAccepted => (
                "dead-but-accepted",
                Critical,
                "make the server refuse it: something does not check its end",
            ),
            Self::Unsigned => {
                ("unsigned", Critical, "make the server refuse JWTs without a valid signature")
            }
            Self::LeakedNotRevoked => {
                ("leaked-not-revoked", High, "revoke it, or set when it was revoked")
            }
            Self::InUrl => ("in-url", High, "send it in a header, and rotate it: URLs are logged"),
            Self::PlainHttp => {
                ("plain-http", High, "refuse connections without TLS 1.2, and rotate it")
            }
            Self::OutsidePins => (
                "outside-pins",
                High,
                "find out who used it there; or register the place, and ack the alerts as expected",
            ),
            Self::InReferer => {
                ("in-referer", Medium, "keep it out of the URLs of pages, and rotate it")
            }
            Self::BeyondScopes => (
                "beyond-scopes",
                Medium,
                "make the server refuse it; or register the scope, and ack the alerts as expected",
            ),
            Self::Weak => {
                ("weak", Medium, "replace it by 128 bits or more from a random generator")
            }
            Self::LongLived => {
                ("long-lived", Medium, "issue JWTs for hours: they cannot be revoked")
            }
            Self::NoMfa => ("no-mfa", Medium, "let its owner sign in with a second factor"),
            Self::RotationOverdue => ("rotation-overdue", Medium, "rotate it"),
            Self::ExpiresSoon => ("expires-soon", Low, "replace it before it ends"),
            Self::Unused => ("unused", Low, "revoke it, if nobody needs it"),
            Self::NoExpiry => ("no-expiry", Low, "set an end: tokens set NAME expires_at=DATE"),
            Self::Unregistered => ("unregistered", Low, "register it, or find out who issued it"),
            Self::NoOwner => {
                ("no-owner", Informational, "say whom to ask: tokens set NAME owner=TEAM")
            }
        }
    }

    /// Returns the kind's name, as used in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        self.about().0
    }

    /// Returns how severe it is.
    #[must_use]
    pub const fn level(self) -> Level {
        self.about().1
    }

    /// Returns what to do about it, without a full stop.
    #[must_use]
    pub const fn remedy(self) -> &'static str {
        self.about().2
    }

    /// Parses a kind's name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Returns what an alert says is to be mended, whoever used the token.
    #[must_use]
    pub fn of_alert(alert: &Alert) -> Option<Self> {
        Self::told_by(&alert.rule.name, || alert.facts.clone())
    }

    /// Returns what an alert of a rule says is to be mended, whoever used the token. Of most rules, its facts do not
    /// matter.
    #[must_use]
    pub fn told_by(rule: &str, facts: impl Fn() -> Values) -> Option<Self> {
        Some(match rule {
            "honeytoken-used" => Self::DecoyUsed,
            "leaked-token-used" if was_refused(&facts()) => Self::LeakedNotRevoked,
            "leaked-token-used" => Self::LeakedInUse,
            "expired-token-accepted" | "revoked-token-used" | "rotated-token-used" => {
                Self::DeadButAccepted
            }
            "jwt-alg-none" => Self::Unsigned,
            "token-in-url" => Self::InUrl,
            "insecure-transport" => Self::PlainHttp,
            "new-country" | "new-network" if is_outside_pins(&facts()) => Self::OutsidePins,
            "token-in-referer" => Self::InReferer,
            "scope-violation" => Self::BeyondScopes,
            "weak-token" => Self::Weak,
            "lifecycle" if is_end_near(&facts()) => Self::ExpiresSoon,
            "lifecycle" => Self::LongLived,
            "mfa-missing" => Self::NoMfa,
            _ => return None,
        })
    }
}

fn was_refused(facts: &Values) -> bool {
    facts.get("leaked.accepted") == Some(&Value::Bool(false))
}

fn is_outside_pins(facts: &Values) -> bool {
    facts.contains("pinned.country") || facts.contains("pinned.network")
}

fn is_end_near(facts: &Values) -> bool {
    let Some(Value::Text(what)) = facts.get("lifecycle.what") else { return false };
    matches!(what.as_str(), "expires" | "expires-soon")
}
