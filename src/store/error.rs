//! Why storage did not do it.

use std::path::PathBuf;
use std::time::Duration;

/// Why storage failed or was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Others could change what is there.
    #[error("{} {why}", path.display())]
    Unsafe {
        /// What is unsafe.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// Something else than a plain document stands there.
    #[error("{} {why}", path.display())]
    NotADocument {
        /// Where.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// A vault needs an empty place.
    #[error("{} is not empty", path.display())]
    Occupied {
        /// Where.
        path: PathBuf,
    },
    /// Somebody else holds the lock.
    #[error("another vault process has held {what} for {} seconds", waited.as_secs())]
    Busy {
        /// What is locked.
        what: &'static str,
        /// How long we waited.
        waited: Duration,
    },
    /// Another process is at work there, although we hold the lock.
    #[error("another vault process is writing {what}")]
    InUse {
        /// What.
        what: String,
    },
    /// It was changed since it was read.
    #[error("{name} was changed by another process")]
    Conflict {
        /// Which document.
        name: String,
    },
    /// What was read back is not what was written.
    #[error("{} does not hold what was just written to it", path.display())]
    NotWritten {
        /// Where.
        path: PathBuf,
    },
    /// The file system said no.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What it said.
        #[source]
        source: std::io::Error,
    },
}
