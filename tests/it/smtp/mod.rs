//! A scripted SMTP server on loopback: a mail trap that can also refuse, hang, and disconnect.
//!
//! It supports EHLO, HELO, STARTTLS, AUTH PLAIN and LOGIN, MAIL, RCPT, DATA, RSET, NOOP and QUIT, with a certificate of
//! its own authority. Tests wait for the mails that it accepts; nobody sleeps.

mod session;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// When the server encrypts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Encryption {
    /// Never.
    Off,
    /// When the client asks by STARTTLS; before that it takes no mail.
    #[default]
    StartTls,
    /// From the first byte.
    Always,
}

/// Which certificate the server shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Shown {
    /// One for `localhost` and 127.0.0.1 that its authority issued.
    #[default]
    Issued,
    /// The same for `mail.example.org`.
    Elsewhere,
    /// Its authority's own, which is the classic mistake.
    Authority,
}

/// What the server is.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// When it encrypts.
    pub(crate) tls: Encryption,
    /// Its certificate.
    pub(crate) shown: Shown,
    /// The one user and password that it lets in; `None` lets everybody send.
    pub(crate) login: Option<(String, String)>,
    /// The ways to log in that it offers.
    pub(crate) mechanisms: &'static [&'static str],
    /// Whether connections are refused until [`SmtpServer::restart`].
    pub(crate) is_down: bool,
    /// What it does to whom.
    pub(crate) script: Script,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            tls: Encryption::default(),
            shown: Shown::default(),
            login: None,
            mechanisms: &["PLAIN", "LOGIN"],
            is_down: false,
            script: Script::default(),
        }
    }
}

/// What the server does instead of taking mail. Can be changed while it runs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Script {
    /// So many RCPTs are answered with 451.
    pub(crate) greylist: usize,
    /// These recipients are answered with 550.
    pub(crate) refused: Vec<String>,
    /// What connections are greeted with instead of a welcome.
    pub(crate) greeting: Option<&'static str>,
    /// What every MAIL is answered with.
    pub(crate) sender: Option<&'static str>,
    /// Every RCPT is answered with 554.
    pub(crate) is_denying: bool,
    /// Every login is answered with 535.
    pub(crate) is_locked: bool,
    /// These recipients are answered with 452.
    pub(crate) full: Vec<String>,
    /// After so many DATAs no answer ever comes.
    pub(crate) hang: usize,
    /// After so many DATAs the connection is closed instead of an answer.
    pub(crate) lose: usize,
    /// So many connections are never greeted.
    pub(crate) mute: usize,
    /// The answer to this command, or the greeting for an empty one, is a line without end; where there is TLS, in it.
    pub(crate) endless: Option<&'static str>,
    /// The answer to STARTTLS is followed at once by these, as if the server had answered what TLS keeps secret; what
    /// comes in TLS is then dropped.
    pub(crate) injected: Option<&'static str>,
    /// Mails whose text contains this are answered with that.
    pub(crate) disliked: Option<(&'static str, &'static str)>,
    /// DATAs are answered so much later.
    pub(crate) delay: Duration,
    /// While this is set, DATAs are taken but not answered.
    pub(crate) is_holding: bool,
}

/// A mail that was received.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    /// From the envelope.
    pub(crate) from: String,
    /// From the envelope.
    pub(crate) to: Vec<String>,
    /// The content, dots unstuffed.
    pub(crate) bytes: Vec<u8>,
    /// When its last byte came.
    pub(crate) received: Instant,
    /// Who was logged in.
    pub(crate) user: Option<String>,
    /// Whether it came over TLS.
    pub(crate) is_encrypted: bool,
    /// Whether the client was told that it was taken.
    pub(crate) is_answered: bool,
}

#[derive(Debug, Default)]
struct State {
    script: Script,
    messages: Vec<Message>,
    n_connections: usize,
    n_goodbyes: usize,
    n_refused_logins: usize,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.notify_all();
        result
    }
}

/// A server on a port of its own, until it is dropped.
pub(crate) struct SmtpServer {
    port: u16,
    ca_pem: String,
    setup: Arc<Setup>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    /// Holds the port while the server is down: bound, so that nobody else gets it, but not listening.
    reserved: Option<TcpSocket>,
}

struct Setup {
    options: Options,
    acceptor: TlsAcceptor,
    shared: Shared,
}

impl SmtpServer {
    /// Starts a server on a free port of 127.0.0.1.
    pub(crate) fn start(options: Options) -> Self {
        let (ca_pem, acceptor) = certificates(options.shown);
        let socket = bound(0);
        let port = socket.local_addr().unwrap().port();
        let shared = Shared::default();
        shared.state().script = options.script.clone();
        let is_down = options.is_down;
        let setup = Arc::new(Setup { options, acceptor, shared });
        let mut server = Self { port, ca_pem, setup, running: None, reserved: Some(socket) };
        if !is_down {
            server.restart();
        }
        server
    }

    /// Returns the port, which stays the same for the server's life.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the certificate of the server's authority, in PEM.
    pub(crate) fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Changes what the server does from now on.
    pub(crate) fn script(&self, change: impl FnOnce(&mut Script)) {
        self.setup.shared.change(|state| change(&mut state.script));
    }

    /// Returns the mails that were taken and answered, in order.
    pub(crate) fn messages(&self) -> Vec<Message> {
        answered(&self.setup.shared.state())
    }

    /// Returns the mails that came in whole but were never answered.
    pub(crate) fn unanswered(&self) -> Vec<Message> {
        let state = self.setup.shared.state();
        state.messages.iter().filter(|message| !message.is_answered).cloned().collect()
    }

    /// Returns how many connections were accepted so far.
    pub(crate) fn n_connections(&self) -> usize {
        self.setup.shared.state().n_connections
    }

    /// Returns how many clients have heard all answers and said goodbye.
    pub(crate) fn n_goodbyes(&self) -> usize {
        self.setup.shared.state().n_goodbyes
    }

    /// Returns how many logins were refused so far.
    pub(crate) fn n_refused_logins(&self) -> usize {
        self.setup.shared.state().n_refused_logins
    }

    /// Waits until `n` mails are taken and answered; fails the test if they are not within `deadline`.
    pub(crate) fn wait_for(&self, n: usize, deadline: Duration) -> Vec<Message> {
        let is_short = |state: &mut State| answered(state).len() < n;
        let state = self.wait(deadline, &format!("{n} mails"), is_short);
        answered(&state)
    }

    /// Waits until `n` connections were accepted.
    pub(crate) fn wait_for_connections(&self, n: usize, deadline: Duration) {
        drop(self.wait(deadline, &format!("{n} connections"), |state| state.n_connections < n));
    }

    fn wait(
        &self,
        deadline: Duration,
        what: &str,
        is_short: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'_, State> {
        let Shared { state, changed } = &self.setup.shared;
        let state = state.lock().unwrap();
        let (state, end) = changed.wait_timeout_while(state, deadline, is_short).unwrap();
        if end.timed_out() {
            let (n_mails, n_connections) = (state.messages.len(), state.n_connections);
            drop(state);
            panic!("no {what} in {deadline:?}: {n_mails} mails, {n_connections} connections");
        }
        state
    }

    /// Goes down: open connections end, new ones are refused. What was received stays.
    pub(crate) fn stop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            thread.join().unwrap();
            self.reserved = Some(bound(self.port));
        }
    }

    /// Comes up (again) on the same port.
    pub(crate) fn restart(&mut self) {
        let Some(socket) = self.reserved.take() else { return };
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = mpsc::channel();
        let setup = Arc::clone(&self.setup);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = socket.listen(64).unwrap();
                ready.send(()).unwrap();
                tokio::select! {
                    () = accept(listener, setup) => {}
                    _ = stopped => {}
                }
            });
            // dropping the runtime ends every session
        });
        is_ready.recv().unwrap();
        self.running = Some((stop, thread));
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.running.take() {
            drop(stop);
            // a panic there has been printed; a second one here would hide it
            drop(thread.join());
        }
    }
}

fn answered(state: &State) -> Vec<Message> {
    state.messages.iter().filter(|message| message.is_answered).cloned().collect()
}

fn bound(port: u16) -> TcpSocket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).unwrap();
    socket
}

/// Makes an authority and the server's certificate.
fn certificates(shown: Shown) -> (String, TlsAcceptor) {
    let names = match shown {
        Shown::Elsewhere => vec!["mail.example.org".to_owned()],
        Shown::Issued | Shown::Authority => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
    };
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(names.clone()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name.push(DnType::CommonName, "Authority of a test");
    let ca_certificate = ca.self_signed(&ca_key).unwrap();
    let ca_pem = ca_certificate.pem();
    let (certificate, key) = if shown == Shown::Authority {
        (ca_certificate, ca_key)
    } else {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        (params.signed_by(&key, &Issuer::new(ca, ca_key)).unwrap(), key)
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (ca_pem, TlsAcceptor::from(Arc::new(config)))
}

async fn accept(listener: TcpListener, setup: Arc<Setup>) {
    while let Ok((stream, _)) = listener.accept().await {
        setup.shared.change(|state| state.n_connections += 1);
        let setup = Arc::clone(&setup);
        tokio::spawn(async move {
            // an error is the client's going away: nothing to say to it
            drop(session::serve(Box::new(stream), &setup).await);
        });
    }
}
