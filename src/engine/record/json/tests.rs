//! Lines of every JSON dialect as documented.

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::engine::record::tests::{preset, read};
use crate::engine::record::{Format, client_behind};

fn check(cases: &[(&str, &str)]) {
    for (line, expected) in cases {
        assert_eq!(read(&preset("auto"), line), *expected, "{line}");
    }
}

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
fn what_a_logger_breaks_is_read_as_far_as_can_be() {
    check(&[
        // nginx without escape=json; a number that is absent.
        (
            r#"{"time":"2026-11-23T17:10:33Z","request":"GET /\x22a\x5C HTTP/1.1","upstream_time":-,"status":200}"#,
            r#"2026-11-23T17:10:33Z method=GET target=/\"a\\ version=1.1 200"#,
        ),
        ("{\"ts\":1,\n \"uri\" : \"/p\" }\t", "1970-01-01T00:00:01Z target=/p"),
        // Truncated JSON is reported with its position.
        (
            r#"{"ts":1,"uri":"/p","status":2"#,
            "30: the rest of the JSON object / the end of the line",
        ),
        (r#"{"ts":1,"uri":"/p"} x"#, "21: the end of the line after the JSON object / 'x'"),
        (r#"{"ts":1,"uri":nope}"#, "15: JSON: a value / 'n'"),
        (r#"{"ts":1 "uri":"/p"}"#, "9: JSON: `,` or `}` / '\"'"),
        (r#"{"ts":1,uri:"/p"}"#, "9: JSON: a key / 'u'"),
    ]);
}

#[test]
fn the_first_of_two_keys_counts_and_deep_ones_do_not() {
    let deep = format!("{}\"uri\":\"/deep\"{}", "{\"request\":".repeat(40), "}".repeat(40));
    let deep = deep.replacen("{\"request\":\"uri\"", "{\"uri\"", 1);
    let line = format!("{{\"ts\":1,\"uri\":\"/a\",\"uri\":\"/b\",\"ts\":2,\"request\":{deep}}}");
    assert_eq!(read(&preset("auto"), &line), "1970-01-01T00:00:01Z target=/a");
}

/// The client and whether it is only forwarded, as the reader sees it with a trusted proxy.
fn client(line: &str) -> (String, bool) {
    let format = preset("auto");
    let record = format.parse(line.as_bytes()).unwrap();
    let trusted = ["10.0.0.0/8".parse().unwrap()];
    let client = client_behind(record.client, record.forwarded(), &trusted);
    (client.unwrap().to_string(), record.is_forwarded)
}

#[test]
fn json_with_no_address_but_the_forwarded_one_had_no_client() {
    let of = |line: &str| {
        let record = preset("auto").parse(line.as_bytes()).unwrap().into_owned();
        (record.client.map(|client| client.to_string()), record.is_forwarded)
    };
    for list in ["203.0.113.9", "6.6.6.6, 203.0.113.9"] {
        let line = format!(r#"{{"ts":1,"http_x_forwarded_for":"{list}","uri":"/p"}}"#);
        assert_eq!(of(&line), (Some("203.0.113.9".to_owned()), true), "{line}");
    }
    let socket =
        r#"{"ts":1,"remote_addr":"unix:","http_x_forwarded_for":"203.0.113.9","uri":"/p"}"#;
    assert_eq!(of(socket), (None, false));
}

#[test]
fn the_forged_first_element_of_an_array_of_hops_won() {
    for line in [
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","headers":{"X-Forwarded-For":["9.9.9.9","203.0.113.9"]}}"#,
        r#"{"ts":1,"request":{"uri":"/p","remote_ip":"10.0.0.1","headers":{"X-Forwarded-For":["9.9.9.9, 203.0.113.9","10.0.0.2"]}}}"#,
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","x_forwarded_for":["9.9.9.9","203.0.113.9"]}"#,
        r#"{"ts":1,"uri":"/p","remote_addr":"10.0.0.1","headers":{"Forwarded":["for=9.9.9.9","for=203.0.113.9"]}}"#,
        r#"{"ts":1,"httpRequest":{"clientIp":"10.0.0.1","uri":"/p","headers":[{"name":"X-Forwarded-For","value":"9.9.9.9"},{"name":"Host","value":"a"},{"name":"x-forwarded-for","value":"203.0.113.9"}]}}"#,
    ] {
        assert_eq!(client(line), ("203.0.113.9".to_owned(), false), "{line}");
    }
    check(&[(
        r#"{"ts":1,"uri":"/p","headers":{"Authorization":["Bearer x","Bearer y"]}}"#,
        "1970-01-01T00:00:01Z target=/p header:authorization=Bearer x header:authorization=Bearer y",
    )]);
}

#[test]
fn a_list_under_a_clients_key_was_no_client() {
    let told = ("203.0.113.9".to_owned(), true);
    let peer = ("198.51.100.7".to_owned(), false);
    for (keys, expected) in [
        (r#""client_ip":"9.9.9.9, 203.0.113.9""#, &told),
        (r#""ClientHost":["9.9.9.9","203.0.113.9"]"#, &told),
        (r#""client_ip":"9.9.9.9, 203.0.113.9, 10.0.0.1""#, &told),
        (
            r#""client_ip":"9.9.9.9","remote_addr":"198.51.100.7, 203.0.113.9""#,
            &("9.9.9.9".to_owned(), false),
        ),
        (r#""client_ip":"9.9.9.9, 203.0.113.9","remote_addr":"198.51.100.7""#, &peer),
        (r#""ClientAddr":"198.51.100.7:1","ClientHost":"9.9.9.9, 203.0.113.9""#, &peer),
        (r#""client_ip":["198.51.100.7"]"#, &peer),
        (
            r#""client_ip":"9.9.9.9, 203.0.113.9","ClientAddr":"10.0.0.1:1""#,
            &("203.0.113.9".to_owned(), false),
        ),
    ] {
        let line = format!(r#"{{"ts":1,"uri":"/p",{keys}}}"#);
        assert_eq!(&client(&line), expected, "{line}");
    }
    check(&[(
        r#"{"ts":1,"uri":"/p","client_ip":"9.9.9.9, 203.0.113.9","tw_id":"a-1"}"#,
        "1970-01-01T00:00:01Z client=203.0.113.9 target=/p header:x-forwarded-for=9.9.9.9, 203.0.113.9 id:tw_id=a-1",
    )]);
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
fn what_applications_put_into_loose_objects_does_not_stand_before_the_servers_keys() {
    let loose = r#""data":{"client_ip":"9.9.9.9","_remote_addr":"9.9.9.9","uri":"/forged","request":{"client_ip":"9.9.9.9"},"http":{"url":"/forged"}}"#;
    let keys = r#""remote_addr":"192.0.2.1","path":"/p""#;
    for line in [format!("{{\"ts\":1,{loose},{keys}}}"), format!("{{\"ts\":1,{keys},{loose}}}")] {
        let expected = "1970-01-01T00:00:01Z client=192.0.2.1 target=/p";
        assert_eq!(read(&preset("auto"), &line), expected, "{line}");
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
fn a_path_in_a_loose_object_does_not_hide_the_line_in_the_message() {
    check(&[(
        r#"{"@timestamp":"2026-03-05T10:20:30Z","agent":{"type":"filebeat"},"labels":{"path":"/var/log/x"},"message":"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" 200 5"}"#,
        "2000-10-10T20:55:36Z client=192.0.2.1 method=GET target=/a version=1.1 200 bytes=5",
    )]);
}

#[test]
fn the_size_of_a_request_was_that_of_its_answer() {
    check(&[
        (
            r#"{"request":{"size":75,"uri":"/p","method":"GET"},"response":{"size":998,"status":200},"started_at":1795453833537}"#,
            "2026-11-23T17:10:33.537Z method=GET target=/p 200 bytes=998",
        ),
        (
            r#"{"ts":1,"http":{"request":{"method":"GET","bytes":75},"response":{"bytes":9}},"url":{"path":"/p"},"http.request.bytes":75}"#,
            "1970-01-01T00:00:01Z method=GET target=/p bytes=9",
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
fn a_scheme_that_follows_from_something_else_was_not_seen() {
    for (keys, expected) in [
        (r#""uri":"/p","properties":{"sslEnabled":"on"}"#, "scheme=https"),
        (r#""uri":"/p","properties":{"sslEnabled":"off"}"#, "scheme=http"),
        (r#""uri":"/p","ClientSSLProtocol":"none""#, "scheme=http"),
        (r#""uri":"/p","ClientSSLProtocol":"none","scheme":"https""#, "scheme=https"),
        (r#""uri":"/p","scheme":"https","ClientSSLProtocol":"none""#, "scheme=https"),
        (r#""uri":"/p","ClientSSLProtocol":"TLSv1.3""#, "tls=TLSv1.3"),
        (r#""request":{"uri":"/p","url":"https://a:8443/p"}"#, "scheme=https"),
        (r#""request":{"uri":"/p","url":"https://a:8443/p"},"scheme":"http""#, "scheme=http"),
        (
            r#""request":{"uri":"/p","tls":{"resumed":false,"version":772}}"#,
            "scheme=https tls=TLSv1.3",
        ),
        (r#""request":{"uri":"/p","tls":null}"#, ""),
    ] {
        let expected = format!("1970-01-01T00:00:01Z target=/p {expected}");
        let line = format!("{{\"ts\":1,{keys}}}");
        assert_eq!(read(&preset("auto"), &line), expected.trim_end(), "{line}");
    }
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

fn any_value() -> impl Strategy<Value = Value> {
    let plain = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    plain.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_prints_is_read_back(
        path in "/[^?]{0,20}",
        agent in any::<String>().prop_filter("absent", |a| !matches!(a.as_str(), "" | "-")),
        token in any::<String>().prop_filter("absent", |a| !matches!(a.as_str(), "" | "-")),
        others in prop::collection::vec(any_value(), 4),
        (status, millis) in (100u16..600, 0i64..4_000_000_000_000),
        pretty in any::<bool>(),
    ) {
        // Unknown members may be anywhere.
        let [a, b, c, d] = &others[..] else { unreachable!() };
        let line = json!({
            "Unknown": a,
            "request": {
                "unknown": b, "uri": path, "headers": {"User-Agent": [agent], "Authorization": token},
            },
            "status": status, "time": 100_000_000_000 + millis, "resp_headers": c, "zzz": d,
        });
        let line = if pretty { serde_json::to_string_pretty(&line) } else { serde_json::to_string(&line) };
        let line = line.unwrap();
        let format = preset("json");
        let record = format.parse(line.as_bytes()).unwrap();
        prop_assert_eq!(record.target.as_deref(), Some(path.as_bytes()));
        prop_assert_eq!(record.agent.as_deref(), Some(agent.as_bytes()));
        prop_assert_eq!(record.fields.first().map(|(_, text)| &text[..]), Some(token.as_bytes()));
        prop_assert_eq!(record.status, Some(status));
        prop_assert_eq!(record.time.map(|time| time.0), Some((100_000_000_000 + millis) * 1000));
    }
}

#[test]
fn a_malformed_request_was_taken_for_a_line_of_another_format() {
    let auto = preset("auto");
    let time = "2026-03-02T08:00:00Z";
    for (rest, said) in [
        (r#""remote_addr":"192.0.2.1","request":"","status":400"#, "client=192.0.2.1 400"),
        (r#""remote_addr":"192.0.2.1","request":"-","status":"408""#, "client=192.0.2.1 408"),
        (r#""method":null,"path":null,"response_code":400"#, "400"),
        (r#""method":null,"path":null,"response_code":0"#, ""),
        (r#""request_uri":"","remote_addr":"192.0.2.1""#, "client=192.0.2.1"),
        (
            r#""request":{"method":"","uri":"","remote_ip":"192.0.2.1"},"status":400"#,
            "client=192.0.2.1 400",
        ),
    ] {
        let line = format!(r#"{{"time":"{time}",{rest}}}"#);
        assert_eq!(read(&auto, &line), format!("{time} {said}").trim_end(), "{line}");
    }
    let template = Format::template(
        r#"{"t":"$time_iso8601","a":"$remote_addr","r":"$request","s":"$status"}"#,
    );
    let line = format!(r#"{{"t":"{time}","a":"192.0.2.1","r":"","s":"400"}}"#);
    assert_eq!(read(&template.unwrap(), &line), format!("{time} client=192.0.2.1 400"));
    for rest in [
        r#""method":null,"path":"""#,
        r#""status":400,"remote_addr":"192.0.2.1""#,
        r#""method":"login","remote_addr":"192.0.2.1""#,
        r#""status":400,"context":{"path":""}"#,
    ] {
        let line = format!(r#"{{"time":"{time}",{rest}}}"#);
        assert!(read(&auto, &line).contains("a key for the request"), "{line}");
    }
}

#[test]
fn an_opaque_key_under_a_credentials_name_was_no_header() {
    let auto = preset("auto");
    for (key, header) in [
        ("api_key", "api-key"),
        ("apikey", "apikey"),
        ("apiKey", "apikey"),
        ("api-key", "api-key"),
        ("token", "token"),
        ("access_token", "access-token"),
        ("accessToken", "accesstoken"),
        ("auth_token", "auth-token"),
        ("session_token", "session-token"),
        ("x_auth_token", "x-auth-token"),
        ("bearer", "bearer"),
        ("jwt", "jwt"),
        ("client_secret", "client-secret"),
        ("secret", "secret"),
        ("_api_key", "api-key"),
    ] {
        let json = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"{key}":"opaquekey0"}}"#
        );
        let logfmt = format!("time=2026-03-02T08:00:00Z uri=/ status=200 {key}=opaquekey0");
        for line in [json, logfmt] {
            let read = read(&auto, &line);
            assert!(read.ends_with(&format!("header:{header}=opaquekey0")), "{line}: {read}");
        }
    }
    for key in
        ["key", "_token", "sent_http_x_token", "origin_X-Token", "tokens", "token_type", "keyboard"]
    {
        let line = format!(
            r#"{{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"{key}":"opaquekey0"}}"#
        );
        assert!(!read(&auto, &line).contains("header:"), "{line}");
    }
    let line = r#"{"time":"2026-03-02T08:00:00Z","uri":"/","status":200,"secret":true,"token":7}"#;
    assert!(auto.parse(line.as_bytes()).unwrap().fields.is_empty());
}

#[test]
fn a_time_of_another_form_was_told_as_a_missing_key() {
    let auto = preset("auto");
    let rest = r#""uri":"/","status":200}"#;
    let times = "a time (2026-11-28T02:00:00Z, 28/Nov/2026:02:00:00 +0000, seconds since 1970)";
    for (time, column, key) in [
        (r#""time":"28.11.2026 02:00:00""#, 9, "time"),
        (r#""ts": -5"#, 7, "ts"),
        (r#""level":"info","@timestamp":"now""#, 30, "@timestamp"),
        (r#""date":"2026-11-28""#, 9, "date"),
    ] {
        let line = format!("{{{time},{rest}");
        let expected = format!("{column}: {times} / something else under {key:?}");
        assert_eq!(read(&auto, &line), expected, "{line}");
    }
    for time in [r#""time":null"#, r#""time":"""#, r#""level":"info""#] {
        let line = format!("{{{time},{rest}");
        assert!(read(&auto, &line).contains("a key for the time"), "{line}");
    }
    for time in ["2026-11-28 02:00:00 UTC", "20261128T020000Z", "20261128T030000.000+0100"] {
        let line = format!(r#"{{"time":"{time}",{rest}"#);
        let record = auto.parse(line.as_bytes()).unwrap();
        assert!(!record.is_local, "{line}");
        assert_eq!(record.time.unwrap().to_rfc3339(0), "2026-11-28T02:00:00Z", "{line}");
    }
}
