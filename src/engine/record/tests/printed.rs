//! Whatever a template contains, in any order, a request that it prints is read back.

use super::super::sample::{Sample, sample, sample_without_quotes};
use super::*;

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
