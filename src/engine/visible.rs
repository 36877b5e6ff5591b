//! Which characters may be shown as they are, wherever text of others is shown: on a terminal, in logs, in mails, in
//! HTML.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// Returns whether a character is visible and changes nothing about others.
///
/// Hidden: general categories Cc, Cf, Zl, Zp and Co, every space but U+0020, and the letters and marks that have no
/// shape (Unicode 16: `DerivedGeneralCategory`, `Default_Ignorable_Code_Point`).
#[must_use]
pub fn is_visible(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    if c.is_control() || c.is_whitespace() {
        return false;
    }
    !matches!(
        u32::from(c),
        0xAD | 0x34F
            | 0x600..=0x605
            | 0x61C
            | 0x6DD
            | 0x70F
            | 0x890..=0x891
            | 0x8E2
            | 0x115F..=0x1160
            | 0x17B4..=0x17B5
            | 0x180B..=0x180F
            | 0x200B..=0x200F
            | 0x2028..=0x202F
            | 0x2060..=0x206F
            | 0x2800
            | 0x3164
            | 0xE000..=0xF8FF
            | 0xFE00..=0xFE0F
            | 0xFEFF
            | 0xFFA0
            // Without the replacement character, which stands for bytes that are no text.
            | 0xFFF0..=0xFFFC
            | 0xFFFE..=0xFFFF
            | 0x110BD
            | 0x110CD
            | 0x13430..=0x1343F
            | 0x1BCA0..=0x1BCA3
            | 0x1D173..=0x1D17A
            | 0xE0000..=0x0010_FFFF
    )
}

/// Returns a path as text: of what is no UTF-8, each byte as `\xff`, so that two names never look the same for it.
#[must_use]
pub fn path(path: &Path) -> String {
    let mut text = String::with_capacity(path.as_os_str().len());
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    text
}

/// Returns the text with `&`, `<`, `>` and both quotes as HTML entities.
#[must_use]
pub fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_in_a_byte_look_different() {
        use std::ffi::OsStr;
        for (name, shown) in [
            (&b"logs/a.log"[..], "logs/a.log"),
            (b"a\xff.log", "a\\xff.log"),
            (b"a\xfe.log", "a\\xfe.log"),
            (b"\xc3\xa4\xe2\x82", "\u{e4}\\xe2\\x82"),
            (b"", ""),
        ] {
            assert_eq!(path(Path::new(OsStr::from_bytes(name))), shown);
        }
    }

    #[test]
    fn what_has_a_shape_is_visible_and_nothing_else_is() {
        for c in " ~aZ09äß東नไ\u{301}\u{fffd}€😀".chars() {
            assert!(is_visible(c), "{c:?}");
        }
        let hidden = "\0\t\n\u{1b}\u{7f}\u{85}\u{9b}\u{a0}\u{ad}\u{34f}\u{61c}\u{115f}\u{180e}\u{200b}\u{202e}\
            \u{2028}\u{2066}\u{2800}\u{3000}\u{3164}\u{e000}\u{fe0f}\u{feff}\u{fff9}\u{e0041}\u{e0100}\u{f0000}";
        for c in hidden.chars() {
            assert!(!is_visible(c), "{c:?}");
        }
    }
}
