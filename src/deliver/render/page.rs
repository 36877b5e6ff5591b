//! The content of a mail, and its two renderings: plain text and HTML.
//!
//! Everything in a [`Page`] is safe to show already; the HTML rendering escapes all of it again for HTML. It has no
//! links, no images, no scripts, nothing remote, and sets no colours but those of the level's badge, so that light and
//! dark mail programs use their own.

use std::borrow::Cow;

use crate::engine::alert::Level;
use crate::engine::visible::html;

/// Text is folded at this column, as RFC 5322, section 2.1.1, recommends.
const WIDTH: usize = 78;

/// The content of a mail.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// How severe it is; `None` if nothing is wrong.
    pub(super) level: Option<Level>,
    /// The headline.
    pub(super) title: String,
    /// What happened, in one sentence.
    pub(super) lead: String,
    /// The sections.
    pub(super) parts: Vec<Part>,
    /// Where the mail comes from.
    pub(super) foot: String,
}

/// A command, and what it is for.
pub(super) type Step = (String, Cow<'static, str>);

/// A section, with its title.
#[derive(Debug)]
pub(super) enum Part {
    /// Names and values; the title may be empty.
    Rows(&'static str, Vec<(String, String)>),
    /// One line each.
    Items(&'static str, Vec<String>),
    /// Commands, and the purpose of each.
    Commands(&'static str, Vec<Step>),
    /// Columns, rows, and a last line for what did not fit.
    Table(&'static str, Vec<&'static str>, Vec<Vec<String>>, Option<String>),
}

impl Part {
    fn is_empty(&self) -> bool {
        match self {
            Self::Rows(_, rows) => rows.is_empty(),
            Self::Items(_, items) => items.is_empty(),
            Self::Commands(_, commands) => commands.is_empty(),
            Self::Table(_, _, rows, _) => rows.is_empty(),
        }
    }

    const fn title(&self) -> &'static str {
        match self {
            Self::Rows(title, _)
            | Self::Items(title, _)
            | Self::Commands(title, _)
            | Self::Table(title, ..) => title,
        }
    }
}

impl Page {
    /// Renders the page as text.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let level = self.level.map(|level| format!("{}  ", level.as_str().to_uppercase()));
        fold(&mut out, "", &format!("{}{}", level.unwrap_or_default(), self.title));
        if !self.lead.is_empty() {
            out.push('\n');
            fold(&mut out, "", &self.lead);
        }
        for part in self.parts.iter().filter(|part| !part.is_empty()) {
            out.push('\n');
            if !part.title().is_empty() {
                fold(&mut out, "", part.title());
            }
            part_text(&mut out, part);
        }
        out.push_str("\n--\n");
        fold(&mut out, "", &self.foot);
        out
    }

    /// Renders the page as HTML.
    pub(super) fn html(&self) -> String {
        let mut out = String::from(HEAD);
        if let Some(level) = self.level {
            let (name, colour) = (level.as_str().to_uppercase(), colour(level));
            out.push_str(&format!(
                "<p style=\"margin:0 0 8px\"><span style=\"background-color:{colour};\
                 color:#ffffff;padding:2px 8px;border-radius:3px;font-weight:bold\">{name}</span></p>\n"
            ));
        }
        element(&mut out, "h1", "font-size:18px;margin:0 0 8px", &self.title);
        if !self.lead.is_empty() {
            element(&mut out, "p", "margin:0 0 16px", &self.lead);
        }
        for part in self.parts.iter().filter(|part| !part.is_empty()) {
            if !part.title().is_empty() {
                element(&mut out, "h2", "font-size:15px;margin:16px 0 4px", part.title());
            }
            part_html(&mut out, part);
        }
        element(&mut out, "p", "margin:24px 0 0;font-size:12px;opacity:0.7", &self.foot);
        out.push_str("</div>\n</body>\n</html>\n");
        out
    }
}

fn part_text(out: &mut String, part: &Part) {
    match part {
        Part::Rows(_, rows) => {
            let width = rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
            for (name, value) in rows {
                fold(out, &format!("  {name:width$}  "), value);
            }
        }
        Part::Items(_, items) => items.iter().for_each(|item| fold(out, "  ", item)),
        Part::Commands(_, commands) => {
            for (command, purpose) in commands {
                // Never folded: it is to be copied.
                out.push_str(&format!("  {command}\n      {purpose}\n"));
            }
        }
        Part::Table(_, head, rows, more) => {
            let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
            let lines = || std::iter::once(&head).chain(rows);
            let width = |column: usize| {
                let cells = lines().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            };
            let widths: Vec<usize> = (0..head.len()).map(width).collect();
            for row in lines() {
                let mut line = String::from(" ");
                for (cell, width) in row.iter().zip(&widths) {
                    line.push_str(&format!(" {cell:width$} "));
                }
                out.push_str(line.trim_end());
                out.push('\n');
            }
            more.iter().for_each(|more| fold(out, "  ", more));
        }
    }
}

/// Writes `first` and the words after it; further lines are indented by the length of `first`.
fn fold(out: &mut String, first: &str, text: &str) {
    let indent = first.chars().count();
    let mut column = indent;
    let mut line = first.to_owned();
    for word in text.split(' ') {
        let length = word.chars().count();
        if column > indent && WIDTH < column + 1 + length {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(indent);
            column = indent;
        } else if column > indent {
            line.push(' ');
            column += 1;
        }
        line.push_str(word);
        column += length;
    }
    out.push_str(line.trim_end());
    out.push('\n');
}

const HEAD: &str = "<!DOCTYPE html>
<html lang=\"en\">
<head>
<meta charset=\"utf-8\">
<meta name=\"color-scheme\" content=\"light dark\">
<meta name=\"supported-color-schemes\" content=\"light dark\">
<title>tokenwatch</title>
</head>
<body style=\"margin:0;padding:16px\">
<div style=\"max-width:720px;font-family:sans-serif;font-size:14px;line-height:1.45\">
";

const TABLE: &str = "<table role=\"presentation\" cellspacing=\"0\" cellpadding=\"0\" \
                     style=\"border-collapse:collapse\">\n";
const CELL: &str =
    "padding:3px 16px 3px 0;vertical-align:top;text-align:left;word-break:break-word";
const RULED: &str = "padding:4px 12px 4px 0;vertical-align:top;text-align:left;\
                     border-bottom:1px solid #888888;word-break:break-word";

/// Returns the background of a badge; white on it has a contrast of at least 5 to 1.
const fn colour(level: Level) -> &'static str {
    match level {
        Level::Critical => "#8b1a1a",
        Level::High => "#9c4310",
        Level::Medium => "#6b5a10",
        Level::Low => "#2f5482",
        Level::Informational => "#555555",
    }
}

fn part_html(out: &mut String, part: &Part) {
    match part {
        Part::Rows(_, rows) => {
            out.push_str(TABLE);
            for (name, value) in rows {
                out.push_str("<tr>");
                element(out, "th", CELL, name);
                element(out, "td", CELL, value);
                out.push_str("</tr>\n");
            }
            out.push_str("</table>\n");
        }
        Part::Items(_, items) => {
            out.push_str("<ul style=\"margin:0;padding-left:20px\">\n");
            items.iter().for_each(|item| element(out, "li", "word-break:break-word", item));
            out.push_str("</ul>\n");
        }
        Part::Commands(_, commands) => {
            out.push_str(TABLE);
            for (command, purpose) in commands {
                let style = format!("{CELL};font-family:monospace");
                out.push_str("<tr>");
                element(out, "td", &style, command);
                element(out, "td", CELL, purpose);
                out.push_str("</tr>\n");
            }
            out.push_str("</table>\n");
        }
        Part::Table(_, head, rows, more) => {
            out.push_str("<table cellspacing=\"0\" style=\"border-collapse:collapse\">\n<tr>");
            head.iter().for_each(|name| element(out, "th", RULED, name));
            out.push_str("</tr>\n");
            for row in rows {
                out.push_str("<tr>");
                row.iter().for_each(|cell| element(out, "td", RULED, cell));
                out.push_str("</tr>\n");
            }
            out.push_str("</table>\n");
            more.iter().for_each(|more| element(out, "p", "margin:4px 0", more));
        }
    }
}

/// Writes one element and escapes its content.
fn element(out: &mut String, tag: &str, style: &str, text: &str) {
    let end = if matches!(tag, "td" | "th") { "" } else { "\n" };
    out.push_str(&format!("<{tag} style=\"{style}\">{}</{tag}>{end}", html(text)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fold_between_words_and_keep_their_indent() {
        let mut out = String::new();
        fold(&mut out, "  Name  ", &"word ".repeat(30));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() <= WIDTH), "{out}");
        assert!(lines[1].starts_with("        word"), "{out}");
    }

    #[test]
    fn a_word_wider_than_the_page_stays_whole() {
        let (mut out, word) = (String::new(), "x".repeat(200));
        fold(&mut out, "  ", &format!("a {word} b"));
        assert_eq!(out, format!("  a\n  {word}\n  b\n"));
    }

    #[test]
    fn sections_without_content_are_left_out() {
        let parts = vec![Part::Items("Why", vec![]), Part::Rows("Usual", vec![])];
        let page = Page { title: "t".into(), foot: "f".into(), parts, ..Page::default() };
        assert_eq!(page.text(), "t\n\n--\nf\n");
        assert!(!page.html().contains("<h2"));
    }
}
