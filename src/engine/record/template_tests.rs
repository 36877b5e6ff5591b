//! Whatever a template has, and in whatever order: a request that it prints is read back.

use proptest::prelude::*;

use super::sample::{Sample, sample};
use super::tests::text;
use super::{Format, Record};

/// Reads a line by a template.
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

/// One variable: how nginx and Apache name it, quoted where a text may hold spaces.
struct Variable {
    nginx: &'static str,
    apache: &'static str,
    print: fn(&Sample) -> String,
    is_read: fn(&Record<'_>, &Sample) -> bool,
}

const VARIABLES: &[Variable] = &[
    Variable {
        nginx: "[$time_local]",
        apache: "%t",
        print: |s| s.time("[%d/%b/%Y:%H:%M:%S +0000]"),
        is_read: |r, s| r.time.map(|time| time.seconds()) == Some(s.micros / 1_000_000),
    },
    Variable {
        nginx: "$remote_addr",
        apache: "%h",
        print: |s| s.client.to_string(),
        is_read: |r, s| r.client == Some(s.client.into()),
    },
    Variable {
        nginx: "\"$request\"",
        apache: "\"%r\"",
        print: |s| format!("\"{} {} HTTP/1.1\"", s.method, Sample::escaped(&s.target)),
        is_read: |r, s| {
            text(&r.method) == Some(s.method) && text(&r.target) == Some(s.target.as_str())
        },
    },
    Variable {
        nginx: "$status",
        apache: "%>s",
        print: |s| s.status.to_string(),
        is_read: |r, s| r.status == Some(s.status),
    },
    Variable {
        nginx: "$body_bytes_sent",
        apache: "%b",
        print: |s| s.bytes.to_string(),
        is_read: |r, s| r.bytes == Some(s.bytes),
    },
    Variable {
        nginx: "$host",
        apache: "%v",
        print: |s| s.host.clone(),
        is_read: |r, s| text(&r.host) == Some(s.host.as_str()),
    },
    Variable {
        nginx: "\"$http_referer\"",
        apache: "\"%{Referer}i\"",
        print: |s| format!("\"{}\"", Sample::escaped(&s.referer)),
        is_read: |r, s| text(&r.referer) == Some(s.referer.as_str()),
    },
    Variable {
        nginx: "\"$http_user_agent\"",
        apache: "\"%{User-Agent}i\"",
        print: |s| format!("\"{}\"", Sample::escaped(&s.agent)),
        is_read: |r, s| text(&r.agent) == Some(s.agent.as_str()),
    },
    Variable {
        nginx: "\"$http_x_api_key\"",
        apache: "\"%{X-Api-Key}i\"",
        print: |s| format!("\"{}\"", Sample::escaped(&s.agent)),
        is_read: |r, s| r.fields.iter().any(|(_, value)| value[..] == *s.agent.as_bytes()),
    },
    Variable {
        nginx: "$request_time",
        apache: "%D",
        print: |s| s.bytes.to_string(),
        is_read: |_, _| true,
    },
];

/// Some of the variables, the time among them, in any order.
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

proptest! {
    #[test]
    fn what_a_template_prints_is_read_back(
        sample in sample(),
        order in order(),
        separator in prop::sample::select(vec![" ", " - ", " | ", "\t", ", "]),
        lead in prop::sample::select(vec!["", "access: "]),
    ) {
        let join = |of: &dyn Fn(&Variable) -> String| {
            let parts: Vec<String> = order.iter().map(|at| of(&VARIABLES[*at])).collect();
            format!("{lead}{}", parts.join(separator))
        };
        let line = join(&|variable| (variable.print)(&sample));
        for template in
            [join(&|variable| variable.nginx.to_owned()), join(&|variable| variable.apache.to_owned())]
        {
            let format = Format::template(&template).unwrap();
            let record = format.parse(line.as_bytes());
            prop_assert!(record.is_ok(), "{template}\n{line}\n{record:?}");
            let record = record.unwrap();
            for at in &order {
                let variable = &VARIABLES[*at];
                prop_assert!(
                    (variable.is_read)(&record, &sample),
                    "{}\n{template}\n{line}\n{record:?}",
                    variable.nginx
                );
            }
        }
    }
}
