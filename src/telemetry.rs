//! Log messages: to the journal if available, else as text or JSON to standard error.

use std::error::Error;
use std::fmt::{self, Debug};
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::{DefaultFields, DefaultVisitor, Writer};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::engine::visible::is_visible;

/// The form of log messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// The journal if standard error is connected to it, else text.
    #[default]
    Auto,
    /// Human-readable text.
    Text,
    /// One JSON object per message.
    Json,
}

/// Starts logging, once. `steps` is the number of `-v` options, negative for `-q`; `filter`, in the syntax of
/// `tracing`'s `EnvFilter`, overrides it.
pub fn init(format: LogFormat, steps: i8, filter: Option<&str>) {
    let level = match steps {
        ..=-2 => LevelFilter::ERROR,
        -1 => LevelFilter::WARN,
        0 => LevelFilter::INFO,
        1 => LevelFilter::DEBUG,
        2.. => LevelFilter::TRACE,
    };
    let filter = EnvFilter::builder()
        .with_default_directive(level.into())
        .parse_lossy(filter.unwrap_or_default());
    let layer = layer(format).with_filter(filter);
    // A second call finds a subscriber and leaves it in place.
    tracing_subscriber::registry().with(layer).try_init().ok();
}

fn layer(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let plain = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false);
    match format {
        LogFormat::Json => Box::new(plain.json()),
        LogFormat::Auto if leads_to_journal() => match tracing_journald::layer() {
            Ok(journal) => Box::new(journal),
            Err(_) => Box::new(plain.fmt_fields(TextFields::default())),
        },
        LogFormat::Auto | LogFormat::Text => Box::new(plain.fmt_fields(TextFields::default())),
    }
}

/// The one field whose value is already in its message: an alert's. Fields of other messages have other names.
const SAID: &str = "reason";

/// The fields of a message as text, without those that the message already contains. In JSON and the journal, fields
/// serve for searching; in text the same words would occur twice.
#[derive(Debug, Default)]
struct TextFields(DefaultFields);

impl<'a> MakeVisitor<Writer<'a>> for TextFields {
    type Visitor = Unsaid<DefaultVisitor<'a>>;

    fn make_visitor(&self, writer: Writer<'a>) -> Self::Visitor {
        Unsaid(self.0.make_visitor(writer))
    }
}

/// Passes on all fields except [`SAID`], made safe to show. Numbers and similar values are passed as `Debug`, as the
/// inner visitor receives them.
struct Unsaid<V>(V);

impl<V: Visit> Visit for Unsaid<V> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() != SAID {
            // The inner visitor quotes and escapes it.
            self.0.record_str(field, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.record_debug(field, &Shown(value));
    }
}

/// A value made safe to show: file names, and messages about them, may contain anything.
struct Shown<'a>(&'a dyn Debug);

impl Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_safe(f, &format!("{:?}", self.0))
    }
}

/// Writes untrusted text: characters that could change the screen become `\xNN` or `\u{...}`.
///
/// # Errors
/// Returns the error of `out`.
pub fn write_safe(out: &mut impl fmt::Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        c if c.is_ascii_control() => write!(out, "\\x{:02x}", u32::from(c)),
        c if !is_visible(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
        c => out.write_char(c),
    })
}

impl<V: VisitOutput<fmt::Result>> VisitOutput<fmt::Result> for Unsaid<V> {
    fn finish(self) -> fmt::Result {
        self.0.finish()
    }
}

impl<V: VisitFmt> VisitFmt for Unsaid<V> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        self.0.writer()
    }
}

/// Returns whether standard error is the journal. systemd sets `JOURNAL_STREAM` to the device and inode of the standard
/// error that it provided; if ours is a different one, it was redirected (systemd.exec(5)).
fn leads_to_journal() -> bool {
    #[expect(clippy::disallowed_methods, reason = "set by systemd, no setting of ours")]
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(meta) = std::fs::metadata("/dev/stderr") else { return false };
    stream == format!("{}:{}", meta.dev(), meta.ino())
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what the log contains for what `say` logs.
    fn said(say: impl FnOnce()) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .fmt_fields(TextFields::default())
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, say);
        let bytes = log.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_name_of_a_file_forged_a_line_of_the_log() {
        let name = "b\u{1b}[31m\n2026-11-27 ERROR forged\u{202e}.log";
        let text = said(|| {
            let (path, error) = (Path::new(name).display(), io::Error::other(name));
            let fault: &(dyn Error + 'static) = &error;
            tracing::warn!(%path, fault, named = name, "{name} is away");
        });
        let shown = r"b\x1b[31m\x0a2026-11-27 ERROR forged\u{202e}.log";
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.trim_end().chars().all(is_visible), "{text}");
        for part in [format!("{shown} is away"), format!("path={shown}"), format!("fault={shown}")]
        {
            assert!(text.contains(&part), "{part} in {text}");
        }
    }

    #[test]
    fn a_text_says_the_reason_of_an_alert_once_and_all_else() {
        let text = said(|| {
            let (reason, error) = ("a new country", io::Error::other("full"));
            let error: &(dyn Error + 'static) = &error;
            tracing::info!(rule = "new-country", risk = 7, error, reason, "ci: {reason}");
        });
        let end = "ci: a new country rule=\"new-country\" risk=7 error=full\n";
        assert!(text.ends_with(end), "{text}");
    }
}
