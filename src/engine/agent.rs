//! Determines a client program's family and version from its User-Agent.

use std::sync::LazyLock;

use memchr::memmem::{self, Finder};
use smol_str::SmolStr;

use crate::engine::shape::is_secretive;
use crate::engine::usage::Agent;

/// The limit of a family in bytes; longer ones are cut.
const MAX_FAMILY: usize = 32;

/// The most digits of a version number.
const MAX_DIGITS: usize = 5;

/// The number of bytes of a User-Agent that are examined.
const MAX_READ: usize = 512;

/// Products of browsers and of programs built on them, most specific first: a program that also names Chrome and
/// Safari is neither. The second name is the family's.
const BROWSERS: [(&[u8], &str); 16] = [
    (b"HeadlessChrome", "HeadlessChrome"),
    (b"Electron", "Electron"),
    (b"EdgA", "Edge Mobile"),
    (b"EdgiOS", "Edge Mobile"),
    (b"Edg", "Edge"),
    (b"Edge", "Edge"),
    (b"OPR", "Opera"),
    (b"Vivaldi", "Vivaldi"),
    (b"YaBrowser", "Yandex"),
    (b"SamsungBrowser", "Samsung Internet"),
    (b"FxiOS", "Firefox Mobile"),
    (b"CriOS", "Chrome Mobile"),
    (b"Firefox", "Firefox"),
    (b"Chrome", "Chrome"),
    (b"Trident", "IE"),
    (b"Safari", "Safari"),
];

const TERRAFORM: &[u8] = b"Terraform/";

// Used for nearly every line, so the searchers are built once.
static IS_MOBILE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"Mobile"));
static IS_TERRAFORM: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(TERRAFORM));

/// Returns the program behind a User-Agent; all empty if there is none.
///
/// Browsers are recognised by their engine's product, others by their first product (`curl/8.5.0` is `curl`, `8.5`);
/// Terraform is found after its vendor's name. The family is printable ASCII of at most 32 bytes and never looks like
/// a secret; the version is `major` or `major.minor`.
#[must_use]
pub fn agent(text: &[u8]) -> Agent {
    let text = text.get(..MAX_READ).unwrap_or(text).trim_ascii();
    if text.is_empty() || text == b"-" {
        return Agent::default();
    }
    if text.starts_with(b"Mozilla/") { browser(text) } else { tool(text) }
}

fn browser(text: &[u8]) -> Agent {
    let mut best = None;
    let mut of_safari: &[u8] = b"";
    for (name, version) in products(text) {
        let rank = BROWSERS.iter().position(|(browser, _)| *browser == name);
        if let Some(rank) = rank.filter(|rank| best.is_none_or(|(known, _)| *rank < known)) {
            best = Some((rank, version));
        }
        if name == b"Version" {
            of_safari = version;
        }
    }
    let Some((rank, version)) = best else { return bot(text) };
    let family = BROWSERS.get(rank).map_or("", |(_, family)| family);
    let is_mobile = || IS_MOBILE.find(text).is_some();
    match family {
        "Chrome" if is_mobile() => named("Chrome Mobile", version),
        "Firefox" if is_mobile() => named("Firefox Mobile", version),
        "Safari" if is_mobile() => named("Safari Mobile", of_safari),
        "Safari" => named(family, of_safari),
        _ => named(family, version),
    }
}

/// Iterates over the text before each slash, back to the last separator, with the text after the slash.
fn products(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    memchr::memchr_iter(b'/', text).filter_map(move |at| {
        let (before, after) = text.split_at_checked(at)?;
        let name = before.rsplit(|b| matches!(b, b' ' | b'(' | b';')).next()?;
        Some((name, after.get(1..)?))
    })
}

fn named(family: &'static str, version: &[u8]) -> Agent {
    Agent { family: SmolStr::new_static(family), version: short_version(version) }
}

/// Reads `Mozilla/5.0 (compatible; Somebot/2.1; +https://example.org)`: the product after `compatible;`.
fn bot(text: &[u8]) -> Agent {
    const MARK: &[u8] = b"compatible; ";
    match memmem::find(text, MARK).and_then(|at| text.get(at + MARK.len()..)) {
        Some(rest) => product(rest),
        None => product(text),
    }
}

fn tool(text: &[u8]) -> Agent {
    match IS_TERRAFORM.find(text) {
        Some(at) => named("terraform", text.get(at + TERRAFORM.len()..).unwrap_or_default()),
        None => product(text),
    }
}

/// Parses `name/version`, or a name alone.
fn product(text: &[u8]) -> Agent {
    let is_name =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'+' | b'@' | b'!');
    let end = text.iter().position(|b| !is_name(b)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).unwrap_or((text, b""));
    let version = rest.strip_prefix(b"/").map(short_version).unwrap_or_default();
    let cut = name.get(..MAX_FAMILY).unwrap_or(name);
    match std::str::from_utf8(cut) {
        Ok(family) if !family.is_empty() && !is_secretive(name) => {
            Agent { family: SmolStr::new(family), version }
        }
        _ => Agent { family: SmolStr::new_static("other"), version: SmolStr::default() },
    }
}

/// Returns `major` or `major.minor` of a version; empty if it does not begin with a number.
fn short_version(text: &[u8]) -> SmolStr {
    let text = text.strip_prefix(b"v").unwrap_or(text);
    let (major, rest) = number(text);
    if major.is_empty() || MAX_DIGITS < major.len() {
        return SmolStr::default();
    }
    if rest.first().is_some_and(u8::is_ascii_alphabetic) {
        return SmolStr::default();
    }
    let (minor, _) = rest.strip_prefix(b".").map(number).unwrap_or_default();
    let is_shown = !minor.is_empty() && minor.len() <= MAX_DIGITS;
    let length = major.len() + if is_shown { 1 + minor.len() } else { 0 };
    let version = text.get(..length).map(std::str::from_utf8);
    version.and_then(Result::ok).map(SmolStr::new).unwrap_or_default()
}

fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, b""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CHROME: &str =
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0";

    fn shown(text: &str) -> String {
        let agent = agent(text.as_bytes());
        format!("{} {}", agent.family, agent.version).trim_end().to_owned()
    }

    #[test]
    fn browsers_are_told_from_those_they_claim_to_be() {
        let cases = [
            (format!("{CHROME} Safari/537.36"), "Chrome 126.0"),
            (format!("{CHROME} Mobile Safari/537.36"), "Chrome Mobile 126.0"),
            (format!("{CHROME} Safari/537.36 Edg/126.0.2592.68"), "Edge 126.0"),
            (format!("{CHROME} Safari/537.36 OPR/111.0.0.0"), "Opera 111.0"),
            ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0".into(), "Firefox 127.0"),
            ("Mozilla/5.0 (Android 14; Mobile; rv:127.0) Gecko/127.0 Firefox/127.0".into(), "Firefox Mobile 127.0"),
            (
                "Mozilla/5.0 (Macintosh) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15".into(),
                "Safari 17.5",
            ),
            (
                "Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/1 Safari/604.1".into(),
                "Safari Mobile 17.5",
            ),
            ("Mozilla/5.0 (compatible; Somebot/2.1; +https://example.org)".into(), "Somebot 2.1"),
            ("Mozilla/5.0".into(), "Mozilla 5.0"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(&text), expected, "{text}");
        }
    }

    #[test]
    fn tools_are_their_first_product() {
        let cases = [
            ("", ""),
            ("-", ""),
            ("curl/7.88.1", "curl 7.88"),
            ("python-requests/2.32.3", "python-requests 2.32"),
            ("Go-http-client/1.1", "Go-http-client 1.1"),
            ("okhttp/4.12.0", "okhttp 4.12"),
            ("axios/1.7", "axios 1.7"),
            ("Java/17", "Java 17"),
            ("git/2.39.2 (Apple Git-143)", "git 2.39"),
            ("aws-sdk-go-v2/1.30.1 os/linux", "aws-sdk-go-v2 1.30"),
            ("HashiCorp Terraform/1.9.1 (+https://example.org)", "terraform 1.9"),
            ("PostmanRuntime/7.39.0", "PostmanRuntime 7.39"),
            ("kube-probe/1.30+", "kube-probe 1.30"),
            ("MyApp", "MyApp"),
            ("hooks/4f2a9c1", "hooks"),
            ("hooks/abc", "hooks"),
            ("evil \"quoted\"", "evil"),
            ("\"", "other"),
            ("ghp_aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3aB3/1.0", "other"),
            ("6f1c9e2e1f7a4c4b9d8a0123456789ab", "other"),
        ];
        for (text, expected) in cases {
            assert_eq!(shown(text), expected, "{text}");
        }
        assert_eq!(agent("a".repeat(1000).as_bytes()).family.len(), MAX_FAMILY);
    }

    proptest! {
        #[test]
        fn every_agent_is_short_and_printable(text in proptest::collection::vec(any::<u8>(), 0..600)) {
            let agent = agent(&text);
            prop_assert!(agent.family.len() <= MAX_FAMILY && agent.version.len() <= 2 * MAX_DIGITS + 1);
            prop_assert!(agent.family.bytes().all(|b| b.is_ascii_graphic() || b == b' '));
        }
    }
}
