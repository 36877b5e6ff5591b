//! Why a mail was not sent, whether to try again, and what a person can do about it.
//!
//! lettre calls only refusals permanent (`is_permanent`); a refused connection or an untrusted certificate is neither
//! permanent nor transient to it. So everything but a permanent refusal is temporary here.

use std::error::Error;
use std::fmt;

use lettre::transport::smtp::Error as SmtpError;
use rustls::CertificateError;

use crate::deliver::render::safe;
use crate::engine::smtp::{Security, Server};

/// A setting that cannot work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    /// No TLS, to another host.
    #[error(
        "mail.server: smtp+insecure:// is for this host only, found {host:?}; use smtp:// (STARTTLS) or smtps://"
    )]
    Plaintext {
        /// The other host.
        host: String,
    },
    /// A user without a password.
    #[error("mail.user: expected mail.password_file beside it")]
    NoPassword,
    /// A password without a user.
    #[error("mail.password_file: expected mail.user beside it")]
    NoUser,
    /// Nobody to send to.
    #[error("mail.to: expected at least one address")]
    NoRecipient,
    /// Not an address.
    #[error("mail.{setting}: expected an address such as security@example.org, found {found:?}")]
    Address {
        /// Which setting.
        setting: &'static str,
        /// Its value.
        found: String,
    },
    /// Not a host's name.
    #[error("mail.hello_name: expected a host's name, found {found:?}")]
    HelloName {
        /// Its value.
        found: String,
    },
    /// No certificate in the file.
    #[error("mail.ca_file: expected certificates in PEM, found none")]
    CaFile,
    /// TLS cannot be set up.
    #[error("mail.ca_file: {cause}")]
    Tls {
        /// What rustls reports.
        cause: String,
    },
}

/// What a send was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Connecting, and waiting for the greeting.
    Connect,
    /// STARTTLS.
    Encrypt,
    /// AUTH.
    LogIn,
    /// MAIL FROM.
    Sender,
    /// RCPT TO.
    Recipient,
    /// DATA; the server may have accepted the mail or not.
    Content,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Encrypt => "starting TLS",
            Self::LogIn => "logging in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Content => "sending the content",
        })
    }
}

/// Why a mail was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendFault {
    /// The connection was not established.
    #[error("connecting to {server}: {cause}")]
    Connect {
        /// The server.
        server: String,
        /// What the system reports.
        cause: String,
    },
    /// The server's certificate is not trusted, or TLS failed.
    #[error("starting TLS with {server}: {cause}")]
    Tls {
        /// The server.
        server: String,
        /// What rustls reports.
        cause: String,
        /// How to fix it.
        cure: &'static str,
    },
    /// The server has no STARTTLS, and nothing is sent without it.
    #[error("{server} does not offer STARTTLS")]
    NoStartTls {
        /// The server.
        server: String,
    },
    /// The server offers no login, or only mechanisms that are not supported here.
    #[error("{server} does not offer a login by PLAIN or LOGIN")]
    NoLogin {
        /// The server.
        server: String,
    },
    /// The server refused, temporarily (4xx) or permanently (5xx).
    #[error("{stage}: {server} answered {code} {text}")]
    Refused {
        /// The server.
        server: String,
        /// What was refused.
        stage: Stage,
        /// The answer's code.
        code: u16,
        /// The answer's text, safe to show.
        text: String,
    },
    /// The server took too long.
    #[error("{stage}: {server} did not answer within {seconds} s")]
    TimedOut {
        /// The server.
        server: String,
        /// What it did not respond to.
        stage: Stage,
        /// How long the send was allowed to take.
        seconds: u64,
    },
    /// The connection ended early, or what the server sent was not SMTP.
    #[error("{stage}: lost {server}: {cause}")]
    Lost {
        /// The server.
        server: String,
        /// What was in progress.
        stage: Stage,
        /// What the system reports.
        cause: String,
    },
    /// The mail cannot be written.
    #[error("writing the mail: {cause}")]
    Unwritable {
        /// What is wrong with it.
        cause: String,
    },
}

impl SendFault {
    /// Returns whether the same mail may be accepted later.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            // Only what the server says about a recipient or this mail is permanent. A refused login or sender, and a
            // server that greets with 554, are for us or the server's operator to fix.
            Self::Refused { code, stage: Stage::Recipient | Stage::Content, .. } => *code < 500,
            Self::Unwritable { .. } => false,
            _ => true,
        }
    }

    /// Returns whether the server had the text and refused it, or it cannot be written: another text may be accepted.
    #[must_use]
    pub const fn is_about_text(&self) -> bool {
        matches!(self, Self::Refused { stage: Stage::Content, .. } | Self::Unwritable { .. })
    }

    /// Returns whether the fault is not about this mail: any other would have met it, too.
    #[must_use]
    pub fn is_of_server(&self) -> bool {
        match self {
            Self::Connect { .. }
            | Self::Tls { .. }
            | Self::NoStartTls { .. }
            | Self::NoLogin { .. } => true,
            // The sender is the same in every mail.
            Self::Refused { stage: Stage::Sender, code: 500.., .. } => true,
            Self::Refused { stage, .. }
            | Self::TimedOut { stage, .. }
            | Self::Lost { stage, .. } => *stage < Stage::Sender,
            Self::Unwritable { .. } => false,
        }
    }

    /// Returns whether the server refuses us until a person changes something. By default, Postfix says only of the
    /// recipients what it has against our address, name, login or sender (`smtpd_delay_reject`).
    #[must_use]
    pub fn is_about_us(&self) -> bool {
        let Self::Refused { stage, code: 500.., text, .. } = self else { return false };
        match stage {
            Stage::Connect | Stage::Encrypt | Stage::LogIn | Stage::Sender => true,
            Stage::Recipient => !is_about_recipient(text),
            Stage::Content => false,
        }
    }

    /// Returns what a person can do about it; empty if all that helps is to wait.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "check mail.server, its port, and that this host may reach it",
            Self::Tls { cure, .. } => cure,
            Self::NoStartTls { .. } => {
                "use smtps:// if the server has TLS from the start, or smtp+insecure:// on this host"
            }
            Self::NoLogin { .. } => "leave out mail.user, or use the server's submission port",
            Self::Refused { stage: Stage::Connect, code: 500.., .. } => {
                "check mail.server, and whether the server accepts mails from this host"
            }
            Self::Refused { stage: Stage::LogIn, code: 500.., .. } => {
                "check mail.user and mail.password_file"
            }
            Self::Refused { stage: Stage::Sender, code: 500.., .. } => {
                "check mail.from, and whether the server wants mail.user"
            }
            Self::Refused { stage: Stage::Recipient, code: 500.., .. } if self.is_about_us() => {
                "check mail.to, mail.from, and whether the server accepts mails from this host or wants mail.user"
            }
            Self::Refused { stage: Stage::Recipient, code: 500.., .. } => "check mail.to",
            Self::TimedOut { stage: Stage::Connect, .. } => {
                "check mail.server: smtps:// uses port 465, smtp:// uses 587 or 25"
            }
            _ => "",
        }
    }
}

/// Returns whether a refusal's enhanced status code (RFC 3463) is about the recipient: his address (5.1) or mailbox
/// (5.2). Of the codes about addresses, three are or may be about the sender's.
fn is_about_recipient(text: &str) -> bool {
    let code = text.split_whitespace().next().unwrap_or_default();
    let is_about_sender = matches!(code, "5.1.0" | "5.1.7" | "5.1.8");
    code.starts_with("5.2.") || code.starts_with("5.1.") && !is_about_sender
}

/// Determines what lettre's error is about.
pub(super) fn of(server: &Server, stage: Stage, error: &SmtpError) -> SendFault {
    let name = server.to_string();
    let text = || safe(&error.source().map_or_else(|| error.to_string(), ToString::to_string));
    if let Some(code) = error.status() {
        return SendFault::Refused { server: name, stage, code: code.into(), text: text() };
    }
    if let Some(tls) = tls_error(error) {
        let cure = cure(server, tls);
        return SendFault::Tls { server: name, cause: safe(&tls.to_string()), cure };
    }
    // A greeting that never came is a lost connection; a connection that was never established has an I/O error.
    match stage {
        Stage::Connect if !error.is_response() => {
            SendFault::Connect { server: name, cause: text() }
        }
        _ => SendFault::Lost { server: name, stage, cause: text() },
    }
}

/// Finds the error of rustls among the causes.
fn tls_error(error: &SmtpError) -> Option<&rustls::Error> {
    let mut cause = error.source();
    while let Some(error) = cause {
        // The source of an I/O error is not the error inside it, but that error's source.
        let within = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let found = within.and_then(|within| within.downcast_ref());
        if let Some(found) = found.or_else(|| error.downcast_ref()) {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// Returns how to fix a TLS fault.
fn cure(server: &Server, error: &rustls::Error) -> &'static str {
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            CertificateError::UnknownIssuer => {
                "set mail.ca_file to the certificate of the authority that issued the server's, \
                 or install the system's certificates (ca-certificates)"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use the name in mail.server that the certificate is issued for"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the server's certificate"
            }
            CertificateError::Other(_) if certificate_says(certificate, "CaUsedAsEndEntity") => {
                "the server shows a certificate authority (CA:TRUE) as its own certificate: give it \
                 one with CA:FALSE, issued by that authority, and set mail.ca_file to the authority's"
            }
            _ => "check the server's certificate",
        },
        rustls::Error::InvalidMessage(_) if server.security == Security::Tls => {
            "the server does not start with TLS on this port: use smtp://, which uses STARTTLS"
        }
        _ => "",
    }
}

/// webpki's errors are available as text only: we cannot name their type.
fn certificate_says(error: &CertificateError, word: &str) -> bool {
    format!("{error:?}").contains(word)
}
