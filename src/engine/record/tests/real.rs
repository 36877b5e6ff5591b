//! Lines that real servers wrote, and by which format they are recognised.

use std::io::Write as _;

use super::*;

#[test]
fn every_preset_exists_and_has_its_name() {
    for (name, what) in Format::presets() {
        assert_eq!(preset(name).name(), name);
        assert!(!what.is_empty());
    }
    assert_eq!(preset("combined").name(), "apache-combined");
    assert!(Format::preset("combind").is_none());
}

#[test]
fn a_guess_names_the_preset_that_most_lines_fit() {
    let combined = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5 "-" "c/1""#;
    let common = r#"192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#;
    let cases = [
        (vec![], "auto", 0),
        (vec!["", "# comment"], "auto", 0),
        (vec!["x"], "auto", 1),
        (vec![combined, combined, common, "x"], "nginx-combined", 1),
        (vec![common], "common", 0),
        (vec![r#"{"ts":1,"uri":"/","remote_addr":"192.0.2.1"}"#], "nginx-json", 0),
        (vec![r#"{"ts":1,"request":{"uri":"/","method":"GET"}}"#], "caddy-json", 0),
        (vec![r#"{"ts":1,"path":"/"}"#], "json", 0),
        (
            vec![
                r#"192.0.2.1:1 [23/Nov/2026:17:11:40.346] f b/s 0/0/0/0/0 200 1 - - ---- 1/1/0/0/0 0/0 "GET / HTTP/1.1""#,
            ],
            "haproxy",
            0,
        ),
    ];
    for (lines, name, rejected) in cases {
        let guess = guess(lines.iter().map(|line| line.as_bytes()));
        assert_eq!((guess.name, guess.rejected), (name, rejected), "{lines:?}");
    }
}

/// The directory `../shared/NAME` next to the repository. Says so if there is none, also where the test's output is
/// captured since it passes: the lines of others are not ours to pass on.
fn shared(name: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let found = root.ancestors().map(|dir| dir.join("shared").join(name)).find(|dir| dir.is_dir());
    if found.is_none() {
        let why = format!("shared/{name} is not beside the repository");
        writeln!(std::io::stderr(), "NOT RUN: real lines: {why}").expect("standard error");
    }
    found
}

/// What proxies wrote for the recipes.
const PROXIES: &str = "recipes/real-proxy-logs";

fn real_lines(dir: &Path, file: &str) -> Vec<String> {
    let text = std::fs::read(dir.join(file)).unwrap();
    String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
}

#[test]
fn what_real_servers_wrote_is_read() {
    let Some(dir) = shared(PROXIES) else { return };
    for file in [
        "ap-auth",
        "ap-tw",
        "ap-vhost",
        "caddy",
        "caddy2",
        "ha",
        "ng-auth",
        "ng-combined",
        "ng-hmac",
        "ng-json",
        "ng-prefix",
    ] {
        for line in real_lines(&dir, &format!("{file}.log")) {
            let record = read(&preset("auto"), &line);
            assert!(
                record.starts_with("2026-11-23T17:1") && record.contains("client=127.0.0.1"),
                "{record}\n{line}"
            );
            let is_request = line.contains("GET");
            assert_eq!(record.contains("method=GET target=/"), is_request, "{record}\n{line}");
            if line.contains("evil") {
                assert!(record.contains(r#"evil \"q"#), "{record}\n{line}");
            }
            for id in [
                "tw1_e72ab087281c9e371d43de6784010c4e",
                "Bearer sk_live_51H8xYzAbCdEfGhIjKlMnOpQrStUvWxYz",
                "id:jti=abc-123",
            ] {
                assert!(!line.contains(id) || record.contains(id), "{record}\n{line}");
            }
        }
    }
    for line in real_lines(&dir, "caddy-out.log") {
        assert!(preset("auto").parse(line.as_bytes()).is_err(), "{line}");
    }
    for line in real_lines(&dir, "ap-error.log") {
        let notice = preset("auto").parse(line.as_bytes()).expect(&line).into_owned();
        assert!(notice.time.is_some() && notice.target.is_none(), "{line}");
    }
}

#[test]
fn the_recipes_templates_read_what_their_servers_wrote() {
    let Some(dir) = shared(PROXIES) else { return };
    let combined = r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent""#;
    let apache = r#"%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\""#;
    let cases = [
        ("ng-auth.log", format!("{combined} \"$http_authorization\"")),
        ("ng-combined.log", combined.to_owned()),
        ("ng-prefix.log", format!("{} token=\"$tw_prefix\"", combined.replace("$request", "$tw_request"))),
        ("ng-hmac.log", "$remote_addr - $remote_user [$time_local] $tw_request $status $body_bytes_sent $http_referer $http_user_agent $tw_id".to_owned()),
        ("ng-json.log", r#"{"time":"$time_iso8601","msec":$msec,"remote_addr":"$remote_addr","request":"$request","status":$status,"ua":"$http_user_agent","authz":"$http_authorization"}"#.to_owned()),
        ("ap-auth.log", format!("{apache} \\\"%{{Authorization}}i\\\"")),
        ("ap-tw.log", apache.replace("%r", "%m %U %H") + " \\\"%{TW_PREFIX}e\\\" \\\"%{X-TW-Id}i\\\""),
        ("ap-vhost.log", format!("%v:%p {}", apache.replace("%b", "%B"))),
    ];
    for (file, template) in cases {
        let format = Format::template(&template).unwrap();
        for line in real_lines(&dir, file) {
            let auto = preset("auto");
            let (by_template, by_auto) =
                (format.parse(line.as_bytes()).unwrap(), auto.parse(line.as_bytes()).unwrap());
            let without_fields =
                |record: Record<'_>| shown(&Record { fields: Vec::new(), host: None, ..record });
            assert_eq!(without_fields(by_template), without_fields(by_auto), "{line}");
        }
    }
}

/// A field of a corpus row that differs between the record and the row.
fn wrong(record: &Record<'_>, expect: &serde_json::Value) -> Option<String> {
    let text =
        |text: &Option<Text<'_>>| text.as_ref().map(|t| String::from_utf8_lossy(t).into_owned());
    let target = record
        .target
        .as_ref()
        .map(|t| t.escape_ascii().to_string().replace("\\\\", "\\").replace("\\'", "'"));
    let target = target.map(|t| match t.find("://") {
        Some(at) if !t.starts_with('/') && !t[..at].contains('?') => {
            t[at + 3..].find('/').map_or("/".to_owned(), |p| t[at + 3 + p..].to_owned())
        }
        _ => t,
    });
    let path = target.as_deref().map(|t| t.split('?').next().unwrap().to_owned());
    let have = [
        ("client_ip", record.client.map(|c| c.to_string())),
        ("method", text(&record.method)),
        ("path", path),
        ("status", record.status.map(|s| s.to_string())),
        ("bytes", record.bytes.map(|b| b.to_string())),
        ("referer", text(&record.referer)),
        ("user_agent", text(&record.agent)),
        ("host", text(&record.host).map(|h| h.split(':').next().unwrap().to_owned())),
        ("user", text(&record.user)),
        ("time_utc", record.time.map(|t| t.seconds().to_string())),
    ];
    have.into_iter().find_map(|(key, have)| {
        let want = match expect.get(key)? {
            serde_json::Value::Null => None,
            serde_json::Value::String(text) if key == "time_utc" => {
                crate::engine::record::time::read(text.as_bytes())
                    .map(|t| t.at.seconds().to_string())
            }
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        (want != have).then(|| format!("{key}: {want:?}, got {have:?}"))
    })
}

#[test]
fn other_projects_real_lines_are_read_right() {
    let Some(dir) = shared("corpora") else { return };
    let auto = preset("auto");
    let (mut right, mut asked) = (0, 0);
    for group in [
        "awstats__clf",
        "crowdsec_hub__apache2",
        "crowdsec_hub__bunkerweb",
        "crowdsec_hub__caddy_json",
        "crowdsec_hub__clf_no_assert",
        "crowdsec_hub__haproxy",
        "crowdsec_hub__nginx",
        "crowdsec_hub__nginx_proxy_manager",
        "crowdsec_hub__npmplus",
        "crowdsec_hub__traefik",
        "crowdsec_hub__traefik_json",
        "elastic_examples__apache_combined",
        "fail2ban__apache_access",
        "fail2ban__haproxy_http",
        "envoy_docs__envoy_default",
        "fail2ban__nginx_access",
        "fail2ban__squid",
        "fail2ban__traefik_access",
        "haproxy_docs__haproxy_http",
        "lnav__caddy_json",
        "lnav__clf",
        "lnav__cloudflare_json",
        "logstash_patterns_core__apache_combined",
        "logstash_patterns_core__aws_elb_classic",
        "logstash_patterns_core__aws_s3_access",
        "logstash_patterns_core__haproxy_http",
        "logstash_patterns_core__squid",
        "matomo__apache_combined",
        "matomo__apache_vhost_combined",
        "matomo__aws_alb",
        "matomo__aws_elb_classic",
        "matomo__traefik_json",
        "nginxlog_exporter__clf",
        "ossec__clf",
        "traefik__traefik_clf",
        "vrl__apache_combined",
        "vrl__aws_alb",
        "vrl__apache_common",
        "vrl__clf",
        "vrl__nginx_combined",
        "vrl__nginx_ingress_upstreaminfo",
        "vrl__nginx_main",
    ] {
        let Ok(rows) = std::fs::read_to_string(dir.join(format!("{group}.jsonl"))) else {
            continue;
        };
        for row in rows.lines() {
            let row: serde_json::Value = serde_json::from_str(row).unwrap();
            let Some(line) = row["line"].as_str() else { continue };
            let parsed = auto.parse(line.as_bytes());
            let fault = match (row["verdict"].as_str(), parsed) {
                (Some("parse"), Ok(record)) => wrong(&record, &row["expect"]),
                (Some("parse"), Err(reject)) => Some(format!("{}: {reject}", reject.column)),
                (Some("reject"), Ok(record)) => {
                    Some(format!("should be rejected: {}", shown(&record)))
                }
                _ => continue,
            };
            asked += 1;
            right += usize::from(fault.is_none());
            if let Some(fault) = fault {
                println!("{group}: {fault}\n    {line}");
            }
        }
    }
    println!("{right} of {asked}");
    assert!(asked > 0, "the directory has none of these groups");
    assert!(right * 100 >= asked * 98, "{right} of {asked}");
}

/// The lines of `tests/formats/NAME.log`.
fn format_log(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats");
    let log = std::fs::read(folder.join(format!("{name}.log"))).expect(name);
    log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(<[u8]>::to_vec).collect()
}

#[test]
fn every_format_is_recognised_by_itself_and_read_as_by_its_name() {
    let auto = preset("auto");
    for (name, _) in
        Format::presets().filter(|(name, _)| !["auto", "apache-combined"].contains(name))
    {
        let lines = format_log(name);
        let look = guess(lines.iter().map(Vec::as_slice));
        assert_eq!((look.name, look.rejected), (name, 0));
        let mut columns = Columns::default();
        for line in &lines {
            columns.note(line);
            if auto.is_silent(line) {
                continue;
            }
            // Traefik's preset knows the meaning of unnamed fields, so there is nothing to compare.
            let named = |format: &Format| {
                let mut record = format.parse_under(line, &columns).expect(name).into_owned();
                let is_nameless =
                    |field: &_| matches!(field, FieldName::OfServer | FieldName::Unnamed);
                record.fields.retain(|(field, _)| !is_nameless(field));
                record
            };
            let record = named(&preset(name));
            assert_eq!(named(&auto), record, "{name}");
            let is_request = record.target.is_some() || name == "lighttpd-error";
            assert!(record.time.is_some() && is_request, "{name}: {record:?}");
        }
    }
}
