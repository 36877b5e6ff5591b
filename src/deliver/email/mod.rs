//! Hands mails to an SMTP server: TLS or nothing, one connection per mail, each recipient on its own.
//!
//! A send ends within its [`Timeouts`], whatever the server does. The result is reported for each recipient,
//! since a server may accept a mail for one and refuse it for another. The outbox decides when to retry, by
//! [`SendFault::is_temporary`].
//!
//! Nothing is pooled: mails are rare, and a fresh connection has no state to go stale.

mod fault;
mod measured;
mod message;
mod settings;

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
#[expect(deprecated, reason = "see `measured`")]
use lettre::transport::smtp::client::AsyncNetworkStream;
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::{ClientId, MailParameter};

pub use fault::{MailFault, SendFault, Stage};
pub use settings::{MailSettings, Password, Timeouts};

use crate::deliver::render::Mail;
pub use crate::engine::smtp::{Security, Server};

use self::measured::Measured;

/// Sends mails according to its settings.
pub struct Mailer {
    server: Server,
    tls: Option<TlsParameters>,
    login: Option<(String, Password)>,
    from: Mailbox,
    to: Vec<Mailbox>,
    hello_name: ClientId,
    timeouts: Timeouts,
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

impl Progress<'_> {
    /// Returns whether the server has accepted a recipient.
    fn is_wanted(&self) -> bool {
        self.recipients.iter().any(|(_, result)| result.is_none())
    }
}

/// How long to wait for the answer to QUIT, which nobody needs.
const GOODBYE: Duration = Duration::from_secs(10);

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
        let MailSettings { server, user, password, ca_pem, from, to, hello_name, timeouts } =
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
            timeouts,
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
        let fault = Box::pin(self.attempt(mail, &mut progress)).await.err();
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
        let Timeouts { opening, answer, .. } = self.timeouts;
        // Whatever is not finished by then is dropped, and with it the connection.
        let opened = tokio::time::timeout(opening, self.open(progress)).await;
        let mut connection = opened.unwrap_or_else(|_| Err(self.late(progress.stage, opening)))?;
        if progress.is_wanted() {
            self.hand_over(&mut connection, &bytes, progress).await?;
        }
        // QUIT; its answer no longer matters.
        tokio::time::timeout(answer.min(GOODBYE), connection.abort()).await.ok();
        Ok(())
    }

    /// Does all that comes before the content.
    async fn open(&self, progress: &mut Progress<'_>) -> Result<AsyncSmtpConnection, SendFault> {
        let mut connection = self.connect(progress).await?;
        self.address(&mut connection, progress).await?;
        Ok(connection)
    }

    /// Waits for one step of a send.
    async fn step<T>(
        &self,
        stage: Stage,
        limit: Duration,
        step: impl Future<Output = Result<T, SmtpError>>,
    ) -> Result<T, SendFault> {
        match tokio::time::timeout(limit, step).await {
            Ok(answer) => answer.map_err(|error| fault::of(&self.server, stage, &error)),
            Err(_) => Err(self.late(stage, limit)),
        }
    }

    fn late(&self, stage: Stage, limit: Duration) -> SendFault {
        let server = self.server.to_string();
        SendFault::TimedOut { server, stage, seconds: limit.as_secs() }
    }

    /// Connects, encrypts and logs in.
    async fn connect(&self, progress: &mut Progress<'_>) -> Result<AsyncSmtpConnection, SendFault> {
        let from_start = self.tls.clone().filter(|_| self.server.security == Security::Tls);
        let address = (self.server.host.as_str(), self.server.port);
        let (limit, name) = (self.timeouts.answer, &self.hello_name);
        let within = Some(limit.min(Timeouts::CONNECTION));
        let connecting = async {
            #[expect(deprecated, reason = "see `measured`")]
            let stream =
                AsyncNetworkStream::connect_tokio1(address, within, from_start, None).await?;
            let stream = match self.server.security {
                Security::StartTls => Measured::before_tls(stream),
                Security::Tls | Security::Plain => Measured::new(stream),
            };
            AsyncSmtpConnection::connect_with_transport(Box::new(stream), name).await
        };
        let mut connection = self.step(Stage::Connect, limit, connecting).await?;
        if let Some(tls) = self.tls.clone().filter(|_| self.server.security == Security::StartTls) {
            progress.stage = Stage::Encrypt;
            if !connection.can_starttls() {
                return Err(SendFault::NoStartTls { server: self.server.to_string() });
            }
            self.step(Stage::Encrypt, limit, connection.starttls(tls, name)).await?;
        }
        if let Some((user, password)) = &self.login {
            progress.stage = Stage::LogIn;
            if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
                return Err(SendFault::NoLogin { server: self.server.to_string() });
            }
            let credentials = Credentials::new(user.clone(), password.expose().to_owned());
            let login = connection.auth(DEFAULT_MECHANISMS, &credentials);
            self.step(Stage::LogIn, limit, login).await?;
        }
        Ok(connection)
    }

    /// Begins one transaction for all recipients that the server accepts.
    async fn address(
        &self,
        connection: &mut AsyncSmtpConnection,
        progress: &mut Progress<'_>,
    ) -> Result<(), SendFault> {
        let limit = self.timeouts.answer;
        progress.stage = Stage::Sender;
        let from = MailFrom::new(Some(self.from.email.clone()), self.parameters());
        self.step(Stage::Sender, limit, connection.command(from)).await?;
        progress.stage = Stage::Recipient;
        for (mailbox, result) in &mut progress.recipients {
            let to = connection.command(Rcpt::new(mailbox.email.clone(), vec![]));
            match self.step(Stage::Recipient, limit, to).await {
                Ok(_) => {}
                Err(refused @ SendFault::Refused { .. }) => *result = Some(Err(refused)),
                Err(lost) => return Err(lost),
            }
        }
        if progress.is_wanted() {
            progress.stage = Stage::Content;
            self.step(Stage::Content, limit, connection.command(Data)).await?;
        }
        Ok(())
    }

    /// Hands the mail over.
    async fn hand_over(
        &self,
        connection: &mut AsyncSmtpConnection,
        bytes: &[u8],
        progress: &mut Progress<'_>,
    ) -> Result<(), SendFault> {
        let limit = self.timeouts.content;
        self.step(Stage::Content, limit, connection.message(bytes)).await?;
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
