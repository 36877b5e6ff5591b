//! Determines the columns of a line without a `#Fields` line by its shape.
//!
//! A server prints the chosen fields in a fixed order, so the values show which ones were chosen:
//!
//! | writer | order | source |
//! | --- | --- | --- |
//! | IIS 6 and later | date time \[s-sitename\] \[s-computername\] s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip \[cs-version\] \[cs(User-Agent)\] \[cs(Cookie)\] \[cs(Referer)\] \[cs-host\] sc-status \[sc-substatus sc-win32-status\] \[sc-bytes cs-bytes\] \[time-taken\] | Microsoft, "W3C Extended Log File Format" |
//! | IIS 5 | date time c-ip cs-username s-ip s-port cs-method cs-uri-stem cs-uri-query sc-status cs(User-Agent) | the same |
//! | IIS FTP | time c-ip cs-method cs-uri-stem sc-status | the same |
//! | CloudFront | 33 tabbed fields, fewer in older logs | AWS, "Standard log file fields" |
//! | Incapsula | 41 quoted fields | Imperva, "Example logs" |
//! | Zeek `http.log` | tabbed; `version` since 2.5, `origin` since 3.0 | Zeek, `base/protocols/http/main.zeek` |

use super::client::parse_address;
use super::columns::Words;
use super::scan::status;
use super::time;

/// Fields by their writer's names.
type Names = Vec<&'static str>;

const CLOUDFRONT: &str = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem \
     sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type \
     x-edge-request-id x-host-header cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol \
     ssl-cipher x-edge-response-result-type cs-protocol-version fle-status fle-encrypted-fields \
     c-port time-to-first-byte x-edge-detailed-result-type sc-content-type sc-content-len \
     sc-range-start sc-range-end";
/// The fewest columns: the oldest CloudFront logs end with the query.
const LEAST_CLOUDFRONT: usize = 12;

const INCAPSULA: &str = "date time cs-vid cs-clapp cs-browsertype cs-js-support cs-co-support c-ip \
     s-caip cs-clappsig s-capsupport s-suid cs(User-Agent) cs-sessionid s-siteid cs-countrycode \
     s-tag cs-cicode s-computername cs-lat cs-long s-accountname cs-uri cs-postbody cs-version \
     sc-action s-externalid cs(Referrer) s-ip s-port cs-method cs-uri-query sc-status s-xff \
     cs-bytes cs-start cs-rule cs-severity cs-attacktype cs-attackid s-ruleName";

const ZEEK: &str = "ts uid id.orig_h id.orig_p id.resp_h id.resp_p trans_depth method host uri \
     referrer version user_agent origin request_body_len response_body_len status_code status_msg \
     info_code info_msg tags username password proxied orig_fuids orig_filenames orig_mime_types \
     resp_fuids resp_filenames resp_mime_types";

const IIS: &str = "date time s-sitename s-computername s-ip cs-method cs-uri-stem cs-uri-query s-port \
     cs-username c-ip cs-version cs(User-Agent) cs(Cookie) cs(Referer) cs-host sc-status \
     sc-substatus sc-win32-status sc-bytes cs-bytes time-taken";
const IIS_5: &str = "date time c-ip cs-username s-ip s-port cs-method cs-uri-stem cs-uri-query \
     sc-status cs(User-Agent)";
const IIS_FTP: &str = "time c-ip cs-method cs-uri-stem sc-status";

/// Returns every name that a layout may have, some more than once. (Fields added later are unknown.)
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [CLOUDFRONT, INCAPSULA, ZEEK, IIS, IIS_5, IIS_FTP]
        .into_iter()
        .flat_map(str::split_ascii_whitespace)
}

/// Returns the names of a line's columns, if its shape determines them.
pub(super) fn layout(words: &Words<'_>) -> Option<Names> {
    let values = &words.values[..];
    let first = *values.first()?;
    if words.has_tabs {
        return if is_day(first) { cloudfront(values) } else { zeek(values) };
    }
    if words.is_quoted {
        return exactly(INCAPSULA, values.len());
    }
    if !is_day(first) {
        return is_clock(first).then(|| exactly(IIS_FTP, values.len()))?;
    }
    let is_iis_5 = values.len() == 11
        && values.get(2).is_some_and(|v| parse_address(v).is_some())
        && values.get(6).is_some_and(|v| is_method(v));
    if is_iis_5 { exactly(IIS_5, 11) } else { iis(values) }
}

fn exactly(names: &'static str, n: usize) -> Option<Names> {
    let names: Names = names.split_ascii_whitespace().collect();
    (names.len() == n).then_some(names)
}

fn cloudfront(values: &[&[u8]]) -> Option<Names> {
    let is_client = values.get(4).is_some_and(|v| parse_address(v).is_some());
    let names = CLOUDFRONT.split_ascii_whitespace();
    let names: Names = names.chain(std::iter::repeat("x-later")).take(values.len()).collect();
    (is_client && values.len() >= LEAST_CLOUDFRONT).then_some(names)
}

fn zeek(values: &[&[u8]]) -> Option<Names> {
    let number = |at: usize| values.get(at).is_some_and(|v| v.iter().all(u8::is_ascii_digit));
    let is_http = time::epoch(values.first()?).is_some()
        && values.get(2).is_some_and(|v| parse_address(v).is_some())
        && number(6);
    let has_version = values.get(11).is_some_and(|v| matches!(*v, [b'0'..=b'9', b'.', _] | b"-"));
    let agent = 11 + usize::from(has_version);
    let has_origin = !number(agent + 1);
    let is_kept = |name: &&str| match *name {
        "version" => has_version,
        "origin" => has_origin,
        _ => true,
    };
    let names = ZEEK.split_ascii_whitespace().filter(is_kept);
    let names: Names = names.chain(std::iter::repeat("later")).take(values.len()).collect();
    (is_http && agent + 4 < values.len()).then_some(names)
}

/// Aligns a line of IIS 6 and later with the fixed order of its fields.
fn iis(values: &[&[u8]]) -> Option<Names> {
    // The server's address, optionally preceded by the names of the site and the computer.
    let is_address = |at: usize| values.get(at).is_some_and(|v| parse_address(v).is_some());
    let server =
        (2..=4).find(|at| is_address(*at) && values.get(at + 1).is_some_and(|v| is_method(v)))?;
    let mut names = vec!["date", "time"];
    names.extend(["s-sitename", "s-computername"].get(..server - 2)?);
    names.extend(["s-ip", "cs-method", "cs-uri-stem", "cs-uri-query"]);
    // Between the query and the client there may be the port, the user, or both.
    let from = server + 4;
    let client = (from..from + 3).rev().find(|at| is_address(*at))?;
    names.extend(match client - from {
        0 => &[][..],
        1 if values.get(from).is_some_and(|v| v.iter().all(u8::is_ascii_digit)) => &["s-port"],
        1 => &["cs-username"],
        _ => &["s-port", "cs-username"],
    });
    names.push("c-ip");
    let rest = values.get(client + 1..)?;
    // The numbers at the end: the status and the fields after it.
    let is_number = |v: &&&[u8]| !v.is_empty() && v.iter().all(u8::is_ascii_digit) || **v == b"-";
    let n_last = rest.iter().rev().take(6).take_while(is_number).count();
    let (before, last) = (1..=n_last)
        .rev()
        .filter_map(|n| rest.split_at_checked(rest.len() - n))
        .find(|(_, last)| last.first().is_some_and(|v| status(v).is_some()))?;
    names.extend(of_the_request(before)?);
    names.extend(of_the_answer(last.len())?);
    Some(names)
}

/// Names the fields between the client and the status.
fn of_the_request(values: &[&[u8]]) -> Option<Names> {
    let (version, values) = match values.split_first() {
        Some((first, rest)) if first.starts_with(b"HTTP/") => (&["cs-version"][..], rest),
        _ => (&[][..], values),
    };
    let is_url = |v: &&[u8]| memchr::memmem::find(v, b"://").is_some();
    let has_host_last = values.last().is_some_and(|v| *v != b"-" && !is_url(v));
    let names: &[&str] = match values.len() {
        0 => &[],
        1 => &["cs(User-Agent)"],
        2 => &["cs(User-Agent)", "cs(Referer)"],
        3 if has_host_last => &["cs(User-Agent)", "cs(Referer)", "cs-host"],
        3 => &["cs(User-Agent)", "cs(Cookie)", "cs(Referer)"],
        4 => &["cs(User-Agent)", "cs(Cookie)", "cs(Referer)", "cs-host"],
        _ => return None,
    };
    Some(version.iter().chain(names).copied().collect())
}

/// Names the status and the fields after it.
fn of_the_answer(n: usize) -> Option<Names> {
    let names: &[&str] = match n {
        1 => &["sc-status"],
        2 => &["sc-status", "time-taken"],
        3 => &["sc-status", "sc-substatus", "sc-win32-status"],
        4 => &["sc-status", "sc-substatus", "sc-win32-status", "time-taken"],
        5 => &["sc-status", "sc-substatus", "sc-win32-status", "sc-bytes", "cs-bytes"],
        6 => {
            &["sc-status", "sc-substatus", "sc-win32-status", "sc-bytes", "cs-bytes", "time-taken"]
        }
        _ => return None,
    };
    Some(names.to_vec())
}

fn is_day(value: &[u8]) -> bool {
    matches!(value, [_, _, _, _, b'-', _, _, b'-', _, _])
}

fn is_clock(value: &[u8]) -> bool {
    matches!(value, [_, _, b':', _, _, b':', _, _])
}

fn is_method(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_'))
}
