//! Hands mails to an SMTP server: TLS or nothing, one connection per mail, each recipient on its own.
//!
//! A send ends within [`MailSettings::timeout`], whatever the server does. The result is reported for each recipient,
//! since a server may accept a mail for one and refuse it for another. The outbox decides when to retry, by
//! [`SendFault::is_temporary`].
//!
//! Nothing is pooled: mails are rare, and a fresh connection has no state to go stale.

mod fault;
mod message;
mod settings;

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};

pub use fault::{MailFault, SendFault, Stage};
pub use settings::{MailSettings, Password, Security, Server};

use crate::deliver::render::Mail;

/// Sends mails according to its settings.
pub struct Mailer {
    server: Server,
    tls: Option<TlsParameters>,
    login: Option<(String, Password)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    hello_name: ClientId,
    timeout: Duration,
}

/// What became of a mail for one recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The recipient's address.
    pub to: String,
    /// `Ok` if the server accepted the mail.
    pub result: Result<(), SendFault>,
}

/// How far a send has got, and what is known about each recipient so far.
struct Progress<'a> {
    stage: Stage,
    recipients: Vec<(&'a Mailbox, Option<Result<(), SendFault>>)>,
}

/// Makes ring the cryptography provider of rustls in this process, unless there is one already.
pub fn install_crypto() {
    // An error means that there is one already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
}

impl Mailer {
    /// Checks the settings and reads the system's certificates, unless the settings contain a CA.
    ///
    /// # Errors
    /// The first setting that cannot work.
    pub fn new(settings: MailSettings) -> Result<Self, MailFault> {
        install_crypto();
        let MailSettings { server, user, password, ca_pem, from, to, hello_name, timeout } =
            settings;
        if server.security == Security::Plain && !server.is_loopback() {
            return Err(MailFault::Plaintext { host: server.host });
        }
        let login = match (user, password) {
            (Some(user), Some(password)) => Some((user, password)),
            (None, None) => None,
            (Some(_), None) => return Err(MailFault::NoPassword),
            (None, Some(_)) => return Err(MailFault::NoUser),
        };
        if to.is_empty() {
            return Err(MailFault::NoRecipient);
        }
        let to = to.iter().map(|address| settings::address("to", address));
        Ok(Self {
            tls: tls(&server, ca_pem.as_deref())?,
            server,
            login,
            from: settings::address("from", &from)?,
            to: to.collect::<Result<_, _>>()?,
            hello_name: settings::hello_name(hello_name)?,
            timeout,
        })
    }

    /// Returns the recipients' addresses.
    pub fn recipients(&self) -> impl Iterator<Item = String> {
        self.to.iter().map(|mailbox| mailbox.email.to_string())
    }

    /// Sends a mail to all recipients. Returns the result for each.
    pub async fn send(&self, mail: &Mail) -> Vec<Delivery> {
        self.send_to(mail, |_| true).await
    }

    /// Sends a mail to those recipients whose address is `wanted`: the ones that an earlier send did not serve. The
    /// mail itself is the same.
    pub async fn send_to(&self, mail: &Mail, wanted: impl Fn(&str) -> bool) -> Vec<Delivery> {
        let chosen = self.to.iter().filter(|mailbox| wanted(mailbox.email.as_ref()));
        let recipients = chosen.map(|mailbox| (mailbox, None)).collect();
        let mut progress = Progress { stage: Stage::Connect, recipients };
        // Whatever is not finished by then is dropped, and with it the connection.
        let attempt = Box::pin(self.attempt(mail, &mut progress));
        let end = tokio::time::timeout(self.timeout, attempt).await;
        let fault = match end {
            Ok(Ok(())) => None,
            Ok(Err(fault)) => Some(fault),
            Err(_) => Some(SendFault::TimedOut {
                server: self.server.to_string(),
                seconds: self.timeout.as_secs(),
                stage: progress.stage,
            }),
        };
        let missing = || {
            fault.clone().unwrap_or(SendFault::Lost {
                server: self.server.to_string(),
                stage: progress.stage,
                cause: "no answer for this recipient".to_owned(),
            })
        };
        let delivery = |(mailbox, result): (&Mailbox, Option<Result<(), SendFault>>)| Delivery {
            to: mailbox.email.to_string(),
            result: result.unwrap_or_else(|| Err(missing())),
        };
        progress.recipients.into_iter().map(delivery).collect()
    }

    async fn attempt(&self, mail: &Mail, progress: &mut Progress<'_>) -> Result<(), SendFault> {
        let bytes = message::bytes(mail, &self.from, &self.to)?;
        let mut connection = self.connect(progress).await?;
        self.hand_over(&mut connection, &bytes, progress).await?;
        // QUIT; its answer no longer matters.
        connection.abort().await;
        Ok(())
    }

    /// Connects, encrypts and logs in.
    async fn connect(&self, progress: &mut Progress<'_>) -> Result<AsyncSmtpConnection, SendFault> {
        let fault = |stage, error| fault::of(&self.server, stage, &error);
        let from_start = self.tls.clone().filter(|_| self.server.security == Security::Tls);
        let address = (self.server.host.as_str(), self.server.port);
        let (limit, name) = (Some(self.timeout), &self.hello_name);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, limit, name, from_start, None)
                .await
                .map_err(|error| fault(Stage::Connect, error))?;
        if let Some(tls) = self.tls.clone().filter(|_| !connection.is_encrypted()) {
            progress.stage = Stage::Encrypt;
            if !connection.can_starttls() {
                return Err(SendFault::NoStartTls { server: self.server.to_string() });
            }
            let upgraded = connection.starttls(tls, name).await;
            upgraded.map_err(|error| fault(Stage::Encrypt, error))?;
        }
        if let Some((user, password)) = &self.login {
            progress.stage = Stage::LogIn;
            if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                return Err(SendFault::NoLogin { server: self.server.to_string() });
            }
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let answer = connection.auth(DEFAULT_MECHANISMS, &credentials).await;
            answer.map_err(|error| fault(Stage::LogIn, error))?;
        }
        Ok(connection)
    }

    /// Hands the mail over, in one transaction for all recipients that the server accepts.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        bytes: &[u8],
        progress: &mut Progress<'_>,
    ) -> Result<(), SendFault> {
        let fault = |stage, error| fault::of(&self.server, stage, &error);
        progress.stage = Stage::Sender;
        let from = MailFrom::new(Some(self.from.email.clone()), self.parameters());
        connection.command(from).await.map_err(|error| fault(Stage::Sender, error))?;
        progress.stage = Stage::Recipient;
        for (mailbox, result) in &mut progress.recipients {
            let answer = connection.command(Rcpt::new(mailbox.email.clone(), vec![])).await;
            match answer.map_err(|error| fault(Stage::Recipient, error)) {
                Ok(_) => {}
                Err(refused @ SendFault::Refused { .. }) => *result = Some(Err(refused)),
                Err(lost) => return Err(lost),
            }
        }
        if progress.recipients.iter().all(|(_, result)| result.is_some()) {
            return Ok(());
        }
        progress.stage = Stage::Content;
        connection.command(Data).await.map_err(|error| fault(Stage::Content, error))?;
        connection.message(bytes).await.map_err(|error| fault(Stage::Content, error))?;
        for (_, result) in &mut progress.recipients {
            result.get_or_insert(Ok(()));
        }
        Ok(())
    }

    /// Requests SMTPUTF8 if an address needs it (RFC 6531); a server without it refuses.
    fn parameters(&self) -> Vec<MailParameter> {
        let mut mailboxes = std::iter::once(&self.from).chain(&self.to);
        let is_ascii = mailboxes.all(|mailbox| mailbox.email.to_string().is_ascii());
        if is_ascii { Vec::new() } else { vec![MailParameter::SmtpUtfEight] }
    }
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailer").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Prepares TLS. A CA in the settings is trusted instead of the system's, not in addition.
fn tls(server: &Server, ca_pem: Option<&[u8]>) -> Result<Option<TlsParameters>, MailFault> {
    if server.security == Security::Plain {
        return Ok(None);
    }
    let fault = |error: lettre::transport::smtp::Error| MailFault::Tls { cause: error.to_string() };
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = ca_pem {
        let is_pem = pem.windows(PEM_BEGIN.len()).any(|window| window == PEM_BEGIN);
        let ca = Certificate::from_pem(pem).ok().filter(|_| is_pem).ok_or(MailFault::CaFile)?;
        builder = builder.certificate_store(CertificateStore::None).add_root_certificate(ca);
    }
    builder.build_rustls().map(Some).map_err(fault)
}

/// The beginning of every PEM certificate (RFC 7468).
const PEM_BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
