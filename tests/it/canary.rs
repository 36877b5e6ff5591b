//! Secrets are planted wherever a log can contain one, and never appear beyond the seal.
//!
//! The secrets are searched for in clear, percent-encoded, in hex and in base64 at all three alignments; in the
//! database and the files beside it, in mails, in the daemon's log, and in the output of every command. Only the
//! vendor's prefix and the last four characters of a secret may be shown.

use std::fs;
use std::hash::BuildHasher as _;

use aho_corasick::AhoCorasick;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mail_parser::MessageParser;
use rusqlite::Connection;
use serde_json::json;

use crate::program::{Home, Random, wait_until};
use crate::smtp::{Encryption, Options, SmtpServer};

/// Stands in names and fields that are no secrets: the search must find it.
const MARKER: &str = "marker-4711";

/// How many secrets are planted, at least: one in each carrier, and the others in the common ones.
const MANY: usize = 1000;

/// What a person may see at the end of a secret.
const SHOWN: usize = 4;

/// Planted secrets, each with where it stands.
struct Canaries {
    random: Random,
    planted: Vec<(String, String)>,
}

impl Canaries {
    /// Makes a secret of `n` random characters from an alphabet.
    fn made(&mut self, place: &str, prefix: &str, alphabet: &[u8], n: usize) -> String {
        let secret: String = (0..n)
            .map(|_| {
                let at = usize::try_from(self.random.below(alphabet.len() as u64)).unwrap();
                char::from(alphabet[at])
            })
            .collect();
        self.planted.push((place.to_owned(), secret[..n - SHOWN].to_owned()));
        format!("{prefix}{secret}")
    }

    fn opaque(&mut self, place: &str) -> String {
        self.made(place, "", b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 40)
    }

    fn vendor(&mut self, place: &str, prefix: &str, n: usize) -> String {
        self.made(place, prefix, b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789", n)
    }

    /// With characters that a URL must encode.
    fn coded(&mut self, place: &str) -> String {
        self.made(place, "", b"ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz0123456789+/", 43)
    }

    fn basic(&mut self, place: &str, user: &str) -> String {
        let password = self.opaque(place);
        let encoded = STANDARD.encode(format!("{user}:{password}"));
        self.planted.push((format!("{place}, encoded"), encoded[16..encoded.len() - 6].to_owned()));
        encoded
    }

    /// Its claims may be shown, its signature not.
    fn jwt(&mut self, place: &str) -> String {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let header = part(json!({"alg": "HS256", "typ": "JWT"}));
        let claims =
            part(json!({"iss": "https://id.example.org", "sub": "kim", "exp": 1_900_000_000}));
        let signature = self.made(place, "", b"ABCDEFGHJKMNPQRSTUVWXYZabcdefghij-_23456789", 43);
        format!("{header}.{claims}.{signature}")
    }
}

fn percent(text: &str, is_upper: bool) -> String {
    let code = |byte: u8| if is_upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") };
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { code(b) })
        .collect()
}

/// Everything that would give a secret away.
fn forms(secret: &str) -> Vec<String> {
    let bytes = secret.as_bytes();
    let each = |form: &dyn Fn(&u8) -> String| bytes.iter().map(form).collect::<String>();
    let mut forms = vec![
        secret.to_owned(),
        percent(secret, true),
        percent(&percent(secret, true), true),
        each(&|b| format!("%{b:02x}")),
        each(&|b| format!("{b:02x}")),
        bytes.iter().map(u8::to_string).collect::<Vec<_>>().join(", "),
    ];
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend(bytes);
        let (from, to) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        forms.push(STANDARD.encode(&shifted)[from..to].to_owned());
        forms.push(URL_SAFE_NO_PAD.encode(&shifted)[from..to].to_owned());
    }
    forms
}

/// Text that came out somewhere: where, and what.
type Outcome = (String, Vec<u8>);

/// Finds secrets in outcomes, whatever the case of letters; returns what stood where.
fn search(planted: &[(String, String)], outcomes: &[Outcome]) -> Vec<String> {
    let forms: Vec<(usize, String)> = planted
        .iter()
        .enumerate()
        .flat_map(|(n, (_, secret))| forms(secret).into_iter().map(move |form| (n, form)))
        .collect();
    let patterns = AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .build(forms.iter().map(|(_, form)| form))
        .expect("patterns");
    let mut found = Vec::new();
    for (place, bytes) in outcomes {
        for hit in patterns.find_iter(bytes) {
            let (n, form) = &forms[hit.pattern().as_usize()];
            let from = hit.start().saturating_sub(60);
            let around = String::from_utf8_lossy(&bytes[from..hit.end()]);
            found
                .push(format!("{place}: the secret of {:?} as {form}: ...{around}", planted[*n].0));
        }
    }
    found.sort();
    found.dedup();
    found
}

fn combined(target: &str, user: &str, referer: &str, further: &str) -> String {
    format!(
        "192.0.2.7 - {user} [12/Mar/2026:02:13:07 +0000] \"GET {target} HTTP/1.1\" 200 612 \
         \"{referer}\" \"{MARKER}/1.0\"{further}\n"
    )
}

/// Lines of the combined family, read without being told their format.
fn combined_log(c: &mut Canaries) -> String {
    let mut log = String::new();
    let header = |log: &mut String, value: String| {
        log.push_str(&combined("/v1/items", "-", "-", &format!(" \"{value}\"")));
    };
    header(&mut log, format!("Bearer {}", c.opaque("Bearer")));
    header(&mut log, format!("bearer   {}", c.opaque("Bearer with blanks")));
    header(&mut log, format!("Token {}", c.opaque("Token")));
    header(&mut log, format!("Token token={}", c.opaque("Token token=")));
    header(&mut log, format!("ApiKey {}", c.opaque("ApiKey")));
    header(&mut log, format!("Basic {}", c.basic("Basic", "ann")));
    let as_user =
        STANDARD.encode(format!("{}:x-oauth-basic", c.vendor("user of Basic", "ghp_", 36)));
    header(&mut log, format!("Basic {as_user}"));
    let as_user = STANDARD.encode(format!("{}:", c.opaque("opaque user of Basic")));
    header(&mut log, format!("Basic {as_user}"));
    header(&mut log, format!("Bearer {}", c.jwt("JWT")));
    header(&mut log, c.opaque("Authorization without a scheme"));
    header(&mut log, format!("Unheard-of {}", c.opaque("an unknown scheme")));
    let url = |log: &mut String, target: String| log.push_str(&combined(&target, "-", "-", ""));
    url(&mut log, format!("/v1/feed?access_token={}", c.opaque("query by name")));
    url(
        &mut log,
        format!("/v1/feed?a=1&accessToken={}&b=2", percent(&c.coded("query, encoded"), true)),
    );
    url(&mut log, format!("/v1/feed?API%5FKEY={}", percent(&c.coded("query, lower hex"), false)));
    url(&mut log, format!("/v1/feed?x={}", c.vendor("query by shape", "glpat-", 20)));
    url(&mut log, format!("/v1/feed?widget={}", c.opaque("query by configured name")));
    url(&mut log, format!("/v1/login?password={}", c.opaque("a password in the query")));
    url(&mut log, format!("/v1/feed#access_token={}", c.opaque("fragment")));
    url(&mut log, format!("/feed;jsessionid={}", c.opaque("path parameter")));
    url(&mut log, format!("/v1/hooks/{}/run", c.vendor("path segment", "ghp_", 36)));
    url(&mut log, format!("http://ann:{}@api.example.org/v1", c.opaque("userinfo")));
    let inner = format!("https://app.example.org/cb?api_key={}", c.opaque("nested"));
    url(&mut log, format!("/login?next={}", percent(&inner, true)));
    url(&mut log, format!("/v1/feed?token={}&token={}", c.opaque("first"), c.opaque("second")));
    odd_urls(&mut log, c);
    let referer = format!("https://app.example.org/?access_token={}", c.opaque("Referer"));
    log.push_str(&combined("/app.css", "-", &referer, ""));
    let referer = format!("https://ann:{}@app.example.org/", c.opaque("userinfo of the Referer"));
    log.push_str(&combined("/app.css", "-", &referer, ""));
    let unnamed = format!(" \"{}\" 0.012", c.vendor("an unnamed field", "sk_live_", 24));
    log.push_str(&combined("/v1/items", "-", "-", &unnamed));
    log.push_str(&format!(
        "no request: Authorization: Bearer {}\n",
        c.opaque("a line that is none")
    ));
    log.push_str(
        &combined("/v1", "-", "-", "")
            .replace("[12/Mar", &format!("<{} 12/Mar", c.opaque("a line out of shape"))),
    );
    log.push_str(&user_log(c));
    let many: Vec<String> =
        (0..40).map(|n| format!("token={}", c.opaque(&format!("crowd, {n}")))).collect();
    log.push_str(&combined(&format!("/v1/feed?{}", many.join("&")), "-", "-", ""));
    log.push_str(&format!(
        "192.0.2.7 - - [12/Mar/2026:02:13:07 +0000] \"GET /?token={}",
        c.opaque("a line cut short")
    ));
    log.push('\n');
    log
}

/// Lines with as many more secrets as it takes, of many users.
fn many(c: &mut Canaries) -> String {
    let mut log = String::new();
    for n in 0.. {
        if MANY <= c.planted.len() {
            break;
        }
        let value = match n % 4 {
            0 => format!("Bearer {}", c.opaque("one of many")),
            1 => format!("Basic {}", c.basic("one of many, Basic", "ann")),
            2 => format!("Bearer {}", c.vendor("one of many, of a vendor", "ghp_", 36)),
            _ => format!("Bearer {}", c.jwt("one of many, a JWT")),
        };
        log.push_str(&combined("/v1/items", "-", "-", &format!(" \"{value}\"")));
    }
    log
}

/// Lines with something odd around a token of a known name, and with tokens among words.
fn odd_urls(log: &mut String, c: &mut Canaries) {
    let mut url = |target: String| log.push_str(&combined(&target, "-", "-", ""));
    url(format!("/x?access_token={} foo", c.opaque("query, a space behind")));
    url(format!("/x?access_token={}%20foo", c.opaque("query, an encoded space behind")));
    url(format!("/x?access_token={}<b>", c.opaque("query, a bracket behind")));
    url(format!("/x?access_token[]={}", c.opaque("query, a list")));
    url(format!("/x?x=1;access_token={}", c.opaque("query, behind a semicolon")));
    url(format!("/x?access_token%3D{}", c.opaque("query, an encoded sign")));
    url(format!("/x?a=1?access_token={}", c.opaque("query, a second mark")));
    url(format!("kim:{}@a.example.org:443", c.opaque("userinfo without a scheme")));
    let mut referer = |text: String| log.push_str(&combined("/app.css", "-", &text, ""));
    referer(format!("https://a/?access_token={} x", c.opaque("Referer, a space behind")));
    referer(format!("curl Bearer {}", c.opaque("Referer, words")));
    let mut agent = |text: String| {
        log.push_str(&combined("/app.css", "-", "-", "").replace(&format!("{MARKER}/1.0"), &text));
    };
    agent(format!("curl Bearer {}", c.opaque("agent, words")));
    agent(format!("Authorization: Bearer {}", c.opaque("agent, a header")));
    agent(format!("x (+https://a/?access_token={})", c.opaque("agent, a URL")));
}

/// Lines with a token in the place of the user's name.
fn user_log(c: &mut Canaries) -> String {
    let mut log = String::new();
    let mut user = |name: &str| log.push_str(&combined("/v1/items", name, "-", ""));
    user(&c.vendor("the user", "ghp_", 36));
    user(&c.jwt("the user, a JWT"));
    user(&c.opaque("the user, opaque"));
    user(&format!("oauth2:{}", c.vendor("the user, behind a name", "glpat-", 20)));
    user(&format!("{}@example.org", c.vendor("the user, before a host", "glpat-", 20)));
    user(&format!("{}:", c.opaque("the user, opaque, before a colon")));
    user(&format!("Bearer {}", c.opaque("the user, behind a scheme")));
    log
}

/// Lines of JSON, in the shapes of several servers, read without being told which.
fn json_log(c: &mut Canaries) -> String {
    let nginx = |name: &str, value: String| {
        let mut line = json!({
            "time_iso8601": "2026-03-12T02:13:07+00:00", "remote_addr": "192.0.2.7",
            "request": "GET /v1/items HTTP/1.1", "status": 200, "body_bytes_sent": 612,
            "http_user_agent": format!("{MARKER}/1.0"),
        });
        line[name] = value.into();
        line
    };
    let caddy = |name: &str, value: String| {
        json!({
            "level": "info", "ts": 1_773_281_587.5, "logger": "http.log.access.log0", "msg": "handled request",
            "request": {
                "remote_ip": "192.0.2.7", "proto": "HTTP/2.0", "method": "GET", "host": "api.example.org",
                "uri": "/v1/items", "headers": {"User-Agent": [format!("{MARKER}/1.0")], name: [value]},
            },
            "user_id": "", "duration": 0.0123, "size": 612, "status": 200,
        })
    };
    let traefik = |name: &str, value: String| {
        let mut line = json!({
            "ClientHost": "192.0.2.7", "DownstreamContentSize": 612, "DownstreamStatus": 200,
            "RequestMethod": "GET", "RequestPath": "/v1/items", "RequestProtocol": "HTTP/2.0",
            "StartUTC": "2026-03-12T02:13:07.693831Z", "time": "2026-03-12T02:13:07Z",
        });
        line[name] = value.into();
        line
    };
    let lines = [
        nginx("http_authorization", format!("Bearer {}", c.opaque("JSON, Bearer"))),
        nginx("http_authorization", format!("Basic {}", c.basic("JSON, Basic", "bob"))),
        nginx("http_x_api_key", c.opaque("JSON, X-API-Key")),
        nginx("http_cookie", format!("theme=dark; session={}", c.opaque("JSON, Cookie"))),
        nginx("request_uri", format!("/v1/feed?access_token={}", c.opaque("JSON, query"))),
        nginx("request_uri", format!("/x?access_token={}\nx", c.opaque("JSON, a newline behind"))),
        nginx("request_uri", format!("/x?access_token={}\"x", c.opaque("JSON, a quote behind"))),
        nginx("http_x_vault_token", c.opaque("JSON, a header with a likely name")),
        nginx("remote_user", c.vendor("JSON, the user", "glpat-", 20)),
        nginx("remote_user", c.opaque("JSON, the user, opaque")),
        nginx("unheard_of", c.vendor("JSON, an unknown field", "glpat-", 20)),
        caddy("X-Api-Key", c.opaque("Caddy, X-API-Key")),
        caddy("Authorization", format!("Bearer {}", c.opaque("Caddy, Bearer"))),
        caddy("Cookie", format!("session={}; a=b", c.opaque("Caddy, Cookie"))),
        caddy("X-Gateway-Key", c.opaque("Caddy, a configured header")),
        traefik("request_Authorization", format!("Bearer {}", c.opaque("Traefik, Bearer"))),
        traefik("request_X-Api-Key", c.opaque("Traefik, X-API-Key")),
        json!({"message": format!("token={}", c.opaque("JSON that is no request"))}),
    ];
    let mut log: String = lines.iter().map(|line| format!("{line}\n")).collect();
    log.push_str(&format!("{{\"http_authorization\":\"Bearer {}\n", c.opaque("JSON cut short")));
    log
}

/// Lines of a layout that the configuration gives.
fn template_log(c: &mut Canaries) -> String {
    let line = |key: &str, session: &str, cookies: &str, more: &str| {
        format!(
            "192.0.2.7 [2026-03-12T02:13:07+00:00] \"GET /v1/items HTTP/1.1\" 200 \"{key}\" \"{session}\" \"{cookies}\" \"{more}\"\n"
        )
    };
    [
        line(&c.opaque("template, configured header"), "-", "-", "-"),
        line("-", &c.opaque("template, configured cookie"), "-", "-"),
        line("-", "-", &format!("a=b; session={}", c.opaque("template, Cookie")), "-"),
        line("-", "-", "-", &c.vendor("template, another field", "xoxb-", 40)),
        format!("192.0.2.7 {} out of shape\n", c.opaque("template, rejected")),
    ]
    .concat()
}

fn config(server: &SmtpServer) -> String {
    format!(
        r#"
[[source]]
paths = ["logs/own.txt"]
template = '$remote_addr [$time_iso8601] "$request" $status "$http_x_gateway_key" "$cookie_session" "$http_cookie" "$sent_http_x_more"'
read_from = "start"
[[source]]
paths = ["logs/*.log"]
read_from = "start"
[tokens]
query = ["widget"]
cookies = ["session"]
headers = ["X-Gateway-Key"]
[mail]
server = "smtp+insecure://127.0.0.1:{}"
from = "tokenwatch@example.org"
to = ["security@example.org"]
max_per_hour = 1000
digest = "00:00"
"#,
        server.port()
    )
}

/// Runs a command and adds what it prints.
fn print(outcomes: &mut Vec<Outcome>, home: &Home, arguments: &[&str], input: &str) {
    let output = home.output_with(arguments, input);
    let name = arguments.join(" ");
    assert_ne!(output.status.code(), None, "{name} was killed");
    assert_ne!(
        output.status.code(),
        Some(2),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    outcomes.push((format!("stdout of {name}"), output.stdout));
    outcomes.push((format!("stderr of {name}"), output.stderr));
}

fn state(outcomes: &mut Vec<Outcome>, home: &Home) {
    for entry in fs::read_dir(home.path("state")).expect("state").map(|entry| entry.unwrap().path())
    {
        if entry.is_file() {
            outcomes.push((entry.display().to_string(), fs::read(&entry).expect("state")));
        }
    }
}

fn mails(outcomes: &mut Vec<Outcome>, server: &SmtpServer) {
    for message in server.messages() {
        let mail = MessageParser::default().parse(&message.bytes).expect("a mail");
        let subject = mail.subject().expect("subject").to_owned();
        outcomes.push((format!("subject {subject}"), subject.clone().into()));
        for part in [mail.body_text(0), mail.body_html(0)].into_iter().flatten() {
            outcomes.push((format!("body of {subject}"), part.into_owned().into()));
        }
        outcomes.push((format!("bytes of {subject}"), message.bytes.clone()));
    }
}

/// What the daemon leaves behind: its state while it runs and after, its log, its mails.
fn live(outcomes: &mut Vec<Outcome>, home: &Home, server: &SmtpServer, n_lines: u64) {
    let daemon = home.run(&["-vv", "--log-format", "json"]);
    wait_until("all lines are committed", || home.committed_lines() == n_lines);
    let database = Connection::open(home.path("state/tokenwatch.db")).expect("database");
    let waiting = || -> i64 {
        // An update waits for what else there is to tell.
        let sql = "SELECT count(*) FROM outbox WHERE state = 'waiting' AND due = created";
        database.query_row(sql, [], |row| row.get(0)).expect("outbox")
    };
    wait_until("all mails but updates are sent", || waiting() == 0);
    wait_until("there are mails", || !server.messages().is_empty());
    state(outcomes, home);
    drop(database);
    assert!(daemon.terminate().success());
    state(outcomes, home);
    outcomes.push(("the daemon's log".into(), home.daemon_log().into()));
    mails(outcomes, server);
}

fn commands(outcomes: &mut Vec<Outcome>, home: &Home, secrets: &[String]) {
    for file in ["logs/combined.log", "logs/json.log", "logs/own.txt"] {
        for command in ["parse", "explain"] {
            print(outcomes, home, &[command, file], "");
            print(outcomes, home, &["-vv", "--json", command, file], "");
        }
    }
    for arguments in [
        &["tokens", "list"][..],
        &["tokens", "list", "--json"],
        &["tokens", "show", MARKER],
        &["history", MARKER],
        &["history", MARKER, "--json"],
        &["who", "0.0.0.0/0"],
        &["who", "0.0.0.0/0", "--json"],
        &["alerts", "list"],
        &["alerts", "list", "--json"],
        &["audit"],
        &["audit", "--json"],
        &["audit", "--html", "-"],
        &["check"],
        &["status"],
        &["status", "--json"],
        &["scan", "logs"],
        &["scan", "logs", "--json"],
    ] {
        print(outcomes, home, arguments, "");
    }
    for secret in secrets {
        for arguments in [&["tokens", "show", "-"][..], &["history", "-"], &["tokens", "id", "-"]] {
            print(outcomes, home, arguments, secret);
        }
        // Faulty input must not be repeated.
        print(
            outcomes,
            home,
            &["tokens", "import", "-"],
            &format!("token,expires_at\n{secret},soon\n"),
        );
        print(outcomes, home, &["tokens", "import", "-"], &format!("{{\"token\": {secret}\n"));
        print(outcomes, home, &["tokens", "import", "-"], &format!("{secret}\n"));
    }
    for alert in home.json(&["alerts", "list", "--json", "-n", "200"]) {
        print(outcomes, home, &["alerts", "show", alert["alert"].as_str().expect("id")], "");
    }
}

#[test]
fn no_secret_of_a_log_is_found_behind_the_seal() {
    let seed = std::hash::RandomState::new().hash_one(0);
    let mut c = Canaries { random: Random(seed), planted: Vec::new() };
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let config = config(&server);
    let (home, replayed) = (Home::new(&config), Home::new(&config));
    let (bait, leaked) = (c.opaque("a decoy"), c.opaque("a leaked token"));
    let mut combined_log = combined_log(&mut c);
    for secret in [&bait, &leaked] {
        combined_log += &combined("/v1/items", "-", "-", &format!(" \"Bearer {secret}\""));
    }
    let (json_log, template_log) = (json_log(&mut c), template_log(&mut c));
    combined_log += &many(&mut c);
    let logs = [
        ("logs/combined.log", combined_log),
        ("logs/json.log", json_log),
        ("logs/own.txt", template_log),
    ];
    let n_lines = logs.iter().map(|(_, log)| log.lines().count() as u64).sum();
    for (name, log) in &logs {
        home.append(name, log);
        replayed.append(name, log);
    }
    let registry = format!(
        "token,name,decoy,leaked_at\n{bait},{MARKER},true,\n{leaked},{MARKER}-b,,2026-03-01\n"
    );

    let mut outcomes = Vec::new();
    print(&mut outcomes, &home, &["tokens", "import", "-"], &registry);
    live(&mut outcomes, &home, &server, n_lines);
    commands(&mut outcomes, &home, &[bait, leaked]);
    fs::write(replayed.path("registry"), registry).expect("registry");
    let replay = ["-vv", "replay", "--save", "--registry", "registry", "logs"];
    print(&mut outcomes, &replayed, &replay, "");
    print(&mut outcomes, &replayed, &["--json", "replay", "--registry", "registry", "logs"], "");
    state(&mut outcomes, &replayed);

    for home in [&home, &replayed] {
        let key = fs::read_to_string(home.path("state/seal.key")).expect("the seal key");
        c.planted.push(("the seal key".to_owned(), key.trim().to_owned()));
    }
    assert!(MANY <= c.planted.len());
    for file in ["tokenwatch.db", "tokenwatch.db-wal", "tokenwatch.db-shm", "the daemon's log"] {
        assert!(outcomes.iter().any(|(place, _)| place.ends_with(file)), "{file} is searched");
    }
    // The key may stand in its own file.
    outcomes.retain(|(place, _)| !place.ends_with("/seal.key"));
    let found = search(&c.planted, &outcomes);
    assert!(found.is_empty(), "seed {seed}\n{}", found.join("\n"));
    // The same search finds what may be found, wherever that must be.
    let marker = [("marker".to_owned(), MARKER.to_owned())];
    for place in [
        "tokenwatch.db",
        "subject ",
        "body of ",
        "stdout of parse",
        "stdout of alerts list",
        "stdout of -vv replay",
    ] {
        let there: Vec<Outcome> =
            outcomes.iter().filter(|(name, _)| name.contains(place)).cloned().collect();
        assert!(!search(&marker, &there).is_empty(), "the search finds nothing in {place}");
    }
}

#[test]
fn the_search_knows_a_secret_in_every_form() {
    let planted = [("here".to_owned(), "x7Q+tr/s9Kmm2ZpW".to_owned())];
    let secret = &planted[0].1;
    for text in [
        format!("a {secret} b"),
        format!("a {} b", percent(secret, true)),
        format!("a {} b", percent(secret, false)),
        STANDARD.encode(format!("u:{secret}:")),
        STANDARD.encode(format!("us:{secret}:")),
        URL_SAFE_NO_PAD.encode(format!("use:{secret}:")),
        format!("{:?}", secret.as_bytes()),
    ] {
        assert_eq!(search(&planted, &[("text".into(), text.clone().into())]).len(), 1, "{text}");
    }
    assert!(search(&planted, &[("text".into(), b"x7Q+tr/s9Kmm2Zp".to_vec())]).is_empty());
}

#[test]
fn a_secret_and_a_key_print_as_nothing() {
    use tokenwatch::engine::secret::{Bytes, SealKey, Secret};
    let told = std::panic::catch_unwind(|| {
        let secret: Secret<'_> = Bytes::Line(b"x7Qtrs9Kmm2ZpWaa").into();
        let key = SealKey::new(b"x7Qtrs9Kmm2ZpWaa");
        panic!("{secret:?} {key:?}");
    });
    let payload = told.expect_err("it panics");
    let text = payload.downcast_ref::<String>().expect("a message");
    let planted = [("panic".to_owned(), "x7Qtrs9Kmm2Z".to_owned())];
    assert!(search(&planted, &[("panic".into(), text.clone().into())]).is_empty(), "{text}");
}
