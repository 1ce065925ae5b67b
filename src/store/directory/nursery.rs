//! A whole vault in the making, in a directory beside its place.
//!
//! `.NAME.restoring` becomes `NAME` by one rename. Until then nothing stands in the place of the vault,
//! and whatever a killed process has left there is taken away by the next one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::file::{Files, failed};
use super::{CLIENTS, Directory, LOCKS, PROBE_LIMIT, PROFILES};
use crate::store::{Access, Error, Held, Name, Nursery, Patience};

/// What a vault directory without a vault may hold: what a vault that never came to be has left.
const PROBE: &str = ".probe";

/// The manifest, in every vault directory.
const MANIFEST: &str = "vault.json";

/// The directory beside the place.
struct Beside {
    made: Directory,
    target: PathBuf,
    is_published: bool,
    _lock: Box<dyn Held>,
}

impl Directory {
    /// Begins a vault in an empty place.
    pub(super) fn begin_beside(&self) -> Result<Box<dyn Nursery>, Error> {
        self.check()?;
        let target = self.files.canonical(&self.places.vault);
        check_empty(&self.files, &target)?;
        let mut made = self.clone();
        made.places.vault = staging(&target);
        made.check_own()?;
        let lock = made.lock_all()?;
        // The folder above may be open to others, who can have been quicker.
        made.check_own()?;
        made.sweep()?;
        Ok(Box::new(Beside { made, target, is_published: false, _lock: lock }))
    }

    /// Refuses a link in the place beside: what is swept must not be a vault that stands elsewhere.
    fn check_own(&self) -> Result<(), Error> {
        let vault = &self.places.vault;
        if self.files.canonical(vault) != *vault {
            return Err(Error::NotADocument { path: vault.clone(), why: "is a symbolic link" });
        }
        self.check()
    }

    fn lock_all(&self) -> Result<Box<dyn Held>, Error> {
        let patience = Patience { limit: PROBE_LIMIT, on_wait: &|| {}, is_over: &|| false };
        let lock = self.places.vault.join(LOCKS).join("vault.lock");
        self.wait(&lock, "the place of the vault", Access::Exclusive, &patience)
    }

    /// Removes every file but the locks.
    fn sweep(&self) -> Result<(), Error> {
        let vault = &self.places.vault;
        for folder in [CLIENTS, PROFILES].map(|folder| vault.join(folder)) {
            for file in self.files.list(&folder)? {
                self.files.remove(&folder.join(file))?;
            }
        }
        self.files.remove(&vault.join(MANIFEST))
    }

    /// Removes the directory with its locks; nobody can wait for them without finding an empty place.
    fn clear_away(&self) -> Result<(), Error> {
        let vault = &self.places.vault;
        self.files.remove(&vault.join(PROBE))?;
        for folder in [CLIENTS, PROFILES, LOCKS].map(|folder| vault.join(folder)) {
            for file in self.files.list(&folder)? {
                self.files.remove(&folder.join(file))?;
            }
            self.files.remove_directory(&folder)?;
        }
        self.files.remove_directory(vault)
    }
}

impl Nursery for Beside {
    fn put(&mut self, name: &Name, bytes: &[u8]) -> Result<(), Error> {
        self.made.files.add(&self.made.path(name), bytes)
    }

    fn publish(mut self: Box<Self>) -> Result<(), Error> {
        let files = &self.made.files;
        let staging = &self.made.places.vault;
        for entry in [
            staging.join(MANIFEST),
            staging.join(CLIENTS).join(MANIFEST),
            staging.join(PROFILES).join(MANIFEST),
        ] {
            files.sync_directory_if_there(&entry)?;
        }
        self.make_way()?;
        self.made.files.rename(staging, &self.target)?;
        self.is_published = true;
        Ok(())
    }
}

impl Beside {
    /// Takes away what a vault that never came to be has left in the place.
    fn make_way(&self) -> Result<(), Error> {
        let files = &self.made.files;
        if files.list(&self.target)?.is_empty() {
            return files.remove_directory(&self.target);
        }
        let mut there = self.made.clone();
        there.places.vault.clone_from(&self.target);
        // Whoever makes a vault there at this moment has this lock.
        let _lock = there.lock_all()?;
        check_empty(files, &self.target)?;
        there.clear_away()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        if self.is_published {
            return;
        }
        if let Err(error) = self.made.sweep().and_then(|()| self.made.clear_away()) {
            log::warn!("what was restored in part is left: {error}");
        }
    }
}

fn staging(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.restoring"))
}

/// Refuses a place where anything stands that a vault consists of, or that is somebody else's.
fn check_empty(files: &Files, target: &Path) -> Result<(), Error> {
    for name in files.list(target)? {
        let is_nothing = match name.to_str() {
            Some(PROBE) => true,
            Some(LOCKS) => files.list(&target.join(LOCKS))?.iter().all(is_lock),
            Some(folder @ (CLIENTS | PROFILES)) => files.list(&target.join(folder))?.is_empty(),
            _ => false,
        };
        if !is_nothing {
            return Err(Error::Occupied { path: target.to_owned() });
        }
    }
    Ok(())
}

fn is_lock(file: &OsString) -> bool {
    Path::new(file).extension().is_some_and(|end| end == "lock")
}

impl Files {
    /// A new file, durable but for its entry in the directory.
    fn add(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        self.make_parent(path)?;
        let mut file = self.create(path)?;
        file.write(bytes).map_err(failed("write", path))?;
        file.sync().map_err(failed("sync", path))?;
        self.check_written(path, bytes)
    }
}
