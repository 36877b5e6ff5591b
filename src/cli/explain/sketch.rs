//! Sketches a template from one line that no preset reads, as a start for whoever writes one.
//!
//! The line is cut at its separators, quotes and brackets, and each piece is named by what it looks like. The template
//! must read the line; otherwise there is no sketch.

use crate::engine::record::{Format, parse_address, time};
use crate::engine::shape;

/// Longer lines are not rows of columns.
const MAX_LINE: usize = 4096;

/// Characters between the columns of logs.
const SEPARATORS: [char; 5] = [' ', '\t', '|', ';', ','];

/// Characters around columns that contain separators.
const PAIRS: [(char, char); 2] = [('"', '"'), ('[', ']')];

/// Methods of RFC 9110, section 9, and RFC 5789.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// Names of a client before an address, without `_` and `-`. Other names may be a server's.
#[rustfmt::skip]
const CLIENTS: [&str; 17] = [
    "addr", "address", "caller", "client", "clientaddr", "clientip", "from", "ip", "peer", "realip", "remote",
    "remoteaddr", "remotehost", "remoteip", "source", "sourceip", "src",
];

/// The longest name before a `=`.
const MAX_LABEL: usize = 32;

/// Returns a template that reads this line, its time and its target; `None` if none can be guessed.
pub(super) fn sketch(line: &[u8]) -> Option<String> {
    let line = std::str::from_utf8(line).ok().filter(|line| line.len() <= MAX_LINE)?;
    let is_client = |word: &str| {
        let label = label(word);
        label.is_some_and(|(label, value)| is_client(label) && is_address(value))
    };
    let has_client = line.split(SEPARATORS).any(is_client);
    let mut sketch = Sketch { has_client, ..Sketch::default() };
    let mut rest = line;
    while !rest.is_empty() {
        rest = sketch.piece(rest)?;
    }
    let format = Format::nginx(&sketch.template).ok()?;
    let record = format.parse(line.as_bytes()).ok()?;
    (record.time.is_some() && record.target.is_some()).then_some(sketch.template)
}

#[derive(Default)]
struct Sketch<'a> {
    template: String,
    /// The label before the next column, such as `client=`.
    label: &'a str,
    /// An address in the line has a client's label: other addresses are not the client's.
    has_client: bool,
    used: Vec<&'static str>,
    n_others: usize,
}

impl<'a> Sketch<'a> {
    /// Adds the first piece of the text, and returns the rest.
    fn piece(&mut self, text: &'a str) -> Option<&'a str> {
        if let Some((label, rest)) = label(text) {
            self.label = label;
            self.template.push_str(label);
            self.template.push('=');
            return Some(rest);
        }
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
        let name = self.name(text);
        self.label = "";
        match name {
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

    /// Names a column by its content; each name is used once.
    fn name(&self, text: &str) -> Option<&'static str> {
        let is_number = text.bytes().all(|b| b.is_ascii_digit());
        let is_status = is_number && text.len() == 3 && ("100"..="599").contains(&text);
        let is_size = is_number && self.used.contains(&"status");
        let is_agent = text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.contains('/');
        let is_sent = ["Bearer ", "Basic "].iter().any(|scheme| text.starts_with(scheme));
        let looks = [
            (name_of_time(text).unwrap_or("msec"), name_of_time(text).is_some()),
            ("request", is_request(text)),
            ("remote_addr", is_address(text) && is_client(self.label) == self.has_client),
            ("request_method", METHODS.contains(&text)),
            ("request_uri", text.starts_with('/')),
            ("server_protocol", text.starts_with("HTTP/")),
            ("status", is_status),
            ("body_bytes_sent", is_size),
            ("http_referer", text.starts_with("http://") || text.starts_with("https://")),
            ("http_authorization", is_sent),
            ("http_user_agent", is_product(text)),
            ("http_x_api_key", is_key(text)),
            ("http_user_agent", is_agent),
        ];
        let is_free = |name: &str| !self.used.contains(&name);
        looks.into_iter().find(|(name, fits)| *fits && is_free(name)).map(|(name, _)| name)
    }
}

/// Returns the label at the start of the text, as in `client=192.0.2.1`, and the text after its `=`. A later `=`
/// belongs to a query, or to the padding of base64.
fn label(text: &str) -> Option<(&str, &str)> {
    let (label, rest) = text.split_once('=')?;
    let value = rest.split(SEPARATORS).next()?;
    let is_name = label.starts_with(|c: char| c.is_ascii_alphabetic())
        && label.len() <= MAX_LABEL
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b));
    (is_name && !value.is_empty() && !value.contains(['=', '&'])).then_some((label, rest))
}

fn is_client(label: &str) -> bool {
    let bare = label.to_ascii_lowercase().replace(['_', '-'], "");
    CLIENTS.contains(&bare.as_str())
}

fn is_address(text: &str) -> bool {
    parse_address(text.as_bytes()).is_some()
}

/// Returns whether a column may be a key: addresses, times and names of clients may be as long and varied as one.
fn is_key(text: &str) -> bool {
    let is_other = is_address(text) || time::read(text.as_bytes()).is_some() || is_product(text);
    shape::is_secretive(text.as_bytes()) && !is_other && !text.contains(char::is_whitespace)
}

/// Returns whether a text begins like a client's name and version, `grafana-agent/0.40`. In base64, there may be a `/`
/// before a digit, but neither a dot nor a space after it.
fn is_product(text: &str) -> bool {
    let Some((name, version)) = text.split_once('/') else { return false };
    let end = version.trim_start_matches(|c: char| c.is_ascii_digit());
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        && end.len() < version.len()
        && (end.is_empty() || end.starts_with(['.', ' ', '-']))
}

/// Shorter numbers are not seconds since 1970 of any relevant year.
const SHORTEST_TIME: usize = 10;

fn name_of_time(text: &str) -> Option<&'static str> {
    time::read(text.as_bytes()).filter(|_| SHORTEST_TIME <= text.len())?;
    if text.contains('/') {
        return Some("time_local");
    }
    Some(if text.contains('-') { "time_iso8601" } else { "msec" })
}

/// Returns the end of a time with a space in it at the start of the text.
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
    fn an_address_a_number_and_a_date_are_no_keys_and_names_name_a_client() {
        let cases = [
            (
                "2026-03-12T02:00:00Z GET /v1/items 200 client=198.51.100.3 key=exk_5b1f0c92d7a8463e9c0fb7d1264e83a5",
                "$time_iso8601 $request_method $request_uri $status client=$remote_addr key=$http_x_api_key",
            ),
            (
                "2026-03-12T02:00:00Z|/v1/items|server=192.0.2.200|Remote-Addr=\"198.51.100.203\"|2026-03-12T02:00:01.123Z",
                "$time_iso8601|$request_uri|server=$column_1|Remote-Addr=\"$remote_addr\"|$column_2",
            ),
            (
                "2026-03-12T02:00:00Z|/v1/items|peering=198.51.100.203|2001:db8:1234:5678::9abc|12.5|198.51.100.203-203.0.113.254",
                "$time_iso8601|$request_uri|peering=$remote_addr|$column_1|$column_2|$column_3",
            ),
            (
                "2026-03-12T02:00:00Z|/v1/items|a=1&b=2|bGV0dGVycw==",
                "$time_iso8601|$request_uri|$column_1|$column_2",
            ),
        ];
        for (line, template) in cases {
            assert_eq!(sketch(line.as_bytes()).as_deref(), Some(template));
        }
    }

    #[test]
    fn the_name_of_a_client_was_taken_for_a_key() {
        let before =
            "192.0.2.1 [12/Mar/2026:02:13:07 +0000] \"GET /v1 HTTP/1.1\" 0.012 200 900 \"-\"";
        let template = "$remote_addr [$time_local] \"$request\" $column_1 $status $body_bytes_sent \"$column_2\"";
        for agent in [
            "grafana-agent/0.40",
            "Go-http-client/2.0",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/124.0.0.0 Safari/537.36",
            "okhttp/4-SNAPSHOT",
        ] {
            let line = format!("{before} \"{agent}\" \"Bearer abcdefgh12345678\"");
            let expected = format!("{template} \"$http_user_agent\" \"$http_authorization\"");
            assert_eq!(sketch(line.as_bytes()), Some(expected), "{agent}");
            assert!(!is_key(agent), "{agent}");
        }
        let key = "aGVsbG8/9wb3JsZDEyMzQ1Njc4OTBhYmNkZWZnaGlqa2xtbm9w";
        assert!(
            is_key(key)
                && !is_product(key)
                && !is_key("two words 5b1f0c92d7a8463e9c0fb7d1264e83a5")
        );
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
