//! Times that a template prints in several parts.

use super::*;

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
            read_by(&format!("{template} \"%r\" %>s"), &format!("{line} \"GET / HTTP/1.1\" 200"));
        assert_eq!(read, format!("2026-11-23T{time} {request}"), "{template}");
    }
}

#[test]
fn a_time_behind_words_without_quotes_is_found() {
    let line = "192.0.2.1 GET / HTTP/1.1 2026-11-23 17:10:33 200";
    assert_eq!(
        read_by("%h %r %{%F %T}t %>s", line),
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
        assert_eq!(read_by(template, line), expected, "{line}");
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
