//! Whatever a template contains, in any order, a request that it prints is read back.

use proptest::prelude::*;

use super::sample::{Sample, sample, sample_without_quotes};
use super::tests::text;
use super::{Format, Record};

/// Parses a line with a template.
fn read(template: &str, line: &str) -> String {
    super::tests::read(&Format::template(template).unwrap(), line)
}

#[test]
fn a_time_split_over_directives_is_one_time() {
    let request = "client=192.0.2.1 method=GET target=/ version=1.1 200";
    let cases = [
        (
            "%h %{%d/%b/%Y %T}t.%{usec_frac}t %{%z}t",
            "192.0.2.1 23/Nov/2026 18:10:33.037001 +0100",
            "17:10:33.037001Z",
        ),
        ("%h [%{%d/%b/%Y}t %{%T}t]", "192.0.2.1 [23/Nov/2026 17:10:33]", "17:10:33Z"),
        (
            "%h %{%z}t/%{msec_frac}t/%{%T}t%{%F}t",
            "192.0.2.1 +0100/537/18:10:332026-11-23",
            "17:10:33.537Z",
        ),
        (
            "%h %{end:%F %T}t %{begin:sec}t %{usec_frac}t",
            "192.0.2.1 2026-11-23 17:10:39 1795453833 037001",
            "17:10:33.037001Z",
        ),
        ("%h %t %{msec_frac}t", "192.0.2.1 [23/Nov/2026:18:10:33 +0100] 537", "17:10:33.537Z"),
        ("%h %{end:}t", "192.0.2.1 [23/Nov/2026:17:10:33 +0000]", "17:10:33Z"),
        ("%h %{%Q}t %t", "192.0.2.1 whatever [23/Nov/2026:18:10:33 +0100]", "17:10:33Z"),
        ("%h %500{end:%T}t %{sec}t", "192.0.2.1 - 1795453833", "17:10:33Z"),
    ];
    for (template, line, time) in cases {
        let read =
            read(&format!("{template} \"%r\" %>s"), &format!("{line} \"GET / HTTP/1.1\" 200"));
        assert_eq!(read, format!("2026-11-23T{time} {request}"), "{template}");
    }
}

#[test]
fn further_upstreams_shifted_the_fields_behind_them() {
    let head = "198.51.100.3 [12/Mar/2025:10:11:12 +0000] \"GET /x HTTP/1.1\" 200";
    let known = "2025-03-12T10:11:12Z client=198.51.100.3 method=GET target=/x version=1.1";
    let cases = [
        (
            "$upstream_addr $upstream_response_time $http_x_api_key",
            "192.0.2.1:80, 192.0.2.2:80 0.1, 0.2 exk_1",
            " 200 header:x-api-key=exk_1",
        ),
        (
            "$upstream_addr ${upstream_status} $body_bytes_sent",
            "192.0.2.1:80, 192.0.2.2:80 : unix:/run/a 502, 200 : 200 77",
            " 200 bytes=77",
        ),
        ("$upstream_addr $body_bytes_sent", "192.0.2.1:80 :  77", " 200 bytes=77"),
        ("$upstream_addr $body_bytes_sent", "- 77", " 200 bytes=77"),
        ("$body_bytes_sent $upstream_response_time", "77 0.1, 0.2 : 0.3", " 200 bytes=77"),
        (
            "$body_bytes_sent ut=$upstream_header_time, $http_x_api_key",
            "77 ut=0.1, exk_1",
            " 200 bytes=77 header:x-api-key=exk_1",
        ),
        (
            "$http_user_agent $upstream_addr $body_bytes_sent",
            "c/1 (x) 192.0.2.1:80, - : - 77",
            " agent=c/1 (x) 200 bytes=77",
        ),
        ("$http_user_agent $upstream_response_time", "c/1 (x) 0.1, 0.2", " agent=c/1 (x) 200"),
        ("$upstream_addr $body_bytes_sent", "192.0.2.1:80, 192.0", " 200"),
    ];
    for (fields, values, more) in cases {
        let template = format!("$remote_addr [$time_local] \"$request\" $status {fields}");
        assert_eq!(
            read(&template, &format!("{head} {values}")),
            format!("{known}{more}"),
            "{fields}"
        );
    }
}

#[test]
fn words_behind_a_last_list_do_not_fit() {
    let read = read("$msec $status $upstream_addr", "1795453833.537 200 192.0.2.1:80, - exk_1");
    assert!(read.contains("the end of the line"), "{read}");
}

#[test]
fn the_status_before_a_redirect_hid_the_final_one() {
    for statuses in ["%s %>s", "%<s %>s"] {
        let read = read(&format!("%t {statuses}"), "[23/Nov/2026:17:10:33 +0000] 302 404");
        assert_eq!(read, "2026-11-23T17:10:33Z 404", "{statuses}");
    }
    for statuses in ["%>s %s", "%>s %<s"] {
        let read = read(&format!("%t {statuses}"), "[23/Nov/2026:17:10:33 +0000] 404 302");
        assert_eq!(read, "2026-11-23T17:10:33Z 404", "{statuses}");
    }
}

#[test]
fn a_time_behind_words_without_quotes_is_found() {
    let line = "192.0.2.1 GET / HTTP/1.1 2026-11-23 17:10:33 200";
    assert_eq!(
        read("%h %r %{%F %T}t %>s", line),
        "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/ version=1.1 200"
    );
}

#[test]
fn a_line_with_another_time_than_the_templates_does_not_fit() {
    let template = "%h %{%F}t %{%T}t %>s";
    for (line, expected) in [
        ("192.0.2.1 2026-11-31 17:10:33 200", "11: a time / '2'"),
        ("192.0.2.1 23/11/2026 17:10:33 200", "11: a time / '2'"),
        ("192.0.2.1 2026-11-23T17:10:33 200", "21: ' ' after %{%F}t / 'T'"),
        ("192.0.2.1 2026-11-23 17:10:33Z 200", "30: ' ' after %{%T}t / 'Z'"),
    ] {
        assert_eq!(read(template, line), expected, "{line}");
    }
}

#[test]
fn a_literal_that_came_too_late_was_taken_for_a_wrong_value() {
    for (template, line, expected) in [
        (
            "$remote_addr [$time_local] $status",
            "203.0.113.7 - bob [28/Nov/2026:17:10:33 +0000] 200",
            "12: ' [' after $remote_addr / ' '",
        ),
        (
            "$remote_addr [$time_local] $status [$body_bytes_sent]",
            "203.0.113.7 [28/Nov/2026:17:10:33 +0000] 200 512 [7]",
            "45: ' [' after $status / ' '",
        ),
        // The value itself is wrong.
        (
            "$remote_addr [$time_local] $status [$body_bytes_sent]",
            "203.0.113.7 [28/Nov/2026:17:10:33 +0000] ok 512 [7]",
            "42: a status / 'o'",
        ),
    ] {
        let read = read(template, line);
        assert!(read.contains(expected), "{read}");
    }
}

#[test]
fn parts_that_make_no_time_are_a_fault_of_the_template() {
    for (template, column) in [
        ("%h %{%F}t %>s", 4),
        ("%h %{%T}t.%{msec_frac}t %>s", 4),
        ("%h %>s %{begin:%F}t %{end:%T}t", 8),
        ("%h %{%I:%M %F}t", 4),
        ("%h %{%F %f}t", 4),
    ] {
        let fault = Format::template(template).unwrap_err();
        assert_eq!(fault.column, column, "{template}: {fault}");
        assert!(fault.found.ends_with("which is no whole time"), "{template}: {fault}");
    }
}

#[test]
fn a_parameter_that_the_log_has_apart_stands_in_the_query() {
    let template = "$remote_addr $msec $status $request_uri $arg_access_token $arg_page";
    let begin = "192.0.2.1 1795453833.537 200";
    let said = "2026-11-23T17:10:33.537Z client=192.0.2.1 target=";
    for (rest, target) in [
        ("/a exk_1 -", "/a?access_token=exk_1"),
        ("/a - -", "/a"),
        ("/a exk_1 2", "/a?access_token=exk_1&page=2"),
        ("/a?access_token=exk_1 exk_1 -", "/a?access_token=exk_1"),
        ("/a?page=2&Access_Token=exk_1&x exk_1 2", "/a?page=2&Access_Token=exk_1&x"),
        ("/a?access_token=[redacted] exk_1 -", "/a?access_token=[redacted]&access_token=exk_1"),
        ("/a?my_access_token=exk_1 exk_1 -", "/a?my_access_token=exk_1&access_token=exk_1"),
        ("/a?access_token=exk_12 exk_1 -", "/a?access_token=exk_12&access_token=exk_1"),
        ("- exk_1 -", "?access_token=exk_1"),
    ] {
        let line = format!("{begin} {rest}");
        assert_eq!(read(template, &line), format!("{said}{target} 200"), "{line}");
    }
}

#[test]
fn what_a_variable_tells_of_the_client_and_its_token_is_kept() {
    let time = "1795453833 200";
    for (variable, value, expected) in [
        ("$proxy_protocol_addr", "192.0.2.9", "client=192.0.2.9"),
        ("$realip_remote_addr", "192.0.2.9", "client=192.0.2.9"),
        ("$ssl_server_name", "a.example.org", "host=a.example.org"),
        ("$https", "on", "scheme=https"),
        ("$jwt_claim_sub", "user-17", "id:sub=user-17"),
        ("$jwt_claim_azp", "web", "id:client_id=web"),
        ("$jwt_claim_jti", "j-1", "id:jti=j-1"),
        ("$jwt_claim_username", "ann", "user=ann"),
        ("$cookie_sid", "s1", "cookie:sid=s1"),
        ("$http_x_api_key", "exk_1", "header:x-api-key=exk_1"),
        ("$sent_http_x_token_id", "k-17", "id:x_token_id=k-17"),
        ("%{X-Token-Id}o", "k-17", "id:X-Token-Id=k-17"),
        ("%{VCL_Log:token_id}x", "k-17", "id:token_id=k-17"),
        ("%{X-Api-Key}^ti", "exk_1", "header:x-api-key=exk_1"),
        ("%{HTTPS}e", "on", "scheme=https"),
        ("%{SSL_TLS_SNI}x", "a.example.org", "host=a.example.org"),
        ("%^FB", "17", ""),
        ("%({authorization}i)s", "exk_1", "header:authorization=exk_1"),
        ("%({wsgi.url_scheme}e)s", "https", "scheme=https"),
        ("%(a)s", "curl/8", "agent=curl/8"),
        ("%(M)s", "17", ""),
    ] {
        let begin = if variable.starts_with('$') { "$msec $status" } else { "%{sec}t %>s" };
        let read = read(&format!("{begin} {variable}"), &format!("{time} {value}"));
        let words: Vec<&str> = read.split(' ').filter(|word| *word != "200").collect();
        assert_eq!(words[1..].join(" "), expected, "{variable}: {read}");
    }
}

#[test]
fn a_pasted_directive_is_read_as_its_template() {
    let line = r#"192.0.2.1 [23/Nov/2026:17:10:33 +0000] "GET / HTTP/1.1" 200 "curl/8""#;
    for pasted in [
        "log_format main '$remote_addr [$time_local] \"$request\" '\n    # and then\n    '$status \"$http_user_agent\"';",
        "\n  log_format main escape=json \"$remote_addr [$time_local] \\\"$request\\\" $status\" ' \"$http_user_agent\"' ;\n",
        r#"LogFormat "%h %t \"%r\" %>s \"%{User-Agent}i\"" combined"#,
        r#"logformat '%h %t "%r" %>s "%{User-Agent}i"'"#,
        "CustomLog logs/access_log \"%h %t \\\"%r\\\" %>s \\\n\\\"%{User-Agent}i\\\"\" env=!quiet",
        r#"CustomLog "|/usr/bin/rotatelogs /var/log/a 86400" "%h %t \"%r\" %>s \"%{User-Agent}i\"""#,
        r#"accesslog.format="%h %t \"%r\" %>s \"%{User-Agent}i\"" # all"#,
        r#"accesslog.format = "%h %t \"%r\" %>s \"%{User-Agent}i\"""#,
        "access_log_format = ('%(h)s %(t)s \"%(r)s\" '\n  '%(s)s \"%(a)s\"')",
        r#"varnishncsa -a -F '%h %t "%r" %s "%{User-agent}i"' -w /var/log/varnish.log"#,
    ] {
        assert_eq!(
            read(pasted, line),
            "2026-11-23T17:10:33Z client=192.0.2.1 method=GET target=/ version=1.1 agent=curl/8 200",
            "{pasted}"
        );
        let format = Format::template(pasted).unwrap();
        let text = format.template_text().unwrap();
        assert!(text.starts_with(['$', '%']), "{text}");
    }
}

#[test]
fn a_pasted_format_without_escapes_is_read_without() {
    let pasted = r#"log_format m escape=none '$msec $status "$http_user_agent" "$http_referer"';"#;
    let read = |line| read(pasted, line);
    let said = "2026-11-23T17:10:33Z referer=/b agent=";
    assert_eq!(read(r#"1795453833 200 "a\" "/b""#), format!(r"{said}a\\ 200"));
    assert_eq!(
        read(r#"1795453833 200 "a \x22 "b" c" "/b""#),
        format!(r#"{said}a \\x22 \"b\" c 200"#)
    );
}

#[test]
fn a_pasted_format_that_prints_json_is_read_as_json() {
    let pasted = r#"log_format j escape=json '{"t":"$msec",'
        '"s":$status,"u":"$uri","a":"$http_authorization","k":"$arg_api_key"}';"#;
    let line = r#"{"t":"1795453833.537","s":200,"u":"/a","a":"Bearer x","k":"exk_1"}"#;
    assert_eq!(
        read(pasted, line),
        "2026-11-23T17:10:33.537Z target=/a?api_key=exk_1 200 header:authorization=Bearer x"
    );
}

#[test]
fn json_keys_named_after_nginx_variables_tell_what_these_do() {
    let line = r#"{"msec":"1795453833.537","uri":"/a","status":200,"arg_api_key":"exk_1","jwt_claim_sub":"user-17"}"#;
    for preset in ["nginx-json", "auto"] {
        assert_eq!(
            super::tests::read(&Format::preset(preset).unwrap(), line),
            "2026-11-23T17:10:33.537Z target=/a?api_key=exk_1 200 id:sub=user-17"
        );
    }
}

#[test]
fn a_fault_of_a_pasted_directive_names_its_place() {
    for (pasted, column, found) in [
        ("log_format main", 1, "log_format without a format"),
        ("log_format m escape=html '$msec';", 14, "escape=html"),
        ("log_format m '$msec ' '$status$request';", 31, "$request with"),
        ("log_format m '$msec", 14, "a quote that does not close"),
        ("LogFormat \"%h %Z\" x", 15, "%Z"),
        ("CustomLog logs/access_log combined", 27, "the nickname combined"),
        ("CustomLog logs/access_log", 1, "no format"),
        ("access_log /var/log/nginx/a.log main;", 1, "access_log"),
        ("access_log_format = None", 1, "no format"),
        ("log-format \"%ci:%cp [%tr] %ST\"", 1, "log-format"),
        ("logformat tokens %>a [%tl] \"%rm %ru\" %>Hs", 1, "logformat NAME"),
        ("%ci:%cp [%tr] %ft %b/%s", 1, "%c"),
        ("%ts.%03tu %6tr %>a %Ss/%03>Hs", 1, "%t"),
        ("%>a %[un [%{%F %T}t] \"%{Referer}>h\"", 5, "%["),
        ("%(addr) [%(ltime)] %(status)", 1, "%(addr)"),
        ("%(h)s %(zz)s %(t)s", 7, "%(zz)s"),
    ] {
        let fault = Format::template(pasted).unwrap_err();
        assert!(fault.found.starts_with(found), "{pasted}: {fault}");
        assert_eq!(fault.column, column, "{pasted}: {fault}");
    }
}

/// How a server escapes a text.
type Escaped = fn(&str) -> String;

/// One variable: its name in nginx and Apache, quoted if its text may contain spaces.
struct Variable {
    nginx: &'static str,
    apache: &'static str,
    print: fn(&Sample, Escaped) -> String,
    is_read: fn(&Record<'_>, &Sample) -> bool,
}

const VARIABLES: &[Variable] = &[
    Variable {
        nginx: "[$time_local]",
        apache: "%t",
        print: |s, _| s.time("[%d/%b/%Y:%H:%M:%S +0000]"),
        is_read: |r, s| r.time.map(|time| time.seconds()) == Some(s.micros / 1_000_000),
    },
    Variable {
        nginx: "$remote_addr",
        apache: "%h",
        print: |s, _| s.client.to_string(),
        is_read: |r, s| r.client == Some(s.client.into()),
    },
    Variable {
        nginx: "\"$request\"",
        apache: "\"%r\"",
        print: |s, escaped| format!("\"{} {} HTTP/1.1\"", s.method, escaped(&s.target)),
        is_read: |r, s| {
            let target = text(&r.target).unwrap_or_default();
            text(&r.method) == Some(s.method) && target.starts_with(&s.target)
        },
    },
    Variable {
        nginx: "$status",
        apache: "%>s",
        print: |s, _| s.status.to_string(),
        is_read: |r, s| r.status == Some(s.status),
    },
    Variable {
        nginx: "$body_bytes_sent",
        apache: "%b",
        print: |s, _| s.bytes.to_string(),
        is_read: |r, s| r.bytes == Some(s.bytes),
    },
    Variable {
        nginx: "$host",
        apache: "%v",
        print: |s, _| s.host.clone(),
        is_read: |r, s| text(&r.host) == Some(s.host.as_str()),
    },
    Variable {
        nginx: "\"$http_referer\"",
        apache: "\"%{Referer}i\"",
        print: |s, escaped| format!("\"{}\"", escaped(&s.referer)),
        is_read: |r, s| text(&r.referer) == Some(s.referer.as_str()),
    },
    Variable {
        nginx: "\"$http_user_agent\"",
        apache: "\"%{User-Agent}i\"",
        print: |s, escaped| format!("\"{}\"", escaped(&s.agent)),
        is_read: |r, s| text(&r.agent) == Some(s.agent.as_str()),
    },
    Variable {
        nginx: "\"$http_x_api_key\"",
        apache: "\"%{X-Api-Key}i\"",
        print: |s, escaped| format!("\"{}\"", escaped(&s.agent)),
        is_read: |r, s| r.fields.iter().any(|(_, value)| value[..] == *s.agent.as_bytes()),
    },
    Variable {
        nginx: "$arg_api_key",
        apache: "%{api_key}C",
        print: |s, _| s.host.clone(),
        is_read: |r, s| {
            let is_argument =
                text(&r.target).is_some_and(|t| t.ends_with(&format!("api_key={}", s.host)));
            is_argument || r.fields.iter().any(|(_, value)| value[..] == *s.host.as_bytes())
        },
    },
    Variable {
        nginx: "$request_time",
        apache: "%D",
        print: |s, _| s.bytes.to_string(),
        is_read: |_, _| true,
    },
];

/// Some of the variables, including the time, in any order.
fn order() -> impl Strategy<Value = Vec<usize>> {
    let others: Vec<usize> = (1..VARIABLES.len()).collect();
    let n_others = others.len();
    let some = prop::sample::subsequence(others, 1..=n_others);
    some.prop_map(|mut some| {
        some.push(0);
        some
    })
    .prop_shuffle()
}

/// The parts of a time that Apache prints separately.
const TIMES: &[&[(&str, &str)]] = &[
    &[("%t", "[%d/%b/%Y:%H:%M:%S +0000]"), ("%{usec_frac}t", "%6f")],
    &[("%{%d/%b/%Y}t", "%d/%b/%Y"), ("%{%T}t.%{usec_frac}t", "%T.%6f"), ("%{%z}t", "+0000")],
    &[("%{sec}t.%{usec_frac}t", "%s.%6f")],
    &[("%{end:%F %R}t", "%F 00:00"), ("%{begin:usec}t", "%s%6f")],
    &[("[%{%A, %e. %B %Y}t]", "[%A, %e. %B %Y]"), ("%{%I:%M:%S%p}t%{usec_frac}t", "%I:%M:%S%p%6f")],
    &[("%{%Y%j}t%{%H%M%S}t", "%Y%j%H%M%S"), ("%{usec_frac}t", "%6f"), ("%{%Z}t", "UTC")],
];

/// Wraps a template in one of the directives of a server.
fn pasted(template: &str, which: usize) -> String {
    let escaped = template.replace('"', "\\\"");
    let (before, behind) = template.split_at(template.find(' ').unwrap_or(0));
    match which {
        0 => template.to_owned(),
        1 if template.contains('$') => format!("log_format main '{before}'\n '{behind}';"),
        1 => format!("LogFormat \"{escaped}\" main"),
        2 if template.contains('$') => format!("log_format main escape=default \"{escaped}\";"),
        2 => format!("CustomLog logs/access_log \"{escaped}\""),
        _ if template.contains('$') => format!("log_format main escape=json '{template}';"),
        _ => format!("varnishncsa -F '{template}' -w x"),
    }
}

fn check(
    template: &str,
    line: &str,
    sample: &Sample,
    order: &[usize],
) -> Result<(), TestCaseError> {
    let format = Format::template(template).unwrap();
    let record = format.parse(line.as_bytes());
    prop_assert!(record.is_ok(), "{template}\n{line}\n{record:?}");
    let record = record.unwrap();
    for variable in order.iter().map(|at| &VARIABLES[*at]) {
        let is_read = (variable.is_read)(&record, sample);
        prop_assert!(is_read, "{}\n{template}\n{line}\n{record:?}", variable.nginx);
    }
    Ok(())
}

proptest! {
    #[test]
    fn what_a_template_prints_is_read_back(
        sample in sample(),
        order in order(),
        separator in prop::sample::select(vec![" ", " - ", " | ", "\t", ", "]),
        lead in prop::sample::select(vec!["", "access: "]),
        which in 0..4_usize,
    ) {
        let join = |of: &dyn Fn(&Variable) -> String| {
            let parts: Vec<String> = order.iter().map(|at| of(&VARIABLES[*at])).collect();
            format!("{lead}{}", parts.join(separator))
        };
        let nginx = join(&|variable| variable.nginx.to_owned());
        let json: Escaped = |text| {
            let quoted = serde_json::to_string(text).unwrap();
            quoted.strip_prefix('"').unwrap().strip_suffix('"').unwrap().to_owned()
        };
        let escaped = if which == 3 { json } else { Sample::escaped };
        let line = join(&|variable| (variable.print)(&sample, escaped));
        check(&pasted(&nginx, which), &line, &sample, &order)?;
        let apache = join(&|variable| variable.apache.to_owned());
        let line = join(&|variable| (variable.print)(&sample, Sample::escaped));
        check(&pasted(&apache, which), &line, &sample, &order)?;
    }

    #[test]
    fn what_a_template_without_escapes_prints_is_read_back(
        sample in sample_without_quotes(),
        order in order(),
    ) {
        let join = |of: &dyn Fn(&Variable) -> String| {
            let parts: Vec<String> = order.iter().map(|at| of(&VARIABLES[*at])).collect();
            parts.join(" ")
        };
        let template = join(&|variable| variable.nginx.to_owned());
        let line = join(&|variable| (variable.print)(&sample, str::to_owned));
        check(&format!("log_format m escape=none '{template}';"), &line, &sample, &order)?;
    }

    #[test]
    fn what_a_template_with_a_split_time_prints_is_read_back(
        sample in sample(),
        order in order(),
        times in prop::sample::select(TIMES.to_vec()),
        turn in any::<prop::sample::Index>(),
        which in 0..4_usize,
    ) {
        let others: Vec<usize> = order.into_iter().filter(|at| *at > 0).collect();
        let print = |at: &usize| (VARIABLES[*at].print)(&sample, Sample::escaped);
        let mut parts: Vec<(String, String)> =
            others.iter().map(|at| (VARIABLES[*at].apache.to_owned(), print(at))).collect();
        for (form, print) in times {
            parts.insert(turn.index(parts.len() + 1), ((*form).to_owned(), sample.time(print)));
        }
        let (template, line): (Vec<String>, Vec<String>) = parts.into_iter().unzip();
        let (template, line) = (template.join(" "), line.join(" "));
        check(&pasted(&template, which), &line, &sample, &others)?;
        let format = Format::template(&template).unwrap();
        let record = format.parse(line.as_bytes()).unwrap();
        let time = (record.time.map(|time| time.0), record.time_digits);
        prop_assert_eq!(time, (Some(sample.micros), 6), "{}\n{}", template, line);
    }
}
