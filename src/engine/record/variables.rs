//! The meaning of nginx's `log_format` variables and of Apache's `LogFormat` directives.

use std::borrow::Cow;

use super::draft::{Part, Slot};
use super::duration::Whole;
use super::keys;
use super::names;

/// Where a variable's value is stored, and the rank of the source.
pub(super) type Meaning = (Slot, u8);

/// Variables of nginx (and prefixes of their names) that are no part of a record.
const NGINX_OTHERS: &[&str] = &[
    "binary_",
    "bytes_received",
    "connection",
    "content_",
    "date_",
    "document_root",
    "fastcgi_",
    "geoip",
    "gzip_ratio",
    "hostname",
    "limit_",
    "nginx_",
    "pid",
    "pipe",
    "protocol",
    "proxy_host",
    "proxy_port",
    "proxy_protocol",
    "realip_",
    "realpath_",
    "remote_port",
    "request_completion",
    "request_filename",
    "request_id",
    "request_length",
    "sent_",
    "server_addr",
    "server_port",
    "session_time",
    "spdy",
    "ssl_",
    "tcpinfo_",
    "upstream_",
];

/// Returns the meaning of an nginx variable. One that nginx does not define comes from the site (`map`, `js_set`),
/// and only its name can be used.
pub(super) fn nginx(name: &str) -> Meaning {
    let part = |part, rank| (Slot::Part(part), rank);
    match name {
        "remote_addr" => part(Part::Client, 3),
        "proxy_protocol_addr" => part(Part::Client, 2),
        "realip_remote_addr" => part(Part::Client, 1),
        "remote_user" => part(Part::User, 3),
        "time_local" | "time_iso8601" | "msec" => part(Part::Time, 3),
        "request" => part(Part::Request, 2),
        "request_method" => part(Part::Method, 3),
        "request_uri" => part(Part::Target, 4),
        "uri" | "document_uri" => part(Part::Target, 3),
        "args" | "query_string" | "is_args" => part(Part::Query, 3),
        "server_protocol" => part(Part::Version, 3),
        "status" => part(Part::Status, 3),
        "body_bytes_sent" => part(Part::Bytes, 3),
        "bytes_sent" => part(Part::Bytes, 2),
        "http_host" | "host" => part(Part::Host, 3),
        "server_name" => part(Part::Host, 2),
        "ssl_server_name" => part(Part::Host, 1),
        "scheme" => part(Part::Scheme, 3),
        "https" => part(Part::Scheme, 2),
        "ssl_protocol" => part(Part::Tls, 3),
        "request_time" => (Slot::Took(Whole::Unknown), 1),
        "proxy_add_x_forwarded_for" => (Slot::Header(Cow::Borrowed("x-forwarded-for")), 1),
        _ if let Some(header) = of_the_answer(name) => (header, 1),
        _ if NGINX_OTHERS.iter().any(|other| name.starts_with(other)) => (Slot::Skip, 0),
        _ => nginx_by_prefix(name),
    }
}

/// Returns the slot of a response header: it does not concern the request, unless it is a gateway's id of the token.
fn of_the_answer(name: &str) -> Option<Slot> {
    let header = name.strip_prefix("upstream_http_").or_else(|| name.strip_prefix("sent_http_"))?;
    names::is_id(header).then(|| Slot::Id(Cow::Owned(header.to_owned())))
}

fn nginx_by_prefix(name: &str) -> Meaning {
    if let Some(header) = name.strip_prefix("http_") {
        return keys::header(header).slot.unwrap_or((Slot::Skip, 0));
    }
    if let Some(cookie) = name.strip_prefix("cookie_") {
        return (Slot::Cookie(Cow::Owned(cookie.to_owned())), 1);
    }
    if let Some(argument) = name.strip_prefix("arg_") {
        return (Slot::Argument(Cow::Owned(argument.to_owned())), 1);
    }
    if let Some(claim) = name.strip_prefix("jwt_claim_")
        && let Some(slot) = keys::claim(claim)
    {
        return slot;
    }
    if name.ends_with("request") {
        return (Slot::Part(Part::Request), 1);
    }
    if name.ends_with("_uri") {
        return (Slot::Part(Part::Target), 1);
    }
    (of_the_site(name), 1)
}

/// Returns the slot that a name chosen by the site implies.
fn of_the_site(name: &str) -> Slot {
    if names::is_id(name) {
        Slot::Id(Cow::Owned(name.to_owned()))
    } else if names::is_told(name) {
        Slot::Variable(Cow::Owned(name.to_owned()))
    } else {
        Slot::Unnamed
    }
}

/// Returns the meaning of an Apache directive `%{argument}letter`; `None` if it does not exist.
pub(super) fn apache(letter: char, argument: Option<&str>) -> Option<Meaning> {
    let part = |part, rank| (Slot::Part(part), rank);
    Some(match (letter, argument) {
        ('a', None) => part(Part::Client, 4),
        ('h', None | Some("c")) => part(Part::Client, 3),
        ('a', Some(_)) => part(Part::Client, 2),
        ('u', None) => part(Part::User, 3),
        ('t', _) => part(Part::Time, 3),
        ('r', None) => part(Part::Request, 2),
        ('m', None) => part(Part::Method, 3),
        ('U', None) => part(Part::Target, 3),
        ('q', None) => part(Part::Query, 3),
        ('H', None) => part(Part::Version, 3),
        ('s', None) => part(Part::Status, 3),
        ('b' | 'B', None) => part(Part::Bytes, 3),
        ('O', None) => part(Part::Bytes, 2),
        ('v', None) => part(Part::Host, 2),
        ('V', None) => part(Part::Host, 3),
        ('i', Some(name)) => keys::header(name).slot.unwrap_or((Slot::Skip, 0)),
        ('C', Some(name)) => (Slot::Cookie(Cow::Owned(name.to_owned())), 1),
        ('e', Some("HTTPS")) => part(Part::Scheme, 2),
        // Gunicorn.
        ('e', Some("wsgi.url_scheme")) => part(Part::Scheme, 3),
        ('e' | 'x', Some("SSL_PROTOCOL")) | ('c', Some("version")) => part(Part::Tls, 3),
        ('x', Some("SSL_TLS_SNI")) => part(Part::Host, 1),
        ('e' | 'n', Some(name)) => (of_the_site(name), 1),
        // Varnish.
        ('x', Some(name)) if let Some(own) = name.strip_prefix("VCL_Log:") => (of_the_site(own), 1),
        ('o', Some(header)) if names::is_id(header) => (Slot::Id(Cow::Owned(header.to_owned())), 1),
        ('l' | 'A' | 'D' | 'f' | 'I' | 'k' | 'L' | 'p' | 'P' | 'R' | 'S' | 'T' | 'X', _)
        | ('o' | 'x' | 'c', Some(_)) => (Slot::Skip, 0),
        _ => return None,
    })
}

/// Our names of fields, for an error about an unknown one; some have a second name.
pub(super) const FIELD_NAMES: &str = "time, client, request, method, target, query, version, status, bytes, referer, \
     agent, user, host, scheme, tls, forwarded, authorization, cookie, x_api_key, id";

/// Returns where a field of the site's `fields` table is stored, by our name of it.
pub(super) fn field(name: &str) -> Option<Slot> {
    if let Some((kind, name)) = name.split_once('.') {
        return match kind {
            "header" => keys::header(name).slot.map(|(slot, _)| slot),
            "cookie" => Some(Slot::Cookie(Cow::Owned(name.to_owned()))),
            "id" => Some(Slot::Id(Cow::Owned(name.to_owned()))),
            _ => None,
        };
    }
    let part = |part| Some(Slot::Part(part));
    match name {
        "time" => part(Part::Time),
        "client" => part(Part::Client),
        "request" => part(Part::Request),
        "method" => part(Part::Method),
        "target" | "path" | "uri" => part(Part::Target),
        "query" => part(Part::Query),
        "version" => part(Part::Version),
        "status" => part(Part::Status),
        "bytes" => part(Part::Bytes),
        "referer" => part(Part::Referer),
        "agent" | "user_agent" => part(Part::Agent),
        "user" => part(Part::User),
        "host" => part(Part::Host),
        "scheme" => part(Part::Scheme),
        "tls" => part(Part::Tls),
        "forwarded" | "x_forwarded_for" => Some(Slot::Header(Cow::Borrowed("x-forwarded-for"))),
        "authorization" => Some(Slot::Header(Cow::Borrowed("authorization"))),
        "cookie" => Some(Slot::Header(Cow::Borrowed("cookie"))),
        "x_api_key" => Some(Slot::Header(Cow::Borrowed("x-api-key"))),
        "id" | "token_id" | "jti" | "kid" => Some(Slot::Id(Cow::Owned(name.to_owned()))),
        _ => None,
    }
}
