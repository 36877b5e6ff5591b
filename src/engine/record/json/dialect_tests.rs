//! Lines of every JSON dialect as documented.

use super::tests::check;
use crate::engine::record::tests::{preset, read};

#[test]
fn gateways_and_their_ids_are_read() {
    check(&[
        // Kong: file-log, http-log.
        (
            r#"{"response":{"size":998,"headers":{"server":"x"},"status":200},"request":{"uri":"/v1?api_key=exk_1","url":"http://api.example.org:80/v1?api_key=exk_1","querystring":{"api_key":"exk_1"},"method":"GET","headers":{"host":"api.example.org","authorization":"REDACTED","x-forwarded-for":"198.51.100.4","user-agent":"c/1"},"tls":{"version":"TLSv1.3","cipher":"x"}},"client_ip":"192.0.2.1","started_at":1795453833537,"route":{"id":"r","paths":["/v1"]},"service":{"host":"up.example.org"},"consumer":{"id":"c-1","username":"ann"},"authenticated_entity":{"id":"k-1","consumer_id":"c-1"},"source":"upstream","upstream_uri":"/v1"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/v1?api_key=exk_1 agent=c/1 user=ann host=api.example.org scheme=https tls=TLSv1.3 200 bytes=998 header:authorization=REDACTED header:x-forwarded-for=198.51.100.4 id:consumer=c-1 id:credential_id=k-1 id:consumer=c-1",
        ),
        // AWS API Gateway, REST: the documentation's example; HTTP: nested, with an authorizer.
        (
            r#"{"requestId":"r-1","ip":"192.0.2.1","caller":"-","user":"-","requestTime":"23/Nov/2026:17:10:33 +0000","httpMethod":"GET","resourcePath":"/pets/{id}","status":"403","protocol":"HTTP/1.1","responseLength":"23","apiKeyId":"ab12cd34ef"}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/pets/{id} version=1.1 403 bytes=23 id:api_key_id=ab12cd34ef",
        ),
        (
            r#"{"requestTimeEpoch":"1795453833537","requestTime":"23/Nov/2026:17:10:33 +0000","identity":{"sourceIp":"192.0.2.1","userAgent":"c/1","apiKeyId":"ab12"},"authorizer":{"principalId":"p-1","claims":{"sub":"s-1","jti":"j-1"}},"path":"/prod/pets/7","resourcePath":"/pets/{id}","routeKey":"GET /pets/{id}","httpMethod":"GET","status":200,"domainName":"api.example.org"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/prod/pets/7 agent=c/1 host=api.example.org 200 id:api_key_id=ab12 id:principal_id=p-1 id:sub=s-1 id:jti=j-1",
        ),
        (
            r#"{"requestTime":"23/Nov/2026:17:10:33 +0000","ip":"192.0.2.1","routeKey":"GET /pets/{id}","status":"200","authorizer.claims.sub":"s-1"}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/pets/{id} 200 id:sub=s-1",
        ),
        // AWS WAF lists the headers.
        (
            r#"{"timestamp":1795453833537,"action":"ALLOW","httpRequest":{"clientIp":"192.0.2.1","country":"AU","headers":[{"name":"Host","value":"example.org"},{"name":"User-Agent","value":"c/1"},{"name":"authorization","value":"Bearer x"}],"uri":"/p","args":"a=b","httpVersion":"HTTP/1.1","httpMethod":"GET"},"responseCodeSent":null}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p?a=b version=1.1 agent=c/1 host=example.org header:authorization=Bearer x",
        ),
        // Gravitee 4.
        (
            r#"{"entrypointResponse":{"headers":{"X-A":["b"]},"status":401},"entrypointRequest":{"headers":{"Cookie":["s=1"],"X-Gravitee-Api-Key":["k-1"],"Host":["example.org:8082"]},"method":"POST","uri":"/t"},"endpointRequest":{"method":"POST","uri":"/other"},"status":"info","timestamp":1795453833537}"#,
            "2026-11-23T17:10:33.537Z method=POST target=/t host=example.org:8082 401 header:cookie=s=1 header:x-gravitee-api-key=k-1",
        ),
    ]);
}

#[test]
fn clouds_and_edges_are_read() {
    check(&[
        // Envoy, in Istio's form.
        (
            r#"{"start_time":"2026-11-23T17:10:33.537Z","method":"GET","path":"/p?q=1","protocol":"HTTP/2","response_code":"200","bytes_received":"0","bytes_sent":"15","duration":"3","x_forwarded_for":"198.51.100.4","user_agent":"c/1","authority":"example.org","upstream_host":"10.0.0.1:80","downstream_local_address":"10.0.0.2:80","downstream_remote_address":"192.0.2.1:52458","requested_server_name":"example.org","response_flags":"-"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p?q=1 version=2 agent=c/1 host=example.org 200 bytes=15 header:x-forwarded-for=198.51.100.4",
        ),
        // Cloudflare Logpush with each of its three times.
        (
            r#"{"ClientIP":"192.0.2.1","ClientRequestHost":"example.org","ClientRequestMethod":"GET","ClientRequestURI":"/p","EdgeEndTimestamp":1795453833600000000,"EdgeResponseBytes":99,"EdgeResponseStatus":200,"EdgeStartTimestamp":1795453833537000000,"ClientRequestProtocol":"HTTP/2","ClientRequestScheme":"https","ClientSSLProtocol":"TLSv1.3","RequestHeaders":{"authorization":"Bearer x"},"Cookies":{"sid":"s"}}"#,
            "2026-11-23T17:10:33.537000Z client=192.0.2.1 method=GET target=/p version=2 host=example.org scheme=https tls=TLSv1.3 200 bytes=99 header:authorization=Bearer x cookie:sid=s",
        ),
        (
            r#"{"EdgeStartTimestamp":1795453833,"ClientRequestURI":"/p"}"#,
            "2026-11-23T17:10:33Z target=/p",
        ),
        (
            r#"{"EdgeStartTimestamp":"2026-11-23T17:10:33Z","ClientRequestURI":"/p"}"#,
            "2026-11-23T17:10:33Z target=/p",
        ),
        // Akamai DataStream 2.
        (
            r#"{"version":1,"cp":"1","reqId":"1","reqTimeSec":"1795453833.537","bytes":"4995","cliIP":"192.0.2.1","statusCode":"206","proto":"HTTPS","reqHost":"example.org","reqMethod":"GET","reqPath":"/p/1","queryStr":"cmp=1","referer":"-","UA":"Mozilla%2F5.0","tlsVersion":"TLSv1","cookie":"s=1","xForwardedFor":"198.51.100.4","customField":"-","totalBytes":"5995"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p/1?cmp=1 agent=Mozilla/5.0 host=example.org scheme=https tls=TLSv1 206 bytes=4995 header:cookie=s=1 header:x-forwarded-for=198.51.100.4",
        ),
        // Google Cloud: a LogEntry.
        (
            r#"{"httpRequest":{"latency":"0.05s","protocol":"HTTP/1.1","remoteIp":"192.0.2.1","requestMethod":"GET","requestSize":"121","requestUrl":"https://example.org/p?q=1","responseSize":"450","serverIp":"10.0.0.1","status":200,"userAgent":"c/1"},"insertId":"i","jsonPayload":{"statusDetails":"ok"},"receiveTimestamp":"2026-11-23T17:10:35Z","resource":{"labels":{"zone":"global"}},"timestamp":"2026-11-23T17:10:33.537001Z"}"#,
            "2026-11-23T17:10:33.537001Z client=192.0.2.1 method=GET target=https://example.org/p?q=1 version=1.1 agent=c/1 200 bytes=450",
        ),
        // Azure: Application Gateway 2 and 1, Front Door.
        (
            r#"{"timeStamp":"2026-11-23T17:10:33+00:00","operationName":"ApplicationGatewayAccess","properties":{"clientIP":"192.0.2.1","clientPort":45057,"httpMethod":"GET","originalRequestUriWithArgs":"\/p?q=1","requestUri":"\/p","requestQuery":"q=1","userAgent":"c/1","httpStatus":200,"httpVersion":"HTTP\/1.1","receivedBytes":184,"sentBytes":466,"sslProtocol":"TLSv1.2","serverStatus":"502","originalHost":"o.example.org","host":"example.org"}}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/p?q=1 version=1.1 agent=c/1 host=example.org tls=TLSv1.2 200 bytes=466",
        ),
        (
            r#"{"time":"2026-11-23T17:10:33Z","properties":{"clientIP":"192.0.2.1","httpMethod":"GET","requestUri":"/p","requestQuery":"q=1","httpStatus":200}}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/p?q=1 200",
        ),
        (
            r#"{"time":"2026-11-23T17:10:33Z","category":"FrontdoorAccessLog","properties":{"httpMethod":"GET","httpVersion":"2.0","requestUri":"https://example.org:443/p","responseBytes":"98","userAgent":"c/1","clientIp":"198.51.100.4","socketIp":"192.0.2.1","requestProtocol":"HTTPS","securityProtocol":"TLSv1.3","httpStatusCode":"200","hostName":"example.org"}}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=https://example.org:443/p version=2.0 agent=c/1 host=example.org scheme=https tls=TLSv1.3 200 bytes=98",
        ),
        // Caddy's other times.
        (
            r#"{"ts":"2026/11/23 17:10:33","request":{"uri":"/p"}}"#,
            "2026-11-23T17:10:33Z target=/p",
        ),
        (
            r#"{"ts":"2026/11/23 17:10:33.537","request":{"uri":"/p"}}"#,
            "2026-11-23T17:10:33.537Z target=/p",
        ),
        (
            r#"{"ts":"2026-11-23T17:10:33.537Z0100","ts":1795453833.5379999,"request":{"uri":"/p"}}"#,
            "2026-11-23T17:10:33.537999Z target=/p",
        ),
        (r#"{"ts":1.795453833537e9,"request":{"uri":"/p"}}"#, "2026-11-23T17:10:33.537Z target=/p"),
        // Apache's %t includes its brackets.
        (
            r#"{"time":"[23/Nov/2026:17:10:33 +0000]","remoteIP":"192.0.2.1","request":"/p","query":"?q=1","method":"GET","status":"200"}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/p?q=1 200",
        ),
    ]);
}

#[test]
fn applications_are_read() {
    check(&[
        // pino-http, bunyan.
        (
            r#"{"level":30,"time":1795453833537,"pid":1,"hostname":"h","req":{"id":1,"method":"GET","url":"/p?token=t-1","query":{"token":"t-1"},"headers":{"host":"example.org","authorization":"Bearer x"},"remoteAddress":"::ffff:192.0.2.1","remotePort":64386},"res":{"statusCode":200,"headers":{"content-length":"2"}},"responseTime":10,"msg":"request completed"}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p?token=t-1 host=example.org 200 header:authorization=Bearer x",
        ),
        // Datadog's names.
        (
            r#"{"timestamp":1795453833537,"http":{"status_code":401,"method":"POST","useragent":"c/1","url":"https://example.org/p"},"network":{"client":{"ip":"192.0.2.1","port":"5000"}}}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=POST target=https://example.org/p agent=c/1 401",
        ),
        // OpenTelemetry, flat.
        (
            r#"{"timeUnixNano":"1795453833537000000","attributes":{"http.request.method":"GET","url.path":"/p","url.query":"q=1","http.response.status_code":200,"client.address":"192.0.2.1","user_agent.original":"c/1"}}"#,
            "2026-11-23T17:10:33.537000Z client=192.0.2.1 method=GET target=/p?q=1 agent=c/1 200",
        ),
        // Serilog, compact and full.
        (
            r#"{"@t":"2026-11-23T17:10:33.5370010Z","@mt":"HTTP {RequestMethod}","RequestMethod":"GET","RequestPath":"/p","StatusCode":200,"ClientIp":"192.0.2.1"}"#,
            "2026-11-23T17:10:33.537001Z client=192.0.2.1 method=GET target=/p 200",
        ),
        (
            r#"{"Timestamp":"2026-11-23T17:10:33.537+00:00","Level":"Information","Properties":{"RequestMethod":"GET","RequestPath":"/p","StatusCode":200}}"#,
            "2026-11-23T17:10:33.537Z method=GET target=/p 200",
        ),
        // logstash's grok names, GELF.
        (
            r#"{"@timestamp":"2026-11-23T17:10:33Z","clientip":"192.0.2.1","auth":"ann","verb":"GET","request":"/p?q=1","httpversion":"1.1","response":"404","bytes":"9"}"#,
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/p?q=1 version=1.1 404 bytes=9 field=ann",
        ),
        (
            r#"{"version":"1.1","host":"h","short_message":"GET /p","timestamp":1795453833.537,"_remote_addr":"192.0.2.1","_request_method":"GET","_request_uri":"/p","_status":200}"#,
            "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p host=h 200",
        ),
        // Audit logs of Kubernetes and Vault.
        (
            r#"{"kind":"Event","requestURI":"/api/v1/pods","verb":"list","user":{"username":"system:serviceaccount:a:b","extra":{"authentication.kubernetes.io/credential-id":["JTI=1-2"]}},"sourceIPs":["192.0.2.1"],"userAgent":"kubectl/1","responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-23T17:10:33.537001Z"}"#,
            "2026-11-23T17:10:33.537001Z client=192.0.2.1 method=list target=/api/v1/pods agent=kubectl/1 user=system:serviceaccount:a:b 200 id:credential_id=JTI=1-2",
        ),
        (
            r#"{"time":"2026-11-23T17:10:33.5Z","type":"request","auth":{"client_token":"x"},"request":{"operation":"read","client_token":"hmac-sha256:0f","client_token_accessor":"hmac-sha256:1f","path":"secret/data/a","remote_address":"192.0.2.1"}}"#,
            "2026-11-23T17:10:33.500Z client=192.0.2.1 target=secret/data/a id:client_token=hmac-sha256:0f id:accessor=hmac-sha256:1f",
        ),
    ]);
}

#[test]
fn the_name_of_a_logger_was_the_target() {
    check(&[
        (
            r#"{"timestamp":"2026-03-05T10:20:30Z","level":"INFO","fields":{"message":"finished","method":"GET","uri":"/x?access_token=t","status":200},"target":"tower_http"}"#,
            "2026-03-05T10:20:30Z method=GET target=/x?access_token=t 200",
        ),
        (
            r#"{"timestamp":"2026-03-05T10:20:30Z","fields":{"status":200},"target":"tower_http::trace","span":{"method":"GET","uri":"/x","name":"request"}}"#,
            "2026-03-05T10:20:30Z method=GET target=/x 200",
        ),
        (
            r#"{"ts":1,"target":"https://example.org/x"}"#,
            "1970-01-01T00:00:01Z target=https://example.org/x",
        ),
        (r#"{"ts":1,"target":"/x"}"#, "1970-01-01T00:00:01Z target=/x"),
        (
            r#"{"ts":1,"target":"tower_http"}"#,
            "1: a key for the request (request, uri, path, method with status) / an object without it",
        ),
    ]);
    for name in ["fields", "attributes", "labels", "context", "data", "extra", "event"] {
        let line = format!(
            r#"{{"ts":1,"msg":"m","{name}":{{"method":"GET","uri":"/x","status":200,"request":{{"host":"a"}}}}}}"#
        );
        assert_eq!(
            read(&preset("auto"), &line),
            "1970-01-01T00:00:01Z method=GET target=/x host=a 200",
            "{name}"
        );
    }
}

#[test]
fn caddys_console_lines_are_read() {
    let object = r#"{"request":{"remote_ip":"192.0.2.1","proto":"HTTP/2.0","method":"GET","host":"www.example.org","uri":"/a?b=c","headers":{}},"duration":0.001,"size":5,"status":200}"#;
    let said = "2026-03-05T10:20:30.123Z client=192.0.2.1 method=GET target=/a?b=c version=2.0 host=www.example.org 200 bytes=5";
    for logger in ["http.log.access", "http.log.access.log0"] {
        let line = format!("2026/03/05 10:20:30.123\tINFO\t{logger}\thandled request\t{object}");
        for name in ["auto", "caddy-json"] {
            assert_eq!(read(&preset(name), &line), said, "{line}");
        }
        let coloured = line.replace("INFO", "\u{1b}[34mINFO\u{1b}[0m");
        assert_eq!(read(&preset("auto"), &coloured), said, "{coloured}");
    }
    let other = format!("2026/03/05 10:20:30.123\tINFO\tapp\tsaid\t{object}");
    assert!(preset("auto").parse(other.as_bytes()).is_err());
}

#[test]
fn what_filebeats_modules_took_apart_is_read() {
    check(&[
        (
            r#"{"@timestamp":"2026-03-05T10:20:30Z","nginx":{"access":{"remote_ip":"192.0.2.1","user_name":"ann","method":"GET","url":"/a?b=c","http_version":"1.1","response_code":"200","body_sent":{"bytes":"5"},"referrer":"-","agent":"c/1"}}}"#,
            "2026-03-05T10:20:30Z client=192.0.2.1 method=GET target=/a?b=c version=1.1 agent=c/1 user=ann 200 bytes=5",
        ),
        (
            r#"{"nginx":{"time_iso8601":"2026-03-05T10:20:30+00:00","remote_addr":"192.0.2.1","request":"GET /a?b=c HTTP/1.1","status":"200","body_bytes_sent":"5","http_authorization":"Bearer x"}}"#,
            "2026-03-05T10:20:30Z client=192.0.2.1 method=GET target=/a?b=c version=1.1 200 bytes=5 header:authorization=Bearer x",
        ),
    ]);
}

#[test]
fn zeeks_client_and_bytes_were_not_read() {
    check(&[(
        r#"{"ts":1795453833.537,"uid":"C1","id.orig_h":"192.0.2.1","id.orig_p":4711,"id.resp_h":"10.0.0.1","id.resp_p":80,"method":"GET","host":"example.org","uri":"/p?q=1","referrer":"http://b/","version":"1.1","user_agent":"c/1","request_body_len":0,"response_body_len":44,"status_code":200,"status_msg":"OK"}"#,
        "2026-11-23T17:10:33.537Z client=192.0.2.1 method=GET target=/p?q=1 referer=http://b/ agent=c/1 host=example.org 200 bytes=44",
    )]);
}

#[test]
fn what_akamai_escapes_stayed_escaped() {
    check(&[
        (
            r#"{"reqTimeSec":"1","reqPath":"/p","referer":"https%3A%2F%2Fb%2F%3Fa%3D%2541","UA":"a%20b%2F1"}"#,
            "1970-01-01T00:00:01Z target=/p referer=https://b/?a=%41 agent=a b/1",
        ),
        (
            r#"{"ts":1,"uri":"/p","referer":"https%3A%2F%2Fb","user_agent":"a%20b"}"#,
            "1970-01-01T00:00:01Z target=/p referer=https%3A%2F%2Fb agent=a%20b",
        ),
    ]);
}

#[test]
fn cloudfronts_day_and_clock_were_no_time() {
    check(&[
        (
            r#"{"date":"2026-03-05","time":"10:20:30","c-ip":"192.0.2.1","cs-method":"GET","cs-uri-stem":"/p","cs-uri-query":"a=b","sc-status":"200","sc-bytes":"9","cs(User-Agent)":"a%20b","cs(Host)":"d.example.net","x-host-header":"example.org","cs-protocol":"https","cs-protocol-version":"HTTP/2.0","ssl-protocol":"TLSv1.3"}"#,
            "2026-03-05T10:20:30Z client=192.0.2.1 method=GET target=/p?a=b version=2.0 agent=a b host=example.org scheme=https tls=TLSv1.3 200 bytes=9",
        ),
        (
            r#"{"time":"10:20:30.5","uri":"/p"}"#,
            "9: a time (2026-11-28T02:00:00Z, 28/Nov/2026:02:00:00 +0000, seconds since 1970) / something else under \"time\"",
        ),
    ]);
}

#[test]
fn gos_capital_keys_were_not_read() {
    check(&[(
        r#"{"Time":"2026-03-05T10:20:30Z","RemoteAddr":"192.0.2.1:4711","Method":"GET","URL":"/p","Proto":"HTTP/1.1","Status":200}"#,
        "2026-03-05T10:20:30Z client=192.0.2.1 method=GET target=/p version=1.1 200",
    )]);
}
