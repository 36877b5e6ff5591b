//! One log: writes lines to a file and rotates it in the log's way. Nothing is deleted before it was read.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::plan::Way;

/// How long a writer goes on in the old file.
const LATE: Duration = Duration::from_secs(3);

/// How long a rotated file is kept, and then until it was read.
const KEPT: Duration = Duration::from_secs(90);

/// A log that is written and rotated.
pub(crate) struct Log {
    way: Way,
    /// The watched name.
    path: PathBuf,
    /// Where new files are made before they are renamed; not watched.
    workshop: PathBuf,
    file: File,
    /// The beginning of a line whose end is still to be written.
    torn: Vec<u8>,
    late: Option<(File, Instant)>,
    /// Rotated files, youngest first, and when they were rotated. Of numbered ones the place is the number.
    rotated: Vec<(PathBuf, Instant)>,
}

impl Log {
    /// Creates the log in the folder `logs` of a home.
    pub(crate) fn create(home: &Path, number: usize, way: Way) -> io::Result<Self> {
        let path = home.join(format!("logs/site-{}.log", letters(number)));
        let workshop = home.join(format!("workshop/{}", letters(number)));
        let file = if way == Way::Link { new_target(&path, &workshop)?.0 } else { open(&path)? };
        Ok(Self { way, path, workshop, file, torn: Vec::new(), late: None, rotated: Vec::new() })
    }

    /// Writes whole lines, of which the last may be left without its end until the next call.
    pub(crate) fn write(&mut self, lines: &[u8], n_torn: usize, now: Instant) -> io::Result<()> {
        if self.late.as_ref().is_some_and(|(_, until)| *until < now) {
            self.late = None;
        }
        if let Some((old, _)) = &mut self.late {
            // Two writers at a time: the first half goes to the old file.
            let middle = lines.len() / 2;
            let end = lines[middle..].iter().position(|byte| *byte == b'\n');
            let (to_old, to_new) = lines.split_at(end.map_or(lines.len(), |end| middle + end + 1));
            old.write_all(to_old)?;
            return self.file.write_all(to_new);
        }
        let mut bytes = std::mem::take(&mut self.torn);
        bytes.extend_from_slice(lines);
        let whole = bytes.len().saturating_sub(n_torn);
        self.torn = bytes.split_off(whole);
        self.file.write_all(&bytes)
    }

    /// Writes the end of the last line.
    pub(crate) fn finish(&mut self) -> io::Result<()> {
        self.file.write_all(&std::mem::take(&mut self.torn))
    }

    /// Rotates. False if that cannot be now.
    pub(crate) fn rotate(&mut self, now: Instant) -> io::Result<bool> {
        self.finish()?;
        let done = match self.way {
            Way::Create => self.rename(),
            Way::Late => {
                let old = self.file.try_clone()?;
                self.late = Some((old, now + LATE));
                self.rename()
            }
            Way::DelayCompress => {
                self.compress()?;
                self.rename()
            }
            Way::Dated => self.rename_dated(),
            Way::CopyTruncate => self.copy_and_cut(),
            Way::Over => self.rename_over(),
            Way::Link => self.point_elsewhere(),
        };
        let Some(path) = done? else { return Ok(false) };
        self.rotated.insert(0, (path, now));
        Ok(true)
    }

    /// Removes rotated files of old.
    pub(crate) fn prune(&mut self, now: Instant) -> io::Result<()> {
        while self.rotated.last().is_some_and(|(_, at)| KEPT < now - *at) {
            if let Some((path, _)) = self.rotated.pop() {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Makes room for the name `.1`, oldest first, as logrotate does.
    fn shift(&mut self) -> io::Result<PathBuf> {
        for (place, (path, _)) in self.rotated.iter_mut().enumerate().rev() {
            let is_compressed = path.extension().is_some_and(|ending| ending == "gz");
            let to = numbered(&self.path, place + 2, if is_compressed { ".gz" } else { "" });
            fs::rename(&path, &to)?;
            *path = to;
        }
        Ok(numbered(&self.path, 1, ""))
    }

    fn rename(&mut self) -> io::Result<Option<PathBuf>> {
        let to = self.shift()?;
        fs::rename(&self.path, &to)?;
        self.file = open(&self.path)?;
        Ok(Some(to))
    }

    /// Compresses what the last rotation left; the copy keeps the time, as logrotate has it.
    fn compress(&mut self) -> io::Result<()> {
        let Some((path, _)) = self.rotated.first_mut() else { return Ok(()) };
        let to = numbered(&self.path, 1, ".gz");
        let mut from = File::open(&path)?;
        let mut encoder = GzEncoder::new(File::create(&to)?, Compression::fast());
        io::copy(&mut from, &mut encoder)?;
        encoder.finish()?.set_modified(from.metadata()?.modified()?)?;
        fs::remove_file(&path)?;
        *path = to;
        Ok(())
    }

    fn rename_dated(&mut self) -> io::Result<Option<PathBuf>> {
        let to = dated(&self.path);
        if to.exists() {
            return Ok(None);
        }
        fs::rename(&self.path, &to)?;
        self.file = open(&self.path)?;
        Ok(Some(to))
    }

    fn copy_and_cut(&mut self) -> io::Result<Option<PathBuf>> {
        let to = self.shift()?;
        fs::copy(&self.path, &to)?;
        self.file.set_len(0)?;
        Ok(Some(to))
    }

    fn rename_over(&mut self) -> io::Result<Option<PathBuf>> {
        let to = self.shift()?;
        let file = open(&self.workshop)?;
        fs::hard_link(&self.path, &to)?;
        fs::rename(&self.workshop, &self.path)?;
        self.file = file;
        Ok(Some(to))
    }

    fn point_elsewhere(&mut self) -> io::Result<Option<PathBuf>> {
        if dated(&self.path).exists() {
            return Ok(None);
        }
        let old = fs::canonicalize(&self.path)?;
        self.file = new_target(&self.path, &self.workshop)?.0;
        Ok(Some(old))
    }
}

/// Makes a file with the time in its name, and points the link to it as `ln -sfn` does.
fn new_target(link: &Path, workshop: &Path) -> io::Result<(File, PathBuf)> {
    let target = dated(link);
    let file = open(&target)?;
    symlink(&target, workshop)?;
    fs::rename(workshop, link)?;
    Ok((file, target))
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

fn numbered(log: &Path, number: usize, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}.{number}{ending}", log.display()))
}

fn dated(log: &Path) -> PathBuf {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    PathBuf::from(format!("{}-{}", log.display(), since.as_secs()))
}

/// A number in letters, since digits in a name tell of rotation.
fn letters(number: usize) -> String {
    let letter = |n: usize| char::from(b"abcdefghijklmnopqrstuvwxyz"[n % 26]);
    [letter(number / 26), letter(number)].iter().collect()
}
