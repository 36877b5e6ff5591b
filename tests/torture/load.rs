//! Sections e and f: unlimited numbers of alerts and tokens.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::NaiveTime;
use mail_parser::MessageParser;
use serde_json::Value;
use tokenwatch::clock;
use tokenwatch::daemon::outbox::Pump;
use tokenwatch::daemon::post::{Cut, Rules};
use tokenwatch::deliver::email::{MailSettings, Mailer, Security, Server, Timeouts};
use tokenwatch::deliver::render::Host;
use tokenwatch::engine::alert::Level;
use tokenwatch::engine::secret::{SealKey, Secret};
use tokenwatch::engine::time::{HOUR, MINUTE};
use tokenwatch::store::Store;

use crate::program::{Random, wait_until};
use crate::site::{CONFIG, Site, is_full, line_of, mailing, works};
use crate::smtp::{Encryption, Message, Options, SmtpServer};

/// Memory of the whole process, in KiB: what `[limits] memory` says by default.
const MEMORY: u64 = 256 * 1024;

/// What `[limits] memory` says in a sample, in KiB: less than the program itself takes, of which profiles and tokens
/// have a quarter nevertheless.
const LITTLE_MEMORY: u64 = 64 * 1024;

/// What the program itself takes at most, as README.md says, in KiB.
const PROGRAM: u64 = 136 * 1024;

/// What a flood may cost, in KiB.
fn flooded() -> u64 {
    if is_full() { MEMORY } else { PROGRAM + LITTLE_MEMORY / 4 }
}

/// Writes such lines of random tokens, `n_full` in a full run, a piece at a time; returns the peak of memory.
fn flood(line: fn(u32, &str) -> String, n_full: u32) -> (Site, u64) {
    // A sample is too short for the default to matter: about 4,000 principals stay.
    let memory = if is_full() { MEMORY } else { LITTLE_MEMORY } / 1024;
    let limits = format!("commit_interval = \"5ms\"\nmemory = \"{memory}MiB\"");
    let mut site = Site::with(&CONFIG.replace("commit_interval = \"5ms\"", &limits));
    site.append("logs/a.log", 20);
    let daemon = site.start();
    site.wait();
    let known = profiles(&site);
    assert_eq!(known.len(), 20);
    let mut random = Random(63);
    let (n_pieces, n_lines) = if is_full() { (100, n_full / 100) } else { (20, 1_000) };
    for piece in 1..=n_pieces {
        let lines: String = (0..n_lines)
            .map(|n| {
                let token =
                    format!("exk_{:016x}{:016x}", random.below(u64::MAX), random.below(u64::MAX));
                line(piece * 60 + n / 200, &token)
            })
            .collect();
        site.home.append("logs/a.log", lines);
        site.wait_with(u64::from(piece * n_lines));
    }
    let peak = site.peak_memory();
    eprintln!("{peak} KiB");
    daemon.terminate();
    let kept = profiles(&site);
    assert!(known.iter().all(|(name, body)| kept.get(name) == Some(body)), "of known tokens");
    (site, peak)
}

/// What is known of each principal, packed.
fn profiles(site: &Site) -> BTreeMap<String, Vec<u8>> {
    let database = site.database();
    let mut all = database.prepare("SELECT principal, body FROM profile").unwrap();
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn invented_tokens_that_are_refused_leave_no_row_and_one_alert() {
    let (site, peak) = flood(|serial, token| line_of(serial, token, 401), 1_000_000);
    assert!(peak < flooded(), "{peak} KiB");
    let one = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT count(*) FROM token"), 20);
    assert_eq!(one("SELECT count(*) FROM profile"), 20);
    let told = site.home.json(&["alerts", "list", "--json"]);
    let names: Vec<&str> = told.iter().filter_map(|alert| alert["rule"]["name"].as_str()).collect();
    assert_eq!(names, ["token-guessing"]);
}

#[test]
fn invented_tokens_at_which_the_server_fails_leave_no_row_and_no_alert() {
    for line in [
        |serial, token: &str| line_of(serial, token, 500),
        |serial, token: &str| line_of(serial, token, 503),
    ] {
        let (site, peak) = flood(line, 200_000);
        assert!(peak < flooded(), "{peak} KiB");
        let one = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(one("SELECT count(*) FROM token"), 20);
        assert_eq!(one("SELECT count(*) FROM profile"), 20);
        assert_eq!(one("SELECT count(*) FROM alert"), 0);
    }
}

/// Writes 26 invented tokens from each of so many addresses, one after another, and that they are refused; returns how
/// many lines those are.
fn guess(site: &Site, addresses: impl Iterator<Item = String>, from: u32) -> u64 {
    let mut random = Random(u64::from(from));
    let one = |(n, address): (u32, String)| -> String {
        let line = |_| {
            let token =
                format!("exk_{:016x}{:016x}", random.below(u64::MAX), random.below(u64::MAX));
            line_of(from + n * 10, &token, 401).replace("192.0.2.7", &address)
        };
        (0..26).map(line).collect()
    };
    let lines: String = (0..).zip(addresses).map(one).collect();
    site.home.append("logs/a.log", &lines);
    u64::try_from(lines.lines().count()).unwrap()
}

#[test]
fn invented_tokens_from_each_network_of_a_site_raise_few_alerts_and_hide_nobody_else() {
    let site = Site::new();
    let daemon = site.start();
    let n_networks = if is_full() { 5_000 } else { 200 };
    let networks = (0..n_networks).map(|n: u32| format!("2001:db8:1:{n:x}::1"));
    let n_lines = guess(&site, networks, 0);
    site.wait_with(n_lines);
    let elsewhere = ["198.51.100.7".to_owned()];
    let n_more = guess(&site, elsewhere.into_iter(), n_networks * 10);
    site.wait_with(n_lines + n_more);
    let peak = site.peak_memory();
    assert!(peak < MEMORY, "{peak} KiB");
    daemon.terminate();
    let told = site.home.json(&["alerts", "list", "--json"]);
    let of = |principal: &str| told.iter().filter(|alert| alert["principal"] == principal).count();
    assert_eq!((of("source:2001:db8:1::/48"), of("source:198.51.100.0/24")), (1, 1), "{told:?}");
    assert!(told.iter().all(|alert| alert["rule"]["name"] == "token-guessing"));
    assert!(told.len() <= 7, "{}", told.len());
    let count = |table| {
        let sql = format!("SELECT count(*) FROM {table}");
        site.database().query_row(&sql, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(["token", "profile", "facets"].map(count), [0, 0, 0]);
    assert!(count("incident") <= 7, "{}", count("incident"));
    assert!(count("house") < 300, "{}", count("house"));
}

#[test]
fn invented_tokens_that_a_public_page_answers_stay_within_memory() {
    let (site, peak) = flood(line_with_url, 200_000);
    assert!(peak < flooded(), "{peak} KiB");
    wait_until("the commands answer", || !site.home.print(&["status"]).is_empty());
    // 200,000 tokens come in the minutes of two hours. Twenty of each are reported, and that there are more.
    let told = site.home.json(&["alerts", "list", "--json"]);
    let is_exposed = |alert: &&Value| alert["rule"]["name"] == "token-in-url";
    let n_told = told.iter().filter(is_exposed).count();
    assert_eq!(n_told, if is_full() { 42 } else { 21 });
    let count = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let n_incidents = usize::try_from(count("SELECT count(*) FROM incident")).unwrap();
    assert!(n_incidents <= n_told + 1, "{n_incidents}: one more at most, of the log");
    assert!(count("SELECT count(*) FROM token") > 20_000, "they are known");
}

/// A request with a token in its URL that the server answered.
fn line_with_url(serial: u32, token: &str) -> String {
    let line = line_of(serial, "", 200).replace("\"Bearer \"", "\"-\"");
    line.replace(" HTTP/1.1", &format!("?api_key={token} HTTP/1.1"))
}

#[test]
fn a_million_addresses_of_one_token_cost_bounded_memory_and_rows() {
    let site = Site::new();
    let daemon = site.start();
    let (n_pieces, n_lines) = if is_full() { (100, 10_000) } else { (10, 2_000) };
    let token = "exk_000000010123456789abcdefgh";
    for piece in 0..n_pieces {
        let lines = (0..n_lines).map(|n| {
            let address = format!("2001:db8:{piece:x}:{n:x}::1");
            line_of(piece * 60 + n / 200, token, 200).replace("192.0.2.7", &address)
        });
        site.home.append("logs/a.log", lines.collect::<String>());
        site.wait_with(u64::from((piece + 1) * n_lines));
    }
    let peak = site.peak_memory();
    assert!(peak < MEMORY, "{peak} KiB");
    daemon.terminate();
    let one = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(one("SELECT sum(requests) FROM token"), i64::from(n_pieces * n_lines));
    assert!(one("SELECT count(*) FROM token") == 1 && one("SELECT count(*) FROM profile") == 1);
    // Twice 256 addresses and as many routes, and what sums up the others.
    let values = one("SELECT addresses + networks + countries + clients + routes FROM token");
    assert!(values < 4 * 512, "{values}");
    let body = one("SELECT max(length(body)) FROM facets");
    assert!(body < 64 * 1024, "{body} B");
    let body = one("SELECT max(length(body)) FROM profile");
    assert!(body < 4096, "{body} B");
}

/// A token that four digits in its middle tell from others.
fn alike(n: u32) -> String {
    format!("sk_live_51H8xYzAb{n:04}GhIjKlMnOpQrStUvWxYz")
}

#[test]
fn a_thousand_tokens_that_look_alike_have_a_row_and_a_count_each() {
    let site = Site::new();
    let n_requests = |n: u32| 1 + n % 7;
    let turns = (0..7).flat_map(|turn| (0..1000).map(move |n| (turn, n)));
    let lines: Vec<String> = turns
        .filter(|(turn, n)| *turn < n_requests(*n))
        .map(|(turn, n)| line_of(turn * 1000 + n, &alike(n), 200))
        .collect();
    site.home.append("logs/a.log", lines.concat());
    let daemon = site.start();
    site.wait_with(lines.len() as u64);
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let key = std::fs::read_to_string(site.home.path("state/seal.key")).expect("seal.key");
    let key = SealKey::new(key.trim_end().as_bytes());
    let id_of = |n: u32| key.seal(&Secret::new(alike(n).as_bytes())).to_string();
    let expected: BTreeMap<String, u64> =
        (0..1000).map(|n| (id_of(n), u64::from(n_requests(n)))).collect();
    let listed = site.home.json(&["tokens", "list", "--json", "-n", "2000"]);
    assert_eq!(listed.len(), 1000);
    let hint = "sk_live_...WxYz";
    assert!(listed.iter().all(|token| token["token"]["hint"] == hint), "{}", listed[0]);
    let text = |value: &Value| value.as_str().expect("an id").to_owned();
    let counts = listed
        .iter()
        .map(|token| (text(&token["token"]["id"]), token["requests"].as_u64().expect("requests")));
    assert_eq!(counts.collect::<BTreeMap<_, _>>(), expected);
    // What all of them share names none of them; the secret and the id do.
    let shown = site.home.output(&["tokens", "show", hint]);
    assert_eq!((shown.status.code(), &shown.stdout[..]), (Some(2), &b""[..]));
    let by_secret = site.home.output_with(&["tokens", "show", "-", "--json"], &alike(13));
    let by_secret: Value = serde_json::from_slice(&by_secret.stdout).expect("a token");
    let by_id = site.home.json(&["tokens", "show", &id_of(13), "--json"]).remove(0);
    assert_eq!((&by_secret["requests"], &by_id), (&7.into(), &by_secret));
}

#[test]
fn tokens_of_8_kib_are_tokens_like_others_and_longer_lines_are_cut() {
    let mut site = Site::new();
    let daemon = site.start();
    let token =
        |n: u32, length: usize| format!("exk_{n:08}{}", "0123456789abcdef".repeat(length / 16));
    // The last one stands beyond the 64 KiB of a line.
    for (n, length) in [(1, 8192), (2, 8192), (1, 8192), (3, 70_000)] {
        site.home.append("logs/a.log", line_of(n, &token(n, length), 200));
    }
    site.append("logs/a.log", 1);
    site.wait_with(4);
    let (peak, log) = (site.peak_memory(), site.home.daemon_log());
    daemon.terminate();
    assert!(peak < MEMORY, "{peak} KiB");
    let mut requests: Vec<u64> = Vec::new();
    for token in site.home.json(&["tokens", "list", "--json"]) {
        requests.push(token["requests"].as_u64().expect("requests"));
    }
    requests.sort_unstable();
    assert_eq!(requests, [1, 1, 2], "{log}");
}

/// A program that compresses, the ending of its files, how much is to be unpacked, and the most memory that may take,
/// in MiB: of xz and zstd, whoever compresses chooses how much is kept for it.
type Packer = (&'static str, &'static str, u64, u64);

const PACKERS: [Packer; 4] = [
    ("gzip", "gz", 256, 64),
    ("bzip2", "bz2", 16, 64),
    ("xz --lzma2=preset=0,dict=64MiB", "xz", 192, 160),
    ("zstd --quiet --long=27", "zst", 256, 224),
];

/// Compresses some lines behind one of so many MiB.
fn pack_bomb(site: &Site, (program, ending, n_mib, _): Packer, before: &str, lines: &str) -> bool {
    let name = program.split(' ').next().expect("a name");
    if !works("63b", name, &["--version"]) {
        return false;
    }
    site.home.append("before", before);
    site.home.append("behind", lines);
    let bomb = format!("head -c {n_mib}M /dev/zero | tr '\\0' x; echo");
    let script = format!("(cat before; {bomb}; cat behind) | {program} > logs/a.log.1.{ending}");
    let mut shell = std::process::Command::new("sh");
    shell.arg("-c").arg(script).current_dir(site.home.path(""));
    assert!(shell.status().expect("sh").success(), "{program}");
    true
}

#[test]
fn a_compressed_file_that_unpacks_to_far_more_costs_no_memory() {
    for mut packer in PACKERS {
        if is_full() && packer.0 == "gzip" {
            packer.2 = 4096;
        }
        let (program, _, n_mib, most) = packer;
        let mut site = Site::new();
        let lines = site.lines(20);
        if !pack_bomb(&site, packer, "", &lines) {
            continue;
        }
        let output = site.home.output(&["replay", "--save", "logs"]);
        let said = String::from_utf8(output.stderr).expect("text");
        assert!(said.contains("\n21 lines, "), "{said}");
        let status = site.home.json(&["status", "--json"]).remove(0);
        let discarded = status["streams"][0]["discarded"].as_u64().expect("bytes");
        assert!(discarded > (n_mib << 20) - 70_000, "{status}");
        let peak = peak_of(&said);
        eprintln!("{program}: {peak} MiB");
        assert!(peak < most, "{program}: {said}");
        assert_eq!(site.home.json(&["tokens", "list", "--json"]).len(), 20);
    }
}

/// The most memory that a replay says it took, in MiB.
fn peak_of(said: &str) -> u64 {
    let (mib, _) = said.split_once(" MiB peak memory").expect("MiB");
    mib.rsplit(' ').next().expect("a number").parse().expect("a number")
}

#[test]
fn a_rotated_file_that_unpacks_to_far_more_costs_the_daemon_no_memory() {
    for packer in PACKERS {
        let (program, _, n_mib, most) = packer;
        let mut site = Site::new();
        let before = site.lines(20);
        site.home.append("logs/a.log", &before);
        let daemon = site.start();
        site.wait();
        assert!(daemon.terminate().success());
        let behind = site.lines(20);
        if !pack_bomb(&site, packer, &before, &behind) {
            continue;
        }
        std::fs::remove_file(site.home.path("logs/a.log")).expect("a.log");
        site.append("logs/a.log", 20);
        let daemon = site.start();
        site.wait_with(1);
        let peak = site.peak_memory();
        eprintln!("{program}: {peak} KiB");
        assert!(peak / 1024 < most, "{program}: {peak} KiB");
        assert!(site.sum("discarded") > (n_mib << 20) - 70_000, "{program}");
        site.prove(daemon);
    }
}

#[test]
fn a_compressed_file_could_take_all_memory_that_is_configured() {
    for program in ["xz --lzma2=preset=0,dict=128MiB", "zstd --quiet --long=28"] {
        let mut site = Site::new();
        let lines = site.lines(20);
        if !pack_bomb(&site, (program, "old", 1, 64), "", &lines) {
            continue;
        }
        let output = site.home.output(&["replay", "--save", "logs/a.log.1.old"]);
        let said = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(70), "{said}");
        assert!(said.contains("decompressing ") && said.contains("memory"), "{said}");
        assert!(peak_of(&said) < 64, "{program}: {said}");
    }
}

fn leaked(n: u32) -> String {
    format!("exk_{n:08}0123456789abcdefgh")
}

/// A request of a token of its own, which stands in the URL: an alert of level high if it is registered. All of them
/// come within a minute, each from somewhere else.
fn leak(n: u32, of: u32) -> String {
    format!(
        "198.{}.{}.{} - - [02/Mar/2026:08:00:{:02} +0000] \"GET /v1/feed?access_token={} HTTP/1.1\" \
         200 612 \"-\" \"curl/8.5.0\"\n",
        18 + n / 65_536,
        n / 256 % 256,
        n % 256,
        u64::from(n) * 60 / u64::from(of),
        leaked(n),
    )
}

/// A request of another token, which is marked as leaked, that is refused: an alert of level high.
fn try_leaked(n: u32, of: u32) -> String {
    let carrier = format!("?access_token={}", leaked(n));
    let bearer = format!("\"curl/8.5.0\" \"Bearer {}\"", leaked(n));
    let line = leak(n, of).replace(&carrier, "").replace("\"curl/8.5.0\"", &bearer);
    line.replace(" 200 612 ", " 401 52 ")
}

/// The pump of the site's daemon, by a clock that is given.
fn pump(site: &Site, server: &SmtpServer) -> Pump {
    let settings = MailSettings {
        server: Server { security: Security::Plain, host: "127.0.0.1".into(), port: server.port() },
        user: None,
        password: None,
        ca_pem: None,
        from: "tokenwatch@example.org".into(),
        to: vec!["security@example.org".into()],
        hello_name: None,
        timeouts: Timeouts::PATIENT,
    };
    let digest = NaiveTime::from_hms_opt(0, 0, 0).expect("midnight");
    let rules = Rules { at_once: Level::High, digest, max_per_hour: 12, turn: Rules::TURN };
    let store = Store::open(&site.home.path("state/tokenwatch.db")).expect("database");
    let mailer = Mailer::new(settings).expect("mailer");
    let host = Host { name: "host".into(), program: "tokenwatch".into() };
    Pump::new(store, mailer, rules, host, Cut::default()).expect("pump")
}

fn subject_and_text(message: &Message) -> (String, String) {
    let mail = MessageParser::default().parse(&message.bytes).expect("a mail");
    let subject = mail.subject().expect("subject").to_owned();
    (subject, mail.body_text(0).expect("text").into_owned())
}

#[test]
fn a_storm_of_alerts_is_one_mail_a_rule_and_a_digest_with_the_exact_total() {
    let n_tokens = if is_full() { 100_000 } else { 5_000 };
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let site = Site::with(&mailing(&server));
    // Every other one breaks another rule.
    let is_marked = |n: u32| n % 2 == 1;
    let row =
        |n| format!("{},app-{n},{}\n", leaked(n), if is_marked(n) { "2026-03-01" } else { "" });
    let csv = format!("token,name,leaked_at\n{}", (0..n_tokens).map(row).collect::<String>());
    assert!(site.home.output_with(&["tokens", "import", "-"], &csv).status.success());
    let line = |n| if is_marked(n) { try_leaked(n, n_tokens) } else { leak(n, n_tokens) };
    let lines: String = (0..n_tokens).map(line).collect();
    site.home.append("logs/a.log", lines);
    let daemon = site.start();
    let mut n_before = 0;
    // Slow machines: as long as it goes on.
    while n_before < u64::from(n_tokens) {
        wait_until("lines are committed", || site.home.committed_lines() > n_before);
        n_before = site.home.committed_lines();
    }
    server.wait_for(2, Duration::from_secs(60));
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let one = |sql| site.database().query_row(sql, [], |row| row.get::<_, i64>(0)).expect(sql);
    assert_eq!(one("SELECT count(*) FROM incident WHERE level >= 3"), i64::from(n_tokens));
    // Whatever waits one by one, and a row for all others.
    let n_rows = one("SELECT count(*) FROM outbox");
    assert!(n_rows < 1100, "{n_rows} rows");
    let mut rules = BTreeMap::<String, u32>::new();
    for (subject, _) in server.messages().iter().map(subject_and_text) {
        let (_, rule) = subject.rsplit_once(": ").expect("a rule");
        *rules.entry(rule.to_owned()).or_default() += 1;
    }
    let expected = ["leaked token used", "token in url"].map(|rule| (rule.to_owned(), 1));
    assert_eq!(rules, BTreeMap::from(expected), "within five minutes");
    // The digest gathers for two minutes.
    let (mut pump, now) = (pump(&site, &server), clock::now());
    for minute in 3..50 {
        pump.turn(now.plus(minute * MINUTE)).expect("turn");
    }
    let messages = server.messages();
    let (subject, text) = subject_and_text(&messages[2]);
    let n_others = n_tokens - 2;
    let total = format!("{},{:03}", n_others / 1000, n_others % 1000);
    assert!(subject.contains(&format!("{total} incidents beyond 12 mails per hour")), "{subject}");
    assert!(text.contains(&format!("{total} alerts in {total} incidents")), "{text}");
    assert!(messages[2].bytes.len() < 200_000, "{} B", messages[2].bytes.len());
    assert_eq!(
        (messages.len(), one("SELECT count(*) FROM outbox WHERE state = 'waiting'")),
        (3, 0)
    );
    pump.turn(now.plus(2 * HOUR)).expect("turn");
    assert_eq!(server.messages().len(), 3, "nothing is told twice");
}
