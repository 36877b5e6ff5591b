//! How long requests took: only where the log's time is that of the answer.

use super::*;

#[test]
fn a_duration_counts_back_from_the_time_of_the_answer() {
    let combined = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1""#;
    let alb = &alb(["0.001", "5399.998", "0.001"]);
    let classic = "2026-11-23T17:10:33.537001Z web 192.0.2.1:2817 10.0.0.1:80 0.001 5399.998 0.001 200 200 0 29 \"GET http://api.example.org:80/ HTTP/1.1\"";
    let cases = [
        (
            r#"{"ts":1795453833.5,"duration":5400.01,"request":{"uri":"/","method":"GET"}}"#,
            5_400_010,
        ),
        // Whole numbers of keys that have no unit of their own.
        (r#"{"ts":1795453833.5,"duration":54000,"request":{"uri":"/","method":"GET"}}"#, 0),
        (
            r#"{"time":"2026-03-02T08:00:00Z","request":"GET / HTTP/1.1","request_time":"1.250"}"#,
            1250,
        ),
        (r#"{"time":1795453833,"req":{"method":"GET","url":"/"},"responseTime":40}"#, 40),
        (r#"{"time":1795453833,"path":"/","data":{"duration":2.5}}"#, 0),
        // Times at which requests began: nothing is to be subtracted.
        (r#"{"start_time":"2026-03-02T08:00:00Z","path":"/","duration":2.5}"#, 0),
        (r#"{"duration":2.5,"started_at":1795453833000,"request":{"uri":"/"}}"#, 0),
        (
            r#"192.0.2.1:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1" rt=2.5"#,
            0,
        ),
        ("ts=2026-03-02T08:00:00Z method=GET path=/ duration=2.5", 0),
        (r#"{"time":1795453833,"method":"GET","path":"/","duration":5000.33}"#, 0),
        (r#"{"time":1795453833,"req":{"method":"GET","url":"/"},"responseTime":9519.804}"#, 9520),
        (
            "1795453833.537   1234 192.0.2.1 TCP_MISS/200 612 GET http://example.org/ - HIER_DIRECT/192.0.2.9 text/html",
            1234,
        ),
        (alb, 5_400_000),
        (classic, 0),
        (combined, 0),
    ];
    for (line, millis) in cases {
        let record = preset("auto").parse(line.as_bytes()).unwrap();
        assert_eq!(record.took_millis, millis, "{line}");
    }
    for tail in [
        " 1.250 462",
        " rt=1.250 uct=0.001",
        " 395 5400.004 [web-80] [] 10.0.0.9:80 26 0.004 200 2f5d",
    ] {
        let line = format!("{combined}{tail}");
        let record = preset("auto").parse(line.as_bytes()).unwrap();
        assert_eq!(record.took_millis, 0, "a client may have written it: {line}");
    }
}

#[test]
fn times_of_a_load_balancer_that_are_too_long_together_overflowed() {
    let line = alb(["86400.0", "86400.0", "4294967.0"]);
    assert_eq!(preset("auto").parse(line.as_bytes()).unwrap().took_millis, 0);
    let line = alb(["0.001", "-1", "-1"]);
    assert_eq!(preset("auto").parse(line.as_bytes()).unwrap().took_millis, 1);
}

fn alb([request, target, response]: [&str; 3]) -> String {
    format!(
        r#"h2 2026-11-23T17:10:33.537001Z app/web/50dc6c495c0c9188 192.0.2.1:2817 10.0.0.1:80 {request} {target} {response} 200 200 34 366 "GET https://api.example.org:443/ HTTP/2.0" "c/1" ECDHE TLSv1.2 arn "-" "-" "-""#
    )
}

#[test]
fn a_template_has_the_duration_in_its_variable() {
    let format = Format::nginx(r#"$remote_addr [$time_local] "$request" $status $request_time"#);
    let line = r#"192.0.2.1 [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5400.004"#;
    assert_eq!(format.unwrap().parse(line.as_bytes()).unwrap().took_millis, 5_400_004);
}

#[test]
fn columns_have_milliseconds_or_seconds_with_a_fraction() {
    for (value, millis) in [("250", 250), ("1.5", 1500), ("-", 0)] {
        let directives = "#Fields: date time c-ip cs-method cs-uri-stem sc-status time-taken";
        let mut columns = Columns::default();
        columns.note(directives.as_bytes());
        let line = format!("2026-03-02 08:00:01 192.0.2.1 GET / 200 {value}");
        let record = preset("w3c").parse_under(line.as_bytes(), &columns).unwrap();
        assert_eq!(record.took_millis, millis, "{line}");
    }
}
