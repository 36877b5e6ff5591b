//! Whatever a template has, and in whatever order: a request that it prints is read back.

use proptest::prelude::*;

use super::sample::{Sample, sample};
use super::tests::text;
use super::{Format, Record};

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
