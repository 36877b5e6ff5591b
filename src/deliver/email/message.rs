//! Writes a mail as RFC 5322 requires: headers, and both parts as alternatives.

use std::time::{Duration, UNIX_EPOCH};

use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};

use crate::deliver::render::Mail;
use crate::engine::time::Timestamp;

use super::fault::SendFault;

/// The last second of the year 9999: a Date header cannot contain a later time.
const LAST_DATE: u64 = 253_402_300_799;

/// Returns the bytes of the mail. Its recipients are for people to see; the envelope determines who gets it.
pub(super) fn bytes(mail: &Mail, from: &Mailbox, to: &[Mailbox]) -> Result<Vec<u8>, SendFault> {
    let mut builder = Message::builder()
        .message_id(Some(mail.message_id.clone()))
        .date(UNIX_EPOCH + date(mail.date))
        .from(from.clone())
        .subject(mail.subject.clone())
        .raw_header(header("Auto-Submitted", "auto-generated"));
    for mailbox in to {
        builder = builder.to(mailbox.clone());
    }
    if let Some(thread) = &mail.thread {
        builder = builder.in_reply_to(thread.clone()).references(thread.clone());
    }
    if !mail.alerts.is_empty() {
        let is_plain = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
        let ids = mail.alerts.iter().map(|id| id.chars().filter(is_plain).collect::<String>());
        let ids = ids.collect::<Vec<_>>().join(" ");
        builder = builder.raw_header(header("X-Tokenwatch-Alert", &ids));
    }
    let parts = MultiPart::alternative_plain_html(mail.text.clone(), mail.html.clone());
    let message = builder.multipart(parts);
    Ok(message.map_err(|error| SendFault::Unwritable { cause: error.to_string() })?.formatted())
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Returns the time since 1970, limited to the years that a Date header can contain.
fn date(time: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0).min(LAST_DATE))
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use crate::deliver::render::{Context, incident};
    use crate::deliver::sample::{self, HOSTILE, NOW};
    use crate::engine::alert::Incident;

    use super::*;

    fn written(mail: &Mail) -> Vec<u8> {
        let from: Mailbox = "Tokenwatch <tokenwatch@example.org>".parse().unwrap();
        let to: Vec<Mailbox> = vec!["security@example.org".parse().unwrap()];
        bytes(mail, &from, &to).unwrap()
    }

    fn mail() -> Mail {
        let host = sample::named("log1");
        let context = Context {
            host: &host,
            date: NOW,
            files: &sample::files,
            history: &[],
            background: None,
        };
        incident(&sample::incident(), &[sample::alert()], &context)
    }

    #[test]
    fn a_mail_has_two_parts_and_the_headers_of_a_machine() {
        let bytes = written(&mail());
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert_eq!(parsed.message_id(), Some("in_2c5ea4c0f00dcafe.1@log1"));
        assert_eq!(parsed.references().as_text(), Some("in_2c5ea4c0f00dcafe.0@log1"));
        assert_eq!(parsed.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
        assert_eq!(parsed.header_raw("X-Tokenwatch-Alert").unwrap().trim(), "al_0011223344556677");
        assert_eq!(parsed.date().unwrap().to_rfc3339(), "2026-11-23T17:10:33Z");
        assert_eq!(parsed.subject(), Some(mail().subject.as_str()));
        let root = parsed.root_part();
        assert!(root.is_multipart());
        let text = parsed.body_text(0).unwrap().replace("\r\n", "\n");
        let html = parsed.body_html(0).unwrap().replace("\r\n", "\n");
        assert_eq!(
            (text.trim_end(), html.trim_end()),
            (mail().text.trim_end(), mail().html.trim_end())
        );
    }

    #[test]
    fn lines_are_as_short_as_smtp_wants_them() {
        let (long, foreign) = ("x".repeat(5000), "東".repeat(5000));
        for path in ["/var/log/access.log", &long, &foreign] {
            let files = |_| Some(path.to_owned());
            let host = sample::named("log1");
            let context =
                Context { host: &host, date: NOW, files: &files, history: &[], background: None };
            let bytes = written(&incident(&sample::incident(), &[sample::alert()], &context));
            assert!(bytes.is_ascii());
            assert!(bytes.split(|b| *b == b'\n').all(|line| line.len() <= 1000));
        }
    }

    #[test]
    fn nothing_hostile_becomes_a_header() {
        let host = sample::named(HOSTILE);
        let context =
            Context { host: &host, date: NOW, files: &|_| None, history: &[], background: None };
        let hostile = Incident { id: HOSTILE.into(), revision: 2, ..sample::incident() };
        let mut mail = incident(&hostile, &[sample::hostile()], &context);
        mail.subject = HOSTILE.to_owned();
        let bytes = written(&mail);
        let parsed = MessageParser::default().parse(&bytes).unwrap();
        assert!(parsed.bcc().is_none());
        let names = parsed.headers_raw().map(|(name, _)| name).collect::<Vec<_>>();
        let expected = [
            "Message-ID",
            "Date",
            "From",
            "Subject",
            "Auto-Submitted",
            "To",
            "In-Reply-To",
            "References",
            "X-Tokenwatch-Alert",
            "MIME-Version",
            "Content-Type",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn dates_that_no_header_can_hold_become_the_nearest() {
        for (micros, expected) in [(i64::MIN, "1970-01-01"), (i64::MAX, "9999-12-31")] {
            let bytes = written(&Mail { date: Timestamp(micros), ..mail() });
            let parsed = MessageParser::default().parse(&bytes).unwrap();
            assert!(parsed.date().unwrap().to_rfc3339().starts_with(expected));
        }
    }
}
