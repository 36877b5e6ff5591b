//! Log messages: to the journal where there is one, else as text or JSON to standard error.

use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

/// How log messages look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// The journal if standard error leads there, else text.
    #[default]
    Auto,
    /// Text for people.
    Text,
    /// One JSON object a message.
    Json,
}

/// Starts logging, once. `steps` is how often `-v` was given, negative for `-q`; `filter`, in the
/// language of `tracing`'s `EnvFilter`, overrides it.
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
    // A second call finds a subscriber in place: the first one stays.
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
            Err(_) => Box::new(plain),
        },
        LogFormat::Auto | LogFormat::Text => Box::new(plain),
    }
}

/// systemd sets `JOURNAL_STREAM` to the device and inode of the standard error that it gave; if ours
/// is another by now, it was redirected (systemd.exec(5)).
fn leads_to_journal() -> bool {
    #[allow(clippy::disallowed_methods, reason = "set by systemd, no setting of ours")]
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else { return false };
    let Ok(meta) = std::fs::metadata("/dev/stderr") else { return false };
    stream == format!("{}:{}", meta.dev(), meta.ino())
}
