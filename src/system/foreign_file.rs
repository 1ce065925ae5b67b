//! Files of others, which may be anything: read without waiting, without following links, and never more than
//! asked for.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroize;

/// A plain file that was opened for reading.
#[derive(Debug)]
pub struct ForeignFile {
    file: File,
    length: u64,
}

impl ForeignFile {
    /// Opens `path`; `None` if it is no plain file, or has gone.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut options = OpenOptions::new();
        options.read(true);
        let file = match no_surprises(&mut options).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound || is_no_file(&error) => return Ok(None),
            Err(error) => return Err(error),
        };
        let found = file.metadata()?;
        Ok(found.is_file().then(|| Self { file, length: found.len() }))
    }

    /// Its length in bytes, when it was opened.
    pub fn length(&self) -> u64 {
        self.length
    }
}

/// A link is not followed, a pipe is not waited for, and a terminal does not become ours.
#[cfg(unix)]
fn no_surprises(options: &mut OpenOptions) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;

    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    options.custom_flags(flags.bits().cast_signed())
}

/// Windows gives the link itself (FILE_FLAG_OPEN_REPARSE_POINT), which is no plain file.
#[cfg(windows)]
fn no_surprises(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::windows::fs::OpenOptionsExt;

    const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT)
}

#[cfg(not(any(unix, windows)))]
fn no_surprises(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// A link, or a socket or device that nobody stands behind (open(2): ELOOP, EMLINK on FreeBSD; ENXIO, ENODEV).
#[cfg(unix)]
fn is_no_file(error: &io::Error) -> bool {
    use rustix::io::Errno;

    let none = [Errno::LOOP, Errno::MLINK, Errno::NXIO, Errno::NODEV, Errno::NOTDIR];
    Errno::from_io_error(error).is_some_and(|errno| none.contains(&errno))
}

#[cfg(not(unix))]
fn is_no_file(_: &io::Error) -> bool {
    false
}

/// Room for one file after the other. What was in it is overwritten when it is dropped.
#[derive(Debug, Default)]
pub struct ReadBuffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl ReadBuffer {
    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }

    /// Forgets what was read, to read something else.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Reads on in `file` until there are `limit` bytes, or as many as the file had when it was opened.
    ///
    /// # Errors
    ///
    /// As the operating system says.
    pub fn fill(&mut self, file: &mut ForeignFile, limit: usize) -> io::Result<()> {
        let wanted = limit.min(usize::try_from(file.length).unwrap_or(usize::MAX));
        if self.bytes.len() < wanted {
            // Not by growing: that would leave a copy of what was read.
            let mut larger = vec![0; wanted.next_power_of_two()];
            larger[..self.filled].copy_from_slice(self.bytes());
            self.bytes.zeroize();
            self.bytes = larger;
        }
        while self.filled < wanted {
            match file.file.read(&mut self.bytes[self.filled..wanted]) {
                Ok(0) => break,
                Ok(count) => self.filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // A file that its system gives out as a stream.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn read(path: &Path, limit: usize) -> Option<Vec<u8>> {
        let mut file = ForeignFile::open(path).unwrap()?;
        let mut buffer = ReadBuffer::default();
        buffer.fill(&mut file, limit / 2).unwrap();
        buffer.fill(&mut file, limit).unwrap();
        Some(buffer.bytes().to_vec())
    }

    #[test]
    fn a_plain_file_is_read_up_to_the_limit_and_nothing_else_is() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        std::fs::write(path("file"), "0123456789").unwrap();
        std::os::unix::fs::symlink("file", path("link")).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), 0o600.into()).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();

        assert_eq!(read(&path("file"), 100).unwrap(), b"0123456789");
        assert_eq!(read(&path("file"), 4).unwrap(), b"0123");
        for other in ["link", "pipe", "socket", "nothing", "file/below"] {
            assert!(read(&path(other), 4).is_none(), "{other}");
        }
        assert!(ForeignFile::open(home.path()).unwrap().is_none());
    }
}
