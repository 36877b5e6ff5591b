//! Lines that somebody could send to slow the reader down: the same text each time.

use std::fmt::Write as _;

use crate::log::Random;

#[path = "../src/engine/record/hostile.rs"]
mod pieces;

use pieces::PIECES;

/// Bytes of each kind.
const BYTES: usize = 512 * 1024;
/// What servers log of a request at most, with their defaults.
const USUAL: usize = 8 * 1024;
/// Just below the length at which lines are cut.
const LONGEST: usize = 60 * 1024;

/// Lines of one kind, and its name.
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    pub(crate) text: String,
}

/// Makes all kinds.
pub(crate) fn kinds() -> Vec<Kind> {
    let base64 = |n: usize| base64(&mut Random::new(n as u64), USUAL);
    let pairs = |n: usize| (0..1_000).map(|at| format!("k{n}{at}=v{at} ")).collect::<String>();
    vec![
        kind("pairs", |n| combined(n, "/", &pairs(n))),
        kind("short pairs", |n| combined(n, "/", &"a=b ".repeat(USUAL / 4))),
        kind("parameters", |n| combined(n, &format!("/?{}", "a=b&".repeat(USUAL / 4)), "")),
        kind("quotes", |n| combined(n, "/", &"\"".repeat(USUAL))),
        kind("quoted", |n| combined(n, "/", &"\" \"".repeat(USUAL / 3))),
        kind("escapes", |n| combined(n, &format!("/{}", "\\x22".repeat(USUAL / 4)), "")),
        kind("brackets", |n| combined(n, "/", &"[".repeat(USUAL))),
        kind("base64", |n| combined(n, &format!("/?q={}", base64(n)), "")),
        kind("base64, bare", |n| combined(n, "/", &base64(n))),
        kind("JWTs begun", |n| combined(n, &format!("/?q={}", "ey=".repeat(USUAL / 3)), "")),
        kind("all pieces", |n| {
            let piece = PIECES[n % PIECES.len()];
            combined(n, "/", &piece.repeat(LONGEST / piece.len()))
        }),
        kind("URIs in an error log", |n| format!("{}{}", error(n, 165), error(n + 1, 248))),
    ]
}

fn kind(name: &'static str, line: impl Fn(usize) -> String) -> Kind {
    let mut text = String::new();
    // Each piece has a line.
    let least = if name == "all pieces" { PIECES.len() } else { 1 };
    for n in 0.. {
        if least <= n && BYTES <= text.len() {
            break;
        }
        text.push_str(&line(n));
    }
    Kind { name, text }
}

/// A combined line with a target and something behind its end.
fn combined(n: usize, target: &str, behind: &str) -> String {
    format!(
        "192.0.2.7 - - [02/Mar/2026:{}] \"GET {target} HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" {behind}\n",
        time(n, " +0000")
    )
}

/// A line of Apache's error log, of so many bytes, about what is no HTTP. Of two like it, regular expressions of
/// Apache's error log took minutes (fail2ban, its test data of `apache-overflows`).
fn error(n: usize, length: usize) -> String {
    let mut line = format!(
        "[Mon Mar 02 {} 2026] [error] [client 192.0.2.7] Invalid URI in request ",
        time(n, "")
    );
    let mut random = Random::new(n as u64);
    while line.len() < length {
        match random.below(3) {
            0 => line.push(char::from(33 + u8::try_from(random.below(94)).unwrap())),
            _ => write!(line, "\\x{:02x}", 128 + random.below(128)).unwrap(),
        }
    }
    // Real ones are cut within an escape.
    line.truncate(length);
    line.push('\n');
    line
}

fn time(n: usize, zone: &str) -> String {
    format!("{:02}:{:02}:{:02}{zone}", 3 + n / 3600, n / 60 % 60, n % 60)
}

fn base64(random: &mut Random, length: usize) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    (0..length).map(|_| char::from(DIGITS[usize::try_from(random.below(64)).unwrap()])).collect()
}
