//! The disk, as far as the store needs it, as a value that tests can own.
//!
//! Each function asks the operating system for one thing and adds no rule of its own, so that a test
//! which stands in its place sees everything that happens to a file.

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Where files are.
pub trait Disk: Send + Sync {
    /// The user as whom we run, comparable with [`Facts::owner`].
    fn user(&self) -> u32;

    /// What stands at `path`, behind a symbolic link too.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn look_at(&self, path: &Path) -> io::Result<Facts>;

    /// Opens a file. A symbolic link is an error.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn OpenFile>>;

    /// Gives a file another name, in place of what had it.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn remove_directory(&self, path: &Path) -> io::Result<()>;

    /// Makes a private directory, and those above it.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn make_directories(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a directory durable.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn sync_directory(&self, path: &Path) -> io::Result<()>;

    /// The names in a directory, in no order. What cannot be read of them is left out.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn list(&self, path: &Path) -> io::Result<Vec<OsString>>;

    /// The one absolute path of what may have several.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn canonical(&self, path: &Path) -> io::Result<PathBuf>;
}

/// An open file. Its lock, if it has one, ends with it.
pub trait OpenFile: Debug + Send {
    /// What it is.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn facts(&self) -> io::Result<Facts>;

    /// What stands behind the position, `limit` bytes at most; room is made for `expected` bytes.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn read(&mut self, expected: u64, limit: u64) -> io::Result<Vec<u8>>;

    /// Writes all of `bytes` at the position.
    ///
    /// # Errors
    ///
    /// As the operating system says; a part may have been written then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Adds `bytes` at the end, wherever that is by now, in one piece: others who do the same come before
    /// it or behind it, never between.
    ///
    /// # Errors
    ///
    /// As the operating system says, or if only a part was taken; the rest would come behind what others
    /// have added meanwhile, and is not tried again.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Goes back to the beginning.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn rewind(&mut self) -> io::Result<()>;

    /// Cuts the file off, or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn set_length(&mut self, length: u64) -> io::Result<()>;

    /// Makes what was written durable.
    ///
    /// # Errors
    ///
    /// As the operating system says. To ask once more proves nothing: what could not be written may
    /// count as written then.
    fn sync(&mut self) -> io::Result<()>;

    /// Locks the file against other processes, `alone` or together with others that do not want to be
    /// alone; `false` if it is locked.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    fn try_lock(&mut self, alone: bool) -> io::Result<bool>;
}

/// What a file is opened for. Nothing waits on what is no plain file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// To be read.
    Read,
    /// To be written; it is new and private, and one that exists is an error.
    New,
    /// To be synced, or to see that it may be changed.
    Sync,
    /// To be locked; made, and private, if there is none.
    Lock,
    /// To be added to at its end; made, and private, if there is none.
    Append,
}

/// What is known about a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What it is.
    pub kind: Kind,
    /// Its length in bytes.
    pub length: u64,
    /// Whose it is. Windows keeps a user's files private by itself: there, all is ours.
    pub owner: u32,
    /// Whether other users can write to it.
    pub is_writable_by_others: bool,
    /// Device and number of the file, under whatever name. Windows does not let an open file lose its
    /// name: there, all files have the same.
    pub identity: (u64, u64),
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A plain file.
    File,
    /// A directory.
    Directory,
    /// Neither.
    Other,
}

/// The disk of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn user(&self) -> u32 {
        // Asked for at every file; nothing here ever changes it.
        static USER: OnceLock<u32> = OnceLock::new();
        #[cfg(unix)]
        let ask = || rustix::process::geteuid().as_raw();
        #[cfg(not(unix))]
        let ask = || 0;
        *USER.get_or_init(ask)
    }

    fn look_at(&self, path: &Path) -> io::Result<Facts> {
        fs::metadata(path).map(|metadata| facts(&metadata))
    }

    fn open(&self, path: &Path, how: Opening) -> io::Result<Box<dyn OpenFile>> {
        Ok(Box::new(options(how).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_directory(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn make_directories(&self, path: &Path) -> io::Result<()> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(path)
    }

    #[cfg(unix)]
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    /// Windows writes directory entries through by itself and cannot sync a directory.
    #[cfg(not(unix))]
    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<OsString>> {
        Ok(fs::read_dir(path)?.filter_map(|entry| Some(entry.ok()?.file_name())).collect())
    }

    fn canonical(&self, path: &Path) -> io::Result<PathBuf> {
        fs::canonicalize(path)
    }
}

impl OpenFile for File {
    fn facts(&self) -> io::Result<Facts> {
        self.metadata().map(|metadata| facts(&metadata))
    }

    fn read(&mut self, expected: u64, limit: u64) -> io::Result<Vec<u8>> {
        // Room for all of it at once: growing would read it in many small pieces.
        let mut bytes = Vec::with_capacity(expected.min(limit) as usize);
        self.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        loop {
            match Write::write(self, bytes) {
                Ok(length) if length == bytes.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::StorageFull.into()),
                // Nothing was written then.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn rewind(&mut self) -> io::Result<()> {
        Seek::rewind(self)
    }

    fn set_length(&mut self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }

    fn try_lock(&mut self, alone: bool) -> io::Result<bool> {
        loop {
            let locked = if alone { Self::try_lock(self) } else { self.try_lock_shared() };
            match locked {
                Ok(()) => return Ok(true),
                Err(TryLockError::WouldBlock) => return Ok(false),
                // Unlike its other calls, the standard library leaves this one to us.
                Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
    }
}

fn options(how: Opening) -> OpenOptions {
    let mut options = OpenOptions::new();
    match how {
        Opening::Read => options.read(true),
        Opening::New => options.read(true).write(true).create_new(true),
        Opening::Sync => options.write(true),
        Opening::Lock => options.read(true).write(true).create(true).truncate(false),
        Opening::Append => options.append(true).create(true),
    };
    #[cfg(unix)]
    restrict(&mut options);
    options
}

/// Links are not followed, what is made is private, and nothing waits on a FIFO that was put there.
#[cfg(unix)]
fn restrict(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;

    use rustix::fs::OFlags;

    options.mode(0o600).custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32);
}

fn facts(metadata: &fs::Metadata) -> Facts {
    let kind = match () {
        () if metadata.is_file() => Kind::File,
        () if metadata.is_dir() => Kind::Directory,
        () => Kind::Other,
    };
    let (owner, is_writable_by_others, identity) = ownership(metadata);
    Facts { kind, length: metadata.len(), owner, is_writable_by_others, identity }
}

#[cfg(unix)]
fn ownership(metadata: &fs::Metadata) -> (u32, bool, (u64, u64)) {
    use std::os::unix::fs::MetadataExt;

    (metadata.uid(), metadata.mode() & 0o022 != 0, (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn ownership(_: &fs::Metadata) -> (u32, bool, (u64, u64)) {
    (0, false, (0, 0))
}
