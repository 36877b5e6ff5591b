//! The two syntaxes of templates, nginx' `log_format` and Apache's `LogFormat`: splits a string into literals
//! and variables.

use super::draft::Slot;
use super::template::TemplateFault;
use super::variables;

/// A stretch of a template.
pub(super) enum Piece {
    Literal(Vec<u8>),
    Variable { slot: Slot, rank: u8, name: String, column: usize },
}

/// Takes the signs of the template's syntax off a variable: `$tw_id`, `%{TW_ID}e`.
pub(super) fn bare_name(name: &str) -> &str {
    let braced = name.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    braced.map_or_else(|| name.trim_start_matches(['$', '%']), |(inner, _)| inner)
}

/// Says whether a template is in nginx' syntax.
pub(super) fn is_nginx(template: &str) -> bool {
    let mut chars = template.chars();
    let is_start = |c: char| c == '{' || c.is_ascii_alphabetic() || c == '_';
    chars.clone().zip(chars.by_ref().skip(1)).any(|(a, b)| a == '$' && is_start(b))
}

/// Splits an nginx template into literals and `$variable` or `${variable}`.
pub(super) fn nginx_pieces(template: &str) -> Result<Vec<Piece>, TemplateFault> {
    let mut pieces = Vec::new();
    let mut chars = template.chars().enumerate().peekable();
    let mut text = String::new();
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            push_escape(
                &mut text,
                chars.next_if(|(_, c)| matches!(c, '"' | '\\' | 't' | 'n' | '\'')),
            );
            continue;
        }
        if char != '$' {
            text.push(char);
            continue;
        }
        let is_braced = chars.next_if(|(_, c)| *c == '{').is_some();
        let mut name = String::new();
        while let Some((_, c)) = chars.next_if(|(_, c)| c.is_ascii_alphanumeric() || *c == '_') {
            name.push(c);
        }
        let is_closed = !is_braced || chars.next_if(|(_, c)| *c == '}').is_some();
        if name.is_empty() || !is_closed {
            return Err(TemplateFault {
                column: at + 1,
                found: "'$' without a whole variable name".to_owned(),
                expected: "$name or ${name}".to_owned(),
                hint: "nginx cannot print a bare '$'; check that the string was copied whole"
                    .to_owned(),
            });
        }
        push_literal(&mut pieces, &mut text);
        let (slot, rank) = variables::nginx(&name);
        pieces.push(Piece::Variable { slot, rank, name: format!("${name}"), column: at + 1 });
    }
    push_literal(&mut pieces, &mut text);
    Ok(pieces)
}

/// Splits an Apache template into literals and `%...` directives.
pub(super) fn apache_pieces(template: &str) -> Result<Vec<Piece>, TemplateFault> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().enumerate().peekable();
    while let Some((at, char)) = chars.next() {
        if char == '\\' {
            push_escape(
                &mut text,
                chars.next_if(|(_, c)| matches!(c, '"' | '\\' | 't' | 'n' | '\'')),
            );
            continue;
        }
        if char != '%' {
            text.push(char);
            continue;
        }
        // Modifiers: a list of statuses, `!` before it, `<` and `>` for the original or the final request.
        while chars
            .next_if(|(_, c)| c.is_ascii_digit() || matches!(c, '!' | ',' | '<' | '>'))
            .is_some()
        {}
        let mut argument = None;
        if chars.next_if(|(_, c)| *c == '{').is_some() {
            let inside: String = chars.by_ref().map(|(_, c)| c).take_while(|c| *c != '}').collect();
            argument = Some(inside);
        }
        while chars.next_if(|(_, c)| matches!(c, '<' | '>')).is_some() {}
        let letter = chars.next().map(|(_, c)| c);
        if letter == Some('%') {
            text.push('%');
            continue;
        }
        let name: String = template
            .chars()
            .skip(at)
            .take(chars.peek().map_or(usize::MAX, |(n, _)| n - at))
            .collect();
        let Some((slot, rank)) = letter.and_then(|l| variables::apache(l, argument.as_deref()))
        else {
            return Err(unknown_directive(&name, letter, at + 1));
        };
        let is_bracketed = letter == Some('t') && argument.is_none();
        text.push_str(if is_bracketed { "[" } else { "" });
        push_literal(&mut pieces, &mut text);
        pieces.push(Piece::Variable { slot, rank, name, column: at + 1 });
        text.push_str(if is_bracketed { "]" } else { "" });
    }
    push_literal(&mut pieces, &mut text);
    Ok(pieces)
}

fn unknown_directive(name: &str, letter: Option<char>, column: usize) -> TemplateFault {
    let (expected, hint) = if letter == Some('t') {
        ("a time that can be read back", "use %t, %{sec}t, %{msec}t or %{%Y-%m-%dT%H:%M:%S%z}t")
    } else {
        ("a directive of LogFormat", "see mod_log_config; a percent sign itself is written %%")
    };
    let found = if name.len() > 1 { name.to_owned() } else { "'%' at the end".to_owned() };
    TemplateFault { column, found, expected: expected.to_owned(), hint: hint.to_owned() }
}

fn push_literal(pieces: &mut Vec<Piece>, text: &mut String) {
    if !text.is_empty() {
        pieces.push(Piece::Literal(std::mem::take(text).into_bytes()));
    }
}

/// Adds what `\"`, `\\`, `\t`, `\n` stand for in a configuration file; another backslash is itself.
fn push_escape(text: &mut String, escaped: Option<(usize, char)>) {
    text.push(match escaped {
        Some((_, 't')) => '\t',
        Some((_, 'n')) => '\n',
        Some((_, char)) => char,
        None => '\\',
    });
}
