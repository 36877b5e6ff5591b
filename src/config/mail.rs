//! The meaning of `[mail]`: the recipients, the server, the password.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::NaiveTime;
use zeroize::Zeroizing;

use super::fault::{At, Fault, Faults, Span};
use super::raw::RawMail;
use crate::engine::alert::Level;
use crate::engine::smtp::Server;

/// The credential that contains the password by default.
pub const DEFAULT_CREDENTIAL: &str = "smtp-password";
/// The limit of a password file; a longer one is the wrong file.
const MAX_PASSWORD: usize = 4096;

/// How mail is sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Mail {
    /// The server.
    pub server: At<Server>,
    /// The user; `None` to send without authentication.
    pub user: Option<String>,
    /// Where the password is; present if there is a user.
    pub password: Option<At<PasswordFrom>>,
    /// A PEM file of certificate authorities to trust instead of the system's.
    pub ca_file: Option<At<PathBuf>>,
    /// The sender, `ops@example.org` or `Ops <ops@example.org>`.
    pub from: String,
    /// The recipients, at least one.
    pub to: Vec<String>,
    /// Incidents of this level or above are mailed at once, others go to the digest.
    pub at_once: Level,
    /// When the daily digest is sent, in UTC.
    pub digest: NaiveTime,
    /// More mails than this per hour are combined into a digest.
    pub max_per_hour: u32,
    /// The name for the greeting to the server; `None` for the host's name.
    pub hello_name: Option<String>,
}

/// Where a password is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordFrom {
    /// In a file.
    File(PathBuf),
    /// In a systemd credential: a file of this name in `$CREDENTIALS_DIRECTORY`.
    Credential(String),
}

impl Mail {
    /// Combines the slots into settings. Returns `None` if no server, sender or recipient is named: then no mail is
    /// sent.
    pub(super) fn new(raw: RawMail, faults: &mut Vec<Fault>) -> Option<Self> {
        let needed = [
            ("server", raw.server.is_absent(), "server = \"smtps://mail.example.org\""),
            ("from", raw.from.is_absent(), "from = \"tokenwatch@example.org\""),
            ("to", raw.to.is_absent(), "to = [\"security@example.org\"]"),
        ];
        let is_wanted = needed.iter().any(|(_, is_absent, _)| !is_absent)
            || !raw.user.is_absent()
            || !raw.password_file.is_absent()
            || !raw.credential.is_absent();
        if !is_wanted {
            return None;
        }
        for (key, _, example) in needed.into_iter().filter(|(_, is_absent, _)| *is_absent) {
            let found = format!("[mail] without `{key}`");
            faults.push(raw.span.fault(found, format!("`{key}`"), format!("add {example}")));
        }
        let password = password(&raw, faults);
        Some(Self {
            server: raw.server.at()?,
            user: raw.user.value(),
            password,
            ca_file: raw.ca_file.at(),
            from: raw.from.value()?,
            to: raw.to.value()?,
            at_once: raw.at_once.or(Level::High),
            digest: raw.digest.or(DIGEST),
            max_per_hour: u32::try_from(raw.max_per_hour.or(12)).unwrap_or(u32::MAX),
            hello_name: raw.hello_name.value(),
        })
    }

    /// Reads the password again, so that a changed one needs no restart; `None` without a user. `credentials` is the
    /// value of `$CREDENTIALS_DIRECTORY`. One line end after the password is removed.
    ///
    /// # Errors
    /// Reports why the password could not be read, at the place where the configuration names the file.
    pub fn password(
        &self,
        credentials: Option<&Path>,
    ) -> Result<Option<Zeroizing<String>>, Faults> {
        let Some(At { value, span }) = &self.password else { return Ok(None) };
        let path = match (value, credentials) {
            (PasswordFrom::File(path), _) => path.clone(),
            (PasswordFrom::Credential(name), Some(folder)) => folder.join(name),
            (PasswordFrom::Credential(name), None) => {
                let found =
                    format!("the credential \"{name}\", but $CREDENTIALS_DIRECTORY is not set");
                let hint = format!(
                    "let systemd pass it (LoadCredential={name}:PATH), or name a `password_file`"
                );
                return Err(span.fault(found, "a password", hint).into());
            }
        };
        read_password(&path, span).map(Some)
    }

    /// Reads the certificates of the authorities to trust instead of the system's.
    ///
    /// # Errors
    /// Reports why the file could not be read, at the place where the configuration names it.
    pub fn ca_pem(&self) -> Result<Option<Vec<u8>>, Faults> {
        let Some(At { value, span }) = &self.ca_file else { return Ok(None) };
        let read = fs::read(value).map_err(|error| {
            let found = format!("{} cannot be read: {error}", value.display());
            Faults::from(span.fault(found, "certificates in PEM", ""))
        });
        read.map(Some)
    }
}

/// Half past seven in the morning, before work in Europe, in UTC.
const DIGEST: NaiveTime = match NaiveTime::from_hms_opt(7, 30, 0) {
    Some(time) => time,
    None => NaiveTime::MIN,
};

fn password(raw: &RawMail, faults: &mut Vec<Fault>) -> Option<At<PasswordFrom>> {
    use super::read::Slot::{Absent, Set};
    if let (Set(_), Set(credential)) = (&raw.password_file, &raw.credential) {
        let found = "both `password_file` and `credential`";
        faults.push(credential.span.fault(found, "one of them", ""));
    }
    let from = match (&raw.password_file, &raw.credential) {
        (Set(file), _) => {
            At { value: PasswordFrom::File(file.value.clone()), span: file.span.clone() }
        }
        (_, Set(name)) => {
            At { value: PasswordFrom::Credential(name.value.clone()), span: name.span.clone() }
        }
        (Absent, Absent) => {
            let value = PasswordFrom::Credential(DEFAULT_CREDENTIAL.to_owned());
            return raw.user.span().map(|span| At { value, span: span.clone() });
        }
        _ => return None,
    };
    if raw.user.is_absent() {
        let hint = "add user = \"...\", or leave the password out to send without signing in";
        faults.push(from.span.fault("a password without a user", "`user` beside it", hint));
    }
    Some(from)
}

fn read_password(path: &Path, span: &Span) -> Result<Zeroizing<String>, Faults> {
    let wrong = |why: String| {
        let found = format!("{} {why}", path.display());
        Faults::from(span.fault(found, "a file with the password and nothing else", ""))
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSWORD + 1));
    fs::File::open(path)
        .and_then(|file| file.take(MAX_PASSWORD as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| wrong(format!("cannot be read: {error}")))?;
    if bytes.len() > MAX_PASSWORD {
        return Err(wrong(format!("is longer than {MAX_PASSWORD} bytes")));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(wrong("is empty".to_owned()));
    }
    if text.contains(['\n', '\0']) {
        return Err(wrong("has more than one line".to_owned()));
    }
    Ok(Zeroizing::new(text.to_owned()))
}
