//! Mail servers and senders, and how they are written in a configuration.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use zeroize::Zeroizing;

use super::fault::MailFault;

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
    /// Takes the password as it is, except for one line end after it, which belongs to the file it was read from.
    #[must_use]
    pub fn new(password: String) -> Self {
        let mut password = Zeroizing::new(password);
        if password.ends_with('\n') {
            password.pop();
        }
        if password.ends_with('\r') {
            password.pop();
        }
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

    #[test]
    fn a_password_is_not_printed_and_loses_one_line_end() {
        assert_eq!(format!("{:?}", Password::new("hunter2".into())), "Password(..)");
        for text in ["hunter2", "hunter2\n", "hunter2\r\n"] {
            assert_eq!(Password::new(text.into()).expose(), "hunter2");
        }
        assert_eq!(Password::new("a \n\n".into()).expose(), "a \n");
    }

    #[test]
    fn the_name_for_hello_cannot_break_the_command() {
        assert!(hello_name(Some("log1.example.org".into())).is_ok());
        for name in ["", "a b", "a\r\nMAIL FROM:<x>"] {
            assert!(hello_name(Some(name.into())).is_err(), "{name:?}");
        }
    }
}
