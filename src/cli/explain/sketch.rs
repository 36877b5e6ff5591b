//! Sketches a template from one line that no preset reads: a beginning for whoever has to write it.
//!
//! The line is cut at its separators, quotes and brackets, and each piece is named by what it looks like. What
//! comes of it is tried on the line: a sketch that does not read it is none.

use crate::engine::record::{Format, parse_address, time};
use crate::engine::shape;

/// Longer lines are no rows of columns.
const MAX_LINE: usize = 4096;

/// What stands between the columns of logs.
const SEPARATORS: [char; 5] = [' ', '\t', '|', ';', ','];

/// What stands around columns that hold separators.
const PAIRS: [(char, char); 2] = [('"', '"'), ('[', ']')];

/// Methods of RFC 9110, section 9, and RFC 5789.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Returns a template that reads this line, its time and its target; `None` if none can be guessed.
pub(super) fn sketch(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.len() <= MAX_LINE)?;
    let mut sketch = Sketch::default();
    let mut rest = line;
    while !rest.is_empty() {
        rest = sketch.piece(rest)?;
    }
    let format = Format::nginx(&sketch.template).ok()?;
    let record = format.parse(line.as_bytes()).ok()?;
    (record.time.is_some() && record.target.is_some()).then_some(sketch.template)
}

#[derive(Default)]
struct Sketch {
    template: String,
    used: Vec<&'static str>,
    n_others: usize,
}

impl Sketch {
    /// Adds what the text begins with, and returns what follows.
    fn piece<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        for (open, close) in PAIRS {
            if let Some((inside, rest)) = text.strip_prefix(open).and_then(|t| t.split_once(close))
            {
                self.template.push(open);
                self.column(inside);
                self.template.push(close);
                return Some(rest);
            }
        }
        let end = end_of_time(text).or_else(|| text.find(SEPARATORS)).unwrap_or(text.len());
        if end == 0 {
            let separator = text.chars().next()?;
            self.template.push(separator);
            return text.strip_prefix(separator);
        }
        let (word, rest) = text.split_at_checked(end)?;
        self.column(word);
        Some(rest)
    }

    fn column(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.template.push('$');
        match self.name(text) {
            Some(name) => {
                self.used.push(name);
                self.template.push_str(name);
            }
            None => {
                self.n_others += 1;
                self.template.push_str(&format!("column_{}", self.n_others));
            }
        }
    }

    /// Names a column by what it holds; a name is given once.
    fn name(&self, text: &str) -> Option<&'static str> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let is_status = is_number && text.len() == 3 && ("100"..="599").contains(&text);
        let is_size = is_number && self.used.contains(&"status");
        let is_agent = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.contains('/');
        let is_sent = ["Bearer ", "Basic "].iter().any(|scheme| text.starts_with(scheme));
        let looks = [
            (name_of_time(text).unwrap_or("msec"), name_of_time(text).is_some()),
            ("request", is_request(text)),
            ("remote_addr", parse_address(text.as_bytes()).is_some()),
            ("request_method", METHODS.contains(&text)),
            ("request_uri", text.starts_with('/')),
            ("server_protocol", text.starts_with("HTTP/")),
            ("status", is_status),
            ("body_bytes_sent", is_size),
            ("http_referer", text.starts_with("http://") || text.starts_with("https://")),
            ("http_authorization", is_sent),
            ("http_x_api_key", shape::is_secretive(text.as_bytes())),
            ("http_user_agent", is_agent),
        ];
        let is_free = |name: &str| !self.used.contains(&name);
        looks.into_iter().find(|(name, fits)| *fits && is_free(name)).map(|(name, _)| name)
    }
}

/// Shorter numbers are no seconds since 1970 of any year of interest.
const SHORTEST_TIME: usize = 10;

fn name_of_time(text: &str) -> Option<&'static str> {
    time::read(text.as_bytes()).filter(|_| SHORTEST_TIME <= text.len())?;
    if text.contains('/') {
        return Some("time_local");
    }
    Some(if text.contains('-') { "time_iso8601" } else { "msec" })
}

/// Returns where a time ends that the text begins with and that has a space in it.
fn end_of_time(text: &str) -> Option<usize> {
    let (date, rest) = text.split_once(' ')?;
    let clock = rest.split(SEPARATORS).next()?;
    let (both, _) = text.split_at_checked(date.len() + 1 + clock.len())?;
    name_of_time(both).filter(|_| name_of_time(date).is_none()).map(|_| both.len())
}

fn is_request(text: &str) -> bool {
    let mut words = text.split(' ');
    words.next().is_some_and(|method| METHODS.contains(&method))
        && words.next().is_some()
        && words.next().is_some_and(|version| version.starts_with("HTTP/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_by_what_they_hold() {
        let cases = [
            (
                "2026-03-12T02:00:00Z|api7|192.0.2.1|GET|/v1/items/0|404|17|0.004|exk_5b1f0c92d7a8463e9c0fb7d1264e83a5|curl/8.5.0",
                "$time_iso8601|$column_1|$remote_addr|$request_method|$request_uri|$status|$body_bytes_sent|$column_2|$http_x_api_key|$http_user_agent",
            ),
            (
                "192.0.2.1 [12/Mar/2026:02:13:07 +0000] 0.004 200 \"GET /v1 HTTP/1.1\" 17 \"Bearer abcdefgh12345678\"",
                "$remote_addr [$time_local] $column_1 $status \"$request\" $body_bytes_sent \"$http_authorization\"",
            ),
            (
                "2026-03-12 02:13:07,203.0.113.9,POST,/v1/x?a=1,200,15,Mozilla/5.0 (X11)",
                "$time_iso8601,$remote_addr,$request_method,$request_uri,$status,$body_bytes_sent,$http_user_agent $column_1",
            ),
        ];
        for (line, template) in cases {
            assert_eq!(sketch(line.as_bytes()).as_deref(), Some(template));
        }
    }

    #[test]
    fn a_line_without_time_or_target_gives_no_sketch() {
        for line in ["", "no request at all", "192.0.2.1|GET|/v1|200", "{\"a\":1}", "\u{fffd}|$x|["]
        {
            assert_eq!(sketch(line.as_bytes()), None, "{line}");
        }
        assert_eq!(sketch(&[b'|'; MAX_LINE + 1]), None);
        assert_eq!(sketch(b"\xff|2026-03-12T02:00:00Z|/v1"), None);
    }
}
