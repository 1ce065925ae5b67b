//! Files that are private from the moment they exist, and replaced as a whole.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::store::Error;
use crate::system::{Disk, Facts, Kind, OpenFile, Opening};

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

/// How the name of a file ends that is not yet in its place.
pub(super) const TEMPORARY: &str = ".tmp";

/// `path` with `suffix` after its whole name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

fn parent(path: &Path) -> &Path {
    path.parent().expect("every path of the store has a parent")
}

/// The files of a disk, with the rules of this store.
#[derive(Clone)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
}

impl Files {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self { disk }
    }

    /// Refuses a directory that another user owns or can write to. A missing one is fine.
    pub(super) fn check_directory(&self, path: &Path) -> Result<(), Error> {
        let unsafe_because = |why| Err(Error::Unsafe { path: path.to_owned(), why });
        let found = match self.disk.look_at(path) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(failed("look at", path)(source)),
        };
        if found.kind != Kind::Directory {
            return unsafe_because("is not a directory");
        }
        if found.owner != self.disk.user() {
            return unsafe_because("belongs to another user");
        }
        if found.is_writable_by_others {
            return unsafe_because("can be written to by other users");
        }
        Ok(())
    }

    /// The whole file, if there is one.
    ///
    /// Links are not followed, and anything but a plain file of ours is refused without waiting on it.
    pub(super) fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, Error> {
        let not_a_document = |why| Err(Error::NotADocument { path: path.to_owned(), why });
        let mut file = match self.disk.open(path, Opening::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if is_link(&error) => return not_a_document("is a symbolic link"),
            Err(error) if is_socket(&error) => return not_a_document("is not a plain file"),
            Err(source) => return Err(failed("open", path)(source)),
        };
        let found = self.check_plain(path, &*file)?;
        file.read(found.length, MAX_SIZE).map(Some).map_err(failed("read", path))
    }

    fn check_plain(&self, path: &Path, file: &dyn OpenFile) -> Result<Facts, Error> {
        let found = self.plain_facts(path, file)?;
        if found.length > MAX_SIZE {
            return Err(Error::NotADocument { path: path.to_owned(), why: "is larger than any document" });
        }
        Ok(found)
    }

    /// Refuses anything but a plain file of ours.
    fn plain_facts(&self, path: &Path, file: &dyn OpenFile) -> Result<Facts, Error> {
        let found = file.facts().map_err(failed("look at", path))?;
        if found.kind != Kind::File {
            return Err(Error::NotADocument { path: path.to_owned(), why: "is not a plain file" });
        }
        if found.owner != self.disk.user() {
            return Err(Error::Unsafe { path: path.to_owned(), why: "belongs to another user" });
        }
        Ok(found)
    }

    /// The length of a file that may be changed, in bytes; 0 if there is none.
    ///
    /// What its owner has made read-only is meant to stay, and what has the immutable flag would refuse
    /// to be replaced when it is too late.
    pub(super) fn changeable_length(&self, path: &Path) -> Result<usize, Error> {
        match self.disk.open(path, Opening::Sync).and_then(|file| file.facts()) {
            Ok(found) => Ok(found.length as usize),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(source) => Err(failed("change", path)(source)),
        }
    }

    /// Puts `bytes` in the place of `path`: a reader sees the old file or the new one.
    ///
    /// The caller holds a lock that keeps other writers of `path` away, so that the temporary file
    /// has a fixed name and one that a killed writer left is simply taken over.
    pub(super) fn replace(&self, path: &Path, bytes: &[u8], durability: Durability) -> Result<(), Error> {
        self.replace_by(&with_suffix(path, TEMPORARY), path, bytes, durability)
    }

    /// The same with this temporary file, which is on the same file system.
    pub(super) fn replace_by(
        &self,
        temporary: &Path,
        path: &Path,
        bytes: &[u8],
        durability: Durability,
    ) -> Result<(), Error> {
        self.make_parent(path)?;
        self.remove(temporary)?;
        let written = self.create(temporary).and_then(|mut file| {
            file.write(bytes).map_err(failed("write", temporary))?;
            if durability == Durability::Durable {
                // Never twice on one file: after a failed sync the kernel may call lost pages clean.
                file.sync().map_err(failed("sync", temporary))?;
                self.check_written(temporary, bytes)?;
            }
            self.disk.rename(temporary, path).map_err(failed("replace", path))
        });
        if written.is_err() {
            let _ = self.disk.remove(temporary);
        }
        written?;
        if durability == Durability::Durable { self.sync_directory(path) } else { Ok(()) }
    }

    /// Looks whether the disk has kept what it was given.
    pub(super) fn check_written(&self, path: &Path, bytes: &[u8]) -> Result<(), Error> {
        let is_there = self.read(path)?.is_some_and(|read| read == bytes);
        if is_there { Ok(()) } else { Err(Error::NotWritten { path: path.to_owned() }) }
    }

    /// A new private file; one that exists, or a link, is an error.
    pub(super) fn create(&self, path: &Path) -> Result<Box<dyn OpenFile>, Error> {
        self.disk.open(path, Opening::New).map_err(failed("create", path))
    }

    /// Makes what another process has written durable.
    pub(super) fn sync(&self, path: &Path) -> Result<(), Error> {
        let mut file = self.disk.open(path, Opening::Sync).map_err(failed("open", path))?;
        file.sync().map_err(failed("sync", path))
    }

    /// Renames within one directory, durably.
    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.disk.rename(from, to).map_err(failed("replace", to))?;
        self.sync_directory(to)
    }

    /// Removes a file; one that is not there is no error.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(source) => Err(failed("remove", path)(source)),
        }
    }

    /// Removes a file, so that a power loss does not bring it back: what is done next takes it for gone.
    pub(super) fn remove_for_good(&self, path: &Path) -> Result<(), Error> {
        self.remove(path)?;
        self.sync_directory_if_there(path)
    }

    /// Makes the directory of `path`, and those above it, private.
    pub(super) fn make_parent(&self, path: &Path) -> Result<(), Error> {
        let parent = parent(path);
        if self.disk.look_at(parent).is_ok_and(|found| found.kind == Kind::Directory) {
            return Ok(());
        }
        self.check_place_of_new(parent)?;
        let is_missing = |folder: &&Path| self.disk.look_at(folder).is_err();
        let missing: Vec<&Path> = parent.ancestors().take_while(is_missing).collect();
        self.disk.make_directories(parent).map_err(failed("make", parent))?;
        // Each is an entry in the one above it, and is lost with the power if that is not synced.
        missing.into_iter().rev().try_for_each(|folder| self.sync_directory(folder))
    }

    /// Refuses to make root's directories in a place of somebody else, where that user could change
    /// them, and could not use them.
    fn check_place_of_new(&self, directory: &Path) -> Result<(), Error> {
        const ROOT: u32 = 0;
        if self.disk.user() != ROOT {
            return Ok(());
        }
        let nearest =
            directory.ancestors().skip(1).find_map(|path| Some((path, self.disk.look_at(path).ok()?)));
        match nearest {
            Some((path, found)) if found.owner != ROOT => {
                Err(Error::Unsafe { path: path.to_owned(), why: "belongs to another user" })
            }
            _ => Ok(()),
        }
    }

    /// Makes the entry of `path` in its directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> Result<(), Error> {
        let parent = parent(path);
        self.disk.sync_directory(parent).map_err(failed("sync", parent))
    }

    /// The same if there is such a directory.
    pub(super) fn sync_directory_if_there(&self, path: &Path) -> Result<(), Error> {
        match self.disk.look_at(parent(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            _ => self.sync_directory(path),
        }
    }

    /// Removes an empty directory; one that is not there is no error.
    pub(super) fn remove_directory(&self, path: &Path) -> Result<(), Error> {
        match self.disk.remove_directory(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", path)(error)),
            _ => Ok(()),
        }
    }

    /// The names in a directory, in no order; none if there is no such directory.
    pub(super) fn list(&self, path: &Path) -> Result<Vec<OsString>, Error> {
        match self.disk.list(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            found => found.map_err(failed("list", path)),
        }
    }

    /// The one absolute path of what may have several, also before it is there; `path` itself where that is
    /// not to be had.
    pub(super) fn canonical(&self, path: &Path) -> PathBuf {
        self.disk.canonical(path).unwrap_or_else(|_| match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.canonical(parent).join(name),
            _ => path.to_owned(),
        })
    }

    /// A file to be locked, made if there is none.
    pub(super) fn open_lock(&self, path: &Path) -> Result<Box<dyn OpenFile>, Error> {
        let plain = |file: Box<dyn OpenFile>| match file.facts()?.kind {
            Kind::File => Ok(file),
            _ => Err(io::Error::other("it is not a plain file")),
        };
        self.disk.open(path, Opening::Lock).and_then(plain).map_err(failed("open the lock file", path))
    }

    /// A plain file of ours to be added to, made if there is none, and what it is.
    pub(super) fn open_to_append(&self, path: &Path) -> Result<(Box<dyn OpenFile>, Facts), Error> {
        let file = match self.disk.open(path, Opening::Append) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.make_parent(path)?;
                self.disk.open(path, Opening::Append)
            }
            opened => opened,
        };
        let file = file.map_err(failed("write", path))?;
        let found = self.plain_facts(path, &*file)?;
        Ok((file, found))
    }

    /// A plain file of ours to be read piece by piece, if there is one.
    pub(super) fn open_to_read(&self, path: &Path) -> Result<Option<Box<dyn OpenFile>>, Error> {
        let file = match self.disk.open(path, Opening::Read) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed("open", path))?,
        };
        self.plain_facts(path, &*file)?;
        Ok(Some(file))
    }

    /// Gives a file that may be lost with the power another name.
    pub(super) fn move_away(&self, from: &Path, to: &Path) -> Result<(), Error> {
        self.disk.rename(from, to).map_err(failed("replace", to))
    }

    /// Marks a new file as ours for as long as we live.
    pub(super) fn claim(&self, path: &Path, file: &mut dyn OpenFile) -> Result<(), Error> {
        // Windows would keep ourselves from reading it back; there, the lock files cannot be deleted.
        if cfg!(not(unix)) {
            return Ok(());
        }
        let is_locked = file.try_lock(true).map_err(failed("lock", path))?;
        let named = self.disk.look_at(path).map_err(failed("look at", path))?;
        let held = file.facts().map_err(failed("look at", path))?;
        if is_locked && named.identity == held.identity {
            return Ok(());
        }
        Err(Error::InUse { what: path.display().to_string() })
    }

    /// Whether a living process has claimed the file.
    pub(super) fn is_claimed(&self, path: &Path) -> Result<bool, Error> {
        match self.disk.open(path, Opening::Read).and_then(|mut file| file.try_lock(false)) {
            Ok(is_free) => Ok(!is_free),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(failed("lock", path)(source)),
        }
    }

    /// Whether `file` is what stands at `path`: not when somebody has deleted or replaced it since it
    /// was opened.
    pub(super) fn is_still_there(&self, path: &Path, file: &dyn OpenFile) -> bool {
        file.facts().is_ok_and(|held| self.is_named(path, &held))
    }

    /// The same for a file of which this is known.
    pub(super) fn is_named(&self, path: &Path, held: &Facts) -> bool {
        self.disk.look_at(path).is_ok_and(|named| named.identity == held.identity)
    }
}

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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::system::SystemDisk;

    fn files() -> Files {
        Files::new(Arc::new(SystemDisk))
    }

    #[test]
    fn a_replaced_file_is_private_and_leaves_nothing_behind() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/vault.json");

        files().replace(&path, b"one", Durability::Durable).unwrap();
        files().replace(&path, b"two", Durability::Cached).unwrap();

        assert_eq!(files().read(&path).unwrap().unwrap(), b"two");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            let parent = fs::metadata(path.parent().unwrap()).unwrap();
            assert_eq!(parent.permissions().mode() & 0o777, 0o700);
        }
    }

    /// The disk of the machine, and the directories that were synced on it.
    #[derive(Default)]
    struct Watched {
        synced: std::sync::Mutex<Vec<PathBuf>>,
    }

    impl Disk for Watched {
        fn remove_directory(&self, path: &Path) -> io::Result<()> {
            SystemDisk.remove_directory(path)
        }

        fn sync_directory(&self, path: &Path) -> io::Result<()> {
            self.synced.lock().unwrap().push(path.to_owned());
            SystemDisk.sync_directory(path)
        }

        fn user(&self) -> u32 {
            SystemDisk.user()
        }

        fn look_at(&self, path: &Path) -> io::Result<crate::system::Facts> {
            SystemDisk.look_at(path)
        }

        fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn OpenFile>> {
            SystemDisk.open(path, how)
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            SystemDisk.rename(from, to)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            SystemDisk.remove(path)
        }

        fn make_directories(&self, path: &Path) -> io::Result<()> {
            SystemDisk.make_directories(path)
        }

        fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
            SystemDisk.list(path)
        }

        fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
            SystemDisk.canonical(path)
        }
    }

    #[test]
    fn every_new_directory_is_durable_in_the_one_above() {
        let home = tempfile::tempdir().unwrap();
        let disk = Arc::new(Watched::default());

        Files::new(disk.clone()).make_parent(&home.path().join("a/b/vault.json")).unwrap();

        assert_eq!(*disk.synced.lock().unwrap(), [home.path().to_owned(), home.path().join("a")]);
    }

    #[test]
    fn a_temporary_file_of_a_killed_writer_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("vault.json");
        fs::write(with_suffix(&path, ".tmp"), b"half").unwrap();

        files().replace(&path, b"whole", Durability::Durable).unwrap();

        assert_eq!(files().read(&path).unwrap().unwrap(), b"whole");
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
            let refused = files().read(&path(name));
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
        assert!(files().check_directory(home.path()).is_ok());
        for mode in [0o720, 0o702, 0o777] {
            chmod(mode);
            assert!(matches!(files().check_directory(home.path()), Err(Error::Unsafe { .. })), "{mode:o}");
        }
    }
}
