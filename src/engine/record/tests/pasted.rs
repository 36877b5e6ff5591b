//! Templates that are pasted as their server has them, in the directive around them.

use super::*;

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
            read_by(pasted, line),
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
    let read = |line| read_by(pasted, line);
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
        read_by(pasted, line),
        "2026-11-23T17:10:33.537Z target=/a?api_key=exk_1 200 header:authorization=Bearer x"
    );
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
