//! What sending mails needs to know, and when a setting cannot work.

use std::fmt;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use zeroize::Zeroizing;

use super::fault::MailFault;
use crate::engine::smtp::Server;

/// How to send mail. A plain structure, filled by the code that reads the configuration and the secrets.
#[derive(Debug)]
pub struct MailSettings {
    /// The server.
    pub server: Server,
    /// The user to log in as; `None` for a server that requires no login.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Password>,
    /// PEM certificates of the authority that issued the server's certificate. They are trusted instead of the
    /// system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The sender: `tokenwatch@example.org` or `Tokenwatch <tokenwatch@example.org>`.
    pub from: String,
    /// The recipients, in the same form as the sender.
    pub to: Vec<String>,
    /// The name to greet the server with; `None` for the host's name.
    pub hello_name: Option<String>,
    /// How long to wait for the server.
    pub timeouts: Timeouts,
}

/// How long to wait for a server. One that is left before the content gets the mail once, at a later attempt; one that
/// is left afterwards may have accepted it already, and gets it again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For each answer before the content. Connecting with all that follows up to the server's features, STARTTLS and
    /// a login count as one each.
    pub answer: Duration,
    /// For everything before the content.
    pub opening: Duration,
    /// For the content, from its first byte to the answer to its end.
    pub content: Duration,
}

impl Timeouts {
    /// How long the system may take to connect to one address: nobody is slow at that who is there.
    pub(super) const CONNECTION: Duration = Duration::from_secs(30);

    /// RFC 5321, section 4.5.3.2: 5 min for the greeting, MAIL, RCPT each; for the content 3 min, for the answer to
    /// its end 10 min. The sum before the content is bounded, since each recipient may add to it.
    pub const PATIENT: Self = Self {
        answer: Duration::from_mins(5),
        opening: Duration::from_mins(15),
        content: Duration::from_mins(13),
    };

    /// For a person who waits at a terminal. The answer to the content is waited for all the same: only then is it
    /// known whether the mail was accepted.
    pub const BRIEF: Self = Self {
        answer: Duration::from_secs(30),
        opening: Duration::from_secs(30),
        content: Self::PATIENT.content,
    };
}

/// A password: never printed, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the password as it is.
    #[must_use]
    pub const fn new(password: Zeroizing<String>) -> Self {
        Self(password)
    }

    /// Returns the password. Only the login calls this.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

/// Parses an address from the settings.
pub(super) fn address(setting: &'static str, text: &str) -> Result<Mailbox, MailFault> {
    text.parse().map_err(|_| MailFault::Address { setting, found: text.to_owned() })
}

/// Returns the name to greet the server with: the given one, which must be valid, else the host's.
pub(super) fn hello_name(name: Option<String>) -> Result<ClientId, MailFault> {
    let Some(name) = name else { return Ok(ClientId::default()) };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-._[]:".contains(c);
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(MailFault::HelloName { found: name });
    }
    Ok(ClientId::Domain(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let password = Password::new("hunter2".to_owned().into());
        assert_eq!(
            (format!("{password:?}").as_str(), password.expose()),
            ("Password(..)", "hunter2")
        );
    }

    #[test]
    fn the_name_for_hello_cannot_break_the_command() {
        assert!(hello_name(Some("log1.example.org".into())).is_ok());
        for name in ["", "a b", "a\r\nMAIL FROM:<x>"] {
            assert!(hello_name(Some(name.into())).is_err(), "{name:?}");
        }
    }
}
