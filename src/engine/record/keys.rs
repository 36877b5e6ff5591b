//! One table of what JSON keys mean: nginx variables, Caddy, Traefik, Cloudflare, ECS and the usual synonyms.

use std::borrow::Cow;

use super::draft::{Part, Slot};
use super::names;

/// The kind of object in which a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// The whole line, or an object that describes the request (`request`, `req`, `http.request`).
    Root,
    /// Request headers by name.
    Headers,
    /// Cookies by name.
    Cookies,
    /// ECS `http`.
    Http,
    /// ECS `http.response`.
    Response,
    /// `http.response.body`.
    Body,
    /// `source`, `client`.
    Peer,
    /// `url`.
    Url,
    /// `user_agent`.
    Agent,
    /// `user`.
    User,
    /// `tls`.
    Tls,
    /// A gateway's `consumer`, `authenticated_entity`, `credential`.
    Consumer,
}

/// What a key means: where a plain value goes and how good a source it is, and what an object under it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Meaning {
    pub(super) slot: Option<(Slot, u8)>,
    pub(super) scope: Option<Scope>,
}

impl Meaning {
    fn part(part: Part, rank: u8) -> Self {
        Self { slot: Some((Slot::Part(part), rank)), scope: None }
    }

    /// Says whether the key means nothing to us.
    pub(super) const fn is_nothing(&self) -> bool {
        self.slot.is_none() && self.scope.is_none()
    }

    fn slot(slot: Slot) -> Self {
        Self { slot: Some((slot, 1)), scope: None }
    }

    fn object(scope: Scope) -> Self {
        Self { slot: None, scope: Some(scope) }
    }

    fn or(self, scope: Scope) -> Self {
        Self { scope: Some(scope), ..self }
    }
}

/// Returns what a key means in an object of some kind.
pub(super) fn meaning(scope: Scope, key: &str) -> Meaning {
    match scope {
        Scope::Root => root(key),
        Scope::Headers => header(key),
        Scope::Cookies => Meaning::slot(Slot::Cookie(Cow::Owned(key.to_owned()))),
        Scope::Http => match key.as_bytes() {
            b"request" => Meaning::object(Scope::Root),
            b"response" => Meaning::object(Scope::Response),
            b"version" => Meaning::part(Part::Version, 3),
            b"useragent" => Meaning::part(Part::Agent, 2),
            _ => root(key),
        },
        Scope::Response => match key.as_bytes() {
            b"status" | b"status_code" | b"statusCode" | b"code" => Meaning::part(Part::Status, 3),
            b"bytes" | b"size" | b"length" => Meaning::part(Part::Bytes, 2),
            b"body" => Meaning::object(Scope::Body),
            _ => Meaning::default(),
        },
        Scope::Body => match key.as_bytes() {
            b"bytes" | b"size" => Meaning::part(Part::Bytes, 3),
            _ => Meaning::default(),
        },
        Scope::Peer => match key.as_bytes() {
            b"ip" => Meaning::part(Part::Client, 3),
            b"address" => Meaning::part(Part::Client, 2),
            _ => Meaning::default(),
        },
        Scope::Url => match key.as_bytes() {
            b"original" => Meaning::part(Part::Target, 4),
            b"full" => Meaning::part(Part::Target, 3),
            b"path" => Meaning::part(Part::Target, 2),
            b"query" => Meaning::part(Part::Query, 3),
            b"domain" => Meaning::part(Part::Host, 3),
            b"scheme" => Meaning::part(Part::Scheme, 3),
            _ => Meaning::default(),
        },
        Scope::Agent => match key.as_bytes() {
            b"original" => Meaning::part(Part::Agent, 3),
            _ => Meaning::default(),
        },
        Scope::User => match key.as_bytes() {
            b"name" => Meaning::part(Part::User, 3),
            b"id" => Meaning::part(Part::User, 1),
            _ => Meaning::default(),
        },
        Scope::Tls => match key.as_bytes() {
            b"version" | b"protocol" => Meaning::part(Part::Tls, 2),
            _ => Meaning::default(),
        },
        Scope::Consumer => match key.as_bytes() {
            b"id" => Meaning::slot(Slot::Id(Cow::Borrowed("consumer"))),
            b"username" | b"name" => Meaning::part(Part::User, 1),
            _ => Meaning::default(),
        },
    }
}

/// A header by its own name; those that are parts of a record go there.
pub(super) fn header(name: &str) -> Meaning {
    let part = |part| Meaning::part(part, 1);
    match name.len() {
        4 if name.eq_ignore_ascii_case("host") => part(Part::Host),
        7 if name.eq_ignore_ascii_case("referer") => part(Part::Referer),
        10 if name.eq_ignore_ascii_case("user-agent")
            || name.eq_ignore_ascii_case("user_agent") =>
        {
            part(Part::Agent)
        }
        _ => names::header(name.as_bytes())
            .map_or_else(Meaning::default, |name| Meaning::slot(Slot::Header(name))),
    }
}

/// Matched as bytes, since the compiler makes a tree of lengths and bytes of it, of `str` a list of compares.
fn root(key: &str) -> Meaning {
    if let Some(known) = known_part(key.as_bytes()).or_else(|| credential(key.as_bytes())) {
        return known;
    }
    // Traefik's header names are capitalised, which tells `request_Cookie` from nginx' `request_time`.
    let traefik =
        key.strip_prefix("request_").filter(|n| n.starts_with(|c: char| c.is_ascii_uppercase()));
    if let Some(name) = key.strip_prefix("http_").or(traefik) {
        return header(name);
    }
    if let Some(name) = key.strip_prefix("cookie_").or_else(|| key.strip_prefix("cookie.")) {
        return Meaning::slot(Slot::Cookie(Cow::Owned(name.to_owned())));
    }
    Meaning::default()
}

fn known_part(key: &[u8]) -> Option<Meaning> {
    let of = Meaning::part;
    Some(match key {
        b"time"
        | b"ts"
        | b"msec"
        | b"timestamp"
        | b"time_iso8601"
        | b"time_local"
        | b"datetime"
        | b"date_time"
        | b"date"
        | b"StartUTC"
        | b"start_time"
        | b"startTime"
        | b"started_at"
        | b"requestTimeEpoch"
        | b"EdgeStartTimestamp"
        | b"timeLocal"
        | b"event_time"
        | b"epoch" => of(Part::Time, 3),
        b"@timestamp" | b"StartLocal" | b"EdgeEndTimestamp" | b"requestTime" => of(Part::Time, 2),
        b"client_ip" | b"ClientHost" | b"clientIp" | b"clientIP" | b"ClientIP" | b"real_ip" => {
            of(Part::Client, 4)
        }
        b"client" | b"source" => of(Part::Client, 2).or(Scope::Peer),
        b"remote_addr"
        | b"remote_ip"
        | b"remoteAddr"
        | b"remoteIp"
        | b"remoteIP"
        | b"remote_address"
        | b"ClientAddr"
        | b"ip"
        | b"source_ip"
        | b"sourceIp"
        | b"src_ip"
        | b"client_addr"
        | b"clientAddr"
        | b"client_address"
        | b"remote_host"
        | b"ip_address"
        | b"downstream_remote_address"
        | b"c-ip" => of(Part::Client, 3),
        _ => return asked_part(key),
    })
}

fn asked_part(key: &[u8]) -> Option<Meaning> {
    let of = Meaning::part;
    Some(match key {
        b"request" => of(Part::Request, 2).or(Scope::Root),
        b"request_line" | b"requestLine" => of(Part::Request, 2),
        b"req" | b"httpRequest" => Meaning::object(Scope::Root),
        b"method"
        | b"request_method"
        | b"RequestMethod"
        | b"requestMethod"
        | b"http_method"
        | b"httpMethod"
        | b"ClientRequestMethod"
        | b"verb"
        | b"cs-method" => of(Part::Method, 3),
        b"request_uri" | b"RequestPath" | b"requestUri" | b"requestUrl" | b"ClientRequestURI"
        | b"original_uri" | b"target" | b"request_url" => of(Part::Target, 4),
        b"url" => of(Part::Target, 3).or(Scope::Url),
        b"uri" | b"cs-uri" => of(Part::Target, 3),
        b"path" | b"request_path" | b"cs-uri-stem" => of(Part::Target, 2),
        b"args" | b"query" | b"query_string" | b"queryString" | b"cs-uri-query" => {
            of(Part::Query, 2)
        }
        b"protocol"
        | b"proto"
        | b"server_protocol"
        | b"RequestProtocol"
        | b"http_version"
        | b"httpVersion"
        | b"ClientRequestProtocol"
        | b"request_protocol" => of(Part::Version, 3),
        b"host" | b"http_host" | b"RequestHost" | b"vhost" | b"virtual_host" | b"domain"
        | b"ClientRequestHost" | b"authority" | b":authority" | b"request_host" => {
            of(Part::Host, 3)
        }
        b"RequestAddr" | b"server_name" => of(Part::Host, 2),
        b"scheme" | b"RequestScheme" | b"ClientRequestScheme" | b"request_scheme" => {
            of(Part::Scheme, 3)
        }
        b"ssl_protocol" | b"TLSVersion" | b"tls_version" | b"ssl_version" | b"tls_protocol"
        | b"ClientSSLProtocol" => of(Part::Tls, 3),
        b"tls" => Meaning::object(Scope::Tls),
        b"headers" | b"req_headers" | b"request_headers" | b"requestHeaders" | b"http_headers" => {
            Meaning::object(Scope::Headers)
        }
        b"cookies" => Meaning::object(Scope::Cookies),
        b"http" => Meaning::object(Scope::Http),
        _ => return answer_part(key),
    })
}

fn answer_part(key: &[u8]) -> Option<Meaning> {
    let of = Meaning::part;
    Some(match key {
        b"status"
        | b"status_code"
        | b"statusCode"
        | b"DownstreamStatus"
        | b"response_code"
        | b"responseStatus"
        | b"response_status"
        | b"http_status"
        | b"EdgeResponseStatus"
        | b"sc-status" => of(Part::Status, 3),
        b"code" | b"OriginStatus" => of(Part::Status, 1),
        b"body_bytes_sent"
        | b"bytes"
        | b"size"
        | b"DownstreamContentSize"
        | b"response_size"
        | b"responseSize"
        | b"EdgeResponseBytes"
        | b"body_bytes"
        | b"resp_body_size"
        | b"response_body_size" => of(Part::Bytes, 3),
        b"bytes_sent" | b"bytes_out" | b"responseLength" | b"response_length" | b"sc-bytes" => {
            of(Part::Bytes, 2)
        }
        b"content_length" | b"length" => of(Part::Bytes, 1),
        b"response" | b"res" => Meaning::object(Scope::Response),
        b"http_referer"
        | b"referer"
        | b"referrer"
        | b"http_referrer"
        | b"request_Referer"
        | b"ClientRequestReferer"
        | b"httpReferer" => of(Part::Referer, 3),
        b"user_agent" => of(Part::Agent, 3).or(Scope::Agent),
        b"http_user_agent"
        | b"userAgent"
        | b"useragent"
        | b"user-agent"
        | b"ua"
        | b"agent"
        | b"request_User-Agent"
        | b"ClientRequestUserAgent"
        | b"httpUserAgent" => of(Part::Agent, 3),
        b"user" => of(Part::User, 3).or(Scope::User),
        b"remote_user" | b"ClientUsername" | b"user_id" | b"username" | b"user_name"
        | b"auth_user" | b"authuser" | b"authUser" => of(Part::User, 3),
        _ => return None,
    })
}

/// Keys under which sites log a credential, or the id of one.
fn credential(key: &[u8]) -> Option<Meaning> {
    let header = |name| Slot::Header(Cow::Borrowed(name));
    let id = |name| Slot::Id(Cow::Borrowed(name));
    Some(Meaning::slot(match key {
        b"authorization" | b"Authorization" | b"authz" | b"auth" | b"http_authorization" => {
            header("authorization")
        }
        b"proxy_authorization" => header("proxy-authorization"),
        b"x_api_key" | b"x-api-key" | b"X-API-Key" | b"X-Api-Key" | b"http_x_api_key" => {
            header("x-api-key")
        }
        b"cookie" | b"Cookie" | b"http_cookie" => header("cookie"),
        b"x_forwarded_for" | b"xff" | b"forwarded_for" | b"x-forwarded-for" => {
            header("x-forwarded-for")
        }
        b"authenticated_entity" | b"credential" => return Some(Meaning::object(Scope::Consumer)),
        b"consumer" => return Some(Meaning::slot(id("consumer")).or(Scope::Consumer)),
        b"jti" => id("jti"),
        b"kid" => id("kid"),
        b"token_id" | b"tokenId" => id("token_id"),
        b"tw_id" => id("tw_id"),
        b"api_key_id" | b"apiKeyId" => id("api_key_id"),
        b"key_id" | b"keyId" | b"access_key_id" => id("key_id"),
        b"credential_id" | b"credentialId" => id("credential_id"),
        b"consumer_id" => id("consumer"),
        b"token" | b"access_token" | b"refresh_token" | b"id_token" | b"api_key" | b"apikey"
        | b"apiKey" | b"jwt" | b"bearer" | b"session" | b"session_id" | b"sessionid" | b"sid"
        | b"secret" | b"key" => Slot::Unnamed,
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_known_under_every_prefix() {
        for key in ["http_x_api_key", "x_api_key", "request_X-Api-Key"] {
            let slot = meaning(Scope::Root, key).slot.map(|(slot, _)| slot);
            assert_eq!(slot, Some(Slot::Header("x-api-key".into())), "{key}");
        }
        let slot = meaning(Scope::Root, "request_User-agent").slot.map(|(slot, _)| slot);
        assert_eq!(slot, Some(Slot::Part(Part::Agent)));
        assert_eq!(meaning(Scope::Root, "request_time"), Meaning::default());
        assert_eq!(meaning(Scope::Root, "http_accept"), Meaning::default());
        assert_eq!(meaning(Scope::Root, "level"), Meaning::default());
    }
}
