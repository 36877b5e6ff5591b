//! All output of commands, made safe for a terminal: text from logs cannot move the cursor.

use std::fmt::{self, Write as _};
use std::io::{self, BufWriter, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;
use serde_json::{Map, Value as Json};

use crate::cli::args::When;
use crate::engine::alert::Level;
pub use crate::engine::numbers::{counted, counted_as, number, size};
use crate::engine::time::{DAY, HOUR, MINUTE, Timestamp};
use crate::engine::visible::is_visible;
use crate::telemetry::write_safe;

/// Size of the output buffer.
const BUFFER: usize = 64 * 1024;

/// The output of a command: standard output, once flushed or dropped.
pub struct Printer {
    /// Buffered: printing a log of millions of lines one by one would cost a system call each.
    out: BufWriter<io::Stdout>,
    /// The JSON of one line; kept to reuse its memory.
    json: Vec<u8>,
    /// Styles are removed.
    is_plain: bool,
    is_json: bool,
}

impl Printer {
    /// Makes the printer of a command.
    #[must_use]
    pub fn new(color: When, is_json: bool) -> Self {
        let choice = match color {
            When::Auto => anstream::AutoStream::choice(&io::stdout()),
            When::Always => anstream::ColorChoice::Always,
            When::Never => anstream::ColorChoice::Never,
        };
        let out = BufWriter::with_capacity(BUFFER, io::stdout());
        Self { out, json: Vec::new(), is_plain: choice == anstream::ColorChoice::Never, is_json }
    }

    /// Returns whether JSON was requested.
    #[must_use]
    pub const fn is_json(&self) -> bool {
        self.is_json
    }

    /// Prints a line of the program's own text, which may contain styles. Text from logs must be wrapped in [`Safe`].
    ///
    /// # Errors
    /// Those of the system; the kind of a closed pipe is `BrokenPipe`.
    pub fn line(&mut self, text: impl fmt::Display) -> io::Result<()> {
        if !self.is_plain {
            return writeln!(self.out, "{text}");
        }
        writeln!(self.out, "{}", anstream::adapter::strip_str(&text.to_string()))
    }

    /// Prints one JSON object on a line, with control and bidirectional characters escaped.
    ///
    /// # Errors
    /// Those of the system.
    pub fn json(&mut self, value: &impl Serialize) -> io::Result<()> {
        let Self { out, json, .. } = self;
        json.clear();
        serde_json::to_writer(&mut *json, value)?;
        // All plain ASCII, as nearly always: below DEL; JSON escapes what is below a space.
        if json.iter().copied().fold(0, u8::max) < 0x7f {
            json.push(b'\n');
            return out.write_all(json);
        }
        let text = std::str::from_utf8(json).map_err(io::Error::other)?;
        writeln!(out, "{}", JsonSafe(text))
    }

    /// Writes the buffer.
    ///
    /// # Errors
    /// Those of the system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Prints a named value, unless it is empty.
///
/// # Errors
/// Those of the system.
pub fn field(printer: &mut Printer, name: &str, value: impl AsRef<str>) -> io::Result<()> {
    match value.as_ref().trim() {
        "" => Ok(()),
        value => printer.line(format_args!("  {name:<11} {}", Safe(value))),
    }
}

/// Displays text from logs: characters that could change the screen become `\xNN` or `\u{...}`.
#[derive(Clone, Copy, Debug)]
pub struct Safe<T>(pub T);

impl<T: AsRef<str>> fmt::Display for Safe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_safe(f, self.0.as_ref())
    }
}

/// Returns text from logs in a form that is safe to show.
#[must_use]
pub fn safe(text: impl AsRef<str>) -> String {
    Safe(text).to_string()
}

/// JSON escapes the C0 controls; the other characters that are not visible become `\uNNNN`.
pub(super) struct JsonSafe<'a>(pub(super) &'a str);

impl fmt::Display for JsonSafe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if is_visible(c) {
                f.write_char(c)?;
            } else {
                let mut units = [0; 2];
                c.encode_utf16(&mut units).iter().try_for_each(|u| write!(f, "\\u{u:04x}"))?;
            }
        }
        Ok(())
    }
}

/// The narrowest column that text is wrapped into.
const NARROWEST: usize = 20;

/// Wraps text into lines of at most `width` characters: between words, or within a longer word.
#[must_use]
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(NARROWEST);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        while !rest.is_empty() {
            let gap = usize::from(used > 0);
            let fits = used + gap + rest.len() <= width;
            if !fits && used > 0 {
                lines.push(String::new());
                used = 0;
                continue;
            }
            let taken: String = rest.drain(..rest.len().min(width)).collect();
            if let Some(line) = lines.last_mut() {
                line.extend((gap > 0).then_some(' '));
                line.push_str(&taken);
            }
            used += gap + taken.chars().count();
        }
    }
    lines
}

/// Returns a JSON object of the fields that are [`known`].
#[must_use]
pub fn object<const N: usize>(fields: [(&str, Json); N]) -> Json {
    let mut object = Json::Object(Map::new());
    extend(&mut object, known(fields));
    object
}

/// Returns the fields without the unknown ones: null, empty text and empty objects.
pub fn known<const N: usize>(fields: [(&str, Json); N]) -> impl Iterator<Item = (&str, Json)> {
    let is_known = |value: &Json| match value {
        Json::Null => false,
        Json::String(text) => !text.is_empty(),
        Json::Object(fields) => !fields.is_empty(),
        _ => true,
    };
    fields.into_iter().filter(move |(_, value)| is_known(value))
}

/// Adds fields to a JSON object, in the place of those of the same name.
pub fn extend<'a>(object: &mut Json, fields: impl IntoIterator<Item = (&'a str, Json)>) {
    if let Some(all) = object.as_object_mut() {
        all.extend(fields.into_iter().map(|(name, value)| (name.to_owned(), value)));
    }
}

/// Returns an instant as RFC 3339 in JSON; null for none.
#[must_use]
pub fn time(time: impl Into<Option<Timestamp>>) -> Json {
    time.into().map_or(Json::Null, |time| Json::String(time.to_string()))
}

/// Returns the colour of a level.
#[must_use]
pub const fn style(level: Level) -> Style {
    match level {
        Level::Critical => AnsiColor::Red.on_default().bold(),
        Level::High => AnsiColor::Red.on_default(),
        Level::Medium => AnsiColor::Yellow.on_default(),
        Level::Low => AnsiColor::Cyan.on_default(),
        Level::Informational => AnsiColor::BrightBlack.on_default(),
    }
}

/// Returns a level in its colour, padded to `width`.
#[must_use]
pub fn level(level: Level, width: usize) -> String {
    let style = style(level);
    format!("{style}{:<width$}{style:#}", level.as_str())
}

/// Returns text in bold.
#[must_use]
pub fn bold(text: impl fmt::Display) -> String {
    let bold = Style::new().bold();
    format!("{bold}{text}{bold:#}")
}

/// `2026-03-12 02:13Z`: to the minute in UTC, for tables and lists; elsewhere [`Timestamp::to_words`].
#[must_use]
pub fn minute(time: Timestamp) -> String {
    time.to_chrono().format("%Y-%m-%d %H:%MZ").to_string()
}

/// `3 h ago`, `in 2 d`, `now`.
#[must_use]
pub fn ago(time: Timestamp, now: Timestamp) -> String {
    let micros = now.since(time);
    let size = micros.saturating_abs();
    let text = if size < MINUTE {
        return "now".to_owned();
    } else if size < HOUR {
        format!("{} min", size / MINUTE)
    } else if size < DAY {
        format!("{} h", size / HOUR)
    } else {
        format!("{} d", size / DAY)
    };
    if micros > 0 { format!("{text} ago") } else { format!("in {text}") }
}

/// Prints a remark for people to standard error. If nobody reads it, the command goes on and ends as it would have.
pub fn say(remark: impl fmt::Display) {
    writeln!(anstream::stderr(), "{remark}").ok();
}

/// Prints a warning to standard error.
pub fn warn(of: impl fmt::Display) {
    say(format_args!("warning: {of}"));
}

/// Warns on standard error that a list has reached its limit and may have more; JSON output cannot show that.
pub fn say_limit(n_shown: usize, limit: u32) {
    if u32::try_from(n_shown).is_ok_and(|n| limit <= n) {
        say(format_args!("{} shown; -n for more", number(limit.into())));
    }
}

/// Draws values as blocks of eight heights, scaled to the highest value.
#[must_use]
pub fn sparkline(values: &[u64]) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = values.iter().copied().max().unwrap_or_default().max(1);
    let block = |value: &u64| {
        let height = usize::try_from(u128::from(*value) * 8 / u128::from(most)).unwrap_or(7);
        if *value == 0 { ' ' } else { BLOCKS.get(height.min(7)).copied().unwrap_or('█') }
    };
    values.iter().map(block).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_from_logs_cannot_move_the_cursor_or_reorder_the_line() {
        assert_eq!(safe("a\x1b[2Jb\r\n\tc"), "a\\x1b[2Jb\\x0d\\x0a\\x09c");
        assert_eq!(safe("x\u{202e}y\u{9b}z\u{200b}"), "x\\u{202e}y\\u{9b}z\\u{200b}");
        assert_eq!(safe("Grüße 北京 ok"), "Grüße 北京 ok");
    }

    #[test]
    fn what_has_no_shape_was_shown_as_nothing() {
        for (hidden, shown) in [('\u{3164}', "3164"), ('\u{2800}', "2800"), ('\u{e000}', "e000")] {
            assert_eq!(safe(format!("ci{hidden}")), format!("ci\\u{{{shown}}}"));
            assert_eq!(JsonSafe(&hidden.to_string()).to_string(), format!("\\u{shown}"));
        }
    }

    #[test]
    fn json_says_the_same_when_it_is_safe() {
        let text = serde_json::to_string("a\u{202e}b\u{e0041}\x1b").unwrap();
        let shown = JsonSafe(&text).to_string();
        assert!(shown.is_ascii());
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), "a\u{202e}b\u{e0041}\x1b");
    }

    #[test]
    fn only_known_fields_make_an_object_and_any_field_extends_it() {
        let unknown = [Json::Null, json!(""), json!({})];
        let [null, text, fields] = unknown.clone();
        let mut made =
            object([("a", null), ("b", text), ("c", fields), ("d", json!([])), ("e", json!(0))]);
        assert_eq!(made, json!({"d": [], "e": 0}));
        let [null, text, _] = unknown;
        extend(&mut made, [("a", null), ("d", text)]);
        extend(&mut made, None);
        assert_eq!(made, json!({"a": null, "d": "", "e": 0}));
    }

    #[test]
    fn text_is_wrapped_between_words_and_long_words_are_cut() {
        let lines = wrapped("550 5.7.1 the message was refused by mx.example.org", 20);
        assert_eq!(lines, ["550 5.7.1 the", "message was refused", "by mx.example.org"]);
        let lines = wrapped(&"é".repeat(45), 20);
        assert_eq!(lines.iter().map(|line| line.chars().count()).collect::<Vec<_>>(), [20, 20, 5]);
        assert_eq!(wrapped("a bc", 0), ["a bc"]);
    }

    #[test]
    fn hours_and_ages_are_for_people() {
        assert_eq!(sparkline(&[0, 1, 4, 8]), " ▂▅█");
        let noon = Timestamp::from_seconds(43_200);
        assert_eq!(ago(noon, noon.plus(3 * HOUR)), "3 h ago");
        assert_eq!(ago(noon.plus(2 * DAY), noon), "in 2 d");
    }
}
