//! Locks between processes: freed by the kernel when their holder dies.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::file::{failed, make_parent};
use crate::store::{Access, Error, Held, Patience};

/// First pause between two tries; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// When the user is told that we wait.
const SILENT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct FileLock {
    _file: File,
}

impl Held for FileLock {}

/// Waits until the lock on `path` is ours.
pub(super) fn wait(
    path: &Path,
    what: &'static str,
    access: Access,
    patience: &Patience<'_>,
) -> Result<Box<dyn Held>, Error> {
    make_parent(path)?;
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut silent = true;
    loop {
        if let Some(file) = try_once(path, access)? {
            return Ok(Box::new(FileLock { _file: file }));
        }
        if silent && begun.elapsed() >= SILENT_WAIT {
            (patience.on_wait)();
            silent = false;
        }
        if begun.elapsed() >= patience.limit {
            return Err(Error::Busy { what, waited: patience.limit });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn try_once(path: &Path, access: Access) -> Result<Option<File>, Error> {
    let file = open(path)?;
    let locked = match access {
        Access::Shared => file.try_lock_shared(),
        Access::Exclusive => file.try_lock(),
    };
    match locked {
        // Somebody may have deleted the file between our opening and locking it; then others
        // lock another file, and our lock protects nothing.
        Ok(()) if is_still_there(path, &file) => Ok(Some(file)),
        Ok(()) | Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(source)) => Err(failed("lock", path)(source)),
    }
}

fn open(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.mode(0o600).custom_flags(flags.bits() as i32);
    }
    options.open(path).map_err(failed("open the lock file", path))
}

#[cfg(unix)]
fn is_still_there(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;

    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    match (std::fs::metadata(path).map(identity), file.metadata().map(identity)) {
        (Ok(named), Ok(held)) => named == held,
        _ => false,
    }
}

/// Windows does not let an open file be deleted under its name.
#[cfg(not(unix))]
fn is_still_there(_: &Path, _: &File) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn at_once() -> Patience<'static> {
        Patience { limit: Duration::ZERO, on_wait: &|| {} }
    }

    fn lock_file() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("locks/vault.lock");
        (home, path)
    }

    #[test]
    fn an_exclusive_lock_keeps_everybody_out_until_it_is_dropped() {
        let (_home, path) = lock_file();
        let held = wait(&path, "it", Access::Exclusive, &at_once()).unwrap();

        for access in [Access::Shared, Access::Exclusive] {
            assert!(matches!(wait(&path, "it", access, &at_once()), Err(Error::Busy { .. })));
        }
        drop(held);

        assert!(wait(&path, "it", Access::Exclusive, &at_once()).is_ok());
    }

    #[test]
    fn shared_locks_live_together() {
        let (_home, path) = lock_file();
        let _first = wait(&path, "it", Access::Shared, &at_once()).unwrap();

        assert!(wait(&path, "it", Access::Shared, &at_once()).is_ok());
        assert!(wait(&path, "it", Access::Exclusive, &at_once()).is_err());
    }

    #[test]
    fn a_lock_on_a_deleted_file_does_not_count() {
        let (_home, path) = lock_file();
        make_parent(&path).unwrap();
        let file = open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();

        assert!(!is_still_there(&path, &file));
    }
}
