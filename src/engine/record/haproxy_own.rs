//! What `HAProxy` logs beside requests, into the same file: servers that go down and up, proxies that start and stop,
//! connections that never became a request.
//!
//! ```text
//! [Backup ]Server BACKEND/SERVER is DOWN, reason: ...                  server.c, check.c
//! backend NAME has no server available!                               backend.c
//! Proxy NAME started.                                                 proxy.c, haproxy.c
//! Connect from CLIENT:PORT to ADDRESS:PORT (FRONTEND/HTTP)            frontend.c, without `option httplog`
//! [WARNING]  (PID) : Server BACKEND/SERVER is DOWN, ...               errors.c: the same on standard error
//! CLIENT:PORT [TIME] FRONTEND/LISTENER: SSL handshake failure         session.c
//! ```
//!
//! A line of requests begins with the client's address, and no frontend's name has a slash, so that a client cannot
//! make his request one of these.

use super::scan::{Miss, word};

/// The miss of such a line.
pub(super) const OWN: Miss = Miss::of_server("a request, not a message of HAProxy's own");

/// The messages, as they are passed to `send_log`. `%` is any word, `%/%` any with a slash, and a last `*` any text,
/// perhaps none.
const MESSAGES: &[&str] = &[
    "Server %/% is *",
    "Server %/% was DOWN and now enters maintenance*",
    "Server %/% enters drain state*",
    "Server %/% remains in forced *",
    "Server %/% administratively READY *",
    // With the name that it resolves: `Server b/s ('host') is UP/READY (resolves again)`.
    "Server %/% % is *",
    "Server %/% % resolves again *",
    "Health check for server %/% *",
    "Health check for backup server %/% *",
    "Agent check for server %/% *",
    "Agent check for backup server %/% *",
    "%/% changed its IP from *",
    "%/% changed its FQDN from *",
    "backend % has no server available!",
    "proxy % has no server available!",
    "Proxy % started.",
    "Proxy % stopped *",
    "Proxy % hard-stopped *",
    "Proxy % reached *",
    "Stopping % % in *",
    "Pausing % %",
    "Paused % %",
    "Enabling % %",
    "Resumed % %",
    "proxy % failed to enter pause mode.",
    "frontend % failed to enter pause mode.",
    "Port % busy while trying to enable *",
    "Bind on socket % busy while trying to enable *",
    "Grace period expired, proceeding with soft-stop now.",
    "Scheduling a soft-stop in *",
    "soft-stop running for too long, performing a hard-stop.",
    "Some tasks resisted to hard-stop, exiting now.",
    "Some proxies refused to *",
    "SIGHUP received, dumping servers states*",
    "SIGHUP: Server %/% is *",
    "SIGHUP: Proxy % *",
    "Connect from unknown source to listener *",
    "Connect from % to % %/%",
    "Connect to % %/%",
    "Connect() failed for backend *",
    "Cannot bind to source address before connect() for backend *",
    "Cannot bind to tproxy source address before connect() for backend *",
];

/// What messages on standard error begin with.
const LABELS: [&[u8]; 4] = [b"[ALERT]", b"[WARNING]", b"[NOTICE]", b"[DIAG]"];

/// Returns whether a line is one of the messages.
pub(super) fn is_message(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let said = line.strip_prefix(b"Backup ").unwrap_or(line);
    // Looked at for every line of a log, so most forms are passed over by their first byte.
    let may_fit = |message: &&&str| {
        let first = message.as_bytes().first();
        first == said.first() || first == Some(&b'%')
    };
    MESSAGES.iter().filter(may_fit).any(|message| fits(message, said)) || is_labelled(line)
}

/// Rejects what follows the time in a line about a connection that never became a request: `fe/1: Timeout ...`.
pub(super) fn expect_request(after_time: &[u8]) -> Result<(), Miss> {
    let name = word(after_time).1.strip_suffix(b":");
    let is_listener = name.is_some_and(|name| name.contains(&b'/'));
    if is_listener { Err(OWN) } else { Ok(()) }
}

/// Returns whether a line is of the form of a message.
fn fits(message: &str, line: &[u8]) -> bool {
    let mut rest = line;
    for part in message.split(' ') {
        if let Some(start) = part.strip_suffix('*') {
            return rest.starts_with(start.as_bytes());
        }
        let (after, found) = word(rest);
        let is_alike = match part {
            "%" => !found.is_empty(),
            "%/%" => found.contains(&b'/'),
            _ => found == part.as_bytes(),
        };
        if !is_alike {
            return false;
        }
        rest = after;
    }
    rest.is_empty()
}

/// Returns whether a line is `[WARNING]  (PID) : ...`, which had the day of the year and the time before the process
/// until `HAProxy` 2.4.
fn is_labelled(line: &[u8]) -> bool {
    let (rest, label) = word(line);
    if !LABELS.contains(&label) {
        return false;
    }
    let (after, first) = word(rest.trim_ascii_start());
    let is_stamp = |b: &u8| b.is_ascii_digit() || *b == b'/';
    let (after, process) = if first.iter().all(is_stamp) { word(after) } else { (after, first) };
    let digits = process.strip_prefix(b"(").and_then(|digits| digits.strip_suffix(b")"));
    digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_digit)) && after.starts_with(b": ")
}

#[cfg(test)]
mod tests {
    use super::super::{Columns, Format};
    use crate::engine::reader::Source;
    use crate::engine::zone::Reach;

    const MESSAGES: &[&str] = &[
        r#"Server be/s1 is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 0 active and 0 backup servers left. 2 sessions active, 0 requeued, 0 remaining in queue."#,
        r#"Server be/s1 is UP, reason: Layer7 check passed, code: 200, info: "OK", check duration: 2ms. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue."#,
        "Backup Server be/s2 is DOWN via track/s2. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
        "Server be/s1 is going DOWN for maintenance. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
        "Server be/s1 was DOWN and now enters maintenance (DNS NX status).",
        "Server be/s1 is UP/READY (leaving forced maintenance).",
        "Server be/s1 ('s1.example.org') is UP/READY (resolves again).",
        "Server be/s1 enters drain state. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
        "Server be/s1 remains in forced maintenance.",
        "Health check for server be/s1 succeeded, reason: Layer4 check passed, check duration: 0ms, status: 1/2 DOWN.",
        "Agent check for backup server be/s1 failed, reason: Layer4 timeout, check duration: 2001ms, status: 0/2 DOWN.",
        "be/s1 changed its IP from 192.0.2.3 to 192.0.2.4 by DNS cache.",
        "backend be has no server available!",
        "Proxy fe started.",
        "Proxy fe stopped (cumulated conns: FE: 12, BE: 0).",
        "Proxy fe stopped (FE: 12 conns, BE: 0 conns).",
        "Stopping frontend fe in 0 ms.",
        "Pausing frontend fe.",
        "Connect from 192.0.2.1:1234 to 192.0.2.9:443 (fe/HTTP)",
        "Connect from unknown source to listener 1 (fe/HTTP)",
        "[WARNING]  (8) : Server be/s1 is DOWN, reason: Layer4 timeout.",
        "[ALERT] 049/041157 (4436) : backend 'be' has no server available!",
        "[NOTICE]   (1) : Loading success.",
        "192.0.2.1:58533 [23/Nov/2026:10:45:31.414] main/1: SSL handshake failure",
        "192.0.2.1:58533 [23/Nov/2026:10:45:31.414] fe.a/tls: Timeout during SSL handshake",
        "2001:db8::1:58533 [23/Nov/2026:10:45:31.414] main/1: SSL handshake failure (error:0A000102:SSL routines::unsupported protocol)",
    ];

    /// Returns whether the daemon skips the line; `None` if it counts as unreadable.
    fn is_skipped(preset: &str, line: &str) -> Option<bool> {
        let source = Source::of(Format::preset(preset).unwrap());
        let mut reach = Reach::default();
        let record = source.record(line.as_bytes(), &Columns::default(), &mut reach);
        record.ok().map(|record| record.is_none())
    }

    #[test]
    fn messages_of_haproxy_were_unreadable_lines() {
        for message in MESSAGES {
            let escaped = message.replace('"', r#"\""#);
            for line in [
                (*message).to_owned(),
                format!("<133>Nov 23 10:45:31 haproxy[7]: {message}"),
                format!("Nov 23 10:45:31 lb1 haproxy[7]: {message}"),
                format!("2026-11-23T10:45:31.414159+01:00 lb1 haproxy[7]: {message}"),
                format!("<133>1 2026-11-23T10:45:31Z lb1 haproxy 7 - - {message}"),
                format!("2026-11-23T10:45:31.4Z stderr F {message}"),
                format!("haproxy-1  | {message}"),
                format!(
                    r#"{{"log":"{escaped}\n","stream":"stdout","time":"2026-11-23T10:45:31Z"}}"#
                ),
            ] {
                for preset in ["haproxy", "auto"] {
                    assert_eq!(is_skipped(preset, &line), Some(true), "{preset}: {line}");
                }
            }
            assert_eq!(is_skipped("nginx-combined", message), None, "{message}");
        }
    }

    #[test]
    fn a_client_makes_no_request_one_of_them() {
        let head = "192.0.2.1:43278 [23/Nov/2026:17:11:40.346] fe b/s1 0/0/1/2/3 200 73 - - ---- 1/1/0/0/0 0/0";
        let message = MESSAGES[0].replace('"', "#22");
        for request in [
            format!("GET /{message} HTTP/1.1"),
            message.clone(),
            format!("fe/1: {message}"),
            "fe/1: SSL handshake failure".to_owned(),
        ] {
            let envelope = "Nov 23 17:11:40 lb1 haproxy[7]: ";
            for line in [
                format!("{head} \"{request}\""),
                format!("{head} {{{request}}} \"GET / HTTP/1.1\""),
            ] {
                for preset in ["haproxy", "auto"] {
                    assert_eq!(is_skipped(preset, &line), Some(false), "{line}");
                    let enveloped = format!("{envelope}{line}");
                    assert_eq!(is_skipped(preset, &enveloped), Some(false), "{line}");
                }
            }
        }
        for unreadable in [
            format!("192.0.2.1 {message}"),
            format!("192.0.2.1:43278 [23/Nov/2026:17:11:40.346] {message}"),
            "Server be is DOWN".to_owned(),
            "Proxy fe started. x".to_owned(),
            "[WARNING] Server be/s1 is DOWN".to_owned(),
            "192.0.2.1:43278 [23/Nov/2026:17:11:40.346] fe: SSL handshake failure".to_owned(),
        ] {
            assert_eq!(is_skipped("haproxy", &unreadable), None, "{unreadable}");
        }
    }
}
