//! On a platform without signals, the console ends what stays up.

use std::io;

/// Nothing tells us to end: we are ended.
pub struct Ending(());

impl Ending {
    /// Nothing has to be done.
    ///
    /// # Errors
    ///
    /// None.
    pub fn begin() -> io::Result<Self> {
        Ok(Self(()))
    }

    /// Never returns.
    pub fn wait(&mut self) {
        loop {
            std::thread::park();
        }
    }
}
