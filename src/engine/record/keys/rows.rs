//! The table of keys, one row per meaning. Supporting a dialect that differs only in names takes a few more names.
//!
//! Sources, by their own names: nginx variables, Caddy "log", Traefik "Logs & Access Logs", Envoy "Access
//! logging" and Istio's default, Cloudflare Logpush "HTTP requests", Akamai `DataStream` 2 "Data set parameters",
//! AWS API Gateway "Variables for access logging" and "Customize HTTP API access logs", AWS WAF "Log fields",
//! Kong `kong/pdk/log.lua`, Google Cloud `LogEntry.HttpRequest`, Azure Application Gateway and Front Door
//! "Access log", Elastic Common Schema, Zeek `http.log`, CloudFront "Standard logging" in JSON, OpenTelemetry
//! "HTTP attributes", Datadog "Standard attributes", GELF, pino-http, bunyan, Serilog, logstash's grok patterns,
//! Filebeat's modules up to 6, Vault and Kubernetes audit logs.

use std::borrow::Cow;

use crate::engine::record::draft::{Part, Slot};
use crate::engine::record::duration::Whole;
use crate::engine::record::keys::{Form, Meaning, Scope};

const fn part(part: Part, rank: u8) -> Meaning {
    Meaning::part(part, rank)
}

/// A plain value is a part; an object contains parts.
const fn either(part: Part, rank: u8, scope: Scope) -> Meaning {
    Meaning { slot: Some((Slot::Part(part), rank)), scope: Some(scope), form: Form::Plain }
}

const fn object(scope: Scope) -> Meaning {
    Meaning::object(scope)
}

const fn header(name: &'static str) -> Meaning {
    Meaning::slot(Slot::Header(Cow::Borrowed(name)))
}

const fn id(name: &'static str) -> Meaning {
    Meaning::slot(Slot::Id(Cow::Borrowed(name)))
}

/// The meaning of each key, by object. If two keys in one line give the same part, the higher rank is the better
/// source: what was sent ranks above what a proxy made of it, the peer above its own claims.
#[rustfmt::skip]
pub(super) static ROWS: &[(Scope, Meaning, &[&str])] = &[
    // Time.
    (Scope::Root, part(Part::Time, 3), &[
        "time", "ts", "msec", "timestamp", "time_iso8601", "time_local", "datetime", "date_time", "date",
        "timeLocal", "event_time", "epoch", "reqTimeSec", "timeStamp", "log_timestamp", "TS", "detected_at",
        "Datetime", "Timestamp", "@t", "asctime", "timeMillis", "timeUnixNano", "time_unix_nano", "_time",
        "written_at", "request_time_iso8601", "Time",
    ]),
    (Scope::Root, part(Part::Time, 3).formed(Form::Beginning), &[
        "StartUTC", "start_time", "startTime", "started_at", "requestTimeEpoch", "EdgeStartTimestamp",
        "requestReceivedTimestamp",
    ]),
    (Scope::Root, part(Part::Time, 2), &["@timestamp", "EdgeEndTimestamp"]),
    (Scope::Root, part(Part::Time, 2).formed(Form::Beginning), &["StartLocal", "requestTime"]),
    (Scope::Root, part(Part::Time, 1), &["stageTimestamp", "receiveTimestamp", "observedTimeUnixNano"]),
    (Scope::Root, Meaning::slot(Slot::Took(Whole::Unknown)), &["request_time", "timeTaken"]),
    (Scope::Root, Meaning::slot(Slot::Took(Whole::Millis)), &["time-taken"]),
    (Scope::Root, Meaning::slot(Slot::Took(Whole::AllMillis)), &["responseTime"]),
    // Of loggers without such an object, some count milliseconds.
    (Scope::Root, Meaning::slot(Slot::Took(Whole::Unknown)).formed(Form::BesideRequest), &["duration"]),
    // Client.
    (Scope::Root, part(Part::Client, 5), &["socketIp"]),
    (Scope::Root, part(Part::Client, 4), &[
        "client_ip", "ClientHost", "clientIp", "clientIP", "ClientIP", "real_ip", "clientip", "cliIP",
        "the_real_ip", "ClientIp", "CIp",
    ]),
    (Scope::Root, part(Part::Client, 3), &[
        "remote_addr", "remote_ip", "remoteAddr", "remoteIp", "remoteIP", "remote_address", "remoteAddress",
        "ClientAddr", "ip", "source_ip", "sourceIp", "src_ip", "client_addr", "clientAddr", "client_address",
        "remote_host", "ip_address", "downstream_remote_address", "c-ip", "remote-address", "remotehost",
        "RemoteAddr", "RemoteIpAddress", "sourceIPs", "callerIpAddress", "proxy_protocol_addr",
        "remote", "peer_addr", "id.orig_h",
    ]),
    (Scope::Root, part(Part::Client, 2), &["downstream_direct_remote_address"]),
    (Scope::Root, either(Part::Client, 2, Scope::Peer), &["client", "source", "origin"]),
    // Heroku's router: the forwarded hops; the router itself wrote the last one.
    (Scope::Root, part(Part::Client, 1), &["fwd"]),
    (Scope::Root, either(Part::User, 3, Scope::User), &["user"]),
    (Scope::Root, part(Part::User, 3), &[
        "remote_user", "ClientUsername", "user_id", "username", "user_name", "auth_user", "authuser",
        "authUser", "remoteUser", "CsUsername", "cs-username", "userName",
    ]),
    // Request.
    (Scope::Root, either(Part::Request, 2, Scope::Request), &["request"]),
    (Scope::Root, part(Part::Request, 2), &["request_line", "requestLine", "first_line"]),
    (Scope::Root, part(Part::Request, 0), &["routeKey"]),
    (Scope::Root, object(Scope::Root), &[
        "properties", "Properties", "jsonPayload", "requestContext", "identity", "meta", "message", "payload", "State",
        "attributes", "proxy", "sqreen", "fields", "protoPayload", "requestMetadata", "nginx", "apache", "apache2",
        "access",
    ]),
    (Scope::Root, object(Scope::Request), &[
        "req", "httpRequest", "entrypointRequest", "clientRequest", "client-request",
    ]),
    (Scope::Root, object(Scope::Loose), &["labels", "context", "data", "extra", "event", "span"]),
    (Scope::Root, part(Part::Method, 3), &[
        "method", "request_method", "RequestMethod", "requestMethod", "http_method", "httpMethod",
        "ClientRequestMethod", "verb", "cs-method", "reqMethod", "REQUEST_METHOD", "Method", "CsMethod",
        ":method", "requestVerb",
    ]),
    (Scope::Root, part(Part::Target, 5), &["originalRequestUriWithArgs", "originalUrl", "original_url"]),
    (Scope::Root, part(Part::Target, 4), &[
        "request_uri", "RequestPath", "requestUri", "requestUrl", "requestURI", "ClientRequestURI",
        "original_uri", "request_url", ":path", "x-envoy-original-path", "x-envoy-origin-path", "RequestURI",
    ]),
    (Scope::Root, part(Part::Target, 4).formed(Form::Target), &["target"]),
    (Scope::Root, either(Part::Target, 3, Scope::Url), &["url"]),
    (Scope::Root, part(Part::Target, 3), &["uri", "cs-uri", "req_path", "URL", "Uri"]),
    (Scope::Root, part(Part::Target, 2), &[
        "path", "request_path", "cs-uri-stem", "reqPath", "ClientRequestPath", "Path", "CsUriStem",
        "requestPath", "path_info",
    ]),
    (Scope::Root, part(Part::Target, 1), &["resourcePath", "resource_path", "rawPath"]),
    (Scope::Root, part(Part::Query, 2), &[
        "args", "query", "query_string", "queryString", "cs-uri-query", "requestQuery", "request_query",
        "queryStr", "ClientRequestQuery", "QueryString", "CsUriQuery", "rawQueryString",
    ]),
    (Scope::Root, part(Part::Version, 3), &[
        "protocol", "proto", "server_protocol", "RequestProtocol", "http_version", "httpVersion",
        "ClientRequestProtocol", "request_protocol", "request_proto", "httpversion", "requestProtocol",
        "Protocol", "clientProtocol", "cs-version", "cs-protocol-version", "Proto",
    ]),
    (Scope::Root, part(Part::Host, 4), &["x-host-header"]),
    (Scope::Root, part(Part::Host, 3), &[
        "host", "http_host", "RequestHost", "vhost", "virtual_host", "domain", "ClientRequestHost",
        "authority", ":authority", "request_host", "reqHost", "domainName", "hostName", "requestHost",
        "Host", "CsHost", "cs-host",
    ]),
    (Scope::Root, part(Part::Host, 2), &["RequestAddr", "server_name", "originalHost"]),
    (Scope::Root, part(Part::Scheme, 3), &[
        "scheme", "RequestScheme", "ClientRequestScheme", "request_scheme", "Scheme",
        "cs-protocol",
    ]),
    (Scope::Root, part(Part::Scheme, 2).formed(Form::Switch), &["sslEnabled"]),
    (Scope::Root, part(Part::Tls, 3), &[
        "ssl_protocol", "TLSVersion", "tls_version", "ssl_version", "tls_protocol", "ClientSSLProtocol",
        "sslProtocol", "securityProtocol", "tlsVersion", "downstream_tls_version", "clientTlsVersion",
        "ssl-protocol",
    ]),
    (Scope::Root, object(Scope::Tls), &["tls"]),
    (Scope::Root, part(Part::Referer, 3), &[
        "http_referer", "referer", "referrer", "http_referrer", "request_Referer", "ClientRequestReferer",
        "httpReferer", "request_referer", "Referer", "http_refferer",
    ]),
    (Scope::Root, either(Part::Agent, 3, Scope::Agent), &["user_agent"]),
    (Scope::Root, part(Part::Agent, 3), &[
        "http_user_agent", "userAgent", "useragent", "user-agent", "ua", "agent", "request_User-Agent",
        "ClientRequestUserAgent", "httpUserAgent", "UserAgent", "request_user_agent",
    ]),
    (Scope::Root, part(Part::Agent, 3).formed(Form::Akamai), &["UA"]),
    (Scope::Root, object(Scope::Headers), &[
        "headers", "req_headers", "request_headers", "requestHeaders", "http_headers", "RequestHeaders",
        "requestHeader",
    ]),
    (Scope::Root, object(Scope::Cookies), &["cookies", "Cookies"]),
    (Scope::Root, object(Scope::Http), &["http"]),
    (Scope::Root, object(Scope::Network), &["network", "net"]),
    (Scope::Root, object(Scope::Url), &["url_details"]),
    // Response.
    (Scope::Root, part(Part::Status, 3), &[
        "status", "status_code", "statusCode", "DownstreamStatus", "response_code", "response_status",
        "http_status", "EdgeResponseStatus", "sc-status", "httpStatus", "httpStatusCode", "http_status_code",
        "rsp_code", "return_status", "RESPONSE_CODE", "StatusCode", "responseCode", "responseCodeSent",
        "ScStatus", "Status",
    ]),
    (Scope::Root, either(Part::Status, 3, Scope::Response), &["responseStatus"]),
    (Scope::Root, either(Part::Status, 2, Scope::Response), &["response"]),
    (Scope::Root, part(Part::Status, 1), &["code", "OriginStatus"]),
    (Scope::Root, object(Scope::Response), &[
        "res", "entrypointResponse", "clientResponse", "client-response", "api",
    ]),
    (Scope::Root, part(Part::Bytes, 4), &["EdgeResponseBodyBytes"]),
    (Scope::Root, part(Part::Bytes, 3), &[
        "body_bytes_sent", "bytes", "size", "DownstreamContentSize", "response_size", "responseSize",
        "EdgeResponseBytes", "body_bytes", "resp_body_size", "response_body_size", "rsp_size",
        "written_bytes", "response_body_len",
    ]),
    (Scope::Root, part(Part::Bytes, 2), &[
        "bytes_sent", "bytes_out", "responseLength", "response_length", "sc-bytes", "sentBytes",
        "responseBytes", "BYTES_OUT", "response_content_length", "responseContentLength", "ScBytes",
    ]),
    (Scope::Root, part(Part::Bytes, 1), &["content_length", "length"]),
    (Scope::Root, object(Scope::Body), &["body_sent"]),
    // Credentials and their ids.
    (Scope::Root, header("authorization"), &["authorization", "Authorization", "authz", "http_authorization"]),
    (Scope::Root, header("proxy-authorization"), &["proxy_authorization"]),
    (Scope::Root, header("x-api-key"), &[
        "x_api_key", "x-api-key", "X-API-Key", "X-Api-Key", "http_x_api_key",
    ]),
    (Scope::Root, header("cookie"), &["cookie", "Cookie", "http_cookie"]),
    (Scope::Root, header("x-forwarded-for"), &[
        "x_forwarded_for", "xff", "forwarded_for", "x-forwarded-for", "x-forward-for", "xForwardedFor",
        "http_x_forwarded_for", "request_X-Forwarded-For",
    ]),
    (Scope::Root, object(Scope::Credential), &["authenticated_entity", "credential"]),
    (Scope::Root, Meaning { slot: Some((Slot::Id(Cow::Borrowed("consumer")), 1)), scope: Some(Scope::Consumer), form: Form::Plain }, &[
        "consumer",
    ]),
    (Scope::Root, object(Scope::Claims), &["authorizer", "claims", "jwt_claims"]),
    (Scope::Root, id("jti"), &["jti"]),
    (Scope::Root, id("kid"), &["kid"]),
    (Scope::Root, id("sub"), &["sub"]),
    (Scope::Root, id("token_id"), &["token_id", "tokenId"]),
    (Scope::Root, id("tw_id"), &["tw_id"]),
    (Scope::Root, id("api_key_id"), &["api_key_id", "apiKeyId"]),
    (Scope::Root, id("key_id"), &["key_id", "keyId", "access_key_id", "accessKeyId"]),
    (Scope::Root, id("access_key"), &["accessKey"]),
    (Scope::Root, id("credential_id"), &["credential_id", "credentialId"]),
    (Scope::Root, id("consumer"), &["consumer_id"]),
    (Scope::Root, id("principal_id"), &["principalId", "principal_id"]),
    (Scope::Root, id("client_id"), &["client_id", "clientId"]),
    (Scope::Root, id("subscription"), &["apimSubscriptionId", "subscription"]),
    (Scope::Root, id("certificate"), &["ClientMTLSAuthCertFingerprint", "ssl_client_fingerprint", "TLSClientSubject"]),
    (Scope::Root, id("client_token"), &["client_token"]),
    (Scope::Root, id("accessor"), &["client_token_accessor"]),
    (Scope::Root, Meaning { slot: Some((Slot::Header(Cow::Borrowed("apikey")), 1)), scope: Some(Scope::Credential), form: Form::Plain }, &["apikey"]),
    // What has a credential's own name (`token`, `api_key`) needs no row.
    (Scope::Root, Meaning::slot(Slot::Unnamed), &["session", "session_id", "sessionid", "sid", "key", "auth"]),
    // Akamai's: the site writes it.
    (Scope::Root, Meaning::slot(Slot::OfServer), &["customField"]),
    // The request's own sizes and so on are not the response's.
    (Scope::Request, Meaning::NOTHING, &["size", "bytes", "content_length", "length", "body_bytes"]),
    (Scope::Request, either(Part::Target, 3, Scope::Url).formed(Form::Whole), &["url"]),
    (Scope::Request, object(Scope::Tls).formed(Form::Secured), &["tls"]),
    // ECS, Datadog, OpenTelemetry.
    (Scope::Http, object(Scope::Request), &["request"]),
    (Scope::Http, object(Scope::Response), &["response"]),
    (Scope::Http, part(Part::Version, 3), &["version", "flavor"]),
    (Scope::Http, part(Part::Agent, 2), &["useragent"]),
    (Scope::Http, part(Part::Target, 1), &["route"]),
    (Scope::Response, part(Part::Status, 3), &["status", "status_code", "statusCode", "code"]),
    (Scope::Response, part(Part::Bytes, 2), &["bytes", "size", "length"]),
    (Scope::Response, object(Scope::Body), &["body"]),
    (Scope::Body, part(Part::Bytes, 3), &["bytes", "size"]),
    (Scope::Peer, part(Part::Client, 3), &["ip"]),
    (Scope::Peer, part(Part::Client, 2), &["address"]),
    (Scope::Network, object(Scope::Peer), &["client", "peer"]),
    (Scope::Url, part(Part::Target, 4), &["original"]),
    (Scope::Url, part(Part::Target, 3), &["full"]),
    (Scope::Url, part(Part::Target, 2), &["path"]),
    (Scope::Url, part(Part::Query, 3), &["query"]),
    (Scope::Url, part(Part::Host, 3), &["domain", "host"]),
    (Scope::Url, part(Part::Scheme, 3), &["scheme"]),
    (Scope::Agent, part(Part::Agent, 3), &["original"]),
    (Scope::User, part(Part::User, 3), &["name", "username"]),
    (Scope::User, part(Part::User, 1), &["id"]),
    (Scope::User, object(Scope::Claims), &["extra"]),
    (Scope::Tls, part(Part::Tls, 2), &["version", "protocol"]),
    // Gateways and authorizers.
    (Scope::Consumer, id("consumer"), &["id"]),
    (Scope::Consumer, id("custom_id"), &["custom_id"]),
    (Scope::Consumer, part(Part::User, 1), &["username", "name"]),
    (Scope::Credential, id("credential_id"), &["id"]),
    (Scope::Credential, id("consumer"), &["consumer_id"]),
    (Scope::Claims, object(Scope::Claims), &["claims", "jwt"]),
    (Scope::Claims, id("principal_id"), &["principalId"]),
    (Scope::Claims, id("sub"), &["sub"]),
    (Scope::Claims, id("jti"), &["jti"]),
    (Scope::Claims, id("client_id"), &["client_id", "azp"]),
    (Scope::Claims, id("credential_id"), &["authentication.kubernetes.io/credential-id"]),
    (Scope::Claims, part(Part::User, 1), &["username", "cognito:username"]),
];
