//! lighttpd's error log, as `log.c` writes it ("server.errorlog" in lighttpd's documentation).
//!
//! ```text
//! 2026-03-02 08:00:00: (mod_auth.c.791) message[ IP: A]
//! (mod_auth.c.791) message[ IP: A]                               through syslog
//! ```
//!
//! The time has no zone and is read as UTC. The address is the last word, after everything that the client wrote.

use memchr::memmem;

use super::request::put_target;
use super::scan::{Miss, before, given, literal, word};
use super::{Record, client, time};

/// Returns whether a line begins with a source file in brackets, or with a time and one.
pub(super) fn is_likely(line: &[u8]) -> bool {
    let source = match line {
        [b'1' | b'2', _, _, _, b'-', _, _, b'-', ..] => {
            line.get(19..).and_then(|rest| rest.strip_prefix(b": "))
        }
        _ => Some(line),
    };
    source.is_some_and(|source| {
        source.starts_with(b"(")
            && memmem::find(source.get(..40).unwrap_or(source), b".c.").is_some()
    })
}

/// Parses a line.
pub(super) fn read(line: &[u8]) -> Result<Record<'_>, Miss> {
    let mut record = Record::default();
    let mut rest = line;
    if !line.starts_with(b"(") {
        let (after, stamp) = before(line, b": ", "a time like 2026-03-02 08:00:00 and ':'")?;
        let Some(time) = time::iso(stamp) else {
            return Err(Miss::at(line, "a time like 2026-03-02 08:00:00"));
        };
        record.set_time(time);
        rest = after;
    }
    let (rest, _) = literal(rest, b"(", "'(' before the source file")?;
    let (message, _) = before(rest, b") ", "')' after the source file")?;
    if let Some(at) = memmem::rfind(message, b" IP: ") {
        record.client = client::parse_address(message.get(at + 5..).unwrap_or_default());
    }
    // `password doesn't match for URL username: NAME`: the client's text follows the URL.
    if let Some(at) = memmem::find(message, b" for /") {
        put_target(&mut record, given(word(message.get(at + 5..).unwrap_or_default()).1));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::record::tests::{preset, read as shown};

    #[test]
    fn lines_of_the_error_log_are_read() {
        let cases = [
            (
                "2026-03-02 08:00:00: (mod_auth.c.791) digest: auth failed: uri mismatch (/a != /b), IP: 192.0.2.1",
                "2026-03-02T08:00:00Z client=192.0.2.1",
            ),
            (
                "2026-03-02T08:00:00.602061 h lighttpd[7]: (mod_auth.c.853) password doesn't match for / username: a IP: 198.51.100.9 IP: 192.0.2.1",
                "2026-03-02T08:00:00.602061Z client=192.0.2.1 target=/",
            ),
            (
                "2026-03-02 08:00:00: (server.c.1976) server started (lighttpd/1.4.76)",
                "2026-03-02T08:00:00Z",
            ),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(&preset("lighttpd-error"), line), expected, "{line}");
            assert_eq!(shown(&preset("auto"), line), expected, "{line}");
        }
        for (line, expected) in [
            ("", "1: a time like 2026-03-02 08:00:00 and ':' / the end of the line"),
            ("2026-03-02 08:00:61: (a.c.1) x", "1: a time like 2026-03-02 08:00:00 / '2'"),
            ("2026-03-02 08:00:00: a.c.1) x", "22: '(' before the source file / 'a'"),
        ] {
            assert_eq!(shown(&preset("lighttpd-error"), line), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn what_lighttpd_prints_is_read_back(
            address in any::<u32>().prop_map(std::net::Ipv4Addr::from),
            message in "[ -~]{0,40}",
        ) {
            let line = format!("2026-03-02 08:00:00: (mod_auth.c.791) {message} IP: {address}");
            let record = read(line.as_bytes()).unwrap();
            prop_assert_eq!(record.client, Some(address.into()));
            prop_assert_eq!(record.time.map(|t| t.to_rfc3339(0)), Some("2026-03-02T08:00:00Z".to_owned()));
        }
    }
}
