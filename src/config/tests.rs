//! Tests of the configuration as a whole: defaults, several files, faults.

use std::path::Path;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::*;
use crate::engine::alert::Level;
use crate::engine::zone::Zone;

const SHIPPED: &str = include_str!("../../systemd/tokenwatch.toml");

fn parse(text: &str) -> Result<Config, Faults> {
    Config::parse(text, Path::new("/etc/tokenwatch/tokenwatch.toml"))
}

/// Reads the files that the daemon would read.
fn load(path: &Path) -> Result<Config, Faults> {
    match Config::draft(Some(path)) {
        (Some(config), faults) if faults.is_empty() => Ok(config),
        (_, faults) => Err(faults),
    }
}

fn good(text: &str) -> Config {
    parse(text).unwrap_or_else(|faults| panic!("{faults}"))
}

/// The faults as shown to a person.
fn faults(text: &str) -> String {
    parse(text).unwrap_err().render(Colour::None, 100)
}

/// Uncomments the lines of the shipped file for which `is_marked` is true.
fn uncommented(is_marked: impl Fn(&str) -> bool) -> String {
    let line = |line: &str| match line.strip_prefix('#') {
        Some(rest) if is_marked(rest) => format!("{}\n", rest.trim_start()),
        _ => format!("{line}\n"),
    };
    SHIPPED.lines().map(line).collect()
}

fn is_default(rest: &str) -> bool {
    !rest.is_empty() && !rest.starts_with(' ')
}

fn is_example(rest: &str) -> bool {
    rest.starts_with("   ")
}

#[test]
fn the_shipped_file_is_the_defaults() {
    let defaults = Config { files: vec![DEFAULT_PATH.into()], ..Config::default() };
    assert_eq!(good(SHIPPED), defaults);
    assert_eq!(good(&uncommented(is_default)), defaults);
    assert_eq!(good(""), defaults);
}

#[test]
fn the_defaults_of_the_shipped_file_are_all_there_are() {
    let n_defaults = uncommented(is_default).lines().filter(|l| !l.starts_with('#')).count();
    assert!(n_defaults > 25, "{n_defaults}");
    let mail =
        "server = \"smtps://mail.example.org\"\nfrom = \"a@example.org\"\nto = [\"b@example.org\"]";
    let shipped = uncommented(is_default).replace("[mail]", &format!("[mail]\n{mail}"));
    assert_eq!(good(&shipped).mail, good(&format!("[mail]\n{mail}")).mail);
}

#[test]
fn the_examples_of_the_shipped_file_are_good() {
    let config = good(&uncommented(|rest| is_default(rest) || is_example(rest)));
    assert_eq!(config.sources.len(), 3);
    assert!(config.mail.is_some() && config.state_dir.is_some());
    assert_eq!(config.geoip.asn.len(), 1);
}

#[test]
fn every_key_is_in_the_shipped_file() {
    let said = |key: &str| {
        SHIPPED.contains(&format!("#{key} = ")) || SHIPPED.contains(&format!("#   {key} = "))
    };
    let probe = "x = 1\n[tokens]\nx = 1\n[geoip]\nx = 1\n[rules]\nx = 1\n[mail]\nx = 1\n[output]\nx = 1\n\
                 [retention]\nx = 1\n[limits]\nx = 1\n[[source]]\npaths = \"/a\"\nx = 1\n";
    let faults = parse(probe).unwrap_err();
    assert_eq!(faults.iter().count(), 9);
    for fault in faults.iter().filter(|fault| fault.found.contains(" in [")) {
        for key in fault.expected.trim_start_matches("one of ").split(", ") {
            assert!(
                said(key) || ["credential", "journal", "journal_directory"].contains(&key),
                "{key}"
            );
        }
    }
}

#[test]
fn a_source_says_where_from_and_in_which_format() {
    let config = good(
        "[[source]]\npaths = [\"logs/*.log\", \"/var/log/a.log\"]\nread_from = \"start\"\n\
         trusted_proxies = [\"10.1.2.3/8\", \"2001:db8::1\"]\nservice = \"api\"\ntime_zone = \"-03:30\"\n\
         [[source]]\njournal = \"haproxy.service\"\njournal_directory = \"remote\"\ntemplate = '%h %l'\n\
         [[source]]\npaths = \"/b\"\nformat = \"json\"\nfields = { client = \"peer\" }\n",
    );
    let [first, second, third] = config.sources.as_slice() else { panic!("{config:?}") };
    let SourceFrom::Files(paths) = &first.from else { panic!("{first:?}") };
    let paths: Vec<_> = paths.iter().map(|at| at.value.as_str()).collect();
    assert_eq!(paths, ["/etc/tokenwatch/logs/*.log", "/var/log/a.log"]);
    assert_eq!(first.read_from, ReadFrom::Start);
    assert_eq!(first.format.value, FormatChoice::Preset("auto".into()));
    let nets: Vec<_> = first.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(nets, ["10.0.0.0/8", "2001:db8::1/128"]);
    assert_eq!((first.zone, second.zone), (Some(Zone::Fixed(-12_600)), None));
    let SourceFrom::Journal { unit, directory } = &second.from else { panic!("{second:?}") };
    assert_eq!(unit.value, "haproxy.service");
    assert_eq!(directory.as_deref(), Some(Path::new("/etc/tokenwatch/remote")));
    assert_eq!(second.format.value, FormatChoice::Template("%h %l".into()));
    assert_eq!(second.format.span.to_string(), "/etc/tokenwatch/tokenwatch.toml:10:12");
    let FormatChoice::Fields { preset: Some(preset), fields } = &third.format.value else {
        panic!("{third:?}")
    };
    assert_eq!((preset.value.as_str(), fields["client"].value.as_str()), ("json", "peer"));
}

#[test]
fn a_folder_with_glob_characters_is_taken_as_it_is_written() {
    let config =
        Config::parse("[[source]]\npaths = \"*.log\"", Path::new("/a [1]/b.toml")).unwrap();
    let SourceFrom::Files(paths) = &config.sources[0].from else { panic!("{config:?}") };
    let pattern = glob::Pattern::new(&paths[0].value).unwrap();
    assert!(pattern.matches("/a [1]/x.log") && !pattern.matches("/a 1/x.log"));
}

#[test]
fn mail_has_a_password_if_it_has_a_user() {
    let mail = |rest: &str| {
        let text = format!(
            "[mail]\nserver = \"smtps://a.example\"\nfrom = \"a@example.org\"\nto = \"b@example.org\"\n{rest}"
        );
        good(&text).mail.unwrap()
    };
    assert_eq!(mail("").password, None);
    assert_eq!(mail("").password(None).unwrap(), None);
    let credential = mail("user = \"me\"");
    let from = PasswordFrom::Credential("smtp-password".into());
    assert_eq!(credential.password.as_ref().unwrap().value, from);
    assert!(
        credential.password(None).unwrap_err().to_string().contains("LoadCredential=smtp-password")
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("smtp-password"), "hunter 2\r\n").unwrap();
    let password = credential.password(Some(folder.path())).unwrap().unwrap();
    assert_eq!(password.as_str(), "hunter 2");
    let file = mail("user = \"me\"\npassword_file = \"secret\"");
    assert_eq!(file.password.unwrap().value, PasswordFrom::File("/etc/tokenwatch/secret".into()));
    assert_eq!((mail("").at_once, mail("").max_per_hour), (Level::High, 12));
    assert_eq!(mail("digest = 06:00").digest.to_string(), "06:00:00");
}

#[test]
fn a_password_file_holds_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[mail]\nserver = \"smtps://a.example\"\nfrom = \"a@example.org\"\nto = \"b@example.org\"\nuser = \"me\"\npassword_file = \"p\"";
    let mail = Config::parse(text, &folder.path().join("a.toml")).unwrap().mail.unwrap();
    let fault = || mail.password(None).unwrap_err().to_string();
    assert!(fault().contains("a.toml:6:17"), "{}", fault());
    for (bytes, why) in [
        (&b""[..], "is empty"),
        (b"\n", "is empty"),
        (b"a\nb\n", "has more than one line"),
        (b"\xff", "is not UTF-8"),
        (&[b'a'; 5000], "is longer than 4096 bytes"),
    ] {
        fs::write(folder.path().join("p"), bytes).unwrap();
        assert!(fault().contains(why), "{}", fault());
    }
}

#[test]
fn mail_that_is_only_tuned_is_not_sent() {
    assert_eq!(good("[mail]\nmax_per_hour = 3\n").mail, None);
}

#[test]
fn later_files_win_and_sources_add_up() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.toml");
    let drop_ins = folder.path().join("conf.d");
    fs::create_dir(&drop_ins).unwrap();
    fs::write(
        &main,
        "[limits]\ncommit_interval = \"1s\"\nmemory = \"64MiB\"\n[[source]]\npaths = \"a\"\n",
    )
    .unwrap();
    fs::write(
        drop_ins.join("20-b.toml"),
        "[limits]\ncommit_interval = \"3s\"\n[[source]]\npaths = \"b\"\n",
    )
    .unwrap();
    fs::write(drop_ins.join("10-a.toml"), "[limits]\ncommit_interval = \"2s\"\n").unwrap();
    fs::write(drop_ins.join(".#20-b.toml"), "not for us").unwrap();
    fs::write(drop_ins.join("30-c.toml.bak"), "nor this").unwrap();
    let config = load(&main).unwrap();
    assert_eq!(
        (config.limits.commit_interval, config.limits.memory),
        (Duration::from_secs(3), 64 << 20)
    );
    let names: Vec<_> = config.files.iter().filter_map(|path| path.file_name()).collect();
    assert_eq!(names, ["main.toml", "10-a.toml", "20-b.toml"]);
    let paths: Vec<_> = config.sources.iter().map(|source| source.from.clone()).collect();
    let SourceFrom::Files(second) = &paths[1] else { panic!("{paths:?}") };
    assert_eq!(second[0].value, drop_ins.join("b").to_str().unwrap());
    assert_eq!(config.rules.dir.value, folder.path().join("rules.d"));
}

#[test]
fn a_size_of_batches_that_nobody_would_read_is_an_unknown_key() {
    let drawn = faults("[limits]\nbatch = \"1MiB\"\n");
    assert!(drawn.contains("unknown key \"batch\" in [limits]"), "{drawn}");
}

#[test]
fn faults_of_all_files_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main.toml");
    fs::create_dir(folder.path().join("conf.d")).unwrap();
    fs::write(&main, "stat_dir = \"/x\"\n").unwrap();
    fs::write(folder.path().join("conf.d/a.toml"), "[limits]\nmemory = 7\n").unwrap();
    fs::create_dir(folder.path().join("conf.d/b.toml")).unwrap();
    let text = load(&main).unwrap_err().to_string();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(lines[0].contains("b.toml: the file cannot be read"), "{text}");
    assert!(lines[1].contains("main.toml:1:1: unknown key \"stat_dir\""), "{text}");
    assert!(lines[2].contains("a.toml:2:10: found 7"), "{text}");
}

#[test]
fn a_named_file_must_be_there() {
    let faults = load(Path::new("/nowhere/a.toml")).unwrap_err();
    assert!(faults.to_string().starts_with("/nowhere/a.toml: the file cannot be read"));
}

#[test]
fn bytes_that_are_not_text_have_a_place() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("a.toml");
    fs::write(&main, b"# ok\n# \xff\n").unwrap();
    let text = load(&main).unwrap_err().to_string();
    assert!(text.contains("a.toml:2:3: found bytes that are not UTF-8"), "{text}");
}

#[test]
fn a_time_zone_that_is_none_is_a_fault_where_it_stands() {
    let faults = parse("[[source]]\npaths = \"/a\"\ntime_zone = \"Europe/Berlyn\"\n").unwrap_err();
    let text = faults.to_string();
    assert!(text.contains("tokenwatch.toml:3:13: found \"Europe/Berlyn\""), "{text}");
    assert!(text.contains("did you mean \"Europe/Berlin\"?"), "{text}");
}

#[test]
fn sensitive_routes_are_read_and_what_names_none_is_a_fault_where_it_stands() {
    let config = good("[tokens]\nsensitive = [\"/admin/*\", \"DELETE:/v1/*\"]");
    assert_eq!(config.tokens.sensitive.len(), 2);
    assert_eq!(good("[tokens]\nsensitive = \"/admin/*\"").tokens.sensitive.len(), 1);
    let faults = faults("[tokens]\nsensitive = [\"/admin/*\", \"DELETE:users\", \"write\"]");
    for place in ["tokenwatch.toml:2:26", "tokenwatch.toml:2:42"] {
        assert!(faults.contains(place), "{faults}");
    }
    assert!(faults.contains("as in GET:/v1/items/*"), "{faults}");
}

#[test]
fn polling_is_of_files() {
    let config =
        parse("[[source]]\npaths = \"/a\"\npoll = true\n[[source]]\npaths = \"/b\"\n").unwrap();
    let is_polled: Vec<bool> = config.sources.iter().map(|source| source.is_polled).collect();
    assert_eq!(is_polled, [true, false]);
    let faults = parse("[[source]]\njournal = \"a\"\npoll = true\n").unwrap_err().to_string();
    assert!(faults.contains("tokenwatch.toml:3:8: `poll` beside `journal`"), "{faults}");
}

#[test]
fn wrong_keys_and_values_are_drawn() {
    assert_snapshot!(faults(
        r#"stat_dir = "/var/lib/tokenwatch"

[[source]]
paths = ["/var/log/[a.log", 7]
red_from = "end"
trusted_proxies = ["10.0.0.0/33"]

[[source]]
format = "auto"

[[source]]
paths = "/a"
journal = "b"
template = "c"
format = "d"
read_from = "begin"

[mail]
server = "mail.example.org"
to = ["security.example.org"]
digest = "7:30"
at_once = "hihg"
max_per_hour = 0

[retention]
activity = 400
alerts = "13months"
facets = "2h"

[limits]
memory = "256MB"

[output]
stdout = "yes"

[geo_ip]
city = "x"
"#
    ));
}

#[test]
fn passwords_are_neither_taken_nor_shown() {
    let text = "[mail]\nserver = \"smtps://me:hunter2@mail.example.org\"\nfrom = \"a@example.org\"\nto = \"b@example.org\"\npassword = \"hunter2\"\n";
    let drawn = faults(text);
    assert!(!drawn.contains("hunter2"), "{drawn}");
    assert!(!parse(text).unwrap_err().to_string().contains("hunter2"));
    assert!(!faults("[mail]\npassword = hunter2\n").contains("hunter2"));
    assert_snapshot!(drawn);
}

#[test]
fn faults_of_syntax_are_drawn_with_the_others() {
    assert_snapshot!(faults(
        "[mail\nserver = \n\n[limits]\ncommit_interval = \"1s\nmemory = \"1GiB\"\nmemory = \"2GiB\"\nmemry = 1\n"
    ));
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(?s).{0,80}|(\\[|\\]|=|\"|\n|mail|source|paths|detect|[a-z0-9 .,{}']){0,40}") {
        if let Err(faults) = parse(&text) {
            prop_assert!(!faults.is_empty());
            drop(faults.render(Colour::Ansi, 80));
            drop(faults.to_string());
        }
    }
}
