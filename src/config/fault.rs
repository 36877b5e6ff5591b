//! Faults in files that people write: where, what was found, what was expected, a hint.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

/// A file as shown in faults: passwords in it are replaced by stars, byte for byte.
#[derive(Debug, PartialEq, Eq)]
pub struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// Stores a file's contents without anything that looks like a password.
    #[must_use]
    pub fn new(path: &Path, text: &str) -> Arc<Self> {
        let text = text.split_inclusive('\n').map(hide_secrets).collect();
        Arc::new(Self { path: path.to_owned(), text })
    }

    /// Returns the file's path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Keys whose values nobody should see over a shoulder or in a bug report.
const SECRET_KEYS: [&str; 6] = ["password", "passwd", "passphrase", "pass", "pwd", "secret"];

/// Replaces by stars what follows `password =`, and what is between `://` and `@`.
///
/// Works on text, so it also covers lines that are not TOML.
fn hide_secrets(line: &str) -> String {
    let mut shown = line.to_owned();
    for (at, _) in line.match_indices('=') {
        let (before, after) = line.split_at(at + 1);
        let key = before.trim_end_matches('=').trim_end().trim_end_matches(['"', '\'']);
        let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        let name = key.rsplit(|c| !is_name(c)).next().unwrap_or_default();
        if SECRET_KEYS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            shown = format!("{before}{}", stars(after));
            break;
        }
    }
    let userinfo = shown.find("://").and_then(|at| {
        let (scheme, rest) = shown.split_at(at + 3);
        let (user, host) = rest.split_at(rest.rfind('@')?);
        Some(format!("{scheme}{}{host}", stars(user)))
    });
    userinfo.unwrap_or(shown)
}

/// Replaces every byte except blanks by a star.
fn stars(text: &str) -> String {
    let star = |c: char| if c.is_whitespace() { c.to_string() } else { "*".repeat(c.len_utf8()) };
    text.chars().map(star).collect()
}

/// A range of bytes in a file. The default is nowhere: the place of built-in values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Span {
    pub(super) file: Option<Arc<File>>,
    pub(super) range: Range<usize>,
}

impl Span {
    /// Points at bytes of a file; the part beyond its end is cut off.
    #[must_use]
    pub fn new(file: &Arc<File>, range: Range<usize>) -> Self {
        let end = range.end.min(file.text.len());
        Self { file: Some(Arc::clone(file)), range: range.start.min(end)..end }
    }

    /// Returns the file, unless the value is built in.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_deref().map(|file| file.path.as_path())
    }

    /// Returns the text there, with stars in place of a password.
    #[must_use]
    pub fn text(&self) -> &str {
        let text = self.file.as_ref().and_then(|file| file.text.get(self.range.clone()));
        text.unwrap_or_default()
    }

    /// Returns the line and the column in characters, both counted from 1; `None` for a place in no file and for a
    /// file without text.
    #[must_use]
    pub fn line_and_column(&self) -> Option<(usize, usize)> {
        let text = &self.file.as_ref().filter(|file| !file.text.is_empty())?.text;
        let before = text.get(..text.floor_char_boundary(self.range.start))?;
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Some((line, column))
    }

    /// Creates a fault at this place. `expected` and `hint` may be empty.
    #[must_use]
    pub fn fault(
        &self,
        found: impl Into<String>,
        expected: impl Into<String>,
        hint: impl Into<String>,
    ) -> Fault {
        Fault {
            span: self.clone(),
            found: found.into(),
            expected: expected.into(),
            hint: hint.into(),
        }
    }
}

/// `file:line:column`, `file` if there are no lines, or `built-in defaults`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.path(), self.line_and_column()) {
            (Some(path), Some((line, column))) => {
                write!(f, "{}:{line}:{column}", path.display())
            }
            (Some(path), None) => write!(f, "{}", path.display()),
            _ => f.write_str("built-in defaults"),
        }
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and its place. Two are equal if their values are, regardless of their places.
#[derive(Clone, Debug, Default)]
pub struct At<T> {
    /// The value.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

/// One error in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Where.
    pub span: Span,
    /// What is there.
    pub found: String,
    /// What should be there; may be empty.
    pub expected: String,
    /// What to do about it; may be empty.
    pub hint: String,
}

/// `file:line:column: found, expected ...; hint`, on one line.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.found)?;
        if !self.expected.is_empty() {
            write!(f, ", expected {}", self.expected)?;
        }
        if !self.hint.is_empty() {
            write!(f, "; {}", self.hint)?;
        }
        Ok(())
    }
}

impl Error for Fault {}

/// `{"file":..,"line":..,"column":..,"found":..,"expected":..,"hint":..}`.
impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let place = self.span.line_and_column();
        let mut object = serializer.serialize_struct("Fault", 6)?;
        object.serialize_field("file", &self.span.path().map(Path::to_string_lossy))?;
        object.serialize_field("line", &place.map(|(line, _)| line))?;
        object.serialize_field("column", &place.map(|(_, column)| column))?;
        object.serialize_field("found", &self.found)?;
        object.serialize_field("expected", &self.expected)?;
        object.serialize_field("hint", &self.hint)?;
        object.end()
    }
}

/// All faults, in the order of files and lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults(Vec<Fault>);

impl Faults {
    /// Iterates over the faults.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// Returns whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Draws each fault below the line that it is about, `width` columns wide.
    ///
    /// Whatever the files contain, the text is safe for a terminal: control and direction characters are replaced.
    /// Colours are ANSI sequences, used only on request.
    #[must_use]
    pub fn render(&self, colour: Colour, width: usize) -> String {
        let renderer = match colour {
            Colour::Ansi => Renderer::styled(),
            Colour::None => Renderer::plain(),
        };
        let renderer = renderer.term_width(width);
        let drawn: Vec<_> = self.0.iter().map(|fault| fault.render(&renderer)).collect();
        drawn.join("\n\n")
    }
}

/// Whether a drawing uses ANSI colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// With colours.
    Ansi,
    /// Without colours.
    None,
}

impl Fault {
    fn render(&self, renderer: &Renderer) -> String {
        let mut group = Level::ERROR.primary_title(self.found.as_str()).elements(self.snippet());
        let has_snippet = self.span.line_and_column().is_some();
        if !has_snippet {
            let file = self.span.to_string();
            group = group.element(annotate_snippets::Origin::path(file));
        }
        if !has_snippet && !self.expected.is_empty() {
            group = group.element(Level::NOTE.message(format!("expected {}", self.expected)));
        }
        if !self.hint.is_empty() {
            group = group.element(Level::HELP.message(self.hint.as_str()));
        }
        renderer.render(&[group])
    }

    fn snippet(&self) -> Option<Snippet<'_, annotate_snippets::Annotation<'_>>> {
        let file = self.span.file.as_ref().filter(|file| !file.text.is_empty())?;
        let start = file.text.floor_char_boundary(self.span.range.start);
        let end = file.text.ceil_char_boundary(self.span.range.end);
        let label = (!self.expected.is_empty()).then(|| format!("expected {}", self.expected));
        let mark = AnnotationKind::Primary.span(start..end).label(label);
        let path = file.path.to_string_lossy();
        Some(Snippet::source(file.text.as_str()).path(path).annotation(mark))
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<I: IntoIterator<Item = Fault>>(faults: I) -> Self {
        Self(faults.into_iter().collect())
    }
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self(vec![fault])
    }
}

impl Extend<Fault> for Faults {
    fn extend<I: IntoIterator<Item = Fault>>(&mut self, faults: I) {
        self.0.extend(faults);
    }
}

impl IntoIterator for Faults {
    type Item = Fault;
    type IntoIter = std::vec::IntoIter<Fault>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// One fault per line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            write!(f, "{}{fault}", if n == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> Arc<File> {
        File::new(Path::new("a.toml"), text)
    }

    #[test]
    fn places_are_counted_in_characters_from_one() {
        let file = file("x = 1\nü = ö\n");
        let at = |start| Span::new(&file, start..start).line_and_column();
        assert_eq!(at(0), Some((1, 1)));
        assert_eq!(at(6), Some((2, 1)));
        assert_eq!(at("x = 1\nü = ".len()), Some((2, 5)));
        assert_eq!(at(10_000), Some((3, 1)));
        // In the middle of a character: the character.
        assert_eq!(at(7), Some((2, 1)));
        assert_eq!(Span::default().line_and_column(), None);
    }

    #[test]
    fn a_fault_is_one_line_of_text_and_one_object_of_json() {
        let fault = Span::new(&file("a = 1"), 4..5).fault("found 1", "a size", "write \"1KiB\"");
        assert_eq!(fault.to_string(), "a.toml:1:5: found 1, expected a size; write \"1KiB\"");
        assert_eq!(
            serde_json::to_value(&fault).unwrap(),
            serde_json::json!({"file": "a.toml", "line": 1, "column": 5, "found": "found 1",
                "expected": "a size", "hint": "write \"1KiB\""})
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        let cases = [
            ("password = \"hunter2\"\n", "password = *********\n"),
            ("mail = { \"password\"='a' }", "mail = { \"password\"=*** *"),
            ("Password=hünter=2", "Password=*********"),
            (
                "server = \"smtps://me:hunter2@a.example\"",
                "server = \"smtps://**********@a.example\"",
            ),
            ("password_file = \"/a\"", "password_file = \"/a\""),
        ];
        for (line, shown) in cases {
            assert_eq!(hide_secrets(line), shown);
        }
    }

    #[test]
    fn drawings_hold_no_control_characters_of_the_file() {
        let text = "a = 1 # \u{1b}[2J \u{202e}evil\n";
        let faults = Faults::from(Span::new(&file(text), 0..1).fault("key \u{1b}[31m", "", ""));
        let drawn = faults.render(Colour::None, 80);
        assert!(!drawn.contains(['\u{1b}', '\u{202e}']), "{drawn:?}");
    }
}
