//! Locks between processes: freed by the kernel when their holder dies.

use std::path::Path;
use std::time::Duration;

use super::file::{Files, failed};
use crate::store::{Access, Error, Held, Patience};
use crate::system::{Clock, OpenFile};

/// First pause between two tries; it doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// When the user is told that we wait.
const SILENT_WAIT: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct FileLock {
    _file: Box<dyn OpenFile>,
}

impl Held for FileLock {}

/// Waits until the lock on `path` is ours.
pub(super) fn wait(
    files: &Files,
    clock: &dyn Clock,
    path: &Path,
    what: &'static str,
    access: Access,
    patience: &Patience<'_>,
) -> Result<Box<dyn Held>, Error> {
    files.make_parent(path)?;
    let begun = clock.instant();
    let mut pause = FIRST_PAUSE;
    let mut silent = true;
    loop {
        if let Some(file) = try_once(files, path, access)? {
            return Ok(Box::new(FileLock { _file: file }));
        }
        let waited = clock.instant().duration_since(begun);
        if silent && waited >= SILENT_WAIT {
            (patience.on_wait)();
            silent = false;
        }
        if waited >= patience.limit || (patience.is_over)() {
            return Err(Error::Busy { what, waited: waited.min(patience.limit) });
        }
        clock.sleep(pause);
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn try_once(files: &Files, path: &Path, access: Access) -> Result<Option<Box<dyn OpenFile>>, Error> {
    let mut file = files.open_lock(path)?;
    let is_ours = file.try_lock(access == Access::Exclusive).map_err(failed("lock", path))?;
    // Somebody may have deleted the file between our opening and locking it; then others lock another
    // file, and our lock protects nothing.
    Ok((is_ours && files.is_still_there(path, &*file)).then_some(file))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use super::*;
    use crate::system::{SystemClock, SystemDisk};

    fn files() -> Files {
        Files::new(Arc::new(SystemDisk))
    }

    fn try_lock(path: &Path, access: Access) -> Result<Box<dyn Held>, Error> {
        wait(&files(), &SystemClock, path, "it", access, &at_once())
    }

    fn at_once() -> Patience<'static> {
        Patience { limit: Duration::ZERO, on_wait: &|| {}, is_over: &|| false }
    }

    fn lock_file() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("locks/vault.lock");
        (home, path)
    }

    #[test]
    fn an_exclusive_lock_keeps_everybody_out_until_it_is_dropped() {
        let (_home, path) = lock_file();
        let held = try_lock(&path, Access::Exclusive).unwrap();

        for access in [Access::Shared, Access::Exclusive] {
            assert!(matches!(try_lock(&path, access), Err(Error::Busy { .. })));
        }
        drop(held);

        assert!(try_lock(&path, Access::Exclusive).is_ok());
    }

    #[test]
    fn shared_locks_live_together() {
        let (_home, path) = lock_file();
        let _first = try_lock(&path, Access::Shared).unwrap();

        assert!(try_lock(&path, Access::Shared).is_ok());
        assert!(try_lock(&path, Access::Exclusive).is_err());
    }

    #[test]
    fn a_lock_on_a_deleted_file_does_not_count() {
        let (_home, path) = lock_file();
        files().make_parent(&path).unwrap();
        let file = files().open_lock(&path).unwrap();
        std::fs::remove_file(&path).unwrap();

        assert!(!files().is_still_there(&path, &*file));
    }
}
