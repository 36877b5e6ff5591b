//! Addresses that clients may forge: only the trusted hop's header is used, and addresses without a peer are marked.

use serde_json::{Value, json};

use crate::program::{CONFIG, Home, wait_until};

/// What Envoy writes by itself: it names no peer, only the header.
fn envoy(forwarded: &str, query: &str) -> String {
    format!(
        "[2026-03-02T08:00:00.250Z] \"GET /v1/items{query} HTTP/1.1\" 200 - 0 512 3 2 \"{forwarded}\" \"curl/8.5.0\" \
         \"5f0c2d7b-0000-4000-8000-000000000000\" \"api.example.org\" \"10.0.0.5:8080\"\n"
    )
}

/// What nginx writes with a header that anybody may have sent.
fn nginx(peer: &str, forwarded: &str, query: &str) -> String {
    format!(
        "{peer} - - [02/Mar/2026:08:00:00 +0000] \"GET /v1/items{query} HTTP/1.1\" 200 512 \"-\" \"curl/8.5.0\" \"{forwarded}\"\n"
    )
}

/// The sources of lines, as `parse` shows them.
fn sources(config: &str, lines: &str) -> Vec<Value> {
    let home = Home::new(config);
    home.append("logs/a.log", lines);
    home.json(&["parse", "logs/a.log"]).into_iter().map(|line| line["source"].clone()).collect()
}

fn trusting() -> String {
    CONFIG.replace("[limits]", "trusted_proxies = [\"10.0.0.0/8\", \"2001:db8:ff::/48\"]\n[limits]")
}

#[test]
fn the_address_of_the_trusted_hop_only_is_taken_and_marked_where_no_peer_vouches_for_it() {
    let many = format!("198.51.100.7{}", ", 203.0.113.9".repeat(199));
    let chain = format!("198.51.100.7{}", ", 10.0.0.9".repeat(199));
    let cases = [
        ("203.0.113.9", Some("203.0.113.9")),
        ("1.2.3.4, 203.0.113.9", Some("203.0.113.9")),
        ("evil, 203.0.113.9", Some("203.0.113.9")),
        ("1.2.3.4, 203.0.113.9, 10.0.0.1", Some("203.0.113.9")),
        ("1.2.3.4, evil, 10.0.0.1", Some("10.0.0.1")),
        ("1.2.3.4, evil", None),
        (&many, Some("203.0.113.9")),
        // Nobody has so many proxies: the walk ends at one of them.
        (&chain, Some("10.0.0.9")),
        ("203.0.113.9:4711", Some("203.0.113.9")),
        ("[2001:db8::9]:4711", Some("2001:db8::9")),
        ("2001:db8::9", Some("2001:db8::9")),
        ("198.51.100.7, fe80::9%eth0", Some("fe80::9")),
        ("::ffff:203.0.113.9", Some("203.0.113.9")),
        ("198.51.100.7, 2001:db8:ff::1", Some("198.51.100.7")),
    ];
    let lines: String = cases.iter().map(|(forwarded, _)| envoy(forwarded, "")).collect();
    for (source, (forwarded, address)) in sources(&trusting(), &lines).iter().zip(cases) {
        let expected = address.map_or(Value::Null, |ip| json!({"ip": ip, "forgeable": true}));
        assert_eq!(*source, expected, "{forwarded}");
    }
    // A peer that is seen is nobody's word; what it says counts only if it is trusted.
    let peers = [
        ("192.0.2.7", "1.2.3.4", "192.0.2.7"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9", "203.0.113.9"),
        ("10.0.0.1", &chain, "10.0.0.9"),
        ("10.0.0.1", "1.2.3.4, evil", "10.0.0.1"),
        ("10.0.0.1", "1.2.3.4, 203.0.113.9:4711, [2001:db8:ff::1%eth0]:443", "203.0.113.9"),
    ];
    let lines: String = peers.iter().map(|(peer, said, _)| nginx(peer, said, "")).collect();
    for (source, (peer, said, address)) in sources(&trusting(), &lines).iter().zip(peers) {
        assert_eq!(*source, json!({"ip": address}), "{peer}: {said}");
    }
}

#[test]
fn an_alert_says_that_its_address_may_be_forged() {
    let home = Home::new(CONFIG);
    let query = |n: u32| format!("?access_token=exk_{n:08}0123456789abcdefgh");
    home.append("logs/a.log", envoy("1.2.3.4, 203.0.113.9", &query(1)));
    home.append("logs/a.log", nginx("192.0.2.7", "1.2.3.4", &query(2)));
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == 2);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    let mut alerts = home.json(&["alerts", "list", "--json"]);
    alerts.sort_by_key(|alert| alert["source"]["ip"].to_string());
    let of = |alert: &Value| (alert["source"]["ip"].clone(), alert["source"]["forgeable"].clone());
    let told: Vec<_> = alerts.iter().map(of).collect();
    let [seen, said] = ["192.0.2.7", "203.0.113.9"];
    assert_eq!(told, [(seen.into(), Value::Null), (said.into(), true.into())], "{alerts:?}");
    for (alert, is_marked) in alerts.iter().zip([false, true]) {
        let text = home.print(&["alerts", "show", alert["alert"].as_str().unwrap()]);
        assert_eq!(text.contains("forgeable"), is_marked, "{text}");
    }
}

#[test]
fn a_history_says_which_addresses_may_be_forged() {
    let home = Home::new(CONFIG);
    let query = "?access_token=exk_000000010123456789abcdefgh";
    home.append("logs/a.log", envoy("1.2.3.4, 203.0.113.9", query));
    home.append("logs/a.log", nginx("203.0.113.9", "", query));
    home.append("logs/a.log", nginx("192.0.2.7", "1.2.3.4", query));
    let daemon = home.run(&[]);
    wait_until("the lines are committed", || home.committed_lines() == 3);
    assert!(daemon.terminate().success(), "{}", home.daemon_log());
    let token = home.json(&["tokens", "list", "--json"]).remove(0)["token"]["id"].clone();
    let token = token.as_str().unwrap();
    let history = home.json(&["history", token, "--json"]).remove(0);
    let addresses = history["facets"]["address"].as_array().unwrap();
    let mut told: Vec<_> =
        addresses.iter().map(|row| (row["value"].as_str(), &row["forgeable"])).collect();
    told.sort_by_key(|(value, forgeable)| (*value, forgeable.is_null()));
    let seen = |address| (Some(address), &Value::Null);
    let expected = [seen("192.0.2.7"), (Some("203.0.113.9"), &true.into()), seen("203.0.113.9")];
    assert_eq!(told, expected);
    let text = home.print(&["history", token]);
    assert_eq!(text.matches("203.0.113.9 (forgeable)").count(), 1, "{text}");
    assert_eq!(text.matches("(forgeable)").count(), 1, "{text}");
}

#[test]
fn a_forged_line_in_an_error_log_put_the_lines_after_it_behind_all_others() {
    let home = Home::new(CONFIG);
    let token = |n: u32| format!("exk_{n:08}0123456789abcdefgh");
    let query = |n: u32| format!("?access_token={}", token(n));
    let failed = |clock: &str, n: u32| {
        format!(
            "2026/03/02 {clock} [error] 7#7: *1 open() \"/x\" failed (2: No such file or directory), client: 192.0.2.7, \
             server: _, request: \"GET /{} HTTP/1.1\", host: \"api.example.org\"\n",
            query(n)
        )
    };
    let served = |clock: &str, n: u32| nginx("192.0.2.7", "", &query(n)).replace("08:00:00", clock);
    home.append("logs/error.log", failed("08:00:00", 1));
    home.append("logs/error.log", served("08:00:00", 9).replace("02/Mar/2026", "01/Jan/2099"));
    home.append("logs/error.log", failed("08:02:00", 3));
    home.append("logs/access.log", served("08:01:00", 2) + &served("08:03:00", 4));
    // The use of a decoy is reported whatever the response, which an error log does not tell.
    let rows: String = (1..5).map(|n| format!("{},true\n", token(n))).collect();
    home.append("logs/registry.csv", format!("token,decoy\n{rows}"));
    let mut alerts = home.json(&["replay", "--json", "logs"]);
    alerts.retain(|alert| alert["rule"]["name"] == "honeytoken-used");
    let times: Vec<_> = alerts.iter().filter_map(|alert| alert["@timestamp"].as_str()).collect();
    let expected = ["08:00", "08:01", "08:02", "08:03"].map(|at| format!("2026-03-02T{at}:00Z"));
    assert_eq!(times, expected, "{alerts:?}");
}
