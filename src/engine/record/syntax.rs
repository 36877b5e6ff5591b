//! The two template syntaxes, nginx's `log_format` and Apache's `LogFormat`: splits a string into literals and
//! variables.

use std::iter::{Enumerate, Peekable};
use std::str::Chars;

use super::draft::{Part, Slot};
use super::strftime::Pattern;
use super::template_fault::TemplateFault;
use super::variables;

/// A piece of a template.
pub(super) enum Piece {
    Literal(Vec<u8>),
    Variable(Variable),
}

/// A variable of a template.
pub(super) struct Variable {
    /// As written in the template.
    pub(super) name: String,
    /// The character at which it begins, counted from 1.
    pub(super) column: usize,
    pub(super) slot: Slot,
    pub(super) rank: u8,
    /// How Apache's time is printed; `None` for other variables and for a time that cannot be parsed.
    pub(super) pattern: Option<Pattern>,
}

/// Strips the template syntax from a variable: `$tw_id`, `%{TW_ID}e`.
pub(super) fn bare_name(name: &str) -> &str {
    let braced = name.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    braced.map_or_else(|| name.trim_start_matches(['$', '%']), |(inner, _)| inner)
}

/// Returns whether a template is in nginx's syntax.
pub(super) fn is_nginx(template: &str) -> bool {
    let mut chars = template.chars();
    let is_start = |c: char| c == '{' || c.is_ascii_alphabetic() || c == '_';
    chars.clone().zip(chars.by_ref().skip(1)).any(|(a, b)| a == '$' && is_start(b))
}

/// Splits an nginx template into literals and `$variable` or `${variable}`.
pub(super) fn nginx_pieces(template: &str) -> Result<Vec<Piece>, TemplateFault> {
    let mut splitter = Splitter::new(template);
    while let Some(column) = splitter.text_before('$') {
        let is_braced = splitter.take('{');
        let name = splitter.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
        let is_closed = !is_braced || splitter.take('}');
        if name.is_empty() || !is_closed {
            return Err(TemplateFault {
                column,
                found: "'$' without a whole variable name".to_owned(),
                expected: "$name or ${name}".to_owned(),
                hint: "nginx cannot print a bare '$'; check that the string was copied whole"
                    .to_owned(),
            });
        }
        let (slot, rank) = variables::nginx(&name);
        let name = format!("${name}");
        splitter.variable(Variable { name, column, slot, rank, pattern: None });
    }
    Ok(splitter.end())
}

/// Splits an Apache template into literals and `%...` directives.
pub(super) fn apache_pieces(template: &str) -> Result<Vec<Piece>, TemplateFault> {
    let mut splitter = Splitter::new(template);
    while let Some(column) = splitter.text_before('%') {
        let Directive { letter, argument } = splitter.directive();
        if letter == Some('%') {
            splitter.text.push('%');
            continue;
        }
        let name = splitter.since(column);
        let meaning = letter.and_then(|letter| variables::apache(letter, argument.as_deref()));
        let is_foreign = argument.is_none() && splitter.is_long(letter);
        let Some((slot, mut rank)) = meaning.filter(|_| !is_foreign) else {
            return Err(unknown_directive(name, column));
        };
        if slot == Slot::Part(Part::Status) && name.contains('>') {
            // The client received the final status, not the one before an internal redirect (`mod_log_config`).
            rank += 1;
        }
        let pattern = (slot == Slot::Part(Part::Time))
            .then(|| Pattern::compile(argument.as_deref().unwrap_or_default()))
            .flatten();
        let is_plain = matches!(argument.as_deref(), None | Some("" | "begin:" | "end:"));
        let is_bracketed = letter == Some('t') && is_plain;
        splitter.text.push_str(if is_bracketed { "[" } else { "" });
        splitter.variable(Variable { name, column, slot, rank, pattern });
        splitter.text.push_str(if is_bracketed { "]" } else { "" });
    }
    Ok(splitter.end())
}

fn unknown_directive(name: String, column: usize) -> TemplateFault {
    TemplateFault {
        column,
        found: if name.len() > 1 { name } else { "'%' at the end".to_owned() },
        expected: "a directive of LogFormat".to_owned(),
        hint: "see mod_log_config, %% is a percent sign; formats of Squid, HAProxy, uWSGI have presets: squid, haproxy, \
             uwsgi"
            .to_owned(),
    }
}

/// An Apache directive.
struct Directive {
    letter: Option<char>,
    /// The text in braces.
    argument: Option<String>,
}

impl Directive {
    /// Translates the name in Gunicorn's `%(...)s` ("Settings", `access_log_format`).
    fn of_gunicorn(name: &str) -> Self {
        let argued = name.strip_prefix('{').and_then(|rest| rest.split_once('}'));
        let (argument, letter) = argued.map_or((None, name), |(name, letter)| (Some(name), letter));
        let mut chars = letter.chars();
        let letter = chars.next().filter(|_| chars.next().is_none());
        let (letter, argument) = match (letter, argument) {
            (Some('f'), None) => (Some('i'), Some("Referer")),
            (Some('a'), None) => (Some('i'), Some("User-Agent")),
            (Some('M'), None) => (Some('D'), None),
            other => other,
        };
        Self { letter, argument: argument.map(str::to_owned) }
    }
}

/// Walks through a template and collects its pieces.
struct Splitter<'a> {
    template: &'a str,
    chars: Peekable<Enumerate<Chars<'a>>>,
    /// The literal being read.
    text: String,
    pieces: Vec<Piece>,
}

impl<'a> Splitter<'a> {
    fn new(template: &'a str) -> Self {
        let chars = template.chars().enumerate().peekable();
        Self { template, chars, text: String::new(), pieces: Vec::new() }
    }

    /// Reads a literal up to a sign, consumes the sign, and returns its column, counted from 1.
    fn text_before(&mut self, sign: char) -> Option<usize> {
        while let Some((at, char)) = self.chars.next() {
            match char {
                '\\' => self.escape(),
                char if char == sign => return Some(at + 1),
                char => self.text.push(char),
            }
        }
        None
    }

    /// Decodes `\"`, `\\`, `\t`, `\n` as a configuration file does; any other backslash is literal.
    fn escape(&mut self) {
        let escaped = self.chars.next_if(|(_, c)| matches!(c, '"' | '\\' | 't' | 'n' | '\''));
        self.text.push(match escaped {
            Some((_, 't')) => '\t',
            Some((_, 'n')) => '\n',
            Some((_, char)) => char,
            None => '\\',
        });
    }

    /// Parses a directive of Apache or Gunicorn after its percent sign.
    fn directive(&mut self) -> Directive {
        if self.take('(') {
            let name = self.take_while(|c| c != ')');
            let is_whole = self.take(')') && self.take('s');
            return Directive::of_gunicorn(if is_whole { &name } else { "" });
        }
        // Modifiers: a list of statuses, `!` before it, `<` and `>` for the original or the final request.
        self.take_while(|c| c.is_ascii_digit() || matches!(c, '!' | ',' | '<' | '>'));
        let argument = self.take('{').then(|| self.take_while(|c| c != '}'));
        if argument.is_some() {
            self.take('}');
        }
        self.take_while(|c| matches!(c, '<' | '>'));
        let mut letter = self.next();
        if letter == Some('^') {
            // Trailers are headers that arrive after the body; `^FB` and `^FU` are durations.
            letter = match (self.next(), self.next()) {
                (Some('t'), Some(kind @ ('i' | 'o'))) => Some(kind),
                (Some('F'), Some('B' | 'U')) => Some('D'),
                _ => None,
            };
        }
        Directive { letter, argument }
    }

    /// Returns whether a letter begins a longer name, as in Squid and HAProxy: `%ts`, `%rm`, `%ST`.
    fn is_long(&mut self, letter: Option<char>) -> bool {
        matches!(letter, Some('t' | 'r' | 'u' | 's' | 'H' | 'S'))
            && self.chars.peek().is_some_and(|(_, next)| next.is_ascii_alphabetic())
    }

    fn next(&mut self) -> Option<char> {
        self.chars.next().map(|(_, char)| char)
    }

    fn take(&mut self, wanted: char) -> bool {
        self.chars.next_if(|(_, char)| *char == wanted).is_some()
    }

    fn take_while(&mut self, is_wanted: impl Fn(char) -> bool) -> String {
        std::iter::from_fn(|| self.chars.next_if(|(_, char)| is_wanted(*char)))
            .map(|(_, char)| char)
            .collect()
    }

    /// Returns the text read since a column.
    fn since(&mut self, column: usize) -> String {
        let end = self.chars.peek().map_or(usize::MAX, |(at, _)| *at);
        self.template.chars().take(end).skip(column - 1).collect()
    }

    fn variable(&mut self, variable: Variable) {
        self.end_text();
        self.pieces.push(Piece::Variable(variable));
    }

    fn end_text(&mut self) {
        if !self.text.is_empty() {
            self.pieces.push(Piece::Literal(std::mem::take(&mut self.text).into_bytes()));
        }
    }

    fn end(mut self) -> Vec<Piece> {
        self.end_text();
        self.pieces
    }
}
