//! What the fuzz targets share: reads an input, and asserts what holds for every input there is.

mod files;
mod log;
mod mail;
mod parts;
mod scan;
#[path = "../../tests/it/scripted.rs"]
mod scripted;
mod token;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use smol_str::SmolStr;
use tokenwatch::engine::reader::{Reader, Source};
use tokenwatch::engine::record::Format;
use tokenwatch::engine::secret::SealKey;
use tokenwatch::engine::token::{Finder, Names, Sealer};
use tokenwatch::engine::zone::Zone;

pub use files::{read_config, read_geo, read_old, read_rules, read_tokens};
pub use mail::read_answers;
pub use parts::{read_address, read_time};
pub use scan::{read_file, read_history, read_report};
pub use token::{read_text, read_token};

/// Makes a target of what reads an input. Without the fuzzer, which needs a C++ compiler, it is a program that reads
/// the files that its arguments name.
#[cfg(feature = "libfuzzer-sys")]
#[macro_export]
macro_rules! target {
    ($read:expr) => {
        libfuzzer_sys::fuzz_target!(|input: &[u8]| ($read)(input));
    };
}

/// Makes a target of what reads an input: a program that reads the files that its arguments name.
#[cfg(not(feature = "libfuzzer-sys"))]
#[macro_export]
macro_rules! target {
    ($read:expr) => {
        fn main() {
            $crate::read_arguments($read);
        }
    };
}

/// Reads each file that an argument names.
pub fn read_arguments(read: impl Fn(&[u8])) {
    for path in std::env::args_os().skip(1) {
        read(&std::fs::read(path).expect("a readable file"));
    }
}

/// A made-up token. Where the finder finds it, nothing that leaves the seal may show it.
pub const CANARY: &[u8] = b"exk_canary_0123456789abcdefghij";

/// The presets of the combined family.
pub const COMBINED: &[&str] = &[
    "nginx-combined",
    "apache-combined",
    "common",
    "vhost-combined",
    "lighttpd",
    "litespeed",
    "traefik",
];

const TIMELESS: &[&str] = &["uvicorn", "morgan-dev", "morgan-short", "morgan-tiny"];

/// What stands before a line in the envelopes that are known.
const ENVELOPES: &[&str] = &[
    "<190>Oct 11 22:14:15 host nginx: ",
    "Oct  1 22:14:15 host nginx[7]: ",
    "<165>1 2026-11-23T17:10:33.003Z host nginx 7 - - ",
    "<165>1 2026-11-23T17:10:33.003Z host nginx 7 - [a b=\"\\]\"] ",
    "2026-11-23T17:10:33.537001+00:00 host nginx: ",
    "2026-11-23T17:10:33.5Z stdout F ",
    "2026-11-23T17:10:33.5Z stderr P ",
    "web-1  | ",
    "MESSAGE=",
    "\x1b[32m",
    "\x1b[0mINFO\x1b[1;32m:     ",
];

/// Reads an input as a log of one preset.
pub fn read(preset: &str, input: &[u8]) {
    static READERS: LazyLock<BTreeMap<&str, Reader>> =
        LazyLock::new(|| Format::presets().map(|(name, _)| (name, reader_of(name))).collect());
    log::check(&READERS[preset], input);
}

/// Reads an input as a log of each of these presets.
pub fn read_as(presets: &[&str], input: &[u8]) {
    presets.iter().for_each(|preset| read(preset, input));
}

/// Reads an input as JSON, with the usual keys and with those of a site.
pub fn read_json(input: &[u8]) {
    static OWN: LazyLock<Reader> = LazyLock::new(|| {
        let fields = [
            ("time", "when"),
            ("client", "net.peer.ip"),
            ("request", "request.line"),
            ("status", "status"),
            ("header.x-own", "own"),
            ("cookie.sid", "cookies.sid"),
            ("id.gateway", "auth.key"),
        ];
        let fields = fields.map(|(name, path)| (name.to_owned(), path.to_owned())).into();
        reader(Format::json(&fields).unwrap())
    });
    read("json", input);
    log::check(&OWN, input);
}

/// Reads an input as a log of the formats without a time, bare and in an envelope.
pub fn read_timeless(input: &[u8]) {
    read_as(TIMELESS, input);
    let enveloped = with_heads(input, |_| "2026-11-23T17:10:33.5Z stdout F ");
    read_as(TIMELESS, &enveloped);
    read("auto", &enveloped);
}

/// Reads an input as a log, its lines as they are and each in one of the envelopes; and all of it as the text
/// of Docker's.
pub fn read_enveloped(input: &[u8]) {
    let head = |line: &[u8]| ENVELOPES[line.len() % ENVELOPES.len()];
    let enveloped = with_heads(input, head);
    let twice = with_heads(&enveloped, head);
    for log in [input, &enveloped, &twice] {
        read_as(&["auto", "nginx-combined"], log);
    }
    let docker = |line| {
        let text = String::from_utf8_lossy(line).into_owned() + "\n";
        let time = "2026-11-23T17:10:33.5Z";
        serde_json::json!({"log": text, "stream": "stdout", "time": time}).to_string()
    };
    let lines: Vec<String> = input.split(|byte| *byte == b'\n').map(docker).collect();
    read_as(&["auto", "json"], lines.join("\n").as_bytes());
}

/// Compiles the first line as a template of either syntax and reads the others with it.
pub fn read_template(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (template, lines) = input.split_at(end);
    let lines = lines.get(1..).unwrap_or_default();
    let Ok(template) = std::str::from_utf8(template) else { return };
    for compiled in [Format::nginx(template), Format::apache(template), Format::template(template)]
    {
        match compiled {
            Ok(format) => log::check(&reader(format), lines),
            Err(fault) => {
                let end = template.chars().count() + 1;
                assert!(1 <= fault.column && fault.column <= end, "{template:?}: {fault}");
            }
        }
    }
}

/// Puts before each line what `head` says.
fn with_heads(input: &[u8], head: impl Fn(&[u8]) -> &'static str) -> Vec<u8> {
    let lines = input.split(|byte| *byte == b'\n');
    let lines: Vec<Vec<u8>> = lines.map(|line| [head(line).as_bytes(), line].concat()).collect();
    lines.join(&b'\n')
}

fn names() -> Names {
    let own = |name| vec![SmolStr::new_static(name)];
    Names {
        query: own("my-key"),
        cookies: own("session"),
        headers: own("x-mine"),
        ids: own("x-token-id"),
        ..Names::default()
    }
}

/// Makes a reader of one source of this preset or template.
pub fn reader_of(name: &str) -> Reader {
    let format = Format::preset(name).or_else(|| Format::template(name).ok());
    reader(format.expect("a preset or a template"))
}

/// Makes a reader of one source of this format.
fn reader(format: Format) -> Reader {
    let names = names();
    let source = Source {
        trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
        zone: Zone::named("Europe/Berlin"),
        ..Source::of(format.with_ids(&names.ids))
    };
    let sealer = Sealer::new(SealKey::new(b"key"), &names);
    Reader::new(Finder::new(&names), sealer, vec![source])
}
