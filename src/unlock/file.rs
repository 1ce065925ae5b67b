//! Reading a private file that a person named.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Most bytes of an identity or passphrase file: 1 MiB.
const MAX_SIZE: u64 = 1024 * 1024;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is not there, or may not be read.
    #[error("cannot read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is a pipe, a device or a directory, which could make us wait for ever.
    #[error("{} is not a regular file", .0.display())]
    NotRegular(PathBuf),
    /// It is too large.
    #[error("{} is larger than {} MiB", path.display(), limit >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Most that is read, in bytes.
        limit: u64,
    },
}

/// What was read.
pub(super) struct Content {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// The permission bits, if they let other users read it.
    pub(super) open_mode: Option<u32>,
}

/// Reads the file at `path`, through symbolic links, without ever waiting.
pub(super) fn read(path: &Path) -> Result<Content, Error> {
    read_up_to(path, MAX_SIZE)
}

/// The same for a file of at most `limit` bytes.
pub(super) fn read_up_to(path: &Path, limit: u64) -> Result<Content, Error> {
    let failed = |source| Error::Io { path: path.to_owned(), source };
    let file = open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::NotRegular(path.to_owned()));
    }
    // One allocation, so that no copy stays behind in a buffer that grew; with so much to spare that
    // `read_to_end` does not look for the end with a small buffer of its own.
    let mut bytes = Zeroizing::new(Vec::with_capacity(found.len().min(limit) as usize + 64));
    file.take(limit + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::TooLarge { path: path.to_owned(), limit });
    }
    Ok(Content { bytes, open_mode: open_mode(&found) })
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags};

    // Without NONBLOCK, opening a pipe waits for a writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

#[cfg(unix)]
fn open_mode(found: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;

    let mode = found.mode() & 0o777;
    (mode & 0o044 != 0).then_some(mode)
}

#[cfg(not(unix))]
fn open_mode(_: &std::fs::Metadata) -> Option<u32> {
    None
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_a_device_and_a_directory_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            &pipe,
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();

        for path in [pipe.as_path(), Path::new("/dev/zero"), dir.path()] {
            assert!(matches!(read(path), Err(Error::NotRegular(_))), "{}", path.display());
        }
    }

    #[test]
    fn a_file_of_more_than_a_mebibyte_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("large");
        File::create(&path).unwrap().set_len(MAX_SIZE + 1).unwrap();

        assert!(matches!(read(&path), Err(Error::TooLarge { .. })));
    }
}
