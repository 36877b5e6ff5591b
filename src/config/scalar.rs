//! Single values: one function for each kind, from TOML to a plain type.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveTime;
use ipnet::IpNet;
use lettre::message::Mailbox;
use toml::de::DeValue;

use super::fault::At;
use super::read::{Node, Reading, nearest};
use super::value::{self, Wrong, show_duration, show_size};
use crate::engine::alert::Level;
use crate::engine::requests::Requests;
use crate::engine::smtp::Server;
use crate::engine::zone::Zone;

pub(super) fn text(node: Node<'_>) -> Reading<String> {
    let Some(text) = node.raw().as_str() else {
        let hint = format!("write \"{}\"", node.span().text());
        return Err(node.wrong("a text", if node.is_scalar() { hint } else { String::new() }));
    };
    if text.is_empty() {
        return Err(node.wrong("a text that is not empty", "leave the key out instead"));
    }
    Ok(text.to_owned())
}

/// Reads one text or a list of texts.
pub(super) fn texts(node: Node<'_>) -> Reading<Vec<At<String>>> {
    one_or_more(node, text)
}

/// Reads one path and makes it absolute.
pub(super) fn path(node: Node<'_>) -> Reading<PathBuf> {
    let path = text(node)?;
    without_home(node, &path)?;
    Ok(node.resolve(&path))
}

/// Refuses `~`: only shells replace it, so it would be a directory of that name.
fn without_home(node: Node<'_>, path: &str) -> Reading<()> {
    if path == "~" || path.starts_with("~/") {
        return Err(
            node.wrong("an absolute path", "only shells replace `~`: write the home directory out")
        );
    }
    Ok(())
}

/// Reads one path or a list of paths and makes them absolute.
pub(super) fn paths(node: Node<'_>) -> Reading<Vec<At<PathBuf>>> {
    one_or_more(node, path)
}

/// Reads globs and makes them absolute; the folder to which they are relative is taken literally.
pub(super) fn globs(node: Node<'_>) -> Reading<Vec<At<String>>> {
    one_or_more(node, glob)
}

fn glob(node: Node<'_>) -> Reading<String> {
    let text = text(node)?;
    without_home(node, &text)?;
    if let Err(error) = glob::Pattern::new(&text) {
        let hint = "`*` and `?` stand for characters, `**` for folders, `[...]` for a set";
        return Err(node.wrong(format!("a path or a pattern of paths ({})", error.msg), hint));
    }
    if text.starts_with('/') {
        return Ok(text);
    }
    let folder = node.resolve("");
    let folder = folder
        .to_str()
        .ok_or_else(|| node.wrong("an absolute path", "the path of this file is not UTF-8"))?;
    Ok(format!("{}{text}", glob::Pattern::escape(folder)))
}

pub(super) fn flag(node: Node<'_>) -> Reading<bool> {
    let meant = match node.raw().as_str() {
        Some("yes" | "on" | "true") => "write true",
        Some("no" | "off" | "false") => "write false",
        _ => "",
    };
    node.raw().as_bool().ok_or_else(|| node.wrong("true or false", meant))
}

/// Reads a whole number within a range.
pub(super) fn count(range: RangeInclusive<u64>) -> impl Fn(Node<'_>) -> Reading<u64> {
    move |node| {
        let number = node.raw().as_integer();
        let number = number.and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        let wrong = || node.wrong(format!("a whole number {}", show(&range, u64::to_string)), "");
        number.filter(|n| range.contains(n)).ok_or_else(wrong)
    }
}

/// Reads a number within a range, whole or not.
pub(super) fn number(range: RangeInclusive<f64>) -> impl Fn(Node<'_>) -> Reading<f64> {
    move |node| {
        let number: Option<f64> = match node.raw() {
            DeValue::Integer(n) if n.radix() == 10 => n.as_str().parse().ok(),
            DeValue::Float(n) => n.as_str().parse().ok(),
            _ => None,
        };
        let within = || match *range.end() < f64::MAX {
            true => show(&range, f64::to_string),
            false => format!("of at least {}", range.start()),
        };
        let wrong = || node.wrong(format!("a number {}", within()), "");
        number.filter(|n| range.contains(n)).ok_or_else(wrong)
    }
}

pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(Node<'_>) -> Reading<Duration> {
    let within = show(&range, |duration| show_duration(*duration));
    move |node| {
        let duration = worded(node, value::duration)?;
        let wrong = || node.wrong(format!("a duration {within}"), "");
        Some(duration).filter(|d| range.contains(d)).ok_or_else(wrong)
    }
}

pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(Node<'_>) -> Reading<u64> {
    let within = show(&range, |size| show_size(*size));
    move |node| {
        let size = worded(node, value::size)?;
        let wrong = || node.wrong(format!("a size {within}"), "");
        Some(size).filter(|size| range.contains(size)).ok_or_else(wrong)
    }
}

pub(super) fn time_of_day(node: Node<'_>) -> Reading<NaiveTime> {
    worded(node, value::time_of_day)
}

pub(super) fn zone(node: Node<'_>) -> Reading<Zone> {
    worded(node, value::zone)
}

pub(super) fn server(node: Node<'_>) -> Reading<Server> {
    worded(node, value::server)
}

pub(super) fn level(node: Node<'_>) -> Reading<Level> {
    const NAMES: [&str; 5] = ["informational", "low", "medium", "high", "critical"];
    one_of(&NAMES)(node).map(|name| Level::parse(name).unwrap_or_default())
}

/// Reads one of a few words.
pub(super) fn one_of(words: &'static [&'static str]) -> impl Fn(Node<'_>) -> Reading<&'static str> {
    move |node| {
        let text = node.raw().as_str().unwrap_or_default();
        let like = || nearest(text, words).map(|word| format!("did you mean \"{word}\"?"));
        let wrong = || {
            let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            node.wrong(quoted.join(" or "), like().unwrap_or_default())
        };
        words.iter().find(|word| **word == text).copied().ok_or_else(wrong)
    }
}

/// Reads a network, or an address as a network of one; bits beyond the prefix are dropped.
pub(super) fn network(node: Node<'_>) -> Reading<IpNet> {
    let text = node.raw().as_str().unwrap_or_default();
    let net = text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    net.map(|net| net.trunc()).map_err(|_| {
        node.wrong("a network such as \"10.0.0.0/8\" or an address such as \"2001:db8::1\"", "")
    })
}

/// Reads a mail address, with or without a name, exactly as the mailer accepts it.
pub(super) fn mailbox(node: Node<'_>) -> Reading<String> {
    let text = node.raw().as_str().unwrap_or_default();
    match text.parse::<Mailbox>() {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => {
            Err(node
                .wrong("an address such as \"ops@example.org\" or \"Ops <ops@example.org>\"", ""))
        }
    }
}

/// Reads one mail address or a list of them, but not an empty one.
pub(super) fn mailboxes(node: Node<'_>) -> Reading<Vec<String>> {
    let boxes: Vec<_> = one_or_more(node, mailbox)?.into_iter().map(|at| at.value).collect();
    if boxes.is_empty() { Err(node.wrong("at least one address", "")) } else { Ok(boxes) }
}

/// Reads names that are tokens in the sense of HTTP: the characters of header, cookie and parameter names, including
/// brackets and dots of parameter names.
pub(super) fn names(node: Node<'_>) -> Reading<Vec<String>> {
    let name = |node: Node<'_>| {
        let name = text(node)?;
        if name.chars().any(|c| c.is_whitespace() || c.is_control() || "=;,&?\"".contains(c)) {
            return Err(node.wrong("a name without blanks or any of = ; , & ? \"", ""));
        }
        Ok(name)
    };
    Ok(one_or_more(node, name)?.into_iter().map(|at| at.value).collect())
}

/// Reads sets of requests: paths, each alone or after a method.
pub(super) fn requests(node: Node<'_>) -> Reading<Vec<Requests>> {
    let requests =
        |node: Node<'_>| Requests::parse(&text(node)?).map_err(|expected| node.wrong(expected, ""));
    Ok(one_or_more(node, requests)?.into_iter().map(|at| at.value).collect())
}

fn one_or_more<T>(node: Node<'_>, read: impl Fn(Node<'_>) -> Reading<T>) -> Reading<Vec<At<T>>> {
    let read = |node: Node<'_>| read(node).map(|value| At { value, span: node.span() });
    if node.raw().is_str() { read(node).map(|one| vec![one]) } else { node.list(read) }
}

/// Reads a text with one of the functions of [`value`], whose error messages it uses.
///
/// A TOML number or time is read as written: `digest = 07:30` is clear, and for `activity = 400` the best hint is the
/// one for `"400"`.
fn worded<T>(node: Node<'_>, read: fn(&str) -> Result<T, Wrong>) -> Reading<T> {
    let span = node.span();
    let written = if node.is_scalar() { span.text() } else { "" };
    let text = node.raw().as_str().unwrap_or(written);
    read(text).map_err(|wrong| node.wrong(wrong.expected, wrong.hint))
}

fn show<T>(range: &RangeInclusive<T>, show: impl Fn(&T) -> String) -> String {
    format!("from {} to {}", show(range.start()), show(range.end()))
}
