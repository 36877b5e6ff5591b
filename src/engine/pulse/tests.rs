//! Nothing of a rejected line is in what is kept about it.

use proptest::prelude::*;

use super::*;
use crate::engine::record::Format;

const SECRET: &str = "q8Wz3Lp0Vt6Yc1Nb";

/// Lines of several kinds, which the tests corrupt.
const LINES: [&str; 5] = [
    r#"192.0.2.7 - ann [02/Mar/2026:08:00:00 +0000] "GET /v1?a=b HTTP/1.1" 200 5 "-" "curl/8.5.0" "-""#,
    r#"{"time":"2026-03-02T08:00:00Z","remote_addr":"192.0.2.9","request":"GET / HTTP/1.1","status":200,"a":[1,{"b":null}]}"#,
    r#"{"level":"info","ts":1773281587.5,"request":{"remote_ip":"192.0.2.7","method":"GET","uri":"/","headers":{"A":["b"]}},"size":6,"status":200}"#,
    r#"192.0.2.7:5000 [02/Mar/2026:08:00:00.123] web app/s1 0/0/1/2/3 200 5 - - ---- 1/1/1/1/0 0/0 {a|b} {c} "GET / HTTP/1.1""#,
    r#"<134>Mar  2 08:00:00 web nginx: 192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "-""#,
];

/// Ways in which a log may contain a secret.
fn planted() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(SECRET.to_owned()),
        Just(format!("\"{SECRET}\"")),
        Just(format!("\"{SECRET}\":\"{SECRET}\",")),
        Just(format!(" {SECRET} ")),
        Just(format!("[{SECRET}]")),
        Just(format!("\\{SECRET}\\u{SECRET}")),
    ]
}

fn formats() -> Vec<Format> {
    let templates = [
        r#"$remote_addr - $remote_user [$time_local] "$request" $status"#,
        r#"{"t":"$time_iso8601","r":"$request","s":$status}"#,
    ];
    let presets = Format::presets().filter_map(|(name, _)| Format::preset(name));
    presets.chain(templates.into_iter().map(|text| Format::template(text).unwrap())).collect()
}

proptest! {
    #[test]
    fn what_is_kept_of_a_rejected_line_is_none_of_its_text(
        line in prop::sample::select(&LINES[..]),
        planted in prop::collection::vec((any::<prop::sample::Index>(), planted()), 1..4),
        end in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let mut line = line.to_owned();
        for (at, secret) in planted {
            let at = at.index(line.len());
            line.insert_str(at, &secret);
        }
        if is_cut {
            line.truncate(end.index(line.len()));
        }
        for format in formats() {
            let Err(reject) = format.parse(line.as_bytes()) else { continue };
            let kept = Misfit::new(0, &reject).expected;
            let pieces = SECRET.as_bytes().windows(4);
            for piece in pieces.map(|piece| std::str::from_utf8(piece).unwrap()) {
                prop_assert!(!kept.contains(piece), "{}: {}: {}", format.name(), line, kept);
            }
        }
    }
}

#[test]
fn what_was_expected_is_cut_where_it_is_long() {
    let reject = Reject::new(1, "\u{e9}".repeat(500), "");
    assert_eq!(Misfit::new(0, &reject).expected.len(), MAX_EXPECTED);
}

#[test]
fn the_pulse_is_the_order_of_lines() {
    let mut pulse = Pulse::default();
    let reject = Reject::new(4, "a", "'b'");
    pulse.reject(10, &reject);
    pulse.reject(20, &reject);
    for seconds in [0, 59, 58, 60] {
        pulse.read(Some(Timestamp::from_seconds(seconds)));
    }
    pulse.reject(30, &reject);
    pulse.read(None);
    let seen: Vec<_> = pulse
        .stretches()
        .iter()
        .map(|of| (of.time.map(Timestamp::seconds), of.read, of.rejected, of.first.is_some()))
        .collect();
    let expected =
        [(None, 0, 2, true), (Some(59), 3, 0, false), (Some(60), 1, 1, true), (None, 1, 0, false)];
    assert_eq!(seen, expected);
    assert_eq!(pulse.newest(), Some(Timestamp::from_seconds(60)));
}
