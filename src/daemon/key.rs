//! The seal key of a site: read, created at first need, replaced. A kill at any point leaves a whole key, or none if
//! there was none.

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

/// The name of the previous key.
const OLD_KEY: &str = "seal.key.old";

/// Bytes of a new key; stored as twice as many hex digits.
const KEY_BYTES: usize = 32;

/// The longest key, in bytes; a longer file is the wrong file.
const MAX_KEY: usize = 4096;

/// Bytes of the file that are read: enough to see that it is too long.
const MAX_FILE: u64 = 8192;

/// The shortest key, in bytes: half the output of SHA-256 (FIPS 198, section 3). A shorter one cannot have the 128 bits
/// of strength that an id of 128 bits needs: HMAC is at most as strong as its key (NIST SP 800-107, section 5.3.4), and
/// whoever guesses the key from the id of a known secret can test other secrets. RFC 2104, section 3 advises against
/// less than 32; the randomness of a text cannot be measured.
const MIN_KEY: usize = 16;

impl Site {
    /// Returns the path of the seal key.
    pub(super) fn key_path(&self) -> PathBuf {
        self.state.join(KEY)
    }

    /// Reads the seal key, or creates one with mode 0600, in a directory of mode 0700.
    ///
    /// # Errors
    /// It cannot be read or created, or is too short or too long.
    pub fn key(&self) -> anyhow::Result<SealKey> {
        let text = self.key_text()?;
        let key = text.trim_ascii();
        let fault = match key.len() {
            ..MIN_KEY => "short",
            MIN_KEY..=MAX_KEY => return Ok(SealKey::new(key)),
            _ => "long",
        };
        let remedy = if self.database().exists() {
            "replace it: `tokenwatch tokens rekey` shows what that costs"
        } else {
            "remove it, and a new one is created"
        };
        let path = self.key_path();
        anyhow::bail!(
            "the seal key {} is too {fault}, expected {MIN_KEY} to {MAX_KEY} bytes: put the right one back, or {remedy}",
            path.display()
        )
    }

    /// Reads the seal key, if there is one: for commands that only look.
    ///
    /// # Errors
    /// It cannot be read, or is too short or too long.
    pub fn key_if_any(&self) -> anyhow::Result<Option<SealKey>> {
        match fs::symlink_metadata(self.key_path()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => self.key().map(Some),
        }
    }

    /// Reads the text of the key file, or creates a key. Does not check its length: a short key can still be replaced.
    ///
    /// # Errors
    /// It cannot be read or created.
    pub(super) fn key_text(&self) -> anyhow::Result<zeroize::Zeroizing<Vec<u8>>> {
        let path = self.key_path();
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
                    "the seal key {} is missing, but the database beside it, or its backup, is not: restore the key \
                     from a backup, or move the database away to start over",
                    path.display()
                );
                make_key(&self.state, &path).with_context(doing)
            }
            Err(error) => Err(error).with_context(doing),
        }
    }

    /// Removes what a kill left behind while a key was created. The caller holds the lock.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn tidy_keys(&self) -> anyhow::Result<()> {
        remove_drafts(&self.state).with_context(|| format!("tidying {}", self.state.display()))
    }

    /// Replaces the seal key; the old one is kept beside it. The caller holds the lock.
    ///
    /// A kill leaves the old key or the new one, never none.
    ///
    /// # Errors
    /// There is no key, or the file system refuses.
    pub fn rekey(&self) -> anyhow::Result<()> {
        let path = self.key_path();
        let doing = || format!("replacing the seal key {}", path.display());
        let is_file = fs::symlink_metadata(&path).with_context(doing)?.is_file();
        anyhow::ensure!(
            is_file,
            "the seal key {} is not a file: replace the file that it leads to",
            path.display()
        );
        let replace = || {
            remove_drafts(&self.state)?;
            // Linked under another name first, so that the previous old key goes only when this one is in place.
            let (old, spare) = (self.state.join(OLD_KEY), self.state.join(format!(".{OLD_KEY}")));
            remove(&spare)?;
            fs::hard_link(&path, &spare)?;
            fs::rename(&spare, &old)?;
            // rename(2) keeps both names of one file: after a kill in between, the old key has this name already.
            remove(&spare)?;
            let (draft, _) = draft_key(&self.state)?;
            fs::rename(&draft, &path)?;
            fs::File::open(&self.state)?.sync_all()
        };
        replace().with_context(doing)
    }
}

/// Removes a file if it exists.
fn remove(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make_key(state: &Path, path: &Path) -> std::io::Result<zeroize::Zeroizing<Vec<u8>>> {
    // Written completely under another name, then linked: of two programs that start at once one wins, and nobody reads
    // half a key.
    let (draft, text) = draft_key(state)?;
    let linked = fs::hard_link(&draft, path);
    remove(&draft)?;
    match linked {
        // A draft can be gone only once there is a key.
        Err(error) if matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            fs::read(path).map(Into::into)
        }
        linked => linked.map(|()| text),
    }
}

/// Removes the drafts of keys that a kill left behind: each is an unused secret. Only if there is a key, so that a
/// program that is creating the first one keeps its draft.
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

/// Writes a new key under a temporary name.
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
