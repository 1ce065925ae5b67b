//! A file that a person has named, read once and whole.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Why such a file was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NamedFileError {
    /// It is something else than a file.
    #[error("{} is {what}, and no file", path.display())]
    NoFile {
        /// The path.
        path: PathBuf,
        /// What it is.
        what: &'static str,
    },
    /// It is too long.
    #[error("{} is longer than {limit} bytes", path.display())]
    TooLong {
        /// The path.
        path: PathBuf,
        /// How much is read at most.
        limit: usize,
    },
    /// Somebody has changed it while it was read.
    #[error("{} was changed while it was read", .0.display())]
    Changed(PathBuf),
    /// It could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// All of the file at `path`, at most `limit` bytes. Links are followed: it was named by a person. A pipe that a shell
/// has opened (`<(command)`) is read too; one that stands under a name is not, since nobody may ever write to it.
///
/// # Errors
///
/// As [`NamedFileError`] says.
pub fn read_named_file(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, NamedFileError> {
    let unreadable = |source| NamedFileError::Unreadable { path: path.to_owned(), source };
    let before = fs::metadata(path).map_err(unreadable)?;
    let is_pipe_of_shell = path.starts_with("/dev/fd") || path.starts_with("/proc/self/fd");
    let is_read = before.is_file() || (is_pipe_of_shell && is_pipe(&before));
    if !is_read {
        return Err(NamedFileError::NoFile { path: path.to_owned(), what: what(&before) });
    }
    let mut file = File::open(path).map_err(unreadable)?;
    let opened = file.metadata().map_err(unreadable)?;
    // Large enough from the start, so that growing leaves no copies behind.
    let expected = usize::try_from(opened.len()).unwrap_or(limit).min(limit);
    let mut bytes = Zeroizing::new(Vec::with_capacity(expected + 1));
    (&mut file).take(limit as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > limit {
        return Err(NamedFileError::TooLong { path: path.to_owned(), limit });
    }
    let after = file.metadata().map_err(unreadable)?;
    let is_whole = !after.is_file() || after.len() == bytes.len() as u64;
    if !is_whole || after.modified().ok() != opened.modified().ok() {
        return Err(NamedFileError::Changed(path.to_owned()));
    }
    Ok(bytes)
}

fn what(found: &Metadata) -> &'static str {
    if found.is_dir() {
        "a directory"
    } else if is_pipe(found) {
        "a pipe"
    } else {
        "a device or a socket"
    }
}

#[cfg(unix)]
fn is_pipe(found: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;

    found.file_type().is_fifo()
}

#[cfg(not(unix))]
fn is_pipe(_: &Metadata) -> bool {
    false
}
