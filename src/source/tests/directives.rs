//! Directives above lines are in force after a restart, in a copy, and from the end of a file on; and parts of lines.

use super::*;
use crate::source::tail::READ;

const FIELDS: &str = "#Fields: date time c-ip cs-method cs-uri-stem sc-status\n";

fn follower(path: &Path, read_from: ReadFrom, known: Vec<(StreamId, Position)>) -> Follower {
    let watch = Watch { source: 0, patterns: vec![path.to_owned()], read_from, ..Watch::default() };
    Follower::new(vec![watch], known, Options::default())
}

/// Reads everything from a given second on: the lines, each with the columns in force above its batch.
fn read(
    follower: &mut Follower,
    known: &mut Vec<(StreamId, Position)>,
    since: u64,
) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut lines = Vec::new();
    for second in 0..3 {
        let now = Duration::from_secs(since + second);
        for batch in follower.poll(now) {
            let above = text(batch.directives.fields());
            lines.extend(batch.lines().map(|line| (above.clone(), text(&line.bytes))));
            known.retain(|(stream, _)| *stream != batch.stream);
            known.push((batch.stream, batch.position));
        }
    }
    lines
}

fn append(path: &Path, text: &str) {
    let file = fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes())).unwrap();
}

#[test]
fn directives_outlive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u_ex.log");
    append(&path, &format!("#Version: 1.0\n{FIELDS}a 1\n"));
    let mut known = Vec::new();
    let lines = read(&mut follower(&path, ReadFrom::Start, Vec::new()), &mut known, 1);
    assert_eq!(lines.len(), 3);
    // It determines the year of times without one.
    assert!(known[0].1.directives.written > 0);
    append(&path, "a 2\n#Fields: date time\na 3\n");
    let lines = read(&mut follower(&path, ReadFrom::Start, known.clone()), &mut known, 1);
    assert_eq!(lines[0], (FIELDS.trim_end().to_owned(), "a 2".to_owned()));
    append(&path, "a 4\n");
    let lines = read(&mut follower(&path, ReadFrom::Start, known.clone()), &mut known, 1);
    assert_eq!(lines, [("#Fields: date time".to_owned(), "a 4".to_owned())]);
}

#[test]
fn a_log_truncated_after_a_copy_keeps_its_columns() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u_ex.log");
    append(&path, &format!("{FIELDS}a 1\n"));
    let mut follower = follower(&path, ReadFrom::Start, Vec::new());
    let mut known = Vec::new();
    assert_eq!(read(&mut follower, &mut known, 1).len(), 2);
    fs::copy(&path, dir.path().join("u_ex.log.1")).unwrap();
    fs::write(&path, "a 2\n").unwrap();
    let lines = read(&mut follower, &mut known, 5);
    assert_eq!(lines, [(FIELDS.trim_end().to_owned(), "a 2".to_owned())]);
}

#[test]
fn a_file_followed_from_its_end_keeps_the_directives_above() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("u_ex.log");
    let lines = "2026-03-02 08:00:00 192.0.2.1 GET / 200\n".repeat(READ / 20);
    append(&path, &format!("{FIELDS}{lines}#Fields: date time c-ip\n{lines}"));
    let mut follower = follower(&path, ReadFrom::End, Vec::new());
    assert_eq!(read(&mut follower, &mut Vec::new(), 1), []);
    append(&path, "new\n");
    let lines = read(&mut follower, &mut Vec::new(), 5);
    assert_eq!(lines, [("#Fields: date time c-ip".to_owned(), "new".to_owned())]);
}

#[test]
fn a_part_of_a_line_is_left_until_its_others_have_come() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("container.log");
    let head = "2026-03-02T08:00:00Z stdout";
    append(&path, &format!("{head} F a\n{head} P b\n"));
    let mut known = Vec::new();
    let lines = read(&mut follower(&path, ReadFrom::Start, Vec::new()), &mut known, 1);
    assert_eq!(lines, [(String::new(), format!("{head} F a"))]);
    assert_eq!(known[0].1.offset, head.len() as u64 + 5);
    // After a restart, they are joined.
    append(&path, &format!("{head} F c\n"));
    let lines = read(&mut follower(&path, ReadFrom::Start, known.clone()), &mut known, 1);
    assert_eq!(lines, [(String::new(), format!("{head} F bc"))]);
}
