//! What was done with a vault on this machine: lines that are only ever added.

use super::Error;
use crate::domain::VaultId;

/// Keeps what was done. It remembers a bounded amount: the oldest is forgotten first.
pub trait Journal: Send + Sync {
    /// Adds one line, which has no line break in it. The lines of many processes never mix. It may be lost
    /// with the power.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn append(&self, vault: &VaultId, line: &str) -> Result<(), Error>;

    /// The lines from the oldest on.
    ///
    /// # Errors
    ///
    /// If they are there and cannot be read.
    fn read(&self, vault: &VaultId) -> Result<Box<dyn Reading + '_>, Error>;
}

/// A journal that is being read.
pub trait Reading {
    /// More of it, in the order in which it was written: a piece of moderate size that may begin and end
    /// within a line. Nothing if there is no more by now.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    fn more(&mut self) -> Result<Vec<u8>, Error>;
}
