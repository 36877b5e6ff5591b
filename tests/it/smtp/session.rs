//! One connection to the server: the commands, and the script's replies.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail_parser::MessageParser;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};

use super::{Encryption, Message, Options, Script, Setup};

pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// One connection.
struct Session<'a> {
    setup: &'a Setup,
    stream: BufReader<Box<dyn Duplex>>,
    is_encrypted: bool,
    user: Option<String>,
    from: Option<String>,
    to: Vec<String>,
}

/// What follows a command.
enum Next {
    Go,
    Encrypt,
    /// TLS, in which nothing is listened to.
    EncryptAndDrop,
    End,
}

pub(super) async fn serve(stream: Box<dyn Duplex>, setup: &Setup) -> std::io::Result<()> {
    let is_encrypted = setup.options.tls == Encryption::Always;
    let stream = if is_encrypted { Box::new(setup.acceptor.accept(stream).await?) } else { stream };
    let mut session = Session {
        setup,
        stream: BufReader::new(stream),
        is_encrypted,
        user: None,
        from: None,
        to: Vec::new(),
    };
    if setup.shared.change(|state| take_one(&mut state.script.mute)) {
        std::future::pending::<()>().await;
    }
    if setup.shared.state().script.endless == Some("") {
        session.babble().await?;
    }
    let greeting = setup.shared.state().script.greeting;
    session.say(greeting.unwrap_or("220 localhost ESMTP")).await?;
    while let Some(line) = session.line().await? {
        match session.obey(&line).await? {
            Next::Go => {}
            Next::End => break,
            Next::EncryptAndDrop => {
                let mut stream = setup.acceptor.accept(session.stream.into_inner()).await?;
                tokio::io::copy(&mut stream, &mut tokio::io::sink()).await?;
                break;
            }
            Next::Encrypt => {
                // what was sent ahead in the clear must not count as sent in secret
                assert!(session.stream.buffer().is_empty(), "the client sent ahead of TLS");
                let stream = setup.acceptor.accept(session.stream.into_inner()).await?;
                let stream: Box<dyn Duplex> = Box::new(stream);
                session = Session {
                    setup,
                    stream: BufReader::new(stream),
                    is_encrypted: true,
                    user: None,
                    from: None,
                    to: Vec::new(),
                };
            }
        }
    }
    Ok(())
}

impl Session<'_> {
    async fn say(&mut self, lines: &str) -> std::io::Result<()> {
        self.stream.write_all(format!("{lines}\r\n").as_bytes()).await?;
        self.stream.flush().await
    }

    /// Sends a line without end, for as long as the client reads.
    async fn babble(&mut self) -> std::io::Result<()> {
        loop {
            self.stream.write_all(&[b'2'; 4096]).await?;
        }
    }

    /// Reads a command, which must end with CR LF; `None` at the end.
    async fn line(&mut self) -> std::io::Result<Option<String>> {
        let mut bytes = Vec::new();
        if self.stream.read_until(b'\n', &mut bytes).await? == 0 {
            return Ok(None);
        }
        let line = String::from_utf8(bytes).unwrap();
        Ok(Some(line.strip_suffix("\r\n").expect("commands end with CR LF").to_owned()))
    }

    async fn obey(&mut self, line: &str) -> std::io::Result<Next> {
        let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
        let Options { tls, .. } = self.setup.options;
        let is_endless = self.setup.shared.state().script.endless == Some(verb);
        if is_endless && (self.is_encrypted || tls == Encryption::Off) {
            self.babble().await?;
        }
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" => self.hello().await?,
            "HELO" => self.say("250 localhost").await?,
            "STARTTLS" if self.setup.options.tls == Encryption::StartTls && !self.is_encrypted => {
                let injected = self.setup.shared.state().script.injected;
                let Some(injected) = injected else {
                    self.say("220 go ahead").await?;
                    return Ok(Next::Encrypt);
                };
                self.say(&format!("220 go ahead\r\n{injected}")).await?;
                return Ok(Next::EncryptAndDrop);
            }
            "AUTH" => self.log_in(rest).await?,
            "MAIL" => self.mail(rest).await?,
            "RCPT" => self.rcpt(rest).await?,
            "DATA" => return self.data().await,
            "RSET" => {
                self.reset();
                self.say("250 forgotten").await?;
            }
            "NOOP" => self.say("250 nothing done").await?,
            "QUIT" => {
                self.setup.shared.change(|state| state.n_goodbyes += 1);
                self.say("221 bye").await?;
                return Ok(Next::End);
            }
            _ => self.say("500 unknown command").await?,
        }
        Ok(Next::Go)
    }

    async fn hello(&mut self) -> std::io::Result<()> {
        let Options { tls, login, mechanisms, .. } = &self.setup.options;
        let mut lines = String::from("250-localhost\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n");
        if *tls == Encryption::StartTls && !self.is_encrypted {
            lines.push_str("250-STARTTLS\r\n");
        } else if login.is_some() {
            lines.push_str(&format!("250-AUTH {}\r\n", mechanisms.join(" ")));
        }
        lines.push_str("250 SIZE 10485760");
        self.say(&lines).await
    }

    async fn log_in(&mut self, rest: &str) -> std::io::Result<()> {
        let (mechanism, initial) = rest.split_once(' ').unwrap_or((rest, ""));
        let mechanism = mechanism.to_ascii_uppercase();
        if !self.setup.options.mechanisms.contains(&mechanism.as_str()) {
            return self.say("504 unknown mechanism").await;
        }
        let given = if mechanism == "PLAIN" {
            let answer = if initial.is_empty() { self.ask("").await? } else { decoded(initial) };
            let mut parts = answer.split('\0').skip(1).map(str::to_owned);
            (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
        } else {
            (self.ask("Username:").await?, self.ask("Password:").await?)
        };
        let is_locked = self.setup.shared.state().script.is_locked;
        if self.setup.options.login.as_ref() == Some(&given) && !is_locked {
            self.user = Some(given.0);
            return self.say("235 welcome").await;
        }
        self.setup.shared.change(|state| state.n_refused_logins += 1);
        self.say("535 5.7.8 wrong user or password").await
    }

    async fn ask(&mut self, question: &str) -> std::io::Result<String> {
        self.say(&format!("334 {}", STANDARD.encode(question))).await?;
        Ok(decoded(&self.line().await?.unwrap_or_default()))
    }

    async fn mail(&mut self, rest: &str) -> std::io::Result<()> {
        let Options { tls, login, .. } = &self.setup.options;
        if *tls == Encryption::StartTls && !self.is_encrypted {
            return self.say("530 5.7.0 STARTTLS first").await;
        }
        if login.is_some() && self.user.is_none() {
            return self.say("530 5.7.0 log in first").await;
        }
        let refusal = self.setup.shared.state().script.sender;
        if let Some(refusal) = refusal {
            return self.say(refusal).await;
        }
        self.reset();
        self.from = Some(address(rest));
        self.say("250 sender noted").await
    }

    async fn rcpt(&mut self, rest: &str) -> std::io::Result<()> {
        let to = address(rest);
        if self.from.is_none() {
            return self.say("503 MAIL first").await;
        }
        let is_early = self.setup.shared.change(|state| take_one(&mut state.script.greylist));
        if is_early {
            return self.say("451 4.7.1 greylisted, try again later").await;
        }
        let Script { refused, full, is_denying, .. } = self.setup.shared.state().script.clone();
        if is_denying {
            return self.say(&format!("554 5.7.1 <{to}>: Relay access denied")).await;
        }
        if refused.contains(&to) {
            return self.say("550 5.1.1 no such user").await;
        }
        if full.contains(&to) {
            return self.say("452 4.2.2 mailbox full").await;
        }
        self.to.push(to);
        self.say("250 recipient noted").await
    }

    async fn data(&mut self) -> std::io::Result<Next> {
        if self.to.is_empty() {
            self.say("503 RCPT first").await?;
            return Ok(Next::Go);
        }
        self.say("354 end with a dot").await?;
        let Some(bytes) = self.content().await? else { return Ok(Next::End) };
        let disliked = self.setup.shared.state().script.disliked;
        if let Some((_, answer)) = disliked.filter(|(word, _)| text(&bytes).contains(word)) {
            self.reset();
            self.say(answer).await?;
            return Ok(Next::Go);
        }
        let (hangs, loses) = self.setup.shared.change(|state| {
            let hangs = take_one(&mut state.script.hang);
            (hangs, !hangs && take_one(&mut state.script.lose))
        });
        let message = Message {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            bytes,
            received: now(),
            user: self.user.clone(),
            is_encrypted: self.is_encrypted,
            is_answered: false,
        };
        let n = self.setup.shared.change(|state| {
            state.messages.push(message);
            state.messages.len()
        });
        let delay = self.setup.shared.state().script.delay;
        tokio::time::sleep(delay).await;
        while self.setup.shared.state().script.is_holding {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.setup.shared.change(|state| state.messages[n - 1].is_answered = !hangs && !loses);
        if hangs {
            std::future::pending::<()>().await;
        }
        if loses {
            return Ok(Next::End);
        }
        self.say("250 taken").await?;
        Ok(Next::Go)
    }

    /// Reads the content up to the dot and takes the stuffed dots out; `None` if it never ends.
    async fn content(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut content = Vec::new();
        loop {
            let mut line = Vec::new();
            if self.stream.read_until(b'\n', &mut line).await? == 0 {
                return Ok(None);
            }
            assert!(line.len() <= 1000, "a line of {} bytes: RFC 5321 allows 1000", line.len());
            if line == b".\r\n" {
                return Ok(Some(content));
            }
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    fn reset(&mut self) {
        self.from = None;
        self.to.clear();
    }
}

fn take_one(n: &mut usize) -> bool {
    let is_left = *n > 0;
    *n = n.saturating_sub(1);
    is_left
}

fn decoded(base64: &str) -> String {
    String::from_utf8(STANDARD.decode(base64).unwrap_or_default()).unwrap_or_default()
}

/// Returns what a filter reads: the subject and both parts.
fn text(bytes: &[u8]) -> String {
    let mail = MessageParser::default().parse(bytes).unwrap();
    let parts = [mail.body_text(0), mail.body_html(0), mail.subject().map(Into::into)];
    parts.into_iter().flatten().map(Cow::into_owned).collect()
}

/// Returns what stands between `<` and `>`.
fn address(rest: &str) -> String {
    let inner = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map(|(address, _)| address.to_owned()).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a test measures how long a mail took")]
fn now() -> Instant {
    Instant::now()
}
