//! Section a, continued: SIGKILL before, between and after the file operations of each kind of rotation.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::dump::dump;
use crate::site::{Site, append, is_full, sample, truncate};

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

/// Kills the daemon before each step and after the last; it leaves what one leaves that is never killed.
fn torture(steps: &[Step], backs: &[Back]) {
    let steps: Vec<(Step, usize)> =
        (0..n_rounds()).flat_map(|round| steps.iter().map(move |step| (*step, round))).collect();
    let calm = run(&steps, None, None);
    let content = |site: &Site| {
        let mut content = dump(&site.home.path("state/tokenwatch.db"));
        // Which streams there are shows how it was read.
        content.remove("streams");
        content
    };
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
