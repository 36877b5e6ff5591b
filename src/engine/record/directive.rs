//! Extracts a template from its directive, as pasted from a server's configuration.
//!
//! Words and quotes follow nginx ("Beginner's Guide", "Configuration File's Structure") and Apache ("Configuration
//! Files"); the others agree on templates. Escapes inside quotes are left to the template's syntax.

use super::escape::Escape;
use super::template_fault::TemplateFault;

/// The template syntaxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Syntax {
    Nginx,
    Apache,
}

/// A template found in a directive.
#[derive(Debug)]
pub(super) struct Pasted {
    pub(super) syntax: Syntax,
    pub(super) escape: Escape,
    pub(super) text: String,
    /// The position of each of its characters in the pasted text, counted from 1.
    columns: Vec<usize>,
}

impl Pasted {
    /// Maps a fault's column to the pasted text.
    pub(super) fn locate(&self, fault: TemplateFault) -> TemplateFault {
        let at = fault.column.saturating_sub(1);
        let end = self.columns.last().map_or(1, |column| column + 1);
        TemplateFault { column: self.columns.get(at).copied().unwrap_or(end), ..fault }
    }

    fn new(syntax: Syntax, words: &[Word]) -> Self {
        let chars = || words.iter().flat_map(|word| &word.chars);
        Self {
            syntax,
            escape: Escape::Backslash,
            text: chars().map(|(_, char)| char).collect(),
            columns: chars().map(|(column, _)| *column).collect(),
        }
    }
}

/// Finds the template in a directive. Returns `None` if the text is no known directive but a template itself.
pub(super) fn template_of(text: &str) -> Result<Option<Pasted>, TemplateFault> {
    let lead = text.chars().take_while(|c| c.is_whitespace()).count();
    let is_name = |c: &char| !c.is_whitespace() && *c != '=';
    let name: String = text.chars().skip(lead).take_while(is_name).collect();
    let from = lead + name.chars().count();
    let words = |ends_at_semicolon| words(text, from, ends_at_semicolon);
    let column = lead + 1;
    match name.as_str() {
        "log_format" => nginx(&words(Some(';'))?, column).map(Some),
        "log-format" | "log-format-sd" => Err(foreign(column, &name, HAPROXY)),
        "accesslog.format" | "access_log_format" => assigned(&words(None)?, column).map(Some),
        "access_log" => {
            let expected = "the log_format that it names";
            Err(fault(column, &name, expected, "combined has the preset nginx-combined"))
        }
        "varnishncsa" => Ok(option(&words(None)?)),
        _ if name.eq_ignore_ascii_case("LogFormat") => apache(&words(None)?, 0, column).map(Some),
        _ if ["CustomLog", "GlobalLog"].iter().any(|n| name.eq_ignore_ascii_case(n)) => {
            apache(&words(None)?, 1, column).map(Some)
        }
        _ => Ok(None),
    }
}

/// `log_format NAME [escape=default|json|none] STRING...;`: the strings are joined (`ngx_http_log_module`).
fn nginx(words: &[Word], column: usize) -> Result<Pasted, TemplateFault> {
    let mut strings = words.get(1..).unwrap_or_default();
    let mut escape = Escape::Backslash;
    if let Some((word, rest)) = strings.split_first()
        && let Some(chosen) = word.text().strip_prefix("escape=")
    {
        escape = match chosen {
            // JSON escapes are decoded like all other escapes.
            "default" | "json" => Escape::Backslash,
            "none" => Escape::None,
            _ => {
                let expected = "escape=default, escape=json or escape=none";
                return Err(fault(word.column, &word.text(), expected, "see ngx_http_log_module"));
            }
        };
        strings = rest;
    }
    if strings.is_empty() {
        let hint = "copy the directive whole, down to its semicolon";
        return Err(fault(column, "log_format without a format", "a name and a string", hint));
    }
    Ok(Pasted { escape, ..Pasted::new(Syntax::Nginx, strings) })
}

/// `LogFormat FORMAT [NICKNAME]`, `CustomLog FILE FORMAT [...]` (`mod_log_config`). Squid's `logformat NAME FORMAT`
/// is recognised by its name.
fn apache(words: &[Word], at: usize, column: usize) -> Result<Pasted, TemplateFault> {
    let Some(word) = words.get(at) else {
        let hint = "copy the directive whole";
        return Err(fault(column, "no format in the directive", "a string in quotes", hint));
    };
    if word.holds('%') {
        return Ok(Pasted::new(Syntax::Apache, std::slice::from_ref(word)));
    }
    if at == 0 && words.iter().any(|word| word.holds('%')) {
        return Err(foreign(column, "logformat NAME", SQUID));
    }
    let expected = "a format";
    let hint = "it stands in the LogFormat of that name; common and combined are presets too";
    Err(fault(word.column, &format!("the nickname {}", word.text()), expected, hint))
}

/// lighttpd's `accesslog.format = "..."`, Gunicorn's `access_log_format = '...'`: adjacent strings are joined.
fn assigned(words: &[Word], column: usize) -> Result<Pasted, TemplateFault> {
    let strings: Vec<Word> = words.iter().filter(|word| word.is_quoted).cloned().collect();
    if strings.is_empty() {
        let hint = "copy the assignment whole";
        return Err(fault(column, "no format in the assignment", "a string in quotes", hint));
    }
    Ok(Pasted::new(Syntax::Apache, &strings))
}

/// `varnishncsa ... -F FORMAT ...`.
fn option(words: &[Word]) -> Option<Pasted> {
    let at = words.iter().position(|word| word.text() == "-F")?;
    Some(Pasted::new(Syntax::Apache, std::slice::from_ref(words.get(at + 1)?)))
}

const HAPROXY: &str = "name the preset haproxy: it reads option httplog with further fields behind";
const SQUID: &str = "name the preset squid: it reads the native format with further fields behind, common, combined";

fn foreign(column: usize, found: &str, hint: &str) -> TemplateFault {
    fault(column, found, "a format of nginx, Apache, Varnish, lighttpd or Gunicorn", hint)
}

fn fault(column: usize, found: &str, expected: &str, hint: &str) -> TemplateFault {
    let [found, expected, hint] = [found, expected, hint].map(str::to_owned);
    TemplateFault { column, found, expected, hint }
}

/// A word of a directive, without its quotes.
#[derive(Clone, Debug)]
struct Word {
    /// Where it begins, counted from 1.
    column: usize,
    is_quoted: bool,
    /// Its characters and their positions.
    chars: Vec<(usize, char)>,
}

impl Word {
    fn text(&self) -> String {
        self.chars.iter().map(|(_, char)| char).collect()
    }

    fn holds(&self, wanted: char) -> bool {
        self.chars.iter().any(|(_, char)| *char == wanted)
    }
}

/// Splits the text after a directive's name into words, up to the end of the directive. A backslash at the end of a
/// line joins it with the next one; `#` at the start of a word begins a comment.
fn words(text: &str, from: usize, end: Option<char>) -> Result<Vec<Word>, TemplateFault> {
    let mut words = Vec::new();
    let mut chars = text.chars().enumerate().skip(from).peekable();
    while let Some((at, first)) = chars.next() {
        let mut word = Word { column: at + 1, is_quoted: false, chars: Vec::new() };
        match first {
            first if first.is_whitespace() => continue,
            first if Some(first) == end => break,
            // Signs of an assignment; nginx has none.
            '=' | '(' | ')' if end.is_none() => continue,
            '#' => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            '\\' if chars.next_if(|(_, c)| *c == '\n').is_some() => continue,
            '"' | '\'' => {
                word.is_quoted = true;
                if !quoted(&mut chars, first, &mut word.chars) {
                    let hint = "copy the directive whole";
                    return Err(fault(at + 1, "a quote that does not close", "its end", hint));
                }
            }
            first => {
                word.chars.push((at + 1, first));
                let is_inside = |c: char| !c.is_whitespace() && Some(c) != end;
                while let Some((at, char)) = chars.next_if(|(_, c)| is_inside(*c)) {
                    word.chars.push((at + 1, char));
                }
            }
        }
        words.push(word);
    }
    Ok(words)
}

/// Reads up to the closing quote; `false` if there is none.
fn quoted(
    chars: &mut impl Iterator<Item = (usize, char)>,
    quote: char,
    into: &mut Vec<(usize, char)>,
) -> bool {
    while let Some((at, char)) = chars.next() {
        if char == quote {
            return true;
        }
        if char != '\\' {
            into.push((at + 1, char));
            continue;
        }
        let Some((next, escaped)) = chars.next() else { return false };
        if escaped != '\n' {
            into.extend([(at + 1, char), (next + 1, escaped)]);
        }
    }
    false
}
