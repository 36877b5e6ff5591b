//! A mail server that says what it was given, whatever it hears; and what must hold whatever a server says.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use tokenwatch::deliver::email::{
    Delivery, MailSettings, Mailer, Password, Security, Server, Timeouts,
};
use tokenwatch::deliver::render::{Context, Host, Mail, test};
use tokenwatch::engine::time::Timestamp;

/// How long the server waits for a word before it goes on: to half a line, the client has nothing to say.
const PAUSE: Duration = Duration::from_millis(20);

/// How long the client waits: longer than the server says anything.
const PATIENCE: Duration = Duration::from_secs(30);

const SECURITIES: [Security; 3] = [Security::StartTls, Security::Tls, Security::Plain];

/// The first byte of what TLS begins with.
const HANDSHAKE: u8 = 22;

/// What a client may say before TLS begins.
const BEFORE_TLS: [&str; 4] = ["EHLO ", "HELO ", "STARTTLS", "QUIT"];

/// The server, and those who mail through it.
pub(crate) struct Scripted {
    listener: TcpListener,
    mailers: Vec<(Security, Mailer)>,
    mail: Mail,
}

impl Scripted {
    /// A server whose certificate, if it ever had one, this authority would have issued.
    pub(crate) fn new(ca_pem: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let mailer = |security| {
            let timeouts = Timeouts { answer: PATIENCE, opening: PATIENCE, content: PATIENCE };
            let settings = MailSettings {
                server: Server { security, host: "127.0.0.1".into(), port },
                user: Some("tokenwatch".into()),
                password: Some(Password::new("s3cret".to_owned().into())),
                ca_pem: ca_pem.map(Into::into),
                from: "tokenwatch@example.org".into(),
                to: vec!["security@example.org".into(), "ops@example.org".into()],
                hello_name: Some("log1.example.org".into()),
                timeouts,
            };
            (security, Mailer::new(settings).expect("a mailer"))
        };
        let host = Host { name: "log1.example.org".into(), program: "tokenwatch".into() };
        let date = Timestamp::from_seconds(1_795_453_833);
        let context =
            Context { host: &host, date, files: &|_| None, history: &[], background: None };
        Self { mailers: SECURITIES.map(mailer).into(), mail: test("7", &context), listener }
    }

    /// Mails with each kind of security while the server says this, one after the other; asserts what holds whatever it
    /// says. Returns what became of the mail without any.
    pub(crate) fn check(&self, answers: &[&[u8]]) -> Vec<Delivery> {
        let mut last = Vec::new();
        for (security, mailer) in &self.mailers {
            let (deliveries, heard) = self.mail(mailer, answers);
            for delivery in &deliveries {
                match &delivery.result {
                    Ok(()) => {
                        assert_eq!(*security, Security::Plain, "nobody ever began TLS");
                        assert!(has(&heard, b"\r\n.\r\n"), "{}", heard.escape_ascii());
                    }
                    Err(fault) => {
                        let told = fault.to_string();
                        assert!(!told.contains(char::is_control), "{told:?}");
                        assert!(!(fault.is_about_us() && fault.is_about_text()), "{fault:?}");
                    }
                }
            }
            let is_harmless = *security == Security::Plain || is_said_to_anybody(&heard);
            assert!(is_harmless, "{security:?}: {}", heard.escape_ascii());
            last = deliveries;
        }
        last
    }

    fn mail(&self, mailer: &Mailer, answers: &[&[u8]]) -> (Vec<Delivery>, Vec<u8>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                let (stream, _) = self.listener.accept().expect("a client");
                talk(stream, answers)
            });
            let deliveries = runtime.expect("a runtime").block_on(mailer.send(&self.mail));
            (deliveries, server.join().expect("the server"))
        })
    }
}

/// Says all that there is to say, and returns all that was heard.
fn talk(mut stream: TcpStream, answers: &[&[u8]]) -> Vec<u8> {
    stream.set_read_timeout(Some(PAUSE)).expect("a pause");
    let mut heard = Vec::new();
    let mut chunk = [0; 4096];
    for answer in answers {
        if stream.write_all(answer).is_err() {
            break;
        }
        if let Ok(n_bytes) = stream.read(&mut chunk) {
            heard.extend_from_slice(&chunk[..n_bytes]);
        }
    }
    stream.shutdown(Shutdown::Write).ok();
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return heard,
            Ok(n_bytes) => heard.extend_from_slice(&chunk[..n_bytes]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return heard,
        }
    }
}

/// Returns whether a client said nothing but what anybody may hear before it began TLS.
fn is_said_to_anybody(heard: &[u8]) -> bool {
    let clear = heard.split(|byte| *byte == HANDSHAKE).next().unwrap_or_default();
    let clear = String::from_utf8_lossy(clear);
    clear.lines().all(|line| BEFORE_TLS.iter().any(|word| line.starts_with(word)))
}

fn has(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
