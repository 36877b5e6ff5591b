//! Mails between the real `Mailer` and a real server: every possible outcome.

use std::time::Duration;

use mail_parser::MessageParser;
use tokenwatch::deliver::email::{
    Delivery, MailFault, MailSettings, Mailer, Password, Security, SendFault, Server, Stage,
    Timeouts,
};
use tokenwatch::deliver::render::{Context, Host, Mail, test};
use tokenwatch::engine::time::Timestamp;

use crate::smtp::{Encryption, Options, Shown, SmtpServer};

const DEADLINE: Duration = Duration::from_secs(20);

const TIMEOUTS: Timeouts = Timeouts { answer: DEADLINE, opening: DEADLINE, content: DEADLINE };

fn mail() -> Mail {
    let date = Timestamp::from_seconds(1_795_453_833);
    let host = Host { name: "log1.example.org".into(), program: "tokenwatch".into() };
    test("7", &Context { host: &host, date, files: &|_| None, history: &[], background: None })
}

fn with_login() -> Options {
    Options { login: Some(("tokenwatch".into(), "s3cret ü".into())), ..Options::default() }
}

fn settings(server: &SmtpServer, security: Security) -> MailSettings {
    let host = "127.0.0.1".to_owned();
    MailSettings {
        server: Server { security, host, port: server.port() },
        user: Some("tokenwatch".into()),
        password: Some(Password::new("s3cret ü".to_owned().into())),
        ca_pem: Some(server.ca_pem().into()),
        from: "Tokenwatch <tokenwatch@example.org>".into(),
        to: vec!["security@example.org".into()],
        hello_name: Some("log1.example.org".into()),
        timeouts: TIMEOUTS,
    }
}

fn anonymous(server: &SmtpServer, security: Security) -> MailSettings {
    MailSettings { user: None, password: None, ..settings(server, security) }
}

fn send(settings: MailSettings, mail: &Mail) -> Vec<Delivery> {
    let mailer = Mailer::new(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(movable(mailer.send(mail)))
}

/// The daemon's tasks move between threads: what they await must be able to.
fn movable<F: Future + Send>(future: F) -> F {
    future
}

/// Sends to one recipient who does not get it.
fn fault(settings: MailSettings) -> SendFault {
    send(settings, &mail()).remove(0).result.unwrap_err()
}

#[test]
fn starttls_and_a_login_deliver() {
    for mechanisms in [&["PLAIN"], &["LOGIN"]] {
        let server = SmtpServer::start(Options { mechanisms, ..with_login() });
        let deliveries = send(settings(&server, Security::StartTls), &mail());
        assert_eq!(deliveries[0].result, Ok(()), "{mechanisms:?}");
        let message = server.wait_for(1, DEADLINE).remove(0);
        assert_eq!((message.from.as_str(), message.is_encrypted), ("tokenwatch@example.org", true));
        assert_eq!(message.to, ["security@example.org"]);
        assert_eq!(message.user.as_deref(), Some("tokenwatch"));
        assert!(message.received.elapsed() < DEADLINE);
    }
}

#[test]
fn tls_from_the_start_delivers_by_name_too() {
    let server = SmtpServer::start(Options { tls: Encryption::Always, ..with_login() });
    let mut settings = settings(&server, Security::Tls);
    settings.server.host = "localhost".into();
    assert_eq!(send(settings, &mail())[0].result, Ok(()));
    assert!(server.messages()[0].is_encrypted);
}

#[test]
fn plain_text_goes_to_this_host_only() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..with_login() });
    assert_eq!(send(settings(&server, Security::Plain), &mail())[0].result, Ok(()));
    let mut settings = settings(&server, Security::Plain);
    settings.server.host = "192.0.2.1".into();
    let fault = Mailer::new(settings).unwrap_err();
    assert_eq!(fault, MailFault::Plaintext { host: "192.0.2.1".into() });
}

#[test]
fn what_arrives_is_what_was_written() {
    let server = SmtpServer::start(Options::default());
    let mail = Mail {
        subject: "[tokenwatch] HIGH bücher-東京: new country".into(),
        text: ".\r\nzwölf\r\n..\r\n. dot\r\n".into(),
        html: "<p>zwölf</p>".into(),
        thread: Some("<in_1.0@log1.example.org>".into()),
        alerts: vec!["al_1".into(), "al_2\r\nBcc: evil@example.org".into()],
        ..mail()
    };
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail)[0].result, Ok(()));
    let message = server.messages().remove(0);
    let parsed = MessageParser::default().parse(&message.bytes).unwrap();
    assert_eq!(parsed.subject(), Some(mail.subject.as_str()));
    assert_eq!(parsed.message_id(), Some("test.7@log1.example.org"));
    assert_eq!(parsed.in_reply_to().as_text(), Some("in_1.0@log1.example.org"));
    assert_eq!(parsed.references().as_text(), Some("in_1.0@log1.example.org"));
    assert_eq!(parsed.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
    assert_eq!(
        parsed.header_raw("X-Tokenwatch-Alert").unwrap().trim(),
        "al_1 al_2Bccevilexampleorg"
    );
    assert_eq!(parsed.from().unwrap().first().unwrap().address(), Some("tokenwatch@example.org"));
    assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-23T17:10:33Z");
    assert!(parsed.bcc().is_none() && parsed.cc().is_none());
    assert!(parsed.root_part().is_multipart());
    assert_eq!((parsed.text_body_count(), parsed.html_body_count()), (1, 1));
    assert_eq!(parsed.body_text(0).unwrap(), mail.text);
    assert_eq!(parsed.body_html(0).unwrap(), mail.html);
}

#[test]
fn a_certificate_of_nobody_ends_the_send_and_names_the_cure() {
    for (tls, security) in
        [(Encryption::StartTls, Security::StartTls), (Encryption::Always, Security::Tls)]
    {
        let server = SmtpServer::start(Options { tls, ..with_login() });
        let fault = fault(MailSettings { ca_pem: None, ..settings(&server, security) });
        assert!(matches!(fault, SendFault::Tls { .. }), "{fault}");
        assert!(fault.is_temporary() && fault.remedy().contains("mail.ca_file"), "{fault}");
        assert!(fault.to_string().contains("UnknownIssuer"), "{fault}");
        assert!(server.messages().is_empty());
    }
}

#[test]
fn the_usual_mistakes_with_certificates_are_told_apart() {
    let cases = [(Shown::Authority, "CA:FALSE"), (Shown::Elsewhere, "use the name")];
    for (shown, cure) in cases {
        let server = SmtpServer::start(Options { shown, ..Options::default() });
        let fault = fault(anonymous(&server, Security::StartTls));
        assert!(fault.remedy().contains(cure), "{fault}: {}", fault.remedy());
    }
}

#[test]
fn tls_to_a_server_that_begins_without_it_says_so() {
    let server = SmtpServer::start(Options::default());
    let fault = fault(anonymous(&server, Security::Tls));
    assert!(fault.remedy().contains("smtp://"), "{fault}: {}", fault.remedy());
}

#[test]
fn a_server_without_starttls_gets_nothing() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..with_login() });
    let fault = fault(settings(&server, Security::StartTls));
    assert!(matches!(fault, SendFault::NoStartTls { .. }) && fault.is_temporary(), "{fault}");
    assert_eq!(server.n_refused_logins(), 0);
}

#[test]
fn a_wrong_password_is_permanent_and_not_repeated() {
    let server = SmtpServer::start(with_login());
    let wrong = Some(Password::new("hunter2".to_owned().into()));
    let fault = fault(MailSettings { password: wrong, ..settings(&server, Security::StartTls) });
    assert!(matches!(fault, SendFault::Refused { stage: Stage::LogIn, code: 535, .. }), "{fault}");
    assert!(fault.is_temporary() && fault.remedy().contains("mail.password_file"), "{fault}");
    assert!(!format!("{fault} {fault:?}").contains("hunter2"));
    assert_eq!(server.n_refused_logins(), 1);
}

#[test]
fn a_login_that_nobody_offers_is_told() {
    let server = SmtpServer::start(Options::default());
    let fault = fault(settings(&server, Security::StartTls));
    assert!(matches!(fault, SendFault::NoLogin { .. }), "{fault}");
}

#[test]
fn greylisting_is_temporary_and_the_mail_gets_through_later() {
    let server = SmtpServer::start(Options::default());
    server.script(|script| script.greylist = 2);
    for _ in 0..2 {
        let fault = fault(anonymous(&server, Security::StartTls));
        assert!(matches!(fault, SendFault::Refused { code: 451, .. }), "{fault}");
        assert!(fault.is_temporary(), "{fault}");
    }
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail())[0].result, Ok(()));
}

#[test]
fn a_server_that_is_down_is_temporary_and_may_come_back() {
    let mut server = SmtpServer::start(Options { is_down: true, ..Options::default() });
    let refused = fault(anonymous(&server, Security::StartTls));
    assert!(matches!(refused, SendFault::Connect { .. }) && refused.is_temporary(), "{refused}");
    server.restart();
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail())[0].result, Ok(()));
    server.stop();
    assert!(fault(anonymous(&server, Security::StartTls)).is_temporary());
    server.restart();
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail())[0].result, Ok(()));
    assert_eq!(server.messages().len(), 2);
    assert_eq!(server.n_connections(), 2);
    server.wait_for_connections(2, DEADLINE);
}

#[test]
fn one_refused_recipient_does_not_stop_the_others() {
    let server = SmtpServer::start(Options::default());
    server.script(|script| script.refused = vec!["gone@example.org".into()]);
    let to: Vec<String> =
        ["a@example.org", "Gone <gone@example.org>", "b@example.org"].map(Into::into).into();
    let deliveries = send(MailSettings { to, ..anonymous(&server, Security::StartTls) }, &mail());
    let served: Vec<bool> = deliveries.iter().map(|delivery| delivery.result.is_ok()).collect();
    assert_eq!(served, [true, false, true]);
    assert_eq!(deliveries[1].to, "gone@example.org");
    let fault = deliveries[1].result.clone().unwrap_err();
    assert!(!fault.is_temporary() && fault.to_string().contains("550"), "{fault}");
    assert_eq!(server.messages()[0].to, ["a@example.org", "b@example.org"]);
}

#[test]
fn a_repeat_may_leave_out_who_was_served() {
    let server = SmtpServer::start(Options::default());
    server.script(|script| script.greylist = 1);
    let to: Vec<String> = ["a@example.org", "b@example.org"].map(Into::into).into();
    let settings = MailSettings { to, ..anonymous(&server, Security::StartTls) };
    let mailer = Mailer::new(settings).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mail = mail();
    let first = runtime.block_on(mailer.send(&mail));
    let waiting: Vec<String> = first
        .into_iter()
        .filter(|delivery| delivery.result.as_ref().is_err_and(SendFault::is_temporary))
        .map(|delivery| delivery.to)
        .collect();
    assert_eq!(waiting, ["a@example.org"]);
    let again = mailer.send_to(&mail, |to| waiting.iter().any(|address| address == to));
    assert_eq!(runtime.block_on(again).len(), 1);
    let envelopes: Vec<Vec<String>> =
        server.messages().into_iter().map(|message| message.to).collect();
    assert_eq!(envelopes, [["b@example.org"], ["a@example.org"]]);
}

#[test]
fn a_connection_lost_before_the_answer_is_temporary_and_the_repeat_is_the_same_mail() {
    let server = SmtpServer::start(Options::default());
    server.script(|script| script.lose = 1);
    let fault = fault(anonymous(&server, Security::StartTls));
    assert!(matches!(fault, SendFault::Lost { stage: Stage::Content, .. }), "{fault}");
    assert!(fault.is_temporary(), "{fault}");
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail())[0].result, Ok(()));
    let (lost, taken) = (server.unanswered().remove(0), server.messages().remove(0));
    let id = |bytes: &[u8]| {
        MessageParser::default().parse(bytes).unwrap().message_id().unwrap().to_owned()
    };
    assert_eq!(id(&lost.bytes), id(&taken.bytes));
}

#[test]
fn a_server_that_never_answers_is_left_in_time() {
    let server = SmtpServer::start(Options::default());
    server.script(|script| script.hang = 1);
    let timeouts = Timeouts { content: Duration::from_secs(2), ..TIMEOUTS };
    let fault = fault(MailSettings { timeouts, ..anonymous(&server, Security::StartTls) });
    let expected = matches!(fault, SendFault::TimedOut { stage: Stage::Content, seconds: 2, .. });
    assert!(expected && fault.is_temporary(), "{fault}");
    assert_eq!(server.unanswered().len(), 1);
}

#[test]
fn a_server_that_never_greets_is_left_in_time_and_gets_the_mail_later() {
    let short = Duration::from_secs(1);
    for timeouts in
        [Timeouts { answer: short, ..TIMEOUTS }, Timeouts { opening: short, ..TIMEOUTS }]
    {
        let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
        server.script(|script| script.mute = 1);
        let settings = || MailSettings { timeouts, ..anonymous(&server, Security::Plain) };
        let fault = fault(settings());
        let expected =
            matches!(fault, SendFault::TimedOut { stage: Stage::Connect, seconds: 1, .. });
        assert!(expected && fault.is_temporary(), "{fault}");
        assert_eq!(send(settings(), &mail())[0].result, Ok(()));
        assert_eq!(server.messages().len(), 1);
    }
}

#[test]
fn a_server_that_took_long_over_a_mail_got_it_again_and_again() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let short = Duration::from_secs(4);
    server.script(|script| script.delay = short + Duration::from_secs(1));
    // What bounds the answers before it does not bound the one that says whose the mail is now.
    let timeouts = Timeouts { answer: short, opening: short, ..TIMEOUTS };
    let settings = MailSettings { timeouts, ..anonymous(&server, Security::Plain) };
    assert_eq!(send(settings, &mail())[0].result, Ok(()));
    assert_eq!((server.messages().len(), server.n_goodbyes()), (1, 1));
}

#[test]
fn an_answer_without_a_line_end_took_memory_until_the_time_was_up() {
    for (tls, security, endless, stage) in [
        (Encryption::Off, Security::Plain, "", Stage::Connect),
        (Encryption::Off, Security::Plain, "RCPT", Stage::Recipient),
        (Encryption::StartTls, Security::StartTls, "", Stage::Connect),
        (Encryption::StartTls, Security::StartTls, "EHLO", Stage::Encrypt),
        (Encryption::Always, Security::Tls, "", Stage::Connect),
        (Encryption::Always, Security::Tls, "DATA", Stage::Content),
    ] {
        let server = SmtpServer::start(Options { tls, ..Options::default() });
        server.script(|script| script.endless = Some(endless));
        let fault = fault(anonymous(&server, security));
        let (told, when) = (fault.to_string(), stage.to_string());
        assert!(told.contains("it sent more than 1024 KiB") && told.starts_with(&when), "{told}");
        assert!(fault.is_temporary(), "{fault}");
        server.script(|script| script.endless = None);
        assert_eq!(send(anonymous(&server, security), &mail())[0].result, Ok(()));
    }
}

#[test]
fn settings_that_cannot_work_are_refused_before_anything_is_sent() {
    let server = SmtpServer::start(Options { is_down: true, ..Options::default() });
    let base = || settings(&server, Security::StartTls);
    let cases = [
        (MailSettings { to: vec![], ..base() }, "mail.to"),
        (MailSettings { to: vec!["nobody".into()], ..base() }, "mail.to"),
        (MailSettings { from: "a@b\r\nBcc: c@d".into(), ..base() }, "mail.from"),
        (MailSettings { user: None, ..base() }, "mail.user"),
        (MailSettings { password: None, ..base() }, "mail.password_file"),
        (MailSettings { ca_pem: Some(b"no certificate".to_vec()), ..base() }, "mail.ca_file"),
        (MailSettings { hello_name: Some("a b".into()), ..base() }, "mail.hello_name"),
    ];
    for (settings, name) in cases {
        let fault = Mailer::new(settings).unwrap_err().to_string();
        assert!(fault.contains(name), "{fault}");
    }
}

#[test]
fn answers_that_were_slipped_in_before_tls_were_taken_for_the_servers() {
    let server = SmtpServer::start(Options::default());
    for injected in
        ["250-evil\r\n250 8BITMIME\r\n250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n221 bye", "2"]
    {
        server.script(|script| script.injected = Some(injected));
        let fault = fault(anonymous(&server, Security::StartTls));
        let told = fault.to_string();
        assert!(told.starts_with("starting TLS: "), "{told}");
        assert!(told.contains("sent more than an answer before TLS began"), "{told}");
        assert!(fault.is_temporary() && fault.is_of_server(), "{told}");
    }
    assert_eq!(server.messages().len(), 0);
    server.script(|script| script.injected = None);
    assert_eq!(send(anonymous(&server, Security::StartTls), &mail())[0].result, Ok(()));
}
