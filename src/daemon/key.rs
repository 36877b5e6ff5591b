//! The seal key of a site: read, made at first need, replaced. A kill at any point leaves a whole key, or none where there was none.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::daemon::site::Site;
use crate::engine::secret::SealKey;
use crate::store::{backed_up, private};

/// The seal key's name in the state directory.
const KEY: &str = "seal.key";

/// The one before it.
const OLD_KEY: &str = "seal.key.old";

/// Bytes of a key that is made here; it is kept as twice as many hex digits.
const KEY_BYTES: usize = 32;

/// A longer key file is the wrong file.
const MAX_KEY: usize = 4096;

/// So many bytes of the file are read: enough to see that it is too long.
const MAX_FILE: u64 = 8192;

/// The shortest key, in bytes: half of what SHA-256 returns (FIPS 198, section 3). Whatever stands in fewer, it is not the
/// 128 bits of strength that an id of 128 bits is to have: HMAC is as strong as its key at most (NIST SP 800-107, section 5.3.4),
/// and whoever guesses it from the id of a secret that he knows can test other secrets. RFC 2104, section 3 advises
/// against less than 32; how random a text is, nobody can tell.
const MIN_KEY: usize = 16;

impl Site {
    /// Reads the seal key, or makes one: 0600, in a directory 0700.
    ///
    /// # Errors
    /// It cannot be read or made, or is too short or too long to be one.
    pub fn key(&self) -> anyhow::Result<SealKey> {
        let text = self.key_text()?;
        let key = text.trim_ascii();
        let fault = match key.len() {
            ..MIN_KEY => "short",
            MIN_KEY..=MAX_KEY => return Ok(SealKey::new(key)),
            _ => "long",
        };
        let remedy = if self.database().exists() {
            "make another: `tokenwatch tokens rekey` says what that costs"
        } else {
            "remove it, and another is made"
        };
        let path = self.state.join(KEY);
        anyhow::bail!(
            "the seal key {} is too {fault}, expected {MIN_KEY} to {MAX_KEY} bytes: put the right one back, or {remedy}",
            path.display()
        )
    }

    /// Reads what the key's file holds, or makes a key. A key that is too short is enough for whoever replaces it.
    ///
    /// # Errors
    /// It cannot be read or made.
    pub(super) fn key_text(&self) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
        let path = self.state.join(KEY);
        let doing = || format!("reading the seal key {}", path.display());
        match fs::File::open(&path) {
            Ok(file) => {
                let mut text = zeroize::Zeroizing::new(Vec::new());
                file.take(MAX_FILE).read_to_end(&mut text).with_context(doing)?;
                Ok(text)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                anyhow::ensure!(
                    !self.database().exists() && backed_up(&self.database()).is_none(),
                    "the seal key {} is gone, but the database beside it, or its backup, is not: put the key back \
                     from a backup, or move the database away to start anew",
                    path.display()
                );
                make_key(&self.state, &path).with_context(doing)
            }
            Err(error) => Err(error).with_context(doing),
        }
    }

    /// Removes what a kill left behind while a key was made. For whoever holds the lock.
    ///
    /// # Errors
    /// What the file system says.
    pub fn tidy_keys(&self) -> anyhow::Result<()> {
        remove_drafts(&self.state).with_context(|| format!("tidying {}", self.state.display()))
    }

    /// Puts a new seal key in the place of the one that is there, which is kept beside it. For whoever holds the lock.
    ///
    /// A kill leaves the old key or the new one, and never none.
    ///
    /// # Errors
    /// There is no key, or the file system refuses.
    pub fn rekey(&self) -> anyhow::Result<()> {
        let path = self.state.join(KEY);
        let doing = || format!("replacing the seal key {}", path.display());
        let is_file = fs::symlink_metadata(&path).with_context(doing)?.is_file();
        anyhow::ensure!(
            is_file,
            "the seal key {} is no file: replace what it leads to",
            path.display()
        );
        let replace = || {
            remove_drafts(&self.state)?;
            // Linked under another name first, so that the one before it goes only when this one is there.
            let (old, spare) = (self.state.join(OLD_KEY), self.state.join(format!(".{OLD_KEY}")));
            remove(&spare)?;
            fs::hard_link(&path, &spare)?;
            fs::rename(&spare, &old)?;
            // Two names of one file stay (rename(2)): after a kill in between it is the old one already.
            remove(&spare)?;
            let (draft, _) = draft_key(&self.state)?;
            fs::rename(&draft, &path)?;
            fs::File::open(&self.state)?.sync_all()
        };
        replace().with_context(doing)
    }
}

/// Removes a file that need not be there.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_key(state: &Path, path: &Path) -> std::io::Result<zeroize::Zeroizing<Vec<u8>>> {
    // Written whole under another name, then linked: of two programs that start at once one wins,
    // and nobody ever reads half a key.
    let (draft, text) = draft_key(state)?;
    let linked = fs::hard_link(&draft, path);
    remove(&draft)?;
    match linked {
        // A draft may be gone only once there is a key.
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            fs::read(path).map(Into::into)
        }
        linked => linked.map(|()| text),
    }
}

/// Removes the drafts of keys that a kill left behind: each is a secret that nobody needs. Only where there is a key, so
/// that whoever makes the first one has its own.
fn remove_drafts(state: &Path) -> std::io::Result<()> {
    if !state.join(KEY).exists() {
        return Ok(());
    }
    let start = format!(".{KEY}.");
    for entry in fs::read_dir(state)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(&start));
        if process.is_some_and(|process| process.parse::<u32>().is_ok()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Makes a key under a name of its own.
fn draft_key(state: &Path) -> std::io::Result<(PathBuf, zeroize::Zeroizing<Vec<u8>>)> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(state)?;
    let mut bytes = zeroize::Zeroizing::new([0; KEY_BYTES]);
    fs::File::open("/dev/urandom")?.read_exact(bytes.as_mut())?;
    let mut text = zeroize::Zeroizing::new(Vec::with_capacity(2 * KEY_BYTES + 1));
    for byte in bytes.iter() {
        write!(text, "{byte:02x}")?;
    }
    writeln!(text)?;
    let draft = state.join(format!(".{KEY}.{}", std::process::id()));
    let mut file = private::make_anew(&draft)?;
    file.write_all(&text)?;
    file.sync_all()?;
    Ok((draft, text))
}
