//! Local sockets: who is at the other end, and where a socket may lie.

use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Why a path is not trusted with a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnsafePath {
    /// Somebody else owns it.
    #[error("{} belongs to another user", .0.display())]
    Owner(PathBuf),
    /// Others may enter the directory.
    #[error("{} is open to other users", .0.display())]
    Open(PathBuf),
    /// It is something else, such as a symbolic link.
    #[error("{} is not {expected}", path.display())]
    Kind {
        /// The path.
        path: PathBuf,
        /// What it should be.
        expected: &'static str,
    },
    /// It could not be looked at.
    #[error("cannot look at {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// The user who runs this process.
pub fn own_uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The user at the other end, as the kernel noted it when the connection was made.
///
/// # Errors
///
/// If the kernel does not say.
#[cfg(target_os = "linux")]
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(rustix::net::sockopt::socket_peercred(stream)?.uid.as_raw())
}

/// The user at the other end, as the kernel noted it when the connection was made.
///
/// # Errors
///
/// If the kernel does not say.
#[cfg(not(target_os = "linux"))]
pub fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    Ok(nix::unistd::getpeereid(stream)?.0.as_raw())
}

/// Makes sure that `dir` is a directory that only we may enter. Symbolic links are not followed.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_private_dir(dir: &Path) -> Result<(), UnsafePath> {
    let found = look_at(dir)?;
    if !found.is_dir() {
        return Err(UnsafePath::Kind { path: dir.to_owned(), expected: "a directory" });
    }
    if found.uid() != own_uid() {
        return Err(UnsafePath::Owner(dir.to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(UnsafePath::Open(dir.to_owned()));
    }
    Ok(())
}

/// Makes sure that `path` is a socket of ours. Symbolic links are not followed.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_socket(path: &Path) -> Result<(), UnsafePath> {
    let found = look_at(path)?;
    if !found.file_type().is_socket() {
        return Err(UnsafePath::Kind { path: path.to_owned(), expected: "a socket" });
    }
    if found.uid() != own_uid() {
        return Err(UnsafePath::Owner(path.to_owned()));
    }
    Ok(())
}

fn look_at(path: &Path) -> Result<std::fs::Metadata, UnsafePath> {
    path.symlink_metadata().map_err(|source| UnsafePath::Io { path: path.to_owned(), source })
}

/// A stream with one deadline over all that is read and written.
///
/// A timeout on each call alone would let a peer that sends a byte now and then hold us for ever.
pub struct Timed<'a> {
    stream: &'a UnixStream,
    deadline: Instant,
}

impl<'a> Timed<'a> {
    /// The stream, usable for `limit` from now on.
    pub fn new(stream: &'a UnixStream, limit: Duration) -> Self {
        Self { stream, deadline: Instant::now() + limit }
    }

    fn remaining(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.remaining()?))?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.remaining()?))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn the_deadline_holds_for_a_peer_that_sends_a_byte_now_and_then() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let drip = thread::spawn(move || {
            while (&theirs).write_all(b".").is_ok() {
                thread::sleep(Duration::from_millis(10));
            }
        });

        let result = Timed::new(&ours, Duration::from_millis(100)).read_exact(&mut [0; 100_000]);

        assert!(matches!(result.unwrap_err().kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock));
        drop(ours);
        drip.join().unwrap();
    }

    #[test]
    fn the_kernel_says_who_is_at_the_other_end() {
        let (ours, _theirs) = UnixStream::pair().unwrap();

        assert_eq!(peer_uid(&ours).unwrap(), own_uid());
    }
}
