//! A file in a place that a person named: whole or not there, and never in the place of another.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Why no new file was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NewFileError {
    /// Something stands there.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// Another process writes the same file.
    #[error("another process is writing {}", .0.display())]
    Busy(PathBuf),
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> NewFileError {
    let path = path.to_owned();
    move |source| NewFileError::Io { action, path, source }
}

/// Refuses a place where something stands, a broken link too.
///
/// # Errors
///
/// [`NewFileError::Exists`] if something does.
pub fn check_free(path: &Path) -> Result<(), NewFileError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(NewFileError::Exists(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed("look at", path)(source)),
    }
}

/// Makes a private file with these bytes, durably. After a crash it is there as a whole, or not at all;
/// beside it, `.NAME.vault-part` may be left, which the next call for the same file takes away.
///
/// # Errors
///
/// [`NewFileError::Exists`] if something stands there, else as the file system says.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), NewFileError> {
    let mut file = NewFile::begin(path, Overwrite::Never)?;
    file.write(bytes)?;
    file.finish()
}

/// Whether a new file may take the place of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overwrite {
    /// Whatever stands there stays.
    Never,
    /// Another file may be replaced, as a whole.
    Allowed,
}

/// A private file that comes into being piece by piece, as [`write_new`] makes it at once: it gets its name
/// when it is finished. One that is dropped before is gone.
#[derive(Debug)]
pub struct NewFile {
    /// Open, and so ours, until it has its name.
    file: File,
    part: PathBuf,
    path: PathBuf,
    overwrite: Overwrite,
    /// Whether it has its name. Under the other one, another process may have begun by then.
    is_named: bool,
}

impl NewFile {
    /// Begins a file that will stand at `path`.
    ///
    /// # Errors
    ///
    /// [`NewFileError::Exists`] if something stands there that may not be replaced, else as the file system
    /// says.
    pub fn begin(path: &Path, overwrite: Overwrite) -> Result<Self, NewFileError> {
        if overwrite == Overwrite::Never {
            check_free(path)?;
        }
        let part = part_of(path);
        Ok(Self { file: own(&part)?, part, path: path.to_owned(), overwrite, is_named: false })
    }

    /// Adds `bytes`.
    ///
    /// # Errors
    ///
    /// As the file system says.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), NewFileError> {
        self.file.write_all(bytes).map_err(failed("write", &self.part))
    }

    /// Where it is until it has its name.
    pub(super) fn part(&self) -> &Path {
        &self.part
    }

    /// Gives the file its name, durably.
    ///
    /// # Errors
    ///
    /// As [`Self::begin`].
    pub fn finish(mut self) -> Result<(), NewFileError> {
        self.file.sync_all().map_err(failed("sync", &self.part))?;
        match self.overwrite {
            Overwrite::Never => publish(&self.part, &self.path)?,
            Overwrite::Allowed => {
                fs::rename(&self.part, &self.path).map_err(failed("replace", &self.path))?;
            }
        }
        self.is_named = true;
        sync_directory_of(&self.path).inspect_err(|_| match self.overwrite {
            Overwrite::Never => take_back(&self.path),
            Overwrite::Allowed => {}
        })
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.is_named {
            let _ = fs::remove_file(&self.part);
        }
    }
}

/// Removes a file that was just made, and turned out to be no good.
pub fn take_back(path: &Path) {
    if let Err(error) = fs::remove_file(path) {
        log::warn!("{} could not be removed: {error}", path.display());
    }
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".vault-part");
    path.with_file_name(name)
}

/// A new file that is locked. One that a killed process has left is taken away.
fn own(part: &Path) -> Result<File, NewFileError> {
    let file = match create(part) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let left = open_left(part).map_err(failed("open", part))?;
            lock(&left, part)?;
            fs::remove_file(part).map_err(failed("remove", part))?;
            create(part).map_err(failed("create", part))?
        }
        created => created.map_err(failed("create", part))?,
    };
    lock(&file, part)?;
    Ok(file)
}

/// The folder may be open to others: what they put there is neither followed nor waited for.
fn open_left(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    {
        use rustix::fs::OFlags;
        use std::os::unix::fs::OpenOptionsExt;

        options.custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed());
    }
    options.open(path)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn lock(file: &File, path: &Path) -> Result<(), NewFileError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(NewFileError::Busy(path.to_owned())),
        // A file system without locks: two writers of one file are none of its usual troubles.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Gives the file its name, if nothing has it.
fn publish(part: &Path, path: &Path) -> Result<(), NewFileError> {
    let published = rename_to_new(part, path).or_else(|error| match error.kind() {
        ErrorKind::AlreadyExists | ErrorKind::StorageFull | ErrorKind::PermissionDenied => Err(error),
        // Not every file system can do that, or knows of links.
        _ => fs::hard_link(part, path).and_then(|()| fs::remove_file(part)),
    });
    published.map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => NewFileError::Exists(path.to_owned()),
        _ => failed("create", path)(error),
    })
}

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn rename_to_new(part: &Path, path: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};

    Ok(renameat_with(CWD, part, CWD, path, RenameFlags::NOREPLACE)?)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn rename_to_new(_: &Path, _: &Path) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn sync_directory_of(path: &Path) -> Result<(), NewFileError> {
    // A name alone stands in the current directory.
    let directory = path.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|file| file.sync_all()).map_err(failed("sync", directory))
}

/// Windows writes directory entries through by itself.
#[cfg(not(unix))]
fn sync_directory_of(_: &Path) -> Result<(), NewFileError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_is_private_and_never_takes_the_place_of_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");

        write_new(&path, b"first").unwrap();
        let again = write_new(&path, b"second");

        assert!(matches!(again, Err(NewFileError::Exists(_))));
        assert_eq!(fs::read(&path).unwrap(), b"first");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_file_that_is_not_finished_leaves_nothing_and_one_that_may_replaces_another_as_a_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        fs::write(&path, b"old").unwrap();

        let mut given_up = NewFile::begin(&path, Overwrite::Allowed).unwrap();
        given_up.write(b"half").unwrap();
        drop(given_up);
        assert_eq!(fs::read(&path).unwrap(), b"old");
        let mut file = NewFile::begin(&path, Overwrite::Allowed).unwrap();
        file.write(b"ne").unwrap();
        file.write(b"w").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"old");
        file.finish().unwrap();

        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_appears_at_the_last_moment_is_not_replaced_either() {
        let dir = tempfile::tempdir().unwrap();
        let (part, path) = (dir.path().join("part"), dir.path().join("new"));
        for file in [&part, &path] {
            create(file).unwrap();
        }

        assert!(matches!(publish(&part, &path), Err(NewFileError::Exists(_))));
    }

    #[test]
    fn what_a_killed_process_has_left_is_taken_away_and_what_a_living_one_writes_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new");
        let living = own(&part_of(&path)).unwrap();

        assert!(matches!(write_new(&path, b"bytes"), Err(NewFileError::Busy(_))));
        drop(living);
        write_new(&path, b"bytes").unwrap();

        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_others_put_in_the_way_is_neither_followed_nor_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};

        let dir = tempfile::tempdir().unwrap();
        let (path, precious) = (dir.path().join("new"), dir.path().join("precious"));
        fs::write(&precious, b"precious").unwrap();
        std::os::unix::fs::symlink(&precious, part_of(&path)).unwrap();
        assert!(matches!(write_new(&path, b"bytes"), Err(NewFileError::Io { action: "open", .. })));
        fs::remove_file(part_of(&path)).unwrap();
        mknodat(CWD, part_of(&path), FileType::Fifo, Mode::RWXU, 0).unwrap();
        assert!(matches!(write_new(&path, b"bytes"), Err(NewFileError::Io { action: "open", .. })));

        assert!(!path.exists());
        assert_eq!(fs::read(&precious).unwrap(), b"precious");
    }
}
