//! What a mail server is, and how it is written in a configuration.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::extension::ClientId;
use zeroize::Zeroizing;

use super::fault::MailFault;

/// How to send mail. A plain structure: whoever reads the configuration and the secrets fills it.
#[derive(Debug)]
pub struct MailSettings {
    /// The server.
    pub server: Server,
    /// Who to log in as; `None` for a server that asks nobody.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<Password>,
    /// Certificates in PEM of the authority that the server's certificate comes from. They are
    /// trusted instead of the system's.
    pub ca_pem: Option<Vec<u8>>,
    /// The sender: `tokenwatch@example.org` or `Tokenwatch <tokenwatch@example.org>`.
    pub from: String,
    /// The recipients, written as the sender is.
    pub to: Vec<String>,
    /// How to introduce ourselves; `None` for the host's name.
    pub hello_name: Option<String>,
    /// How long one send may take, from connecting to the last answer.
    pub timeout: Duration,
}

impl MailSettings {
    /// How long a send may take unless the settings say otherwise. RFC 5321, section 4.5.3.2, allows
    /// minutes; a server that takes so long gets the mail at the next try.
    pub const TIMEOUT: Duration = Duration::from_secs(30);
}

/// A password: never printed, wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Takes the password as it is; one line end after it belongs to the file it was read from.
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

    /// Returns the password. Logging in is the only caller.
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
    /// None: to this host itself only (`smtp+insecure://`, port 25).
    Plain,
}

impl Security {
    const ALL: [Self; 3] = [Self::StartTls, Self::Tls, Self::Plain];

    const fn scheme(self) -> &'static str {
        match self {
            Self::StartTls => "smtp",
            Self::Tls => "smtps",
            Self::Plain => "smtp+insecure",
        }
    }

    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::Plain => 25,
        }
    }
}

/// A mail server. Read from `smtps://mail.example.org`, `smtp://192.0.2.7:2525`, `smtp+insecure://[::1]`.
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
    /// Tells whether the server is this host, so that nothing leaves it unprotected.
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

impl FromStr for Server {
    type Err = MailFault;

    fn from_str(text: &str) -> Result<Self, MailFault> {
        let fault = |expected| MailFault::Server { found: text.to_owned(), expected };
        let schemes = "smtps://, smtp:// or smtp+insecure:// and a host";
        let (scheme, rest) = text.split_once("://").ok_or_else(|| fault(schemes))?;
        let is_named = |security: &Security| security.scheme() == scheme;
        let security = Security::ALL.into_iter().find(is_named).ok_or_else(|| fault(schemes))?;
        if rest.contains('@') {
            return Err(MailFault::ServerLogin);
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (host, port) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match rest.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (rest, None),
            },
        };
        let is_named = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '_';
        let is_host = host.parse::<IpAddr>().is_ok() || host.chars().all(is_named);
        if host.is_empty() || !is_host {
            return Err(fault("a host name or address after ://"));
        }
        let port = match port {
            Some(port) => port.parse().ok().filter(|port| 0 < *port),
            None => Some(security.port()),
        };
        let port = port.ok_or_else(|| fault("a port from 1 to 65535 after the host"))?;
        Ok(Self { security, host: host.to_owned(), port })
    }
}

/// Reads an address of the settings.
pub(super) fn address(setting: &'static str, text: &str) -> Result<Mailbox, MailFault> {
    text.parse().map_err(|_| MailFault::Address { setting, found: text.to_owned() })
}

/// Returns how to introduce ourselves: the name, which must be one, else the host's.
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
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn servers_are_read_with_the_port_of_their_scheme() {
        let cases = [
            ("smtps://mail.example.org", Security::Tls, "mail.example.org", 465),
            ("smtp://mail.example.org", Security::StartTls, "mail.example.org", 587),
            ("smtp://192.0.2.7:2525/", Security::StartTls, "192.0.2.7", 2525),
            ("smtp+insecure://localhost", Security::Plain, "localhost", 25),
            ("smtp+insecure://[::1]:1025", Security::Plain, "::1", 1025),
        ];
        for (text, security, host, port) in cases {
            let server: Server = text.parse().unwrap();
            assert_eq!(server, Server { security, host: host.to_owned(), port }, "{text}");
            assert_eq!(server.to_string().parse::<Server>().unwrap(), server, "{text}");
        }
    }

    #[test]
    fn other_texts_are_no_servers() {
        let texts = [
            "",
            "mail.example.org",
            "http://mail.example.org",
            "smtp://",
            "smtp://:25",
            "smtp://a b",
            "smtp://a:0",
            "smtp://a:65536",
            "smtp://a:b",
            "smtp://a\r\nb",
            "smtp://[::1",
            "smtp://user:password@mail.example.org",
            "smtp://a/path",
        ];
        for text in texts {
            let fault = text.parse::<Server>().unwrap_err().to_string();
            assert!(!fault.contains("password@"), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_server_or_a_fault(text in "(smtps?|smtp\\+plain)?(://)?\\PC{0,20}(:[0-9]{0,6})?/?") {
            if let Ok(server) = text.parse::<Server>() {
                prop_assert_eq!(server.to_string().parse::<Server>(), Ok(server));
            }
        }
    }

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
