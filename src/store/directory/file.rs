//! Files that are private from the moment they exist, and replaced as a whole.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::store::Error;

/// Longest file that is read: that of a document (1 MiB) plus the room of a reservation.
const MAX_SIZE: u64 = 2 * 1024 * 1024;

/// Whether a file must outlive a power loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Written through to the disk before the call returns.
    Durable,
    /// May be lost with the power; it can be had again.
    Cached,
}

/// Turns an I/O error into ours.
pub(super) fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { action, path, source }
}

/// `path` with `suffix` after its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Refuses to make root's directories in a place of somebody else, where that user could change them,
/// and could not use them.
#[cfg(unix)]
fn check_place_of_new(directory: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;

    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let nearest = directory.ancestors().skip(1).find_map(|path| Some((path, fs::metadata(path).ok()?)));
    match nearest {
        Some((path, metadata)) if metadata.uid() != 0 => {
            Err(Error::Unsafe { path: path.to_owned(), why: "belongs to another user" })
        }
        _ => Ok(()),
    }
}

#[cfg(not(unix))]
fn check_place_of_new(_: &Path) -> Result<(), Error> {
    Ok(())
}

/// Refuses a directory that another user owns or can write to. A missing one is fine.
#[cfg(unix)]
pub(super) fn check_directory(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::MetadataExt;

    let unsafe_because = |why| Err(Error::Unsafe { path: path.to_owned(), why });
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(failed("look at", path)(source)),
    };
    if !metadata.is_dir() {
        return unsafe_because("is not a directory");
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return unsafe_because("belongs to another user");
    }
    if metadata.mode() & 0o022 != 0 {
        return unsafe_because("can be written to by other users");
    }
    Ok(())
}

/// Refuses what is no directory; Windows keeps profiles private by itself.
#[cfg(not(unix))]
pub(super) fn check_directory(path: &Path) -> Result<(), Error> {
    if path.exists() && !path.is_dir() {
        return Err(Error::Unsafe { path: path.to_owned(), why: "is not a directory" });
    }
    Ok(())
}

/// The whole file, if there is one.
///
/// Links are not followed, and anything but a plain file of ours is refused without waiting on it.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let mut options = OpenOptions::new();
    options.read(true);
    // NONBLOCK, so that a FIFO that was put there does not hold us up.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, NOFOLLOW | NONBLOCK);
    let file = match options.open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if is_link(&error) => {
            return Err(Error::NotADocument { path: path.to_owned(), why: "is a symbolic link" });
        }
        Err(error) if is_socket(&error) => {
            return Err(Error::NotADocument { path: path.to_owned(), why: "is not a plain file" });
        }
        Err(source) => return Err(failed("open", path)(source)),
    };
    check_plain(path, &file)?;
    let mut bytes = Vec::new();
    file.take(MAX_SIZE).read_to_end(&mut bytes).map_err(failed("read", path))?;
    Ok(Some(bytes))
}

fn check_plain(path: &Path, file: &File) -> Result<(), Error> {
    let metadata = file.metadata().map_err(failed("look at", path))?;
    if !metadata.is_file() {
        return Err(Error::NotADocument { path: path.to_owned(), why: "is not a plain file" });
    }
    #[cfg(unix)]
    if std::os::unix::fs::MetadataExt::uid(&metadata) != rustix::process::geteuid().as_raw() {
        return Err(Error::Unsafe { path: path.to_owned(), why: "belongs to another user" });
    }
    if metadata.len() > MAX_SIZE {
        return Err(Error::NotADocument { path: path.to_owned(), why: "is larger than any document" });
    }
    Ok(())
}

#[cfg(unix)]
const NOFOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
#[cfg(unix)]
const NONBLOCK: i32 = rustix::fs::OFlags::NONBLOCK.bits() as i32;

#[cfg(unix)]
fn is_link(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::LOOP)
}

#[cfg(unix)]
fn is_socket(error: &io::Error) -> bool {
    rustix::io::Errno::from_io_error(error) == Some(rustix::io::Errno::NXIO)
}

#[cfg(not(unix))]
fn is_link(_: &io::Error) -> bool {
    false
}

#[cfg(not(unix))]
fn is_socket(_: &io::Error) -> bool {
    false
}

/// Puts `bytes` in the place of `path`: a reader sees the old file or the new one.
///
/// The caller holds a lock that keeps other writers of `path` away, so that the temporary file
/// has a fixed name and one that a killed writer left is simply taken over.
pub(super) fn replace(path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
    make_parent(path)?;
    let temporary = with_suffix(path, ".tmp");
    remove(&temporary)?;
    let written = create(&temporary).and_then(|mut file| {
        file.write_all(bytes).map_err(failed("write", &temporary))?;
        if durability == Durability::Durable {
            // Never twice on one file: after a failed sync the kernel may call lost pages clean.
            file.sync_all().map_err(failed("sync", &temporary))?;
        }
        fs::rename(&temporary, path).map_err(failed("replace", path))
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written?;
    if durability == Durability::Durable { sync_directory(path) } else { Ok(()) }
}

/// A new private file; one that exists, or a link, is an error.
pub(super) fn create(path: &Path) -> Result<File, Error> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600).custom_flags(NOFOLLOW);
    }
    options.open(path).map_err(failed("create", path))
}

/// Makes what another process has written durable.
pub(super) fn sync(path: &Path) -> Result<(), Error> {
    let file = OpenOptions::new().write(true).open(path).map_err(failed("open", path))?;
    file.sync_all().map_err(failed("sync", path))
}

/// Renames within one directory, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(failed("replace", to))?;
    sync_directory(to)
}

/// Removes a file; one that is not there is no error.
pub(super) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(failed("remove", path)(source)),
    }
}

/// Makes the directory of `path`, and those above it, private.
pub(super) fn make_parent(path: &Path) -> Result<(), Error> {
    let parent = path.parent().expect("every path of the store has a parent");
    if parent.is_dir() {
        return Ok(());
    }
    check_place_of_new(parent)?;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(parent).map_err(failed("make", parent))?;
    sync_directory(parent)
}

/// Makes the entry of `path` in its directory durable.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> Result<(), Error> {
    let parent = path.parent().expect("every path of the store has a parent");
    let directory = File::open(parent).map_err(failed("open", parent))?;
    directory.sync_all().map_err(failed("sync", parent))
}

/// Windows writes directory entries through by itself and cannot sync a directory.
#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> Result<(), Error> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/vault.json");

        replace(&path, b"one", Durability::Durable).unwrap();
        replace(&path, b"two", Durability::Cached).unwrap();

        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let parent = fs::metadata(path.parent().unwrap()).unwrap();
            assert_eq!(parent.permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn a_temporary_file_of_a_killed_writer_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("vault.json");
        fs::write(with_suffix(&path, ".tmp"), b"half").unwrap();

        replace(&path, b"whole", Durability::Durable).unwrap();

        assert_eq!(read(&path).unwrap().unwrap(), b"whole");
    }

    #[cfg(unix)]
    #[test]
    fn links_fifos_directories_and_sockets_are_no_documents() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path("real"), b"x").unwrap();
        std::os::unix::fs::symlink(path("real"), path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("fifo"), rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
        fs::create_dir(path("directory")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();

        for name in ["link", "fifo", "directory", "socket"] {
            let refused = read(&path(name));
            assert!(matches!(refused, Err(Error::NotADocument { .. })), "{name}: {refused:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_directory_that_others_can_write_to_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().unwrap();
        let chmod = |mode| fs::set_permissions(home.path(), fs::Permissions::from_mode(mode)).unwrap();

        chmod(0o700);
        assert!(check_directory(home.path()).is_ok());
        for mode in [0o720, 0o702, 0o777] {
            chmod(mode);
            assert!(matches!(check_directory(home.path()), Err(Error::Unsafe { .. })), "{mode:o}");
        }
    }
}
