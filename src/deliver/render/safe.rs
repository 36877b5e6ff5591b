//! Makes text from others safe to show: one line, bounded, nothing invisible, no links.

use std::fmt::Write;

use crate::engine::visible::is_visible;

/// How much of any one value is shown, in characters.
pub const MAX_SHOWN: usize = 300;

/// How names begin that are links to mail programs.
const WEB: &str = "www.";

/// Returns `text` as one line of visible characters, at most [`MAX_SHOWN`] of them.
///
/// Control, bidirectional, invisible and odd space characters are shown as `\u{202e}`. `://` and `www.` become `[:]//`
/// and `www[.]`, since mail programs turn them into links by themselves.
#[must_use]
pub fn safe(text: &str) -> String {
    safe_within(text, MAX_SHOWN)
}

/// As [`safe`], but at most `max` characters; `...` stands for what is cut off.
#[must_use]
pub fn safe_within(text: &str, max: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(max));
    let mut rest = text.chars();
    let mut n_shown = 0;
    for c in rest.by_ref() {
        let before = shown.len();
        if is_visible(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
        n_shown += shown.get(before..).map_or(0, |added| added.chars().count());
        if max < n_shown {
            shown.truncate(before);
            shown.push_str("...");
            break;
        }
    }
    unlinked(shown)
}

/// Breaks what mail programs would turn into links, in capitals too.
fn unlinked(text: String) -> String {
    // The same bytes at the same places.
    let lower = text.to_ascii_lowercase();
    if !lower.contains("://") && !lower.contains(WEB) {
        return text;
    }
    let mut unlinked = String::with_capacity(text.len() + WEB.len());
    let mut done = 0;
    for (at, _) in lower.match_indices(WEB) {
        let dot = at + WEB.len() - 1;
        unlinked.push_str(text.get(done..dot).unwrap_or_default());
        unlinked.push_str("[.]");
        done = dot + 1;
    }
    unlinked.push_str(text.get(done..).unwrap_or_default());
    unlinked.replace("://", "[:]//")
}

/// Returns a name for a subject: its letters, digits, spaces and `._-@:/+#`, at most `max` characters; empty if nothing
/// is left.
#[must_use]
pub fn plain(name: &str, max: usize) -> String {
    // Some letters have no shape.
    let is_plain = |c: &char| c.is_alphanumeric() && is_visible(*c) || " ._-@:/+#".contains(*c);
    let kept: String = name.chars().filter(is_plain).take(max).collect();
    unlinked(kept.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Returns whether a shell treats the text as one plain word, and no command treats it as an option.
#[must_use]
pub fn is_shell_word(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-@+".contains(c);
    !text.is_empty() && text.len() <= 100 && !text.starts_with('-') && text.chars().all(is_plain)
}

/// Returns text as a part of a message id: letters, digits, `.`, `_` and `-` stay; others become `_` and their code in
/// hex.
pub(super) fn atom(text: &str) -> String {
    let mut atom = String::new();
    for c in text.chars().take(100) {
        if c.is_ascii_alphanumeric() || "._-".contains(c) {
            atom.push(c);
        } else if write!(atom, "_{:x}", u32::from(c)).is_err() {
            break;
        }
    }
    atom
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::visible::html;

    #[test]
    fn what_cannot_be_seen_is_shown_by_its_number() {
        let cases = [
            ("", ""),
            ("plain text", "plain text"),
            ("a\r\nBcc: b@example.org", "a\\u{d}\\u{a}Bcc: b@example.org"),
            ("tab\there\0", "tab\\u{9}here\\u{0}"),
            ("\u{1b}[31mred\u{9b}0m", "\\u{1b}[31mred\\u{9b}0m"),
            ("user\u{202e}gpj.exe", "user\\u{202e}gpj.exe"),
            ("a\u{200b}b\u{2066}c\u{feff}", "a\\u{200b}b\\u{2066}c\\u{feff}"),
            ("nb\u{a0}sp\u{2028}", "nb\\u{a0}sp\\u{2028}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("Zürich 東京 नमस्ते ไทย", "Zürich 東京 नमस्ते ไทย"),
        ];
        for (text, shown) in cases {
            assert_eq!(safe(text), shown);
        }
    }

    #[test]
    fn long_text_is_cut_at_the_limit_and_never_within_an_escape() {
        assert_eq!(safe_within("abcde", 5), "abcde");
        assert_eq!(safe_within("abcdef", 5), "abcde...");
        assert_eq!(safe_within("abc\u{202e}", 5), "abc...");
        assert_eq!(safe_within("äöüß", 3), "äöü...");
        assert_eq!(safe_within("a", 0), "...");
    }

    #[test]
    fn mail_programs_find_no_link() {
        assert_eq!(safe("jwt:https://idp.example.org:a"), "jwt:https[:]//idp.example.org:a");
        assert_eq!(safe("www.example.org"), "www[.]example.org");
        assert_eq!(plain("a www.example.org", 60), "a www[.]example.org");
    }

    #[test]
    fn a_name_in_capitals_was_a_link() {
        assert_eq!(safe("WWW.evil.example"), "WWW[.]evil.example");
        assert_eq!(safe("süß Www.a wwwW. HTTP://wWw.b"), "süß Www[.]a wwwW[.] HTTP[:]//wWw[.]b");
        assert_eq!(plain("WwW.evil.example", 60), "WwW[.]evil.example");
    }

    #[test]
    fn a_subject_gets_plain_names_only() {
        assert_eq!(plain("ci-deploy", 60), "ci-deploy");
        assert_eq!(plain("bücher <b>\r\nBcc: x@example.org", 60), "bücher bBcc: x@example.org");
        assert_eq!(plain("\u{202e}$()\u{7}", 60), "");
        assert_eq!(plain("abcdef", 3), "abc");
        assert_eq!(plain("root\u{3164}\u{115f}", 60), "root", "letters that nobody sees");
    }

    #[test]
    fn commands_get_words_that_no_shell_reads() {
        for word in ["ci-deploy", "tw1_e72ab087", "a.b@c"] {
            assert!(is_shell_word(word), "{word}");
        }
        for word in ["", "-rf", "a b", "$(id)", "a;b", "a'b", "ü", "a\n"] {
            assert!(!is_shell_word(word), "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_becomes_one_visible_line(text in any::<String>(), max in 0usize..400) {
            let shown = safe_within(&text, max);
            prop_assert!(shown.chars().all(is_visible));
            prop_assert!(!shown.contains("://"));
            prop_assert!(!html(&shown).contains(['<', '>', '"', '\'']));
        }

        #[test]
        fn a_message_id_part_is_ascii(text in any::<String>()) {
            prop_assert!(atom(&text).chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)));
        }
    }
}
