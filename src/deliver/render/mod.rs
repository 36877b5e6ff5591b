//! Turns incidents and digests into mails: a subject of fixed words, a text part, an HTML part.
//!
//! Everything from a log, a token or a rule passes [`safe()`] on its way into a mail. The subject contains nothing from
//! a log at all: the level, the names of rules, and a registered name of letters and digits, else the token's id; of a
//! source of guesses, its network.

mod commands;
#[cfg(test)]
mod commands_tests;
mod digest;
#[cfg(test)]
mod hostile_tests;
mod incident;
mod page;
mod safe;
#[cfg(test)]
mod subject_tests;
mod words;

use smol_str::SmolStr;

use crate::engine::alert::Level;
use crate::engine::line::StreamId;
use crate::engine::registry::Background;
use crate::engine::time::Timestamp;
use crate::engine::usage::Origin;

pub use digest::{Bundle, Digest, UNTIL, digest, listed};
pub use incident::{incident, named};
pub use safe::{MAX_SHOWN, is_shell_word, plain, safe, safe_within};

use page::{Page, Part};

/// How many alert ids the headers of a mail contain.
const MAX_IDS: usize = 20;

/// The longest path that is shown in full, in characters.
const MAX_PATH: usize = 1000;

/// A function that returns the path of a stream, as it was last seen.
pub type Files<'a> = dyn Fn(StreamId) -> Option<String> + 'a;

/// A mail, without its sender and recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// `<part@host>`: the same for every repeat of the mail.
    pub message_id: String,
    /// The thread that it belongs to, as the id of its first mail.
    pub thread: Option<String>,
    /// When its content was known.
    pub date: Timestamp,
    /// One line, without a byte from a log.
    pub subject: String,
    /// For people, in plain text.
    pub text: String,
    /// The same in HTML.
    pub html: String,
    /// The ids of its alerts, at most 20.
    pub alerts: Vec<SmolStr>,
    /// How severe what it is about is; `None` if nothing is wrong.
    pub level: Option<Level>,
}

/// Where mails come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// How to call the program there for the state that a mail is about, ready for a shell.
    pub program: String,
}

impl Host {
    /// Returns a command to be copied; `words` are plain words of the program's own, or pass [`is_shell_word`].
    fn command(&self, words: &str) -> String {
        format!("{} {words}", self.program)
    }
}

/// What a mail contains besides what it is about.
pub struct Context<'a> {
    /// This host.
    pub host: &'a Host,
    /// The mail's date: when it was queued, so that a repeat has the same.
    pub date: Timestamp,
    /// Where the evidence can be read.
    pub files: &'a Files<'a>,
    /// What the token did before, one line each; may be empty.
    pub history: &'a [String],
    /// What the registry states about the principal or token, if the mail is about one.
    pub background: Option<&'a Background>,
}

impl Context<'_> {
    /// Prints the place of a line: `/var/log/nginx/access.log:12345`, with the offset in bytes.
    fn place(&self, origin: Origin) -> String {
        let path = (self.files)(origin.stream).unwrap_or_else(|| "(file unknown)".to_owned());
        format!("{}:{}", safe_within(&path, MAX_PATH), origin.offset)
    }

    /// Assembles a mail. `id` is the part of the message id before the `@`.
    fn mail(&self, id: &str, subject: String, page: &Page) -> Mail {
        Mail {
            message_id: self.message_id(id),
            thread: None,
            date: self.date,
            subject,
            text: page.text(),
            html: page.html(),
            alerts: Vec::new(),
            level: page.level,
        }
    }

    fn message_id(&self, id: &str) -> String {
        let name = &self.host.name;
        let host = if name.is_empty() { "localhost" } else { name };
        format!("<{}@{}>", safe::atom(id), safe::atom(host))
    }

    fn foot(&self) -> String {
        format!("tokenwatch on {}", safe(&self.host.name))
    }
}

/// Makes the mail of `test-mail`, which states that mail works. `id` distinguishes one test from another.
#[must_use]
pub fn test(id: &str, context: &Context<'_>) -> Mail {
    let facts = vec![
        ("Host".to_owned(), safe(&context.host.name)),
        ("Time".to_owned(), context.date.to_words()),
    ];
    let page = Page {
        title: "Mail from tokenwatch works".to_owned(),
        lead: "This is a test. Alerts about unusual use of API tokens arrive the same way."
            .to_owned(),
        parts: vec![Part::Rows("", facts)],
        foot: context.foot(),
        level: None,
    };
    context.mail(&format!("test.{id}"), "[tokenwatch] test mail".to_owned(), &page)
}

/// Makes the mail that reports that the database cannot be used; the context's date is when that began.
#[must_use]
pub fn blocked(why: &str, context: &Context<'_>) -> Mail {
    let facts = vec![
        ("Host".to_owned(), safe(&context.host.name)),
        ("Since".to_owned(), context.date.to_words()),
        ("Error".to_owned(), safe_within(why, MAX_PATH)),
    ];
    let page = Page {
        title: "Tokenwatch cannot use its database".to_owned(),
        lead: "No logs are read until it can. What happens meanwhile is judged afterwards, as far as the logs still \
               contain it; alerts are delayed until then."
            .to_owned(),
        parts: vec![Part::Rows("", facts)],
        foot: context.foot(),
        level: None,
    };
    let subject = "[tokenwatch] the database cannot be used".to_owned();
    context.mail(&format!("blocked.{}", context.date.0), subject, &page)
}

/// Makes of a mail whose text a server refuses one that has the same id and is about the same alerts, without a word
/// that anybody could have chosen by what he sends to the site.
#[must_use]
pub fn bare(mail: &Mail, host: &Host) -> Mail {
    let level = mail.level.map(|level| ("Level".to_owned(), level.to_string()));
    let queued = ("Queued".to_owned(), mail.date.to_words());
    let ids = mail.alerts.iter().filter(|id| is_shell_word(id));
    let show = ids.map(|id| (host.command(&format!("alerts show {id}")), "this alert".into()));
    let list = (host.command("alerts list"), "all alerts, with their ids".into());
    let page = Page {
        title: "Alerts whose text the mail server refused".to_owned(),
        lead: "The mail server accepts this mail only without what the logs say. Nothing is lost: these commands \
               show it."
            .to_owned(),
        parts: vec![
            Part::Rows("", level.into_iter().chain([queued]).collect()),
            Part::Commands("What to do", show.chain([list]).collect()),
        ],
        foot: format!("tokenwatch on {}", safe(&host.name)),
        level: mail.level,
    };
    let level = mail.level.map(|level| format!("{} ", level.as_str().to_uppercase()));
    let title = "alerts whose text the mail server refused";
    let subject = format!("[tokenwatch] {}{title}", level.unwrap_or_default());
    Mail { subject, text: page.text(), html: page.html(), ..mail.clone() }
}

#[cfg(test)]
mod tests;
