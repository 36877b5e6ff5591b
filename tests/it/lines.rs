//! Lines that other commands name can be shown, and are numbered as the daemon numbers them.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::program::Home;

/// Line `n`, 101 bytes long.
fn request(n: usize) -> String {
    format!(
        "192.0.2.7 - - [12/Mar/2026:02:13:{:02} +0000] \"GET /v1/{n:04} HTTP/1.1\" 200 {:05} \"-\" \"curl/8.5.0-of-us\"\n",
        n % 60,
        n
    )
}

fn requests(n: usize) -> String {
    (1..=n).map(request).collect()
}

fn numbers(objects: &[Value]) -> Vec<u64> {
    objects.iter().map(|object| object["line"].as_u64().unwrap()).collect()
}

/// Runs a command that the program named, in a shell, as somebody does who pastes it.
pub(crate) fn paste(home: &Home, command: &str) -> Output {
    let program = Path::new(env!("CARGO_BIN_EXE_tokenwatch"));
    let path = format!("{}:/usr/bin:/bin", program.parent().unwrap().display());
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).env("PATH", path).current_dir(home.path(""));
    shell.stdin(Stdio::null()).output().unwrap()
}

/// What stands between the last two backticks.
pub(crate) fn named_command(text: &str) -> &str {
    text.rsplit('`').nth(1).unwrap()
}

#[test]
fn a_line_is_found_by_its_number_and_by_each_of_its_bytes() {
    let home = Home::new("");
    let log = requests(3000);
    home.append("logs/a.log", &log);
    let status = Command::new("gzip").arg("-k").arg(home.path("logs/a.log")).status().unwrap();
    assert!(status.success());
    let length = request(1).len();
    let offsets = [2500 * length, 2500 * length + 50, 2501 * length - 1].map(|n| n.to_string());
    for command in ["parse", "explain"] {
        for file in ["logs/a.log", "logs/a.log.gz"] {
            let by = |option: &str, value: &str| {
                numbers(&home.json(&[command, "--json", file, option, value]))
            };
            assert_eq!(by("--line", "7"), [7], "{command} {file}");
            assert_eq!(by("--line", "2999.."), [2999, 3000], "{command} {file}");
            assert_eq!(by("--line", "5..7"), [5, 6, 7], "{command} {file}");
            for offset in &offsets {
                assert_eq!(by("--offset", offset), [2501], "{command} {file} {offset}");
            }
        }
        let output = home.output_with(&[command, "--json", "--line", "3", "-"], &requests(30));
        let object: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(object["line"], 3, "{command}");
    }
}

#[test]
fn a_template_was_sketched_for_json_with_keys_of_ones_own() {
    let home = Home::new("");
    home.append("logs/a.log", "{\"at\":\"2026-03-02T08:00:00Z\",\"edge\":{\"peer\":\"203.0.113.7\"},\"rq\":\"GET /v1/items HTTP/1.1\",\"st\":200}\n");
    let text = home.print(&["explain", "logs/a.log"]);
    assert!(!text.contains("--format") && text.contains("fields = { client = "), "{text}");
    home.configure(
        "[[source]]\npaths = [\"logs/*.log\"]\nfields = { time = \"at\", client = \"edge.peer\", request = \"rq\", status = \"st\" }\n",
    );
    let text = home.print(&["explain", "logs/a.log"]);
    assert!(text.contains("203.0.113.7") && !text.contains("fields = {"), "{text}");
}

#[test]
fn a_place_that_is_none_or_not_one_is_an_error() {
    let home = Home::new("");
    home.append("logs/a.log", requests(30));
    home.append("logs/b.log", requests(30));
    let said = |arguments: &[&str]| {
        let output = home.output(arguments);
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, text) = said(&["explain", "logs/a.log", "--line", "31"]);
    assert_eq!(code, 70);
    let bytes = requests(30).len();
    assert!(
        text.contains(&format!("no such line: logs/a.log has 30 lines in {bytes} bytes")),
        "{text}"
    );
    assert!(!text.contains("rotated"), "{text}");
    // Once the log was rotated, what an alert pointed at stands in another file.
    home.append("logs/a.log.1", requests(30));
    home.append("logs/a.log.2.gz", "");
    let (code, text) = said(&["parse", "logs/a.log", "--offset", "999999"]);
    assert_eq!(code, 70);
    let rotated = "; it was rotated, so the line may be in a.log.1, a.log.2.gz\n";
    assert!(text.ends_with(rotated), "{text}");
    let wrong: [&[&str]; 6] = [
        &["explain", "logs", "--line", "3"],
        &["explain", "logs/a.log", "--line", "0"],
        &["explain", "logs/a.log", "--line", "9..3"],
        &["explain", "logs/a.log", "--line", "3", "--offset", "3"],
        &["explain", "logs/a.log", "--cursor", "s=1"],
        &["explain", "journal:nginx", "--offset", "7"],
    ];
    for arguments in wrong {
        assert_eq!(said(arguments).0, 2, "{arguments:?}");
    }
}

#[test]
fn explain_says_how_many_lines_it_left_out() {
    let home = Home::new("");
    home.append("logs/a.log", requests(1025));
    let output = home.output(&["explain", "logs/a.log"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text, "the last 20 of 1,025 lines; -v for all, --line N for one\n");
    home.append("logs/b.log", requests(20));
    assert!(home.output(&["explain", "logs/b.log"]).stderr.is_empty());
}

#[test]
fn what_check_and_status_name_can_be_pasted() {
    let home = Home::new(
        "[[source]]\npaths = [\"logs/*.log\"]\ntemplate = '$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent \"$http_referer\" \"$http_user_agent\"'\n",
    );
    let name = "logs/it's $odd.log";
    let odd = "no request at all\n".repeat(20);
    home.append(name, requests(12) + &odd);
    let found = home.json(&["check", "--json"]);
    let hint = found.iter().find_map(|one| one["hint"].as_str()).unwrap();
    let output = paste(&home, named_command(hint));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{hint}: {}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains(", line 13") && text.contains("template: $remote_addr"), "{text}");

    home.print(&["replay", "--save", name]);
    // What was rotated is read in the format of its log.
    std::fs::rename(home.path(name), home.path(format!("{name}.1"))).unwrap();
    home.print(&["replay", "--save", &format!("{name}.1")]);
    let status = home.print(&["status"]);
    let line = status.lines().find(|line| line.contains("cannot be read")).unwrap();
    let alert = home.json(&["alerts", "list", "--json"])[0]["alert"].clone();
    let shown = home.print(&["alerts", "show", alert.as_str().unwrap()]);
    let look = shown.lines().find_map(|line| line.trim().strip_prefix("look")).unwrap().trim();
    for command in [named_command(line), look] {
        let output = paste(&home, command);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains(", line 13") && text.contains("template: $remote_addr"), "{text}");
    }
}

#[test]
fn the_chmod_that_check_names_can_be_pasted() {
    let home = Home::new("");
    let name = "it's $odd";
    let mode = || std::fs::metadata(home.path(name)).unwrap().permissions().mode() & 0o777;
    std::fs::create_dir(home.path(name)).unwrap();
    std::fs::set_permissions(home.path(name), Permissions::from_mode(0o755)).unwrap();
    let check = ["check", "--json", "--state-dir", name];
    let found: Vec<Value> = String::from_utf8(home.output(&check).stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut hints = found.iter().filter_map(|one| one["hint"].as_str());
    let hint = hints.find(|hint| hint.starts_with("chmod")).unwrap();
    assert!(paste(&home, hint).status.success(), "{hint}");
    assert_eq!(mode(), 0o700);
}

#[test]
fn parse_counts_lines_as_the_daemon_does() {
    let home = Home::new("");
    let w3c = "#Version: 1.0\n#Fields: date time c-ip cs-method cs-uri-stem sc-status\n\
               2026-03-12 02:13:07 192.0.2.7 GET /v1 200\n\n# odd\n";
    let export = format!(
        "__CURSOR=s=1\n__REALTIME_TIMESTAMP=1772438400000000\n_SYSTEMD_UNIT=nginx.service\nMESSAGE={}\n",
        request(1)
    );
    let long = format!("{}{}\n", request(1).trim_end(), "x".repeat(70_000));
    let odd = "no request at all\n   \n\u{fffd}\n";
    let whole = [w3c, &export, odd, &long, &requests(3)].concat();
    home.append("logs/a.log", &whole);
    home.print(&["replay", "--save", "logs/a.log"]);
    let tally = home.json(&["status", "--json"])[0]["streams"][0].clone();

    let output = home.output(&["parse", "logs/a.log"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let message = |object: &Value| object["error"]["message"].as_str().map(str::to_owned);
    let is_directive = |text: &String| text.contains("a directive: skipped");
    let (directives, rejects): (Vec<_>, Vec<_>) =
        objects.iter().filter_map(message).partition(is_directive);
    let (n_directives, n_rejected) = (directives.len(), rejects.len());
    let n_read = objects.len() - n_directives - n_rejected;
    // What holds nothing at all is not shown: empty lines, the fields of an export.
    let n_silent = whole.lines().count() - n_read - n_rejected;
    assert_eq!((n_read, n_directives, n_silent, n_rejected), (6, 3, 9, 2));
    assert_eq!(
        (&tally["lines"], &tally["parsed"], &tally["rejected"]),
        (&json!(17), &json!(n_read + n_silent), &json!(n_rejected))
    );
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        said,
        "17 lines: 6 read, 9 skipped (empty, directives), 2 rejected; 0 tokens found\n"
    );
}

#[test]
fn check_warns_from_the_configured_share_on() {
    let home =
        Home::new("[[source]]\npaths = [\"logs/*.log\"]\n[detect.health]\nrejected_percent = 60\n");
    home.append("logs/a.log", requests(1) + "no request at all\n");
    let level = || {
        home.json(&["check", "--json"]).iter().find(|one| one.get("log").is_some()).unwrap()["level"].clone()
    };
    assert_eq!(level(), "ok");
    home.configure(
        "[[source]]\npaths = [\"logs/*.log\"]\n[detect.health]\nrejected_percent = 40\n",
    );
    assert_eq!(level(), "warning");
}

#[test]
fn explain_sketches_a_template_that_reads_a_log_of_ones_own() {
    let home = Home::new("[[source]]\npaths = [\"logs/*.log\"]\n");
    let line = |n: usize| {
        format!(
            "2026-03-12T02:13:{n:02}Z|api7|192.0.2.7|GET|/v1/it's/{n}|200|17|0.004|exk_5b1f0c92d7a8463e9c0fb7d1264e83a5|curl/8.5.0\n"
        )
    };
    home.append("logs/own.log", (0..9).map(line).collect::<String>());
    let said = String::from_utf8(home.output(&["parse", "logs/own.log"]).stderr).unwrap();
    assert!(said.contains("0 read, 9 rejected") && said.contains("tokenwatch explain"), "{said}");
    let check = home.print(&["check"]);
    let hint = check.lines().find(|line| line.contains("looks like no preset")).unwrap();
    let output = paste(&home, named_command(hint));
    let text = String::from_utf8(output.stdout).unwrap();
    let option = text.lines().find_map(|line| line.trim().strip_prefix("--format ")).unwrap();
    let output =
        paste(&home, &format!("tokenwatch --state-dir st parse --format {option} logs/own.log"));
    let objects = String::from_utf8(output.stdout).unwrap();
    let first: Value = serde_json::from_str(objects.lines().next().unwrap()).unwrap();
    assert_eq!(objects.lines().count(), 9);
    assert_eq!(first["tokens"][0]["carrier"], "header:x-api-key", "{first}");
    assert_eq!(first["user_agent"]["original"], "curl/8.5.0");
    // What reads the line as a template in the configuration is no longer sketched.
    home.configure(&format!("[[source]]\npaths = [\"logs/*.log\"]\ntemplate = {option}\n"));
    let read = home.json(&["check", "--json"]);
    let log = read.iter().find_map(|one| one.get("log")).unwrap();
    assert_eq!((&log["fit"], &log["lines"]), (&json!(9), &json!(9)));
}
