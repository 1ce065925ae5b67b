//! Where there are no Unix sockets, there is no agent.

use std::path::Path;

/// Why there is no agent.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The platform has no Unix sockets.
    #[error("holding the key needs a Unix socket, which this platform does not have")]
    NoSockets,
}

/// Becomes the agent.
///
/// # Errors
///
/// Always, on this platform.
pub fn run(_runtime_dir: &Path) -> Result<(), Error> {
    Err(Error::NoSockets)
}

/// Starts the agent as a process of its own.
///
/// # Errors
///
/// Always, on this platform.
pub fn spawn(_exe: &Path, _runtime_dir: &Path) -> Result<(), Error> {
    Err(Error::NoSockets)
}
