//! The registries that a replay imports before it reads logs.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use crate::cli::args::Replay as Options;
use crate::cli::registering::taken_back;
use crate::cli::registry::{RegistryFile, read_registry};
use crate::cli::{print, state};
use crate::clock::now;
use crate::daemon::site::Site;
use crate::engine::registry::Changes;
use crate::engine::secret::SealKey;
use crate::store::Store;

/// The registry of a replayed directory, read by default unless the results are saved.
pub(super) const REGISTRY: &str = "registry.csv";

/// Reads the registry of the command line, else those of the replayed directories, and reports which on standard error.
/// A saved registry comes from the command line alone: whoever may write logs could undo a revocation.
pub(super) fn read(
    options: &Options,
    site: &Site,
    key: &SealKey,
) -> anyhow::Result<Vec<RegistryFile>> {
    let mut paths = Vec::new();
    match &options.registry {
        Some(named) => paths.push(named.clone()),
        None => options.paths.iter().for_each(|path| find(path, &mut paths)),
    }
    let is_ignored = options.save && options.registry.is_none();
    let mut files = Vec::new();
    for path in paths {
        let name = print::safe(path.to_string_lossy());
        if is_ignored {
            say(format_args!("{name}: not imported: with --save, name it with --registry"));
        } else {
            files.push(read_registry(&path, key)?);
        }
    }
    if options.save {
        files.iter().try_for_each(|file| file.expect_valid(|| state::registry(site)))?;
    }
    Ok(files)
}

/// Reports something about a registry on standard error.
fn say(about: impl Display) {
    print::say(format_args!("registry: {about}"));
}

/// Imports registries, and reports which, and which marks they took back. One may name the tokens of another, so those
/// that cannot be understood yet are tried again after the others.
pub(super) fn import(
    mut files: Vec<RegistryFile>,
    store: &mut Store,
    options: &Options,
) -> anyhow::Result<()> {
    while !files.is_empty() {
        let (n_files, known) = (files.len(), store.registry()?);
        let (mut later, mut fault) = (Vec::new(), None);
        for file in files {
            match file.meant(&known) {
                Ok(rows) => import_one(&file, &rows, store, options)?,
                Err(bad) => {
                    fault = fault.or(Some(bad));
                    later.push(file);
                }
            }
        }
        if let Some(bad) = fault.filter(|_| later.len() == n_files) {
            return Err(bad.into());
        }
        files = later;
    }
    Ok(())
}

fn import_one(
    file: &RegistryFile,
    rows: &[Changes],
    store: &mut Store,
    options: &Options,
) -> anyhow::Result<()> {
    let changed = store.import(rows, "", now())?;
    let (name, n_rows) = (print::safe(file.path().to_string_lossy()), file.n_rows() as u64);
    let what = if options.save { "imported" } else { "for this run" };
    say(format_args!("{name}: {} {what}", print::counted(n_rows, "row")));
    changed.iter().filter_map(taken_back).for_each(say);
    Ok(())
}

fn find(directory: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() && !path.is_symlink() {
            find(&path, files);
        } else if path.file_name().is_some_and(|name| name == REGISTRY) {
            files.push(path);
        }
    }
}
