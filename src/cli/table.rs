//! Tables that fit the terminal.

use anstyle::Style;
use comfy_table::{ContentArrangement, Table, presets};

/// Width of a table without a terminal: wide, for logs and pipes.
const WIDE: u16 = 160;

/// Narrower terminals get tables of fewer columns.
const NARROW: u16 = 110;

/// Starts a table with these headings, without borders, as wide as the terminal.
#[must_use]
pub fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width());
    table.set_header(headings);
    table
}

/// Draws a table, with the words of its first column in the colours that `style` gives. Styles are added afterwards: in
/// cells they would count as text.
pub fn coloured(table: &Table, style: impl Fn(&str) -> Option<Style>) -> String {
    let line = |line: String| {
        let line = line.trim_end();
        let word = line.strip_prefix(' ').and_then(|rest| rest.split(' ').next());
        let rest = word.and_then(|word| line.strip_prefix(' ')?.strip_prefix(word));
        match (word.and_then(&style), word, rest) {
            (Some(style), Some(word), Some(rest)) => format!(" {style}{word}{style:#}{rest}"),
            _ => line.to_owned(),
        }
    };
    table.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns whether a table should have only the most important columns.
pub fn is_narrow() -> bool {
    width() < NARROW
}

/// Returns the width of the terminal, else that in COLUMNS, else a wide default.
pub fn width() -> u16 {
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).map(|size| size.ws_col);
    #[expect(clippy::disallowed_methods, reason = "a convention of terminals, no setting of ours")]
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    terminal.ok().filter(|width| *width > 0).or_else(columns).unwrap_or(WIDE)
}
