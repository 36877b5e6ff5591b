//! Section a, continued: SIGKILL before, between and after the file operations of each kind of rotation, and within the
//! commits of what was rotated unread.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::dump::{dump, without};
use crate::program::wait_until;
use crate::site::{
    Site, append, expect_kills, is_full, killed_at, mailing, sample, truncate, works,
};
use crate::smtp::{Encryption, Options, SmtpServer};
use crate::storage::{CALLS, SYNCS, leak};

/// One operation on the files of a log, in a rotation of this number.
type Step = fn(&mut Site, usize);

/// Returns the number of rotations of a run: names are shifted from the second on.
fn n_rounds() -> usize {
    if is_full() { 3 } else { 2 }
}

/// When the daemon is back.
#[derive(Clone, Copy, Debug)]
enum Back {
    AtOnce,
    AfterNext,
    AtEnd,
}

fn write(site: &mut Site, _: usize) {
    site.append("logs/a.log", 3);
}

/// Writes as a server does that was not told yet to open the new file.
fn write_late(site: &mut Site, _: usize) {
    site.append("logs/a.log.1", 2);
}

fn rename(site: &mut Site, _: usize) {
    site.rename("logs/a.log", "logs/a.log.1");
}

fn rename_dated(site: &mut Site, round: usize) {
    site.rename("logs/a.log", &format!("logs/a.log-2026030{}", 1 + round));
}

/// Shifts the oldest file.
fn shift_second(site: &mut Site, _: usize) {
    shift(site, 2);
}

fn shift_first(site: &mut Site, _: usize) {
    shift(site, 1);
}

fn shift(site: &Site, number: usize) {
    for ending in ["", ".gz"] {
        let [from, to] = [number, number + 1].map(|n| format!("logs/a.log.{n}{ending}"));
        if site.home.path(&from).exists() {
            site.rename(&from, &to);
        }
    }
}

/// Begins to compress what the last rotation left; a half is not readable to its end.
fn pack_half(site: &mut Site, _: usize) {
    if let Some(packed) = packed(site) {
        fs::write(site.home.path("logs/a.log.1.gz"), &packed[..packed.len() / 2]).unwrap();
    }
}

/// Completes that; the compressed file has the time of the other.
fn pack(site: &mut Site, _: usize) {
    let Some(packed) = packed(site) else { return };
    let path = site.home.path("logs/a.log.1.gz");
    fs::write(&path, packed).unwrap();
    let written = fs::metadata(first(site)).unwrap().modified().unwrap();
    File::options().append(true).open(path).unwrap().set_modified(written).unwrap();
}

fn remove_packed(site: &mut Site, _: usize) {
    let path = first(site);
    if path.exists() {
        fs::remove_file(path).unwrap();
    }
}

fn first(site: &Site) -> PathBuf {
    site.home.path("logs/a.log.1")
}

fn packed(site: &Site) -> Option<Vec<u8>> {
    let bytes = fs::read(first(site)).ok()?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&bytes).unwrap();
    Some(encoder.finish().unwrap())
}

fn copy_half(site: &mut Site, _: usize) {
    let bytes = fs::read(site.home.path("logs/a.log")).unwrap();
    fs::write(first(site), &bytes[..bytes.len() / 2]).unwrap();
}

fn copy_rest(site: &mut Site, _: usize) {
    let bytes = fs::read(site.home.path("logs/a.log")).unwrap();
    append(&first(site), &bytes[bytes.len() / 2..]);
}

fn cut(site: &mut Site, _: usize) {
    truncate(&site.home.path("logs/a.log"));
}

/// Makes the next file elsewhere.
fn make_next(site: &mut Site, _: usize) {
    fs::write(site.home.path("next"), "").unwrap();
}

fn link_first(site: &mut Site, _: usize) {
    fs::hard_link(site.home.path("logs/a.log"), first(site)).unwrap();
}

fn rename_over(site: &mut Site, _: usize) {
    site.rename("next", "logs/a.log");
}

/// Makes the log a link, if it is none yet.
fn make_link(site: &mut Site, _: usize) {
    if !site.home.path("logs/a.log").is_symlink() {
        site.rename("logs/a.log", "logs/a.log-20260228");
        symlink(site.home.path("logs/a.log-20260228"), site.home.path("logs/a.log")).unwrap();
    }
}

fn make_target(site: &mut Site, round: usize) {
    fs::write(target(site, round), "").unwrap();
}

fn point_there(site: &mut Site, round: usize) {
    symlink(target(site, round), site.home.path("link")).unwrap();
    site.rename("link", "logs/a.log");
}

fn target(site: &Site, round: usize) -> PathBuf {
    site.home.path(format!("logs/a.log-2026030{}", 1 + round))
}

fn remove(site: &mut Site, _: usize) {
    fs::remove_file(site.home.path("logs/a.log")).unwrap();
}

/// Runs the daemon through all rotations; kills it before the step of this number, if there is one.
fn run(steps: &[(Step, usize)], key: Option<&Site>, kill: Option<(usize, Back)>) -> Site {
    let mut site = Site::new();
    if let Some(other) = key {
        // The same tokens have the same ids.
        fs::create_dir(site.home.path("state")).unwrap();
        let [from, to] = [other, &site].map(|site| site.home.path("state/seal.key"));
        fs::copy(from, to).unwrap();
    }
    site.append("first", 3);
    site.rename("first", "logs/a.log");
    let mut daemon = Some(site.start());
    site.wait();
    for n in 0..=steps.len() {
        if daemon.is_some() {
            site.wait();
        }
        if let Some((at, back)) = kill {
            if n == at {
                daemon.take().unwrap().kill();
            }
            let is_back = match back {
                Back::AtOnce => n == at,
                Back::AfterNext => n == steps.len().min(at + 1),
                Back::AtEnd => n == steps.len(),
            };
            if is_back {
                daemon = Some(site.start());
                site.wait();
            }
        }
        if let Some((step, round)) = steps.get(n) {
            step(&mut site, *round);
        }
    }
    site.prove(daemon.unwrap());
    assert_eq!(site.sum("gap_bytes"), 0, "{}", site.home.daemon_log());
    site
}

/// What a database holds, however the lines were read: the streams show from which files, the order of mails from which
/// first.
fn contents(database: &Path) -> BTreeMap<String, Vec<String>> {
    let mut all = dump(database);
    all.remove("streams");
    for log in all.get_mut("health").unwrap() {
        // The latest few, in the order in which they were read.
        *log = without(log, &["callers"]);
    }
    all.values_mut().for_each(|rows| rows.sort_unstable());
    all
}

/// Kills the daemon before each step and after the last; it leaves what one leaves that is never killed.
fn torture(steps: &[Step], backs: &[Back]) {
    let steps: Vec<(Step, usize)> =
        (0..n_rounds()).flat_map(|round| steps.iter().map(move |step| (*step, round))).collect();
    let calm = run(&steps, None, None);
    let content = |site: &Site| contents(&site.home.path("state/tokenwatch.db"));
    let expected = content(&calm);
    assert_eq!(expected["tokens"].len() as u64, calm.written());
    let cases: Vec<(usize, Back)> =
        (0..=steps.len()).flat_map(|at| backs.iter().map(move |back| (at, *back))).collect();
    for n in sample(cases.len()).into_iter().step_by(if is_full() { 1 } else { 2 }) {
        let case = cases[n - 1];
        eprintln!("killed before step {} of {}, back {:?}", case.0, steps.len(), case.1);
        let killed = run(&steps, Some(&calm), Some(case));
        let content = content(&killed);
        for (table, rows) in &expected {
            assert_eq!(&content[table], rows, "{case:?}: {table}");
        }
    }
}

const ALL: [Back; 3] = [Back::AtEnd, Back::AfterNext, Back::AtOnce];

#[test]
fn a_kill_at_any_step_of_a_renaming_changes_nothing() {
    torture(&[write, shift_second, shift_first, rename, write], &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_renaming_with_a_late_writer_changes_nothing() {
    torture(&[write, shift_second, shift_first, rename, write_late, write, write_late], &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_renaming_by_date_changes_nothing() {
    torture(&[write, rename_dated, write], &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_rotation_that_compresses_changes_nothing() {
    let at_once = [write, shift_second, shift_first, rename, write, pack_half, pack, remove_packed];
    torture(&at_once, &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_rotation_that_compresses_one_later_changes_nothing() {
    let later = [write, pack_half, pack, remove_packed, shift_second, shift_first, rename, write];
    torture(&later, &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_copy_and_truncation_changes_nothing() {
    let steps = [write, shift_second, shift_first, copy_half, copy_rest, cut, write];
    torture(&steps, &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_replacement_changes_nothing() {
    let steps = [write, make_next, shift_second, shift_first, link_first, rename_over, write];
    torture(&steps, &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_link_pointed_elsewhere_changes_nothing() {
    torture(&[write, make_link, make_target, point_there, write], &ALL);
}

#[test]
fn a_kill_at_any_step_of_a_deletion_changes_nothing() {
    // What is written and deleted while the daemon is away, nobody can read.
    torture(&[write, remove, write], &[Back::AfterNext, Back::AtOnce]);
}

/// What is written to the log before its rotation, and to the next file after it.
type Round = [String; 2];

/// How many alerts of an hour name tokens of the day one by one. Of more, which those are depends on which file is read
/// first.
const MOST_TOLD: u32 = 20;

/// The ways to rotate, in turns.
const WAYS: [&[Step]; 3] =
    [&[rename], &[rename, pack, remove_packed], &[copy_half, copy_rest, cut]];

/// Writes and rotates for the `n`th time, once what was written before `is_read`.
fn rotate(site: &mut Site, n: usize, [before, after]: &Round, is_read: impl Fn(&Site)) {
    site.home.append("logs/a.log", before);
    is_read(site);
    (1..=n).rev().for_each(|number| shift(site, number));
    WAYS[n % WAYS.len()].iter().for_each(|step| step(site, n));
    site.home.append("logs/a.log", after);
}

/// Kills the daemon at ever later system calls of its commits, each time with a rotation that it has not seen; returns
/// what was written in each round, and how often it was killed.
fn kill_behind_rotations(site: &mut Site) -> (Vec<Round>, usize) {
    let (mut rounds, mut n_kills, mut n_leaks) = (Vec::new(), 0, 1);
    for call in [SYNCS, CALLS] {
        for n in sample(if call == SYNCS { 20 } else { 400 }) {
            let mut round = [site.lines(10), site.lines(10)];
            if n_leaks < MOST_TOLD {
                round[1] += &leak(n_leaks);
                n_leaks += 1;
            }
            rotate(site, rounds.len(), &round, |_| {});
            rounds.push(round);
            let wanted = site.written() + u64::from(n_leaks);
            if killed_at(site, call, n, || site.home.committed_lines() >= wanted) {
                n_kills += 1;
            } else if call == SYNCS {
                break;
            }
        }
    }
    (rounds, n_kills)
}

#[test]
fn a_kill_at_any_system_call_of_a_commit_behind_a_rotation_changes_nothing() {
    if !works("48", "strace", &["-o", "/dev/null", "true"]) {
        return;
    }
    let server =
        SmtpServer::start(Options { tls: Encryption::Off, is_down: true, ..Options::default() });
    let mut site = Site::with(&mailing(&server));
    // The leaks are of eight o'clock, all else of midnight: so the other lines come late, whichever file is read first.
    let first = site.lines(1) + &leak(0);
    site.home.append("logs/a.log", &first);
    let daemon = site.start();
    site.wait_with(1);
    daemon.kill();
    let (rounds, n_kills) = kill_behind_rotations(&mut site);
    println!("{} rounds", rounds.len());
    expect_kills(n_kills, 360, 11);
    let n_leaks = u64::from(MOST_TOLD).min(1 + rounds.len() as u64);
    let daemon = site.start();
    site.wait_with(n_leaks);
    for stream in site.streams() {
        assert!(stream["accounted"] == true && stream["gap_bytes"] == 0, "{stream}");
    }
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    // Left alone, in the same place: alerts about a log name its path.
    let [state, killed] = ["state", "killed"].map(|name| site.home.path(name));
    fs::rename(&state, &killed).unwrap();
    fs::rename(site.home.path("logs"), site.home.path("killed/logs")).unwrap();
    fs::create_dir(site.home.path("logs")).unwrap();
    fs::create_dir(&state).unwrap();
    fs::copy(killed.join("seal.key"), state.join("seal.key")).unwrap();
    site.home.append("logs/a.log", &first);
    let daemon = site.start();
    let wait_for = |site: &Site, n_lines: usize| {
        wait_until("they are committed", || site.home.committed_lines() == n_lines as u64);
    };
    let mut n_lines = first.lines().count();
    wait_for(&site, n_lines);
    for (n, round) in rounds.iter().enumerate() {
        let [before, after] = round.each_ref().map(|text| text.lines().count());
        rotate(&mut site, n, round, |site| wait_for(site, n_lines + before));
        n_lines += before + after;
        wait_for(&site, n_lines);
    }
    assert!(daemon.terminate().success(), "{}", site.home.daemon_log());
    let [calm, killed] = [state, killed].map(|state| contents(&state.join("tokenwatch.db")));
    assert_eq!(calm["tokens"].len() as u64, site.written() + n_leaks);
    for (table, rows) in &calm {
        // Words come from commands.
        assert!(!rows.is_empty() || table == "words", "{table}: nothing to compare");
        assert_eq!(&killed[table], rows, "{table}");
    }
}
