//! Section f: storms of signals, expensive rules, secrets in the program's own messages.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde_json::{Value, json};

use crate::geo::MmdbWriter;
use crate::program::{Home, Running, wait_until};
use crate::site::{CONFIG, Site, append, line_of, mailing, works};
use crate::smtp::{Encryption, Options, SmtpServer};
use crate::storage::SYNCS;

/// What `check` may take for rules that are meant to be slow. Generous: debug builds on busy machines.
const LONGEST_CHECK: Duration = Duration::from_secs(30);

/// How long a disk takes over each sync of the database's log, in µs: long enough for a signal to fall into it.
const SLOW_SYNC: u32 = 300_000;

#[test]
fn a_storm_of_reloads_disturbs_no_count() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    let daemon = site.start();
    for n in 0..200 {
        daemon.signal("HUP");
        site.append("logs/a.log", 1 + n % 3);
    }
    site.wait();
    site.wait_for_word("The configuration was reloaded.");
    // The last of a storm is obeyed, too: a broken configuration behind it is told, and the one before stays in force.
    site.home.configure("[[source]]\npaths = 7\n");
    daemon.signal("HUP");
    site.wait_for_word("the old one stays in force");
    site.append("logs/a.log", 3);
    site.wait();
    assert_eq!(site.n_said("Started."), 1, "{}", site.home.daemon_log());
    site.home.configure(CONFIG);
    site.prove(daemon);
}

#[test]
fn an_end_in_the_middle_of_commits_is_exact() {
    let mut site = Site::new();
    site.append("logs/a.log", 5);
    for n in 0..20 {
        let daemon = site.start();
        for _ in 0..n {
            site.append("logs/a.log", 10);
        }
        assert!(daemon.end_as_promised().success(), "{}", site.home.daemon_log());
    }
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

#[test]
fn an_end_while_a_commit_reaches_the_disk_is_exact_and_soon() {
    if !works("66", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let mut site = Site::new();
    let log = site.home.path("state/tokenwatch.db-wal");
    let length = || fs::metadata(&log).map_or(0, |file| file.len());
    let inject = format!("inject={SYNCS}:delay_enter={SLOW_SYNC}");
    let trace = ["strace", "-D", "-f", "-qq", "-o", "/dev/null", "-P", log.to_str().unwrap()];
    let mut n_amid = 0;
    for n in 0..6 {
        let daemon = site.start_under(&[&trace[..], &["-e", &inject, "--"]].concat());
        site.append("logs/a.log", 10);
        site.wait();
        let before = length();
        site.append("logs/a.log", 10 + n);
        wait_until("a commit is on its way to the disk", || length() > before);
        n_amid += u32::from(site.home.committed_lines() < site.written());
        assert!(daemon.end_as_promised().success(), "{}", site.home.daemon_log());
    }
    assert!(n_amid > 0, "no end fell into a commit");
    let daemon = site.start();
    site.wait();
    site.prove(daemon);
}

/// A rule whose condition is a regular expression.
fn rule(expression: &str) -> String {
    format!(
        "title: Slow\nid: 5f0c8f6e-6a9f-4f0e-9d53-0a4c1b7e2d11\nname: slow\n\
         logsource: {{ product: tokenwatch, category: token_activity }}\n\
         detection:\n  selection:\n    url.path|re: '{expression}'\n  condition: selection\nlevel: low\n"
    )
}

#[test]
fn rules_that_would_cost_time_or_memory_are_refused_or_linear() {
    let home = Home::new("[rules]\ndir = \"rules.d\"\n");
    fs::create_dir(home.path("rules.d")).unwrap();
    // Exponential for an engine that goes back; this one reads each byte once.
    for (expression, status) in [
        ("(a+)+$".to_owned(), 0),
        ("((a{1000}){1000}){1000}".to_owned(), 78),
        ("x".repeat(50_000), 0),
        ("x".repeat(10 << 20), 78),
    ] {
        fs::write(home.path("rules.d/own.yml"), rule(&expression)).unwrap();
        let began = Instant::now();
        let output = home.output(&["check"]);
        let head = &expression[..expression.len().min(30)];
        assert_eq!(
            output.status.code(),
            Some(status),
            "{head}: {}",
            String::from_utf8_lossy(&output.stdout)
        );
        println!("{head}: {:?}", began.elapsed());
        assert!(began.elapsed() < LONGEST_CHECK, "{head}: {:?}", began.elapsed());
    }
}

#[test]
fn a_hostile_line_under_a_nested_rule_is_judged_at_once() {
    let home = Home::new("[rules]\ndir = \"rules.d\"\n");
    fs::create_dir(home.path("rules.d")).unwrap();
    fs::write(home.path("rules.d/own.yml"), rule("(a+)+$")).unwrap();
    let path = "a".repeat(60_000);
    let line = format!(
        "192.0.2.7 - - [02/Mar/2026:08:00:00 +0000] \"GET /{path}! HTTP/1.1\" 200 5 \"-\" \"curl/8.5.0\" \
         \"Bearer exk_5b1f0c92d7a8463e9c0fb7d1264e83a5\"\n"
    );
    home.append("logs/a.log", line.repeat(20));
    let began = Instant::now();
    home.print(&["replay", "logs"]);
    assert!(began.elapsed() < LONGEST_CHECK, "{:?}", began.elapsed());
}

/// A token that is pinned to Germany, and where its addresses lie: of unallocated space, of which the built-in table
/// knows nothing.
struct Pinned {
    site: Site,
    n_lines: u32,
}

const TOKEN: &str = "exk_000000010123456789abcdefgh";
const IN_GERMANY: &str = "2d00:1::7";
const IN_NORWAY: &str = "2d00:2::7";
const CANNOT: &str = "A GeoIP file cannot be used; the previous data stays in use.";

impl Pinned {
    fn new() -> Self {
        let site = Site::with(&format!("{CONFIG}[geoip]\ncity = \"City.mmdb\"\n"));
        let csv = format!("token,name,countries\n{TOKEN},ci,DE\n");
        assert!(site.home.output_with(&["tokens", "import", "-"], &csv).status.success());
        Self { site, n_lines: 0 }
    }

    fn whole() -> Vec<u8> {
        MmdbWriter::new(6, "GeoLite2-City")
            .with(
                "2d00:1::/32",
                &json!({"city": {"names": {"en": "Bonn"}}, "country": {"iso_code": "DE"}}),
            )
            .with(
                "2d00:2::/32",
                &json!({"city": {"names": {"en": "Oslo"}}, "country": {"iso_code": "NO"}}),
            )
            .bytes()
    }

    /// Uses the token; returns how many alerts there are about its country.
    fn call(&mut self, address: &str) -> usize {
        let line = line_of(self.n_lines * 60, TOKEN, 200).replace("192.0.2.7", address);
        append(&self.site.home.path("logs/a.log"), line.as_bytes());
        self.n_lines += 1;
        wait_until("the line is committed", || {
            self.site.home.committed_lines() == u64::from(self.n_lines)
        });
        let alerts = self.site.home.json(&["alerts", "list", "--json"]);
        alerts.iter().filter(|alert| alert["rule"]["name"] == "new-country").count()
    }

    /// Has the daemon look at its files now, and not within a minute.
    fn look(&self, daemon: &Running, said: &str) {
        let n_before = self.site.n_said(said);
        daemon.signal("HUP");
        wait_until(said, || self.site.n_said(said) > n_before);
    }

    /// The countries that the token was used from, and how often.
    fn countries(&self) -> Vec<(Value, Value)> {
        let history = self.site.home.json(&["history", "ci", "--json"]).remove(0);
        let rows = history["facets"]["country"].as_array().unwrap().clone();
        rows.iter().map(|row| (row["value"].clone(), row["count"].clone())).collect()
    }

    fn fault(&self) -> Value {
        self.site.home.json(&["status", "--json"])[0]["geoip"]["layers"][0]["fault"].clone()
    }
}

#[test]
fn a_geoip_file_that_is_written_over_or_cut_under_the_daemon_stays_in_use_and_a_missing_one_alerts_nobody()
 {
    let mut pinned = Pinned::new();
    let (path, whole) = (pinned.site.home.path("City.mmdb"), Pinned::whole());
    fs::write(&path, &whole).unwrap();
    let daemon = pinned.site.start();
    assert_eq!(pinned.call(IN_GERMANY), 0);
    assert_eq!(pinned.fault(), Value::Null);
    // In place, as `cp` and `truncate` do: whoever had mapped the file would die of it.
    let cut =
        |length: u64| fs::File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
    let hurts: [&dyn Fn(); 4] = [
        &|| cut(whole.len() as u64 / 2),
        &|| fs::write(&path, vec![0xff; whole.len()]).unwrap(),
        &|| cut(0),
        &|| fs::remove_file(&path).unwrap(),
    ];
    for hurt in hurts {
        hurt();
        assert_eq!(pinned.call(IN_GERMANY), 0);
        pinned.look(&daemon, CANNOT);
        assert_eq!(pinned.call(IN_GERMANY), 0);
        assert!(pinned.fault().is_string(), "{}", pinned.fault());
        fs::write(&path, &whole).unwrap();
        pinned.look(&daemon, "A GeoIP file ");
    }
    assert_eq!(pinned.countries(), [("DE".into(), 9.into())]);
    assert!(daemon.terminate().success(), "{}", pinned.site.home.daemon_log());
    // Started with what nobody can read: nobody knows where it is used, and nobody is told.
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let daemon = pinned.site.start();
    for address in [IN_GERMANY, IN_NORWAY] {
        assert_eq!(pinned.call(address), 0);
    }
    assert_eq!(pinned.countries(), [("DE".into(), 9.into())]);
    assert!(pinned.site.home.print(&["status"]).contains("not in use: "));
    // A whole one again is in use, and tells.
    fs::write(&path, &whole).unwrap();
    pinned.look(&daemon, "A GeoIP file was loaded.");
    assert_eq!(pinned.call(IN_GERMANY), 0);
    assert_eq!(pinned.call(IN_NORWAY), 1);
    assert_eq!(pinned.fault(), Value::Null);
    assert!(daemon.terminate().success(), "{}", pinned.site.home.daemon_log());
}

/// What the service's unit does, without systemd: a user of its own, no capability and no way to one, nothing to write
/// to but the state. What comes behind it is executed.
fn sandbox(home: &Path) -> Vec<String> {
    let script = "
        set -e
        mount --make-rprivate /
        mount --bind \"$0/state\" \"$0/state\"
        mount -o remount,bind,ro \"$(findmnt --noheadings --output TARGET --target \"$0\")\"
        mount -o remount,bind,ro / || true
        exec setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all \
            prlimit --core=1 -- \"$@\"";
    let home = home.to_str().expect("UTF-8");
    ["unshare", "--mount", "--ipc", "sh", "-c", script, home].map(str::to_owned).into()
}

#[test]
fn the_service_does_its_work_in_a_sandbox_like_its_unit() {
    let server = SmtpServer::start(Options { tls: Encryption::Off, ..Options::default() });
    let mut site = Site::with(&mailing(&server));
    fs::create_dir(site.home.path("state")).unwrap();
    fs::set_permissions(site.home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    site.give_to(65534);
    let sandbox = sandbox(&site.home.path(""));
    let sandbox: Vec<&str> = sandbox.iter().map(String::as_str).collect();
    if !works("70", sandbox[0], &[&sandbox[1..], &["true"]].concat()) {
        return;
    }
    // It holds: only the state can be written to.
    let touch = |name: &str| {
        let mut command = Command::new(sandbox[0]);
        command.args(&sandbox[1..]).arg("touch").arg(site.home.path(name));
        command.output().unwrap().status.success()
    };
    assert_eq!([touch("state/x"), touch("logs/x"), touch("x")], [true, false, false]);
    site.append("logs/a.log", 5);
    let daemon = site.start_under(&sandbox);
    let process = fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    for (name, value) in [
        ("NoNewPrivs:", "1"),
        ("CapBnd:", "0000000000000000"),
        ("CapPrm:", "0000000000000000"),
        ("CapInh:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
        ("Uid:", "65534\t65534\t65534\t65534"),
    ] {
        let said = process.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert_eq!(said.trim(), value, "{name}");
    }
    // Reads, rotates, takes a new configuration, mails, and ends.
    site.append("logs/a.log", 5);
    site.wait();
    site.rename("logs/a.log", "logs/a.log.1");
    site.append("logs/a.log", 5);
    site.wait();
    daemon.signal("HUP");
    site.wait_for_word("The configuration was reloaded.");
    let leak = line_of(99, "-", 200)
        .replace("/v1/items/99", "/v1?access_token=exk_leak0123456789abcdefgh");
    append(&site.home.path("logs/a.log"), leak.as_bytes());
    server.wait_for(1, Duration::from_secs(60));
    assert!(site.home.print(&["status"]).contains("a.log"));
    let (status, _) = daemon.end();
    assert!(status.success(), "{}", site.home.daemon_log());
    assert_eq!(site.n_said("ERROR") + site.n_said("WARN"), 0, "{}", site.home.daemon_log());
    assert_eq!(site.home.committed_lines(), site.written() + 1);
    let daemon = site.start_under(&sandbox);
    site.append("logs/a.log", 5);
    site.wait_with(1);
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    assert!(site.streams().iter().all(|stream| stream["accounted"] == true));
}

#[test]
fn the_unit_is_exposed_to_less_than_2() {
    if !works("70", "systemd-analyze", &["--version"]) {
        return;
    }
    let unit = concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/tokenwatch.service");
    let mut command = Command::new("systemd-analyze");
    command.args(["security", "--offline=yes", "--threshold=20", "--no-pager", unit]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{}", text.lines().last().unwrap_or_default());
    assert!(output.status.success(), "{text}");
}

#[test]
fn a_crash_left_a_core_file_with_tokens_unless_the_unit_ran_the_daemon() {
    let unlimited = ["sh", "-c", "ulimit -c unlimited && exec \"$@\"", "sh"];
    if !works("69", unlimited[0], &[&unlimited[1..], &["true"]].concat()) {
        return;
    }
    let mut site = Site::new();
    site.append("logs/a.log", 3);
    let daemon = site.start_under(&unlimited);
    site.wait();
    let limits = fs::read_to_string(format!("/proc/{}/limits", site.pid())).unwrap();
    let limit = limits.lines().find_map(|line| line.strip_prefix("Max core file size")).unwrap();
    // Too little for a file; and of a limit of one byte, the kernel keeps any handler of `core_pattern`.
    assert_eq!(limit.split_whitespace().collect::<Vec<_>>(), ["1", "1", "bytes"]);
    daemon.signal("ABRT");
    let status = daemon.wait();
    assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    let left = fs::read_dir(site.home.path("")).unwrap().map(|entry| entry.unwrap().file_name());
    let cores: Vec<_> = left.filter(|name| name.to_string_lossy().starts_with("core")).collect();
    assert!(cores.is_empty(), "{cores:?}");
}

#[test]
fn a_crash_was_handed_to_a_handler_if_no_core_file_was_permitted() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let limited = |limit: &'static str| {
        [&nobody[..], &["sh", "-c", "ulimit -c \"$0\" && exec \"$@\"", limit]].concat()
    };
    // If a process may not be dumped, its files in /proc belong to root.
    for (limit, owner) in [("unlimited", NOBODY), ("0", 0)] {
        let wrapper = limited(limit);
        if !works("69", wrapper[0], &[&wrapper[1..], &["true"]].concat()) {
            return;
        }
        let mut site = Site::new();
        site.append("logs/a.log", 3);
        site.give_to(NOBODY);
        let daemon = site.start_under(&wrapper);
        site.wait();
        let status = format!("/proc/{}/status", site.pid());
        assert_eq!(fs::metadata(status).unwrap().uid(), owner, "{limit}");
        daemon.signal("ABRT");
        let status = daemon.wait();
        assert_eq!((status.signal(), status.core_dumped()), (Some(6), false));
    }
}

/// The files of the state directory that are of another user than it is.
fn foreign(site: &Site) -> Vec<PathBuf> {
    let state = site.home.path("state");
    let owner = fs::metadata(&state).unwrap().uid();
    let files = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| fs::metadata(file).unwrap().uid() != owner).collect()
}

const NOBODY: u32 = 65534;

fn make_pipe(path: &Path) {
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
}

/// A site whose state belongs to another user than whoever tests; `None` where that cannot be.
fn site_of_nobody() -> Option<Site> {
    if !works("72", "setpriv", &["--reuid=65534", "--regid=65534", "--clear-groups", "--", "true"])
    {
        return None;
    }
    let mut site = Site::new();
    fs::create_dir(site.home.path("state")).unwrap();
    fs::set_permissions(site.home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    site.append("logs/a.log", 3);
    site.give_to(NOBODY);
    Some(site)
}

#[test]
fn a_backup_that_was_a_link_gave_another_user_what_only_root_may_read() {
    let Some(site) = site_of_nobody() else { return };
    let roots = Site::new();
    roots.home.print(&["tokens", "add", "jwt:https://id.example.org:kim"]);
    let secret = roots.home.path("state/tokenwatch.db");
    let [database, backup] =
        ["state/tokenwatch.db", "state/tokenwatch.db.backup"].map(|name| site.home.path(name));
    let key = site.home.path("state/seal.key");
    fs::copy(roots.home.path("state/seal.key"), &key).unwrap();
    chown(&key, Some(NOBODY), Some(NOBODY)).unwrap();
    symlink(&secret, &backup).unwrap();
    let save = ["replay", "--save", "logs/a.log"];
    let refused = site.home.output(&save);
    let told = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && told.contains("copying the backup"), "{told}");
    assert!(!database.exists() && !site.home.path("state/tokenwatch.db.restoring").exists());
    // A file of that user's own is a backup.
    fs::remove_file(&backup).unwrap();
    fs::copy(&secret, &backup).unwrap();
    chown(&backup, Some(NOBODY), Some(NOBODY)).unwrap();
    site.home.print(&save);
    assert!(site.home.print(&["tokens", "list"]).contains("kim"));
}

#[test]
fn a_lock_that_was_a_link_had_root_write_into_what_it_led_to() {
    let Some(site) = site_of_nobody() else { return };
    let (roots, lock) = (site.home.path("roots"), site.home.path("state/tokenwatch.lock"));
    fs::write(&roots, "whole").unwrap();
    let save = ["replay", "--save", "logs/a.log"];
    for link in [fs::hard_link::<&Path, &Path>, |from: &Path, to: &Path| symlink(from, to)] {
        link(&roots, &lock).unwrap();
        assert!(!site.home.output(&save).status.success());
        assert_eq!(fs::read_to_string(&roots).unwrap(), "whole");
        fs::remove_file(&lock).unwrap();
    }
    // A file of that user's own is a lock.
    fs::write(&lock, "").unwrap();
    chown(&lock, Some(NOBODY), Some(NOBODY)).unwrap();
    site.home.print(&save);
    assert!(fs::read_to_string(&lock).unwrap().contains("has run"));
}

#[test]
fn a_database_that_was_a_link_had_root_write_into_what_it_led_to() {
    let Some(site) = site_of_nobody() else { return };
    let roots = Site::new();
    roots.home.print(&["tokens", "add", "jwt:https://id.example.org:kim"]);
    let [secret, database] = [&roots, &site].map(|site| site.home.path("state/tokenwatch.db"));
    let whole = fs::read(&secret).unwrap();
    fs::copy(roots.home.path("state/seal.key"), site.home.path("state/seal.key")).unwrap();
    symlink(&secret, &database).unwrap();
    for command in [&["replay", "--save", "logs/a.log"][..], &["tokens", "list"], &["status"]] {
        let refused = site.home.output(command);
        let told = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && told.contains("a symbolic link or a pipe"), "{told}");
        assert!(!String::from_utf8_lossy(&refused.stdout).contains("kim"));
    }
    assert_eq!(fs::read(&secret).unwrap(), whole);
    // Nor is a pipe waited for, in the place of any file.
    for name in ["tokenwatch.db", "tokenwatch.lock", "tokenwatch.db.damage"] {
        let path = site.home.path("state").join(name);
        fs::remove_file(&path).ok();
        make_pipe(&path);
        for command in ["status", "check"] {
            site.home.output(&[command]);
        }
        fs::remove_file(&path).unwrap();
    }
    // The directory itself may be a link.
    fs::rename(site.home.path("state"), site.home.path("elsewhere")).unwrap();
    symlink(site.home.path("elsewhere"), site.home.path("state")).unwrap();
    site.home.print(&["replay", "--save", "logs/a.log"]);
    assert!(site.home.path("elsewhere/tokenwatch.db").exists());
}

#[test]
fn a_note_that_was_a_link_gave_another_user_what_only_root_may_read() {
    let Some(site) = site_of_nobody() else { return };
    site.home.print(&["replay", "--save", "logs/a.log"]);
    let beside = |ending: &str| site.home.path(format!("state/tokenwatch.db{ending}"));
    fs::copy(beside(""), beside(".backup")).unwrap();
    fs::write(beside(".cleared"), "").unwrap();
    let secret = site.home.path("secret");
    fs::write(&secret, "for root alone").unwrap();
    symlink(&secret, beside(".suspect")).unwrap();
    site.home.output(&["replay", "--save", "logs/a.log"]);
    let noted = fs::read_to_string(beside(".damage")).unwrap_or_default();
    assert!(!noted.contains("for root alone"), "{noted}");
    // A note that never ends is read in part.
    symlink("/dev/zero", beside(".damage")).unwrap();
    site.home.output(&["status"]);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "for root alone");
}

#[test]
fn what_root_made_in_the_state_of_another_user_kept_that_users_daemon_from_its_start() {
    let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    if !works("72", nobody[0], &[&nobody[1..], &["true"]].concat()) {
        return;
    }
    let mut site = Site::new();
    fs::create_dir(site.home.path("state")).unwrap();
    fs::set_permissions(site.home.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    site.append("logs/a.log", 3);
    site.give_to(65534);
    // As root: the first key, the database with what lies beside it, the lock.
    site.home.print(&["parse", "logs/a.log"]);
    assert_eq!(foreign(&site), [] as [PathBuf; 0]);
    site.home.print(&["replay", "--save", "logs/a.log"]);
    assert_eq!(foreign(&site), [] as [PathBuf; 0]);
    let daemon = site.start_under(&nobody);
    site.append("logs/a.log", 3);
    site.wait();
    assert!(daemon.terminate().success());
    // A backup that is there is made anew.
    fs::write(site.home.path("state/tokenwatch.db.backup"), "an old one").unwrap();
    site.home.print(&["tokens", "rekey", "--yes"]);
    assert_eq!(foreign(&site), [] as [PathBuf; 0]);
    let checked = |site: &Site| String::from_utf8(site.home.output(&["check"]).stdout).unwrap();
    assert!(!checked(&site).contains("owned by"), "{}", checked(&site));
    let daemon = site.start_under(&nobody);
    site.append("logs/a.log", 3);
    site.wait();
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());

    let key = site.home.path("state/seal.key");
    chown(&key, Some(0), Some(0)).unwrap();
    assert_eq!(foreign(&site), [key]);
    let told = checked(&site).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("seal.key: owned by user 0, unlike "), "{told}");
    assert!(told.contains("chown -h --reference="), "{told}");
    assert_eq!(site.home.output(&["check"]).status.code(), Some(78));

    // A name is no command, and other files are not the program's.
    for name in ["tokenwatch.db.$(id)", "notes.txt"] {
        fs::write(site.home.path("state").join(name), "").unwrap();
    }
    let told = checked(&site);
    assert!(told.contains("/tokenwatch.db.$(id)'") && !told.contains("notes.txt"), "{told}");

    // In a directory of its own, what root makes stays root's.
    let own = Site::new();
    own.home.print(&["tokens", "add", "jwt:https://id.example.org:kim"]);
    assert_eq!(fs::metadata(own.home.path("state/tokenwatch.db")).unwrap().uid(), 0);
    assert!(!checked(&own).contains("owned by"));
}

/// Runs a command as a user who may read everything of the site and write nothing.
fn read_as_nobody(site: &Site, arguments: &[&str]) -> Output {
    let allowed = Command::new("chmod").args(["-R", "a+rX"]).arg(site.home.path("")).status();
    assert!(allowed.unwrap().success());
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]);
    command.arg(site.program()).arg("--config").arg(site.home.path("tokenwatch.toml"));
    command.args(arguments).current_dir(site.home.path("")).output().unwrap()
}

#[test]
fn a_state_in_which_its_reader_may_not_write_could_not_be_read() {
    let Some(mut site) = site_of_nobody() else { return };
    site.give_to(0);
    let tokens = |site: &Site| {
        let output = read_as_nobody(site, &["tokens", "list", "--json"]);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).lines().count(), errors)
    };
    let state = site.home.path("state");
    let n_files = || fs::read_dir(&state).unwrap().count();
    let daemon = site.start();
    site.wait();
    assert_eq!(tokens(&site), (3, String::new()), "beside the daemon");
    daemon.kill();
    assert_eq!(tokens(&site), (3, String::new()), "what a killed daemon left");

    // Most of it is in the write-ahead log, which nobody can read without its index.
    let index = state.join("tokenwatch.db-shm");
    fs::remove_file(&index).unwrap();
    let (n_tokens, errors) = tokens(&site);
    assert!(n_tokens == 0 && errors.contains("copy the whole directory"), "{errors}");
    assert!(!errors.to_lowercase().contains("readonly"), "{errors}");

    let daemon = site.start();
    site.append("logs/a.log", 2);
    site.wait();
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let before = n_files();
    assert_eq!(tokens(&site), (5, String::new()), "after a clean end");
    for arguments in [
        &["status"][..],
        &["alerts", "list"],
        &["who", "192.0.2.7"],
        &["history", "tw1_", "--json"],
        &["replay", "logs/a.log"],
    ] {
        let output = read_as_nobody(&site, arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_ne!(output.status.code(), Some(70), "{arguments:?}: {errors}");
    }
    assert_eq!(n_files(), before);
}
